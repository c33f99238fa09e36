//! A parsed and validated SUBSCRIBE, with its body. Each package parses its own format of bodies in
//! its own file.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::Aor;
use crate::presence::document::Format;
use crate::presence::event::list::Resolved;
use crate::presence::event::{ExpiryLimits, Package, TooBrief};
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::presence::source::StateUpdate;
use crate::shard::contract::mail::Claim;
use crate::shard::contract::turn::Turn;
use crate::shard::list::plan::ListPlan;
use crate::shard::list::request::{plan_enclosed_list, plan_list, read_list, requires_list};
use crate::shard::package::feature_event::read_switch;
use crate::shard::request::headers::{EventHeader, accepted_format, check_exists, expires_of};
use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Message, Status};

/// What a SUBSCRIBE asks for, checked.
pub(crate) struct Asked<'m> {
    pub(crate) event: EventHeader<'m>,
    pub(crate) format: Format,
    pub(crate) granted: Duration,
    /// The shortest that could have been.
    pub(crate) expires_min: Duration,
    pub(crate) enclosed: Enclosed,
    pub(crate) profile: Arc<Profile>,
}

impl Asked<'_> {
    /// The resources to watch, if it is a subscription to a list; None if it is to one presentity.
    ///
    /// Refuses a list that the phone cannot read or that is not in the body although it should be,
    /// and a presentity that does not exist.
    pub(crate) fn plan<'d>(
        &self,
        message: &Message<'_>,
        (aor, domain): (&Aor, &Domain),
        turn: &Turn<'d>,
    ) -> Result<Option<ListPlan>, Refusal<'d>> {
        let package = self.event.package;
        if let Some(list) = self.enclosed.list() {
            return plan_enclosed_list(list, package).map(Some);
        }
        if requires_list(message) {
            return Err(Refusal::Because(Status::BAD_REQUEST, "Missing Body"));
        }
        let plan = plan_list(message, aor, package, &self.profile, turn)?;
        if plan.is_none() {
            check_exists(aor, domain, turn.directory)?;
        }
        Ok(plan)
    }
}

/// Everything needed to create a subscription.
pub(crate) struct Beginning<'a> {
    pub(crate) aor: &'a Aor,
    pub(crate) plan: Option<ListPlan>,
    pub(crate) decision: Decision,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) entity: &'a [u8],
    pub(crate) message: &'a Message<'a>,
    /// The appearance of a line that the owner granted.
    pub(crate) claim: Option<&'a Claim>,
}

/// Reads a SUBSCRIBE with that Event header.
pub(crate) fn read_subscribe<'m, 'd>(
    message: &Message<'m>,
    event: EventHeader<'m>,
    domain: &Domain,
    turn: &Turn<'d>,
) -> Result<Asked<'m>, Refusal<'d>> {
    let package = event.package;
    let user_agent = message.header(HeaderName::UserAgent).unwrap_or_default();
    let profile = Arc::clone(turn.directory.profile(user_agent));
    let enclosed = read_enclosed(message, package, turn)?;
    let format = accepted_format(message, package, &profile)?;
    let package_max = package.expires_max().unwrap_or(domain.max_expires);
    let limits = ExpiryLimits {
        min: profile
            .min_expires
            .unwrap_or(domain.min_expires)
            .min(package_max),
        max: domain.max_expires.min(package_max),
    };
    let granted = limits.grant(expires_of(message)?, package.expires_default());
    let granted = granted.map_err(|TooBrief(min)| Refusal::TooBrief(min))?;
    Ok(Asked {
        event,
        format,
        granted,
        expires_min: limits.min,
        enclosed,
        profile,
    })
}

/// What a body brings along.
#[derive(Debug)]
pub(crate) enum Enclosed {
    /// No body, or an optional one that is ignored (Content-Disposition handling=optional).
    Nothing,
    /// The resources to watch (RFC 5367).
    List(Arc<Resolved>),
    /// A feature to turn on or off (W:C9).
    Switch(StateUpdate),
}

impl Enclosed {
    /// The resources to watch.
    pub(crate) fn list(&self) -> Option<&Arc<Resolved>> {
        match self {
            Self::List(list) => Some(list),
            Self::Nothing | Self::Switch(_) => None,
        }
    }

    /// Whether the body switches a feature.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch(_))
    }
}

/// Reads the body of a SUBSCRIBE to a package.
pub(crate) fn read_enclosed<'d>(
    message: &Message<'_>,
    package: Package,
    turn: &Turn<'d>,
) -> Result<Enclosed, Refusal<'d>> {
    let enclosed = match package {
        Package::AsFeatureEvent => read_switch(message)?.map(Enclosed::Switch),
        _ => read_list(message, turn)?.map(Enclosed::List),
    };
    Ok(enclosed.unwrap_or(Enclosed::Nothing))
}
