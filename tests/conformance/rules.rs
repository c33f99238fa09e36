//! Compares the rules in `RULES.md` with their citations in dialogues and in comments of the
//! sources.
//!
//! A rule is a list item that begins with its number in bold, in the section with that number:
//!
//! ```text
//! ### A1 Admission of a SUBSCRIBE
//!
//! - **A1.13** (MAY, RFC 6665 §4.2.1.1) If ...
//!   - Dialogues: subscribe/expires-too-brief-is-423
//! ```
//!
//! The last item is generated: `UPDATE_RULES=1 cargo test --test conformance` rewrites it from the
//! `W:` lines of the dialogues. Sources cite rules as `W:A1.13`, `W:A1.12-A1.14, A2.5` or, for a
//! whole section, `W:A1`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The start of a rule; its number follows, and `**`.
const RULE: &str = "- **";
/// The start of a rule's generated item.
const DIALOGUES: &str = "  - Dialogues:";
/// The generated item is wrapped before this column.
const COLUMNS: usize = 100;
/// Folders whose comments are checked for citations of rules.
const SOURCES: [&str; 4] = ["src", "loadtest", "bench", "tests"];

#[test]
fn no_rule_is_repeated_or_in_the_wrong_section() {
    let text = document();
    let mut seen = BTreeSet::new();
    let mut section = "";
    let mut faults = Vec::new();
    for line in text.lines() {
        if let Some(name) = section_of(line) {
            section = name;
            if !seen.insert(name) {
                faults.push(format!("section {name} is there twice"));
            }
        } else if let Some(number) = rule_of(line) {
            if !seen.insert(number) {
                faults.push(format!("{number} is there twice"));
            }
            if number.rsplit_once('.').map_or(&number[..1], |(of, _)| of) != section {
                faults.push(format!("{number} stands in section {section}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_that_a_rule_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = document();
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter(|name| name.starts_with("src/") || name.starts_with("tests/"));
    let missing: Vec<&str> = named.filter(|name| !root.join(name).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_cited_rule_exists() {
    let text = document();
    let rules: BTreeSet<&str> = text.lines().filter_map(rule_of).collect();
    let sections: BTreeSet<&str> = text.lines().filter_map(section_of).collect();
    let mut faults = Vec::new();
    for (rule, dialogues) in &dialogues_by_rule() {
        if !rules.contains(rule.as_str()) {
            faults.push(format!("{rule}, cited by {}", dialogues.join(", ")));
        }
    }
    let is_known = |name: &str| rules.contains(name) || sections.contains(name);
    for path in sources() {
        for name in citations(&fs::read_to_string(&path).unwrap()) {
            if !is_known(&name) {
                faults.push(format!("{name}, cited by {}", path.display()));
            }
        }
    }
    for name in cross_references(&text) {
        if !is_known(name) {
            faults.push(format!("{name}, cited by RULES.md itself"));
        }
    }
    assert!(faults.is_empty(), "not in RULES.md:\n{}", faults.join("\n"));
}

#[test]
fn every_rule_names_its_dialogues() {
    let text = document();
    let dialogues = dialogues_by_rule();
    let rules: Vec<&str> = text.lines().filter_map(rule_of).collect();
    let unproved: Vec<&str> = rules
        .iter()
        .filter(|rule| !dialogues.contains_key(**rule))
        .copied()
        .collect();
    println!(
        "{} of {} rules have no dialogue:\n{}",
        unproved.len(),
        rules.len(),
        unproved.join(" ")
    );
    let expected = with_dialogues(&text, &dialogues);
    if std::env::var_os("UPDATE_RULES").is_some() {
        fs::write(path(), &expected).unwrap();
        return;
    }
    let differing = text
        .lines()
        .zip(expected.lines())
        .position(|(is, should)| is != should);
    assert!(
        text == expected,
        "RULES.md, line {}: the dialogues of a rule changed; \
         `UPDATE_RULES=1 cargo test --test conformance` writes them",
        differing.unwrap_or_else(|| text.lines().count().min(expected.lines().count())) + 1
    );
}

fn path() -> PathBuf {
    super::folder().join("RULES.md")
}

fn document() -> String {
    fs::read_to_string(path()).unwrap()
}

/// `A1.13` of the first line of a rule.
fn rule_of(line: &str) -> Option<&str> {
    line.strip_prefix(RULE)?
        .split_once("**")
        .map(|(name, _)| name)
}

/// `A1` of the heading of a section; None for any other heading.
fn section_of(line: &str) -> Option<&str> {
    let heading = line
        .strip_prefix("### ")
        .or_else(|| line.strip_prefix("## "))?;
    let name = heading.split(' ').next()?.trim_end_matches('.');
    (item(name) == Some(name.len())).then_some(name)
}

/// The cases that cite a rule, in order.
fn dialogues_by_rule() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in super::cases() {
        let name = super::case_name(&path);
        let dialogue = super::read(&path).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let rules: BTreeSet<String> = dialogue.rules.iter().map(ToString::to_string).collect();
        for rule in rules {
            found.entry(rule).or_default().push(name.clone());
        }
    }
    found
}

/// The document with correct generated items.
fn with_dialogues(text: &str, dialogues: &BTreeMap<String, Vec<String>>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut pending = None;
    let mut is_generated = false;
    for line in text.lines() {
        is_generated = line.starts_with(DIALOGUES) || is_generated && line.starts_with("    ");
        if is_generated {
            continue;
        }
        // A rule may continue with a table after an empty line.
        if !line.is_empty() && !line.starts_with("  ") {
            append(pending.take(), &mut out);
        }
        if let Some(rule) = rule_of(line) {
            pending = dialogues.get(rule).map(|names| wrapped(names));
        }
        out.push(line.to_owned());
    }
    append(pending, &mut out);
    out.join("\n") + "\n"
}

/// Appends a generated item, if there is one, before the empty lines at the end.
fn append(item: Option<Vec<String>>, out: &mut Vec<String>) {
    let end = out.iter().rposition(|line| !line.is_empty());
    let place = end.map_or(0, |last| last + 1);
    out.splice(place..place, item.into_iter().flatten());
}

/// The generated item.
fn wrapped(names: &[String]) -> Vec<String> {
    let mut lines = vec![DIALOGUES.to_owned()];
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        let last = lines.last_mut().unwrap();
        if last.len() + 1 + name.len() + comma.len() > COLUMNS {
            lines.push(format!("    {name}{comma}"));
        } else {
            *last = format!("{last} {name}{comma}");
        }
    }
    lines
}

/// Every text file that can cite a rule in a comment.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in SOURCES {
        collect(&root.join(folder), &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if matches!(ending, Some("rs" | "toml" | "md" | "sh" | "py")) {
            found.push(path);
        }
    }
}

/// The rules and sections that a source cites. A citation that cannot be parsed is returned
/// unchanged.
fn citations(source: &str) -> Vec<String> {
    let text = unwrapped(source);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("W:") {
        if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = text[at + 2..].trim_start();
        match item(rest) {
            Some(length) => cite(&rest[..length], &rest[length..], &mut found),
            None if rest.starts_with(|first: char| first.is_ascii_uppercase()) => {
                found.push(rest.split(' ').next().unwrap_or_default().to_owned());
            }
            None => {}
        }
    }
    found
}

/// Consumes `first` and the rest of the citation: `-A1.14`, `, A2.5` and so on.
fn cite<'a>(first: &'a str, mut rest: &'a str, found: &mut Vec<String>) {
    let mut last = first;
    found.push(first.to_owned());
    loop {
        if let Some(behind) = rest.strip_prefix('-') {
            let length = item(behind).unwrap_or_else(|| digits(behind));
            found.extend(following(last, &behind[..length]));
            rest = &behind[length..];
        } else if let Some((behind, length)) = rest
            .strip_prefix(", ")
            .and_then(|behind| Some((behind, item(behind).filter(|length| *length > 1)?)))
        {
            last = &behind[..length];
            found.push(last.to_owned());
            rest = &behind[length..];
        } else {
            return;
        }
    }
}

/// The names of a range after `first`, up to and including `last`, of which only the number counts.
fn following(first: &str, last: &str) -> Vec<String> {
    let is_digit = |character: char| character.is_ascii_digit();
    let section = first.trim_end_matches(is_digit);
    let start: Option<u32> = first[section.len()..].parse().ok();
    let end: Option<u32> = last[last.trim_end_matches(is_digit).len()..].parse().ok();
    let (Some(start), Some(end)) = (start, end) else {
        return Vec::new();
    };
    (start + 1..=end)
        .map(|number| format!("{section}{number}"))
        .collect()
}

/// The length of the name of a rule or section at the start of `text`: `A1.13`, `A1`, `A`.
fn item(text: &str) -> Option<usize> {
    let after = text.strip_prefix(|first: char| ('A'..='G').contains(&first))?;
    let section = digits(after);
    let number = match after[section..].strip_prefix('.') {
        Some(rest) if section > 0 && digits(rest) > 0 => 1 + digits(rest),
        _ => 0,
    };
    let length = 1 + section + number;
    let is_whole = !text[length..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
    is_whole.then_some(length)
}

/// The number of digits at the start of `text`.
fn digits(text: &str) -> usize {
    text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()
}

/// The text without the line ends and comment markers that interrupt a citation.
fn unwrapped(source: &str) -> String {
    source
        .lines()
        .map(|line| {
            line.trim_start()
                .trim_start_matches(['/', '!', '#', '*'])
                .trim_start()
        })
        .collect::<Vec<_>>()
        .join(" ")
        .replace("- ", "-")
}

/// The rules that the document itself names, such as `A2.5`.
fn cross_references(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.contains('.') && item(word) == Some(word.len()))
}

#[test]
fn citations_are_read_as_they_are_written() {
    let cited = |text: &str| citations(text).join(" ");
    assert_eq!(cited("/// One (RFC 3261 §7; W:A1.13)."), "A1.13");
    assert_eq!(
        cited("// W:A1.12-A1.14, A2.5: more, A1 more"),
        "A1.12 A1.13 A1.14 A2.5"
    );
    assert_eq!(cited("// W:C10.1-2). W:C, and D"), "C10.1 C10.2 C");
    assert_eq!(cited("# (W:C0-C2)"), "C0 C1 C2");
    assert_eq!(cited("//! (W:B5.8-\n    //! B5.10)."), "B5.8 B5.9 B5.10");
    assert_eq!(cited("//! (W:E2.9,\n//! E2.12)."), "E2.9 E2.12");
    assert_eq!(cited("const WINDOW: u32 = 1; it has no W: line"), "");
    // In two pieces, because otherwise it would be a citation in this file.
    assert_eq!(cited(&format!("(W{} OTHER 31)", ":")), "OTHER");
}

#[test]
fn dialogues_are_listed_after_the_text_of_their_rule() {
    let text = "### A1 X\n\n- **A1.1** (MUST) One,\n\n  | two |\n  - Dialogues: old\n    older\n- **A1.2** (MAY) Three.\n\n## B\n";
    let named = BTreeMap::from([
        ("A1.1".to_owned(), vec!["a/b".to_owned(), "c/d".to_owned()]),
        ("A1.2".to_owned(), vec!["e".to_owned()]),
    ]);
    let written = "### A1 X\n\n- **A1.1** (MUST) One,\n\n  | two |\n  - Dialogues: a/b, c/d\n- **A1.2** (MAY) Three.\n  - Dialogues: e\n\n## B\n";
    assert_eq!(with_dialogues(text, &named), written);
    assert_eq!(with_dialogues(written, &named), written);
}
