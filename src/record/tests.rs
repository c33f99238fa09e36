//! A record is decoded to what was encoded, a damaged one is refused, and the encoding is fixed.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dialog::{DialogRecord, FlowRecord, SubjectRecord, SubscriptionRecord, TermsRecord};
use super::edit::{AccountRecord, EditRecord};
use super::presentity::PresentityRecord;
use super::waiting::{WaitingRecord, number_in, number_of};
use super::*;
use crate::presence::call::{
    Appearance, AppearanceState, CallDialog, CallParts, CallState, Direction, Party, SpecificDialog,
};
use crate::presence::composition::activity::ActivitySet;
use crate::presence::composition::{Rules, UpstreamRules};
use crate::presence::document::{Document, Format};
use crate::presence::elsewhere::{Elsewhere, PublishedElsewhere};
use crate::presence::event::Package;
use crate::presence::event::list::{ListStyle, Member, StoredList};
use crate::presence::origin::Origin;
use crate::presence::policy::{Exception, Handling, IdentityCondition, ImportedRule, Privacy};
use crate::presence::presentity::{Condition, Publication, PublicationLimits, UpstreamNews};
use crate::presence::registration::ContactEnd;
use crate::presence::source::{
    CallSource, EntityTag, Forward, ForwardKind, MessageClass, MessageCounts, Messages,
    RichPresence, StateUpdate,
};
use crate::presence::{Aor, Presentity};
use crate::sip::dialog::{Contact, Dialog};
use crate::sip::message::Framing;
use crate::sip::random::rounds;
use crate::sip::{Message, Transport};

/// 2026-11-29 00:00:00 UTC.
const MIDNIGHT: i64 = 1_795_910_400_000;

fn clock(at: Instant) -> WallClock {
    WallClock {
        at,
        unix_milliseconds: MIDNIGHT,
    }
}

fn call(state: CallState) -> CallParts<'static> {
    CallParts {
        id: "leg-1",
        call_id: "a84b@pbx",
        local_tag: "lt",
        remote_tag: "rt",
        direction: Some(Direction::Recipient),
        state,
        local: Party {
            rendering: Some(false),
            ..Party::default()
        },
        remote: Party {
            identity: "sip:200@abc.com",
            display: "Ann",
            ..Party::default()
        },
        remote_is_private: false,
    }
}

const LIMITS: PublicationLimits = PublicationLimits {
    expires_min: Duration::from_secs(60),
    expires_max: Duration::from_secs(7200),
    expires_default: Duration::from_secs(3600),
    publications_max: 9,
    calls_max: 9,
};

fn publish(presentity: &mut Presentity, package: Package, document: Document, now: Instant) {
    let limits = LIMITS;
    let publication = Publication {
        package,
        condition: Condition::None,
        expires: Some(600),
        document: Some(Ok(document)),
        publisher: package as u64 + 1,
        is_feeder: true,
        origin: None,
    };
    let tag = EntityTag(0x1122_3344 + package as u128);
    presentity
        .apply_publication(publication, tag, &limits, now)
        .unwrap();
}

