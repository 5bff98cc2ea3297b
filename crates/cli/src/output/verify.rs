//! What `verify` prints: a line for each table that is equal; chunks and keys of those that are not.

use super::number::{count, grouped};
use super::{Look, Style, wrap};
use hyperhaul_migrate::{ChunkDifferences, TableVerification, Verification};
use hyperhaul_plan::ChunkVerdict;

pub(crate) fn render(verification: &Verification, look: Look) -> String {
    let tables: String = verification
        .tables
        .iter()
        .map(|table| one(table, look))
        .collect();
    let written = |table: &TableVerification| {
        table
            .since_cutover
            .is_some_and(|since| since.written_rows > 0)
    };
    let expired = |table: &TableVerification| {
        table
            .since_cutover
            .is_some_and(|since| since.expired_rows > 0)
    };
    let superseded = |table: &TableVerification| {
        table
            .since_cutover
            .is_some_and(|since| since.superseded_rows > 0)
    };
    let verdict = if verification.equal() && verification.tables.iter().any(superseded) {
        "The target has every row of the source as it was, but for those whose keys live rows had first; columns, indexes, \
         constraints and sequences are equal."
    } else if verification.equal() && verification.tables.iter().any(expired) {
        "The target has every row of the source as it was, but for those that the declared retention has dropped; columns, \
         indexes, constraints and sequences are equal."
    } else if verification.equal() && verification.tables.iter().any(written) {
        "The target has every row of the source as it was, and what was written since the cutover; columns, indexes, \
         constraints and sequences are equal."
    } else if verification.equal() {
        "Source and target are equal: every row, column, index, constraint and sequence that was compared."
    } else {
        "Source and target differ."
    };
    format!(
        "run {}\n{tables}\n{}",
        verification.run,
        wrap(verdict, 0, look.width)
    )
}

/// What was compared: rows chunk by chunk, and the files of attached partitions.
fn compared(table: &TableVerification, chunks: &str, rows: &str) -> String {
    let moved = format!("{chunks}, {rows}");
    match table.attached {
        0 => moved,
        attached => format!(
            "{} became chunks, same files{}; {moved} moved",
            count(attached, "partition"),
            if table.attached_hashed {
                " and hashes of rows"
            } else {
                ""
            }
        ),
    }
}

/// A table: one line, and what differs below it.
pub(super) fn one(table: &TableVerification, look: Look) -> String {
    let verdict = &table.verdict;
    let unequal = unequal(table);
    let chunks = count(verdict.chunks.len(), "chunk");
    let rows = count(verdict.source_rows(), "row");
    let outcome = match (table.equal(), unequal.len()) {
        (true, _) => format!(
            "{}: {}",
            look.paint(Style::Good, "equal"),
            compared(table, &chunks, &rows)
        ),
        (false, 0) => format!(
            "{}: rows are equal ({chunks}, {rows}), but:",
            look.paint(Style::Bad, "DIFFERS")
        ),
        (false, some) => format!(
            "{}: {some} of {chunks}, {rows} in the source",
            look.paint(Style::Bad, "DIFFERS")
        ),
    };
    let mut text = format!("  {}  {outcome}\n", table.table.plain());
    if let Some(since) = table.since_cutover.filter(|since| since.written_rows > 0) {
        let written = count(since.written_rows, "row");
        text.push_str(&format!("    {written} written since the cutover\n"));
    }
    if let Some(since) = table
        .since_cutover
        .filter(|since| since.superseded_rows > 0)
    {
        let rows = count(since.superseded_rows, "row");
        text.push_str(&format!(
            "    {rows} of the source stayed out: live rows had their keys, with other values\n"
        ));
    }
    if let Some(since) = table.since_cutover.filter(|since| since.expired_rows > 0) {
        let expired = count(since.expired_rows, "row");
        text.push_str(&format!(
            "    {expired} dropped by the declared retention\n"
        ));
    }
    for chunk in unequal {
        let differences = table
            .differences
            .iter()
            .find(|differences| differences.range == chunk.range);
        text.push_str(&chunk_text(chunk, differences));
    }
    for line in table.structure.iter().chain(&table.sequences) {
        text.push_str(&wrap(line, 4, look.width));
    }
    for (column, rows) in &table.generated {
        let line = format!(
            "generated column {column} differs from its expression in {}",
            count(*rows, "row")
        );
        text.push_str(&wrap(&line, 4, look.width));
    }
    text
}

/// The chunks to show: after the cutover, those that have lost rows.
fn unequal(table: &TableVerification) -> Vec<&ChunkVerdict> {
    let lost = |chunk: &&ChunkVerdict| {
        let mut differences = table.differences.iter();
        table.since_cutover.is_none()
            || differences.any(|differences| differences.range == chunk.range)
    };
    let chunks = table.verdict.chunks.iter();
    chunks.filter(|chunk| !chunk.equal).filter(lost).collect()
}

