//! The connection of a target that keeps one: messages go out on it, and the target says which of them it has.
//!
//! Guarantee: with a connection end all messages that were under way on it: the queue has them, or newer ones.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::background::Backoff;
use crate::relay::target::Fault;
use crate::sip::random::Random;

/// Messages under way at once.
pub(super) const LANES: usize = 32;
/// How long each step of a connection may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time we ask whether the target is there; if it was silent since we asked last, the connection ends.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(15);
/// The waits before the next attempt to connect.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(30),
};

/// See the head of this file. `M` is what is sent.
pub(super) struct Link<M> {
    state: watch::Sender<State<M>>,
    random: RefCell<Random>,
}

#[derive(Clone)]
enum State<M> {
    /// Of the first attempt, which is waited for.
    Connecting,
    Up(mpsc::Sender<Message<M>>),
    Down(String),
}

/// A message on its way.
pub(super) struct Message<M> {
    pub(super) content: M,
    /// Takes what became of it.
    pub(super) told: oneshot::Sender<Result<(), Fault>>,
}

impl<M: Clone> Link<M> {
    /// It connects first when it is kept.
    pub(super) fn new(random: Random) -> Self {
        Self {
            state: watch::Sender::new(State::Connecting),
            random: RefCell::new(random),
        }
    }

    /// Sends a message, and waits until the target has it.
    pub(super) async fn send(&self, content: M) -> Result<(), Fault> {
        let mut state = self.state.subscribe();
        let state = state.wait_for(|state| !matches!(state, State::Connecting));
        let state = state.await.map(|state| state.clone());
        let sender = match state {
            Ok(State::Up(sender)) => sender,
            Ok(State::Down(why)) => return Err(Fault::wait(why)),
            _ => return Err(Fault::wait("not connected")),
        };
        let (told, answer) = oneshot::channel();
        let lost = || Fault::wait("the connection was lost");
        let message = Message { content, told };
        sender.send(message).await.map_err(|_| lost())?;
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Has `connection` connect, and connect again. Never ends.
    pub(super) async fn keep(&self, connection: impl AsyncFn() -> io::Result<()>) {
        let mut failures = 0;
        loop {
            let ended = connection().await;
            let before = self.state.send_replace(State::Down(match ended {
                Ok(()) => "the connection has ended".to_owned(),
                Err(error) => error.to_string(),
            }));
            failures = match before {
                State::Up(_) => 1,
                _ => failures + 1,
            };
            let pause = BACKOFF.delay(failures, &mut self.random.borrow_mut());
            sleep(pause).await;
        }
    }

    /// The connection is up. Returns the messages that it is to take, until it is dropped. A target that was away may
    /// have lost what it was told: `is_back` says so.
    pub(super) fn up(&self, is_back: &Notify) -> mpsc::Receiver<Message<M>> {
        let (sender, messages) = mpsc::channel(LANES);
        let before = self.state.send_replace(State::Up(sender));
        if !matches!(before, State::Connecting) {
            is_back.notify_one();
        }
        messages
    }
}

/// Connects to a host.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = in_time(TcpStream::connect((host, port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Writes octets. A target that takes none for a while has failed.
pub(super) async fn write<S>(stream: &mut S, octets: &[u8]) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    in_time(stream.write_all(octets)).await?;
    in_time(stream.flush()).await
}

/// One step of a connection.
pub(super) async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| Err(io::Error::other("no response in time"));
    timeout(STEP_TIMEOUT, step).await.unwrap_or_else(late)
}
