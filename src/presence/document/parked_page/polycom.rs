//! Polycom: XHTML with links that dial.
//!
//! After "Web Application for Polycom Phones" (UC Software 5.0): `Tel:number` dials by the digit map of
//! the phone. The microbrowser wants well-formed XHTML with tags in lower case, knows `html`, `head`,
//! `title`, `body`, `a`, `b` and `br` from its first versions on, and obeys the Refresh header.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, Page, TITLE};
use crate::presence::document::xml::{write_attribute, write_escaped, write_text_element};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(b"<html>\n<head>\n");
    write_text_element(out, "title", TITLE);
    out.extend_from_slice(b"</head>\n<body>\n");
    for entry in page.entries {
        out.extend_from_slice(b"<a");
        write_attribute(out, "href", &format!("Tel:{}", entry.orbit));
        out.push(b'>');
        write_escaped(out, entry.label(LABEL_CHARACTERS_MAX).as_bytes());
        out.extend_from_slice(b"</a><br/>\n");
    }
    if let Some(line) = page.last_line() {
        write_text_element(out, "b", &line);
    }
    out.extend_from_slice(b"</body>\n</html>\n");
}
