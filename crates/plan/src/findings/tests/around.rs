//! Findings, one deviation per case: what hangs on the table, and what the run takes of the server: locks, disk, patience.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{acceptable, block, found, info, run, sound, warn};
use crate::facts::*;
use crate::testing::*;
use crate::{Code, Severity};

fn trigger() -> Trigger {
    Trigger {
        comment: None,
        name: "fixes_notify".into(),
        definition: "CREATE TRIGGER fixes_notify AFTER INSERT ON public.\"Fixes 1\" FOR EACH ROW EXECUTE FUNCTION f()"
            .into(),
        enabled: 'O',
        for_each_row: true,
        transition_tables: false,
        leaf: None,
    }
}

fn policy() -> Policy {
    Policy {
        comment: None,
        name: "own".into(),
        permissive: true,
        command: "ALL".into(),
        roles: vec!["public".into()],
        using: None,
        check: None,
    }
}

fn publication(through: &str) -> PublicationMember {
    PublicationMember {
        publication: "cdc".into(),
        through: through.into(),
        columns: None,
        filter: None,
        owner: "soar".into(),
        can_change: true,
    }
}

fn session(lock: &str, age_s: u64) -> BlockingSession {
    BlockingSession {
        pid: Some(4_711),
        gid: None,
        role: Some("soar_app".into()),
        application: Some("ogn-ingest".into()),
        state: "idle in transaction".into(),
        relation: public("fixes_p20251217"),
        lock: lock.into(),
        age_s,
    }
}

