//! `POST /hand-over`: another process takes over (`lamplighter serve --take-over`).

use std::path::PathBuf;

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::hand_over::HandingOver;
use crate::http::site::Site;

/// Has the process leave its sockets at the Unix socket `socket`. It begins after the response.
pub(crate) async fn hand_over<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let place = PathBuf::from(form.required("socket")?);
    match site.engine.hand_over(place) {
        Ok(()) => Ok(Box::new(HandingOver)),
        Err(_) => Err(ControlRefusal::Silent),
    }
}
