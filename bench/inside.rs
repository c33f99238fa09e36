//! One engine without sockets, for measurements inside a process: requests in, octets out, time as
//! an argument.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lamplighter::config;
use lamplighter::net::kernel;
use lamplighter::shard::{
    ConnectionId, Durability, Flow, Input, Options, Outbox, RecordKey, Recovered, Shard, ShardId,
};
use lamplighter::sip::Transport;
use lamplighter_bench::sip::{DOMAIN, Subscribe};
use lamplighter_bench::{Error, sip, system};

/// The server's allocator: the system's own compacts for milliseconds at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NODE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
/// The publisher's address.
const PBX: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5060);

/// An engine, and the dialog state of its watchers.
pub(crate) struct Inside {
    pub(crate) shard: Shard,
    pub(crate) out: Outbox,
    pub(crate) now: Instant,
    /// By watcher: the server's tag and Contact, and the last CSeq.
    dialogs: Vec<(String, String, u32)>,
    presentities: u32,
    changes: u32,
    entity_tags: Vec<String>,
    text: Vec<u8>,
    options: Options,
    /// What it recorded.
    records: BTreeMap<RecordKey, Vec<u8>>,
}

impl Inside {
    /// An engine whose watchers are spread over the presentities in turn and have their first
    /// NOTIFY.
    pub(crate) fn new(watchers: u32, presentities: u32) -> Result<Self, Error> {
        Self::with(Durability::None, watchers, presentities)
    }

    /// The same; with [`Durability::Synced`] what is recorded in a turn is durable right after it.
    pub(crate) fn with(
        durability: Durability,
        watchers: u32,
        presentities: u32,
    ) -> Result<Self, Error> {
        kernel::decline_huge_pages();
        let epoch = Instant::now();
        let mut options = Options::new(ShardId(0), 1, epoch, [7; 32]);
        options.notify_rate_per_phone = 0;
        options.durability = durability;
        let mut inside = Self {
            shard: Shard::new(options.clone(), Arc::new(directory()?), [1; 32]),
            options,
            records: BTreeMap::new(),
            out: Outbox::default(),
            now: epoch,
            // Growth of the outbox must not be measured.
            dialogs: Vec::with_capacity(watchers.max(100_000) as usize),
            presentities,
            changes: 0,
            entity_tags: vec![String::new(); presentities as usize],
            text: Vec::new(),
        };
        (0..watchers).for_each(|watcher| inside.join(watcher));
        Ok(inside)
    }

    /// The next watcher subscribes and acknowledges its first NOTIFY.
    pub(crate) fn join(&mut self, watcher: u32) {
        self.dialogs.push((String::new(), String::new(), 0));
        self.refresh(watcher);
        let response = self.sent(0);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let to = sip::header(&response, "To").unwrap_or_default();
        let contact = sip::header(&response, "Contact").unwrap_or_default();
        let dialog = &mut self.dialogs[watcher as usize];
        dialog.0 = text(sip::tag(to));
        dialog.1 = text(contact).trim_matches(['<', '>']).to_owned();
        self.acknowledge(1);
    }

    /// So many next watchers subscribe, whose records are durable together, and acknowledge their first
    /// NOTIFYs.
    #[allow(dead_code, reason = "only instructions are counted of it")]
    pub(crate) fn join_together(&mut self, watchers: Range<u32>) {
        let count = watchers.len();
        for watcher in watchers {
            self.dialogs.push((String::new(), String::new(), 0));
            self.write_subscribe(watcher);
            let input = Input::Message {
                flow: Self::flow(Self::phone(watcher)),
                bytes: &self.text,
            };
            self.shard.handle(input, self.now, &mut self.out);
        }
        self.commit();
        // Behind their 200s.
        self.acknowledge(count);
    }