#[test]
fn dependents() {
    run(
        sound,
        vec![
            acceptable(
                "materialized view",
                Code::MaterializedView,
                &[
                    "public.daily",
                    "2.0 GiB",
                    "1 index",
                    "DROP MATERIALIZED VIEW",
                    "CREATE INDEX i",
                ],
                |facts, _| {
                    fixes(facts).materialized_views = vec![MaterializedView {
                        relation: public("daily"),
                        definition: "SELECT 1;".into(),
                        size_bytes: 2 << 30,
                        indexes: vec!["CREATE INDEX i ON public.daily (a)".into()],
                        grants: Vec::new(),
                    }];
                },
            ),
            acceptable(
                "function",
                Code::Function,
                &[
                    "public.last_fix(uuid)",
                    "pg_get_functiondef('public.last_fix(uuid)'::regprocedure)",
                ],
                |facts, _| {
                    fixes(facts).functions = vec![FunctionDependent {
                        signature: "public.last_fix(uuid)".into(),
                        tie: "body".into(),
                    }];
                },
            ),
            acceptable("rule", Code::Rule, &["\"mirror\""], |facts, _| {
                fixes(facts).rules = vec![Rule {
                    name: "mirror".into(),
                    definition: "CREATE RULE mirror AS ON INSERT TO public.fixes DO NOTHING".into(),
                }];
            }),
            info("trigger", Code::Trigger, &["fixes_notify"], |facts, _| {
                fixes(facts).triggers = vec![trigger()];
            }),
            block(
                "transition tables",
                Code::Trigger,
                &["DROP TRIGGER \"fixes_notify\" ON public.\"Fixes 1\";"],
                |facts, _| {
                    fixes(facts).triggers = vec![Trigger {
                        transition_tables: true,
                        ..trigger()
                    }];
                },
            ),
            warn(
                "leaf trigger",
                Code::Trigger,
                &["public.fixes_p20251211 only"],
                |facts, _| {
                    fixes(facts).triggers = vec![Trigger {
                        leaf: Some(public("fixes_p20251211")),
                        ..trigger()
                    }];
                },
            ),
            info(
                "row security",
                Code::RowSecurity,
                &["row security is on, with 1 policy (own)"],
                |facts, _| {
                    fixes(facts).row_security = true;
                    fixes(facts).policies = vec![policy()];
                },
            ),
            warn(
                "row security and columnstore",
                Code::RowSecurity,
                &["columnstore"],
                |facts, _| {
                    facts.target.timescale.as_mut().unwrap().license = License::Community;
                    fixes(facts).row_security = true;
                    fixes(facts).policies = vec![policy()];
                },
            ),
            acceptable(
                "publication",
                Code::Publication,
                &[
                    "\"cdc\"",
                    "ALTER PUBLICATION \"cdc\" DROP TABLE \"public\".\"fixes\";",
                ],
                |facts, _| fixes(facts).publications = vec![publication("table")],
            ),
            warn(
                "disabled trigger",
                Code::Trigger,
                &["is disabled", "left out", "CREATE TRIGGER fixes_notify"],
                |facts, _| {
                    fixes(facts).triggers = vec![Trigger {
                        enabled: 'D',
                        ..trigger()
                    }];
                },
            ),
            warn(
                "trigger that fires always",
                Code::Trigger,
                &["fires always", "put on the hypertable"],
                |facts, _| {
                    fixes(facts).triggers = vec![Trigger {
                        enabled: 'A',
                        ..trigger()
                    }];
                },
            ),
            block(
                "subscription",
                Code::Subscription,
                &[
                    "subscription \"to us\" (disabled) writes to public.fixes_p20251211",
                    "skipped without a word",
                    "ALTER SUBSCRIPTION \"to us\" REFRESH PUBLICATION;",
                ],
                |facts, _| {
                    fixes(facts).subscriptions = vec![Subscription {
                        name: "to us".into(),
                        enabled: false,
                        relation: public("fixes_p20251211"),
                    }];
                },
            ),
            block(
                "fence of a run to this target",
                Code::Fenced,
                &[
                    "a run of this target keeps",
                    "stands on 8 relations",
                    "hyperhaul rollback",
                ],
                |facts, _| {
                    fixes(facts).fences = vec![Fence {
                        argument: "database 16384 of system 7, table 40000".into(),
                        relations: 8,
                    }];
                },
            ),
            block(
                "fence of a run to another target",
                Code::Fenced,
                &[
                    "a run to another target (database 5 of system 7) keeps",
                    "tgfoid = 'hyperhaul.fence()'::regprocedure",
                    "= 'database 5 of system 7, table 40000' \\gexec",
                ],
                |facts, _| {
                    fixes(facts).fences = vec![Fence {
                        argument: "database 5 of system 7, table 40000".into(),
                        relations: 8,
                    }];
                },
            ),
            acceptable(
                "publication of everything",
                Code::Publication,
                &["all tables", "WAL"],
                |facts, _| fixes(facts).publications = vec![publication("all tables")],
            ),
            info(
                "identity",
                Code::Sequence,
                &["GENERATED ALWAYS", "4711"],
                |facts, _| {
                    fixes(facts).columns[0].identity = Some(Identity {
                        always: true,
                        sequence: sequence("fixes_id_seq", "id"),
                    });
                },
            ),
            info(
                "serial",
                Code::Sequence,
                &["public.fixes_id_seq", "owns it from cutover on"],
                |facts, _| fixes(facts).sequences = vec![sequence("fixes_id_seq", "id")],
            ),
            acceptable(
                "sub-partitioned under pg_partman",
                Code::Partman,
                &[
                    "1 partitioned table",
                    "2 rows",
                    "automatic_maintenance = 'off'",
                ],
                |facts, _| {
                    fixes(facts).branches = vec![public("fixes_2025")];
                    fixes(facts).partman.as_mut().unwrap().sub_config =
                        vec![serde_json::json!({}), serde_json::json!({})];
                },
            ),
            warn(
                "retention, Apache edition",
                Code::Partman,
                &[
                    "30 days",
                    "drop_chunks('\"public\".\"fixes\"', older_than => INTERVAL '30 days')",
                ],
                |facts, _| {
                    fixes(facts).partman.as_mut().unwrap().retention = Some("30 days".into());
                },
            ),
            warn(
                "retention, Community edition",
                Code::Partman,
                &["add_retention_policy('\"public\".\"fixes\"', drop_after => INTERVAL '30 days')"],
                |facts, _| {
                    facts.target.timescale.as_mut().unwrap().license = License::Community;
                    fixes(facts).partman.as_mut().unwrap().retention = Some("30 days".into());
                },
            ),
        ],
    );
}

