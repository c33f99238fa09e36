//! What is read by template is what reading the XML gives.

use super::*;
use crate::presence::document::xml::{read, read_by_template};

/// Records all that a visitor is given, but for namespace declarations.
#[derive(Default)]
struct Notes(String);

impl Visitor for Notes {
    const NAMES: &'static [&'static str] = &["dialog-info", "dialog", "state"];
    const OCTETS_MAX: usize = 1000;

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        let values = element.attributes.iter();
        let values: Vec<_> = values.filter(|(key, _)| !is_declaration(key)).collect();
        let (name, local) = (element.name, element.local);
        self.0 += &format!("<{parents:?} {name:?} {local} {values:?}>");
        if values.iter().any(|(_, value)| value == "refused") {
            return Err(DocumentFault::WrongEntity);
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        self.0 += &format!("</{parents:?} {name:?} {text:?}>");
        Ok(())
    }
}

type Seen = Result<String, DocumentFault>;

fn as_xml(document: &[u8]) -> Seen {
    let mut notes = Notes::default();
    read(document, &mut notes).map(|()| notes.0)
}

fn by_template(templates: &mut Templates, document: &[u8]) -> Option<Seen> {
    let mut notes = Notes::default();
    let visited = templates.visit(document, &mut notes)?;
    Some(visited.map(|()| notes.0))
}

/// The templates after a document was read.
fn templates_of(document: &str) -> Templates {
    let mut templates = Templates::default();
    read_by_template(document.as_bytes(), &mut Notes::default(), &mut templates).unwrap();
    templates
}

const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n\
    <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" xmlns:x='u' version=\"7\">\n \
    mixed <dialog id='a' x:b=\"c\" empty=''><state code='1'> early </state><x:s/></dialog>\n\
    <t></t><state>x</state> after </dialog-info>\n";

#[test]
fn a_document_with_other_values_is_read_by_template() {
    let mut templates = templates_of(DOCUMENT);
    let changes = [
        ("\"7\"", "\"\""),
        ("'a'", "'a longer one, of [many] words'"),
        ("'a'", "'refused'"),
        ("\"c\"", "\"J\u{fc}rgen ]]\""),
        ("''", "' '"),
        (">x<", "><"),
        (">x<", ">  sip:1@[2001:db8::1] <"),
        ("early ", "   "),
        (" after ", " after/="),
    ];
    for (from, to) in changes {
        let document = DOCUMENT.replace(from, to);
        assert_ne!(document, DOCUMENT);
        let expected = as_xml(document.as_bytes());
        let seen = by_template(&mut templates, document.as_bytes());
        assert_eq!(seen, Some(expected), "{document}");
    }
}

#[test]
fn a_document_with_other_markup_is_read_as_xml() {
    let mut templates = templates_of(DOCUMENT);
    let changes = [
        ("\"7\"", "'7'"),
        ("'a'", "'\"'"),
        ("'a'", "'&amp;'"),
        ("'a'", "'<'"),
        ("'a'", "'\t'"),
        ("'a'", "'\u{fffe}'"),
        ("'a'", "'b' id='a'"),
        (">x<", ">x]]><"),
        (">x<", "><y/><"),
        (">x<", ">x<!-- y --><"),
        ("xmlns:x='u'", "xmlns:x='v'"),
        ("mixed", "mingled"),
        ("<t></t>", "<t>1</t>"),
        ("</dialog-info>", "</dialog>"),
        ("</dialog-info>\n", "</dialog-info>"),
        ("</dialog-info>\n", "</dialog-info>\n<more/>"),
        (">x<", &format!(">{}<", "x".repeat(1000))),
    ];
    for (from, to) in changes {
        let document = DOCUMENT.replace(from, to);
        assert_ne!(document, DOCUMENT);
        let seen = by_template(&mut templates, document.as_bytes());
        assert_eq!(seen, None, "{document}");
    }
    let invalid = DOCUMENT.replace('c', "\u{fc}").into_bytes();
    let invalid: Vec<u8> = invalid.into_iter().filter(|&octet| octet != 0xc3).collect();
    assert_eq!(by_template(&mut templates, &invalid), None);
}

/// Every octet of a document is deleted, replaced by others, and preceded by others.
#[test]
fn a_damaged_document_is_read_as_its_xml_or_not_at_all() {
    let mut templates = templates_of(DOCUMENT);
    let pieces = [
        "", "<", ">", "&", "\"", "'", " ", "\n", "\0", "]", "]]>", "=", "/", "a", "<a>", "</a>",
        "<!--", "-->", "<?a?>", "&#65;", "\u{fc}", "\u{ffff}", "''", "' b='", "xmlns",
    ];
    let mut by_template_count = 0;
    for at in 0..DOCUMENT.len() {
        for piece in pieces {
            for end in [at, at + 1] {
                let document = [&DOCUMENT[..at], piece, &DOCUMENT[end..]].concat();
                if let Some(seen) = by_template(&mut templates, document.as_bytes()) {
                    assert_eq!(seen, as_xml(document.as_bytes()), "{document}");
                    by_template_count += 1;
                }
            }
        }
    }
    assert!(by_template_count > 500, "{by_template_count}");
}

#[test]
fn what_has_more_than_tags_and_texts_is_no_template() {
    let documents = [
        "<r a='\"'/>",
        "<r><!-- c --></r>",
        "<r><![CDATA[x]]></r>",
        "<r>&amp;</r>",
        "<r a='&amp;'/>",
        "<r><?pi x?></r>",
        "<r>a\r\nb</r>",
        "<r>a\nb</r>",
        "<r>a>b</r>",
        "<r a='>'/>",
        "<r a='\n'/>",
        "<?xml version='1.0' encoding='latin1'?><r a='\u{fc}'/>",
        "\u{feff}<?xml version='1.0' encoding='latin1'?><r/>",
    ];
    for document in documents {
        let templates = templates_of(document);
        assert!(templates.templates.is_empty(), "{document}");
    }
    let long = format!("<r>{}</r>", "<s/>".repeat(TEMPLATE_OCTETS_MAX / 4));
    let mut templates = Templates::default();
    let refused = read_by_template(long.as_bytes(), &mut Notes::default(), &mut templates);
    assert_eq!(refused, Err(DocumentFault::TooLarge));
    assert!(templates.templates.is_empty());
}

#[test]
fn the_templates_needed_last_are_kept() {
    let document = |number: usize| format!("<r{number} a='1'/>");
    let mut templates = Templates::default();
    for number in 0..TEMPLATES_MAX {
        read_by_template(
            document(number).as_bytes(),
            &mut Notes::default(),
            &mut templates,
        )
        .unwrap();
    }
    assert!(by_template(&mut templates, document(0).as_bytes()).is_some());
    let another = document(TEMPLATES_MAX);
    read_by_template(another.as_bytes(), &mut Notes::default(), &mut templates).unwrap();
    assert_eq!(templates.templates.len(), TEMPLATES_MAX);
    for number in 0..=TEMPLATES_MAX {
        let seen = by_template(&mut templates, document(number).as_bytes());
        assert_eq!(seen.is_some(), number != 1, "{number}");
    }
}
