//! Hides passwords, and what is computed from them, in a message that leaves the process for a reader.
//!
//! Masked are: in credentials, everything but the parameters that are known to be harmless, so `response` of
//! Digest and all of any other scheme; the password of a URI; values with a name like `password`, in headers
//! and bodies. Each octet becomes `*`, but for line ends, so that all lengths stay true.
//!
//! It reads lines and not the parser's view: a message that is malformed must not show what is hidden in a
//! sound one. In doubt it hides too much.

use std::ops::Range;

use memchr::memchr3;

/// Headers with credentials, which begin with a scheme.
const CREDENTIALS: [&str; 2] = ["authorization", "proxy-authorization"];
/// Headers with parameters that prove knowledge of the password, without a scheme.
const PROOFS: [&str; 2] = ["authentication-info", "proxy-authentication-info"];
/// Parameters of credentials that reveal nothing about the password.
const HARMLESS: [&str; 12] = [
    "algorithm",
    "cnonce",
    "nc",
    "nextnonce",
    "nonce",
    "opaque",
    "qop",
    "realm",
    "stale",
    "uri",
    "userhash",
    "username",
];
/// Schemes of URIs that may have a password.
const SCHEMES: [&str; 2] = ["sip", "sips"];
/// Names of values that are hidden in headers and bodies.
const SECRET_NAMES: [&str; 5] = ["password", "passwd", "passphrase", "pwd", "secret"];

/// Masks a message in place.
pub(super) fn mask(message: &mut [u8]) {
    for field in fields(message) {
        mask_field(&mut message[field]);
    }
    mask_values(message);
}

/// The header fields, each with the lines that continue it, up to the body.
fn fields(message: &[u8]) -> Vec<Range<usize>> {
    let mut fields: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let end = start + line.len();
        let is_empty = line.trim_ascii().is_empty();
        match (line.first(), fields.last_mut()) {
            (_, Some(_)) if is_empty => break,
            (Some(b' ' | b'\t'), Some(last)) => last.end = end,
            // Line ends before the message.
            _ if is_empty => {}
            _ => fields.push(start..end),
        }
        start = end;
    }
    fields
}

fn mask_field(field: &mut [u8]) {
    let Some(colon) = field.iter().position(|octet| *octet == b':') else {
        return;
    };
    let (name, value) = field.split_at_mut(colon);
    let value = &mut value[1..];
    if is_one_of(name, &PROOFS) {
        mask_parameters(value);
    } else if is_one_of(name, &CREDENTIALS) {
        let start = value.len() - value.trim_ascii_start().len();
        let scheme = value[start..]
            .iter()
            .take_while(|octet| octet.is_ascii_alphanumeric());
        let end = start + scheme.count();
        if value[start..end].eq_ignore_ascii_case(b"digest") {
            mask_parameters(&mut value[end..]);
        } else {
            // Without a scheme, the first word is a part of the secret.
            let rest = value[end..].trim_ascii_start();
            let has_scheme = !rest.is_empty() && rest.len() < value.len() - end;
            blank(&mut value[if has_scheme { end } else { start }..]);
        }
    }
}

/// Whether a name, with white space around it, is one of these, in any case.
fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    let name = name.trim_ascii();
    names
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Masks parameters, separated by commas, that are not known to be harmless.
fn mask_parameters(parameters: &mut [u8]) {
    let mut at = 0;
    while at < parameters.len() {
        let (end, is_sound) = parameter_end(&parameters[at..]);
        let parameter = &mut parameters[at..at + end];
        let equals = parameter.iter().position(|octet| *octet == b'=');
        let is_known = |equals: usize| is_one_of(&parameter[..equals], &HARMLESS);
        if !(is_sound && equals.is_some_and(is_known)) {
            let value = equals.map_or(0, |equals| equals + 1);
            blank_value(&mut parameter[value..]);
        }
        at += end + 1;
    }
}

/// Where a parameter ends: at a comma outside quotes. And whether its value is one token or one quoted text.
fn parameter_end(text: &[u8]) -> (usize, bool) {
    let (mut is_quoted, mut is_escaped, mut quotes) = (false, false, 0);
    let mut is_closed = false;
    let mut is_sound = true;
    for (at, octet) in text.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => {
                is_quoted = !is_quoted;
                quotes += 1;
                is_closed = !is_quoted;
            }
            b',' if !is_quoted => return (at, is_sound && quotes <= 2),
            _ if is_closed && !octet.is_ascii_whitespace() => is_sound = false,
            _ => {}
        }
    }
    (text.len(), is_sound && !is_quoted && quotes <= 2)
}

