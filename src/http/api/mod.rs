//! The HTTP API, `/api/v1`: what an operator's programs and the dashboard may read and change, as JSON.
//!
//! ```text
//! dispatch ─► operation (the table) ─► caller: token, role ─► request: path, query, body ─► a handler ─► answer
//! ```
//! To add an operation, add a row to the table of its file and a handler below it. The row states the role
//! that the caller needs, the parameters, and the schemas of body and answer. `operation` enforces it before
//! the handler runs, and `openapi` writes the OpenAPI document from it, which tests compare with what the
//! server does. Schemas are in `schemas.json`. Where the operator has a page for the same purpose
//! (`control`), the handler calls that page.
//!
//! Guarantees: an error is a problem of RFC 9457 with a `type` that does not change (`problem`); a bearer
//! sees and changes nothing outside its domains; repeating a PUT changes nothing; an acknowledged change is on
//! the disk, if the server has a store; domains, groups and policies are in any case. The operator's socket needs
//! no token.

mod accounts;
mod caller;
mod connectors;
mod cursor;
mod domains;
pub(crate) mod entity_tag;
mod events;
mod feeds;
mod fields;
mod groups;
mod history;
mod lists;
mod managed;
mod node;
mod openapi;
mod operation;
mod policies;
mod presence;
mod problem;
mod request;
mod rules;
mod session;
mod subscriptions;
mod update;

pub(crate) use events::log_changes;
pub(crate) use operation::{PREFIX, respond};
