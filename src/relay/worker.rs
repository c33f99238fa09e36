//! One relay: takes states from its queue to its target, several people at once, and tells all states when
//! the target may not know them.
//!
//! Guarantees: each person's newest state is told until the target has it or it is given up; then it is a
//! dead letter. A target that hangs or fails holds up nothing but its own queue.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::background::{Backoff, Shards};
use crate::changes::Change;
use crate::changes::shown::Shown;
use crate::directory::Directory;
use crate::presence::Aor;
use crate::relay::dead_letters::DeadLetters;
use crate::relay::plan::RelayPlan;
use crate::relay::queue::{Entry, Queue};
use crate::relay::repeats::Repeats;
use crate::relay::state::{Moment, State};
use crate::relay::status::{Status, count};
use crate::relay::target::{Fault, Remedy, Target};
use crate::relay::told::{Told, Traces};
use crate::shard::contract::report::PresentityState;
use crate::shard::{Command, Reply, ShardId};
use crate::sip::random::Random;

/// The waits after failures.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// Places of a shard's table of presentities that are asked for at once, at most.
const PLACES_AT_ONCE: u32 = 200;
/// The time between the end of telling all states and the next beginning, and before a shard that did not
/// respond is asked again.
const REST: Duration = Duration::from_secs(1);

/// A relay that runs. It ends when it is dropped.
pub(super) struct Relay {
    worker: Rc<Worker>,
    tasks: JoinSet<()>,
}

struct Worker {
    plan: RelayPlan,
    target: Box<dyn Target>,
    shards: Rc<dyn Shards>,
    queue: Queue,
    status: Arc<Status>,
    letters: DeadLetters,
    told: RefCell<Told>,
    repeats: RefCell<Repeats>,
    /// All states are to be told.
    wants_all: Notify,
    /// So they are, and at once: the target was away.
    is_back: Notify,
    /// While a shard is asked for states: people whose state has changed since. What it answers about them may be
    /// older.
    changed: RefCell<Option<HashSet<Aor>>>,
    /// It is removed: its target is told no states any more, only cleared.
    is_removed: Cell<bool>,
    /// Faults in a row that concerned the target as a whole.
    faults: Cell<u32>,
    random: RefCell<Random>,
}

impl Relay {
    /// Starts it: the target is told all states, then every change.
    pub(super) fn start(
        plan: RelayPlan,
        target: Box<dyn Target>,
        shards: Rc<dyn Shards>,
        status: Arc<Status>,
        random: Random,
    ) -> Self {
        let worker = Rc::new(Worker {
            queue: Queue::new(plan.queue_max, plan.rate_max),
            letters: DeadLetters::new(&plan.directory, &plan.name),
            told: RefCell::new(Told::open(&plan.directory, &plan.name)),
            repeats: RefCell::default(),
            plan,
            target,
            shards,
            status,
            wants_all: Notify::new(),
            is_back: Notify::new(),
            changed: RefCell::default(),
            is_removed: Cell::new(false),
            faults: Cell::new(0),
            random: RefCell::new(random),
        });
        worker.target.begin(&worker.told.borrow());
        worker.wants_all.notify_one();
        let mut tasks = JoinSet::new();
        for _ in 0..worker.target.lanes() {
            let worker = Rc::clone(&worker);
            tasks.spawn_local(async move { worker.tell().await });
        }
        let telling = Rc::clone(&worker);
        tasks.spawn_local(async move { telling.tell_all().await });
        let attending = Rc::clone(&worker);
        tasks.spawn_local(async move { attending.target.attend(&attending.is_back).await });
        let resuming = Rc::clone(&worker);
        tasks.spawn_local(async move { resuming.resume().await });
        Self { worker, tasks }
    }

    /// As it is configured.
    pub(super) fn plan(&self) -> &RelayPlan {
        &self.worker.plan
    }

    /// Takes a change to the target.
    pub(super) fn change(&self, change: Change<'_>, directory: &Directory) {
        let moment = Moment {
            is_change: true,
            at: change.state.at,
        };
        let state = self.worker.state_of(change.into(), moment, directory);
        if let Some(state) = state {
            if let Some(changed) = &mut *self.worker.changed.borrow_mut() {
                changed.insert(state.aor.clone());
            }
            self.worker.offer(state);
        }
    }

    /// Has the target told all states, because changes were lost.
    pub(super) fn tell_all(&self) {
        self.worker.wants_all.notify_one();
    }

    /// Tells again what is due for that, and writes down how long its queue is.
    pub(super) fn tick(&self) {
        self.worker.repeat(Instant::now());
        let (queue, status) = (&self.worker.queue, &self.worker.status);
        let oldest = queue.oldest(Instant::now()).unwrap_or_default();
        let (queued, oldest) = (queue.len() as u64, oldest.as_secs());
        status.queued.store(queued, Ordering::Relaxed);
        status.oldest_seconds.store(oldest, Ordering::Relaxed);
    }

