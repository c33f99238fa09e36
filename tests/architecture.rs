//! The architecture, stated as tables and checked on every run: which room may use which, the order
//! of the rooms inside a room, where each crate may be used, what the pure rooms must not use, the
//! maximum length of a file, and the contents of the repository's top folder.
//!
//! It reads the sources as text, with comments and literals blanked, so it needs no compiler and no
//! crate. It is not a style checker: rustfmt and clippy do that.

#[path = "architecture/functions.rs"]
mod functions;
#[path = "architecture/logs.rs"]
mod logs;
#[path = "architecture/ways.rs"]
mod ways;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// A room, and the rooms it may name.
type Row = (&'static str, &'static [&'static str]);

/// The rooms of `src`, and the rooms each may name. Its own name is always allowed. A room names only
/// rooms of rows above its own, so that the rooms form no cycle.
const ROOMS: &[Row] = &[
    ("sip", &[]),
    ("presence", &[]),
    ("telemetry", &[]),
    ("password", &[]),
    ("tls", &[]),
    ("dns", &["sip"]),
    ("store", &["presence"]),
    ("trace", &["sip", "presence"]),
    ("record", &["sip", "presence"]),
    ("directory", &["sip", "presence"]),
    ("shard", &["directory", "record", "sip", "presence"]),
    ("changes", &["directory", "presence", "shard"]),
    ("net", &["shard", "sip", "telemetry", "tls"]),
    ("background", &["directory", "net", "shard", "sip", "tls"]),
    (
        "relay",
        &[
            "background",
            "changes",
            "directory",
            "presence",
            "shard",
            "sip",
            "tls",
        ],
    ),
    (
        "http",
        &[
            "changes",
            "directory",
            "dns",
            "net",
            "password",
            "shard",
            "presence",
            "relay",
            "sip",
            "telemetry",
            "tls",
            "trace",
        ],
    ),
    (
        "config",
        &[
            "directory",
            "dns",
            "password",
            "shard",
            "presence",
            "relay",
            "sip",
            "tls",
        ],
    ),
    (
        "connect",
        &[
            "background",
            "directory",
            "shard",
            "presence",
            "relay",
            "sip",
            "tls",
        ],
    ),
    (
        "runtime",
        &[
            "background",
            "changes",
            "connect",
            "directory",
            "dns",
            "shard",
            "net",
            "http",
            "password",
            "store",
            "telemetry",
            "tls",
            "trace",
            "record",
            "sip",
            "presence",
            "relay",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "directory",
            "http",
            "net",
            "password",
            "presence",
            "runtime",
            "shard",
            "sip",
            "telemetry",
            "tls",
            "trace",
        ],
    ),
    ("main", &["cli"]),
    // The crate root: declares the rooms, uses none.
    ("lib", &[]),
];

/// The rooms inside a room, by the path of their parent below `src`: each child (a folder, or a
/// file beside the parent's `mod.rs`) and the siblings it may name. As in [`ROOMS`], a row names
/// only rows above it. Every child of a parent listed here has a row.
///
/// - A path through the parent (`crate::presence::Aor`) counts as naming the child from which the
///   parent's `mod.rs` re-exports it.
/// - An item defined in the parent's `mod.rs` itself is listed by its own name. List as few as
///   possible: the parent knows all its children, so a child that names an item of the parent
///   closes a cycle.
/// - Tests may name any sibling.
const SUB_ROOMS: &[(&str, &[Row])] = &[
    (
        "config",
        &[
            ("complaint", &[]),
            ("suggestion", &[]),
            ("machine", &[]),
            ("text", &["complaint"]),
            ("reader", &["complaint", "suggestion"]),
            ("quantity", &["complaint", "reader"]),
            ("files", &["complaint", "reader"]),
            ("schema", &["complaint", "files", "quantity", "reader"]),
            ("cores", &["complaint", "machine", "schema"]),
            ("transport_security", &["complaint", "files", "schema"]),
            (
                "listeners",
                &["complaint", "schema", "text", "transport_security"],
            ),
            ("outbound", &["complaint", "schema", "transport_security"]),
            ("shield", &["complaint", "schema", "text"]),
            (
                "tenants",
                &["complaint", "reader", "schema", "suggestion", "text"],
            ),
            ("managed", &["complaint", "schema", "text"]),
            (
                "plan",
                &[
                    "complaint",
                    "cores",
                    "listeners",
                    "machine",
                    "managed",
                    "outbound",
                    "schema",
                    "shield",
                    "tenants",
                ],
            ),
        ],
    ),
    (
        "config/tenants",
        &[
            ("names", &[]),
            ("policies", &["names"]),
            ("profiles", &[]),
            ("domains", &["names", "policies"]),
            ("secret_file", &[]),
            ("proof", &["secret_file"]),
            ("accounts", &["names", "proof"]),
            ("accounts_file", &["accounts", "secret_file"]),
            ("lists", &["names"]),
            ("tokens", &["names"]),
            ("feeds", &["names"]),
            ("servers", &[]),
            ("connectors", &["names", "secret_file", "servers"]),
            ("relays", &["names", "secret_file"]),
            ("sip_relays", &["names", "relays", "servers"]),
            ("peer_systems", &["names"]),
        ],
    ),
    (
        "http",
        &[
            ("engine", &[]),
            ("facts", &[]),
            ("directory", &[]),
            ("connections", &[]),
            ("events", &["connections"]),
            ("transport_counters", &[]),
            ("change_counters", &[]),
            ("failed_attempts", &[]),
            ("attempts", &["failed_attempts"]),
            ("verified_passwords", &[]),
            ("representation", &["events", "facts", "failed_attempts"]),
            (
                "site",
                &[
                    "attempts",
                    "change_counters",
                    "connections",
                    "directory",
                    "engine",
                    "events",
                    "facts",
                    "transport_counters",
                    "verified_passwords",
                ],
            ),
            (
                "credentials",
                &["attempts", "engine", "failed_attempts", "site"],
            ),
            (
                "call_state",
                &["representation", "credentials", "engine", "site"],
            ),
            (
                "parks",
                &[
                    "attempts",
                    "engine",
                    "facts",
                    "failed_attempts",
                    "representation",
                    "site",
                ],
            ),
            ("monitor", &["representation", "engine", "site"]),
            ("control", &["representation", "engine", "monitor", "site"]),
            (
                "api",
                &[
                    "attempts",
                    "control",
                    "credentials",
                    "engine",
                    "events",
                    "facts",
                    "failed_attempts",
                    "parks",
                    "representation",
                    "site",
                    "transport_counters",
                ],
            ),
            ("dashboard", &["api", "representation"]),
            (
                "routes",
                &[
                    "representation",
                    "call_state",
                    "control",
                    "dashboard",
                    "engine",
                    "monitor",
                    "parks",
                    "site",
                ],
            ),
            (
                "server",
                &[
                    "api",
                    "representation",
                    "connections",
                    "control",
                    "engine",
                    "facts",
                    "routes",
                    "site",
                    "transport_counters",
                ],
            ),
        ],
    ),
    (
        "net",
        &[
            ("acceptor", &[]),
            ("address", &[]),
            ("connection_limits", &[]),
            ("descriptor_passing", &[]),
            ("executor_pass", &[]),
            ("kernel", &[]),
            ("kernel_options", &[]),
            ("readiness", &[]),
            ("source_address", &[]),
            ("stun", &[]),
            ("interfaces", &["address"]),
            ("limits", &["connection_limits"]),
            ("bind", &["kernel_options"]),
            ("datagram", &["address", "stun"]),
            (
                "stream",
                &["acceptor", "connection_limits", "executor_pass", "limits"],
            ),
            ("listener", &["bind", "datagram", "limits", "stream"]),
        ],
    ),
    (
        "net/datagram",
        &[
            ("transport", &[]),
            ("classify", &[]),
            ("send_order", &[]),
            ("port", &["send_order", "transport"]),
            ("receive", &["transport"]),
            ("transmit", &["receive", "transport"]),
            ("udp", &["receive", "transmit", "transport"]),
        ],
    ),
    (
        "net/stream",
        &[
            ("transport", &[]),
            ("proxy_protocol", &[]),
            ("content_length", &["transport"]),
            ("tcp", &["content_length", "transport"]),
            ("tls", &["content_length", "tcp", "transport"]),
            ("websocket", &["transport"]),
            ("handshakes", &["transport"]),
            ("connection", &["handshakes", "transport"]),
            ("connections", &["connection", "transport"]),
        ],
    ),
    (
        "shard",
        &[
            ("container", &[]),
            ("contract", &["container"]),
            ("request", &["contract"]),
            ("peer", &["container", "contract", "request"]),
            ("overload", &["contract", "request"]),
            ("list", &["contract", "request"]),
            (
                "subscription",
                &["container", "contract", "list", "peer", "request"],
            ),
            ("package", &["contract", "request", "subscription"]),
            (
                "lifecycle",
                &[
                    "contract",
                    "list",
                    "overload",
                    "package",
                    "peer",
                    "request",
                    "subscription",
                ],
            ),
            (
                "notify",
                &[
                    "container",
                    "contract",
                    "lifecycle",
                    "list",
                    "peer",
                    "request",
                    "subscription",
                ],
            ),
            ("presentity", &["container", "contract"]),
            (
                "uas",
                &["container", "contract", "overload", "peer", "request"],
            ),
            ("uac", &["container", "contract", "peer", "request"]),
            ("connector", &["container", "contract", "uac"]),
            ("relay", &["container", "contract", "uac"]),
            (
                "conduct",
                &[
                    "connector",
                    "container",
                    "contract",
                    "lifecycle",
                    "list",
                    "notify",
                    "overload",
                    "package",
                    "peer",
                    "presentity",
                    "relay",
                    "request",
                    "subscription",
                    "uac",
                    "uas",
                ],
            ),
        ],
    ),
    (
        "store",
        &[
            ("error", &[]),
            ("schema", &["error"]),
            ("clock", &[]),
            ("data_directory", &["error"]),
            ("batch", &["schema"]),
            ("unwritten", &["batch", "schema"]),
            ("salvage", &["clock", "error", "schema"]),
            ("history", &["error", "salvage", "schema"]),
            ("log", &["salvage", "schema"]),
            ("log_tail", &["error", "log", "salvage"]),
            (
                "state_file",
                &["batch", "error", "log_tail", "salvage", "schema"],
            ),
            ("recovery", &["clock", "error", "schema", "state_file"]),
            ("checkpoint", &["error", "log", "state_file"]),
            ("backup", &["error", "salvage", "schema", "state_file"]),
            (
                "restore",
                &[
                    "backup",
                    "clock",
                    "data_directory",
                    "error",
                    "salvage",
                    "schema",
                ],
            ),
            ("intake", &["batch", "unwritten"]),
            ("change_notes", &[]),
            (
                "writer",
                &[
                    "batch",
                    "change_notes",
                    "checkpoint",
                    "clock",
                    "error",
                    "intake",
                    "log",
                    "schema",
                    "state_file",
                    "unwritten",
                ],
            ),
            ("watchdog", &["error", "state_file", "writer"]),
            (
                "rewriting",
                &[
                    "clock",
                    "error",
                    "log",
                    "salvage",
                    "schema",
                    "state_file",
                    "writer",
                ],
            ),
            (
                "maintenance",
                &["backup", "error", "rewriting", "state_file", "writer"],
            ),
        ],
    ),
    (
        "trace",
        &[
            ("conversations", &[]),
            ("mask", &[]),
            ("target", &[]),
            ("traces", &["conversations", "mask", "target"]),
        ],
    ),
    (
        "presence",
        &[
            ("aor", &[]),
            ("fixed_hash", &[]),
            ("history", &[]),
            ("origin", &["fixed_hash"]),
            ("wall_clock", &[]),
            ("elsewhere", &["wall_clock"]),
            ("event", &["aor"]),
            ("policy", &["aor", "event"]),
            ("call", &["aor", "fixed_hash", "wall_clock"]),
            ("source", &["call"]),
            ("registration", &["wall_clock"]),
            ("profile", &["call", "fixed_hash"]),
            (
                "composition",
                &[
                    "call",
                    "fixed_hash",
                    "profile",
                    "registration",
                    "source",
                    "wall_clock",
                ],
            ),
            (
                "document",
                &[
                    "aor",
                    "call",
                    "composition",
                    "event",
                    "fixed_hash",
                    "policy",
                    "profile",
                    "registration",
                    "source",
                ],
            ),
            (
                "presentity",
                &[
                    "aor",
                    "call",
                    "composition",
                    "document",
                    "event",
                    "fixed_hash",
                    "origin",
                    "registration",
                    "source",
                    "wall_clock",
                ],
            ),
        ],
    ),
    (
        "runtime",
        &[
            ("alarms", &[]),
            ("arrival_pattern", &[]),
            ("error", &[]),
            ("plan", &[]),
            ("recovered_part", &[]),
            ("records", &[]),
            ("replier", &[]),
            ("password_verifier", &["replier"]),
            ("bundle", &[]),
            ("shard_sockets", &[]),
            ("tracer", &[]),
            ("transmits", &[]),
            ("heir", &["bundle"]),
            ("service_manager", &["bundle"]),
            ("take_over", &["bundle", "service_manager"]),
            ("system_clock", &[]),
            ("signals", &[]),
            ("stop", &[]),
            ("watchdog", &[]),
            ("descriptors", &[]),
            ("orders", &[]),
            ("changes", &[]),
            ("resolver", &["replier"]),
            ("boot", &["bundle", "error", "plan", "shard_sockets"]),
            ("executor", &["error"]),
            ("mesh", &["recovered_part", "replier"]),
            ("restore", &["records"]),
            ("history", &["plan", "replier"]),
            ("edit_keeper", &[]),
            (
                "store_monitor",
                &["edit_keeper", "history", "plan", "replier"],
            ),
            (
                "commander",
                &[
                    "edit_keeper",
                    "history",
                    "mesh",
                    "password_verifier",
                    "replier",
                    "resolver",
                    "signals",
                    "store_monitor",
                ],
            ),
            ("recovery", &["error", "mesh", "recovered_part", "records"]),
            ("eraser", &["commander"]),
            ("services", &["commander", "system_clock"]),
            (
                "reload",
                &["commander", "edit_keeper", "eraser", "plan", "services"],
            ),
            (
                "core",
                &[
                    "alarms",
                    "arrival_pattern",
                    "changes",
                    "mesh",
                    "orders",
                    "recovered_part",
                    "records",
                    "replier",
                    "resolver",
                    "shard_sockets",
                    "tracer",
                    "transmits",
                    "watchdog",
                ],
            ),
            ("datagrams", &["core"]),
            ("handshakes", &["core"]),
            ("proxied", &["core"]),
            ("streams", &["core", "handshakes", "proxied"]),
            ("dialer", &["core", "streams"]),
            ("lookups", &["core"]),
            ("adaptive_poll", &["arrival_pattern", "core", "datagrams"]),
            ("timekeeper", &["core", "datagrams"]),
            (
                "shard_core",
                &[
                    "adaptive_poll",
                    "changes",
                    "core",
                    "datagrams",
                    "dialer",
                    "heir",
                    "lookups",
                    "mesh",
                    "shard_sockets",
                    "streams",
                    "timekeeper",
                ],
            ),
            (
                "node",
                &[
                    "boot",
                    "bundle",
                    "changes",
                    "commander",
                    "core",
                    "descriptors",
                    "edit_keeper",
                    "eraser",
                    "error",
                    "executor",
                    "heir",
                    "history",
                    "mesh",
                    "plan",
                    "recovery",
                    "reload",
                    "resolver",
                    "service_manager",
                    "services",
                    "shard_core",
                    "stop",
                    "store_monitor",
                ],
            ),
            (
                "daemon",
                &[
                    "bundle",
                    "commander",
                    "error",
                    "node",
                    "plan",
                    "reload",
                    "service_manager",
                    "signals",
                    "system_clock",
                ],
            ),
        ],
    ),
];

/// The same for the load tester: rooms inside a room, below `loadtest/src`.
const LOAD_TESTER_ROOMS: &[(&str, &[Row])] = &[(
    "swarm",
    &[
        ("agenda", &[]),
        ("key", &[]),
        ("pace", &[]),
        ("stage", &[]),
        ("versions", &[]),
        ("plan", &["key"]),
        ("turn", &["pace", "plan", "stage"]),
        ("client", &["agenda", "key", "pace", "plan", "turn"]),
        (
            "users",
            &["client", "key", "plan", "stage", "turn", "versions"],
        ),
        (
            "phones",
            &[
                "client", "key", "plan", "stage", "turn", "users", "versions",
            ],
        ),
        (
            "endpoints",
            &["client", "key", "phones", "stage", "turn", "users"],
        ),
        ("load", &["agenda", "endpoints", "key", "pace", "turn"]),
        ("search", &["load"]),
        (
            "schedule",
            &[
                "endpoints",
                "key",
                "load",
                "pace",
                "plan",
                "search",
                "stage",
                "turn",
            ],
        ),
    ],
)];

/// Rooms without a clock, a socket, a file, a lock or a thread.
const PURE_ROOMS: &[&str] = &["sip", "presence", "directory", "shard"];

/// Where each crate may be named: path prefixes below `src`. Every dependency in Cargo.toml has a
/// row.
const CRATE_HOMES: &[(&str, &[&str])] = &[
    ("argon2", &["password"]),
    ("base64", &["config/tenants/relays", "relay"]),
    ("bytes", &["relay/mqtt", "relay/nats"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("crc32fast", &["record"]),
    ("crossbeam", &["runtime", "changes", "store", "trace"]),
    ("csv", &["config", "http/api"]),
    ("flate2", &["presence/document"]),
    ("form_urlencoded", &["http", "cli", "relay/graph"]),
    (
        "futures_util",
        &[
            "background",
            "changes",
            "connect",
            "dns/locate/tests",
            "http",
            "net",
            "relay",
            "runtime",
        ],
    ),
    ("glommio", &["runtime", "net", "http"]),
    ("griddle", &["shard"]),
    ("hdrhistogram", &["telemetry"]),
    ("hickory_resolver", &["dns/name_servers"]),
    (
        "hmac",
        &["sip/digest", "http/verified_passwords", "relay/webhook"],
    ),
    ("http_body_util", &["http", "relay"]),
    ("httpdate", &["relay/http_client"]),
    ("humantime", &["changes", "cli", "config", "http", "tls"]),
    ("hyper", &["config/tenants/relays", "http", "relay"]),
    ("hyper_rustls", &["relay/http_client"]),
    ("hyper_util", &["relay/http_client"]),
    ("ipnet", &["directory", "shard", "config", "runtime"]),
    ("libc", &["net", "config", "runtime", "tls"]),
    ("md5", &["sip/digest", "connect/ami"]),
    ("memchr", &["sip", "presence", "config", "connect", "trace"]),
    ("mimalloc", &["main"]),
    (
        "percent_encoding",
        &[
            "presence/composition",
            "http/api",
            "relay/nats",
            "relay/teams/users",
        ],
    ),
    ("postcard", &["record"]),
    ("prost", &["http/monitor"]),
    ("quick_xml", &["presence/document"]),
    ("rand_chacha", &["sip/random"]),
    ("rcgen", &["tls"]),
    ("rpassword", &["cli"]),
    ("rumqttc", &["relay/mqtt"]),
    ("rusqlite", &["store"]),
    (
        "rustls",
        &["background/encryption", "net/stream/tls", "relay", "tls"],
    ),
    (
        "serde",
        &["connect/event_socket", "presence", "record", "sip"],
    ),
    (
        "serde_json",
        &[
            "changes",
            "cli/trace",
            "connect/event_socket",
            "http/api",
            "http/control/refusal",
            "http/representation",
            "http/tests",
            "relay",
        ],
    ),
    (
        "sha2",
        &[
            "sip/digest",
            "presence/document",
            "http/verified_passwords",
            "relay/webhook",
        ],
    ),
    ("signal_hook", &["cli/trace", "runtime"]),
    ("siphasher", &["presence/fixed_hash"]),
    // A test compares our own slab with it.
    ("slab", &["shard/container", "net", "http"]),
    ("smallvec", &["sip", "presence", "shard", "net"]),
    ("socket2", &["net", "config", "runtime", "http"]),
    ("subtle", &["sip", "http"]),
    (
        "thiserror",
        &[
            "sip",
            "presence",
            "record",
            "connect",
            "directory",
            "dns",
            "shard",
            "net",
            "password",
            "http",
            "config",
            "runtime",
            "store",
            "telemetry",
            "tls",
            "trace",
            "cli",
        ],
    ),
    ("terminal_size", &["cli/output"]),
    (
        "tokio",
        &["background", "connect", "relay", "runtime/resolver"],
    ),
    ("tokio_rustls", &["background/encryption"]),
    ("toml", &["config"]),
    (
        "tracing",
        &[
            "background",
            "connect",
            "net",
            "http",
            "config",
            "relay",
            "runtime",
            "store",
            "telemetry",
            "cli",
        ],
    ),
    ("tracing_subscriber", &["telemetry"]),
    ("tungstenite", &["net/stream/websocket"]),
    ("webpki", &["tls"]),
    ("wide", &["sip"]),
];

/// Types of which only some rooms know, however they come by a value.
const TYPE_HOMES: &[(&str, &[&str])] = &[
    // What drives the table of subscriptions, besides its owner.
    (
        "NotifiersTable",
        &["shard/lifecycle/notifiers_table", "shard/notify"],
    ),
    // Requests pass it in the user agent server.
    ("OverloadControl", &["shard/overload", "shard/uas"]),
];

/// Crates that must never be named in `src`: a second parser proves nothing if the server uses the
/// same one.
const BANNED_CRATES: &[&str] = &["rsip", "httparse", "criterion"];

/// Crates that only test modules may name.
const TEST_CRATES: &[&str] = &["proptest"];

/// Words that a pure room must not contain outside its tests, each with the reason.
const IMPURITIES: &[(&str, &str)] = &[
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("std::fs", "the pure half touches no file"),
    ("std::env", "the pure half gets everything from its options"),
    ("UdpSocket", "the pure half touches no socket"),
    ("TcpStream", "the pure half touches no socket"),
    ("TcpListener", "the pure half touches no socket"),
    ("std::thread", "one owner, no threads"),
    ("async", "the pure half is synchronous"),
    ("Mutex", "one owner, no locks"),
    ("RwLock", "one owner, no locks"),
    ("println", "effects are data"),
    ("eprintln", "effects are data"),
    ("dbg", "effects are data"),
];

/// The only room that may contain `unsafe`.
const UNSAFE_HOME: &str = "net";

/// The structs that own the state of a room, by their file below `src`, and the widest visibility
/// of a field: with "" the fields are private, so that no other file (except those below a
/// `mod.rs`) reads or writes them.
const COMPONENTS: &[(&str, &str, &str)] = &[
    ("shard/subscription/transition.rs", "Subscription", ""),
    ("shard/subscription/table.rs", "Table", "pub(super)"),
    (
        "shard/subscription/dialog_entry.rs",
        "DialogEntry",
        "pub(super)",
    ),
    ("shard/subscription/watched.rs", "Watched", ""),
    ("shard/subscription/watched.rs", "WatchedPresentities", ""),
    ("shard/lifecycle/mod.rs", "Subscriptions", ""),
    ("shard/list/plan.rs", "ListPlan", "pub(super)"),
    ("shard/list/resource.rs", "Resource", "pub(super)"),
    ("shard/list/resource.rs", "Leaver", "pub(super)"),
    ("shard/list/state.rs", "ListState", "pub(super)"),
    ("shard/list/roster.rs", "Rosters", ""),
    ("shard/list/roster.rs", "WatchedRoster", ""),
    ("shard/notify/mod.rs", "Notifier", ""),
    ("shard/notify/mod.rs", "InFlight", ""),
    ("shard/overload/mod.rs", "OverloadControl", ""),
    ("shard/overload/mod.rs", "RateLimits", ""),
    ("shard/presentity/mod.rs", "Compositor", ""),
    ("shard/uas/mod.rs", "Uas", ""),
    ("shard/conduct/mod.rs", "Engine", ""),
];

/// Types whose variants may be named only in these files below `src`: all other files call their
/// methods.
const VARIANT_HOMES: &[(&str, &[&str])] = &[(
    "Subject",
    &[
        "shard/subscription/subject.rs",
        "shard/lifecycle/subject.rs",
    ],
)];

/// Maximum lines of a file, without its test module.
const LINES_MAX: usize = 600;

/// The permitted contents of the repository's top folder, besides dot-files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "clippy.toml",
    "deny.toml",
    "loadtest",
    "rustfmt.toml",
    "src",
    "systemd",
    "target",
    "tests",
];

/// One violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    /// Path below `src`.
    file: String,
    /// Counted from 1; 0 for the whole file.
    line: usize,
    /// What is wrong, and how to fix it.
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "src/{}:{}: {}", self.file, self.line, self.what)
    }
}

