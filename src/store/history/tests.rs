use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::batch::{Change, HistoryBatch, Verdict};
use super::erasure::Erasure;
use super::journal::{Journal, Pruned, STEP_ROWS};
use super::limits::{DomainLimits, HistoryLimits};
use super::*;
use crate::presence::Aor;
use crate::presence::DataSubject;
use crate::presence::history::{HistoryErased, HistoryPage, HistoryQuery};

const UNLIMITED: DomainLimits = DomainLimits {
    age_max: Duration::MAX,
    octets_max: None,
};
const BUSY: Verdict = Verdict {
    status: "busy",
    basic: "open",
    lamp: "confirmed",
    decider: "publish",
    rule: "a call is confirmed",
};

/// A folder of its own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("lamplighter-history-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("history.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn change<'a>(at: i64, user: &'a str, domain: &'a str) -> Change<'a> {
    Change {
        at,
        domain,
        user,
        verdict: BUSY,
        party: "",
        note: "",
    }
}

fn all(domain: &str, user: Option<&str>) -> HistoryQuery {
    HistoryQuery {
        domain: domain.to_owned(),
        user: user.map(str::to_owned),
        since: 0,
        until: i64::MAX,
        limit: 1_000_000,
        from: None,
    }
}

/// The answer of a reader on the file.
fn ask(folder: &Folder, query: HistoryQuery) -> HistoryPage {
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    let page = ask_of(&history, query).unwrap();
    history.close();
    page
}

fn ask_of(history: &History, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
    let (sender, receiver) = mpsc::channel();
    let queries = history.queries();
    queries.ask(query, move |page| sender.send(page).unwrap());
    receiver.recv().unwrap()
}

fn times(page: &HistoryPage) -> Vec<i64> {
    page.changes.iter().map(|change| change.at).collect()
}

#[test]
fn changes_are_found_by_address_domain_and_time() {
    let folder = Folder::new("found");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let noted = Change {
        party: "sip:5@b.test",
        note: "lunch",
        ..change(300, "1", "a.test")
    };
    let changes = [
        change(100, "1", "a.test"),
        change(200, "2", "a.test"),
        change(200, "1", "b.test"),
        noted,
        change(400, "2", "a.test"),
    ];
    journal.append(changes.into_iter()).unwrap();
    let one = ask(&folder, all("a.test", Some("1")));
    assert_eq!((times(&one), one.next), (vec![300, 100], None));
    let newest = &one.changes[0];
    assert_eq!(newest.address, "1@a.test");
    assert_eq!(newest.party.as_deref(), Some("sip:5@b.test"));
    assert_eq!(newest.note.as_deref(), Some("lunch"));
    assert_eq!((&*newest.status, &*newest.lamp), ("busy", "confirmed"));
    assert_eq!(one.changes[1].note, None);
    assert_eq!(
        times(&ask(&folder, all("a.test", None))),
        [400, 300, 200, 100]
    );
    assert_eq!(times(&ask(&folder, all("b.test", None))), [200]);
    for user in [None, Some("2")] {
        let range = HistoryQuery {
            since: 200,
            until: 400,
            ..all("a.test", user)
        };
        assert_eq!(times(&ask(&folder, range)).last(), Some(&200), "{user:?}");
    }
    assert_eq!(ask(&folder, all("c.test", None)), HistoryPage::default());
    assert_eq!(
        ask(&folder, all("a.test", Some("9"))),
        HistoryPage::default()
    );
}

#[test]
fn a_long_answer_comes_in_pages() {
    let folder = Folder::new("pages");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let changes = (0..10).map(|number| change(number * 100, "1", "a.test"));
    journal.append(changes).unwrap();
    for user in [None, Some("1")] {
        let (mut from, mut seen) = (None, Vec::new());
        for _ in 0..4 {
            let page = HistoryQuery {
                limit: 3,
                from,
                ..all("a.test", user)
            };
            let page = ask(&folder, page);
            seen.extend(times(&page));
            from = page.next;
        }
        assert_eq!(from, None);
        let expected: Vec<i64> = (0..10).rev().map(|number| number * 100).collect();
        assert_eq!(seen, expected, "{user:?}");
    }
}

/// Numbers go on growing after the clock was set back, and the times are those of the clock.
#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let folder = Folder::new("clock");
    let mut journal = Journal::open(&folder.file()).unwrap();
    journal
        .append([change(5_000, "1", "a.test")].into_iter())
        .unwrap();
    drop(journal);
    let mut journal = Journal::open(&folder.file()).unwrap();
    journal
        .append([change(1_000, "1", "a.test")].into_iter())
        .unwrap();
    for user in [None, Some("1")] {
        assert_eq!(times(&ask(&folder, all("a.test", user))), [1_000, 5_000]);
        let since = HistoryQuery {
            since: 500,
            ..all("a.test", user)
        };
        assert_eq!(times(&ask(&folder, since)), [1_000, 5_000]);
    }
}

