//! A presentity's own rules on who may watch it.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::http::representation::table::Table;
use crate::http::representation::{Representation, visible};
use crate::presence::Aor;
use crate::presence::policy::{Exception, Handling, IdentityCondition, ImportedRule};

/// All of them.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The presentity.
    pub(crate) aor: Aor,
    /// Its rules, in order.
    pub(crate) rules: Vec<ImportedRule>,
}

impl Representation for Rules {
    fn text(&self, columns: Option<usize>) -> String {
        let aor = &self.aor;
        let count = match self.rules.len() {
            0 => return visible(&format!("{aor} has no rules of its own")) + "\n",
            1 => "1 rule".to_owned(),
            count => format!("{count} rules"),
        };
        let mut text = visible(&format!("{aor} has {count} of its own")) + "\n\n";
        table(&self.rules).write(columns, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "aor": self.aor.as_str(),
            "rules": self.rules.iter().map(json).collect::<Vec<_>>(),
        })
    }
}

fn table(rules: &[ImportedRule]) -> Table {
    let mut table = Table::new(&["WATCHERS", "HANDLING", "PRIVACY", "FROM", "UNTIL"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for rule in rules {
        table.add([
            watchers(rule),
            word(rule.handling).to_owned(),
            or_dash(rule.privacy.map(|privacy| (privacy as u8).to_string())),
            or_dash(rule.valid_from.and_then(timestamp)),
            or_dash(rule.valid_until.and_then(timestamp)),
        ]);
    }
    table
}

fn json(rule: &ImportedRule) -> Value {
    json!({
        "watchers": rule.identities.iter().map(condition_json).collect::<Vec<_>>(),
        "handling": word(rule.handling),
        "privacy": rule.privacy.map(|privacy| privacy as u8),
        "valid_from": rule.valid_from.and_then(timestamp),
        "valid_until": rule.valid_until.and_then(timestamp),
    })
}

/// `bob@abc.com; every authenticated watcher in xyz.com except eve@xyz.com`
fn watchers(rule: &ImportedRule) -> String {
    if rule.identities.is_empty() {
        return "none".to_owned();
    }
    let conditions: Vec<String> = rule.identities.iter().map(condition).collect();
    conditions.join("; ")
}

fn condition(condition: &IdentityCondition) -> String {
    match condition {
        IdentityCondition::One(aor) => aor.to_string(),
        IdentityCondition::Anybody => "anyone, authenticated or not".to_owned(),
        IdentityCondition::Many { domain, except } => {
            let mut text = String::from("every authenticated watcher");
            if let Some(domain) = domain {
                text.extend([" in ", domain]);
            }
            for (place, exception) in except.iter().enumerate() {
                text.push_str(if place == 0 { " except " } else { ", " });
                text.push_str(excepted(exception));
            }
            text
        }
    }
}

fn condition_json(condition: &IdentityCondition) -> Value {
    match condition {
        IdentityCondition::One(aor) => json!({"one": aor.as_str()}),
        IdentityCondition::Anybody => json!({"anybody": true}),
        IdentityCondition::Many { domain, except } => json!({"many": {
            "domain": domain,
            "except": except.iter().map(excepted).collect::<Vec<_>>(),
        }}),
    }
}

fn excepted(exception: &Exception) -> &str {
    match exception {
        Exception::One(aor) => aor.as_str(),
        Exception::Domain(domain) => domain,
    }
}

pub(crate) const fn word(handling: Handling) -> &'static str {
    match handling {
        Handling::Block => "block",
        Handling::Confirm => "confirm",
        Handling::PoliteBlock => "polite-block",
        Handling::Allow => "allow",
    }
}

/// `2026-01-31T12:00:00Z`; None beyond the year 9999, for which there is no text.
fn timestamp(seconds: u64) -> Option<String> {
    const LAST: u64 = 253_402_300_799;
    let seconds = (seconds <= LAST).then_some(seconds)?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_in_words() {
        let many = IdentityCondition::Many {
            domain: Some("xyz.com".into()),
            except: vec![
                Exception::One(Aor::new("eve", "xyz.com")),
                Exception::Domain("sub.xyz.com".into()),
            ],
        };
        let one = IdentityCondition::One(Aor::new("bob", "abc.com"));
        let rule = ImportedRule {
            identities: vec![many, one],
            handling: Handling::Allow,
            privacy: None,
            valid_from: Some(1_767_225_600),
            valid_until: Some(u64::MAX),
        };
        assert_eq!(
            watchers(&rule),
            "every authenticated watcher in xyz.com except eve@xyz.com, sub.xyz.com; bob@abc.com"
        );
        let json = json(&rule);
        assert_eq!(json["watchers"][0]["many"]["except"][1], "sub.xyz.com");
        assert_eq!(json["watchers"][1]["one"], "bob@abc.com");
        assert_eq!(json["valid_from"], "2026-01-01T00:00:00Z");
        assert_eq!(json["valid_until"], Value::Null);
    }
}
