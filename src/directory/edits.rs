//! What the operator edited while the server ran: accounts, lists, and rules of single presentities. A store
//! keeps the edits, and they outlive a reading of the configuration.
//!
//! The rules of presentities are in no file. A list or an account may be in the file too: its edit counts
//! until the file changes its own entry; then the file counts. An edit that the file makes impossible,
//! because the domain is missing for example, waits until the file allows it again.

use std::sync::Arc;

use crate::directory::Directory;
use crate::directory::accounts::StoredAccount;
use crate::directory::lists::StoredList;
use crate::presence::Aor;
use crate::presence::fixed_hash::SipHash13;
use crate::presence::policy::ImportedRule;

/// All edits of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The address.
    pub aor: Aor,
    /// Its rules; empty if it has none of its own.
    pub rules: Vec<ImportedRule>,
    /// The list with that address, if it was edited.
    pub list: Option<EditedList>,
    /// The account with that address, if it was edited.
    pub account: Option<EditedAccount>,
}

/// An edited list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedList {
    /// The hash of the list in the configuration; 0 if it is not there.
    pub configured: u64,
    /// What it is now; None if it was deleted.
    pub list: Option<StoredList>,
}

/// An edited account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedAccount {
    /// The hash of the account in the configuration; 0 if it is not there.
    pub configured: u64,
    /// What it is now; None if it was removed.
    pub account: Option<StoredAccount>,
}

/// How much is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditCounts {
    /// Accounts that are not as configured.
    pub accounts: usize,
    /// Lists that are not as configured.
    pub lists: usize,
    /// Addresses with rules of their own.
    pub rules: usize,
}

/// An edited account or list.
#[derive(Debug)]
enum EditedPart {
    Account(EditedAccount),
    List(EditedList),
}

impl Edit {
    /// Whether nothing of the address is edited any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.rules.is_empty() && self.list.is_none() && self.account.is_none()
    }
}

impl Directory {
    /// The edits of one address, including those that wait.
    #[must_use]
    pub fn edit_of(&self, aor: &Aor) -> Edit {
        let waiting = self.waiting_edits.get(aor);
        let list = self.edited_lists.get(aor).map(|configured| EditedList {
            configured: *configured,
            list: self.stored_list(aor).ok().cloned(),
        });
        let account = self.edited_accounts.get(aor);
        let account = account.map(|configured| EditedAccount {
            configured: *configured,
            account: self.stored_account(aor),
        });
        Edit {
            aor: aor.clone(),
            rules: self.rules_document(aor).to_vec(),
            list: list.or_else(|| waiting?.list.clone()),
            account: account.or_else(|| waiting?.account.clone()),
        }
    }

