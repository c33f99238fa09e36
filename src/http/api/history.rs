//! How states changed in the past.

use crate::directory::tokens::Role;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;
use crate::http::control::{self, Form};
use crate::http::engine::Engine;
use crate::http::site::Site;

impl<E: Engine> Operation<E> {
    /// Questions about the history.
    pub(super) const HISTORY: &'static [Self] = &[Self {
        description: Description {
            method: ApiMethod::Get,
            path: "history",
            role: Some(Role::Reader),
            summary: "List the changes of the state of an address, or of all addresses of a domain; the newest first.",
            parameters: &["aor", "domain", "since", "until", "from", "limit"],
            body: BodySchema::None,
            answer: AnswerSchema::Json("HistoryPage"),
        },
        handler: handler!(show),
    }];
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let mut fields = Vec::new();
    if let Some(text) = request.query("aor") {
        let aor = request.caller.aor(text, &directory)?;
        fields.push(("aor", aor.to_string()));
    }
    if let Some(domain) = request.query_domain(&directory)? {
        fields.push(("domain", domain.name.clone()));
    }
    for name in ["since", "until", "from", "limit"] {
        let text = request.query(name);
        fields.extend(text.map(|text| (name, text.to_owned())));
    }
    let shown = control::history::show(Form::of(fields), site).await;
    let page = shown.map_err(Problem::of_query)?;
    Ok(Answer::Json(page.json()))
}
