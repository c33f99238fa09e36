//! `POST /reload`: has the configuration read again.

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::reload::Reload;
use crate::http::site::Site;

/// Waits for what comes of it.
pub(crate) async fn reload<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let accepts_removal = form.is_yes("accept_removal")?;
    match site.engine.reload(accepts_removal).await {
        Ok(Ok(text)) => Ok(Box::new(Reload {
            lines: text.lines().map(str::to_owned).collect(),
        })),
        Ok(Err(why)) => Err(ControlRefusal::NotReloaded(why)),
        Err(_) => Err(ControlRefusal::Silent),
    }
}
