//! `lamplighter check`: checks a configuration file.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use crate::config;
use crate::config::Plan;
use crate::tls::Certificate;

/// Prints every fault, or a summary of the configuration.
pub(super) fn run(file: &Path) -> ExitCode {
    let plan = match config::load(file) {
        Ok(loaded) => loaded.plan,
        Err(complaints) => {
            eprintln!("{complaints}");
            let count = complaints.complaints.len();
            eprintln!(
                "{count} {} found",
                if count == 1 { "fault" } else { "faults" }
            );
            return ExitCode::FAILURE;
        }
    };
    for note in &plan.notes {
        println!("note: {note}");
    }
    let (domains, listeners) = (plan.directory.domains().len(), plan.listeners.len());
    println!("{}: no errors", file.display());
    println!(
        "  SIP listeners: {listeners}, HTTP listeners: {}, domains: {domains}",
        plan.http_listeners.len()
    );
    print_certificates(&plan);
    print_outbound(&plan);
    println!(
        "  shards on CPU {:?}, HTTP on CPU {}",
        plan.shards, plan.http_cpu
    );
    println!("  control socket {}", plan.control_socket.display());
    match &plan.store {
        Some(store) => println!("  store in {}", store.directory.display()),
        None => println!("  no store: subscriptions and states end with the server"),
    }
    ExitCode::SUCCESS
}

/// Each certificate once, with its names and when it runs out.
fn print_certificates(plan: &Plan) {
    let sip = plan.listeners.iter().map(|one| &one.keyring);
    let http = plan.http_listeners.iter().map(|one| &one.keyring);
    let keyrings = sip.chain(http).flatten();
    let certificates = keyrings.flat_map(|keyring| keyring.certificates.iter());
    let certificates = certificates.chain(&plan.tls_client.certificate);
    let lines: BTreeSet<String> = certificates.map(described).collect();
    lines.iter().for_each(|line| println!("  {line}"));
}

/// The authorities that are trusted when we connect by TLS, and the name servers.
fn print_outbound(plan: &Plan) {
    match &plan.tls_client.authorities {
        Some(file) => println!("  authorities for TLS to peers: {}", file.display()),
        None => println!("  no authorities for TLS to peers: none is trusted"),
    }
    let servers = plan.dns.servers.iter().map(ToString::to_string);
    let servers: Vec<String> = servers.collect();
    match servers.is_empty() {
        true => println!("  name servers: those of /etc/resolv.conf"),
        false => println!("  name servers: {}", servers.join(", ")),
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
