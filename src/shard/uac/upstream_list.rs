//! The subscriptions of connectors that cover many users each: a list, or any-dn. They share all of `client`, `link` and
//! `upstream` with those for single users; what differs is in their [`Roster`].

use std::time::{Duration, Instant};

use crate::presence::Aor;
use crate::presence::document::Document;
use crate::presence::document::list_state::NotifiedState;
use crate::shard::contract::connector::UpstreamReport;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::probe::ServerStatus;
use crate::shard::contract::turn::Turn;
use crate::shard::request::refusal::Refusal;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Client, Role};
use crate::shard::uac::purpose::{Coverage, Upstream};
use crate::shard::uac::roster::{News, Notifier, Roster, RosterPlan};

/// The pause before a list is asked for again while its first NOTIFY is awaited.
const NOTIFY_PAUSE: Duration = Duration::from_secs(1);

impl Uac {
    /// A subscription to a list for a connector, without users yet; None if there are too many. `target` is the URI of the
    /// list there. Nothing is sent before [`ask`](Self::ask).
    pub(crate) fn subscribe_list(
        &mut self,
        link: LinkId,
        plan: RosterPlan,
        target: String,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let package = *self.links.get(link)?.packages.first()?;
        let covers = Coverage::Roster(Box::new(Roster::new(plan, package)));
        self.begin_upstream(link, covers, target, turn)
    }

    /// Adds a user to a list. Returns false, and counts it, if there are too many. `is_selected`: it stays though the list
    /// does not name it.
    pub(crate) fn cover(
        &mut self,
        list: ClientId,
        aor: &Aor,
        is_selected: bool,
        turn: &mut Turn<'_>,
    ) -> bool {
        let roster = self.roster_mut(list);
        let has_room = roster.is_some_and(|roster| roster.add(aor, is_selected));
        turn.counters.upstream_users_over_limit += u64::from(!has_room);
        has_room
    }

    /// Removes a user from a list, and what was reported on it.
    pub(crate) fn uncover(&mut self, list: ClientId, aor: &Aor, turn: &mut Turn<'_>) {
        if let Some(roster) = self.roster_mut(list) {
            roster.remove(aor, turn.now);
        }
        self.arm(list, turn);
    }

    /// Users came or went: the list is asked for, at first or again.
    pub(crate) fn ask(&mut self, list: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(list) else {
            return;
        };
        let is_first = client.sequence == 0;
        if let Some(roster) = client.roster_mut() {
            roster.ask(is_first, turn.now);
        }
        self.arm(list, turn);
    }

    /// The users that a list named and that were not added by the connector.
    pub(crate) fn guests(&self, list: ClientId) -> Vec<Aor> {
        let roster = self.clients.get(list).and_then(|client| client.roster());
        roster.map_or_else(Vec::new, Roster::guests)
    }

    /// Removes those of them that the domain no longer has.
    pub(crate) fn review_guests(&mut self, list: ClientId, turn: &mut Turn<'_>) {
        for aor in self.guests(list) {
            if !turn.directory.exists(&aor) {
                self.uncover(list, &aor, turn);
            }
        }
    }

    fn roster_mut(&mut self, list: ClientId) -> Option<&mut Roster> {
        self.clients.get_mut(list)?.roster_mut()
    }
}

impl Client {
    /// The users that it covers; None if it is about one.
    pub(super) fn roster(&self) -> Option<&Roster> {
        self.purpose.upstream().and_then(Upstream::roster)
    }

    /// The users that it covers, to be changed.
    pub(super) fn roster_mut(&mut self) -> Option<&mut Roster> {
        self.purpose.upstream_mut().and_then(Upstream::roster_mut)
    }

    /// When anything of its roster is due.
    pub(super) fn roster_due(&self) -> Option<Instant> {
        self.roster().and_then(Roster::due)
    }

    /// Whether no news wait.
    pub(super) fn has_told_all(&self) -> bool {
        self.roster().is_none_or(Roster::has_told_all)
    }

    /// What the server's NOTIFYs say about the server.
    pub(super) fn server_status(&self) -> ServerStatus {
        match self.roster().is_some_and(Roster::is_no_list) {
            true => ServerStatus::ListsNotSupported,
            false => ServerStatus::UpAndRunning,
        }
    }

    /// Refuses a NOTIFY while too many news of earlier ones wait.
    pub(super) fn check_waiting_news(&self, turn: &mut Turn<'_>) -> Result<(), Refusal<'static>> {
        if self.roster().is_some_and(Roster::is_full) {
            turn.counters.upstream_lists_refused += 1;
            return Err(Refusal::OverLimit);
        }
        Ok(())
    }

    /// Takes what a NOTIFY says about many users, and returns what it says about one. `first`: it is the first one after a
    /// SUBSCRIBE, and whether it creates the dialog.
    pub(super) fn take_states(
        &mut self,
        content: Option<NotifiedState>,
        first: Option<bool>,
        turn: &mut Turn<'_>,
    ) -> Option<Document> {
        let (is_leaving, peer, target) = (self.is_leaving(), self.flow.peer.ip(), &self.target);
        let Some(roster) = self.purpose.upstream_mut().and_then(Upstream::roster_mut) else {
            return match content {
                Some(NotifiedState::Document(document)) => Some(document),
                Some(NotifiedState::List(_)) | None => None,
            };
        };
        if is_leaving {
            return None;
        }
        if let Some(is_new) = first {
            roster.begin_round(is_new, turn.now);
        }
        if let Some(content) = content {
            roster.take(content, Notifier { target, peer }, turn);
            self.pass_on_news(turn);
        }
        None
    }

    /// What is due of its roster.
    pub(super) fn attend_roster(&mut self, turn: &mut Turn<'_>) {
        let awaits_dialog = matches!(&self.role, Role::Subscriber(subscriber)
            if subscriber.dialog.is_none() && subscriber.expires_at.is_some());
        let Some(roster) = self.roster_mut() else {
            return;
        };
        roster.end_series(turn.now);
        let asks = roster.take_ask(turn.now);
        if asks && awaits_dialog {
            // The first NOTIFY creates the dialog that a refresh is sent in.
            roster.ask_after(NOTIFY_PAUSE, turn.now);
        } else if asks {
            self.request_at = Some(turn.now);
        }
        self.pass_on_news(turn);
    }

    /// Passes the next news on to the owners of the users.
    fn pass_on_news(&mut self, turn: &mut Turn<'_>) {
        let Role::Subscriber(subscriber) = &self.role else {
            return;
        };
        let ends_at = subscriber.expires_at.unwrap_or(turn.now);
        let Some(upstream) = self.purpose.upstream_mut() else {
            return;
        };
        let connector = upstream.connector.clone();
        let Some(roster) = upstream.roster_mut() else {
            return;
        };
        for News {
            aor,
            package,
            news,
            is_audit,
        } in roster.next_news(turn.now)
        {
            let report = UpstreamReport {
                aor: aor.clone(),
                connector: connector.clone(),
                package,
                news,
                expires: ends_at.saturating_duration_since(turn.now),
                is_audit,
                is_sole: true,
            };
            turn.send_to_owner(&aor, Mail::Upstream(Box::new(report)));
        }
    }
}
