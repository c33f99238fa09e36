//! Erases the people of a domain that the HTTP API has removed, on a thread of its own: what is known and stored of
//! them, their names in calls and in the history of others, and their history. At last the file of the store is
//! written anew, so that none of it is left in there.
//!
//! Guarantees: an erasure that has begun is completed, if need be by a later process: until then the store names the
//! domain. A shard erases a batch of places at a time. While the people of a domain are being erased it cannot be
//! added again, so that no user of the new domain is erased.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;
use std::{io, mem, thread};

use crate::http::SharedDirectory;
use crate::presence::DataSubject;
use crate::presence::history::HistoryErased;
use crate::runtime::commander::Commander;
use crate::shard::contract::report::ForgottenMentions;
use crate::shard::{Command, Reply};

/// How long the removal of a domain waits for the erasure; if that takes longer, it follows.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How long a shard may take for a batch.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two tries while something prevents an erasure.
const RETRY: Duration = Duration::from_millis(500);

/// Domains whose people are being erased.
type Pending = Mutex<HashSet<Box<str>>>;

/// Takes orders. Its thread ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Eraser {
    pending: Arc<Pending>,
    orders: Sender<Order>,
    commander: Commander,
}

#[derive(Debug)]
struct Order {
    domain: Box<str>,
    /// Dropped when nothing of the people is left but octets in free parts of the file of the store.
    done: Sender<()>,
}

/// The thread's end.
struct Work {
    pending: Weak<Pending>,
    commander: Commander,
    directory: SharedDirectory,
}

impl Eraser {
    /// Starts the thread, which first completes what an earlier process has left.
    pub(crate) fn start(commander: Commander, directory: SharedDirectory) -> io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let eraser = Self {
            pending: Arc::default(),
            orders,
            commander: commander.clone(),
        };
        let work = Work {
            pending: Arc::downgrade(&eraser.pending),
            commander,
            directory,
        };
        let keeper = eraser.commander.edit_keeper();
        for domain in keeper.map_or(&[][..], |keeper| keeper.unerased()) {
            eraser.pending().insert(domain.clone());
            drop(eraser.order(domain));
        }
        thread::Builder::new()
            .name("eraser".to_owned())
            .spawn(move || work.serve(&received))?;
        Ok(eraser)
    }

    /// Whether the people of a former domain of that name are being erased.
    pub(crate) fn is_pending(&self, domain: &str) -> bool {
        self.pending().contains(domain)
    }

    /// Notes that a domain is about to be removed. False if that is not on the disk.
    pub(crate) fn begin(&self, domain: &str) -> bool {
        self.pending().insert(domain.into());
        let keeper = self.commander.edit_keeper();
        keeper.is_none_or(|keeper| keeper.wait_durable(keeper.note_erasure(domain, false)))
    }

    /// The domain is not removed after all.
    pub(crate) fn cancel(&self, domain: &str) {
        if let Some(keeper) = self.commander.edit_keeper() {
            keeper.note_erasure(domain, true);
        }
        self.pending().remove(domain);
    }

    /// The domain is removed: erases its people. Waits for that, but not long.
    pub(crate) fn erase(&self, domain: &str) {
        let done = self.order(domain);
        let _either = done.recv_timeout(WAIT_MAX);
    }

    fn order(&self, domain: &str) -> Receiver<()> {
        let (done, is_done) = mpsc::channel();
        let domain = domain.into();
        let _sent = self.orders.send(Order { domain, done });
        is_done
    }

    fn pending(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        lock(&self.pending)
    }
}

fn lock(pending: &Pending) -> MutexGuard<'_, HashSet<Box<str>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    fn serve(&self, orders: &Receiver<Order>) {
        let mut erased = Vec::new();
        loop {
            let order = match orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    self.overwrite(mem::take(&mut erased));
                    match orders.recv() {
                        Ok(order) => order,
                        Err(_) => return,
                    }
                }
            };
            while let Err(why) = self.erase(&order.domain) {
                tracing::debug!(domain = &*order.domain, why, "not erased yet");
                thread::sleep(RETRY);
                if self.pending.strong_count() == 0 {
                    return;
                }
            }
            if let Some(pending) = self.pending.upgrade() {
                lock(&pending).remove(&order.domain);
            }
            drop(order.done);
            erased.push(order.domain);
        }
    }

    /// Erases the people of a domain; why they are not erased now.
    fn erase(&self, domain: &str) -> Result<(), &'static str> {
        if self.directory.current().is_managed(domain) {
            // The process ended before the removal was on the disk.
            return Ok(());
        }
        let mentions = self.erase_in_shards(domain)?;
        let historian = self.commander.historian();
        let history = historian.map(|historian| historian.erase_domain(domain));
        let history = history.unwrap_or_else(|| Ok(HistoryErased::default()));
        let history = history.map_err(|_| "the history is busy, or cannot be written")?;
        let (presentities, subscriptions) = (mentions.presentities, mentions.subscriptions);
        let changes = history.changes;
        tracing::info!(
            domain,
            presentities,
            subscriptions,
            changes,
            "the people of a removed domain are erased"
        );
        Ok(())
    }

    fn erase_in_shards(&self, domain: &str) -> Result<ForgottenMentions, &'static str> {
        let mut all = Vec::new();
        for shard in self.commander.shard_ids() {
            let mut next = Some(0);
            while let Some(from) = next {
                let erased = DataSubject::Domain(domain.into());
                let command = Command::ForgetMentions { erased, from };
                match self.commander.ask_blocking(shard, command, PATIENCE) {
                    Ok(Reply::MentionsForgotten(mentions, then)) => {
                        all.push(mentions);
                        next = then;
                    }
                    Ok(_) => return Err("the store is still read, or is behind"),
                    Err(_) => return Err("a shard does not respond"),
                }
            }
        }
        Ok(all.into_iter().sum())
    }

    /// Has the file of the store written anew without what was erased, and ends the erasures. If that fails, a later
    /// process does it.
    fn overwrite(&self, domains: Vec<Box<str>>) {
        let keeper = self.commander.edit_keeper();
        if let Some(keeper) = keeper.filter(|_| !domains.is_empty())
            && self.commander.write_store_anew_blocking()
        {
            for domain in domains {
                keeper.note_erasure(&domain, true);
            }
        }
    }
}
