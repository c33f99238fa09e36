//! The language of a `dialogue.txt`: plain text, read line by line.
//!
//! ```text
//! W: A1.10, A2.5                      the rules it proves; mandatory
//! About: One sentence.                mandatory
//! Config:                             tenants and profiles as in an operator's file; comes first
//!     [[domain]]                      four spaces, then a line of it
//!     name = "abc.com"
//! Domain: abc.com open=true auth=none a tenant in short; more keys in `scene::add_domain`
//! Account: 123@abc.com secret         with its password
//! Phone: 9 at 10.0.0.7:5060 udp       another phone, see `shorthand::phone`
//! Options: subscriptions_max=2        limits that differ from the suite's defaults
//! Shards: 2                           default 1; a peer lands on shard 0 unless the step says otherwise
//!
//! # a comment
//! > 10.0.0.7:5060 udp                 the peer sends (to 10.0.0.1:5060, [2001:db8::1]:5060 or [fe80::1%4]:5060); `shard=1`, `lf`, `raw` or `deflate` may follow
//!     OPTIONS sip:abc.com SIP/2.0     four spaces, then a line of the message
//! < 10.0.0.7:5060 udp                 the server must send exactly this
//!     SIP/2.0 200 OK
//! < 10.0.0.7:5060 tcp partly          the server must send a message with these lines; for messages too long to be read
//!     SIP/2.0 200 OK                  one of its lines, anywhere
//!     ~<name>Alice</name>             text that must, or with ^ must not, occur in it
//! > 9 watches 123                     a sentence stands for a message, see [`crate::shorthand`]
//! < 200 OK to 9
//! = nothing                           no other message was sent
//! + 500ms                             time passes (ms, s, m, h)
//! = nothing for 500ms                 time passes, and no message was sent
//! ! call_state 123@abc.com number=12 expires=2s     the HTTP hook; no number clears; `reveal` discloses the number
//!                                                  state=ringing|busy|dnd|idle gives the state
//! ! set 123@abc.com dnd on            the operator changes a state, see [`crate::state_update`]
//! ! probe subscribe sip:123@pbx.com    the operator probes the server at 10.0.0.9:5060; `package=presence`, `from=`,
//!                                       `user=`, `password=`, `for=60s` and another location `also=10.0.0.8:5060`
//!                                       may follow
//! ! probe publish sip:123@pbx.com busy  the same with a state: busy, ringing or idle
//! ! probe tells user status: Requesting the next result of the probe; `tells nothing` if there is none
//! ! certified 10.0.0.7:5060 sbc.abc.com    the peer's stream began with a certificate that has these names, URIs or domains
//! ! closed 10.0.0.7:5060              the peer's stream ends
//! ! dial 10.0.0.7:5060 connects       the server opens a stream to that address; or it `fails`; `after 5s` may follow
//! ! lookup phone.abc.com tcp finds 10.0.0.7:5060    the server looks a name up; `finds nothing` if there is none
//! ! config                            the operator reloads a file that now has this content
//!     [[domain]]                      four spaces, then a line of it
//!     name = "abc.com"
//! ! congested on                      the driver is congested, or (off) no longer
//! ! alarm sip:1@abc.com SUBSCRIBE 503 the log warns about a looping phone: user, method, status
//! ! drain                             the operator drains the server
//! ! restart                           the server ends at once and another begins; `shards=2` and `after=5s` may follow
//! ! next config                       the server after the next restart reads a file that has this content
//! ! store stands still                what is recorded is not durable before the `store goes on`
//! ! store commits unheard              what is recorded is durable now, and the server does not hear of it
//! ```
//!
//! Head lines end with CRLF, body lines with LF (a final `\` on the last one: with nothing).
//! `{xHH}` is an octet; `{length}` is that of the body. A deflated body of the server is written
//! inflated, under the Content-Length of the deflated one; `deflate` deflates a body of the peer.
//! `{tag1}` and similar names stand for values chosen by the server, see [`crate::placeholder`].

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use lamplighter::presence::source::StateUpdate;
use lamplighter::shard::CertificateNames;
use lamplighter::shard::contract::connector::ConnectorOrder;
use lamplighter::shard::contract::probe::ProbeOrder;
use lamplighter::sip::Transport;

use crate::shorthand::Sentence;

