//! What streams are doing now: a line each, from two readings of their meters.

use super::Look;
use super::columns::{Align, Columns};
use super::number::{approximate, bytes, grouped, latency, whole};
use Align::{Left, Right};
use hyperhaul_ingest::{Counter, Distribution, Gauge, Reading, SourceStatus};
use serde::Serialize;
use std::time::Duration;

/// A stream at work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Live {
    pub(crate) stream: String,
    state: State,
    received_records_per_second: f64,
    committed_rows_per_second: f64,
    /// From reception to queryable, of what was committed in between; none without any.
    lag_p50_seconds: Option<f64>,
    lag_p99_seconds: Option<f64>,
    /// Age of the oldest record that is not dealt with.
    uncommitted_seconds: f64,
    /// None without a spool.
    spool_bytes: Option<u64>,
    spool_limit_bytes: Option<u64>,
    duplicate_records: u64,
    conflict_records: u64,
    dead_records: u64,
    lost_records: u64,
}

/// What a stream is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Rows come in.
    Writing,
    /// There is nothing to write.
    Idle,
    /// There is something to write, and nothing was committed.
    Waiting,
    /// The database is away.
    NoDatabase,
}

impl State {
    fn of(now: &Reading, before: &Reading) -> State {
        if now.gauge(Gauge::DatabaseConnected) == Some(0.0) {
            State::NoDatabase
        } else if now.count_since(before, Counter::SettledRecords) > 0 {
            State::Writing
        } else if now.gauge(Gauge::UncommittedSeconds) > Some(0.0) {
            State::Waiting
        } else {
            State::Idle
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Writing => "writing",
            State::Idle => "idle",
            State::Waiting => "waiting",
            State::NoDatabase => "no database",
        }
    }
}

