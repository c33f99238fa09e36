//! Tests of the directory as used by the engine: which users exist, what watchers may see, the
//! members of lists.

use super::decide::WatcherIdentity;
use super::lists::{ListFault, StoredList};
use super::*;
use crate::directory::edits::{EditedAccount, EditedList};
use crate::directory::profiles::AgentPattern;
use crate::presence::event::Package;
use crate::presence::event::list::{ListStyle, MEMBERS_MAX, Member, Resolved, RosterKind};
use crate::presence::policy::{Decision, IdentityCondition, Pattern, WatcherCondition};
use crate::presence::profile::Profile;

fn aor(key: &str) -> Aor {
    Aor::from_key(key).unwrap()
}

/// `abc.com` with accounts 9, 10, 100, 101 and 705 (an orbit that also has an account), a group,
/// and some lists; and `xyz.com`.
fn directory() -> Directory {
    let mut directory = Directory::default();
    let domain = Domain {
        orbits: vec![UserRange::parse("704-706").unwrap()],
        resources: vec![UserRange::parse("*76").unwrap()],
        voicemail_pilots: vec!["*97".into()],
        any_dn: vec![People::Named(Pattern::new("100", "abc.com"))],
        composition: Style::Imagicle,
        ..Domain::new("abc.com")
    };
    let aliases = ["pbx.abc.com".to_owned()];
    directory.add_domain(domain, &aliases).unwrap();
    directory.add_domain(Domain::new("xyz.com"), &[]).unwrap();
    for user in ["101", "10", "9", "100", "705"] {
        directory.add_account(user, "abc.com", "secret").unwrap();
    }
    directory.add_account("100", "xyz.com", "secret").unwrap();
    let details = Details {
        display: Some("Alice".into()),
        alternative: Some("+49172".into()),
        voicemail: vec!["8101".into()],
    };
    directory.describe(&aor("101@abc.com"), details);
    let members = members(&directory, &["100", "101"]);
    directory.add_group("sales", "abc.com", members);
    directory
}

fn members(directory: &Directory, texts: &[&str]) -> Vec<Member> {
    let member = |text: &&str| directory.member(text, "abc.com").unwrap();
    texts.iter().map(member).collect()
}

fn list(directory: &Directory, members: &[&str]) -> StoredList {
    StoredList {
        members: self::members(directory, members),
        ..StoredList::default()
    }
}

fn users(resolved: &Resolved) -> Vec<&str> {
    let uris = resolved.members.iter().map(|member| &*member.uri);
    uris.map(|uri| uri.trim_end_matches("@abc.com").trim_start_matches("sip:"))
        .collect()
}

#[test]
fn which_addresses_exist() {
    let directory = directory();
    let table = [
        ("100@abc.com", true),
        ("102@abc.com", false),
        ("704@abc.com", true),
        ("*76@abc.com", true),
        ("sales@abc.com", true),
        ("any-dn@abc.com", true),
        ("any\u{2010}dn@abc.com", true),
        ("orbits@abc.com", true),
        ("orbits@xyz.com", false),
        ("any-dn@xyz.com", true),
        ("100@elsewhere", false),
    ];
    for (name, exists) in table {
        assert_eq!(directory.exists(&aor(name)), exists, "{name}");
    }
    assert!(!directory.exists(&Aor::new("", "abc.com")));
}

/// Users without details share one value; W:D2.6, D3.19
#[test]
fn the_rules_of_a_user() {
    let directory = directory();
    let rules = |key: &str| directory.rules_of(&aor(key));
    assert!(Arc::ptr_eq(&rules("100@abc.com"), &rules("10@abc.com")));
    assert_eq!(rules("100@abc.com").style, Style::Imagicle);
    let alice = rules("101@abc.com");
    let voicemail: Vec<&str> = alice.voicemail.iter().map(|number| &**number).collect();
    assert_eq!(voicemail, ["*97", "8101"]);
    assert_eq!(alice.alternative.as_deref(), Some("+49172"));
    assert_eq!(directory.name_of(&aor("101@abc.com")), "Alice");
    assert_eq!(directory.name_of(&aor("100@abc.com")), "100");
    assert!(rules("704@abc.com").is_orbit && rules("705@abc.com").is_orbit);
    assert!(!alice.is_orbit && !rules("100@elsewhere").is_orbit);
}

