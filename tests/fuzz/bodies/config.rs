//! A configuration: it is read, or every fault is named with a line of the file.

use lamplighter::config::{Machine, Source, load_from};

pub(crate) fn config(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let source = Source {
        name: "fuzz.toml".to_owned(),
        text: text.to_owned(),
    };
    let Err(complaints) = load_from(&source, &Machine { cpus: vec![0] }) else {
        return;
    };
    assert!(!complaints.complaints.is_empty());
    let lines = 1 + text.bytes().filter(|octet| *octet == b'\n').count();
    for complaint in &complaints.complaints {
        assert!(!complaint.what.is_empty() && !complaint.remedy.is_empty());
        assert!(
            complaint
                .line
                .is_none_or(|line| (1..=lines).contains(&line))
        );
    }
}
