//! The language of a `dialogue.txt`: plain text, read line by line.
//!
//! ```text
//! W: A1.10, A2.5                      the rules it proves; mandatory
//! About: One sentence.                mandatory
//! Config:                             tenants and profiles as in an operator's file; comes first
//!     [[domain]]                      four spaces, then a line of it
//!     name = "abc.com"
//! Domain: abc.com open=true auth=none a tenant in short; more keys in `world::domain`
//! Account: 123@abc.com secret         with its password
//! Options: subscriptions_max=2        limits that differ from the suite's defaults
//! Shards: 2                           default 1; a peer lands on shard 0 unless the step says otherwise
//!
//! # a comment
//! > 10.0.0.7:5060 udp                 the peer sends (to 10.0.0.1:5060, [2001:db8::1]:5060 or [fe80::1%4]:5060); `shard=1`, `lf`, `raw` or `deflate` may follow
//!     OPTIONS sip:abc.com SIP/2.0     four spaces, then a line of the message
//! < 10.0.0.7:5060 udp                 the server must send exactly this
//!     SIP/2.0 200 OK
//! < 10.0.0.7:5060 tcp partly          the server must send something of which this is true; for what is too long to be read
//!     SIP/2.0 200 OK                  a line of it, wherever
//!     ~<name>Alice</name>             text that must, or with ^ must not, stand in it
//! = nothing                           and nothing else is waiting
//! + 500ms                             time passes (ms, s, m, h)
//! ! call_state 123@abc.com number=12 expires=2s     the HTTP hook; no number clears; `reveal` tells the number
//!                                                  state=ringing|busy|dnd|idle says more
//! ! say 123@abc.com dnd on            the operator says something, see [`crate::said`]
//! ! closed 10.0.0.7:5060              the peer's stream ends
//! ! config                            the operator reloads a file that now says this and no more
//!     [[domain]]                      four spaces, then a line of it
//!     name = "abc.com"
//! ! congested on                      the driver cannot hand on what it gets, or (off) can again
//! ! alarm sip:1@abc.com SUBSCRIBE 503 the log warns of a phone that loops: who, what, how answered
//! ! drain                             the operator asks the server to finish
//! ```
//!
//! Head lines end with CRLF, body lines with LF (a final `\` on the last one: with nothing).
//! `{xHH}` is an octet; `{length}` is that of the body. A deflated body of the server is written as it
//! was before, under the Content-Length it has; `deflate` does so to one of the peer. `{tag1}` and the like stand for what the server chose, see
//! [`crate::placeholder`].

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use lamplighter::presence::source::StateUpdate;
use lamplighter::sip::Transport;

use crate::said;

/// One case.
pub(crate) struct Dialogue {
    /// The rules it proves.
    pub(crate) rules: Vec<Rule>,
    /// One sentence.
    pub(crate) about: String,
    /// The header lines that set the scene: `Config`, `Domain`, `Account`, `Options`, `Shards`, as
    /// key and value.
    pub(crate) scene: Vec<(String, String)>,
    /// What happens.
    pub(crate) steps: Vec<Step>,
}

/// `A1.10`, ordered as a reader would.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    section: char,
    numbers: Vec<u32>,
}

/// One step, and the line it stands on (counted from 1).
pub(crate) struct Step {
    /// Where.
    pub(crate) line: usize,
    /// What.
    pub(crate) action: Action,
}

/// What happens in a step.
pub(crate) enum Action {
    /// The peer sends.
    Receive {
        /// From where.
        peer: Peer,
        /// On which shard it lands.
        shard: usize,
        /// How lines become octets.
        ending: Ending,
        /// The body is deflated.
        deflate: bool,
        /// The message, unexpanded.
        message: Block,
    },
    /// The server must have sent.
    Expect {
        /// To where.
        peer: Peer,
        /// The message has more lines than these.
        partly: bool,
        /// The message, unexpanded.
        message: Block,
    },
    /// The server must have sent nothing.
    Nothing,
    /// Time passes.
    Advance(Duration),
    /// The HTTP hook.
    CallState {
        /// Whose state.
        aor: String,
        /// The other party; None clears.
        number: Option<String>,
        /// `state=`
        state: Option<String>,
        /// How long.
        expires: Duration,
        /// Whether the domain tells the number.
        reveal: bool,
    },
    /// The operator says something about somebody.
    Say {
        /// About whom.
        aor: String,
        /// What.
        said: StateUpdate,
    },
    /// The operator reloads the configuration, which is this text now.
    Reload(String),
    /// A stream ends.
    Closed(SocketAddr),
    /// The operator drains the server.
    Drain,
    /// The driver is congested, or no more.
    Congested(bool),
    /// The log must have warned of a loop.
    Alarm(String),
}

