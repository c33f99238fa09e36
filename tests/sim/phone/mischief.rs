//! Misbehaviour of phones and of the networks around them: reboots, NAT rebinding, broken streams,
//! silence, refusal, requests in quick succession.

use super::busy::Busy;
use super::{Asked, Phone};
use crate::network::{Access, SECOND, Wake};
use crate::world::Bench;

impl Phone {
    pub(super) fn mischief(&mut self, bench: &mut Bench) {
        if self.calm {
            return;
        }
        let after = bench
            .net
            .rng
            .between(SECOND, 2 * bench.net.plan.mischief_every);
        bench.net.wake(self.id, after, Wake::Act);
        let at = bench.net.rng.below(self.keys.len() as u64) as usize;
        match bench.net.rng.below(9) {
            0 => self.forget_everything(bench),
            1 | 2 => self.move_away(bench),
            3 => {
                self.frozen_until = bench.net.now + bench.net.rng.between(1, 50) * SECOND;
                self.troubled_until = self.frozen_until + 33 * SECOND;
            }
            4 => {
                self.unsubscribe(at, bench);
                let after = bench.net.rng.below(20 * SECOND);
                bench.net.wake(self.id, after, Wake::Subscribe(at));
            }
            5 => {
                self.contact_generation += 1;
                self.refresh_now(at, bench);
            }
            6 => self.refresh_now(at, bench),
            7 => self.busy = Busy::begin(&mut bench.net),
            _ => {
                // A refresh and an unsubscribe in quick succession, which the network may reorder.
                self.refresh_now(at, bench);
                self.unsubscribe(at, bench);
                bench.net.wake(self.id, 3 * SECOND, Wake::Subscribe(at));
            }
        }
    }

    pub(super) fn refresh_now(&mut self, at: usize, bench: &mut Bench) {
        if let Some(dialog) = &self.keys[at].dialog {
            let serial = dialog.serial;
            self.refresh(at, serial, bench);
        }
    }

    /// A reboot: the phone loses its state without ending its subscriptions.
    pub(super) fn forget_everything(&mut self, bench: &mut Bench) {
        self.uac.forget();
        self.responses.clear();
        self.ended.clear();
        for at in 0..self.keys.len() {
            self.keys[at].dialog = None;
            let after = bench.net.rng.between(SECOND, 4 * SECOND);
            bench.net.wake(self.id, after, Wake::Subscribe(at));
        }
    }

    /// The NAT assigns another port, or the stream breaks; a phone with neither gets another
    /// address.
    pub(super) fn move_away(&mut self, bench: &mut Bench) {
        self.moved_at = bench.net.now;
        match self.access {
            Access::Udp(old) => {
                self.access = Access::Udp(bench.net.bind(self.id, Some(old)));
                if !self.natted {
                    self.forget_everything(bench);
                }
            }
            Access::Tcp(_, connection) => {
                let silent = bench.net.rng.chance(500);
                bench.net.break_stream(connection, silent);
            }
        }
    }

    /// Returns whether the phone still has the subscription that it asked for.
    pub(super) fn has_live(&self, asked: &Asked) -> bool {
        let dialog = self.keys[asked.key].dialog.as_ref();
        dialog.is_some_and(|dialog| dialog.serial == asked.serial && dialog.established)
    }
}
