//! What `plan --sql` prints: every statement of the run in order, as a script with comments that name the steps.
//!
//! It is there to be read and reviewed. Rows travel through hyperhaul, so COPY statements stand in comments.

use hyperhaul_migrate::RunId;
use hyperhaul_plan::{
    Action, CarriedSequence, Declaration, Phase, Plan, Proof, Relation, Routing, Side, Slice, Step,
    Strategy, TablePlan, format_unix_us, sql,
};

pub(crate) fn render(plan: &Plan, run: Option<RunId>) -> String {
    let mut text = head(plan, run);
    let mut phase: Option<Phase> = None;
    for step in &plan.steps {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            text.push_str(&format!("\n-- ===== {} =====\n", step.phase.name()));
        }
        text.push_str(&one(plan, step));
    }
    text
}

fn head(plan: &Plan, run: Option<RunId>) -> String {
    let names: Vec<String> = plan
        .tables
        .iter()
        .map(|table| table.relation.plain())
        .collect();
    let run = match run {
        Some(run) => format!("run {run}"),
        None => "blocked by a finding, not stored".to_owned(),
    };
    format!(
        "-- hyperhaul plan ({run}): {}\n\
         -- For reading: hyperhaul migrate runs it. Each step is one transaction; on the target, together with its\n\
         -- mark in the ledger. COPY streams pass through hyperhaul, so they stand in comments.\n",
        names.join(", ")
    )
}

fn one(plan: &Plan, step: &Step) -> String {
    let side = match step.side {
        Side::Source => "source",
        Side::Target => "target",
    };
    let title = step.title.replace('\n', " ");
    let mut text = format!(
        "\n-- step {} on the {side}: {title}\n",
        comment(&step.id.to_string())
    );
    let table = step
        .table
        .and_then(|index| Some((index, plan.tables.get(index)?)));
    match (&step.action, table) {
        (Action::Sql { statements }, _) => text.push_str(&transaction(statements)),
        (Action::Repeatable { statements }, _) => text.push_str(&each(statements)),
        (Action::Declare { declaration }, _) => text.push_str(&declared(declaration)),
        (Action::CreateChunks, Some((index, table))) => text.push_str(&chunks(plan, index, table)),
        (Action::StageSlices, _) => {
            text.extend(of_batch(plan, true).map(|slice| stage(plan, slice)))
        }
        (Action::CopySlices, _) => {
            text.extend(of_batch(plan, false).map(|slice| copy(plan, slice)))
        }
        (Action::CarrySequences { sequences }, Some((_, table))) => {
            text.push_str(&carry(table, sequences))
        }
        (Action::HashLeaves, Some((_, table))) => text.push_str(&hash_leaves(table)),
        (Action::Verify, Some((_, table))) => text.push_str(&verify(table)),
        (
            Action::ToColumnstore {
                hypertable,
                before_us,
            },
            _,
        ) => text.push_str(&to_columnstore(plan, hypertable, *before_us)),
        (
            Action::CreateChunks
            | Action::HashLeaves
            | Action::CarrySequences { .. }
            | Action::Verify,
            None,
        ) => {}
    }
    text
}

fn transaction(statements: &[String]) -> String {
    let mut text = "BEGIN;\n".to_owned();
    for statement in statements {
        let statement = statement.trim_end();
        let end = if statement.ends_with(';') { "" } else { ";" };
        text.push_str(&format!("{statement}{end}\n"));
    }
    text.push_str("COMMIT;\n");
    text
}

fn hash_leaves(table: &TablePlan) -> String {
    let leaves = table.attached.iter().map(|leaf| &leaf.leaf);
    let hashes = leaves.map(|leaf| sql::chunk_hash_sql(table, leaf, sql::RowHash::Image));
    each(&hashes.collect::<Vec<_>>())
}

/// Not in a transaction block, which the server would refuse.
fn each(statements: &[String]) -> String {
    statements
        .iter()
        .map(|statement| format!("{statement};\n"))
        .collect()
}

fn declared(declaration: &Declaration) -> String {
    let what = serde_json::to_string(&declaration.policies).unwrap_or_default();
    format!("-- stored in the ledger: {}\n", comment(&what))
}

/// Each chunk in a transaction of its own, several at a time.
fn to_columnstore(plan: &Plan, hypertable: &Relation, before_us: i64) -> String {
    format!(
        "-- each chunk of {} that ends before {}, in a transaction of its own, several at a time\n--   target: {};\n",
        comment(&hypertable.plain()),
        format_unix_us(before_us),
        comment(&sql::chunk_to_columnstore(&some_chunk(), &plan.facts))
    )
}

/// One real row each through the hypertable, then TRUNCATE: some at a time, each time in one transaction.
fn chunks(plan: &Plan, index: usize, table: &TablePlan) -> String {
    let mut leaves: Vec<&Relation> = Vec::new();
    for slice in plan.slices.iter().filter(|slice| slice.table == index) {
        if !leaves.contains(&&slice.leaf) {
            leaves.push(&slice.leaf);
        }
    }
    let samples: Vec<(&Relation, Option<&str>)> =
        leaves.into_iter().map(|leaf| (leaf, None)).collect();
    let mut text = "-- chunks, known so far; a row of each goes through the hypertable, then the chunk is emptied\n".to_owned();
    for range in &table.chunks {
        text.push_str(&format!("--   {range}\n"));
    }
    if !samples.is_empty() {
        text.push_str(&format!(
            "--   source: {};\n",
            comment(&sql::sample_rows_sql(table, &samples))
        ));
    }
    text.push_str(&format!(
        "--   target: {};\n",
        comment(&sql::chunk_copy_sql(table, &table.staging, false))
    ));
    text.push_str(&format!("--   target: TRUNCATE ONLY {};\n", some_chunk()));
    text
}

