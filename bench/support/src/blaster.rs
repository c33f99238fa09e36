//! The floor: a "server" that does nothing but the system calls. On request, it sends octets it was
//! given once to all their destinations; what comes back it counts. What it costs is what the
//! kernel asks of any server for the same datagrams.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use crate::system::{Incoming, Outgoing};
use crate::{Error, SERVER_CPU, system};

/// Receive buffer of its socket: room for the responses to everything that it sends at once.
const BUFFER_OCTETS: usize = 16 * 1024 * 1024;
/// How often it checks whether it must end.
const LOOK: Duration = Duration::from_millis(100);

/// How it sends.
#[derive(Clone, Debug)]
pub enum Blast {
    /// Datagram by datagram, 64 a call.
    Each(Vec<(SocketAddrV4, Vec<u8>)>),
    /// To one destination, so many a call as segments of one (UDP GSO); shorter ones are padded.
    Segments(SocketAddrV4, Vec<Vec<u8>>, usize),
    /// Unasked: every request is answered with both of these, a response with nothing.
    Echo(Vec<u8>, Vec<u8>),
    /// Everything received is read and discarded.
    Swallow,
}

/// A thread on the server's CPU.
#[derive(Debug)]
pub struct Blaster {
    /// Where to send the word, and where datagrams come from.
    pub address: SocketAddr,
    thread_id: u32,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Blaster {
    /// Starts it.
    pub fn start(blast: Blast) -> Result<Self, Error> {
        let socket = system::socket(BUFFER_OCTETS)?;
        let address = socket.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("blaster".to_owned())
            .spawn(move || {
                system::pin(SERVER_CPU);
                // The channel is closed only if the starter has gone.
                let _ = sender.send(system::thread_id());
                serve(&socket, &blast, &over)
            })?;
        Ok(Self {
            address,
            thread_id: receiver.recv()?,
            is_over,
            thread: Some(thread),
        })
    }

    /// CPU time it has used; exact while it has nothing to do.
    pub fn cpu(&self) -> Result<Duration, Error> {
        Ok(system::task_cpu(std::process::id(), self.thread_id)?)
    }
}

impl Drop for Blaster {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A failure of the blaster shows in missing NOTIFYs.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, blast: &Blast, is_over: &AtomicBool) -> io::Result<()> {
    let mut incoming = Incoming::new();
    let mut outgoing = Outgoing::new();
    let sends = Sends::of(blast);
    if let Some(octets) = sends.segment {
        system::set_segment(socket, octets)?;
    }
    while !is_over.load(Ordering::Relaxed) {
        if !system::wait_readable(socket, LOOK) {
            continue;
        }
        while incoming.receive(socket, system::BATCH)? > 0 {
            if let Blast::Echo(first, second) = blast {
                echo(socket, &incoming, &mut outgoing, [first, second])?;
                continue;
            }
            let words = incoming
                .datagrams()
                .filter(|(_, octets)| octets.starts_with(b"BLAST"));
            for _ in 0..words.count() {
                let all = sends.datagrams.iter();
                outgoing.send(socket, all.map(|(peer, octets)| (*peer, octets.as_slice())))?;
            }
        }
    }
    Ok(())
}

fn echo(
    socket: &UdpSocket,
    incoming: &Incoming,
    outgoing: &mut Outgoing,
    responses: [&[u8]; 2],
) -> io::Result<()> {
    let requests = incoming
        .datagrams()
        .filter(|(_, octets)| octets.starts_with(b"SUBSCRIBE"));
    let both = requests.filter_map(|(peer, _)| match peer {
        SocketAddr::V4(peer) => Some(responses.map(|octets| (peer, octets))),
        SocketAddr::V6(_) => None,
    });
    outgoing.send(socket, both.flatten()).map(|_| ())
}

/// The datagrams, or batches of segments (`UDP_SEGMENT`), that are handed to the kernel.
struct Sends {
    datagrams: Vec<(SocketAddrV4, Vec<u8>)>,
    segment: Option<usize>,
}

impl Sends {
    fn of(blast: &Blast) -> Self {
        match blast {
            Blast::Each(datagrams) => Self {
                datagrams: datagrams.clone(),
                segment: None,
            },
            Blast::Echo(..) | Blast::Swallow => Self {
                datagrams: Vec::new(),
                segment: None,
            },
            Blast::Segments(peer, datagrams, count) => {
                let octets = datagrams.iter().map(Vec::len).max().unwrap_or(0);
                let padded = |datagram: &Vec<u8>| {
                    let mut padded = datagram.clone();
                    padded.resize(octets, b'\n');
                    padded
                };
                let batch =
                    |segments: &[Vec<u8>]| (*peer, segments.iter().flat_map(padded).collect());
                Self {
                    datagrams: datagrams.chunks(*count).map(batch).collect(),
                    segment: Some(octets),
                }
            }
        }
    }
}
