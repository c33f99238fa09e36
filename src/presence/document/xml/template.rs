//! Documents that are written from one template.
//!
//! A PBX writes all its documents alike: from one to the next some attribute values and texts
//! differ, the markup around them does not. So a document is first compared with those read before.
//! If it differs from one of them in plain values only, it has the same elements, and the visitor
//! is given these with the new values. Otherwise it is read as XML.
//!
//! Guarantee: the visitor is given what reading the XML would give it, apart from namespace
//! declarations. The markup is that of a document which was read as XML and found well-formed, and
//! a value is plain only if XML would neither end, replace nor refuse a character of it.

use std::ops::Range;

use smallvec::SmallVec;

use super::characters::{is_plain_value, is_xml_char};
use super::{Attribute, Attributes, Element, Name, Visitor};
use crate::presence::document::DocumentFault;

/// Maximum octets of a document that is kept as a template.
const TEMPLATE_OCTETS_MAX: usize = 4096;
/// Maximum templates kept; another one replaces the one that was needed longest ago.
const TEMPLATES_MAX: usize = 16;

/// The templates of documents of one type.
#[derive(Debug, Default)]
pub(in crate::presence::document) struct Templates {
    /// The last used first.
    templates: Vec<Template>,
}

impl Templates {
    /// Gives the visitor the elements of a document if it was written from a known template; None
    /// if it must be read as XML. All documents are read by visitors of one type.
    pub(super) fn visit<V: Visitor>(
        &mut self,
        document: &[u8],
        visitor: &mut V,
    ) -> Option<Result<(), DocumentFault>> {
        if document.len() > V::OCTETS_MAX {
            return None;
        }
        let found = |(at, template): (usize, &Template)| Some((at, template.values_of(document)?));
        let (at, values) = self.templates.iter().enumerate().find_map(found)?;
        let visited = self.templates[at].visit(&values, visitor);
        self.templates[..=at].rotate_right(1);
        Some(visited)
    }

    /// Keeps what was learned from a document that is well-formed. If its own values are not plain,
    /// it is not worth it: a template for the plain ones may be there already.
    pub(super) fn keep(&mut self, document: &str, draft: Draft) {
        let Some(steps) = draft.steps else { return };
        let template = Template {
            text: document.into(),
            values: draft.values,
            keys: draft.keys,
            steps,
        };
        if template.values_of(document.as_bytes()).is_some() {
            self.templates.truncate(TEMPLATES_MAX - 1);
            self.templates.insert(0, template);
        }
    }
}

/// A document that was read before, and where its values stand.
#[derive(Debug)]
struct Template {
    text: Box<str>,
    /// The values of attributes, and the texts.
    values: Vec<Range<usize>>,
    /// The names of attributes.
    keys: Vec<Range<usize>>,
    steps: Vec<Step>,
}

/// What the visitor is given. Its keys and values are the next ones of the template.
#[derive(Debug)]
enum Step {
    Start {
        name: Name,
        local: Range<usize>,
        attributes: usize,
    },
    End {
        has_text: bool,
    },
}

type Values<'a> = SmallVec<[&'a str; 32]>;

