//! Microsoft Teams as the target of a relay.

use toml::Spanned;

use crate::config::schema::Relay;
use crate::config::tenants::relays::RelayReader;
use crate::config::tenants::relays::remote_ids;
use crate::config::tenants::relays::remote_ids::IdKind;
use crate::relay::{GraphPlan, RemoteIds, SecretOctets, TeamsPlan};

/// Requests in a second, where Microsoft allows 1,500 in 30 s for an application and a tenant.
const RATE_MAX: u32 = 40;
/// The global service.
const GRAPH: &str = "https://graph.microsoft.com";
/// Its tokens.
const LOGIN: &str = "https://login.microsoftonline.com";
/// What stands for a user.
const IDS: IdKind = IdKind {
    what: "the object id (GUID) or the name (UPN) of a user",
    is_it: |text| is_guid(text) || is_upn(text),
};

impl RelayReader<'_, '_> {
    pub(super) fn teams(&mut self, relay: &Relay) -> Option<TeamsPlan> {
        let tenant = relay.tenant.as_ref();
        let tenant = self.required(relay, tenant, "tenant", "contoso.onmicrosoft.com");
        let tenant = tenant.and_then(|tenant| self.tenant(tenant));
        let client_id = relay.auth_id.as_ref();
        let example = "the id of the application";
        let client_id = self.required(relay, client_id, "auth_id", example);
        let secret = self.secret(relay);
        let graph = self.base(relay, relay.url.as_ref(), GRAPH);
        let login = self.base(relay, relay.login_url.as_ref(), LOGIN);
        let ids = self.user_ids(relay);
        Some(TeamsPlan {
            graph: GraphPlan {
                login: login?,
                graph: graph?,
                tenant: tenant?,
                client_id: client_id?.get_ref().as_str().into(),
                secret: SecretOctets(secret?.into_bytes().into()),
                rate_max: relay.rate.unwrap_or(RATE_MAX),
            },
            ids: ids?,
            tells_do_not_disturb: relay.relay_dnd,
        })
    }

    fn tenant(&mut self, text: &Spanned<String>) -> Option<Box<str>> {
        let tenant = text.get_ref();
        let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-.".contains(&octet);
        let is_tenant = (1..=253).contains(&tenant.len()) && tenant.bytes().all(is_letter);
        if !is_tenant {
            let what = format!("\"{tenant}\" is not a tenant");
            let remedy =
                "write its id (a GUID), or one of its domains: \"contoso.onmicrosoft.com\"";
            self.complainer.add(text.span(), what, remedy);
        }
        is_tenant.then(|| tenant.as_str().into())
    }

    /// Which users are which there.
    fn user_ids(&mut self, relay: &Relay) -> Option<RemoteIds> {
        let file = relay.ids_file.as_ref();
        let upn = relay.upn.as_ref();
        if file.is_none() && upn.is_none() {
            let what = format!(
                "{} does not say which user is which in Teams",
                relay.title()
            );
            let remedy = "add upn = \"{user}@contoso.com\", or ids_file with a file that begins with user,id";
            self.complainer.add(relay.place(), what, remedy);
            return None;
        }
        let pattern = upn.and_then(|upn| self.upn(upn));
        let ids = file.map(|file| remote_ids::read(relay, file, &IDS, self.names, self.complainer));
        let ids = ids.unwrap_or_else(|| Some(RemoteIds::default()))?;
        Some(RemoteIds { pattern, ..ids })
    }

    fn upn(&mut self, text: &Spanned<String>) -> Option<Box<str>> {
        let upn = text.get_ref();
        let is_pattern = upn.contains("{user}") && is_upn(upn);
        if !is_pattern {
            let what = format!("\"{upn}\" does not say how users are called there");
            let remedy = "write {user} in place of the user, and {domain} in place of our domain: \"{user}@contoso.com\"";
            self.complainer.add(text.span(), what, remedy);
        }
        is_pattern.then(|| upn.as_str().into())
    }
}

/// `6d1d6e3c-0a3c-4d0a-8f8a-2f0c1b1d2e3f`
fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let is_digit = |octet: u8| octet.is_ascii_hexdigit() || octet == b'-';
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(is_digit)
}

/// `ann@contoso.com`
fn is_upn(text: &str) -> bool {
    let is_strange = |letter: char| letter.is_whitespace() || letter.is_control();
    let parts = text.split_once('@');
    text.len() <= 256
        && !text.contains(is_strange)
        && parts.is_some_and(|(user, domain)| !user.is_empty() && domain.contains(['.', '{']))
}
