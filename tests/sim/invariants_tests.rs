//! Tests of the checker: one broken trace for every invariant, and one correct trace.

use std::net::{Ipv4Addr, SocketAddr};

use lamplighter::sip::Transport;

use super::*;

pub(super) const KEY: &str = "call phone node";

pub(super) fn flow(port: u16) -> Flow {
    let [local, peer] = [5060, port].map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    let connection = ConnectionId::default();
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection,
        local,
        peer,
    }
}

pub(super) fn checker() -> Checker {
    let bounds = Bounds {
        is_allowance_small: false,
        grace: 10 * SECOND,
        pace: 0,
        interval: 0,
        propagation: 100 * MILLISECOND,
        hold: 0,
    };
    let mut checker = Checker::new(bounds);
    checker.subscribe_accepted(0, KEY, 1, 60, &flow(5060));
    checker
}

pub(super) fn notify(cseq: u32, version: u32, essence: u64, left: u64) -> Notify {
    Notify {
        key: KEY.into(),
        cseq,
        octets_hash: u64::from(cseq) << 32 | essence,
        essence_hash: essence,
        version: Some(version),
        is_partial: false,
        may_go_on: false,
        is_reconfigured: false,
        subscription_state: SubscriptionState::Active { expires: left },
        least_rate: LeastRate::Nothing,
        connection: ConnectionId::default(),
        path: (0, flow(5060).peer),
        body_octets: 200,
    }
}

pub(super) fn terminated(cseq: u32, version: u32) -> Notify {
    Notify {
        subscription_state: SubscriptionState::Terminated {
            reason: "timeout".into(),
        },
        ..notify(cseq, version, 9, 0)
    }
}

pub(super) fn plain(status: u16) -> NotifyResponse {
    NotifyResponse {
        status,
        retry_after: None,
    }
}

fn busy(retry_after: u64) -> NotifyResponse {
    NotifyResponse {
        status: 503,
        retry_after: Some(retry_after),
    }
}

/// The names of the broken invariants.
pub(super) fn broken(checker: &Checker) -> Vec<&'static str> {
    checker
        .violations
        .iter()
        .map(|violation| violation.invariant)
        .collect()
}

#[test]
fn a_correct_trace_passes() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_sent(500_001, &notify(10, 0, 1, 60));
    checker.notify_response(600_000, KEY, 10, plain(200));
    checker.notify_sent(SECOND, &notify(11, 1, 2, 59));
    checker.notify_response(2 * SECOND, KEY, 11, plain(200));
    checker.subscribe_accepted(30 * SECOND, KEY, 2, 0, &flow(5060));
    checker.notify_sent(30 * SECOND, &terminated(12, 2));
    checker.notify_response(31 * SECOND, KEY, 12, plain(200));
    checker.sweep(300 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_notify_before_a_pause_is_over_is_detected() {
    let early = ["a NOTIFY before the pause after a 503 is over"];
    // The value of Retry-After, and the length of the pause after the first and the second of them.
    for (retry_after, first, second) in [(0, 1, 2), (1, 1, 2), (5, 5, 5)] {
        let [first, second] = [first, second].map(|seconds| seconds * SECOND);
        let mut checker = checker();
        checker.notify_sent(1, &notify(10, 0, 1, 60));
        checker.notify_response(2, KEY, 10, busy(retry_after));
        checker.notify_sent(2 + first, &notify(11, 1, 1, 60 - first / SECOND));
        checker.notify_response(3 + first, KEY, 11, busy(retry_after));
        assert_eq!(broken(&checker), [""; 0]);
        let at = first + second - SECOND / 2;
        checker.notify_sent(at, &notify(12, 2, 1, 60 - at / SECOND));
        assert_eq!(broken(&checker), early);
    }
}

#[test]
fn a_refresh_ends_a_pause() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, busy(5));
    checker.subscribe_accepted(SECOND, KEY, 2, 60, &flow(5060));
    checker.notify_sent(SECOND, &notify(11, 1, 1, 60));
    checker.notify_response(SECOND + 1, KEY, 11, plain(200));
    checker.notify_sent(SECOND + 2, &notify(12, 2, 2, 60));
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_notify_missing_after_a_pause_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, busy(5));
    checker.sweep(7 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
    checker.sweep(8 * SECOND);
    let missing = ["no NOTIFY after the pause that a 503 asked for"];
    assert_eq!(broken(&checker), missing);
}

