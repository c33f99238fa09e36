//! The runner: starts the server and the phones, plays the scenes, checks the lamps, and shuts
//! everything down.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cli::demo::lamp::Lamp;
use crate::cli::demo::participants::{Key, PEOPLE};
use crate::cli::demo::pbx::Pbx;
use crate::cli::demo::phone::Event;
use crate::cli::demo::screen::{Screen, VISITOR, View};
use crate::cli::demo::script::{Act, Scene};
use crate::cli::demo::{mobile, participants, phone, script};
use crate::config::Complaints;
use crate::runtime::signals::Request;
use crate::runtime::{BootError, Node};
use crate::sip::Transport;

/// How long a lamp may take to change. It takes a millisecond on loopback, longer on a busy machine.
const LAMP_MAX: Duration = Duration::from_secs(3);
/// Half the period of a blinking lamp.
const BLINK: Duration = Duration::from_millis(250);
/// How long each scene is held when nothing is drawn: time for an unexpected NOTIFY to arrive.
const HOLD_UNSEEN: Duration = Duration::from_millis(100);
/// The pause between rounds, in which the visitor can try the curl command.
const INTERMISSION: Duration = Duration::from_secs(4);
/// How long the server may take to stop.
const STOP_MAX: Duration = Duration::from_secs(1);

/// Why the demonstration cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunnerError {
    /// The server does not start.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The server's configuration is invalid on this machine.
    #[error(transparent)]
    Configuration(#[from] Complaints),
    /// A phone does not start.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server has no SIP or HTTP listener.
    #[error("the server has no address")]
    NoAddress,
}

/// How the demonstration ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// No fault was found, or the visitor pressed Ctrl-C while watching.
    Good,
    /// The faults found.
    Bad(Vec<String>),
}

/// The running demonstration.
pub(super) struct Runner {
    screen: Screen,
    view: View,
    node: Node,
    http: SocketAddr,
    pbx: Pbx,
    phones: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    events: Receiver<Event>,
    signals: Receiver<Request>,
    started: Instant,
    /// When each person's state was last sent to the server; None if the visitor may have changed it.
    reported_at: [Option<Instant>; PEOPLE.len()],
    /// The lamps that each key has shown, without repetitions.
    shown: BTreeMap<Key, Vec<Lamp>>,
    faults: Vec<String>,
    is_interrupted: bool,
}

impl Runner {
    /// Starts the server and the phones, and waits until every key shows its first lamp. A request
    /// on `signals` ends the demonstration early.
    pub(super) fn open(screen: Screen, signals: Receiver<Request>) -> Result<Self, RunnerError> {
        let (token, token_hash) = participants::token()?;
        let node = Node::start(participants::node_plan(&token_hash)?)?;
        let is_udp = |(transport, _): &&(Transport, SocketAddr)| *transport == Transport::Udp;
        let sip = node
            .sip_addresses()
            .iter()
            .find(is_udp)
            .ok_or(RunnerError::NoAddress)?
            .1;
        let http = node.http_addresses().next();
        let http = http.ok_or(RunnerError::NoAddress)?;
        let (sender, events) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let phones = (0..PEOPLE.len())
            .map(|person| phone::start(person, sip, sender.clone(), Arc::clone(&is_over)))
            .collect::<io::Result<_>>()?;
        let mut runner = Self {
            screen,
            view: View::default(),
            node,
            http,
            pbx: Pbx::connect(sip)?,
            phones,
            is_over,
            events,
            signals,
            started: Instant::now(),
            reported_at: [Some(Instant::now()); PEOPLE.len()],
            shown: BTreeMap::new(),
            faults: Vec::new(),
            is_interrupted: false,
        };
        runner.screen.open(sip, http, &token);
        runner.view.caption = "The phones subscribe to each other".to_owned();
        runner.view.by = "SUBSCRIBE";
        runner.screen.scene(&runner.view);
        let lamps: Vec<(usize, Lamp)> = (0..PEOPLE.len()).map(|one| (one, Lamp::Off)).collect();
        runner.await_lamps(&lamps);
        runner.hold(Duration::from_millis(700));
        Ok(runner)
    }

