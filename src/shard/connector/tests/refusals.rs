//! A PBX that refuses: who is said to be refused, for how long, and what is believed of it meanwhile.

use super::*;

#[test]
fn a_server_that_no_longer_serves_any_user_refuses_us() {
    let mut world = World::users("1-2");
    let first = world.request();
    world.accept(&first, 600, "idle");
    world.wait_seconds(1);
    let second = world.request();
    world.accept(&second, 600, "idle");
    let refresh = world.next_request();
    world.respond(&refresh, "403 Forbidden", "");
    assert_eq!(world.status(), "UpAndRunning", "one user is refused");
    let refresh = world.next_request();
    world.respond(&refresh, "403 Forbidden", "");
    assert_eq!(world.status(), "Forbidden");
    let again = world.next_request();
    world.accept(&again, 600, "idle");
    assert_eq!(world.status(), "UpAndRunning");
}

#[test]
fn notifies_bring_no_requests_to_a_server_that_refuses_them() {
    let mut world = World::users("1-2");
    let first = world.request();
    world.accept(&first, 600, "idle");
    world.wait_seconds(1);
    let second = world.request();
    world.accept(&second, 600, "idle");
    let refresh = world.next_request();
    world.respond(&refresh, "503 Service Unavailable", "");
    let alive = match refresh.user() {
        "1" => second,
        _ => first,
    };
    let body = dialog_info("confirmed").replace("sip:1@", &format!("sip:{}@", alive.user()));
    let mut count = 0;
    for _ in 0..200 {
        assert_eq!(world.notify(&alive, "active", &body), "200");
        for request in world.requests() {
            world.respond(&request, "503 Service Unavailable", "");
            count += 1;
        }
        world.wait_seconds(1);
    }
    assert!((5..=9).contains(&count), "{count} requests");
    assert_eq!(world.why(alive.user()).lamp, CallState::Confirmed);
    assert_eq!(world.status(), "ConnectionError");
    world.wait_seconds(700);
    for request in world.requests() {
        world.respond(&request, "503 Service Unavailable", "");
    }
    world.wait_seconds(1);
    assert!(
        world
            .listed()
            .iter()
            .all(|user| user.status.as_str() == "Error")
    );
    let why = world.why(alive.user());
    assert!(why.contributions.iter().all(|it| it.stale.is_some()));
}

#[test]
fn refusals_of_one_user_end_no_other_subscription() {
    let mut world = World::users("1-2");
    let first = world.request();
    world.accept(&first, 3600, "idle");
    world.wait_seconds(1);
    for _ in 0..4 {
        let second = world.next_request();
        world.respond(&second, "403 Forbidden", "");
        assert_eq!(world.status(), "UpAndRunning");
    }
    assert_eq!(world.report().subscriptions, 1);
}

