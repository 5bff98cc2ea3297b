//! The planner: facts and options in, the plan with its steps out.

use crate::facts::{Column, Facts, ForeignKey, KeyKind, Leaf, LeafBound, RelationKind, TableFacts};
use crate::sql;
use crate::{
    Action, ArrayElement, CarriedSequence, ChunkRange, Concurrency, Error, Options, Phase, Plan,
    Relation, Side, Step, StepId, TableOptions, TablePlan, TimeType, Topology, estimate, findings,
    phrase, slices,
};
use std::collections::BTreeSet;

/// Makes the plan.
///
/// # Errors
///
/// If the request itself makes no sense: a time column that is not there or is no time, a table that is
/// partitioned by something else. What merely stands in the way is a finding of the plan.
pub fn plan(facts: Facts, options: Options) -> Result<Plan, Error> {
    let topology = if facts.same_database {
        Topology::SameDatabase
    } else {
        Topology::OtherDatabase
    };
    let tables = facts
        .tables
        .iter()
        .zip(&options.tables)
        .map(|(found, wanted)| table_plan(found, wanted, topology))
        .collect::<Result<Vec<_>, _>>()?;
    let leaves: Vec<&[Leaf]> = facts
        .tables
        .iter()
        .map(|found| found.leaves.as_slice())
        .collect();
    let slices = slices::slices(&tables, &leaves, &options);
    let steps = steps(&tables, &facts, topology);
    let estimate = estimate::estimate(&facts, &options, &tables, &slices);
    let findings = findings::findings(&facts, &options, &tables, topology, &estimate);
    Ok(Plan {
        format: Plan::FORMAT,
        options,
        topology,
        tables,
        slices,
        steps,
        findings,
        estimate,
        facts,
    })
}

fn table_plan(
    found: &TableFacts,
    wanted: &TableOptions,
    topology: Topology,
) -> Result<TablePlan, Error> {
    let (time_column, time_type) = time_column(found, wanted)?;
    let copied: Vec<&Column> = found
        .columns
        .iter()
        .filter(|column| column.generation.is_none())
        .collect();
    let copy_columns: Vec<String> = copied.iter().map(|column| column.name.clone()).collect();
    let time_position = copy_columns
        .iter()
        .position(|name| *name == time_column)
        .ok_or_else(|| {
            Error::new(
                format!(
                    "time column \"{time_column}\" of {} is a generated column",
                    found.relation.plain()
                ),
                "Name a column that is stored, with --time-column.",
            )
        })?;
    let relation = found.relation.clone();
    Ok(TablePlan {
        staging: relation.in_schema(&sql::staging_schema(&relation.schema)),
        archive: relation.in_schema(&sql::archive_schema(&relation.schema)),
        time_column,
        time_type,
        chunk_interval_us: wanted.chunk_interval_us,
        time_position,
        generated_columns: generated_columns(found),
        key_columns: key_columns(found, &copy_columns),
        array_elements: array_elements(&copied, topology),
        chunks: expected_chunks(&found.leaves, wanted.chunk_interval_us),
        rows_estimate: found.leaves.iter().map(|leaf| leaf.rows_estimate).sum(),
        data_bytes: found
            .leaves
            .iter()
            .map(|leaf| leaf.heap_bytes + leaf.toast_bytes)
            .sum(),
        index_bytes: found.leaves.iter().map(|leaf| leaf.index_bytes).sum(),
        copy_columns,
        relation,
    })
}

