//! NATS servers: each state is a message with JSON on a subject of its person.
//!
//! The subject has the configured tokens, the labels of the domain, the user and `state`: `lamplighter.abc.com.101.state`.
//! A user is one token; what a token cannot hold is escaped as in URIs: `ann%2Elee`.
//!
//! Guarantee: a state counts as told when the server has it. A PING follows each message; its PONG says that the server
//! has taken both, in order. NATS itself retains no message: who subscribes later learns the next change.
//!
//! The protocol is that of the clients' documentation (INFO, CONNECT, PUB, PING, PONG, -ERR). The crate `async-nats` tells no
//! PONG, and sends what it has buffered before a connection was lost, where our queue has newer states.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;

use bytes::{Buf, BytesMut};
use futures_util::future::LocalBoxFuture;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::background::encrypt;
use crate::presence::Aor;
use crate::relay::link;
use crate::relay::link::{LANES, Link, Message, PING_INTERVAL};
use crate::relay::plan::{NatsLogin, NatsPlan, NatsServer};
use crate::relay::queue::Entry;
use crate::relay::target::{Fault, Remedy, Target};
use crate::sip::random::Random;
use crate::tls::SharedTlsClient;

/// Octets of a line of a server.
const LINE_OCTETS_MAX: usize = 64 << 10;
/// Octets of a subject: a server takes lines of 4,096, and cuts the connection after a longer one.
const SUBJECT_OCTETS_MAX: usize = 4_000;
/// Characters of an error of a server that are shown.
const ERROR_CHARACTERS_MAX: usize = 80;
/// What a token of a subject does not hold as it is.
const ESCAPED: AsciiSet = CONTROLS.add(b' ').add(b'.').add(b'*').add(b'>').add(b'%');

/// One server, or a cluster of them.
pub(super) struct Nats {
    plan: NatsPlan,
    /// What servers show of this connection.
    client: String,
    tls: SharedTlsClient,
    link: Link<Publication>,
    /// Connections that were begun.
    attempts: Cell<usize>,
}

#[derive(Clone)]
struct Publication {
    subject: String,
    payload: String,
}

/// A line of a server.
#[derive(Debug, PartialEq)]
enum Line {
    Info(Value),
    Ping,
    Pong,
    Error(String),
    /// `+OK`, and what later servers may say.
    Other,
}

/// PINGs without a PONG, oldest first. That of a message has its sender.
#[derive(Default)]
struct Pending(VecDeque<Option<oneshot::Sender<Result<(), Fault>>>>);

impl Nats {
    /// A server as configured, of the relay of that name.
    pub(super) fn new(plan: &NatsPlan, name: &str, tls: SharedTlsClient, random: Random) -> Self {
        Self {
            plan: plan.clone(),
            client: format!("lamplighter {name}"),
            tls,
            link: Link::new(random),
            attempts: Cell::new(0),
        }
    }

    async fn publish(&self, entry: &Entry) -> Result<(), Fault> {
        let subject = subject(&self.plan.subject, &entry.state.aor);
        if subject.len() > SUBJECT_OCTETS_MAX {
            return Err(Fault::new("the subject is too long", Remedy::GiveUp));
        }
        let payload = entry.state.json().to_string();
        self.link.send(Publication { subject, payload }).await
    }

    /// One connection, to the next of the servers, until it ends.
    async fn connection(&self, is_back: &Notify) -> io::Result<()> {
        let attempt = self.attempts.get();
        self.attempts.set(attempt.wrapping_add(1));
        let mut servers = self.plan.servers.iter().cycle();
        let count = self.plan.servers.len().max(1);
        let Some(server) = servers.nth(attempt % count) else {
            return Err(io::Error::other("there is no server"));
        };
        let mut stream = link::dial(&server.host, server.port).await?;
        let mut received = BytesMut::new();
        let first = link::in_time(read(&mut stream, &mut received)).await?;
        let Line::Info(info) = first else {
            return Err(io::Error::other("no INFO"));
        };
        if !server.is_encrypted {
            return match info["tls_required"] == true {
                true => Err(io::Error::other("the server wants TLS")),
                false => self.session(stream, server, &info, is_back).await,
            };
        }
        // What came unencrypted is not taken for a part of what is encrypted.
        if !received.is_empty() {
            return Err(io::Error::other("octets before TLS"));
        }
        let stream = encrypt(stream, &server.host, &self.tls).await?;
        self.session(stream, server, &info, is_back).await
    }

