//! The two forms of a connection string, as in libpq's documentation, section "Connection
//! Strings": `key=value` pairs and `postgresql://` URLs. Both become a list of parameters; what
//! they mean is `settings`' business.

use crate::error::Error;

/// Parameters in the order in which they were written; a later one wins.
pub(crate) type Parameters = Vec<(String, String)>;

/// Takes either form apart.
pub(crate) fn parse(text: &str) -> Result<Parameters, Error> {
    let text = text.trim();
    for scheme in ["postgresql://", "postgres://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return parse_url(rest);
        }
    }
    parse_pairs(text)
}

fn parse_pairs(text: &str) -> Result<Parameters, Error> {
    let mut parameters = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err(Error::configuration(
                "the connection string is neither a URL nor key=value pairs",
            )
            .with_hint(
                "Write postgresql://user@host:port/database, or host=... dbname=... user=...",
            ));
        };
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            // The text before "=" may be a misplaced password: it is not repeated.
            return Err(Error::configuration(
                "a word of the connection string has no \"=\" after it",
            )
            .with_hint("Put values that contain spaces in single quotes."));
        }
        let (value, after) = take_value(after.trim_start())?;
        parameters.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(parameters)
}

/// A value up to white space, or in single quotes; a backslash takes the next character literally.
fn take_value(text: &str) -> Result<(String, &str), Error> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            _ if !quoted && character.is_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(character),
        }
    }
    if quoted {
        return Err(Error::configuration(
            "a quoted value in the connection string is not terminated",
        ));
    }
    Ok((value, ""))
}

fn parse_url(rest: &str) -> Result<Parameters, Error> {
    let mut parameters = Parameters::new();
    let (location, query) = match rest.split_once('?') {
        Some((location, query)) => (location, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match location.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (location, None),
    };
    let hosts = match authority.rsplit_once('@') {
        Some((login, hosts)) => {
            push_login(&mut parameters, login)?;
            hosts
        }
        None => authority,
    };
    push_hosts(&mut parameters, hosts)?;
    if let Some(database) = database.filter(|database| !database.is_empty()) {
        parameters.push(("dbname".to_owned(), decode(database)?));
    }
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::configuration(
                "a parameter of the connection URL has no \"=\" after it",
            ));
        };
        let (key, value) = (decode(key)?, decode(value)?);
        // JDBC's spelling, which libpq takes too.
        if (key.as_str(), value.as_str()) == ("ssl", "true") {
            parameters.push(("sslmode".to_owned(), "require".to_owned()));
        } else {
            parameters.push((key, value));
        }
    }
    Ok(parameters)
}

fn push_login(parameters: &mut Parameters, login: &str) -> Result<(), Error> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    if !user.is_empty() {
        parameters.push(("user".to_owned(), decode(user)?));
    }
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        parameters.push(("password".to_owned(), decode(password)?));
    }
    Ok(())
}

/// `host:port,host:port`; an IPv6 address stands in brackets.
fn push_hosts(parameters: &mut Parameters, hosts: &str) -> Result<(), Error> {
    if hosts.is_empty() {
        return Ok(());
    }
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for item in hosts.split(',') {
        let (name, port) = match item.strip_prefix('[') {
            Some(bracketed) => {
                let Some((name, port)) = bracketed.split_once(']') else {
                    return Err(Error::configuration(
                        "an IPv6 address in the connection URL has no closing bracket",
                    ));
                };
                (name, port.strip_prefix(':').unwrap_or(port))
            }
            None => item.split_once(':').unwrap_or((item, "")),
        };
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    if names.iter().any(|name| !name.is_empty()) {
        parameters.push(("host".to_owned(), names.join(",")));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        parameters.push(("port".to_owned(), ports.join(",")));
    }
    Ok(())
}

/// Undoes percent-encoding. What is wrong is not repeated: it may be a password.
fn decode(text: &str) -> Result<String, Error> {
    let malformed = || {
        Error::configuration("a part of the connection URL is not percent-encoded UTF-8")
            .with_hint("Write % as %25, @ as %40, / as %2F, : as %3A.")
    };
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = text.get(at + 1..at + 3).ok_or_else(malformed)?;
            let byte = u8::from_str_radix(digits, 16).map_err(|_| malformed())?;
            if byte == 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(decoded).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let parameters = parse(text).expect(text);
        let seen: Vec<_> = parameters
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(seen, expected, "{text}");
    }

    #[test]
    fn urls_come_apart_as_libpq_takes_them() {
        check("postgresql://", &[]);
        check("postgres://localhost", &[("host", "localhost")]);
        check(
            "postgresql://user:p%40ss:word@localhost:5433/my%20db",
            &[
                ("user", "user"),
                ("password", "p@ss:word"),
                ("host", "localhost"),
                ("port", "5433"),
                ("dbname", "my db"),
            ],
        );
        check(
            "postgresql://a:1,b,[::1]:3/d?target_session_attrs=read-write&connect_timeout=10",
            &[
                ("host", "a,b,::1"),
                ("port", "1,,3"),
                ("dbname", "d"),
                ("target_session_attrs", "read-write"),
                ("connect_timeout", "10"),
            ],
        );
        check(
            "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
            &[("host", "/var/run/postgresql"), ("dbname", "d")],
        );
        check(
            "postgresql:///d?host=/tmp&port=5433&ssl=true",
            &[
                ("dbname", "d"),
                ("host", "/tmp"),
                ("port", "5433"),
                ("sslmode", "require"),
            ],
        );
    }

    #[test]
    fn pairs_come_apart_with_quotes_and_backslashes() {
        check("", &[]);
        check(
            r"host = localhost port=5433 password='a \'b\' \\ c' dbname=d\ e",
            &[
                ("host", "localhost"),
                ("port", "5433"),
                ("password", r"a 'b' \ c"),
                ("dbname", "d e"),
            ],
        );
        check("password='' user=u", &[("password", ""), ("user", "u")]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        let secrets = [
            "secret",
            "host=a secret word dbname=x",
            "password='secret",
            "postgresql://u:secret%zz@h/d",
            "postgresql://u:secret%4@h",
            "postgresql://h/d?secret",
            "postgresql://[::1/secret",
        ];
        for text in secrets {
            let error = parse(text).expect_err(text);
            assert!(error.is_configuration(), "{text}");
            assert!(
                !format!("{error:?}").contains("secret"),
                "{text}: {error:?}"
            );
        }
    }
}
