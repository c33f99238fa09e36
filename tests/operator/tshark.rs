//! What tshark reads in a capture.

use std::path::Path;
use std::process::Command;

/// The fields of each packet.
pub(crate) fn tshark(capture: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-T", "fields"]);
    // Checksums are judged too; captures of real hosts often lack them.
    for part in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{part}.check_checksum:TRUE")]);
    }
    // The ports are whatever was free: some are those of another protocol.
    for part in ["udp", "tcp"] {
        command.args(["-o", &format!("{part}.try_heuristic_first:TRUE")]);
    }
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    lines.lines().map(row).collect()
}
