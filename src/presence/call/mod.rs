//! Calls: one leg as reported by a source, the set of legs of a presentity with its tombstones of
//! ended legs, and the appearances of a shared line.

mod dialog;
mod leg_key;
mod legs;
mod specific_dialog;
mod tombstone;

pub mod appearance;

use std::sync::Arc;

pub use appearance::{Appearance, AppearanceState};
pub use dialog::{ANONYMOUS, CallDialog, CallParts, CallState, Direction, Party};
pub use specific_dialog::SpecificDialog;

pub(crate) use legs::CallSet;
pub(crate) use tombstone::Owner;

/// Live call legs, shared by reference.
pub type Calls = smallvec::SmallVec<[Arc<CallDialog>; 2]>;
