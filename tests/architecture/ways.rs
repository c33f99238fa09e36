//! The ways through the engine, as the head of `src/shard/mod.rs` tells them, exist: each named file
//! is there, each function that is named behind a file is defined in it, and is called from a file of
//! the same way. The conductor enters each room once on each way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::{is_word_character, rust_files, word_positions};

/// Files of each way. If one gets longer: which of its files are stepping stones?
const FILES_MAX: [usize; 4] = [12, 8, 9, 3];

/// The fields of the conductor, and the rooms that they are of.
const COMPONENTS: [(&str, &str); 5] = [
    ("uas", "uas/"),
    ("uac", "uac/"),
    ("compositor", "presentity/"),
    ("subscriptions", "lifecycle/"),
    ("notifier", "notify/"),
];

/// The entrances to `uas`, which stands around the other rooms: on the way in, and the response.
const AROUND: [&str; 7] = [
    "begin_transaction",
    "guard",
    "admit",
    "respond_to_subscribe",
    "respond_to_publish",
    "suspend",
    "conclude",
];

/// What the functions of the ways call besides: a refusal; whether a SUBSCRIBE began its dialog before a
/// restart, and is served in that; a response, or a stream that closed or that we opened, instead of a
/// request; the end of a turn; the removal of the older subscriptions of a phone, if its profile
/// asks for that; and our Contact on a flow, which is kept when it is first asked for.
const ASIDE: [&str; 11] = [
    "refuse",
    "tag_of_repeated",
    "handle_plain_response",
    "handle_response",
    "handle_closed",
    "handle_dialed",
    "handle_located",
    "handle_dial_failed",
    "report_watchers",
    "replace_older",
    "contact_of",
];

/// What begins the section, and what ends it.
const SECTION: &str = "# Four ways through the engine";

#[test]
fn the_ways_through_the_engine_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shard");
    let text = fs::read_to_string(root.join("mod.rs")).expect("a readable file");
    let mut sources = sources_below(&root);
    // Its words are used too.
    sources.extend(sources_below(&root.with_file_name("sip")));
    let told = section(&text);
    assert!(told.len() > 30, "the section has only {} lines", told.len());
    assert_eq!(untrue(&told, &sources), [] as [String; 0]);
    assert_eq!(uncalled(&told, &sources), [] as [String; 0]);
    let entrances = entrances(&told, &sources);
    assert_eq!(entered_often(&told, &entrances), [] as [String; 0]);
    let all: BTreeSet<&str> = entrances.iter().flat_map(Entrances::aside).collect();
    assert_eq!(all, BTreeSet::from(ASIDE), "nothing more is called aside");
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

#[test]
fn a_room_that_is_entered_twice_is_caught() {
    let told = [
        "A:",
        "1. `conduct/a.rs`: `go` for a `Mail::State`.",
        "2. `lifecycle/b.rs`: `begin`, `end`.",
    ];
    let entered = |calls: &str, receiver: &str| {
        let conductor = format!(
            "impl Engine {{\n    fn go(&mut self) {{\n        match mail {{\n            \
             Mail::State {{ aor }} => {{\n                {calls}\n            }}\n            \
             Mail::Other => self.subscriptions.other(),\n        }}\n    }}\n}}"
        );
        let functions = ["begin", "end", "hidden"];
        let room =
            functions.map(|name| format!("    fn {name}<'d>(\n        {receiver},\n    ) {{}}\n"));
        let sources = [
            ("conduct/a.rs".to_owned(), conductor),
            ("lifecycle/b.rs".to_owned(), room.concat()),
        ];
        let told = told.map(str::to_owned);
        entered_often(&told, &entrances(&told, &sources))
    };
    let once = "self.subscriptions\n                    .begin(1);";
    assert_eq!(entered(once, "&mut self"), [""; 0]);
    let twice = format!("{once} self.subscriptions.end();");
    assert_eq!(
        entered(&twice, "&mut self"),
        ["A: subscriptions is entered by begin, end"]
    );
    assert_eq!(entered(&twice, "&self"), [""; 0], "questions");
    assert_eq!(
        entered("self.subscriptions.hidden();", "&mut self"),
        ["A: hidden is not told"]
    );
    let around = "self.uas.salt();";
    assert_eq!(entered(around, "&self"), ["A: salt is in no file of uas/"]);
}

/// The names below a folder, and the texts, of its sources.
fn sources_below(root: &Path) -> Vec<(String, String)> {
    rust_files(root)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("below the folder");
            let name = name.to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&path).expect("a readable file"))
        })
        .collect()
}

/// How the conductor's functions that a way names enter the rooms.
#[derive(Default)]
struct Entrances {
    way: String,
    /// By component, the functions that may change it.
    entered: BTreeMap<&'static str, BTreeSet<String>>,
    /// Calls of functions that no file of the room defines.
    unknown: Vec<String>,
}

impl Entrances {
    /// The calls that are not of the way.
    fn aside(&self) -> impl Iterator<Item = &str> {
        let all = self.entered.values().flatten().map(String::as_str);
        all.filter(|name| ASIDE.contains(name))
    }
}

