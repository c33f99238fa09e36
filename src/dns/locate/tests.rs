use std::cell::RefCell;

use futures_util::FutureExt;

use super::*;

/// Name servers that answer from tables, and write down what they are asked.
#[derive(Default)]
struct Tables {
    rules: Vec<(&'static str, Rule)>,
    servers: Vec<(&'static str, Server)>,
    addresses: Vec<(&'static str, &'static str)>,
    /// Names about which no server answers.
    silent: Vec<&'static str>,
    asked: RefCell<Vec<String>>,
}

impl Tables {
    fn note(&self, kind: &str, name: &str) -> Result<(), LookupError> {
        self.asked.borrow_mut().push(format!("{kind} {name}"));
        match self.silent.contains(&name) {
            true => Err(LookupError::Unanswered),
            false => Ok(()),
        }
    }
}

fn of<T: Clone>(table: &[(&str, T)], name: &str) -> Vec<T> {
    let rows = table.iter().filter(|(known, _)| *known == name);
    rows.map(|(_, row)| row.clone()).collect()
}

impl Records for Tables {
    async fn rules(&self, name: &str) -> Result<Vec<Rule>, LookupError> {
        self.note("NAPTR", name).map(|()| of(&self.rules, name))
    }

    async fn servers(&self, name: &str) -> Result<Vec<Server>, LookupError> {
        self.note("SRV", name).map(|()| of(&self.servers, name))
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        self.note("A", name)?;
        let ips = of(&self.addresses, name).into_iter();
        let ips = ips.map(|ip| ip.parse::<IpAddr>().unwrap());
        let is_wanted = |ip: &IpAddr| match ip {
            IpAddr::V4(_) => family.has_v4(),
            IpAddr::V6(_) => family.has_v6(),
        };
        Ok(ips.filter(is_wanted).collect())
    }
}

fn rule(order: u16, service: &str, replacement: &str) -> Rule {
    Rule {
        order,
        preference: 0,
        flags: "S".to_owned(),
        service: service.to_owned(),
        replacement: replacement.to_owned(),
    }
}

fn server(priority: u16, port: u16, host: &str) -> Server {
    Server {
        priority,
        weight: 0,
        port,
        host: host.to_owned(),
    }
}

/// `abc.com`, `abc.com:5070`, `abc.com;tcp`; with `s` before it `sips:`.
fn question(text: &str) -> Question {
    let (is_secure, text) = match text.strip_prefix("sips:") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (text, transport) = match text.split_once(';') {
        Some((text, name)) => (text, Transport::from_via_token(name.as_bytes())),
        None => (text, None),
    };
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, None),
    };
    Question {
        host: host.into(),
        port,
        transport,
        is_secure,
        family: Family::Both,
    }
}

/// `udp 192.0.2.1:5060`
fn found(asked: &str, tables: &Tables) -> Result<Vec<String>, LookupError> {
    let question = question(asked);
    let locations = locate(&question, tables, &|_| 0).now_or_never().unwrap()?;
    let text = |location: Location| format!("{} {}", location.transport.name(), location.address);
    Ok(locations.into_iter().map(text).collect())
}

fn plain() -> Tables {
    Tables {
        addresses: vec![("abc.com", "2001:db8::1"), ("abc.com", "192.0.2.1")],
        ..Tables::default()
    }
}

#[test]
fn without_other_records_the_name_itself_is_the_server() {
    let tables = plain();
    let expect = |asked, expected: [&str; 2]| assert_eq!(found(asked, &tables).unwrap(), expected);
    expect("abc.com", ["udp [2001:db8::1]:5060", "udp 192.0.2.1:5060"]);
    expect(
        "abc.com;tcp",
        ["tcp [2001:db8::1]:5060", "tcp 192.0.2.1:5060"],
    );
    expect(
        "sips:abc.com",
        ["tls [2001:db8::1]:5061", "tls 192.0.2.1:5061"],
    );
    expect(
        "sips:abc.com;tcp",
        ["tls [2001:db8::1]:5061", "tls 192.0.2.1:5061"],
    );
}

#[test]
fn a_port_leaves_only_the_address_open() {
    let tables = plain();
    assert_eq!(
        found("abc.com:5070", &tables).unwrap(),
        ["udp [2001:db8::1]:5070", "udp 192.0.2.1:5070"]
    );
    assert_eq!(
        found("sips:abc.com:5070", &tables).unwrap(),
        ["tls [2001:db8::1]:5070", "tls 192.0.2.1:5070"]
    );
    assert_eq!(*tables.asked.borrow(), ["A abc.com", "A abc.com"]);
}

