//! Verifies password hashes on a thread of its own, one at a time.
//!
//! The thread is started by the first verification, from the HTTP core, so that it runs on the CPU of that
//! core: neither a shard nor the HTTP core waits for it, and no shard shares a CPU with it unless the HTTP
//! core does.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use crate::http::Unavailable;
use crate::password::PasswordHash;
use crate::runtime::replier::Replier;

/// A handle of the thread. Clones share it; it ends with the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct PasswordVerifier(Arc<OnceLock<Option<mpsc::SyncSender<Verification>>>>);

/// A verification to do.
struct Verification {
    hash: String,
    password: String,
    replier: Replier<bool>,
}

impl PasswordVerifier {
    /// Whether that is the hash of the password. The HTTP core asks for one at a time; further ones are
    /// refused.
    pub(crate) fn verify(
        &self,
        hash: &str,
        password: &str,
    ) -> impl Future<Output = Result<bool, Unavailable>> + use<> {
        let (replier, verdict) = Replier::to_task();
        let verification = Verification {
            hash: hash.to_owned(),
            password: password.to_owned(),
            replier,
        };
        if let Some(thread) = self.0.get_or_init(start) {
            // A refused one is dropped with its replier, which tells the caller.
            let _ = thread.try_send(verification);
        }
        verdict
    }
}

/// Starts the thread; None if the machine cannot.
fn start() -> Option<mpsc::SyncSender<Verification>> {
    let (sender, verifications) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("passwords".to_owned());
    match thread.spawn(move || verify_all(&verifications)) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::error!(%error, "cannot start the thread that verifies password hashes");
            None
        }
    }
}

fn verify_all(verifications: &mpsc::Receiver<Verification>) {
    for verification in verifications {
        let hash = PasswordHash::parse(&verification.hash);
        let is_right = hash.is_ok_and(|hash| hash.verify(&verification.password));
        verification.replier.reply(is_right);
    }
}
