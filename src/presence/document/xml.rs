//! What the XML documents share: guarded reading, and escaping on output (W:C0.10, E4).
//!
//! A document is read once, in linear time, with bounds on its size, depth, attributes and namespaces.
//! A document that is not well-formed is refused, and so is any DOCTYPE, except that of one type of
//! document, which must define nothing: no entity is ever defined, no external one ever fetched.
//! Elements are matched by (namespace, local name), with the namespaces of older clients as aliases
//! (W:B2.9).

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::presence::document::DocumentFault;

mod characters;
mod namespace;
mod tokens;

pub(super) use characters::without_byte_order_mark;
pub(super) use characters::write_attribute;
pub(super) use characters::write_full_uri;
pub(super) use characters::write_number;
pub(super) use characters::write_plain_sip_uri;
pub(super) use characters::write_sip_uri;
pub(super) use characters::write_text_element;

pub(super) use namespace::Space;

pub use characters::write_escaped;

use characters::decode;
use characters::resolve;
use namespace::Bindings;
use tokens::Token;
use tokens::Tokens;
use tokens::with_line_ends;

/// How every document begins (W:C0.9).
pub(super) const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Octets of a document, unless its type has another limit.
pub const DOCUMENT_OCTETS_MAX: usize = 64 * 1024;
/// Elements within elements.
const DEPTH_MAX: usize = 32;
/// Attributes of one element, namespace declarations included.
const ATTRIBUTES_MAX: usize = 64;

/// The name of an element: its namespace and its local name, which is empty if the visitor does not
/// know it.
pub(super) type Name = (Space, &'static str);

/// The start tag of an element.
pub(super) struct Element<'a> {
    /// Its name, as far as the visitor knows it.
    pub(super) name: Name,
    /// Its local name, known or not.
    pub(super) local: &'a str,
    attributes: SmallVec<[(&'a str, Cow<'a, str>); 8]>,
}

impl Element<'_> {
    /// The value of an attribute without a prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| &**value)
    }
}

/// Receives the elements of a document in their order.
pub(super) trait Visitor {
    /// The local names that it knows.
    const NAMES: &'static [&'static str];
    /// The most octets of a document of this type.
    const OCTETS_MAX: usize = DOCUMENT_OCTETS_MAX;
    /// Whether a DOCTYPE is ignored if it only names an external definition. What it names is never
    /// fetched (W:E4.1).
    const PASSES_OVER_DOCTYPE: bool = false;

    /// An element begins. `parents` are the elements around it, the root first.
    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault>;

    /// An element ends. `text` is the text between its last inner tag and its end: all of its text if
    /// it has no child elements.
    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault>;
}

