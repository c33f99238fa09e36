//! Text tables for a terminal.

use crate::http::representation::text::visible;

/// Columns of blanks between two cells.
const GAP: usize = 2;
/// The heading of the column that is never cut: cut times all look alike.
const WHOLE: &str = "TIME";

/// Rows under headings, each column as wide as its widest cell. All cells are left-aligned,
/// including numbers.
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

    /// Appends the lines. If there are too few columns, the widest cells are truncated, but not
    /// below their heading, and times not at all.
    pub(super) fn write(&self, columns: Option<usize>, out: &mut String) {
        let widths = self.widths(columns);
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{:width$}{:GAP$}", cut(cell, *width), ""));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }

    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let Some(headings) = self.rows.first() else {
            return Vec::new();
        };
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let gaps = GAP * headings.len().saturating_sub(1);
        let Some(room) = columns.map(|columns| columns.saturating_sub(gaps)) else {
            return widths;
        };
        while widths.iter().sum::<usize>() > room {
            let shrinks = widths.iter_mut().zip(headings);
            let widest = shrinks
                .filter(|(_, heading)| *heading != WHOLE)
                .filter(|(width, heading)| **width > heading.chars().count())
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
        }
        widths
    }
}

/// A text in at most `width` columns.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::representation::text::span;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["SOURCE", "AGE"]);
        table.add(["publish:5f3c".to_owned(), "3s".to_owned()]);
        table.add(["é".to_owned(), span(Duration::from_millis(177_900))]);
        let mut text = String::new();
        table.write(None, &mut text);
        assert_eq!(
            text,
            "SOURCE        AGE\npublish:5f3c  3s\né             2m 57s\n"
        );
    }

    #[test]
    fn the_widest_cells_are_cut_to_fit() {
        let mut table = Table::new(&["SOURCE", "KIND", "AGE"]);
        table.add(["publish:0123456789", "early", "3s"].map(str::to_owned));
        let mut text = String::new();
        table.write(Some(24), &mut text);
        assert_eq!(text, "SOURCE        KIND   AGE\npublish:012…  early  3s\n");
        text.clear();
        table.write(Some(3), &mut text);
        assert_eq!(
            text, "SOURCE  KIND  AGE\npubli…  ear…  3s\n",
            "as far as it goes"
        );
    }

    #[test]
    fn a_time_is_never_cut() {
        let mut table = Table::new(&["TIME", "NOTE"]);
        table.add(["2026-11-30T22:15:31Z", "at lunch"].map(str::to_owned));
        let mut text = String::new();
        table.write(Some(10), &mut text);
        assert_eq!(
            text,
            "TIME                  NOTE\n2026-11-30T22:15:31Z  at …\n"
        );
    }
}
