//! The Authorization header (RFC 3261 §20.7, RFC 7616 §3.4), read and checked for completeness.
//!
//! Tolerant where phones differ: parameters in any order, unknown ones ignored, quoted or not,
//! white space and folds around separators, empty list items. Strict where a value would be
//! ambiguous: a repeated parameter, an open quote. Values are kept as received, because the
//! response was computed over them.

use super::Algorithm;
use super::hash::{HexHash, hash};
use super::secret::Secret;
use crate::sip::message::REQUEST_URI_OCTETS_MAX;

/// Maximum octets of a user name; a longer one is malformed (W:E3.10).
const USERNAME_OCTETS_MAX: usize = 256;
/// Maximum octets of any other parameter that is used, except the URI.
const VALUE_OCTETS_MAX: usize = 1024;

/// Why an Authorization contains no usable credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A scheme other than Digest.
    OtherScheme,
    /// It does not follow the grammar.
    Syntax,
}

/// The parameters of one Authorization: the text between the quotes, with escapes. None if absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parameters<'a> {
    pub(super) username: Option<&'a [u8]>,
    pub(super) realm: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
    pub(super) uri: Option<&'a [u8]>,
    pub(super) response: Option<&'a [u8]>,
    pub(super) cnonce: Option<&'a [u8]>,
    pub(super) nonce_count: Option<&'a [u8]>,
    pub(super) qop: Option<&'a [u8]>,
    pub(super) algorithm: Option<&'a [u8]>,
}

/// A complete set of parameters that follows the grammar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credentials<'a> {
    pub(super) algorithm: Algorithm,
    /// `-sess`: the user's hash is bound to nonce and cnonce.
    pub(super) session: bool,
    /// `auth-int`: the body is hashed too.
    pub(super) integrity: bool,
    pub(super) nonce: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) response: &'a [u8],
    /// nc as a number, at least 1; 1 without qop, so that such a nonce can be used once.
    pub(super) count: u32,
    /// nc and qop as received; None in the form of RFC 2069.
    pub(super) quality: Option<Quality<'a>>,
}

/// Parameters that only a response with qop has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quality<'a> {
    pub(super) count_text: &'a [u8],
    pub(super) cnonce: &'a [u8],
    pub(super) qop: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// Reads the value of an Authorization.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, Unreadable> {
        let mut parameters = Self::default();
        each_parameter(value, |name, value| parameters.set(name, value))?;
        Ok(parameters)
    }

    /// The algorithm and whether it is the `-sess` variant; MD5 if none is named. None if it is
    /// unknown.
    pub(super) fn algorithm(&self) -> Option<(Algorithm, bool)> {
        self.algorithm
            .map_or(Some((Algorithm::Md5, false)), Algorithm::from_token)
    }

    /// The user name without its escapes. None if there is none, or if it is too long or not UTF-8.
    pub(super) fn user(&self) -> Option<String> {
        let name = String::from_utf8(unescape(self.username?).collect()).ok()?;
        (name.len() <= USERNAME_OCTETS_MAX).then_some(name)
    }

    /// Returns whether the credentials are for that realm.
    pub(super) fn is_for(&self, realm: &str) -> bool {
        self.realm
            .is_some_and(|value| unescape(value).eq(realm.bytes()))
    }

    /// The credentials, if they are complete and follow the grammar. The caller decides whether qop
    /// is required.
    pub(super) fn credentials(&self) -> Option<Credentials<'a>> {
        let (algorithm, session) = self.algorithm()?;
        self.username?;
        let quality = match self.qop {
            Some(qop) => Some(self.quality(qop)?),
            None if session => return None,
            None => None,
        };
        let integrity = quality.is_some_and(|quality| quality.is_integrity());
        let count = quality.map_or(Some(1), |quality| nonce_count(quality.count_text))?;
        Some(Credentials {
            algorithm,
            session,
            integrity,
            nonce: self.nonce?,
            uri: self.uri?,
            response: self.response?,
            count,
            quality,
        })
    }

    fn quality(&self, qop: &'a [u8]) -> Option<Quality<'a>> {
        let quality = Quality {
            count_text: self.nonce_count?,
            cnonce: self.cnonce?,
            qop,
        };
        let is_known = quality.is_integrity() || qop.eq_ignore_ascii_case(b"auth");
        is_known.then_some(quality)
    }

    /// None if the parameter is repeated, or longer than its limit.
    fn set(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let (slot, octets_max) = match name.to_ascii_lowercase().as_slice() {
            b"username" => (&mut self.username, 2 * USERNAME_OCTETS_MAX),
            b"realm" => (&mut self.realm, VALUE_OCTETS_MAX),
            b"nonce" => (&mut self.nonce, VALUE_OCTETS_MAX),
            b"uri" => (&mut self.uri, REQUEST_URI_OCTETS_MAX),
            b"response" => (&mut self.response, VALUE_OCTETS_MAX),
            b"cnonce" => (&mut self.cnonce, VALUE_OCTETS_MAX),
            b"nc" => (&mut self.nonce_count, VALUE_OCTETS_MAX),
            b"qop" => (&mut self.qop, VALUE_OCTETS_MAX),
            b"algorithm" => (&mut self.algorithm, VALUE_OCTETS_MAX),
            _ => return Some(()),
        };
        (slot.replace(value).is_none() && value.len() <= octets_max).then_some(())
    }
}

