//! The result of draining.

use serde_json::{Value, json};

use crate::http::facts::counted;
use crate::http::representation::Representation;

/// Subscriptions were ended.
#[derive(Debug)]
pub(crate) struct Drained {
    /// Subscriptions and NOTIFYs without a response that are left.
    pub(crate) left: usize,
}

impl Representation for Drained {
    fn text(&self, _: Option<usize>) -> String {
        match self.left {
            0 => "all subscriptions are ended: stop the server now\n".to_owned(),
            left => {
                let left = counted(left as u64, "subscription");
                format!("{left} left: their phones do not respond\n")
            }
        }
    }

    fn json(&self) -> Value {
        json!({"left": self.left})
    }
}
