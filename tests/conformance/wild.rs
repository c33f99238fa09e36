//! Requests as sent by ten real clients on loopback (`tests/wild`), each given to a new engine, and
//! the required response.
//!
//! The table is written from the rules, not from the engine's output. A file without a row fails,
//! and so does a row without a file.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use lamplighter::presence::document::deflate::{InflateLimits, inflate};
use lamplighter::sip::Transport;

use crate::dialogue::Peer;
use crate::world::World;

/// The required result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// 200, and immediately a NOTIFY with the state (W:A2.5).
    Subscribed,
    /// 200 with SIP-ETag (W:B1.8).
    Published,
    /// 405 with Allow: we are not a registrar (W:A1.2).
    Refused,
    /// 412: an entity tag of the server with which the client was recorded (W:B1.4).
    ForeignTag,
    /// 481: a dialog with the server with which the client was recorded (W:A2.2).
    NoDialog,
}

use Expected::{ForeignTag, NoDialog, Published, Refused, Subscribed};

/// By client and number in the file's name.
const EXPECTED: &[(&str, &[(u32, Expected)])] = &[
    ("asyncsip", &[(1, Subscribed)]),
    (
        "baresip",
        &[
            (1, Refused),
            (2, Published),
            (3, Subscribed),
            (4, Subscribed),
            (5, ForeignTag),
            (6, ForeignTag),
            (7, NoDialog),
            (8, NoDialog),
            (9, Refused),
        ],
    ),
    (
        "blf",
        &[(1, Refused), (2, Subscribed), (3, NoDialog), (4, Refused)],
    ),
    (
        "finch",
        &[
            (1, Refused),
            (2, Published),
            (3, Subscribed),
            (4, Subscribed),
            (5, NoDialog),
            (6, NoDialog),
            (7, ForeignTag),
            (8, Refused),
        ],
    ),
    // An eventlist in Supported alone does not make `rls` a list (W:B5.2): requests such as 4 are
    // served as subscriptions to one presentity.
    (
        "jain",
        &[
            (1, Subscribed),
            (2, NoDialog),
            (3, NoDialog),
            (4, Subscribed),
            (5, NoDialog),
            (6, NoDialog),
        ],
    ),
    (
        "jssip",
        &[
            (1, Subscribed),
            (2, NoDialog),
            (3, Subscribed),
            (4, NoDialog),
            (5, Subscribed),
            (6, NoDialog),
            (7, Subscribed),
            (8, NoDialog),
        ],
    ),
    (
        "linphone",
        &[
            (1, Refused),
            (2, Subscribed),
            (3, Subscribed),
            (4, Published),
        ],
    ),
    // 6 and 8 contain their list and require support for it; 2 names a list as if it were a
    // presentity.
    (
        "linrls",
        &[
            (1, Refused),
            (2, Subscribed),
            (3, Published),
            (4, NoDialog),
            (5, Refused),
            (6, Subscribed),
            (7, Published),
            (8, NoDialog),
        ],
    ),
    (
        "pjsua",
        &[
            (1, Refused),
            (2, Published),
            (3, Subscribed),
            (4, Subscribed),
            (5, Subscribed),
            (6, ForeignTag),
            (7, NoDialog),
            (8, ForeignTag),
            (9, NoDialog),
            (10, Refused),
        ],
    ),
    (
        "sipjs",
        &[
            (1, Subscribed),
            (2, NoDialog),
            (3, Subscribed),
            (4, NoDialog),
            (5, Subscribed),
            (6, NoDialog),
            (7, Published),
            (8, ForeignTag),
            (9, ForeignTag),
        ],
    ),
    (
        "sofia",
        &[
            (1, Subscribed),
            (2, NoDialog),
            (3, Subscribed),
            (4, NoDialog),
            (5, Subscribed),
            (6, NoDialog),
        ],
    ),
    (
        "twinkle",
        &[
            (1, Refused),
            (2, Subscribed),
            (3, Published),
            (4, ForeignTag),
            (5, NoDialog),
            (6, ForeignTag),
            (7, Refused),
        ],
    ),
];