#[test]
fn who_is_declined_is_denied() {
    let (mut world, _) = World::busy();
    let refresh = world.next_request();
    world.respond(&refresh, "603 Decline", "");
    assert_eq!(world.user_status(), "Access denied");
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn failures_do_not_lengthen_the_pause_after_a_refusal() {
    let (mut world, _) = World::busy();
    for _ in 0..5 {
        let request = world.next_request();
        world.respond(&request, "500 Server Internal Error", "");
    }
    let request = world.next_request();
    world.respond(&request, "404 Not Found", "");
    let before = world.now;
    world.next_request();
    let pause = (world.now - before).as_secs();
    assert!((45..=76).contains(&pause), "{pause} s");
}

#[test]
fn who_waits_for_a_server_that_cannot_be_used_is_in_error() {
    let mut world = World::new(|connector, _| {
        connector.users = UserSelection {
            on_demand: true,
            ranges: vec![UserRange::parse("1").unwrap()],
            ..UserSelection::default()
        };
    });
    world.wait_seconds(40);
    assert_eq!(world.status(), "ConnectionError");
    watch(&mut world, "2", true);
    let users = world.listed();
    let statuses: Vec<&str> = users.iter().map(|user| user.status.as_str()).collect();
    assert_eq!(statuses, ["Error", "Error"]);
}

#[test]
fn a_document_about_another_user_is_refused() {
    let (mut world, request) = World::busy();
    let other = dialog_info("idle").replace("sip:1@", "sip:2@");
    assert_eq!(world.notify(&request, "active", &other), "400");
    assert_eq!(world.lamp(), CallState::Confirmed);
    let elsewhere = dialog_info("idle").replace("@pbx.com", "@10.0.0.9:5060");
    assert_eq!(world.notify(&request, "active", &elsewhere), "200");
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn our_own_user_may_be_known_there_later() {
    let mut world = World::new(|connector, upstream| {
        upstream.uri = "sip:1@pbx.com".into();
        connector.users.ranges = vec![UserRange::parse("1-2").unwrap()];
        connector.login = Some(Login {
            user: "1".into(),
            password: "secret".into(),
        });
    });
    for _ in 0..2 {
        let request = world.next_request();
        match request.user() {
            "1" => world.respond(&request, "404 Not Found", ""),
            _ => world.accept(&request, 3600, "idle"),
        }
    }
    assert_eq!(world.status(), "Credentials entered not found");
    let request = world.next_request();
    assert_eq!(request.user(), "1");
    world.accept(&request, 600, "idle");
    assert_eq!(world.status(), "UpAndRunning");
}

#[test]
fn what_was_said_in_another_package_is_gone() {
    let mut world = World::one();
    let request = world.request();
    world.respond(&request, "489 Bad Event", "");
    let request = world.request();
    world.respond(&request, "200 OK", "Expires: 600\r\n");
    assert_eq!(world.notify(&request, "active", ON_THE_PHONE), "200");
    assert_eq!(world.lamp(), CallState::Confirmed);
    world.order(ConnectorOrder::Restart);
    world.wait_seconds(1);
    let requests = world.requests();
    let anew = requests.iter().find(|sent| sent.header("Expires") != "0");
    let anew = anew.unwrap();
    assert_eq!(anew.header("Event"), "dialog");
    world.accept(anew, 600, "idle");
    assert_eq!(world.lamp(), CallState::Terminated);
    assert_eq!(world.why("1").contributions.len(), 1);
}

const ON_THE_PHONE: &str = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1@pbx.com\" \
     xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\">\
     <tuple id=\"t\"><status><basic>open</basic></status></tuple>\
     <d:person id=\"p\"><r:activities><r:on-the-phone/></r:activities></d:person></presence>";

#[test]
fn refusals_of_us_do_not_make_a_user_wait_longer() {
    let mut world = World::users("1-2");
    for _ in 0..6 {
        let request = world.next_request();
        world.respond(&request, "403 Forbidden", "");
        assert_eq!(world.status(), "Forbidden");
    }
    let served = world.next_request();
    world.accept(&served, 3600, "idle");
    let refused = world.next_request();
    world.respond(&refused, "403 Forbidden", "");
    assert_eq!(world.status(), "UpAndRunning");
    let before = world.now;
    let again = world.next_request();
    assert_eq!(again.user(), refused.user());
    assert!((world.now - before).as_secs() <= 60 * 5 / 4 + 1);
}

#[test]
fn news_from_a_server_that_is_not_reached_gets_old() {
    let mut world = World::new(|_, upstream| upstream.transport = Transport::Tcp);
    let stream = world.connect();
    let mut request = world.request();
    world.accept(&request, 60, "idle");
    world.input(Input::Closed(stream));
    let fails = |world: &mut World| {
        world.wait_seconds(2);
        let dial = world.dials.remove(0);
        world.input(Input::DialFailed(dial.id));
        world.wait_seconds(1);
    };
    fails(&mut world);
    assert_eq!(world.user_status(), "Error");
    request.flow = flow(Transport::Udp, SERVERS[0]);
    assert_eq!(
        world.notify(&request, "active", &dialog_info("confirmed")),
        "200"
    );
    assert_eq!((world.user_status(), world.is_stale()), ("Busy", false));
    world.wait_seconds(60);
    fails(&mut world);
    assert_eq!(world.status(), "ConnectionError");
    assert_eq!((world.user_status(), world.is_stale()), ("Error", true));
}

#[test]
fn the_user_that_a_server_refuses_us_for_is_denied() {
    let mut world = World::one();
    let request = world.request();
    world.respond(&request, "503 Service Unavailable", "");
    let request = world.next_request();
    world.respond(&request, "403 Forbidden", "");
    world.wait_seconds(1);
    assert_eq!(
        (world.status(), world.user_status()),
        ("Forbidden", "Access denied")
    );
}

#[test]
fn a_server_that_grants_no_time_is_not_stormed() {
    let mut world = World::one();
    let mut requests = 0;
    for _ in 0..20 {
        for request in world.requests() {
            requests += 1;
            world.accept(&request, 0, "confirmed");
        }
        world.wait_seconds(1);
    }
    assert!((5..=20).contains(&requests), "{requests}");
}