#[test]
fn locks_disk_and_sessions() {
    run(
        sound,
        vec![
            block(
                "lock table too small",
                Code::Locks,
                // 10 chunks x (1 + 9 indexes) + 50 others = 150 relations, of 1 x 100; four times that fits 64 x 100.
                &[
                    "150 relations",
                    "holds 100",
                    "max_locks_per_transaction = 64;",
                ],
                |facts, _| facts.target.settings.max_locks_per_transaction = 1,
            ),
            warn(
                "lock table tight",
                Code::Locks,
                &["150 relations", "holds 500"],
                |facts, _| facts.target.settings.max_locks_per_transaction = 5,
            ),
            block(
                "1,500 chunks on a default server",
                Code::Locks,
                // 1,500 x 10 + 50; four times 15,050 over 100 sessions is 602: 640.
                &[
                    "15,050 relations",
                    "holds 6,400",
                    "max_locks_per_transaction = 640;",
                ],
                |facts, _| {
                    facts.target.settings.max_locks_per_transaction = 64;
                    fixes(facts).leaves[0].chunk_rows = (0..1_500)
                        .map(|day| ChunkRows {
                            start_us: FIRST_DAY_US + day * DAY_US,
                            rows: 1,
                        })
                        .collect();
                },
            ),
            acceptable(
                "disk too small",
                Code::Disk,
                &["1.0 GiB are free", "Make room"],
                |facts, _| facts.target.free_disk_bytes = Some(1 << 30),
            ),
            warn(
                "disk not seen",
                Code::Disk,
                &["GiB on the target", "can't be seen", "df -h"],
                |facts, _| facts.target.free_disk_bytes = None,
            ),
            warn(
                "idle in transaction",
                Code::BlockingSession,
                &[
                    "session 4711",
                    "soar_app",
                    "ogn-ingest",
                    "12 min 5 s",
                    "fence waits",
                    "pg_terminate_backend(4711)",
                ],
                |facts, _| fixes(facts).sessions = vec![session("RowExclusiveLock", 725)],
            ),
            warn(
                "a long reader",
                Code::BlockingSession,
                &["2 h 0 min", "the cutover waits"],
                |facts, _| fixes(facts).sessions = vec![session("AccessShareLock", 7_200)],
            ),
            info(
                "daily work",
                Code::BlockingSession,
                &["2 other transactions", "longest for 3 s"],
                |facts, _| {
                    fixes(facts).sessions = vec![
                        session("RowExclusiveLock", 3),
                        session("AccessShareLock", 1),
                    ];
                },
            ),
            block(
                "prepared transaction",
                Code::BlockingSession,
                &["\"tx'1\"", "ROLLBACK PREPARED 'tx''1';"],
                |facts, _| {
                    fixes(facts).sessions = vec![BlockingSession {
                        pid: None,
                        gid: Some("tx'1".into()),
                        ..session("RowExclusiveLock", 5)
                    }];
                },
            ),
        ],
    );
}

#[test]
fn disk_is_tight_below_a_fifth_of_reserve() {
    let (mut facts, options) = sound();
    let need = crate::plan(facts.clone(), options.clone())
        .unwrap()
        .estimate
        .disk_bytes;
    for (free, severity) in [
        (need - 1, Severity::Block),
        (need, Severity::Warn),
        (need + need / 4, Severity::Info),
    ] {
        facts.target.free_disk_bytes = Some(free);
        let findings = found(facts.clone(), options.clone());
        let mut disk = findings.iter().filter(|finding| finding.code == Code::Disk);
        assert_eq!(disk.next().unwrap().severity, severity, "{free} of {need}");
        assert!(disk.next().is_none());
    }
}

#[test]
fn the_lock_setting_that_is_advised_suffices() {
    let (mut facts, options) = sound();
    facts.target.settings.max_locks_per_transaction = 1;
    facts.target.settings.max_connections = 17;
    facts.target.settings.max_prepared_transactions = 3;
    let findings = found(facts.clone(), options.clone());
    let advice = findings
        .iter()
        .find(|finding| finding.code == Code::Locks)
        .unwrap();
    let setting = advice.resolution[0]
        .trim_start_matches("ALTER SYSTEM SET max_locks_per_transaction = ")
        .trim_end_matches(';');
    facts.target.settings.max_locks_per_transaction = setting.parse().unwrap();
    let findings = found(facts, options);
    let mut locks = findings
        .iter()
        .filter(|finding| finding.code == Code::Locks);
    assert!(locks.all(|finding| finding.severity == Severity::Info));
}