// ----------------------------------------------------------------------------------------------------------------
// the tests

#[test]
fn sources_keep_to_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut breaches = Vec::new();
    let files = rust_files(&root);
    assert!(
        files.len() > 30,
        "found only {} source files below {}",
        files.len(),
        root.display()
    );
    for path in files {
        let text = fs::read_to_string(&path).expect("a readable source file");
        let name = path
            .strip_prefix(&root)
            .expect("below src")
            .to_string_lossy()
            .replace('\\', "/");
        breaches.extend(check(&name, &text));
        breaches.extend(check_components(COMPONENTS, &name, &text));
        breaches.extend(check_variants(VARIANT_HOMES, &name, &text));
        breaches.extend(check_sub_rooms(SUB_ROOMS, &name, &text, &|parent| {
            re_exports(&text_of_room(&root, parent))
        }));
    }
    assert!(breaches.is_empty(), "\n{}\n", listed(&breaches));
}

#[test]
fn the_load_tester_keeps_to_the_order_of_its_rooms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest/src");
    let mut breaches = Vec::new();
    for path in rust_files(&root) {
        let text = fs::read_to_string(&path).expect("a readable source file");
        let name = path.strip_prefix(&root).expect("below loadtest/src");
        let name = name.to_string_lossy().replace('\\', "/");
        breaches.extend(check_sub_rooms(
            LOAD_TESTER_ROOMS,
            &name,
            &text,
            &|parent| re_exports(&text_of_room(&root, parent)),
        ));
    }
    assert!(
        breaches.is_empty(),
        "\nbelow loadtest:\n{}\n",
        listed(&breaches)
    );
}

