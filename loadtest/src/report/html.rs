//! The report as one self-contained HTML file, to be read, printed, or handed to a customer.

use std::fmt::Write;

use crate::report::chart::{Axis, Band, Chart, Scale, Series, escape};
use crate::report::search::Limit;
use crate::report::summary::{PointSummary, Summary};
use crate::report::{table, units};

const STYLE: &str = include_str!("report.css");

/// The latencies of the plot, with their names, if they were measured.
const PLOTTED: &[(&str, &str)] = &[
    ("publish_to_lamp", "change to lamp"),
    ("publish_to_first_lamp", "change to first lamp"),
    ("publish_to_last_lamp", "change to last lamp"),
    ("subscribe_to_notify", "SUBSCRIBE to first NOTIFY"),
    ("refresh_to_notify", "refresh to NOTIFY"),
    ("publish_to_200", "PUBLISH to 200"),
];

/// A description of each kind of latency.
const MEANINGS: &[(&str, &str)] = &[
    (
        "publish_to_lamp",
        "from the moment a change was due until a watcher's phone shows it",
    ),
    (
        "publish_to_first_lamp",
        "the same, for the first phone of each change",
    ),
    (
        "publish_to_last_lamp",
        "the same, for the last phone of each change",
    ),
    (
        "subscribe_to_200",
        "from the moment a SUBSCRIBE was due until its 200",
    ),
    ("subscribe_to_notify", "the same, until its first NOTIFY"),
    ("refresh_to_200", "a SUBSCRIBE in a dialog, until its 200"),
    ("refresh_to_notify", "the same, until its NOTIFY"),
    ("publish_to_200", "a PUBLISH, until its 200"),
    ("http_to_200", "call_state.htm, until its 200"),
    (
        "generator_lag",
        "how late the generator itself was; included in all latencies above",
    ),
];

/// A description of each kind of fault.
const FAULTS: &[(&str, &str)] = &[
    (
        "lost",
        "a watcher never saw the newest state, or a document version was skipped",
    ),
    (
        "duplicate",
        "a version was repeated, or a NOTIFY contained no change",
    ),
    (
        "stale",
        "a lower version, or a lamp that returned to an older state",
    ),
    (
        "out_of_order",
        "a CSeq that is not one higher than the last",
    ),
    (
        "wrong",
        "a tag, entity, state, body or response that does not match the request",
    ),
    (
        "foreign",
        "a message that cannot be parsed, or belongs to no dialog or request",
    ),
    (
        "subscribes_failed",
        "a SUBSCRIBE that was refused, or a subscription that was lost",
    ),
    ("changes_failed", "a change that the server did not accept"),
    ("no_response", "a request without a response for 32 seconds"),
    ("connections_closed", "a connection that the server closed"),
    (
        "never_established",
        "a subscription that was never established",
    ),
];

/// The complete document.
pub(crate) fn html(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_document(summary, &mut out);
    out
}

fn write_document(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let title = format!("Load test: {}", escape(&summary.scenario));
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title}</h1>\n<p class=\"about\">{}</p>\n<p class=\"meta\">{} · {} · {:.1} s · {}</p>\n\
         </header>",
        escape(&summary.about),
        escape(&summary.server),
        escape(&summary.began),
        summary.seconds,
        escape(&summary.tool),
    )?;
    write_verdict(summary, out)?;
    write_tiles(summary, out)?;
    section(out, "Latency by percentile", &percentiles(summary).html())?;
    write_latencies(summary, out)?;
    section(out, "Messages over time", &rates(summary).html())?;
    section(out, "From change to lamp over time", &lamps(summary).html())?;
    if summary.cost.is_some() {
        section(out, "The server over time", &server(summary).html())?;
    }
    write_stages(summary, out)?;
    write_search(summary, out)?;
    write_faults(summary, out)?;
    write_details(summary, out)?;
    writeln!(out, "</body>\n</html>")
}

fn section(out: &mut String, title: &str, content: &str) -> std::fmt::Result {
    writeln!(out, "<section>\n<h2>{title}</h2>\n{content}</section>")
}

