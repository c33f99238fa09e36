//! The configuration from the outside: what is accepted or rejected, with which messages.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::directory::AuthMode;
use crate::presence::Aor;
use crate::shard::{Durability, Options};
use crate::sip::Transport;

mod accounts;
mod connectors;
mod faults;
mod managed;
mod peer_systems;
mod profiles;
mod relays;
mod tenants;

fn aor(key: &str) -> Aor {
    Aor::from_key(key).unwrap()
}

fn source(text: &str) -> Source {
    Source {
        name: "lamplighter.toml".to_owned(),
        text: text.to_owned(),
    }
}

fn machine(cpus: &[usize]) -> Machine {
    Machine {
        cpus: cpus.to_vec(),
    }
}

fn plan(text: &str) -> Plan {
    load_from(&source(text), &machine(&[0, 1, 2, 3]))
        .unwrap()
        .plan
}

fn complaints(text: &str) -> Vec<String> {
    let complaints = load_from(&source(text), &machine(&[0, 1])).unwrap_err();
    complaints.to_string().lines().map(str::to_owned).collect()
}

/// Asserts that exactly these errors are reported, by line and message prefix.
fn complains(text: &str, expected: &[(u32, &str)]) {
    let found = complaints(text);
    for (line, what) in expected {
        let start = format!("lamplighter.toml:{line}: {what}");
        assert!(
            found.iter().any(|text| text.starts_with(&start)),
            "{start}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn the_shipped_file_gives_the_defaults() {
    let shipped = Config::parse(&source(DEFAULT_FILE)).unwrap();
    assert_eq!(shipped, Config::default());
    assert_eq!(Config::parse(&source("")).unwrap(), Config::default());
}

/// An empty file gives the shard's own defaults.
#[test]
fn the_defaults_equal_those_of_the_shard() {
    let options = plan("").options;
    let own = Options::new(options.id, options.shards, options.epoch, options.key);
    let own = Options {
        advertise: vec![None, None],
        epoch_unix: options.epoch_unix,
        ..own
    };
    assert_eq!(format!("{options:?}"), format!("{own:?}"));
}

#[test]
fn the_shipped_file_explains_every_key() {
    for (table, keys) in schema::TABLES {
        assert!(DEFAULT_FILE.contains(table), "{table}");
        for key in *keys {
            let explained = [
                format!("\n{key} = "),
                format!("\n# {key} = "),
                format!("\n# # {key} = "),
                format!("[[sip.{key}]]"),
            ];
            let mut explained = explained.iter();
            assert!(
                explained.any(|text| DEFAULT_FILE.contains(text)),
                "{key} of {table}"
            );
        }
    }
}

/// The comment above each header says whether a reload or restart is needed.
#[test]
fn the_shipped_file_says_what_a_reload_applies() {
    let default = Config::default();
    for (table, _) in schema::TABLES {
        let (above, _) = DEFAULT_FILE.split_once(&format!("{table}\n")).unwrap();
        let above = above.trim_end_matches(['#', ' ', '\n']);
        let word = above.lines().next_back().unwrap();
        let is_of_sockets = ["[[sip.listen]]", "[[https]]"].contains(table);
        let is_table_of_many = table.starts_with("[[") && !is_of_sockets;
        let is_applied = is_table_of_many || ["[accounts]", "[dial]"].contains(table);
        let expected = match is_applied {
            true => "# A change is applied by a reload.",
            false => "# A change needs a restart.",
        };
        assert_eq!(word, expected, "{table}");
    }
    let changed = Config::parse(&source(
        "[[domain]]\nname = \"a\"\n[[profile]]\nname = \"poly\"\n",
    ));
    assert!(default.needs_restart(&changed.unwrap()).is_empty());
}

/// The examples in comments are valid too: uncommented, they are a working file, but for the names in
/// certificates, which need a listener with files.
#[test]
fn the_examples_of_the_shipped_file_work() {
    let start = DEFAULT_FILE.find("# [[domain]]").unwrap();
    let keys: String = DEFAULT_FILE[start..]
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| !line.starts_with('#') && (line.contains(" = ") || line.starts_with("[[")))
        .filter(|line| !line.starts_with("trusted_certificates"))
        .map(|line| format!("{line}\n"))
        .collect();
    let plan = plan(&keys);
    let domain = plan.directory.domain("192.0.2.1").unwrap();
    assert_eq!(domain.name, "abc.com");
    assert!(plan.directory.account("123@abc.com").is_some());
    let team = plan.directory.list(&aor("team@abc.com")).unwrap();
    assert_eq!(team.members.len(), 2);
    assert_eq!(
        plan.directory.profile(b"yealink sip-t46u").name,
        "lobby".into()
    );
    assert_eq!(
        plan.directory.deciding_rule("abc.com", 1).to_string(),
        "policy 1: same-domain watches * (dialog): allow, privacy 2"
    );
}

const LAB_NOTE: &str = "lamplighter.toml:34: domain \"lab\" does not authenticate anyone (auth = \"none\"): use this in a lab only";

#[test]
fn an_operators_file_is_converted() {
    let plan = plan(
        r#"
        [node]
        name = "edge-1"
        data_dir = "/tmp/edge"
        [cores]
        shards = [0, 2]
        http = 3
        [[sip.listen]]
        transport = "udp"
        address = "0.0.0.0:5062"
        advertise = "sip.example.com"
        [[sip.listen]]
        transport = "tcp"
        address = "127.0.0.1:5062"
        [http]
        listen = ["0.0.0.0:8081", "[::1]:8081"]
        allow_insecure = true
        [limits]
        body = "32 KiB"
        probation = 5
        [notify]
        rate = 0
        burst = 7
        [auth]
        nonce_life = "5min"
        [[domain]]
        name = "ABC.com."
        aliases = ["192.0.2.1", "::1"]
        trusted = ["10.0.0.0/8", "192.0.2.77"]
        max_call_duration = "30min"
        max_expires = 600
        sha256 = true
        [[domain]]
        name = "lab"
        auth = "none"
        open = true
        [[account]]
        user = "123"
        domain = "192.0.2.1"
        password = "secret"
        [[account]]
        user = "pbx"
        domain = "abc.com"
        password = "secret"
        feeder = true
        "#,
    );
    assert_eq!(
        (plan.name.as_str(), plan.shards.as_slice(), plan.http_cpu),
        ("edge-1", &[0, 2][..], 3)
    );
    assert_eq!(plan.control_socket, PathBuf::from("/tmp/edge/control.sock"));
    assert_eq!(plan.listeners[0].transport, Transport::Udp);
    assert_eq!(
        plan.listeners[0].advertise,
        Some("sip.example.com".to_owned())
    );
    assert_eq!(
        plan.listeners[1].address,
        "127.0.0.1:5062".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(plan.http_listeners.len(), 2);
    assert_eq!(
        (plan.options.shards, plan.options.body_octets_max),
        (2, 32 << 10)
    );
    assert_eq!(
        (
            plan.options.notify_rate_per_phone,
            plan.options.notify_burst_per_phone
        ),
        (0, 7)
    );
    assert_eq!(plan.options.probation, Duration::from_secs(5));
    assert_eq!(plan.options.nonce_life, Duration::from_secs(300));
    let domain = plan.directory.domain("[::1]").unwrap();
    assert_eq!(
        (domain.name.as_str(), domain.auth, domain.sha256),
        ("abc.com", AuthMode::Digest, true)
    );
    let trusts = |address: &str| domain.trusts(address.parse::<IpAddr>().unwrap());
    assert!(trusts("10.1.2.3") && trusts("192.0.2.77"));
    assert!(!trusts("192.0.2.78"));
    assert_eq!(domain.max_call_duration, Duration::from_secs(1800));
    assert_eq!(
        (domain.min_expires, domain.max_expires),
        (Duration::from_secs(60), Duration::from_secs(600))
    );
    assert_eq!(domain.min_publish_expires, Duration::from_secs(1));
    assert!(!plan.directory.account("123@abc.com").unwrap().is_feeder);
    assert!(plan.directory.account("pbx@abc.com").unwrap().is_feeder);
    assert!(plan.notes.iter().any(|note| note == LAB_NOTE));
}

#[test]
fn cpus_are_shared_out_by_default() {
    let cpus = |text: &str, allowed: &[usize]| {
        let plan = load_from(&source(text), &machine(allowed)).unwrap().plan;
        (plan.shards, plan.http_cpu)
    };
    assert_eq!(cpus("", &[0, 1, 2, 3]), (vec![0, 1, 2], 3));
    assert_eq!(cpus("", &[5]), (vec![5], 5));
    assert_eq!(cpus("[cores]\nhttp = 0", &[0, 1, 2]), (vec![1, 2], 0));
    assert_eq!(cpus("[cores]\nshards = [1]", &[0, 1]), (vec![1], 0));
    assert_eq!(cpus("[cores]\nshards = [0, 1]", &[0, 1]), (vec![0, 1], 1));
    assert_eq!(
        cpus("[cores]\nshards = [0]\nhttp = 0", &[0, 1]),
        (vec![0], 0)
    );
}

#[test]
fn a_store_needs_a_directory() {
    let stored = |text: &str| {
        let plan = plan(text);
        (plan.store, plan.options.durability)
    };
    assert_eq!(stored(""), (None, Durability::None));
    assert_eq!(
        stored("[store]\ndurability = \"relaxed\""),
        (None, Durability::None)
    );
    let directory = "[store]\ndirectory = \"/srv/state\"\n";
    let nothing = format!("{directory}durability = \"none\"");
    assert_eq!(stored(&nothing), (None, Durability::None));
    let expected = StorePlan {
        directory: "/srv/state".into(),
        domains: "/var/lib/lamplighter/domains.toml".into(),
        refuses_on_failure: false,
        octets_max: None,
        history: Some(HistoryPlan {
            age_max: Duration::from_secs(30 * 86_400),
            octets_max: None,
        }),
    };
    assert_eq!(
        stored(directory),
        (Some(expected.clone()), Durability::Synced)
    );
    let refusing = "durability = \"relaxed\"\non_store_failure = \"refuse\"\nsize = \"1 GiB\"";
    let expected = StorePlan {
        refuses_on_failure: true,
        octets_max: Some(1 << 30),
        ..expected
    };
    assert_eq!(
        stored(&format!("{directory}{refusing}")),
        (Some(expected), Durability::Relaxed)
    );
    let changed = Config::parse(&source(directory)).unwrap();
    assert_eq!(Config::default().needs_restart(&changed), ["[store]"]);
}

#[test]
fn history_is_kept_as_long_as_the_file_says() {
    let directory = "[store]\ndirectory = \"/srv/state\"\n";
    let history = |text: &str| plan(&format!("{directory}{text}")).store.unwrap().history;
    assert_eq!(history("[history]\nenabled = false"), None);
    let expected = HistoryPlan {
        age_max: Duration::from_secs(3 * 86_400),
        octets_max: Some(64 << 20),
    };
    let limits = "[history]\nretention = \"3d\"\nsize = \"64 MiB\"\n";
    assert_eq!(history(limits), Some(expected));
    let domain =
        "[[domain]]\nname = \"abc.com\"\nhistory_retention = \"90d\"\nhistory_size = \"1 GiB\"";
    let plan = plan(&format!("{limits}{domain}"));
    assert_eq!(plan.store, None, "without a store there is no history");
    let domain = plan.directory.domain("abc.com").unwrap();
    assert_eq!(
        (domain.history_age_max, domain.history_octets_max),
        (Some(Duration::from_secs(90 * 86_400)), Some(1 << 30))
    );
    let changed = Config::parse(&source(limits)).unwrap();
    assert_eq!(Config::default().needs_restart(&changed), ["[history]"]);
}

#[test]
fn the_control_socket_follows_the_data_directory() {
    let socket = |text: &str| Config::parse(&source(text)).unwrap().control_socket();
    assert_eq!(socket(""), PathBuf::from("/run/lamplighter/control.sock"));
    assert_eq!(
        socket("[node]\ndata_dir = \"/srv/x\""),
        PathBuf::from("/srv/x/control.sock")
    );
    assert_eq!(
        socket("[http]\ncontrol_socket = \"/tmp/y\""),
        PathBuf::from("/tmp/y")
    );
    let relative = Source {
        name: "/srv/conf/lamplighter.toml".to_owned(),
        text: "[node]\ndata_dir = \"data\"\n".to_owned(),
    };
    assert_eq!(
        Config::parse(&relative).unwrap().control_socket(),
        PathBuf::from("/srv/conf/data/control.sock")
    );
}

#[test]
fn a_misspelt_key_has_a_line_and_a_suggestion() {
    assert_eq!(
        complaints("[node]\n\nnmae = \"x\"\n"),
        ["lamplighter.toml:3: unknown key \"nmae\"; did you mean \"name\"?"]
    );
    assert_eq!(
        complaints("[[domain]]\nname = \"a\"\nmax-expires = 500\n"),
        ["lamplighter.toml:3: unknown key \"max-expires\"; did you mean \"max_expires\"?"]
    );
    assert_eq!(
        complaints("[nodes]\n"),
        ["lamplighter.toml:1: unknown key \"nodes\"; did you mean \"node\"?"]
    );
    assert_eq!(
        complaints("[[domain]]\nname = \"a\"\nauth = \"digset\"\n"),
        ["lamplighter.toml:3: unknown value \"digset\"; did you mean \"digest\"?"]
    );
}

#[test]
fn all_faults_are_reported_at_once() {
    let found = complaints(
        r#"[cores]
shards = [0, 0, 64]
[[sip.listen]]
transport = "udp"
address = "everywhere"
[http]
listen = ["127.0.0.1:80", "127.0.0.1:80"]
[limits]
subscriptions = 0
[[domain]]
name = "abc.com"
aliases = ["ABC.com", "sip:x@y"]
trusted = ["10.0.0.0/99"]
min_expires = 600
max_expires = 60
[[domain]]
name = "closed"
auth = "trusted"
[[account]]
user = "1"
domain = "abc.con"
password = "x"
[[account]]
user = "2"
domain = "abc.com"
password = ""
[[account]]
user = "2"
domain = "abc.com"
password = "y"
"#,
    );
    let expected = [
        (2, "CPU 0 is assigned to two shards"),
        (2, "this process may not run on CPU 64; choose from: 0, 1"),
        (5, "\"everywhere\" is not a listen address"),
        (7, "tcp 127.0.0.1:80 is configured twice"),
        (9, "subscriptions is 0; choose a value from 1"),
        (12, "\"abc.com\" is already taken (line 11)"),
        (12, "\"sip:x@y\" is not a domain name"),
        (
            13,
            "\"10.0.0.0/99\" is neither an IP network nor an IP address",
        ),
        (15, "max_expires (1m) is less than min_expires (10m)"),
        (18, "accepts only trusted peers"),
        (21, "which does not exist; did you mean \"abc.com\"?"),
        (26, "the password of \"2\" is empty"),
        (28, "the account \"2@abc.com\" is defined twice"),
    ];
    for (line, what) in expected {
        let place = format!("lamplighter.toml:{line}: ");
        assert!(
            found
                .iter()
                .any(|text| text.starts_with(&place) && text.contains(what)),
            "{line} {what}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn all_shards_together_can_number_their_subscriptions() {
    let text = |subscriptions: usize| {
        format!("[cores]\nshards = [0, 1]\n[limits]\nsubscriptions = {subscriptions}\n")
    };
    assert_eq!(
        complaints(&text(1_073_741_824)),
        [
            "lamplighter.toml:4: subscriptions is 1073741824, which is too many for 2 shards; choose at \
          most 1073741823, or fewer shards"
        ]
    );
    let highest = source(&text(1_073_741_823));
    let loaded = load_from(&highest, &machine(&[0, 1])).unwrap();
    assert_eq!(loaded.plan.options.subscriptions_max, 1_073_741_823);
}

#[test]
fn advertise_is_a_host_with_or_without_a_port() {
    let advertised = |text: &str| {
        let listen = "[[sip.listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0:5060\"\n";
        let source = source(&format!("{listen}advertise = \"{text}\"\n"));
        let loaded = load_from(&source, &machine(&[0])).ok()?;
        loaded.plan.options.advertise[0].clone()
    };
    for good in [
        "192.0.2.1",
        "192.0.2.1:5080",
        "[2001:db8::1]:5080",
        "sip.example.com",
        "sbc:5060",
    ] {
        assert_eq!(advertised(good).as_deref(), Some(good));
    }
    assert_eq!(advertised("2001:db8::1").as_deref(), Some("[2001:db8::1]"));
    for bad in [
        "0.0.0.0",
        "0.0.0.0:5060",
        "192.0.2.1:99999",
        "192.0.2.1:0",
        "sip:a@b",
        "two words",
        "",
    ] {
        assert_eq!(advertised(bad), None, "{bad}");
    }
}

#[test]
fn no_listener_is_a_fault_and_no_domain_a_note() {
    assert!(complaints("[sip]\nlisten = []\n")[0].contains("there is no [[sip.listen]]"));
    assert!(plan("").notes[0].contains("there is no [[domain]]"));
}

#[test]
fn a_password_is_never_shown() {
    let text = "[[domain]]\nname = \"a\"\n[[account]]\nuser = \"1\"\ndomain = \"a\"\npassword = \"hunter2\"\n";
    let config = Config::parse(&source(text)).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let account = "[[domain]]\nname = \"a\"\n[[account]]\nuser = \"1\"\ndomain = \"a\"\n";
    for password in [
        "password = 271828",
        "password = [271828]",
        "password = x271828",
        "pasword = 271828",
    ] {
        let found = complaints(&format!("{account}{password}\n"));
        assert!(
            found
                .iter()
                .all(|text| text.contains(":6: ") && !text.contains("271828")),
            "{found:#?}"
        );
    }
}

#[test]
fn the_shield_is_converted_and_checked() {
    let shield = plan(
        "[shield]\nphone_rate = 5\nphone_burst = 50\nexempt = [\"10.0.0.9\"]\n\
         refusal_life = 0\nexpires_jitter = 0\nloop_rate = 0\n",
    );
    let shield = shield.options.overload;
    assert_eq!((shield.phone.per_second, shield.phone.burst), (5, 50));
    assert_eq!(shield.exempt, ["10.0.0.9/32".parse().unwrap()]);
    assert!(shield.refusal_life.is_zero());
    let faults = complaints(
        "[shield]\nphone_burst = 0\nexempt = [\"sbc\"]\nbuckets = 5\n\
         expires_jitter = 90\ncool_down = \"1d\"\n",
    );
    for (key, fault) in [
        ("phone_burst is 0", 2),
        ("\"sbc\" is neither an IP network nor an IP address", 3),
        ("buckets is 5", 4),
        ("expires_jitter is 90", 5),
        ("cool_down is 1day", 6),
    ] {
        let place = format!("lamplighter.toml:{fault}: {key}");
        assert!(
            faults.iter().any(|line| line.starts_with(&place)),
            "{place}: {faults:#?}"
        );
    }
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let old = Config::default();
    let new = Config::parse(&source(
        "[notify]\nrate = 3\n[[domain]]\nname = \"a\"\n[http]\nlisten = []\n",
    ))
    .unwrap();
    assert_eq!(old.needs_restart(&new), ["[http]", "[notify]"]);
    assert!(
        old.needs_restart(&Config::parse(&source("[[domain]]\nname = \"a\"\n")).unwrap())
            .is_empty()
    );
}

#[test]
fn a_missing_file_is_reported() {
    let complaints = load(Path::new("/nonexistent/lamplighter.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        complaints.starts_with("/nonexistent/lamplighter.toml: cannot be read"),
        "{complaints}"
    );
}
