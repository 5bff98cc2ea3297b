//! Jobs of TimescaleDB are paused for a run and put back as they were, whatever is killed meanwhile; pg_partman's maintenance that
//! is under way is waited for. Jobs need the Community edition: `HYPERHAUL_COMMUNITY_URL`.

use super::{LIMIT, Moved};
use crate::support::{Positions, RowsSeen, community_database, rows_seen, target_database};
use hyperhaul_testkit::{Cut, Proxy, eventually};

/// The jobs as a rollback, or the end of a run, has to leave them.
const JOBS: &str = "SELECT job_id, scheduled, next_start, schedule_interval, config FROM timescaledb_information.jobs";

/// A hypertable that the table refers to, with every policy; an aggregate over it; jobs that name the table, and one that does not.
/// Their times are far away, so that none is started.
const POLICIES: &str = "
    CREATE TABLE sightings (id bigint, received_at timestamptz, PRIMARY KEY (id, received_at));
    SELECT create_hypertable('sightings', 'received_at');
    ALTER TABLE positions ADD COLUMN sighting_id bigint,
        ADD FOREIGN KEY (sighting_id, received_at) REFERENCES sightings (id, received_at);
    CREATE TABLE gliders (at timestamptz NOT NULL);
    SELECT create_hypertable('gliders', 'at');
    ALTER TABLE sightings SET (timescaledb.compress);
    SELECT add_compression_policy('sightings', interval '7 days', initial_start => '2100-01-01');
    SELECT add_retention_policy('sightings', interval '70 years', initial_start => '2100-01-02 03:04:05.678901+00');
    SELECT add_retention_policy('gliders', interval '70 years', initial_start => '2100-01-03');
    CREATE MATERIALIZED VIEW sightings_daily WITH (timescaledb.continuous) AS
        SELECT time_bucket('1 day', received_at) AS day, count(*) FROM sightings GROUP BY 1 WITH NO DATA;
    SELECT add_continuous_aggregate_policy('sightings_daily', '30 days', '1 day', '1 hour', initial_start => '2100-01-04');
    SELECT add_retention_policy('sightings_daily', interval '70 years', initial_start => '2100-01-05');
    CREATE PROCEDURE tidy(job_id integer, config jsonb) LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM public.positions WHERE received_at < now() - interval '70 years'; END $$;
    CREATE PROCEDURE other(job_id integer, config jsonb) LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
    SELECT add_job('tidy', '1 hour', initial_start => '2100-01-06');
    SELECT add_job('other', '1 hour', config => '{\"table\": \"positions\"}', initial_start => '2100-01-07');
    SELECT add_job('other', '1 hour', config => '{\"table\": \"dispositions\"}', initial_start => '2100-01-08');
    SELECT alter_job(add_job('tidy', '2 hours', initial_start => '2100-01-09'), scheduled => false)";

/// Those that could touch the table; one more names it and was paused by its owner, two have nothing to do with it.
const INVOLVED: i64 = 6;

async fn paused(moved: &Moved) -> i64 {
    let sql =
        "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id >= 1000 AND NOT scheduled";
    moved.target().value(sql).await.unwrap()
}

async fn jobs(moved: &Moved) -> RowsSeen {
    rows_seen(moved.target(), JOBS).await
}

/// With positions, and jobs whose times are known.
async fn with_jobs(name: &str) -> Option<Moved> {
    let database = community_database(name).await?;
    let moved = Moved::new(database, None, Positions::default()).await;
    moved.source.exec(POLICIES).await.unwrap();
    let known = "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id >= 1000 AND next_start > '2099-01-01'";
    assert_eq!(
        moved.source.value::<i64>(known).await.unwrap(),
        INVOLVED + 3
    );
    Some(moved)
}

async fn plan(moved: &Moved) {
    moved
        .plan("--workers 2 --strategy copy --accept hypertable_foreign_key")
        .await;
}

