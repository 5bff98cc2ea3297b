//! Breaking text into lines at spaces. What has no spaces, such as a long name, is never broken: it could not be pasted.

/// `text`, indented by `indent` spaces and broken at `width`; ends with a line feed. Line feeds in it are kept.
pub(crate) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut wrapped = String::new();
    for paragraph in text.lines() {
        let mut column = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                wrapped.push('\n');
                column = 0;
            }
            if column == 0 {
                wrapped.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += length;
        }
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_stay_whole() {
        for (text, expected) in [
            ("one two three", "  one two\n  three\n"),
            ("a_very_long_name b", "  a_very_long_name\n  b\n"),
            ("one\ntwo", "  one\n  two\n"),
            ("", ""),
        ] {
            assert_eq!(wrap(text, 2, 10), expected);
        }
    }
}
