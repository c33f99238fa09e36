//! `lamplighter token`: the tokens of the HTTP API, which are tables of the configuration file.
//!
//! A token is added at the end of the file; nothing else in it changes. A running server reloads its
//! configuration; without one, the token takes effect at the next start.

use std::fs;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::ConfigArguments;
use crate::cli::client::{Format, Request};
use crate::cli::output;
use crate::config;
use crate::config::{Config, Source};
use crate::directory::tokens::{Role, Token};
use crate::net::kernel;
use crate::password::PasswordHash;

/// `lamplighter token`
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
    #[command(flatten)]
    config: ConfigArguments,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, write its hash into the configuration, and print the token, which is shown only once.
    Add {
        /// Its name: lower-case letters, digits and hyphens.
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
        /// What its bearer may do: reader, feeder (reports state), domain-admin (edits accounts, lists, rules,
        /// groups and policies), admin.
        #[arg(long, value_parser = role)]
        role: Role,
        /// A domain that it gives access to; may be repeated [default: all]
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
    },
    /// List the tokens: names, roles, domains.
    List,
    /// Remove a token from the configuration.
    Remove {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    match Token::is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("use 1 to 64 lower-case letters, digits and hyphens".to_owned()),
    }
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
    let roles = Role::ALL.map(Role::as_str).join(", ");
    found.ok_or_else(|| format!("the roles are {roles}"))
}

/// Runs the command.
pub(super) fn run(arguments: &TokenArguments) -> ExitCode {
    let file = arguments.config.file();
    let done = match &arguments.command {
        TokenCommand::Add {
            name,
            role,
            domains,
        } => add(&file, name, *role, domains),
        TokenCommand::List => list(&file),
        TokenCommand::Remove { name } => remove(&file, name),
    };
    match done {
        Ok(text) => output::print(text),
        Err(why) => output::fail(why),
    }
}

/// Writes the table of a new token; returns what to print.
fn add(file: &Path, name: &str, role: Role, domains: &[String]) -> Result<String, String> {
    let mut locked = lock(file)?;
    let before = read(file)?;
    let (token, hash) = make(name)?;
    let table = table(name, role, domains, &hash);
    // The new text is checked before it is written.
    check(file, &format!("{before}{table}"))?;
    let written = locked.write_all(table.as_bytes());
    written.map_err(|error| format!("{}: {error}", file.display()))?;
    output::remark(reload(file));
    Ok(token + "\n")
}

/// A new token with that name, and the hash of its secret.
pub(super) fn make(name: &str) -> Result<(String, String), String> {
    let random = kernel::random_octets().map_err(|error| error.to_string())?;
    let secret: String = random.iter().map(|octet| format!("{octet:02x}")).collect();
    let hash = PasswordHash::make(&secret)?;
    Ok((Token::text(name, &secret), hash))
}

fn table(name: &str, role: Role, domains: &[String], hash: &str) -> String {
    let role = role.as_str();
    let mut table = format!("\n[[token]]\nname = \"{name}\"\nrole = \"{role}\"\n");
    if !domains.is_empty() {
        let quoted: Vec<String> = domains.iter().map(|domain| format!("{domain:?}")).collect();
        table.push_str(&format!("domains = [{}]\n", quoted.join(", ")));
    }
    table.push_str(&format!("hash = \"{hash}\"\n"));
    table
}

fn list(file: &Path) -> Result<String, String> {
    let loaded = config::inspect(file).map_err(|complaints| complaints.to_string())?;
    let lines = loaded.plan.directory.tokens().iter().map(|token| {
        let domains = match token.domains.is_empty() {
            true => "all domains".to_owned(),
            false => token.domains.join(", "),
        };
        format!("{}  {}  {domains}\n", token.name, token.role.as_str())
    });
    Ok(lines.collect())
}

/// Removes the table of a token.
fn remove(file: &Path, name: &str) -> Result<String, String> {
    let _locked = lock(file)?;
    let before = read(file)?;
    let after = without(&before, name).ok_or_else(|| {
        format!(
            "{}: there is no [[token]] with the name \"{name}\"",
            file.display()
        )
    })?;
    check(file, &after)?;
    // In place, so that owner and mode stay.
    fs::write(file, after).map_err(|error| format!("{}: {error}", file.display()))?;
    output::remark(reload(file));
    Ok(String::new())
}