fn write_verdict(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let (class, word) = match summary.clean {
        true => ("clean", "Clean"),
        false => ("unclean", "Not clean"),
    };
    let notifies = summary.counts.get("notifies").copied().unwrap_or(0);
    let text = match summary.clean {
        true => format!(
            "Every one of {} NOTIFYs was checked: nothing was lost, duplicate, stale, out of order or \
             wrong, and every lamp ended in the state that was published.",
            units::number(notifies as f64)
        ),
        false => escape(&summary.reasons.join("; ")),
    };
    writeln!(
        out,
        "<p class=\"verdict {class}\"><b>{word}.</b> {text}</p>"
    )?;
    for remark in &summary.remarks {
        writeln!(out, "<p class=\"remark\">{}</p>", escape(remark))?;
    }
    Ok(())
}

fn write_tiles(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let mut tiles: Vec<(String, String)> = Vec::new();
    let count = |key: &str| units::number(summary.counts.get(key).copied().unwrap_or(0) as f64);
    tiles.push(("subscriptions".to_owned(), count("established")));
    tiles.push(("NOTIFYs".to_owned(), count("notifies")));
    if let Some(load) = summary.stage("load") {
        let rate = units::number(load.notifies_per_second.round());
        tiles.push(("NOTIFY/s in the load".to_owned(), rate));
    }
    let figures = [
        ("publish_to_lamp", "change to lamp"),
        ("subscribe_to_notify", "SUBSCRIBE to NOTIFY"),
    ];
    for (key, name) in figures {
        if let Some(latency) = summary.latencies.get(key) {
            tiles.push((format!("{name}, p50"), units::time(latency.p50 as f64)));
            tiles.push((format!("{name}, p99"), units::time(latency.p99 as f64)));
        }
    }
    if let Some(overload) = &summary.overload {
        let at_least = match overload.limited_by == Limit::Generator {
            true => "≥ ",
            false => "",
        };
        let best = units::number(overload.best_notifies_per_second.round());
        tiles.push((
            "NOTIFY/s without loss".to_owned(),
            format!("{at_least}{best}"),
        ));
        if let Some(cost) = overload.best_cpu_us_per_notify {
            let what = "server CPU per NOTIFY at that rate".to_owned();
            tiles.push((what, units::time(cost)));
        }
        let most = units::number(overload.most_lamps_per_second.round());
        tiles.push(("most lamps/s".to_owned(), most));
        let goodput = format!("{:.0} %", overload.goodput_percent);
        tiles.push((
            format!("goodput at {:.0} % load", overload.percent),
            goodput,
        ));
        let stale = units::time(overload.stale_seconds * 1e6);
        tiles.push(("stale after the load".to_owned(), stale));
    }
    if let Some(cost) = &summary.cost {
        tiles.extend(table::costs(cost).map(|(what, value)| (format!("server {what}"), value)));
    }
    writeln!(out, "<div class=\"tiles\">")?;
    for (what, value) in tiles {
        let (value, what) = (escape(&value), escape(&what));
        writeln!(out, "<div><b>{value}</b><span>{what}</span></div>")?;
    }
    writeln!(out, "</div>")
}

// ---- Charts

fn time_axis() -> Axis {
    Axis {
        scale: Scale::Logarithmic,
        label: units::time,
    }
}

fn seconds_axis() -> Axis {
    Axis {
        scale: Scale::Linear,
        label: units::digits,
    }
}

fn percentiles(summary: &Summary) -> Chart {
    let plotted = PLOTTED.iter().filter_map(|(key, name)| {
        let latency = summary.latencies.get(*key)?;
        let points = latency.percentiles.iter();
        Some(Series {
            name: (*name).to_owned(),
            points: points
                .filter(|(share, _)| *share < 1.0)
                .map(|(share, value)| (*share, *value as f64))
                .collect(),
        })
    });
    Chart {
        x: Axis {
            scale: Scale::Nines,
            label: |share| format!("{} %", (share * 1e7).round() / 1e5),
        },
        y: time_axis(),
        x_title: "share of events that were at least as fast",
        series: plotted.collect(),
        bands: Vec::new(),
    }
}

/// The value of a point on a line; None omits the point.
type Value = fn(&PointSummary) -> Option<f64>;

