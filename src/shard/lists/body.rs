//! One NOTIFY of a list subscription: which resources it tells of, and how that is written (W:B5.3-
//! B5.10).
//!
//! First a selection, which costs nothing on the wire and may turn out empty; then the writing,
//! which takes back the marks of what it wrote. What does not fit stays marked for the next NOTIFY.

use std::ops::Range;

use crate::presence::document;
use crate::presence::document::Format;
use crate::presence::document::View;
use crate::presence::document::multipart;
use crate::presence::document::multipart::ContentId;
use crate::presence::document::rlmi;
use crate::presence::document::rlmi::Instance;
use crate::presence::document::rlmi::InstanceState;
use crate::presence::list::ListStyle;
use crate::presence::policy::Handling;
use crate::presence::subscription::Termination;
use crate::shard::Shard;
use crate::shard::bodies::Bodies;
use crate::shard::bodies::Body;
use crate::shard::lists::Encoding;
use crate::shard::lists::state::Resource;
use crate::shard::lists::state::Standing;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::table::SubscriptionId;

/// Octets of a list body on UDP, so that the whole NOTIFY fits the path (W:A6.3); one resource is
/// always told, however long.
const UDP_OCTETS: usize = 800;
/// Octets of a list body on a stream, and of any list body that is to say all there is: less than a
/// datagram can hold (W:A6.4).
const BODY_OCTETS_MAX: usize = 60_000;
/// Octets around the URI and the name of a resource in the RLMI.
const LISTED_OCTETS: usize = 50;
/// Octets of the RLMI besides its resources, and of the last boundary.
const LIST_OCTETS: usize = 400;
/// Octets around a part and of its resource in the RLMI, besides its URI and name.
const PART_OCTETS: usize = 260;

/// What of a list the NOTIFY at hand tells.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The RLMI lists every resource.
    is_full: bool,
    /// Places whose resources it can list; those behind them follow, for a datagram holds no more.
    listed: usize,
    /// Resources whose instance it tells, in order.
    parts: Vec<Part>,
    /// Octets its body will have, or a few more.
    octets: usize,
}

#[derive(Debug)]
struct Part {
    place: usize,
    /// None when the instance has no state to show.
    body: Option<Body>,
}

/// A body of a list subscription, written.
#[derive(Debug)]
pub(crate) struct ListBody {
    pub(crate) octets: Range<usize>,
    pub(crate) format: Format,
    /// RLMI around it.
    pub(crate) is_multipart: bool,
}

impl Selection {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_full && self.parts.is_empty()
    }

    /// Octets its body will have, or a few more.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }
}

impl Shard {
    /// Chooses what the next NOTIFY of a list subscription tells.
    pub(crate) fn select_resources(&mut self, id: SubscriptionId, out: &mut Outbox) {
        let selection = &mut self.notifier.selection;
        selection.parts.clear();
        selection.is_full = false;
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        let Some(entry) = self.table.dialogs.get(subscription.dialog.0 as usize) else {
            return;
        };
        let terms = subscription.terms.as_ref();
        let dialog = terms.and_then(|terms| terms.dialog.as_deref());
        let Subject::List(list) = &mut subscription.subject else {
            return;
        };
        let is_last = matches!(subscription.phase, Phase::Ending(_));
        let is_consolidated = list.style == ListStyle::Broadworks;
        if is_consolidated && list.is_marked() && !list.is_unfinished {
            list.mark_all();
        }
        selection.is_full = list.encoding == Encoding::Rlmi && list.owes_full;
        selection.listed = list.resources.len();
        let profile = &entry.profile;
        let is_reliable = self.table.ways.of(entry.way).flow.transport.is_reliable();
        let octets_max = if is_last || is_consolidated || is_reliable {
            BODY_OCTETS_MAX
        } else {
            let octets = profile.list_octets;
            octets.map_or(UDP_OCTETS, |octets| octets as usize)
        };
        let resources_max = match list.encoding {
            Encoding::Series => 1,
            Encoding::Rlmi if is_last => usize::MAX,
            Encoding::Rlmi => profile.list_resources.map_or(usize::MAX, usize::from),
        };
        let mut octets = 0;
        if selection.is_full {
            for (place, resource) in list.resources.iter().enumerate() {
                if resource.standing != Standing::Gone {
                    octets += resource.uri.len() + resource.name.len() + LISTED_OCTETS;
                }
                if octets > BODY_OCTETS_MAX && !is_reliable {
                    selection.listed = place;
                    break;
                }
            }
        }
        for (place, resource) in list.resources.iter_mut().enumerate() {
            if resource.standing == Standing::Leaving && selection.is_full {
                resource.standing = Standing::Gone;
                resource.is_listed = false;
                resource.is_marked = false;
            }
            let is_behind = place >= selection.listed;
            if resource.standing == Standing::Gone || !resource.is_marked || is_behind {
                continue;
            }
            let view = View {
                privacy: resource.decision.privacy,
                ..subscription.view
            };
            let watched = resource
                .post
                .and_then(|post| self.table.watched.get(post.watched.0 as usize));
            // A rule about the list itself is one about all of it.
            let handling = resource
                .decision
                .handling
                .min(subscription.decision.handling);
            let body = match (resource.standing, handling, watched) {
                (Standing::Live, Handling::Allow, Some(watched)) => {
                    watched.composed.as_deref().map(|composed| match dialog {
                        Some(dialog) => {
                            Bodies::of_dialog(&watched.aor, composed, dialog, view, out)
                        }
                        None => {
                            let revision = watched.revision;
                            self.bodies.of(&watched.aor, revision, composed, view, out)
                        }
                    })
                }
                // In a series there is no other way to say that somebody may not be seen any more.
                (Standing::Live, handling, Some(watched))
                    if handling == Handling::PoliteBlock || list.encoding == Encoding::Series =>
                {
                    let style = self.directory.style_of(&watched.aor);
                    Some(self.bodies.of_blank(&watched.aor, style, view, out))
                }
                _ => None,
            };
            if body.is_none() && list.encoding == Encoding::Series {
                resource.is_marked = false;
                continue;
            }
            let hash = shown_as(resource, body.as_ref());
            if resource.shown == hash && !selection.is_full {
                resource.is_marked = false;
                continue;
            }
            let part = PART_OCTETS
                + 2 * resource.uri.len()
                + resource.name.len()
                + body.as_ref().map_or(0, |body| body.octets.len());
            let is_first = selection.parts.is_empty() && !selection.is_full;
            if selection.parts.len() >= resources_max || (octets + part > octets_max && !is_first) {
                continue;
            }
            octets += part;
            selection.parts.push(Part { place, body });
        }
        selection.octets = octets + LIST_OCTETS;
    }

