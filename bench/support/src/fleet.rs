//! Phones on real ports, and the PBX beside them: they subscribe, publish, acknowledge every
//! NOTIFY, and count what they see. One thread, one epoll, no clock of its own.
//!
//! A NOTIFY is acknowledged to its source address, so the same phones serve the server under test
//! and the [`Blaster`](crate::blaster::Blaster). A watcher is found by its Call-ID, `s<number>@`.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use crate::sip::Subscribe;
use crate::system::{Incoming, Outgoing, Poll};
use crate::{Error, sip, system};

/// Unanswered requests at any time, while a fleet subscribes or refreshes.
const WINDOW: u64 = 256;
/// If nothing arrives for this long, a message was lost and the measurement is void.
const PATIENCE: Duration = Duration::from_secs(5);
/// Room in a socket for a whole fan-out to one port.
const BUFFER_OCTETS: usize = 8 * 1024 * 1024;
/// An unanswered PUBLISH is retransmitted after this (Timer E of RFC 3261).
const RETRANSMIT: Duration = Duration::from_millis(500);
/// Expires of a SUBSCRIBE.
const EXPIRES: u32 = 3600;

/// The size of a fleet.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Ports the phones share.
    pub ports: usize,
    /// Subscriptions in all.
    pub watchers: u32,
    /// Presentities, which the subscriptions watch in turn.
    pub presentities: u32,
    /// Subscriptions with the same Contact.
    pub keys_per_phone: u32,
}

impl Size {
    /// `presentities` with `watchers` each, one key per phone, on [`crate::PORTS`] ports.
    #[must_use]
    pub const fn fan_out(presentities: u32, watchers_each: u32) -> Self {
        Self {
            ports: crate::PORTS,
            watchers: presentities * watchers_each,
            presentities,
            keys_per_phone: 1,
        }
    }
}

/// Octets of a response that is one segment of a batch (`UDP_SEGMENT`).
pub const RESPONSE_OCTETS: usize = 512;

/// Counts of all phones since the fleet began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// NOTIFYs, each acknowledged unless the fleet is mute.
    pub notifies: u64,
    /// Octets of these NOTIFYs.
    pub notify_octets: u64,
    /// NOTIFYs whose CSeq is not above the last one: retransmissions.
    pub repeated: u64,
    /// 2xx to SUBSCRIBE.
    pub subscribed: u64,
    /// 2xx to PUBLISH.
    pub published: u64,
    /// Other final responses.
    pub refused: u64,
}

/// How a presentity's state is changed.
#[derive(Clone, Copy, Debug)]
pub enum Stimulus {
    /// A PUBLISH to the server.
    Publish,
    /// Sends the datagram on which the blaster at an address begins.
    Blast(SocketAddr),
}

/// A change on its way to all watchers of a presentity.
#[derive(Clone, Copy, Debug)]
struct Round {
    intended: Instant,
    missing: u32,
}

#[derive(Debug)]
struct Watcher {
    presentity: u32,
    cseq: u32,
    notified: u32,
    to_tag: Box<str>,
    target: Box<str>,
}

#[derive(Debug)]
struct Presentity {
    watchers: u32,
    number: u32,
    entity_tag: String,
    is_waiting: bool,
    published: Instant,
    round: Option<Round>,
}

/// The phones and the PBX.
#[derive(Debug)]
pub struct Fleet {
    server: SocketAddr,
    size: Size,
    /// The phones' sockets, then the PBX's.
    sockets: Vec<(UdpSocket, SocketAddr)>,
    poll: Poll,
    incoming: Incoming,
    outgoing: Outgoing,
    ready: Vec<u64>,
    text: Vec<u8>,
    responses: Vec<(SocketAddrV4, Range<usize>)>,

    watchers: Vec<Watcher>,
    presentities: Vec<Presentity>,

