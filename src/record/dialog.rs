//! A dialog with its subscriptions, as the notifier keeps them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::Aor;
use crate::presence::call::SpecificDialog;
use crate::presence::document::Format;
use crate::presence::event::Package;
use crate::presence::event::list::Member;
use crate::presence::wall_clock::{self, WallClock};
use crate::record::{RecordError, decode, encode};
use crate::sip::dialog::Dialog;
use crate::sip::{Transport, octets};

/// A dialog with its subscriptions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DialogRecord<'a> {
    /// The place that our To-tag names.
    pub place: u32,
    /// Identifiers, route set, remote target, and both CSeqs.
    pub dialog: Cow<'a, Dialog>,
    /// The last CSeq that NOTIFYs may have taken since the record was written.
    pub sequence_limit: u32,
    /// How its last SUBSCRIBE came.
    pub flow: FlowRecord,
    /// Where its NOTIFYs go.
    pub destination: SocketAddr,
    /// Whether it was known that the phone receives there.
    pub is_path_proven: bool,
    /// The name of the profile of its phone.
    pub profile: Cow<'a, str>,
    /// The URI of the watcher, if it is not the one in From (RFC 3325).
    pub sender: Option<Cow<'a, [u8]>>,
    /// Its subscriptions, at least one.
    #[serde(borrow)]
    pub subscriptions: Vec<SubscriptionRecord<'a>>,
}

/// A flow (RFC 5626 §3). A stream does not outlive the process; its addresses tell what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// The transport protocol.
    pub transport: Transport,
    /// Our address. After a restart it finds the listener, whose number may be another then.
    pub local: SocketAddr,
    /// The address and port of the peer.
    pub peer: SocketAddr,
}

/// A subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionRecord<'a> {
    /// The address of record of the presentity or list.
    pub aor: Aor,
    /// The package.
    pub package: Package,
    /// The format of its documents.
    pub format: Format,
    /// What it is to.
    pub subject: SubjectRecord<'a>,
    /// The value of the Event header.
    #[serde(with = "octets", borrow)]
    pub event: Cow<'a, [u8]>,
    /// The entity URI of its documents.
    #[serde(with = "octets", borrow)]
    pub entity: Cow<'a, [u8]>,
    /// What its SUBSCRIBE asked for besides.
    pub terms: TermsRecord,
    /// The version of a document that was certainly not sent yet.
    pub version: u32,
    /// The end that the phone was told.
    #[serde(with = "wall_clock::instant")]
    pub expires_at: Instant,
}

/// What a subscription is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectRecord<'a> {
    /// One presentity.
    Presentity,
    /// A list of the configuration, in one NOTIFY (RFC 4662).
    List,
    /// The list that came in the body of its SUBSCRIBE (RFC 5367).
    ListOfBody(Cow<'a, [Member]>),
    /// The watchers of a presentity (RFC 3857).
    Watchers,
    /// A list of the configuration, in one NOTIFY for each resource.
    ListInSeries,
}

/// What a SUBSCRIBE asked for besides state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TermsRecord {
    /// The shortest time between two NOTIFYs of changes (`max-rate`, RFC 6446).
    pub gap: Option<Duration>,
    /// Whether the SUBSCRIBE asked for it; otherwise it is the package's.
    pub asks_gap: bool,
    /// The longest time between two NOTIFYs (`min-rate`).
    pub period: Option<Duration>,
    /// The longest average time between two NOTIFYs (`adaptive-min-rate`).
    pub adaptive_period: Option<Duration>,
    /// The one dialog that is watched (RFC 4235 §3.2).
    pub dialog: Option<Box<SpecificDialog>>,
    /// The phone reads deflated bodies (RFC 9110 §8.4.1.2).
    pub inflates: bool,
}

impl<'o> DialogRecord<'o> {
    /// Appends the record.
    pub fn encode(&self, clock: WallClock, out: &mut Vec<u8>) {
        encode(self, clock, out);
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(octets: &'o [u8], clock: WallClock) -> Result<Self, RecordError> {
        decode(octets, clock)
    }
}
