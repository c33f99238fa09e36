//! Domains, groups, policies and profiles, under the names of their keys in the configuration.

use std::time::Duration;

use serde_json::{Value, json};

use crate::directory::profiles::AgentPattern;
use crate::directory::{AuthMode, Directory, Domain};
use crate::http::representation::rules::word;
use crate::presence::Aor;
use crate::presence::composition::Style;
use crate::presence::event::Package;
use crate::presence::policy::{People, Policy};
use crate::presence::profile::{
    DoNotDisturbLamp, Idle, ParameterValue, Profile, Rendering, Unregistered,
};

/// A domain in short; None if there is none with that name. `accounts`: how many it has.
pub(crate) fn domain(directory: &Directory, name: &str, accounts: usize) -> Option<Value> {
    let domain = directory.domain(name)?;
    Some(json!({
        "name": domain.name,
        "managed": directory.is_managed(&domain.name),
        "auth": auth(domain.auth),
        "open": domain.open,
        "registrar": domain.is_registrar,
        "reveal_number": domain.reveal_number,
        "accounts": accounts,
        "orbits": domain.orbits.iter().map(|range| range.count()).sum::<usize>(),
        "resources": domain.resources.iter().map(|range| range.count()).sum::<usize>(),
        "privacy": domain.privacy as u8,
        "max_call_seconds": domain.max_call_duration.as_secs(),
        "min_expires_seconds": domain.min_expires.as_secs(),
        "max_expires_seconds": domain.max_expires.as_secs(),
    }))
}

/// The keys of a domain with their values, but its name, and its `parks_token`, which is secret.
pub(crate) fn settings(domain: &Domain, directory: &Directory) -> Value {
    let mut aliases = directory.names_of(&domain.name);
    aliases.retain(|alias| *alias != domain.name);
    aliases.sort_unstable();
    let mut json = json!({
        "aliases": aliases,
        "auth": auth(domain.auth),
        "trusted": texts(&domain.trusted),
        "trusted_certificates": texts(&domain.trusted_certificates),
        "client_certificates": domain.accepts_certificates,
        "reveal_number": domain.reveal_number,
        "max_call_duration": interval(domain.max_call_duration),
        "min_expires": interval(domain.min_expires),
        "min_publish_expires": interval(domain.min_publish_expires),
        "max_expires": interval(domain.max_expires),
        "open": domain.open,
        "registrar": if domain.is_registrar { "presence" } else { "none" },
        "sha256": domain.sha256,
        "any_dn": domain.any_dn.iter().map(People::text).collect::<Vec<_>>(),
        "orbits": texts(&domain.orbits),
        "resources": texts(&domain.resources),
        "voicemail_pilots": texts(&domain.voicemail_pilots),
        "privacy": domain.privacy as u8,
        "default_handling": word(domain.default_handling),
        "composition": match domain.composition {
            Style::Standard => "standard",
            Style::Alceo => "alceo",
            Style::Imagicle => "imagicle",
        },
        "dnd_lamp": lamp(domain.dnd_lamp),
    });
    if let Some(age) = domain.history_age_max {
        json["history_retention"] = interval(age);
    }
    if let Some(octets) = domain.history_octets_max {
        json["history_size"] = octets.into();
    }
    json
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// Whole seconds as a number, other times as a text.
fn interval(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => time.as_secs().into(),
        _ => humantime::format_duration(time).to_string().into(),
    }
}

const fn auth(mode: AuthMode) -> &'static str {
    match mode {
        AuthMode::Digest => "digest",
        AuthMode::Trusted => "trusted",
        AuthMode::None => "none",
    }
}

const fn lamp(lamp: DoNotDisturbLamp) -> &'static str {
    match lamp {
        DoNotDisturbLamp::None => "none",
        DoNotDisturbLamp::Confirmed => "confirmed",
        DoNotDisturbLamp::Early => "early",
    }
}

/// The groups of all domains.
pub(crate) fn groups(directory: &Directory) -> Vec<Value> {
    let of_domain = |domain: &Domain| {
        let groups = directory.groups_of(&domain.name).into_iter();
        let groups = groups.map(|(name, members)| {
            let members: Vec<_> = members.into_iter().map(Aor::as_str).collect();
            json!({"group": name, "domain": domain.name, "members": members})
        });
        groups.collect::<Vec<_>>()
    };
    directory.domains().iter().flat_map(of_domain).collect()
}

/// The policies of all domains, each domain's in the order in which they are tried.
pub(crate) fn policies(directory: &Directory) -> Vec<Value> {
    let domains = directory.domains().iter();
    domains
        .flat_map(|domain| policies_of(domain, directory))
        .collect()
}

fn policies_of(domain: &Domain, directory: &Directory) -> Vec<Value> {
    let policies = directory.policies_of(&domain.name).iter();
    policies
        .map(|policy| self::policy(policy, domain))
        .collect()
}

/// A policy of a domain.
pub(crate) fn policy(policy: &Policy, domain: &Domain) -> Value {
    json!({
        "number": policy.number,
        "domain": domain.name,
        "watcher": policy.watcher.text(),
        "presentity": policy.presentity.text(),
        "package": policy.package.map(Package::token),
        "handling": word(policy.handling),
        "privacy": policy.privacy.map(|privacy| privacy as u8),
    })
}

/// The profiles with all that they inherit, in the order in which they are tried.
pub(crate) fn profiles(directory: &Directory) -> Vec<Value> {
    let profiles = directory.profiles();
    profiles
        .map(|(agents, profile)| profile_json(agents, profile))
        .collect()
}

fn profile_json(agents: &[AgentPattern], profile: &Profile) -> Value {
    let mut json = rendering_json(profile.rendering);
    let rest = json!({
        "name": profile.name,
        "user_agents": agents.iter().map(AgentPattern::text).collect::<Vec<_>>(),
        "partial_dialog_info": profile.partial_dialog_info,
        "prefers_xpidf": profile.prefers_xpidf,
        "empty_accept_is_absent": profile.empty_accept_is_absent,
        "assumes_eventlist": profile.assumes_eventlist,
        "list_octets": profile.list_octets,
        "list_resources": profile.list_resources,
        "list_style": profile.list_is_broadworks.map(|is| if is { "broadworks" } else { "rfc" }),
        "linphone_lists": profile.linphone_lists,
        "notify_rate": profile.notify_rate,
        "notify_burst": profile.notify_burst,
        "strikes": profile.strikes,
        "min_expires_seconds": profile.min_expires.map(|time| time.as_secs()),
        "replaces_same_contact": profile.replaces_same_contact,
        "entity_tags": profile.entity_tags,
    });
    if let (Value::Object(json), Value::Object(rest)) = (&mut json, rest) {
        json.extend(rest);
    }
    json
}

fn rendering_json(rendering: Rendering) -> Value {
    json!({
        "idle": match rendering.idle {
            Idle::Terminated => "terminated",
            Idle::Empty => "empty",
        },
        "all_dialogs": rendering.all_dialogs,
        "caller_early_is_confirmed": rendering.caller_early_is_confirmed,
        "ringing_over_in_use": rendering.ringing_over_in_use,
        "parameter_value": match rendering.parameter_value {
            ParameterValue::Pval => "pval",
            ParameterValue::Both => "both",
        },
        "parked_is_early": rendering.parked_is_early,
        "unregistered": match rendering.unregistered {
            Unregistered::Idle => "idle",
            Unregistered::Empty => "empty",
        },
        "dnd_lamp": rendering.do_not_disturb.map(lamp),
        "omits_zero_urgent": rendering.omits_zero_urgent,
        "legacy_namespaces": rendering.legacy_namespaces,
    })
}