    /// Counts of all phones.
    pub tally: Tally,
    /// NOTIFYs are counted and not answered.
    pub is_mute: bool,
    /// NOTIFYs as they came, with their destination, while a capture runs.
    pub captured: Option<Vec<(SocketAddrV4, Vec<u8>)>>,
    /// Times from when a change was due until its last watcher had the NOTIFY, in the order in
    /// which the changes were complete.
    pub latencies: Vec<Duration>,
    /// Times from when a change was due until its first watcher had the NOTIFY.
    pub first_latencies: Vec<Duration>,
    /// Changes skipped because the last one had not reached all watchers yet.
    pub overtaken: u64,
    /// Length that responses are padded to; None for no padding.
    response_octets: Option<usize>,
    /// Whether times count between the sockets ([`Fleet::time_between_sockets`]).
    is_timed_at_sockets: bool,
}

impl Fleet {
    /// Phones without a subscription.
    pub fn new(server: SocketAddr, size: Size) -> Result<Self, Error> {
        let poll = Poll::new(1024)?;
        let mut sockets = Vec::with_capacity(size.ports + 1);
        for key in 0..=size.ports {
            let socket = system::socket(BUFFER_OCTETS)?;
            poll.add(&socket, key as u64)?;
            let address = socket.local_addr()?;
            sockets.push((socket, address));
        }
        let presentity = |number| Presentity {
            watchers: (size.watchers + size.presentities - 1 - number) / size.presentities,
            number: 0,
            entity_tag: String::new(),
            is_waiting: false,
            published: Instant::now(),
            round: None,
        };
        Ok(Self {
            server,
            size,
            sockets,
            poll,
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            ready: Vec::with_capacity(1024),
            text: Vec::with_capacity(64 * 1024),
            responses: Vec::with_capacity(system::BATCH),
            watchers: Vec::with_capacity(size.watchers as usize),
            presentities: (0..size.presentities).map(presentity).collect(),
            tally: Tally::default(),
            is_mute: false,
            captured: None,
            latencies: Vec::new(),
            first_latencies: Vec::new(),
            overtaken: 0,
            response_octets: None,
            is_timed_at_sockets: false,
        })
    }

    /// A fleet whose phones have all subscribed and acknowledged their first NOTIFY, and whose
    /// presentities have all published.
    pub fn subscribed(server: SocketAddr, size: Size) -> Result<Self, Error> {
        let mut fleet = Self::new(server, size)?;
        fleet.publish_all()?;
        fleet.subscribe(size.watchers)?;
        Ok(fleet)
    }

    /// From now on, phones send their responses in batches of segments (UDP generic segmentation
    /// offload), each padded to [`RESPONSE_OCTETS`]. They are then never slower than a server that
    /// sends in batches, and wake it as a network card does, for many datagrams at once. After
    /// this call they cannot subscribe.
    pub fn respond_in_segments(&mut self) -> Result<(), Error> {
        for (socket, _) in &self.sockets[..self.size.ports] {
            system::set_segment(socket, RESPONSE_OCTETS)?;
        }
        self.response_octets = Some(RESPONSE_OCTETS);
        Ok(())
    }

    /// From now on, latencies count from the moment a PUBLISH is handed to the kernel until its NOTIFYs
    /// have reached the phones' sockets, as the kernel notes it: the time that the server takes, without
    /// that for which this thread waits for its CPU.
    pub fn time_between_sockets(&mut self) -> Result<(), Error> {
        for (socket, _) in &self.sockets[..self.size.ports] {
            system::stamp_arrivals(socket)?;
        }
        self.is_timed_at_sockets = true;
        Ok(())
    }

    /// From now on uses another server, which has the same subscriptions or needs none.
    pub fn turn_to(&mut self, server: SocketAddr) {
        self.server = server;
    }

    /// Watcher `number` watches presentity `assigned[number]` from now on. All have unsubscribed;
    /// their next refresh subscribes them again.
    pub fn reassign(&mut self, assigned: Vec<u32>) {
        self.presentities
            .iter_mut()
            .for_each(|presentity| presentity.watchers = 0);
        for (watcher, presentity) in self.watchers.iter_mut().zip(assigned) {
            watcher.presentity = presentity;
            self.presentities[presentity as usize].watchers += 1;
        }
    }

    /// The server's tag in a watcher's dialog.
    #[must_use]
    pub fn server_tag(&self, watcher: u32) -> &str {
        &self.watchers[watcher as usize].to_tag
    }

