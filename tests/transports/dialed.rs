//! Phones on TLS that closed their connection, and are dialed: by name, whose certificate is verified.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use crate::authority::{Authority, Client, connect};
use crate::daemon::{Daemon, Folder};
use crate::name_server::{NameServer, Record};
use crate::phone::{Phone, header};
use crate::{address, counts};

/// The name of the phone.
const HOST: &str = "phone.a.example";

fn configuration(name_server: SocketAddr) -> String {
    format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
         [[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\n\
         certificate = \"a.pem\"\nkey = \"a.key\"\n\
         [dial]\nca = \"root.pem\"\ncertificate = \"a.pem\"\nkey = \"a.key\"\n\
         [dns]\nservers = [\"{name_server}\"]\n\
         [limits]\nresponse_ring = \"1 MiB\"\n\
         [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n"
    )
}

fn server(name: &str, authority: &Authority, name_server: SocketAddr) -> Folder {
    let folder = Folder::new(name, &configuration(name_server));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    std::fs::write(folder.0.join("root.pem"), &authority.certificate).unwrap();
    folder
}

/// The phone accepts a connection.
fn accept(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
) -> Result<StreamOwned<ServerConnection, TcpStream>, std::io::Error> {
    let (tcp, _) = listener.accept()?;
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    let session = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut tls = StreamOwned::new(session, tcp);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// A phone that watches 0@a.example, and closes its connection.
fn watch_and_leave(tls: &str, authority: &Authority, contact: &str) {
    let config = authority.client(&Client::default());
    let stream = connect(tls, "sip.a.example", &config).unwrap();
    let mut phone = Phone::new(stream, "TLS");
    contact.clone_into(&mut phone.contact);
    phone.subscribe();
    drop(phone);
    // The end of the connection comes before the change.
    thread::sleep(Duration::from_millis(200));
}

#[test]
fn a_phone_is_dialed_by_name_and_proves_that_it_is_its_own() {
    let authority = Authority::new("root");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nothing listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closed.local_addr().unwrap().port();
    let loopback = || Record::Address([127, 0, 0, 1].into());
    let names = NameServer::new(vec![
        (
            "_sips._tcp.phone.a.example",
            Record::Service(2, port, "two.a.example"),
        ),
        (
            "_sips._tcp.phone.a.example",
            Record::Service(1, closed, "one.a.example"),
        ),
        ("one.a.example", loopback()),
        // A third party.
        ("two.a.example", Record::Address([127, 0, 0, 9].into())),
        ("two.a.example", loopback()),
    ]);
    let folder = server("tls-dial", &authority, names.address);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let contact = format!("sip:1@{HOST};transport=tls");
    watch_and_leave(tls, &authority, &contact);

    let own = authority.server(&authority.issue(&[HOST]));
    folder.says("set 0@a.example lamp early");
    let stream = accept(&listener, &own).unwrap();
    assert_eq!(stream.conn.server_name(), Some(HOST));
    assert!(
        stream.conn.peer_certificates().is_some(),
        "it shows its own"
    );
    let mut phone = Phone::new(stream, "TLS");
    let lit = phone.notify();
    assert!(lit.contains("<state>early</state>"), "{lit}");
    assert!(lit.starts_with(&format!("NOTIFY {contact} SIP/2.0\r\n")));
    let where_we_listen = format!("<sip:{tls};transport=tls>");
    assert_eq!(header(&lit, "Contact"), where_we_listen);
    counts(&ready, "dials_failed", 1);
    counts(&ready, "dials_connected", 1);

    // The next connection resumes the session; the name is still known.
    drop(phone);
    thread::sleep(Duration::from_millis(200));
    folder.says("set 0@a.example lamp off");
    let stream = accept(&listener, &own).unwrap();
    assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    let mut phone = Phone::new(stream, "TLS");
    assert!(!phone.notify().contains("early"));
    assert_eq!(names.asked("SRV _sips._tcp.phone.a.example"), 1);
    assert_eq!(names.asked("A two.a.example"), 1);
    daemon.stop();
}

#[test]
fn a_stream_with_alias_leads_to_the_name_in_its_certificate() {
    let (authority, peers) = (Authority::new("root"), Authority::new("peers"));
    let nothing = NameServer::new(Vec::new());
    let listener = "certificate = \"a.pem\"\nkey = \"a.key\"\n";
    let text = configuration(nothing.address)
        .replacen(
            listener,
            &format!("{listener}client_ca = \"peers.pem\"\n"),
            1,
        )
        .replacen("[node]\n", "[cores]\nshards = [0]\n[node]\n", 1);
    let folder = Folder::new("tls-alias", &text);
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    std::fs::write(folder.0.join("root.pem"), &authority.certificate).unwrap();
    std::fs::write(folder.0.join("peers.pem"), &peers.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");

    let contact = format!("sip:1@{HOST}:5071;transport=tls");
    let subscribed = |name: &str, sent_by: &str, call_id: &str| {
        let issued = peers.issue(&[name]);
        let client = Client {
            certificate: Some(&issued),
            is_old: false,
        };
        let stream = connect(tls, "sip.a.example", &authority.client(&client)).unwrap();
        let mut phone = Phone::new(stream, "TLS");
        contact.clone_into(&mut phone.contact);
        sent_by.clone_into(&mut phone.sent_by);
        call_id.clone_into(&mut phone.call_id);
        phone.subscribe();
        phone
    };
    // The phone listens nowhere: its first dialog goes on only if another of its streams leads to its name.
    drop(subscribed(HOST, "phone.invalid", "first"));
    let alias = format!("{HOST}:5071;alias");
    drop(subscribed("other.a.example", &alias, "other"));
    counts(&ready, "aliases_taken", 0);
    let mut own = subscribed(HOST, &alias, "second");
    counts(&ready, "aliases_taken", 1);
    folder.says("set 0@a.example lamp early");
    let lit = [own.notify(), own.notify(), own.notify()];
    assert!(
        lit.iter()
            .all(|notify| notify.contains("<state>early</state>"))
    );
    let mut dialogs = lit.each_ref().map(|notify| header(notify, "Call-ID"));
    dialogs.sort();
    assert_eq!(dialogs, ["first", "other", "second"]);
    counts(&ready, "dials_begun", 0);
    daemon.stop();
}

#[test]
fn a_phone_with_the_certificate_of_another_is_not_notified() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = NameServer::new(vec![(HOST, Record::Address([127, 0, 0, 1].into()))]);
    let folder = server("tls-dial-identity", &authority, names.address);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let contact = format!("sip:1@{HOST}:{port};transport=tls");
    watch_and_leave(address(&ready, "SIP on tls "), &authority, &contact);

    folder.says("set 0@a.example lamp early");
    let wrong = [
        authority.server(&authority.issue(&["other.a.example"])),
        authority.server(&authority.issue(&["*.a.example"])),
        authority.server(&other.issue(&[HOST])),
    ];
    for config in &wrong {
        let refused = accept(&listener, config).map(drop).unwrap_err().to_string();
        assert!(refused.contains("fatal alert"), "{refused}");
    }
    counts(&ready, "dials_failed", 3);
    counts(&ready, "handshakes_failed", 3);
    let own = authority.server(&authority.issue(&[HOST]));
    let stream = accept(&listener, &own).unwrap();
    assert!(Phone::new(stream, "TLS").notify().contains("early"));
    daemon.stop();
}

#[test]
fn a_name_that_appears_later_is_found() {
    let authority = Authority::new("root");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = NameServer::new(Vec::new());
    let text =
        configuration(names.address).replace("[limits]", "max_negative_ttl = \"1s\"\n[limits]");
    let folder = Folder::new("tls-dial-later", &text);
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    std::fs::write(folder.0.join("root.pem"), &authority.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let contact = format!("sip:1@{HOST}:{port};transport=tls");
    watch_and_leave(address(&ready, "SIP on tls "), &authority, &contact);
    folder.says("set 0@a.example lamp early");
    counts(&ready, "lookups_failed", 1);
    names.replace(vec![(HOST, Record::Address([127, 0, 0, 1].into()))]);
    let own = authority.server(&authority.issue(&[HOST]));
    let stream = accept(&listener, &own).unwrap();
    assert!(Phone::new(stream, "TLS").notify().contains("early"));
    daemon.stop();
}
