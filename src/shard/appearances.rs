//! Taking an appearance of a shared line (`line-seize`; W:C10.2): a phone that went off hook says so
//! before it calls, and nobody else gets the same key.
//!
//! The line's owner decides: the first one gets the appearance, if it is idle. A subscription holds
//! it until a feeder says what became of it, until the phone gives it back, or for as long as was
//! granted; then it is idle again, unless the feeder said otherwise. What an appearance does is part
//! of the composed state; who holds it, only the owner knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::call::Appearance;
use crate::presence::call::AppearanceState;
use crate::presence::call::appearance;
use crate::presence::document::call_info;
use crate::presence::event::Package;
use crate::presence::event::Termination;
use crate::presence::policy::Privacy;
use crate::presence::source::StateUpdate;
use crate::shard::Shard;
use crate::shard::admit::Target;
use crate::shard::bodies::Body;
use crate::shard::bodies::hash_of;
use crate::shard::directory::Directory;
use crate::shard::flow::ShardId;
use crate::shard::mail::Claim;
use crate::shard::mail::Mail;
use crate::shard::mail::SeizeRefused;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::subscribe::Admitted;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::table::Post;
use crate::shard::table::SubscriptionId;
use crate::sip::Message;
use crate::sip::StartLine;
use crate::sip::Status;
use crate::sip::header::NameAddr;
use crate::sip::header::list_items;

/// What a `line-seize` subscription holds.
#[derive(Debug)]
pub(crate) struct Seizure {
    pub(crate) post: Post,
    index: u8,
    /// None once it was given back.
    claim: Option<Claim>,
}

/// Who holds what.
#[derive(Debug, Default)]
pub(crate) struct Seizures {
    /// By line and appearance, the number of the claim; of lines that are owned here. An entry goes
    /// with its subscription.
    held: HashMap<(Aor, u8), u64>,
    claims: u64,
    /// Given back in this turn, to be told to the owners.
    released: Vec<Claim>,
}

impl Seizures {
    /// Whether nothing is to be told.
    pub(crate) fn are_settled(&self) -> bool {
        self.released.is_empty()
    }
}

// As the shard of the phone.
impl Shard {
    /// Asks the owner for the appearance that a SUBSCRIBE names; the subscription begins when it is
    /// granted.
    pub(crate) fn seize<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let Admitted {
            request,
            aor,
            sender,
            ..
        } = *admitted;
        let index = appearance_index(request.message)?;
        let owner = Self::owner(aor, self.options.shards);
        if owner == self.options.id {
            let outcome = self.claim(aor, index, now, out);
            return self.begin_seizure(admitted, outcome, now, out);
        }
        let waiting = self.wait_for_owner(request, sender, Package::LineSeize, now)?;
        let mail = Mail::Seize {
            aor: aor.clone(),
            index,
            reply_to: (self.options.id, waiting),
        };
        out.mail.push((owner, mail));
        Ok(())
    }

    /// From the owner: whether the appearance is granted.
    pub(crate) fn handle_seize_outcome(
        &mut self,
        waiting: u32,
        outcome: Result<Claim, SeizeRefused>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(waiting) = self.take_waiting(waiting) else {
            // Nobody waits for it any more.
            self.seizures.released.extend(outcome.ok());
            return;
        };
        let Ok(message) = Message::parse(&waiting.octets, waiting.framing()) else {
            return;
        };
        let request = Request {
            message: &message,
            flow: waiting.flow,
            transaction: waiting.transaction,
        };
        let directory = Arc::clone(&self.directory);
        let sender = waiting.sender.as_deref();
        let seized = self.go_on_seizing(&request, sender, outcome, &directory, now, out);
        if let Err(refusal) = seized {
            self.refuse(&request, &refusal, now, out);
        }
    }

    /// The request was admitted before it had to wait.
    fn go_on_seizing<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        outcome: Result<Claim, SeizeRefused>,
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let target = match request.message.start_line() {
            StartLine::Request { uri, .. } => self.resolve(uri, &request.flow, directory),
            StartLine::Response { .. } => Err(Refusal::Plain(Status::NOT_FOUND)),
        };
        match target {
            Ok(Target::Presentity { aor, domain }) => {
                let admitted = Admitted {
                    request,
                    aor: &aor,
                    sender,
                    domain,
                    directory,
                };
                self.begin_seizure(&admitted, outcome, now, out)
            }
            Ok(Target::Server) | Err(_) => {
                self.seizures.released.extend(outcome.ok());
                Err(Refusal::Plain(Status::NOT_FOUND))
            }
        }
    }

    fn begin_seizure<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        outcome: Result<Claim, SeizeRefused>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let claim = outcome.map_err(|refused| match refused {
            SeizeRefused::Taken => Refusal::Plain(Status::TEMPORARILY_UNAVAILABLE),
            SeizeRefused::TooMany => Refusal::OverLimit,
        })?;
        let subscribed = self.subscribe(admitted, Some(&claim), now, out);
        if subscribed.is_err() {
            self.seizures.released.push(claim);
        }
        subscribed
    }

    /// A new subscription holds what was granted.
    pub(crate) fn hold(&mut self, id: SubscriptionId, claim: &Claim) {
        if let Some(subscription) = self.table.subscription_mut(id)
            && let Subject::Presentity(post) = subscription.subject
        {
            subscription.subject = Subject::Seizure(Box::new(Seizure {
                post,
                index: claim.index,
                claim: Some(claim.clone()),
            }));
        }
    }

    /// Whether what a subscription held was given back: it cannot be refreshed.
    pub(crate) fn is_released(&self, id: SubscriptionId) -> bool {
        self.table.subscription(id).is_some_and(|subscription| {
            matches!(&subscription.subject, Subject::Seizure(seizure) if seizure.claim.is_none())
        })
    }

    /// A subscription ends: whatever it held is given back at the end of the turn.
    pub(crate) fn give_back(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.table.subscription_mut(id)
            && let Subject::Seizure(seizure) = &mut subscription.subject
        {
            self.seizures.released.extend(seizure.claim.take());
        }
    }

    /// Writes what a NOTIFY says of the appearance that is held, into a header alone (W:C10.2); None
    /// while its owner has not spoken.
    pub(crate) fn write_seizure(&self, seizure: &Seizure, out: &mut Outbox) -> Option<Body> {
        let watched = self.table.watched(seizure.post.watched)?;
        let index = seizure.index;
        let appearance = Appearance {
            index,
            state: state_of(&watched.composed.as_ref()?.extras.appearances, index),
            party: None,
        };
        let start = out.arena.len();
        let nobody = Privacy::StateOnly;
        call_info::write_appearance(&mut out.arena, &watched.aor, &appearance, nobody);
        let end = out.arena.len();
        Some(Body {
            call_info: start..end,
            octets: end..end,
            hash: hash_of(&out.arena[start..]),
        })
    }

    /// An appearance that went on to something else needs its subscription no longer.
    pub(crate) fn end_seizure_that_went_on(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let Subject::Seizure(seizure) = &subscription.subject else {
            return;
        };
        let watched = self.table.watched(seizure.post.watched);
        let Some(composed) = watched.and_then(|watched| watched.composed.as_ref()) else {
            return;
        };
        let is_seized =
            state_of(&composed.extras.appearances, seizure.index) == AppearanceState::Seized;
        if !is_seized && subscription.phase == Phase::Active {
            self.end_subscription(id, Termination::NoResource);
        }
    }

    /// At the end of a turn: tells the owners what was given back.
    pub(crate) fn release_claims(&mut self, now: Instant, out: &mut Outbox) {
        for claim in std::mem::take(&mut self.seizures.released) {
            let owner = Self::owner(&claim.aor, self.options.shards);
            if owner == self.options.id {
                self.handle_release(&claim, now, out);
            } else {
                out.mail.push((owner, Mail::Release(claim)));
            }
        }
    }
}