#[tokio::test]
async fn jobs_are_put_back_as_they_were_whatever_is_killed() {
    let Some(moved) = with_jobs("jobs_killed").await else {
        return;
    };
    let before = jobs(&moved).await;
    let state = |state: &str| format!("SELECT state = '{state}' FROM hyperhaul.run");
    let killed = |command: &str, point: &str| moved.call(command).failpoint(point).run();
    plan(&moved).await;

    // Before anything is committed nothing is paused.
    killed("migrate", "jobs.before_pause").await.expect_killed();
    moved.until("nothing has begun", &state("planned")).await;
    assert_eq!(jobs(&moved).await, before);

    // A run that is never gone on with is released by a rollback, from each step of that, too.
    killed("migrate", "jobs.paused").await.expect_killed();
    assert_eq!(paused(&moved).await, INVOLVED + 1);
    moved
        .call("status")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "paused until the run ends or is rolled back",
            "on public.sightings, next start 2100-01-02 03:04:05 UTC",
            "procedure public.tidy",
        ]);
    killed("rollback", "jobs.before_put_back")
        .await
        .expect_killed();
    moved
        .until("it is going back", &state("rolling back"))
        .await;
    assert_eq!(paused(&moved).await, INVOLVED + 1);
    killed("rollback", "jobs.put_back").await.expect_killed();
    moved.assert_back().await;
    assert_eq!(jobs(&moved).await, before);
}

#[tokio::test]
async fn jobs_are_paused_to_the_end_of_a_run_and_again_for_a_rollback() {
    let Some(moved) = with_jobs("jobs_to_the_end").await else {
        return;
    };
    let before = jobs(&moved).await;
    let killed = |command: &str, point: &str| moved.call(command).failpoint(point).run();
    plan(&moved).await;
    for point in ["slice.copied", "jobs.before_put_back"] {
        killed("migrate", point).await.expect_killed();
        assert_eq!(paused(&moved).await, INVOLVED + 1, "{point}");
    }
    killed("migrate", "jobs.put_back").await.expect_killed();
    moved.assert_moved().await;
    // No foreign key ties the hypertables any more, and the jobs that name the table are the same.
    assert_eq!(jobs(&moved).await, before);

    // A rollback that is called off, one that finds rows to lose, and one that goes through.
    killed("rollback", "rollback.fenced").await.expect_killed();
    assert_eq!(paused(&moved).await, 3);
    moved.call("migrate").run().await.expect_code(0);
    assert_eq!(jobs(&moved).await, before);
    let insert = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";
    moved.source.exec(insert).await.unwrap();
    moved.call("rollback").run().await.expect_code(3);
    assert_eq!(jobs(&moved).await, before);
    moved
        .call("rollback --discard-new-rows")
        .run()
        .await
        .expect_code(0);
    moved.assert_back().await;
    assert_eq!(jobs(&moved).await, before);
}

#[tokio::test]
async fn jobs_are_paused_and_put_back_once_when_the_commit_or_its_answer_is_lost() {
    for cut in [
        Cut::Before("COMMIT".to_owned()),
        Cut::AnswerTo("COMMIT".to_owned()),
    ] {
        let Some(moved) = with_jobs("jobs_lost_commit").await else {
            return;
        };
        let before = jobs(&moved).await;
        plan(&moved).await;
        let proxy = Proxy::start(moved.source.url()).unwrap();
        // The first COMMIT pauses the jobs; of a process that has nothing else to do, the only one puts them back.
        for (point, fired) in [("jobs.before_put_back", 1), ("never", 2)] {
            proxy.arm(cut.clone());
            let call = moved.call_through("migrate", proxy.url(), proxy.url());
            let ended = call.failpoint(point).run().await;
            assert_eq!(ended.code() == Some(0), fired == 2, "{ended:?}");
            assert_eq!(proxy.fired_count(), fired);
        }
        moved.assert_moved().await;
        assert_eq!(jobs(&moved).await, before);
    }
}

