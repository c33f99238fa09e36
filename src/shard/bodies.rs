//! Bodies rendered once per (document, view) and shared by all watchers of a turn (DESIGN §4).

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Range;

use crate::presence::Composed;
use crate::presence::document::dialog_info;
use crate::presence::document::pidf;
use crate::presence::subscription::Package;
use crate::presence::subscription::Privacy;
use crate::shard::outbox::Outbox;
use crate::shard::table::Watched;

/// The part of a body that all watchers with the same view share.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Where it lies in the arena.
    pub(crate) octets: Range<usize>,
    /// A hash of it, never 0: the same hash, the same lamp.
    pub(crate) hash: u64,
}

#[derive(Debug)]
struct Rendered {
    /// Which arena it lies in: one that was cleared since is another.
    generation: u64,
    /// Which state of which presentity.
    revision: u64,
    body: Body,
}

/// Views of one package.
const VIEWS: usize = 4;

/// What was rendered last, by package and view. A presentity's watchers are told one after the
/// other, so one place each is enough.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    rendered: [Option<Rendered>; Package::ALL.len() * VIEWS],
}

impl Bodies {
    /// The shared part of the body for that view.
    pub(crate) fn of(
        &mut self,
        watched: &Watched,
        composed: &Composed,
        package: Package,
        privacy: Privacy,
        out: &mut Outbox,
    ) -> Body {
        let place = package as usize * VIEWS + privacy as usize;
        let (generation, revision) = (out.generation(), watched.revision);
        if let Some(rendered) = &self.rendered[place]
            && rendered.generation == generation
            && rendered.revision == revision
        {
            return rendered.body.clone();
        }
        let start = out.arena.len();
        match package {
            Package::Dialog => {
                dialog_info::write_dialogs(&mut out.arena, &watched.aor, composed, privacy)
            }
            Package::Presence => pidf::write_state(&mut out.arena, &watched.aor, composed),
        }
        let mut hasher = DefaultHasher::new();
        out.arena[start..].hash(&mut hasher);
        let body = Body {
            octets: start..out.arena.len(),
            hash: hasher.finish() | 1,
        };
        self.rendered[place] = Some(Rendered {
            generation,
            revision,
            body: body.clone(),
        });
        body
    }
}

/// The part of a body that is this subscription's own.
pub(crate) fn write_prolog(out: &mut Vec<u8>, package: Package, version: u32, entity: &[u8]) {
    match package {
        Package::Dialog => dialog_info::write_prolog(out, version, entity),
        Package::Presence => pidf::write_prolog(out, entity),
    }
}