fn time_column(found: &TableFacts, wanted: &TableOptions) -> Result<(String, TimeType), Error> {
    let table = found.relation.plain();
    let columns = || {
        found
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(name) = found.time_column.clone() else {
        return Err(match &wanted.time_column {
            Some(name) => Error::new(
                format!("column \"{name}\" of {table} does not exist"),
                format!("Its columns are: {}.", columns()),
            ),
            None => Error::new(
                format!("{table} has no partition key that could be its time column"),
                format!(
                    "Name one with --time-column; its columns are: {}.",
                    columns()
                ),
            ),
        });
    };
    let Some(time_type) = found.time_type else {
        return Err(Error::new(
            format!("column \"{name}\" of {table} is not a time column"),
            "A time column is of type timestamptz, timestamp or date.",
        ));
    };
    match &found.partition_key {
        Some(key)
            if found.kind == RelationKind::Partitioned
                && key.columns.first() != Some(&Some(name.clone())) =>
        {
            Err(Error::new(
                format!(
                    "{table} is not partitioned by \"{name}\" but by {}",
                    key.definition
                ),
                "Name the column that it is partitioned by, with --time-column.",
            ))
        }
        _ => Ok((name, time_type)),
    }
}

fn generated_columns(found: &TableFacts) -> Vec<String> {
    let generated = found
        .columns
        .iter()
        .filter(|column| column.generation.is_some());
    generated.map(|column| column.name.clone()).collect()
}

/// What names a row to people: the primary key, else the first unique key without expressions, else every column.
fn key_columns(found: &TableFacts, copy_columns: &[String]) -> Vec<String> {
    let plain =
        |columns: &[Option<String>]| columns.iter().cloned().collect::<Option<Vec<String>>>();
    let of_kind = |kind: KeyKind| found.unique_keys.iter().filter(move |key| key.kind == kind);
    of_kind(KeyKind::Primary)
        .chain(of_kind(KeyKind::Unique))
        .find_map(|key| plain(&key.columns))
        .unwrap_or_else(|| copy_columns.to_vec())
}

fn array_elements(copied: &[&Column], topology: Topology) -> Vec<ArrayElement> {
    if topology == Topology::SameDatabase {
        return Vec::new();
    }
    let element = |(position, column): (usize, &&Column)| match &column.travel {
        crate::facts::BinaryTravel::ArrayOf { schema, name, oid } => Some(ArrayElement {
            position,
            schema: schema.clone(),
            name: name.clone(),
            source_oid: *oid,
        }),
        crate::facts::BinaryTravel::Free | crate::facts::BinaryTravel::Bound(_) => None,
    };
    copied.iter().enumerate().filter_map(element).collect()
}

/// The chunks that rows are known to go to. Partitions that are empty get none.
fn expected_chunks(leaves: &[Leaf], interval_us: i64) -> Vec<ChunkRange> {
    let mut chunks = BTreeSet::new();
    for leaf in leaves {
        chunks.extend(
            leaf.chunk_rows
                .iter()
                .map(|chunk| ChunkRange::containing(chunk.start_us, interval_us)),
        );
        if let (
            LeafBound::Range {
                from_us: Some(from_us),
                to_us: Some(to_us),
            },
            true,
        ) = (leaf.bound, leaf.blocks > 0)
        {
            let chunk = ChunkRange::containing(from_us, interval_us);
            if to_us <= chunk.end_us {
                chunks.insert(chunk);
            }
        }
    }
    chunks.into_iter().collect()
}

fn steps(tables: &[TablePlan], facts: &Facts, topology: Topology) -> Vec<Step> {
    let mut steps = vec![create_schemas(tables, facts)];
    let each = |make: &dyn Fn(usize, &TablePlan, &TableFacts) -> Vec<Step>| -> Vec<Step> {
        tables
            .iter()
            .zip(&facts.tables)
            .enumerate()
            .flat_map(|(index, (table, found))| make(index, table, found))
            .collect()
    };
    steps.splice(0..0, each(&fence_steps));
    steps.extend(each(&|index, table, found| {
        create_steps(index, table, found, facts, topology)
    }));
    steps.extend(each(&chunk_steps));
    steps.push(copy_step(tables));
    steps.extend(each(&key_steps));
    steps.extend(each(&index_steps));
    steps.extend(each(&|index, table, found| {
        foreign_key_steps(index, table, found, tables, facts)
    }));
    steps.extend(each(&|index, table, found| {
        finish_steps(index, table, found, topology)
    }));
    steps.extend(each(&verify_steps));
    steps.push(cutover_step(tables, facts, topology));
    steps.extend(each(&|index, table, found| {
        after_steps(index, table, found, tables, topology)
    }));
    steps
}

/// A step about one table, alone in its phase, without inverse; the callers below change what differs.
fn step(
    phase: Phase,
    table: usize,
    relation: &Relation,
    object: &str,
    title: String,
    action: Action,
) -> Step {
    let object = if object.is_empty() {
        String::new()
    } else {
        format!(":{object}")
    };
    Step {
        id: StepId(format!("{}:{}{object}", phase.name(), relation.plain())),
        phase,
        table: Some(table),
        title,
        side: Side::Target,
        action,
        inverse: Vec::new(),
        concurrency: Concurrency::Alone,
        weight_bytes: 0,
    }
}

/// A step about all tables.
fn common_step(
    phase: Phase,
    object: &str,
    title: &str,
    action: Action,
    inverse: Vec<String>,
) -> Step {
    Step {
        id: StepId(format!("{}:{object}", phase.name())),
        phase,
        table: None,
        title: title.to_owned(),
        side: Side::Target,
        action,
        inverse,
        concurrency: Concurrency::Alone,
        weight_bytes: 0,
    }
}

fn fence_steps(index: usize, table: &TablePlan, found: &TableFacts) -> Vec<Step> {
    let name = table.relation.plain();
    let action = Action::Sql {
        statements: sql::fence(found),
    };
    let fence = Step {
        side: Side::Source,
        inverse: sql::unfence(found),
        ..step(
            Phase::Fence,
            index,
            &table.relation,
            "",
            format!("keep writers off {name}"),
            action,
        )
    };
    let release = found.partman.as_ref().map(|partman| Step {
        side: Side::Source,
        inverse: sql::restore(partman),
        ..step(
            Phase::Fence,
            index,
            &table.relation,
            "pg_partman",
            format!("take {name} out of pg_partman's hands"),
            Action::Sql {
                statements: sql::release(partman),
            },
        )
    });
    std::iter::once(fence).chain(release).collect()
}

fn create_schemas(tables: &[TablePlan], facts: &Facts) -> Step {
    let names: BTreeSet<&String> = tables.iter().map(|table| &table.staging.schema).collect();
    let inverse = names
        .into_iter()
        .map(|name| sql::drop_schema_if_empty(name))
        .collect();
    let action = Action::Sql {
        statements: sql::create_schemas(facts, tables),
    };
    common_step(
        Phase::Create,
        "schemas",
        "create the staging schemas",
        action,
        inverse,
    )
}

fn create_steps(
    index: usize,
    table: &TablePlan,
    found: &TableFacts,
    facts: &Facts,
    topology: Topology,
) -> Vec<Step> {
    let sequences = sql::create_sequences(found, topology);
    let mut inverse = vec![format!("DROP TABLE IF EXISTS {}", table.staging)];
    if topology == Topology::OtherDatabase {
        inverse.extend(
            found
                .sequences
                .iter()
                .map(|sequence| format!("DROP SEQUENCE IF EXISTS {}", sequence.relation)),
        );
    }
    let statements = sequences
        .into_iter()
        .chain(sql::create_table(table, found, facts))
        .collect();
    let title = format!("create hypertable {}", table.staging.plain());
    vec![Step {
        inverse,
        ..step(
            Phase::Create,
            index,
            &table.relation,
            "",
            title,
            Action::Sql { statements },
        )
    }]
}

fn chunk_steps(index: usize, table: &TablePlan, _: &TableFacts) -> Vec<Step> {
    let title = format!(
        "make {} of {}",
        phrase::count_of(&table.chunks, "chunk"),
        table.relation.plain()
    );
    vec![step(
        Phase::Chunks,
        index,
        &table.relation,
        "",
        title,
        Action::CreateChunks,
    )]
}

fn copy_step(tables: &[TablePlan]) -> Step {
    let weight_bytes = tables.iter().map(|table| table.data_bytes).sum();
    Step {
        weight_bytes,
        ..common_step(
            Phase::Copy,
            "slices",
            "copy the slices",
            Action::CopySlices,
            Vec::new(),
        )
    }
}

fn key_steps(index: usize, table: &TablePlan, found: &TableFacts) -> Vec<Step> {
    let keys = found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion)
        .map(|key| Step {
            concurrency: Concurrency::OnePerTable,
            weight_bytes: key.size_bytes.max(table.data_bytes / 8),
            ..step(
                Phase::Keys,
                index,
                &table.relation,
                &key.name,
                format!("add {} of {}", key.name, table.relation.plain()),
                Action::Sql {
                    statements: sql::key_step_sql(table, key),
                },
            )
        });
    let checks = sql::late_checks(table, found);
    let checks = (!checks.is_empty()).then(|| Step {
        concurrency: Concurrency::OnePerTable,
        ..step(
            Phase::Keys,
            index,
            &table.relation,
            "checks",
            format!("finish the checks of {}", table.relation.plain()),
            Action::Sql { statements: checks },
        )
    });
    keys.chain(checks).collect()
}

