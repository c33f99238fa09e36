//! A peer that sends a request at a steady pace, whatever becomes of the ones before, over one UDP
//! socket or one TCP connection for its whole life; and keeps account of the responses.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time until a request is repeated over UDP.
const T1: Duration = Duration::from_millis(500);
/// How long a response may take: less than a phone waits (Timer F). A request is sent twice at most over
/// UDP, and once over TCP, so that one that is lost stays unanswered, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a read waits.
const GLANCE: Duration = Duration::from_millis(10);

pub(crate) struct Peer {
    number: usize,
    link: Link,
    local: SocketAddr,
    requests: u32,
    outstanding: HashMap<String, Outstanding>,
    dialog: Dialog,
    pub(crate) account: Account,
}

/// What a peer has seen.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Requests that were answered.
    pub(crate) answered: usize,
    /// Requests that had to be repeated once.
    pub(crate) repeated: usize,
    /// The longest time until a response.
    pub(crate) longest: Duration,
    /// NOTIFYs.
    pub(crate) notified: usize,
    /// What must not be.
    pub(crate) faults: Vec<String>,
}

enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

struct Outstanding {
    sent: Instant,
    text: String,
    is_repeated: bool,
}

#[derive(Default)]
struct Dialog {
    to_tag: String,
    target: String,
    cseq: u32,
    /// The SUBSCRIBE that is under way.
    branch: Option<String>,
    /// The CSeq of the last NOTIFY.
    notified: u32,
}

impl Peer {
    pub(crate) fn udp(number: usize, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let local = socket.local_addr().unwrap();
        Self::new(number, Link::Udp(socket), local)
    }

