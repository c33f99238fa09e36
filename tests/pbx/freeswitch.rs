//! FreeSWITCH. The frames are those of `mod_event_socket.c`, the headers those of `switch_channel.c`, the columns
//! those of `switch_core_sqldb.c`, the lots those of `mod_valet_parking.c`.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Folder};
use crate::lamps::Phone;
use crate::server::{Behaviour, Server};
use crate::{await_words, configuration};

pub(crate) const CONNECTOR: &str = "kind = \"freeswitch-event-socket\"\npassword = \"ClueCon\"\nremote_domain = \"pbx.example.com\"\n";

/// What it has.
#[derive(Default)]
pub(crate) struct FreeSwitch {
    channels: Vec<Value>,
    contacts: Vec<Value>,
    lots: String,
}

impl Behaviour for FreeSwitch {
    const END: &'static str = "\n\n";

    fn greeting(&self) -> String {
        "Content-Type: auth/request\n\n".to_owned()
    }

    fn answer(&mut self, request: &str) -> String {
        let reply = |text: &str| format!("Content-Type: command/reply\nReply-Text: {text}\n\n");
        let response = |body: &str| {
            format!(
                "Content-Type: api/response\nContent-Length: {}\n\n{body}",
                body.len()
            )
        };
        // As show_as_json_callback() writes them.
        let rows = |rows: &[Value]| match rows.is_empty() {
            true => "{\"row_count\": 0}\n".to_owned(),
            false => json!({"row_count": rows.len(), "rows": rows}).to_string(),
        };
        match request {
            "auth ClueCon" => reply("+OK accepted"),
            request if request.starts_with("auth ") => reply("-ERR invalid"),
            request if request.starts_with("event json ") => {
                reply("+OK event listener enabled json")
            }
            "api show channels as json" => response(&rows(&self.channels)),
            "api show registrations as json" => response(&rows(&self.contacts)),
            "api valet_info" => response(&format!("<lots>\n{}</lots>\n", self.lots)),
            other => panic!("{other:?} is asked"),
        }
    }
}

fn wire(event: &Value) -> String {
    let body = event.to_string();
    let length = body.len();
    format!("Content-Length: {length}\nContent-Type: text/event-json\n\n{body}")
}

fn channel(name: &str, user: &str, direction: &str, state: &str) -> Value {
    json!({
        "Event-Name": name, "Unique-ID": format!("uuid-{user}"), "Channel-Name": format!("sofia/internal/{user}"),
        "Channel-State": "CS_EXECUTE", "Channel-Call-State": state, "Channel-Presence-ID": format!("{user}@pbx.example.com"),
        "Call-Direction": direction, "Presence-Call-Direction": direction, "Answer-State": "ringing",
        "Caller-Caller-ID-Number": "101", "Caller-Caller-ID-Name": "Alice", "Caller-Destination-Number": "102",
    })
}

#[test]
fn freeswitch_lights_lamps() {
    let pbx = Server::start(FreeSwitch::default());
    let folder = Folder::new("pbx-freeswitch", &configuration(CONNECTOR, pbx.address));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut phone = Phone::new(&ready, &["101", "102", "701"]);
    await_words(&folder, "connectors", "UpAndRunning");
    let say = |event: &Value| pbx.say(&wire(event));

    say(&channel("CHANNEL_CALLSTATE", "101", "inbound", "RINGING"));
    phone.lights("101", "confirmed");
    say(&channel("CHANNEL_CREATE", "102", "outbound", "DOWN"));
    say(&channel("CHANNEL_CALLSTATE", "102", "outbound", "RINGING"));
    phone.lights("102", "early");
    phone.await_lamp("102", "", "sip:101@a.example");
    say(&channel("CHANNEL_CALLSTATE", "102", "outbound", "ACTIVE"));
    phone.lights("102", "confirmed");
    say(&channel("CHANNEL_CALLSTATE", "102", "outbound", "HELD"));
    await_words(&folder, "why 102@a.example", "on hold");
    say(&channel(
        "CHANNEL_HANGUP_COMPLETE",
        "102",
        "outbound",
        "HANGUP",
    ));
    say(&channel(
        "CHANNEL_HANGUP_COMPLETE",
        "101",
        "inbound",
        "HANGUP",
    ));
    phone.goes_dark("102");
    phone.goes_dark("101");

    let valet = |action: &str| {
        json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Valet-Lot-Name": "default",
            "Valet-Extension": "701", "Action": action, "Unique-ID": "p", "Caller-Caller-ID-Number": "12345",
        })
    };
    say(&valet("hold"));
    phone.lights("701", "confirmed");
    say(&valet("bridge"));
    phone.goes_dark("701");

    say(&json!({
        "Event-Name": "PRESENCE_IN", "proto": "sip", "from": "101@pbx.example.com", "rpid": "busy",
        "status": "Do Not Disturb", "event_type": "presence",
    }));
    await_words(&folder, "why 101@a.example", "do-not-disturb");
    let contact = |subclass: &str| {
        json!({
            "Event-Name": "CUSTOM", "Event-Subclass": subclass, "call-id": "c1", "from-user": "102",
            "from-host": "pbx.example.com", "profile-name": "internal",
        })
    };
    say(&contact("sofia::register"));
    say(&contact("sofia::unregister"));
    await_words(&folder, "why 102@a.example", "closed");
    daemon.stop();
}

#[test]
fn freeswitch_that_restarted_leaves_no_red_lamp() {
    let row = |user: &str, state: &str| {
        json!({
            "uuid": format!("uuid-{user}"), "direction": "outbound", "presence_id": format!("{user}@pbx.example.com"),
            "callstate": state, "cid_num": "12345", "cid_name": "", "dest": user,
        })
    };
    let pbx = Server::start(FreeSwitch {
        channels: vec![row("101", "ACTIVE")],
        lots:
            "  <lot name=\"default\">\n    <extension uuid=\"uuid-101\">701</extension>\n  </lot>\n"
                .to_owned(),
        ..FreeSwitch::default()
    });
    let folder = Folder::new("pbx-restart-fs", &configuration(CONNECTOR, pbx.address));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut phone = Phone::new(&ready, &["101", "102", "701"]);
    phone.lights("101", "confirmed");
    phone.lights("701", "confirmed");
    *pbx.behaviour.lock().unwrap() = FreeSwitch {
        channels: vec![row("102", "RINGING")],
        ..FreeSwitch::default()
    };
    pbx.drop_connection(false);
    phone.goes_dark("101");
    phone.goes_dark("701");
    phone.lights("102", "early");

    // Our own restart: what it said meanwhile is in force.
    pbx.behaviour.lock().unwrap().channels.clear();
    daemon.stop();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    await_words(&folder, "connectors", "UpAndRunning");
    let mut phone = Phone::new(&ready, &["102"]);
    phone.goes_dark("102");

    // Another password.
    folder.configure(&configuration(
        &CONNECTOR.replace("ClueCon", "other"),
        pbx.address,
    ));
    folder.says("reload");
    await_words(&folder, "connectors", "Forbidden");
    daemon.stop();
}