/// A peer's address and transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// How it speaks.
    pub(crate) transport: Transport,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} {}",
            self.address,
            self.transport.uri_parameter()
        )
    }
}

/// How the lines of a message become octets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// CRLF in the head, LF in the body.
    CrLf,
    /// LF everywhere.
    Lf,
    /// The lines one after the other, with nothing between them.
    Raw,
}

/// The lines of a message, without their indentation.
pub(crate) struct Block {
    /// The lines.
    pub(crate) lines: Vec<String>,
    /// Which lines of the file they are (from 0), for rewriting.
    pub(crate) range: Range<usize>,
}

impl Dialogue {
    /// Reads a case; the error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut dialogue = Self {
            rules: Vec::new(),
            about: String::new(),
            scene: Vec::new(),
            steps: Vec::new(),
        };
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at].trim_end();
            let consumed = if line.is_empty() || line.starts_with('#') {
                Ok(1)
            } else if line.starts_with(['>', '<', '=', '+', '!']) {
                dialogue.step(&lines, at)
            } else if line == "Config:" {
                Ok(dialogue.config(&lines, at))
            } else {
                dialogue.header(line).map(|()| 1)
            };
            at += consumed.map_err(|fault| format!("line {}: {fault}: {line}", at + 1))?;
        }
        Ok(dialogue)
    }

    /// Whether any step checks anything.
    pub(crate) fn expects_something(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.action, Action::Expect { .. } | Action::Nothing))
    }

    fn header(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or("neither a header nor a step")?;
        let value = value.trim();
        match key {
            "W" => {
                for rule in value.split(',') {
                    self.rules
                        .push(Rule::parse(rule.trim()).ok_or("not a rule")?);
                }
            }
            "About" => value.clone_into(&mut self.about),
            "Domain" | "Account" | "Options" | "Shards" => {
                self.scene.push((key.to_owned(), value.to_owned()))
            }
            _ => return Err("unknown header".to_owned()),
        }
        Ok(())
    }

    /// Reads the configuration at `at` and says how many lines it takes.
    fn config(&mut self, lines: &[&str], at: usize) -> usize {
        let block = block(lines, at + 1);
        self.scene
            .push(("Config".to_owned(), block.configuration()));
        block.range.end - at
    }

    /// Reads the step at `at` and says how many lines it takes.
    fn step(&mut self, lines: &[&str], at: usize) -> Result<usize, String> {
        let (sign, rest) = lines[at].split_at(1);
        let words: Vec<&str> = rest.split_whitespace().collect();
        let block = block(lines, at + 1);
        let is_reload = sign == "!" && words == ["config"];
        let consumed = if is_reload || matches!(sign, ">" | "<") {
            block.range.end - at
        } else {
            1
        };
        let action = match sign {
            ">" => receive(&words, block)?,
            "<" => Action::Expect {
                peer: peer(&words)?,
                partly: words.get(2) == Some(&"partly"),
                message: block,
            },
            "=" if words == ["nothing"] => Action::Nothing,
            "+" => Action::Advance(duration(words.first().ok_or("how long?")?)?),
            "!" if is_reload => Action::Reload(block.configuration()),
            "!" => command(&words)?,
            _ => return Err("not a step".to_owned()),
        };
        self.steps.push(Step {
            line: at + 1,
            action,
        });
        Ok(consumed)
    }
}