#[test]
fn every_sub_room_is_a_file_or_a_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (sources, tables) in [("src", SUB_ROOMS), ("loadtest/src", LOAD_TESTER_ROOMS)] {
        for (parent, children) in tables {
            for (child, _) in *children {
                let path = root.join(sources).join(parent).join(child);
                assert!(
                    path.is_dir() || path.with_extension("rs").is_file(),
                    "there is a row for {parent}/{child}, which is not below {sources}"
                );
            }
        }
    }
}

#[test]
fn every_dependency_has_a_home() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let dependencies = dependencies(&manifest.expect("a readable Cargo.toml"));
    assert!(dependencies.len() > 5, "found only {dependencies:?}");
    for name in dependencies {
        // The only package whose library has a different name.
        let name = if name == "md-5" {
            "md5".to_owned()
        } else {
            name.replace('-', "_")
        };
        let known = CRATE_HOMES.iter().any(|(home, _)| *home == name);
        assert!(
            known,
            "Cargo.toml names {name}: give it a row in CRATE_HOMES that says where it is at home"
        );
    }
}

#[test]
fn the_top_of_the_repository_is_what_the_readme_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root).expect("a readable repository") {
        let name = entry
            .expect("a directory entry")
            .file_name()
            .to_string_lossy()
            .into_owned();
        let known = name.starts_with('.') || TOP_LEVEL.contains(&name.as_str());
        assert!(
            known,
            "{name} lies at the top of the repository; put it into one of {TOP_LEVEL:?}"
        );
    }
}

