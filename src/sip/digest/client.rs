//! Digest access authentication as a client (RFC 7616 §3.4, RFC 3261 §22.2-22.3): reads the
//! challenge of a 401 or 407 and writes the credentials for it.
//!
//! MD5 and SHA-256 with their `-sess` variants, qop `auth` and `auth-int`, and the form without qop
//! of RFC 2069. Of several challenges, the first supported one is used, because the server lists
//! them in its order of preference (RFC 8760 §2.4).

use super::credentials::{Credentials, Quality, Unreadable, each_parameter, unescape};
use super::{Algorithm, Secret, write_quotable};
use crate::sip::{HeaderName, Message};

/// Maximum octets of a realm, nonce or opaque value. A longer challenge is ignored.
const VALUE_OCTETS_MAX: usize = 512;
/// Digits of our cnonce.
pub const CNONCE_DIGITS: usize = 16;

/// Our user name and password at a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: Box<str>,
    /// The password.
    pub password: Box<str>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").finish_non_exhaustive()
    }
}

/// A received challenge that is supported.
#[derive(Clone, Debug)]
pub struct ReceivedChallenge {
    /// Authorization for a 401, Proxy-Authorization for a 407.
    header: &'static str,
    /// The text between its quotes, including escapes.
    realm: Box<[u8]>,
    nonce: Box<[u8]>,
    opaque: Option<Box<[u8]>>,
    algorithm: Algorithm,
    is_session: bool,
    names_algorithm: bool,
    /// None for RFC 2069.
    quality: Option<&'static str>,
    /// Only the nonce was invalid (RFC 7616 §3.3).
    pub is_stale: bool,
    /// The number of requests that used the nonce.
    count: u32,
}

/// The request that the credentials are for.
#[derive(Clone, Copy, Debug)]
pub struct Challenged<'a> {
    /// The method token.
    pub method: &'a [u8],
    /// The Request-URI.
    pub uri: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// The parameters of one challenge as received.
#[derive(Default)]
struct Received<'a> {
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    opaque: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    is_stale: bool,
}

impl ReceivedChallenge {
    /// The first supported challenge of a 401 or 407; None if there is none.
    #[must_use]
    pub fn of(response: &Message<'_>, code: u16) -> Option<Self> {
        let read = |header| move |value| Self::read(header, value);
        if code == 407 {
            let mut values = response.other_headers("Proxy-Authenticate");
            return values.find_map(read("Proxy-Authorization"));
        }
        let mut values = response.headers(HeaderName::WwwAuthenticate);
        values.find_map(read("Authorization"))
    }

