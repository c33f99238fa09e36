//! The stage: starts the server and the phones, plays scenes, watches the lamps, and clears up.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::TryRecvError;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::cli::demo::cast;
use crate::cli::demo::cast::Key;
use crate::cli::demo::cast::PEOPLE;
use crate::cli::demo::exchange::Exchange;
use crate::cli::demo::lamp::Lamp;
use crate::cli::demo::mobile;
use crate::cli::demo::phone;
use crate::cli::demo::phone::Event;
use crate::cli::demo::screen::Screen;
use crate::cli::demo::screen::VISITOR;
use crate::cli::demo::screen::View;
use crate::cli::demo::script;
use crate::cli::demo::script::Act;
use crate::cli::demo::script::Scene;
use crate::config::Complaints;
use crate::runtime::BootError;
use crate::runtime::Node;
use crate::runtime::signals::Request;
use crate::sip::Transport;

/// How long a lamp may take. Loopback takes a millisecond; a busy machine may take longer.
const LAMP_MAX: Duration = Duration::from_secs(3);
/// Blinking: half a period.
const BLINK: Duration = Duration::from_millis(250);
/// How long each scene is held when nobody looks at it, so that what should not come has time to.
const HOLD_UNSEEN: Duration = Duration::from_millis(100);
/// Between rounds, for the visitor to try something.
const INTERMISSION: Duration = Duration::from_secs(4);
/// How long the server may take to end.
const STOP_MAX: Duration = Duration::from_secs(1);

/// Why the demonstration cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// The server does not start.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Its configuration is not in order on this machine.
    #[error(transparent)]
    Configuration(#[from] Complaints),
    /// A phone does not start.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server says it listens nowhere.
    #[error("the server has no address")]
    NoAddress,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Everything was right, or the visitor has seen enough.
    Good,
    /// What was wrong.
    Bad(Vec<String>),
}

/// Everything that runs.
pub(super) struct Stage {
    screen: Screen,
    view: View,
    node: Node,
    http: SocketAddr,
    exchange: Exchange,
    phones: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    events: Receiver<Event>,
    signals: Receiver<Request>,
    started: Instant,
    /// When the server was last told about each person; None when what happens is not ours.
    told: [Option<Instant>; PEOPLE.len()],
    /// What each key has shown, without repetitions.
    shown: BTreeMap<Key, Vec<Lamp>>,
    faults: Vec<String>,
    is_interrupted: bool,
}

impl Stage {
    /// Starts everything and waits until every phone knows every lamp. `signals` says when to end
    /// early.
    pub(super) fn open(screen: Screen, signals: Receiver<Request>) -> Result<Self, StageError> {
        let node = Node::start(cast::node_plan()?)?;
        let is_udp = |(transport, _): &&(Transport, SocketAddr)| *transport == Transport::Udp;
        let sip = node
            .sip_addresses()
            .iter()
            .find(is_udp)
            .ok_or(StageError::NoAddress)?
            .1;
        let http = *node.http_addresses().first().ok_or(StageError::NoAddress)?;
        let (sender, events) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let phones = (0..PEOPLE.len())
            .map(|person| phone::start(person, sip, sender.clone(), Arc::clone(&is_over)))
            .collect::<io::Result<_>>()?;
        let mut stage = Self {
            screen,
            view: View::default(),
            node,
            http,
            exchange: Exchange::connect(sip)?,
            phones,
            is_over,
            events,
            signals,
            started: Instant::now(),
            told: [Some(Instant::now()); PEOPLE.len()],
            shown: BTreeMap::new(),
            faults: Vec::new(),
            is_interrupted: false,
        };
        stage.screen.open(sip, http);
        stage.view.caption = "The phones subscribe to each other".to_owned();
        stage.view.by = "SUBSCRIBE";
        stage.screen.scene(&stage.view);
        let lamps: Vec<(usize, Lamp)> = (0..PEOPLE.len()).map(|one| (one, Lamp::Off)).collect();
        stage.await_lamps(&lamps);
        stage.hold(Duration::from_millis(700));
        Ok(stage)
    }

