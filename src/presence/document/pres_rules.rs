//! `application/auth-policy+xml` (RFC 4745, 5025): a presentity's own rules about its watchers.
//!
//! Unsupported parts of a rule never make it more permissive: a rule with an unknown condition
//! matches no watcher (RFC 4745 §6.1) and is dropped. The only transformation that counts is
//! `provide-all-attributes`, which shows everything; the others select elements that our documents
//! do not have.

use crate::presence::Aor;
use crate::presence::document::xml::{Element, Name, Space, Visitor};
use crate::presence::document::{DocumentFault, xml};
use crate::presence::policy::{Exception, Handling, IdentityCondition, ImportedRule, Privacy};

mod time;

use time::unix_secs;

/// The media type.
pub const CONTENT_TYPE: &str = "application/auth-policy+xml";

/// Maximum rules of a document; each interval of a rule counts.
const RULES_MAX: usize = 256;
/// Maximum identities of a rule, including exceptions.
const IDENTITIES_MAX: usize = 256;

/// Reads the rules, in the order of the document. A rule without `sub-handling` blocks, which is
/// the weakest handling.
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, an identity that is not an address,
/// or an invalid handling or time; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<Vec<ImportedRule>, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    Ok(reading.rules)
}

#[derive(Default)]
struct Reading {
    rules: Vec<ImportedRule>,
    /// The rule being read.
    rule: Draft,
}

#[derive(Default)]
struct Draft {
    has_identity: bool,
    identities: Vec<IdentityCondition>,
    identity_count: usize,
    has_validity: bool,
    intervals: Vec<(Option<u64>, Option<u64>)>,
    from: Option<u64>,
    /// Whether it has an unknown condition.
    matches_no_watcher: bool,
    handling: Option<Handling>,
    privacy: Option<Privacy>,
}

const ROOT: Name = (Space::CommonPolicy, "ruleset");
const RULE: Name = (Space::CommonPolicy, "rule");
const CONDITIONS: Name = (Space::CommonPolicy, "conditions");
const IDENTITY: Name = (Space::CommonPolicy, "identity");
const ONE: Name = (Space::CommonPolicy, "one");
const MANY: Name = (Space::CommonPolicy, "many");
const EXCEPT: Name = (Space::CommonPolicy, "except");
const VALIDITY: Name = (Space::CommonPolicy, "validity");
const FROM: Name = (Space::CommonPolicy, "from");
const UNTIL: Name = (Space::CommonPolicy, "until");
const ACTIONS: Name = (Space::CommonPolicy, "actions");
const HANDLING: Name = (Space::PresRules, "sub-handling");
const TRANSFORMATIONS: Name = (Space::CommonPolicy, "transformations");
const ALL_ATTRIBUTES: Name = (Space::PresRules, "provide-all-attributes");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "ruleset",
        "rule",
        "conditions",
        "identity",
        "one",
        "many",
        "except",
        "validity",
        "from",
        "until",
        "actions",
        "sub-handling",
        "transformations",
        "provide-all-attributes",
    ];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        let rule = &mut self.rule;
        match (parents, element.name) {
            ([], ROOT) => {}
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], RULE) => *rule = Draft::default(),
            ([ROOT, RULE, CONDITIONS], IDENTITY) => rule.has_identity = true,
            ([ROOT, RULE, CONDITIONS], VALIDITY) => rule.has_validity = true,
            ([ROOT, RULE, CONDITIONS], _) => rule.matches_no_watcher = true,
            ([ROOT, RULE, CONDITIONS, IDENTITY], ONE) => rule.one(element)?,
            ([ROOT, RULE, CONDITIONS, IDENTITY], MANY) => rule.many(element)?,
            ([ROOT, RULE, CONDITIONS, IDENTITY, MANY], EXCEPT) => rule.except(element)?,
            // Another condition on an identity.
            ([ROOT, RULE, CONDITIONS, IDENTITY, ..], _) => rule.matches_no_watcher = true,
            ([ROOT, RULE, TRANSFORMATIONS], ALL_ATTRIBUTES) => rule.privacy = Some(Privacy::Pickup),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        let rule = &mut self.rule;
        match (parents, name) {
            ([ROOT, RULE, CONDITIONS, VALIDITY], FROM) => {
                rule.from = Some(unix_secs(text.trim()).ok_or(DocumentFault::Malformed)?);
            }
            ([ROOT, RULE, CONDITIONS, VALIDITY], UNTIL) => {
                let until = unix_secs(text.trim()).ok_or(DocumentFault::Malformed)?;
                rule.intervals.push((rule.from.take(), Some(until)));
            }
            ([ROOT, RULE, ACTIONS], HANDLING) => {
                // Of two values the more permissive counts, as with two rules.
                rule.handling = rule.handling.max(Some(handling(text.trim())?));
            }
            ([ROOT], RULE) => self.end_rule()?,
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn end_rule(&mut self) -> Result<(), DocumentFault> {
        let Draft {
            has_identity,
            mut identities,
            has_validity,
            mut intervals,
            from,
            matches_no_watcher,
            handling,
            privacy,
            ..
        } = std::mem::take(&mut self.rule);
        if from.is_some() {
            intervals.push((from, None));
        }
        if !has_validity {
            intervals.push((None, None));
        }
        if !has_identity {
            identities.push(IdentityCondition::Anybody);
        }
        if matches_no_watcher {
            return Ok(());
        }
        if self.rules.len() + intervals.len() > RULES_MAX {
            return Err(DocumentFault::TooLarge);
        }
        let rules = intervals
            .into_iter()
            .map(|(valid_from, valid_until)| ImportedRule {
                identities: identities.clone(),
                handling: handling.unwrap_or(Handling::Block),
                privacy,
                valid_from,
                valid_until,
            });
        self.rules.extend(rules);
        Ok(())
    }
}

