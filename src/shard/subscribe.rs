//! SUBSCRIBE: new subscriptions, refreshes, ends and fetches (RFC 6665 §4.2.1; W:A1, A2).

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::document::Format;
use crate::presence::document::View;
use crate::presence::event::ExpiryLimits;
use crate::presence::event::Package;
use crate::presence::event::Termination;
use crate::presence::event::TooBrief;
use crate::presence::policy::Decision;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::Shard;
use crate::shard::admit::Target;
use crate::shard::checks::accepted_format;
use crate::shard::checks::check_exists;
use crate::shard::checks::check_extensions;
use crate::shard::checks::event_of;
use crate::shard::checks::expires_of;
use crate::shard::conditions::Suppress;
use crate::shard::conditions::Terms;
use crate::shard::content::Shown;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::enclosed::Enclosed;
use crate::shard::features::check_may_switch;
use crate::shard::hop::entity_uri;
use crate::shard::hop::event_id;
use crate::shard::hop::phone_key;
use crate::shard::hop::request_uri;
use crate::shard::identity::Identity;
use crate::shard::lists::ListPlan;
use crate::shard::lists::requires_list;
use crate::shard::mail::Claim;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::sender::check_from;
use crate::shard::sender::check_owner;
use crate::shard::sender::sender_instead_of_from;
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogEntry;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::emit;

/// What a SUBSCRIBE asks for, checked.
struct Asked<'m> {
    package: Package,
    format: Format,
    event: &'m [u8],
    granted: Duration,
    /// The shortest that could have been.
    expires_min: Duration,
    enclosed: Enclosed,
    profile: Arc<Profile>,
}

/// A SUBSCRIBE of somebody who proved who it is, about somebody of a domain of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a, 'd> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) aor: &'a Aor,
    /// The URI of its sender where From does not name it.
    pub(crate) sender: Option<&'a [u8]>,
    pub(crate) domain: &'d Domain,
    pub(crate) directory: &'d Directory,
}

/// What a subscription begins with.
struct Beginning<'a> {
    aor: &'a Aor,
    plan: Option<ListPlan>,
    decision: Decision,
    asked: &'a Asked<'a>,
    entity: &'a [u8],
    message: &'a Message<'a>,
}

