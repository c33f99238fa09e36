//! A name server that answers from a table, on loopback.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a name has.
#[derive(Clone)]
pub(crate) enum Record {
    Address(IpAddr),
    /// Priority, port, host.
    Service(u16, u16, &'static str),
    /// Order, service, replacement.
    Rule(u16, &'static str, &'static str),
}

type Table = Vec<(&'static str, Record)>;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    table: Arc<Mutex<Table>>,
    /// How often each question was asked: `SRV _sips._tcp.a.example`.
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl NameServer {
    /// With that table. Its records are to be kept for a minute, and that there is none, too.
    pub(crate) fn new(table: Table) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            table: Arc::new(Mutex::new(table)),
            asked: Arc::default(),
        };
        let (table, asked) = (Arc::clone(&server.table), Arc::clone(&server.asked));
        thread::spawn(move || {
            let mut octets = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut octets) {
                let (name, kind) = question(&octets[12..length]);
                let text = format!("{} {name}", text_of(kind));
                *asked.lock().unwrap().entry(text).or_default() += 1;
                let response = respond(&octets[..length], &name, kind, &table.lock().unwrap());
                socket.send_to(&response, peer).unwrap();
            }
        });
        server
    }

    pub(crate) fn replace(&self, table: Table) {
        *self.table.lock().unwrap() = table;
    }

    /// How often a question was asked.
    pub(crate) fn asked(&self, question: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.get(question).copied().unwrap_or_default()
    }
}

fn text_of(kind: u16) -> &'static str {
    match kind {
        1 => "A",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        _ => "other",
    }
}

/// The name and type of the question.
fn question(mut octets: &[u8]) -> (String, u16) {
    let mut labels = Vec::new();
    while octets[0] != 0 {
        let (label, rest) = octets[1..].split_at(usize::from(octets[0]));
        labels.push(str::from_utf8(label).unwrap().to_lowercase());
        octets = rest;
    }
    (labels.join("."), u16::from_be_bytes([octets[1], octets[2]]))
}

fn respond(request: &[u8], name: &str, kind: u16, table: &Table) -> Vec<u8> {
    let records = table.iter().filter(|(known, _)| *known == name);
    let found: Vec<Vec<u8>> = records
        .filter_map(|(_, record)| record.data(kind))
        .collect();
    let is_known = table.iter().any(|(known, _)| *known == name);
    let mut response = request[..2].to_vec();
    // Recursion was asked for and is available; NXDOMAIN for a name that is not there.
    response.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1]);
    response.extend((found.len() as u16).to_be_bytes());
    response.extend([0, u8::from(found.is_empty()), 0, 0]);
    let end = 12 + name.len() + 2 + 4;
    response.extend(&request[12..end]);
    for data in &found {
        push(&mut response, kind, data);
    }
    if found.is_empty() {
        // SOA: how long there is none.
        let numbers = [1u32, 60, 60, 60, 60].map(u32::to_be_bytes).concat();
        push(&mut response, 6, &[&[0, 0], numbers.as_slice()].concat());
    }
    response
}

/// A record of the name of the question.
fn push(response: &mut Vec<u8>, kind: u16, data: &[u8]) {
    response.extend([0xc0, 12]);
    response.extend(kind.to_be_bytes());
    response.extend([0, 1, 0, 0, 0, 60]);
    response.extend((data.len() as u16).to_be_bytes());
    response.extend(data);
}

impl Record {
    /// Its data, if it is of that type.
    fn data(&self, kind: u16) -> Option<Vec<u8>> {
        match (self, kind) {
            (Self::Address(IpAddr::V4(ip)), 1) => Some(ip.octets().to_vec()),
            (Self::Address(IpAddr::V6(ip)), 28) => Some(ip.octets().to_vec()),
            (Self::Service(priority, port, host), 33) => {
                let numbers = [*priority, 0, *port].map(u16::to_be_bytes).concat();
                Some([numbers, encoded(host)].concat())
            }
            (Self::Rule(order, service, replacement), 35) => {
                let numbers = [*order, 0].map(u16::to_be_bytes).concat();
                let texts = ["s", service, ""].map(text).concat();
                Some([numbers, texts, encoded(replacement)].concat())
            }
            _ => None,
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').map(text).collect::<Vec<_>>();
    [labels.concat(), vec![0]].concat()
}