#[test]
fn two_notifies_to_a_silent_address_are_detected() {
    let mut checker = checker();
    checker.subscribe_accepted(0, "other", 1, 60, &flow(5060));
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    let other = Notify {
        key: "other".into(),
        ..notify(20, 0, 1, 60)
    };
    checker.notify_sent(2, &other);
    let second = "two NOTIFYs at a time to an address that never responded";
    assert_eq!(broken(&checker), [second]);
}

#[test]
fn a_fifth_copy_to_a_silent_address_is_detected() {
    let mut checker = checker();
    for at in [1, 500_001, 1_500_001, 3_500_001, 7_500_001] {
        checker.notify_sent(at, &notify(10, 0, 1, 60));
    }
    let fifth = "a NOTIFY too often to an address that never responded";
    assert_eq!(broken(&checker), [fifth]);
}

#[test]
fn a_long_body_to_a_silent_address_is_detected() {
    let mut checker = checker();
    let long = Notify {
        body_octets: 1401,
        ..notify(10, 0, 1, 60)
    };
    checker.notify_sent(1, &long);
    assert_eq!(
        broken(&checker),
        ["a long body to an address that never responded"]
    );
}

#[test]
fn a_skipped_version_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(3, &notify(11, 2, 2, 60));
    assert_eq!(broken(&checker), ["the version does not go up by one"]);
}

#[test]
fn a_first_version_above_zero_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 1, 1, 60));
    assert_eq!(broken(&checker), ["the first version is not 0"]);
}

#[test]
fn a_lower_cseq_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(3, &notify(9, 1, 2, 60));
    assert_eq!(broken(&checker), ["CSeq does not go up by one"]);
}

#[test]
fn two_outstanding_notifies_are_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_sent(SECOND, &notify(11, 1, 2, 59));
    assert_eq!(broken(&checker), ["a NOTIFY while another is outstanding"]);
}

#[test]
fn a_notify_may_follow_timer_f_of_the_last_one() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_sent(33 * SECOND, &notify(11, 1, 1, 27));
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_retransmission_with_other_octets_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_sent(600_000, &notify(10, 0, 2, 60));
    assert_eq!(broken(&checker), ["a retransmission with other octets"]);
}

#[test]
fn a_retransmission_before_timer_e_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_sent(100_000, &notify(10, 0, 1, 60));
    assert_eq!(
        broken(&checker),
        ["a retransmission that is not due by Timer E"]
    );
}

#[test]
fn a_retransmission_after_the_response_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(SECOND, &notify(10, 0, 1, 60));
    assert_eq!(broken(&checker), ["a retransmission after the response"]);
}

#[test]
fn a_repeated_document_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(3, &notify(11, 1, 1, 60));
    assert_eq!(
        broken(&checker),
        ["a NOTIFY without a change and without a SUBSCRIBE"]
    );
}

#[test]
fn a_repeated_document_after_a_refresh_passes() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.subscribe_accepted(3, KEY, 2, 60, &flow(5060));
    checker.notify_sent(4, &notify(11, 1, 1, 60));
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_notify_may_follow_at_once_when_the_phone_has_moved() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.subscribe_accepted(2, KEY, 2, 60, &flow(5070));
    checker.notify_sent(3, &notify(11, 1, 1, 60));
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_missing_notify_after_a_2xx_is_detected() {
    let mut checker = checker();
    checker.sweep(5 * SECOND);
    assert_eq!(broken(&checker), ["no NOTIFY after a 2xx"]);
}

