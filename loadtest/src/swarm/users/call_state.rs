//! Call states by HTTP: `GET /call_state.htm` over a few persistent connections, one request at a
//! time on each.

use std::collections::VecDeque;
use std::time::Instant;

use crate::net::ports::Outbox;
use crate::swarm::key::UserKey;
use crate::wire::message::number;

/// One change: a user is in a call, or no longer in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) struct Change {
    pub(in crate::swarm) user: UserKey,
    pub(in crate::swarm) busy: bool,
    /// When the scenario scheduled it.
    pub(in crate::swarm) scheduled: Instant,
}

/// The connections, and the changes that wait for a free one.
#[derive(Debug, Default)]
pub(in crate::swarm) struct Feeder {
    host: String,
    domain: String,
    password: String,
    links: Vec<Link>,
    waiting: VecDeque<(Change, String)>,
}

/// A connection.
#[derive(Debug)]
struct Link {
    port: u32,
    /// The change that waits for its response, and the user's name.
    under_way: Option<(Change, String)>,
    /// The request was sent again after the connection had been closed.
    is_repeated: bool,
}

impl Feeder {
    /// A feeder over those connections. Without any connection it must not be used.
    pub(in crate::swarm) fn new(host: &str, domain: &str, password: &str, links: &[u32]) -> Self {
        Self {
            host: host.to_owned(),
            domain: escape(domain),
            password: escape(password),
            links: links.iter().map(|&port| Link::new(port)).collect(),
            waiting: VecDeque::new(),
        }
    }

    /// Returns whether no change waits for a connection or a response.
    pub(in crate::swarm) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.links.iter().all(|link| link.under_way.is_none())
    }

    /// Sends a change as soon as a connection is free.
    pub(in crate::swarm) fn send(&mut self, change: Change, user: &str, outbox: &mut Outbox) {
        self.waiting.push_back((change, escape(user)));
        self.fill(outbox);
    }

    /// Handles a response. Returns the change to which it belongs, and the status.
    pub(in crate::swarm) fn handle(
        &mut self,
        port: u32,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) -> Option<(Change, u16)> {
        let link = self.links.iter_mut().find(|link| link.port == port)?;
        let (change, _) = link.under_way.take()?;
        self.fill(outbox);
        let status = bytes
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| number(rest.get(..3)?));
        Some((change, status.unwrap_or(0) as u16))
    }

    /// A connection was closed, and reopened or not. The request in flight on it is sent once more.
    /// Returns the change that is lost.
    pub(in crate::swarm) fn closed(
        &mut self,
        port: u32,
        opened: bool,
        outbox: &mut Outbox,
    ) -> Option<Change> {
        let at = self.links.iter().position(|link| link.port == port)?;
        if !opened {
            let link = self.links.swap_remove(at);
            return link.under_way.map(|(change, _)| change);
        }
        let link = &mut self.links[at];
        let (change, user) = link.under_way.take()?;
        if std::mem::replace(&mut link.is_repeated, true) {
            link.is_repeated = false;
            return Some(change);
        }
        self.send_over(at, change, user, outbox);
        None
    }

    /// Gives up on all waiting changes. Returns their number.
    pub(in crate::swarm) fn abandon(&mut self) -> u64 {
        let waiting = self.waiting.drain(..).count();
        let sent = self
            .links
            .iter_mut()
            .filter_map(|link| link.under_way.take())
            .count();
        (waiting + sent) as u64
    }

    fn fill(&mut self, outbox: &mut Outbox) {
        for at in 0..self.links.len() {
            if self.links[at].under_way.is_some() {
                continue;
            }
            let Some((change, user)) = self.waiting.pop_front() else {
                return;
            };
            self.links[at].is_repeated = false;
            self.send_over(at, change, user, outbox);
        }
    }

    fn send_over(&mut self, at: usize, change: Change, user: String, outbox: &mut Outbox) {
        let Self {
            host,
            domain,
            password,
            links,
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
        let link = &mut links[at];
        outbox.push(link.port, |out| out.extend_from_slice(request.as_bytes()));
        link.under_way = Some((change, user));
    }
}

impl Link {
    const fn new(port: u32) -> Self {
        Self {
            port,
            under_way: None,
            is_repeated: false,
        }
    }
}

/// Percent-encodes all characters that are not unreserved.
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
    use crate::swarm::key::Key;

    #[test]
    fn one_request_at_a_time_goes_over_a_connection() {
        let mut feeder = Feeder::new("127.0.0.1:80", "abc.com", "a&b ", &[7]);
        let mut outbox = Outbox::default();
        assert!(feeder.is_idle());
        let scheduled = Instant::now();
        let busy = Change {
            user: UserKey::from_number(1),
            busy: true,
            scheduled,
        };
        let free = Change {
            user: UserKey::from_number(2),
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

    #[test]
    fn a_change_survives_one_closed_connection_but_not_two() {
        let mut feeder = Feeder::new("127.0.0.1:80", "abc.com", "x", &[7, 8]);
        let mut outbox = Outbox::default();
        // If an idle connection is closed, nothing is lost.
        assert_eq!(feeder.closed(7, true, &mut outbox), None);
        let change = Change {
            user: UserKey::from_number(1),
            busy: true,
            scheduled: Instant::now(),
        };
        feeder.send(change, "1001", &mut outbox);
        assert_eq!(feeder.closed(7, true, &mut outbox), None);
        assert_eq!(outbox.messages().count(), 2);
        assert_eq!(feeder.closed(7, true, &mut outbox), Some(change));
        assert!(feeder.is_idle());
        // A connection that cannot be reopened is no longer used.
        feeder.send(change, "1001", &mut outbox);
        assert_eq!(feeder.closed(7, false, &mut outbox), Some(change));
        feeder.send(change, "1001", &mut outbox);
        let last = outbox.messages().last().map(|(port, _)| port);
        assert_eq!(last, Some(8));
    }
}