/// The entrances of each way.
fn entrances(lines: &[String], sources: &[(String, String)]) -> Vec<Entrances> {
    let ways = lines.split(|line| line.is_empty());
    let ways = ways.filter(|way| way.iter().any(|line| line.starts_with("1. ")));
    ways.map(|way| {
        let mut entrances = Entrances {
            way: way[0].split(':').next().unwrap_or_default().to_owned(),
            ..Entrances::default()
        };
        for body in conducted(way, sources) {
            for (component, room) in COMPONENTS {
                for name in called_on(component, &body) {
                    match may_change(room, &name, sources) {
                        Some(true) => {
                            entrances.entered.entry(component).or_default().insert(name);
                        }
                        Some(false) => {}
                        None => entrances
                            .unknown
                            .push(format!("{name} is in no file of {room}")),
                    }
                }
            }
        }
        entrances
    })
    .collect()
}

/// Every room that a way enters more than once, or by a function that the way does not tell.
fn entered_often(lines: &[String], entrances: &[Entrances]) -> Vec<String> {
    let mut wrong = Vec::new();
    let ways = lines.split(|line| line.is_empty());
    let ways = ways.filter(|way| way.iter().any(|line| line.starts_with("1. ")));
    for (way, found) in ways.zip(entrances) {
        let mut note = |what: &str| wrong.push(format!("{}: {what}", found.way));
        found.unknown.iter().for_each(|what| note(what));
        for (component, names) in &found.entered {
            let names = names.iter().map(String::as_str);
            let names: Vec<&str> = names.filter(|name| !ASIDE.contains(name)).collect();
            let is_told = |name: &str| way.iter().any(|line| line.contains(&format!("`{name}`")));
            for name in names.iter().filter(|name| !is_told(name)) {
                note(&format!("{name} is not told"));
            }
            let is_around = *component == "uas" && names.iter().all(|name| AROUND.contains(name));
            if names.len() > 1 && !is_around {
                note(&format!("{component} is entered by {}", names.join(", ")));
            }
        }
    }
    wrong
}

/// The bodies of the conductor's functions that a way names, without white space; of a function that
/// serves several kinds (`serve` for a `Method::Subscribe`) only the arm of that kind.
fn conducted(way: &[String], sources: &[(String, String)]) -> Vec<String> {
    let text = way.join(" ");
    let mut pieces = text.split('`');
    let mut bodies = Vec::new();
    let mut file = None;
    let mut between = pieces.next().unwrap_or_default();
    while let Some(name) = pieces.next() {
        let before = std::mem::replace(&mut between, pieces.next().unwrap_or_default());
        if name.ends_with(".rs") {
            file = sources.iter().find(|(source, _)| source == name);
            continue;
        }
        let Some((_, text)) = file.filter(|(source, _)| source.starts_with("conduct/")) else {
            continue;
        };
        if name.contains("::") {
            let body: Option<String> = bodies.pop();
            let is_arm = before.trim() == "for a";
            bodies.extend(body.map(|body| if is_arm { arm(&body, name) } else { body }));
        } else {
            bodies.extend(body_of(text, name));
        }
    }
    bodies
}

/// The arm of a match for a variant, up to the next arm for a variant of that type.
fn arm(body: &str, variant: &str) -> String {
    let kind = variant.split("::").next().unwrap_or_default();
    let start = body
        .find(variant)
        .map_or(body.len(), |at| at + variant.len());
    let rest = &body[start..];
    let end = rest.find(&format!("{kind}::")).unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// The body of a function, without comments and white space.
fn body_of(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().position(|line| {
        let at = line.find(&format!("fn {name}"));
        at.is_some_and(|at| line[at + 3 + name.len()..].starts_with(['(', '<']))
    })?;
    let indentation = lines[head].len() - lines[head].trim_start().len();
    let end = format!("{}}}", " ".repeat(indentation));
    let body = lines[head + 1..].iter().take_while(|line| **line != end);
    let code = body.filter(|line| !line.trim_start().starts_with("//"));
    Some(code.flat_map(|line| line.split_whitespace()).collect())
}

/// The functions that a body, without white space, calls on a component.
fn called_on(component: &str, body: &str) -> Vec<String> {
    let receiver = format!("self.{component}.");
    let calls = body.split(receiver.as_str()).skip(1);
    let names = calls.map(|rest| {
        let end = rest.find(|character| !is_word_character(character));
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect()
}

/// Whether a function of a room may change its component; None if the room has no such function.
fn may_change(room: &str, name: &str, sources: &[(String, String)]) -> Option<bool> {
    let files = sources.iter().filter(|(file, _)| file.starts_with(room));
    let heads = files.filter_map(|(_, text)| {
        let code: String = text.split_whitespace().collect();
        let plain = code.find(&format!("fn{name}("));
        let generic = code.find(&format!("fn{name}<"));
        let rest = &code[plain.or(generic)?..];
        rest.find('(').map(|open| rest[open + 1..].to_owned())
    });
    let receivers = heads.filter(|rest| rest.starts_with('&'));
    let mutable: Vec<bool> = receivers
        .map(|rest| {
            let receiver = rest.split([',', ')']).next().unwrap_or_default();
            receiver.ends_with("mutself")
        })
        .collect();
    (!mutable.is_empty()).then(|| mutable.contains(&true))
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
