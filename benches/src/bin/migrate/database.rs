//! The bench's own database: sample rows, what the ways fill, and the state that each of them finds.

use anyhow::{Context, Result, ensure};
use hyperhaul_pg::{Server, Session};
use hyperhaul_workload::{Progress, SoarOptions, load_soar};
use std::time::Instant;

use crate::fixes::COLUMNS;

/// Where the sample is.
pub(crate) const DATABASE: &str = "hyperhaul_bench";
/// Where pgcopydb copies to.
pub(crate) const OTHER_DATABASE: &str = "hyperhaul_bench_pgcopydb";
/// Who pgcopydb writes as.
pub(crate) const LOADER: &str = "hyperhaul_bench_loader";
/// Where the other ways make their table: under its own name, beside the old one, whose index names it shares.
pub(crate) const SCHEMA: &str = "bench";

const DAYS: u32 = 10;

/// The server and the sample on it.
pub(crate) struct Database {
    admin: Server,
    server: Server,
    url: String,
    /// The partitions of `public.fixes` that hold rows, largest first.
    pub(crate) leaves: Vec<Leaf>,
    /// Rows of `public.fixes`.
    pub(crate) rows: u64,
    /// Its heap and TOAST, without indexes.
    pub(crate) bytes: u64,
}

/// A partition of `public.fixes`.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// Its name without the schema.
    pub(crate) name: String,
    /// `FROM ('...') TO ('...')`.
    pub(crate) bounds: String,
}

impl Leaf {
    /// The SELECT that reads it.
    pub(crate) fn select(&self) -> String {
        format!("SELECT {COLUMNS} FROM ONLY public.{}", self.name)
    }
}

impl Database {
    /// Makes the database with this many fixes, or finds it as an earlier call with `--keep` left it.
    pub(crate) async fn prepare(url: &str, rows: u64) -> Result<Database> {
        let admin = Server::parse(url)?;
        let server = admin.with_database(DATABASE);
        let session = admin.connect("bench").await?;
        let content = content(rows);
        let found = session
            .query_opt(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1",
                &[&DATABASE],
            )
            .await?
            .and_then(|row| row.get::<_, Option<String>>(0));
        if found.as_deref() == Some(content.as_str()) {
            eprintln!("sample: {content} are there from an earlier call");
        } else {
            drop_databases(&session).await?;
            load(&session, &server, rows).await?;
        }
        // Until the end: a call that is interrupted leaves a sample that nobody takes for whole.
        session
            .batch(&format!("COMMENT ON DATABASE {DATABASE} IS NULL"))
            .await?;
        let session = server.connect("bench").await?;
        let leaves = leaves(&session).await?;
        let sizes = "SELECT count(*), sum(pg_table_size(inhrelid)::bigint)::bigint \
                     FROM pg_inherits WHERE inhparent = 'public.fixes'::regclass";
        let sizes = session.query_one(sizes, &[]).await?;
        let count = session
            .query_one("SELECT count(*) FROM public.fixes", &[])
            .await?;
        ensure!(
            u64::try_from(count.get::<_, i64>(0))? == rows,
            "the sample has other rows than it should"
        );
        Ok(Database {
            admin,
            server,
            url: url.to_owned(),
            leaves,
            rows,
            bytes: u64::try_from(sizes.get::<_, i64>(1))?,
        })
    }

    /// A session in the sample's database; unqualified names are looked for where the ways make their table.
    pub(crate) async fn session(&self) -> Result<Session> {
        let session = self.server.connect("bench").await?;
        session
            .batch(&format!("SET search_path = {SCHEMA}, public"))
            .await?;
        Ok(session)
    }

    /// A session in the database that pgcopydb copies to, which is made anew.
    pub(crate) async fn other_session(&self) -> Result<Session> {
        let admin = self.admin.connect("bench").await?;
        admin
            .batch(&format!(
                "DROP DATABASE IF EXISTS {OTHER_DATABASE} WITH (FORCE)"
            ))
            .await?;
        admin
            .batch(&format!(
                "CREATE DATABASE {OTHER_DATABASE} TEMPLATE template0"
            ))
            .await?;
        admin
            .batch(&format!("DROP ROLE IF EXISTS {LOADER}"))
            .await?;
        admin
            .batch(&format!("CREATE ROLE {LOADER} NOLOGIN"))
            .await?;
        let session = self
            .admin
            .with_database(OTHER_DATABASE)
            .connect("bench")
            .await?;
        session.batch("SET search_path = public").await?;
        Ok(session)
    }

