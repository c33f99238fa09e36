//! The parameters of a run: a TOML file of keys. Each key is documented in
//! `scenarios/default.toml`, has a default, and can be overridden on the command line. Unknown keys
//! are refused.
//!
//! The built-in scenarios are compiled in; any other scenario is given by its path.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::ports::Transport;
use crate::wire::dialog_info::Lamp;

/// The built-in scenarios, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("blf-office", include_str!("../scenarios/blf-office.toml")),
    ("fan-out", include_str!("../scenarios/fan-out.toml")),
    ("refresh", include_str!("../scenarios/refresh.toml")),
    ("cold-boot", include_str!("../scenarios/cold-boot.toml")),
    (
        "publish-flap",
        include_str!("../scenarios/publish-flap.toml"),
    ),
    ("http-feed", include_str!("../scenarios/http-feed.toml")),
    ("rls-1000", include_str!("../scenarios/rls-1000.toml")),
    (
        "overload-200",
        include_str!("../scenarios/overload-200.toml"),
    ),
    ("churn", include_str!("../scenarios/churn.toml")),
    ("one-sbc", include_str!("../scenarios/one-sbc.toml")),
];
/// Every key with its default and its meaning.
pub(crate) const DEFAULT: &str = include_str!("../scenarios/default.toml");

/// How changes are reported to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Feed {
    Publish,
    Http,
}

/// How long a publication lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PublicationOf {
    /// As long as the run: calls begin and end in it, and it is removed at the end.
    User,
    /// Until its user is free.
    Call,
}

/// The distribution of events in an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrival {
    Even,
    Poisson,
}

/// The first version of a subscription's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FirstVersion {
    /// 0, as RFC 4235 §4.1 says.
    Zero,
    /// Any version.
    Any,
}

/// Where the server gets the contents of a list from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListBy {
    /// In the SUBSCRIBE (RFC 5367).
    Body,
    /// In its configuration, under the name of the list.
    Name,
}

/// All keys; their meaning is documented in `scenarios/default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "documented once, in scenarios/default.toml")]
pub(crate) struct Scenario {
    pub(crate) about: String,

    pub(crate) phones: u32,
    pub(crate) keys: u32,
    pub(crate) presentities: u32,
    pub(crate) sockets: u32,
    pub(crate) transport: Transport,
    pub(crate) offload: bool,

    pub(crate) list_size: u32,
    pub(crate) list_by: ListBy,
    pub(crate) list_user: String,

    pub(crate) subscribe_rate: f64,
    #[serde(with = "span")]
    pub(crate) expires: Duration,
    #[serde(with = "span")]
    pub(crate) duration: Duration,
    pub(crate) leave: bool,

    pub(crate) feed: Feed,
    pub(crate) publication_of: PublicationOf,
    pub(crate) http_connections: u32,
    pub(crate) arrival: Arrival,
    pub(crate) call_rate: f64,
    #[serde(with = "span")]
    pub(crate) ring_time: Duration,
    #[serde(with = "span")]
    pub(crate) talk_time: Duration,
    pub(crate) change_rate: f64,
    pub(crate) change_states: Vec<Lamp>,
    pub(crate) refresh_rate: f64,

    pub(crate) reboot_rate: f64,
    pub(crate) forget_rate: f64,
    pub(crate) withhold: f64,
    pub(crate) loss: f64,

    pub(crate) overload: f64,
    #[serde(with = "span")]
    pub(crate) search_step: Duration,
    pub(crate) goodput_min: f64,
    #[serde(with = "span")]
    pub(crate) stale_max: Duration,

    pub(crate) first_version: FirstVersion,
    #[serde(with = "span")]
    pub(crate) patience: Duration,
    #[serde(with = "span")]
    pub(crate) settle: Duration,
    pub(crate) sample: u32,
    pub(crate) seed: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: String::new(),
            phones: 100,
            keys: 10,
            presentities: 100,
            sockets: 0,
            transport: Transport::Udp,
            offload: false,
            list_size: 0,
            list_by: ListBy::Body,
            list_user: "rls".to_owned(),
            subscribe_rate: 1000.0,
            expires: Duration::from_secs(3600),
            duration: Duration::from_secs(20),
            leave: true,
            feed: Feed::Publish,
            publication_of: PublicationOf::User,
            http_connections: 8,
            arrival: Arrival::Poisson,
            call_rate: 0.0,
            ring_time: Duration::from_secs(1),
            talk_time: Duration::from_secs(3),
            change_rate: 0.0,
            change_states: vec![Lamp::Ringing, Lamp::Busy, Lamp::Off],
            refresh_rate: 0.0,
            reboot_rate: 0.0,
            forget_rate: 0.0,
            withhold: 0.0,
            loss: 0.0,
            overload: 0.0,
            search_step: Duration::from_secs(2),
            goodput_min: 90.0,
            stale_max: Duration::from_secs(5),
            first_version: FirstVersion::Zero,
            patience: Duration::from_secs(40),
            settle: Duration::from_millis(300),
            sample: 1000,
            seed: 1,
        }
    }
}

