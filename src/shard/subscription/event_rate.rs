//! Optional requests in a SUBSCRIBE: suppression (RFC 5839), notification rates (RFC 6446), a
//! single dialog (RFC 4235 §3.2), deflated bodies.

use std::time::{Duration, Instant};

use crate::presence::call::SpecificDialog;
use crate::presence::event::Package;
use crate::record::dialog::TermsRecord;
use crate::shard::request::headers::{EventHeader, inflates};
use crate::shard::subscription::suppress::Suppress;
use crate::sip::{Message, emit};

/// The longest time between NOTIFYs that a `max-rate` may ask for: a slower lamp would be useless.
const GAP_MAX: Duration = Duration::from_secs(3600);

/// The shortest time between NOTIFYs that a `min-rate` may ask for.
const PERIOD_MIN: Duration = Duration::from_secs(1);

/// Averaging window of `adaptive-min-rate`, in NOTIFYs.
const ADAPTIVE_NOTIFIES: f64 = 10.0;

/// Adaptive minimum rate (RFC 6446 §7.4): a watcher that recently got many NOTIFYs waits longer for
/// one without a change.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Adaptive {
    /// The interval that corresponds to the requested rate.
    period: Duration,
    /// Recent NOTIFYs; each counts less the longer ago it was sent.
    count: f64,
}

impl Adaptive {
    /// Starts as if NOTIFYs had been sent at this rate so far.
    fn new(period: Duration) -> Self {
        Self {
            period,
            count: ADAPTIVE_NOTIFIES,
        }
    }

    /// Counts a NOTIFY, `elapsed` after the previous one.
    fn count(&mut self, elapsed: Duration) {
        let periods = elapsed.div_duration_f64(self.period);
        self.count = self.count * (-periods / ADAPTIVE_NOTIFIES).exp() + 1.0;
    }

    /// How long after a NOTIFY the next is due: count / (rate² · averaging time).
    fn timeout(&self) -> Duration {
        let timeout = self.period.mul_f64(self.count / ADAPTIVE_NOTIFIES);
        timeout.max(PERIOD_MIN)
    }
}

/// Optional parameters of a subscription; most have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    /// Suppress-If-Match: omits a matching state from the first NOTIFY.
    suppress: Option<Suppress>,
    /// Minimum interval between change NOTIFYs (`max-rate`).
    gap: Option<Duration>,
    /// Maximum interval between NOTIFYs (`min-rate`).
    period: Option<Duration>,
    /// Minimum average rate (`adaptive-min-rate`).
    adaptive: Option<Adaptive>,
    /// Whether the SUBSCRIBE had `max-rate`; otherwise the interval is the package's own.
    asks_gap: bool,
    /// The one dialog that is watched (RFC 4235 §3.2); None for all of them.
    dialog: Option<Box<SpecificDialog>>,
    /// The phone can read deflated bodies (RFC 9110 §8.4.1.2).
    inflates: bool,
    /// When the last NOTIFY was sent.
    sent_at: Option<Instant>,
}

impl Terms {
    /// Parses the options of a SUBSCRIBE; None if it has none.
    pub(crate) fn of(message: &Message<'_>, event: &EventHeader<'_>) -> Option<Box<Self>> {
        let asked = |name| rate(event.parameters.get(name));
        let asked_gap = asked("max-rate");
        // The package may have a maximum rate of its own, which no SUBSCRIBE raises.
        let gap = asked_gap.map(|gap| gap.min(GAP_MAX));
        let gap = gap.max(event.package.notify_gap());
        // A minimum rate above the maximum rate is lowered to it (RFC 6446 §8), and a min-rate that
        // is not above the adaptive one is ignored.
        let least =
            |name| asked(name).map(|period| period.max(PERIOD_MIN).max(gap.unwrap_or_default()));
        let adaptive = least("adaptive-min-rate");
        let period = least("min-rate");
        let period = period.filter(|period| adaptive.is_none_or(|adaptive| adaptive < *period));
        let terms = Self {
            suppress: Suppress::of(message),
            gap,
            period,
            adaptive: adaptive.map(Adaptive::new),
            asks_gap: asked_gap.is_some(),
            dialog: dialog_of(event),
            inflates: inflates(message),
            sent_at: None,
        };
        (terms != Self::default()).then(|| Box::new(terms))
    }

