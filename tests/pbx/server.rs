//! A PBX: takes one connection after the other, and answers requests as the test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a PBX behaves.
pub(crate) trait Behaviour: Send + 'static {
    /// What ends a request.
    const END: &'static str;

    /// What it says first.
    fn greeting(&self) -> String;

    /// What it answers.
    fn answer(&mut self, request: &str) -> String;
}

/// A PBX.
pub(crate) struct Server<B> {
    pub(crate) address: SocketAddr,
    pub(crate) behaviour: Arc<Mutex<B>>,
    connection: Arc<Mutex<Option<TcpStream>>>,
    is_away: Arc<AtomicBool>,
}

impl<B: Behaviour> Server<B> {
    pub(crate) fn start(behaviour: B) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            behaviour: Arc::new(Mutex::new(behaviour)),
            connection: Arc::default(),
            is_away: Arc::default(),
        };
        let (behaviour, connection) = (
            Arc::clone(&server.behaviour),
            Arc::clone(&server.connection),
        );
        let is_away = Arc::clone(&server.is_away);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !is_away.load(Ordering::SeqCst) {
                    *connection.lock().unwrap() = Some(stream.try_clone().unwrap());
                    serve(stream, &behaviour);
                }
            }
        });
        server
    }

    /// Says something of its own accord.
    pub(crate) fn say(&self, text: &str) {
        let mut connection = self.connection.lock().unwrap();
        let stream = connection.as_mut().unwrap();
        stream.write_all(text.as_bytes()).unwrap();
    }

    /// Drops the connection, and takes no other if it is away.
    pub(crate) fn drop_connection(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
        if let Some(stream) = self.connection.lock().unwrap().take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve<B: Behaviour>(mut stream: TcpStream, behaviour: &Mutex<B>) {
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let greeting = behaviour.lock().unwrap().greeting();
    let _ = stream.write_all(greeting.as_bytes());
    let (mut unread, mut buffer) = (String::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => unread.push_str(&String::from_utf8_lossy(&buffer[..length])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        while let Some((request, rest)) = unread.split_once(B::END) {
            let answer = behaviour.lock().unwrap().answer(request);
            unread = rest.to_owned();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
