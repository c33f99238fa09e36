//! dialog-info (RFC 4235) about one address of record.
//!
//! ```text
//! 123 is idle                         the idle dialog
//! 123 has no dialog                   a document without a dialog
//! 123 is early, id 9be5ed13d4a3ff31, recipient, call k1@pbx l1 r1, with "Bob" bob
//! ```
//!
//! Clauses: `id`, `version` (default: the next), `call` with Call-ID, local and remote tag,
//! `recipient` or `initiator`, `named` for the local display name, `with` a display name and a URI
//! or `anonymous`, `no target` or `target` if the remote target is not that URI, `state only` for a
//! dialog without local and remote elements.
//!
//! A phone or PBX writes it differently: dialog `1`, and one line for the remote side.

use crate::shorthand::body::{
    Clauses, Context, DECLARATION, DECLARATION_OF_PEERS, Document, find, owned,
};
use crate::shorthand::conversation::between;

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/dialog-info+xml";

const STATES: [&str; 6] = [
    "trying",
    "proceeding",
    "early",
    "confirmed",
    "terminated",
    "idle",
];
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// The document of a statement; None if it is not about a dialog.
pub(crate) fn write(statement: &str, context: &Context<'_>) -> Option<Document> {
    if let Some(subject) = statement.strip_suffix(" has no dialog") {
        let lines = enclosed(subject, context, None, Vec::new());
        return Some(Document::tagged(CONTENT_TYPE, lines));
    }
    let (subject, state, mut clauses) = Clauses::split(statement)?;
    if !STATES.contains(&state) {
        return None;
    }
    let version = clauses.take("version");
    let dialog = if state == "idle" {
        owned(&[
            "<dialog id=\"idle\">",
            "<state>terminated</state>",
            "</dialog>",
        ])
    } else {
        dialog(subject, state, &mut clauses, context)?
    };
    let lines = enclosed(subject, context, version, dialog);
    clauses
        .0
        .is_empty()
        .then(|| Document::tagged(CONTENT_TYPE, lines))
}

fn enclosed(
    subject: &str,
    context: &Context<'_>,
    version: Option<&str>,
    dialogs: Vec<String>,
) -> Vec<String> {
    let entity = context.conversation.uri(subject);
    let next = || context.next_version(&entity).to_string();
    let version = version.map_or_else(next, str::to_owned);
    let declaration = if context.is_received {
        DECLARATION_OF_PEERS
    } else {
        DECLARATION
    };
    let opening = format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" state=\"full\" entity=\"{entity}\">"
    );
    let mut lines = vec![declaration.to_owned(), opening];
    lines.extend(dialogs);
    lines.push("</dialog-info>".to_owned());
    lines
}

fn dialog(
    subject: &str,
    state: &str,
    clauses: &mut Clauses<'_>,
    context: &Context<'_>,
) -> Option<Vec<String>> {
    let usual = context.is_received.then_some("1");
    let id = clauses.take("id").or(usual)?;
    let mut opening = format!("<dialog id=\"{id}\"");
    let call: Option<Vec<&str>> = clauses.take("call").map(|call| call.split(' ').collect());
    let is_reachable = call.is_some();
    if let Some([call_id, local, remote]) = call.as_deref() {
        opening += &format!(" call-id=\"{call_id}\" local-tag=\"{local}\" remote-tag=\"{remote}\"");
    }
    for direction in ["recipient", "initiator"] {
        if clauses.has(direction) {
            opening += &format!(" direction=\"{direction}\"");
        }
    }
    let mut lines = vec![opening + ">", format!("<state>{state}</state>")];
    if context.is_received {
        if let Some(remote) = remote(is_reachable, clauses, context) {
            lines.push(remote.concat());
        }
    } else if !clauses.has("state only") {
        let own = context.conversation.uri(subject);
        let display = clauses.take("named").map(display).unwrap_or_default();
        lines.push("<local>".to_owned());
        lines.push(format!("<identity{display}>{own}</identity>"));
        lines.push(format!("<target uri=\"{own}\"/>"));
        lines.push("</local>".to_owned());
        lines.extend(remote(is_reachable, clauses, context).unwrap_or_default());
    }
    lines.push("</dialog>".to_owned());
    Some(lines)
}

