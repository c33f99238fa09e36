//! The body of a list (RFC 4662): a root that names the resources, and a part with the state of
//! each.
//!
//! ```text
//! list team in full, named The team   or `in part`; `version 3` may follow
//! 100 "Alice" is idle                 a resource, its name if it is not the user, its state
//! #3 102 is pending                   its instance, if it is not the next
//! 103 is over, rejected               terminated, and why
//! 104 is unknown                      without an instance
//! ```

use std::collections::BTreeMap;

use crate::shorthand::body::{
    Clauses, Context, DECLARATION, Document, find, owned, read_state, write_state,
};
use crate::shorthand::conversation::between;

const CONTENT_TYPE: &str =
    "multipart/related;type=\"application/rlmi+xml\";start=\"<r0@lamps>\";boundary=lamps00";

/// A list with these lines.
pub(crate) fn of(lines: Vec<String>) -> Document {
    Document {
        content_type: CONTENT_TYPE,
        requires: Some("eventlist"),
        has_entity_tag: false,
        lines,
    }
}

/// The body for the statements.
pub(crate) fn write(
    first: &str,
    resources: &[String],
    context: &Context<'_>,
) -> Result<Document, String> {
    let mut parts = first.split(", ");
    let head: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
    let ["list", subject, "in", extent] = head.as_slice() else {
        return Err("list <name> in full, or in part".to_owned());
    };
    let mut clauses = Clauses(parts.collect());
    let uri = context.conversation.uri(subject);
    let next = || context.next_version("").to_string();
    let version = clauses.take("version").map_or_else(next, str::to_owned);
    let is_full = *extent == "full";
    let mut root = owned(&[DECLARATION]);
    root.push(format!(
        "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"{uri}\" version=\"{version}\" fullState=\"{is_full}\">"
    ));
    root.extend(
        clauses
            .take("named")
            .map(|name| format!("<name>{name}</name>")),
    );
    let mut bodies = Vec::new();
    let mut id = 0;
    for statement in resources {
        let resource = Resource::parse(statement, id + 1, context)?;
        id = resource.id;
        root.extend(resource.lines());
        bodies.extend(
            resource
                .part
                .map(|document| part(&format!("r{id:x}"), document.content_type, document.lines)),
        );
    }
    root.push("</list>".to_owned());
    let mut lines = part("r0", "application/rlmi+xml", root);
    lines.extend(bodies.concat());
    lines.push("--lamps00--{x0d}".to_owned());
    Ok(of(lines))
}

fn part(id: &str, content_type: &str, document: Vec<String>) -> Vec<String> {
    let mut lines = owned(&["--lamps00{x0d}"]);
    lines.push(format!("Content-ID: <{id}@lamps>{{x0d}}"));
    lines.push(format!("Content-Type: {content_type}{{x0d}}"));
    lines.push("{x0d}".to_owned());
    lines.extend(document);
    lines.push("{x0d}".to_owned());
    lines
}

/// A line about a resource.
struct Resource {
    id: u64,
    uri: String,
    name: String,
    /// `state="pending"`; None without an instance.
    instance: Option<String>,
    part: Option<Document>,
}

impl Resource {
    fn parse(statement: &str, next: u64, context: &Context<'_>) -> Result<Self, String> {
        let (subject, state) = statement.split_once(" is ").ok_or("is what?")?;
        let (id, subject) = match subject
            .strip_prefix('#')
            .and_then(|rest| rest.split_once(' '))
        {
            Some((id, subject)) => (
                u64::from_str_radix(id, 16).map_err(|_| "which instance?")?,
                subject,
            ),
            None => (next, subject),
        };
        let (user, name) = match subject.split_once(" \"") {
            Some((user, name)) => (user, name.trim_end_matches('"')),
            None => (subject, subject.split('@').next().unwrap_or_default()),
        };
        let name = name.strip_prefix("sip:").unwrap_or(name);
        let (instance, part) = match state.split_once(", ") {
            None if state == "unknown" => (None, None),
            None if state == "pending" => (Some("state=\"pending\"".to_owned()), None),
            Some(("over", reason)) => {
                let instance = format!("state=\"terminated\" reason=\"{reason}\"");
                (Some(instance), None)
            }
            _ => {
                let document = write_state(&format!("{user} is {state}"), context)?;
                let instance = format!("state=\"active\" cid=\"r{id:x}@lamps\"");
                (Some(instance), Some(document))
            }
        };
        Ok(Self {
            id,
            uri: context.conversation.uri(user),
            name: name.to_owned(),
            instance,
            part,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("<resource uri=\"{}\">", self.uri)];
        lines.push(format!("<name>{}</name>", self.name));
        let id = self.id;
        let instance = self.instance.as_ref();
        lines.extend(instance.map(|state| format!("<instance id=\"{id:x}\" {state}/>")));
        lines.push("</resource>".to_owned());
        lines
    }
}

/// The statements of a body.
pub(crate) fn read(lines: &[String], context: &Context<'_>) -> Option<Vec<String>> {
    let opening = lines.iter().find(|line| line.starts_with("<list "))?;
    let subject = context
        .conversation
        .name(between(opening, " uri=\"", "\"")?);
    let version = between(opening, " version=\"", "\"")?;
    let is_full = opening.contains(" fullState=\"true\"");
    let extent = if is_full { "full" } else { "part" };
    let mut first = format!("list {subject} in {extent}");
    if version.parse() != Ok(context.next_version("")) {
        first += &format!(", version {version}");
    }
    let at = lines.iter().position(|line| line == opening)?;
    if let Some(name) = between(lines.get(at + 1)?, "<name>", "</name>") {
        first += &format!(", named {name}");
    }
    let mut documents: BTreeMap<&str, &[String]> = BTreeMap::new();
    for part in lines.split(|line| line.starts_with("--lamps00")) {
        if let Some(id) = find(part, "Content-ID: <", ">") {
            documents.insert(id, part);
        }
    }
    let mut statements = vec![first];
    let mut last = 0;
    let resources = lines.split(|line| line == "</resource>");
    for resource in resources.filter(|lines| find(lines, "<resource uri=\"", "\"").is_some()) {
        let (id, statement) = read_resource(resource, last + 1, &documents, context)?;
        last = id;
        statements.push(statement);
    }
    Some(statements)
}

fn read_resource(
    lines: &[String],
    next: u64,
    documents: &BTreeMap<&str, &[String]>,
    context: &Context<'_>,
) -> Option<(u64, String)> {
    let start = lines
        .iter()
        .position(|line| line.starts_with("<resource "))?;
    let lines = &lines[start..];
    let subject = context
        .conversation
        .name(find(lines, "<resource uri=\"", "\"")?);
    let name = find(lines, "<name>", "</name>")?;
    let id = find(lines, "<instance id=\"", "\"");
    let id = id.map_or(Some(next), |id| u64::from_str_radix(id, 16).ok())?;
    let state = if let Some(reason) = find(lines, " reason=\"", "\"") {
        format!("over, {reason}")
    } else if let Some(part) = find(lines, " cid=\"", "\"") {
        let statement = read_state(documents.get(part)?, context)?;
        statement
            .strip_prefix(&format!("{subject} is "))?
            .to_owned()
    } else if find(lines, " state=\"", "\"") == Some("pending") {
        "pending".to_owned()
    } else {
        "unknown".to_owned()
    };
    let mut front = if id == next {
        String::new()
    } else {
        format!("#{id:x} ")
    };
    front += &subject;
    if Some(name) != subject.split('@').next() {
        front += &format!(" \"{name}\"");
    }
    Some((id, format!("{front} is {state}")))
}
