//! The judges of a run: what leaves the node, what watchers show, what shards answer, what is left
//! at the end.

use super::Actor;
use super::Asked;
use super::Context;
use super::Phase;
use super::World;
use super::presentity_of;
use crate::documents::read;
use crate::invariants::Notify;
use crate::invariants::Standing;
use crate::model::Expected;
use crate::network::Event;
use crate::network::Micros;
use crate::network::SECOND;
use crate::phone::Dialog;
use crate::phone::Phone;
use crate::plan::Plan;
use crate::sip_text::Text;
use crate::sip_text::parameter;
use lamplighter::presence::publication::PublishRefused;
use lamplighter::shard::ConnectionId;
use lamplighter::shard::Flow;
use lamplighter::shard::Mail;
use lamplighter::shard::Outbox;
use lamplighter::shard::Reply;
use lamplighter::shard::Token;
use std::collections::HashMap;

impl World {
    /// A message leaves the node.
    pub(super) fn observe(&mut self, octets: &[u8], flow: &Flow) {
        let now = self.bench.net.now;
        let text = match Text::parse(octets) {
            Ok(text) => text,
            Err(fault) => {
                let detail = format!("{fault}:\n{}", String::from_utf8_lossy(octets));
                return self.fail("a malformed message", detail);
            }
        };
        let Some((cseq, method)) = text.cseq() else {
            return self.fail("a message without CSeq", text.start);
        };
        match (text.status(), method) {
            (None, "NOTIFY") => self.observe_notify(&text, cseq, octets, flow.connection),
            (Some(200..=299), "SUBSCRIBE") => {
                let key = dialog_key(&text, "From", "To");
                let expires = text.number("Expires").unwrap_or(0);
                self.bench
                    .checker
                    .subscribe_accepted(now, &key, cseq, expires, flow);
            }
            _ => {}
        }
    }

    /// What was decided in a turn about a PUBLISH: the model must know it before the NOTIFYs that
    /// follow from it are judged. The owner decides: at once when the request arrived there, else
    /// in mail.
    pub(super) fn observe_decisions(&mut self, shard: u16, outbox: &Outbox, context: &Context) {
        if let Context::Publish(request) = context {
            for transmit in &outbox.transmits {
                let octets = outbox.pieces(transmit).concat();
                let Ok(text) = Text::parse(&octets) else {
                    continue;
                };
                if let (Some(status), Some((_, "PUBLISH"))) = (text.status(), text.cseq()) {
                    let granted = text.number("Expires").unwrap_or(0);
                    let etag = text.one("SIP-ETag").unwrap_or_default();
                    self.decided(request, status, etag, granted);
                }
            }
        }
        for (_, mail) in &outbox.mail {
            match (mail, context) {
                (Mail::Publish(publish), Context::Publish(request)) => {
                    self.waiting
                        .insert((shard, publish.reply_to.1), request.clone());
                }
                (
                    Mail::PublishOutcome {
                        request: number,
                        outcome,
                    },
                    Context::PublishMail(request, waited),
                ) if number == waited => match outcome {
                    Ok(published) => {
                        let etag = published.entity_tag.to_token();
                        let etag = String::from_utf8_lossy(&etag);
                        self.decided(request, 200, &etag, published.expires.as_secs());
                    }
                    Err(PublishRefused::ConditionFailed) => self.decided(request, 412, "", 0),
                    Err(PublishRefused::TooBrief(_)) => self.decided(request, 423, "", 0),
                    Err(_) => self.decided(request, 500, "", 0),
                },
                _ => {}
            }
        }
    }

    pub(super) fn decided(
        &mut self,
        request: &(String, u32),
        status: u16,
        etag: &str,
        granted: u64,
    ) {
        let now = self.bench.net.now;
        let verdict = if status < 300 {
            self.bench.model.publish_taken(now, request, etag, granted)
        } else {
            self.bench.model.publish_refused(now, request, status)
        };
        if let Err(fault) = verdict {
            self.fail(fault, format!("{status} for {request:?}"));
        }
    }

