//! What accounts prove themselves by, in the configuration and in the accounts file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::directory::{Directory, PasswordCheck};
use crate::sip::digest::Secret;

const MD5: &str = "d56d2b61cda1490631cc7b473e0207e5";
const MD5_WITH_DOMAIN: &str = "ff77292167942d551c52dfade4eafb87";
const ARGON2ID: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// A folder for files of one test, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let process = std::process::id();
        let path = std::env::temp_dir().join(format!("lamplighter-accounts-{process}-{name}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Loads a configuration that is in the folder.
    pub(super) fn load(&self, text: &str) -> Result<Plan, Vec<String>> {
        let source = Source {
            name: self.0.join("lamplighter.toml").display().to_string(),
            text: text.to_owned(),
        };
        let loaded = load_from(&source, &machine(&[0, 1]));
        loaded.map(|loaded| loaded.plan).map_err(|complaints| {
            let text = complaints.to_string();
            let folder = format!("{}/", self.0.display());
            text.lines().map(|line| line.replace(&folder, "")).collect()
        })
    }

    /// Loads a configuration with that accounts file.
    fn load_csv(&self, csv: &str) -> Result<Plan, Vec<String>> {
        self.write("accounts.csv", csv, 0o640);
        self.load(&format!("[accounts]\nfile = \"accounts.csv\"\n{DOMAINS}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const DOMAINS: &str = "[[domain]]\nname = \"abc.com\"\naliases = [\"pbx.abc.com\"]\n\
                       [[domain]]\nname = \"xyz.com\"\nsha256 = true\n";

fn account(keys: &str) -> String {
    format!("{DOMAINS}[[account]]\nuser = \"123\"\ndomain = \"abc.com\"\n{keys}")
}

fn is_right(directory: &Directory, user: &str, password: &str) -> bool {
    let account = directory.account(&format!("{user}@abc.com")).unwrap();
    match account.password_check(user) {
        PasswordCheck::Secret(secret, name) => secret.matches(name, "abc.com", password),
        PasswordCheck::Hash(hash) => {
            let hash = crate::password::PasswordHash::parse(hash);
            hash.unwrap().verify(password)
        }
    }
}

#[test]
fn an_account_has_a_password_a_file_or_a_hash() {
    let folder = Folder::new("kinds");
    folder.write("123.password", "secret\r\nnot this\n", 0o600);
    let sha256 = Secret::new("123", "abc.com", "secret");
    let sha256 = sha256.hash(crate::sip::digest::Algorithm::Sha256).unwrap();
    let sha256 = std::str::from_utf8(sha256).unwrap();
    for keys in [
        "password = \"secret\"".to_owned(),
        "password_file = \"123.password\"".to_owned(),
        format!("ha1 = \"{MD5}\""),
        format!("ha1 = [\"{sha256}\", \"{}\"]", MD5.to_uppercase()),
        format!("ha1 = \"{MD5}\"\nha1b = \"{MD5_WITH_DOMAIN}\""),
    ] {
        let plan = folder.load(&account(&keys)).unwrap();
        assert!(is_right(&plan.directory, "123", "secret"), "{keys}");
        assert!(!is_right(&plan.directory, "123", "Secret"), "{keys}");
        assert_eq!(plan.notes, [] as [String; 0], "{keys}");
    }
    let keys = format!("password_hash = \"{ARGON2ID}\"");
    let plan = folder.load(&account(&keys)).unwrap();
    assert!(is_right(&plan.directory, "123", "password"));
    assert!(!is_right(&plan.directory, "123", "secret"));
}

#[test]
fn a_secret_that_cannot_be_used_is_a_fault() {
    let folder = Folder::new("faults");
    folder.write("empty", "\nsecret\n", 0o600);
    let table = [
        (
            "",
            "8: the account \"123\" has no password; add password, password_file, ha1 or password_hash",
        ),
        (
            "password = \"\"",
            "10: the password of \"123\" is empty; set one, or remove the account",
        ),
        (
            "password = \"x\"\nha1 = \"x\"",
            "11: the account \"123\" has both password and ha1; keep one of them",
        ),
        (
            "password = \"x\"\nha1b = \"x\"",
            "11: the account \"123\" has ha1b without ha1; add ha1; `lamplighter account hash` prints it",
        ),
        (
            "password_file = \"nowhere\"",
            "10: password_file nowhere: No such file or directory (os error 2); write the password into its first line, and let the server's user read it",
        ),
        (
            "password_file = \"empty\"",
            "10: password_file empty: its first line is empty; write the password into its first line",
        ),
        (
            "password_file = \".\"",
            "10: password_file .: not a regular file; write the password into its first line",
        ),
        (
            "ha1 = \"secret\"",
            "10: ha1 of \"123\" is not one MD5 hash (32 hexadecimal digits) and one SHA-256 hash (64); `lamplighter account hash` prints it",
        ),
        (
            "ha1 = \"0000000000000000000000000000000000000000000000000000000000000000\"",
            "10: ha1 of \"123\" has no MD5 hash, which every challenge offers; `lamplighter account hash` prints it",
        ),
        (
            "ha1 = 5",
            "10: ha1 is of the wrong type; expected a quoted string: \"change me\"",
        ),
        (
            "password_hash = \"$2b$10$abcdef\"",
            "10: the password_hash of \"123\" is not an argon2id hash in the form",
        ),
    ];
    for (keys, expected) in table {
        let found = folder.load(&account(keys)).unwrap_err();
        let expected = format!("lamplighter.toml:{expected}");
        assert!(
            found[0].starts_with(&expected),
            "{keys}\n{expected}\n{found:#?}"
        );
        assert_eq!(found.len(), 1, "{keys}: {found:#?}");
    }
    let keys = format!("ha1 = [\"{MD5}\"]");
    let keys = account(&keys).replace("domain = \"abc.com\"", "domain = \"xyz.com\"");
    let found = folder.load(&keys).unwrap_err();
    let expected = "lamplighter.toml:10: ha1 of \"123\" has no SHA-256 hash, which the domain offers (sha256 = true)";
    assert!(found[0].starts_with(expected), "{found:#?}");
}

#[test]
fn a_file_that_everyone_may_read_is_noted() {
    let folder = Folder::new("notes");
    let note = |path: &Path| {
        format!(
            "{0}: holds secrets, and every user of this machine can read it: chmod o= {0}",
            path.display()
        )
    };
    let secret = folder.write("123.password", "secret", 0o644);
    let csv = folder.write("accounts.csv", "user,domain,password\n5,abc.com,x\n", 0o604);
    let text = account("password_file = \"123.password\"\n[accounts]\nfile = \"accounts.csv\"");
    let config = folder.write("lamplighter.toml", &text, 0o644);
    let plan = folder.load(&text).unwrap();
    assert_eq!(plan.notes, [note(&config), note(&secret), note(&csv)]);
    for path in [&secret, &csv, &config] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    assert_eq!(folder.load(&text).unwrap().notes, [] as [String; 0]);
}

#[test]
fn the_accounts_file_has_the_keys_of_an_account() {
    let folder = Folder::new("csv");
    let csv = format!(
        "domain, user ,ha1,ha1b,password,password_hash,auth_id,feeder,display,alternative,voicemail\r\n\
         abc.com,123,{MD5},{MD5_WITH_DOMAIN},,,,,\"Doe, \"\"J\"\"\",,8123 9123\r\n\
         pbx.abc.com,pbx,,,secret,,,true,,,\r\n\
         abc.com,7,,,secret,,device7,false,,+49172,\r\n\
         abc.com,app,,,,\"{ARGON2ID}\",,,,,\r\n"
    );
    let plan = folder.load_csv(&csv).unwrap();
    assert_eq!(plan.directory.count(), (2, 4));
    for (user, password) in [
        ("123", "secret"),
        ("pbx", "secret"),
        ("7", "secret"),
        ("app", "password"),
    ] {
        assert!(is_right(&plan.directory, user, password), "{user}");
    }
    assert!(plan.directory.account("pbx@abc.com").unwrap().is_feeder);
    assert_eq!(plan.directory.name_of(&aor("123@abc.com")), "Doe, \"J\"");
    assert!(plan.directory.has_password_hashes());
}

#[test]
fn a_fault_in_the_accounts_file_names_file_and_line() {
    let folder = Folder::new("csv-faults");
    let header = "user,domain,password,feeder\n";
    let table = [
        (
            "",
            "1: the header has no column \"user\"; begin the file with a header: user,domain,ha1",
        ),
        (
            "user,domain,pasword\n",
            "1: unknown column \"pasword\"; did you mean \"password\"?",
        ),
        (
            "user,domain,user\n",
            "1: the column \"user\" occurs twice; remove one of the two",
        ),
        (
            "1,abc.com,x\n",
            "2: the record has 3 fields, the header 4; put a field with a comma in double quotes",
        ),
        (
            "1,abc.com,x,yes\n",
            "2: feeder is \"yes\"; write true or false",
        ),
        (
            "1,abc.com,\"a\nb\",\n2,,x,\n",
            "4: user or domain is empty; write both",
        ),
        (
            "1,abc.con,x,\n",
            "2: \"1\" is in the domain \"abc.con\", which does not exist; did you mean \"abc.com\"?",
        ),
        (
            "1,abc.com,,\n",
            "2: the account \"1\" has no password; add password",
        ),
        (
            "1,abc.com,x,\n\n1,abc.com,y,\n",
            "4: the account \"1@abc.com\" is defined twice; remove one of the two",
        ),
    ];
    for (rows, expected) in table {
        let csv = match rows.is_empty() || rows.starts_with("user") {
            true => rows.to_owned(),
            false => format!("{header}{rows}"),
        };
        let found = folder.load_csv(&csv).unwrap_err();
        let expected = format!("accounts.csv:{expected}");
        assert!(
            found[0].starts_with(&expected),
            "{csv}\n{expected}\n{found:#?}"
        );
    }
    let many = format!("{header}{}", "1,nowhere,x,\n".repeat(500));
    let found = folder.load_csv(&many).unwrap_err();
    assert_eq!(found.len(), 101);
    assert!(
        found[100]
            .starts_with("accounts.csv:101: 100 faults; the rest of the file was not checked")
    );
}

#[test]
fn faults_of_both_files_are_reported_and_a_missing_one_too() {
    let folder = Folder::new("both");
    folder.write(
        "accounts.csv",
        "user,domain,password\n123,abc.com,x\n",
        0o600,
    );
    let text =
        account("password = \"x\"\n[accounts]\nfile = \"accounts.csv\"\n[notify]\nburst = 0\n");
    assert_eq!(
        folder.load(&text).unwrap_err(),
        [
            "lamplighter.toml:14: burst is 0; choose a value from 1 to 1000000",
            "accounts.csv:2: the account \"123@abc.com\" is defined twice; remove one of the two",
        ]
    );
    let text = "[accounts]\nfile = \"nowhere.csv\"\n";
    assert_eq!(
        folder.load(text).unwrap_err(),
        [
            "nowhere.csv: cannot be read: No such file or directory (os error 2); \
          name an existing file in [accounts], and let the server's user read it"
        ]
    );
}
