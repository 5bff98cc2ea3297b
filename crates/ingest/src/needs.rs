//! What a stream needs of its tables besides columns, told when it begins: not in the night when the first record comes twice.

use crate::Error;
use crate::statements::Table;
use crate::stream::{Origin, Stream};
use crate::trouble::Trouble;
use hyperhaul_catalog::RowPrivileges;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, quote_ident};

/// Sees that rows can be written in every way, and says what will be stored twice.
pub(crate) async fn check(
    session: &Session,
    stream: &Stream,
    tables: &[Table],
) -> Result<(), Trouble> {
    for table in tables {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let granted = hyperhaul_catalog::row_privileges(session, &table.relation, &columns).await?;
        if let Some(error) = lacking(&table.relation, &granted) {
            return Err(error.into());
        }
    }
    let keeps_nothing_twice = tables.first().is_some_and(|table| !table.key.is_empty());
    if !keeps_nothing_twice && matches!(stream.origin, Origin::Http {} | Origin::Mqtt(_)) {
        tracing::warn!(
            stream = %stream.name,
            "the table has no unique index on columns that every row has: what a sender sends again is stored again"
        );
    }
    Ok(())
}

fn lacking(relation: &Relation, granted: &RowPrivileges) -> Option<Error> {
    let RowPrivileges {
        role,
        insert,
        select,
        temporary,
    } = granted;
    let (table, role_sql) = (relation.plain(), quote_ident(role));
    if !insert || !select {
        let message = format!(
            "role {role} may not write and read all columns of table {table} that rows have"
        );
        return Some(Error::usage(message).hint(format!(
            "GRANT INSERT, SELECT ON {relation} TO {role_sql}; rows are read where a key is there already."
        )));
    }
    if !temporary {
        let message = format!("role {role} may not make temporary tables");
        return Some(Error::usage(message).hint(format!(
            "GRANT TEMPORARY ON DATABASE ... TO {role_sql}; rows are put aside in one where a key is there already."
        )));
    }
    None
}
