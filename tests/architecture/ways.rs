//! The ways through the engine, as the head of `src/shard/mod.rs` tells them, exist: each named file
//! is there, each function that is named behind a file is defined in it, and is called from a file of
//! the same way.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{is_word_character, rust_files, word_positions};

/// Files of each way. If one gets longer: which of its files are stepping stones?
const FILES_MAX: [usize; 4] = [12, 8, 9, 3];

/// What begins the section, and what ends it.
const SECTION: &str = "# Four ways through the engine";

#[test]
fn the_ways_through_the_engine_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shard");
    let text = fs::read_to_string(root.join("mod.rs")).expect("a readable file");
    let sources: Vec<(String, String)> = rust_files(&root)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src/shard");
            let name = name.to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&path).expect("a readable file"))
        })
        .collect();
    let told = section(&text);
    assert!(told.len() > 30, "the section has only {} lines", told.len());
    assert_eq!(untrue(&told, &sources), [] as [String; 0]);
    assert_eq!(uncalled(&told, &sources), [] as [String; 0]);
    let lengths = lengths(&told);
    assert_eq!(lengths.len(), FILES_MAX.len(), "four ways");
    let mut ways = lengths.iter().zip(FILES_MAX);
    assert!(
        ways.all(|(files, files_max)| *files <= files_max),
        "files of the ways: {lengths:?}"
    );
}

#[test]
fn a_way_that_does_not_exist_is_caught() {
    let sources = [
        (
            "a/b.rs".to_owned(),
            "impl A {\n    fn go() {}\n}".to_owned(),
        ),
        ("c.rs".to_owned(), "enum Mail {\n    State {\n}".to_owned()),
    ];
    let untrue = |line: &str| untrue(&[line.to_owned()], &sources);
    assert_eq!(untrue("1. `a/b.rs`: `go` for a `Mail::State`."), [""; 0]);
    assert_eq!(untrue("1. `a/x.rs`."), ["there is no file a/x.rs"]);
    assert_eq!(untrue("1. `c.rs`: `go`."), ["go is not a function of c.rs"]);
    assert_eq!(
        untrue("1. `a/b.rs`: `went`."),
        ["went is not a function of a/b.rs"]
    );
    assert_eq!(untrue("A `Mail::Gone`."), ["there is no Gone"]);
    let uncalled = |second: &str| {
        let told = ["1. `a/b.rs`: `go`.", second].map(str::to_owned);
        let calls = "impl A {\n    fn go() {\n        b.come(1);\n    }\n}";
        let called = "impl B {\n    fn come() {}\n    // stay()\n    fn stay() {}\n}";
        let root = ("mod.rs".to_owned(), "a.go()".to_owned());
        uncalled(
            &told,
            &[
                root,
                ("a/b.rs".to_owned(), calls.to_owned()),
                ("c.rs".to_owned(), called.to_owned()),
            ],
        )
    };
    assert_eq!(uncalled("2. `c.rs`: `come`."), [""; 0]);
    assert_eq!(
        uncalled("2. `c.rs`: `stay`."),
        ["stay is called from no file of its way"]
    );
    let told = ["A:", "1. `a/b.rs`.", "2. `c.rs`.", "3. `a/b.rs`.", "", "B:"];
    assert_eq!(lengths(&told.map(str::to_owned)), [2]);
}

/// The lines of the section, without comment marks.
fn section(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    lines
        .skip_while(|line| *line != SECTION)
        .skip(1)
        .take_while(|line| !line.starts_with("# "))
        .map(str::to_owned)
        .collect()
}

/// Whatever the lines name that does not exist. `sources` are names and texts of files.
fn untrue(lines: &[String], sources: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut file: Option<&(String, String)> = None;
    for line in lines {
        // A line goes on with its file; a new paragraph does not.
        if line.is_empty() || line.ends_with(':') {
            file = None;
        }
        for name in line.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                file = sources.iter().find(|(source, _)| source == name);
                if file.is_none() {
                    wrong.push(format!("there is no file {name}"));
                }
                continue;
            }
            let is_path = name.contains("::") || !name.starts_with(char::is_lowercase);
            match file {
                Some((source, text)) if !is_path => {
                    if !defines(text, name) {
                        wrong.push(format!("{name} is not a function of {source}"));
                    }
                }
                _ => wrong.extend(unknown_words(name, sources)),
            }
        }
    }
    wrong
}

/// The named functions that no file of their way calls. The way begins in `mod.rs`.
fn uncalled(lines: &[String], sources: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for way in lines.split(|line| line.is_empty()) {
        let names: Vec<&str> = way
            .iter()
            .skip_while(|line| !line.starts_with(char::is_numeric))
            .flat_map(|line| line.split('`').skip(1).step_by(2))
            .collect();
        let texts: Vec<&String> = sources
            .iter()
            .filter(|(file, _)| file == "mod.rs" || names.contains(&file.as_str()))
            .map(|(_, text)| text)
            .collect();
        // What is no file and no path is a function.
        let functions = names.iter().filter(|name| {
            name.starts_with(char::is_lowercase) && name.chars().all(is_word_character)
        });
        wrong.extend(
            functions
                .filter(|name| !texts.iter().any(|text| calls(text, name)))
                .map(|name| format!("{name} is called from no file of its way")),
        );
    }
    wrong
}

/// Whether a source calls a function of that name.
fn calls(text: &str, name: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| {
            word_positions(line, name).any(|position| {
                line[position + name.len()..].starts_with('(') && !line[..position].ends_with("fn ")
            })
        })
}

/// The words of a path that nothing is named by.
fn unknown_words(path: &str, sources: &[(String, String)]) -> Vec<String> {
    let words = path.split(|character| !is_word_character(character));
    words
        .filter(|word| !word.is_empty() && *word != "Err")
        .filter(|word| {
            let is_room = sources
                .iter()
                .any(|(source, _)| source.starts_with(&format!("{word}/")));
            !is_room && !sources.iter().any(|(_, text)| defines(text, word))
        })
        .map(|word| format!("there is no {word}"))
        .collect()
}

/// Whether a source defines a function, a type, a module or an enum's variant of that name.
fn defines(text: &str, name: &str) -> bool {
    const KINDS: [&str; 5] = ["fn ", "struct ", "enum ", "type ", "mod "];
    let is_variant = name.starts_with(char::is_uppercase);
    text.lines().any(|line| {
        let positions: Vec<usize> = word_positions(line, name).collect();
        let bare = line.trim_start();
        let is_listed = bare
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with([',', '(']) || rest.starts_with(" {"));
        let is_defined = |position: &usize| {
            KINDS
                .iter()
                .any(|kind| line[..*position].ends_with(kind) && !bare.starts_with("//"))
        };
        positions.iter().any(is_defined) || is_variant && is_listed
    })
}

/// How many files each way names; a way is a run of numbered lines.
fn lengths(lines: &[String]) -> Vec<usize> {
    let mut ways = vec![BTreeSet::new()];
    for line in lines {
        if line.is_empty() {
            ways.push(BTreeSet::new());
        }
        let files = line.split('`').skip(1).step_by(2);
        let files =
            files.filter(|name| name.ends_with(".rs") && line.starts_with(char::is_numeric));
        if let Some(way) = ways.last_mut() {
            way.extend(files);
        }
    }
    ways.iter()
        .map(BTreeSet::len)
        .filter(|files| *files > 0)
        .collect()
}
