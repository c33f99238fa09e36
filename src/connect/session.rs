//! One connection to a PBX: reads it, writes requests, tells what changed. It ends with a fault.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::connect::board::Board;
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::status::Status;
use crate::connect::teller::{Teller, USERS_AT_ONCE};
use crate::connect::users::SelectedUsers;
use crate::connect::worker::Stream;

/// Octets that are read at once.
const READ_OCTETS: usize = 64 * 1024;
/// A silent PBX is asked for a sign of life after this time.
const QUIET: Duration = Duration::from_secs(10);
/// A PBX that is silent for this time is lost.
const SILENT: Duration = Duration::from_secs(25);
/// How long requests may wait to be taken.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the first reading may take.
const READING_PATIENCE: Duration = Duration::from_secs(120);
/// The time between two readings of everything, which heal what events may have missed.
const READING_INTERVAL: Duration = Duration::from_secs(600);
/// The time between two looks at what is to be told again.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// The pause after a batch that a shard did not take.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection.
pub(super) struct Session<'w> {
    pub(super) name: &'w str,
    pub(super) board: RefCell<Board>,
    pub(super) teller: &'w Teller,
    pub(super) users: &'w SelectedUsers,
    pub(super) status: &'w Status,
    /// Something is to be told.
    pub(super) changed: Notify,
    /// Everything was read once.
    pub(super) is_read: Cell<bool>,
}

impl Session<'_> {
    /// Runs until the connection is lost.
    pub(super) async fn run(
        &self,
        protocol: Box<dyn Protocol>,
        mut stream: Box<dyn Stream>,
    ) -> Fault {
        let reading = pin!(self.read(protocol, &mut *stream));
        let telling = pin!(self.tell());
        match select(reading, telling).await {
            Either::Left((fault, _)) => fault,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn read(&self, mut protocol: Box<dyn Protocol>, stream: &mut dyn Stream) -> Fault {
        let mut octets = Vec::new();
        let begun = Instant::now();
        let (mut heard, mut looked) = (begun, begun);
        let (mut read, mut overflows) = (begun, 0);
        loop {
            let mut requests = Vec::new();
            octets.reserve(READ_OCTETS);
            match timeout(QUIET, stream.read_buf(&mut octets)).await {
                Ok(Ok(0)) => return Fault::Closed,
                Ok(Ok(_)) => heard = Instant::now(),
                Ok(Err(error)) => return Fault::Unreachable(error.to_string()),
                Err(_) if heard.elapsed() >= SILENT => return Fault::Silent,
                Err(_) => protocol.ask_for_life(&mut requests),
            }
            let taken = protocol.receive(&octets, &mut self.board.borrow_mut(), &mut requests);
            match taken {
                Ok(taken) => drop(octets.drain(..taken)),
                Err(fault) => return fault,
            }
            // A list of all channels is long, and rare.
            octets.shrink_to(4 * READ_OCTETS);
            self.status.heard(1);
            if !self.is_read.get() {
                if protocol.has_read_all() {
                    self.begin(&mut protocol);
                } else if begun.elapsed() >= READING_PATIENCE {
                    return Fault::Silent;
                }
            } else if read.elapsed() >= READING_INTERVAL {
                read = Instant::now();
                protocol.read_all(&mut self.board.borrow_mut(), &mut requests);
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
                self.look(&mut overflows);
            }
            if let Err(fault) = write(stream, &requests).await {
                return fault;
            }
            if self.is_read.get() && self.board.borrow().has_changed() {
                self.changed.notify_one();
            }
        }
    }

    /// Looks at what is to be told again, and whether everything found room.
    fn look(&self, overflows: &mut u64) {
        let mut board = self.board.borrow_mut();
        self.teller.mark_due(&mut board, None);
        let lost = board.overflows();
        if lost > std::mem::replace(overflows, lost) {
            tracing::warn!(
                connector = self.name,
                lost,
                "the PBX tells more than is kept"
            );
        }
    }

    /// Everything was read.
    fn begin(&self, protocol: &mut Box<dyn Protocol>) {
        self.is_read.set(true);
        let named = self.users.named();
        self.teller
            .mark_due(&mut self.board.borrow_mut(), Some(named));
        for complaint in protocol.take_complaints() {
            tracing::warn!(
                connector = self.name,
                complaint,
                "the PBX does not tell everything"
            );
        }
        if self.status.works() {
            tracing::info!(connector = self.name, "the PBX is connected");
        }
    }

    /// Tells what changed. Never ends.
    async fn tell(&self) -> std::convert::Infallible {
        loop {
            self.changed.notified().await;
            loop {
                let users = self.board.borrow_mut().take_changed(USERS_AT_ONCE);
                if users.is_empty() {
                    break;
                }
                let untold = self.teller.tell(users, &self.board, self.status).await;
                if !untold.is_empty() {
                    sleep(PAUSE).await;
                    let mut board = self.board.borrow_mut();
                    untold.iter().for_each(|user| board.mark(user));
                }
            }
        }
    }
}

async fn write(stream: &mut dyn Stream, requests: &[u8]) -> Result<(), Fault> {
    if requests.is_empty() {
        return Ok(());
    }
    let written = async {
        stream.write_all(requests).await?;
        stream.flush().await
    };
    match timeout(WRITE_PATIENCE, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fault::Unreachable(error.to_string())),
        Err(_) => Err(Fault::Stuck),
    }
}
