//! How a phone handles a NOTIFY: its checks, its response, and the end of a subscription.

use super::{Dialog, Phone};
use crate::documents::{Shown, read};
use crate::network::{MILLISECOND, SECOND, Wake};
use crate::sip_text::{Text, parameter, response};
use crate::world::Bench;
use std::rc::Rc;

impl Phone {
    pub(super) fn handle_notify(&mut self, text: &Text<'_>, bench: &mut Bench) {
        let now = bench.net.now;
        let branch = text.branch().unwrap_or_default();
        if let Some((.., response)) = self.responses.iter().find(|(_, known, _)| known == branch) {
            return self.send(Rc::clone(response), bench);
        }
        let (call_id, tag, remote) = (text.call_id(), text.tag("To"), text.tag("From"));
        let event = text.one("Event").unwrap_or_default();
        let package = event.split(';').next().unwrap_or_default();
        let living = self.keys.iter_mut().filter_map(|key| {
            let known = key.package.token() == package;
            key.dialog.as_mut().filter(|_| known)
        });
        let found = living.chain(self.ended.iter_mut()).find(|dialog| {
            let same = dialog.remote_tag.is_none() || dialog.remote_tag.as_deref() == remote;
            dialog.call_id == call_id && Some(dialog.tag.as_str()) == tag && same
        });
        let Some(dialog) = found else {
            return self.respond(text, 481, "", bench);
        };
        dialog.remote_tag = remote.map(str::to_owned);
        let sequence = text.cseq().map_or(0, |(number, _)| number);
        if dialog.last_notify.is_some_and(|(last, _)| sequence <= last) {
            bench
                .checker
                .fail(now, "the phone received a lower CSeq", text.start);
        }
        if self.busy.is_on(now) {
            let subscription_state = text.one("Subscription-State").unwrap_or_default();
            dialog.missed_end |= subscription_state.starts_with("terminated");
            return self.refuse(text, bench);
        }
        // Sometimes the phone itself misbehaves.
        let mood = if self.calm {
            999
        } else {
            bench.net.rng.below(1000)
        };
        match mood {
            0..5 => {
                let serial = dialog.serial;
                self.respond(text, 481, "", bench);
                self.lose(serial, bench);
            }
            5..8 => self.respond(text, 503, "Retry-After: 2\r\n", bench),
            8..10 => self.respond(text, 503, "Retry-After: 0\r\n", bench),
            _ => {
                let status = if mood < 15 { 500 } else { 200 };
                let serial = dialog.serial;
                match take_notify(dialog, text, sequence) {
                    Ok(()) => {}
                    Err(fault) => bench.checker.fail(now, fault, text.body),
                }
                self.respond(text, status, "", bench);
                let subscription_state = text.one("Subscription-State").unwrap_or_default();
                if subscription_state.starts_with("terminated") {
                    self.handle_terminated(serial, subscription_state, bench);
                }
            }
        }
    }

    pub(super) fn handle_terminated(
        &mut self,
        serial: u64,
        subscription_state: &str,
        bench: &mut Bench,
    ) {
        if parameter(subscription_state, "reason").is_none() {
            bench.checker.fail(
                bench.net.now,
                "terminated without a reason",
                subscription_state,
            );
        }
        self.lose(serial, bench);
    }

    /// The node has ended the subscription.
    pub(super) fn lose(&mut self, serial: u64, bench: &mut Bench) {
        for at in 0..self.keys.len() {
            if self.keys[at]
                .dialog
                .as_ref()
                .is_some_and(|dialog| dialog.serial == serial)
            {
                let fetches = self.keys[at].fetches;
                self.keys[at].dialog = None;
                if !(fetches && self.calm) {
                    let after = if fetches {
                        5 * SECOND
                    } else {
                        300 * MILLISECOND
                    };
                    bench.net.wake(self.id, after, Wake::Subscribe(at));
                }
            }
        }
    }

    pub(super) fn respond(
        &mut self,
        text: &Text<'_>,
        status: u16,
        headers: &str,
        bench: &mut Bench,
    ) {
        let contact = format!("{headers}Contact: <{}>\r\n", self.contact());
        let octets: Rc<[u8]> = response(text, status, "none", &contact).into();
        let branch = text.branch().unwrap_or_default().to_owned();
        let after = bench.net.rng.below(self.slowness);
        bench
            .net
            .wake(self.id, after, Wake::Response(Rc::clone(&octets)));
        let now = bench.net.now;
        self.responses.push_back((now, branch, octets));
        // Timer J: as long as a retransmission may arrive.
        while self
            .responses
            .front()
            .is_some_and(|(at, ..)| at + 40 * SECOND < now)
        {
            self.responses.pop_front();
        }
    }

    pub(super) fn send(&mut self, octets: Rc<[u8]>, bench: &mut Bench) {
        bench.net.send(self.access, octets);
    }
}

/// Applies the contents of a NOTIFY; the error says what a phone could not parse.
fn take_notify(dialog: &mut Dialog, text: &Text<'_>, sequence: u32) -> Result<(), &'static str> {
    let subscription_state = text.one("Subscription-State").unwrap_or_default();
    dialog.is_pending = subscription_state.starts_with("pending");
    if text.body.is_empty() {
        dialog.last_notify = Some((
            sequence,
            dialog.last_notify.and_then(|(_, version)| version),
        ));
        dialog.shown = Some(Shown::Nothing);
        if dialog.is_pending {
            dialog.lines.clear();
        }
        return Ok(());
    }
    let content_type = text.one("Content-Type").unwrap_or_default();
    if content_type.starts_with("multipart/") {
        let version = dialog.take_list(content_type, text.body)?;
        dialog.last_notify = Some((sequence, Some(version)));
        dialog.shown = None;
        return Ok(());
    }
    let notified = read(text.body)?;
    let before = dialog.last_notify.and_then(|(_, version)| version);
    if before.is_some() && notified.version <= before {
        return Err("the phone received a lower version");
    }
    if !notified.entity.starts_with("sip:") {
        return Err("the entity is not a URI");
    }
    dialog.last_notify = Some((sequence, notified.version));
    dialog.take_document(&notified.entity, notified.shown);
    Ok(())
}
