//! Groups, policies and profiles in an export, under the names of their keys in the configuration.

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::directory::Domain;
use crate::directory::profiles::AgentPattern;
use crate::http::representation::rules::word;
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::Policy;
use crate::presence::profile::{
    DoNotDisturbLamp, Idle, ParameterValue, Profile, Rendering, Unregistered,
};

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

/// The policies of a domain, in the order in which they are tried.
pub(crate) fn policies_of(domain: &Domain, directory: &Directory) -> Vec<Value> {
    let policies = directory.policies_of(&domain.name).iter();
    policies.map(|policy| policy_json(policy, domain)).collect()
}

fn policy_json(policy: &Policy, domain: &Domain) -> Value {
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
        "dnd_lamp": rendering.do_not_disturb.map(|lamp| match lamp {
            DoNotDisturbLamp::None => "none",
            DoNotDisturbLamp::Confirmed => "confirmed",
            DoNotDisturbLamp::Early => "early",
        }),
        "omits_zero_urgent": rendering.omits_zero_urgent,
        "legacy_namespaces": rendering.legacy_namespaces,
    })
}
