//! Checks on the servers: versions, TimescaleDB, standby, encoding, pooler, timeouts. Not privileges, disk or locks.

use super::Case;
use crate::facts::{License, ServerFacts, Timescale};
use crate::phrase;
use crate::{Code, Finding, Severity};

/// Major versions of PostgreSQL that the tests run on, as a source on another server and as a target.
const SOURCES_TESTED: &[i32] = &[15, 17];
const TARGETS_TESTED: &[i32] = &[17];

/// First version with `CREATE OR REPLACE TRIGGER` (the fence) and `min(tid)` (a row of each chunk).
const POSTGRES_MAJOR_MIN: i32 = 14;

/// First version with `create_hypertable(..., by_range(...))`.
const TIMESCALE_MIN: (u32, u32, u32) = (2, 13, 0);

/// First version in which an ordinary table's foreign key may refer to a hypertable.
const TIMESCALE_REFERENCED_MIN: (u32, u32, u32) = (2, 16, 0);

/// The versions that the tests run on; their fixes count as tested too.
const TIMESCALE_TESTED: [(u32, u32, u32); 2] = [(2, 19, 3), (2, 29, 2)];

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let (source, target) = (&case.facts.source, &case.facts.target);
    let mut findings = timescale(case, target);
    if case.same_database() {
        findings.extend(server("server", target));
    } else {
        findings.extend(server("source", source));
        findings.extend(server("target", target));
        findings.extend(older_target(source, target));
        findings.extend(encoding(source, target));
    }
    findings
}

fn timescale(case: &Case, target: &ServerFacts) -> Vec<Finding> {
    let Some(timescale) = &target.timescale else {
        return vec![missing(target)];
    };
    let mut findings = vec![edition(timescale)];
    findings.extend(timescale_version(case, timescale));
    if timescale.preloaded == Some(false) {
        findings.push(not_preloaded());
    }
    findings
}

fn missing(target: &ServerFacts) -> Finding {
    let database = crate::quote_ident(&target.database);
    let major = target.version_num / 10_000;
    match &target.timescale_available {
        Some(version) => Finding::new(
            Code::ExtensionMissing,
            Severity::Block,
            format!("TimescaleDB {version} is on the server but not installed in database {database}"),
        )
        .detail(
            "This is the one thing that takes a superuser, or the role that the provider gave for it. The library \
             also has to be in shared_preload_libraries.",
        )
        .resolve("CREATE EXTENSION timescaledb;"),
        None => Finding::new(
            Code::ExtensionMissing,
            Severity::Block,
            format!("the server of database {database} has no TimescaleDB to install"),
        )
        .detail(
            "Its package has to be installed on the server first, then preloaded (a restart), then created in the \
             database. Debian 13 has the Apache edition as a package; Timescale's own repository has the Community \
             edition.",
        )
        .resolve(format!("apt-get install postgresql-{major}-timescaledb"))
        .resolve(PRELOAD_SQL)
        .resolve("CREATE EXTENSION timescaledb;"),
    }
}

/// Keeps what is preloaded already: a quoted list would become the name of one library.
const PRELOAD_SQL: &str = "SELECT format('ALTER SYSTEM SET shared_preload_libraries = %s', concat_ws(', ', \
     nullif(current_setting('shared_preload_libraries'), ''), 'timescaledb')) \\gexec";

fn not_preloaded() -> Finding {
    Finding::new(
        Code::NotPreloaded,
        Severity::Block,
        "timescaledb is not in shared_preload_libraries",
    )
    .detail(
        "Without it, hypertables can't be written to. The setting takes effect when the server is restarted.",
    )
    .resolve(PRELOAD_SQL)
}

fn edition(timescale: &Timescale) -> Finding {
    let preloaded = match timescale.preloaded {
        Some(true) => ", preloaded",
        Some(false) => ", not preloaded",
        None => "",
    };
    let (name, detail) = match timescale.license {
        License::Community => ("Community edition", ""),
        License::Apache => (
            "Apache edition",
            "Everything that the run needs works. Afterwards the columnstore, retention and compression policies and \
             continuous aggregates are refused; what is declared of retention and aggregates, hyperhaul maintain does.",
        ),
    };
    let message = format!(
        "TimescaleDB {}, {name}{preloaded}",
        version_text(timescale.version)
    );
    Finding::new(Code::Edition, Severity::Info, message).detail(detail)
}

fn timescale_version(case: &Case, timescale: &Timescale) -> Option<Finding> {
    let version = timescale.version;
    let text = version_text(version);
    let update = "ALTER EXTENSION timescaledb UPDATE;";
    let re_pointed: usize = if case.same_database() {
        let tables = case.facts.tables.iter();
        tables.map(|table| table.referenced_by.len()).sum()
    } else {
        0
    };
    if version < TIMESCALE_MIN {
        let message = format!(
            "TimescaleDB {text} is older than {}, the oldest that can be used",
            version_text(TIMESCALE_MIN)
        );
        let finding = Finding::new(Code::ExtensionVersion, Severity::Block, message)
            .detail("create_hypertable has another signature there.");
        return Some(finding.resolve(update));
    }
    if version < TIMESCALE_REFERENCED_MIN && re_pointed > 0 {
        let message = format!(
            "TimescaleDB {text} refuses foreign keys that refer to a hypertable, and {} to the tables of this run",
            if re_pointed == 1 {
                "1 refers".to_owned()
            } else {
                format!("{re_pointed} refer")
            }
        );
        let finding = Finding::new(Code::ExtensionVersion, Severity::Block, message).detail(
            "They are possible from 2.16.0 on. Without them the cutover would fail at its last step.",
        );
        return Some(finding.resolve(update));
    }
    let tested = |own: &(u32, u32, u32)| (own.0, own.1) == (version.0, version.1);
    (!TIMESCALE_TESTED.iter().any(tested)).then(|| {
        let message = format!(
            "TimescaleDB {text} is expected to work, but not tested: tests run on {}",
            TIMESCALE_TESTED.map(version_text).join(" and ")
        );
        Finding::new(Code::ExtensionVersion, Severity::Warn, message)
            .detail("Rehearse the run on a copy of the database first.")
    })
}

