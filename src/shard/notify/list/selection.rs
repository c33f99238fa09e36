//! Selects the resources for the next NOTIFY of a list: all if they fit, otherwise as many as fit,
//! in the order of the list; the NOTIFY after it continues behind the last of them.
//!
//! A selected resource is rendered at once, because only its octets show whether it fits. Selecting
//! does not change the list: the NOTIFY may not be sent after all.

use std::ops::Range;

use crate::directory::Directory;
use crate::presence::call::SpecificDialog;
use crate::presence::document;
use crate::presence::document::multipart::ContentId;
use crate::presence::document::rlmi::{Instance, InstanceState};
use crate::presence::document::{View, multipart, rlmi};
use crate::presence::event::Termination;
use crate::presence::event::list::ListStyle;
use crate::presence::policy::Handling;
use crate::shard::contract::body::Body;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::outbox::Outbox;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::list::resource::{Leaver, Membership, ReportedResource, Resource};
use crate::shard::list::state::Encoding;
use crate::shard::notify::Notifier;
use crate::shard::notify::body_cache::BodyCache;
use crate::shard::notify::list::ListSubscription;
use crate::shard::notify::list::budget::Budget;
use crate::shard::subscription::table::Recipient;
use crate::shard::subscription::watched::WatchedPresentities;

/// What the next NOTIFY reports of a list.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Full state: contains every resource.
    pub(super) is_full: bool,
    /// The RLMI `resource` elements, concatenated.
    pub(super) elements: Vec<u8>,
    /// The MIME parts with the resource states; without RLMI, the single document.
    pub(super) parts: Vec<u8>,
    /// The selected resources.
    pub(super) chosen: Vec<Chosen>,
    /// Index of the first leaver that this NOTIFY does not report.
    pub(super) leavers_end: usize,
    /// The complete deflated body, if it fits only deflated.
    pub(super) deflated: Option<Range<usize>>,
    /// Length of the body without resources.
    envelope: usize,
    dialect: Dialect,
}

/// One resource that this NOTIFY reports.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) reported: ReportedResource,
    /// Where its octets begin.
    element: usize,
    part: usize,
}

/// How a list is written for one subscription.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialect {
    /// multipart/related with RLMI; otherwise a single document.
    pub(super) is_multipart: bool,
    /// Part headers in the form linphone can parse (W:G1).
    pub(super) is_for_linphone: bool,
    /// Linphone crashes on a name whose resource its address book does not have: then none is sent.
    is_named: bool,
}

impl Dialect {
    /// Begins a part.
    pub(super) fn begin_part(self, out: &mut Vec<u8>, id: ContentId, content_type: &str) {
        if self.is_for_linphone {
            multipart::begin_bare_part(out, id, content_type);
        } else {
            multipart::begin_part(out, Some(id), content_type);
        }
    }
}

impl Selection {
    /// Whether nothing is selected.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_full && self.chosen.is_empty() && self.leavers_end == 0
    }

    /// Octets its body will have, or one more.
    pub(crate) fn octets(&self) -> usize {
        let deflated = self.deflated.as_ref().map(ExactSizeIterator::len);
        deflated.unwrap_or(self.envelope + self.elements.len() + self.parts.len())
    }

    fn begin(&mut self, dialect: Dialect, is_full: bool) {
        self.is_full = is_full;
        self.dialect = dialect;
        self.elements.clear();
        self.parts.clear();
        self.chosen.clear();
        self.leavers_end = 0;
        self.deflated = None;
    }

    /// The encoding of this selection.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds the resource at `place` of the list.
    fn push(&mut self, place: usize, resource: &Resource, news: &News, arena: &[u8]) {
        let document = news.document.as_ref();
        let reported = ReportedResource {
            place,
            shown: news.shown,
            has_document: document.is_some(),
        };
        self.chosen.push(Chosen {
            reported,
            element: self.elements.len(),
            part: self.parts.len(),
        });
        let id = ContentId(resource.number());
        if self.dialect.is_multipart {
            let instance = Instance {
                id: resource.number(),
                state: instance_state(resource.membership(), resource.decision().handling),
                content_id: document.is_some().then_some(id),
            };
            self.write_resource(resource.uri(), resource.name(), instance);
        }
        let Some(document) = document else { return };
        let parts = &mut self.parts;
        if self.dialect.is_multipart {
            self.dialect
                .begin_part(parts, id, news.view.format.content_type());
        }
        document::write_prolog(parts, news.view, news.version, resource.uri().as_bytes());
        let octets = arena.get(document.octets.clone());
        let octets = octets.expected("a document lies in the outbox");
        parts.extend_from_slice(octets.unwrap_or_default());
        if self.dialect.is_multipart {
            multipart::end_part(parts);
        }
    }

    fn write_resource(&mut self, uri: &str, name: &str, instance: Instance) {
        let name = self.dialect.is_named.then_some(name);
        rlmi::write_resource(&mut self.elements, uri.as_bytes(), name, Some(instance));
    }

    /// Whether the budget is exceeded; a single resource is always allowed.
    fn is_over(&self, budget: Budget) -> bool {
        let resources = self.chosen.len();
        resources > 1 && (self.octets() > budget.inflated_octets || resources > budget.resources)
    }

    /// Removes the last selected resource.
    fn pop(&mut self) {
        if let Some(last) = self.chosen.pop() {
            self.elements.truncate(last.element);
            self.parts.truncate(last.part);
        }
    }

    /// Removes resources from the end until the rest fits, but never the first.
    fn shorten(&mut self, octets_max: usize) {
        while self.octets() > octets_max && self.chosen.len() > 1 {
            self.pop();
            self.is_full = false;
        }
    }

    /// Adds the ends of resources that left, as far as they fit.
    fn push_leavers(&mut self, leavers: &[Leaver], budget: Budget) {
        let mut resources = self.chosen.len();
        for (index, leaver) in leavers.iter().enumerate() {
            let end = self.elements.len();
            if !leaver.is_reported() {
                resources += 1;
                let state = InstanceState::Terminated(Termination::NoResource);
                let instance = Instance {
                    id: leaver.number(),
                    state,
                    content_id: None,
                };
                self.write_resource(leaver.uri(), leaver.name(), instance);
            }
            let is_over = self.octets() > budget.octets || resources > budget.resources;
            if is_over && resources > 1 {
                return self.elements.truncate(end);
            }
            self.leavers_end = index + 1;
        }
    }
}

