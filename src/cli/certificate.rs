//! `lamplighter certificate`: makes certificates for labs.

use std::fs::{OpenOptions, remove_file};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output;
use crate::tls;

/// `lamplighter certificate`
#[derive(Debug, Args)]
pub(super) struct CertificateArguments {
    #[command(subcommand)]
    what: CertificateCommand,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Write a self-signed certificate NAME.pem and its key NAME.key, for a lab. Phones accept it only if
    /// they are told to trust it, or not to verify.
    SelfSigned(SelfSignedArguments),
}

/// `lamplighter certificate self-signed`
#[derive(Debug, Args)]
struct SelfSignedArguments {
    /// Host names or addresses by which phones reach the server; the first one names the files.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// The directory to write to.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// How many days it is valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Writes the files and says what to write in the configuration.
pub(super) fn run(arguments: &CertificateArguments) -> ExitCode {
    let CertificateCommand::SelfSigned(arguments) = &arguments.what;
    match write(arguments) {
        Ok((certificate, key)) => output::print(format!(
            "certificate = \"{}\"\nkey = \"{}\"\n",
            certificate.display(),
            key.display()
        )),
        Err(why) => output::fail(why),
    }
}

/// Where they are.
fn write(arguments: &SelfSignedArguments) -> Result<(PathBuf, PathBuf), String> {
    let made = tls::self_signed(&arguments.names, arguments.days);
    let made = made.map_err(|error| format!("cannot make a certificate: {error}"))?;
    let name = arguments.names.first().map_or("", String::as_str);
    if name.contains('/') {
        return Err(format!("{name} is not the name of a host"));
    }
    let file = |kind| arguments.directory.join(format!("{name}.{kind}"));
    let (certificate, key) = (file("pem"), file("key"));
    create(&key, 0o600, &made.key)?;
    create(&certificate, 0o644, &made.certificate).inspect_err(|_| {
        // It belongs to nothing.
        let _ = remove_file(&key);
    })?;
    Ok((certificate, key))
}

/// Creates a file; one that is there stays.
fn create(path: &Path, mode: u32, text: &str) -> Result<(), String> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("cannot create {}: {error}", path.display()))
}
