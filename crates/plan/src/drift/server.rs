//! Changes of the servers, their databases and what the target has to offer.

use super::{Change, Since};
use crate::Side;
use crate::facts::{Facts, License, ServerFacts, Timescale};
use std::collections::BTreeSet;

pub(super) fn changes(planned: &Facts, found: &Facts, since: Since) -> Vec<Change> {
    let mut changes = server(Side::Source, &planned.source, &found.source);
    if !planned.same_database || !found.same_database {
        changes.extend(server(Side::Target, &planned.target, &found.target));
    }
    changes.extend(target_only(&planned.target, &found.target));
    if planned.same_database != found.same_database {
        let word = |same: bool| if same { "the source's" } else { "another one" }.to_owned();
        changes.push(Change::Server {
            side: Side::Target,
            what: "database",
            planned: word(planned.same_database),
            found: word(found.same_database),
        });
    }
    changes.extend(missing(planned, found));
    if since == Since::Plan {
        let known: BTreeSet<_> = planned.occupied.iter().collect();
        let taken = found.occupied.iter().filter(|name| !known.contains(name));
        changes.extend(taken.map(|name| Change::NameTaken { name: name.clone() }));
    }
    changes
}

fn server(side: Side, planned: &ServerFacts, found: &ServerFacts) -> Vec<Change> {
    let identity = |server: &ServerFacts| {
        format!(
            "{} (oid {}, system {})",
            server.database,
            server.database_oid,
            server
                .system_identifier
                .map_or("unknown".to_owned(), |identifier| identifier.to_string())
        )
    };
    // An identifier that one of the two could not read proves nothing.
    let same_system = match (planned.system_identifier, found.system_identifier) {
        (Some(planned), Some(found)) => planned == found,
        _ => true,
    };
    let same_database = planned.database_oid == found.database_oid && same_system;
    let properties = [
        (
            "database",
            identity(planned),
            if same_database {
                identity(planned)
            } else {
                identity(found)
            },
        ),
        ("role", planned.role.clone(), found.role.clone()),
        (
            "major version",
            (planned.version_num / 10_000).to_string(),
            (found.version_num / 10_000).to_string(),
        ),
        ("encoding", planned.encoding.clone(), found.encoding.clone()),
        ("state", state(planned), state(found)),
    ];
    differing(side, properties)
}

fn state(server: &ServerFacts) -> String {
    if server.in_recovery {
        "standby".to_owned()
    } else {
        "primary".to_owned()
    }
}

fn target_only(planned: &ServerFacts, found: &ServerFacts) -> Vec<Change> {
    let mut changes = differing(
        Side::Target,
        [(
            "TimescaleDB",
            timescale(planned.timescale.as_ref()),
            timescale(found.timescale.as_ref()),
        )],
    );
    let locks = |server: &ServerFacts| {
        let settings = &server.settings;
        u64::from(settings.max_locks_per_transaction)
            * (u64::from(settings.max_connections) + u64::from(settings.max_prepared_transactions))
    };
    if locks(found) < locks(planned) {
        changes.push(Change::Server {
            side: Side::Target,
            what: "lock table",
            planned: format!("{} locks", locks(planned)),
            found: format!("{} locks", locks(found)),
        });
    }
    if planned.can_create_schema && !found.can_create_schema {
        changes.push(Change::Server {
            side: Side::Target,
            what: "privilege to create schemas",
            planned: "granted".to_owned(),
            found: "revoked".to_owned(),
        });
    }
    changes
}

fn timescale(timescale: Option<&Timescale>) -> String {
    timescale.map_or("not installed".to_owned(), |timescale| {
        let (major, minor, patch) = timescale.version;
        let edition = match timescale.license {
            License::Apache => "Apache",
            License::Community => "Community",
        };
        format!("{major}.{minor}.{patch} {edition}")
    })
}

fn differing<const N: usize>(
    side: Side,
    properties: [(&'static str, String, String); N],
) -> Vec<Change> {
    properties
        .into_iter()
        .filter(|(_, planned, found)| planned != found)
        .map(|(what, planned, found)| Change::Server {
            side,
            what,
            planned,
            found,
        })
        .collect()
}

fn missing(planned: &Facts, found: &Facts) -> Vec<Change> {
    let types = newly(&planned.missing_types, &found.missing_types);
    let relations = newly(&planned.missing_relations, &found.missing_relations);
    let roles = newly(&found.target_roles, &planned.target_roles);
    let needed = |role: &&&String| {
        planned.tables.iter().any(|table| {
            let grants = table
                .grants
                .iter()
                .filter_map(|grant| grant.grantee.as_ref());
            table.owner == ***role || grants.into_iter().any(|grantee| grantee == **role)
        })
    };
    let missing = |what, name| Change::MissingOnTarget { what, name };
    types
        .iter()
        .map(|name| missing("type", (*name).clone()))
        .chain(relations.iter().map(|name| missing("table", name.plain())))
        .chain(
            roles
                .iter()
                .filter(needed)
                .map(|name| missing("role", (*name).clone())),
        )
        .collect()
}

/// What is in `now` and not in `before`.
fn newly<'a, T: Ord>(before: &[T], now: &'a [T]) -> Vec<&'a T> {
    let before: BTreeSet<&T> = before.iter().collect();
    now.iter().filter(|item| !before.contains(item)).collect()
}
