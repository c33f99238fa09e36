//! Reads a `dialogue.txt`, whose language is documented in [`crate::dialogue`].

use std::net::SocketAddr;
use std::time::Duration;

use lamplighter::shard::CertificateNames;
use lamplighter::shard::contract::connector::ConnectorOrder;
use lamplighter::sip::Transport;

use crate::dialogue::{Action, Block, Dialogue, Ending, Peer, Rule, Step};
use crate::shorthand::Sentence;
use crate::{probe, state_update};

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
            "Domain" | "Account" | "Phone" | "Options" | "Shards" => {
                self.scene.push((key.to_owned(), value.to_owned()))
            }
            _ => return Err("unknown header".to_owned()),
        }
        Ok(())
    }

    /// Reads the configuration at `at`, and returns its number of lines.
    fn config(&mut self, lines: &[&str], at: usize) -> usize {
        let block = block(lines, at + 1);
        self.scene
            .push(("Config".to_owned(), block.configuration()));
        block.range.end - at
    }

    /// Reads the step at `at`, and returns its number of lines.
    fn step(&mut self, lines: &[&str], at: usize) -> Result<usize, String> {
        let (sign, rest) = lines[at].split_at(1);
        let words: Vec<&str> = rest.split_whitespace().collect();
        let block = block(lines, at + 1);
        if let (">" | "<", false) = (sign, begins_with_an_address(&words)) {
            let end = block.range.end;
            self.sentence(sign, rest.trim(), block, at)?;
            return Ok(end - at);
        }
        if let ("=", ["nothing", "for", time]) = (sign, words.as_slice()) {
            self.push(at, Action::Advance(duration(time)?));
            self.push(at, Action::Nothing);
            return Ok(1);
        }
        let is_next = sign == "!" && words == ["next", "config"];
        let is_reload = is_next || sign == "!" && words == ["config"];
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
            "!" if is_next => Action::NextConfig(block.configuration()),
            "!" if is_reload => Action::Reload(block.configuration()),
            "!" => command(&words)?,
            _ => return Err("not a step".to_owned()),
        };
        self.push(at, action);
        Ok(consumed)
    }

    fn sentence(&mut self, sign: &str, text: &str, block: Block, at: usize) -> Result<(), String> {
        let sentence = Sentence {
            is_received: sign == ">",
            text: text.to_owned(),
            block,
        };
        if !sentence.is_one() {
            return Err("neither an address nor a sentence".to_owned());
        }
        self.push(at, Action::Short(sentence));
        Ok(())
    }

    fn push(&mut self, at: usize, action: Action) {
        self.steps.push(Step {
            line: at + 1,
            action,
        });
    }
}

fn begins_with_an_address(words: &[&str]) -> bool {
    let address = words.first().map(|word| word.parse::<SocketAddr>());
    address.is_some_and(|address| address.is_ok())
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
        ["certified", address, names @ ..] => {
            let (uris, domains): (Vec<&str>, _) = names.iter().partition(|name| name.contains(':'));
            let names = CertificateNames {
                uris: uris.into_iter().map(Box::from).collect(),
                domains: domains.into_iter().map(Box::from).collect(),
            };
            Ok(Action::Certified(
                address.parse().map_err(|_| "not an address")?,
                names,
            ))
        }
        ["closed", address] => Ok(Action::Closed(
            address.parse().map_err(|_| "not an address")?,
        )),
        ["dial", address, outcome @ ("connects" | "fails"), rest @ ..] => {
            let after = match rest {
                [] => Duration::ZERO,
                ["after", time] => duration(time)?,
                _ => return Err("when?".to_owned()),
            };
            Ok(Action::Dial {
                address: address.parse().map_err(|_| "not an address")?,
                connects: *outcome == "connects",
                after,
            })
        }
        ["lookup", host, transport, "finds", found @ ..] => {
            let found = if found == ["nothing"] { &[] } else { found };
            let found = found.iter().map(|address| address.parse());
            let found: Result<_, _> = found.collect();
            let name = format!("{host} {transport}");
            Ok(Action::Lookup(name, found.map_err(|_| "not an address")?))
        }
        ["drain"] => Ok(Action::Drain),
        ["restart", rest @ ..] => restart(rest),
        ["store", "commits", "unheard"] => Ok(Action::CommitUnheard),
        ["store", "stands", "still"] => Ok(Action::StandStill(true)),
        ["store", "goes", "on"] => Ok(Action::StandStill(false)),
        ["congested", "on"] => Ok(Action::Congested(true)),
        ["congested", "off"] => Ok(Action::Congested(false)),
        ["alarm", words @ ..] => Ok(Action::Alarm(words.join(" "))),
        ["connector", name, "is", status @ ..] => {
            Ok(Action::ConnectorIs((*name).to_owned(), status.join(" ")))
        }
        ["connector", name, user, "is", status @ ..] => Ok(Action::ConnectorUserIs {
            name: (*name).to_owned(),
            user: (*user).to_owned(),
            status: status.join(" "),
        }),
        ["connector", order, name] => {
            let order = match *order {
                "start" => ConnectorOrder::Start,
                "stop" => ConnectorOrder::Stop,
                "restart" => ConnectorOrder::Restart,
                _ => return Err("start, stop or restart?".to_owned()),
            };
            Ok(Action::OrderConnector((*name).to_owned(), order))
        }
        ["probe", "tells", "nothing"] => Ok(Action::ProbeReports(None)),
        ["probe", "tells", words @ ..] => Ok(Action::ProbeReports(Some(words.join(" ")))),
        ["probe", words @ ..] => Ok(Action::Probe(Box::new(probe::order(words)?))),
        ["set", aor, rest @ ..] => Ok(Action::Set {
            aor: (*aor).to_owned(),
            update: state_update::parse(rest)?,
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

/// `shards=2` and `after=5s`.
fn restart(words: &[&str]) -> Result<Action, String> {
    let (mut shards, mut pause) = (None, Duration::ZERO);
    for word in words {
        match word.split_once('=') {
            Some(("shards", number)) => {
                shards = Some(number.parse().map_err(|_| "not a number")?);
            }
            Some(("after", time)) => pause = duration(time)?,
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(Action::Restart { shards, pause })
}

/// `10.0.0.7:5060` and `udp`, `tcp`, `tls`, `ws` or `wss`.
pub(crate) fn peer(words: &[&str]) -> Result<Peer, String> {
    let address = words
        .first()
        .and_then(|word| word.parse().ok())
        .ok_or("not an address")?;
    let transport = match words.get(1) {
        Some(&"udp") => Transport::Udp,
        Some(&"tcp") => Transport::Tcp,
        Some(&"tls") => Transport::Tls,
        Some(&"ws") => Transport::Ws,
        Some(&"wss") => Transport::Wss,
        _ => return Err("udp, tcp, tls, ws or wss?".to_owned()),
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

/// The indented lines from `start` on, without blank lines at the end.
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
    /// The lines as a configuration. Earlier lines of the file are left empty, so that a fault
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
    let steps =
        Dialogue::parse("> 9 watches 123\n< 200 OK to 9\n    Expires: 1\n= nothing for 5s\n")
            .unwrap()
            .steps;
    assert!(matches!(&steps[1].action, Action::Short(sentence) if sentence.block.lines.len() == 1));
    assert!(matches!(steps[3].action, Action::Nothing));
    assert!(Dialogue::parse("X: y\n").is_err());
    assert!(Dialogue::parse("> nowhere udp\n").is_err());
}
