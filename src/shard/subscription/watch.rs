//! The wish to be told a presentity's state, by its owner.

use crate::presence::Aor;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;

/// Called for the first watcher of a presentity on this shard: asks the owner for the current and
/// all future states.
pub(crate) fn begin_watch(aor: &Aor, turn: &mut Turn<'_>) {
    let (watcher, watched) = (turn.here(), aor.clone());
    turn.send_to_owner(
        aor,
        Mail::Watch {
            aor: watched,
            watcher,
        },
    );
}

/// The last watcher of a presentity here is gone.
pub(crate) fn end_watch(aor: &Aor, turn: &mut Turn<'_>) {
    let (watcher, watched) = (turn.here(), aor.clone());
    turn.send_to_owner(
        aor,
        Mail::Unwatch {
            aor: watched,
            watcher,
        },
    );
}
