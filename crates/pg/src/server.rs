//! A server and a database on it: what was asked for, and the way to a session, host after host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::NoTls;
use tokio_postgres::config::{ChannelBinding, SslMode as ClientSslMode, SslNegotiation};

use crate::diversion::Tap;
use crate::environment::Process;
use crate::error::Error;
use crate::password_file;
use crate::session::{Channel, Session, Standing};
use crate::settings::{self, Host, Settings, SslMode, Wanted};
use crate::tap_connect::{TapOver, Unencrypted};
use crate::tls;

/// How often an idle connection is probed, so that a lost server is noticed in a minute or two.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 6;
/// How long sent data may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(90);

/// A server and database to connect to. Parsing has libpq's habits: a URL or `key=value` pairs,
/// `PG*` variables as defaults, `PGSERVICE`, `~/.pgpass`, `sslmode`, several hosts, directories
/// of Unix sockets. Neither `Display` nor `Debug` shows the password.
#[derive(Clone)]
pub struct Server {
    settings: Arc<Settings>,
}

impl Server {
    /// Reads a connection string, the files that it names and the process's environment.
    ///
    /// # Errors
    /// A malformed string, an unknown parameter, an unreadable file; the text is not repeated,
    /// since it may hold a password.
    pub fn parse(text: &str) -> Result<Server, Error> {
        let settings = settings::resolve(text, &Process)?;
        Ok(Server {
            settings: Arc::new(settings),
        })
    }