/// W:E3.24: one member, however it is written; RFC 5367: members of other domains are kept.
#[test]
fn a_member_is_read_and_kept_once() {
    let mut directory = directory();
    let spellings = [
        "sip:101@pbx.ABC.com",
        "101",
        "sip:%3101@abc.com:5060",
        "sip:101@abc.com;transport=UDP",
        "101@abc.com",
        "sip:Bob@Elsewhere.example",
        "sip:*71%23@abc.com",
    ];
    let team = list(&directory, &spellings);
    directory.add_list(&aor("team@abc.com"), team).unwrap();
    let resolved = directory.list(&aor("team@abc.com")).unwrap();
    let names: Vec<_> = resolved
        .members
        .iter()
        .map(|member| {
            let aor = member.aor.as_ref().map_or("", Aor::as_str);
            (&*member.uri, aor, &*member.name)
        })
        .collect();
    assert_eq!(
        names,
        [
            ("sip:101@pbx.abc.com", "101@abc.com", "Alice"),
            ("sip:Bob@elsewhere.example", "", "Bob"),
            ("sip:*71%23@abc.com", "*71#@abc.com", "*71#"),
        ]
    );
    for bad in [
        "",
        "sips:1@abc.com",
        "tel:+1",
        "sip:abc.com",
        "1@",
        "sip:1@a b",
    ] {
        assert!(directory.member(bad, "abc.com").is_err(), "{bad:?}");
    }
}

