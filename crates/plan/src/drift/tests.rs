//! One change of the facts per case, and how it reads; and what is no change.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Change, Since, changes};
use crate::facts::*;
use crate::testing::*;

fn changed(bend: impl Fn(&mut Facts), since: Since) -> Vec<String> {
    let (planned, _) = soar();
    let mut found = planned.clone();
    bend(&mut found);
    let changes = changes(&planned, &found, since);
    changes.iter().map(ToString::to_string).collect()
}

type Bend = fn(&mut Facts);

#[test]
fn a_change_says_what_was_planned_and_what_was_found() {
    let cases: Vec<(Bend, &str)> = vec![
        (
            |facts| {
                facts.source.role = "postgres".into();
                facts.target.role = "postgres".into();
            },
            "role of the source: soar -> postgres",
        ),
        (
            |facts| facts.target.timescale.as_mut().unwrap().version = (2, 29, 2),
            "TimescaleDB of the target: 2.19.3 Apache -> 2.29.2 Apache",
        ),
        (
            |facts| facts.target.timescale.as_mut().unwrap().license = License::Community,
            "TimescaleDB of the target: 2.19.3 Apache -> 2.19.3 Community",
        ),
        (
            |facts| facts.target.settings.max_locks_per_transaction = 64,
            "lock table of the target: 25600 locks -> 6400 locks",
        ),
        (
            |facts| facts.source.database_oid = 5,
            "database of the source: soar (oid 16384, system 7) -> soar (oid 5, system 7)",
        ),
        (
            |facts| {
                facts
                    .occupied
                    .push(crate::Relation::new("hyperhaul_new_public", "fixes"))
            },
            "the name hyperhaul_new_public.fixes was taken",
        ),
        (
            |facts| {
                facts.tables.pop();
            },
            "table public.fixes is gone",
        ),
        (
            |facts| fixes(facts).oid = 1,
            "table public.fixes was dropped and made anew",
        ),
        (
            |facts| fixes(facts).owner = "postgres".into(),
            "owner of public.fixes: soar -> postgres",
        ),
        (
            |facts| fixes(facts).privileges.select = false,
            "privilege of the run's role: SELECT of public.fixes is gone",
        ),
        (
            |facts| fixes(facts).comment = Some("x".into()),
            "comment of public.fixes: none -> \"x\"",
        ),
        (
            |facts| fixes(facts).replica_identity = ReplicaIdentity::Full,
            "replica identity of public.fixes: default -> full",
        ),
        (
            |facts| fixes(facts).columns.push(column("squawk", 20, "text")),
            "column squawk of public.fixes is new",
        ),
        (
            |facts| {
                fixes(facts).columns.remove(2);
            },
            "column aircraft_id of public.fixes is gone",
        ),
        (
            |facts| fixes(facts).columns[2].type_sql = "text".into(),
            "column aircraft_id of public.fixes: uuid NOT NULL (number 3) -> text NOT NULL (number 3)",
        ),
        (
            |facts| fixes(facts).columns[2].attribute_number = 30,
            "column aircraft_id of public.fixes: uuid NOT NULL (number 3) -> uuid NOT NULL (number 30)",
        ),
        (
            |facts| fixes(facts).indexes[2].tail_sql = "USING spgist (location)".into(),
            "index idx_fixes_location of public.fixes: USING gist (location) -> USING spgist (location)",
        ),
        (
            |facts| fixes(facts).unique_keys.clear(),
            "key fixes_pkey of public.fixes is gone",
        ),
        (
            |facts| {
                fixes(facts)
                    .foreign_keys
                    .retain(|key| key.name != "fixes_flight_id_fkey");
            },
            "foreign key fixes_flight_id_fkey of public.fixes is gone",
        ),
        (
            |facts| {
                let key = referenced_by("notes_fkey", "notes", 1);
                fixes(facts).referenced_by.push(key);
            },
            "referencing foreign key notes_fkey of public.notes of public.fixes is new",
        ),
        (
            |facts| fixes(facts).views.clear(),
            "view public.latest_fixes of public.fixes is gone",
        ),
        (
            |facts| {
                fixes(facts).grants.remove(0);
            },
            "grant INSERT to soar_app of public.fixes is gone",
        ),
        (
            |facts| {
                let partman = fixes(facts).partman.as_mut().unwrap();
                partman.config = serde_json::json!({"parent_table": "public.fixes", "premake": 9});
            },
            "pg_partman's configuration public.fixes of public.fixes: \
             {\"parent_table\":\"public.fixes\",\"premake\":3}  -> {\"parent_table\":\"public.fixes\",\"premake\":9} ",
        ),
        (
            |facts| {
                let new = Leaf {
                    bound: LeafBound::Unbounded,
                    ..leaf("fixes_p20251218", 50_000, 1, 1)
                };
                fixes(facts).leaves.push(new);
            },
            "partition public.fixes_p20251218 of public.fixes is new",
        ),
        (
            |facts| {
                fixes(facts).leaves.remove(0);
            },
            "partition public.fixes_p20251211 of public.fixes is gone",
        ),
        (
            |facts| {
                fixes(facts).leaves[0].bound = LeafBound::Range {
                    from_us: None,
                    to_us: Some(FIRST_DAY_US),
                };
            },
            "bound of partition public.fixes_p20251211 of public.fixes: \
             [2025-12-11T00:00:00Z, 2025-12-12T00:00:00Z) -> [MINVALUE, 2025-12-11T00:00:00Z)",
        ),
        (
            |facts| fixes(facts).leaves[0].relfilenode = 5,
            "partition public.fixes_p20251211 of public.fixes was rewritten (VACUUM FULL, CLUSTER or TRUNCATE): \
             file 1040001 -> 5",
        ),
    ];
    for (bend, text) in cases {
        assert_eq!(changed(bend, Since::Plan), vec![text.to_owned()]);
    }
}

