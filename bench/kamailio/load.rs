//! `lamplighter-load` as a child on the phones' CPU, and the figures of its JSON report.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lamplighter_bench::{Error, PHONES_CPU, system};
use serde_json::Value;

use crate::servers::Subject;

/// The folder of the scenarios.
const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/kamailio");

/// The program, and where its reports go.
pub(crate) struct Load {
    program: PathBuf,
    report: PathBuf,
}

impl Load {
    /// The program that `run` built beside the server.
    pub(crate) fn find() -> Result<Self, Error> {
        let program =
            Path::new(env!("CARGO_BIN_EXE_lamplighter")).with_file_name("lamplighter-load");
        if !program.exists() {
            let build = "cargo build --release -p lamplighter-load";
            return Err(format!("no {}: {build}", program.display()).into());
        }
        let name = format!("lamplighter-bench-load-{}.json", std::process::id());
        Ok(Self {
            program,
            report: std::env::temp_dir().join(name),
        })
    }

    /// Runs the scenario of that name, with `key=value` overrides, against a server.
    pub(crate) fn run(
        &self,
        scenario: &str,
        set: &[String],
        subject: &Subject,
    ) -> Result<Report, Error> {
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .arg(format!("{SCENARIOS}/{scenario}.toml"))
            .args(["--server", &subject.sip.to_string()])
            .args(["--domain", lamplighter_bench::sip::DOMAIN])
            .args(["--cpu", &(PHONES_CPU % system::cpus()).to_string()])
            .arg("--quiet")
            .arg("--json")
            .arg(&self.report);
        for one in set {
            command.args(["--set", one]);
        }
        for process in &subject.processes {
            command.args(["--server-pid", &process.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = system::spawn(&mut command)?.wait()?;
        // 1 means that something was lost or wrong; the report has the details.
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(format!("lamplighter-load {scenario}: {status}").into());
        }
        let text = fs::read_to_string(&self.report)?;
        Ok(Report(serde_json::from_str(&text)?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Missing if no run got that far.
        let _ = fs::remove_file(&self.report);
    }
}

/// What a run reported.
#[derive(Clone, Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// The number at that JSON pointer (RFC 6901); None if there was no such event.
    pub(crate) fn number(&self, place: &str) -> Option<f64> {
        self.0.pointer(place)?.as_f64()
    }

    /// A number of the stage of that name.
    pub(crate) fn stage(&self, name: &str, key: &str) -> Option<f64> {
        let stages = self.0.pointer("/stages")?.as_array()?;
        let stage = stages.iter().find(|stage| stage["name"] == name)?;
        stage[key].as_f64()
    }

    /// The value of a fault or a count.
    pub(crate) fn count(&self, place: &str) -> u64 {
        self.0.pointer(place).and_then(Value::as_u64).unwrap_or(0)
    }

    /// All faults.
    pub(crate) fn faults(&self) -> u64 {
        let faults = self.0.pointer("/faults").and_then(Value::as_object);
        let faults = faults.into_iter().flat_map(serde_json::Map::values);
        faults.filter_map(Value::as_u64).sum()
    }

    /// What limited the search, if there was one: `server`, `generator` or `neither`.
    pub(crate) fn limited_by(&self) -> Option<&str> {
        self.0.pointer("/overload/limited_by")?.as_str()
    }

    /// Why the run is not clean; empty if it is.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let reasons = self.0.pointer("/reasons").and_then(Value::as_array);
        let texts = reasons.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}
