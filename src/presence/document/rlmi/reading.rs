//! Reading the root of a list's body (RFC 4662 §5).
//!
//! A missing `version`, `fullState` (read as full) or `uri` of the list is tolerated. A resource without a URI is
//! ignored. A document has at most as many resources as fit into its octets
//! ([`DOCUMENT_OCTETS_MAX`](xml::DOCUMENT_OCTETS_MAX)).

use crate::presence::document::xml::{Element, Name, Space, Visitor};
use crate::presence::document::{DocumentFault, xml};

/// Maximum octets of a URI, a `cid` or a reason; a resource with a longer URI is ignored.
const TEXT_OCTETS_MAX: usize = 1024;

/// A list, as the root of its body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The number of the NOTIFY; None without one.
    pub version: Option<u32>,
    /// Whether each resource of the list is mentioned.
    pub full: bool,
    /// In the order of the document.
    pub resources: Vec<OutlineResource>,
}

/// A resource of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlineResource {
    /// Its URI.
    pub uri: Box<str>,
    /// The instance that counts of its instances, which are the dialogs of a virtual subscription: the first active
    /// one, else the first pending one, else the first. None: nothing is known about its state yet.
    pub instance: Option<OutlineInstance>,
}

/// An instance of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineInstance {
    /// Its state.
    pub state: OutlineState,
    /// The body part with its state, without angle brackets; empty without one.
    pub content_id: Box<str>,
}

/// The state of a virtual subscription, as read. The first is the one that counts most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutlineState {
    /// Active, or a state that we do not know (RFC 6665 §4.1.3).
    Active,
    /// No policy has decided yet.
    Pending,
    /// It ended, for that reason; empty without one.
    Terminated(Box<str>),
}

/// Reads the root of a list's body.
///
/// # Errors
/// `Malformed` for anything not well-formed, or another root; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<Outline, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    Ok(reading.outline)
}

#[derive(Default)]
struct Reading {
    outline: Outline,
    /// The resource being read.
    resource: OutlineResource,
}

const LIST: Name = (Space::Rlmi, "list");
const RESOURCE: Name = (Space::Rlmi, "resource");
const INSTANCE: Name = (Space::Rlmi, "instance");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &["list", "resource", "instance"];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        let text = |name| {
            let text = element.attribute(name).unwrap_or_default().trim_ascii();
            if text.len() > TEXT_OCTETS_MAX {
                ""
            } else {
                text
            }
        };
        match (parents, element.name) {
            ([], LIST) => {
                self.outline.version = text("version").parse().ok();
                self.outline.full = !matches!(text("fullState"), "false" | "0");
            }
            ([], _) => return Err(DocumentFault::Malformed),
            ([LIST], RESOURCE) => {
                self.resource = OutlineResource {
                    uri: text("uri").into(),
                    instance: None,
                };
            }
            ([LIST, RESOURCE], INSTANCE) => self.resource.take(OutlineInstance {
                state: state(text("state"), text("reason")),
                content_id: without_wrapping(text("cid")).into(),
            }),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], _text: &str) -> Result<(), DocumentFault> {
        if let ([LIST], RESOURCE) = (parents, name) {
            let resource = std::mem::take(&mut self.resource);
            if !resource.uri.is_empty() {
                self.outline.resources.push(resource);
            }
        }
        Ok(())
    }
}

impl OutlineResource {
    /// Of two instances the one counts that has a state and comes first.
    fn take(&mut self, instance: OutlineInstance) {
        let rank = |instance: &OutlineInstance| match instance.state {
            OutlineState::Active => (0, instance.content_id.is_empty()),
            OutlineState::Pending => (1, false),
            OutlineState::Terminated(_) => (2, false),
        };
        let known = self.instance.as_ref();
        if known.is_none_or(|known| rank(&instance) < rank(known)) {
            self.instance = Some(instance);
        }
    }
}

fn state(state: &str, reason: &str) -> OutlineState {
    if state.eq_ignore_ascii_case("terminated") {
        OutlineState::Terminated(reason.into())
    } else if state.eq_ignore_ascii_case("pending") {
        OutlineState::Pending
    } else {
        OutlineState::Active
    }
}

/// `<a@b>`, which some servers write, and `cid:a@b` name the part `a@b`.
fn without_wrapping(content_id: &str) -> &str {
    let bare = content_id.strip_prefix('<');
    let bare = bare.and_then(|bare| bare.strip_suffix('>'));
    let bare = bare.unwrap_or(content_id);
    bare.strip_prefix("cid:").unwrap_or(bare)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn outline(attributes: &str, content: &str) -> Outline {
        let body = format!(
            "<?xml version=\"1.0\"?><list xmlns=\"urn:ietf:params:xml:ns:rlmi\" {attributes}>{content}</list>"
        );
        parse(body.as_bytes()).unwrap()
    }

    fn instance(content: &str) -> Option<OutlineInstance> {
        let content = format!("<resource uri=\"sip:1@a\"><name>One</name>{content}</resource>");
        outline("", &content).resources.remove(0).instance
    }

    #[test]
    fn what_the_root_says() {
        let list = outline("uri=\"sip:l@a\" version=\"7\" fullState=\"true\"", "");
        assert_eq!((list.version, list.full), (Some(7), true));
        let list = outline("version=\"8\" fullState=\"false\"", "");
        assert_eq!((list.version, list.full), (Some(8), false));
        let list = outline("", "<resource/><resource uri=\" sip:2@a \"/>");
        assert_eq!((list.version, list.full), (None, true));
        assert_eq!(list.resources.len(), 1);
        assert_eq!(&*list.resources[0].uri, "sip:2@a");
        assert_eq!(list.resources[0].instance, None);
    }

    #[test]
    fn other_documents_are_malformed() {
        for body in [
            "<list/>",
            "",
            "<resource xmlns=\"urn:ietf:params:xml:ns:rlmi\"/>",
        ] {
            assert_eq!(
                parse(body.as_bytes()),
                Err(DocumentFault::Malformed),
                "{body}"
            );
        }
    }

    #[test]
    fn the_instance_that_has_a_state_counts() {
        let active = |content_id: &str| {
            Some(OutlineInstance {
                state: OutlineState::Active,
                content_id: content_id.into(),
            })
        };
        let ended = "<instance id=\"1\" state=\"terminated\" reason=\"timeout\"/>";
        let pending = "<instance id=\"2\" state=\"pending\"/>";
        let bare = "<instance id=\"3\" state=\"active\"/>";
        let first = "<instance id=\"4\" state=\"active\" cid=\"&lt;a@b&gt;\"/>";
        let second = "<instance id=\"5\" state=\"active\" cid=\"cid:c@d\"/>";
        let state = |content: &str| instance(content).unwrap().state;
        assert_eq!(state(ended), OutlineState::Terminated("timeout".into()));
        assert_eq!(state(&format!("{ended}{pending}")), OutlineState::Pending);
        assert_eq!(instance(&format!("{pending}{bare}")), active(""));
        assert_eq!(instance(&format!("{bare}{first}{second}")), active("a@b"));
        assert_eq!(instance(second), active("c@d"));
        assert_eq!(instance(""), None);
    }
}
