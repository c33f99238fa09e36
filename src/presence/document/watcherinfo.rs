//! `application/watcherinfo+xml` (RFC 3858): the watchers of a presentity.
//!
//! It is not written from composed state: the caller provides the watchers.

use std::io::Write;

use crate::presence::document::xml;
use crate::presence::document::xml::{write_attribute, write_escaped};
use crate::presence::event::{WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::fixed_hash::SipHash13;

/// The media type.
pub const CONTENT_TYPE: &str = "application/watcherinfo+xml";

/// Appends the document. `package` is the token of the watched package, `resource` the URI of the
/// presentity, not yet XML-escaped. The document is always full.
pub fn write(
    out: &mut Vec<u8>,
    version: u32,
    resource: &[u8],
    package: &str,
    watchers: &[WatcherInfo],
) {
    out.extend_from_slice(xml::DECLARATION);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"{version}\" \
        state=\"full\">\n<watcher-list resource=\""
    );
    write_escaped(out, resource);
    let _ = writeln!(out, "\" package=\"{package}\">");
    for watcher in watchers {
        write_watcher(out, watcher);
    }
    out.extend_from_slice(b"</watcher-list>\n</watcherinfo>\n");
}

/// A hash of what [`write()`] writes about `watchers`, whatever its version and entity. It is used
/// as an entity tag, so it must be a fixed hash.
pub fn hash_of(watchers: &[WatcherInfo]) -> u64 {
    let mut hash = SipHash13::new();
    hash.number(watchers.len() as u64);
    for watcher in watchers {
        hash.number(watcher.id);
        hash.number(watcher.status as u64);
        hash.number(watcher.event as u64);
        text(&mut hash, &watcher.uri);
        hash.number(watcher.display.is_some().into());
        if let Some(display) = &watcher.display {
            text(&mut hash, display);
        }
    }
    hash.finish()
}

/// Adds a text and an octet that no text contains.
fn text(hash: &mut SipHash13, text: &str) {
    hash.raw(text.as_bytes());
    hash.raw(&[0xff]);
}

fn write_watcher(out: &mut Vec<u8>, watcher: &WatcherInfo) {
    let (status, event) = (status(watcher.status), event(watcher.event));
    let id = watcher.id;
    let _ = write!(
        out,
        "<watcher id=\"w{id}\" status=\"{status}\" event=\"{event}\""
    );
    if let Some(display) = &watcher.display {
        write_attribute(out, "display-name", display);
    }
    out.push(b'>');
    write_escaped(out, watcher.uri.as_bytes());
    out.extend_from_slice(b"</watcher>\n");
}

const fn status(status: WatcherStatus) -> &'static str {
    match status {
        WatcherStatus::Pending => "pending",
        WatcherStatus::Active => "active",
        WatcherStatus::Waiting => "waiting",
        WatcherStatus::Terminated => "terminated",
    }
}

const fn event(event: WatcherEvent) -> &'static str {
    match event {
        WatcherEvent::Subscribe => "subscribe",
        WatcherEvent::Approved => "approved",
        WatcherEvent::Deactivated => "deactivated",
        WatcherEvent::Rejected => "rejected",
        WatcherEvent::Timeout => "timeout",
        WatcherEvent::GiveUp => "giveup",
        WatcherEvent::NoResource => "noresource",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::presence::document::outline;

    /// RFC 3858 §4.1
    #[test]
    fn b4_2_the_document() {
        let bob = WatcherInfo {
            id: 7,
            status: WatcherStatus::Active,
            event: WatcherEvent::Approved,
            uri: "sip:bob@abc.com".into(),
            display: Some("Bob \"B\"".into()),
        };
        let gone = WatcherInfo {
            id: u64::MAX,
            status: WatcherStatus::Terminated,
            event: WatcherEvent::NoResource,
            uri: "sip:a&b@abc.com".into(),
            display: None,
        };
        let mut out = Vec::new();
        write(&mut out, 0, b"sip:ann@abc.com", "presence", &[bob, gone]);
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\">\n\
            <watcher-list resource=\"sip:ann@abc.com\" package=\"presence\">\n\
            <watcher id=\"w7\" status=\"active\" event=\"approved\" display-name=\"Bob &quot;B&quot;\">\
            sip:bob@abc.com</watcher>\n\
            <watcher id=\"w18446744073709551615\" status=\"terminated\" event=\"noresource\">sip:a&amp;b@abc.com</watcher>\n\
            </watcher-list>\n</watcherinfo>\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!(outline::elements(&out).len(), 4);
        let mut none = Vec::new();
        write(&mut none, 3, b"sip:ann@abc.com", "dialog", &[]);
        let none = String::from_utf8(none).unwrap();
        assert!(none.contains("version=\"3\" state=\"full\">\n"));
        assert!(none.contains("package=\"dialog\">\n</watcher-list>"));
    }
}
