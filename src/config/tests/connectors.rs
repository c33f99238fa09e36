//! `[[connector]]`: what it becomes, and what is refused.

use super::*;
use crate::directory::connectors::{
    Connector, ListKind, PbxKind, Preferred, Protocol, SipUpstream, UpstreamList,
};
use crate::presence::event::Package;

const DOMAIN: &str = "[[domain]]\nname = \"abc.com\"\n";

/// The connector of a table with these lines beside its name and domain.
fn connector(lines: &str) -> Connector {
    let text = format!("{DOMAIN}[[connector]]\nname = \"pbx\"\ndomain = \"abc.com\"\n{lines}");
    plan(&text).directory.connector("pbx").unwrap().clone()
}

fn upstream(connector: &Connector) -> &SipUpstream {
    match &connector.protocol {
        Protocol::Sip(upstream) => upstream,
        Protocol::Pbx(_) | Protocol::Teams(_) => panic!("not by SIP"),
    }
}

#[test]
fn a_connector_with_a_name_only_has_the_defaults() {
    let text = format!("{DOMAIN}[[connector]]\nname = \"pbx\"\ndomain = \"ABC.com\"\n");
    let plan = plan(&text);
    let notes = plan.notes.join("\n");
    assert!(
        notes.contains("the connector \"pbx\" has no address: it is \"Server Not configured\"")
    );
    let connector = plan.directory.connector("pbx").unwrap();
    assert!(connector.is_enabled && connector.users.accounts && !connector.users.on_demand);
    assert_eq!((&*connector.domain, &connector.address), ("abc.com", &None));
    assert_eq!(connector.preferred, Preferred::default());
    let upstream = upstream(connector);
    assert_eq!(upstream.transport, Transport::Udp);
    assert_eq!(upstream.packages, [Package::Dialog, Package::Presence]);
    assert_eq!(upstream.expires, Duration::from_secs(3600));
    assert_eq!(&*upstream.uri, "sip:lamplighter@abc.com");
}

#[test]
fn a_connector_with_everything() {
    let connector = connector(
        "enabled = false\naddress = \"[2001:DB8::7]:5070\"\ntransport = \"tcp\"\n\
         remote_domain = \"PBX.example\"\nauth_id = \"lamps\"\npassword = \"secret\"\n\
         packages = [\"presence\"]\nusers = [\"demand\", \"700-709\", \"door\"]\n\
         preferred = [\"rich\"]\nexpires = \"10m\"\npace = 20\n",
    );
    let address = connector.address.as_ref().unwrap();
    assert_eq!((&*address.host, address.port), ("2001:db8::7", Some(5070)));
    let users = &connector.users;
    assert!(!connector.is_enabled && !users.accounts && users.on_demand);
    assert!(users.lists("705") && users.lists("door") && !users.lists("710"));
    assert!(connector.preferred.rich && !connector.preferred.telephony);
    assert_eq!(&*connector.login.as_ref().unwrap().password, "secret");
    let upstream = upstream(&connector);
    assert_eq!(&*upstream.uri, "sip:lamps@pbx.example");
    assert_eq!(upstream.uri_of("100"), "sip:100@pbx.example");
    assert_eq!(upstream.packages, [Package::Presence]);
    assert_eq!((upstream.transport, upstream.pace), (Transport::Tcp, 20));
}

#[test]
fn the_host_is_the_domain_there() {
    let remote = |address: &str| {
        let connector = connector(&format!("address = \"{address}\"\n"));
        upstream(&connector).remote_domain.to_string()
    };
    assert_eq!(remote("PBX.example.com."), "pbx.example.com");
    assert_eq!(remote("192.0.2.7:5070"), "192.0.2.7");
    assert_eq!(remote("2001:db8::7"), "[2001:db8::7]");
}

#[test]
fn what_is_wrong_with_a_connector_is_said() {
    let head = format!("{DOMAIN}[[connector]]\nname = \"pbx\"\ndomain = \"abc.com\"\n");
    for (lines, fault) in [
        (
            "address = \"sip:pbx\"\n",
            "\"sip:pbx\" is not the address of a server",
        ),
        (
            "address = \"pbx:0\"\n",
            "\"pbx:0\" is not the address of a server",
        ),
        (
            "address = \"a b\"\n",
            "\"a b\" is not the address of a server",
        ),
        ("remote_domain = \"a@b\"\n", "\"a@b\" is not a domain"),
        ("uri = \"lamps\"\n", "\"lamps\" is not a SIP URI"),
        ("transport = \"ws\"\n", "unknown value \"ws\""),
        (
            "kind = \"spi\"\n",
            "unknown value \"spi\"; did you mean \"sip\"?",
        ),
        (
            "users = \"709-700\"\n",
            "\"709-700\" is not a valid entry of users: it ends before it begins",
        ),
        (
            "packages = []\n",
            "the connector \"pbx\" has no package to subscribe to",
        ),
        (
            "packages = [\"dialogs\"]\n",
            "unknown value \"dialogs\"; did you mean \"dialog\"?",
        ),
        (
            "password = \"x\"\n",
            "the connector \"pbx\" has a password without auth_id",
        ),
        (
            "expires = 5\n",
            "expires is 5s; choose a value from \"1m\" to \"1day\"",
        ),
    ] {
        complains(&format!("{head}{lines}"), &[(6, fault)]);
    }
}

