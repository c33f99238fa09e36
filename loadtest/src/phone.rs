//! One subscription as its phone sees it, and the checks that every NOTIFY must pass.
//!
//! What is checked: tags, CSeq one higher than the last, document version one higher than the last
//! and 0 at first, the entity, a full document, a lamp that may be shown now, one NOTIFY per
//! change, and an end only when it was asked for. A NOTIFY with the CSeq and the branch of the last
//! one is its retransmission: it is answered again and not judged.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;

use crate::dialog_info;
use crate::dialog_info::Lamp;
use crate::message::Incoming;
use crate::message::before_byte;

/// How far a subscription got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its SUBSCRIBE was not sent yet.
    #[default]
    New,
    /// SUBSCRIBE sent, or answered, and the lamp is watched.
    Active,
    /// Its un-SUBSCRIBE was sent.
    Ending,
    /// The last NOTIFY came.
    Ended,
    /// Refused, or nobody answered.
    Failed,
}

/// One dialog of a phone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) presentity: u32,
    /// The user (by number) whose phone this is.
    pub(crate) watcher: u32,
    pub(crate) port: u32,
    /// CSeq of our last SUBSCRIBE.
    pub(crate) sequence: u32,
    pub(crate) stage: Stage,
    /// The running phase still wants something of it.
    pub(crate) pending: bool,
    /// Our last SUBSCRIBE has its 2xx.
    pub(crate) answered: bool,
    /// How often it was put off by a 503.
    pub(crate) deferrals: u8,
    pub(crate) remote_tag: Box<str>,
    pub(crate) remote_target: Box<str>,
    seen: Option<Seen>,
    lamp: Lamp,
    /// A SUBSCRIBE asks for a NOTIFY even if nothing changed.
    owed: bool,
}

/// What is remembered of the last NOTIFY.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sequence: u32,
    branch: u64,
    version: u32,
}

/// What a watcher may be shown: the state of the running step, and the one before while the change
/// is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expectation {
    pub(crate) now: Lamp,
    pub(crate) before: Lamp,
}

/// What a NOTIFY turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Seen before; nothing else is said about it.
    pub(crate) retransmission: bool,
    /// The first of its subscription.
    pub(crate) first: bool,
    /// It shows the expected lamp for the first time.
    pub(crate) arrived: bool,
    /// The subscription ended with it, as was asked.
    pub(crate) ended: bool,
    /// Versions that were skipped.
    pub(crate) lost: u32,
    /// A version for the second time, or nothing changed.
    pub(crate) duplicate: bool,
    /// A lower version, or a lamp that had changed already.
    pub(crate) stale: bool,
    /// CSeq is not one higher than the last.
    pub(crate) out_of_order: bool,
    pub(crate) wrong: Option<Wrong>,
}

/// What is plainly wrong with a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A tag is not the dialog's: answered 481.
    Tag,
    /// Not `Event: dialog`.
    Package,
    /// No Subscription-State, or one that this moment does not allow.
    SubscriptionState,
    /// The body cannot be read, or its type is not named.
    Document,
    /// The first version is not 0.
    FirstVersion,
    /// Not the presentity that was subscribed to.
    Entity,
    /// A partial document.
    Partial,
    /// A lamp that nobody published.
    Lamp(Lamp),
}

impl Subscription {
    pub(crate) fn new(presentity: u32, watcher: u32, port: u32) -> Self {
        Self {
            presentity,
            watcher,
            port,
            ..Self::default()
        }
    }

    /// A SUBSCRIBE goes out: the next NOTIFY may repeat what is known.
    pub(crate) fn begin_subscribe(&mut self, stage: Stage) {
        self.sequence += 1;
        self.answered = false;
        self.owed = true;
        self.stage = stage;
    }

    /// Whether a NOTIFY was seen.
    pub(crate) fn is_notified(&self) -> bool {
        self.seen.is_some()
    }

    /// Judges a NOTIFY. `entity` is the presentity's URI; `ours` says whether its To-tag is this
    /// phone's.
    pub(crate) fn handle_notify(
        &mut self,
        notify: &Incoming<'_>,
        ours: bool,
        entity: &str,
        expectation: Expectation,
    ) -> Findings {
        if !ours || !self.learn_tag(notify.from_tag) {
            return Findings {
                wrong: Some(Wrong::Tag),
                ..Findings::default()
            };
        }
        let branch = hash(notify.branch);
        let repeats = |seen: &Seen| seen.sequence == notify.sequence && seen.branch == branch;
        if self.seen.as_ref().is_some_and(repeats) {
            return Findings {
                retransmission: true,
                ..Findings::default()
            };
        }
        let mut findings = Findings {
            first: self.seen.is_none(),
            ..Findings::default()
        };
        if let Some(seen) = &self.seen {
            findings.out_of_order = notify.sequence != seen.sequence.wrapping_add(1);
        }
        let version = self.judge(notify, entity, expectation, &mut findings);
        let seen = self.seen.get_or_insert(Seen {
            sequence: 0,
            branch,
            version: 0,
        });
        if notify.sequence >= seen.sequence {
            seen.sequence = notify.sequence;
            seen.branch = branch;
        }
        seen.version = seen.version.max(version);
        self.owed = false;
        findings
    }

