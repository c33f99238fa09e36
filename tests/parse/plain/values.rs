//! The values of single headers, read octet by octet.

use lamplighter::sip::uri::host_ip;

#[derive(Debug, PartialEq)]
pub(super) struct Via {
    pub(super) transport: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) branch: Option<String>,
    pub(super) wants_rport: bool,
    pub(super) parameters: String,
}

#[derive(Debug, PartialEq)]
pub(super) struct Address {
    pub(super) display: String,
    pub(super) uri: String,
    pub(super) parameters: String,
    pub(super) tag: Option<String>,
}

/// Octets unchanged, in readable form.
pub(super) fn text(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

pub(super) fn is_blank(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn is_token(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(octet)
}

pub(super) fn trim(mut text: &[u8], is_both: bool) -> &[u8] {
    while text.last().is_some_and(is_blank) {
        text = &text[..text.len() - 1];
    }
    while is_both && text.first().is_some_and(is_blank) {
        text = &text[1..];
    }
    text
}

/// Only digits; a number that is too large becomes the maximum.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(text.parse().unwrap_or(u64::MAX))
}

/// The end of the quoted string that opens at `at`.
fn quoted(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// An address, and whether its parameters are valid.
pub(super) fn address(value: &[u8]) -> Option<(Address, bool)> {
    let mut at = 0;
    while !matches!(value.get(at)?, b'<' | b':' | b';') {
        at = if value[at] == b'"' {
            quoted(value, at)?
        } else {
            at + 1
        };
    }
    let (display, uri, tail) = match value[at] {
        b'<' => {
            let length = value[at + 1..].iter().position(|&octet| octet == b'>')?;
            let close = at + 1 + length;
            (&value[..at], &value[at + 1..close], &value[close + 1..])
        }
        b':' => {
            let is_end = |octet: &u8| *octet == b';' || is_blank(octet);
            let end = value.iter().position(is_end).unwrap_or(value.len());
            if value[..end].iter().any(|octet| b"?,".contains(octet)) {
                return None;
            }
            let mut at = end;
            while at < value.len() {
                at = match value[at] {
                    b'<' => return None,
                    b'"' => quoted(value, at).unwrap_or(value.len()),
                    _ => at + 1,
                };
            }
            (&value[..0], &value[..end], &value[end..])
        }
        _ => return None,
    };
    let has_odd = uri
        .iter()
        .any(|octet| *octet <= b' ' || *octet == 0x7f || b"<>\"".contains(octet));
    let colon = uri.iter().position(|&octet| octet == b':')?;
    let (scheme, rest) = uri.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet));
    let tail = trim_start(tail);
    if has_odd || !is_scheme || rest.len() < 2 || !matches!(tail.first(), None | Some(b';')) {
        return None;
    }
    let opens = uri.iter().position(|&octet| octet == b'[');
    let reference = opens.filter(|&open| open > 0 && b"@:".contains(&uri[open - 1]));
    if let Some(open) = reference {
        let length = uri[open..].iter().position(|&octet| octet == b']')?;
        host_ip(&uri[open..open + length + 1])?;
    }
    let (tags, are_closed) = tags(tail);
    let has_sound_tag = match tags[..] {
        [] => true,
        [tag] => !tag.is_empty() && !tag.contains(&0) && !tag.iter().any(is_blank),
        _ => false,
    };
    let address = Address {
        display: text(trim(display, false)),
        uri: text(uri),
        parameters: text(tail),
        tag: tags.first().map(|tag| text(tag)),
    };
    Some((address, has_sound_tag && are_closed))
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|octet| !is_blank(octet));
    &text[start.unwrap_or(text.len())..]
}

/// The values of all parameters named tag, and whether every quoted string is closed.
fn tags(tail: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut tags = Vec::new();
    let mut are_closed = true;
    let mut start = 0;
    while start < tail.len() {
        let mut end = start;
        while end < tail.len() && tail[end] != b';' {
            end = match tail[end] {
                b'"' => quoted(tail, end).unwrap_or_else(|| {
                    are_closed = false;
                    tail.len()
                }),
                _ => end + 1,
            };
        }
        let parameter = &tail[start..end];
        let equals = parameter.iter().position(|&octet| octet == b'=');
        let name = trim(&parameter[..equals.unwrap_or(parameter.len())], true);
        if name.eq_ignore_ascii_case(b"tag") {
            tags.push(equals.map_or(&b""[..], |equals| trim(&parameter[equals + 1..], true)));
        }
        start = end + 1;
    }
    (tags, are_closed)
}

/// The first entry of a Via. In a response parameters may be empty.
pub(super) fn via(value: &[u8], is_response: bool) -> Option<Via> {
    let mut at = 0;
    let blanks = |at: &mut usize| {
        let start = *at;
        while value.get(*at).is_some_and(is_blank) {
            *at += 1;
        }
        *at > start
    };
    let take = |at: &mut usize, is_member: &dyn Fn(&u8) -> bool| {
        let start = *at;
        while value.get(*at).is_some_and(is_member) {
            *at += 1;
        }
        &value[start..*at]
    };
    for _ in 0..2 {
        let part = take(&mut at, &is_token);
        blanks(&mut at);
        if part.is_empty() || value.get(at) != Some(&b'/') {
            return None;
        }
        at += 1;
        blanks(&mut at);
    }
    let transport = take(&mut at, &is_token);
    if transport.is_empty() || !blanks(&mut at) {
        return None;
    }
    let host = if value.get(at) == Some(&b'[') {
        let start = at;
        at += 1 + value[at..].iter().position(|&octet| octet == b']')?;
        host_ip(&value[start..at])?;
        &value[start..at]
    } else {
        take(&mut at, &|octet| {
            octet.is_ascii_alphanumeric() || b".-_".contains(octet)
        })
    };
    blanks(&mut at);
    let mut port = None;
    if value.get(at) == Some(&b':') {
        at += 1;
        blanks(&mut at);
        let digits = number(take(&mut at, &u8::is_ascii_digit))?;
        port = Some(u16::try_from(digits).ok()?);
        blanks(&mut at);
    }
    let start = at;
    let mut end = at;
    let mut branch = None;
    let mut wants_rport = false;
    while value.get(at) == Some(&b';') {
        at += 1;
        blanks(&mut at);
        let name = take(&mut at, &is_token).to_ascii_lowercase();
        end = at;
        blanks(&mut at);
        let mut parameter = &value[..0];
        if value.get(at) == Some(&b'=') {
            at += 1;
            blanks(&mut at);
            let from = at;
            if value.get(at) == Some(&b'"') {
                at = quoted(value, at)?;
            } else {
                take(&mut at, &|octet| !b";,\" \t\r\n\0".contains(octet));
            }
            parameter = &value[from..at];
            end = at;
        }
        blanks(&mut at);
        match name.as_slice() {
            b"" if is_response && parameter.is_empty() => {}
            b"" => return None,
            b"branch" if branch.is_some() => return None,
            b"branch" => branch = (!parameter.is_empty()).then(|| text(parameter)),
            b"rport" => wants_rport = parameter.is_empty(),
            _ => {}
        }
    }
    let is_whole = matches!(value.get(at), None | Some(b','));
    (is_whole && !host.is_empty()).then(|| Via {
        transport: text(transport),
        host: text(host),
        port,
        branch,
        wants_rport,
        parameters: text(&value[start..end]),
    })
}