impl Quality<'_> {
    fn is_integrity(&self) -> bool {
        self.qop.eq_ignore_ascii_case(b"auth-int")
    }
}

impl Credentials<'_> {
    /// The expected response, computed with the secret (RFC 7616 §3.4.1). No session is kept: it is
    /// bound to the nonce and cnonce of this request; a client that changes its cnonce within a
    /// session is challenged again.
    /// None if the secret does not have the hash of its algorithm.
    pub(super) fn expected_response(
        &self,
        secret: &Secret,
        method: &[u8],
        body: &[u8],
    ) -> Option<HexHash> {
        let user = secret.hash(self.algorithm)?;
        let hash = |parts: &[&[u8]]| hash(self.algorithm, parts);
        let request = if self.integrity {
            hash(&[method, self.uri, hash(&[body]).as_bytes()])
        } else {
            hash(&[method, self.uri])
        };
        let Some(Quality {
            count_text,
            cnonce,
            qop,
        }) = self.quality
        else {
            return Some(hash(&[user, self.nonce, request.as_bytes()]));
        };
        let session = self.session.then(|| hash(&[user, self.nonce, cnonce]));
        let user = session.as_ref().map_or(user, HexHash::as_bytes);
        let request = request.as_bytes();
        Some(hash(&[user, self.nonce, count_text, cnonce, qop, request]))
    }
}

/// Calls `take` with the name and the value, without quotes, of each parameter of a Digest
/// challenge or of credentials. `take` returns None for a parameter that makes the whole value
/// malformed.
pub(super) fn each_parameter<'a>(
    value: &'a [u8],
    mut take: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>,
) -> Result<(), Unreadable> {
    let value = skip_space(value);
    let (scheme, mut rest) = split_while(value, |octet| !is_space(octet));
    if !scheme.eq_ignore_ascii_case(b"Digest") {
        return Err(Unreadable::OtherScheme);
    }
    loop {
        rest = split_while(rest, |octet| is_space(octet) || octet == b',').1;
        if rest.is_empty() {
            return Ok(());
        }
        let (name, value, behind) = split_parameter(rest).ok_or(Unreadable::Syntax)?;
        take(name, value).ok_or(Unreadable::Syntax)?;
        rest = behind;
    }
}

/// Parses `name = value` at the front. Returns the name, the value without quotes, and the rest.
fn split_parameter(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = split_while(text, |octet| {
        !is_space(octet) && octet != b'=' && octet != b','
    });
    let rest = skip_space(skip_space(rest).strip_prefix(b"=")?);
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => split_quoted(quoted)?,
        None => split_while(rest, |octet| !is_space(octet) && octet != b','),
    };
    let rest = skip_space(rest);
    let ends = rest.is_empty() || rest.starts_with(b",");
    (!name.is_empty() && ends).then_some((name, value, rest))
}