impl Draft {
    fn one(&mut self, element: &Element<'_>) -> Result<(), DocumentFault> {
        let id = element.attribute("id").and_then(address);
        let id = id.ok_or(DocumentFault::Malformed)?;
        self.count()?;
        self.identities.push(IdentityCondition::One(id));
        Ok(())
    }

    fn many(&mut self, element: &Element<'_>) -> Result<(), DocumentFault> {
        self.count()?;
        self.identities.push(IdentityCondition::Many {
            domain: element.attribute("domain").map(domain),
            except: Vec::new(),
        });
        Ok(())
    }

    fn except(&mut self, element: &Element<'_>) -> Result<(), DocumentFault> {
        let id = element
            .attribute("id")
            .and_then(address)
            .map(Exception::One);
        let whole = element.attribute("domain").map(domain);
        let exception = id.or_else(|| whole.map(Exception::Domain));
        let exception = exception.ok_or(DocumentFault::Malformed)?;
        self.count()?;
        if let Some(IdentityCondition::Many { except, .. }) = self.identities.last_mut() {
            except.push(exception);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), DocumentFault> {
        self.identity_count += 1;
        if self.identity_count > IDENTITIES_MAX {
            return Err(DocumentFault::TooLarge);
        }
        Ok(())
    }
}

fn handling(word: &str) -> Result<Handling, DocumentFault> {
    match word {
        "block" => Ok(Handling::Block),
        "confirm" => Ok(Handling::Confirm),
        "polite-block" => Ok(Handling::PoliteBlock),
        "allow" => Ok(Handling::Allow),
        _ => Err(DocumentFault::Malformed),
    }
}

fn domain(name: &str) -> Box<str> {
    name.trim().to_ascii_lowercase().into()
}

/// The address of record of a `sip:`, `sips:` or `pres:` URI: escapes resolved, the domain in lower
/// case, without port and parameters.
fn address(uri: &str) -> Option<Aor> {
    let (scheme, rest) = uri.trim().split_once(':')?;
    let is_known = ["sip", "sips", "pres"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    // A `;` before the `@` belongs to the user.
    let (user, host) = rest.rsplit_once('@').filter(|_| is_known)?;
    let host = host.split([';', '?', ':']).next()?;
    let user = unescape(user)?;
    (!user.is_empty() && !host.is_empty()).then(|| Aor::new(&user, &domain(host)))
}

fn unescape(user: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(user.len());
    let mut rest = user.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        if octet == b'%' {
            let digits = rest.split_off(..2)?;
            let is_number = digits.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
