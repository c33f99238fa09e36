//! Steps in the shortest form that stands for the same octets: every sentence that could match is
//! expanded, the remaining differences are written under it, and the shortest is chosen.
//!
//! A header named in the `About:` line is always shown, because it is the subject of the case; so
//! is the end of a subscription.

use std::ops::Range;

use crate::dialogue::{Action, Block, Dialogue, Ending, Peer, Step};
use crate::shorthand::conversation::{between, call_of, uri_of};
use crate::shorthand::message::Message;
use crate::shorthand::{Conversation, Sentence, body};

/// With more lines than this under it, a sentence hides more than it says.
const CHANGES_MAX: usize = 5;

/// A message to be written as a sentence.
struct Wanted {
    is_received: bool,
    peer: Peer,
    shard: usize,
    message: Message,
    /// Lines that must be shown under the sentence even if they are the default.
    stated: Vec<String>,
}

/// The case with each block in its shortest form.
pub(crate) fn shortened(text: &str) -> Result<String, String> {
    let mut ranges = Vec::new();
    each_in_long_form(text, |conversation, step, action| {
        let is_long = !matches!(step.action, Action::Short(_));
        let lines = shorten(conversation, action, &[]).filter(|_| is_long);
        ranges.extend(lines.map(|lines| (step_range(step.line, action), lines)));
    })?;
    Ok(replaced(text, &ranges))
}

/// The case with each block in long form.
pub(crate) fn lengthened(text: &str) -> Result<String, String> {
    let mut ranges = Vec::new();
    each_in_long_form(text, |_, step, action| {
        if matches!(step.action, Action::Short(_)) {
            ranges.push((step_range(step.line, action), long(action)));
        }
    })?;
    Ok(replaced(text, &ranges))
}

fn each_in_long_form(
    text: &str,
    mut visit: impl FnMut(&Conversation, &Step, &Action),
) -> Result<(), String> {
    let dialogue = Dialogue::parse(text)?;
    let mut conversation = Conversation::new(&dialogue)?;
    for step in &dialogue.steps {
        let expanded = conversation.expand(&step.action);
        let expanded = expanded.map_err(|fault| format!("line {}: {fault}", step.line))?;
        let action = expanded.as_ref().unwrap_or(&step.action);
        visit(&conversation, step, action);
        conversation.note(action);
    }
    Ok(())
}

impl Dialogue {
    /// The case with every sentence expanded.
    pub(crate) fn in_long_form(mut self) -> Result<Self, String> {
        let mut conversation = Conversation::new(&self)?;
        for step in &mut self.steps {
            if let Some(action) = conversation
                .expand(&step.action)
                .map_err(|fault| format!("line {}: {fault}", step.line))?
            {
                step.action = action;
            }
            conversation.note(&step.action);
        }
        Ok(self)
    }
}

/// The lines of the file that belong to a step with a block, counted from 0.
pub(crate) fn step_range(line: usize, action: &Action) -> Range<usize> {
    match action {
        Action::Receive { message, .. } | Action::Expect { message, .. } => {
            line - 1..message.range.end
        }
        _ => line - 1..line,
    }
}

/// The file with some of its line ranges replaced.
pub(crate) fn replaced(text: &str, ranges: &[(Range<usize>, Vec<String>)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (range, block) in ranges.iter().rev() {
        lines.splice(range.clone(), block.iter().cloned());
    }
    lines.join("\n") + "\n"
}

/// The lines of a step in long form.
pub(crate) fn long(action: &Action) -> Vec<String> {
    let (sign, peer, shard, block) = match action {
        Action::Receive {
            peer,
            shard,
            message,
            ..
        } => ('>', peer, *shard, message),
        Action::Expect { peer, message, .. } => ('<', peer, 0, message),
        _ => return Vec::new(),
    };
    let on_shard = match shard {
        0 => String::new(),
        shard => format!(" shard={shard}"),
    };
    let mut lines = vec![format!("{sign} {peer}{on_shard}")];
    lines.extend(indented(&block.lines));
    lines
}

fn indented(lines: &[String]) -> impl Iterator<Item = String> + '_ {
    lines.iter().map(|line| match line.as_str() {
        "" => String::new(),
        line => format!("    {line}"),
    })
}

