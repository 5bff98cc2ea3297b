//! Ids of keys that other tables have: remembered, looked up, and learned where a key is new.
//!
//! New keys are added in transactions of their own, before the batch that refers to them: several processes that meet the same
//! new key get the same id, and nobody waits for a batch.

use crate::Error;
use crate::batch::Batch;
use crate::limits::{LOOKUP_BATCH_KEYS, LOOKUP_KEYS_MAX};
use crate::trouble::Trouble;
use hyperhaul_decode::{Found, Id, IdType, LookupKey, LookupSpec};
use hyperhaul_pg::{Refusal, Session, ToSql};
use hyperhaul_plan::{Relation, quote_ident};
use std::collections::{HashMap, HashSet};

/// The lookups of a stream, and what was found so far.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    lookups: Vec<Lookup>,
}

#[derive(Debug)]
struct Lookup {
    spec: LookupSpec,
    relation: Relation,
    /// Types of the key columns, then of the extra columns.
    types: Vec<String>,
    known: HashMap<Vec<String>, Known>,
}

/// What is known of a key: its id, or that the table refuses it.
#[derive(Debug, Clone)]
enum Known {
    There { id: Id, returned: Option<String> },
    Refused,
}

impl Lookups {
    /// Learns the types of the tables' columns.
    pub(crate) async fn new(session: &Session, specs: &[LookupSpec]) -> Result<Lookups, Trouble> {
        let mut lookups = Vec::new();
        for spec in specs {
            lookups.push(Lookup::new(session, spec).await?);
        }
        Ok(Lookups { lookups })
    }

    pub(crate) fn count(&self) -> usize {
        self.lookups.len()
    }

    /// What is known of a key.
    pub(crate) fn find(&self, lookup: usize, key: &LookupKey) -> Option<Found<'_>> {
        match self.lookups.get(lookup)?.known.get(&key.key)? {
            Known::There { id, returned } => Some(Found {
                id: *id,
                returned: returned.as_deref(),
            }),
            Known::Refused => None,
        }
    }

    /// Makes every key of the batch known; each of them stays so until the next call.
    pub(crate) async fn resolve(
        &mut self,
        session: &Session,
        batch: &Batch,
    ) -> Result<(), Trouble> {
        for (index, lookup) in self.lookups.iter_mut().enumerate() {
            let unknown = lookup.unknown(index, batch);
            for keys in unknown.chunks(LOOKUP_BATCH_KEYS) {
                lookup.look_up(session, keys).await?;
            }
        }
        Ok(())
    }
}

impl Lookup {
    async fn new(session: &Session, spec: &LookupSpec) -> Result<Lookup, Trouble> {
        let missing = |what: String| {
            Error::usage(what).hint("Correct the lookup in the stream's configuration.")
        };
        let relation = Relation::parse(&spec.table)
            .ok_or_else(|| missing(format!("\"{}\" is no name of a table", spec.table)))?;
        let found = hyperhaul_catalog::live_table(session, &relation).await?;
        let (table, _) =
            found.ok_or_else(|| missing(format!("there is no table {}", relation.plain())))?;
        let names = spec.key_columns.iter().chain(&spec.extra_columns);
        let types = names.map(|name| {
            let column = table.columns.iter().find(|column| column.name == *name);
            let of_type = column.map(|column| column.type_sql.clone());
            of_type.ok_or_else(|| {
                missing(format!(
                    "table {} has no column \"{name}\"",
                    relation.plain()
                ))
            })
        });
        Ok(Lookup {
            types: types.collect::<Result<_, Error>>()?,
            spec: spec.clone(),
            relation,
            known: HashMap::new(),
        })
    }

    /// Distinct keys of the batch that are not known. Forgets the others where there would be too many.
    fn unknown(&mut self, index: usize, batch: &Batch) -> Vec<LookupKey> {
        // A key that was refused may have been added by now.
        self.known
            .retain(|_, known| matches!(known, Known::There { .. }));
        let rows = batch.stripes.iter().flat_map(|stripe| &stripe.rows);
        let mut wanted: Vec<&LookupKey> = rows.flat_map(|rows| rows.wanted(index)).collect();
        let mut seen = HashSet::new();
        wanted.retain(|key| seen.insert(&key.key));
        let is_unknown = |key: &&&LookupKey| !self.known.contains_key(&key.key);
        let unknown: Vec<LookupKey> = wanted
            .iter()
            .filter(is_unknown)
            .map(|key| (*key).clone())
            .collect();
        if self.known.len() + unknown.len() <= LOOKUP_KEYS_MAX {
            return unknown;
        }
        self.known.clear();
        wanted.into_iter().cloned().collect()
    }