/// A presentity with contributions of every kind, made in the minute before `now`.
fn busy(now: Instant) -> Presentity {
    let mut presentity = Presentity::default();
    let second = |second: u64| now - Duration::from_secs(60 - second);
    let rich = || RichPresence {
        open: Some(true),
        activities: vec!["away".into(), "on-the-phone".into()],
        note: Some("back at three".into()),
        alternative: Some("tel:+4930123".into()),
    };
    let dialogs = |dialogs: Vec<CallDialog>| Document::DialogInfo {
        entity: None,
        full: true,
        dialogs,
    };
    let other = CallParts {
        call_id: "other@pbx",
        id: "leg-2",
        ..call(CallState::Terminated)
    };
    let legs = dialogs(vec![call(CallState::Confirmed).into(), other.into()]);
    publish(&mut presentity, Package::Dialog, legs, second(1));
    let pidf = Document::Pidf {
        entity: None,
        statement: rich(),
    };
    publish(&mut presentity, Package::Presence, pidf, second(2));
    let messages = Messages {
        are_waiting: true,
        account: Some("sip:123@abc.com".into()),
        counts: vec![(
            MessageClass::Voice,
            MessageCounts {
                new: 3,
                ..MessageCounts::default()
            },
        )],
    };
    let forward = Forward {
        kind: ForwardKind::NoAnswer,
        is_active: true,
        target: "300".into(),
        ring_count: Some(4),
    };
    let appearance = Appearance {
        index: 2,
        state: AppearanceState::Held,
        party: Some("<sip:7@abc.com>".into()),
    };
    let updates = [
        StateUpdate::CallStateDoNotDisturb(Duration::from_secs(900)),
        StateUpdate::Call {
            source: CallSource::Operator,
            call: Some(Arc::new(call(CallState::Early).into())),
            expires: Some(Duration::from_secs(300)),
        },
        StateUpdate::DoNotDisturb(true),
        StateUpdate::Forward(forward),
        StateUpdate::Note(Some("in the workshop".into())),
        StateUpdate::Presence(Some(rich())),
        StateUpdate::Messages(Some(messages)),
        StateUpdate::Registered(vec![("sip:123@192.0.2.7".into(), Duration::from_secs(120))]),
        StateUpdate::Appearance(appearance),
    ];
    for (update, at) in updates.into_iter().zip(3..) {
        presentity.apply(update, second(at));
    }
    presentity.expire(now);
    presentity
}

fn aor() -> Aor {
    Aor::new("123", "abc.com")
}

fn octets_of(presentity: &Presentity, now: Instant, clock: WallClock) -> Vec<u8> {
    let mut octets = Vec::new();
    let told = (presentity, &Elsewhere::default());
    PresentityRecord::encode(&aor(), told, now, clock, &mut octets);
    octets
}

fn recovered(octets: &[u8], now: Instant, clock: WallClock) -> Presentity {
    let record = PresentityRecord::decode(octets, clock).unwrap();
    assert_eq!(record.aor, aor());
    assert!(record.elsewhere.is_empty());
    let mut presentity = Presentity::recovered(record.contributions, Arc::default());
    presentity.expire(now);
    presentity
}

#[test]
fn a_presentity_comes_back_as_it_was() {
    let now = Instant::now() + Duration::from_secs(1000);
    let clock = clock(now);
    let before = busy(now);
    let octets = octets_of(&before, now, clock);
    let after = recovered(&octets, now, clock);
    let explained = |presentity: &Presentity| format!("{:#?}", presentity.explain(now));
    assert_eq!(explained(&after), explained(&before));
    assert_eq!(after.composed(), before.composed());
    assert_eq!(after.next_expiry(), before.next_expiry());
    assert_eq!(octets_of(&after, now, clock), octets);
}

#[test]
fn what_other_servers_have_comes_back() {
    let now = Instant::now() + Duration::from_secs(1000);
    let clock = clock(now);
    let mut elsewhere = Elsewhere::default();
    elsewhere.put(PublishedElsewhere {
        relay: "lync".into(),
        entity_tag: (*b"7f3a").into(),
        expires_at: now + Duration::from_secs(30),
    });
    let mut octets = Vec::new();
    let told = (&Presentity::default(), &elsewhere);
    PresentityRecord::encode(&aor(), told, now, clock, &mut octets);
    let record = PresentityRecord::decode(&octets, clock).unwrap();
    assert_eq!(record.elsewhere, elsewhere);
}

/// A presentity whose only call ended ten seconds before `now`.
fn hung_up(now: Instant) -> Presentity {
    let mut presentity = Presentity::default();
    for (state, seconds) in [(CallState::Confirmed, 40), (CallState::Terminated, 10)] {
        let ago = now - Duration::from_secs(seconds);
        publish(&mut presentity, Package::Dialog, dialogs(state), ago);
    }
    presentity
}

