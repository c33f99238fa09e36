//! A presentity's own rules on who may watch it (RFC 4745, 5025; W:B8.1): a document imported, and
//! single watchers let in or kept out. Live subscriptions follow at once. They survive a reading of
//! the configuration, not the end of the process.

use std::time::Duration;
use std::time::SystemTime;

use crate::directory::Directory;
use crate::http::Site;
use crate::http::answer::table::TERMINAL_COLUMNS;
use crate::http::answer::table::Table;
use crate::http::answer::table::visible;
use crate::http::control;
use crate::http::control::aor;
use crate::http::control::aor::NotAnAor;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::engine::Engine;
use crate::presence::Aor;
use crate::presence::document::pres_rules;
use crate::presence::policy::Exception;
use crate::presence::policy::Handling;
use crate::presence::policy::IdentityCondition;
use crate::presence::policy::ImportedRule;

/// Presentities with rules of their own.
const DOCUMENTS_MAX: usize = 100_000;
/// Watchers let in, or kept out, by one presentity one by one; also the exceptions of a rule.
const WATCHERS_MAX: usize = 1_000;

/// Whether a page is one of these commands.
pub(super) fn is_command(path: &str) -> bool {
    let name = path.strip_prefix("/rules/");
    name.is_some_and(|name| ["approve", "deny", "import", "remove"].contains(&name))
}

/// `GET /rules?aor=`
pub(super) fn show(query: &str, directory: &Directory) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["aor"])?;
    let aor = form.somebody(directory)?;
    if directory.has_rules_document(&aor) {
        Ok(rules_of(&aor, directory))
    } else {
        Err(Refusal::NoRules(aor))
    }
}

/// The rules in a table.
fn rules_of(aor: &Aor, directory: &Directory) -> String {
    let rules = directory.rules_document(aor);
    let mut text = summary(aor, rules.len());
    if rules.is_empty() {
        return text;
    }
    text.push('\n');
    let mut table = Table::new(&["WATCHERS", "HANDLING", "PRIVACY", "FROM", "UNTIL"]);
    for rule in rules {
        let time = |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), timestamp);
        table.add([
            watchers(rule),
            word(rule.handling).to_owned(),
            rule.privacy
                .map_or_else(|| "-".to_owned(), |privacy| (privacy as u8).to_string()),
            time(rule.valid_from),
            time(rule.valid_until),
        ]);
    }
    table.write(Some(TERMINAL_COLUMNS), &mut text);
    text
}

/// `POST /rules/...`
pub(super) async fn act<E: Engine>(
    path: &str,
    query: &str,
    body: &[u8],
    site: &Site<E>,
) -> Result<String, Refusal> {
    if path == "/rules/import" {
        let form = Form::parse(query, b"", &["aor"])?;
        let rules = pres_rules::parse(body)?;
        return replace(&form, site, |_, _| Ok(rules)).await;
    }
    let fields: &[&'static str] = match path {
        "/rules/approve" => &["watcher", "aor"],
        "/rules/deny" => &["watcher", "aor", "politely"],
        _ => &["aor"],
    };
    let form = Form::parse(query, body, fields)?;
    let handling = match path {
        "/rules/approve" => Handling::Allow,
        "/rules/deny" if form.is_yes("politely")? => Handling::PoliteBlock,
        "/rules/deny" => Handling::Block,
        _ => {
            let remove = |directory: &Directory, aor: &Aor| {
                let has_rules = directory.has_rules_document(aor);
                let gone = has_rules.then(Vec::new);
                gone.ok_or_else(|| Refusal::NoRules(aor.clone()))
            };
            return replace(&form, site, remove).await;
        }
    };
    let decide = |directory: &Directory, aor: &Aor| {
        let watcher = aor::anybody(form.required("watcher")?, directory);
        let watcher = watcher.ok_or(NotAnAor::Unreadable)?;
        decided(directory.rules_document(aor), &watcher, handling, aor)
    };
    replace(&form, site, decide).await
}

