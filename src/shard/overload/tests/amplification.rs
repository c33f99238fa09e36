//! What a sender with a forged source address gains for its victims (W:E3.8): no response is longer
//! than one and a half times its request, and the octets of all NOTIFYs to silent addresses are limited.

use super::*;

/// Octets of NOTIFYs per second, to all silent addresses.
const RATE: u64 = 1_000;

fn sparing() -> OverloadOptions {
    OverloadOptions {
        unproven_octets_per_second: RATE,
        ..OverloadOptions::default()
    }
}

/// Octets that the shard sent, and those of them in NOTIFYs.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    all: usize,
    notifies: usize,
}

impl Lab {
    /// The driver sends what lies in the outbox.
    fn transmit(&mut self, sent: &mut Sent) {
        for transmit in &self.out.transmits {
            let octets = self.out.pieces(transmit).concat();
            sent.all += octets.len();
            if octets.starts_with(b"NOTIFY") {
                sent.notifies += octets.len();
            }
        }
        self.out.clear();
    }

    /// Time passes, and the driver sends what that brings.
    fn wait(&mut self, time: Duration, sent: &mut Sent) {
        self.now += time;
        while self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.out);
            self.transmit(sent);
        }
    }

    /// One second of a flood: a new address each time. Returns the octets of the requests.
    fn flood(&mut self, network: &str, sent: &mut Sent) -> usize {
        let more = "Event: dialog\r\nExpires: 3600\r\n";
        let mut octets = 0;
        for _ in 0..100 {
            self.requests += 1;
            let (high, low) = (self.requests >> 8 & 255, self.requests & 255);
            let peer = format!("{network}.{high}.{low}:5060");
            let text = self.asked(&peer, "SUBSCRIBE", "1@abc.com", "9@abc.com", more);
            octets += text.len();
            self.send(&peer, &text);
            self.transmit(sent);
        }
        self.wait(Duration::from_secs(1), sent);
        octets
    }

    /// A phone that subscribes and answers its NOTIFY.
    fn subscribe_and_answer(&mut self, peer: &str, user: &str) {
        let response = self.subscribe(peer, user, "9@abc.com");
        assert_eq!(status(&response), "200");
        self.out.clear();
        let at = self.now;
        while self.shard.poll_timeout().is_some_and(|due| due <= at) {
            self.shard.handle_timeout(at, &mut self.out);
        }
        let notify = self.out.pieces(&self.out.transmits[0]).concat();
        let notify = String::from_utf8(notify).unwrap();
        let echoed = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
            let value = header(&notify, name).unwrap();
            format!("{name}: {value}\r\n")
        });
        let answer = format!("SIP/2.0 200 OK\r\n{}\r\n", echoed.concat());
        self.out.clear();
        self.send(peer, &answer);
    }
}

/// Requests that need no password: with `auth = "none"`, and from an address that the domain trusts.
#[test]
fn forged_addresses_gain_a_known_number_of_octets() {
    for (auth, network) in [(AuthMode::None, "203.0"), (AuthMode::Digest, "10.0")] {
        let mut lab = Lab::new(auth, sparing());
        let (mut sent, mut received) = (Sent::default(), 0);
        const SECONDS: usize = 70;
        for _ in 0..SECONDS {
            received += lab.flood(network, &mut sent);
        }
        let lent = RATE as usize * (60 + SECONDS);
        assert!(sent.notifies <= lent + 2_000, "{sent:?}");
        assert!(sent.notifies > lent / 2, "no flood: {sent:?}");
        assert!(sent.all <= received * 3 / 2 + lent + 2_000, "{sent:?}");
        assert!(lab.counter("requests_shed_by_allowance") > 1_000);
        assert!(lab.counter("retransmissions_withheld") > 0);
        // When it is over, another phone is served again.
        lab.wait(Duration::from_secs(100), &mut sent);
        lab.out.clear();
        let response = lab.subscribe("10.9.9.9:5060", "2@abc.com", "9@abc.com");
        assert_eq!(status(&response), "200");
    }
}

