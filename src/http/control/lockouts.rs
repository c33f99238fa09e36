//! `GET /lockouts` and `POST /lockouts/lift`: the addresses and accounts whose credentials are not checked
//! for a time, after too many wrong ones.

use crate::directory::Directory;
use crate::http::control::{ControlRefusal, ControlResult, Form, aor};
use crate::http::engine::Engine;
use crate::http::representation::lockouts::{LiftedLockouts, LockoutList};
use crate::http::site::Site;
use crate::shard::contract::lockout::Lifted;
use crate::shard::{Command, Reply};

/// Asks every shard; the lockout that ends last comes first.
pub(crate) async fn show<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let pick = |reply| match reply {
        Reply::Lockouts(found) => Some(found),
        _ => None,
    };
    let (mut reports, silent) = site.ask_all(|| Command::Lockouts, pick).await;
    reports.extend(site.attempts.lockouts());
    reports.sort_by_key(|report| std::cmp::Reverse(report.remaining));
    Ok(Box::new(LockoutList { reports, silent }))
}

/// Lifts those of an address, of an account, or all, on every shard and for HTTP.
pub(crate) async fn lift<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let lifted = lifted(form.required("who")?, &site.directory())?;
    let pick = |reply| match reply {
        Reply::Lifted(count) => Some(vec![count]),
        _ => None,
    };
    let command = || Command::LiftLockouts(lifted.clone());
    let (counts, silent) = site.ask_all(command, pick).await;
    let count = counts.iter().sum::<usize>() + site.attempts.lift(&lifted);
    Ok(Box::new(LiftedLockouts { count, silent }))
}

fn lifted(text: &str, directory: &Directory) -> Result<Lifted, ControlRefusal> {
    if text == "all" {
        return Ok(Lifted::All);
    }
    if let Ok(address) = text.parse() {
        return Ok(Lifted::Address(address));
    }
    // A guesser may have tried an account that does not exist, in a domain that is not served.
    let account = aor::of_any_domain(text, directory);
    let account = account.ok_or(ControlRefusal::Senseless(
        "say whose lockouts to lift: an IP address, an account like 123@example.com, or all",
    ))?;
    Ok(Lifted::Account(account.as_str().into()))
}
