//! The list that a SUBSCRIBE addresses or contains (RFC 5367).

use std::collections::HashSet;
use std::sync::Arc;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::document::resource_lists::Entry;
use crate::presence::document::{DocumentFault, resource_lists};
use crate::presence::event::Package;
use crate::presence::event::list::{Member, Resolved};
use crate::presence::profile::Profile;
use crate::shard::contract::turn::Turn;
use crate::shard::list::plan::ListPlan;
use crate::shard::list::state::Encoding;
use crate::shard::request::headers::{
    address_of_record, any_address_of_record, check_encoding, content_type, decoded_body,
    has_token, is_body_optional,
};
use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Message, Status};

/// The expanded entries of a request-contained list, without duplicates and limited to
/// [`MEMBERS_MAX`].
#[derive(Default)]
struct Gathered {
    members: Vec<Member>,
    /// Members and lists by their address of record, others by their URI.
    seen: HashSet<Box<str>>,
}

impl Gathered {
    /// Adds the members of a local list, unless it was added before.
    fn add_list<'d>(&mut self, list: &Aor, nested: &Resolved) -> Result<(), Refusal<'d>> {
        if self.seen.insert(list.as_str().into()) {
            for member in &nested.members {
                self.add(member.clone())?;
            }
        }
        Ok(())
    }

    /// Adds a member that is not there yet.
    fn add<'d>(&mut self, member: Member) -> Result<(), Refusal<'d>> {
        let key = member.aor.as_ref().map_or(&*member.uri, Aor::as_str);
        if !self.seen.insert(key.into()) {
            return Ok(());
        }
        if self.members.len() == MEMBERS_MAX {
            return Err(TOO_MANY);
        }
        self.members.push(member);
        Ok(())
    }
}

/// Maximum number of resources of a request-contained list, nested lists expanded. Any client may
/// send one (RFC 4662 §4.4).
const MEMBERS_MAX: usize = 1_000;

const TOO_MANY: Refusal<'static> = Refusal::Because(Status::FORBIDDEN, "Too Many Resources");

/// A list member for an entry that is not a local list. Display name: that of the entry, otherwise
/// that of the user.
fn member_of(entry: &Entry, aor: Option<Aor>, directory: &Directory) -> Member {
    let uri = entry.uri.clone();
    let anybody = any_address_of_record(uri.as_bytes(), directory);
    let name = match (&entry.display, &anybody) {
        (Some(name), _) => name.clone(),
        (None, Some(aor)) => directory.name_of(aor).into(),
        (None, None) => uri.clone(),
    };
    Member { uri, aor, name }
}

/// Whether the request requires `recipient-list-subscribe` (RFC 5367 §4).
pub(crate) fn requires_list(message: &Message<'_>) -> bool {
    has_token(message, HeaderName::Require, b"recipient-list-subscribe")
}

/// The list in the body of a SUBSCRIBE; None when there is none. These packages accept no other
/// body; filters (RFC 4660, RFC 4661) get 415.
pub(crate) fn read_list<'d>(
    message: &Message<'_>,
    turn: &Turn<'d>,
) -> Result<Option<Arc<Resolved>>, Refusal<'d>> {
    if message.body().is_empty() {
        return Ok(None);
    }
    if content_type(message) != resource_lists::CONTENT_TYPE {
        if is_body_optional(message) {
            return Ok(None);
        }
        check_encoding(message)?;
        return Err(Refusal::MediaType(resource_lists::CONTENT_TYPE));
    }
    let body = decoded_body(message)?;
    let entries = resource_lists::parse(&body).map_err(|fault| match fault {
        DocumentFault::TooLarge => TOO_MANY,
        _ => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
    })?;
    let mut gathered = Gathered::default();
    for entry in &entries {
        let aor = address_of_record(entry.uri.as_bytes(), turn.directory);
        let nested = aor.as_ref().and_then(|aor| turn.directory.list(aor));
        // A roster list can only be subscribed to directly, by permitted watchers; it is not
        // expanded here (W:D4.9).
        let fills_itself = nested
            .as_ref()
            .is_some_and(|nested| !nested.rosters.is_empty());
        match (&aor, nested) {
            (Some(list), Some(nested)) if !fills_itself => {
                gathered.add_list(list, &nested)?;
            }
            _ => {
                let aor = aor.filter(|_| !fills_itself);
                gathered.add(member_of(entry, aor, turn.directory))?;
            }
        }
    }
    Ok(Some(Arc::new(Resolved {
        members: gathered.members,
        ..Resolved::default()
    })))
}

/// The plan for the list in the body of a SUBSCRIBE (RFC 5367).
pub(crate) fn plan_enclosed_list<'d>(
    list: &Arc<Resolved>,
    package: Package,
) -> Result<ListPlan, Refusal<'d>> {
    if !package.is_for_lists() {
        return Err(Refusal::BadListEvent);
    }
    Ok(ListPlan {
        encoding: Encoding::Rlmi,
        resolved: Arc::clone(list),
        is_of_body: true,
    })
}

/// The plan for the configured list at `aor`; None if there is none.
pub(crate) fn plan_list<'d>(
    message: &Message<'_>,
    aor: &Aor,
    package: Package,
    profile: &Profile,
    turn: &Turn<'d>,
) -> Result<Option<ListPlan>, Refusal<'d>> {
    let Some(resolved) = turn.directory.list(aor) else {
        return Ok(None);
    };
    if !package.is_for_lists() {
        // The list exists, but the package does not support lists (RFC 4826 §4).
        return Err(Refusal::BadListEvent);
    }
    let knows_lists = profile.assumes_eventlist
        || has_token(message, HeaderName::Supported, b"eventlist")
        || has_token(message, HeaderName::Require, b"eventlist");
    let encoding = if knows_lists {
        Encoding::Rlmi
    } else if resolved.rosters.is_empty() {
        return Err(Refusal::ListRequired);
    } else {
        Encoding::Series
    };
    Ok(Some(ListPlan {
        encoding,
        resolved,
        is_of_body: false,
    }))
}
