//! The file that the HTTP API keeps, beside the operator's: read, checked and changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::managed;
use crate::directory::Directory;
use crate::directory::managed::{ChangeRefusal, FaultPlace, ManagedChange, Setting, Settings};

/// A folder with an operator's file, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lamplighter-managed-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join("data")).unwrap();
        folder.write(text);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("lamplighter.toml")
    }

    fn write(&self, text: &str) {
        let text = format!("[node]\ndata_dir = \"data\"\n{text}");
        fs::write(self.file(), text).unwrap();
    }

    fn domains(&self) -> PathBuf {
        self.0.join("data/domains.toml")
    }

    fn directory(&self) -> Directory {
        load(&self.file()).unwrap().plan.directory
    }

    fn complaints(&self) -> Vec<String> {
        let complaints = load(&self.file()).unwrap_err().to_string();
        let folder = format!("{}/", self.0.display());
        let complaints = complaints.lines().map(|line| line.replace(&folder, ""));
        complaints.collect()
    }

    /// Makes a change and writes it.
    fn change(&self, change: &ManagedChange) -> Result<(String, bool), ChangeRefusal> {
        let source = Source::read(&self.file()).unwrap();
        let running = Config::glance(&source);
        let known = managed::read(running.data_dir()).unwrap_or_default();
        self.change_known(change, known.as_ref().map(Source::hash))
    }

    /// Makes a change to a file that the server has read as one with this hash.
    fn change_known(
        &self,
        change: &ManagedChange,
        known: Option<u64>,
    ) -> Result<(String, bool), ChangeRefusal> {
        let source = Source::read(&self.file()).unwrap();
        let running = Config::glance(&source);
        let changed = reload_changed(&self.file(), &running, change, &[known])?;
        let outcome = (changed.domain.clone(), changed.is_new);
        let (_, write) = changed.split();
        write().unwrap();
        Ok(outcome)
    }

    /// The faults of a change: pointer and detail.
    fn faults(&self, change: &ManagedChange) -> Vec<(String, String)> {
        let before = fs::read(self.domains()).ok();
        let refusal = self.change(change).unwrap_err();
        assert_eq!(fs::read(self.domains()).ok(), before, "nothing is written");
        let ChangeRefusal::Faults(faults) = refusal else {
            panic!("{refusal:?}");
        };
        let faults = faults.into_iter().map(|fault| match fault.place {
            FaultPlace::Name => ("name".to_owned(), fault.detail),
            FaultPlace::Pointer(pointer) => (pointer, fault.detail),
        });
        faults.collect()
    }

    fn conflict(&self, change: &ManagedChange) -> String {
        let folder = format!("{}/", self.0.display());
        match self.change(change).unwrap_err() {
            ChangeRefusal::Conflict(why) | ChangeRefusal::Configuration(why) => {
                why.replace(&folder, "")
            }
            refusal => panic!("{refusal:?}"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn texts(all: &[&str]) -> Setting {
    Setting::List(all.iter().map(|one| text(one)).collect())
}

fn number(number: &str) -> Setting {
    Setting::Number(number.to_owned())
}

fn settings(all: &[(&str, Setting)]) -> Settings {
    let all = all.iter();
    all.map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

fn put(domain: &str, all: &[(&str, Setting)]) -> ManagedChange {
    ManagedChange::PutDomain {
        domain: domain.to_owned(),
        settings: settings(all),
    }
}

fn remove(domain: &str) -> ManagedChange {
    ManagedChange::RemoveDomain {
        domain: domain.to_owned(),
    }
}

fn put_group(domain: &str, group: &str, members: &[&str]) -> ManagedChange {
    ManagedChange::PutGroup {
        domain: domain.to_owned(),
        group: group.to_owned(),
        members: members.iter().map(|member| text(member)).collect(),
    }
}

fn put_policies(domain: &str, policies: &[&[(&str, Setting)]]) -> ManagedChange {
    ManagedChange::PutPolicies {
        domain: domain.to_owned(),
        policies: policies.iter().map(|policy| settings(policy)).collect(),
    }
}

const OPERATORS: &str = "\
[[domain]]
name = \"abc.com\"
aliases = [\"pbx.abc.com\"]
[[account]]
user = \"123\"
domain = \"abc.com\"
password = \"x\"
[[group]]
name = \"staff\"
domain = \"abc.com\"
members = [\"123\"]
[[policy]]
domain = \"abc.com\"
watcher = \"staff\"
handling = \"block\"
";

#[test]
fn both_files_are_one_configuration() {
    let folder = Folder::new(OPERATORS);
    let new = put("New.Example.", &[("orbits", texts(&["700-709"]))]);
    assert_eq!(folder.change(&new), Ok(("new.example".to_owned(), true)));
    assert_eq!(folder.change(&new), Ok(("new.example".to_owned(), false)));
    let sales = put_group("new.example", "sales", &["1", "sip:2@abc.com"]);
    assert!(folder.change(&sales).unwrap().1);
    assert!(!folder.change(&sales).unwrap().1);
    let empty = put_group("PBX.abc.com", "empty", &[]);
    assert_eq!(folder.change(&empty), Ok(("abc.com".to_owned(), true)));
    let rules = [
        ("watcher", text("sales")),
        ("presentity", text("7*")),
        ("privacy", number("2")),
    ];
    let rules = put_policies("new.example", &[&rules, &[("handling", text("block"))]]);
    folder.change(&rules).unwrap();
    let mode = fs::metadata(folder.domains()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let directory = folder.directory();
    assert_eq!(directory.count(), (2, 1));
    assert!(directory.is_managed("new.example") && !directory.is_managed("abc.com"));
    assert!(directory.is_managed_group("new.example", "sales"));
    assert!(directory.is_managed_group("abc.com", "empty"));
    assert!(!directory.is_managed_group("abc.com", "staff"));
    assert_eq!(directory.group("abc.com", "empty").map(<[_]>::len), Some(0));
    assert_eq!(directory.groups_of("abc.com").len(), 2);
    let uris: Vec<&str> = directory
        .group("new.example", "sales")
        .unwrap()
        .iter()
        .map(|member| &*member.uri)
        .collect();
    assert_eq!(uris, ["sip:1@new.example", "sip:2@abc.com"]);
    let of = |domain: &str| {
        let policies = directory.policies_of(domain).iter();
        policies
            .map(|policy| (policy.number, directory.is_managed_policy(policy)))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("abc.com"), [(1, false)]);
    assert_eq!(of("new.example"), [(2, true), (3, true)]);
    // Each domain counts on from the operator's: many policies of one leave the others room.
    let one: &[(&str, Setting)] = &[("watcher", text("*"))];
    folder.change(&put("z.example", &[])).unwrap();
    let hundred = put_policies("z.example", &[one; 100]);
    folder.change(&hundred).unwrap();
    let many = folder.directory();
    assert_eq!(many.policies_of("z.example")[99].number, 101);
    assert_eq!(many.policies_of("new.example")[0].number, 2);
    let rule = many.deciding_rule("new.example", 2).to_string();
    assert!(
        rule.starts_with("policy 2: ") && !rule.contains("* watches"),
        "{rule}"
    );
    folder.change(&remove("z.example")).unwrap();
    // A removed domain takes its groups and policies along, and nothing else.
    folder.change(&remove("new.example")).unwrap();
    let directory = folder.directory();
    assert_eq!(directory.count(), (1, 1));
    assert!(directory.is_managed_group("abc.com", "empty"));
    let absent = folder.change(&remove("new.example"));
    assert!(
        matches!(absent, Err(ChangeRefusal::Absent(_))),
        "{absent:?}"
    );
}

#[test]
fn what_the_operator_wrote_is_not_changed() {
    let folder = Folder::new(OPERATORS);
    let why =
        "the domain abc.com stands in the configuration file (lamplighter.toml:4): change it there";
    for change in [
        put("abc.com", &[]),
        put("pbx.abc.com", &[]),
        remove("ABC.com"),
        ManagedChange::PutOrbits {
            domain: "abc.com".to_owned(),
            orbits: Vec::new(),
        },
    ] {
        assert_eq!(folder.conflict(&change), why);
    }
    let why = "the group \"staff\" of abc.com stands in the configuration file (lamplighter.toml:11): change it there";
    assert_eq!(
        folder.conflict(&put_group("pbx.abc.com", "staff", &[])),
        why
    );
    let absent = folder.change(&put_group("no.example", "staff", &[]));
    assert!(
        matches!(absent, Err(ChangeRefusal::Absent(_))),
        "{absent:?}"
    );
    assert!(!folder.domains().exists());
}

/// The operator renames a domain; the file of the API still has the old name.
#[test]
fn a_group_stays_with_a_renamed_domain() {
    let folder = Folder::new(OPERATORS);
    folder
        .change(&put_group("abc.com", "desk", &["123"]))
        .unwrap();
    folder.write("[[domain]]\nname = \"new.com\"\naliases = [\"abc.com\"]\n");
    assert!(folder.directory().is_managed_group("new.com", "desk"));
    let again = put_group("new.com", "desk", &["124"]);
    assert_eq!(folder.change(&again), Ok(("new.com".to_owned(), false)));
    let group = folder.directory();
    let group = group.group("new.com", "desk").unwrap();
    assert_eq!(group.len(), 1);
    assert_eq!(&*group[0].uri, "sip:124@new.com");
}

#[test]
fn every_fault_of_a_change_has_its_pointer() {
    let folder = Folder::new(OPERATORS);
    let faults = folder.faults(&put(
        "new.example",
        &[
            ("auht", text("digest")),
            ("open", text("yes")),
            ("orbits", texts(&["700-709", "a b", "5-1"])),
            ("a/b ~", number("1")),
            ("privacy", number("7")),
            ("max_expires", number("1.5")),
            ("min_expires", text("soon")),
            (
                "trusted",
                Setting::List(vec![number("10"), text("10.0.0.0/8")]),
            ),
            ("aliases", texts(&["abc.com", "b c"])),
            ("parks_token", text("short")),
        ],
    ));
    let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "#/aliases/0",
            "#/aliases/1",
            "#/auht",
            "#/a~1b ~0",
            "#/max_expires",
            "#/min_expires",
            "#/open",
            "#/orbits/1",
            "#/orbits/2",
            "#/parks_token",
            "#/privacy",
            "#/trusted/0",
        ]
    );
    let detail = |place: &str| {
        let fault = faults.iter().find(|(known, _)| known == place);
        let folder = format!("{}/", folder.0.display());
        fault.unwrap().1.replace(&folder, "")
    };
    assert_eq!(
        detail("#/auht"),
        "unknown key \"auht\"; did you mean \"auth\"?"
    );
    assert_eq!(
        detail("#/aliases/0"),
        "the domain name \"abc.com\" is already taken (line 4 of lamplighter.toml); a name or alias can belong to one domain only: remove it here or there"
    );
    assert!(!detail("#/parks_token").contains("short"));
    let name = folder.faults(&put("a b", &[]));
    assert_eq!(name[0].0, "name");
    assert_eq!(
        folder.faults(&put("new.example", &[("name", text("x"))]))[0].0,
        "#/name"
    );
    let auth = folder.faults(&put("new.example", &[("auth", text("trusted"))]));
    assert_eq!(auth[0].0, "#/auth", "the key that asks for another one");
    let group = folder.faults(&put_group("abc.com", "a@b", &["1", "sip:", "tel:5"]));
    let places: Vec<&str> = group.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["name", "#/members/1", "#/members/2"]);
    let wrong = [("watcher", text("same-grop"))];
    let rules = put_policies("abc.com", &[&[], &wrong, &[("domain", text("x"))]]);
    assert_eq!(folder.faults(&rules)[0].0, "#/policies/2/domain");
    let rules = put_policies("abc.com", &[&[], &wrong, &[("package", number("1"))]]);
    let faults = folder.faults(&rules);
    assert_eq!(
        faults[0],
        (
            "#/policies/1/watcher".to_owned(),
            "\"same-grop\" is not a watcher; did you mean \"same-group\"?".to_owned()
        )
    );
    assert_eq!(faults[1].0, "#/policies/2/package");
    let many: Vec<&[(&str, Setting)]> = vec![&[]; 101];
    assert_eq!(
        folder.faults(&put_policies("abc.com", &many))[0].0,
        "#/policies"
    );
}

#[test]
fn a_fault_elsewhere_is_told_with_its_file_and_line() {
    let folder = Folder::new(OPERATORS);
    folder.change(&put("new.example", &[])).unwrap();
    // A token names the domain.
    let token = "[[token]]\nname = \"desk\"\nrole = \"reader\"\ndomains = [\"new.example\"]\nhash = \"x\"\n";
    folder.write(&format!("{OPERATORS}{token}"));
    assert_eq!(folder.complaints().len(), 1, "the hash alone");
    let why = folder.conflict(&remove("new.example"));
    assert!(
        why.contains("\nlamplighter.toml:21: the token \"desk\" is in the domain \"new.example\""),
        "{why}"
    );
    // By hand.
    folder.write(OPERATORS);
    let before = fs::read_to_string(folder.domains()).unwrap();
    fs::write(folder.domains(), format!("{before}opne = true\n")).unwrap();
    let line = before.lines().count() + 1;
    assert_eq!(
        folder.complaints(),
        [format!(
            "data/domains.toml:{line}: unknown key \"opne\"; did you mean \"open\"?"
        )]
    );
    let why = folder.conflict(&put("other.example", &[]));
    assert!(
        why.contains(&format!("data/domains.toml:{line}: ")),
        "{why}"
    );
    fs::write(
        folder.domains(),
        "[[domain]]\nname = \"abc.com\"\n[[account]]\n",
    )
    .unwrap();
    assert_eq!(
        folder.complaints(),
        [
            "data/domains.toml:2: the domain name \"abc.com\" is already taken (line 4 of lamplighter.toml); a name or alias can belong to one domain only: remove it here or there",
            "data/domains.toml:3: unknown key \"account\"; valid keys: domain, group, policy",
        ]
    );
    fs::write(folder.domains(), "[[domain]\nname = \"new.example\"\n").unwrap();
    let complaints = folder.complaints();
    assert!(
        complaints[0].starts_with("data/domains.toml:1: invalid TOML"),
        "{complaints:?}"
    );
    // What may stand in a file that cannot be read is no fault of the other.
    folder.write(&format!(
        "{OPERATORS}{}",
        token.replace("hash = \"x\"\n", "")
    ));
    let complaints = folder.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].starts_with("lamplighter.toml:18: the key \"hash\" is missing"));
}

#[test]
fn a_secret_stays_until_it_is_replaced() {
    let folder = Folder::new("");
    let token = "0f8c2b7d9e4a61537c1d20a4";
    let accepts = || {
        let directory = folder.directory();
        let domain = directory.domain("new.example").unwrap();
        domain.parks_tokens.accept("new.example", token)
    };
    folder
        .change(&put("new.example", &[("parks_token", text(token))]))
        .unwrap();
    assert!(accepts());
    folder
        .change(&put("new.example", &[("open", Setting::Boolean(true))]))
        .unwrap();
    assert!(accepts());
    let orbits = ManagedChange::PutOrbits {
        domain: "new.example".to_owned(),
        orbits: vec![text("700-709")],
    };
    folder.change(&orbits).unwrap();
    let directory = folder.directory();
    let domain = directory.domain("new.example").unwrap();
    assert!(domain.open && domain.is_orbit("705") && accepts());
    folder
        .change(&put("new.example", &[("parks_token", texts(&[]))]))
        .unwrap();
    assert!(!accepts());
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    let folder = Folder::new(OPERATORS);
    fs::remove_dir(folder.0.join("data")).unwrap();
    let refusal = folder.change(&put("new.example", &[])).unwrap_err();
    let ChangeRefusal::NotWritten(why) = refusal else {
        panic!("{refusal:?}");
    };
    assert!(why.contains("data: No such file"), "{why}");
}

/// A server that takes over reads again what the other one has changed meanwhile.
#[test]
fn a_later_change_makes_a_configuration_outdated() {
    let folder = Folder::new(OPERATORS);
    let before = load(&folder.file()).unwrap();
    assert!(!before.is_outdated());
    folder.change(&put("new.example", &[])).unwrap();
    assert!(before.is_outdated());
    let after = load(&folder.file()).unwrap();
    assert!(!after.is_outdated());
    fs::remove_file(folder.domains()).unwrap();
    assert!(after.is_outdated());
}

/// `staff`, `*` and `123` in the operator's policies mean what they mean without the groups of the API.
#[test]
fn groups_of_the_api_change_no_policy_of_the_operator() {
    let folder = Folder::new(&format!(
        "{OPERATORS}[[policy]]\ndomain = \"abc.com\"\nwatcher = \"*\"\npresentity = \"123\"\nhandling = \"block\"\n"
    ));
    let of = |directory: &Directory| {
        let policies = directory.policies_of("abc.com").iter();
        let parts = policies.map(|policy| (policy.watcher.clone(), policy.presentity.clone()));
        format!("{:?}", parts.collect::<Vec<_>>())
    };
    let before = of(&folder.directory());
    assert!(before.contains("Everyone"), "{before}");
    for name in ["*", "123", "7*"] {
        // A name that no group may have is as good.
        let _ = folder.change(&put_group("abc.com", name, &["9"]));
    }
    assert!(folder.directory().is_managed_group("abc.com", "123"));
    assert_eq!(of(&folder.directory()), before);
}

/// A domain that the operator removes takes nothing along that keeps the server from starting.
#[test]
fn groups_and_policies_wait_for_a_domain_of_the_operator() {
    let folder = Folder::new(OPERATORS);
    folder
        .change(&put_group("abc.com", "sales", &["123"]))
        .unwrap();
    let rule = [("watcher", text("sales")), ("handling", text("block"))];
    folder.change(&put_policies("abc.com", &[&rule])).unwrap();
    folder.write("[[domain]]\nname = \"other.com\"\n");
    let loaded = load(&folder.file()).unwrap();
    let waits = "2 groups and policies of the HTTP API are not in force, because their domain is missing: first \"abc.com\"";
    let notes = &loaded.plan.notes;
    assert!(notes.iter().any(|note| note.ends_with(waits)), "{notes:?}");
    folder.change(&put("new.example", &[])).unwrap();
    folder.write(OPERATORS);
    let back = folder.directory();
    assert!(back.is_managed_group("abc.com", "sales"));
    assert_eq!(back.policies_of("abc.com").len(), 2);
}

#[test]
fn an_alias_does_not_replace_its_domain() {
    let folder = Folder::new(OPERATORS);
    folder
        .change(&put("p.example", &[("aliases", texts(&["q.example"]))]))
        .unwrap();
    assert_eq!(
        folder.conflict(&put("Q.example", &[])),
        "Q.example is an alias of the domain p.example: put that, or remove the alias there"
    );
}

#[test]
fn a_file_that_another_hand_has_changed_is_not_built_upon() {
    let folder = Folder::new(OPERATORS);
    folder.change(&put("a.example", &[])).unwrap();
    folder.change(&put("b.example", &[])).unwrap();
    let known = folder.directory().managed_file();
    let whole = fs::read_to_string(folder.domains()).unwrap();
    let cut = whole.split("[[domain]]").next().unwrap().to_owned();
    for (text, is_there) in [(cut, true), (String::new(), false)] {
        match is_there {
            true => fs::write(folder.domains(), &text).unwrap(),
            false => fs::remove_file(folder.domains()).unwrap(),
        }
        let refusal = folder.change_known(&put("c.example", &[]), known);
        let why = refusal.unwrap_err().to_string();
        assert!(
            why.contains("data/domains.toml is not as the server"),
            "{why}"
        );
        assert_eq!(
            fs::read_to_string(folder.domains()).ok(),
            is_there.then_some(text)
        );
    }
    // A reload takes it.
    let reloaded = folder.directory().managed_file();
    assert_eq!(reloaded, None);
    folder
        .change_known(&put("c.example", &[]), reloaded)
        .unwrap();
    fs::write(folder.domains(), whole).unwrap();
    assert_eq!(folder.directory().managed_file(), known);
    folder.change_known(&put("c.example", &[]), known).unwrap();
}

#[test]
fn a_fault_points_at_the_setting_that_causes_it() {
    let list = "[[list]]\nuser = \"board\"\ndomain = \"abc.com\"\nmembers = [\"123\"]\n";
    let folder = Folder::new(&format!("{OPERATORS}{list}"));
    let taken = [("aliases", texts(&["n.example", "m.example"]))];
    folder.change(&put("z.example", &taken)).unwrap();
    let one = |pointer: &str, detail: &str| vec![(pointer.to_owned(), detail.to_owned())];
    let trusted = folder.faults(&put("a.example", &[("auth", text("trusted"))]));
    assert_eq!(trusted[0].0, "#/auth");
    assert!(
        trusted[0].1.contains("accepts only trusted peers"),
        "{trusted:?}"
    );
    // The other domain stands behind this one in the file.
    let aliases =
        |aliases: &[&str]| folder.faults(&put("a.example", &[("aliases", texts(aliases))]));
    assert_eq!(
        aliases(&["free.example", "M.example"]),
        one(
            "#/aliases/1",
            "\"M.example\" is a name of the domain z.example"
        )
    );
    let of_both = aliases(&["pbx.abc.com", "z.example"]);
    let pointers: Vec<&str> = of_both.iter().map(|(pointer, _)| &**pointer).collect();
    assert_eq!(pointers, ["#/aliases/0", "#/aliases/1"]);
    // It may put its own.
    folder.change(&put("z.example", &taken)).unwrap();
    let shadowed = folder.conflict(&put_group("abc.com", "board", &["123"]));
    assert!(
        shadowed.starts_with("the list \"board\" of abc.com stands in the"),
        "{shadowed}"
    );
}
