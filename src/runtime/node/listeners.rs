//! What a node listens on, as its cores need it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;

use crate::http::Facts;
use crate::http::facts::Scheme;
use crate::net::listener::Service;
use crate::runtime::boot::Bound;
use crate::runtime::plan::{HttpListenerPlan, ListenerPlan, NodePlan};
use crate::tls::SharedKeyring;

/// What is served, by listener.
pub(super) fn services(listeners: &[ListenerPlan]) -> Arc<[Service]> {
    listeners.iter().map(|plan| plan.service.clone()).collect()
}

/// The proxies that forward connections, by listener.
pub(super) fn proxies(listeners: &[ListenerPlan]) -> Arc<[Vec<IpNet>]> {
    listeners.iter().map(|plan| plan.proxies.clone()).collect()
}

/// What is told of them.
pub(super) fn facts(plan: &NodePlan, bound: &Bound) -> Facts {
    Facts {
        keyrings: plan.keyrings(),
        sip: bound.sip_addresses().collect(),
        http: http_facts(plan, bound),
        started: Instant::now(),
    }
}

/// Where HTTP is listened on, and whether encrypted.
fn http_facts(plan: &NodePlan, bound: &Bound) -> Vec<(Scheme, SocketAddr)> {
    let listeners = plan.http_listeners.iter().zip(bound.http_addresses());
    let fact = |(plan, address): (&HttpListenerPlan, _)| match plan.keyring {
        Some(_) => (Scheme::Https, address),
        None => (Scheme::Http, address),
    };
    listeners.map(fact).collect()
}

/// The sockets of HTTP, with the certificates of those that are encrypted.
pub(super) fn http_listeners(
    plan: &NodePlan,
    sockets: Vec<std::net::TcpListener>,
) -> Vec<(std::net::TcpListener, Option<SharedKeyring>)> {
    let keyrings = plan.http_listeners.iter().map(|plan| plan.keyring.clone());
    sockets.into_iter().zip(keyrings).collect()
}
