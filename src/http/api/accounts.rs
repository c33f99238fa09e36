//! Accounts: listed, put and removed one by one, or many in a CSV file (RFC 4180), which is applied as a whole
//! or not at all.
//!
//! No response contains a password or a hash of one. A password is hashed on arrival, and only the hashes are
//! kept. An edit stays in force until the configuration changes the account.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::directory::accounts::{StoredAccount, StoredSecrets};
use crate::directory::tokens::Role;
use crate::directory::{Details, Directory};
use crate::http::api::cursor::{self, Page};
use crate::http::api::entity_tag;
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::control::ControlRefusal;
use crate::http::control::edit::{edit, edit_many};
use crate::http::engine::Engine;
use crate::http::representation::response;
use crate::http::site::Site;
use crate::net::executor_pass::pass;
use crate::password::PasswordHash;
use crate::presence::Aor;

/// Octets of a CSV file.
const CSV_OCTETS_MAX: usize = 16 << 20;
/// Accounts of a CSV file.
const RECORDS_MAX: usize = 100_000;
/// Records that are read before other requests have their turn.
const RECORDS_AT_ONCE: usize = 200;
/// After so many faults, the rest of a CSV file is not checked.
const FAULTS_MAX: usize = 100;
/// Numbers of one user's voice mail.
const VOICEMAIL_MAX: usize = 16;
/// Characters of a name, a number or a password.
const CHARACTERS_MAX: usize = 256;
/// The columns of CSV, in the order in which they are written; passwords are only read.
const COLUMNS: [&str; 7] = [
    "user",
    "domain",
    "auth_id",
    "feeder",
    "display",
    "alternative",
    "voicemail",
];
const SECRET_COLUMNS: [&str; 4] = ["password", "ha1", "ha1b", "password_hash"];

impl<E: Engine> Operation<E> {
    /// Operations on accounts.
    pub(super) const ACCOUNTS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "accounts",
                role: Some(Role::Reader),
                summary: "List accounts, of one domain or of all that the token is for. No password is shown.",
                parameters: &["domain", "search", "cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("AccountPage"),
            },
            handler: handler!(list),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "accounts.csv",
                role: Some(Role::Reader),
                summary: "Export accounts as CSV, without passwords.",
                parameters: &["domain"],
                body: BodySchema::None,
                answer: AnswerSchema::Document("text/csv"),
            },
            handler: handler!(export),
        },
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: "accounts",
                role: Some(Role::DomainAdmin),
                summary: "Add and replace accounts by a CSV file with a header, all or none. An account that exists keeps its password if the file has none. At most 100,000 accounts of a domain can differ from the configuration (409).",
                parameters: &["dry_run"],
                body: BodySchema::Document {
                    media_type: "text/csv",
                    octets_max: CSV_OCTETS_MAX,
                },
                answer: AnswerSchema::Json("Imported"),
            },
            handler: handler!(import),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "accounts/{aor}",
                role: Some(Role::Reader),
                summary: "Show an account. No password is shown.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Account"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "accounts/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Add or replace an account. One that exists keeps its password if the body has none. At most 100,000 accounts of a domain can differ from the configuration (409).",
                parameters: &[],
                body: BodySchema::json("NewAccount"),
                answer: AnswerSchema::Tagged("Account"),
            },
            handler: handler!(put),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "accounts/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Remove an account.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(remove),
        },
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let page = Page::of(&request)?;
    let mut aors = wanted(&request, &directory)?;
    request.search(&mut aors, &directory);
    let (aors, next) = page.cut(&aors, Aor::as_str);
    let items = aors.iter().map(|aor| account_json(aor, &directory, site));
    Ok(Answer::Json(cursor::json(items.collect(), next)))
}

/// The accounts that the caller may see, of one domain if the query names it.
fn wanted(request: &ApiRequest, directory: &Directory) -> Result<Vec<Aor>, Problem> {
    if let Some(domain) = request.query_domain(directory)? {
        return Ok(directory.account_aors_of(&domain.name));
    }
    let mut aors = directory.account_aors();
    aors.retain(|aor| request.caller.is_for(aor.domain()));
    Ok(aors)
}

async fn export<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aors = wanted(&request, &directory)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut written = writer.write_record(COLUMNS);
    for aor in &aors {
        let account = directory.account(aor.as_str());
        let details = directory.details(aor);
        let is_feeder = account.is_some_and(|account| account.is_feeder);
        written = written.and_then(|()| {
            writer.write_record([
                aor.user(),
                aor.domain(),
                account
                    .and_then(|account| account.auth_id())
                    .unwrap_or_default(),
                if is_feeder { "true" } else { "false" },
                details.display.as_deref().unwrap_or_default(),
                details.alternative.as_deref().unwrap_or_default(),
                &details.voicemail.join(" "),
            ])
        });
    }
    let octets = written.ok().and_then(|()| writer.into_inner().ok());
    let octets = octets.ok_or_else(Problem::unavailable)?;
    let response = response::typed(StatusCode::OK, "text/csv", octets);
    Ok(Answer::Whole(response))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    match directory.account(aor.as_str()) {
        Some(_) => Ok(Answer::Json(account_json(&aor, &directory, site))),
        None => Err(no_account(&aor)),
    }
}

