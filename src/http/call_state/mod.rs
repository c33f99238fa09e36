//! `call_state.htm` (W:D1): a mobile operator's or an app's word that somebody is in a call, or is
//! no more.
//!
//! `GET|POST /call_state.htm?domain=&user=&password=&number=&expires=&state=`. What it says becomes
//! one contribution of the presentity, which ends by itself. Without `state` a number means busy and
//! none idle. The number goes into that contribution and
//! nowhere else: no log, no answer to a client.

mod fields;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::header;

use crate::directory::Directory;
use crate::directory::Domain;
use crate::http::Site;
use crate::http::answer::response;
use crate::http::answer::response::Answer;
use crate::http::attempts::LockedOut;
use crate::http::call_state::fields::Fields;
use crate::http::engine::Engine;
use crate::presence::Aor;
use crate::presence::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call::Direction;
use crate::presence::call::Party;
use crate::presence::source::CallSource;
use crate::presence::source::StateUpdate;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;
use crate::sip::digest::Secret;
use crate::sip::uri::sip_uri;

/// Octets of a form; a longer one is 413.
const FORM_OCTETS_MAX: usize = 8 << 10;
/// Characters of a number.
const NUMBER_CHARACTERS_MAX: usize = 64;
/// The names of the fields; their order does not matter (W:D1.1).
const FIELDS: [&str; 6] = ["domain", "user", "password", "number", "expires", "state"];
/// Numbers the calls, so that no two of them show watchers the same dialog `id` (W:B3.5). The
/// engine keeps the first as long as the same call is reported.
static CALLS: AtomicU64 = AtomicU64::new(1);

/// Answers a request.
pub(super) async fn answer<E: Engine>(
    request: Request<Incoming>,
    peer: IpAddr,
    site: &Site<E>,
) -> Answer {
    let statement = match read(request).await {
        Ok(fields) => Statement::new(&fields, peer, site),
        Err(refusal) => Err(refusal),
    };
    let statement = match statement {
        Ok(statement) => statement,
        Err(refusal) => return refusal.into_answer(),
    };
    let Statement { aor, said } = statement;
    tracing::debug!(%aor, "call_state.htm");
    let owner = ShardId::owner_of(&aor, site.engine.shards());
    match site
        .engine
        .ask(owner, Command::UpdateState { aor, update: said })
        .await
    {
        Ok(Reply::Done) => response::text(StatusCode::OK, "OK\n"),
        Ok(_) | Err(_) => response::unavailable(),
    }
}

/// Why nothing is changed. Not the words of the request: they may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// 405
    Method,
    /// 413
    TooLong,
    /// 415
    MediaType,
    /// 400
    Malformed(&'static str),
    /// 403, whatever it is that does not fit (W:D1.8)
    Forbidden,
    /// 429, after too many wrong passwords (RFC 6585 §4)
    TooMany,
}

impl Refusal {
    fn into_answer(self) -> Answer {
        match self {
            Self::Method => response::not_allowed("GET, POST"),
            Self::TooLong => response::last(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large\n"),
            Self::MediaType => response::last(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported Media Type\n",
            ),
            Self::Malformed(why) => response::text(StatusCode::BAD_REQUEST, why),
            Self::Forbidden => response::text(StatusCode::FORBIDDEN, "Forbidden\n"),
            Self::TooMany => response::too_many(),
        }
    }
}

/// The fields of the query and, with POST, of the form.
async fn read(request: Request<Incoming>) -> Result<Fields, Refusal> {
    let (head, body) = request.into_parts();
    let body = match head.method {
        // A body of a GET means nothing; hyper reads over it.
        Method::GET => Bytes::new(),
        Method::POST if !is_form(&head.headers) => return Err(Refusal::MediaType),
        Method::POST => collect(body).await?,
        _ => return Err(Refusal::Method),
    };
    let query = head.uri.query().unwrap_or_default();
    Fields::parse(query, &body, &FIELDS)
        .map_err(|_| Refusal::Malformed("A parameter is given twice\n"))
}

/// Whether the body is a form; a missing Content-Type is taken for one.
fn is_form(headers: &header::HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let media_type = value
        .as_bytes()
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    // The length is known before the body is there: no octet of one that is too long is read.
    if body.size_hint().lower() > FORM_OCTETS_MAX as u64 {
        return Err(Refusal::TooLong);
    }
    match Limited::new(body, FORM_OCTETS_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLong),
        Err(_) => Err(Refusal::Malformed("The body is cut off\n")),
    }
}

