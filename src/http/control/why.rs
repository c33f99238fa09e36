//! Questions: why a lamp is as it is, who watches it, what was counted.

use futures_util::future::join_all;

use crate::http::Site;
use crate::http::answer::table::TERMINAL_COLUMNS;
use crate::http::answer::table::Table;
use crate::http::answer::table::span;
use crate::http::answer::table::visible;
use crate::http::control::form::Form;
use crate::http::control::lists;
use crate::http::control::refusal::Refusal;
use crate::http::engine::Engine;
use crate::http::monitor::metrics;
use crate::presence::Aor;
use crate::presence::composition::Extended;
use crate::presence::composition::ImagicleStatus;
use crate::presence::event::list::Member;
use crate::presence::event::list::Resolved;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;
use crate::shard::contract::report::Contribution;
use crate::shard::contract::report::WatcherReport;
use crate::shard::contract::report::Why;

/// Members of one list that are looked up; `any-dn` may have more.
const MEMBERS_SHOWN_MAX: usize = 1_000;
/// Members that are asked for at once.
const MEMBERS_AT_ONCE: usize = 64;

/// `GET /why?aor=`
pub(super) async fn why<E: Engine>(query: &str, site: &Site<E>) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["aor", "wide"])?;
    let directory = site.directory();
    let aor = form.somebody(&directory)?;
    let columns = columns(&form)?;
    if let Some(list) = directory.list(&aor) {
        return Ok(list_explanation(&aor, &list, columns, site).await);
    }
    let why = ask(&aor, site).await?;
    Ok(explanation(&aor, &why, columns))
}

/// `GET /watchers?aor=`
pub(super) async fn watchers<E: Engine>(query: &str, site: &Site<E>) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["aor", "wide"])?;
    let aor = form.somebody(&site.directory())?;
    let columns = columns(&form)?;
    let mut reports = Vec::new();
    let mut silent = Vec::new();
    for shard in 0..site.engine.shards() {
        let command = Command::Watchers(aor.clone());
        match site.engine.ask(ShardId(shard), command).await {
            Ok(Reply::Watchers(found)) => reports.extend(found),
            Ok(_) | Err(_) => silent.push(shard),
        }
    }
    reports.sort_by(|left, right| {
        let key = |report: &WatcherReport| {
            let list = report.list.as_ref().map(Aor::to_string);
            (report.package.token(), list)
        };
        (&left.watcher, key(left), &left.call_id).cmp(&(&right.watcher, key(right), &right.call_id))
    });
    Ok(watcher_table(&aor, &reports, &silent, columns))
}

/// `GET /counters`
pub(super) async fn counters<E: Engine>(site: &Site<E>) -> String {
    let counted = metrics::count(site).await;
    let mut table = Table::new(&["COUNTER", "VALUE"]);
    for (name, value) in &counted.values {
        table.add([(*name).to_owned(), value.to_string()]);
    }
    let mut text = String::new();
    table.write(None, &mut text);
    complain_of_silence(&counted.silent, &mut text);
    text
}

/// The state of somebody in one line.
pub(super) async fn headline<E: Engine>(aor: &Aor, site: &Site<E>) -> Result<String, Refusal> {
    let why = ask(aor, site).await?;
    Ok(visible(&state(aor, &why)) + "\n")
}

async fn ask<E: Engine>(aor: &Aor, site: &Site<E>) -> Result<Why, Refusal> {
    let owner = ShardId::owner_of(aor, site.engine.shards());
    match site.engine.ask(owner, Command::Why(aor.clone())).await {
        Ok(Reply::Why(why)) => Ok(why),
        Ok(_) | Err(_) => Err(Refusal::Silent),
    }
}

/// How wide a table may be: as wide as it gets when `wide` says so.
pub(super) fn columns(form: &Form) -> Result<Option<usize>, Refusal> {
    let is_wide = form.is_yes("wide")?;
    Ok((!is_wide).then_some(TERMINAL_COLUMNS))
}

fn state(aor: &Aor, why: &Why) -> String {
    format!(
        "{aor} is {} (basic {}, lamp {})",
        why.availability,
        basic(why),
        why.lamp.as_str()
    )
}

fn basic(why: &Why) -> &'static str {
    if why.is_open { "open" } else { "closed" }
}

/// `busy: a call is confirmed`
fn because(why: &Why) -> String {
    format!("{}: {}", why.availability, why.rule)
}

