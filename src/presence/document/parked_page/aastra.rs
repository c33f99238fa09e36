//! Aastra and Mitel: `AastraIPPhoneTextMenu`, and `AastraIPPhoneTextScreen` if nothing is parked.
//!
//! After "XML API for Aastra SIP Phones" (firmware 3.3.1, July 2014), sections 3.1 (the menu), 4.14
//! (`URI` is dialled by the key Select, `Dial` by going off-hook) and 4.15 (the Refresh header); an
//! object has at most 10000 octets. The phones of Mitel, firmware 5, take the same.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, NONE, Page, TITLE};
use crate::presence::document::xml::{DECLARATION, write_text_element};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    if page.is_empty() {
        out.extend_from_slice(b"<AastraIPPhoneTextScreen destroyOnExit=\"yes\">\n");
        write_text_element(out, "Title", TITLE);
        write_text_element(out, "Text", NONE);
        return out.extend_from_slice(b"</AastraIPPhoneTextScreen>\n");
    }
    out.extend_from_slice(b"<AastraIPPhoneTextMenu destroyOnExit=\"yes\" style=\"none\">\n");
    write_text_element(out, "Title", &page.title());
    for entry in page.entries {
        out.extend_from_slice(b"<MenuItem>\n");
        write_text_element(out, "Prompt", &entry.label(LABEL_CHARACTERS_MAX));
        write_text_element(out, "URI", &format!("Dial:{}", entry.orbit));
        write_text_element(out, "Dial", &entry.orbit);
        out.extend_from_slice(b"</MenuItem>\n");
    }
    out.extend_from_slice(b"</AastraIPPhoneTextMenu>\n");
}
