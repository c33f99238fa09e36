//! A second opinion on what is read: the same notes, made by a reader that is not ours.

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::BytesStart;
use quick_xml::events::Event;

use super::super::characters::resolve;
use super::super::characters::unescape;

/// What [`super::Notes`] writes of a document without namespaces and without a DOCTYPE; None when it
/// is not well-formed.
fn seen_by_another(document: &str) -> Option<String> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_comments = true;
    let (mut notes, mut text, mut depth, mut has_root) = (String::new(), String::new(), 0, false);
    let mut is_first = true;
    loop {
        let event = reader.read_event().ok()?;
        let is_within = depth > 0;
        match event {
            Event::Start(start) | Event::Empty(start) if !is_within && has_root => {
                let _ = start;
                return None;
            }
            Event::Start(start) => {
                notes += &noted(&start, depth)?;
                (depth, has_root) = (depth + 1, true);
                text.clear();
            }
            Event::Empty(start) => {
                notes += &noted(&start, depth)?;
                notes += "</>";
                has_root = true;
                text.clear();
            }
            Event::End(_) => {
                notes += &format!("{text}</>");
                depth -= 1;
                text.clear();
            }
            Event::Text(piece) if piece.contains("]]>") => return None,
            Event::Text(piece) if is_within => text += &piece.xml10_content(),
            Event::Text(piece) => {
                let is_white_space = |octet: u8| octet.is_ascii_whitespace();
                piece.bytes().all(is_white_space).then_some(())?;
            }
            Event::CData(piece) if is_within => text += &piece.xml10_content(),
            Event::GeneralRef(name) if is_within => text.push(resolve(&name).ok()?),
            Event::Comment(_) => {}
            Event::Decl(_) if is_first => {}
            Event::PI(instruction) if !instruction.target().eq_ignore_ascii_case("xml") => {}
            Event::Eof => return (has_root && depth == 0).then_some(notes),
            _ => return None,
        }
        is_first = false;
    }
}

fn noted(start: &BytesStart<'_>, depth: usize) -> Option<String> {
    let mut values = [None, None];
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = unescape(&attribute.value).ok()?;
        match attribute.key.into_inner() {
            "a" => values[0] = Some(format!(" a={value}")),
            "b" => values[1] = Some(format!(" b={value}")),
            _ => {}
        }
    }
    let [a, b] = values.map(Option::unwrap_or_default);
    Some(format!("<{depth}:Other{a}{b}>"))
}

/// A well-formed element, with white space wherever it may be.
fn element() -> impl Strategy<Value = String> {
    let blank = || proptest::sample::select(vec!["", "", " ", "\n", "\r\n", "\t "]);
    let value = "[a-z <]{0,3}".prop_map(|raw| raw.replace('<', "&#x3c;\r\n>'/="));
    let start = (blank(), blank(), value).prop_map(|(one, other, value)| {
        format!("r a{one}={other}\"{value}\"{one} b='\"&amp;'{other}")
    });
    let text = proptest::sample::select(vec![
        "t",
        "\r\n",
        " ]] >x=/",
        "\u{fc}&lt;",
        "\r&#13;",
        "<![CDATA[<&]>]]>",
        "<!-- - -->",
        "<?pi ? > ?>",
        "]]<!---->&gt;",
    ]);
    let leaf = prop_oneof![
        start.clone().prop_map(|start| format!("<{start}/>")),
        text.prop_map(String::from),
    ];
    let inner = leaf.prop_recursive(4, 24, 4, move |inner| {
        let children = proptest::collection::vec(inner, 0..4);
        (start.clone(), children, blank()).prop_map(|(start, children, blank)| {
            format!("<{start}>{}</r{blank}>", children.concat())
        })
    });
    inner.prop_map(|inner| format!("<r>{inner}</r>"))
}

proptest! {
    #[test]
    fn what_is_well_formed_reads_as_another_reads_it(document in element()) {
        let ours = super::seen(&document);
        prop_assert!(ours.is_ok());
        prop_assert_eq!(ours.ok(), seen_by_another(&document));
    }

    /// A wrong document is never taken for another one. We refuse a few more, those with a name
    /// that is none.
    #[test]
    fn what_we_take_another_reads_alike(document in element(), cuts in proptest::collection::vec(
        (any::<proptest::sample::Index>(), proptest::sample::select(vec![
            "", "<", ">", "/", "'", "\"", "=", "&", ";", "]]>", "--", "?>", "<r>", "</r>", " ", "<!--", "a='1' ",
        ])),
        1..3,
    )) {
        let mut spoilt = document;
        for (place, instead) in cuts {
            let mut characters: Vec<char> = spoilt.chars().collect();
            let at = place.index(characters.len());
            characters.splice(at..at + 1, instead.chars());
            spoilt = characters.into_iter().collect();
        }
        if let Ok(ours) = super::seen(&spoilt) {
            prop_assert_eq!(Some(ours), seen_by_another(&spoilt), "{}", spoilt);
        }
    }
}