/// The words of `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing,
    Busy,
    DoNotDisturb,
    Idle,
}

impl State {
    fn from_word(word: &str) -> Result<Self, Refusal> {
        Ok(match word {
            "ringing" => Self::Ringing,
            "busy" => Self::Busy,
            "dnd" => Self::DoNotDisturb,
            "idle" => Self::Idle,
            _ => {
                let why = "state is none of: ringing, busy, dnd, idle\n";
                return Err(Refusal::Malformed(why));
            }
        })
    }
}

/// What an authenticated request says. No `Debug`: the number is nobody's business.
struct Statement {
    aor: Aor,
    said: StateUpdate,
}

impl Statement {
    /// What is malformed is told before anybody is looked up, so that it tells nothing about who
    /// exists.
    fn new<E>(fields: &Fields, peer: IpAddr, site: &Site<E>) -> Result<Self, Refusal> {
        let directory = &*site.directory.current();
        let missing = Refusal::Malformed("domain, user and password are needed\n");
        let domain = fields.value("domain").ok_or(missing)?;
        let user = fields.value("user").ok_or(missing)?;
        let password = fields.value("password").ok_or(missing)?;
        let number = number(fields.value("number").unwrap_or_default())?;
        let seconds = fields.value("expires").map(seconds).transpose()?;
        let state = fields.value("state").filter(|word| !word.is_empty());
        let state = state.map(State::from_word).transpose()?;

        let lock = Lock::new(directory, &site.decoy, domain, user);
        let attempt = site.attempts.begin(peer, lock.realm, user, directory);
        let attempt = attempt.map_err(|LockedOut| Refusal::TooMany)?;
        let account = (lock.realm, user);
        let opened = lock.open(user, password);
        site.attempts
            .judged(attempt.as_ref(), peer, account, opened.is_some());
        let (aor, domain) = opened.ok_or(Refusal::Forbidden)?;
        let cap = domain.max_call_duration;
        let expires = seconds.map_or(cap, |seconds| Duration::from_secs(seconds).min(cap));
        let said = said(state, number.as_deref(), expires, domain);
        Ok(Self { aor, said })
    }
}

/// What a request says: without a `state`, no number is no call (W:D1.3). Whatever is said for no
/// time at all is over (W:D1.5).
fn said(
    state: Option<State>,
    number: Option<&str>,
    expires: Duration,
    domain: &Domain,
) -> StateUpdate {
    let otherwise = if number.is_some() {
        State::Busy
    } else {
        State::Idle
    };
    let state = state.unwrap_or(otherwise);
    let call = match state {
        State::DoNotDisturb => return StateUpdate::CallStateDoNotDisturb(expires),
        State::Ringing => Some(call(CallState::Early, number, domain)),
        State::Busy => Some(call(CallState::Confirmed, number, domain)),
        State::Idle => None,
    };
    let call = call.filter(|_| !expires.is_zero()).map(Arc::new);
    let life = if call.is_some() {
        expires
    } else {
        Duration::ZERO
    };
    StateUpdate::Call {
        source: CallSource::CallState,
        call,
        expires: Some(life),
    }
}

/// What a password is held against. There is always something: the account's secret, or the decoy's
/// where domain or user are unknown, so that the same work is done whatever is wrong (W:D1.8).
struct Lock<'d> {
    aor: Aor,
    realm: &'d str,
    secret: &'d Secret,
    /// Behind it, when there is an account.
    domain: Option<&'d Domain>,
}

impl<'d> Lock<'d> {
    fn new(directory: &'d Directory, decoy: &'d Secret, domain: &'d str, user: &str) -> Self {
        let found = directory.domain(&domain.to_ascii_lowercase());
        let realm = found.map_or(domain, |domain| domain.name.as_str());
        let aor = Aor::new(user, realm);
        let account = directory.account(aor.as_str());
        let secret = account.map_or(decoy, |account| &account.secret);
        Self {
            realm,
            secret,
            domain: found.filter(|_| account.is_some()),
            aor,
        }
    }

