//! Facts for tests: SOAR as `catalog` finds it, sound but for what SOAR really has; tests bend one thing each.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::facts::*;
use crate::{
    Aggregate, Columnstore, ColumnstoreBegins, Measure, Options, OrderBy, Policies, Relation,
    TableOptions, TimeRange, TimeType,
};
use std::collections::BTreeMap;

pub(crate) const DAY_US: i64 = 86_400_000_000;

/// 2025-12-11 00:00 UTC, SOAR's first day.
pub(crate) const FIRST_DAY_US: i64 = 1_765_411_200_000_000;

/// SOAR within one database: `raw_messages` and `fixes`, seven days each, `raw_messages` with a default partition.
pub(crate) fn soar() -> (Facts, Options) {
    let server = server();
    let facts = Facts {
        source: server.clone(),
        target: server,
        same_database: true,
        tables: vec![raw_messages_facts(), fixes_facts(277_949, 7)],
        occupied: Vec::new(),
        target_roles: ["soar", "soar_app", "soar_readonly"]
            .map(String::from)
            .into(),
        missing_types: Vec::new(),
        type_extensions: BTreeMap::new(),
        closed_schemas: Vec::new(),
        missing_relations: Vec::new(),
        superusers: vec!["postgres".into()],
        foreign_owners: Vec::new(),
        target_schemas: Vec::new(),
        unreferencable: Vec::new(),
    };
    let options = options(&facts);
    (facts, options)
}

/// SOAR's tables brought to another server.
pub(crate) fn soar_elsewhere() -> (Facts, Options) {
    let (mut facts, options) = soar();
    facts.same_database = false;
    facts.source.version_num = 150_014;
    facts.source.version = "15.14".into();
    facts.source.system_identifier = Some(8);
    facts.source.timescale = None;
    facts.source.extensions.remove("timescaledb");
    facts.target.extensions.remove("pg_partman");
    (facts, options)
}

/// The table of the measurements: 3M fixes in ten partitions, 1.3 GB, on two cores.
pub(crate) fn measured_fixes() -> (Facts, Options) {
    let (mut facts, _) = soar();
    facts.tables = vec![fixes_facts(3_000_000, 10)];
    let options = options(&facts);
    (facts, options)
}

pub(crate) fn options(facts: &Facts) -> Options {
    let wanted = |found: &TableFacts| TableOptions {
        relation: found.relation.clone(),
        time_column: None,
        chunk_interval_us: TableOptions::CHUNK_INTERVAL_US_DEFAULT,
        strategy: None,
        policies: Policies::default(),
    };
    Options::new(facts.tables.iter().map(wanted).collect())
}

/// What SOAR declares for its fixes, and an aggregate.
pub(crate) fn declared() -> Policies {
    Policies {
        columnstore: Some(Columnstore {
            after_us: 7 * DAY_US,
            segment_by: vec!["aircraft_id".into()],
            order_by: vec![OrderBy::parse("received_at DESC").unwrap()],
            begins: ColumnstoreBegins::Later,
        }),
        retention_us: Some(30 * DAY_US),
        schedule_us: None,
        comment: None,
        aggregates: vec![hourly()],
    }
}

/// An aggregate by the hour, over what is two days old at most.
pub(crate) fn hourly() -> Aggregate {
    Aggregate {
        relation: public("fixes_hourly"),
        bucket_us: DAY_US / 24,
        group_by: vec!["aircraft_id".into()],
        measures: vec![Measure::parse("count(*) AS fixes").unwrap()],
        start_offset_us: 2 * DAY_US,
        end_offset_us: DAY_US / 24,
        schedule_us: DAY_US / 24,
    }
}

pub(crate) fn fixes(facts: &mut Facts) -> &mut TableFacts {
    let mut tables = facts.tables.iter_mut();
    tables.find(|table| table.relation.name == "fixes").unwrap()
}

pub(crate) fn public(name: &str) -> Relation {
    Relation::new("public", name)
}

