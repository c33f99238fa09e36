//! Header field names, long and compact (W:A5.2), compared without case.
//!
//! One table names every header we know: its variant, its canonical spelling, and the reason
//! phrases of the faults that name it. A name is found by one look into a hash table without
//! collisions, made when the server is compiled.

/// Builds the enum, the spellings and the phrases from one list.
macro_rules! header_names {
    ($($name:ident $text:literal;)*) => {
        /// A header we know by name. Names we do not know survive as [`HeaderName::Other`]; their
        /// spelling stays in the buffer.
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

        /// Every name but `Other`.
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

/// The compact forms (RFC 3261 §7.3.3, RFC 6665 §8.2).
const COMPACT: [(&[u8], HeaderName); 11] = [
    (b"c", HeaderName::ContentType),
    (b"e", HeaderName::ContentEncoding),
    (b"f", HeaderName::From),
    (b"i", HeaderName::CallId),
    (b"k", HeaderName::Supported),
    (b"l", HeaderName::ContentLength),
    (b"m", HeaderName::Contact),
    (b"o", HeaderName::Event),
    (b"t", HeaderName::To),
    (b"u", HeaderName::AllowEvents),
    (b"v", HeaderName::Via),
];

/// Octets of the longest name that fits [`NameWords`].
const NAME_OCTETS_MAX: usize = 23;

/// A name of at most [`NAME_OCTETS_MAX`] octets as little-endian words, [folded](fold_case), with
/// its length in the last octet.
pub(crate) type NameWords = [u64; 3];

const fn words(name: &[u8]) -> NameWords {
    let mut words = [0; 3];
    let mut index = 0;
    while index < name.len() && index < NAME_OCTETS_MAX {
        words[index / 8] |= (name[index] as u64) << (index % 8 * 8);
        index += 1;
    }
    [
        fold_case(words[0]),
        fold_case(words[1]),
        fold_case(words[2]) | (name.len() as u64) << 56,
    ]
}

/// Makes the capitals among eight octets small: bit 5 becomes set where bit 6 is. Of other ASCII
/// only `@[\]^_` change, into what no known name holds either.
#[inline]
pub(crate) const fn fold_case(word: u64) -> u64 {
    word | (word & 0x4040_4040_4040_4040) >> 1
}

/// Places of the hash table. The multipliers were searched for until no two names met; the table's
/// construction checks it.
const PLACES: usize = 256;

const FIRST_MULTIPLIER: u64 = 0x7b45_145c_1a81_682d;
const SECOND_MULTIPLIER: u64 = 0x6683_6886_a260_cd0b;

#[inline]
const fn place(words: NameWords) -> usize {
    let mixed = words[0].wrapping_mul(FIRST_MULTIPLIER) ^ words[1].wrapping_mul(SECOND_MULTIPLIER);
    (mixed >> 56) as usize
}

/// Every spelling at its place; what is empty holds no name's words.
static TABLE: [(NameWords, HeaderName); PLACES] = {
    let mut table = [([0; 3], HeaderName::Other); PLACES];
    let mut index = 0;
    while index < ALL.len() + COMPACT.len() {
        let (spelling, name) = if index < ALL.len() {
            (ALL[index].canonical().as_bytes(), ALL[index])
        } else {
            COMPACT[index - ALL.len()]
        };
        assert!(spelling.len() <= NAME_OCTETS_MAX);
        let words = words(spelling);
        let entry = &mut table[place(words)];
        assert!(entry.0[0] == 0, "two names meet");
        *entry = (words, name);
        index += 1;
    }
    table
};

impl HeaderName {
    /// The header that `name` (as on the wire, long or compact, any case) means.
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Self {
        if name.len() > NAME_OCTETS_MAX {
            return Self::Other;
        }
        Self::from_words(words(name))
    }

    /// The same for a name as words.
    #[inline]
    pub(crate) fn from_words(words: NameWords) -> Self {
        let (spelling, name) = &TABLE[place(words)];
        // Word by word: comparing the arrays as wholes would have them written to memory first.
        let differences =
            (spelling[0] ^ words[0]) | (spelling[1] ^ words[1]) | (spelling[2] ^ words[2]);
        if differences == 0 { *name } else { Self::Other }
    }

    /// Bit n: the name with discriminant n [is single](Self::is_single).
    pub(crate) const SINGLE: u64 = {
        let mut bits = 0;
        let mut index = 0;
        while index < ALL.len() {
            if ALL[index].is_single() {
                bits |= 1 << ALL[index] as u8;
            }
            index += 1;
        }
        bits
    };

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
