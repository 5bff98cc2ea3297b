//! A session: one backend, set up so that neither the role's nor the database's settings change
//! what statements mean or how long they may take.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Client, Connection, NoTls, Row, SimpleQueryMessage};
use tokio_postgres::{SimpleQueryRow, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::batches::CopyBatches;
use crate::copy::{CopyIn, CopyOut};
use crate::discretion::describe;
use crate::diversion::{Diversion, Tap};
use crate::error::Error;
use crate::link::Link;
use crate::notice::Notice;
use crate::tap_connect::Unencrypted;

/// The first version with `transaction_timeout`.
const TRANSACTION_TIMEOUT_VERSION_MIN: i32 = 170_000;

/// What every session sets, whatever the role, the database or `options` set before.
/// `row_security = off` makes a policy that would hide rows an error instead of a silent loss.
const SETTINGS: &str = "\
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET idle_session_timeout = 0;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET standard_conforming_strings = on;
SET quote_all_identifiers = off;
SET row_security = off;
SET search_path = '';
SET default_transaction_isolation = 'read committed';
SET default_transaction_deferrable = off;
SET default_transaction_read_only = off;
";

/// A session with one backend. All calls go one after another; dropping it closes it.
#[derive(Debug)]
pub struct Session {
    client: Client,
    link: Link,
    channel: Channel,
    backend_pid: i32,
    server_version_num: i32,
    standing: Standing,
    /// Diverts the data of COPY, where the connection has one.
    tap: Option<Tap>,
}

/// How a session reaches its server; a cancel request goes the same way.
#[derive(Clone)]
pub(crate) enum Channel {
    Plain,
    /// Plain too, and the client library takes it for direct TLS.
    Unencrypted,
    Tls(MakeRustlsConnect),
}

/// What a server is at the moment when a session opens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) is_in_recovery: bool,
    /// Before this crate's own settings: what `target_session_attrs` asks about.
    pub(crate) is_read_only: bool,
}

