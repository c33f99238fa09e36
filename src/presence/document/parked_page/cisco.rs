//! Cisco: `CiscoIPPhoneDirectory`, whose entries the phone dials by itself, and `CiscoIPPhoneText` if
//! nothing is parked.
//!
//! After "Cisco IP Phone Services Application Development Notes" (3.3 to 9.1): names and order of the
//! elements matter, there is no namespace, and the Refresh header loads a page again.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, NONE, Page, TITLE};
use crate::presence::document::xml::{DECLARATION, write_text_element};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    if page.is_empty() {
        out.extend_from_slice(b"<CiscoIPPhoneText>\n");
        write_text_element(out, "Title", TITLE);
        write_text_element(out, "Text", NONE);
        return out.extend_from_slice(b"</CiscoIPPhoneText>\n");
    }
    out.extend_from_slice(b"<CiscoIPPhoneDirectory>\n");
    write_text_element(out, "Title", TITLE);
    let prompt = page.more();
    write_text_element(out, "Prompt", prompt.as_deref().unwrap_or("Select a call"));
    for entry in page.entries {
        out.extend_from_slice(b"<DirectoryEntry>\n");
        write_text_element(out, "Name", &entry.label(LABEL_CHARACTERS_MAX));
        write_text_element(out, "Telephone", &entry.orbit);
        out.extend_from_slice(b"</DirectoryEntry>\n");
    }
    out.extend_from_slice(b"</CiscoIPPhoneDirectory>\n");
}
