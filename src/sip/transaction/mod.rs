//! Non-INVITE transactions (RFC 3261 §17.1.2, §17.2.2, RFC 4320).

pub mod client;
mod identity;
mod index;
mod ring;
pub mod server;

use std::time::Duration;

/// RTT estimate.
pub const T1: Duration = Duration::from_millis(500);
/// Maximum interval between retransmissions of a non-INVITE request.
pub const T2: Duration = Duration::from_secs(4);
/// Maximum time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// Timers F and J: the lifetime of a non-INVITE transaction.
pub const TIMER_F: Duration = Duration::from_secs(32);
