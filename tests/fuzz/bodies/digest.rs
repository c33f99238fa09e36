//! An Authorization or a challenge: without the password no header value is accepted,
//! and our credentials for any challenge are one line.

use std::sync::OnceLock;
use std::time::Duration;

use lamplighter::sip::Message;
use lamplighter::sip::digest::client::{Challenged, Login, ReceivedChallenge};
use lamplighter::sip::digest::{
    Authenticator, Authorization, Realm, ReplayWindows, Secret, named_user,
};
use lamplighter::sip::message::Framing;

const REALM: &str = "abc.com";
const UPTIME: Duration = Duration::from_secs(100);

/// A domain with one account, whose password is in no seed.
struct Accounts(Secret);

impl Realm for Accounts {
    fn name(&self) -> &str {
        REALM
    }

    fn secret_of(&self, username: &str) -> Option<&Secret> {
        (username == "9").then_some(&self.0)
    }

    fn is_named(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(REALM)
    }
}

/// The octets are the value of an Authorization, and of a WWW-Authenticate.
pub(crate) fn digest(octets: &[u8]) {
    if octets.contains(&b'\n') {
        return;
    }
    authorization(octets);
    challenge(octets);
}

fn authorization(value: &[u8]) {
    static SERVER: OnceLock<(Authenticator, Accounts)> = OnceLock::new();
    let (authenticator, accounts) = SERVER.get_or_init(|| {
        let authenticator = Authenticator::new([1; 32], Duration::from_secs(7200));
        let secret = Secret::new("9", REALM, "correct horse battery staple");
        (authenticator.allow_rfc2069(true), Accounts(secret))
    });
    let head = b"SUBSCRIBE sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
        From: <sip:9@abc.com>;tag=1\r\nTo: <sip:123@abc.com>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n\
        Authorization: ";
    let request = [head, value, b"\r\n\r\n"].concat();
    let Ok(request) = Message::parse(&request, Framing::Datagram) else {
        return;
    };
    let authorization = Authorization::read(&request, REALM);
    let named = (authorization.claimed_user(), named_user(&request));
    let _ = (named, authenticator.has_credentials(&request, REALM));
    let _ = authenticator.salt_of(&request, REALM, UPTIME);
    let mut replay = ReplayWindows::new(4, Duration::ZERO);
    let verified = authenticator.verify(&authorization, accounts, &mut replay, UPTIME);
    assert!(verified.is_err(), "without the password");
}

fn challenge(value: &[u8]) {
    for (code, name) in [(401, "WWW-Authenticate: "), (407, "Proxy-Authenticate: ")] {
        let head = format!(
            "SIP/2.0 {code} Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
            From: <sip:9@abc.com>;tag=1\r\nTo: <sip:123@abc.com>;tag=2\r\nCall-ID: 1\r\n\
            CSeq: 1 SUBSCRIBE\r\n{name}"
        );
        let response = [head.as_bytes(), value, b"\r\n\r\n"].concat();
        let Ok(response) = Message::parse(&response, Framing::Datagram) else {
            continue;
        };
        let Some(mut challenge) = ReceivedChallenge::of(&response, code) else {
            continue;
        };
        let login = Login {
            user: "9".into(),
            password: "secret".into(),
        };
        let request = Challenged {
            method: b"SUBSCRIBE",
            uri: b"sip:123@abc.com",
            body: b"",
        };
        let mut out = Vec::new();
        challenge.write_credentials(&mut out, &login, &request, b"0123456789abcdef");
        let lines = out.iter().filter(|octet| **octet == b'\n').count();
        assert!(lines == 1 && out.ends_with(b"\r\n") && !out.contains(&0));
    }
}
