//! The mesh: one inbox per shard for mail from other shards, for commands, and for what comes from the
//! store.
//!
//! Invariants worth naming: mail between two shards arrives in the order in which it was sent
//! ([`mail_sender`]). A command that finds its queue full is refused, and its sender learns that. A
//! shard that waits is woken once per turn of a sender, not once per mail.

pub(crate) mod mail_sender;

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, Thread};

use crossbeam::queue::{ArrayQueue, SegQueue};
use crossbeam::utils::CachePadded;
use futures_util::task::AtomicWaker;

use crate::net::readiness::Bell;
use crate::runtime::recovered_part::RecoveredPart;
use crate::runtime::replier::PendingCommand;
use crate::shard::{Mail, ShardId};
use crate::trace::Traces;

/// Mail that may wait in a shard's inbox.
const MAIL_MAX: usize = 8192;
/// Commands that may wait in a shard's inbox.
const COMMANDS_MAX: usize = 1024;
/// Parts of a recovery that may wait in a shard's inbox.
const PARTS_MAX: usize = 4;
/// Dialogs that a shard asked for and that may wait in its inbox.
const WANTED_MAX: usize = 256;

/// What waits for one shard.
#[derive(Debug)]
struct Inbox {
    mail: ArrayQueue<Mail>,
    commands: ArrayQueue<PendingCommand>,
    recovered: ArrayQueue<RecoveredPart>,
    /// Dialogs that the shard asked for.
    wanted: ArrayQueue<RecoveredPart>,
    /// Records of the shard became durable.
    has_durable: AtomicBool,
    /// The core has stopped reading, and has nothing left to do.
    is_at_rest: AtomicBool,
    is_stopped: AtomicBool,
    waker: AtomicWaker,
    /// Ends a wait of the shard's thread beside its executor.
    bell: OnceLock<Arc<Bell>>,
}

impl Inbox {
    /// There is something for the shard to do. A thread that waits beside its executor does that itself:
    /// a pass of the executor would cost more than most of the work does.
    fn wake(&self) {
        let ends_wait = self.bell.get().is_some_and(|bell| bell.ring());
        if !ends_wait {
            self.waker.wake();
        }
    }

    /// Wakes the main task of the shard, which alone sees whether it is to stop.
    fn wake_main_task(&self) {
        self.waker.wake();
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    /// Whether there is something for the shard to do.
    fn has_work(&self) -> bool {
        let is_empty = self.mail.is_empty() && self.commands.is_empty();
        let has_recovered = !self.recovered.is_empty() || !self.wanted.is_empty();
        !is_empty || has_recovered || self.has_durable.load(Ordering::Acquire)
    }

    /// Drops what others wait for.
    fn drop_waiting(&self) {
        while self.commands.pop().is_some() {}
        while self.recovered.pop().is_some() {}
        while self.wanted.pop().is_some() {}
    }
}

/// Why a shard is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is mail, a command, or something from the store.
    Work,
    /// Nothing more is to be read from sockets; told once.
    Pause,
    /// The core is to end.
    Stop,
}

/// All inboxes.
#[derive(Debug)]
pub(crate) struct Mesh {
    inboxes: Box<[CachePadded<Inbox>]>,
    /// All cores are to stop reading.
    is_pausing: AtomicBool,
    /// Places of dialogs that shards ask the reader of the store for; no more than requests wait.
    wanted: SegQueue<u32>,
    /// The reader's thread.
    reader: OnceLock<Thread>,
    /// What operators watch.
    traces: Arc<Traces>,
}

impl Mesh {
    /// Empty inboxes for that many shards.
    pub(crate) fn new(shards: u16) -> Arc<Self> {
        Self::with_capacity(shards, MAIL_MAX, COMMANDS_MAX)
    }

