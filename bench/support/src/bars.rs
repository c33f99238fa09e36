//! The bars: a limit and a target for each figure, and the report of a measurement against them.
//!
//! Each verdict is one line of its own, `BAR|...`, which `bench/run` collects into its table.

/// The good side of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    /// As much as the bar, or more.
    AtLeast,
    /// As little as the bar, or less.
    AtMost,
}

/// One bar.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// The figure that is measured.
    pub what: &'static str,
    /// Which side is good.
    pub good: Good,
    /// The limit that it must keep.
    pub must: f64,
    /// The target.
    pub aim: f64,
}

const fn at_least(what: &'static str, must: f64, aim: f64) -> Bar {
    Bar {
        what,
        good: Good::AtLeast,
        must,
        aim,
    }
}

const fn at_most(what: &'static str, must: f64, aim: f64) -> Bar {
    Bar {
        what,
        good: Good::AtMost,
        must,
        aim,
    }
}

/// `fan_out`: an acknowledged NOTIFY.
pub const FAN_OUT: Bar = at_least("CPU per acknowledged NOTIFY, floor / ours", 0.50, 0.75);
/// `one_sbc`: NOTIFYs to one address.
pub const ONE_SBC_UDP: Bar = at_most(
    "one SBC, UDP with GSO / plain UDP, CPU per NOTIFY",
    0.6,
    0.4,
);
/// `one_sbc`: NOTIFYs on one connection.
pub const ONE_SBC_TCP: Bar = at_most(
    "one SBC by TCP / raw 64-in-one write, CPU per NOTIFY",
    5.0,
    3.0,
);
/// `latency`: the last lamp.
pub const LATENCY: Bar = at_most(
    "publish to last of 1,000 lamps, p99, ours / blaster",
    3.0,
    1.5,
);
/// `history`: lamps beside it.
pub const HISTORY: Bar = at_most(
    "publish to lamp at 10,000/s, p99, with history / without",
    1.1,
    1.0,
);
/// `history`: what it left out.
pub const HISTORY_WRITTEN: Bar = at_least("share of 10,000 changes/s in the history", 0.999, 1.0);
/// `latency`: overload.
pub const OVERLOAD: Bar = at_least("goodput at 200 % load / at 100 %", 0.9, 1.0);
/// `refresh`: the size of the table.
pub const REFRESH: Bar = at_most("CPU per refresh, at 1 M / at 1 k subscriptions", 1.5, 1.2);
/// `parse`: reading.
pub const PARSE: Bar = at_most("parse, ours / httparse", 2.0, 1.3);
/// `memory`: the table.
pub const MEMORY: Bar = at_most("octets of memory per subscription, at 1 M", 700.0, 400.0);
/// `memory`: a hot presentity.
pub const TURN: Bar = at_most(
    "longest turn of a change with 10,000 watchers, engine alone, ms",
    1.0,
    0.5,
);
/// `shards`: two engines side by side.
pub const SHARDS_APART: Bar = at_most("two shards / one, CPU per NOTIFY, no crossing", 1.10, 1.03);
/// `shards`: two engines that send each other mail.
pub const SHARDS_CROSSING: Bar = at_most(
    "two shards / one, CPU per NOTIFY, half crossing",
    1.33,
    1.15,
);
/// `idle`: nothing to do.
pub const IDLE: Bar = at_most("idle with 1 M subscriptions, % of a core", 1.0, 0.2);
/// `kamailio`: throughput.
pub const INCUMBENT_RATE_20: Bar = at_least(
    "NOTIFY/s without loss, ours / Kamailio, fan-out 20",
    6.0,
    10.0,
);
/// `kamailio`: throughput.
pub const INCUMBENT_RATE_1000: Bar = at_least(
    "NOTIFY/s without loss, ours / Kamailio, fan-out 1,000",
    6.0,
    10.0,
);
/// `kamailio`: one lamp at a time.
pub const INCUMBENT_PUBLISH: Bar = at_least(
    "CPU per PUBLISH with one watcher, Kamailio / ours",
    5.0,
    10.0,
);
/// `kamailio`: a new subscription.
pub const INCUMBENT_SUBSCRIBE: Bar = at_least(
    "CPU per SUBSCRIBE with first NOTIFY, Kamailio / ours",
    5.0,
    10.0,
);
/// `store`: from a record to its commit, in milliseconds.
pub const DURABLE_10: Bar = at_most("record to durable, p99 in ms, 10,000 a second", 2.0, 1.0);
/// `store`: the same at a higher rate.
pub const DURABLE_30: Bar = at_most("record to durable, p99 in ms, 30,000 a second", 5.0, 2.0);
/// `backup`: lamps during a backup.
pub const BACKUP: Bar = at_most("lamps late during a backup, %", 1.0, 0.5);
/// `kamailio`: both acknowledge what is on the disk.
pub const INCUMBENT_DURABLE_SUBSCRIBE: Bar = at_least(
    "SUBSCRIBE/s, ours synced / Kamailio with PostgreSQL",
    10.0,
    20.0,
);
/// `kamailio`: both acknowledge what is on the disk.
pub const INCUMBENT_DURABLE_PUBLISH: Bar = at_least(
    "PUBLISH/s, ours synced / Kamailio with PostgreSQL",
    10.0,
    20.0,
);
/// `store`: the price of a record for the shard.
pub const SYNCED_CPU: Bar = at_most(
    "CPU of the shard per SUBSCRIBE, synced - without store, us",
    1.0,
    0.5,
);
/// `store`: subscriptions a second.
pub const SYNCED_RATE: Bar = at_least("SUBSCRIBE/s of one core, synced / without store", 0.9, 1.0);
/// `store`: from the start of the process, in milliseconds.
pub const SERVING: Bar = at_most(
    "SIP served after a start with 1 M subscriptions, ms",
    200.0,
    100.0,
);
/// `store`: a refresh is answered in any dialog.
pub const SERVING_ALL: Bar = at_most(
    "any of 1 M recovered dialogs served / bare SELECT",
    3.0,
    2.0,
);
/// `store`: all subscriptions are back.
pub const RECOVERY: Bar = at_most("all of 1 M subscriptions loaded / bare SELECT", 3.0, 2.0);