fn index_steps(index: usize, table: &TablePlan, found: &TableFacts) -> Vec<Step> {
    let build = |built: &crate::facts::Index| Step {
        concurrency: Concurrency::Free,
        weight_bytes: index_weight(built, table),
        ..step(
            Phase::Indexes,
            index,
            &table.relation,
            &built.name,
            format!("build index {} of {}", built.name, table.relation.plain()),
            Action::Sql {
                statements: sql::index_step_sql(table, built),
            },
        )
    };
    let mut steps: Vec<Step> = found
        .indexes
        .iter()
        .filter(|built| built.valid)
        .map(build)
        .collect();
    steps.sort_by(|a, b| {
        b.weight_bytes
            .cmp(&a.weight_bytes)
            .then_with(|| a.id.cmp(&b.id))
    });
    steps
}

/// What an index's build costs against its size: GiST and GIN take longest (facts: 12.3 s and 6.1 s of 38 s for nine).
fn index_weight(index: &crate::facts::Index, table: &TablePlan) -> u64 {
    let scan_bytes = table.data_bytes / 8;
    let factor = match index.method.as_str() {
        "gist" | "spgist" => 8,
        "gin" => 4,
        _ => 1,
    };
    scan_bytes + index.size_bytes * factor
}

fn foreign_key_steps(
    index: usize,
    table: &TablePlan,
    found: &TableFacts,
    tables: &[TablePlan],
    facts: &Facts,
) -> Vec<Step> {
    let wanted: Vec<&ForeignKey> = found
        .foreign_keys
        .iter()
        .filter(|key| can_exist(key, tables, facts))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let name = table.relation.plain();
    let add = step(
        Phase::ForeignKeys,
        index,
        &table.relation,
        "",
        format!("add {} of {name}", phrase::count_of(&wanted, "foreign key")),
        Action::Sql {
            statements: sql::add_foreign_keys(table, wanted.iter().copied()),
        },
    );
    let validate = wanted.iter().filter(|key| key.validated).map(|key| Step {
        concurrency: Concurrency::OnePerTable,
        weight_bytes: table.data_bytes / 4,
        ..step(
            Phase::ForeignKeys,
            index,
            &table.relation,
            &key.name,
            format!("validate foreign key {} of {name}", key.name),
            Action::Sql {
                statements: vec![sql::validate_foreign_key(table, key)],
            },
        )
    });
    std::iter::once(add).chain(validate).collect()
}