fn dialogs(state: CallState) -> Document {
    Document::DialogInfo {
        entity: None,
        full: true,
        dialogs: vec![call(state).into()],
    }
}

/// A late report of the call does not light the lamp again until the tombstone expires.
#[test]
fn a_call_that_ended_stays_ended_after_a_restart() {
    let now = Instant::now() + Duration::from_secs(1000);
    let clock = clock(now);
    let octets = octets_of(&hung_up(now), now, clock);
    for (seconds, calls) in [(21, 0), (22, 1)] {
        let then = now + Duration::from_secs(seconds);
        let mut after = recovered(&octets, now, clock);
        publish(&mut after, Package::Dialog, dialogs(CallState::Early), then);
        assert_eq!(after.composed().calls.len(), calls, "{seconds} s later");
    }
}

#[test]
fn what_ran_out_meanwhile_is_gone() {
    let now = Instant::now() + Duration::from_secs(1000);
    let before = busy(now);
    let octets = octets_of(&before, now, clock(now));
    // The next process begins eight minutes later, and its clock has nothing to do with ours.
    let later = WallClock {
        at: now + Duration::from_secs(77),
        unix_milliseconds: MIDNIGHT + 480_000,
    };
    let after = recovered(&octets, later.at, later);
    let sources = |presentity: &Presentity| {
        let explained = presentity.explain(now).into_iter();
        explained
            .map(|one| one.source.to_string())
            .collect::<Vec<_>>()
    };
    let gone = |name: &str| {
        !sources(&after)
            .iter()
            .any(|source| source.starts_with(name))
    };
    assert!(
        sources(&before)
            .iter()
            .any(|source| source == "operator:lamp")
    );
    assert!(gone("operator:lamp") && gone("operator:registered:sip:123@192.0.2.7"));
    assert!(!gone("publish:") && !gone("feature:dnd") && !gone("http:call_state"));
    let left = after.next_expiry().unwrap() - later.at;
    assert!(left <= Duration::from_secs(62), "{left:?}");
}

fn dialog() -> Dialog {
    let request = "SUBSCRIBE sip:123@abc.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
        From: \"Ann\" <sip:200@abc.com>;tag=q1w2\r\nTo: <sip:123@abc.com>\r\n\
        Call-ID: a84b@192.0.2.7\r\nCSeq: 4 SUBSCRIBE\r\nContact: <sip:200@192.0.2.7:5062>\r\n\
        Record-Route: <sip:192.0.2.1;lr>\r\nEvent: dialog\r\nContent-Length: 0\r\n\r\n";
    let message = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
    let contact = Contact::of(&message).unwrap();
    Dialog::accept(&message, &contact, b"0000000000070123456789abcdef", 256).unwrap()
}

fn record(at: Instant) -> DialogRecord<'static> {
    let member = Member {
        uri: "sip:123@abc.com".into(),
        aor: Some(aor()),
        name: "Bob".into(),
    };
    let subscription = |subject, package, format| SubscriptionRecord {
        aor: aor(),
        package,
        format,
        listed: match subject {
            SubjectRecord::ListOfBody(_) => {
                vec!["sip:124@abc.com".into(), "sip:bob@xyz.org".into()]
            }
            _ => Vec::new(),
        },
        subject,
        event: Cow::Borrowed(b"dialog;id=7"),
        entity: Cow::Borrowed(b"sip:123@abc.com"),
        handling: Handling::Confirm,
        privacy: Privacy::Party,
        appearance: 0x1122_3344_5566_7788,
        terms: TermsRecord {
            gap: Some(Duration::from_secs(1)),
            asks_gap: true,
            period: Some(Duration::from_secs(60)),
            adaptive_period: None,
            dialog: Some(Box::new(SpecificDialog {
                call_id: "a84b".into(),
                ..SpecificDialog::default()
            })),
            inflates: true,
        },
        version: 256,
        expires_at: at + Duration::from_secs(1800),
    };
    DialogRecord {
        place: 7,
        dialog: Cow::Owned(dialog()),
        sequence_limit: 512,
        flow: FlowRecord {
            transport: Transport::Tcp,
            local: "192.0.2.10:5060".parse().unwrap(),
            peer: "[2001:db8::7]:40001".parse().unwrap(),
        },
        destination: "192.0.2.1:5060".parse().unwrap(),
        is_path_proven: true,
        profile: Cow::Borrowed("yealink"),
        up_to_date_by: Some(at + Duration::from_secs(35)),
        sender: Some(Cow::Borrowed(b"sip:200@abc.com")),
        subscriptions: vec![
            subscription(
                SubjectRecord::Presentity,
                Package::Dialog,
                Format::DialogInfo,
            ),
            subscription(
                SubjectRecord::ListOfBody(vec![member].into()),
                Package::Presence,
                Format::Pidf,
            ),
            subscription(
                SubjectRecord::ListInSeries,
                Package::CallInfo,
                Format::Nothing,
            ),
        ],
        instance: 0x1234_5678,
        voucher: Some(Cow::Borrowed("sbc.example.com")),
        began: NonZeroU32::new(1_795_910_400),
    }
}

