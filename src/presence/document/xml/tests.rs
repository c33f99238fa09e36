//! The limits of the reader (W:E4), and the replacement of characters that XML cannot contain.

use std::time::Instant;

use proptest::prelude::*;

use super::characters::is_xml_char;
use super::*;

/// Records the elements.
#[derive(Default)]
struct Notes(String);

impl Visitor for Notes {
    const NAMES: &'static [&'static str] = &["presence", "note"];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        self.0 += &format!("<{}:{:?}", parents.len(), element.name.0);
        for name in ["a", "b"] {
            if let Some(value) = element.attribute(name) {
                self.0 += &format!(" {name}={value}");
            }
        }
        self.0.push('>');
        Ok(())
    }

    fn end(&mut self, _: Name, _: &[Name], text: &str) -> Result<(), DocumentFault> {
        self.0 += &format!("{text}</>");
        Ok(())
    }
}

fn seen(body: impl AsRef<[u8]>) -> Result<String, DocumentFault> {
    let mut notes = Notes::default();
    read(body.as_ref(), &mut notes).map(|()| notes.0)
}

const PIDF: &str = "urn:ietf:params:xml:ns:pidf";

#[test]
fn e4_well_formed_documents() {
    let table = [
        ("<r/>", "<0:Other></>"),
        ("<r a='1' b=\"2\"/>", "<0:Other a=1 b=2></>"),
        ("\u{feff}<?xml version=\"1.0\"?><r>t</r>\n", "<0:Other>t</>"),
        (
            "<?xml version='1.0' encoding='UTF-8' standalone='no'?>\n<r>\u{fc}</r>",
            "<0:Other>\u{fc}</>",
        ),
        (
            "<r><![CDATA[<&]]>x<!-- c -->y<?pi z?></r><!-- end -->",
            "<0:Other><&xy</>",
        ),
        (
            "<r>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#x1F600;</r>",
            "<0:Other><>&\"'AB\u{1f600}</>",
        ),
        ("<r a='&#x41;&amp;\n\tb\r\nc'/>", "<0:Other a=A&  b c></>"),
        ("<r>a\r\nb</r>", "<0:Other>a\nb</>"),
        ("<r>]]</r>", "<0:Other>]]</>"),
        ("<r a='&#10;'/>", "<0:Other a=\n></>"),
        (
            "<\u{fc}-1._\u{b7} p:\u{df}='' \u{df}9='' a='1'/>",
            "<0:Other a=1></>",
        ),
        (
            "<r>a &amp; b <s/> c <!-- d --> e</r>",
            "<0:Other><1:Other></>c  e</>",
        ),
    ];
    for (document, expected) in table {
        assert_eq!(seen(document).as_deref(), Ok(expected), "{document}");
    }
}

#[test]
fn e4_what_is_not_well_formed() {
    let table: [&[u8]; 58] = [
        b"",
        b"   ",
        b"text",
        b"<!-- only -->",
        b"<r>",
        b"<r",
        b"</r>",
        b"<r></s>",
        b"<r><a></r></a>",
        b"<r/><s/>",
        b"<r/>garbage",
        b"garbage<r/>",
        b"<r/><![CDATA[x]]>",
        b"<r/>&amp;",
        b"<r/></r>",
        b"<r a='1' a='2'/>",
        b"<r a=1/>",
        b"<r a/>",
        b"<r a='1'b='2'/>",
        b"<r a=\"1\"b=\"2\"/>",
        b"<r a='<'/>",
        b"<r a='&nbsp;'/>",
        b"<r a='&amp'/>",
        b"<r a='&#0;'/>",
        b"<r>&nbsp;</r>",
        b"<r>&</r>",
        b"<r>& </r>",
        b"<r>&#0;</r>",
        b"<r>&#xFFFE;</r>",
        b"<r>&#x;</r>",
        b"<r>&#+65;</r>",
        b"<r>&#xD800;</r>",
        b"<r>&#99999999999;</r>",
        b"<r>]]></r>",
        b"<r>\x01</r>",
        b"<r>\xff</r>",
        b"<r>\xc3</r>",
        b"<r><!-- -- --></r>",
        b" <?xml version='1.0'?><r/>",
        b"<r/><?xml version='1.0'?>",
        b"<p:q:r/>",
        b"<p:/>",
        // Invalid names.
        b"<r&/>",
        b"<r a\"='1'/>",
        b"<1r/>",
        b"<-r/>",
        b"<r\xc3\x97/>",
        b"<:r/>",
        b"<r,s/>",
        b"<r ='1'/>",
        b"<r 1a='1'/>",
        b"<r a&='1'/>",
        b"<r a<='1'/>",
        b"<r xmlns:='u'/>",
        b"<r p:q:a='1'/>",
        b"<r>&a&;</r>",
        b"<r><?a&b ?></r>",
        b"<r><? a?></r>",
    ];
    for document in table {
        assert_eq!(
            seen(document),
            Err(DocumentFault::Malformed),
            "{}",
            document.escape_ascii()
        );
    }
}