#[test]
fn what_is_too_old_is_removed_in_steps() {
    let folder = Folder::new("age");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let rows = STEP_ROWS as i64 + 100;
    let old = (0..rows).map(|at| change(at, "1", "a.test"));
    let other = (0..10).map(|at| change(rows + at, "1", "b.test"));
    let young = [change(1_000_000, "2", "a.test")];
    journal.append(old.chain(other).chain(young)).unwrap();
    let limits = DomainLimits {
        age_max: Duration::from_secs(900),
        octets_max: None,
    };
    let mut prune = || journal.prune("a.test", limits, 1_000_000).unwrap();
    assert_eq!(prune(), Pruned::Some(STEP_ROWS as u64));
    assert_eq!(prune(), Pruned::All(100));
    assert_eq!(prune(), Pruned::All(0));
    assert_eq!(times(&ask(&folder, all("a.test", None))), [1_000_000]);
    assert_eq!(
        ask(&folder, all("a.test", Some("1"))),
        HistoryPage::default()
    );
    assert_eq!(ask(&folder, all("b.test", None)).changes.len(), 10);
    let addresses = "SELECT count(*) FROM address";
    let addresses = journal
        .connection
        .query_row(addresses, [], |row| row.get(0));
    assert_eq!(addresses, Ok(2), "the name goes with the last change");
}

#[test]
fn a_domain_that_is_too_large_loses_its_oldest() {
    let folder = Folder::new("size");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let rows = 3 * STEP_ROWS as i64;
    for domain in ["a.test", "b.test"] {
        let changes = (0..rows).map(|at| change(at, "1", domain));
        journal.append(changes).unwrap();
    }
    let octets = |journal: &Journal| -> i64 {
        let octets = "SELECT octets FROM domain WHERE name = 'a.test'";
        let octets = journal.connection.query_row(octets, [], |row| row.get(0));
        octets.unwrap()
    };
    let full = octets(&journal);
    let limits = DomainLimits {
        octets_max: Some(full as u64 / 2),
        ..UNLIMITED
    };
    while let Pruned::Some(_) = journal.prune("a.test", limits, rows).unwrap() {}
    assert!(octets(&journal) <= full / 2);
    let left = times(&ask(&folder, all("a.test", Some("1"))));
    assert_eq!(left.len() as i64, octets(&journal) * rows / full);
    assert_eq!(
        (left[0], left.last()),
        (rows - 1, Some(&(rows - left.len() as i64)))
    );
    assert_eq!(ask(&folder, all("b.test", None)).changes.len() as i64, rows);
    drop(journal);
    let journal = Journal::open(&folder.file()).unwrap();
    assert_eq!(octets(&journal) * rows / full, left.len() as i64);
}

#[test]
fn an_erasure_leaves_nothing_of_a_person() {
    let folder = Folder::new("erasure");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let rows = STEP_ROWS as i64 + 10;
    let own = (0..rows).map(|at| Change {
        note: "a secret of the person",
        ..change(at, "person", "a.test")
    });
    journal.append(own).unwrap();
    for (at, party) in [
        (1, "sip:person@a.test"),
        (2, "sip:person@A.TEST;user=phone"),
        (3, "sip:another-person@a.test"),
    ] {
        let of_another = Change {
            party,
            ..change(rows + at, "2", "b.test")
        };
        journal.append([of_another].into_iter()).unwrap();
    }
    let mut erasure = Erasure::new(DataSubject::Person(Aor::new("person", "a.test")));
    let erased = loop {
        if let Some(erased) = erasure.step(&mut journal).unwrap() {
            break erased;
        }
    };
    let expected = HistoryErased {
        changes: rows as u64,
        mentions: 2,
    };
    assert_eq!(erased, expected);
    assert_eq!(ask(&folder, all("a.test", None)), HistoryPage::default());
    let parties = ask(&folder, all("b.test", None)).changes;
    let parties: Vec<_> = parties
        .iter()
        .filter_map(|change| change.party.as_deref())
        .collect();
    assert_eq!(
        parties,
        [
            "sip:another-person@a.test",
            "sip:anonymous@anonymous.invalid",
            "sip:anonymous@anonymous.invalid"
        ]
    );
    for entry in fs::read_dir(&folder.0).unwrap() {
        let octets = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&octets);
        assert!(!text.contains("a secret of the person"));
        assert!(!text.contains("sip:person@"));
    }
}

