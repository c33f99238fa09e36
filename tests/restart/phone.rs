//! A SIP endpoint on UDP, as simple as one can be: one request at a time, NOTIFYs answered as they come.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between retransmissions of a request.
const T1: Duration = Duration::from_millis(500);
/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a read of the socket may take.
const GLANCE: Duration = Duration::from_millis(10);

/// An endpoint: a phone with its dialogs, or a PBX.
pub(crate) struct Endpoint {
    socket: UdpSocket,
    server: SocketAddr,
    /// Whether the server was killed: then no response is waited for.
    is_dead: Arc<AtomicBool>,
    requests: u32,
    /// The NOTIFYs of each dialog, by Call-ID.
    pub(crate) notified: HashMap<String, Notified>,
    /// What the server must not do.
    pub(crate) faults: Vec<String>,
}

/// What a dialog was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notified {
    /// The CSeq of the last NOTIFY.
    pub(crate) cseq: u32,
    /// The version of the last document.
    pub(crate) version: Option<u32>,
    /// The last NOTIFY.
    pub(crate) last: String,
}

/// A dialog, from its first SUBSCRIBE on.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) user: String,
    pub(crate) call_id: String,
    to_tag: Option<String>,
    /// Where requests in the dialog go.
    target: String,
    cseq: u32,
}

