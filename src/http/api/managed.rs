//! Changes of what the API keeps of the configuration: from JSON to settings, and from refusals to problems.

use hyper::header::HeaderMap;
use serde_json::Value;

use crate::directory::Directory;
use crate::directory::managed::{
    ChangeFault, ChangeRefusal, Changed, FaultPlace, ManagedChange, Precondition, Setting, Settings,
};
use crate::directory::tokens::Role;
use crate::http::api::caller::Caller;
use crate::http::api::entity_tag;
use crate::http::api::fields::Faults;
use crate::http::api::operation::{Answer, ApiResult};
use crate::http::api::problem::{Fault, Place, Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::{Engine, Unavailable};
use crate::http::site::Site;
use crate::http::transport_counters::count;

/// Entries of a list.
const ENTRIES_MAX: usize = 10_000;

/// What a GET shows of a domain that exists.
pub(super) fn shown(json: Option<Value>) -> ApiResult {
    json.map(Answer::Json).ok_or_else(Problem::unavailable)
}

/// Makes the change of a PUT, under the conditions of the request on what `show` shows of the directory. Responds
/// with what it shows afterwards. `named`: as in [`change`].
pub(super) async fn put<E: Engine>(
    site: &Site<E>,
    request: &ApiRequest,
    change: ManagedChange,
    named: &'static str,
    show: impl Fn(&Directory, &str) -> Option<Value> + Clone + Send + 'static,
) -> ApiResult {
    let precondition = conditions(&request.headers, show.clone());
    let changed = self::change(site, &request.caller, change, precondition, named).await?;
    let json = show(&changed.directory, &changed.domain);
    let json = json.ok_or_else(Problem::unavailable)?;
    Ok(Answer::created(changed.is_new, json))
}

/// Makes a change. `named`: the parameter of the path that names what is changed.
pub(super) async fn change<E: Engine>(
    site: &Site<E>,
    caller: &Caller,
    change: ManagedChange,
    precondition: Precondition,
    named: &'static str,
) -> Result<Changed, Problem> {
    let counters = &site.change_counters;
    match site.engine.change_managed(change, precondition).await {
        Ok(Ok(changed)) => {
            count(&counters.domain_changes);
            let (by, domain) = (caller.name(), changed.domain.as_str());
            tracing::info!(by, domain, "the API has changed the configuration");
            Ok(changed)
        }
        Ok(Err(refusal)) => {
            count(match refusal {
                ChangeRefusal::NotWritten(_) | ChangeRefusal::HalfDone => {
                    &counters.domain_changes_failed
                }
                _ => &counters.domain_changes_refused,
            });
            Err(problem(refusal, caller, named))
        }
        Err(Unavailable) => {
            count(&counters.domain_changes_failed);
            let why = "too many changes of the configuration wait: ask again";
            Err(Problem::new(ProblemKind::Unavailable, why))
        }
    }
}

/// The conditions of a request (RFC 9110 §13.1) on what `show` shows of the directory; None if it does not exist.
pub(super) fn conditions(
    headers: &HeaderMap,
    show: impl FnOnce(&Directory, &str) -> Option<Value> + Send + 'static,
) -> Precondition {
    let headers = headers.clone();
    Box::new(move |directory, domain| {
        let present = show(directory, domain);
        let met = entity_tag::check(&headers, present.as_ref());
        met.map_err(|problem| ChangeRefusal::PreconditionFailed(problem.detail().to_owned()))
    })
}

fn problem(refusal: ChangeRefusal, caller: &Caller, named: &'static str) -> Problem {
    let kind = match &refusal {
        ChangeRefusal::Faults(_) => ProblemKind::InvalidBody,
        ChangeRefusal::Absent(_) => ProblemKind::NotFound,
        ChangeRefusal::PreconditionFailed(_) => ProblemKind::PreconditionFailed,
        ChangeRefusal::Conflict(_) | ChangeRefusal::Configuration(_) => ProblemKind::Conflict,
        ChangeRefusal::NotWritten(_) | ChangeRefusal::HalfDone => ProblemKind::Unavailable,
    };
    match refusal {
        ChangeRefusal::Faults(faults) => of_faults(faults, named),
        // The text may name other domains.
        ChangeRefusal::Configuration(_) if caller.role() != Some(Role::Admin) => {
            let why = "the rest of the configuration has faults: the server's operator finds them in its log";
            Problem::new(kind, why)
        }
        refusal => Problem::new(kind, refusal.to_string()),
    }
}

/// 422; 400 if only the name in the path is wrong.
fn of_faults(faults: Vec<ChangeFault>, named: &'static str) -> Problem {
    let is_name = |fault: &ChangeFault| fault.place == FaultPlace::Name;
    let kind = match faults.iter().all(is_name) {
        true => ProblemKind::InvalidRequest,
        false => ProblemKind::InvalidBody,
    };
    let faults = faults.into_iter().map(|fault| Fault {
        place: match fault.place {
            FaultPlace::Name => Place::Parameter(named.to_owned()),
            FaultPlace::Pointer(pointer) => Place::Pointer(pointer),
        },
        detail: fault.detail,
    });
    Problem::with_faults(kind, faults.collect())
}

/// The settings in an object at `pointer` of the body. What is wrong with a value, only the configuration
/// knows; here it has a kind that can be written there.
pub(super) fn settings(value: &Value, pointer: &str, faults: &Faults) -> Settings {
    let Value::Object(object) = value else {
        faults.add(pointer.to_owned(), "must be an object");
        return Settings::new();
    };
    let place = FaultPlace::Pointer(pointer.to_owned());
    let settings = object.iter().filter_map(|(name, value)| {
        let setting = setting(value, &place.member(name), faults)?;
        Some((name.clone(), setting))
    });
    settings.collect()
}

/// The settings in a list.
pub(super) fn list(items: &[Value], pointer: &str, faults: &Faults) -> Vec<Setting> {
    let place = FaultPlace::Pointer(pointer.to_owned());
    let items = items.iter().enumerate();
    items
        .filter_map(|(index, item)| single(item, &place.item(index), faults))
        .collect()
}

fn setting(value: &Value, place: &FaultPlace, faults: &Faults) -> Option<Setting> {
    match value {
        Value::Array(items) if items.len() > ENTRIES_MAX => {
            fault(
                place,
                format!("has more than {ENTRIES_MAX} entries"),
                faults,
            );
            None
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.filter_map(|(index, item)| single(item, &place.item(index), faults));
            Some(Setting::List(items.collect()))
        }
        other => single(other, place, faults),
    }
}

fn single(value: &Value, place: &FaultPlace, faults: &Faults) -> Option<Setting> {
    match value {
        Value::String(text) => Some(Setting::Text(text.clone())),
        Value::Bool(is_true) => Some(Setting::Boolean(*is_true)),
        Value::Number(number) => Some(Setting::Number(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let why = "must be a text, a number, true or false";
            fault(place, why.to_owned(), faults);
            None
        }
    }
}

fn fault(place: &FaultPlace, detail: String, faults: &Faults) {
    if let FaultPlace::Pointer(pointer) = place {
        faults.add(pointer.clone(), detail);
    }
}