#[test]
fn the_rooms_depend_on_each_other_in_one_direction_only() {
    assert_eq!(out_of_order(ROOMS), [] as [String; 0]);
    for (parent, children) in SUB_ROOMS.iter().chain(LOAD_TESTER_ROOMS) {
        assert_eq!(out_of_order(children), [] as [String; 0], "in {parent}");
    }
}

#[test]
fn a_table_out_of_order_is_caught() {
    let circle = [("a", &["b"][..]), ("b", &["a"])];
    assert_eq!(out_of_order(&circle), ["a uses b, whose row is not above"]);
    let itself = [("a", &["a"][..])];
    assert_eq!(out_of_order(&itself), ["a uses a, whose row is not above"]);
    let unknown = [("a", &["z"][..])];
    assert_eq!(out_of_order(&unknown), ["a uses z, which is no room"]);
    // An item of the parent's own file is not a room.
    assert!(out_of_order(&[("a", &["Engine"][..])]).is_empty());
}

#[test]
fn the_checker_catches_breaches_between_sub_rooms() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "presence/aor.rs",
            "use crate::presence::call::CallState;",
            "aor must not use call",
        ),
        (
            "presence/aor.rs",
            "use super::call::CallState;",
            "aor must not use call",
        ),
        (
            "presence/call/leg.rs",
            "fn f() { super::super::document::read(); }",
            "call must not use document",
        ),
        (
            "presence/call/mod.rs",
            "use crate::presence::Composed;",
            "call must not use composition",
        ),
        (
            "presence/document/mod.rs",
            "use crate::presence::Engine;",
            "document must not use Engine",
        ),
        (
            "presence/call/leg.rs",
            "use super::super::Engine;",
            "call must not use Engine",
        ),
        ("presence/stray.rs", "", "stray has no row"),
        ("presence/stray/mod.rs", "", "stray has no row"),
        (
            "presence/document/xml/mod.rs",
            "use crate::presence::document::pidf::X;",
            "xml must not use pidf",
        ),
    ];
    for (file, text, expected) in cases {
        let breaches = check_sub_rooms(EXAMPLE, file, text, &example_re_exports);
        assert!(
            listed(&breaches).contains(expected),
            "{file}: {text}\ngave {breaches:?}"
        );
    }
}

