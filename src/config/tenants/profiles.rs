//! Profiles: the check, and the table with the operator's profiles before the shipped ones.

use std::collections::HashMap;

use crate::config::complaint::{Complainer, Source};
use crate::config::reader::{absent, document};
use crate::config::schema;
use crate::config::schema::{DndLampKind, IdleKind, ParameterKind, StyleKind, UnregisteredKind};
use crate::config::suggestion::nearest;
use crate::directory::profiles::{AgentPattern, GENERIC};
use crate::presence::profile::{Idle, ParameterValue, Profile, Unregistered};

/// The built-in profiles.
pub const SHIPPED_FILE: &str = include_str!("../profiles.toml");

/// The User-Agents of a profile, and the profile.
pub(super) type Row = (Vec<AgentPattern>, Profile);

/// The table of the operator's profiles and the shipped ones. The operator's User-Agents are matched
/// first, and an operator's entry overrides the keys of the shipped profile of that name.
pub(super) fn table(profiles: &[schema::Profile], complainer: &mut Complainer<'_>) -> Vec<Row> {
    let shipped = shipped();
    let mut layers: HashMap<&str, Vec<&schema::Profile>> = HashMap::new();
    for profile in shipped.profile.iter().chain(profiles) {
        layers
            .entry(profile.name.get_ref().as_str())
            .or_default()
            .push(profile);
    }
    for (index, profile) in profiles.iter().enumerate() {
        check(profile, &layers, complainer);
        let name = profile.name.get_ref();
        if profiles[..index]
            .iter()
            .any(|other| other.name.get_ref() == name)
        {
            let what = format!("the profile \"{name}\" is defined twice");
            complainer.add(profile.name.span(), what, "merge the two");
        }
    }
    profiles
        .iter()
        .chain(&shipped.profile)
        .map(|profile| {
            let agents = profile.user_agents.iter();
            let agents = agents.map(|agent| AgentPattern::new(agent.get_ref()));
            (agents.collect(), inherited(profile, &layers))
        })
        .collect()
}

/// The shipped profiles; a test proves that nothing is wrong with them.
fn shipped() -> schema::Shipped {
    let source = Source {
        name: "profiles.toml".to_owned(),
        text: SHIPPED_FILE.to_owned(),
    };
    let mut complainer = Complainer::new(&source);
    let shipped = document(&source, schema::TABLES, &mut complainer);
    let shipped = shipped.unwrap_or_else(absent);
    debug_assert!(complainer.verdict().is_ok());
    shipped
}

/// Every entry of a name: the shipped one, then the operator's.
type Layers<'p> = HashMap<&'p str, Vec<&'p schema::Profile>>;

/// The longest chain of profiles that extend each other.
const DEPTH_MAX: usize = 8;

/// A profile with everything it inherits.
fn inherited(profile: &schema::Profile, layers: &Layers<'_>) -> Profile {
    let name = profile.name.get_ref();
    let mut result = Profile::default();
    for ancestor in lineage(name, layers).into_iter().rev() {
        for layer in layers.get(ancestor).into_iter().flatten() {
            apply(layer, &mut result);
        }
    }
    result.name = name.as_str().into();
    result
}

/// A name, the name that it extends, and so on to `generic`; cut off if it is cyclic.
fn lineage<'p>(name: &'p str, layers: &Layers<'p>) -> Vec<&'p str> {
    let mut lineage = vec![name];
    while let Some(last) = lineage.last()
        && *last != GENERIC
        && lineage.len() < DEPTH_MAX
    {
        let entries = layers.get(last).into_iter().flatten().rev();
        let extended = entries.filter_map(|entry| entry.extends.as_ref()).next();
        lineage.push(extended.map_or(GENERIC, |name| name.get_ref()));
    }
    lineage
}