    /// Ends it for good, once what its target shows of people is cleared or `patience` is over. What is left is cleared if a
    /// relay of that name begins again. A target that takes every state keeps the last ones.
    pub(super) async fn remove(self, patience: Duration) {
        let worker = &self.worker;
        worker.is_removed.set(true);
        let people: Vec<Aor> = worker.told.borrow().people().cloned().collect();
        let moment = Moment {
            is_change: true,
            at: worker.shards.unix_milliseconds(),
        };
        if !worker.target.wants_rest() {
            let states = people.iter().map(|aor| State::at_rest(aor, moment));
            states.for_each(|state| worker.offer(state));
        }
        self.end(patience).await;
    }

    /// Ends it, once what waits is told or `patience` is over.
    pub(super) async fn end(mut self, patience: Duration) {
        let _ = timeout(patience, self.worker.queue.drained()).await;
        self.tasks.shutdown().await;
    }
}

impl Worker {
    fn offer(&self, state: State) {
        if !self.is_news(&state) {
            return;
        }
        if !self.queue.offer(state, Instant::now()) {
            count(&self.status.overflows);
            self.wants_all.notify_one();
        }
    }

    /// The state that is told. Of a person of which nothing is told any more, what the target shows is cleared.
    fn state_of(&self, shown: Shown<'_>, moment: Moment, directory: &Directory) -> Option<State> {
        let aor = shown.aor;
        let hidden = || {
            let is_shown = self.told.borrow().traces(aor) != Traces::NONE;
            let clears = is_shown && !self.target.wants_rest();
            clears.then(|| State::at_rest(aor, moment))
        };
        State::new(shown, moment, &self.plan, directory).or_else(hidden)
    }

    /// Whether a state means anything to the target.
    fn is_news(&self, state: &State) -> bool {
        let (aor, target) = (&state.aor, &self.target);
        if !target.takes(aor) {
            return false;
        }
        if target.wants_rest() || self.queue.has(aor) {
            return true;
        }
        let shown = self.told.borrow().traces(aor);
        shown.and(target.traces(state, shown)) != Traces::NONE
    }

    /// Queues the states that are due to be told again.
    fn repeat(&self, now: Instant) {
        loop {
            let due = self.repeats.borrow_mut().take(now);
            let Some(state) = due else {
                return;
            };
            // What is in the queue is as new or newer.
            if !self.queue.has(&state.aor) {
                self.offer(State {
                    is_change: false,
                    ..state
                });
            }
        }
    }

    /// Tells one state after the other. Never ends.
    async fn tell(&self) {
        loop {
            let mut entry = self.queue.take().await;
            let aor = &entry.state.aor;
            entry.shown = self.told.borrow().traces(aor);
            let traces = self.target.traces(&entry.state, entry.shown);
            self.remember(|told| told.put(aor, entry.shown.and(traces)));
            let told = timeout(self.plan.timeout, self.target.tell(&entry)).await;
            let told = told.unwrap_or_else(|_| Err(Fault::wait("no response in time")));
            match told {
                Ok(()) => self.told(&entry, traces),
                Err(fault) => self.failed(entry, &fault),
            }
        }
    }

    fn told(&self, entry: &Entry, traces: Traces) {
        self.faults.set(0);
        count(&self.status.sent);
        if self.status.works() {
            tracing::info!(relay = &*self.plan.name, "the relay works");
        }
        let (state, aor) = (&entry.state, &entry.state.aor);
        self.remember(|told| told.put(aor, traces));
        let again = self.target.again(state, traces);
        let at = again.and_then(|after| Instant::now().checked_add(after));
        self.repeats.borrow_mut().put(state, at);
        self.queue.done(aor);
    }

    fn remember(&self, change: impl FnOnce(&mut Told) -> io::Result<()>) {
        if let Err(error) = change(&mut self.told.borrow_mut()) {
            tracing::error!(relay = &*self.plan.name, %error, "cannot write the file of those who were told of");
        }
    }

    fn failed(&self, mut entry: Entry, fault: &Fault) {
        if fault.remedy == Remedy::Unknown {
            count(&self.status.unknown);
            self.give_up(&entry, &fault.why);
            return;
        }
        count(&self.status.failed);
        if self.status.fails(&fault.why) {
            tracing::warn!(relay = &*self.plan.name, why = fault.why, "the relay fails");
        }
        let is_old = entry
            .first_try
            .is_some_and(|first| first.elapsed() >= self.plan.give_up);
        if is_old || fault.remedy == Remedy::GiveUp {
            self.give_up(&entry, &fault.why);
            return;
        }
        count(&self.status.retried);
        let random = &mut *self.random.borrow_mut();
        match fault.remedy {
            Remedy::Wait(_) | Remedy::Forbidden => {
                let said = match fault.remedy {
                    Remedy::Wait(said) => said,
                    _ => None,
                };
                self.faults.set(self.faults.get().saturating_add(1));
                let delay = said.unwrap_or_else(|| BACKOFF.delay(self.faults.get(), random));
                self.queue.pause(delay);
                self.queue.failed(entry, delay);
            }
            Remedy::Retry | Remedy::GiveUp | Remedy::Unknown => {
                entry.failures = entry.failures.saturating_add(1);
                let delay = BACKOFF.delay(entry.failures, random);
                self.queue.failed(entry, delay);
            }
        }
    }

