//! Two runs compared by ratios: the second divided by the first.

use std::fmt::Write;

use crate::report::summary::{Cost, Summary};
use crate::report::units;
use crate::report::units::Unit;

/// The table of ratios; the first lines say which run is which, and whether they are comparable.
pub(crate) fn compare(names: [&str; 2], runs: [&Summary; 2]) -> String {
    let mut out = String::new();
    for (letter, name, run) in [("A", names[0], runs[0]), ("B", names[1], runs[1])] {
        let clean = if run.clean { "clean" } else { "NOT CLEAN" };
        let _ = writeln!(
            out,
            "{letter}  {name}: {} against {}, {}, {clean}",
            run.scenario, run.server, run.began
        );
    }
    for difference in differences(runs) {
        let _ = writeln!(out, "!  {difference}");
    }
    let _ = writeln!(out, "\n{:<34}{:>14}{:>14}{:>9}", "", "A", "B", "B / A");
    for (what, unit, values) in rows(runs) {
        let ratio = match values[0] {
            value if value.abs() > 1e-12 => units::digits(values[1] / value),
            _ => "-".to_owned(),
        };
        let [one, two] = values.map(|value| unit.text(value));
        let _ = writeln!(out, "{what:<34}{one:>14}{two:>14}{ratio:>9}");
    }
    let faults = runs.map(|run| run.faults.values().sum::<u64>());
    let _ = writeln!(out, "{:<34}{:>14}{:>14}", "faults", faults[0], faults[1]);
    out
}

/// Differences that make the runs hard to compare.
fn differences(runs: [&Summary; 2]) -> Vec<String> {
    let mut differences = Vec::new();
    if runs[0].scenario != runs[1].scenario {
        differences.push("the scenarios differ".to_owned());
    }
    for (key, one) in &runs[0].keys {
        if let Some(two) = runs[1].keys.get(key)
            && one != two
        {
            differences.push(format!("{key} differs: {one} and {two}"));
        }
    }
    differences
}

fn rows(runs: [&Summary; 2]) -> Vec<(String, Unit, [f64; 2])> {
    let mut rows = Vec::new();
    for (key, one) in &runs[0].latencies {
        let Some(two) = runs[1].latencies.get(key) else {
            continue;
        };
        for (name, values) in [
            ("p50", [one.p50, two.p50]),
            ("p99", [one.p99, two.p99]),
            ("max", [one.max, two.max]),
        ] {
            let what = format!("{} {name}", units::phrase(key));
            rows.push((what, Unit::Time, values.map(|value| value as f64)));
        }
    }
    for name in ["subscribe", "load"] {
        let [Some(one), Some(two)] = runs.map(|run| run.stage(name)) else {
            continue;
        };
        let rates = [one.requests_per_second, two.requests_per_second];
        rows.push((format!("{name}: requests/s"), Unit::Number, rates));
        let rates = [one.notifies_per_second, two.notifies_per_second];
        rows.push((format!("{name}: NOTIFYs/s"), Unit::Number, rates));
    }
    if let [Some(one), Some(two)] = runs.map(|run| run.overload.as_ref()) {
        let best = [one.best_notifies_per_second, two.best_notifies_per_second];
        rows.push(("NOTIFY/s without loss".to_owned(), Unit::Number, best));
        let goodput = [one.goodput_percent, two.goodput_percent];
        rows.push((
            "goodput under overload, %".to_owned(),
            Unit::Number,
            goodput,
        ));
        let stale = [one.stale_seconds * 1e6, two.stale_seconds * 1e6];
        rows.push(("stale after overload".to_owned(), Unit::Time, stale));
    }
    if let [Some(one), Some(two)] = runs.map(|run| run.cost.as_ref()) {
        rows.extend(costs(one, two));
    }
    rows
}

fn costs(one: &Cost, two: &Cost) -> impl Iterator<Item = (String, Unit, [f64; 2])> {
    let pairs = one.figures().into_iter().zip(two.figures());
    pairs.filter_map(|((what, unit, one), (_, _, two))| {
        Some((format!("server {what}"), unit, [one?, two?]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::example;

    #[test]
    fn ratios_are_of_b_by_a() {
        let one = example();
        let mut two = example();
        two.keys.insert("phones".to_owned(), 2000.into());
        if let Some(latency) = two.latencies.get_mut("publish_to_lamp") {
            latency.p50 = 1200;
        }
        if let Some(cost) = &mut two.cost {
            cost.cpu_us_per_notify = Some(5.0);
        }
        let text = compare(["a.json", "b.json"], [&one, &two]);
        let line = |start: &str| {
            text.lines()
                .find(|line| line.starts_with(start))
                .unwrap_or("")
        };
        assert!(
            line("publish to lamp p50").ends_with("600 µs        1.2 ms        2"),
            "{text}"
        );
        assert!(
            line("server CPU of the load per NOTIFY").ends_with("0.25"),
            "{text}"
        );
        assert!(line("load: NOTIFYs/s").ends_with("1"), "{text}");
        assert!(
            line("!").contains("phones differs: 1000 and 2000"),
            "{text}"
        );
        assert!(!text.contains("per refresh"), "{text}");
    }
}