fn server() -> ServerFacts {
    let extension = |version: &str, schema: &str| Extension {
        version: version.into(),
        schema: schema.into(),
    };
    ServerFacts {
        version_num: 170_011,
        version: "17.11".into(),
        system_identifier: Some(7),
        database: "soar".into(),
        database_oid: 16_384,
        encoding: "UTF8".into(),
        role: "soar".into(),
        superuser: false,
        can_create_schema: true,
        in_recovery: false,
        settings: ServerSettings {
            max_locks_per_transaction: 256,
            max_connections: 100,
            max_prepared_transactions: 0,
            wal_level: "replica".into(),
            max_wal_size_bytes: 1 << 30,
            maintenance_work_mem_bytes: 64 << 20,
            max_worker_processes: 16,
            max_parallel_maintenance_workers: 2,
            statement_timeout_ms: 0,
            lock_timeout_ms: 0,
            idle_in_transaction_session_timeout_ms: 0,
            transaction_timeout_ms: 0,
            time_zone: "UTC".into(),
        },
        extensions: BTreeMap::from([
            ("timescaledb".into(), extension("2.19.3", "public")),
            ("postgis".into(), extension("3.5.2", "public")),
            ("pg_partman".into(), extension("5.2.4", "partman")),
        ]),
        timescale: Some(Timescale {
            version: (2, 19, 3),
            license: License::Apache,
            preloaded: Some(true),
        }),
        timescale_available: Some("2.19.3".into()),
        free_disk_bytes: Some(50 << 30),
        cores: Some(2),
        pooler: None,
        clock_us: FIRST_DAY_US + 7 * DAY_US,
        hypertables: Vec::new(),
    }
}

/// An ordinary table of id and time without anything around it.
pub(crate) fn plain_table(name: &str) -> TableFacts {
    TableFacts {
        relation: public(name),
        oid: 20_000,
        kind: RelationKind::Partitioned,
        owner: "soar".into(),
        privileges: Privileges {
            owner: true,
            select: true,
            create_in_schema: true,
            hidden_by_row_security: false,
        },
        partition_key: Some(PartitionKey {
            strategy: PartitionStrategy::Range,
            columns: vec![Some("received_at".into())],
            definition: "RANGE (received_at)".into(),
        }),
        time_column: Some("received_at".into()),
        time_type: Some(TimeType::Timestamptz),
        columns: vec![
            column("id", 1, "uuid"),
            column("received_at", 2, "timestamp with time zone"),
        ],
        unhashable: Vec::new(),
        hash_functions: Vec::new(),
        dropped_columns: 0,
        leaves: Vec::new(),
        branches: Vec::new(),
        unique_keys: vec![key(
            &format!("{name}_pkey"),
            KeyKind::Primary,
            &["id", "received_at"],
            "PRIMARY KEY (id, received_at)",
        )],
        checks: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        sequences: Vec::new(),
        statistics: Vec::new(),
        views: Vec::new(),
        materialized_views: Vec::new(),
        functions: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        leaf_objects: Vec::new(),
        policies: Vec::new(),
        row_security: false,
        force_row_security: false,
        publications: Vec::new(),
        subscriptions: Vec::new(),
        fences: Vec::new(),
        inherits: Vec::new(),
        inherited_by: Vec::new(),
        grants: [("soar_app", "INSERT"), ("soar_readonly", "SELECT")]
            .map(|(role, privilege)| Grant {
                grantee: Some(role.into()),
                privilege: privilege.into(),
                grantable: false,
            })
            .into(),
        comment: None,
        replica_identity: ReplicaIdentity::Default,
        partman: None,
        partman_hidden: None,
        not_owned: Vec::new(),
        sessions: Vec::new(),
        options: Vec::new(),
        tablespace: None,
    }
}

