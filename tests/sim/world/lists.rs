//! The judges of lists: each NOTIFY of a list when it leaves, and the state that phones show after
//! several NOTIFYs.

use super::World;
use super::watchers::StateHeader;
use crate::documents::{Shown, read};
use crate::invariants::SubscriptionState;
use crate::network::Micros;
use crate::phone::Dialog;
use crate::phone::agent::{Agent, PATH_OCTETS};
use crate::phone::lists::{Line, LineState};
use crate::realm::{DOMAIN, Handling, Realm, Unfolded, Watcher};
use crate::rlmi;
use crate::rlmi::{Instance, InstanceState};
use crate::sip_text::Text;
use std::collections::HashMap;

/// The state notified in a list subscription.
#[derive(Debug, Default)]
pub(super) struct ListRecord {
    /// The URIs of the last full list, in order.
    order: Vec<String>,
    reported_at: Micros,
    /// By the id of an instance: its resource, and the version of its next document.
    instances: HashMap<String, (String, u32)>,
    /// After a crash: the version that the next document of each resource must have at least. The
    /// instances are other ones.
    floors: HashMap<String, u32>,
}

impl ListRecord {
    /// The node crashed.
    pub(super) fn forget(&mut self) {
        for (uri, next) in self.instances.drain().map(|(_, instance)| instance) {
            let floor = self.floors.entry(uri).or_default();
            *floor = next.max(*floor);
        }
        self.order.clear();
    }
}

