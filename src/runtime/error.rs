//! Why a node does not start, in words that say what to do.

use std::io;
use std::path::PathBuf;

use glommio::{GlommioError, ReactorErrorKind};

use crate::net::bind::BindError;
use crate::net::kernel;
use crate::store::error::StoreError;

/// Octets of locked memory one core's rings may need on kernels that count them (before 5.12),
/// rounded up.
const MEMORY_LOCK_PER_CORE: u64 = 512 * 1024;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// disabled, blocked by seccomp or unsupported.
    #[error("io_uring is not permitted here: {reason}{}", uring_advice(.reason, *.disabled))]
    IoUring {
        /// The error of io_uring_setup.
        reason: io::Error,
        /// The value of kernel.io_uring_disabled, where there is one.
        disabled: Option<u8>,
    },
    /// The memlock limit is too low for the rings of that many cores.
    #[error(
        "not enough memory may be locked for io_uring: {cores} cores need up to {needed} KiB, the limit is {limit} KiB. Raise it with \
         `ulimit -l {needed}`, LimitMEMLOCK={needed}K in the systemd unit, or `docker run --ulimit memlock={octets}`"
    )]
    MemoryLock {
        /// Cores of the node, HTTP's included.
        cores: usize,
        /// KiB needed.
        needed: u64,
        /// KiB allowed.
        limit: u64,
        /// Octets needed.
        octets: u64,
    },
    /// No shard is planned, or more than there are numbers for.
    #[error("a node needs at least one core for SIP and at most 65535; the plan has {0}")]
    Shards(usize),
    /// A socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The control socket could not be made.
    #[error("cannot create the control socket {}: {reason}", .path.display())]
    Control {
        /// Its place.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// No descriptor is left for a second one of a socket.
    #[error("cannot keep a second descriptor of a socket: {0}")]
    Duplicate(io::Error),
    /// The thread that erases people does not start.
    #[error("cannot start a thread: {0}")]
    Eraser(io::Error),
    /// The store cannot be opened or read.
    #[error(
        "the store cannot be used: {0}. Repair that, or start without what it holds by another \
         directory in [store]"
    )]
    Store(#[from] StoreError),
    /// A shard ended while the store was read.
    #[error("a shard ended while the store was read")]
    Recovery,
    /// The kernel gives no random octets.
    #[error("cannot get random numbers: {0}")]
    Random(io::Error),
    /// A core's thread or executor could not be started.
    #[error("cannot start {core} on CPU {cpu}: {reason}")]
    Core {
        /// `shard-0`, `http`.
        core: String,
        /// Where it should run.
        cpu: usize,
        /// Why not.
        reason: String,
    },
}

impl BootError {
    /// Asks the kernel for a ring before any executor does, because the executor's error does not
    /// say what to do.
    pub(crate) fn check_io_uring(cores: usize) -> Result<(), Self> {
        // The executor itself insists on this, even where the kernel does not count.
        let is_low = |limit: kernel::ResourceLimit| limit.soft < MEMORY_LOCK_PER_CORE;
        if kernel::memory_lock_limit().is_some_and(is_low) {
            return Err(Self::memory_lock(cores));
        }
        match kernel::probe_io_uring() {
            Ok(()) => Ok(()),
            Err(reason) if reason.raw_os_error() == Some(libc::ENOMEM) => {
                Err(Self::memory_lock(cores))
            }
            Err(reason) => {
                let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
                Err(Self::IoUring {
                    reason,
                    disabled: disabled.and_then(|text| text.trim().parse().ok()),
                })
            }
        }
    }

    /// Translates an error of the executor.
    pub(crate) fn from_executor(
        core: &str,
        cpu: usize,
        cores: usize,
        error: &GlommioError<()>,
    ) -> Self {
        let is_memory_lock = matches!(
            error,
            GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(..))
        );
        if is_memory_lock || error.raw_os_error() == Some(libc::ENOMEM) {
            return Self::memory_lock(cores);
        }
        let reason = match error.raw_os_error() {
            Some(libc::EINVAL) => {
                "this process may not run there (check taskset, cpuset and CPUAffinity)".to_owned()
            }
            _ => error.to_string(),
        };
        Self::Core {
            core: core.to_owned(),
            cpu,
            reason,
        }
    }

    fn memory_lock(cores: usize) -> Self {
        let octets = MEMORY_LOCK_PER_CORE * cores as u64;
        let limit = kernel::memory_lock_limit().map_or(0, |limit| limit.soft / 1024);
        // When the limit already is that high, others of the same user hold locked memory: ask for
        // as much again.
        let octets = octets.max(limit * 2 * 1024);
        Self::MemoryLock {
            cores,
            needed: octets / 1024,
            limit,
            octets,
        }
    }
}

fn uring_advice(reason: &io::Error, disabled: Option<u8>) -> String {
    let switched = match disabled {
        Some(2) => {
            "kernel.io_uring_disabled is 2: set it to 0 (`sysctl kernel.io_uring_disabled=0`)"
        }
        Some(1) => {
            "kernel.io_uring_disabled is 1: set it to 0, or put this user into the group that kernel.io_uring_group names, or give \
             CAP_SYS_ADMIN"
        }
        _ => "",
    };
    let cause = match reason.raw_os_error() {
        _ if !switched.is_empty() => switched,
        Some(libc::ENOSYS) => {
            "the kernel is older than 5.8, or a seccomp filter hides io_uring. In a container allow io_uring_setup, io_uring_enter and \
             io_uring_register in the seccomp profile (Docker: `--security-opt seccomp=profile.json`)"
        }
        Some(libc::EPERM | libc::EACCES) => {
            "a seccomp filter forbids it, as the default profiles of Docker and containerd do. Allow io_uring_setup, io_uring_enter and \
             io_uring_register in the profile (Docker: `--security-opt seccomp=profile.json`; systemd: SystemCallFilter=@io-event \
             io_uring_setup io_uring_enter io_uring_register)"
        }
        _ => "",
    };
    if cause.is_empty() {
        String::new()
    } else {
        format!(". {cause}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_ring_says_what_to_do() {
        let text = |code, disabled| {
            BootError::IoUring {
                reason: io::Error::from_raw_os_error(code),
                disabled,
            }
            .to_string()
        };
        assert!(text(libc::EPERM, Some(0)).contains("seccomp"));
        assert!(text(libc::ENOSYS, None).contains("5.8"));
        assert!(text(libc::EPERM, Some(2)).contains("sysctl kernel.io_uring_disabled=0"));
        assert!(text(libc::EPERM, Some(1)).contains("io_uring_group"));
    }

    #[test]
    fn too_little_locked_memory_gives_the_figures() {
        let error = GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(65_536, 524_288));
        let text = BootError::from_executor("shard-0", 0, 4, &error).to_string();
        assert!(text.contains("4 cores need up to"), "{text}");
        assert!(text.contains("LimitMEMLOCK="), "{text}");
    }
}
