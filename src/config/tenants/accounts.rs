//! Accounts.

use std::collections::HashSet;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::tenants::names::Names;
use crate::config::tenants::proof::{Given, given};
use crate::config::text::{is_user, phrase, user_remedy};
use crate::directory::{Details, Directory};
use crate::presence::Aor;

/// Adds accounts to a directory.
pub(super) struct Accounts<'a> {
    pub(super) names: &'a Names,
    pub(super) directory: &'a mut Directory,
    pub(super) notes: &'a mut Vec<String>,
    /// Those that were added.
    pub(super) added: HashSet<Aor>,
}

impl Accounts<'_> {
    /// Adds an account, unless it is there already.
    pub(super) fn add(&mut self, account: &schema::Account, complainer: &mut Complainer<'_>) {
        let user = account.user.get_ref();
        if !is_user(user) {
            let what = format!("{user:?} is not a valid user");
            complainer.add(account.user.span(), what, user_remedy(user));
        }
        let details = details(account, complainer);
        let what = format!("\"{user}\"");
        let domain = self.names.domain(&account.domain, &what, complainer);
        let configured = domain
            .as_deref()
            .and_then(|name| self.directory.domain(name));
        let offers_sha256 = configured.is_some_and(|domain| domain.sha256);
        let given = given(account, offers_sha256, complainer, self.notes);
        let Some(domain) = domain else {
            return;
        };
        let aor = Aor::new(user, &domain);
        if !self.added.insert(aor.clone()) {
            let what = format!("the account \"{aor}\" is defined twice");
            complainer.add(account.user.span(), what, "remove one of the two");
            return;
        }
        if self.directory.is_auth_id_of_another(&aor) {
            let what =
                format!("the user \"{user}\" is the auth_id of another account of the domain");
            let remedy = "give each account a different user and auth_id";
            complainer.add(account.user.span(), what, remedy);
        }
        let Some(given) = given else {
            return;
        };
        let added = self.directory.add_account(user, &domain, given.proof());
        if let Some(added) = added {
            added.is_feeder = account.feeder;
        }
        self.set_auth_id(account, &aor, &given, complainer);
        if details != Details::default() {
            self.directory.describe(&aor, details);
        }
    }

    fn set_auth_id(
        &mut self,
        account: &schema::Account,
        aor: &Aor,
        given: &Given,
        complainer: &mut Complainer<'_>,
    ) {
        let Some(auth_id) = &account.auth_id else {
            return;
        };
        let name = auth_id.get_ref().as_str();
        if name == aor.user() {
            return;
        }
        if !is_user(name) {
            let what = format!("the auth_id {name:?} of \"{aor}\" is not a valid user name");
            complainer.add(
                auth_id.span(),
                what,
                "enter the authentication ID that is configured in the phone",
            );
        } else if !self.directory.set_auth_id(aor, name, given.proof()) {
            let what = format!(
                "the auth_id \"{name}\" of \"{aor}\" is already used by another account of the domain"
            );
            complainer.add(
                auth_id.span(),
                what,
                "give each account a different user and auth_id",
            );
        }
    }
}

fn details(account: &schema::Account, complainer: &mut Complainer<'_>) -> Details {
    let text = |text: &Spanned<String>, key, complainer: &mut _| phrase(text, key, complainer);
    let display = account.display.as_ref();
    let alternative = account.alternative.as_ref();
    let voicemail = account.voicemail.0.iter();
    Details {
        display: display.and_then(|name| text(name, "display", complainer)),
        alternative: alternative.and_then(|number| text(number, "alternative", complainer)),
        voicemail: voicemail
            .filter_map(|number| text(number, "voicemail", complainer))
            .collect(),
    }
}
