use std::rc::Rc;

use crate::connect::ami::Ami;
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::tests::Dialogue;
use crate::connect::users::tests::Numbers;
use crate::presence::call::{CallState, Direction};
use crate::sip::digest::client::Login;

/// A connection, and what Asterisk tells.
type Session = Dialogue<Ami>;

impl Session {
    fn new() -> Self {
        let login = Login {
            user: "lamps".into(),
            password: "secret".into(),
        };
        let contexts = ["from-internal".into()];
        Self::begin(Ami::new(login, &contexts, Rc::new(Numbers)))
    }

    /// A session in which everything was read.
    fn open() -> Self {
        let mut session = Self::new();
        session.hear(GREETING).unwrap();
        session.hear(CHALLENGE).unwrap();
        session.hear(ACCEPTED).unwrap();
        session.hear(LISTS).unwrap();
        assert!(session.protocol.has_read_all());
        session
    }

    /// Hears lines; `\n` stands for the end of a line.
    fn hear(&mut self, lines: &str) -> Result<usize, Fault> {
        self.hear_octets(lines.replace('\n', "\r\n").as_bytes())
    }
}

/// `main/manager.c`, session_do()
const GREETING: &str = "Asterisk Call Manager/9.0.0\n";
/// action_challenge()
const CHALLENGE: &str = "Response: Success\nActionID: challenge\nChallenge: 152345678\n\n";
/// action_login()
const ACCEPTED: &str = "Response: Success\nActionID: login\nMessage: Authentication accepted\n\n";
/// `main/extension_state.c`, `res/res_manager_devicestate.c`, `res/res_manager_presencestate.c`, `main/manager.c`
/// action_coreshowchannels(); the module of parking is not loaded.
const LISTS: &str = "\
Response: Success
ActionID: ExtensionStateList
EventList: start
Message: Extension Statuses will follow

Event: ExtensionStatus
ActionID: ExtensionStateList
Exten: 101
Context: from-internal
Hint: PJSIP/101&Custom:DND101,CustomPresence:101
Status: 0
StatusText: Idle

Event: ExtensionStatus
ActionID: ExtensionStateList
Exten: 102
Context: from-internal
Hint: PJSIP/desk
Status: 0
StatusText: Idle

Event: ExtensionStatus
ActionID: ExtensionStateList
Exten: 103
Context: elsewhere
Hint: Custom:door
Status: 1
StatusText: InUse

Event: ExtensionStateListComplete
ActionID: ExtensionStateList
EventList: Complete
ListItems: 3

Response: Success
ActionID: DeviceStateList
EventList: start
Message: Device State Changes will follow

Event: DeviceStateChange
ActionID: DeviceStateList
Device: PJSIP/101
State: NOT_INUSE

Event: DeviceStateChange
ActionID: DeviceStateList
Device: PJSIP/desk
State: UNAVAILABLE

Event: DeviceStateListComplete
ActionID: DeviceStateList
EventList: Complete
ListItems: 2

Response: Success
ActionID: PresenceStateList
EventList: start
Message: Presence State Changes will follow

Event: PresenceStateChange
ActionID: PresenceStateList
Presentity: CustomPresence:101
Status: away
Subtype: Lunch
Message: Back at \\\"two\\\"

Event: PresenceStateListComplete
ActionID: PresenceStateList
EventList: Complete
ListItems: 1

Response: Success
ActionID: CoreShowChannels
EventList: start
Message: Channels will follow

Event: CoreShowChannel
ActionID: CoreShowChannels
Channel: PJSIP/104-00000001
ChannelState: 6
ChannelStateDesc: Up
CallerIDNum: 104
CallerIDName: Dave
ConnectedLineNum: 12345
ConnectedLineName: <unknown>
Exten: 12345
Uniqueid: 1733000000.1
Linkedid: 1733000000.1
Application: Dial
Duration: 00:00:12
BridgeId: 9a1d

Event: CoreShowChannelsComplete
ActionID: CoreShowChannels
EventList: Complete
ListItems: 1

Response: Error
ActionID: ParkedCalls
Message: Invalid/unknown command: ParkedCalls. Use Action: ListCommands to show available commands.

";

#[test]
fn it_logs_in_by_md5_and_reads_one_list_after_the_other() {
    let mut session = Session::new();
    assert_eq!(session.hear(GREETING), Ok(29));
    assert!(session.sent.starts_with("Action: Challenge\r\n"));
    session.hear(CHALLENGE).unwrap();
    // printf 152345678secret | md5sum
    let login = "Username: lamps\r\nKey: b5ed432e3124f12c8be8bdfc999b7433\r\nEvents: call\r\n";
    assert!(session.sent.contains(login), "{}", session.sent);
    assert!(!session.sent.contains("secret"));
    session.hear(ACCEPTED).unwrap();
    assert!(!session.protocol.has_read_all());
    session.hear(LISTS).unwrap();
    assert!(session.protocol.has_read_all());
    for list in super::LISTS {
        let action = format!("Action: {}\r\nActionID: {}\r\n\r\n", list.0, list.0);
        assert_eq!(session.sent.matches(&action).count(), 1, "{action}");
    }
    let complaints = session.protocol.take_complaints();
    assert!(complaints[0].contains("ParkedCalls"), "{complaints:?}");
    session.protocol.ask_for_life(&mut Vec::new());
}