    /// Plays one round and checks every lamp.
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

    /// Plays rounds until Ctrl-C. The visitor may change lamps too, so lamps are shown but not
    /// checked.
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
            self.reported_at = [None; PEOPLE.len()];
            self.view.caption = format!(
                "{}'s lamp is yours: try the board, or curl",
                PEOPLE[VISITOR].name
            );
            self.view.by = "Ctrl-C ends";
            if !self.is_interrupted {
                self.screen.scene(&self.view);
            }
            self.hold(INTERMISSION);
            call += 1;
        }
        Ending::Good
    }

    /// Stops the phones and the server, and prints the result.
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

    /// Plays a scene and waits for its lamps.
    fn play(&mut self, scene: &Scene) {
        if self.is_interrupted {
            return;
        }
        self.view.caption.clone_from(&scene.caption);
        self.view.by = scene.by;
        self.screen.scene(&self.view);
        for act in &scene.acts {
            self.reported_at[act.person()] = Some(Instant::now());
            let done = match *act {
                Act::Publish(leg) => self.pbx.publish(&leg),
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

    /// Waits until every key shows the expected lamp; each key that does not in time is a fault.
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
                    "{caption}: on {watcher}'s phone, the lamp of {watched} is \"{is}\", expected \"{lamp}\""
                ));
            }
        }
    }

    /// Keeps drawing for that long.
    fn hold(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until && !self.is_interrupted {
            self.wait(until);
        }
    }

    /// Draws, then waits for one event or for the next redraw, whichever comes first.
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
            Ok(Request::Reload | Request::HandOver(_)) | Err(TryRecvError::Empty) => {}
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
                let reported_at = self.reported_at[key.watched];
                let latency = reported_at.map(|start| at.saturating_duration_since(start));
                self.screen.changed(&mut self.view, key, lamp, latency);
            }
        }
    }

    /// Adds a fault for each key that has not shown exactly the lamps of the scenes, in order.
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
                    "{watcher}'s phone showed {watched} as {shown:?}, expected {expected:?}"
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

    fn open() -> (Runner, Sender<Request>) {
        let (sender, signals) = mpsc::channel();
        (
            Runner::open(Screen::new(Box::new(io::sink()), false), signals).unwrap(),
            sender,
        )
    }

    #[test]
    fn a_round_is_good_and_a_wrong_lamp_is_found() {
        let (mut runner, _signals) = open();
        let ending = runner.play_once();
        assert!(matches!(ending, Ending::Good), "{ending:?}");
        let mut scene = script::round(2, 0, 1, None).remove(0);
        scene.lamps = vec![(2, Lamp::Ringing)];
        runner.play(&scene);
        assert_eq!(runner.faults.len(), 2, "{:?}", runner.faults);
        runner.compare(&[]);
        // Alice, Bob and Carol each have two keys; all of them have shown more than "off".
        assert_eq!(runner.faults.len(), 2 + 6);
        assert!(matches!(runner.ending(), Ending::Bad(faults) if faults.len() == 8));
        assert!(matches!(runner.close(Ending::Good), Ending::Good));
    }

    #[test]
    fn an_interrupted_test_of_the_installation_fails() {
        let (mut runner, signals) = open();
        signals.send(Request::Stop).unwrap();
        let ending = runner.play_once();
        assert!(
            matches!(&ending, Ending::Bad(faults) if faults.len() == 1),
            "{ending:?}"
        );
        assert!(matches!(runner.close(ending), Ending::Bad(_)));
    }

    #[test]
    fn the_demo_may_be_interrupted_at_any_time() {
        let (mut runner, signals) = open();
        signals.send(Request::Stop).unwrap();
        let ending = runner.play_on();
        assert!(matches!(runner.close(ending), Ending::Good));
    }
}
