//! Validates every XML body that the server sends in a dialogue against the XML schemas of the RFCs
//! (`tests/schemas/*.xsd`) with xmllint: each part of a multipart body separately.
//!
//! Bodies that no dialogue contains in full are not checked. `tests/schemas/broken` proves that the
//! schemas refuse invalid documents, and `tests/schemas/valid` that they accept what the RFCs
//! allow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dialogue::Action;
use crate::placeholder::Bindings;
use crate::{cases, read};

/// Minimum number of documents, by media type: a fault in reading dialogues must not make the suite
/// pass.
const BODIES_MIN: &[(&str, usize)] = &[
    ("application/dialog-info+xml", 790),
    ("application/pidf+xml", 120),
    ("application/rlmi+xml", 130),
    ("application/pidf-diff+xml", 8),
    ("application/reginfo+xml", 9),
    ("application/watcherinfo+xml", 34),
    ("application/cpim-pidf+xml", 1),
    ("application/xpidf+xml", 5),
    ("application/x-as-feature-event+xml", 160),
    ("application/x-broadworks-callpark-info+xml", 3),
];

/// Media types without a schema in an RFC; these only need to be well-formed.
const WITHOUT_SCHEMA: &[&str] = &[
    "application/xpidf+xml",
    "application/x-as-feature-event+xml",
    "application/x-broadworks-callpark-info+xml",
];

/// One XML document the server sent.
struct Body {
    /// `subscribe/fetch:31`, the step that expects it.
    origin: String,
    /// Lower case, without parameters.
    media_type: String,
    /// The document.
    document: Vec<u8>,
}

#[test]
fn every_body_sent_is_valid_by_its_schema() {
    let mut found = Vec::new();
    for path in cases() {
        let dialogue = read(&path).unwrap();
        for step in &dialogue.steps {
            let Action::Expect {
                message,
                partly: false,
                ..
            } = &step.action
            else {
                continue;
            };
            let origin = format!("{}:{}", crate::case_name(&path), step.line);
            bodies(&origin, &octets(&message.lines), &mut found);
        }
    }
    for (media_type, min) in BODIES_MIN {
        let count = found
            .iter()
            .filter(|body| body.media_type == *media_type)
            .count();
        println!("{count} bodies of {media_type}");
        assert!(count >= *min, "{count} of {media_type}, there were {min}");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bodies");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    // A document that is sent twice is validated once.
    let mut documents = BTreeMap::new();
    for body in &found {
        documents.entry(&body.document).or_insert(body);
    }
    let mut origins = BTreeMap::new();
    for (index, body) in documents.into_values().enumerate() {
        let file = folder.join(format!("{index}.xml"));
        fs::write(&file, &body.document).unwrap();
        origins.insert(file, body);
    }
    let (with, without): (Vec<_>, Vec<_>) = origins
        .keys()
        .cloned()
        .partition(|file| !WITHOUT_SCHEMA.contains(&origins[file].media_type.as_str()));
    let mut failures = judge(&with, true);
    failures.extend(judge(&without, false));
    let faults: Vec<_> = failures
        .iter()
        .map(|(file, complaint)| format!("{}\n{complaint}", origins[file].origin))
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {} documents do not validate\n\n{}",
        faults.len(),
        origins.len(),
        faults.join("\n")
    );
}

#[test]
fn the_schemas_take_what_the_rfcs_allow_and_refuse_what_is_broken() {
    let valid = examples("valid");
    let complaints = judge(&valid, true);
    assert!(complaints.is_empty(), "{complaints:?}");
    let broken = examples("broken");
    let complaints = judge(&broken, true);
    for file in &broken {
        assert!(complaints.contains_key(file), "{} passes", file.display());
    }
    assert!(
        valid.len() >= 8 && broken.len() >= 8,
        "examples are missing"
    );
}