    /// For a record, which does not include when the last NOTIFY was sent.
    pub(super) fn record(&self) -> TermsRecord {
        TermsRecord {
            gap: self.gap,
            asks_gap: self.asks_gap,
            period: self.period,
            adaptive_period: self.adaptive.map(|adaptive| adaptive.period),
            dialog: self.dialog.clone(),
            inflates: self.inflates,
        }
    }

    /// The terms of a record that is recovered now; None if it has none. It does not say when the last
    /// NOTIFY was sent: the rates count from now.
    pub(crate) fn recovered(record: TermsRecord, now: Instant) -> Option<Box<Self>> {
        let terms = Self {
            suppress: None,
            gap: record.gap,
            period: record.period,
            adaptive: record.adaptive_period.map(Adaptive::new),
            asks_gap: record.asks_gap,
            dialog: record.dialog,
            inflates: record.inflates,
            sent_at: None,
        };
        let sent_at = Some(now);
        (terms != Self::default()).then(|| Box::new(Self { sent_at, ..terms }))
    }

    /// Continues from the terms before: the rates count from the last NOTIFY. `Suppress-If-Match`
    /// of a refresh was answered with 204, or does not match; it does not apply to later NOTIFYs.
    pub(super) fn continue_from(&mut self, before: Option<&Self>) {
        self.suppress = None;
        self.sent_at = before.and_then(|before| before.sent_at);
    }

    /// A NOTIFY was sent: counts it towards the rates.
    pub(super) fn count_sent(&mut self, now: Instant) {
        self.suppress = None;
        let before = self.sent_at.replace(now);
        if let (Some(adaptive), Some(before)) = (&mut self.adaptive, before) {
            adaptive.count(now.saturating_duration_since(before));
        }
    }

    /// The one dialog that is watched (RFC 4235 §3.2); None for all of them.
    pub(super) fn dialog(&self) -> Option<&SpecificDialog> {
        self.dialog.as_deref()
    }

    /// Whether the phone reads deflated bodies (RFC 9110 §8.4.1.2).
    pub(super) fn inflates(&self) -> bool {
        self.inflates
    }

    /// Whether the first NOTIFY need not carry the state with this hash.
    pub(super) fn suppresses(&self, hash: u64) -> bool {
        self.suppress.is_some_and(|suppress| suppress.matches(hash))
    }

    /// No change is notified before this time.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        Some(self.sent_at? + self.gap?)
    }

    /// When a NOTIFY is due even without a change.
    pub(crate) fn due(&self) -> Option<Instant> {
        let gap = self.gap.unwrap_or_default();
        let timeout = self.adaptive.map(|adaptive| adaptive.timeout().max(gap));
        let due = self.period.into_iter().chain(timeout).min()?;
        Some(self.sent_at? + due)
    }

    /// Appends the rates in force, as Subscription-State must reflect those that were asked for
    /// (RFC 6446 §5.2, §6.2, §7.2).
    pub(crate) fn write_rates(&self, out: &mut Vec<u8>) {
        let rates = [
            (&b";max-rate="[..], self.gap.filter(|_| self.asks_gap)),
            (b";min-rate=", self.period),
            (b";adaptive-min-rate=", self.adaptive.map(|it| it.period)),
        ];
        for (name, time) in rates {
            if let Some(time) = time {
                out.extend_from_slice(name);
                write_rate(out, time);
            }
        }
    }
}

