//! What a server refuses when rows are written: the part of [`Disposition::Fix`](crate::Disposition::Fix) and of
//! [`Disposition::FreeResources`](crate::Disposition::FreeResources) that other rows, or fewer at once, may get past.

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A key that is there already.
    Duplicate,
    /// Some row: a value that its type does not have, a constraint, a trigger.
    Row,
    /// So many rows in one transaction, into chunks of the columnstore.
    RowCount,
    /// So much at once, for the memory that the server has: also that for locks, of which each chunk takes some.
    Memory,
    /// The statement, which does not fit the table any more: a column is gone, or of another type.
    Shape,
}

/// SQLSTATE `unique_violation`.
pub const DUPLICATE_KEY: &str = "23505";

/// Sorts a SQLSTATE; `None`: no rows are to blame.
pub(crate) fn of_sqlstate(sqlstate: &str) -> Option<Refusal> {
    match sqlstate {
        DUPLICATE_KEY => Some(Refusal::Duplicate),
        // configuration_limit_exceeded: timescaledb.max_tuples_decompressed_per_dml_transaction
        "53400" => Some(Refusal::RowCount),
        // out_of_memory
        "53200" => Some(Refusal::Memory),
        // bad_copy_file_format, invalid_binary_representation; undefined_column, undefined_table, datatype_mismatch,
        // generated_always
        "22P04" | "22P03" | "42703" | "42P01" | "42804" | "428C9" => Some(Refusal::Shape),
        // raise_exception: a trigger's own; with_check_option_violation
        "P0001" | "44000" => Some(Refusal::Row),
        // Data exceptions, constraints; limits such as the size of an index's row.
        _ if ["22", "23", "54"]
            .iter()
            .any(|class| sqlstate.starts_with(class)) =>
        {
            Some(Refusal::Row)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_to_blame_are_told_from_everything_else() {
        let table = [
            ("23505", Some(Refusal::Duplicate)),
            ("23502", Some(Refusal::Row)),
            ("23503", Some(Refusal::Row)),
            ("23514", Some(Refusal::Row)),
            ("22001", Some(Refusal::Row)),
            ("22021", Some(Refusal::Row)),
            ("P0001", Some(Refusal::Row)),
            ("54000", Some(Refusal::Row)),
            ("22P03", Some(Refusal::Shape)),
            ("42703", Some(Refusal::Shape)),
            ("53400", Some(Refusal::RowCount)),
            ("53200", Some(Refusal::Memory)),
            ("ZH001", None),
            ("53100", None),
            ("40P01", None),
            ("42501", None),
            ("57014", None),
            ("XX000", None),
        ];
        for (sqlstate, expected) in table {
            assert_eq!(of_sqlstate(sqlstate), expected, "{sqlstate}");
        }
    }
}
