//! What writes to a table besides its users (subscriptions), and what keeps all of them off (fences).

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{Fence, Subscription};
use hyperhaul_plan::sql::LEDGER_SCHEMA;
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

const WRITERS: &str = include_str!("sql/writers.sql");

/// Both, as one query returns them.
#[derive(Deserialize)]
pub(crate) struct Writers {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) fences: Vec<Fence>,
}

/// Looks them up for the table and all below it.
pub(crate) async fn writers(session: &Session, table: u32) -> Result<Writers, Error> {
    fetch(
        session,
        "what writes to the table",
        WRITERS,
        &[&table, &LEDGER_SCHEMA],
    )
    .await
}
