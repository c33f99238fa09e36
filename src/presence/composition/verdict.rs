//! The verdict: all reasons for an availability, and which of them is the strongest.
//!
//! There are two tracks (W:D3.2): what the phone does, and what the user declares. Each has its
//! strongest reason, and the stronger of the two is the verdict. If they are equally strong, the
//! phone's wins, because a call is a fact and `busy` is a claim. The styles differ in which reasons
//! they have, not in their order.

use std::fmt;
use std::sync::Arc;

use crate::presence::call::{CallDialog, CallState, Calls};
use crate::presence::composition::declaration::{Declaration, Understanding};
use crate::presence::composition::{Availability, Extras, ForwardedTo, Rules, Style, declaration};
use crate::presence::source::CallSource;

/// The source of a contribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Contributor {
    /// No source has reported anything.
    #[default]
    NoSource,
    /// A source that reports a call outside of publications.
    Call(CallSource),
    /// A publication, by the number that the presentity assigned to it.
    Publication(u64),
    /// Do-not-disturb, switched on by phone, operator or API.
    DoNotDisturb,
    /// Call forwarding, switched on by phone, operator or API.
    Forward,
    /// The operator's statement on availability.
    OperatorPresence,
    /// A registered contact, by its `id`.
    Contact(u64),
    /// A registrar that reports no contact.
    Registrar,
    /// The alternative number of the account.
    Account,
}

/// The availability, and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The availability.
    pub(crate) availability: Availability,
    /// The reason, in words.
    pub(crate) rule: &'static str,
    /// The source of the contribution that decided.
    pub(crate) decider: Contributor,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            availability: Availability::Offline,
            rule: "no source has reported anything",
            decider: Contributor::NoSource,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.availability, self.rule)
    }
}

impl Contributor {
    fn is_operator(self) -> bool {
        self == Self::OperatorPresence
    }

    /// The rule that gives a declaration of this source its weight: `rule`, unless it is the
    /// operator's.
    fn rule(self, rule: &'static str) -> &'static str {
        if self.is_operator() {
            "the operator set it"
        } else {
            rule
        }
    }
}

impl Verdict {
    /// Returns the stronger of two verdicts; this one if they are equally strong.
    fn or_stronger(self, other: Self) -> Self {
        if other.availability.rank() < self.availability.rank() {
            other
        } else {
            self
        }
    }
}

/// The inputs of composition apart from calls and declarations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// The rules of the presentity.
    pub(crate) rules: &'a Rules,
    /// Features, registered contacts, the alternative number.
    pub(crate) extras: &'a Arc<Extras>,
    /// The source of the alternative number.
    pub(crate) alternative_by: Contributor,
    /// The operator's note.
    pub(crate) note: Option<&'a Arc<str>>,
    /// Whether a registrar has ever reported on the presentity.
    pub(crate) has_registrar: bool,
    /// The source that reports its calls, even if there are none; it overrides the activities of a
    /// client.
    pub(crate) call_source: Option<Contributor>,
    /// Whether a source has ever reported its calls, even if there were none.
    pub(crate) is_known_by_calls: bool,
    /// Whether `call_state.htm` set do-not-disturb.
    pub(crate) has_call_state_dnd: bool,
}

