//! The common part of all XML documents: hardened reading with quick-xml, and escaping on output
//! (W:C0.10, E4).
//!
//! A document is read once, in linear time, with limits on its size, depth, attributes and
//! namespaces. A document that is not well-formed is refused, and so is any DOCTYPE, except a
//! DOCTYPE of xpidf without an internal subset: no entity is ever defined, no external one ever
//! fetched. Elements are matched by (namespace, local name); the namespaces of older clients are
//! aliases (W:B2.9).

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use smallvec::SmallVec;

use crate::presence::document::DocumentFault;

mod characters;
mod template;

pub(super) use template::Templates;

pub(super) use characters::{
    without_byte_order_mark, write_attribute, write_full_uri, write_number, write_plain_sip_uri,
    write_sip_uri, write_text_element,
};

pub use characters::write_escaped;

use characters::{decode, is_name, is_plain_value, qualified_name, resolve, unescape};
use template::{Draft, range_of};

/// The start of every document (W:C0.9).
pub(super) const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Maximum octets of a document, unless its type has another limit.
pub const DOCUMENT_OCTETS_MAX: usize = 64 * 1024;
/// Maximum nesting depth of elements.
const DEPTH_MAX: usize = 32;
/// Maximum attributes of one element, including namespace declarations.
const ATTRIBUTES_MAX: usize = 64;
/// Maximum namespace declarations in scope.
const BINDINGS_MAX: usize = 64;

/// A known namespace, under any of its URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
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
    /// RFC 4662
    Rlmi,
    /// RFC 3680
    RegInfo,
    /// RFC 4745
    CommonPolicy,
    /// RFC 5025
    PresRules,
    /// Another, or none.
    Other,
}

/// The URIs of the namespaces. The first of each is the current one, the others are those of older
/// clients (W:B2.9, B2.10).
const SPACES: [(&str, Space); 15] = [
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
    ("urn:ietf:params:xml:ns:rlmi", Space::Rlmi),
    ("urn:ietf:params:xml:ns:reginfo", Space::RegInfo),
    ("urn:ietf:params:xml:ns:common-policy", Space::CommonPolicy),
    ("urn:ietf:params:xml:ns:pres-rules", Space::PresRules),
];

impl Space {
    /// The namespace with that URI. Blanks are ignored: one client in the field writes a blank
    /// inside the URI (W:G3).
    fn named(uri: &str) -> Self {
        let without_blanks = |name: &str| {
            uri.chars()
                .filter(|character| !character.is_ascii_whitespace())
                .eq(name.chars())
        };
        let exact = SPACES.iter().find(|(name, _)| *name == uri);
        exact
            .or_else(|| SPACES.iter().find(|(name, _)| without_blanks(name)))
            .map_or(Self::Other, |&(_, space)| space)
    }
}

/// The name of an element: its namespace and its local name, which is empty if it is not in
/// [`Visitor::NAMES`].
pub(super) type Name = (Space, &'static str);

/// The start tag of an element.
pub(super) struct Element<'a> {
    /// Its name; the local name is empty if it is not in [`Visitor::NAMES`].
    pub(super) name: Name,
    /// Its local name, known or not.
    pub(super) local: &'a str,
    attributes: &'a [Attribute<'a>],
}

/// The name of an attribute and its value, unescaped.
type Attribute<'a> = (&'a str, Cow<'a, str>);
type Attributes<'a> = SmallVec<[Attribute<'a>; 8]>;

impl Element<'_> {
    /// The value of an unprefixed attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| &**value)
    }
}

/// Receives the elements of a document in order.
pub(super) trait Visitor {
    /// The local names that it knows.
    const NAMES: &'static [&'static str];
    /// Maximum octets of a document of this type.
    const OCTETS_MAX: usize = DOCUMENT_OCTETS_MAX;
    /// Whether a DOCTYPE is ignored if it only references an external definition. The definition is
    /// never fetched (W:E4.1).
    const ALLOWS_EXTERNAL_DOCTYPE: bool = false;

    /// An element begins. `parents` are the enclosing elements, the root first.
    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault>;

    /// An element ends. `text` is the text between its last inner tag and its end, without white
    /// space before it: all of its text if it has no child elements.
    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault>;
}

/// Reads a document and passes its elements to a visitor.
///
/// # Errors
/// `TooLarge` over a limit, `UnsupportedType` for an encoding other than UTF-8, US-ASCII and
/// ISO-8859-1, `Malformed` for a document that is not well-formed or has a DOCTYPE, and the faults
/// that the visitor returns.
pub(super) fn read<V: Visitor>(body: &[u8], visitor: &mut V) -> Result<(), DocumentFault> {
    let document = decode(body, V::OCTETS_MAX)?;
    read_decoded(&document, visitor, None)
}

