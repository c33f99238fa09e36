//! Reloads the configuration on its own thread, so that a slow file delays neither signals nor
//! lamps.
//!
//! Guarantees: one reload at a time, in the order in which they are asked for. A file with a fault
//! changes nothing. A file that would remove most domains or accounts changes nothing either,
//! unless the operator confirms it: an editor that truncates before it writes, or a full disk, must
//! not end all subscriptions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{io, thread};

use crate::directory::Directory;
use crate::directory::removal::Removal;
use crate::http::facts::tenants;
use crate::http::{Reloaded, SharedDirectory, Unavailable};
use crate::presence::Aor;
use crate::runtime::commander::{Commander, ReloadRequest};
use crate::runtime::edit_keeper::{OVER, WAITING};
use crate::runtime::plan::{HttpListenerPlan, ListenerPlan};
use crate::shard::Command;
use crate::tls::{SharedKeyring, SharedTlsClient, TlsClient};

/// How long a shard may take to accept a directory before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last line of a reload that changed nothing.
const UNCHANGED: &str = "the configuration was not reloaded; the old one stays in force";

/// A configuration that was read and has no fault.
#[derive(Debug)]
pub struct LoadedConfiguration {
    /// Domains, accounts and what belongs to them.
    pub directory: Arc<Directory>,
    /// The SIP listeners, of which only the certificates are taken.
    pub listeners: Vec<ListenerPlan>,
    /// The HTTP listeners, of which only the certificates are taken.
    pub http_listeners: Vec<HttpListenerPlan>,
    /// How we connect by TLS.
    pub tls_client: TlsClient,
    /// Notes for the operator: probable slips, and changes that need a restart.
    pub notes: Vec<String>,
}

/// Where a new directory is put into force.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    pub(crate) commander: Commander,
    pub(crate) directory: SharedDirectory,
    /// The SIP listeners that are served.
    pub(crate) listeners: Arc<[ListenerPlan]>,
    /// The HTTP listeners that are served.
    pub(crate) http_listeners: Arc<[HttpListenerPlan]>,
    /// How we connect by TLS.
    pub(crate) tls_client: SharedTlsClient,
}

impl Reloader {
    /// Puts a directory into force in every shard that responds, with what the operator edited. Also
    /// returns the addresses of lists and accounts whose edits no longer count.
    pub(crate) fn put(
        &self,
        new: &Directory,
        accepts_removal: bool,
    ) -> Result<(Result<(), Unavailable>, Vec<Aor>), Removal> {
        let mut over = Vec::new();
        let edit = |current: &Directory| {
            let edited;
            (edited, over) = new.clone().with_edits(current.edits());
            let removal = current.removal(&edited);
            match removal.is_drastic() && !accepts_removal {
                true => Err(removal),
                false => Ok(edited),
            }
        };
        let tell = |directory: &Arc<Directory>| {
            if let Some(historian) = self.commander.historian() {
                historian.take_limits(directory);
            }
            let reload = || Command::Reload(Arc::clone(directory));
            self.commander.ask_all(reload)
        };
        let replies = self.directory.change(edit, tell)?;
        if let Some(edits) = self.commander.edit_keeper() {
            let current = self.directory.current();
            edits.keep(&over, &current);
        }
        let mut replies = replies.wait(PATIENCE).into_iter();
        Ok((replies.try_for_each(|reply| reply.map(|_| ())), over))
    }

