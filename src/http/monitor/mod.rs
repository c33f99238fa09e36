//! Pages for whoever watches over the server.

pub(crate) mod metrics;
