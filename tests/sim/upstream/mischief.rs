//! What a PBX does wrong without being asked.

use crate::documents::{Document, Leg, State};
use crate::model::upstream::Content;
use crate::network::{SECOND, Wake};
use crate::upstream::dialog::Body;
use crate::upstream::server::ENDS;
use crate::upstream::{Upstream, user_uri};
use crate::world::Bench;

/// NOTIFYs of a flood.
const FLOOD: u64 = 40;
/// More octets than a body may have.
const HUGE: usize = 70_000;

impl Upstream {
    pub(super) fn mischief(&mut self, bench: &mut Bench) {
        if self.ending(bench.net.now).is_some() {
            return self.reform();
        }
        let every = self.plan.server.mischief_every;
        let after = bench.net.rng.between(SECOND, 2 * every);
        let left = self.honest_at.saturating_sub(bench.net.now);
        bench.net.wake(self.id, after.min(left + 1), Wake::Act);
        if self.plan.server.rudeness == 0 || self.is_silent(bench.net.now) {
            return;
        }
        let now = bench.net.now;
        match bench.net.rng.below(10) {
            0 => {
                let down = bench.net.rng.pick(&[0, SECOND, 40 * SECOND]);
                self.restart(bench);
                self.silent_until = now + down;
            }
            1 => self.silent_until = now + bench.net.rng.between(1, 60) * SECOND,
            2 => {
                let status = bench.net.rng.pick(&[403, 503, 500, 408]);
                self.refuses = (status, now + bench.net.rng.between(5, 40) * SECOND);
            }
            3 => self.break_streams(bench),
            4 => {
                // All that it gave are old.
                self.nonces.clear();
            }
            _ => self.disturb_one(bench),
        }
    }

    /// It becomes honest: its CSeqs go on above all that it sent.
    fn reform(&mut self) {
        for dialog in &mut self.dialogs {
            dialog.cseq = dialog.cseq.max(self.cseq_max);
            dialog.told = None;
        }
        (self.silent_until, self.refuses) = (0, (0, 0));
    }

    /// It is restarted: all subscriptions, transactions and nonces are forgotten.
    pub(crate) fn restart(&mut self, bench: &mut Bench) {
        self.dialogs.clear();
        self.uac.forget();
        self.responses.clear();
        self.nonces.clear();
        self.break_streams(bench);
    }

    fn break_streams(&mut self, bench: &mut Bench) {
        for id in std::mem::take(&mut self.streams) {
            let is_silent = bench.net.rng.chance(300);
            bench.net.break_stream(id, is_silent);
        }
    }

    /// A fault of one subscription.
    fn disturb_one(&mut self, bench: &mut Bench) {
        if self.dialogs.is_empty() {
            return;
        }
        let at = bench.net.rng.below(self.dialogs.len() as u64) as usize;
        self.cseq_max = self.cseq_max.max(self.dialogs[at].cseq);
        match bench.net.rng.below(7) {
            0 => {
                let by = bench.net.rng.pick(&[1, 3, 300]);
                self.dialogs[at].cseq = self.dialogs[at].cseq.saturating_sub(by);
            }
            1 => self.dialogs[at].cseq += bench.net.rng.pick(&[2, 50, 100_000]),
            2 => self.dialogs[at].version = bench.net.rng.pick(&[0, 40]),
            3 => {
                let reason = bench.net.rng.pick(&ENDS);
                self.end(at, reason, bench);
            }
            4 => self.flood(at, bench),
            5 => self.notify_strangers(at, bench),
            _ => self.notify_wrongly(at, bench),
        }
    }

    fn flood(&mut self, at: usize, bench: &mut Bench) {
        for _ in 0..FLOOD {
            self.dialogs[at].told = None;
            let state = self.dialogs[at].active(bench.net.now);
            let user = self.dialogs[at].user;
            let body = self.dialogs[at].next_body(&self.users[user], false);
            self.send_only(at, &state, &body, bench);
        }
        self.cseq_max = self.cseq_max.max(self.dialogs[at].cseq);
    }

    /// A NOTIFY for a dialog that it never had.
    fn notify_strangers(&mut self, at: usize, bench: &mut Bench) {
        let mut strange = self.dialogs[at].clone();
        strange.call_id.push('x');
        self.dialogs.push(strange);
        let at = self.dialogs.len() - 1;
        let body = Body {
            says: Content::Wrong("a NOTIFY of a dialog that never was"),
            ..self.red(at)
        };
        self.send_only(at, "active;expires=100", &body, bench);
        self.dialogs.pop();
    }

    /// A NOTIFY whose body no node may accept.
    fn notify_wrongly(&mut self, at: usize, bench: &mut Bench) {
        let right = self.red(at);
        let (kind, text, why) = match bench.net.rng.below(4) {
            0 => ("application/x-lamps", right.text, "an unknown type"),
            1 => (
                right.kind,
                right.text.replace("</", "<"),
                "a broken document",
            ),
            2 => {
                let padding = "x".repeat(HUGE);
                let text = right
                    .text
                    .replace("</dialog-info>", &format!("<!--{padding}--></dialog-info>"));
                (right.kind, text, "a huge document")
            }
            _ => {
                let own = user_uri(self.dialogs[at].user);
                let text = right.text.replace(&own, &user_uri(77));
                (right.kind, text, "a document about another user")
            }
        };
        let body = Body {
            kind,
            text,
            says: Content::Wrong(why),
        };
        self.send_only(at, "active;expires=100", &body, bench);
    }

    /// A document that says that the user is in a call which does not exist.
    fn red(&mut self, at: usize) -> Body {
        let leg = Leg {
            id: "none".into(),
            call_id: "none".into(),
            local_tag: "none".into(),
            remote_tag: "none".into(),
            recipient: true,
            state: State::Confirmed,
            remote: "0".into(),
        };
        let document = Document::Dialogs {
            full: true,
            legs: vec![leg],
        };
        Body::of(document, self.dialogs[at].user, 1)
    }
}
