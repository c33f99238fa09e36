//! The client's side of digest authentication (RFC 7616), written independently of the server's: a
//! dialogue writes `{digest user=123 password=secret}` in place of the header's value.
//!
//! Other keys: `realm`, `nonce`, `uri`, `algorithm` (default: those of the last challenge for that
//! algorithm, MD5 unless specified), `nc` (default 1), `cnonce`, `qop` (`none` for RFC 2069),
//! `response` (to send a wrong one). A blank in a password is written `%20`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The server's last challenge, by algorithm.
#[derive(Default)]
pub(crate) struct Challenges {
    by_algorithm: BTreeMap<String, BTreeMap<String, String>>,
}

impl Challenges {
    /// Remembers the challenges of a response.
    pub(crate) fn learn(&mut self, message: &[u8]) {
        for line in String::from_utf8_lossy(message).lines() {
            if let Some(value) = line.strip_prefix("WWW-Authenticate: Digest ") {
                let parameters: BTreeMap<String, String> =
                    value.split(',').filter_map(parameter).collect();
                let algorithm = parameters
                    .get("algorithm")
                    .cloned()
                    .unwrap_or_else(|| "MD5".to_owned());
                self.by_algorithm.insert(algorithm, parameters);
            }
        }
    }

    /// Replaces the digest directive of a message, if it has one.
    pub(crate) fn fill(&self, message: &str) -> Result<String, String> {
        let Some(start) = message.find("{digest ") else {
            return Ok(message.to_owned());
        };
        let length = message[start..].find('}').ok_or("an unfinished {digest")?;
        let wishes: BTreeMap<&str, &str> = message[start + 8..start + length]
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .collect();
        let mut request_line = message.split(' ');
        let (method, uri) = (
            request_line.next().unwrap_or_default(),
            request_line.next().unwrap_or_default(),
        );
        let value = self.credentials(&wishes, method, uri)?;
        Ok(format!(
            "{}{value}{}",
            &message[..start],
            &message[start + length + 1..]
        ))
    }

    fn credentials(
        &self,
        wishes: &BTreeMap<&str, &str>,
        method: &str,
        uri: &str,
    ) -> Result<String, String> {
        let algorithm = wishes.get("algorithm").copied().unwrap_or("MD5");
        let challenge = self.by_algorithm.get(algorithm);
        let asked = |key: &str| {
            let wished = wishes.get(key).map(|value| (*value).to_owned());
            wished.or_else(|| challenge.and_then(|challenge| challenge.get(key).cloned()))
        };
        let wish =
            |key: &str, default: &str| wishes.get(key).copied().unwrap_or(default).to_owned();
        let realm = asked("realm").ok_or("no challenge to answer")?;
        let nonce = asked("nonce").ok_or("no challenge to answer")?;
        let (user, uri) = (wish("user", ""), wish("uri", uri));
        let (nc, cnonce, qop) = (
            wish("nc", "1"),
            wish("cnonce", "0a4f113b"),
            wish("qop", "auth"),
        );
        let nc = format!("{:08x}", nc.parse::<u32>().map_err(|_| "nc is a number")?);

        let password = wish("password", "").replace("%20", " ");
        let secret = hash(algorithm, &format!("{user}:{realm}:{password}"));
        let request = hash(algorithm, &format!("{method}:{uri}"));
        let response = match qop.as_str() {
            "none" => hash(algorithm, &format!("{secret}:{nonce}:{request}")),
            _ => hash(
                algorithm,
                &format!("{secret}:{nonce}:{nc}:{cnonce}:{qop}:{request}"),
            ),
        };
        let response = wish("response", &response);
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={algorithm}"
        );
        if qop != "none" {
            let _ = write!(value, ", cnonce=\"{cnonce}\", qop={qop}, nc={nc}");
        }
        if let Some(opaque) = asked("opaque") {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        Ok(value)
    }
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim().split_once('=')?;
    Some((key.to_owned(), value.trim_matches('"').to_owned()))
}

fn hash(algorithm: &str, text: &str) -> String {
    let octets = match algorithm {
        "SHA-256" => Sha256::digest(text).to_vec(),
        _ => Md5::digest(text).to_vec(),
    };
    octets.iter().fold(String::new(), |mut digits, octet| {
        let _ = write!(digits, "{octet:02x}");
        digits
    })
}

#[test]
fn the_example_of_rfc_7616_is_reproduced() {
    // RFC 7616 section 3.9.1.
    let mut challenges = Challenges::default();
    let parameters = "realm=\"http-auth@example.org\", qop=\"auth\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"";
    let expected = [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ];
    for (algorithm, response) in expected {
        challenges.learn(
            format!("WWW-Authenticate: Digest {parameters}, algorithm={algorithm}\r\n").as_bytes(),
        );
        let directive = format!(
            "{{digest user=Mufasa password=Circle%20of%20Life algorithm={algorithm} \
             cnonce=f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ}}"
        );
        let request = format!("GET /dir/index.html HTTP/1.1\r\nAuthorization: {directive}\r\n");
        let filled = challenges.fill(&request).unwrap();
        assert!(
            filled.contains(&format!("response=\"{response}\"")),
            "{filled}"
        );
    }
}