#[test]
fn a_wrong_password_is_forbidden() {
    let mut session = Session::new();
    session.hear(GREETING).unwrap();
    session.hear(CHALLENGE).unwrap();
    let refused =
        session.hear("Response: Error\nActionID: login\nMessage: Authentication failed\n\n");
    assert_eq!(
        refused,
        Err(Fault::Forbidden("Authentication failed".to_owned()))
    );
}

#[test]
fn what_is_no_asterisk_is_garbage() {
    assert!(matches!(
        Session::new().hear("HTTP/1.1 400 Bad Request\n"),
        Err(Fault::Garbage(_))
    ));
}

#[test]
fn the_lists_tell_everything() {
    let session = Session::open();
    let outgoing = (CallState::Confirmed, None, "sip:12345@abc.com".to_owned());
    assert_eq!(session.states("104"), [outgoing]);
    let away = session.board.report("101").presence.unwrap();
    assert_eq!(away.activities, ["away".into()]);
    assert_eq!(away.note.as_deref(), Some("Back at \"two\""));
    assert_eq!(away.open, None);
    let unreachable = session.board.report("102").presence.unwrap();
    assert_eq!(unreachable.open, Some(false));
    assert!(session.states("103").is_empty(), "another context");
}

/// A call from 101 to 102, whose device is PJSIP/desk: `main/manager_channels.c`.
#[test]
fn a_call_lights_both_lamps_until_its_end() {
    let mut session = Session::open();
    session
        .hear(
            "Event: Newchannel
Privilege: call,all
Channel: PJSIP/101-00000007
ChannelState: 4
ChannelStateDesc: Ring
CallerIDNum: 101
ConnectedLineNum: <unknown>
Exten: 102
Uniqueid: 1733000001.7

Event: Newchannel
Privilege: call,all
Channel: PJSIP/desk-00000008
ChannelState: 0
ChannelStateDesc: Down
CallerIDNum: 102
ConnectedLineNum: 101
ConnectedLineName: Alice
Exten: s
Uniqueid: 1733000001.8

",
        )
        .unwrap();
    let calling = (
        CallState::Early,
        Some(Direction::Initiator),
        "sip:102@abc.com".to_owned(),
    );
    assert_eq!(session.states("101"), [calling]);
    assert!(session.states("102").is_empty(), "not yet ringing");
    let newstate = |channel: &str, id: &str, state: u8, other: &str| {
        format!(
            "Event: Newstate\nPrivilege: call,all\nChannel: {channel}\nChannelState: {state}\n\
             ConnectedLineNum: {other}\nExten: 102\nUniqueid: {id}\n\n"
        )
    };
    let desk = |state| newstate("PJSIP/desk-00000008", "1733000001.8", state, "101");
    session.hear(&desk(5)).unwrap();
    let ringing = (
        CallState::Early,
        Some(Direction::Recipient),
        "sip:101@abc.com".to_owned(),
    );
    assert_eq!(session.states("102"), [ringing]);
    session.hear(&desk(6)).unwrap();
    let [(state, direction, _)] = &session.states("102")[..] else {
        panic!("no call");
    };
    assert_eq!(
        (*state, *direction),
        (CallState::Confirmed, Some(Direction::Recipient))
    );
    let hold = desk(6).replace("Newstate", "Hold");
    session.hear(&hold).unwrap();
    let is_held = |session: &Session| session.board.report("102").calls[0].local().rendering;
    assert_eq!(is_held(&session), Some(false));
    session.hear(&desk(6)).unwrap();
    assert_eq!(is_held(&session), Some(false), "a Newstate ends no hold");
    session.hear(&hold.replace("Hold", "Unhold")).unwrap();
    assert_eq!(is_held(&session), None);
    let hangup = |channel: &str, id: &str| {
        format!(
            "Event: Hangup\nChannel: {channel}\nChannelState: 6\nUniqueid: {id}\nCause: 16\nCause-txt: Normal Clearing\n\n"
        )
    };
    session
        .hear(&hangup("PJSIP/desk-00000008", "1733000001.8"))
        .unwrap();
    session
        .hear(&hangup("PJSIP/101-00000007", "1733000001.7"))
        .unwrap();
    assert!(session.states("101").is_empty() && session.states("102").is_empty());
}