#[test]
fn the_checker_accepts_what_sub_rooms_may_use() {
    let cases: &[(&str, &str)] = &[
        ("presence/mod.rs", "use crate::presence::document::View;"),
        (
            "presence/document/pidf.rs",
            "use crate::presence::Composed;",
        ),
        ("presence/document/pidf.rs", "use super::xml::Limits;"),
        ("presence/document/pidf.rs", "use super::super::call::X;"),
        ("presence/call/leg.rs", "use super::document::X;"),
        (
            "presence/call/leg.rs",
            "use crate::presence::call::CallState;",
        ),
        ("presence/composition/mod.rs", "use crate::presence::Owner;"),
        (
            "presence/call/mod.rs",
            "#[cfg(test)]\nmod tests {\nuse crate::presence::Composed;\n}",
        ),
        ("presence/call/tests.rs", "use crate::presence::Composed;"),
        ("presence/tests/call.rs", "use crate::presence::Composed;"),
        ("presence/call/mod.rs", "// crate::presence::document"),
        ("shard/mod.rs", "use crate::presence::document::View;"),
    ];
    for (file, text) in cases {
        assert_eq!(
            check_sub_rooms(EXAMPLE, file, text, &example_re_exports),
            [],
            "{file}: {text}"
        );
    }
}

#[test]
fn a_component_with_open_fields_is_caught() {
    let components = [
        ("shard/table.rs", "Table", "pub(super)"),
        ("shard/uas/mod.rs", "Uas", ""),
    ];
    let open = "pub(crate) struct Table<T> {\n    one: T,\n    pub(crate) other: T,\n}\n";
    let caught = check_components(&components, "shard/table.rs", open);
    assert_eq!(caught.len(), 1, "{caught:?}");
    assert_eq!(caught[0].line, 3);
    let within = "pub(crate) struct Table {\n    pub(super) one: u8,\n    publish_queue: u8,\n}\n";
    assert_eq!(check_components(&components, "shard/table.rs", within), []);
    let within = within.replace("Table", "Uas");
    let caught = check_components(&components, "shard/uas/mod.rs", &within);
    assert_eq!(caught.len(), 1, "{caught:?}");
    let missing = check_components(&components, "shard/uas/mod.rs", "struct Other {\n}\n");
    assert!(listed(&missing).contains("no struct Uas"), "{missing:?}");
}

#[test]
fn a_variant_away_from_home_is_caught() {
    let homes: &[(&str, &[&str])] = &[("Subject", &["shard/subject.rs"])];
    let text = "match self {\n    Subject::List(list) => 1,\n}\n";
    assert_eq!(check_variants(homes, "shard/subject.rs", text), []);
    let caught = check_variants(homes, "shard/notify.rs", text);
    assert_eq!(caught.len(), 1, "{caught:?}");
    assert_eq!(caught[0].line, 2);
    // A function of the type, another type, a comment and a test do not count.
    for text in [
        "Subject::from(list);",
        "ListSubject::List;",
        "// Subject::List",
        "#[cfg(test)]\nmod tests {\n    Subject::List;\n}\n",
    ] {
        assert_eq!(check_variants(homes, "shard/notify.rs", text), [], "{text}");
    }
}

#[test]
fn a_re_export_is_traced_to_its_child() {
    let text = "pub use aor::Aor;\npub(crate) use composition::verdict::Verdict as Outcome;\n\
                pub use self::call::CallDialog;\nuse crate::sip::Uri;\n";
    let traced = [
        ("Aor", "aor"),
        ("Outcome", "composition"),
        ("CallDialog", "call"),
    ];
    let traced = traced.map(|(item, child)| (item.to_owned(), child.to_owned()));
    assert_eq!(re_exports(text), BTreeMap::from(traced));
}

/// Tables for the tests of the checker.
const EXAMPLE: &[(&str, &[Row])] = &[
    (
        "presence",
        &[
            ("aor", &[]),
            ("call", &["aor"]),
            ("composition", &["call", "Owner"]),
            ("document", &["call", "composition"]),
        ],
    ),
    ("presence/document", &[("xml", &[]), ("pidf", &["xml"])]),
];