#[test]
fn what_changes_all_the_time_is_no_change() {
    let bend = |facts: &mut Facts| {
        facts.target.free_disk_bytes = Some(1);
        facts.target.settings.statement_timeout_ms = 5_000;
        let table = fixes(facts);
        table.sequences = Vec::new();
        let leaf = &mut table.leaves[0];
        leaf.blocks += 100;
        leaf.heap_bytes += 819_200;
        leaf.rows_estimate += 1_000;
        leaf.observed = Some(crate::TimeRange {
            min_us: 0,
            max_us: 1,
        });
        table.indexes[0].size_bytes += 1;
        table
            .referenced_by
            .iter_mut()
            .for_each(|key| key.rows_estimate += 1);
        table.partman.as_mut().unwrap().config["maintenance_last_run"] = "2025-12-18".into();
    };
    assert_eq!(changed(bend, Since::Plan), Vec::<String>::new());
}

#[test]
fn a_sequence_that_moved_on_is_no_change_but_another_increment_is() {
    let (mut planned, _) = soar();
    fixes(&mut planned).sequences = vec![sequence("fixes_id_seq", "id")];
    let mut found = planned.clone();
    fixes(&mut found).sequences[0].last_value = Some(9_999);
    assert_eq!(changes(&planned, &found, Since::Plan), Vec::new());
    fixes(&mut found).sequences[0].increment = 2;
    assert_eq!(changes(&planned, &found, Since::Plan).len(), 1);
}

/// What the fence leaves behind: triggers, a released pg_partman row, names in the staging schema.
fn fenced(facts: &mut Facts) {
    let staging = crate::Relation::new("hyperhaul_new_public", "fixes");
    facts.occupied.push(staging.clone());
    facts.target.hypertables.push(staging.clone());
    let table = fixes(facts);
    table.partman = None;
    table.triggers.push(Trigger {
        comment: None,
        name: "hyperhaul_fence".into(),
        definition: "CREATE TRIGGER hyperhaul_fence ...".into(),
        enabled: 'A',
        for_each_row: false,
        transition_tables: false,
        leaf: None,
    });
    table.referenced_by.push(ReferencedBy {
        relation: staging,
        ..referenced_by("fixes_self_fkey", "fixes", 0)
    });
}

#[test]
fn what_the_run_did_itself_is_no_change() {
    assert_eq!(changed(fenced, Since::Fence), Vec::<String>::new());
    // Before the fence, the released row and the taken name would be somebody else's doing.
    assert_eq!(changed(fenced, Since::Plan).len(), 2);
}

#[test]
fn what_is_missing_on_the_target_now_is_a_change() {
    let (planned, _) = soar_elsewhere();
    let mut found = planned.clone();
    found.missing_relations = vec![public("aircraft")];
    found.missing_types = vec!["public.message_source".into()];
    found.target_roles.retain(|role| role == "soar");
    let changes = changes(&planned, &found, Since::Fence);
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "type public.message_source is missing on the target now",
            "table public.aircraft is missing on the target now",
            "role soar_app is missing on the target now",
            "role soar_readonly is missing on the target now",
        ]
    );
}

#[test]
fn a_rewritten_leaf_can_be_told_apart_from_all_else() {
    let (planned, _) = soar();
    let mut found = planned.clone();
    fixes(&mut found).leaves[3].relfilenode = 5;
    let changes = changes(&planned, &found, Since::Fence);
    assert!(matches!(
        changes.as_slice(),
        [Change::LeafRewritten {
            leaf_oid: 40_004,
            planned: 1_040_004,
            found: 5,
            ..
        }]
    ));
}
