//! The current directory. Changes are serialised and sent to all shards in order, so that every
//! shard ends up with the latest.
//!
//! A new configuration is written to the disk between the check that the edits are possible with it and its
//! coming into force. Meanwhile it is announced ([`SharedDirectory::announce`]): an edit that is not possible with
//! it is refused, and no edit waits for the disk.
//!
//! To free a directory of thousands of domains takes up to a tenth of a second, in which a shard would change no
//! lamp. So one that was replaced is kept until no shard has it any more, and freed by a thread that may take
//! its time ([`SharedDirectory::free_replaced`]).

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::directory::Directory;

/// Domains, accounts and lists as all cores see them; replaced as a whole when the configuration is
/// read again or the operator edits it. Clones share the same state.
#[derive(Clone, Debug)]
pub struct SharedDirectory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Serialises changes; readers do not take it. Holds the directory that is announced.
    change: Mutex<Option<Directory>>,
    current: RwLock<Arc<Directory>>,
    /// Those that were current before, until they are freed.
    replaced: Mutex<Vec<Arc<Directory>>>,
}

impl SharedDirectory {
    /// With `directory` in force.
    #[must_use]
    pub fn new(directory: Arc<Directory>) -> Self {
        Self(Arc::new(Shared {
            change: Mutex::default(),
            current: RwLock::new(directory),
            replaced: Mutex::default(),
        }))
    }

    /// The one in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Directory> {
        let current = self.0.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the current directory with the result of `edit`, unless that is not possible in the directory that
    /// is announced either. `tell` must have sent it to every shard before returning, but need not wait for
    /// replies.
    ///
    /// # Errors
    /// Those of `edit`: then nothing is changed, and `tell` is not called.
    pub fn edit<E, T>(
        &self,
        edit: impl Fn(&Directory) -> Result<Directory, E>,
        tell: impl FnOnce(&Arc<Directory>) -> T,
    ) -> Result<T, E> {
        let mut announced = self.turn();
        let edited = edit(&self.current())?;
        if let Some(announced) = announced.as_mut() {
            *announced = edit(announced)?;
        }
        Ok(self.put(edited, tell))
    }

    /// Replaces the current directory with the one that `make` makes of it, and of edits until now. One that is
    /// announced no longer is. `tell` as for [`Self::edit`].
    ///
    /// # Errors
    /// Those of `make`: then nothing is changed, and `tell` is not called.
    pub fn replace<E, T>(
        &self,
        make: impl FnOnce(&Directory) -> Result<Directory, E>,
        tell: impl FnOnce(&Arc<Directory>) -> T,
    ) -> Result<T, E> {
        let mut announced = self.turn();
        let made = make(&self.current())?;
        *announced = None;
        Ok(self.put(made, tell))
    }

    /// Announces the directory that `make` makes of the current one: as long as the result is kept, or until
    /// [`Self::replace`], only edits that are possible in it are made.
    ///
    /// # Errors
    /// Those of `make`: then none is announced.
    pub fn announce<E>(
        &self,
        make: impl FnOnce(&Directory) -> Result<Directory, E>,
    ) -> Result<Announced, E> {
        let mut announced = self.turn();
        *announced = Some(make(&self.current())?);
        Ok(Announced(self.clone()))
    }

    fn turn(&self) -> MutexGuard<'_, Option<Directory>> {
        let turn = self.0.change.lock();
        turn.unwrap_or_else(PoisonError::into_inner)
    }

    fn put<T>(&self, directory: Directory, tell: impl FnOnce(&Arc<Directory>) -> T) -> T {
        let directory = Arc::new(directory);
        let current = self.0.current.write();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        let before = mem::replace(&mut *current, Arc::clone(&directory));
        drop(current);
        self.replaced().push(before);
        tell(&directory)
    }

    /// Frees the directories that were replaced and that no shard has any more.
    pub fn free_replaced(&self) {
        let is_free = |directory: &mut Arc<Directory>| Arc::strong_count(directory) == 1;
        let free: Vec<_> = self.replaced().extract_if(.., is_free).collect();
        drop(free);
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<Arc<Directory>>> {
        let replaced = self.0.replaced.lock();
        replaced.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the current directory again to shards that missed it.
    pub fn repeat<T>(&self, tell: impl FnOnce(&Arc<Directory>) -> T) -> T {
        let _turn = self.turn();
        tell(&self.current())
    }
}

/// A directory that is announced, until this is dropped.
#[derive(Debug)]
pub struct Announced(SharedDirectory);

impl Drop for Announced {
    fn drop(&mut self) {
        *self.0.turn() = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::directory::Domain;

    #[test]
    fn changes_reach_the_shards_in_order() {
        let shared = SharedDirectory::new(Arc::default());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let changes = (0..8).map(|thread| {
            let (shared, seen) = (shared.clone(), Arc::clone(&seen));
            std::thread::spawn(move || {
                for number in 0..50 {
                    let add = |directory: &Directory| {
                        let mut edited = directory.clone();
                        let domain = Domain::new(&format!("{thread}-{number}.example"));
                        edited.add_domain(domain, &[]).map(|()| edited)
                    };
                    let tell = |directory: &Arc<Directory>| {
                        seen.lock().unwrap().push(directory.domains().len());
                    };
                    shared.edit(add, tell).unwrap();
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        changes
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*seen.lock().unwrap(), (1..=400).collect::<Vec<_>>());
        assert_eq!(shared.current().domains().len(), 400);
        let refused = shared.edit(|_| Err("no"), |_| unreachable!());
        assert_eq!(refused, Err("no"));
        assert_eq!(shared.repeat(|directory| directory.domains().len()), 400);
    }

    #[test]
    fn an_edit_is_possible_in_the_announced_directory_too() {
        let shared = SharedDirectory::new(Arc::default());
        let add = |name: &'static str| {
            let add = move |directory: &Directory| {
                let mut edited = directory.clone();
                edited
                    .add_domain(Domain::new(name), &[])
                    .map(|()| edited)
                    .map_err(|_| name)
            };
            shared.edit(add, |_| ())
        };
        let announce = || {
            let with_a = |directory: &Directory| {
                let mut announced = directory.clone();
                announced.add_domain(Domain::new("a.example"), &[]).unwrap();
                Ok::<_, ()>(announced)
            };
            shared.announce(with_a).unwrap()
        };
        let announced = announce();
        assert_eq!(add("a.example"), Err("a.example"));
        assert_eq!(add("b.example"), Ok(()));
        assert_eq!(shared.current().domains().len(), 1);
        drop(announced);
        assert_eq!(add("a.example"), Ok(()));
        // One that comes into force is no longer announced.
        let shared = SharedDirectory::new(Arc::default());
        let announced = shared.announce(|directory| Ok::<_, ()>(directory.clone()));
        let put = shared.replace(|directory| Ok::<_, ()>(directory.clone()), |_| ());
        assert_eq!(put, Ok(()));
        assert!(shared.turn().is_none());
        drop(announced);
    }

    #[test]
    fn a_replaced_directory_is_freed_once_no_shard_has_it() {
        let first = Arc::new(Directory::default());
        let (weak, shared) = (
            Arc::downgrade(&first),
            SharedDirectory::new(Arc::clone(&first)),
        );
        let replaced = shared.replace(|directory| Ok::<_, ()>(directory.clone()), |_| ());
        assert_eq!(replaced, Ok(()));
        shared.free_replaced();
        drop(first);
        assert!(weak.upgrade().is_some(), "the last shard does not free it");
        shared.free_replaced();
        assert!(weak.upgrade().is_none());
        assert_eq!(shared.current().domains().len(), 0);
    }
}
