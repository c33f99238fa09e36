//! Grandstream: an `xmlapp` of lines of text, with a key for each orbit.
//!
//! Uncertain. "GXP21xx XML Application Guide" (firmware 1.0.4.23) describes the keys: the actions
//! `Dial`, `UseURL` and `QuitApp`, and a key MORE that the phone adds if they do not fit. Its root is
//! `Screen`, whose texts have places on the display; later phones (GXP2130 to GRP26xx) take `xmlapp`
//! with `view`, `section` and `text`, of which no guide was found that lists the elements. The form
//! here is that of applications in use on such phones. A way to have the page loaded again by itself
//! was not found: a key does.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, Page, TITLE};
use crate::presence::document::xml::{DECLARATION, write_attribute};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    out.extend_from_slice(b"<xmlapp");
    write_attribute(out, "title", TITLE);
    out.extend_from_slice(b">\n<view>\n<section>\n");
    for entry in page.entries {
        write_text(out, &entry.label(LABEL_CHARACTERS_MAX));
    }
    if let Some(line) = page.last_line() {
        write_text(out, &line);
    }
    out.extend_from_slice(b"</section>\n</view>\n<Softkeys>\n");
    for entry in page.entries {
        write_key(out, "Dial", &entry.orbit, Some(&entry.orbit));
    }
    if page.url.is_some() {
        write_key(out, "UseURL", "Refresh", page.url);
    }
    write_key(out, "QuitApp", "Exit", None);
    out.extend_from_slice(b"</Softkeys>\n</xmlapp>\n");
}

fn write_text(out: &mut Vec<u8>, label: &str) {
    out.extend_from_slice(b"<text");
    write_attribute(out, "label", label);
    out.extend_from_slice(b"/>\n");
}

fn write_key(out: &mut Vec<u8>, action: &str, label: &str, argument: Option<&str>) {
    out.extend_from_slice(b"<Softkey");
    write_attribute(out, "action", action);
    write_attribute(out, "label", label);
    if let Some(argument) = argument {
        write_attribute(out, "commandArgs", argument);
    }
    out.extend_from_slice(b"/>\n");
}
