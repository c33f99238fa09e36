//! `lamplighter backup`, `restore`, `export` and `forget` with the real daemon, and what the operator edits.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
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

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{fs, thread};

use crate::link::Link;
use crate::load::Load;
use crate::phone::{Dialog, Endpoint};
use crate::site::{Site, call_state};

/// Dialogs of a phone before the backup.
const DIALOGS: usize = 50;

fn phone(site: &Site) -> Endpoint {
    let alive = Arc::new(AtomicBool::new(false));
    Endpoint::new("phone", Link::udp(site.sip), alive)
}

fn subscribe(phone: &mut Endpoint, expires: u32) -> Vec<Dialog> {
    let mut dialogs: Vec<_> = (0..DIALOGS)
        .map(|user| phone.dialog(&(user % 10).to_string()))
        .collect();
    for dialog in &mut dialogs {
        assert_eq!(phone.subscribe(dialog, expires), Some(200));
    }
    dialogs
}

fn in_folder(site: &Site, name: &str) -> PathBuf {
    site.folder.0.join(name)
}

#[test]
fn a_backup_under_load_goes_on_in_another_directory() {
    let site = Site::new("backup");
    let file = in_folder(&site, "backup.sqlite");
    let daemon = site.start(2);
    let mut phone = phone(&site);
    let mut dialogs = subscribe(&mut phone, 3600);
    let expiring = subscribe(&mut phone, 1);
    assert!(call_state(site.http, "9", true));
    let mut load = Load::new(site.sip, site.http);
    let back_up = format!("backup {}", file.display());
    load.run(Duration::from_millis(500), || {
        let said = site.folder.says(&daemon.command(&back_up));
        assert!(
            said.contains("backup.sqlite: ") && said.contains(" octets"),
            "{said}"
        );
        let complaint = site.folder.complains(&daemon.command(&back_up));
        assert!(
            complaint.contains("exists: a backup overwrites no file"),
            "{complaint}"
        );
        daemon.kill();
    });
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "callers' names are in it");
    thread::sleep(Duration::from_secs(1));
    let restore = format!("restore {}", file.display());
    let complaint = site.folder.complains(&restore);
    assert!(complaint.contains("not empty"), "{complaint}");
    fs::rename(in_folder(&site, "state"), in_folder(&site, "lost")).unwrap();
    let said = site.folder.says(&restore);
    let dropped = said.rsplit_once("; ").unwrap().1.split(' ').next().unwrap();
    assert!(
        dropped.parse::<usize>().unwrap() >= expiring.len(),
        "{said}"
    );
    let daemon = site.start(1);
    for dialog in &mut dialogs {
        assert_eq!(phone.subscribe(dialog, 3600), Some(200), "{dialog:?}");
    }
    let in_call = &dialogs[9];
    let is_told = phone.listen(|phone| phone.shows(in_call, "<state>confirmed</state>"));
    assert!(is_told, "{:#?}", phone.notified.get(&in_call.call_id));
    for mut dialog in expiring {
        assert_eq!(phone.subscribe(&mut dialog, 3600), Some(481));
    }
    assert_eq!(phone.faults, [] as [String; 0]);
    daemon.stop();
}

#[test]
fn a_backup_that_cannot_be_restored_is_refused() {
    let site = Site::new("backup-refused");
    let daemon = site.start(1);
    let _dialogs = subscribe(&mut phone(&site), 3600);
    let file = in_folder(&site, "backup.sqlite");
    site.folder
        .says(&daemon.command(&format!("backup {}", file.display())));
    daemon.stop();
    let target = in_folder(&site, "target");
    let restore = |file: &Path| {
        let line = format!(
            "restore {} --directory {}",
            file.display(),
            target.display()
        );
        site.folder.complains(&line)
    };
    let damaged = in_folder(&site, "damaged.sqlite");
    fs::copy(&file, &damaged).unwrap();
    let octets = fs::OpenOptions::new().write(true).open(&damaged).unwrap();
    octets.write_all_at(&[0xa5; 4096], 2 * 4096).unwrap();
    let complaint = restore(&damaged);
    assert!(complaint.contains("damaged"), "{complaint}");
    let newer = in_folder(&site, "newer.sqlite");
    fs::copy(&file, &newer).unwrap();
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection
        .pragma_update(None, "user_version", 1_000)
        .unwrap();
    drop(connection);
    let complaint = restore(&newer);
    assert!(
        complaint.contains("newer version of Lamplighter"),
        "{complaint}"
    );
    let complaint = restore(&in_folder(&site, "missing.sqlite"));
    assert!(complaint.contains("missing.sqlite"), "{complaint}");
    // None of them left anything behind.
    let restore = format!(
        "restore {} --directory {}",
        file.display(),
        target.display()
    );
    let said = site.folder.says(&restore);
    assert!(said.contains(&format!("{DIALOGS} dialogs")), "{said}");
}

