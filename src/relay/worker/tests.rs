//! A relay with a target that shows what it was told, and shards that know nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use tokio::task::LocalSet;

use super::*;
use crate::directory::connectors::ServerAddress;
use crate::presence::call::CallState;
use crate::relay::state::tests::{plan, state};

/// Two shards without presentities.
struct Silent;

impl Shards for Silent {
    fn count(&self) -> u16 {
        2
    }

    fn ask(&self, _: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>> {
        let reply = match command {
            Command::KnownStates { .. } => Reply::KnownStates(Vec::new(), None),
            _ => Reply::States(Vec::new()),
        };
        ready(Some(reply)).boxed_local()
    }

    fn directory(&self) -> Arc<Directory> {
        Arc::default()
    }

    fn locate(
        &self,
        _: &ServerAddress,
        _: u16,
    ) -> LocalBoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        ready(Ok(Vec::new())).boxed_local()
    }

    fn unix_milliseconds(&self) -> i64 {
        1
    }
}

/// Shows calls alone, for a moment. It does not know the user `stranger`.
#[derive(Clone, Default)]
struct Board(Rc<RefCell<Vec<String>>>);

const MOMENT: Duration = Duration::from_millis(50);

impl Target for Board {
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>> {
        let state = &entry.state;
        let had = entry.shown.has(Traces::CALL);
        let line = format!("{} {:?} {had}", state.aor.user(), state.lamp);
        self.0.borrow_mut().push(line);
        let told = match state.aor.user() {
            "stranger" => Err(Fault::new("not known", Remedy::Unknown)),
            _ => Ok(()),
        };
        ready(told).boxed_local()
    }

    fn lanes(&self) -> usize {
        1
    }

    fn traces(&self, state: &State, _: Traces) -> Traces {
        Traces::CALL.when(state.lamp == CallState::Confirmed)
    }

    fn wants_rest(&self) -> bool {
        false
    }

    fn again(&self, _: &State, traces: Traces) -> Option<Duration> {
        traces.has(Traces::CALL).then_some(MOMENT)
    }
}

/// Runs a test with a relay, its target, and its files.
fn run<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Relay, Board, PathBuf) -> F) {
    let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    crate::relay::dead_letters::make_directory(&directory).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (board, plan) = (
            Board::default(),
            RelayPlan {
                directory: directory.clone(),
                ..plan()
            },
        );
        let target = Box::new(board.clone());
        let (shards, random) = (Rc::new(Silent), Random::new([1; 32]));
        let relay = Relay::start(plan, target, shards, Arc::default(), random);
        test(relay, board, directory.clone()).await;
    });
    std::fs::remove_dir_all(directory).unwrap();
}

fn idle(user: &str) -> State {
    State {
        lamp: CallState::Terminated,
        ..state(user, "")
    }
}

#[test]
fn a_call_is_told_again_until_it_ends() {
    run("told-again", |relay, board, _| async move {
        relay.worker.offer(idle("2"));
        relay.worker.offer(state("1", ""));
        for _ in 0..2 {
            sleep(2 * MOMENT).await;
            relay.tick();
        }
        sleep(MOMENT / 2).await;
        relay.worker.offer(idle("1"));
        sleep(2 * MOMENT).await;
        relay.tick();
        sleep(MOMENT).await;
        let told = [
            "1 Confirmed false",
            "1 Confirmed true",
            "1 Confirmed true",
            "1 Terminated true",
        ];
        assert_eq!(*board.0.borrow(), told, "2 is at rest, as ever");
        relay.worker.offer(idle("1"));
        sleep(MOMENT).await;
        assert_eq!(board.0.borrow().len(), 4, "1 is at rest by now");
    });
}

#[test]
fn a_newer_state_in_the_queue_is_not_replaced_by_one_that_is_told_again() {
    run("told-newer", |relay, board, _| async move {
        relay.worker.offer(state("1", ""));
        sleep(2 * MOMENT).await;
        relay.worker.offer(idle("1"));
        relay.tick();
        sleep(MOMENT).await;
        assert_eq!(
            *board.0.borrow(),
            ["1 Confirmed false", "1 Terminated true"]
        );
    });
}

#[test]
fn a_person_that_the_target_does_not_know_is_a_dead_letter_and_no_failure() {
    run("told-stranger", |relay, _, directory| async move {
        relay.worker.offer(state("stranger", ""));
        sleep(MOMENT).await;
        relay.tick();
        let report = relay.worker.status.report("crm", "board");
        assert_eq!(
            (report.unknown, report.dead_letters, report.failed),
            (1, 1, 0)
        );
        let letters = std::fs::read_to_string(directory.join("crm.dead.jsonl")).unwrap();
        assert!(
            letters.contains("not known") && letters.contains("stranger"),
            "{letters}"
        );
    });
}
