//! Tests of what the checker expects after a crash: one broken trace for every invariant, and one
//! correct trace.

use super::super::tests::{KEY, broken, checker, flow, notify, plain, terminated};
use super::*;
use crate::invariants::LeastRate;
use crate::network::SECOND;

const TAG: &str = "node";

/// A dialog that was notified once, and whose node crashed and has recovered.
fn recovered(kept: Kept) -> Checker {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_response(2, KEY, 10, plain(200));
    checker.crashed(SECOND, true, |_| kept);
    checker.recovered(2 * SECOND);
    checker
}

#[test]
fn a_restart_with_all_records_passes() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_response(3 * SECOND, KEY, 266, plain(200));
    checker.notify_sent(4 * SECOND, &notify(267, 257, 2, 56));
    checker.notify_response(5 * SECOND, KEY, 267, plain(200));
    checker.notify_sent(70 * SECOND, &terminated(268, 258));
    checker.notify_response(71 * SECOND, KEY, 268, plain(200));
    checker.sweep(300 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn an_acknowledged_subscription_without_a_record_is_detected() {
    let missing = ["an acknowledged subscription has no record"];
    assert_eq!(broken(&recovered(Kept::Nothing)), missing);
    let mut checker = checker();
    checker.crashed(SECOND, false, |_| Kept::Nothing);
    assert_eq!(broken(&checker), [""; 0], "it need not be durable");
    let mut removed = super::super::tests::checker();
    removed.recorded(0, TAG, true);
    removed.crashed(SECOND, true, |_| Kept::Nothing);
    assert_eq!(broken(&removed), [""; 0], "it had ended");
}

#[test]
fn a_lower_cseq_after_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(10, 256, 1, 58));
    assert_eq!(broken(&checker), ["a lower CSeq after a crash"]);
}

#[test]
fn a_lower_version_after_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 0, 1, 58));
    assert_eq!(broken(&checker), ["a lower version after a crash"]);
}

#[test]
fn a_version_skipped_after_the_first_notify_since_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_response(3 * SECOND, KEY, 266, plain(200));
    checker.notify_sent(4 * SECOND, &notify(267, 300, 2, 56));
    assert_eq!(broken(&checker), ["the version does not go up by one"]);
}

#[test]
fn a_481_to_a_refresh_after_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    checker.subscribe_unknown(3 * SECOND, KEY);
    assert_eq!(broken(&checker), ["481 for an active subscription"]);
}

#[test]
fn a_481_to_a_refresh_after_the_expiry_passes() {
    let mut checker = recovered(Kept::Newest);
    checker.subscribe_unknown(61 * SECOND, KEY);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_partial_document_first_after_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    let part = Notify {
        is_partial: true,
        ..notify(266, 256, 1, 58)
    };
    checker.notify_sent(2 * SECOND, &part);
    assert_eq!(
        broken(&checker),
        ["a partial document where full state is due"]
    );
}

#[test]
fn an_expiry_without_a_last_notify_after_a_crash_is_detected() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_response(3 * SECOND, KEY, 266, plain(200));
    checker.sweep(90 * SECOND);
    assert_eq!(broken(&checker), ["expired without a last NOTIFY"]);
}

