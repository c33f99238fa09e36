//! The cost of parsing a message, compared with a header splitter for HTTP (`httparse`) and another
//! SIP library (`rsip`).
//!
//! Prints, from one interleaved run, the ratios that the project holds itself to: a SUBSCRIBE of
//! 587 octets costs at most twice what `httparse` takes for splitting the same header lines,
//! and at most a quarter of what `rsip` takes for the message. Ours reads the request line, checks
//! the message, and decodes what the engine needs of Via, From, To, Call-ID and CSeq; `httparse` is
//! given the header lines alone, because it cannot read a SIP request line, and `rsip` leaves the
//! values undecoded. Then criterion measures each of them for itself.
//!
//! `cargo bench --bench parse`, with or without `--no-default-features`; under a minute.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use lamplighter::sip::Message;
use lamplighter::sip::message::Framing;
use lamplighter_bench::bars;

/// A desk phone asks for the lamp of an extension.
const SUBSCRIBE: &[u8] = b"SUBSCRIBE sip:203@pbx.carrier.example.com:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.168.1.57:5060;branch=z9hG4bK1876023434;rport\r\n\
    From: \"Front Desk\" <sip:201@pbx.carrier.example.com:5060>;tag=2904867109\r\n\
    To: <sip:203@pbx.carrier.example.com:5060>;tag=8f2c61d04be7a953\r\n\
    Call-ID: 0_1438291756@192.168.1.57\r\n\
    CSeq: 2 SUBSCRIBE\r\n\
    Contact: <sip:201@192.168.1.57:5060>\r\n\
    Accept: application/dialog-info+xml\r\n\
    Max-Forwards: 70\r\n\
    User-Agent: Yealink SIP-T46S 66.86.0.15\r\n\
    Expires: 1800\r\n\
    Supported: replaces, eventlist\r\n\
    Event: dialog\r\n\
    Allow-Events: talk,hold,conference,refer,check-sync\r\n\
    Content-Length: 0\r\n\
    \r\n";

/// The phone's response to a NOTIFY.
const OK: &[u8] = b"SIP/2.0 200 OK\r\n\
    Via: SIP/2.0/UDP 198.51.100.7:5060;rport=5060;branch=z9hG4bK00c41f7ea25b19d3c4\r\n\
    From: <sip:203@pbx.carrier.example.com:5060>;tag=8f2c61d04be7a953\r\n\
    To: \"Front Desk\" <sip:201@pbx.carrier.example.com:5060>;tag=2904867109\r\n\
    Call-ID: 0_1438291756@192.168.1.57\r\n\
    CSeq: 4711 NOTIFY\r\n\
    Contact: <sip:201@192.168.1.57:5060>\r\n\
    User-Agent: Yealink SIP-T46S 66.86.0.15\r\n\
    Content-Length: 0\r\n\
    \r\n";

const _: () = assert!(SUBSCRIBE.len() == 587);
const _: () = assert!(OK.len() == 390);

/// Paired ratios of one comparison; odd, so that the median is one of them.
const PAIRS: usize = 501;
/// How long one slice of a pair should take: short, so that a busy machine seldom interrupts one.
const SLICE: Duration = Duration::from_micros(200);
/// The bar (see the head of this file).
const RSIP_RATIO_MAX: f64 = 0.25;

/// Reads a message and everything the engine decodes of each one.
fn ours(bytes: &[u8]) -> usize {
    let parsed = Message::parse(black_box(bytes), Framing::Datagram);
    let Ok(message) = &parsed else { return 0 };
    let octets = |text: Option<&[u8]>| text.map_or(0, <[u8]>::len);
    let branch = octets(message.via().and_then(|via| via.branch));
    let from_tag = octets(message.from().and_then(|from| from.tag()));
    let to_tag = octets(message.to().and_then(|to| to.tag()));
    let sequence = message.cseq().map_or(0, |cseq| cseq.number as usize);
    let sum = branch + from_tag + to_tag + sequence + message.call_id().len();
    black_box(message);
    sum + usize::from(message.fault().is_none())
}

/// Splits header lines.
fn httparse(lines: &[u8]) -> usize {
    let mut headers = [httparse::EMPTY_HEADER; 20];
    match httparse::parse_headers(black_box(lines), &mut headers) {
        Ok(httparse::Status::Complete((end, headers))) => {
            black_box(headers);
            end
        }
        _ => 0,
    }
}

/// Reads a message, values undecoded.
fn rsip(bytes: &[u8]) -> usize {
    match rsip::SipMessage::try_from(black_box(bytes)) {
        Ok(message) => {
            black_box(&message);
            1
        }
        Err(_) => 0,
    }
}

/// The message after its first line.
fn header_lines(message: &[u8]) -> &[u8] {
    let end = message
        .windows(2)
        .position(|window| window == b"\r\n")
        .map_or(0, |at| at + 2);
    &message[end..]
}

/// How long `rounds` calls take.
fn slice(rounds: u32, work: &dyn Fn() -> usize) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(work());
    }
    start.elapsed()
}

/// The median over [`PAIRS`] of the cost of `left` divided by that of `right`. Each pair runs left,
/// right, right, left, so that a drifting clock affects both alike.
fn ratio(left: &dyn Fn() -> usize, right: &dyn Fn() -> usize) -> f64 {
    let rounds = |work: &dyn Fn() -> usize| {
        let probe = slice(2000, work).max(Duration::from_micros(1));
        ((SLICE.as_secs_f64() / probe.as_secs_f64() * 2000.0) as u32).max(1)
    };
    let (left_rounds, right_rounds) = (rounds(left), rounds(right));
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let first = slice(left_rounds, left);
            let second = slice(right_rounds, right) + slice(right_rounds, right);
            let both = first + slice(left_rounds, left);
            let per_left = both.as_secs_f64() / f64::from(left_rounds);
            let per_right = second.as_secs_f64() / f64::from(right_rounds);
            per_left / per_right
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[PAIRS / 2]
}

fn report(name: &str, measured: f64, bar: Option<f64>) {
    let verdict = match bar {
        Some(bar) if measured <= bar => format!("  (at most {bar}: met)"),
        Some(bar) => format!("  (at most {bar}: MISSED)"),
        None => String::new(),
    };
    println!("{name:<32} {measured:6.3}{verdict}");
}

fn main() {
    let messages = [("SUBSCRIBE 587", SUBSCRIBE), ("200 OK 390", OK)];
    for (name, message) in messages {
        assert!(
            ours(message) > 1 && rsip(message) == 1,
            "{name} is not read whole"
        );
        assert_eq!(httparse(header_lines(message)), header_lines(message).len());
    }

    println!("median of {PAIRS} paired ratios");
    for (name, message) in messages {
        let lines = header_lines(message);
        let is_subscribe = message.len() == SUBSCRIBE.len();
        let to_httparse = ratio(&|| ours(message), &|| httparse(lines));
        let to_rsip = ratio(&|| ours(message), &|| rsip(message));
        report(&format!("{name}: ours/httparse"), to_httparse, None);
        if is_subscribe {
            bars::PARSE.report(to_httparse);
        }
        report(
            &format!("{name}: ours/rsip"),
            to_rsip,
            is_subscribe.then_some(RSIP_RATIO_MAX),
        );
    }

    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, message) in messages {
        let lines = header_lines(message);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function("ours", |bencher| bencher.iter(|| ours(message)));
        group.bench_function("httparse", |bencher| bencher.iter(|| httparse(lines)));
        group.bench_function("rsip", |bencher| bencher.iter(|| rsip(message)));
        group.finish();
    }
    criterion.final_summary();
}
