//! The writer while its disk does not answer, and the pace of its commits.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::store::data_directory::DataDirectory;
use crate::store::{Store, StoreOptions};

/// A store of one shard in a directory that is removed with the value.
struct Site {
    path: PathBuf,
    store: Option<Store>,
}

impl Site {
    fn new(name: &str) -> Self {
        let name = format!("lamplighter-writer-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _absent = fs::remove_dir_all(&path);
        let options = StoreOptions {
            shards: 1,
            on_failure: OnFailure::Refuse,
            octets_max: None,
            memory: path.clone(),
        };
        let directory = DataDirectory::open(&path).unwrap();
        let store = Some(Store::open(directory, options, |_| ()).unwrap());
        Self { path, store }
    }

    fn handle(&self) -> StoreHandle {
        self.store.as_ref().unwrap().handle()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
        let _left = fs::remove_dir_all(&self.path);
    }
}

fn put(handle: &StoreHandle, through: u64) {
    let mut batch = handle.batch(0);
    batch.through = through;
    batch.put(Table::Dialog, through as i64, b"record");
    handle.submit(batch).unwrap();
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < 2 * PATIENCE, "not {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// An idle store notes the time. If the disk does not answer then, the store fails, and works again when
/// the disk does, although no record came.
#[test]
fn an_idle_store_fails_while_its_disk_does_not_answer() {
    let site = Site::new("idle");
    let handle = site.handle();
    let other = Connection::open(site.path.join("state.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    handle.writer.unpark();
    wait_until("failing", || handle.is_refusing());
    let failure = handle.health().failure.unwrap();
    assert!(failure.contains("has not answered"), "{failure}");
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("working", || !handle.is_failing());
    assert_eq!((handle.health().failure, handle.rows()), (None, 0));
}

/// What comes while an idle store hangs is durable only once it was written.
#[test]
fn what_comes_while_an_idle_store_hangs_is_written_later() {
    let site = Site::new("hangs");
    let handle = site.handle();
    let other = Connection::open(site.path.join("state.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    handle.writer.unpark();
    thread::sleep(Duration::from_millis(50));
    assert!(handle.can_commit(), "a commit under way has not failed");
    put(&handle, 1);
    wait_until("failing", || handle.is_failing());
    assert_eq!((handle.durable(0), handle.health().rows_unwritten), (0, 1));
    assert!(!handle.can_commit());
    other.execute_batch("ROLLBACK").unwrap();
    wait_until("working", || !handle.is_failing());
    assert!(handle.can_commit());
    assert_eq!((handle.durable(0), handle.rows()), (1, 1));
}

/// Records that come one after the other share commits.
#[test]
fn commits_begin_half_a_millisecond_apart() {
    let site = Site::new("pace");
    let handle = site.handle();
    let start = Instant::now();
    let mut through = 0;
    // No more than the intake takes while a slow disk makes the first commit wait.
    while start.elapsed() < Duration::from_millis(200) && through < QUEUE_BATCHES as u64 {
        through += 1;
        put(&handle, through);
        thread::sleep(Duration::from_micros(20));
    }
    wait_until("durable", || handle.durable(0) == through);
    let most = start.elapsed().as_micros() / COMMIT_INTERVAL.as_micros() + 1;
    assert!(
        u128::from(handle.commits()) <= most,
        "{} commits",
        handle.commits()
    );
    assert_eq!(handle.rows(), through);
}
