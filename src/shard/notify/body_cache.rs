//! Bodies rendered once per (document, view) and shared by all watchers of a turn.

use crate::presence::call::SpecificDialog;
use crate::presence::composition::Style;
use crate::presence::document::{View, call_info};
use crate::presence::{Aor, Composed, document};
use crate::shard::contract::body::{Body, hash_of};
use crate::shard::contract::outbox::Outbox;

#[derive(Debug)]
struct Rendered {
    /// The arena generation; a body from before the last clear is invalid.
    generation: u64,
    /// Identifies the presentity state.
    revision: u64,
    view: View,
    body: Body,
}

/// Cache size: the watchers of a presentity use only a few different views.
const REMEMBERED_MAX: usize = 16;

/// The bodies rendered last. The watchers of a presentity are notified consecutively, so a few
/// entries suffice; the oldest is evicted.
#[derive(Debug, Default)]
pub(crate) struct BodyCache {
    rendered: Vec<Rendered>,
    /// Index after the newest entry; the oldest entry is there.
    newest_end: usize,
    /// The state of an unknown presentity, by style.
    blanks: Blanks,
}

#[derive(Debug)]
struct Blanks {
    standard: Composed,
    alceo: Composed,
    imagicle: Composed,
}

impl Default for Blanks {
    fn default() -> Self {
        Self {
            standard: Composed::of_unknown(Style::Standard),
            alceo: Composed::of_unknown(Style::Alceo),
            imagicle: Composed::of_unknown(Style::Imagicle),
        }
    }
}

impl BodyCache {
    /// The shared part of the body for that view.
    pub(crate) fn of(
        &mut self,
        aor: &Aor,
        revision: u64,
        composed: &Composed,
        view: View,
        out: &mut Outbox,
    ) -> Body {
        let generation = out.generation();
        let is_equal = |rendered: &&Rendered| {
            rendered.generation == generation
                && rendered.revision == revision
                && rendered.view == view
        };
        let (older, oldest) = self.rendered.split_at(self.newest_end);
        let mut newest_first = older.iter().rev().chain(oldest.iter().rev());
        if let Some(rendered) = newest_first.find(is_equal) {
            return rendered.body.clone();
        }
        let body = render(aor, composed, view, out);
        let rendered = Rendered {
            generation,
            revision,
            view,
            body: body.clone(),
        };
        if self.rendered.len() < REMEMBERED_MAX {
            self.rendered.push(rendered);
            self.newest_end = self.rendered.len();
        } else {
            let place = self.newest_end % REMEMBERED_MAX;
            self.rendered[place] = rendered;
            self.newest_end = place + 1;
        }
        body
    }

    /// The body for a subscription to a single dialog. Rare, so not cached.
    pub(crate) fn of_dialog(
        aor: &Aor,
        composed: &Composed,
        dialog: &SpecificDialog,
        view: View,
        out: &mut Outbox,
    ) -> Body {
        render(aor, &composed.narrowed_to(dialog), view, out)
    }

    /// The body for a politely blocked watcher (RFC 3856 §6.6, RFC 5025 §3.2.1): it reads like that of
    /// an unknown presentity in the same style.
    pub(crate) fn of_blank(&self, aor: &Aor, style: Style, view: View, out: &mut Outbox) -> Body {
        let blank = match style {
            Style::Standard => &self.blanks.standard,
            Style::Alceo => &self.blanks.alceo,
            Style::Imagicle => &self.blanks.imagicle,
        };
        render(aor, blank, view, out)
    }
}

fn render(aor: &Aor, composed: &Composed, view: View, out: &mut Outbox) -> Body {
    let start = out.arena.len();
    if view.format.has_call_info() {
        call_info::write_appearances(&mut out.arena, aor, composed, view.privacy);
    }
    let middle = out.arena.len();
    document::write_state(&mut out.arena, view, aor, composed);
    Body {
        call_info: start..middle,
        octets: middle..out.arena.len(),
        // Call-Info carries state too, so it is hashed as well.
        hash: hash_of(&out.arena[start..]),
    }
}
