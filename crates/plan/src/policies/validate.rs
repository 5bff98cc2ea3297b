//! Whether what is declared makes sense for the table, before anything is planned.

use super::{Aggregate, BUCKET_COLUMN, Columnstore, Policies};
use crate::facts::TableFacts;
use crate::{Error, TimeType, phrase};
use std::collections::BTreeSet;

const DAY_US: i64 = 86_400_000_000;

/// What declarations are held against.
struct Case<'a> {
    found: &'a TableFacts,
    time_column: &'a str,
    time_type: TimeType,
    policies: &'a Policies,
}

/// Refuses declarations that no server could carry out, or that would undo one another.
///
/// # Errors
///
/// Names the declaration, what is wrong with it, and what would be right.
pub(crate) fn validate(
    found: &TableFacts,
    time_column: &str,
    time_type: TimeType,
    policies: &Policies,
) -> Result<(), Error> {
    let case = Case {
        found,
        time_column,
        time_type,
        policies,
    };
    if let Some(columnstore) = &policies.columnstore {
        case.columnstore(columnstore)?;
    }
    let mut names = BTreeSet::new();
    for aggregate in &policies.aggregates {
        let name = aggregate.relation.plain();
        if aggregate.relation == found.relation || !names.insert(name.clone()) {
            return Err(Error::new(
                format!("the name of aggregate {name} is taken"),
                "Each aggregate needs a name of its own.",
            ));
        }
        case.aggregate(aggregate)
            .map_err(|error| error.about(&format!("aggregate {name}")))?;
    }
    Ok(())
}