/// Whether a foreign key can exist on the target: not between hypertables, and not to a table that is missing.
pub(crate) fn can_exist(key: &ForeignKey, tables: &[TablePlan], facts: &Facts) -> bool {
    let moved = tables.iter().any(|table| table.relation == key.references);
    let hypertable =
        key.references_hypertable || facts.target.hypertables.contains(&key.references);
    !moved && !hypertable && !facts.missing_relations.contains(&key.references)
}

fn finish_steps(
    index: usize,
    table: &TablePlan,
    found: &TableFacts,
    topology: Topology,
) -> Vec<Step> {
    let name = table.relation.plain();
    let identity = found.columns.iter().filter_map(|column| {
        let identity = column.identity.as_ref()?;
        Some(CarriedSequence {
            source: identity.sequence.relation.clone(),
            column: column.name.clone(),
            target: None,
        })
    });
    // In the same database a serial column goes on with the very same sequence.
    let serial = found
        .sequences
        .iter()
        .filter(|_| topology == Topology::OtherDatabase)
        .map(|sequence| CarriedSequence {
            source: sequence.relation.clone(),
            column: sequence.column.clone(),
            target: Some(sequence.relation.clone()),
        });
    let sequences: Vec<CarriedSequence> = identity.chain(serial).collect();
    let carry = (!sequences.is_empty()).then(|| {
        let title = format!(
            "carry {} of {name} on",
            phrase::count_of(&sequences, "sequence")
        );
        step(
            Phase::Finish,
            index,
            &table.relation,
            "sequences",
            title,
            Action::CarrySequences {
                sequences: sequences.clone(),
            },
        )
    });
    let identity = sql::replica_identity(table, found).map(|statement| {
        let title = format!("set the replica identity of {name}");
        let action = Action::Sql {
            statements: vec![statement],
        };
        step(
            Phase::Finish,
            index,
            &table.relation,
            "replica identity",
            title,
            action,
        )
    });
    carry.into_iter().chain(identity).collect()
}

