//! Asks name servers.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;

use crate::dns::locate::{Records, Rule};
use crate::dns::srv_order::Server;
use crate::dns::{LookupError, Options};
use crate::sip::location::Family;

/// Times that a question is asked again.
const ATTEMPTS: usize = 2;
/// Answers that are kept; the one that is asked for least is forgotten first.
const ANSWERS_MAX: u64 = 4096;

/// The name servers, and what they said.
#[derive(Debug)]
pub struct NameServers(TokioResolver);

impl NameServers {
    /// Those that the options name. Must be used within tokio's runtime.
    ///
    /// # Errors
    /// There is no resolver for them.
    pub fn of_options(options: &Options) -> Result<Self, NetError> {
        let servers = options.servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Self::new(config, options)
    }

    /// Those that a file like `/etc/resolv.conf` names. Must be used within tokio's runtime.
    ///
    /// # Errors
    /// It is no such file, or names none.
    pub fn of_system(text: &[u8], options: &Options) -> Result<Self, NetError> {
        let (config, _) = parse_resolv_conf(text)?;
        Self::new(config, options)
    }

    fn new(config: ResolverConfig, options: &Options) -> Result<Self, NetError> {
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        configure(builder.options_mut(), options);
        builder.build().map(Self)
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, LookupError> {
        // Only a host of a single label may be one of the system's own domain.
        let absolute = if name.contains('.') { "." } else { "" };
        match self.0.lookup(format!("{name}{absolute}"), kind).await {
            Ok(found) => Ok(found.answers().iter().map(|one| one.data.clone()).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            // It is no name.
            Err(NetError::Proto(_)) => Ok(Vec::new()),
            Err(_) => Err(LookupError::Unanswered),
        }
    }
}

fn configure(options: &mut ResolverOpts, configured: &Options) {
    options.timeout = configured.timeout;
    options.attempts = ATTEMPTS;
    options.cache_size = ANSWERS_MAX;
    options.positive_min_ttl = Some(configured.ttl_min);
    options.positive_max_ttl = Some(configured.ttl_max);
    options.negative_min_ttl = Some(configured.ttl_min.min(configured.negative_ttl_max));
    options.negative_max_ttl = Some(configured.negative_ttl_max);
}

/// `sip.example.com`; empty for the root.
fn text_of(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

impl Records for NameServers {
    async fn rules(&self, name: &str) -> Result<Vec<Rule>, LookupError> {
        let found = self.lookup(name, RecordType::NAPTR).await?;
        let rule = |record| match record {
            RData::NAPTR(rule) => Some(Rule {
                order: rule.order,
                preference: rule.preference,
                flags: String::from_utf8_lossy(&rule.flags).into_owned(),
                service: String::from_utf8_lossy(&rule.services).into_owned(),
                replacement: text_of(&rule.replacement),
            }),
            _ => None,
        };
        Ok(found.into_iter().filter_map(rule).collect())
    }

    async fn servers(&self, name: &str) -> Result<Vec<Server>, LookupError> {
        let found = self.lookup(name, RecordType::SRV).await?;
        let server = |record| match record {
            RData::SRV(server) => Some(Server {
                priority: server.priority,
                weight: server.weight,
                port: server.port,
                host: text_of(&server.target),
            }),
            _ => None,
        };
        Ok(found.into_iter().filter_map(server).collect())
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        let kinds = [
            (family.has_v6(), RecordType::AAAA),
            (family.has_v4(), RecordType::A),
        ];
        let (mut ips, mut fault) = (Vec::new(), None);
        for (_, kind) in kinds.into_iter().filter(|(is_wanted, _)| *is_wanted) {
            match self.lookup(name, kind).await {
                Ok(found) => ips.extend(found.iter().filter_map(RData::ip_addr)),
                Err(error) => fault = Some(error),
            }
        }
        // What one family has is of use without the other.
        match fault {
            Some(error) if ips.is_empty() => Err(error),
            _ => Ok(ips),
        }
    }
}
