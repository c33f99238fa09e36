//! Resource lists (W:B5, D4): stored lists of the operator, and built-in lists.
//!
//! | address | members |
//! |---|---|
//! | `sip:<list>@domain` | as stored; lists of the same domain among them are expanded |
//! | `sip:<group>@domain` | the members of the group |
//! | `sip:orbits@domain` | all park orbits of the domain |
//! | `sip:parked@domain` | the orbits in which a call is parked |
//! | `sip:any-dn@domain` | all accounts, and every other presentity with state |
//!
//! An account hides a built-in list of the same name. A list is resolved at its first use, once for
//! all shards, and again after an edit to any list of its domain.

mod unfold;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use thiserror::Error;

use crate::directory::lists::unfold::Unfolding;
use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::event::list::{MEMBERS_MAX, Member, Resolved};

pub use crate::presence::event::list::StoredList;
use crate::sip::Uri;
use crate::sip::uri::{Scheme, sip_uri};

/// The user part of the list of the whole domain (W:D4.2).
pub const ANY_DN: &str = "any-dn";

/// The user part of the list of all park orbits.
pub const ORBITS: &str = "orbits";

/// The user part of the list of park orbits with a parked call.
pub const PARKED: &str = "parked";

/// Maximum nesting depth of lists, including the outermost (RFC 4662 §4.4). Above it:
/// [`ListFault::TooDeep`].
pub const DEPTH_MAX: usize = 4;

/// Why a list is invalid, or an edit of it fails.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListFault {
    /// The text is not a member URI.
    #[error("\"{0}\" is not the SIP URI of a user")]
    NoMember(Box<str>),
    /// The domain is not served here.
    #[error("there is no domain \"{0}\"")]
    NoDomain(Box<str>),
    /// The address belongs to an account, an orbit, a resource or a group.
    #[error("the address {0} belongs to {1}")]
    Taken(Aor, &'static str),
    /// There is no stored list with that address.
    #[error("there is no list {0}")]
    NoList(Aor),
    /// The list has that member already.
    #[error("{0} is already a member")]
    AlreadyMember(Box<str>),
    /// The list does not have that member.
    #[error("{0} is not a member")]
    NotMember(Box<str>),
    /// It has too many members, including those of nested lists.
    #[error("the list {0} has more than {MEMBERS_MAX} members")]
    TooManyMembers(Aor),
    /// It contains itself, directly or through other lists: the path to it, with the repeated list
    /// at both ends.
    #[error("lists contain each other: {}", .0.join(" -> "))]
    Cycle(Vec<Box<str>>),
    /// Lists are nested too deeply: the path.
    #[error("lists are nested more than {DEPTH_MAX} deep: {}", .0.join(" -> "))]
    TooDeep(Vec<Box<str>>),
    /// It contains `any-dn`: a watcher of a list must not see the whole domain through it.
    #[error("the list {0} contains any-dn, which cannot be a member of another list")]
    AnyDnWithin(Aor),
}

/// The lists of one domain, by user.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    by_user: HashMap<Arc<str>, List>,
    /// The lists of each owner.
    by_owner: HashMap<Aor, Vec<Arc<str>>>,
}

/// A list and its members.
#[derive(Clone, Debug)]
struct List {
    definition: Definition,
    /// The resolved members, once the list was used.
    resolved: OnceLock<Arc<Resolved>>,
}

/// The source of the members.
#[derive(Clone, Debug)]
enum Definition {
    Stored(Arc<StoredList>),
    Group(Arc<[Member]>),
    Orbits,
    Parked,
    AnyDn,
}

impl From<Definition> for List {
    fn from(definition: Definition) -> Self {
        Self {
            definition,
            resolved: OnceLock::new(),
        }
    }
}

impl Lists {
    /// The built-in lists of a domain.
    pub(super) fn new(domain: &Domain) -> Self {
        let mut by_user = HashMap::new();
        by_user.insert(ANY_DN.into(), Definition::AnyDn.into());
        if !domain.orbits.is_empty() {
            by_user.insert(ORBITS.into(), Definition::Orbits.into());
            by_user.insert(PARKED.into(), Definition::Parked.into());
        }
        Self {
            by_user,
            by_owner: HashMap::new(),
        }
    }

