//! Plain text, a line for each call: for browsers of computers, and phones of which no form is known.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, Page};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    let lines = page.entries.iter();
    let lines = lines.map(|entry| entry.label(LABEL_CHARACTERS_MAX));
    for line in lines.chain(page.last_line()) {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}