/// Like [`read`], but a document that differs from one read before only in plain values is not read
/// as XML again. `templates` are used for visitors of this type only.
///
/// # Errors
/// Those of [`read`].
pub(super) fn read_by_template<V: Visitor>(
    body: &[u8],
    visitor: &mut V,
    templates: &mut Templates,
) -> Result<(), DocumentFault> {
    let body = without_byte_order_mark(body);
    if let Some(visited) = templates.visit(body, visitor) {
        return visited;
    }
    let Cow::Borrowed(document) = decode(body, V::OCTETS_MAX)? else {
        // Not UTF-8, so that its octets are not those of the template.
        return read(body, visitor);
    };
    let mut draft = Draft::of(document);
    read_decoded(document, visitor, Some(&mut draft))?;
    templates.keep(document, draft);
    Ok(())
}

fn read_decoded<V: Visitor>(
    document: &str,
    visitor: &mut V,
    draft: Option<&mut Draft>,
) -> Result<(), DocumentFault> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_comments = true;
    let mut walk = Walk {
        visitor,
        document,
        draft,
        names: SmallVec::new(),
        bindings: Bindings::default(),
        text: String::new(),
        has_root: false,
    };
    let mut is_first = true;
    let mut may_have_doctype = V::ALLOWS_EXTERNAL_DOCTYPE;
    loop {
        let event = reader.read_event().map_err(|_| DocumentFault::Malformed)?;
        // White space between tags is skipped at once: no visitor looks at it.
        reader.config_mut().trim_text_start = follows_markup(&event);
        match event {
            Event::Start(start) => walk.start(&start)?,
            Event::Empty(start) => {
                walk.start(&start)?;
                walk.end()?;
            }
            Event::End(_) => walk.end()?,
            Event::Text(text) => walk.text(&text.xml10_content())?,
            Event::CData(text) => walk.character_data(&text.xml10_content())?,
            Event::GeneralRef(reference) => walk.reference(&reference)?,
            Event::Comment(_) => walk.give_up_template(),
            Event::Decl(_) if is_first => {}
            Event::PI(instruction) if may_be_target(instruction.target()) => {
                walk.give_up_template();
            }
            Event::DocType(doctype)
                if !walk.has_root
                    && std::mem::take(&mut may_have_doctype)
                    && names_external_definition(&doctype) => {}
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(DocumentFault::Malformed);
            }
        }
        is_first = false;
    }
    if walk.has_root && walk.names.is_empty() {
        Ok(())
    } else {
        Err(DocumentFault::Malformed)
    }
}

/// Returns whether what follows the event follows a tag or the XML declaration, rather than a piece
/// of text.
const fn follows_markup(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Decl(_)
    )
}

/// Returns whether a processing instruction may have that target (XML 1.0 §2.6).
fn may_be_target(target: &str) -> bool {
    is_name(target) && !target.eq_ignore_ascii_case("xml")
}

/// Text as a display name: trimmed, truncated at a character boundary, None if nothing is left.
pub(super) fn name(text: &str, chars_max: usize) -> Option<&str> {
    let text = text.trim();
    let end = text.char_indices().nth(chars_max).map(|(end, _)| end);
    let text = end.map_or(text, |end| &text[..end]);
    (!text.is_empty()).then_some(text)
}

/// Returns whether a DOCTYPE is just `name PUBLIC "id" "uri"` or `name SYSTEM "uri"`. Without an
/// internal subset it defines nothing.
fn names_external_definition(doctype: &str) -> bool {
    fn literal(text: &str) -> Option<&str> {
        let text = text.trim_ascii_start();
        let quote = text
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\''))?;
        text[1..].split_once(quote).map(|(_, rest)| rest)
    }
    let name_and_rest = doctype
        .trim_ascii()
        .split_once(|c: char| c.is_ascii_whitespace());
    let Some((_, id)) = name_and_rest else {
        return false;
    };
    let id = id.trim_ascii_start();
    let rest = if let Some(public) = id.strip_prefix("PUBLIC") {
        literal(public).and_then(literal)
    } else {
        id.strip_prefix("SYSTEM").and_then(literal)
    };
    rest.is_some_and(|rest| rest.trim_ascii().is_empty())
}

/// The state while a document is read.
struct Walk<'v, V> {
    visitor: &'v mut V,
    document: &'v str,
    /// The template that the document may become.
    draft: Option<&'v mut Draft>,
    /// The open elements, the root first.
    names: SmallVec<[Name; 8]>,
    bindings: Bindings,
    /// Text since the last tag.
    text: String,
    has_root: bool,
}

