//! The server under test as a child process: one shard on a CPU of its own, loopback, no rate
//! limit, no authentication.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::sip::DOMAIN;
use crate::{Error, SERVER_CPU, system};

/// Longest time until a server that was started responds.
const START: Duration = Duration::from_secs(10);

/// A running `lamplighter serve`; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    binary: PathBuf,
    child: Child,
    directory: PathBuf,
    /// Where it speaks SIP, on UDP and TCP.
    pub sip: SocketAddr,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
}

impl Daemon {
    /// Starts the program at `binary` with one shard.
    pub fn start(binary: impl AsRef<Path>) -> Result<Self, Error> {
        Self::start_with(binary, 1, "")
    }

    /// Starts it with that many shards, on the first CPUs, and further lines of configuration.
    pub fn start_with(
        binary: impl AsRef<Path>,
        shards: usize,
        further: &str,
    ) -> Result<Self, Error> {
        let cpus = system::cpus();
        let seats: Vec<usize> = (0..shards)
            .map(|shard| (SERVER_CPU + shard) % cpus)
            .collect();
        Self::start_at(binary, &seats, further)
    }

    /// Starts it with one shard on each of these CPUs.
    pub fn start_at(
        binary: impl AsRef<Path>,
        seats: &[usize],
        further: &str,
    ) -> Result<Self, Error> {
        let sip = free_port()?;
        let http = free_port()?;
        let name = format!("lamplighter-bench-{}-{}", std::process::id(), sip.port());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let file = directory.join("lamplighter.toml");
        let text = format!(
            "[node]\ndata_dir = {data:?}\n\
             [cores]\nshards = {seats:?}\nhttp = {http_cpu}\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"{sip}\"\n\
             [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{sip}\"\n\
             [http]\nlisten = [\"{http}\"]\n\
             [notify]\nrate = 0\n\
             [[domain]]\nname = \"{DOMAIN}\"\nauth = \"none\"\nopen = true\n\
             [[account]]\nuser = \"pbx\"\ndomain = \"{DOMAIN}\"\npassword = \"secret\"\n\
             {further}\n",
            data = directory.join("data"),
            http_cpu = system::cpus() - 1,
        );
        fs::write(&file, text)?;
        let binary = binary.as_ref().to_path_buf();
        let child = serve(&binary, &directory)?;
        let mut daemon = Self {
            binary,
            child,
            directory,
            sip,
            http,
        };
        daemon.wait_until_ready(START)?;
        Ok(daemon)
    }

    /// Kills it with SIGKILL; returns when it is gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it until [`Self::go_on`]: what is sent to it waits in its sockets.
    pub fn stop(&self) -> Result<(), Error> {
        Ok(system::stop(self.process())?)
    }

    /// Lets it go on.
    pub fn go_on(&self) -> Result<(), Error> {
        Ok(system::go_on(self.process())?)
    }

    /// Starts it again after [`Self::kill`], with the same configuration. Does not wait.
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.child = serve(&self.binary, &self.directory)?;
        Ok(())
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(format!("the server exited immediately ({status}): {log}").into());
            }
            if self
                .get("/readyz")
                .is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the server is not ready in time".into())
    }

    /// A whole HTTP response.
    pub fn get(&self, path: &str) -> Result<String, Error> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        )?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of the threads of its shards; exact while they have nothing to do.
    pub fn shard_cpu(&self) -> Result<Duration, Error> {
        match self.threads_cpu(&["shard-"])? {
            Duration::ZERO => Err("no thread of a shard".into()),
            cpu => Ok(cpu),
        }
    }

    /// CPU time of its threads whose names begin with one of these; exact while they have nothing to
    /// do.
    pub fn threads_cpu(&self, names: &[&str]) -> Result<Duration, Error> {
        let threads = system::threads(self.process())?;
        let is_meant = |name: &str| names.iter().any(|start| name.starts_with(start));
        let meant = threads.iter().filter(|(_, name)| is_meant(name));
        meant
            .map(|(thread, _)| Ok(system::task_cpu(self.process(), *thread)?))
            .sum()
    }

    /// CPU time of all its threads, the kernel's helpers for its rings included; exact while they
    /// have nothing to do.
    pub fn cpu(&self) -> Result<Duration, Error> {
        Ok(system::process_cpu(self.process())?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // If it has ended already, all is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn serve(binary: &Path, directory: &Path) -> Result<Child, Error> {
    let log = fs::File::create(directory.join("log"))?;
    let mut command = Command::new(binary);
    command
        .args(["serve", "--config"])
        .arg(directory.join("lamplighter.toml"))
        .env("LAMPLIGHTER_LOG", "warn")
        .env("RUNTIME_DIRECTORY", directory)
        .stdout(Stdio::null())
        .stderr(log);
    Ok(system::spawn(&mut command)?)
}

/// A loopback port that is free for UDP and TCP now.
pub fn free_port() -> Result<SocketAddr, Error> {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = udp.local_addr()?;
        if std::net::TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free".into())
}
