//! Sources of state that speak SIP: clients with their own PIDF, and PBXs that publish the calls of
//! whole offices.
//!
//! A feeder publishes in one of the styles found in the field: one publication for all calls of an
//! extension (full or partial documents), one publication for each call, or, like two independent
//! workers, a separate publication for each state of a call, where the network may reorder `early`
//! and `terminated`.

use crate::documents::{Document, Leg, State};
use crate::model::Intent;
use crate::network::{Access, ActorId, MILLISECOND, Micros, SECOND, Wake};
use crate::sip_text::{Request, Text};
use crate::uac::Uac;
use crate::world::{Bench, presentity_uri};

/// The publishing style of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A PIDF about itself.
    Client,
    /// All calls of an extension in one publication.
    Together { full: bool },
    /// One publication for each call of an extension.
    PerCall,
    /// One publication for each step of a call.
    PerStep,
}

/// One publication that a source maintains.
#[derive(Debug)]
struct Publication {
    presentity: usize,
    /// The handset that it belongs to.
    handset: usize,
    /// The call it is about, if it is about one.
    call: Option<usize>,
    call_id: String,
    cseq: u32,
    version: u32,
    etag: Option<String>,
    expires: u64,
    /// The contents of a full document; None for feeders, which use their calls.
    statement: Option<Document>,
    /// Legs that changed since the last document was sent.
    changed: Vec<Leg>,
    /// A request is in flight.
    asking: bool,
    /// The state changed while a request was in flight.
    unsaid: bool,
    /// Remove it with the next request.
    removing: bool,
    /// The source no longer maintains it.
    dropped: bool,
    turn: u64,
}

/// A call between two presentities, or from outside to one.
#[derive(Debug)]
struct Call {
    callee: usize,
    caller: Option<usize>,
    forked: bool,
    answered: bool,
    step: u32,
    legs: Vec<(usize, Leg)>,
}

#[derive(Debug)]
struct Asked {
    publication: usize,
    cseq: u32,
    expires: u64,
}

/// A client or a PBX.
#[derive(Debug)]
pub(crate) struct Source {
    id: ActorId,
    access: Access,
    uac: Uac<Asked>,
    style: Style,
    /// The AoR of a client.
    presentity: usize,
    /// Phones of the user behind one address, as behind an SBC; 1 for a feeder.
    handsets: usize,
    publications: Vec<Publication>,
    calls: Vec<Call>,
    serials: u64,
    /// It has no faults of its own any more.
    pub(crate) calm: bool,
    /// It makes no changes any more.
    pub(crate) silent: bool,
    /// No longer maintains its publications.
    pub(crate) gone: bool,
}

impl Source {
    pub(crate) fn new(id: ActorId, is_client: bool, bench: &mut Bench) -> Self {
        let net = &mut bench.net;
        let address = net.bind(id, None);
        let tcp = net.rng.chance(200);
        let access = if tcp {
            Access::Tcp(address, net.connect(id, address))
        } else {
            Access::Udp(address)
        };
        let styles = [
            Style::Together { full: true },
            Style::Together { full: false },
            Style::PerCall,
            Style::PerStep,
        ];
        let style = if is_client {
            Style::Client
        } else {
            net.rng.pick(&styles)
        };
        let presentity = net.rng.below(net.plan.presentities as u64) as usize;
        let handsets = 1 + usize::from(is_client && net.rng.chance(400));
        let after = net.rng.below(5 * SECOND);
        net.wake(id, after, Wake::Act);
        Self {
            id,
            access,
            uac: Uac::new(id),
            style,
            presentity,
            handsets,
            publications: Vec::new(),
            calls: Vec::new(),
            serials: 0,
            calm: false,
            silent: false,
            gone: false,
        }
    }