    fn with_capacity(shards: u16, mail_max: usize, commands_max: usize) -> Arc<Self> {
        let inbox = |_| {
            let (mail, commands) = (ArrayQueue::new(mail_max), ArrayQueue::new(commands_max));
            CachePadded::new(Inbox {
                mail,
                commands,
                recovered: ArrayQueue::new(PARTS_MAX),
                wanted: ArrayQueue::new(WANTED_MAX),
                has_durable: AtomicBool::new(false),
                is_at_rest: AtomicBool::new(false),
                is_stopped: AtomicBool::new(false),
                waker: AtomicWaker::new(),
                bell: OnceLock::new(),
            })
        };
        Arc::new(Self {
            inboxes: (0..shards).map(inbox).collect(),
            is_pausing: AtomicBool::new(false),
            wanted: SegQueue::new(),
            reader: OnceLock::new(),
            traces: Arc::new(Traces::new(shards)),
        })
    }

    /// What operators watch of the shards' messages.
    pub(crate) fn traces(&self) -> &Arc<Traces> {
        &self.traces
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        self.inboxes.len() as u16
    }

    /// Gives a shard a command. The command comes back when the shard's queue is full, or the shard
    /// has ended or does not exist.
    pub(crate) fn command(
        &self,
        shard: ShardId,
        command: PendingCommand,
    ) -> Result<(), PendingCommand> {
        let Some(inbox) = self
            .inbox(shard)
            .filter(|inbox| !inbox.is_stopped.load(Ordering::SeqCst))
        else {
            return Err(command);
        };
        inbox.commands.push(command)?;
        fence(Ordering::SeqCst);
        if inbox.is_stopped.load(Ordering::SeqCst) {
            // The core may have ended meanwhile; notify waiting callers here.
            inbox.drop_waiting();
        }
        inbox.wake();
        Ok(())
    }

    /// Gives a shard a part of what the store holds. It comes back when enough waits already; a shard
    /// that has ended drops it.
    pub(crate) fn recover(&self, shard: ShardId, part: RecoveredPart) -> Result<(), RecoveredPart> {
        self.hand_over(shard, part, |inbox| &inbox.recovered)
    }

    /// As [`Self::recover`], ahead of all such parts: a dialog that the shard asked for.
    pub(crate) fn bring(&self, shard: ShardId, part: RecoveredPart) -> Result<(), RecoveredPart> {
        self.hand_over(shard, part, |inbox| &inbox.wanted)
    }

    fn hand_over(
        &self,
        shard: ShardId,
        part: RecoveredPart,
        queue: impl FnOnce(&Inbox) -> &ArrayQueue<RecoveredPart>,
    ) -> Result<(), RecoveredPart> {
        let Some(inbox) = self.inbox(shard) else {
            debug_assert!(false, "shard {} has an inbox", shard.0);
            return Ok(());
        };
        queue(inbox).push(part)?;
        fence(Ordering::SeqCst);
        if inbox.is_stopped.load(Ordering::SeqCst) {
            inbox.drop_waiting();
        }
        inbox.wake();
        Ok(())
    }

    /// Informs a shard that more of its records are durable.
    pub(crate) fn tell_durable(&self, shard: ShardId) {
        if let Some(inbox) = self.inbox(shard) {
            inbox.has_durable.store(true, Ordering::Release);
            inbox.wake();
        }
    }

    /// Has all cores stop reading from sockets. They finish what they have read.
    pub(crate) fn pause(&self) {
        self.is_pausing.store(true, Ordering::SeqCst);
        self.inboxes.iter().for_each(|inbox| inbox.wake_main_task());
    }

    /// A core that has stopped reading says whether it has anything left to do.
    pub(crate) fn set_at_rest(&self, shard: ShardId, is_at_rest: bool) {
        if let Some(inbox) = self.inbox(shard) {
            inbox.is_at_rest.store(is_at_rest, Ordering::Release);
        }
    }

