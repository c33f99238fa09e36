//! The table of all pages: method, path, who may request it, and its handler. The operations of the API have
//! tables of their own (`api`).
//!
//! To add one, write its handler in the module it belongs to and give it a row in [`Route::TABLE`].
//! That is all: 404, 405 with `Allow`, OPTIONS and HEAD follow from the table (`server::dispatch`).

use std::net::IpAddr;

use futures_util::future::LocalBoxFuture;
use hyper::body::Incoming;
use hyper::{Method, Request};

use crate::http::call_state;
use crate::http::control::form::BodyKind;
use crate::http::control::{
    ControlResult, Form, backup, connectors, drain, export, forget, hand_over, history, lists,
    lockouts, log, loops, probe, refusals, relays, reload, rules, set, status, trace, watchers,
    why,
};
use crate::http::dashboard;
use crate::http::engine::Engine;
use crate::http::monitor::{health, metrics};
use crate::http::parks;
use crate::http::representation::response::Response;
use crate::http::site::{Endpoint, Site};

/// A row of the table.
pub(crate) struct Route<E: 'static> {
    pub(crate) method: RouteMethod,
    /// The path; with `*` at its end, all that begin like this and go on.
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) handler: Handler<E>,
}

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteMethod {
    /// GET, and HEAD for the head of the same response.
    Read,
    /// GET of a page that changes something: HEAD is not allowed, because the request changes
    /// state.
    Get,
    /// POST
    Post,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Any client of the public sockets, on a spare connection too: a client that holds all the
    /// others must not make the server look dead.
    Anybody,
    /// Any client of the public sockets, but not on a spare connection: for files that hold no data.
    Visitor,
    /// A client of the public sockets that authenticates: the handler checks name and password, or a token.
    Account,
    /// A process that may open the control socket.
    Operator,
}

/// The handler.
pub(crate) enum Handler<E: 'static> {
    /// Gets the raw request.
    Raw(for<'s> fn(Request<Incoming>, IpAddr, &'s Site<E>) -> LocalBoxFuture<'s, Response>),
    /// Gets the parsed fields and returns a value.
    Page(Page<E>),
}

/// A page of the operator.
pub(crate) struct Page<E: 'static> {
    /// The fields it knows; `wide` requests unlimited table width.
    pub(crate) fields: &'static [&'static str],
    pub(crate) body: BodyKind,
    pub(crate) handler: PageHandler<E>,
}

/// The handler of a page.
pub(crate) type PageHandler<E> = for<'s> fn(Form, &'s Site<E>) -> LocalBoxFuture<'s, ControlResult>;

/// An asynchronous function as the handler of a page.
macro_rules! page {
    ($handler:path) => {
        |form, site| Box::pin($handler(form, site))
    };
}

/// Makes a handler from a function that parses a state update.
macro_rules! set {
    ($update:path) => {
        |form, site| Box::pin(set::set(form, site, $update))
    };
}

