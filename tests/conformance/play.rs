//! Plays a dialogue against the engine and compares, or writes down, what came out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::dialogue::Action;
use crate::dialogue::Block;
use crate::dialogue::Dialogue;
use crate::dialogue::Ending;
use crate::dialogue::Peer;
use crate::digest::Challenges;
use crate::placeholder::Bindings;
use crate::placeholder::escape;
use crate::world::Sent;
use crate::world::World;

/// What to do with a `<` block that differs from what came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Golden {
    /// Fail.
    Compare,
    /// Complete it, as long as every line it has stays true (see [`Stage::insist`]).
    Complete,
    /// Replace it by what came.
    Replace,
}

impl Golden {
    /// `UPDATE_GOLDEN=1` completes, `UPDATE_GOLDEN=replace` replaces.
    pub(crate) fn from_environment() -> Self {
        match std::env::var("UPDATE_GOLDEN").as_deref() {
            Ok("replace") => Self::Replace,
            Ok(_) => Self::Complete,
            Err(_) => Self::Compare,
        }
    }
}

/// Plays one case.
pub(crate) fn case(path: &Path, golden: Golden) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let dialogue = Dialogue::parse(&text)?;
    let mut stage = Stage {
        world: World::new(&dialogue.scene)?,
        bindings: Bindings::default(),
        challenges: Challenges::default(),
        first_cseqs: BTreeMap::new(),
        golden,
        rewritten: Vec::new(),
    };
    let mut outcome = Ok(());
    for step in &dialogue.steps {
        let played = catch_unwind(AssertUnwindSafe(|| stage.play(&step.action)));
        let played = played.unwrap_or_else(|_| Err("the engine panicked".to_owned()));
        if let Err(failure) = played {
            outcome = Err(format!("line {}: {failure}", step.line));
            break;
        }
    }
    let outcome = outcome.and_then(|()| stage.nothing_is_waiting());
    let outcome = outcome.and_then(|()| match stage.world.alarms.front() {
        Some(alarm) => Err(format!("the log also warned of {alarm}")),
        None => Ok(()),
    });
    if golden != Golden::Compare && outcome.is_ok() {
        let rewritten = rewrite(&text, &stage.rewritten);
        fs::write(path, rewritten).map_err(|error| error.to_string())?;
    }
    outcome
}

/// A play under way.
struct Stage {
    world: World,
    bindings: Bindings,
    challenges: Challenges,
    /// The first CSeq of a dialog we NOTIFY in, by Call-ID and To-tag, and its name.
    first_cseqs: BTreeMap<String, (String, u64)>,
    golden: Golden,
    /// New lines for blocks of the file.
    rewritten: Vec<(Range<usize>, Vec<String>)>,
}

impl Stage {
    fn play(&mut self, action: &Action) -> Result<(), String> {
        if let Action::Expect {
            peer,
            partly,
            message,
        } = action
        {
            return self.expect(*peer, *partly, message);
        }
        self.nothing_is_waiting()?;
        match action {
            Action::Receive {
                peer,
                shard,
                ending,
                deflate,
                message,
            } => {
                let bytes = self.compose(message, *ending, *deflate)?;
                self.world.receive(*peer, *shard, &bytes);
                Ok(())
            }
            Action::Advance(duration) => {
                self.world.advance(*duration);
                Ok(())
            }
            Action::CallState {
                aor,
                number,
                state,
                expires,
                reveal,
            } => {
                let (number, state) = (number.as_deref(), state.as_deref());
                self.world.call_state(aor, number, state, *expires, *reveal)
            }
            Action::Say { aor, said } => self.world.say(aor, said.clone()),
            Action::Reload(text) => self.world.reload(text),
            Action::Closed(address) => self.world.close(*address),
            Action::Drain => self.world.drain().map(|_| ()),
            Action::Congested(is_congested) => {
                self.world.congested(*is_congested);
                Ok(())
            }
            Action::Alarm(alarm) => match self.world.alarms.pop_front() {
                Some(raised) if raised == *alarm => Ok(()),
                raised => Err(format!("the alarm was {raised:?}")),
            },
            Action::Nothing | Action::Expect { .. } => Ok(()),
        }
    }

    fn nothing_is_waiting(&self) -> Result<(), String> {
        let surplus: String = self
            .world
            .sent
            .iter()
            .map(|sent| format!("< {}\n{}", sent.peer, indented(&sent.bytes)))
            .collect();
        if surplus.is_empty() {
            Ok(())
        } else {
            Err(format!("the server also sent\n{surplus}"))
        }
    }

