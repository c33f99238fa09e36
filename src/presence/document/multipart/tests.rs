//! multipart: bodies sent to list subscribers (RFC 4662 §4.3-4.5; W:B5.8, G1) and bodies accepted
//! (W:E4.9).

use proptest::prelude::*;

use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// W:B5.3, G1
#[test]
fn b5_3_the_octets() {
    let content_type = written(|out| {
        write_related(out, ContentId::ROOT, "application/rlmi+xml");
    });
    assert_eq!(
        content_type,
        "multipart/related;type=\"application/rlmi+xml\";start=\"<r0@lamps>\";boundary=lamps00"
    );
    let body = written(|out| {
        begin_part(out, Some(ContentId::ROOT), "application/rlmi+xml");
        out.extend_from_slice(b"<list/>\n");
        end_part(out);
        begin_part(out, Some(ContentId(17)), "application/pidf+xml");
        out.extend_from_slice(b"<presence/>\n");
        end_part(out);
        end(out);
    });
    let expected = "--lamps00\r\nContent-ID: <r0@lamps>\r\nContent-Type: application/rlmi+xml\r\n\r\n\
        <list/>\n\r\n--lamps00\r\nContent-ID: <r17@lamps>\r\nContent-Type: application/pidf+xml\r\n\r\n\
        <presence/>\n\r\n--lamps00--\r\n";
    assert_eq!(body, expected);
    let read: Vec<Part<'_>> = parts("lamps00", body.as_bytes()).collect();
    let [list, presence] = *read else {
        panic!("{read:?}")
    };
    assert_eq!(list.content_type, "application/rlmi+xml");
    assert_eq!(presence.content_id, "r17@lamps");
    assert_eq!(presence.body, b"<presence/>\n");
    assert_eq!(root(&content_type, body.as_bytes()), Ok(list));
}

/// W:G1
#[test]
fn g1_a_content_id_without_brackets() {
    let body = written(|out| {
        begin_bare_part(out, ContentId(17), "application/pidf+xml");
        out.extend_from_slice(b"<presence/>\n");
        end_part(out);
        end(out);
    });
    let expected = "--lamps00\r\nContent-Id: r17@lamps\r\nContent-Type: application/pidf+xml\r\n\r\n\
        <presence/>\n\r\n--lamps00--\r\n";
    assert_eq!(body, expected);
    let mut read = parts("lamps00", body.as_bytes());
    assert_eq!(read.next().map(|part| part.content_id), Some("r17@lamps"));
}

/// W:B5.8
#[test]
fn b5_8_short_names() {
    assert!(ContentId(u32::MAX).to_string().len() <= 54);
    assert!(BOUNDARY.len() <= 10 && BOUNDARY.bytes().all(|octet| octet.is_ascii_alphanumeric()));
}

/// W:E4.9
#[test]
fn e4_9_what_is_read() {
    let table: [(&str, &str, Option<&str>); 13] = [
        (
            "multipart/related;boundary=b",
            "--b\r\n\r\nx\r\n--b--\r\n",
            Some("x"),
        ),
        (
            "multipart/related; Boundary=\"b b\" ",
            "--b b\n\nx\n--b b--",
            Some("x"),
        ),
        (
            "m;x=\"a;boundary=no\";boundary=b",
            "--b\n\nx\n--b--",
            Some("x"),
        ),
        // `start` names the root, with or without brackets; if it names no part, the first part is
        // the root.
        (
            "m;boundary=b;start=\"<2@h>\"",
            "--b\n\n1\n--b\nContent-ID: <2@h>\n\n2\n--b--",
            Some("2"),
        ),
        (
            "m;boundary=b;start=2@h",
            "--b\n\n1\n--b\ncontent-id:<2@h>\n\n2\n--b--",
            Some("2"),
        ),
        (
            "m;boundary=b;start=3",
            "--b\n\n1\n--b\nContent-ID: <2@h>\n\n2\n--b--",
            Some("1"),
        ),
        // A preamble, a missing end, white space after a delimiter, a foreign delimiter.
        ("m;boundary=b", "preamble\n--b \t\r\n\r\nx", Some("x")),
        (
            "m;boundary=b",
            "--b\n\nx\n--bb\n--b--\nepilogue",
            Some("x\n--bb"),
        ),
        ("m;boundary=b", "--b\n\n--b--", Some("")),
        ("m;boundary=b", "--b--", None),
        ("m;boundary=b", "", None),
        ("m", "--b\n\nx\n--b--", None),
        ("m;boundary=", "--\n\nx\n----", None),
    ];
    for (content_type, body, expected) in table {
        let root = root(content_type, body.as_bytes()).ok();
        assert_eq!(
            root.map(|part| part.body),
            expected.map(str::as_bytes),
            "{content_type} {body:?}"
        );
    }
    let long = format!("m;boundary={}", "b".repeat(71));
    assert_eq!(root(&long, b"x"), Err(DocumentFault::Malformed));
    let header = format!("--b\nX: {}\n\nx\n--b--", "y".repeat(PART_HEADER_OCTETS_MAX));
    assert_eq!(parts("b", header.as_bytes()).count(), 0);
}

proptest! {
    #[test]
    fn arbitrary_input_does_not_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec!["--b", "--", "\r\n", "\n", "Content-ID: <1>", "x", ":", "\u{fc}"]), 0..24,
    )) {
        let body = pieces.concat();
        prop_assert!(parts("b", body.as_bytes()).count() <= body.len());
        let _ = root("m;boundary=b;start=1", body.as_bytes());
    }
}
