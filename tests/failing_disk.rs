//! The daemon on a disk that fails: it goes on in memory or refuses, as `on_store_failure` says, no
//! lamp waits, and when the disk is back nothing acknowledged is missing. Needs root: it mounts small
//! disks.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "failing_disk/disk.rs"]
mod disk;
#[path = "restart/link.rs"]
mod link;
#[path = "restart/load.rs"]
mod load;
#[path = "restart/phone.rs"]
mod phone;
#[path = "restart/random.rs"]
mod random;
#[path = "restart/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::link::Link;
use crate::load::Load;
use crate::phone::Endpoint;
use crate::random::Random;
use crate::site::{Site, call_state, get};

/// How long the load goes on while the disk fails, and before and after.
const WHILE: Duration = Duration::from_millis(500);
/// A lamp that takes longer waits for something.
const LAMP: Duration = Duration::from_millis(500);

/// Load on a daemon with a disk that fails and comes back; then a kill, and nothing acknowledged is
/// missing.
fn goes_on_in_memory(name: &str, make: fn(&Path) -> Disk, fail: fn(&Disk), mend: fn(&Disk)) {
    let site = Site::new(name);
    let disk = make(&site.folder.0);
    let mut load = Load::new(site.sip, site.http);
    let daemon = site.start(2);
    load.run(WHILE, || {
        assert!(site.readiness().ends_with("\r\n\r\nOK\n"));
        fail(&disk);
        site.wait_for_failure(true);
        let readiness = site.readiness();
        assert!(readiness.starts_with("HTTP/1.1 200"), "{readiness}");
        let degraded = "degraded: the store cannot be written\n";
        assert!(readiness.ends_with(degraded), "{readiness}");
        thread::sleep(WHILE);
        // If it was a checkpoint that failed, commits work until the room in the log is used up.
        site.wait_for("store_rows_unwritten", |rows| rows > 0);
        mend(&disk);
        site.wait_for_failure(false);
        assert_eq!(site.metric("store_rows_unwritten"), 0);
        daemon.wait_for("the store can be written again");
        thread::sleep(WHILE);
        assert_eq!(site.metric("store_failing"), 0);
        daemon.kill();
    });
    if disk.is_device() {
        // What the kernel only believed to be on the disk is gone now.
        disk.repair();
    }
    let daemon = site.start(1);
    load.check();
    println!("{name}: {}", load.summary());
    daemon.stop();
}

#[test]
fn a_full_disk() {
    goes_on_in_memory("full", Disk::tmpfs, Disk::fill, Disk::free);
}

#[test]
fn a_disk_with_errors() {
    goes_on_in_memory("errors", Disk::ext4_without_journal, Disk::fill, Disk::free);
}

#[test]
fn a_disk_that_does_not_answer() {
    goes_on_in_memory("hangs", Disk::ext4, Disk::freeze, Disk::thaw);
}

#[test]
fn a_disk_that_turns_read_only() {
    goes_on_in_memory("read-only", Disk::ext4, Disk::break_down, Disk::repair);
}

/// No file is begun in the directory below the disk, which would hide it from the next start.
#[test]
fn a_disk_that_is_away_for_some_seconds() {
    goes_on_in_memory("away", Disk::ext4, Disk::break_down, Disk::repair_slowly);
}

