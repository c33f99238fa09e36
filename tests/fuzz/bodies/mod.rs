//! What is tried with any octets, and what must hold then: one body for each kind of input that a
//! peer, an operator or a disk can give us.
//!
//! The same bodies are driven by libFuzzer (`targets`) and, with damaged messages of the dialogues,
//! by the conformance suite.

#[cfg(feature = "server")]
mod config;
mod datagram;
mod deflate;
mod digest;
mod documents;
#[cfg(feature = "server")]
mod http;
pub(crate) mod message;
mod multipart;
#[cfg(feature = "server")]
mod names;
mod node;
#[cfg(feature = "server")]
mod proxy_protocol;
pub(crate) mod record;
mod rsip;
pub(crate) mod sequence;
mod stream;
#[cfg(feature = "server")]
mod stun;
#[cfg(feature = "server")]
mod websocket;

/// A body: it panics if something that must hold does not.
pub(crate) type Body = fn(&[u8]);

/// All of them, by name.
pub(crate) const ALL: &[(&str, Body)] = &[
    ("message", message::message),
    ("parsers", message::parsers),
    ("rsip", rsip::rsip),
    ("datagram", datagram::datagram),
    ("stream", stream::stream),
    ("sequence", sequence::sequence),
    ("digest", digest::digest),
    ("dialog_info", documents::dialog_info),
    ("pidf", documents::pidf),
    ("xpidf", documents::xpidf),
    ("reginfo", documents::reginfo),
    ("message_summary", documents::message_summary),
    ("resource_lists", documents::resource_lists),
    ("pres_rules", documents::pres_rules),
    ("feature_event", documents::feature_event),
    ("multipart", multipart::multipart),
    ("deflate", deflate::deflate),
    ("record", record::record),
    #[cfg(feature = "server")]
    ("config", config::config),
    #[cfg(feature = "server")]
    ("http", http::http),
    #[cfg(feature = "server")]
    ("websocket", websocket::websocket),
    #[cfg(feature = "server")]
    ("upgrade", websocket::upgrade),
    #[cfg(feature = "server")]
    ("stun", stun::stun),
    #[cfg(feature = "server")]
    ("proxy_protocol", proxy_protocol::proxy_protocol),
    #[cfg(feature = "server")]
    ("names", names::names),
];
