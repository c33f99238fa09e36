//! The compared servers, each restarted for every scenario, pinned to one CPU, killed when
//! dropped: this one without a store or with one, and Kamailio in memory or with PostgreSQL behind it.

use std::any::Any;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::{Error, SERVER_CPU, system};

const KAMAILIO: &str = "127.0.0.1:36060";
const KAMAILIO_DURABLE: &str = "127.0.0.1:36061";
const POSTGRES_PORT: u16 = 36180;
/// Where Debian keeps PostgreSQL's programs, by version, and Kamailio's tables.
const POSTGRES: &str = "/usr/lib/postgresql";
const TABLES: &str = "/usr/share/kamailio/postgres";
/// How long a server may take to start.
const START_TRIES: u32 = 100;
const START_STEP: Duration = Duration::from_millis(100);

/// A running server.
pub(crate) struct Subject {
    /// Where it speaks SIP.
    pub(crate) sip: SocketAddr,
    /// The processes whose children and threads count.
    pub(crate) processes: Vec<u32>,
    _keep: Box<dyn Any>,
}

impl Subject {
    /// This server.
    pub(crate) fn lamplighter() -> Result<Self, Error> {
        let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
        Ok(Self {
            sip: daemon.sip,
            processes: vec![daemon.process()],
            _keep: Box::new(daemon),
        })
    }

    /// This server with a store: what it acknowledges is on the disk.
    pub(crate) fn synced() -> Result<Self, Error> {
        let directory = Removed(scratch("store", "root")?);
        let store = format!("[store]\ndirectory = {:?}", directory.0.join("state"));
        let daemon = Daemon::start_with(env!("CARGO_BIN_EXE_lamplighter"), 1, &store)?;
        Ok(Self {
            sip: daemon.sip,
            processes: vec![daemon.process()],
            _keep: Box::new((daemon, directory)),
        })
    }

    /// Kamailio with everything in memory.
    pub(crate) fn memory() -> Result<Self, Error> {
        let kamailio = Kamailio::start(KAMAILIO, None)?;
        Ok(Self {
            sip: KAMAILIO.parse()?,
            processes: vec![kamailio.child.id()],
            _keep: Box::new(kamailio),
        })
    }

    /// Kamailio that writes through to PostgreSQL, whose work counts as its own.
    pub(crate) fn durable(postgres: &Postgres) -> Result<Self, Error> {
        let kamailio = Kamailio::start(KAMAILIO_DURABLE, Some(&postgres.fresh_database()?))?;
        Ok(Self {
            sip: KAMAILIO_DURABLE.parse()?,
            processes: vec![kamailio.child.id(), postgres.child.id()],
            _keep: Box::new(kamailio),
        })
    }
}

/// A directory that is removed when it is dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // A leftover directory does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Kamailio {
    child: Child,
    directory: PathBuf,
}

impl Kamailio {
    fn start(sip: &str, database: Option<&str>) -> Result<Self, Error> {
        let directory = scratch("kamailio", "nobody")?;
        let configuration = directory.join("kamailio.cfg");
        fs::write(&configuration, include_str!("kamailio.cfg"))?;
        let mut command = unprivileged("nobody");
        command
            .args([
                "taskset",
                "-c",
                &SERVER_CPU.to_string(),
                "kamailio",
                "-DD",
                "-E",
            ])
            .args(["-x", "fm", "-X", "fm"])
            .args(["-m", "2048", "-M", "64", "-l", &format!("udp:{sip}")])
            .arg("-f")
            .arg(&configuration)
            .arg("-Y")
            .arg(&directory)
            .arg("-P")
            .arg(directory.join("pid"));
        if let Some(url) = database {
            command.args(["-A", "DURABLE", "-A", &format!("DB_URL=\"{url}\"")]);
        }
        let child = start(&mut command, &directory)?;
        let mut kamailio = Self { child, directory };
        // It has no HTTP to ask: it is ready once its workers run.
        for _ in 0..START_TRIES {
            thread::sleep(START_STEP);
            if let Some(status) = kamailio.child.try_wait()? {
                let log = fs::read_to_string(kamailio.directory.join("log")).unwrap_or_default();
                return Err(format!("kamailio exited immediately ({status}): {log}").into());
            }
            if system::descendants(kamailio.child.id()).len() > 3 {
                thread::sleep(START_STEP * 3);
                return Ok(kamailio);
            }
        }
        Err("kamailio does not start".into())
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        end(&mut self.child, &self.directory);
    }
}