#[tokio::test]
async fn a_job_at_work_is_waited_for_and_named() {
    let Some(database) = community_database("jobs_at_work").await else {
        return;
    };
    let moved = Moved::new(database, None, Positions::default()).await;
    let slow = "CREATE PROCEDURE slow(job_id integer, config jsonb) LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(600), 'positions'; END $$;
        SELECT add_job('slow', '1 hour', initial_start => now())";
    moved.source.exec(slow).await.unwrap();
    plan_impatiently(&moved).await;
    let at_work = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name LIKE 'User-Defined Action%')";
    moved.until("the job is at work", at_work).await;
    moved
        .call("migrate")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["jobs are still at work: User-Defined Action [1000] (pid "]);
    let planned = "SELECT state = 'planned' FROM hyperhaul.run";
    assert!(moved.target().value::<bool>(planned).await.unwrap());
    assert_eq!(paused(&moved).await, 0, "it would have been ended half-way");
    // It goes on when the job ends.
    let process = moved.call("migrate").spawn();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name LIKE 'User-Defined Action%'";
    moved.source.exec(end).await.unwrap();
    process.wait().await.expect_code(0);
    moved.assert_moved().await;
    let scheduled = "SELECT scheduled FROM timescaledb_information.jobs WHERE job_id = 1000";
    assert!(moved.target().value::<bool>(scheduled).await.unwrap());
}

async fn plan_impatiently(moved: &Moved) {
    moved
        .plan("--workers 2 --strategy copy --lock-timeout 300ms --lock-attempts 2")
        .await;
}

#[tokio::test]
async fn a_job_of_somebody_else_stops_the_run_before_it_begins() {
    let Some(moved) = with_jobs("jobs_foreign").await else {
        return;
    };
    let role = moved.source.owner_role().await.unwrap();
    moved.source.give_schema(&role, "public").await.unwrap();
    moved.source.grant_create(&role).await.unwrap();
    let own = format!(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'gliders'
        LOOP EXECUTE format('ALTER TABLE %s OWNER TO {}', name); END LOOP; END $$",
        role.name()
    );
    moved.source.exec(&own).await.unwrap();
    let before = jobs(&moved).await;
    let url = moved.source.url_as(&role).unwrap();
    let call = |arguments: &str| moved.call_through(arguments, &url, &url);
    call("plan --table positions --accept hypertable_foreign_key")
        .run()
        .await
        .expect_code(0);
    call("migrate").run().await.expect_code(3).expect_printed(&[
        "jobs that could touch the tables cannot be paused",
        "procedure public.tidy, owned by postgres",
        "let the owner pause them for the run: alter_job(",
    ]);
    assert_eq!(jobs(&moved).await, before);
    let planned = "SELECT state = 'planned' FROM hyperhaul.run";
    assert!(moved.target().value::<bool>(planned).await.unwrap());
}

#[tokio::test]
async fn maintenance_of_pg_partman_under_way_is_waited_for_and_named() {
    let database = target_database("jobs_partman").await;
    database.install_extensions(&["pg_partman"]).await.unwrap();
    let moved = Moved::new(database, None, Positions::default()).await;
    let managed =
        "CREATE TABLE fixes (id bigint NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
        SELECT partman.create_parent('public.fixes', 'at', '1 day', p_premake := 1);
        INSERT INTO fixes SELECT n, now() FROM generate_series(1, 100) AS n";
    moved.source.exec(managed).await.unwrap();
    let call = |arguments: &str| moved.call(arguments).table("fixes");
    call("plan --lock-timeout 300ms --lock-attempts 2")
        .run()
        .await
        .expect_code(0);
    // It has looked at every table and is not through.
    let maintenance = moved.source.connect().await.unwrap();
    let begin = "BEGIN; SELECT partman.run_maintenance()";
    maintenance.batch_execute(begin).await.unwrap();
    moved
        .call("migrate")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["out of pg_partman's hands", "waits for pid "]);
    let left = "SELECT count(*) = 1 FROM partman.part_config WHERE parent_table = 'public.fixes'";
    assert!(moved.source.value::<bool>(left).await.unwrap());

    let process = moved.call("migrate").spawn();
    maintenance.batch_execute("COMMIT").await.unwrap();
    let ended = process.wait().await;
    assert!(ended.code() == Some(0), "{ended:?}");
    let done = || async { moved.is_done().await };
    eventually("it is done", LIMIT, done).await.unwrap();
    assert!(!moved.source.value::<bool>(left).await.unwrap());
}
