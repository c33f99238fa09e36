//! The streams that a core's engine wants opened, until its dialer takes them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::shard::Dial;

/// The orders, in order. The engine bounds how many there are.
#[derive(Debug, Default)]
pub(crate) struct DialOrders {
    waiting: RefCell<VecDeque<Dial>>,
    dialer: RefCell<Option<Waker>>,
}

impl DialOrders {
    /// Adds an order.
    pub(crate) fn push(&self, dial: Dial) {
        self.waiting.borrow_mut().push_back(dial);
        if let Some(dialer) = self.dialer.take() {
            dialer.wake();
        }
    }

    /// The next order.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Dial> {
        if let Some(dial) = self.waiting.borrow_mut().pop_front() {
            return Poll::Ready(dial);
        }
        *self.dialer.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
