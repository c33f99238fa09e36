//! What holds for the pages of all browsers. Each whole page is in `tests/parks`.

use super::*;
use crate::presence::document::outline;
use crate::presence::document::xml::DECLARATION;

const ALL: [Browser; 8] = [
    Browser::Snom,
    Browser::Yealink,
    Browser::Aastra,
    Browser::Cisco,
    Browser::Polycom,
    Browser::Grandstream,
    Browser::Panasonic,
    Browser::Plain,
];

fn entry(orbit: &str, party: &str, age: Option<u64>) -> Entry {
    Entry {
        orbit: orbit.to_owned(),
        party: party.to_owned(),
        age: age.map(Duration::from_secs),
    }
}

fn text(browser: Browser, entries: &[Entry]) -> String {
    let url = Some("http://h/parks/abc.com/t");
    String::from_utf8(browser.page(entries, url)).unwrap()
}

/// The elements of a page of XML.
fn elements(browser: Browser, page: &[u8]) -> Vec<outline::Outline> {
    let declaration = match browser {
        Browser::Polycom => DECLARATION,
        _ => b"",
    };
    outline::elements(&[declaration, page].concat())
}

#[test]
fn a_label_keeps_orbit_and_duration() {
    let label = |party: &str, age, max| entry("701", party, age).label(max);
    assert_eq!(label("Alice 12", Some(65), 48), "701 Alice 12 1:05");
    assert_eq!(label("", Some(3725), 48), "701 1:02:05");
    assert_eq!(label("Alice", None, 48), "701 Alice");
    assert_eq!(label("", None, 48), "701");
    assert_eq!(label("Alice Wonderland", Some(65), 17), "701 Alice Wo 1:05");
    assert_eq!(
        label("\u{fc}\u{fc}\u{fc}\u{fc}", Some(5), 11),
        "701 \u{fc}\u{fc} 0:05"
    );
    assert_eq!(label("a\r\nb\u{7f}", None, 48), "701 a  b ");
    assert_eq!(label("Alice", Some(5), 2), "70");
}

#[test]
fn a_page_has_thirty_lines_and_says_how_many_it_lacks() {
    let entries: Vec<Entry> = (700..735)
        .map(|orbit| entry(&orbit.to_string(), "Alice 12", Some(5)))
        .collect();
    for browser in ALL {
        let page = text(browser, &entries);
        let last = 699 + browser.entries_max();
        assert!(page.contains(&last.to_string()), "{page}");
        assert!(!page.contains(&(last + 1).to_string()), "{page}");
        let more = format!("{} more", 734 - last);
        assert!(page.contains(&more), "{page}");
        let whole = text(browser, &entries[..browser.entries_max()]);
        assert!(!whole.contains(" more"), "{whole}");
    }
}

/// Names that are as long and as bad as sources can make them.
#[test]
fn a_page_is_short_and_well_formed_whatever_the_names_are() {
    let bad = "<\">&'\u{0}\u{1b}]]>\u{202e}\u{fffe}\r\n\u{1f4de}".repeat(50);
    let orbits = [
        "<&\">'#%+*",
        &"'".repeat(256),
        &"\u{1f4de}".repeat(64),
        "700",
    ];
    for orbit in orbits {
        let entries = vec![entry(orbit, &bad, Some(u64::MAX)); 40];
        for browser in ALL {
            for count in [1, 29, 40] {
                let page = browser.page(&entries[..count], Some("http://h/?\"<&"));
                assert!(page.len() < OCTETS_MAX, "{browser:?}");
                assert!(!page.contains(&0) && !page.contains(&0x1b), "{browser:?}");
                let is_whole = page.ends_with(b"\n");
                assert!(is_whole, "{browser:?}");
                if browser != Browser::Plain {
                    assert!(!elements(browser, &page).is_empty(), "{browser:?}");
                }
            }
        }
    }
}

#[test]
fn a_number_is_dialled_as_it_is() {
    let page = |browser, orbit| text(browser, &[entry(orbit, "", None)]);
    assert!(page(Browser::Snom, "*71#&").contains("numberdial=*71%23%26</URL>"));
    assert!(page(Browser::Yealink, "*71#").contains("<URI>Dial:*71#</URI>"));
    assert!(page(Browser::Polycom, "*71#").contains("href=\"Tel:*71#\""));
    assert!(page(Browser::Panasonic, "*71#").contains("<MakeCall number=\"*71#\"/>"));
    // Panasonic calls digits alone.
    let named = page(Browser::Panasonic, "park1");
    assert!(named.contains("text=\"park1\"") && !named.contains("MakeCall"));
}

#[test]
fn without_its_own_address_a_page_does_not_name_it() {
    for browser in ALL {
        for entries in [&[][..], &[entry("701", "", None)]] {
            let page = String::from_utf8(browser.page(entries, None)).unwrap();
            assert!(
                !page.contains("fetch") && !page.contains("UseURL"),
                "{page}"
            );
        }
    }
}