    async fn session<S>(
        &self,
        mut stream: S,
        server: &NatsServer,
        info: &Value,
        is_back: &Notify,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut received = BytesMut::new();
        let connect = format!("CONNECT {}\r\nPING\r\n", self.connect(server));
        link::write(&mut stream, connect.as_bytes()).await?;
        link::in_time(accepted(&mut stream, &mut received)).await?;
        let payload_max = info["max_payload"].as_u64().unwrap_or(u64::MAX);
        let payload_max = usize::try_from(payload_max).unwrap_or(usize::MAX);
        let mut messages = self.link.up(is_back);
        serve(&mut stream, received, &mut messages, payload_max).await
    }

    fn connect(&self, server: &NatsServer) -> Value {
        let mut connect = json!({
            "verbose": false,
            "pedantic": false,
            "tls_required": server.is_encrypted,
            "name": self.client,
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1,
            "echo": false,
        });
        match &self.plan.login {
            Some(NatsLogin::User(user, password)) => {
                connect["user"] = (**user).into();
                connect["pass"] = String::from_utf8_lossy(&password.0).into();
            }
            Some(NatsLogin::Token(token)) => {
                connect["auth_token"] = String::from_utf8_lossy(&token.0).into();
            }
            None => {}
        }
        connect
    }
}

impl Target for Nats {
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.publish(entry))
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn attend<'a>(&'a self, is_back: &'a Notify) -> LocalBoxFuture<'a, ()> {
        Box::pin(self.link.keep(async || self.connection(is_back).await))
    }
}

impl Pending {
    /// The server has taken what came before the oldest PING.
    fn pong(&mut self) {
        self.end(Ok(()));
        self.0.pop_front();
    }

    /// The server has refused the oldest message; the PONG behind it is still to come.
    fn refused(&mut self, why: String) {
        self.end(Err(Fault::new(why, Remedy::Retry)));
    }

    fn end(&mut self, told: Result<(), Fault>) {
        if let Some(sender) = self.0.front_mut().and_then(Option::take) {
            // The attempt may have given up meanwhile.
            let _ = sender.send(told);
        }
    }
}

/// Waits until the server has taken CONNECT.
async fn accepted<S>(stream: &mut S, received: &mut BytesMut) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match read(stream, received).await? {
            Line::Pong => return Ok(()),
            Line::Ping => link::write(stream, b"PONG\r\n").await?,
            Line::Error(why) => return Err(io::Error::other(format!("refused: {why}"))),
            Line::Info(_) | Line::Other => {}
        }
    }
}

/// Sends messages and takes what the server says of them, until the connection ends.
async fn serve<S>(
    stream: &mut S,
    mut received: BytesMut,
    messages: &mut mpsc::Receiver<Message<Publication>>,
    payload_max: usize,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pending = Pending::default();
    let mut ping_at = Instant::now() + PING_INTERVAL;
    let mut is_heard = true;
    loop {
        tokio::select! {
            line = read(stream, &mut received) => {
                is_heard = true;
                match line? {
                    Line::Pong => pending.pong(),
                    Line::Ping => link::write(stream, b"PONG\r\n").await?,
                    Line::Error(why) if is_about_a_message(&why) => pending.refused(why),
                    Line::Error(why) => return Err(io::Error::other(why)),
                    Line::Info(_) | Line::Other => {}
                }
            }
            message = messages.recv() => {
                let Some(Message { content, told }) = message else {
                    return Ok(());
                };
                if content.payload.len() > payload_max {
                    let _ = told.send(Err(Fault::new("too long for the server", Remedy::GiveUp)));
                    continue;
                }
                pending.0.push_back(Some(told));
                link::write(stream, content.publish().as_bytes()).await?;
            }
            () = sleep_until(ping_at) => {
                if !is_heard {
                    return Err(io::Error::other("the server is silent"));
                }
                is_heard = false;
                ping_at = Instant::now() + PING_INTERVAL;
                pending.0.push_back(None);
                link::write(stream, b"PING\r\n").await?;
            }
        }
    }
}

