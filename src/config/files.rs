//! One file, or several: `"a.pem"` or `["a.pem", "b.pem"]`.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::reader::{Found, Value};

/// Their paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files(pub Vec<Spanned<PathBuf>>);

impl Value for Files {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::Array(_) = found.value() {
            return Vec::read(found, complainer).map(Self);
        }
        Spanned::read(found, complainer).map(|path| Self(vec![path]))
    }
}