/// What the configuration of the export says besides accounts and orbits.
const CONFIGURED: &str = r#"
[[group]]
name = "sales"
domain = "a.example"
members = ["1", "2", "sip:7@b.example"]
[[policy]]
domain = "a.example"
watcher = "sales"
presentity = "7*"
package = "presence"
handling = "confirm"
privacy = 1
[[policy]]
domain = "a.example"
watcher = "*@b.example"
handling = "block"
[[profile]]
name = "lobby"
user_agents = ["Lobby/", "*-3PCC"]
dnd_lamp = "early"
notify_rate = 3
"#;

/// Each statement of the operator, and how the export shows it: address, source, what it asserts.
const STATED: [(&str, &str, &str, &str); 12] = [
    (
        "set 0@a.example presence closed vacation",
        "operator:presence",
        "basic",
        "closed",
    ),
    (
        "set 1@a.example forward no-answer 4711 --rings 3",
        "feature:forward",
        "target",
        "4711",
    ),
    (
        "set 2@a.example messages 3/1 1/0",
        "operator:messages",
        "urgent_new",
        "1",
    ),
    (
        "set 3@a.example appearance 2 held --party <sip:5@a.example>",
        "operator:appearance",
        "state",
        "held",
    ),
    (
        "set 4@a.example note lunch",
        "operator:note",
        "note",
        "lunch",
    ),
    (
        "set 5@a.example dnd on",
        "feature:dnd",
        "do_not_disturb",
        "true",
    ),
    (
        "set 7@a.example lamp early --from sip:5@a.example",
        "operator:lamp",
        "state",
        "early",
    ),
    (
        "set 8@a.example registered sip:8@192.0.2.8 3600",
        "operator:registered:sip:8@192.0.2.8",
        "registered",
        "true",
    ),
    ("set 9@a.example unregistered", "register", "contacts", "[]"),
    (
        "set 700@a.example park sip:6@a.example",
        "operator:lamp",
        "state",
        "confirmed",
    ),
    // A user of an open domain, without an account.
    (
        "set guest@a.example note visiting",
        "operator:note",
        "note",
        "visiting",
    ),
    (
        "set 701@a.example lamp confirmed --expires 10m",
        "operator:lamp",
        "state",
        "confirmed",
    ),
];

/// The first value under a name, at any depth.
fn value_of<'v>(json: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    match json {
        serde_json::Value::Object(fields) => fields
            .get(name)
            .or_else(|| fields.values().find_map(|field| value_of(field, name))),
        serde_json::Value::Array(items) => items.iter().find_map(|item| value_of(item, name)),
        _ => None,
    }
}