#[test]
fn a_multipart_body_is_taken_apart() {
    let message = "NOTIFY sip:a@b SIP/2.0\n\
        c: multipart/related;type=\"application/rlmi+xml\";start=\"<l@h>\";boundary=b1\n\n\
        --b1\nContent-ID: <l@h>\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\n\n<list/>\n\
        --b1\nContent-Type: multipart/mixed;boundary=\"b2\"\n\n\
        --b2\nContent-Type: text/plain\n\nx\n--b2\nContent-Type: application/pidf+xml\n\n<presence/>\n--b2--\n\
        --b1--\n";
    let mut found = Vec::new();
    bodies("here", message.as_bytes(), &mut found);
    let found: Vec<_> = found
        .iter()
        .map(|body| (body.media_type.as_str(), body.document.as_slice()))
        .collect();
    assert_eq!(
        found,
        [
            ("application/rlmi+xml", b"<list/>".as_slice()),
            ("application/pidf+xml", b"<presence/>".as_slice()),
        ]
    );
}

/// The message of a `<` block, with LF as line end. Random values keep their placeholders.
fn octets(lines: &[String]) -> Vec<u8> {
    let bindings = Bindings::default();
    let mut octets = Vec::new();
    for line in lines {
        let line = line.strip_suffix('\\').unwrap_or(line);
        let line = line.strip_suffix("{x0d}").unwrap_or(line);
        octets.extend(bindings.expand(line).unwrap_or_else(|_| line.into()));
        octets.push(b'\n');
    }
    octets
}

/// Finds the XML documents in `entity`, a message or a part of a multipart body.
fn bodies(origin: &str, entity: &[u8], found: &mut Vec<Body>) {
    let Some(end) = entity.windows(2).position(|octets| octets == b"\n\n") else {
        return;
    };
    let head = String::from_utf8_lossy(&entity[..end]);
    let Some(content_type) = field(&head, &["content-type", "c"]) else {
        return;
    };
    let body = std::str::from_utf8(&entity[end + 2..])
        .unwrap_or_else(|fault| panic!("{origin}: a body that is not UTF-8: {fault}"));
    let mut parameters = content_type.split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default().to_ascii_lowercase();
    if media_type.starts_with("multipart/") {
        let boundary = parameters
            .find_map(|parameter| parameter.strip_prefix("boundary="))
            .unwrap_or_else(|| panic!("{origin}: a multipart body without boundary"))
            .trim_matches('"');
        let delimiter = format!("--{boundary}\n");
        let close = format!("--{boundary}--");
        let (parts, _) = body
            .split_once(&close)
            .unwrap_or_else(|| panic!("{origin}: a multipart body without end"));
        for part in parts.split(&delimiter).skip(1) {
            bodies(origin, part.as_bytes(), found);
        }
    } else if media_type.ends_with("+xml") {
        found.push(Body {
            origin: origin.to_owned(),
            media_type,
            document: body.trim_end().as_bytes().to_vec(),
        });
    }
}

/// The value of the first header field with one of these names, given in lower case.
fn field<'a>(head: &'a str, names: &[&str]) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| names.contains(&name.trim().to_ascii_lowercase().as_str()))
        .map(|(_, value)| value.trim())
}

/// The errors of xmllint, by file; a valid file is not in it.
fn judge(files: &[PathBuf], schema: bool) -> BTreeMap<PathBuf, String> {
    if files.is_empty() {
        return BTreeMap::new();
    }
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout"]);
    if schema {
        xmllint.arg("--schema").arg(folder().join("bodies.xsd"));
    }
    let output = xmllint
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("xmllint (Debian's libxml2-utils): {error}"));
    let messages = String::from_utf8_lossy(&output.stderr);
    let mut complaints = BTreeMap::new();
    for file in files {
        let name = file.display().to_string();
        let lines: Vec<_> = messages
            .lines()
            .filter(|line| line.starts_with(&format!("{name}:")))
            .collect();
        // xmllint names valid files one by one, but says nothing about well-formed ones.
        let validates = !schema
            || messages
                .lines()
                .any(|line| line == format!("{name} validates"));
        if !lines.is_empty() || !validates {
            complaints.insert(file.clone(), lines.join("\n"));
        }
    }
    assert!(
        !complaints.is_empty() || output.status.success(),
        "xmllint failed: {messages}"
    );
    complaints
}

/// The example documents of one kind.
fn examples(kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder().join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas")
}
