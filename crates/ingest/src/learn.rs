//! What a stream's tables look like now, and the decoder for that.

use crate::Error;
use crate::statements::{Column, Table};
use crate::stream::Stream;
use crate::trouble::Trouble;
use hyperhaul_catalog::{LiveColumn, LiveTable};
use hyperhaul_decode::{ColumnKind, Decoder, TargetColumn};
use hyperhaul_pg::{Session, Type};
use hyperhaul_plan::{Relation, quote_ident};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The tables of a stream, and the decoder that writes rows for them.
pub(crate) struct Learned {
    /// In the order of the decoder's targets.
    pub(crate) tables: Vec<Table>,
    pub(crate) decoder: Box<dyn Decoder>,
    /// Another number for each time that tables were learned.
    pub(crate) generation: u64,
}

static GENERATIONS: AtomicU64 = AtomicU64::new(0);

/// A table as it is now.
struct Seen {
    relation: Relation,
    live: LiveTable,
    shape: String,
}

/// Looks at the stream's tables.
pub(crate) async fn learn(session: &Session, stream: &Stream) -> Result<Arc<Learned>, Trouble> {
    let mapping = &stream.mapping;
    let mut seen = Vec::new();
    for name in mapping.tables() {
        seen.push(look(session, &name).await?);
    }
    if seen.len() > 1 && !stream.key.is_empty() {
        return Err(
            Error::usage("a stream into several tables has no key of its own")
                .hint("Leave key out: each table is held to its first unique index.")
                .into(),
        );
    }
    let columns: Vec<Vec<TargetColumn>> =
        seen.iter().map(|seen| target_columns(&seen.live)).collect();
    let decoder = mapping
        .decoder(&columns)
        .map_err(|error| Error::mapping(&error))?;
    let targets = decoder.targets().iter().zip(&seen);
    let tables = targets.map(|(target, seen)| table(seen, &target.columns, &stream.key));
    Ok(Arc::new(Learned {
        tables: tables.collect::<Result<_, Error>>()?,
        decoder,
        generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
    }))
}

async fn look(session: &Session, name: &str) -> Result<Seen, Trouble> {
    let relation = Relation::parse(name)
        .ok_or_else(|| Error::usage(format!("\"{name}\" is no name of a table")))?;
    match hyperhaul_catalog::live_table(session, &relation).await? {
        Some((live, shape)) => Ok(Seen {
            relation,
            live,
            shape,
        }),
        None => Err(
            Error::usage(format!("there is no table {}", relation.plain()))
                .hint("Create it, or name another one in the stream's configuration.")
                .into(),
        ),
    }
}

fn target_columns(table: &LiveTable) -> Vec<TargetColumn> {
    let columns = table.columns.iter().filter(|column| !column.generated);
    let columns = columns.filter_map(|column| {
        Some(TargetColumn {
            name: column.name.clone(),
            kind: kind(column)?,
            not_null: column.not_null,
            has_default: column.has_default,
        })
    });
    columns.collect()
}

/// `None`: a type that values are not encoded for.
fn kind(column: &LiveColumn) -> Option<ColumnKind> {
    /// What `atttypmod` holds besides a length: the size of the length word.
    const LENGTH_WORD_BYTES: i32 = 4;
    if !column.labels.is_empty() {
        let labels = column.labels.clone();
        return Some(ColumnKind::Enum { labels });
    }
    let chars_max = u32::try_from(column.type_modifier - LENGTH_WORD_BYTES).ok();
    let kind = match Type::from_oid(column.base_oid)? {
        Type::BOOL => ColumnKind::Bool,
        Type::INT2 => ColumnKind::Int2,
        Type::INT4 => ColumnKind::Int4,
        Type::INT8 => ColumnKind::Int8,
        Type::FLOAT4 => ColumnKind::Float4,
        Type::FLOAT8 => ColumnKind::Float8,
        Type::NUMERIC => ColumnKind::Numeric,
        Type::TEXT => ColumnKind::Text { chars_max: None },
        Type::VARCHAR | Type::BPCHAR => ColumnKind::Text { chars_max },
        Type::UUID => ColumnKind::Uuid,
        Type::TIMESTAMPTZ => ColumnKind::Timestamptz,
        Type::TIMESTAMP => ColumnKind::Timestamp,
        Type::DATE => ColumnKind::Date,
        Type::JSON => ColumnKind::Json,
        Type::JSONB => ColumnKind::Jsonb,
        Type::BYTEA => ColumnKind::Bytea,
        Type::TEXT_ARRAY => ColumnKind::TextArray,
        _ => return None,
    };
    Some(kind)
}

fn table(seen: &Seen, names: &[String], key: &[String]) -> Result<Table, Error> {
    let of_name = |name: &String| seen.live.columns.iter().find(|column| column.name == *name);
    let columns = names.iter().filter_map(of_name).map(|column| Column {
        name: column.name.clone(),
        type_sql: column.type_sql.clone(),
        compared_as_text: column.base_oid == Type::JSON.oid(),
        not_null: column.not_null,
    });
    Ok(Table {
        columns: columns.collect(),
        key: self::key(seen, names, key)?,
        relation: seen.relation.clone(),
        shape: seen.shape.clone(),
    })
}

/// The columns that tell duplicates: those declared, or else those of the first unique index that is written whole.
fn key(seen: &Seen, names: &[String], declared: &[String]) -> Result<Vec<String>, Error> {
    let unique_keys = &seen.live.unique_keys;
    if declared.is_empty() {
        let whole = |key: &&Vec<String>| key.iter().all(|column| names.contains(column));
        return Ok(unique_keys.iter().find(whole).cloned().unwrap_or_default());
    }
    let same = |key: &Vec<String>| {
        key.len() == declared.len() && key.iter().all(|column| declared.contains(column))
    };
    if unique_keys.iter().any(same) {
        return Ok(declared.to_vec());
    }
    let relation = &seen.relation;
    let columns: Vec<String> = declared.iter().map(|name| quote_ident(name)).collect();
    let columns = columns.join(", ");
    let message = format!(
        "table {} has no unique index on the key ({columns})",
        relation.plain()
    );
    Err(Error::usage(message).hint(format!(
        "CREATE UNIQUE INDEX ON {relation} ({columns}), or name the columns of one that there is."
    )))
}