/// One case.
pub(crate) struct Dialogue {
    /// The rules it proves.
    pub(crate) rules: Vec<Rule>,
    /// One sentence.
    pub(crate) about: String,
    /// The header lines that set the scene: `Config`, `Domain`, `Account`, `Phone`, `Options`,
    /// `Shards`, as key and value.
    pub(crate) scene: Vec<(String, String)>,
    /// The steps.
    pub(crate) steps: Vec<Step>,
}

/// `A1.10`, in numerical order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    pub(crate) section: char,
    pub(crate) numbers: Vec<u32>,
}

/// One step, and its line (counted from 1).
pub(crate) struct Step {
    /// The line.
    pub(crate) line: usize,
    /// The step.
    pub(crate) action: Action,
}

/// The action of a step.
pub(crate) enum Action {
    /// The peer sends.
    Receive {
        /// The source.
        peer: Peer,
        /// The shard that receives it.
        shard: usize,
        /// How lines become octets.
        ending: Ending,
        /// The body is deflated.
        deflate: bool,
        /// The message, unexpanded.
        message: Block,
    },
    /// The server must have sent.
    Expect {
        /// The destination.
        peer: Peer,
        /// The message has more lines than these.
        partly: bool,
        /// The message, unexpanded.
        message: Block,
    },
    /// A message in shorthand, which is expanded to one of the two above.
    Short(Sentence),
    /// The server must have sent nothing.
    Nothing,
    /// Time passes.
    Advance(Duration),
    /// The HTTP hook.
    CallState {
        /// The presentity.
        aor: String,
        /// The other party; None clears.
        number: Option<String>,
        /// `state=`
        state: Option<String>,
        /// The duration.
        expires: Duration,
        /// Whether the domain reveals the number.
        reveal: bool,
    },
    /// The operator changes the state of an address.
    Set {
        /// The address.
        aor: String,
        /// The change.
        update: StateUpdate,
    },
    /// The operator starts a probe.
    Probe(Box<ProbeOrder>),
    /// The next result that the probe must have reported; None if it must not have reported any
    /// more.
    ProbeReports(Option<String>),
    /// A connector has this status.
    ConnectorIs(String, String),
    /// A user has this status at a connector.
    ConnectorUserIs {
        name: String,
        user: String,
        status: String,
    },
    /// The operator starts, stops or restarts a connector.
    OrderConnector(String, ConnectorOrder),
    /// The operator reloads the configuration, whose new text this is.
    Reload(String),
    /// A stream begins with a verified certificate, which has these names.
    Certified(SocketAddr, CertificateNames),
    /// A stream ends.
    Closed(SocketAddr),
    /// The server must open a stream to that address; whether it can, and when that is known.
    Dial {
        address: SocketAddr,
        connects: bool,
        after: Duration,
    },
    /// The server must look that name up: `phone.abc.com tcp`; what is found.
    Lookup(String, Vec<SocketAddr>),
    /// The operator drains the server.
    Drain,
    /// The configuration of the server after the next restart.
    NextConfig(String),
    /// The server ends at once, and another begins.
    Restart {
        /// How many shards the other has; None for as many.
        shards: Option<u16>,
        /// How long there is none.
        pause: Duration,
    },
    /// What is recorded becomes durable, and the server does not hear of it.
    CommitUnheard,
    /// The store stands still, or goes on.
    StandStill(bool),
    /// The driver becomes congested, or is no longer congested.
    Congested(bool),
    /// The log must have warned about a loop.
    Alarm(String),
}

/// A peer's address and transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Its transport.
    pub(crate) transport: Transport,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.address, self.transport.name())
    }
}

/// How the lines of a message become octets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// CRLF in the head, LF in the body.
    CrLf,
    /// LF everywhere.
    Lf,
    /// The lines concatenated, without line ends.
    Raw,
}

/// The lines of a message, without their indentation.
#[derive(Clone)]
pub(crate) struct Block {
    /// The lines.
    pub(crate) lines: Vec<String>,
    /// Their lines in the file (from 0), for rewriting.
    pub(crate) range: Range<usize>,
}

impl Dialogue {
    /// Returns whether any step checks anything.
    pub(crate) fn expects_something(&self) -> bool {
        self.steps.iter().any(|step| match &step.action {
            Action::Expect { .. } | Action::Nothing => true,
            Action::Short(sentence) => !sentence.is_received,
            _ => false,
        })
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(ToString::to_string).collect();
        write!(formatter, "{}{}", self.section, numbers.join("."))
    }
}
