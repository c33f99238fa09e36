//! Which calls are shown, and in which order.

use std::cmp::{Ordering, Reverse};
use std::sync::{Arc, LazyLock};

use crate::presence::call::{CallDialog, CallParts, CallState, Calls, Direction};
use crate::presence::composition::activity::ON_THE_PHONE;

/// The call that `on-the-phone` stands for. Nothing else is known about it.
static UNKNOWN_CALL: LazyLock<Arc<CallDialog>> = LazyLock::new(|| {
    let unknown = CallParts::new(ON_THE_PHONE, CallState::Confirmed);
    Arc::new(unknown.into())
});

/// Replaces the content of `shown` by the legs of `calls` that watchers see: each leg once,
/// starting with the one that a lamp should show. If a client claims to be on the phone and no call
/// is answered, an unknown call is added.
pub(super) fn show<'a>(
    calls: impl Iterator<Item = &'a Arc<CallDialog>>,
    is_on_the_phone: bool,
    shown: &mut Calls,
) {
    gather(calls, shown);
    let answered = |call: &Arc<CallDialog>| call.lamp_state() == CallState::Confirmed;
    if is_on_the_phone && !shown.iter().any(answered) {
        shown.push(Arc::clone(&UNKNOWN_CALL));
    }
    shown.sort_unstable_by(|one, other| lamp_order(one, other));
}

/// Adds each leg once to `kept`: of two reports of one leg, the one with the further state; of the
/// branches of a call, only the answered ones if there are any. A presentity has few legs, and
/// their number is bounded.
fn gather<'a>(calls: impl Iterator<Item = &'a Arc<CallDialog>>, kept: &mut Calls) {
    kept.clear();
    for call in calls {
        match kept.iter_mut().find(|other| is_same_leg(other, call)) {
            Some(other) if other.state.progress() < call.state.progress() => {
                *other = Arc::clone(call)
            }
            Some(_) => {}
            None => kept.push(Arc::clone(call)),
        }
    }
    for index in (0..kept.len()).rev() {
        let branch = &kept[index];
        let is_shadowed = branch.state.is_unanswered()
            && !branch.call_id().is_empty()
            && kept
                .iter()
                .any(|other| other.call_id() == branch.call_id() && !other.state.is_unanswered());
        if is_shadowed {
            kept.remove(index);
        }
    }
}

fn is_same_leg(one: &CallDialog, other: &CallDialog) -> bool {
    !one.call_id().is_empty()
        && one.call_id() == other.call_id()
        && one.local_tag() == other.local_tag()
        && one.remote_tag() == other.remote_tag()
}

/// The leg that a lamp should show comes first (W:B3.15, C0.3); among equals, an incoming call. The
/// rest of the order is arbitrary but stable.
fn lamp_order(one: &CallDialog, other: &CallDialog) -> Ordering {
    let key = |call: &CallDialog| {
        (
            Reverse(call.lamp_state()),
            call.direction == Some(Direction::Initiator),
        )
    };
    key(one)
        .cmp(&key(other))
        .then_with(|| one.id().cmp(other.id()))
        .then_with(|| {
            (one.call_id(), one.local_tag(), one.remote_tag()).cmp(&(
                other.call_id(),
                other.local_tag(),
                other.remote_tag(),
            ))
        })
}
