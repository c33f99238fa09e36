//! Which leg a report is about: the key of a leg, and how two keys compare.
//!
//! The key of a leg is (Call-ID, local tag, remote tag) or, if its source gives no Call-ID,
//! (publisher, `id`), because every phone numbers its own calls. A missing tag matches any tag.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::presence::call::CallDialog;

/// The key of the leg that a report is about.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    publisher: u64,
    /// The `id` its source uses.
    id: &'a str,
    call_id: &'a str,
    local_tag: &'a str,
    remote_tag: &'a str,
}

impl<'a> Key<'a> {
    /// The key of a leg for which its source uses `id`.
    pub(crate) fn new(publisher: u64, id: &'a str, call: &'a CallDialog) -> Self {
        Self {
            publisher,
            id,
            call_id: call.call_id(),
            local_tag: call.local_tag(),
            remote_tag: call.remote_tag(),
        }
    }

    /// The key of a dialog as written by its source.
    pub(crate) fn of(publisher: u64, dialog: &'a CallDialog) -> Self {
        Self::new(publisher, dialog.id(), dialog)
    }

    /// A digest of the Call-ID. If two digests show that the keys are [`Likeness::Different`],
    /// their texts need not be read.
    pub(crate) fn digest(self) -> CallIdDigest {
        let is_known = !self.call_id.is_empty();
        CallIdDigest(is_known.then(|| hash(self.call_id.as_bytes())))
    }

    /// Returns whether the call has a Call-ID.
    pub(crate) fn has_call_id(self) -> bool {
        !self.call_id.is_empty()
    }

    /// Returns whether the sources of both keys use one `id`.
    pub(crate) fn has_id_of(self, other: Self) -> bool {
        self.id == other.id
    }

    /// Returns whether a `new` report names the dialog of this leg: it has the same `id` and
    /// Call-ID (RFC 4235 §4.1.1). A missing tag matches any tag, and a PBX means all branches of
    /// its call (`all_branches`), whatever their tags.
    pub(crate) fn is_named_by(self, new: Self, all_branches: bool) -> bool {
        let is_named = !new.call_id.is_empty() && self.call_id == new.call_id && self.id == new.id;
        is_named && (all_branches || self.likeness(new) != Likeness::Different)
    }

    /// How the key of a `new` report compares with this one.
    pub(crate) fn likeness(self, new: Self) -> Likeness {
        if self.call_id.is_empty() || new.call_id.is_empty() {
            if self.publisher != new.publisher || self.id != new.id {
                return Likeness::Different;
            }
        } else if self.call_id != new.call_id {
            return Likeness::Different;
        }
        let parts = [
            (self.call_id, new.call_id),
            (self.local_tag, new.local_tag),
            (self.remote_tag, new.remote_tag),
        ];
        if parts.iter().all(|(old, new)| old == new) {
            return Likeness::Equal;
        }
        if parts
            .iter()
            .any(|(old, new)| old != new && !old.is_empty() && !new.is_empty())
        {
            return Likeness::Different;
        }
        let gains = parts.iter().all(|(old, new)| old.is_empty() || old == new);
        Likeness::Compatible { gains }
    }
}

/// The texts of a key, in one allocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyTexts {
    /// `id`, Call-ID, local tag and remote tag, concatenated.
    texts: Box<str>,
    /// Octets of each of the first three.
    lengths: [u32; 3],
}

impl KeyTexts {
    /// Copies the texts of a key.
    pub(crate) fn of(key: Key<'_>) -> Self {
        let first = [key.id, key.call_id, key.local_tag];
        let octets = first.iter().map(|text| text.len()).sum::<usize>() + key.remote_tag.len();
        let mut texts = String::with_capacity(octets);
        first.iter().for_each(|text| texts.push_str(text));
        texts.push_str(key.remote_tag);
        Self {
            texts: texts.into(),
            lengths: first.map(|text| text.len() as u32),
        }
    }

    /// The key with these texts.
    pub(crate) fn key(&self, publisher: u64) -> Key<'_> {
        let mut rest = &*self.texts;
        let [id, call_id, local_tag] = self.lengths.map(|octets| {
            // A damaged record may name a length that its text does not have.
            let (text, behind) = rest.split_at_checked(octets as usize).unwrap_or_default();
            rest = behind;
            text
        });
        Key {
            publisher,
            id,
            call_id,
            local_tag,
            remote_tag: rest,
        }
    }
}

/// A hash of a Call-ID; None if there is no Call-ID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallIdDigest(Option<NonZeroU64>);

impl CallIdDigest {
    /// Returns whether keys with these digests certainly belong to different legs.
    pub(crate) fn rules_out(self, other: Self) -> bool {
        matches!((self.0, other.0), (Some(one), Some(other)) if one != other)
    }
}

/// A hash for comparing texts of one presentity: quick, without a secret, and good for this process
/// only.
fn hash(octets: &[u8]) -> NonZeroU64 {
    let (words, rest) = octets.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words
        .iter()
        .chain([&last])
        .map(|word| u64::from_le_bytes(*word))
        .fold(octets.len() as u64, |hash, word| {
            let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 32)
        });
    NonZeroU64::MIN | hash
}

/// How the keys of two reports compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// The keys are equal: both reports are about the same leg.
    Equal,
    /// The keys are equal if missing tags count as wild cards. `gains`: the new key has every tag
    /// that the old key has.
    Compatible { gains: bool },
    /// The keys are of different legs.
    Different,
}
