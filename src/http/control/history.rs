//! `GET /history`: the changes of the composed state of an address, or of all addresses of a domain.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::directory::Directory;
use crate::http::control::{ControlRefusal, ControlResult, Form, aor};
use crate::http::engine::Engine;
use crate::http::representation::history::History;
use crate::http::site::Site;
use crate::presence::history::HistoryQuery;

/// Changes on a page, unless the field `limit` says otherwise.
const CHANGES: u32 = 1_000;
/// The most changes on a page.
const CHANGES_MAX: u32 = 10_000;

/// Asks the history for a page.
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let now = SystemTime::now();
    let (domain, user) = subject(&form, &site.directory())?;
    let limit = form.number("limit")?.unwrap_or(CHANGES);
    if !(1..=CHANGES_MAX).contains(&limit) {
        return Err(ControlRefusal::Senseless("limit must be from 1 to 10000"));
    }
    let query = HistoryQuery {
        domain,
        user,
        since: moment(&form, "since", now)?.unwrap_or(0),
        until: moment(&form, "until", now)?.unwrap_or(i64::MAX),
        limit: limit as usize,
        from: form.cursor("from")?,
    };
    let subject = query.subject();
    let page = site.engine.history(query).await?;
    Ok(Box::new(History { subject, page }))
}

/// Whose history: domain and user of the field `aor`, or the field `domain`.
fn subject(form: &Form, directory: &Directory) -> Result<(String, Option<String>), ControlRefusal> {
    match (form.optional("aor")?, form.optional("domain")?) {
        (Some(_), None) => {
            let aor = form.address("aor", directory)?;
            Ok((aor.domain().to_owned(), Some(aor.user().to_owned())))
        }
        (None, Some(domain)) => Ok((aor::domain(domain, directory)?, None)),
        _ => Err(ControlRefusal::Senseless(
            "give either an address, aor, or a domain",
        )),
    }
}

/// A time of the past: a span before now (`2h`), or as in RFC 3339 (`2026-11-29T12:00:00Z`). In
/// milliseconds since 1970 UTC.
fn moment(form: &Form, name: &'static str, now: SystemTime) -> Result<Option<i64>, ControlRefusal> {
    let Some(text) = form.optional(name)? else {
        return Ok(None);
    };
    let given = humantime::parse_rfc3339_weak(text).ok();
    let before = |span: Duration| now.checked_sub(span);
    let moment = match given {
        Some(given) => Some(given),
        None => form
            .time(name)
            .map_err(|_| ControlRefusal::NoMoment(name))?
            .and_then(before),
    };
    let since_1970 = moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let since_1970 = since_1970.ok_or(ControlRefusal::NoMoment(name))?;
    Ok(Some(since_1970.as_millis() as i64))
}
