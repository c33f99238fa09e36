//! The check of policies.

use std::collections::HashMap;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::schema::{Config, HandlingKind};
use crate::config::suggestion::nearest;
use crate::config::tenants::names::Names;
use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::{Handling, Pattern, People, Policy, Privacy, WatcherCondition};

/// Policies of the operator's file, and of each domain in that of the HTTP API; they are numbered with 16 bits.
const POLICIES_MAX: u16 = 10_000;

/// Adds the policies of the files, in their order. Those of the operator's file have the numbers from 1 on; those of
/// the HTTP API go on from there, in each domain anew: many policies of one leave the others room.
pub(super) fn add_policies(
    config: &Config,
    names: &Names,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let (mut operators, mut of_api) = (0, HashMap::new());
    for policy in &config.policy {
        if names.waits(&policy.domain, complainer) {
            continue;
        }
        let (first, count) = match complainer.is_managed(&policy.domain.span()) {
            true => {
                let own = names.known(policy.domain.get_ref());
                (operators, of_api.entry(own).or_default())
            }
            false => (0, &mut operators),
        };
        if *count == POLICIES_MAX {
            let what = format!("there are more than {POLICIES_MAX} policies");
            complainer.add(
                policy.domain.span(),
                what,
                "use groups and prefixes to combine some",
            );
            return;
        }
        *count += 1;
        let number = first + *count;
        let what = format!("policy {number}");
        let Some(domain) = names.domain(&policy.domain, &what, complainer) else {
            continue;
        };
        let watcher = names.watcher(&policy.watcher, &domain, directory, complainer);
        let presentity = names.people(&policy.presentity, &domain, complainer);
        let package = policy
            .package
            .as_ref()
            .map(|name| package(name, complainer));
        let privacy = policy
            .privacy
            .as_ref()
            .map(|level| privacy(level, complainer));
        let (Some(watcher), Some(presentity)) = (watcher, presentity) else {
            continue;
        };
        // The API's callers are not the readers of the log.
        if !complainer.is_managed(&policy.domain.span()) {
            let of = (policy, number, &*domain);
            note_strangers(of, (&watcher, &presentity), directory, complainer, notes);
        }
        let policy = Policy {
            number,
            watcher,
            presentity,
            package: package.flatten(),
            handling: handling(policy.handling),
            privacy,
            text: text(policy).into(),
        };
        directory.add_policy(&domain, policy);
    }
}

/// Notes users of a policy that do not exist, which is probably a mistake.
fn note_strangers(
    (policy, number, domain): (&schema::Policy, u16, &str),
    (watcher, presentity): (&WatcherCondition, &People),
    directory: &Directory,
    complainer: &Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let stranger = |pattern: &Pattern, user: &str| {
        let aor = Aor::new(user, domain);
        (pattern.is_only(&aor) && !directory.exists(&aor)).then_some(aor)
    };
    let user = policy.presentity.get_ref().trim_start_matches("sip:");
    let user = user.split('@').next().unwrap_or_default();
    if let People::Named(pattern) = presentity
        && let Some(aor) = stranger(pattern, user)
    {
        let what = format!("the presentity {aor} of policy {number} does not exist");
        notes.push(complainer.note(&policy.presentity.span(), &what));
    }
    if let WatcherCondition::People(People::Named(pattern)) = watcher
        && let Some(aor) = stranger(pattern, policy.watcher.get_ref())
    {
        let what = format!("the watcher {aor} of policy {number} does not exist");
        notes.push(complainer.note(&policy.watcher.span(), &what));
    }
}

/// `same-domain watches *: allow, privacy 2`
fn text(policy: &schema::Policy) -> String {
    let mut text = format!(
        "{} watches {}",
        policy.watcher.get_ref(),
        policy.presentity.get_ref()
    );
    if let Some(package) = &policy.package {
        text.extend([" (", package.get_ref(), ")"]);
    }
    text.push_str(match policy.handling {
        HandlingKind::Allow => ": allow",
        HandlingKind::PoliteBlock => ": polite-block",
        HandlingKind::Confirm => ": confirm",
        HandlingKind::Block => ": block",
    });
    if let Some(privacy) = &policy.privacy {
        text.push_str(&format!(", privacy {}", privacy.get_ref()));
    }
    text
}

fn package(name: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<Package> {
    let package = Package::from_token(name.get_ref().as_bytes());
    if package.is_none() {
        let known = Package::ALL.map(Package::token);
        let remedy = match nearest(name.get_ref(), &known) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("valid packages: {}", known.join(", ")),
        };
        let what = format!("\"{}\" is not an event package", name.get_ref());
        complainer.add(name.span(), what, remedy);
    }
    package
}

/// A handling as the domain knows it.
pub(super) const fn handling(kind: HandlingKind) -> Handling {
    match kind {
        HandlingKind::Allow => Handling::Allow,
        HandlingKind::PoliteBlock => Handling::PoliteBlock,
        HandlingKind::Confirm => Handling::Confirm,
        HandlingKind::Block => Handling::Block,
    }
}

/// A level of privacy as the domain knows it (W:B3.12).
pub(super) fn privacy(level: &Spanned<u8>, complainer: &mut Complainer<'_>) -> Privacy {
    match level.get_ref() {
        0 => Privacy::StateOnly,
        1 => Privacy::AnonymousParty,
        2 => Privacy::Party,
        3 => Privacy::Pickup,
        other => {
            let remedy = "choose 0 (state only), 1 (an anonymous party), 2 (the party), or 3 (the party, and pickup)";
            complainer.add(level.span(), format!("privacy is {other}"), remedy);
            Privacy::StateOnly
        }
    }
}
