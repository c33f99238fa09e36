//! Which CPU runs what, and how many subscriptions that allows.

use crate::config::complaint::Complainer;
use crate::config::machine::Machine;
use crate::config::schema;
use crate::shard::Options;

/// The CPUs of the shards and of the HTTP core.
pub(super) fn cpus(
    cores: &schema::Cores,
    machine: &Machine,
    complainer: &mut Complainer<'_>,
) -> (Vec<usize>, usize) {
    let allowed = list(&machine.cpus);
    for cpu in cores.shards.iter().chain(&cores.http) {
        if !machine.cpus.contains(cpu.get_ref()) {
            let what = format!("this process may not run on CPU {}", cpu.get_ref());
            complainer.add(cpu.span(), what, format!("choose from: {allowed}"));
        }
    }
    let mut shards = Vec::new();
    for cpu in &cores.shards {
        if shards.contains(cpu.get_ref()) {
            let what = format!("CPU {} is assigned to two shards", cpu.get_ref());
            complainer.add(cpu.span(), what, "assign a different CPU to each shard");
        }
        shards.push(*cpu.get_ref());
    }
    let is_free = |cpu: &&usize| !shards.contains(cpu);
    let last_free = machine
        .cpus
        .iter()
        .rev()
        .find(is_free)
        .or_else(|| machine.cpus.last());
    let http = cores.http.as_ref().map_or_else(
        || last_free.copied().unwrap_or_default(),
        |cpu| *cpu.get_ref(),
    );
    if shards.is_empty() {
        shards.extend(machine.cpus.iter().filter(|cpu| **cpu != http));
        if shards.is_empty() {
            shards.push(http);
        }
    }
    (shards, http)
}

/// Refuses more subscriptions per shard than the shards have places for.
pub(super) fn check_places(
    limits: &schema::Limits,
    shards: usize,
    complainer: &mut Complainer<'_>,
) {
    let subscriptions = &limits.subscriptions;
    let max = Options::subscriptions_max_with(shards);
    if *subscriptions.get_ref() > max {
        let count = subscriptions.get_ref();
        let what = format!("subscriptions is {count}, which is too many for {shards} shards");
        complainer.add(
            subscriptions.span(),
            what,
            format!("choose at most {max}, or fewer shards"),
        );
    }
}

/// `0, 1, 2`
fn list(numbers: &[usize]) -> String {
    numbers
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
