//! The mesh: one inbox per shard for mail of the other shards and commands of everybody else.
//!
//! Invariants worth naming: mail between two shards arrives in the order it was sent. Mail that
//! finds the receiver's queue full waits at its sender and goes first at the next try; only
//! misdirected messages are dropped then, since their peers send again. Commands that find the
//! queue full are refused, the asker hears of it. A receiver is woken once per turn of a sender,
//! not per mail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::atomic::fence;
use std::task::Context;
use std::task::Poll;

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use futures_util::task::AtomicWaker;

use crate::net::readiness::Bell;
use crate::runtime::commander::Ask;
use crate::shard::Mail;
use crate::shard::ShardId;
use crate::telemetry::CoreCounters;

/// Mail that may wait in a shard's inbox.
const MAIL_MAX: usize = 8192;
/// Commands that may wait in a shard's inbox.
const ASKS_MAX: usize = 1024;
/// Mail waiting at a sender beyond which it leaves its sockets unread.
const BACKLOG_CONGESTED: usize = 4 * MAIL_MAX;

/// Somebody can be told once to stop, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_set: AtomicBool,
    waker: AtomicWaker,
}

impl Stop {
    /// Tells.
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Waits to be told.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_set.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// What waits for one shard.
#[derive(Debug)]
struct Inbox {
    mail: ArrayQueue<Mail>,
    asks: ArrayQueue<Ask>,
    is_stopped: AtomicBool,
    waker: AtomicWaker,
    /// Rung as well, where the shard's thread may wait without its executor.
    bell: OnceLock<Arc<Bell>>,
}

impl Inbox {
    fn wake(&self) {
        self.waker.wake();
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    fn forget_asks(&self) {
        while self.asks.pop().is_some() {}
    }
}

/// What a shard is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is mail or a command.
    Work,
    /// The core is to end.
    Stop,
}

/// All inboxes.
#[derive(Debug)]
pub(crate) struct Mesh {
    inboxes: Box<[CachePadded<Inbox>]>,
}

impl Mesh {
    /// Empty inboxes for that many shards.
    pub(crate) fn new(shards: u16) -> Arc<Self> {
        Self::with_capacity(shards, MAIL_MAX, ASKS_MAX)
    }

    fn with_capacity(shards: u16, mail_max: usize, asks_max: usize) -> Arc<Self> {
        let inbox = |_| {
            let (mail, asks) = (ArrayQueue::new(mail_max), ArrayQueue::new(asks_max));
            CachePadded::new(Inbox {
                mail,
                asks,
                is_stopped: AtomicBool::new(false),
                waker: AtomicWaker::new(),
                bell: OnceLock::new(),
            })
        };
        Arc::new(Self {
            inboxes: (0..shards).map(inbox).collect(),
        })
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> u16 {
        self.inboxes.len() as u16
    }

    /// Gives a shard a command; it comes back when the shard takes no more (or does not exist).
    pub(crate) fn ask(&self, shard: ShardId, ask: Ask) -> Result<(), Ask> {
        let Some(inbox) = self
            .inbox(shard)
            .filter(|inbox| !inbox.is_stopped.load(Ordering::SeqCst))
        else {
            return Err(ask);
        };
        inbox.asks.push(ask)?;
        fence(Ordering::SeqCst);
        if inbox.is_stopped.load(Ordering::SeqCst) {
            // The core may have ended in between and nobody would look again: then its askers are
            // told from here.
            inbox.forget_asks();
        }
        inbox.wake();
        Ok(())
    }

    /// Ends a shard's core.
    pub(crate) fn stop(&self, shard: ShardId) {
        let Some(inbox) = self.inbox(shard) else {
            return;
        };
        inbox.is_stopped.store(true, Ordering::SeqCst);
        inbox.wake();
    }

    /// Throws away what waits for a core that has ended, so that askers hear of it.
    pub(crate) fn close(&self, shard: ShardId) {
        let Some(inbox) = self.inbox(shard) else {
            return;
        };
        inbox.is_stopped.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        inbox.forget_asks();
    }

    /// A shard waits where this bell is heard, too; the first one counts.
    pub(crate) fn hear(&self, shard: ShardId, bell: Arc<Bell>) {
        if let Some(inbox) = self.inbox(shard) {
            inbox.bell.get_or_init(|| bell);
        }
    }

    /// Whether there is something for a shard to do.
    pub(crate) fn has_work(&self, shard: ShardId) -> bool {
        self.inbox(shard).is_none_or(|inbox| {
            inbox.is_stopped.load(Ordering::Acquire)
                || !(inbox.mail.is_empty() && inbox.asks.is_empty())
        })
    }

    /// Waits until a shard has something to do.
    pub(crate) fn poll(&self, shard: ShardId, context: &Context<'_>) -> Poll<Woken> {
        let Some(inbox) = self.inbox(shard) else {
            return Poll::Ready(Woken::Stop);
        };
        inbox.waker.register(context.waker());
        if inbox.is_stopped.load(Ordering::Acquire) {
            Poll::Ready(Woken::Stop)
        } else if inbox.mail.is_empty() && inbox.asks.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(Woken::Work)
        }
    }

