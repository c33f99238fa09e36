//! MQTT 3.1.1 brokers: each state is a retained message with JSON, acknowledged by the broker (QoS 1).
//!
//! Topics below the configured one: `DOMAIN/USER/state` for each person, and `bridge/status`, which is `online`
//! while the relay is connected and `offline` otherwise: the broker says that as our Will (MQTT 3.1.1 §3.1.2.5).
//!
//! Guarantee: a state counts as told when the broker has acknowledged it (PUBACK).

use std::collections::HashMap;
use std::io;

use bytes::BytesMut;
use futures_util::future::LocalBoxFuture;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, LastWill, Login, Packet, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::background::encrypt;
use crate::presence::Aor;
use crate::relay::link;
use crate::relay::link::{LANES, Link, Message, PING_INTERVAL};
use crate::relay::plan::MqttPlan;
use crate::relay::queue::Entry;
use crate::relay::target::{Fault, Target};
use crate::sip::random::Random;
use crate::tls::SharedTlsClient;

/// The longest silence of ours, as the broker is told.
const KEEP_ALIVE_SECONDS: u16 = 30;
/// Octets of a packet of a broker.
const PACKET_OCTETS_MAX: usize = 64 << 10;

/// A broker.
pub(super) struct Mqtt {
    plan: MqttPlan,
    client_id: String,
    tls: SharedTlsClient,
    link: Link<Publish>,
}

/// Messages that the broker has not acknowledged, by packet identifier.
#[derive(Default)]
struct Pending {
    senders: HashMap<u16, oneshot::Sender<Result<(), Fault>>>,
    last: u16,
}

impl Mqtt {
    /// A broker as configured, of the relay of that name.
    pub(super) fn new(plan: &MqttPlan, name: &str, tls: SharedTlsClient, random: Random) -> Self {
        Self {
            client_id: format!("{}-{name}", plan.topic.replace('/', "-")),
            plan: plan.clone(),
            tls,
            link: Link::new(random),
        }
    }

    async fn publish(&self, entry: &Entry) -> Result<(), Fault> {
        let topic = state_topic(&self.plan.topic, &entry.state.aor);
        let payload = entry.state.json().to_string();
        self.link.send(retained(topic, payload)).await
    }

    /// One connection, until it ends.
    async fn connection(&self, is_back: &Notify) -> io::Result<()> {
        let stream = link::dial(&self.plan.host, self.plan.port).await?;
        if !self.plan.is_encrypted {
            return self.session(stream, is_back).await;
        }
        let stream = encrypt(stream, &self.plan.host, &self.tls).await?;
        self.session(stream, is_back).await
    }

    async fn session<S>(&self, mut stream: S, is_back: &Notify) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut received = BytesMut::new();
        write(&mut stream, &Packet::Connect(self.connect())).await?;
        let response = link::in_time(read(&mut stream, &mut received)).await?;
        match response {
            Packet::ConnAck(response) if response.code == ConnectReturnCode::Success => {}
            Packet::ConnAck(response) => {
                return Err(io::Error::other(format!("refused: {:?}", response.code)));
            }
            _ => return Err(io::Error::other("no CONNACK")),
        }
        let mut pending = Pending::default();
        let (unheard, _) = oneshot::channel();
        let mut online = retained(self.status_topic(), "online");
        online.pkid = pending.add(unheard);
        write(&mut stream, &Packet::Publish(online)).await?;
        let mut messages = self.link.up(is_back);
        serve(&mut stream, received, &mut messages, pending).await
    }

    fn connect(&self) -> Connect {
        let mut connect = Connect::new(&*self.client_id);
        connect.keep_alive = KEEP_ALIVE_SECONDS;
        connect.last_will = Some(LastWill::new(
            self.status_topic(),
            "offline",
            QoS::AtLeastOnce,
            true,
        ));
        let login = self.plan.login.as_ref();
        connect.login = login.map(|(user, password)| {
            let password = String::from_utf8_lossy(&password.0);
            Login::new(&**user, password)
        });
        connect
    }

    fn status_topic(&self) -> String {
        format!("{}/bridge/status", self.plan.topic)
    }
}

impl Target for Mqtt {
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
    /// The identifier of one more message. There are fewer under way than identifiers.
    fn add(&mut self, sender: oneshot::Sender<Result<(), Fault>>) -> u16 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.senders.insert(self.last, sender);
        self.last
    }

    fn acknowledge(&mut self, identifier: u16) {
        if let Some(sender) = self.senders.remove(&identifier) {
            // The attempt may have given up meanwhile.
            let _ = sender.send(Ok(()));
        }
    }
}

/// Sends messages and takes acknowledgements, until the connection ends.
async fn serve<S>(
    stream: &mut S,
    mut received: BytesMut,
    messages: &mut mpsc::Receiver<Message<Publish>>,
    mut pending: Pending,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping_at = Instant::now() + PING_INTERVAL;
    let mut is_heard = true;
    loop {
        tokio::select! {
            packet = read(stream, &mut received) => {
                is_heard = true;
                if let Packet::PubAck(acknowledgement) = packet? {
                    pending.acknowledge(acknowledgement.pkid);
                }
            }
            message = messages.recv() => {
                let Some(Message { content: mut publish, told }) = message else {
                    return Ok(());
                };
                publish.pkid = pending.add(told);
                write(stream, &Packet::Publish(publish)).await?;
            }
            () = sleep_until(ping_at) => {
                if !is_heard {
                    return Err(io::Error::other("the broker is silent"));
                }
                is_heard = false;
                ping_at = Instant::now() + PING_INTERVAL;
                write(stream, &Packet::PingReq).await?;
            }
        }
    }
}

/// The next packet. If it is dropped, what it has received stays.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, received: &mut BytesMut) -> io::Result<Packet> {
    loop {
        match Packet::read(received, PACKET_OCTETS_MAX) {
            Ok(packet) => return Ok(packet),
            Err(Error::InsufficientBytes(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::Error::other("the broker has closed the connection"));
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, packet: &Packet) -> io::Result<()> {
    let mut octets = BytesMut::new();
    packet
        .write(&mut octets, usize::MAX)
        .map_err(io::Error::other)?;
    link::write(stream, &octets).await
}

fn retained(topic: String, payload: impl Into<Vec<u8>>) -> Publish {
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
    publish.retain = true;
    publish
}

/// The topic of a person. What topics do not allow in a level is escaped as in URIs.
fn state_topic(root: &str, aor: &Aor) -> String {
    format!("{root}/{}/{}/state", level(aor.domain()), level(aor.user()))
}

fn level(text: &str) -> String {
    let mut level = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' => level.push_str("%25"),
            '/' => level.push_str("%2F"),
            '+' => level.push_str("%2B"),
            '#' => level.push_str("%23"),
            _ if character.is_control() => level.push('_'),
            _ => level.push(character),
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_level_for_each_part_of_the_address() {
        let topic = state_topic("home/lamps", &Aor::new("+49#1/2", "a.test"));
        assert_eq!(topic, "home/lamps/a.test/%2B49%231%2F2/state");
    }

    #[test]
    fn identifiers_are_never_zero() {
        let mut pending = Pending {
            last: u16::MAX,
            ..Pending::default()
        };
        let (sender, mut heard) = oneshot::channel();
        let identifier = pending.add(sender);
        assert_eq!(identifier, 1);
        pending.acknowledge(7);
        assert!(heard.try_recv().is_err());
        pending.acknowledge(identifier);
        assert!(heard.try_recv().is_ok());
    }
}
