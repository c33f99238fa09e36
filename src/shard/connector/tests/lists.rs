//! A connector that subscribes to a list, or to any-dn.

use super::*;
use crate::directory::connectors::{ListKind, UpstreamList};

pub(super) const CONTENT_TYPE: &str =
    "Multipart/Related; type=\"application/rlmi+xml\"; start=\"<root@pbx>\"; boundary=\"a b:c\"";

/// A connector of that kind of list, for the users of a range.
fn world(kind: ListKind, users: &str) -> World {
    World::new(|connector, upstream| {
        connector.users = match users {
            "demand" => UserSelection {
                on_demand: true,
                ..UserSelection::default()
            },
            range => UserSelection {
                ranges: vec![UserRange::parse(range).unwrap()],
                ..UserSelection::default()
            },
        };
        upstream.list = Some(UpstreamList {
            uri: "sip:lamps@pbx.com".into(),
            kind,
        });
    })
}

fn stored(users: &str) -> World {
    world(ListKind::Stored, users)
}

fn document(user: &str, call: &str) -> String {
    dialog_info(call).replace("sip:1@", &format!("sip:{user}@"))
}

/// The body of a list. Of each user: what is said about it, a call's state, or the attributes of its instance.
fn list(version: u32, full: bool, users: &[(&str, &str)]) -> String {
    let (mut resources, mut parts) = (String::new(), String::new());
    for (user, says) in users {
        let instance = match *says {
            "" => String::new(),
            attributes if attributes.contains('=') => format!("<instance id=\"i\" {attributes}/>"),
            call => {
                let part = document(user, call);
                parts.push_str(&format!(
                    "--a b:c\r\ncontent-id: <{user}@pbx>\r\nX-Odd: yes\r\n\
                     Content-Type: application/dialog-info+xml;charset=\"utf-8\"\r\n\r\n{part}\r\n"
                ));
                format!("<instance id=\"i\" state=\"active\" cid=\"{user}@pbx\"/>")
            }
        };
        resources.push_str(&format!(
            "<resource uri=\"sip:{user}@pbx.com;x=y\"><name>{user}</name>{instance}</resource>"
        ));
    }
    format!(
        "--a b:c\r\nContent-ID: <root@pbx>\r\nContent-Type: application/rlmi+xml\r\n\r\n\
         <list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:lamps@pbx.com\" version=\"{version}\" fullState=\"{full}\">\
         {resources}</list>\r\n{parts}--a b:c--\r\n"
    )
}

impl World {
    fn accept_list(&mut self, request: &Sent, body: &str) {
        self.respond(request, "200 OK", "Require: eventlist\r\nExpires: 600\r\n");
        assert_eq!(self.notify(request, "active;expires=600", body), "200");
        self.wait(Duration::from_millis(20));
    }

    fn tell(&mut self, request: &Sent, body: &str) {
        assert_eq!(self.notify(request, "active;expires=600", body), "200");
        self.wait(Duration::from_millis(20));
    }

    /// The status of each user, in order.
    fn statuses(&mut self) -> Vec<(String, &'static str)> {
        let users = self.listed().into_iter();
        users
            .map(|user| (user.aor.user().to_owned(), user.status.as_str()))
            .collect()
    }

    fn status_of(&mut self, user: &str) -> &'static str {
        let statuses = self.statuses();
        let known = statuses.iter().find(|(known, _)| known == user);
        known.map_or("-", |(_, status)| status)
    }

    fn lamp_of(&mut self, user: &str) -> CallState {
        self.why(user).lamp
    }
}

