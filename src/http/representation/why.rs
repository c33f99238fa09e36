//! Explains the lamp state of an address, or of each member of a list.

use serde_json::{Value, json};

use crate::http::representation::list::Heading;
use crate::http::representation::table::Table;
use crate::http::representation::text::span;
use crate::http::representation::{Representation, visible};
use crate::presence::Aor;
use crate::presence::call::Direction;
use crate::presence::composition::{Extended, ImagicleStatus};
use crate::presence::presentity::{Assertion, Call, CallParty};
use crate::presence::source::{Forward, Messages};
use crate::shard::contract::report::{Contribution, Why};

/// The state of an address and everything that makes it so.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// The address.
    pub(crate) aor: Aor,
    /// What its owner answered.
    pub(crate) why: Why,
}

/// The state after a change.
#[derive(Debug)]
pub(crate) struct State(pub(crate) Explanation);

/// The state of each member of a list, which has none of its own.
#[derive(Debug)]
pub(crate) struct ListExplanation {
    /// The list.
    pub(crate) list: Heading,
    /// The members shown.
    pub(crate) members: Vec<MemberState>,
    /// Number of members not shown.
    pub(crate) more: usize,
}

/// One member.
#[derive(Debug)]
pub(crate) struct MemberState {
    /// Its URI.
    pub(crate) uri: Box<str>,
    /// Its name.
    pub(crate) name: Box<str>,
    /// Its state.
    pub(crate) state: Result<Why, NoState>,
}

/// Why nothing is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoState {
    /// It belongs to a domain that is not served here.
    OtherDomain,
    /// The shard that owns it does not answer.
    Silent,
}

impl Representation for Explanation {
    fn text(&self, columns: Option<usize>) -> String {
        let why = &self.why;
        let mut text = self.headline();
        if let Some(extended) = why.extended {
            text.push_str(&style_line(extended));
        }
        text.push_str(&format!("reason: {}\n\n", why.rule));
        if why.contributions.is_empty() {
            text.push_str("No source has reported anything.\n");
        } else {
            contribution_table(&why.contributions).write(columns, &mut text);
        }
        text
    }

    fn json(&self) -> Value {
        let mut json = state_json(&self.aor, &self.why);
        json["contributions"] = self
            .why
            .contributions
            .iter()
            .map(contribution_json)
            .collect();
        json
    }
}

impl Representation for State {
    fn text(&self, _: Option<usize>) -> String {
        self.0.headline()
    }

    fn json(&self) -> Value {
        state_json(&self.0.aor, &self.0.why)
    }
}

impl Representation for ListExplanation {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = self.list.line();
        if self.members.is_empty() {
            return text;
        }
        text.push('\n');
        let mut table = Table::new(&["MEMBER", "NAME", "STATE", "LAMP", "REASON"]);
        for member in &self.members {
            table.add(member.row());
        }
        table.write(columns, &mut text);
        if self.more > 0 {
            text.push_str(&format!("and {} more\n", self.more));
        }
        text
    }

    fn json(&self) -> Value {
        let mut json = self.list.json();
        json["members"] = self.members.iter().map(MemberState::json).collect();
        json["members_not_shown"] = self.more.into();
        json
    }
}

impl Explanation {
    /// `123@abc.com is busy (basic open, lamp confirmed)`
    fn headline(&self) -> String {
        let Self { aor, why } = self;
        let (basic, lamp) = (basic(why), why.lamp.as_str());
        visible(&format!(
            "{aor} is {} (basic {basic}, lamp {lamp})",
            why.availability
        )) + "\n"
    }
}

impl MemberState {
    fn row(&self) -> [String; 5] {
        let [is, lamp, because] = match &self.state {
            Ok(why) => [
                why.availability.to_string(),
                why.lamp.as_str().to_owned(),
                because(why),
            ],
            Err(why) => ["-", "-", why.as_str()].map(str::to_owned),
        };
        [
            self.uri.to_string(),
            self.name.to_string(),
            is,
            lamp,
            because,
        ]
    }

    fn json(&self) -> Value {
        let state = self.state.as_ref();
        json!({
            "uri": self.uri,
            "name": self.name,
            "availability": state.ok().map(|why| why.availability.to_string()),
            "basic": state.ok().map(basic),
            "lamp": state.ok().map(|why| why.lamp.as_str()),
            "rule": state.ok().map(|why| why.rule),
            "unknown": state.err().map(|why| why.as_str()),
        })
    }
}

