//! The messages so far, as far as sentences depend on them: requests and their senders,
//! subscriptions, NOTIFYs, the names of values chosen by the server, and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::dialogue::{Dialogue, Peer};
use crate::shorthand::message::Message;
use crate::shorthand::phone::Phone;

/// The conversation up to a step.
pub(crate) struct Conversation {
    /// The phones.
    pub(crate) phones: Vec<Phone>,
    /// The subject of the case.
    pub(crate) about: String,
    /// The default domain.
    pub(crate) domain: String,
    /// Requests of the phones, in order.
    pub(crate) requests: Vec<Said>,
    /// Responses of the server, in order.
    pub(crate) responses: Vec<Said>,
    /// NOTIFYs of the server, in order.
    pub(crate) notifies: Vec<Said>,
    /// Responses of the phones, in order.
    pub(crate) phone_responses: Vec<Said>,
    /// The subscriptions, in the order of the last SUBSCRIBE.
    pub(crate) subscriptions: Vec<Subscription>,
    /// The next CSeq of a NOTIFY, by Call-ID: the name of the first, and the number added.
    pub(crate) next_cseqs: BTreeMap<String, (String, u64)>,
    /// Branches of the phones.
    pub(crate) branches: BTreeSet<String>,
    /// The highest number of each kind of name: `{tag2}`.
    names: BTreeMap<String, u64>,
    /// Virtual time.
    pub(crate) now: Duration,
}

/// One message.
pub(crate) struct Said {
    /// The phone that sent or received it.
    pub(crate) peer: Peer,
    /// The shard that received it.
    pub(crate) shard: usize,
    /// In long form.
    pub(crate) message: Message,
    /// Whether it has a final response.
    pub(crate) is_answered: bool,
}

/// One subscription that was granted or notified.
pub(crate) struct Subscription {
    /// The phone that watches.
    pub(crate) peer: Peer,
    /// The last SUBSCRIBE.
    pub(crate) request: Message,
    /// The To of the server's responses.
    pub(crate) to: String,
    /// The granted seconds.
    pub(crate) expires: u64,
    /// The time of the grant.
    pub(crate) granted_at: Duration,
    /// Whether the 200 required the list extension.
    pub(crate) is_list: bool,
    /// The next version of a document, by its entity; a list itself has the entity "".
    pub(crate) next_versions: BTreeMap<String, u64>,
}

impl Subscription {
    /// The watched address of record.
    pub(crate) fn target(&self) -> String {
        uri_of(&self.to).to_owned()
    }

    /// `c1` of `c1@phone`.
    pub(crate) fn call(&self) -> String {
        call_of(&self.request)
    }

    /// Returns whether both are subscriptions of one dialog to one package.
    fn is_of(&self, other: &Message) -> bool {
        let same = |name: &str| self.request.get(name) == other.get(name);
        same("Call-ID") && same("From") && same("Event")
    }
}

impl Conversation {
    /// An empty conversation.
    pub(crate) fn new(dialogue: &Dialogue) -> Result<Self, String> {
        Ok(Self {
            phones: Phone::all(&dialogue.scene)?,
            about: dialogue.about.clone(),
            domain: domain(&dialogue.scene),
            requests: Vec::new(),
            responses: Vec::new(),
            notifies: Vec::new(),
            phone_responses: Vec::new(),
            subscriptions: Vec::new(),
            next_cseqs: BTreeMap::new(),
            branches: BTreeSet::new(),
            names: BTreeMap::new(),
            now: Duration::ZERO,
        })
    }

    /// The phone with that name.
    pub(crate) fn phone(&self, name: &str) -> Result<&Phone, String> {
        let phone = self.phones.iter().find(|phone| phone.name == name);
        phone.ok_or_else(|| format!("there is no phone {name}"))
    }

    /// `{tag3}` after `{tag2}`.
    pub(crate) fn next_name(&self, kind: &str) -> String {
        let last = self.names.get(kind).copied().unwrap_or_default();
        format!("{{{kind}{}}}", last + 1)
    }

    /// `<sip:123@abc.com>` without the brackets, for `123` in a sentence.
    pub(crate) fn uri(&self, name: &str) -> String {
        if name.starts_with("sip:") {
            name.to_owned()
        } else if name.contains('@') {
            format!("sip:{name}")
        } else {
            format!("sip:{name}@{}", self.domain)
        }
    }

    /// The name of a URI in a sentence: the reverse of [`Self::uri`].
    pub(crate) fn name(&self, uri: &str) -> String {
        let bare = uri.strip_prefix("sip:").unwrap_or(uri);
        let short = bare.strip_suffix(self.domain.as_str());
        let short = short.and_then(|short| short.strip_suffix('@'));
        let short = short.filter(|user| !user.contains('@') && !user.is_empty());
        let name = short.unwrap_or(bare);
        let is_reversible = self.uri(name) == uri && !name.contains([' ', ',', ':']);
        if is_reversible { name } else { uri }.to_owned()
    }

    /// The peer sent this.
    pub(crate) fn note_received(&mut self, peer: Peer, shard: usize, message: Message) {
        let via = message.value("Via");
        if message.is_response() {
            let open = self.notifies.iter_mut().filter(|said| said.peer == peer);
            let is_answered = |said: &&mut Said| is_response_to(&message, &said.message);
            if let Some(said) = open.rev().find(is_answered) {
                said.is_answered = true;
            }
            self.phone_responses.push(Said::new(peer, shard, message));
            return;
        }
        if let Some((_, branch)) = via.split_once("branch=") {
            let branch = branch.split(';').next().unwrap_or_default();
            self.branches.insert(branch.to_owned());
        }
        self.requests.push(Said::new(peer, shard, message));
    }