#[test]
fn e4_1_doctypes_are_refused() {
    let doctypes = [
        "<!DOCTYPE r>",
        "<!DOCTYPE r [<!ENTITY lol 'lol'><!ENTITY lols '&lol;&lol;&lol;'>]>",
        "<!DOCTYPE r [<!ENTITY % p SYSTEM 'http://127.0.0.1/x'> %p;]>",
        "<!DOCTYPE r SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE presence PUBLIC '-//IETF//DTD RFCxxxx XPIDF 1.0//EN' 'xpidf.dtd'>",
    ];
    for doctype in doctypes {
        assert_eq!(
            seen(format!("{doctype}<r>&lols;</r>")),
            Err(DocumentFault::Malformed),
            "{doctype}"
        );
        assert_eq!(
            seen(format!("{doctype}<r/>")),
            Err(DocumentFault::Malformed),
            "{doctype}"
        );
    }
}

#[test]
fn e4_3_limits() {
    let nested = |depth: usize| "<r>".repeat(depth) + &"</r>".repeat(depth);
    let attributes = |count: usize| {
        format!(
            "<r {}/>",
            (0..count)
                .map(|at| format!("a{at}='' "))
                .collect::<String>()
        )
    };
    let namespaces = |count: usize| -> String {
        let open: String = (0..count)
            .map(|at| format!("<r xmlns:a{at}='u' xmlns:b{at}='u'>"))
            .collect();
        open + &"</r>".repeat(count)
    };
    let padded = |octets: usize| format!("<r>{}</r>", "x".repeat(octets - 7));
    assert!(seen(nested(32)).is_ok());
    assert_eq!(seen(nested(33)), Err(DocumentFault::TooLarge));
    assert_eq!(seen("<r>".repeat(20_000)), Err(DocumentFault::TooLarge));
    assert!(seen(attributes(64)).is_ok());
    assert_eq!(seen(attributes(65)), Err(DocumentFault::TooLarge));
    assert_eq!(seen(attributes(1_000_000)), Err(DocumentFault::TooLarge));
    assert!(seen(namespaces(32)).is_ok());
    assert_eq!(
        seen(format!("<r xmlns='u'>{}</r>", namespaces(32))),
        Err(DocumentFault::TooLarge)
    );
    assert!(seen(padded(DOCUMENT_OCTETS_MAX)).is_ok());
    assert_eq!(
        seen(padded(DOCUMENT_OCTETS_MAX + 1)),
        Err(DocumentFault::TooLarge)
    );
    // Declarations of closed elements are out of scope.
    let many = "<a xmlns:x='u'/>".repeat(2000);
    assert!(seen(format!("<r>{many}</r>")).is_ok());
}

