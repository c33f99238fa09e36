//! The dashboard: the files of a web page that shows the server and changes it through the API (`api`).
//!
//! Guarantees: the files are part of the program, so the page needs no other server and no network. They contain no
//! data: data comes from the API and needs a token. A browser loads and runs these files only
//! (Content-Security-Policy), and never shows the page in a frame of another site.
//!
//! To add a file, add a row to [`ASSETS`]. Not here: the session (`api::session`), and the behaviour of the page
//! (its entry is `app.js`).

use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, StatusCode, header};

use crate::http::api::entity_tag;
use crate::http::representation::response;
use crate::http::representation::response::Response;

/// The path of all files but the page itself begins with this.
const PREFIX: &str = "/dashboard/";
/// The page, at `/`.
const INDEX: &str = "index.html";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// What a browser may do with a file. The page has no script or style inside: each is a file of its own.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // A browser may store the file, but must ask before each use whether it has changed.
    (header::CACHE_CONTROL, "no-cache"),
];

/// A file of the page.
struct Asset {
    /// Its path below [`PREFIX`].
    name: &'static str,
    media_type: &'static str,
    octets: &'static [u8],
}

/// A row of [`ASSETS`].
macro_rules! asset {
    ($name:literal, $media_type:ident) => {
        Asset {
            name: $name,
            media_type: $media_type,
            octets: include_bytes!($name),
        }
    };
}

/// All files.
const ASSETS: &[Asset] = &[
    asset!("index.html", HTML),
    asset!("style.css", STYLE),
    asset!("icon.svg", IMAGE),
    asset!("app.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("board.js", SCRIPT),
    asset!("board_grid.js", SCRIPT),
    asset!("board_try.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("diagnostics.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("language.js", SCRIPT),
    asset!("lamp.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("login.js", SCRIPT),
    asset!("messages_de.js", SCRIPT),
    asset!("messages_en.js", SCRIPT),
    asset!("node.js", SCRIPT),
    asset!("notes.js", SCRIPT),
    asset!("person.js", SCRIPT),
    asset!("person_actions.js", SCRIPT),
    asset!("person_history.js", SCRIPT),
    asset!("phones.js", SCRIPT),
    asset!("pins.js", SCRIPT),
    asset!("session.js", SCRIPT),
    asset!("settings.js", SCRIPT),
    asset!("subscriptions.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("test_subscriptions.js", SCRIPT),
    asset!("theme.js", SCRIPT),
    asset!("words.js", SCRIPT),
    asset!("vendor/uplot/uPlot.esm.js", SCRIPT),
    asset!("vendor/uplot/uPlot.min.css", STYLE),
    asset!("vendor/uplot/LICENSE", TEXT),
];

/// `GET /` and `GET /dashboard/*`
pub(crate) fn show(request: &Request<Incoming>) -> Response {
    let name = match request.uri().path() {
        "/" => Some(INDEX),
        path => path.strip_prefix(PREFIX).filter(|name| *name != INDEX),
    };
    let asset = ASSETS.iter().find(|asset| Some(asset.name) == name);
    let Some(asset) = asset else {
        return response::not_found();
    };
    let tag = entity_tag::of_octets(asset.octets);
    let response = match entity_tag::is_known(request.headers(), &tag) {
        true => response::text(StatusCode::NOT_MODIFIED, ""),
        false => response::text(StatusCode::OK, Bytes::from_static(asset.octets)),
    };
    let media_type = HeaderValue::from_static(asset.media_type);
    let response = response::with(response, header::CONTENT_TYPE, media_type);
    let response = response::with(response, header::ETAG, tag);
    HEADERS
        .into_iter()
        .fold(response, |response, (name, value)| {
            response::with(response, name, HeaderValue::from_static(value))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// The paths of all files below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .flat_map(|path| match path.is_dir() {
                true => files(&path),
                false => vec![path],
            })
            .collect()
    }

    #[test]
    fn every_file_has_a_row() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/dashboard");
        let files = files(&folder).into_iter();
        let names = files.map(|path| path.strip_prefix(&folder).unwrap().to_owned());
        let names: BTreeSet<PathBuf> = names.filter(|name| *name != Path::new("mod.rs")).collect();
        let rows: BTreeSet<PathBuf> = ASSETS.iter().map(|asset| asset.name.into()).collect();
        assert_eq!(names, rows);
    }

    #[test]
    fn the_page_and_its_scripts_name_only_files_that_exist() {
        let mut count = 0;
        for asset in ASSETS
            .iter()
            .filter(|asset| !asset.name.starts_with("vendor"))
        {
            let text = std::str::from_utf8(asset.octets).unwrap();
            let imports = text.split("from \"./").skip(1);
            let references = text.split("\"/dashboard/").skip(1);
            for rest in imports.chain(references) {
                let name = rest.split(['"', '#']).next().unwrap();
                count += 1;
                assert!(
                    ASSETS.iter().any(|asset| asset.name == name),
                    "{} names {name}",
                    asset.name
                );
            }
        }
        assert!(count > 50, "{count}");
    }

    /// SIP peers write some of the text that the page shows: none of it may become markup.
    #[test]
    fn no_script_makes_markup_of_text() {
        for asset in ASSETS
            .iter()
            .filter(|asset| !asset.name.starts_with("vendor"))
        {
            let text = std::str::from_utf8(asset.octets).unwrap();
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "style=\"",
                "<script>",
                "eval(",
            ] {
                assert!(!text.contains(word), "{} has {word}", asset.name);
            }
        }
    }
}
