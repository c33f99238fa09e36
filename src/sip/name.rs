//! Header field names, long and compact (W:A5.2), compared without case.
//!
//! One table names every header we know: its variant, its canonical spelling, and the reason phrases of the faults that
//! name it. Finding a name costs one comparison of its first eight octets, in one machine word, and of what is left.

/// Builds the enum, the spellings and the phrases from one list.
macro_rules! header_names {
    ($($name:ident $text:literal;)*) => {
        /// A header we know by name. Names we do not know survive as [`HeaderName::Other`]; their spelling stays in the buffer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is the header of that name")]
        pub enum HeaderName {
            $($name,)*
            Other,
        }

        impl HeaderName {
            /// How many names there are, `Other` among them.
            pub(crate) const COUNT: usize = [$(stringify!($name),)* "Other"].len();

            /// The canonical long spelling; empty for `Other`.
            #[must_use]
            pub const fn canonical(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "",
                }
            }

            /// The reason phrase when it is absent.
            pub(crate) const fn missing_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Missing ", $text),)*
                    Self::Other => "Missing Header",
                }
            }

            /// The reason phrase when it occurs too often.
            pub(crate) const fn repeated_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Repeated ", $text),)*
                    Self::Other => "Repeated Header",
                }
            }

            /// The reason phrase when its value cannot be read.
            pub(crate) const fn invalid_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Invalid ", $text),)*
                    Self::Other => "Invalid Header",
                }
            }
        }

        #[cfg(test)]
        const ALL: &[HeaderName] = &[$(HeaderName::$name,)*];
    };
}

header_names! {
    Accept "Accept";
    AcceptEncoding "Accept-Encoding";
    AllowEvents "Allow-Events";
    Authorization "Authorization";
    CSeq "CSeq";
    CallId "Call-ID";
    Contact "Contact";
    ContentDisposition "Content-Disposition";
    ContentEncoding "Content-Encoding";
    ContentLanguage "Content-Language";
    ContentLength "Content-Length";
    ContentType "Content-Type";
    Event "Event";
    Expires "Expires";
    From "From";
    MaxForwards "Max-Forwards";
    MinExpires "Min-Expires";
    PAssertedIdentity "P-Asserted-Identity";
    Privacy "Privacy";
    RecordRoute "Record-Route";
    Require "Require";
    RetryAfter "Retry-After";
    Route "Route";
    SipEtag "SIP-ETag";
    SipIfMatch "SIP-If-Match";
    SubscriptionState "Subscription-State";
    SuppressIfMatch "Suppress-If-Match";
    Supported "Supported";
    To "To";
    UserAgent "User-Agent";
    Via "Via";
    WwwAuthenticate "WWW-Authenticate";
}

/// The first eight octets of a name in lower case, padded with zeros, as a little-endian word.
const fn word(name: &[u8]) -> u64 {
    let mut octets = [0; 8];
    let mut index = 0;
    while index < name.len() && index < 8 {
        octets[index] = name[index] | 0x20;
        index += 1;
    }
    u64::from_le_bytes(octets)
}

/// Declares one named constant per word, because a `match` takes no function calls.
macro_rules! words {
    ($($constant:ident $text:literal)*) => { $(const $constant: u64 = word($text);)* };
}

words! {
    ACCEPT b"accept"
    ACCEPT_ENCODING b"accept-encoding"
    ALLOW_EVENTS b"allow-events"
    AUTHORIZATION b"authorization"
    CALL_ID b"call-id"
    CONTACT b"contact"
    CONTENT b"content-"
    CSEQ b"cseq"
    EVENT b"event"
    EXPIRES b"expires"
    FROM b"from"
    MAX_FORWARDS b"max-forwards"
    MIN_EXPIRES b"min-expires"
    P_ASSERTED_IDENTITY b"p-asserted-identity"
    PRIVACY b"privacy"
    RECORD_ROUTE b"record-route"
    REQUIRE b"require"
    RETRY_AFTER b"retry-after"
    ROUTE b"route"
    SIP_ETAG b"sip-etag"
    SIP_IF_MATCH b"sip-if-match"
    SUBSCRIPTION_STATE b"subscription-state"
    SUPPORTED b"supported"
    SUPPRESS_IF_MATCH b"suppress-if-match"
    TO b"to"
    USER_AGENT b"user-agent"
    VIA b"via"
    WWW_AUTHENTICATE b"www-authenticate"
    COMPACT_CONTENT_TYPE b"c"
    COMPACT_CONTENT_ENCODING b"e"
    COMPACT_FROM b"f"
    COMPACT_CALL_ID b"i"
    COMPACT_SUPPORTED b"k"
    COMPACT_CONTENT_LENGTH b"l"
    COMPACT_CONTACT b"m"
    COMPACT_EVENT b"o"
    COMPACT_TO b"t"
    COMPACT_ALLOW_EVENTS b"u"
    COMPACT_VIA b"v"
}

impl HeaderName {
    /// The header that `name` (as on the wire, long or compact, any case) means.
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Self {
        if name.contains(&b'\r') {
            return Self::Other; // Lower-casing by a bit would take it for a hyphen.
        }
        Self::from_word(word(name), name)
    }

