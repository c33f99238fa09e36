//! Converts the `[[token]]` tables of a file, and checks them.

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::tenants::names;
use crate::config::tenants::names::Names;
use crate::directory::tokens::{Role, Token};
use crate::password::PasswordHash;

/// How to make a token.
const ADD: &str = "`lamplighter token add NAME --role ROLE` makes a token and writes its table";

/// The tokens of a file.
pub(super) fn read(
    tokens: &[schema::Token],
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Vec<Token> {
    names::check_all("token", tokens.iter().map(|token| &token.name), complainer);
    let mut read = Vec::with_capacity(tokens.len());
    for token in tokens {
        let name = token.name.get_ref().as_str();
        let hash = &token.hash.get_ref().0;
        if let Err(fault) = PasswordHash::parse(hash) {
            let what = format!("the hash of the token \"{name}\" {fault}");
            complainer.add(token.hash.span(), what, ADD);
        }
        let role = token.role.get_ref().role();
        scope(token, role, complainer);
        let what = format!("the token \"{name}\"");
        let domains = token.domains.iter();
        let domains = domains.filter_map(|domain| names.domain(domain, &what, complainer));
        read.push(Token {
            name: name.into(),
            role,
            domains: domains.map(Into::into).collect(),
            hash: hash.as_str().into(),
        });
    }
    read
}

/// Checks that an admin has no domains and a domain admin has some.
fn scope(token: &schema::Token, role: Role, complainer: &mut Complainer<'_>) {
    let fault = match (role, token.domains.is_empty()) {
        (Role::Admin, false) => Some((
            "has domains, but the role \"admin\" is for the whole server",
            "remove domains, or write role = \"domain-admin\"",
        )),
        (Role::DomainAdmin, true) => Some((
            "has the role \"domain-admin\" and no domains",
            "list its domains, or write role = \"admin\"",
        )),
        _ => None,
    };
    if let Some((why, remedy)) = fault {
        let what = format!("the token \"{}\" {why}", token.name.get_ref());
        complainer.add(token.role.span(), what, remedy);
    }
}
