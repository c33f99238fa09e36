//! Reloads the configuration, and applies what the HTTP API changes in it, on a thread of its own, so that a
//! slow file or disk delays neither signals nor lamps.
//!
//! Guarantees: one at a time, in the order in which they are asked for. A file with a fault changes nothing. A
//! file that would remove most domains or accounts changes nothing either, unless the operator confirms it: an
//! editor that truncates before it writes, or a full disk, must not end all subscriptions. A change is
//! acknowledged once it is on the disk and in force on every shard.

use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use std::{io, thread};

use crate::directory::Directory;
use crate::directory::edits::Edit;
use crate::directory::managed::{ChangeRefusal, Changed, ManagedChange, Precondition};
use crate::directory::removal::Removal;
use crate::http::facts::tenants;
use crate::http::{Reloaded, SharedDirectory, Unavailable};
use crate::presence::Aor;
use crate::relay::RelayPlan;
use crate::runtime::commander::{CHANGE_WAIT_MAX, Commander, ReloadRequest};
use crate::runtime::edit_keeper::OVER;
use crate::runtime::eraser::Eraser;
use crate::runtime::plan::{HttpListenerPlan, ListenerPlan};
use crate::runtime::services::ServiceKeeper;
use crate::shard::Command;
use crate::tls::{SharedKeyring, SharedTlsClient, TlsClient};

/// How long a shard may take to accept a directory before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of how many addresses a reload says that their edits are not in force.
const WAITING_SHOWN_MAX: usize = 20;

/// How often directories that were replaced are freed, while nothing is reloaded.
const FREE_EVERY: Duration = Duration::from_secs(1);

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
    /// The relays.
    pub relays: Vec<RelayPlan>,
    /// Notes for the operator: probable slips, and changes that need a restart.
    pub notes: Vec<String>,
}

/// A configuration with a change of what the HTTP API keeps, read and without a fault.
pub struct LoadedChange {
    /// The configuration.
    pub loaded: LoadedConfiguration,
    /// The own name of the domain that is changed.
    pub domain: String,
    /// Whether the domain or group is new.
    pub is_new: bool,
    /// Whether the domain is removed.
    pub is_removal: bool,
    /// Puts the change on the disk.
    pub write: Box<dyn FnOnce() -> io::Result<()>>,
}

/// The files of the configuration.
pub trait ConfigurationFiles: Send + 'static {
    /// Reads them.
    ///
    /// # Errors
    /// Every fault in them.
    fn load(&mut self) -> Result<LoadedConfiguration, String>;

    /// Reads them as they would be with a change; `current`: the directory in force.
    ///
    /// # Errors
    /// The change, or the configuration with it, is not valid; or the file that is changed is neither the one that
    /// is in force, nor was it written by the server.
    fn load_changed(
        &mut self,
        change: &ManagedChange,
        current: &Directory,
    ) -> Result<LoadedChange, ChangeRefusal>;
}

/// Where a new directory is put into force.
#[derive(Clone, Debug)]
pub(crate) struct Reloader {
    pub(crate) commander: Commander,
    pub(crate) directory: SharedDirectory,
    /// Erases the people of domains that are removed.
    pub(crate) eraser: Eraser,
    /// The SIP listeners that are served.
    pub(crate) listeners: Arc<[ListenerPlan]>,
    /// The HTTP listeners that are served.
    pub(crate) http_listeners: Arc<[HttpListenerPlan]>,
    /// How we connect by TLS.
    pub(crate) tls_client: SharedTlsClient,
    /// The connectors without SIP, and the relays.
    pub(crate) services: ServiceKeeper,
}

/// A directory that is in force, and what came of it.
pub(crate) struct PutDirectory {
    directory: Arc<Directory>,
    /// Whether every shard confirmed it.
    pub(crate) told: Result<(), Unavailable>,
    /// Whether the edits that were forgotten are so on the disk.
    is_kept: bool,
    /// Addresses of lists and accounts whose edits no longer count.
    over: Vec<Aor>,
}

