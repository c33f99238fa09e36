//! A state update by the operator: the words of a `! set` step.
//!
//! ```text
//! ! set 101@abc.com dnd on|off
//! ! set 101@abc.com forward immediate|busy|no-answer <target>|off
//! ! set 101@abc.com note In a meeting|off
//! ! set 101@abc.com messages 2/8|off
//! ! set 101@abc.com lamp early|confirmed|off [from=<uri>] [expires=60s]
//! ! set 101@abc.com registered <uri> <seconds>
//! ! set 101@abc.com presence open|closed [activity...]|off
//! ! set 101@abc.com appearance <index> <state> [party="Bob" <sip:bob@abc.com>]
//! ```

use std::sync::Arc;
use std::time::Duration;

use lamplighter::presence::call::{
    Appearance, AppearanceState, CallParts, CallState, Direction, Party,
};
use lamplighter::presence::source::{
    CallSource, Forward, ForwardKind, MessageClass, MessageCounts, Messages, RichPresence,
    StateUpdate,
};

use crate::reading::duration;

/// Reads the text after the address of record.
pub(crate) fn parse(words: &[&str]) -> Result<StateUpdate, String> {
    match words {
        ["dnd", state] => Ok(StateUpdate::DoNotDisturb(is_on(state)?)),
        ["forward", kind, target] => Ok(StateUpdate::Forward(forward(kind, target)?)),
        ["note", "off"] => Ok(StateUpdate::Note(None)),
        ["note", text @ ..] if !text.is_empty() => {
            Ok(StateUpdate::Note(Some(text.join(" ").into())))
        }
        ["messages", "off"] => Ok(StateUpdate::Messages(None)),
        ["messages", counts] => Ok(StateUpdate::Messages(Some(messages(counts)?))),
        ["lamp", state, rest @ ..] => lamp(state, rest),
        ["registered", uri, seconds] => {
            let seconds = seconds.parse().map_err(|_| "how many seconds?")?;
            let contact = ((*uri).into(), Duration::from_secs(seconds));
            Ok(StateUpdate::Registered(vec![contact]))
        }
        ["presence", "off"] => Ok(StateUpdate::Presence(None)),
        ["presence", basic, activities @ ..] => Ok(StateUpdate::Presence(Some(RichPresence {
            open: Some(is_open(basic)?),
            activities: activities.iter().map(|name| (*name).into()).collect(),
            ..RichPresence::default()
        }))),
        ["appearance", index, state, party @ ..] => appearance(index, state, party),
        _ => Err("set what?".to_owned()),
    }
}

fn is_on(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off?".to_owned()),
    }
}

fn is_open(word: &str) -> Result<bool, String> {
    match word {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err("open or closed?".to_owned()),
    }
}

fn forward(kind: &str, target: &str) -> Result<Forward, String> {
    let kind = match kind {
        "immediate" => ForwardKind::Immediate,
        "busy" => ForwardKind::Busy,
        "no-answer" => ForwardKind::NoAnswer,
        _ => return Err("immediate, busy or no-answer?".to_owned()),
    };
    let is_active = target != "off";
    let target = if is_active { target } else { "" };
    Ok(Forward {
        kind,
        is_active,
        target: target.into(),
        ring_count: None,
    })
}

fn messages(counts: &str) -> Result<Messages, String> {
    let (new, old) = counts.split_once('/').ok_or("<new>/<old>")?;
    let number = |text: &str| text.parse().map_err(|_| "not a number".to_owned());
    let counts = MessageCounts {
        new: number(new)?,
        old: number(old)?,
        ..MessageCounts::default()
    };
    Ok(Messages {
        are_waiting: counts.new > 0,
        account: None,
        counts: vec![(MessageClass::Voice, counts)],
    })
}

fn lamp(state: &str, rest: &[&str]) -> Result<StateUpdate, String> {
    let state = match state {
        "early" => Some(CallState::Early),
        "confirmed" => Some(CallState::Confirmed),
        "off" => None,
        _ => return Err("early, confirmed or off?".to_owned()),
    };
    let (mut remote, mut expires) = (Party::default(), None);
    for word in rest {
        match word.split_once('=') {
            Some(("from", uri)) => remote.identity = uri,
            Some(("expires", time)) => expires = Some(duration(time)?),
            _ => return Err(format!("unknown word {word}")),
        }
    }
    let call = state.map(|state| {
        let call = CallParts {
            direction: Some(Direction::Recipient),
            remote,
            ..CallParts::new("operator", state)
        };
        Arc::new(call.into())
    });
    Ok(StateUpdate::Call {
        source: CallSource::Operator,
        call,
        expires,
    })
}

fn appearance(index: &str, state: &str, party: &[&str]) -> Result<StateUpdate, String> {
    const STATES: [AppearanceState; 9] = [
        AppearanceState::Idle,
        AppearanceState::Seized,
        AppearanceState::Progressing,
        AppearanceState::Alerting,
        AppearanceState::Active,
        AppearanceState::Held,
        AppearanceState::HeldPrivate,
        AppearanceState::BridgeActive,
        AppearanceState::BridgeHeld,
    ];
    let state = STATES.into_iter().find(|known| known.as_str() == state);
    let party = party.join(" ");
    Ok(StateUpdate::Appearance(Appearance {
        index: index.parse().map_err(|_| "which appearance?")?,
        state: state.ok_or("what does it do?")?,
        party: party.strip_prefix("party=").map(Into::into),
    }))
}
