//! The rate that this tool reaches on one core: a fan-out with all checks against a minimal
//! notifier.
//!
//! Wall-clock rates depend on other load on the machine; the CPU time that this thread needs per
//! acknowledged NOTIFY does not, and its inverse is the rate of one core.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use crate::net::sockets;
use crate::reference::{Done, Reference};
use crate::report::summary::Summary;
use crate::report::units;
use crate::run;
use crate::run::{Outcome, Setting};
use crate::scenario::{Arrival, Scenario};
use crate::swarm::{Stage, Target};

/// NOTIFYs per second offered: more than any server can send, so that there is always another to
/// send.
const ENDLESS: f64 = 2e6;
/// Padding that makes a NOTIFY as long as those of real servers: about 700 octets.
const PADDING: usize = 60;

/// Arguments of `selfcheck`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct SelfcheckArguments {
    /// UDP ports of the phones.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    ports: u32,
    /// Watchers of the one user whose state changes.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    watchers: u32,
    /// Seconds of load.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// UDP GSO and GRO at both ends; for few ports.
    #[arg(long)]
    offload: bool,
    /// CPU of this tool.
    #[arg(long)]
    cpu: Option<usize>,
    /// CPU of the notifier.
    #[arg(long)]
    notifier_cpu: Option<usize>,
}

/// Measures and prints the result. Returns whether all checks passed.
pub(crate) fn selfcheck(arguments: &SelfcheckArguments) -> io::Result<bool> {
    let (outcome, notifier) = measure(arguments)?;
    let summary = Summary::new(&outcome);
    let (cpu, acknowledged, seconds) =
        outcome
            .stage(Stage::Load)
            .map_or((Duration::ZERO, 0, 0.0), |(index, load)| {
                let cpu = outcome.own_cpu(index);
                (cpu, load.acknowledged, load.duration.as_secs_f64())
            });
    let own = cpu.as_secs_f64() * 1e6 / acknowledged.max(1) as f64;
    let theirs = notifier.cpu.as_secs_f64() * 1e6 / notifier.sent.max(1) as f64;
    println!(
        "{} ports, {} watchers, {} acknowledged NOTIFYs, {}",
        arguments.ports,
        arguments.watchers,
        units::number(acknowledged as f64),
        if summary.clean {
            "all checked and clean"
        } else {
            "NOT CLEAN"
        },
    );
    println!(
        "wall clock             {:>10} NOTIFY/s",
        units::number((acknowledged as f64 / seconds.max(1e-9)).round())
    );
    println!(
        "this tool, one core    {:>10} NOTIFY/s   {} CPU each (receive, check, respond)",
        units::number((1e6 / own).round()),
        units::time(own)
    );
    println!(
        "notifier, one core     {:>10} NOTIFY/s   {} CPU each (send, take the 200)",
        units::number((1e6 / theirs).round()),
        units::time(theirs)
    );
    if let Some(last) = summary.latencies.get("publish_to_last_lamp") {
        println!(
            "changes that reached all their lamps: {}",
            units::number(last.count as f64)
        );
    }
    for reason in &summary.reasons {
        println!("  {reason}");
    }
    for example in &summary.examples {
        println!("  {example}");
    }
    Ok(summary.clean)
}

fn measure(arguments: &SelfcheckArguments) -> io::Result<(Outcome, Done)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = socket.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (cpu, offload) = (arguments.notifier_cpu, arguments.offload);
    let notifier = thread::spawn(move || {
        if let Some(cpu) = cpu {
            sockets::pin(cpu)?;
        }
        Reference::new(socket, PADDING, offload)?.serve(&stopped)
    });
    let scenario = Scenario {
        about: "This tool against the fastest notifier there is.".to_owned(),
        phones: arguments.watchers,
        keys: 1,
        presentities: 1,
        sockets: arguments.ports,
        offload: arguments.offload,
        subscribe_rate: 10_000.0,
        change_rate: ENDLESS / f64::from(arguments.watchers),
        arrival: Arrival::Even,
        duration: Duration::from_secs(arguments.seconds.into()),
        patience: Duration::from_secs(5),
        ..Scenario::default()
    };
    let setting = Setting {
        name: "selfcheck".to_owned(),
        target: Target {
            server,
            domain: "abc.com".to_owned(),
            user_prefix: "1".to_owned(),
            username: None,
            password: None,
            http: None,
        },
        security: None,
        sources: vec![Ipv4Addr::LOCALHOST.into()],
        server_pids: Vec::new(),
        cpu: arguments.cpu,
        quiet: true,
    };
    let outcome = run::run(setting, scenario);
    stop.store(true, Ordering::Relaxed);
    let done = match notifier.join() {
        Ok(done) => done?,
        Err(_) => return Err(io::Error::other("the notifier's thread panicked")),
    };
    Ok((outcome?, done))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_tool_and_the_reference_agree() {
        for (ports, offload) in [(7, false), (1, true)] {
            let arguments = SelfcheckArguments {
                ports,
                watchers: 50,
                seconds: 1,
                offload,
                cpu: None,
                notifier_cpu: None,
            };
            let (outcome, done) = measure(&arguments).unwrap();
            let summary = Summary::new(&outcome);
            assert!(
                summary.clean,
                "{:?} {:?}",
                summary.reasons, summary.examples
            );
            assert!(done.sent > 1000 && done.sent <= outcome.swarm.tally().notifies);
            assert!(summary.latencies["publish_to_last_lamp"].count > 10);
        }
    }
}