    /// The octets of a message we send.
    fn compose(&self, message: &Block, ending: Ending, deflate: bool) -> Result<Vec<u8>, String> {
        let split = message
            .lines
            .iter()
            .position(String::is_empty)
            .unwrap_or(message.lines.len());
        let (head, rest) = message.lines.split_at(split);
        let body_lines = rest.get(1..).unwrap_or_default();
        if ending == Ending::Raw {
            return Ok(message
                .lines
                .iter()
                .map(|line| self.bindings.expand(line))
                .collect::<Result<Vec<_>, _>>()?
                .concat());
        }
        let mut body = Vec::new();
        for (index, line) in body_lines.iter().enumerate() {
            let cut = line
                .strip_suffix('\\')
                .filter(|_| index + 1 == body_lines.len());
            body.extend(self.bindings.expand(cut.unwrap_or(line))?);
            body.extend(cut.is_none().then_some(b'\n'));
        }
        if deflate {
            body = deflated(&body)?;
        }
        let line_end = if ending == Ending::Lf { "\n" } else { "\r\n" };
        let head = head
            .join(line_end)
            .replace("{length}", &body.len().to_string());
        let head = self.challenges.fill(&head)?;
        let mut bytes = self.bindings.expand(&head)?;
        bytes.extend(line_end.repeat(2).bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    fn expect(&mut self, peer: Peer, partly: bool, message: &Block) -> Result<(), String> {
        let Some(position) = self.world.sent.iter().position(|sent| sent.peer == peer) else {
            let instead = self
                .nothing_is_waiting()
                .err()
                .unwrap_or_else(|| "and sent nothing".to_owned());
            return Err(format!(
                "the server did not send\n{}\n{instead}",
                message.lines.join("\n")
            ));
        };
        let mut sent = self.world.sent.remove(position).unwrap();
        self.challenges.learn(&sent.bytes);
        inflate_body(&mut sent.bytes)?;
        if partly {
            self.insist(&lines(&sent.bytes), message)?;
            self.name_the_random(&sent.bytes);
            return Ok(());
        }
        if self.golden != Golden::Compare {
            return self.write_down(&sent, message);
        }
        let mut learned = self.bindings.clone();
        let (expected, actual) = (expected_lines(&message.lines), lines(&sent.bytes));
        let same = expected.len() == actual.len()
            && expected
                .iter()
                .zip(&actual)
                .all(|(expected, actual)| learned.matches(expected, actual));
        if same {
            self.bindings = learned;
            Ok(())
        } else {
            Err(format!(
                "the server said something else to {peer}\n{}",
                difference(&expected, &actual, &self.bindings)
            ))
        }
    }

    /// Replaces a block by what was sent, with names for what is random.
    fn write_down(&mut self, sent: &Sent, message: &Block) -> Result<(), String> {
        let actual = lines(&sent.bytes);
        if self.golden == Golden::Complete {
            self.insist(&actual, message)?;
        }
        self.name_the_random(&sent.bytes);
        let mut written = Vec::new();
        let mut in_head = true;
        for (index, line) in actual.iter().enumerate() {
            let is_last = index + 1 == actual.len();
            if in_head {
                let bare = line.strip_suffix(b"\r").ok_or("a head line without CRLF")?;
                in_head = !bare.is_empty();
                written.push(
                    self.named_number(bare, &sent.bytes)
                        .unwrap_or_else(|| self.bindings.generalize(bare)),
                );
            } else if !is_last {
                written.push(self.bindings.generalize(line));
            } else if !line.is_empty() {
                written.push(format!("{}\\", self.bindings.generalize(line)));
            }
        }
        while written.last().is_some_and(String::is_empty) {
            written.pop();
        }
        self.rewritten.push((message.range.clone(), written));
        Ok(())
    }

    /// The lines a human wrote must be among those that came, in any order; `~text` must stand
    /// somewhere in the message, `^text` nowhere.
    fn insist(&mut self, actual: &[&[u8]], message: &Block) -> Result<(), String> {
        let whole = escaped(actual);
        let insisted = expected_lines(&message.lines);
        for expected in insisted
            .iter()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.is_empty())
        {
            let holds = match expected.split_at_checked(1) {
                Some(("~", text)) => whole.contains(text),
                Some(("^", text)) => !whole.contains(text),
                _ => actual.iter().any(|line| {
                    let bare = line.strip_suffix(b"\r").unwrap_or(line);
                    let bindings = &mut self.bindings;
                    bindings.matches(expected, bare) || bindings.matches(expected, line)
                }),
            };
            if !holds {
                return Err(format!(
                    "the server did not say\n- {expected}\nbut\n{whole}"
                ));
            }
        }
        Ok(())
    }

    fn name_the_random(&mut self, message: &[u8]) {
        let text = String::from_utf8_lossy(message).into_owned();
        let is_request = !text.starts_with("SIP/2.0 ");
        let ours = if is_request { "From" } else { "To" };
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let found = match name {
                "Via" if is_request => value.split("branch=").nth(1).map(|rest| ("branch", rest)),
                // That of a NOTIFY is a hash of what it says (RFC 5839), not chosen at random.
                "SIP-ETag" if !is_request => Some(("etag", value)),
                "WWW-Authenticate" => value.split("nonce=\"").nth(1).map(|rest| ("nonce", rest)),
                "Retry-After" => Some(("number", value)),
                _ if name == ours => value.split(";tag=").nth(1).map(|rest| ("tag", rest)),
                _ => None,
            };
            if let Some((kind, rest)) = found {
                let end = rest.find([';', '"', ',', ' ', '>']).unwrap_or(rest.len());
                // A tag the peer chose itself is no secret of ours.
                if !(kind == "tag" && rest[..end].len() < 8) {
                    self.bindings.name_for(kind, &rest[..end]);
                }
            }
        }
    }

