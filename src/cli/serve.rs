//! `lamplighter serve`: reads the configuration, then hands over to the runtime.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::client::{Format, Request};
use crate::cli::output;
use crate::config::{Config, Connections, Loaded, Plan};
use crate::net::connection_limits::ConnectionLimits;
use crate::net::listener::Service;
use crate::net::{HandshakeLimits, Limits};
use crate::runtime::take_over::{Promise, TakeOver};
use crate::runtime::{
    Bundle, HistoryPlan, HttpListenerPlan, ListenerPlan, LoadedConfiguration, Node, NodePlan,
    OutboundPlan, StorePlan,
};
use crate::sip::Transport;
use crate::tls::SharedKeyring;
use crate::{config, runtime, telemetry};

/// Runs until a signal ends it.
pub(super) fn run(file: &Path, takes_over: bool) -> ExitCode {
    telemetry::logs::start();
    let Loaded { config, plan } = match config::load(file) {
        Ok(loaded) => loaded,
        Err(complaints) => return output::fail(complaints),
    };
    note(&plan);
    if let Err(error) = make_directories(&plan) {
        return output::fail(format_args!(
            "{error}; create it for the user that the server runs as, or choose another data_dir in {}",
            file.display()
        ));
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        name = plan.name,
        shards = plan.shards.len(),
        "starting"
    );
    let left = match takes_over
        .then(|| take_over(&plan.control_socket))
        .transpose()
    {
        Ok(left) => left,
        Err(complaint) => return output::fail(complaint),
    };
    let file = file.to_owned();
    let (left, promise) = left.unzip();
    let started = |node: &Node| {
        ready(node);
        if let Some(promise) = promise {
            promise.keep();
        }
    };
    match runtime::run(node_plan(plan), left, started, move || load(&file, &config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(error),
    }
}

/// Has the running server leave its sockets to this process. After that it serves no more, and ends when
/// this process serves.
fn take_over(control: &Path) -> Result<(Bundle, Promise), String> {
    let place = TakeOver::beside(control).map_err(|error| error.to_string())?;
    let request = Request::post("/hand-over").with("socket", place.path().display());
    let response = request.send(control, Format::Text).map_err(|error| {
        format!(
            "cannot take over from the running server: {}: {error}; if none is running, start without --take-over",
            control.display()
        )
    })?;
    if response.status != 200 {
        let (status, why) = (response.status, response.body);
        return Err(format!(
            "the running server does not hand over ({status}): {why}it is perhaps an older version: stop it, \
             and start without --take-over"
        ));
    }
    place.receive().map_err(|error| error.to_string())
}

/// Logs the last line of the start: where the server listens, and how many tenants it serves.
fn ready(node: &Node) {
    tracing::info!("ready: {}", node.summary());
}

/// Warns of what is allowed but probably not meant.
fn note(plan: &Plan) {
    for note in &plan.notes {
        tracing::warn!("{note}");
    }
}

/// Creates the data directory and the directory of the control socket.
fn make_directories(plan: &Plan) -> io::Result<()> {
    let directories = [Some(plan.data_dir.as_path()), plan.control_socket.parent()];
    for directory in directories
        .into_iter()
        .flatten()
        .filter(|path| !path.as_os_str().is_empty())
    {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(named)?;
    }
    Ok(())
}

/// The runtime's plan from that of the configuration.
fn node_plan(plan: Plan) -> NodePlan {
    NodePlan {
        limits: limits(&plan),
        http_connections: crowd_limits(plan.http_connections),
        shards: plan.shards,
        http_cpu: Some(plan.http_cpu),
        listeners: plan.listeners.into_iter().map(listener_plan).collect(),
        http_listeners: http_listener_plans(plan.http_listeners),
        control_socket: Some(plan.control_socket),
        store: plan.store.map(store_plan),
        options: plan.options,
        outbound: OutboundPlan {
            tls: plan.tls_client,
            dns: plan.dns,
        },
        directory: Arc::new(plan.directory),
    }
}

/// A listener, converted to the runtime's type.
pub(super) fn listener_plan(listener: config::Listener) -> ListenerPlan {
    let (origins, keyring) = (listener.origins.into(), listener.keyring);
    let service = match (listener.transport, keyring.map(SharedKeyring::new)) {
        (Transport::Wss, Some(keyring)) => Service::Wss(origins, keyring),
        (_, Some(keyring)) => Service::Tls(keyring),
        (Transport::Ws, None) => Service::Ws(origins),
        (Transport::Udp, None) => Service::Udp,
        (_, None) => Service::Tcp,
    };
    ListenerPlan {
        service,
        address: listener.address,
        advertise: listener.advertise,
        proxies: listener.proxies,
    }
}

/// The HTTP listeners, converted to the runtime's type.
pub(super) fn http_listener_plans(listeners: Vec<config::HttpListener>) -> Vec<HttpListenerPlan> {
    let plan = |listener: config::HttpListener| HttpListenerPlan {
        address: listener.address,
        keyring: listener.keyring.map(SharedKeyring::new),
    };
    listeners.into_iter().map(plan).collect()
}

/// The store, converted to the runtime's type.
fn store_plan(store: config::StorePlan) -> StorePlan {
    StorePlan {
        directory: store.directory,
        refuses_on_failure: store.refuses_on_failure,
        octets_max: store.octets_max,
        history: store.history.map(|history| HistoryPlan {
            age_max: history.age_max,
            octets_max: history.octets_max,
        }),
    }
}

/// The limits of a shard's sockets.
pub(super) fn limits(plan: &Plan) -> Limits {
    Limits {
        connections: crowd_limits(plan.sip_connections),
        idle_timeout: plan.idle_connection,
        handshakes: HandshakeLimits {
            at_once_max: plan.handshakes_max,
            timeout: plan.handshake_timeout,
        },
        ..Limits::default()
    }
}

/// How many connections there may be, converted to the net module's type.
pub(super) fn crowd_limits(connections: Connections) -> ConnectionLimits {
    ConnectionLimits {
        connections_max: connections.max,
        per_address_max: connections.per_address_max,
    }
}

/// Reads the file again; every fault in it is an error. The warnings list every section that still
/// needs a restart.
fn load(file: &Path, running: &Config) -> Result<LoadedConfiguration, String> {
    let Loaded { config, plan } = config::load(file).map_err(|faults| faults.to_string())?;
    let waits = |section| format!("{section} has changed: restart to apply it");
    let sections = running.needs_restart(&config).into_iter().map(waits);
    Ok(LoadedConfiguration {
        notes: plan.notes.into_iter().chain(sections).collect(),
        directory: Arc::new(plan.directory),
        listeners: plan.listeners.into_iter().map(listener_plan).collect(),
        http_listeners: http_listener_plans(plan.http_listeners),
        tls_client: plan.tls_client,
    })
}
