//! Groups, lists, policies, and what domains and accounts say about them.

use super::*;
use crate::directory::Directory;
use crate::directory::decide::WatcherIdentity;
use crate::presence::composition::Style;
use crate::presence::event::Package;
use crate::presence::event::list::ListStyle;
use crate::presence::policy::{Handling, Privacy};

const TENANT: &str = r#"
    [[domain]]
    name = "abc.com"
    aliases = ["pbx.abc.com"]
    any_dn = ["100", "boss"]
    orbits = ["700-702", "park1"]
    parks_token = ["0f8c2b7d9e4a6153", "another-token.of~it_"]
    resources = ["*76"]
    voicemail_pilots = ["*97"]
    privacy = 1
    default_handling = "confirm"
    composition = "imagicle"
    [[account]]
    user = "100"
    domain = "abc.com"
    password = "secret"
    display = "Alice"
    alternative = "+49172"
    voicemail = "8100"
    [[account]]
    user = "101"
    domain = "pbx.abc.com"
    password = "secret"
    voicemail = ["8101", "9101"]
    [[account]]
    user = "102"
    domain = "abc.com"
    password = "secret"
    [[group]]
    name = "boss"
    domain = "PBX.abc.com"
    members = ["101", "sip:102@abc.com"]
    [[list]]
    user = "team"
    domain = "abc.com"
    name = "The team"
    owner = "102"
    members = ["sip:101@pbx.abc.com", "sip:boss@abc.com", "100", "sip:bob@xyz.com"]
    style = "broadworks"
    [[policy]]
    domain = "pbx.abc.com"
    watcher = "listed"
    presentity = "102"
    handling = "allow"
    privacy = 2
    [[policy]]
    domain = "abc.com"
    watcher = "sip:*@xyz.com"
    presentity = "7*"
    handling = "block"
    [[policy]]
    domain = "abc.com"
    watcher = "same-group"
    presentity = "boss"
    privacy = 3
    [[policy]]
    domain = "abc.com"
    watcher = "self"
    handling = "polite-block"
    package = "reg"
"#;

fn decide(
    directory: &Directory,
    watcher: &str,
    presentity: &str,
    package: Package,
) -> (Handling, Privacy, u16) {
    let watcher = aor(watcher);
    let watcher = WatcherIdentity {
        aor: Some(&watcher),
        is_trusted_peer: false,
        is_authenticated: true,
    };
    let decision = directory.decide(watcher, &aor(presentity), package, 0);
    (decision.handling, decision.privacy, decision.rule)
}

#[test]
fn a_tenant_is_converted() {
    let plan = plan(TENANT);
    let directory = &plan.directory;
    assert_eq!(plan.notes, [""; 0]);
    let rules = |key: &str| directory.rules_of(&aor(key));
    let alice = rules("100@abc.com");
    assert_eq!(alice.style, Style::Imagicle);
    assert_eq!(alice.display.as_deref(), Some("Alice"));
    assert_eq!(alice.alternative.as_deref(), Some("+49172"));
    assert_eq!(alice.voicemail, ["*97".into(), "8100".into()]);
    let three: [Box<str>; 3] = ["*97".into(), "8101".into(), "9101".into()];
    assert_eq!(rules("101@abc.com").voicemail, three);
    assert!(rules("701@abc.com").is_orbit && rules("park1@abc.com").is_orbit);
    let tokens = &directory.domain("pbx.abc.com").unwrap().parks_tokens;
    for token in ["0f8c2b7d9e4a6153", "another-token.of~it_"] {
        assert!(tokens.accept("abc.com", token));
        assert!(!tokens.accept("abc.com", &token.to_uppercase()));
    }
    assert!(directory.exists(&aor("*76@abc.com")) && !directory.exists(&aor("*77@abc.com")));
    let team = directory.list(&aor("team@abc.com")).unwrap();
    let shown: Vec<(&str, &str)> = team
        .members
        .iter()
        .map(|member| (&*member.uri, &*member.name))
        .collect();
    assert_eq!(
        shown,
        [
            ("sip:101@pbx.abc.com", "101"),
            ("sip:102@abc.com", "102"),
            ("sip:100@abc.com", "Alice"),
            ("sip:bob@xyz.com", "bob"),
        ]
    );
    assert_eq!(
        (&*team.name, team.style),
        ("The team", ListStyle::Broadworks)
    );
    assert!(directory.may_any_dn(&aor("100@abc.com"), "abc.com"));
    assert!(directory.may_any_dn(&aor("101@abc.com"), "abc.com"));
    assert!(!directory.may_any_dn(&aor("700@abc.com"), "abc.com"));
}

