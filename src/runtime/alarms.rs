//! Log lines for events that the operator should see at once.

use crate::shard::Outbox;
use crate::shard::contract::connector::UpstreamDifference;
use crate::shard::contract::report::{AuthenticationFailure, LoopReport};

/// Logs what the turns of an outbox found.
pub(crate) fn log(outbox: &Outbox) {
    outbox.alarms.iter().for_each(log_loop);
    outbox.failures.iter().for_each(log_failure);
    outbox.differences.iter().for_each(log_difference);
}

/// Logs a looping phone; the engine limits the rate. The address is for blocking it; who it is, is said at
/// DEBUG and by `lamplighter loops`.
fn log_loop(report: &LoopReport) {
    tracing::warn!(
        address = %report.peer,
        transport = report.transport.name(),
        user_agent = ?report.user_agent,
        method = ?report.method,
        status = report.status,
        per_minute = report.per_minute(),
        "a phone is looping; `lamplighter loops` lists all looping phones",
    );
    tracing::debug!(
        address = %report.peer,
        phone = ?report.phone,
        target = ?report.target,
        "a phone is looping"
    );
}

/// Authentication failed: one line, limited by the engine. Tools like fail2ban read it, so that the
/// address comes first, and the user, which the peer chooses, is quoted.
fn log_failure(failure: &AuthenticationFailure) {
    tracing::info!(
        address = %failure.address,
        user = ?failure.user,
        reason = failure.reason,
        via = failure.transport.name(),
        "authentication failed"
    );
}

/// A refresh of a connector found another state than the one held, which it has replaced; the engine limits the
/// rate.
fn log_difference(difference: &UpstreamDifference) {
    let connector = &*difference.connector;
    tracing::info!(connector, "a refresh corrected the state of a user");
    tracing::debug!(connector, user = %difference.aor, "a refresh corrected the state of a user");
}