    /// Returns whether it belongs to another kind of response than `other`, so that a request needs
    /// credentials for both.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.header != other.header
    }

    /// Returns whether it has the same nonce, which means that the credentials with it were
    /// refused.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        self.nonce == other.nonce
    }

    fn read(header: &'static str, value: &[u8]) -> Option<Self> {
        let received = Received::read(value).ok()?;
        let (algorithm, is_session) = match received.algorithm {
            Some(name) => Algorithm::from_token(name)?,
            None => (Algorithm::Md5, false),
        };
        let quality = match received.qop {
            Some(offered) => Some(quality_of(offered)?),
            None => None,
        };
        Some(Self {
            header,
            realm: received.realm?.into(),
            nonce: received.nonce?.into(),
            opaque: received.opaque.map(Box::from),
            algorithm,
            is_session: is_session && quality.is_some(),
            names_algorithm: received.algorithm.is_some(),
            quality,
            is_stale: received.is_stale,
            count: 0,
        })
    }

    /// Appends the header line with our credentials.
    pub fn write_credentials(
        &mut self,
        out: &mut Vec<u8>,
        login: &Login,
        request: &Challenged<'_>,
        cnonce: &[u8; CNONCE_DIGITS],
    ) {
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let response = self.response(login, request, count.as_bytes(), cnonce);
        out.extend_from_slice(self.header.as_bytes());
        out.extend_from_slice(b": Digest username=\"");
        write_quotable(out, &login.user);
        write_quoted(out, "realm", &self.realm);
        write_quoted(out, "nonce", &self.nonce);
        write_quoted(out, "uri", request.uri);
        write_quoted(out, "response", &response);
        out.push(b'"');
        if self.names_algorithm {
            out.extend_from_slice(b", algorithm=");
            out.extend_from_slice(self.algorithm.token().as_bytes());
            out.extend_from_slice(if self.is_session { b"-sess" } else { b"" });
        }
        if let Some(opaque) = &self.opaque {
            out.extend_from_slice(b", opaque=\"");
            out.extend_from_slice(opaque);
            out.push(b'"');
        }
        if let Some(quality) = self.quality {
            out.extend_from_slice(b", qop=");
            out.extend_from_slice(quality.as_bytes());
            out.extend_from_slice(b", nc=");
            out.extend_from_slice(count.as_bytes());
            out.extend_from_slice(b", cnonce=\"");
            out.extend_from_slice(cnonce);
            out.push(b'"');
        }
        out.extend_from_slice(b"\r\n");
    }

    fn response(
        &self,
        login: &Login,
        request: &Challenged<'_>,
        count_text: &[u8],
        cnonce: &[u8],
    ) -> Vec<u8> {
        let realm: Vec<u8> = unescape(&self.realm).collect();
        let secret = Secret::of_realm(&login.user, &realm, &login.password);
        let quality = self.quality.map(|qop| Quality {
            count_text,
            cnonce,
            qop: qop.as_bytes(),
        });
        let credentials = Credentials {
            algorithm: self.algorithm,
            session: self.is_session,
            integrity: self.quality == Some("auth-int"),
            nonce: &self.nonce,
            uri: request.uri,
            response: b"",
            count: self.count,
            quality,
        };
        let expected = credentials.expected_response(&secret, request.method, request.body);
        // The secret was made from the password: it has the hash of every algorithm.
        expected.map_or_else(Vec::new, |expected| expected.as_bytes().to_vec())
    }
}

impl<'a> Received<'a> {
    fn read(value: &'a [u8]) -> Result<Self, Unreadable> {
        let mut received = Self::default();
        each_parameter(value, |name, value| {
            let slot = match name.to_ascii_lowercase().as_slice() {
                b"realm" => &mut received.realm,
                b"nonce" => &mut received.nonce,
                b"opaque" => &mut received.opaque,
                b"algorithm" => &mut received.algorithm,
                b"qop" => &mut received.qop,
                b"stale" => {
                    received.is_stale = value.eq_ignore_ascii_case(b"true");
                    return Some(());
                }
                _ => return Some(()),
            };
            let is_usable =
                value.len() <= VALUE_OCTETS_MAX && !value.iter().any(u8::is_ascii_control);
            (slot.replace(value).is_none() && is_usable).then_some(())
        })?;
        Ok(received)
    }
}

/// The best of the qop values offered; None if all are unknown.
fn quality_of(offered: &[u8]) -> Option<&'static str> {
    let offers = |quality: &str| {
        let mut items = offered.split(|octet| *octet == b',');
        items.any(|item| item.trim_ascii().eq_ignore_ascii_case(quality.as_bytes()))
    };
    ["auth", "auth-int"]
        .into_iter()
        .find(|quality| offers(quality))
}

