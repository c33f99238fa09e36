//! The ladder: a line for each message, an arrow between the server and the peer.
//!
//! The server has the first lane, each peer one of the others. There are as many lanes as the terminal has
//! room for; when all are taken, a new peer gets the lane that was quiet for longest, and the heads of the
//! lanes are written anew. Times are UTC.

use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::time::SystemTime;

use crate::cli::trace::sink::Sink;
use crate::cli::trace::summary::Summary;
use crate::http::visible;
use crate::sip::Transport;
use crate::trace::{Entry, Event, Path};

/// The column of the server's lane; before it stands the time.
const FIRST: usize = 13;
/// Columns from one lane to the next, in a narrow and in a wide terminal.
const GAPS: [usize; 2] = [17, 20];
/// A terminal with so many columns is wide.
const WIDE: usize = 100;
/// Columns that are wanted beside the lanes for details.
const DETAILS: usize = 40;
/// The fewest lanes of peers.
const LANES_MIN: usize = 2;
/// What the lane of the server is called.
const SERVER: &str = "Lamplighter";

/// Draws on standard output.
#[derive(Debug)]
pub(super) struct Ladder {
    drawing: Drawing,
    is_full: bool,
    out: io::Stdout,
}

/// What the lines look like.
#[derive(Debug)]
struct Drawing {
    columns: usize,
    /// Columns from one lane to the next.
    gap: usize,
    /// The peer of each lane, and the number of its latest message.
    lanes: Vec<Option<(Peer, u64)>>,
    /// Counts the messages.
    now: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peer {
    transport: Transport,
    address: SocketAddr,
}

impl Ladder {
    /// A ladder of that width, which shows messages whole if it is full.
    pub(super) fn new(columns: usize, is_full: bool) -> Self {
        Self {
            drawing: Drawing::new(columns),
            is_full,
            out: io::stdout(),
        }
    }
}

impl Sink for Ladder {
    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        let mut text = self.drawing.lines(entry);
        if let (true, Event::Message { octets, .. }) = (self.is_full, &entry.event) {
            text.push_str(&whole(octets));
        }
        self.out.write_all(text.as_bytes())
    }

