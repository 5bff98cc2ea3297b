//! Checks on the time column's values and on how leaves and chunks lie to each other.

use super::{Case, Subject};
use crate::facts::{ChunkRows, Leaf, LeafBound};
use crate::phrase;
use crate::{ChunkRange, Code, Finding, Severity, format_unix_us, quote_ident};
use std::collections::BTreeSet;

/// Times before 1990-01-01 UTC are taken for a clock that was not set.
const PLAUSIBLE_FROM_US: i64 = 631_152_000_000_000;

/// Times from 2100-01-01 UTC on are taken for a clock that ran wild.
const PLAUSIBLE_TO_US: i64 = 4_102_444_800_000_000;

/// More chunks than this make planning and locking slow for every query without a condition on the time.
const CHUNKS_MAX: usize = 3_000;

/// The proposed interval makes no more chunks than this.
const CHUNKS_COMFORTABLE: usize = 1_000;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// Intervals that are proposed, ascending.
const INTERVALS_US: [i64; 8] = [
    HOUR_US,
    6 * HOUR_US,
    12 * HOUR_US,
    DAY_US,
    7 * DAY_US,
    30 * DAY_US,
    90 * DAY_US,
    365 * DAY_US,
];

pub(super) fn check(_: &Case, subject: Subject) -> Vec<Finding> {
    [
        null_times(subject),
        infinite_times(subject),
        absurd_times(subject),
        nullable(subject),
        default_partition(subject),
        misaligned(subject),
        many_chunks(subject),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Sum of `count` over the leaves, and how many leaves have any.
fn counted(subject: Subject, count: impl Fn(&Leaf) -> u64) -> (u64, u64) {
    let counts = subject.found.leaves.iter().map(count).filter(|n| *n > 0);
    counts.fold((0, 0), |(rows, leaves), n| (rows + n, leaves + 1))
}

/// SQL that puts rows aside into a table of their own, so that none is lost.
fn put_aside(subject: Subject, suffix: &str, condition: &str) -> String {
    let relation = &subject.found.relation;
    let name = format!("{}{suffix}", relation.name);
    let aside = crate::Relation::new(
        &relation.schema,
        crate::ident::derived_name("aside_", &name),
    );
    format!(
        "BEGIN; CREATE TABLE {aside} AS SELECT * FROM {relation} WHERE {condition}; \
         DELETE FROM {relation} WHERE {condition}; COMMIT;"
    )
}

fn null_times(subject: Subject) -> Option<Finding> {
    let (rows, leaves) = counted(subject, |leaf| leaf.null_times);
    let time = quote_ident(&subject.table.time_column);
    (rows > 0).then(|| {
        Finding::new(
            Code::NullTime,
            Severity::Block,
            format!(
                "{} in {} without a time ({time} is NULL)",
                phrase::count(rows, "row"),
                phrase::count(leaves, "leaf")
            ),
        )
        .object(subject.table.time_column.clone())
        .detail(
            "A hypertable has no chunk for them. Give them a time, or put them aside into a table of their own:",
        )
        .resolve(put_aside(
            subject,
            "_without_time",
            &format!("{time} IS NULL"),
        ))
    })
}

fn infinite_times(subject: Subject) -> Option<Finding> {
    let (rows, leaves) = counted(subject, |leaf| leaf.infinite_times);
    let time = quote_ident(&subject.table.time_column);
    (rows > 0).then(|| {
        Finding::new(
            Code::InfiniteTime,
            Severity::Block,
            format!(
                "{} in {} whose time is infinite ({time} is infinity or -infinity)",
                phrase::count(rows, "row"),
                phrase::count(leaves, "leaf")
            ),
        )
        .object(subject.table.time_column.clone())
        .detail(
            "A chunk is an interval of finite times. Give them a time, or put them aside into a table of their own:",
        )
        .resolve(put_aside(
            subject,
            "_infinite",
            &format!("NOT isfinite({time})"),
        ))
    })
}

fn absurd_times(subject: Subject) -> Option<Finding> {
    let absurd = |chunk: &&ChunkRows| {
        let range = ChunkRange::containing(chunk.start_us, subject.table.chunk_interval_us);
        range.end_us <= PLAUSIBLE_FROM_US || range.start_us >= PLAUSIBLE_TO_US
    };
    let leaves = &subject.found.leaves;
    let chunks = leaves.iter().flat_map(|leaf| &leaf.chunk_rows);
    let rows: u64 = chunks.filter(absurd).map(|chunk| chunk.rows).sum();
    let observed = || leaves.iter().filter_map(|leaf| leaf.observed);
    let min_us = observed().map(|range| range.min_us).min()?;
    let max_us = observed().map(|range| range.max_us).max()?;
    if min_us >= PLAUSIBLE_FROM_US && max_us < PLAUSIBLE_TO_US {
        return None;
    }
    let time = quote_ident(&subject.table.time_column);
    let how_many = match rows {
        0 => "rows".to_owned(),
        rows => phrase::count(rows, "row"),
    };
    Some(
        Finding::new(
            Code::AbsurdTime,
            Severity::Warn,
            format!(
                "{how_many} outside of the years 1990 to 2099: times go from {} to {}",
                format_unix_us(min_us),
                format_unix_us(max_us)
            ),
        )
        .object(subject.table.time_column.clone())
        .detail(
            "They are copied as they are. Each stray time gets a chunk of its own, and the first run of a retention \
             policy drops those that lie in the past. To look at them:",
        )
        .resolve(format!(
            "SELECT * FROM {} WHERE {time} < '1990-01-01' OR {time} >= '2100-01-01';",
            subject.found.relation
        )),
    )
}

fn nullable(subject: Subject) -> Option<Finding> {
    let mut columns = subject.found.columns.iter();
    let time_column = columns.find(|column| column.name == subject.table.time_column)?;
    if time_column.not_null {
        return None;
    }
    let time = quote_ident(&time_column.name);
    Some(
        Finding::new(
            Code::NullableTime,
            Severity::Warn,
            format!("the time column {time} may be NULL today, and may not on the hypertable"),
        )
        .object(time_column.name.clone())
        .detail(
            "After cutover, an INSERT without a time fails. To see before the night who does that:",
        )
        .resolve(format!(
            "ALTER TABLE {} ALTER COLUMN {time} SET NOT NULL;",
            subject.found.relation
        )),
    )
}

fn default_partition(subject: Subject) -> Option<Finding> {
    let leaves = subject.found.leaves.iter();
    let mut defaults = leaves.filter(|leaf| leaf.bound == LeafBound::Default);
    let leaf = defaults.find(|leaf| leaf.rows_estimate > 0 || leaf.blocks > 0)?;
    let rows = match leaf.observed {
        Some(_) => phrase::count(leaf.rows_estimate, "row"),
        None => format!("about {}", phrase::count(leaf.rows_estimate, "row")),
    };
    let place = match (leaf.observed, leaf.chunk_rows.len()) {
        (Some(range), 1) => format!(", all in the chunk of {}", day(range.min_us)),
        (Some(range), chunks) => format!(
            ", in {} from {} to {}",
            phrase::count(chunks as u64, "chunk"),
            format_unix_us(range.min_us),
            format_unix_us(range.max_us)
        ),
        (None, _) => String::new(),
    };
    Some(
        Finding::new(
            Code::DefaultPartition,
            Severity::Info,
            format!("{rows} in the default partition{place}"),
        )
        .object(leaf.relation.plain())
        .detail(
            "Each is routed into its chunk by its time; the hypertable needs no default partition.",
        ),
    )
}

fn day(time_us: i64) -> String {
    format_unix_us(time_us).chars().take(10).collect()
}

/// Whether a leaf with rows is proved by its bound to reach over a chunk's border.
fn reaches_over(leaf: &Leaf, interval_us: i64) -> bool {
    match leaf.bound {
        LeafBound::Range { from_us, to_us } if leaf.blocks > 0 => match (from_us, to_us) {
            (Some(from_us), Some(to_us)) => {
                to_us > ChunkRange::containing(from_us, interval_us).end_us
            }
            _ => true,
        },
        _ => false,
    }
}

fn misaligned(subject: Subject) -> Option<Finding> {
    let interval_us = subject.table.chunk_interval_us;
    let leaves = &subject.found.leaves;
    let over: Vec<&Leaf> = leaves
        .iter()
        .filter(|leaf| reaches_over(leaf, interval_us))
        .collect();
    let example = over.first()?;
    let LeafBound::Range { from_us, to_us } = example.bound else {
        return None;
    };
    let edge = |time_us: Option<i64>, open: &str| time_us.map_or(open.to_owned(), format_unix_us);
    let longer = match (from_us, to_us) {
        (Some(from_us), Some(to_us)) => to_us - from_us > interval_us,
        _ => true,
    };
    let why = if longer {
        "Its bounds are longer than a chunk."
    } else {
        "Chunks begin at midnight UTC, or at multiples of the interval from 1970 on; these partitions follow another \
         time zone."
    };
    Some(
        Finding::new(
            Code::MisalignedBounds,
            Severity::Info,
            format!(
                "{} of {} reach over the border of a chunk ({}): {} is [{}, {})",
                over.len(),
                phrase::count(leaves.len() as u64, "partition"),
                phrase::interval(interval_us),
                example.relation.plain(),
                edge(from_us, "MINVALUE"),
                edge(to_us, "MAXVALUE")
            ),
        )
        .detail(format!(
            "{why} Their rows are routed by their time, each exactly once; that is somewhat slower than a partition \
             that becomes one chunk."
        )),
    )
}

fn many_chunks(subject: Subject) -> Option<Finding> {
    let chunks = &subject.table.chunks;
    if chunks.len() <= CHUNKS_MAX {
        return None;
    }
    let with = |interval_us: i64| -> usize {
        let starts = chunks.iter().map(|chunk| chunk.start_us);
        starts
            .map(|start| start.div_euclid(interval_us))
            .collect::<BTreeSet<i64>>()
            .len()
    };
    let proposed = INTERVALS_US
        .into_iter()
        .filter(|interval_us| *interval_us > subject.table.chunk_interval_us)
        .find(|interval_us| with(*interval_us) <= CHUNKS_COMFORTABLE);
    let finding = Finding::new(
        Code::ManyChunks,
        Severity::Warn,
        format!(
            "{} with a chunk interval of {}",
            phrase::count(chunks.len() as u64, "chunk"),
            phrase::interval(subject.table.chunk_interval_us)
        ),
    );
    let detail = "A query without a condition on the time plans and locks every one of them.";
    Some(match proposed {
        Some(interval_us) => finding
            .detail(format!(
                "{detail} With {} it would be {}.",
                phrase::interval(interval_us),
                phrase::count(with(interval_us) as u64, "chunk")
            ))
            .resolve(format!(
                "--chunk-interval '{}'",
                phrase::interval(interval_us)
            )),
        None => finding.detail(detail),
    })
}
