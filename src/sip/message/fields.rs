//! The header fields of one message as spans, and the first field of each name.

use memchr::memrchr;

use crate::sip::HeaderName;
use crate::sip::header::octets;
use crate::sip::message::HEADERS_MAX;

/// Maximum fields that need no allocation.
const FIELDS_INLINE: usize = 40;

/// One field: the positions of its value in the message's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: HeaderName,
    span: Span,
}

/// The first octet, and the one after the last.
type Span = (u32, u32);

impl Field {
    /// The value without surrounding white space.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.span.0 as usize..self.span.1 as usize]
    }

    /// The name as received: the text between the line's start and the colon before the value.
    pub(super) fn spelling<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let text = octets::trim_end(&bytes[..self.span.0 as usize]);
        let text = octets::trim_end(text.strip_suffix(b":").unwrap_or(text));
        let line = memrchr(b'\n', text).map_or(0, |newline| newline + 1);
        &text[line..]
    }
}

/// All fields in order. Names and spans of the inline fields are in separate arrays, so that an
/// empty table is all zeros.
#[derive(Debug)]
pub(super) struct Fields {
    names: [HeaderName; FIELDS_INLINE],
    spans: [Span; FIELDS_INLINE],
    /// The number of inline entries in use.
    count: usize,
    /// Fields beyond the inline entries.
    spilled: Vec<Field>,
    //
    // By name.
    //
    /// The number of the first field of each name, or [`ABSENT`].
    first: [u16; HeaderName::COUNT],
    /// Bit n: the header with discriminant n is repeated.
    repeated: u64,
}

/// The number of no field.
const ABSENT: u16 = u16::MAX;

// One bit per name, and sixteen bits per field number.
const _: () = assert!(HeaderName::COUNT <= u64::BITS as usize);
const _: () = assert!(HEADERS_MAX <= ABSENT as usize);

impl Fields {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            names: [HeaderName::Other; FIELDS_INLINE],
            spans: [(0, 0); FIELDS_INLINE],
            count: 0,
            spilled: Vec::new(),
            first: [ABSENT; HeaderName::COUNT],
            repeated: 0,
        }
    }

    /// Adds a field whose value is `start..end`. Returns false if there is no room for it.
    #[inline]
    pub(super) fn push(&mut self, name: HeaderName, start: usize, end: usize) -> bool {
        // A message is never longer than a buffer of ours; `read` refuses one past 4 GiB.
        let span = (start as u32, end as u32);
        let number = self.count;
        if number < FIELDS_INLINE {
            self.names[number] = name;
            self.spans[number] = span;
            self.count += 1;
            self.index(name, number);
            return true;
        }
        self.spill(Field { name, span })
    }

    #[cold]
    fn spill(&mut self, field: Field) -> bool {
        let number = self.count + self.spilled.len();
        if number >= HEADERS_MAX {
            return false;
        }
        self.spilled.push(field);
        self.index(field.name, number);
        true
    }

    #[inline]
    fn index(&mut self, name: HeaderName, number: usize) {
        let first = &mut self.first[name as usize];
        if *first == ABSENT {
            *first = number as u16;
        } else {
            self.repeated |= 1 << name as u8;
        }
    }

    #[inline]
    pub(super) const fn contains(&self, name: HeaderName) -> bool {
        self.first[name as usize] != ABSENT
    }

    #[inline]
    pub(super) const fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & (1 << name as u8) != 0
    }

    /// The first header that is repeated although it must not be (RFC 3261 §7.3.1).
    #[inline]
    pub(super) fn repeated_single(&self) -> Option<HeaderName> {
        if self.repeated & HeaderName::SINGLE == 0 {
            return None;
        }
        self.iter()
            .map(|field| field.name)
            .find(|name| name.is_single() && self.is_repeated(*name))
    }

    #[inline]
    pub(super) fn first(&self, name: HeaderName) -> Option<Field> {
        if !self.contains(name) {
            return None;
        }
        let number = usize::from(self.first[name as usize]);
        match self.spans.get(number) {
            Some(&span) => Some(Field { name, span }),
            None => self.spilled.get(number - FIELDS_INLINE).copied(),
        }
    }

    /// Every field of that name, in order.
    pub(super) fn named(&self, name: HeaderName) -> impl Iterator<Item = Field> {
        let behind_first = usize::from(self.first[name as usize]).wrapping_add(1);
        // Few names occur twice.
        let others = self.is_repeated(name).then(|| {
            let behind = self.iter().skip(behind_first);
            behind.filter(move |field| field.name == name)
        });
        let first = self.first(name).into_iter();
        first.chain(others.into_iter().flatten())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field> {
        let places = self.names.iter().zip(&self.spans).take(self.count);
        places
            .map(|(&name, &span)| Field { name, span })
            .chain(self.spilled.iter().copied())
    }
}