    /// The same with the first eight octets at hand: lower-cased by setting bit 5, zero behind the name.
    /// A CR in the first eight octets passes for a hyphen; the caller excludes it.
    #[inline]
    pub(crate) fn from_word(first: u64, name: &[u8]) -> Self {
        let (rest, candidate): (&[u8], Self) = match first {
            VIA | COMPACT_VIA => return Self::Via,
            FROM | COMPACT_FROM => return Self::From,
            TO | COMPACT_TO => return Self::To,
            CALL_ID | COMPACT_CALL_ID => return Self::CallId,
            CSEQ => return Self::CSeq,
            CONTACT | COMPACT_CONTACT => return Self::Contact,
            EVENT | COMPACT_EVENT => return Self::Event,
            EXPIRES => return Self::Expires,
            ACCEPT => return Self::Accept,
            ROUTE => return Self::Route,
            REQUIRE => return Self::Require,
            PRIVACY => return Self::Privacy,
            COMPACT_SUPPORTED => return Self::Supported,
            COMPACT_CONTENT_LENGTH => return Self::ContentLength,
            COMPACT_CONTENT_TYPE => return Self::ContentType,
            COMPACT_CONTENT_ENCODING => return Self::ContentEncoding,
            COMPACT_ALLOW_EVENTS => return Self::AllowEvents,
            SIP_ETAG => (b"", Self::SipEtag),
            CONTENT => match name.len() {
                12 => (b"type", Self::ContentType),
                14 => (b"length", Self::ContentLength),
                16 if name[8] | 0x20 == b'e' => (b"encoding", Self::ContentEncoding),
                16 => (b"language", Self::ContentLanguage),
                _ => (b"disposition", Self::ContentDisposition),
            },
            MAX_FORWARDS => (b"ards", Self::MaxForwards),
            USER_AGENT => (b"nt", Self::UserAgent),
            SUPPORTED => (b"d", Self::Supported),
            ALLOW_EVENTS => (b"ents", Self::AllowEvents),
            AUTHORIZATION => (b"ation", Self::Authorization),
            ACCEPT_ENCODING => (b"ncoding", Self::AcceptEncoding),
            MIN_EXPIRES => (b"res", Self::MinExpires),
            P_ASSERTED_IDENTITY => (b"ed-identity", Self::PAssertedIdentity),
            RECORD_ROUTE => (b"oute", Self::RecordRoute),
            RETRY_AFTER => (b"ter", Self::RetryAfter),
            SIP_IF_MATCH => (b"atch", Self::SipIfMatch),
            SUBSCRIPTION_STATE => (b"tion-state", Self::SubscriptionState),
            SUPPRESS_IF_MATCH => (b"-if-match", Self::SuppressIfMatch),
            WWW_AUTHENTICATE => (b"enticate", Self::WwwAuthenticate),
            _ => return Self::Other,
        };
        match name.get(8..) {
            Some(tail) if tail.eq_ignore_ascii_case(rest) => candidate,
            _ => Self::Other,
        }
    }

    /// Whether a second field of this name makes the message malformed (W:A5.4).
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CSeq
                | Self::CallId
                | Self::From
                | Self::To
                | Self::Event
                | Self::Expires
                | Self::ContentLength
                | Self::ContentType
                | Self::MaxForwards
                | Self::SipIfMatch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_canonical_name_is_found_in_any_case() {
        for &name in ALL {
            let text = name.canonical();
            assert_eq!(HeaderName::from_wire(text.as_bytes()), name);
            assert_eq!(
                HeaderName::from_wire(text.to_ascii_uppercase().as_bytes()),
                name
            );
            assert_eq!(
                HeaderName::from_wire(text.to_ascii_lowercase().as_bytes()),
                name
            );
        }
        assert_eq!(ALL.len() + 1, HeaderName::COUNT);
    }

    #[test]
    fn near_misses_are_other() {
        for &name in ALL {
            let text = name.canonical().as_bytes();
            for at in 0..text.len() {
                let mut changed = text.to_vec();
                changed[at] = b'#';
                assert_eq!(HeaderName::from_wire(&changed), HeaderName::Other);
            }
            for extra in [&b"x"[..], b"-", b" ", b"\0"] {
                let longer = [text, extra].concat();
                assert_eq!(
                    HeaderName::from_wire(&longer),
                    HeaderName::Other,
                    "{longer:?}"
                );
            }
        }
        for text in [
            &b""[..],
            b"Call\rID",
            b"Content-",
            b"Content-Typ",
            b"z",
            b"Vi",
            b"Allow",
            b"Content-Lengthy",
        ] {
            assert_eq!(HeaderName::from_wire(text), HeaderName::Other);
        }
    }

    #[test]
    fn compact_forms_mean_their_long_names() {
        let pairs = [
            ("c", "Content-Type"),
            ("e", "Content-Encoding"),
            ("f", "From"),
            ("i", "Call-ID"),
            ("k", "Supported"),
            ("l", "Content-Length"),
            ("m", "Contact"),
            ("o", "Event"),
            ("t", "To"),
            ("u", "Allow-Events"),
            ("v", "Via"),
        ];
        for (compact, long) in pairs {
            let name = HeaderName::from_wire(long.as_bytes());
            assert_ne!(name, HeaderName::Other);
            assert_eq!(HeaderName::from_wire(compact.as_bytes()), name);
            assert_eq!(
                HeaderName::from_wire(compact.to_uppercase().as_bytes()),
                name
            );
        }
    }
}
