//! Text tables for a terminal.

use std::time::Duration;

/// Rows under headings, each column as wide as its widest cell. Numbers look after themselves:
/// every cell stands left.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with headings alone.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| (*heading).to_owned())
                    .collect(),
            ],
        }
    }

    /// Adds a row with as many cells as there are headings.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }

    /// Appends the lines.
    pub(super) fn write(&self, out: &mut String) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// A text without what would steer a terminal: much of what tables show was sent by peers.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// A time span in whole seconds: `2m 57s`.
pub(super) fn span(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["SOURCE", "AGE"]);
        table.add(["publish:5f3c".to_owned(), "3s".to_owned()]);
        table.add(["é".to_owned(), span(Duration::from_millis(177_900))]);
        let mut text = String::new();
        table.write(&mut text);
        assert_eq!(
            text,
            "SOURCE        AGE\npublish:5f3c  3s\né             2m 57s\n"
        );
    }

    #[test]
    fn peers_do_not_steer_the_terminal() {
        assert_eq!(visible("sip:\u{1b}[2Jx\n@h"), "sip:\u{fffd}[2Jx\u{fffd}@h");
    }
}
