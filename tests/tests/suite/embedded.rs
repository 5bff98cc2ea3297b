//! Statements that only the Community edition takes, carried out by the embedded build of it: there and back, one after
//! another in its one session. A whole migration needs several sessions, and is in `attach`.

use crate::support::{Positions, target_database};
use hyperhaul_catalog::{Depth, chunk_form, chunks, survey, table_facts};
use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::facts::{License, Timescale};
use hyperhaul_plan::{
    Action, Aggregate, Columnstore, ColumnstoreBegins, Measure, Options, OrderBy, Phase, Plan,
    Policies, Relation, Step, Strategy, StrategyChoice, TableOptions, sql,
};
use hyperhaul_testkit::{Embedded, skip};

/// A fresh server and a session with it; says that the test is skipped where there is none.
async fn session(test: &str) -> Option<(Embedded, Session)> {
    let embedded = match Embedded::start() {
        Ok(embedded) => embedded,
        Err(reason) if reason.is_unavailable() => {
            skip(test, &reason);
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let server = Server::parse(embedded.url()).unwrap();
    let session = server.connect("test").await.unwrap();
    session
        .batch("CREATE EXTENSION timescaledb SCHEMA public; CREATE SCHEMA hyperhaul; SET search_path = public")
        .await
        .unwrap();
    Some((embedded, session))
}

/// Plans from what the embedded server tells about the table. About itself it tells less than a real one, so that the rest
/// is what the shared server says of itself, but for the edition.
async fn planned(session: &Session, policies: Policies, strategy: StrategyChoice) -> Plan {
    let wanted = TableOptions {
        relation: Relation::new("public", "positions"),
        time_column: None,
        chunk_interval_us: TableOptions::CHUNK_INTERVAL_US_DEFAULT,
        strategy: Some(strategy),
        policies,
    };
    session.batch("SET search_path = ''").await.unwrap();
    let table = table_facts(session, &wanted, Depth::Rows).await.unwrap();
    session.batch("SET search_path = public").await.unwrap();
    let shared = target_database("embedded").await;
    Positions::default().create(&shared).await;
    let options = Options::new(vec![wanted]);
    let server = Server::parse(shared.url()).unwrap();
    let other = server.connect("test").await.unwrap();
    let ends = (&server, &other);
    let mut facts = survey(ends, ends, &options, Depth::Catalog).await.unwrap();
    facts.tables = vec![table];
    facts.target.timescale = Some(Timescale {
        version: (2, 23, 0),
        license: License::Community,
        preloaded: Some(true),
    });
    hyperhaul_plan::plan(facts, options).unwrap()
}

async fn run(session: &Session, statements: &[String]) {
    session.batch("BEGIN").await.unwrap();
    session.batch("SET LOCAL search_path = ''").await.unwrap();
    for statement in statements {
        let done = session.batch(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    session.batch("COMMIT").await.unwrap();
}

/// Carries the plan out: its statements, and its slices within the server.
async fn forward(session: &Session, plan: &Plan) {
    for step in &plan.steps {
        match &step.action {
            Action::Sql { statements } => run(session, statements).await,
            Action::CopySlices => {
                for slice in &plan.slices {
                    let table = &plan.tables[slice.table];
                    let insert = sql::slice_insert_sql(table, slice, &table.staging);
                    run(session, &[insert]).await;
                }
            }
            Action::Repeatable { statements } => {
                for statement in statements {
                    session.batch(statement).await.unwrap();
                }
            }
            Action::ToColumnstore {
                hypertable,
                before_us,
            } => to_columnstore(session, plan, (hypertable, *before_us)).await,
            Action::StageSlices
            | Action::Declare { .. }
            | Action::HashLeaves
            | Action::CreateChunks
            | Action::CarrySequences { .. }
            | Action::Verify => {}
        }
    }
}

/// One chunk after another, as the workers do.
async fn to_columnstore(session: &Session, plan: &Plan, (hypertable, before_us): (&Relation, i64)) {
    for chunk in chunks(session, hypertable).await.unwrap() {
        if chunk.range.end_us <= before_us {
            let turn = sql::chunk_to_columnstore(&chunk.relation, &plan.facts);
            run(session, &[turn]).await;
            let form = chunk_form(session, &chunk.relation).await.unwrap().unwrap();
            assert!(form.is_turned(), "{form:?}");
        }
    }
}

async fn back(session: &Session, plan: &Plan) {
    for step in plan.steps.iter().rev() {
        run(session, &step.inverse).await;
    }
}

async fn one<T: for<'a> hyperhaul_pg::FromSql<'a>>(session: &Session, sql: &str) -> T {
    session.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn partitions_are_attached_and_given_back() {
    let Some((_embedded, session)) = session("attach_embedded").await else {
        return;
    };
    session.batch(&Positions::default().sql()).await.unwrap();
    let default = "CREATE TABLE positions_default PARTITION OF positions DEFAULT; \
                   INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-11-01 12:00+00', 1, 'early')";
    session.batch(default).await.unwrap();
    let rows = "SELECT sum(hashtextextended(p::text, 0)::numeric)::text FROM positions p";
    let before: String = one(&session, rows).await;
    let files = "SELECT string_agg(relname || relfilenode, ' ' ORDER BY relname) FROM pg_class \
                 WHERE relname ~ '^positions_p' AND relkind = 'r'";
    let files_before: String = one(&session, files).await;
    let plan = planned(&session, Policies::default(), StrategyChoice::Auto).await;
    assert_eq!(plan.tables[0].attached.len(), 4);

    forward(&session, &plan).await;
    assert_eq!(one::<String>(&session, rows).await, before);
    assert_eq!(one::<String>(&session, files).await, files_before);
    let count =
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'positions'";
    assert_eq!(one::<i64>(&session, count).await, 5);
    let insert = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-12 12:00+00', 1, 'new')";
    session.batch(insert).await.unwrap();

    back(&session, &plan).await;
    let delete = "DELETE FROM positions WHERE packet = 'new'";
    session.batch(delete).await.unwrap();
    assert_eq!(one::<String>(&session, rows).await, before);
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'positions'::regclass";
    assert_eq!(one::<i64>(&session, partitions).await, 5);
}

#[tokio::test]
async fn a_calibration_attaches_parts_of_partitions() {
    let Some((_embedded, session)) = session("calibrate_embedded").await else {
        return;
    };
    session.batch(&Positions::default().sql()).await.unwrap();
    let plan = planned(&session, Policies::default(), StrategyChoice::Auto).await;
    let scratch = sql::scratch(&plan, 0, 16_384).unwrap();
    let indexes = scratch.indexes.concat();
    for statements in [&scratch.create, &scratch.keys, &indexes] {
        run(&session, statements).await;
    }
    assert!(!scratch.foreign_keys.is_empty());
    for key in &scratch.foreign_keys {
        run(&session, &key.make_stand_in()).await;
        run(&session, &[key.add()]).await;
    }
    assert_eq!(scratch.leaves.len(), 2);
    for leaf in &scratch.leaves {
        run(&session, &leaf.make).await;
        run(&session, std::slice::from_ref(&leaf.attach)).await;
    }
    let chunk = Relation::new(sql::SCRATCH_SCHEMA, "hyperhaul part");
    for key in &scratch.foreign_keys {
        run(&session, &[key.drop()]).await;
        let validations = key.validate(std::slice::from_ref(&chunk));
        assert_eq!(validations.len(), 1);
        run(&session, &validations).await;
    }
    run(&session, &[scratch.analyze]).await;
    let rows = format!("SELECT count(*) FROM {}", scratch.table.staging);
    let rows = one::<i64>(&session, &rows).await;
    let all = one::<i64>(&session, "SELECT count(*) FROM positions").await;
    assert!(0 < rows && rows < all, "{rows} of {all}");
    run(&session, &[sql::drop_scratch()]).await;
}

#[tokio::test]
async fn policies_are_set_up_and_taken_back() {
    let Some((_embedded, session)) = session("policies_embedded").await else {
        return;
    };
    session.batch(&Positions::default().sql()).await.unwrap();
    const DAY_US: i64 = 86_400_000_000;
    let policies = Policies {
        columnstore: Some(Columnstore {
            after_us: 7 * DAY_US,
            segment_by: vec!["aircraft_id".into()],
            order_by: vec![OrderBy::parse("received_at DESC").unwrap()],
            begins: ColumnstoreBegins::Later,
        }),
        retention_us: Some(30 * DAY_US),
        aggregates: vec![Aggregate {
            relation: Relation::new("public", "positions_daily"),
            bucket_us: DAY_US,
            group_by: vec!["aircraft_id".into()],
            measures: vec![Measure::parse("count(*) AS positions").unwrap()],
            start_offset_us: 3 * DAY_US,
            end_offset_us: DAY_US,
            schedule_us: DAY_US,
        }],
        ..Policies::default()
    };
    let plan = planned(&session, policies, StrategyChoice::Auto).await;
    forward(&session, &plan).await;
    let jobs = "SELECT string_agg(proc_name, ' ' ORDER BY proc_name) FROM timescaledb_information.jobs WHERE job_id >= 1000";
    assert_eq!(
        one::<String>(&session, jobs).await,
        "policy_compression policy_refresh_continuous_aggregate policy_retention"
    );
    let counted =
        "SELECT sum(positions)::bigint = (SELECT count(*) FROM positions) FROM positions_daily";
    assert!(one::<bool>(&session, counted).await);

    back(&session, &plan).await;
    assert_eq!(one::<Option<String>>(&session, jobs).await, None);
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'positions'::regclass";
    assert_eq!(one::<i64>(&session, partitions).await, 4);
}

/// Before the cutover where rows are moved, after it where partitions are attached; back from both.
#[tokio::test]
async fn chunks_go_to_the_columnstore_and_come_back() {
    for (strategy, phase) in [
        (Strategy::Server, Phase::Columnstore),
        (Strategy::Attach, Phase::Policies),
    ] {
        let Some((_embedded, session)) = session("columnstore_embedded").await else {
            return;
        };
        session.batch(&Positions::default().sql()).await.unwrap();
        let index = "CREATE INDEX positions_packet ON positions (packet)";
        session.batch(index).await.unwrap();
        let rows = "SELECT sum(hashtextextended(p::text, 0)::numeric)::text FROM positions p";
        let before: String = one(&session, rows).await;
        let policies = Policies {
            columnstore: Some(Columnstore {
                after_us: 86_400_000_000,
                segment_by: vec!["aircraft_id".into()],
                order_by: vec![OrderBy::parse("received_at DESC").unwrap()],
                begins: ColumnstoreBegins::Now,
            }),
            ..Policies::default()
        };
        let choice = StrategyChoice::Only(strategy);
        let plan = planned(&session, policies, choice).await;
        let turns = |step: &&Step| matches!(step.action, Action::ToColumnstore { .. });
        let turn = plan.steps.iter().find(turns).unwrap();
        assert_eq!(turn.phase, phase);

        forward(&session, &plan).await;
        assert_eq!(one::<String>(&session, rows).await, before);
        let inside = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed AND hypertable_name = 'positions'";
        assert_eq!(one::<i64>(&session, inside).await, 4);
        let jobs = "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
        assert_eq!(one::<i64>(&session, jobs).await, 1);

        back(&session, &plan).await;
        assert_eq!(one::<String>(&session, rows).await, before);
        let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'positions'::regclass";
        assert_eq!(one::<i64>(&session, partitions).await, 4);
        assert_eq!(one::<i64>(&session, jobs).await, 0);
    }
}
