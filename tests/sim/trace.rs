//! The trace of a run: always a hash (two runs of one seed must agree), and on request the last
//! events as text.
//!
//! A failing seed is run a second time with text, which is possible because runs repeat exactly.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::network::Micros;

/// How many lines a failure shows.
pub(crate) const LINES_SHOWN: usize = 60;

thread_local! {
    /// The last lines; stored outside the run, so that they survive a panic of the engine.
    static LINES: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    words: Words,
}

/// The detail of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Only the hash.
    None,
    /// Hash and the last lines, for [`last_lines`].
    Last,
    /// Also prints every line to standard error at once.
    All,
}

impl Trace {
    pub(crate) fn new(words: Words) -> Self {
        LINES.with_borrow_mut(VecDeque::clear);
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            words,
        }
    }

    /// Records an event: its time and octets go into the hash, its text into the lines.
    pub(crate) fn note(&mut self, now: Micros, octets: &[u8], words: impl FnOnce() -> String) {
        self.mix(now);
        let mut chunks = octets.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().unwrap()));
        }
        let rest = chunks.remainder();
        self.mix(
            rest.iter()
                .fold(rest.len() as u64, |all, octet| all << 8 | u64::from(*octet)),
        );
        if self.words == Words::None {
            return;
        }
        let line = format!("{:>10.3}  {}", now as f64 / 1e6, words());
        if self.words == Words::All {
            eprintln!("{line}");
        }
        LINES.with_borrow_mut(|lines| {
            lines.push_back(line);
            if lines.len() > LINES_SHOWN {
                lines.pop_front();
            }
        });
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// The last lines of the last run of this thread.
pub(crate) fn last_lines() -> Vec<String> {
    LINES.with_borrow(|lines| lines.iter().cloned().collect())
}
