//! Namespaces in XML: those we know, under all their names, and the declarations in scope.

use smallvec::SmallVec;

use crate::presence::document::DocumentFault;

/// Namespace declarations in scope.
const BINDINGS_MAX: usize = 64;

/// A known namespace, under any of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::presence::document) enum Space {
    /// RFC 4235
    DialogInfo,
    /// RFC 3863
    Pidf,
    /// RFC 4479
    DataModel,
    /// RFC 4480
    Rpid,
    /// RFC 4826
    ResourceLists,
    /// RFC 3680
    RegInfo,
    /// RFC 4745
    CommonPolicy,
    /// RFC 5025
    PresRules,
    /// Another, or none.
    Other,
}

/// The names of the namespaces. The first of each is the current one, the others are those of older
/// clients (W:B2.9, B2.10).
pub(super) const SPACES: [(&str, Space); 14] = [
    ("urn:ietf:params:xml:ns:dialog-info", Space::DialogInfo),
    ("urn:ietf:params:xml:ns:pidf", Space::Pidf),
    ("urn:ietf:params:xml:ns:cpim-pidf", Space::Pidf),
    ("urn:ietf:params:xml:ns:pidf:data-model", Space::DataModel),
    ("urn:ietf:params:xml:ns:pidf:person", Space::DataModel),
    ("urn:ietf:params:xml:ns:pidf:rpid", Space::Rpid),
    ("urn:ietf:params:xml:ns:pidf:rpid:rpid-person", Space::Rpid),
    (
        "urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status",
        Space::Rpid,
    ),
    ("urn:ietf:params:xml:ns:pidf:status:rpid", Space::Rpid),
    ("urn:cisco:params:xml:ns:pidf:rpid", Space::Rpid),
    (
        "urn:ietf:params:xml:ns:resource-lists",
        Space::ResourceLists,
    ),
    ("urn:ietf:params:xml:ns:reginfo", Space::RegInfo),
    ("urn:ietf:params:xml:ns:common-policy", Space::CommonPolicy),
    ("urn:ietf:params:xml:ns:pres-rules", Space::PresRules),
];

impl Space {
    /// The namespace of that name. Spaces do not count: one client in the field has a space within the
    /// name (W:G3).
    pub(super) fn named(uri: &str) -> Self {
        let without_blanks = |name: &str| {
            uri.chars()
                .filter(|character| !character.is_ascii_whitespace())
                .eq(name.chars())
        };
        let exact = SPACES.iter().find(|(name, _)| *name == uri);
        let has_blanks = || uri.bytes().any(|octet| octet.is_ascii_whitespace());
        exact
            .or_else(|| {
                let mut spaces = SPACES.iter().filter(|_| has_blanks());
                spaces.find(|(name, _)| without_blanks(name))
            })
            .map_or(Self::Other, |&(_, space)| space)
    }
}

/// The namespace declarations in scope.
#[derive(Default)]
pub(super) struct Bindings<'d>(SmallVec<[Binding<'d>; 4]>);

struct Binding<'d> {
    prefix: &'d str,
    space: Space,
    /// The number of elements around the one that declares it.
    depth: usize,
}

impl<'d> Bindings<'d> {
    pub(super) fn declare(
        &mut self,
        prefix: &'d str,
        uri: &str,
        depth: usize,
    ) -> Result<(), DocumentFault> {
        if self.0.len() >= BINDINGS_MAX {
            return Err(DocumentFault::TooLarge);
        }
        self.0.push(Binding {
            prefix,
            space: Space::named(uri),
            depth,
        });
        Ok(())
    }

    /// An undeclared prefix counts as an unknown namespace: its elements are ignored.
    pub(super) fn space(&self, prefix: &str) -> Space {
        let binding = self.0.iter().rev().find(|binding| binding.prefix == prefix);
        binding.map_or(Space::Other, |binding| binding.space)
    }

    pub(super) fn leave(&mut self, depth: usize) {
        while self.0.last().is_some_and(|last| last.depth >= depth) {
            self.0.pop();
        }
    }
}