impl Shard {
    /// A SUBSCRIBE without To-tag: a new subscription, or a fetch when it expires at once.
    pub(crate) fn serve_subscribe<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let (aor, domain, identity) = self.admit(request, target, directory, now)?;
        let aor = match event_of(request.message)? {
            (Package::MessageSummary, ..) => self.mailbox(aor, request, &identity, directory),
            _ => aor,
        };
        let peer = request.flow.peer.ip();
        let sender = sender_instead_of_from(request.message, &identity, peer, domain, directory)?;
        if sender.as_ref().is_some_and(|it| it.len() > URI_OCTETS_MAX) {
            return Err(Fault::Invalid(HeaderName::PAssertedIdentity).into());
        }
        let admitted = Admitted {
            request,
            aor: &aor,
            sender: sender.as_deref(),
            domain,
            directory,
        };
        self.subscribe(&admitted, None, now, out)
    }

    /// The same, of somebody who proved who it is; with the appearance that was granted to it, once
    /// one was.
    pub(crate) fn subscribe<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        claim: Option<&Claim>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let Admitted {
            request,
            aor,
            sender,
            domain,
            directory,
        } = *admitted;
        let mut asked = self.read_subscribe(request.message, domain, directory)?;
        if requires_list(request.message) && asked.enclosed.list().is_none() {
            return Err(Refusal::Because(Status::BAD_REQUEST, "Missing Body"));
        }
        let (dialog, mark) = self.accept_dialog(request)?;
        let (package, profile) = (asked.package, &asked.profile);
        let of_body = asked.enclosed.list();
        let plan = self.plan_list(request.message, aor, package, profile, of_body, directory)?;
        if plan.is_none() {
            check_exists(aor, directory)?;
        }
        let phone = self
            .phones
            .find(phone_key(&request.flow, dialog.remote_target()));
        let resources = plan.as_ref().map(|plan| plan.resolved.members.len());
        self.check_room(phone, resources.map_or(1, |resources| resources.max(1)))?;
        self.check_path(request, &dialog)?;
        let peer = request.flow.peer.ip();
        let uri = sender.unwrap_or_else(|| dialog.remote_uri());
        let watcher = Identity::new(uri, peer, &domain.name, directory);
        let decision = match &plan {
            Some(plan) if plan.is_of_body => Decision::ALLOW,
            _ => self.decide(&watcher, aor, package, directory, now),
        };
        let is_forbidden = decision.handling == Handling::Block
            || package == Package::LineSeize && decision.handling != Handling::Allow
            || plan
                .as_ref()
                .is_some_and(|plan| plan.resolved.has_whole_domain())
                && !watcher.may_any_dn(&domain.name, directory);
        if is_forbidden {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        if asked.enclosed.is_switch() {
            check_may_switch(&watcher, aor, directory)?;
        }

        if package == Package::LineSeize && claim.is_none() && !asked.granted.is_zero() {
            return self.seize(admitted, now, out);
        }

        asked.granted = self.spread_expiry(asked.granted, asked.expires_min, now);
        let id = self.add_dialog(request, dialog, mark, Arc::clone(&asked.profile), now);
        self.prove_path_by_digest(request, domain, id, now);
        self.table.take_sender(id, sender.map(Box::from));
        let entity = match plan {
            Some(_) => request_uri(request.message).to_vec(),
            None => entity_uri(request.message, aor),
        };
        let beginning = Beginning {
            aor,
            plan,
            decision,
            asked: &asked,
            entity: &entity,
            message: request.message,
        };
        let subscription = self.begin(id, beginning, now, out);
        if let Some(claim) = claim {
            self.hold(subscription, claim);
        }
        if asked.profile.replaces_same_contact {
            self.replace_older(subscription, now, out);
        }
        if asked.granted.is_zero() {
            self.counters.subscriptions_fetched += 1;
            self.end_subscription(subscription, Termination::Timeout);
            self.fetch_list(subscription);
        } else {
            self.counters.subscriptions_created += 1;
            self.arm_subscription(subscription);
        }
        self.accept(request, subscription, asked.granted, now, out);
        if let Enclosed::Switch(said) = asked.enclosed {
            self.switch(subscription, said, now, out);
        }
        Ok(())
    }

    /// A SUBSCRIBE with To-tag: a refresh, an end, or another package in the same dialog
    /// (W:A2.2-A2.8).
    pub(crate) fn serve_in_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        tag: &[u8],
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        const GONE: Refusal<'static> = Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST);
        check_extensions(request.message)?;
        let id = self.find_dialog(request.message, tag).ok_or(GONE)?;
        let first = self
            .table
            .dialog(id)
            .and_then(|entry| entry.subscriptions.first().copied())
            .ok_or(GONE)?;
        let aor = self
            .table
            .subscription(first)
            .and_then(|subscription| self.table.aor_of(subscription))
            .ok_or(GONE)?;
        // A domain that is configured no longer takes its subscriptions with it.
        let domain = directory
            .domain(aor.domain())
            .ok_or(Refusal::Plain(Status::NOT_FOUND))?;
        let identity = self.authenticate(request, domain, directory, now)?;
        check_from(request.message, &identity, domain, directory)?;
        let watcher = self.table.dialog(id).map(DialogEntry::watcher_uri);
        check_owner(&identity, watcher.ok_or(GONE)?, domain, directory)?;
        let asked = self.read_subscribe(request.message, domain, directory)?;
        if asked.enclosed.is_switch() {
            self.check_switch_in_dialog(request, first, directory)?;
        }
        let usage = self.usage_of(id, &asked);
        if usage.is_some_and(|subscription| self.is_over(subscription)) {
            return Err(GONE);
        }
        let is_moved = self.take_target(request, id)?;
        self.prove_path_by_tag(request, id);
        self.prove_path_by_digest(request, domain, id, now);
        if let Some(entry) = self.table.dialog_mut(id) {
            entry.profile = Arc::clone(&asked.profile);
        }
        let subscription = match usage {
            Some(subscription) => subscription,
            None if asked.granted.is_zero() => return Err(GONE),
            None => {
                let usage = (id, first);
                self.add_usage(usage, &asked, request.message, directory, now, out)?
            }
        };
        // What the rules say was decided when they were read or began to hold; one about addresses
        // decided about the old one.
        if is_moved {
            self.decide_moved(id, directory, now);
            if self.is_over(subscription) {
                return Err(GONE);
            }
        }
        let has_changed_list =
            self.replace_list(subscription, asked.enclosed.list(), directory, now, out);
        let is_new = has_changed_list || asked.enclosed.is_switch();
        let is_known = !is_new && self.is_suppressed(subscription, request.message, out);
        if asked.granted.is_zero() {
            self.counters.subscriptions_ended += 1;
            self.end_subscription(subscription, Termination::Timeout);
        } else {
            self.counters.subscriptions_refreshed += 1;
            self.renew(subscription, &asked, request.message, now);
        }
        if is_known {
            self.accept_silently(request, subscription, asked.granted, now, out);
        } else {
            self.accept(request, subscription, asked.granted, now, out);
        }
        if let Enclosed::Switch(said) = asked.enclosed {
            self.switch(subscription, said, now, out);
        }
        self.wake_siblings(id, subscription);
        Ok(())
    }

    /// Whether a subscription cannot be refreshed: we ended it, although its last NOTIFY could not
    /// leave yet, or what it held was given back. One that ran out is late, not too late.
    fn is_over(&self, id: SubscriptionId) -> bool {
        let is_ended = |subscription: &Subscription| match subscription.phase {
            Phase::Ending(Termination::Timeout) => {
                subscription.decision.handling == Handling::Block
            }
            Phase::Ending(_) => true,
            Phase::Active => false,
        };
        self.table.subscription(id).is_some_and(is_ended) || self.is_released(id)
    }

    /// Whether the phone has the state of this moment by its own word (RFC 5839 §4.2).
    fn is_suppressed(
        &mut self,
        id: SubscriptionId,
        message: &Message<'_>,
        out: &mut Outbox,
    ) -> bool {
        let Some(suppress) = Suppress::of(message) else {
            return false;
        };
        let hash = self.state_hash(id, out);
        let is_it = hash.is_some_and(|hash| suppress.matches(hash));
        let Some(subscription) = self.table.subscription_mut(id) else {
            return false;
        };
        // Who is told changes alone is told them against what was sent last.
        let is_known = subscription.history.is_none() || hash == Some(subscription.shown);
        if let Some(hash) = hash.filter(|_| is_it && is_known) {
            subscription.shown = hash;
        }
        // A star wants nothing, whatever there is; of a list as well, which has no tag.
        is_it && is_known || suppress == Suppress::Any
    }

    fn renew(
        &mut self,
        id: SubscriptionId,
        asked: &Asked<'_>,
        message: &Message<'_>,
        now: Instant,
    ) {
        if let Some(entry) = self.table.subscription_mut(id) {
            // Ran out, but its last NOTIFY could not leave yet: a refresh that is late, not too
            // late.
            let is_back = std::mem::replace(&mut entry.phase, Phase::Active) != Phase::Active;
            entry.expires_at = now + asked.granted;
            entry.strikes = 0;
            entry.refusals = 0;
            entry.not_before = None;
            if let Subject::List(list) = &mut entry.subject {
                list.is_fetch = false;
            }
            entry.renew_terms(message, asked.event);
            if is_back {
                self.note_watcher(id);
            }
        }
        self.render_anew(id);
        self.arm_subscription(id);
    }

    fn read_subscribe<'m, 'd>(
        &self,
        message: &Message<'m>,
        domain: &Domain,
        directory: &Directory,
    ) -> Result<Asked<'m>, Refusal<'d>> {
        let (package, _, event) = event_of(message)?;
        let user_agent = message.header(HeaderName::UserAgent).unwrap_or_default();
        let profile = Arc::clone(directory.profile(user_agent));
        let enclosed = self.read_enclosed(message, package, directory)?;
        let format = accepted_format(message, package, &profile)?;
        let package_max = package.expires_max().unwrap_or(domain.max_expires);
        let limits = ExpiryLimits {
            min: profile
                .min_expires
                .unwrap_or(domain.min_expires)
                .min(package_max),
            max: domain.max_expires.min(package_max),
        };
        let granted = limits.grant(expires_of(message)?, package.expires_default());
        let granted = granted.map_err(|TooBrief(min)| Refusal::TooBrief(min))?;
        Ok(Asked {
            package,
            format,
            event,
            granted,
            expires_min: limits.min,
            enclosed,
            profile,
        })
    }

    /// The subscription itself, with its watchers.
    fn begin(
        &mut self,
        dialog: DialogId,
        beginning: Beginning<'_>,
        now: Instant,
        out: &mut Outbox,
    ) -> SubscriptionId {
        let Beginning {
            aor,
            plan,
            decision,
            asked,
            entity,
            message,
        } = beginning;
        // Each resource of a list is told whole.
        let format = match asked.format {
            Format::PidfDiff if plan.is_some() => Format::Pidf,
            format => format,
        };
        let new = NewSubscription {
            package: asked.package,
            view: View {
                format,
                privacy: decision.privacy,
                rendering: asked.profile.rendering,
            },
            decision,
            terms: Terms::of(message, asked.event),
            history: Shown::of(format, asked.profile.partial_dialog_info),
            event: asked.event,
            entity,
            expires_at: now + asked.granted,
        };
        if let Some(plan) = plan {
            let directory = Arc::clone(&self.directory);
            return self.add_list(dialog, aor, &plan, new, &directory, out);
        }
        if let Some(package) = asked.package.of_watchers() {
            return self.add_audience(dialog, (aor.clone(), package), new, out);
        }
        let (watched, is_new) = self.table.watch(aor);
        let id = self.table.add_subscription(dialog, watched, new);
        if is_new {
            self.begin_watch(aor, out);
        }
        self.note_watcher(id);
        id
    }

    /// The subscription of a dialog that a SUBSCRIBE means: same package, same `id` (W:A2.1).
    fn usage_of(&self, id: DialogId, asked: &Asked<'_>) -> Option<SubscriptionId> {
        let usages = &self.table.dialog(id)?.subscriptions;
        usages.iter().copied().find(|usage| {
            self.table.subscription(*usage).is_some_and(|subscription| {
                subscription.package == asked.package
                    && event_id(&subscription.names.event) == event_id(asked.event)
            })
        })
    }

    /// Another package in the dialog of a first subscription, to whom that is: peers of RFC 3265 do
    /// so (W:A2.4).
    fn add_usage<'d>(
        &mut self,
        (id, first): (DialogId, SubscriptionId),
        asked: &Asked<'_>,
        message: &Message<'_>,
        directory: &Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<SubscriptionId, Refusal<'d>> {
        if asked.package == Package::LineSeize {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "Seize In A Dialog Of Its Own",
            ));
        }
        const GONE: Refusal<'static> = Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST);
        let entry = self.table.dialog(id).ok_or(GONE)?;
        let phone = entry.phone;
        self.check_room(Some(phone), 1)?;
        let sibling = self.table.subscription(first).ok_or(GONE)?;
        if asked.enclosed.list().is_some() || matches!(sibling.subject, Subject::List(_)) {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "List In A Dialog Of Its Own",
            ));
        }
        let entity = sibling.names.entity.to_vec();
        let aor = self.table.aor_of(sibling).cloned().ok_or(GONE)?;
        let watcher = self.identity_of(first, directory).ok_or(GONE)?;
        let decision = self.decide(&watcher, &aor, asked.package, directory, now);
        if decision.handling == Handling::Block {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        self.counters.subscriptions_created += 1;
        self.phones.join_again(phone);
        let beginning = Beginning {
            aor: &aor,
            plan: None,
            decision,
            asked,
            entity: &entity,
            message,
        };
        Ok(self.begin(id, beginning, now, out))
    }

    /// 200 with Expires and Contact, then the NOTIFY that every 200 is followed by (W:A1.14-A1.16,
    /// A2.5).
    fn accept(
        &mut self,
        request: &Request<'_>,
        id: SubscriptionId,
        granted: Duration,
        now: Instant,
        out: &mut Outbox,
    ) {
        self.respond_subscribed(request, Status::OK, id, granted, now, out);
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.forget_shown();
        }
        self.want(id, Wants::Notify);
    }

    /// 204: nothing is new, no NOTIFY follows (RFC 5839 §4.2; W:B6.1).
    fn accept_silently(
        &mut self,
        request: &Request<'_>,
        id: SubscriptionId,
        granted: Duration,
        now: Instant,
        out: &mut Outbox,
    ) {
        self.counters.notifies_suppressed += 1;
        self.respond_subscribed(request, Status::NO_NOTIFICATION, id, granted, now, out);
        if granted.is_zero() {
            self.remove_subscription(id, now, out);
        }
    }

    fn respond_subscribed(
        &mut self,
        request: &Request<'_>,
        status: Status,
        id: SubscriptionId,
        granted: Duration,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let Some(entry) = self.table.dialog(subscription.dialog) else {
            return;
        };
        let is_list = subscription.is_multipart();
        let head = self.begin_response(request, status, None, entry.dialog.local_tag(), out);
        for route in request.message.headers(HeaderName::RecordRoute) {
            emit::header(&mut out.arena, "Record-Route", route);
        }
        emit::header(
            &mut out.arena,
            "Contact",
            &self.origins.of(&request.flow).contact,
        );
        emit::header_number(&mut out.arena, "Expires", granted.as_secs());
        if is_list {
            emit::header(&mut out.arena, "Require", b"eventlist");
        }
        self.end_response(request, head, now, out);
        self.keep_stream(&request.flow, granted, now, out);
    }

    /// The phone shows signs of life on a way that may be new: whatever else it is owed can go now.
    pub(crate) fn wake_siblings(&mut self, id: DialogId, awake: SubscriptionId) {
        let Some(entry) = self.table.dialogs.get(id.0 as usize) else {
            return;
        };
        for usage in entry.subscriptions.iter().filter(|usage| **usage != awake) {
            if let Some(subscription) = self.table.subscriptions.get_mut(usage.0 as usize)
                && subscription.wants > Wants::Nothing
            {
                subscription.want(Wants::Change, *usage, &mut self.queue);
            }
        }
    }

    /// One last NOTIFY, then nothing.
    pub(crate) fn end_subscription(&mut self, id: SubscriptionId, reason: Termination) {
        self.note_watcher_end(id, reason);
        self.give_back(id);
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.phase = Phase::Ending(reason);
            subscription.not_before = None;
            if let Some(timer) = subscription.timer.take() {
                self.wheel.cancel(timer);
            }
        }
    }
}