fn over_time(summary: &Summary, y: Axis, lines: &[(&str, Value)]) -> Chart {
    let series = lines.iter().map(|(name, value)| Series {
        name: (*name).to_owned(),
        points: summary
            .timeline
            .iter()
            .filter_map(|point| Some((point.at, value(point)?)))
            .collect(),
    });
    let mut bands: Vec<Band> = Vec::new();
    let mut before = 0.0;
    for point in &summary.timeline {
        match bands.last_mut().filter(|band| band.name == point.stage) {
            Some(band) => band.to = point.at,
            None => bands.push(Band {
                name: point.stage.clone(),
                from: before,
                to: point.at,
            }),
        }
        before = point.at;
    }
    Chart {
        x: seconds_axis(),
        y,
        x_title: "seconds since the run began",
        series: series.filter(|series| !series.points.is_empty()).collect(),
        bands,
    }
}

fn rates(summary: &Summary) -> Chart {
    let axis = Axis {
        scale: Scale::Linear,
        label: |value| format!("{}/s", units::number(value)),
    };
    over_time(
        summary,
        axis,
        &[
            ("NOTIFYs checked", |point| Some(point.notifies)),
            ("requests with a response", |point| Some(point.requests)),
            ("retransmissions, both ways", |point| {
                Some(point.retransmissions)
            }),
        ],
    )
}

fn lamps(summary: &Summary) -> Chart {
    fn some(value: u64) -> Option<f64> {
        (value > 0).then_some(value as f64)
    }
    over_time(
        summary,
        time_axis(),
        &[
            ("p50", |point| some(point.lamp_p50)),
            ("p99", |point| some(point.lamp_p99)),
            ("maximum", |point| some(point.lamp_max)),
        ],
    )
}

fn server(summary: &Summary) -> Chart {
    let axis = Axis {
        scale: Scale::Linear,
        label: |value| format!("{} %", units::digits(value)),
    };
    over_time(
        summary,
        axis,
        &[("CPU, percent of one core", |point| {
            Some(point.server_cpu * 100.0)
        })],
    )
}

// ---- Tables

