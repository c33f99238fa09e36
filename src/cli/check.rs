//! `lamplighter check`: checks a configuration file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use crate::cli::output;
use crate::config;
use crate::config::Plan;
use crate::tls::Certificate;

/// Prints every fault, or a summary of the configuration.
pub(super) fn run(file: &Path) -> ExitCode {
    let plan = match config::inspect(file) {
        Ok(loaded) => loaded.plan,
        Err(complaints) => {
            let count = complaints.complaints.len();
            let faults = if count == 1 { "fault" } else { "faults" };
            return output::fail(format_args!("{complaints}\n{count} {faults} found"));
        }
    };
    let notes = plan.notes.iter().map(|note| format!("note: {note}\n"));
    let summary = summary(&plan).into_iter().map(|line| format!("  {line}\n"));
    let head = format!("{}: no errors\n", file.display());
    let lines = notes.chain([head]).chain(summary);
    output::print(lines.collect::<String>())
}

/// The lines about a configuration without a fault.
fn summary(plan: &Plan) -> Vec<String> {
    let (domains, listeners) = (plan.directory.domains().len(), plan.listeners.len());
    let http_listeners = plan.http_listeners.len();
    let mut lines = vec![format!(
        "SIP listeners: {listeners}, HTTP listeners: {http_listeners}, domains: {domains}"
    )];
    lines.extend(domains_of_api(plan));
    lines.extend(certificates(plan));
    lines.push(authorities(plan));
    lines.push(name_servers(plan));
    let (shards, http) = (&plan.shards, plan.http_cpu);
    lines.push(format!("shards on CPU {shards:?}, HTTP on CPU {http}"));
    lines.push(format!("control socket {}", plan.control_socket.display()));
    lines.push(match &plan.store {
        Some(store) => format!("store in {}", store.directory.display()),
        None => "no store: subscriptions and states end with the server".to_owned(),
    });
    lines
}

/// How many domains the HTTP API keeps, if any.
fn domains_of_api(plan: &Plan) -> Option<String> {
    let domains = plan.directory.domains().iter();
    let count = domains.filter(|domain| plan.directory.is_managed(&domain.name));
    match count.count() {
        0 => None,
        count => Some(format!("domains of the HTTP API: {count}")),
    }
}

/// Each certificate once, with its names and when it runs out.
fn certificates(plan: &Plan) -> BTreeSet<String> {
    let sip = plan.listeners.iter().map(|one| &one.keyring);
    let http = plan.http_listeners.iter().map(|one| &one.keyring);
    let keyrings = sip.chain(http).flatten();
    let certificates = keyrings.flat_map(|keyring| keyring.certificates.iter());
    let certificates = certificates.chain(&plan.tls_client.certificate);
    certificates.map(described).collect()
}

/// The authorities that are trusted when we connect by TLS.
fn authorities(plan: &Plan) -> String {
    match &plan.tls_client.authorities {
        Some(file) => format!("authorities for TLS to peers: {}", file.display()),
        None => "no authorities for TLS to peers: none is trusted".to_owned(),
    }
}

fn name_servers(plan: &Plan) -> String {
    let servers = plan.dns.servers.iter().map(ToString::to_string);
    let servers: Vec<String> = servers.collect();
    match servers.is_empty() {
        true => "name servers: those of /etc/resolv.conf".to_owned(),
        false => format!("name servers: {}", servers.join(", ")),
    }
}

/// `certificate a.pem for a.example: until 2027-11-29T12:00:00Z (364 days)`
fn described(certificate: &Certificate) -> String {
    let left = certificate.not_after.duration_since(SystemTime::now());
    let days = left.map_or_else(
        |_| "it has run out".to_owned(),
        |left| format!("{} days", left.as_secs() / (24 * 3600)),
    );
    let hosts = match certificate.hosts.is_empty() {
        true => "no host by name".to_owned(),
        false => certificate.hosts.join(", "),
    };
    let (file, end) = (certificate.path.display(), certificate.not_after);
    let end = humantime::format_rfc3339_seconds(end);
    format!("certificate {file} for {hosts}: until {end} ({days})")
}