    pub(super) fn observe_notify(
        &mut self,
        text: &Text<'_>,
        cseq: u32,
        octets: &[u8],
        connection: ConnectionId,
    ) {
        let now = self.bench.net.now;
        let notified = match read(text.body) {
            Ok(notified) => notified,
            Err(fault) => {
                return self.fail("a malformed document", format!("{fault}:\n{}", text.body));
            }
        };
        let Some(standing) = text.one("Subscription-State").and_then(standing_of) else {
            return self.fail("a NOTIFY without a readable Subscription-State", text.start);
        };
        let notify = Notify {
            key: dialog_key(text, "To", "From"),
            cseq,
            octets_hash: hash_of(octets),
            essence_hash: hash_of(notified.essence.as_bytes()),
            version: notified.version,
            standing,
            connection,
        };
        let news = self.bench.checker.notifies;
        self.bench.checker.notify_sent(now, &notify);
        let Some(presentity) = presentity_of(&notified.entity) else {
            return self.fail("a NOTIFY about nobody", notified.entity);
        };
        if self.bench.checker.notifies > news {
            let from = now.saturating_sub(self.bench.net.plan.propagation_max());
            let allowed = self.bench.model.allowed(presentity, from, now);
            let who = format!("a watcher of {}", 100 + presentity);
            self.bench.checker.shown(
                now,
                "a NOTIFY says what is not so",
                &who,
                &notified.shown,
                &allowed,
            );
        }
    }

    pub(super) fn sweep(&mut self) {
        let now = self.bench.net.now;
        self.bench.checker.sweep(now);
        self.bench.model.prune(now.saturating_sub(120 * SECOND));
        if matches!(self.phase, Phase::Calm | Phase::Silence) {
            self.judge_watchers();
        }
        if self.phase == Phase::Farewell && self.commands.is_empty() {
            self.judge_reports();
        }
        if !self.is_over {
            self.bench.net.schedule(now + SECOND, Event::Sweep);
        }
    }

