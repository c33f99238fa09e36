//! Resource lists (RFC 4662): the per-subscription state of a resource list. It does not depend on
//! the subscription table; `lifecycle` combines the two.
//!
//! Other rooms use it by these types and functions:
//! - `request`, for a SUBSCRIBE: `requires_list`, `read_list` and `plan_enclosed_list` for the list
//!   in its body, `plan_list` for a configured one;
//! - `plan`: `ListPlan`, what a new list subscription begins with;
//! - `state`: `ListState`, the resources of one subscription. `lifecycle` adds, watches and removes
//!   them, `subscription` reports their changes, `notify` asks what is due and records what it
//!   sent;
//! - `roster`: `Rosters`, the users present in the domains that lists follow: `attend`, `abandon`,
//!   `take_announcement`, `are_complete`.

mod full_state;
pub(crate) mod plan;
pub(crate) mod request;
pub(crate) mod resource;
pub(crate) mod roster;
pub(crate) mod state;
