//! What is declared for rows as they age, in the configuration file and as flags, and what that comes to together.

use crate::config::Table;
use crate::failure::Failure;
use crate::values::{self, Interval, parse_interval};
use clap::Args;
use hyperhaul_plan::{
    Aggregate, Columnstore, ColumnstoreBegins, Measure, OrderBy, Policies, Relation, TableOptions,
};
use serde::{Deserialize, Deserializer, de};

/// What is to happen to rows as they age; aggregates are declared in the configuration file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Rows as they age")]
pub(crate) struct PolicyFlags {
    /// Chunks older than this go to the columnstore (Community edition).
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval)]
    pub(crate) columnstore_after: Option<Interval>,
    /// When chunks that are old enough already go there: now (during the run) or later (by the server's job; the default).
    #[arg(long, value_name = "now|later", value_parser = ColumnstoreBegins::parse)]
    pub(crate) columnstore: Option<ColumnstoreBegins>,
    /// Columns whose equal values the columnstore keeps together, separated by commas.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) segment_by: Vec<String>,
    /// Order within the columnstore, as in "received_at DESC", separated by commas.
    #[arg(long, value_name = "ORDER", value_delimiter = ',', value_parser = OrderBy::parse)]
    pub(crate) order_by: Vec<OrderBy>,
    /// Chunks whose rows are all older than this are dropped, by the server or by hyperhaul maintain.
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval)]
    pub(crate) retention: Option<Interval>,
    /// How often columnstore and retention look for such chunks (default: as the server does, and 1 day).
    #[arg(long, value_name = "INTERVAL", value_parser = parse_interval)]
    pub(crate) schedule: Option<Interval>,
}

/// One `[[table.aggregate]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenAggregate {
    #[serde(deserialize_with = "values::relation")]
    name: Relation,
    #[serde(deserialize_with = "values::interval")]
    bucket: Interval,
    #[serde(default)]
    group_by: Vec<String>,
    #[serde(deserialize_with = "measures")]
    measures: Vec<Measure>,
    #[serde(deserialize_with = "values::interval")]
    start_offset: Interval,
    #[serde(deserialize_with = "values::interval")]
    end_offset: Interval,
    #[serde(deserialize_with = "values::interval")]
    schedule: Interval,
}

/// Flags over what is written for the table, over what is written for all; `begins` is the latter.
pub(crate) fn policies(
    relation: &Relation,
    written: Option<&Table>,
    flags: &PolicyFlags,
    begins: Option<ColumnstoreBegins>,
) -> Result<Policies, Failure> {
    let own = written.and_then(|table| table.columnstore);
    let begins = flags.columnstore.or(own).or(begins);
    let after = flags
        .columnstore_after
        .or_else(|| written?.columnstore_after);
    let segment_by = given(&flags.segment_by, written.map(|table| &table.segment_by));
    let order_by = given(&flags.order_by, written.map(|table| &table.order_by));
    if after.is_none() && !(segment_by.is_empty() && order_by.is_empty() && own.is_none()) {
        return Err(Failure::usage(format!(
            "{} has segment_by, order_by or columnstore, but no columnstore_after",
            relation.plain()
        ))
        .hint("Say from which age on chunks go to the columnstore, such as columnstore_after = \"7 days\"."));
    }
    let us = |interval: Option<Interval>| interval.map(|interval| interval.us);
    let aggregates = written.map_or(&[][..], |table| table.aggregates.as_slice());
    Ok(Policies {
        columnstore: after.map(|Interval { us }| Columnstore {
            after_us: us,
            segment_by,
            order_by,
            begins: begins.unwrap_or_default(),
        }),
        retention_us: us(flags.retention.or_else(|| written?.retention)),
        schedule_us: us(flags.schedule.or_else(|| written?.schedule)),
        comment: written.and_then(|table| table.comment.clone()),
        aggregates: aggregates.iter().map(aggregate).collect(),
    })
}

/// `--columnstore now` that says nothing about any table.
pub(crate) fn refuse_in_vain(tables: &[TableOptions], flags: &PolicyFlags) -> Result<(), Failure> {
    let declared = |table: &TableOptions| table.policies.columnstore.is_some();
    if flags.columnstore != Some(ColumnstoreBegins::Now) || tables.iter().any(declared) {
        return Ok(());
    }
    Err(
        Failure::usage("--columnstore now has nothing to put there: no table has a columnstore_after")
            .hint("Say from which age on chunks go to the columnstore, with --columnstore-after or in the file."),
    )
}