impl Circumstances<'_> {
    /// How declarations are interpreted. `declared_open` is `basic` as declared by all of them.
    pub(super) fn understanding(&self, declared_open: Option<bool>) -> Understanding {
        Understanding {
            closed_is_do_not_disturb: self.rules.style == Style::Alceo
                && declared_open == Some(false),
            on_the_phone_counts: self.rules.style != Style::Imagicle,
        }
    }

    /// Returns whether a client's claim of a call counts (W:D3.18).
    pub(super) fn accepts_claims(&self) -> bool {
        self.rules.style != Style::Imagicle || self.call_source.is_none()
    }

    /// How the PBX can reach the user, apart from calls and declarations (W:D2.5, D2.6).
    pub(super) fn reach(&self) -> Option<(Contributor, &'static str)> {
        let registered = self.extras.contacts.first();
        let alternative = self.extras.alternative.as_ref();
        let diverted = self.forwarded_to() == Some(ForwardedTo::Number);
        registered
            .map(|contact| (Contributor::Contact(contact.id), "a contact is registered"))
            .or_else(|| {
                alternative.map(|_| (self.alternative_by, "an alternative number is known"))
            })
            .or_else(|| diverted.then_some((Contributor::Forward, "every call is forwarded")))
    }

    /// Where every call is forwarded to; None if calls are not forwarded (W:D3.19).
    fn forwarded_to(&self) -> Option<ForwardedTo> {
        let diversion = self.extras.features.diversion()?;
        Some(if self.rules.is_voicemail(&diversion.target) {
            ForwardedTo::VoiceMail
        } else {
            ForwardedTo::Number
        })
    }

    /// The strongest reason of the telephony track; None if nothing is known about the phone. `called`
    /// is the verdict of the call that is shown first.
    pub(super) fn telephony(
        &self,
        called: Option<Verdict>,
        declared_open: Option<bool>,
    ) -> Option<Verdict> {
        let because = |availability, rule, decider| Verdict {
            availability,
            rule,
            decider,
        };
        let do_not_disturb = self.extras.features.do_not_disturb.then_some(because(
            Availability::DoNotDisturb,
            "it is switched on (by phone, operator or API)",
            Contributor::DoNotDisturb,
        ));
        let by_call_state = self.has_call_state_dnd.then_some(because(
            Availability::DoNotDisturb,
            "call_state.htm reported it",
            Contributor::Call(CallSource::CallState),
        ));
        let do_not_disturb = do_not_disturb.or(by_call_state);
        let has_forwarded = self.rules.style != Style::Alceo;
        let forwarded = self.forwarded_to().filter(|_| has_forwarded).map(|to| {
            because(
                Availability::Forwarded(to),
                "every call is forwarded",
                Contributor::Forward,
            )
        });
        let reachability = self.reachability(called.is_some(), declared_open);
        let reasons = [do_not_disturb, forwarded, called, reachability];
        reasons.into_iter().flatten().reduce(Verdict::or_stronger)
    }

    /// The verdict based on reachability alone.
    fn reachability(&self, has_call: bool, declared_open: Option<bool>) -> Option<Verdict> {
        let available = |(decider, rule)| Verdict {
            availability: Availability::Available,
            rule,
            decider,
        };
        if let Some(reach) = self.reach() {
            // A user that declares closed is not available, whatever the phone does. In the other
            // styles the telephony track does not depend on declarations.
            let is_overruled = self.rules.style == Style::Standard && declared_open == Some(false);
            return (!is_overruled).then(|| available(reach));
        }
        // No phone registers as a park orbit; a call to the orbit reaches it (W:C8.1).
        let is_user = self.rules.style == Style::Alceo && !self.rules.is_orbit;
        let is_expected = self.has_registrar || is_user;
        if is_expected && !has_call && declared_open != Some(true) {
            return Some(Verdict {
                availability: Availability::Unreachable,
                rule: "no contact is registered, no alternative number is known",
                decider: if self.has_registrar {
                    Contributor::Registrar
                } else {
                    Contributor::NoSource
                },
            });
        }
        self.idle(declared_open).map(available)
    }

    /// The source that shows that the user has no call. A user whose calls are reported has a phone
    /// and is therefore available.
    fn idle(&self, declared_open: Option<bool>) -> Option<(Contributor, &'static str)> {
        if self.rules.style == Style::Standard && declared_open == Some(false) {
            return None;
        }
        let source = self.call_source.map(|source| (source, "no call"));
        source.or_else(|| {
            let remembered = (
                Contributor::NoSource,
                "no call since the last reported call ended",
            );
            self.is_known_by_calls.then_some(remembered)
        })
    }

    /// The strongest reason of the rich track; None if nothing is declared.
    pub(super) fn rich<'a>(
        declarations: impl Iterator<Item = (Contributor, &'a Declaration)>,
        understood: Understanding,
    ) -> Option<Verdict> {
        let verdicts = declarations.map(|(decider, said)| {
            let (availability, rule) = said.verdict(understood);
            Verdict {
                availability,
                rule: decider.rule(rule),
                decider,
            }
        });
        verdicts.reduce(Verdict::or_stronger)
    }
}

/// Returns the stronger verdict of both tracks; the telephony track's if they are equally strong.
pub(super) fn of_tracks(telephony: Option<Verdict>, rich: Option<Verdict>) -> Verdict {
    let tracks = telephony.into_iter().chain(rich);
    tracks.reduce(Verdict::or_stronger).unwrap_or_default()
}

/// The declarations that count: if the operator declares something, only that counts (W:D3.18).
pub(super) fn heard<'a>(
    declarations: impl Iterator<Item = (Contributor, &'a Declaration)> + Clone,
) -> impl Iterator<Item = (Contributor, &'a Declaration)> + Clone {
    let operator_alone = declarations
        .clone()
        .any(|(by, said)| by.is_operator() && said.says_something());
    declarations.filter(move |(by, _)| !operator_alone || by.is_operator())
}

/// `basic` as declared: open if any declaration says open, None if no declaration says either.
pub(super) fn declared_open<'a>(
    declarations: impl Iterator<Item = (Contributor, &'a Declaration)>,
) -> Option<bool> {
    declarations
        .filter_map(|(_, said)| said.open)
        .reduce(|one, other| one || other)
}

/// The verdict of the call that is shown first; None if there is none. `on_the_phone` is the client
/// that claims a call, for a call that no source reports.
pub(super) fn of_first_call<'a>(
    shown: &Calls,
    mut calls: impl Iterator<Item = (Contributor, &'a Arc<CallDialog>)>,
    on_the_phone: Option<Contributor>,
) -> Option<Verdict> {
    let first = shown.first()?;
    let verdict = match calls.find(|(_, call)| Arc::ptr_eq(call, first)) {
        Some((decider, call)) => {
            let (availability, rule) = verdict_of_call(call);
            Verdict {
                availability,
                rule,
                decider,
            }
        }
        None => {
            let decider = on_the_phone?;
            Verdict {
                availability: Availability::Busy,
                rule: decider.rule(declaration::ON_THE_PHONE_RULE),
                decider,
            }
        }
    };
    Some(verdict)
}

fn verdict_of_call(call: &CallDialog) -> (Availability, &'static str) {
    match (call.lamp_state(), call.state) {
        (CallState::Confirmed, CallState::Confirmed) => (Availability::Busy, "a call is confirmed"),
        (CallState::Confirmed, _) => (Availability::Busy, "an outgoing call is in progress"),
        _ => (Availability::Ringing, "an incoming call is unanswered"),
    }
}