    /// One round, watched closely.
    pub(super) fn play_once(&mut self) -> Ending {
        let scenes = script::round(1, 0, 1, Some(VISITOR));
        for scene in &scenes {
            self.play(scene);
        }
        if self.is_interrupted {
            self.faults.push("interrupted before the end".to_owned());
        } else {
            self.compare(&scenes);
        }
        self.ending()
    }

    /// Round after round until Ctrl-C. The visitor may do what they like, so lamps are shown but
    /// not judged.
    pub(super) fn play_on(&mut self) -> Ending {
        let mut call = 1;
        while !self.is_interrupted {
            let (caller, callee) = if call % 2 == 1 { (0, 1) } else { (1, 0) };
            let mobile = (call == 1).then_some(VISITOR);
            for scene in &script::round(call, caller, callee, mobile) {
                self.play(scene);
                self.hold(scene.hold);
            }
            self.faults.clear();
            self.told = [None; PEOPLE.len()];
            self.view.caption = format!("{}'s lamp is yours: try curl", PEOPLE[VISITOR].name);
            self.view.by = "Ctrl-C ends";
            if !self.is_interrupted {
                self.screen.scene(&self.view);
            }
            self.hold(INTERMISSION);
            call += 1;
        }
        Ending::Good
    }

    /// Says good-bye and ends everything that runs.
    pub(super) fn close(mut self, ending: Ending) -> Ending {
        self.screen.release();
        self.is_over.store(true, Ordering::Relaxed);
        for phone in self.phones.drain(..) {
            if phone.join().is_err() {
                self.faults.push("a phone has panicked".to_owned());
            }
        }
        let before = self.faults.len();
        while let Ok(event) = self.events.try_recv() {
            if let Event::Fault(fault) = event {
                self.faults.push(fault);
            }
        }
        self.node.stop(STOP_MAX);
        let farewell = self.faults.split_off(before);
        let ending = match ending {
            Ending::Bad(faults) => Ending::Bad(faults.into_iter().chain(farewell).collect()),
            Ending::Good if farewell.is_empty() => Ending::Good,
            Ending::Good => Ending::Bad(farewell),
        };
        self.screen.close(match &ending {
            Ending::Good if self.is_interrupted => "\nGood night.",
            Ending::Good => "\nEvery lamp was right.",
            Ending::Bad(_) => "\nSomething was wrong.",
        });
        ending
    }

    /// Does what the scene says and waits for the lamps.
    fn play(&mut self, scene: &Scene) {
        if self.is_interrupted {
            return;
        }
        self.view.caption.clone_from(&scene.caption);
        self.view.by = scene.by;
        self.screen.scene(&self.view);
        for act in &scene.acts {
            self.told[act.person()] = Some(Instant::now());
            let done = match *act {
                Act::Publish(leg) => self.exchange.publish(&leg),
                Act::Mobile { person, is_busy } => mobile::tell(self.http, person, is_busy),
            };
            self.faults.extend(done.err());
        }
        self.await_lamps(&scene.lamps);
        self.hold(if self.screen.is_drawn() {
            scene.hold
        } else {
            HOLD_UNSEEN
        });
    }

    /// Waits until every key shows what it must; what does not in time is a fault.
    fn await_lamps(&mut self, lamps: &[(usize, Lamp)]) {
        let deadline = Instant::now() + LAMP_MAX;
        let keys = |watched| Key::all().filter(move |key| key.watched == watched);
        while Instant::now() < deadline && !self.is_interrupted {
            let is_right = |&(watched, lamp): &(usize, Lamp)| {
                keys(watched).all(|key| self.view.lamp(key) == lamp)
            };
            if lamps.iter().all(is_right) {
                return;
            }
            self.wait(deadline);
        }
        if self.is_interrupted {
            return;
        }
        for &(watched, lamp) in lamps {
            for key in keys(watched).filter(|key| self.view.lamp(*key) != lamp) {
                let [watcher, watched] =
                    [key.watcher, key.watched].map(|person| PEOPLE[person].name);
                let (caption, is) = (&self.view.caption, self.view.lamp(key));
                self.faults.push(format!(
                    "{caption}: on {watcher}'s phone {watched}'s lamp is \"{is}\", should be \"{lamp}\""
                ));
            }
        }
    }

