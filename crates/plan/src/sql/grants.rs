//! Owners and privileges of what is made on the target: those of the source, and no others.

use super::{column_list, do_block};
use crate::facts::{Facts, Grant};
use crate::{Relation, quote_ident, quote_literal};
use std::collections::BTreeMap;

/// Kinds of object that have an owner and privileges.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Granted {
    Table,
    Sequence,
}

impl Granted {
    fn word(self) -> &'static str {
        match self {
            Granted::Table => "TABLE",
            Granted::Sequence => "SEQUENCE",
        }
    }
}

/// Gives a new object to the owner that it has on the source, if that is another role than the run's and exists.
pub(crate) fn owned_by(
    kind: Granted,
    name: &Relation,
    owner: &String,
    facts: &Facts,
) -> Option<String> {
    let wanted = *owner != facts.target.role && facts.target_roles.contains(owner);
    wanted.then(|| {
        format!(
            "ALTER {} {name} OWNER TO {}",
            kind.word(),
            quote_ident(owner)
        )
    })
}

/// The privileges of the source, each with the column that it is on, of roles that the target has. What ALTER DEFAULT PRIVILEGES
/// has given to others is taken back first.
pub(crate) fn grants<'a>(
    kind: Granted,
    name: &Relation,
    all: impl Iterator<Item = (&'a Grant, Option<&'a String>)>,
    facts: &Facts,
) -> Vec<String> {
    let known = |grant: &Grant| {
        let mut roles = facts.target_roles.iter();
        let grantee = grant.grantee.as_ref();
        grantee.is_none_or(|role| roles.any(|known| known == role))
    };
    let mut by_role: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    for (grant, column) in all.filter(|(grant, _)| known(grant)) {
        let column = column.map_or(String::new(), |name| format!(" ({})", column_list(&[name])));
        by_role
            .entry((grantee_sql(grant), grant.grantable))
            .or_default()
            .push(format!("{}{column}", grant.privilege));
    }
    let word = kind.word();
    let statement = |((role, grantable), privileges): ((String, bool), Vec<String>)| {
        let option = if grantable { " WITH GRANT OPTION" } else { "" };
        format!(
            "GRANT {} ON {word} {name} TO {role}{option}",
            privileges.join(", ")
        )
    };
    std::iter::once(revoke_defaults(kind, name))
        .chain(by_role.into_iter().map(statement))
        .collect()
}

/// Takes back what others than the owner were given when the object was made.
fn revoke_defaults(kind: Granted, name: &Relation) -> String {
    do_block(&format!(
        "DECLARE other text; BEGIN FOR other IN SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' \
         ELSE quote_ident(pg_get_userbyid(g.grantee)) END FROM pg_catalog.pg_class AS c, aclexplode(c.relacl) AS g \
         WHERE c.oid = {}::regclass AND g.grantee <> c.relowner \
         LOOP EXECUTE {} || other; END LOOP; END",
        quote_literal(&name.to_string()),
        quote_literal(&format!("REVOKE ALL ON {} {name} FROM ", kind.word()))
    ))
}

fn grantee_sql(grant: &Grant) -> String {
    grant
        .grantee
        .as_ref()
        .map_or("PUBLIC".to_owned(), |role| quote_ident(role))
}
