//! Connection strings with one part changed: another database, another role, a proxy's port.
//!
//! Both of libpq's forms are understood as far as tests need it; everything that is not changed is kept.

use tokio_postgres::config::{Config, Host};

use crate::Error;

/// Where a server is and how to log in there.
#[derive(Clone)]
pub struct ServerUrl {
    host: String,
    port: u16,
    user: String,
    password: String,
    database: String,
    /// What follows the `?` of a URL; empty for the other form, whose other keywords tests don't use.
    options: String,
}

impl ServerUrl {
    /// Takes a connection string apart. Only one host over TCP: tests have no use for more.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            Error::new("the connection string is not understood").because(error)
        })?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            _ => {
                return Err(Error::new(
                    "the connection string must name exactly one host, reached over TCP",
                ));
            }
        };
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or("postgres").to_owned(),
            password: text(config.get_password()),
            database: config.get_dbname().unwrap_or("postgres").to_owned(),
            options: url
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('?'))
                .map(|(_, options)| options.to_owned())
                .unwrap_or_default(),
        })
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(mut self, database: &str) -> Self {
        self.database = database.to_owned();
        self
    }

    /// The same server, another role.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        self.user = user.to_owned();
        self.password = password.to_owned();
        self
    }

    /// The same login somewhere else, for example at a proxy.
    #[must_use]
    pub fn with_address(mut self, host: &str, port: u16) -> Self {
        self.host = host.to_owned();
        self.port = port;
        self
    }

    /// Host name or address, and port.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// For messages: without the password.
    pub(crate) fn shown(&self) -> String {
        format!(
            "{}@{}:{}/{}",
            self.user, self.host, self.port, self.database
        )
    }
}

impl std::fmt::Display for ServerUrl {
    /// The whole connection string, with the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "postgresql://{}", percent_encoded(&self.user))?;
        if !self.password.is_empty() {
            write!(formatter, ":{}", percent_encoded(&self.password))?;
        }
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let database = percent_encoded(&self.database);
        write!(formatter, "@{host}:{}/{database}", self.port)?;
        if !self.options.is_empty() {
            write!(formatter, "?{}", self.options)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown())
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn one_part_changes_and_the_rest_is_kept() {
        let url = ServerUrl::parse(
            "postgresql://me:p%40ss@db.example:6000/old?application_name=x&connect_timeout=3",
        )
        .unwrap();
        assert_eq!(
            url.clone().with_database("new \"db\"é").to_string(),
            "postgresql://me:p%40ss@db.example:6000/new%20%22db%22%C3%A9?application_name=x&connect_timeout=3"
        );
        assert_eq!(
            url.clone()
                .with_login("you", "")
                .with_address("::1", 7)
                .to_string(),
            "postgresql://you@[::1]:7/old?application_name=x&connect_timeout=3"
        );
        assert_eq!(format!("{url:?}"), "me@db.example:6000/old");
    }

    #[test]
    fn the_keyword_form_becomes_a_url() {
        let url =
            ServerUrl::parse("host=127.0.0.1 port=15432 user=postgres password='a b'").unwrap();
        assert_eq!(
            url.to_string(),
            "postgresql://postgres:a%20b@127.0.0.1:15432/postgres"
        );
    }

    #[test]
    fn a_url_without_one_tcp_host_is_refused() {
        for url in ["host=/run/postgresql", "postgresql://a,b/x", "nonsense"] {
            assert!(ServerUrl::parse(url).is_err(), "{url}");
        }
    }
}
