//! Expansion of lists (RFC 4662 §4.4): nested lists become one flat set of members.

use std::collections::HashSet;

use crate::directory::Directory;
use crate::directory::lists::{DEPTH_MAX, Definition, List, ListFault};
use crate::presence::Aor;
use crate::presence::event::list::{MEMBERS_MAX, Member, Resolved, Roster, RosterKind};
use crate::sip::uri::sip_uri;

impl Directory {
    /// Resolves a list.
    pub(super) fn resolve(&self, user: &str, list: &List, domain: &str) -> Resolved {
        let roster = |kind| {
            vec![Roster {
                domain: domain.into(),
                kind,
            }]
        };
        match &list.definition {
            Definition::AnyDn => Resolved {
                members: self.accounts_of(domain),
                rosters: roster(RosterKind::AnyDn),
                ..Resolved::default()
            },
            Definition::Stored(stored) => {
                // Faults were reported when the list was stored.
                let unfolded = Unfolding::new(self, &Aor::new(user, domain)).unfold(user);
                Resolved {
                    name: stored.name.clone().unwrap_or_default(),
                    style: stored.style,
                    ..unfolded.unwrap_or_default()
                }
            }
            Definition::Group(_) | Definition::Orbits | Definition::Parked => {
                let unfolded = Unfolding::new(self, &Aor::new(user, domain)).unfold(user);
                unfolded.unwrap_or_default()
            }
        }
    }

    /// All accounts of a domain except its orbits, in natural order of their users.
    fn accounts_of(&self, domain: &str) -> Vec<Member> {
        let mut members: Vec<Member> = self
            .accounts
            .keys()
            .filter_map(|key| Aor::from_key(key))
            .filter(|aor| aor.domain() == domain && !self.is_orbit(aor))
            .map(|aor| self.local_member(aor))
            .collect();
        members.sort_by_cached_key(|member| natural_key(&member.uri));
        members
    }

    /// A local address of record as a member, with the canonical name of its domain.
    fn local_member(&self, aor: Aor) -> Member {
        Member {
            uri: sip_uri(aor.user(), aor.domain()).into(),
            name: self.name_of(&aor).into(),
            aor: Some(aor),
        }
    }
}

/// An expansion in progress. Lists are expanded depth first, in order.
pub(super) struct Unfolding<'d> {
    directory: &'d Directory,
    list: &'d Aor,
    seen: HashSet<Aor>,
    unfolded: Resolved,
    /// The lists being expanded, starting with the outermost.
    chain: Vec<&'d str>,
}

impl<'d> Unfolding<'d> {
    pub(super) fn new(directory: &'d Directory, list: &'d Aor) -> Self {
        Self {
            directory,
            list,
            seen: HashSet::new(),
            unfolded: Resolved::default(),
            chain: Vec::new(),
        }
    }

    /// Adds the members and rosters of the list of that user.
    pub(super) fn unfold(mut self, user: &'d str) -> Result<Resolved, ListFault> {
        self.descend(user)?;
        Ok(self.unfolded)
    }

    fn descend(&mut self, user: &'d str) -> Result<(), ListFault> {
        let directory = self.directory;
        let lists = directory.lists_of(self.list);
        // The list is absent if it is checked before it is added, or if the edit removes it.
        let Some(list) = lists.and_then(|lists| lists.by_user.get(user)) else {
            return Ok(());
        };
        self.enter(user)?;
        match &list.definition {
            Definition::Stored(stored) => {
                for member in &stored.members {
                    match self.nested(member) {
                        Some(nested) => self.descend(nested)?,
                        None => self.add(self.named(member))?,
                    }
                }
            }
            Definition::Group(members) => {
                for member in &**members {
                    self.add(self.named(member))?;
                }
            }
            Definition::Orbits => {
                let domain = directory.domain(self.list.domain());
                let ranges = domain.into_iter().flat_map(|domain| &domain.orbits);
                for user in ranges.flat_map(|range| range.users()) {
                    self.add(directory.local_member(Aor::new(&user, self.list.domain())))?;
                }
            }
            Definition::Parked => {
                let roster = Roster {
                    domain: self.list.domain().into(),
                    kind: RosterKind::Parked,
                };
                if !self.unfolded.rosters.contains(&roster) {
                    self.unfolded.rosters.push(roster);
                }
            }
            Definition::AnyDn if self.chain.len() > 1 => {
                return Err(ListFault::AnyDnWithin(self.list.clone()));
            }
            Definition::AnyDn => {}
        }
        self.chain.pop();
        Ok(())
    }

    fn enter(&mut self, user: &'d str) -> Result<(), ListFault> {
        let is_cycle = self.chain.contains(&user);
        self.chain.push(user);
        if is_cycle {
            return Err(ListFault::Cycle(self.way()));
        }
        if self.chain.len() > DEPTH_MAX {
            return Err(ListFault::TooDeep(self.way()));
        }
        Ok(())
    }

    /// The path of lists to the current one, to be reported with the fault.
    fn way(&self) -> Vec<Box<str>> {
        self.chain.iter().map(|user| (*user).into()).collect()
    }

    /// The list that a member names, if it is a list of the same domain. Lists of other tenants are
    /// not expanded.
    fn nested(&self, member: &'d Member) -> Option<&'d str> {
        let aor = member.aor.as_ref()?;
        (aor.domain() == self.list.domain())
            .then(|| self.directory.find_list(aor))
            .flatten()
            .map(|(user, _)| user)
    }

    /// The member with the display name of its account, if it has one.
    fn named(&self, member: &Member) -> Member {
        let name = match &member.aor {
            Some(aor) => self.directory.name_of(aor).into(),
            None => member.name.clone(),
        };
        Member {
            name,
            ..member.clone()
        }
    }

    /// Adds a member unless it is already in the list.
    fn add(&mut self, member: Member) -> Result<(), ListFault> {
        if !self.seen.insert(member.address()) {
            return Ok(());
        }
        if self.unfolded.members.len() == MEMBERS_MAX {
            return Err(ListFault::TooManyMembers(self.list.clone()));
        }
        self.unfolded.members.push(member);
        Ok(())
    }
}

/// A sort key for natural order: `9` before `10`.
fn natural_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + NUMBER_WIDTH);
    let mut rest = text;
    while !rest.is_empty() {
        let is_digit = |letter: char| letter.is_ascii_digit();
        let digits = rest.len() - rest.trim_start_matches(is_digit).len();
        let (number, behind) = rest.split_at(digits);
        if !number.is_empty() {
            key.push_str(&format!("{number:0>NUMBER_WIDTH$}"));
        }
        let word = behind.find(is_digit).unwrap_or(behind.len());
        key.push_str(&behind[..word]);
        rest = &behind[word..];
    }
    key
}

/// Digits are compared as one number.
const NUMBER_WIDTH: usize = 20;
