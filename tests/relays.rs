//! Relays as used by an operator: the real binary, and the systems that it tells states.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "relays/loops.rs"]
mod loops;
#[path = "relays/mqtt.rs"]
mod mqtt;
#[path = "relays/nats.rs"]
mod nats;
#[path = "relays/site.rs"]
mod site;
#[path = "relays/slack.rs"]
mod slack;
#[path = "relays/teams.rs"]
mod teams;
#[path = "relays/teams_in.rs"]
mod teams_in;
#[path = "relays/web.rs"]
mod web;
#[path = "relays/webhooks.rs"]
mod webhooks;
