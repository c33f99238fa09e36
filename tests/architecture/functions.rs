//! The maximum length of a function, and the maximum number of its parameters.
//!
//! A comment just above the function permits an exception and gives its reason: `// Long: why`, `//
//! Parameters: why`. An exception that is no longer needed is a violation as well.
//!
//! The scan relies on rustfmt: a function ends at the first closing brace with the same
//! indentation.

use std::fs;
use std::path::Path;

use crate::{
    Breach, blank_comments_and_literals, is_test_file, lines_without_tests, listed, rust_files,
    word_positions,
};

/// Maximum lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Maximum parameters of a function, without `self`.
const PARAMETERS_MAX: usize = 5;

#[test]
fn functions_are_short_and_take_few_parameters() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut breaches = Vec::new();
    let mut functions = 0;
    for path in rust_files(&root) {
        let text = fs::read_to_string(&path).expect("a readable source file");
        let name = path.strip_prefix(&root).expect("below src");
        let name = name.to_string_lossy().replace('\\', "/");
        functions += functions_of(&blank_comments_and_literals(&text)).len();
        breaches.extend(check_functions(&name, &text));
    }
    assert!(functions > 1_000, "found only {functions} functions");
    assert!(breaches.is_empty(), "\n{}\n", listed(&breaches));
}

#[test]
fn a_long_function_is_caught() {
    let body = "    f();\n".repeat(FUNCTION_LINES_MAX);
    let long = format!("fn long(\n    a: u8,\n) {{\n{body}}}\n");
    let expected = "long has 74 lines";
    assert!(listed(&check_functions("sip/uri.rs", &long)).contains(expected));
    let nested = format!("impl A {{\n    pub(crate) const fn f() -> u8 {{\n{body}    }}\n}}\n");
    assert!(listed(&check_functions("sip/uri.rs", &nested)).contains("f has 72 lines"));
    let excused = format!("/// A.\n#[inline]\n// Long: one arm for each method.\n{long}");
    assert_eq!(check_functions("sip/uri.rs", &excused), []);
    let without_reason = format!("// Long:\n{long}");
    assert!(!check_functions("sip/uri.rs", &without_reason).is_empty());
    let tested = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_eq!(check_functions("sip/uri.rs", &tested), []);
    assert_eq!(check_functions("sip/tests/uri.rs", &long), []);
}

#[test]
fn a_function_with_many_parameters_is_caught() {
    let cases = [
        ("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}", 6),
        (
            "fn f<F: Fn(u8, u8) -> u8>(\n    &mut self,\n    a: [u8; 2],\n    b: (u8, u8),\n    \
             c: A<u8, u8>,\n    d: impl Fn(u8, u8) -> u8,\n    e: u8,\n) {\n}",
            5,
        ),
        ("fn f() -> (u8, u8, u8, u8, u8, u8, u8) {\n}", 0),
        ("fn f(&self, (a, b): (u8, u8)) {}", 1),
        ("    fn f<'a>(self: Rc<Self>, a: &'a u8);", 1),
    ];
    for (text, parameters) in cases {
        let functions = functions_of(&blank_comments_and_literals(text));
        assert_eq!(functions.len(), 1, "{text}");
        assert_eq!(functions[0].parameters, parameters, "{text}");
    }
    let many = "fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}\n";
    let expected = "f takes 6 parameters";
    assert!(listed(&check_functions("sip/uri.rs", many)).contains(expected));
    let excused = format!("// Parameters: the six fields of the header.\n{many}");
    assert_eq!(check_functions("sip/uri.rs", &excused), []);
}

#[test]
fn an_exception_without_need_is_caught() {
    let text = "// Long: it once was.\nfn f() {\n}\n";
    assert!(listed(&check_functions("sip/uri.rs", text)).contains("needs no `// Long:`"));
}

/// One function, as found by the scan.
struct Function {
    name: String,
    /// Its first line, counted from 0.
    line: usize,
    lines: usize,
    /// Without `self`.
    parameters: usize,
}