fn chunk_text(chunk: &ChunkVerdict, differences: Option<&ChunkDifferences>) -> String {
    let mut text = format!(
        "    chunk {}: {} in the source, {} in the target\n",
        chunk.range,
        count(chunk.source_rows, "row"),
        grouped(chunk.target_rows)
    );
    let Some(differences) = differences else {
        return text;
    };
    for (what, keys) in [
        ("missing in the target", &differences.missing),
        ("in the target only", &differences.extra),
        ("in both, different", &differences.different),
    ] {
        if keys.is_empty() {
            continue;
        }
        let more = if differences.truncated {
            " or more"
        } else {
            ""
        };
        text.push_str(&format!(
            "      {what} ({}{more}):\n",
            grouped(keys.len() as u64)
        ));
        for key in keys {
            text.push_str(&format!("        {key}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use hyperhaul_migrate::{RunId, SinceCutover};
    use hyperhaul_plan::ChunkRange;
    use hyperhaul_plan::{Relation, Verdict};

    const DAY_US: i64 = 86_400_000_000;

    fn day(number: i64) -> ChunkRange {
        ChunkRange {
            start_us: number * DAY_US,
            end_us: (number + 1) * DAY_US,
        }
    }

    fn equal() -> TableVerification {
        let chunk = |number| ChunkVerdict {
            range: day(number),
            source_rows: 1_000,
            target_rows: 1_000,
            equal: true,
            source_sum: None,
            target_sum: None,
        };
        TableVerification {
            table: Relation::new("public", "fixes"),
            verdict: Verdict {
                chunks: vec![chunk(20_433), chunk(20_434)],
            },
            attached: 0,
            attached_hashed: false,
            since_cutover: None,
            differences: Vec::new(),
            structure: Vec::new(),
            generated: Vec::new(),
            sequences: Vec::new(),
        }
    }

    fn shown(table: TableVerification) -> String {
        let verification = Verification {
            run: RunId(3),
            tables: vec![table],
        };
        render(&verification, Look::PLAIN)
    }

    #[test]
    fn attached_partitions_are_told_apart() {
        let table = TableVerification {
            attached: 7,
            ..equal()
        };
        assert!(
            shown(table).contains(
                "equal: 7 partitions became chunks, same files; 2 chunks, 2,000 rows moved"
            )
        );
        let table = TableVerification {
            attached: 7,
            attached_hashed: true,
            ..equal()
        };
        assert!(shown(table).contains("chunks, same files and hashes of rows; 2 chunks"));
    }

    #[test]
    fn an_equal_table_is_one_line() {
        expect![[r#"
            run 3
              public.fixes  equal: 2 chunks, 2,000 rows

            Source and target are equal: every row, column, index, constraint and sequence
            that was compared.
        "#]]
        .assert_eq(&shown(equal()));
    }

    #[test]
    fn a_chunk_that_differs_shows_the_keys_of_its_rows() {
        let mut table = equal();
        table.verdict.chunks[1].target_rows = 999;
        table.verdict.chunks[1].equal = false;
        table.differences.push(ChunkDifferences {
            range: day(20_434),
            missing: vec!["(7f,\"2025-12-12 00:00:00+00\")".into()],
            extra: Vec::new(),
            different: vec!["(80,\"2025-12-12 00:00:01+00\")".into()],
            truncated: true,
        });
        expect![[r#"
            run 3
              public.fixes  DIFFERS: 1 of 2 chunks, 2,000 rows in the source
                chunk [2025-12-12T00:00:00Z, 2025-12-13T00:00:00Z): 1,000 rows in the source, 999 in the target
                  missing in the target (1 or more):
                    (7f,"2025-12-12 00:00:00+00")
                  in both, different (1 or more):
                    (80,"2025-12-12 00:00:01+00")

            Source and target differ.
        "#]]
        .assert_eq(&shown(table));
    }

    #[test]
    fn what_was_written_since_the_cutover_is_no_difference() {
        let mut table = equal();
        table.verdict.chunks[1].target_rows = 1_012;
        table.verdict.chunks[1].equal = false;
        table.since_cutover = Some(SinceCutover {
            written_rows: 12,
            expired_rows: 0,
            lost_rows: 0,
            superseded_rows: 0,
        });
        expect![[r#"
            run 3
              public.fixes  equal: 2 chunks, 2,000 rows
                12 rows written since the cutover

            The target has every row of the source as it was, and what was written since the
            cutover; columns, indexes, constraints and sequences are equal.
        "#]]
        .assert_eq(&shown(table));
    }

    #[test]
    fn what_differs_beside_the_rows_is_listed() {
        let mut table = equal();
        table
            .structure
            .push("index idx_fixes_source is missing".into());
        table.generated.push(("location".into(), 12));
        table
            .sequences
            .push("sequence public.fixes_id_seq stands at 7, the rows reach 9".into());
        expect![[r#"
            run 3
              public.fixes  DIFFERS: rows are equal (2 chunks, 2,000 rows), but:
                index idx_fixes_source is missing
                sequence public.fixes_id_seq stands at 7, the rows reach 9
                generated column location differs from its expression in 12 rows

            Source and target differ.
        "#]]
        .assert_eq(&shown(table));
    }
}