#[test]
fn parking_do_not_disturb_registration_and_lamps_are_told() {
    let mut session = Session::open();
    let parked = |event| {
        format!(
            "Event: {event}\nParkeeChannel: PJSIP/101-00000009\nParkeeCallerIDNum: 12345\nParkeeCallerIDName: Bob\n\
             ParkeeUniqueid: 1.9\nParkerDialString: PJSIP/102\nParkinglot: default\nParkingSpace: 701\nParkingTimeout: 45\n\n"
        )
    };
    session.hear(&parked("ParkedCall")).unwrap();
    assert_eq!(session.states("701").len(), 1);
    for end in ["UnParkedCall", "ParkedCallTimeOut", "ParkedCallGiveUp"] {
        session.hear(&parked("ParkedCall")).unwrap();
        session.hear(&parked(end)).unwrap();
        assert!(session.states("701").is_empty(), "{end}");
    }
    let device = |name: &str, state: &str| {
        format!("Event: DeviceStateChange\nPrivilege: call,all\nDevice: {name}\nState: {state}\n\n")
    };
    let is_dnd = |session: &Session| {
        let presence = session.board.report("101").presence;
        presence.is_some_and(|said| said.activities.contains(&"dnd".into()))
    };
    session.hear(&device("Custom:DND101", "BUSY")).unwrap();
    assert!(is_dnd(&session));
    session.hear(&device("Custom:DND101", "NOT_INUSE")).unwrap();
    assert!(!is_dnd(&session));
    session.hear(&device("PJSIP/desk", "NOT_INUSE")).unwrap();
    assert_eq!(session.board.report("102").presence, None);
    session.hear(&device("PJSIP/desk", "INVALID")).unwrap();
    assert_eq!(session.board.report("102").presence, None);
    let hint = |status: i32| {
        format!(
            "Event: ExtensionStatus\nExten: 105\nContext: from-internal\nHint: Custom:door\nStatus: {status}\nStatusText: x\n\n"
        )
    };
    session.hear(&hint(1)).unwrap();
    assert_eq!(session.states("105")[0].0, CallState::Confirmed);
    session.hear(&hint(8)).unwrap();
    assert_eq!(session.states("105")[0].0, CallState::Early);
    session.hear(&hint(-1)).unwrap();
    assert!(session.states("105").is_empty());
    session.hear("Event: PresenceStateChange\nPresentity: CustomPresence:101\nStatus: not_set\nSubtype: \nMessage: \n\n").unwrap();
    assert_eq!(session.board.report("101").presence, None);
}

#[test]
fn events_of_others_and_unknown_events_do_nothing() {
    let mut session = Session::open();
    session.board.take_changed(100);
    for event in [
        "Event: Newchannel\nChannel: Local/101@from-internal-00000001;1\nChannelState: 6\nUniqueid: 2.1\n\n",
        "Event: Newchannel\nChannel: PJSIP/trunk-00000001\nChannelState: 6\nUniqueid: 2.2\n\n",
        "Event: Newchannel\nChannel: PJSIP/101\nChannelState: 6\nUniqueid: 2.3\n\n",
        "Event: Newchannel\nChannel: PJSIP/101-1\nChannelState: x\nUniqueid: 2.3\n\n",
        "Event: SomethingNew\nChannel: PJSIP/101-00000001\nChannelState: 6\nUniqueid: 2.4\n\n",
        "Event: ParkedCall\nParkingSpace: 999\n\n",
        "Response: Success\nPing: Pong\nTimestamp: 1733000001.1\n\n",
        "\n",
    ] {
        session.hear(event).unwrap();
        assert!(!session.board.has_changed(), "{event}");
    }
}

/// However a session is cut into reads, it says the same; and no octets make it panic.
#[test]
fn a_session_may_be_cut_anywhere_and_garbled() {
    let whole = [GREETING, CHALLENGE, ACCEPTED, LISTS].concat();
    let whole = whole.replace('\n', "\r\n").into_bytes();
    let reports = |session: &Session| ["101", "102", "104"].map(|user| session.board.report(user));
    let expected = reports(&Session::open());
    let mut bytewise = Session::new();
    let mut rest: Vec<u8> = Vec::new();
    for octet in &whole {
        rest.push(*octet);
        let taken = bytewise.hear_octets(&rest).unwrap();
        rest.drain(..taken);
    }
    assert_eq!(reports(&bytewise), expected);
    for place in 0..whole.len() {
        let mut garbled = whole.clone();
        garbled[place] ^= 0x95;
        let mut session = Session::new();
        let _ = session.hear_octets(&garbled);
        let mut cut = whole.clone();
        cut.remove(place);
        let mut session = Session::new();
        let _ = session.hear_octets(&cut);
    }
}
