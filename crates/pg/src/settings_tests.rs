//! Tests of `settings`: precedence and habits, in surroundings that are made up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::environment::FileText;

/// Surroundings made of lists: variables and files that are private to their owner.
#[derive(Default)]
struct MadeUp {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
    open_files: HashMap<&'static str, &'static str>,
}

impl MadeUp {
    fn new(variables: &[(&'static str, &'static str)]) -> MadeUp {
        let mut variables: HashMap<_, _> = variables.iter().copied().collect();
        variables.insert("HOME", "/home/me");
        MadeUp {
            variables,
            ..MadeUp::default()
        }
    }

    fn with_file(mut self, path: &'static str, text: &'static str) -> MadeUp {
        self.files.insert(path, text);
        self
    }
}

impl Environment for MadeUp {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|&value| value.to_owned())
    }

    fn file(&self, path: &Path) -> io::Result<Option<FileText>> {
        let path = path.to_str().unwrap();
        let closed = self.files.get(path).map(|text| (text, false));
        let found = closed.or_else(|| self.open_files.get(path).map(|text| (text, true)));
        Ok(found.map(|(&text, is_open_to_others)| FileText {
            text: text.to_owned(),
            is_open_to_others,
        }))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path.to_str().unwrap())
    }

    fn user_name(&self) -> Option<String> {
        Some("me".to_owned())
    }
}

fn settings(text: &str, environment: &MadeUp) -> Settings {
    resolve(text, environment)
        .map_err(|error| error.to_string())
        .unwrap()
}

fn refusal(text: &str, environment: &MadeUp) -> String {
    match resolve(text, environment) {
        Ok(_) => panic!("{text} was accepted"),
        Err(error) => error.message().to_owned(),
    }
}

fn names_and_ports(settings: &Settings) -> Vec<(&str, u16)> {
    settings
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), host.port))
        .collect()
}

#[test]
fn what_is_stored_says_everything_but_secrets() {
    let surroundings = MadeUp::new(&[("PGPASSWORD", "hidden"), ("PGSSLMODE", "require")]);
    let text = text_without_password("postgresql://me:secret@db:5433/so%20ar", &surroundings);
    let text = text.unwrap();
    assert_eq!(
        text,
        "dbname='so ar' host=db port=5433 sslmode=require user=me"
    );
    let again = text_without_password(&text, &MadeUp::new(&[])).unwrap();
    assert_eq!(again, text);
}

#[test]
fn nothing_given_means_libpq_s_defaults() {
    let seen = settings("", &MadeUp::new(&[]));
    assert_eq!(names_and_ports(&seen), [("/var/run/postgresql", 5432)]);
    assert_eq!((seen.user.as_str(), seen.database.as_str()), ("me", "me"));
    assert_eq!(seen.ssl_mode, SslMode::Prefer);
    assert_eq!((seen.wanted, seen.connect_timeout), (Wanted::Any, None));
    assert_eq!((seen.password, seen.options), (None, None));
}

#[test]
fn a_socket_is_found_where_the_server_put_it() {
    let environment = MadeUp::new(&[("PGPORT", "5433")]).with_file("/tmp/.s.PGSQL.5433", "");
    assert_eq!(
        names_and_ports(&settings("", &environment)),
        [("/tmp", 5433)]
    );
}

#[test]
fn the_string_beats_the_service_and_the_service_beats_the_environment() {
    let environment = MadeUp::new(&[
        ("PGSERVICE", "prod"),
        ("PGHOST", "env-host"),
        ("PGPORT", "1111"),
        ("PGUSER", "env-user"),
        ("PGDATABASE", "env-db"),
        ("PGOPTIONS", "-c work_mem=1MB"),
    ])
    .with_file(
        "/home/me/.pg_service.conf",
        "[prod]\nhost=service-host\nport=2222\nuser=service-user\n",
    );
    let seen = settings("postgresql://string-host/", &environment);
    assert_eq!(names_and_ports(&seen), [("string-host", 2222)]);
    assert_eq!(
        (seen.user.as_str(), seen.database.as_str()),
        ("service-user", "env-db")
    );
    assert_eq!(seen.options.as_deref(), Some("-c work_mem=1MB"));
}

#[test]
fn a_service_named_in_the_string_is_looked_up_in_both_files() {
    let environment = MadeUp::new(&[("PGSERVICE", "absent"), ("PGSYSCONFDIR", "/etc/pg")])
        .with_file("/home/me/.pg_service.conf", "[other]\nhost=a\n")
        .with_file("/etc/pg/pg_service.conf", "[shared]\nhost=b\n");
    assert_eq!(
        names_and_ports(&settings("service=shared", &environment)),
        [("b", 5432)]
    );
    assert_eq!(
        refusal("", &environment),
        "definition of service \"absent\" not found"
    );
}

#[test]
fn a_later_value_wins_and_an_empty_one_means_unset() {
    let environment = MadeUp::new(&[("PGUSER", ""), ("PGPASSWORD", "from-env")]);
    let seen = settings("host=a host=b user=x user='' dbname=d", &environment);
    assert_eq!(names_and_ports(&seen), [("b", 5432)]);
    assert_eq!(seen.user, "me");
    assert_eq!(seen.password.as_deref(), Some("from-env"));
}

