//! The screen: three phones with their keys, redrawn in place; without a terminal, one line for
//! each change.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::demo::lamp::Lamp;
use crate::cli::demo::mobile;
use crate::cli::demo::participants::{Key, PEOPLE};

/// Columns inside a phone's frame.
const PHONE_COLUMNS: usize = 22;
/// Changes kept on the screen.
const HISTORY_LINES: usize = 6;
/// The person whose mobile the visitor can change: an index into [`PEOPLE`].
pub(super) const VISITOR: usize = 2;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// What the screen shows.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) caption: String,
    pub(super) by: &'static str,
    lamps: Vec<(Key, Lamp)>,
    history: VecDeque<String>,
}

/// The output.
pub(super) struct Screen {
    out: Box<dyn Write>,
    is_drawn: bool,
    /// Height of the last drawing in lines; 0 before the first.
    lines: usize,
}

impl View {
    pub(super) fn lamp(&self, key: Key) -> Lamp {
        self.lamps
            .iter()
            .find(|(one, _)| *one == key)
            .map_or(Lamp::Unknown, |(_, lamp)| *lamp)
    }

    pub(super) fn set(&mut self, key: Key, lamp: Lamp) {
        match self.lamps.iter_mut().find(|(one, _)| *one == key) {
            Some((_, shown)) => *shown = lamp,
            None => self.lamps.push((key, lamp)),
        }
    }
}

impl Screen {
    /// Draws in place if `is_drawn`, which needs a terminal; else prints lines.
    pub(super) fn new(out: Box<dyn Write>, is_drawn: bool) -> Self {
        Self {
            out,
            is_drawn,
            lines: 0,
        }
    }

    /// Whether the phones are drawn in place.
    pub(super) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// Prints the introduction and the commands to try. These lines are never drawn over, so their
    /// length does not matter.
    pub(super) fn open(&mut self, sip: SocketAddr, http: SocketAddr, token: &str) {
        let [bold, dim, plain] = self.styles([BOLD, DIM, PLAIN]);
        let visitor = PEOPLE[VISITOR].name;
        let mut text = format!(
            "{bold}Lamplighter{plain}: a server and three phones that watch each other, on this machine alone.\n\
             {dim}SIP{plain}  udp {sip}\n{dim}HTTP{plain} http://{http}\n\n\
             The lamp board, in a browser on this machine; a button there turns {visitor}'s lamp red:\n  {bold}http://{http}/#/login/{token}{plain}\n\n\
             Or from another terminal: {visitor}'s lamp turns red, and off again.\n  {}\n  {}\n\n",
            mobile::command(http, VISITOR, true),
            mobile::command(http, VISITOR, false),
        );
        if self.is_drawn {
            text.push_str("\x1b[?25l");
        }
        self.print(&text);
    }

    /// A scene begins.
    pub(super) fn scene(&mut self, view: &View) {
        if !self.is_drawn {
            self.print(&format!("{}  [{}]\n", view.caption, view.by));
        }
    }

    /// A lamp changed; `latency` is the time since we reported the change, if we did.
    pub(super) fn changed(
        &mut self,
        view: &mut View,
        key: Key,
        lamp: Lamp,
        latency: Option<Duration>,
    ) {
        let [watcher, watched] = [key.watcher, key.watched].map(|person| PEOPLE[person].name);
        let after = latency.map_or_else(String::new, |latency| {
            format!("{:8.2} ms", latency.as_secs_f64() * 1000.0)
        });
        let phone = format!("{watcher}'s phone");
        let line = format!("{phone:<14} {watched:<6} {lamp:<9}{after}");
        if self.is_drawn {
            view.history.push_back(line);
            if view.history.len() > HISTORY_LINES {
                view.history.pop_front();
            }
        } else {
            self.print(&format!("  {line}\n"));
        }
    }

    /// Draws the picture over the last one. `is_lit` is the phase of everything that blinks.
    pub(super) fn draw(&mut self, view: &View, is_lit: bool) {
        if !self.is_drawn {
            return;
        }
        let picture = picture(view, is_lit);
        let mut text = String::with_capacity(4096);
        if self.lines > 0 {
            let _ = write!(text, "\x1b[{}A", self.lines);
        }
        for line in &picture {
            let _ = writeln!(text, "\r{line}\x1b[K");
        }
        self.lines = picture.len();
        self.print(&text);
    }

    /// Restores the cursor. Shutdown may take a moment, and a second Ctrl-C ends it at once.
    pub(super) fn release(&mut self) {
        if self.is_drawn {
            self.print("\x1b[?25h");
        }
    }

