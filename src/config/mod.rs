//! The configuration: the operator's TOML file and the one that the HTTP API keeps, typed, checked as a whole,
//! converted once.
//!
//! [`Config`] is the file as its keys stand (`schema`, read by `reader`); [`Plan`] is what the other
//! rooms are built from. Between them each part of the file is checked and converted: `cores`,
//! `listeners`, `shield`, `tenants`. Reader and checks report every fault of a file at once, each
//! with its place, what is wrong and what to do ([`Complaints`]).
//! `default.toml`, shipped beside this file, is the manual.
//!
//! What a key does is documented with the module that owns the option.

mod complaint;
mod cores;
mod files;
mod listeners;
mod machine;
mod managed;
mod outbound;
mod plan;
mod quantity;
mod reader;
mod schema;
mod shield;
mod suggestion;
mod tenants;
mod text;
mod transport_security;

pub use complaint::{Complaint, Complaints, Source};
pub use listeners::{HttpListener, Listener};
pub use machine::Machine;
pub use managed::restore as restore_managed;
pub use plan::{Connections, HistoryPlan, Plan, StorePlan};
pub use quantity::{Interval, Octets};
pub use schema::{AuthKind, Config, TransportKind};
pub use tenants::SHIPPED_FILE;

use std::io;
use std::path::Path;

use crate::config::complaint::Complainer;
use crate::config::managed::Draft;
use crate::directory::managed::{ChangeRefusal, ManagedChange};

/// The shipped default configuration, with every key explained.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// A valid configuration, converted.
#[derive(Debug)]
pub struct Loaded {
    /// The keys as they stand in the files.
    pub config: Config,
    /// What is built from them.
    pub plan: Plan,
}

impl Loaded {
    /// Whether the file of the HTTP API is another one meanwhile, because another process serves.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let now = managed::read(self.config.data_dir()).unwrap_or_default();
        now.as_ref().map(Source::hash) != self.plan.directory.managed_file()
    }
}

/// A configuration with a change of what the HTTP API keeps, which is not written yet.
pub struct LoadedChange {
    /// The configuration with the change.
    pub loaded: Loaded,
    /// The own name of the domain that is changed.
    pub domain: String,
    /// Whether the domain or group is new.
    pub is_new: bool,
    draft: Draft,
}

impl LoadedChange {
    /// The configuration, and what writes the change.
    ///
    /// # Errors
    /// Of the second: the file is not written, or perhaps not on the disk.
    pub fn split(self) -> (Loaded, impl FnOnce() -> io::Result<()> + Send) {
        let draft = self.draft;
        (self.loaded, move || draft.write())
    }
}

/// Reads, checks and converts a configuration for this machine: the operator's file, and the one in its data
/// directory that the HTTP API keeps.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn load(path: &Path) -> Result<Loaded, Complaints> {
    let source = Source::read(path)?;
    let of_api = |config: &Config| managed::read(config.data_dir()).map(SecondFile::from);
    load_both(&source, &Machine::inspect(), of_api)
}

/// [`load`] for a server that runs with `running`: its data directory stays the one that it is.
///
/// # Errors
/// As [`load`].
pub fn reload(path: &Path, running: &Config) -> Result<Loaded, Complaints> {
    let source = Source::read(path)?;
    let of_api = |_: &Config| managed::read(running.data_dir()).map(SecondFile::from);
    load_both(&source, &Machine::inspect(), of_api)
}

