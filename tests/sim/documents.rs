//! Documents as written and read by the simulated peers: plain text, without the engine's code.

use std::fmt::Write as _;

/// The state of a call leg, in the order of a lamp: the highest wins (RFC 4235 §3.7.1;
/// W:B3.15, C0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    Terminated,
    Trying,
    Proceeding,
    Confirmed,
    Early,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [
        Self::Terminated,
        Self::Trying,
        Self::Proceeding,
        Self::Confirmed,
        Self::Early,
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Terminated => "terminated",
            Self::Trying => "trying",
            Self::Proceeding => "proceeding",
            Self::Confirmed => "confirmed",
            Self::Early => "early",
        }
    }
}

/// One call leg of a published document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) id: String,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    /// Whether the presentity is being called.
    pub(crate) recipient: bool,
    pub(crate) state: State,
    /// The remote party; empty if it is not told.
    pub(crate) remote: String,
}

/// The contents of a PUBLISH.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    Dialogs {
        full: bool,
        legs: Vec<Leg>,
    },
    Presence {
        open: bool,
        activity: Option<&'static str>,
        note: Option<String>,
    },
}

impl Document {
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Dialogs { .. } => "application/dialog-info+xml",
            Self::Presence { .. } => "application/pidf+xml",
        }
    }

    /// The document about `entity`.
    pub(crate) fn write(&self, entity: &str, version: u32) -> String {
        match self {
            Self::Dialogs { full, legs } => write_dialogs(entity, version, *full, legs),
            Self::Presence {
                open,
                activity,
                note,
            } => write_presence(entity, *open, *activity, note.as_deref()),
        }
    }
}

fn write_dialogs(entity: &str, version: u32, full: bool, legs: &[Leg]) -> String {
    let state = if full { "full" } else { "partial" };
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
         version=\"{version}\" state=\"{state}\" entity=\"{entity}\">\n"
    );
    for leg in legs {
        let Leg {
            id,
            call_id,
            local_tag,
            remote_tag,
            remote,
            ..
        } = leg;
        let direction = if leg.recipient {
            "recipient"
        } else {
            "initiator"
        };
        let _ = write!(
            text,
            "<dialog id=\"{id}\" call-id=\"{call_id}\" local-tag=\"{local_tag}\" \
             remote-tag=\"{remote_tag}\" direction=\"{direction}\">\n<state>{}</state>\n\
             <local><identity>{entity}</identity></local>\n",
            leg.state.text()
        );
        if !remote.is_empty() {
            let _ = writeln!(
                text,
                "<remote><identity>sip:{remote}@example.com</identity></remote>"
            );
        }
        text.push_str("</dialog>\n");
    }
    text.push_str("</dialog-info>\n");
    text
}

fn write_presence(entity: &str, open: bool, activity: Option<&str>, note: Option<&str>) -> String {
    let basic = if open { "open" } else { "closed" };
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"{entity}\">\n\
         <tuple id=\"t1\"><status><basic>{basic}</basic></status></tuple>\n<dm:person id=\"p1\">"
    );
    if let Some(activity) = activity {
        let _ = write!(
            text,
            "<rpid:activities><rpid:{activity}/></rpid:activities>"
        );
    }
    if let Some(note) = note {
        let _ = write!(text, "<dm:note>{note}</dm:note>");
    }
    text.push_str("</dm:person>\n</presence>\n");
    text
}

/// The state that a NOTIFY's document shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Lamp {
        state: State,
        call_id: Option<String>,
        party: Party,
    },
    Presence {
        open: bool,
        activities: Vec<String>,
        note: Option<String>,
        /// The extended status.
        word: Option<String>,
    },
    /// A NOTIFY without a body.
    Nothing,
}

impl Shown {
    /// Only a lamp.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(
            self,
            Self::Lamp {
                call_id: None,
                party: Party::Absent,
                ..
            }
        )
    }
}

/// What a dialog discloses of its parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// Nothing.
    Absent,
    /// At most that there is a remote party.
    Anonymous,
    /// The remote party's identity.
    Named,
}

/// A NOTIFY's document, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notified {
    /// `version` of a dialog-info.
    pub(crate) version: Option<u32>,
    /// `entity`.
    pub(crate) entity: String,
    pub(crate) shown: Shown,
    /// The document without its version: equal for two documents that show the same state.
    pub(crate) essence: String,
}

/// Reads the document of a NOTIFY; the error says what is wrong with it.
pub(crate) fn read(body: &str) -> Result<Notified, &'static str> {
    if !body.starts_with("<?xml ") || body.contains("<!DOCTYPE") {
        return Err("no XML declaration, or a DOCTYPE");
    }
    if body.contains("<dialog-info") {
        read_dialogs(body)
    } else {
        read_presence(body)
    }
}