async fn put<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    check_user(&aor)?;
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let account = account(&fields, &aor, &directory);
    fields.end();
    let account = faults.unless(account)?;
    let account = account.ok_or_else(Problem::unavailable)?;
    let present = directory.account(aor.as_str());
    let present = present.map(|_| account_json(&aor, &directory, site));
    entity_tag::check(&request.headers, present.as_ref())?;
    let put = |directory: &Directory| {
        let with_account = directory.with_account(&aor, &account);
        with_account.map_err(ControlRefusal::Account)
    };
    let edited = edit(site, &aor, put).await?;
    Ok(Answer::Json(account_json(&aor, &edited, site)))
}

async fn remove<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    if directory.account(aor.as_str()).is_none() {
        return Err(no_account(&aor));
    }
    entity_tag::check(
        &request.headers,
        Some(&account_json(&aor, &directory, site)),
    )?;
    let without = |directory: &Directory| {
        let without = directory.without_account(&aor);
        without.map_err(ControlRefusal::Account)
    };
    edit(site, &aor, without).await?;
    Ok(Answer::Nothing)
}

/// All records are put into a copy of the directory, which comes into force only if every one is valid.
async fn import<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let is_dry = request.is_true("dry_run")?;
    let faults = Faults::default();
    let read = read_records(&request, &directory, &faults).await?;
    let accounts = faults.unless(read)?;
    let known = |(aor, _): &&(Aor, StoredAccount)| directory.account(aor.as_str()).is_some();
    let replaced = accounts.iter().filter(known).count();
    let put = |directory: &Directory| {
        let mut edited = directory.clone();
        let put = accounts
            .iter()
            .try_for_each(|(aor, account)| edited.put_account(aor, account));
        put.map(|()| edited).map_err(ControlRefusal::Account)
    };
    if is_dry {
        put(&directory)?;
    } else {
        let aors: Vec<Aor> = accounts.iter().map(|(aor, _)| aor.clone()).collect();
        edit_many(site, &aors, put).await?;
    }
    Ok(Answer::Json(json!({
        "added": accounts.len() - replaced,
        "replaced": replaced,
        "dry_run": is_dry,
    })))
}

/// The accounts of a CSV file. Faults have the record in their pointer: `#/3/user`. Other requests are served
/// between the records, because their hashes take a while.
async fn read_records(
    request: &ApiRequest,
    directory: &Directory,
    faults: &Faults,
) -> Result<Vec<(Aor, StoredAccount)>, Problem> {
    let mut builder = ReaderBuilder::new();
    let reader = builder.flexible(true).trim(Trim::Headers);
    let mut reader = reader.from_reader(&request.document[..]);
    let not_csv = |_| Problem::new(ProblemKind::InvalidBody, "the body is not CSV in UTF-8");
    let header = reader.headers().cloned().map_err(not_csv)?;
    check_header(&header)?;
    let mut accounts = Vec::new();
    let mut taken = HashMap::new();
    for (number, record) in (1_usize..).zip(reader.records()) {
        if number.is_multiple_of(RECORDS_AT_ONCE) {
            pass().await;
        }
        let record = record.map_err(not_csv)?;
        let pointer = format!("#/{number}");
        if number > RECORDS_MAX {
            faults.add(
                pointer,
                format!("there are more than {RECORDS_MAX} records"),
            );
            break;
        }
        if let Some((aor, account)) =
            read_record((&header, &record), &pointer, request, directory, faults)
        {
            match taken.insert(aor.clone(), number) {
                Some(before) => faults.add(pointer, format!("{aor} is in record {before}, too")),
                None => accounts.push((aor, account)),
            }
        }
        if faults.count() >= FAULTS_MAX {
            break;
        }
    }
    Ok(accounts)
}

fn check_header(header: &StringRecord) -> Result<(), Problem> {
    let fault = |why: String| Err(Problem::of_body("#/0", why));
    let columns = || COLUMNS.into_iter().chain(SECRET_COLUMNS);
    for (index, name) in header.iter().enumerate() {
        if !columns().any(|known| known == name) {
            let known: Vec<&str> = columns().collect();
            let known = known.join(", ");
            return fault(format!("unknown column; the columns are: {known}"));
        }
        if header.iter().take(index).any(|before| before == name) {
            return fault(format!("the column \"{name}\" occurs twice"));
        }
    }
    match ["user", "domain"]
        .iter()
        .find(|name| !header.iter().any(|known| known == **name))
    {
        Some(missing) => fault(format!("the header has no column \"{missing}\"")),
        None => Ok(()),
    }
}