impl<V: Visitor> Walk<'_, V> {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), DocumentFault> {
        if self.names.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(DocumentFault::Malformed);
        }
        if self.names.len() >= DEPTH_MAX {
            return Err(DocumentFault::TooLarge);
        }
        let mut attributes = Attributes::new();
        read_attributes(start, &mut attributes)?;
        self.declare(&attributes)?;
        let name = start.name().into_inner();
        let known = |local: &str| V::NAMES.iter().find(|known| **known == local).copied();
        // What the visitor knows is a name, so most names need no further look.
        let (prefix, local, known) = match known(name) {
            Some(known) => ("", name, known),
            None => {
                let (prefix, local) = qualified_name(name).ok_or(DocumentFault::Malformed)?;
                (prefix, local, known(local).unwrap_or_default())
            }
        };
        let element = Element {
            name: (self.bindings.space(prefix), known),
            local,
            attributes: &attributes,
        };
        if let Some(draft) = &mut self.draft {
            draft.start(self.document, &element);
        }
        self.visitor.start(&element, &self.names)?;
        self.names.push(element.name);
        self.text.clear();
        Ok(())
    }

    /// The document has more than tags and texts.
    fn give_up_template(&mut self) {
        if let Some(draft) = &mut self.draft {
            draft.give_up();
        }
    }

    /// Declares the namespaces of an element.
    fn declare(&mut self, attributes: &[Attribute<'_>]) -> Result<(), DocumentFault> {
        let depth = self.names.len();
        for (key, value) in attributes {
            if let Some(declared) = key.strip_prefix("xmlns") {
                match declared.strip_prefix(':') {
                    None if declared.is_empty() => self.bindings.declare("", value, depth)?,
                    Some(prefix) => self.bindings.declare(prefix, value, depth)?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), DocumentFault> {
        let Some(name) = self.names.pop() else {
            return Err(DocumentFault::Malformed);
        };
        if let Some(draft) = &mut self.draft {
            draft.end();
        }
        self.visitor.end(name, &self.names, &self.text)?;
        self.bindings.leave(self.names.len());
        self.text.clear();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), DocumentFault> {
        let may_end = memchr::memchr(b']', text.as_bytes()).is_some();
        if may_end && text.contains("]]>") {
            return Err(DocumentFault::Malformed);
        }
        if self.names.is_empty() && text.bytes().all(|octet| octet.is_ascii_whitespace()) {
            return Ok(());
        }
        if let Some(draft) = &mut self.draft {
            draft.text(self.document, text);
        }
        self.push_text(text)
    }

    fn character_data(&mut self, text: &str) -> Result<(), DocumentFault> {
        self.give_up_template();
        self.push_text(text)
    }

    fn push_text(&mut self, text: &str) -> Result<(), DocumentFault> {
        if self.names.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn reference(&mut self, name: &str) -> Result<(), DocumentFault> {
        if self.names.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        self.give_up_template();
        self.text.push(resolve(name)?);
        Ok(())
    }
}

/// Reads the attributes of an element; their names must differ (XML 1.0 §3.1).
fn read_attributes<'a>(
    start: &'a BytesStart<'_>,
    attributes: &mut Attributes<'a>,
) -> Result<(), DocumentFault> {
    let raw = start.attributes_raw();
    if raw.is_empty() {
        return Ok(());
    }
    let is_plain = is_plain_value(raw);
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| DocumentFault::Malformed)?;
        let key = attribute.key.into_inner();
        let is_second = attributes.iter().any(|(other, _)| *other == key);
        if is_second || qualified_name(key).is_none() || !follows_white_space(raw, key) {
            return Err(DocumentFault::Malformed);
        }
        if attributes.len() >= ATTRIBUTES_MAX {
            return Err(DocumentFault::TooLarge);
        }
        let value = if is_plain {
            attribute.value
        } else {
            unescape(attribute.value)?
        };
        attributes.push((key, value));
    }
    Ok(())
}

/// Returns whether white space precedes an attribute in its tag (XML 1.0 §3.1).
fn follows_white_space(tag: &str, key: &str) -> bool {
    let before = range_of(tag, key).and_then(|range| range.start.checked_sub(1));
    before.is_some_and(|before| tag.as_bytes()[before].is_ascii_whitespace())
}

/// The namespace declarations in scope.
#[derive(Default)]
struct Bindings(SmallVec<[Binding; 4]>);

struct Binding {
    prefix: Box<str>,
    space: Space,
    /// The number of enclosing elements of the one that declares it.
    depth: usize,
}

impl Bindings {
    fn declare(&mut self, prefix: &str, uri: &str, depth: usize) -> Result<(), DocumentFault> {
        if self.0.len() >= BINDINGS_MAX {
            return Err(DocumentFault::TooLarge);
        }
        self.0.push(Binding {
            prefix: prefix.into(),
            space: Space::named(uri),
            depth,
        });
        Ok(())
    }

    /// An undeclared prefix counts as an unknown namespace: its elements are ignored.
    fn space(&self, prefix: &str) -> Space {
        let binding = self
            .0
            .iter()
            .rev()
            .find(|binding| *binding.prefix == *prefix);
        binding.map_or(Space::Other, |binding| binding.space)
    }

    fn leave(&mut self, depth: usize) {
        while self.0.last().is_some_and(|last| last.depth >= depth) {
            self.0.pop();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