    /// Writes what was selected.
    pub(crate) fn write_resources(
        &mut self,
        id: SubscriptionId,
        out: &mut Outbox,
    ) -> Option<ListBody> {
        let selection = &mut self.notifier.selection;
        let subscription = self.table.subscriptions.get_mut(id.0 as usize)?;
        let version = subscription.version;
        let view = subscription.view;
        let entry = self.table.dialogs.get(subscription.dialog.0 as usize)?;
        let is_for_linphone = subscription.is_linphone_list(&entry.profile);
        let Subject::List(list) = &mut subscription.subject else {
            return None;
        };
        let begin_part = if is_for_linphone {
            begin_bare_part
        } else {
            begin_part
        };
        // It has the names of its own list, and crashes when it cannot find whom to give one to.
        let is_named = !(is_for_linphone && list.is_of_body);
        let arena = &mut out.arena;
        let start = arena.len();
        let is_multipart = list.encoding == Encoding::Rlmi;
        if is_multipart {
            let uri = &subscription.names.entity;
            begin_part(arena, ContentId::ROOT, rlmi::CONTENT_TYPE);
            rlmi::begin(arena, uri, version, selection.is_full);
            let mut chosen = selection.parts.iter().peekable();
            for (place, resource) in list.resources.iter_mut().enumerate() {
                let part = chosen.next_if(|part| part.place == place);
                let is_listed = selection.is_full
                    && place < selection.listed
                    && resource.standing != Standing::Gone;
                if part.is_none() && !is_listed {
                    continue;
                }
                resource.is_listed = true;
                let has_part = |part: &Part| part.body.is_some();
                let instance = part.map(|part| Instance {
                    id: resource.number,
                    state: instance_state(resource.standing, resource.decision.handling),
                    content_id: has_part(part).then_some(ContentId(resource.number)),
                });
                let name = is_named.then_some(&*resource.name);
                rlmi::write_resource(arena, resource.uri.as_bytes(), name, instance);
            }
            rlmi::end(arena);
            multipart::end_part(arena);
        }
        for part in &selection.parts {
            let resource = &mut list.resources[part.place];
            if let Some(body) = &part.body {
                let view = View {
                    privacy: resource.decision.privacy,
                    ..view
                };
                let own = if is_multipart {
                    resource.version
                } else {
                    version
                };
                if is_multipart {
                    let id = ContentId(resource.number);
                    begin_part(arena, id, view.format.content_type());
                }
                document::write_prolog(arena, view, own, resource.uri.as_bytes());
                arena.extend_from_within(body.octets.clone());
                if is_multipart {
                    multipart::end_part(arena);
                }
                resource.version += 1;
            }
            resource.shown = shown_as(resource, part.body.as_ref());
            resource.is_marked = false;
            if resource.standing == Standing::Leaving {
                resource.standing = Standing::Gone;
                resource.is_listed = false;
            }
        }
        if is_multipart {
            multipart::end(arena);
        }
        list.owes_full = false;
        list.is_unfinished = list.is_marked();
        Some(ListBody {
            octets: start..arena.len(),
            format: view.format,
            is_multipart,
        })
    }
}

fn begin_part(arena: &mut Vec<u8>, content_id: ContentId, content_type: &str) {
    multipart::begin_part(arena, Some(content_id), content_type);
}

/// What [`Resource::shown`] is when that is told. The hash of a body is odd, an instance without one
/// has an even number for each state.
fn shown_as(resource: &Resource, body: Option<&Body>) -> u64 {
    body.map_or_else(
        || match instance_state(resource.standing, resource.decision.handling) {
            InstanceState::Active => 2,
            InstanceState::Pending => 4,
            InstanceState::Terminated(Termination::Rejected) => 6,
            InstanceState::Terminated(_) => 8,
        },
        |body| body.hash,
    )
}

fn begin_bare_part(arena: &mut Vec<u8>, content_id: ContentId, content_type: &str) {
    multipart::begin_bare_part(arena, content_id, content_type);
}

fn instance_state(standing: Standing, handling: Handling) -> InstanceState {
    match (standing, handling) {
        (Standing::Leaving | Standing::Gone | Standing::Unknown, _) => {
            InstanceState::Terminated(Termination::NoResource)
        }
        (Standing::Live, Handling::Block) => InstanceState::Terminated(Termination::Rejected),
        (Standing::Live, Handling::Confirm) => InstanceState::Pending,
        (Standing::Live, Handling::PoliteBlock | Handling::Allow) => InstanceState::Active,
    }
}
