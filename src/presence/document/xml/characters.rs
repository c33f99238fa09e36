//! The characters of a document, read and written: encodings, references, escapes (W:C0.10, E4.5).

use std::borrow::Cow;

use crate::presence::Aor;
use crate::presence::document::DocumentFault;

/// The document as text: UTF-16 if it has that byte order mark (XML 1.0 §4.3.3), ISO-8859-1 if it
/// declares it, otherwise UTF-8, whose byte order mark is skipped.
pub(super) fn decode(body: &[u8], octets_max: usize) -> Result<Cow<'_, str>, DocumentFault> {
    if body.len() > octets_max {
        return Err(DocumentFault::TooLarge);
    }
    let document = match body {
        [0xfe, 0xff, units @ ..] => decode_utf16(units, u16::from_be_bytes)?,
        [0xff, 0xfe, units @ ..] => decode_utf16(units, u16::from_le_bytes)?,
        _ => decode_octets(without_byte_order_mark(body))?,
    };
    if is_plain_ascii(document.as_bytes()) || document.chars().all(is_xml_char) {
        Ok(document)
    } else {
        Err(DocumentFault::Malformed)
    }
}

fn decode_octets(body: &[u8]) -> Result<Cow<'_, str>, DocumentFault> {
    match declared_encoding(body) {
        Encoding::Utf8 => std::str::from_utf8(body)
            .map(Cow::Borrowed)
            .map_err(|_| DocumentFault::Malformed),
        Encoding::Latin1 => Ok(body.iter().copied().map(char::from).collect()),
        Encoding::Other => Err(DocumentFault::UnsupportedType),
    }
}

fn decode_utf16<'a>(
    octets: &[u8],
    unit: fn([u8; 2]) -> u16,
) -> Result<Cow<'a, str>, DocumentFault> {
    let (units, []) = octets.as_chunks() else {
        return Err(DocumentFault::Malformed);
    };
    let text: Result<String, _> = char::decode_utf16(units.iter().copied().map(unit)).collect();
    text.map(Cow::Owned).map_err(|_| DocumentFault::Malformed)
}

/// A UTF-8 text without the byte order mark that some editors and libraries add.
pub(in crate::presence::document) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

enum Encoding {
    Utf8,
    Latin1,
    Other,
}

/// The encoding that the XML declaration names; UTF-8 if it names none.
fn declared_encoding(body: &[u8]) -> Encoding {
    /// Maximum length of an XML declaration. Real ones are shorter.
    const DECLARATION_OCTETS_MAX: usize = 256;
    let head = &body[..body.len().min(DECLARATION_OCTETS_MAX)];
    let declaration = head
        .strip_prefix(b"<?xml")
        .and_then(|rest| Some(split_at_octets(rest, b"?>")?.0));
    let value = declaration.and_then(|declaration| {
        let (_, rest) = split_at_octets(declaration, b"encoding")?;
        let rest = rest
            .trim_ascii_start()
            .strip_prefix(b"=")?
            .trim_ascii_start();
        let (quote, rest) = rest.split_first()?;
        Some(&rest[..memchr::memchr(*quote, rest)?])
    });
    let Some(value) = value else {
        return Encoding::Utf8;
    };
    let is_any = |names: &[&str]| {
        names
            .iter()
            .any(|name| value.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is_any(&["utf-8", "utf8", "us-ascii", "ascii"]) {
        Encoding::Utf8
    } else if is_any(&["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1"]) {
        Encoding::Latin1
    } else {
        Encoding::Other
    }
}

/// The text before and after the first occurrence of `octets`, in a text too short for a faster
/// search.
fn split_at_octets<'a>(text: &'a [u8], octets: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text
        .windows(octets.len())
        .position(|window| window == octets)?;
    Some((&text[..at], &text[at + octets.len()..]))
}

/// Returns whether the text consists of ASCII characters that XML allows. Reads all octets without
/// a branch per octet, because nearly every document is plain ASCII.
fn is_plain_ascii(octets: &[u8]) -> bool {
    let odd = octets.iter().fold(false, |odd, &octet| {
        let is_control = (octet < 0x20) & !matches!(octet, b'\t' | b'\n' | b'\r');
        odd | is_control | (octet >= 0x80)
    });
    !odd
}

/// Returns whether XML 1.0 allows the character (§2.2).
pub(super) const fn is_xml_char(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\0'..'\x20' | '\u{fffe}' | '\u{ffff}' => false,
        _ => true,
    }
}

