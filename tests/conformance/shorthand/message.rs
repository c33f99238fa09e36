//! A message in long form, split into its start line, its headers and its body; and the lines that
//! describe how one message differs from another.
//!
//! ```text
//! Expires: 0                     the value of this header; a new header is inserted before those
//!                                of the body, a second one with a name after the first
//! without Max-Forwards           this header is missing
//! SIP/2.0 202 Accepted           a different start line
//! ```

/// A message as the lines of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    /// `Name: value`, in order.
    pub(crate) headers: Vec<String>,
    /// Lines; empty without a body.
    pub(crate) body: Vec<String>,
}

/// Headers before which a new header is inserted.
const OF_THE_BODY: [&str; 3] = ["Content-Type", "SIP-ETag", "Content-Length"];

impl Message {
    /// Splits the lines of a block.
    pub(crate) fn read(lines: &[String]) -> Self {
        let split = lines.iter().position(String::is_empty);
        let head = &lines[..split.unwrap_or(lines.len())];
        let body = split.map_or(&[][..], |split| &lines[split + 1..]);
        Self {
            start: head.first().cloned().unwrap_or_default(),
            headers: head.get(1..).unwrap_or_default().to_vec(),
            body: body.to_vec(),
        }
    }

    /// The lines of a block.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.start.clone()];
        lines.extend(self.headers.iter().cloned());
        if !self.body.is_empty() {
            lines.push(String::new());
            lines.extend(self.body.iter().cloned());
        }
        lines
    }

    /// The value of the first header of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|line| name_of(line) == name)?;
        Some(header.get(name.len() + 1..).unwrap_or_default().trim())
    }

    /// The value of an optional header.
    pub(crate) fn value(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Method of a request, status of a response: the first word that is not the protocol.
    pub(crate) fn kind(&self) -> &str {
        let mut words = self.start.split(' ');
        match words.next() {
            Some("SIP/2.0") => words.next().unwrap_or_default(),
            word => word.unwrap_or_default(),
        }
    }

    /// Returns whether it is a response.
    pub(crate) fn is_response(&self) -> bool {
        self.start.starts_with("SIP/2.0 ")
    }

    /// Replaces the value of the first header with that name, or adds it as the last header.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let line = format!("{name}: {value}");
        match self.headers.iter_mut().find(|line| name_of(line) == name) {
            Some(header) => *header = line,
            None => self.headers.push(line),
        }
    }

    /// Removes every header with that name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|line| name_of(line) != name);
    }

    /// Changes the message as described by the lines.
    pub(crate) fn change(&mut self, lines: &[String]) -> Result<(), String> {
        let mut stated: Vec<&str> = Vec::new();
        for line in lines {
            if let Some(name) = line.strip_prefix("without ") {
                if self.get(name).is_none() {
                    return Err(format!("there is no {name} to be left out"));
                }
                self.remove(name);
            } else if is_start(line) {
                self.start.clone_from(line);
            } else {
                let name = name_of(line);
                let nth = stated.iter().filter(|known| **known == name).count();
                self.state(name, nth, line);
                stated.push(name);
            }
        }
        Ok(())
    }

    /// Sets the `nth` header of a name; if there are fewer, it is added after the last.
    fn state(&mut self, name: &str, nth: usize, line: &str) {
        let places: Vec<usize> = (0..self.headers.len())
            .filter(|place| name_of(&self.headers[*place]) == name)
            .collect();
        if let Some(place) = places.get(nth) {
            line.clone_into(&mut self.headers[*place]);
            return;
        }
        let behind = match name {
            "SIP-ETag" => &OF_THE_BODY[1..],
            _ => &OF_THE_BODY[..],
        };
        let of_the_body = |header: &String| behind.contains(&name_of(header));
        let place = match places.last() {
            Some(last) => last + 1,
            None => {
                let place = self.headers.iter().position(of_the_body);
                place.unwrap_or(self.headers.len())
            }
        };
        self.headers.insert(place, line.to_owned());
    }

    /// The lines that change the head of this message into that of `wanted`; None if that is not
    /// possible.
    pub(crate) fn changes(&self, wanted: &Self, stated: &[String]) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        if self.start != wanted.start {
            lines.push(wanted.start.clone());
        }
        let count = |message: &Self, name: &str| {
            let named = message.headers.iter().filter(|line| name_of(line) == name);
            named.count()
        };
        for header in &wanted.headers {
            let name = name_of(header);
            let is_plain = count(self, name) == 1 && count(wanted, name) == 1;
            let is_known = is_plain && self.headers.contains(header);
            if !is_known || stated.contains(header) {
                lines.push(header.clone());
            }
        }
        for header in &self.headers {
            if count(wanted, name_of(header)) == 0 {
                lines.push(format!("without {}", name_of(header)));
            }
        }
        if !lines.iter().all(|line| is_change(line)) {
            return None;
        }
        let mut changed = self.clone();
        changed.change(&lines).ok()?;
        (changed.start == wanted.start && changed.headers == wanted.headers).then_some(lines)
    }
}

/// Returns whether a line under a sentence changes the head, rather than stating something about
/// the body.
pub(crate) fn is_change(line: &str) -> bool {
    let word = line.split(' ').next().unwrap_or_default();
    line.starts_with("without ") || is_start(line) || (word.len() > 1 && word.ends_with(':'))
}

fn is_start(line: &str) -> bool {
    line.starts_with("SIP/2.0 ") || line.ends_with(" SIP/2.0")
}

fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

#[test]
fn lines_under_a_sentence_change_its_head() {
    let message = |text: &str| {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Message::read(&lines)
    };
    let from = message("SIP/2.0 200 OK\nVia: v\nMax-Forwards: 70\nContact: a\nContent-Length: 0");
    let wanted = message(
        "SIP/2.0 200 OK\nVia: v\nContact: b\nContact: c\nExpires: 5\nContent-Length: 3\n\nabc",
    );
    let lines = from.changes(&wanted, &["Via: v".to_owned()]).unwrap();
    let expected =
        "Via: v\nContact: b\nContact: c\nExpires: 5\nContent-Length: 3\nwithout Max-Forwards";
    assert_eq!(lines.join("\n"), expected);
    let mut changed = from.clone();
    changed.change(&lines).unwrap();
    assert_eq!(changed.headers, wanted.headers);
    assert!(from.clone().change(&["without Allow".to_owned()]).is_err());
    let reordered =
        message("SIP/2.0 200 OK\nContact: a\nMax-Forwards: 70\nVia: v\nContent-Length: 0");
    assert!(
        from.changes(&reordered, &[]).is_none(),
        "no line moves a header"
    );
}
