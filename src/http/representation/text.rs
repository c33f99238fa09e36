//! What the texts for a terminal have in common.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sip::Transport;

/// The request header with the columns of the client's terminal. Without it, the client writes to a pipe or
/// a file, and no cell is cut.
pub(crate) const COLUMNS_HEADER: &str = "columns";

/// Removes terminal control sequences: much of the output comes from peers.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// A time span in its two largest units: `2m 57s`, `1day 2h`.
pub(super) fn span(duration: Duration) -> String {
    let whole = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    let units: Vec<&str> = whole.split(' ').take(2).collect();
    units.join(" ")
}

/// `udp 10.0.0.7:5060`
pub(super) fn address(transport: Transport, peer: SocketAddr) -> String {
    format!("{} {peer}", transport.name())
}

/// Appends which shards are missing from a response.
pub(super) fn write_silent(silent: &[u16], text: &mut String) {
    for shard in silent {
        text.push_str(&format!("Shard {shard} does not respond.\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_peers_are_masked() {
        assert_eq!(visible("sip:\u{1b}[2Jx\n@h"), "sip:\u{fffd}[2Jx\u{fffd}@h");
    }
}