/// RFC 4662 §4.4
#[test]
fn lists_within_lists_are_unfolded() {
    let mut directory = directory();
    let add = |directory: &mut Directory, name: &str, members: &[&str]| {
        let list = list(directory, members);
        directory
            .add_list(&Aor::new(name, "abc.com"), list)
            .unwrap();
    };
    add(&mut directory, "a", &["10", "b", "9", "101"]);
    add(&mut directory, "b", &["c", "sales", "parked"]);
    add(&mut directory, "c", &["9", "orbits"]);
    directory.check_list(&aor("a@abc.com")).unwrap();
    let resolved = directory.list(&aor("a@abc.com")).unwrap();
    assert_eq!(
        users(&resolved),
        ["10", "9", "704", "705", "706", "100", "101"]
    );
    assert_eq!(resolved.rosters[0].kind, RosterKind::Parked);

    let fault = |directory: &Directory| directory.check_list(&aor("a@abc.com")).unwrap_err();
    let mut cyclic = directory.clone();
    add(&mut cyclic, "c", &["a"]);
    assert_eq!(
        fault(&cyclic).to_string(),
        "lists contain each other: a -> b -> c -> a"
    );
    let _ = cyclic.list(&aor("a@abc.com"));
    let mut deep = directory.clone();
    add(&mut deep, "c", &["d"]);
    add(&mut deep, "d", &["9"]);
    deep.check_list(&aor("a@abc.com")).unwrap();
    add(&mut deep, "d", &["e"]);
    add(&mut deep, "e", &["9"]);
    assert_eq!(
        fault(&deep).to_string(),
        "lists are nested more than 4 deep: a -> b -> c -> d -> e"
    );
    let mut greedy = directory.clone();
    add(&mut greedy, "c", &["any-dn"]);
    assert_eq!(fault(&greedy), ListFault::AnyDnWithin(aor("a@abc.com")));
    let many: Vec<String> = (0..MEMBERS_MAX).map(|user| user.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut large = directory;
    add(&mut large, "c", &many);
    large.check_list(&aor("c@abc.com")).unwrap();
    add(&mut large, "b", &["c", "x"]);
    assert_eq!(fault(&large), ListFault::TooManyMembers(aor("a@abc.com")));
}

/// The lists of another tenant are not expanded.
#[test]
fn a_list_of_another_domain_is_not_unfolded() {
    let mut directory = directory();
    let theirs = list(&directory, &["sip:100@xyz.com"]);
    directory.add_list(&aor("team@xyz.com"), theirs).unwrap();
    let ours = list(&directory, &["sip:team@xyz.com"]);
    directory.add_list(&aor("team@abc.com"), ours).unwrap();
    let resolved = directory.list(&aor("team@abc.com")).unwrap();
    assert_eq!(resolved.members[0].aor, Some(aor("team@xyz.com")));
    assert_eq!(resolved.members.len(), 1);
}

#[test]
fn built_in_lists() {
    let directory = directory();
    let list = |name: &str| directory.list(&Aor::new(name, "abc.com")).unwrap();
    assert_eq!(users(&list("sales")), ["100", "101"]);
    assert_eq!(users(&list("orbits")), ["704", "705", "706"]);
    assert_eq!(list("parked").members, []);
    assert_eq!(list("parked").rosters[0].kind, RosterKind::Parked);
    let everything = list("any-dn");
    assert_eq!(users(&everything), ["9", "10", "100", "101"]);
    assert_eq!(everything.members[3].name, "Alice".into());
    assert_eq!(everything.rosters[0].kind, RosterKind::AnyDn);
    assert!(Arc::ptr_eq(&everything, &list("any\u{2010}dn")));
    assert_eq!(directory.list(&aor("100@abc.com")), None);
    assert_eq!(directory.list(&aor("sales@xyz.com")), None);

    let mut directory = directory.clone();
    directory.add_account("sales", "abc.com", "secret").unwrap();
    assert_eq!(directory.list(&aor("sales@abc.com")), None);
}

#[test]
fn the_address_of_a_list_is_its_own() {
    let mut directory = directory();
    for (user, owner) in [
        ("100", "an account"),
        ("704", "an orbit"),
        ("*76", "a resource"),
        ("sales", "a group"),
        ("any-dn", "a built-in list"),
    ] {
        let name = Aor::new(user, "abc.com");
        assert_eq!(
            directory.add_list(&name, StoredList::default()),
            Err(ListFault::Taken(name, owner))
        );
    }
    assert_eq!(
        directory.add_list(&aor("a@elsewhere"), StoredList::default()),
        Err(ListFault::NoDomain("elsewhere".into()))
    );
}

#[test]
fn a_list_is_edited_without_touching_the_others() {
    let directory = directory();
    let team = aor("team@abc.com");
    let other = aor("other@abc.com");
    let made = StoredList {
        name: Some("The team".into()),
        style: ListStyle::Broadworks,
        ..list(&directory, &["10", "100"])
    };
    let first = directory.with_list(&team, made).unwrap();
    assert!(!directory.is_list(&team));
    let first = first
        .with_list(&other, list(&directory, &["team", "9"]))
        .unwrap();
    let before = first.list(&other).unwrap();
    let everything = first.list(&aor("any-dn@abc.com")).unwrap();

    let second = first
        .with_member(&team, "sip:101@abc.com", Some(1))
        .unwrap();
    assert_eq!(users(&second.list(&team).unwrap()), ["10", "101", "100"]);
    assert_eq!(
        users(&second.list(&other).unwrap()),
        ["10", "101", "100", "9"]
    );
    assert_eq!(users(&before), ["10", "100", "9"]);
    let list = second.list(&team).unwrap();
    assert_eq!(
        (&*list.name, list.style),
        ("The team", ListStyle::Broadworks)
    );
    assert!(Arc::ptr_eq(
        &everything,
        &second.list(&aor("any-dn@abc.com")).unwrap()
    ));
    assert!(Arc::ptr_eq(&first.accounts, &second.accounts));

    let third = second.without_member(&team, "10@pbx.abc.com").unwrap();
    let third = third.with_member(&team, "10", Some(99)).unwrap();
    assert_eq!(users(&third.list(&team).unwrap()), ["101", "100", "10"]);
    let fourth = third.without_list(&team).unwrap();
    assert!(!fourth.exists(&team));
    assert_eq!(users(&fourth.list(&other).unwrap()), ["team", "9"]);

    let fault = |result: Result<Directory, ListFault>| result.unwrap_err();
    assert_eq!(
        fault(first.with_member(&team, "100", None)),
        ListFault::AlreadyMember("sip:100@abc.com".into())
    );
    assert_eq!(
        fault(first.without_member(&team, "9")),
        ListFault::NotMember("sip:9@abc.com".into())
    );
    assert!(matches!(
        fault(first.with_member(&team, "other", None)),
        ListFault::Cycle(_)
    ));
    let unknown = aor("nobody@abc.com");
    assert_eq!(
        fault(first.without_list(&unknown)),
        ListFault::NoList(unknown.clone())
    );
    let sales = aor("sales@abc.com");
    assert_eq!(
        fault(first.with_member(&sales, "9", None)),
        ListFault::NoList(sales.clone())
    );
    assert_eq!(
        fault(first.with_member(&team, "tel:1", None)),
        ListFault::NoMember("tel:1".into())
    );
}

fn policy(number: u16, watcher: WatcherCondition, presentity: People) -> Policy {
    Policy {
        number,
        watcher,
        presentity,
        package: None,
        handling: Handling::Block,
        privacy: None,
        text: "a rule".into(),
    }
}

/// A watcher, in the notation of the tables below.
fn decide_at(directory: &Directory, watcher: &str, presentity: &str, package: Package) -> Decision {
    let (watcher, is_trusted_peer) = match watcher.strip_prefix("trusted:") {
        Some(watcher) => (watcher, true),
        None => (watcher, false),
    };
    let watcher = Aor::from_key(watcher);
    let watcher = WatcherIdentity {
        aor: watcher.as_ref(),
        is_trusted_peer,
        is_authenticated: true,
    };
    directory.decide(watcher, &aor(presentity), package, 1_000)
}

fn decide(directory: &Directory, watcher: &str, presentity: &str) -> (Handling, Privacy, u16) {
    let decision = decide_at(directory, watcher, presentity, Package::Dialog);
    (decision.handling, decision.privacy, decision.rule)
}

/// W:B3.12, B8.1, B4.4
#[test]
fn the_decision_without_a_rule() {
    let mut directory = directory();
    let closed = Domain {
        privacy: Privacy::AnonymousParty,
        default_handling: Handling::Confirm,
        ..Domain::new("closed")
    };
    directory.add_domain(closed, &[]).unwrap();
    let allow = |privacy| (Handling::Allow, privacy, 0);
    let table = [
        ("100@abc.com", "101@abc.com", allow(Privacy::Pickup)),
        ("100@xyz.com", "101@abc.com", allow(Privacy::StateOnly)),
        ("", "101@abc.com", allow(Privacy::StateOnly)),
        ("1@closed", "1@closed", allow(Privacy::Pickup)),
        ("2@closed", "1@closed", allow(Privacy::AnonymousParty)),
        (
            "100@abc.com",
            "1@closed",
            (Handling::Confirm, Privacy::StateOnly, 0),
        ),
    ];
    for (watcher, presentity, decision) in table {
        assert_eq!(
            decide(&directory, watcher, presentity),
            decision,
            "{watcher} {presentity}"
        );
    }
    let winfo =
        |watcher| decide_at(&directory, watcher, "101@abc.com", Package::PresenceWinfo).handling;
    assert_eq!(winfo("101@abc.com"), Handling::Allow);
    assert_eq!(winfo("100@abc.com"), Handling::Block);
    assert_eq!(winfo("trusted:100@abc.com"), Handling::Allow);
}

#[test]
fn what_each_condition_matches() {
    let mut directory = directory();
    let boss = StoredList {
        owner: Some(aor("9@abc.com")),
        ..list(&directory, &["10", "sip:bob@elsewhere"])
    };
    directory.add_list(&aor("boss@abc.com"), boss).unwrap();
    let named = |user: &str, domain: &str| People::Named(Pattern::new(user, domain));
    let who = WatcherCondition::People;
    let everyone = People::Everyone;
    let table = [
        (
            WatcherCondition::Myself,
            everyone.clone(),
            "9@abc.com",
            "9@abc.com",
            true,
        ),
        (
            WatcherCondition::Myself,
            everyone.clone(),
            "10@abc.com",
            "9@abc.com",
            false,
        ),
        (
            WatcherCondition::SameGroup,
            everyone.clone(),
            "100@abc.com",
            "101@abc.com",
            true,
        ),
        (
            WatcherCondition::SameGroup,
            everyone.clone(),
            "100@abc.com",
            "9@abc.com",
            false,
        ),
        (
            WatcherCondition::SameGroup,
            everyone.clone(),
            "100@abc.com",
            "100@abc.com",
            false,
        ),
        (
            WatcherCondition::SameDomain,
            everyone.clone(),
            "100@abc.com",
            "9@abc.com",
            true,
        ),
        (
            WatcherCondition::SameDomain,
            everyone.clone(),
            "100@xyz.com",
            "9@abc.com",
            false,
        ),
        (
            WatcherCondition::Listed,
            everyone.clone(),
            "10@abc.com",
            "9@abc.com",
            true,
        ),
        (
            WatcherCondition::Listed,
            everyone.clone(),
            "bob@elsewhere",
            "9@abc.com",
            true,
        ),
        (
            WatcherCondition::Listed,
            everyone.clone(),
            "100@abc.com",
            "9@abc.com",
            false,
        ),
        (
            WatcherCondition::Listed,
            everyone.clone(),
            "9@abc.com",
            "10@abc.com",
            false,
        ),
        (
            WatcherCondition::Trusted,
            everyone.clone(),
            "trusted:x@y",
            "9@abc.com",
            true,
        ),
        (
            WatcherCondition::Trusted,
            everyone.clone(),
            "100@abc.com",
            "9@abc.com",
            false,
        ),
        (
            who(everyone.clone()),
            everyone.clone(),
            "",
            "9@abc.com",
            true,
        ),
        (
            who(everyone.clone()),
            everyone.clone(),
            "9@abc.com",
            "9@abc.com",
            false,
        ),
        (
            who(named("9", "abc.com")),
            everyone.clone(),
            "9@abc.com",
            "9@abc.com",
            true,
        ),
        (
            who(named("*", "elsewhere")),
            everyone.clone(),
            "bob@elsewhere",
            "9@abc.com",
            true,
        ),
        (
            who(named("*", "elsewhere")),
            everyone.clone(),
            "",
            "9@abc.com",
            false,
        ),
        (
            who(People::Group("sales".into())),
            everyone.clone(),
            "100@abc.com",
            "9@abc.com",
            true,
        ),
        (
            who(People::Group("sales".into())),
            everyone.clone(),
            "10@abc.com",
            "9@abc.com",
            false,
        ),
        (
            who(everyone.clone()),
            named("7*", "abc.com"),
            "100@abc.com",
            "704@abc.com",
            true,
        ),
        (
            who(everyone.clone()),
            named("7*", "abc.com"),
            "100@abc.com",
            "9@abc.com",
            false,
        ),
        (
            who(everyone),
            People::Group("sales".into()),
            "9@abc.com",
            "101@abc.com",
            true,
        ),
    ];
    for (condition, presentity_condition, watcher, presentity, matches) in table {
        let mut directory = directory.clone();
        let rule = policy(3, condition.clone(), presentity_condition.clone());
        directory.add_policy("abc.com", rule);
        let (handling, _, rule) = decide(&directory, watcher, presentity);
        assert_eq!(
            (handling, rule) == (Handling::Block, 3),
            matches,
            "{condition:?} {presentity_condition:?} {watcher} {presentity}"
        );
    }
}

/// A policy that hides pickup; the first policy that matches decides; policies of another domain or
/// package do not match.
#[test]
fn the_first_rule_that_matches_decides() {
    let mut directory = directory();
    let everyone = || WatcherCondition::People(People::Everyone);
    let chief = Policy {
        handling: Handling::PoliteBlock,
        ..policy(1, everyone(), People::Named(Pattern::new("9", "abc.com")))
    };
    let no_pickup = Policy {
        handling: Handling::Allow,
        privacy: Some(Privacy::Party),
        ..policy(2, WatcherCondition::SameDomain, People::Everyone)
    };
    let winfo = Policy {
        package: Some(Package::PresenceWinfo),
        handling: Handling::Allow,
        ..policy(4, WatcherCondition::SameDomain, People::Everyone)
    };
    for rule in [
        chief,
        no_pickup,
        policy(3, everyone(), People::Everyone),
        winfo,
    ] {
        directory.add_policy("abc.com", rule);
    }
    assert_eq!(
        decide(&directory, "100@abc.com", "9@abc.com"),
        (Handling::PoliteBlock, Privacy::Pickup, 1)
    );
    assert_eq!(
        decide(&directory, "100@abc.com", "10@abc.com"),
        (Handling::Allow, Privacy::Party, 2)
    );
    assert_eq!(
        decide(&directory, "100@xyz.com", "10@abc.com"),
        (Handling::Block, Privacy::StateOnly, 3)
    );
    assert_eq!(
        decide(&directory, "10@abc.com", "100@xyz.com"),
        (Handling::Allow, Privacy::StateOnly, 0)
    );
    let watched = decide_at(
        &directory,
        "100@abc.com",
        "10@abc.com",
        Package::PresenceWinfo,
    );
    assert_eq!((watched.handling, watched.rule), (Handling::Allow, 4));
    assert_eq!(directory.deciding_rule("abc.com", 0).to_string(), "default");
    assert_eq!(
        directory.deciding_rule("abc.com", 3).to_string(),
        "policy 3: a rule"
    );
    assert_eq!(
        directory.deciding_rule("abc.com", 9).to_string(),
        "policy 9, which is gone"
    );
}

/// RFC 5025 §3.2: the union of the rules that match, after the operator's policies.
#[test]
fn a_presentitys_own_rules_are_summed_up() {
    let mut directory = directory();
    let rule = |identity: IdentityCondition, handling, privacy| ImportedRule {
        identities: vec![identity],
        handling,
        privacy,
        valid_from: None,
        valid_until: None,
    };
    let many = || IdentityCondition::Many {
        domain: None,
        except: Vec::new(),
    };
    let friend = IdentityCondition::One(aor("bob@elsewhere"));
    let rules = vec![
        rule(many(), Handling::Confirm, None),
        rule(friend.clone(), Handling::Allow, Some(Privacy::Party)),
        rule(friend, Handling::Block, Some(Privacy::StateOnly)),
    ];
    let nine = aor("9@abc.com");
    directory = directory.with_rules_document(&nine, rules);
    let document = Decision::BY_DOCUMENT;
    assert_eq!(
        decide(&directory, "bob@elsewhere", "9@abc.com"),
        (Handling::Allow, Privacy::Party, document)
    );
    assert_eq!(
        decide(&directory, "eve@elsewhere", "9@abc.com"),
        (Handling::Confirm, Privacy::StateOnly, document)
    );
    assert_eq!(
        decide(&directory, "", "9@abc.com"),
        (Handling::Allow, Privacy::StateOnly, 0)
    );
    assert_eq!(
        decide(&directory, "9@abc.com", "9@abc.com"),
        (Handling::Allow, Privacy::Pickup, 0)
    );
    assert_eq!(
        directory.deciding_rule("abc.com", document).to_string(),
        "the presentity's own rules"
    );

    let mut stricter = directory.clone();
    stricter.add_policy(
        "abc.com",
        policy(1, WatcherCondition::Listed, People::Everyone),
    );
    assert_eq!(decide(&stricter, "bob@elsewhere", "9@abc.com").2, 1);
    assert_eq!(decide(&stricter, "eve@elsewhere", "9@abc.com").2, document);

    // `confirm` leaves the decision to the presentity's own rules, whichever rule says it.
    let mut asked = directory.clone();
    let confirm = Policy {
        handling: Handling::Confirm,
        privacy: Some(Privacy::AnonymousParty),
        ..policy(
            1,
            WatcherCondition::People(People::Everyone),
            People::Everyone,
        )
    };
    asked.add_policy("abc.com", confirm);
    assert_eq!(
        decide(&asked, "bob@elsewhere", "9@abc.com"),
        (Handling::Allow, Privacy::Party, document)
    );
    assert_eq!(
        decide(&asked, "bob@elsewhere", "8@abc.com"),
        (Handling::Confirm, Privacy::AnonymousParty, 1)
    );

    // A rule that blocks by name does not make the watcher `listed`.
    let foe = rule(
        IdentityCondition::One(aor("eve@elsewhere")),
        Handling::Block,
        None,
    );
    let stricter = stricter.with_rules_document(&nine, vec![foe]);
    assert_eq!(
        decide(&stricter, "eve@elsewhere", "9@abc.com"),
        (Handling::Block, Privacy::StateOnly, document)
    );

    let (reloaded, over) = self::directory().with_edits(directory.edits());
    assert_eq!(over, []);
    assert_eq!(decide(&reloaded, "bob@elsewhere", "9@abc.com").2, document);
    let without = directory.with_rules_document(&nine, Vec::new());
    assert_eq!(decide(&without, "bob@elsewhere", "9@abc.com").2, 0);
}

/// An edit of a list counts as long as the configuration says of it what it said then.
#[test]
fn edits_go_on_in_a_configuration_that_is_read_again() {
    let read = |members: &[&str]| {
        let mut directory = directory();
        for name in ["a@abc.com", "b@abc.com", "c@abc.com"] {
            let list = list(&directory, members);
            directory.add_list(&aor(name), list).unwrap();
        }
        directory
    };
    let (a, b, c, d) = (
        aor("a@abc.com"),
        aor("b@abc.com"),
        aor("c@abc.com"),
        aor("d@abc.com"),
    );
    let before = read(&["10"]);
    assert_eq!(before.edits(), []);
    let edited = before.with_member(&a, "11", None).unwrap();
    let edited = edited.without_list(&b).unwrap();
    let edited = edited.with_list(&d, list(&before, &["12"])).unwrap();
    let (again, over) = read(&["10"]).with_edits(edited.edits());
    assert_eq!((again.edits(), over), (edited.edits(), vec![]));
    assert_eq!(users(&again.list(&a).unwrap()), ["10", "11"]);
    assert!(!again.is_list(&b) && again.is_list(&d));

    // It is one edit, whatever became of the list meanwhile.
    let back = edited.without_member(&a, "11").unwrap();
    let (again, over) = read(&["10"]).with_edits(back.edits());
    assert_eq!(
        (users(&again.list(&a).unwrap()), over),
        (vec!["10"], vec![])
    );

    let (changed, over) = read(&["10", "13"]).with_edits(edited.edits());
    assert_eq!(over, [a.clone(), b.clone()]);
    assert_eq!(users(&changed.list(&a).unwrap()), ["10", "13"]);
    assert!(changed.is_list(&b) && changed.is_list(&c) && changed.is_list(&d));
    assert!(changed.edit_of(&a).is_over() && !changed.edit_of(&d).is_over());

    // An account has taken the address: the edit waits until it is free again.
    let mut taken = read(&["10"]);
    taken.add_account("d", "abc.com", "secret").unwrap();
    let (taken, over) = taken.with_edits(edited.edits());
    assert_eq!((over, taken.waiting_edits()), (vec![], 1));
    assert!(!taken.is_list(&d) && !taken.edit_of(&d).is_over());
    let (free, over) = read(&["10"]).with_edits(taken.edits());
    assert_eq!((free.edits(), over), (edited.edits(), vec![]));
}

/// What was added and removed again is no edit, also as an older server has kept it.
#[test]
fn a_removed_addition_leaves_no_edit() {
    let (before, d) = (directory(), aor("d@abc.com"));
    let added = before.with_list(&d, list(&before, &["12"])).unwrap();
    let removed = added.without_list(&d).unwrap();
    assert!(removed.edit_of(&d).is_over() && removed.edits().is_empty());
    let account = before.stored_account(&aor("100@abc.com")).unwrap();
    let added = before.with_account(&d, &account).unwrap();
    let removed = added.without_account(&d).unwrap();
    assert!(removed.edit_of(&d).is_over() && removed.edits().is_empty());
    let kept = Edit {
        aor: d,
        rules: Vec::new(),
        list: Some(EditedList {
            configured: 0,
            list: None,
        }),
        account: Some(EditedAccount {
            configured: 0,
            account: None,
        }),
    };
    let (again, over) = directory().with_edits(vec![kept]);
    assert_eq!((again.waiting_edits(), over), (0, vec![]));
}

/// W:D4.9
#[test]
fn watchers_of_the_whole_domain() {
    let directory = directory();
    let may = |watcher: &str, domain: &str| directory.may_any_dn(&aor(watcher), domain);
    assert!(may("100@abc.com", "abc.com"));
    assert!(!may("101@abc.com", "abc.com"));
    assert!(!may("100@xyz.com", "abc.com"));
    assert!(!may("100@xyz.com", "xyz.com"));
    assert!(!may("100@abc.com", "elsewhere"));
}

#[test]
fn a_profile_is_the_first_that_names_the_user_agent() {
    let mut directory = Directory::default();
    let name =
        |directory: &Directory, agent: &str| directory.profile(agent.as_bytes()).name.clone();
    assert_eq!(&*name(&directory, "Yealink SIP-T46U"), "generic");
    let row = |agents: &[&str], name: &str| {
        let profile = Profile {
            name: name.into(),
            ..Profile::default()
        };
        (
            agents
                .iter()
                .map(|agent| AgentPattern::new(agent))
                .collect(),
            profile,
        )
    };
    directory.set_profiles(vec![
        row(&["*-3PCC"], "cisco-mpp"),
        row(&["Cisco-CP", "CSCO/"], "cisco"),
        row(&["Yealink"], "yealink"),
    ]);
    let table = [
        ("yealink sip-T46U 108.86.0.20", "yealink"),
        ("My Yealink", "generic"),
        ("Cisco-CP-8851-3pcc/11.0", "cisco-mpp"),
        ("Cisco-CP7960G/8.0", "cisco"),
        ("-3PC", "generic"),
        ("", "generic"),
    ];
    for (agent, profile) in table {
        assert_eq!(&*name(&directory, agent), profile, "{agent}");
    }
    assert!(directory.profile_named("cisco").is_some());
    assert!(directory.profile_named("generic").is_some());
    assert!(directory.profile_named("nokia").is_none());
}
