//! What was handed over and is not on the disk yet, and what the shards may be told of it. The writer
//! and its watchdog share it; it is never locked while the disk is waited for.

use std::time::Instant;

use crate::store::batch::Batch;
use crate::store::unwritten::Unwritten;

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last commit failed; None if it did not.
    pub failure: Option<String>,
    /// Rows that are not on the disk because of that.
    pub rows_unwritten: usize,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Changes that no commit under way holds.
    pub(super) unwritten: Unwritten,
    /// When the commit under way began; None while there is none.
    pub(super) commit_began: Option<Instant>,
    /// Why the last commit failed, or that the one under way takes too long, or that the file is being
    /// replaced.
    pub(super) failure: Option<String>,
    /// Whether the last commit failed, or the one under way takes too long.
    pub(super) has_failed: bool,
    /// Rows of the commit under way.
    pub(super) rows_under_way: usize,
    /// Shards that have not handed over everything that their recovery wrote.
    pub(super) recovering: u16,
    /// Shards whose durable number is to rise, and to what.
    unpublished: Vec<(u16, u64)>,
}

impl Intake {
    /// Nothing yet from that many shards.
    pub(super) fn new(shards: u16) -> Self {
        Self {
            recovering: shards,
            ..Self::default()
        }
    }

    /// Remembers how far the shard of a batch is durable once the batch is.
    pub(super) fn note(&mut self, batch: &Batch) {
        debug_assert!(
            self.recovering > 0 || !batch.ends_recovery,
            "a shard recovers once"
        );
        self.recovering = self.recovering.saturating_sub(batch.ends_recovery.into());
        let mut known = self.unpublished.iter_mut();
        match known.find(|(shard, _)| *shard == batch.shard) {
            Some((_, through)) => *through = (*through).max(batch.through),
            None => self.unpublished.push((batch.shard, batch.through)),
        }
    }

    /// The shards whose durable number rises now, and to what.
    pub(super) fn take_unpublished(&mut self) -> Vec<(u16, u64)> {
        std::mem::take(&mut self.unpublished)
    }

    /// The commit under way has locked the file: from now on it waits for the disk alone.
    pub(super) fn note_lock(&mut self) {
        if let Some(began) = &mut self.commit_began {
            *began = Instant::now();
        }
    }

    /// How the store is.
    pub(super) fn health(&self) -> Health {
        let rows_unwritten = match &self.failure {
            Some(_) => self.unwritten.len() + self.rows_under_way,
            None => 0,
        };
        Health {
            failure: self.failure.clone(),
            rows_unwritten,
        }
    }
}