#[test]
fn an_erasure_leaves_nothing_of_the_people_of_a_domain() {
    let folder = Folder::new("erased-domain");
    let mut journal = Journal::open(&folder.file()).unwrap();
    let rows = 2 * STEP_ROWS as i64 + 10;
    let users: Vec<String> = (0..rows).map(|at| format!("user{}", at % 7)).collect();
    let own = (0..).zip(&users).map(|(at, user)| Change {
        note: "a secret of the tenant",
        ..change(at, user, "gone.test")
    });
    journal.append(own).unwrap();
    let of_another = Change {
        party: "sip:user1@gone.test",
        ..change(rows, "2", "b.test")
    };
    journal.append([of_another].into_iter()).unwrap();
    let mut erasure = Erasure::new(DataSubject::Domain("gone.test".into()));
    let erased = loop {
        if let Some(erased) = erasure.step(&mut journal).unwrap() {
            break erased;
        }
    };
    let expected = HistoryErased {
        changes: rows as u64,
        mentions: 1,
    };
    assert_eq!(erased, expected);
    assert_eq!(ask(&folder, all("gone.test", None)), HistoryPage::default());
    assert_eq!(ask(&folder, all("b.test", None)).changes.len(), 1);
    for entry in fs::read_dir(&folder.0).unwrap() {
        let octets = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&octets);
        assert!(!text.contains("a secret of the tenant") && !text.contains("gone.test"));
    }
    // A domain of that name begins anew.
    journal
        .append([change(rows + 1, "user1", "gone.test")].into_iter())
        .unwrap();
    assert_eq!(ask(&folder, all("gone.test", None)).changes.len(), 1);
}

fn limits() -> HistoryLimits {
    HistoryLimits {
        default: UNLIMITED,
        domains: std::collections::HashMap::new(),
    }
}

fn submit(history: &HistoryHandle, changes: impl Iterator<Item = i64>) {
    let mut batch = history.batch(0);
    changes.for_each(|at| batch.push(&change(at, "1", "a.test")));
    history.submit(batch);
}

fn counter(history: &HistoryHandle, name: &str) -> u64 {
    let counters = history.counters();
    let found = counters.iter().find(|(known, _)| *known == name);
    found.unwrap().1
}

#[test]
fn what_is_handed_over_is_written_by_the_end() {
    let folder = Folder::new("writer");
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    let handle = history.handle();
    for at in 0..100 {
        submit(&handle, [at].into_iter());
    }
    history.close();
    assert_eq!(counter(&handle, "history_changes"), 100);
    assert_eq!(ask(&folder, all("a.test", Some("1"))).changes.len(), 100);
}

#[test]
fn an_erasure_includes_what_was_handed_over_before() {
    let folder = Folder::new("order");
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    let handle = history.handle();
    submit(&handle, 0..50);
    let (sender, receiver) = mpsc::channel();
    handle.erase(
        DataSubject::Person(Aor::new("1", "a.test")),
        move |erased| sender.send(erased).unwrap(),
    );
    let erased = receiver.recv().unwrap().unwrap();
    assert_eq!(erased.changes, 50);
    history.close();
    assert_eq!(ask(&folder, all("a.test", None)), HistoryPage::default());
}

/// The disk cannot follow: the shard goes on at once, and what is left out is counted.
#[test]
fn history_is_thinned_when_too_much_waits() {
    let folder = Folder::new("thinned");
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    let handle = history.handle();
    // Another connection keeps the writer from writing.
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..300 {
        submit(&handle, 0..1_000);
    }
    let thinned = counter(&handle, "history_thinned");
    assert!((90_000..300_000).contains(&thinned), "{thinned}");
    other.execute_batch("COMMIT").unwrap();
    history.close();
    let written = counter(&handle, "history_changes");
    let thinned = counter(&handle, "history_thinned");
    assert_eq!(written + thinned, 300_000);
    assert!(written >= 100_000, "{written}");
}

#[test]
fn limits_apply_to_a_running_history() {
    let folder = Folder::new("limits");
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    submit(&history.handle(), 0..2 * STEP_ROWS as i64);
    history.close();
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(counter(&history.handle(), "history_pruned"), 0);
    history.close();
    let mut few = limits();
    let domain = DomainLimits {
        age_max: Duration::from_secs(3600),
        octets_max: None,
    };
    few.domains.insert("a.test".to_owned(), domain);
    let history = History::open(&folder.file(), 1, few).unwrap();
    let handle = history.handle();
    let deadline = Instant::now() + Duration::from_secs(20);
    while counter(&handle, "history_pruned") < 2 * STEP_ROWS as u64 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
    history.close();
    assert_eq!(ask(&folder, all("a.test", None)), HistoryPage::default());
}

