//! The name servers that are asked now: those of the options, or those of a file like
//! `/etc/resolv.conf`, which is read again once it has changed.
//!
//! A file that cannot be read, or that names no server, changes nothing: the servers of before are
//! asked. The answers of earlier servers are forgotten with them.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;
use std::{fs, io};

use crate::dns::{NameServers, Options};

/// The file in which the system names its name servers.
pub(super) const SYSTEM_FILE: &str = "/etc/resolv.conf";

/// Name servers, as they change.
#[derive(Debug)]
pub(super) struct CurrentServers<'a> {
    options: &'a Options,
    file: &'a Path,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    servers: Option<Rc<NameServers>>,
    /// The version of the file that was read last.
    version: Option<Version>,
    /// Whether the options or the file have been read.
    is_read: bool,
}

/// What distinguishes one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    modified: SystemTime,
    octets: u64,
    inode: u64,
}

impl<'a> CurrentServers<'a> {
    /// The servers of the options; if they name none, those of the file.
    pub(super) fn new(options: &'a Options, file: &'a Path) -> Self {
        Self {
            options,
            file,
            state: RefCell::default(),
        }
    }

    /// The servers to ask; None if none is known. Must be called within tokio's runtime.
    pub(super) fn get(&self) -> Option<Rc<NameServers>> {
        let mut state = self.state.borrow_mut();
        let is_named = !self.options.servers.is_empty();
        let version = match is_named {
            true => None,
            false => Version::of(self.file),
        };
        if !state.is_read || version != state.version {
            state.is_read = true;
            state.version = version;
            let read = match is_named {
                true => NameServers::of_options(self.options).map_err(io::Error::other),
                false => self.read(),
            };
            match read {
                Ok(servers) => state.servers = Some(Rc::new(servers)),
                Err(error) => self.complain(&error, state.servers.is_some()),
            }
        }
        state.servers.clone()
    }

    fn read(&self) -> io::Result<NameServers> {
        let text = fs::read(self.file)?;
        let servers = NameServers::of_system(&text, self.options).map_err(io::Error::other)?;
        tracing::info!(file = %self.file.display(), "name servers were read");
        Ok(servers)
    }

    fn complain(&self, error: &io::Error, has_others: bool) {
        let consequence = match has_others {
            true => "the name servers of before are still asked",
            false => "no name is looked up until it does; or write [dns] servers",
        };
        tracing::error!(file = %self.file.display(), %error, "it names no name server: {consequence}");
    }
}

impl Version {
    /// That of a file; None if there is none.
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            octets: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_wrong_one_changes_nothing() {
        let name = format!("lamplighter-resolv-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let options = Options::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _within = runtime.enter();
        let current = CurrentServers::new(&options, &file);
        assert!(current.get().is_none(), "there is no file yet");
        fs::write(&file, "nameserver 127.0.0.1\n").unwrap();
        let first = current.get().unwrap();
        assert!(Rc::ptr_eq(&first, &current.get().unwrap()));
        fs::write(&file, "nameserver 127.0.0.1\nnameserver 127.0.0.2\n").unwrap();
        let second = current.get().unwrap();
        assert!(!Rc::ptr_eq(&first, &second));
        fs::write(&file, "# none\n").unwrap();
        assert!(Rc::ptr_eq(&second, &current.get().unwrap()));
        fs::remove_file(&file).unwrap();
        assert!(Rc::ptr_eq(&second, &current.get().unwrap()));
    }

    #[test]
    fn servers_of_the_options_are_read_once() {
        let options = Options {
            servers: vec!["127.0.0.1:5353".parse().unwrap()],
            ..Options::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _within = runtime.enter();
        let current = CurrentServers::new(&options, Path::new("/nonexistent"));
        let first = current.get().unwrap();
        assert!(Rc::ptr_eq(&first, &current.get().unwrap()));
    }
}
