//! Naive composition: every style of W:D2 and W:D3 as a list of reasons; the strongest is the
//! verdict.
//!
//! - The lamp: early > confirmed > proceeding > trying > terminated (W:B3.15, C0.3); the
//!   presentity's own calls are confirmed from the start (W:C0.4); the branches of a fork that is
//!   answered are not shown; `on-the-phone` is a call (W:D2), but in the style of W:D3 it is
//!   ignored if a better source reports calls (W:D3.18).
//! - The verdict: do-not-disturb > forwarded > unreachable > ringing > busy > away > available >
//!   offline (W:D2.13, D3.17).
//! - `basic`: in the standard style as declared by clients, otherwise whether the presentity is
//!   reachable; in the other styles as the verdict implies (W:D2.7-D2.12).
//! - The operator's status replaces that of clients; the operator's note takes precedence (W:D3.4,
//!   D3.18).

use crate::documents::{Party, Shown, State};
use crate::network::Micros;

/// The style whose rules compose the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Standard,
    Alceo,
    Imagicle,
}

/// The verdict on a presentity, the strongest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Availability {
    DoNotDisturb,
    VoiceMail,
    Forwarded,
    Unreachable,
    Ringing,
    Busy,
    Away,
    Available,
    #[default]
    Offline,
}

impl Availability {
    /// The text in `lamplighter why`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::DoNotDisturb => "do-not-disturb",
            Self::VoiceMail => "forwarded to voice mail",
            Self::Forwarded => "forwarded to a number",
            Self::Unreachable => "unreachable",
            Self::Ringing => "ringing",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Available => "available",
            Self::Offline => "offline",
        }
    }

    /// The value of the extended status; None in the standard style.
    fn word(self, style: Style) -> Option<&'static str> {
        match style {
            Style::Standard => None,
            Style::Alceo => Some(match self {
                Self::DoNotDisturb => "donotdisturb",
                Self::Unreachable | Self::Offline => "unreachable",
                Self::Ringing => "ringing",
                Self::Busy => "busy",
                _ => "available",
            }),
            Style::Imagicle => Some(match self {
                Self::DoNotDisturb => "Do not disturb",
                Self::VoiceMail => "Forwarded to voice mail",
                Self::Forwarded => "Forwarded to phone number",
                Self::Unreachable | Self::Offline => "Offline",
                Self::Ringing | Self::Busy => "Busy",
                Self::Away => "Away",
                Self::Available => "Available",
            }),
        }
    }
}

/// The state shown to a watcher that may see everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) lamp: Lamp,
    pub(crate) availability: Availability,
    pub(crate) open: bool,
    /// In alphabetical order.
    pub(crate) activities: Vec<&'static str>,
    pub(crate) note: Option<String>,
    pub(crate) word: Option<&'static str>,
    /// Whether there is a call whose remote party is unknown or withheld; and whether there is
    /// another.
    pub(crate) has_nameless_call: bool,
    pub(crate) has_named_call: bool,
    /// Whether there is a call that can be picked up and whose remote party is not told.
    pub(crate) has_untold_call: bool,
    /// Whether a subscription to all users shows it.
    pub(crate) is_present: bool,
}

/// The lamp of a dialog watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lamp(pub(crate) State);

impl Default for Lamp {
    fn default() -> Self {
        Self(State::Terminated)
    }
}

impl Expected {
    pub(crate) fn agrees(&self, shown: &Shown) -> bool {
        match shown {
            Shown::Lamp { state, .. } => *state == self.lamp.0,
            Shown::Presence {
                open,
                activities,
                note,
                word,
            } => {
                *open == self.open
                    && *activities == self.activities
                    && *note == self.note
                    && word.as_deref() == self.word
            }
            Shown::Nothing => false,
        }
    }

    /// The state shown at a level of privacy (W:B3.12).
    pub(crate) fn agrees_at(&self, privacy: u8, shown: &Shown) -> bool {
        let is_discreet = match shown {
            Shown::Lamp { state, .. } if *state == State::Terminated => shown.is_bare(),
            Shown::Lamp { call_id, party, .. } => match (privacy, party) {
                (0, _) => shown.is_bare(),
                (1, Party::Anonymous) => call_id.is_none(),
                (2, Party::Anonymous) => {
                    call_id.is_none() && (self.has_nameless_call || self.has_untold_call)
                }
                (3, Party::Anonymous) => match call_id {
                    None => self.has_nameless_call,
                    Some(_) => self.has_untold_call,
                },
                (2, Party::Named) => call_id.is_none() && self.has_named_call,
                (3, Party::Named) => call_id.is_some() && self.has_named_call,
                _ => false,
            },
            Shown::Presence { .. } | Shown::Nothing => true,
        };
        is_discreet && self.agrees(shown)
    }
}

