//! What the operator edited while the server ran: accounts, lists, and rules of single presentities. A store
//! keeps the edits, and they outlive a reading of the configuration.
//!
//! The rules of presentities are in no file. A list or an account may be in the file too: its edit counts as
//! long as the file says of it what it said when it was edited; after that, the file counts.

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

impl Edit {
    /// Whether nothing of the address is edited any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.rules.is_empty() && self.list.is_none() && self.account.is_none()
    }
}

impl Directory {
    /// The edits of one address.
    #[must_use]
    pub fn edit_of(&self, aor: &Aor) -> Edit {
        let edited = self.edited_lists.get(aor);
        let edited_account = self.edited_accounts.get(aor);
        Edit {
            aor: aor.clone(),
            rules: self.rules_document(aor).to_vec(),
            list: edited.map(|configured| EditedList {
                configured: *configured,
                list: self.stored_list(aor).ok().cloned(),
            }),
            account: edited_account.map(|configured| EditedAccount {
                configured: *configured,
                account: self.stored_account(aor),
            }),
        }
    }

    /// All edits, in the order of their addresses.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        let of_rules = self.rules_documents_by_aor().into_iter();
        let mut aors: Vec<Aor> = of_rules.map(|(aor, _)| aor).collect();
        aors.extend(self.edited_lists.keys().cloned());
        aors.extend(self.edited_accounts.keys().cloned());
        aors.sort_unstable();
        aors.dedup();
        aors.iter().map(|aor| self.edit_of(aor)).collect()
    }

    /// This directory, as it was read, with these edits. Also returns the addresses of lists and accounts
    /// whose edits count no longer, in order: the configuration says something else of them than it did, or
    /// the edited list or account is not possible any more.
    #[must_use]
    pub fn with_edits(mut self, edits: Vec<Edit>) -> (Self, Vec<Aor>) {
        let as_read = self.clone();
        let documents = Arc::make_mut(&mut self.documents);
        let (mut edited, mut over) = (Vec::new(), Vec::new());
        let mut edited_accounts = Vec::new();
        for Edit {
            aor,
            rules,
            list,
            account,
        } in edits
        {
            match account {
                Some(edit) if edit.configured == as_read.hash_of_account(&aor) => {
                    edited_accounts.push((aor.clone(), edit.account));
                }
                Some(_) => over.push(aor.clone()),
                None => {}
            }
            if !rules.is_empty() {
                documents.insert(aor.clone(), rules.into());
            }
            match list {
                Some(list) if list.configured == as_read.hash_of_list(&aor) => {
                    edited.push((aor, list.list));
                }
                Some(_) => over.push(aor),
                None => {}
            }
        }
        // A list may have members that are accounts, and never the other way round.
        for (aor, account) in &edited_accounts {
            let put = match account {
                Some(account) => self.put_account(aor, account),
                None => self.take_account(aor),
            };
            if put.is_err() {
                over.push(aor.clone());
            }
        }
        for (aor, list) in &edited {
            match self.clone().with_edited_list(aor, list.clone()) {
                Some(with_list) => self = with_list,
                None => over.push(aor.clone()),
            }
        }
        over.sort_unstable();
        over.dedup();
        (self, over)
    }

    /// This directory with a list as it was edited; None if it is not possible.
    fn with_edited_list(self, aor: &Aor, list: Option<StoredList>) -> Option<Self> {
        match list {
            Some(list) => self.with_list(aor, list).ok(),
            None => self.without_list(aor).ok(),
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
