//! What is metered, each with its name in Prometheus, what it means, and how it is told apart. README.md has the same names.

/// Seconds: from a sync of a fast disk to an hour's outage.
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0,
    5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];
/// Records of a batch.
const RECORDS: &[f64] = &[
    1.0, 10.0, 100.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5,
];
/// Bytes of a batch's records: powers of four from 1 KiB to 64 MiB.
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// A name, and what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Without the prefix that all have.
    pub(crate) name: &'static str,
    /// Besides the stream.
    pub(crate) label: Option<&'static str>,
    pub(crate) help: &'static str,
}

const fn family(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        label: None,
        help,
    }
}

const fn told_apart(name: &'static str, label: &'static str, help: &'static str) -> Family {
    Family {
        name,
        label: Some(label),
        help,
    }
}

/// What only grows, from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Records taken from the source.
    ReceivedRecords,
    /// Their bytes.
    ReceivedBytes,
    /// Records made durable in the spool.
    SpooledRecords,
    /// Their bytes.
    SpooledBytes,
    /// Records turned away, by reason.
    RefusedRecords,
    /// Records by the end that the ledger says they had.
    SettledRecords,
    /// Records that no table takes, by reason.
    DeadRecords,
    /// New rows.
    CommittedRows,
    /// Rows whose time is long before their reception.
    LateRows,
    /// Batches by the way they went.
    Batches,
    /// Connections made anew, by what they lead to.
    Reconnects,
    /// Times in which a source could give nothing, by reason.
    Gaps,
    /// Records that came and were not kept, since there was no room anywhere.
    DroppedRecords,
    /// Records by what their decoder took them for.
    Kinds,
}

impl Counter {
    pub(crate) const ALL: [Counter; 14] = [
        Counter::ReceivedRecords,
        Counter::ReceivedBytes,
        Counter::SpooledRecords,
        Counter::SpooledBytes,
        Counter::RefusedRecords,
        Counter::SettledRecords,
        Counter::DeadRecords,
        Counter::CommittedRows,
        Counter::LateRows,
        Counter::Batches,
        Counter::Reconnects,
        Counter::Gaps,
        Counter::DroppedRecords,
        Counter::Kinds,
    ];

    pub(crate) fn family(self) -> Family {
        match self {
            Counter::ReceivedRecords => {
                family("received_records_total", "Records taken from the source.")
            }
            Counter::ReceivedBytes => family(
                "received_bytes_total",
                "Bytes of the records taken from the source.",
            ),
            Counter::SpooledRecords => family(
                "spooled_records_total",
                "Records made durable in the spool.",
            ),
            Counter::SpooledBytes => family(
                "spooled_bytes_total",
                "Bytes of the records made durable in the spool.",
            ),
            Counter::RefusedRecords => told_apart(
                "refused_records_total",
                "reason",
                "Records turned away by the spool; the sender keeps them.",
            ),
            Counter::SettledRecords => told_apart(
                "settled_records_total",
                "end",
                "Records dealt with for good, by what became of them.",
            ),
            Counter::DeadRecords => told_apart(
                "dead_records_total",
                "reason",
                "Records that became dead letters.",
            ),
            Counter::CommittedRows => family("committed_rows_total", "New rows, over all tables."),
            Counter::LateRows => family(
                "late_rows_total",
                "Rows whose time is further before their reception than late_after.",
            ),
            Counter::Batches => told_apart(
                "batches_total",
                "way",
                "Batches by the way they went; a halved one becomes two others.",
            ),
            Counter::Reconnects => told_apart(
                "reconnects_total",
                "to",
                "Connections that were lost and made anew.",
            ),
            Counter::Gaps => told_apart(
                "gaps_total",
                "reason",
                "Times in which the source could give nothing, and what came then is missing.",
            ),
            Counter::DroppedRecords => family(
                "dropped_records_total",
                "Records that came and were not kept, since there was no room anywhere; they are in a gap.",
            ),
            Counter::Kinds => told_apart(
                "kinds_total",
                "kind",
                "Records dealt with by what their decoder took them for.",
            ),
        }
    }