    /// The server opened a stream to that address: phones that listen there are there, with their
    /// subscriptions.
    pub(crate) fn note_dialed(&mut self, address: SocketAddr) {
        let mut phones = self.phones.iter_mut();
        while let Some(phone) = phones.find(|phone| phone.listens == Some(address)) {
            let before = std::mem::replace(&mut phone.peer.address, address);
            for subscription in &mut self.subscriptions {
                if subscription.peer.address == before {
                    subscription.peer.address = address;
                }
            }
        }
    }

    /// The server sent this.
    pub(crate) fn note_sent(&mut self, peer: Peer, message: Message) {
        self.note_names(&message);
        if message.is_response() {
            self.note_response(&message);
            self.responses.push(Said::new(peer, 0, message));
        } else if message.kind() == "NOTIFY" {
            let known = |said: &Said| said.message == message && said.peer == peer;
            if !self.notifies.iter().any(known) {
                self.note_notify(&message);
            }
            self.notifies.push(Said::new(peer, 0, message));
        }
    }

    fn note_response(&mut self, response: &Message) {
        let mut requests = self.requests.iter_mut().rev();
        let Some(said) = requests.find(|said| is_response_to(response, &said.message)) else {
            return;
        };
        said.is_answered = true;
        let is_granted = response.kind().starts_with('2');
        if !is_granted || said.message.kind() != "SUBSCRIBE" {
            return;
        }
        let (request, peer) = (said.message.clone(), said.peer);
        let known = self
            .subscriptions
            .iter()
            .position(|known| known.is_of(&request));
        let known = known.map(|place| self.subscriptions.remove(place));
        let expires = response.get("Expires").and_then(|value| value.parse().ok());
        self.subscriptions.push(Subscription {
            peer,
            request,
            to: response.value("To"),
            expires: expires.unwrap_or_default(),
            granted_at: self.now,
            is_list: response.get("Require") == Some("eventlist"),
            next_versions: known.map_or_else(BTreeMap::new, |known| known.next_versions),
        });
    }

    fn note_notify(&mut self, notify: &Message) {
        let call = notify.value("Call-ID");
        if let Some((name, plus)) = cseq_of(notify) {
            self.next_cseqs.insert(call.clone(), (name, plus + 1));
        }
        let mut subscriptions = self.subscriptions.iter_mut().rev();
        let subscription = subscriptions.find(|known| {
            known.request.get("Call-ID") == Some(&call)
                && known.request.get("Event") == notify.get("Event")
        });
        let Some(subscription) = subscription else {
            return;
        };
        for line in &notify.body {
            if let Some((entity, version)) = version_in(line) {
                subscription.next_versions.insert(entity, version + 1);
            }
        }
    }

    fn note_names(&mut self, message: &Message) {
        for line in message.lines() {
            for inside in line.split('{').skip(1) {
                let inside = inside.split(['}', '+']).next().unwrap_or_default();
                let kind = inside.trim_end_matches(|letter: char| letter.is_ascii_digit());
                if let Ok(number) = inside[kind.len()..].parse::<u64>() {
                    let last = self.names.entry(kind.to_owned()).or_default();
                    *last = number.max(*last);
                }
            }
        }
    }
}

impl Said {
    fn new(peer: Peer, shard: usize, message: Message) -> Self {
        Self {
            peer,
            shard,
            message,
            is_answered: false,
        }
    }
}

/// Returns whether it is a response to that request.
fn is_response_to(response: &Message, request: &Message) -> bool {
    let same = |name: &str| response.get(name) == request.get(name);
    same("Call-ID") && same("CSeq")
}

/// `cseq1` and 2 of `CSeq: {cseq1+2} NOTIFY`.
fn cseq_of(notify: &Message) -> Option<(String, u64)> {
    let name = notify.get("CSeq")?.strip_prefix('{')?;
    let name = name.strip_suffix("} NOTIFY")?;
    match name.split_once('+') {
        Some((name, plus)) => Some((name.to_owned(), plus.parse().ok()?)),
        None => Some((name.to_owned(), 0)),
    }
}

/// The entity and version in a line of a document.
fn version_in(line: &str) -> Option<(String, u64)> {
    let version = between(line, " version=\"", "\"")?.parse().ok()?;
    let is_list = line.starts_with("<list ");
    let entity = if is_list {
        ""
    } else {
        between(line, " entity=\"", "\"")?
    };
    Some((entity.to_owned(), version))
}

/// `c1` of `Call-ID: c1@phone`.
pub(crate) fn call_of(message: &Message) -> String {
    let call = message.get("Call-ID").unwrap_or_default();
    call.split('@').next().unwrap_or_default().to_owned()
}

/// The URI of `<sip:9@abc.com>;tag=w1`.
pub(crate) fn uri_of(address: &str) -> &str {
    between(address, "<", ">").unwrap_or(address)
}

/// The text between two texts.
pub(crate) fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(behind).map(|(inside, _)| inside)
}

/// The first domain of the scene.
fn domain(scene: &[(String, String)]) -> String {
    let first = |(key, value): &(String, String)| match key.as_str() {
        "Domain" => value.split_whitespace().next().map(str::to_owned),
        "Config" => {
            let (_, domain) = value.split_once("[[domain]]")?;
            between(domain, "name = \"", "\"").map(str::to_owned)
        }
        _ => None,
    };
    scene.iter().find_map(first).unwrap_or_default()
}
