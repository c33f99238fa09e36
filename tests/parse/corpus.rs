//! The torture messages of RFC 4475 and RFC 5118, with the expected result of parsing them.
//!
//! The files in `tests/torture` are those of the archives in the appendices of both RFCs. Those of RFC
//! 5118 end their lines with LF there, and three of them count their bodies wrong; here they have the
//! CRLF of the wire and its Content-Length. `baddn` and some others lack their empty line there.

use lamplighter::sip::{Fault, HeaderName};

/// The expected result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No fault.
    Sound,
    /// This fault; the rest of the message can be read.
    Faulty(Fault),
    /// Nothing to which a response could be sent.
    Refused,
}

use Outcome::{Faulty, Refused, Sound};

/// One torture message.
pub(crate) struct Torture {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    octets: &'static [u8],
}

impl Torture {
    /// The octets as on the wire.
    pub(crate) fn octets(&self) -> Vec<u8> {
        self.octets.to_vec()
    }
}

macro_rules! torture {
    ($rfc:literal, $name:literal, $outcome:expr) => {
        Torture {
            name: $name,
            outcome: $outcome,
            octets: include_bytes!(concat!("../torture/", $rfc, "/", $name, ".sip")),
        }
    };
}

/// All of them, in the order of the RFCs.
pub(crate) const TORTURES: &[Torture] = &[
    // RFC 4475 §3.1.1: valid messages.
    torture!("rfc4475", "wsinv", Sound),
    torture!("rfc4475", "intmeth", Sound),
    torture!("rfc4475", "esc01", Sound),
    torture!("rfc4475", "escnull", Sound),
    torture!("rfc4475", "esc02", Sound),
    torture!("rfc4475", "lwsdisp", Sound),
    torture!("rfc4475", "longreq", Sound),
    torture!("rfc4475", "dblreq", Sound),
    torture!("rfc4475", "semiuri", Sound),
    torture!("rfc4475", "transports", Sound),
    torture!("rfc4475", "mpart01", Sound),
    torture!("rfc4475", "unreason", Sound),
    torture!("rfc4475", "noreason", Sound),
    // RFC 4475 §3.1.2: invalid messages.
    torture!(
        "rfc4475",
        "badinv01",
        Faulty(Fault::Invalid(HeaderName::Via))
    ),
    torture!("rfc4475", "clerr", Faulty(Fault::ContentLength)),
    torture!(
        "rfc4475",
        "ncl",
        Faulty(Fault::Invalid(HeaderName::ContentLength))
    ),
    torture!(
        "rfc4475",
        "scalar02",
        Faulty(Fault::Invalid(HeaderName::CSeq))
    ),
    torture!(
        "rfc4475",
        "scalarlg",
        Faulty(Fault::Invalid(HeaderName::CSeq))
    ),
    torture!("rfc4475", "quotbal", Faulty(Fault::Invalid(HeaderName::To))),
    torture!("rfc4475", "ltgtruri", Faulty(Fault::RequestUri)),
    torture!("rfc4475", "lwsruri", Faulty(Fault::RequestUri)),
    torture!("rfc4475", "lwsstart", Faulty(Fault::StartLine)),
    torture!("rfc4475", "trws", Faulty(Fault::StartLine)),
    torture!("rfc4475", "escruri", Faulty(Fault::RequestUri)),
    torture!("rfc4475", "baddate", Sound),
    torture!(
        "rfc4475",
        "regbadct",
        Faulty(Fault::Invalid(HeaderName::Contact))
    ),
    torture!(
        "rfc4475",
        "badaspec",
        Faulty(Fault::Invalid(HeaderName::To))
    ),
    // The RFC permits an element to be this lenient, and many phones need it.
    torture!("rfc4475", "baddn", Sound),
    torture!("rfc4475", "badvers", Faulty(Fault::Version)),
    torture!("rfc4475", "mismatch01", Faulty(Fault::MethodMismatch)),
    torture!("rfc4475", "mismatch02", Faulty(Fault::MethodMismatch)),
    torture!("rfc4475", "bigcode", Refused),
    // RFC 4475 §3.2: transactions.
    torture!("rfc4475", "badbranch", Sound),
    // RFC 4475 §3.3: the application.
    torture!("rfc4475", "insuf", Faulty(Fault::Missing(HeaderName::From))),
    torture!("rfc4475", "unkscm", Sound),
    torture!("rfc4475", "novelsc", Sound),
    torture!("rfc4475", "unksm2", Sound),
    torture!("rfc4475", "bext01", Sound),
    torture!("rfc4475", "invut", Sound),
    torture!("rfc4475", "regaut01", Sound),
    torture!(
        "rfc4475",
        "multi01",
        Faulty(Fault::Repeated(HeaderName::MaxForwards))
    ),
    torture!(
        "rfc4475",
        "mcl01",
        Faulty(Fault::Repeated(HeaderName::ContentLength))
    ),
    torture!("rfc4475", "bcast", Sound),
    torture!("rfc4475", "zeromf", Sound),
    torture!("rfc4475", "cparam01", Sound),
    torture!("rfc4475", "cparam02", Sound),
    torture!("rfc4475", "regescrt", Sound),
    torture!("rfc4475", "sdp01", Sound),
    // RFC 4475 §3.4: RFC 2543.
    torture!("rfc4475", "inv2543", Sound),
    // RFC 5118: IPv6.
    torture!("rfc5118", "ipv6-good", Sound),
    torture!("rfc5118", "ipv6-bad", Faulty(Fault::RequestUri)),
    torture!("rfc5118", "port-ambiguous", Sound),
    torture!("rfc5118", "port-unambiguous", Sound),
    torture!("rfc5118", "via-received-param-with-delim", Sound),
    torture!("rfc5118", "via-received-param-no-delim", Sound),
    torture!("rfc5118", "ipv6-in-sdp", Sound),
    torture!("rfc5118", "mult-ip-in-header", Sound),
    torture!("rfc5118", "mult-ip-in-sdp", Sound),
    torture!("rfc5118", "ipv4-mapped-ipv6", Sound),
    torture!(
        "rfc5118",
        "ipv6-bug-abnf-3-colons",
        Faulty(Fault::RequestUri)
    ),
    torture!("rfc5118", "ipv6-correct-abnf-2-colons", Sound),
];