/// What needs the disk gets 503, lamps go on, and what waits is acknowledged when the disk is back.
fn refuses(name: &str, make: fn(&Path) -> Disk, fail: fn(&Disk), mend: fn(&Disk)) {
    let mut site = Site::new(name);
    site.store = "on_store_failure = \"refuse\"";
    let disk = make(&site.folder.0);
    let daemon = site.start(2);
    let is_dead = Arc::new(AtomicBool::new(false));
    let mut phone = Endpoint::new("phone", Link::udp(site.sip), Arc::clone(&is_dead));
    let mut dialog = phone.dialog("0");
    assert_eq!(phone.subscribe(&mut dialog, 600), Some(200));
    assert!(phone.listen(|phone| phone.shows(&dialog, "<dialog-info")));
    fail(&disk);
    let http = site.http;
    thread::scope(|scope| {
        let start = Instant::now();
        let report = scope.spawn(move || call_state(http, "0", true));
        let is_lit = phone.listen(|phone| phone.shows(&dialog, "<state>confirmed</state>"));
        assert!(is_lit && start.elapsed() < LAMP, "{:?}", start.elapsed());
        site.wait_for_failure(true);
        let mut another = phone.dialog("1");
        assert_eq!(phone.subscribe(&mut another, 600), Some(503));
        assert!(
            phone.last_response.contains("\r\nRetry-After: "),
            "{}",
            phone.last_response
        );
        let mut pbx = Endpoint::new("pbx", Link::udp(site.sip), is_dead);
        let (status, _) = pbx.publish("5", None, Some("early"), 600).unwrap();
        assert_eq!(status, 503);
        let path = "/call_state.htm?domain=a.example&user=1&password=x&number=5551";
        let refused = get(http, path).unwrap();
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(
            refused.to_lowercase().contains("\r\nretry-after: "),
            "{refused}"
        );
        assert!(site.readiness().starts_with("HTTP/1.1 503"));
        assert_eq!(phone.subscribe(&mut dialog, 600), Some(200), "a refresh");
        assert!(!report.is_finished(), "not acknowledged");
        mend(&disk);
        site.wait_for_failure(false);
        assert!(report.join().unwrap(), "acknowledged late");
        assert_eq!(phone.subscribe(&mut another, 600), Some(200));
        assert!(site.readiness().starts_with("HTTP/1.1 200"));
    });
    daemon.kill();
    let daemon = site.start(1);
    assert_eq!(phone.subscribe(&mut dialog, 600), Some(200));
    assert!(phone.listen(|phone| phone.shows(&dialog, "<state>confirmed</state>")));
    assert_eq!(phone.faults, [] as [String; 0]);
    daemon.stop();
}

#[test]
fn a_full_disk_may_refuse() {
    refuses("full-refuse", Disk::tmpfs, Disk::fill, Disk::free);
}

#[test]
fn a_disk_that_does_not_answer_may_refuse() {
    refuses("hangs-refuse", Disk::ext4, Disk::freeze, Disk::thaw);
}

#[test]
fn a_read_only_disk_is_refused_at_the_start() {
    let site = Site::new("read-only-start");
    let disk = Disk::ext4(&site.folder.0);
    site.start(1).stop();
    disk.break_down();
    let complaint = site.folder.complains("serve");
    let state = site.folder.0.join("state");
    assert!(complaint.contains(state.to_str().unwrap()), "{complaint}");
    assert!(complaint.contains("Read-only file system"), "{complaint}");
    disk.repair();
    site.start(1).stop();
}

/// Dialogs whose records make some hundred pages.
const DIALOGS: usize = 300;

/// Whatever happened to the file: the server starts, and if anything is lost, it says so.
fn starts_with_damage(site: &Site, damage: impl FnOnce(&Path)) -> Daemon<'_> {
    let daemon = site.start(2);
    let alive = Arc::new(AtomicBool::new(false));
    let mut phone = Endpoint::new("phone", Link::udp(site.sip), alive);
    let mut dialogs: Vec<_> = (0..DIALOGS)
        .map(|user| phone.dialog(&format!("{}", user % 10)))
        .collect();
    for dialog in &mut dialogs {
        assert_eq!(phone.subscribe(dialog, 600), Some(200));
    }
    daemon.stop();
    damage(&site.folder.0.join("state/state.sqlite"));
    let daemon = site.start(1);
    let mut lost = 0;
    for dialog in &mut dialogs {
        match phone.subscribe(dialog, 600) {
            Some(200) => {}
            Some(481) => lost += 1,
            other => panic!("{other:?} to {dialog:?}"),
        }
    }
    let said = [
        "store_files_damaged",
        "store_rows_impossible",
        "records_unreadable",
    ];
    let said = said.map(|name| site.metric(&format!("{name}_total")));
    println!("{lost} of {DIALOGS} lost; {said:?}");
    assert!(lost == 0 || said != [0, 0, 0], "{lost} are lost in silence");
    daemon
}

