//! The table of routes, row by row over real sockets: each page has its methods and no others, and
//! is at its own endpoint and at no other.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::http::control::form::BodyKind;
use crate::http::routes::{Handler, Route, RouteMethod, Who};
use crate::http::site::Endpoint;

const TABLE: &[Route<FakeEngine>] = Route::TABLE;
/// Methods that clients may try; `BREW` is of no standard.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW",
];

impl Server {
    /// A request at either endpoint, with an empty body.
    fn request_at(&self, endpoint: Endpoint, method: &str, target: &str) -> Response {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n");
        let request = format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n");
        match endpoint {
            Endpoint::Public => Response::new(&self.raw(request.as_bytes())),
            Endpoint::Control => self.socket(&request),
        }
    }
}

/// The methods of each page, in the order of the table.
fn pages() -> BTreeMap<(bool, &'static str), Vec<RouteMethod>> {
    let mut pages: BTreeMap<_, Vec<RouteMethod>> = BTreeMap::new();
    for route in TABLE {
        let key = (route.who == Who::Operator, route.path);
        pages.entry(key).or_default().push(route.method);
    }
    pages
}

/// A target of a route: its path, or a page below it.
fn target(path: &str) -> String {
    if path == "/dashboard/*" {
        return "/dashboard/app.js".to_owned();
    }
    path.replace('*', &format!("pbx.example/{PARKS_TOKEN}"))
}

fn endpoints(is_operators: bool) -> (Endpoint, Endpoint) {
    match is_operators {
        true => (Endpoint::Control, Endpoint::Public),
        false => (Endpoint::Public, Endpoint::Control),
    }
}

fn allows(methods: &[RouteMethod], method: &str) -> bool {
    methods.iter().any(|of_route| match of_route {
        RouteMethod::Read => ["GET", "HEAD"].contains(&method),
        RouteMethod::Get => method == "GET",
        RouteMethod::Post => method == "POST",
    })
}

#[test]
fn no_two_routes_share_method_and_path() {
    let mut known = HashSet::new();
    for route in TABLE {
        let methods: &[&str] = match route.method {
            RouteMethod::Read => &["GET", "HEAD"],
            RouteMethod::Get => &["GET"],
            RouteMethod::Post => &["POST"],
        };
        for method in methods {
            assert!(
                known.insert((method, route.path)),
                "{method} {}",
                route.path
            );
        }
        let is_page = route.path.starts_with('/') && !route.path.ends_with('/');
        assert!(is_page || route.path == "/", "{}", route.path);
    }
    assert!(TABLE.len() > 30);
}

#[test]
fn a_command_cannot_be_sent_with_get() {
    for route in TABLE {
        let Handler::Page(page) = &route.handler else {
            continue;
        };
        assert_eq!(route.who, Who::Operator, "{}", route.path);
        let is_question = page.body == BodyKind::Ignored;
        assert_eq!(
            route.method == RouteMethod::Read,
            is_question,
            "{}",
            route.path
        );
        let fields: HashSet<_> = page.fields.iter().collect();
        assert_eq!(fields.len(), page.fields.len(), "{}", route.path);
    }
}

#[test]
fn every_page_has_its_methods_and_no_others() {
    let server = Server::start();
    server.engine.is_ready.store(true, Ordering::SeqCst);
    for ((is_operators, path), methods) in pages() {
        let (endpoint, _) = endpoints(is_operators);
        let mut allow: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
        allow.push("OPTIONS");
        let allow = allow.join(", ").to_ascii_lowercase();
        for method in METHODS {
            let response = server.request_at(endpoint, method, &target(path));
            let (status, allowed) = (response.status, response.header("allow"));
            let what = format!("{method} {path}: {}", response.head);
            if method == "OPTIONS" {
                assert_eq!((status, allowed), (204, Some(&*allow)), "{what}");
                assert_eq!(response.body, "", "{what}");
            } else if allows(&methods, method) {
                // Most miss a field: what matters is that the handler was reached.
                assert!(![404, 405].contains(&status), "{what}");
                assert_eq!(allowed, None, "{what}");
            } else {
                assert_eq!((status, allowed), (405, Some(&*allow)), "{what}");
                // What is left of the request is not read.
                assert_eq!(response.header("connection"), Some("close"), "{what}");
            }
        }
    }
    assert_eq!(server.call_updates(), []);
    assert!(server.engine.updates.lock().unwrap().is_empty());
    assert!(server.engine.reloads.lock().unwrap().is_empty());
}

#[test]
fn every_page_is_at_one_endpoint() {
    let server = Server::start();
    for ((is_operators, path), _) in pages() {
        let (_, other) = endpoints(is_operators);
        for method in METHODS {
            let response = server.request_at(other, method, &target(path));
            assert_eq!(response.status, 404, "{method} {path}");
            assert_eq!(response.header("allow"), None, "{method} {path}");
        }
    }
}

#[test]
fn an_unknown_path_is_404_whatever_the_method() {
    let server = Server::start();
    for endpoint in Endpoint::ALL {
        for path in [
            "/dashboard",
            "/dashboard/",
            "/whyx",
            "/why/",
            "/Why",
            "/set",
            "/list/rename",
            "/parks",
            "/parks/",
        ] {
            for method in METHODS {
                let response = server.request_at(endpoint, method, path);
                assert_eq!(response.status, 404, "{method} {path}");
            }
        }
    }
}

#[test]
fn head_returns_the_headers_of_get() {
    let server = Server::start();
    for target in ["/healthz", "/metrics"] {
        let (get, head) = (server.get(target), server.request("HEAD", target));
        assert_eq!((get.status, head.status), (200, 200), "{target}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.body, "", "{target}");
    }
    let target = "/watchers?aor=123@abc.com";
    let head = server.request_at(Endpoint::Control, "HEAD", target);
    let get = server.operator(target);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

/// RFC 9110 §9.3.7
#[test]
fn options_of_the_server_names_all_methods() {
    let server = Server::start();
    for endpoint in Endpoint::ALL {
        let response = server.request_at(endpoint, "OPTIONS", "*");
        assert_eq!(response.status, 204);
        assert_eq!(
            response.header("allow"),
            Some("get, head, post, put, delete, options")
        );
    }
}
