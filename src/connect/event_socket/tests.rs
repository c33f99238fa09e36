use std::rc::Rc;

use serde_json::{Value, json};

use crate::connect::event_socket::{EVENTS, EventSocket, LISTS, Login};
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::tests::Dialogue;
use crate::connect::users::tests::Numbers;
use crate::presence::call::{CallState, Direction};

/// A connection, and what FreeSWITCH tells.
type Session = Dialogue<EventSocket>;

/// `mod_event_socket.c`, listener_run()
const AUTH: &str = "Content-Type: auth/request\n\n";

fn reply(text: &str) -> String {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n")
}

fn response(body: &str) -> String {
    let length = body.len();
    format!("Content-Type: api/response\nContent-Length: {length}\n\n{body}")
}

fn event(event: &Value) -> String {
    let body = event.to_string();
    let length = body.len();
    format!("Content-Length: {length}\nContent-Type: text/event-json\n\n{body}")
}

/// The lists of a FreeSWITCH with one call from 101 to 102, held by 102, and a call in orbit 701. The columns are
/// those of `switch_core_sqldb.c`, the lots those of `mod_valet_parking.c`.
fn lists() -> String {
    let channels = json!({"row_count": 3, "rows": [
        {"uuid": "a", "direction": "inbound", "name": "sofia/internal/101@pbx.example.com", "cid_num": "101",
         "dest": "102", "presence_id": "101@pbx.example.com", "callstate": "ACTIVE", "callee_num": "102", "callee_name": "Bob"},
        {"uuid": "b", "direction": "outbound", "name": "sofia/internal/102@192.0.2.7", "cid_num": "101", "cid_name": "Alice",
         "dest": "102", "presence_id": "102@pbx.example.com", "callstate": "HELD", "callee_num": ""},
        {"uuid": "c", "direction": "inbound", "name": "sofia/internal/105@pbx.example.com", "cid_num": "105",
         "dest": "5900", "presence_id": "105@pbx.example.com", "callstate": "ACTIVE", "callee_num": "12345"},
    ]});
    let contacts = json!({"row_count": 1, "rows": [
        {"reg_user": "101", "realm": "pbx.example.com", "token": "t1", "url": "sofia/internal/sip:101@192.0.2.6", "expires": "1733003600"},
    ]});
    let lots = "<lots>\n  <lot name=\"default\">\n    <extension uuid=\"c\">701</extension>\n  </lot>\n</lots>\n";
    [channels.to_string(), contacts.to_string(), lots.to_owned()]
        .map(|body| response(&body))
        .concat()
}

impl Session {
    fn new(user: Option<&str>) -> Self {
        let login = Login {
            user: user.map(Into::into),
            password: "ClueCon".into(),
        };
        let domain = Some("pbx.example.com");
        Self::begin(EventSocket::new(login, domain, Rc::new(Numbers)))
    }

    fn open() -> Self {
        let mut session = Self::new(None);
        session.hear(AUTH).unwrap();
        session.hear(&reply("+OK accepted")).unwrap();
        session
            .hear(&reply("+OK event listener enabled json"))
            .unwrap();
        session.hear(&lists()).unwrap();
        assert!(session.protocol.has_read_all());
        session
    }

    fn hear(&mut self, text: &str) -> Result<usize, Fault> {
        self.hear_octets(text.as_bytes())
    }
}

#[test]
fn it_logs_in_asks_for_events_and_reads_all_lists() {
    let mut session = Session::new(None);
    session.hear(AUTH).unwrap();
    assert_eq!(session.sent, "auth ClueCon\n\n");
    session.hear(&reply("+OK accepted")).unwrap();
    assert!(session.sent.ends_with(&format!("{EVENTS}\n\n")));
    session
        .hear(&reply("+OK event listener enabled json"))
        .unwrap();
    for (_, _, request) in LISTS {
        assert!(session.sent.contains(&format!("{request}\n\n")));
    }
    assert!(!session.protocol.has_read_all());
    session.hear(&lists()).unwrap();
    assert!(session.protocol.has_read_all());
    assert!(session.protocol.take_complaints().is_empty());
    let mut user = Session::new(Some("lamps@pbx.example.com"));
    user.hear(AUTH).unwrap();
    assert_eq!(user.sent, "userauth lamps@pbx.example.com:ClueCon\n\n");
}