#[test]
fn policies_are_converted_in_their_order() {
    use Handling::{Allow, Block, Confirm, PoliteBlock};
    let plan = plan(TENANT);
    let (dialog, reg) = (Package::Dialog, Package::Reg);
    let table = [
        (
            "101@abc.com",
            "102@abc.com",
            dialog,
            (Allow, Privacy::Party, 1),
        ),
        (
            "bob@xyz.com",
            "102@abc.com",
            dialog,
            (Allow, Privacy::Party, 1),
        ),
        (
            "bob@xyz.com",
            "700@abc.com",
            dialog,
            (Block, Privacy::StateOnly, 2),
        ),
        (
            "bob@xyz.com",
            "100@abc.com",
            dialog,
            (Confirm, Privacy::StateOnly, 0),
        ),
        (
            "102@abc.com",
            "101@abc.com",
            dialog,
            (Allow, Privacy::Pickup, 3),
        ),
        (
            "100@abc.com",
            "101@abc.com",
            dialog,
            (Allow, Privacy::AnonymousParty, 0),
        ),
        (
            "100@abc.com",
            "100@abc.com",
            dialog,
            (Allow, Privacy::Pickup, 0),
        ),
        (
            "100@abc.com",
            "100@abc.com",
            reg,
            (PoliteBlock, Privacy::Pickup, 4),
        ),
        (
            "101@abc.com",
            "100@abc.com",
            reg,
            (Block, Privacy::StateOnly, 0),
        ),
    ];
    for (watcher, presentity, package, decision) in table {
        assert_eq!(
            decide(&plan.directory, watcher, presentity, package),
            decision,
            "{watcher} {presentity}"
        );
    }
    assert_eq!(
        plan.directory.deciding_rule("abc.com", 1).to_string(),
        "policy 1: listed watches 102: allow, privacy 2"
    );
    assert_eq!(
        plan.directory.deciding_rule("abc.com", 4).to_string(),
        "policy 4: self watches * (reg): polite-block"
    );
}

/// Seen from outside: what a file without the new keys has always meant.
#[test]
fn keys_left_out_take_their_defaults() {
    let plan = plan("[[domain]]\nname = \"abc.com\"\nopen = true\n");
    let decided = |watcher| decide(&plan.directory, watcher, "2@abc.com", Package::Dialog);
    assert_eq!(decided("1@abc.com"), (Handling::Allow, Privacy::Pickup, 0));
    assert_eq!(
        decided("1@xyz.com"),
        (Handling::Allow, Privacy::StateOnly, 0)
    );
    assert_eq!(
        plan.directory.rules_of(&aor("1@abc.com")).style,
        Style::Standard
    );
}