fn raw_messages_facts() -> TableFacts {
    let mut table = plain_table("raw_messages");
    table.oid = 30_000;
    table.columns.push(column("receiver_id", 3, "uuid"));
    table.columns.push(Column {
        default_sql: Some("'ogn'::public.message_source".into()),
        ..column("source", 7, "public.message_source")
    });
    table.leaves = leaves("raw_messages", 30_000, 7, 483_063 - 1_200, 300);
    table.leaves.push(Leaf {
        bound: LeafBound::Default,
        observed: Some(TimeRange {
            min_us: FIRST_DAY_US + 7 * DAY_US,
            max_us: FIRST_DAY_US + 9 * DAY_US - 1_000_000,
        }),
        chunk_rows: [(7, 900), (8, 300)]
            .map(|(day, rows)| ChunkRows {
                start_us: FIRST_DAY_US + day * DAY_US,
                rows,
            })
            .into(),
        ..leaf("raw_messages_default", 30_099, 1_200, 300)
    });
    table.foreign_keys = vec![foreign_key("raw_messages", "receiver_id", "receivers")];
    table.referenced_by = vec![
        ReferencedBy {
            relation: public("fixes"),
            ..referenced_by("fixes_raw_message_id_fkey", "fixes", 277_949)
        },
        referenced_by(
            "receiver_statuses_raw_message_id_fkey",
            "receiver_statuses",
            12_000,
        ),
    ];
    table.indexes = vec![
        index("idx_raw_messages_receiver_id", "btree", "receiver_id"),
        index("idx_raw_messages_hash", "btree", "raw_message_hash"),
    ];
    table.partman = Some(partman("raw_messages"));
    table
}

fn fixes_facts(rows: u64, days: i64) -> TableFacts {
    let mut table = plain_table("fixes");
    table.oid = 40_000;
    for (number, name) in [(3, "aircraft_id"), (4, "flight_id"), (5, "receiver_id")] {
        table.columns.push(column(name, number, "uuid"));
    }
    table.columns.push(column("raw_message_id", 6, "uuid"));
    for (number, name, type_sql) in [
        (7, "location", "public.geography(Point,4326)"),
        (8, "location_geom", "public.geometry(Point,4326)"),
    ] {
        table.columns.push(Column {
            not_null: false,
            generation: Some(Generation {
                expression_sql: "public.st_point(longitude, latitude)".into(),
                stored: true,
            }),
            ..column(name, number, type_sql)
        });
    }
    table.leaves = leaves("fixes", 40_000, days, rows, 434);
    table.foreign_keys = vec![
        foreign_key("fixes", "aircraft_id", "aircraft"),
        foreign_key("fixes", "flight_id", "flights"),
        ForeignKey {
            columns: vec!["raw_message_id".into(), "received_at".into()],
            referenced_columns: vec!["id".into(), "received_at".into()],
            definition: "FOREIGN KEY (raw_message_id, received_at) REFERENCES public.raw_messages(id, received_at)"
                .into(),
            ..foreign_key("fixes", "raw_message_id", "raw_messages")
        },
        foreign_key("fixes", "receiver_id", "receivers"),
    ];
    table.indexes = [
        ("idx_fixes_aircraft_received_at", "btree", "aircraft_id"),
        ("idx_fixes_received_at", "btree", "received_at"),
        ("idx_fixes_location", "gist", "location"),
        ("idx_fixes_location_geom", "gist", "location_geom"),
        ("idx_fixes_source", "btree", "source"),
        ("idx_fixes_protocol", "btree", "source_metadata"),
        ("idx_fixes_source_metadata", "gin", "source_metadata"),
        ("idx_fixes_flight_id", "btree", "flight_id"),
    ]
    .map(|(name, method, column)| index(name, method, column))
    .into();
    table.views = vec![View {
        relation: public("latest_fixes"),
        definition:
            "SELECT DISTINCT ON (aircraft_id) aircraft_id, id AS fix_id\n   FROM public.fixes"
                .into(),
        options: Vec::new(),
        owner: "soar".into(),
        columns: vec!["aircraft_id".into(), "fix_id".into()],
        can_replace: true,
    }];
    table.partman = Some(partman("fixes"));
    table
}

pub(crate) fn column(name: &str, attribute_number: i16, type_sql: &str) -> Column {
    Column {
        name: name.into(),
        attribute_number,
        type_sql: type_sql.into(),
        type_oid: 0,
        collation: None,
        not_null: true,
        default_sql: None,
        generation: None,
        identity: None,
        storage: None,
        compression: None,
        statistics_target: None,
        options: Vec::new(),
        comment: None,
        grants: Vec::new(),
        travel: BinaryTravel::Free,
    }
}

