//! Digest access authentication as done by a phone (RFC 7616 with MD5, `qop=auth` or none).
//!
//! It has no state: [`crate::swarm`] keeps the last challenge of every account and counts its uses,
//! as phones do.

use std::fmt::Write;

use md5::{Digest, Md5};

use crate::wire::dialog_info::find;

/// The user name and password.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

/// One supported WWW-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    qop_auth: bool,
    /// The password was correct, but the nonce was too old.
    pub(crate) stale: bool,
}

impl Challenge {
    /// The first Digest challenge with MD5.
    pub(crate) fn choose<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        values.find_map(Self::parse)
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let parameters = value
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("Digest "))?;
        let parameters = &value[parameters.len()..];
        let algorithm = directive(parameters, "algorithm");
        if algorithm.is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("MD5")) {
            return None;
        }
        let qop = directive(parameters, "qop");
        Some(Self {
            realm: directive(parameters, "realm")?.to_owned(),
            nonce: directive(parameters, "nonce")?.to_owned(),
            opaque: directive(parameters, "opaque").map(str::to_owned),
            qop_auth: qop.is_some_and(|qop| qop.split(',').any(|one| one.trim() == "auth")),
            stale: directive(parameters, "stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The Authorization header line, with its line end.
    pub(crate) fn authorization(
        &self,
        credentials: Credentials<'_>,
        method: &str,
        uri: &str,
        client_nonce: &str,
        count: u32,
    ) -> String {
        let Credentials { username, password } = credentials;
        let Self { realm, nonce, .. } = self;
        let secret = hash(&format!("{username}:{realm}:{password}"));
        let request = hash(&format!("{method}:{uri}"));
        let response = if self.qop_auth {
            hash(&format!(
                "{secret}:{nonce}:{count:08x}:{client_nonce}:auth:{request}"
            ))
        } else {
            hash(&format!("{secret}:{nonce}:{request}"))
        };
        let mut line = format!(
            "Authorization: Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm=MD5"
        );
        if self.qop_auth {
            let _ = write!(
                line,
                ", qop=auth, nc={count:08x}, cnonce=\"{client_nonce}\""
            );
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(line, ", opaque=\"{opaque}\"");
        }
        line.push_str("\r\n");
        line
    }
}

/// The value of `name=value` or `name="value"`. Quoted pairs are not resolved: realm and nonce are
/// sent back unchanged.
fn directive<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let (found, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted.as_bytes())?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = find(value.as_bytes(), b",").unwrap_or(value.len());
                (value[..end].trim(), &value[end..])
            }
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.trim_start_matches([' ', ',', '\t']);
    }
    None
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rsip::headers::{ToTypedHeader, UntypedHeader};
    use rsip::services::DigestGenerator;

    use super::*;

    const CREDENTIALS: Credentials<'_> = Credentials {
        username: "1001",
        password: "se:cret",
    };

    fn verify(challenge: &str) -> bool {
        let challenge = Challenge::choose([challenge.as_bytes()].into_iter()).unwrap();
        let line =
            challenge.authorization(CREDENTIALS, "SUBSCRIBE", "sip:1002@abc.com", "c0ffee", 1);
        let value = line.strip_prefix("Authorization: ").unwrap().trim_end();
        let header = rsip::headers::Authorization::new(value).typed().unwrap();
        DigestGenerator::from(&header, CREDENTIALS.password, &rsip::Method::Subscribe)
            .verify(&header.response)
    }

    #[test]
    fn another_implementation_takes_the_answers() {
        assert!(verify(
            "Digest realm=\"abc.com\", nonce=\"n1,x\", algorithm=MD5, qop=\"auth\""
        ));
        assert!(verify(
            "Digest nonce=\"n1\",realm=\"abc.com\",opaque=\"5c=\""
        ));
    }

    #[test]
    fn the_example_of_the_standard_is_reproduced() {
        // RFC 2617 §3.5, with the client nonce of that example.
        let challenge = Challenge {
            realm: "testrealm@host.com".to_owned(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned(),
            opaque: None,
            qop_auth: true,
            stale: false,
        };
        let credentials = Credentials {
            username: "Mufasa",
            password: "Circle Of Life",
        };
        let line = challenge.authorization(credentials, "GET", "/dir/index.html", "0a4f113b", 1);
        assert!(
            line.contains("response=\"6629fae49393a05397450978507c4ef1\""),
            "{line}"
        );
    }

    #[test]
    fn only_digest_with_md5_is_chosen() {
        let values: [&[u8]; 4] = [
            b"Basic realm=\"x\"",
            b"Digest realm=\"a\", nonce=\"1\", algorithm=SHA-256",
            b"digest realm=\"b\", nonce=\"2\", algorithm=md5, qop=\"auth-int,auth\"",
            b"Digest realm=\"c\", nonce=\"3\"",
        ];
        let chosen = Challenge::choose(values.into_iter()).unwrap();
        assert_eq!((chosen.realm.as_str(), chosen.qop_auth), ("b", true));
        assert_eq!(Challenge::choose(values.into_iter().take(2)), None);
        assert_eq!(
            Challenge::choose([b"Digest realm=\"a".as_slice()].into_iter()),
            None
        );
    }
}
