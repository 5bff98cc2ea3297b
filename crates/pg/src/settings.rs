//! From parameters to settings: what the merged parameters mean, with libpq's defaults. Where they
//! come from is `parameters`' business.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::connection_string;
use crate::environment::Environment;
use crate::error::Error;
use crate::parameters::Merged;

/// libpq's default port.
const PORT_DEFAULT: u16 = 5432;
/// Where servers put their sockets: Debian's and Red Hat's place, then PostgreSQL's own.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// libpq's smallest connection timeout.
const CONNECT_TIMEOUT_SECONDS_MIN: u64 = 2;

/// How far the connection is protected; libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    /// Also `allow`: with TLS where the server offers it, unverified.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Where the trusted certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// The operating system's.
    System,
    /// A file in PEM form.
    File(PathBuf),
}

/// A client certificate and its key, both in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Which kind of server is wanted; libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name, a numeric address, or a directory with a socket.
    pub(crate) name: String,
    /// The address to use instead of resolving the name.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn is_socket_directory(&self) -> bool {
        self.address.is_none() && self.name.starts_with('/')
    }

    /// The name that a line of the password file has to match.
    pub(crate) fn password_file_name(&self) -> &str {
        if SOCKET_DIRECTORIES.contains(&self.name.as_str()) {
            "localhost"
        } else {
            &self.name
        }
    }
}

/// Everything that is needed to connect.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) hosts: Vec<Host>,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    /// The text of the password file, looked at for each host.
    pub(crate) password_file: Option<String>,
    pub(crate) options: Option<String>,
    /// The limit of one attempt at one address; none means none.
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) ssl_mode: SslMode,
    pub(crate) roots: Roots,
    pub(crate) identity: Option<Identity>,
    pub(crate) channel_binding_required: bool,
    pub(crate) direct_tls: bool,
    pub(crate) wanted: Wanted,
}

/// A connection string in its environment, as text that may be shown and stored: all that was given but secrets.
pub(crate) fn text_without_password(
    text: &str,
    environment: &dyn Environment,
) -> Result<String, Error> {
    let merged = Merged::collect(connection_string::parse(text)?, environment)?;
    Ok(merged.text_without_secrets())
}

/// Reads a connection string in its environment.
pub(crate) fn resolve(text: &str, environment: &dyn Environment) -> Result<Settings, Error> {
    let merged = Merged::collect(connection_string::parse(text)?, environment)?;
    refuse_unsupported(&merged)?;
    let user = match merged
        .get("user")
        .map(str::to_owned)
        .or_else(|| environment.user_name())
    {
        Some(user) => user,
        None => {
            return Err(Error::configuration("no user is named").with_hint("Set user or PGUSER."));
        }
    };
    let (ssl_mode, roots) = tls_trust(&merged, environment)?;
    Ok(Settings {
        hosts: hosts(&merged, environment)?,
        database: merged.get("dbname").unwrap_or(&user).to_owned(),
        user,
        password: merged.get("password").map(str::to_owned),
        password_file: password_file(&merged, environment)?,
        options: merged.get("options").map(str::to_owned),
        connect_timeout: connect_timeout(&merged)?,
        ssl_mode,
        roots,
        identity: identity(&merged, environment)?,
        channel_binding_required: merged.choose(
            "channel_binding",
            &[("prefer", false), ("disable", false), ("require", true)],
        )?,
        direct_tls: merged.choose("sslnegotiation", &[("postgres", false), ("direct", true)])?,
        wanted: merged.choose(
            "target_session_attrs",
            &[
                ("any", Wanted::Any),
                ("read-write", Wanted::ReadWrite),
                ("read-only", Wanted::ReadOnly),
                ("primary", Wanted::Primary),
                ("standby", Wanted::Standby),
                ("prefer-standby", Wanted::PreferStandby),
            ],
        )?,
    })
}

/// What is asked for must happen or be refused: a protection is never left out silently.
fn refuse_unsupported(merged: &Merged) -> Result<(), Error> {
    if merged.get("sslcrl").is_some() {
        return Err(Error::configuration(
            "certificate revocation lists (sslcrl) are not supported",
        ));
    }
    if merged.get("gssencmode") == Some("require") {
        return Err(Error::configuration("gssencmode=require is not supported")
            .with_hint("Use TLS: gssencmode=disable sslmode=verify-full."));
    }
    if !matches!(merged.get("load_balance_hosts"), None | Some("disable")) {
        return Err(Error::configuration("load_balance_hosts is not supported")
            .with_hint("Name one server: all sessions of a run must see the same database."));
    }
    Ok(())
}

fn password_file(merged: &Merged, environment: &dyn Environment) -> Result<Option<String>, Error> {
    let named = merged.get("passfile").map(PathBuf::from);
    let Some(path) = named.or_else(|| environment.home().map(|home| home.join(".pgpass"))) else {
        return Ok(None);
    };
    let file = environment.file(&path).map_err(|error| {
        Error::configuration(format!("cannot read {}: {error}", path.display()))
    })?;
    match file {
        Some(file) if file.is_open_to_others => {
            tracing::warn!(
                "password file {} is open to others and is not used; run chmod 600",
                path.display()
            );
            Ok(None)
        }
        Some(file) => Ok(Some(file.text)),
        None => Ok(None),
    }
}

