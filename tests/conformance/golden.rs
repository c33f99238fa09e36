//! Writing the server's actual messages into a dialogue: `UPDATE_GOLDEN`.
//!
//! A block that already matches is left unchanged. Otherwise it is rewritten in its shortest form,
//! see [`crate::shorthand::shorten`]; lines that its author wrote under a sentence are kept.

use crate::compare::{escaped, expected_lines, lines};
use crate::dialogue::{Action, Block, Step};
use crate::play::Stage;
use crate::shorthand::shorten::{long, shorten, step_range};
use crate::world::Sent;

/// How to handle a `<` block that differs from the actual message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Golden {
    /// Fail.
    Compare,
    /// Complete it, provided that every line it has stays true (see [`Stage::insist`]).
    Complete,
    /// Replace it by the actual message.
    Replace,
    /// Compare, and write each block in its shortest form if the case holds.
    Shorten,
    /// Compare, and write each block in long form if the case holds.
    Lengthen,
}

impl Golden {
    /// `UPDATE_GOLDEN=1` completes; `replace`, `shorten` and `lengthen` do as they say.
    pub(crate) fn from_environment() -> Self {
        match std::env::var("UPDATE_GOLDEN").as_deref() {
            Ok("replace") => Self::Replace,
            Ok("shorten") => Self::Shorten,
            Ok("lengthen") => Self::Lengthen,
            Ok(_) => Self::Complete,
            Err(_) => Self::Compare,
        }
    }

    /// Returns whether blocks are rewritten.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Complete | Self::Replace)
    }
}

impl Stage {
    /// Rewrites a step with the actual message. Returns its new long form.
    pub(crate) fn write_down(
        &mut self,
        sent: &Sent,
        step: &Step,
        expected: &Block,
    ) -> Result<Action, String> {
        let stated = match &step.action {
            Action::Short(sentence) => sentence.stated(),
            _ => expected.lines.clone(),
        };
        if self.golden == Golden::Complete {
            let mut insisted = stated.clone();
            if let Action::Short(sentence) = &step.action {
                insisted.insert(0, expected.lines[0].clone());
                insisted.extend(sentence.body_of(expected));
            }
            self.insist(&lines(&sent.bytes), &insisted)?;
        }
        let action = Action::Expect {
            peer: sent.peer,
            partly: false,
            message: Block {
                lines: self.written(sent)?,
                range: expected.range.clone(),
            },
        };
        let short = shorten(&self.conversation, &action, &stated);
        let written = short.unwrap_or_else(|| long(&action));
        self.rewritten
            .push((step_range(step.line, &action), written));
        Ok(action)
    }

    /// The lines of the actual message, with names for random values.
    fn written(&mut self, sent: &Sent) -> Result<Vec<String>, String> {
        self.name_the_random(&sent.bytes);
        let actual = lines(&sent.bytes);
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
        Ok(written)
    }

    /// The lines written by a human must be among the actual ones, in any order; `~text` must occur
    /// somewhere in the message, `^text` nowhere.
    pub(crate) fn insist(&mut self, actual: &[&[u8]], stated: &[String]) -> Result<(), String> {
        let whole = escaped(actual);
        let insisted = expected_lines(stated);
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

    /// Gives names to the values that the server chose at random in that message.
    pub(crate) fn name_the_random(&mut self, message: &[u8]) {
        let text = String::from_utf8_lossy(message).into_owned();
        let is_request = !text.starts_with("SIP/2.0 ");
        let ours = if is_request { "From" } else { "To" };
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            if name == "Authorization" || name == "Proxy-Authorization" {
                self.name_the_credentials(value);
            }
            let found = match name {
                "Via" if is_request => value.split("branch=").nth(1).map(|rest| ("branch", rest)),
                "Call-ID" if is_request && !text.starts_with("NOTIFY ") => Some(("callid", value)),
                // The entity tag of a NOTIFY is a hash of its state (RFC 5839) and not random.
                "SIP-ETag" if !is_request => Some(("etag", value)),
                "WWW-Authenticate" => value.split("nonce=\"").nth(1).map(|rest| ("nonce", rest)),
                "Retry-After" => Some(("number", value)),
                _ if name == ours => value.split(";tag=").nth(1).map(|rest| ("tag", rest)),
                _ => None,
            };
            if let Some((kind, rest)) = found {
                let end = rest.find([';', '"', ',', ' ', '>']).unwrap_or(rest.len());
                // A tag chosen by the peer is not random.
                if !(kind == "tag" && rest[..end].len() < 8) {
                    self.bindings.name_for(kind, &rest[..end]);
                }
            }
        }
    }

    /// Names the random values in our credentials, and the response that depends on them.
    fn name_the_credentials(&mut self, value: &str) {
        for (parameter, kind) in [("cnonce=\"", "cnonce"), (" response=\"", "response")] {
            if let Some((_, rest)) = value.split_once(parameter) {
                let end = rest.find('"').unwrap_or(rest.len());
                self.bindings.name_for(kind, &rest[..end]);
            }
        }
    }

    /// `CSeq: {cseq1+2} NOTIFY` or `Retry-After: {number1}`, which are random; None for any other
    /// line.
    pub(crate) fn named_number(&mut self, line: &[u8], message: &[u8]) -> Option<String> {
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

    /// Remembers the names that a block gave to numbers, for blocks that are rewritten.
    pub(crate) fn name_the_numbers(&mut self, message: &[u8]) {
        if self.golden.writes() {
            self.name_the_random(message);
            for line in lines(message) {
                let bare = line.strip_suffix(b"\r").unwrap_or(line);
                self.named_number(bare, message);
            }
        }
    }
}