fn display(name: &str) -> String {
    format!(" display=\"{name}\"")
}

fn remote(
    is_reachable: bool,
    clauses: &mut Clauses<'_>,
    context: &Context<'_>,
) -> Option<Vec<String>> {
    let party = clauses.take("with")?;
    let (name, uri) = match party.rsplit_once(' ') {
        _ if party == "anonymous" => (Some("Anonymous"), ANONYMOUS.to_owned()),
        Some((name, uri)) => (
            name.strip_prefix('"')?.strip_suffix('"'),
            context.conversation.uri(uri),
        ),
        None => (None, context.conversation.uri(party)),
    };
    let display = name.map(display).unwrap_or_default();
    let has_target = is_reachable && party != "anonymous" && !clauses.has("no target");
    let own = has_target.then(|| uri.clone());
    let target = clauses
        .take("target")
        .map(|uri| context.conversation.uri(uri));
    let mut lines = vec!["<remote>".to_owned()];
    lines.push(format!("<identity{display}>{uri}</identity>"));
    lines.extend(target.or(own).map(|uri| format!("<target uri=\"{uri}\"/>")));
    lines.push("</remote>".to_owned());
    Some(lines)
}

/// The statement of a document.
pub(crate) fn read(lines: &[String], context: &Context<'_>) -> Option<String> {
    let name = |uri: &str| context.conversation.name(uri);
    let entity = find(lines, " entity=\"", "\"")?;
    let subject = name(entity);
    let version = find(
        lines,
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"",
        "\"",
    )?;
    let is_next = version.parse() == Ok(context.next_version(entity));
    let Some(opening) = lines.iter().find(|line| line.starts_with("<dialog ")) else {
        return Some(format!("{subject} has no dialog"));
    };
    let id = between(opening, "<dialog id=\"", "\"")?;
    let mut clauses = vec![match id {
        "idle" => "idle".to_owned(),
        _ => find(lines, "<state>", "</state>")?.to_owned(),
    }];
    if id != "idle" && !(context.is_received && id == "1") {
        clauses.push(format!("id {id}"));
    }
    if !is_next {
        clauses.push(format!("version {version}"));
    }
    if let Some(direction) = between(opening, " direction=\"", "\"") {
        clauses.push(direction.to_owned());
    }
    let key = |name: &str| between(opening, &format!(" {name}=\""), "\"");
    let call = key("call-id").zip(key("local-tag")).zip(key("remote-tag"));
    if let Some(((call_id, local), remote)) = call {
        clauses.push(format!("call {call_id} {local} {remote}"));
    }
    let whole = lines.concat();
    let (own, other) = whole.split_once("<remote>").unwrap_or((&whole, ""));
    if let Some(display) = between(own, "<identity display=\"", "\"") {
        clauses.push(format!("named {display}"));
    }
    if !own.contains("<local>") && !context.is_received && id != "idle" {
        clauses.push("state only".to_owned());
    }
    clauses.extend(read_remote(other, call.is_some(), context));
    Some(format!("{subject} is {}", clauses.join(", ")))
}

fn read_remote(remote: &str, is_reachable: bool, context: &Context<'_>) -> Vec<String> {
    let Some((attribute, uri)) =
        between(remote, "<identity", "</identity>").and_then(|identity| identity.split_once('>'))
    else {
        return Vec::new();
    };
    let display = between(attribute, " display=\"", "\"");
    let target = between(remote, "<target uri=\"", "\"");
    let short = context.conversation.name(uri);
    let mut clauses = vec![match display {
        Some("Anonymous") if uri == ANONYMOUS => "with anonymous".to_owned(),
        Some(display) => format!("with \"{display}\" {short}"),
        None => format!("with {short}"),
    }];
    let expected = (is_reachable && uri != ANONYMOUS).then_some(uri);
    match target {
        _ if target == expected => {}
        Some(target) => clauses.push(format!("target {}", context.conversation.name(target))),
        None => clauses.push("no target".to_owned()),
    }
    clauses
}
