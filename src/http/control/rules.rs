//! A presentity's own rules on who may watch it (RFC 4745, 5025): a document imported, and single
//! watchers approved or denied. Live subscriptions follow at once. The rules outlive a reading of
//! the configuration and, with a store, the process.

use crate::directory::Directory;
use crate::http::control::aor::NotAnAor;
use crate::http::control::edit::edit;
use crate::http::control::{ControlRefusal, ControlResult, Form, aor};
use crate::http::engine::Engine;
use crate::http::representation::rules::Rules;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::document::pres_rules;
use crate::presence::policy::{Exception, Handling, IdentityCondition, ImportedRule};

/// Presentities with rules of their own.
const DOCUMENTS_MAX: usize = 100_000;
/// Maximum individually approved or denied watchers per presentity, and exceptions per rule.
const WATCHERS_MAX: usize = 1_000;

/// `GET /rules`
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let directory = site.directory();
    let aor = form.known_aor(&directory)?;
    if directory.has_rules_document(&aor) {
        Ok(rules_of(aor, &directory))
    } else {
        Err(ControlRefusal::NoRules(aor))
    }
}

/// `POST /rules/import`
pub(crate) async fn import<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let rules = pres_rules::parse(form.document())?;
    replace(&form, site, |_, _| Ok(rules.clone())).await
}

/// `POST /rules/approve`
pub(crate) async fn approve<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    decide(form, site, Handling::Allow).await
}

/// `POST /rules/deny`
pub(crate) async fn deny<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let handling = if form.is_yes("politely")? {
        Handling::PoliteBlock
    } else {
        Handling::Block
    };
    decide(form, site, handling).await
}

/// `POST /rules/remove`
pub(crate) async fn remove<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let remove = |directory: &Directory, aor: &Aor| {
        let has_rules = directory.has_rules_document(aor);
        let gone = has_rules.then(Vec::new);
        gone.ok_or_else(|| ControlRefusal::NoRules(aor.clone()))
    };
    replace(&form, site, remove).await
}

/// Gives the watcher that the form names `handling`.
pub(crate) async fn decide<E: Engine>(
    form: Form,
    site: &Site<E>,
    handling: Handling,
) -> ControlResult {
    let decide = |directory: &Directory, aor: &Aor| {
        let watcher = aor::of_any_domain(form.required("watcher")?, directory);
        let watcher = watcher.ok_or(NotAnAor::Unreadable)?;
        decided(directory.rules_document(aor), &watcher, handling, aor)
    };
    replace(&form, site, decide).await
}

/// Replaces the rules of the presentity that the form names. Returns the new ones.
async fn replace<E: Engine>(
    form: &Form,
    site: &Site<E>,
    rules: impl Fn(&Directory, &Aor) -> Result<Vec<ImportedRule>, ControlRefusal>,
) -> ControlResult {
    let aor = form.known_aor(&site.directory())?;
    let replace = |directory: &Directory| {
        let rules = rules(directory, &aor)?;
        let is_new = !directory.has_rules_document(&aor);
        if is_new && directory.rules_documents() >= DOCUMENTS_MAX {
            return Err(ControlRefusal::Full(
                "the limit of addresses with their own rules is reached",
            ));
        }
        Ok(directory.with_rules_document(&aor, rules))
    };
    let edited = edit(site, &aor, replace).await?;
    Ok(rules_of(aor, &edited))
}

fn rules_of(aor: Aor, directory: &Directory) -> Box<Rules> {
    let rules = directory.rules_document(&aor).to_vec();
    Box::new(Rules { aor, rules })
}

/// Changes the rules so that the watcher gets exactly `handling`. The most permissive matching rule
/// wins, so the watcher is excluded from more permissive ones.
fn decided(
    rules: &[ImportedRule],
    watcher: &Aor,
    handling: Handling,
    presentity: &Aor,
) -> Result<Vec<ImportedRule>, ControlRefusal> {
    let full = || ControlRefusal::Full("the rules of one address may not name that many watchers");
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
                        return Err(ControlRefusal::AllowsEveryWatcher(presentity.clone()));
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
    fn a_decision_about_one_watcher_leaves_the_others_alone() {
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
    fn one_watcher_cannot_be_denied_where_every_watcher_is_allowed() {
        let (bob, nine) = (Aor::new("bob", "abc.com"), Aor::new("9", "abc.com"));
        let rules = [rule(IdentityCondition::Anybody, Handling::Allow)];
        assert_eq!(
            decided(&rules, &bob, Handling::Block, &nine),
            Err(ControlRefusal::AllowsEveryWatcher(nine.clone()))
        );
        assert!(decided(&rules, &bob, Handling::Allow, &nine).is_ok());
    }
}