/// A PostgreSQL of our own, with nothing but defaults: what it acknowledges is on the disk.
pub(crate) struct Postgres {
    child: Child,
    directory: PathBuf,
    programs: PathBuf,
    databases: std::cell::Cell<u32>,
}

impl Postgres {
    /// Starts it on an empty directory.
    pub(crate) fn start() -> Result<Self, Error> {
        let versions = fs::read_dir(POSTGRES)?.filter_map(Result::ok);
        let newest = versions.map(|entry| entry.path()).max();
        let programs = newest.ok_or("no PostgreSQL is installed")?.join("bin");
        let directory = scratch("postgres", "postgres")?;
        let data = directory.join("data");
        let mut init = unprivileged("postgres");
        init.arg(programs.join("initdb"))
            .args(["-A", "trust", "-U", "kamailio", "-D"])
            .arg(&data);
        run(&mut init)?;
        let mut command = unprivileged("postgres");
        command
            .args(["taskset", "-c", &SERVER_CPU.to_string()])
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&directory)
            .args(["-h", "127.0.0.1", "-p", &POSTGRES_PORT.to_string()]);
        let child = start(&mut command, &directory)?;
        let postgres = Self {
            child,
            directory,
            programs,
            databases: std::cell::Cell::new(0),
        };
        for _ in 0..START_TRIES {
            thread::sleep(START_STEP);
            if postgres.sql("postgres", &["-c", "SELECT 1"]).is_ok() {
                return Ok(postgres);
            }
        }
        Err("postgres does not start".into())
    }

    /// A database with Kamailio's empty tables.
    fn fresh_database(&self) -> Result<String, Error> {
        self.databases.set(self.databases.get() + 1);
        let name = format!("kamailio{}", self.databases.get());
        self.sql("postgres", &["-c", &format!("CREATE DATABASE {name}")])?;
        for tables in ["standard-create.sql", "presence-create.sql"] {
            let file = Path::new(TABLES).join(tables);
            self.sql(&name, &["-f", &file.to_string_lossy()])?;
        }
        Ok(format!(
            "postgres://kamailio@127.0.0.1:{POSTGRES_PORT}/{name}"
        ))
    }

    fn sql(&self, database: &str, arguments: &[&str]) -> Result<(), Error> {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args(["-q", "-U", "kamailio", "-h", "127.0.0.1", "-d", database])
            .args(["-p", &POSTGRES_PORT.to_string()])
            .args(arguments);
        run(&mut command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        end(&mut self.child, &self.directory);
    }
}

/// A directory of that user's.
fn scratch(what: &str, user: &str) -> Result<PathBuf, Error> {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("lamplighter-bench-{what}-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    fs::create_dir_all(&directory)?;
    if is_root() {
        run(Command::new("chown").arg(user).arg(&directory))?;
    }
    Ok(directory)
}

/// The beginning of a command that runs as that user, where we may choose.
fn unprivileged(user: &str) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups", "--"]);
        command
    } else {
        Command::new("env")
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn start(command: &mut Command, directory: &Path) -> Result<Child, Error> {
    let log = fs::File::create(directory.join("log"))?;
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(system::spawn(command)?)
}

fn run(command: &mut Command) -> Result<(), Error> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Asks it to end, which takes its children along, and clears away.
fn end(child: &mut Child, directory: &Path) {
    // Ignore errors: it may have exited already.
    let _ = run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let _ = child.wait();
    let _ = fs::remove_dir_all(directory);
}