#[test]
fn a_dialog_comes_back_as_it_was() {
    let now = Instant::now() + Duration::from_secs(1000);
    let before = record(now);
    let mut octets = b"others".to_vec();
    before.encode(clock(now), &mut octets);
    let octets = octets.strip_prefix(b"others").unwrap();
    let after = DialogRecord::decode(octets, clock(now)).unwrap();
    assert_eq!(format!("{after:#?}"), format!("{before:#?}"));
}

/// What the operator edited of an address.
fn edit() -> EditRecord {
    let one = |user| Exception::One(Aor::new(user, "abc.com"));
    EditRecord {
        aor: aor(),
        rules: vec![ImportedRule {
            identities: vec![
                IdentityCondition::One(Aor::new("9", "abc.com")),
                IdentityCondition::Many {
                    domain: Some("abc.com".into()),
                    except: vec![one("8"), Exception::Domain("xyz.org".into())],
                },
                IdentityCondition::Anybody,
            ],
            handling: Handling::PoliteBlock,
            privacy: Some(Privacy::Party),
            valid_from: Some(1_000),
            valid_until: None,
        }],
        list: Some((
            7,
            Some(StoredList {
                name: Some("Team".into()),
                style: ListStyle::Broadworks,
                owner: Some(aor()),
                members: vec![Member {
                    uri: "sip:200@xyz.org".into(),
                    aor: None,
                    name: "Ann".into(),
                }],
            }),
        )),
        account: Some((
            9,
            Some(AccountRecord {
                plain: vec!["0123".into()],
                with_domain: vec!["4567".into()],
                password_hash: None,
                auth_id: Some("device7".into()),
                is_feeder: true,
                display: Some("Anna".into()),
                alternative: None,
                voicemail: vec!["8101".into()],
            }),
        )),
    }
}

fn waiting(at: Instant) -> WaitingRecord<'static> {
    WaitingRecord {
        id: 0x1122_3344_5566_7788,
        aor: aor(),
        package: Package::Presence,
        uri: Cow::Borrowed("sip:ann@xyz.org"),
        display: Cow::Borrowed("Ann"),
        peer: "192.0.2.7".parse().unwrap(),
        until: at + Duration::from_secs(14 * 24 * 3600),
        voucher: Some(Cow::Borrowed("sbc.example.com")),
    }
}

#[test]
fn a_waiting_watcher_comes_back_as_it_was() {
    let now = Instant::now() + Duration::from_secs(1000);
    let mut octets = Vec::new();
    waiting(now).encode(clock(now), &mut octets);
    let after = WaitingRecord::decode(&octets, clock(now)).unwrap();
    assert_eq!(after, waiting(now));
    assert_eq!(number_in(&octets), Ok(number_of(after.id)));
    assert!(number_of(u64::MAX) < 1 << 62, "it is a key of the store");
}