#[test]
fn connectors_do_not_contradict_each_other() {
    let table = |name: &str, more: &str| {
        format!("[[connector]]\nname = \"{name}\"\ndomain = \"abc.com\"\naddress = \"a\"\n{more}\n")
    };
    let preferred = "preferred = [\"telephony\"]";
    let text = format!("{DOMAIN}{}{}", table("a", preferred), table("b", preferred));
    complains(
        &text,
        &[(12, "\"a\" and \"b\" are both preferred for telephony")],
    );
    let text = format!("{DOMAIN}{}{}", table("a", ""), table("a", ""));
    complains(&text, &[(9, "the connector \"a\" is defined twice")]);
    let text = format!("{DOMAIN}{}", table("a", "transport = \"tls\""));
    complains(
        &text,
        &[(
            4,
            "the connector \"a\" uses tls, but no [[sip.listen]] does",
        )],
    );
    complains(
        "[[connector]]\nname = \"a\"\ndomain = \"abc.org\"\naddress = \"a\"\n",
        &[(
            3,
            "the connector \"a\" is in the domain \"abc.org\", which does not exist",
        )],
    );
}

#[test]
fn a_pbx_may_be_spoken_to_without_sip() {
    let asterisk = connector(
        "kind = \"asterisk-ami\"\nauth_id = \"lamps\"\npassword = \"secret\"\ncontexts = [\"internal\"]\n",
    );
    let Protocol::Pbx(pbx) = &asterisk.protocol else {
        panic!("{asterisk:?}");
    };
    assert_eq!(pbx.kind, PbxKind::Asterisk);
    assert_eq!(pbx.contexts, ["internal".into()]);
    assert_eq!(&*asterisk.login.unwrap().user, "lamps");
    let freeswitch = connector(
        "kind = \"freeswitch-event-socket\"\npassword = \"ClueCon\"\nremote_domain = \"PBX.example\"\n",
    );
    let Protocol::Pbx(pbx) = &freeswitch.protocol else {
        panic!("{freeswitch:?}");
    };
    assert_eq!(pbx.kind, PbxKind::FreeSwitch);
    assert_eq!(pbx.remote_domain.as_deref(), Some("pbx.example"));
    let login = freeswitch.login.unwrap();
    assert_eq!((&*login.user, &*login.password), ("", "ClueCon"));
}

#[test]
fn a_pbx_without_sip_has_no_keys_of_others() {
    let complaint = |lines: &str| {
        let head = "[[connector]]\nname = \"pbx\"\ndomain = \"abc.com\"\naddress = \"192.0.2.7\"\n";
        complaints(&format!("{DOMAIN}{head}{lines}")).join("\n")
    };
    let without_user = complaint("kind = \"asterisk-ami\"\n");
    assert!(without_user.contains("has no auth_id"), "{without_user}");
    let contexts = complaint("kind = \"freeswitch-event-socket\"\ncontexts = [\"a\"]\n");
    assert!(contexts.contains("only Asterisk has"), "{contexts}");
}

#[test]
fn a_pbx_without_sip_may_be_spoken_to_by_tls() {
    let head = "kind = \"freeswitch-event-socket\"\naddress = \"192.0.2.7\"\n";
    for (lines, expected) in [("", false), ("transport = \"tls\"\n", true)] {
        let connector = connector(&format!("{head}{lines}"));
        let Protocol::Pbx(pbx) = &connector.protocol else {
            panic!("{connector:?}");
        };
        assert_eq!(pbx.is_encrypted, expected);
    }
}

#[test]
fn a_connector_may_subscribe_to_a_list() {
    let head = "address = \"pbx.example.com\"\nremote_domain = \"pbx.com\"\n";
    let list = |lines: &str| upstream(&connector(&format!("{head}{lines}"))).list.clone();
    assert_eq!(list("style = \"each\"\n"), None);
    for (lines, uri, kind) in [
        (
            "style = \"list\"\nlist_uri = \"lamps\"\n",
            "sip:lamps@pbx.com",
            ListKind::Stored,
        ),
        (
            "style = \"list\"\nlist_uri = \"a@b.com\"\nusers = \"demand\"\n",
            "sip:a@b.com",
            ListKind::Stored,
        ),
        (
            "style = \"list\"\nlist_uri = \"sip:rls@b.com\"\nlist_enclosed = true\nusers = \"1-900\"\n",
            "sip:rls@b.com",
            ListKind::Enclosed,
        ),
        (
            "style = \"any-dn\"\nusers = [\"accounts\", \"demand\"]\n",
            "sip:any-dn@pbx.com",
            ListKind::AnyDn,
        ),
    ] {
        let uri = uri.into();
        assert_eq!(list(lines), Some(UpstreamList { uri, kind }), "{lines}");
    }
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    let head = format!(
        "{DOMAIN}[[connector]]\nname = \"pbx\"\ndomain = \"abc.com\"\naddress = \"192.0.2.7\"\n"
    );
    for (lines, line, what) in [
        (
            "style = \"list\"\n",
            7,
            "the connector \"pbx\" has style = \"list\" without list_uri",
        ),
        (
            "list_uri = \"lamps\"\n",
            7,
            "the connector \"pbx\" has list_uri without style = \"list\"",
        ),
        (
            "style = \"any-dn\"\nlist_enclosed = true\n",
            4,
            "the connector \"pbx\" has list_enclosed without style = \"list\"",
        ),
        (
            "style = \"list\"\nlist_uri = \"a b@c\"\n",
            8,
            "\"a b@c\" is not a SIP URI",
        ),
        (
            "style = \"list\"\nlist_uri = \"a\"\nlist_enclosed = true\nusers = [\"1\", \"demand\"]\n",
            10,
            "the connector \"pbx\" has users = \"demand\" and list_enclosed",
        ),
    ] {
        complains(&format!("{head}{lines}"), &[(line, what)]);
    }
    let ranges: Vec<String> = (1..=11)
        .map(|range| format!("\"{range}000-{range}999\""))
        .collect();
    let users = format!("style = \"any-dn\"\nusers = [{}]\n", ranges.join(", "));
    complains(
        &format!("{head}{users}"),
        &[(8, "users contains 11000 users")],
    );
}