/// Call-ID, local tag, remote tag.
pub(crate) type LegKey = (String, String, String);

/// What a client, or the operator, declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) open: Option<bool>,
    pub(crate) activity: Option<&'static str>,
    pub(crate) note: Option<String>,
    /// When it was declared.
    pub(crate) since: Micros,
}

/// One statement, as composition sees it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) until: Micros,
    pub(crate) says: Says,
}

#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// A publication of calls exists, even if it reports none.
    CallSource,
    Leg {
        key: LegKey,
        state: State,
        recipient: bool,
        /// Whether the remote party is told.
        is_named: bool,
        /// When it runs out by itself, if its publication does not end before.
        runs_out: Micros,
    },
    /// `call_state.htm`, or the operator: in a call whose remote party is never revealed.
    Call,
    Declared(Word),
    OperatorDeclared(Word),
    DoNotDisturb,
    /// Every call is forwarded.
    Forward {
        to_voice_mail: bool,
    },
    /// Forwarding that is off, but remembered.
    Setting,
    Note(String),
    /// A contact is registered.
    Contact,
    /// A registrar has reported.
    Registrar,
    /// A source has reported on calls, by PUBLISH or otherwise.
    KnownByCalls,
}

/// Configured facts about a presentity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    pub(crate) style: Style,
    pub(crate) has_alternative: bool,
    pub(crate) is_orbit: bool,
}

fn is_busy_word(activity: &str) -> bool {
    ["busy", "meeting"].contains(&activity)
}

fn is_away_word(activity: &str) -> bool {
    ["away", "vacation"].contains(&activity)
}

/// The state that claims lead to.
pub(crate) fn compose<'a>(
    claims: impl Iterator<Item = &'a Claim> + Clone,
    nature: Nature,
) -> Expected {
    let said = || claims.clone().map(|claim| &claim.says);
    let any = |is_it: fn(&Says) -> bool| said().any(is_it);
    let style = nature.style;
    let clients = || {
        said().filter_map(|says| match says {
            Says::Declared(word) => Some(word),
            _ => None,
        })
    };
    let operator = said().find_map(|says| match says {
        Says::OperatorDeclared(word) => Some(word),
        _ => None,
    });
    let all: Vec<&Word> = operator.into_iter().chain(clients()).collect();
    let has_word = |word: &&Word| word.open.is_some() || word.activity.is_some();
    let heard: Vec<&Word> = match operator.filter(has_word) {
        Some(word) => vec![word],
        None => all.clone(),
    };
    let open_of = |words: &[&Word]| words.iter().filter_map(|word| word.open).max();
    let declared_open = open_of(&heard).or_else(|| open_of(&all));

    let hears_claims = style != Style::Imagicle
        || !any(|says| matches!(says, Says::CallSource | Says::Leg { .. } | Says::Call));
    let claims_call = |word: &&Word| word.activity == Some("on-the-phone");
    let mut lamps = lamps_of(said());
    let claimed = hears_claims && all.iter().any(claims_call);
    if claimed && !lamps.contains(&State::Confirmed) {
        lamps.push(State::Confirmed);
    }
    let lamp = lamps.iter().copied().max();

    let voice_mail = said().find_map(|says| match says {
        Says::Forward { to_voice_mail } => Some(*to_voice_mail),
        _ => None,
    });
    let has_reach = nature.has_alternative
        || any(|says| matches!(says, Says::Contact))
        || voice_mail == Some(false);

    let is_known_by_calls = any(|says| matches!(says, Says::KnownByCalls));

    let mut reasons = Vec::new();
    if any(|says| matches!(says, Says::DoNotDisturb)) {
        reasons.push(Availability::DoNotDisturb);
    }
    if style != Style::Alceo {
        reasons.extend(voice_mail.map(|is_it| match is_it {
            true => Availability::VoiceMail,
            false => Availability::Forwarded,
        }));
    }
    reasons.extend(lamp.map(|lamp| match lamp {
        State::Confirmed => Availability::Busy,
        _ => Availability::Ringing,
    }));
    // No contact registers as an orbit (W:C8.1).
    let is_expected = style == Style::Alceo && !nature.is_orbit
        || any(|says| matches!(says, Says::Registrar | Says::Contact));
    if has_reach {
        let is_overruled = style == Style::Standard && declared_open == Some(false);
        reasons.extend((!is_overruled).then_some(Availability::Available));
    } else if is_expected && lamp.is_none() && declared_open != Some(true) {
        reasons.push(Availability::Unreachable);
    } else if is_known_by_calls && !(style == Style::Standard && declared_open == Some(false)) {
        reasons.push(Availability::Available);
    }
    let meaning = |word: &Word| meaning_of(word, style, declared_open);
    reasons.extend(heard.iter().map(|word| meaning(word)));
    let availability = reasons.into_iter().min().unwrap_or_default();

    let open = match availability {
        Availability::DoNotDisturb | Availability::Unreachable => false,
        _ if style == Style::Standard => {
            declared_open.unwrap_or_else(|| lamp.is_some() || has_reach || is_known_by_calls)
        }
        _ => availability != Availability::Offline,
    };
    let own_note = said().find_map(|says| match says {
        Says::Note(note) => Some(note.clone()),
        _ => None,
    });
    let noted = heard.iter().filter(|word| word.note.is_some());
    let strongest = noted.min_by_key(|word| (meaning(word), std::cmp::Reverse(word.since)));
    let note = own_note.or_else(|| strongest.and_then(|word| word.note.clone()));
    let implied_note = match (availability, lamp) {
        (Availability::DoNotDisturb, _) => Some("Do not disturb"),
        (_, Some(State::Confirmed)) => Some("On the phone"),
        (_, Some(_)) => Some("Ringing"),
        (_, None) => None,
    };
    Expected {
        availability,
        open,
        activities: activities_of(availability, lamp.is_some(), &heard, hears_claims),
        note: note.or_else(|| implied_note.map(str::to_owned)),
        word: availability.word(style),
        has_nameless_call: claimed || any(|says| matches!(says, Says::Call)),
        has_untold_call: any(|says| {
            matches!(
                says,
                Says::Leg {
                    is_named: false,
                    ..
                }
            )
        }),
        has_named_call: any(|says| matches!(says, Says::Leg { is_named: true, .. })),
        is_present: match nature.is_orbit {
            true => lamp.is_some(),
            false => said().any(|says| !matches!(says, Says::KnownByCalls)),
        },
        lamp: lamp.map(Lamp).unwrap_or_default(),
    }
}

