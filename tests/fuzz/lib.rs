//! The bodies, for the targets of libFuzzer.
#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(
    dead_code,
    reason = "how scripts are made of dialogues is for the conformance suite"
)]
mod bodies;
pub mod mutator;
#[path = "../parse/plain/mod.rs"]
mod plain;

/// Runs the body of that name.
pub fn run(name: &str, octets: &[u8]) {
    let (_, body) = bodies::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a body of that name");
    body(octets);
}