/// [`reload`] with a change of what the HTTP API keeps. `known`: the hashes of its file that the server has read
/// or written.
///
/// # Errors
/// The change, or the rest of the configuration, is not valid; or the file of the HTTP API is another one.
pub fn reload_changed(
    path: &Path,
    running: &Config,
    change: &ManagedChange,
    known: &[Option<u64>],
) -> Result<LoadedChange, ChangeRefusal> {
    let source = Source::read(path).map_err(|complaints| managed::refusal_for(&complaints))?;
    let mut draft = None;
    let of_api = |config: &Config| {
        let made = Draft::new(running.data_dir(), change, known, (config, &source));
        let made = draft.insert(made.map_err(NotLoaded::Refused)?);
        Ok(SecondFile::Read(made.source()))
    };
    let loaded = load_both(&source, &Machine::inspect(), of_api);
    match (loaded, draft) {
        (Ok(loaded), Some(draft)) => {
            draft.check_known()?;
            Ok(LoadedChange {
                loaded,
                domain: draft.domain.clone(),
                is_new: draft.is_new,
                draft,
            })
        }
        (Err(NotLoaded::Refused(refusal)), _) => Err(refusal),
        (Err(NotLoaded::Faulty(complaints)), Some(draft)) => Err(draft.refusal(&complaints)),
        (Err(NotLoaded::Faulty(complaints)), None) => Err(managed::refusal_for(&complaints)),
        // Without a draft there is a fault.
        (Ok(_), None) => Err(ChangeRefusal::Configuration(String::new())),
    }
}

/// [`load`] for a command. Its user may not be allowed to read the file of the HTTP API: then a note says so,
/// and nothing in that file is checked.
///
/// # Errors
/// As [`load`].
pub fn inspect(path: &Path) -> Result<Loaded, Complaints> {
    inspect_text(&Source::read(path)?)
}

/// [`inspect`] for a text that the operator's file may get.
///
/// # Errors
/// As [`load`].
pub fn inspect_text(source: &Source) -> Result<Loaded, Complaints> {
    let mut note = None;
    let of_api = |config: &Config| match managed::forbidden(config.data_dir()) {
        None => managed::read(config.data_dir()).map(SecondFile::from),
        Some(path) => {
            let path = path.display();
            note = Some(format!(
                "{path}: may not be read, so the domains of the HTTP API are not checked"
            ));
            Ok(SecondFile::Unread)
        }
    };
    let mut loaded = load_both(source, &Machine::inspect(), of_api)?;
    loaded.plan.notes.extend(note);
    Ok(loaded)
}

/// The operator's file alone, for a text that was read already and a machine that is given.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn load_from(source: &Source, machine: &Machine) -> Result<Loaded, Complaints> {
    load_both(source, machine, |_| Ok(SecondFile::Absent))
}

/// The file of the HTTP API.
enum SecondFile {
    Absent,
    /// It is not known what is in it.
    Unread,
    Read(Source),
}

impl From<Option<Source>> for SecondFile {
    fn from(source: Option<Source>) -> Self {
        source.map_or(Self::Absent, Self::Read)
    }
}

/// Why a configuration with a change is not loaded.
enum NotLoaded {
    Refused(ChangeRefusal),
    Faulty(Complaints),
}

impl From<Complaints> for NotLoaded {
    fn from(complaints: Complaints) -> Self {
        Self::Faulty(complaints)
    }
}

/// `second` reads the file of the HTTP API, once the operator's says where it is.
fn load_both<E: From<Complaints>>(
    source: &Source,
    machine: &Machine,
    second: impl FnOnce(&Config) -> Result<SecondFile, E>,
) -> Result<Loaded, E> {
    let mut complainer = Complainer::new(source);
    let mut config = Config::read(source, &mut complainer);
    // Where it is, is not known if the structure of the first is hidden.
    let second = match complainer.is_partial() {
        false => second(&config)?,
        true => SecondFile::Unread,
    };
    let managed = match second {
        SecondFile::Read(second) => Some(second.behind(source)),
        SecondFile::Absent => None,
        SecondFile::Unread => {
            complainer.miss_tables();
            None
        }
    };
    if let Some(managed) = &managed {
        complainer.go_on_in(managed);
        config.join(managed, &mut complainer);
    }
    let plan = Plan::new(&config, machine, complainer)?;
    Ok(Loaded { config, plan })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