    /// The connection string for client programs.
    pub(crate) fn url(&self, database: &str) -> Result<String> {
        Ok(hyperhaul_testkit::ServerUrl::parse(&self.url)?
            .with_database(database)
            .to_string())
    }

    /// The connection string of [`OTHER_DATABASE`], for a session that gives up the superuser's rights for those of [`LOADER`].
    pub(crate) fn url_as_loader(&self) -> Result<String> {
        let url = self.url(OTHER_DATABASE)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        Ok(format!("{url}{separator}options=-c%20role%3D{LOADER}"))
    }

    /// Brings back the state that every way starts from: no target, an old table without dead rows, nothing left to write out.
    pub(crate) async fn clear(&self) -> Result<()> {
        self.admin
            .connect("bench")
            .await?
            .batch(&format!(
                "DROP DATABASE IF EXISTS {OTHER_DATABASE} WITH (FORCE)"
            ))
            .await?;
        let session = self.session().await?;
        session
            .batch(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            .await?;
        session
            .batch("DROP SCHEMA IF EXISTS hyperhaul CASCADE")
            .await?;
        session.batch("VACUUM public.fixes").await?;
        session.batch("CHECKPOINT").await?;
        Ok(())
    }

    /// Ends the use of the sample: clears what the last way left, then keeps it for the next call or drops all that the bench has made
    /// on the server.
    pub(crate) async fn release(&self, keep: bool) -> Result<()> {
        let admin = self.admin.connect("bench").await?;
        if !keep {
            return drop_databases(&admin).await;
        }
        self.clear().await?;
        let content = content(self.rows);
        Ok(admin
            .batch(&format!("COMMENT ON DATABASE {DATABASE} IS '{content}'"))
            .await?)
    }
}

/// The comment of a database whose sample is whole and unused.
fn content(rows: u64) -> String {
    format!("{rows} fixes")
}

async fn drop_databases(session: &Session) -> Result<()> {
    for database in [OTHER_DATABASE, DATABASE] {
        session
            .batch(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            .await?;
    }
    session
        .batch(&format!("DROP ROLE IF EXISTS {LOADER}"))
        .await?;
    Ok(())
}

async fn load(admin: &Session, server: &Server, rows: u64) -> Result<()> {
    let begun = Instant::now();
    admin
        .batch(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0"))
        .await?;
    let session = server.connect("bench").await?;
    session
        .batch("CREATE EXTENSION timescaledb SCHEMA public")
        .await
        .context("the server needs TimescaleDB, loaded beforehand")?;
    // Raw messages of their own are no part of what is measured: a few, so that the table is not empty.
    let options = SoarOptions {
        days: DAYS,
        fixes: rows,
        raw_messages: 10_000,
        default_partition_rows: 0,
        link_raw_messages: false,
        ..SoarOptions::default()
    };
    load_soar(server, &options, &progress(rows)).await?;
    eprintln!("sample: VACUUM ANALYZE");
    session.batch("VACUUM ANALYZE").await?;
    eprintln!(
        "sample: {rows} fixes loaded in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Says every tenth of the rows, and what is built.
fn progress(rows: u64) -> impl Fn(Progress) + Sync {
    let told = std::sync::atomic::AtomicU64::new(0);
    move |progress| match progress {
        Progress::Rows {
            table: "fixes",
            rows_done,
            ..
        } => {
            let tenth = rows_done * 10 / rows.max(1);
            if told.fetch_max(tenth, std::sync::atomic::Ordering::Relaxed) < tenth {
                eprintln!("sample: {rows_done} of {rows} fixes");
            }
        }
        Progress::Rows { .. } => {}
        Progress::Building { section } => eprintln!("sample: building {section}"),
    }
}

async fn leaves(session: &Session) -> Result<Vec<Leaf>> {
    let sql = "SELECT class.relname, pg_get_expr(class.relpartbound, class.oid) \
               FROM pg_catalog.pg_inherits AS inherits JOIN pg_catalog.pg_class AS class ON class.oid = inherits.inhrelid \
               WHERE inherits.inhparent = 'public.fixes'::regclass AND pg_relation_size(class.oid) > 0 \
               ORDER BY pg_relation_size(class.oid) DESC, class.relname";
    let rows = session.query(sql, &[]).await?;
    let leaf = |row: &hyperhaul_pg::Row| {
        let bounds: String = row.get(1);
        Leaf {
            name: row.get(0),
            bounds: bounds.trim_start_matches("FOR VALUES ").to_owned(),
        }
    };
    Ok(rows.iter().map(leaf).collect())
}
