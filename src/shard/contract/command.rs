//! Operator commands (from HTTP, the command line and signals) and their replies.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::directory::peer_systems::PeerSystemId;
use crate::presence::origin::Origin;
use crate::presence::presentity::Erased;
use crate::presence::source::{CallSource, StateUpdate};
use crate::presence::wall_clock::WallClock;
use crate::presence::{Aor, CallDialog, DataSubject};
use crate::shard::contract::change_readers::ChangeReader;
use crate::shard::contract::connector::{
    ConnectorOrder, ConnectorReport, ConnectorUserReport, UpstreamReport,
};
use crate::shard::contract::counters::Counted;
use crate::shard::contract::lockout::{Lifted, LockoutReport};
use crate::shard::contract::probe::{ProbeId, ProbeOrder, ProbeReport};
use crate::shard::contract::relay::SipRelayReport;
use crate::shard::contract::report::{
    Contribution, ForgottenMentions, LoopReport, ParkedCall, PresentityState, RefusalReport,
    WatcherReport, Why,
};

/// Matches a reply to its command. The driver chooses it; a shard only returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(pub u64);

/// An operator command, or a question of a page. Each gets exactly one [`Reply`]. Send a command about
/// presentities to the shard that owns them ([`crate::shard::ShardId::owner_of`]); send `Watchers`,
/// `KnownStates`, `Subscriptions`, `NotifyAnew`, `TellChanges`, `Loops`, `Refusals`, `Lockouts`,
/// `LiftLockouts`, `Reload`, `Connectors`, `ConnectorUsers`, `OrderConnector`, `Drain`, `Counters`, `ForgetMentions` and `Stated` to every shard.
#[derive(Debug)]
pub enum Command {
    /// Updates the state of a presentity: `call_state.htm` and the operator's commands.
    UpdateState {
        /// The presentity.
        aor: Aor,
        /// The update.
        update: StateUpdate,
        /// The system that it came from, if that is told of presentities as well.
        origin: Option<Origin>,
    },
    /// Updates the states of presentities that this shard owns, in this order. The sender limits how many
    /// one command has.
    UpdateStates {
        /// The updates.
        updates: Vec<(Aor, StateUpdate)>,
        /// As in `UpdateState`.
        origin: Option<Origin>,
    },
    /// Erases all contributions to a presentity: `lamplighter forget`.
    Forget(Aor),
    /// Erases people where the state of others names them, from a place of the tables on, a batch of
    /// places at a time: their subscriptions, their entries among the waiting watchers, their names in calls. If
    /// they are those of a domain, all contributions to them, too.
    ForgetMentions {
        /// The people.
        erased: DataSubject,
        /// The place.
        from: u32,
    },
    /// Explains the composed state of a presentity: `lamplighter why`.
    Why(Aor),
    /// Lists the presentities of this shard that the operator made statements about, from a place of the
    /// table on, a batch of places at a time: `lamplighter export`.
    Stated {
        /// The place.
        from: u32,
    },
    /// Lists the calls in some of the orbits that this shard owns, as they are shown to a watcher, for the
    /// page of parked calls. The sender limits how many orbits one command names.
    Parked {
        /// The watcher, of the domain of the orbits, authenticated.
        watcher: Aor,
        /// The orbits.
        orbits: Vec<Aor>,
    },
    /// Tells the composed state of some of the presentities that this shard owns. The sender limits how
    /// many one command names.
    States {
        /// The presentities.
        aors: Vec<Aor>,
        /// The peer system that is told of them, without its own reports; None for all other readers.
        peer_system: Option<PeerSystemId>,
    },
    /// Tells the composed states of all presentities that this shard owns, from a place of the table on, a
    /// batch of places at a time.
    KnownStates {
        /// The place.
        from: u32,
        /// How many places; at most as many as a batch has otherwise.
        places: u32,
        /// The peer system that is told of them, without its own reports; None for all other readers.
        peer_system: Option<PeerSystemId>,
    },
    /// Lists the subscriptions of this shard to a presentity or a list: `lamplighter watchers`.
    Watchers(Aor),
    /// Lists all subscriptions of this shard, from a place of the table on, a batch of places at a time.
    Subscriptions {
        /// The place.
        from: u32,
    },
    /// Sends every watcher of a presentity on this shard a NOTIFY with the full state, also if the phone
    /// confirmed it before.
    NotifyAnew(Aor),
    /// Puts changes of composed state into [`Outbox::state_changes`](crate::shard::Outbox) from now on, or
    /// stops that, for a reader.
    TellChanges(ChangeReader, bool),
    /// Lists the phones that loop: `lamplighter loops`.
    Loops,
    /// Lists recent refusals: `lamplighter refusals`.
    Refusals,
    /// Lists the lockouts in force: `lamplighter lockouts`.
    Lockouts,
    /// Lifts lockouts: `lamplighter lockouts lift`.
    LiftLockouts(Lifted),
    /// Replaces the directory and re-evaluates all subscriptions.
    Reload(Arc<Directory>),
    /// The system's clock was set: re-evaluates what rules say that are valid for a time (RFC 4745 §7.3).
    SetClock(WallClock),
    /// Refuses new subscriptions from now on and ends a batch of the existing ones with
    /// `deactivated` (RFC 6665 §4.1.3). The reply is the number of subscriptions and outstanding
    /// NOTIFYs that remain; repeat the command until it is 0.
    Drain,
    /// Begins a probe of another server, from this shard: `lamplighter probe`.
    BeginProbe(Box<ProbeOrder>),
    /// Reads what happened in a probe of this shard.
    ReadProbe {
        /// The probe.
        id: ProbeId,
        /// The entries that the operator has already seen.
        seen: usize,
    },
    /// Applies what upstreams say about presentities that this shard owns, in this order. The sender limits how
    /// many one command has.
    ReportUpstreams(Vec<UpstreamReport>),
    /// Lists the connectors, as this shard sees them: `lamplighter connectors`. Their users are counted from a place
    /// of the table on, a batch of places at a time.
    Connectors {
        /// The place.
        from: u32,
    },
    /// Lists the relays by SIP, as this shard sees them: `lamplighter relays`. As for `Connectors`.
    SipRelays {
        /// The place.
        from: u32,
    },
    /// Lists the users that this shard subscribes to for a connector, from a place of the table on, a batch of
    /// places at a time.
    ConnectorUsers {
        /// The name of the connector.
        name: Box<str>,
        /// The place.
        from: u32,
    },
    /// Starts, stops or restarts a connector.
    OrderConnector {
        /// Its name.
        name: Box<str>,
        /// What it is to do.
        order: ConnectorOrder,
    },
    /// Reads the counters.
    Counters,
}