/// Reads a document and gives its elements to a visitor.
///
/// # Errors
/// `TooLarge` over a limit, `UnsupportedType` for an encoding other than UTF-8, US-ASCII and
/// ISO-8859-1, `Malformed` for what is not well-formed or carries a DOCTYPE, and the faults
/// that the visitor returns.
pub(super) fn read<V: Visitor>(body: &[u8], visitor: &mut V) -> Result<(), DocumentFault> {
    let document = decode(body, V::OCTETS_MAX)?;
    let mut tokens = Tokens::new(&document);
    let mut walk = Walk {
        visitor,
        names: SmallVec::new(),
        tags: SmallVec::new(),
        bindings: Bindings::default(),
        text: Text::default(),
        has_root: false,
    };
    let mut is_first = true;
    let mut may_have_doctype = V::PASSES_OVER_DOCTYPE;
    while let Some(token) = tokens.next()? {
        match token {
            Token::Start(tag) => {
                walk.start(tag, &mut tokens)?;
                if tokens.end_start()? {
                    walk.end(tag)?;
                }
            }
            Token::End(tag) => walk.end(tag)?,
            Token::Text(text) => walk.text(text)?,
            Token::CharacterData(text) => walk.character_data(text)?,
            Token::Reference(reference) => walk.reference(reference)?,
            Token::Comment => {}
            Token::Declaration if is_first => {}
            Token::Instruction(target) if !target.eq_ignore_ascii_case("xml") => {}
            Token::DocumentType(doctype)
                if !walk.has_root
                    && std::mem::take(&mut may_have_doctype)
                    && names_external_definition(doctype) => {}
            Token::Declaration | Token::Instruction(_) | Token::DocumentType(_) => {
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

/// Text as a display name: trimmed, cut between characters, None if nothing is left.
pub(super) fn name(text: &str, chars_max: usize) -> Option<Box<str>> {
    let text = text.trim();
    let end = text.char_indices().nth(chars_max).map(|(end, _)| end);
    let text = end.map_or(text, |end| &text[..end]);
    (!text.is_empty()).then(|| text.into())
}

/// Whether a DOCTYPE is `name PUBLIC "id" "uri"` or `name SYSTEM "uri"` and nothing more. Without an
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
struct Walk<'v, 'd, V> {
    visitor: &'v mut V,
    /// The open elements, the root first.
    names: SmallVec<[Name; 8]>,
    /// Their names as their start tags have them.
    tags: SmallVec<[&'d str; 8]>,
    bindings: Bindings<'d>,
    /// Text since the last tag.
    text: Text<'d>,
    has_root: bool,
}

/// Text in the pieces it comes in. Nearly always that is one, which is not copied.
#[derive(Default)]
struct Text<'d> {
    first: &'d str,
    /// All of it, when one piece is not all or not as it came.
    whole: String,
}

impl<'d> Text<'d> {
    fn push(&mut self, piece: &'d str) {
        if self.first.is_empty() && self.whole.is_empty() {
            self.first = piece;
        } else {
            self.owned().push_str(&with_line_ends(piece));
        }
    }

    fn owned(&mut self) -> &mut String {
        let first = std::mem::take(&mut self.first);
        self.whole.push_str(&with_line_ends(first));
        &mut self.whole
    }

    fn as_str(&mut self) -> &str {
        if self.first.bytes().any(|octet| octet == b'\r') {
            self.owned();
        }
        if self.whole.is_empty() {
            self.first
        } else {
            &self.whole
        }
    }

    fn clear(&mut self) {
        self.first = "";
        if !self.whole.is_empty() {
            self.whole.clear();
        }
    }
}

impl<'d, V: Visitor> Walk<'_, 'd, V> {
    /// An element begins; its attributes are next.
    fn start(&mut self, tag: &'d str, tokens: &mut Tokens<'d>) -> Result<(), DocumentFault> {
        if self.names.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(DocumentFault::Malformed);
        }
        if self.names.len() >= DEPTH_MAX {
            return Err(DocumentFault::TooLarge);
        }
        let is_colon = |octet: u8| octet == b':';
        let (prefix, local) = match tag.bytes().position(is_colon) {
            Some(colon) => (&tag[..colon], &tag[colon + 1..]),
            None => ("", tag),
        };
        if local.is_empty() || local.bytes().any(is_colon) {
            return Err(DocumentFault::Malformed);
        }
        let known = V::NAMES.iter().find(|known| **known == local);
        let mut element = Element {
            name: (Space::Other, known.copied().unwrap_or_default()),
            local,
            attributes: SmallVec::new(),
        };
        self.read_attributes(&mut element, tokens)?;
        element.name.0 = self.bindings.space(prefix);
        self.visitor.start(&element, &self.names)?;
        self.names.push(element.name);
        self.tags.push(tag);
        self.text.clear();
        Ok(())
    }

    fn read_attributes(
        &mut self,
        element: &mut Element<'d>,
        tokens: &mut Tokens<'d>,
    ) -> Result<(), DocumentFault> {
        while let Some((key, value)) = tokens.attribute()? {
            if element.attribute(key).is_some() {
                return Err(DocumentFault::Malformed);
            }
            if element.attributes.len() >= ATTRIBUTES_MAX {
                return Err(DocumentFault::TooLarge);
            }
            if let Some(declared) = key.strip_prefix("xmlns") {
                let depth = self.names.len();
                match declared.strip_prefix(':') {
                    None if declared.is_empty() => self.bindings.declare("", &value, depth)?,
                    Some(prefix) => self.bindings.declare(prefix, &value, depth)?,
                    None => {}
                }
            }
            element.attributes.push((key, value));
        }
        Ok(())
    }

    fn end(&mut self, tag: &str) -> Result<(), DocumentFault> {
        let (Some(name), Some(start)) = (self.names.pop(), self.tags.pop()) else {
            return Err(DocumentFault::Malformed);
        };
        if start != tag {
            return Err(DocumentFault::Malformed);
        }
        self.visitor.end(name, &self.names, self.text.as_str())?;
        self.bindings.leave(self.names.len());
        self.text.clear();
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: &'d str) -> Result<(), DocumentFault> {
        if self.names.is_empty() && text.bytes().all(|octet| octet.is_ascii_whitespace()) {
            return Ok(());
        }
        self.character_data(text)
    }

    #[inline]
    fn character_data(&mut self, text: &'d str) -> Result<(), DocumentFault> {
        if self.names.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        self.text.push(text);
        Ok(())
    }

    fn reference(&mut self, name: &str) -> Result<(), DocumentFault> {
        if self.names.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        self.text.owned().push(resolve(name)?);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