    /// Goes on drawing for a while.
    fn hold(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until && !self.is_interrupted {
            self.wait(until);
        }
    }

    /// Waits for one event, or for the next time to draw, whichever is first, and draws.
    fn wait(&mut self, until: Instant) {
        let blinks = (self.started.elapsed().as_millis() / BLINK.as_millis()) as u32;
        self.screen.draw(&self.view, blinks.is_multiple_of(2));
        let next = (self.started + BLINK * (blinks + 1)).min(until);
        let timeout = next.saturating_duration_since(Instant::now());
        if let Ok(event) = self.events.recv_timeout(timeout) {
            self.take(event);
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
        }
        match self.signals.try_recv() {
            Ok(Request::Stop) | Err(TryRecvError::Disconnected) => self.is_interrupted = true,
            Ok(Request::Reload) | Err(TryRecvError::Empty) => {}
        }
        if let Some(ended) = self.node.poll_ended() {
            self.faults
                .push(format!("{} has ended unexpectedly", ended.core));
            self.is_interrupted = true;
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Fault(fault) => self.faults.push(fault),
            Event::Lamp { key, lamp, at } => {
                let shown = self.shown.entry(key).or_default();
                if shown.last() == Some(&lamp) {
                    return;
                }
                shown.push(lamp);
                self.view.set(key, lamp);
                let told = self.told[key.watched];
                let latency = told.map(|told| at.saturating_duration_since(told));
                self.screen.changed(&mut self.view, key, lamp, latency);
            }
        }
    }

    /// Whether every key has shown exactly what the scenes say, in order.
    fn compare(&mut self, scenes: &[Scene]) {
        for key in Key::all() {
            let mut expected = vec![Lamp::Off];
            for scene in scenes {
                let lamps = scene
                    .lamps
                    .iter()
                    .filter(|(person, _)| *person == key.watched);
                expected.extend(lamps.map(|(_, lamp)| *lamp));
            }
            expected.dedup();
            let shown = self.shown.get(&key).map_or(&[][..], Vec::as_slice);
            if shown != expected {
                let [watcher, watched] =
                    [key.watcher, key.watched].map(|person| PEOPLE[person].name);
                self.faults.push(format!(
                    "{watcher}'s phone showed {watched} as {shown:?}, should be {expected:?}"
                ));
            }
        }
    }

    fn ending(&mut self) -> Ending {
        match std::mem::take(&mut self.faults) {
            faults if faults.is_empty() => Ending::Good,
            faults => Ending::Bad(faults),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    fn open() -> (Stage, Sender<Request>) {
        let (sender, signals) = mpsc::channel();
        (
            Stage::open(Screen::new(Box::new(io::sink()), false), signals).unwrap(),
            sender,
        )
    }

    #[test]
    fn a_round_is_good_and_a_wrong_lamp_is_found() {
        let (mut stage, _signals) = open();
        let ending = stage.play_once();
        assert!(matches!(ending, Ending::Good), "{ending:?}");
        let mut scene = script::round(2, 0, 1, None).remove(0);
        scene.lamps = vec![(2, Lamp::Ringing)];
        stage.play(&scene);
        assert_eq!(stage.faults.len(), 2, "{:?}", stage.faults);
        stage.compare(&[]);
        // Alice, Bob and Carol each have two keys; all of them have shown more than "off".
        assert_eq!(stage.faults.len(), 2 + 6);
        assert!(matches!(stage.ending(), Ending::Bad(faults) if faults.len() == 8));
        assert!(matches!(stage.close(Ending::Good), Ending::Good));
    }

    #[test]
    fn an_interrupted_test_of_the_installation_is_none() {
        let (mut stage, signals) = open();
        signals.send(Request::Stop).unwrap();
        let ending = stage.play_once();
        assert!(
            matches!(&ending, Ending::Bad(faults) if faults.len() == 1),
            "{ending:?}"
        );
        assert!(matches!(stage.close(ending), Ending::Bad(_)));
    }

    #[test]
    fn a_visitor_may_leave_at_any_time() {
        let (mut stage, signals) = open();
        signals.send(Request::Stop).unwrap();
        let ending = stage.play_on();
        assert!(matches!(stage.close(ending), Ending::Good));
    }
}