#[test]
fn rows_that_no_server_wrote_are_removed() {
    let site = Site::new("impossible");
    site.start(1).stop();
    let open = || rusqlite::Connection::open(site.folder.0.join("state/state.sqlite")).unwrap();
    let rows = "
        INSERT INTO dialog VALUES (-5, x'00'), (4294967290, x'00'), (1099511627776, x'00'), (3, x'00');
        INSERT INTO presentity VALUES (-1, x'00'), (9223372036854775807, x'00'), (0, x'00');
    ";
    open().execute_batch(rows).unwrap();
    let daemon = site.start(2);
    // Each end of a table, up to the first row that may be sound, and what has no possible key below.
    let counted =
        ["store_rows_impossible_total", "records_unreadable_total"].map(|name| site.metric(name));
    assert_eq!(counted.iter().sum::<u64>(), 7, "{counted:?}");
    assert!(site.resident_memory() < 1 << 30);
    daemon.stop();
    for table in ["dialog", "presentity"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(open().query_row(&count, [], |row| row.get(0)), Ok(0));
    }
}

#[test]
fn a_truncated_file_is_set_aside_and_the_rest_goes_on() {
    let site = Site::new("truncated");
    let daemon = starts_with_damage(&site, |file| {
        let octets = fs::metadata(file).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(octets / 2).unwrap();
    });
    assert_eq!(site.metric("store_files_damaged_total"), 1);
    assert!(site.metric("store_rows_salvaged_total") > 0);
    let names = fs::read_dir(site.folder.0.join("state")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside = names.filter(|name| {
        name.contains(".damaged-") && !name.ends_with("-shm") && !name.ends_with("-wal")
    });
    assert_eq!(aside.count(), 1, "it is not deleted");
    daemon.stop();
}

/// Damage of the history costs the past at most: the server starts, records, and shows what is left.
#[test]
fn a_damaged_history_is_set_aside_and_the_rest_goes_on() {
    let site = Site::new("damaged-history");
    let daemon = site.start(2);
    for user in 0..10 {
        for number in 0..80 {
            assert!(call_state(site.http, &user.to_string(), number % 2 == 0));
        }
    }
    daemon.stop();
    let state = site.folder.0.join("state");
    let history = fs::OpenOptions::new()
        .write(true)
        .open(state.join("history.sqlite"))
        .unwrap();
    let octets = history.metadata().unwrap().len();
    history.set_len(octets / 4096 * 2 / 3 * 4096).unwrap();
    let daemon = site.start(1);
    let show = "history a.example --limit 10000 --csv";
    let start = Instant::now();
    // A question may be what finds the damage.
    while site.metric("history_salvaged_total") == 0 {
        let _refused = std::panic::catch_unwind(|| site.folder.says(&daemon.command(show)));
        assert!(start.elapsed() < Duration::from_secs(20), "nothing is read");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(site.metric("history_files_damaged_total"), 1);
    daemon.wait_for("what can be read of the damaged history has been copied");
    assert!(call_state(site.http, "3", true));
    let kept = site.metric("history_salvaged_total") as usize;
    let shown = || site.folder.says(&daemon.command(show)).lines().count();
    while shown() < kept + 2 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{} of {kept}",
            shown()
        );
        thread::sleep(Duration::from_millis(50));
    }
    println!("{kept} of 800 changes are kept");
    assert_eq!(site.metric("history_failing"), 0);
    assert!(site.readiness().ends_with("\r\n\r\nOK\n"));
    daemon.stop();
}

#[test]
fn a_file_with_random_damage_is_read_as_far_as_it_can_be() {
    let mut random = Random::new();
    for run in 0..6 {
        let site = Site::new(&format!("damaged-{run}"));
        let mut random = random.split();
        let daemon = starts_with_damage(&site, |file| overwrite(file, &mut random, 1 << run));
        daemon.stop();
    }
}

/// Overwrites octets at that many random places.
fn overwrite(path: &Path, random: &mut Random, places: u64) {
    let end = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    for _ in 0..places {
        let octets: Vec<u8> = (0..8).map(|_| random.below(256) as u8).collect();
        file.write_all_at(&octets, random.below(end)).unwrap();
    }
}