#[test]
fn an_export_has_all_that_an_operator_said() {
    let site = Site {
        store: CONFIGURED,
        ..Site::new("export")
    };
    let daemon = site.start(2);
    for line in [
        "list create team@a.example 1 2",
        "approve b@a.example 3@a.example",
    ] {
        site.folder.says(&daemon.command(line));
    }
    for (line, ..) in STATED {
        site.folder.says(&daemon.command(line));
    }
    assert!(call_state(site.http, "6", true));
    let export = site.folder.says(&daemon.command("export --json"));
    let export: serde_json::Value = serde_json::from_str(&export).unwrap();
    assert_eq!(export["domains"], serde_json::json!(["a.example"]));
    assert_eq!(export["accounts"].as_array().unwrap().len(), 10);
    assert_eq!(
        export["orbits"],
        serde_json::json!([{"domain": "a.example", "users": ["700-709"]}])
    );
    assert_eq!(export["accounts"][3]["aor"], "3@a.example");
    let lists = export["lists"].as_array().unwrap();
    let team = lists.iter().find(|list| list["list"] == "team@a.example");
    assert_eq!(team.unwrap()["members"][1]["uri"], "sip:2@a.example");
    assert_eq!(export["rules"][0]["aor"], "3@a.example");
    check_configured(&export);
    let statements = export["statements"].as_array().unwrap();
    for (line, source, name, value) in STATED {
        let aor = line.split(' ').nth(1).unwrap();
        let about = statements.iter().find(|about| about["aor"] == aor);
        let said = &about.unwrap()["contributions"][0];
        assert_eq!(said["source"], source, "{line}");
        let shown = value_of(&said["asserts"], name).unwrap();
        let shown = shown
            .as_str()
            .map_or_else(|| shown.to_string(), str::to_owned);
        assert_eq!(shown, value, "{line}: {said}");
    }
    assert_eq!(
        statements.len(),
        STATED.len(),
        "not what a PBX reported: {statements:?}"
    );
    let expiring = statements
        .iter()
        .find(|about| about["aor"] == "701@a.example");
    let remaining = &expiring.unwrap()["contributions"][0]["remaining_seconds"];
    assert!(
        remaining.as_u64().is_some_and(|seconds| seconds <= 600),
        "{remaining}"
    );
    assert!(!export.to_string().contains("password"));
    daemon.stop();
}

fn check_configured(export: &serde_json::Value) {
    let members = ["1@a.example", "2@a.example", "7@b.example"];
    let group = serde_json::json!({"group": "sales", "domain": "a.example", "members": members});
    assert_eq!(export["groups"], serde_json::json!([group]));
    let policies = serde_json::json!([
        {
            "number": 1, "domain": "a.example", "watcher": "sales", "presentity": "7*@a.example",
            "package": "presence", "handling": "confirm", "privacy": 1,
        },
        {
            "number": 2, "domain": "a.example", "watcher": "*@b.example", "presentity": "*",
            "package": null, "handling": "block", "privacy": null,
        },
    ]);
    assert_eq!(export["policies"], policies);
    let lobby = &export["profiles"][0];
    assert_eq!(lobby["name"], "lobby");
    assert_eq!(
        lobby["user_agents"],
        serde_json::json!(["Lobby/", "*-3PCC"])
    );
    assert_eq!(lobby["dnd_lamp"], "early");
    assert_eq!(lobby["notify_rate"], 3);
    assert_eq!(lobby["idle"], "terminated", "it is inherited");
    let profiles = export["profiles"].as_array().unwrap();
    assert!(profiles.iter().any(|profile| profile["name"] == "generic"));
}

