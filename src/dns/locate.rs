//! The steps from a name to locations (RFC 3263 §4.1, §4.2).

use std::net::{IpAddr, SocketAddr};

use crate::dns::LookupError;
use crate::dns::srv_order::{Server, ordered};
use crate::sip::Transport;
use crate::sip::location::{Family, Location, Question};

/// Locations of a name; further ones are left out.
pub const LOCATIONS_MAX: usize = 16;
/// NAPTR records that are followed, and servers of a name that are looked up; further ones are not.
const RECORDS_MAX: usize = 16;

/// The services that we use: transport, name in NAPTR records, prefix of SRV records; the one first that
/// is used when name servers do not say which is preferred.
const SERVICES: [(Transport, &str, &str); 3] = [
    (Transport::Udp, "SIP+D2U", "_sip._udp."),
    (Transport::Tcp, "SIP+D2T", "_sip._tcp."),
    (Transport::Tls, "SIPS+D2T", "_sips._tcp."),
];

/// A NAPTR record (RFC 3403 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The lower, the earlier.
    pub order: u16,
    /// The same, among those of one order.
    pub preference: u16,
    /// `s`: SRV records come next.
    pub flags: String,
    /// `SIP+D2U`
    pub service: String,
    /// The name whose SRV records come next.
    pub replacement: String,
}

/// What name servers are asked. No record is an empty list.
pub trait Records {
    /// NAPTR records.
    fn rules(&self, name: &str) -> impl Future<Output = Result<Vec<Rule>, LookupError>>;

    /// SRV records.
    fn servers(&self, name: &str) -> impl Future<Output = Result<Vec<Server>, LookupError>>;

    /// A and AAAA records, IPv6 first.
    fn addresses(
        &self,
        name: &str,
        family: Family,
    ) -> impl Future<Output = Result<Vec<IpAddr>, LookupError>>;
}

/// The locations of a name, best first, at least one. `draw(n)`: a random number from 0 to n.
///
/// # Errors
/// It has none, or no name server answers.
pub async fn locate(
    question: &Question,
    records: &impl Records,
    draw: &impl Fn(u32) -> u32,
) -> Result<Vec<Location>, LookupError> {
    let search = Search { records, draw };
    let found = match (question.transport, question.port) {
        (None, None) => search.any_service(question).await?,
        (Some(_), None) => search.named_service(question).await?,
        (_, Some(_)) => None,
    };
    let locations = match found {
        Some(locations) => locations,
        None => search.addresses(question).await?,
    };
    (!locations.is_empty())
        .then_some(locations)
        .ok_or(LookupError::Unknown)
}

/// The transport of a name that has no records for its services (RFC 3263 §4.1).
fn transport_of(question: &Question) -> Transport {
    match question.transport {
        Some(Transport::Tcp) | None if question.is_secure => Transport::Tls,
        Some(transport) => transport,
        None => Transport::Udp,
    }
}

/// Who is asked.
struct Search<'a, R, D> {
    records: &'a R,
    draw: &'a D,
}

impl<R: Records, D: Fn(u32) -> u32> Search<'_, R, D> {
    /// Those of the service that the name prefers; None if it has none of ours.
    async fn any_service(&self, question: &Question) -> Result<Option<Vec<Location>>, LookupError> {
        let is_usable = |transport: Transport| !question.is_secure || transport.is_secure();
        let mut rules = self.records.rules(&question.host).await?;
        rules.sort_by_key(|rule| (rule.order, rule.preference));
        for rule in rules.iter().take(RECORDS_MAX) {
            let service = SERVICES.iter().find(|(transport, service, _)| {
                let is_ours = rule.service.eq_ignore_ascii_case(service);
                is_ours && is_usable(*transport) && rule.flags.eq_ignore_ascii_case("s")
            });
            if let Some((transport, ..)) = service
                && let Some(found) = self
                    .service(*transport, &rule.replacement, question.family)
                    .await?
            {
                return Ok(Some(found));
            }
        }
        for (transport, _, prefix) in SERVICES {
            let name = format!("{prefix}{}", question.host);
            if is_usable(transport)
                && let Some(found) = self.service(transport, &name, question.family).await?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Those of the service of the transport that is named; None if the name has no such service.
    async fn named_service(
        &self,
        question: &Question,
    ) -> Result<Option<Vec<Location>>, LookupError> {
        let wanted = transport_of(question);
        let mut services = SERVICES.iter();
        let Some((transport, _, prefix)) = services.find(|(transport, ..)| *transport == wanted)
        else {
            return Ok(None);
        };
        let name = format!("{prefix}{}", question.host);
        self.service(*transport, &name, question.family).await
    }

    /// Those of a service; None if there are no SRV records.
    async fn service(
        &self,
        transport: Transport,
        name: &str,
        family: Family,
    ) -> Result<Option<Vec<Location>>, LookupError> {
        let servers = self.records.servers(name).await?;
        if servers.is_empty() {
            return Ok(None);
        }
        let mut locations = Vec::new();
        let mut fault = None;
        for server in ordered(servers, self.draw).iter().take(RECORDS_MAX) {
            // The root stands for no service (RFC 2782).
            if server.host.is_empty() || server.port == 0 || locations.len() >= LOCATIONS_MAX {
                continue;
            }
            match self.records.addresses(&server.host, family).await {
                Ok(ips) => add(&mut locations, transport, &ips, server.port),
                Err(error) => fault = Some(error),
            }
        }
        match fault {
            Some(error) if locations.is_empty() => Err(error),
            _ => Ok(Some(locations)),
        }
    }

    /// Those of the name itself.
    async fn addresses(&self, question: &Question) -> Result<Vec<Location>, LookupError> {
        let transport = transport_of(question);
        let port = question.port.unwrap_or_else(|| transport.default_port());
        let ips = self
            .records
            .addresses(&question.host, question.family)
            .await?;
        let mut locations = Vec::new();
        add(&mut locations, transport, &ips, port);
        Ok(locations)
    }
}

/// Adds the locations that are new, as long as there is room.
fn add(locations: &mut Vec<Location>, transport: Transport, ips: &[IpAddr], port: u16) {
    for ip in ips {
        let address = SocketAddr::new(*ip, port);
        let location = Location { transport, address };
        if locations.len() < LOCATIONS_MAX && !locations.contains(&location) {
            locations.push(location);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