#[test]
fn changed_octets_are_never_read() {
    let now = Instant::now() + Duration::from_secs(1000);
    let mut of_dialog = Vec::new();
    record(now).encode(clock(now), &mut of_dialog);
    let of_presentity = octets_of(&busy(now), now, clock(now));
    let is_read = |octets: &[u8]| {
        DialogRecord::decode(octets, clock(now)).is_ok()
            || PresentityRecord::decode(octets, clock(now)).is_ok()
            || WaitingRecord::decode(octets, clock(now)).is_ok()
    };
    let mut of_waiting = Vec::new();
    waiting(now).encode(clock(now), &mut of_waiting);
    // Every octet; under Miri each hundredth.
    let step = 100 / rounds(100);
    for whole in [of_dialog, of_presentity, of_waiting] {
        assert!(is_read(&whole));
        for end in (0..whole.len()).step_by(step) {
            assert!(!is_read(&whole[..end]), "{end} octets");
        }
        for at in (0..whole.len()).step_by(step) {
            for bit in 0..8 {
                let mut octets = whole.clone();
                octets[at] ^= 1 << bit;
                assert!(!is_read(&octets), "bit {bit} of octet {at}");
                // With a right checksum the fields may or may not make sense, but nothing panics.
                let end = octets.len() - CHECKSUM_OCTETS;
                let right = checksum(&octets[..end]);
                octets[end..].copy_from_slice(&right);
                let _either = is_read(&octets);
            }
        }
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut octets = vec![VERSION + 1, 1, 2, 3];
    let right = checksum(&octets);
    octets.extend_from_slice(&right);
    let error = DialogRecord::decode(&octets, clock(Instant::now())).unwrap_err();
    assert_eq!(error, RecordError::Version(VERSION + 1));
    assert_eq!(
        error.to_string(),
        "a record of version 11; this program reads the versions 3 to 10"
    );
}

/// Records of version 3 have neither the device of a dialog nor the removed publications, those of version 4
/// no voucher, those of version 5 no edited account, those of version 6 no begin of a dialog, those of version 7 no
/// upstreams, those of version 8 no origins, those of version 9 no publications at other servers.
#[test]
fn a_record_of_an_older_version_is_read() {
    let now = Instant::now() + Duration::from_secs(1000);
    let encoded = |record: &DialogRecord<'_>| {
        let mut octets = Vec::new();
        record.encode(clock(now), &mut octets);
        octets
    };
    let of_presentity = octets_of(&busy(now), now, clock(now));
    let waiting = WaitingRecord {
        voucher: None,
        ..waiting(now)
    };
    let mut of_waiting = Vec::new();
    waiting.encode(clock(now), &mut of_waiting);
    let older = |octets: &[u8], version: u8, added: usize| {
        let fields = octets.len() - CHECKSUM_OCTETS - added;
        assert!(octets[fields..][..added].iter().all(|octet| *octet == 0));
        let mut older = octets[..fields].to_vec();
        older[0] = version;
        let right = checksum(&older);
        older.extend_from_slice(&right);
        older
    };
    for (version, instance, [in_dialog, in_presentity, in_waiting]) in [
        (3, 0, [3, 4, 1]),
        (4, 0x1234_5678, [2, 3, 1]),
        (5, 0x1234_5678, [1, 3, 0]),
        (6, 0x1234_5678, [1, 3, 0]),
        (7, 0x1234_5678, [0, 3, 0]),
        (8, 0x1234_5678, [0, 2, 0]),
        (9, 0x1234_5678, [0, 1, 0]),
    ] {
        let of_dialog = encoded(&DialogRecord {
            instance,
            voucher: None,
            began: None,
            ..record(now)
        });
        let dialog = older(&of_dialog, version, in_dialog);
        let hash = (dialog.len(), SipHash13::of(&dialog));
        assert_eq!(hash, GOLDEN_BEFORE[usize::from(version) - 3], "{version}");
        let read = DialogRecord::decode(&dialog, clock(now)).unwrap();
        assert_eq!(encoded(&read), of_dialog, "{version}");
        let before = older(&of_presentity, version, in_presentity);
        let read = PresentityRecord::decode(&before, clock(now)).unwrap();
        let recovered = Presentity::recovered(read.contributions, Arc::default());
        assert_eq!(octets_of(&recovered, now, clock(now)), of_presentity);
        let before = older(&of_waiting, version, in_waiting);
        let read = WaitingRecord::decode(&before, clock(now)).unwrap();
        assert_eq!(read, waiting, "{version}");
    }
    let edit = EditRecord {
        account: None,
        ..edit()
    };
    let mut of_edit = Vec::new();
    edit.encode(clock(now), &mut of_edit);
    let before = older(&of_edit, 5, 1);
    let hash = (before.len(), SipHash13::of(&before));
    assert_eq!(
        hash,
        (114, 8_923_122_260_293_964_392),
        "as version 5 wrote it"
    );
    assert_eq!(EditRecord::decode(&before, clock(now)).unwrap(), edit);
    let mut unknown = of_waiting.clone();
    unknown[0] = 2;
    let right = checksum(&unknown[..unknown.len() - CHECKSUM_OCTETS]);
    unknown.truncate(unknown.len() - CHECKSUM_OCTETS);
    unknown.extend_from_slice(&right);
    let error = WaitingRecord::decode(&unknown, clock(now)).unwrap_err();
    assert_eq!(error, RecordError::Version(2));
}

