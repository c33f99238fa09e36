//! A dialog with its subscriptions, as the notifier keeps them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::Aor;
use crate::presence::call::SpecificDialog;
use crate::presence::document::Format;
use crate::presence::event::Package;
use crate::presence::event::list::Member;
use crate::presence::policy::{Handling, Privacy};
use crate::presence::wall_clock::{self, WallClock};
use crate::record::{RecordError, decode, decode_first, encode};
use crate::sip::dialog::Dialog;
use crate::sip::{Transport, octets};

/// A dialog with its subscriptions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DialogRecord<'a> {
    /// Its place, which is part of our To-tag.
    pub place: u32,
    /// Identifiers, route set, remote target, and both CSeqs.
    pub dialog: Cow<'a, Dialog>,
    /// The highest CSeq that NOTIFYs may use before another record is written.
    pub sequence_limit: u32,
    /// The flow over which its last SUBSCRIBE arrived.
    pub flow: FlowRecord,
    /// The address that its NOTIFYs are sent to.
    pub destination: SocketAddr,
    /// Whether the phone has responded to a NOTIFY sent to `destination`.
    pub is_path_proven: bool,
    /// The name of the profile of its phone.
    #[serde(borrow)]
    pub profile: Cow<'a, str>,
    /// When the phone has certainly acknowledged the NOTIFYs that were due at the time of the record;
    /// None if that is not known. If the process ends before, the phone gets a NOTIFY after the restart.
    #[serde(with = "wall_clock::optional_instant")]
    pub up_to_date_by: Option<Instant>,
    /// The URI of the watcher, if it is not the one in From (RFC 3325).
    pub sender: Option<Cow<'a, [u8]>>,
    /// Its subscriptions, at least one.
    #[serde(borrow)]
    pub subscriptions: Vec<SubscriptionRecord<'a>>,
    /// The hash of the device that its Contact names, and of which of its flows it used (RFC 5626
    /// §4.1); 0 if it names none.
    pub instance: u32,
    /// The name in the certificate of its peer for which the domain trusted that peer.
    #[serde(borrow)]
    pub voucher: Option<Cow<'a, str>>,
    /// The second since 1970 UTC in which it began; None if that is not known.
    pub began: Option<NonZeroU32>,
}

/// A flow (RFC 5626 §3). A connection ends with the process; only its addresses are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// The transport protocol.
    pub transport: Transport,
    /// Our address. After a restart, the listener is found by it: its number may have changed.
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
    /// The resource that it is for.
    pub subject: SubjectRecord<'a>,
    /// Of a list: the URIs that its phone may show, besides those of [`SubjectRecord::ListOfBody`]. What
    /// of them is not on the list after a restart is reported gone.
    pub listed: Vec<Cow<'a, str>>,
    /// The value of the Event header.
    #[serde(with = "octets", borrow)]
    pub event: Cow<'a, [u8]>,
    /// The entity URI of its documents.
    #[serde(with = "octets", borrow)]
    pub entity: Cow<'a, [u8]>,
    /// The other parameters of its SUBSCRIBE.
    pub terms: TermsRecord,
    /// How it was handled.
    pub handling: Handling,
    /// How much of calls its phone was shown.
    pub privacy: Privacy,
    /// The hash of what else the directory says about its documents.
    pub appearance: u64,
    /// A document version higher than any that was sent.
    pub version: u32,
    /// When it expires, as the phone knows it.
    #[serde(with = "wall_clock::instant")]
    pub expires_at: Instant,
}

/// The resource of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectRecord<'a> {
    /// One presentity.
    Presentity,
    /// A configured list, all of it in one NOTIFY (RFC 4662).
    List,
    /// A list in the body of the SUBSCRIBE (RFC 5367).
    ListOfBody(Cow<'a, [Member]>),
    /// The watchers of a presentity (RFC 3857).
    Watchers,
    /// A configured list, with one NOTIFY for each resource.
    ListInSeries,
}

/// Parameters of a SUBSCRIBE: event rates, a filter, and the encoding of bodies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TermsRecord {
    /// The shortest time between two NOTIFYs of changes (`max-rate`, RFC 6446).
    pub gap: Option<Duration>,
    /// Whether `gap` was requested in the SUBSCRIBE; otherwise it is the default of the package.
    pub asks_gap: bool,
    /// The longest time between two NOTIFYs (`min-rate`).
    pub period: Option<Duration>,
    /// The longest average time between two NOTIFYs (`adaptive-min-rate`).
    pub adaptive_period: Option<Duration>,
    /// The one dialog that is watched (RFC 4235 §3.2).
    pub dialog: Option<Box<SpecificDialog>>,
    /// Whether the phone accepts deflated bodies (RFC 9110 §8.4.1.2).
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

/// The place that a record is of. Its other fields are not read.
///
/// # Errors
/// See [`RecordError`].
pub fn place_of(octets: &[u8]) -> Result<u32, RecordError> {
    decode_first(octets)
}
