//! The tokens of the HTTP API: what the bearer of each may do, and in which domains.
//!
//! A token is the text `lamp_NAME_SECRET`. The directory has the argon2id hash of the secret, by the name.

use crate::directory::Directory;

/// The beginning of every token, so that tools which look for secrets in files recognise one.
const PREFIX: &str = "lamp_";

/// What the bearer of a token may do, in its domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read state, subscriptions, accounts and lists.
    Reader,
    /// Also report state: calls, notes, do-not-disturb, call forwarding.
    Feeder,
    /// Also edit lists, rules, accounts, groups, policies and orbits.
    DomainAdmin,
    /// Everything, for the whole node: it has no domains.
    Admin,
}

impl Role {
    /// All roles, from the least to the greatest.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Feeder, Self::DomainAdmin, Self::Admin];

    /// As it is written in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Feeder => "feeder",
            Self::DomainAdmin => "domain-admin",
            Self::Admin => "admin",
        }
    }
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its name.
    pub name: Box<str>,
    /// What its bearer may do.
    pub role: Role,
    /// The domains that it is for, by their own names; empty for all.
    pub domains: Vec<Box<str>>,
    /// The argon2id hash of its secret in the PHC string format.
    pub hash: Box<str>,
}

impl Token {
    /// Whether it is for a domain, by its own name.
    #[must_use]
    pub fn is_for(&self, domain: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|own| **own == *domain)
    }

    /// Whether a text can be the name of a token: 1 to 64 lower-case letters, digits and hyphens.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let is_valid = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
        (1..=64).contains(&text.len()) && text.bytes().all(|octet| is_valid(octet) || octet == b'-')
    }

    /// The text that a bearer presents.
    #[must_use]
    pub fn text(name: &str, secret: &str) -> String {
        format!("{PREFIX}{name}_{secret}")
    }

    /// The name and the secret in the text that a bearer presents; None if it is not a token.
    #[must_use]
    pub fn split(text: &str) -> Option<(&str, &str)> {
        let (name, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        (Self::is_name(name) && !secret.is_empty()).then_some((name, secret))
    }
}

impl Directory {
    /// Sets the tokens. Their names differ.
    pub fn set_tokens(&mut self, tokens: Vec<Token>) {
        self.tokens = tokens.into();
    }

    /// The token with a name.
    #[must_use]
    pub fn token(&self, name: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| *token.name == *name)
    }

    /// All tokens, in the order of the configuration.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_itself() {
        let text = Token::text("crm-1", "a_b-c");
        assert_eq!(Token::split(&text), Some(("crm-1", "a_b-c")));
        for text in [
            "",
            "lamp_",
            "lamp_crm",
            "lamp_crm_",
            "lamp_CRM_x",
            "crm_x",
            "lamp__x",
        ] {
            assert_eq!(Token::split(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_without_domains_is_for_all() {
        let token = |domains: &[&str]| Token {
            name: "t".into(),
            role: Role::Reader,
            domains: domains.iter().map(|name| (*name).into()).collect(),
            hash: "".into(),
        };
        assert!(token(&[]).is_for("abc.com"));
        assert!(token(&["abc.com"]).is_for("abc.com"));
        assert!(!token(&["abc.com"]).is_for("xyz.com"));
    }
}