#[test]
fn a_min_rate_that_ends_with_the_process_is_detected() {
    let mut checker = checker();
    let rated = Notify {
        least_rate: LeastRate::Every(10 * SECOND),
        ..notify(10, 0, 1, 60)
    };
    checker.notify_sent(1, &rated);
    checker.notify_response(2, KEY, 10, plain(200));
    checker.crashed(SECOND, true, |_| Kept::Newest);
    checker.sweep(30 * SECOND);
    assert_eq!(broken(&checker), [""; 0], "it is not back");
    checker.recovered(30 * SECOND);
    checker.sweep(41 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
    checker.sweep(43 * SECOND);
    let missing = ["no NOTIFY although its min-rate asks for one"];
    assert_eq!(broken(&checker), missing);
}

#[test]
fn a_dialog_that_begins_during_the_recovery_is_judged_at_once() {
    let mut checker = checker();
    checker.crashed(SECOND, true, |_| Kept::Newest);
    checker.subscribe_accepted(2 * SECOND, "other phone node2", 1, 60, &flow(5061));
    checker.sweep(3 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
    checker.sweep(5 * SECOND);
    assert_eq!(broken(&checker), ["no NOTIFY after a 2xx"]);
}

#[test]
fn the_expiry_of_an_older_record_counts_until_the_next_refresh() {
    let not_left = ["Subscription-State expires is not the remaining time"];
    for (left, expected) in [(38, &[""; 0][..]), (58, &not_left[..])] {
        let mut checker = checker();
        checker.notify_sent(1, &notify(10, 0, 1, 60));
        checker.notify_response(2, KEY, 10, plain(200));
        let agreed = checker.recorded(SECOND, TAG, false);
        checker.subscribe_accepted(20 * SECOND, KEY, 2, 60, &flow(5061));
        checker.crashed(21 * SECOND, true, |_| Kept::Older(agreed));
        assert!(checker.may_be_gone(21 * SECOND, KEY), "its phone has left");
        checker.recovered(22 * SECOND);
        checker.notify_sent(22 * SECOND, &notify(266, 256, 1, left));
        checker.notify_response(22 * SECOND, KEY, 266, plain(200));
        assert_eq!(broken(&checker), expected, "{left}");
        checker.violations.clear();
        checker.subscribe_accepted(23 * SECOND, KEY, 3, 60, &flow(5061));
        assert!(!checker.may_be_gone(23 * SECOND, KEY));
        checker.notify_sent(23 * SECOND, &notify(267, 257, 1, 60));
        assert_eq!(broken(&checker), [""; 0]);
    }
}

#[test]
fn a_notify_without_a_2xx_passes_only_if_its_dialog_was_recorded() {
    let mut checker = recovered(Kept::Newest);
    let orphan = Notify {
        key: "other phone orphan".into(),
        ..notify(20, 256, 1, 60)
    };
    checker.expect_orphan("orphan");
    checker.notify_sent(2 * SECOND, &orphan);
    assert_eq!(broken(&checker), [""; 0]);
    let stray = Notify {
        key: "other phone stray".into(),
        ..orphan
    };
    checker.notify_sent(2 * SECOND, &stray);
    assert_eq!(broken(&checker), ["a NOTIFY before any 2xx"]);
}

#[test]
fn pauses_from_before_the_first_2xx_count() {
    let mut checker = recovered(Kept::Newest);
    let key = "other phone orphan";
    let of_orphan = |cseq, version, left| Notify {
        key: key.into(),
        ..notify(cseq, version, 1, left)
    };
    let busy = NotifyResponse {
        status: 503,
        retry_after: Some(0),
    };
    checker.expect_orphan("orphan");
    for cseq in 20..23 {
        checker.notify_sent(2 * SECOND, &of_orphan(cseq, 256, 60));
        checker.notify_response(2 * SECOND, key, cseq, busy);
        checker.notify_response(2 * SECOND, key, cseq, busy);
    }
    checker.subscribe_accepted(3 * SECOND, key, 1, 60, &flow(5062));
    checker.notify_sent(3 * SECOND, &of_orphan(23, 260, 60));
    checker.notify_response(3 * SECOND, key, 23, busy);
    checker.sweep(12 * SECOND);
    assert_eq!(broken(&checker), [""; 0], "1, 2, 4, 8 seconds");
    checker.sweep(14 * SECOND);
    let missing = ["no NOTIFY after the pause that a 503 asked for"];
    assert_eq!(broken(&checker), missing);
}

#[test]
fn a_copy_from_before_the_first_2xx_is_known() {
    let mut checker = recovered(Kept::Newest);
    let key = "other phone orphan";
    let orphan = Notify {
        key: key.into(),
        ..notify(20, 256, 1, 60)
    };
    checker.expect_orphan("orphan");
    checker.notify_sent(2 * SECOND, &orphan);
    checker.subscribe_accepted(2 * SECOND + 1, key, 1, 60, &flow(5062));
    assert!(checker.is_from_before(key, 20));
    assert!(!checker.is_from_before(key, 21));
    assert!(!checker.is_from_before(KEY, 20));
    let copy = Notify {
        is_partial: true,
        ..orphan
    };
    checker.notify_sent(3 * SECOND, &copy);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_dialog_that_another_replaced_after_a_crash_has_ended() {
    let replaced = || {
        let mut checker = recovered(Kept::Newest);
        let (subscribe, _) = KEY.rsplit_once(' ').unwrap();
        let another = format!("{subscribe} another");
        checker.recorded(3 * SECOND, TAG, true);
        checker.subscribe_accepted(4 * SECOND, &another, 1, 60, &flow(5060));
        checker
    };
    let mut checker = replaced();
    checker.notify_sent(4 * SECOND, &notify(266, 256, 1, 56));
    assert_eq!(broken(&checker), ["a NOTIFY in a dialog without a record"]);
    // If it ran out, its last NOTIFY may leave.
    let mut checker = replaced();
    checker.notify_sent(70 * SECOND, &terminated(266, 256));
    assert_eq!(broken(&checker), [""; 0]);
}