impl Command {
    /// Whether it must wait until all recorded presentities are there.
    #[must_use]
    pub const fn needs_presentities(&self) -> bool {
        let asks_or_orders = matches!(
            self,
            Self::Stated { .. }
                | Self::States { .. }
                | Self::KnownStates { .. }
                | Self::OrderConnector { .. }
        );
        self.is_change() || asks_or_orders
    }

    /// Whether it changes contributions to a presentity.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::UpdateState { .. }
                | Self::UpdateStates { .. }
                | Self::ReportUpstreams(_)
                | Self::Forget(_)
                | Self::ForgetMentions { .. }
        )
    }

    /// The update that `call_state.htm` makes: the presentity's call, valid for `expires`; None for
    /// no call (W:D1).
    #[must_use]
    pub fn call_state(aor: Aor, call: Option<Arc<CallDialog>>, expires: Duration) -> Self {
        let update = StateUpdate::Call {
            source: CallSource::CallState,
            call,
            expires: Some(expires),
        };
        Self::UpdateState {
            aor,
            update,
            origin: None,
        }
    }
}

/// The reply to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done; the NOTIFYs that follow from it are queued.
    Done,
    /// To `UpdateStates`: whether each update was taken, in the order of the command.
    Updated(Vec<bool>),
    /// Not done: a table is full, or records are still to come.
    OverLimit,
    /// To `Forget`: what was erased; None if the presentity is not known.
    Forgotten(Option<Erased>),
    /// To `ForgetMentions`: what was erased, and the place from where to go on; None at the end.
    MentionsForgotten(ForgottenMentions, Option<u32>),
    /// To `Stated`: the statements by presentity, and the place from where to go on; None at the end.
    Stated(Vec<(Aor, Vec<Contribution>)>, Option<u32>),
    /// To `Why`.
    Why(Why),
    /// To `Parked`: the orbits with a call, in the order of the command.
    Parked(Vec<ParkedCall>),
    /// To `States`, in the order of the command.
    States(Vec<PresentityState>),
    /// To `KnownStates`: those in the batch, and the place from where to go on; None at the end.
    KnownStates(Vec<PresentityState>, Option<u32>),
    /// To `Watchers`.
    Watchers(Vec<WatcherReport>),
    /// To `Subscriptions`: those in the batch, and the place from where to go on; None at the end.
    Subscriptions(Vec<WatcherReport>, Option<u32>),
    /// To `NotifyAnew`: how many watchers.
    NotifiedAnew(usize),
    /// To `Loops`.
    Loops(Vec<LoopReport>),
    /// To `Refusals`.
    Refusals(Vec<RefusalReport>),
    /// To `BeginProbe`.
    ProbeBegun(ProbeId),
    /// To `ReadProbe`; None if the probe does not exist, or ended more than a minute ago (any more).
    Probe(Option<ProbeReport>),
    /// To `Connectors`, in the order of the configuration: with the users in the batch, and the place from where to go
    /// on; None at the end.
    Connectors(Vec<ConnectorReport>, Option<u32>),
    /// To `SipRelays`: as to `Connectors`.
    SipRelays(Vec<SipRelayReport>, Option<u32>),
    /// To `ConnectorUsers`: those in the batch, and the place from where to go on; None at the end.
    ConnectorUsers(Vec<ConnectorUserReport>, Option<u32>),
    /// To `Lockouts`.
    Lockouts(Vec<LockoutReport>),
    /// To `LiftLockouts`: how many were in force.
    Lifted(usize),
    /// To `Drain`: subscriptions and outstanding NOTIFYs that remain.
    Outstanding(usize),
    /// To `Counters`: names and values, in a fixed order.
    Counters(Counted),
}
