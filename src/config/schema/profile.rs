//! `[[profile]]`: a family of User-Agents. Shipped ones (`profiles.toml`) and the operator's are
//! written alike.

use serde::Deserialize;
use toml::Spanned;

use crate::config::quantity::Interval;
use crate::config::quantity::Octets;
use crate::config::schema::StyleKind;

/// One profile: what is not said is inherited. The keys are the fields of
/// `presence::profile::Profile` and of its `Rendering`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "named as in presence::profile, explained in default.toml"
)]
pub struct Profile {
    /// Its name; one that is known already is changed.
    pub name: Spanned<String>,
    /// Whose values it inherits; `generic` when it does not say.
    pub extends: Option<Spanned<String>>,
    /// How its User-Agents begin; with a star before it, what they contain.
    #[serde(default)]
    pub user_agents: Vec<Spanned<String>>,
    pub idle: Option<IdleKind>,
    pub all_dialogs: Option<bool>,
    pub caller_early_is_confirmed: Option<bool>,
    pub ringing_over_in_use: Option<bool>,
    pub parameter_value: Option<ParameterKind>,
    pub parked_is_early: Option<bool>,
    pub unregistered: Option<UnregisteredKind>,
    pub omits_zero_urgent: Option<bool>,
    pub legacy_namespaces: Option<bool>,
    pub partial_dialog_info: Option<bool>,
    pub prefers_xpidf: Option<bool>,
    pub empty_accept_is_absent: Option<bool>,
    pub assumes_eventlist: Option<bool>,
    pub list_octets: Option<Spanned<Octets>>,
    pub list_resources: Option<Spanned<u16>>,
    pub list_style: Option<StyleKind>,
    pub linphone_lists: Option<bool>,
    pub notify_rate: Option<u32>,
    pub notify_burst: Option<Spanned<u32>>,
    pub strikes: Option<Spanned<u8>>,
    pub min_expires: Option<Spanned<Interval>>,
    pub replaces_same_contact: Option<bool>,
    pub entity_tags: Option<bool>,
}

/// How an idle user reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdleKind {
    /// One dialog that is terminated.
    Terminated,
    /// No dialog.
    Empty,
}

/// How the value of a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// `pval`
    Pval,
    /// `pval` and `pvalue`
    Both,
}

/// How a user of whom nobody knows where he is reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnregisteredKind {
    /// Like everybody without a call.
    Idle,
    /// No dialog.
    Empty,
}
