//! A sentence: parsed, expanded, and added to the conversation.

use crate::dialogue::{Action, Block, Ending, Peer};
use crate::placeholder::Bindings;
use crate::shorthand::message::{Message, is_change};
use crate::shorthand::{Conversation, body};

/// A sentence and the lines under it.
#[derive(Clone)]
pub(crate) struct Sentence {
    /// Whether the peer sends it, or the server.
    pub(crate) is_received: bool,
    /// The text after the sign.
    pub(crate) text: String,
    /// The lines under it.
    pub(crate) block: Block,
}

/// The message for which a sentence stands.
pub(crate) struct Draft {
    /// The destination or source of the message.
    pub(crate) peer: Peer,
    /// The shard that receives it.
    pub(crate) shard: usize,
    /// In long form.
    pub(crate) message: Message,
}

/// The words after the name of a phone that select one of several subscriptions.
#[derive(Default)]
pub(crate) struct Which<'a> {
    /// `about 123`
    pub(crate) about: Option<&'a str>,
    /// `in c2`
    pub(crate) call: Option<&'a str>,
    /// `for presence`
    pub(crate) package: Option<&'a str>,
    /// `on shard 1`
    pub(crate) shard: Option<usize>,
    /// `again`
    pub(crate) is_again: bool,
}

impl<'a> Which<'a> {
    /// Removes such words from the end of a sentence.
    pub(crate) fn take(words: &mut Vec<&'a str>) -> Result<Self, String> {
        let mut which = Self::default();
        loop {
            let taken = match words.as_slice() {
                [.., _, "again"] => {
                    which.is_again = true;
                    1
                }
                [.., _, "on", "shard", number] => {
                    which.shard = Some(number.parse().map_err(|_| "which shard?")?);
                    3
                }
                [.., _, "about", name] => {
                    which.about = Some(name);
                    2
                }
                [.., _, "in", call] => {
                    which.call = Some(call);
                    2
                }
                [.., _, "for", package] => {
                    which.package = Some(package);
                    2
                }
                _ => return Ok(which),
            };
            words.truncate(words.len() - taken);
        }
    }
}

/// The lines under a sentence, sorted by their subject.
struct Lines {
    changes: Vec<String>,
    statements: Vec<String>,
    body: Vec<String>,
}

/// The actions of a phone.
const VERBS: [&str; 6] = [
    "watches",
    "refreshes",
    "publishes",
    "registers",
    "answers",
    "repeats",
];

impl Sentence {
    /// Returns whether it has the form of one.
    pub(crate) fn is_one(&self) -> bool {
        let mut words = self.halves().0.split_whitespace();
        match self.is_received {
            true => words.nth(1).is_some_and(|verb| VERBS.contains(&verb)),
            false => words.any(|word| word == "to"),
        }
    }

    /// The text before the colon, and the statement after it.
    fn halves(&self) -> (&str, Option<&str>) {
        match self.text.split_once(": ") {
            Some((front, statement)) => (front.trim(), Some(statement.trim())),
            None => (self.text.trim(), None),
        }
    }

    fn sorted(&self) -> Lines {
        let lines = &self.block.lines;
        let split = lines.iter().position(String::is_empty);
        let (under, body) = lines.split_at(split.unwrap_or(lines.len()));
        let (changes, mut statements): (Vec<String>, Vec<String>) =
            under.iter().cloned().partition(|line| is_change(line));
        if let Some(statement) = self.halves().1 {
            statements.insert(0, statement.to_owned());
        }
        Lines {
            changes,
            statements,
            body: body.get(1..).unwrap_or_default().to_vec(),
        }
    }

    /// The lines of the message that its author wrote; the harness wrote the others.
    pub(crate) fn stated(&self) -> Vec<String> {
        let mut stated = self.sorted().changes;
        stated.retain(|line| !line.starts_with("without "));
        stated
    }

    /// The lines of the body that follow from the statements.
    pub(crate) fn body_of(&self, message: &Block) -> Vec<String> {
        let lines = self.sorted();
        let states_one = !lines.statements.is_empty() || !lines.body.is_empty();
        let mut body = Message::read(&message.lines).body;
        body.retain(|_| states_one);
        body
    }
}

impl Conversation {
    /// The long form of a step in shorthand; None for any other step.
    pub(crate) fn expand(&self, action: &Action) -> Result<Option<Action>, String> {
        let Action::Short(sentence) = action else {
            return Ok(None);
        };
        let draft = self.draft(sentence)?;
        let message = Block {
            lines: draft.message.lines(),
            range: sentence.block.range.clone(),
        };
        let peer = draft.peer;
        Ok(Some(if sentence.is_received {
            Action::Receive {
                peer,
                shard: draft.shard,
                ending: Ending::CrLf,
                deflate: false,
                message,
            }
        } else {
            Action::Expect {
                peer,
                partly: false,
                message,
            }
        }))
    }

