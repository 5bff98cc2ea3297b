//! What a hypertable should look like, and how what is there differs: columns, keys, checks, indexes, foreign keys.

use crate::TablePlan;
use crate::facts::{Column, Facts, ForeignKey, Index, KeyKind, TableFacts, UniqueKey};
use crate::sql::{inherited_definition, key_definition, lacks_time};
use crate::steps::can_exist;
use std::collections::BTreeMap;

/// A table's structure as lines of definition by name: comparable and readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    columns: BTreeMap<String, String>,
    constraints: BTreeMap<String, String>,
    indexes: BTreeMap<String, String>,
    foreign_keys: BTreeMap<String, String>,
}

impl Structure {
    /// The structure of a table as it is.
    pub fn of(found: &TableFacts) -> Structure {
        Structure {
            columns: found
                .columns
                .iter()
                .map(|column| (column.name.clone(), column_line(column)))
                .collect(),
            constraints: keys(found)
                .map(|key| (key.name.clone(), normal(&key.definition)))
                .chain(checks(found))
                .collect(),
            indexes: found
                .indexes
                .iter()
                .map(|index| (index.name.clone(), index_line(index, index.unique)))
                .collect(),
            foreign_keys: found
                .foreign_keys
                .iter()
                .map(|key| (key.name.clone(), foreign_key_line(key)))
                .collect(),
        }
    }
}

/// What the hypertable of a table should look like once the plan is carried out.
pub fn wanted_structure(
    table: &TablePlan,
    found: &TableFacts,
    tables: &[TablePlan],
    facts: &Facts,
) -> Structure {
    let key = |key: &UniqueKey| (key.name.clone(), normal(&key_definition(table, key)));
    let index = |index: &Index| {
        let unique = index.unique && !lacks_time(&index.columns, &table.time_column);
        (index.name.clone(), index_line(index, unique))
    };
    Structure {
        columns: found
            .columns
            .iter()
            .map(|column| (column.name.clone(), wanted_column_line(column, table)))
            .collect(),
        constraints: keys(found).map(key).chain(checks(found)).collect(),
        indexes: found
            .indexes
            .iter()
            .filter(|index| index.valid)
            .map(index)
            .collect(),
        foreign_keys: found
            .foreign_keys
            .iter()
            .filter(|key| can_exist(key, tables, facts))
            .map(|key| (key.name.clone(), foreign_key_line(key)))
            .collect(),
    }
}

/// Whether a key is validated is left out: that is a step of its own, and may be still to come.
fn foreign_key_line(key: &ForeignKey) -> String {
    let definition = key.definition.strip_suffix(" NOT VALID");
    definition.unwrap_or(&key.definition).to_owned()
}

/// How `present` differs from `wanted`, a line each.
pub fn structure_differences(wanted: &Structure, present: &Structure) -> Vec<String> {
    let mut lines = Vec::new();
    differ("column", &wanted.columns, &present.columns, &mut lines);
    differ(
        "constraint",
        &wanted.constraints,
        &present.constraints,
        &mut lines,
    );
    differ("index", &wanted.indexes, &present.indexes, &mut lines);
    differ(
        "foreign key",
        &wanted.foreign_keys,
        &present.foreign_keys,
        &mut lines,
    );
    lines
}

fn differ(
    what: &str,
    wanted: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
    lines: &mut Vec<String>,
) {
    for (name, definition) in wanted {
        match present.get(name) {
            None => lines.push(format!("{what} {name} is missing")),
            Some(found) if found != definition => {
                lines.push(format!("{what} {name} is {found}, should be {definition}"))
            }
            Some(_) => {}
        }
    }
    let extra = present.keys().filter(|name| !wanted.contains_key(*name));
    lines.extend(extra.map(|name| format!("{what} {name} is not in the source")));
}

fn keys(found: &TableFacts) -> impl Iterator<Item = &UniqueKey> {
    found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion)
}

fn checks(found: &TableFacts) -> impl Iterator<Item = (String, String)> {
    found
        .checks
        .iter()
        .map(|check| (check.name.clone(), inherited_definition(check)))
}

/// A hypertable's time column is NOT NULL, whatever the source's was.
fn wanted_column_line(column: &Column, table: &TablePlan) -> String {
    let not_null = column.not_null || column.name == table.time_column;
    column_line(&Column {
        not_null,
        ..column.clone()
    })
}

fn column_line(column: &Column) -> String {
    let mut line = column.type_sql.clone();
    if let Some(collation) = &column.collation {
        line.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(generation) = &column.generation {
        line.push_str(&format!(
            " GENERATED ALWAYS AS ({})",
            generation.expression_sql
        ));
    }
    if column.identity.is_some() {
        line.push_str(" IDENTITY");
    }
    if let Some(default) = &column.default_sql {
        line.push_str(&format!(" DEFAULT {default}"));
    }
    if column.not_null {
        line.push_str(" NOT NULL");
    }
    line
}

fn index_line(index: &Index, unique: bool) -> String {
    format!("{}{}", if unique { "UNIQUE " } else { "" }, index.tail_sql)
}

/// Quotes differ between what we write and what the server prints: a simple name needs none.
fn normal(definition: &str) -> String {
    definition.replace('"', "")
}
