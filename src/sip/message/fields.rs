//! The header fields of one message as spans, and where the first of each name is.

use memchr::memrchr;
use smallvec::SmallVec;

use crate::sip::HeaderName;
use crate::sip::header::octets;
use crate::sip::message::HEADERS_MAX;

/// Fields that need no allocation.
const FIELDS_INLINE: usize = 40;

/// One field: positions in the message's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// The first octet of the value.
    start: u32,
    /// Behind the last octet of the value.
    end: u32,
    name: HeaderName,
}

impl Field {
    #[inline]
    pub(super) fn name(&self) -> HeaderName {
        self.name
    }

    /// The value without white space around it.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// The name as it came: what stands between the line's start and the colon in front of the value.
    pub(super) fn spelling<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let text = octets::trim_end(&bytes[..self.start as usize]);
        let text = octets::trim_end(text.strip_suffix(b":").unwrap_or(text));
        let line = memrchr(b'\n', text).map_or(0, |newline| newline + 1);
        &text[line..]
    }
}

/// All fields in order.
#[derive(Debug)]
pub(super) struct Fields {
    list: SmallVec<[Field; FIELDS_INLINE]>,
    /// Bit n: the header with discriminant n is there.
    present: u64,
    /// Bit n: it is there again.
    repeated: u64,
    /// Where in the list the first field of each name is, if it is there.
    first: [u8; HeaderName::COUNT],
}

// A bit per name, and an octet per position.
const _: () = assert!(HeaderName::COUNT <= u64::BITS as usize);
const _: () = assert!(HEADERS_MAX <= 1 << u8::BITS);

impl Fields {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            list: SmallVec::new(),
            present: 0,
            repeated: 0,
            first: [0; HeaderName::COUNT],
        }
    }

    /// Adds a field whose value is `start..end`. False when there is no room for it.
    #[inline]
    pub(super) fn push(&mut self, name: HeaderName, start: usize, end: usize) -> bool {
        let position = self.list.len();
        if position >= HEADERS_MAX {
            return false;
        }
        let bit = 1 << name as u8;
        if self.present & bit == 0 {
            self.first[name as usize] = position as u8;
        }
        self.repeated |= self.present & bit;
        self.present |= bit;
        // A message is never longer than a buffer of ours; `read` refuses one past 4 GiB.
        self.list.push(Field {
            start: start as u32,
            end: end as u32,
            name,
        });
        true
    }

    #[inline]
    pub(super) const fn contains(&self, name: HeaderName) -> bool {
        self.present & (1 << name as u8) != 0
    }

    #[inline]
    pub(super) const fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & (1 << name as u8) != 0
    }

    /// The first header that is there twice though it must not be (W:A5.4).
    #[inline]
    pub(super) fn repeated_single(&self) -> Option<HeaderName> {
        if self.repeated & HeaderName::SINGLE == 0 {
            return None;
        }
        self.list
            .iter()
            .map(Field::name)
            .find(|name| name.is_single() && self.is_repeated(*name))
    }

    #[inline]
    pub(super) fn first(&self, name: HeaderName) -> Option<&Field> {
        if !self.contains(name) {
            return None;
        }
        self.list.get(usize::from(self.first[name as usize]))
    }

    /// Every field of that name, in order.
    #[inline]
    pub(super) fn named(&self, name: HeaderName) -> impl Iterator<Item = &Field> {
        let range = if self.contains(name) {
            usize::from(self.first[name as usize])..
        } else {
            self.list.len()..
        };
        self.list[range]
            .iter()
            .filter(move |field| field.name == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter()
    }
}
