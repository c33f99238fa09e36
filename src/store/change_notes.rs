//! Which presentities changed last: notes in memory that outlives the process.
//!
//! Lamps show a change before its record is on the disk. A process that is killed in between leaves lamps
//! of which its records know nothing; the notes tell the next process which. A note is sixteen octets in a
//! ring of a shard, in a file of a memory file system. All changes of a turn are noted by one short system
//! call, which waits for no disk, before any message of the turn is sent.
//!
//! Guarantee: after a kill of the process, each of the last [`NOTES`] changes of each shard is found that a
//! watcher was notified of. Not after a boot of the machine: then a lamp that showed a change whose record
//! was lost, some milliseconds of changes, is wrong until the source states it again, as each does that got
//! no acknowledgement.
//!
//! The files are written, not mapped: a system call for each turn costs less than one datagram, and a file
//! that another process cuts off, or a file system that is full, is an error and not a signal.
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
/// Notes that one system call writes.
const NOTES_AT_ONCE: usize = 256;

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
    /// Opens the notes of the server with that data directory in a directory of a memory file system, and
    /// reads those of earlier processes.
    pub(super) fn open(memory: &Path, data: &Path, shards: u16) -> Self {
        let folder = folder_of(memory, data);
        let opened = folder.and_then(|folder| Self::open_in(&folder, data, shards));
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

    /// Notes changes on a shard, each by its hash and time. Those that cannot be noted are left out: the
    /// memory is used up.
    pub(super) fn note(&self, shard: u16, changes: impl Iterator<Item = (u64, i64)>) {
        let Some(ring) = self.rings.get(usize::from(shard)) else {
            return;
        };
        let mut notes = [[0; NOTE_OCTETS]; NOTES_AT_ONCE];
        let mut changes = changes.peekable();
        while changes.peek().is_some() {
            let mut count = 0;
            for (note, (hash, at)) in notes.iter_mut().zip(&mut changes) {
                *note = note_of(hash, at);
                count += 1;
            }
            let (notes, _) = notes.split_at(count);
            ring.write(notes);
        }
    }
}

impl Ring {
    /// Overwrites the oldest notes. There are fewer than the ring holds.
    fn write(&self, notes: &[[u8; NOTE_OCTETS]]) {
        let count = notes.len() as u64;
        let place = self.next.fetch_add(count, Ordering::Relaxed) % NOTES;
        let to_end = usize::try_from(NOTES - place).unwrap_or(usize::MAX);
        let (at_end, at_start) = notes.split_at(to_end.min(notes.len()));
        let at = |place: u64| place * NOTE_OCTETS as u64;
        let _left_out = self.file.write_all_at(at_end.as_flattened(), at(place));
        if !at_start.is_empty() {
            let _left_out = self.file.write_all_at(at_start.as_flattened(), 0);
        }
    }
}

fn note_of(hash: u64, at: i64) -> [u8; NOTE_OCTETS] {
    let mut note = [0; NOTE_OCTETS];
    let (of_hash, of_time) = note.split_at_mut(NOTE_OCTETS / 2);
    of_hash.copy_from_slice(&hash.to_le_bytes());
    of_time.copy_from_slice(&at.to_le_bytes());
    note
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
fn folder_of(memory: &Path, data: &Path) -> io::Result<PathBuf> {
    let data = fs::metadata(data)?;
    let (disk, place) = (data.dev(), data.ino());
    Ok(memory.join(format!("lamplighter-changes-{disk:x}-{place:x}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::iter;

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
        notes.note(0, [(7, 100)].into_iter());
        notes.note(1, [(8, 200), (9, -1)].into_iter());
        notes.note(2, [(10, 300)].into_iter());
        notes.note(0, iter::empty());
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
        notes.note(0, (1..=NOTES as i64 - 2).map(|at| (5, at)));
        let notes = folder.open(1);
        // Two of them fit in front of the end.
        notes.note(0, (1..=5).map(|at| (6, NOTES as i64 - 2 + at)));
        let mut found = folder.open(1).found().to_vec();
        found.sort_unstable_by_key(|(_, at)| *at);
        let expected = (4..NOTES as i64 + 4).map(|at| match at > NOTES as i64 - 2 {
            true => (6, at),
            false => (5, at),
        });
        assert!(found.into_iter().eq(expected));
    }

    /// A change is noted at once, whatever follows.
    #[test]
    fn one_turn_may_note_more_than_one_call_writes() {
        let folder = Folder::new("many");
        let notes = folder.open(1);
        let changes = || (1..=2 * NOTES_AT_ONCE as i64 + 3).map(|at| (at as u64, at));
        notes.note(0, changes());
        assert!(folder.open(1).found().iter().copied().eq(changes()));
    }

    #[test]
    fn a_folder_of_another_kind_is_not_used() {
        let folder = Folder::new("kind");
        std::os::unix::fs::symlink(&folder.0, folder.0.join("notes")).unwrap();
        let refused = ChangeNotes::open_in(&folder.0.join("notes"), &folder.0, 1);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