    /// Everything behind the dialog's own numbers; returns the version, or the old one when there
    /// is none.
    fn judge(
        &mut self,
        notify: &Incoming<'_>,
        entity: &str,
        expectation: Expectation,
        findings: &mut Findings,
    ) -> u32 {
        let last = self.seen.map(|seen| seen.version);
        let state = before_byte(notify.subscription_state, b';').trim_ascii();
        let ends = state.eq_ignore_ascii_case(b"terminated");
        if !notify.event.eq_ignore_ascii_case(b"dialog") {
            findings.wrong = Some(Wrong::Package);
        }
        if self.stage == Stage::Ended {
            findings.duplicate = true;
            return last.unwrap_or(0);
        }
        if !(state.eq_ignore_ascii_case(b"active") || ends) || ends != (self.stage == Stage::Ending)
        {
            findings.wrong = Some(Wrong::SubscriptionState);
        }
        findings.ended = ends && self.stage == Stage::Ending;
        if ends {
            self.stage = Stage::Ended;
        }
        if ends && notify.body.is_empty() {
            return last.unwrap_or(0);
        }
        let is_type = |expected: &str| {
            notify
                .content_type
                .eq_ignore_ascii_case(expected.as_bytes())
        };
        let document = dialog_info::scan(notify.body);
        let Some(document) = document.filter(|_| is_type("application/dialog-info+xml")) else {
            findings.wrong = Some(Wrong::Document);
            return last.unwrap_or(0);
        };
        if document.entity != entity.as_bytes() {
            findings.wrong = Some(Wrong::Entity);
        } else if !document.full {
            findings.wrong = Some(Wrong::Partial);
        }
        match last {
            None if document.version != 0 => findings.wrong = Some(Wrong::FirstVersion),
            None => {}
            Some(last) if document.version < last => findings.stale = true,
            Some(last) if document.version == last => findings.duplicate = true,
            Some(last) => findings.lost = document.version - last - 1,
        }
        self.judge_lamp(document.lamp, expectation, findings);
        document.version
    }

    fn judge_lamp(&mut self, lamp: Lamp, expectation: Expectation, findings: &mut Findings) {
        let is_old = findings.stale || findings.duplicate;
        let was = self.lamp;
        if !is_old {
            self.lamp = lamp;
        }
        if lamp == expectation.now {
            findings.arrived = !is_old;
            let repeats = was == lamp && !findings.first && !self.owed;
            findings.duplicate |= repeats && !findings.stale;
        } else if lamp != expectation.before {
            findings.wrong = Some(Wrong::Lamp(lamp));
        } else if was == expectation.now {
            findings.stale = !findings.duplicate;
        } else if !self.owed && !findings.stale {
            findings.duplicate = true;
        }
    }

