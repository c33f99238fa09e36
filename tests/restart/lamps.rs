//! Many lamps on a few phones, which subscribe together and then only listen.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Phones, each with its own port.
const PHONES: usize = 8;
/// SUBSCRIBEs that wait for a response at a time.
const WINDOW: usize = 64;
/// Time between retransmissions of a SUBSCRIBE.
const T1: Duration = Duration::from_millis(500);
/// Pause while nothing comes.
const PAUSE: Duration = Duration::from_micros(500);
/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The lamps. The Call-ID of each is its index.
pub(crate) struct Lamps {
    server: SocketAddr,
    phones: Vec<UdpSocket>,
    pub(crate) lamps: Vec<Lamp>,
}

/// One subscription.
pub(crate) struct Lamp {
    pub(crate) user: String,
    to_tag: String,
    target: String,
    cseq: u32,
    /// When its SUBSCRIBE was sent, until that has its 200.
    asked: Option<Instant>,
    /// NOTIFYs with a CSeq of their own.
    pub(crate) notifies: u32,
    /// The CSeq of the last one.
    notified: u32,
    /// Whether that shows a call.
    pub(crate) is_lit: bool,
}

impl Lamps {
    /// As many lamps for each of the users 0, 1, ...
    pub(crate) fn new(server: SocketAddr, users: usize, each: usize) -> Self {
        let phone = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let lamp = |index: usize| Lamp {
            user: (index % users).to_string(),
            to_tag: String::new(),
            target: format!("sip:{}@a.example", index % users),
            cseq: 0,
            asked: None,
            notifies: 0,
            notified: 0,
            is_lit: false,
        };
        Self {
            server,
            phones: (0..PHONES).map(phone).collect(),
            lamps: (0..users * each).map(lamp).collect(),
        }
    }

    /// Subscribes with all lamps, or refreshes them, until each has its 200 and a NOTIFY after it began.
    pub(crate) fn subscribe(&mut self) {
        let before: Vec<_> = self.lamps.iter().map(|lamp| lamp.notifies).collect();
        for lamp in &mut self.lamps {
            lamp.cseq += 1;
        }
        let (start, mut next) = (Instant::now(), 0);
        let is_served = |lamps: &Self| {
            let mut served = lamps.lamps.iter().zip(&before);
            served.all(|(lamp, before)| lamp.asked.is_none() && lamp.notifies > *before)
        };
        while next < self.lamps.len() || !is_served(self) {
            assert!(start.elapsed() < WAIT_MAX, "SUBSCRIBEs without a response");
            let waiting = |lamp: &&Lamp| lamp.asked.is_some();
            let room = WINDOW - self.lamps.iter().filter(waiting).count();
            let end = self.lamps.len().min(next + room);
            (next..end).for_each(|index| self.send_subscribe(index));
            next = end;
            let is_late = |lamp: &Lamp| lamp.asked.is_some_and(|asked| asked.elapsed() >= T1);
            let late: Vec<_> = (0..next).filter(|at| is_late(&self.lamps[*at])).collect();
            late.into_iter()
                .for_each(|index| self.send_subscribe(index));
            self.receive();
        }
    }

    fn send_subscribe(&mut self, index: usize) {
        let phone = &self.phones[index % PHONES];
        let local = phone.local_addr().unwrap();
        let lamp = &mut self.lamps[index];
        lamp.asked = Some(Instant::now());
        let (user, cseq, target) = (&lamp.user, lamp.cseq, &lamp.target);
        let tag = match lamp.to_tag.as_str() {
            "" => String::new(),
            tag => format!(";tag={tag}"),
        };
        let text = format!(
            "SUBSCRIBE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK-{index}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:watcher@a.example>;tag=lamp\r\nTo: <sip:{user}@a.example>{tag}\r\n\
             Call-ID: {index}\r\nCSeq: {cseq} SUBSCRIBE\r\nContact: <sip:watcher@{local}>\r\nEvent: dialog\r\n\
             Accept: application/dialog-info+xml\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
        );
        // What is lost is repeated.
        let _lost = phone.send_to(text.as_bytes(), self.server);
    }

    /// Receives and acknowledges until `is_enough` holds. False if it does not within `time`.
    pub(crate) fn listen(&mut self, time: Duration, is_enough: impl Fn(&Self) -> bool) -> bool {
        let start = Instant::now();
        while !is_enough(self) {
            if start.elapsed() >= time {
                return false;
            }
            self.receive();
        }
        true
    }

    /// The lamps of some users.
    pub(crate) fn of<'l>(&'l self, users: &'l [String]) -> impl Iterator<Item = &'l Lamp> {
        let lamps = self.lamps.iter();
        lamps.filter(|lamp| users.contains(&lamp.user))
    }

    /// Takes all that waits; pauses if there is nothing.
    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        let mut is_idle = true;
        for phone in 0..PHONES {
            loop {
                match self.phones[phone].recv(&mut buffer) {
                    Ok(length) => {
                        is_idle = false;
                        let text = String::from_utf8_lossy(&buffer[..length]);
                        self.take(phone, &text);
                    }
                    // The server does not listen just now.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(_) => break,
                }
            }
        }
        if is_idle {
            thread::sleep(PAUSE);
        }
    }

    fn take(&mut self, phone: usize, text: &str) {
        let headers: HashMap<_, _> = text.lines().filter_map(|it| it.split_once(": ")).collect();
        let lamp = &mut self.lamps[headers["Call-ID"].parse::<usize>().unwrap()];
        let cseq = headers["CSeq"].split(' ').next().unwrap().parse().unwrap();
        if !text.starts_with("NOTIFY ") {
            assert!(text.starts_with("SIP/2.0 200 "), "{text}");
            if cseq == lamp.cseq {
                let (_, tag) = headers["To"].split_once("tag=").unwrap();
                lamp.to_tag = tag.to_owned();
                lamp.target = headers["Contact"].trim_matches(['<', '>']).to_owned();
                lamp.asked = None;
            }
            return;
        }
        // Another one is a retransmission.
        if cseq > lamp.notified {
            lamp.notified = cseq;
            lamp.notifies += 1;
            lamp.is_lit = text.contains("<state>confirmed</state>");
        }
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let copied = copied.map(|name| format!("{name}: {}\r\n", headers[name]));
        let response = format!(
            "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        let _lost = self.phones[phone].send_to(response.as_bytes(), self.server);
    }
}
