//! Accounts.

use std::collections::HashSet;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::tenants::names::Names;
use crate::config::text::{is_user, phrase, user_remedy};
use crate::directory::{Details, Directory};
use crate::presence::Aor;

/// Adds an account, unless it is there already.
pub(super) fn add_account(
    account: &schema::Account,
    names: &Names,
    directory: &mut Directory,
    accounts: &mut HashSet<Aor>,
    complainer: &mut Complainer<'_>,
) {
    let user = account.user.get_ref();
    if !is_user(user) {
        let what = format!("{user:?} is not a valid user");
        complainer.add(account.user.span(), what, user_remedy(user));
    }
    if account.password.get_ref().0.is_empty() {
        let what = format!("the password of \"{user}\" is empty");
        complainer.add(
            account.password.span(),
            what,
            "set one, or remove the account",
        );
    }
    let text = |text: &Spanned<String>, key, complainer: &mut _| phrase(text, key, complainer);
    let display = account.display.as_ref();
    let alternative = account.alternative.as_ref();
    let voicemail = account.voicemail.0.iter();
    let details = Details {
        display: display.and_then(|name| text(name, "display", complainer)),
        alternative: alternative.and_then(|number| text(number, "alternative", complainer)),
        voicemail: voicemail
            .filter_map(|number| text(number, "voicemail", complainer))
            .collect(),
    };
    let Some(domain) = names.domain(&account.domain, &format!("\"{user}\""), complainer) else {
        return;
    };
    let aor = Aor::new(user, &domain);
    if !accounts.insert(aor.clone()) {
        let what = format!("the account \"{aor}\" is defined twice");
        complainer.add(account.user.span(), what, "remove one of the two");
        return;
    }
    if let Some(added) = directory.add_account(user, &domain, &account.password.get_ref().0) {
        added.is_feeder = account.feeder;
    }
    set_auth_id(account, &aor, directory, complainer);
    if details != Details::default() {
        directory.describe(&aor, details);
    }
}

fn set_auth_id(
    account: &schema::Account,
    aor: &Aor,
    directory: &mut Directory,
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
    } else if !directory.set_auth_id(aor, name, &account.password.get_ref().0) {
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
