//! Names in the configuration: domains by any of their names, users, patterns, groups.

use std::collections::HashMap;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::Config;
use crate::config::suggestion::nearest;
use crate::config::text::{bare, canonical_domain, is_user};
use crate::directory::Directory;
use crate::directory::tokens::Token;
use crate::presence::policy::{Pattern, People, WatcherCondition};

/// The names that a configuration defines. They are read before anything is converted, because a table
/// may name what comes further down.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The own name of a domain by any of its names, all canonical.
    domains: HashMap<String, String>,
    /// Some domain name was invalid or could not be read, so unknown domains are not reported.
    is_incomplete: bool,
    /// Groups, each after the own name of its domain; whether the HTTP API keeps it.
    groups: HashMap<(String, String), bool>,
}

impl Names {
    /// The names of a configuration.
    pub(super) fn new(config: &Config, complainer: &Complainer<'_>) -> Self {
        let mut names = Self {
            is_incomplete: complainer.is_partial(),
            ..Self::default()
        };
        for domain in &config.domain {
            let Some(own) = canonical_domain(domain.name.get_ref()) else {
                names.is_incomplete = true;
                continue;
            };
            let aliases = domain.aliases.iter().map(|alias| alias.get_ref());
            let aliases = aliases.filter_map(|alias| canonical_domain(alias));
            for name in std::iter::once(own.clone()).chain(aliases) {
                names.domains.entry(name).or_insert_with(|| own.clone());
            }
        }
        for group in &config.group {
            if let Some(domain) = names.canonical(group.domain.get_ref()) {
                let is_managed = complainer.is_managed(&group.name.span());
                let group = (domain, group.name.get_ref().to_owned());
                names.groups.entry(group).or_insert(is_managed);
            }
        }
        names
    }

    /// The own name of a domain by any of its names, known or not; None if it is not a host name.
    fn canonical(&self, name: &str) -> Option<String> {
        let name = canonical_domain(name)?;
        Some(self.domains.get(&name).cloned().unwrap_or(name))
    }

    /// The own name of a configured domain.
    pub(super) fn known(&self, name: &str) -> Option<&str> {
        self.domains
            .get(&canonical_domain(name)?)
            .map(String::as_str)
    }

    /// Whether an entry that the HTTP API keeps waits for its domain: the operator's file has lost it.
    pub(super) fn waits(&self, domain: &Spanned<String>, complainer: &Complainer<'_>) -> bool {
        let is_known = self.known(domain.get_ref()).is_some() || self.is_incomplete;
        !is_known && complainer.is_managed(&domain.span())
    }

    /// Whether a text names a group of a domain. The operator's file knows its own groups only: another one
    /// must not change what a policy of the operator says.
    fn is_group(&self, text: &Spanned<String>, domain: &str, complainer: &Complainer<'_>) -> bool {
        let group = (domain.to_owned(), bare(text.get_ref()).to_owned());
        let is_managed = self.groups.get(&group);
        is_managed.is_some_and(|is_managed| !is_managed || complainer.is_managed(&text.span()))
    }

    /// The own name of a configured domain. Complains if there is none; `what` describes the
    /// referring entry in the message.
    pub(super) fn domain(
        &self,
        name: &Spanned<String>,
        what: &str,
        complainer: &mut Complainer<'_>,
    ) -> Option<String> {
        if let Some(own) = self.known(name.get_ref()) {
            return Some(own.to_owned());
        }
        if self.is_incomplete {
            return None;
        }
        let canonical = canonical_domain(name.get_ref()).unwrap_or_default();
        let mut known: Vec<&str> = self.domains.keys().map(String::as_str).collect();
        known.sort_unstable();
        let remedy = nearest(&canonical, &known).map_or_else(
            || "add a [[domain]] with that name".to_owned(),
            |meant| format!("did you mean \"{meant}\"?"),
        );
        let what = format!(
            "{what} is in the domain \"{}\", which does not exist",
            name.get_ref()
        );
        complainer.add(name.span(), what, remedy);
        None
    }