    /// `CSeq: {cseq1+2} NOTIFY` or `Retry-After: {number1}`, which are chosen at random; None for
    /// any other line.
    fn named_number(&mut self, line: &[u8], message: &[u8]) -> Option<String> {
        let line = std::str::from_utf8(line).ok()?;
        if let Some(delay) = line.strip_prefix("Retry-After: ") {
            return Some(format!(
                "Retry-After: {{{}}}",
                self.bindings.name_for("number", delay)
            ));
        }
        let text = String::from_utf8_lossy(message);
        let number: u64 = line
            .strip_prefix("CSeq: ")?
            .strip_suffix(" NOTIFY")?
            .parse()
            .ok()?;
        let dialog: String = text
            .lines()
            .filter(|line| line.starts_with("Call-ID: ") || line.starts_with("From: "))
            .collect();
        let bindings = &mut self.bindings;
        let (name, first) = self
            .first_cseqs
            .entry(dialog)
            .or_insert_with(|| (bindings.name_for("cseq", &number.to_string()), number));
        let plus = if number == *first {
            String::new()
        } else {
            format!("+{}", number.checked_sub(*first)?)
        };
        Some(format!("CSeq: {{{name}{plus}}} NOTIFY"))
    }
}

/// A body as `Content-Encoding: deflate` means it (RFC 9110 §8.4.1.2).
fn deflated(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map_err(|error| error.to_string())
}

/// Puts what was deflated in place of a deflated body.
fn inflate_body(message: &mut Vec<u8>) -> Result<(), String> {
    let head = message.windows(4).position(|octets| octets == b"\r\n\r\n");
    let Some(body_start) = head.map(|end| end + 4) else {
        return Ok(());
    };
    let head = String::from_utf8_lossy(&message[..body_start]);
    if head.contains("\r\nContent-Encoding: deflate\r\n") {
        let mut body = Vec::new();
        ZlibDecoder::new(&message[body_start..])
            .read_to_end(&mut body)
            .map_err(|error| format!("the body does not inflate: {error}"))?;
        message.splice(body_start.., body);
    }
    Ok(())
}

/// The lines of a message as sent; the last is what follows the last LF.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|octet| *octet == b'\n').collect()
}

/// The lines of a block as they would be on the wire, comparable with [`lines`].
fn expected_lines(block: &[String]) -> Vec<String> {
    let split = block
        .iter()
        .position(String::is_empty)
        .unwrap_or(block.len());
    let (head, body) = (&block[..split], block.get(split + 1..).unwrap_or_default());
    let mut lines: Vec<String> = head.iter().map(|line| format!("{line}\r")).collect();
    lines.push("\r".to_owned());
    lines.extend(body.iter().cloned());
    match lines.last_mut() {
        Some(last) if !body.is_empty() && last.ends_with('\\') => drop(last.pop()),
        _ => lines.push(String::new()),
    }
    lines
}

/// What differs: common lines with two blanks, expected ones with `-`, actual ones with `+`.
fn difference(expected: &[String], actual: &[&[u8]], bindings: &Bindings) -> String {
    let mut learned = bindings.clone();
    let same = |pair: &(&String, &&[u8]), learned: &mut Bindings| learned.matches(pair.0, pair.1);
    let front = expected
        .iter()
        .zip(actual)
        .take_while(|pair| same(pair, &mut learned))
        .count();
    let behind = expected[front..]
        .iter()
        .rev()
        .zip(actual[front..].iter().rev());
    let back = behind.take_while(|pair| same(pair, &mut learned)).count();
    let mut text = String::new();
    for line in &actual[..front] {
        let _ = writeln!(text, "  {}", shown(line));
    }
    for line in &expected[front..expected.len() - back] {
        let _ = writeln!(text, "- {}", line.trim_end_matches('\r'));
    }
    for line in &actual[front..actual.len() - back] {
        let _ = writeln!(text, "+ {}", shown(line));
    }
    for line in &actual[actual.len() - back..] {
        let _ = writeln!(text, "  {}", shown(line));
    }
    text
}

fn shown(line: &[u8]) -> String {
    escape(line.strip_suffix(b"\r").unwrap_or(line))
}

fn escaped(lines: &[&[u8]]) -> String {
    lines
        .iter()
        .map(|line| format!("+ {}\n", shown(line)))
        .collect()
}

fn indented(bytes: &[u8]) -> String {
    lines(bytes)
        .iter()
        .map(|line| format!("    {}\n", shown(line)))
        .collect()
}

/// The file with some of its line ranges replaced.
fn rewrite(text: &str, blocks: &[(Range<usize>, Vec<String>)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (range, block) in blocks.iter().rev() {
        let indented = block.iter().map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("    {line}")
            }
        });
        lines.splice(range.clone(), indented);
    }
    lines.join("\n") + "\n"
}
