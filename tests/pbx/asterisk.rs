//! Asterisk. The blocks are those of `main/manager.c`, `main/manager_channels.c`, `main/extension_state.c`,
//! `res/res_manager_devicestate.c`, `res/res_manager_presencestate.c` and `res/parking/parking_manager.c`.

use std::collections::HashMap;

use md5::{Digest, Md5};

use crate::daemon::{Daemon, Folder};
use crate::lamps::Phone;
use crate::server::{Behaviour, Server};
use crate::{await_words, configuration};

pub(crate) const CONNECTOR: &str =
    "kind = \"asterisk-ami\"\nauth_id = \"lamps\"\npassword = \"secret\"\n";

/// What it has, by the action that lists it: blocks without an empty line at their end.
#[derive(Default)]
pub(crate) struct Asterisk {
    lists: HashMap<&'static str, Vec<String>>,
    password: &'static str,
    is_garbage: bool,
    /// It takes requests, and says nothing any more.
    is_silent: bool,
    /// The requests that it was sent.
    pub(crate) heard: Vec<String>,
}

impl Asterisk {
    /// An idle PBX with two phones.
    pub(crate) fn idle() -> Self {
        let hint = |user: &str| {
            format!(
                "Event: ExtensionStatus\nExten: {user}\nContext: internal\nHint: PJSIP/{user}&Custom:DND{user}\nStatus: 0\nStatusText: Idle"
            )
        };
        let device = |user: &str| {
            format!("Event: DeviceStateChange\nDevice: PJSIP/{user}\nState: NOT_INUSE")
        };
        let users = ["101", "102"];
        Self {
            lists: HashMap::from([
                ("ExtensionStateList", users.map(hint).to_vec()),
                ("DeviceStateList", users.map(device).to_vec()),
            ]),
            password: "secret",
            is_garbage: false,
            is_silent: false,
            heard: Vec::new(),
        }
    }
}

impl Behaviour for Asterisk {
    const END: &'static str = "\r\n\r\n";

    fn greeting(&self) -> String {
        match self.is_garbage {
            true => "HTTP/1.1 400 Bad Request\r\n\r\n\u{0}".to_owned(),
            false => "Asterisk Call Manager/13.0.0\r\n".to_owned(),
        }
    }

    fn answer(&mut self, request: &str) -> String {
        self.heard.push(request.to_owned());
        let field = |name: &str| {
            let mut lines = request.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_default()
        };
        let (action, id) = (field("Action"), field("ActionID"));
        if self.is_silent {
            return String::new();
        }
        let blocks = match action {
            "Challenge" => vec![format!(
                "Response: Success\nActionID: {id}\nChallenge: 840415273"
            )],
            "Login" => {
                let key = Md5::digest(format!("840415273{}", self.password));
                let key: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
                assert_eq!((field("Username"), field("Events")), ("lamps", "call"));
                vec![match field("Key") == key {
                    true => format!(
                        "Response: Success\nActionID: {id}\nMessage: Authentication accepted"
                    ),
                    false => {
                        format!("Response: Error\nActionID: {id}\nMessage: Authentication failed")
                    }
                }]
            }
            "Ping" => vec![format!(
                "Response: Success\nActionID: {id}\nPing: Pong\nTimestamp: 1733000000.0"
            )],
            list => {
                let end = match list {
                    "CoreShowChannels" => "CoreShowChannelsComplete".to_owned(),
                    list => format!("{list}Complete"),
                };
                let items = self.lists.get(list).cloned().unwrap_or_default();
                let count = items.len();
                let head = format!(
                    "Response: Success\nActionID: {id}\nEventList: start\nMessage: will follow"
                );
                let items = items
                    .into_iter()
                    .map(|item| format!("{item}\nActionID: {id}"));
                let tail = format!(
                    "Event: {end}\nActionID: {id}\nEventList: Complete\nListItems: {count}"
                );
                std::iter::once(head).chain(items).chain([tail]).collect()
            }
        };
        blocks.iter().map(|block| wire(block)).collect()
    }
}

