//! The faults of a message, each with the status and reason phrase of its response.

use crate::sip::{HeaderName, Status};

/// The first fault found in a message. Every fault determines its response (RFC 3261 §21.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request or status line does not follow the grammar.
    StartLine,
    /// SIP-Version is not `SIP/2.0` (RFC 4475 §3.1.2.16): 505.
    Version,
    /// A header field line has no colon, or contains a NUL or a lone CR.
    HeaderLine,
    /// A header that every request must have is missing (RFC 3261 §8.1.1).
    Missing(HeaderName),
    /// A header that must occur only once is repeated (RFC 3261 §7.3.1).
    Repeated(HeaderName),
    /// A header whose value does not follow its grammar.
    Invalid(HeaderName),
    /// The Request-URI does not follow the grammar.
    RequestUri,
    /// The CSeq's method is not the request's (RFC 4475 §3.1.2.17).
    MethodMismatch,
    /// Content-Length is larger than the received body, or missing on a stream (RFC 3261 §18.3,
    /// §20.14).
    ContentLength,
    /// More headers, Vias or Record-Routes than are accepted (W:E2.2, E2.3).
    TooManyHeaders,
    /// A message larger than the transport's limit: 513.
    TooLarge,
    /// A Request-URI larger than its limit: 414.
    UriTooLong,
}

impl Fault {
    /// The status of the response to a request with this fault.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::TooLarge => Status::MESSAGE_TOO_LARGE,
            Self::UriTooLong => Status::REQUEST_URI_TOO_LONG,
            _ => Status::BAD_REQUEST,
        }
    }

    /// A reason phrase that names the header at fault: `Missing Call-ID` (RFC 3261 §8.2, §18.3).
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::StartLine => "Invalid Start Line",
            Self::HeaderLine => "Invalid Header Line",
            Self::Missing(name) => name.missing_phrase(),
            Self::Repeated(name) => name.repeated_phrase(),
            Self::Invalid(name) => name.invalid_phrase(),
            Self::RequestUri => "Invalid Request-URI",
            Self::MethodMismatch => "CSeq Method Mismatch",
            Self::ContentLength => "Content-Length Mismatch",
            Self::TooManyHeaders => "Too Many Headers",
            Self::Version | Self::TooLarge | Self::UriTooLong => self.status().reason(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_header() {
        assert_eq!(
            Fault::Missing(HeaderName::CallId).reason(),
            "Missing Call-ID"
        );
        assert_eq!(
            Fault::Repeated(HeaderName::Event).reason(),
            "Repeated Event"
        );
        assert_eq!(Fault::Invalid(HeaderName::CSeq).reason(), "Invalid CSeq");
        assert_eq!(Fault::Invalid(HeaderName::Other).reason(), "Invalid Header");
    }

    #[test]
    fn statuses_with_a_code_of_their_own_keep_its_phrase() {
        for (fault, code) in [
            (Fault::Version, 505),
            (Fault::TooLarge, 513),
            (Fault::UriTooLong, 414),
        ] {
            assert_eq!(fault.status(), Status(code));
            assert_eq!(fault.reason(), Status(code).reason());
            assert!(!fault.reason().is_empty());
        }
        assert_eq!(Fault::MethodMismatch.status(), Status::BAD_REQUEST);
    }
}
