//! The tags and the text of a document in their order, in one pass over its octets and without a
//! copy (XML 1.0 §2 to §4.1).
//!
//! It knows no element and no namespace, and does not see whether tags match: that is the walk's. A
//! document is short and its words are shorter, so they are looked at octet by octet, by a table.

use std::borrow::Cow;

use crate::presence::document::DocumentFault;
use crate::presence::document::xml::characters::unescape;

/// A piece of a document.
#[derive(Debug)]
pub(super) enum Token<'d> {
    /// `<name`. Its attributes come next ([`Tokens::attribute`]), then the end of the tag
    /// ([`Tokens::end_start`]).
    Start(&'d str),
    /// `</name>`
    End(&'d str),
    /// Text between tags. Its line ends are as they came.
    Text(&'d str),
    /// What a CDATA section holds. Its line ends are as they came.
    CharacterData(&'d str),
    /// `&name;`
    Reference(&'d str),
    /// `<!-- -->`
    Comment,
    /// `<?xml ?>`
    Declaration,
    /// `<?target ?>`
    Instruction(&'d str),
    /// `<!DOCTYPE >` without an internal subset: what stands in it.
    DocumentType(&'d str),
}

/// The rest of a document.
pub(super) struct Tokens<'d> {
    rest: &'d str,
}

type Read<T> = Result<T, DocumentFault>;

impl<'d> Tokens<'d> {
    pub(super) const fn new(document: &'d str) -> Self {
        Self { rest: document }
    }

    /// The next piece, None at the end. Not to be called within a start tag.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Read<Option<Token<'d>>> {
        let token = match self.rest.as_bytes() {
            [] => return Ok(None),
            [b'<', b'/', ..] => self.end_tag(),
            [b'<', b'?', ..] => self.instruction(),
            [b'<', b'!', ..] => self.markup_declaration(),
            [b'<', ..] => {
                self.skip(1);
                self.name().map(Token::Start)
            }
            [b'&', ..] => self.reference(),
            _ => self.text(),
        };
        token.map(Some)
    }

    /// The next attribute of a start tag and its value, references resolved; None behind the last.
    #[inline]
    pub(super) fn attribute(&mut self) -> Read<Option<(&'d str, Cow<'d, str>)>> {
        self.skip_white_space();
        if matches!(self.rest.as_bytes(), [b'/' | b'>', ..]) {
            return Ok(None);
        }
        let name = self.name()?;
        self.skip_white_space();
        self.expect("=")?;
        self.skip_white_space();
        let quote = match self.rest.as_bytes() {
            [b'"', ..] => DOUBLE_QUOTE,
            [b'\'', ..] => SINGLE_QUOTE,
            _ => return Err(DocumentFault::Malformed),
        };
        self.skip(1);
        let (raw, passed) = self.take_until(quote);
        if self.rest.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        self.skip(1);
        let is_plain = passed & (MARKUP | WHITE_SPACE) == 0 || !has_special(raw);
        let value = if is_plain {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(unescape(raw)?)
        };
        Ok(Some((name, value)))
    }

    /// The end of a start tag: whether the element is empty, `/>`.
    #[inline]
    pub(super) fn end_start(&mut self) -> Read<bool> {
        let is_empty = self.rest.starts_with('/');
        self.expect(if is_empty { "/>" } else { ">" })?;
        Ok(is_empty)
    }

    fn end_tag(&mut self) -> Read<Token<'d>> {
        self.skip(2);
        let name = self.name()?;
        self.skip_white_space();
        self.expect(">")?;
        Ok(Token::End(name))
    }

    #[inline]
    fn text(&mut self) -> Read<Token<'d>> {
        let (text, passed) = self.take_until(MARKUP);
        if passed & BRACKET != 0 && text.contains("]]>") {
            return Err(DocumentFault::Malformed);
        }
        Ok(Token::Text(text))
    }

    fn reference(&mut self) -> Read<Token<'d>> {
        self.skip(1);
        let name = self.take_through(";")?;
        Ok(Token::Reference(name))
    }

    fn instruction(&mut self) -> Read<Token<'d>> {
        self.skip(2);
        let content = self.take_through("?>")?;
        let end = content.bytes().position(is_white_space);
        let target = end.map_or(content, |end| &content[..end]);
        match target {
            "xml" => Ok(Token::Declaration),
            _ if target.starts_with('>') => Err(DocumentFault::Malformed),
            _ => Ok(Token::Instruction(target)),
        }
    }

    /// `<!--`, `<![CDATA[` or `<!DOCTYPE`.
    fn markup_declaration(&mut self) -> Read<Token<'d>> {
        if self.expect("<!--").is_ok() {
            let comment = self.take_through("-->")?;
            // §2.5: no `--` within, and no `-` in front of its end.
            if comment.contains("--") || comment.ends_with('-') {
                return Err(DocumentFault::Malformed);
            }
            return Ok(Token::Comment);
        }
        if self.expect("<![CDATA[").is_ok() {
            let text = self.take_through("]]>")?;
            return Ok(Token::CharacterData(text));
        }
        self.document_type()
    }

    /// What defines something, an internal subset, is no document type that anyone takes.
    fn document_type(&mut self) -> Read<Token<'d>> {
        const START: &str = "<!DOCTYPE";
        let start = self.rest.get(..START.len()).unwrap_or_default();
        if !start.eq_ignore_ascii_case(START) {
            return Err(DocumentFault::Malformed);
        }
        self.skip(START.len());
        let mut quote = None;
        for (at, octet) in self.rest.bytes().enumerate() {
            match (octet, quote) {
                (_, Some(open)) if octet == open => quote = None,
                (_, Some(_)) => {}
                (b'"' | b'\'', None) => quote = Some(octet),
                (b'[', None) => break,
                (b'>', None) => {
                    let content = self.take(at);
                    self.skip(1);
                    return Ok(Token::DocumentType(content));
                }
                _ => {}
            }
        }
        Err(DocumentFault::Malformed)
    }

    /// The name of an element or an attribute, which ends in front of white space, `=`, `/` or `>`.
    #[inline]
    fn name(&mut self) -> Read<&'d str> {
        let (name, passed) = self.take_until(NAME_END);
        let is_name = passed & (MARKUP | DOUBLE_QUOTE | SINGLE_QUOTE) == 0;
        if is_name && !name.is_empty() {
            Ok(name)
        } else {
            Err(DocumentFault::Malformed)
        }
    }

    /// The text up to the first octet of that class, or to the end; and the classes of what is in
    /// it.
    #[inline]
    fn take_until(&mut self, end: u8) -> (&'d str, u8) {
        let mut passed = 0;
        let mut octets = 0;
        for octet in self.rest.bytes() {
            let class = CLASSES[usize::from(octet)];
            if class & end != 0 {
                break;
            }
            passed |= class;
            octets += 1;
        }
        (self.take(octets), passed)
    }

    /// The text up to a delimiter, which is passed over.
    fn take_through(&mut self, delimiter: &str) -> Read<&'d str> {
        let [first, ..] = delimiter.as_bytes() else {
            return Ok("");
        };
        let mut starts = memchr::memchr_iter(*first, self.rest.as_bytes());
        let end = starts.find(|start| self.rest[*start..].starts_with(delimiter));
        let text = self.take(end.ok_or(DocumentFault::Malformed)?);
        self.skip(delimiter.len());
        Ok(text)
    }

    #[inline]
    fn take(&mut self, octets: usize) -> &'d str {
        let (taken, rest) = self.rest.split_at(octets);
        self.rest = rest;
        taken
    }

    #[inline]
    fn skip(&mut self, octets: usize) {
        self.rest = &self.rest[octets..];
    }

    #[inline]
    fn skip_white_space(&mut self) {
        let blanks = self.rest.bytes().take_while(|&octet| is_white_space(octet));
        self.skip(blanks.count());
    }

    #[inline]
    fn expect(&mut self, text: &str) -> Read<()> {
        self.rest = self
            .rest
            .strip_prefix(text)
            .ok_or(DocumentFault::Malformed)?;
        Ok(())
    }
}

/// `<` and `&`
const MARKUP: u8 = 1;
/// What a name ends in front of.
const NAME_END: u8 = 2;
const DOUBLE_QUOTE: u8 = 4;
const SINGLE_QUOTE: u8 = 8;
/// `]`
const BRACKET: u8 = 16;
const WHITE_SPACE: u8 = 32;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        classes[octet] = match octet as u8 {
            b'<' | b'&' => MARKUP,
            b' ' | b'\t' | b'\n' | b'\r' => WHITE_SPACE | NAME_END,
            b'=' | b'/' | b'>' => NAME_END,
            b'"' => DOUBLE_QUOTE,
            b'\'' => SINGLE_QUOTE,
            b']' => BRACKET,
            _ => 0,
        };
        octet += 1;
    }
    classes
};

/// White space (XML 1.0 §2.3).
const fn is_white_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether the value of an attribute is not what it reads: a blank is, other white space is not.
fn has_special(raw: &str) -> bool {
    raw.bytes()
        .any(|octet| matches!(octet, b'<' | b'&' | b'\t' | b'\n' | b'\r'))
}

/// Text with each line end as one line feed (§2.11).
pub(super) fn with_line_ends(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}