impl Publication {
    fn publish(&self) -> String {
        let Self { subject, payload } = self;
        format!("PUB {subject} {}\r\n{payload}\r\nPING\r\n", payload.len())
    }
}

/// The next line. If it is dropped, what it has received stays.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut) -> io::Result<Line> {
    loop {
        if let Some(end) = received.iter().position(|octet| *octet == b'\n') {
            let line = received.split_to(end);
            received.advance(1);
            return Ok(parse(&String::from_utf8_lossy(&line)));
        }
        if received.len() > LINE_OCTETS_MAX {
            return Err(io::Error::other("a line of the server is too long"));
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::Error::other("the server has closed the connection"));
        }
    }
}

/// A line without its end. The words are in either case.
fn parse(line: &str) -> Line {
    let line = line.trim();
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match word.to_ascii_uppercase().as_str() {
        "PING" => Line::Ping,
        "PONG" => Line::Pong,
        "INFO" => Line::Info(serde_json::from_str(rest).unwrap_or_default()),
        "-ERR" => Line::Error(error(rest)),
        _ => Line::Other,
    }
}

/// An error as it may be shown: without the subject, which names a person.
fn error(text: &str) -> String {
    let text = text.trim().trim_matches('\'');
    let text = text.split(" to \"").next().unwrap_or_default();
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(ERROR_CHARACTERS_MAX).collect()
}

/// Whether an error leaves the connection as it is.
fn is_about_a_message(error: &str) -> bool {
    error.starts_with("Permissions Violation") || error.starts_with("Invalid Publish Subject")
}

/// The subject of a person.
fn subject(root: &str, aor: &Aor) -> String {
    let labels: Vec<String> = aor.domain().split('.').map(token).collect();
    format!("{root}.{}.{}.state", labels.join("."), token(aor.user()))
}

/// A token; one of nothing is `%`.
fn token(text: &str) -> String {
    match text {
        "" => "%".to_owned(),
        text => utf8_percent_encode(text, &ESCAPED).to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_one_token_of_a_subject() {
        let of = |user: &str, domain: &str| subject("lamps.v1", &Aor::new(user, domain));
        assert_eq!(of("101", "abc.com"), "lamps.v1.abc.com.101.state");
        assert_eq!(
            of("ann.lee *>%", "a.test"),
            "lamps.v1.a.test.ann%2Elee%20%2A%3E%25.state"
        );
        assert_eq!(of("jörg", "a.test"), "lamps.v1.a.test.j%C3%B6rg.state");
        assert_eq!(of("", "[2001:db8::1]"), "lamps.v1.[2001:db8::1].%.state");
    }

    #[test]
    fn lines_are_read_as_the_protocol_says() {
        assert_eq!(parse("PING\r"), Line::Ping);
        assert_eq!(parse("pong"), Line::Pong);
        assert_eq!(parse("+OK"), Line::Other);
        assert_eq!(
            parse("INFO {\"max_payload\":7} "),
            Line::Info(json!({"max_payload": 7}))
        );
        assert_eq!(parse("INFO {"), Line::Info(Value::Null));
        for (line, shown) in [
            ("-ERR 'Authorization Violation'", "Authorization Violation"),
            (
                "-ERR 'Permissions Violation for Publish to \"lamps.a.test.ann.state\"'",
                "Permissions Violation for Publish",
            ),
            ("-ERR", ""),
        ] {
            assert_eq!(parse(line), Line::Error(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_refused_is_not_told_by_the_pong_behind_it() {
        let mut pending = Pending::default();
        let (first, refused) = oneshot::channel();
        let (second, taken) = oneshot::channel();
        pending.0.extend([Some(first), None, Some(second)]);
        pending.refused("no".to_owned());
        let fault = refused.blocking_recv().unwrap().unwrap_err();
        assert_eq!(fault, Fault::new("no", Remedy::Retry));
        for _ in 0..3 {
            pending.pong();
        }
        assert_eq!(taken.blocking_recv().unwrap(), Ok(()));
        // A PONG too many.
        pending.pong();
    }
}
