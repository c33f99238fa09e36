//! Composition: merges all contributions to a presentity into one state, and explains what decided
//! (W:D2, D3).
//!
//! One pure function decides for every package: a phone on `presence` and a phone on `dialog`
//! always agree. Availability follows the lamp of a dialog watcher ([`lamp`]), with intended
//! exceptions: a client may be `busy`, `away` or `do-not-disturb` without a call, calls may be
//! forwarded while one is up (W:D3.17), and a lamp shows only calls.
//!
//! - A call is ringing as long as it is incoming (or its direction is unknown) and unanswered,
//!   `trying` and `proceeding` included; an outgoing call is busy from its first INVITE (W:C0.4).
//! - `on-the-phone`, declared by a client, is a call without a party: it lights the lamp as well.
//! - Branches of one call (equal Call-ID): once one is answered, unanswered ones are not shown.
//! - Only a user who is expected to register can be unreachable: a user whose registration a registrar
//!   has reported or, in the style of W:D2, every user but a park orbit. A contact, an alternative number,
//!   calls forwarded to a number, a call, or a client that declares open makes a user reachable.
//! - A user whose calls are reported is available while there is none, unless a registrar reports
//!   no contact: the user must not appear with each call and disappear with its end.
//! - `basic` is open if a client declares open; if no client declares either, if the user is
//!   reachable. Do-not-disturb is closed. In the other styles `basic` follows the verdict: closed
//!   for do-not-disturb, unreachable and offline (W:D2.7-D2.12).
//! - The operator's note takes precedence over all other notes (W:D3.4). The operator's statement
//!   on availability replaces what the clients declare, except `open` if the statement has none.

mod availability;
mod calls;
mod composed;
mod declaration;
mod extended;
mod rules;
mod verdict;

pub mod activity;

use std::cmp::Reverse;
use std::sync::Arc;

pub use availability::{Availability, ForwardedTo};
pub use composed::{Composed, Extras};
pub use extended::{AlceoStatus, Extended, ImagicleStatus, Tracks};
pub use rules::{Rules, Style, UpstreamRules};

pub(crate) use declaration::Declaration;
pub(crate) use verdict::{Circumstances, Contributor, Verdict};

use crate::presence::call::{CallDialog, CallState};
use crate::presence::composition::activity::{ActivitySet, ON_THE_PHONE};

/// Composes the sources' statements into `composed`. Its old content is overwritten and its memory
/// is reused. Parts that equal the previous state, `previous`, are shared instead of being built
/// again.
pub(crate) fn compose<'a>(
    calls: impl Iterator<Item = (Contributor, &'a Arc<CallDialog>)> + Clone,
    declarations: impl Iterator<Item = (Contributor, &'a Declaration)> + Clone,
    circumstances: &Circumstances<'_>,
    previous: &Composed,
    composed: &mut Composed,
) -> Verdict {
    let accepts_claims = circumstances.accepts_claims();
    let on_the_phone = declarations
        .clone()
        .find(|(_, said)| accepts_claims && said.is_on_the_phone())
        .map(|(by, _)| by);
    let legs = calls.clone().map(|(_, call)| call);
    calls::show(legs, on_the_phone.is_some(), &mut composed.calls);

    let all = declarations;
    let declarations = verdict::heard(all.clone());
    let declared_open =
        verdict::declared_open(declarations.clone()).or_else(|| verdict::declared_open(all));
    let understood = circumstances.understanding(declared_open);
    let called = verdict::of_first_call(&composed.calls, calls, on_the_phone);
    let telephony = circumstances.telephony(called, declared_open);
    let rich = Circumstances::rich(declarations.clone(), understood);
    let verdict = verdict::of_tracks(telephony, rich);

    let style = circumstances.rules.style;
    composed.availability = verdict.availability;
    composed.extended = match style {
        Style::Standard => None,
        Style::Alceo => Some(Extended::Alceo(verdict.availability.into())),
        Style::Imagicle => Some(Extended::Imagicle(Tracks {
            combined: verdict.availability.into(),
            telephony: telephony.map(|verdict| verdict.availability.into()),
            rich: rich.map(|verdict| verdict.availability.into()),
        })),
    };
    let is_reached = !composed.calls.is_empty()
        || circumstances.is_known_by_calls
        || circumstances.reach().is_some();
    composed.open = match verdict.availability {
        Availability::DoNotDisturb | Availability::Unreachable => false,
        _ if style == Style::Standard => declared_open.unwrap_or(is_reached),
        availability => availability != Availability::Offline,
    };
    let declared_note = || {
        declarations
            .clone()
            .map(|(_, said)| said)
            .filter(|said| said.note.is_some())
            .min_by_key(|said| (said.verdict(understood).0.rank(), Reverse(said.since)))
            .and_then(|said| said.note.clone())
    };
    // The note of the strongest declaration that has one; the newest among equals.
    composed.note = circumstances.note.cloned().or_else(declared_note);
    composed.extras = Arc::clone(circumstances.extras);
    composed.is_unregistered = circumstances.has_registrar && composed.extras.contacts.is_empty();
    let activities = declarations.fold(ActivitySet::default(), |set, (_, said)| {
        set.union(said.activities)
    });
    let ignored = (!accepts_claims).then_some(ON_THE_PHONE);
    let unsaid = implied_activity(composed).into_iter().chain(ignored);
    let rest = unsaid.fold(activities, ActivitySet::without);
    share_activities(rest, previous, composed);
    verdict
}

/// What the lamp of a dialog watcher shows, unless its profile overrides it. Used to write
/// documents and to explain a state.
#[must_use]
pub fn lamp(composed: &Composed) -> CallState {
    match composed.calls.first() {
        Some(call) => call.lamp_state(),
        None if composed.availability == Availability::DoNotDisturb => {
            let lamp = composed.extras.do_not_disturb_lamp;
            lamp.state().unwrap_or(CallState::Terminated)
        }
        None => CallState::Terminated,
    }
}

/// The RPID activity that `availability` implies (W:D2.14); the others are in
/// [`Composed::activities`]. Call forwarding does not hide a call that is up (W:D3.17).
pub(crate) fn implied_activity(composed: &Composed) -> Option<&'static str> {
    match composed.availability {
        Availability::Ringing | Availability::Busy | Availability::Forwarded(_)
            if !composed.calls.is_empty() =>
        {
            Some(ON_THE_PHONE)
        }
        Availability::DoNotDisturb | Availability::Ringing | Availability::Busy => Some("busy"),
        Availability::Away => Some("away"),
        Availability::Forwarded(_)
        | Availability::Unreachable
        | Availability::Available
        | Availability::Offline => None,
    }
}

/// Shares the list of `previous` if it is equal: a change of a busy lamp must not allocate a new
/// list for a client that is at lunch.
fn share_activities(rest: ActivitySet, previous: &Composed, composed: &mut Composed) {
    if previous
        .activities
        .iter()
        .map(|name| &**name)
        .eq(rest.names())
    {
        composed.activities = Arc::clone(&previous.activities);
    } else if !composed
        .activities
        .iter()
        .map(|name| &**name)
        .eq(rest.names())
    {
        composed.activities = rest.names().map(Box::from).collect();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(test)]
mod style_tests;