#[test]
fn refusals_are_forbidden() {
    let mut session = Session::new(None);
    session.hear(AUTH).unwrap();
    let refused = session.hear(&reply("-ERR invalid"));
    assert_eq!(refused, Err(Fault::Forbidden("-ERR invalid".to_owned())));
    let rude = "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    let refused = Session::new(None).hear(rude);
    assert_eq!(
        refused,
        Err(Fault::Forbidden("Access Denied, go away.".to_owned()))
    );
    let mut session = Session::open();
    let notice = "Content-Type: text/disconnect-notice\nContent-Length: 14\n\nDisconnected.\n";
    assert_eq!(session.hear(notice), Err(Fault::Closed));
    let ssh = Session::new(None).hear("SSH-2.0-OpenSSH_9.2\r\n");
    assert!(matches!(ssh, Err(Fault::Garbage(_))));
}

#[test]
fn a_list_that_is_refused_is_a_complaint() {
    let mut session = Session::new(None);
    session.hear(AUTH).unwrap();
    session.hear(&reply("+OK accepted")).unwrap();
    session
        .hear(&reply("+OK event listener enabled json"))
        .unwrap();
    session.hear(&response("{\"row_count\": 0}\n")).unwrap();
    session.hear(&reply("-ERR permission denied")).unwrap();
    session
        .hear(&response("-ERR valet_info Command not found!\n"))
        .unwrap();
    assert!(session.protocol.has_read_all());
    let complaints = session.protocol.take_complaints();
    assert_eq!(complaints.len(), 2);
    assert!(complaints[1].contains("valet_info"), "{complaints:?}");
}

#[test]
fn the_lists_tell_everything() {
    let session = Session::open();
    let calling = (
        CallState::Confirmed,
        Some(Direction::Initiator),
        "sip:102@abc.com".to_owned(),
    );
    assert_eq!(session.states("101"), [calling]);
    let held = &session.board.report("102").calls[0];
    assert_eq!(held.local().rendering, Some(false));
    assert_eq!(held.remote().display, "Alice");
    assert_eq!(session.states("701")[0].2, "sip:12345@abc.com");
    assert_eq!(session.board.report("101").presence, None);
}

/// `switch_channel.c`, switch_channel_event_set_basic_data() and switch_channel_perform_set_callstate()
fn channel(id: &str, user: &str, direction: &str, state: &str) -> Value {
    json!({
        "Event-Name": "CHANNEL_CALLSTATE", "Unique-ID": id, "Channel-Name": format!("sofia/internal/{user}"),
        "Channel-Presence-ID": format!("{user}@pbx.example.com"), "Channel-Call-State": state,
        "Call-Direction": direction, "Presence-Call-Direction": direction,
        "Caller-Caller-ID-Number": "101", "Caller-Caller-ID-Name": "Alice", "Caller-Destination-Number": "102",
    })
}

#[test]
fn a_call_lights_both_lamps_until_its_end() {
    let mut session = Session::open();
    let say = |session: &mut Session, value: &Value| {
        session.hear(&event(value)).unwrap();
    };
    say(&mut session, &channel("x", "103", "inbound", "RINGING"));
    assert_eq!(session.states("103")[0].1, Some(Direction::Initiator));
    assert_eq!(session.states("103")[0].2, "sip:102@abc.com");
    say(&mut session, &channel("y", "104", "outbound", "DOWN"));
    assert!(session.states("104").is_empty());
    say(&mut session, &channel("y", "104", "outbound", "RINGING"));
    let ringing = (
        CallState::Early,
        Some(Direction::Recipient),
        "sip:101@abc.com".to_owned(),
    );
    assert_eq!(session.states("104"), [ringing]);
    say(&mut session, &channel("y", "104", "outbound", "ACTIVE"));
    assert_eq!(session.states("104")[0].0, CallState::Confirmed);
    let mut over = channel("y", "104", "outbound", "HANGUP");
    over["Event-Name"] = "CHANNEL_HANGUP_COMPLETE".into();
    say(&mut session, &over);
    assert!(session.states("104").is_empty());
    say(&mut session, &channel("y", "104", "outbound", "ACTIVE"));
    assert!(session.states("104").is_empty(), "it ended");
    let mut hidden = channel("z", "104", "outbound", "RINGING");
    hidden["Caller-Privacy-Hide-Number"] = "true".into();
    say(&mut session, &hidden);
    assert!(session.board.report("104").calls[0].remote_is_private);
    let mut renamed = channel("z2", "104", "outbound", "RINGING");
    renamed["Old-Unique-ID"] = "z".into();
    say(&mut session, &renamed);
    assert_eq!(session.states("104").len(), 1);
    say(&mut session, &channel("w", "999", "outbound", "RINGING"));
    assert!(session.states("999").is_empty(), "not ours");
}