#[test]
fn a_damaged_file_is_set_aside() {
    let folder = Folder::new("damaged");
    fs::write(folder.file(), vec![0x5a; 8192]).unwrap();
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    submit(&history.handle(), 0..3);
    history.close();
    assert_eq!(ask(&folder, all("a.test", None)).changes.len(), 3);
    let names = fs::read_dir(&folder.0).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.contains(".damaged-")));
}

/// Changes of 50 users in two domains, a millisecond apart, in a file of which some pages are damaged.
fn damaged(folder: &Folder, pages: std::ops::Range<u64>) -> usize {
    const CHANGES: i64 = 20_000;
    let mut journal = Journal::open(&folder.file()).unwrap();
    let now = journal::unix_milliseconds();
    let users: Vec<_> = (0..25).map(|user| format!("{user}")).collect();
    let changes = (0..CHANGES).map(|number| Change {
        note: "noted",
        ..change(
            now - CHANGES + number,
            &users[(number % 50 / 2) as usize],
            if number % 2 == 0 { "a.test" } else { "b.test" },
        )
    });
    journal.append(changes).unwrap();
    journal.empty_log().unwrap();
    drop(journal);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(folder.file())
        .unwrap();
    assert!(file.metadata().unwrap().len() > pages.end * 4096);
    for page in pages {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    CHANGES as usize
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "not {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A query finds the damage. The server ends while the file is being read, and goes on at the next start.
/// Each change that is left is found by its domain and by its address, and erased with the person.
#[test]
fn what_can_be_read_of_a_damaged_file_is_kept() {
    let folder = Folder::new("salvage");
    let changes = damaged(&folder, 60..64);
    let history = History::open(&folder.file(), 1, limits()).unwrap();
    let now = journal::unix_milliseconds();
    submit(&history.handle(), now..now + 3);
    let _damage = ask_of(&history, all("a.test", None)).unwrap_err();
    wait_until("set aside", || {
        counter(&history.handle(), "history_files_damaged") == 1
    });
    let (sender, receiver) = mpsc::channel();
    let person = Aor::new("1", "a.test");
    let refused = sender.clone();
    let told = move |erased| refused.send(erased).unwrap();
    history
        .handle()
        .erase(DataSubject::Person(person.clone()), told);
    let refusal = receiver.recv().unwrap().unwrap_err().to_string();
    assert!(refusal.contains("still being read"), "{refusal}");
    history.close();

    let history = History::open(&folder.file(), 1, limits()).unwrap();
    submit(&history.handle(), now + 3..now + 6);
    let is_read = || {
        let connection = schema::open_for_queries(&folder.file()).unwrap();
        let count = "SELECT count(*) FROM salvage";
        connection.query_row(count, [], |row| row.get(0)) == Ok(0)
    };
    wait_until("read", is_read);
    let of =
        |domain: &str, user: Option<&str>| times(&ask_of(&history, all(domain, user)).unwrap());
    let (of_a, of_b) = (of("a.test", None), of("b.test", None));
    let kept = of_a.len() + of_b.len();
    println!("{kept} of {changes} changes are kept");
    assert!(kept < changes + 6 && kept > changes * 9 / 10, "{kept}");
    assert!(of_a.is_sorted_by(|newer, older| newer > older));
    let users = (0..25).map(|user| of("a.test", Some(&user.to_string())).len());
    assert_eq!(users.sum::<usize>(), of_a.len(), "a chain is broken");
    let own = of("a.test", Some("1")).len();
    let told = move |erased| sender.send(erased).unwrap();
    history.handle().erase(DataSubject::Person(person), told);
    assert_eq!(receiver.recv().unwrap().unwrap().changes, own as u64);
    assert_eq!(of("a.test", None).len(), of_a.len() - own);
    history.close();
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let folder = Folder::new("newer");
    History::open(&folder.file(), 1, limits()).unwrap().close();
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = History::open(&folder.file(), 1, limits()).unwrap_err();
    assert!(refused.to_string().contains("newer version"), "{refused}");
}

#[test]
fn a_batch_keeps_its_buffers() {
    let mut batch = HistoryBatch::default();
    batch.push(&change(1, "1", "a.test"));
    assert_eq!((batch.len(), batch.is_empty()), (1, false));
    batch.clear();
    batch.push(&change(2, "2", "b.test"));
    let changes: Vec<_> = batch.changes().collect();
    assert_eq!(changes, [change(2, "2", "b.test")]);
}
