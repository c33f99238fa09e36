//! What a phone does when its server is back after a crash: it refreshes, or ends, some of its
//! subscriptions at once, while the server still reads their records.

use super::Phone;
use crate::network::{Micros, SECOND, Wake};
use crate::world::Bench;

impl Phone {
    /// The node is up again. Within this time the phone acts on some of its keys.
    pub(crate) fn notice_restart(&mut self, within: Micros, bench: &mut Bench) {
        let net = &mut bench.net;
        for (key, dialog) in self.keys.iter().enumerate() {
            let Some(dialog) = dialog.dialog.as_ref().filter(|it| it.established) else {
                continue;
            };
            let (serial, after) = (dialog.serial, net.rng.below(within));
            match net.rng.below(10) {
                0..6 => net.wake(self.id, after, Wake::Refresh { key, serial }),
                6 | 7 => net.wake(self.id, after, Wake::Replace { key, serial }),
                _ => {}
            }
        }
    }

    /// Ends the subscription of a key, and begins another one some seconds later.
    pub(super) fn replace(&mut self, key: usize, serial: u64, bench: &mut Bench) {
        let dialog = self.keys[key].dialog.as_ref();
        if self.leaving || dialog.is_none_or(|dialog| dialog.serial != serial) {
            return;
        }
        self.unsubscribe(key, bench);
        bench.net.wake(self.id, 3 * SECOND, Wake::Subscribe(key));
    }
}
