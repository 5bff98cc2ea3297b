//! Where parameters come from: the connection string first, then the service file, then the
//! environment, as in libpq. Unknown parameters are refused; those that libpq knows and that mean
//! nothing here are accepted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::connection_string::Parameters;
use crate::environment::Environment;
use crate::error::Error;
use crate::service_file;

/// Debian's place for a system-wide service file.
const SYSTEM_SERVICE_DIRECTORY: &str = "/etc/postgresql-common";

/// Parameters that are used here, each with its environment variable.
const USED: [(&str, &str); 20] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("options", "PGOPTIONS"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcrl", "PGSSLCRL"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
];

/// Parameters of libpq that change nothing here: names that sessions set themselves, and
/// settings of libraries that are not in use.
const ACCEPTED: [&str; 19] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
    "sslsni",
    "sslpassword",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "min_protocol_version",
    "max_protocol_version",
    "sslcertmode",
];

/// Parameters that are never shown; a service's parameters stand beside its name already.
const SECRET: [&str; 3] = ["password", "sslpassword", "service"];

/// Parameters after the sources were laid over each other. Empty values count as unset.
pub(crate) struct Merged(BTreeMap<String, String>);

impl Merged {
    pub(crate) fn collect(
        given: Parameters,
        environment: &dyn Environment,
    ) -> Result<Merged, Error> {
        let mut merged = Merged(BTreeMap::new());
        merged.fill(given)?;
        let service = merged.get("service").map(str::to_owned);
        if let Some(service) = service.or_else(|| environment.variable("PGSERVICE")) {
            merged.fill_unset(service_parameters(&service, environment)?)?;
        }
        for (key, variable) in USED {
            if let Some(value) = environment.variable(variable) {
                merged.0.entry(key.to_owned()).or_insert(value);
            }
        }
        Ok(merged)
    }

    fn fill(&mut self, parameters: Parameters) -> Result<(), Error> {
        for (key, value) in parameters {
            check_known(&key)?;
            if value.is_empty() {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value);
            }
        }
        Ok(())
    }

    fn fill_unset(&mut self, parameters: Parameters) -> Result<(), Error> {
        for (key, value) in parameters {
            check_known(&key)?;
            if !value.is_empty() {
                self.0.entry(key).or_insert(value);
            }
        }
        Ok(())
    }

    /// As `key=value` pairs, without what is secret.
    pub(crate) fn text_without_secrets(&self) -> String {
        let public = self
            .0
            .iter()
            .filter(|(key, _)| !SECRET.contains(&key.as_str()));
        let pair = |(key, value): (&String, &String)| format!("{key}={}", quoted(value));
        public.map(pair).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// One of several words; the first is the default.
    pub(crate) fn choose<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, Error> {
        let value = self.get(key).unwrap_or(choices[0].0);
        choices
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                Error::configuration(format!("invalid {key} value \"{value}\""))
                    .with_hint(format!("Use one of {}.", words.join(", ")))
            })
    }
}

/// A value as a connection string has it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.:,@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn check_known(key: &str) -> Result<(), Error> {
    let used = USED.iter().any(|(known, _)| *known == key);
    if used || ACCEPTED.contains(&key) {
        return Ok(());
    }
    Err(
        Error::configuration(format!("unknown connection parameter \"{key}\"")).with_hint(
            "The parameters are those of libpq: host, port, dbname, user, sslmode and so on.",
        ),
    )
}

fn service_parameters(service: &str, environment: &dyn Environment) -> Result<Parameters, Error> {
    let own = environment
        .variable("PGSERVICEFILE")
        .map(PathBuf::from)
        .or_else(|| environment.home().map(|home| home.join(".pg_service.conf")));
    let system = environment
        .variable("PGSYSCONFDIR")
        .unwrap_or_else(|| SYSTEM_SERVICE_DIRECTORY.to_owned());
    let system = Path::new(&system).join("pg_service.conf");
    for path in own.into_iter().chain([system]) {
        let Some(text) = read(&path, environment)? else {
            continue;
        };
        let found = service_file::find(&text, service).map_err(|line| {
            Error::configuration(format!("syntax error in {}, line {line}", path.display()))
        })?;
        if let Some(parameters) = found {
            return Ok(parameters);
        }
    }
    Err(
        Error::configuration(format!("definition of service \"{service}\" not found"))
            .with_hint("Look into the file that PGSERVICEFILE names, or ~/.pg_service.conf."),
    )
}

fn read(path: &Path, environment: &dyn Environment) -> Result<Option<String>, Error> {
    let file = environment.file(path).map_err(|error| {
        Error::configuration(format!("cannot read {}: {error}", path.display()))
    })?;
    Ok(file.map(|file| file.text))
}
