//! An outcome continues the request it is about, and no other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::{AuthMode, Directory, Domain};
use crate::presence::Aor;
use crate::presence::presentity::{PublishRefused, Published};
use crate::presence::source::EntityTag;
use crate::shard::{ConnectionId, Flow, Input, Mail, Options, Outbox, Shard, ShardId};
use crate::sip::Transport;

/// Two shards share a node; this is the one that does not own the presentity.
struct World {
    shard: Shard,
    now: Instant,
    out: Outbox,
}

/// A user of `abc.com` that the other shard owns.
fn user() -> String {
    let is_elsewhere = |user: &String| {
        let aor = Aor::new(user, "abc.com");
        ShardId::owner_of(&aor, 2) == ShardId(1)
    };
    (100..)
        .map(|user| user.to_string())
        .find(is_elsewhere)
        .unwrap()
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut directory = Directory::default();
        let domain = Domain {
            auth: AuthMode::None,
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            open: true,
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        Self {
            shard: Shard::new(
                Options::new(ShardId(0), 2, now, [1; 32]),
                Arc::new(directory),
                [2; 32],
            ),
            now,
            out: Outbox::default(),
        }
    }

    /// A PUBLISH goes to the owner; the number that its outcome must name.
    fn publish(&mut self, call_id: &str) -> u64 {
        let user = user();
        let body = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:{user}@abc.com\"/>"
        );
        let request = format!(
            "PUBLISH sip:{user}@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK{call_id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@abc.com>;tag=1\r\nTo: <sip:{user}@abc.com>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 PUBLISH\r\nEvent: dialog\r\nExpires: 600\r\n\
             Content-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let input = Input::Message {
            flow: Flow {
                transport: Transport::Udp,
                listener: 0,
                connection: ConnectionId::default(),
                local: SocketAddr::from(([10, 0, 0, 1], 5060)),
                peer: SocketAddr::from(([10, 0, 0, 9], 5060)),
            },
            bytes: request.as_bytes(),
        };
        self.shard.handle(input, self.now, &mut self.out);
        let number = self.out.mail.iter().find_map(|(_, mail)| match mail {
            Mail::Publish(publish) => Some(publish.reply_to.1),
            _ => None,
        });
        let refused = String::from_utf8_lossy(&self.out.arena).into_owned();
        self.out.clear();
        number.expect(&refused)
    }

    /// The owner's outcome arrives. Returns what is sent.
    fn outcome(&mut self, request: u64, outcome: Result<Published, PublishRefused>) -> String {
        let mail = Mail::PublishOutcome { request, outcome };
        self.shard
            .handle(Input::Mail(mail), self.now, &mut self.out);
        let sent = self.out.transmits.iter().map(|transmit| {
            let octets = self.out.pieces(transmit).concat();
            String::from_utf8(octets).unwrap()
        });
        let sent = sent.collect();
        self.out.clear();
        sent
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.shard.handle_timeout(self.now, &mut self.out);
        self.out.clear();
    }
}

#[test]
fn an_outcome_that_comes_too_late_continues_no_other_request() {
    let mut world = World::new();
    let published = Published {
        entity_tag: EntityTag(7),
        expires: Duration::from_secs(600),
    };
    let late = world.publish("late");
    world.wait(Duration::from_secs(40));
    let next = world.publish("next");
    assert_eq!(world.outcome(late, Ok(published)), "", "it timed out");
    let sent = world.outcome(next, Err(PublishRefused::ConditionFailed));
    assert!(
        sent.starts_with("SIP/2.0 412 ") && sent.contains("Call-ID: next"),
        "{sent}"
    );
    assert_eq!(world.outcome(next, Ok(published)), "", "it is answered");
}
