//! Tables whose history follows after the cutover.

use super::{Plan, Slice, TablePlan, Topology};
use crate::facts::{KeyKind, TableFacts};
use crate::sql::lacks_time;
use crate::{Mode, Relation};
use serde::{Deserialize, Serialize};

/// A unique key of the hypertable, by which a row of the history may meet a live one that has it already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingKey {
    /// Its columns.
    pub columns: Vec<String>,
    /// Whether two NULLs are no conflict.
    pub nulls_distinct: bool,
    /// Whether the server can hash all of its columns, so that values that are equal but do not look so (`1.0`, `1.00`) are told to be
    /// equal.
    pub hashable: bool,
}

/// The unique keys that the hypertable will have. Those with expressions are left out.
pub(crate) fn meeting_keys(found: &TableFacts, time_column: &str) -> Vec<MeetingKey> {
    let keys = found.unique_keys.iter();
    let keys = keys.filter(|key| key.kind != KeyKind::Exclusion);
    let keys = keys.map(|key| (&key.columns, &key.definition));
    let indexes = found.indexes.iter();
    let indexes = indexes.filter(|index| index.unique && !lacks_time(&index.columns, time_column));
    let indexes = indexes.map(|index| (&index.columns, &index.tail_sql));
    let key = |(columns, definition): (&Vec<Option<String>>, &String)| {
        let mut columns: Vec<String> = columns.iter().cloned().collect::<Option<_>>()?;
        if !columns.iter().any(|column| column == time_column) {
            columns.push(time_column.to_owned());
        }
        Some(MeetingKey {
            nulls_distinct: !definition.contains("NULLS NOT DISTINCT"),
            hashable: !columns.iter().any(|name| found.unhashable.contains(name)),
            columns,
        })
    };
    keys.chain(indexes).filter_map(key).collect()
}

impl Plan {
    /// Whether history follows after the cutover.
    pub fn is_backfill(&self) -> bool {
        self.options.mode == Mode::Backfill
    }

    /// Where a slice's leaf is when its rows are copied: a table in one piece is its own leaf, and in the archive by then if it is
    /// backfilled.
    pub fn leaf_when_copied<'a>(&'a self, slice: &'a Slice) -> &'a Relation {
        match self.tables.get(slice.table) {
            Some(table)
                if table.backfilled
                    && self.topology == Topology::SameDatabase
                    && slice.leaf == table.relation =>
            {
                &table.archive
            }
            _ => &slice.leaf,
        }
    }
}

impl TablePlan {
    /// The hypertable's name when rows are copied into it.
    pub fn copied_into(&self) -> &Relation {
        if self.backfilled {
            &self.relation
        } else {
            &self.staging
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::facts::UniqueKey;
    use crate::testing::soar;

    #[test]
    fn history_meets_live_rows_by_keys_that_the_hypertable_has() {
        let (facts, _) = soar();
        let mut fixes = facts.tables[0].clone();
        let key = fixes.unique_keys[0].clone();
        fixes.unique_keys.push(UniqueKey {
            kind: KeyKind::Unique,
            columns: vec![Some("place".to_owned())],
            definition: "UNIQUE NULLS NOT DISTINCT (place)".to_owned(),
            ..key.clone()
        });
        fixes.unhashable = vec!["place".to_owned()];
        let own = key.columns.iter().flatten().cloned().collect();
        let expected = [
            MeetingKey {
                columns: own,
                nulls_distinct: true,
                hashable: true,
            },
            MeetingKey {
                columns: vec!["place".to_owned(), "received_at".to_owned()],
                nulls_distinct: false,
                hashable: false,
            },
        ];
        assert_eq!(meeting_keys(&fixes, "received_at"), expected);
    }
}