    pub(crate) fn tcp(number: usize, server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GLANCE)).unwrap();
        let local = stream.local_addr().unwrap();
        Self::new(number, Link::Tcp(stream, Vec::new()), local)
    }

    fn new(number: usize, link: Link, local: SocketAddr) -> Self {
        Self {
            number,
            link,
            local,
            requests: 0,
            outstanding: HashMap::new(),
            dialog: Dialog::default(),
            account: Account::default(),
        }
    }

    /// Sends a request each `pace` until it is over, then waits for the last responses.
    pub(crate) fn run(&mut self, pace: Duration, is_over: &AtomicBool) {
        let mut next = Instant::now();
        while !is_over.load(Ordering::SeqCst) {
            while Instant::now() >= next {
                next += pace;
                self.send_next();
            }
            self.receive();
            self.look_at_outstanding();
        }
        self.finish();
    }

    /// The last responses, and a NOTIFY for one more SUBSCRIBE.
    fn finish(&mut self) {
        self.wait_for_responses();
        let before = self.dialog.notified;
        self.subscribe();
        self.wait_for_responses();
        let deadline = Instant::now() + PATIENCE;
        while self.dialog.notified <= before && Instant::now() < deadline {
            self.receive();
        }
        if self.dialog.notified <= before {
            self.fault(format!("no NOTIFY after {before}"));
        }
    }

    fn wait_for_responses(&mut self) {
        while !self.outstanding.is_empty() {
            self.receive();
            self.look_at_outstanding();
        }
    }

    fn fault(&mut self, text: String) {
        let number = self.number;
        self.account.faults.push(format!("peer {number}: {text}"));
    }

    fn send_next(&mut self) {
        let is_idle = self.dialog.branch.is_none();
        match self.requests % 5 {
            0 | 3 if is_idle => self.subscribe(),
            1 => self.publish(),
            _ => self.options(),
        }
    }

    fn options(&mut self) {
        let rest = "To: <sip:a.example>\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
        self.request("OPTIONS", "sip:a.example", "o", rest);
    }

    /// A call of a user of its own.
    fn publish(&mut self) {
        let (number, request) = (self.number, self.requests);
        let user = format!("p{number}");
        let body = format!(
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
             version=\"0\" state=\"full\" entity=\"sip:{user}@a.example\"><dialog id=\"d{request}\">\
             <state>early</state></dialog></dialog-info>\n"
        );
        let rest = format!(
            "To: <sip:{user}@a.example>\r\nCSeq: 1 PUBLISH\r\nEvent: dialog\r\nExpires: 60\r\n\
             Content-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.request("PUBLISH", &format!("sip:{user}@a.example"), "p", &rest);
    }

    /// Begins its one dialog, or refreshes it.
    fn subscribe(&mut self) {
        self.dialog.cseq += 1;
        let transport = self.transport().to_lowercase();
        let rest = format!(
            "To: <sip:watched@a.example>{}\r\nCSeq: {} SUBSCRIBE\r\nContact: <sip:w@{};transport={transport}>\r\n\
             Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
            self.dialog.to_tag, self.dialog.cseq, self.local
        );
        let target = match self.dialog.target.as_str() {
            "" => "sip:watched@a.example".to_owned(),
            target => target.to_owned(),
        };
        self.dialog.branch = Some(self.request("SUBSCRIBE", &target, "s", &rest));
    }

    const fn transport(&self) -> &'static str {
        match self.link {
            Link::Udp(_) => "UDP",
            Link::Tcp(..) => "TCP",
        }
    }

    /// Sends a request; returns its branch.
    fn request(&mut self, method: &str, target: &str, call: &str, rest: &str) -> String {
        self.requests += 1;
        let (number, local, transport) = (self.number, self.local, self.transport());
        let branch = format!("z9hG4bK-{number}-{}-", self.requests);
        // The dialog has one Call-ID, any other request its own.
        let call_id = match call {
            "s" => format!("s-{number}"),
            _ => format!("{call}-{number}-{}", self.requests),
        };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:w{number}@a.example>;tag=f{number}\r\nCall-ID: {call_id}\r\n{rest}"
        );
        self.send(&text);
        let outstanding = Outstanding {
            sent: Instant::now(),
            text,
            is_repeated: false,
        };
        self.outstanding.insert(branch.clone(), outstanding);
        branch
    }

    fn send(&mut self, text: &str) {
        let sent = match &mut self.link {
            Link::Udp(socket) => match socket.send(text.as_bytes()) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    Err("the port is closed".to_owned())
                }
                other => other.map(drop).map_err(|error| error.to_string()),
            },
            Link::Tcp(stream, _) => stream
                .write_all(text.as_bytes())
                .map_err(|error| error.to_string()),
        };
        if let Err(error) = sent {
            self.fault(format!("cannot send: {error}"));
        }
    }

    /// Repeats over UDP what is late, and complains of what is too late.
    fn look_at_outstanding(&mut self) {
        let is_udp = matches!(self.link, Link::Udp(_));
        let late = |(_, it): &(&String, &mut Outstanding)| it.sent.elapsed() >= T1;
        let mut repeated = Vec::new();
        let mut unanswered = Vec::new();
        for (branch, it) in self.outstanding.iter_mut().filter(late) {
            if it.sent.elapsed() >= PATIENCE {
                unanswered.push(branch.clone());
            } else if is_udp && !it.is_repeated {
                it.is_repeated = true;
                repeated.push(it.text.clone());
            }
        }
        for text in repeated {
            self.account.repeated += 1;
            self.send(&text);
        }
        for branch in unanswered {
            let it = self.outstanding.remove(&branch).unwrap();
            self.fault(format!(
                "unanswered after {:?}: {}",
                it.sent.elapsed(),
                it.text
            ));
        }
    }

    /// Takes what comes within a moment.
    fn receive(&mut self) {
        let mut buffer = [0; 65_536];
        let read = match &mut self.link {
            Link::Udp(socket) => socket.recv(&mut buffer),
            Link::Tcp(stream, _) => stream.read(&mut buffer),
        };
        let length = match read {
            Ok(length) => length,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                return;
            }
            Err(error) => return self.fault(format!("cannot receive: {error}")),
        };
        match &mut self.link {
            Link::Udp(_) => self.take(&String::from_utf8_lossy(&buffer[..length])),
            Link::Tcp(..) if length == 0 => {
                self.fault("the connection was closed".to_owned());
                self.outstanding.clear();
                std::thread::sleep(GLANCE);
            }
            Link::Tcp(_, octets) => {
                octets.extend_from_slice(&buffer[..length]);
                while let Some(message) = self.cut() {
                    self.take(&message);
                }
            }
        }
    }

    /// Takes a whole message out of what was read.
    fn cut(&mut self) -> Option<String> {
        let Link::Tcp(_, octets) = &mut self.link else {
            return None;
        };
        let head = octets.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&octets[..head]);
        let length = header(&text, "Content-Length")?.parse::<usize>().ok()?;
        if octets.len() < head + length {
            return None;
        }
        let message: Vec<u8> = octets.drain(..head + length).collect();
        Some(String::from_utf8_lossy(&message).into_owned())
    }

    fn take(&mut self, message: &str) {
        if message.starts_with("NOTIFY ") {
            return self.answer(message);
        }
        let via = header(message, "Via").unwrap_or_default();
        let branch = via.split(';').find_map(|part| part.strip_prefix("branch="));
        let branch = branch.unwrap_or_default();
        let Some(it) = self.outstanding.remove(branch) else {
            // The response to a repetition.
            return;
        };
        self.account.answered += 1;
        self.account.longest = self.account.longest.max(it.sent.elapsed());
        if !message.starts_with("SIP/2.0 200 ") {
            self.fault(format!("{message}\nto {}", it.text));
        }
        if self.dialog.branch.as_deref() == Some(branch) {
            self.dialog.branch = None;
            let tag = header(message, "To").and_then(|to| to.split_once(";tag="));
            self.dialog.to_tag = tag.map_or_else(String::new, |(_, tag)| format!(";tag={tag}"));
            let contact = header(message, "Contact").unwrap_or_default();
            self.dialog.target = contact.trim_matches(['<', '>']).to_owned();
        }
    }

    fn answer(&mut self, notify: &str) {
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
            let value = header(notify, name).unwrap();
            format!("{name}: {value}\r\n")
        });
        let copied = copied.concat();
        self.send(&format!(
            "SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"
        ));
        self.account.notified += 1;
        let cseq = header(notify, "CSeq").unwrap();
        let cseq: u32 = cseq.split(' ').next().unwrap().parse().unwrap();
        let state = header(notify, "Subscription-State").unwrap_or_default();
        if cseq < self.dialog.notified || !state.starts_with("active") {
            let last = self.dialog.notified;
            self.fault(format!("after {last}: {notify}"));
        }
        self.dialog.notified = cseq;
    }
}

fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let lines = message.lines().take_while(|line| !line.is_empty());
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
