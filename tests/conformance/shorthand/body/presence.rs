//! PIDF (RFC 3863, 4480) about one address of record.
//!
//! ```text
//! 123 is open, on-the-phone, note In a call
//! 123 is closed, extended unreachable
//! ```
//!
//! A clause without a name is an activity; `note` is the note of tuple and person, `extended` and
//! `telephony` are the states that some PBXes report beyond open and closed.

use crate::shorthand::body::{
    Clauses, Context, DECLARATION, DECLARATION_OF_PEERS, Document, find, owned,
};
use crate::shorthand::conversation::between;

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/pidf+xml";

const NAMESPACES: &str = "xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
     xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"";
const EXTENDED: &str = "<x:extended xmlns:x=\"urn:x-lamplighter:extended-status\"";

/// The document of a statement; None if it is not about presence.
pub(crate) fn write(statement: &str, context: &Context<'_>) -> Option<Document> {
    let (subject, basic, mut clauses) = Clauses::split(statement)?;
    if !["open", "closed"].contains(&basic) {
        return None;
    }
    let uri = context.conversation.uri(subject);
    let opening = format!("<presence {NAMESPACES} entity=\"{uri}\">");
    if context.is_received {
        let tuple = format!("<tuple id=\"t1\"><status><basic>{basic}</basic></status></tuple>");
        let lines = owned(&[DECLARATION_OF_PEERS, &opening, &tuple, "</presence>"]);
        return clauses
            .0
            .is_empty()
            .then(|| Document::tagged(CONTENT_TYPE, lines));
    }
    let note = clauses.take("note");
    let mut lines = owned(&[DECLARATION, &opening, "<tuple id=\"t1\">", "<status>"]);
    lines.push(format!("<basic>{basic}</basic>"));
    if let Some(text) = clauses.take("extended") {
        lines.push(format!("{EXTENDED}>{text}</x:extended>"));
    }
    if let Some(text) = clauses.take("telephony") {
        lines.push(format!(
            "{EXTENDED} telephony=\"{text}\">{text}</x:extended>"
        ));
    }
    lines.push("</status>".to_owned());
    lines.push(format!("<contact>{uri}</contact>"));
    lines.extend(note.map(|note| format!("<note>{note}</note>")));
    lines.push("</tuple>".to_owned());
    lines.extend(person(&clauses.0, note));
    lines.push("</presence>".to_owned());
    Some(Document::tagged(CONTENT_TYPE, lines))
}

fn person(activities: &[&str], note: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    if !activities.is_empty() {
        lines.push("<rpid:activities>".to_owned());
        lines.extend(activities.iter().map(|name| format!("<rpid:{name}/>")));
        lines.push("</rpid:activities>".to_owned());
    }
    lines.extend(note.map(|note| format!("<dm:note>{note}</dm:note>")));
    if !lines.is_empty() {
        lines.insert(0, "<dm:person id=\"p1\">".to_owned());
        lines.push("</dm:person>".to_owned());
    }
    lines
}

/// The statement of a document.
pub(crate) fn read(lines: &[String], context: &Context<'_>) -> Option<String> {
    let subject = context.conversation.name(find(lines, " entity=\"", "\"")?);
    let basic = find(lines, "<basic>", "</basic>")?;
    let mut clauses = vec![basic.to_owned()];
    let extended = lines.iter().find_map(|line| line.strip_prefix(EXTENDED));
    if let Some(extended) = extended {
        let text = between(extended, ">", "<")?;
        let is_telephony = extended.starts_with(" telephony=");
        let name = if is_telephony {
            "telephony"
        } else {
            "extended"
        };
        clauses.push(format!("{name} {text}"));
    }
    for line in lines {
        let activity = between(line, "<rpid:", "/>");
        clauses.extend(activity.map(str::to_owned));
    }
    if let Some(note) = find(lines, "<note>", "</note>") {
        clauses.push(format!("note {note}"));
    }
    Some(format!("{subject} is {}", clauses.join(", ")))
}