/// Masks the passwords of URIs, and `password=x`, `"password": "x"`, `<password>x</password>` and the like.
fn mask_values(message: &mut [u8]) {
    let mut at = 0;
    let mut host = Ahead::new(|octet| octet == b'@');
    let mut end = Ahead::new(|octet| octet.is_ascii_whitespace() || b"<>\"'".contains(&octet));
    while let Some(found) = memchr3(b'=', b':', b'>', &message[at..]) {
        let separator = message[at + found];
        at += found + 1;
        let (host, end) = (host.position(message, at), end.position(message, at));
        let (before, value) = message.split_at_mut(at);
        let before = &before[..before.len() - 1];
        if separator == b':' && ends_with(before, &SCHEMES) {
            if host < end {
                mask_password(&mut value[..host - at]);
            }
        } else if ends_with(without_quotes(before), &SECRET_NAMES) {
            let ends: &[u8] = match separator {
                b'=' => b"\r\n\t <>;,&",
                b':' => b"\r\n,}",
                _ => b"<",
            };
            mask_until(value, ends);
        }
    }
}

/// Masks what is behind the colon of `user:password`.
fn mask_password(userinfo: &mut [u8]) {
    if let Some(colon) = userinfo.iter().position(|octet| *octet == b':') {
        blank(&mut userinfo[colon + 1..]);
    }
}

/// Finds the next octet of a kind from positions that never decrease: all searches together take one pass.
struct Ahead {
    is_wanted: fn(u8) -> bool,
    found: Option<usize>,
}

impl Ahead {
    fn new(is_wanted: fn(u8) -> bool) -> Self {
        Self {
            is_wanted,
            found: None,
        }
    }

    /// The first one from a position on; the length of the message if there is none.
    fn position(&mut self, message: &[u8], from: usize) -> usize {
        if let Some(found) = self.found.filter(|found| *found >= from) {
            return found;
        }
        let ahead = message[from..]
            .iter()
            .position(|octet| (self.is_wanted)(*octet));
        let found = ahead.map_or(message.len(), |ahead| from + ahead);
        self.found = Some(found);
        found
    }
}

/// A name, without the quote and the blanks that may stand behind it.
fn without_quotes(name: &[u8]) -> &[u8] {
    let is_part = |octet: &u8| !b" \t\"'".contains(octet);
    let end = name.iter().rposition(is_part).map_or(0, |last| last + 1);
    &name[..end]
}

