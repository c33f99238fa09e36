//! A shard's outgoing mail: where an owner's address becomes a queue.
//!
//! Mail that finds the receiver's queue full waits at its sender and is retried first, so that the
//! order is kept. Only misdirected messages are dropped instead: their peers retransmit.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::runtime::mesh::{MAIL_MAX, Mesh};
use crate::shard::{Mail, ShardId};
use crate::telemetry::CoreCounters;

/// Mail waiting at a sender beyond which it leaves its sockets unread.
const BACKLOG_CONGESTED: usize = 4 * MAIL_MAX;

/// A shard's outgoing mail.
#[derive(Debug)]
pub(crate) struct MailSender {
    mesh: Arc<Mesh>,
    /// By receiver: mail that found the queue full, oldest first.
    backlogs: Vec<VecDeque<Mail>>,
    /// By receiver: whether it was sent something since the last wake.
    is_to_wake: Vec<bool>,
    /// Mail in all backlogs.
    waiting: usize,
}

impl MailSender {
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

    /// Sends mail to the owner at that address, or keeps it until there is room. The only place
    /// where an owner's address becomes a queue. The receiver is woken by [`MailSender::wake`].
    pub(crate) fn send(&mut self, to: ShardId, mail: Mail, counters: &CoreCounters) {
        let index = usize::from(to.0);
        let (Some(inbox), Some(backlog)) = (self.mesh.inbox(to), self.backlogs.get_mut(index))
        else {
            debug_assert!(false, "mail to shard {}, which does not exist", to.0);
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

    /// Sends queued mail, as far as the receiver has room.
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

    /// Wakes the shards that were sent something since the last time.
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::readiness::{Readiness, Waited};
    use crate::presence::presentity::PublishRefused;
    use crate::runtime::mesh::Woken;
    use crate::shard::{ConnectionId, Flow};
    use crate::sip::Transport;

    fn numbered(request: u64) -> Mail {
        Mail::PublishOutcome {
            request,
            outcome: Err(PublishRefused::ConditionFailed),
        }
    }

    fn number(mail: &Mail) -> u64 {
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
            at: Instant::now(),
            bytes: Box::default(),
            certified: None,
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
        let mut mail = MailSender::new(Arc::clone(&mesh));
        let receiver = ShardId(1);
        for request in 0..10 {
            mail.send(receiver, numbered(request), &counters);
        }
        mail.send(receiver, misdirected(), &counters);
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
            mail.retry(&counters);
            if seen.len() == 5 {
                // Later mail does not overtake what waits, though there is room for it now and
                // then.
                mail.send(receiver, numbered(10), &counters);
                mail.send(receiver, numbered(11), &counters);
            }
        }
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
        assert!(!mail.has_backlog() && counters.mail_backlog.value() == 0);
        assert_eq!(counters.mail_sent.value(), 12);
    }

    #[test]
    fn a_receiver_is_woken_once_per_turn() {
        let mesh = Mesh::with_capacity(2, 8, 4);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let context = Context::from_waker(&waker);
        let receiver = ShardId(1);
        assert_eq!(mesh.poll(receiver, false, &context), Poll::Pending);
        let counters = CoreCounters::default();
        let mut mail = MailSender::new(Arc::clone(&mesh));
        mail.send(receiver, numbered(1), &counters);
        mail.send(receiver, numbered(2), &counters);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        mail.wake();
        mail.wake();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            mesh.poll(receiver, false, &context),
            Poll::Ready(Woken::Work)
        );
        mesh.stop(receiver);
        assert_eq!(
            mesh.poll(receiver, false, &context),
            Poll::Ready(Woken::Stop)
        );
    }

    /// What the thread does not take then is left to its main task.
    #[test]
    fn mail_ends_a_wait_beside_the_executor_and_wakes_nothing_else() {
        let mesh = Mesh::with_capacity(2, 8, 4);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let receiver = ShardId(1);
        let readiness = Readiness::new(std::iter::empty()).unwrap();
        mesh.set_bell(receiver, Arc::clone(readiness.bell()));
        let context = Context::from_waker(&waker);
        assert_eq!(mesh.poll(receiver, false, &context), Poll::Pending);
        let waited = readiness.wait(Duration::from_secs(10), || {
            let mut mail = MailSender::new(Arc::clone(&mesh));
            mail.send(receiver, numbered(1), &CoreCounters::default());
            mail.wake();
            false
        });
        assert_eq!(waited, Waited::Ready);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        mesh.leave_to_main_task(receiver);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(mesh.next_mail(receiver).is_some());
        mesh.leave_to_main_task(receiver);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn mail_crosses_threads_in_order() {
        let mesh = Mesh::with_capacity(3, 16, 4);
        let senders: Vec<_> = (0..2u64)
            .map(|sender| {
                let mesh = Arc::clone(&mesh);
                std::thread::spawn(move || {
                    let counters = CoreCounters::default();
                    let mut mail = MailSender::new(mesh);
                    for count in 0..5000 {
                        mail.send(ShardId(2), numbered(sender << 16 | count), &counters);
                        mail.wake();
                    }
                    while mail.has_backlog() {
                        mail.retry(&counters);
                        mail.wake();
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
