#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sip::message::Framing;
use crate::sip::random::rounds;

const REALM: &str = "abc.com";
const LIFE: Duration = Duration::from_secs(3600);
const START: Duration = Duration::from_secs(1_000_000);

/// A server with one account, and a phone that knows its password.
struct World {
    authenticator: Authenticator,
    secret: Secret,
    replay: ReplayWindows,
}

/// The variable parts of a request.
#[derive(Clone)]
struct Attempt {
    algorithm: &'static str,
    user: String,
    realm: &'static str,
    nonce: String,
    uri: &'static str,
    count: u32,
    qop: &'static str,
    body: &'static str,
    password: &'static str,
}

/// A realm with one user.
struct OneUser<'s>(&'s str, &'s Secret);

impl Realm for OneUser<'_> {
    fn name(&self) -> &str {
        REALM
    }

    fn secret_of(&self, username: &str) -> Option<&Secret> {
        (username == self.0).then_some(self.1)
    }

    fn is_named(&self, host: &str) -> bool {
        ["abc.com", "pbx.abc.com"].contains(&host)
    }
}

impl World {
    fn new() -> Self {
        Self {
            authenticator: Authenticator::new([1; 32], LIFE),
            secret: Secret::new("200", REALM, "geheim"),
            replay: ReplayWindows::new(8, Duration::ZERO),
        }
    }

    /// The first request after a challenge issued at [`START`].
    fn attempt(&self) -> Attempt {
        Attempt {
            algorithm: "MD5",
            user: "200".into(),
            realm: REALM,
            nonce: challenge_nonce(&self.authenticator, REALM, START, 77),
            uri: "sip:123@abc.com",
            count: 1,
            qop: "auth",
            body: "",
            password: "geheim",
        }
    }

    fn verify(&mut self, attempt: &Attempt) -> Result<String, Denied> {
        self.verify_at(attempt, START + Duration::from_secs(1))
    }

    fn verify_at(&mut self, attempt: &Attempt, time: Duration) -> Result<String, Denied> {
        self.verify_lines(
            &format!("Authorization: {}\r\n", authorization(attempt)),
            attempt.body,
            time,
        )
    }

