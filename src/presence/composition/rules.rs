//! The rules of composition for one presentity (W:D2, D3), from the configuration: the style of its
//! domain, and what is known about its user.

use std::sync::Arc;
use std::time::Duration;

use crate::presence::fixed_hash::SipHash13;
use crate::presence::profile::DoNotDisturbLamp;

/// The rules that produce the composed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// The standard: do-not-disturb > forwarded > unreachable > ringing > busy > away > available.
    #[default]
    Standard,
    /// W:D2: reachability from registrations and alternative numbers, an extended status.
    Alceo,
    /// W:D3: a telephony track and a rich track, with forwarding before busy.
    Imagicle,
}

/// The rules for one presentity. Most presentities of a domain share one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The domain's style.
    pub style: Style,
    /// Voice mail numbers, to recognise forwarding to voice mail: those of the domain, then the
    /// user's own (W:D3.19).
    pub voicemail: Vec<Box<str>>,
    /// A number at which the user is reachable without being registered (W:D2.6).
    pub alternative: Option<Box<str>>,
    /// The user's display name.
    pub display: Option<Box<str>>,
    /// How lamps show do-not-disturb, unless a phone's profile overrides it.
    pub do_not_disturb: DoNotDisturbLamp,
    /// A park orbit: present only while a call is parked in it.
    pub is_orbit: bool,
    /// How contributions of upstreams count.
    pub upstreams: UpstreamRules,
}

/// How contributions of upstreams count (W:D3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRules {
    /// The connector that alone counts for calls while it has news.
    pub telephony: Option<Arc<str>>,
    /// The connector that alone counts for declarations while it has news.
    pub rich: Option<Arc<str>>,
    /// How long a contribution counts whose connector is not heard any more.
    pub stale_kept: Duration,
}

/// As configured by default: a presentity whose domain says nothing else needs no composition before its first
/// contribution.
impl Default for UpstreamRules {
    fn default() -> Self {
        Self {
            telephony: None,
            rich: None,
            stale_kept: Self::STALE_KEPT,
        }
    }
}

impl UpstreamRules {
    /// How long a contribution that is stale is kept, if the domain keeps such contributions.
    pub const STALE_KEPT: Duration = Duration::from_secs(3600);
}

impl Rules {
    /// A hash of all that they say, which outlives the process.
    pub(crate) fn fingerprint(&self) -> u64 {
        let Self {
            style,
            voicemail,
            alternative,
            display,
            do_not_disturb,
            is_orbit,
            upstreams,
        } = self;
        let mut hash = SipHash13::new();
        hash.raw(&[*style as u8, *do_not_disturb as u8, u8::from(*is_orbit)]);
        hash.number(voicemail.len() as u64);
        let known = [alternative, display].into_iter().flatten();
        for text in voicemail.iter().chain(known) {
            hash.field(text.as_bytes());
        }
        hash.raw(&[alternative.is_some(), display.is_some()].map(u8::from));
        // `stale_kept` shows at the next stale contribution only.
        let telephony = upstreams.telephony.iter().map(|name| (b"t", name));
        let rich = upstreams.rich.iter().map(|name| (b"r", name));
        for (track, name) in telephony.chain(rich) {
            hash.raw(track);
            hash.field(name.as_bytes());
        }
        hash.finish()
    }

    /// Returns whether `target`, a number or a URI, is voice mail (W:D3.19). Only the called number
    /// is compared, without display name, scheme, host, parameters, escapes and separators: `*97`,
    /// `sip:*97@abc.com` and `<sip:%2A97@10.0.0.1;user=phone>` are equal.
    #[must_use]
    pub fn is_voicemail(&self, target: &str) -> bool {
        let is_pilot = |pilot: &str| {
            let mut compared = called(pilot).peekable();
            compared.peek().is_some() && compared.eq(called(target))
        };
        self.voicemail.iter().any(|pilot| is_pilot(pilot))
    }
}

/// The number or user of a number or URI, in lower case.
fn called(target: &str) -> impl Iterator<Item = u8> {
    let uri = match target.split_once('<') {
        Some((_, uri)) => uri.split('>').next().unwrap_or_default(),
        None => target,
    };
    let uri = uri.trim();
    let rest = match uri.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => uri,
    };
    let user = rest.split(['@', ';', '?']).next().unwrap_or_default();
    let octets = || percent_encoding::percent_decode_str(user);
    let is_number = octets().all(|octet| !octet.is_ascii_alphabetic());
    octets()
        .filter(move |octet| !(is_number && b" -.()/".contains(octet)))
        .map(|octet| octet.to_ascii_lowercase())
}

fn is_scheme(word: &str) -> bool {
    ["sip", "sips", "tel"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::Rules;

    /// W:D3.19
    #[test]
    fn a_voice_mail_number_is_recognised() {
        let rules = Rules {
            voicemail: ["*97", "sip:+39 06 1234@abc.com", "Mail.Box", ""]
                .map(Box::from)
                .into(),
            ..Rules::default()
        };
        for target in [
            "*97",
            " *97 ",
            "sip:*97@abc.com",
            "SIPS:%2A97@10.0.0.1:5061;user=phone",
            "\"Mail\" <sip:*97@other.example>;q=1",
            "tel:*97;phone-context=abc.com",
            "+39-06-1234",
            "tel:+39.06(12)34",
            "sip:mail.box@abc.com",
        ] {
            assert!(rules.is_voicemail(target), "{target}");
        }
        for target in [
            "",
            "97",
            "*970",
            "*9",
            "sip:abc.com",
            "0039061234",
            "mailbox",
            "<",
            "sip:",
            "tel:;",
        ] {
            assert!(!rules.is_voicemail(target), "{target}");
        }
        assert!(!Rules::default().is_voicemail(""));
    }
}