/// What a NOTIFY reports of one resource.
struct News {
    view: View,
    /// The version of its document.
    version: u32,
    /// The shared part of its state, in the arena; None if it has no state to show.
    document: Option<Body>,
    /// What `ReportedResource::shown` becomes.
    shown: u64,
}

/// What of its resources a subscription may see.
struct Viewpoint<'a> {
    watched: &'a WatchedPresentities,
    bodies: &'a mut BodyCache,
    directory: &'a Directory,
    view: View,
    /// The handling of the list itself, which limits that of each resource.
    of_list: Handling,
    dialog: Option<&'a SpecificDialog>,
    is_multipart: bool,
    /// The version of the next document of the subscription itself.
    version: u32,
}

impl Viewpoint<'_> {
    /// What to report of a resource; None if the phone has that state already, or may not see it.
    /// Full state reports resources that left by omitting them.
    fn news_of(
        &mut self,
        resource: &mut Resource,
        is_full: bool,
        out: &mut Outbox,
    ) -> Option<News> {
        if !resource.take_due(is_full) {
            return None;
        }
        let document = self.state_of(resource, out);
        let is_nothing = document.is_none() && !self.is_multipart;
        let shown = shown_as(resource, document.as_ref());
        if is_nothing || resource.has_shown(shown) {
            resource.unmark();
            return None;
        }
        Some(News {
            view: self.view_of(resource),
            version: match self.is_multipart {
                true => resource.version(),
                false => self.version,
            },
            document,
            shown,
        })
    }

    fn view_of(&self, resource: &Resource) -> View {
        View {
            privacy: resource.decision().privacy,
            ..self.view
        }
    }

    /// The shared part of a resource's document; None if there is no state the watcher may see.
    fn state_of(&mut self, resource: &Resource, out: &mut Outbox) -> Option<Body> {
        // A resource that does not exist is not watched.
        let watched = self.watched.get(resource.slot()?.watched);
        let watched = watched.expected("a list watches its resources")?;
        if resource.membership() != Membership::Listed {
            return None;
        }
        let view = self.view_of(resource);
        match resource.decision().handling.min(self.of_list) {
            Handling::Allow => {
                // None until the owner has sent the state.
                let composed = watched.composed()?;
                let (aor, revision) = (watched.aor(), watched.revision());
                Some(match self.dialog {
                    Some(dialog) => BodyCache::of_dialog(aor, composed, dialog, view, out),
                    None => self.bodies.of(aor, revision, composed, view, out),
                })
            }
            // Without RLMI, a blank document is the only way to report that access was withdrawn.
            Handling::Block | Handling::Confirm if self.is_multipart => None,
            Handling::Block | Handling::Confirm | Handling::PoliteBlock => {
                let style = self.directory.style_of(watched.aor());
                Some(self.bodies.of_blank(watched.aor(), style, view, out))
            }
        }
    }
}

