//! Cells under each other in aligned columns.

use super::{Look, Style};

/// Spaces between columns.
const GAP: &str = "  ";

/// On which side of a column its cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Rows of cells; the first row may be a heading.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    aligns: [Align; N],
    heading: Option<[String; N]>,
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    pub(super) fn new(aligns: [Align; N]) -> Columns<N> {
        Columns {
            aligns,
            heading: None,
            rows: Vec::new(),
        }
    }

    pub(super) fn heading(mut self, heading: [&str; N]) -> Columns<N> {
        self.heading = Some(heading.map(str::to_owned));
        self
    }

    pub(super) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The rows, each behind `indent` spaces.
    pub(super) fn render(&self, indent: usize, look: Look) -> String {
        let widths: [usize; N] = std::array::from_fn(|column| {
            let all = self.heading.iter().chain(&self.rows);
            all.map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        });
        let mut text = String::new();
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(widths).zip(self.aligns);
            let padded: Vec<String> = cells
                .map(|((cell, width), align)| pad(cell, width, align))
                .collect();
            format!("{}{}", " ".repeat(indent), padded.join(GAP))
                .trim_end()
                .to_owned()
        };
        if let Some(heading) = &self.heading {
            text.push_str(&look.paint(Style::Quiet, &line(heading)));
            text.push('\n');
        }
        for row in &self.rows {
            text.push_str(&line(row));
            text.push('\n');
        }
        text
    }
}

fn pad(cell: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{cell:<width$}"),
        Align::Right => format!("{cell:>width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut columns = Columns::new([Align::Left, Align::Right]).heading(["table", "rows"]);
        columns.push(["fixes".into(), "277,949".into()]);
        columns.push(["raw_messages".into(), "0".into()]);
        let expected = "table            rows\nfixes         277,949\nraw_messages        0\n";
        assert_eq!(columns.render(0, Look::PLAIN), expected);
    }
}
