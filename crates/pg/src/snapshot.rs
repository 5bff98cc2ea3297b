//! Exported snapshots: several sessions that read the same state of a database.

use crate::error::Error;
use crate::session::Session;

/// A snapshot that other sessions can adopt while this value lives. The session that exported it
/// stays in its transaction and holds back vacuum until [`ExportedSnapshot::release`].
#[derive(Debug)]
pub struct ExportedSnapshot {
    session: Session,
    id: String,
}

impl ExportedSnapshot {
    /// Begins a read-only transaction in the session and exports its snapshot.
    pub async fn export(session: Session) -> Result<ExportedSnapshot, Error> {
        let attempting = |error: Error| error.attempting("export a snapshot");
        session
            .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(attempting)?;
        let row = session
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .await
            .map_err(attempting)?;
        Ok(ExportedSnapshot {
            session,
            id: row.get(0),
        })
    }

    /// The name under which other sessions of the same database adopt it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The session that holds it, inside its transaction.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the transaction and gives the session back. Sessions that adopted it keep their view.
    pub async fn release(self) -> Result<Session, Error> {
        self.session
            .batch("COMMIT")
            .await
            .map_err(|error| error.attempting("release a snapshot"))?;
        Ok(self.session)
    }
}

/// Begins a read-only transaction in the session that sees what the snapshot sees.
///
/// # Errors
/// Among others, when the exporting transaction has ended (SQLSTATE 22023).
pub async fn adopt(session: &Session, id: &str) -> Result<(), Error> {
    let safe = id
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !safe || id.is_empty() {
        return Err(Error::unexpected_answer(
            "adopt a snapshot",
            "invalid snapshot name",
        ));
    }
    let sql =
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{id}'");
    session
        .batch(&sql)
        .await
        .map_err(|error| error.attempting("adopt a snapshot"))
}