impl Scenario {
    /// Reads a scenario by name, or by path if it contains a `/` or a `.`, with `key=value`
    /// overrides. The error is a sentence.
    pub(crate) fn load(name: &str, overrides: &[String]) -> Result<Self, String> {
        let text = if name.contains(['/', '.']) {
            std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?
        } else {
            let found = BUILT_IN.iter().find(|(known, _)| *known == name);
            let names: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            let (_, text) = found.ok_or_else(|| {
                format!(
                    "unknown scenario {name}; use {}, or a path",
                    names.join(", ")
                )
            })?;
            (*text).to_owned()
        };
        Self::parse(&text, overrides).map_err(|error| format!("{name}: {error}"))
    }

    /// Reads the text of a scenario.
    pub(crate) fn parse(text: &str, overrides: &[String]) -> Result<Self, String> {
        let mut table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        for assignment in overrides {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| format!("--set {assignment}: expected key=value"))?;
            table.insert(key.trim().to_owned(), value_of(value.trim()));
        }
        let scenario: Self = table.try_into().map_err(|error| format!("{error}"))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The built-in scenarios: name and description.
    pub(crate) fn list() -> Vec<(&'static str, String)> {
        let about = |text| Self::parse(text, &[]).map_or_else(|error| error, |one| one.about);
        BUILT_IN
            .iter()
            .map(|(name, text)| (*name, about(text)))
            .collect()
    }

    /// Every key with its value, in the format of a scenario file.
    pub(crate) fn table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    /// The total number of subscriptions.
    pub(crate) fn subscriptions(&self) -> u32 {
        self.phones.saturating_mul(self.keys)
    }

    /// The number of presentities watched by one subscription.
    pub(crate) fn sights_per_subscription(&self) -> u32 {
        self.list_size.max(1)
    }

    /// The lamp after a user's next change. call_state.htm cannot report ringing.
    pub(crate) fn state_after(&self, lamp: Lamp) -> Lamp {
        let known = |next: &&Lamp| self.feed == Feed::Publish || **next != Lamp::Ringing;
        let mut states = self.change_states.iter().filter(known).cycle();
        let of_round = self.change_states.len();
        // A lamp that is not among the states is followed by the first state.
        let first = states.clone().next().copied().unwrap_or(Lamp::Off);
        match states.by_ref().take(of_round).any(|one| *one == lamp) {
            true => states.next().copied().unwrap_or(first),
            false => first,
        }
    }

    /// UDP ports or connections.
    pub(crate) fn ports(&self) -> u32 {
        match self.sockets {
            0 => self.phones,
            sockets => sockets.min(self.phones),
        }
    }

    fn check(&self) -> Result<(), String> {
        let rates = [
            self.subscribe_rate,
            self.call_rate,
            self.change_rate,
            self.refresh_rate,
            self.reboot_rate,
            self.forget_rate,
            self.overload,
        ];
        let percents = [self.withhold, self.loss];
        let subscriptions = u64::from(self.phones) * u64::from(self.keys);
        let sights = subscriptions * u64::from(self.sights_per_subscription());
        let faults = [
            (self.phones == 0, "phones: at least 1"),
            (self.keys == 0, "keys: at least 1"),
            (self.presentities == 0, "presentities: at least 1"),
            (self.sample == 0, "sample: at least 1"),
            (sights > 1 << 28, "phones * keys * list_size: too many"),
            (
                self.list_size > self.presentities,
                "list_size: at most the number of presentities",
            ),
            (
                !rates.iter().all(|rate| (0.0..=1e7).contains(rate)),
                "a rate: 0 to 10000000 per second",
            ),
            (
                !percents.iter().all(|rate| (0.0..=90.0).contains(rate)),
                "withhold, loss: 0 to 90 percent",
            ),
            (self.expires.as_secs() < 60, "expires: at least 60s"),
            (
                self.overload > 0.0 && self.change_rate == 0.0,
                "overload: needs a change_rate to begin the search with",
            ),
            (
                self.state_after(self.state_after(Lamp::Off)) == self.state_after(Lamp::Off),
                "change_states: at least two (by HTTP there is no ringing)",
            ),
            (
                self.search_step < Duration::from_millis(100),
                "search_step: at least 100ms",
            ),
            (
                self.duration.as_secs_f64() > self.expires.as_secs_f64() * 0.8,
                "duration: at most 80 % of expires, because nothing is refreshed automatically",
            ),
        ];
        match faults.iter().find(|(wrong, _)| *wrong) {
            Some((_, text)) => Err((*text).to_owned()),
            None => Ok(()),
        }
    }
}