/// The single dialog that an Event header selects; None if it selects none, or for other packages.
/// The tags are those of a To and a From of the presentity's peer (RFC 4235 §3.2).
fn dialog_of(event: &EventHeader<'_>) -> Option<Box<SpecificDialog>> {
    if event.package != Package::Dialog {
        return None;
    }
    let value = |name| unquoted(event.parameters.get(name).unwrap_or_default());
    let dialog = SpecificDialog {
        call_id: value("call-id"),
        local_tag: value("to-tag"),
        remote_tag: value("from-tag"),
    };
    (dialog != SpecificDialog::default()).then(|| Box::new(dialog))
}

/// The text of a parameter, without quotes and with quoted pairs resolved.
fn unquoted(value: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(value);
    let Some(quoted) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.into();
    };
    let mut letters = quoted.chars();
    let next = || match letters.next() {
        Some('\\') => letters.next(),
        letter => letter,
    };
    std::iter::from_fn(next).collect()
}

/// The time between two NOTIFYs at that rate, `1*2DIGIT[.1*10DIGIT]` a second; zero and malformed
/// values are ignored (RFC 6446 §5.1).
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
    // A rate of zero has no interval.
    Duration::try_from_secs_f64(1.0 / per_second).ok()
}

/// Appends the rate per second for that interval, with seven digits: an interval in nanoseconds is
/// not more precise.
fn write_rate(out: &mut Vec<u8>, time: Duration) {
    const ONE: u128 = 10_000_000_000;
    let exact = ONE * 1_000_000_000 / time.as_nanos().max(1);
    let step = 10_u128.pow(exact.max(1).ilog10().saturating_sub(6));
    let rate = (exact + step / 2) / step * step;
    let (whole, mut fraction) = (rate / ONE, rate % ONE);
    emit::decimal(out, whole as u64);
    if fraction > 0 {
        out.push(b'.');
    }
    let mut place = ONE;
    while fraction > 0 {
        place /= 10;
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Adaptive, rate, write_rate};

    /// RFC 6446 §7.2, §7.4
    #[test]
    fn an_adaptive_rate_holds_on_average() {
        let period = Duration::from_secs(60);
        let mut adaptive = Adaptive::new(period);
        assert_eq!(adaptive.timeout(), period);
        // Without changes, NOTIFYs are sent at the requested rate.
        for _ in 0..50 {
            adaptive.count(adaptive.timeout());
        }
        let kept = adaptive.timeout().as_secs();
        assert!((55..=65).contains(&kept), "{kept}");
        // Changes six times as often: unchanged state can wait correspondingly longer.
        for _ in 0..200 {
            adaptive.count(Duration::from_secs(10));
        }
        let busy = adaptive.timeout().as_secs();
        assert!((300..=400).contains(&busy), "{busy}");
        // After a long silence a NOTIFY is due soon, but never more than once a second.
        adaptive.count(Duration::from_secs(86_400));
        assert_eq!(adaptive.timeout(), Duration::from_secs(6));
        assert_eq!(
            Adaptive::new(Duration::from_millis(20)).timeout().as_secs(),
            1
        );
    }

    /// RFC 6446 §6.1; RFC 6446
    #[test]
    fn a_rate_is_written_as_it_is_read() {
        let table = [
            (5000, "0.2"),
            (1000, "1"),
            (3_600_000, "0.0002777777"),
            (300, "3.333333"),
            (1428, "0.7002801"),
            (100, "10"),
        ];
        for (milliseconds, text) in table {
            let mut out = Vec::new();
            write_rate(&mut out, Duration::from_millis(milliseconds));
            assert_eq!(String::from_utf8_lossy(&out), text);
            assert!(rate(Some(&out)).is_some());
        }
        for text in ["0.7", "0.33", "0.1", "99", "0.0000000001"] {
            let mut out = Vec::new();
            let time = rate(Some(text.as_bytes())).unwrap_or_default();
            write_rate(&mut out, time);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    /// RFC 6446 §5.1; RFC 6446
    #[test]
    fn a_valid_rate_is_read_and_an_invalid_one_is_ignored() {
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