pub(crate) fn sequence(name: &str, column: &str) -> OwnedSequence {
    OwnedSequence {
        relation: public(name),
        column: column.into(),
        owned: true,
        type_sql: "bigint".into(),
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        last_value: Some(4_711),
        owner: "soar".into(),
        grants: Vec::new(),
        comment: None,
    }
}

pub(crate) fn key(name: &str, kind: KeyKind, columns: &[&str], definition: &str) -> UniqueKey {
    UniqueKey {
        name: name.into(),
        kind,
        columns: columns
            .iter()
            .map(|name| Some((*name).to_owned()))
            .collect(),
        include: Vec::new(),
        definition: definition.into(),
        size_bytes: 20 << 20,
        comment: None,
        clustered: false,
        options: Vec::new(),
    }
}

pub(crate) fn index(name: &str, method: &str, column: &str) -> Index {
    Index {
        name: name.into(),
        unique: false,
        tail_sql: format!("USING {method} ({column})"),
        columns: vec![Some(column.into())],
        method: method.into(),
        size_bytes: 10 << 20,
        valid: true,
        comment: None,
        statistics_targets: Vec::new(),
        tablespace: None,
        clustered: false,
    }
}

pub(crate) fn foreign_key(table: &str, column: &str, references: &str) -> ForeignKey {
    ForeignKey {
        name: format!("{table}_{column}_fkey"),
        references: public(references),
        references_hypertable: false,
        columns: vec![column.into()],
        referenced_columns: vec!["id".into()],
        definition: format!("FOREIGN KEY ({column}) REFERENCES public.{references}(id)"),
        validated: true,
        comment: None,
    }
}

pub(crate) fn referenced_by(name: &str, from: &str, rows: u64) -> ReferencedBy {
    ReferencedBy {
        relation: public(from),
        name: name.into(),
        definition: "FOREIGN KEY (raw_message_id, received_at) REFERENCES public.raw_messages(id, received_at)"
            .into(),
        columns: vec!["raw_message_id".into(), "received_at".into()],
        referenced_columns: vec!["id".into(), "received_at".into()],
        validated: true,
        from_hypertable: false,
        partitioned: false,
        rows_estimate: rows,
        owner: "soar".into(),
        can_change: true,
        comment: None,
    }
}

fn leaves(table: &str, oid: u32, days: i64, rows: u64, row_bytes: u64) -> Vec<Leaf> {
    let day_count = u64::try_from(days).unwrap();
    (0..days)
        .map(|day| {
            let from_us = FIRST_DAY_US + day * DAY_US;
            let day_oid = oid + 1 + u32::try_from(day).unwrap();
            Leaf {
                bound: LeafBound::Range {
                    from_us: Some(from_us),
                    to_us: Some(from_us + DAY_US),
                },
                ..leaf(
                    &format!("{table}_p202512{}", 11 + day),
                    day_oid,
                    rows / day_count,
                    row_bytes,
                )
            }
        })
        .collect()
}

pub(crate) fn leaf(name: &str, oid: u32, rows: u64, row_bytes: u64) -> Leaf {
    Leaf {
        relation: public(name),
        oid,
        relfilenode: oid + 1_000_000,
        bound: LeafBound::Unbounded,
        blocks: u32::try_from((rows * row_bytes).div_ceil(8_192)).unwrap(),
        heap_bytes: rows * row_bytes,
        toast_bytes: 0,
        index_bytes: rows * 100,
        rows_estimate: rows,
        observed: None,
        chunk_rows: Vec::new(),
        null_times: 0,
        infinite_times: 0,
        own_indexes: Vec::new(),
        statistics_target: None,
        options: Vec::new(),
        tablespace: None,
        unlogged: false,
        foreign_server: None,
    }
}

pub(crate) fn partman(table: &str) -> Partman {
    Partman {
        schema: "partman".into(),
        version: "5.2.4".into(),
        parent_table: format!("public.{table}"),
        control: "received_at".into(),
        interval: "1 day".into(),
        retention: Some("30 days".into()),
        retention_keep_table: true,
        automatic_maintenance: "on".into(),
        config: serde_json::json!({
            "parent_table": format!("public.{table}"),
            "premake": 3,
            "maintenance_last_run": null,
        }),
        sub_config: Vec::new(),
        template: None,
        can_change: true,
    }
}
