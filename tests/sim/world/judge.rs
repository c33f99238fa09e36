//! The judges of a run: the messages of the node, the state that watchers show, the replies of
//! shards, and the state left at the end.

use super::watchers::VERDICT_LIFE;
use super::{Actor, Asked, Context, Phase, World, presentity_of};
use crate::model::Expected;
use crate::network::{Event, SECOND};
use crate::phone::lists::Target;
use crate::realm::Watcher;
use crate::sip_text::Text;
use lamplighter::presence::Aor;
use lamplighter::presence::presentity::PublishRefused;
use lamplighter::presence::source::Source;
use lamplighter::shard::contract::counters::Counted;
use lamplighter::shard::{CommandId, Flow, Mail, Outbox, Reply};
use lamplighter::sip::Transport;

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
        if flow.transport == Transport::Udp {
            let from = (self.bench.net.process, shard);
            let amplification = &mut self.bench.checker.amplification;
            if let Err(invariant) = amplification.sent(&text, (now, from, flow.peer)) {
                self.fail(invariant, String::from_utf8_lossy(octets));
            }
        }
        match (text.status(), method) {
            (None, "NOTIFY") => self.observe_notify(&text, cseq, octets, (shard, flow)),
            (None, "SUBSCRIBE") => self.observe_subscribe(&text, flow),
            (Some(200..=299), "SUBSCRIBE") => {
                let key = dialog_key(&text, "From", "To");
                let expires = text.number("Expires").unwrap_or(0);
                if text.one("Require") == Some("eventlist") {
                    self.required.insert(key.clone());
                }
                if !self.bench.checker.knows(&key) {
                    self.judge_admission(&text);
                }
                if self.bench.checker.is_news(&key, cseq) {
                    self.ended_early += u64::from(expires == 0 && self.is_recovering());
                    self.judge_subscribe_durable(&key, expires);
                }
                self.bench
                    .checker
                    .subscribe_accepted(now, &key, cseq, expires, flow);
            }
            (Some(481), "SUBSCRIBE") => {
                let [watcher, target] =
                    ["From", "To"].map(|name| text.uri(name).and_then(Watcher::of));
                let is_admitted = watcher.zip(target).is_some_and(|(watcher, target)| {
                    let from = now.saturating_sub(VERDICT_LIFE);
                    let mut realms = self.bench.realms.during(from, now);
                    realms.all(|realm| realm.admits(watcher, target.user))
                });
                if is_admitted {
                    let key = dialog_key(&text, "From", "To");
                    self.bench.checker.subscribe_unknown(now, &key);
                }
            }
            _ => {}
        }
    }

    /// A run is over.
    pub(super) fn judge_amplification(&mut self) {
        let rate = self.bench.net.plan.unproven_octets;
        let checker = &mut self.bench.checker;
        if let Some((at, detail)) = checker.amplification.verdict(rate) {
            checker.fail(at, "too many octets to addresses that never answer", detail);
        }
    }

    /// Finds the decision on a PUBLISH in a turn: the model must know it before the resulting
    /// NOTIFYs are judged. The owner decides: when the request arrives there, when a postponed
    /// request is read, or when it arrives by mail. Its 200 may wait; then there is neither that nor a
    /// refusal.
    pub(super) fn observe_decisions(
        &mut self,
        shard: u16,
        outbox: &Outbox,
        context: &Context,
        served: &[Context],
    ) {
        let mut settled = Vec::new();
        if let Context::Publish(request, _) = context {
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
            self.observe_accepted(&text);
            if let (Some(status), Some((cseq, "PUBLISH"))) = (text.status(), text.cseq()) {
                let granted = text.number("Expires").unwrap_or(0);
                let etag = text.one("SIP-ETag").unwrap_or_default();
                let request = (text.call_id().to_owned(), cseq);
                self.postponed[shard as usize].retain(|waits| *waits != request);
                self.decided(&request, status, etag, granted);
                settled.push(request);
            }
        }
        for (to, mail) in &outbox.mail {
            match mail {
                Mail::Misdirected { bytes, .. } => {
                    if let Ok(text) = Text::parse(bytes) {
                        let cseq = text.cseq().map_or(0, |(cseq, _)| cseq);
                        settled.push((text.call_id().to_owned(), cseq));
                    }
                }
                Mail::Publish(publish) => {
                    let Some(request) = self.forwarded(shard, &publish.aor, served, &settled)
                    else {
                        self.fail("a PUBLISH that no publisher sent", format!("shard {shard}"));
                        continue;
                    };
                    settled.push(request.clone());
                    self.waiting.insert((shard, publish.reply_to.1), request);
                }
                Mail::PublishOutcome { request, outcome } => {
                    let Some(request) = self.waiting.get(&(to.0, *request)).cloned() else {
                        continue;
                    };
                    settled.push(request.clone());
                    match outcome {
                        Ok(published) => {
                            let etag = published.entity_tag.to_token();
                            let etag = String::from_utf8_lossy(&etag);
                            self.decided(&request, 200, &etag, published.expires.as_secs());
                        }
                        Err(PublishRefused::ConditionFailed) => self.decided(&request, 412, "", 0),
                        Err(PublishRefused::TooBrief(_)) => self.decided(&request, 423, "", 0),
                        // Too many acknowledgements wait at the owner.
                        Err(PublishRefused::TooMany) if self.bench.net.plan.store.is_some() => {
                            self.decided(&request, 503, "", 0);
                        }
                        Err(_) => self.decided(&request, 500, "", 0),
                    }
                }
                _ => {}
            }
        }
        if self.bench.net.plan.store.is_some() {
            for served in served {
                self.observe_held(shard, served, &settled);
            }
        }
    }

    /// The PUBLISH that a shard forwards to the owner of this presentity: the first that is served in
    /// this turn and not settled yet or, on a node without a store, the first that was postponed.
    fn forwarded(
        &mut self,
        shard: u16,
        aor: &Aor,
        served: &[Context],
        settled: &[(String, u32)],
    ) -> Option<(String, u32)> {
        if self.bench.net.plan.store.is_none() {
            return self.postponed[shard as usize].pop_front();
        }
        let presentity = presentity_of(&format!("sip:{aor}"));
        let intents = &self.bench.model.intents;
        let requests = served.iter().filter_map(|served| match served {
            Context::Publish(request, _) => Some(request),
            _ => None,
        });
        let mut of_it = requests.filter(|request| {
            let intent = intents.get(*request);
            let is_of_it = intent.is_some_and(|intent| Some(intent.presentity) == presentity);
            let is_forwarded = self.waiting.values().any(|waits| waits == *request);
            is_of_it && !is_forwarded && !settled.contains(request)
        });
        of_it.next().cloned()
    }

    /// A PUBLISH is neither refused nor forwarded: it was accepted, now or before, and its 200 waits.
    fn observe_held(&mut self, shard: u16, served: &Context, settled: &[(String, u32)]) {
        let now = self.bench.net.now;
        let request = match served {
            Context::Publish(request, _) | Context::PublishMail(request)
                if settled.contains(request) =>
            {
                return;
            }
            Context::Publish(request, _) => {
                if self.waiting.values().any(|waits| waits == request) {
                    return;
                }
                self.postponed[shard as usize].retain(|waits| waits != request);
                request
            }
            Context::PublishMail(request) => request,
            _ => return,
        };
        if let Err(fault) = self.bench.model.publish_held(now, request) {
            self.fail(fault, format!("held: {request:?}"));
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
        if status < 300 {
            let change = self.bench.model.revision_of(request);
            self.judge_change_durable(change, "PUBLISH");
        }
    }

    pub(super) fn sweep(&mut self) {
        let now = self.bench.net.now;
        self.bench.model.prune(now.saturating_sub(120 * SECOND));
        if self.bench.net.is_up {
            self.bench.checker.sweep(now);
        }
        if self.is_recovering() {
            return self.bench.net.schedule(now + SECOND, Event::Sweep);
        }
        self.sweep_upstreams();
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
            (Some(Asked::Reload | Asked::Order), Reply::Done) => {}
            (Some(Asked::Connectors), Reply::Connectors(reports, None)) => {
                self.take_connectors(reports);
            }
            (Some(Asked::ConnectorUsers(place)), Reply::ConnectorUsers(users, None)) => {
                self.take_connector_users(place, users);
            }
            (Some(Asked::StateUpdate(.., change)), Reply::Done) => {
                self.judge_change_durable(change, "a statement");
            }
            // Too many acknowledgements wait.
            (Some(Asked::StateUpdate(presentity, said, _)), Reply::OverLimit)
                if self.bench.net.plan.store.is_some() =>
            {
                if self.phase == Phase::Farewell {
                    self.say(presentity, said, SECOND);
                }
            }
            (Some(Asked::Watchers), Reply::Watchers(reports)) => {
                if self.phase == Phase::Audit && !reports.is_empty() {
                    self.fail(
                        "a subscription is left that no phone ended",
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
                self.judge_marks(&why);
                if !allowed.iter().any(agrees) {
                    self.fail(
                        "the explanation does not match the state",
                        format!("{why:?}\n    allowed: {allowed:?}"),
                    );
                }
                // A registrar's first report and configured facts never expire.
                let stays = [Source::Registrar, Source::Alternative];
                let mut sources = why.contributions.iter().map(|it| &it.source);
                if self.phase == Phase::Audit && sources.any(|it| !stays.contains(it)) {
                    self.fail(
                        "a contribution is left after its expiry",
                        format!("{why:?}"),
                    );
                }
            }
            (Some(Asked::Drain), Reply::Outstanding(0)) => {}
            (Some(Asked::Counters), Reply::Counters(counters)) => self.judge_counters(&counters),
            (asked, reply) => {
                self.fail(
                    "a reply without a command, or of another kind",
                    format!("{asked:?}: {reply:?}"),
                );
            }
        }
    }

    /// A late driver makes a few timers late. An owner that repeatedly arms a timer in the past
    /// makes one late at every tick. No subscription is left that could have a stale lamp, or a domain.
    fn judge_counters(&mut self, counters: &Counted) {
        let value = |name| {
            let mut values = counters.values.iter();
            values.find(|(known, _)| *known == name).unwrap().1
        };
        let late = value("timers_armed_late");
        if late > LATE_TIMERS_MAX + value("notifies_sent") / 4 {
            self.fail("timers are set in the past", format!("{late}"));
        }
        let stale = value("lamps_stale");
        if !counters.domains.is_empty() {
            let domains = format!("{:?}", counters.domains);
            self.fail("domains are counted after their subscriptions", domains);
        }
        if stale > 0 {
            self.fail(
                "lamps are stale after their subscriptions",
                format!("{stale}"),
            );
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
        self.judge_connectors();
        self.judge_left_behind();
        if !self.commands.is_empty() {
            let detail = format!("{:?}", self.commands.values());
            self.fail("a command without a reply", detail);
        }
        if let Some(at) = self
            .cores
            .iter()
            .position(|core| core.shard.poll_timeout().is_some())
        {
            self.fail(
                "a timer is left although no state is",
                format!("shard {at}"),
            );
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