#[test]
fn what_an_upstream_said_comes_back() {
    let now = Instant::now() + Duration::from_secs(1000);
    let mut presentity = Presentity::default();
    let rules = Rules {
        upstreams: UpstreamRules {
            stale_kept: Duration::from_secs(3600),
            ..UpstreamRules::default()
        },
        ..Rules::default()
    };
    presentity.set_rules(Arc::new(rules), now);
    let call = CallParts::new("1", CallState::Confirmed);
    let document = Document::DialogInfo {
        entity: None,
        full: true,
        dialogs: vec![call.into()],
    };
    let news = UpstreamNews::Document(document);
    let source = (&Arc::from("pbx"), Package::Dialog);
    let expires = Duration::from_secs(600);
    presentity.apply_upstream(source, news, expires, &LIMITS, now);
    let octets = octets_of(&presentity, now, clock(now));
    let recovered = recovered(&octets, now, clock(now));
    assert_eq!(recovered.composed(), presentity.composed());
    let explained = recovered.explain(now);
    assert_eq!(explained[0].source.to_string(), "upstream:pbx");
}

#[test]
fn where_a_contribution_came_from_comes_back() {
    let now = Instant::now() + Duration::from_secs(1000);
    let mut presentity = Presentity::default();
    let origin = Origin::of("pbx@abc.com");
    let note = StateUpdate::Note(Some("lunch".into()));
    presentity.apply_from(Some(origin), note, now);
    let octets = octets_of(&presentity, now, clock(now));
    let rest = recovered(&octets, now, clock(now)).without(&[origin]);
    assert_eq!(rest.unwrap().composed().note, None);
}

/// The octets of these records may change only with [`VERSION`]: files of earlier releases hold them.
#[test]
fn records_keep_their_octets() {
    let now = Instant::now() + Duration::from_secs(1000);
    let mut of_dialog = Vec::new();
    record(now).encode(clock(now), &mut of_dialog);
    let of_presentity = octets_of(&busy(now), now, clock(now));
    let of_ended_call = octets_of(&hung_up(now), now, clock(now));
    let mut of_waiting = Vec::new();
    waiting(now).encode(clock(now), &mut of_waiting);
    let mut of_edit = Vec::new();
    edit().encode(clock(now), &mut of_edit);
    let read = EditRecord::decode(&of_edit, clock(now)).unwrap();
    assert_eq!(read, edit());
    let records = [of_dialog, of_presentity, of_ended_call, of_waiting, of_edit];
    let hash = |octets: Vec<u8>| (octets.len(), SipHash13::of(&octets));
    assert_eq!(records.map(hash), GOLDEN);
}

