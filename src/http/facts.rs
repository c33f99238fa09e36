//! Facts about a running node: where it listens, which tenants it serves, since when.

use std::net::SocketAddr;
use std::time::Instant;

use crate::directory::Directory;
use crate::sip::Transport;

/// What does not change after the start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where SIP is listened on, as bound.
    pub sip: Vec<(Transport, SocketAddr)>,
    /// Where HTTP is listened on, as bound.
    pub http: Vec<SocketAddr>,
    /// When the node was started.
    pub started: Instant,
}

impl Facts {
    /// `SIP on udp 0.0.0.0:5060, HTTP on 127.0.0.1:8080`
    #[must_use]
    pub fn listeners(&self) -> String {
        let sip = self.sip.iter();
        let sip = sip
            .map(|(transport, address)| format!("SIP on {} {address}", transport.uri_parameter()));
        let http = self.http.iter().map(|address| format!("HTTP on {address}"));
        sip.chain(http).collect::<Vec<_>>().join(", ")
    }
}

/// `1 domain, 3 accounts`
#[must_use]
pub fn tenants(directory: &Directory) -> String {
    let (domains, accounts) = directory.count();
    format!(
        "{}, {}",
        counted(domains as u64, "domain"),
        counted(accounts as u64, "account")
    )
}

/// `1 phone`, `2 phones`
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