impl Reloader {
    /// Puts a directory into force in every shard that responds, with what the operator edited, except in the
    /// domain `removed`: those edits are forgotten.
    pub(crate) fn put(
        &self,
        new: &Directory,
        accepts_removal: bool,
        removed: Option<&str>,
    ) -> Result<PutDirectory, Removal> {
        let (mut over, mut forgotten) = (Vec::new(), Vec::new());
        let edit = |current: &Directory| {
            let edited;
            let is_kept = |edit: &Edit| removed != Some(edit.aor.domain());
            let (kept, of_removed): (Vec<Edit>, _) = current.edits().into_iter().partition(is_kept);
            forgotten = of_removed.into_iter().map(|edit| edit.aor).collect();
            (edited, over) = new.clone().with_edits(kept);
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
            (Arc::clone(directory), self.commander.ask_all(reload))
        };
        let (directory, replies) = self.directory.replace(edit, tell)?;
        let is_kept = self.commander.edit_keeper().is_none_or(|edits| {
            let current = self.directory.current();
            edits.keep(&over, &current);
            let through = edits.keep(&forgotten, &current);
            forgotten.is_empty() || edits.wait_durable(through)
        });
        let mut replies = replies.wait(PATIENCE).into_iter();
        Ok(PutDirectory {
            directory,
            told: replies.try_for_each(|reply| reply.map(|_| ())),
            is_kept,
            over,
        })
    }