/// The lines of a step in its shortest form; None if that is the long one.
pub(crate) fn shorten(
    conversation: &Conversation,
    action: &Action,
    stated: &[String],
) -> Option<Vec<String>> {
    let mut wanted = Wanted::of(action)?;
    wanted.stated = named(&conversation.about, &wanted.message);
    wanted.stated.extend_from_slice(stated);
    let mut best: Option<Vec<String>> = None;
    for text in wanted.sentences(conversation) {
        for block in wanted.blocks(conversation) {
            let Some(lines) = wanted.told_by(conversation, &text, block) else {
                continue;
            };
            let length = |lines: &Vec<String>| lines.len();
            if best.as_ref().is_none_or(|best| lines.len() < length(best)) {
                best = Some(lines);
            }
        }
    }
    best
}

/// Words that refer to a header with a different name.
const MEANT: [(&str, &str); 7] = [
    ("expiry", "Subscription-State"),
    ("Expires", "Subscription-State"),
    ("rport", "Via"),
    ("received", "Via"),
    ("branch", "Via"),
    ("challenge", "WWW-Authenticate"),
    ("credentials", "Authorization"),
];

/// The headers named in the `About:` line, and the end of a subscription.
fn named(about: &str, message: &Message) -> Vec<String> {
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    // The first word has a capital letter as the start of the sentence.
    let words: Vec<&str> = about.split(|letter| !is_inside(letter)).skip(1).collect();
    let mut lines = message.headers.clone();
    lines.retain(|line| {
        let name = line.split(':').next().unwrap_or_default();
        if name == "Call-ID" {
            return false; // Most often that of a call in a document.
        }
        let is_meant = |(word, header): &(&str, &str)| *header == name && words.contains(word);
        let is_first = !["To", "From"].contains(&name) && about.starts_with(name);
        let is_end = line.starts_with("Subscription-State: terminated");
        is_end || words.contains(&name) || is_first || MEANT.iter().any(is_meant)
    });
    lines
}