    pub(crate) fn handle_wake(&mut self, wake: Wake, bench: &mut Bench) {
        match wake {
            Wake::Transaction(number) => {
                if let Some(exchange) = self.uac.wake(&mut bench.net, self.access, number) {
                    self.handle_silence(&exchange.purpose, bench);
                }
            }
            Wake::Act if !self.silent => self.act(bench),
            Wake::Call(call) => self.advance(call, bench),
            Wake::Renew { publication, turn } => {
                let known = &self.publications[publication];
                if known.turn == turn && !known.dropped && !known.asking && !self.gone {
                    self.ask(publication, known.etag.is_none(), bench);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn handle_message(&mut self, octets: &[u8], bench: &mut Bench) {
        let now = bench.net.now;
        let text = match Text::parse(octets) {
            Ok(text) => text,
            Err(fault) => {
                let detail = format!("{fault}: {}", String::from_utf8_lossy(octets));
                return bench.checker.fail(now, "a malformed message", detail);
            }
        };
        let status = text.status().unwrap_or(0);
        if status < 200 {
            return;
        }
        let Some(exchange) = self.uac.finish(text.branch().unwrap_or_default()) else {
            return;
        };
        let asked = exchange.purpose;
        if text.cseq() != Some((asked.cseq, "PUBLISH")) {
            return bench
                .checker
                .fail(now, "a response with another CSeq", text.start);
        }
        let publication = &mut self.publications[asked.publication];
        publication.asking = false;
        match status {
            200 => self.handle_published(&asked, &text, bench),
            412 => {
                publication.etag = None;
                self.say_again(asked.publication, bench);
            }
            423 => match text
                .number("Min-Expires")
                .filter(|min| *min > asked.expires)
            {
                Some(min) => {
                    publication.expires = min;
                    self.say_again(asked.publication, bench);
                }
                None => bench
                    .checker
                    .fail(now, "423 without a greater Min-Expires", text.start),
            },
            503 => {
                let wake = Wake::Renew {
                    publication: asked.publication,
                    turn: publication.turn,
                };
                bench.net.wake(self.id, 2 * SECOND, wake);
            }
            _ => bench
                .checker
                .fail(now, "a PUBLISH is refused without a reason", text.start),
        }
    }

    fn handle_published(&mut self, asked: &Asked, text: &Text<'_>, bench: &mut Bench) {
        let now = bench.net.now;
        let (etag, granted) = (text.one("SIP-ETag"), text.number("Expires"));
        let publication = &mut self.publications[asked.publication];
        if asked.expires == 0 {
            publication.etag = None;
            publication.dropped |= publication.removing && !publication.unsaid;
            publication.removing = false;
        } else {
            let (Some(etag), Some(granted)) = (etag, granted) else {
                return bench
                    .checker
                    .fail(now, "a 200 without SIP-ETag or Expires", text.start);
            };
            if granted > asked.expires || publication.etag.as_deref() == Some(etag) {
                return bench.checker.fail(
                    now,
                    "an old SIP-ETag, or a longer expiry than requested",
                    text.start,
                );
            }
            publication.etag = Some(etag.to_owned());
            let after = granted * SECOND * 8 / 10;
            let wake = Wake::Renew {
                publication: asked.publication,
                turn: publication.turn,
            };
            bench.net.wake(self.id, after, wake);
        }
        if publication.unsaid && !publication.dropped {
            self.ask(asked.publication, true, bench);
        }
    }

    fn handle_silence(&mut self, asked: &Asked, bench: &mut Bench) {
        if bench.net.is_sound() && !self.access.is_reliable() {
            let (now, detail) = (bench.net.now, format!("{asked:?}"));
            (bench.checker).fail(now, "a PUBLISH gets no response", detail);
        }
        let publication = &mut self.publications[asked.publication];
        publication.asking = false;
        publication.etag = None;
        self.say_again(asked.publication, bench);
    }

    fn say_again(&mut self, at: usize, bench: &mut Bench) {
        if !self.publications[at].dropped && !self.gone {
            self.ask(at, true, bench);
        }
    }

    /// The node is up again after a crash. Within this time the source refreshes some of its
    /// publications, while the node still reads their records.
    pub(crate) fn notice_restart(&self, within: Micros, bench: &mut Bench) {
        let net = &mut bench.net;
        let known = self.publications.iter().enumerate();
        for (publication, known) in known.filter(|(_, known)| known.etag.is_some()) {
            if net.rng.chance(800) {
                let (turn, after) = (known.turn, net.rng.below(within));
                net.wake(self.id, after, Wake::Renew { publication, turn });
            }
        }
    }

    // Changes.

    fn act(&mut self, bench: &mut Bench) {
        let after = bench
            .net
            .rng
            .between(200 * MILLISECOND, 2 * bench.net.plan.change_every);
        bench.net.wake(self.id, after, Wake::Act);
        if self.style == Style::Client {
            self.change_mind(bench)
        } else {
            self.begin_call(bench)
        }
    }

    /// A client changes its declaration, goes away, or reboots.
    fn change_mind(&mut self, bench: &mut Bench) {
        let rng = &mut bench.net.rng;
        let activity = rng.pick(&[
            None,
            None,
            Some("away"),
            Some("vacation"),
            Some("on-the-phone"),
            Some("busy"),
            Some("meeting"),
            Some("dnd"),
        ]);
        let note = rng.chance(300).then(|| format!("note {}", rng.below(3)));
        let statement = Document::Presence {
            open: rng.chance(800),
            activity,
            note,
        };
        let (removing, reboots) = (rng.chance(100), !self.calm && rng.chance(100));
        let handset = rng.below(self.handsets as u64) as usize;
        let is_its = |known: &Publication| !known.dropped && known.handset == handset;
        let at = self
            .publications
            .iter()
            .position(is_its)
            .unwrap_or_else(|| {
                let publication = self.fresh(self.presentity, None, bench);
                self.publications.push(Publication {
                    handset,
                    ..publication
                });
                self.publications.len() - 1
            });
        let publication = &mut self.publications[at];
        publication.statement = Some(statement);
        publication.removing = removing && publication.etag.is_some();
        if reboots {
            publication.etag = None;
            publication.removing = false;
        }
        self.say(at, bench);
    }

    fn begin_call(&mut self, bench: &mut Bench) {
        let rng = &mut bench.net.rng;
        let presentities = bench.net.plan.presentities as u64;
        let callee = rng.below(presentities) as usize;
        let caller = Some(rng.below(presentities) as usize).filter(|caller| *caller != callee);
        let forked = rng.chance(250);
        self.calls.push(Call {
            callee,
            caller,
            forked,
            answered: false,
            step: 0,
            legs: Vec::new(),
        });
        self.advance(self.calls.len() - 1, bench);
    }

    /// Moves a call to its next state: ringing, progress at the caller's end, answered or
    /// abandoned, ended.
    fn advance(&mut self, at: usize, bench: &mut Bench) {
        let rng = &mut bench.net.rng;
        let call_id = format!("c{at}.{}@pbx", self.id);
        let call = &mut self.calls[at];
        let mut changed = Vec::new();
        let mut next = rng.between(100 * MILLISECOND, 6 * SECOND);
        match call.step {
            0 => {
                for fork in 0..1 + usize::from(call.forked) {
                    changed.push((call.callee, leg(&call_id, "callee", fork, State::Early)));
                }
                changed.extend(
                    call.caller
                        .map(|caller| (caller, leg(&call_id, "caller", 0, State::Trying))),
                );
            }
            1 => changed.extend(
                call.caller
                    .map(|caller| (caller, leg(&call_id, "caller", 0, State::Early))),
            ),
            2 if rng.chance(600) => {
                call.answered = true;
                next = rng.between(500 * MILLISECOND, 40 * SECOND);
                changed.push((call.callee, leg(&call_id, "callee", 0, State::Confirmed)));
                if call.forked {
                    changed.push((call.callee, leg(&call_id, "callee", 1, State::Terminated)));
                }
                changed.extend(
                    call.caller
                        .map(|caller| (caller, leg(&call_id, "caller", 0, State::Confirmed))),
                );
            }
            _ => {
                let ended = call.legs.iter().map(|(presentity, leg)| {
                    (
                        *presentity,
                        Leg {
                            state: State::Terminated,
                            ..leg.clone()
                        },
                    )
                });
                changed.extend(ended);
            }
        }
        call.step = call.step.saturating_add(1);
        if call.step == 2 && self.style == Style::PerStep && rng.chance(500) {
            // Abandoned at once: `early` and `terminated` race.
            call.step = 9;
            next = rng.below(100 * MILLISECOND);
        }
        let is_end = changed
            .iter()
            .all(|(_, leg)| leg.state == State::Terminated);
        if self.style == Style::PerStep && is_end && rng.chance(300) {
            // Without the tags that it had.
            for (_, leg) in &mut changed {
                (leg.local_tag, leg.remote_tag) = Default::default();
            }
        }
        for (presentity, leg) in &changed {
            call.legs.retain(|(_, known)| known.id != leg.id);
            call.legs.push((*presentity, leg.clone()));
        }
        call.legs.retain(|(_, leg)| leg.state != State::Terminated);
        // A PBX that crashes may never report the end of a call.
        let crashes = !self.calm && rng.chance(20);
        let begins_anew = crashes && rng.chance(500);
        if !call.legs.is_empty() && !crashes {
            bench.net.wake(self.id, next, Wake::Call(at));
        }
        self.tell(at, changed, bench);
        if begins_anew {
            self.begin_anew(bench);
        }
    }

    /// A restarted PBX has no calls, and publishes this for every extension that it had published.
    fn begin_anew(&mut self, bench: &mut Bench) {
        for call in &mut self.calls {
            call.step = u32::MAX;
            call.legs.clear();
        }
        let live = self.publications.iter().filter(|known| !known.dropped);
        let mut notified: Vec<usize> = live.map(|known| known.presentity).collect();
        notified.sort_unstable();
        notified.dedup();
        for known in &mut self.publications {
            known.dropped = true;
        }
        for presentity in notified {
            let none = Document::Dialogs {
                full: true,
                legs: Vec::new(),
            };
            let fresh = self.fresh(presentity, None, bench);
            self.publications.push(Publication {
                statement: Some(none),
                ..fresh
            });
            let at = self.publications.len() - 1;
            self.say(at, bench);
            self.publications[at].dropped = true;
        }
    }

    /// Adds changed legs to the publications to which they belong.
    fn tell(&mut self, call: usize, changed: Vec<(usize, Leg)>, bench: &mut Bench) {
        let mut notified: Vec<usize> = Vec::new();
        for (presentity, leg) in changed {
            let about = (self.style == Style::PerCall).then_some(call);
            let fits = |known: &Publication| {
                !known.dropped && known.presentity == presentity && known.call == about
            };
            let found = match self.style {
                Style::PerStep => notified
                    .iter()
                    .copied()
                    .find(|at| self.publications[*at].presentity == presentity),
                _ => self.publications.iter().position(fits),
            };
            let at = found.unwrap_or_else(|| {
                let fresh = self.fresh(presentity, about, bench);
                self.publications.push(fresh);
                self.publications.len() - 1
            });
            let publication = &mut self.publications[at];
            publication.changed.retain(|known| known.id != leg.id);
            publication.changed.push(leg);
            if !notified.contains(&at) {
                notified.push(at);
            }
        }
        for at in notified {
            self.say(at, bench);
            if self.style == Style::PerStep {
                self.publications[at].dropped = true;
            }
        }
    }

    fn fresh(&mut self, presentity: usize, call: Option<usize>, bench: &mut Bench) -> Publication {
        self.serials += 1;
        let expires = bench
            .net
            .rng
            .between(bench.net.plan.expires_min.max(20), 200);
        Publication {
            presentity,
            handset: 0,
            call,
            call_id: format!(
                "{}.{:x}@s{}",
                self.serials,
                bench.net.rng.next() >> 32,
                self.id
            ),
            cseq: 0,
            version: 0,
            etag: None,
            expires,
            statement: None,
            changed: Vec::new(),
            asking: false,
            unsaid: false,
            removing: false,
            dropped: false,
            turn: 0,
        }
    }

    // PUBLISH.

    fn say(&mut self, at: usize, bench: &mut Bench) {
        if self.publications[at].asking {
            self.publications[at].unsaid = true;
        } else {
            self.ask(at, true, bench);
        }
    }

    /// Sends a PUBLISH; without a document it is a refresh.
    fn ask(&mut self, at: usize, with_document: bool, bench: &mut Bench) {
        let document = if with_document {
            Some(self.document(at))
        } else {
            None
        };
        let net = &mut bench.net;
        if let Access::Tcp(address, connection) = self.access
            && !net.is_open(connection)
        {
            self.access = Access::Tcp(address, net.connect(self.id, address));
        }
        let publication = &mut self.publications[at];
        publication.asking = true;
        publication.unsaid = false;
        publication.changed.clear();
        publication.cseq += 1;
        publication.version += 1;
        publication.turn += 1;
        let removing = publication.removing && publication.etag.is_some();
        let document = document.filter(|_| !removing);
        let expires = match &document {
            _ if removing => 0,
            // The end of a call as PBXs publish it: for some seconds, or with Expires: 0.
            Some(Document::Dialogs { legs, .. }) if is_over(legs) => {
                let is_initial = publication.etag.is_none();
                let has_no_time = is_initial && self.style == Style::PerStep && net.rng.chance(300);
                if has_no_time { 0 } else { END_EXPIRES }
            }
            _ => publication.expires,
        };
        let uri = presentity_uri(publication.presentity, false);
        let is_client = self.style == Style::Client;
        let event = if is_client { "presence" } else { "dialog" };
        let mut headers =
            format!("Event: {event}\r\nExpires: {expires}\r\nUser-Agent: Simulated\r\n");
        if let Some(etag) = &publication.etag {
            headers.push_str(&format!("SIP-If-Match: {etag}\r\n"));
        }
        if is_client {
            let contact = format!("<sip:handset{}@172.16.0.{}>", publication.handset, self.id);
            headers.push_str(&format!("Contact: {contact}\r\n"));
        }
        let body = document
            .as_ref()
            .map(|document| document.write(&uri, publication.version));
        let branch = self.uac.branch(net);
        let via = match self.access {
            Access::Udp(_) => format!("UDP 172.16.0.{}:5060", self.id),
            Access::Tcp(..) => format!("TCP 172.16.0.{}:5060", self.id),
        };
        let request = Request {
            method: "PUBLISH",
            uri: &uri,
            via: &via,
            branch: &branch,
            from: &uri,
            from_tag: "source",
            to: &uri,
            to_tag: None,
            call_id: &publication.call_id,
            cseq: publication.cseq,
            headers: &headers,
            content_type: document.as_ref().map_or("", Document::content_type),
            body: body.as_deref().unwrap_or_default(),
        };
        let octets = request.write();
        let intent = Intent {
            presentity: publication.presentity,
            publisher: (self.id, publication.handset),
            condition: publication.etag.clone(),
            expires,
            document,
        };
        bench
            .model
            .intents
            .insert((publication.call_id.clone(), publication.cseq), intent);
        let asked = Asked {
            publication: at,
            cseq: publication.cseq,
            expires,
        };
        self.uac.start(net, self.access, branch, octets, asked);
    }

    fn document(&self, at: usize) -> Document {
        let publication = &self.publications[at];
        if let Some(statement) = &publication.statement {
            return statement.clone();
        }
        // The first document of a publication is full in every style.
        let full = publication.etag.is_none() || self.style != Style::Together { full: false };
        let mut legs = publication.changed.clone();
        if full && self.style != Style::PerStep {
            let about = |call: usize| publication.call.is_none_or(|only| only == call);
            let calls = self
                .calls
                .iter()
                .enumerate()
                .filter(|(call, _)| about(*call));
            for (presentity, leg) in calls.flat_map(|(_, call)| &call.legs) {
                if *presentity == publication.presentity
                    && !legs.iter().any(|known| known.id == leg.id)
                {
                    legs.push(leg.clone());
                }
            }
        }
        Document::Dialogs { full, legs }
    }

    /// The longest time that a publication of this source can outlive the source.
    pub(crate) const LIFE_MAX: Micros = 201 * SECOND;
}

/// Seconds for which Kamailio's pua_dialoginfo publishes that a call is over.
const END_EXPIRES: u64 = 11;

fn is_over(legs: &[Leg]) -> bool {
    !legs.is_empty() && legs.iter().all(|leg| leg.state == State::Terminated)
}

/// One end of a call, as its extension sees it.
fn leg(call_id: &str, end: &str, fork: usize, state: State) -> Leg {
    let recipient = end == "callee";
    // The caller's tag is the same for all forks, the callee's differs.
    let (callee_tag, caller_tag) = (format!("b{fork}"), String::from("a"));
    let (local_tag, remote_tag) = if recipient {
        (callee_tag, caller_tag)
    } else {
        (caller_tag, callee_tag)
    };
    Leg {
        id: format!(
            "{end}{fork}.{}",
            call_id.split('@').next().unwrap_or_default()
        ),
        call_id: call_id.to_owned(),
        local_tag,
        remote_tag,
        recipient,
        state,
        remote: if recipient {
            "caller".into()
        } else {
            "callee".into()
        },
    }
}
