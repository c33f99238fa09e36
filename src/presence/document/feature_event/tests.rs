//! as-feature-event: commands from phones and the events sent to them (W:C9).

use super::*;
use crate::presence::composition::Extras;
use crate::presence::document::outline;
use crate::presence::source::Features;

fn forward(kind: ForwardKind, is_active: bool, target: &str, ring_count: Option<u32>) -> Forward {
    Forward {
        kind,
        is_active,
        target: target.into(),
        ring_count,
    }
}

/// W:C9.2
#[test]
fn c9_2_the_events() {
    let composed = Composed {
        extras: Arc::new(Extras {
            features: Features {
                do_not_disturb: true,
                forwards: vec![
                    forward(ForwardKind::Busy, false, "", None),
                    forward(ForwardKind::NoAnswer, true, "sip:a&b@abc.com", Some(5)),
                ],
            },
            ..Extras::default()
        }),
        ..Composed::default()
    };
    let mut out = Vec::new();
    write_events(&mut out, &composed);
    let text = String::from_utf8(out.clone()).unwrap();
    let first = "--lamps00\r\nContent-Type: application/x-as-feature-event+xml\r\n\r\n\
        <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <DoNotDisturbEvent xmlns=\"http://www.ecma-international.org/standards/ecma-323/csta/ed3\">\n\
        <device/>\n<doNotDisturbOn>true</doNotDisturbOn>\n</DoNotDisturbEvent>\n\r\n--lamps00\r\n";
    assert!(text.starts_with(first), "{text}");
    let last = "<ForwardingEvent xmlns=\"http://www.ecma-international.org/standards/ecma-323/csta/ed3\">\n\
        <device/>\n<forwardingType>forwardNoAns</forwardingType>\n<forwardStatus>true</forwardStatus>\n\
        <forwardTo>sip:a&amp;b@abc.com</forwardTo>\n<ringCount>5</ringCount>\n</ForwardingEvent>\n\r\n--lamps00--\r\n";
    assert!(text.ends_with(last), "{text}");
    let parts: Vec<_> = multipart::parts("lamps00", &out).collect();
    let statuses: Vec<bool> = parts
        .iter()
        .map(|part| {
            assert_eq!(part.content_type, CONTENT_TYPE);
            outline::elements(part.body);
            String::from_utf8_lossy(part.body).contains("true<")
        })
        .collect();
    assert_eq!(statuses, [true, false, false, true]);
    let mut blank = Vec::new();
    write_events(&mut blank, &Composed::default());
    assert!(!String::from_utf8(blank).unwrap().contains(">true<"));
}

/// W:C9.1: with the typing error in its namespace, and another encoding.
#[test]
fn c9_1_commands() {
    let set = |root: &str, namespace: &str, content: &str| {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<{root} xmlns=\"{namespace}\">\n<device></device>\n{content}\n</{root}>"
        );
        parse(body.as_bytes())
    };
    let right = "http://www.ecma-international.org/standards/ecma-323/csta/ed3";
    let wrong = "http://www.ecmainternational.org/standards/ecma-323/csta/ed3";
    for namespace in [right, wrong, ""] {
        let on = "<doNotDisturbOn> true </doNotDisturbOn>";
        assert_eq!(
            set("SetDoNotDisturb", namespace, on),
            Ok(FeatureCommand::DoNotDisturb(true))
        );
    }
    let all = "<forwardingType>forwardImmediate</forwardingType><activateForward>true</activateForward>\
        <forwardDN>*97</forwardDN><ringCount>3</ringCount>";
    let expected = forward(ForwardKind::Immediate, true, "*97", Some(3));
    assert_eq!(
        set("SetForwarding", right, all),
        Ok(FeatureCommand::Forward(expected))
    );
    let off = "<forwardingType>forwardBusy</forwardingType><activateForward>false</activateForward><ringCount>many</ringCount>";
    let expected = forward(ForwardKind::Busy, false, "", None);
    assert_eq!(
        set("SetForwarding", right, off),
        Ok(FeatureCommand::Forward(expected))
    );
    let bad = [
        ("SetDoNotDisturb", ""),
        (
            "SetDoNotDisturb",
            "<doNotDisturbOn>perhaps</doNotDisturbOn>",
        ),
        ("SetDoNotDisturb", "<activateForward>true</activateForward>"),
        (
            "SetForwarding",
            "<forwardingType>forwardBusy</forwardingType>",
        ),
        ("SetForwarding", "<activateForward>true</activateForward>"),
        (
            "SetForwarding",
            "<forwardingType>x</forwardingType><activateForward>1</activateForward>",
        ),
        ("SetOther", "<doNotDisturbOn>true</doNotDisturbOn>"),
    ];
    for (root, content) in bad {
        assert_eq!(
            set(root, right, content),
            Err(DocumentFault::Malformed),
            "{root} {content}"
        );
    }
    let long = format!(
        "<forwardDN>{}</forwardDN>",
        "1".repeat(TARGET_OCTETS_MAX + 1)
    );
    assert_eq!(
        set("SetForwarding", right, &long),
        Err(DocumentFault::TooLarge)
    );
}
