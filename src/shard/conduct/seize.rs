//! SUBSCRIBE to `line-seize`: suspended until the owner of the line grants the appearance.

use crate::presence::call::appearance;
use crate::presence::event::Package;
use crate::shard::conduct::Engine;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::mail::{Claim, Mail, SeizeRefused};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::begin::Admitted;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Sender;
use crate::shard::subscription::seizure::give_back;
use crate::shard::subscription::watcher::Watcher;
use crate::shard::uas::suspended::Seizing;
use crate::sip::header::{NameAddr, list_items};
use crate::sip::{Message, Status};

// On the shard that received the SUBSCRIBE.
impl Engine {
    /// Suspends the SUBSCRIBE and asks the owner for the appearance it names.
    pub(crate) fn seize<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let message = admitted.request.message;
        let index = appearance_index(message)?;
        let seizing = Seizing {
            aor: admitted.aor.clone(),
            sender: Sender {
                uri: admitted.sender.map(|uri| uri.to_vec().into()),
                aor: admitted.watcher.aor().cloned(),
            },
            salt: admitted.salt,
            event: admitted.event.places_in(message.bytes()),
        };
        let suspended = self.uas.suspend(
            admitted.request,
            Package::LineSeize,
            Some(Box::new(seizing)),
            turn,
        )?;
        let mail = Mail::Seize {
            aor: admitted.aor.clone(),
            index,
            reply_to: (turn.here(), suspended),
        };
        turn.send_to_owner(admitted.aor, mail);
        Ok(())
    }

    /// Resumes the SUBSCRIBE with the outcome that the owner reports.
    pub(crate) fn handle_seize_outcome(
        &mut self,
        suspended: u64,
        outcome: Result<Claim, SeizeRefused>,
        turn: &mut Turn<'_>,
    ) {
        let suspended = self.uas.resume(suspended, turn);
        let seizing = suspended
            .as_ref()
            .map(|suspended| suspended.seizing.as_deref());
        let seizing = seizing.and_then(|it| it.expected("it asked for an appearance"));
        let (Some(suspended), Some(seizing)) = (&suspended, seizing) else {
            // The SUBSCRIBE timed out.
            give_back(outcome.ok(), turn);
            return;
        };
        suspended.with_request(|request| {
            if let Err(refusal) = self.go_on_seizing(request, seizing, outcome, turn) {
                self.uas.refuse(request, &refusal, turn);
            }
        });
    }

    /// Continues the SUBSCRIBE, which was admitted before it was suspended.
    fn go_on_seizing<'d>(
        &mut self,
        request: &Request<'_>,
        seizing: &Seizing,
        outcome: Result<Claim, SeizeRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let Seizing {
            aor, sender, event, ..
        } = seizing;
        let Some(domain) = turn.directory.domain(aor.domain()) else {
            // The domain was removed meanwhile.
            give_back(outcome.ok(), turn);
            return Err(Refusal::Plain(Status::NOT_FOUND));
        };
        let claim = outcome.map_err(|refused| match refused {
            SeizeRefused::Taken => Refusal::Plain(Status::TEMPORARILY_UNAVAILABLE),
            SeizeRefused::TooMany => Refusal::OverLimit,
        })?;
        let peer = turn.peer(domain, &request.flow);
        let admitted = Admitted {
            request,
            event: event.in_message(request.message.bytes()),
            aor,
            domain,
            sender: sender.uri.as_deref(),
            watcher: &Watcher::of(sender.aor.clone(), peer, Some(domain)),
            salt: seizing.salt,
            claim: Some(&claim),
        };
        let subscribed = self.subscribe(&admitted, turn);
        if subscribed.is_err() {
            give_back(Some(claim), turn);
        }
        subscribed
    }
}

/// The appearance that a SUBSCRIBE names: `Call-Info: <sip:abc.com>;appearance-index=1`.
fn appearance_index<'d>(message: &Message<'_>) -> Result<u8, Refusal<'d>> {
    const MISSING: Refusal<'static> =
        Refusal::Because(Status::BAD_REQUEST, "Missing appearance-index");
    let index = message
        .other_headers("Call-Info")
        .flat_map(list_items)
        .filter_map(NameAddr::parse)
        .find_map(|item| item.parameters.get("appearance-index"))
        .ok_or(MISSING)?;
    std::str::from_utf8(index)
        .ok()
        .and_then(|index| index.trim_matches('"').parse().ok())
        .filter(|index| appearance::INDEXES.contains(index))
        .ok_or(Refusal::Because(
            Status::BAD_REQUEST,
            "Invalid appearance-index",
        ))
}
