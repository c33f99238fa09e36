//! The store on real files.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::store::batch::{Batch, Change};
use crate::store::intake::Health;
use crate::store::maintenance::Order;

/// A directory that is removed with the value.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let process = std::process::id();
        let path = std::env::temp_dir().join(format!("lamplighter-store-{process}-{name}"));
        let _absent = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn directory(&self) -> DataDirectory {
        DataDirectory::open(&self.0).unwrap()
    }

    fn open(&self) -> Store {
        self.open_with(OnFailure::Refuse, None)
    }

    fn open_with(&self, on_failure: OnFailure, octets_max: Option<u64>) -> Store {
        let options = StoreOptions {
            shards: 2,
            on_failure,
            octets_max,
            memory: self.0.clone(),
        };
        Store::open(self.directory(), options, |_| ()).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

type Rows = BTreeMap<(&'static str, i64), Vec<u8>>;

fn rows(store: &Store) -> Rows {
    let mut rows = Rows::new();
    let mut count = 0;
    for table in Table::ALL {
        let each = |key, record: &[u8]| {
            assert_eq!(rows.insert((table.name(), key), record.to_vec()), None);
        };
        count += store.recover(table, each).unwrap();
    }
    assert_eq!(count, rows.len() as u64);
    rows
}

fn batch(handle: &StoreHandle, shard: u16, through: u64) -> Batch {
    let mut batch = handle.batch(shard);
    assert!(batch.is_empty());
    batch.through = through;
    batch
}

/// Waits until a shard is durable up to a number.
fn wait(handle: &StoreHandle, shard: u16, through: u64) {
    wait_until("durable", || handle.durable(shard) >= through);
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "not {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn put_dialogs(handle: &StoreHandle, keys: std::ops::Range<i64>, through: u64) {
    let mut batch = batch(handle, 0, through);
    for key in keys {
        batch.put(Table::Dialog, key, &[key as u8; 300]);
    }
    handle.submit(batch).unwrap();
}

#[test]
fn what_is_durable_comes_back() {
    let place = Temporary::new("back");
    let store = place.open();
    let handle = store.handle();
    let mut first = batch(&handle, 0, 3);
    first.put(Table::Dialog, 7, b"seven");
    first.put(Table::Dialog, 8, b"eight");
    first.put(Table::Presentity, 7, b"");
    let seven = Change::Put(Table::Dialog, 7, b"seven");
    assert_eq!(first.changes().next(), Some(seven));
    assert_eq!((first.len(), first.octets()), (3, 10));
    handle.submit(first).unwrap();
    let mut second = batch(&handle, 1, 9);
    second.put(Table::Dialog, 8, b"eight again");
    second.remove(Table::Dialog, 7);
    second.remove(Table::Dialog, 1000);
    wait(&handle, 0, 3);
    handle.submit(second).unwrap();
    wait(&handle, 1, 9);
    assert_eq!((handle.durable(0), handle.durable(1)), (3, 9));
    assert_eq!(handle.rows(), 6);
    let expected = Rows::from([
        (("dialog", 8), b"eight again".to_vec()),
        (("presentity", 7), vec![]),
    ]);
    // While the store is open, as after a loss of power: the log is read too.
    assert_eq!(rows(&store), expected);
    drop(store.close());
    let store = place.open();
    assert_eq!(rows(&store), expected);
    let ends = Table::ALL.map(|table| store.end(table, |_, _| true).unwrap());
    assert_eq!(ends, [8, 9, 0, 0, 0]);
}

#[test]
fn others_may_not_read() {
    let place = Temporary::new("mode");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = place.0.join("new/state");
    drop(DataDirectory::open(&folder).unwrap());
    assert_eq!(mode(&folder), 0o700);
    let store = place.open();
    assert_eq!(
        Table::ALL.map(|table| store.end(table, |_, _| true).unwrap()),
        [0, 0, 0, 0, 0]
    );
    put_dialogs(&store.handle(), 0..1, 1);
    wait(&store.handle(), 0, 1);
    for name in ["state.sqlite", "state.sqlite-wal", "lock"] {
        assert_eq!(mode(&place.0.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_directory_has_one_process() {
    let place = Temporary::new("lock");
    let store = place.open();
    let error = DataDirectory::open(&place.0).unwrap_err().to_string();
    let process = std::process::id();
    assert!(
        error.contains(&format!("in use by another process (process {process})")),
        "{error}"
    );
    drop(store.close());
    DataDirectory::open(&place.0).unwrap();
}

#[test]
fn a_newer_file_and_one_of_another_program_are_refused() {
    let place = Temporary::new("newer");
    drop(place.open().close());
    let file = place.directory().state_file();
    let set = |name, value: i32| {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.pragma_update(None, name, value).unwrap();
    };
    let refused = || StateFile::open(&file, None).unwrap_err().to_string();
    set("user_version", schema::VERSION + 1);
    let error = refused();
    assert!(error.contains("newer version of Lamplighter"), "{error}");
    set("user_version", schema::VERSION);
    StateFile::open(&file, None).unwrap();
    set("application_id", 1);
    let error = refused();
    assert!(error.contains("another program"), "{error}");
}

#[test]
fn a_file_of_any_older_version_is_migrated() {
    for found in 0..schema::MIGRATIONS.len() {
        let place = Temporary::new("older");
        let file = place.directory().state_file();
        let connection = rusqlite::Connection::open(&file).unwrap();
        for step in &schema::MIGRATIONS[..found] {
            connection.execute_batch(step).unwrap();
        }
        let set = |name, value: i32| connection.pragma_update(None, name, value).unwrap();
        set("application_id", schema::APPLICATION_ID);
        set("user_version", found as i32);
        if found > 0 {
            connection
                .execute(Table::Dialog.put(), (7, b"old"))
                .unwrap();
        }
        let store = place.open();
        let expected = (found > 0).then(|| (("dialog", 7), b"old".to_vec()));
        assert_eq!(rows(&store), expected.into_iter().collect::<Rows>());
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(schema::VERSION));
        // Otherwise its threads may open the file of the next one, which has the same path.
        drop(store.close());
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let place = Temporary::new("half");
    let file = place.directory().state_file();
    let connection = rusqlite::Connection::open(&file).unwrap();
    // A table that the first step would create; it creates another before.
    connection.execute_batch("CREATE TABLE dialog (x)").unwrap();
    let error = StateFile::open(&file, None).unwrap_err().to_string();
    assert!(error.contains("table dialog already exists"), "{error}");
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables = connection.query_row(tables, [], |row| row.get(0));
    assert_eq!(tables, Ok(1));
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    assert_eq!(version, Ok(0));
}

#[test]
fn the_end_is_behind_the_highest_sound_row() {
    let place = Temporary::new("end");
    let store = place.open();
    put_dialogs(&store.handle(), 0..10, 1);
    wait(&store.handle(), 0, 1);
    let mut seen = Vec::new();
    let end = store.end(Table::Dialog, |key, _| {
        seen.push(key);
        key < 7
    });
    assert_eq!((end.unwrap(), &seen[..]), (7, &[9, 8, 7, 6][..]));
    store.remove(Table::Dialog, &[9, 8, 7].into());
    wait_until("removed", || rows(&store).len() == 7);
    assert_eq!(store.handle().rows_impossible(), 3);
    assert_eq!(store.end(Table::Presentity, |_, _| true).unwrap(), 0);
}

/// Octets for some hundred rows of 300, not for 2,000.
const SMALL: u64 = 256 * 1024;

#[test]
fn a_full_disk_is_waited_for() {
    let place = Temporary::new("full");
    let store = place.open_with(OnFailure::Refuse, Some(SMALL));
    let handle = store.handle();
    put_dialogs(&handle, 0..100, 1);
    wait(&handle, 0, 1);
    put_dialogs(&handle, 100..2100, 2);
    wait_until("failing", || handle.is_failing());
    let health = handle.health();
    assert!(health.failure.unwrap().contains("full"));
    assert_eq!(health.rows_unwritten, 2000);
    assert_eq!(handle.durable(0), 1, "nothing is said to be durable");
    let mut ended = batch(&handle, 0, 3);
    for key in 150..2100 {
        ended.remove(Table::Dialog, key);
    }
    handle.submit(ended).unwrap();
    wait(&handle, 0, 3);
    assert_eq!(
        (handle.is_failing(), handle.health()),
        (false, Health::default())
    );
    assert_eq!(rows(&store).len(), 150);
}

#[test]
fn a_full_disk_does_not_hold_up_a_server_that_goes_on_in_memory() {
    let place = Temporary::new("memory");
    let store = place.open_with(OnFailure::Memory, Some(SMALL));
    let handle = store.handle();
    put_dialogs(&handle, 0..2000, 5);
    wait(&handle, 0, 5);
    assert!(handle.is_failing());
    assert_eq!(rows(&store).len(), 0);
}

/// The locks that this process holds on a file.
fn locks_of(file: &std::path::Path) -> usize {
    let inode = format!(":{}", fs::metadata(file).unwrap().ino());
    let process = std::process::id().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let is_ours = |line: &&str| {
        let mut words = line.split_whitespace().skip(4);
        words.next() == Some(&process) && words.next().is_some_and(|word| word.ends_with(&inode))
    };
    locks.lines().filter(is_ours).count()
}

#[test]
fn another_connection_leaves_the_locks_of_the_first() {
    let place = Temporary::new("locks");
    let store = place.open();
    let path = store.file.path();
    let held = locks_of(path);
    assert!(held > 0, "a connection locks the file as long as it lives");
    drop(store.file.connect().unwrap());
    assert_eq!(locks_of(path), held);
}

#[test]
fn a_failed_write_has_the_file_replaced() {
    let place = Temporary::new("doubt");
    let store = place.open();
    let handle = store.handle();
    let put = |through| {
        let mut batch = batch(&handle, 0, through);
        batch.put(Table::Presentity, through as i64, b"record");
        handle.submit(batch).unwrap();
    };
    put(1);
    wait(&handle, 0, 1);
    let before = fs::metadata(store.file.path()).unwrap().ino();
    let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    let full = StoreError::of(store.file.path())(rusqlite::Error::SqliteFailure(full, None));
    store.file.note_failure(&full);
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    let corrupt = StoreError::of(store.file.path())(rusqlite::Error::SqliteFailure(corrupt, None));
    store.file.note_failure(&corrupt);
    assert!(
        !store.file.is_in_doubt(),
        "a full disk has what it took, and a damaged file is replaced anyway"
    );
    let failure = std::io::Error::from_raw_os_error(5);
    store
        .file
        .note_failure(&StoreError::io(store.file.path())(failure));
    put(2);
    wait(&handle, 0, 2);
    assert!(
        !store.file.is_in_doubt(),
        "durable is what the new file has"
    );
    assert_ne!(fs::metadata(store.file.path()).unwrap().ino(), before);
    assert_eq!(rows(&store).len(), 2);
}

/// Has the file written anew; the outcome comes later.
fn write_anew(store: &Store) -> std::sync::mpsc::Receiver<Result<Vec<String>, String>> {
    let (sender, outcome) = std::sync::mpsc::channel();
    let done = Box::new(move |outcome| sender.send(outcome).unwrap());
    store.maintenance().send(Order::WriteAnew { done });
    outcome
}

/// Whether a file of the directory holds a text.
fn is_in_a_file(place: &Temporary, text: &[u8]) -> bool {
    let names = fs::read_dir(&place.0).unwrap();
    names.into_iter().any(|name| {
        let octets = fs::read(name.unwrap().path()).unwrap_or_default();
        octets.windows(text.len()).any(|window| window == text)
    })
}

/// Rows of many sizes come and go, so that their octets move about in the file. Meanwhile commits go on.
#[test]
fn a_file_is_written_anew_while_commits_go_on() {
    const ROWS: i64 = 20_000;
    let place = Temporary::new("anew");
    let store = place.open();
    let handle = store.handle();
    let mut through = 0;
    let mut submit = |handle: &StoreHandle, change: &dyn Fn(&mut Batch)| {
        through += 1;
        let mut batch = batch(handle, 0, through);
        change(&mut batch);
        handle.submit(batch).unwrap();
        wait(handle, 0, through);
    };
    let private = |key: i64| [b"private" as &[u8], &vec![b'x'; (key % 700) as usize]].concat();
    for part in 0..ROWS / 1000 {
        submit(&handle, &|batch| {
            for key in part * 1000..(part + 1) * 1000 {
                let record = if key % 3 == 0 {
                    private(key)
                } else {
                    vec![b'y'; 300]
                };
                batch.put(Table::Dialog, key, &record);
            }
        });
    }
    submit(&handle, &|batch| {
        batch.put(Table::Presentity, i64::MIN, b"lowest")
    });
    submit(&handle, &|batch| {
        batch.put(Table::Presentity, i64::MAX, b"highest")
    });
    submit(&handle, &|batch| {
        (0..ROWS)
            .step_by(3)
            .for_each(|key| batch.remove(Table::Dialog, key));
    });
    assert!(
        is_in_a_file(&place, b"private"),
        "SQLite left nothing behind"
    );
    let outcome = write_anew(&store);
    let (mut number, mut longest) = (0, Duration::ZERO);
    let files = loop {
        let began = Instant::now();
        submit(&handle, &|batch| {
            batch.put(Table::Dialog, number % ROWS, b"again");
            batch.remove(Table::Dialog, (number + ROWS / 2) % ROWS);
            batch.put(Table::Edit, number, b"new");
        });
        longest = longest.max(began.elapsed());
        number += 7;
        if let Ok(files) = outcome.try_recv() {
            break files.unwrap();
        }
    };
    println!(
        "{} commits meanwhile; the longest took {longest:?}",
        number / 7
    );
    assert!(number / 7 > 20, "commits waited until the file was written");
    assert_eq!(files, [] as [String; 0]);
    assert!(!is_in_a_file(&place, b"private"));
    let before = rows(&store);
    assert_eq!(before[&("presentity", i64::MAX)], b"highest");
    assert_eq!(before[&("dialog", 7)], b"again");
    assert_eq!(before.get(&("dialog", ROWS / 2 + 7)), None);
    // What is committed from now on goes to the new file.
    submit(&handle, &|batch| batch.put(Table::Dialog, 3, b"afterwards"));
    let mut after = before;
    after.insert(("dialog", 3), b"afterwards".to_vec());
    let crashed = killed(&place, "anew-crashed");
    store.close();
    for place in [place, crashed] {
        let store = place.open();
        assert_eq!(rows(&store), after);
        store.close();
    }
}

/// Another program that reads the file keeps it as it is; a crash in the middle does too.
#[test]
fn a_file_that_cannot_be_written_anew_stays() {
    let place = Temporary::new("not-anew");
    let store = place.open();
    put_dialogs(&store.handle(), 0..1000, 1);
    wait(&store.handle(), 0, 1);
    let before = rows(&store);
    let reader = rusqlite::Connection::open(place.0.join("state.sqlite")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM dialog;")
        .unwrap();
    let why = write_anew(&store).recv().unwrap().unwrap_err();
    assert!(why.contains("another program is reading it"), "{why}");
    assert!(!place.0.join("state.sqlite.anew").exists());
    assert!(!store.file.is_in_doubt(), "only the copy failed");
    assert!(!store.handle().is_failing());
    drop(reader);
    assert_eq!(write_anew(&store).recv().unwrap(), Ok(vec![]));
    assert_eq!(rows(&store), before);
    store.close();
    fs::write(place.0.join("state.sqlite.anew"), "unfinished").unwrap();
    let store = place.open();
    assert!(!place.0.join("state.sqlite.anew").exists());
    assert_eq!(rows(&store), before);
}

/// Overwrites whole pages in the middle of the file.
fn damage(file: &std::path::Path, pages: std::ops::Range<u64>) {
    let mut octets = OpenOptions::new().write(true).open(file).unwrap();
    octets
        .seek(SeekFrom::Start(pages.start * schema::PAGE_OCTETS))
        .unwrap();
    let length = (pages.end - pages.start) * schema::PAGE_OCTETS;
    octets.write_all(&vec![0xa5; length as usize]).unwrap();
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_of_it_goes_on() {
    let place = Temporary::new("damage");
    let store = place.open();
    let handle = store.handle();
    put_dialogs(&handle, 0..5000, 1);
    wait(&handle, 0, 1);
    let file = place.0.join("state.sqlite");
    drop(store.close());
    damage(&file, 200..203);
    let store = place.open();
    let found = rows(&store);
    assert!((4900..5000).contains(&found.len()), "{} rows", found.len());
    let is_whole = |(&(_, key), record): (&(_, i64), &Vec<u8>)| *record == [key as u8; 300];
    assert!(found.iter().all(is_whole));
    assert!(found.contains_key(&("dialog", 0)) && found.contains_key(&("dialog", 4999)));
    let names = fs::read_dir(&place.0).unwrap();
    let aside = names.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_string_lossy();
        name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    assert_eq!(aside.count(), 1, "the file is set aside");
    // The writer goes on in the new file.
    put_dialogs(&store.handle(), 5000..5010, 2);
    wait(&store.handle(), 0, 2);
    assert_eq!(rows(&store).len(), found.len() + 10);
    drop(store.close());
    assert_eq!(rows(&place.open()).len(), found.len() + 10);
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let place = Temporary::new("garbage");
    fs::write(place.0.join("state.sqlite"), vec![b'x'; 10_000]).unwrap();
    let store = place.open();
    assert!(rows(&store).is_empty());
    put_dialogs(&store.handle(), 0..1, 1);
    wait(&store.handle(), 0, 1);
}

/// What an earlier process leaves when it is killed: a copy of its files, while they are in use.
fn killed(from: &Temporary, name: &str) -> Temporary {
    const NAMES: [&str; 2] = ["state.sqlite", "state.sqlite-wal"];
    let read = || NAMES.map(|name| fs::read(from.0.join(name)).ok());
    // Both as they were at one moment: the log may be copied into the file between two reads.
    let files = loop {
        let files = read();
        if files == read() {
            break files;
        }
    };
    let to = Temporary::new(name);
    for (name, file) in NAMES.iter().zip(files) {
        if let Some(octets) = file {
            fs::write(to.0.join(name), octets).unwrap();
        }
    }
    to
}

/// Commits behind a damage of the log are lost, and counted once. One that was being written when the
/// power failed was acknowledged to no phone, and is not counted.
#[test]
fn commits_behind_a_damage_of_the_log_are_counted() {
    let place = Temporary::new("tail");
    let store = place.open();
    let handle = store.handle();
    // While it reads, no checkpoint copies later commits from the log.
    let reader = rusqlite::Connection::open(place.0.join("state.sqlite")).unwrap();
    let begin = "BEGIN; SELECT count(*) FROM sqlite_schema";
    reader.execute_batch(begin).unwrap();
    for number in 0..6 {
        put_dialogs(&handle, number + 1..number + 2, number as u64 + 1);
        wait(&handle, 0, number as u64 + 1);
    }
    for (name, damaged, rows_left) in [
        ("whole", None, 6),
        ("middle", Some(3), 2),
        ("first", Some(1), 0),
    ] {
        let copy = killed(&place, name);
        let commits = damage_commits(&copy, damaged);
        let next = copy.open();
        let lost = next.handle().commits_lost();
        assert_eq!(lost, commits.saturating_sub(1), "{name}");
        assert!(damaged.is_none() || lost >= 5 - rows_left, "{lost}, {name}");
        assert_eq!(rows(&next).len() as u64, rows_left, "{name}");
        put_dialogs(&next.handle(), 100..101, 1);
        wait(&next.handle(), 0, 1);
        // It is killed too.
        let again = killed(&copy, &format!("{name}-again"));
        drop(next.close());
        let last = again.open();
        assert_eq!(last.handle().commits_lost(), 0, "{name}");
        assert_eq!(rows(&last).len() as u64, rows_left + 1, "{name}");
        drop(last.close());
    }
    drop(reader);
    drop(store.close());
}

/// Damages the page in the log that first held a row, if there is one; returns the commits from there on.
fn damage_commits(place: &Temporary, row: Option<u8>) -> u64 {
    const FRAME: usize = 4096 + 24;
    let file = place.0.join("state.sqlite-wal");
    let mut log = fs::read(&file).unwrap();
    let salt = log[16..24].to_vec();
    let starts = (32..=log.len() - FRAME).step_by(FRAME);
    let starts: Vec<_> = starts.filter(|at| log[at + 8..at + 16] == salt).collect();
    let Some(row) = row else { return 0 };
    let holds = |at: &usize| {
        log[*at..at + FRAME]
            .windows(300)
            .any(|octets| octets == [row; 300])
    };
    let damaged = *starts.iter().find(|at| holds(at)).unwrap();
    let behind = starts.iter().filter(|at| **at >= damaged);
    let commits = behind.filter(|at| log[*at + 4..*at + 8] != [0; 4]).count();
    log[damaged + 1000] ^= 1;
    fs::write(file, log).unwrap();
    commits as u64
}

#[test]
fn the_log_gets_room_before_it_is_needed() {
    let place = Temporary::new("room");
    let store = place.open();
    let log = place.0.join("state.sqlite-wal");
    let octets = || fs::metadata(&log).map_or(0, |log| log.len());
    wait_until("there is room", || octets() >= 1 << 20);
    // While it is read, the log goes on, and does not begin anew after it was copied.
    let reader = rusqlite::Connection::open(place.0.join("state.sqlite")).unwrap();
    let read = "BEGIN; SELECT count(*) FROM sqlite_master";
    reader.execute_batch(read).unwrap();
    // A thousand commits of some pages each: room for as many again, and not more.
    for number in 0..1000 {
        put_dialogs(
            &store.handle(),
            100 * number..100 * number + 1,
            number as u64 + 1,
        );
        wait(&store.handle(), 0, number as u64 + 1);
    }
    wait_until("there is more room", || octets() >= 8 << 20);
    assert!(octets() < 40 << 20, "{}", octets());
    reader.execute_batch("ROLLBACK").unwrap();
    assert_eq!(rows(&store).len(), 1000, "no record was overwritten");
    drop(store.close());
}

#[test]
fn the_log_stays_short_under_constant_load() {
    let place = Temporary::new("log");
    let store = place.open();
    let handle = store.handle();
    let log = place.0.join("state.sqlite-wal");
    // Without a new beginning of the log: a page of 4,096 octets for most of these rows.
    let (mut through, mut octets, mut longest) = (0, 0, 0);
    while octets < 60_000_000 {
        let mut batch = batch(&handle, 0, through + 1);
        for row in 0..200 {
            let key = (through as i64 * 7919 + row * 104_729) % 200_000;
            batch.put(Table::Dialog, key, &[1; 300]);
        }
        let taken = batch.octets();
        if handle.submit(batch).is_ok() {
            octets += taken;
            through += 1;
        } else {
            thread::sleep(Duration::from_millis(1));
        }
        longest = longest.max(fs::metadata(&log).map_or(0, |log| log.len()));
    }
    assert!(longest < 400_000_000, "{longest}");
    wait(&handle, 0, through);
    drop(store.close());
    let left = fs::metadata(&log).map_or(0, |log| log.len());
    assert_eq!(left, 0, "the log is copied at the end");
}