fn example_re_exports(parent: &str) -> BTreeMap<String, String> {
    let child = |item: &str, child: &str| (item.to_owned(), child.to_owned());
    match parent {
        "presence" => BTreeMap::from([child("Aor", "aor"), child("Composed", "composition")]),
        _ => BTreeMap::new(),
    }
}

#[test]
fn the_checker_catches_breaches() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "sip/uri.rs",
            "use crate::presence::Aor;",
            "sip must not use presence",
        ),
        (
            "presence/aor.rs",
            "use crate::sip::{\n    Status,\n    Uri,\n};",
            "presence must not use sip",
        ),
        (
            "presence/aor.rs",
            "fn f() { crate::sip::Status::OK; }",
            "presence must not use sip",
        ),
        (
            "shard/mod.rs",
            "use crate::net::Socket;",
            "shard must not use net",
        ),
        (
            "presence/call.rs",
            "use super::super::sip::Uri;",
            "presence must not use sip",
        ),
        (
            "net/udp.rs",
            "use crate::presence::Aor;",
            "net must not use presence",
        ),
        (
            "main.rs",
            "fn main() { lamplighter::runtime::run(); }",
            "main must not use runtime",
        ),
        (
            "http/mod.rs",
            "use crate::surprise::X;",
            "surprise is no room",
        ),
        (
            "sip/xml.rs",
            "use quick_xml::Reader;",
            "quick_xml is at home in presence/document",
        ),
        (
            "presence/xml.rs",
            "let r = quick_xml::Reader::new();",
            "quick_xml is at home in presence/document",
        ),
        (
            "shard/turn.rs",
            "use glommio::Task;",
            "glommio is at home in",
        ),
        (
            "config/mod.rs",
            "#[derive(clap::Parser)] struct A;",
            "clap is at home in cli",
        ),
        (
            "sip/message.rs",
            "use rsip::Request;",
            "rsip must not be used",
        ),
        (
            "shard/turn.rs",
            "let now = Instant::now();",
            "time is an argument",
        ),
        ("sip/uri.rs", "async fn f() {}", "synchronous"),
        (
            "presence/aor.rs",
            "static A: std::sync::Mutex<u8>;",
            "no locks",
        ),
        (
            "shard/turn.rs",
            "fn f() { println!(\"x\") }",
            "effects are data",
        ),
        ("shard/turn.rs", "unsafe { f() }", "unsafe belongs to net"),
        (
            "http/mod.rs",
            "use std::{fs, net::{IpAddr}};",
            "one module per use",
        ),
        ("http/mod.rs", "fn f() {}", "opens with what it is"),
        ("", "", "in a room"),
    ];
    for (file, text, expected) in cases {
        if file.is_empty() {
            let breaches = check("stray.rs", "//! A stray.\n");
            assert!(
                listed(&breaches).contains(expected),
                "a stray file: {breaches:?}"
            );
            continue;
        }
        let headed = if *expected == "opens with what it is" {
            text.to_string()
        } else {
            format!("//! A.\n{text}\n")
        };
        let breaches = check(file, &headed);
        assert!(
            listed(&breaches).contains(expected),
            "{file}: {text}\ngave {breaches:?}"
        );
    }
}

#[test]
fn the_checker_bounds_the_length_of_a_file() {
    let long = format!("//! A.\n{}", "fn f() {}\n".repeat(LINES_MAX));
    assert!(listed(&check("sip/uri.rs", &long)).contains("lines without its tests"));
    let tested = format!(
        "//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn f() {}\n".repeat(LINES_MAX)
    );
    assert_eq!(check("sip/uri.rs", &tested), []);
}

#[test]
fn the_checker_accepts_what_rooms_may_use() {
    let cases: &[(&str, &str)] = &[
        (
            "shard/mod.rs",
            "use crate::sip::Message;\nuse crate::presence::Aor;\nuse crate::shard::Flow;",
        ),
        (
            "presence/document/pidf.rs",
            "use quick_xml::Reader;\nuse super::xml::Limits;",
        ),
        (
            "sip/uri.rs",
            "// crate::shard is used, Instant::now() never\nlet a = \"use crate::shard::X; async\";",
        ),
        (
            "sip/uri.rs",
            "/* unsafe /* nested */ Mutex */ let c = '\"'; let life: &'static str = r#\"println!\"#;",
        ),
        (
            "sip/uri.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n let now = std::time::Instant::now();\n}",
        ),
        (
            "net/udp.rs",
            "#[allow(unsafe_code)]\nfn f() { unsafe { libc::close(3) }; }",
        ),
        ("main.rs", "fn main() { lamplighter::cli::main() }"),
        (
            "http/mod.rs",
            "let hyper = 3; let a = x.hyper::<u8>(); self::clap::f();",
        ),
    ];
    for (file, text) in cases {
        assert_eq!(
            check(file, &format!("//! A.\n{text}\n")),
            [],
            "{file}: {text}"
        );
    }
}

// --------------------------------------------------------------------------------------------------------------
// the checker

/// Every violation in one source file; `file` is its path below `src`.
fn check(file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut breach = |line: usize, what: String| {
        breaches.push(Breach {
            file: file.to_owned(),
            line,
            what,
        })
    };

    let room = room_of(file);
    let Some((_, uses)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        breach(0, format!("every file lives in a room, and {room} is none"));
        return breaches;
    };
    if !text.starts_with("//!") && !is_test_file(file) {
        breach(
            1,
            "a file opens with what it is, in a //! comment".to_owned(),
        );
    }
    let code = code_of(text);
    let untested = lines_without_tests(file, &code);
    if untested > LINES_MAX {
        breach(
            0,
            format!(
                "{untested} lines without its tests; split it by RFC noun or verb below {LINES_MAX}"
            ),
        );
    }
    for (index, line) in code.lines().enumerate() {
        let number = index + 1;
        for used in rooms_named(line) {
            if !ROOMS.iter().any(|(name, _)| *name == used) {
                // `crate::Something` would be an item of lib.rs, which has none.
                breach(number, format!("{used} is no room"));
            } else if used != room && !uses.contains(&used) {
                breach(
                    number,
                    format!("{room} must not use {used}; it may use {uses:?}"),
                );
            }
        }
        for (name, homes) in CRATE_HOMES {
            if names_crate(line, name) && !homes.iter().any(|home| is_below(file, home)) {
                breach(number, format!("{name} is at home in {}", homes.join(", ")));
            }
        }
        for (name, homes) in TYPE_HOMES {
            let is_named = index < untested && word_positions(line, name).next().is_some();
            if is_named && !homes.iter().any(|home| is_below(file, home)) {
                breach(number, format!("{name} is for {}", homes.join(" and ")));
            }
        }
        for name in BANNED_CRATES {
            if names_crate(line, name) {
                breach(number, format!("{name} must not be used in src"));
            }
        }
        for name in TEST_CRATES {
            if index < untested && names_crate(line, name) {
                breach(number, format!("{name} is for test modules"));
            }
        }
        if index < untested && PURE_ROOMS.contains(&room) {
            for (word, why) in IMPURITIES {
                if word_positions(line, word).next().is_some() {
                    breach(number, format!("{word} in a pure room: {why}"));
                }
            }
        }
        if room != UNSAFE_HOME && word_positions(line, "unsafe").next().is_some() {
            breach(number, format!("unsafe belongs to {UNSAFE_HOME}"));
        }
    }
    for (number, statement) in use_statements(&code) {
        if statement.contains('{') {
            breach(
                number,
                "one module per use: nested braces hide which room uses which".to_owned(),
            );
        }
    }
    breaches
}

