//! Yealink: `YealinkIPPhoneTextMenu`, and `YealinkIPPhoneTextScreen` if nothing is parked.
//!
//! After "XML Browser Developer's Guide for Yealink IP Phones" (release 71): a menu has at most 30
//! items, an object at most 10000 octets. The guide follows that of Aastra (`aastra.rs`); that a
//! Refresh header is obeyed as there was not found in it.

use crate::presence::document::parked_page::{LABEL_CHARACTERS_MAX, NONE, Page, TITLE};
use crate::presence::document::xml::{DECLARATION, write_text_element};

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    if page.is_empty() {
        out.extend_from_slice(
            b"<YealinkIPPhoneTextScreen Beep=\"no\" Timeout=\"30\" LockIn=\"no\">\n",
        );
        write_text_element(out, "Title", TITLE);
        write_text_element(out, "Text", NONE);
        return out.extend_from_slice(b"</YealinkIPPhoneTextScreen>\n");
    }
    out.extend_from_slice(
        b"<YealinkIPPhoneTextMenu style=\"none\" Beep=\"no\" Timeout=\"30\" LockIn=\"no\">\n",
    );
    write_text_element(out, "Title", &page.title());
    for entry in page.entries {
        out.extend_from_slice(b"<MenuItem>\n");
        write_text_element(out, "Prompt", &entry.label(LABEL_CHARACTERS_MAX));
        write_text_element(out, "URI", &format!("Dial:{}", entry.orbit));
        out.extend_from_slice(b"</MenuItem>\n");
    }
    out.extend_from_slice(b"</YealinkIPPhoneTextMenu>\n");
}