#[test]
fn a_notify_without_a_subscription_is_detected() {
    let mut checker = checker();
    checker.notify_sent(
        1,
        &Notify {
            key: "other".into(),
            ..notify(1, 0, 1, 60)
        },
    );
    assert_eq!(broken(&checker), ["a NOTIFY before any 2xx"]);
}

#[test]
fn a_notify_after_the_end_is_detected() {
    let mut checker = checker();
    checker.subscribe_accepted(1, KEY, 2, 0, &flow(5060));
    checker.notify_sent(2, &terminated(10, 0));
    checker.notify_response(3, KEY, 10, plain(200));
    checker.notify_sent(4, &terminated(11, 1));
    assert_eq!(broken(&checker), ["a NOTIFY after the terminated one"]);
}

#[test]
fn a_termination_before_the_expiry_is_detected() {
    let mut checker = checker();
    checker.notify_sent(30 * SECOND, &terminated(10, 0));
    assert_eq!(broken(&checker), ["terminated before its expiry"]);
}

#[test]
fn an_expiry_without_a_last_notify_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.sweep(69 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
    checker.sweep(90 * SECOND);
    assert_eq!(broken(&checker), ["expired without a last NOTIFY"]);
}

#[test]
fn a_wrong_remaining_expiry_is_detected() {
    let mut checker = checker();
    checker.notify_sent(20 * SECOND, &notify(10, 0, 1, 60));
    assert_eq!(
        broken(&checker),
        ["Subscription-State expires is not the remaining time"]
    );
}

#[test]
fn a_notify_after_481_is_detected() {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(481));
    checker.notify_sent(3, &notify(11, 1, 2, 60));
    assert_eq!(broken(&checker), ["a NOTIFY after 481"]);
}

#[test]
fn a_partial_document_instead_of_full_state_is_detected() {
    let mut checker = checker();
    let partial = |cseq, version| Notify {
        is_partial: true,
        ..notify(cseq, version, u64::from(cseq), 60)
    };
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(3, &partial(11, 1));
    assert!(broken(&checker).is_empty());
    checker.notify_response(4, KEY, 11, plain(500));
    checker.notify_sent(5, &partial(12, 2));
    assert_eq!(
        broken(&checker),
        ["a partial document where full state is due"]
    );
}

#[test]
fn a_notify_without_a_body_counts_as_a_notify() {
    let mut checker = checker();
    let empty = Notify {
        version: None,
        ..notify(10, 0, 1, 60)
    };
    checker.notify_sent(1, &empty);
    checker.notify_response(2, KEY, 10, plain(200));
    checker.notify_sent(3, &notify(11, 0, 2, 60));
    assert_eq!(broken(&checker), ["the version does not go up by one"]);
}

#[test]
fn a_response_after_timer_f_proves_no_path() {
    let next = |checker: &mut Checker| {
        checker.notify_sent(50 * SECOND, &notify(11, 1, 1, 10));
        checker.subscribe_accepted(50 * SECOND, "other", 1, 60, &flow(5060));
        let other = Notify {
            key: "other".into(),
            ..notify(20, 0, 1, 60)
        };
        checker.notify_sent(50 * SECOND + 1, &other);
    };
    let mut late = checker();
    late.notify_sent(1, &notify(10, 0, 1, 60));
    late.notify_response(40 * SECOND, KEY, 10, plain(200));
    next(&mut late);
    let second = "two NOTIFYs at a time to an address that never responded";
    assert_eq!(broken(&late), [second]);
    let mut timely = checker();
    timely.notify_sent(1, &notify(10, 0, 1, 60));
    timely.notify_response(30 * SECOND, KEY, 10, plain(500));
    next(&mut timely);
    assert_eq!(broken(&timely), [""; 0]);
}
