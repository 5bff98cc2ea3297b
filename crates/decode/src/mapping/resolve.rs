//! A mapping against the columns of its table: what fits becomes a [`Layout`], what does not is said before the first record.

use super::fields::field;
use super::origins::{LookupOrigin, Origins, origins, parse_slot};
use super::{ChoiceMapping, ColumnMapping, Columns, Mapping, MappingError, Unknown};
use crate::column::{ColumnKind, TargetColumn};
use crate::decoder::Target;
use crate::field::Field;
use crate::layout::{ChoiceLayout, Column, KeySlots, Layout, Origin, Slot, Way};
use crate::lookup::{IdType, LookupSpec};
use crate::time::Window;

/// Columns of a table of PostgreSQL at most.
const COLUMNS_MAX: usize = 1600;

/// The rows that a mapping makes for a table with these columns.
///
/// # Errors
///
/// If they do not fit.
pub(super) fn layout(mapping: &Mapping, columns: &[TargetColumn]) -> Result<Layout, MappingError> {
    let mut resolver = Resolver {
        mapping,
        columns,
        names: Vec::new(),
        lookups: Vec::new(),
        resolved: Vec::new(),
    };
    for column in &mapping.column {
        resolver.listed(column)?;
    }
    resolver.time_column()?;
    if mapping.columns == Columns::All {
        resolver.all_others()?;
    }
    let choice = mapping.choice.as_ref();
    let choice = choice.map(|choice| resolver.choice(choice)).transpose()?;
    resolver.finish(choice)
}

struct Resolver<'m> {
    mapping: &'m Mapping,
    columns: &'m [TargetColumn],
    names: Vec<String>,
    lookups: Vec<LookupSpec>,
    resolved: Vec<Column>,
}

impl<'m> Resolver<'m> {
    fn listed(&mut self, column: &ColumnMapping) -> Result<(), MappingError> {
        if self.resolved.iter().any(|known| known.name == column.name) {
            return Err(self.error(&column.name, "is mapped twice"));
        }
        let Some(target) = self.target(&column.name) else {
            if column.optional {
                return Ok(());
            }
            return Err(self.no_such_column(&column.name));
        };
        let origin = match origins(column).map_err(|problem| self.error(&column.name, problem))? {
            Origins::Value(from) => Origin::Value {
                slot: self.slot(&column.name, from)?,
                field: self.field(column, target)?,
            },
            Origins::Lookup(lookup) => self.lookup(column, target, &lookup)?,
        };
        if let Origin::Value { slot, .. } = &origin
            && *slot == Slot::ReceivedAt
            && !target.kind.is_time()
        {
            let problem = format!("is of type {}: $received_at is a time", target.kind.name());
            return Err(self.error(&column.name, problem));
        }
        self.resolved.push(Column {
            name: column.name.clone(),
            not_null: target.not_null,
            origin,
        });
        Ok(())
    }

    /// The time of the rows is mapped whether it is listed or not.
    fn time_column(&mut self) -> Result<(), MappingError> {
        let Some(time) = &self.mapping.time else {
            return Ok(());
        };
        let Some(target) = self.target(&time.column) else {
            return Err(self.no_such_column(&time.column));
        };
        if !target.kind.is_time() {
            let problem = format!("is of type {}: it is no time", target.kind.name());
            return Err(self.error(&time.column, problem));
        }
        if self.is_resolved(&time.column) {
            return Ok(());
        }
        self.listed(&ColumnMapping::named(&time.column))
    }

    /// Columns with a default get it: nobody knows whether the records have them.
    fn all_others(&mut self) -> Result<(), MappingError> {
        for target in self.columns {
            let is_chosen =
                self.mapping.choice.as_ref().is_some_and(|choice| {
                    choice.columns.values().any(|column| *column == target.name)
                });
            if !target.has_default && !is_chosen && !self.is_resolved(&target.name) {
                self.listed(&ColumnMapping::named(&target.name))?;
            }
        }
        Ok(())
    }

    fn field(&self, column: &ColumnMapping, target: &TargetColumn) -> Result<Field, MappingError> {
        let time = self.mapping.time.as_ref();
        let window = time.filter(|time| time.column == column.name);
        let window = window.map(|time| Window {
            past_us: time.past_max.us(),
            future_us: time.future_max.us(),
            late_us: time.late_after.us(),
        });
        field(column, target, window).map_err(|problem| self.error(&column.name, problem))
    }