/// While the allowance is used up, a phone that has answered before is notified as ever.
#[test]
fn a_flood_delays_no_phone_that_has_answered() {
    let mut lab = Lab::new(AuthMode::None, sparing());
    lab.subscribe_and_answer(SBC, "2@abc.com");
    let mut sent = Sent::default();
    for _ in 0..5 {
        lab.flood("203.0", &mut sent);
    }
    let stranger = lab.subscribe("198.51.100.7:5060", "3@abc.com", "9@abc.com");
    assert_eq!(status(&stranger), "503");
    lab.out.clear();
    let response = lab.subscribe(SBC, "2@abc.com", "8@abc.com");
    assert_eq!(status(&response), "200");
    lab.out.clear();
    lab.shard.handle_timeout(lab.now, &mut lab.out);
    let to_phone = |transmit: &&crate::shard::Transmit| transmit.flow.peer.to_string() == SBC;
    assert_eq!(lab.out.transmits.iter().filter(to_phone).count(), 1);
}

/// Phones that answer give back what they were lent: however many there are, the allowance lasts.
#[test]
fn phones_that_answer_use_none_of_the_allowance() {
    let mut lab = Lab::new(AuthMode::None, sparing());
    for phone in 0..500 {
        let peer = format!("10.1.{}.{}:5060", phone >> 8, phone & 255);
        lab.subscribe_and_answer(&peer, "2@abc.com");
    }
    assert_eq!(lab.counter("requests_shed_by_allowance"), 0);
    assert_eq!(lab.counter("notifies_withheld"), 0);
}

/// A response that was long because its request was long is not sent for a short copy of that, which
/// may come from anywhere.
#[test]
fn a_short_copy_gets_no_long_response() {
    let mut lab = Lab::new(AuthMode::None, OverloadOptions::default());
    let route = format!("Record-Route: <sip:p.example;lr;x={}>\r\n", "p".repeat(400));
    let more = format!("Event: dialog\r\n{}", route.repeat(4));
    let long = lab.asked(STRANGER, "SUBSCRIBE", "1@abc.com", "9@abc.com", &more);
    let response = lab.send(STRANGER, &long);
    assert!(status(&response) == "200" && response.len() > 1_500);
    let short = lab.asked(STRANGER, "SUBSCRIBE", "1@abc.com", "9@abc.com", "");
    assert_eq!(lab.send("198.51.100.1:5060", &short), "");
    assert_eq!(lab.counter("responses_withheld"), 1);
    assert_eq!(lab.send(STRANGER, &long), response, "a true copy");
}

/// The shortest requests that are served, without a password.
#[test]
fn a_success_of_a_short_request_is_no_amplifier() {
    let mut lab = Lab::new(AuthMode::None, OverloadOptions::default());
    let registrar = Domain {
        auth: AuthMode::None,
        open: true,
        is_registrar: true,
        ..Domain::new("abc.com")
    };
    let mut directory = Directory::default();
    directory.add_domain(registrar, &[]).unwrap();
    lab.reload(directory);
    let contacts = |from: usize| {
        let named = (from..from + 8).map(|n| format!("m:<sip:{n}@1.1.1.1>\r\n"));
        named.collect::<String>()
    };
    let asked = [
        ("SUBSCRIBE", "m:<sip:1@1.1.1.1>\r\no:dialog\r\n".to_owned()),
        ("OPTIONS", String::new()),
        ("REGISTER", contacts(0)),
        ("REGISTER", contacts(8)),
        ("REGISTER", String::new()),
        ("CANCEL", String::new()),
    ];
    for (number, (method, more)) in asked.iter().enumerate() {
        let request = format!(
            "{method} sip:abc.com SIP/2.0\r\nv:SIP/2.0/UDP 1.1.1.1;branch=z9hG4bK{number}\r\n\
             f:<sip:9@abc.com>;tag=1\r\nt:<sip:9@abc.com>\r\ni:{number}\r\n\
             CSeq:{number} {method}\r\n{more}\r\n"
        );
        let request = match *method {
            "SUBSCRIBE" => request.replacen("sip:abc.com", "sip:9@abc.com", 1),
            _ => request,
        };
        let response = lab.send("1.1.1.1:5060", &request);
        let expected = if *method == "CANCEL" { "481" } else { "200" };
        assert_eq!(status(&response), expected, "{request}\n{response}");
        let (sent, got) = (request.len(), response.len());
        assert!(got * 2 <= sent * 3, "{got} > 1.5 * {sent}\n{response}");
        if number == 3 {
            let names = |n: usize| response.contains(&format!("<sip:{n}@1.1.1.1>"));
            let is_own = names(8) && names(11) && !(0..8).any(names);
            assert!(is_own, "its own contacts come first: {response}");
        }
    }
}