#[test]
fn several_hosts_share_one_port_or_have_one_each() {
    let environment = MadeUp::new(&[]);
    let shared = settings("host=a,b port=6000", &environment);
    assert_eq!(names_and_ports(&shared), [("a", 6000), ("b", 6000)]);
    let own = settings("postgresql://a:1,b,[::1]:3/d", &environment);
    assert_eq!(names_and_ports(&own), [("a", 1), ("b", 5432), ("::1", 3)]);
    assert_eq!(
        refusal("host=a,b port=1,2,3", &environment),
        "3 ports for 2 hosts"
    );
}

#[test]
fn an_address_goes_with_its_name() {
    let seen = settings("host=db.example hostaddr=10.0.0.1", &MadeUp::new(&[]));
    assert_eq!(seen.hosts[0].name, "db.example");
    assert_eq!(seen.hosts[0].address, Some("10.0.0.1".parse().unwrap()));
    let seen = settings("hostaddr=10.0.0.1", &MadeUp::new(&[]));
    assert_eq!(seen.hosts[0].name, "10.0.0.1");
}

#[test]
fn the_password_file_is_read_only_where_it_is_private() {
    let line = "localhost:*:*:*:from-file";
    let private = MadeUp::new(&[]).with_file("/home/me/.pgpass", line);
    assert_eq!(settings("", &private).password_file.as_deref(), Some(line));
    let mut open = MadeUp::new(&[("PGPASSFILE", "/p")]);
    open.open_files.insert("/p", line);
    assert_eq!(settings("", &open).password_file, None);
}

#[test]
fn a_default_socket_directory_is_localhost_in_the_password_file() {
    let seen = settings("host=/var/run/postgresql,/srv/pg", &MadeUp::new(&[]));
    let names: Vec<_> = seen.hosts.iter().map(Host::password_file_name).collect();
    assert_eq!(names, ["localhost", "/srv/pg"]);
}

#[test]
fn sslmode_follows_libpq_with_and_without_root_certificates() {
    let bare = MadeUp::new(&[]);
    for (word, mode) in [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Prefer),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ] {
        let seen = settings(&format!("sslmode={word}"), &bare);
        assert_eq!((seen.ssl_mode, seen.roots), (mode, Roots::System), "{word}");
    }
    let named = settings("sslmode=require sslrootcert=/ca.pem", &bare);
    assert_eq!(
        (named.ssl_mode, named.roots),
        (SslMode::VerifyCa, Roots::File("/ca.pem".into()))
    );
    let own = MadeUp::new(&[]).with_file("/home/me/.postgresql/root.crt", "");
    assert_eq!(
        settings("sslmode=require", &own).ssl_mode,
        SslMode::VerifyCa
    );
    let system = settings("sslrootcert=system", &bare);
    assert_eq!(
        (system.ssl_mode, system.roots),
        (SslMode::VerifyFull, Roots::System)
    );
}

#[test]
fn protections_that_are_not_there_are_refused_not_ignored() {
    let environment = MadeUp::new(&[]);
    for (text, message) in [
        (
            "sslmode=require sslrootcert=system",
            "a weak sslmode may not be used with sslrootcert=system",
        ),
        (
            "sslcrl=/x",
            "certificate revocation lists (sslcrl) are not supported",
        ),
        ("gssencmode=require", "gssencmode=require is not supported"),
        ("sslmode=on", "invalid sslmode value \"on\""),
        ("sslcert=/nowhere", "cannot find sslcert \"/nowhere\""),
        ("host=a portt=1", "unknown connection parameter \"portt\""),
        ("port=70000", "a port is not a number between 1 and 65535"),
        (
            "hostaddr=name",
            "hostaddr \"name\" is not a numeric address",
        ),
        (
            "connect_timeout=soon",
            "invalid connect_timeout value \"soon\"",
        ),
    ] {
        assert_eq!(refusal(text, &environment), message, "{text}");
    }
}

#[test]
fn a_timeout_of_zero_is_none_and_one_second_is_two() {
    let environment = MadeUp::new(&[]);
    for (text, expected) in [
        ("connect_timeout=0", None),
        ("connect_timeout=-1", None),
        ("connect_timeout=1", Some(Duration::from_secs(2))),
        ("connect_timeout=10", Some(Duration::from_secs(10))),
    ] {
        assert_eq!(
            settings(text, &environment).connect_timeout,
            expected,
            "{text}"
        );
    }
}

#[test]
fn session_attributes_are_taken_by_their_names() {
    let environment = MadeUp::new(&[("PGTARGETSESSIONATTRS", "prefer-standby")]);
    assert_eq!(settings("", &environment).wanted, Wanted::PreferStandby);
    let seen = settings("target_session_attrs=read-write", &environment);
    assert_eq!(seen.wanted, Wanted::ReadWrite);
}