impl<E: Engine> Route<E> {
    /// All of them; most frequently used first.
    pub(crate) const TABLE: &'static [Self] = &[
        Self {
            method: RouteMethod::Get,
            path: "/call_state.htm",
            who: Who::Account,
            handler: Handler::Raw(|request, peer, site| {
                Box::pin(call_state::report(request, peer, site))
            }),
        },
        Self {
            method: RouteMethod::Post,
            path: "/call_state.htm",
            who: Who::Account,
            handler: Handler::Raw(|request, peer, site| {
                Box::pin(call_state::report(request, peer, site))
            }),
        },
        Self {
            method: RouteMethod::Read,
            path: "/parks/*",
            who: Who::Account,
            handler: Handler::Raw(|request, peer, site| Box::pin(parks::show(request, peer, site))),
        },
        Self::monitor("/healthz", |_, _, _| Box::pin(async { health::alive() })),
        Self::monitor("/readyz", |_, _, site| {
            Box::pin(async { health::ready(site) })
        }),
        Self::monitor("/metrics", |request, _, site| {
            Box::pin(metrics::metrics(request, site))
        }),
        Self::file("/"),
        Self::file("/dashboard/*"),
        // Questions.
        Self::question("/status", &[], page!(status::status)),
        Self::question("/log", &[], page!(log::show)),
        Self::command("/log/level", &["filter"], page!(log::set)),
        Self::question("/counters", &[], page!(status::counters)),
        Self::question("/why", &["aor", "wide"], page!(why::show)),
        Self::question(
            "/history",
            &["aor", "domain", "since", "until", "limit", "from", "wide"],
            page!(history::show),
        ),
        Self::question("/watchers", &["aor", "wide"], page!(watchers::show)),
        Self::question("/loops", &["wide"], page!(loops::show)),
        Self::question("/refusals", &["wide"], page!(refusals::show)),
        Self::question("/relays", &["wide"], page!(relays::show)),
        Self::question("/lockouts", &["wide"], page!(lockouts::show)),
        Self::question("/connectors", &["name", "wide"], page!(connectors::show)),
        Self::question("/list", &["list"], page!(lists::show)),
        Self::question("/rules", &["aor"], page!(rules::show)),
        Self::question("/export", &[], page!(export::export)),
        Self::question("/probe", &["id", "seen"], page!(probe::read)),
        Self::question("/trace", &["id"], page!(trace::read)),
        // Commands.
        Self::command("/probe/subscribe", &probe::FIELDS, page!(probe::subscribe)),
        Self::command("/probe/publish", &probe::FIELDS, page!(probe::publish)),
        Self::command("/trace/begin", &["of"], page!(trace::begin)),
        Self::command("/trace/end", &["id"], page!(trace::end)),
        Self::command("/reload", &["accept_removal"], page!(reload::reload)),
        Self::command("/connectors/start", &["name"], page!(connectors::start)),
        Self::command("/connectors/stop", &["name"], page!(connectors::stop)),
        Self::command("/connectors/restart", &["name"], page!(connectors::restart)),
        Self::command("/lockouts/lift", &["who"], page!(lockouts::lift)),
        Self::command("/forget", &["aor"], page!(forget::forget)),
        Self::command("/drain", &[], page!(drain::drain)),
        Self::command("/hand-over", &["socket"], page!(hand_over::hand_over)),
        Self::command("/backup", &["file"], page!(backup::backup)),
        Self::command(
            "/list/create",
            &["list", "name", "style", "members"],
            page!(lists::create),
        ),
        Self::command("/list/delete", &["list"], page!(lists::delete)),
        Self::command("/list/add", &["list", "member", "at"], page!(lists::add)),
        Self::command("/list/remove", &["list", "member"], page!(lists::remove)),
        Self {
            method: RouteMethod::Post,
            path: "/rules/import",
            who: Who::Operator,
            handler: Handler::Page(Page {
                fields: &["aor"],
                body: BodyKind::Document,
                handler: page!(rules::import),
            }),
        },
        Self::command("/rules/approve", &["watcher", "aor"], page!(rules::approve)),
        Self::command(
            "/rules/deny",
            &["watcher", "aor", "politely"],
            page!(rules::deny),
        ),
        Self::command("/rules/remove", &["aor"], page!(rules::remove)),
        Self::command("/set/dnd", &["aor", "state"], set!(set::do_not_disturb)),
        Self::command(
            "/set/forward",
            &["aor", "kind", "target", "rings"],
            set!(set::forward),
        ),
        Self::command("/set/note", &["aor", "text"], set!(set::note)),
        Self::command(
            "/set/presence",
            &["aor", "basic", "activities"],
            set!(set::presence),
        ),
        Self::command(
            "/set/messages",
            &["aor", "counts", "urgent"],
            set!(set::messages),
        ),
        Self::command(
            "/set/lamp",
            &["aor", "state", "from", "display", "expires"],
            set!(set::lamp),
        ),
        Self::command(
            "/set/park",
            &["aor", "from", "display", "expires"],
            set!(set::park),
        ),
        Self::command("/set/unpark", &["aor"], set!(set::unpark)),
        Self::command(
            "/set/appearance",
            &["aor", "index", "state", "party"],
            set!(set::appearance),
        ),
        Self::command(
            "/set/registered",
            &["aor", "contact", "expires"],
            set!(set::registered),
        ),
        Self::command("/set/unregistered", &["aor"], set!(set::unregistered)),
    ];

    /// The routes of a path at an endpoint; none when there is no such page.
    pub(crate) fn of_path(
        path: &str,
        endpoint: Endpoint,
    ) -> impl Iterator<Item = &'static Self> + Clone {
        Self::TABLE
            .iter()
            .filter(move |route| route.is_at(path) && route.who.is_served_at(endpoint))
    }

    fn is_at(&self, path: &str) -> bool {
        let is_below = |begin| {
            path.strip_prefix(begin)
                .is_some_and(|rest| !rest.is_empty())
        };
        match self.path.strip_suffix('*') {
            Some(begin) => is_below(begin),
            None => path == self.path,
        }
    }

    const fn monitor(
        path: &'static str,
        handler: for<'s> fn(Request<Incoming>, IpAddr, &'s Site<E>) -> LocalBoxFuture<'s, Response>,
    ) -> Self {
        Self {
            method: RouteMethod::Read,
            path,
            who: Who::Anybody,
            handler: Handler::Raw(handler),
        }
    }

    const fn file(path: &'static str) -> Self {
        Self {
            method: RouteMethod::Read,
            path,
            who: Who::Visitor,
            handler: Handler::Raw(|request, _, _| {
                Box::pin(async move { dashboard::show(&request) })
            }),
        }
    }

    const fn question(
        path: &'static str,
        fields: &'static [&'static str],
        handler: PageHandler<E>,
    ) -> Self {
        Self {
            method: RouteMethod::Read,
            path,
            who: Who::Operator,
            handler: Handler::Page(Page {
                fields,
                body: BodyKind::Ignored,
                handler,
            }),
        }
    }

    const fn command(
        path: &'static str,
        fields: &'static [&'static str],
        handler: PageHandler<E>,
    ) -> Self {
        Self {
            method: RouteMethod::Post,
            path,
            who: Who::Operator,
            handler: Handler::Page(Page {
                fields,
                body: BodyKind::Fields,
                handler,
            }),
        }
    }
}

impl RouteMethod {
    /// Whether a request's method is this one.
    pub(crate) fn is(self, method: &Method) -> bool {
        match self {
            Self::Read => matches!(*method, Method::GET | Method::HEAD),
            Self::Get => *method == Method::GET,
            Self::Post => *method == Method::POST,
        }
    }

    /// As written in `Allow`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "GET, HEAD",
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl Who {
    /// Whether this audience is served at `endpoint`.
    pub(crate) const fn is_served_at(self, endpoint: Endpoint) -> bool {
        match self {
            Self::Anybody | Self::Visitor | Self::Account => matches!(endpoint, Endpoint::Public),
            Self::Operator => matches!(endpoint, Endpoint::Control),
        }
    }
}