/// The worst known case: the maximum number of elements, each looked up among the maximum number of
/// declarations.
#[test]
fn e4_3_the_worst_case_is_fast() {
    let declarations: String = (0..63).map(|at| format!(" xmlns:n{at}='u'")).collect();
    let elements = "<z:a/>".repeat((DOCUMENT_OCTETS_MAX - declarations.len() - 100) / 6);
    let document = format!("<r xmlns:z='u'{declarations}>{elements}</r>");
    let start = Instant::now();
    assert!(seen(document).is_ok());
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn e4_4_namespaces() {
    let table = [
        (format!("<presence xmlns='{PIDF}'/>"), "<0:Pidf></>"),
        (format!("<p:presence xmlns:p='{PIDF}'/>"), "<0:Pidf></>"),
        (format!("<presence xmlns=' {PIDF}\n'/>"), "<0:Pidf></>"),
        (
            "<presence xmlns='urn:ietf:params:xml:ns: pidf'/>".into(),
            "<0:Pidf></>",
        ),
        (
            "<presence xmlns='urn:ietf:params:xml:ns:cpim-pidf'/>".into(),
            "<0:Pidf></>",
        ),
        (format!("<presence xmlns='{PIDF}x'/>"), "<0:Other></>"),
        ("<presence/>".into(), "<0:Other></>"),
        ("<p:presence/>".into(), "<0:Other></>"),
        (
            format!("<a xmlns='{PIDF}'><b xmlns=''/></a>"),
            "<0:Pidf><1:Other></></>",
        ),
        (
            format!("<p:a xmlns:p='{PIDF}'><p:b xmlns:p='u'/><p:c/></p:a>"),
            "<0:Pidf><1:Other></><1:Pidf></></>",
        ),
        (
            format!("<a xmlns='{PIDF}'><p:b xmlns:p='urn:ietf:params:xml:ns:pidf:person'/></a>"),
            "<0:Pidf><1:DataModel></></>",
        ),
        // An attribute with a prefix is a different attribute.
        (
            format!("<a xmlns='{PIDF}' xmlns:p='u' p:a='1' b='2'/>"),
            "<0:Pidf b=2></>",
        ),
    ];
    for (document, expected) in table {
        assert_eq!(seen(&document).as_deref(), Ok(expected), "{document}");
    }
    assert!(
        SPACES
            .iter()
            .all(|&(name, space)| Space::named(name) == space)
    );
}

#[test]
fn encodings() {
    let unsupported = Err(DocumentFault::UnsupportedType);
    let declared = |encoding: &str, text: &[u8]| {
        let head = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?><r>");
        seen([head.as_bytes(), text, b"</r>"].concat())
    };
    assert_eq!(
        declared("ISO-8859-1", b"\xfc").as_deref(),
        Ok("<0:Other>\u{fc}</>")
    );
    assert_eq!(
        declared("utf-8", b"\xc3\xbc").as_deref(),
        Ok("<0:Other>\u{fc}</>")
    );
    assert_eq!(declared("US-ASCII", b"u").as_deref(), Ok("<0:Other>u</>"));
    assert_eq!(declared("utf-8", b"\xfc"), Err(DocumentFault::Malformed));
    assert_eq!(declared("UTF-16", b"u"), unsupported);
    assert_eq!(declared("koi8-r", b"u"), unsupported);
    assert_eq!(seen(b"<\0r\0/\0>\0"), Err(DocumentFault::Malformed));
    // Not an XML declaration, and therefore not a declaration of an encoding.
    assert_eq!(
        seen("<r a='encoding=\"koi8-r\"?>'/>").as_deref(),
        Ok("<0:Other a=encoding=\"koi8-r\"?>></>")
    );
}

#[test]
fn byte_order_marks() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><r>\u{fc}\u{1f4de}</r>";
    let expected = Ok("<0:Other>\u{fc}\u{1f4de}</>");
    let marked = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(unit).collect()
    };
    assert_eq!(seen(marked(u16::to_be_bytes)).as_deref(), expected);
    assert_eq!(seen(marked(u16::to_le_bytes)).as_deref(), expected);
    let utf_8 = text.replace("utf-16", "utf-8");
    assert_eq!(seen(format!("\u{feff}{utf_8}")).as_deref(), expected);
    let malformed = Err(DocumentFault::Malformed);
    let cut = marked(u16::to_be_bytes);
    assert_eq!(seen(&cut[..cut.len() - 1]), malformed);
    assert_eq!(seen(b"\xfe\xff\0<\0r\0>\xd8\x3d\0<\0/\0r\0>"), malformed);
    assert_eq!(seen(b"\xfe\xff"), malformed);
}

#[test]
fn c0_10_escaping() {
    let table: [(&[u8], &str); 8] = [
        (b"plain", "plain"),
        (b"", ""),
        (b"&<>\"'", "&amp;&lt;&gt;&quot;&apos;"),
        (b"a\x00\x01\x08\x0b\x1fb", "ab"),
        (b"a\tb\r\nc", "a b  c"),
        (b"a\xffb\xc3", "a\u{fffd}b\u{fffd}"),
        ("\u{fffe}\u{ffff}x".as_bytes(), "x"),
        (
            "\u{202e}\u{1f600}\u{200b}\u{fc}".as_bytes(),
            "\u{202e}\u{1f600}\u{200b}\u{fc}",
        ),
    ];
    for (raw, expected) in table {
        let mut out = Vec::new();
        write_escaped(&mut out, raw);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected,
            "{}",
            raw.escape_ascii()
        );
    }
}