/// Splits text after an opening quote into the quoted text and the rest after the closing quote.
fn split_quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().position(|&octet| {
        let closes = octet == b'"' && !escaped;
        escaped = octet == b'\\' && !escaped;
        closes
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// The octets that a quoted string represents (RFC 3261 §25.1).
pub(super) fn unescape(quoted: &[u8]) -> impl Iterator<Item = u8> {
    let mut escaped = false;
    quoted.iter().copied().filter(move |&octet| {
        escaped = octet == b'\\' && !escaped;
        !escaped
    })
}

/// The grammar requires eight hexadecimal digits; some phones write fewer.
fn nonce_count(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    let count = text
        .iter()
        .try_fold(0, |count, octet| Some(count << 4 | digit(octet)?))?;
    (count > 0).then_some(count)
}

fn split_while(text: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|octet| !belongs(*octet))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}

fn skip_space(text: &[u8]) -> &[u8] {
    split_while(text, is_space).1
}

/// White space; CR and LF only occur in folds.
fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(value: &str) -> Parameters<'_> {
        Parameters::read(value.as_bytes()).unwrap()
    }

    fn expected(value: &str, password: &str, method: &str, body: &str) -> String {
        let parameters = read(value);
        let credentials = parameters.credentials().unwrap();
        let realm = String::from_utf8(unescape(parameters.realm.unwrap()).collect()).unwrap();
        let secret = Secret::new(&parameters.user().unwrap(), &realm, password);
        let response = credentials
            .expected_response(&secret, method.as_bytes(), body.as_bytes())
            .unwrap();
        String::from_utf8(response.as_bytes().to_vec()).unwrap()
    }

    fn rfc7616(algorithm: &str) -> String {
        format!(
            r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm},
             nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
             cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="",
             opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
        )
    }

    #[test]
    fn rfc_7616_section_3_9_1() {
        let md5 = expected(&rfc7616("MD5"), "Circle of Life", "GET", "");
        assert_eq!(md5, "8ca523f5e9506fed4657c9700eebdbec");
        let sha256 = expected(&rfc7616("SHA-256"), "Circle of Life", "GET", "");
        assert_eq!(
            sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn rfc_2617_section_3_5() {
        let value = r#"Digest username="Mufasa",realm="testrealm@host.com",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
            uri="/dir/index.html",qop=auth,nc=00000001,cnonce="0a4f113b",response="x""#;
        assert_eq!(
            expected(value, "Circle Of Life", "GET", ""),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn sessions_and_integrity_chain_as_the_rfc_says() {
        let value = rfc7616("MD5-sess").replace("qop=auth", "qop=\"auth-int\"");
        let nonce: &[u8] = b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce: &[u8] = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let md5 = |parts: &[&[u8]]| hash(Algorithm::Md5, parts);
        let user = md5(&[b"Mufasa", b"http-auth@example.org", b"Circle of Life"]);
        let user = md5(&[user.as_bytes(), nonce, cnonce]);
        let request = md5(&[b"PUBLISH", b"/dir/index.html", md5(&[b"body"]).as_bytes()]);
        let wanted = md5(&[
            user.as_bytes(),
            nonce,
            b"00000001",
            cnonce,
            b"auth-int",
            request.as_bytes(),
        ]);
        assert_eq!(
            expected(&value, "Circle of Life", "PUBLISH", "body").as_bytes(),
            wanted.as_bytes()
        );
    }

    #[test]
    fn parameter_order_quotes_and_unknown_parameters_do_not_matter() {
        let value = "DIGEST  ,, algorit=MD5 , NC = \"0000000a\",\r\n qop=\"auth\" ,username=plain,foo=\"a,\\\"b\",\
                     realm=\"abc.com\",nonce=\"n\",uri=sip:123@abc.com;x=y,cnonce=c , response=\"r\",algorithm=\"md5\",";
        let credentials = read(value).credentials().unwrap();
        assert_eq!(credentials.count, 10);
        assert_eq!(read(value).user().as_deref(), Some("plain"));
        assert_eq!(credentials.uri, b"sip:123@abc.com;x=y");
        assert_eq!(
            (credentials.algorithm, credentials.session),
            (Algorithm::Md5, false)
        );
        assert!(read(value).is_for("abc.com"));
        assert!(!read(value).is_for("abc.co"));
    }

    #[test]
    fn escapes_in_user_and_realm() {
        let value = rfc7616("MD5").replace("\"Mufasa\"", r#""Mu\"fa\\sa@abc.com""#);
        assert_eq!(read(&value).user().unwrap(), r#"Mu"fa\sa@abc.com"#);
        let value = r#"Digest realm="a\"b\\""#;
        assert!(read(value).is_for(r#"a"b\"#));
    }

    #[test]
    fn what_does_not_follow_the_grammar() {
        for value in [
            "Digest username=\"open",
            "Digest username=\"open\\\"",
            "Digest username",
            "Digest =x",
            "Digest a b=c",
            "Digest a=\"b\"c=d",
            "Digest nonce=\"a\", nonce=\"b\"",
        ] {
            assert_eq!(
                Parameters::read(value.as_bytes()).unwrap_err(),
                Unreadable::Syntax,
                "{value}"
            );
        }
        for value in [
            "",
            "   ",
            "Basic QWxhZGRpbg==",
            "NoOneKnowsThisScheme opaque-data=here",
            "Digestive a=b",
        ] {
            assert_eq!(
                Parameters::read(value.as_bytes()).unwrap_err(),
                Unreadable::OtherScheme,
                "{value}"
            );
        }
        let huge = format!("Digest username=\"{}\"", "a".repeat(4096));
        assert_eq!(
            Parameters::read(huge.as_bytes()).unwrap_err(),
            Unreadable::Syntax
        );
    }

    #[test]
    fn incomplete_credentials_are_none() {
        let complete = rfc7616("MD5");
        assert!(read(&complete).credentials().is_some());
        for (there, instead) in [
            ("username=", "user="),
            ("uri=", "url="),
            ("nonce=\"7", "n=\"7"),
            ("cnonce=", "c="),
            ("response=", "r="),
            ("nc=00000001", "nc=00000000"),
            ("nc=00000001", "nc=000000001"),
            ("nc=00000001", "nc=-1"),
            ("nc=00000001", "nc=\"\""),
            ("nc=00000001", "mc=00000001"),
            ("qop=auth", "qop=token"),
            ("qop=auth", "qop=\"\""),
            ("=MD5", "=SHA-512-256"),
            ("=MD5", "=\"\""),
        ] {
            let value = complete.replace(there, instead);
            assert_ne!(value, complete);
            assert!(read(&value).credentials().is_none(), "{instead}");
        }
        // Without qop it is the form of RFC 2069, which has no sessions.
        let value = complete.replace("qop=auth", "pop=auth");
        assert!(
            read(&value)
                .credentials()
                .is_some_and(|it| it.quality.is_none())
        );
        let value = value.replace("=MD5", "=MD5-sess");
        assert!(read(&value).credentials().is_none());
    }

    #[test]
    fn user_names_have_a_limit_and_an_encoding() {
        let user = |name: &[u8]| {
            let complete = rfc7616("MD5");
            let value = [
                b"Digest username=\"",
                name,
                b"\",",
                &complete.as_bytes()[25..],
            ]
            .concat();
            Parameters::read(&value).unwrap().user()
        };
        assert_eq!(user(b"").unwrap(), "");
        assert_eq!(user(&[b'a'; 256]).unwrap().len(), 256);
        assert_eq!(user(&[b'a'; 257]), None);
        assert_eq!(user(&[b'\\'; 512]).unwrap().len(), 256);
        assert_eq!(user(b"\xff"), None);
    }
}
