//! What is declared for rows as they age, on either edition: set up after the cutover, carried out, and taken back.

mod apache;
mod columnstore;
mod community;
mod retention;

use crate::support::{Ended, Hyperhaul, target_database};
use hyperhaul_testkit::{OwnerRole, TestDatabase};
use std::path::PathBuf;

/// Everything that can be declared, for `public.ticks`.
const DECLARED: &str = r#"
[[table]]
name = "ticks"
time_column = "at"
columnstore_after = "7 days"
segment_by = ["well"]
order_by = ["at DESC"]
retention = "30 days"
comment = "kept for 30 days"

[[table.aggregate]]
name = "Ticks hourly"
bucket = "1 hour"
group_by = ["well"]
measures = ["avg(flow) AS \"Mean flow\"", "max(flow)", "count(*)", "last(flow)"]
start_offset = "3 days"
end_offset = "1 hour"
schedule = "1 hour"
"#;

/// The aggregate's name in the file above needs its quotes.
fn declared() -> String {
    DECLARED.replace("\"Ticks hourly\"", "'\"Ticks hourly\"'")
}

/// The aggregate, computed from `source`, in buckets before `before`.
fn aggregate_sql(source: &str, before: &str) -> String {
    format!(
        "SELECT well, time_bucket('1 hour', at) AS bucket, avg(flow), max(flow), count(*), last(flow, at) FROM {source} \
         WHERE time_bucket('1 hour', at) < {before} GROUP BY 1, 2"
    )
}

/// Rows by the half hour for forty days up to now, of three wells, in daily partitions.
const TICKS: &str = "
    SET timezone = 'UTC';
    CREATE TABLE ticks (id bigserial, at timestamptz NOT NULL, well text NOT NULL, flow float8, PRIMARY KEY (id, at))
        PARTITION BY RANGE (at);
    DO $$ BEGIN FOR day IN -41..1 LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF ticks FOR VALUES FROM (%L) TO (%L)',
            'ticks_' || day + 41, date_trunc('day', now()) + day * interval '1 day', date_trunc('day', now()) + (day + 1) * interval '1 day');
    END LOOP; END $$;
    INSERT INTO ticks (at, well, flow)
    SELECT now() - n * interval '30 minutes', 'well ' || n % 3, n % 1000 FROM generate_series(1, 40 * 48) AS n;
    COMMENT ON TABLE ticks IS 'as they come';
    ANALYZE ticks;
";

/// A table of a test's own with a configuration file that declares policies for it.
pub(crate) struct Ticks {
    database: TestDatabase,
    config: PathBuf,
}

impl Ticks {
    pub(crate) async fn on_apache(prefix: &str, config: &str) -> Ticks {
        Ticks::fill(target_database(prefix).await, config).await
    }

    async fn fill(database: TestDatabase, config: &str) -> Ticks {
        database.exec(TICKS).await.unwrap();
        let path = std::env::temp_dir().join(format!("hyperhaul-{}.toml", database.name()));
        std::fs::write(&path, config).unwrap();
        Ticks {
            database,
            config: path,
        }
    }

    fn call(&self, arguments: &str) -> Hyperhaul {
        let call = Hyperhaul::new(arguments).source(self.database.url());
        call.arg("--config").arg(self.config.to_str().unwrap())
    }

    /// A role that owns the table, may create in its schema and in the database, and nothing more.
    pub(crate) async fn plain_owner(&self) -> OwnerRole {
        let role = self.database.owner_role().await.unwrap();
        self.database.give_schema(&role, "public").await.unwrap();
        self.database.grant_create(&role).await.unwrap();
        let own = format!(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
            LOOP EXECUTE format('ALTER TABLE %s OWNER TO {}', name); END LOOP; END $$",
            role.name()
        );
        self.database.exec(&own).await.unwrap();
        role
    }

    /// Everything that a role without superuser does with declarations.
    pub(crate) async fn whole_lifecycle_as(&self, role: &OwnerRole) {
        let url = self.database.url_as(role).unwrap();
        for command in [
            "check",
            "migrate",
            "maintain",
            "verify",
            "rollback",
            "migrate",
            "maintain --dry-run",
        ] {
            let call = Hyperhaul::new(command).source(&url);
            let call = call.arg("--config").arg(self.config.to_str().unwrap());
            call.run().await.expect_code(0);
        }
    }

    async fn migrate(&self) -> Ended {
        self.call("migrate").run().await.expect_code(0)
    }

    /// Migrates by as many processes as there are steps, each killed when it has finished one, and before that once when it
    /// has not. Statements that cannot be in a transaction are repeated.
    async fn migrate_killed_at_every_step(&self) {
        let points = [
            "step.before_commit",
            "step.before_mark",
            "step.after_commit",
        ];
        let mut killed = true;
        while killed {
            killed = false;
            for point in points {
                let ended = self.call("migrate").failpoint(point).run().await;
                match ended.code() {
                    None => killed = true,
                    Some(0) => return,
                    Some(_) if self.is_done().await => return,
                    Some(_) => {
                        ended.expect_code(0);
                    }
                }
            }
        }
    }

    async fn is_done(&self) -> bool {
        let sql = "SELECT state = 'done' FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1";
        self.database.value(sql).await.unwrap()
    }

    /// What was rolled up is what a query over the old table gives, up to the watermark.
    async fn assert_rolled_up(&self, source: &str) {
        let until = "(SELECT to_timestamp(watermark_us / 1000000) FROM hyperhaul.rollup ORDER BY run_id DESC LIMIT 1)";
        let wanted = aggregate_sql(source, until);
        let found = "SELECT * FROM \"Ticks hourly\"";
        crate::support::assert_equal_rows((&self.database, &wanted), (&self.database, found)).await;
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.config);
    }
}