#[test]
fn one_subscription_lights_the_lamps_of_all() {
    let mut world = stored("101-103");
    let request = world.request();
    assert!(
        request
            .text
            .starts_with("SUBSCRIBE sip:lamps@pbx.com SIP/2.0")
    );
    assert_eq!(request.header("Supported"), "eventlist");
    assert!(
        request
            .text
            .contains("\r\nAccept: multipart/related, application/rlmi+xml\r\n")
    );
    assert_eq!(
        world.statuses(),
        [
            ("101", "Requesting"),
            ("102", "Requesting"),
            ("103", "Requesting")
        ]
        .map(owned)
    );
    let body = list(
        0,
        true,
        &[
            ("101", "confirmed"),
            ("102", "idle"),
            ("103", ""),
            ("999", "early"),
        ],
    );
    world.accept_list(&request, &body);
    assert_eq!(
        world.statuses(),
        [("101", "Busy"), ("102", "Available"), ("103", "Requesting")].map(owned)
    );
    assert_eq!(world.lamp_of("101"), CallState::Confirmed);
    assert_eq!(
        world.why("101").contributions[0].source.to_string(),
        "upstream:pbx"
    );
    assert_eq!(world.counter("upstream_users_ignored"), 1);
    assert!(world.why("999").contributions.is_empty());
    let report = world.report();
    assert_eq!(
        (report.subscriptions, report.status.as_str()),
        (1, "UpAndRunning")
    );
    world.tell(
        &request,
        &list(1, false, &[("101", "idle"), ("103", "early")]),
    );
    assert_eq!(
        (world.lamp_of("101"), world.lamp_of("103")),
        (CallState::Terminated, CallState::Early)
    );
    world.wait_seconds(100);
    assert_eq!(
        world.status_of("102"),
        "Available",
        "a partial list leaves out who did not change"
    );
    assert!(world.requests().is_empty());
}

