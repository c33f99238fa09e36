//! `POST /probe/subscribe`, `POST /probe/publish` and `GET /probe`: tests of another SIP server, which
//! the engine sends from our own listener.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::probe::{ProbeBegun, ProbeProgress};
use crate::http::site::Site;
use crate::presence::call::CallState;
use crate::presence::event::Package;
use crate::shard::contract::probe::{ProbeId, ProbeOrder, ProbeTask};
use crate::shard::{Command, Flow, Reply, ShardId};
use crate::sip::digest::client::Login;
use crate::sip::location::{Family, Question};
use crate::sip::uri::Scheme;
use crate::sip::{Transport, Uri};

/// How long a probe lasts unless the operator gives a time.
const DURATION: Duration = Duration::from_secs(60);
/// The longest that it may last.
const DURATION_MAX: Duration = Duration::from_secs(3600);
/// The fields of both commands.
pub(crate) const FIELDS: [&str; 8] = [
    "target", "server", "from", "user", "password", "for", "package", "state",
];

/// Subscribes.
pub(crate) async fn subscribe<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let package = match form.optional("package")? {
        None => Package::Dialog,
        Some(_) => form.word(
            "package",
            [("dialog", Package::Dialog), ("presence", Package::Presence)],
        )?,
    };
    begin(&form, ProbeTask::Subscribe(package), site).await
}

/// Publishes.
pub(crate) async fn publish<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let states = [
        ("busy", CallState::Confirmed),
        ("ringing", CallState::Early),
        ("idle", CallState::Terminated),
    ];
    let state = form.word("state", states)?;
    begin(&form, ProbeTask::Publish(state), site).await
}

/// What happened since the operator last asked.
pub(crate) async fn read<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let id = id_of(form.required("id")?).ok_or(ControlRefusal::NoProbe)?;
    let seen = form.number("seen")?.unwrap_or_default() as usize;
    let command = Command::ReadProbe { id, seen };
    match site.engine.ask(id.shard, command).await {
        Ok(Reply::Probe(Some(report))) => Ok(Box::new(ProbeProgress(report))),
        Ok(Reply::Probe(None)) => Err(ControlRefusal::NoProbe),
        Ok(_) | Err(_) => Err(ControlRefusal::Silent),
    }
}

async fn begin<E: Engine>(form: &Form, task: ProbeTask, site: &Site<E>) -> ControlResult {
    let target = sip_uri("target", form.required("target")?)?;
    let locations = locations_of(server_of(form, &target)?, site).await?;
    let flows = locations.into_iter();
    let flows = flows.filter_map(|location| site.facts.flow_to(location));
    // A subscription to ourselves would be refused: its NOTIFYs would come back as requests.
    let is_useless =
        |flow: &Flow| matches!(task, ProbeTask::Subscribe(_)) && site.facts.is_own(flow);
    let (own, others): (VecDeque<Flow>, _) = flows.partition(is_useless);
    if others.is_empty() && !own.is_empty() {
        return Err(ControlRefusal::IsThisServer);
    }
    let order = order(form, task, target, others)?;
    // All probes of one server use the same shard.
    let shard = ShardId(order.flow.peer.port() % site.engine.shards());
    let command = Command::BeginProbe(Box::new(order));
    match site.engine.ask(shard, command).await {
        Ok(Reply::ProbeBegun(id)) => Ok(Box::new(ProbeBegun(id))),
        Ok(Reply::OverLimit) => Err(ControlRefusal::Full("too many probes are running")),
        Ok(_) | Err(_) => Err(ControlRefusal::Silent),
    }
}

fn order(
    form: &Form,
    task: ProbeTask,
    target: String,
    mut flows: VecDeque<Flow>,
) -> Result<ProbeOrder, ControlRefusal> {
    let flow = flows.pop_front().ok_or(ControlRefusal::NoRoute)?;
    let host = host_of(&target);
    let user = form.optional("user")?;
    let from = match (form.optional("from")?, user, task) {
        (Some(from), _, _) => sip_uri("from", from)?,
        (None, _, ProbeTask::Publish(_)) => target.clone(),
        (None, Some(user), ProbeTask::Subscribe(_)) => crate::sip::uri::sip_uri(user, &host),
        (None, None, ProbeTask::Subscribe(_)) => format!("sip:probe@{host}"),
    };
    let login = match (user, form.optional("password")?) {
        (Some(user), password) => Some(Login {
            user: user.into(),
            password: password.unwrap_or_default().into(),
        }),
        (None, None) => None,
        (None, Some(_)) => return Err(ControlRefusal::Missing("user")),
    };
    let duration = form.time("for")?.unwrap_or(DURATION);
    if duration < Duration::from_secs(1) || duration > DURATION_MAX {
        return Err(ControlRefusal::Senseless("for must be between 1s and 1h"));
    }
    Ok(ProbeOrder {
        flow,
        alternatives: flows.into(),
        target: target.into(),
        from: from.into(),
        login,
        duration,
        task,
    })
}