// As the line's owner.
impl Shard {
    /// A phone of another shard wants an appearance.
    pub(crate) fn handle_seize(
        &mut self,
        aor: Aor,
        index: u8,
        reply_to: (ShardId, u32),
        now: Instant,
        out: &mut Outbox,
    ) {
        let outcome = self.claim(&aor, index, now, out);
        let (shard, request) = reply_to;
        out.mail
            .push((shard, Mail::SeizeOutcome { request, outcome }));
    }

    /// The first one who wants an idle appearance has it.
    fn claim(
        &mut self,
        aor: &Aor,
        index: u8,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Claim, SeizeRefused> {
        if self.appearance(aor, index) != AppearanceState::Idle {
            self.counters.appearances_refused += 1;
            return Err(SeizeRefused::Taken);
        }
        if !self.say_appearance(aor, index, AppearanceState::Seized, now, out) {
            return Err(SeizeRefused::TooMany);
        }
        self.counters.appearances_seized += 1;
        self.seizures.claims += 1;
        let number = self.seizures.claims;
        self.seizures.held.insert((aor.clone(), index), number);
        let aor = aor.clone();
        Ok(Claim { aor, index, number })
    }

    /// A phone holds an appearance no longer: it is idle, unless it does something by now.
    pub(crate) fn handle_release(&mut self, claim: &Claim, now: Instant, out: &mut Outbox) {
        let key = (claim.aor.clone(), claim.index);
        if self.seizures.held.get(&key) != Some(&claim.number) {
            return;
        }
        self.seizures.held.remove(&key);
        if self.appearance(&claim.aor, claim.index) == AppearanceState::Seized {
            self.say_appearance(&claim.aor, claim.index, AppearanceState::Idle, now, out);
        }
    }

    fn appearance(&mut self, aor: &Aor, index: u8) -> AppearanceState {
        let id = self.presentities.find(aor);
        let owned = id.and_then(|id| self.presentities.get_mut(id));
        owned.map_or(AppearanceState::Idle, |owned| {
            state_of(&owned.presentity.composed().extras.appearances, index)
        })
    }

    fn say_appearance(
        &mut self,
        aor: &Aor,
        index: u8,
        state: AppearanceState,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let said = StateUpdate::Appearance(Appearance {
            index,
            state,
            party: None,
        });
        self.take_statement(aor, said, now, out)
    }
}

/// What an appearance does, by those that do something.
fn state_of(appearances: &[Appearance], index: u8) -> AppearanceState {
    appearances
        .iter()
        .find(|appearance| appearance.index == index)
        .map_or(AppearanceState::Idle, |appearance| appearance.state)
}

/// The appearance that a SUBSCRIBE wants: `Call-Info: <sip:abc.com>;appearance-index=1`.
fn appearance_index<'d>(message: &Message<'_>) -> Result<u8, Refusal<'d>> {
    const MISSING: Refusal<'static> =
        Refusal::Because(Status::BAD_REQUEST, "Missing appearance-index");
    let index = message
        .other_headers("Call-Info")
        .flat_map(list_items)
        .filter_map(NameAddr::parse)
        .find_map(|item| item.parameters.get("appearance-index"))
        .ok_or(MISSING)?;
    std::str::from_utf8(index)
        .ok()
        .and_then(|index| index.trim_matches('"').parse().ok())
        .filter(|index| appearance::INDEXES.contains(index))
        .ok_or(Refusal::Because(
            Status::BAD_REQUEST,
            "Invalid appearance-index",
        ))
}
