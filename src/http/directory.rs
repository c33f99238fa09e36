//! The current directory. Changes are serialised and sent to all shards in order, so that every
//! shard ends up with the latest.
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
    /// Serialises changes; readers do not take it.
    change: Mutex<()>,
    current: RwLock<Arc<Directory>>,
    /// Those that were current before, until they are freed.
    replaced: Mutex<Vec<Arc<Directory>>>,
}

impl SharedDirectory {
    /// With `directory` in force.
    #[must_use]
    pub fn new(directory: Arc<Directory>) -> Self {
        Self(Arc::new(Shared {
            change: Mutex::new(()),
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

    /// Replaces the current directory with the result of `edit`. `tell` must have sent it to every
    /// shard before returning, but need not wait for replies.
    ///
    /// # Errors
    /// Those of `edit`: then nothing is changed, and `tell` is not called.
    pub fn change<E, T>(
        &self,
        edit: impl FnOnce(&Directory) -> Result<Directory, E>,
        tell: impl FnOnce(&Arc<Directory>) -> T,
    ) -> Result<T, E> {
        let _turn = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        let edited = Arc::new(edit(&self.current())?);
        let current = self.0.current.write();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        let before = mem::replace(&mut *current, Arc::clone(&edited));
        drop(current);
        self.replaced().push(before);
        Ok(tell(&edited))
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
        let _turn = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        tell(&self.current())
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
                    shared.change(add, tell).unwrap();
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        changes
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*seen.lock().unwrap(), (1..=400).collect::<Vec<_>>());
        assert_eq!(shared.current().domains().len(), 400);
        let refused = shared.change(|_| Err("no"), |_| unreachable!());
        assert_eq!(refused, Err("no"));
        assert_eq!(shared.repeat(|directory| directory.domains().len()), 400);
    }

    #[test]
    fn a_replaced_directory_is_freed_once_no_shard_has_it() {
        let first = Arc::new(Directory::default());
        let (weak, shared) = (
            Arc::downgrade(&first),
            SharedDirectory::new(Arc::clone(&first)),
        );
        let replaced = shared.change(|directory| Ok::<_, ()>(directory.clone()), |_| ());
        assert_eq!(replaced, Ok(()));
        shared.free_replaced();
        drop(first);
        assert!(weak.upgrade().is_some(), "the last shard does not free it");
        shared.free_replaced();
        assert!(weak.upgrade().is_none());
        assert_eq!(shared.current().domains().len(), 0);
    }
}
