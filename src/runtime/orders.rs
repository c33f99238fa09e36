//! What a core's engine orders, until the task that serves it takes it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// The orders, in order. The engine bounds how many there are.
#[derive(Debug)]
pub(crate) struct Orders<T> {
    waiting: RefCell<VecDeque<T>>,
    server: RefCell<Option<Waker>>,
}

impl<T> Orders<T> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            waiting: RefCell::default(),
            server: RefCell::default(),
        }
    }

    /// Adds orders.
    pub(crate) fn extend(&self, orders: impl Iterator<Item = T>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.extend(orders);
        if waiting.is_empty() {
            return;
        }
        drop(waiting);
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }

    /// The next order.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<T> {
        if let Some(order) = self.waiting.borrow_mut().pop_front() {
            return Poll::Ready(order);
        }
        *self.server.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
