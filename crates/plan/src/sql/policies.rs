//! What happens to rows as they age: retention and aggregates, as a server of the Community edition does it, and
//! the table that `hyperhaul maintain` rolls up into where it does not.
//!
//! Every statement may be repeated.

use super::create::interval_sql;
use super::do_block;
use crate::facts::{Facts, TableFacts};
use crate::policies::{Aggregate, BUCKET_COLUMN, Measure, MeasureFunction};
use crate::{Relation, TablePlan, quote_ident, quote_literal};

/// Statements and what undoes them.
pub(crate) struct Reversible {
    pub(crate) statements: Vec<String>,
    pub(crate) inverse: Vec<String>,
}

impl Reversible {
    /// This, then that; undone the other way around.
    pub(crate) fn then(mut self, next: Reversible) -> Reversible {
        self.statements.extend(next.statements);
        self.inverse.splice(0..0, next.inverse);
        self
    }
}

/// Schema of TimescaleDB's functions, quoted, with the dot.
pub(super) fn functions(facts: &Facts) -> String {
    let extension = facts.target.extensions.get("timescaledb");
    let schema = extension.map_or("public", |extension| &extension.schema);
    format!("{}.", quote_ident(schema))
}

/// A relation as an argument of TimescaleDB's functions.
pub(super) fn regclass(relation: &Relation) -> String {
    format!("{}::regclass", quote_literal(&relation.to_string()))
}

/// Drops chunks that are old enough, for the first time a whole schedule from now: there is time to look.
pub(crate) fn add_retention(table: &TablePlan, retention_us: i64, facts: &Facts) -> Reversible {
    let (schema, hypertable) = (functions(facts), regclass(&table.relation));
    let schedule = interval_sql(table.policies.retention_schedule_us());
    let add = format!(
        "SELECT {schema}add_retention_policy({hypertable}, drop_after => {}, if_not_exists => true, \
         schedule_interval => {schedule}, initial_start => now() + {schedule})",
        interval_sql(retention_us)
    );
    Reversible {
        statements: vec![add],
        inverse: vec![format!(
            "SELECT {schema}remove_retention_policy({hypertable}, if_exists => true)"
        )],
    }
}

/// A continuous aggregate without rows.
pub(crate) fn create_continuous_aggregate(
    table: &TablePlan,
    found: &TableFacts,
    aggregate: &Aggregate,
    facts: &Facts,
) -> Reversible {
    let name = &aggregate.relation;
    let query = aggregate_query(&Source::of(table), aggregate, &functions(facts), "");
    let create = format!(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS {name} WITH (timescaledb.continuous) AS {query} WITH NO DATA"
    );
    let owner = change_owner("MATERIALIZED VIEW", name, found, facts);
    Reversible {
        statements: std::iter::once(create).chain(owner).collect(),
        inverse: vec![format!("DROP MATERIALIZED VIEW IF EXISTS {name}")],
    }
}

/// Computes a continuous aggregate over all history. Not within a transaction block.
pub(crate) fn refresh_history(aggregate: &Aggregate, facts: &Facts) -> String {
    format!(
        "CALL {}refresh_continuous_aggregate({}, NULL, NULL)",
        functions(facts),
        regclass(&aggregate.relation)
    )
}

/// Keeps a continuous aggregate up to date.
pub(crate) fn add_refresh_policy(aggregate: &Aggregate, facts: &Facts) -> Reversible {
    let (schema, view) = (functions(facts), regclass(&aggregate.relation));
    let add = format!(
        "SELECT {schema}add_continuous_aggregate_policy({view}, start_offset => {}, end_offset => {}, \
         schedule_interval => {}, if_not_exists => true)",
        interval_sql(aggregate.start_offset_us),
        interval_sql(aggregate.end_offset_us),
        interval_sql(aggregate.schedule_us)
    );
    // Whoever has dropped the view has dropped its policy with it.
    let remove = do_block(&format!(
        "BEGIN IF to_regclass({}) IS NOT NULL THEN \
         PERFORM {schema}remove_continuous_aggregate_policy({view}, if_exists => true); END IF; END",
        quote_literal(&aggregate.relation.to_string())
    ));
    Reversible {
        statements: vec![add],
        inverse: vec![remove],
    }
}

/// The ordinary table that an aggregate is rolled up into where the server has no continuous aggregates.
pub(crate) fn create_rollup(
    table: &TablePlan,
    found: &TableFacts,
    aggregate: &Aggregate,
    facts: &Facts,
) -> Reversible {
    let name = &aggregate.relation;
    let query = aggregate_query(&Source::of(table), aggregate, &functions(facts), "");
    let keys: Vec<&str> = std::iter::once(BUCKET_COLUMN)
        .chain(aggregate.group_by.iter().map(String::as_str))
        .collect();
    let comment = format!(
        "rolled up from {} by hyperhaul maintain",
        table.relation.plain()
    );
    let statements = [
        format!("CREATE TABLE {name} AS {query} WITH NO DATA"),
        format!("CREATE INDEX ON {name} ({})", super::column_list(&keys)),
        format!("COMMENT ON TABLE {name} IS {}", quote_literal(&comment)),
    ];
    let owner = change_owner("TABLE", name, found, facts);
    Reversible {
        statements: statements.into_iter().chain(owner).collect(),
        inverse: vec![format!("DROP TABLE IF EXISTS {name}")],
    }
}

