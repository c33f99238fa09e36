//! The filter that the systemd unit puts on the server's system calls and address families. The daemons
//! of the tests run with it, so that a test fails where the unit allows too little.

#![allow(unsafe_code, reason = "a filter is installed between fork and exec")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use seccompiler::{BpfProgram, apply_filter, compile_from_json};

/// The unit as it is installed.
pub(crate) const UNIT: &str = include_str!("../../systemd/lamplighter.service");

/// What systemd allows beside the list of a unit: `systemd-analyze syscall-filter @default`.
pub(crate) const DEFAULT: &str = "arch_prctl brk clock_getres clock_gettime clock_nanosleep execve \
    exit exit_group futex futex_waitv get_robust_list get_thread_area getegid geteuid getgid \
    getgroups getpgid getpgrp getpid getppid getrandom getresgid getresuid getrlimit getsid gettid \
    gettimeofday getuid membarrier mmap mprotect munmap nanosleep pause prlimit64 restart_syscall \
    rseq rt_sigreturn sched_getaffinity sched_yield set_robust_list set_thread_area \
    set_tid_address time";

/// Address families by their numbers on Linux.
const FAMILIES: [(&str, u32); 4] = [
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
];

/// Compiled once: the filter is that of every daemon.
static FILTER: LazyLock<Arc<BpfProgram>> = LazyLock::new(|| Arc::new(compile(&rules())));

/// All values of a key of the unit.
pub(crate) fn values(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines();
    let value = |line: &'static str| line.strip_prefix(key)?.strip_prefix('=');
    lines.filter_map(value).collect()
}

/// The words of all values of a key.
pub(crate) fn words(key: &str) -> impl Iterator<Item = &'static str> {
    values(key).into_iter().flat_map(str::split_whitespace)
}

/// Runs a program with the filter of the unit.
pub(crate) fn confine(command: &mut Command) {
    let filter = Arc::clone(&FILTER);
    let install = move || apply_filter(&filter).map_err(std::io::Error::other);
    // SAFETY: between fork and exec this only makes two system calls; the filter is compiled before.
    unsafe { command.pre_exec(install) };
}

/// What is allowed, as rules of a filter.
fn rules() -> Vec<String> {
    let calls = words("SystemCallFilter").chain(DEFAULT.split_whitespace());
    let calls = calls.filter(|call| *call != "socket");
    let mut rules: Vec<_> = calls
        .map(|call| format!("{{\"syscall\": \"{call}\"}}"))
        .collect();
    for family in words("RestrictAddressFamilies") {
        let known = FAMILIES.iter().find(|(name, _)| *name == family);
        let number = known.unwrap().1;
        rules.push(format!(
            "{{\"syscall\": \"socket\", \"args\": [{{\"index\": 0, \"type\": \"dword\", \
             \"op\": \"eq\", \"val\": {number}}}]}}"
        ));
    }
    // Like systemd, it skips what this architecture does not have.
    rules.retain(|rule| try_compile(std::slice::from_ref(rule)).is_ok());
    rules
}

fn compile(rules: &[String]) -> BpfProgram {
    try_compile(rules).unwrap()
}

fn try_compile(rules: &[String]) -> Result<BpfProgram, seccompiler::Error> {
    let json = format!(
        "{{\"unit\": {{\"mismatch_action\": {{\"errno\": 1}}, \"match_action\": \"allow\", \
         \"filter\": [{}]}}}}",
        rules.join(", ")
    );
    let architecture = std::env::consts::ARCH.try_into()?;
    let mut filters = compile_from_json(json.as_bytes(), architecture)?;
    Ok(filters.remove("unit").unwrap())
}