impl Template {
    /// The values of a document; None if it differs in more than plain values.
    fn values_of<'d>(&self, document: &'d [u8]) -> Option<Values<'d>> {
        let mut values = Values::new();
        let mut rest = document;
        let mut read = 0;
        for value in &self.values {
            rest = rest.strip_prefix(&self.text.as_bytes()[read..value.start])?;
            // What follows a value, a quote or the next tag, ends it here too.
            let end = memchr::memchr(self.text.as_bytes()[value.end], rest)?;
            values.push(plain_value(&rest[..end])?);
            rest = &rest[end..];
            read = value.end;
        }
        (rest == &self.text.as_bytes()[read..]).then_some(values)
    }

    fn visit<V: Visitor>(&self, values: &[&str], visitor: &mut V) -> Result<(), DocumentFault> {
        let mut values = values.iter().copied();
        let mut keys = self.keys.iter().map(|key| &self.text[key.clone()]);
        let mut parents: SmallVec<[Name; 8]> = SmallVec::new();
        for step in &self.steps {
            match step {
                Step::Start {
                    name,
                    local,
                    attributes,
                } => {
                    let keys = keys.by_ref().take(*attributes);
                    let values = values.by_ref().map(Into::into);
                    let attributes: Attributes<'_> = keys.zip(values).collect();
                    let element = Element {
                        name: *name,
                        local: &self.text[local.clone()],
                        attributes: &attributes,
                    };
                    visitor.start(&element, &parents)?;
                    parents.push(*name);
                }
                Step::End { has_text } => {
                    let text = values.by_ref().take(usize::from(*has_text)).next();
                    if let Some(name) = parents.pop() {
                        let text = text.unwrap_or_default().trim_ascii_start();
                        visitor.end(name, &parents, text)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A value that stands for itself wherever a value may stand: it is not ended, replaced or refused.
fn plain_value(octets: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(octets).ok()?;
    // `>` could end a `]]>`, which no text may contain.
    let is_plain = is_plain_value(value)
        && memchr::memchr(b'>', octets).is_none()
        && (value.is_ascii() || value.chars().all(is_xml_char));
    is_plain.then_some(value)
}

/// A template in the making, while its document is read as XML.
#[derive(Debug, Default)]
pub(super) struct Draft {
    values: Vec<Range<usize>>,
    keys: Vec<Range<usize>>,
    /// None if the document can be no template.
    steps: Option<Vec<Step>>,
    /// The text since the last tag.
    text: Option<Range<usize>>,
}

impl Draft {
    /// Nothing has been read yet of the document.
    pub(super) fn of(document: &str) -> Self {
        Self {
            steps: (document.len() <= TEMPLATE_OCTETS_MAX).then(Vec::new),
            ..Self::default()
        }
    }

    /// The document has something of which more than plain values could differ in the next one: a
    /// reference, a comment.
    pub(super) fn give_up(&mut self) {
        self.steps = None;
    }

    pub(super) fn start(&mut self, document: &str, element: &Element<'_>) {
        // A text before an inner tag is not given to visitors.
        self.text = None;
        let Some(steps) = &mut self.steps else { return };
        let is_value = |(key, _): &&Attribute<'_>| !is_declaration(key);
        let attributes = element.attributes.iter().filter(is_value);
        let places = attributes.map(|(key, value)| {
            let value = range_of(document, value)?;
            Some((range_of(document, key)?, value))
        });
        let places: Option<SmallVec<[_; 8]>> = places.collect();
        let (Some(places), Some(local)) = (places, range_of(document, element.local)) else {
            return self.give_up();
        };
        steps.push(Step::Start {
            name: element.name,
            local,
            attributes: places.len(),
        });
        for (key, value) in places {
            self.keys.push(key);
            self.values.push(value);
        }
    }

    pub(super) fn text(&mut self, document: &str, text: &str) {
        match range_of(document, text) {
            Some(place) if self.text.is_none() => self.text = Some(place),
            _ => self.give_up(),
        }
    }

    pub(super) fn end(&mut self) {
        let text = self.text.take();
        if let Some(steps) = &mut self.steps {
            let has_text = text.is_some();
            steps.push(Step::End { has_text });
            self.values.extend(text);
        }
    }
}

/// Whether an attribute declares a namespace, so that its value belongs to the markup.
fn is_declaration(key: &str) -> bool {
    key == "xmlns" || key.starts_with("xmlns:")
}

/// Where in the document a part of it stands; None if it is a copy, whose characters may differ.
pub(super) fn range_of(document: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(document.as_ptr().addr())?;
    let range = start..start + part.len();
    (range.end <= document.len()).then_some(range)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