/// `secure`: encryption.
pub const TLS_CPU: Bar = at_most(
    "CPU per acknowledged NOTIFY, TLS / TCP, 1,000 connections",
    1.6,
    1.3,
);
/// `secure`: what a connection keeps.
pub const TLS_MEMORY: Bar = at_most("memory of a TLS connection at rest, KiB", 24.0, 12.0);
/// `secure`: lamps beside handshakes, in milliseconds.
pub const TLS_HANDSHAKES: Bar = at_most(
    "publish to lamp during 10,000 TLS handshakes, p99, ms",
    10.0,
    5.0,
);

/// `events`: lamps beside readers of events.
pub const EVENTS: Bar = at_most(
    "publish to lamp, p99, 100 readers of events / none, 10,000 changes a second",
    1.2,
    1.05,
);
/// `events`: no reader misses anything.
pub const EVENTS_READ: Bar = at_least("share of these changes that each reader got", 0.999, 1.0);
/// `events`: a request with a thousand calls.
pub const BULK: Bar = at_most("CPU of a call in a request with 1,000, us", 3.0, 2.0);

impl Bar {
    /// Prints what was measured, and what that means.
    pub fn report(&self, measured: f64) {
        let Self {
            what,
            good,
            must,
            aim,
        } = self;
        let reaches = |bar: f64| match good {
            Good::AtLeast => measured >= bar,
            Good::AtMost => measured <= bar,
        };
        let verdict = match (reaches(*must), reaches(*aim)) {
            (_, true) => "aim met",
            (true, false) => "met",
            (false, false) => "MISSED",
        };
        let sign = match good {
            Good::AtLeast => ">=",
            Good::AtMost => "<=",
        };
        println!("BAR|{what}|{sign} {must}|{sign} {aim}|{measured:.3}|{verdict}");
    }
}
