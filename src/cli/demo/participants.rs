//! The participants: three people with a phone each, and the server's configuration.

use std::io;
use std::path::Path;

use crate::cli::serve;
use crate::cli::token;
use crate::config;
use crate::config::{Complaints, Machine, Source};
use crate::runtime::{NodePlan, OutboundPlan};

/// The domain of the demonstration.
pub(super) const DOMAIN: &str = "example.com";
/// The name of the token for the dashboard.
const TOKEN_NAME: &str = "visitor";
/// The password of every account, for call_state.htm.
pub(super) const PASSWORD: &str = "lamp";

/// A person with a phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    /// The extension: the user part of the address of record.
    pub(super) number: &'static str,
    pub(super) name: &'static str,
}

/// All participants. Each has a phone with one key for each of the others.
pub(super) const PEOPLE: [Person; 3] = [
    Person {
        number: "101",
        name: "Alice",
    },
    Person {
        number: "102",
        name: "Bob",
    },
    Person {
        number: "103",
        name: "Carol",
    },
];

/// One key of one phone; both fields are indices into [`PEOPLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The owner of the phone.
    pub(super) watcher: usize,
    /// The person whose lamp the key shows.
    pub(super) watched: usize,
}

impl Person {
    /// The address of record.
    pub(super) fn uri(self) -> String {
        format!("sip:{}@{DOMAIN}", self.number)
    }
}

impl Key {
    /// All keys of all phones.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let key = |watcher, watched| (watcher != watched).then_some(Self { watcher, watched });
        (0..PEOPLE.len()).flat_map(move |watcher| {
            (0..PEOPLE.len()).filter_map(move |watched| key(watcher, watched))
        })
    }

    /// The keys of one phone.
    pub(super) fn of(watcher: usize) -> impl Iterator<Item = Self> {
        Self::all().filter(move |key| key.watcher == watcher)
    }
}

/// The server's configuration, as an operator could write it in a file: loopback only, on ports
/// that the system chooses.
fn configuration(token_hash: &str) -> String {
    let accounts = PEOPLE.map(|person| {
        let Person { number, name } = person;
        format!(
            "[[account]]\nuser = \"{number}\"\ndomain = \"{DOMAIN}\"\npassword = \"{PASSWORD}\"\n\
             display = \"{name}\"\n"
        )
    });
    format!(
        "[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [http]\nlisten = [\"127.0.0.1:0\"]\n\
         [limits]\nresponse_ring = \"1 MiB\"\n\
         [[domain]]\nname = \"{DOMAIN}\"\nauth = \"trusted\"\ntrusted = [\"127.0.0.0/8\"]\n\
         [[token]]\nname = \"{TOKEN_NAME}\"\nrole = \"feeder\"\nhash = \"{token_hash}\"\n{}",
        accounts.concat()
    )
}

/// A new token for the dashboard, and its hash.
pub(super) fn token() -> io::Result<(String, String)> {
    token::make(TOKEN_NAME).map_err(io::Error::other)
}

/// The node of the demonstration: one shard and the HTTP core.
pub(super) fn node_plan(token_hash: &str) -> Result<NodePlan, Complaints> {
    let source = Source {
        name: "the demonstration's configuration".to_owned(),
        text: configuration(token_hash),
    };
    let plan = config::load_from(&source, &Machine::inspect())?.plan;
    let http_cpu = Some(plan.http_cpu);
    Ok(NodePlan {
        limits: serve::limits(&plan),
        http_connections: serve::crowd_limits(plan.http_connections),
        shards: plan.shards.into_iter().take(1).collect(),
        http_cpu,
        listeners: plan
            .listeners
            .into_iter()
            .map(serve::listener_plan)
            .collect(),
        http_listeners: serve::http_listener_plans(plan.http_listeners),
        // Operators reach this node over HTTP only, and an unprivileged user may not be able to
        // create a socket.
        control_socket: None::<&Path>.map(Path::to_owned),
        store: None,
        options: plan.options,
        outbound: OutboundPlan {
            tls: plan.tls_client,
            dns: plan.dns,
        },
        directory: plan.directory.into(),
        relays: plan.relays,
    })
}