    /// Sends octets to the server from the PBX's port.
    pub fn send(&self, octets: &[u8]) -> Result<(), Error> {
        self.sockets[self.size.ports]
            .0
            .send_to(octets, self.server)?;
        Ok(())
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// `count` more watchers subscribe; returns when all are answered and have had their first
    /// NOTIFY.
    pub fn subscribe(&mut self, count: u32) -> Result<(), Error> {
        let first = self.watchers.len() as u32;
        for watcher in first..first + count {
            self.watchers.push(Watcher {
                presentity: watcher % self.size.presentities,
                cseq: 0,
                notified: 0,
                to_tag: Box::default(),
                target: Box::default(),
            });
        }
        self.send_subscribes(first..first + count, EXPIRES)
    }

    /// Refreshes subscriptions; returns when all are answered and have had their NOTIFY.
    pub fn refresh(&mut self, watchers: impl IntoIterator<Item = u32>) -> Result<(), Error> {
        self.send_subscribes(watchers, EXPIRES)
    }

    /// As [`Self::refresh`], but all requests wait in the server's socket before `begin` is called.
    pub fn refresh_at_once(
        &mut self,
        watchers: Range<u32>,
        begin: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (before, sent) = (self.tally, watchers.len() as u64);
        for watcher in watchers {
            self.send_subscribe(watcher, EXPIRES)?;
        }
        begin()?;
        self.pump(|fleet| fleet.served_since(&before) >= sent)
    }

    /// Ends subscriptions; a later refresh begins each one again.
    pub fn unsubscribe(&mut self, watchers: Range<u32>) -> Result<(), Error> {
        self.send_subscribes(watchers.clone(), 0)?;
        for watcher in watchers {
            let watcher = &mut self.watchers[watcher as usize];
            watcher.to_tag = Box::default();
            watcher.notified = 0;
        }
        Ok(())
    }

    fn send_subscribes(
        &mut self,
        watchers: impl IntoIterator<Item = u32>,
        expires: u32,
    ) -> Result<(), Error> {
        let before = self.tally;
        let mut sent = 0;
        for watcher in watchers {
            self.send_subscribe(watcher, expires)?;
            sent += 1;
            self.pump(|fleet| sent - fleet.served_since(&before) < WINDOW)?;
        }
        self.pump(|fleet| fleet.served_since(&before) >= sent)
    }

    /// SUBSCRIBEs that have their response and NOTIFY, since a count.
    fn served_since(&self, before: &Tally) -> u64 {
        let subscribed = self.tally.subscribed - before.subscribed;
        subscribed.min(self.tally.notifies - before.notifies)
    }

    fn send_subscribe(&mut self, number: u32, expires: u32) -> io::Result<()> {
        let watcher = &mut self.watchers[number as usize];
        watcher.cseq += 1;
        let phone = number / self.size.keys_per_phone;
        let (socket, local) = &self.sockets[phone as usize % self.size.ports];
        let request = Subscribe {
            watcher: number,
            presentity: watcher.presentity,
            phone,
            local: *local,
            transport: "UDP",
            to_tag: &watcher.to_tag,
            target: &watcher.target,
            cseq: watcher.cseq,
            expires,
        };
        self.text.clear();
        request.write(&mut self.text);
        socket.send_to(&self.text, self.server).map(|_| ())
    }

    /// Every presentity publishes once.
    pub fn publish_all(&mut self) -> Result<(), Error> {
        let before = self.tally;
        for presentity in 0..self.size.presentities {
            self.change(Stimulus::Publish, presentity, Instant::now())?;
            let sent = u64::from(presentity) + 1;
            self.pump(|fleet| sent - (fleet.tally.published - before.published) < WINDOW)?;
        }
        let all = u64::from(self.size.presentities);
        self.pump(|fleet| fleet.tally.published - before.published >= all)?;
        self.presentities
            .iter_mut()
            .for_each(|presentity| presentity.round = None);
        Ok(())
    }

    /// Changes a presentity, due since `intended`. False if its last PUBLISH is not answered yet:
    /// then the PUBLISH is only retransmitted, if it is due for that.
    pub fn change(
        &mut self,
        stimulus: Stimulus,
        number: u32,
        intended: Instant,
    ) -> Result<bool, Error> {
        let (pbx, local) = &self.sockets[self.size.ports];
        let presentity = &mut self.presentities[number as usize];
        if presentity.is_waiting {
            self.overtaken += 1;
            self.publish_again(number)?;
            return Ok(false);
        }
        let sent = Instant::now();
        match stimulus {
            Stimulus::Publish => {
                presentity.number += 1;
                presentity.is_waiting = true;
                presentity.published = sent;
                self.text.clear();
                let change = presentity.number;
                sip::write_publish(
                    &mut self.text,
                    number,
                    change,
                    &presentity.entity_tag,
                    *local,
                );
                pbx.send_to(&self.text, self.server)?;
            }
            Stimulus::Blast(blaster) => {
                pbx.send_to(format!("BLAST {number}").as_bytes(), blaster)?;
            }
        }
        let round = Round {
            intended: if self.is_timed_at_sockets {
                sent
            } else {
                intended
            },
            missing: presentity.watchers,
        };
        if presentity.round.replace(round).is_some() {
            self.overtaken += 1;
        }
        Ok(true)
    }

    /// Retransmits a presentity's last PUBLISH if it has been unanswered for long.
    fn publish_again(&mut self, number: u32) -> Result<(), Error> {
        let (pbx, local) = &self.sockets[self.size.ports];
        let presentity = &mut self.presentities[number as usize];
        if presentity.is_waiting && presentity.published.elapsed() >= RETRANSMIT {
            presentity.published = Instant::now();
            self.text.clear();
            let (change, tag) = (presentity.number, &presentity.entity_tag);
            sip::write_publish(&mut self.text, number, change, tag, *local);
            pbx.send_to(&self.text, self.server)?;
        }
        Ok(())
    }

    /// Whether a presentity's last PUBLISH is not answered yet.
    #[must_use]
    pub fn is_waiting(&self, presentity: u32) -> bool {
        self.presentities[presentity as usize].is_waiting
    }

    /// Whether its last change has not reached all watchers yet.
    #[must_use]
    pub fn is_changing(&self, presentity: u32) -> bool {
        let presentity = &self.presentities[presentity as usize];
        presentity.is_waiting || presentity.round.is_some()
    }

    /// Watchers of a presentity.
    #[must_use]
    pub fn fan_out(&self, presentity: u32) -> u32 {
        self.presentities[presentity as usize].watchers
    }

    /// Handles messages until `is_done`; an error if none arrives for a long time.
    pub fn pump(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let mut last = Instant::now();
        while !is_done(self) {
            if self.serve(Duration::from_millis(100))? > 0 {
                last = Instant::now();
                continue;
            }
            (0..self.size.presentities).try_for_each(|number| self.publish_again(number))?;
            if last.elapsed() > PATIENCE {
                return Err(format!("nothing more arrives; seen so far: {:?}", self.tally).into());
            }
        }
        Ok(())
    }

    /// Handles messages for that long.
    pub fn serve_for(&mut self, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.serve(left)?;
        }
        Ok(())
    }

