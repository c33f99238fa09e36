//! Sentences compared with the messages for which they stand, written out here.

use crate::dialogue::Dialogue;
use crate::shorthand::shorten::{lengthened, long, shortened};
use crate::{case_name, cases};

const SHORT: &str = r#"Domain: abc.com
Phone: ann at 10.0.0.8:5062 tcp branch=a{n}-{q}

> 9 watches 123
    Expires: 60
    without Max-Forwards
< 200 OK to 9
+ 20s
< NOTIFY to 9: 123 is early, id 9be5ed13d4a3ff31, recipient, with anonymous
> 9 answers 200 OK
> ann watches list team for presence
< 401 Unauthorized to ann
"#;

const LONG: &str = r#"Domain: abc.com
Phone: ann at 10.0.0.8:5062 tcp branch=a{n}-{q}

> 10.0.0.7:5060 udp
    SUBSCRIBE sip:123@abc.com SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.7:5060;rport;branch=z9hG4bK-s1
    From: <sip:9@abc.com>;tag=w1
    To: <sip:123@abc.com>
    Call-ID: c1@phone
    CSeq: 1 SUBSCRIBE
    Contact: <sip:9@10.0.0.7:5060>
    Event: dialog
    Expires: 60
    Content-Length: 0
< 10.0.0.7:5060 udp
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 10.0.0.7:5060;rport=5060;branch=z9hG4bK-s1;received=10.0.0.7
    From: <sip:9@abc.com>;tag=w1
    To: <sip:123@abc.com>;tag={tag1}
    Call-ID: c1@phone
    CSeq: 1 SUBSCRIBE
    Contact: <sip:10.0.0.1:5060>
    Expires: 60
    Content-Length: 0
+ 20s
< 10.0.0.7:5060 udp
    NOTIFY sip:9@10.0.0.7:5060 SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.1:5060;branch={branch1};rport
    Max-Forwards: 70
    From: <sip:123@abc.com>;tag={tag1}
    To: <sip:9@abc.com>;tag=w1
    Call-ID: c1@phone
    CSeq: {cseq1} NOTIFY
    Contact: <sip:10.0.0.1:5060>
    Event: dialog
    Subscription-State: active;expires=40
    Content-Type: application/dialog-info+xml
    SIP-ETag: f1756d0165e42aa9
    Content-Length: 423

    <?xml version="1.0" encoding="UTF-8"?>
    <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:123@abc.com">
    <dialog id="9be5ed13d4a3ff31" direction="recipient">
    <state>early</state>
    <local>
    <identity>sip:123@abc.com</identity>
    <target uri="sip:123@abc.com"/>
    </local>
    <remote>
    <identity display="Anonymous">sip:anonymous@anonymous.invalid</identity>
    </remote>
    </dialog>
    </dialog-info>
> 10.0.0.7:5060 udp
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 10.0.0.1:5060;branch={branch1}
    From: <sip:123@abc.com>;tag={tag1}
    To: <sip:9@abc.com>;tag=w1
    Call-ID: c1@phone
    CSeq: {cseq1} NOTIFY
    Content-Length: 0
> 10.0.0.8:5062 tcp
    SUBSCRIBE sip:team@abc.com SIP/2.0
    Via: SIP/2.0/TCP 10.0.0.8:5062;rport;branch=z9hG4bK-a2-1
    Max-Forwards: 70
    From: <sip:ann@abc.com>;tag=w2
    To: <sip:team@abc.com>
    Call-ID: c2@phone
    CSeq: 1 SUBSCRIBE
    Contact: <sip:ann@10.0.0.8:5062;transport=tcp>
    Event: presence
    Expires: 3600
    Accept: application/pidf+xml, application/rlmi+xml, multipart/related
    Supported: eventlist
    Content-Length: 0
< 10.0.0.8:5062 tcp
    SIP/2.0 401 Unauthorized
    Via: SIP/2.0/TCP 10.0.0.8:5062;rport=5062;branch=z9hG4bK-a2-1;received=10.0.0.8
    From: <sip:ann@abc.com>;tag=w2
    To: <sip:team@abc.com>;tag={tag2}
    Call-ID: c2@phone
    CSeq: 1 SUBSCRIBE
    WWW-Authenticate: Digest realm="abc.com", nonce="{nonce1}", qop="auth", algorithm=MD5
    Content-Length: 0
"#;

#[test]
fn a_sentence_expands_to_the_whole_message() {
    assert_eq!(lengthened(SHORT).unwrap(), LONG);
    let short = shortened(LONG).unwrap();
    assert_eq!(short, SHORT);
}

#[test]
fn a_sentence_that_refers_to_no_message_is_refused() {
    for line in [
        "< 200 OK to 9",
        "< NOTIFY to 9: 123 is idle",
        "< NOTIFY to 9 again",
        "> 9 answers 200 OK",
        "> 9 refreshes 123",
        "> 9 watches 123 again",
        "> 9 repeats SUBSCRIBE",
        "> ann watches 123",
        "> 9 watches 123\n    without Allow",
        "> 9 publishes 123: 123 is nowhere",
        "> 9 watches 123 with care",
    ] {
        let text = format!("Domain: abc.com\n{line}\n");
        assert!(lengthened(&text).is_err(), "{line}");
    }
}

/// The long form is equivalent to the shorthand, and is shortened to it again.
#[test]
fn every_case_survives_lengthening_and_shortening() {
    let in_long_form = |text: &str| {
        let dialogue = Dialogue::parse(text).and_then(Dialogue::in_long_form);
        let steps = dialogue.unwrap().steps;
        let lines: Vec<Vec<String>> = steps.iter().map(|step| long(&step.action)).collect();
        lines
    };
    let mut saved = 0;
    for (index, path) in cases().iter().enumerate() {
        let text = std::fs::read_to_string(path).unwrap();
        let expected = in_long_form(&text);
        let longer = lengthened(&text).unwrap();
        assert_eq!(in_long_form(&longer), expected, "{}", case_name(path));
        saved += longer.lines().count().saturating_sub(text.lines().count());
        // The search for the shortest form is slow.
        if index % 20 == 0 {
            let shorter = shortened(&longer).unwrap();
            assert_eq!(in_long_form(&shorter), expected, "{}", case_name(path));
        }
    }
    println!("the shorthand saves {saved} lines");
}
