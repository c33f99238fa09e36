//! A looping phone, and requests with forged sources: the loads against which overload protection
//! exists.
//!
//! The phone subscribes to one address with a new Call-ID many times a second, whatever the
//! response, and ignores every NOTIFY (baresip with `mwi=yes`; W:G5). The forged requests come from
//! addresses without a host (W:E3.8). In some runs it also subscribes from further ports of its host, which
//! answer a NOTIFY only when half of what they were lent has come back. None of them may make a lamp of the other phones wrong, which is
//! checked by the other judges.

use crate::network::{Access, ActorId, MILLISECOND, Micros, SECOND, Wake};
use crate::realm::{DOMAIN, ELSEWHERE};
use crate::sip_text::{Request, Text, response};
use crate::world::{Bench, presentity_uri};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

/// How late the late ports answer, shortly before Timer F.
const LATE: Micros = 30 * SECOND;
/// Maximum requests of the phone in flight.
const BURST: u64 = 10;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Looper {
    id: ActorId,
    address: SocketAddr,
    presentity: usize,
    /// The ports that answer late, and their answers: when each is sent.
    late: Vec<SocketAddr>,
    answers: VecDeque<(Micros, SocketAddr, Vec<u8>)>,
    /// Whether the phone is switched off.
    pub(crate) gone: bool,
    /// Requests of the phone that were refused with Retry-After.
    pub(crate) shed: u64,
}

impl Looper {
    pub(crate) fn new(id: ActorId, bench: &mut Bench) -> Self {
        let net = &mut bench.net;
        let after = net.rng.below(20 * SECOND);
        net.wake(id, after, Wake::Act);
        Self {
            id,
            address: net.bind(id, None),
            presentity: net.rng.below(net.plan.presentities as u64) as usize,
            late: Vec::new(),
            answers: VecDeque::new(),
            gone: false,
            shed: 0,
        }
    }

    pub(crate) fn handle_wake(&mut self, bench: &mut Bench) {
        if self.gone {
            return;
        }
        let after = bench.net.rng.between(100 * MILLISECOND, SECOND);
        bench.net.wake(self.id, after, Wake::Act);
        let user = format!("w{}", self.id);
        for _ in 0..bench.net.rng.between(1, BURST) {
            self.subscribe(self.address, &user, DOMAIN, bench);
        }
        if bench.net.plan.answers_late {
            self.answer_late(&user, bench);
        }
        if bench.net.rng.chance(bench.net.plan.forged) {
            let [.., high, low] = bench.net.rng.next().to_be_bytes();
            let ip = Ipv4Addr::new(172, 16, high, low);
            let unused = SocketAddr::new(ip.into(), 5060);
            self.subscribe(unused, "nobody", ELSEWHERE, bench);
            if bench.net.plan.is_allowance_small() {
                // A short request with a long response.
                self.send(("OPTIONS", ""), unused, ("nobody", ELSEWHERE), bench);
            }
        }
    }

    /// Subscribes from another port now and then, and sends the answers that are due.
    fn answer_late(&mut self, user: &str, bench: &mut Bench) {
        if bench.net.rng.chance(300) {
            let port = bench.net.bind(self.id, None);
            self.late.push(port);
            self.subscribe(port, user, DOMAIN, bench);
        }
        let now = bench.net.now;
        while self.answers.front().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, from, answer)) = self.answers.pop_front()
        {
            bench.net.send(Access::Udp(from), answer.into());
        }
    }

    fn subscribe(&self, from: SocketAddr, user: &str, domain: &str, bench: &mut Bench) {
        let expires = bench.net.plan.expires_min;
        let headers = format!("Contact: <sip:{from}>\r\nEvent: dialog\r\nExpires: {expires}\r\n");
        self.send(("SUBSCRIBE", &headers), from, (user, domain), bench);
    }

    fn send(
        &self,
        (method, headers): (&str, &str),
        from: SocketAddr,
        (user, domain): (&str, &str),
        bench: &mut Bench,
    ) {
        let net = &mut bench.net;
        let random = net.rng.next();
        let uri = presentity_uri(self.presentity, false);
        let request = Request {
            method,
            uri: &uri,
            via: &format!("UDP {from}"),
            branch: &format!("z9hG4bK{random:x}"),
            from: &format!("sip:{user}@{domain}"),
            from_tag: &format!("l{random:x}"),
            to: &uri,
            to_tag: None,
            call_id: &format!("{random:x}@loop{}", self.id),
            cseq: 1,
            headers,
            content_type: "",
            body: "",
        };
        net.send(Access::Udp(from), request.write().into());
    }

    /// The phone ignores responses, and responds to NOTIFYs with 481.
    pub(crate) fn handle_message(&mut self, octets: &[u8], bench: &mut Bench) {
        let Ok(text) = Text::parse(octets) else {
            let detail = String::from_utf8_lossy(octets).into_owned();
            let now = bench.net.now;
            return bench.checker.fail(now, "a malformed message", detail);
        };
        if text.method().is_some() {
            let octets = response(&text, 481, "", "");
            let to = |port: &&SocketAddr| text.start.contains(&format!("sip:{port} "));
            if let Some(port) = self.late.iter().find(to) {
                let at = bench.net.now + LATE;
                return self.answers.push_back((at, *port, octets));
            }
            return bench.net.send(Access::Udp(self.address), octets.into());
        }
        let is_shed = text.status() == Some(503);
        if is_shed && text.number("Retry-After").is_none() {
            let now = bench.net.now;
            bench
                .checker
                .fail(now, "503 without Retry-After", text.start);
        }
        self.shed += u64::from(is_shed);
    }
}