    /// The presentity and its domain when the password is right. The comparison comes first:
    /// nothing ends before it.
    fn open(self, user: &str, password: &str) -> Option<(Aor, &'d Domain)> {
        let is_right = self.secret.matches(user, self.realm, password);
        self.domain
            .filter(|_| is_right)
            .map(|domain| (self.aor, domain))
    }
}

/// A number without its spaces; None when nothing is left (W:D1.3, D1.11). Numbers and SIP users
/// are made of fewer characters than HTML, headers or shells give a meaning to, and those alone are
/// taken (W:E3.28).
fn number(text: &str) -> Result<Option<String>, Refusal> {
    let number: String = text.chars().filter(|character| *character != ' ').collect();
    let is_dialled = |character: char| {
        character.is_ascii_alphanumeric() || "+-._*#~!$()/:;=@,%".contains(character)
    };
    if number.len() > NUMBER_CHARACTERS_MAX || !number.chars().all(is_dialled) {
        return Err(Refusal::Malformed("number is not understood\n"));
    }
    Ok((!number.is_empty()).then_some(number))
}

/// Whole seconds; more than a u64 holds is as good as its maximum.
fn seconds(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Refusal::Malformed("expires is not a number of seconds\n"));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// The call leg with `number` at its other end. Who called, nobody said; but what rings was called.
fn call(state: CallState, number: Option<&str>, domain: &Domain) -> CallDialog {
    let identity = number.map(|number| sip_uri(number, &domain.name));
    CallDialog {
        id: format!("call_state-{}", CALLS.fetch_add(1, Ordering::Relaxed)).into(),
        call_id: Box::default(),
        local_tag: Box::default(),
        remote_tag: Box::default(),
        direction: (state == CallState::Early).then_some(Direction::Recipient),
        state,
        local: Party::default(),
        remote: Party {
            identity: identity.unwrap_or_default().into(),
            ..Party::default()
        },
        remote_is_private: !domain.reveal_number,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The way is the same for everybody: one comparison, with the account's secret or with the
    /// decoy's.
    #[test]
    fn there_is_always_a_secret_to_compare_with() {
        let mut directory = Directory::default();
        let domain = Domain {
            open: true,
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.add_account("123", "abc.com", "right").unwrap();
        let decoy = Secret::new("nobody", "invalid", "");
        let lock = |domain, user| Lock::new(&directory, &decoy, domain, user);
        let account = &directory.account("123@abc.com").unwrap().secret;
        assert!(std::ptr::eq(lock("ABC.com", "123").secret, account));
        for (domain, user) in [
            ("abc.com", "999"),
            ("nowhere", "123"),
            ("", ""),
            ("invalid", "nobody"),
        ] {
            assert!(std::ptr::eq(lock(domain, user).secret, &decoy));
            assert!(lock(domain, user).open(user, "").is_none());
        }
        assert!(lock("abc.com", "123").open("123", "wrong").is_none());
        assert_eq!(
            lock("abc.com", "123")
                .open("123", "right")
                .unwrap()
                .0
                .as_str(),
            "123@abc.com"
        );
    }

    #[test]
    fn a_number_loses_its_spaces_and_nothing_else() {
        assert_eq!(number(" 49 30 12"), Ok(Some("493012".to_owned())));
        assert_eq!(
            number("+49(30)12-3*#"),
            Ok(Some("+49(30)12-3*#".to_owned()))
        );
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("  "), Ok(None));
        assert_eq!(number(&"1".repeat(64)).unwrap().unwrap().len(), 64);
        for bad in [
            "<script>",
            "1\r\nX:",
            "1\0",
            "1\t2",
            "1\"2",
            "1&2",
            "ü",
            "1\u{a0}2",
            "1\u{202e}2",
            "a\\b",
            "`id`",
        ] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
        assert!(number(&"1".repeat(65)).is_err());
    }

    #[test]
    fn expires_is_digits_alone() {
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("007200"), Ok(7200));
        assert_eq!(seconds("99999999999999999999999"), Ok(u64::MAX));
        for bad in ["", "-1", "+1", " 1", "7200.5", "1e3", "0x10", "١", "7200s"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
