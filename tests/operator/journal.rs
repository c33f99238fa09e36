//! The log of a daemon that systemd connected to its journal. The journal is a double, in a mount namespace of
//! the daemon, which needs root.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::Folder;
use crate::tenants;

/// A field of an entry, whose value has its length before it.
fn field(entry: &[u8], name: &str) -> Option<String> {
    let mark = [b"\n", name.as_bytes(), b"\n"].concat();
    // The first field has no line end before it.
    let entry = [b"\n", entry].concat();
    let at = entry.windows(mark.len()).position(|here| here == mark)? + mark.len();
    let length = u64::from_le_bytes(entry[at..at + 8].try_into().unwrap()) as usize;
    Some(String::from_utf8(entry[at + 8..at + 8 + length].to_vec()).unwrap())
}

#[test]
fn a_daemon_of_systemd_logs_fields_to_the_journal() {
    let folder = Folder::new("journal", &tenants(&[("a.example", 1)]));
    let place = folder.0.join("journal");
    std::fs::create_dir(&place).unwrap();
    let journal = UnixDatagram::bind(place.join("socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = File::from(OwnedFd::from(theirs));
    let stream = theirs.metadata().unwrap();

    let plain = folder.lamplighter("serve");
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
         mount --bind {} /run/systemd/journal && exec {} serve",
        place.display(),
        plain.get_program().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    let variables = plain.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command.env(
        "JOURNAL_STREAM",
        format!("{}:{}", stream.dev(), stream.ino()),
    );
    command.env_remove("LAMPLIGHTER_LOG_FORMAT");
    let mut daemon = command.stderr(Stdio::from(theirs)).spawn().unwrap();
    drop(command);

    let mut entry = vec![0; 128 << 10];
    let mut seen = Vec::new();
    let ready = loop {
        let length = journal.recv(&mut entry).unwrap();
        let message = field(&entry[..length], "MESSAGE").unwrap();
        assert_eq!(
            field(&entry[..length], "SYSLOG_IDENTIFIER").unwrap(),
            "lamplighter"
        );
        if message.starts_with("starting ") {
            let shards = field(&entry[..length], "SHARDS").unwrap();
            assert!(shards.parse::<u16>().is_ok(), "{shards}");
            assert!(message.ends_with(&format!(" shards={shards}")), "{message}");
        }
        seen.push(message);
        if seen.last().unwrap().starts_with("ready: ") {
            break entry[..length].to_vec();
        }
    };
    assert_eq!(field(&ready, "PRIORITY").unwrap(), "6");
    assert!(
        seen.iter().any(|text| text.starts_with("starting ")),
        "{seen:?}"
    );
    let id = daemon.id().to_string();
    let stopped = Command::new("kill").args(["-TERM", &id]).status();
    assert!(stopped.unwrap().success() && daemon.wait().unwrap().success());
    let mut lines = String::new();
    ours.read_to_string(&mut lines).unwrap();
    assert_eq!(lines, "", "nothing goes to the stream as well");
}