#[test]
fn probable_mistakes_are_noted() {
    let notes = plan(&format!(
        "{TENANT}
        [[list]]
        user = \"other\"
        domain = \"abc.com\"
        members = [\"103\", \"team\", \"104\", \"701\", \"sip:x@elsewhere\"]
        [[policy]]
        domain = \"abc.com\"
        presentity = \"103\"
        handling = \"block\"
        "
    ))
    .notes;
    let expected = [
        "\"other\" has 2 members that do not exist, the first is \"103\"",
        "the presentity 103@abc.com of policy 5 does not exist",
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    for (note, expected) in notes.iter().zip(expected) {
        assert!(note.ends_with(expected), "{note}");
    }
}

/// Every complaint, with its line and its remedy.
#[test]
fn every_fault_of_a_tenant_is_reported() {
    let text = r#"[[domain]]
name = "abc.com"
orbits = ["709-700", "1-999", "8@9", "2000-2999", "3000-3999", "4000-4999", "5000-5999", "6000-6999", "8000-8999", "9000-9999", "10000-10999", "11000-11999", "12000-12009"]
any_dn = ["100@xyz.com"]
privacy = 4
voicemail_pilots = [""]
[[account]]
user = "100"
domain = "abc.com"
password = "x"
display = ""
[[group]]
name = "parked"
domain = "abc.com"
members = ["tel:+1"]
[[group]]
name = "sales"
domain = "abc.con"
members = []
[[list]]
user = "100"
domain = "abc.com"
members = []
[[list]]
user = "2005"
domain = "abc.com"
members = []
[[list]]
user = "a"
domain = "abc.com"
members = ["b"]
[[list]]
user = "b"
domain = "abc.com"
members = ["sip:a@abc.com"]
[[list]]
user = "c"
domain = "abc.com"
owner = "sip:1@xyz.com"
members = ["a", "any-dn"]
[[list]]
user = "c"
domain = "abc.com"
members = []
[[policy]]
domain = "abc.com"
watcher = "same_group"
[[policy]]
domain = "abc.com"
watcher = "sefl"
presentity = "7*@xyz.com"
package = "dialogue"
privacy = 9
"#;
    let expected = [
        (
            3,
            "\"709-700\" is not a valid entry of orbits: it ends before it begins; write \"700-709\"",
        ),
        (
            3,
            "\"8@9\" is not a valid entry of orbits: it is not a valid user",
        ),
        (3, "orbits contains 10009 users; at most 10000 are allowed"),
        (
            3,
            "orbits \"1-999\" includes the account 100@abc.com; an orbit or resource cannot",
        ),
        (4, "\"100@xyz.com\" is not a user of abc.com; write a user"),
        (5, "privacy is 4; choose 0 (state only)"),
        (6, "\"\" is not valid in voicemail_pilots; use 1 to 256"),
        (11, "\"\" is not valid in display"),
        (
            13,
            "the group \"parked\" has the name of a built-in list; choose",
        ),
        (
            15,
            "\"tel:+1\" is not the SIP URI of a user; write \"sip:100@abc.com\"",
        ),
        (
            18,
            "the group \"sales\" is in the domain \"abc.con\", which does not exist; did you mean",
        ),
        (
            21,
            "the address 100@abc.com belongs to an account; choose another user",
        ),
        (25, "the address 2005@abc.com belongs to an orbit"),
        (
            29,
            "lists contain each other: a -> b -> a; remove one of these memberships",
        ),
        (39, "the owner \"sip:1@xyz.com\" is not a user of abc.com"),
        (
            42,
            "the list c@abc.com is defined twice; remove one of the two",
        ),
        (
            47,
            "\"same_group\" is not a watcher; did you mean \"same-group\"?",
        ),
        (50, "\"sefl\" is not a watcher; did you mean \"self\"?"),
        (51, "\"7*@xyz.com\" is not a user of abc.com"),
        (
            52,
            "\"dialogue\" is not an event package; did you mean \"dialog\"?",
        ),
        (53, "privacy is 9"),
    ];
    complains(text, &expected);
}

/// RFC 4662 §4.4
#[test]
fn lists_have_limits() {
    let fault = |tables: &str| {
        let domain = "[[domain]]\nname = \"abc.com\"\nopen = true\n";
        complaints(&format!("{domain}{tables}"))
    };
    let list = |user: &str, members: &str| {
        format!("[[list]]\nuser = \"{user}\"\ndomain = \"abc.com\"\nmembers = [{members}]\n")
    };
    let chain = ["a", "b", "c", "d", "e"].map(|user| (user, char::from(user.as_bytes()[0] + 1)));
    let chain: String = chain
        .iter()
        .map(|(user, next)| list(user, &format!("\"{next}\"")))
        .collect();
    assert_eq!(
        fault(&chain),
        [
            "lamplighter.toml:5: lists are nested more than 4 deep: a -> b -> c -> d -> e; \
          list the members directly instead"
        ]
    );
    let members: Vec<String> = (0..10_001).map(|user| format!("\"{user}\"")).collect();
    assert_eq!(
        fault(&list("a", &members.join(","))),
        ["lamplighter.toml:5: the list a@abc.com has more than 10000 members; split it in two"]
    );
    assert_eq!(
        fault(&list("a", "\"any-dn\"")),
        [
            "lamplighter.toml:5: the list a@abc.com contains any-dn, which cannot be a member of \
          another list; remove it; the key any_dn of the domain says who may subscribe to it"
        ]
    );
    let group = format!(
        "[[group]]\nname = \"g\"\ndomain = \"abc.com\"\nmembers = [{}]\n",
        members.join(",")
    );
    assert_eq!(
        fault(&group),
        ["lamplighter.toml:5: the group \"g\" has more than 10000 members; split it in two"]
    );
}

#[test]
fn names_in_certificates_are_of_hosts_and_need_a_listener_that_asks() {
    let text = "[[domain]]\nname = \"abc.com\"\nauth = \"trusted\"\n\
        trusted_certificates = [\n\"sbc.example.com\",\n\"*.example.com\",\n\"10.0.0.7\",\n\
        \"sip:a.example\",\n\"\"]\n";
    let not_a_host = |line, name: &str| {
        (
            line,
            format!("\"{name}\" is not a host name; write the name"),
        )
    };
    let mut expected = vec![(
        5,
        "no [[sip.listen]] has a client_ca, so no peer presents a certificate; write client_ca"
            .to_owned(),
    )];
    expected.extend([
        not_a_host(6, "*.example.com"),
        not_a_host(7, "10.0.0.7"),
        not_a_host(8, "sip:a.example"),
        not_a_host(9, ""),
    ]);
    let expected: Vec<(u32, &str)> = expected
        .iter()
        .map(|(line, what)| (*line, &**what))
        .collect();
    complains(text, &expected);
}

#[test]
fn misspelt_words_get_a_suggestion() {
    let fault = |text: &str| complaints(text).remove(0);
    let domain = "[[domain]]\nname = \"abc.com\"\n";
    assert!(
        fault(&format!("{domain}composition = \"imagcle\"\n"))
            .ends_with(":3: unknown value \"imagcle\"; did you mean \"imagicle\"?")
    );
    assert!(
        fault(&format!("{domain}default_handling = \"polite_block\"\n"))
            .ends_with("did you mean \"polite-block\"?")
    );
    assert!(
        fault("[[domain]]\nname = \"abc.com\"\n[[list]]\nuser = \"a\"\ndomain = \"abc.com\"\nmembers = []\nstyle = \"rcf\"\n")
            .ends_with("did you mean \"rfc\"?")
    );
    assert!(
        fault("[[domain]]\nname = \"abc.com\"\n[[list]]\nuser = \"a\"\ndomain = \"abc.com\"\n")
            .contains("\"members\" is missing")
    );
    let account = "[[account]]\nuser = \"1\"\ndomain = \"abc.com\"\npassword = \"x\"\n";
    assert!(
        fault(&format!("{domain}{account}voicemail = 7\n"))
            .ends_with("expected a quoted string: \"7\"")
    );
}