impl NoState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OtherDomain => "in another domain",
            Self::Silent => "its shard does not respond",
        }
    }
}

fn basic(why: &Why) -> &'static str {
    if why.is_open { "open" } else { "closed" }
}

/// `busy: a call is confirmed`
fn because(why: &Why) -> String {
    visible(&format!("{}: {}", why.availability, why.rule))
}

/// The state in the words of the domain's style.
fn style_line(extended: Extended) -> String {
    let word = extended.as_str();
    match extended {
        Extended::Alceo(_) => format!("alceo: {word}\n"),
        Extended::Imagicle(tracks) => {
            let track = |status: Option<ImagicleStatus>| status.map_or("-", ImagicleStatus::as_str);
            let (telephony, rich) = (track(tracks.telephony), track(tracks.rich));
            format!("imagicle: {word} (telephony: {telephony}, rich: {rich})\n")
        }
    }
}

fn contribution_table(contributions: &[Contribution]) -> Table {
    let mut table = Table::new(&[" ", "SOURCE", "REPORTS", "AGE", "REMAINING"]);
    for contribution in contributions {
        let mark = if contribution.decides { "*" } else { " " };
        table.add([
            mark.to_owned(),
            contribution.source.to_string(),
            match contribution.stale {
                Some(stale) => format!("{}, not heard for {}", contribution.asserts, span(stale)),
                None => contribution.asserts.to_string(),
            },
            span(contribution.age),
            contribution.remaining.map_or_else(|| "-".to_owned(), span),
        ]);
    }
    table
}

fn state_json(aor: &Aor, why: &Why) -> Value {
    json!({
        "aor": aor.as_str(),
        "availability": why.availability.to_string(),
        "basic": basic(why),
        "lamp": why.lamp.as_str(),
        "rule": why.rule,
        "style": why.extended.map(style_json),
    })
}

fn style_json(extended: Extended) -> Value {
    let word = extended.as_str();
    match extended {
        Extended::Alceo(_) => json!({"name": "alceo", "status": word}),
        Extended::Imagicle(tracks) => json!({
            "name": "imagicle",
            "status": word,
            "telephony": tracks.telephony.map(ImagicleStatus::as_str),
            "rich": tracks.rich.map(ImagicleStatus::as_str),
        }),
    }
}

pub(super) fn contribution_json(contribution: &Contribution) -> Value {
    json!({
        "source": contribution.source.to_string(),
        "asserts": assertion_json(&contribution.asserts),
        "age_seconds": contribution.age.as_secs(),
        "remaining_seconds": contribution.remaining.map(|time| time.as_secs()),
        "stale_seconds": contribution.stale.map(|time| time.as_secs()),
        "decides": contribution.decides,
    })
}

/// What a source asserts, under the name of its kind.
fn assertion_json(assertion: &Assertion) -> Value {
    match assertion {
        Assertion::Calls(calls) => {
            json!({"calls": calls.iter().map(call_json).collect::<Vec<_>>()})
        }
        Assertion::DoNotDisturb => json!({"do_not_disturb": true}),
        Assertion::Forward(forward) => json!({"forward": forward_json(forward)}),
        Assertion::Note(note) => json!({"note": &**note}),
        Assertion::Presence(presence) => json!({"presence": {
            "basic": presence.is_open.map(|is_open| if is_open { "open" } else { "closed" }),
            "do_not_disturb": presence.do_not_disturb,
            "activities": presence.activities,
            "alternative": presence.alternative,
            "note": presence.note.as_deref(),
        }}),
        Assertion::Messages(messages) => json!({"messages": messages_json(messages)}),
        Assertion::Registered => json!({"registered": true}),
        Assertion::Contacts(contacts) => json!({"contacts": contacts}),
        Assertion::Appearance(appearance) => json!({"appearance": {
            "index": appearance.index,
            "state": appearance.state.as_str(),
            "party": appearance.party,
        }}),
        Assertion::Alternative(number) => json!({"alternative": number}),
    }
}

fn call_json(call: &Call) -> Value {
    json!({
        "state": call.state.as_str(),
        "direction": call.direction.map(|direction| match direction {
            Direction::Initiator => "initiator",
            Direction::Recipient => "recipient",
        }),
        "party": match &call.party {
            CallParty::Known(party) => Some(party),
            CallParty::Private | CallParty::Unknown => None,
        },
        "party_is_private": call.party == CallParty::Private,
        "on_hold": call.is_on_hold,
    })
}