    /// All edits, in the order of their addresses.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        let of_rules = self.rules_documents_by_aor().into_iter();
        let mut aors: Vec<Aor> = of_rules.map(|(aor, _)| aor).collect();
        aors.extend(self.edited_lists.keys().cloned());
        aors.extend(self.edited_accounts.keys().cloned());
        aors.extend(self.waiting_edits.keys().cloned());
        aors.sort_unstable();
        aors.dedup();
        aors.iter().map(|aor| self.edit_of(aor)).collect()
    }

    /// How much is edited; what waits is left out.
    #[must_use]
    pub fn edit_counts(&self) -> EditCounts {
        EditCounts {
            accounts: self.edited_accounts.len(),
            lists: self.edited_lists.len(),
            rules: self.documents.len(),
        }
    }

    /// How much is edited of a domain, by its own name; what waits is left out.
    #[must_use]
    pub fn edit_counts_of(&self, domain: &str) -> EditCounts {
        let is_of = |aor: &&Aor| aor.domain() == domain;
        EditCounts {
            accounts: self.edited_accounts.keys().filter(is_of).count(),
            lists: self.edited_lists.keys().filter(is_of).count(),
            rules: self.documents.keys().filter(is_of).count(),
        }
    }

    /// How many addresses have edits that this configuration makes impossible, because their domain is missing
    /// for example. They wait for a configuration that allows them again.
    #[must_use]
    pub fn waiting_edits(&self) -> usize {
        self.waiting_edits.len()
    }

    /// Whether an account or list with that address waits for a configuration that allows it.
    #[must_use]
    pub fn has_waiting_edit(&self, aor: &Aor) -> bool {
        self.waiting_edits.contains_key(aor)
    }

    /// This directory without the account or list that waits with that address.
    #[must_use]
    pub fn without_waiting_edit(mut self, aor: &Aor) -> Self {
        Arc::make_mut(&mut self.waiting_edits).remove(aor);
        self
    }

    /// The addresses with edits that wait, in order.
    #[must_use]
    pub fn waiting(&self) -> Vec<&Aor> {
        let mut aors: Vec<&Aor> = self.waiting_edits.keys().collect();
        aors.sort_unstable();
        aors
    }

    /// This directory, as it was read, with these edits. Also returns the addresses of lists and accounts
    /// whose edits no longer count, in order: the configuration has changed them. Edits that are not
    /// possible now wait ([`Self::waiting_edits`]).
    #[must_use]
    pub fn with_edits(mut self, edits: Vec<Edit>) -> (Self, Vec<Aor>) {
        let as_read = self.clone();
        let (mut pending, mut over) = (Vec::new(), Vec::new());
        for edit in edits {
            let aor = edit.aor;
            if !edit.rules.is_empty() {
                let documents = Arc::make_mut(&mut self.documents);
                documents.insert(aor.clone(), edit.rules.into());
            }
            let is_served = as_read.domain(aor.domain()).is_some();
            let is_new = |configured, now| is_served && configured != now;
            let parts = [
                edit.account.map(EditedPart::Account),
                edit.list.map(EditedPart::List),
            ];
            for part in parts.into_iter().flatten() {
                let (configured, now, is_removed) = match &part {
                    EditedPart::Account(edited) => (
                        edited.configured,
                        as_read.hash_of_account(&aor),
                        edited.account.is_none(),
                    ),
                    EditedPart::List(edited) => (
                        edited.configured,
                        as_read.hash_of_list(&aor),
                        edited.list.is_none(),
                    ),
                };
                if is_new(configured, now) {
                    over.push(aor.clone());
                } else if configured != 0 || !is_removed {
                    pending.push((aor.clone(), part));
                }
            }
        }
        self.apply(pending);
        over.sort_unstable();
        over.dedup();
        (self, over)
    }

    /// Applies edits in several passes, because an edit may be possible only after another has freed its
    /// address or its auth_id. The edits that remain impossible wait.
    fn apply(&mut self, mut pending: Vec<(Aor, EditedPart)>) {
        loop {
            let before = pending.len();
            pending.retain(|(aor, part)| !self.has_applied(aor, part));
            if pending.is_empty() || pending.len() == before {
                break;
            }
        }
        let waiting = Arc::make_mut(&mut self.waiting_edits);
        for (aor, part) in pending {
            let edit = waiting.entry(aor.clone()).or_insert_with(|| Edit {
                aor,
                rules: Vec::new(),
                list: None,
                account: None,
            });
            match part {
                EditedPart::Account(edited) => edit.account = Some(edited),
                EditedPart::List(edited) => edit.list = Some(edited),
            }
        }
    }

    /// Applies an edit. False if it is not possible now; then nothing has changed.
    fn has_applied(&mut self, aor: &Aor, part: &EditedPart) -> bool {
        match part {
            EditedPart::Account(edited) => match &edited.account {
                Some(account) => self.put_account(aor, account).is_ok(),
                None => self.take_account(aor).is_ok(),
            },
            EditedPart::List(edited) => {
                let applied = match &edited.list {
                    Some(list) => self.with_list(aor, list.clone()),
                    None => self.without_list(aor),
                };
                applied.map(|applied| *self = applied).is_ok()
            }
        }
    }

    /// A list is about to be edited; `before`: the directory that is edited.
    pub(super) fn note_edit(&mut self, aor: &Aor, before: &Self) {
        if !self.edited_lists.contains_key(aor) {
            let edited = Arc::make_mut(&mut self.edited_lists);
            edited.insert(aor.clone(), before.hash_of_list(aor));
        }
    }

    /// The hash of a list as stored, equal in every process; 0 if there is none.
    fn hash_of_list(&self, aor: &Aor) -> u64 {
        let Ok(list) = self.stored_list(aor) else {
            return 0;
        };
        let mut hash = SipHash13::new();
        hash.field(list.name.as_deref().unwrap_or_default().as_bytes());
        hash.number(list.style as u64);
        hash.field(list.owner.as_ref().map_or("", Aor::as_str).as_bytes());
        for member in &list.members {
            hash.field(member.uri.as_bytes());
            hash.field(member.name.as_bytes());
        }
        hash.finish().max(1)
    }
}
