//! What the systemd unit grants the server.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

/// The exposure that `systemd-analyze security` computes; less is better, 10 is none of its measures.
const EXPOSURE_MAX: f64 = 1.2;

const UNIT: &str = include_str!("../systemd/lamplighter.service");

/// The values of a key of the unit, in order.
fn values(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

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