#[test]
fn orbits_contacts_and_presence_are_told() {
    let mut session = Session::open();
    let say = |session: &mut Session, value: &Value| {
        session.hear(&event(value)).unwrap();
    };
    let valet = |action: &str| {
        json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Valet-Lot-Name": "default",
            "Valet-Extension": "702", "Action": action, "Unique-ID": "p", "Caller-Caller-ID-Number": "555",
        })
    };
    say(&mut session, &valet("hold"));
    assert_eq!(session.states("702")[0].2, "sip:555@abc.com");
    say(&mut session, &valet("exit"));
    assert!(session.states("702").is_empty());

    let contact = |subclass: &str| {
        json!({
            "Event-Name": "CUSTOM", "Event-Subclass": subclass, "profile-name": "internal", "call-id": "t1",
            "from-user": "101", "from-host": "pbx.example.com",
        })
    };
    say(&mut session, &contact("sofia::unregister"));
    let closed = session.board.report("101").presence.unwrap();
    assert_eq!(closed.open, Some(false));
    say(&mut session, &contact("sofia::register"));
    assert_eq!(session.board.report("101").presence, None);

    let published = |rpid: &str, status: &str| {
        json!({
            "Event-Name": "PRESENCE_IN", "proto": "sip", "from": "103@pbx.example.com", "rpid": rpid, "status": status,
            "event_type": "presence",
        })
    };
    say(&mut session, &published("busy", "Do Not Disturb"));
    let said = session.board.report("103").presence.unwrap();
    assert_eq!(said.activities, ["dnd".into()]);
    say(&mut session, &published("unknown", "Registered(UDP)"));
    assert!(session.board.report("103").presence.is_some());
    say(&mut session, &published("away", "Back at two"));
    let said = session.board.report("103").presence.unwrap();
    assert_eq!(said.note.as_deref(), Some("Back at two"));
    say(&mut session, &published("unknown", "Available"));
    assert_eq!(session.board.report("103").presence, None);

    let lamp = |state: &str| {
        json!({
            "Event-Name": "PRESENCE_IN", "proto": "flow", "from": "104@pbx.example.com", "unique-id": "night",
            "answer-state": state, "rpid": "unknown", "status": "Active", "alt_event_type": "dialog",
        })
    };
    say(&mut session, &lamp("confirmed"));
    assert_eq!(session.states("104")[0].0, CallState::Confirmed);
    say(&mut session, &lamp("terminated"));
    assert!(session.states("104").is_empty());
}

#[test]
fn a_list_may_be_older_than_events() {
    let mut session = Session::open();
    let mut requests = Vec::new();
    session.protocol.read_all(&mut session.board, &mut requests);
    assert!(!session.protocol.has_read_all());
    let mut over = channel("a", "101", "inbound", "HANGUP");
    over["Event-Name"] = "CHANNEL_HANGUP_COMPLETE".into();
    session.hear(&event(&over)).unwrap();
    session.hear(&lists()).unwrap();
    assert!(session.states("101").is_empty(), "the list still has it");
    assert_eq!(session.states("102").len(), 1);
}

/// However a session is cut into reads, it says the same; and no octets make it panic.
#[test]
fn a_session_may_be_cut_anywhere_and_garbled() {
    let open = [AUTH.to_owned(), reply("+OK accepted"), reply("+OK")].concat();
    let whole = [
        open,
        lists(),
        event(&channel("x", "103", "inbound", "RINGING")),
    ]
    .concat();
    let mut expected = Session::new(None);
    expected.hear(&whole).unwrap();
    let mut bytewise = Session::new(None);
    let mut rest: Vec<u8> = Vec::new();
    for octet in whole.bytes() {
        rest.push(octet);
        let taken = bytewise.hear_octets(&rest).unwrap();
        rest.drain(..taken);
    }
    for user in ["101", "102", "103", "701"] {
        assert_eq!(bytewise.board.report(user), expected.board.report(user));
        assert!(!expected.board.report(user).calls.is_empty());
    }
    for place in 0..whole.len() {
        let mut garbled = whole.clone().into_bytes();
        garbled[place] ^= 0x95;
        let _ = Session::new(None).hear_octets(&garbled);
        garbled.remove(place);
        let _ = Session::new(None).hear_octets(&garbled);
    }
}