/// Every violation of the order of the rooms inside a room; `re_exports` maps, for a parent, each
/// item that its `mod.rs` re-exports to the child that defines it.
fn check_sub_rooms(
    tables: &[(&str, &[Row])],
    file: &str,
    text: &str,
    re_exports: &dyn Fn(&str) -> BTreeMap<String, String>,
) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (parent, children) in tables {
        let Some(child) = child_of(file, parent).filter(|_| !is_test_file(file)) else {
            continue;
        };
        let mut breach = |line: usize, what: String| {
            breaches.push(Breach {
                file: file.to_owned(),
                line,
                what,
            })
        };
        let Some((_, uses)) = children.iter().find(|(name, _)| *name == child) else {
            breach(0, format!("{child} has no row below {parent} in SUB_ROOMS"));
            continue;
        };
        let code = code_of(text);
        let untested = lines_without_tests(file, &code);
        let re_exports = re_exports(parent);
        for (index, line) in code.lines().enumerate().take(untested) {
            for word in named_below(line, file, parent) {
                let used = re_exports.get(word).map_or(word, String::as_str);
                if used != child && !uses.contains(&used) {
                    breach(
                        index + 1,
                        format!("{child} must not use {used}; it may use {uses:?}"),
                    );
                }
            }
        }
    }
    breaches
}

/// Every field of a component with a wider visibility than its row in `components` permits.
fn check_components(components: &[(&str, &str, &str)], file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (_, name, widest) in components.iter().filter(|(home, ..)| *home == file) {
        let mut breach = |line: usize, what: String| {
            breaches.push(Breach {
                file: file.to_owned(),
                line,
                what,
            });
        };
        let code = code_of(text);
        let is_head = |line: &&str| {
            line.ends_with('{')
                && word_positions(line, "struct").next().is_some()
                && word_positions(line, name).next().is_some()
        };
        let Some(head) = code.lines().position(|line| is_head(&line)) else {
            breach(0, format!("no struct {name}, which COMPONENTS names"));
            continue;
        };
        let fields = code.lines().enumerate().skip(head + 1);
        for (index, field) in fields.take_while(|(_, line)| *line != "}") {
            let field = field.trim_start();
            let is_open = leading_word(field) == "pub";
            if is_open && (widest.is_empty() || !field.starts_with(widest)) {
                breach(
                    index + 1,
                    format!("a field of {name} is open to other rooms; give it a function"),
                );
            }
        }
    }
    breaches
}

/// Every line that names a variant of a type whose variants belong to other files.
fn check_variants(homes: &[(&str, &[&str])], file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let code = code_of(text);
    let untested = lines_without_tests(file, &code);
    for (name, files) in homes.iter().filter(|(_, files)| !files.contains(&file)) {
        for (index, line) in code.lines().enumerate().take(untested) {
            let names_variant = |position: usize| {
                let rest = line[position + name.len()..].strip_prefix("::");
                rest.is_some_and(|rest| rest.starts_with(char::is_uppercase))
            };
            if word_positions(line, name).any(names_variant) {
                breaches.push(Breach {
                    file: file.to_owned(),
                    line: index + 1,
                    what: format!(
                        "variants of {name} are matched only in {files:?}; add a method there"
                    ),
                });
            }
        }
    }
    breaches
}

/// The child of `parent` that contains a file: `document` for `presence/document/xml.rs`. None for
/// the parent's own file and for files outside the parent.
fn child_of<'a>(file: &'a str, parent: &str) -> Option<&'a str> {
    let below = file.strip_prefix(parent)?.strip_prefix('/')?;
    (below != "mod.rs").then(|| room_of(below))
}

/// The text without comments and literals, with one item per `use`.
fn code_of(text: &str) -> String {
    spread_uses(&blank_comments_and_literals(text))
}

/// Writes `use a::{B, C};` as `use a::B; use a::C;` on its first line; its other lines become
/// blank, so that line numbers do not change. A group within a group is left unchanged.
fn spread_uses(code: &str) -> String {
    let mut lines: Vec<String> = code.lines().map(str::to_owned).collect();
    for (number, statement) in use_statements(code) {
        let Some((path, rest)) = statement.split_once('{') else {
            continue;
        };
        let Some((names, "")) = rest.split_once('}') else {
            continue;
        };
        if names.contains('{') {
            continue;
        }
        let names = names.split(',').map(str::trim);
        let names = names.filter(|name| !name.is_empty());
        let spread: String = names.map(|name| format!("{path}{name}; ")).collect();
        let last = number - 1 + statement.matches('\n').count();
        lines[number - 1..=last].fill(String::new());
        lines[number - 1] = spread;
    }
    lines.join("\n")
}

/// The items directly below `parent` that a line names: by the full path, or with `super::`.
fn named_below<'a>(line: &'a str, file: &str, parent: &str) -> Vec<&'a str> {
    let path = format!("crate::{}", parent.replace('/', "::"));
    let by_path = word_positions(line, &path).map(|position| &line[position + path.len()..]);
    let climb = "super::".repeat(module_depth(file) - parent.split('/').count());
    let is_whole = |position: &usize| !line[..*position].ends_with("::");
    let by_climb = word_positions(line, climb.trim_end_matches("::"))
        .filter(is_whole)
        .map(|position| &line[position + climb.len() - "::".len()..])
        .collect::<Vec<_>>();
    by_path
        .chain(by_climb)
        .filter_map(|rest| rest.strip_prefix("::"))
        .map(leading_word)
        .filter(|word| !word.is_empty() && *word != "super")
        .collect()
}

/// The depth of a file's module: 2 for `presence/aor.rs` and `presence/document/mod.rs`.
fn module_depth(file: &str) -> usize {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    module.split('/').count()
}

/// The items that a module re-exports from its children: item to child.
fn re_exports(text: &str) -> BTreeMap<String, String> {
    let code = code_of(text);
    let statements = use_statements(&code).into_iter();
    statements
        .filter_map(|(_, statement)| {
            let (_, path) = statement.split_once("use ")?;
            let path = path.trim().trim_start_matches("self::");
            let (child, _) = path.split_once("::")?;
            let item = path.rsplit([':', ' ']).next()?;
            let is_elsewhere = ["crate", "super", "std"].contains(&child);
            (!is_elsewhere).then(|| (item.to_owned(), child.to_owned()))
        })
        .collect()
}