    /// Handles the waiting messages, after waiting at most that long for the first; returns the
    /// number of datagrams.
    pub fn serve(&mut self, timeout: Duration) -> Result<usize, Error> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.poll.wait(timeout, &mut ready);
        let mut served = 0;
        // Where there are many ports, each has little.
        let batch = if self.size.ports > 16 {
            4
        } else {
            system::BATCH
        };
        for key in &ready {
            served += self.serve_socket(*key as usize, batch)?;
        }
        self.ready = ready;
        Ok(served)
    }

    fn serve_socket(&mut self, key: usize, batch: usize) -> Result<usize, Error> {
        let batch = if key == self.size.ports {
            system::BATCH
        } else {
            batch
        };
        let count = self.incoming.receive(&self.sockets[key].0, batch)?;
        if count == 0 {
            return Ok(0);
        }
        let (now, clock) = (Instant::now(), SystemTime::UNIX_EPOCH.elapsed()?);
        self.text.clear();
        let incoming = std::mem::take(&mut self.incoming);
        for (slot, (peer, octets)) in incoming.datagrams().enumerate() {
            let arrival = incoming.arrival(slot).unwrap_or(clock);
            let at = now - clock.saturating_sub(arrival);
            match sip::status(octets) {
                Some(code) => self.take_response(code, octets),
                None => self.take_notify(key, peer, octets, at),
            }
        }
        self.incoming = incoming;
        let socket = &self.sockets[key].0;
        // Responses to one peer are adjacent in `text`.
        let segments_max = self.response_octets.map_or(1, |_| system::BATCH);
        let batches = self
            .responses
            .chunk_by(|one, next| one.0 == next.0)
            .flat_map(|same| same.chunks(segments_max));
        let datagrams = batches.filter_map(|batch| {
            let ((peer, first), (_, last)) = (batch.first()?, batch.last()?);
            Some((*peer, &self.text[first.start..last.end]))
        });
        self.outgoing.send(socket, datagrams)?;
        self.responses.clear();
        Ok(count)
    }

    fn take_notify(&mut self, key: usize, peer: SocketAddr, octets: &[u8], at: Instant) {
        self.tally.notifies += 1;
        self.tally.notify_octets += octets.len() as u64;
        let number = sip::number_after(octets, b"\r\nCall-ID: s");
        let cseq = sip::number_after(octets, b"\r\nCSeq: ").unwrap_or(0);
        if let Some(watcher) = number.and_then(|number| self.watchers.get_mut(number as usize)) {
            // The blaster sends the same CSeq each time.
            if peer == self.server {
                if cseq <= watcher.notified {
                    self.tally.repeated += 1;
                    return self.acknowledge(peer, octets);
                }
                watcher.notified = cseq;
            }
            let presentity = &mut self.presentities[watcher.presentity as usize];
            if let Some(round) = &mut presentity.round {
                let latency = at.saturating_duration_since(round.intended);
                if round.missing == presentity.watchers {
                    self.first_latencies.push(latency);
                }
                round.missing -= 1;
                if round.missing == 0 {
                    self.latencies.push(latency);
                    presentity.round = None;
                }
            }
        }
        if let (Some(captured), SocketAddr::V4(own)) = (&mut self.captured, self.sockets[key].1) {
            captured.push((own, octets.to_vec()));
        }
        self.acknowledge(peer, octets);
    }

    fn acknowledge(&mut self, peer: SocketAddr, octets: &[u8]) {
        if let (false, SocketAddr::V4(peer)) = (self.is_mute, peer) {
            let start = self.text.len();
            sip::write_ok(&mut self.text, octets);
            if let Some(octets) = self.response_octets {
                sip::fill_up(&mut self.text, start, octets);
            }
            self.responses.push((peer, start..self.text.len()));
        }
    }

    fn take_response(&mut self, code: u16, octets: &[u8]) {
        if code < 200 {
            return;
        }
        let watcher = sip::number_after(octets, b"\r\nCall-ID: s");
        let publisher = sip::number_after(octets, b"\r\nCall-ID: p");
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        if let Some(number) = publisher {
            let presentity = &mut self.presentities[number as usize];
            presentity.is_waiting = false;
            // 412: the server has lost the publication. Begin another.
            presentity.entity_tag = sip::header(octets, "SIP-ETag")
                .map(text)
                .unwrap_or_default();
            self.tally.published += u64::from(code < 300);
        } else if let Some(number) = watcher.filter(|_| code < 300) {
            let watcher = &mut self.watchers[number as usize];
            if watcher.to_tag.is_empty() {
                let to = sip::header(octets, "To").unwrap_or_default();
                watcher.to_tag = text(sip::tag(to)).into();
                let contact = sip::header(octets, "Contact").unwrap_or_default();
                let contact = contact.strip_prefix(b"<").unwrap_or(contact);
                let end = contact
                    .iter()
                    .position(|octet| matches!(octet, b'>' | b';'));
                watcher.target = text(&contact[..end.unwrap_or(contact.len())]).into();
            }
            self.tally.subscribed += 1;
        }
        self.tally.refused += u64::from(code >= 300);
    }
}
