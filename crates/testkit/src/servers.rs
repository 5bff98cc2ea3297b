//! Servers: the shared ones that every test uses, and private ones that a test may crash.

use std::sync::OnceLock;

use crate::database::random_word;
use crate::{Error, script};

/// `scripts/db` takes 40 characters; a process id and a random suffix need 17 of them.
const PRIVATE_NAME_CHARS_MAX: usize = 20;

/// Which of the two servers of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// PostgreSQL 17 with TimescaleDB, PostGIS and pg_partman: where hypertables are.
    Target,
    /// The distribution's plain PostgreSQL with PostGIS and pg_partman, without TimescaleDB.
    Source,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Target => "target",
            Role::Source => "source",
        }
    }

    /// The variable by which somebody names a server of theirs.
    fn variable(self) -> &'static str {
        match self {
            Role::Target => "HYPERHAUL_TEST_URL",
            Role::Source => "HYPERHAUL_TEST_SOURCE_URL",
        }
    }
}

/// One running server.
#[derive(Debug, Clone)]
pub struct Server {
    role: Role,
    instance: Option<String>,
    url: String,
}

impl Server {
    fn find(instance: Option<&str>, role: Role) -> Result<Self, Error> {
        Ok(Self {
            role,
            instance: instance.map(str::to_owned),
            url: script::db(instance, &["url", role.word()])?,
        })
    }

    /// Connection string of the superuser, database `postgres`. It holds a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Target or source.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether `scripts/db` runs this server. One that the environment names is never touched.
    pub(crate) fn controllable(&self) -> bool {
        std::env::var_os(self.role.variable()).is_none_or(|url| url.is_empty())
    }

    pub(crate) fn script(&self, arguments: &[&str]) -> Result<String, Error> {
        script::db(self.instance.as_deref(), arguments)
    }

    pub(crate) fn word(&self) -> &'static str {
        self.role.word()
    }
}

/// Connection string of the Community edition's server that the environment names in `HYPERHAUL_COMMUNITY_URL`: superuser,
/// database `postgres`.
///
/// # Errors
///
/// [`Error::is_unavailable`] where it names none: packages have the Apache edition only.
pub fn community_url() -> Result<String, Error> {
    match std::env::var("HYPERHAUL_COMMUNITY_URL") {
        Ok(url) if !url.is_empty() => Ok(url),
        _ => Err(Error::unavailable(
            "HYPERHAUL_COMMUNITY_URL names no server of TimescaleDB's Community edition",
        )),
    }
}

/// The servers that all tests share. Nobody stops them.
#[derive(Debug)]
pub struct Servers {
    /// Where hypertables are.
    pub target: Server,
    /// Another server, of another version, without TimescaleDB.
    pub source: Server,
}

impl Servers {
    /// Starts what is not running yet, once per process; between processes `scripts/db` locks.
    ///
    /// # Errors
    ///
    /// Says why a server could not be had. The answer is remembered: every test of the process
    /// then fails alike.
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceLock<Result<Servers, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|reason| Error::new(format!("there is no server to test against: {reason}")))
    }

    fn start() -> Result<Self, Error> {
        script::db(None, &["up"])?;
        Ok(Self {
            target: Server::find(None, Role::Target)?,
            source: Server::find(None, Role::Source)?,
        })
    }
}

/// Servers of one test's own, which it may crash. Its data are on a RAM disk, and everything is removed
/// on drop.
#[derive(Debug)]
pub struct Instance {
    name: String,
    servers: Vec<Server>,
}

impl Instance {
    /// Starts new servers in these roles. `name` is for people (letters, digits, `_`, 20 at
    /// most); a suffix keeps runs apart.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] where the environment names a server for one of the roles: that
    /// one cannot be crashed.
    pub fn private(name: &str, roles: &[Role]) -> Result<Self, Error> {
        if let Some(role) = roles
            .iter()
            .find(|role| std::env::var_os(role.variable()).is_some_and(|url| !url.is_empty()))
        {
            return Err(Error::unavailable(format!(
                "{} names the {} server, and a server that is not ours is never stopped",
                role.variable(),
                role.word()
            )));
        }
        // By the process's id `scripts/db sweep` knows what a killed test left behind.
        let name: String = name.chars().take(PRIVATE_NAME_CHARS_MAX).collect();
        let process = std::process::id();
        let mut instance = Self {
            name: format!("{name}_{process}_{}", &random_word()[..8]),
            servers: Vec::new(),
        };
        for role in roles {
            script::db(Some(&instance.name), &["--ram", "up", role.word()])?;
            let server = Server::find(Some(&instance.name), *role)?;
            instance.servers.push(server);
        }
        Ok(instance)
    }

    /// The server in this role.
    ///
    /// # Panics
    ///
    /// Where the instance was made without one: a mistake in the test.
    pub fn server(&self, role: Role) -> &Server {
        match self.servers.iter().find(|server| server.role == role) {
            Some(server) => server,
            None => panic!("instance {} has no {} server", self.name, role.word()),
        }
    }

    /// Connection string of the superuser; the same after [`Instance::crash`] and
    /// [`Instance::start`].
    pub fn url(&self, role: Role) -> &str {
        self.server(role).url()
    }

    /// Stops the server at once, as in a power cut: no checkpoint, sessions are simply gone.
    pub fn crash(&self, role: Role) -> Result<(), Error> {
        self.server(role)
            .script(&["crash", role.word()])
            .map(|_| ())
    }

    /// Kills the server's first process, as the system does where memory is short. [`Instance::start`] starts it again.
    pub fn kill(&self, role: Role) -> Result<(), Error> {
        self.server(role).script(&["kill", role.word()]).map(|_| ())
    }

    /// Kills a backend: the server ends all others, recovers, and goes on by itself.
    pub fn kill_backend(&self, role: Role, pid: i32) -> Result<(), Error> {
        let pid = pid.to_string();
        let server = self.server(role);
        server.script(&["kill", role.word(), &pid]).map(|_| ())
    }

    /// Starts it again, with the same data on the same port; returns when it takes connections.
    pub fn start(&self, role: Role) -> Result<(), Error> {
        self.server(role)
            .script(&["start", role.word()])
            .map(|_| ())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = script::db(Some(&self.name), &["destroy"]) {
            eprintln!("instance {} stays behind: {error}", self.name);
        }
    }
}
