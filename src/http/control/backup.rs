//! `POST /backup`: writes the store to a file of the server's machine, while the server goes on.

use std::path::PathBuf;

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::backup::Backup;
use crate::http::site::Site;

/// Waits until the file is on the disk.
pub(crate) async fn backup<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let file = PathBuf::from(form.required("file")?);
    if site.engine.store().is_none() {
        return Err(ControlRefusal::NoStore);
    }
    match site.engine.back_up(file.clone()).await {
        Ok(Ok(octets)) => Ok(Box::new(Backup { file, octets })),
        Ok(Err(why)) => Err(ControlRefusal::NoBackup(why)),
        Err(_) => Err(ControlRefusal::Silent),
    }
}
