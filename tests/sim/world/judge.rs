//! The judges of a run: the messages of the node, the state that watchers show, the replies of
//! shards, and the state left at the end.

use super::{Actor, Asked, Context, Phase, World};
use crate::model::Expected;
use crate::network::{Event, SECOND};
use crate::phone::lists::Target;
use crate::sip_text::Text;
use lamplighter::presence::presentity::PublishRefused;
use lamplighter::presence::source::Source;
use lamplighter::shard::{CommandId, Flow, Mail, Outbox, Reply};

/// Number of late timers of a shard permitted in a run because its driver is late, apart from those
/// of NOTIFYs.
const LATE_TIMERS_MAX: u64 = 50;

impl World {
    /// A message leaves the node.
    pub(super) fn observe(&mut self, shard: u16, octets: &[u8], flow: &Flow) {
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
            (None, "NOTIFY") => self.observe_notify(&text, cseq, octets, (shard, flow)),
            (Some(200..=299), "SUBSCRIBE") => {
                let key = dialog_key(&text, "From", "To");
                let expires = text.number("Expires").unwrap_or(0);
                if text.one("Require") == Some("eventlist") {
                    self.required.insert(key.clone());
                }
                if !self.bench.checker.knows(&key) {
                    self.judge_admission(&text);
                }
                self.bench
                    .checker
                    .subscribe_accepted(now, &key, cseq, expires, flow);
            }
            _ => {}
        }
    }

    /// Finds the decision on a PUBLISH in a turn: the model must know it before the resulting
    /// NOTIFYs are judged. The owner decides: when the request arrives there, when a postponed
    /// request is read, or when it arrives by mail.
    pub(super) fn observe_decisions(&mut self, shard: u16, outbox: &Outbox, context: &Context) {
        if let Context::Publish(request) = context {
            let is_waiting = self.waiting.values().any(|waits| waits == request);
            let postponed = &mut self.postponed[shard as usize];
            if !is_waiting && !postponed.contains(request) {
                postponed.push_back(request.clone());
            }
        }
        for transmit in &outbox.transmits {
            let octets = outbox.pieces(transmit).concat();
            if matches!(context, Context::Relay(_)) || !octets.starts_with(b"SIP/2.0") {
                continue;
            }
            let Ok(text) = Text::parse(&octets) else {
                continue;
            };
            if let (Some(status), Some((cseq, "PUBLISH"))) = (text.status(), text.cseq()) {
                let granted = text.number("Expires").unwrap_or(0);
                let etag = text.one("SIP-ETag").unwrap_or_default();
                let request = (text.call_id().to_owned(), cseq);
                self.postponed[shard as usize].retain(|waits| *waits != request);
                self.decided(&request, status, etag, granted);
            }
        }
        for (_, mail) in &outbox.mail {
            match (mail, context) {
                (Mail::Publish(publish), _) => {
                    let Some(request) = self.postponed[shard as usize].pop_front() else {
                        self.fail("a PUBLISH that nobody sent", format!("shard {shard}"));
                        continue;
                    };
                    self.waiting.insert((shard, publish.reply_to.1), request);
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

    pub(super) fn judge_reply(&mut self, token: CommandId, reply: Reply) {
        let now = self.bench.net.now;
        match (self.commands.remove(&token), reply) {
            (Some(Asked::StateUpdate | Asked::Reload), Reply::Done) => {}
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
                    expected.lamp.0.text() == why.lamp.as_str()
                        && expected.open == why.is_open
                        && expected.availability.text() == why.availability.to_string()
                };
                if !allowed.iter().any(agrees) {
                    self.fail(
                        "the explanation is of another state",
                        format!("{why:?}\n    allowed: {allowed:?}"),
                    );
                }
                // A registrar's first report and configured facts never expire.
                let stays = [Source::Registrar, Source::Alternative];
                let mut sources = why.contributions.iter().map(|it| &it.source);
                if self.phase == Phase::Audit && sources.any(|it| !stays.contains(it)) {
                    self.fail("a contribution is left past its time", format!("{why:?}"));
                }
            }
            (Some(Asked::Drain), Reply::Outstanding(0)) => {}
            (Some(Asked::Counters), Reply::Counters(counters)) => self.judge_timers(&counters),
            (asked, reply) => {
                self.fail(
                    "a reply to nobody, or of another kind",
                    format!("{asked:?}: {reply:?}"),
                );
            }
        }
    }

    /// A late driver makes a few timers late. An owner that repeatedly arms a timer in the past
    /// makes one late at every tick.
    fn judge_timers(&mut self, counters: &[(&'static str, u64)]) {
        let value = |name| counters.iter().find(|(known, _)| *known == name).unwrap().1;
        let late = value("timers_armed_late");
        if late > LATE_TIMERS_MAX + value("notifies_sent") / 4 {
            self.fail("timers are armed for the past", format!("{late}"));
        }
    }

    /// Every healthy watcher must be in the reports exactly once.
    pub(super) fn expect_reports(&mut self) {
        let mut well = Vec::new();
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            // A list is among the watchers of each of its resources.
            let keys = phone.keys.iter();
            let keys = keys.filter(|key| matches!(key.target, Target::One(_)));
            let dialogs = keys.filter_map(|key| Some((key, key.dialog.as_ref()?)));
            let living = dialogs.filter(|(key, dialog)| self.is_well(phone, key, dialog));
            well.extend(living.map(|(_, dialog)| dialog.call_id.clone()));
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

    /// At the very end: no command waits for a reply, no timer is left.
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

/// Call-ID, the phone's tag, our tag.
pub(super) fn dialog_key(text: &Text<'_>, phone: &str, node: &str) -> String {
    let [phone, node] = [phone, node].map(|name| text.tag(name).unwrap_or_default());
    [text.call_id(), phone, node].join(" ")
}

pub(super) fn hash_of(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