/// Replaces the rules of the presentity that the form names; answers with the new ones.
async fn replace<E: Engine>(
    form: &Form,
    site: &Site<E>,
    rules: impl FnOnce(&Directory, &Aor) -> Result<Vec<ImportedRule>, Refusal>,
) -> Result<String, Refusal> {
    let edit = |directory: &Directory| {
        let aor = form.somebody(directory)?;
        let rules = rules(directory, &aor)?;
        let is_new = !directory.has_rules_document(&aor);
        if is_new && directory.rules_documents() >= DOCUMENTS_MAX {
            return Err(Refusal::Full(
                "as many addresses as may have rules of their own have some",
            ));
        }
        Ok(directory.with_rules_document(&aor, rules))
    };
    let edited = control::edit(site, edit).await?;
    let aor = form.somebody(&edited)?;
    Ok(rules_of(&aor, &edited))
}

fn summary(aor: &Aor, rules: usize) -> String {
    let text = match rules {
        0 => format!("{aor} has no rules of its own"),
        1 => format!("{aor} has 1 rule of its own"),
        count => format!("{aor} has {count} rules of its own"),
    };
    visible(&text) + "\n"
}

/// The rules with which a watcher gets `handling` and nothing more generous. Of all rules that match
/// the most generous counts, so that he has to be taken out of those.
fn decided(
    rules: &[ImportedRule],
    watcher: &Aor,
    handling: Handling,
    presentity: &Aor,
) -> Result<Vec<ImportedRule>, Refusal> {
    let full = || Refusal::Full("more watchers are named than one address may have");
    let him = IdentityCondition::One(watcher.clone());
    let mut decided = Vec::with_capacity(rules.len() + 1);
    for rule in rules {
        let mut rule = rule.clone();
        let had_identities = !rule.identities.is_empty();
        rule.identities.retain(|condition| *condition != him);
        if had_identities && rule.identities.is_empty() {
            continue;
        }
        if rule.handling > handling {
            for condition in &mut rule.identities {
                match condition {
                    IdentityCondition::One(_) => {}
                    IdentityCondition::Anybody => {
                        return Err(Refusal::LetsEverybodyIn(presentity.clone()));
                    }
                    IdentityCondition::Many { except, .. } => {
                        let exception = Exception::One(watcher.clone());
                        if !except.contains(&exception) {
                            except.push(exception);
                        }
                        if except.len() > WATCHERS_MAX {
                            return Err(full());
                        }
                    }
                }
            }
        }
        decided.push(rule);
    }
    let is_ours = |rule: &&mut ImportedRule| {
        let one = |condition: &IdentityCondition| matches!(condition, IdentityCondition::One(_));
        rule.handling == handling
            && rule.privacy.is_none()
            && rule.valid_from.is_none()
            && rule.valid_until.is_none()
            && rule.identities.iter().all(one)
    };
    match decided.iter_mut().find(is_ours) {
        Some(rule) if rule.identities.len() >= WATCHERS_MAX => return Err(full()),
        Some(rule) => rule.identities.push(him),
        None => decided.push(ImportedRule {
            identities: vec![him],
            handling,
            privacy: None,
            valid_from: None,
            valid_until: None,
        }),
    }
    Ok(decided)
}

/// `bob@abc.com; everybody of xyz.com but eve@xyz.com`
fn watchers(rule: &ImportedRule) -> String {
    let condition = |condition: &IdentityCondition| match condition {
        IdentityCondition::One(aor) => aor.to_string(),
        IdentityCondition::Anybody => "anybody, known or not".to_owned(),
        IdentityCondition::Many { domain, except } => {
            let mut text = String::from("everybody");
            if let Some(domain) = domain {
                text.extend([" of ", domain]);
            }
            for (place, exception) in except.iter().enumerate() {
                text.push_str(if place == 0 { " but " } else { ", " });
                text.push_str(match exception {
                    Exception::One(aor) => aor.as_str(),
                    Exception::Domain(domain) => domain,
                });
            }
            text
        }
    };
    if rule.identities.is_empty() {
        return "nobody".to_owned();
    }
    let conditions: Vec<String> = rule.identities.iter().map(condition).collect();
    conditions.join("; ")
}