fn owned((user, status): (&str, &'static str)) -> (String, &'static str) {
    (user.to_owned(), status)
}

#[test]
fn a_full_state_may_come_in_bursts_of_three() {
    let mut world = stored("101-109");
    let request = world.request();
    let burst = |from: u32| [0, 1, 2].map(|next| (from + next).to_string());
    let say = |users: &[String; 3], version, full| {
        list(
            version,
            full,
            &users.each_ref().map(|user| (&**user, "confirmed")),
        )
    };
    world.accept_list(&request, &say(&burst(101), 0, true));
    world.wait_seconds(4);
    world.tell(&request, &say(&burst(104), 1, false));
    world.wait_seconds(4);
    world.tell(&request, &say(&burst(107), 2, false));
    world.wait_seconds(30);
    assert!(world.statuses().iter().all(|(_, status)| *status == "Busy"));
    // The same at a refresh, full each time.
    let refresh = world.next_request();
    world.accept_list(&refresh, &say(&burst(101), 3, true));
    world.wait_seconds(1);
    world.tell(&refresh, &say(&burst(104), 4, true));
    world.wait_seconds(1);
    world.tell(&refresh, &say(&burst(107), 5, true));
    world.wait_seconds(30);
    assert!(world.statuses().iter().all(|(_, status)| *status == "Busy"));
    assert_eq!(world.lamp_of("104"), CallState::Confirmed);
}

#[test]
fn a_user_that_a_full_list_leaves_out_is_not_reported_on() {
    let mut world = stored("101-103");
    let request = world.request();
    world.accept_list(
        &request,
        &list(0, true, &[("101", "confirmed"), ("102", "confirmed")]),
    );
    assert_eq!(world.status_of("103"), "Requesting");
    world.wait_seconds(6);
    assert_eq!(
        (world.status_of("103"), world.status_of("102")),
        ("Not Found", "Busy")
    );
    world.tell(
        &request,
        &list(1, true, &[("101", "confirmed"), ("103", "confirmed")]),
    );
    assert_eq!(
        world.lamp_of("102"),
        CallState::Confirmed,
        "it may still come"
    );
    world.wait_seconds(6);
    assert_eq!(
        (world.status_of("102"), world.lamp_of("102")),
        ("Not Found", CallState::Terminated)
    );
    assert!(world.why("102").contributions.is_empty());
    assert_eq!(
        (world.status_of("103"), world.lamp_of("101")),
        ("Busy", CallState::Confirmed)
    );
}

/// As Kamailio's rls does it: names first, then the states that there are; after a refresh a partial list.
#[test]
fn a_user_without_a_state_is_offline() {
    let mut world = stored("101-102");
    let request = world.request();
    let names = [("101", ""), ("102", "")];
    world.accept_list(&request, &list(1, true, &names));
    world.wait_seconds(1);
    world.tell(&request, &list(2, false, &[("101", "confirmed")]));
    assert_eq!(world.status_of("102"), "Requesting");
    world.wait_seconds(6);
    assert_eq!(
        world.statuses(),
        [("101", "Busy"), ("102", "Offline")].map(owned)
    );
    let refresh = world.next_request();
    world.accept_list(&refresh, &list(3, false, &[("101", "confirmed")]));
    world.wait_seconds(30);
    world.tell(&refresh, &list(4, true, &names));
    world.wait_seconds(30);
    assert_eq!(
        (world.lamp_of("101"), world.status_of("101")),
        (CallState::Confirmed, "Busy")
    );
    assert_eq!(world.counter("connector_differences"), 0);
    // It was restarted, and lost what was published.
    let refresh = world.next_request();
    world.respond(&refresh, "481 Subscription does not exist", "");
    let anew = world.request();
    world.accept_list(&anew, &list(1, true, &names));
    assert_eq!(
        world.lamp_of("101"),
        CallState::Confirmed,
        "it may still come"
    );
    world.wait_seconds(6);
    assert_eq!(
        (world.lamp_of("101"), world.status_of("101")),
        (CallState::Terminated, "Offline")
    );
    assert!(world.why("101").contributions.is_empty());
}

#[test]
fn each_state_of_an_instance_has_its_status() {
    for (instance, status, is_lit, is_stale) in [
        ("state=\"pending\"", "Requesting", true, false),
        ("state=\"active\"", "Busy", true, false),
        ("state=\"active\" cid=\"nowhere\"", "Busy", true, false),
        (
            "state=\"terminated\" reason=\"rejected\"",
            "Access denied",
            false,
            false,
        ),
        (
            "state=\"terminated\" reason=\"noresource\"",
            "Not Found",
            false,
            false,
        ),
        (
            "state=\"terminated\" reason=\"invariant\"",
            "Busy",
            true,
            false,
        ),
        (
            "state=\"terminated\" reason=\"deactivated\"",
            "Error",
            true,
            true,
        ),
        (
            "state=\"terminated\" reason=\"timeout\"",
            "Error",
            true,
            true,
        ),
        (
            "state=\"terminated\" reason=\"probation\"",
            "Error",
            true,
            true,
        ),
        (
            "state=\"terminated\" reason=\"giveup\"",
            "Error",
            true,
            true,
        ),
        (
            "state=\"terminated\" reason=\"unheard-of\"",
            "Error",
            true,
            true,
        ),
        ("state=\"terminated\"", "Error", true, true),
    ] {
        let mut world = stored("1-2");
        let request = world.request();
        let busy = [("1", "confirmed"), ("2", "confirmed")];
        world.accept_list(&request, &list(0, true, &busy));
        world.tell(&request, &list(1, false, &[("1", instance)]));
        assert_eq!(world.status_of("1"), status, "{instance}");
        let is_red = world.lamp_of("1") == CallState::Confirmed;
        assert_eq!(is_red, is_lit, "{instance}");
        assert_eq!(is_red && world.is_stale(), is_stale, "{instance}");
        assert_eq!(world.status_of("2"), "Busy");
        world.tell(&request, &list(2, false, &[("1", "early")]));
        assert_eq!(
            (world.lamp_of("1"), world.status_of("1")),
            (CallState::Early, "Busy")
        );
        assert!(!world.is_stale());
    }
}

#[test]
fn a_version_that_was_skipped_has_the_full_state_asked_for() {
    let mut world = stored("1-2");
    let request = world.request();
    world.accept_list(&request, &list(0, true, &[("1", "idle"), ("2", "idle")]));
    world.tell(&request, &list(3, false, &[("1", "confirmed")]));
    assert_eq!(world.lamp(), CallState::Confirmed, "what came counts");
    world.wait_seconds(2);
    let refresh = world.request();
    assert_eq!(refresh.header("Call-ID"), request.header("Call-ID"));
    world.accept_list(
        &refresh,
        &list(4, true, &[("1", "confirmed"), ("2", "early")]),
    );
    assert_eq!(world.lamp_of("2"), CallState::Early);
    assert_eq!(world.counter("connector_differences"), 1);
    for version in [6, 8, 10, 12] {
        world.tell(&refresh, &list(version, false, &[("1", "confirmed")]));
        world.wait_seconds(2);
    }
    assert!(world.requests().is_empty(), "not for each");
    for _ in 0..3 {
        world.tell(&refresh, &list(0, false, &[("1", "early")]));
    }
    world.wait_seconds(40);
    assert!(world.requests().is_empty(), "a server that does not count");
    assert_eq!(world.lamp(), CallState::Early);
}

#[test]
fn a_server_without_lists_is_told_from_one_that_fails() {
    let mut world = stored("1-2");
    let request = world.request();
    world.respond(&request, "420 Bad Extension", "Unsupported: eventlist\r\n");
    assert_eq!(
        (world.status(), world.status_of("1")),
        ("Lists not supported", "Error")
    );
    let again = world.next_request();
    world.respond(&again, "200 OK", "Expires: 600\r\n");
    assert_eq!(
        world.notify(&again, "active", &document("lamps", "confirmed")),
        "200"
    );
    assert_eq!(
        (world.status(), world.status_of("2")),
        ("Lists not supported", "Error")
    );
    assert!(world.why("lamps").contributions.is_empty());
    world.tell(&again, &list(0, true, &[("1", "early"), ("2", "idle")]));
    assert_eq!(
        (world.status(), world.status_of("1")),
        ("UpAndRunning", "Busy")
    );
    world.tell(&again, &document("lamps", "idle"));
    assert!(world.is_stale(), "nothing is known about its users");
    assert_eq!(world.status_of("2"), "Error");
}

#[test]
fn what_the_list_fails_with_is_the_status_of_all() {
    for (response, status, is_lit) in [
        ("404 Not Found", "Not Found", false),
        ("500 Server Internal Error", "Error", true),
        ("488 Not Acceptable Here", "Error", true),
    ] {
        let mut world = stored("1-2");
        let request = world.request();
        world.accept_list(
            &request,
            &list(0, true, &[("1", "confirmed"), ("2", "idle")]),
        );
        let refresh = world.next_request();
        world.respond(&refresh, response, "");
        world.wait_seconds(1);
        assert_eq!(
            world.statuses(),
            [("1", status), ("2", status)].map(owned),
            "{response}"
        );
        assert_eq!(world.lamp() == CallState::Confirmed, is_lit, "{response}");
        assert_eq!(is_lit && world.is_stale(), is_lit, "{response}");
        let again = world.next_request();
        world.accept_list(&again, &list(0, true, &[("1", "early"), ("2", "idle")]));
        assert_eq!(
            (world.lamp(), world.status_of("2")),
            (CallState::Early, "Available")
        );
    }
}

#[test]
fn after_489_the_list_is_subscribed_to_for_presence() {
    let mut world = stored("1-1");
    let request = world.request();
    world.respond(&request, "489 Bad Event", "");
    let request = world.request();
    assert_eq!(request.header("Event"), "presence");
    let body = list(0, true, &[("1", "idle")]);
    let start = body.find("<dialog-info").unwrap();
    let end = body.find("</dialog-info>").unwrap() + "</dialog-info>".len();
    let pidf = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1@pbx.com\"><tuple id=\"t\"><status>\
        <basic>closed</basic></status></tuple></presence>";
    let body = format!("{}{pidf}{}", &body[..start], &body[end..]);
    world.accept_list(&request, &body.replace("dialog-info+xml", "pidf+xml"));
    assert_eq!(world.status_of("1"), "Offline");
}

#[test]
fn a_lost_server_marks_all_users_and_a_new_dialog_heals_them() {
    let mut world = stored("1-300");
    let request = world.request();
    let users: Vec<String> = (1..=300).map(|user: u32| user.to_string()).collect();
    let busy: Vec<_> = users.iter().map(|user| (&**user, "confirmed")).collect();
    world.accept_list(&request, &list(0, true, &busy[..130]));
    world.tell(&request, &list(1, false, &busy[130..260]));
    world.tell(&request, &list(2, false, &busy[260..]));
    assert_eq!(world.lamp_of("300"), CallState::Confirmed);
    let _refresh = world.next_request();
    world.wait_seconds(33);
    assert_eq!(world.status(), "ConnectionError");
    assert_eq!(
        (world.status_of("1"), world.status_of("300")),
        ("Error", "Error")
    );
    assert!(world.why("300").contributions[0].stale.is_some());
    let refresh = world.next_request();
    world.respond(&refresh, "481 Subscription Does Not Exist", "");
    let anew = world.request();
    assert_ne!(anew.header("Call-ID"), request.header("Call-ID"));
    let idle: Vec<_> = users.iter().map(|user| (&**user, "idle")).collect();
    world.accept_list(&anew, &list(0, true, &idle[..130]));
    world.tell(&anew, &list(1, false, &idle[130..260]));
    world.tell(&anew, &list(2, false, &idle[260..]));
    assert_eq!(
        (world.status(), world.lamp_of("300")),
        ("UpAndRunning", CallState::Terminated)
    );
    assert_eq!(
        world.counter("connector_differences"),
        0,
        "a new dialog is no audit"
    );
}

#[test]
fn a_refresh_of_a_list_corrects_each_user_once() {
    let mut world = stored("1-3");
    let request = world.request();
    world.accept_list(
        &request,
        &list(0, true, &[("1", "confirmed"), ("2", "idle"), ("3", "idle")]),
    );
    let refresh = world.next_request();
    world.accept_list(
        &refresh,
        &list(1, true, &[("1", "idle"), ("2", "idle"), ("3", "early")]),
    );
    assert_eq!(world.counter("connector_differences"), 2);
    world.tell(&refresh, &list(2, false, &[("1", "confirmed")]));
    assert_eq!(
        world.counter("connector_differences"),
        2,
        "a change is no difference"
    );
}

#[test]
fn stop_start_and_restart() {
    let mut world = stored("1-2");
    let request = world.request();
    let busy = [("1", "confirmed"), ("2", "confirmed")];
    world.accept_list(&request, &list(0, true, &busy));
    world.order(ConnectorOrder::Stop);
    let end = world.request();
    assert_eq!(
        (end.header("Expires"), world.lamp_of("2")),
        ("0", CallState::Terminated)
    );
    world.respond(&end, "200 OK", "Expires: 0\r\n");
    world.notify(&end, "terminated;reason=timeout", &list(1, true, &busy));
    assert_eq!(
        (world.status(), world.lamp()),
        ("Disabled", CallState::Terminated)
    );
    world.order(ConnectorOrder::Start);
    let request = world.request();
    world.accept_list(&request, &list(0, true, &busy));
    world.order(ConnectorOrder::Restart);
    assert_eq!(world.lamp(), CallState::Confirmed, "meanwhile it counts");
    let requests = world.requests();
    let expires: Vec<&str> = requests.iter().map(|sent| sent.header("Expires")).collect();
    assert_eq!(expires, ["0", "600"]);
    world.accept_list(&requests[1], &list(0, true, &busy[..1]));
    world.wait_seconds(6);
    assert_eq!(
        (world.lamp(), world.lamp_of("2")),
        (CallState::Confirmed, CallState::Terminated)
    );
    world.reload(Vec::new());
    world.wait_seconds(100);
    assert_eq!(
        (world.counter("clients"), world.lamp()),
        (0, CallState::Terminated)
    );
}

#[test]
fn on_demand_whoever_the_list_names_counts_while_it_names_them() {
    let mut world = stored("demand");
    let request = world.request();
    assert!(world.statuses().is_empty());
    world.accept_list(
        &request,
        &list(0, true, &[("1", "confirmed"), ("2", "idle")]),
    );
    assert_eq!(
        world.statuses(),
        [("1", "Busy"), ("2", "Available")].map(owned)
    );
    world.order(ConnectorOrder::Restart);
    let request = world.requests().pop().unwrap();
    world.accept_list(&request, &list(0, true, &[("2", "confirmed")]));
    assert_eq!(
        world.lamp(),
        CallState::Confirmed,
        "known before the restart"
    );
    world.wait_seconds(6);
    assert_eq!(
        (world.lamp(), world.status_of("1")),
        (CallState::Terminated, "-")
    );
    assert_eq!(world.lamp_of("2"), CallState::Confirmed);
    watch(&mut world, "7", true);
    assert!(world.requests().is_empty(), "a watcher changes nothing");
}

#[test]
fn on_demand_a_list_follows_the_accounts_of_the_domain() {
    let mut world = stored("demand");
    let request = world.request();
    let connectors = vec![world.connector.clone()];
    let mut closed = Directory::default();
    closed.add_domain(Domain::new("abc.com"), &[]).unwrap();
    closed.add_account("1", "abc.com", "secret");
    world.directory = closed;
    world.reload(connectors.clone());
    let both = [("1", "confirmed"), ("2", "confirmed")];
    world.accept_list(&request, &list(0, true, &both));
    assert_eq!(world.statuses(), [("1", "Busy")].map(owned));
    world.directory.add_account("2", "abc.com", "secret");
    world.reload(connectors.clone());
    world.wait_seconds(2);
    let refresh = world.request();
    world.accept_list(&refresh, &list(1, true, &both));
    assert_eq!(
        world.statuses(),
        both.map(|(user, _)| (user, "Busy")).map(owned)
    );
    world
        .directory
        .take_account(&Aor::new("1", "abc.com"))
        .unwrap();
    world.reload(connectors);
    world.wait_seconds(1);
    assert_eq!(world.statuses(), [("2", "Busy")].map(owned));
}

/// The users that a SUBSCRIBE names.
fn named(request: &Sent) -> Vec<String> {
    assert_eq!(request.header("Require"), "recipient-list-subscribe");
    assert_eq!(request.header("Content-Disposition"), "recipient-list");
    assert_eq!(
        request.header("Content-Type"),
        "application/resource-lists+xml"
    );
    let (_, body) = request.text.split_once("\r\n\r\n").unwrap();
    let entries = crate::presence::document::resource_lists::parse(body.as_bytes()).unwrap();
    let user = |uri: &str| uri.replace("sip:", "").replace("@pbx.com", "");
    entries.iter().map(|entry| user(&entry.uri)).collect()
}

#[test]
fn a_list_in_the_request_names_the_users() {
    let mut world = world(ListKind::Enclosed, "1000-1249");
    let mut requests = world.requests();
    assert_eq!(requests.len(), 1, "one tries the server");
    let first = requests.remove(0);
    let users = named(&first);
    let idle: Vec<_> = users.iter().map(|user| (&**user, "idle")).collect();
    world.accept_list(&first, &list(0, true, &idle));
    world.wait_seconds(1);
    let others = world.requests();
    let mut all = named(&first);
    all.extend(others.iter().flat_map(named));
    all.sort_unstable();
    assert!(others.iter().all(|one| named(one).len() <= 100));
    assert!(
        all.iter()
            .cloned()
            .eq((1000..1250).map(|user: u32| user.to_string()))
    );
    for request in &others {
        let users = named(request);
        let busy: Vec<_> = users.iter().map(|user| (&**user, "confirmed")).collect();
        world.accept_list(request, &list(0, true, &busy));
    }
    let busy = world
        .statuses()
        .iter()
        .filter(|(_, status)| *status == "Busy")
        .count();
    assert_eq!(busy, 250 - users.len());
    assert_eq!(world.report().subscriptions, 3);
}

#[test]
fn accounts_that_come_and_go_change_the_list_in_the_request() {
    let mut world = World::new(|connector, upstream| {
        connector.users = UserSelection {
            accounts: true,
            ..UserSelection::default()
        };
        upstream.list = Some(UpstreamList {
            uri: "sip:lamps@pbx.com".into(),
            kind: ListKind::Enclosed,
        });
    });
    let connectors = vec![world.connector.clone()];
    assert_eq!(world.status(), "Not requested by anyone");
    world.directory.add_account("1", "abc.com", "secret");
    world.reload(connectors.clone());
    let request = world.request();
    assert_eq!(named(&request), ["1"]);
    world.accept_list(&request, &list(0, true, &[("1", "confirmed")]));
    world.directory.add_account("2", "abc.com", "secret");
    world.reload(connectors.clone());
    world.wait_seconds(2);
    let refresh = world.request();
    assert_eq!(named(&refresh), ["1", "2"]);
    assert!(refresh.header("To").contains("tag=theirs"));
    world.accept_list(
        &refresh,
        &list(1, true, &[("1", "confirmed"), ("2", "early")]),
    );
    assert_eq!(world.lamp_of("2"), CallState::Early);
    world
        .directory
        .take_account(&Aor::new("1", "abc.com"))
        .unwrap();
    world.reload(connectors.clone());
    assert_eq!(world.lamp(), CallState::Terminated);
    world.wait_seconds(2);
    assert_eq!(named(&world.request()), ["2"]);
    world
        .directory
        .take_account(&Aor::new("2", "abc.com"))
        .unwrap();
    world.reload(connectors);
    world.wait_seconds(2);
    let end = world.requests().pop();
    assert!(end.is_none_or(|end| end.header("Expires") == "0"));
    world.wait_seconds(100);
    assert_eq!(world.counter("clients"), 0);
}

#[test]
fn many_states_are_passed_on_by_and_by() {
    let mut world = stored("1000-1899");
    let request = world.request();
    let users: Vec<String> = (1000..1900).map(|user: u32| user.to_string()).collect();
    let part = "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"/>";
    let (mut resources, mut parts) = (String::new(), String::new());
    for user in &users[..250] {
        resources.push_str(&format!("<resource uri=\"sip:{user}@pbx.com\"><instance id=\"i\" state=\"active\" cid=\"{user}\"/></resource>"));
        parts.push_str(&format!("--a b:c\r\nContent-ID: <{user}>\r\nContent-Type: application/dialog-info+xml\r\n\r\n{part}\r\n"));
    }
    let body = format!(
        "--a b:c\r\nContent-ID: <root@pbx>\r\nContent-Type: application/rlmi+xml\r\n\r\n\
         <list xmlns=\"urn:ietf:params:xml:ns:rlmi\" version=\"0\" fullState=\"true\">{resources}</list>\r\n{parts}--a b:c--\r\n"
    );
    assert!(body.len() < 64 * 1024, "{}", body.len());
    world.respond(&request, "200 OK", "Expires: 600\r\n");
    assert_eq!(world.notify(&request, "active", &body), "200", "at once");
    let heard = |world: &mut World| {
        let mut count = 0;
        for user in &users {
            count += usize::from(!world.why(user).contributions.is_empty());
        }
        count
    };
    assert_eq!(heard(&mut world), 100);
    world.wait(Duration::from_millis(1));
    assert_eq!(heard(&mut world), 200);
    world.wait(Duration::from_millis(20));
    assert_eq!(heard(&mut world), 250);
    // What waits is told though the subscription ends meanwhile.
    world.tell(&request, &body.replace("version=\"0\"", "version=\"1\""));
    world.reload(Vec::new());
    world.wait_seconds(100);
    assert_eq!((heard(&mut world), world.counter("clients")), (0, 0));
}

#[test]
fn any_dn_is_a_document_about_each_user() {
    let mut world = world(ListKind::AnyDn, "1-4");
    let request = world.request();
    assert_eq!(
        (request.header("Supported"), request.header("Accept")),
        ("", "application/dialog-info+xml")
    );
    world.respond(&request, "200 OK", "Expires: 600\r\n");
    world.tell(&request, &document("1", "confirmed"));
    for (user, call) in [("2", "confirmed"), ("3", "idle"), ("77", "idle")] {
        world.wait_seconds(4);
        world.tell(&request, &document(user, call));
    }
    assert_eq!(
        (world.lamp(), world.lamp_of("2")),
        (CallState::Confirmed, CallState::Confirmed)
    );
    assert_eq!(
        (world.status_of("3"), world.status_of("4")),
        ("Available", "Requesting")
    );
    assert_eq!(world.counter("upstream_users_ignored"), 1);
    world.wait_seconds(6);
    assert_eq!(world.status_of("4"), "Not Found", "it is not there");
    world.tell(&request, &document("4", "early"));
    assert_eq!(
        (world.lamp_of("4"), world.status_of("4")),
        (CallState::Early, "Busy")
    );
    let refresh = world.next_request();
    world.respond(&refresh, "200 OK", "Expires: 600\r\n");
    world.tell(&refresh, &document("1", "idle"));
    assert_eq!(
        (world.lamp(), world.counter("connector_differences")),
        (CallState::Terminated, 1)
    );
    world.wait_seconds(70);
    assert_eq!(
        world.lamp_of("2"),
        CallState::Confirmed,
        "a refresh need not repeat all"
    );
}

#[test]
fn any_dn_in_one_document_is_about_the_local_parties() {
    let mut world = world(ListKind::AnyDn, "1-4");
    let request = world.request();
    let dialog = |id: u32, user: &str, state: &str| {
        format!(
            "<dialog id=\"{id}\"><state>{state}</state><local><identity>{user}</identity></local></dialog>"
        )
    };
    let whole = |state: &str, dialogs: &str| {
        format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"{state}\" \
             entity=\"sip:lamps@pbx.com\">{dialogs}</dialog-info>"
        )
    };
    world.respond(&request, "200 OK", "Expires: 600\r\n");
    let calls = [
        dialog(1, "sip:1@pbx.com", "confirmed"),
        dialog(2, "sip:2@10.0.0.9:5060", "early"),
        dialog(3, "2", "confirmed"),
        dialog(4, "sip:3@elsewhere.com", "confirmed"),
        "<dialog id=\"5\"><state>early</state></dialog>".to_owned(),
    ];
    world.tell(&request, &whole("full", &calls.concat()));
    assert_eq!(
        world.statuses(),
        [
            ("1", "Busy"),
            ("2", "Busy"),
            ("3", "Available"),
            ("4", "Available")
        ]
        .map(owned)
    );
    assert_eq!(world.counter("upstream_users_ignored"), 2);
    world.tell(
        &request,
        &whole("partial", &dialog(6, "sip:3@pbx.com", "early")),
    );
    assert_eq!(
        (world.lamp(), world.lamp_of("3")),
        (CallState::Confirmed, CallState::Early)
    );
    world.tell(&request, &whole("full", ""));
    world.wait_seconds(10);
    assert!(
        world
            .statuses()
            .iter()
            .all(|(_, status)| *status == "Available")
    );
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn another_shard_has_the_list_and_this_one_says_nothing() {
    let now = Instant::now();
    let mut here = 0;
    for name in ["pbx", "a", "b", "c", "d", "e", "f", "g"] {
        let mut statuses = Vec::new();
        for shard in [0, 1] {
            let mut world = stored("1-10");
            world.connector.name = name.into();
            world
                .directory
                .set_connectors(vec![world.connector.clone()]);
            let options = Options::new(ShardId(shard), 2, now, [1; 32]);
            world.now = now;
            world.shard = Shard::new(options, Arc::new(world.directory.clone()), [2; 32]);
            world.requests();
            world.seen.clear();
            world.wait(Duration::from_millis(100));
            let requests = world.requests();
            here += requests.len();
            statuses.push((requests.len(), world.status()));
        }
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            [(0, "Not requested by anyone"), (1, "Requesting")],
            "{name}"
        );
    }
    assert_eq!(here, 8);
}

#[test]
fn damaged_lists_do_no_harm() {
    let mut random = crate::sip::random::Random::new([7; 32]);
    for kind in [ListKind::Stored, ListKind::AnyDn] {
        for _ in 0..200 {
            let mut world = world(kind, "1-3");
            let request = world.request();
            world.respond(&request, "200 OK", "Expires: 600\r\n");
            for version in 0..4 {
                let full = random.below(2) == 0;
                let body = list(
                    version,
                    full,
                    &[("1", "early"), ("2", "state=\"pending\""), ("3", "")],
                );
                let mut octets = body.into_bytes();
                for _ in 0..random.below(4) {
                    let at = random.below(octets.len() as u32) as usize;
                    octets[at] = b" -<>\"=\r\n:"[random.below(9) as usize];
                }
                let body = String::from_utf8_lossy(&octets).into_owned();
                if !body.starts_with("--") {
                    continue;
                }
                let status = world.notify(&request, "active", &body);
                assert!(["200", "400", "415", "481"].contains(&&*status), "{status}");
                world.wait_seconds(u64::from(random.below(20)));
            }
            world.reload(Vec::new());
            world.wait_seconds(300);
            assert_eq!((world.counter("clients"), world.counter("timers")), (0, 0));
        }
    }
}
