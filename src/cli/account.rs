//! `lamplighter account hash`: the hashes of a password, as a configuration takes them.

use std::io;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output;
use crate::password::PasswordHash;
use crate::sip::digest::{Algorithm, Secret};

/// `lamplighter account`
#[derive(Debug, Args)]
pub(super) struct AccountArguments {
    #[command(subcommand)]
    action: AccountAction,
}

#[derive(Debug, Subcommand)]
enum AccountAction {
    /// Print the hashes of a password for the configuration. It is read from the terminal, or from the
    /// first line of the standard input.
    Hash(HashArguments),
}

#[derive(Debug, Args)]
struct HashArguments {
    /// The user of the account, or its auth_id if it has one.
    #[arg(value_name = "USER", value_parser = user)]
    user: String,
    /// The name of the domain, not an alias.
    #[arg(value_name = "DOMAIN")]
    domain: String,
    /// Print an argon2id hash, for an account that only HTTP uses.
    #[arg(long)]
    argon2id: bool,
}

/// A colon would be taken for the end of the user, and an @ for that of a user with its domain.
fn user(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains([':', '@']) {
        true => Err("write the part before the @".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Reads the password and prints its hashes.
pub(super) fn run(arguments: &AccountArguments) -> ExitCode {
    let AccountAction::Hash(arguments) = &arguments.action;
    let hashed = password().and_then(|password| arguments.hash(&password));
    match hashed {
        Ok(lines) => output::print(lines + "\n"),
        Err(error) => output::fail(error),
    }
}

impl HashArguments {
    /// The lines of an `[[account]]`.
    fn hash(&self, password: &str) -> Result<String, String> {
        if self.argon2id {
            let hash = PasswordHash::make(password)?;
            return Ok(format!("password_hash = \"{hash}\""));
        }
        let domain = self.domain.to_ascii_lowercase();
        let line = |key: &str, user: &str| {
            let secret = Secret::new(user, &domain, password);
            let hashes = [Algorithm::Md5, Algorithm::Sha256].map(|algorithm| {
                let digits = secret.hash(algorithm).unwrap_or_default();
                format!("\"{}\"", String::from_utf8_lossy(digits))
            });
            format!("{key} = [{}]", hashes.join(", "))
        };
        let with_domain = format!("{}@{domain}", self.user);
        Ok([line("ha1", &self.user), line("ha1b", &with_domain)].join("\n"))
    }
}

fn password() -> Result<String, String> {
    let password = match io::stdin().is_terminal() {
        true => rpassword::prompt_password("Password: "),
        false => first_line(io::stdin().lock()),
    };
    let password = password.map_err(|error| format!("cannot read the password: {error}"))?;
    match password.is_empty() {
        true => Err("the password is empty: write it into the first line".to_owned()),
        false => Ok(password),
    }
}

fn first_line(mut input: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn arguments(argon2id: bool) -> HashArguments {
        HashArguments {
            user: "123".to_owned(),
            domain: "ABC.com".to_owned(),
            argon2id,
        }
    }

    #[test]
    fn hashes_are_those_of_user_domain_and_password() {
        let lines = arguments(false).hash("secret").unwrap();
        let (ha1, ha1b) = lines.split_once('\n').unwrap();
        // printf 123:abc.com:secret | md5sum
        assert!(ha1.starts_with("ha1 = [\"d56d2b61cda1490631cc7b473e0207e5\", \""));
        assert!(ha1b.starts_with("ha1b = [\"ff77292167942d551c52dfade4eafb87\", \""));
        let hash = arguments(true).hash("secret").unwrap();
        let hash = hash.strip_prefix("password_hash = \"").unwrap();
        let hash = PasswordHash::parse(hash.strip_suffix('"').unwrap()).unwrap();
        assert!(hash.verify("secret"));
    }

    #[test]
    fn the_password_is_the_first_line() {
        for text in ["a b", "a b\n", "a b\r\nmore"] {
            assert_eq!(first_line(text.as_bytes()).unwrap(), "a b");
        }
    }

    #[test]
    fn a_user_has_no_domain() {
        for wrong in ["", "123@abc.com", "a:b"] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
        assert_eq!(user("123").unwrap(), "123");
    }
}
