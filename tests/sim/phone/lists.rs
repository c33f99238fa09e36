//! The targets of keys, and the state that phones show of each resource of a list.

use super::{Dialog, Key, Phone};
use crate::documents::Shown;
use crate::network::{Micros, Net, SECOND, Wake};
use crate::realm::DOMAIN;
use crate::rlmi::InstanceState;
use crate::sip_text::parameter;
use crate::{documents, rlmi};

/// The package of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Dialog,
    Presence,
}

impl Package {
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::Presence => "presence",
        }
    }

    pub(super) fn accept(self) -> &'static str {
        match self {
            Self::Dialog => "application/dialog-info+xml",
            Self::Presence => "application/pidf+xml",
        }
    }
}

/// The rates that a key's SUBSCRIBE requests (RFC 6446).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates(&'static str);

impl Rates {
    /// Most keys request none; a hostile one requests the highest.
    pub(super) fn pick(net: &mut Net) -> Self {
        if !net.rng.chance(net.plan.rates) {
            return Self("");
        }
        Self(net.rng.pick(&[
            ";min-rate=1",
            ";min-rate=99",
            ";min-rate=0.2",
            ";adaptive-min-rate=1",
            ";adaptive-min-rate=0.2;min-rate=0.1",
            ";max-rate=2",
            ";max-rate=0.1",
            ";max-rate=2;min-rate=1",
            ";max-rate=0.5;adaptive-min-rate=5",
        ]))
    }

    /// The rates as parameters of Event.
    pub(super) fn parameters(self) -> &'static str {
        self.0
    }

    /// The time between two changes permitted by its `max-rate`.
    pub(crate) fn gap(self) -> Micros {
        match parameter(self.0, "max-rate") {
            Some("2") => SECOND / 2,
            Some("0.1") => 10 * SECOND,
            Some(_) => 2 * SECOND,
            None => 0,
        }
    }
}

/// The target of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A presentity.
    One(usize),
    /// A list; a phone without support for lists gets one NOTIFY per resource (W:D4.4).
    List {
        user: &'static str,
        knows_lists: bool,
    },
}

impl Target {
    pub(crate) fn user(self) -> String {
        match self {
            Self::One(presentity) => (100 + presentity).to_string(),
            Self::List { user, .. } => user.to_owned(),
        }
    }

    /// Its URI; `shouting` gives an equal URI with a different spelling.
    pub(crate) fn uri(self, shouting: bool) -> String {
        let domain = if shouting { "EXAMPLE.com" } else { DOMAIN };
        format!("sip:{}@{domain}", self.user())
    }

    /// Further headers of a SUBSCRIBE to it.
    pub(super) fn headers(self) -> &'static str {
        match self {
            Self::List {
                knows_lists: true, ..
            } => {
                "Accept: multipart/related, application/rlmi+xml\r\n\
                 Supported: eventlist\r\n"
            }
            _ => "",
        }
    }
}

/// A resource as shown by the phone.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) uri: String,
    pub(crate) state: LineState,
    /// The version of its last document.
    version: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    /// It has had no NOTIFY yet.
    Unreported,
    Shown(Shown),
    Pending,
    Terminated(String),
}

impl Phone {
    /// A key, or two, for lists.
    pub(super) fn add_list(&mut self, net: &mut Net) {
        for _ in 0..net.rng.between(1, 2) {
            let knows_lists = net.rng.chance(750);
            let rosters = ["any-dn", "parked"];
            let lists = [
                "office", "office", "inner", "crew", "orbits", "any-dn", "parked",
            ];
            let mut user = match knows_lists {
                true => net.rng.pick(&lists),
                false => net.rng.pick(&rosters),
            };
            if net.plan.orbits == 0 && ["orbits", "parked"].contains(&user) {
                user = "any-dn";
            }
            let package = match net.rng.chance(700) {
                true => Package::Dialog,
                false => Package::Presence,
            };
            let after = net.rng.below(5 * SECOND);
            net.wake(self.id, after, Wake::Subscribe(self.keys.len()));
            self.keys.push(Key {
                target: Target::List { user, knows_lists },
                package,
                rates: Rates::pick(net),
                fetches: net.rng.chance(50),
                wanted: true,
                dialog: None,
            });
        }
    }
}

impl Dialog {
    /// Applies a document about one presentity: the watched one, or one of all.
    pub(super) fn take_document(&mut self, entity: &str, shown: Shown) {
        let line = Line {
            uri: entity.to_owned(),
            state: LineState::Shown(shown.clone()),
            version: None,
        };
        match self.lines.iter_mut().find(|line| line.uri == entity) {
            Some(known) => *known = line,
            None => self.lines.push(line),
        }
        self.shown = Some(shown);
    }

    /// Applies a list's body. Returns its version; the error says what a phone could not parse.
    pub(super) fn take_list(
        &mut self,
        content_type: &str,
        body: &str,
    ) -> Result<u32, &'static str> {
        let list = rlmi::read(content_type, body)?;
        let before = self.last_notify.and_then(|(_, version)| version);
        if before.is_some_and(|before| list.version <= before) {
            return Err("the phone received a lower version");
        }
        if before.is_none() && !list.is_full && self.agent.takes_all() {
            return Err("the first list is not full");
        }
        let old = std::mem::take(&mut self.lines);
        if !list.is_full {
            self.lines.clone_from(&old);
        }
        for resource in &list.resources {
            let known = old.iter().find(|line| line.uri == resource.uri);
            let mut line = known.cloned().unwrap_or_else(|| Line {
                uri: resource.uri.to_owned(),
                state: LineState::Unreported,
                version: None,
            });
            if let Some(instance) = &resource.instance {
                line.take(instance)?;
            }
            match self.lines.iter_mut().find(|known| known.uri == line.uri) {
                Some(known) => *known = line,
                None => self.lines.push(line),
            }
        }
        Ok(list.version)
    }
}

impl Line {
    fn take(&mut self, instance: &rlmi::Instance<'_>) -> Result<(), &'static str> {
        self.state = match (instance.state, instance.document) {
            (InstanceState::Active, Some(document)) => {
                let notified = documents::read(document)?;
                if notified.entity != self.uri {
                    return Err("a part about another resource");
                }
                if self.version.is_some() && notified.version <= self.version {
                    return Err("the version of a part is lower");
                }
                self.version = notified.version;
                LineState::Shown(notified.shown)
            }
            (InstanceState::Active, None) => return Err("active without a state"),
            (_, Some(_)) if instance.state == InstanceState::Pending => {
                return Err("pending with a state");
            }
            (InstanceState::Pending, _) => LineState::Pending,
            // A removed resource may be notified a last time.
            (InstanceState::Terminated(reason), _) => LineState::Terminated(reason.to_owned()),
        };
        Ok(())
    }
}
