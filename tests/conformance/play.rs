//! Plays a dialogue against the engine and compares the messages, or writes them down.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::compare::{difference, expected_lines, indented, lines};
use crate::dialogue::{Action, Block, Dialogue, Ending, Peer, Step};
use crate::digest::Challenges;
use crate::golden::Golden;
use crate::placeholder::Bindings;
use crate::shorthand::Conversation;
use crate::shorthand::shorten::{lengthened, replaced, shortened};
use crate::world::World;

/// Plays one case.
pub(crate) fn case(path: &Path, golden: Golden) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let dialogue = Dialogue::parse(&text)?;
    let mut stage = Stage {
        world: World::new(&dialogue.scene)?,
        conversation: Conversation::new(&dialogue)?,
        bindings: Bindings::default(),
        challenges: Challenges::default(),
        first_cseqs: BTreeMap::new(),
        golden,
        rewritten: Vec::new(),
    };
    let mut outcome = Ok(());
    for step in &dialogue.steps {
        let played = catch_unwind(AssertUnwindSafe(|| stage.play(step)));
        let played = played.unwrap_or_else(|_| Err("the engine panicked".to_owned()));
        if let Err(failure) = played {
            outcome = Err(format!("line {}: {failure}", step.line));
            break;
        }
    }
    let outcome = outcome.and_then(|()| stage.nothing_is_waiting());
    let outcome = outcome.and_then(|()| stage.world.nothing_is_dialed());
    let outcome = outcome.and_then(|()| match stage.world.alarms.front() {
        Some(alarm) => Err(format!("the log also warned of {alarm}")),
        None => Ok(()),
    });
    outcome?;
    let rewritten = match golden {
        Golden::Compare => return Ok(()),
        Golden::Complete | Golden::Replace => replaced(&text, &stage.rewritten),
        Golden::Shorten => shortened(&text)?,
        Golden::Lengthen => lengthened(&text)?,
    };
    fs::write(path, rewritten).map_err(|error| error.to_string())
}

/// A case being played.
pub(crate) struct Stage {
    world: World,
    /// The messages so far, on which sentences depend.
    pub(crate) conversation: Conversation,
    /// The values of names.
    pub(crate) bindings: Bindings,
    challenges: Challenges,
    /// The first CSeq of a dialog in which we NOTIFY, by Call-ID and To-tag, and its name.
    pub(crate) first_cseqs: BTreeMap<String, (String, u64)>,
    /// How to handle blocks that differ.
    pub(crate) golden: Golden,
    /// New lines for steps of the file.
    pub(crate) rewritten: Vec<(Range<usize>, Vec<String>)>,
}

impl Stage {
    fn play(&mut self, step: &Step) -> Result<(), String> {
        let expanded = self.conversation.expand(&step.action)?;
        let action = expanded.as_ref().unwrap_or(&step.action);
        let written = match action {
            Action::Expect {
                peer,
                partly,
                message,
            } => self.expect(*peer, *partly, message, step)?,
            _ => {
                self.act(action)?;
                None
            }
        };
        self.conversation.note(written.as_ref().unwrap_or(action));
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        self.nothing_is_waiting()?;
        // A peer may send while a stream is being opened.
        let is_between = matches!(
            action,
            Action::Dial { .. } | Action::Lookup(..) | Action::Receive { .. }
        );
        if !is_between {
            self.world.nothing_is_dialed()?;
        }
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
            Action::Set { aor, update } => self.world.set_state(aor, update.clone()),
            Action::Probe(order) => self.world.begin_probe(order),
            Action::ProbeReports(expected) => self.world.expect_report(expected.as_deref()),
            Action::ConnectorIs(name, status) => self.world.expect_connector(name, status),
            Action::ConnectorUserIs { name, user, status } => {
                self.world.expect_user(name, user, status)
            }
            Action::OrderConnector(name, order) => self.world.order_connector(name, *order),
            Action::Reload(text) => self.world.reload(text),
            Action::NextConfig(text) => self.world.configure_next(text),
            Action::Certified(address, names) => {
                self.world.certify(*address, names);
                Ok(())
            }
            Action::Closed(address) => self.world.close(*address),
            Action::Dial {
                address,
                connects,
                after,
            } => self.world.dial(*address, *connects, *after),
            Action::Lookup(name, found) => self.world.look_up(name, found),
            Action::Drain => self.world.drain().map(|_| ()),
            Action::Restart { shards, pause } => {
                self.world.restart(*shards, *pause);
                Ok(())
            }
            Action::StandStill(is_still) => {
                self.world.stand_still(*is_still);
                Ok(())
            }
            Action::CommitUnheard => {
                self.world.commit_unheard();
                Ok(())
            }
            Action::Congested(is_congested) => {
                self.world.congested(*is_congested);
                Ok(())
            }
            Action::Alarm(alarm) => match self.world.alarms.pop_front() {
                Some(raised) if raised == *alarm => Ok(()),
                raised => Err(format!("the alarm was {raised:?}")),
            },
            Action::Nothing | Action::Expect { .. } | Action::Short(_) => Ok(()),
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

    /// The server must have sent this message. Returns the long form of the step if it was
    /// rewritten.
    fn expect(
        &mut self,
        peer: Peer,
        partly: bool,
        message: &Block,
        step: &Step,
    ) -> Result<Option<Action>, String> {
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
            self.insist(&lines(&sent.bytes), &message.lines)?;
            self.name_the_random(&sent.bytes);
            return Ok(None);
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
            self.name_the_numbers(&sent.bytes);
            Ok(None)
        } else if self.golden.writes() {
            self.write_down(&sent, step, message).map(Some)
        } else {
            Err(format!(
                "the server said something else to {peer}\n{}",
                difference(&expected, &actual, &self.bindings)
            ))
        }
    }
}

/// A body with `Content-Encoding: deflate` (RFC 9110 §8.4.1.2).
pub(crate) fn deflated(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map_err(|error| error.to_string())
}

/// Replaces a deflated body by the inflated one.
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