/// Ends the previous value, and begins the next one: `", name="value`.
fn write_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b"\", ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(value);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sip::digest::{Authenticator, Authorization, Challenge, Realm, ReplayWindows};
    use crate::sip::message::Framing;

    struct Home(Secret);

    impl Realm for Home {
        fn name(&self) -> &str {
            "abc.com"
        }

        fn secret_of(&self, username: &str) -> Option<&Secret> {
            (username == "1\"2").then_some(&self.0)
        }

        fn is_named(&self, host: &str) -> bool {
            host == "abc.com"
        }
    }

    fn login() -> Login {
        Login {
            user: "1\"2".into(),
            password: "secret".into(),
        }
    }

    fn challenge(lines: &str, code: u16) -> Option<ReceivedChallenge> {
        let text = format!("SIP/2.0 {code} X\r\n{lines}Content-Length: 0\r\n\r\n");
        let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
        ReceivedChallenge::of(&message, code)
    }

    fn credentials(challenge: &mut ReceivedChallenge, body: &[u8]) -> String {
        let mut out = Vec::new();
        let request = Challenged {
            method: b"PUBLISH",
            uri: b"sip:12@abc.com",
            body,
        };
        challenge.write_credentials(&mut out, &login(), &request, b"0123456789abcdef");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_server_accepts_what_the_client_writes() {
        let server = Authenticator::new([3; 32], Duration::from_secs(60)).allow_rfc2069(true);
        let home = Home(Secret::new("1\"2", "abc.com", "secret"));
        let mut offered = Vec::new();
        server.write_challenge(
            &mut offered,
            &Challenge {
                realm: "abc.com",
                algorithms: &[Algorithm::Sha256, Algorithm::Md5],
                is_stale: false,
                time: Duration::from_secs(1),
                salt: 1,
            },
        );
        let offered = String::from_utf8(offered).unwrap();
        let (sha256, md5) = offered.split_once("\r\n").unwrap();
        let table = [
            offered.clone(),
            md5.to_owned(),
            format!("{sha256}\r\n").replace("SHA-256", "SHA-256-sess"),
            md5.replace("\"auth\"", "\"x, auth-int\""),
        ];
        for lines in table {
            let mut challenge = challenge(&lines, 401).unwrap();
            for count in 1..3 {
                let line = credentials(&mut challenge, b"body");
                assert!(line.contains(&format!("nc=0000000{count}")), "{line}");
                let request = format!(
                    "PUBLISH sip:12@abc.com SIP/2.0\r\n{line}Content-Length: 4\r\n\r\nbody"
                );
                let request = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
                let mut replay = ReplayWindows::new(8, Duration::ZERO);
                let authorization = Authorization::read(&request, home.name());
                let verified =
                    server.verify(&authorization, &home, &mut replay, Duration::from_secs(2));
                let user = verified.map(|verified| verified.user);
                assert_eq!(user.as_deref(), Ok("1\"2"), "{line}");
            }
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 2617 §3.5, with the cnonce of the example instead of ours.
        let mut known = challenge(
            "WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n",
            401,
        )
        .unwrap();
        known.count = 1;
        let login = Login {
            user: "Mufasa".into(),
            password: "Circle Of Life".into(),
        };
        let request = Challenged {
            method: b"GET",
            uri: b"/dir/index.html",
            body: b"",
        };
        let response = known.response(&login, &request, b"00000001", b"0a4f113b");
        assert_eq!(response, b"6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn the_first_challenge_that_can_be_answered() {
        let lines = "WWW-Authenticate: Basic realm=\"a\"\r\n\
            WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256\r\n\
            WWW-Authenticate: Digest realm=\"a\", nonce=\"2\", qop=\"token\"\r\n\
            WWW-Authenticate: Digest realm=\"a\\\"b\", nonce=\"3\", stale=TRUE\r\n";
        let mut taken = challenge(lines, 401).unwrap();
        assert!(taken.is_stale);
        let line = credentials(&mut taken, b"");
        assert!(line.starts_with(
            "Authorization: Digest username=\"1\\\"2\", realm=\"a\\\"b\", nonce=\"3\", uri="
        ));
        assert!(
            !line.contains("qop") && !line.contains("algorithm"),
            "{line}"
        );
        assert!(challenge(lines, 407).is_none());
        let proxy = lines.replace("WWW-", "Proxy-");
        let mut proxy = challenge(&proxy, 407).unwrap();
        assert!(credentials(&mut proxy, b"").starts_with("Proxy-Authorization: Digest "));
        assert!(proxy.is_beside(&taken) && proxy.repeats(&taken));
        let long = format!(
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"{}\"\r\n",
            "n".repeat(600)
        );
        assert!(challenge(&long, 401).is_none());
        assert!(challenge("WWW-Authenticate: Digest realm=\"a\", nonce=\"n\r\n", 401).is_none());
        assert_eq!(format!("{:?}", login()), "Login { .. }");
    }
}