/// Reads `123@example.com` or a SIP URI. The parameters of a URI are kept.
fn sip_uri(field: &'static str, text: &str) -> Result<String, ControlRefusal> {
    let user = text.split('@').next().unwrap_or_default();
    let uri = match user.contains(':') {
        true => text.to_owned(),
        false => format!("sip:{text}"),
    };
    let parsed = Uri::parse(uri.as_bytes()).map_err(|_| ControlRefusal::NoUri(field))?;
    let is_plain = parsed.scheme == Scheme::Sip
        && parsed.headers.is_empty()
        && parsed.user.is_some()
        && !uri.contains(['<', '>', '"', ' ']);
    if !is_plain {
        return Err(ControlRefusal::NoUri(field));
    }
    check_transport(parsed)?;
    Ok(uri)
}

fn check_transport(uri: Uri<'_>) -> Result<(), ControlRefusal> {
    match uri.parameter("transport") {
        None => Ok(()),
        Some(transport) if transport.eq_ignore_ascii_case(b"udp") => Ok(()),
        Some(_) => Err(ControlRefusal::OnlyUdp),
    }
}

fn host_of(uri: &str) -> String {
    let mut host = String::new();
    if let Ok(uri) = Uri::parse(uri.as_bytes()) {
        uri.write_host(&mut host);
    }
    host
}

/// A server of which an operator knows the address or the name.
enum Server {
    Address(SocketAddr),
    Name(Question),
}

/// The server: the one given, or the host of the target.
fn server_of(form: &Form, target: &str) -> Result<Server, ControlRefusal> {
    let given = form.optional("server")?;
    let text = given.map_or_else(|| target.to_owned(), |server| format!("sip:{server}"));
    let uri = Uri::parse(text.as_bytes()).map_err(|_| ControlRefusal::NoUri("server"))?;
    check_transport(uri)?;
    let port = uri.port.unwrap_or_else(|| Transport::Udp.default_port());
    Ok(match uri.ip() {
        Some(ip) => Server::Address(SocketAddr::new(ip, port)),
        None => Server::Name(Question {
            host: host_of(&text).into(),
            port: uri.port,
            transport: Some(Transport::Udp),
            is_secure: false,
            family: Family::Both,
        }),
    })
}

/// Where the server may be reached, best first.
async fn locations_of<E: Engine>(
    server: Server,
    site: &Site<E>,
) -> Result<Vec<SocketAddr>, ControlRefusal> {
    let question = match server {
        Server::Address(address) => return Ok(vec![address]),
        Server::Name(question) => question,
    };
    let host = question.host.to_string();
    let located = site.engine.locate(question).await;
    let located = located.map_err(|error| ControlRefusal::NotLocated(host, error))?;
    Ok(located.iter().map(|location| location.address).collect())
}

/// Reads `3-1f`: the shard and the number.
fn id_of(text: &str) -> Option<ProbeId> {
    let (shard, number) = text.split_once('-')?;
    Some(ProbeId {
        shard: ShardId(shard.parse().ok()?),
        number: u64::from_str_radix(number, 16).ok()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn uris_that_can_stand_in_a_request() {
        let read = |text| sip_uri("target", text);
        assert_eq!(read("123@abc.com").unwrap(), "sip:123@abc.com");
        assert_eq!(
            read("SIP:1@h:5070;transport=UDP").unwrap(),
            "SIP:1@h:5070;transport=UDP"
        );
        for wrong in [
            "abc.com",
            "sips:1@h",
            "sip:1@h?x=y",
            "tel:1",
            "<sip:1@h>",
            "1@",
            "1@h\"x",
        ] {
            assert_eq!(read(wrong), Err(ControlRefusal::NoUri("target")), "{wrong}");
        }
        for other in ["1@h;transport=tcp", "sip:1@h;transport=tls"] {
            assert_eq!(read(other), Err(ControlRefusal::OnlyUdp), "{other}");
        }
    }

    #[test]
    fn an_id_reads_back() {
        let id = id_of("3-1f").unwrap();
        assert_eq!((id.shard, id.number), (ShardId(3), 31));
        for wrong in ["", "3", "3-", "x-1", "70000-1", "1-g"] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
    }
}
