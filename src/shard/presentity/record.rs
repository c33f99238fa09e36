//! Presentities as records: written at the end of a turn in which a contribution changed, and read
//! after a restart.

use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;

impl Compositor {
    /// Writes the record of each presentity to which a contribution changed in this turn.
    pub(crate) fn write_records(&mut self, _turn: &mut Turn<'_>) {}

    /// Numbers below `presentities_end` belong to recorded presentities.
    pub(crate) fn begin_recovery(&mut self, _presentities_end: u64, _turn: &Turn<'_>) {}

    /// Takes back a presentity with its contributions.
    pub(crate) fn recover(&mut self, _number: u64, _octets: &[u8], _turn: &mut Turn<'_>) {}
}
