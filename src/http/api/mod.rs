//! The HTTP API, `/api/v1`: everything that an operator's programs and the dashboard may ask and change,
//! as JSON.
//!
//! ```text
//! dispatch ─► operation (the table) ─► caller: who asks ─► request: path, query, body ─► a handler ─► answer
//! ```
//! To add an operation, add a row to the table of its file and a handler below it. The row says who may
//! call it, its parameters, and the schemas of its body and its answer; what it says is checked before the
//! handler runs, and written into the OpenAPI document (`openapi`), which tests compare with what the server
//! does. Schemas are in `schemas.json`.
//!
//! Guarantees: an error is a problem of RFC 9457 with a `type` that does not change (`problem`); a bearer
//! sees and changes nothing outside its domains; a PUT that is repeated changes nothing more; what is
//! acknowledged is on the disk, if the server has a store. The operator's socket needs no token.

mod accounts;
mod caller;
mod cursor;
mod domains;
pub(crate) mod entity_tag;
mod events;
mod feeds;
mod fields;
mod history;
mod lists;
mod node;
mod openapi;
mod operation;
mod presence;
mod problem;
mod request;
mod rules;
mod session;
mod subscriptions;
mod update;

pub(crate) use events::log_changes;
pub(crate) use operation::{PREFIX, respond};