fn version_text((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}

fn server(name: &str, server: &ServerFacts) -> Vec<Finding> {
    [
        postgres_version(name, server),
        standby(name, server),
        pooler(name, server),
        timeouts(name, server),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn postgres_version(name: &str, server: &ServerFacts) -> Option<Finding> {
    let major = server.version_num / 10_000;
    if major < POSTGRES_MAJOR_MIN {
        let message = format!(
            "PostgreSQL {} on the {name} is older than {POSTGRES_MAJOR_MIN}",
            server.version
        );
        return Some(
            Finding::new(Code::ServerVersion, Severity::Block, message).detail(
                "Its catalog lacks what hyperhaul reads from it. Upgrade the server first.",
            ),
        );
    }
    let tested = if name == "source" {
        SOURCES_TESTED
    } else {
        TARGETS_TESTED
    };
    (!tested.contains(&major)).then(|| {
        let tested: Vec<String> = tested.iter().map(i32::to_string).collect();
        let message = format!(
            "PostgreSQL {} on the {name} is expected to work, but not tested: tests run on {}",
            server.version,
            tested.join(" and ")
        );
        Finding::new(Code::ServerVersion, Severity::Warn, message)
            .detail("Rehearse the run on a copy of the database first.")
    })
}

fn older_target(source: &ServerFacts, target: &ServerFacts) -> Option<Finding> {
    let (from, to) = (source.version_num / 10_000, target.version_num / 10_000);
    (to < from).then(|| {
        Finding::new(
            Code::ServerVersion,
            Severity::Warn,
            format!("the target (PostgreSQL {to}) is older than the source (PostgreSQL {from})"),
        )
        .detail(
            "Rows travel either way. Definitions of columns, indexes and constraints are used as the source prints \
             them, and an older server may refuse newer syntax: this shows before any row is copied, except for \
             indexes.",
        )
    })
}

fn standby(name: &str, server: &ServerFacts) -> Option<Finding> {
    server.in_recovery.then(|| {
        Finding::new(
            Code::Standby,
            Severity::Block,
            format!("the {name} is a standby and takes no writes"),
        )
        .detail(match name {
            "source" => "The fence that keeps writers off is a trigger, which has to be made on the primary.",
            _ => "The hypertable has to be made on the primary.",
        })
        .resolve("SELECT sender_host, sender_port FROM pg_stat_wal_receiver;  -- connect there instead")
    })
}

fn pooler(name: &str, server: &ServerFacts) -> Option<Finding> {
    let evidence = server.pooler.as_ref()?;
    Some(
        Finding::new(
            Code::Pooler,
            Severity::Block,
            format!("a pooler in transaction mode stands before the {name}: {evidence}"),
        )
        .detail(
            "Settings, prepared statements and snapshots belong to a session; behind such a pooler they end up in \
             somebody else's. Connect to PostgreSQL itself, or to a pool in session mode.",
        )
        .resolve("SELECT inet_server_addr(), current_setting('port');  -- where PostgreSQL itself listens"),
    )
}

fn timeouts(name: &str, server: &ServerFacts) -> Option<Finding> {
    let settings = &server.settings;
    let set: Vec<String> = [
        ("statement_timeout", settings.statement_timeout_ms),
        ("lock_timeout", settings.lock_timeout_ms),
        (
            "idle_in_transaction_session_timeout",
            settings.idle_in_transaction_session_timeout_ms,
        ),
        ("transaction_timeout", settings.transaction_timeout_ms),
    ]
    .into_iter()
    .filter(|(_, value_ms)| *value_ms > 0)
    .map(|(setting, value_ms)| format!("{setting} = {}", milliseconds(value_ms)))
    .collect();
    (!set.is_empty()).then(|| {
        Finding::new(
            Code::Timeouts,
            Severity::Info,
            format!(
                "role {} has timeouts in this database on the {name}: {}",
                crate::quote_ident(&server.role),
                set.join(", ")
            ),
        )
        .detail("hyperhaul sets its own in each of its sessions; these stay as they are for everybody else.")
    })
}

fn milliseconds(value_ms: u64) -> String {
    if value_ms.is_multiple_of(1_000) {
        phrase::seconds(value_ms / 1_000)
    } else {
        format!("{} ms", phrase::grouped(value_ms))
    }
}

fn encoding(source: &ServerFacts, target: &ServerFacts) -> Option<Finding> {
    if source.encoding == target.encoding {
        return None;
    }
    let message = format!(
        "the source is encoded in {}, the target in {}",
        source.encoding, target.encoding
    );
    let (severity, detail) = match (source.encoding.as_str(), target.encoding.as_str()) {
        ("SQL_ASCII", _) => (
            Severity::Warn,
            "A source in SQL_ASCII checks nothing: a row whose text is not valid UTF-8 is refused by the target and \
             stops the run.",
        ),
        (_, "UTF8") => (
            Severity::Info,
            "Text is converted on the way, by the servers; verification compares it after the conversion.",
        ),
        _ => (
            Severity::Warn,
            "Text is converted on the way. A row with a character that the target's encoding lacks is refused and \
             stops the run.",
        ),
    };
    Some(Finding::new(Code::Encoding, severity, message).detail(detail))
}
