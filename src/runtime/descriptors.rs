//! Divides the open-file limit between uses. Every connection is a file; without free descriptors
//! the process can accept neither phones nor control connections.

use crate::http::SPARE_CONNECTIONS;
use crate::net::connection_limits::ConnectionLimits;
use crate::net::kernel;

/// Files that are open without any connection: standard streams, listeners, logs, the control
/// socket with its connections, a configuration being read.
const FILES_OF_PROCESS: usize = 96;
/// Files of a core: its rings, its bells, its UDP and listening sockets, and second descriptors of
/// these for the next process.
const FILES_OF_CORE: usize = 32;
/// HTTP gets at most 1/HTTP_SHARE of the remainder.
const HTTP_SHARE: usize = 4;

/// The files that the process may open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// `ulimit -n`; None when the kernel does not say.
    files: Option<usize>,
    shards: usize,
}

impl Descriptors {
    /// Those of this process, after its soft limit was raised to its hard one.
    pub(crate) fn of_process(shards: usize) -> Self {
        let files = kernel::raise_open_files_limit();
        Self {
            files: files.map(|files| usize::try_from(files).unwrap_or(usize::MAX)),
            shards,
        }
    }

    /// Lowers the limits to the files that there are, and logs it.
    pub(crate) fn share(self, streams: &mut ConnectionLimits, http: &mut ConnectionLimits) {
        let Some(files) = self.files else { return };
        let (wanted, wanted_http) = (streams.connections_max, http.connections_max);
        self.lower(files, streams, http);
        let needed = self.needed(wanted, wanted_http);
        let remedy =
            format!("for the configured limits, set LimitNOFILE= (or ulimit -n) to {needed}");
        let sip = streams.connections_max;
        if sip == 0 {
            tracing::error!(
                files,
                "the limit of open files leaves no room for SIP over TCP; {remedy}"
            );
        } else if sip < wanted {
            tracing::warn!(
                files,
                "the limit of open files is low: each shard accepts {sip} connections of SIP over \
                 TCP instead of {wanted}; {remedy}"
            );
        }
        if http.connections_max < wanted_http {
            tracing::warn!(
                files,
                "the limit of open files is low: HTTP accepts {} connections instead of \
                 {wanted_http}; {remedy}",
                http.connections_max
            );
        }
    }

    fn lower(self, files: usize, streams: &mut ConnectionLimits, http: &mut ConnectionLimits) {
        let left = files.saturating_sub(self.reserved());
        lower(http, left / HTTP_SHARE);
        lower(streams, (left - http.connections_max) / self.shards);
    }

    fn reserved(self) -> usize {
        FILES_OF_PROCESS + SPARE_CONNECTIONS + FILES_OF_CORE * (self.shards + 1)
    }

    /// Descriptors needed for the configured limits.
    fn needed(self, streams: usize, http: usize) -> usize {
        let connections = (streams * self.shards + http).max(http * HTTP_SHARE);
        self.reserved() + connections
    }
}

/// Lowers a limit to `max`. If that is less than configured, one untrusted address may have half of
/// it at most.
fn lower(limits: &mut ConnectionLimits, max: usize) {
    if max < limits.connections_max {
        limits.connections_max = max;
        limits.per_address_max = limits.per_address_max.min(max.div_ceil(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(files: usize, shards: usize) -> (usize, usize) {
        let limits = |connections_max| ConnectionLimits {
            connections_max,
            per_address_max: 1024,
        };
        let (mut streams, mut http) = (limits(32_768), limits(1024));
        let files = Some(files);
        Descriptors { files, shards }.share(&mut streams, &mut http);
        for limits in [streams, http] {
            let half = limits.connections_max.div_ceil(2);
            assert!(limits.connections_max >= 1024 || limits.per_address_max <= half);
        }
        (streams.connections_max, http.connections_max)
    }

    #[test]
    fn a_low_file_limit_leaves_connections_of_every_kind() {
        for shards in [1, 2, 4] {
            for files in [512, 1024, 4096, 65_536] {
                let (sip, http) = share(files, shards);
                assert!(sip >= 32 && http >= 32, "{files} {shards}: {sip} {http}");
                assert!(sip * shards + http < files);
            }
        }
        assert_eq!(share(64, 1), (0, 0));
    }

    #[test]
    fn the_file_limit_that_is_suggested_is_enough() {
        let process = |shards| Descriptors {
            files: None,
            shards,
        };
        for shards in [1, 3] {
            let needed = process(shards).needed(32_768, 1024);
            assert_eq!(share(needed, shards), (32_768, 1024));
            assert_ne!(share(needed - shards, shards), (32_768, 1024));
        }
    }
}
