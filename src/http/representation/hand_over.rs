//! The process is about to hand over.

use serde_json::{Value, json};

use crate::http::representation::Representation;

/// Sockets will come, and then the process ends.
#[derive(Debug)]
pub(crate) struct HandingOver;

impl Representation for HandingOver {
    fn text(&self, _: Option<usize>) -> String {
        "handing over\n".to_owned()
    }

    fn json(&self) -> Value {
        json!({"handing_over": true})
    }
}