    fn stored(&self, user: &str) -> Option<&Arc<StoredList>> {
        match &self.by_user.get(user)?.definition {
            Definition::Stored(list) => Some(list),
            _ => None,
        }
    }

    /// Adds or replaces a stored list; None removes it. All stored lists are resolved again,
    /// because they may contain it.
    fn set(&mut self, user: &str, list: Option<StoredList>) {
        let user: Arc<str> = user.into();
        if let Some(owner) = self.stored(&user).and_then(|old| old.owner.as_ref()) {
            let owner = owner.clone();
            if let Some(owned) = self.by_owner.get_mut(&owner) {
                owned.retain(|other| *other != user);
            }
        }
        for other in self.by_user.values_mut() {
            if matches!(other.definition, Definition::Stored(_)) {
                other.resolved = OnceLock::new();
            }
        }
        let Some(list) = list else {
            self.by_user.remove(&user);
            return;
        };
        if let Some(owner) = &list.owner {
            self.by_owner
                .entry(owner.clone())
                .or_default()
                .push(Arc::clone(&user));
        }
        self.by_user
            .insert(user, Definition::Stored(Arc::new(list)).into());
    }
}

/// Building lists.
impl Directory {
    /// Parses a member: `sip:user@host`, `user@host`, or `user` of `domain` (the domain's own
    /// name).
    ///
    /// # Errors
    /// [`ListFault::NoMember`]
    pub fn member(&self, text: &str, domain: &str) -> Result<Member, ListFault> {
        let fault = || ListFault::NoMember(text.into());
        let text = text.trim();
        let full = match (text.contains(':'), text.contains('@')) {
            (true, _) => text.to_owned(),
            (false, true) => format!("sip:{text}"),
            (false, false) => sip_uri(text, domain),
        };
        let uri = Uri::parse(full.as_bytes()).map_err(|_| fault())?;
        let (mut user, mut host) = (String::new(), String::new());
        uri.write_host(&mut host);
        if uri.scheme != Scheme::Sip || !uri.write_user(&mut user) || user.is_empty() {
            return Err(fault());
        }
        let aor = self
            .domain(&host)
            .map(|domain| Aor::new(&user, &domain.name));
        Ok(Member {
            uri: sip_uri(&user, &host).into(),
            aor,
            name: user.into(),
        })
    }

    /// Adds a group to a domain: a set of users for policies, and a list. Has no effect if the
    /// domain does not exist.
    pub fn add_group(&mut self, name: &str, domain: &str, members: Vec<Member>) {
        let Some(index) = self.domains_by_name.get(domain).copied() else {
            return;
        };
        if let Some(tenant) = self.tenant_mut(domain) {
            tenant.groups.add(name, members.iter().map(Member::address));
        }
        if let Some(lists) = self.lists.get_mut(index) {
            Arc::make_mut(lists)
                .by_user
                .insert(name.into(), Definition::Group(members.into()).into());
        }
    }

    /// Adds or replaces a list of a domain. Once all lists are added, each must pass
    /// [`Directory::check_list`].
    ///
    /// # Errors
    /// The address is already in use, the domain is not served here, or there are too many members.
    pub fn add_list(&mut self, aor: &Aor, mut list: StoredList) -> Result<(), ListFault> {
        let no_domain = || ListFault::NoDomain(aor.domain().into());
        let index = *self
            .domains_by_name
            .get(aor.domain())
            .ok_or_else(no_domain)?;
        if let Some(owner) = self.owner_of_address(aor) {
            return Err(ListFault::Taken(aor.clone(), owner));
        }
        let mut seen = HashSet::new();
        list.members.retain(|member| seen.insert(member.address()));
        if list.members.len() > MEMBERS_MAX {
            return Err(ListFault::TooManyMembers(aor.clone()));
        }
        if let Some(lists) = self.lists.get_mut(index) {
            Arc::make_mut(lists).set(aor.user(), Some(list));
        }
        Ok(())
    }