fn change_owner(kind: &str, name: &Relation, found: &TableFacts, facts: &Facts) -> Option<String> {
    let owner = quote_ident(&found.owner);
    (found.owner != facts.target.role).then(|| format!("ALTER {kind} {name} OWNER TO {owner}"))
}

pub(super) fn schedule_sql(schedule_us: Option<i64>) -> String {
    schedule_us.map_or(String::new(), |us| {
        format!(", schedule_interval => {}", interval_sql(us))
    })
}

/// What an aggregate is computed from.
pub(super) struct Source<'a> {
    pub(super) relation: &'a Relation,
    pub(super) time_column: &'a str,
}

impl<'a> Source<'a> {
    fn of(table: &'a TablePlan) -> Source<'a> {
        Source {
            relation: &table.relation,
            time_column: &table.time_column,
        }
    }
}

/// The aggregate as a query: groups, bucket, measures. `condition` begins with ` WHERE`, or is empty.
pub(super) fn aggregate_query(
    source: &Source<'_>,
    aggregate: &Aggregate,
    schema: &str,
    condition: &str,
) -> String {
    let time = quote_ident(source.time_column);
    let bucket = format!(
        "{schema}time_bucket({}, {time}) AS {}",
        interval_sql(aggregate.bucket_us),
        quote_ident(BUCKET_COLUMN)
    );
    let mut columns: Vec<String> = aggregate
        .group_by
        .iter()
        .map(|column| quote_ident(column))
        .collect();
    columns.push(bucket);
    let groups: Vec<String> = (1..=columns.len())
        .map(|position| position.to_string())
        .collect();
    columns.extend(
        aggregate
            .measures
            .iter()
            .map(|measure| measure_sql(measure, &time, schema)),
    );
    format!(
        "SELECT {} FROM {}{condition} GROUP BY {}",
        columns.join(", "),
        source.relation,
        groups.join(", ")
    )
}

fn measure_sql(measure: &Measure, time: &str, schema: &str) -> String {
    let column = measure
        .column
        .as_ref()
        .map_or("*".to_owned(), |column| quote_ident(column));
    let call = match measure.function {
        // These are TimescaleDB's own, and need to know what first and last mean.
        MeasureFunction::First | MeasureFunction::Last => {
            format!("{schema}{}({column}, {time})", measure.function.name())
        }
        function => format!("{}({column})", function.name()),
    };
    format!("{call} AS {}", quote_ident(&measure.name))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::Policies;
    use crate::facts::License;
    use crate::testing::{declared, hourly, soar};

    pub(in crate::sql) fn planned(version: (u32, u32, u32)) -> (TablePlan, Facts) {
        let (mut facts, mut options) = soar();
        let timescale = facts.target.timescale.as_mut().unwrap();
        (timescale.version, timescale.license) = (version, License::Community);
        options.tables[1].policies = Policies {
            schedule_us: Some(12 * 3_600_000_000),
            ..declared()
        };
        let plan = crate::plan(facts, options).unwrap();
        (plan.tables[1].clone(), plan.facts)
    }

    #[test]
    fn retention_waits_a_whole_schedule() {
        let (table, facts) = planned((2, 29, 2));
        let retention = add_retention(&table, table.policies.retention_us.unwrap(), &facts);
        assert_eq!(
            retention.statements,
            [
                r#"SELECT "public".add_retention_policy('"public"."fixes"'::regclass, drop_after => INTERVAL '30 days', if_not_exists => true, schedule_interval => INTERVAL '12 hours', initial_start => now() + INTERVAL '12 hours')"#
            ]
        );
    }

    #[test]
    fn aggregates_quote_every_name() {
        let (mut table, facts) = planned((2, 29, 2));
        table.relation = Relation::new("public", "fixes \"x\"");
        let mut aggregate = hourly();
        aggregate
            .measures
            .push(Measure::parse("last(\"Of it\") AS \"Last\"").unwrap());
        let found = &facts.tables[1];
        let created = create_continuous_aggregate(&table, found, &aggregate, &facts);
        assert_eq!(
            created.statements,
            [
                r#"CREATE MATERIALIZED VIEW IF NOT EXISTS "public"."fixes_hourly" WITH (timescaledb.continuous) AS SELECT "aircraft_id", "public".time_bucket(INTERVAL '1 hour', "received_at") AS "bucket", count(*) AS "fixes", "public".last("Of it", "received_at") AS "Last" FROM "public"."fixes ""x""" GROUP BY 1, 2 WITH NO DATA"#
            ]
        );
    }
}
