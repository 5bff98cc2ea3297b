//! A database of one test's own, gone when the test ends, however it ends.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex};

use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Row};

use crate::connection::{connect, quoted, run_blocking};
use crate::owner::{OwnerRole, RoleInServer};
use crate::{Error, ServerUrl};

/// A database with a unique name. Dropping this drops it, sessions and all, and then the roles that were made for it.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    server_url: String,
    /// Roles go after the databases in which they own or may do something.
    roles: Mutex<Vec<Arc<RoleInServer>>>,
}

impl TestDatabase {
    /// Creates `PREFIX_RANDOM` on the server. `prefix` may hold capitals, spaces and quotes, and
    /// is cut to fit.
    pub async fn create(server_url: &str, prefix: &str) -> Result<Self, Error> {
        Self::create_in(server_url, prefix, "pg_default").await
    }

    /// [`TestDatabase::create`] with all its files in another tablespace from the start: TimescaleDB's launcher looks into a
    /// new database at a moment of its own, and no session may be in one that is moved.
    pub async fn create_in(
        server_url: &str,
        prefix: &str,
        tablespace: &str,
    ) -> Result<Self, Error> {
        // 63 bytes are an identifier's limit (PostgreSQL's NAMEDATALEN - 1), 17 are for the suffix.
        let mut prefix = prefix;
        while prefix.len() > 63 - 17 {
            prefix = prefix
                .char_indices()
                .next_back()
                .map_or("", |(at, _)| &prefix[..at]);
        }
        let name = format!("{prefix}_{}", random_word());
        let url = ServerUrl::parse(server_url)?
            .with_database(&name)
            .to_string();
        let client = connect(server_url).await?;
        // Not template1: TimescaleDB's launcher looks into it, and a template must have no sessions.
        client
            .batch_execute(&format!(
                "CREATE DATABASE {} TEMPLATE template0 TABLESPACE {}",
                quoted(&name),
                quoted(tablespace)
            ))
            .await
            .map_err(|error| {
                Error::new(format!("could not create database {name}")).because(error)
            })?;
        Ok(Self {
            name,
            url,
            server_url: server_url.to_owned(),
            roles: Mutex::new(Vec::new()),
        })
    }

    /// Installs extensions, in this order; `pg_partman` goes into a schema `partman`.
    pub async fn install_extensions(&self, extensions: &[&str]) -> Result<(), Error> {
        for extension in extensions {
            if *extension == "pg_partman" {
                self.exec("CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman")
                    .await?;
            } else {
                self.exec(&format!("CREATE EXTENSION {}", quoted(extension)))
                    .await?;
            }
        }
        Ok(())
    }

    /// [`TestDatabase::install_extensions`], for use behind [`TestDatabase::create`].
    pub async fn with_extensions(self, extensions: &[&str]) -> Result<Self, Error> {
        self.install_extensions(extensions).await?;
        Ok(self)
    }

    /// The database's name, not quoted.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connection string of the role that created the database, by default the superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connection string of another role.
    pub fn url_as(&self, role: &OwnerRole) -> Result<String, Error> {
        Ok(ServerUrl::parse(&self.url)?
            .with_login(role.name(), role.password())
            .to_string())
    }

    /// A new session. It ends with the client.
    pub async fn connect(&self) -> Result<Client, Error> {
        connect(&self.url).await
    }

    /// A new session of another role.
    pub async fn connect_as(&self, role: &OwnerRole) -> Result<Client, Error> {
        connect(&self.url_as(role)?).await
    }

    /// Runs statements in a session of their own. Several become one transaction, as PostgreSQL has it.
    pub async fn exec(&self, sql: &str) -> Result<(), Error> {
        let client = self.connect().await?;
        client
            .batch_execute(sql)
            .await
            .map_err(|error| failed(sql, error))
    }

    /// All rows of a query, in a session of its own.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let client = self.connect().await?;
        client
            .query(sql, parameters)
            .await
            .map_err(|error| failed(sql, error))
    }

    /// The only row of a query; none or several are an error.
    pub async fn query_one(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        let client = self.connect().await?;
        client
            .query_one(sql, parameters)
            .await
            .map_err(|error| failed(sql, error))
    }

    /// The first column of the only row of a query.
    pub async fn value<T: FromSqlOwned>(&self, sql: &str) -> Result<T, Error> {
        self.query_one(sql, &[])
            .await?
            .try_get(0)
            .map_err(|error| failed(sql, error))
    }

    /// The first column of all rows of a query.
    pub async fn values<T: FromSqlOwned>(&self, sql: &str) -> Result<Vec<T>, Error> {
        self.query(sql, &[])
            .await?
            .iter()
            .map(|row| row.try_get(0).map_err(|error| failed(sql, error)))
            .collect()
    }

    /// A new role that may log in and nothing else: no superuser, owner of nothing. Dropped after the
    /// database.
    pub async fn owner_role(&self) -> Result<OwnerRole, Error> {
        let role = OwnerRole::create(&self.server_url).await?;
        self.know(&role);
        Ok(role)
    }

    /// Lets the role create schemas in this database.
    pub async fn grant_create(&self, role: &OwnerRole) -> Result<(), Error> {
        self.know(role);
        self.exec(&format!(
            "GRANT CREATE ON DATABASE {} TO {}",
            quoted(&self.name),
            quoted(role.name())
        ))
        .await
    }

    /// Makes the role the owner of a schema, `public` in most tests.
    pub async fn give_schema(&self, role: &OwnerRole, schema: &str) -> Result<(), Error> {
        self.know(role);
        self.exec(&format!(
            "ALTER SCHEMA {} OWNER TO {}",
            quoted(schema),
            quoted(role.name())
        ))
        .await
    }

    /// Makes the role the owner of the database itself.
    pub async fn give_database(&self, role: &OwnerRole) -> Result<(), Error> {
        self.know(role);
        self.exec(&format!(
            "ALTER DATABASE {} OWNER TO {}",
            quoted(&self.name),
            quoted(role.name())
        ))
        .await
    }

    /// Keeps the role in being for as long as this database may depend on it.
    fn know(&self, role: &OwnerRole) {
        if let Ok(mut roles) = self.roles.lock() {
            roles.push(role.share());
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            quoted(&self.name)
        );
        if let Err(error) = run_blocking(&self.server_url, &[statement]) {
            eprintln!("database {} stays behind: {error}", self.name);
        }
    }
}

fn failed(sql: &str, error: tokio_postgres::Error) -> Error {
    let start: String = sql.chars().take(200).collect();
    Error::new(format!("\"{}\" failed", start.trim())).because(error)
}

/// Sixteen hexadecimal digits that no other test has, in this process or another.
pub(crate) fn random_word() -> String {
    // Each `RandomState` of a process differs, and the first is seeded by the operating system.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}
