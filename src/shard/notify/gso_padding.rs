//! Pads NOTIFYs to one destination within a turn to equal length, so that they can be sent as one
//! GSO batch.
//!
//! Where thousands of phones are reached through one session border controller, the kernel accepts
//! up to 64 datagrams in one call and segments them (UDP GSO), at a third of the kernel cost of
//! sending them singly, if all but the last are equally long. NOTIFYs nearly are; a few digits and
//! a longer name make the difference. White space in a header makes up for it.
//!
//! The header is User-Agent, between colon and value, where RFC 3261 §7.3.1 allows any amount of it
//! and its own example (`Subject: lunch`) has twelve: every parser skips it, and this is the one
//! header of a NOTIFY whose value no phone acts on. A server that is configured not to name its
//! product writes no such header and pads nothing; equal lengths by chance are still batched
//! (`net`).
//!
//! Only NOTIFYs to peers with at least `DIALOGS_MIN` dialogs are padded: session border controllers,
//! not phones.

use std::net::{IpAddr, SocketAddr};

use crate::shard::contract::expected::Expected;

/// Number of hash slots for destinations; two destinations in the same slot reset each other and
/// lose some padding.
const PLACES: usize = 16;

/// From this NOTIFY of a turn to one destination on, NOTIFYs are padded.
const PAD_FROM_NOTIFY: u32 = 4;

/// More than the keys of any phone.
const DIALOGS_MIN: usize = 256;

/// A batch's first NOTIFY is filled up to a multiple of this, so that most that follow fit.
const STEP_OCTETS: usize = 32;

/// Maximum padding; a NOTIFY that would need more starts a new batch.
const PADDING_OCTETS_MAX: usize = 96;

/// The batches of the current turn, by destination.
#[derive(Debug, Default)]
pub(crate) struct GsoPadding {
    places: [Option<PaddedBatch>; PLACES],
}

#[derive(Clone, Copy, Debug)]
struct PaddedBatch {
    destination: SocketAddr,
    /// The outbox generation, which identifies the turn.
    turn: u64,
    notifies: u32,
    is_to_many: bool,
    /// The padded length; 0 before the first padded NOTIFY.
    octets: usize,
}

impl GsoPadding {
    /// Counts a NOTIFY to `destination`. Returns whether to pad it to [`Self::length`]. `dialogs`:
    /// number of dialogs at this destination.
    pub(crate) fn join(&mut self, destination: SocketAddr, turn: u64, dialogs: usize) -> bool {
        let place = &mut self.places[place_of(destination)];
        let batch = match place {
            Some(batch) if batch.destination == destination && batch.turn == turn => batch,
            _ => place.insert(PaddedBatch {
                destination,
                turn,
                notifies: 0,
                is_to_many: false,
                octets: 0,
            }),
        };
        batch.notifies += 1;
        if batch.notifies == PAD_FROM_NOTIFY {
            batch.is_to_many = dialogs >= DIALOGS_MIN;
        }
        batch.is_to_many
    }

    /// How long a NOTIFY of `octets` that has joined should be: as long as the one before it, or
    /// longer when it does not fit, up to `octets_max`; never shorter than it is.
    pub(crate) fn length(
        &mut self,
        destination: SocketAddr,
        octets: usize,
        octets_max: usize,
    ) -> usize {
        let batch = self.places[place_of(destination)].as_mut();
        let Some(batch) = batch.expected("the NOTIFY has joined") else {
            return octets;
        };
        let fits = octets <= batch.octets && batch.octets - octets <= PADDING_OCTETS_MAX;
        if !fits {
            let filled_up = octets.next_multiple_of(STEP_OCTETS);
            if filled_up > octets_max {
                return octets;
            }
            batch.octets = filled_up;
        }
        batch.octets
    }
}

fn place_of(destination: SocketAddr) -> usize {
    let last = match destination.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    };
    (usize::from(last) ^ usize::from(destination.port())) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 5060).into()
    }

    /// The lengths of NOTIFYs to one destination in one turn.
    fn lengths(
        padding: &mut GsoPadding,
        turn: u64,
        dialogs: usize,
        octets: &[usize],
    ) -> Vec<usize> {
        let length = |octets: &usize| {
            if padding.join(destination(1), turn, dialogs) {
                padding.length(destination(1), *octets, 1400)
            } else {
                *octets
            }
        };
        octets.iter().map(length).collect()
    }

    #[test]
    fn a_notify_is_padded_to_the_length_of_the_one_before() {
        let mut padding = GsoPadding::default();
        let octets = [900, 901, 903, 890, 896, 880, 897, 801, 800, 1390, 1380];
        assert_eq!(
            lengths(&mut padding, 1, 256, &octets),
            [900, 901, 903, 896, 896, 896, 928, 832, 832, 1390, 1380],
            "the first few as they are; longer ones lengthen the batch, much shorter ones begin \
             another; nothing grows beyond a segment"
        );
        assert_eq!(
            lengths(&mut padding, 2, 256, &octets[..4]),
            [900, 901, 903, 896],
            "every turn begins anew"
        );
    }

    #[test]
    fn notifies_to_a_single_phone_are_not_padded() {
        let octets = [900, 901, 902, 903, 904, 905, 906];
        assert_eq!(
            lengths(&mut GsoPadding::default(), 1, 255, &octets),
            octets.to_vec()
        );
    }

    #[test]
    fn alternating_destinations_are_kept_apart() {
        let mut padding = GsoPadding::default();
        for round in 1..=6 {
            for last in 1..=8 {
                let is_one_of_many = padding.join(destination(last), 1, 1000);
                assert_eq!(
                    is_one_of_many,
                    round >= PAD_FROM_NOTIFY,
                    "{last} in round {round}"
                );
            }
        }
    }
}
