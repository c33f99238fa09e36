//! Relays that need to know which user is which in the other system.

use super::accounts::Folder;
use super::*;
use crate::directory::connectors::Protocol;
use crate::directory::relays::PublishedDocument;
use crate::relay::{NatsLogin, NatsServer, RelayKind, SecretOctets, TeamsPlan};

const DOMAINS: &str = "[[domain]]\nname = \"abc.com\"\n[[domain]]\nname = \"b.test\"\n";
const GUID: &str = "6d1d6e3c-0a3c-4d0a-8f8a-2f0c1b1d2e3f";

fn teams(more: &str) -> String {
    format!(
        "{DOMAINS}[[relay]]\nname = \"teams\"\nkind = \"teams\"\ntenant = \"contoso.onmicrosoft.com\"\n\
         auth_id = \"app\"\nsecret = \"s\"\n{more}"
    )
}

/// The relay of a file with these ids.
fn with_ids(name: &str, more: &str, csv: &str) -> Result<TeamsPlan, Vec<String>> {
    let folder = Folder::new(name);
    folder.write("teams.csv", csv, 0o640);
    let plan = folder.load(&teams(&format!("ids_file = \"teams.csv\"\n{more}")))?;
    match plan.relays.into_iter().next().unwrap().kind {
        RelayKind::Teams(teams) => Ok(teams),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_are_read_from_a_file_and_the_rest_by_name() {
    let csv = format!("user,id\n100,{GUID}\n\n101@b.test, ann@contoso.com\n");
    let more = "domains = [\"abc.com\"]\nupn = \"{user}@contoso.com\"\nrelay_dnd = true\n";
    let teams = with_ids("ids", more, &csv).unwrap();
    let id = |key: &str| teams.ids.listed.get(&aor(key)).map(|id| &**id);
    assert_eq!(id("100@abc.com"), Some(GUID));
    assert_eq!(id("101@b.test"), Some("ann@contoso.com"));
    assert_eq!(teams.ids.listed.len(), 2);
    assert_eq!(teams.ids.pattern.as_deref(), Some("{user}@contoso.com"));
    assert!(teams.tells_do_not_disturb);
    let graph = &teams.graph;
    assert_eq!(&*graph.graph, "https://graph.microsoft.com");
    assert_eq!(&*graph.login, "https://login.microsoftonline.com");
    assert_eq!(graph.rate_max, 40);
}

#[test]
fn faults_of_a_file_of_ids_have_a_line() {
    let csv = format!(
        "user,id\n100@abc.com,{GUID}\n100@abc.com,{GUID}\n101,{GUID}\n102@abc.com,ann\n103@x.test,{GUID}\n104@abc.com\n\n105@abc.com,{GUID}\n"
    );
    let faults = with_ids("bad-ids", "", &csv).unwrap_err();
    let expected = [
        "teams.csv:3: 100@abc.com stands here twice",
        "teams.csv:4: \"101\" is not a user of a [[domain]]",
        "teams.csv:5: \"ann\" is not the object id (GUID) or the name (UPN) of a user",
        "teams.csv:6: \"103@x.test\" is not a user of a [[domain]]",
        "teams.csv:7: 1 fields instead of two",
        "teams.csv:9: \"6d1d6e3c-0a3c-4d0a-8f8a-2f0c1b1d2e3f\" is the id of two users",
    ];
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(expected), "{faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    let faults = with_ids("no-header", "", &format!("100@abc.com,{GUID}\n")).unwrap_err();
    assert!(
        faults[0].starts_with("teams.csv:1: the first line is not \"user,id\""),
        "{faults:?}"
    );
}

#[test]
fn what_a_relay_to_teams_lacks_is_said() {
    complains(
        &format!("{DOMAINS}[[relay]]\nname = \"teams\"\nkind = \"teams\"\n"),
        &[
            (6, "the relay \"teams\" has no tenant"),
            (6, "the relay \"teams\" has no auth_id"),
            (6, "the relay \"teams\" has no secret"),
            (
                6,
                "the relay \"teams\" does not say which user is which in Teams",
            ),
        ],
    );
    let more = "upn = \"ann@contoso.com\"\nurl = \"http://graph.example.com\"\n";
    let lines = [
        (
            11,
            "\"ann@contoso.com\" does not say how users are called there",
        ),
        (
            12,
            "\"http://graph.example.com\" is not an address of https",
        ),
    ];
    complains(&teams(more), &lines);
    let missing = complaints(&teams("ids_file = \"missing.csv\"\n"));
    assert!(
        missing[0].contains("missing.csv: cannot be read"),
        "{missing:?}"
    );
}

fn connector(more: &str) -> String {
    format!("[[connector]]\nname = \"from-teams\"\nkind = \"teams\"\ndomain = \"abc.com\"\n{more}")
}

#[test]
fn a_connector_reads_the_tenant_of_a_relay_and_is_one_system_with_it() {
    let relay = teams("upn = \"{user}@b.test\"\nenabled = false\n");
    let plan = plan(&(relay.clone() + &connector("relay = \"teams\"\n")));
    let directory = &plan.directory;
    let Protocol::Teams(teams) = &directory.connector("from-teams").unwrap().protocol else {
        panic!("another protocol")
    };
    assert_eq!(
        (&*teams.relay, teams.poll),
        ("teams", Duration::from_secs(60))
    );
    assert!(!plan.relays[0].is_enabled);
    let system = directory.peer_system_of_relay("teams");
    assert!(system.is_some());
    assert_eq!(directory.peer_system_of_connector("from-teams"), system);
    let named = complaints(&(relay.clone() + &connector("relay = \"temas\"\n")));
    assert!(
        named[0].contains("names no relay of kind \"teams\""),
        "{named:?}"
    );
    let on_demand = "relay = \"teams\"\nusers = \"demand\"\n";
    let polled = complaints(&(relay + &connector(on_demand)));
    assert!(
        polled[0].contains("cannot poll users on demand"),
        "{polled:?}"
    );
}

#[test]
fn what_a_relay_to_slack_lacks_is_said() {
    let head = format!("{DOMAINS}[[relay]]\nname = \"slack\"\nkind = \"slack\"\n");
    complains(
        &head,
        &[
            (6, "the relay \"slack\" has no secret"),
            (6, "the relay \"slack\" has no ids_file"),
        ],
    );
    let folder = Folder::new("slack-ids");
    let csv = "user,id\n100@abc.com,U012AB3CD\n101@abc.com,ann\n";
    folder.write("slack.csv", csv, 0o640);
    let more = "secret = \"t\"\nids_file = \"slack.csv\"\nstatus_text = \"<3\"\nstatus_emoji = \"phone\"\n";
    let faults = folder.load(&(head + more)).unwrap_err();
    for expected in [
        "lamplighter.toml:10: \"<3\" is not a status",
        "lamplighter.toml:11: \"phone\" is not an emoji",
        "slack.csv:3: \"ann\" is not the member id of a user of Slack",
    ] {
        let mut faults = faults.iter();
        assert!(
            faults.any(|fault| fault.starts_with(expected)),
            "{expected}"
        );
    }
    assert_eq!(faults.len(), 3, "{faults:#?}");
}

#[test]
fn a_presence_server_is_a_relay_of_the_directory() {
    let plan = plan(
        r#"
        [[sip.listen]]
        transport = "tcp"
        address = "127.0.0.1:5060"
        [[domain]]
        name = "abc.com"
        [[relay]]
        name = "presence"
        kind = "sip"
        domains = ["abc.com"]
        users = ["1*"]
        address = "SIP.example.com:5070"
        transport = "tcp"
        remote_domain = "Example.com"
        uri = "lamps@example.com"
        auth_id = "lamps"
        secret = "hidden"
        dialect = "lync"
        expires = "20m"
        rate = 7
        parties = false
        [[relay]]
        name = "off"
        kind = "sip"
        enabled = false
        address = "192.0.2.7"
        transport = "tcp"
        "#,
    );
    assert_eq!(plan.relays, []);
    let [relay] = plan.directory.sip_relays() else {
        panic!("{:?}", plan.directory.sip_relays())
    };
    assert_eq!(&*relay.name, "presence");
    assert_eq!(
        (&*relay.address.host, relay.address.port),
        ("sip.example.com", Some(5070))
    );
    assert_eq!(relay.document, PublishedDocument::Lync);
    assert_eq!(relay.uri.as_deref(), Some("sip:lamps@example.com"));
    assert_eq!(relay.uri_of(&aor("100@abc.com")), "sip:100@example.com");
    let login = relay.login.as_ref().unwrap();
    assert_eq!((&*login.user, &*login.password), ("lamps", "hidden"));
    assert_eq!((relay.expires.as_secs(), relay.pace), (1_200, 7));
    assert!(!relay.parties && relay.notes);
    let is_told = |user: &str| {
        let about = aor(user);
        plan.directory
            .is_told_of(&about, &relay.domains, &relay.users)
    };
    assert!(is_told("100@abc.com") && !is_told("200@abc.com"));
}

#[test]
fn faults_of_presence_servers_are_reported() {
    complains(
        r#"[[domain]]
name = "abc.com"
[[relay]]
name = "nowhere"
kind = "sip"
[[relay]]
name = "unsaid"
kind = "sip"
address = "192.0.2.7:0"
secret = "hidden"
[[relay]]
name = "mixed"
kind = "sip"
address = "192.0.2.7"
transport = "tls"
dialect = "lync"
package = "dialog"
remote_domain = "a b"
"#,
        &[
            (4, "the relay \"nowhere\" has no address"),
            (9, "\"192.0.2.7:0\" is not the address of a server"),
            (10, "the relay \"unsaid\" has a secret without auth_id"),
            (
                12,
                "the relay \"mixed\" uses tls, but no [[sip.listen]] does",
            ),
            (
                17,
                "the relay \"mixed\" has dialect = \"lync\" with package = \"dialog\"",
            ),
            (18, "\"a b\" is not a domain"),
        ],
    );
}

fn nats(more: &str) -> String {
    format!("{DOMAINS}[[relay]]\nname = \"bus\"\nkind = \"nats\"\n{more}")
}

#[test]
fn the_servers_of_a_cluster_of_nats_stand_in_one_url() {
    let url = "url = \"tls://n1.example.com, nats://[::1]:4333\"\n";
    let read = |more: &str| match plan(&nats(&format!("{url}{more}"))).relays.remove(0).kind {
        RelayKind::Nats(nats) => nats,
        other => panic!("{other:?}"),
    };
    let server = |host: &str, port, is_encrypted| NatsServer {
        host: host.into(),
        port,
        is_encrypted,
    };
    let secret = || SecretOctets(b"s".as_slice().into());
    let plain = read("");
    let servers = [
        server("n1.example.com", 4222, true),
        server("::1", 4333, false),
    ];
    assert_eq!(plain.servers, servers);
    assert_eq!((&*plain.subject, plain.login), ("lamplighter", None));
    let token = read("secret = \"s\"\nsubject = \"lamps.v1\"\n");
    assert_eq!(
        (&*token.subject, token.login),
        ("lamps.v1", Some(NatsLogin::Token(secret())))
    );
    let user = read("secret = \"s\"\nauth_id = \"lamps\"\n").login;
    assert_eq!(user, Some(NatsLogin::User("lamps".into(), secret())));
}

#[test]
fn faults_of_a_relay_to_nats_are_reported() {
    complains(
        &nats("auth_id = \"lamps\"\n"),
        &[
            (6, "the relay \"bus\" has no url"),
            (6, "the relay \"bus\" has no secret"),
        ],
    );
    for (url, fault) in [
        (
            "nats://n1.example.com",
            "\"nats://n1.example.com\" is not an address of tls",
        ),
        ("tls://n1.test,", "\"\" is not an address of tls"),
        (
            "mqtts://n1.test",
            "\"mqtts://n1.test\" is not an address of tls",
        ),
        (
            "nats://lamps:secret@n1.test",
            "the url of the relay \"bus\" has credentials",
        ),
    ] {
        complains(&nats(&format!("url = \"{url}\"\n")), &[(8, fault)]);
    }
    let url = "url = \"nats://localhost\"\n";
    for subject in [
        "",
        "$SYS.lamps",
        "lamps.",
        "lamps..v1",
        "lamps.*",
        "all lamps",
    ] {
        let fault = format!("\"{subject}\" is not a subject to publish to");
        complains(
            &nats(&format!("{url}subject = \"{subject}\"\n")),
            &[(9, &fault)],
        );
    }
}