    /// Values of the label that are there from the start.
    pub(crate) fn known_values(self) -> &'static [&'static str] {
        match self {
            Counter::RefusedRecords => &["full", "busy", "too-large", "failed"],
            Counter::SettledRecords => &["stored", "duplicate", "conflict", "dead", "lost"],
            Counter::Batches => &["copy", "sifted", "staged", "row-by-row", "halved"],
            Counter::Reconnects => &["database", "source"],
            Counter::DeadRecords | Counter::Gaps | Counter::Kinds => &[],
            Counter::ReceivedRecords
            | Counter::ReceivedBytes
            | Counter::SpooledRecords
            | Counter::SpooledBytes
            | Counter::CommittedRows
            | Counter::LateRows
            | Counter::DroppedRecords => &[""],
        }
    }
}

/// Of which values are counted in buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distribution {
    /// From the reception of a record until its rows can be queried.
    Lag,
    /// From the hand-over to the spool until records are durable.
    Storing,
    /// Records of a batch.
    BatchRecords,
    /// Bytes of a batch's records.
    BatchBytes,
    /// How long the transaction of a batch takes.
    BatchSeconds,
}

impl Distribution {
    pub(crate) const ALL: [Distribution; 5] = [
        Distribution::Lag,
        Distribution::Storing,
        Distribution::BatchRecords,
        Distribution::BatchBytes,
        Distribution::BatchSeconds,
    ];

    pub(crate) fn family(self) -> Family {
        match self {
            Distribution::Lag => family(
                "lag_seconds",
                "From the reception of a record until its rows can be queried.",
            ),
            Distribution::Storing => family(
                "storing_seconds",
                "From the hand-over of records to the spool until they are durable.",
            ),
            Distribution::BatchRecords => {
                family("batch_records", "Records of a batch that was committed.")
            }
            Distribution::BatchBytes => family(
                "batch_bytes",
                "Bytes of the records of a batch that was committed.",
            ),
            Distribution::BatchSeconds => family(
                "batch_seconds",
                "How long the transaction of a batch took that was committed.",
            ),
        }
    }

    pub(crate) fn bounds(self) -> &'static [f64] {
        match self {
            Distribution::Lag | Distribution::Storing | Distribution::BatchSeconds => SECONDS,
            Distribution::BatchRecords => RECORDS,
            Distribution::BatchBytes => BYTES,
        }
    }
}

/// What is so now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Age of the oldest record that was received and is not dealt with; 0 without any.
    UncommittedSeconds,
    /// Records in the spool that are not dealt with.
    SpoolRecords,
    /// Bytes that the spool takes up on its disk.
    SpoolBytes,
    /// Bytes that it may take up.
    SpoolLimitBytes,
    /// Whether there is a session with the database, 1 or 0; nothing before one is needed.
    DatabaseConnected,
}

impl Gauge {
    pub(crate) const ALL: [Gauge; 5] = [
        Gauge::UncommittedSeconds,
        Gauge::SpoolRecords,
        Gauge::SpoolBytes,
        Gauge::SpoolLimitBytes,
        Gauge::DatabaseConnected,
    ];

    pub(crate) fn family(self) -> Family {
        match self {
            Gauge::UncommittedSeconds => family(
                "uncommitted_seconds",
                "Age of the oldest record that was received and is not dealt with.",
            ),
            Gauge::SpoolRecords => family(
                "spool_records",
                "Records in the spool that are not dealt with.",
            ),
            Gauge::SpoolBytes => {
                family("spool_bytes", "Bytes that the spool takes up on its disk.")
            }
            Gauge::SpoolLimitBytes => {
                family("spool_limit_bytes", "Bytes that the spool may take up.")
            }
            Gauge::DatabaseConnected => family(
                "database_connected",
                "1 with a session to the database, 0 while it is waited for.",
            ),
        }
    }
}