    /// Every watcher that is well shows what is so, or was until a moment ago.
    pub(super) fn judge_watchers(&mut self) {
        let now = self.bench.net.now;
        let plan = &self.bench.net.plan;
        // Many keys watch the same: what they may show is asked once.
        let mut allowed: HashMap<(usize, Micros), Vec<Expected>> = HashMap::new();
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            let from = now.saturating_sub(patience_with(phone, plan));
            for key in &phone.keys {
                let Some(dialog) = key.dialog.as_ref() else {
                    continue;
                };
                if !self.is_well(phone, dialog) {
                    continue;
                }
                let Some(shown) = &dialog.shown else {
                    let detail = dialog.call_id.clone();
                    return self
                        .bench
                        .checker
                        .fail(now, "a watcher was never told", detail);
                };
                let model = &self.bench.model;
                let allowed = allowed
                    .entry((key.presentity, from))
                    .or_insert_with(|| model.allowed(key.presentity, from, now));
                self.judged += 1;
                if !allowed.iter().any(|expected| expected.agrees(shown)) {
                    let who = format!(
                        "{} of {:?} {}",
                        dialog.call_id,
                        key.package,
                        100 + key.presentity
                    );
                    return self.bench.checker.shown(
                        now,
                        "a watcher does not follow",
                        &who,
                        shown,
                        allowed,
                    );
                }
            }
        }
    }

    /// Whether a watcher has nothing to complain of: in calm it refreshed from where it is, and had
    /// time to be told.
    pub(super) fn is_well(&self, phone: &Phone, dialog: &Dialog) -> bool {
        let now = self.bench.net.now;
        let since = self.calm_since.max(phone.moved_at);
        let patience = patience_with(phone, &self.bench.net.plan);
        dialog.established
            && now > phone.troubled_until
            && dialog.asked_at > since
            && now > dialog.granted_at.max(since + 10 * SECOND) + patience
            && now < dialog.expires_at
    }

    pub(super) fn judge_reply(&mut self, token: Token, reply: Reply) {
        let now = self.bench.net.now;
        match (self.commands.remove(&token), reply) {
            (Some(Asked::CallState), Reply::Done) => {}
            (Some(Asked::Watchers), Reply::Watchers(reports)) => {
                if self.phase == Phase::Audit && !reports.is_empty() {
                    self.fail(
                        "a subscription that nobody ended is left",
                        format!("{reports:?}"),
                    );
                }
                for report in reports {
                    *self.reported.entry(report.call_id).or_default() += 1;
                }
            }
            (Some(Asked::Why(presentity)), Reply::Why(why)) => {
                let allowed = self.bench.model.allowed(presentity, now, now);
                let agrees = |expected: &Expected| {
                    expected.lamp.0.text() == why.lamp && expected.open == (why.basic == "open")
                };
                if !allowed.iter().any(agrees) {
                    self.fail(
                        "the explanation is of another state",
                        format!("{why:?}\n    allowed: {allowed:?}"),
                    );
                }
                if self.phase == Phase::Audit && !why.contributions.is_empty() {
                    self.fail("a contribution is left past its time", format!("{why:?}"));
                }
            }
            (Some(Asked::Drain), Reply::Outstanding(0)) => {}
            (asked, reply) => {
                self.fail(
                    "a reply to nobody, or of another kind",
                    format!("{asked:?}: {reply:?}"),
                );
            }
        }
    }

    /// Every watcher that is well must be in the reports that come, once.
    pub(super) fn expect_reports(&mut self) {
        let mut well = Vec::new();
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            let dialogs = phone.keys.iter().filter_map(|key| key.dialog.as_ref());
            let living = dialogs.filter(|dialog| self.is_well(phone, dialog));
            well.extend(living.map(|dialog| dialog.call_id.clone()));
        }
        self.reported.clear();
        self.reports_due = well;
    }

    pub(super) fn judge_reports(&mut self) {
        for call_id in std::mem::take(&mut self.reports_due) {
            let times = self.reported.get(&call_id).copied().unwrap_or(0);
            if times != 1 {
                self.fail(
                    "a live subscription is not reported once",
                    format!("{call_id}: {times} times"),
                );
            }
        }
    }

    /// At the very end: nobody waits for a reply, no timer is left.
    pub(super) fn judge_rest(&mut self) {
        if !self.commands.is_empty() {
            let detail = format!("{:?}", self.commands.values());
            self.fail("a command without a reply", detail);
        }
        if let Some(at) = self
            .cores
            .iter()
            .position(|core| core.shard.poll_timeout().is_some())
        {
            self.fail("a timer is left when nothing is", format!("shard {at}"));
        }
    }
}

/// How long a phone may show what was: its pace and its own slowness, twice, because state may
/// change while it thinks.
fn patience_with(phone: &Phone, plan: &Plan) -> Micros {
    2 * SECOND + plan.pace_max() + plan.propagation_max() + 2 * phone.slowness()
}

/// Call-ID, the phone's tag, our tag.
pub(super) fn dialog_key(text: &Text<'_>, phone: &str, node: &str) -> String {
    let [phone, node] = [phone, node].map(|name| text.tag(name).unwrap_or_default());
    [text.call_id(), phone, node].join(" ")
}

fn standing_of(value: &str) -> Option<Standing> {
    if value.starts_with("active") {
        let expires = parameter(value, "expires")?.parse().ok()?;
        return Some(Standing::Active { expires });
    }
    let reason = parameter(value, "reason")?.to_owned();
    value
        .starts_with("terminated")
        .then_some(Standing::Terminated { reason })
}

fn hash_of(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