/// Reads a record as if it were the body of a PUT.
fn read_record(
    (header, record): (&StringRecord, &StringRecord),
    pointer: &str,
    request: &ApiRequest,
    directory: &Directory,
    faults: &Faults,
) -> Option<(Aor, StoredAccount)> {
    if record.len() != header.len() {
        let (has, wants) = (record.len(), header.len());
        faults.add(
            pointer.to_owned(),
            format!("has {has} fields, the header {wants}"),
        );
        return None;
    }
    let pairs = header.iter().zip(record);
    let given = |name: &str| {
        let mut pairs = pairs.clone();
        let (_, value) = pairs.find(|(known, value)| *known == name && !value.is_empty())?;
        Some(value)
    };
    let (user, domain) = (
        given("user").unwrap_or_default(),
        given("domain").unwrap_or_default(),
    );
    let aor = request.caller.aor(&format!("{user}@{domain}"), directory);
    let aor = aor.and_then(|aor| check_user(&aor).map(|()| aor));
    let faulty = |problem: Problem| faults.add(format!("{pointer}/user"), problem.detail());
    let aor = aor.map_err(faulty).ok()?;
    let mut body = Map::new();
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        let value = match name {
            "user" | "domain" => continue,
            "feeder" => match value {
                "true" => true.into(),
                "false" => false.into(),
                other => other.into(),
            },
            "ha1" | "ha1b" | "voicemail" => value.split_whitespace().collect(),
            _ => value.into(),
        };
        body.insert(name.to_owned(), value);
    }
    let body = Value::Object(body);
    let fields = Fields::of(&body, pointer, faults);
    let account = account(&fields, &aor, directory);
    fields.end();
    Some((aor, account?))
}

/// Reads an account. None, with a fault, if it has no password.
fn account(fields: &Fields<'_>, aor: &Aor, directory: &Directory) -> Option<StoredAccount> {
    let auth_id = fields.short_text("auth_id", CHARACTERS_MAX);
    let auth_id = auth_id.filter(|auth_id| *auth_id != aor.user());
    let texts = |name| {
        let list = fields.list(name, VOICEMAIL_MAX).unwrap_or_default().iter();
        let mut texts: Vec<Box<str>> = Vec::new();
        for (index, value) in list.enumerate() {
            match value.as_str().filter(|text| is_text(text)) {
                Some(text) => texts.push(text.into()),
                None => fields.fault(&format!("{name}/{index}"), "must be a text, not empty"),
            }
        }
        texts
    };
    let details = Details {
        display: fields.short_text("display", CHARACTERS_MAX).map(Into::into),
        alternative: fields
            .short_text("alternative", CHARACTERS_MAX)
            .map(Into::into),
        voicemail: texts("voicemail"),
    };
    let password = fields.short_text("password", CHARACTERS_MAX);
    let password_hash = fields.text("password_hash");
    let (plain, with_domain) = (texts("ha1"), texts("ha1b"));
    let name = auth_id.unwrap_or_else(|| aor.user());
    let secrets = match (password, password_hash, plain.is_empty()) {
        (Some(password), None, true) => {
            Some(StoredSecrets::of_password(name, aor.domain(), password))
        }
        (None, Some(hash), true) => {
            if let Err(fault) = PasswordHash::parse(hash) {
                fields.fault("password_hash", fault.to_string());
            }
            Some(StoredSecrets::PasswordHash(hash.into()))
        }
        (None, None, false) => Some(StoredSecrets::Digest { plain, with_domain }),
        (None, None, true) => {
            let before = directory.stored_account(aor);
            // The hashes include the name to authenticate by.
            let before = before.filter(|before| before.auth_id.as_deref() == auth_id);
            before.map(|before| before.secrets)
        }
        _ => {
            fields.fault("password", "give one of password, ha1 and password_hash");
            return None;
        }
    };
    if secrets.is_none() {
        fields.fault(
            "password",
            "is missing: give password, ha1 or password_hash",
        );
    }
    Some(StoredAccount {
        secrets: secrets?,
        auth_id: auth_id.map(Into::into),
        is_feeder: fields.boolean("feeder").unwrap_or_default(),
        details,
    })
}

fn is_text(text: &str) -> bool {
    (1..=CHARACTERS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// As in the configuration: the user part in a phone's request contains no @, space or scheme.
fn check_user(aor: &Aor) -> Result<(), Problem> {
    let user = aor.user();
    let is_strange = |letter: char| letter == '@' || letter.is_whitespace();
    match is_text(user) && !user.contains(is_strange) && !user.starts_with("sip:") {
        true => Ok(()),
        false => Err(Problem::of_parameter(
            "aor",
            "must have a user without @, spaces or a scheme",
        )),
    }
}

fn no_account(aor: &Aor) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("{aor} has no account"))
}

fn account_json<E>(aor: &Aor, directory: &Directory, site: &Site<E>) -> Value {
    let account = directory.account(aor.as_str());
    let stored = directory.stored_account(aor);
    let details = directory.details(aor);
    json!({
        "aor": aor.as_str(),
        "user": aor.user(),
        "domain": aor.domain(),
        "auth_id": account.and_then(|account| account.auth_id()),
        "feeder": account.is_some_and(|account| account.is_feeder),
        "display": details.display,
        "alternative": details.alternative,
        "voicemail": details.voicemail,
        "groups": directory.groups_with(aor),
        "secret_mark": stored.map(|stored| site.passwords.mark(&stored.secrets)),
    })
}