const GOLDEN: [(usize, u64); 5] = [
    (568, 3_794_498_797_706_676_300),
    (485, 5_504_357_625_610_837_962),
    (119, 11_062_048_988_431_416_461),
    (75, 638_316_698_397_644_905),
    (153, 2_594_696_731_455_966_813),
];

/// That of a dialog, as the versions 3 to 9 wrote it.
const GOLDEN_BEFORE: [(usize, u64); 7] = [
    (540, 16_440_914_142_042_796_108),
    (545, 2_910_147_986_220_134_675),
    (546, 14_778_684_903_110_955_811),
    (546, 5_804_824_870_579_808_889),
    (547, 14_390_687_402_098_831_477),
    (547, 14_718_935_925_428_050_891),
    (547, 12_790_188_787_933_304_191),
];

/// The index of every variant in a record.
#[test]
fn variants_keep_their_numbers() {
    fn are<T: Serialize>(variants: &[T]) {
        for (index, variant) in (0..).zip(variants) {
            let octets = postcard::to_extend(variant, Vec::new()).unwrap();
            assert_eq!(octets.first(), Some(&index), "{octets:?}");
        }
    }
    are(&[
        CallState::Terminated,
        CallState::Trying,
        CallState::Proceeding,
        CallState::Confirmed,
        CallState::Early,
    ]);
    are(&[Direction::Initiator, Direction::Recipient]);
    are(&AppearanceState::ALL);
    are(&[
        ForwardKind::Immediate,
        ForwardKind::Busy,
        ForwardKind::NoAnswer,
    ]);
    are(&[
        MessageClass::Voice,
        MessageClass::Fax,
        MessageClass::Pager,
        MessageClass::Multimedia,
        MessageClass::Text,
        MessageClass::None,
    ]);
    are(&[
        ContactEnd::Expired,
        ContactEnd::Deactivated,
        ContactEnd::Unregistered,
        ContactEnd::Rejected,
    ]);
    are(&[
        Package::Dialog,
        Package::Presence,
        Package::MessageSummary,
        Package::Reg,
        Package::PresenceWinfo,
        Package::DialogWinfo,
        Package::AsFeatureEvent,
        Package::CallInfo,
        Package::LineSeize,
    ]);
    are(&[
        Format::DialogInfo,
        Format::Pidf,
        Format::CpimPidf,
        Format::Xpidf,
        Format::PidfDiff,
        Format::MessageSummary,
        Format::RegInfo,
        Format::WatcherInfo,
        Format::FeatureEvent,
        Format::CallPark,
        Format::Nothing,
    ]);
    are(&[
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ]);
    are(&[
        Handling::Block,
        Handling::Confirm,
        Handling::PoliteBlock,
        Handling::Allow,
    ]);
    are(&[
        Privacy::StateOnly,
        Privacy::AnonymousParty,
        Privacy::Party,
        Privacy::Pickup,
    ]);
    are(&[ListStyle::Rfc, ListStyle::Broadworks]);
    are(&[Exception::One(aor()), Exception::Domain("x".into())]);
    are(&[
        IdentityCondition::One(aor()),
        IdentityCondition::Many {
            domain: None,
            except: Vec::new(),
        },
        IdentityCondition::Anybody,
    ]);
    are(&[
        SubjectRecord::Presentity,
        SubjectRecord::List,
        SubjectRecord::ListOfBody(Cow::default()),
        SubjectRecord::Watchers,
        SubjectRecord::ListInSeries,
    ]);
}

#[test]
fn a_set_of_activities_is_recorded_whole() {
    let set = ActivitySet::from_names(["worship", "do-not-disturb"]);
    let octets = postcard::to_allocvec(&set).unwrap();
    assert_eq!(postcard::from_bytes::<ActivitySet>(&octets).unwrap(), set);
}