/// Every violation in a source file; `file` is its path below `src`.
fn check_functions(file: &str, text: &str) -> Vec<Breach> {
    if is_test_file(file) {
        return Vec::new();
    }
    let code = blank_comments_and_literals(text);
    let untested = lines_without_tests(file, &code);
    let lines: Vec<&str> = text.lines().collect();
    let mut breaches = Vec::new();
    for function in functions_of(&code) {
        if function.line >= untested {
            continue;
        }
        let Function { name, .. } = &function;
        let limits = [
            (
                "Long",
                function.lines > FUNCTION_LINES_MAX,
                format!("{name} has {} lines", function.lines),
            ),
            (
                "Parameters",
                function.parameters > PARAMETERS_MAX,
                format!("{name} takes {} parameters", function.parameters),
            ),
        ];
        for (exception, is_over, what) in limits {
            let what = match (is_over, is_excused(&lines, function.line, exception)) {
                (true, false) => {
                    format!("{what}; cut it, or give the reason in `// {exception}: ` above it")
                }
                (false, true) => format!("{name} needs no `// {exception}:`"),
                _ => continue,
            };
            breaches.push(Breach {
                file: file.to_owned(),
                line: function.line + 1,
                what,
            });
        }
    }
    breaches
}

/// Returns whether the comments just above a line permit that exception and give a reason.
fn is_excused(lines: &[&str], line: usize, exception: &str) -> bool {
    let above = lines[..line].iter().rev().map(|line| line.trim());
    above
        .take_while(|line| line.starts_with("// "))
        .any(|line| line.starts_with(&format!("// {exception}: ")))
}

/// The functions of a text whose comments and literals are blanked.
fn functions_of(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut functions = Vec::new();
    for (line, text) in lines.iter().enumerate() {
        let Some(name) = function_name(text) else {
            continue;
        };
        let indent = text.len() - text.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let is_one_line = text.ends_with('}') || text.ends_with(';');
        let ends = |later: &&&str| **later == end || later.starts_with(&format!("{end} "));
        let body = lines[line..].iter().take_while(|later| !ends(later));
        let is_declaration = lines[line..]
            .iter()
            .find(|text| text.contains('{') || text.trim_end().ends_with(';'))
            .is_some_and(|text| !text.contains('{'));
        let count = match is_one_line || is_declaration {
            true => 1,
            false => body.count() + 1,
        };
        functions.push(Function {
            name: name.to_owned(),
            line,
            lines: count,
            parameters: parameters_of(&lines[line..].join("\n"), name),
        });
    }
    functions
}

/// The name of the function that begins on a line; None if none does.
fn function_name(line: &str) -> Option<&str> {
    const QUALIFIERS: [&str; 6] = ["pub", "const", "async", "unsafe", "extern", "default"];
    let at = word_positions(line, "fn").next()?;
    let before = line[..at].split_whitespace();
    let is_item = before
        .map(|word| word.split('(').next().unwrap_or(word))
        .all(|word| QUALIFIERS.contains(&word) || word.ends_with(')'));
    let name = line[at + "fn".len()..].strip_prefix(' ')?;
    let end = name.find(|character: char| !character.is_alphanumeric() && character != '_');
    is_item.then(|| &name[..end.unwrap_or(name.len())])
}

/// The number of parameters, without `self`, of the function whose signature begins a text.
fn parameters_of(text: &str, name: &str) -> usize {
    let signature = text.split_once(&format!("fn {name}"));
    let signature = signature.map_or("", |(_, rest)| rest);
    let mut parameters = vec![String::new()];
    let mut depth = 0;
    let mut generics = 0;
    let mut before = ' ';
    for character in signature.chars() {
        let is_arrow = before == '-' && character == '>';
        before = character;
        match character {
            '<' => generics += 1,
            '>' if !is_arrow => generics -= 1,
            // The parentheses of a bound, such as `F: Fn(u8)`, come before those of the function.
            '(' if depth == 0 && generics > 0 => {}
            ')' if depth == 0 => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 1 && generics == 0 => parameters.push(String::new()),
            _ => {}
        }
        if depth == 0 && generics == 0 && character == ')' {
            break;
        }
        if depth > 0 && !(depth == 1 && matches!(character, '(' | ',')) {
            parameters
                .last_mut()
                .expect("there is one from the start")
                .push(character);
        }
    }
    let parameters = parameters.iter().map(|parameter| parameter.trim());
    parameters
        .filter(|parameter| !parameter.is_empty())
        .filter(|parameter| word_positions(parameter, "self").next().is_none())
        .count()
}
