//! The path of a page of parked calls, and the browser that asks for it.
//!
//! A browser that is named in the path counts before the User-Agent, which some phones lack or share
//! with other products. Nothing in a path is escaped: domains and tokens need no escapes.

use hyper::header;
use hyper::header::HeaderMap;

use crate::presence::document::parked_page::Browser;

/// The words for a browser in a path, in lower case; but for `plain`, a User-Agent that contains one
/// is of that browser. The first in the table counts.
const WORDS: [(&str, Browser); 12] = [
    ("snom", Browser::Snom),
    ("yealink", Browser::Yealink),
    ("aastra", Browser::Aastra),
    ("mitel", Browser::Aastra),
    ("grandstream", Browser::Grandstream),
    ("panasonic", Browser::Panasonic),
    ("cisco", Browser::Cisco),
    ("linksys", Browser::Cisco),
    ("polycom", Browser::Polycom),
    ("poly", Browser::Polycom),
    ("plain", Browser::Plain),
    ("text", Browser::Plain),
];

/// A header of Cisco's phones, whose User-Agent is that of a library: `Allegro-Software-WebClient`.
const CISCO_MODEL: &str = "x-ciscoipphonemodelname";

/// The parts of a path. No `Debug`: the token must reach no log.
pub(super) struct PagePath<'p> {
    /// None if the headers tell it.
    pub(super) browser: Option<Browser>,
    /// By any of its names.
    pub(super) domain: &'p str,
    pub(super) token: &'p str,
}

impl<'p> PagePath<'p> {
    /// The parts of `/parks/...`; None if they are not those of a page.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let mut parts = path.strip_prefix("/parks/")?.split('/');
        let parts = [(); 4].map(|()| parts.next());
        let (browser, domain, token) = match parts {
            [Some(domain), Some(token), None, None] => (None, domain, token),
            [Some(word), Some(domain), Some(token), None] => {
                (Some(browser_named(word)?), domain, token)
            }
            _ => return None,
        };
        Some(Self {
            browser,
            domain,
            token,
        })
    }
}

fn browser_named(word: &str) -> Option<Browser> {
    let found = WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, browser)| *browser)
}

/// The browser that sent a request.
pub(super) fn browser_of(headers: &HeaderMap) -> Browser {
    if headers.contains_key(CISCO_MODEL) {
        return Browser::Cisco;
    }
    let user_agent = headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    let user_agent = user_agent.unwrap_or_default().to_ascii_lowercase();
    let is_its = |(word, browser): &&(&str, Browser)| {
        *browser != Browser::Plain && user_agent.contains(word)
    };
    let found = WORDS.iter().find(is_its);
    found.map_or(Browser::Plain, |(_, browser)| *browser)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// User-Agents as phones of these makers send them by HTTP.
    #[test]
    fn a_browser_is_known_by_its_headers() {
        let of = |user_agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, user_agent.parse().unwrap());
            browser_of(&headers)
        };
        for (user_agent, browser) in [
            ("Mozilla/4.0 (compatible; snom370-SIP 7.1.2)", Browser::Snom),
            (
                "Mozilla/4.0 (compatible; snomD785-SIP 10.1.169.16)",
                Browser::Snom,
            ),
            ("Mozilla/4.0 (compatible; Snom M900 05.20)", Browser::Snom),
            (
                "Yealink SIP-T46G 28.71.0.155 00:15:65:12:34:56",
                Browser::Yealink,
            ),
            (
                "Aastra6731i MAC:00-08-5D-2A-1B-3C V:3.3.1-SIP",
                Browser::Aastra,
            ),
            (
                "Mitel6867i MAC:00-08-5D-2A-1B-3C V:5.0.0-SIP",
                Browser::Aastra,
            ),
            ("Cisco/SPA504G-7.6.2", Browser::Cisco),
            (
                "FileTransport PolycomSoundPointIP-SPIP_550-UA/3.3.1",
                Browser::Polycom,
            ),
            ("PolyVVX-VVX_450-UA/6.3.0", Browser::Polycom),
            (
                "Grandstream Model HW GRP2616 SW 1.0.13.59 DevId ec74d7800474",
                Browser::Grandstream,
            ),
            (
                "Panasonic_KX-UT113/01.133 (0080f0c8c381)",
                Browser::Panasonic,
            ),
            ("curl/8.5.0", Browser::Plain),
            ("plain text", Browser::Plain),
            ("", Browser::Plain),
        ] {
            assert_eq!(of(user_agent), browser, "{user_agent}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(browser_of(&headers), Browser::Plain);
        headers.insert(
            header::USER_AGENT,
            "Allegro-Software-WebClient/4.34".parse().unwrap(),
        );
        headers.insert(CISCO_MODEL, "CP-7965G".parse().unwrap());
        assert_eq!(browser_of(&headers), Browser::Cisco);
    }

    #[test]
    fn a_path_has_two_or_three_parts() {
        let parts = |path| {
            let path = PagePath::parse(path)?;
            Some((path.browser, path.domain, path.token))
        };
        assert_eq!(parts("/parks/abc.com/t0"), Some((None, "abc.com", "t0")));
        assert_eq!(
            parts("/parks/mitel/abc.com/t0"),
            Some((Some(Browser::Aastra), "abc.com", "t0"))
        );
        // A domain may be called like a maker.
        assert_eq!(parts("/parks/snom/t0"), Some((None, "snom", "t0")));
        for path in [
            "/parks/",
            "/parks/abc.com",
            "/parks/nokia/abc.com/t0",
            "/parks/Snom/abc.com/t0",
            "/parks/snom/abc.com/t0/",
            "/parks//abc.com/t0",
            "/whyparks/abc.com/t0",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
    }
}
