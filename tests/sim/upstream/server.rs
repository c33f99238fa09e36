//! How a PBX responds to SUBSCRIBEs: as it should, or by one of the faults that PBXs are known for.

use crate::network::{Access, MILLISECOND, Micros, SECOND, Wake};
use crate::phone::lists::Package;
use crate::random::Rng;
use crate::sip_text::{Text, response};
use crate::upstream::Upstream;
use crate::upstream::dialog::{Body, Dialog};
use crate::upstream::plan::{Ending, FIRST_USER, GRANTED_MAX};
use crate::world::Bench;

/// A wrong response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No response at all.
    Silence,
    /// This status, and a header with this value.
    Refusal(u16, &'static str),
    /// 401 with a new nonce for one that it gave, stale or not.
    Stale(bool),
    /// 202 for 200.
    Accepted,
    /// The NOTIFY overtakes the 2xx.
    NotifyFirst,
    /// Another fork accepts, too, and its NOTIFY may be the first.
    Fork,
    /// A 2xx that no NOTIFY follows.
    NoNotify,
    /// So many seconds.
    Grants(u64),
    /// Subscription-State without an expiry.
    OmitsExpires,
    /// `terminated` with this reason at once.
    Ends(&'static str),
    /// A NOTIFY without a body.
    NoBody,
    /// `pending`
    Pending,
}

/// All of them; the reasons of [`ENDS`] are beside them.
const FAULTS: [Fault; 32] = [
    Fault::Silence,
    Fault::Silence,
    Fault::Refusal(401, ""),
    Fault::Refusal(407, ""),
    Fault::Refusal(403, ""),
    Fault::Refusal(404, ""),
    Fault::Refusal(603, ""),
    Fault::Refusal(423, ""),
    Fault::Refusal(423, "Min-Expires: 200\r\n"),
    Fault::Refusal(423, "Min-Expires: 30\r\n"),
    Fault::Refusal(423, "Min-Expires: 100000\r\n"),
    Fault::Refusal(481, ""),
    Fault::Refusal(481, ""),
    Fault::Refusal(489, ""),
    Fault::Refusal(503, ""),
    Fault::Refusal(503, "Retry-After: 7\r\n"),
    Fault::Refusal(408, ""),
    Fault::Refusal(500, "Retry-After: 20\r\n"),
    Fault::Refusal(500, ""),
    Fault::Refusal(480, ""),
    Fault::Refusal(302, ""),
    Fault::Stale(true),
    Fault::Stale(false),
    Fault::Accepted,
    Fault::NotifyFirst,
    Fault::Fork,
    Fault::Fork,
    Fault::NoNotify,
    Fault::OmitsExpires,
    Fault::NoBody,
    Fault::Pending,
    Fault::Grants(0),
];
/// Reasons of an end.
pub(super) const ENDS: [&str; 9] = [
    "terminated;reason=deactivated",
    "terminated;reason=timeout",
    "terminated;reason=probation;retry-after=9",
    "terminated;reason=probation",
    "terminated;reason=giveup;retry-after=0",
    "terminated;reason=rejected",
    "terminated;reason=noresource",
    "terminated;reason=invariant",
    "terminated",
];
/// What is granted instead, in seconds.
const GRANTS: [u64; 4] = [0, 1, 5, GRANTED_MAX];

impl Fault {
    pub(super) fn pick(rng: &mut Rng) -> Self {
        match rng.below(10) {
            0 => Self::Ends(rng.pick(&ENDS)),
            1 => Self::Grants(rng.pick(&GRANTS)),
            _ => rng.pick(&FAULTS),
        }
    }
}

impl Upstream {
    pub(super) fn handle_subscribe(&mut self, text: &Text<'_>, access: Access, bench: &mut Bench) {
        let branch = text.branch().unwrap_or_default().to_owned();
        if let Some(octets) = self.responses.get(&branch) {
            return bench.net.send(access, octets.clone());
        }
        self.expire(bench);
        let now = bench.net.now;
        let rudeness = self.plan.server.rudeness;
        let is_rude = self.ending(now).is_none() && bench.net.rng.chance(rudeness);
        let rng = &mut bench.net.rng;
        let fault = is_rude.then(|| self.habit.unwrap_or_else(|| Fault::pick(rng)));
        if fault == Some(Fault::Silence) {
            return;
        }
        match self.refusal(text, fault, now) {
            Some((status, headers)) => {
                if status == 481 {
                    self.drop_named(text);
                }
                let octets = response(text, status, "no", &headers);
                self.respond(branch, octets, access, bench);
            }
            None => self.accept_subscribe(text, fault, access, bench),
        }
    }

    fn respond(&mut self, branch: String, octets: Vec<u8>, access: Access, bench: &mut Bench) {
        let octets: std::rc::Rc<[u8]> = octets.into();
        self.responses.insert(branch, octets.clone());
        bench.net.send(access, octets);
    }

    fn drop_named(&mut self, text: &Text<'_>) {
        self.dialogs.retain(|dialog| !dialog.is_named(text));
    }

    /// Status and headers of a refusal; None if the request is to be accepted.
    fn refusal(
        &mut self,
        text: &Text<'_>,
        fault: Option<Fault>,
        now: Micros,
    ) -> Option<(u16, String)> {
        let plain = |status| Some((status, String::new()));
        let (status, until) = self.refuses;
        match (self.ending(now), fault) {
            _ if now < until => return plain(status),
            (Some(Ending::Unavailable), _) => return Some((503, "Retry-After: 3\r\n".to_owned())),
            (Some(Ending::Forbidden), _) => return plain(403),
            (Some(Ending::WrongPassword), _) => return self.challenge(false),
            (_, Some(Fault::Refusal(status, headers))) => {
                return Some((status, headers.to_owned()));
            }
            (_, Some(Fault::Stale(is_stale))) => return self.challenge(is_stale),
            _ => {}
        }
        if self.plan.has_login && !self.is_authorized(text) {
            let is_stale = text.one("Authorization").is_some();
            return self.challenge(is_stale);
        }
        let Some(user) = self.user_of(text) else {
            return plain(404);
        };
        match self.ending(now) {
            Some(Ending::UserMissing) if user == 0 => return plain(404),
            Some(Ending::UserDeclined) if user == 0 => return plain(603),
            _ => {}
        }
        if text.tag("To").is_some() {
            let cseq = text.cseq().map_or(0, |(cseq, _)| cseq);
            match self.dialogs.iter().find(|dialog| dialog.is_named(text)) {
                None => return plain(481),
                // It was overtaken.
                Some(dialog) if cseq <= dialog.asked => return plain(500),
                Some(_) => {}
            }
        }
        match text.one("Event") {
            Some("presence") => None,
            Some("dialog") if self.plan.server.knows_dialogs => None,
            _ => plain(489),
        }
    }

    fn challenge(&mut self, is_stale: bool) -> Option<(u16, String)> {
        self.serial += 1;
        let nonce = format!("n{}", self.serial);
        let stale = if is_stale { ", stale=true" } else { "" };
        let header = format!(
            "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"{stale}\r\n"
        );
        self.nonces.insert(nonce);
        Some((401, header))
    }

    fn is_authorized(&self, text: &Text<'_>) -> bool {
        let credentials = text.one("Authorization").unwrap_or_default();
        let nonce = credentials.split("nonce=\"").nth(1);
        let nonce = nonce.and_then(|rest| rest.split('"').next());
        let is_complete = credentials.contains("username=\"lamps\"")
            && credentials.contains("uri=\"")
            && credentials.contains("response=\"");
        is_complete && nonce.is_some_and(|nonce| self.nonces.contains(nonce))
    }

    fn user_of(&self, text: &Text<'_>) -> Option<usize> {
        let user = text.uri("To")?.strip_prefix("sip:")?.split('@').next()?;
        let number: usize = user.parse().ok()?;
        let user = number.checked_sub(100 + FIRST_USER)?;
        (user < self.users.len()).then_some(user)
    }

    fn accept_subscribe(
        &mut self,
        text: &Text<'_>,
        fault: Option<Fault>,
        access: Access,
        bench: &mut Bench,
    ) {
        let now = bench.net.now;
        let expires = match (text.number("Expires"), fault) {
            (Some(0), _) => 0,
            (_, Some(Fault::Grants(seconds))) => seconds,
            _ => self.plan.server.granted,
        };
        let Some(at) = self.dialog_for(text, access, bench) else {
            return;
        };
        let dialog = &mut self.dialogs[at];
        dialog.asked = text.cseq().map_or(0, |(cseq, _)| cseq);
        dialog.access = access;
        dialog.process = bench.net.process;
        dialog.expires_at = now + expires * SECOND;
        dialog.omits_expires = fault == Some(Fault::OmitsExpires);
        let tag = dialog.tag.clone();
        let status = if fault == Some(Fault::Accepted) {
            202
        } else {
            200
        };
        let contact = format!("Contact: <sip:{}>\r\nExpires: {expires}\r\n", self.address);
        let octets = response(text, status, &tag, &contact);
        let branch = text.branch().unwrap_or_default().to_owned();
        match fault {
            Some(Fault::NotifyFirst) => {
                let after = bench.net.rng.between(MILLISECOND, 3 * SECOND);
                bench
                    .net
                    .wake(self.id, after, Wake::Response(octets.into()));
            }
            Some(Fault::Fork) => {
                self.fork(at, bench);
                self.respond(branch, octets, access, bench);
            }
            _ => self.respond(branch, octets, access, bench),
        }
        self.notify_first((text.call_id(), &tag), (fault, expires), bench);
    }

    /// The NOTIFY that a SUBSCRIBE asks for.
    fn notify_first(
        &mut self,
        (call_id, tag): (&str, &str),
        (fault, expires): (Option<Fault>, u64),
        bench: &mut Bench,
    ) {
        let mut dialogs = self.dialogs.iter();
        let Some(at) = dialogs.position(|it| it.call_id == call_id && it.tag == tag) else {
            return;
        };
        let state = self.dialogs[at].active(bench.net.now);
        match fault {
            Some(Fault::NoNotify) => {}
            Some(Fault::Ends(reason)) => self.end(at, reason, bench),
            Some(Fault::NoBody) => {
                self.dialogs[at].told = None;
                self.send(at, &state, &Body::none(), bench);
            }
            Some(Fault::Pending) => {
                let state = state.replace("active", "pending");
                self.dialogs[at].told = None;
                self.send(at, &state, &Body::none(), bench);
            }
            // Some grant nothing, and say that it is active.
            Some(Fault::Grants(0)) if bench.net.rng.chance(500) => self.notify_all(at, bench),
            _ if expires == 0 => self.end(at, "terminated;reason=timeout", bench),
            _ => self.notify_all(at, bench),
        }
    }

    /// Ends a subscription. Its NOTIFY is sent once or twice.
    pub(super) fn end(&mut self, at: usize, reason: &str, bench: &mut Bench) {
        let body = match bench.net.rng.chance(500) {
            true => {
                self.dialogs[at].told = None;
                let user = self.dialogs[at].user;
                self.dialogs[at].next_body(&self.users[user], false)
            }
            false => Body::none(),
        };
        self.send(at, reason, &body, bench);
        self.dialogs.remove(at);
    }

    /// The place of the dialog of a SUBSCRIBE, which may begin one.
    fn dialog_for(&mut self, text: &Text<'_>, access: Access, bench: &mut Bench) -> Option<usize> {
        if text.tag("To").is_some() {
            return self.dialogs.iter().position(|dialog| dialog.is_named(text));
        }
        let package = match text.one("Event") {
            Some("dialog") => Package::Dialog,
            _ => Package::Presence,
        };
        let user = self.user_of(text)?;
        self.serial += 1;
        let tag = format!("t{}", self.serial);
        let process = bench.net.process;
        let dialog = Dialog::begin(text, tag, (user, package), (access, process));
        self.dialogs.push(dialog);
        Some(self.dialogs.len() - 1)
    }

    /// Another fork of the request accepts it, too.
    fn fork(&mut self, at: usize, bench: &mut Bench) {
        self.serial += 1;
        let fork = self.dialogs[at].fork(format!("t{}", self.serial));
        self.dialogs.push(fork);
        self.notify_all(self.dialogs.len() - 1, bench);
    }

    /// The response to a request whose NOTIFY has overtaken it.
    pub(super) fn respond_late(&mut self, text: &Text<'_>, octets: &[u8], bench: &mut Bench) {
        let branch = text.branch().unwrap_or_default().to_owned();
        let mut dialogs = self.dialogs.iter();
        let Some(dialog) = dialogs.find(|dialog| dialog.call_id == text.call_id()) else {
            return;
        };
        let access = dialog.access;
        self.respond(branch, octets.to_vec(), access, bench);
    }
}
