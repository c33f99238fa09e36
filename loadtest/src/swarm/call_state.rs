//! Call states by HTTP: `GET /call_state.htm` over a few kept connections, one request at a time on
//! each.

use std::collections::VecDeque;
use std::time::Instant;

use crate::net::ports::Outbox;
use crate::wire::message::number;

/// One change: that presentity is in a call, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) presentity: u32,
    pub(crate) busy: bool,
    /// When it should have been told.
    pub(crate) scheduled: Instant,
}

/// The connections, and what waits for one.
#[derive(Debug, Default)]
pub(crate) struct Feeder {
    host: String,
    domain: String,
    password: String,
    /// Each connection's port number and what it waits for.
    links: Vec<(u32, Option<Change>)>,
    waiting: VecDeque<(Change, String)>,
}

impl Feeder {
    /// A feeder that speaks over those connections; without any it is never used.
    pub(crate) fn new(host: &str, domain: &str, password: &str, links: &[u32]) -> Self {
        Self {
            host: host.to_owned(),
            domain: escape(domain),
            password: escape(password),
            links: links.iter().map(|&port| (port, None)).collect(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether nothing waits for an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.links.iter().all(|(_, change)| change.is_none())
    }

    /// Sends a change, as soon as a connection is free.
    pub(crate) fn send(&mut self, change: Change, user: &str, outbox: &mut Outbox) {
        self.waiting.push_back((change, escape(user)));
        self.fill(outbox);
    }

    /// Takes an answer; returns the change it belongs to and the status.
    pub(crate) fn handle(
        &mut self,
        port: u32,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) -> Option<(Change, u16)> {
        let change = self
            .links
            .iter_mut()
            .find(|(link, _)| *link == port)?
            .1
            .take()?;
        self.fill(outbox);
        let status = bytes
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| number(rest.get(..3)?));
        Some((change, status.unwrap_or(0) as u16))
    }

    /// Gives up on everything that waits; returns how much that was.
    pub(crate) fn abandon(&mut self) -> u64 {
        let waiting = self.waiting.drain(..).count();
        let sent = self
            .links
            .iter_mut()
            .filter_map(|(_, change)| change.take())
            .count();
        (waiting + sent) as u64
    }

    fn fill(&mut self, outbox: &mut Outbox) {
        for (port, waits_for) in self.links.iter_mut().filter(|(_, change)| change.is_none()) {
            let Some((change, user)) = self.waiting.pop_front() else {
                return;
            };
            let Self {
                host,
                domain,
                password,
                ..
            } = self;
            let state = if change.busy {
                "&number=5551234&expires=3600"
            } else {
                ""
            };
            let request = format!(
                "GET /call_state.htm?domain={domain}&user={user}&password={password}{state} \
                 HTTP/1.1\r\nHost: {host}\r\n\r\n"
            );
            outbox.push(*port, |out| out.extend_from_slice(request.as_bytes()));
            *waits_for = Some(change);
        }
    }
}

/// Percent-encodes everything that is not unreserved.
fn escape(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_at_a_time_goes_over_a_connection() {
        let mut feeder = Feeder::new("127.0.0.1:80", "abc.com", "a&b ", &[7]);
        let mut outbox = Outbox::default();
        assert!(feeder.is_idle());
        let scheduled = Instant::now();
        let busy = Change {
            presentity: 1,
            busy: true,
            scheduled,
        };
        let free = Change {
            presentity: 2,
            busy: false,
            scheduled,
        };
        feeder.send(busy, "1001", &mut outbox);
        feeder.send(free, "1002", &mut outbox);
        let sent: Vec<(u32, String)> = outbox
            .messages()
            .map(|(port, bytes)| (port, String::from_utf8_lossy(bytes).into_owned()))
            .collect();
        let expected = "GET /call_state.htm?domain=abc.com&user=1001&password=a%26b%20\
            &number=5551234&expires=3600 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n";
        assert_eq!(sent, [(7, expected.to_owned())]);
        outbox.clear();
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(feeder.handle(7, ok, &mut outbox), Some((busy, 200)));
        assert_eq!(outbox.messages().count(), 1);
        assert_eq!(feeder.handle(7, b"nonsense", &mut outbox), Some((free, 0)));
        assert_eq!(feeder.handle(7, ok, &mut outbox), None);
        assert!(feeder.is_idle());
    }
}