/// The prefix, empty if there is none, and the local part of a name (Namespaces in XML 1.0 §4).
pub(super) fn qualified_name(name: &str) -> Option<(&str, &str)> {
    if is_name_without_colon(name) {
        return Some(("", name));
    }
    let (prefix, local) = name.split_once(':')?;
    (is_name_without_colon(prefix) && is_name_without_colon(local)).then_some((prefix, local))
}

/// Returns whether XML 1.0 allows the name (§2.3).
pub(super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let is_initial = |first: char| first == ':' || is_name_start(first);
    characters.next().is_some_and(is_initial)
        && characters.all(|character| character == ':' || is_name_character(character))
}

/// Returns whether a name without a colon is valid. Nearly all names are ASCII.
fn is_name_without_colon(name: &str) -> bool {
    let Some(first) = name.chars().next() else {
        return false;
    };
    let is_ascii_name = name.bytes().all(|octet| NAME_OCTETS[usize::from(octet)]);
    is_name_start(first) && (is_ascii_name || name.chars().all(is_name_character))
}

/// The ASCII characters that may occur in a name.
const NAME_OCTETS: [bool; 256] = {
    let mut names = [false; 256];
    let mut octet = 0;
    while octet < 0x80 {
        names[octet] = is_name_character(octet as u8 as char);
        octet += 1;
    }
    names
};

