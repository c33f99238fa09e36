//! The cost of writing a message, compared with copying the same octets.
//!
//! The 200 to a SUBSCRIBE (Via, From, To, Call-ID and CSeq taken over, three headers of ours) and
//! the head of a NOTIFY out of a dialog. Prints their ratio to a `memcpy` of what they wrote, A B B
//! A; then criterion measures each for itself.
//!
//! `cargo bench --bench emit`, a quarter of a minute.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::Criterion;
use lamplighter::sip::dialog::{Contact, Dialog, Origin};
use lamplighter::sip::message::Framing;
use lamplighter::sip::{Message, Status, emit};
use lamplighter_bench::sip::Subscribe;
use lamplighter_bench::{Error, pairs};

const PAIRS: usize = 101;
const ROUNDS: u32 = 2000;
const TAG: &[u8] = b"000000000000f28a70a922cdd6e3";

fn write_ok(out: &mut Vec<u8>, request: &Message<'_>, source: SocketAddr) {
    let head = emit::ResponseHead {
        status: Status::OK,
        reason: None,
        to_tag: TAG,
        source,
    };
    emit::response_head(out, request, &head);
    emit::header(out, "Contact", b"<sip:192.0.2.1:5060>");
    emit::header_number(out, "Expires", 3600);
    emit::header(out, "Server", b"Lamplighter");
    emit::body(out, "", b"");
}

fn write_notify(out: &mut Vec<u8>, dialog: &mut Dialog) {
    let origin = Origin {
        via: b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK",
        branch: b"0000000000ed6c384e90e2a71bd5",
        contact: b"<sip:192.0.2.1:5060>",
    };
    dialog.write_notify(out, &origin);
    emit::header(out, "Event", b"dialog");
    emit::header(out, "Subscription-State", b"active;expires=3594");
    emit::header(out, "User-Agent", b"Lamplighter");
    emit::header(out, "Content-Type", b"application/dialog-info+xml");
    emit::header_number(out, "Content-Length", 470);
    out.extend_from_slice(b"\r\n");
}

fn main() -> Result<(), Error> {
    let source = SocketAddr::from(([10, 0, 0, 9], 5060));
    let mut octets = Vec::new();
    let subscribe = Subscribe {
        watcher: 7,
        presentity: 7,
        phone: 7,
        local: source,
        transport: "UDP",
        to_tag: "",
        target: "",
        cseq: 1,
        expires: 3600,
    };
    subscribe.write(&mut octets);
    let request = Message::parse(&octets, Framing::Datagram)
        .map_err(|fault| format!("our own SUBSCRIBE: {fault:?}"))?;
    let mut dialog = Contact::of(&request)
        .and_then(|contact| Dialog::accept(&request, &contact, TAG, 4711))
        .map_err(|fault| format!("{fault:?}"))?;

    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut out = Vec::with_capacity(4096);
    compare("200 to SUBSCRIBE", &mut out, |out| {
        write_ok(out, &request, source)
    })?;
    compare("head of NOTIFY", &mut out, |out| {
        write_notify(out, &mut dialog)
    })?;
    criterion.bench_function("emit/200", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_ok(black_box(&mut out), &request, source);
        });
    });
    criterion.bench_function("emit/NOTIFY", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_notify(black_box(&mut out), &mut dialog);
        });
    });
    criterion.final_summary();
    Ok(())
}

fn compare(
    name: &str,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut Vec<u8>),
) -> Result<(), Error> {
    out.clear();
    write(out);
    let copy = out.clone();
    let ratio = pairs::abba(PAIRS, |side| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            out.clear();
            match side {
                pairs::Side::A => write(black_box(out)),
                pairs::Side::B => black_box(&mut *out).extend_from_slice(black_box(&copy)),
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS))
    })?;
    println!(
        "{name}, {} octets: {:.0} ns, copied {:.0} ns, ratio {ratio}",
        copy.len(),
        ratio.a,
        ratio.b
    );
    Ok(())
}
