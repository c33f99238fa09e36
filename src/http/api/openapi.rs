//! The OpenAPI document (version 3.1): written from the table of operations, and the schemas beside it.

use serde_json::{Map, Value, json};

use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, PREFIX, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::site::Site;

/// Schemas and parameters.
const SCHEMAS: &str = include_str!("schemas.json");

impl<E: Engine> Operation<E> {
    /// The document about all of them.
    pub(super) const DOCUMENT: &'static [Self] = &[Self {
        description: Description {
            method: ApiMethod::Get,
            path: "openapi.json",
            role: None,
            summary: "Get this document.",
            parameters: &[],
            body: BodySchema::None,
            answer: AnswerSchema::Json("Document"),
        },
        handler: handler!(show),
    }];
}

async fn show<E: Engine>(_: ApiRequest, _: &Site<E>) -> ApiResult {
    Ok(Answer::Json(document::<E>()?))
}

/// The whole document.
fn document<E: Engine>() -> Result<Value, Problem> {
    let why = "the schemas cannot be read";
    let components: Value =
        serde_json::from_str(SCHEMAS).map_err(|_| Problem::new(ProblemKind::Unavailable, why))?;
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::<E>::all() {
        let description = &operation.description;
        let path = format!("{PREFIX}{}", description.path);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[description.method.in_openapi()] = described::<E>(description);
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lamplighter",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Presence and busy lamp fields: state, subscriptions, lists, rules, events. Errors are problems of RFC 9457.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": paths,
        "components": components,
    }))
}

fn described<E: Engine>(description: &Description) -> Value {
    let mut json = json!({
        "operationId": operation_id(description),
        "summary": description.summary,
        "responses": responses(description),
    });
    match description.role {
        Some(role) => json["description"] = format!("Needs the role {}.", role.as_str()).into(),
        None => json["security"] = json!([]),
    }
    let parameters = parameters::<E>(description);
    if !parameters.is_empty() {
        json["parameters"] = parameters.into();
    }
    let (media_type, schema) = match description.body {
        BodySchema::None => return json,
        BodySchema::Json { schema, .. } => ("application/json", reference(schema)),
        BodySchema::Document { media_type, .. } => (media_type, json!({"type": "string"})),
    };
    json["requestBody"] = json!({"required": true, "content": {media_type: {"schema": schema}}});
    json
}

/// `put-presence-aor-note`
fn operation_id(description: &Description) -> String {
    let path = description
        .path
        .replace(['{', '}'], "")
        .replace(['/', '.'], "-");
    format!("{}-{path}", description.method.in_openapi())
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn parameters<E: Engine>(description: &Description) -> Vec<Value> {
    let segments = description.path.split('/');
    let segments = segments.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path =
        segments.map(|name| json!({"$ref": format!("#/components/parameters/path-{name}")}));
    let of_query = description.parameters.iter().map(|name| {
        let name = name.replace('*', "-many");
        json!({"$ref": format!("#/components/parameters/{name}")})
    });
    let headers = match (description.method, description.answer) {
        (ApiMethod::Get, AnswerSchema::Tagged(_)) => &["if-none-match"][..],
        (_, AnswerSchema::Tagged(_) | AnswerSchema::Created(_)) => {
            &["if-match", "if-none-match"][..]
        }
        (ApiMethod::Delete, _) if has_tag::<E>(description.path) => &["if-match"][..],
        _ if description.path == "events" => &["last-event-id"][..],
        _ => &[],
    };
    let of_headers = headers
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    of_path.chain(of_query).chain(of_headers).collect()
}

/// Whether what is at a path has an entity tag.
fn has_tag<E: Engine>(path: &str) -> bool {
    let mut described = Operation::<E>::all().map(|operation| &operation.description);
    described.any(|described| {
        let has_tag = matches!(described.answer, AnswerSchema::Tagged(_));
        described.path == path && described.method == ApiMethod::Get && has_tag
    })
}

fn responses(description: &Description) -> Value {
    let mut responses = json!({});
    let done = |media_type: &str, schema: Value| {
        let content = json!({media_type: {"schema": schema}});
        json!({"description": "Done.", "content": content})
    };
    match description.answer {
        AnswerSchema::Nothing => responses["204"] = json!({"description": "Done."}),
        AnswerSchema::Json(schema) | AnswerSchema::Tagged(schema) => {
            responses["200"] = done("application/json", reference(schema));
        }
        AnswerSchema::Created(schema) => {
            responses["200"] = done("application/json", reference(schema));
            responses["201"] = done("application/json", reference(schema));
            responses["201"]["description"] = "It is new.".into();
        }
        AnswerSchema::Document(media_type) => {
            responses["200"] = done(media_type, json!({"type": "string"}));
        }
    }
    let e_tag = json!({"ETag": {"schema": {"type": "string"}}});
    if let AnswerSchema::Created(_) = description.answer {
        responses["201"]["headers"] = e_tag.clone();
    }
    if let AnswerSchema::Tagged(_) | AnswerSchema::Created(_) = description.answer {
        responses["200"]["headers"] = e_tag;
        match description.method {
            ApiMethod::Get => {
                responses["304"] = json!({"description": "If-None-Match lists its entity tag."})
            }
            _ => responses["412"] = problem(),
        }
    }
    let mut statuses = vec![
        "400", "404", "405", "408", "409", "411", "414", "429", "431", "503",
    ];
    if description.role.is_some() {
        statuses.extend(["401", "403"]);
    } else if description.body != BodySchema::None {
        statuses.push("401");
    }
    if description.body != BodySchema::None {
        statuses.extend(["413", "415", "422"]);
    }
    if description.method == ApiMethod::Delete {
        statuses.push("412");
    }
    for status in statuses {
        responses[status] = problem();
    }
    responses
}

fn problem() -> Value {
    json!({"$ref": "#/components/responses/Problem"})
}