    /// Prints the final message.
    pub(super) fn close(&mut self, words: &str) {
        let [bold, plain] = self.styles([BOLD, PLAIN]);
        self.print(&format!("{bold}{words}{plain}\n"));
    }

    /// Errors are ignored: the output may be closed.
    fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn styles<const N: usize>(&self, styles: [&'static str; N]) -> [&'static str; N] {
        if self.is_drawn { styles } else { [""; N] }
    }
}

/// The lines of the picture.
fn picture(view: &View, is_lit: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let rule = "─".repeat(PHONE_COLUMNS);
    let empty = " ".repeat(PHONE_COLUMNS);
    let row = |left: &str, right: &str, cell: &dyn Fn(usize) -> String| {
        let cells = (0..PEOPLE.len()).map(|person| format!(" {left}{}{right}", cell(person)));
        cells.collect::<String>()
    };
    lines.push(row("╭", "╮", &|_| rule.clone()));
    lines.push(row("│", "│", &|person| {
        let person = PEOPLE[person];
        format!(
            "{BOLD}  {} {:<width$}{PLAIN}",
            person.number,
            person.name,
            width = PHONE_COLUMNS - 6
        )
    }));
    lines.push(row("│", "│", &|_| empty.clone()));
    for index in 0..PEOPLE.len() - 1 {
        lines.push(row("│", "│", &|person| {
            let key = Key::of(person).nth(index);
            key.map_or_else(
                || empty.clone(),
                |key| drawn_key(key, view.lamp(key), is_lit),
            )
        }));
    }
    lines.push(row("│", "│", &|_| empty.clone()));
    lines.push(row("╰", "╯", &|_| rule.clone()));
    lines.push(String::new());
    lines.push(format!(
        "  {BOLD}{}{PLAIN}   {DIM}{}{PLAIN}",
        view.caption, view.by
    ));
    for index in 0..HISTORY_LINES {
        let line = view.history.get(index).map_or("", String::as_str);
        lines.push(format!("  {DIM}{line}{PLAIN}"));
    }
    lines
}

/// One key: the lamp, whose it is, what it means. As wide as a phone.
fn drawn_key(key: Key, lamp: Lamp, is_lit: bool) -> String {
    let (colour, bulb, meaning) = match lamp {
        Lamp::Unknown => (DIM, "·", ""),
        Lamp::Off => (GREEN, "○", ""),
        Lamp::Ringing if is_lit => (RED, "●", "rings"),
        Lamp::Ringing => (DIM, "○", "rings"),
        Lamp::Busy => (RED, "●", "talks"),
    };
    let name = PEOPLE[key.watched].name;
    let width = PHONE_COLUMNS - 12;
    format!("   {colour}{bulb}{PLAIN}  {name:<6}{colour}{meaning:<width$}{PLAIN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as a terminal shows it.
    fn visible(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('\x1b') {
            out.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        out + rest
    }

    #[test]
    fn every_picture_has_the_same_frame() {
        let mut view = View::default();
        let width = (PHONE_COLUMNS + 3) * PEOPLE.len();
        let mut heights = Vec::new();
        for lamp in [Lamp::Unknown, Lamp::Off, Lamp::Ringing, Lamp::Busy] {
            Key::all().for_each(|key| view.set(key, lamp));
            for is_lit in [false, true] {
                let picture = picture(&view, is_lit);
                heights.push(picture.len());
                for line in picture.iter().take_while(|line| !line.is_empty()) {
                    assert_eq!(visible(line).chars().count(), width, "{line}");
                }
            }
        }
        assert!(width < 80 && heights.iter().all(|height| *height == heights[0]));
    }

    #[test]
    fn a_lamp_that_blinks_is_lit_half_the_time() {
        let key = Key {
            watcher: 0,
            watched: 1,
        };
        assert_ne!(
            drawn_key(key, Lamp::Ringing, true),
            drawn_key(key, Lamp::Ringing, false)
        );
        assert_eq!(
            drawn_key(key, Lamp::Busy, true),
            drawn_key(key, Lamp::Busy, false)
        );
    }

    #[test]
    fn the_history_is_bounded() {
        let mut view = View::default();
        let key = Key {
            watcher: 0,
            watched: 1,
        };
        let mut screen = Screen::new(Box::new(std::io::sink()), true);
        (0..50).for_each(|_| screen.changed(&mut view, key, Lamp::Off, None));
        assert_eq!(view.history.len(), HISTORY_LINES);
    }
}
