//! What the NOTIFYs of a list, or of any-dn, say about its users.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::directory::connectors::ListKind;
use crate::presence::Aor;
use crate::presence::call::CallDialog;
use crate::presence::document::Document;
use crate::presence::document::dialog_info::DIALOGS_MAX;
use crate::presence::document::list_state::{ListState, NotifiedState, ResourceReport};
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::probe::UserStatus;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::notification::End;
use crate::shard::uac::roster::{Receiving, Roster};
use crate::sip::Uri;
use crate::sip::uri::host_ip;

/// A full state is complete when no NOTIFY has come for so long.
const QUIET: Duration = Duration::from_secs(5);
/// A full state is complete after that time at the latest.
const SERIES_MAX: Duration = Duration::from_secs(60);
/// The least time between two SUBSCRIBEs because NOTIFYs are missing.
const GAP_PAUSE: Duration = Duration::from_secs(30);

/// Where a NOTIFY comes from, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard::uac) struct Notifier<'a> {
    /// The URI of the SUBSCRIBE.
    pub(in crate::shard::uac) target: &'a str,
    /// The address of the server, which it may write in place of its domain.
    pub(in crate::shard::uac) peer: IpAddr,
}

impl Roster {
    /// The first NOTIFY after a SUBSCRIBE came. `is_new`: it creates the dialog.
    pub(in crate::shard::uac) fn begin_round(&mut self, is_new: bool, now: Instant) {
        self.round += 1;
        self.is_audit = !is_new;
        if is_new {
            (self.version, self.gap_until, self.is_new) = (None, None, true);
            self.receiving = None;
            if self.plan.kind == ListKind::AnyDn {
                self.begin_series(now);
            }
        }
    }

    /// What a NOTIFY says.
    pub(in crate::shard::uac) fn take(
        &mut self,
        state: NotifiedState,
        from: Notifier<'_>,
        turn: &mut Turn<'_>,
    ) {
        match state {
            NotifiedState::Document(_) if self.is_list() => return self.take_no_list(turn.now),
            NotifiedState::Document(document) => self.take_document(document, from, turn),
            NotifiedState::List(list) => self.take_list(list, from, turn),
        }
        if let Some(receiving) = &mut self.receiving {
            receiving.quiet_at = turn.now + QUIET;
        }
    }

    fn take_list(&mut self, list: ListState, from: Notifier<'_>, turn: &mut Turn<'_>) {
        self.is_no_list = false;
        self.take_version(&list, turn.now);
        if list.full && self.is_list() {
            self.begin_series(turn.now);
        }
        for resource in list.resources {
            self.take_resource(&resource.uri, resource.report, from, turn);
        }
    }

    /// A number that was skipped is a NOTIFY that was lost: the full state is asked for. A number that does not rise is
    /// of a server that does not count.
    fn take_version(&mut self, list: &ListState, now: Instant) {
        let Some(version) = list.version else {
            return;
        };
        let known = self.version.replace(version);
        let is_gap = known.is_some_and(|known| version > known.saturating_add(1));
        if is_gap && !list.full && self.gap_until.is_none_or(|until| until <= now) {
            self.gap_until = Some(now + GAP_PAUSE);
            self.ask(false, now);
        }
    }

    /// The server knows no lists: what it sends is of one user, and of none of these.
    fn take_no_list(&mut self, now: Instant) {
        if !self.is_no_list {
            self.is_no_list = true;
            self.tell_all(&UpstreamNews::Stale, now);
        }
        self.set_status(UserStatus::Error);
    }

    /// A document of any-dn: about the user of its entity, or about the local parties of its dialogs.
    fn take_document(&mut self, document: Document, from: Notifier<'_>, turn: &mut Turn<'_>) {
        let user_in = |uri: &str| Address::of(uri).map(|address| address.user);
        let entity: Box<str> = document.entity().unwrap_or_default().into();
        let about = user_in(&entity).filter(|user| Some(user) != user_in(from.target).as_ref());
        match (about, document) {
            (None, Document::DialogInfo { full, dialogs, .. }) => {
                self.take_dialogs(full, dialogs, from, turn);
            }
            (_, document) => {
                self.take_resource(&entity, ResourceReport::State(document), from, turn);
            }
        }
    }

    /// Dialogs of many users. If they are all that there are, other users have none.
    fn take_dialogs(
        &mut self,
        full: bool,
        dialogs: Vec<CallDialog>,
        from: Notifier<'_>,
        turn: &mut Turn<'_>,
    ) {
        let mut by_user: BTreeMap<Aor, Vec<CallDialog>> = BTreeMap::new();
        // Further dialogs were not read.
        let is_whole = full && dialogs.len() < DIALOGS_MAX;
        if is_whole {
            let has_calls = |status| matches!(status, UserStatus::Busy | UserStatus::Requesting);
            let busy = self.users().filter(|(_, status)| has_calls(*status));
            by_user.extend(busy.map(|(aor, _)| (aor.clone(), Vec::new())));
        }
        for dialog in dialogs {
            let local = dialog.local();
            let uri = match local.identity {
                "" => local.target,
                identity => identity,
            };
            match self.find(uri, from, turn) {
                Some(aor) => by_user.entry(aor).or_default().push(dialog),
                None => turn.counters.upstream_users_ignored += 1,
            }
        }
        for (aor, dialogs) in by_user {
            let document = Document::DialogInfo {
                entity: None,
                full: is_whole,
                dialogs,
            };
            self.take_report(&aor, ResourceReport::State(document), turn.now);
        }
    }