    /// Checks that a list can be expanded.
    ///
    /// # Errors
    /// There is a cycle, lists are nested too deeply, or there are too many members.
    pub fn check_list(&self, aor: &Aor) -> Result<(), ListFault> {
        Unfolding::new(self, aor).unfold(aor.user()).map(drop)
    }

    /// What an address belongs to, unless it is free or a stored list.
    fn owner_of_address(&self, aor: &Aor) -> Option<&'static str> {
        let domain = self.domain(aor.domain())?;
        if self.account(aor.as_str()).is_some() {
            return Some("an account");
        }
        if domain.is_orbit(aor.user()) {
            return Some("an orbit");
        }
        if domain.is_resource(aor.user()) {
            return Some("a resource");
        }
        if [ANY_DN, ORBITS, PARKED].contains(&aor.user()) {
            return Some("a built-in list");
        }
        let is_group = self
            .lists_of(aor)
            .and_then(|lists| lists.by_user.get(aor.user()))
            .is_some_and(|list| matches!(list.definition, Definition::Group(_)));
        is_group.then_some("a group")
    }
}

/// Edits to the lists of the active directory. Each edit returns a new directory.
impl Directory {
    /// Returns this directory with a list added or replaced.
    ///
    /// # Errors
    /// Those of [`Directory::add_list`] and [`Directory::check_list`], for this list and for those
    /// that contain it.
    pub fn with_list(&self, aor: &Aor, list: StoredList) -> Result<Self, ListFault> {
        let mut new = self.clone();
        new.note_edit(aor, self);
        new.add_list(aor, list)?;
        new.check_list(aor)?;
        let lists = new.lists_of(aor).into_iter();
        let mut others: Vec<&str> = lists
            .flat_map(|lists| &lists.by_user)
            .filter(|(_, other)| matches!(other.definition, Definition::Stored(_)))
            .map(|(user, _)| &**user)
            .collect();
        others.sort_unstable();
        for user in others {
            new.check_list(&Aor::new(user, aor.domain()))?;
        }
        Ok(new)
    }

    /// Returns this directory without a stored list.
    ///
    /// # Errors
    /// [`ListFault::NoList`]
    pub fn without_list(&self, aor: &Aor) -> Result<Self, ListFault> {
        self.stored_list(aor)?;
        let mut new = self.clone();
        new.note_edit(aor, self);
        if let Some(index) = self.domains_by_name.get(aor.domain())
            && let Some(lists) = new.lists.get_mut(*index)
        {
            Arc::make_mut(lists).set(aor.user(), None);
        }
        // One that is not in the configuration either leaves nothing to keep.
        if new.edited_lists.get(aor) == Some(&0) {
            Arc::make_mut(&mut new.edited_lists).remove(aor);
        }
        Ok(new)
    }

    /// Returns this directory with a member added to a list at `position`, from 0; at the end if
    /// `position` is None or too high.
    ///
    /// # Errors
    /// Those of [`Directory::member`] and [`Directory::with_list`]; [`ListFault::NoList`],
    /// [`ListFault::AlreadyMember`].
    pub fn with_member(
        &self,
        aor: &Aor,
        uri: &str,
        position: Option<usize>,
    ) -> Result<Self, ListFault> {
        let mut list = self.stored_list(aor)?.clone();
        let member = self.member(uri, aor.domain())?;
        if list.members.iter().any(|other| other.is_same(&member)) {
            return Err(ListFault::AlreadyMember(member.uri));
        }
        let end = list.members.len();
        list.members
            .insert(position.unwrap_or(end).min(end), member);
        self.with_list(aor, list)
    }

    /// Returns this directory with a member removed from a list.
    ///
    /// # Errors
    /// Those of [`Directory::member`]; [`ListFault::NoList`], [`ListFault::NotMember`].
    pub fn without_member(&self, aor: &Aor, uri: &str) -> Result<Self, ListFault> {
        let mut list = self.stored_list(aor)?.clone();
        let member = self.member(uri, aor.domain())?;
        let before = list.members.len();
        list.members.retain(|other| !other.is_same(&member));
        if list.members.len() == before {
            return Err(ListFault::NotMember(member.uri));
        }
        self.with_list(aor, list)
    }

