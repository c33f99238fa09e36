//! A cache of error responses (W:G5), for phones that keep sending the same failing request.
//!
//! Only refusals that depend on nothing but the request and the configuration are kept, and only of
//! requests without a body: 403, 404, 489, and 401 to a request without credentials (with a fresh nonce each time).
//! They expire after a few seconds (`refusal_life`) and at a reload.

use crate::directory::Directory;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::overload::expiring_cache::ExpiringCache;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Status};
use std::hash::Hash;

/// The headers a refusal may depend on, besides start line, From and To.
const TELLING: [HeaderName; 8] = [
    HeaderName::Event,
    HeaderName::Authorization,
    HeaderName::PAssertedIdentity,
    HeaderName::Require,
    HeaderName::Supported,
    HeaderName::Accept,
    HeaderName::Expires,
    HeaderName::UserAgent,
];

/// An owned form of the cacheable refusals.
#[derive(Clone, Copy, Debug, Default)]
enum KeptRefusal {
    /// No refusal, or one that is not kept.
    #[default]
    Nothing,
    /// 403
    Forbidden,
    /// 403 because From belongs to another user.
    ForeignFrom,
    /// 404
    NotFound,
    /// 489
    BadEvent,
    /// 401; the index of the domain in the directory.
    Challenge(u32),
}

/// Kept refusals by the key of their request.
#[derive(Debug)]
pub(super) struct KeptRefusals {
    refusals: ExpiringCache<KeptRefusal>,
    /// The latest expiry. After it, no lookup is needed.
    until: u64,
}

impl KeptRefusals {
    /// Room for at least `refusals` refusals.
    pub(super) fn new(refusals: usize) -> Self {
        Self {
            refusals: ExpiringCache::new(refusals),
            until: 0,
        }
    }
}

impl KeptRefusal {
    fn of(refusal: &Refusal<'_>, request: &Request<'_>, directory: &Directory) -> Self {
        let message = request.message;
        match refusal {
            Refusal::Plain(status) if *status == Status::FORBIDDEN => Self::Forbidden,
            Refusal::ForeignFrom => Self::ForeignFrom,
            Refusal::Plain(status) if *status == Status::NOT_FOUND => Self::NotFound,
            Refusal::BadEvent => Self::BadEvent,
            Refusal::Challenge { domain, .. }
                if message.header(HeaderName::Authorization).is_none() =>
            {
                let place = directory.place_of(&domain.name);
                place
                    .expected("the domain is of this directory")
                    .and_then(|place| u32::try_from(place).ok())
                    .map_or(Self::Nothing, Self::Challenge)
            }
            _ => Self::Nothing,
        }
    }

    fn refusal(self, directory: &Directory) -> Option<Refusal<'_>> {
        Some(match self {
            Self::Nothing => return None,
            Self::Forbidden => Refusal::Plain(Status::FORBIDDEN),
            Self::ForeignFrom => Refusal::ForeignFrom,
            Self::NotFound => Refusal::Plain(Status::NOT_FOUND),
            Self::BadEvent => Refusal::BadEvent,
            Self::Challenge(place) => Refusal::Challenge {
                domain: directory
                    .domains()
                    .get(place as usize)
                    .expected("a reload forgets kept refusals")?,
                stale: false,
            },
        })
    }
}

impl OverloadControl {
    /// The cached response to an identical request.
    pub(crate) fn kept_refusal<'d>(
        &self,
        request: &Request<'_>,
        uri: &[u8],
        turn: &Turn<'d>,
    ) -> Option<Refusal<'d>> {
        let at = self.nanos(turn.now);
        let is_any = self.refusals.until > at && request.message.body().is_empty();
        let key = is_any.then(|| self.refusal_key(request, uri))?;
        let slot = self.refusals.refusals.find(key)?;
        slot.value
            .refusal(turn.directory)
            .filter(|_| slot.until > at)
    }

    /// Caches a refusal if it is cacheable.
    pub(crate) fn keep_refusal(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        refusal: &Refusal<'_>,
        turn: &Turn<'_>,
    ) {
        let life = self.options.refusal_life;
        let kept = KeptRefusal::of(refusal, request, turn.directory);
        let is_any = !matches!(kept, KeptRefusal::Nothing) && !life.is_zero();
        if !is_any || !request.message.body().is_empty() {
            return;
        }
        let key = self.refusal_key(request, uri);
        let until = self.nanos(turn.now + life);
        let refusals = &mut self.refusals;
        refusals.until = until;
        let slot = refusals.refusals.claim(key);
        (slot.until, slot.value) = (until, kept);
    }
}

impl OverloadControl {
    fn refusal_key(&self, request: &Request<'_>, uri: &[u8]) -> u64 {
        let fingerprint = self.fingerprint(("refusal", self.generation), request);
        self.key(fingerprint, |hasher| {
            (uri, request.flow).hash(hasher);
            for name in TELLING {
                let values = request.message.headers(name);
                values.for_each(|value| (name, value).hash(hasher));
            }
        })
    }
}