/// Whether a file of the data directory holds a text.
fn files_with(site: &Site, text: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(in_folder(site, "state")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| {
        let octets = fs::read(path).unwrap();
        let mut windows = octets.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    paths.filter(holds).collect()
}

/// The person is the watcher of a phone, has a note, and is in a call with another. The octets of its
/// records move about in the file as others come and go.
#[test]
fn an_erased_person_is_in_no_file() {
    let site = Site::new("forget");
    let daemon = site.start(2);
    let mut phone = phone(&site);
    let mut dialogs = subscribe(&mut phone, 3600);
    for dialog in dialogs.iter_mut().step_by(3) {
        assert_eq!(phone.subscribe(dialog, 0), Some(200));
    }
    for length in 1..40 {
        let note = format!(
            "set watcher@a.example note private{}",
            "x".repeat(length * 20)
        );
        site.folder.says(&daemon.command(&note));
        let other = format!(
            "set {}@a.example note {}",
            length % 10,
            "y".repeat(length * 20)
        );
        site.folder.says(&daemon.command(&other));
    }
    for line in [
        "set watcher@a.example forward busy 4711",
        "set 4@a.example lamp confirmed --from sip:watcher@a.example",
        "approve 9@a.example watcher@a.example",
        "approve watcher@a.example 9@a.example",
    ] {
        site.folder.says(&daemon.command(line));
    }
    daemon.kill();
    let daemon = site.start(1);
    assert!(!files_with(&site, "private").is_empty());
    assert!(!files_with(&site, "watcher@a.example").is_empty());
    let aside = in_folder(&site, "state/state.sqlite.damaged-7");
    fs::write(&aside, "a damaged file").unwrap();

    let told = site
        .folder
        .says(&daemon.command("forget watcher@a.example"));
    for words in [
        "  subscriptions: 33\n",
        "  notes: 1\n",
        "  forwardings: 1\n",
        "  mentions in calls of others: 1\n",
        "  rules for watchers: 1\n",
        "  rules of others that name it: 1\n",
        "state.sqlite.damaged-7\n",
    ] {
        assert!(told.contains(words), "{words}{told}");
    }
    let ended = |phone: &Endpoint| {
        let is_over = |dialog: &&Dialog| phone.shows(dialog, "reason=deactivated");
        dialogs.iter().filter(is_over).count() == 33
    };
    assert!(phone.listen(ended), "the phones are told");
    // The rule of another names it, and is not erased.
    site.folder
        .says(&daemon.command("rules remove 9@a.example"));
    let again = site
        .folder
        .says(&daemon.command("forget watcher@a.example"));
    assert!(again.starts_with("nothing was known of "), "{again}");
    for text in ["watcher@a.example", "private", "4711"] {
        assert_eq!(files_with(&site, text), [] as [PathBuf; 0], "{text}");
    }
    // The server goes on, and so does the store.
    let mut dialog = phone.dialog("1");
    assert_eq!(phone.subscribe(&mut dialog, 3600), Some(200));
    daemon.kill();
    let daemon = site.start(1);
    assert_eq!(phone.subscribe(&mut dialog, 3600), Some(200));
    assert_eq!(phone.faults, [] as [String; 0]);
    daemon.stop();
}

/// Lists and rules that the operator edits outlive the server, and a configuration that says nothing new
/// of them.
#[test]
fn edits_of_the_operator_outlive_the_server() {
    let site = Site {
        store: "[[list]]\nuser = \"team\"\ndomain = \"a.example\"\nmembers = [\"1\"]\n\
            [[list]]\nuser = \"others\"\ndomain = \"a.example\"\nmembers = [\"2\"]\n",
        ..Site::new("edits")
    };
    let daemon = site.start(2);
    let says = |daemon: &daemon::Daemon<'_>, line: &str| site.folder.says(&daemon.command(line));
    for line in [
        "list add team@a.example 3",
        "list delete others@a.example",
        "list create new@a.example 4 5",
        "approve b@a.example 3@a.example",
    ] {
        says(&daemon, line);
    }
    let before = says(&daemon, "export --json");
    daemon.kill();
    let daemon = site.start(1);
    assert_eq!(says(&daemon, "export --json"), before);
    says(&daemon, "reload");
    assert_eq!(says(&daemon, "export --json"), before);
    let backup = in_folder(&site, "edits.sqlite");
    says(&daemon, &format!("backup {}", backup.display()));

    let text = fs::read_to_string(site.folder.file()).unwrap();
    let changed = text.replace("members = [\"1\"]", "members = [\"1\", \"6\"]");
    site.folder.configure(&changed);
    let told = says(&daemon, "reload");
    assert!(
        told.contains("team@a.example: its edits no longer count"),
        "{told}"
    );
    let list = says(&daemon, "list show team@a.example");
    assert!(
        list.contains("sip:6@a.example") && !list.contains("sip:3@a.example"),
        "{list}"
    );
    says(&daemon, "rules remove 3@a.example");
    says(&daemon, "list delete new@a.example");
    daemon.kill();
    site.folder.configure(&changed);
    let daemon = daemon::Daemon::start(&site.folder);
    let export = says(&daemon, "export --json");
    let export: serde_json::Value = serde_json::from_str(&export).unwrap();
    assert_eq!(export["rules"], serde_json::json!([]));
    let lists = export["lists"].as_array().unwrap();
    assert_eq!(lists.len(), 1, "{lists:?}");
    assert_eq!(lists[0]["members"][1]["uri"], "sip:6@a.example");
    daemon.stop();

    fs::rename(in_folder(&site, "state"), in_folder(&site, "lost")).unwrap();
    site.folder.configure(&text);
    site.folder.says(&format!("restore {}", backup.display()));
    let daemon = site.start(1);
    assert_eq!(says(&daemon, "export --json"), before);
    daemon.stop();
}