/// The text without the table of a token, from its header to its last key. Comments and empty lines after that
/// stay, because they belong to the next table. None if there is no such table.
fn without(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let bare = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let is_header = |line: &str| {
        let header: String = bare(line).split_whitespace().collect();
        header == "[[token]]"
    };
    let tables = (0..lines.len()).filter(|at| is_header(lines[*at]));
    let mut tables = tables.map(|begin| {
        // In a list over several lines, a line may begin with a bracket, too, but is indented.
        let keys = lines[begin + 1..].iter();
        let keys = keys.take_while(|line| !line.starts_with('[')).count();
        let is_key = |line: &&str| !bare(line).is_empty();
        let last = lines[begin..=begin + keys].iter().rposition(is_key);
        begin..begin + 1 + last.unwrap_or_default()
    });
    let is_its = |line: &&str| {
        let line = bare(line);
        let (key, value) = line.split_once('=').unwrap_or_default();
        let unquoted = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        unquoted(key) == "name" && unquoted(value) == name
    };
    let mut its = tables.find(|table| lines[table.clone()].iter().any(is_its))?;
    // With the empty line that `add` puts before it.
    if its.start > 0 && lines[its.start - 1].trim().is_empty() {
        its.start -= 1;
    }
    let kept = lines[..its.start].iter().chain(&lines[its.end..]);
    Some(kept.copied().collect())
}

/// Locks the file against another `lamplighter token` until the result is dropped.
fn lock(file: &Path) -> Result<File, String> {
    let fault = |error: io::Error| format!("{}: {error}", file.display());
    let opened = OpenOptions::new().append(true).open(file).map_err(fault)?;
    opened.lock().map_err(fault)?;
    Ok(opened)
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Checks a text that the file is about to have.
fn check(file: &Path, text: &str) -> Result<(), String> {
    let source = Source {
        name: file.display().to_string(),
        text: text.to_owned(),
    };
    let loaded = config::inspect_text(&source);
    loaded
        .map(|_| ())
        .map_err(|complaints| complaints.to_string())
}

/// Has the running server, if there is one, reload its configuration. Returns the outcome in words.
fn reload(file: &Path) -> String {
    let source = Source::read(file).unwrap_or_default();
    let socket = Config::glance(&source).control_socket();
    match Request::post("/reload").send(&socket, Format::Text) {
        Ok(response) if response.status == 200 => {
            "The running server has taken the change.".to_owned()
        }
        Ok(response) => format!(
            "The running server refused to read the file: {}",
            response.body.trim_end()
        ),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            "No server is running; the change takes effect at its next start.".to_owned()
        }
        Err(error) => format!(
            "The change is in the file, but the running server could not be told: {}: {error}. Run `lamplighter reload`.",
            socket.display()
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_removed_token_leaves_the_rest() {
        let first = table("crm", Role::Feeder, &["abc.com".to_owned()], "h1");
        let second = table("board", Role::Reader, &[], "h2");
        let text = format!("[node]\nname = \"board\"\n{first}{second}\n# the end\n");
        assert_eq!(
            without(&text, "crm").unwrap(),
            format!("[node]\nname = \"board\"\n{second}\n# the end\n")
        );
        assert_eq!(
            without(&text, "board").unwrap(),
            format!("[node]\nname = \"board\"\n{first}\n# the end\n")
        );
        assert_eq!(without(&text, "node"), None);
    }

    /// A table may be written by hand, not by `add`.
    #[test]
    fn a_token_is_found_however_it_is_written() {
        let before = "[[domain]]\nname = \"crm\"\n";
        let after = "\n# the next\n[[token]]\nname = \"b\"\n";
        for table in [
            "[[ token ]]\nname = 'crm'\nrole = \"reader\"\n",
            "[[token]] # for the CRM\n\n# who\n\"name\" = \"crm\"   # it\n\nrole = \"reader\"\n",
            "[[token]]\nrole = \"reader\"\ndomains = [\n  # all\n  \"abc.com\",\n]\nname = \"crm\"\n",
        ] {
            let text = format!("{before}{table}{after}");
            assert_eq!(
                without(&text, "crm").unwrap(),
                format!("{before}{after}"),
                "{table}"
            );
        }
    }

    #[test]
    fn a_table_is_what_the_configuration_takes() {
        let hash = PasswordHash::make("x").unwrap();
        let domains = ["abc.com".to_owned()];
        let token = table("crm", Role::DomainAdmin, &domains, &hash);
        let text = format!("[[domain]]\nname = \"abc.com\"\n{token}");
        check(Path::new("x.toml"), &text).unwrap();
        let without_domain = table("crm", Role::DomainAdmin, &[], &hash);
        assert!(check(Path::new("x.toml"), &without_domain).is_err());
    }
}