    fn lookup(
        &mut self,
        column: &ColumnMapping,
        target: &TargetColumn,
        lookup: &LookupOrigin<'_>,
    ) -> Result<Origin, MappingError> {
        let id_type = match target.kind {
            ColumnKind::Uuid => IdType::Uuid,
            ColumnKind::Int4 => IdType::Int4,
            ColumnKind::Int8 => IdType::Int8,
            _ => {
                let problem = format!(
                    "is of type {}: a lookup gives uuid, integer or bigint",
                    target.kind.name()
                );
                return Err(self.error(&column.name, problem));
            }
        };
        // What is not for ids has no place here.
        field(column, target, None).map_err(|problem| self.error(&column.name, problem))?;
        let key = self.slots(&column.name, &lookup.key)?;
        let extra = self.slots(&column.name, &lookup.extra)?;
        let names = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(column, _)| (*column).to_owned())
                .collect()
        };
        let returned = self.mapping.choice.as_ref();
        let returned = returned.filter(|choice| choice.lookup == column.name);
        self.lookups.push(LookupSpec {
            table: lookup.table.to_owned(),
            id_column: lookup.id.to_owned(),
            id_type,
            key_columns: names(&lookup.key),
            extra_columns: names(&lookup.extra),
            returned_column: returned.map(|choice| choice.returned.clone()),
        });
        Ok(Origin::Lookup(KeySlots {
            lookup: self.lookups.len() - 1,
            key,
            extra,
        }))
    }

    fn choice(&mut self, choice: &ChoiceMapping) -> Result<ChoiceLayout, MappingError> {
        let lookup = self
            .resolved
            .iter()
            .find_map(|column| match &column.origin {
                Origin::Lookup(slots) if column.name == choice.lookup => Some(slots.lookup),
                _ => None,
            });
        let Some(lookup) = lookup else {
            let problem = "has no lookup that could tell where the choice's value goes";
            return Err(self.error(&choice.lookup, problem));
        };
        let returned = self.lookups.get(lookup).and_then(|spec| {
            let mut extra = spec.extra_columns.iter();
            extra.position(|column| *column == choice.returned)
        });
        let mut ways = Vec::new();
        for (label, column) in &choice.columns {
            let Some(target) = self.target(column) else {
                return Err(self.no_such_column(column));
            };
            let is_mapped =
                self.is_resolved(column) || ways.iter().any(|way: &Way| way.column == *column);
            if is_mapped {
                return Err(self.error(column, "is mapped twice"));
            }
            if target.not_null {
                return Err(self.error(column, "must have a value, and a choice leaves it out"));
            }
            ways.push(Way {
                label: label.as_str().into(),
                column: column.clone(),
                field: self.field(&ColumnMapping::named(column), target)?,
            });
        }
        Ok(ChoiceLayout {
            slot: self.slot(&choice.lookup, &choice.from)?,
            lookup,
            returned,
            ways,
        })
    }

    fn finish(self, choice: Option<ChoiceLayout>) -> Result<Layout, MappingError> {
        let own = self.resolved.iter().map(|column| column.name.clone());
        let chosen = choice.iter().flat_map(|choice| &choice.ways);
        let names: Vec<String> = own.chain(chosen.map(|way| way.column.clone())).collect();
        if names.is_empty() || names.len() > COLUMNS_MAX {
            let message = format!(
                "{} columns of {} are mapped",
                names.len(),
                self.mapping.table
            );
            return Err(MappingError::new(message)
                .hint("List them as [[stream.column]], or say columns = \"all\"."));
        }
        let missing: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.not_null && !column.has_default)
            .filter(|column| !names.contains(&column.name))
            .map(|column| column.name.as_str())
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "{} of {} must have a value, and is not mapped",
                missing.join(", "),
                self.mapping.table
            );
            return Err(MappingError::new(message)
                .hint("List it as a [[stream.column]], or give it a default in the table."));
        }
        Ok(Layout {
            target: Target {
                table: self.mapping.table.clone(),
                columns: names,
            },
            lookups: self.lookups,
            names: self.names,
            columns: self.resolved,
            choice,
            is_unknown_counted: self.mapping.unknown == Unknown::Count,
        })
    }

    fn slots(&mut self, column: &str, pairs: &[(&str, &str)]) -> Result<Vec<Slot>, MappingError> {
        let froms = pairs.iter().map(|(_, from)| self.slot(column, from));
        froms.collect()
    }

    fn slot(&mut self, column: &str, from: &str) -> Result<Slot, MappingError> {
        if let Some(slot) = parse_slot(from).map_err(|problem| self.error(column, problem))? {
            return Ok(slot);
        }
        let known = self.names.iter().position(|name| name == from);
        Ok(Slot::Named(known.unwrap_or_else(|| {
            self.names.push(from.to_owned());
            self.names.len() - 1
        })))
    }

    fn target(&self, name: &str) -> Option<&'m TargetColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn is_resolved(&self, name: &str) -> bool {
        self.resolved.iter().any(|column| column.name == name)
    }

    fn error(&self, column: &str, problem: impl AsRef<str>) -> MappingError {
        let table = &self.mapping.table;
        MappingError::new(format!(
            "column \"{column}\" of {table} {}",
            problem.as_ref()
        ))
    }

    fn no_such_column(&self, name: &str) -> MappingError {
        let known: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        self.error(name, "is not there, or cannot be written")
            .hint(format!(
                "Columns that can be written are {}. Generated ones are the server's.",
                known.join(", ")
            ))
    }
}
