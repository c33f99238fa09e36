//! Names, looked up at a real name server: its records are read, kept as long as they may be, and no
//! longer.

use std::net::IpAddr;
use std::time::Duration;

use lamplighter::dns::{LookupError, NameServers, Options, locate};
use lamplighter::sip::location::{Family, Location, Question};

use crate::name_server::{NameServer, Record};

fn question(host: &str) -> Question {
    Question {
        host: host.into(),
        port: None,
        transport: None,
        is_secure: false,
        family: Family::Both,
    }
}

/// Runs with tokio's clock and sockets.
fn within<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// Those of the options, within tokio's runtime.
fn name_servers(options: &Options) -> NameServers {
    NameServers::of_options(options).unwrap()
}

/// `tls 192.0.2.1:5060`
async fn ask(host: &str, servers: &NameServers) -> Result<Vec<String>, LookupError> {
    let located = locate(&question(host), servers, &|_| 0).await?;
    let text = |location: Location| format!("{} {}", location.transport.name(), location.address);
    Ok(located.into_iter().map(text).collect())
}

fn v4(last: u8) -> Record {
    Record::Address([192, 0, 2, last].into())
}

#[test]
fn a_name_is_located_by_records_of_every_kind() {
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let names = NameServer::new(vec![
        (
            "a.example",
            Record::Rule(20, "SIP+D2T", "_sip._tcp.a.example"),
        ),
        (
            "a.example",
            Record::Rule(10, "SIPS+D2T", "_sips._tcp.a.example"),
        ),
        (
            "_sips._tcp.a.example",
            Record::Service(2, 5071, "two.a.example"),
        ),
        (
            "_sips._tcp.a.example",
            Record::Service(1, 5061, "one.a.example"),
        ),
        ("one.a.example", v4(1)),
        ("one.a.example", Record::Address(v6)),
        ("two.a.example", v4(2)),
    ]);
    let options = Options {
        servers: vec![names.address],
        ..Options::default()
    };
    within(async {
        let servers = name_servers(&options);
        let expected = [
            "tls [2001:db8::1]:5061",
            "tls 192.0.2.1:5061",
            "tls 192.0.2.2:5071",
        ];
        for _ in 0..3 {
            assert_eq!(ask("A.example", &servers).await.unwrap(), expected);
        }
        for question in [
            "NAPTR a.example",
            "SRV _sips._tcp.a.example",
            "AAAA two.a.example",
        ] {
            assert_eq!(names.asked(question), 1, "{question} is kept");
        }
    });
}

#[test]
fn an_answer_is_kept_within_the_bounds() {
    let names = NameServer::new(vec![("a.example", v4(1))]);
    let options = Options {
        servers: vec![names.address],
        ttl_min: Duration::from_secs(1),
        ttl_max: Duration::from_secs(1),
        negative_ttl_max: Duration::from_secs(1),
        ..Options::default()
    };
    within(async {
        let servers = name_servers(&options);
        assert_eq!(
            ask("a.example", &servers).await.unwrap(),
            ["udp 192.0.2.1:5060"]
        );
        assert_eq!(ask("b.example", &servers).await, Err(LookupError::Unknown));
        names.replace(vec![("a.example", v4(2)), ("b.example", v4(3))]);
        assert_eq!(
            ask("a.example", &servers).await.unwrap(),
            ["udp 192.0.2.1:5060"]
        );
        assert_eq!(ask("b.example", &servers).await, Err(LookupError::Unknown));
        // The records themselves allow a minute.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(
            ask("a.example", &servers).await.unwrap(),
            ["udp 192.0.2.2:5060"]
        );
        assert_eq!(
            ask("b.example", &servers).await.unwrap(),
            ["udp 192.0.2.3:5060"]
        );
    });
}

#[test]
fn the_next_name_server_is_asked_if_one_is_silent() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let names = NameServer::new(vec![("a.example", v4(1))]);
    let options = |servers| Options {
        servers,
        timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let silent = silent.local_addr().unwrap();
    within(async {
        let servers = name_servers(&options(vec![silent, names.address]));
        assert_eq!(
            ask("a.example", &servers).await.unwrap(),
            ["udp 192.0.2.1:5060"]
        );
        let servers = name_servers(&options(vec![silent]));
        assert_eq!(
            ask("a.example", &servers).await,
            Err(LookupError::Unanswered)
        );
    });
}