/// The text of a room's own file: `mod.rs`, or the file with its name.
fn text_of_room(root: &Path, room: &str) -> String {
    let folder = root.join(room).join("mod.rs");
    fs::read_to_string(&folder)
        .or_else(|_| fs::read_to_string(root.join(format!("{room}.rs"))))
        .unwrap_or_else(|_| panic!("{room} in SUB_ROOMS has no mod.rs"))
}

/// The rows of a table that name a room whose row is not above them.
fn out_of_order(table: &[Row]) -> Vec<String> {
    let place = |room: &str| table.iter().position(|(name, _)| *name == room);
    let mut wrong = Vec::new();
    for (index, (room, uses)) in table.iter().enumerate() {
        for used in *uses {
            let is_item = used.starts_with(char::is_uppercase);
            match place(used) {
                Some(above) if above >= index => {
                    wrong.push(format!("{room} uses {used}, whose row is not above"));
                }
                None if !is_item => wrong.push(format!("{room} uses {used}, which is no room")),
                _ => {}
            }
        }
    }
    wrong
}

/// `sip/uri.rs` is in `sip`, `main.rs` is in `main`.
fn room_of(file: &str) -> &str {
    file.split_once('/')
        .map_or_else(|| file.trim_end_matches(".rs"), |(room, _)| room)
}

/// Returns whether a file is the given one (`main` for `main.rs`, `sip/digest` for `sip/digest.rs`)
/// or lies below it.
fn is_below(file: &str, home: &str) -> bool {
    file.strip_prefix(home)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The rooms that a line names as `crate::room`, `lamplighter::room` or with `super::`.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for prefix in ["crate", "lamplighter"] {
        for position in word_positions(line, prefix) {
            let rest = &line[position + prefix.len()..];
            rooms.extend(rest.strip_prefix("::").map(leading_word));
        }
    }
    for position in word_positions(line, "super") {
        let rest = line[position + "super".len()..]
            .strip_prefix("::")
            .map(leading_word);
        // No child has the name of a room, so a room's name after `super` refers to the room.
        rooms.extend(rest.filter(|word| ROOMS.iter().any(|(room, _)| room == word)));
    }
    rooms.retain(|word| !word.is_empty());
    rooms
}

/// Returns whether a line names a crate: at the start of a path, or as the whole of a `use`.
fn names_crate(line: &str, name: &str) -> bool {
    word_positions(line, name).any(|position| {
        let before = &line[..position];
        let after = &line[position + name.len()..];
        let starts_path = !before.ends_with("::") || before.trim_start() == "::";
        let is_method = before.ends_with('.');
        let is_use =
            before.trim_end().ends_with("use") || before.trim_end().ends_with("extern crate");
        starts_path && !is_method && (after.starts_with("::") || is_use)
    })
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn leading_word(text: &str) -> &str {
    let end = text
        .find(|character| !is_word_character(character))
        .unwrap_or(text.len());
    &text[..end]
}

/// The positions of `word` in `line` where no letter, digit or underscore is next to it.
fn word_positions<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    line.match_indices(word)
        .map(|(position, _)| position)
        .filter(move |position| {
            let before = line[..*position].chars().next_back();
            let after = line[position + word.len()..].chars().next();
            !before.is_some_and(is_word_character) && !after.is_some_and(is_word_character)
        })
}

/// A test module in its own file.
fn is_test_file(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

/// The number of lines before the test module; 0 for a file that is itself a test module.
fn lines_without_tests(file: &str, code: &str) -> usize {
    if is_test_file(file) {
        return 0;
    }
    let lines: Vec<&str> = code.lines().collect();
    let start = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]"
            && (pair[1].contains("mod ") || pair[1].trim_start().starts_with("#["))
    });
    start.unwrap_or(lines.len())
}

/// Every `use` statement with the number of its first line.
fn use_statements(code: &str) -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    let mut start = 0;
    for (index, line) in code.lines().enumerate() {
        let mut at = start;
        // There may be several on one line, see `spread_uses`.
        for piece in line.split_inclusive(';') {
            if is_use(piece) {
                let statement = code[at..].split(';').next().unwrap_or_default();
                statements.push((index + 1, statement.trim_start().to_owned()));
            }
            at += piece.len();
        }
        start += line.len() + 1;
    }
    statements
}

/// Returns whether a `use` begins here, with any visibility.
fn is_use(piece: &str) -> bool {
    let bare = piece.trim_start();
    let bare = bare.strip_prefix("pub").map_or(bare, |rest| {
        rest.trim_start_matches("(crate)")
            .trim_start_matches("(super)")
            .trim_start()
    });
    bare.starts_with("use ")
}

/// The keys of `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let entries = section
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    entries
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn listed(breaches: &[Breach]) -> String {
    breaches
        .iter()
        .map(|breach| format!("{breach}\n"))
        .collect()
}

/// Replaces comments and the contents of string and character literals by spaces; line numbers do
/// not change.
fn blank_comments_and_literals(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skipped_until(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
        } else {
            code.extend(
                characters[at..end]
                    .iter()
                    .map(|character| if *character == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    code
}

/// The end of the comment or literal that starts at `at`; `at` itself if none starts there.
fn skipped_until(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied().unwrap_or_default();
    let in_word = at > 0 && is_word_character(text[at - 1]);
    match text[at] {
        '/' if next == '/' => line_end(text, at),
        '/' if next == '*' => block_comment_end(text, at),
        '"' => string_end(text, at + 1),
        'r' if !in_word || text[at - 1] == 'b' => raw_string_end(text, at).unwrap_or(at),
        '\'' => character_end(text, at).unwrap_or(at),
        _ => at,
    }
}

fn line_end(text: &[char], at: usize) -> usize {
    text[at..]
        .iter()
        .position(|character| *character == '\n')
        .map_or(text.len(), |length| at + length)
}

fn block_comment_end(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// `r"..."`, `r#"..."#`.
fn raw_string_end(text: &[char], at: usize) -> Option<usize> {
    let hashes = text[at + 1..]
        .iter()
        .take_while(|character| **character == '#')
        .count();
    let open = at + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let closes = |from: usize| {
        text[from] == '"'
            && text[from + 1..]
                .iter()
                .take(hashes)
                .filter(|character| **character == '#')
                .count()
                == hashes
    };
    let close = (open + 1..text.len()).find(|from| closes(*from));
    Some(close.map_or(text.len(), |close| close + 1 + hashes))
}

/// `'x'`, `'\n'`, `'\u{1F4A1}'`; None for a lifetime.
fn character_end(text: &[char], at: usize) -> Option<usize> {
    if text.get(at + 1) == Some(&'\\') {
        let close = text[at + 3..]
            .iter()
            .take(8)
            .position(|character| *character == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (text.get(at + 2) == Some(&'\'')).then_some(at + 3)
}