impl Endpoint {
    pub(crate) fn new(server: SocketAddr, is_dead: Arc<AtomicBool>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        Self {
            socket,
            server,
            is_dead,
            requests: 0,
            notified: HashMap::new(),
            faults: Vec::new(),
        }
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A dialog that no SUBSCRIBE was sent for yet.
    pub(crate) fn dialog(&mut self, user: &str) -> Dialog {
        self.requests += 1;
        Dialog {
            user: user.to_owned(),
            call_id: format!("call-{}-{}", self.local().port(), self.requests),
            to_tag: None,
            target: format!("sip:{user}@a.example"),
            cseq: 0,
        }
    }

    /// SUBSCRIBEs, in the dialog if there is one already. The status of the response, if one came.
    pub(crate) fn subscribe(&mut self, dialog: &mut Dialog, expires: u32) -> Option<u16> {
        dialog.cseq += 1;
        let tag = dialog.to_tag.as_ref();
        let tag = tag.map_or_else(String::new, |tag| format!(";tag={tag}"));
        let local = self.local();
        let rest = format!(
            "From: <sip:watcher@a.example>;tag=w{port}\r\nTo: <sip:{user}@a.example>{tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\nContact: <sip:watcher@{local}>\r\n\
             Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: {expires}\r\n\
             Content-Length: 0\r\n\r\n",
            port = local.port(),
            user = dialog.user,
            call_id = dialog.call_id,
            cseq = dialog.cseq,
        );
        let response = self.request("SUBSCRIBE", &dialog.target, &rest)?;
        if let (200, Some(contact)) = (status(&response), header(&response, "Contact")) {
            let to = header(&response, "To").unwrap();
            dialog.to_tag = to.split_once("tag=").map(|(_, tag)| tag.to_owned());
            dialog.target = contact.trim_matches(['<', '>']).to_owned();
        }
        Some(status(&response))
    }

    /// Publishes a call of a user, another one than before; None refreshes what `etag` names. The status, and the entity tag
    /// of a 200.
    pub(crate) fn publish(
        &mut self,
        user: &str,
        etag: Option<&str>,
        state: Option<&str>,
        expires: u32,
    ) -> Option<(u16, Option<String>)> {
        self.requests += 1;
        let number = self.requests;
        let condition = etag.map_or_else(String::new, |etag| format!("SIP-If-Match: {etag}\r\n"));
        let body = state.map_or_else(String::new, |state| {
            format!(
                "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
                 version=\"0\" state=\"full\" entity=\"sip:{user}@a.example\"><dialog id=\"d{number}\">\
                 <state>{state}</state></dialog></dialog-info>\n"
            )
        });
        let kind = state.map_or("", |_| "Content-Type: application/dialog-info+xml\r\n");
        let port = self.local().port();
        let rest = format!(
            "From: <sip:{user}@a.example>;tag=p{port}\r\nTo: <sip:{user}@a.example>\r\n\
             Call-ID: publish-{port}-{number}\r\nCSeq: 1 PUBLISH\r\nEvent: dialog\r\n{condition}\
             Expires: {expires}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = self.request("PUBLISH", &format!("sip:{user}@a.example"), &rest)?;
        let etag = header(&response, "SIP-ETag").map(str::to_owned);
        Some((status(&response), etag))
    }

    /// Sends a request until a final response comes. None if the server was killed before.
    fn request(&mut self, method: &str, target: &str, rest: &str) -> Option<String> {
        self.requests += 1;
        let local = self.local();
        let branch = format!("z9hG4bK-{}-{}", local.port(), self.requests);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\n{rest}"
        );
        let start = Instant::now();
        let mut sent: Option<Instant> = None;
        while start.elapsed() < PATIENCE {
            if sent.is_none_or(|sent| sent.elapsed() >= T1) {
                // A port that is closed for a moment refuses what was sent before.
                let _refused = self.socket.send_to(text.as_bytes(), self.server);
                sent = Some(Instant::now());
            }
            let is_dead = self.is_dead.load(Ordering::SeqCst);
            let response = self.receive(Some(&branch));
            if response.is_some() || is_dead {
                return response;
            }
        }
        self.faults.push(format!("no response to {text}"));
        None
    }

    /// Reads until the socket is empty for a moment. The response of the branch, if it came.
    fn receive(&mut self, branch: Option<&str>) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        loop {
            let received = self.socket.recv_from(&mut buffer);
            let (length, from) = match received {
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return None,
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("NOTIFY ") {
                self.answer(text, from);
            } else if branch.is_some_and(|branch| text.contains(branch)) && status(&text) >= 200 {
                return Some(text);
            }
        }
    }

    /// Answers NOTIFYs until they satisfy `is_enough`. False if they do not in time.
    pub(crate) fn listen(&mut self, mut is_enough: impl FnMut(&Self) -> bool) -> bool {
        let start = Instant::now();
        while !is_enough(self) {
            if start.elapsed() >= PATIENCE {
                return false;
            }
            self.receive(None);
        }
        true
    }

    fn answer(&mut self, notify: String, from: SocketAddr) {
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
            let value = header(&notify, name).unwrap();
            format!("{name}: {value}\r\n")
        });
        let response = format!(
            "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        let _refused = self.socket.send_to(response.as_bytes(), from);
        let cseq = header(&notify, "CSeq").unwrap();
        let cseq = cseq.split(' ').next().unwrap().parse().unwrap();
        let version = between(&notify, " version=\"", "\" state").map(|it| it.parse().unwrap());
        let call_id = header(&notify, "Call-ID").unwrap().to_owned();
        let known = self.notified.entry(call_id).or_default();
        let is_older = cseq < known.cseq || (cseq > known.cseq && version <= known.version);
        if is_older && version.is_some() {
            let known = known.last.clone();
            let fault = format!("a NOTIFY goes back: {notify}\nafter {known}");
            self.faults.push(fault);
            return;
        }
        *known = Notified {
            cseq,
            version: version.or(known.version),
            last: notify,
        };
    }

    /// Whether the last NOTIFY of a dialog says a text.
    pub(crate) fn shows(&self, dialog: &Dialog, text: &str) -> bool {
        let notified = self.notified.get(&dialog.call_id);
        notified.is_some_and(|notified| notified.last.contains(text))
    }
}

fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1);
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let find = |line: &'m str| {
        line.split_once(':')
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    message
        .lines()
        .find_map(find)
        .map(|(_, value)| value.trim())
}

fn between<'m>(text: &'m str, before: &str, behind: &str) -> Option<&'m str> {
    let (_, rest) = text.split_once("<dialog-info")?;
    let (_, rest) = rest.split_once(before)?;
    rest.split_once(behind).map(|(found, _)| found)
}