    /// Puts a configuration into force and reports the outcome.
    fn apply(&self, fresh: &LoadedConfiguration, accepts_removal: bool) -> Reloaded {
        match self.put(&fresh.directory, accepts_removal) {
            Err(removal) => Err(format!(
                "the file would remove {removal}; it may be truncated. If this is intended, run \
                 `lamplighter reload --accept-removal`\n{UNCHANGED}"
            )),
            Ok((Err(Unavailable), _)) => Err(
                "the configuration is in force, but not on every shard: one does not respond"
                    .to_owned(),
            ),
            Ok((Ok(()), over)) => {
                self.take_certificates(fresh);
                self.tls_client.replace(fresh.tls_client.clone());
                let over = over.iter().map(|aor| format!("{aor}: {OVER}"));
                let waiting = match self.directory.current().waiting_edits() {
                    0 => None,
                    count => Some(format!("{count} {WAITING}")),
                };
                let done = format!("reloaded: {}", tenants(&self.directory.current()));
                let lines = fresh
                    .notes
                    .iter()
                    .cloned()
                    .chain(over)
                    .chain(waiting)
                    .chain([done]);
                Ok(lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl Reloader {
    /// Has each listener use the certificates of its fresh plan from the next connection on.
    fn take_certificates(&self, fresh: &LoadedConfiguration) {
        let of_sip = |plan: &ListenerPlan| (plan.address, plan.service.keyring().cloned());
        let of_http = |plan: &HttpListenerPlan| (plan.address, plan.keyring.clone());
        replace(&self.listeners, &fresh.listeners, of_sip);
        replace(&self.http_listeners, &fresh.http_listeners, of_http);
    }
}

/// Has each listener use the certificates of the fresh one in its place, if that has the same address.
fn replace<P>(served: &[P], fresh: &[P], of: impl Fn(&P) -> (SocketAddr, Option<SharedKeyring>)) {
    for ((address, served), (fresh_address, fresh)) in
        served.iter().map(&of).zip(fresh.iter().map(&of))
    {
        if let Some((served, fresh)) = served.zip(fresh).filter(|_| address == fresh_address) {
            served.replace(fresh.current());
        }
    }
}

/// The reloader of the node that runs. It is another one if this process serves again after a take-over
/// that failed.
pub(crate) type CurrentReloader = Arc<Mutex<Reloader>>;

/// Starts the thread. It ends when all senders of requests are gone.
pub(crate) fn start(
    reloader: CurrentReloader,
    requests: mpsc::Receiver<ReloadRequest>,
    mut load: impl FnMut() -> Result<LoadedConfiguration, String> + Send + 'static,
) -> io::Result<()> {
    let serve = move || {
        for request in requests {
            let fresh = load().map_err(|faults| format!("{faults}\n{UNCHANGED}"));
            let reloader = reloader.lock().unwrap_or_else(PoisonError::into_inner);
            let reloaded = fresh.and_then(|fresh| reloader.apply(&fresh, request.accepts_removal));
            drop(reloader);
            log(&reloaded);
            if let Some(replier) = request.replier {
                replier.reply(reloaded);
            }
        }
    };
    thread::Builder::new()
        .name("reload".to_owned())
        .spawn(serve)
        .map(drop)
}

fn log(reloaded: &Reloaded) {
    match reloaded {
        Ok(text) => text.lines().for_each(|line| tracing::info!("{line}")),
        Err(text) => text.lines().for_each(|line| tracing::error!("{line}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::directory::Domain;
    use crate::dns;
    use crate::runtime::commander::Requests;
    use crate::runtime::mesh::Mesh;
    use crate::runtime::resolver::Resolver;
    use crate::shard::ShardId;

    #[test]
    fn a_reload_that_a_shard_does_not_confirm_is_not_reported_as_refused() {
        let mesh = Mesh::new(1);
        mesh.close(ShardId(0));
        let reloader = Reloader {
            commander: Commander::new(
                mesh,
                Arc::new(AtomicBool::new(true)),
                Requests::default(),
                None,
                Resolver::new(dns::Options::default(), 0),
            ),
            directory: SharedDirectory::new(Arc::new(Directory::default())),
            listeners: Arc::default(),
            http_listeners: Arc::default(),
            tls_client: SharedTlsClient::new(TlsClient::new(None, None).unwrap()),
        };
        let mut directory = Directory::default();
        directory.add_domain(Domain::new("abc.com"), &[]).unwrap();
        let fresh = LoadedConfiguration {
            directory: Arc::new(directory),
            listeners: Vec::new(),
            http_listeners: Vec::new(),
            tls_client: TlsClient::new(None, None).unwrap(),
            notes: Vec::new(),
        };
        let outcome = reloader.apply(&fresh, false).unwrap_err();
        assert_eq!(
            outcome,
            "the configuration is in force, but not on every shard: one does not respond"
        );
        assert!(reloader.directory.current().domain("abc.com").is_some());
    }
}
