//! Lockouts after wrong credentials, as the operator sees and lifts them.

use std::net::IpAddr;
use std::time::Duration;

use crate::shard::contract::flow::ShardId;

/// Who is locked out: an address, an account, or an address of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockoutScope {
    /// The IPv4 address, or the first of the IPv6 /64; None for every address.
    pub address: Option<IpAddr>,
    /// `user@realm`; None for every account.
    pub account: Option<Box<str>>,
}

/// A lockout that is in force.
#[derive(Clone, Debug)]
pub struct LockoutReport {
    /// The shard on which it is; None for HTTP.
    pub shard: Option<ShardId>,
    /// Who is locked out.
    pub scope: LockoutScope,
    /// Time until it ends.
    pub remaining: Duration,
}

/// The lockouts that the operator lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// All.
    All,
    /// Those of an address.
    Address(IpAddr),
    /// Those of an account, `user@realm`.
    Account(Box<str>),
}
