//! The page of parked calls (W:C11, D4.7, D4.8): a whole page for each browser in `tests/parks`, and the
//! daemon's page, fetched with curl.
//!
//! `UPDATE_PARKS=1 cargo test --test parks` writes the pages anew.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lamplighter::presence::document::parked_page::{Browser, Entry};

use crate::daemon::{Daemon, Folder, PATIENCE};

/// The browsers, each with the end of its files' names.
const BROWSERS: [(&str, Browser, &str); 8] = [
    ("snom", Browser::Snom, "xml"),
    ("yealink", Browser::Yealink, "xml"),
    ("aastra", Browser::Aastra, "xml"),
    ("cisco", Browser::Cisco, "xml"),
    ("polycom", Browser::Polycom, "html"),
    ("grandstream", Browser::Grandstream, "xml"),
    ("panasonic", Browser::Panasonic, "xml"),
    ("plain", Browser::Plain, "txt"),
];

const TOKEN: &str = "0f8c2b7d9e4a6153";

fn entry(orbit: &str, party: &str, seconds: Option<u64>) -> Entry {
    Entry {
        orbit: orbit.to_owned(),
        party: party.to_owned(),
        age: seconds.map(Duration::from_secs),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parks")
}

#[test]
fn the_page_of_each_browser() {
    let parked = [
        entry("700", "Alice 4930123", Some(65)),
        entry("701", "Bob & <Carol> \"B\" 12", Some(3725)),
        entry("*71", "Anonymous", None),
        entry("park1", "", Some(0)),
    ];
    let crowd: Vec<Entry> = (700..740)
        .map(|orbit| entry(&orbit.to_string(), "Alice 4930123", Some(5)))
        .collect();
    let mut files = Vec::new();
    for (name, browser, end) in BROWSERS {
        let url = format!("http://pbx.example:8080/parks/{name}/abc.com/{TOKEN}");
        let pages = [("", &parked[..]), ("-none", &[]), ("-crowd", &crowd)];
        for (which, entries) in pages {
            let page = browser.page(entries, Some(&url));
            let file = folder().join(format!("{name}{which}.{end}"));
            if std::env::var_os("UPDATE_PARKS").is_some() {
                fs::write(&file, &page).unwrap();
            }
            let expected = fs::read(&file).unwrap();
            let (page, expected) = (str::from_utf8(&page), str::from_utf8(&expected));
            assert_eq!(page.unwrap(), expected.unwrap(), "{}", file.display());
            if browser != Browser::Plain {
                files.push(file);
            }
        }
    }
    let xmllint = Command::new("xmllint")
        .args(["--nonet", "--noout"])
        .args(&files)
        .output()
        .unwrap_or_else(|error| panic!("xmllint (Debian's libxml2-utils): {error}"));
    let messages = String::from_utf8_lossy(&xmllint.stderr);
    assert!(
        xmllint.status.success() && messages.is_empty(),
        "{messages}"
    );
}

/// Domains that show parties, hide them, and hide that there are any; an orbit that the page does not
/// show.
fn configuration() -> String {
    let mut text = "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
        [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
        [limits]\nresponse_ring = \"1 MiB\"\n"
        .to_owned();
    for (domain, privacy) in [("abc.com", 3), ("hidden.example", 1), ("bare.example", 0)] {
        text.push_str(&format!(
            "[[domain]]\nname = \"{domain}\"\nauth = \"none\"\nprivacy = {privacy}\n\
             orbits = [\"700-709\"]\nparks_token = [\"{TOKEN}\", \"an-older-token-of-it\"]\n"
        ));
    }
    text.push_str(
        "[[domain]]\nname = \"none.example\"\norbits = [\"700\"]\n\
         [[policy]]\ndomain = \"abc.com\"\nwatcher = \"parks\"\npresentity = \"709\"\n\
         handling = \"block\"\n",
    );
    text
}

/// An address in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

/// What curl prints.
fn curl(arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    let output = curl.args(["--silent", "--show-error"]).args(arguments);
    let output = output.output();
    let output = output.unwrap_or_else(|error| panic!("curl: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// A PBX parks a call of a caller with a secret number.
fn publish(sip: &str, orbit: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    let body = format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
         entity=\"sip:{orbit}\"><dialog id=\"1\" direction=\"recipient\"><state>confirmed</state>\
         <local><identity>sip:{orbit}</identity><target uri=\"sip:{orbit}\">\
         <param pname=\"+sip.rendering\" pval=\"no\"/></target></local>\
         <remote><identity display=\"Mallory\">sip:666@abc.com</identity>\
         <target uri=\"sip:{orbit}\"/></remote></dialog></dialog-info>"
    );
    let request = format!(
        "PUBLISH sip:{orbit} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK-park\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{orbit}>;tag=1\r\nTo: <sip:{orbit}>\r\nCall-ID: park\r\n\
         CSeq: 1 PUBLISH\r\nEvent: dialog\r\nExpires: 600\r\nPrivacy: id\r\n\
         Content-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.send_to(request.as_bytes(), sip).unwrap();
    let mut response = [0; 2048];
    let length = socket.recv(&mut response).unwrap();
    let response = String::from_utf8_lossy(&response[..length]);
    assert!(response.starts_with("SIP/2.0 200"), "{response}");
}

/// The lines of a page without the durations, which change.
fn lines(page: &str) -> Vec<&str> {
    let line = |line| match str::rsplit_once(line, ' ') {
        Some((rest, age)) if age.contains(':') => rest,
        _ => line,
    };
    page.lines().map(line).collect()
}

#[test]
fn the_page_of_the_daemon_shows_what_is_parked() {
    let folder = Folder::new("parks", &configuration());
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let http = address(&ready, "HTTP on ");
    let page = |domain: &str| curl(&[&format!("http://{http}/parks/{domain}/{TOKEN}")]);
    assert_eq!(page("abc.com"), "No parked calls\n");

    for domain in ["abc.com", "hidden.example", "bare.example"] {
        let park = format!("set 701@{domain} park sip:4930123@{domain} --display Alice");
        folder.says(&park);
    }
    folder.says("set 709@abc.com park sip:1@abc.com");
    publish(address(&ready, "SIP on udp "), "700@abc.com");
    assert_eq!(
        lines(&page("abc.com")),
        ["700 Anonymous", "701 Alice 4930123"]
    );
    assert!(page("abc.com").starts_with("700 Anonymous 0:0"));
    assert_eq!(lines(&page("hidden.example")), ["701 Anonymous"]);
    assert_eq!(lines(&page("bare.example")), ["701"]);
    // The other token, and a name of a maker.
    let url = format!("http://{http}/parks/snom/abc.com/an-older-token-of-it");
    let snom = curl(&[&url]);
    assert!(snom.contains("701 Alice 4930123 0:0"), "{snom}");
    assert!(snom.contains("numberdial=701"), "{snom}");

    let url = format!("http://{http}/parks/abc.com/{TOKEN}");
    let yealink = "Yealink SIP-T46G 28.71.0.155";
    let whole = curl(&[
        "--include",
        "--http1.0",
        "--compressed",
        "-A",
        yealink,
        &url,
    ]);
    assert!(whole.contains("<URI>Dial:701</URI>"), "{whole}");
    let head = whole.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-length: "), "{whole}");
    assert!(
        head.contains(&format!("\r\nrefresh: 5; url={url}\r\n")),
        "{whole}"
    );
    assert!(!head.contains("encoding: "), "{whole}");

    let wrong = [
        format!("http://{http}/parks/abc.com/0f8c2b7d9e4a6154"),
        format!("http://{http}/parks/none.example/{TOKEN}"),
        format!("http://{http}/parks/xyz.example/{TOKEN}"),
    ];
    for url in &wrong {
        let answer = curl(&["--write-out", "%{http_code}", url]);
        assert_eq!(answer, "Not Found\n404");
    }
    // Picked up.
    folder.says("set 701@abc.com unpark");
    assert_eq!(lines(&page("abc.com")), ["700 Anonymous"]);
    daemon.stop();
}