/// Returns whether a name may begin with the character, the colon excepted, which separates the
/// prefix.
const fn is_name_start(character: char) -> bool {
    matches!(character, 'a'..='z' | 'A'..='Z' | '_'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

const fn is_name_character(character: char) -> bool {
    is_name_start(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}'
            | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Returns whether the value of an attribute, or the rest of a tag after its name, contains nothing
/// that [`unescape`] replaces or refuses. Reads all octets without a branch per octet.
pub(super) fn is_plain_value(raw: &str) -> bool {
    // A document has no control characters except tab, line feed and carriage return: see
    // `is_plain_ascii`.
    let is_special = |octet: u8| (octet < 0x20) | (octet == b'<') | (octet == b'&');
    !raw.bytes()
        .fold(false, |special, octet| special | is_special(octet))
}

/// The value of an attribute: references resolved, white space replaced by spaces (XML 1.0 §3.3.3).
pub(super) fn unescape(raw: Cow<'_, str>) -> Result<Cow<'_, str>, DocumentFault> {
    if is_plain_value(&raw) {
        return Ok(raw);
    }
    if raw.contains('<') {
        return Err(DocumentFault::Malformed);
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = &*raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let from = &rest[at..];
        if let Some(reference) = from.strip_prefix('&') {
            let (name, behind) = reference.split_once(';').ok_or(DocumentFault::Malformed)?;
            value.push(resolve(name)?);
            rest = behind;
        } else {
            value.push(' ');
            rest = from.strip_prefix("\r\n").unwrap_or_else(|| &from[1..]);
        }
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

/// The character that `&name;` stands for: one of the five predefined entities, or a character
/// reference.
pub(super) fn resolve(name: &str) -> Result<char, DocumentFault> {
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => name.strip_prefix('#').and_then(|number| {
            let (digits, radix) = number
                .strip_prefix('x')
                .map_or((number, 10), |digits| (digits, 16));
            let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, radix)
                .ok()
                .filter(|_| is_number)?;
            char::from_u32(code).filter(|&character| is_xml_char(character))
        }),
    };
    character.ok_or(DocumentFault::Malformed)
}

/// Appends text or an attribute value, escaped and without characters that XML cannot contain.
/// White space becomes spaces, so that a value stays on its line; octets that are not UTF-8 become
/// U+FFFD.
pub fn write_escaped(out: &mut Vec<u8>, raw: &[u8]) {
    // Nearly every text is plain ASCII and copied unchanged.
    if raw.iter().all(|octet| PLAIN[usize::from(*octet)]) {
        return out.extend_from_slice(raw);
    }
    for chunk in raw.utf8_chunks() {
        write_escaped_str(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends a decimal number.
pub(in crate::presence::document) fn write_number(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The octets that need no escape in text and in attribute values.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = 0x20;
    while octet < 0x7f {
        plain[octet] = !matches!(octet as u8, b'&' | b'<' | b'>' | b'"' | b'\'');
        octet += 1;
    }
    plain
};

fn write_escaped_str(out: &mut Vec<u8>, raw: &str) {
    let mut written = 0;
    for (at, character) in raw.char_indices() {
        let replacement: &[u8] = match character {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' => b"&quot;",
            '\'' => b"&apos;",
            '\t' | '\n' | '\r' => b" ",
            _ if !is_xml_char(character) => b"",
            _ => continue,
        };
        out.extend_from_slice(&raw.as_bytes()[written..at]);
        out.extend_from_slice(replacement);
        written = at + character.len_utf8();
    }
    out.extend_from_slice(&raw.as_bytes()[written..]);
}

/// Appends the SIP URI of an address of record, escaped for SIP (RFC 3261 §25.1) and for XML.
pub(in crate::presence::document) fn write_sip_uri(out: &mut Vec<u8>, user: &str, domain: &str) {
    write_user(out, user, [b"&amp;", b"&apos;"]);
    write_escaped(out, domain.as_bytes());
}

/// Appends the SIP URI of an address of record, escaped only for SIP.
pub(in crate::presence::document) fn write_plain_sip_uri(
    out: &mut Vec<u8>,
    user: &str,
    domain: &str,
) {
    write_user(out, user, [b"&", b"'"]);
    out.extend(domain.bytes().filter(|octet| !octet.is_ascii_control()));
}

fn write_user(out: &mut Vec<u8>, user: &str, [ampersand, apostrophe]: [&[u8]; 2]) {
    const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"sip:");
    for octet in user.bytes() {
        match octet {
            b'&' => out.extend_from_slice(ampersand),
            b'\'' => out.extend_from_slice(apostrophe),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'(' | b')' => out.push(octet),
            b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' => out.push(octet),
            _ if octet.is_ascii_alphanumeric() => out.push(octet),
            _ => {
                let digit = |value: u8| HEXADECIMAL[usize::from(value & 0xf)];
                out.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet)]);
            }
        }
    }
    out.push(b'@');
}

/// Appends the URI of a party, completed if necessary: a bare number or a URI without a host
/// confuses phones (W:C0.5). The domain is that of `aor`.
pub(in crate::presence::document) fn write_full_uri(out: &mut Vec<u8>, aor: &Aor, uri: &str) {
    const SCHEMES: [&str; 5] = ["sip", "sips", "tel", "pres", "im"];
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| {
        SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    }) {
        write_escaped(out, uri.as_bytes());
    } else if uri.contains('@') {
        out.extend_from_slice(b"sip:");
        write_escaped(out, uri.as_bytes());
    } else {
        write_sip_uri(out, uri, aor.domain());
    }
}

/// Appends ` name="value"`.
pub(in crate::presence::document) fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    write_escaped(out, value.as_bytes());
    out.push(b'"');
}

/// Appends `<name>text</name>` and a line end.
pub(in crate::presence::document) fn write_text_element(out: &mut Vec<u8>, name: &str, text: &str) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    write_escaped(out, text.as_bytes());
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b">\n");
}
