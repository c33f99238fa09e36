//! All features of a line (as-feature-event): do-not-disturb and the three kinds of forwarding.
//!
//! ```text
//! do not disturb is off, forward immediate to 9, forward busy to 8, forward no answer to 7
//! ```

use crate::shorthand::body::{Document, find, owned};

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "multipart/mixed;boundary=lamps00";

const NAMESPACE: &str = "xmlns=\"http://www.ecma-international.org/standards/ecma-323/csta/ed3\"";
const FORWARDS: [(&str, &str); 3] = [
    ("forwardImmediate", "immediate"),
    ("forwardBusy", "busy"),
    ("forwardNoAns", "no answer"),
];

/// The document of a statement; None if it is not about features.
pub(crate) fn write(statement: &str) -> Option<Document> {
    let rest = statement.strip_prefix("do not disturb is ")?;
    let mut clauses = rest.split(", ");
    let is_on = match clauses.next()? {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    let clauses: Vec<&str> = clauses.collect();
    let mut lines = part(
        "DoNotDisturbEvent",
        &[format!("<doNotDisturbOn>{is_on}</doNotDisturbOn>")],
    );
    for (kind, word) in FORWARDS {
        let front = format!("forward {word} to ");
        let target = clauses
            .iter()
            .find_map(|clause| clause.strip_prefix(&front));
        let is_active = target.is_some();
        let target = target.unwrap_or_default();
        lines.extend(part(
            "ForwardingEvent",
            &[
                format!("<forwardingType>{kind}</forwardingType>"),
                format!("<forwardStatus>{is_active}</forwardStatus>"),
                format!("<forwardTo>{target}</forwardTo>"),
            ],
        ));
    }
    lines.push("--lamps00--{x0d}".to_owned());
    Some(Document::tagged(CONTENT_TYPE, lines))
}

fn part(element: &str, inside: &[String]) -> Vec<String> {
    let mut lines = owned(&[
        "--lamps00{x0d}",
        "Content-Type: application/x-as-feature-event+xml{x0d}",
        "{x0d}",
        super::DECLARATION,
    ]);
    lines.push(format!("<{element} {NAMESPACE}>"));
    lines.push("<device/>".to_owned());
    lines.extend(inside.iter().cloned());
    lines.push(format!("</{element}>"));
    lines.push("{x0d}".to_owned());
    lines
}

/// The statement of a document.
pub(crate) fn read(lines: &[String]) -> Option<String> {
    let is_on = find(lines, "<doNotDisturbOn>", "</doNotDisturbOn>")?;
    let state = if is_on == "true" { "on" } else { "off" };
    let mut statement = format!("do not disturb is {state}");
    for (kind, word) in FORWARDS {
        let type_line = format!("<forwardingType>{kind}</forwardingType>");
        let at = lines.iter().position(|line| *line == type_line)?;
        let target = find(&lines[at..], "<forwardTo>", "</forwardTo>")?;
        if lines.get(at + 1)?.contains(">true<") {
            statement += &format!(", forward {word} to {target}");
        }
    }
    Some(statement)
}
