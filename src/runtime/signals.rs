//! Signals, on a plain thread of their own: SIGTERM and SIGINT stop gracefully; a second one exits
//! immediately; SIGHUP reloads the configuration.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// A request of the operator to the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Drain and end.
    Stop,
    /// Leave all sockets to another process, at that place, and end. It comes by HTTP.
    HandOver(PathBuf),
    /// Reload the configuration.
    Reload,
}

/// The exit status after a second SIGTERM or SIGINT.
const IMPATIENT_STATUS: i32 = 1;

/// Catches the signals from now on, for the rest of the process's life.
pub fn listen(sender: mpsc::Sender<Request>) -> io::Result<()> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    // A signal takes these in the order of their registration: the flag must be checked before the
    // thread below gets the signal and sets the flag, or the first signal would count as a second
    // one.
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, IMPATIENT_STATUS, Arc::clone(&is_stopping))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let request = if signal == SIGHUP {
                    Request::Reload
                } else {
                    Request::Stop
                };
                if request == Request::Stop {
                    is_stopping.store(true, Ordering::Relaxed);
                }
                if sender.send(request).is_err() {
                    break;
                }
            }
        })?;
    Ok(())
}
