//! The operator's command in a `! probe` step.

use lamplighter::presence::call::CallState;
use lamplighter::presence::event::Package;
use lamplighter::shard::contract::probe::{ProbeOrder, ProbeTask};
use lamplighter::shard::{ConnectionId, Flow};
use lamplighter::sip::Transport;
use lamplighter::sip::digest::client::Login;

use crate::reading::duration;
use crate::scene::local;

/// The server under test.
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 9], 5060);

/// Reads the text after `! probe`.
pub(crate) fn order(words: &[&str]) -> Result<ProbeOrder, String> {
    let (task, target, rest) = match words {
        ["subscribe", target, rest @ ..] => (ProbeTask::Subscribe(Package::Dialog), target, rest),
        ["publish", target, state, rest @ ..] => {
            (ProbeTask::Publish(call_state(state)?), target, rest)
        }
        _ => return Err("subscribe or publish?".to_owned()),
    };
    let peer = SERVER.into();
    let mut order = ProbeOrder {
        flow: Flow {
            transport: Transport::Udp,
            listener: 0,
            connection: ConnectionId::default(),
            local: local(peer),
            peer,
        },
        alternatives: Vec::new(),
        target: (*target).into(),
        from: "sip:probe@abc.com".into(),
        login: None,
        duration: duration("60s")?,
        task,
    };
    let mut user = None;
    for word in rest {
        match word.split_once('=') {
            Some(("package", "presence")) => order.task = ProbeTask::Subscribe(Package::Presence),
            Some(("from", uri)) => order.from = uri.into(),
            Some(("user", name)) => user = Some(name),
            Some(("password", password)) => {
                order.login = Some(Login {
                    user: user.ok_or("whose password?")?.into(),
                    password: password.into(),
                });
            }
            Some(("also", address)) => {
                let peer = address.parse().map_err(|_| "not an address")?;
                order.alternatives.push(Flow { peer, ..order.flow });
            }
            Some(("for", time)) => order.duration = duration(time)?,
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(order)
}

fn call_state(word: &str) -> Result<CallState, String> {
    match word {
        "busy" => Ok(CallState::Confirmed),
        "ringing" => Ok(CallState::Early),
        "idle" => Ok(CallState::Terminated),
        _ => Err("busy, ringing or idle?".to_owned()),
    }
}