fn receive(words: &[&str], message: Block) -> Result<Action, String> {
    let (mut shard, mut ending, mut deflate) = (0, Ending::CrLf, false);
    for word in words.iter().skip(2) {
        match word.split_once('=') {
            Some(("shard", number)) => shard = number.parse().map_err(|_| "not a shard")?,
            None if *word == "lf" => ending = Ending::Lf,
            None if *word == "raw" => ending = Ending::Raw,
            None if *word == "deflate" => deflate = true,
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(Action::Receive {
        peer: peer(words)?,
        shard,
        ending,
        deflate,
        message,
    })
}

fn command(words: &[&str]) -> Result<Action, String> {
    match words {
        ["closed", address] => Ok(Action::Closed(
            address.parse().map_err(|_| "not an address")?,
        )),
        ["drain"] => Ok(Action::Drain),
        ["congested", "on"] => Ok(Action::Congested(true)),
        ["congested", "off"] => Ok(Action::Congested(false)),
        ["alarm", words @ ..] => Ok(Action::Alarm(words.join(" "))),
        ["say", aor, rest @ ..] => Ok(Action::Say {
            aor: (*aor).to_owned(),
            said: said::parse(rest)?,
        }),
        ["call_state", aor, rest @ ..] => {
            let (mut number, mut state) = (None, None);
            let (mut expires, mut reveal) = (Duration::from_secs(7200), false);
            for word in rest {
                match word.split_once('=') {
                    Some(("number", value)) => number = Some(value.to_owned()),
                    Some(("state", value)) => state = Some(value.to_owned()),
                    Some(("expires", value)) => expires = duration(value)?,
                    None if *word == "reveal" => reveal = true,
                    _ => return Err(format!("unknown word {word}")),
                }
            }
            Ok(Action::CallState {
                aor: (*aor).to_owned(),
                number,
                state,
                expires,
                reveal,
            })
        }
        _ => Err("unknown command".to_owned()),
    }
}

fn peer(words: &[&str]) -> Result<Peer, String> {
    let address = words
        .first()
        .and_then(|word| word.parse().ok())
        .ok_or("not an address")?;
    let transport = match words.get(1) {
        Some(&"udp") => Transport::Udp,
        Some(&"tcp") => Transport::Tcp,
        _ => return Err("udp or tcp?".to_owned()),
    };
    Ok(Peer { address, transport })
}

/// `500ms`, `2s`, `3m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| "not a duration")?;
    match &text[digits..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        "h" => Ok(Duration::from_secs(3600 * number)),
        _ => Err("not a duration".to_owned()),
    }
}

/// The indented lines from `start` on; blank lines at the end belong to nobody.
fn block(lines: &[&str], start: usize) -> Block {
    let mut end = start;
    for (index, line) in lines.iter().enumerate().skip(start) {
        if line.starts_with("    ") && !line.trim().is_empty() {
            end = index + 1;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    let lines = lines[start..end]
        .iter()
        .map(|line| line.strip_prefix("    ").unwrap_or_default().to_owned());
    Block {
        lines: lines.collect(),
        range: start..end,
    }
}

impl Block {
    /// The lines as a configuration. Those above it in the file are left empty, so that a complaint
    /// names the line of the case.
    fn configuration(&self) -> String {
        "\n".repeat(self.range.start) + &self.lines.join("\n")
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let section = text.chars().next().filter(char::is_ascii_uppercase)?;
        let numbers = text[1..]
            .split('.')
            .map(|number| number.parse().ok())
            .collect::<Option<Vec<u32>>>()?;
        Some(Self { section, numbers })
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(ToString::to_string).collect();
        write!(formatter, "{}{}", self.section, numbers.join("."))
    }
}

#[test]
fn a_dialogue_reads_back() {
    let text = "W: A1.10, G2\nAbout: A.\nDomain: a.com\n\n> 10.0.0.7:5060 udp lf\n    A\n\n    b\n\n# x\n+ 2s\n= nothing\n";
    let dialogue = Dialogue::parse(text).unwrap();
    assert_eq!(
        dialogue
            .rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["A1.10", "G2"]
    );
    assert_eq!(dialogue.scene, [("Domain".to_owned(), "a.com".to_owned())]);
    assert_eq!(dialogue.steps.len(), 3);
    let Action::Receive {
        message,
        ending: Ending::Lf,
        ..
    } = &dialogue.steps[0].action
    else {
        panic!("not a message")
    };
    assert_eq!(message.lines, ["A", "", "b"]);
    let text = "W: A1\nConfig:\n    [[domain]]\n    name = \"a\"\n\nShards: 2\n";
    let scene = Dialogue::parse(text).unwrap().scene;
    let config = "\n\n[[domain]]\nname = \"a\"".to_owned();
    assert_eq!(scene[0], ("Config".to_owned(), config));
    assert_eq!(scene[1], ("Shards".to_owned(), "2".to_owned()));
    let steps = Dialogue::parse("! config\n    [node]\n\n= nothing\n")
        .unwrap()
        .steps;
    assert!(matches!(&steps[0].action, Action::Reload(text) if text == "\n[node]"));
    assert!(matches!(steps[1].action, Action::Nothing));
    assert!(Dialogue::parse("X: y\n").is_err());
    assert!(Dialogue::parse("> nowhere udp\n").is_err());
}