    /// Puts a configuration into force and reports the outcome.
    fn apply(&self, fresh: &LoadedConfiguration, accepts_removal: bool) -> Reloaded {
        let put = self.put(&fresh.directory, accepts_removal, None);
        let put = put.map_err(|removal| {
            format!(
                "{}. If this is intended, run `lamplighter reload --accept-removal`\n{UNCHANGED}",
                truncated(&removal)
            )
        })?;
        if let Err(Unavailable) = put.told {
            return Err(
                "the configuration is in force, but not on every shard: one does not respond"
                    .to_owned(),
            );
        }
        self.take_rest(fresh);
        let over = put.over.iter().map(|aor| format!("{aor}: {OVER}"));
        let current = self.directory.current();
        let waiting = waiting(&current);
        let done = format!("reloaded: {}", tenants(&put.directory));
        let notes = fresh.notes.iter().cloned();
        let lines = notes.chain(over).chain(waiting).chain([done]);
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Puts a change on the disk and into force.
    fn apply_change(&self, change: LoadedChange) -> Result<Changed, ChangeRefusal> {
        let LoadedChange {
            loaded,
            domain,
            is_new,
            is_removal,
            write,
        } = change;
        let checked = |current: &Directory| check_change(current, &loaded.directory, &domain);
        if is_new && self.eraser.is_pending(&domain) {
            let why = "the people of the former domain of that name are still being erased: put it again in a moment";
            return Err(ChangeRefusal::Conflict(why.to_owned()));
        }
        // Until it is in force, no edit is made that it makes impossible.
        let _announced = self.directory.announce(checked)?;
        if let Err(why) = self.write(write, is_removal.then_some(&*domain)) {
            let why = format!("the change is not on the disk: {why}");
            return Err(ChangeRefusal::NotWritten(why));
        }
        let put = self.put(&loaded.directory, true, is_removal.then_some(&*domain));
        let put = put.map_err(|removal| ChangeRefusal::Configuration(truncated(&removal)))?;
        self.take_rest(&loaded);
        if is_removal {
            self.eraser.erase(&domain);
        }
        put.told.map_err(|Unavailable| ChangeRefusal::HalfDone)?;
        if !put.is_kept {
            let why = "the domain is removed, but the store did not take in time that its accounts are too";
            return Err(ChangeRefusal::NotWritten(why.to_owned()));
        }
        Ok(Changed {
            domain,
            is_new,
            directory: put.directory,
        })
    }

    /// Writes a change. If it removes a domain, first notes that its people are to be erased, so that a later process
    /// does it if this one ends.
    fn write(
        &self,
        write: impl FnOnce() -> io::Result<()>,
        removed: Option<&str>,
    ) -> Result<(), String> {
        let Some(domain) = removed else {
            return write().map_err(|error| error.to_string());
        };
        let written = match self.eraser.begin(domain) {
            true => write().map_err(|error| error.to_string()),
            false => Err("the store is behind".to_owned()),
        };
        if written.is_err() {
            self.eraser.cancel(domain);
        }
        written
    }

    /// Takes what a configuration has besides its directory.
    fn take_rest(&self, fresh: &LoadedConfiguration) {
        self.take_certificates(fresh);
        self.tls_client.replace(fresh.tls_client.clone());
        self.services.put(&fresh.relays, &self.tls_client);
    }
}

/// A directory with a change, and with what the operator edited. Refuses one that would remove more than the domain
/// that is changed, or make an edit impossible.
fn check_change(
    current: &Directory,
    new: &Directory,
    domain: &str,
) -> Result<Directory, ChangeRefusal> {
    let (edited, _) = new.clone().with_edits(current.edits());
    let removal = current.removal_besides(&edited, domain);
    if removal.is_drastic() {
        return Err(ChangeRefusal::Configuration(truncated(&removal)));
    }
    let waiting = edited.newly_waiting(current);
    match waiting.iter().find(|aor| aor.domain() == domain) {
        None if waiting.is_empty() => Ok(edited),
        Some(first) => Err(ChangeRefusal::Conflict(format!(
            "the edited account or list {first} is not possible with this"
        ))),
        None => Err(ChangeRefusal::Configuration(format!(
            "{} edited accounts and lists are not possible with the configuration as it is now",
            waiting.len()
        ))),
    }
}

/// The edits that are not in force with this directory, a line each.
fn waiting(directory: &Directory) -> Vec<String> {
    let aors = directory.waiting();
    let line = |aor: &&Aor| {
        let why = match directory.domain(aor.domain()) {
            None => "its domain is missing",
            Some(_) => "another entry has its address or auth_id",
        };
        format!("{aor}: edited, not in force: {why}")
    };
    let more = aors.len().saturating_sub(WAITING_SHOWN_MAX);
    let more = (more > 0).then(|| format!("edited, not in force: {more} more"));
    let shown = aors.iter().take(WAITING_SHOWN_MAX).map(line);
    shown.chain(more).collect()
}

/// Why a directory that would remove most is not put into force.
fn truncated(removal: &Removal) -> String {
    format!("the file would remove {removal}; it may be truncated")
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
    mut files: impl ConfigurationFiles,
) -> io::Result<()> {
    let serve = move || {
        loop {
            current(&reloader).directory.free_replaced();
            let request = match requests.recv_timeout(FREE_EVERY) {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match request {
                ReloadRequest::Reload {
                    accepts_removal,
                    replier,
                } => {
                    let reloaded = reload(&reloader, &mut files, accepts_removal);
                    log(&reloaded);
                    if let Some(replier) = replier {
                        replier.reply(reloaded);
                    }
                }
                ReloadRequest::Change {
                    change,
                    precondition,
                    asked,
                    replier,
                } => {
                    // Without a reply the caller is told that the server is busy.
                    if asked.elapsed() > CHANGE_WAIT_MAX {
                        continue;
                    }
                    let changed = self::change(&reloader, &mut files, &change, precondition);
                    log_change(change.domain(), &changed);
                    replier.reply(changed);
                }
            }
        }
    };
    thread::Builder::new()
        .name("reload".to_owned())
        .spawn(serve)
        .map(drop)
}

fn reload(
    reloader: &CurrentReloader,
    files: &mut impl ConfigurationFiles,
    accepts_removal: bool,
) -> Reloaded {
    let fresh = files.load();
    let fresh = fresh.map_err(|faults| format!("{faults}\n{UNCHANGED}"))?;
    current(reloader).apply(&fresh, accepts_removal)
}

fn change(
    reloader: &CurrentReloader,
    files: &mut impl ConfigurationFiles,
    change: &ManagedChange,
    precondition: Precondition,
) -> Result<Changed, ChangeRefusal> {
    let directory = current(reloader).directory.current();
    let loaded = files.load_changed(change, &directory)?;
    let reloader = current(reloader);
    // No other thread changes what the precondition is about.
    precondition(&reloader.directory.current(), &loaded.domain)?;
    reloader.apply_change(loaded)
}

fn current(reloader: &CurrentReloader) -> MutexGuard<'_, Reloader> {
    reloader.lock().unwrap_or_else(PoisonError::into_inner)
}

fn log(reloaded: &Reloaded) {
    match reloaded {
        Ok(text) => text.lines().for_each(|line| tracing::info!("{line}")),
        Err(text) => text.lines().for_each(|line| tracing::error!("{line}")),
    }
}

/// Logs what prevents a change, if it is something else than the change.
fn log_change(domain: &str, changed: &Result<Changed, ChangeRefusal>) {
    let Err(
        refusal @ (ChangeRefusal::Configuration(_)
        | ChangeRefusal::NotWritten(_)
        | ChangeRefusal::HalfDone),
    ) = changed
    else {
        return;
    };
    for line in refusal.to_string().lines() {
        tracing::error!(domain, "a change by the HTTP API: {line}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::background::Background;
    use crate::changes::ChangeFeed;
    use crate::directory::accounts::{StoredAccount, StoredSecrets};
    use crate::directory::user_range::UserRange;
    use crate::directory::{Details, Domain};
    use crate::dns;
    use crate::runtime::commander::Requests;
    use crate::runtime::mesh::Mesh;
    use crate::runtime::resolver::Resolver;
    use crate::runtime::services::NodeShards;
    use crate::shard::ShardId;

    /// In force on shards that there are not.
    fn reloader(shards: u16, directory: Directory) -> Reloader {
        let mesh = Mesh::new(shards);
        (0..shards).for_each(|shard| mesh.close(ShardId(shard)));
        let commander = Commander::new(
            mesh,
            Arc::new(AtomicBool::new(true)),
            Requests::default(),
            None,
            Resolver::new(dns::Options::default(), 0),
        );
        let directory = SharedDirectory::new(Arc::new(directory));
        let shards = NodeShards {
            commander: commander.clone(),
            directory: directory.clone(),
        };
        Reloader {
            eraser: Eraser::start(commander.clone(), directory.clone()).unwrap(),
            services: ServiceKeeper {
                background: Background { shards, cpu: 0 },
                feed: ChangeFeed::default(),
            },
            commander,
            directory,
            listeners: Arc::default(),
            http_listeners: Arc::default(),
            tls_client: SharedTlsClient::new(TlsClient::new(None, None).unwrap()),
        }
    }

    fn configuration(directory: Directory) -> LoadedConfiguration {
        LoadedConfiguration {
            directory: Arc::new(directory),
            listeners: Vec::new(),
            http_listeners: Vec::new(),
            tls_client: TlsClient::new(None, None).unwrap(),
            relays: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn directory(domains: &[&str]) -> Directory {
        let mut directory = Directory::default();
        for domain in domains {
            directory.add_domain(Domain::new(domain), &[]).unwrap();
        }
        directory
    }

    /// The outcome of a change to a directory with these domains, and whether it was written.
    fn change(
        reloader: &Reloader,
        to: Directory,
        domain: &str,
        fails: bool,
    ) -> (Result<Changed, ChangeRefusal>, bool) {
        let is_removal = to.domain(domain).is_none();
        let is_written = Arc::new(AtomicBool::new(false));
        let written = Arc::clone(&is_written);
        let write = move || match fails {
            true => Err(io::Error::other("no space")),
            false => {
                written.store(true, Ordering::SeqCst);
                Ok(())
            }
        };
        let outcome = reloader.apply_change(LoadedChange {
            loaded: configuration(to),
            domain: domain.to_owned(),
            is_new: true,
            is_removal,
            write: Box::new(write),
        });
        (outcome, is_written.load(Ordering::SeqCst))
    }

    #[test]
    fn a_change_is_written_and_put_into_force() {
        let reloader = reloader(0, directory(&["a.example"]));
        let domains = || reloader.directory.current().domains().len();
        let with = || directory(&["a.example", "b.example"]);
        let (failed, _) = change(&reloader, with(), "b.example", true);
        assert!(matches!(failed, Err(ChangeRefusal::NotWritten(why)) if why.contains("no space")));
        assert_eq!(domains(), 1, "what is not on the disk is not in force");
        let (changed, is_written) = change(&reloader, with(), "b.example", false);
        assert!(is_written && changed.unwrap().directory.domains().len() == 2);
        assert_eq!(domains(), 2);
        // Its own domain may be removed, and no other.
        let (removed, _) = change(&reloader, directory(&["a.example"]), "b.example", false);
        assert!(removed.is_ok() && domains() == 1);
        let truncated = directory(&["b.example"]);
        let (refused, is_written) = change(&reloader, truncated, "b.example", false);
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("1 of 1 domains"), "{why}");
        assert!(!is_written && domains() == 1);
    }

    fn account(user: &str) -> StoredAccount {
        StoredAccount {
            secrets: StoredSecrets::of_password(user, "a.example", "secret"),
            auth_id: None,
            is_feeder: false,
            details: Details::default(),
        }
    }

    /// A directory in which orbits take the numbers from 700 to 709.
    fn with_orbits() -> Directory {
        let mut with_orbits = Directory::default();
        let domain = Domain {
            orbits: vec![UserRange::parse("700-709").unwrap()],
            ..Domain::new("a.example")
        };
        with_orbits.add_domain(domain, &[]).unwrap();
        with_orbits
    }

    #[test]
    fn of_a_change_and_an_account_at_one_moment_one_is_refused() {
        const ROUNDS: usize = 300;
        let put = |reloader: &Reloader, user: &str| {
            let aor = Aor::new(user, "a.example");
            let account = account(user);
            let edit = |directory: &Directory| directory.with_account(&aor, &account);
            reloader.directory.edit(edit, |_| ()).is_ok()
        };
        let (mut changes, mut accounts) = (0, 0);
        for round in 0..ROUNDS {
            let reloader = reloader(0, directory(&["a.example"]));
            let edits = thread::spawn({
                let reloader = reloader.clone();
                move || {
                    thread::sleep(Duration::from_micros(round as u64 * 5));
                    put(&reloader, "705")
                }
            });
            let (changed, _) = change(&reloader, with_orbits(), "a.example", false);
            let is_changed = match changed {
                Ok(_) => true,
                Err(ChangeRefusal::Conflict(_)) => false,
                Err(other) => panic!("{other}"),
            };
            let has_account = edits.join().unwrap();
            assert!(is_changed != has_account, "one of the two");
            let current = reloader.directory.current();
            assert_eq!(current.waiting_edits(), 0);
            let aor = Aor::new("705", "a.example");
            assert_eq!(current.account(aor.as_str()).is_some(), has_account);
            changes += usize::from(is_changed);
            accounts += usize::from(has_account);
        }
        assert_eq!(changes + accounts, ROUNDS);
        // While the change is written, what is possible with it is edited, and the rest is refused.
        let reloader = reloader(0, directory(&["a.example"]));
        let (written, edits) = mpsc::channel();
        let write = {
            let reloader = reloader.clone();
            move || {
                let put = ["705", "605"].map(|user| put(&reloader, user));
                written.send(put).map_err(io::Error::other)
            }
        };
        let changed = reloader.apply_change(LoadedChange {
            loaded: configuration(with_orbits()),
            domain: "a.example".to_owned(),
            is_new: false,
            is_removal: false,
            write: Box::new(write),
        });
        assert_eq!(edits.recv(), Ok([false, true]));
        let directory = changed.unwrap().directory;
        assert!(directory.account("605@a.example").is_some());
        assert_eq!(directory.waiting_edits(), 0);
    }

    #[test]
    fn a_change_takes_no_edited_account_away() {
        let before = directory(&["a.example"]);
        let aor = Aor::new("705", "a.example");
        let account = account("705");
        let edited = before.with_account(&aor, &account).unwrap();
        let reloader = reloader(0, edited);
        let (refused, is_written) = change(&reloader, with_orbits(), "a.example", false);
        assert!(
            matches!(refused, Err(ChangeRefusal::Conflict(why)) if why.contains("705@a.example"))
        );
        assert!(!is_written);
        // If a file loses the domain, the account waits for it.
        let lost = reloader.put(&Directory::default(), true, None).unwrap();
        assert_eq!(lost.directory.waiting_edits(), 1);
        assert_eq!(
            reloader.apply(&configuration(Directory::default()), true),
            Ok(
                "705@a.example: edited, not in force: its domain is missing\n\
                 reloaded: 0 domains, 0 accounts"
                    .to_owned()
            )
        );
        let (back, _) = change(&reloader, directory(&["a.example"]), "a.example", false);
        assert!(back.unwrap().directory.account(aor.as_str()).is_some());
        // If the API removes the domain, the account goes with it, for good.
        let (removed, _) = change(&reloader, Directory::default(), "a.example", false);
        assert_eq!(removed.unwrap().directory.waiting_edits(), 0);
        let (anew, _) = change(&reloader, directory(&["a.example"]), "a.example", false);
        assert!(anew.unwrap().directory.account(aor.as_str()).is_none());
    }

    #[test]
    fn a_change_that_a_shard_does_not_confirm_is_not_acknowledged() {
        let reloader = reloader(1, Directory::default());
        let (outcome, is_written) =
            change(&reloader, directory(&["a.example"]), "a.example", false);
        assert!(is_written && matches!(outcome, Err(ChangeRefusal::HalfDone)));
    }

    #[test]
    fn a_reload_that_a_shard_does_not_confirm_is_not_reported_as_refused() {
        let reloader = reloader(1, Directory::default());
        let fresh = configuration(directory(&["abc.com"]));
        let outcome = reloader.apply(&fresh, false).unwrap_err();
        assert_eq!(
            outcome,
            "the configuration is in force, but not on every shard: one does not respond"
        );
        assert!(reloader.directory.current().domain("abc.com").is_some());
    }
}