    /// What [`Server::parse`] would read, as a connection string without passwords.
    ///
    /// # Errors
    /// As [`Server::parse`].
    pub fn text_without_password(text: &str) -> Result<String, Error> {
        settings::text_without_password(text, &Process)
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Server {
        let mut settings = Settings::clone(&self.settings);
        database.clone_into(&mut settings.database);
        Server {
            settings: Arc::new(settings),
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.settings.database
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.settings.user
    }

    /// Every host is a socket directory or a loopback address. A tunnel looks local too.
    pub fn host_is_local(&self) -> bool {
        self.settings.hosts.iter().all(|host| match host.address {
            Some(address) => address.is_loopback(),
            None => {
                let address = host.name.parse::<std::net::IpAddr>();
                host.is_socket_directory()
                    || host.name == "localhost"
                    || address.is_ok_and(|address| address.is_loopback())
            }
        })
    }

    /// Opens a session: one attempt at every host in order. `purpose` is a word or two and is
    /// seen in `pg_stat_activity` as `hyperhaul <purpose>`.
    ///
    /// # Errors
    /// The last host's error. Its disposition is `Reconnect` where waiting may help.
    pub async fn connect(&self, purpose: &str) -> Result<Session, Error> {
        self.connect_any(purpose, None).await
    }

    /// As [`connect`](Server::connect), a session that is good at
    /// [`copy_out_batches`](Session::copy_out_batches): the data of COPY go past the client library. Through a
    /// directory of Unix sockets it is a session like others.
    ///
    /// # Errors
    /// As `connect`.
    pub async fn connect_for_bulk(&self, purpose: &str) -> Result<Session, Error> {
        self.connect_any(purpose, Some(&Tap::new())).await
    }

    async fn connect_any(&self, purpose: &str, tap: Option<&Tap>) -> Result<Session, Error> {
        let mut failure = None;
        let mut second_best = None;
        for host in &self.settings.hosts {
            match self.connect_host(host, purpose, tap).await {
                Ok(session) if self.suits(session.standing()) => return Ok(session),
                Ok(session) => {
                    failure = Some(self.unsuitable(host));
                    second_best = Some(session);
                }
                Err(error) => failure = Some(error),
            }
        }
        match (self.settings.wanted, second_best, failure) {
            (Wanted::PreferStandby, Some(session), _) => Ok(session),
            (_, _, Some(error)) => Err(error),
            (_, _, None) => Err(Error::configuration("no host is named")),
        }
    }

    fn suits(&self, standing: Standing) -> bool {
        match self.settings.wanted {
            Wanted::Any => true,
            Wanted::ReadWrite => !standing.is_read_only,
            Wanted::ReadOnly => standing.is_read_only,
            Wanted::Primary => !standing.is_in_recovery,
            Wanted::Standby | Wanted::PreferStandby => standing.is_in_recovery,
        }
    }

    fn unsuitable(&self, host: &Host) -> Error {
        let message = match self.settings.wanted {
            Wanted::ReadWrite => "the session is read-only",
            Wanted::ReadOnly => "the session is not read-only",
            Wanted::Primary => "the server is a standby",
            Wanted::Any | Wanted::Standby | Wanted::PreferStandby => "the server is not a standby",
        };
        // A failover may be under way: another host may become what is asked for.
        Error::connection(self.attempt(host), message)
            .with_hint("Check host and target_session_attrs.")
    }

    async fn connect_host(
        &self,
        host: &Host,
        purpose: &str,
        tap: Option<&Tap>,
    ) -> Result<Session, Error> {
        let settings = &self.settings;
        let opened = match tap {
            _ if host.is_socket_directory() => return self.connect_plainly(host, purpose).await,
            None if settings.ssl_mode == SslMode::Disable => {
                return self.connect_plainly(host, purpose).await;
            }
            Some(tap) if settings.ssl_mode == SslMode::Disable => {
                return self.connect_unencrypted(host, purpose, tap).await;
            }
            None => self.connect_with_tls(host, purpose).await,
            Some(tap) => self.connect_with_tls_and_tap(host, purpose, tap).await,
        };
        match opened {
            // A server may offer TLS and refuse it (pg_hba.conf: hostnossl, or a broken
            // certificate): `prefer` then goes on without, as libpq does.
            Err(error) if settings.ssl_mode == SslMode::Prefer && may_work_plainly(&error) => {
                let plain = match tap {
                    None => self.connect_plainly(host, purpose).await,
                    Some(tap) => self.connect_unencrypted(host, purpose, tap).await,
                };
                plain.map_err(|_| error)
            }
            opened => opened,
        }
    }

    async fn connect_with_tls(&self, host: &Host, purpose: &str) -> Result<Session, Error> {
        let attempt = self.attempt(host);
        let tls = tls::connector(&self.settings).map_err(|error| error.attempting(&*attempt))?;
        let mut config = self.client_config(host, purpose);
        config.ssl_mode(match self.settings.ssl_mode {
            SslMode::Disable | SslMode::Prefer => ClientSslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => ClientSslMode::Require,
        });
        match config.connect(tls.clone()).await {
            Ok((client, connection)) => {
                Session::open(client, connection, Channel::Tls(tls), &attempt).await
            }
            Err(error) => Err(self.failed(host, &error)),
        }
    }

    /// Requires TLS also where it is only preferred: without it, the library would leave the tap out.
    async fn connect_with_tls_and_tap(
        &self,
        host: &Host,
        purpose: &str,
        tap: &Tap,
    ) -> Result<Session, Error> {
        let attempt = self.attempt(host);
        let tls = tls::connector(&self.settings).map_err(|error| error.attempting(&*attempt))?;
        let mut config = self.client_config(host, purpose);
        config.ssl_mode(ClientSslMode::Require);
        let over = TapOver {
            tls: tls.clone(),
            tap: tap.clone(),
        };
        let connected = config.connect(over).await;
        let (client, connection) = connected.map_err(|error| self.failed(host, &error))?;
        let session = Session::open(client, connection, Channel::Tls(tls), &attempt).await?;
        Ok(session.with_tap(tap))
    }

    /// [`connect_plainly`](Server::connect_plainly) with a tap.
    async fn connect_unencrypted(
        &self,
        host: &Host,
        purpose: &str,
        tap: &Tap,
    ) -> Result<Session, Error> {
        let mut config = self.client_config(host, purpose);
        config.ssl_mode(ClientSslMode::Require);
        config.ssl_negotiation(SslNegotiation::Direct);
        let over = TapOver {
            tls: Unencrypted,
            tap: tap.clone(),
        };
        let connected = config.connect(over).await;
        let (client, connection) = connected.map_err(|error| self.failed(host, &error))?;
        let attempt = self.attempt(host);
        let session = Session::open(client, connection, Channel::Unencrypted, &attempt).await?;
        Ok(session.with_tap(tap))
    }

    async fn connect_plainly(&self, host: &Host, purpose: &str) -> Result<Session, Error> {
        let mut config = self.client_config(host, purpose);
        config.ssl_mode(ClientSslMode::Disable);
        config.ssl_negotiation(SslNegotiation::Postgres);
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| self.failed(host, &error))?;
        Session::open(client, connection, Channel::Plain, &self.attempt(host)).await
    }

    fn client_config(&self, host: &Host, purpose: &str) -> tokio_postgres::Config {
        let settings = &self.settings;
        let mut config = tokio_postgres::Config::new();
        config
            .host(&host.name)
            .port(host.port)
            .dbname(&settings.database)
            .user(&settings.user)
            .application_name(format!("hyperhaul {purpose}"))
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_PROBES);
        if let Some(address) = host.address {
            config.hostaddr(address);
        }
        if let Some(password) = self.password(host) {
            config.password(password);
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        if let Some(timeout) = settings.connect_timeout {
            config.connect_timeout(timeout);
        }
        if settings.channel_binding_required {
            config.channel_binding(ChannelBinding::Require);
        }
        if settings.direct_tls {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config
    }

    fn password(&self, host: &Host) -> Option<String> {
        let wanted = password_file::Wanted {
            host: host.password_file_name(),
            port: host.port,
            database: &self.settings.database,
            user: &self.settings.user,
        };
        let from_file = || password_file::find(self.settings.password_file.as_deref()?, &wanted);
        self.settings.password.clone().or_else(from_file)
    }

    fn attempt(&self, host: &Host) -> String {
        let Settings { database, user, .. } = &*self.settings;
        format!(
            "connect to database \"{database}\" on {} port {} as \"{user}\"",
            host.name, host.port
        )
    }

    fn failed(&self, host: &Host, error: &tokio_postgres::Error) -> Error {
        let failure = Error::from_client(self.attempt(host), error, None);
        let hint = if failure.is_authentication() || failure.message() == "password missing" {
            "Give the password in PGPASSWORD or ~/.pgpass."
        } else if failure.message() == "server does not support TLS" {
            "Use sslmode=prefer, or switch TLS on in the server."
        } else if failure.sqlstate().is_none()
            && failure.disposition() == crate::Disposition::Reconnect
        {
            "Is the server running there, and does it accept connections from here?"
        } else {
            return failure;
        };
        failure.with_hint(hint)
    }
}

/// Whether libpq would try the same host again without TLS.
fn may_work_plainly(error: &Error) -> bool {
    match error.sqlstate() {
        Some(sqlstate) => sqlstate == "28000",
        None => error.disposition() == crate::Disposition::Fix,
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self
            .settings
            .hosts
            .iter()
            .map(|host| match host.name.as_str() {
                name if name.contains(':') => format!("[{name}]:{}", host.port),
                name => format!("{name}:{}", host.port),
            })
            .collect();
        let Settings { database, user, .. } = &*self.settings;
        write!(f, "postgresql://{user}@{}/{database}", hosts.join(","))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}