    /// The next mail for a shard.
    pub(crate) fn next_mail(&self, shard: ShardId) -> Option<Mail> {
        self.inbox(shard)?.mail.pop()
    }

    /// The next command for a shard.
    pub(crate) fn next_ask(&self, shard: ShardId) -> Option<Ask> {
        self.inbox(shard)?.asks.pop()
    }

    fn inbox(&self, shard: ShardId) -> Option<&CachePadded<Inbox>> {
        self.inboxes.get(usize::from(shard.0))
    }
}

/// A shard's outgoing mail.
#[derive(Debug)]
pub(crate) struct Post {
    mesh: Arc<Mesh>,
    backlogs: Vec<VecDeque<Mail>>,
    is_to_wake: Vec<bool>,
    waiting: usize,
}

impl Post {
    /// No mail.
    pub(crate) fn new(mesh: Arc<Mesh>) -> Self {
        let shards = usize::from(mesh.shards());
        let backlogs = std::iter::repeat_with(VecDeque::new).take(shards).collect();
        Self {
            mesh,
            backlogs,
            is_to_wake: vec![false; shards],
            waiting: 0,
        }
    }

    /// Sends mail, or keeps it until there is room. The receiver is woken by [`Post::wake`].
    pub(crate) fn send(&mut self, to: ShardId, mail: Mail, counters: &CoreCounters) {
        let index = usize::from(to.0);
        let (Some(inbox), Some(backlog)) = (self.mesh.inbox(to), self.backlogs.get_mut(index))
        else {
            counters.mail_dropped.add(1);
            return;
        };
        let refused = if backlog.is_empty() {
            inbox.mail.push(mail).err()
        } else {
            Some(mail)
        };
        self.is_to_wake[index] = true;
        match refused {
            None => counters.mail_sent.add(1),
            Some(Mail::Misdirected { .. }) => counters.mail_dropped.add(1),
            Some(mail) => {
                backlog.push_back(mail);
                self.waiting += 1;
                counters.mail_backlog.set(self.waiting as u64);
            }
        }
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn retry(&mut self, counters: &CoreCounters) {
        if self.waiting == 0 {
            return;
        }
        for ((inbox, backlog), is_to_wake) in self
            .mesh
            .inboxes
            .iter()
            .zip(&mut self.backlogs)
            .zip(&mut self.is_to_wake)
        {
            while let Some(mail) = backlog.pop_front() {
                *is_to_wake = true;
                if let Err(mail) = inbox.mail.push(mail) {
                    backlog.push_front(mail);
                    break;
                }
                self.waiting -= 1;
                counters.mail_sent.add(1);
            }
        }
        counters.mail_backlog.set(self.waiting as u64);
    }

    /// Wakes everybody who was sent something since the last time.
    pub(crate) fn wake(&mut self) {
        for (inbox, is_to_wake) in self.mesh.inboxes.iter().zip(&mut self.is_to_wake) {
            if std::mem::take(is_to_wake) {
                inbox.wake();
            }
        }
    }

    /// Whether mail waits for another try.
    pub(crate) fn has_backlog(&self) -> bool {
        self.waiting > 0
    }

    /// Whether so much waits that no new work should be taken in.
    pub(crate) fn is_congested(&self) -> bool {
        self.waiting >= BACKLOG_CONGESTED
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use std::task::Waker;

    use super::*;
    use crate::presence::presentity::PublishRefused;
    use crate::shard::ConnectionId;
    use crate::shard::Flow;
    use crate::sip::Transport;

    fn numbered(request: u32) -> Mail {
        Mail::PublishOutcome {
            request,
            outcome: Err(PublishRefused::ConditionFailed),
        }
    }

    fn number(mail: &Mail) -> u32 {
        let Mail::PublishOutcome { request, .. } = mail else {
            panic!("not what was sent")
        };
        *request
    }

    fn misdirected() -> Mail {
        let address = "127.0.0.1:5060".parse().unwrap();
        let connection = ConnectionId::default();
        let flow = Flow {
            transport: Transport::Udp,
            listener: 0,
            connection,
            local: address,
            peer: address,
        };
        Mail::Misdirected {
            flow,
            bytes: Box::default(),
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_full_queue_loses_nothing_and_keeps_the_order() {
        let mesh = Mesh::with_capacity(2, 4, 4);
        let counters = CoreCounters::default();
        let mut post = Post::new(Arc::clone(&mesh));
        let receiver = ShardId(1);
        for request in 0..10 {
            post.send(receiver, numbered(request), &counters);
        }
        post.send(receiver, misdirected(), &counters);
        assert_eq!(
            (
                counters.mail_sent.value(),
                counters.mail_backlog.value(),
                counters.mail_dropped.value()
            ),
            (4, 6, 1)
        );
        let mut seen = Vec::new();
        while seen.len() < 12 {
            seen.extend(mesh.next_mail(receiver).as_ref().map(number));
            post.retry(&counters);
            if seen.len() == 5 {
                // Later mail does not overtake what waits, though there is room for it now and
                // then.
                post.send(receiver, numbered(10), &counters);
                post.send(receiver, numbered(11), &counters);
            }
        }
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
        assert!(!post.has_backlog() && counters.mail_backlog.value() == 0);
        assert_eq!(counters.mail_sent.value(), 12);
    }

    #[test]
    fn a_receiver_is_woken_once_per_turn() {
        let mesh = Mesh::with_capacity(2, 8, 4);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let context = Context::from_waker(&waker);
        let receiver = ShardId(1);
        assert_eq!(mesh.poll(receiver, &context), Poll::Pending);
        let counters = CoreCounters::default();
        let mut post = Post::new(Arc::clone(&mesh));
        post.send(receiver, numbered(1), &counters);
        post.send(receiver, numbered(2), &counters);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        post.wake();
        post.wake();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(mesh.poll(receiver, &context), Poll::Ready(Woken::Work));
        mesh.stop(receiver);
        assert_eq!(mesh.poll(receiver, &context), Poll::Ready(Woken::Stop));
    }

    #[test]
    fn mail_crosses_threads_in_order() {
        let mesh = Mesh::with_capacity(3, 16, 4);
        let senders: Vec<_> = (0..2u32)
            .map(|sender| {
                let mesh = Arc::clone(&mesh);
                std::thread::spawn(move || {
                    let counters = CoreCounters::default();
                    let mut post = Post::new(mesh);
                    for count in 0..5000 {
                        post.send(ShardId(2), numbered(sender << 16 | count), &counters);
                        post.wake();
                    }
                    while post.has_backlog() {
                        post.retry(&counters);
                        post.wake();
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        let mut next = [0, 0];
        while next != [5000, 5000] {
            let Some(mail) = mesh.next_mail(ShardId(2)) else {
                std::thread::yield_now();
                continue;
            };
            let (sender, count) = (number(&mail) >> 16, number(&mail) & 0xffff);
            assert_eq!(next[sender as usize], count);
            next[sender as usize] += 1;
        }
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    }
}