fn verify_steps(index: usize, table: &TablePlan, _: &TableFacts) -> Vec<Step> {
    let title = format!("prove that {} is equal", table.relation.plain());
    vec![Step {
        weight_bytes: table.data_bytes,
        ..step(
            Phase::Verify,
            index,
            &table.relation,
            "",
            title,
            Action::Verify,
        )
    }]
}

fn cutover_step(tables: &[TablePlan], facts: &Facts, topology: Topology) -> Step {
    let action = Action::Sql {
        statements: sql::cutover(tables, facts, topology),
    };
    let inverse = sql::cutover_inverse(tables, facts, topology);
    common_step(
        Phase::Cutover,
        "tables",
        "put the hypertables in the tables' places",
        action,
        inverse,
    )
}

/// Writers are back by now: foreign keys of other tables are validated, statistics are gathered.
fn after_steps(
    index: usize,
    table: &TablePlan,
    found: &TableFacts,
    tables: &[TablePlan],
    topology: Topology,
) -> Vec<Step> {
    let validate = |(relation, name, statement): (Relation, String, String)| {
        let title = format!("validate foreign key {name} of {}", relation.plain());
        let object = format!("{}:{name}", relation.plain());
        let action = Action::Sql {
            statements: vec![statement],
        };
        step(Phase::After, index, &found.relation, &object, title, action)
    };
    let referencing = match topology {
        Topology::SameDatabase => sql::validate_referencing(tables, found),
        Topology::OtherDatabase => Vec::new(),
    };
    let analyze = Step {
        concurrency: Concurrency::Free,
        weight_bytes: table.data_bytes,
        ..step(
            Phase::After,
            index,
            &table.relation,
            "statistics",
            format!("gather statistics of {}", table.relation.plain()),
            Action::Sql {
                statements: vec![format!("ANALYZE {}", table.relation)],
            },
        )
    };
    referencing
        .into_iter()
        .map(validate)
        .chain(std::iter::once(analyze))
        .collect()
}
