//! Header field names, long and compact (RFC 3261 §7.3.3), compared without case.
//!
//! One table lists every known header: its variant, its canonical spelling, and the reason phrases
//! of its faults. A name is found by one access to a perfect hash table, which is built at compile
//! time.

/// Generates the enum, the spellings and the phrases from one list.
macro_rules! header_names {
    ($($name:ident $text:literal;)*) => {
        /// A header with a known name. Unknown names become [`HeaderName::Other`]; their spelling
        /// stays in the buffer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is the header of that name")]
        pub enum HeaderName {
            $($name,)*
            Other,
        }

        impl HeaderName {
            /// The number of names, including `Other`.
            pub(crate) const COUNT: usize = [$(stringify!($name),)* "Other"].len();

            /// The canonical long spelling; empty for `Other`.
            #[must_use]
            pub const fn canonical(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "",
                }
            }

            /// The reason phrase if it is missing.
            pub(crate) const fn missing_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Missing ", $text),)*
                    Self::Other => "Missing Header",
                }
            }

            /// The reason phrase if it is repeated.
            pub(crate) const fn repeated_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Repeated ", $text),)*
                    Self::Other => "Repeated Header",
                }
            }

            /// The reason phrase if its value is malformed.
            pub(crate) const fn invalid_phrase(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("Invalid ", $text),)*
                    Self::Other => "Invalid Header",
                }
            }
        }

        /// Every name except `Other`.
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

/// Length of the longest name in the hash table: with the colon after it, it fits into two words.
/// The few longer names, which no phone sends with every request, are compared one after another.
const NAME_OCTETS_MAX: usize = 15;

/// The first octets of a line as little-endian words.
type Words = [u64; 2];

/// An entry of the hash table.
#[derive(Clone, Copy)]
struct Entry {
    /// A name's spelling and the colon after it, [folded](fold_case), padded with zeros.
    spelling: Words,
    /// Mask of the bits that the name and the colon occupy.
    mask: Words,
    name: HeaderName,
}

impl Entry {
    /// An entry without a name; it matches no line.
    const EMPTY: Self = Self {
        spelling: [0; 2],
        mask: [u64::MAX; 2],
        name: HeaderName::Other,
    };

    const fn new(spelling: &[u8], name: HeaderName) -> Self {
        let mask = u128::MAX >> (8 * (NAME_OCTETS_MAX - spelling.len()));
        let [first, second] = words(spelling);
        Self {
            spelling: [fold_case(first), fold_case(second)],
            mask: [mask as u64, (mask >> 64) as u64],
            name,
        }
    }
}

/// A name of at most [`NAME_OCTETS_MAX`] octets and a colon.
const fn words(name: &[u8]) -> Words {
    let mut words = [0; 2];
    let mut index = 0;
    while index < name.len() {
        words[index / 8] |= (name[index] as u64) << (index % 8 * 8);
        index += 1;
    }
    words[index / 8] |= (b':' as u64) << (index % 8 * 8);
    words
}

/// Converts eight octets to lower case: sets bit 5 where bit 6 is set. Of other ASCII only `@[\]^_`
/// change, to octets that no known name contains.
#[inline]
const fn fold_case(word: u64) -> u64 {
    word | (word & 0x4040_4040_4040_4040) >> 1
}

/// Number of entries of the hash table.
const PLACES: usize = 64;

/// Found by search, so that no two names collide; the construction of the table checks this.
const MULTIPLIER: u64 = 0x5c7a_dd1f_8aba_6e7d;

/// The index of a name: its first two octets (in a compact form the second is the colon) and its
/// length distinguish all names. The other octets are not read, so that the processor need not wait
/// for them.
#[inline]
const fn place(first: u64, length: usize) -> usize {
    let key = fold_case(first) & 0xffff | (length as u64) << 16;
    (key.wrapping_mul(MULTIPLIER) >> (u64::BITS - PLACES.ilog2())) as usize
}

/// Every spelling that fits into the hash table.
static TABLE: [Entry; PLACES] = {
    let mut table = [Entry::EMPTY; PLACES];
    let mut index = 0;
    while index < ALL.len() + COMPACT.len() {
        let (spelling, name) = if index < ALL.len() {
            (ALL[index].canonical().as_bytes(), ALL[index])
        } else {
            COMPACT[index - ALL.len()]
        };
        index += 1;
        if spelling.len() > NAME_OCTETS_MAX {
            continue;
        }
        let entry = &mut table[place(words(spelling)[0], spelling.len())];
        assert!(entry.spelling[0] == 0, "two names collide");
        *entry = Entry::new(spelling, name);
    }
    table
};

impl HeaderName {
    /// The header named `name` (as on the wire, long or compact, any case).
    #[must_use]
    pub fn from_wire(name: &[u8]) -> Self {
        if name.len() <= NAME_OCTETS_MAX {
            return Self::from_front(words(name), name.len()).unwrap_or(Self::Other);
        }
        let is_it = |known: &&Self| name.eq_ignore_ascii_case(known.canonical().as_bytes());
        ALL.iter().find(is_it).copied().unwrap_or(Self::Other)
    }

    /// The header named by a line that starts with these words and has its first colon at `colon`;
    /// None if it is unknown, or if there is anything between the name and the colon.
    #[inline]
    pub(crate) fn from_front(front: [u64; 2], colon: usize) -> Option<Self> {
        let entry = &TABLE[place(front[0], colon)];
        let first = fold_case(front[0]) & entry.mask[0] ^ entry.spelling[0];
        let second = fold_case(front[1]) & entry.mask[1] ^ entry.spelling[1];
        (first | second == 0).then_some(entry.name)
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

    /// Returns whether a second field of this name makes the message malformed (RFC 3261 §7.3.1).
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
    fn near_misses_are_unknown_headers() {
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
