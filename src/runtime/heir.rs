//! The process that will continue our streams: where the cores leave them at the end.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::runtime::bundle::{Bundle, Name};

/// What the cores have left so far.
#[derive(Debug, Default)]
pub(crate) struct Heir(Mutex<Bundle>);

impl Heir {
    /// Leaves streams, each with the time for which it is in use.
    pub(crate) fn leave(&self, streams: Vec<(OwnedFd, Duration)>) {
        let mut bundle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, in_use) in streams {
            bundle.add(Name::of_connection(in_use), stream);
        }
    }

    /// Takes what was left.
    pub(crate) fn take(&self) -> Bundle {
        let mut bundle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *bundle)
    }
}