    /// Users of a configured domain: `*`, a group, a user, a pattern.
    pub(super) fn people(
        &self,
        text: &Spanned<String>,
        domain: &str,
        complainer: &mut Complainer<'_>,
    ) -> Option<People> {
        let bare = bare(text.get_ref());
        if bare == "*" {
            return Some(People::Everyone);
        }
        if self.is_group(text, domain, complainer) {
            return Some(People::Group(bare.into()));
        }
        let (user, host) = bare.rsplit_once('@').unwrap_or((bare, domain));
        if !is_user(user) || self.canonical(host).is_none_or(|host| host != domain) {
            complainer.add(
                text.span(),
                format!("\"{}\" is not a user of {domain}", text.get_ref()),
                "write a user (\"100\"), a prefix (\"7*\"), the name of a group, or \"*\"",
            );
            return None;
        }
        Some(People::Named(Pattern::new(user, domain)))
    }

    /// The watchers of a rule: a word, a group of the domain, a user of the domain, or an address
    /// of any domain. A user without an account that resembles a keyword is treated as a misspelt
    /// keyword.
    pub(super) fn watcher(
        &self,
        text: &Spanned<String>,
        domain: &str,
        directory: &Directory,
        complainer: &mut Complainer<'_>,
    ) -> Option<WatcherCondition> {
        let bare = bare(text.get_ref());
        if let Some((_, condition)) = WORDS.iter().find(|(word, _)| *word == bare) {
            return Some(condition.clone());
        }
        if self.is_group(text, domain, complainer) {
            return Some(WatcherCondition::People(People::Group(bare.into())));
        }
        if bare == "*" {
            return Some(WatcherCondition::People(People::Everyone));
        }
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        let is_account = directory.account(&format!("{bare}@{domain}")).is_some();
        let meant = meant(bare, &words).filter(|_| !is_account);
        let neighbour = || meant.is_none().then_some((bare, domain));
        let address = bare.rsplit_once('@').or_else(neighbour);
        let address = address.filter(|(user, _)| is_user(user));
        let named = address.and_then(|(user, host)| {
            let pattern = Pattern::new(user, &self.canonical(host)?);
            Some(WatcherCondition::People(People::Named(pattern)))
        });
        if named.is_none() {
            let remedy = match meant {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!(
                    "write a user, user@domain, *@domain, the name of a group, or one of: {}",
                    words.join(", ")
                ),
            };
            complainer.add(
                text.span(),
                format!("\"{}\" is not a watcher", text.get_ref()),
                remedy,
            );
        }
        named
    }
}

/// Checks the names of all tables of one kind, tokens or feeds.
pub(super) fn check_all<'c>(
    kind: &str,
    names: impl Iterator<Item = &'c Spanned<String>>,
    complainer: &mut Complainer<'_>,
) {
    let mut taken = HashMap::new();
    for spanned in names {
        let name = spanned.get_ref().as_str();
        if !Token::is_name(name) {
            let what = format!("{name:?} is not a valid name of a {kind}");
            let remedy = "use 1 to 64 lower-case letters, digits and hyphens";
            complainer.add(spanned.span(), what, remedy);
        } else if let Some(place) = taken.get(name) {
            let other = complainer.mention(place, &spanned.span());
            let what = format!("the {kind} \"{name}\" is defined twice ({other})");
            complainer.add(spanned.span(), what, "remove one of the two");
        }
        taken.insert(name, spanned.span());
    }
}

/// The words for watchers.
const WORDS: [(&str, WatcherCondition); 6] = [
    ("self", WatcherCondition::Myself),
    ("same-group", WatcherCondition::SameGroup),
    ("same-domain", WatcherCondition::SameDomain),
    ("listed", WatcherCondition::Listed),
    ("trusted", WatcherCondition::Trusted),
    ("anyone", WatcherCondition::People(People::Everyone)),
];

/// The word that was probably meant: a similar one, or one that begins like this.
fn meant<'a>(text: &str, words: &[&'a str]) -> Option<&'a str> {
    const LETTERS_MIN: usize = 4;
    let begins = |word: &&&str| text.len() >= LETTERS_MIN && word.starts_with(text);
    nearest(text, words).or_else(|| words.iter().find(begins).copied())
}
