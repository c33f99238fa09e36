//! Reading a published `dialog-info` document (RFC 4235 §4; W:B3).

use std::ops::Range;

use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::document::xml::{Element, Name, Space, Templates, Visitor};
use crate::presence::document::{Document, DocumentFault, xml};

/// Maximum dialogs read from a document; further ones are ignored (RFC 4235 §4).
pub const DIALOGS_MAX: usize = 50;
/// Maximum octets of an `id`, Call-ID, tag or URI.
pub(super) const NAME_OCTETS_MAX: usize = 1024;
/// Maximum characters of a display name; a longer one is truncated.
pub(super) const DISPLAY_CHARS_MAX: usize = 256;

/// Octets of all texts of one dialog, unless they are unusually long.
const TEXTS_OCTETS: usize = 512;

/// Reads a published document. A missing `version`, `state` (read as full) or `entity` is
/// tolerated, `receiver` is read as `recipient`, a dialog without a known state is ignored, and of
/// two dialogs with the same `id` the last counts (RFC 4235 §4).
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, or a dialog without an `id`; `TooLarge`
/// over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    parse_by(|reading| xml::read(body, reading))
}

/// Like [`parse`], by the templates of earlier documents if it was written from one of them.
///
/// # Errors
/// Those of [`parse`].
pub(in crate::presence::document) fn parse_by_template(
    body: &[u8],
    templates: &mut Templates,
) -> Result<Document, DocumentFault> {
    parse_by(|reading| xml::read_by_template(body, reading, templates))
}

fn parse_by(
    read: impl FnOnce(&mut Reading) -> Result<(), DocumentFault>,
) -> Result<Document, DocumentFault> {
    let mut reading = Reading {
        entity: None,
        full: true,
        dialogs: Vec::new(),
        dialog: None,
        texts: String::new(),
        has_unknown: false,
    };
    read(&mut reading)?;
    // A full document without a dialog means that there is no call. One whose dialogs all have unknown
    // states does not.
    let says_nothing = reading.has_unknown && reading.dialogs.is_empty();
    Ok(Document::DialogInfo {
        entity: reading.entity,
        full: reading.full && !says_nothing,
        dialogs: reading.dialogs,
    })
}

struct Reading {
    entity: Option<Box<str>>,
    full: bool,
    dialogs: Vec<CallDialog>,
    /// The dialog being read.
    dialog: Option<Draft>,
    /// Its texts.
    texts: String,
    /// Whether a dialog was ignored because of its state.
    has_unknown: bool,
}

/// A dialog whose state may not have been read yet.
#[derive(Debug, Default)]
struct Draft {
    id: Text,
    call_id: Text,
    local_tag: Text,
    remote_tag: Text,
    direction: Option<Direction>,
    state: Option<CallState>,
    local: DraftParty,
    remote: DraftParty,
}

#[derive(Debug, Default)]
struct DraftParty {
    identity: Text,
    display: Text,
    target: Text,
    rendering: Option<bool>,
}

/// Where a text lies in those of the dialog being read.
type Text = Range<usize>;

impl Draft {
    fn dialog(&self, state: CallState, texts: &str) -> CallDialog {
        let text = |text: &Text| texts.get(text.clone()).unwrap_or_default();
        let party = |party: &DraftParty| Party {
            identity: text(&party.identity),
            display: text(&party.display),
            target: text(&party.target),
            rendering: party.rendering,
        };
        CallDialog::from(CallParts {
            state,
            id: text(&self.id),
            call_id: text(&self.call_id),
            local_tag: text(&self.local_tag),
            remote_tag: text(&self.remote_tag),
            direction: self.direction,
            local: party(&self.local),
            remote: party(&self.remote),
            remote_is_private: false,
        })
    }
}