    /// A list as stored.
    ///
    /// # Errors
    /// [`ListFault::NoList`]
    pub fn stored_list(&self, aor: &Aor) -> Result<&StoredList, ListFault> {
        self.lists_of(aor)
            .and_then(|lists| lists.stored(aor.user()))
            .map(|list| &**list)
            .ok_or_else(|| ListFault::NoList(aor.clone()))
    }
}

/// Reading lists.
impl Directory {
    /// The resolved list with that address; None if it is not a list. The value is shared until an
    /// edit replaces it.
    #[must_use]
    pub fn list(&self, aor: &Aor) -> Option<Arc<Resolved>> {
        let (user, list) = self.find_list(aor)?;
        let resolve = || Arc::new(self.resolve(user, list, aor.domain()));
        Some(Arc::clone(list.resolved.get_or_init(resolve)))
    }

    /// The members of a group of a domain, by its own name, in the order of the configuration; None if there
    /// is no such group.
    #[must_use]
    pub fn group(&self, domain: &str, name: &str) -> Option<&[Member]> {
        let lists = self.lists_of(&Aor::new(name, domain))?;
        match &lists.by_user.get(name)?.definition {
            Definition::Group(members) => Some(members),
            _ => None,
        }
    }

    /// All stored lists, ordered by domain and user.
    #[must_use]
    pub fn stored_lists(&self) -> Vec<(Aor, &StoredList)> {
        let mut all = Vec::new();
        for (domain, lists) in self.domains.iter().zip(&self.lists) {
            let stored = lists.by_user.keys().filter_map(|user| {
                let list = lists.stored(user)?;
                Some((Aor::new(user, &domain.name), &**list))
            });
            all.extend(stored);
        }
        all.sort_by_cached_key(|(aor, _)| (aor.domain().to_owned(), aor.user().to_owned()));
        all
    }

    /// Returns whether an address is a list.
    #[must_use]
    pub fn is_list(&self, aor: &Aor) -> bool {
        self.find_list(aor).is_some()
    }

    /// The resolved lists that an address of record owns.
    pub(super) fn lists_owned_by(&self, owner: &Aor) -> impl Iterator<Item = Arc<Resolved>> {
        let lists = self.lists_of(owner);
        let users = lists.and_then(|lists| lists.by_owner.get(owner));
        users
            .into_iter()
            .flatten()
            .filter_map(|user| self.list(&Aor::new(user, owner.domain())))
    }

    fn lists_of(&self, aor: &Aor) -> Option<&Lists> {
        let index = *self.domains_by_name.get(aor.domain())?;
        self.lists.get(index).map(|lists| &**lists)
    }

    /// A list, and the user under which it is stored.
    fn find_list(&self, aor: &Aor) -> Option<(&str, &List)> {
        // A hyphen copied from formatted text may be U+2010 (W:D4.2).
        let user = match aor.user() {
            "any\u{2010}dn" => ANY_DN,
            user => user,
        };
        let (user, list) = self.lists_of(aor)?.by_user.get_key_value(user)?;
        let is_built_in = !matches!(list.definition, Definition::Stored(_));
        let is_hidden = is_built_in && self.account(aor.as_str()).is_some();
        (!is_hidden).then_some((user, list))
    }
}

impl Member {
    /// The member's address of record, of any domain.
    fn address(&self) -> Aor {
        let of_uri = || Aor::from_key(self.uri.strip_prefix("sip:").unwrap_or(&self.uri));
        self.aor
            .clone()
            .or_else(of_uri)
            .unwrap_or_else(|| Aor::new(&self.uri, ""))
    }

    /// Returns whether both members have the same address, however it is written (W:E3.24).
    fn is_same(&self, other: &Self) -> bool {
        match (&self.aor, &other.aor) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.uri == other.uri,
            _ => false,
        }
    }
}
