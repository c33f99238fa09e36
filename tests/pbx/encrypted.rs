//! A PBX that is spoken to by TLS, which a real stunnel ends, as one in front of an event socket does.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::asterisk::{Asterisk, CONNECTOR};
use crate::daemon::{Daemon, Folder, free_address};
use crate::freeswitch;
use crate::freeswitch::FreeSwitch;
use crate::lamps::Phone;
use crate::server::Server;
use crate::{await_words, configuration};

/// A stunnel in front of a PBX.
struct Stunnel {
    process: Child,
    address: SocketAddr,
}

/// Makes a certificate for an address, `NAME.pem`, and its key.
fn certify(folder: &Folder, name: &str, address: &str) {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pbx"
                .split(' '),
        )
        .args(["-addext", &format!("subjectAltName=IP:{address}")])
        .args(
            format!(
                "-addext basicConstraints=critical,CA:FALSE -keyout {name}.key -out {name}.pem"
            )
            .split(' '),
        )
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

impl Stunnel {
    /// With a certificate of its own, `tunnel.pem`, for an address.
    fn start(folder: &Folder, pbx: SocketAddr, certified: &str) -> Self {
        let address = free_address();
        certify(folder, "tunnel", certified);
        let text = format!(
            "foreground = yes\npid =\n[pbx]\naccept = {address}\nconnect = {pbx}\ncert = tunnel.pem\nkey = tunnel.key\n"
        );
        std::fs::write(folder.0.join("stunnel.conf"), text).unwrap();
        let process = Command::new("stunnel4")
            .arg("stunnel.conf")
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address }
    }
}

impl Drop for Stunnel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn by_tls(address: SocketAddr) -> String {
    let connector = format!("{CONNECTOR}transport = \"tls\"\n");
    configuration(&connector, address) + "[dial]\nca = \"tunnel.pem\"\n"
}

#[test]
fn asterisk_lights_lamps_by_tls() {
    let pbx = Server::start(Asterisk::idle());
    let folder = Folder::new("pbx-tls", "");
    let tunnel = Stunnel::start(&folder, pbx.address, "127.0.0.1");
    folder.configure(&by_tls(tunnel.address));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut phone = Phone::new(&ready, &["101"]);
    await_words(&folder, "connectors", "UpAndRunning");
    pbx.say(&crate::asterisk::wire(&crate::asterisk::channel(
        "Newchannel",
        "101",
        4,
        "102",
    )));
    phone.lights("101", "confirmed");
    daemon.stop();
}

#[test]
fn a_certificate_of_another_address_is_not_trusted_and_nothing_is_said_in_the_clear() {
    let pbx = Server::start(Asterisk::idle());
    let folder = Folder::new("pbx-tls-wrong", "");
    let tunnel = Stunnel::start(&folder, pbx.address, "192.0.2.1");
    folder.configure(&by_tls(tunnel.address));
    let daemon = Daemon::start(&folder);
    await_words(&folder, "connectors", "ConnectionError");
    daemon.wait_for("certificate");
    // The PBX itself is not behind TLS.
    folder.configure(&by_tls(pbx.address));
    folder.says("reload");
    await_words(&folder, "connectors", "ConnectionError");
    let heard = pbx.behaviour.lock().unwrap().heard.clone();
    assert!(
        !heard.iter().any(|request| request.contains("Action")),
        "{heard:?}"
    );
    daemon.stop();
}

#[test]
fn freeswitch_is_heard_by_tls() {
    let pbx = Server::start(FreeSwitch::default());
    let folder = Folder::new("pbx-tls-socket", "");
    let tunnel = Stunnel::start(&folder, pbx.address, "127.0.0.1");
    let connector = format!("{}transport = \"tls\"\n", freeswitch::CONNECTOR);
    let text = configuration(&connector, tunnel.address);
    folder.configure(&(text + "[dial]\nca = \"tunnel.pem\"\n"));
    let daemon = Daemon::start(&folder);
    await_words(&folder, "connectors", "UpAndRunning");
    daemon.stop();
}

#[test]
fn an_authority_that_a_reload_adds_is_trusted_from_the_next_connection_on() {
    let pbx = Server::start(Asterisk::idle());
    let folder = Folder::new("pbx-tls-unknown", "");
    let tunnel = Stunnel::start(&folder, pbx.address, "127.0.0.1");
    certify(&folder, "other", "127.0.0.1");
    let trusted = by_tls(tunnel.address);
    folder.configure(&trusted.replace("tunnel.pem", "other.pem"));
    let daemon = Daemon::start(&folder);
    await_words(&folder, "connectors", "ConnectionError");
    folder.configure(&trusted);
    folder.says("reload");
    await_words(&folder, "connectors", "UpAndRunning");
    daemon.stop();
}
