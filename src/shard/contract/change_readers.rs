//! The readers of changes of composed state, besides the history and traces.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeReader {
    /// The events of the API.
    Events,
    /// The relays to other systems.
    Relays,
}

/// Those that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeReaders {
    /// Whether events are read.
    pub events: bool,
    /// Whether there are relays.
    pub relays: bool,
}

impl ChangeReaders {
    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.events || self.relays
    }

    /// One of them comes or leaves.
    pub(crate) const fn set(&mut self, reader: ChangeReader, is_there: bool) {
        match reader {
            ChangeReader::Events => self.events = is_there,
            ChangeReader::Relays => self.relays = is_there,
        }
    }
}
