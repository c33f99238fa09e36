//! Lists: shown, made, edited, deleted. Subscribed phones are told at once. What is edited here
//! lasts until the configuration is read again or the process ends.

use crate::directory::Directory;
use crate::directory::lists::ListFault;
use crate::directory::lists::StoredList;
use crate::http::Site;
use crate::http::answer::table::Table;
use crate::http::answer::table::visible;
use crate::http::control;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::engine::Engine;
use crate::presence::Aor;
use crate::presence::event::list::ListStyle;
use crate::presence::event::list::Resolved;
use crate::presence::event::list::RosterKind;

/// Octets of a list's user.
const USER_OCTETS_MAX: usize = 256;

/// Whether a page is one of these commands.
pub(super) fn is_command(path: &str) -> bool {
    let name = path.strip_prefix("/list/");
    name.is_some_and(|name| ["add", "create", "delete", "remove"].contains(&name))
}

/// `GET /list?list=`: one list with its members, or all that are stored.
pub(super) fn show(query: &str, directory: &Directory) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["list"])?;
    if form.long("list").is_none() {
        return Ok(all(directory));
    }
    let aor = form.address("list", directory)?;
    let no_list = || ListFault::NoList(aor.clone());
    let resolved = directory.list(&aor).ok_or_else(no_list)?;
    let mut text = heading(&aor, &resolved);
    // Of a list in a list its name stands there; of one that is there by itself, everybody.
    let stored = directory.stored_list(&aor).ok();
    let members = stored.map_or(&resolved.members, |stored| &stored.members);
    if members.is_empty() {
        return Ok(text);
    }
    text.push('\n');
    let mut table = Table::new(&["AT", "MEMBER", "NAME"]);
    for (place, member) in (1_usize..).zip(members) {
        let name = match &member.aor {
            Some(aor) if directory.is_list(aor) => "(a list)",
            Some(aor) => directory.name_of(aor),
            None => &member.name,
        };
        table.add([place.to_string(), member.uri.to_string(), name.to_owned()]);
    }
    table.write(None, &mut text);
    Ok(text)
}

/// `POST /list/...`
pub(super) async fn act<E: Engine>(
    path: &str,
    query: &str,
    body: &[u8],
    site: &Site<E>,
) -> Result<String, Refusal> {
    let fields: &[&'static str] = match path {
        "/list/create" => &["list", "name", "style", "members"],
        "/list/add" => &["list", "member", "at"],
        "/list/remove" => &["list", "member"],
        _ => &["list"],
    };
    let form = Form::parse(query, body, fields)?;
    let edit = |directory: &Directory| {
        let aor = form.address("list", directory)?;
        Ok(match path {
            "/list/create" => create(&form, &aor, directory)?,
            "/list/add" => directory.with_member(&aor, form.required("member")?, place(&form)?)?,
            "/list/remove" => directory.without_member(&aor, form.required("member")?)?,
            _ => directory.without_list(&aor)?,
        })
    };
    let edited = control::edit(site, edit).await?;
    let aor = form.address("list", &edited)?;
    Ok(match edited.list(&aor) {
        Some(list) => heading(&aor, &list),
        None => visible(&format!("{aor} is deleted")) + "\n",
    })
}

/// `team@abc.com "The team", rfc, 3 members`
pub(super) fn heading(aor: &Aor, list: &Resolved) -> String {
    let members = match list.members.len() {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    let name = match &*list.name {
        "" => aor.user(),
        name => name,
    };
    let mut text = visible(&format!(
        "{aor} \"{name}\", {}, {members}",
        word(list.style)
    ));
    for roster in &list.rosters {
        text.push_str(match roster.kind {
            RosterKind::AnyDn => ", and whoever else is there",
            RosterKind::Parked => ", and every orbit while a call is parked in it",
        });
    }
    text.push('\n');
    text
}

fn all(directory: &Directory) -> String {
    let lists = directory.stored_lists();
    if lists.is_empty() {
        return "No list is stored.\n".to_owned();
    }
    let mut table = Table::new(&["LIST", "NAME", "STYLE", "MEMBERS", "OWNER"]);
    for (aor, list) in lists {
        let owner = list.owner.as_ref().map_or("-", Aor::as_str).to_owned();
        table.add([
            aor.to_string(),
            list.name.as_deref().unwrap_or("-").to_owned(),
            word(list.style).to_owned(),
            list.members.len().to_string(),
            owner,
        ]);
    }
    let mut text = String::new();
    table.write(None, &mut text);
    text
}

fn create(form: &Form, aor: &Aor, directory: &Directory) -> Result<Directory, Refusal> {
    if directory.stored_list(aor).is_ok() {
        return Err(Refusal::ListExists(aor.clone()));
    }
    if aor.user().len() > USER_OCTETS_MAX {
        return Err(Refusal::TooLong("list", USER_OCTETS_MAX));
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

/// The place from 0 of a place from 1.
fn place(form: &Form) -> Result<Option<usize>, Refusal> {
    match form.number("at")? {
        Some(0) => Err(Refusal::Senseless("at counts from 1")),
        at => Ok(at.map(|at| at as usize - 1)),
    }
}

fn style(form: &Form) -> Result<ListStyle, Refusal> {
    match form.optional("style")? {
        None => Ok(ListStyle::default()),
        Some(text) => [ListStyle::Rfc, ListStyle::Broadworks]
            .into_iter()
            .find(|style| word(*style) == text)
            .ok_or_else(|| Refusal::NoWord {
                field: "style",
                words: "rfc, broadworks".to_owned(),
            }),
    }
}

const fn word(style: ListStyle) -> &'static str {
    match style {
        ListStyle::Rfc => "rfc",
        ListStyle::Broadworks => "broadworks",
    }
}
