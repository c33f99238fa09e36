//! A configuration with a domain, and its calls as an operator's script reports them.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Folder, PATIENCE, free_address};

/// The files of a server, and where it serves HTTP.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) http: SocketAddr,
}

impl Site {
    /// With these tables besides those of the domain.
    pub(crate) fn new(name: &str, relays: &str) -> Self {
        let http = free_address();
        let folder = Folder::new(name, &configuration(http, relays));
        Self { folder, http }
    }

    /// Makes an authority, `ca.pem`, and a certificate of it for this machine, with its key: `server.pem`.
    pub(crate) fn certify(&self) -> String {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
        self.run(&format!(
            "openssl req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca"
        ));
        self.run(&format!(
            "openssl req -x509 {key} -keyout server.key -out server.crt -subj /CN=localhost -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE"
        ));
        let read = |name: &str| fs::read_to_string(self.folder.0.join(name)).unwrap();
        let file = self.folder.0.join("server.pem");
        fs::write(&file, read("server.crt") + &read("server.key")).unwrap();
        file.display().to_string()
    }

    /// Runs a program in the folder.
    pub(crate) fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(&self.folder.0).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }

    /// Other relays.
    pub(crate) fn configure(&self, relays: &str) {
        self.folder.configure(&configuration(self.http, relays));
    }

    /// Reports a call of a user, with these parameters besides; without `number` its end.
    pub(crate) fn call_state(&self, user: &str, more: &str) {
        let url = format!(
            "http://{}/call_state.htm?domain=abc.com&user={user}&password=x{more}",
            self.http
        );
        let output = Command::new("curl").args(["-sS", "-f", &url]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn lamplighter(&self, line: &str) -> String {
        self.folder.says(line)
    }

    /// Waits until the output of a command is as wanted.
    pub(crate) fn wait_until(&self, line: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.folder.says(line);
            if is_it(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{text}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn configuration(http: SocketAddr, relays: &str) -> String {
    let mut text = format!(
        "[node]\ndata_dir = \"data\"\n[store]\ndirectory = \"state\"\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [http]\nlisten = [\"{http}\"]\n[limits]\nresponse_ring = \"1 MiB\"\n\
         [[domain]]\nname = \"abc.com\"\nreveal_number = true\n"
    );
    for user in ["100", "101", "102"] {
        let account = format!("user = \"{user}\"\ndomain = \"abc.com\"\npassword = \"x\"\n");
        text.push_str(&format!("[[account]]\n{account}"));
    }
    text + relays
}
