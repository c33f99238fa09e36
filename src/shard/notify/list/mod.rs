//! NOTIFYs of lists (RFC 4662 §5): which resources go into the next one, and how they are written.

pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod selection;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
