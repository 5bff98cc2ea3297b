//! Whether a type's binary form means the same in another database.
//!
//! What COPY's binary format holds of a type is what its send function writes. Numbers that only
//! this database knows are in: arrays (element type's oid), composites (each field's type's oid),
//! and the `reg*` types (the object's oid). Ranges, multiranges, enums and domains hold none.

use std::collections::HashMap;

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::BinaryTravel;
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

const TYPES: &str = include_str!("sql/types.sql");

/// Oids from here on are given by a database (`FirstNormalObjectId`); those below are the same
/// everywhere.
const FIRST_DATABASE_OID: u32 = 16_384;

/// Types whose value is the oid of an object: regproc, regconfig, regdictionary, regoper and so on.
const OBJECT_REFERENCES: [u32; 11] = [
    24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
];

/// A type as the catalog describes it.
#[derive(Debug, Clone, Deserialize)]
struct TypeRow {
    oid: u32,
    schema: String,
    name: String,
    /// `typtype`: b base, c composite, d domain, e enum, r range, m multirange, p pseudo.
    kind: char,
    /// A domain's base type.
    base: Option<u32>,
    /// An array's element type.
    element: Option<u32>,
    /// A range's or multirange's subtype.
    subtype: Option<u32>,
    /// A composite's fields' types.
    fields: Vec<u32>,
    has_binary_form: bool,
}

/// Every type that a table's columns use, and the types inside them.
pub(crate) struct Types(HashMap<u32, TypeRow>);

impl Types {
    pub(crate) async fn of_table(session: &Session, table: u32) -> Result<Types, Error> {
        let rows: Vec<TypeRow> = fetch(session, "types", TYPES, &[&table]).await?;
        Ok(Types(rows.into_iter().map(|row| (row.oid, row)).collect()))
    }

    /// How a column of this type travels.
    pub(crate) fn travel(&self, oid: u32) -> BinaryTravel {
        let oid = self.without_domains(oid);
        let Some(row) = self.0.get(&oid) else {
            return BinaryTravel::Bound("unknown type".to_owned());
        };
        if let Some(element) = row.element.filter(|element| *element >= FIRST_DATABASE_OID) {
            let element_row = self.0.get(&element);
            return match (element_row, self.obstacle(element)) {
                (Some(element), None) => BinaryTravel::ArrayOf {
                    schema: element.schema.clone(),
                    name: element.name.clone(),
                    oid: element.oid,
                },
                (_, obstacle) => BinaryTravel::Bound(format!(
                    "array of {}",
                    obstacle.unwrap_or_else(|| "an unknown type".to_owned())
                )),
            };
        }
        match self.obstacle(oid) {
            None => BinaryTravel::Free,
            Some(obstacle) => BinaryTravel::Bound(obstacle),
        }
    }

    fn without_domains(&self, oid: u32) -> u32 {
        let mut oid = oid;
        while let Some(base) = self.0.get(&oid).and_then(|row| row.base) {
            oid = base;
        }
        oid
    }

    /// What in a type's binary form does not travel, for people. An oid of a type that is the
    /// same everywhere does.
    fn obstacle(&self, oid: u32) -> Option<String> {
        let Some(row) = self.0.get(&self.without_domains(oid)) else {
            return Some("an unknown type".to_owned());
        };
        let name = format!("{}.{}", row.schema, row.name);
        if OBJECT_REFERENCES.contains(&row.oid) {
            return Some(format!(
                "{name}, whose values are oids of this database's objects"
            ));
        }
        if !row.has_binary_form {
            return Some(format!("{name}, which has no binary form"));
        }
        let parts: &[u32] = match row.kind {
            'c' => &row.fields,
            _ => &[],
        };
        let own = parts.iter().any(|part| *part >= FIRST_DATABASE_OID);
        if own {
            return Some(format!(
                "{name}, whose binary form holds oids of this database's types"
            ));
        }
        if row
            .element
            .is_some_and(|element| element >= FIRST_DATABASE_OID)
        {
            return Some(format!(
                "{name}, whose binary form holds its element type's oid"
            ));
        }
        let inner = parts.iter().copied().chain(row.element).chain(row.subtype);
        inner.into_iter().find_map(|part| self.obstacle(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(oid: u32, name: &str, kind: char) -> TypeRow {
        TypeRow {
            oid,
            schema: "s".to_owned(),
            name: name.to_owned(),
            kind,
            base: None,
            element: None,
            subtype: None,
            fields: Vec::new(),
            has_binary_form: true,
        }
    }

    fn types() -> Types {
        let enumeration = 20_000;
        let rows = [
            row(23, "int4", 'b'),
            row(2205, "regclass", 'b'),
            TypeRow {
                element: Some(23),
                ..row(1007, "_int4", 'b')
            },
            row(enumeration, "enum", 'e'),
            TypeRow {
                element: Some(enumeration),
                ..row(20_001, "_enum", 'b')
            },
            TypeRow {
                base: Some(20_001),
                ..row(20_002, "domain over array", 'd')
            },
            TypeRow {
                fields: vec![23, 1007],
                ..row(20_003, "plain composite", 'c')
            },
            TypeRow {
                fields: vec![23, enumeration],
                ..row(20_004, "own composite", 'c')
            },
            TypeRow {
                element: Some(20_004),
                ..row(20_005, "_own composite", 'b')
            },
            TypeRow {
                subtype: Some(23),
                ..row(20_006, "range", 'r')
            },
            TypeRow {
                subtype: Some(20_004),
                ..row(20_007, "odd range", 'r')
            },
            TypeRow {
                has_binary_form: false,
                ..row(20_008, "text only", 'b')
            },
            TypeRow {
                base: Some(enumeration),
                ..row(20_009, "domain over enum", 'd')
            },
            TypeRow {
                element: Some(20_009),
                ..row(20_010, "_domain", 'b')
            },
        ];
        Types(rows.into_iter().map(|row| (row.oid, row)).collect())
    }

    #[test]
    fn only_oids_of_this_database_keep_a_value_at_home() {
        let array_of = |name: &str, oid| BinaryTravel::ArrayOf {
            schema: "s".to_owned(),
            name: name.to_owned(),
            oid,
        };
        for (oid, expected) in [
            (23, BinaryTravel::Free),
            (1007, BinaryTravel::Free),
            (20_000, BinaryTravel::Free),
            (20_001, array_of("enum", 20_000)),
            (20_002, array_of("enum", 20_000)),
            (20_003, BinaryTravel::Free),
            (20_006, BinaryTravel::Free),
            (20_009, BinaryTravel::Free),
            (20_010, array_of("domain over enum", 20_009)),
        ] {
            assert_eq!(types().travel(oid), expected, "{oid}");
        }
        for oid in [2205, 20_004, 20_005, 20_007, 20_008, 99_999] {
            assert!(
                matches!(types().travel(oid), BinaryTravel::Bound(_)),
                "{oid}"
            );
        }
    }
}
