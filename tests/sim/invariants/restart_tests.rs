//! Tests of what the checker expects after a crash: one broken trace for every invariant, and one
//! correct trace.

use super::super::tests::{KEY, broken, checker, flow, notify, plain, terminated};
use super::*;
use crate::network::SECOND;

const TAG: &str = "node";

/// A dialog that was notified once, and whose node crashed and has recovered.
fn recovered(kept: Kept) -> Checker {
    let mut checker = checker();
    checker.notify_sent(1, &notify(10, 0, 1, 60));
    checker.notify_answered(2, KEY, 10, plain(200));
    checker.crashed(SECOND, true, |_| kept);
    checker.recovered(2 * SECOND);
    checker
}

#[test]
fn a_right_restart_passes() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_answered(3 * SECOND, KEY, 266, plain(200));
    checker.notify_sent(4 * SECOND, &notify(267, 257, 2, 56));
    checker.notify_answered(5 * SECOND, KEY, 267, plain(200));
    checker.notify_sent(70 * SECOND, &terminated(268, 258));
    checker.notify_answered(71 * SECOND, KEY, 268, plain(200));
    checker.sweep(300 * SECOND);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn an_acknowledged_subscription_without_a_record_is_seen() {
    let missing = ["an acknowledged subscription has no record"];
    assert_eq!(broken(&recovered(Kept::Nothing)), missing);
    let mut checker = checker();
    checker.crashed(SECOND, false, |_| Kept::Nothing);
    assert_eq!(broken(&checker), [""; 0], "it need not be durable");
    let mut removed = super::super::tests::checker();
    removed.recorded(TAG, true);
    removed.crashed(SECOND, true, |_| Kept::Nothing);
    assert_eq!(broken(&removed), [""; 0], "it had ended");
}

#[test]
fn a_sequence_that_goes_down_after_a_crash_is_seen() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(10, 256, 1, 58));
    assert_eq!(broken(&checker), ["CSeq goes down after a crash"]);
}

#[test]
fn a_version_that_goes_down_after_a_crash_is_seen() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 0, 1, 58));
    assert_eq!(broken(&checker), ["the version goes down after a crash"]);
}

#[test]
fn a_version_skipped_later_is_seen() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_answered(3 * SECOND, KEY, 266, plain(200));
    checker.notify_sent(4 * SECOND, &notify(267, 300, 2, 56));
    assert_eq!(broken(&checker), ["the version does not go up by one"]);
}

#[test]
fn a_refresh_that_is_unknown_after_a_crash_is_seen() {
    let mut checker = recovered(Kept::Newest);
    checker.subscribe_unknown(3 * SECOND, KEY);
    assert_eq!(broken(&checker), ["481 for a subscription that lives"]);
}

#[test]
fn a_refresh_may_be_unknown_when_the_subscription_is_over() {
    let mut checker = recovered(Kept::Newest);
    checker.subscribe_unknown(61 * SECOND, KEY);
    assert_eq!(broken(&checker), [""; 0]);
}

#[test]
fn a_part_after_a_crash_is_seen() {
    let mut checker = recovered(Kept::Newest);
    let part = super::super::Notify {
        is_partial: true,
        ..notify(266, 256, 1, 58)
    };
    checker.notify_sent(2 * SECOND, &part);
    assert_eq!(broken(&checker), ["a part where all is owed"]);
}

#[test]
fn an_end_that_is_not_told_after_a_crash_is_seen() {
    let mut checker = recovered(Kept::Newest);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 58));
    checker.notify_answered(3 * SECOND, KEY, 266, plain(200));
    checker.sweep(90 * SECOND);
    assert_eq!(broken(&checker), ["expired and not told"]);
}

#[test]
fn an_older_record_may_end_early_until_the_next_refresh() {
    let mut checker = recovered(Kept::Older);
    checker.notify_sent(2 * SECOND, &notify(266, 256, 1, 20));
    checker.notify_answered(3 * SECOND, KEY, 266, plain(200));
    assert_eq!(broken(&checker), [""; 0]);
    checker.subscribe_accepted(4 * SECOND, KEY, 2, 60, &flow(5060));
    checker.notify_sent(4 * SECOND, &notify(267, 257, 1, 20));
    let not_left = ["Subscription-State expires is not what is left"];
    assert_eq!(broken(&checker), not_left);
}

#[test]
fn a_notify_in_a_dialog_that_was_never_granted_needs_its_record() {
    let mut checker = recovered(Kept::Newest);
    let orphan = super::super::Notify {
        key: "other phone orphan".into(),
        ..notify(20, 256, 1, 60)
    };
    checker.expect_orphan("orphan");
    checker.notify_sent(2 * SECOND, &orphan);
    assert_eq!(broken(&checker), [""; 0]);
    let stray = super::super::Notify {
        key: "other phone stray".into(),
        ..orphan
    };
    checker.notify_sent(2 * SECOND, &stray);
    assert_eq!(broken(&checker), ["a NOTIFY before any 2xx"]);
}
