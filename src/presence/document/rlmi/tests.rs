//! rlmi: bodies sent to list subscribers (W:B5.4-B5.8).

use super::*;
use crate::presence::document::outline;

#[test]
fn b5_4_the_octets() {
    let mut out = Vec::new();
    begin(&mut out, b"sip:sales&more@abc.com", 3, true);
    let active = Instance {
        id: 0xbeef,
        state: InstanceState::Active,
        content_id: Some(ContentId(17)),
    };
    write_resource(
        &mut out,
        b"sip:101@abc.com",
        Some("Ann <\"A\">"),
        Some(active),
    );
    let pending = Instance {
        id: 1,
        state: InstanceState::Pending,
        content_id: None,
    };
    write_resource(&mut out, b"sip:102@abc.com", Some("102"), Some(pending));
    let gone = Instance {
        id: u32::MAX,
        state: InstanceState::Terminated(Termination::NoResource),
        content_id: None,
    };
    write_resource(&mut out, b"sip:103@abc.com", Some("103"), Some(gone));
    write_resource(&mut out, b"sip:104@abc.com", None, None);
    end(&mut out);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:sales&amp;more@abc.com\" version=\"3\" fullState=\"true\">\n\
        <resource uri=\"sip:101@abc.com\">\n<name>Ann &lt;&quot;A&quot;&gt;</name>\n\
        <instance id=\"beef\" state=\"active\" cid=\"r17@lamps\"/>\n</resource>\n\
        <resource uri=\"sip:102@abc.com\">\n<name>102</name>\n<instance id=\"1\" state=\"pending\"/>\n</resource>\n\
        <resource uri=\"sip:103@abc.com\">\n<name>103</name>\n\
        <instance id=\"ffffffff\" state=\"terminated\" reason=\"noresource\"/>\n</resource>\n\
        <resource uri=\"sip:104@abc.com\">\n</resource>\n\
        </list>\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
    for (element, attributes, children) in outline::elements(&out) {
        if element == "resource" {
            outline::assert_fits(
                &element,
                &attributes,
                &["uri"],
                &children,
                &["name", "instance"],
            );
        }
    }
}

#[test]
fn b5_6_an_empty_partial_list() {
    let mut out = Vec::new();
    begin(&mut out, b"sip:any-dn@abc.com", 0, false);
    end(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("version=\"0\" fullState=\"false\">\n</list>\n"),
        "{text}"
    );
}
