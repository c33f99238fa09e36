//! No line of the log above DEBUG names a person, and none a secret.
//!
//! It looks at the words in each `tracing::info!`, `warn!` and `error!`: the fields, the values that they
//! are taken from, and what a text shows in braces. So it finds what is named by its usual name, which
//! is how such a line comes about.

use std::fs;
use std::path::Path;

use crate::{
    Breach, blank_comments_and_literals, is_word_character, lines_without_tests, listed,
    rust_files, word_positions,
};

/// Macros of lines above DEBUG.
const LOUD: [&str; 3] = ["info", "warn", "error"];

/// What a value that names a person, or a secret, is called.
const NAMES: [&str; 21] = [
    "account",
    "aor",
    "auth_id",
    "call_id",
    "caller",
    "contact",
    "credentials",
    "entity",
    "identity",
    "nonce",
    "party",
    "password",
    "phone",
    "presentity",
    "response",
    "secret",
    "target",
    "token",
    "uri",
    "user",
    "watcher",
];

/// The file that may name something, what it may name, and why.
const EXCEPTIONS: [(&str, &str, &str); 3] = [
    (
        "runtime/alarms.rs",
        "user",
        "fail2ban and operators read it after wrong passwords",
    ),
    ("http/attempts.rs", "user", "as in runtime/alarms.rs"),
    (
        "runtime/edit_keeper.rs",
        "aor",
        "the address of a list, no person",
    ),
];

#[test]
fn lines_above_debug_name_no_person() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut breaches, mut calls, mut excused) = (Vec::new(), 0, 0);
    for path in rust_files(&root) {
        let text = fs::read_to_string(&path).expect("a readable source file");
        let name = path.strip_prefix(&root).expect("below src");
        let name = name.to_string_lossy().replace('\\', "/");
        calls += loud_lines(&name, &text).len();
        for (breach, word) in check_log(&name, &text) {
            let is_known = |(file, known, _): &(&str, &str, &str)| *file == name && *known == word;
            match EXCEPTIONS.iter().any(is_known) {
                true => excused += 1,
                false => breaches.push(breach),
            }
        }
    }
    assert!(calls > 50, "found only {calls} lines");
    assert!(breaches.is_empty(), "\n{}\n", listed(&breaches));
    assert!(
        excused >= EXCEPTIONS.len(),
        "an exception is not needed any more"
    );
}

#[test]
fn a_line_that_names_a_person_is_caught() {
    let words = |text: &str| -> Vec<String> {
        let found = check_log("net/a.rs", text);
        found.into_iter().map(|(_, word)| word).collect()
    };
    assert_eq!(words("f(); tracing::info!(%aor, \"it\");"), ["aor"]);
    assert_eq!(
        words("tracing::warn!(\n    at = ?report.phone,\n    \"(it\",\n);"),
        ["phone"]
    );
    assert_eq!(
        words("tracing::error!(\"{user:?} of {}\", uri);"),
        ["uri", "user"]
    );
    for harmless in [
        "tracing::debug!(%aor, \"it\");",
        "tracing::info!(users = 3, \"the user is told; {{user}}\");",
        "// tracing::info!(%aor);",
        "#[cfg(test)]\nmod tests {\n    fn f() { tracing::info!(%aor); }\n}",
    ] {
        assert_eq!(words(harmless), [] as [&str; 0], "{harmless}");
    }
}

/// The breaches of a file, each with the word that is one.
fn check_log(file: &str, text: &str) -> Vec<(Breach, String)> {
    let lines = loud_lines(file, text).into_iter();
    let breaches = lines.flat_map(|(line, code, literals)| {
        let is_named = |word: &&&str| {
            let mut shown = braced(&literals).into_iter();
            word_positions(&code, word).next().is_some() || shown.any(|shown| shown == **word)
        };
        let named: Vec<&str> = NAMES.iter().filter(is_named).copied().collect();
        named.into_iter().map(move |word| {
            let breach = Breach {
                file: file.to_owned(),
                line,
                what: format!("names \"{word}\" above DEBUG; log it at DEBUG, or not at all"),
            };
            (breach, word.to_owned())
        })
    });
    breaches.collect()
}

/// The arguments of each loud macro: its line, its code without literals, and as written.
fn loud_lines(file: &str, text: &str) -> Vec<(usize, String, String)> {
    let code = blank_comments_and_literals(text);
    let untested = lines_without_tests(file, &code);
    let (code, text): (Vec<char>, Vec<char>) = (code.chars().collect(), text.chars().collect());
    assert_eq!(code.len(), text.len(), "blanking keeps positions");
    let mut found = Vec::new();
    for name in LOUD {
        let begin: Vec<char> = format!("tracing::{name}!(").chars().collect();
        let starts = (0..code.len()).filter(|at| code[*at..].starts_with(&begin));
        for start in starts {
            let line = code[..start]
                .iter()
                .filter(|letter| **letter == '\n')
                .count()
                + 1;
            if line <= untested {
                let start = start + begin.len();
                let end = start + length_in_brackets(&code[start..]);
                let part = |of: &[char]| of[start..end].iter().collect::<String>();
                found.push((line, part(&code), part(&text)));
            }
        }
    }
    found
}

/// How long it is to the bracket that closes.
fn length_in_brackets(code: &[char]) -> usize {
    let mut depth = 1;
    let closes = code.iter().position(|letter| {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    closes.unwrap_or(code.len())
}

/// The names in braces: `user` in `"{user:?}"`.
fn braced(text: &str) -> Vec<String> {
    let text = text.replace("{{", "");
    let parts = text.split('{').skip(1);
    let names = parts.map(|part| part.chars().take_while(|letter| is_word_character(*letter)));
    names.map(Iterator::collect).collect()
}
