//! Messages and mail as one line of text each, for the trace.

use crate::sip_text::Text;
use lamplighter::shard::Mail;

/// A message as one line.
pub(super) fn summary(octets: &[u8]) -> String {
    let Ok(text) = Text::parse(octets) else {
        return String::from_utf8_lossy(octets).into_owned();
    };
    let mut line = format!(
        "{} [{}] {}",
        text.start,
        text.one("CSeq").unwrap_or_default(),
        text.call_id()
    );
    for name in [
        "Event",
        "Subscription-State",
        "Expires",
        "SIP-If-Match",
        "SIP-ETag",
        "Retry-After",
    ] {
        if let Some(value) = text.one(name) {
            line.push_str(&format!(" {name}: {value}"));
        }
    }
    let version = text
        .body
        .split(" version=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    if let Some(version) = version {
        line.push_str(&format!(" v{version}"));
    }
    for state in text.body.split("<state>").skip(1) {
        line.push_str(&format!(
            " <{}>",
            state.split('<').next().unwrap_or_default()
        ));
    }
    line
}

pub(super) fn mail_summary(mail: &Mail) -> String {
    match mail {
        Mail::Misdirected { bytes, .. } => format!("misdirected {}", summary(bytes)),
        Mail::Begun { holder, .. } => format!("begun {holder:?}"),
        Mail::Transmit { bytes, .. } => format!("transmit {}", summary(bytes)),
        Mail::Keep(connection, _) => format!("keep {}", connection.number),
        Mail::Closed(connection) => format!("closed {}", connection.number),
        Mail::Watch { watched, .. } => format!("watch {}", watched.aor),
        Mail::Unwatch { aor, .. } => format!("unwatch {aor}"),
        Mail::State {
            watched,
            composed,
            news,
        } => format!("state {} {:?} {news:?}", watched.aor, composed.availability),
        Mail::WatchDomain { domain, .. } => format!("watch domain {domain}"),
        Mail::UnwatchDomain { domain, .. } => format!("unwatch domain {domain}"),
        Mail::Roster { domain, aors, .. } => format!("roster {domain} {}", aors.len()),
        Mail::FollowWatchers { aor, package, .. } => format!("follow {package:?} of {aor}"),
        Mail::UnfollowWatchers { aor, package, .. } => format!("unfollow {package:?} of {aor}"),
        Mail::WatchersHere(report) => format!("watchers {} {}", report.aor, report.watchers.len()),
        Mail::Seize { aor, index, .. } => format!("seize {index} of {aor}"),
        Mail::SeizeOutcome { outcome, .. } => format!("seized {outcome:?}"),
        Mail::Release(claim) => format!("release {} of {}", claim.index, claim.aor),
        Mail::UpdateState {
            aor, update: said, ..
        } => format!("say {aor} {said:?}"),
        Mail::UpdateOutcome { is_taken, .. } => format!("said {is_taken}"),
        Mail::Switch {
            aor, update: said, ..
        } => format!("switch {aor} {said:?}"),
        Mail::Switched { aor, .. } => format!("switched {aor}"),
        Mail::Register(register) => format!("register {} {:?}", register.aor, register.change),
        Mail::RegisterOutcome { outcome, .. } => format!("registered {outcome:?}"),
        Mail::Publish(publish) => format!("publish {}", publish.aor),
        Mail::Upstream(report) => format!("upstream {} {}", report.connector, report.aor),
        Mail::Relay(_) | Mail::Relayed(_) => "relay".to_owned(),
        Mail::PublishOutcome { outcome, .. } => format!("outcome {outcome:?}"),
    }
}