#[test]
fn every_wild_request_gets_the_expected_response() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wild");
    let mut requests = BTreeMap::new();
    for entry in
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sip") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            requests.insert(name, fs::read(&path).unwrap());
        }
    }
    let mut failures = Vec::new();
    for (client, expected) in EXPECTED {
        for (number, expected) in *expected {
            let start = format!("{client}-{number:02}-");
            let name = requests
                .keys()
                .find(|name| name.starts_with(&start))
                .cloned();
            let name = name.unwrap_or_else(|| panic!("{start}... has a row but no file"));
            let request = requests.remove(&name).unwrap();
            if let Err(failure) = check(&request, *expected) {
                failures.push(format!("{name} must be {expected:?}: {failure}"));
            }
        }
    }
    assert!(
        requests.is_empty(),
        "files without a row: {:?}",
        requests.keys()
    );
    assert!(
        failures.is_empty(),
        "{} wild requests went wrong\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Gives a request to a new engine and checks all messages that come back.
fn check(request: &[u8], expected: Expected) -> Result<(), String> {
    let scene =
        ["127.0.0.1", "example.test"].map(|domain| ("Domain".to_owned(), domain.to_owned()));
    let mut world = World::new(&scene)?;
    let peer = Peer {
        address: sender(request),
        transport: Transport::Udp,
    };
    world.receive(peer, 0, request);
    let sent: Vec<String> = world
        .sent
        .iter()
        .map(|sent| readable(&sent.bytes))
        .collect();
    let (start, header) = match expected {
        Subscribed => ("SIP/2.0 200 OK\r\n", "\r\nContact: "),
        Published => ("SIP/2.0 200 OK\r\n", "\r\nSIP-ETag: "),
        Refused => ("SIP/2.0 405 Method Not Allowed\r\n", "\r\nAllow: "),
        ForeignTag => ("SIP/2.0 412 Conditional Request Failed\r\n", ""),
        NoDialog => ("SIP/2.0 481 Subscription Does Not Exist\r\n", ""),
    };
    let expected_count = if expected == Subscribed { 2 } else { 1 };
    let is_notified = |notify: &String| {
        notify.starts_with("NOTIFY ")
            && notify.contains("\r\nSubscription-State: active;expires=")
            && (notify.contains("<?xml ") || notify.contains("\r\nMessages-Waiting: "))
    };
    let holds = sent.len() == expected_count
        && sent[0].starts_with(start)
        && sent[0].contains(header)
        && sent[1..].iter().all(is_notified)
        && world.sent.iter().all(|sent| sent.peer == peer);
    if holds {
        Ok(())
    } else {
        Err(format!(
            "{} messages came back\n{}",
            sent.len(),
            sent.join("\n")
        ))
    }
}

/// A message with its body inflated.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let end = text.find("\r\n\r\n").map(|at| at + 4);
    match end.filter(|_| text.contains("\r\nContent-Encoding: deflate\r\n")) {
        Some(end) => {
            let inflated = inflate(&bytes[end..], InflateLimits::default());
            let inflated = inflated.unwrap_or_else(|fault| panic!("{fault:?}"));
            text[..end].to_owned() + &String::from_utf8_lossy(&inflated)
        }
        None => text,
    }
}

/// The source of a recorded request: the address in its topmost Via, which was correct on loopback
/// except for clients that did not know it.
fn sender(request: &[u8]) -> SocketAddr {
    let text = String::from_utf8_lossy(request);
    let via = text
        .lines()
        .find_map(|line| line.strip_prefix("Via: SIP/2.0/UDP "));
    let sent_by = via
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .replace("0.0.0.0", "127.0.0.1");
    let with_port = if sent_by.contains(':') {
        sent_by
    } else {
        format!("{sent_by}:5060")
    };
    with_port.parse().unwrap()
}
