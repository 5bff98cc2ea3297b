//! Where the values of a column come from, as its mapping says it. No table is needed to tell.

use super::{ColumnMapping, Header, KeyMapping, Mapping, MappingError};
use crate::layout::Slot;

/// Where a column's values come from.
pub(super) enum Origins<'m> {
    /// One value: a `from`.
    Value(&'m str),
    Lookup(LookupOrigin<'m>),
}

/// What a lookup is done by: columns of its table, and where their values come from.
pub(super) struct LookupOrigin<'m> {
    pub(super) table: &'m str,
    pub(super) id: &'m str,
    pub(super) key: Vec<(&'m str, &'m str)>,
    pub(super) extra: Vec<(&'m str, &'m str)>,
}

/// # Errors
///
/// If the mapping contradicts itself; says how.
pub(super) fn origins(column: &ColumnMapping) -> Result<Origins<'_>, String> {
    let Some(lookup) = &column.lookup else {
        return Ok(Origins::Value(column.from()));
    };
    let key: Vec<(&str, &str)> = match (&lookup.key, &column.from) {
        (KeyMapping::Names(names), Some(from)) if names.len() == 1 => {
            let names = names.iter().map(|name| (name.as_str(), from.as_str()));
            names.collect()
        }
        (_, Some(_)) => {
            return Err(
                "has a from and a lookup by several values: say key = { column = \"member\" }"
                    .to_owned(),
            );
        }
        (KeyMapping::Names(names), None) => {
            let names = names.iter().map(|name| (name.as_str(), name.as_str()));
            names.collect()
        }
        (KeyMapping::From(pairs), None) => texts(pairs).collect(),
    };
    if key.is_empty() {
        return Err("has a lookup without a key".to_owned());
    }
    let extra: Vec<(&str, &str)> = texts(&lookup.extra).collect();
    if let Some((name, _)) = extra
        .iter()
        .find(|(name, _)| key.iter().any(|(key, _)| key == name))
    {
        return Err(format!(
            "has \"{name}\" in the key and the extra of its lookup"
        ));
    }
    Ok(Origins::Lookup(LookupOrigin {
        table: &lookup.table,
        id: &lookup.id,
        key,
        extra,
    }))
}

fn texts(pairs: &std::collections::BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(name, from)| (name.as_str(), from.as_str()))
}

/// What is not in the record itself; `None`: a member or field.
///
/// # Errors
///
/// If it begins with `$` and is nothing that sources know.
pub(super) fn parse_slot(from: &str) -> Result<Option<Slot>, String> {
    match from {
        "$received_at" => return Ok(Some(Slot::ReceivedAt)),
        "$source" => return Ok(Some(Slot::Source)),
        "" => return Err("has an empty from".to_owned()),
        _ => {}
    }
    match from.strip_prefix("$attribute.") {
        Some(name) if !name.is_empty() => Ok(Some(Slot::Attribute(name.to_owned()))),
        _ if from.starts_with('$') => Err(format!(
            "has from = \"{from}\": what begins with $ is $received_at, $source or $attribute.NAME"
        )),
        _ => Ok(None),
    }
}

impl ColumnMapping {
    /// A column that is mapped by its name and nothing else.
    pub(super) fn named(name: &str) -> Self {
        ColumnMapping {
            name: name.to_owned(),
            from: None,
            unit: None,
            scale: None,
            offset: None,
            min: None,
            max: None,
            implausible: super::Implausible::default(),
            time_format: None,
            infinity: false,
            lookup: None,
            optional: false,
        }
    }

    fn from(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.name)
    }
}

impl Mapping {
    /// The fields of a CSV record, in the order in which the decoder expects them: those of the header that the mapping
    /// declares, or those that it maps. It depends on the mapping alone, so that records that were taken in before a change of
    /// the table are still read rightly.
    ///
    /// # Errors
    ///
    /// If the mapping does not tell.
    pub fn csv_names(&self) -> Result<Vec<String>, MappingError> {
        let hint = "Say csv = { header = [\"name\", ...] } for records without a line of names.";
        match &self.csv.header {
            Header::Names(names) => Ok(names.clone()),
            Header::FirstLine(false) => {
                Err(MappingError::new("the CSV header is neither a line nor declared").hint(hint))
            }
            Header::FirstLine(true) if self.columns == super::Columns::All => {
                let message = "columns = \"all\" needs the names of the CSV fields";
                Err(MappingError::new(message).hint(hint))
            }
            Header::FirstLine(true) => self.mapped_names(),
        }
    }

    /// What the mapping takes out of records, each once.
    fn mapped_names(&self) -> Result<Vec<String>, MappingError> {
        let mut froms = Vec::new();
        for column in &self.column {
            let problem =
                |problem| MappingError::new(format!("column \"{}\" {problem}", column.name));
            match origins(column).map_err(problem)? {
                Origins::Value(from) => froms.push(from),
                Origins::Lookup(lookup) => {
                    let pairs = lookup.key.iter().chain(&lookup.extra);
                    froms.extend(pairs.map(|(_, from)| *from));
                }
            }
        }
        if let Some(time) = &self.time
            && !self.column.iter().any(|column| column.name == time.column)
        {
            froms.push(&time.column);
        }
        froms.extend(self.choice.iter().map(|choice| choice.from.as_str()));
        let mut names: Vec<String> = Vec::new();
        for from in froms {
            if !from.starts_with('$') && !names.iter().any(|name| name == from) {
                names.push(from.to_owned());
            }
        }
        Ok(names)
    }
}
