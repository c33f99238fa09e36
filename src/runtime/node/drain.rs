//! The end of all subscriptions before a node ends that has no store.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::http::Unavailable;
use crate::runtime::node::Node;
use crate::shard::{Command, Reply};

/// Time between two checks whether a draining node is done.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Timeout for a command from this module before the shard counts as stuck.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

impl Node {
    /// Without a store: ends all subscriptions. How many were left.
    pub(super) fn drain(&self, timeout: Duration) -> usize {
        self.is_ready.store(false, Ordering::Release);
        if self.store.is_some() {
            return 0;
        }
        let deadline = Instant::now() + timeout;
        loop {
            let outstanding = self.outstanding();
            if outstanding == 0 || Instant::now() >= deadline {
                return outstanding;
            }
            std::thread::sleep(DRAIN_POLL);
        }
    }

    fn outstanding(&self) -> usize {
        let replies = self
            .commander
            .ask_all_blocking(COMMAND_TIMEOUT, || Command::Drain);
        let outstanding = |reply| match reply {
            Ok(Reply::Outstanding(count)) => count,
            // A shard that does not reply is not waited for.
            Ok(_) | Err(Unavailable) => 0,
        };
        replies.into_iter().map(outstanding).sum()
    }
}
