//! A role without privileges, for what must work without a superuser.

use std::sync::Arc;

use crate::Error;
use crate::connection::{connect, quoted, run_blocking};
use crate::database::random_word;

/// A role with LOGIN and a password, and nothing more. It is dropped when neither this nor any
/// database that knows it is left.
#[derive(Debug, Clone)]
pub struct OwnerRole {
    role: Arc<RoleInServer>,
}

/// The role itself; its drop is the role's.
#[derive(Debug)]
pub(crate) struct RoleInServer {
    name: String,
    password: String,
    server_url: String,
}

impl OwnerRole {
    pub(crate) async fn create(server_url: &str) -> Result<Self, Error> {
        let role = RoleInServer {
            name: format!("owner_{}", random_word()),
            password: random_word(),
            server_url: server_url.to_owned(),
        };
        let client = connect(server_url).await?;
        client
            .batch_execute(&format!(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{}'",
                quoted(&role.name),
                role.password
            ))
            .await
            .map_err(|error| Error::new("could not create a role").because(error))?;
        Ok(Self {
            role: Arc::new(role),
        })
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        &self.role.name
    }

    /// The role's password.
    pub fn password(&self) -> &str {
        &self.role.password
    }

    pub(crate) fn share(&self) -> Arc<RoleInServer> {
        Arc::clone(&self.role)
    }
}

impl Drop for RoleInServer {
    fn drop(&mut self) {
        let statement = format!("DROP ROLE IF EXISTS {}", quoted(&self.name));
        if let Err(error) = run_blocking(&self.server_url, &[statement]) {
            eprintln!("role {} stays behind: {error}", self.name);
        }
    }
}