impl Live {
    fn of(now: &Reading, before: &Reading, elapsed: Duration) -> Live {
        let per_second = |counter| {
            let count = approximate(now.count_since(before, counter));
            count / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        let lag = |share| now.quantile_since(before, Distribution::Lag, share);
        let settled = |end| now.part(Counter::SettledRecords, end);
        Live {
            stream: now.stream.clone(),
            state: State::of(now, before),
            received_records_per_second: per_second(Counter::ReceivedRecords),
            committed_rows_per_second: per_second(Counter::CommittedRows),
            lag_p50_seconds: lag(0.5),
            lag_p99_seconds: lag(0.99),
            uncommitted_seconds: now.gauge(Gauge::UncommittedSeconds).unwrap_or(0.0),
            spool_bytes: now.gauge(Gauge::SpoolBytes).map(whole),
            spool_limit_bytes: now.gauge(Gauge::SpoolLimitBytes).map(whole),
            duplicate_records: settled("duplicate"),
            conflict_records: settled("conflict"),
            dead_records: settled("dead"),
            lost_records: settled("lost"),
        }
    }

    /// `12.5 MiB of 4.0 GiB`.
    fn spool(&self) -> Option<String> {
        let (used, limit) = self.spool_bytes.zip(self.spool_limit_bytes)?;
        Some(format!("{} of {}", bytes(used), bytes(limit)))
    }

    /// Whether anything happens that is worth a line in a log.
    pub(crate) fn is_busy(&self) -> bool {
        self.state != State::Idle || self.received_records_per_second > 0.0
    }
}

/// The streams that both readings have, in the order of the later one.
pub(crate) fn lives(now: &[Reading], before: &[Reading], elapsed: Duration) -> Vec<Live> {
    let pairs = now.iter().filter_map(|now| {
        let of_stream = |then: &&Reading| then.stream == now.stream;
        Some((now, before.iter().find(of_stream)?))
    });
    pairs
        .map(|(now, before)| Live::of(now, before, elapsed))
        .collect()
}

/// All streams, a line each; what can be missed most easily comes last, where a narrow terminal cuts it off.
pub(crate) fn table(streams: &[Live], look: Look) -> String {
    let mut table = Columns::new([
        Left, Left, Right, Right, Right, Right, Right, Right, Right, Right, Right,
    ])
    .heading([
        "stream",
        "state",
        "records/s",
        "rows/s",
        "lag p50",
        "p99",
        "oldest",
        "duplicate",
        "conflict",
        "dead",
        "spool",
    ]);
    for live in streams {
        table.push([
            live.stream.clone(),
            live.state.name().to_owned(),
            rate(live.received_records_per_second),
            rate(live.committed_rows_per_second),
            lag(live.lag_p50_seconds),
            lag(live.lag_p99_seconds),
            age(live.uncommitted_seconds),
            grouped(live.duplicate_records),
            grouped(live.conflict_records),
            grouped(live.dead_records),
            live.spool().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.render(0, look)
}

/// One stream as a line of a log.
pub(crate) fn line(live: &Live) -> String {
    let lag = live.lag_p50_seconds.zip(live.lag_p99_seconds);
    let lag = lag.map(|(p50, p99)| format!(", lag {} (p99 {})", latency(p50), latency(p99)));
    let spool = live.spool();
    let spool = spool.map(|spool| format!(", spool {spool}"));
    let ends = [
        (live.duplicate_records, "duplicate"),
        (live.conflict_records, "conflict"),
        (live.dead_records, "dead"),
        (live.lost_records, "lost"),
    ];
    let ends = ends.into_iter().filter(|(count, _)| *count > 0);
    let ends: String = ends
        .map(|(count, end)| format!(", {} {end}", grouped(count)))
        .collect();
    let oldest = Some(live.uncommitted_seconds).filter(|seconds| *seconds > 0.0);
    let oldest = oldest.map(|seconds| format!(", oldest {}", latency(seconds)));
    format!(
        "{}: {}, {} records/s in, {} rows/s{}{}{}{ends}",
        live.stream,
        live.state.name(),
        rate(live.received_records_per_second),
        rate(live.committed_rows_per_second),
        lag.unwrap_or_default(),
        oldest.unwrap_or_default(),
        spool.unwrap_or_default(),
    )
}

fn rate(per_second: f64) -> String {
    grouped(whole(per_second))
}

fn lag(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), latency)
}

/// Of the oldest record that is not dealt with; nothing where there is none.
fn age(seconds: f64) -> String {
    if seconds > 0.0 {
        latency(seconds)
    } else {
        "-".to_owned()
    }
}

/// The sources, as the ledger has them; counts are those of `lately`, in words.
pub(crate) fn sources(sources: &[SourceStatus], lately: &str, look: Look) -> String {
    if sources.is_empty() {
        return "The ledger knows no source of these streams.\n".to_owned();
    }
    let records = format!("records ({lately})");
    let mut table = Columns::new([
        Left, Left, Left, Right, Left, Right, Right, Right, Right, Right,
    ])
    .heading([
        "stream",
        "source",
        "session",
        "position",
        "moved (UTC)",
        &records,
        "stored",
        "duplicate",
        "conflict",
        "dead",
    ]);
    for status in sources {
        let lately = status.lately.as_ref().map(|receipt| receipt.outcome);
        let outcome = lately.unwrap_or_default();
        let [records, stored, duplicate, conflict, dead] = super::ingest::ends(&outcome);
        let moved_at = status.standing.moved_at;
        table.push([
            status.standing.stream.clone(),
            status.standing.source.clone(),
            (if status.is_held { "connected" } else { "none" }).to_owned(),
            super::ingest::number(status.standing.position),
            moved_at.map_or("never".to_owned(), |at| {
                at.format("%Y-%m-%d %H:%M").to_string()
            }),
            records,
            stored,
            duplicate,
            conflict,
            dead,
        ]);
    }
    table.render(0, look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use hyperhaul_ingest::Standing;

    fn live(stream: &str) -> Live {
        Live {
            stream: stream.to_owned(),
            state: State::Writing,
            received_records_per_second: 20_012.4,
            committed_rows_per_second: 19_999.6,
            lag_p50_seconds: Some(0.012),
            lag_p99_seconds: Some(0.0954),
            uncommitted_seconds: 0.02,
            spool_bytes: Some(13 << 20),
            spool_limit_bytes: Some(4 << 30),
            duplicate_records: 12,
            conflict_records: 0,
            dead_records: 3,
            lost_records: 0,
        }
    }

    #[test]
    fn each_stream_is_a_line_of_the_table() {
        let waiting = Live {
            state: State::NoDatabase,
            lag_p50_seconds: None,
            lag_p99_seconds: None,
            uncommitted_seconds: 0.0,
            spool_bytes: None,
            ..live("field")
        };
        expect![[r#"
            stream  state        records/s  rows/s  lag p50    p99  oldest  duplicate  conflict  dead                spool
            esp     writing         20,012  20,000    12 ms  95 ms   20 ms         12         0     3  13.0 MiB of 4.0 GiB
            field   no database     20,012  20,000        -      -       -         12         0     3                    -
        "#]]
        .assert_eq(&table(&[live("esp"), waiting], Look::PLAIN));
    }

    #[test]
    fn a_line_of_a_log_leaves_out_what_is_not_there() {
        expect!["esp: writing, 20,012 records/s in, 20,000 rows/s, lag 12 ms (p99 95 ms), oldest 20 ms, spool 13.0 MiB of 4.0 GiB, 12 duplicate, 3 dead"]
            .assert_eq(&line(&live("esp")));
        let quiet = Live {
            state: State::Idle,
            received_records_per_second: 0.0,
            ..live("esp")
        };
        assert!(!quiet.is_busy() && live("esp").is_busy());
    }

    #[test]
    fn each_source_is_a_line_with_what_became_of_its_records_lately() {
        let standing = Standing {
            source: "spool esp 0b6bd5b0".to_owned(),
            stream: "esp".to_owned(),
            position: 72_043_200,
            backend_pid: 4711,
            moved_at: "2026-01-12T10:31:00Z".parse().ok(),
        };
        let never = SourceStatus {
            standing: Standing {
                stream: "field".to_owned(),
                position: 0,
                moved_at: None,
                ..standing.clone()
            },
            is_held: false,
            lately: None,
        };
        let held = SourceStatus {
            standing,
            is_held: true,
            lately: None,
        };
        expect![[r#"
            stream  source              session      position  moved (UTC)       records (1 h)  stored  duplicate  conflict  dead
            esp     spool esp 0b6bd5b0  connected  72,043,200  2026-01-12 10:31              0       0          0         0     0
            field   spool esp 0b6bd5b0  none                0  never                         0       0          0         0     0
        "#]]
        .assert_eq(&sources(&[held, never], "1 h", Look::PLAIN));
        assert!(sources(&[], "1 h", Look::PLAIN).starts_with("The ledger knows no source"));
    }
}
