//! Which presentities changed last: notes in memory that outlives the process.
//!
//! Lamps show a change before its record is on the disk. A process that is killed in between leaves lamps
//! of which its records know nothing; the notes tell the next process which. A note is sixteen octets in a
//! ring of a shard, in a file of a memory file system: writing it is one short system call that waits for no
//! disk. The systemd unit keeps `RuntimeDirectory=` over restarts for it; without one it is in `/dev/shm`.
//!
//! Guarantee: after a kill of the process, each of the last [`NOTES`] changes of each shard is found. Not
//! after a boot of the machine: then a lamp that showed a change whose record was lost, some milliseconds
//! of changes, is wrong until the source states it again, as each does that got no acknowledgement.
//!
//! Only hashes of addresses are noted. If the files cannot be used, there is a line in the log, and the
//! server goes on without.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Notes of a shard: 1 MiB.
const NOTES: u64 = 65_536;
/// Octets of a note: the hash, and the time.
const NOTE_OCTETS: usize = 16;
/// Where memory is shared if systemd names no directory.
const SHARED_MEMORY: &str = "/dev/shm";

/// The notes of a server.
#[derive(Debug, Default)]
pub(super) struct ChangeNotes {
    /// By shard; empty if they cannot be kept.
    rings: Vec<Ring>,
    /// What earlier processes noted.
    found: Vec<(u64, i64)>,
    /// The folder, if there is one.
    folder: Option<PathBuf>,
}

/// The notes of a shard.
#[derive(Debug)]
struct Ring {
    file: File,
    /// The number of the next note; its place is the remainder.
    next: AtomicU64,
}

impl ChangeNotes {
    /// Opens the notes of the server with that data directory, and reads those of earlier processes.
    pub(super) fn open(data: &Path, shards: u16) -> Self {
        let opened = folder_of(data).and_then(|folder| Self::open_in(&folder, data, shards));
        match opened {
            Ok(notes) => notes,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "changes cannot be noted: after a kill, lamps may show some that were lost"
                );
                Self::default()
            }
        }
    }

    fn open_in(folder: &Path, data: &Path, shards: u16) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Anyone may make a folder of that name in shared memory.
        let (made, ours) = (fs::symlink_metadata(folder)?, fs::metadata(data)?);
        if !made.is_dir() || made.uid() != ours.uid() {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "it is of another user",
            ));
        }
        let mut notes = Self::default();
        // There may have been more shards.
        for entry in fs::read_dir(folder)? {
            notes
                .found
                .extend(read(&entry?.path())?.into_iter().map(|(_, note)| note));
        }
        for shard in 0..shards {
            let path = folder.join(format!("shard-{shard}"));
            let mut options = OpenOptions::new();
            let file = options
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            // The oldest notes are overwritten first.
            let newest = read(&path)?.into_iter().max_by_key(|(_, (_, at))| *at);
            let next = newest.map_or(0, |(place, _)| place + 1).into();
            notes.rings.push(Ring { file, next });
        }
        notes.folder = Some(folder.to_path_buf());
        Ok(notes)
    }

    /// All is committed: the notes are removed.
    pub(super) fn close(&self) {
        let folder = self.folder.iter();
        let notes = folder.filter_map(|folder| fs::read_dir(folder).ok());
        for entry in notes.flatten().flatten() {
            let _kept = fs::remove_file(entry.path());
        }
    }

    /// What earlier processes noted, in any order.
    pub(super) fn found(&self) -> &[(u64, i64)] {
        &self.found
    }

    /// Notes a change on a shard. One that cannot be noted is left out: the memory is used up.
    pub(super) fn note(&self, shard: u16, hash: u64, at: i64) {
        let Some(ring) = self.rings.get(usize::from(shard)) else {
            return;
        };
        let mut note = [0; NOTE_OCTETS];
        let (of_hash, of_time) = note.split_at_mut(NOTE_OCTETS / 2);
        of_hash.copy_from_slice(&hash.to_le_bytes());
        of_time.copy_from_slice(&at.to_le_bytes());
        let place = ring.next.fetch_add(1, Ordering::Relaxed) % NOTES;
        let _left_out = ring.file.write_all_at(&note, place * NOTE_OCTETS as u64);
    }
}

/// The notes in a file, with their places.
fn read(path: &Path) -> io::Result<Vec<(u64, (u64, i64))>> {
    let octets = fs::read(path)?;
    let notes = (0..).zip(octets.as_chunks::<NOTE_OCTETS>().0);
    let number = |octets: &[u8]| octets.try_into().map_or(0, u64::from_le_bytes);
    let notes = notes.map(|(place, note)| {
        let (hash, at) = note.split_at(NOTE_OCTETS / 2);
        (place, (number(hash), number(at).cast_signed()))
    });
    // A place that was not written yet.
    Ok(notes.filter(|(_, (_, at))| *at != 0).collect())
}

/// The folder of the notes of the server with that data directory, whatever the path to it is.
fn folder_of(data: &Path) -> io::Result<PathBuf> {
    let memory = std::env::var_os("RUNTIME_DIRECTORY").filter(|path| !path.is_empty());
    let memory = memory.map_or_else(|| SHARED_MEMORY.into(), PathBuf::from);
    let data = fs::metadata(data)?;
    let (disk, place) = (data.dev(), data.ino());
    Ok(memory.join(format!("lamplighter-changes-{disk:x}-{place:x}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("lamplighter-notes-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _absent = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self, shards: u16) -> ChangeNotes {
            ChangeNotes::open_in(&self.0.join("notes"), &self.0, shards).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _left = fs::remove_dir_all(&self.0);
        }
    }

    /// Whatever number of shards the next process has.
    #[test]
    fn the_next_process_finds_the_notes() {
        let folder = Folder::new("found");
        let notes = folder.open(2);
        assert_eq!(notes.found(), []);
        notes.note(0, 7, 100);
        notes.note(1, 8, 200);
        notes.note(1, 9, -1);
        notes.note(2, 10, 300);
        let mut found = folder.open(1).found().to_vec();
        found.sort_unstable();
        assert_eq!(
            found,
            [(7, 100), (8, 200), (9, -1)],
            "there is no third shard"
        );
    }

    #[test]
    fn the_oldest_notes_are_overwritten() {
        let folder = Folder::new("ring");
        let notes = folder.open(1);
        for at in 1..=NOTES as i64 {
            notes.note(0, 5, at);
        }
        let notes = folder.open(1);
        for at in 1..4 {
            notes.note(0, 6, NOTES as i64 + at);
        }
        let notes = folder.open(1);
        assert_eq!(notes.found().len() as u64, NOTES);
        let oldest = notes.found().iter().map(|(_, at)| *at).min();
        assert_eq!(oldest, Some(4));
    }

    #[test]
    fn a_folder_of_another_kind_is_not_used() {
        let folder = Folder::new("kind");
        std::os::unix::fs::symlink(&folder.0, folder.0.join("notes")).unwrap();
        let refused = ChangeNotes::open_in(&folder.0.join("notes"), &folder.0, 1);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
