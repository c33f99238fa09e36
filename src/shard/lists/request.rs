//! What a SUBSCRIBE says about lists: the one it names, or the one in its body (RFC 4662 §4, RFC
//! 5367; W:B5.1-B5.2, B5.14).

use std::sync::Arc;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::document::DocumentFault;
use crate::presence::document::resource_lists;
use crate::presence::list::ListStyle;
use crate::presence::list::MEMBERS_MAX;
use crate::presence::list::Member;
use crate::presence::list::Resolved;
use crate::presence::profile::Profile;
use crate::presence::subscription::Package;
use crate::shard::Shard;
use crate::shard::checks::address_of_record;
use crate::shard::checks::any_address_of_record;
use crate::shard::checks::check_encoding;
use crate::shard::checks::content_type;
use crate::shard::checks::decoded_body;
use crate::shard::checks::has_token;
use crate::shard::checks::is_body_optional;
use crate::shard::directory::Directory;
use crate::shard::lists::Encoding;
use crate::shard::lists::ListPlan;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::table::Subject;
use crate::shard::table::SubscriptionId;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;

/// Whether the request wants the list in its body served, or nothing (RFC 5367 §4).
pub(crate) fn requires_list(message: &Message<'_>) -> bool {
    has_token(message, HeaderName::Require, b"recipient-list-subscribe")
}

impl Shard {
    /// The list in the body of a SUBSCRIBE; None when there is none. No package of these takes
    /// another body: filters are answered as a type we do not know (W:B6.3).
    pub(crate) fn read_list<'d>(
        &self,
        message: &Message<'_>,
        directory: &Directory,
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
            DocumentFault::TooLarge => Refusal::Because(Status::FORBIDDEN, "Too Many Resources"),
            _ => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
        })?;
        let mut members: Vec<Member> = Vec::new();
        for entry in &entries {
            let aor = address_of_record(entry.uri.as_bytes(), directory);
            let nested = aor.as_ref().and_then(|aor| directory.list(aor));
            // A list that fills by itself is served by its own name alone, to who may (W:D4.9).
            let fills_itself = nested
                .as_ref()
                .is_some_and(|nested| !nested.rosters.is_empty());
            match nested {
                Some(nested) if !fills_itself => members.extend(nested.members.iter().cloned()),
                _ => {
                    let uri = entry.uri.clone();
                    let aor = aor.filter(|_| !fills_itself);
                    let anybody = any_address_of_record(uri.as_bytes(), directory);
                    let name = match (&entry.display, &anybody) {
                        (Some(name), _) => name.clone(),
                        (None, Some(aor)) => directory.name_of(aor).into(),
                        (None, None) => uri.clone(),
                    };
                    members.push(Member { uri, aor, name });
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        members.retain(|member| {
            let key = member.aor.as_ref().map_or(&*member.uri, Aor::as_str);
            seen.insert(key.to_owned())
        });
        if members.len() > MEMBERS_MAX {
            return Err(Refusal::Because(Status::FORBIDDEN, "Too Many Resources"));
        }
        Ok(Some(Arc::new(Resolved {
            name: "".into(),
            style: ListStyle::Rfc,
            members,
            rosters: Vec::new(),
        })))
    }

    /// Whether the subscription is to a list, and how it will be told.
    pub(crate) fn plan_list<'d>(
        &self,
        message: &Message<'_>,
        aor: &Aor,
        package: Package,
        profile: &Profile,
        of_body: Option<&Arc<Resolved>>,
        directory: &Directory,
    ) -> Result<Option<ListPlan>, Refusal<'d>> {
        let knows_lists = profile.assumes_eventlist
            || has_token(message, HeaderName::Supported, b"eventlist")
            || has_token(message, HeaderName::Require, b"eventlist");
        if let Some(list) = of_body {
            return Ok(Some(ListPlan {
                encoding: Encoding::Rlmi,
                resolved: Arc::clone(list),
                is_of_body: true,
            }));
        }
        let Some(resolved) = directory.list(aor) else {
            return Ok(None);
        };
        if !matches!(package, Package::Dialog | Package::Presence) {
            // The list is there, but not for this package (W:B5.18).
            return Err(Refusal::BadEvent);
        }
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

    /// A SUBSCRIBE with another list in its body replaces the one before; one without keeps it
    /// (W:B5.14). Whether it did.
    pub(crate) fn replace_list(
        &mut self,
        id: SubscriptionId,
        list: Option<&Arc<Resolved>>,
        directory: &Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let is_replaceable = self.table.subscription(id).is_some_and(
            |subscription| matches!(&subscription.subject, Subject::List(list) if list.is_of_body),
        );
        match list {
            Some(resolved) if is_replaceable => {
                self.refill(id, resolved, directory, now, out);
                true
            }
            _ => false,
        }
    }
}
