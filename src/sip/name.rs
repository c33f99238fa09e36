//! Header field names, long and compact (W:A5.2), compared without case.

/// A header we know by name. Names we do not know survive as [`HeaderName::Other`]; their spelling stays in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the header of that name")]
pub enum HeaderName {
    Accept,
    AcceptEncoding,
    AllowEvents,
    Authorization,
    CSeq,
    CallId,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentLanguage,
    ContentLength,
    ContentType,
    Event,
    Expires,
    From,
    MaxForwards,
    MinExpires,
    PAssertedIdentity,
    Privacy,
    RecordRoute,
    Require,
    RetryAfter,
    Route,
    SipEtag,
    SipIfMatch,
    SubscriptionState,
    SuppressIfMatch,
    Supported,
    To,
    UserAgent,
    Via,
    WwwAuthenticate,
    Other,
}

impl HeaderName {
    /// The header that `name` (as on the wire, long or compact, any case) means.
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Self {
        todo!()
    }

    /// The canonical long spelling; empty for `Other`.
    #[must_use]
    pub const fn canonical(self) -> &'static str {
        todo!()
    }

    /// Whether a second field of this name makes the message malformed (W:A5.4).
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CSeq | Self::CallId | Self::From | Self::To | Self::Event | Self::Expires | Self::ContentLength
                | Self::ContentType | Self::MaxForwards | Self::SipIfMatch
        )
    }
}
