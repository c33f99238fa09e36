//! snom: `SnomIPPhoneMenu`, and `SnomIPPhoneText` if nothing is parked.
//!
//! After snom's descriptions of its minibrowser: "SnomIPPhoneMenu", "Main Subtags" (`fetch`, which
//! loads a page after milliseconds) and "Fragments" (`numberdial`, which dials). Firmware 7 and 8 name
//! an item by a `Name` element, later ones by an attribute: each item has both.

use crate::presence::document::parked_page::{
    LABEL_CHARACTERS_MAX, NONE, Page, REFRESH_SECONDS, TITLE,
};
use crate::presence::document::xml::{
    DECLARATION, write_attribute, write_escaped, write_text_element,
};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    if page.is_empty() {
        out.extend_from_slice(b"<SnomIPPhoneText>\n");
        write_text_element(out, "Title", TITLE);
        write_text_element(out, "Text", NONE);
        write_fetch(out, page);
        return out.extend_from_slice(b"</SnomIPPhoneText>\n");
    }
    out.extend_from_slice(b"<SnomIPPhoneMenu>\n");
    write_text_element(out, "Title", &page.title());
    for entry in page.entries {
        let label = entry.label(LABEL_CHARACTERS_MAX);
        out.extend_from_slice(b"<MenuItem");
        write_attribute(out, "name", &label);
        out.extend_from_slice(b">\n");
        write_text_element(out, "Name", &label);
        let number = in_fragment(&entry.orbit);
        write_text_element(out, "URL", &format!("phone://mb_nop#numberdial={number}"));
        out.extend_from_slice(b"</MenuItem>\n");
    }
    write_fetch(out, page);
    out.extend_from_slice(b"</SnomIPPhoneMenu>\n");
}

/// Has the phone load the page again.
fn write_fetch(out: &mut Vec<u8>, page: Page<'_>) {
    if let Some(url) = page.url {
        out.extend_from_slice(format!("<fetch mil=\"{}\">", REFRESH_SECONDS * 1000).as_bytes());
        write_escaped(out, url.as_bytes());
        out.extend_from_slice(b"</fetch>\n");
    }
}

/// A number with what means something in a fragment escaped: `&` begins another command.
fn in_fragment(number: &str) -> String {
    let mut escaped = String::with_capacity(number.len());
    for octet in number.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~*+".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped.push_str(&format!("%{octet:02X}"));
        }
    }
    escaped
}
