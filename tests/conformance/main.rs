//! Conformance: the messages of the engine, octet for octet, as dialogues between a peer and the
//! server.
//!
//! The rules are in `RULES.md` in this folder, each with the dialogues that prove it; [`rules`]
//! checks this, and `UPDATE_RULES=1 cargo test --test conformance` rewrites these lines.
//!
//! One folder is one case; its `dialogue.txt` cites the rules it proves (`W:`), sets the scene and
//! lists the steps (see [`dialogue`] for the language). The engine runs in virtual time, so a case
//! that waits an hour takes no time, and nothing happens except what the case says: any unexpected
//! message fails it. XML sent by the server is validated against the RFCs' schemas, see
//! [`schemas`].
//!
//! Most messages are written as a sentence, `9 watches 123`, that stands for all their octets, see
//! [`shorthand`].
//!
//! `CASE=subscribe/fetch cargo test --test conformance` runs one case. To write a new one, put the
//! lines required by the rules under each `<` (in long form; `~text` must and `^text` must not
//! occur somewhere in the message). `UPDATE_GOLDEN=1` then completes it with the rest of the
//! engine's message, to be reviewed in the diff, and refuses if a line does not match.
//! `UPDATE_GOLDEN=replace` accepts any message of the engine. `UPDATE_GOLDEN=lengthen` writes a
//! case in long form, `UPDATE_GOLDEN=shorten` as sentences. `tests/README.md` explains this step by
//! step.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
mod compare;
mod dialogue;
mod digest;
mod fuzz;
mod golden;
#[path = "../fuzz/mutator.rs"]
mod mutator;
mod placeholder;
#[path = "../parse/plain/mod.rs"]
mod plain;
mod play;
mod probe;
mod reading;
mod rules;
mod scene;
mod schemas;
mod shorthand;
mod state_update;
mod store;
mod wild;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dialogue::Dialogue;
use golden::Golden;

/// A missing folder must not make the suite pass.
const CASES_MIN: usize = 870;

#[test]
fn every_dialogue_matches_octet_by_octet() {
    let only = std::env::var("CASE").unwrap_or_default();
    let golden = Golden::from_environment();
    let mut failures = Vec::new();
    let mut played = 0;
    for path in cases() {
        let name = case_name(&path);
        if !name.contains(&only) {
            continue;
        }
        played += 1;
        if let Err(failure) = play::case(&path, golden) {
            failures.push(format!("=== {name}\n{failure}"));
        }
    }
    println!("{played} dialogues played, {} failed", failures.len());
    assert!(
        failures.is_empty(),
        "{} of {played} dialogues failed\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_case_has_an_about_line_and_none_is_missing() {
    let mut rules = BTreeSet::new();
    let cases = cases();
    for path in &cases {
        let dialogue = read(path).unwrap_or_else(|fault| panic!("{}: {fault}", case_name(path)));
        assert!(
            !dialogue.rules.is_empty(),
            "{} proves no rule: it has no W: line",
            case_name(path)
        );
        assert!(
            !dialogue.about.is_empty(),
            "{} does not say what it is about",
            case_name(path)
        );
        assert!(
            dialogue.expects_something(),
            "{} expects nothing at all",
            case_name(path)
        );
        rules.extend(dialogue.rules);
    }
    println!("{} cases prove {} rules:", cases.len(), rules.len());
    println!(
        "{}",
        rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    );
    assert!(
        cases.len() >= CASES_MIN,
        "{} cases, there were {CASES_MIN}",
        cases.len()
    );
}

/// Every `dialogue.txt`, in stable order.
fn cases() -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&folder(), &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.file_name().is_some_and(|name| name == "dialogue.txt") {
            found.push(path);
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// `subscribe/fetch`
fn case_name(path: &Path) -> String {
    let folder = path.parent().unwrap();
    folder
        .strip_prefix(self::folder())
        .unwrap_or(folder)
        .display()
        .to_string()
}

fn read(path: &Path) -> Result<Dialogue, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    Dialogue::parse(&text)?.in_long_form()
}
