//! Compares expected lines with received ones, and writes the difference in readable form.

use std::fmt::Write as _;

use crate::placeholder::{Bindings, escape};

/// The lines of a message as sent; the last is the text after the last LF.
pub(crate) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|octet| *octet == b'\n').collect()
}

/// The lines of a block as they would be on the wire, comparable with [`lines`].
pub(crate) fn expected_lines(block: &[String]) -> Vec<String> {
    let split = block
        .iter()
        .position(String::is_empty)
        .unwrap_or(block.len());
    let (head, body) = (&block[..split], block.get(split + 1..).unwrap_or_default());
    let mut lines: Vec<String> = head.iter().map(|line| format!("{line}\r")).collect();
    lines.push("\r".to_owned());
    lines.extend(body.iter().cloned());
    match lines.last_mut() {
        Some(last) if !body.is_empty() && last.ends_with('\\') => drop(last.pop()),
        _ => lines.push(String::new()),
    }
    lines
}

/// The difference: common lines with two blanks, expected ones with `-`, actual ones with `+`.
pub(crate) fn difference(expected: &[String], actual: &[&[u8]], bindings: &Bindings) -> String {
    let mut learned = bindings.clone();
    let same = |pair: &(&String, &&[u8]), learned: &mut Bindings| learned.matches(pair.0, pair.1);
    let front = expected
        .iter()
        .zip(actual)
        .take_while(|pair| same(pair, &mut learned))
        .count();
    let behind = expected[front..]
        .iter()
        .rev()
        .zip(actual[front..].iter().rev());
    let back = behind.take_while(|pair| same(pair, &mut learned)).count();
    let mut text = String::new();
    for line in &actual[..front] {
        let _ = writeln!(text, "  {}", shown(line));
    }
    for line in &expected[front..expected.len() - back] {
        let _ = writeln!(text, "- {}", line.trim_end_matches('\r'));
    }
    for line in &actual[front..actual.len() - back] {
        let _ = writeln!(text, "+ {}", shown(line));
    }
    for line in &actual[actual.len() - back..] {
        let _ = writeln!(text, "  {}", shown(line));
    }
    text
}

fn shown(line: &[u8]) -> String {
    escape(line.strip_suffix(b"\r").unwrap_or(line))
}

/// All lines, marked as received ones are in [`difference`].
pub(crate) fn escaped(lines: &[&[u8]]) -> String {
    lines
        .iter()
        .map(|line| format!("+ {}\n", shown(line)))
        .collect()
}

/// A message as written in a block.
pub(crate) fn indented(bytes: &[u8]) -> String {
    lines(bytes)
        .iter()
        .map(|line| format!("    {}\n", shown(line)))
        .collect()
}