/// Overrides a profile by the keys of an entry.
fn apply(entry: &schema::Profile, profile: &mut Profile) {
    fn set<T>(target: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *target = value;
        }
    }
    fn set_some<T>(target: &mut Option<T>, value: Option<T>) {
        if value.is_some() {
            *target = value;
        }
    }
    let rendering = &mut profile.rendering;
    let idle = entry.idle.map(|idle| match idle {
        IdleKind::Terminated => Idle::Terminated,
        IdleKind::Empty => Idle::Empty,
    });
    let parameter_value = entry.parameter_value.map(|value| match value {
        ParameterKind::Pval => ParameterValue::Pval,
        ParameterKind::Both => ParameterValue::Both,
    });
    let unregistered = entry.unregistered.map(|unregistered| match unregistered {
        UnregisteredKind::Idle => Unregistered::Idle,
        UnregisteredKind::Empty => Unregistered::Empty,
    });
    set(&mut rendering.idle, idle);
    set(&mut rendering.all_dialogs, entry.all_dialogs);
    set(
        &mut rendering.caller_early_is_confirmed,
        entry.caller_early_is_confirmed,
    );
    set(
        &mut rendering.ringing_over_in_use,
        entry.ringing_over_in_use,
    );
    set(&mut rendering.parameter_value, parameter_value);
    set(&mut rendering.parked_is_early, entry.parked_is_early);
    set(&mut rendering.unregistered, unregistered);
    let dnd_lamp = entry.dnd_lamp.map(DndLampKind::lamp);
    set_some(&mut rendering.do_not_disturb, dnd_lamp);
    set(&mut rendering.omits_zero_urgent, entry.omits_zero_urgent);
    set(&mut rendering.legacy_namespaces, entry.legacy_namespaces);
    set(&mut profile.partial_dialog_info, entry.partial_dialog_info);
    set(&mut profile.prefers_xpidf, entry.prefers_xpidf);
    set(
        &mut profile.empty_accept_is_absent,
        entry.empty_accept_is_absent,
    );
    set(&mut profile.assumes_eventlist, entry.assumes_eventlist);
    set(
        &mut profile.replaces_same_contact,
        entry.replaces_same_contact,
    );
    set(&mut profile.entity_tags, entry.entity_tags);
    let list_octets = entry.list_octets;
    let list_octets = list_octets.and_then(|octets| u32::try_from(octets.0).ok());
    set_some(&mut profile.list_octets, list_octets);
    set_some(&mut profile.list_resources, entry.list_resources);
    let is_broadworks = entry.list_style.map(|style| style == StyleKind::Broadworks);
    set_some(&mut profile.list_is_broadworks, is_broadworks);
    set(&mut profile.linphone_lists, entry.linphone_lists);
    set_some(&mut profile.notify_rate, entry.notify_rate);
    set_some(&mut profile.notify_burst, entry.notify_burst);
    set_some(&mut profile.strikes, entry.strikes);
    let min_expires = entry.min_expires;
    set_some(&mut profile.min_expires, min_expires.map(|time| time.0));
}

/// Complains of what is wrong with a profile of the operator.
fn check(profile: &schema::Profile, layers: &Layers<'_>, complainer: &mut Complainer<'_>) {
    let name = profile.name.get_ref();
    let is_token = |text: &str| {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        (1..=64).contains(&text.len()) && text.chars().all(legal)
    };
    if !is_token(name) {
        let what = format!("{name:?} is not a valid profile name");
        complainer.add(
            profile.name.span(),
            what,
            "use 1 to 64 letters, digits, '-', '_' or '.'",
        );
    }
    for agent in &profile.user_agents {
        let text = agent.get_ref();
        if text.trim_start_matches('*').trim().is_empty() || text.len() > 256 {
            let remedy = "write how the User-Agent begins, like \"Yealink\", or what it contains, like \"*-3PCC\"";
            complainer.add(
                agent.span(),
                format!("{text:?} is not a User-Agent pattern"),
                remedy,
            );
        }
    }
    let is_known = layers
        .get(name.as_str())
        .is_some_and(|entries| entries.len() > 1);
    if profile.user_agents.is_empty() && !is_known && name != GENERIC {
        let extended = layers.values().flatten().any(|other| {
            other
                .extends
                .as_ref()
                .is_some_and(|extended| extended.get_ref() == name)
        });
        if !extended {
            let what = format!("the profile \"{name}\" matches no phone");
            let known: Vec<&str> = known_names(layers)
                .into_iter()
                .filter(|other| other != name)
                .collect();
            let remedy = match nearest(name, &known) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "name its phones with user_agents = [...]".to_owned(),
            };
            complainer.add(profile.name.span(), what, remedy);
        }
    }
    check_extends(profile, layers, complainer);
}

/// Complains of a profile to extend that does not exist or leads nowhere.
fn check_extends(profile: &schema::Profile, layers: &Layers<'_>, complainer: &mut Complainer<'_>) {
    let Some(extends) = &profile.extends else {
        return;
    };
    let name = profile.name.get_ref();
    let extended = extends.get_ref().as_str();
    if extended != GENERIC && !layers.contains_key(extended) {
        let known = known_names(layers);
        let remedy = match nearest(extended, &known) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("known profiles: {}", known.join(", ")),
        };
        let what = format!("there is no profile \"{extended}\"");
        complainer.add(extends.span(), what, remedy);
    } else if lineage(name, layers).len() == DEPTH_MAX {
        let what =
            format!("the profile \"{name}\" extends itself, or extends through too many others");
        let remedy = format!("let one of them extend \"{GENERIC}\"");
        complainer.add(extends.span(), what, remedy);
    }
}

/// All names, in alphabetical order.
fn known_names<'p>(layers: &Layers<'p>) -> Vec<&'p str> {
    let mut known: Vec<&str> = layers.keys().copied().chain([GENERIC]).collect();
    known.sort_unstable();
    known.dedup();
    known
}