/// Whether a text ends with one of these words, in any case.
fn ends_with(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        let start = text.len().checked_sub(word.len());
        start.is_some_and(|start| text[start..].eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Masks a value, in quotes or up to one of these octets.
fn mask_until(value: &mut [u8], ends: &[u8]) {
    let blanks = value
        .iter()
        .take_while(|octet| b" \t".contains(octet))
        .count();
    let value = &mut value[blanks..];
    let (value, ends) = match value.first() {
        Some(b'"') => (&mut value[1..], b"\"".as_slice()),
        Some(b'\'') => (&mut value[1..], b"'".as_slice()),
        _ => (value, ends),
    };
    let length = value.iter().position(|octet| ends.contains(octet));
    let length = length.unwrap_or(value.len());
    blank(&mut value[..length]);
}

/// Masks a value, but not the quotes around it.
fn blank_value(value: &mut [u8]) {
    value.split_mut(|octet| *octet == b'"').for_each(blank);
}

/// Masks octets, but not the ends of lines.
fn blank(octets: &mut [u8]) {
    for octet in octets.iter_mut() {
        if !b"\r\n\t ".contains(octet) {
            *octet = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str) -> String {
        let mut octets = text.as_bytes().to_vec();
        mask(&mut octets);
        assert_eq!(octets.len(), text.len(), "lengths stay true");
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// The value of a header, masked.
    fn value(line: &str) -> String {
        let masked = masked(&format!(
            "PUBLISH sip:h SIP/2.0\r\n{line}\r\nTo: <sip:h>\r\n\r\n"
        ));
        let (_, rest) = masked.split_once("2.0\r\n").expect("a start line");
        rest.split("\r\nTo").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_digest_shows_all_but_its_response() {
        assert_eq!(
            value(
                "Authorization: Digest username=\"9\", realm=\"a,b\", nonce=\"n\", uri=\"sip:a@h\",\r\n \
                 RESPONSE = \"0123abcd\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\", extra=7"
            ),
            "Authorization: Digest username=\"9\", realm=\"a,b\", nonce=\"n\", uri=\"sip:a@h\",\r\n \
             RESPONSE = \"********\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\", extra=*"
        );
        assert_eq!(
            value("proxy-authorization : digest response=abc,realm=\"r\""),
            "proxy-authorization : digest response=***,realm=\"r\""
        );
        assert_eq!(
            value("Authentication-Info: rspauth=\"abc\", nextnonce=\"n\""),
            "Authentication-Info: rspauth=\"***\", nextnonce=\"n\""
        );
    }

    #[test]
    fn other_schemes_show_their_name() {
        assert_eq!(
            value("Authorization: Basic YTpi"),
            "Authorization: Basic ****"
        );
        assert_eq!(
            value("Authorization: Bearer\r\n\te.y"),
            "Authorization: Bearer\r\n\t***"
        );
        assert_eq!(value("Authorization: YTpi=="), "Authorization: ******");
        assert_eq!(value("Authorization:YTpi"), "Authorization:****");
    }

    #[test]
    fn damaged_credentials_show_no_response() {
        for line in [
            "Authorization: Digest realm=\"a, response=\"deadbeef\"",
            "Authorization: Digest realm=\"a, response=deadbeef",
            "Authorization: Digest realm=\"a\\\", response=\"deadbeef\"",
            "Authorization: Digest realm=\"a\" response=\"deadbeef\"",
            "Authorization: Digest response \"deadbeef\"",
            "Authorization: Digest ,,response==deadbeef",
            "Authorization: Digest\r\n response\r\n =\r\n \"deadbeef\"",
            "Authorization: \"Digest\" response=deadbeef",
            "AUTHORIZATION\t: dIGEST deadbeef",
        ] {
            assert!(!value(line).contains("deadbeef"), "{line}: {}", value(line));
        }
    }

    #[test]
    fn passwords_of_uris_and_by_name_are_hidden() {
        assert_eq!(
            masked(
                "INVITE sip:1:geheim@h:5060 SIP/2.0\r\nTo: <SIPS:a:b@h;x=y>, sip:h:5060\r\n\r\n"
            ),
            "INVITE sip:1:******@h:5060 SIP/2.0\r\nTo: <SIPS:a:*@h;x=y>, sip:h:5060\r\n\r\n"
        );
        assert_eq!(
            masked("A sip:h SIP/2.0\r\nX-Password: a b\r\n\r\nuser=1&password=x%20&y=2"),
            "A sip:h SIP/2.0\r\nX-Password: * *\r\n\r\nuser=1&password=****&y=2"
        );
        assert_eq!(
            masked("A sip:h SIP/2.0\r\n\r\n{\"secret\" : \"a\", \"b\": 1}<Password>x y</Password>"),
            "A sip:h SIP/2.0\r\n\r\n{\"secret\" : \"*\", \"b\": 1}<Password>* *</Password>"
        );
        let harmless = "A sip:h SIP/2.0\r\nSubject: the password of sip: and secret";
        assert_eq!(masked(harmless), harmless);
        assert_eq!(masked(""), "");
    }

    #[test]
    fn a_long_message_takes_one_pass() {
        for part in [
            "sip:",
            "password=\"",
            "sip:a:",
            "x=sip:@",
            "\r\nAuthorization:",
            ",\\\"",
        ] {
            let began = std::time::Instant::now();
            mask(&mut part.repeat(100_000).into_bytes());
            mask(
                &mut ["Authorization: Digest ", &part.repeat(100_000)]
                    .concat()
                    .into_bytes(),
            );
            assert!(began.elapsed().as_secs() < 5, "{part}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_are_too_strange(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut message = octets.clone();
            mask(&mut message);
            prop_assert_eq!(message.len(), octets.len());
            let mut behind = [b"A sip:h SIP/2.0\r\nAuthorization: Digest ", &octets[..]].concat();
            mask(&mut behind);
        }

        /// Whatever stands before it in the header.
        #[test]
        fn no_response_is_seen_behind_other_parameters(
            text in "([a-z]{0,3}|realm|nonce|uri|[=,; \"\\\\]){0,12}",
            scheme in "(Digest |digest\t|DIGEST  )",
        ) {
            for response in ["response=\"c0ffee\"", "response=c0ffee", "response = \"c0ffee\""] {
                let line = format!("Authorization: {scheme}{text}, {response}");
                let masked = value(&line);
                prop_assert!(!masked.contains("c0ffee"), "{} as {}", line, masked);
            }
        }
    }

    #[test]
    fn a_body_is_not_taken_for_headers() {
        let text = "A sip:h SIP/2.0\r\nTo: <sip:a@h>\r\n\r\nAuthorization: x";
        assert_eq!(masked(text), text);
    }
}
