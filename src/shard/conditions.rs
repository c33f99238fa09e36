//! What a SUBSCRIBE asks for besides state: silence while nothing is new (RFC 5839; W:B6.1), a rate
//! (RFC 6446; W:B6.2), deflated bodies.

use std::time::Duration;
use std::time::Instant;

use crate::presence::subscription::Package;
use crate::shard::checks::inflates;
use crate::shard::subscription::Subscription;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::header::Event;
use crate::sip::header::Parameters;

/// The longest time between NOTIFYs that a `max-rate` may ask for: beyond it a lamp is no lamp.
const GAP_MAX: Duration = Duration::from_secs(3600);
/// The shortest time between NOTIFYs that a `min-rate` may ask for.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// `Suppress-If-Match`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suppress {
    /// `*`: whatever the state is.
    Any,
    /// The state of that entity tag.
    Tag(u64),
    /// A state that cannot be ours.
    Foreign,
}

impl Suppress {
    /// What the request says; None when it does not say.
    pub(crate) fn of(message: &Message<'_>) -> Option<Self> {
        let value = message.header(HeaderName::SuppressIfMatch)?.trim_ascii();
        if value == b"*" {
            return Some(Self::Any);
        }
        let tag = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.len() == 16)
            .and_then(|text| u64::from_str_radix(text, 16).ok());
        Some(tag.map_or(Self::Foreign, Self::Tag))
    }

    /// Whether the state of that hash need not be told.
    pub(crate) fn matches(self, hash: u64) -> bool {
        self == Self::Any || self == Self::Tag(hash)
    }
}

/// The entity tag of a body by its hash: 16 lower-case hexadecimal digits.
pub(crate) fn entity_tag(hash: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|index| DIGITS[(hash >> (60 - 4 * index)) as usize & 0xf])
}

/// The terms of a subscription that asked for some. Most have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The first NOTIFY carries no state that matches.
    pub(crate) suppress: Option<Suppress>,
    /// The least time between two NOTIFYs of changes (`max-rate`).
    pub(crate) gap: Option<Duration>,
    /// The most time between two NOTIFYs (`min-rate`).
    pub(crate) period: Option<Duration>,
    /// The phone can read deflated bodies (W:B5.17).
    pub(crate) inflates: bool,
    /// When the last NOTIFY was sent.
    sent_at: Option<Instant>,
}

impl Terms {
    /// What a SUBSCRIBE asks for; None when for nothing.
    pub(crate) fn of(message: &Message<'_>, event: &[u8]) -> Option<Box<Self>> {
        let event = Event::parse(event);
        let parameters = event.map_or(Parameters(b""), |event| event.parameters);
        let gap = rate(parameters.get("max-rate")).map(|gap| gap.min(GAP_MAX));
        // The package may have a rate of its own, which nobody exceeds.
        let package = event.and_then(|event| Package::from_token(event.package));
        let gap = gap.max(package.and_then(Package::notify_gap));
        let period = rate(parameters.get("min-rate"))
            .map(|period| period.max(PERIOD_MIN))
            // A least rate above the greatest is none (RFC 6446 §5.2).
            .filter(|period| gap.is_none_or(|gap| gap <= *period));
        let terms = Self {
            suppress: Suppress::of(message),
            gap,
            period,
            inflates: inflates(message),
            sent_at: None,
        };
        (terms != Self::default()).then(|| Box::new(terms))
    }

    /// Before when no change may be told.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        Some(self.sent_at? + self.gap?)
    }

    /// When a NOTIFY is due even without a change.
    pub(crate) fn due(&self) -> Option<Instant> {
        Some(self.sent_at? + self.period?)
    }
}

/// The time between two NOTIFYs at that rate, `1*2DIGIT[.1*10DIGIT]` a second; zero and anything
/// else is no rate (RFC 6446 §5.1).
fn rate(value: Option<&[u8]>) -> Option<Duration> {
    let text = std::str::from_utf8(value?).ok()?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str, max| {
        (1..=max).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit())
    };
    if !are_digits(whole, 2) || !are_digits(fraction, 10) {
        return None;
    }
    let per_second: f64 = text.parse().ok()?;
    // One over zero is no duration.
    Duration::try_from_secs_f64(1.0 / per_second).ok()
}

impl Subscription {
    /// A SUBSCRIBE refreshes it on other terms, while time goes on. What it suppresses is answered
    /// with 204, and what it does not is told.
    pub(crate) fn renew_terms(&mut self, message: &Message<'_>, event: &[u8]) {
        let sent_at = self.terms.as_ref().and_then(|terms| terms.sent_at);
        self.terms = Terms::of(message, event);
        if let Some(terms) = &mut self.terms {
            terms.suppress = None;
            terms.sent_at = sent_at;
        }
    }

    /// Whether the state of that hash need not be told again.
    pub(crate) fn suppresses(&self, hash: u64) -> bool {
        self.terms
            .as_ref()
            .and_then(|terms| terms.suppress)
            .is_some_and(|suppress| suppress.matches(hash))
    }

    /// A NOTIFY was sent. Whether another is due after a time.
    pub(crate) fn sent(&mut self, now: Instant) -> bool {
        self.terms.as_mut().is_some_and(|terms| {
            terms.suppress = None;
            terms.sent_at = Some(now);
            terms.period.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rate;

    /// RFC 6446 §5.1; W:B6.2
    #[test]
    fn a_rate_is_read_and_nonsense_is_none() {
        let table = [
            ("1", Some(1000)),
            ("10", Some(100)),
            ("0.5", Some(2000)),
            ("0.25", Some(4000)),
            ("0", None),
            ("0.0", None),
            ("100", None),
            ("1.", None),
            (".5", None),
            ("-1", None),
            ("1e1", None),
            ("", None),
        ];
        for (text, milliseconds) in table {
            assert_eq!(
                rate(Some(text.as_bytes())),
                milliseconds.map(Duration::from_millis),
                "{text}"
            );
        }
        assert_eq!(rate(None), None);
    }
}
