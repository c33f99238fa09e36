//! `[[profile]]`: a family of User-Agents. Shipped profiles (`profiles.toml`) and the operator's have one format.

use toml::Spanned;

use crate::config::quantity::{Interval, Octets};
use crate::config::reader::{keys, words};
use crate::config::schema::{DndLampKind, StyleKind};

keys! {
    /// The shipped file: `[[profile]]` alone.
    pub(in crate::config) struct Shipped in "" {
        /// `[[profile]]`
        pub profile: Vec<Profile> = Vec::new();
    }
}

keys! {
    /// One profile: keys that are not set are inherited. The keys are the fields of
    /// `presence::profile::Profile` and of its `Rendering`.
    #[allow(
        missing_docs,
        reason = "named as in presence::profile, explained in default.toml"
    )]
    pub struct Profile in "[[profile]]" {
        /// Name; an existing profile of that name is overridden.
        pub name: Spanned<String>;
        /// Parent profile; default `generic`.
        pub extends: Option<Spanned<String>> = None;
        /// User-Agent prefixes; after a star, substrings.
        pub user_agents: Vec<Spanned<String>> = Vec::new();
        pub idle: Option<IdleKind> = None;
        pub all_dialogs: Option<bool> = None;
        pub caller_early_is_confirmed: Option<bool> = None;
        pub ringing_over_in_use: Option<bool> = None;
        pub parameter_value: Option<ParameterKind> = None;
        pub parked_is_early: Option<bool> = None;
        pub unregistered: Option<UnregisteredKind> = None;
        pub dnd_lamp: Option<DndLampKind> = None;
        pub omits_zero_urgent: Option<bool> = None;
        pub legacy_namespaces: Option<bool> = None;
        pub partial_dialog_info: Option<bool> = None;
        pub prefers_xpidf: Option<bool> = None;
        pub empty_accept_is_absent: Option<bool> = None;
        pub assumes_eventlist: Option<bool> = None;
        pub list_octets: Option<Octets> = None, in Octets(1 << 10)..=Octets(60 << 10);
        pub list_resources: Option<u16> = None, in 1..=1_000;
        pub list_style: Option<StyleKind> = None;
        pub linphone_lists: Option<bool> = None;
        pub notify_rate: Option<u32> = None;
        pub notify_burst: Option<u32> = None, in 1..=1_000_000;
        pub strikes: Option<u8> = None, in 1..=100;
        pub min_expires: Option<Interval> = None, in Interval::SECOND..=Interval::HOUR;
        pub replaces_same_contact: Option<bool> = None;
        pub entity_tags: Option<bool> = None;
    }
}

words! {
    /// How an idle user is rendered.
    pub enum IdleKind {
        /// One dialog that is terminated.
        Terminated = "terminated",
        /// No dialog.
        Empty = "empty",
    }
}

words! {
    /// How the value of a parameter is written.
    pub enum ParameterKind {
        /// `pval`
        Pval = "pval",
        /// `pval` and `pvalue`
        Both = "both",
    }
}

words! {
    /// How a user without a registered contact is shown.
    pub enum UnregisteredKind {
        /// Like any user without a call.
        Idle = "idle",
        /// No dialog.
        Empty = "empty",
    }
}
