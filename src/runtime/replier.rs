//! Delivers a shard's reply to the caller: a task of the HTTP core or a plain thread.
//!
//! Guarantee: the caller gets a reply, or [`Unavailable`] once the replier is dropped.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use crossbeam::queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use crate::http::Unavailable;
use crate::shard::{Command, Reply};

/// A command on its way to a shard.
#[derive(Debug)]
pub(crate) struct PendingCommand {
    /// The command.
    pub(crate) command: Command,
    /// Delivers the reply.
    pub(crate) replier: Replier,
}

/// Delivers the reply to one command to its caller. If it is dropped without a reply, the caller gets
/// [`Unavailable`].
#[derive(Debug)]
pub(crate) struct Replier<T = Reply>(Caller<T>);

#[derive(Debug)]
enum Caller<T> {
    Task(Arc<Slot<T>>),
    Thread(mpsc::Sender<T>),
}

/// The slot from which a task takes its reply.
#[derive(Debug)]
struct Slot<T> {
    reply: ArrayQueue<T>,
    is_over: AtomicBool,
    waker: AtomicWaker,
}

impl<T> Replier<T> {
    /// A replier to a task, and the future with which the task waits.
    pub(crate) fn to_task() -> (Self, impl Future<Output = Result<T, Unavailable>>) {
        let slot = Slot::new();
        let replier = Self(Caller::Task(Arc::clone(&slot)));
        (replier, poll_fn(move |context| slot.poll(context)))
    }

    /// A replier to a thread, and the channel from which the thread receives.
    pub(crate) fn to_thread() -> (Self, mpsc::Receiver<T>) {
        let (sender, receiver) = mpsc::channel();
        (Self(Caller::Thread(sender)), receiver)
    }

    /// Sends the reply.
    pub(crate) fn reply(self, reply: T) {
        match &self.0 {
            // There is room: this is the only replier, and it replies once. Dropping `self` wakes the
            // task.
            Caller::Task(slot) => drop(slot.reply.push(reply)),
            // The thread may have timed out.
            Caller::Thread(sender) => drop(sender.send(reply)),
        }
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        if let Caller::Task(slot) = &self.0 {
            slot.is_over.store(true, Ordering::Release);
            slot.waker.wake();
        }
    }
}

impl<T> Slot<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            reply: ArrayQueue::new(1),
            is_over: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<T, Unavailable>> {
        self.waker.register(context.waker());
        // In this order a reply that was left before the end is never missed.
        let is_over = self.is_over.load(Ordering::Acquire);
        match self.reply.pop() {
            Some(reply) => Poll::Ready(Ok(reply)),
            None if is_over => Poll::Ready(Err(Unavailable)),
            None => Poll::Pending,
        }
    }
}