    /// The message for which a sentence stands.
    pub(crate) fn draft(&self, sentence: &Sentence) -> Result<Draft, String> {
        let (text, _) = sentence.halves();
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let which = Which::take(&mut words)?;
        let lines = sentence.sorted();
        let mut draft = match (sentence.is_received, words.as_slice()) {
            (true, [phone, "repeats", kind @ ..]) => self.repeated(phone, &kind.join(" "))?,
            (true, [phone, "answers", status @ ..]) => {
                self.phone_response(phone, &status.join(" "), &which)?
            }
            (true, [phone, "watches", "list", target]) => {
                self.request(phone, "watches list", Some(target), &which)?
            }
            (true, [phone, verb]) => self.request(phone, verb, None, &which)?,
            (true, [phone, verb, object]) => self.request(phone, verb, Some(object), &which)?,
            (false, ["NOTIFY", "to", phone]) if which.is_again => {
                self.notify_again(phone, &which)?
            }
            (false, ["NOTIFY", "to", phone]) => {
                let subject = lines.statements.first().map(|line| body::subject(line));
                self.notify(phone, &which, subject)?
            }
            (false, [status @ .., "to", phone]) => {
                self.response(phone, &status.join(" "), &which)?
            }
            _ => return Err("not a sentence".to_owned()),
        };
        let is_repeated = words.contains(&"repeats") || (which.is_again && !sentence.is_received);
        let adds = !(sentence.block.lines.is_empty() && lines.statements.is_empty());
        if is_repeated && adds {
            return Err("what is said again is the same".to_owned());
        }
        self.add_body(&mut draft, &lines, sentence.is_received)?;
        draft.message.change(&lines.changes)?;
        if !sentence.is_received {
            finish(&mut draft.message);
        }
        Ok(draft)
    }

    fn add_body(&self, draft: &mut Draft, lines: &Lines, is_received: bool) -> Result<(), String> {
        let message = &mut draft.message;
        let document = if !lines.statements.is_empty() {
            body::write(&lines.statements, &self.context(message, is_received))?
        } else if !lines.body.is_empty() {
            let event = message.value("Event");
            body::literal(&event, lines.body.clone())
        } else {
            let has_state = lines
                .changes
                .iter()
                .any(|line| line.starts_with("Call-Info: "));
            if has_state && message.kind() == "NOTIFY" && !is_received {
                message.change(&["SIP-ETag: {state}".to_owned()])?;
            }
            return Ok(());
        };
        message.body = document.lines;
        if let Some(required) = document.requires {
            message.set("Require", required);
        }
        message.remove("Content-Length");
        message.set("Content-Type", document.content_type);
        if document.has_entity_tag && !is_received {
            message.set("SIP-ETag", "{state}");
        }
        message.set("Content-Length", "{length}");
        Ok(())
    }

    /// Records a step in long form.
    pub(crate) fn note(&mut self, action: &Action) {
        match action {
            Action::Receive {
                peer,
                shard,
                ending,
                message,
                ..
            } if *ending != Ending::Raw => {
                self.note_received(*peer, *shard, Message::read(&message.lines));
            }
            Action::Expect {
                peer,
                partly: false,
                message,
            } => self.note_sent(*peer, Message::read(&message.lines)),
            Action::Advance(duration) => self.now += *duration,
            Action::Dial {
                address,
                connects: true,
                ..
            } => self.note_dialed(*address),
            _ => {}
        }
    }
}

/// Fills in values that follow from the other octets: the entity tag and the length.
fn finish(message: &mut Message) {
    if message.get("SIP-ETag") == Some("{state}") {
        message.set("SIP-ETag", &body::entity_tag(message));
    }
    if message.get("Content-Length") == Some("{length}")
        && let Some(octets) = octets(&message.body)
    {
        message.set("Content-Length", &octets.len().to_string());
    }
}

/// The octets of a body; None if it has placeholders.
pub(crate) fn octets(body: &[String]) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for (index, line) in body.iter().enumerate() {
        let is_last = index + 1 == body.len();
        let cut = line.strip_suffix('\\').filter(|_| is_last);
        octets.extend(Bindings::default().expand(cut.unwrap_or(line)).ok()?);
        octets.extend(cut.is_none().then_some(b'\n'));
    }
    Some(octets)
}