    fn take_resource(
        &mut self,
        uri: &str,
        report: ResourceReport,
        from: Notifier<'_>,
        turn: &mut Turn<'_>,
    ) {
        match self.find(uri, from, turn) {
            Some(aor) => self.take_report(&aor, report, turn.now),
            None => turn.counters.upstream_users_ignored += 1,
        }
    }

    /// What is said about a user. What ended for a while is stale: the server may take it up again by itself.
    fn take_report(&mut self, aor: &Aor, report: ResourceReport, now: Instant) {
        let Some(user) = self.users.get_mut(aor) else {
            return;
        };
        let is_audit = self.is_audit && user.round != self.round;
        (user.round, user.series) = (self.round, self.series);
        if report != ResourceReport::Nothing {
            user.reported = self.series;
        }
        let (status, news) = match report {
            ResourceReport::Nothing => return,
            ResourceReport::Pending => (UserStatus::Requesting, None),
            ResourceReport::Unreadable => (UserStatus::Error, None),
            ResourceReport::State(document) => {
                let status = UserStatus::of_document(&document);
                let status = status.unwrap_or(UserStatus::Available);
                (status, Some(UpstreamNews::Document(document)))
            }
            ResourceReport::Terminated(reason) => match End::of(reason.as_bytes()) {
                End::Rejected => (UserStatus::AccessDenied, Some(UpstreamNews::Gone)),
                End::NoResource => (UserStatus::NotFound, Some(UpstreamNews::Gone)),
                End::Invariant => return,
                End::Renew | End::RenewLater => (UserStatus::Error, Some(UpstreamNews::Stale)),
            },
        };
        user.status = status;
        if let Some(news) = news {
            self.push(aor.clone(), news, is_audit, now);
        }
    }

    /// A full state begins, unless one is being received: some servers send it in several NOTIFYs that are full each.
    fn begin_series(&mut self, now: Instant) {
        if self.receiving.is_none() {
            self.series += 1;
            self.receiving = Some(Receiving {
                quiet_at: now + QUIET,
                latest: now + SERIES_MAX,
                is_first: std::mem::take(&mut self.is_new),
            });
        }
    }

    /// If a full state is complete: users that it left out, or named without a state at first, are not reported on.
    pub(in crate::shard::uac) fn end_series(&mut self, now: Instant) {
        let Some(Receiving { is_first, .. }) = self.receiving.take_if(|one| one.end() <= now)
        else {
            return;
        };
        let series = self.series;
        let mut gone = Vec::new();
        for (aor, user) in &mut self.users {
            let status = match (user.series == series, user.reported == series) {
                (false, _) => UserStatus::NotFound,
                (true, false) if is_first => UserStatus::Offline,
                (true, _) => continue,
            };
            let is_known = user.status == status && status == UserStatus::NotFound;
            user.status = status;
            if !is_known {
                gone.push(aor.clone());
            }
        }
        self.users
            .retain(|_, user| user.is_selected || user.series == series);
        for aor in gone {
            self.push(aor, UpstreamNews::Gone, false, now);
        }
    }

    /// The user here that a URI of the server names, if it counts.
    fn find(&mut self, uri: &str, from: Notifier<'_>, turn: &mut Turn<'_>) -> Option<Aor> {
        let Address { user, host } = Address::of(uri)?;
        let is_there = |host: &str| {
            self.plan.hosts.iter().any(|known| **known == *host)
                || host_ip(host.as_bytes()) == Some(from.peer)
        };
        let is_there = host.as_deref().is_none_or(is_there);
        let aor = Aor::new(&user, &self.plan.domain);
        if !is_there {
            return None;
        }
        if self.users.contains_key(&aor) {
            return Some(aor);
        }
        let domain = turn.directory.domain(&self.plan.domain)?;
        let is_ours = self.plan.is_open
            && host.is_some()
            && turn.directory.exists_in(domain, &aor)
            && !turn.directory.is_list(&aor);
        if is_ours && !self.add(&aor, false) {
            turn.counters.upstream_users_over_limit += 1;
        }
        self.users.contains_key(&aor).then_some(aor)
    }
}

/// The user and the host of `sip:101@pbx.com;x=y`, `pres:101@pbx.com`, `101@pbx.com`; only the user of `101`.
struct Address {
    user: String,
    host: Option<String>,
}

impl Address {
    fn of(uri: &str) -> Option<Self> {
        const SCHEMES: [&str; 4] = ["sip", "sips", "pres", "im"];
        let uri = uri.trim_ascii();
        let without_scheme = uri.split_once(':').filter(|(scheme, _)| {
            let mut schemes = SCHEMES.iter();
            schemes.any(|known| scheme.eq_ignore_ascii_case(known))
        });
        let address = without_scheme.map_or(uri, |(_, address)| address);
        let is_name =
            |character: char| character.is_ascii_alphanumeric() || "*#-_".contains(character);
        if !address.is_empty() && address.chars().all(is_name) {
            return Some(Self {
                user: address.to_owned(),
                host: None,
            });
        }
        let uri = format!("sip:{address}");
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        let (mut user, mut host) = (String::new(), String::new());
        let is_valid = uri.user.is_some() && uri.write_user(&mut user);
        uri.write_host(&mut host);
        is_valid.then_some(Self {
            user,
            host: Some(host),
        })
    }
}