/// A block as it is sent.
pub(crate) fn wire(block: &str) -> String {
    format!("{}\r\n\r\n", block.replace('\n', "\r\n"))
}

/// The state of a channel, of which `Newstate` and others tell.
pub(crate) fn channel(event: &str, user: &str, state: u8, other: &str) -> String {
    let names = [
        "Down", "Rsrvd", "OffHook", "Dialing", "Ring", "Ringing", "Up",
    ];
    let name = names[usize::from(state)];
    format!(
        "Event: {event}\nPrivilege: call,all\nChannel: PJSIP/{user}-0000002a\nChannelState: {state}\nChannelStateDesc: {name}\n\
         CallerIDNum: {user}\nCallerIDName: <unknown>\nConnectedLineNum: {other}\nConnectedLineName: <unknown>\n\
         Language: en\nAccountCode: \nContext: internal\nExten: {other}\nPriority: 1\nUniqueid: 1733000001.{user}\nLinkedid: 1733000001.101"
    )
}

#[test]
fn asterisk_lights_lamps() {
    let pbx = Server::start(Asterisk::idle());
    let folder = Folder::new("pbx-asterisk", &configuration(CONNECTOR, pbx.address));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut phone = Phone::new(&ready, &["101", "102", "701"]);
    await_words(&folder, "connectors", "UpAndRunning");
    let say = |block: &str| pbx.say(&wire(block));

    // 101 calls 102, which answers, holds, and hangs up.
    say(&channel("Newchannel", "101", 4, "102"));
    phone.lights("101", "confirmed");
    say(&channel("Newchannel", "102", 0, "101"));
    say(&channel("Newstate", "102", 5, "101"));
    phone.lights("102", "early");
    phone.await_lamp("102", "", "sip:101@a.example");
    say(&channel("Newstate", "102", 6, "101"));
    phone.lights("102", "confirmed");
    await_words(&folder, "connectors pbx", "102@a.example");
    let users = folder.says("connectors pbx");
    let line = |user: &str| {
        users
            .lines()
            .find(|line| line.starts_with(user))
            .unwrap()
            .to_owned()
    };
    assert!(line("101@a.example").contains("Busy"), "{users}");
    assert!(line("102@a.example").contains("Busy"), "{users}");
    say(&channel("Hold", "102", 6, "101"));
    await_words(&folder, "why 102@a.example", "on hold");
    let why = folder.says("why 102@a.example");
    assert!(why.contains("upstream:pbx"), "{why}");
    say(&channel("Hangup", "102", 6, "101"));
    say(&channel("Hangup", "101", 6, "102"));
    phone.goes_dark("101");
    phone.goes_dark("102");

    // A call is parked and retrieved.
    let parked = "ParkeeChannel: PJSIP/trunk-0000002b\nParkeeCallerIDNum: 12345\nParkeeCallerIDName: Bob\n\
         ParkerDialString: PJSIP/101\nParkinglot: default\nParkingSpace: 701\nParkingTimeout: 45\nParkingDuration: 0";
    say(&format!("Event: ParkedCall\n{parked}"));
    phone.lights("701", "confirmed");
    say(&format!(
        "Event: UnParkedCall\n{parked}\nRetrieverChannel: PJSIP/102-0000002c"
    ));
    phone.goes_dark("701");

    // An orbit that empties while the connector is stopped is not listed any more.
    say(&format!("Event: ParkedCall\n{parked}"));
    await_words(&folder, "connectors pbx", "701@a.example");
    folder.says("connectors stop pbx");
    phone.goes_dark("701");
    folder.says("connectors start pbx");
    await_words(&folder, "connectors", "UpAndRunning");
    await_words(&folder, "connectors pbx", "101@a.example");
    let users = folder.says("connectors pbx");
    assert!(!users.contains("701@"), "{users}");

    // Do-not-disturb, and a phone that is gone.
    let device = |name: &str, state: &str| {
        format!("Event: DeviceStateChange\nPrivilege: call,all\nDevice: {name}\nState: {state}")
    };
    say(&device("Custom:DND101", "BUSY"));
    await_words(&folder, "why 101@a.example", "do-not-disturb");
    say(&device("PJSIP/102", "UNAVAILABLE"));
    await_words(&folder, "why 102@a.example", "closed");
    daemon.stop();
}