    fn give_up(&self, entry: &Entry, why: &str) {
        count(&self.status.dead_letters);
        if let Err(error) = self.letters.append(why, entry.state.event()) {
            tracing::error!(relay = &*self.plan.name, %error, "cannot write the file of dead letters");
        }
        self.queue.done(&entry.state.aor);
    }

    /// Goes on at once whenever the target is back. Never ends.
    async fn resume(&self) {
        loop {
            self.is_back.notified().await;
            self.faults.set(0);
            self.queue.resume();
            self.wants_all.notify_one();
        }
    }

    /// Tells all states whenever the target may not know them. Never ends.
    async fn tell_all(&self) {
        loop {
            self.wants_all.notified().await;
            count(&self.status.snapshots);
            // What found no room until now is told here.
            let _ = self.queue.take_overflow();
            let mut unheard: HashSet<Aor> = self.told.borrow().people().cloned().collect();
            for shard in (0..self.shards.count()).map(ShardId) {
                self.tell_all_of(shard, &mut unheard).await;
            }
            self.tell_unheard(unheard).await;
            if self.queue.take_overflow() {
                self.wants_all.notify_one();
            }
            sleep(REST).await;
        }
    }

    /// Tells the states of a shard. None of these people is unheard of any more.
    async fn tell_all_of(&self, shard: ShardId, unheard: &mut HashSet<Aor>) {
        let mut place = Some(0);
        while let Some(from) = place {
            let places = self.places_at_once();
            let directory = self.shards.directory();
            let peer_system = directory.peer_system_of_relay(&self.plan.name);
            let command = || Command::KnownStates {
                from,
                places,
                peer_system,
            };
            let (reply, changed) = self.ask(shard, command).await;
            let Some(Reply::KnownStates(states, next)) = reply else {
                sleep(REST).await;
                continue;
            };
            for state in &states {
                unheard.remove(&state.aor);
            }
            self.offer_all(&states, &changed);
            place = next;
        }
    }

    /// Tells the states of presentities that no source reports on any more.
    async fn tell_unheard(&self, unheard: HashSet<Aor>) {
        let shards = self.shards.count();
        for shard in (0..shards).map(ShardId) {
            let of_shard = unheard.iter();
            let of_shard = of_shard.filter(|aor| ShardId::owner_of(aor, shards) == shard);
            let of_shard: Vec<Aor> = of_shard.cloned().collect();
            for aors in of_shard.chunks(self.places_at_once() as usize) {
                let directory = self.shards.directory();
                let peer_system = directory.peer_system_of_relay(&self.plan.name);
                let command = || Command::States {
                    aors: aors.to_vec(),
                    peer_system,
                };
                // One that does not respond is asked when all states are told the next time.
                if let (Some(Reply::States(states)), changed) = self.ask(shard, command).await {
                    self.offer_all(&states, &changed);
                }
            }
        }
    }

    /// As many as have room: else the last ones would never have it.
    fn places_at_once(&self) -> u32 {
        let room = u32::try_from(self.queue.room_min()).unwrap_or(u32::MAX);
        room.clamp(1, PLACES_AT_ONCE)
    }

    /// Asks a shard for states once many people have room. Also returns whose state has changed meanwhile.
    async fn ask(
        &self,
        shard: ShardId,
        command: impl FnOnce() -> Command,
    ) -> (Option<Reply>, HashSet<Aor>) {
        self.queue.room().await;
        *self.changed.borrow_mut() = Some(HashSet::new());
        let reply = self.shards.ask(shard, command()).await;
        (reply, self.changed.take().unwrap_or_default())
    }

    /// Takes states to the target that were asked for, except those that have changed since.
    fn offer_all(&self, states: &[PresentityState], changed: &HashSet<Aor>) {
        if self.is_removed.get() {
            return;
        }
        let directory = self.shards.directory();
        let moment = Moment {
            is_change: false,
            at: self.shards.unix_milliseconds(),
        };
        for state in states.iter().filter(|state| !changed.contains(&state.aor)) {
            let state = self.state_of(state.into(), moment, &directory);
            state.into_iter().for_each(|state| self.offer(state));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