    fn miss(&mut self, count: u64) -> io::Result<()> {
        writeln!(
            self.out,
            "{}! {count} messages were not kept",
            " ".repeat(FIRST)
        )
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drawing {
    fn new(columns: usize) -> Self {
        let gap = GAPS[usize::from(columns >= WIDE)];
        let lanes = columns.saturating_sub(FIRST + DETAILS) / gap;
        Self {
            columns,
            gap,
            lanes: vec![None; lanes.max(LANES_MIN)],
            now: 0,
        }
    }

    /// The line of an entry; before it the heads of the lanes, if they have changed.
    fn lines(&mut self, entry: &Entry) -> String {
        let time = time(entry.at);
        match &entry.event {
            Event::Note(text) => {
                let line = format!("{time} * {}", visible(text));
                self.cut(&line) + "\n"
            }
            Event::Message {
                path,
                is_sent,
                octets,
            } => {
                let (lane, is_new) = self.lane_of(path);
                let head = if is_new { self.head() } else { String::new() };
                let summary = Summary::of(octets);
                let arrow = self.arrow(lane, *is_sent, &visible(&summary.label()));
                let mut line = format!("{time} {arrow}");
                for word in visible(&summary.details()).split(' ') {
                    if line.len() + 1 + word.len() > self.columns {
                        break;
                    }
                    line.extend([" ", word]);
                }
                head + line.trim_end() + "\n"
            }
        }
    }

    /// The lane of a peer, and whether it is new there.
    fn lane_of(&mut self, path: &Path) -> (usize, bool) {
        let peer = Peer {
            transport: path.transport,
            address: path.peer,
        };
        self.now += 1;
        let is_its = |lane: &Option<(Peer, u64)>| lane.is_some_and(|(known, _)| known == peer);
        let known = self.lanes.iter().position(is_its);
        let quietest = || {
            let lanes = self.lanes.iter().enumerate();
            lanes.min_by_key(|(_, lane)| lane.map(|(_, heard)| heard))
        };
        let lane = known.or_else(|| quietest().map(|(lane, _)| lane));
        let lane = lane.unwrap_or_default();
        self.lanes[lane] = Some((peer, self.now));
        (lane, known.is_none())
    }

    /// Two lines with the names of the lanes.
    fn head(&self) -> String {
        let gap = self.gap;
        let names = |name: fn(&Peer) -> String| {
            let names = self.lanes.iter().map(move |lane| {
                let name = lane.map_or_else(String::new, |(peer, _)| name(&peer));
                format!("{:<gap$}", end_of(&name, gap - 1))
            });
            names.collect::<String>()
        };
        let before = FIRST;
        let addresses = names(|peer| peer.address.to_string());
        let transports = names(|peer| peer.transport.name().to_owned());
        let first = format!("{:<before$}{SERVER:<gap$}{addresses}", "UTC");
        let second = format!("{:<before$}{:<gap$}{transports}", "", "");
        format!(
            "{}\n{}\n",
            self.cut(first.trim_end()),
            self.cut(second.trim_end())
        )
    }

    /// The lanes with an arrow to or from one of them.
    fn arrow(&self, lane: usize, is_sent: bool, label: &str) -> String {
        let mut drawn: Vec<char> = vec![' '; self.lanes.len() * self.gap + 1];
        let taken = self.lanes.iter().enumerate();
        let taken = taken.filter(|(_, lane)| lane.is_some());
        for (lane, _) in taken {
            drawn[(lane + 1) * self.gap] = '|';
        }
        drawn[0] = '|';
        let length = (lane + 1) * self.gap;
        drawn[1..length].fill('-');
        drawn[if is_sent { length - 1 } else { 1 }] = if is_sent { '>' } else { '<' };
        let label: Vec<char> = label.chars().take(length - 5).collect();
        let label = [&[' '], &label[..], &[' ']].concat();
        // Near the server, so that labels stand below each other, whatever the lane.
        let start = (self.gap - label.len().min(self.gap)) / 2;
        let start = start.max(2);
        drawn[start..start + label.len()].copy_from_slice(&label);
        drawn.into_iter().collect()
    }

    fn cut(&self, line: &str) -> String {
        line.chars().take(self.columns).collect()
    }
}

/// `16:59:04.123`
fn time(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(at).to_string();
    let time = text.split(['T', 'Z']).nth(1);
    time.unwrap_or_default().to_owned()
}

/// The last characters of a name that is too long: a port tells more than the prefix of a network.
fn end_of(name: &str, length: usize) -> String {
    let surplus = name.chars().count().saturating_sub(length);
    match surplus {
        0 => name.to_owned(),
        _ => std::iter::once('~')
            .chain(name.chars().skip(surplus + 1))
            .collect(),
    }
}

/// A message, line by line.
fn whole(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let lines = text.trim_end().lines();
    let lines = lines.map(|line| format!("    {}", visible(line)).trim_end().to_owned() + "\n");
    lines.collect::<String>() + "\n"
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(peer: &str, is_sent: bool, start: &str) -> Entry {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:123@abc.com>;tag=1\r\n\
             To: <sip:9@abc.com>;tag=2\r\nCall-ID: c\r\nCSeq: 12 NOTIFY\r\nEvent: dialog\r\n\
             Subscription-State: active;expires=3599\r\nContent-Length: 0\r\n\r\n"
        );
        Entry {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(3_723_004),
            event: Event::Message {
                path: Path {
                    transport: Transport::Udp,
                    connection: 0,
                    local: "127.0.0.1:5060".parse().unwrap(),
                    peer: peer.parse().unwrap(),
                },
                is_sent,
                octets: text.into_bytes().into(),
            },
        }
    }

    const NOTIFY: &str = "NOTIFY sip:9@10.0.0.9 SIP/2.0";

    /// All lines of some messages.
    fn drawn(columns: usize) -> String {
        let mut drawing = Drawing::new(columns);
        let refusal = "SIP/2.0 481 Subscription Does Not Exist";
        let note = Entry {
            at: SystemTime::UNIX_EPOCH,
            event: Event::Note("call reported by HTTP: \u{1b}confirmed".into()),
        };
        let entries = [
            note,
            entry("10.0.0.9:5060", true, NOTIFY),
            entry("10.0.0.9:5060", false, refusal),
            entry("[2001:db8::9:8:7]:5060", true, NOTIFY),
            entry("10.0.0.8:5060", false, refusal),
        ];
        let lines = entries.iter().map(|entry| drawing.lines(entry));
        lines.collect()
    }

    #[test]
    fn messages_are_arrows_between_lanes() {
        let expected = "\
00:00:00.000 * call reported by HTTP: \u{fffd}confirmed
UTC          Lamplighter      10.0.0.9:5060
                              udp
01:02:03.004 |--- NOTIFY ---->|                  12 dialog active 3599s
01:02:03.004 |< 481 Subscrip -|                  12 NOTIFY
UTC          Lamplighter      10.0.0.9:5060    ~b8::9:8:7]:5060
                              udp              udp
01:02:03.004 |--- NOTIFY --------------------->| 12 dialog active 3599s
UTC          Lamplighter      10.0.0.8:5060    ~b8::9:8:7]:5060
                              udp              udp
01:02:03.004 |< 481 Subscrip -|                | 12 NOTIFY
";
        assert_eq!(drawn(80), expected, "the quietest lane is taken");
        let lines = drawn(120);
        let last: Vec<&str> = lines.lines().rev().take(3).collect();
        let [arrow, _, head] = last[..] else {
            unreachable!()
        };
        let names = "10.0.0.9:5060       ~1:db8::9:8:7]:5060 10.0.0.8:5060";
        assert_eq!(head, format!("UTC          Lamplighter         {names}"));
        let lanes = "|< 481 Subscription Does Not Exist -------------------------|";
        assert_eq!(arrow, format!("01:02:03.004 {lanes} 12 NOTIFY"));
        let widest = drawn(80).lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}");
    }

    #[test]
    fn a_message_is_shown_whole_without_control_sequences() {
        let shown = whole(b"NOTIFY a SIP/2.0\r\nX: \x1b[2J\r\n\r\n<a>\n</a>\r\n");
        assert_eq!(
            shown,
            "    NOTIFY a SIP/2.0\n    X: \u{fffd}[2J\n\n    <a>\n    </a>\n\n"
        );
    }
}
