//! Authorisation of watchers (W:B8, B3.12).
//!
//! The first operator policy that matches decides. If none matches, or if it says `confirm`, the
//! presentity's own rules decide: the most permissive of those that match. If none of these
//! matches, the default applies.
//!
//! The default: a user sees all of its own state; users of one domain see as much of each other's
//! calls as the domain allows; all other watchers see only that there is a call. Packages that are
//! private to the presentity ([`is_private`]) are for trusted peers and feeder accounts only,
//! unless a policy names the package.
//!
//! Watchers of other domains cannot be authenticated (`shard::request::sender`) unless a trusted peer
//! vouches for them. So a rule that allows one by name does not apply; a rule that blocks one does.
//!
//! Nothing here allocates.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::directory::{Directory, Tenant};
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::{
    DecidingRule, Decision, Handling, IdentityCondition, ImportedRule, People, Policy, Privacy,
    WatcherCondition, is_private,
};

/// The identity of a watcher, as far as it is known when the decision is made (RFC 3325).
#[derive(Clone, Copy, Debug)]
pub struct WatcherIdentity<'a> {
    /// The address of record, of any domain; None if unknown.
    pub aor: Option<&'a Aor>,
    /// Whether the request came from a trusted peer, which vouches for the identity.
    pub is_trusted_peer: bool,
    /// Whether the identity is authenticated or vouched for by a trusted peer.
    pub is_authenticated: bool,
}

/// The groups of a domain, indexed by group and by member.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    members_by_name: HashMap<Box<str>, HashSet<Aor>>,
    names_by_member: HashMap<Aor, Vec<Box<str>>>,
}

impl Groups {
    /// Adds a group.
    pub(super) fn add(&mut self, name: &str, members: impl Iterator<Item = Aor>) {
        // A group without members exists, too.
        let known = self.members_by_name.entry(name.into()).or_default();
        for member in members {
            if known.insert(member.clone()) {
                self.names_by_member
                    .entry(member)
                    .or_default()
                    .push(name.into());
            }
        }
    }

