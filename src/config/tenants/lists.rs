//! The check of groups and lists.

use std::collections::HashSet;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::schema::{Config, StyleKind};
use crate::config::tenants::names::Names;
use crate::config::text::{is_user, user_remedy};
use crate::directory::Directory;
use crate::directory::lists::{ANY_DN, ListFault, ORBITS, PARKED, StoredList};
use crate::presence::Aor;
use crate::presence::event::list::{ListStyle, MEMBERS_MAX, Member};

/// Adds the groups of a file.
pub(super) fn add_groups(
    config: &Config,
    names: &Names,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
) {
    let mut taken = HashSet::new();
    for group in &config.group {
        if names.waits(&group.domain, complainer) {
            continue;
        }
        let name = group.name.get_ref();
        let what = format!("the group \"{name}\"");
        let domain = names.domain(&group.domain, &what, complainer);
        check_user(&group.name, complainer);
        if [ANY_DN, ORBITS, PARKED].contains(&name.as_str()) {
            let what = format!("{what} has the name of a built-in list");
            complainer.add(group.name.span(), what, "choose another name");
        }
        if group.members.len() > MEMBERS_MAX {
            let what = format!("{what} has more than {MEMBERS_MAX} members");
            complainer.add(group.name.span(), what, "split it in two");
        }
        let Some(domain) = domain else { continue };
        if !taken.insert((domain.clone(), name)) {
            let what = format!("{what} of {domain} is defined twice");
            complainer.add(group.name.span(), what, "remove one of the two");
        }
        let members = members(&group.members, &domain, directory, complainer);
        directory.add_group(name, &domain, members);
    }
}

/// Adds the lists of a file.
pub(super) fn add_lists(
    config: &Config,
    names: &Names,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
) {
    let mut added = Vec::new();
    let mut taken = HashSet::new();
    for list in &config.list {
        let user = list.user.get_ref();
        let what = format!("the list \"{user}\"");
        let domain = names.domain(&list.domain, &what, complainer);
        check_user(&list.user, complainer);
        let Some(domain) = domain else { continue };
        let aor = Aor::new(user, &domain);
        if !taken.insert(aor.clone()) {
            let what = format!("the list {aor} is defined twice");
            complainer.add(list.user.span(), what, "remove one of the two");
            continue;
        }
        let stored = stored(list, &domain, directory, complainer);
        match directory.add_list(&aor, stored) {
            Ok(()) => added.push((aor, &list.user)),
            Err(fault) => complain(&list.user, &fault, complainer),
        }
    }
    let mut reported = HashSet::new();
    for (aor, place) in added {
        if let Err(fault) = directory.check_list(&aor)
            && is_news(&fault, aor.user(), &mut reported)
        {
            complain(place, &fault, complainer);
        }
    }
}

/// Notes members of groups and lists that do not exist, which is probably a mistake.
pub(super) fn note_strangers(
    config: &Config,
    names: &Names,
    directory: &Directory,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let groups = config
        .group
        .iter()
        .map(|group| (&group.name, &group.domain, &group.members));
    let lists = config
        .list
        .iter()
        .map(|list| (&list.user, &list.domain, &list.members));
    for (name, domain, members) in groups.chain(lists) {
        let Some(domain) = names.known(domain.get_ref()) else {
            continue;
        };
        let strangers: Vec<&str> = members
            .iter()
            .filter(|text| {
                directory
                    .member(text.get_ref(), domain)
                    .ok()
                    .and_then(|member| member.aor)
                    .is_some_and(|aor| !directory.exists(&aor))
            })
            .map(|text| text.get_ref().as_str())
            .collect();
        // The API's callers are not the readers of the log.
        if let Some(first) = strangers.first()
            && !complainer.is_managed(&name.span())
        {
            let what = format!(
                "\"{}\" has {} members that do not exist, the first is \"{first}\"",
                name.get_ref(),
                strangers.len()
            );
            notes.push(complainer.note(&name.span(), &what));
        }
    }
}

fn stored(
    list: &schema::List,
    domain: &str,
    directory: &Directory,
    complainer: &mut Complainer<'_>,
) -> StoredList {
    let style = match list.style {
        StyleKind::Rfc => ListStyle::Rfc,
        StyleKind::Broadworks => ListStyle::Broadworks,
    };
    let owner = list
        .owner
        .as_ref()
        .and_then(|owner| member(owner, domain, directory, complainer))
        .and_then(|owner| owner.aor);
    if let Some(place) = &list.owner
        && owner.as_ref().is_none_or(|owner| owner.domain() != domain)
    {
        let what = format!(
            "the owner \"{}\" is not a user of {domain}",
            place.get_ref()
        );
        complainer.add(
            place.span(),
            what,
            "a list and its owner must be in the same domain",
        );
    }
    StoredList {
        name: list
            .name
            .as_ref()
            .map(|name| name.get_ref().as_str().into()),
        style,
        owner,
        members: members(&list.members, domain, directory, complainer),
    }
}

fn members(
    texts: &[Spanned<String>],
    domain: &str,
    directory: &Directory,
    complainer: &mut Complainer<'_>,
) -> Vec<Member> {
    texts
        .iter()
        .filter_map(|text| member(text, domain, directory, complainer))
        .collect()
}

fn member(
    text: &Spanned<String>,
    domain: &str,
    directory: &Directory,
    complainer: &mut Complainer<'_>,
) -> Option<Member> {
    directory
        .member(text.get_ref(), domain)
        .inspect_err(|fault| complain(text, fault, complainer))
        .ok()
}

fn check_user(user: &Spanned<String>, complainer: &mut Complainer<'_>) {
    if !is_user(user.get_ref()) {
        let what = format!("{:?} is not a valid user", user.get_ref());
        complainer.add(user.span(), what, user_remedy(user.get_ref()));
    }
}

fn complain(place: &Spanned<String>, fault: &ListFault, complainer: &mut Complainer<'_>) {
    let remedy = match fault {
        ListFault::NoMember(_) => "write \"sip:100@abc.com\" or \"100\"",
        ListFault::Taken(..) => "choose another user for the list",
        ListFault::TooManyMembers(_) => "split it in two",
        ListFault::Cycle(_) => "remove one of these memberships",
        ListFault::TooDeep(_) => "list the members directly instead",
        ListFault::AnyDnWithin(_) => {
            "remove it; the key any_dn of the domain says who may subscribe to it"
        }
        ListFault::NoDomain(_)
        | ListFault::NoList(_)
        | ListFault::AlreadyMember(_)
        | ListFault::NotMember(_) => "correct it",
    };
    complainer.add(place.span(), fault.to_string(), remedy);
}

/// Whether a fault is to be reported. A cycle is reported once, for the first of its lists; a list
/// that only refers to a list in a cycle is not reported.
fn is_news(fault: &ListFault, user: &str, reported: &mut HashSet<Vec<Box<str>>>) -> bool {
    let ListFault::Cycle(way) = fault else {
        return true;
    };
    let mut lists = way.clone();
    if lists.pop().as_deref() != Some(user) {
        return false;
    }
    lists.sort_unstable();
    reported.insert(lists)
}
