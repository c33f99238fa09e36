//! Header field names, long and compact (W:A5.2), compared without case.
//!
//! One table names every header we know: its variant, its canonical spelling, and the reason phrases of the faults that
//! name it. Finding a name compares machine words, not octets: a name is at most three of them.

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

        /// The second and third word of every canonical name.
        const TAILS: [[u64; 2]; HeaderName::COUNT] = [
            $([word($text.as_bytes(), 8), word($text.as_bytes(), 16)],)*
            [0; 2],
        ];

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

/// Octets of the longest name we know, rounded up to whole words.
const NAME_OCTETS_MAX: usize = 24;

/// Eight octets from `at` on in lower case as a little-endian word, zero behind the end of the name.
const fn word(name: &[u8], at: usize) -> u64 {
    let mut octets = [0; 8];
    let mut index = 0;
    while index < 8 && at + index < name.len() {
        octets[index] = name[at + index] | 0x20;
        index += 1;
    }
    u64::from_le_bytes(octets)
}

/// Declares the words of names as constants, because a `match` takes no function calls.
macro_rules! words {
    ($($constant:ident $text:literal $at:literal)*) => {
        $(const $constant: u64 = word($text, $at);)*
    };
}

words! {
    ACCEPT b"accept" 0
    ACCEPT_ENCODING b"accept-encoding" 0
    ALLOW_EVENTS b"allow-events" 0
    AUTHORIZATION b"authorization" 0
    CALL_ID b"call-id" 0
    CONTACT b"contact" 0
    CONTENT b"content-" 0
    CONTENT_DISPOSITION b"content-disposition" 8
    CONTENT_ENCODING b"content-encoding" 8
    CONTENT_LANGUAGE b"content-language" 8
    CONTENT_LENGTH b"content-length" 8
    CONTENT_TYPE b"content-type" 8
    CSEQ b"cseq" 0
    EVENT b"event" 0
    EXPIRES b"expires" 0
    FROM b"from" 0
    MAX_FORWARDS b"max-forwards" 0
    MIN_EXPIRES b"min-expires" 0
    P_ASSERTED_IDENTITY b"p-asserted-identity" 0
    PRIVACY b"privacy" 0
    RECORD_ROUTE b"record-route" 0
    REQUIRE b"require" 0
    RETRY_AFTER b"retry-after" 0
    ROUTE b"route" 0
    SIP_ETAG b"sip-etag" 0
    SIP_IF_MATCH b"sip-if-match" 0
    SUBSCRIPTION_STATE b"subscription-state" 0
    SUPPORTED b"supported" 0
    SUPPRESS_IF_MATCH b"suppress-if-match" 0
    TO b"to" 0
    USER_AGENT b"user-agent" 0
    VIA b"via" 0
    WWW_AUTHENTICATE b"www-authenticate" 0
    COMPACT_CONTENT_TYPE b"c" 0
    COMPACT_CONTENT_ENCODING b"e" 0
    COMPACT_FROM b"f" 0
    COMPACT_CALL_ID b"i" 0
    COMPACT_SUPPORTED b"k" 0
    COMPACT_CONTENT_LENGTH b"l" 0
    COMPACT_CONTACT b"m" 0
    COMPACT_EVENT b"o" 0
    COMPACT_TO b"t" 0
    COMPACT_ALLOW_EVENTS b"u" 0
    COMPACT_VIA b"v" 0
}

impl HeaderName {
    /// The header that `name` (as on the wire, long or compact, any case) means.
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Self {
        // Lower-casing by a bit would take a CR for a hyphen.
        if name.len() > NAME_OCTETS_MAX || name.contains(&b'\r') {
            return Self::Other;
        }
        Self::from_words([word(name, 0), word(name, 8), word(name, 16)])
    }

    /// The same for a name of at most 24 octets given as words: little-endian, every octet with bit 5 set, zero behind the
    /// name. A CR passes for a hyphen; the caller excludes it.
    #[inline]
    pub(crate) fn from_words(words: [u64; 3]) -> Self {
        let [first, second, third] = words;
        let found = match first {
            VIA | COMPACT_VIA => Self::Via,
            FROM | COMPACT_FROM => Self::From,
            TO | COMPACT_TO => Self::To,
            CALL_ID | COMPACT_CALL_ID => Self::CallId,
            CSEQ => Self::CSeq,
            CONTACT | COMPACT_CONTACT => Self::Contact,
            EVENT | COMPACT_EVENT => Self::Event,
            EXPIRES => Self::Expires,
            ACCEPT => Self::Accept,
            ROUTE => Self::Route,
            REQUIRE => Self::Require,
            PRIVACY => Self::Privacy,
            SIP_ETAG => Self::SipEtag,
            COMPACT_SUPPORTED => Self::Supported,
            COMPACT_CONTENT_LENGTH => Self::ContentLength,
            COMPACT_CONTENT_TYPE => Self::ContentType,
            COMPACT_CONTENT_ENCODING => Self::ContentEncoding,
            COMPACT_ALLOW_EVENTS => Self::AllowEvents,
            CONTENT => match second {
                CONTENT_LENGTH => Self::ContentLength,
                CONTENT_TYPE => Self::ContentType,
                CONTENT_ENCODING => Self::ContentEncoding,
                CONTENT_LANGUAGE => Self::ContentLanguage,
                CONTENT_DISPOSITION => Self::ContentDisposition,
                _ => return Self::Other,
            },
            MAX_FORWARDS => Self::MaxForwards,
            USER_AGENT => Self::UserAgent,
            SUPPORTED => Self::Supported,
            ALLOW_EVENTS => Self::AllowEvents,
            AUTHORIZATION => Self::Authorization,
            ACCEPT_ENCODING => Self::AcceptEncoding,
            MIN_EXPIRES => Self::MinExpires,
            P_ASSERTED_IDENTITY => Self::PAssertedIdentity,
            RECORD_ROUTE => Self::RecordRoute,
            RETRY_AFTER => Self::RetryAfter,
            SIP_IF_MATCH => Self::SipIfMatch,
            SUBSCRIPTION_STATE => Self::SubscriptionState,
            SUPPRESS_IF_MATCH => Self::SuppressIfMatch,
            WWW_AUTHENTICATE => Self::WwwAuthenticate,
            _ => return Self::Other,
        };
        // What the first word leaves open. A compact form has no second word, and no name has it empty with eight octets
        // before it but `SIP-ETag`.
        let expected = if first >> 56 == 0 { [0; 2] } else { TAILS[found as usize] };
        if [second, third] == expected { found } else { Self::Other }
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
