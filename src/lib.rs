//! Lamplighter: a SIP presence and busy-lamp-field server.
//!
//! # Rooms
//! ```text
//! sip ◄────────┐
//! presence ◄───┼── directory ◄── shard ◄── net | http ◄── runtime ◄── cli ◄── main
//! telemetry ◄──┤                     config ─► the options each room owns
//! trace ◄──────┘
//! ```
//! - [`sip`]: bytes. A zero-copy message view, emitting, transactions, dialogs, digest. No clock,
//!   no socket, no XML.
//! - [`presence`]: the domain. Contributions, composition, publication, documents. No SIP message
//!   type.
//! - [`record`]: durable records of dialogs and presentities, as octets.
//! - [`directory`]: what the configuration says of domains, accounts, lists, rules and profiles.
//! - [`shard`]: the engine, where they meet: synchronous, single-owner, deterministic.
//! - `background`: the threads of `connect` and `relay`, and their way to the shards.
//! - `connect`: PBXs that tell of their users by a protocol of their own.
//! - `changes`: changes of composed state on their way from the shards to `http` and `relay`.
//! - `relay`: composed states go out to other systems.
//! - `trace`: copies of messages for an operator who watches them. No socket, no clock.
//! - `net`, `tls`, `dns`, `http`, `config`, `telemetry`, `runtime`, `cli`: everything that touches a socket, a
//!   file or a clock (feature `server`).
//!
//! # Words
//! - *address of record*: the name of a presentity, `user@domain`.
//! - *appearance*: one key of a shared line.
//! - *claim*: the right of one phone to seize an appearance.
//! - *command*: what the operator's side asks of a shard, by HTTP or the control socket.
//! - *composed state*: what all contributions to a presentity add up to.
//! - *compositor*: the part of the owner's shard that keeps contributions (RFC 3903 §2).
//! - *contribution*: what one source says of a presentity, until it expires.
//! - *decision*: whether a watcher may subscribe, and how much of a call it is shown.
//! - *dialog*: Call-ID and two tags; one or more subscriptions share it (RFC 3261 §12).
//! - *domain*: a tenant: its accounts, lists and rules.
//! - *feeder*: an account or address that may speak for every user of its domain.
//! - *flow*: a UDP 4-tuple or one stream (RFC 5626).
//! - *history*: past changes of composed states, for the operator.
//! - *lamp*: what a key of a phone shows of another user.
//! - *loop-back*: mail of a shard to itself.
//! - *mail*: a message between shards.
//! - *owner*: the shard that keeps a presentity, found by hashing its address of record.
//! - *package*: what a subscription is about: `dialog`, `presence`, ... (RFC 6665 §7.2).
//! - *path*: a flow and the address that NOTIFYs are sent to on it; *proven* once the phone answered.
//! - *presentity*: a user, line or mailbox that is watched (RFC 2778).
//! - *probe*: a test of another SIP server, to which we subscribe or publish for a minute.
//! - *profile*: what phones of one kind understand.
//! - *refusal*: a final response other than 2xx, with its reason.
//! - *resource*: a member of a list, as a subscription to the list sees it (RFC 4662).
//! - *shard*: one core's engine, with its share of subscriptions and presentities.
//! - *turn*: one input or timeout of a shard, with its effects.
//! - *watcher*: the user behind a subscription (RFC 2778).
//!
//! `W:A1.13` in a comment names a rule of `tests/conformance/RULES.md`.

// `println!` and `eprintln!` panic when the reader of a pipe has exited; `cli::output` does not.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod directory;
pub mod presence;
pub mod record;
pub mod shard;
pub mod sip;

#[cfg(feature = "server")]
pub mod background;
#[cfg(feature = "server")]
pub mod changes;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod connect;
#[cfg(feature = "server")]
pub mod dns;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod net;
#[cfg(feature = "server")]
pub mod password;
#[cfg(feature = "server")]
pub mod relay;
#[cfg(feature = "server")]
pub mod runtime;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod tls;
#[cfg(feature = "server")]
pub mod trace;
