//! Room for the statements of a presentity. Most presentities only have publications, so it is made
//! when it is first needed.

use crate::presence::presentity::statements::Statements;

/// What all presentities without statements read.
static BLANK: Statements = Statements::BLANK;

/// The statements of a presentity, if any were ever made.
#[derive(Clone, Debug, Default)]
pub(super) struct StatementBox(Option<Box<Statements>>);

impl StatementBox {
    /// The statements, to be read.
    pub(super) fn get(&self) -> &Statements {
        self.0.as_deref().unwrap_or(&BLANK)
    }

    /// The statements, if any were ever made.
    pub(super) fn made(&self) -> Option<&Statements> {
        self.0.as_deref()
    }

    /// The statements, if any were ever made, to be changed.
    pub(super) fn made_mut(&mut self) -> Option<&mut Statements> {
        self.0.as_deref_mut()
    }

    /// The statements, to which one is added.
    pub(super) fn make(&mut self) -> &mut Statements {
        self.0.get_or_insert_default()
    }
}

impl From<Statements> for StatementBox {
    fn from(statements: Statements) -> Self {
        let is_blank = statements.are_blank();
        Self((!is_blank).then(|| Box::new(statements)))
    }
}
