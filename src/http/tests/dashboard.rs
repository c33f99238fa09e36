//! The files of the dashboard, as a browser gets them.

use super::*;

impl Server {
    /// A GET by a browser that has the file with this tag.
    fn get_again(&self, target: &str, tag: &str) -> Response {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
        );
        Response::new(&self.raw(request.as_bytes()))
    }
}

#[test]
fn files_need_no_token_and_say_what_a_browser_may_do_with_them() {
    let server = Server::start();
    for (target, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
        ("/dashboard/icon.svg", "image/svg+xml"),
        (
            "/dashboard/vendor/uplot/uPlot.esm.js",
            "text/javascript; charset=utf-8",
        ),
    ] {
        let response = server.get(target);
        assert_eq!(response.status, 200, "{target}");
        for (name, value) in [
            ("content-type", media_type),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(response.header(name), Some(value), "{target}");
        }
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let head = server.request("HEAD", target);
        assert_eq!((head.status, &*head.body), (200, ""), "{target}");
        assert_eq!(head.header("etag"), response.header("etag"), "{target}");
    }
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let server = Server::start();
    let first = server.get("/dashboard/app.js");
    let tag = first.header("etag").unwrap();
    let again = server.get_again("/dashboard/app.js", tag);
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(again.header("etag"), Some(tag));
    assert!(again.header("content-security-policy").is_some());
    let other = server.get_again("/dashboard/style.css", tag);
    assert_eq!(other.status, 200);
}

#[test]
fn there_are_no_other_files() {
    let server = Server::start();
    for target in [
        "/dashboard/",
        "/dashboard/mod.rs",
        "/dashboard/index.html",
        "/dashboard/../mod.rs",
        "/dashboard/%61pp.js",
        "/dashboard/vendor/",
        "/index.html",
    ] {
        assert_eq!(server.get(target).status, 404, "{target}");
    }
    // The operator's socket has no pages for browsers.
    assert_eq!(server.operator("/").status, 404);
}