impl Wanted {
    fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Receive {
                peer,
                shard,
                ending: Ending::CrLf,
                deflate: false,
                message,
            } => Some(Self {
                is_received: true,
                peer: *peer,
                shard: *shard,
                message: Message::read(&message.lines),
                stated: Vec::new(),
            }),
            Action::Expect {
                peer,
                partly: false,
                message,
            } => Some(Self {
                is_received: false,
                peer: *peer,
                shard: 0,
                message: Message::read(&message.lines),
                stated: Vec::new(),
            }),
            _ => None,
        }
    }

    /// Possible sentences, the plainest first.
    fn sentences(&self, conversation: &Conversation) -> Vec<String> {
        let call = call_of(&self.message);
        let phones = conversation.phones.iter();
        let phones = phones.filter(|phone| phone.peer == self.peer);
        let mut sentences = Vec::new();
        for phone in phones {
            for front in self.fronts(conversation, &phone.name) {
                let which = [
                    String::new(),
                    self.about(conversation),
                    format!(" in {call}"),
                ];
                for which in which {
                    let on_shard = match self.shard {
                        shard if shard == phone.shard || !self.is_received => String::new(),
                        shard => format!(" on shard {shard}"),
                    };
                    sentences.push(format!("{front}{which}{on_shard}"));
                }
                if !self.is_received {
                    sentences.push(format!("{front} again"));
                    sentences.push(format!("{front} in {call} again"));
                }
            }
            if self.is_received {
                sentences.push(format!("{} repeats {}", phone.name, self.message.kind()));
            }
        }
        sentences
    }

    /// `9 watches 123`
    fn fronts(&self, conversation: &Conversation, phone: &str) -> Vec<String> {
        let status = self.message.start.strip_prefix("SIP/2.0 ");
        let target = conversation.name(uri_of(&self.message.value("To")));
        let event = self.message.value("Event");
        let of_package = |front: String| match event.as_str() {
            "dialog" => vec![front],
            event if event.contains([';', ' ']) || event.is_empty() => vec![front],
            event => vec![format!("{front} for {event}"), front],
        };
        match (self.is_received, status, self.message.kind()) {
            (true, Some(status), _) => vec![format!("{phone} answers {status}")],
            (false, Some(status), _) => vec![format!("{status} to {phone}")],
            (false, None, "NOTIFY") => vec![format!("NOTIFY to {phone}")],
            (true, None, "SUBSCRIBE") => {
                let mut fronts = of_package(format!("{phone} watches {target}"));
                fronts.extend(of_package(format!("{phone} watches list {target}")));
                fronts.push(format!("{phone} watches {target} again"));
                fronts.push(format!("{phone} refreshes {target}"));
                fronts
            }
            (true, None, "PUBLISH") => {
                let mut fronts = of_package(format!("{phone} publishes {target}"));
                fronts.push(format!("{phone} publishes {target} again"));
                fronts
            }
            (true, None, "REGISTER") => ["registers", "registers again"]
                .map(|verb| match verb.split_once(' ') {
                    Some((verb, again)) => format!("{phone} {verb} {target} {again}"),
                    None => format!("{phone} {verb} {target}"),
                })
                .to_vec(),
            _ => Vec::new(),
        }
    }

    fn about(&self, conversation: &Conversation) -> String {
        let is_ours = self.message.is_response() == self.is_received;
        let party = if is_ours { "From" } else { "To" };
        let name = conversation.name(uri_of(&self.message.value(party)));
        format!(" about {name}")
    }

    /// The version of the document that the server sends.
    fn version(&self) -> Option<&str> {
        let body = self.message.body.iter().filter(|_| !self.is_received);
        let mut roots = body.filter(|line| line.contains(" xmlns=\""));
        roots.find_map(|line| between(line, " version=\"", "\""))
    }

    /// Possible lines under it for the body.
    fn blocks(&self, conversation: &Conversation) -> Vec<Vec<String>> {
        if self.message.body.is_empty() {
            return vec![Vec::new()];
        }
        let mut literal = vec![String::new()];
        literal.extend(self.message.body.iter().cloned());
        let context = conversation.context(&self.message, self.is_received);
        let mut statements = body::statements(&self.message, &context);
        if let Some([first, ..]) = statements.as_deref_mut()
            && conversation.about.contains("version")
            && let Some(version) = self.version().filter(|_| !first.contains(", version "))
        {
            *first += &format!(", version {version}");
        }
        let mut blocks: Vec<Vec<String>> = statements.into_iter().collect();
        blocks.push(literal);
        // A repeated message includes its body.
        blocks.push(Vec::new());
        blocks
    }

    /// The step with that sentence; None if it does not match.
    fn told_by(
        &self,
        conversation: &Conversation,
        text: &str,
        body: Vec<String>,
    ) -> Option<Vec<String>> {
        let draft = conversation.draft(&self.sentence(text, &body)).ok()?;
        let fits = draft.peer == self.peer && draft.shard == self.shard;
        if !fits || draft.message.body != self.message.body {
            return None;
        }
        let mut changes = draft.message.changes(&self.message, &self.stated)?;
        let mut place = changes.len();
        while place > 0 {
            place -= 1;
            // The entity tag may follow from a header above.
            let mut fewer = changes.clone();
            let line = fewer.remove(place);
            if line.starts_with("SIP-ETag") && self.is_told(conversation, text, &fewer, &body) {
                changes = fewer;
            }
        }
        let is_other_call = changes.iter().any(|line| line.starts_with("Call-ID:"));
        let continues = text.contains(" again") || text.contains(" refreshes ");
        let is_readable = changes.len() <= CHANGES_MAX && !(continues && is_other_call);
        if !is_readable || !self.is_told(conversation, text, &changes, &body) {
            return None;
        }
        let sign = if self.is_received { '>' } else { '<' };
        let is_statement = body.len() == 1;
        let mut lines = vec![match body.first().filter(|_| is_statement) {
            Some(statement) => format!("{sign} {text}: {statement}"),
            None => format!("{sign} {text}"),
        }];
        lines.extend(indented(&changes));
        lines.extend(indented(&body).filter(|_| !is_statement));
        Some(lines)
    }

    fn is_told(
        &self,
        conversation: &Conversation,
        text: &str,
        changes: &[String],
        body: &[String],
    ) -> bool {
        let lines = [changes, body].concat();
        let draft = conversation.draft(&self.sentence(text, &lines));
        draft.is_ok_and(|draft| draft.message == self.message)
    }

    fn sentence(&self, text: &str, lines: &[String]) -> Sentence {
        Sentence {
            is_received: self.is_received,
            text: text.to_owned(),
            block: Block {
                lines: lines.to_vec(),
                range: 0..0,
            },
        }
    }
}