impl Case<'_> {
    fn columnstore(&self, columnstore: &Columnstore) -> Result<(), Error> {
        let order: Vec<&String> = columnstore
            .order_by
            .iter()
            .map(|order| &order.column)
            .collect();
        let all = columnstore.segment_by.iter().chain(order.iter().copied());
        let mut seen = BTreeSet::new();
        for column in all {
            self.has_column(column)?;
            if !seen.insert(column) {
                return Err(Error::new(
                    format!(
                        "column \"{column}\" of {} is named twice in segment_by and order_by",
                        self.table()
                    ),
                    "A column either keeps rows together or orders them.",
                ));
            }
        }
        if columnstore
            .segment_by
            .iter()
            .any(|column| column == self.time_column)
        {
            return Err(Error::new(
                format!(
                    "the time column \"{}\" of {} is in segment_by",
                    self.time_column,
                    self.table()
                ),
                "Name it in order_by: rows of one time are too few to be kept together.",
            ));
        }
        match self.policies.retention_us {
            Some(retention_us) if retention_us <= columnstore.after_us => Err(Error::new(
                format!(
                    "columnstore_after of {} ({}) is not before its retention ({})",
                    self.table(),
                    phrase::interval(columnstore.after_us),
                    phrase::interval(retention_us)
                ),
                "Chunks would be dropped before they go to the columnstore: leave one of the two out.",
            )),
            _ => Ok(()),
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<(), Error> {
        if aggregate.measures.is_empty() {
            return Err(Error::new(
                "it computes nothing",
                "Name what it computes, such as measures = [\"count(*) AS rows\"].",
            ));
        }
        let measured = aggregate
            .measures
            .iter()
            .filter_map(|measure| measure.column.as_ref());
        for column in aggregate.group_by.iter().chain(measured) {
            self.has_column(column)?;
        }
        if aggregate
            .group_by
            .iter()
            .any(|column| column == self.time_column)
        {
            return Err(Error::new(
                format!("it groups by the time column \"{}\"", self.time_column),
                "The bucket of the time is in every aggregate, as column \"bucket\".",
            ));
        }
        let measures = aggregate.measures.iter().map(|measure| &measure.name);
        let mut names = BTreeSet::from([BUCKET_COLUMN]);
        for name in aggregate.group_by.iter().chain(measures) {
            if !names.insert(name) {
                return Err(Error::new(
                    format!("two of its columns are called \"{name}\""),
                    "Give a measure another name with AS.",
                ));
            }
        }
        self.offsets(aggregate)
    }

    fn offsets(&self, aggregate: &Aggregate) -> Result<(), Error> {
        let bucket_us = aggregate.bucket_us;
        if self.time_type == TimeType::Date && bucket_us % DAY_US != 0 {
            return Err(Error::new(
                format!(
                    "its bucket of {} does not fit a column of type date",
                    phrase::interval(bucket_us)
                ),
                "Make it a day or several.",
            ));
        }
        let window_us = aggregate
            .start_offset_us
            .saturating_sub(aggregate.end_offset_us);
        if window_us < bucket_us.saturating_mul(2) {
            return Err(Error::new(
                format!(
                    "there are less than two buckets of {} between start_offset ({}) and end_offset ({})",
                    phrase::interval(bucket_us),
                    phrase::interval(aggregate.start_offset_us),
                    phrase::interval(aggregate.end_offset_us)
                ),
                "Make start_offset longer: it says how late rows may come, end_offset which buckets are still growing.",
            ));
        }
        match self.policies.retention_us {
            Some(retention_us)
                if aggregate.start_offset_us.saturating_add(bucket_us) > retention_us =>
            {
                Err(Error::new(
                    format!(
                        "its start_offset ({}) and a bucket of {} reach beyond the retention of {}",
                        phrase::interval(aggregate.start_offset_us),
                        phrase::interval(bucket_us),
                        phrase::interval(retention_us)
                    ),
                    "Buckets would be computed anew from rows of which some are dropped already: shorten start_offset.",
                ))
            }
            _ => Ok(()),
        }
    }

    fn has_column(&self, name: &str) -> Result<(), Error> {
        let mut columns = self.found.columns.iter();
        if columns.any(|column| column.name == name) {
            return Ok(());
        }
        let names: Vec<&str> = self
            .found
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        Err(Error::new(
            format!("column \"{name}\" of {} does not exist", self.table()),
            format!("Its columns are: {}.", names.join(", ")),
        ))
    }

    fn table(&self) -> String {
        self.found.relation.plain()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::Relation;
    use crate::policies::{Measure, OrderBy};
    use crate::testing::{declared, fixes, hourly, soar};

    fn refused(change: impl FnOnce(&mut Policies)) -> String {
        let (mut facts, _) = soar();
        let mut policies = declared();
        change(&mut policies);
        let outcome = validate(
            fixes(&mut facts),
            "received_at",
            TimeType::Timestamptz,
            &policies,
        );
        outcome.map_or_else(|error| error.to_string(), |()| "accepted".into())
    }

    #[test]
    fn what_soar_declares_is_accepted() {
        assert_eq!(refused(|_| {}), "accepted");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        type Change = fn(&mut Policies);
        let cases: [(Change, &str); 11] = [
            (
                |p| p.columnstore.as_mut().unwrap().segment_by = vec!["nothing".into()],
                "\"nothing\" of public.fixes does not exist",
            ),
            (
                |p| p.columnstore.as_mut().unwrap().segment_by = vec!["received_at".into()],
                "twice",
            ),
            (
                |p| {
                    let columnstore = p.columnstore.as_mut().unwrap();
                    columnstore.order_by = vec![OrderBy::parse("id").unwrap()];
                    columnstore.segment_by = vec!["received_at".into()];
                },
                "time column",
            ),
            (
                |p| p.retention_us = Some(p.columnstore.as_ref().unwrap().after_us),
                "not before its retention",
            ),
            (
                |p| p.aggregates[0].relation = Relation::new("public", "fixes"),
                "is taken",
            ),
            (|p| p.aggregates.push(hourly()), "is taken"),
            (|p| p.aggregates[0].measures.clear(), "computes nothing"),
            (
                |p| {
                    p.aggregates[0]
                        .measures
                        .push(Measure::parse("sum(nothing)").unwrap())
                },
                "\"nothing\"",
            ),
            (
                |p| {
                    p.aggregates[0]
                        .measures
                        .push(Measure::parse("count(*) AS bucket").unwrap())
                },
                "called \"bucket\"",
            ),
            (
                |p| p.aggregates[0].end_offset_us = p.aggregates[0].start_offset_us,
                "less than two buckets",
            ),
            (
                |p| p.aggregates[0].start_offset_us = 30 * DAY_US,
                "beyond the retention",
            ),
        ];
        for (change, part) in cases {
            let message = refused(change);
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
