//! Lists: one with its members, or all that are stored.

use serde_json::{Value, json};

use crate::http::representation::table::Table;
use crate::http::representation::{Representation, visible};
use crate::presence::Aor;
use crate::presence::event::list::{ListStyle, Resolved, RosterKind};

/// What a list is, without its members.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    aor: Aor,
    name: Box<str>,
    style: ListStyle,
    members: usize,
    /// Dynamic members.
    rosters: Vec<RosterKind>,
}

/// The list after an edit.
#[derive(Debug)]
pub(crate) struct Edited(pub(crate) Heading);

/// One list with its members.
#[derive(Debug)]
pub(crate) struct List {
    /// The list.
    pub(crate) heading: Heading,
    /// Its members, in order.
    pub(crate) members: Vec<Member>,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its URI.
    pub(crate) uri: Box<str>,
    /// Its name; None for a list within the list.
    pub(crate) name: Option<Box<str>>,
}

/// All lists that are stored.
#[derive(Debug)]
pub(crate) struct Lists(pub(crate) Vec<Stored>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Its address.
    pub(crate) aor: Aor,
    /// Its name for humans.
    pub(crate) name: Option<Box<str>>,
    /// Its style.
    pub(crate) style: ListStyle,
    /// How many members it has.
    pub(crate) members: usize,
    /// Its owner.
    pub(crate) owner: Option<Aor>,
}

/// A deleted list.
#[derive(Debug)]
pub(crate) struct Deleted(pub(crate) Aor);

impl Heading {
    /// The heading of a list.
    pub(crate) fn new(aor: &Aor, list: &Resolved) -> Self {
        Self {
            aor: aor.clone(),
            name: match &*list.name {
                "" => aor.user().into(),
                name => name.into(),
            },
            style: list.style,
            members: list.members.len(),
            rosters: list.rosters.iter().map(|roster| roster.kind).collect(),
        }
    }

    /// `team@abc.com "The team", rfc, 3 members`
    pub(super) fn line(&self) -> String {
        let Self { aor, name, .. } = self;
        let members = match self.members {
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        };
        let style = word(self.style);
        let mut text = visible(&format!("{aor} \"{name}\", {style}, {members}"));
        for kind in &self.rosters {
            text.push_str(match kind {
                RosterKind::AnyDn => {
                    ", and every other extension, parked call and line of the domain"
                }
                RosterKind::Parked => ", and every orbit while a call is parked in it",
            });
        }
        text.push('\n');
        text
    }

    pub(super) fn json(&self) -> Value {
        let has = |wanted: RosterKind| self.rosters.contains(&wanted);
        json!({
            "list": self.aor.as_str(),
            "name": self.name,
            "style": word(self.style),
            "member_count": self.members,
            "includes_all_extensions": has(RosterKind::AnyDn),
            "includes_parked_calls": has(RosterKind::Parked),
        })
    }
}

impl Representation for Edited {
    fn text(&self, _: Option<usize>) -> String {
        self.0.line()
    }

    fn json(&self) -> Value {
        self.0.json()
    }
}

impl Representation for List {
    fn text(&self, _: Option<usize>) -> String {
        let mut text = self.heading.line();
        if self.members.is_empty() {
            return text;
        }
        text.push('\n');
        let mut table = Table::new(&["AT", "MEMBER", "NAME"]);
        for (place, member) in (1_usize..).zip(&self.members) {
            let name = member.name.as_deref().unwrap_or("(a list)");
            table.add([place.to_string(), member.uri.to_string(), name.to_owned()]);
        }
        table.write(None, &mut text);
        text
    }

    fn json(&self) -> Value {
        let member = |member: &Member| {
            json!({
                "uri": member.uri,
                "name": member.name,
                "is_list": member.name.is_none(),
            })
        };
        let mut json = self.heading.json();
        json["members"] = self.members.iter().map(member).collect();
        json
    }
}

impl Representation for Lists {
    fn text(&self, _: Option<usize>) -> String {
        if self.0.is_empty() {
            return "There are no lists.\n".to_owned();
        }
        let mut table = Table::new(&["LIST", "NAME", "STYLE", "MEMBERS", "OWNER"]);
        for list in &self.0 {
            table.add([
                list.aor.to_string(),
                list.name.as_deref().unwrap_or("-").to_owned(),
                word(list.style).to_owned(),
                list.members.to_string(),
                list.owner.as_ref().map_or("-", Aor::as_str).to_owned(),
            ]);
        }
        let mut text = String::new();
        table.write(None, &mut text);
        text
    }

    fn json(&self) -> Value {
        let list = |list: &Stored| {
            json!({
                "list": list.aor.as_str(),
                "name": list.name,
                "style": word(list.style),
                "member_count": list.members,
                "owner": list.owner.as_ref().map(Aor::as_str),
            })
        };
        json!({"lists": self.0.iter().map(list).collect::<Vec<_>>()})
    }
}

impl Representation for Deleted {
    fn text(&self, _: Option<usize>) -> String {
        visible(&format!("{} was deleted", self.0)) + "\n"
    }

    fn json(&self) -> Value {
        json!({"deleted": self.0.as_str()})
    }
}

/// The styles by their names.
pub(crate) const STYLES: [(&str, ListStyle); 2] = [
    (word(ListStyle::Rfc), ListStyle::Rfc),
    (word(ListStyle::Broadworks), ListStyle::Broadworks),
];

/// The name of a style, as written in the configuration.
pub(crate) const fn word(style: ListStyle) -> &'static str {
    match style {
        ListStyle::Rfc => "rfc",
        ListStyle::Broadworks => "broadworks",
    }
}
