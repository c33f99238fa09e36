//! SUBSCRIBE to `line-seize`: suspended until the owner of the line grants the appearance.

use crate::presence::call::appearance;
use crate::presence::event::Package;
use crate::shard::conduct::Engine;
use crate::shard::conduct::subscribe::Admitted;
use crate::shard::contract::mail::{Claim, Mail, SeizeRefused};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::event_of;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::target::{Target, resolve};
use crate::shard::request::uris::request_uri;
use crate::shard::subscription::seizure::give_back;
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
        let Admitted {
            request,
            aor,
            sender,
            ..
        } = *admitted;
        let index = appearance_index(request.message)?;
        let suspended = self
            .uas
            .suspend(request, sender, Package::LineSeize, turn)?;
        let mail = Mail::Seize {
            aor: aor.clone(),
            index,
            reply_to: (turn.here(), suspended),
        };
        turn.send_to_owner(aor, mail);
        Ok(())
    }

    /// Resumes the SUBSCRIBE with the outcome that the owner reports.
    pub(crate) fn handle_seize_outcome(
        &mut self,
        suspended: u64,
        outcome: Result<Claim, SeizeRefused>,
        turn: &mut Turn<'_>,
    ) {
        let Some(suspended) = self.uas.resume(suspended, turn) else {
            // The SUBSCRIBE timed out.
            give_back(outcome.ok(), turn);
            return;
        };
        suspended.with_request(|request| {
            let sender = suspended.sender.as_deref();
            if let Err(refusal) = self.go_on_seizing(request, sender, outcome, turn) {
                self.uas.refuse(request, &refusal, turn);
            }
        });
    }

    /// Continues the SUBSCRIBE, which was admitted before it was suspended.
    fn go_on_seizing<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        outcome: Result<Claim, SeizeRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let target = resolve(request_uri(request.message), &request.flow, turn);
        match (target, event_of(request.message)) {
            (Ok(Target::Presentity { aor, domain }), Ok(event)) => {
                let admitted = Admitted {
                    request,
                    aor: &aor,
                    sender,
                    domain,
                    directory: turn.directory,
                    event,
                };
                self.begin_seizure(&admitted, outcome, turn)
            }
            // The domain was removed meanwhile.
            _ => {
                give_back(outcome.ok(), turn);
                Err(Refusal::Plain(Status::NOT_FOUND))
            }
        }
    }

    fn begin_seizure<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        outcome: Result<Claim, SeizeRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let claim = outcome.map_err(|refused| match refused {
            SeizeRefused::Taken => Refusal::Plain(Status::TEMPORARILY_UNAVAILABLE),
            SeizeRefused::TooMany => Refusal::OverLimit,
        })?;
        let subscribed = self.subscribe(admitted, Some(&claim), turn);
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