    async fn look_up(&mut self, session: &Session, keys: &[LookupKey]) -> Result<(), Trouble> {
        self.find(session, keys).await?;
        let is_new = |key: &&LookupKey| !self.known.contains_key(&key.key);
        let new: Vec<LookupKey> = keys.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        match self.add(session, &new).await {
            Ok(()) => {}
            Err(error) if is_of_a_row(&error) => self.add_one_by_one(session, &new).await?,
            Err(error) => return Err(error.into()),
        }
        self.find(session, &new).await?;
        for key in new {
            self.known.entry(key.key).or_insert(Known::Refused);
        }
        Ok(())
    }

    async fn add_one_by_one(&self, session: &Session, keys: &[LookupKey]) -> Result<(), Trouble> {
        for key in keys {
            match self.add(session, std::slice::from_ref(key)).await {
                Err(error) if !is_of_a_row(&error) => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    async fn add(&self, session: &Session, keys: &[LookupKey]) -> Result<(), hyperhaul_pg::Error> {
        let key_count = self.spec.key_columns.len();
        let column = |at: usize| {
            let value = move |key: &LookupKey| match at.checked_sub(key_count) {
                None => key.key.get(at).cloned(),
                Some(extra) => key.extra.get(extra).cloned().flatten(),
            };
            keys.iter().map(value).collect()
        };
        let columns: Vec<Vec<Option<String>>> = (0..self.types.len()).map(column).collect();
        let names = self.spec.key_columns.iter().chain(&self.spec.extra_columns);
        let names: Vec<String> = names.map(|name| quote_ident(name)).collect();
        let values = self.types.iter().enumerate();
        let values = values.map(|(at, of_type)| format!("c{at}::{of_type}"));
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING",
            self.relation,
            names.join(", "),
            values.collect::<Vec<_>>().join(", "),
            texts(self.types.len(), ""),
        );
        session.execute(&sql, &parameters(&columns)).await?;
        Ok(())
    }

    async fn find(&mut self, session: &Session, keys: &[LookupKey]) -> Result<(), Trouble> {
        let key_count = self.spec.key_columns.len();
        let column = |at: usize| keys.iter().map(|key| key.key.get(at).cloned()).collect();
        let columns: Vec<Vec<Option<String>>> = (0..key_count).map(column).collect();
        let equal = self.spec.key_columns.iter().zip(&self.types).enumerate();
        let equal = equal
            .map(|(at, (name, of_type))| format!("there.{} = c{at}::{of_type}", quote_ident(name)));
        let returned = match &self.spec.returned_column {
            Some(column) => format!("there.{}::text", quote_ident(column)),
            None => "NULL::text".to_owned(),
        };
        let sql = format!(
            "SELECT n, there.{}::text, {returned} FROM {} JOIN {} AS there ON {}",
            quote_ident(&self.spec.id_column),
            texts(key_count, " WITH ORDINALITY"),
            self.relation,
            equal.collect::<Vec<_>>().join(" AND "),
        );
        for row in session.query(&sql, &parameters(&columns)).await? {
            let number: i64 = row.get(0);
            let key = usize::try_from(number - 1).ok().and_then(|at| keys.get(at));
            let text = row.get::<_, Option<String>>(1);
            let id = text.and_then(|text| id(self.spec.id_type, &text));
            if let (Some(key), Some(id)) = (key, id) {
                let returned = row.get(2);
                self.known
                    .insert(key.key.clone(), Known::There { id, returned });
            }
        }
        Ok(())
    }
}

/// Some key is refused, and others may not be.
fn is_of_a_row(error: &hyperhaul_pg::Error) -> bool {
    matches!(error.refusal(), Some(Refusal::Row | Refusal::Duplicate))
}

/// Columns of texts as rows: `c0`, `c1` and so on, and `n` with an ordinality.
fn texts(count: usize, ordinality: &str) -> String {
    let arrays: Vec<String> = (1..=count).map(|at| format!("${at}::text[]")).collect();
    let names: Vec<String> = (0..count).map(|at| format!("c{at}")).collect();
    let number = if ordinality.is_empty() { "" } else { ", n" };
    format!(
        "unnest({}){ordinality} AS wanted ({}{number})",
        arrays.join(", "),
        names.join(", ")
    )
}

fn parameters(columns: &[Vec<Option<String>>]) -> Vec<&(dyn ToSql + Sync)> {
    columns
        .iter()
        .map(|column| column as &(dyn ToSql + Sync))
        .collect()
}

fn id(id_type: IdType, text: &str) -> Option<Id> {
    match id_type {
        IdType::Uuid => {
            let id = text.parse::<uuid::Uuid>().ok()?;
            Some(Id::Uuid(id.into_bytes()))
        }
        IdType::Int4 => text.parse().ok().map(Id::Int4),
        IdType::Int8 => text.parse().ok().map(Id::Int8),
    }
}