fn forward_json(forward: &Forward) -> Value {
    json!({
        "kind": forward.kind.as_str(),
        "active": forward.is_active,
        "target": &*forward.target,
        "rings": forward.ring_count,
    })
}

fn messages_json(messages: &Messages) -> Value {
    let counts = messages.counts.iter().map(|(class, counts)| {
        json!({
            "class": class.as_str(),
            "new": counts.new,
            "old": counts.old,
            "urgent_new": counts.urgent_new,
            "urgent_old": counts.urgent_old,
        })
    });
    json!({
        "waiting": messages.are_waiting,
        "account": messages.account,
        "counts": counts.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::call::{Appearance, AppearanceState, CallState};
    use crate::presence::presentity::Presence;
    use crate::presence::source::{ForwardKind, MessageClass, MessageCounts};

    fn call(party: CallParty, direction: Option<Direction>) -> Call {
        Call {
            state: CallState::Confirmed,
            direction,
            party,
            is_on_hold: true,
        }
    }

    #[test]
    fn every_assertion_has_words_and_json() {
        let counts = MessageCounts {
            new: 2,
            old: 8,
            ..MessageCounts::default()
        };
        let rows = [
            (
                Assertion::Calls(Vec::new()),
                "no call",
                json!({"calls": []}),
            ),
            (
                Assertion::Calls(vec![
                    call(CallParty::Private, None),
                    call(CallParty::Unknown, Some(Direction::Initiator)),
                ]),
                "confirmed with a private party, on hold; confirmed initiator, on hold",
                json!({"calls": [
                    {"state": "confirmed", "direction": null, "party": null, "party_is_private": true, "on_hold": true},
                    {"state": "confirmed", "direction": "initiator", "party": null, "party_is_private": false, "on_hold": true},
                ]}),
            ),
            (
                Assertion::DoNotDisturb,
                "do-not-disturb",
                json!({"do_not_disturb": true}),
            ),
            (
                Assertion::Forward(Forward {
                    kind: ForwardKind::NoAnswer,
                    is_active: false,
                    target: "*97".into(),
                    ring_count: Some(3),
                }),
                "if unanswered after 3 rings to *97, off",
                json!({"forward": {"kind": "no-answer", "active": false, "target": "*97", "rings": 3}}),
            ),
            (Assertion::Note("out".into()), "out", json!({"note": "out"})),
            (
                Assertion::Presence(Presence {
                    is_open: Some(true),
                    do_not_disturb: true,
                    activities: vec!["away"],
                    alternative: Some("tel:5".into()),
                    note: Some("lunch".into()),
                }),
                "open, do-not-disturb, away, reachable at tel:5: lunch",
                json!({"presence": {
                    "basic": "open",
                    "do_not_disturb": true,
                    "activities": ["away"],
                    "alternative": "tel:5",
                    "note": "lunch",
                }}),
            ),
            (
                Assertion::Messages(Messages {
                    are_waiting: true,
                    account: None,
                    counts: vec![(MessageClass::Voice, counts)],
                }),
                "messages waiting, voice 2 new 8 old",
                json!({"messages": {"waiting": true, "account": null, "counts": [
                    {"class": "voice", "new": 2, "old": 8, "urgent_new": 0, "urgent_old": 0},
                ]}}),
            ),
            (
                Assertion::Registered,
                "registered",
                json!({"registered": true}),
            ),
            (
                Assertion::Contacts(Vec::new()),
                "no contact is registered",
                json!({"contacts": []}),
            ),
            (
                Assertion::Contacts(vec!["sip:a".into(), "sip:b".into()]),
                "sip:a is registered; sip:b is registered",
                json!({"contacts": ["sip:a", "sip:b"]}),
            ),
            (
                Assertion::Appearance(Appearance {
                    index: 1,
                    state: AppearanceState::Held,
                    party: Some("<sip:bob@abc.com>".into()),
                }),
                "1 held with <sip:bob@abc.com>",
                json!({"appearance": {"index": 1, "state": "held", "party": "<sip:bob@abc.com>"}}),
            ),
            (
                Assertion::Alternative("5".into()),
                "reachable at 5",
                json!({"alternative": "5"}),
            ),
        ];
        for (assertion, words, json) in rows {
            assert_eq!(assertion.to_string(), words);
            assert_eq!(assertion_json(&assertion), json, "{words}");
        }
    }
}
