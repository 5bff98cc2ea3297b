//! The columnstore of a hypertable: its settings, its policy, and chunks that go there.
//!
//! Every statement may be repeated. From TimescaleDB 2.18 on the API speaks of the columnstore, before of compression.

use super::create::interval_sql;
use super::do_block;
use super::policies::{Reversible, functions, regclass, schedule_sql};
use crate::facts::Facts;
use crate::policies::Columnstore;
use crate::{Relation, TablePlan, quote_ident, quote_literal};

/// First version that speaks of the columnstore.
const COLUMNSTORE_MIN: (u32, u32, u32) = (2, 18, 0);

fn speaks_of_columnstore(facts: &Facts) -> bool {
    let timescale = facts.target.timescale.as_ref();
    timescale.is_some_and(|timescale| timescale.version >= COLUMNSTORE_MIN)
}

/// Turns the columnstore of `hypertable` on, as the table's declaration says. Its inverse brings attached chunks back.
///
/// The inverse leaves the columnstore on where other chunks than attached ones are in it already: the hypertable goes with the
/// rest of a rollback, and bringing chunks back first would only take time.
pub(crate) fn turn_columnstore_on(
    table: &TablePlan,
    hypertable: &Relation,
    columnstore: &Columnstore,
    facts: &Facts,
) -> Reversible {
    let columns: Vec<String> = columnstore
        .segment_by
        .iter()
        .map(|column| quote_ident(column))
        .collect();
    let order: Vec<String> = columnstore
        .order_by
        .iter()
        .map(|order| order.sql())
        .collect();
    let (on, prefix) = if speaks_of_columnstore(facts) {
        ("enable_columnstore", "")
    } else {
        ("compress", "compress_")
    };
    let setting = |name: &str, values: &[String]| {
        let list = quote_literal(&values.join(", "));
        (!values.is_empty()).then(|| format!(", timescaledb.{prefix}{name} = {list}"))
    };
    let settings = format!(
        "ALTER TABLE {hypertable} SET (timescaledb.{on}{}{})",
        setting("segmentby", &columns).unwrap_or_default(),
        setting("orderby", &order).unwrap_or_default()
    );
    let off = do_block(&format!(
        "BEGIN IF NOT EXISTS (SELECT FROM timescaledb_information.chunks WHERE hypertable_schema = {} \
         AND hypertable_name = {} AND is_compressed) THEN ALTER TABLE {hypertable} SET (timescaledb.{on} = false); \
         END IF; END",
        quote_literal(&hypertable.schema),
        quote_literal(&hypertable.name)
    ));
    let back = bring_back(table, &functions(facts));
    Reversible {
        statements: vec![settings],
        inverse: back.into_iter().chain([off]).collect(),
    }
}

/// Has chunks go to the columnstore by themselves when they are old enough.
pub(crate) fn add_columnstore_policy(
    table: &TablePlan,
    columnstore: &Columnstore,
    facts: &Facts,
) -> Reversible {
    let (schema, hypertable) = (functions(facts), regclass(&table.relation));
    let after = interval_sql(columnstore.after_us);
    let schedule = schedule_sql(table.policies.schedule_us);
    let (add, remove) = if speaks_of_columnstore(facts) {
        (
            format!(
                "CALL {schema}add_columnstore_policy({hypertable}, after => {after}, if_not_exists => true{schedule})"
            ),
            format!("CALL {schema}remove_columnstore_policy({hypertable}, if_exists => true)"),
        )
    } else {
        (
            format!(
                "SELECT {schema}add_compression_policy({hypertable}, compress_after => {after}, if_not_exists => true{schedule})"
            ),
            format!("SELECT {schema}remove_compression_policy({hypertable}, if_exists => true)"),
        )
    };
    Reversible {
        statements: vec![add],
        inverse: vec![remove],
    }
}

/// Puts a chunk into the columnstore. What the server answers proves nothing: it leaves a chunk alone with a mere notice where
/// it takes it to be there already.
pub fn chunk_to_columnstore(chunk: &Relation, facts: &Facts) -> String {
    let (schema, chunk) = (functions(facts), regclass(chunk));
    if speaks_of_columnstore(facts) {
        format!("CALL {schema}convert_to_columnstore({chunk})")
    } else {
        format!("SELECT {schema}compress_chunk({chunk})")
    }
}

/// Brings attached chunks back from the columnstore: they become partitions again, which have none.
fn bring_back(table: &TablePlan, schema: &str) -> Option<String> {
    let attached: Vec<String> = table
        .attached
        .iter()
        .map(|leaf| {
            let (schema, name) = (&leaf.leaf.schema, &leaf.leaf.name);
            format!("({}, {})", quote_literal(schema), quote_literal(name))
        })
        .collect();
    let body = format!(
        "DECLARE chunk regclass; BEGIN FOR chunk IN \
         SELECT format('%I.%I', chunk_schema, chunk_name)::regclass FROM timescaledb_information.chunks \
         WHERE is_compressed AND (chunk_schema, chunk_name) IN ({}) \
         LOOP PERFORM {schema}decompress_chunk(chunk); END LOOP; END",
        attached.join(", ")
    );
    (!attached.is_empty()).then(|| do_block(&body))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::sql::policies::tests::planned;

    fn columnstore(version: (u32, u32, u32)) -> Reversible {
        let (table, facts) = planned(version);
        let columnstore = table.policies.columnstore.clone().unwrap();
        let policy = add_columnstore_policy(&table, &columnstore, &facts);
        turn_columnstore_on(&table, &table.relation, &columnstore, &facts).then(policy)
    }

    #[test]
    fn the_columnstore_is_spoken_of_as_the_version_does() {
        let new = columnstore((2, 18, 0));
        assert_eq!(
            new.statements,
            [
                r#"ALTER TABLE "public"."fixes" SET (timescaledb.enable_columnstore, timescaledb.segmentby = '"aircraft_id"', timescaledb.orderby = '"received_at" DESC')"#,
                r#"CALL "public".add_columnstore_policy('"public"."fixes"'::regclass, after => INTERVAL '7 days', if_not_exists => true, schedule_interval => INTERVAL '12 hours')"#,
            ]
        );
        assert_eq!(
            new.inverse[0],
            r#"CALL "public".remove_columnstore_policy('"public"."fixes"'::regclass, if_exists => true)"#
        );
        assert!(new.inverse[1].contains("enable_columnstore = false"));

        let old = columnstore((2, 17, 2));
        assert_eq!(
            old.statements,
            [
                r#"ALTER TABLE "public"."fixes" SET (timescaledb.compress, timescaledb.compress_segmentby = '"aircraft_id"', timescaledb.compress_orderby = '"received_at" DESC')"#,
                r#"SELECT "public".add_compression_policy('"public"."fixes"'::regclass, compress_after => INTERVAL '7 days', if_not_exists => true, schedule_interval => INTERVAL '12 hours')"#,
            ]
        );
        assert_eq!(
            old.inverse[0],
            r#"SELECT "public".remove_compression_policy('"public"."fixes"'::regclass, if_exists => true)"#
        );
        assert!(old.inverse[1].contains("timescaledb.compress = false"));
    }
}