    /// The notifier's tag comes with the 2xx or with the first NOTIFY, whichever is first; it must
    /// stay the same.
    pub(crate) fn learn_tag(&mut self, tag: &[u8]) -> bool {
        if self.remote_tag.is_empty()
            && let Ok(tag) = std::str::from_utf8(tag)
        {
            self.remote_tag = tag.into();
        }
        !tag.is_empty() && tag == self.remote_tag.as_bytes()
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::dialog_info::PublishedCall;
    use crate::message;

    const ENTITY: &str = "sip:1001@abc.com";

    /// A NOTIFY in words: CSeq, version, lamp.
    struct Sent {
        sequence: u32,
        version: u32,
        lamp: Lamp,
        branch: u32,
        state: &'static str,
        tag: &'static str,
        entity: &'static str,
    }

    fn sent(sequence: u32, version: u32, lamp: Lamp) -> Sent {
        let state = "active;expires=600";
        Sent {
            sequence,
            version,
            lamp,
            branch: sequence,
            state,
            tag: "s",
            entity: "1001@abc.com",
        }
    }

    fn receive(phone: &mut Subscription, sent: &Sent, expectation: Expectation) -> Findings {
        let Sent {
            sequence,
            version,
            lamp,
            branch,
            state,
            tag,
            entity,
        } = *sent;
        let body = dialog_info::write(&PublishedCall {
            address: entity,
            number: 1,
            run: "7",
            version,
            lamp,
        });
        let head = format!(
            "NOTIFY sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\n\
             From: <sip:1001@abc.com>;tag={tag}\r\nTo: <sip:1002@abc.com>;tag=p\r\nCall-ID: c\r\n\
             CSeq: {sequence} NOTIFY\r\nEvent: dialog\r\nSubscription-State: {state}\r\n\
             Content-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), &body].concat();
        phone.handle_notify(&message::scan(&bytes).unwrap(), true, ENTITY, expectation)
    }

    /// A phone whose first NOTIFY (CSeq 10, version 0, off) was seen.
    fn watching() -> Subscription {
        let mut phone = Subscription::default();
        phone.begin_subscribe(Stage::Active);
        let findings = receive(&mut phone, &sent(10, 0, Lamp::Off), IDLE);
        let expected = Findings {
            first: true,
            arrived: true,
            ..Findings::default()
        };
        assert_eq!(findings, expected);
        phone
    }

    const IDLE: Expectation = Expectation {
        now: Lamp::Off,
        before: Lamp::Off,
    };
    const RINGS: Expectation = Expectation {
        now: Lamp::Ringing,
        before: Lamp::Off,
    };
    const TALKS: Expectation = Expectation {
        now: Lamp::Busy,
        before: Lamp::Ringing,
    };

    #[test]
    fn a_good_sequence_has_nothing_to_say() {
        let mut phone = watching();
        let arrived = Findings {
            arrived: true,
            ..Findings::default()
        };
        assert_eq!(
            receive(&mut phone, &sent(11, 1, Lamp::Ringing), RINGS),
            arrived
        );
        assert_eq!(
            receive(&mut phone, &sent(12, 2, Lamp::Busy), TALKS),
            arrived
        );
        phone.begin_subscribe(Stage::Ending);
        let last = Sent {
            state: "terminated;reason=timeout",
            ..sent(13, 3, Lamp::Busy)
        };
        let ended = Findings {
            ended: true,
            ..arrived
        };
        assert_eq!(receive(&mut phone, &last, TALKS), ended);
    }

    #[test]
    fn a_retransmission_is_no_duplicate() {
        let mut phone = watching();
        receive(&mut phone, &sent(11, 1, Lamp::Ringing), RINGS);
        let findings = receive(&mut phone, &sent(11, 1, Lamp::Ringing), RINGS);
        assert_eq!(
            findings,
            Findings {
                retransmission: true,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_skipped_version_is_a_loss() {
        let mut phone = watching();
        let findings = receive(&mut phone, &sent(13, 3, Lamp::Ringing), RINGS);
        let expected = Findings {
            arrived: true,
            lost: 2,
            out_of_order: true,
            ..Findings::default()
        };
        assert_eq!(findings, expected);
    }

    #[test]
    fn a_repeated_version_or_an_unchanged_lamp_is_a_duplicate() {
        let mut phone = watching();
        let same_version = receive(&mut phone, &sent(11, 0, Lamp::Off), IDLE);
        assert_eq!(
            same_version,
            Findings {
                duplicate: true,
                ..Findings::default()
            }
        );
        let mut phone = watching();
        let nothing_new = receive(&mut phone, &sent(11, 1, Lamp::Off), IDLE);
        assert!(nothing_new.duplicate && !nothing_new.stale);
        let mut phone = watching();
        let not_yet = receive(&mut phone, &sent(11, 1, Lamp::Off), RINGS);
        assert_eq!(
            not_yet,
            Findings {
                duplicate: true,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_lower_version_or_a_lamp_that_goes_back_is_stale() {
        let mut phone = watching();
        receive(&mut phone, &sent(11, 1, Lamp::Ringing), RINGS);
        receive(&mut phone, &sent(12, 2, Lamp::Busy), TALKS);
        let older = receive(&mut phone, &sent(13, 1, Lamp::Ringing), TALKS);
        assert_eq!(
            older,
            Findings {
                stale: true,
                ..Findings::default()
            }
        );
        let back = receive(&mut phone, &sent(14, 3, Lamp::Ringing), TALKS);
        assert_eq!(
            back,
            Findings {
                stale: true,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn a_sequence_that_goes_back_is_out_of_order() {
        let mut phone = watching();
        let findings = receive(&mut phone, &sent(9, 1, Lamp::Ringing), RINGS);
        assert!(findings.out_of_order && findings.arrived);
        let other_branch = Sent {
            branch: 99,
            ..sent(10, 2, Lamp::Busy)
        };
        assert!(receive(&mut phone, &other_branch, TALKS).out_of_order);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |sent: &Sent| receive(&mut watching(), sent, RINGS).wrong;
        let good = || sent(11, 1, Lamp::Ringing);
        assert_eq!(wrong(&good()), None);
        assert_eq!(
            wrong(&Sent {
                tag: "other",
                ..good()
            }),
            Some(Wrong::Tag)
        );
        assert_eq!(
            wrong(&sent(11, 1, Lamp::Busy)),
            Some(Wrong::Lamp(Lamp::Busy))
        );
        assert_eq!(
            wrong(&Sent {
                entity: "1@abc.com",
                ..good()
            }),
            Some(Wrong::Entity)
        );
        let ended = Sent {
            state: "terminated;reason=noresource",
            ..good()
        };
        assert_eq!(wrong(&ended), Some(Wrong::SubscriptionState));
        assert_eq!(
            wrong(&Sent {
                state: "pending",
                ..good()
            }),
            Some(Wrong::SubscriptionState)
        );
        let mut fresh = Subscription::default();
        fresh.begin_subscribe(Stage::Active);
        let first = receive(&mut fresh, &sent(1, 1, Lamp::Off), IDLE);
        assert_eq!(first.wrong, Some(Wrong::FirstVersion));
    }
}
