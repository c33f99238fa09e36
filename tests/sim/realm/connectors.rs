//! The connectors of a configuration: the operator's edits to them, and their form in the product's types.

use std::time::Duration;

use lamplighter::directory::connectors::{
    Connector, Preferred, Protocol, ServerAddress, SipUpstream, UserSelection,
};
use lamplighter::directory::user_range::UserRange;
use lamplighter::presence::composition::UpstreamRules;
use lamplighter::presence::event::Package;
use lamplighter::sip::Transport;
use lamplighter::sip::digest::client::Login;

use crate::plan::Plan;
use crate::random::Rng;
use crate::realm::{DOMAIN, Realm};
use crate::upstream::plan::{ConnectorPlan, FIRST_USER, Settings, Users};
use crate::upstream::{HOST, user_uri};

impl Realm {
    /// The connectors of the plan, and their users as accounts.
    pub(super) fn add_connectors(&mut self, plan: &Plan) {
        let Some(upstream) = &plan.upstream else {
            return;
        };
        let connectors = upstream.connectors.iter();
        self.connectors = connectors.map(|plan| plan.settings.clone()).collect();
        let users = (0..upstream.users).map(|user| (100 + FIRST_USER + user).to_string());
        self.accounts.extend(users.map(|user| (user, false)));
    }

    /// The configuration after an edit of a connector; None if there is none.
    pub(crate) fn with_edited_connector(&self, rng: &mut Rng) -> Option<(usize, Self)> {
        let mut realm = self.clone();
        let place = rng.below(self.connectors.len() as u64) as usize;
        let settings = realm.connectors.get_mut(place)?;
        *settings = settings.edited(rng);
        Some((place, realm))
    }

    /// The connector that goes before the others.
    pub(crate) fn preferred(&self) -> Option<usize> {
        let mut connectors = self.connectors.iter();
        connectors.position(|settings| settings.is_preferred)
    }

    pub(super) fn upstream_rules(&self, plan: &Plan) -> UpstreamRules {
        let Some(upstream) = &plan.upstream else {
            return UpstreamRules::default();
        };
        let preferred = self
            .preferred()
            .map(|place| upstream.connectors[place].name);
        UpstreamRules {
            telephony: preferred.map(Into::into),
            rich: preferred.map(Into::into),
            stale_kept: Duration::from_micros(upstream.stale_kept),
        }
    }

    pub(super) fn configured_connectors(&self, plan: &Plan) -> Vec<Connector> {
        let plans = plan.upstream.iter().flat_map(|plan| &plan.connectors);
        let users = plan.upstream.as_ref().map_or(0, |plan| plan.users);
        let all = self.connectors.iter().zip(plans);
        all.map(|(settings, plan)| configured(settings, plan, users))
            .collect()
    }
}

fn configured(settings: &Settings, plan: &ConnectorPlan, users: usize) -> Connector {
    let first = 100 + FIRST_USER;
    let range = format!("{first}-{}", first + users - 1);
    let users = match settings.users {
        Users::Listed => UserSelection {
            ranges: vec![UserRange::parse(&range).unwrap()],
            ..UserSelection::default()
        },
        Users::Accounts => UserSelection {
            accounts: true,
            ..UserSelection::default()
        },
        Users::OnDemand => UserSelection {
            on_demand: true,
            ..UserSelection::default()
        },
    };
    let login = Login {
        user: "lamps".into(),
        password: "secret".into(),
    };
    Connector {
        name: plan.name.into(),
        domain: DOMAIN.into(),
        is_enabled: settings.is_enabled,
        address: Some(ServerAddress {
            host: format!("{}.example.net", plan.name).into(),
            port: None,
        }),
        login: plan.has_login.then_some(login),
        users,
        preferred: Preferred {
            telephony: settings.is_preferred,
            rich: settings.is_preferred,
        },
        protocol: Protocol::Sip(SipUpstream {
            list: None,
            transport: match plan.is_tcp {
                true => Transport::Tcp,
                false => Transport::Udp,
            },
            remote_domain: HOST.into(),
            uri: match plan.is_first_user {
                true => user_uri(0),
                false => format!("sip:lamps@{HOST}"),
            }
            .into(),
            packages: match settings.knows_dialogs {
                true => vec![Package::Dialog, Package::Presence],
                false => vec![Package::Presence],
            },
            expires: Duration::from_secs(settings.expires),
            pace: plan.pace,
        }),
    }
}
