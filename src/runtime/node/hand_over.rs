//! The end of a node that leaves its sockets to another process: what it has read is answered first.

use std::time::{Duration, Instant};

use crate::runtime::bundle::Bundle;
use crate::runtime::node::Node;

/// How long the cores may take to finish what they have read, when they leave the rest to another
/// process: what is not answered then is lost over TCP. Less than the service manager waits for the end of
/// this process, and than the next process waits for its sockets.
const REST_PATIENCE: Duration = Duration::from_secs(12);
/// How long nothing may happen meanwhile: no mail, no commit. On a busy machine they are slow, but not as
/// slow as a disk that does not answer.
const STANDSTILL: Duration = Duration::from_secs(4);
/// How often it is looked whether they have.
const REST_POLL: Duration = Duration::from_micros(500);

impl Node {
    /// Ends the node as [`Self::stop`] does, and returns its open sockets too: nothing more is read
    /// from them, what was read is answered, and the store and the control socket are released.
    pub(crate) fn hand_over(mut self, patience: Duration) -> (usize, Bundle) {
        let outstanding = self.drain(patience);
        // While SIP is still served: a target may take its time. The next process tells each of them all states.
        self.commander.relays().end();
        // While SIP is still served: the last requests by HTTP need the shards.
        self.http_stop.set();
        self.join_http();
        tracing::info!("handing over: sockets are not read any more");
        self.mesh.pause();
        self.wait_for_rest();
        tracing::debug!("what was read is done");
        self.end();
        tracing::debug!("the cores and the store are closed");
        let mut bundle = std::mem::take(&mut self.listening);
        bundle.append(self.heir.take());
        (outstanding, bundle)
    }

    /// Waits until all cores have finished what they have read.
    fn wait_for_rest(&self) {
        let deadline = Instant::now() + REST_PATIENCE;
        let mut last = None;
        let mut moved = (Instant::now(), (0, 0), 0);
        while Instant::now() < deadline && moved.0.elapsed() < STANDSTILL {
            let mail = self.mail_on_its_way();
            let commits = self
                .store
                .as_ref()
                .map_or(0, |store| store.handle().commits());
            if (moved.1, moved.2) != (mail, commits) {
                moved = (Instant::now(), mail, commits);
            }
            let is_at_rest = self.mesh.is_at_rest() && mail.0 == mail.1;
            // Twice, as a core may have been within a turn.
            if is_at_rest && last == Some(mail) {
                return;
            }
            last = is_at_rest.then_some(mail);
            std::thread::sleep(REST_POLL);
        }
        tracing::warn!("a core has not finished what it has read: some requests are repeated");
    }

    /// Mail that was sent and that was received, by all shards.
    fn mail_on_its_way(&self) -> (u64, u64) {
        let counters = || self.counters.iter();
        let sent = counters().map(|of_core| of_core.mail_sent.value()).sum();
        let received = counters()
            .map(|of_core| of_core.mail_received.value())
            .sum();
        (sent, received)
    }
}
