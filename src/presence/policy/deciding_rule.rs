//! The rule that decided about a watcher, as shown to the operator.

use std::fmt;

/// The kind of rule. [`fmt::Display`] puts it into words: `policy 3: a rule`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecidingRule {
    /// None matched: the default applies.
    Default,
    /// One of the presentity's own.
    Document,
    /// One of the operator's policies.
    Policy {
        /// Its position in the configuration, from 1.
        number: u16,
        /// Its text; None if it is no longer in the configuration.
        text: Option<Box<str>>,
    },
}

impl fmt::Display for DecidingRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Document => formatter.write_str("the presentity's own rules"),
            Self::Policy { number, text } => match text {
                Some(text) => write!(formatter, "policy {number}: {text}"),
                None => write!(formatter, "policy {number}, which is gone"),
            },
        }
    }
}
