//! What the systemd unit grants the server.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "restart/link.rs"]
mod link;
#[path = "restart/phone.rs"]
mod phone;
#[path = "restart/site.rs"]
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::daemon::Daemon;
use crate::daemon::sandbox::{DEFAULT, values, words};
use crate::link::Link;
use crate::phone::Endpoint;
use crate::site::{Site, call_state};

/// The exposure that `systemd-analyze security` computes; less is better, 10 is none of its measures.
const EXPOSURE_MAX: f64 = 1.2;

/// System calls of the unit that a short run need not show, and what they are for.
const RARE: [(&str, &str); 7] = [
    ("clone", "threads, where a container refuses clone3"),
    ("epoll_wait", "a core that soon has more to do"),
    (
        "getdents64",
        "a damaged store is set aside under a free name",
    ),
    ("lseek", "a damaged store is read as far as it can be"),
    ("mremap", "a large block grows"),
    ("tgkill", "the process ends itself by SIGABRT"),
    ("writev", "a relay talks TLS"),
];

/// Where there is no systemd, the other test holds what makes the difference.
#[test]
fn the_exposure_of_the_unit_does_not_grow() {
    let mut analyze = Command::new("systemd-analyze");
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/lamplighter.service");
    analyze.args(["security", "--offline=true", "--no-pager", unit]);
    let Ok(output) = analyze.env("LC_ALL", "C").output() else {
        eprintln!("no systemd-analyze on this machine");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, level) = text.rsplit_once("lamplighter.service: ").unwrap();
    let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= EXPOSURE_MAX, "{level}\n{text}");
}

#[test]
fn the_unit_grants_no_capability_and_no_new_privilege() {
    assert_eq!(values("CapabilityBoundingSet"), [""]);
    assert_eq!(values("AmbientCapabilities"), [] as [&str; 0]);
    for key in [
        "NoNewPrivileges",
        "MemoryDenyWriteExecute",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateUsers",
        "RestrictNamespaces",
        "RestrictSUIDSGID",
    ] {
        assert_eq!(values(key), ["yes"], "{key}");
    }
    assert_eq!(values("ProtectSystem"), ["strict"]);
    assert_eq!(values("User"), ["lamplighter"]);
}

/// The profile for containers allows the server what its unit allows it. The container runtime's own calls
/// are a list beside these.
#[test]
fn the_seccomp_profile_of_containers_equals_the_filter_of_the_unit() {
    let profile = include_str!("../systemd/seccomp.json");
    let profile: serde_json::Value = serde_json::from_str(profile).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let names = |rule: &serde_json::Value| -> BTreeSet<String> {
        let names = rule["names"].as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let [server, every_program, runtime, rest @ ..] = rules.as_slice() else {
        panic!("{rules:?}");
    };
    let mut allowed = names(server);
    let conditional = ["socket", "clone", "clone3"].map(str::to_owned);
    assert!(conditional.iter().all(|name| !allowed.contains(name)));
    allowed.extend(conditional.clone());
    let listed = words("SystemCallFilter").map(str::to_owned).collect();
    assert_eq!(allowed, listed);
    let default: BTreeSet<String> = DEFAULT.split_whitespace().map(str::to_owned).collect();
    assert_eq!(names(every_program), default);
    assert!(names(runtime).is_disjoint(&allowed));
    // Sockets of the unit's families, threads without namespaces, and nothing else.
    let conditions: Vec<_> = rest.iter().map(names).collect();
    let families = words("RestrictAddressFamilies").count();
    let [socket, clone, clone3] = conditional.map(|name| BTreeSet::from([name]));
    let mut expected = vec![socket; families];
    expected.extend([clone, clone3]);
    assert_eq!(conditions, expected);
    assert!(
        rest.iter()
            .all(|rule| rule["action"] != "SCMP_ACT_ALLOW" || rule["args"].is_array())
    );
}

/// SQLite calls it as root only, which the server is in the tests alone.
const AS_ROOT: &str = "fchown";

/// A run with all that the server does by itself and on command, watched by strace.
#[test]
fn the_unit_allows_the_system_calls_that_are_used_and_no_others() {
    let site = Site::new("privilege");
    site.start(2).stop();
    let Ok(_version) = Command::new("strace").arg("-V").output() else {
        eprintln!("no strace on this machine");
        return;
    };
    let files = ["first", "second"].map(|name| site.folder.0.join(name));
    let (first, _) = Daemon::start_by(&site.folder, traced(&site, "serve", &files[0]));
    exercise(&site);
    let next = traced(&site, "serve --take-over", &files[1]);
    let (second, _) = Daemon::start_by(&site.folder, next);
    first.wait();
    exercise(&site);
    second.stop();
    let used: BTreeSet<String> = files.iter().flat_map(|file| calls(file)).collect();
    let listed: BTreeSet<&str> = words("SystemCallFilter").collect();
    let missing = used.iter().map(String::as_str);
    let is_missing = |call: &&str| {
        *call != AS_ROOT
            && !listed.contains(call)
            && !DEFAULT.split_whitespace().any(|known| known == *call)
    };
    let missing: Vec<_> = missing.filter(is_missing).collect();
    let is_rare = |call: &str| RARE.iter().any(|(rare, _)| *rare == call);
    let unused = listed.iter().copied();
    let unused: Vec<_> = unused
        .filter(|call| !used.contains(*call) && !is_rare(call))
        .collect();
    assert_eq!((missing, unused), (vec![], vec![]), "missing, and unused");
}

/// The server under strace, which counts its system calls.
fn traced(site: &Site, line: &str, file: &Path) -> Command {
    let server = site.folder.lamplighter(line);
    let mut command = Command::new("strace");
    // -D: the server is our child, not strace.
    command.args(["-D", "-f", "-qq", "-c", "-o"]).arg(file);
    command.arg(server.get_program()).args(server.get_args());
    command.env("LAMPLIGHTER_CONFIG", site.folder.file());
    command
}

/// Phones, calls, commands.
fn exercise(site: &Site) {
    let links = [("udp", Link::udp(site.sip)), ("tcp", Link::tcp(site.sip))];
    for (name, link) in links {
        let mut phone = Endpoint::new(name, link, Arc::default());
        let mut dialog = phone.dialog("0");
        assert_eq!(phone.subscribe(&mut dialog, 600), Some(200));
        assert!(call_state(site.http, "0", true));
        assert!(phone.listen(|phone| phone.shows(&dialog, "<state>confirmed</state>")));
        assert!(call_state(site.http, "0", false));
        assert_eq!(phone.subscribe(&mut dialog, 0), Some(200));
        assert_eq!(phone.faults, [] as [String; 0]);
    }
    let file = site.folder.0.join("backup");
    site.folder.says(&format!("backup {}", file.display()));
    fs::remove_file(file).unwrap();
    site.folder.says("reload");
    site.folder.says("forget 0@a.example");
}

/// The system calls in a summary of strace, which comes shortly after the end of the process.
fn calls(file: &Path) -> BTreeSet<String> {
    let start = std::time::Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut names: BTreeSet<String> = text
            .lines()
            .filter(|line| {
                line.trim_start()
                    .starts_with(|first: char| first.is_ascii_digit())
            })
            .filter_map(|line| line.split_whitespace().last())
            .map(str::to_owned)
            .collect();
        if names.remove("total") {
            return names;
        }
        assert!(start.elapsed() < daemon::PATIENCE, "{text}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