fn given<T: Clone>(flags: &[T], written: Option<&Vec<T>>) -> Vec<T> {
    match (flags, written) {
        ([], Some(written)) => written.clone(),
        (flags, _) => flags.to_vec(),
    }
}

fn aggregate(written: &WrittenAggregate) -> Aggregate {
    Aggregate {
        relation: written.name.clone(),
        bucket_us: written.bucket.us,
        group_by: written.group_by.clone(),
        measures: written.measures.clone(),
        start_offset_us: written.start_offset.us,
        end_offset_us: written.end_offset.us,
        schedule_us: written.schedule.us,
    }
}

fn measures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Measure>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let measures = texts.iter().map(|text| Measure::parse(text));
    measures
        .collect::<Result<_, _>>()
        .map_err(de::Error::custom)
}

/// A columnstore's order.
pub(crate) fn orders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OrderBy>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let orders = texts.iter().map(|text| OrderBy::parse(text));
    orders.collect::<Result<_, _>>().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::config::Config;

    const DAY_US: i64 = 86_400_000_000;

    fn launchstack() -> Config {
        toml::from_str(
            r#"
            [[table]]
            name = "resource_usage"
            columnstore_after = "7 days"
            segment_by = ["instance_id"]
            order_by = ["timestamp DESC"]
            retention = "30 days"
            schedule = "12 hours"

            [[table.aggregate]]
            name = "resource_usage_hourly"
            bucket = "1 hour"
            group_by = ["instance_id"]
            measures = ["avg(cpu_usage) AS avg_cpu", "count(*)"]
            start_offset = "2 days"
            end_offset = "1 hour"
            schedule = "1 hour"
            "#,
        )
        .unwrap()
    }

    fn of(config: &Config, flags: &PolicyFlags) -> Result<Policies, Failure> {
        policies(
            &Relation::new("public", "resource_usage"),
            config.tables.first(),
            flags,
            config.columnstore,
        )
    }

    #[test]
    fn the_file_declares_everything() {
        let policies = of(&launchstack(), &PolicyFlags::default()).unwrap();
        let columnstore = policies.columnstore.unwrap();
        assert_eq!(
            (columnstore.after_us, columnstore.segment_by),
            (7 * DAY_US, vec!["instance_id".to_owned()])
        );
        assert_eq!(
            columnstore.order_by,
            [OrderBy::parse("timestamp desc").unwrap()]
        );
        assert_eq!(
            (policies.retention_us, policies.schedule_us),
            (Some(30 * DAY_US), Some(DAY_US / 2))
        );
        let aggregate = &policies.aggregates[0];
        assert_eq!(
            aggregate.relation,
            Relation::new("public", "resource_usage_hourly")
        );
        assert_eq!(
            (aggregate.bucket_us, aggregate.start_offset_us),
            (DAY_US / 24, 2 * DAY_US)
        );
        assert_eq!(aggregate.measures[1].name, "count");
    }

    #[test]
    fn flags_come_before_the_file() {
        let flags = PolicyFlags {
            retention: Some(Interval { us: DAY_US }),
            segment_by: vec!["cpu".into()],
            ..PolicyFlags::default()
        };
        let policies = of(&launchstack(), &flags).unwrap();
        assert_eq!(policies.retention_us, Some(DAY_US));
        assert_eq!(policies.columnstore.unwrap().segment_by, ["cpu"]);
    }

    #[test]
    fn the_line_comes_before_the_table_and_the_table_before_the_file() {
        let begins = |config: &Config, flag| {
            let flags = PolicyFlags {
                columnstore: flag,
                ..PolicyFlags::default()
            };
            of(config, &flags).unwrap().columnstore.unwrap().begins
        };
        let mut config = launchstack();
        assert_eq!(begins(&config, None), ColumnstoreBegins::Later);
        config.columnstore = Some(ColumnstoreBegins::Now);
        assert_eq!(begins(&config, None), ColumnstoreBegins::Now);
        config.tables[0].columnstore = Some(ColumnstoreBegins::Later);
        assert_eq!(begins(&config, None), ColumnstoreBegins::Later);
        let line = Some(ColumnstoreBegins::Now);
        assert_eq!(begins(&config, line), ColumnstoreBegins::Now);
    }

    #[test]
    fn an_order_without_a_columnstore_is_refused() {
        let flags = PolicyFlags {
            segment_by: vec!["cpu".into()],
            ..PolicyFlags::default()
        };
        let failure = of(&Config::default(), &flags).unwrap_err();
        assert!(
            failure.message.contains("no columnstore_after"),
            "{failure:?}"
        );
    }
}