    /// All groups by name, each with its members in order.
    fn all(&self) -> Vec<(&str, Vec<&Aor>)> {
        let groups = self.members_by_name.iter().map(|(name, members)| {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable();
            (&**name, members)
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable();
        groups
    }

    fn is_member(&self, aor: &Aor, group: &str) -> bool {
        self.members_by_name
            .get(group)
            .is_some_and(|members| members.contains(aor))
    }

    fn share_one(&self, one: &Aor, other: &Aor) -> bool {
        self.names_by_member
            .get(one)
            .is_some_and(|groups| groups.iter().any(|group| self.is_member(other, group)))
    }
}

impl Directory {
    /// The groups of a domain by name, each with its members in order.
    #[must_use]
    pub fn groups_of(&self, domain: &str) -> Vec<(&str, Vec<&Aor>)> {
        let tenant = self.tenant(domain);
        tenant.map(|tenant| tenant.groups.all()).unwrap_or_default()
    }

    /// The groups of its domain that an address is in, in order.
    #[must_use]
    pub fn groups_with(&self, aor: &Aor) -> Vec<&str> {
        let tenant = self.tenant(aor.domain());
        let names = tenant.and_then(|tenant| tenant.groups.names_by_member.get(aor));
        let mut names: Vec<&str> = names.into_iter().flatten().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// The policies of a domain, in the order in which they are tried.
    #[must_use]
    pub fn policies_of(&self, domain: &str) -> &[Policy] {
        let tenant = self.tenant(domain);
        tenant.map_or(&[], |tenant| &tenant.policies)
    }

    /// Appends a policy to the policies of a domain. Has no effect if the domain does not exist.
    pub fn add_policy(&mut self, domain: &str, policy: Policy) {
        if let Some(tenant) = self.tenant_mut(domain) {
            tenant.policies.push(policy);
        }
    }

    /// Returns this directory with the own rules of a presentity replaced; an empty `rules` removes
    /// them.
    #[must_use]
    pub fn with_rules_document(&self, aor: &Aor, rules: Vec<ImportedRule>) -> Self {
        let mut documents = (*self.documents).clone();
        if rules.is_empty() {
            documents.remove(aor);
        } else {
            documents.insert(aor.clone(), rules.into());
        }
        Self {
            documents: Arc::new(documents),
            ..self.clone()
        }
    }

    /// Returns whether a presentity has own rules.
    #[must_use]
    pub fn has_rules_document(&self, aor: &Aor) -> bool {
        !self.documents.is_empty() && self.documents.contains_key(aor)
    }

    /// The next time after `at` when a rule becomes valid or invalid; both in seconds since 1970
    /// UTC.
    #[must_use]
    pub fn next_rule_change(&self, at: u64) -> Option<u64> {
        self.documents
            .values()
            .flat_map(|rules| rules.iter())
            .flat_map(|rule| [rule.valid_from, rule.valid_until])
            .flatten()
            .filter(|change| *change > at)
            .min()
    }

    /// The own rules of a presentity, in order; empty if it has none.
    #[must_use]
    pub fn rules_document(&self, aor: &Aor) -> &[ImportedRule] {
        self.documents.get(aor).map_or(&[], |rules| &**rules)
    }

    /// All presentities with own rules, in the order of their addresses.
    #[must_use]
    pub fn rules_documents_by_aor(&self) -> Vec<(Aor, &[ImportedRule])> {
        let documents = self.documents.iter();
        let mut all: Vec<_> = documents
            .map(|(aor, rules)| (aor.clone(), &**rules))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        all
    }

    /// The number of presentities with own rules.
    #[must_use]
    pub fn rules_documents(&self) -> usize {
        self.documents.len()
    }

    /// The decision on a watcher's subscription at the time `at`, in seconds since 1970 UTC.
    #[must_use]
    pub fn decide(
        &self,
        watcher: WatcherIdentity<'_>,
        presentity: &Aor,
        package: Package,
        at: u64,
    ) -> Decision {
        let case = Case {
            directory: self,
            tenant: self.tenant(presentity.domain()),
            watcher,
            presentity,
            package,
        };
        let by_default = self.default_decision(&case);
        let by_operator = case.by_policy(by_default);
        let base = by_operator.unwrap_or(by_default);
        if by_operator.is_some() && base.handling != Handling::Confirm {
            return base;
        }
        // `confirm` leaves the decision to the presentity's own rules.
        case.by_document(base, at).unwrap_or(base)
    }

    /// Returns whether a watcher may subscribe to the whole domain (W:D4.9).
    #[must_use]
    pub fn may_any_dn(&self, watcher: &Aor, domain: &str) -> bool {
        let may = |people: &People| {
            self.tenant(domain)
                .is_some_and(|tenant| tenant.names(people, watcher))
        };
        self.domain(domain)
            .filter(|domain| domain.name == watcher.domain())
            .is_some_and(|domain| domain.any_dn.iter().any(may))
    }

    /// Whether an address of record is one of the people of its domain.
    #[must_use]
    pub fn is_among(&self, aor: &Aor, people: &People) -> bool {
        let tenant = self.tenant(aor.domain());
        tenant.is_some_and(|tenant| tenant.names(people, aor))
    }

    /// The rule that [`Decision::rule`] of a decision about an address of that domain refers to.
    #[must_use]
    pub fn deciding_rule(&self, domain: &str, number: u16) -> DecidingRule {
        let mut policies = self.policies_of(domain).iter();
        match number {
            Decision::BY_DEFAULT => DecidingRule::Default,
            Decision::BY_DOCUMENT => DecidingRule::Document,
            _ => DecidingRule::Policy {
                number,
                text: policies
                    .find(|policy| policy.number == number)
                    .map(|policy| policy.text.clone()),
            },
        }
    }

    fn default_decision(&self, case: &Case<'_>) -> Decision {
        let rule = Decision::BY_DEFAULT;
        let decision = |handling, privacy| Decision {
            handling,
            privacy,
            rule,
        };
        let Some(domain) = self.domain(case.presentity.domain()) else {
            return decision(Handling::Allow, Privacy::StateOnly);
        };
        if case.is_self() {
            return decision(Handling::Allow, Privacy::Pickup);
        }
        if is_private(case.package) {
            let is_entitled = case.watcher.is_trusted_peer
                || self.is_feeder(case.watcher.aor, case.presentity.domain());
            return match is_entitled {
                true => decision(Handling::Allow, Privacy::Pickup),
                false => decision(Handling::Block, Privacy::StateOnly),
            };
        }
        let is_neighbour = case.is_same_domain();
        let privacy = match is_neighbour {
            true => domain.privacy,
            false => Privacy::StateOnly,
        };
        let handling = match is_neighbour {
            true => Handling::Allow,
            false => domain.default_handling,
        };
        decision(handling, privacy)
    }

    /// Returns whether the watcher is in a list that the presentity owns, or is named by one of the
    /// presentity's allow rules.
    fn is_listed(&self, watcher: &Aor, presentity: &Aor) -> bool {
        let is_named = |condition: &IdentityCondition| matches!(condition, IdentityCondition::One(aor) if aor == watcher);
        let allows_by_name = |rule: &ImportedRule| {
            rule.handling == Handling::Allow && rule.identities.iter().any(is_named)
        };
        self.documents
            .get(presentity)
            .is_some_and(|rules| rules.iter().any(allows_by_name))
            || self
                .lists_owned_by(presentity)
                .any(|list| list.members.iter().any(|member| member.is(watcher)))
    }
}

/// The arguments of one decision.
struct Case<'a> {
    directory: &'a Directory,
    tenant: Option<&'a Tenant>,
    watcher: WatcherIdentity<'a>,
    presentity: &'a Aor,
    package: Package,
}

impl Case<'_> {
    fn is_self(&self) -> bool {
        self.watcher.aor == Some(self.presentity)
    }

    fn is_same_domain(&self) -> bool {
        self.watcher
            .aor
            .is_some_and(|watcher| watcher.domain() == self.presentity.domain())
    }

    /// The decision of the first operator policy that matches.
    fn by_policy(&self, by_default: Decision) -> Option<Decision> {
        let tenant = self.tenant?;
        let policy = tenant
            .policies
            .iter()
            .find(|policy| self.is_about(policy, tenant))?;
        Some(Decision {
            handling: policy.handling,
            privacy: policy.privacy.unwrap_or(by_default.privacy),
            rule: policy.number,
        })
    }

    fn is_about(&self, policy: &Policy, tenant: &Tenant) -> bool {
        let is_package = match policy.package {
            Some(package) => package == self.package,
            None => !is_private(self.package),
        };
        is_package
            && tenant.names(&policy.presentity, self.presentity)
            && self.is_by(policy, tenant)
    }

    fn is_by(&self, policy: &Policy, tenant: &Tenant) -> bool {
        let condition = &policy.watcher;
        // An unauthenticated watcher gains nothing from its name, but can be blocked by it.
        let is_grant = policy.handling == Handling::Allow;
        let is_known = self.watcher.is_authenticated || !is_grant;
        let watcher = self.watcher.aor.filter(|_| is_known);
        if self.is_self() {
            // A policy that matches everyone does not lock a user out of its own state.
            return match condition {
                WatcherCondition::Myself => true,
                WatcherCondition::People(People::Named(pattern)) => {
                    pattern.is_only(self.presentity)
                }
                _ => false,
            };
        }
        match condition {
            WatcherCondition::Myself => false,
            WatcherCondition::SameGroup => {
                watcher.is_some_and(|watcher| tenant.groups.share_one(watcher, self.presentity))
            }
            WatcherCondition::SameDomain => self.is_same_domain(),
            WatcherCondition::Listed => {
                watcher.is_some_and(|watcher| self.directory.is_listed(watcher, self.presentity))
            }
            WatcherCondition::Trusted => self.watcher.is_trusted_peer,
            WatcherCondition::People(People::Everyone) => true,
            WatcherCondition::People(people) => {
                watcher.is_some_and(|watcher| tenant.names(people, watcher))
            }
        }
    }

    /// The union of the presentity's own rules that match (RFC 4745 §10): rules add permissions and
    /// never remove any.
    fn by_document(&self, base: Decision, at: u64) -> Option<Decision> {
        if self.is_self() || is_private(self.package) {
            return None;
        }
        let rules = self.directory.documents.get(self.presentity)?;
        let matching = || {
            rules
                .iter()
                .filter(|rule| rule.matches(self.watcher.aor, self.watcher.is_authenticated, at))
        };
        let handling = matching().map(|rule| rule.handling).max()?;
        let privacy = matching().filter_map(|rule| rule.privacy).max();
        Some(Decision {
            handling,
            privacy: privacy.unwrap_or(base.privacy),
            rule: Decision::BY_DOCUMENT,
        })
    }
}

impl Tenant {
    /// Returns whether a group or pattern includes an address of record.
    fn names(&self, people: &People, aor: &Aor) -> bool {
        match people {
            People::Everyone => true,
            People::Group(name) => self.groups.is_member(aor, name),
            People::Named(pattern) => pattern.matches(aor),
        }
    }
}
