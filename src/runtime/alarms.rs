//! Log lines for events that the operator should see at once.

use crate::shard::contract::report::{AuthenticationFailure, LoopReport};

/// Logs a looping phone; the engine limits the rate. Names the phone so that a technician can find
/// it.
pub(crate) fn log(report: &LoopReport) {
    tracing::warn!(
        address = %report.peer,
        transport = report.transport.name(),
        user_agent = ?report.user_agent,
        method = ?report.method,
        target = ?report.target,
        status = report.status,
        per_minute = report.per_minute(),
        "phone {:?} is looping; `lamplighter loops` lists all looping phones",
        report.phone
    );
}

/// Authentication failed: one line, limited by the engine. Tools like fail2ban read it, so that the
/// address comes first, and the user, which the peer chooses, is quoted.
pub(crate) fn log_failure(failure: &AuthenticationFailure) {
    tracing::info!(
        address = %failure.address,
        user = ?failure.user,
        reason = failure.reason,
        via = failure.transport.name(),
        "authentication failed"
    );
}
