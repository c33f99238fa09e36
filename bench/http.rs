//! The cost of a `call_state.htm`, compared with a hello from the same HTTP library.
//!
//! Sixteen persistent connections alternately request `call_state.htm` with user, password and
//! number, so that a lamp goes on and off, and a constant page of a minimal hyper server on one
//! thread. CPU time of both processes' threads, the shard's included.
//!
//! `cargo bench --bench http`, a quarter of a minute.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::sip::DOMAIN;
use lamplighter_bench::{Error, PHONES_CPU, SERVER_CPU, pairs, system};

const CONNECTIONS: usize = 16;
/// Requests on each connection in one slice.
const REQUESTS: usize = 100;
/// Pairs of slices.
const PAIRS: usize = 15;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let (hello, thread) = hello()?;
    let mut clients = Clients::connect(daemon.http)?;
    let mut greeters = Clients::connect(hello)?;
    let path = |number: &str| {
        format!("/call_state.htm?domain={DOMAIN}&user=pbx&password=secret&number={number}")
    };
    let paths = [path("12345678"), path("")];
    let ratio = pairs::abba(PAIRS, |side| match side {
        Side::A => clients.slice(&paths, || daemon.cpu()),
        Side::B => greeters.slice(&paths, || Ok(system::task_cpu(std::process::id(), thread)?)),
    })?;
    println!("call_state.htm, {CONNECTIONS} connections, CPU per request");
    println!("  ours, the engine included      {:7.3} us", ratio.a);
    println!("  hyper hello                    {:7.3} us", ratio.b);
    println!("  ours / hyper hello             {ratio}");
    Ok(())
}

struct Clients {
    streams: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl Clients {
    fn connect(server: SocketAddr) -> Result<Self, Error> {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            streams.push(stream);
        }
        let buffer = vec![0; 4096];
        Ok(Self { streams, buffer })
    }

    /// Microseconds per request.
    fn slice(
        &mut self,
        paths: &[String; 2],
        cpu: impl Fn() -> Result<Duration, Error>,
    ) -> Result<f64, Error> {
        thread::sleep(Duration::from_millis(5));
        let before = cpu()?;
        for request in 0..REQUESTS {
            let path = &paths[request % 2];
            let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
            for stream in &mut self.streams {
                stream.write_all(request.as_bytes())?;
            }
            for stream in &mut self.streams {
                let count = stream.read(&mut self.buffer)?;
                if !self.buffer[..count].starts_with(b"HTTP/1.1 200") {
                    let response = String::from_utf8_lossy(&self.buffer[..count]);
                    return Err(format!("not a 200: {response}").into());
                }
            }
        }
        thread::sleep(Duration::from_millis(5));
        Ok(micros(cpu()? - before) / (REQUESTS * CONNECTIONS) as f64)
    }
}

/// hyper with nothing behind it, on a thread of its own on the server's CPU.
fn hello() -> Result<(SocketAddr, u32), Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("hello".to_owned())
        .spawn(move || {
            system::pin(SERVER_CPU);
            // The channel is closed only if the starter has gone.
            let _ = sender.send(system::thread_id());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let local = tokio::task::LocalSet::new();
                local.run_until(greet(listener)).await
            })
        })?;
    Ok((address, receiver.recv()?))
}

async fn greet(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    async fn respond(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::new(Full::new(Bytes::from_static(b"hello\n"))))
    }
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            let service = service_fn(respond);
            // If a client goes away, only its connection ends.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