fn hosts(merged: &Merged, environment: &dyn Environment) -> Result<Vec<Host>, Error> {
    let split = |key: &str| -> Vec<String> {
        merged
            .get(key)
            .map(|list| list.split(',').map(|item| item.trim().to_owned()).collect())
            .unwrap_or_default()
    };
    let (names, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    let count = names.len().max(addresses.len()).max(1);
    let ports = ports
        .iter()
        .map(|port| parse_port(port))
        .collect::<Result<Vec<_>, _>>()?;
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::configuration(format!(
            "{} ports for {count} hosts",
            ports.len()
        )));
    }
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        let message = format!(
            "{} host names for {} addresses",
            names.len(),
            addresses.len()
        );
        return Err(Error::configuration(message));
    }
    (0..count)
        .map(|index| {
            let port = *ports.get(index).or(ports.first()).unwrap_or(&PORT_DEFAULT);
            let address = addresses.get(index).filter(|address| !address.is_empty());
            let name = names
                .get(index)
                .filter(|name| !name.is_empty())
                .or(address)
                .cloned();
            Ok(Host {
                name: name.unwrap_or_else(|| default_host(port, environment)),
                address: address.map(|address| parse_address(address)).transpose()?,
                port,
            })
        })
        .collect()
}

/// What is wrong is not repeated: it may be a piece of a password with a `/` in it.
fn parse_port(text: &str) -> Result<u16, Error> {
    if text.is_empty() {
        return Ok(PORT_DEFAULT);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        Error::configuration("a port is not a number between 1 and 65535")
            .with_hint("If a password in a URL holds / ? # or @, percent-encode these.")
    })
}

fn parse_address(text: &str) -> Result<IpAddr, Error> {
    text.parse()
        .map_err(|_| Error::configuration(format!("hostaddr \"{text}\" is not a numeric address")))
}

/// The directory that holds the server's socket, else the first that usually does.
fn default_host(port: u16, environment: &dyn Environment) -> String {
    let with_socket = SOCKET_DIRECTORIES.iter().find(|directory| {
        environment.exists(&Path::new(directory).join(format!(".s.PGSQL.{port}")))
    });
    (*with_socket.unwrap_or(&SOCKET_DIRECTORIES[0])).to_owned()
}

fn connect_timeout(merged: &Merged) -> Result<Option<Duration>, Error> {
    let Some(text) = merged.get("connect_timeout") else {
        return Ok(None);
    };
    let seconds: i64 = text
        .parse()
        .map_err(|_| Error::configuration(format!("invalid connect_timeout value \"{text}\"")))?;
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.max(CONNECT_TIMEOUT_SECONDS_MIN))))
}

/// The mode and the certificates to trust. As in libpq, `require` verifies the chain where a
/// file of root certificates is there, and `sslrootcert=system` means `verify-full`.
fn tls_trust(merged: &Merged, environment: &dyn Environment) -> Result<(SslMode, Roots), Error> {
    let mode = merged.choose(
        "sslmode",
        &[
            ("prefer", SslMode::Prefer),
            ("allow", SslMode::Prefer),
            ("disable", SslMode::Disable),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?;
    match merged.get("sslrootcert") {
        Some("system") => match mode {
            SslMode::VerifyFull => Ok((mode, Roots::System)),
            _ if merged.get("sslmode").is_none() => Ok((SslMode::VerifyFull, Roots::System)),
            _ => Err(Error::configuration(
                "a weak sslmode may not be used with sslrootcert=system",
            )
            .with_hint("Use sslmode=verify-full.")),
        },
        Some(path) => Ok((verified_if_required(mode), Roots::File(PathBuf::from(path)))),
        None => {
            let own = environment
                .home()
                .map(|home| home.join(".postgresql/root.crt"));
            match own.filter(|path| environment.exists(path)) {
                Some(path) => Ok((verified_if_required(mode), Roots::File(path))),
                None => Ok((mode, Roots::System)),
            }
        }
    }
}

fn verified_if_required(mode: SslMode) -> SslMode {
    if mode == SslMode::Require {
        SslMode::VerifyCa
    } else {
        mode
    }
}

fn identity(merged: &Merged, environment: &dyn Environment) -> Result<Option<Identity>, Error> {
    let file = |key: &str, name: &str| {
        let default = || Some(environment.home()?.join(".postgresql").join(name));
        merged.get(key).map(PathBuf::from).or_else(default)
    };
    let certificate = file("sslcert", "postgresql.crt");
    let Some(certificate) = certificate.filter(|path| environment.exists(path)) else {
        return match merged.get("sslcert") {
            Some(path) => Err(Error::configuration(format!(
                "cannot find sslcert \"{path}\""
            ))),
            None => Ok(None),
        };
    };
    match file("sslkey", "postgresql.key").filter(|path| environment.exists(path)) {
        Some(key) => Ok(Some(Identity { certificate, key })),
        None => Err(Error::configuration(format!(
            "certificate {} is there, but its private key is not",
            certificate.display()
        ))
        .with_hint("Name it with sslkey or PGSSLKEY.")),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
