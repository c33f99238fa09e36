//! The object ids of the users of a tenant: as listed, or looked up by their names there (UPN).

use std::cell::RefCell;
use std::collections::HashMap;

use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::presence::Aor;
use crate::relay::graph::{Graph, verdict};
use crate::relay::remote_ids::RemoteIds;
use crate::relay::target::{Fault, Remedy};
use crate::relay::unknown::UnknownPeople;

/// What stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'@')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Users {
    names: RemoteIds,
    /// The object ids that were looked up; as many as there are users.
    known: RefCell<HashMap<Aor, Box<str>>>,
    unknown: UnknownPeople,
}

impl Users {
    /// Those that the configuration names.
    pub(super) fn new(names: &RemoteIds) -> Self {
        Self {
            names: names.clone(),
            known: RefCell::default(),
            unknown: UnknownPeople::default(),
        }
    }

    /// Whether a user may be known there.
    pub(super) fn has(&self, aor: &Aor) -> bool {
        self.names.has(aor) && !self.unknown.has(aor)
    }

    /// The object id of a user.
    pub(super) async fn id_of(&self, aor: &Aor, graph: &Graph) -> Result<Box<str>, Fault> {
        let known = self.known.borrow().get(aor).cloned();
        if let Some(id) = known {
            return Ok(id);
        }
        let unknown = || Fault::new("the user is not listed", Remedy::Unknown);
        let name = self.names.of(aor).ok_or_else(unknown)?;
        if !name.contains('@') {
            return Ok(name);
        }
        let path = format!("/users/{}?$select=id", escaped(&name));
        let response = graph.get(&path).await?;
        if response.status == StatusCode::NOT_FOUND {
            self.is_unknown(aor);
        }
        verdict(&response)?;
        let json = response.json();
        let id = json["id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Fault::wait("no id in the response"))?;
        let mut known = self.known.borrow_mut();
        known.insert(aor.clone(), id.into());
        Ok(id.into())
    }

    /// Graph does not know a user.
    pub(super) fn is_unknown(&self, aor: &Aor) {
        self.known.borrow_mut().remove(aor);
        self.unknown.add(aor);
    }
}

/// A text in a path.
pub(super) fn escaped(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_is_unknown_there_is_not_asked_for_again_at_once() {
        let aor = Aor::new("1", "a.test");
        let users = Users::new(&RemoteIds {
            pattern: Some("{user}@b.test".into()),
            ..RemoteIds::default()
        });
        assert!(users.has(&aor));
        users.is_unknown(&aor);
        assert!(!users.has(&aor));
    }

    #[test]
    fn a_name_is_escaped_in_a_path() {
        assert_eq!(escaped("a/b?c@d.e").to_string(), "a%2Fb%3Fc@d.e");
    }
}
