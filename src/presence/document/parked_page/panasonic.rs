//! Panasonic: a `ppxml` screen with a menu, or with a label if nothing is parked.
//!
//! After "XML Application Developer's Guide" for TGP600 and HDV100 to HDV430 (revision 2.52), sections
//! 5.2.3 (labels) and 5.2.9 (a menu whose items have events, among them `MakeCall`). Uncertain: the
//! section about menus itself was not found, so neither is the maximum of items, for which that of the
//! phone book is taken (5.2.8: 20 lines of 24 characters), nor whether and where a timer may stand
//! beside a menu: the page is not loaded again by itself.

use crate::presence::document::parked_page::{NONE, Page};
use crate::presence::document::xml::{DECLARATION, write_attribute};

/// Lines of a page.
pub(super) const ENTRIES_MAX: usize = 20;
/// Characters of a line.
const LABEL_CHARACTERS_MAX: usize = 24;
/// Characters of a number to call.
const NUMBER_CHARACTERS_MAX: usize = 32;

pub(super) fn write(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(DECLARATION);
    out.extend_from_slice(
        b"<ppxml xmlns=\"http://panasonic/sip_phone\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
        xsi:schemaLocation=\"http://panasonic/sip_phone sip_phone.xsd\">\n<Screen version=\"2.0\">\n",
    );
    if page.is_empty() {
        out.extend_from_slice(b"<Components>\n<Label name=\"None\" area=\"Phone\" line=\"2\"");
        write_attribute(out, "text", NONE);
        out.extend_from_slice(b" textAlignment=\"Left\"/>\n</Components>\n");
    } else {
        write_menu(out, page);
    }
    out.extend_from_slice(b"</Screen>\n</ppxml>\n");
}

fn write_menu(out: &mut Vec<u8>, page: Page<'_>) {
    out.extend_from_slice(b"<Menu name=\"Parked\" area=\"Phone\">\n<MenuItems>\n");
    let lines = page.entries.iter();
    let lines = lines.map(|entry| (entry.label(LABEL_CHARACTERS_MAX), &*entry.orbit));
    let more = page.more().map(|more| (more, ""));
    for (number, (label, orbit)) in (1..).zip(lines.chain(more)) {
        let number: usize = number;
        out.extend_from_slice(b"<MenuItem");
        write_attribute(out, "name", &format!("Item{number}"));
        write_attribute(out, "text", &label);
        if number == 1 {
            write_attribute(out, "selected", "true");
        }
        write_attribute(out, "id", &number.to_string());
        if can_be_called(orbit) {
            out.extend_from_slice(b">\n<Events><OnClicked><MakeCall");
            write_attribute(out, "number", orbit);
            out.extend_from_slice(b"/></OnClicked></Events>\n</MenuItem>\n");
        } else {
            out.extend_from_slice(b"/>\n");
        }
    }
    out.extend_from_slice(b"</MenuItems>\n</Menu>\n");
}

/// Whether the phone can call it.
fn can_be_called(orbit: &str) -> bool {
    let is_dialled = |octet: u8| octet.is_ascii_digit() || matches!(octet, b'*' | b'#');
    (1..=NUMBER_CHARACTERS_MAX).contains(&orbit.len()) && orbit.bytes().all(is_dialled)
}