    fn verify_lines(&mut self, lines: &str, body: &str, time: Duration) -> Result<String, Denied> {
        let request = format!(
            "SUBSCRIBE sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:200@abc.com>;tag=q1\r\nTo: <sip:123@abc.com>\r\nCall-ID: c1\r\nCSeq: 4 SUBSCRIBE\r\n{lines}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let request = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
        let realm = OneUser("200", &self.secret);
        let authorization = Authorization::read(&request, realm.name());
        self.authenticator
            .verify(&authorization, &realm, &mut self.replay, time)
            .map(|verified| verified.user)
    }
}

fn challenge(
    authenticator: &Authenticator,
    realm: &str,
    stale: bool,
    time: Duration,
    salt: u32,
) -> String {
    let mut out = Vec::new();
    let challenge = Challenge {
        realm,
        algorithms: &[Algorithm::Sha256, Algorithm::Md5],
        is_stale: stale,
        time,
        salt,
    };
    authenticator.write_challenge(&mut out, &challenge);
    String::from_utf8(out).unwrap()
}

fn challenge_nonce(
    authenticator: &Authenticator,
    realm: &str,
    time: Duration,
    salt: u32,
) -> String {
    let lines = challenge(authenticator, realm, false, time, salt);
    lines
        .split("nonce=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

/// The credentials of a client, computed independently of the server's code.
fn authorization(attempt: &Attempt) -> String {
    let Attempt {
        algorithm,
        user,
        realm,
        nonce,
        uri,
        count,
        qop,
        body,
        password,
    } = attempt;
    let hash = |text: String| match *algorithm {
        "MD5" | "MD5-sess" => hex(&<md5::Md5 as md5::Digest>::digest(text)),
        _ => hex(&<sha2::Sha256 as sha2::Digest>::digest(text)),
    };
    let mut first = hash(format!("{user}:{realm}:{password}"));
    if algorithm.ends_with("-sess") {
        first = hash(format!("{first}:{nonce}:c0ffee"));
    }
    let second = match *qop {
        "auth-int" => hash(format!("SUBSCRIBE:{uri}:{}", hash((*body).to_owned()))),
        _ => hash(format!("SUBSCRIBE:{uri}")),
    };
    let response = hash(format!("{first}:{nonce}:{count:08x}:c0ffee:{qop}:{second}"));
    let user = user.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm={algorithm}, cnonce=\"c0ffee\", qop={qop}, nc={count:08x}"
    )
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn a_challenge_on_the_wire() {
    let world = World::new();
    let nonce = world.attempt().nonce;
    assert_eq!(
        challenge(&world.authenticator, REALM, false, START, 77),
        format!(
            "WWW-Authenticate: Digest realm=\"abc.com\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256\r\n\
             WWW-Authenticate: Digest realm=\"abc.com\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5\r\n"
        )
    );
    assert!(
        challenge(&world.authenticator, REALM, true, START, 77)
            .contains("algorithm=MD5, stale=true\r\n")
    );
    assert!(
        challenge(&world.authenticator, "a\"b\\c", false, START, 77)
            .contains("realm=\"a\\\"b\\\\c\",")
    );
    assert_ne!(
        challenge_nonce(&world.authenticator, REALM, START, 78),
        nonce
    );
}

#[test]
fn every_algorithm_and_quality_is_accepted() {
    let mut count = 0;
    let mut world = World::new();
    for algorithm in ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"] {
        for qop in ["auth", "auth-int"] {
            count += 1;
            let attempt = Attempt {
                algorithm,
                qop,
                count,
                body: "a body\r\n",
                ..world.attempt()
            };
            assert_eq!(
                world.verify(&attempt),
                Ok("200".into()),
                "{algorithm} {qop}"
            );
            let wrong = Attempt {
                password: "Geheim",
                ..attempt
            };
            assert_eq!(
                world.verify(&wrong),
                Err(Denied::Wrong),
                "{algorithm} {qop}"
            );
        }
    }
}

#[test]
fn a_changed_body_breaks_integrity() {
    let mut world = World::new();
    let attempt = Attempt {
        qop: "auth-int",
        body: "one",
        ..world.attempt()
    };
    let lines = format!("Authorization: {}\r\n", authorization(&attempt));
    assert_eq!(world.verify_lines(&lines, "two", START), Err(Denied::Wrong));
    assert_eq!(world.verify_lines(&lines, "one", START), Ok("200".into()));
}

#[test]
fn a_nonce_count_is_accepted_once_across_algorithms() {
    let mut world = World::new();
    let attempt = world.attempt();
    assert_eq!(world.verify(&attempt), Ok("200".into()));
    assert_eq!(world.verify(&attempt), Err(Denied::Stale));
    assert_eq!(
        world.verify(&Attempt {
            algorithm: "SHA-256",
            ..attempt.clone()
        }),
        Err(Denied::Stale)
    );
    assert_eq!(
        world.verify(&Attempt {
            count: 3,
            ..attempt.clone()
        }),
        Ok("200".into())
    );
    assert_eq!(
        world.verify(&Attempt {
            count: 2,
            ..attempt.clone()
        }),
        Ok("200".into()),
        "overtaken"
    );
    assert_eq!(
        world.verify(&Attempt {
            count: 2,
            ..attempt.clone()
        }),
        Err(Denied::Stale)
    );
    assert_eq!(
        world.verify(&Attempt {
            count: 100,
            ..attempt.clone()
        }),
        Ok("200".into())
    );
    assert_eq!(
        world.verify(&Attempt {
            count: 36,
            ..attempt
        }),
        Err(Denied::Stale),
        "below the window"
    );
}

#[test]
fn a_wrong_response_consumes_no_nonce_count() {
    let mut world = World::new();
    let attempt = world.attempt();
    assert_eq!(
        world.verify(&Attempt {
            password: "guess",
            ..attempt.clone()
        }),
        Err(Denied::Wrong)
    );
    assert_eq!(world.verify(&attempt), Ok("200".into()));
}

#[test]
fn a_nonce_expires_after_its_life() {
    let mut world = World::new();
    let attempt = world.attempt();
    assert_eq!(world.verify_at(&attempt, START + LIFE), Ok("200".into()));
    let late = START + LIFE + Duration::from_millis(1);
    assert_eq!(
        world.verify_at(
            &Attempt {
                count: 2,
                ..attempt.clone()
            },
            late
        ),
        Err(Denied::Stale)
    );
    let wrong = Attempt {
        count: 2,
        password: "guess",
        ..attempt.clone()
    };
    assert_eq!(
        world.verify_at(&wrong, late),
        Err(Denied::Wrong),
        "stale only for those who know the password"
    );
    let fresh = challenge_nonce(&world.authenticator, REALM, late, 5);
    assert_eq!(
        world.verify_at(
            &Attempt {
                nonce: fresh,
                ..attempt.clone()
            },
            late
        ),
        Ok("200".into())
    );

    let future = challenge_nonce(
        &world.authenticator,
        REALM,
        START + Duration::from_secs(120),
        5,
    );
    assert_eq!(
        world.verify_at(
            &Attempt {
                nonce: future,
                ..attempt
            },
            START
        ),
        Err(Denied::Stale)
    );
}

#[test]
fn foreign_and_forged_nonces_are_stale_for_those_who_know_the_password() {
    let mut world = World::new();
    let attempt = world.attempt();
    let other_realm = challenge_nonce(&world.authenticator, "abc.org", START, 77);
    let other_node = challenge_nonce(&Authenticator::new([2; 32], LIFE), REALM, START, 77);
    let forged = attempt.nonce.replacen(&attempt.nonce[..1], "f", 1);
    for nonce in [
        other_realm,
        other_node,
        forged,
        "dcd98b7102dd2f0e8b11d0f600bfb0c093".into(),
        String::new(),
    ] {
        let known = Attempt {
            nonce,
            ..attempt.clone()
        };
        assert_eq!(world.verify(&known), Err(Denied::Stale), "{}", known.nonce);
        assert_eq!(
            world.verify(&Attempt {
                password: "guess",
                ..known
            }),
            Err(Denied::Wrong)
        );
    }
    assert_eq!(world.verify(&attempt), Ok("200".into()));
}

#[test]
fn a_forgotten_nonce_is_stale_and_the_next_challenge_helps() {
    let mut world = World::new();
    let old = world.attempt();
    assert_eq!(world.verify(&old), Ok("200".into()));
    for second in 1..=8 {
        let nonce = challenge_nonce(
            &world.authenticator,
            REALM,
            START + Duration::from_secs(second),
            0,
        );
        assert_eq!(
            world.verify_at(
                &Attempt {
                    nonce,
                    ..old.clone()
                },
                START + Duration::from_secs(20)
            ),
            Ok("200".into())
        );
    }
    assert_eq!(
        world.verify(&Attempt {
            count: 2,
            ..old.clone()
        }),
        Err(Denied::Stale)
    );
    let nonce = challenge_nonce(
        &world.authenticator,
        REALM,
        START + Duration::from_secs(20),
        0,
    );
    assert_eq!(
        world.verify_at(&Attempt { nonce, ..old }, START + Duration::from_secs(21)),
        Ok("200".into())
    );
}

#[test]
fn an_unknown_user_is_wrong_with_any_password() {
    let mut world = World::new();
    for (user, password) in [
        ("201", "geheim"),
        ("", ""),
        ("200@abc.com", "geheim"),
        ("'; DROP TABLE a;--", "x"),
    ] {
        let attempt = Attempt {
            user: user.into(),
            password,
            ..world.attempt()
        };
        assert_eq!(world.verify(&attempt), Err(Denied::Wrong), "{user}");
    }
    // The secret used for unknown users authenticates no request.
    let attempt = Attempt {
        user: String::new(),
        realm: REALM,
        password: "",
        ..world.attempt()
    };
    assert_eq!(world.verify(&attempt), Err(Denied::Wrong));
}

#[test]
fn the_user_comes_back_without_escapes() {
    let mut world = World::new();
    let user = "a\"b\\c@abc.com";
    world.secret = Secret::new(user, REALM, "geheim");
    let attempt = Attempt {
        user: user.into(),
        ..world.attempt()
    };
    let lines = format!("Authorization: {}\r\n", authorization(&attempt));
    let request = format!(
        "SUBSCRIBE sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=q1\r\n\
         To: <sip:123@abc.com>\r\nCall-ID: c1\r\nCSeq: 4 SUBSCRIBE\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    let request = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
    let realm = OneUser(user, &world.secret);
    let verified = world.authenticator.verify(
        &Authorization::read(&request, realm.name()),
        &realm,
        &mut world.replay,
        START,
    );
    assert_eq!(verified.map(|verified| verified.user), Ok(user.into()));
}

/// RFC 3261 §22.4
#[test]
fn the_uri_may_name_the_domain_otherwise() {
    let mut world = World::new();
    let table = [
        ("sip:123@pbx.abc.com", true),
        ("sip:123@abc.com:5060;transport=udp", true),
        ("sip:abc.com", true),
        ("sip:pbx.abc.com", true),
        ("sip:124@abc.com", false),
        ("sip:123@xyz.com", false),
        ("sip:xyz.com", false),
        ("abc.com", false),
    ];
    for (count, (uri, is_right)) in (1..).zip(table) {
        let attempt = Attempt {
            uri,
            count,
            ..world.attempt()
        };
        let expected = match is_right {
            true => Ok("200".to_owned()),
            false => Err(Denied::Malformed),
        };
        assert_eq!(world.verify(&attempt), expected, "{uri}");
    }
}

/// RFC 2069 §2.1.2: no qop, no count, no cnonce. Each nonce can be used once.
#[test]
fn without_qop_when_that_is_allowed() {
    let mut world = World::new();
    let nonce = world.attempt().nonce;
    let hash = |text: String| hex(&<md5::Md5 as md5::Digest>::digest(text));
    let first = hash(format!("200:{REALM}:geheim"));
    let second = hash("SUBSCRIBE:sip:123@abc.com".to_owned());
    let line = |response: &str| {
        format!(
            "Authorization: Digest username=\"200\", realm=\"{REALM}\", nonce=\"{nonce}\", \
             uri=\"sip:123@abc.com\", response=\"{response}\"\r\n"
        )
    };
    let right = line(&hash(format!("{first}:{nonce}:{second}")));
    let at = START + Duration::from_secs(1);
    assert_eq!(
        world.verify_lines(&right, "", at),
        Err(Denied::NoCredentials)
    );
    world.authenticator = world.authenticator.clone().allow_rfc2069(true);
    let wrong = line(&hash("wrong".to_owned()));
    assert_eq!(world.verify_lines(&wrong, "", at), Err(Denied::Wrong));
    assert_eq!(world.verify_lines(&right, "", at), Ok("200".into()));
    assert_eq!(world.verify_lines(&right, "", at), Err(Denied::Stale));
}

#[test]
fn requests_without_credentials_of_ours() {
    let mut world = World::new();
    let other_realm = authorization(&Attempt {
        realm: "abc.org",
        ..world.attempt()
    });
    let unknown = authorization(&world.attempt()).replace("=MD5", "=token");
    let legacy = authorization(&world.attempt()).replace("qop=auth, ", "");
    for value in [
        "Basic MjAwOmdlaGVpbQ==",
        "NoOneKnowsThisScheme opaque-data=here",
        &other_realm,
        &unknown,
        &legacy,
    ] {
        let lines = format!("Authorization: {value}\r\n");
        assert_eq!(
            world.verify_lines(&lines, "", START),
            Err(Denied::NoCredentials),
            "{value}"
        );
    }
    assert_eq!(
        world.verify_lines("", "", START),
        Err(Denied::NoCredentials)
    );
}

#[test]
fn the_authorization_of_our_realm_is_found_among_others() {
    let mut world = World::new();
    let ours = authorization(&world.attempt());
    let other_realm = authorization(&Attempt {
        realm: "abc.org",
        ..world.attempt()
    });
    let unknown = ours.replace("=MD5", "=SHA-512-256");
    let lines = [
        "Basic eDp5",
        "Digest broken=\"",
        &other_realm,
        &unknown,
        &ours,
    ]
    .map(|value| format!("Authorization: {value}\r\n"))
    .concat();
    assert_eq!(world.verify_lines(&lines, "", START), Ok("200".into()));
}

#[test]
fn credentials_that_cannot_be_read() {
    let mut world = World::new();
    let ours = authorization(&world.attempt());
    let long = ours.replace(
        "username=\"200\"",
        &format!("username=\"{}\"", "a".repeat(4096)),
    );
    let twice = format!("{ours}, nc=00000001");
    let open = ours.replace("username=\"200\"", "username=\"200");
    let no_response = ours.replace("response=", "answer=");
    let zero = ours.replace("nc=00000001", "nc=00000000");
    for value in [&long, &twice, &open, &no_response, &zero] {
        let lines = format!("Authorization: {value}\r\n");
        assert_eq!(
            world.verify_lines(&lines, "", START),
            Err(Denied::Malformed),
            "{value}"
        );
    }
}

#[test]
fn responses_that_are_no_hash_are_wrong() {
    let mut world = World::new();
    let ours = authorization(&world.attempt());
    let response = ours
        .split("response=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    for wrong in [
        String::new(),
        response[1..].into(),
        format!("{response}0"),
        "\u{fc}".repeat(16),
        "0".repeat(65),
    ] {
        let lines = format!("Authorization: {}\r\n", ours.replace(response, &wrong));
        assert_eq!(
            world.verify_lines(&lines, "", START),
            Err(Denied::Wrong),
            "{wrong}"
        );
    }
    let lines = format!(
        "Authorization: {}\r\n",
        ours.replace(response, &response.to_uppercase())
    );
    assert_eq!(world.verify_lines(&lines, "", START), Ok("200".into()));
}

#[test]
fn the_uri_must_mean_the_request() {
    let mut world = World::new();
    let mut count = 0;
    for uri in [
        "sip:123@abc.com",
        "sip:%3123@ABC.com",
        "sip:123@abc.com:5060",
        "sip:123@abc.com;transport=udp",
        "sips:123@abc.com",
    ] {
        count += 1;
        let attempt = Attempt {
            uri,
            count,
            ..world.attempt()
        };
        assert_eq!(world.verify(&attempt), Ok("200".into()), "{uri}");
    }
    for uri in [
        "sip:124@abc.com",
        "sip:123@abc.org",
        "sip:abc.org",
        "sip:123@",
        "",
        "*",
        "tel:123",
        "sip:%zz@abc.com",
    ] {
        count += 1;
        let attempt = Attempt {
            uri,
            count,
            ..world.attempt()
        };
        assert_eq!(world.verify(&attempt), Err(Denied::Malformed), "{uri}");
    }
}

#[test]
fn folded_credentials_are_read() {
    let mut world = World::new();
    let folded = authorization(&world.attempt()).replace(", ", " ,\r\n\t");
    assert_eq!(
        world.verify_lines(&format!("Authorization: {folded}\r\n"), "", START),
        Ok("200".into())
    );
}

/// No change of a single octet authenticates another user, whatever else it breaks.
#[test]
fn mutated_credentials_authenticate_no_other_user() {
    let mut world = World::new();
    let ours = authorization(&world.attempt()).into_bytes();
    let (mut tried, mut denied) = (0, 0);
    // Every octet; under Miri each hundredth.
    for position in (0..ours.len()).step_by(100 / rounds(100)) {
        for octet in [b' ', b'"', b'\\', b',', b'=', b'0', b'Z', 0x7f] {
            tried += 1;
            let mut value = ours.clone();
            value[position] = octet;
            let lines = format!("Authorization: {}\r\n", String::from_utf8(value).unwrap());
            world.replay = ReplayWindows::new(8, Duration::ZERO);
            match world.verify_lines(&lines, "", START) {
                Ok(user) => assert_eq!(user, "200"),
                Err(_) => denied += 1,
            }
        }
    }
    assert!(8 * denied > 5 * tried, "{denied} of {tried}");
}