#[test]
fn a_user_becomes_a_uri() {
    let table = [
        ("123", "sip:123@abc.com"),
        ("*98", "sip:*98@abc.com"),
        ("#1", "sip:%231@abc.com"),
        ("+49;x=1", "sip:+49;x=1@abc.com"),
        ("a&b'c", "sip:a&amp;b&apos;c@abc.com"),
        ("a b%\"<@", "sip:a%20b%25%22%3C%40@abc.com"),
        ("\u{fc}", "sip:%C3%BC@abc.com"),
    ];
    for (user, expected) in table {
        let mut out = Vec::new();
        write_sip_uri(&mut out, user, "abc.com");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn arbitrary_input_does_not_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = seen(body);
    }

    #[test]
    fn xml_like_input_does_not_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            "<", ">", "/", "r", " a='1'", "</r>", "<r>", "&amp;", "&", ";", "<![CDATA[", "]]>", "<!--", "-->", "<?", "?>",
            "xmlns:p='u'", "<p:r", "'", "=", "<?xml version='1.0'?>", "<!DOCTYPE r>", "\u{fc}",
        ]),
        0..40,
    )) {
        let _ = seen(pieces.concat());
    }

    #[test]
    fn what_is_escaped_reads_back(raw in "\\PC{0,40}") {
        let mut out = b"<r a=\"".to_vec();
        write_escaped(&mut out, raw.as_bytes());
        out.extend_from_slice(b"\">");
        write_escaped(&mut out, raw.as_bytes());
        out.extend_from_slice(b"</r>");
        let kept: String = raw.chars().filter(|&character| is_xml_char(character)).collect();
        let text = kept.trim_start_matches(' ');
        prop_assert_eq!(seen(out).unwrap(), format!("<0:Other a={kept}>{text}</>"));
    }
}

/// Accepts xpidf's DOCTYPE.
#[derive(Default)]
struct Tolerant;

impl Visitor for Tolerant {
    const NAMES: &'static [&'static str] = &[];
    const ALLOWS_EXTERNAL_DOCTYPE: bool = true;

    fn start(&mut self, _: &Element<'_>, _: &[Name]) -> Result<(), DocumentFault> {
        Ok(())
    }

    fn end(&mut self, _: Name, _: &[Name], _: &str) -> Result<(), DocumentFault> {
        Ok(())
    }
}

/// W:E4.1: a DOCTYPE that defines nothing is ignored, if it occurs once and before the root.
#[test]
fn e4_1_the_doctype_that_is_tolerated() {
    let table = [
        (
            "<!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\"><r/>",
            true,
        ),
        (
            "<?xml version=\"1.0\"?>\n<!DOCTYPE presence\nPUBLIC '-//IETF//' 'xpidf.dtd' >\n<r/>",
            true,
        ),
        ("<!DOCTYPE presence SYSTEM \"xpidf.dtd\"><r/>", true),
        ("<!DOCTYPE presence><r/>", false),
        ("<!DOCTYPE presence PUBLIC \"one\"><r/>", false),
        ("<!DOCTYPE presence SYSTEM xpidf.dtd><r/>", false),
        (
            "<!DOCTYPE presence SYSTEM \"x\" [<!ENTITY a 'b'>]><r/>",
            false,
        ),
        ("<!DOCTYPE presence SYSTEM \"x\" []><r/>", false),
        (
            "<!DOCTYPE presence [<!ENTITY a SYSTEM 'x'>]><r>&a;</r>",
            false,
        ),
        ("<!DOCTYPE a SYSTEM 'x'><!DOCTYPE a SYSTEM 'x'><r/>", false),
        ("<r/><!DOCTYPE a SYSTEM 'x'>", false),
        ("<r><!DOCTYPE a SYSTEM 'x'></r>", false),
        ("<!DOCTYPE a SYSTEM 'x'><r>&a;</r>", false),
    ];
    for (document, is_taken) in table {
        assert_eq!(
            read(document.as_bytes(), &mut Tolerant).is_ok(),
            is_taken,
            "{document}"
        );
        let mut strict = Notes::default();
        assert!(
            read(document.as_bytes(), &mut strict).is_err(),
            "{document}"
        );
    }
}