const fn word(handling: Handling) -> &'static str {
    match handling {
        Handling::Block => "block",
        Handling::Confirm => "confirm",
        Handling::PoliteBlock => "polite-block",
        Handling::Allow => "allow",
    }
}

/// `2026-01-31T12:00:00Z`
fn timestamp(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    // Beyond the year 9999 there is no text for it.
    const LAST: u64 = 253_402_300_799;
    match time {
        Some(time) if seconds <= LAST => humantime::format_rfc3339_seconds(time).to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(condition: IdentityCondition, handling: Handling) -> ImportedRule {
        ImportedRule {
            identities: vec![condition],
            handling,
            privacy: None,
            valid_from: None,
            valid_until: None,
        }
    }

    fn everybody() -> IdentityCondition {
        IdentityCondition::Many {
            domain: None,
            except: Vec::new(),
        }
    }

    /// What a watcher gets: the most generous of what matches.
    fn handling(rules: &[ImportedRule], watcher: &Aor) -> Option<Handling> {
        let matching = rules
            .iter()
            .filter(|rule| rule.matches(Some(watcher), true, 1));
        matching.map(|rule| rule.handling).max()
    }

    #[test]
    fn a_decision_about_one_watcher_is_about_nobody_else() {
        let (bob, eve) = (Aor::new("bob", "abc.com"), Aor::new("eve", "abc.com"));
        let him = IdentityCondition::One(bob.clone());
        let nine = Aor::new("9", "abc.com");
        let before = [
            vec![],
            vec![rule(everybody(), Handling::Confirm)],
            vec![rule(everybody(), Handling::Allow)],
            vec![rule(him.clone(), Handling::Allow)],
            vec![
                rule(him, Handling::Block),
                rule(everybody(), Handling::Allow),
            ],
        ];
        for rules in before {
            for wanted in [Handling::Allow, Handling::PoliteBlock, Handling::Block] {
                let Ok(decided) = decided(&rules, &bob, wanted, &nine) else {
                    panic!("{rules:?}")
                };
                // A rule that asks for a confirmation is more than a block, less than a polite one.
                assert_eq!(handling(&decided, &bob), Some(wanted), "{rules:?}");
                assert_eq!(handling(&decided, &eve), handling(&rules, &eve));
                let Ok(again) = super::decided(&decided, &bob, wanted, &nine) else {
                    panic!("{rules:?}")
                };
                assert_eq!(again, decided, "saying it again changes nothing");
            }
        }
    }

    #[test]
    fn nobody_is_kept_out_where_everybody_is_let_in() {
        let (bob, nine) = (Aor::new("bob", "abc.com"), Aor::new("9", "abc.com"));
        let rules = [rule(IdentityCondition::Anybody, Handling::Allow)];
        assert_eq!(
            decided(&rules, &bob, Handling::Block, &nine),
            Err(Refusal::LetsEverybodyIn(nine.clone()))
        );
        assert!(decided(&rules, &bob, Handling::Allow, &nine).is_ok());
    }

    #[test]
    fn rules_are_told_in_words() {
        let mut many = rule(
            IdentityCondition::Many {
                domain: Some("xyz.com".into()),
                except: vec![
                    Exception::One(Aor::new("eve", "xyz.com")),
                    Exception::Domain("sub.xyz.com".into()),
                ],
            },
            Handling::Allow,
        );
        many.identities
            .push(IdentityCondition::One(Aor::new("bob", "abc.com")));
        assert_eq!(
            watchers(&many),
            "everybody of xyz.com but eve@xyz.com, sub.xyz.com; bob@abc.com"
        );
        assert_eq!(timestamp(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(timestamp(u64::MAX), "-");
    }
}