fn explanation(aor: &Aor, why: &Why, columns: Option<usize>) -> String {
    let mut text = visible(&state(aor, why));
    text.push('\n');
    match why.extended {
        None => {}
        Some(extended @ Extended::Alceo(_)) => {
            text.push_str(&format!("alceo: {}\n", extended.as_str()));
        }
        Some(extended @ Extended::Imagicle(tracks)) => {
            let track = |status: Option<ImagicleStatus>| status.map_or("-", ImagicleStatus::as_str);
            text.push_str(&format!(
                "imagicle: {} (telephony: {}, rich: {})\n",
                extended.as_str(),
                track(tracks.telephony),
                track(tracks.rich)
            ));
        }
    }
    text.push_str(&visible(&format!("because {}", because(why))));
    text.push_str("\n\n");
    if why.contributions.is_empty() {
        text.push_str("No source says anything.\n");
        return text;
    }
    let mut table = Table::new(&[" ", "SOURCE", "SAYS", "AGE", "REMAINING"]);
    for Contribution {
        source,
        asserts,
        age,
        remaining,
        decides,
    } in &why.contributions
    {
        let mark = if *decides { "*" } else { " " };
        table.add([
            mark.to_owned(),
            source.to_string(),
            asserts.to_string(),
            span(*age),
            remaining.map_or_else(|| "-".to_owned(), span),
        ]);
    }
    table.write(columns, &mut text);
    text
}

/// A list has no state but that of its members.
async fn list_explanation<E: Engine>(
    aor: &Aor,
    list: &Resolved,
    columns: Option<usize>,
    site: &Site<E>,
) -> String {
    let mut text = lists::heading(aor, list);
    if list.members.is_empty() {
        return text;
    }
    text.push('\n');
    let mut table = Table::new(&["MEMBER", "NAME", "IS", "LAMP", "BECAUSE"]);
    let shown = list.members.get(..MEMBERS_SHOWN_MAX);
    let shown = shown.unwrap_or(&list.members);
    for members in shown.chunks(MEMBERS_AT_ONCE) {
        let rows = members.iter().map(|member| row(member, site));
        for row in join_all(rows).await {
            table.add(row);
        }
    }
    table.write(columns, &mut text);
    if list.members.len() > shown.len() {
        let more = list.members.len() - shown.len();
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

async fn row<E: Engine>(member: &Member, site: &Site<E>) -> [String; 5] {
    let nothing = |because: &str| ("-".to_owned(), "-", because.to_owned());
    let (is, lamp, because) = match &member.aor {
        None => nothing("of another domain"),
        Some(aor) => match ask(aor, site).await {
            Ok(why) => (
                why.availability.to_string(),
                why.lamp.as_str(),
                because(&why),
            ),
            Err(_) => nothing("its shard does not answer"),
        },
    };
    let name = member.name.to_string();
    [member.uri.to_string(), name, is, lamp.to_owned(), because]
}

fn watcher_table(
    aor: &Aor,
    reports: &[WatcherReport],
    silent: &[u16],
    columns: Option<usize>,
) -> String {
    let mut text = match reports.len() {
        0 => format!("Nobody watches {aor}.\n"),
        1 => format!("1 subscription to {aor}\n\n"),
        count => format!("{count} subscriptions to {aor}\n\n"),
    };
    if !reports.is_empty() {
        const WIDE: [&str; 13] = [
            "WATCHER",
            "PACKAGE",
            "STATE",
            "LIST",
            "PRIVACY",
            "RULE",
            "PROFILE",
            "REMAINING",
            "NOTIFIES",
            "FLOW",
            "TARGET",
            "SHARD",
            "CALL-ID",
        ];
        /// What stands on a terminal: those that are asked for most.
        const NARROW: usize = 8;
        let shown = if columns.is_some() {
            NARROW
        } else {
            WIDE.len()
        };
        let mut table = Table::new(&WIDE[..shown]);
        for report in reports {
            let cells = [
                report.watcher.clone(),
                report.package.token().to_owned(),
                report.state.as_str().to_owned(),
                report.list.as_ref().map_or("-", Aor::as_str).to_owned(),
                (report.privacy as u8).to_string(),
                report.rule.to_string(),
                report.profile.clone(),
                span(report.remaining),
                report.notifies.to_string(),
                format!("{} {}", report.transport.uri_parameter(), report.peer),
                report.target.clone(),
                report.shard.0.to_string(),
                report.call_id.clone(),
            ];
            table.add(cells.into_iter().take(shown));
        }
        table.write(columns, &mut text);
    }
    complain_of_silence(silent, &mut text);
    text
}

/// Says which shards are missing from an answer.
pub(super) fn complain_of_silence(silent: &[u16], text: &mut String) {
    for shard in silent {
        text.push_str(&format!("Shard {shard} does not answer.\n"));
    }
}
