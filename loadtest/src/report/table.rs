//! The table at the end of a run.

use std::fmt::Write;

use crate::report::search::Limit;
use crate::report::summary::{Cost, Summary};
use crate::report::units;

/// The complete table, for a terminal or a log.
pub(crate) fn table(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_table(summary, &mut out);
    out
}

fn write_table(summary: &Summary, out: &mut String) -> std::fmt::Result {
    let Summary {
        scenario, server, ..
    } = summary;
    writeln!(out, "{scenario} against {server}, {:.1} s", summary.seconds)?;
    writeln!(
        out,
        "\n{:<12}{:>9}{:>12}{:>12}{:>12}{:>12}",
        "stage", "seconds", "requests", "a second", "NOTIFYs", "a second"
    )?;
    for stage in &summary.stages {
        writeln!(
            out,
            "{:<12}{:>9.2}{:>12}{:>12}{:>12}{:>12}",
            stage.name,
            stage.seconds,
            units::number(stage.requests as f64),
            units::number(stage.requests_per_second.round()),
            units::number(stage.notifies as f64),
            units::number(stage.notifies_per_second.round()),
        )?;
    }
    writeln!(
        out,
        "\n{:<24}{:>10}{:>11}{:>11}{:>11}{:>11}{:>11}",
        "latency", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for (key, latency) in &summary.latencies {
        write!(
            out,
            "{:<24}{:>10}",
            units::phrase(key),
            units::number(latency.count as f64)
        )?;
        for value in latency.quantiles() {
            write!(out, "{:>11}", units::time(value as f64))?;
        }
        out.push('\n');
    }
    out.push('\n');
    let seen = |key: &str| summary.counts.get(key).copied().unwrap_or(0);
    let nonzero = summary.counts.iter().filter(|(_, count)| **count > 0);
    let counts: Vec<String> = nonzero
        .map(|(key, count)| format!("{} {}", units::phrase(key), units::number(*count as f64)))
        .collect();
    wrap("counts", &counts, out);
    let responses: Vec<String> = summary
        .responses
        .iter()
        .map(|(response, count)| format!("{response}: {}", units::number(*count as f64)))
        .collect();
    wrap("responses", &responses, out);
    if let Some(cost) = &summary.cost {
        let costs: Vec<String> = costs(cost)
            .map(|(what, value)| format!("{what} {value}"))
            .collect();
        wrap("server", &costs, out);
    }
    if let Some(overload) = &summary.overload {
        let at_least = match overload.limited_by == Limit::Generator {
            true => "at least ",
            false => "",
        };
        let lines = [
            format!(
                "nothing lost up to {at_least}{} changes/s, {} NOTIFY/s, {} lamps/s",
                units::number(overload.best_changes_per_second.round()),
                units::number(overload.best_notifies_per_second.round()),
                units::number(overload.best_lamps_per_second.round())
            ),
            format!(
                "at most {} lamps/s",
                units::number(overload.most_lamps_per_second.round())
            ),
            format!(
                "at {:.0} % load {} lamps/s ({:.0} %)",
                overload.percent,
                units::number(overload.lamps_per_second.round()),
                overload.goodput_percent
            ),
            format!("stale for {:.2} s after it", overload.stale_seconds),
        ];
        let costs = [
            (overload.best_cpu_us_per_change, "change"),
            (overload.best_cpu_us_per_notify, "NOTIFY"),
        ];
        let costs = costs.into_iter().filter_map(|(cost, what)| {
            Some(format!("CPU per {what} at the best {}", units::time(cost?)))
        });
        let lines: Vec<String> = lines.into_iter().chain(costs).collect();
        wrap("search", &lines, out);
    }
    let generator = &summary.generator;
    let own = [
        format!("{:.2} s CPU", generator.cpu_seconds),
        format!("{:.0} % busy in its busiest stage", generator.busy * 100.0),
        format!(
            "{} messages read in full",
            units::number(seen("sampled") as f64)
        ),
    ];
    wrap("generator", &own, out);
    for remark in &summary.remarks {
        writeln!(out, "note: {remark}")?;
    }
    for example in &summary.examples {
        writeln!(out, "  {example}")?;
    }
    match summary.clean {
        true => writeln!(
            out,
            "\nCLEAN: nothing lost, duplicate, stale, out of order or wrong"
        ),
        false => writeln!(out, "\nNOT CLEAN: {}", summary.reasons.join(", ")),
    }
}

/// The server's resource use, as far as it is known.
pub(crate) fn costs(cost: &Cost) -> impl Iterator<Item = (&'static str, String)> {
    let figures = cost.figures().into_iter();
    figures.filter_map(|(what, unit, value)| Some((what, unit.text(value?))))
}

/// Items under a heading, as many per line as fit.
fn wrap(heading: &str, items: &[String], out: &mut String) {
    const WIDTH: usize = 100;
    let mut line = format!("{heading:<12}");
    for (index, item) in items.iter().enumerate() {
        let comma = if index + 1 < items.len() { ", " } else { "" };
        if line.len() + item.len() > WIDTH && line.len() > 12 {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(12);
        }
        line.push_str(item);
        line.push_str(comma);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::example;

    #[test]
    fn the_table_has_the_numbers_and_the_verdict() {
        let mut summary = example();
        let text = table(&summary);
        assert!(
            text.contains("publish to lamp             10,000     600 µs"),
            "{text}"
        );
        assert!(text.contains("CPU of the load per NOTIFY 20 µs"), "{text}");
        assert!(text.contains("\nCLEAN"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
        summary.clean = false;
        summary.reasons = vec!["lost: 3".to_owned()];
        assert!(table(&summary).contains("NOT CLEAN: lost: 3"));
    }
}
