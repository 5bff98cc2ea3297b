//! Markup that cannot be forged: text gets into a page only escaped, and tags only from this program's own words.

use std::fmt::{Display, Write};

/// A part of a page. Well-formed as XML as well, so that any reader of either takes it.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Text of any origin: names of tables may hold anything.
    pub(super) fn text(text: impl Display) -> Markup {
        let mut markup = Markup::default();
        escape(&text.to_string(), &mut markup.0);
        markup
    }

    /// A style sheet of this program.
    pub(super) fn style(sheet: &'static str) -> Markup {
        Markup(format!("<style>\n{sheet}</style>"))
    }

    /// One after another.
    pub(super) fn all(parts: impl IntoIterator<Item = Markup>) -> Markup {
        let mut all = Markup::default();
        parts.into_iter().for_each(|part| all.0.push_str(&part.0));
        all
    }

    /// This, then that.
    pub(super) fn then(mut self, next: Markup) -> Markup {
        self.0.push_str(&next.0);
        self
    }

    /// A whole document.
    pub(super) fn document(html: Markup) -> String {
        format!("<!DOCTYPE html>\n{}\n", html.0)
    }

    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An element that is being written.
pub(super) struct Tag {
    name: &'static str,
    attributes: String,
}

/// Begins an element.
pub(super) fn tag(name: &'static str) -> Tag {
    Tag {
        name,
        attributes: String::new(),
    }
}

impl Tag {
    /// With an attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Tag {
        self.attributes.push_str(&format!(" {name}=\""));
        escape(&value.to_string(), &mut self.attributes);
        self.attributes.push('"');
        self
    }

    /// With a class.
    pub(super) fn class(self, class: impl Display) -> Tag {
        self.with("class", class)
    }

    /// Holds text.
    pub(super) fn text(self, text: impl Display) -> Markup {
        self.holding(Markup::text(text))
    }

    /// Holds other elements.
    pub(super) fn holding(self, content: Markup) -> Markup {
        let Tag { name, attributes } = self;
        Markup(format!("<{name}{attributes}>{}</{name}>", content.0))
    }

    /// Holds other elements, each on a line of its own.
    pub(super) fn lines(self, content: impl IntoIterator<Item = Markup>) -> Markup {
        let mut lines = String::from("\n");
        for line in content {
            lines.push_str(&line.0);
            lines.push('\n');
        }
        self.holding(Markup(lines))
    }

    /// Holds nothing, and never does.
    pub(super) fn empty(self) -> Markup {
        Markup(format!("<{}{}/>", self.name, self.attributes))
    }
}

/// Characters that no page may hold, and those that would turn the direction of what follows, are shown as what they are.
fn escape(text: &str, into: &mut String) {
    for char in text.chars() {
        match char {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            '\n' | '\t' => into.push(char),
            char if char.is_control() || is_hidden(char) => {
                // Writing into a string does not fail.
                let _ = write!(into, "[U+{:04X}]", u32::from(char));
            }
            char => into.push(char),
        }
    }
}

/// Marks of direction, and code points that are no characters.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}')
}

/// A column of a table.
pub(super) enum Column {
    /// Words.
    Words(&'static str),
    /// Numbers, which stand at the right.
    Number(&'static str),
    /// Code: names, digests.
    Code(&'static str),
}

/// A table with a caption and column headings; each row holds its cells. Columns are set by their place, which keeps long tables
/// small.
pub(super) fn table(
    caption: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = Markup>,
) -> Markup {
    let heading = |column: &Column| {
        let (Column::Words(name) | Column::Number(name) | Column::Code(name)) = column;
        tag("th").with("scope", "col").text(name)
    };
    let class = |(place, column): (usize, &Column)| match column {
        Column::Words(_) => None,
        Column::Number(_) => Some(format!("n{}", place + 1)),
        Column::Code(_) => Some(format!("c{}", place + 1)),
    };
    let classes: Vec<String> = columns.iter().enumerate().filter_map(class).collect();
    let head = tag("thead").holding(tag("tr").holding(Markup::all(columns.iter().map(heading))));
    tag("table").class(classes.join(" ")).lines([
        tag("caption").text(caption),
        head,
        tag("tbody").lines(rows),
    ])
}

/// A row: what it is about, then its cells.
pub(super) fn row(head: impl Display, cells: impl IntoIterator<Item = Markup>) -> Markup {
    let head = tag("th").with("scope", "row").text(head);
    tag("tr").holding(head.then(Markup::all(cells)))
}

/// A cell of text.
pub(super) fn cell(text: impl Display) -> Markup {
    tag("td").text(text)
}

/// A long table in a box of its own that scrolls on a screen, by keyboard too; on paper it is all there.
pub(super) fn boxed(label: &str, content: Markup) -> Markup {
    tag("div")
        .class("box")
        .with("role", "region")
        .with("tabindex", "0")
        .with("aria-label", label)
        .holding(content)
}

/// A list of names and values.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    let pair = |(name, value): (&str, Markup)| {
        tag("div").holding(tag("dt").text(name).then(tag("dd").holding(value)))
    };
    tag("dl").class("pairs").lines(pairs.into_iter().map(pair))
}

/// A part of the page, with its heading.
pub(super) fn section(
    id: &'static str,
    title: &str,
    parts: impl IntoIterator<Item = Markup>,
) -> Markup {
    let heading = tag("h2").with("id", id).text(title);
    tag("section")
        .with("aria-labelledby", id)
        .lines(std::iter::once(heading).chain(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let name = "a</td><script>alert('x & \"y\"')</script>\u{1}\u{202e}\n";
        let escaped = "a&lt;/td&gt;&lt;script&gt;alert(&#39;x &amp; &quot;y&quot;&#39;)&lt;/script&gt;[U+0001][U+202E]\n";
        assert_eq!(cell(name).as_str(), format!("<td>{escaped}</td>"));
        assert_eq!(
            tag("b").with("title", name).empty().as_str(),
            format!("<b title=\"{escaped}\"/>")
        );
    }
}
