//! MQTT, with the broker Mosquitto: what it retains is what stands, after any of the two was killed.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Folder, PATIENCE, free_address};
use crate::site::Site;

/// Keeps nothing on disk. Ends when it is dropped.
struct Broker {
    child: Child,
    port: u16,
}

impl Broker {
    fn start(folder: &Folder, port: u16, tls_port: u16) -> Self {
        let path = folder.0.join("mosquitto.conf");
        let root = folder.0.display();
        let text = format!(
            "user root\npersistence false\nallow_anonymous false\npassword_file {root}/broker.passwords\n\
             listener {port} 127.0.0.1\nlistener {tls_port} 127.0.0.1\n\
             certfile {root}/broker.pem\nkeyfile {root}/broker.key\n"
        );
        fs::write(&path, text).unwrap();
        let mut command = Command::new("mosquitto");
        let command = command.arg("-c").arg(path).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        Self { child, port }
    }

    /// What a new subscriber of a topic gets; None if that is nothing.
    fn retained(&self, topic: &str) -> Option<String> {
        let mut command = Command::new("mosquitto_sub");
        let command = command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let command = command.args(["-u", "lamps", "-P", "secret", "-C", "1", "-W", "1"]);
        let output = command.args(["-q", "1", "-t", topic]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim_end().to_owned())
    }

    fn wait_for(&self, topic: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.retained(topic).unwrap_or_default();
            if is_it(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{topic}: {text}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for_lamp(&self, root: &str, user: &str, lamp: &str) -> Value {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let topic = format!("{root}/abc.com/{user}/state");
        json(&self.wait_for(&topic, |text| json(text)["lamp"] == lamp))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The certificate of the broker and the password there.
fn prepare(site: &Site) {
    site.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout broker.key -out broker.pem -days 2 \
         -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
    );
    site.run("mosquitto_passwd -b -c broker.passwords lamps secret");
}

#[test]
fn a_broker_retains_what_stands() {
    let (port, tls_port) = (free_address().port(), free_address().port());
    let login = "auth_id = \"lamps\"\nsecret = \"secret\"\n";
    let relays = format!(
        "[[relay]]\nname = \"home\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n{login}\
         [[relay]]\nname = \"safe\"\nkind = \"mqtt\"\nurl = \"mqtts://localhost:{tls_port}\"\n{login}\
         topic = \"safe/lamps\"\n[dial]\nca = \"broker.pem\"\n"
    );
    let site = Site::new("mqtt", &relays);
    prepare(&site);
    let broker = Broker::start(&site.folder, port, tls_port);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    site.call_state("101", "&number=5552");
    for root in ["lamplighter", "safe/lamps"] {
        let state = broker.wait_for_lamp(root, "100", "confirmed");
        assert_eq!(
            (&state["user"], &state["domain"]),
            (&json!("100"), &json!("abc.com"))
        );
        let status = broker.wait_for(&format!("{root}/bridge/status"), |text| !text.is_empty());
        assert_eq!(status, "online");
    }
    broker.wait_for_lamp("safe/lamps", "101", "confirmed");
    // The broker says of a server that was killed that it is gone.
    daemon.kill();
    broker.wait_for("lamplighter/bridge/status", |text| text == "offline");
    let daemon = Daemon::start(&site.folder);
    broker.wait_for("lamplighter/bridge/status", |text| text == "online");
    // A broker that was restarted learns what it has lost, too.
    drop(broker);
    site.call_state("100", "");
    let broker = Broker::start(&site.folder, port, tls_port);
    for root in ["lamplighter", "safe/lamps"] {
        broker.wait_for_lamp(root, "100", "terminated");
        broker.wait_for_lamp(root, "101", "confirmed");
    }
    daemon.stop();
    broker.wait_for("safe/lamps/bridge/status", |text| text == "offline");
}

#[test]
fn a_wrong_password_is_shown() {
    let (port, tls_port) = (free_address().port(), free_address().port());
    let relay = format!(
        "[[relay]]\nname = \"home\"\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         auth_id = \"lamps\"\nsecret = \"wrong\"\n"
    );
    let site = Site::new("mqtt-refused", &relay);
    prepare(&site);
    let broker = Broker::start(&site.folder, port, tls_port);
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| text.contains("refused"));
    assert!(shown.contains("failing"), "{shown}");
    assert_eq!(broker.retained("#"), None);
    daemon.stop();
}
