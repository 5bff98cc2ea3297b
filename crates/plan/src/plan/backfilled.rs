//! Tables whose history follows after the cutover.

use super::{Plan, Slice, TablePlan, Topology};
use crate::{Mode, Relation};

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