    /// Whether no core has anything left to do, but for mail on its way.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_at_rest = |inbox: &CachePadded<Inbox>| {
            let has_ended = inbox.is_stopped.load(Ordering::Acquire);
            has_ended || inbox.is_at_rest.load(Ordering::Acquire) && !inbox.has_work()
        };
        self.inboxes.iter().all(is_at_rest)
    }

    /// Ends a shard's core.
    pub(crate) fn stop(&self, shard: ShardId) {
        let Some(inbox) = self.inbox(shard) else {
            debug_assert!(false, "shard {} has an inbox", shard.0);
            return;
        };
        inbox.is_stopped.store(true, Ordering::SeqCst);
        inbox.wake_main_task();
    }

    /// Drops what is queued for a core that has ended; the senders of commands learn that.
    pub(crate) fn close(&self, shard: ShardId) {
        let Some(inbox) = self.inbox(shard) else {
            debug_assert!(false, "shard {} has an inbox", shard.0);
            return;
        };
        inbox.is_stopped.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        inbox.drop_waiting();
    }

    /// The bell that ends a shard's waits beside its executor; the first one that is set counts.
    pub(crate) fn set_bell(&self, shard: ShardId, bell: Arc<Bell>) {
        if let Some(inbox) = self.inbox(shard) {
            inbox.bell.get_or_init(|| bell);
        }
    }

    /// Whether there is something for a shard to do.
    pub(crate) fn has_work(&self, shard: ShardId) -> bool {
        self.inbox(shard)
            .is_none_or(|inbox| inbox.is_stopped.load(Ordering::Acquire) || inbox.has_work())
    }

    /// The thread of a shard waits in its executor again, and has not done all that it was woken for.
    pub(crate) fn leave_to_main_task(&self, shard: ShardId) {
        if let Some(inbox) = self.inbox(shard).filter(|inbox| inbox.has_work()) {
            inbox.waker.wake();
        }
    }

    /// Waits until a shard has something to do. `has_paused`: it has stopped reading already.
    pub(crate) fn poll(
        &self,
        shard: ShardId,
        has_paused: bool,
        context: &Context<'_>,
    ) -> Poll<Woken> {
        let Some(inbox) = self.inbox(shard) else {
            return Poll::Ready(Woken::Stop);
        };
        inbox.waker.register(context.waker());
        if inbox.is_stopped.load(Ordering::Acquire) {
            Poll::Ready(Woken::Stop)
        } else if !has_paused && self.is_pausing.load(Ordering::Acquire) {
            Poll::Ready(Woken::Pause)
        } else if inbox.has_work() {
            Poll::Ready(Woken::Work)
        } else {
            Poll::Pending
        }
    }

    /// The next mail for a shard.
    pub(crate) fn next_mail(&self, shard: ShardId) -> Option<Mail> {
        self.inbox(shard)?.mail.pop()
    }

    /// Mail that waits for a shard.
    pub(crate) fn mail_waiting(&self, shard: ShardId) -> usize {
        self.inbox(shard).map_or(0, |inbox| inbox.mail.len())
    }

    /// The next command for a shard.
    pub(crate) fn next_command(&self, shard: ShardId) -> Option<PendingCommand> {
        self.inbox(shard)?.commands.pop()
    }

    /// The next part of what the store holds. The reader is woken when half of the parts are taken.
    pub(crate) fn next_recovered(&self, shard: ShardId) -> Option<RecoveredPart> {
        let recovered = &self.inbox(shard)?.recovered;
        let part = recovered.pop()?;
        if recovered.len() == PARTS_MAX / 2 {
            self.wake_reader();
        }
        Some(part)
    }

    /// The next dialog that a shard asked for.
    pub(crate) fn next_wanted(&self, shard: ShardId) -> Option<RecoveredPart> {
        self.inbox(shard)?.wanted.pop()
    }

    /// This thread reads the store, and is woken when a shard has room for more or asks for a dialog.
    pub(crate) fn become_reader(&self) {
        self.reader.get_or_init(thread::current);
    }

    /// A shard asks the reader of the store for the dialog at a place.
    pub(crate) fn want(&self, place: u32) {
        self.wanted.push(place);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }

    /// The next dialog that the reader of the store is asked for.
    pub(crate) fn next_want(&self) -> Option<u32> {
        self.wanted.pop()
    }

    /// Whether records of a shard became durable since the last call.
    pub(crate) fn take_durable(&self, shard: ShardId) -> bool {
        self.inbox(shard).is_some_and(|inbox| {
            inbox.has_durable.load(Ordering::Acquire)
                && inbox.has_durable.swap(false, Ordering::AcqRel)
        })
    }

    fn inbox(&self, shard: ShardId) -> Option<&CachePadded<Inbox>> {
        self.inboxes.get(usize::from(shard.0))
    }
}