#[test]
fn only_addresses_that_can_be_reached_count() {
    let tables = plain();
    for (family, expected) in [
        (Family::V4, "192.0.2.1:5060"),
        (Family::V6, "[2001:db8::1]:5060"),
    ] {
        let question = Question {
            family,
            ..question("abc.com")
        };
        let found = locate(&question, &tables, &|_| 0).now_or_never().unwrap();
        let found = found.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, expected.parse().unwrap());
    }
}

#[test]
fn the_name_says_which_service_it_prefers() {
    let tables = Tables {
        rules: vec![
            ("abc.com", rule(20, "SIP+D2U", "_sip._udp.abc.com")),
            ("abc.com", rule(5, "SIP+D2S", "_sip._sctp.abc.com")),
            ("abc.com", rule(10, "sips+d2t", "_x.abc.com")),
        ],
        servers: vec![
            ("_sip._udp.abc.com", server(1, 5060, "u.abc.com")),
            ("_x.abc.com", server(1, 5062, "x.abc.com")),
        ],
        addresses: vec![("u.abc.com", "192.0.2.1"), ("x.abc.com", "192.0.2.2")],
        ..Tables::default()
    };
    assert_eq!(found("abc.com", &tables).unwrap(), ["tls 192.0.2.2:5062"]);
    assert_eq!(
        found("sips:abc.com", &tables).unwrap(),
        ["tls 192.0.2.2:5062"]
    );
    let asked = ["NAPTR abc.com", "SRV _x.abc.com", "A x.abc.com"];
    assert_eq!(*tables.asked.borrow(), [asked, asked].concat());
}

#[test]
fn a_transport_that_is_named_needs_no_naptr() {
    let tables = Tables {
        rules: vec![("abc.com", rule(1, "SIP+D2U", "_sip._udp.abc.com"))],
        servers: vec![
            ("_sip._tcp.abc.com", server(20, 5070, "b.abc.com")),
            ("_sip._tcp.abc.com", server(10, 5060, "a.abc.com")),
        ],
        addresses: vec![("a.abc.com", "192.0.2.1"), ("b.abc.com", "192.0.2.2")],
        ..Tables::default()
    };
    assert_eq!(
        found("abc.com;tcp", &tables).unwrap(),
        ["tcp 192.0.2.1:5060", "tcp 192.0.2.2:5070"]
    );
    assert_eq!(tables.asked.borrow()[0], "SRV _sip._tcp.abc.com");
    // No service of TLS, and no address of its own.
    assert_eq!(found("abc.com;tls", &tables), Err(LookupError::Unknown));
}

#[test]
fn without_naptr_the_services_are_tried() {
    let tables = Tables {
        servers: vec![("_sips._tcp.abc.com", server(1, 5061, "abc.com"))],
        ..plain()
    };
    let expected = ["tls [2001:db8::1]:5061", "tls 192.0.2.1:5061"];
    assert_eq!(found("abc.com", &tables).unwrap(), expected);
    let services = [
        "NAPTR abc.com",
        "SRV _sip._udp.abc.com",
        "SRV _sip._tcp.abc.com",
        "SRV _sips._tcp.abc.com",
        "A abc.com",
    ];
    assert_eq!(*tables.asked.borrow(), services);
}

#[test]
fn a_service_may_be_declined() {
    let tables = Tables {
        servers: vec![("_sip._tcp.abc.com", server(1, 0, ""))],
        ..plain()
    };
    assert_eq!(found("abc.com;tcp", &tables), Err(LookupError::Unknown));
}

#[test]
fn what_one_server_does_not_answer_another_may() {
    let tables = Tables {
        servers: vec![
            ("_sip._tcp.abc.com", server(1, 5060, "a.abc.com")),
            ("_sip._tcp.abc.com", server(2, 5060, "b.abc.com")),
        ],
        addresses: vec![("b.abc.com", "192.0.2.2")],
        silent: vec!["a.abc.com", "_sip._udp.abc.com"],
        ..Tables::default()
    };
    assert_eq!(
        found("abc.com;tcp", &tables).unwrap(),
        ["tcp 192.0.2.2:5060"]
    );
    assert_eq!(found("abc.com;udp", &tables), Err(LookupError::Unanswered));
}

#[test]
fn there_is_a_limit_to_everything() {
    let names: Vec<&'static str> = (0..40).map(|n| &*format!("s{n}.abc.com").leak()).collect();
    let servers = names
        .iter()
        .map(|name| ("_sip._tcp.abc.com", server(1, 5060, name)));
    let addresses = names.iter().enumerate();
    let addresses = addresses.map(|(n, name)| (*name, &*format!("192.0.2.{n}").leak()));
    let tables = Tables {
        servers: servers.collect(),
        addresses: addresses.collect(),
        ..Tables::default()
    };
    assert_eq!(found("abc.com;tcp", &tables).unwrap().len(), LOCATIONS_MAX);
    assert!(tables.asked.borrow().len() <= 1 + RECORDS_MAX);
}
