//! What may be kept of a server's words: never a row's values, wherever the server puts them.

/// Length in characters to which a statement is cut when it names what was attempted.
const ATTEMPT_CHARACTERS_MAX: usize = 80;

/// SQLSTATE classes whose DETAIL speaks of objects and processes, never of rows. Class 23
/// (integrity constraints) is not among them: its details hold keys and whole failing rows.
pub(crate) const CLASSES_WITHOUT_VALUES: [&str; 17] = [
    "08", "0A", "25", "26", "28", "2B", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57",
    "58",
];

/// Class 22 (data exceptions) quotes the offending value after a colon: that part goes.
pub(crate) fn message_without_values(sqlstate: &str, message: &str) -> String {
    let kept = match message.split_once(": ") {
        Some((kept, _)) if sqlstate.starts_with("22") => kept,
        _ => message,
    };
    kept.to_owned()
}

/// The server's CONTEXT, where it says where in a COPY stream the error is, up to the value.
pub(crate) fn copy_position(context: &str) -> Option<String> {
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    Some(line.split(": ").next().unwrap_or(line).to_owned())
}

/// Names a statement by its beginning, up to the first thing that could be a value.
pub(crate) fn describe(sql: &str) -> String {
    let statement = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or(line))
        .collect::<Vec<_>>()
        .join(" ");
    let head = statement
        .split(['\'', '$', '(', ';'])
        .next()
        .unwrap_or_default();
    let mut words = String::new();
    for word in head.split_whitespace() {
        if words.chars().count() + word.chars().count() > ATTEMPT_CHARACTERS_MAX {
            break;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    if words.is_empty() {
        words.push_str("statement");
    }
    format!("run {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_up_to_its_first_value() {
        assert_eq!(
            describe("\n-- a comment\nALTER ROLE x\n  PASSWORD 'secret'"),
            "run ALTER ROLE x PASSWORD"
        );
        assert_eq!(
            describe("COPY \"S\".t (a, b) FROM STDIN (FORMAT binary)"),
            "run COPY \"S\".t"
        );
        assert_eq!(describe("(values (1))"), "run statement");
    }

    #[test]
    fn a_data_exception_loses_the_value_and_others_keep_their_message() {
        let value = "invalid input syntax for type integer: \"4711\"";
        assert_eq!(
            message_without_values("22P02", value),
            "invalid input syntax for type integer"
        );
        let object = "relation \"a: b\" does not exist";
        assert_eq!(message_without_values("42P01", object), object);
    }

    #[test]
    fn the_position_in_a_copy_stream_is_kept_without_the_value() {
        let context = "COPY fixes, line 3, column altitude: \"4711\"";
        assert_eq!(
            copy_position(context).as_deref(),
            Some("COPY fixes, line 3, column altitude")
        );
        assert_eq!(copy_position("PL/pgSQL function f() line 3"), None);
    }
}