fn read_dialogs(body: &str) -> Result<Notified, &'static str> {
    let root = element(body, "dialog-info").ok_or("no dialog-info")?;
    if attribute(root.0, "state") != Some("full") {
        return Err("dialog-info is not full");
    }
    let version = attribute(root.0, "version").ok_or("dialog-info without version")?;
    let entity = attribute(root.0, "entity").ok_or("dialog-info without entity")?;
    if root.1.matches("<dialog ").count() != 1 {
        return Err("not exactly one dialog element");
    }
    let (tag, content) = element(root.1, "dialog").ok_or("no dialog element")?;
    attribute(tag, "id")
        .filter(|id| !id.is_empty())
        .ok_or("a dialog without id")?;
    let text = element(content, "state").ok_or("a dialog without state")?.1;
    let state = State::ALL.into_iter().find(|state| state.text() == text);
    let state = state.ok_or("a state of no name")?;
    let call_id = attribute(tag, "call-id").map(str::to_owned);
    let party = party_of(content)?;
    let tags = ["local-tag", "remote-tag"].map(|name| attribute(tag, name));
    if call_id.is_some() && tags.contains(&None) {
        return Err("a call-id without the tags a pickup needs");
    }
    let essence = without_versions(body);
    let version = Some(version.parse().map_err(|_| "a version that is no number")?);
    Ok(Notified {
        version,
        entity: entity.to_owned(),
        shown: Shown::Lamp {
            state,
            call_id,
            party,
        },
        essence,
    })
}

/// A body without its versions: equal for two bodies that show the same state.
pub(crate) fn without_versions(body: &str) -> String {
    let mut pieces = body.split(" version=\"");
    let first = pieces.next().unwrap_or_default().to_owned();
    let behind = pieces.map(|piece| piece.split_once('"').map_or(piece, |(_, rest)| rest));
    behind.fold(first, |text, piece| text + piece)
}

fn party_of(dialog: &str) -> Result<Party, &'static str> {
    let (local, remote) = (element(dialog, "local"), element(dialog, "remote"));
    let Some((_, remote)) = remote else {
        return Ok(match local {
            Some(_) => Party::Anonymous,
            None => Party::Absent,
        });
    };
    local.ok_or("a remote without a local end")?;
    let identity = element(remote, "identity").ok_or("a remote end without identity")?;
    Ok(if identity.1 == "sip:anonymous@anonymous.invalid" {
        Party::Anonymous
    } else {
        Party::Named
    })
}

fn read_presence(body: &str) -> Result<Notified, &'static str> {
    let root = element(body, "presence").ok_or("neither dialog-info nor presence")?;
    let entity = attribute(root.0, "entity").ok_or("presence without entity")?;
    if root.1.matches("<basic>").count() != 1 {
        return Err("not exactly one basic");
    }
    let open = match element(root.1, "basic").ok_or("no basic")?.1 {
        "open" => true,
        "closed" => false,
        _ => return Err("basic is neither open nor closed"),
    };
    let activities = element(root.1, "activities").map_or("", |(_, content)| content);
    let mut activities: Vec<String> = activities
        .split('<')
        .skip(1)
        .filter(|tag| !tag.starts_with('/'))
        .map(|tag| tag.split(['/', '>', ' ']).next().unwrap_or_default())
        .map(|name| name.rsplit(':').next().unwrap_or_default().to_owned())
        .collect();
    activities.sort();
    let word = element(root.1, "extended").map(|(_, text)| text.to_owned());
    let note = element(root.1, "note").map(|(_, text)| text.to_owned());
    let shown = Shown::Presence {
        open,
        activities,
        note,
        word,
    };
    Ok(Notified {
        version: None,
        entity: entity.to_owned(),
        shown,
        essence: body.to_owned(),
    })
}

/// The start tag (without brackets) and the content of the first element of that local name.
pub(crate) fn element<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find('<')? + 1;
        let end = start + text.get(start..)?.find('>')?;
        let tag = &text[start..end];
        let full_name = tag.split([' ', '\n', '/']).next()?;
        if full_name.rsplit(':').next() == Some(name) {
            if tag.ends_with('/') {
                return Some((tag, ""));
            }
            let close = format!("</{full_name}>");
            let content = text.get(end + 1..)?;
            return content.find(&close).map(|at| (tag, &content[..at]));
        }
        from = end;
    }
}

/// The value of a double-quoted attribute.
pub(crate) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let at = tag.find(&format!(" {name}=\""))?;
    let value = &tag[at + name.len() + 3..];
    value.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(state: State) -> Leg {
        Leg {
            id: "d1".into(),
            call_id: "c1".into(),
            local_tag: "l".into(),
            remote_tag: "r".into(),
            recipient: true,
            state,
            remote: "200".into(),
        }
    }

    #[test]
    fn a_lamp_is_read() {
        let document = Document::Dialogs {
            full: true,
            legs: vec![leg(State::Early)],
        };
        let first = read(&document.write("sip:100@example.com", 4)).unwrap();
        let second = read(&document.write("sip:100@example.com", 5)).unwrap();
        assert_eq!(first.version, Some(4));
        assert_eq!(
            first.shown,
            Shown::Lamp {
                state: State::Early,
                call_id: Some("c1".into()),
                party: Party::Named,
            }
        );
        assert_eq!(first.essence, second.essence);
    }

    #[test]
    fn two_dialogs_are_refused() {
        let document = Document::Dialogs {
            full: true,
            legs: vec![leg(State::Early), leg(State::Trying)],
        };
        assert!(read(&document.write("sip:100@example.com", 0)).is_err());
    }

    #[test]
    fn presence_is_read() {
        let document = Document::Presence {
            open: true,
            activity: Some("away"),
            note: Some("lunch".into()),
        };
        let shown = read(&document.write("sip:100@example.com", 0))
            .unwrap()
            .shown;
        let activities = vec!["away".to_owned()];
        assert_eq!(
            shown,
            Shown::Presence {
                open: true,
                activities,
                note: Some("lunch".into()),
                word: None,
            }
        );
    }
}
