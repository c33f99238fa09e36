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

use super::{Attribute, Element, Name, Visitor};
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
        let document = std::str::from_utf8(document).ok()?;
        let mut values = Values::new();
        let mut templates = self.templates.iter();
        let at = templates.position(|template| template.read(document, &mut values))?;
        let visited = self.templates[at].visit(&values, visitor);
        drop(values);
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
            steps,
        };
        if template.read(document, &mut Values::new()) {
            self.templates.truncate(TEMPLATES_MAX - 1);
            self.templates.insert(0, template);
        }
    }
}

/// A document that was read before, and how to visit one like it.
#[derive(Debug)]
struct Template {
    text: Box<str>,
    /// Where its values stand. Behind each is an octet that is not plain: a quote, or the `<` of a
    /// tag.
    values: Vec<Place>,
    steps: Vec<Step>,
}

/// The position of an attribute's value, and its name; or of a text, whose name is empty.
#[derive(Debug)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

/// What the visitor is given. Its values are the next ones of the document.
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

/// The values of a document with their names, in order.
type Values<'a> = SmallVec<[Attribute<'a>; 32]>;

impl Template {
    /// Reads the values of a document. False if it differs in more than plain values.
    fn read<'a>(&'a self, document: &'a str, values: &mut Values<'a>) -> bool {
        let (text, octets) = (self.text.as_bytes(), document.as_bytes());
        values.clear();
        // Where the markup that follows a value begins, in the template and in the document.
        let (mut known, mut at) = (0, 0);
        for Place { key, value } in &self.values {
            let markup = &text[known..value.start];
            if !octets[at..].starts_with(markup) {
                return false;
            }
            let start = at + markup.len();
            let mut behind = octets[start..].iter();
            let length = behind.position(|octet| !PLAIN[usize::from(*octet)]);
            let end = length.map_or(start, |length| start + length);
            let Some(found) = document.get(start..end) else {
                return false;
            };
            values.push((&self.text[key.clone()], found.into()));
            (known, at) = (value.end, end);
        }
        octets[at..] == text[known..]
    }

    fn visit<V: Visitor>(
        &self,
        values: &[Attribute<'_>],
        visitor: &mut V,
    ) -> Result<(), DocumentFault> {
        let mut rest = values;
        let mut take = |count: usize| {
            let (taken, behind) = rest.split_at(count);
            rest = behind;
            taken
        };
        let mut parents: SmallVec<[Name; 8]> = SmallVec::new();
        for step in &self.steps {
            match step {
                Step::Start {
                    name,
                    local,
                    attributes,
                } => {
                    let element = Element {
                        name: *name,
                        local: &self.text[local.clone()],
                        attributes: take(*attributes),
                    };
                    visitor.start(&element, &parents)?;
                    parents.push(*name);
                }
                Step::End { has_text } => {
                    let text = take(usize::from(*has_text)).first();
                    let text = text.map_or("", |(_, text)| text.trim_ascii_start());
                    if let Some(name) = parents.pop() {
                        visitor.end(name, &parents, text)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The octets of a plain value: XML neither ends a value with them, nor replaces or refuses them.
/// Not among them are `>`, which could end a `]]>` in a text, and 0xef, with which U+FFFE and U+FFFF
/// begin.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = 0x20;
    while octet < plain.len() {
        plain[octet] = !matches!(octet as u8, b'&' | b'<' | b'>' | b'"' | b'\'' | 0xef);
        octet += 1;
    }
    plain
};

/// A template in the making, while its document is read as XML.
#[derive(Debug, Default)]
pub(super) struct Draft {
    values: Vec<Place>,
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
        let Some(local) = range_of(document, element.local) else {
            return self.give_up();
        };
        let known = self.values.len();
        for (key, value) in element.attributes {
            let (Some(key), Some(value)) = (range_of(document, key), range_of(document, value))
            else {
                return self.give_up();
            };
            if !is_declaration(&document[key.clone()]) {
                self.values.push(Place { key, value });
            }
        }
        steps.push(Step::Start {
            name: element.name,
            local,
            attributes: self.values.len() - known,
        });
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
            let place = text.map(|value| Place { key: 0..0, value });
            self.values.extend(place);
        }
    }
}

/// Whether an attribute declares a namespace, so that its value belongs to the markup.
fn is_declaration(key: &str) -> bool {
    key == "xmlns" || key.starts_with("xmlns:")
}

/// The position of a part in the document; None if it is a copy, whose characters may differ.
pub(super) fn range_of(document: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(document.as_ptr().addr())?;
    let range = start..start + part.len();
    (range.end <= document.len()).then_some(range)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
