//! `lamplighter trace`: the SIP messages of one person or phone, as they come and go: as a ladder in the
//! terminal, as a capture for tshark and Wireshark, as HEP for Homer.
//!
//! The running server copies the messages and masks passwords; this command asks it several times a second,
//! and writes what it gets. The trace ends with the command, or ten seconds after it was killed.

mod capture;
mod feed;
mod hep;
mod ladder;
mod sink;
mod summary;

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::trace::capture::Capture;
use crate::cli::trace::feed::Feed;
use crate::cli::trace::hep::Hep;
use crate::cli::trace::ladder::Ladder;
use crate::cli::trace::sink::{JsonLines, Sink};
use crate::cli::{ServerArguments, output, question};
use crate::http::facts::counted;
use crate::trace::Event;

/// How often the server is asked what is new.
const POLL: Duration = Duration::from_millis(100);
/// Columns of a ladder that goes to a file or a pipe.
const COLUMNS_DEFAULT: usize = 120;
/// The fewest columns of a ladder.
const COLUMNS_MIN: usize = 60;
/// The capture file that stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// `lamplighter trace`
#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// A person, 123@example.com: its subscriptions, those of others to it, and what is published for it.
    /// Or a phone, 10.0.0.9, 10.0.0.9:5060 or [2001:db8::9]:5060.
    #[arg(value_name = "AOR|ADDRESS")]
    of: String,
    /// Also write the messages to a capture file, which tshark and Wireshark open; "-" is standard output,
    /// without a ladder.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Also send the messages to Homer, as HEP3 over UDP.
    #[arg(long, value_name = "HOST:PORT")]
    hep: Option<String>,
    /// The number of this capture agent in Homer.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "hep")]
    hep_id: u32,
    /// Show the messages whole.
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// End after that many messages.
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// End after that time: 30s, 10m.
    #[arg(long = "for", id = "duration", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// The width of the ladder [default: that of the terminal]
    #[arg(long, value_name = "NUMBER")]
    columns: Option<usize>,
    #[command(flatten)]
    server: ServerArguments,
}

/// How a trace ended, if not by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    messages: u64,
    not_kept: u64,
}

/// Traces until it is to end. Fails if the server refuses the trace or goes away.
pub(super) fn run(arguments: &TraceArguments) -> ExitCode {
    match trace(arguments) {
        Ok(Ended { messages, not_kept }) => {
            let lost = match not_kept {
                0 => String::new(),
                count => format!(", {count} more were not kept"),
            };
            let messages = counted(messages, "message");
            output::remark(format_args!("the trace is over: {messages}{lost}"));
            ExitCode::SUCCESS
        }
        Err(complaint) => output::fail(complaint),
    }
}

fn trace(arguments: &TraceArguments) -> Result<Ended, String> {
    let is_to_end = signals().map_err(|error| format!("cannot catch signals: {error}"))?;
    let socket = question::socket(&arguments.server).map_err(|faults| faults.to_string())?;
    // First, so that a trace that is refused replaces no capture.
    let (feed, remark) = Feed::begin(socket, &arguments.of)?;
    let sinks = arguments.sinks();
    let mut sinks = sinks.inspect_err(|_| feed.end())?;
    output::remark(format_args!("tracing {}; Ctrl-C ends it", arguments.of));
    if let Some(remark) = remark {
        output::remark(remark);
    }
    let ended = follow(&feed, &mut sinks, (arguments, &is_to_end));
    feed.end();
    for sink in &sinks {
        if let Some(remark) = sink.remark() {
            output::remark(remark);
        }
    }
    ended
}

/// Set by Ctrl-C or SIGTERM; the second one ends the process at once.
fn signals() -> io::Result<Arc<AtomicBool>> {
    let is_to_end = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&is_to_end))?;
        flag::register(signal, Arc::clone(&is_to_end))?;
    }
    Ok(is_to_end)
}

/// Hands all entries to the sinks until the trace is to end.
fn follow(
    feed: &Feed,
    sinks: &mut [Box<dyn Sink>],
    (arguments, is_to_end): (&TraceArguments, &AtomicBool),
) -> Result<Ended, String> {
    let began = Instant::now();
    let mut ended = Ended {
        messages: 0,
        not_kept: 0,
    };
    loop {
        let is_last = is_to_end.load(Ordering::Relaxed)
            || arguments
                .duration
                .is_some_and(|limit| began.elapsed() >= limit);
        let batch = feed.next()?;
        for entry in &batch.entries {
            let is_message = matches!(entry.event, Event::Message { .. });
            for sink in &mut *sinks {
                if !taken(sink.take(entry))? {
                    return Ok(ended);
                }
            }
            ended.messages += u64::from(is_message);
            if arguments.count.is_some_and(|count| ended.messages >= count) {
                finish_batch(sinks)?;
                return Ok(ended);
            }
        }
        // The missing messages are later than all that were kept.
        if batch.not_kept > ended.not_kept && (is_last || !batch.has_more) {
            let missed = batch.not_kept - ended.not_kept;
            ended.not_kept = batch.not_kept;
            for sink in &mut *sinks {
                if !taken(sink.miss(missed))? {
                    return Ok(ended);
                }
            }
        }
        if !finish_batch(sinks)? || is_last {
            return Ok(ended);
        }
        if !batch.has_more {
            std::thread::sleep(POLL);
        }
    }
}

/// Flushes all sinks. Whether all of them take more.
fn finish_batch(sinks: &mut [Box<dyn Sink>]) -> Result<bool, String> {
    let mut is_taken = true;
    for sink in sinks {
        is_taken &= taken(sink.flush())?;
    }
    Ok(is_taken)
}

/// Whether more can be written: a reader behind a pipe may stop before the end, which is no fault.
fn taken(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write: {error}")),
    }
}

/// An address in a header of IPv6, whose other one is of IPv6.
fn octets_in_ipv6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl TraceArguments {
    fn sinks(&self) -> Result<Vec<Box<dyn Sink>>, String> {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        if let Some(place) = &self.hep {
            let mut addresses = place.to_socket_addrs();
            let address = addresses.as_mut().ok().and_then(Iterator::next);
            let unknown = || format!("{place} is not known: write it like homer.example.com:9060");
            let hep = Hep::to(address.ok_or_else(unknown)?, self.hep_id);
            sinks.push(Box::new(hep.map_err(|error| format!("{place}: {error}"))?));
        }
        let is_on_output = |file: &PathBuf| file.as_os_str() == STANDARD_OUTPUT;
        let takes_output = self.pcap.as_ref().is_some_and(is_on_output);
        if let Some(file) = &self.pcap {
            let capture = match takes_output {
                true => Capture::new(Box::new(io::stdout())),
                false => Capture::create(file),
            };
            let capture = capture.map_err(|error| format!("{}: {error}", file.display()))?;
            sinks.push(Box::new(capture));
        }
        if !takes_output {
            sinks.push(match self.server.json {
                true => Box::new(JsonLines::default()),
                false => Box::new(Ladder::new(self.columns(), self.full)),
            });
        }
        Ok(sinks)
    }

    fn columns(&self) -> usize {
        let of_terminal = || output::columns().map(usize::from);
        let columns = self.columns.or_else(of_terminal);
        let columns = columns.unwrap_or(COLUMNS_DEFAULT);
        columns.max(COLUMNS_MIN)
    }
}
