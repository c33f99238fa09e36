//! `lamplighter serve`: reads the configuration, then hands over to the runtime.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::client::{Format, Request};
use crate::cli::output;
use crate::config::{Config, Connections, Loaded, Plan};
use crate::directory::Directory;
use crate::directory::managed::{ChangeRefusal, ManagedChange};
use crate::net::connection_limits::ConnectionLimits;
use crate::net::listener::Service;
use crate::net::{HandshakeLimits, Limits};
use crate::runtime::take_over::{Promise, TakeOver};
use crate::runtime::{
    Bundle, ConfigurationFiles, HistoryPlan, HttpListenerPlan, ListenerPlan, LoadedChange,
    LoadedConfiguration, Node, NodePlan, OutboundPlan, StorePlan,
};
use crate::sip::Transport;
use crate::tls::SharedKeyring;
use crate::{config, runtime, telemetry};

/// Runs until a signal ends it.
pub(super) fn run(file: &Path, takes_over: bool) -> ExitCode {
    telemetry::logs::start();
    let loaded = match config::load(file) {
        Ok(loaded) => loaded,
        Err(complaints) => return output::fail(complaints),
    };
    let plan = &loaded.plan;
    note(plan);
    if let Err(error) = make_directories(plan) {
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
    let Loaded { config, plan, .. } = match left {
        Some(_) if loaded.is_outdated() => again(loaded, file),
        _ => loaded,
    };
    let (left, promise) = left.unzip();
    let started = |node: &Node| {
        ready(node);
        if let Some(promise) = promise {
            promise.keep();
        }
    };
    let files = Files {
        path: file.to_owned(),
        running: config,
        drafted: None,
    };
    match runtime::run(node_plan(plan), left, started, files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(error),
    }
}

/// Reads the files again, because the other server has made a change for the HTTP API before it handed over.
fn again(loaded: Loaded, file: &Path) -> Loaded {
    config::load(file).unwrap_or_else(|complaints| {
        tracing::error!("the last changes by the HTTP API are not in force: {complaints}");
        loaded
    })
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
        relays: plan.relays,
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
        beside: store.domains,
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

/// The files of the configuration of a running server.
struct Files {
    /// The operator's file.
    path: PathBuf,
    /// What the server runs with.
    running: Config,
    /// The hash of the last text for the file of the HTTP API. It may be in that file though the write failed.
    drafted: Option<u64>,
}

impl ConfigurationFiles for Files {
    fn load(&mut self) -> Result<LoadedConfiguration, String> {
        let loaded = config::reload(&self.path, &self.running);
        let loaded = loaded.map_err(|faults| faults.to_string())?;
        Ok(configuration(loaded, &self.running))
    }

    fn load_changed(
        &mut self,
        change: &ManagedChange,
        current: &Directory,
    ) -> Result<LoadedChange, ChangeRefusal> {
        let mut known = vec![current.managed_file()];
        known.extend(self.drafted.map(Some));
        let changed = config::reload_changed(&self.path, &self.running, change, &known)?;
        let (domain, is_new) = (changed.domain.clone(), changed.is_new);
        let (loaded, write) = changed.split();
        self.drafted = loaded.plan.directory.managed_file();
        Ok(LoadedChange {
            loaded: configuration(loaded, &self.running),
            domain,
            is_new,
            is_removal: matches!(change, ManagedChange::RemoveDomain { .. }),
            write: Box::new(write),
        })
    }
}

/// A configuration that was read again. The notes list every section that still needs a restart.
fn configuration(loaded: Loaded, running: &Config) -> LoadedConfiguration {
    let Loaded { config, plan, .. } = loaded;
    let waits = |section| format!("{section} has changed: restart to apply it");
    let sections = running.needs_restart(&config).into_iter().map(waits);
    LoadedConfiguration {
        notes: plan.notes.into_iter().chain(sections).collect(),
        directory: Arc::new(plan.directory),
        listeners: plan.listeners.into_iter().map(listener_plan).collect(),
        http_listeners: http_listener_plans(plan.http_listeners),
        tls_client: plan.tls_client,
        relays: plan.relays,
    }
}