impl Session {
    /// Takes over a connection: drives it on the current runtime and sets the session up in one
    /// round trip.
    pub(crate) async fn open<T>(
        client: Client,
        connection: Connection<Socket, T>,
        channel: Channel,
        attempted: &str,
    ) -> Result<Session, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let version = connection
            .parameter("server_version")
            .map_or(0, version_num);
        let link = Link::drive(connection);
        let rows = match client.simple_query(&setup_sql(version)).await {
            Ok(messages) => rows_of(messages),
            Err(error) => return Err(link.explain(attempted.to_owned(), &error).await),
        };
        let field = |at: usize| rows.first().and_then(|row| row.try_get(at).ok().flatten());
        let number = |at: usize| field(at).and_then(|text| text.parse().ok());
        let (Some(backend_pid), Some(server_version_num)) = (number(0), number(1)) else {
            return Err(Error::unexpected_answer(
                attempted,
                "the server does not answer like PostgreSQL",
            ));
        };
        let standing = Standing {
            is_in_recovery: field(2) == Some("t"),
            is_read_only: field(3) == Some("on"),
        };
        Ok(Session {
            client,
            link,
            channel,
            backend_pid,
            server_version_num,
            standing,
            tap: None,
        })
    }

    /// Says which tap the connection has been given.
    pub(crate) fn with_tap(mut self, tap: &Tap) -> Session {
        self.tap = Some(tap.clone());
        self
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Runs statements in the simple protocol: several, separated by semicolons, are one
    /// transaction unless they say otherwise.
    pub async fn batch(&self, sql: &str) -> Result<(), Error> {
        match self.client.batch_execute(sql).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Runs a query and returns all its rows.
    pub async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        match self.client.query(sql, params).await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Runs a query that returns exactly one row; anything else is an error.
    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        match self.client.query_one(sql, params).await {
            Ok(row) => Ok(row),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Runs a query that returns one row or none; more is an error.
    pub async fn query_opt(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        match self.client.query_opt(sql, params).await {
            Ok(row) => Ok(row),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Runs a statement and returns the number of rows that it touched.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        match self.client.execute(sql, params).await {
            Ok(row_count) => Ok(row_count),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Runs a query in the simple protocol, which works through every pooler; values are text.
    pub(crate) async fn simple_rows(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        match self.client.simple_query(sql).await {
            Ok(messages) => Ok(rows_of(messages)),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Starts `COPY ... TO STDOUT`.
    pub async fn copy_out(&self, sql: &str) -> Result<CopyOut, Error> {
        match self.client.copy_out(sql).await {
            Ok(stream) => Ok(CopyOut::new(stream, self.link.clone(), describe(sql))),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    /// Starts `COPY ... TO STDOUT`, whose bytes come in large pieces: cheapest in a session of
    /// [`Server::connect_for_bulk`](crate::Server::connect_for_bulk).
    pub async fn copy_out_batches(&self, sql: &str) -> Result<CopyBatches, Error> {
        let diversion = self.tap.as_ref().and_then(Tap::arm);
        match self.copy_out(sql).await {
            Ok(copy) => Ok(CopyBatches::new(copy, diversion)),
            Err(error) => {
                // The server's refusal: no data will come.
                diversion.map(Diversion::end);
                Err(error)
            }
        }
    }

    /// Starts `COPY ... FROM STDIN`.
    pub async fn copy_in(&self, sql: &str) -> Result<CopyIn, Error> {
        match self.client.copy_in(sql).await {
            Ok(sink) => Ok(CopyIn::new(sink, self.link.clone(), describe(sql))),
            Err(error) => Err(self.failed(sql, &error).await),
        }
    }

    async fn failed(&self, sql: &str, error: &tokio_postgres::Error) -> Error {
        self.link.explain(describe(sql), error).await
    }

    /// The backend's process id.
    pub fn backend_pid(&self) -> i32 {
        self.backend_pid
    }

    /// `server_version_num`: 170011 is 17.11.
    pub fn server_version_num(&self) -> i32 {
        self.server_version_num
    }

    /// A handle that cancels what this session is running, usable from other tasks.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            token: self.client.cancel_token(),
            channel: self.channel.clone(),
        }
    }

    /// The connection has ended, by either side.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Takes the notices that arrived since the last call, oldest first. Only the latest few
    /// hundred are kept.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.link.notices().drain(..).collect()
    }

    /// Says goodbye to the server and waits until the connection is gone.
    pub async fn close(self) {
        let Session { client, link, .. } = self;
        drop(client);
        link.wait_for_end().await;
    }
}

fn setup_sql(version: i32) -> String {
    let mut sql = String::from(
        "SELECT pg_catalog.pg_backend_pid(), \
         pg_catalog.current_setting('server_version_num'), \
         pg_catalog.pg_is_in_recovery(), \
         pg_catalog.current_setting('transaction_read_only');\n",
    );
    if version >= TRANSACTION_TIMEOUT_VERSION_MIN {
        sql.push_str("SET transaction_timeout = 0;\n");
    }
    sql.push_str(SETTINGS);
    sql
}

fn rows_of(messages: Vec<SimpleQueryMessage>) -> Vec<SimpleQueryRow> {
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.collect()
}

/// `17.11 (Debian 17.11-1)` and `18beta1` as `server_version_num` writes them, as far as the
/// major version goes.
fn version_num(text: &str) -> i32 {
    let digits = text
        .split(|character: char| !character.is_ascii_digit())
        .next();
    digits
        .and_then(|digits| digits.parse::<i32>().ok())
        .map_or(0, |major| major * 10_000)
}

/// Cancels what a session is running. The server does not say whether it had anything to cancel.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    channel: Channel,
}

impl Canceller {
    /// Sends the request over a connection of its own.
    pub async fn cancel(&self) -> Result<(), Error> {
        let sent = match &self.channel {
            Channel::Plain => self.token.cancel_query(NoTls).await,
            Channel::Unencrypted => self.token.cancel_query(Unencrypted).await,
            Channel::Tls(tls) => self.token.cancel_query(tls.clone()).await,
        };
        sent.map_err(|error| Error::from_client("cancel a running statement", &error, None))
    }
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canceller")
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Channel::Plain => "Plain",
            Channel::Unencrypted => "Unencrypted",
            Channel::Tls(_) => "Tls",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_servers_announce() {
        assert_eq!(version_num("17.11 (Debian 17.11-0+deb13u1)"), 170_000);
        assert_eq!(version_num("18beta1"), 180_000);
        assert_eq!(version_num("unknown"), 0);
    }

    #[test]
    fn transaction_timeout_is_set_only_where_the_server_has_it() {
        assert!(!setup_sql(160_000).contains("transaction_timeout"));
        assert!(setup_sql(170_000).contains("SET transaction_timeout = 0;"));
    }
}
