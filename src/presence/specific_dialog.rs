//! A subscription to one dialog instead of all that a presentity has (RFC 4235 §3.2; W:B3.1).

use crate::presence::Composed;
use crate::presence::call::CallDialog;
use crate::presence::composition::Availability;

/// The dialog that an Event header names, by the identifiers it gives; those it does not give are
/// empty and match any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecificDialog {
    /// `call-id`
    pub call_id: Box<str>,
    /// `to-tag`: the tag of the presentity's end.
    pub local_tag: Box<str>,
    /// `from-tag`: the tag of the other end.
    pub remote_tag: Box<str>,
}

impl SpecificDialog {
    /// The state with no other call than this one, for a document about dialogs. Do-not-disturb,
    /// which such a document may show as a dialog, is none of it.
    #[must_use]
    pub fn narrowed(&self, composed: &Composed) -> Composed {
        let mut narrowed = composed.clone();
        narrowed.calls.retain(|call| self.is(call));
        if narrowed.availability == Availability::DoNotDisturb {
            narrowed.availability = Availability::default();
        }
        narrowed
    }

    /// Whether it is that call. A tag that its source does not know may be any.
    fn is(&self, call: &CallDialog) -> bool {
        let is_compatible =
            |named: &str, known: &str| named.is_empty() || known.is_empty() || named == known;
        (self.call_id.is_empty() || self.call_id == call.call_id)
            && is_compatible(&self.local_tag, &call.local_tag)
            && is_compatible(&self.remote_tag, &call.remote_tag)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::SpecificDialog;
    use crate::presence::Composed;
    use crate::presence::call::CallDialog;
    use crate::presence::call::CallState;
    use crate::presence::call::Party;
    use crate::presence::composition::Availability;

    fn call(call_id: &str, local_tag: &str, remote_tag: &str) -> CallDialog {
        CallDialog {
            id: call_id.into(),
            call_id: call_id.into(),
            local_tag: local_tag.into(),
            remote_tag: remote_tag.into(),
            direction: None,
            state: CallState::Early,
            local: Party::default(),
            remote: Party::default(),
            remote_is_private: false,
        }
    }

    #[test]
    fn one_of_many_by_what_is_known_of_it() {
        let calls = [
            call("a", "l", "r"),
            call("a", "l", "other"),
            call("b", "", ""),
            call("", "", ""),
        ];
        let composed = Composed {
            availability: Availability::DoNotDisturb,
            calls: calls.into_iter().map(Arc::new).collect(),
            ..Composed::default()
        };
        let table = [
            (["a", "l", "r"], 1),
            (["a", "l", ""], 2),
            (["a", "r", "l"], 0),
            (["A", "l", "r"], 0),
            (["b", "l", "r"], 1),
            (["c", "", ""], 0),
        ];
        for ([call_id, local_tag, remote_tag], calls) in table {
            let dialog = SpecificDialog {
                call_id: call_id.into(),
                local_tag: local_tag.into(),
                remote_tag: remote_tag.into(),
            };
            let narrowed = dialog.narrowed(&composed);
            assert_eq!(narrowed.calls.len(), calls, "{dialog:?}");
            assert_eq!(narrowed.availability, Availability::Offline);
        }
    }
}