/// Parses a value as a TOML expression; text that is not TOML becomes a string.
fn value_of(text: &str) -> toml::Value {
    let parsed: Result<toml::Table, _> = format!("value = {text}").parse();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// Time spans: seconds, or a text such as `1m 30s`.
mod span {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*span))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        let span = match Written::deserialize(from)? {
            Written::Seconds(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
            }
            Written::Text(text) => {
                humantime::parse_duration(&text).map_err(|error| format!("{text:?}: {error}"))
            }
        };
        span.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        assert_eq!(Scenario::parse(DEFAULT, &[]).unwrap(), Scenario::default());
        let documented: toml::Table = DEFAULT.parse().unwrap();
        let keys = Scenario::default().table();
        let names = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&documented), names(&keys));
    }

    #[test]
    fn every_scenario_is_read_and_has_a_description() {
        for (name, about) in Scenario::list() {
            let scenario = Scenario::load(name, &[]).unwrap();
            assert_eq!(scenario.about, about);
            assert!(about.len() > 20, "{name}: {about}");
        }
    }

    #[test]
    fn keys_are_overridden() {
        let set = [
            "call_rate=7",
            "transport=tcp",
            "duration = 1m 5s",
            "expires=\"2h\"",
        ];
        let set = set.map(str::to_owned);
        let scenario = Scenario::load("blf-office", &set).unwrap();
        assert_eq!(
            (scenario.call_rate, scenario.transport),
            (7.0, Transport::Tcp)
        );
        assert_eq!(scenario.duration, Duration::from_secs(65));
        assert_eq!(scenario.expires, Duration::from_secs(7200));
    }

    #[test]
    fn states_go_round() {
        let with = |states: &str, feed: &str| {
            let set = [format!("change_states={states}"), format!("feed={feed}")];
            Scenario::parse("", &set).unwrap()
        };
        let round = |scenario: &Scenario| {
            let next = |lamp: &Lamp| Some(scenario.state_after(*lamp));
            std::iter::successors(Some(Lamp::Off), next)
                .skip(1)
                .take(4)
                .collect::<Vec<_>>()
        };
        let all = with("[\"ringing\", \"busy\", \"free\"]", "publish");
        assert_eq!(
            round(&all),
            [Lamp::Ringing, Lamp::Busy, Lamp::Off, Lamp::Ringing]
        );
        let http = with("[\"ringing\", \"busy\", \"free\"]", "http");
        assert_eq!(round(&http), [Lamp::Busy, Lamp::Off, Lamp::Busy, Lamp::Off]);
        let never_free = with("[\"ringing\", \"busy\"]", "publish");
        assert_eq!(
            round(&never_free),
            [Lamp::Ringing, Lamp::Busy, Lamp::Ringing, Lamp::Busy]
        );
    }

    #[test]
    fn impossible_scenarios_are_refused() {
        for (line, word) in [
            ("phonse=3", "phonse"),
            ("phones=0", "phones"),
            ("transport=sctp", "sctp"),
            ("duration=2h", "duration"),
            ("ring_time=soon", "soon"),
            ("loss=99", "loss"),
            ("overload=200", "overload"),
            ("keys", "key=value"),
            ("list_size=200", "list_size"),
            ("change_states=[\"busy\"]", "change_states"),
            ("change_states=[\"blue\"]", "blue"),
        ] {
            let error = Scenario::parse("", &[line.to_owned()]).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
        assert!(
            Scenario::load("nonsense", &[])
                .unwrap_err()
                .contains("blf-office")
        );
    }
}
