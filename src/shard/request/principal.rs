//! Who a request is from, as far as that was proved.

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user of the domain who proved it.
    User(String),
    /// A trusted address, or a domain that believes everybody: who From says.
    Believed,
}