impl Notifier {
    /// Selects the resources for the next NOTIFY of a list subscription.
    pub(crate) fn select_resources(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        self.selection.begin(Dialect::default(), false);
        if let Some(list) = subscriptions.table_mut().list_mut(id)
            && list.style() == ListStyle::Broadworks
            && list.is_marked()
            && !list.is_unfinished()
        {
            list.restart_full_state();
        }
        if let Some(budget) = self.list_budget(id, subscriptions, turn) {
            self.select_within(id, budget, subscriptions, turn);
        }
    }

    /// Chooses as much as the budget allows.
    fn select_within(
        &mut self,
        id: SubscriptionId,
        budget: Budget,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let Some(dialect) = self.begin_envelope(id, subscriptions, turn) else {
            return;
        };
        let selection = &mut self.selection;
        let recipient = subscriptions.table_mut().recipient(id);
        let Some(recipient) = recipient.expected("a NOTIFY is of a subscription") else {
            return;
        };
        let Recipient {
            subscription,
            watched,
            ..
        } = recipient;
        let (of_list, version) = (subscription.decision().handling, subscription.version());
        let view = subscription.view();
        let list = subscription.list_and_dialog_mut();
        let Some((list, dialog)) = list.expected("resources are selected for a list") else {
            return;
        };
        list.forget_leavers();
        selection.begin(dialect, dialect.is_multipart && list.needs_full_state());
        let mut viewpoint = Viewpoint {
            watched,
            bodies: &mut self.bodies,
            directory: turn.directory,
            view,
            of_list,
            dialog,
            is_multipart: dialect.is_multipart,
            version,
        };
        let mut is_cut = false;
        for place in list.notify_order() {
            let resource = list.resource_mut(place);
            let Some(news) = viewpoint.news_of(resource, selection.is_full, turn.out) else {
                continue;
            };
            selection.push(place, resource, &news, &turn.out.arena);
            if selection.is_over(budget) {
                selection.pop();
                is_cut = true;
                break;
            }
        }
        selection.is_full &= !is_cut;
        if selection.is_full && selection.octets() > budget.octets {
            self.deflate_or_shorten(id, budget, subscriptions, turn);
        } else if !selection.is_full {
            let chosen = selection.chosen.len();
            selection.shorten(budget.octets);
            is_cut |= selection.chosen.len() < chosen;
            if !is_cut && list.is_full_state_pending() && !list.leavers().is_empty() {
                selection.push_leavers(list.leavers(), budget);
            }
        }
    }

    /// Determines the encoding and the length of the body without resources.
    fn begin_envelope(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Dialect> {
        let ListSubscription {
            subscription,
            dialog,
            list,
        } = ListSubscription::of(id, subscriptions.table())?;
        let is_for_linphone = subscription.is_linphone_list(dialog.profile());
        let dialect = Dialect {
            is_multipart: list.encoding() == Encoding::Rlmi,
            is_for_linphone,
            is_named: !(is_for_linphone && list.is_of_body()),
        };
        self.selection.dialect = dialect;
        let body = self.write_list_body(id, subscriptions, turn)?;
        self.selection.envelope = body.len();
        turn.out.arena.truncate(body.start);
        Some(dialect)
    }

    /// Full state that does not fit is deflated, if the phone accepts that; if it still does not
    /// fit, it takes several NOTIFYs.
    fn deflate_or_shorten(
        &mut self,
        id: SubscriptionId,
        budget: Budget,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        if budget.inflated_octets > budget.octets
            && let Some(body) = self.write_list_body(id, subscriptions, turn)
        {
            let is_deflated = self.deflater.deflate(&mut turn.out.arena, body.start);
            let deflated = body.start..turn.out.arena.len();
            if is_deflated && deflated.len() <= budget.octets {
                self.selection.deflated = Some(deflated);
                return;
            }
            turn.out.arena.truncate(body.start);
        }
        self.selection.shorten(budget.octets);
    }
}

/// The value for `Resource::shown`: the hash of the body, always odd; without a body, an even code
/// for the instance state.
fn shown_as(resource: &Resource, body: Option<&Body>) -> u64 {
    body.map_or_else(
        || match instance_state(resource.membership(), resource.decision().handling) {
            InstanceState::Active => 2,
            InstanceState::Pending => 4,
            InstanceState::Terminated(Termination::Rejected) => 6,
            InstanceState::Terminated(_) => 8,
        },
        |body| body.hash,
    )
}

fn instance_state(membership: Membership, handling: Handling) -> InstanceState {
    match (membership, handling) {
        (Membership::Leaving | Membership::Gone | Membership::Unknown, _) => {
            InstanceState::Terminated(Termination::NoResource)
        }
        (Membership::Listed, Handling::Block) => InstanceState::Terminated(Termination::Rejected),
        (Membership::Listed, Handling::Confirm) => InstanceState::Pending,
        (Membership::Listed, Handling::PoliteBlock | Handling::Allow) => InstanceState::Active,
    }
}