impl World {
    /// Judges a new NOTIFY of a list or of all users, in a subscription that policy has not ended.
    pub(super) fn judge_list_notify(
        &mut self,
        text: &Text<'_>,
        header: &StateHeader,
        content_type: &str,
        (watcher, target): (Watcher<'_>, &str),
        key: &str,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let handling = |realm: &Realm| realm.decide(watcher, target).handling;
        let is_active = matches!(header.state, SubscriptionState::Active { .. });
        let realms = &self.bench.realms;
        let mut admits = realms
            .during(from, now)
            .any(|realm| realm.admits(watcher, target) && handling(realm) != Handling::Confirm);
        if text.body.is_empty() {
            let hides = |realm: &Realm| {
                handling(realm) == Handling::Confirm || !realm.admits(watcher, target)
            };
            let is_hidden = realms.during(from, now).any(hides);
            let is_pending = header.is_pending || !is_active;
            // Without RLMI an empty list has nothing to notify.
            let is_without_list = !header.is_pending && admits && !self.requires_list(key);
            return match is_hidden && is_pending || is_without_list {
                true => Ok(()),
                false => Err(format!(
                    "{header:?} without a body for {watcher:?} {target}"
                )),
            };
        }
        admits &= !header.is_pending;
        if !admits {
            return Err(format!("{header:?} of {target} for {watcher:?}"));
        }
        if !content_type.starts_with("multipart/") {
            let notified = read(text.body)?;
            let user = Watcher::of(&notified.entity)
                .ok_or("a NOTIFY about an unknown user")?
                .user;
            return self.judge_line(watcher, target, user, &notified.shown, from);
        }
        let list = rlmi::read(content_type, text.body)?;
        if Watcher::of(list.uri).is_none_or(|uri| uri.user != target) {
            return Err(format!("the list {target} is reported as {}", list.uri));
        }
        if list.is_full && list.resources.iter().any(|it| it.instance.is_none()) {
            return Err(format!("full without the state of all: {list:?}"));
        }
        for resource in &list.resources {
            if let Some(instance) = &resource.instance {
                self.judge_instance(watcher, target, resource.uri, instance, from)?;
                self.judge_versions(key, resource.uri, instance)?;
            }
        }
        if !list.is_full {
            return Ok(());
        }
        let uris: Vec<&str> = list.resources.iter().map(|resource| resource.uri).collect();
        self.judge_members(target, &uris, true, from)?;
        let since = self.lists.get(key).map_or(now, |record| record.reported_at);
        let is_edited = self.bench.realms.changed(since.min(from), now);
        let record = self.lists.entry(key.to_owned()).or_default();
        record.reported_at = now;
        let before = std::mem::replace(
            &mut record.order,
            uris.iter().map(|uri| (*uri).to_owned()).collect(),
        );
        let stayed = before.iter().filter(|uri| uris.contains(&uri.as_str()));
        let kept = uris.iter().filter(|uri| before.iter().any(|it| it == *uri));
        if !is_edited && !stayed.map(String::as_str).eq(kept.copied()) {
            return Err(format!("the order was {before:?} and is {uris:?}"));
        }
        Ok(())
    }

    /// Judges whether its phone accepts a NOTIFY of a list: the number of resources and, for a
    /// partial one, whether the path carries it without fragmentation.
    pub(super) fn judge_list_size(
        &self,
        text: &Text<'_>,
        standing: &SubscriptionState,
        watcher: Watcher<'_>,
    ) -> Result<(), String> {
        let content_type = text.one("Content-Type").unwrap_or_default();
        let is_last = !matches!(standing, SubscriptionState::Active { .. });
        if is_last || !content_type.starts_with("multipart/") {
            return Ok(());
        }
        let list = rlmi::read(content_type, text.body)?;
        let agent = Agent::of(watcher.user);
        let is_datagram = text.one("Via").is_some_and(|via| via.contains("/UDP"));
        let is_datagram = is_datagram && agent != Agent::Few;
        let is_long = is_datagram && text.octets > PATH_OCTETS && !list.is_full;
        let is_right =
            list.resources.len() <= agent.resources_max() && !(is_long && list.resources.len() > 1);
        match is_right {
            true => Ok(()),
            false => Err(format!("{} octets of {agent:?}: {list:?}", text.octets)),
        }
    }

    /// Judges one resource's instance in a NOTIFY.
    fn judge_instance(
        &self,
        watcher: Watcher<'_>,
        target: &str,
        uri: &str,
        instance: &Instance<'_>,
        from: Micros,
    ) -> Result<(), String> {
        let resource = Watcher::of(uri).ok_or("a resource of no name")?;
        let standing = match (instance.state, instance.document) {
            (InstanceState::Active, Some(document)) => {
                let notified = read(document)?;
                if notified.entity != uri {
                    return Err(format!("{uri} is reported as {}", notified.entity));
                }
                LineState::Shown(notified.shown)
            }
            (InstanceState::Pending, None) => LineState::Pending,
            (InstanceState::Terminated(reason), None) => LineState::Terminated(reason.to_owned()),
            _ => return Err(format!("{uri}: {instance:?}")),
        };
        self.judge_line_state(watcher, target, resource, &standing, from)
    }

    /// Judges the state of a resource in a list.
    fn judge_line_state(
        &self,
        watcher: Watcher<'_>,
        target: &str,
        resource: Watcher<'_>,
        standing: &LineState,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let user = resource.user;
        let mut realms = self.bench.realms.during(from, now);
        let mut is_handled = |handling| {
            resource.domain == DOMAIN
                && realms.any(|realm| realm.decide(watcher, user).handling == handling)
        };
        let is_right = match standing {
            LineState::Shown(shown) if resource.domain == DOMAIN => {
                return self.judge_shown(watcher, Some(target), user, shown, from);
            }
            LineState::Unreported | LineState::Shown(_) => false,
            LineState::Pending => is_handled(Handling::Confirm),
            LineState::Terminated(reason) => match reason.as_str() {
                "rejected" => is_handled(Handling::Block),
                "noresource" if resource.domain == DOMAIN => {
                    let is_taken_off = |realm: &Realm| {
                        let unfolded = realm.unfold(target).unwrap_or_default();
                        unfolded.members.iter().all(|member| member != user)
                    };
                    // A list that is never notified in full cannot omit a resource.
                    let takes_all = Agent::of(watcher.user).takes_all();
                    self.may_be(user, false, from)
                        || !takes_all && self.bench.realms.during(from, now).any(is_taken_off)
                }
                "noresource" => true,
                _ => false,
            },
        };
        match is_right {
            true => Ok(()),
            false => Err(format!(
                "{watcher:?} is notified of {resource:?} {standing:?}"
            )),
        }
    }

    /// Returns whether a user may have had state, and may have had none, at some time since `from`.
    fn may_be(&self, user: &str, is_present: bool, from: Micros) -> bool {
        let allowed = self.bench.model.allowed_of(user, from, self.bench.net.now);
        allowed
            .iter()
            .any(|expected| expected.is_present == is_present)
    }

    /// Judges that an instance stays with its resource, and that its versions are consecutive.
    fn judge_versions(
        &mut self,
        key: &str,
        uri: &str,
        instance: &Instance<'_>,
    ) -> Result<(), String> {
        let has_crashed = self.bench.checker.has_crashed(key);
        let record = self.lists.entry(key.to_owned()).or_default();
        let known = record.instances.entry(instance.id.to_owned());
        let (owner, next) = known.or_insert_with(|| (uri.to_owned(), 0));
        if owner != uri {
            return Err(format!("instance {} was {owner}, is {uri}", instance.id));
        }
        let version = match instance.document {
            Some(document) => read(document)?.version,
            None => return Ok(()),
        };
        if *next == 0
            && has_crashed
            && let Some(version) = version
        {
            *next = version.max(record.floors.get(uri).copied().unwrap_or_default());
        }
        if version.is_some_and(|version| version != *next) {
            return Err(format!("{uri} has version {version:?} after {next}"));
        }
        *next += 1;
        Ok(())
    }

    /// Judges the members of a list: all members in one of the configurations of that time, in
    /// order, followed by those of rosters. A phone that never gets the full state shows a new
    /// member at the end of the list.
    fn judge_members(
        &self,
        target: &str,
        uris: &[&str],
        in_order: bool,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let realms = self.bench.realms.during(from, now);
        // A change may take several NOTIFYs, the last of which may not have arrived.
        let is_under_way = !in_order && self.bench.realms.changed(from, now);
        let is_right = |realm: &Realm| {
            let unfolded = realm.unfold(target).unwrap_or_default();
            let uri_of = |member: &String| match member.contains('@') {
                true => format!("sip:{member}"),
                false => format!("sip:{member}@{DOMAIN}"),
            };
            let members: Vec<String> = unfolded.members.iter().map(uri_of).collect();
            let (fixed, others): (Vec<&str>, Vec<&str>) = match in_order {
                true => {
                    let (fixed, others) = uris.split_at(uris.len().min(members.len()));
                    (fixed.to_vec(), others.to_vec())
                }
                false => uris
                    .iter()
                    .partition(|uri| members.iter().any(|member| member == *uri)),
            };
            let has_members = match in_order {
                true => members == fixed,
                false => members.len() == fixed.len() || is_under_way,
            };
            let users = (0..self.bench.net.plan.presentities).map(|it| (100 + it).to_string());
            let must_be = users.filter(|user| {
                comes_and_goes(&unfolded, realm, user) && !self.may_be(user, false, from)
            });
            let mut must_be = must_be.map(|user| format!("sip:{user}@{DOMAIN}"));
            has_members
                && others.iter().all(|uri| {
                    let uri = Watcher::of(uri);
                    let user = uri.map_or("", |uri| uri.user);
                    // A resource of another domain looks the same before and after its removal.
                    let is_elsewhere = uri.is_some_and(|uri| uri.domain != DOMAIN);
                    comes_and_goes(&unfolded, realm, user) && self.may_be(user, true, from)
                        || is_elsewhere && !in_order
                })
                && (is_under_way || must_be.all(|uri| uris.contains(&uri.as_str())))
        };
        let mut alternatives = realms.clone();
        if alternatives.any(is_right) {
            return Ok(());
        }
        let lists: Vec<_> = realms.map(|realm| realm.unfold(target)).collect();
        Err(format!("{target} has {uris:?}\n    allowed: {lists:?}"))
    }

    /// Judges the document of a list that is notified one resource at a time. A resource that the
    /// watcher may not see looks like one without state.
    fn judge_line(
        &self,
        watcher: Watcher<'_>,
        target: &str,
        user: &str,
        shown: &Shown,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let hides = |realm: &Realm| {
            let handling = realm.decide(watcher, user).handling;
            matches!(handling, Handling::Block | Handling::Confirm)
        };
        let is_hidden = self.bench.realms.during(from, now).any(hides);
        if is_hidden && self.bench.model.blank().agrees_at(0, shown) {
            return Ok(());
        }
        self.judge_shown(watcher, Some(target), user, shown, from)
    }

    /// Judges the list that a healthy phone shows.
    pub(super) fn judge_list_key(
        &self,
        watcher: Watcher<'_>,
        target: &str,
        knows_lists: bool,
        dialog: &Dialog,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let mut realms = self.bench.realms.during(from, now);
        if !realms.clone().any(|realm| realm.admits(watcher, target)) {
            return Err("the rules do not admit it".into());
        }
        let confirms = |realm: &Realm| realm.decide(watcher, target).handling == Handling::Confirm;
        if dialog.is_pending {
            return match realms.any(confirms) {
                true => Ok(()),
                false => Err("it is pending and need not be".into()),
            };
        }
        if realms.all(confirms) {
            return Err("it is not pending and must be".into());
        }
        for line in &dialog.lines {
            let resource = Watcher::of(&line.uri).ok_or("a resource of no name")?;
            match &line.state {
                LineState::Shown(shown) if !knows_lists => {
                    self.judge_line(watcher, target, resource.user, shown, from)?;
                }
                // It may have been added a moment ago.
                LineState::Unreported
                    if self.bench.realms.changed(from, now)
                        || self.may_be(resource.user, false, from) => {}
                standing => self.judge_line_state(watcher, target, resource, standing, from)?,
            }
        }
        let is_there = |line: &&Line| {
            let is_gone = line.state == LineState::Terminated("noresource".into());
            !is_gone || line.uri.rsplit('@').next() != Some(DOMAIN)
        };
        let lines = dialog.lines.iter().filter(is_there);
        let uris: Vec<&str> = lines.map(|line| line.uri.as_str()).collect();
        match knows_lists {
            true => {
                let in_order = Agent::of(watcher.user).takes_all();
                self.judge_members(target, &uris, in_order, from)
            }
            false => self.judge_series(watcher, target, &uris, from),
        }
    }

    /// Judges a list that is notified one resource at a time: no resource is ever removed, and
    /// every visible one is present, each notified in turn once the list itself need not be
    /// confirmed.
    fn judge_series(
        &self,
        watcher: Watcher<'_>,
        target: &str,
        uris: &[&str],
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let realms = self.bench.realms.during(from, now);
        let must_be = |realm: &Realm, user: &str| {
            let unfolded = realm.unfold(target).unwrap_or_default();
            let is_member = unfolded.members.iter().any(|member| member == user)
                || comes_and_goes(&unfolded, realm, user) && !self.may_be(user, false, from);
            let is_confirmed = realm.decide(watcher, target).handling != Handling::Confirm;
            let is_allowed = realm.decide(watcher, user).handling == Handling::Allow;
            is_member && is_confirmed && is_allowed
        };
        for number in 0..self.bench.net.plan.presentities {
            let user = (100 + number).to_string();
            let uri = format!("sip:{user}@{DOMAIN}");
            let mut realms = realms.clone();
            if realms.all(|realm| must_be(realm, &user)) && !uris.contains(&uri.as_str()) {
                return Err(format!("{uri} is not among {uris:?}"));
            }
        }
        Ok(())
    }

    /// Returns whether a subscription is notified as a list, according to its 2xx.
    fn requires_list(&self, key: &str) -> bool {
        self.required.contains(key)
    }
}

/// Returns whether a user is in a list whenever the user has state.
fn comes_and_goes(unfolded: &Unfolded, realm: &Realm, user: &str) -> bool {
    let is_orbit = realm.orbits.iter().any(|orbit| orbit == user);
    unfolded.everybody && !user.is_empty() || unfolded.parked && is_orbit
}
