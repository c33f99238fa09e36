//! `GET /status`: whether the server is ready, where it listens, and what it has to do.

use crate::http::Site;
use crate::http::answer::table::span;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::control::why::complain_of_silence;
use crate::http::engine::Engine;
use crate::http::facts::counted;
use crate::http::facts::tenants;
use crate::http::monitor::metrics;

/// A few lines for a terminal.
pub(super) async fn show<E: Engine>(query: &str, site: &Site<E>) -> Result<String, Refusal> {
    Form::parse(query, b"", &[])?;
    let counts = metrics::count(site).await;
    let value = |name: &str| {
        let found = counts.values.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, value)| *value)
    };
    let ready = match site.engine.is_ready() {
        true => "ready",
        false => "not ready",
    };
    let mut text = format!(
        "Lamplighter {} is {ready}, up {}\n{}\n{}\n{}, {}, {} sent\n",
        env!("CARGO_PKG_VERSION"),
        span(site.facts.started.elapsed()),
        site.facts.listeners(),
        tenants(&site.directory()),
        counted(site.engine.shards().into(), "shard"),
        counted(value("subscriptions"), "subscription"),
        counted(value("notifies_sent"), "NOTIFY"),
    );
    complain_of_silence(&counts.silent, &mut text);
    Ok(text)
}