    fn flow(peer: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: 0,
            connection: ConnectionId::default(),
            local: NODE,
            peer,
        }
    }

    fn phone(watcher: u32) -> SocketAddr {
        (Ipv4Addr::from(0x0a00_0000 + watcher), 5060).into()
    }

    /// A watcher's SUBSCRIBE; the outbox has 200 and NOTIFY then.
    pub(crate) fn refresh(&mut self, watcher: u32) {
        self.write_subscribe(watcher);
        self.give(Self::phone(watcher));
    }

    fn write_subscribe(&mut self, watcher: u32) {
        let (to_tag, target, cseq) = &mut self.dialogs[watcher as usize];
        *cseq += 1;
        let request = Subscribe {
            watcher,
            presentity: watcher % self.presentities,
            phone: watcher,
            local: Self::phone(watcher),
            transport: "UDP",
            to_tag,
            target,
            cseq: *cseq,
            expires: 3600,
        };
        self.text.clear();
        request.write(&mut self.text);
    }

    /// A presentity's PUBLISH; the outbox has 200 and NOTIFYs then.
    #[allow(dead_code, reason = "where timers are measured, nobody publishes")]
    pub(crate) fn publish(&mut self, presentity: u32) {
        self.write_publish(presentity);
        self.give(PBX);
        self.remember_tag(presentity);
    }

    /// A presentity's PUBLISH, turn by turn, with the outbox emptied after each turn as a core
    /// does; then all NOTIFYs are acknowledged. Returns the CPU time of each turn.
    #[allow(dead_code, reason = "the criterion benchmarks look at the whole")]
    pub(crate) fn publish_in_turns(&mut self, presentity: u32) -> Vec<Duration> {
        self.write_publish(presentity);
        let (mut turns, mut responses) = (Vec::new(), Vec::new());
        let mut start = system::thread_cpu();
        let input = Input::Message {
            flow: Self::flow(PBX),
            bytes: &self.text,
        };
        self.shard.handle(input, self.now, &mut self.out);
        while self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.out);
            turns.push(system::thread_cpu() - start);
            if turns.len() == 1 {
                self.remember_tag(presentity);
            }
            responses.extend(self.responses(usize::from(turns.len() == 1)));
            start = system::thread_cpu();
        }
        self.take_responses(&responses);
        self.out.clear();
        turns
    }

    fn write_publish(&mut self, presentity: u32) {
        self.changes += 1;
        self.text.clear();
        let tag = &self.entity_tags[presentity as usize];
        sip::write_publish(&mut self.text, presentity, self.changes, tag, PBX);
    }

    /// The 200 to a PUBLISH is the first message in the outbox.
    fn remember_tag(&mut self, presentity: u32) {
        let response = self.sent(0);
        let tag = sip::header(&response, "SIP-ETag").unwrap_or_default();
        self.entity_tags[presentity as usize] = String::from_utf8_lossy(tag).into_owned();
    }

    fn give(&mut self, peer: SocketAddr) {
        let input = Input::Message {
            flow: Self::flow(peer),
            bytes: &self.text,
        };
        self.shard.handle(input, self.now, &mut self.out);
        self.commit();
    }

    /// Its records are durable, and what is due is done.
    fn commit(&mut self) {
        if !self.out.records.is_empty() {
            let durable = Input::Durable(self.out.recorded_through);
            self.shard.handle(durable, self.now, &mut self.out);
        }
        while self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.out);
        }
        for change in &self.out.records {
            if let Some(octets) = self.out.octets_of(change) {
                self.records.insert(change.key, octets.to_vec());
            }
        }
    }

    /// Ends the engine; another one, which has been told nothing yet, begins with its records.
    #[allow(dead_code, reason = "where timers are measured, nothing is recovered")]
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.now += Duration::from_secs(100);
        let directory = Arc::new(directory()?);
        self.shard = Shard::new(self.options.clone(), directory, [2; 32]);
        let begin = Recovered::Begin {
            dialogs_end: self.records.len() as u32,
            presentities_end: 0,
            committed_at: Some(self.now),
        };
        let input = Input::Recovered(begin);
        self.shard.handle(input, self.now, &mut self.out);
        Ok(())
    }

    /// Recovers everything, in parts as a core does. Returns how many records that wrote.
    #[allow(dead_code, reason = "where timers are measured, nothing is recovered")]
    pub(crate) fn recover(&mut self) -> usize {
        let mut written = 0;
        for (at, (key, octets)) in self.records.iter().enumerate() {
            let input = Input::Recovered(Recovered::Record(*key, octets));
            self.shard.handle(input, self.now, &mut self.out);
            if at % 200 == 0 {
                self.shard.handle_timeout(self.now, &mut self.out);
                written += self.out.records.len();
                self.out.clear();
            }
        }
        let input = Input::Recovered(Recovered::End);
        self.shard.handle(input, self.now, &mut self.out);
        written += self.out.records.len();
        self.out.clear();
        written
    }

    /// A message of the outbox.
    fn sent(&self, place: usize) -> Vec<u8> {
        let transmit = self.out.transmits.get(place);
        transmit
            .map(|transmit| self.out.pieces(transmit).concat())
            .unwrap_or_default()
    }

    /// The 200s to the NOTIFYs in the outbox from `first` on, with who sends them; empties it.
    pub(crate) fn responses(&mut self, first: usize) -> Vec<(Flow, Vec<u8>)> {
        let places = first..self.out.transmits.len();
        let response = |place: usize| {
            let mut ok = Vec::new();
            sip::write_ok(&mut ok, &self.sent(place));
            (self.out.transmits[place].flow, ok)
        };
        let responses = places.map(response).collect();
        self.out.clear();
        responses
    }

    /// Gives responses that were written before to the engine.
    pub(crate) fn take_responses(&mut self, responses: &[(Flow, Vec<u8>)]) {
        for (flow, octets) in responses {
            let input = Input::Message {
                flow: *flow,
                bytes: octets,
            };
            self.shard.handle(input, self.now, &mut self.out);
        }
    }

    /// Writes and gives the 200s to the NOTIFYs in the outbox from `first` on.
    pub(crate) fn acknowledge(&mut self, first: usize) {
        let responses = self.responses(first);
        self.take_responses(&responses);
        self.out.clear();
    }
}

/// One open domain without authentication, written as a configuration file: the file stays valid
/// when the types behind it change.
fn directory() -> Result<lamplighter::directory::Directory, Error> {
    let name = format!("lamplighter-bench-inside-{}.toml", std::process::id());
    let file = std::env::temp_dir().join(name);
    let text = format!(
        "[[domain]]\nname = \"{DOMAIN}\"\nauth = \"none\"\nopen = true\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n\
         [http]\nlisten = []\n"
    );
    std::fs::write(&file, text)?;
    let loaded = config::load(&file);
    std::fs::remove_file(&file)?;
    Ok(loaded
        .map_err(|complaints| complaints.to_string())?
        .plan
        .directory)
}