#[test]
fn asterisk_that_restarted_leaves_no_red_lamp() {
    let pbx = Server::start(Asterisk::idle());
    let talking = channel("CoreShowChannel", "101", 6, "12345");
    let lists = &pbx.behaviour;
    lists
        .lock()
        .unwrap()
        .lists
        .insert("CoreShowChannels", vec![talking]);
    let folder = Folder::new("pbx-restart", &configuration(CONNECTOR, pbx.address));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut phone = Phone::new(&ready, &["101", "102"]);
    phone.lights("101", "confirmed");

    // While it is away, what it said is stale, and kept.
    let ringing = channel("CoreShowChannel", "102", 5, "12345");
    lists
        .lock()
        .unwrap()
        .lists
        .insert("CoreShowChannels", vec![ringing]);
    pbx.drop_connection(true);
    await_words(&folder, "connectors", "ConnectionError");
    await_words(&folder, "why 101@a.example", "not heard for");
    await_words(&folder, "connectors pbx", "Error");
    // After its restart it has another call.
    pbx.drop_connection(false);
    phone.goes_dark("101");
    phone.lights("102", "early");
    await_words(&folder, "connectors", "UpAndRunning");

    // The connector is stopped and started, and removed by a reload.
    folder.says("connectors stop pbx");
    phone.goes_dark("102");
    await_words(&folder, "connectors", "Disabled");
    folder.says("connectors start pbx");
    phone.lights("102", "early");
    folder.says("connectors restart pbx");
    await_words(&folder, "connectors", "UpAndRunning");
    let whole = configuration(CONNECTOR, pbx.address);
    let (without, _) = whole.split_once("[[connector]]").unwrap();
    folder.configure(without);
    folder.says("reload");
    phone.goes_dark("102");
    daemon.stop();
}

#[test]
fn asterisk_with_another_password_or_another_protocol_has_a_status() {
    let mut asterisk = Asterisk::idle();
    asterisk.password = "changed";
    let pbx = Server::start(asterisk);
    let folder = Folder::new("pbx-refused", &configuration(CONNECTOR, pbx.address));
    let daemon = Daemon::start(&folder);
    await_words(&folder, "connectors", "Forbidden");
    pbx.behaviour.lock().unwrap().is_garbage = true;
    folder.says("connectors restart pbx");
    await_words(&folder, "connectors", "ConnectionError");
    // A change of the configuration is in force at once.
    pbx.behaviour.lock().unwrap().is_garbage = false;
    folder.configure(&configuration(
        &CONNECTOR.replace("secret", "changed"),
        pbx.address,
    ));
    folder.says("reload");
    await_words(&folder, "connectors", "UpAndRunning");
    daemon.stop();
}

/// A machine that lost its power closes no connection.
#[test]
fn asterisk_that_falls_silent_is_found_out_in_half_a_minute() {
    let pbx = Server::start(Asterisk::idle());
    let folder = Folder::new("pbx-silent", &configuration(CONNECTOR, pbx.address));
    let daemon = Daemon::start(&folder);
    await_words(&folder, "connectors", "UpAndRunning");
    pbx.behaviour.lock().unwrap().is_silent = true;
    // It is asked twice before.
    std::thread::sleep(std::time::Duration::from_secs(15));
    await_words(&folder, "connectors", "UpAndRunning");
    await_words(&folder, "connectors", "ConnectionError");
    daemon.stop();
}
