//! `pg_service.conf`: named groups of connection parameters, as in libpq's documentation,
//! section "The Connection Service File".

use crate::connection_string::Parameters;

/// The parameters of a service, or `None` where the file does not have it. A line that is not
/// `key=value` is an error, given as its number (from 1).
pub(crate) fn find(text: &str, service: &str) -> Result<Option<Parameters>, usize> {
    let mut found: Option<Parameters> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            if found.is_some() {
                break;
            }
            found = (name == service).then(Parameters::new);
            continue;
        }
        if let Some(parameters) = &mut found {
            let (key, value) = line.split_once('=').ok_or(index + 1)?;
            parameters.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const FILE: &str =
        "# servers\n[one]\nhost=a\nport=1\n\n[two]\nhost=b\ndbname = x=y\n[bad]\nhost\n";

    #[test]
    fn a_service_ends_where_the_next_begins() {
        let one = find(FILE, "one").unwrap().unwrap();
        assert_eq!(
            one,
            [("host".into(), "a".into()), ("port".into(), "1".into())]
        );
        let two = find(FILE, "two").unwrap().unwrap();
        assert_eq!(
            two,
            [("host".into(), "b".into()), ("dbname".into(), "x=y".into())]
        );
    }

    #[test]
    fn a_missing_service_is_none_and_a_broken_line_is_named() {
        assert_eq!(find(FILE, "three"), Ok(None));
        assert_eq!(find(FILE, "bad"), Err(10));
    }
}