const ROOT: Name = (Space::DialogInfo, "dialog-info");
const DIALOG: Name = (Space::DialogInfo, "dialog");
const STATE: Name = (Space::DialogInfo, "state");
const LOCAL: Name = (Space::DialogInfo, "local");
const REMOTE: Name = (Space::DialogInfo, "remote");
const IDENTITY: Name = (Space::DialogInfo, "identity");
const TARGET: Name = (Space::DialogInfo, "target");
const PARAM: Name = (Space::DialogInfo, "param");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "dialog-info",
        "dialog",
        "state",
        "local",
        "remote",
        "identity",
        "target",
        "param",
    ];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        match (parents, element.name) {
            ([], ROOT) => self.start_document(element),
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], DIALOG) => self.dialog = self.start_dialog(element)?,
            (&[ROOT, DIALOG, side], IDENTITY) => {
                let display = element.attribute("display");
                let display = display.and_then(|display| xml::name(display, DISPLAY_CHARS_MAX));
                let display = self.keep(display.unwrap_or_default());
                if let Some(party) = self.party(side) {
                    party.display = display;
                }
            }
            (&[ROOT, DIALOG, side], TARGET) => {
                let target = self.keep(element.attribute("uri").map(uri).unwrap_or_default());
                if let Some(party) = self.party(side) {
                    party.target = target;
                }
            }
            (&[ROOT, DIALOG, side, TARGET], PARAM) => self.param(side, element),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT], DIALOG) => self.end_dialog(),
            ([ROOT, DIALOG], STATE) => {
                if let Some(draft) = &mut self.dialog {
                    draft.state = state(text);
                }
            }
            (&[ROOT, DIALOG, side], IDENTITY) => {
                let identity = self.keep(uri(text));
                if let Some(party) = self.party(side) {
                    party.identity = identity;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn start_document(&mut self, root: &Element<'_>) {
        self.entity = root
            .attribute("entity")
            .map(str::trim_ascii)
            .filter(|entity| !entity.is_empty())
            .map(Box::from);
        self.full = !root
            .attribute("state")
            .is_some_and(|state| state.trim_ascii().eq_ignore_ascii_case("partial"));
    }

    fn start_dialog(&mut self, element: &Element<'_>) -> Result<Option<Draft>, DocumentFault> {
        let name = |attribute| {
            let value = element.attribute(attribute).unwrap_or_default();
            let value = value.trim_ascii();
            match value.len() <= NAME_OCTETS_MAX {
                true => Ok(value),
                false => Err(DocumentFault::TooLarge),
            }
        };
        let id = name("id")?;
        if id.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        let is_new = !self.dialogs.iter().any(|dialog| dialog.id() == id);
        if is_new && self.dialogs.len() >= DIALOGS_MAX {
            return Ok(None);
        }
        self.texts.clear();
        self.texts.reserve(TEXTS_OCTETS);
        Ok(Some(Draft {
            id: self.keep(id),
            call_id: self.keep(name("call-id")?),
            local_tag: self.keep(name("local-tag")?),
            remote_tag: self.keep(name("remote-tag")?),
            direction: element.attribute("direction").and_then(direction),
            ..Draft::default()
        }))
    }

    fn end_dialog(&mut self) {
        let Some(draft) = self.dialog.take() else {
            return;
        };
        let Some(state) = draft.state else {
            self.has_unknown = true;
            return;
        };
        let dialog = draft.dialog(state, &self.texts);
        self.dialogs.retain(|other| other.id() != dialog.id());
        self.dialogs.push(dialog);
    }

    /// Adds a text to those of the dialog being read.
    fn keep(&mut self, text: &str) -> Text {
        let start = self.texts.len();
        self.texts.push_str(text);
        start..self.texts.len()
    }

    fn party(&mut self, side: Name) -> Option<&mut DraftParty> {
        let dialog = self.dialog.as_mut()?;
        match side {
            LOCAL => Some(&mut dialog.local),
            REMOTE => Some(&mut dialog.remote),
            _ => None,
        }
    }

    /// The schema has `pval`; Asterisk and FreeSWITCH write `pvalue` (RFC 4235 §4.1.6).
    fn param(&mut self, side: Name, element: &Element<'_>) {
        let is_rendering = element
            .attribute("pname")
            .is_some_and(|name| name.trim_ascii() == "+sip.rendering");
        let value = element
            .attribute("pval")
            .or_else(|| element.attribute("pvalue"));
        let rendering = value
            .map(|value| value.trim_ascii().trim_matches('"'))
            .and_then(|value| match value {
                "no" => Some(false),
                "yes" => Some(true),
                _ => None,
            });
        if is_rendering && let Some(party) = self.party(side) {
            party.rendering = rendering;
        }
    }
}

fn direction(text: &str) -> Option<Direction> {
    match text.trim_ascii() {
        "initiator" => Some(Direction::Initiator),
        "recipient" | "receiver" => Some(Direction::Recipient),
        _ => None,
    }
}

fn state(text: &str) -> Option<CallState> {
    const STATES: [CallState; 5] = [
        CallState::Trying,
        CallState::Proceeding,
        CallState::Early,
        CallState::Confirmed,
        CallState::Terminated,
    ];
    let text = text.trim_ascii();
    STATES
        .into_iter()
        .find(|state| text.eq_ignore_ascii_case(state.as_str()))
}

/// A URI that is too long counts as unknown.
fn uri(text: &str) -> &str {
    let text = text.trim_ascii();
    match text.len() <= NAME_OCTETS_MAX {
        true => text,
        false => "",
    }
}