/// The lamps of all calls that are shown.
fn lamps_of<'a>(said: impl Iterator<Item = &'a Says> + Clone) -> Vec<State> {
    let answered = |call_id: &str| {
        said.clone().any(
            |says| matches!(says, Says::Leg { key, state: State::Confirmed, .. } if key.0 == call_id),
        )
    };
    let lamp = |says: &Says| match says {
        Says::Call => Some(State::Confirmed),
        Says::Leg {
            key,
            state,
            recipient,
            ..
        } => {
            let is_unanswered = *state != State::Confirmed;
            if is_unanswered && answered(&key.0) {
                None
            } else if is_unanswered && !recipient {
                // A call the presentity makes lights the lamp steadily from the start.
                Some(State::Confirmed)
            } else {
                Some(*state)
            }
        }
        _ => None,
    };
    said.clone().filter_map(lamp).collect()
}

/// The verdict that an extended status alone would lead to.
fn meaning_of(word: &Word, style: Style, declared_open: Option<bool>) -> Availability {
    let is_closed = style == Style::Alceo && declared_open == Some(false);
    match word.activity {
        Some("dnd") => Availability::DoNotDisturb,
        _ if is_closed && word.open == Some(false) => Availability::DoNotDisturb,
        Some("on-the-phone") if style != Style::Imagicle => Availability::Busy,
        Some(activity) if is_busy_word(activity) => Availability::Busy,
        Some(activity) if is_away_word(activity) => Availability::Away,
        _ if word.open == Some(true) => Availability::Available,
        _ => Availability::Offline,
    }
}

/// The verdict as RPID activities (W:D2.14), and the other declared ones.
fn activities_of(
    availability: Availability,
    has_call: bool,
    heard: &[&Word],
    hears_claims: bool,
) -> Vec<&'static str> {
    let implied = match availability {
        Availability::Ringing
        | Availability::Busy
        | Availability::VoiceMail
        | Availability::Forwarded
            if has_call =>
        {
            Some("on-the-phone")
        }
        Availability::DoNotDisturb | Availability::Ringing | Availability::Busy => Some("busy"),
        Availability::Away => Some("away"),
        _ => None,
    };
    let declared = heard.iter().filter_map(|word| word.activity);
    let believed = declared.filter(|name| hears_claims || *name != "on-the-phone");
    let mut activities: Vec<&str> = implied
        .into_iter()
        .chain(believed.filter(|name| *name != "dnd"))
        .collect();
    activities.sort_unstable();
    activities.dedup();
    activities
}