fn write_latencies(summary: &Summary, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>Latencies</h2>\n<table>\n<thead><tr><th>latency</th><th>count</th><th>p50</th>\
         <th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr></thead>\n<tbody>"
    )?;
    for (key, meaning) in MEANINGS {
        let Some(latency) = summary.latencies.get(*key) else {
            continue;
        };
        write!(
            out,
            "<tr><td>{}<small>{meaning}</small></td><td>{}</td>",
            units::phrase(key),
            units::number(latency.count as f64)
        )?;
        for value in latency.quantiles() {
            write!(out, "<td>{}</td>", units::time(value as f64))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(
        out,
        "</tbody>\n</table>\n<p>All latencies count from the moment an event was due by the scenario's \
         rate, not from when it was sent: a server that is slow for a while is charged for everything \
         that had to wait (no coordinated omission).</p>\n</section>"
    )
}

fn write_stages(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let known = summary.cost.is_some();
    write!(
        out,
        "<section>\n<h2>Stages</h2>\n<table>\n<thead><tr><th>stage</th><th>seconds</th><th>requests</th>\
         <th>a second</th><th>NOTIFYs</th><th>a second</th>"
    )?;
    if known {
        write!(out, "<th>server CPU</th><th>server memory</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for stage in &summary.stages {
        let numbers = [
            stage.requests as f64,
            stage.requests_per_second.round(),
            stage.notifies as f64,
            stage.notifies_per_second.round(),
        ];
        let name = escape(&stage.name);
        write!(out, "<tr><td>{name}</td><td>{:.2}</td>", stage.seconds)?;
        for number in numbers {
            write!(out, "<td>{}</td>", units::number(number))?;
        }
        if known {
            let memory = units::octets(stage.server_resident_octets as f64);
            write!(
                out,
                "<td>{:.2} s</td><td>{memory}</td>",
                stage.server_cpu_seconds
            )?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn write_search(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let Some(overload) = &summary.overload else {
        return Ok(());
    };
    writeln!(
        out,
        "<section>\n<h2>The search for the best rate</h2>\n<table>\n<thead><tr><th>changes/s asked for\
         </th><th>lamps/s</th><th>NOTIFY/s</th><th>sent again</th><th>generator busy</th>\
         <th>server CPU</th><th>nothing lost</th></tr></thead>\n<tbody>"
    )?;
    for step in &overload.steps {
        let server = match summary.cost {
            Some(_) => format!("{:.0} %", step.server_cpu * 100.0),
            None => "-".to_owned(),
        };
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0} %</td><td>{server}</td>\
             <td>{}</td></tr>",
            units::number(step.changes.round()),
            units::number(step.lamps.round()),
            units::number(step.notifies.round()),
            units::number(step.resent as f64),
            step.generator_busy * 100.0,
            if step.good { "yes" } else { "no" },
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn write_faults(summary: &Summary, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>What was looked for</h2>\n<table>\n<thead><tr><th>fault</th><th>found</th></tr>\
         </thead>\n<tbody>"
    )?;
    for (key, meaning) in FAULTS {
        let count = summary.faults.get(*key).copied().unwrap_or(0);
        let class = if count > 0 { " class=\"bad\"" } else { "" };
        writeln!(
            out,
            "<tr{class}><td>{}<small>{meaning}</small></td><td>{}</td></tr>",
            units::phrase(key),
            units::number(count as f64)
        )?;
    }
    writeln!(out, "</tbody>\n</table>")?;
    if !summary.examples.is_empty() {
        writeln!(out, "<h3>Examples</h3>\n<ul class=\"examples\">")?;
        for example in &summary.examples {
            writeln!(out, "<li>{}</li>", escape(example))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</section>")
}

fn write_details(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let nonzero = summary.counts.iter().filter(|(_, count)| **count > 0);
    let counts = nonzero.map(|(key, count)| (units::phrase(key), units::number(*count as f64)));
    let responses = summary.responses.iter();
    let responses = responses.map(|(key, count)| (key.clone(), units::number(*count as f64)));
    let keys = summary.keys.iter();
    let keys = keys.map(|(key, value)| (key.clone(), value.to_string().replace('"', "")));
    writeln!(out, "<section class=\"columns\">")?;
    list(out, "Counts", counts)?;
    list(out, "Responses", responses)?;
    list(out, "The scenario's keys", keys)?;
    let generator = &summary.generator;
    let own = [
        ("CPU", format!("{:.2} s", generator.cpu_seconds)),
        ("busiest stage", format!("{:.0} %", generator.busy * 100.0)),
    ];
    list(
        out,
        "The generator",
        own.into_iter().map(|(key, value)| (key.to_owned(), value)),
    )?;
    writeln!(out, "</section>")
}

fn list(
    out: &mut String,
    title: &str,
    pairs: impl Iterator<Item = (String, String)>,
) -> std::fmt::Result {
    writeln!(out, "<div><h2>{title}</h2>\n<dl>")?;
    for (key, value) in pairs {
        writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(&key), escape(&value))?;
    }
    writeln!(out, "</dl></div>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::example;

    #[test]
    fn the_document_is_whole_and_needs_nothing_else() {
        let text = html(&example());
        assert!(text.contains("One user &amp; many &lt;watchers&gt;."));
        assert_eq!(text.matches("<svg").count(), 4);
        for foreign in ["http://", "https://", "<script", "src=", "@import", "url("] {
            assert!(!text.contains(foreign), "{foreign}");
        }
        for tag in ["section", "table", "tbody", "dl", "div", "svg", "tr", "td"] {
            let (opened, closed) = (format!("<{tag}"), format!("</{tag}>"));
            let opened = text.matches(&format!("{opened}>")).count()
                + text.matches(&format!("{opened} ")).count();
            assert_eq!(opened, text.matches(&closed).count(), "{tag}");
        }
    }

    #[test]
    fn faults_are_shown_with_their_examples() {
        let mut summary = example();
        summary.clean = false;
        summary.reasons = vec!["lost: 3".to_owned()];
        summary.faults.insert("lost".to_owned(), 3);
        summary.examples = vec!["subscription 7 <gone>".to_owned()];
        let text = html(&summary);
        assert!(text.contains("Not clean.</b> lost: 3"));
        assert!(text.contains("class=\"bad\"><td>lost"));
        assert!(text.contains("subscription 7 &lt;gone&gt;"));
    }
}
