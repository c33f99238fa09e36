//! Lists: shown, created, edited, deleted. Subscribed phones are notified at once. An edit counts until
//! the configuration changes its list; without a store, until the process ends.

use std::sync::Arc;

use crate::directory::Directory;
use crate::directory::lists::{ListFault, StoredList};
use crate::http::control::edit::edit;
use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::list;
use crate::http::representation::list::{Deleted, Edited, Heading, List, Lists, Stored};
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::event::list::{ListStyle, Member};

/// Octets of a list's user.
pub(crate) const USER_OCTETS_MAX: usize = 256;

/// `GET /list`: one list with its members, or all that are stored.
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let directory = site.directory();
    if form.long("list").is_none() {
        return Ok(Box::new(all(&directory)));
    }
    let aor = form.address("list", &directory)?;
    let no_list = || ListFault::NoList(aor.clone());
    let resolved = directory.list(&aor).ok_or_else(no_list)?;
    // A stored list may have lists as members, shown by their names. A built-in list has the
    // members it resolves to.
    let stored = directory.stored_list(&aor).ok();
    let members = stored.map_or(&resolved.members, |stored| &stored.members);
    Ok(Box::new(List {
        heading: Heading::new(&aor, &resolved),
        members: members
            .iter()
            .map(|member| named(member, &directory))
            .collect(),
    }))
}

/// `POST /list/create`
pub(crate) async fn create<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    change(&form, site, created).await
}

/// `POST /list/add`
pub(crate) async fn add<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    change(&form, site, |form, aor, directory| {
        Ok(directory.with_member(aor, form.required("member")?, place(form)?)?)
    })
    .await
}

/// `POST /list/remove`
pub(crate) async fn remove<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    change(&form, site, |form, aor, directory| {
        Ok(directory.without_member(aor, form.required("member")?)?)
    })
    .await
}

/// `POST /list/delete`
pub(crate) async fn delete<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    change(&form, site, |_, aor, directory| {
        Ok(directory.without_list(aor)?)
    })
    .await
}

/// Applies the edit in the form.
async fn change<E: Engine>(
    form: &Form,
    site: &Site<E>,
    change: impl Fn(&Form, &Aor, &Directory) -> Result<Directory, ControlRefusal>,
) -> ControlResult {
    let aor = form.address("list", &site.directory())?;
    let edited = edit(site, &aor, |directory| change(form, &aor, directory));
    let edited: Arc<Directory> = edited.await?;
    Ok(match edited.list(&aor) {
        Some(list) => Box::new(Edited(Heading::new(&aor, &list))),
        None => Box::new(Deleted(aor)),
    })
}

fn all(directory: &Directory) -> Lists {
    let lists = directory.stored_lists().into_iter();
    let stored = lists.map(|(aor, list)| Stored {
        aor,
        name: list.name.clone(),
        style: list.style,
        members: list.members.len(),
        owner: list.owner.clone(),
    });
    Lists(stored.collect())
}

/// A member with the name to show for it.
fn named(member: &Member, directory: &Directory) -> list::Member {
    list::Member {
        uri: member.uri.clone(),
        name: match &member.aor {
            Some(aor) if directory.is_list(aor) => None,
            Some(aor) => Some(directory.name_of(aor).into()),
            None => Some(member.name.clone()),
        },
    }
}

fn created(form: &Form, aor: &Aor, directory: &Directory) -> Result<Directory, ControlRefusal> {
    if directory.stored_list(aor).is_ok() {
        return Err(ControlRefusal::ListExists(aor.clone()));
    }
    if aor.user().len() > USER_OCTETS_MAX {
        return Err(ControlRefusal::TooLong("list", USER_OCTETS_MAX));
    }
    let members = form.long("members").unwrap_or_default();
    let members = members
        .split_whitespace()
        .map(|member| directory.member(member, aor.domain()));
    let list = StoredList {
        name: form.optional("name")?.map(Into::into),
        style: style(form)?,
        owner: None,
        members: members.collect::<Result<_, _>>()?,
    };
    Ok(directory.with_list(aor, list)?)
}

/// Converts a 1-based position to 0-based.
fn place(form: &Form) -> Result<Option<usize>, ControlRefusal> {
    match form.number("at")? {
        Some(0) => Err(ControlRefusal::Senseless("at must be 1 or more")),
        at => Ok(at.map(|at| at as usize - 1)),
    }
}

fn style(form: &Form) -> Result<ListStyle, ControlRefusal> {
    match form.optional("style")? {
        None => Ok(ListStyle::default()),
        Some(_) => form.word("style", list::STYLES),
    }
}
