//! The operator's questions: why a lamp is as it is, who watches it, what was counted. The answers
//! are text for a terminal, which the command line prints as they are.

use hyper::StatusCode;

use crate::http::Site;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::aor;
use crate::http::aor::NotAnAor;
use crate::http::engine::Engine;
use crate::http::fields::Fields;
use crate::http::metrics;
use crate::http::table::Table;
use crate::http::table::span;
use crate::http::table::visible;
use crate::presence::Aor;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::Shard;
use crate::shard::ShardId;
use crate::shard::mail::Contribution;
use crate::shard::mail::WatcherReport;
use crate::shard::mail::Why;

/// `GET /why?aor=`
pub(super) async fn why<E: Engine>(query: &str, site: &Site<E>) -> Answer {
    let aor = match asked(query, site) {
        Ok(aor) => aor,
        Err(refusal) => return refusal.into_answer(),
    };
    let owner = Shard::owner(&aor, site.engine.shards());
    match site.engine.ask(owner, Command::Why(aor.clone())).await {
        Ok(Reply::Why(why)) => answer::text(StatusCode::OK, explanation(&aor, &why)),
        Ok(_) | Err(_) => answer::unavailable(),
    }
}

/// `GET /watchers?aor=`
pub(super) async fn watchers<E: Engine>(query: &str, site: &Site<E>) -> Answer {
    let aor = match asked(query, site) {
        Ok(aor) => aor,
        Err(refusal) => return refusal.into_answer(),
    };
    let mut reports = Vec::new();
    let mut silent = Vec::new();
    for shard in 0..site.engine.shards() {
        match site
            .engine
            .ask(ShardId(shard), Command::Watchers(aor.clone()))
            .await
        {
            Ok(Reply::Watchers(found)) => reports.extend(found),
            Ok(_) | Err(_) => silent.push(shard),
        }
    }
    reports.sort_by(|left, right| {
        (&left.watcher, left.package, &left.call_id).cmp(&(
            &right.watcher,
            right.package,
            &right.call_id,
        ))
    });
    answer::text(StatusCode::OK, watcher_table(&aor, &reports, &silent))
}

/// `GET /counters`
pub(super) async fn counters<E: Engine>(engine: &E) -> Answer {
    let counted = metrics::count(engine).await;
    let mut table = Table::new(&["COUNTER", "VALUE"]);
    for (name, value) in &counted.values {
        table.add([(*name).to_owned(), value.to_string()]);
    }
    let mut text = String::new();
    table.write(&mut text);
    complain_of_silence(&counted.silent, &mut text);
    answer::text(StatusCode::OK, text)
}

/// Why a question is none.
struct NoQuestion(StatusCode, String);

impl NoQuestion {
    fn into_answer(self) -> Answer {
        answer::text(self.0, format!("{}\n", self.1))
    }
}

/// The presentity that is asked about.
fn asked<E>(query: &str, site: &Site<E>) -> Result<Aor, NoQuestion> {
    let bad = |why: &str| NoQuestion(StatusCode::BAD_REQUEST, why.to_owned());
    let fields = Fields::parse(query, b"", &["aor"]).map_err(|_| bad("aor is given twice"))?;
    let text = fields.value("aor").ok_or_else(|| bad("aor is missing"))?;
    aor::resolve(text, &site.directory()).map_err(|error| match error {
        NotAnAor::Unreadable => bad(&error.to_string()),
        NotAnAor::UnknownDomain(_) => NoQuestion(StatusCode::NOT_FOUND, error.to_string()),
    })
}

fn explanation(aor: &Aor, why: &Why) -> String {
    let mut text = visible(&format!(
        "{aor} is {} (basic {}, lamp {})",
        why.availability, why.basic, why.lamp
    ));
    text.push('\n');
    text.push_str(&visible(&format!("because {}", why.because)));
    text.push_str("\n\n");
    if why.contributions.is_empty() {
        text.push_str("No source says anything.\n");
        return text;
    }
    let mut table = Table::new(&[" ", "SOURCE", "SAYS", "AGE", "REMAINING"]);
    for Contribution {
        source,
        says,
        age,
        remaining,
        decides,
    } in &why.contributions
    {
        let mark = if *decides { "*" } else { " " };
        table.add([
            mark.to_owned(),
            source.clone(),
            says.clone(),
            span(*age),
            remaining.map_or_else(|| "-".to_owned(), span),
        ]);
    }
    table.write(&mut text);
    text
}

fn watcher_table(aor: &Aor, reports: &[WatcherReport], silent: &[u16]) -> String {
    let mut text = match reports.len() {
        0 => format!("Nobody watches {aor}.\n"),
        1 => format!("1 subscription to {aor}\n\n"),
        count => format!("{count} subscriptions to {aor}\n\n"),
    };
    if !reports.is_empty() {
        let headings = [
            "WATCHER",
            "PACKAGE",
            "STATE",
            "LIST",
            "PRIVACY",
            "RULE",
            "PROFILE",
            "NOTIFIES",
            "REMAINING",
            "FLOW",
            "TARGET",
            "SHARD",
            "CALL-ID",
        ];
        let mut table = Table::new(&headings);
        for report in reports {
            table.add([
                report.watcher.clone(),
                report.package.to_owned(),
                report.state.to_owned(),
                report.list.clone().unwrap_or_else(|| "-".to_owned()),
                report.privacy.to_string(),
                report.rule.clone(),
                report.profile.clone(),
                report.notifies.to_string(),
                span(report.remaining),
                report.flow.clone(),
                report.target.clone(),
                report.shard.to_string(),
                report.call_id.clone(),
            ]);
        }
        table.write(&mut text);
    }
    complain_of_silence(silent, &mut text);
    text
}

/// Says which shards are missing from an answer.
fn complain_of_silence(silent: &[u16], text: &mut String) {
    for shard in silent {
        text.push_str(&format!("Shard {shard} does not answer.\n"));
    }
}