/// Slices that are staged, or the others.
fn of_batch(plan: &Plan, staged: bool) -> impl Iterator<Item = &Slice> {
    let slices = plan.slices.iter();
    slices.filter(move |slice| (slice.strategy == Strategy::Stage) == staged)
}

/// The table is made in the transaction that loads it.
fn stage(plan: &Plan, slice: &Slice) -> String {
    let (Some(table), Some(leaf)) = (plan.tables.get(slice.table), plan.staged_leaf(slice)) else {
        return String::new();
    };
    let mut text = format!("-- slice {}: {}\n", slice.id.0, comment(&slice.reason));
    for statement in sql::create_staged(plan, slice) {
        text.push_str(&format!("--   target: {};\n", comment(&statement)));
    }
    text.push_str(&format!(
        "--   source: {};\n--   target: {};\n",
        comment(&sql::slice_copy_sql(table, slice)),
        comment(&sql::chunk_copy_sql(table, &leaf.chunk, true))
    ));
    text
}

fn copy(plan: &Plan, slice: &Slice) -> String {
    let Some(table) = plan.tables.get(slice.table) else {
        return String::new();
    };
    let slice = &Slice {
        leaf: plan.leaf_when_copied(slice).clone(),
        ..slice.clone()
    };
    let into = match slice.routing {
        Routing::OneChunk(range) => format!("chunk {range}"),
        Routing::ByTime => "one COPY for each chunk that has rows in it".to_owned(),
    };
    let mut text = format!("-- slice {}: {}\n", slice.id.0, comment(&slice.reason));
    if slice.strategy == Strategy::Server {
        let into = match slice.routing {
            Routing::OneChunk(_) => some_chunk(),
            Routing::ByTime => table.copied_into().clone(),
        };
        if slice.sole_writer {
            text.push_str(&format!("--   target: TRUNCATE ONLY {into};\n"));
        }
        let insert = sql::slice_insert_sql(table, slice, &into);
        text.push_str(&format!("--   target: {};\n", comment(&insert)));
        return text;
    }
    text.push_str(&format!(
        "--   source: {};\n",
        comment(&sql::slice_copy_sql(table, slice))
    ));
    if slice.sole_writer {
        text.push_str(&format!("--   target: TRUNCATE ONLY {};\n", some_chunk()));
    }
    let target = sql::chunk_copy_sql(table, &some_chunk(), slice.sole_writer);
    text.push_str(&format!("--   target: {};  ({into})\n", comment(&target)));
    text
}

fn carry(table: &TablePlan, sequences: &[CarriedSequence]) -> String {
    let one = |sequence: &CarriedSequence| {
        let target = sql::carried_to(sequence, &table.staging);
        format!(
            "--   source: SELECT last_value, is_called FROM {};\n--   target: SELECT setval({}, last_value, is_called);\n",
            comment(&sequence.source.to_string()),
            comment(&target)
        )
    };
    sequences.iter().map(one).collect()
}

fn verify(table: &TablePlan) -> String {
    if table.proof == Proof::RecordHash {
        return format!(
            "-- the server hashes the rows of both sides, slice by slice and chunk by chunk\n\
             --   target: {};\n",
            comment(&sql::chunk_hash_sql(
                table,
                &some_chunk(),
                sql::RowHash::before_cutover(table)
            ))
        );
    }
    let target = sql::verify_rows_sql(table, &some_chunk(), None, false);
    format!(
        "-- the source's rows were digested as they were copied; the target's are read again, chunk by chunk\n\
         --   target: {};\n",
        comment(&target)
    )
}

/// Chunks get their names when they are made.
fn some_chunk() -> Relation {
    Relation::new("_timescaledb_internal", "_hyper_N_M_chunk")
}

/// Names may hold line feeds, which would end a comment.
fn comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::check::tests::soar;

    #[test]
    fn statements_are_ended_once() {
        let statements = ["SELECT 1".to_owned(), "SELECT 2;\n".to_owned()];
        assert_eq!(
            transaction(&statements),
            "BEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\n"
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_a_comment() {
        assert_eq!(
            comment("fixes\n; DROP TABLE fixes"),
            "fixes ; DROP TABLE fixes"
        );
    }

    #[test]
    fn every_step_and_slice_is_in_the_script_and_rows_stay_in_comments() {
        let (plan, _) = soar();
        let script = render(&plan, Some(RunId(1)));
        for step in &plan.steps {
            assert!(
                script.contains(&format!("\n-- step {} on the ", step.id)),
                "{}",
                step.id
            );
        }
        assert_eq!(script.matches("\n-- slice ").count(), plan.slices.len());
        assert_eq!(
            script.matches("\nBEGIN;\n").count(),
            script.matches("\nCOMMIT;\n").count()
        );
        let bare = script.lines().filter(|line| {
            line.starts_with("COPY") || line.contains("_hyper_N_M_") && !line.starts_with("--")
        });
        assert_eq!(bare.count(), 0);
    }
}
