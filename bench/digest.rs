//! The cost of a digest challenge and of verifying its Authorization (RFC 7616), compared with the
//! bare hash of as many octets.
//!
//! MD5, as every phone does it: the challenge with its nonce, and an Authorization that is right,
//! each with a count the server has not seen.
//!
//! `cargo bench --bench digest`, ten seconds.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use lamplighter::sip::Message;
use lamplighter::sip::digest::{
    Algorithm, Authenticator, Authorization, Challenge, Realm, ReplayWindows, Secret,
};
use lamplighter::sip::message::Framing;
use lamplighter_bench::Error;
use md5::{Digest, Md5};

const REALM: &str = "b.test";
const URI: &str = "sip:p7@b.test";
const UPTIME: Duration = Duration::from_secs(10);

/// A realm where every user has that secret.
struct OneUser<'s>(&'s Secret);

impl Realm for OneUser<'_> {
    fn name(&self) -> &str {
        REALM
    }

    fn secret_of(&self, _: &str) -> Option<&Secret> {
        Some(self.0)
    }

    fn is_named(&self, host: &str) -> bool {
        host == REALM
    }
}

fn hash(text: &str) -> String {
    let octets = Md5::digest(text.as_bytes());
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A phone's SUBSCRIBE with the count-th use of a nonce.
fn subscribe(nonce: &str, count: u32) -> Vec<u8> {
    let secret = hash(&format!("w7:{REALM}:secret"));
    let request = hash(&format!("SUBSCRIBE:{URI}"));
    let response = hash(&format!(
        "{secret}:{nonce}:{count:08x}:c0ffee:auth:{request}"
    ));
    format!(
        "SUBSCRIBE {URI} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKa;rport\r\n\
         From: <sip:w7@{REALM}>;tag=f\r\nTo: <{URI}>\r\nCall-ID: c\r\nCSeq: 2 SUBSCRIBE\r\n\
         Contact: <sip:w7@10.0.0.9>\r\nEvent: dialog\r\nMax-Forwards: 70\r\n\
         Authorization: Digest username=\"w7\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{URI}\", \
         response=\"{response}\", algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc={count:08x}\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn main() -> Result<(), Error> {
    let authenticator = Authenticator::new([7; 32], Duration::from_secs(7200));
    let secret = Secret::new("w7", REALM, "secret");
    let mut replay = ReplayWindows::new(65_536, Duration::ZERO);
    let challenge = Challenge {
        realm: REALM,
        algorithms: &[Algorithm::Md5],
        is_stale: false,
        time: UPTIME,
        salt: 1,
    };
    let mut written = Vec::new();
    authenticator.write_challenge(&mut written, &challenge);
    let text = String::from_utf8(written.clone())?;
    let nonce = text
        .split("nonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let nonce = nonce.ok_or("a challenge without a nonce")?.to_owned();

    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    criterion.bench_function("digest/challenge", |bencher| {
        bencher.iter(|| {
            written.clear();
            let out = black_box(&mut written);
            authenticator.write_challenge(out, &challenge);
        });
    });
    let mut count = 0;
    criterion.bench_function("digest/verify", |bencher| {
        let next = || {
            count += 1;
            subscribe(&nonce, count)
        };
        let verify = |octets: Vec<u8>| {
            let message = Message::parse(&octets, Framing::Datagram);
            let realm = OneUser(&secret);
            let verified = message.map(|message| {
                let authorization = Authorization::read(&message, realm.name());
                authenticator
                    .verify(&authorization, &realm, &mut replay, UPTIME)
                    .is_ok()
            });
            assert!(
                matches!(verified, Ok(true)),
                "right credentials are accepted"
            );
        };
        bencher.iter_batched(next, verify, BatchSize::SmallInput);
    });
    criterion.bench_function("digest/three bare hashes", |bencher| {
        bencher.iter(|| {
            for octets in [&[1_u8; 24][..], &[2; 23], &[3; 150]] {
                black_box(Md5::digest(black_box(octets)));
            }
        });
    });
    criterion.final_summary();
    Ok(())
}
