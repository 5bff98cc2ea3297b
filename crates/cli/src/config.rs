//! The configuration file: its keys, and errors that say in which line what was expected. What flags change about it is
//! in `request`.

use crate::declared::{self, WrittenAggregate};
use crate::failure::Failure;
use crate::limits;
use crate::values::{self, Interval, Workers, from_text};
use crate::window;
use chrono::NaiveTime;
use hyperhaul_migrate::OnDeadline;
use hyperhaul_plan::{Code, ColumnstoreBegins, Mode, OrderBy, Relation, StrategyChoice};
use serde::{Deserialize, Deserializer, de};
use std::path::Path;
use std::time::Duration;

/// A configuration file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
    #[serde(default, deserialize_with = "codes")]
    pub(crate) accept: Vec<Code>,
    #[serde(default, deserialize_with = "workers")]
    pub(crate) workers: Option<Workers>,
    #[serde(default)]
    pub(crate) skip_expired: bool,
    #[serde(default)]
    pub(crate) hash_attached: bool,
    #[serde(default, deserialize_with = "slice_size")]
    pub(crate) slice_size: Option<u64>,
    #[serde(default, deserialize_with = "lock_timeout")]
    pub(crate) lock_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "lock_attempts")]
    pub(crate) lock_attempts: Option<u32>,
    #[serde(default, deserialize_with = "strategy")]
    pub(crate) strategy: Option<StrategyChoice>,
    #[serde(default)]
    pub(crate) mode: Option<Mode>,
    #[serde(default)]
    pub(crate) columnstore: Option<ColumnstoreBegins>,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) window: Option<Duration>,
    #[serde(default, deserialize_with = "finish_by")]
    pub(crate) finish_by: Option<NaiveTime>,
    #[serde(default)]
    pub(crate) on_deadline: Option<OnDeadline>,
    #[serde(default, deserialize_with = "limit")]
    pub(crate) min_free_disk: Option<u64>,
    #[serde(default, deserialize_with = "limit")]
    pub(crate) max_growth: Option<u64>,
    #[serde(default, deserialize_with = "limit")]
    pub(crate) max_replica_lag: Option<u64>,
    #[serde(default, deserialize_with = "limit")]
    pub(crate) max_wal: Option<u64>,
    #[serde(default, deserialize_with = "patience")]
    pub(crate) watchdog_patience: Option<Duration>,
    #[serde(default, rename = "table")]
    pub(crate) tables: Vec<Table>,
}

/// One `[[table]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(deserialize_with = "values::relation")]
    pub(crate) name: Relation,
    pub(crate) time_column: Option<String>,
    #[serde(default, deserialize_with = "values::optional_interval")]
    pub(crate) chunk_interval: Option<Interval>,
    #[serde(default, deserialize_with = "strategy")]
    pub(crate) strategy: Option<StrategyChoice>,
    #[serde(default, deserialize_with = "values::optional_interval")]
    pub(crate) columnstore_after: Option<Interval>,
    #[serde(default)]
    pub(crate) columnstore: Option<ColumnstoreBegins>,
    #[serde(default)]
    pub(crate) segment_by: Vec<String>,
    #[serde(default, deserialize_with = "declared::orders")]
    pub(crate) order_by: Vec<OrderBy>,
    #[serde(default, deserialize_with = "values::optional_interval")]
    pub(crate) retention: Option<Interval>,
    #[serde(default, deserialize_with = "values::optional_interval")]
    pub(crate) schedule: Option<Interval>,
    pub(crate) comment: Option<String>,
    #[serde(default, rename = "aggregate")]
    pub(crate) aggregates: Vec<WrittenAggregate>,
}

/// Reads a configuration file.
pub(crate) fn read(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "could not read configuration file \"{}\": {error}",
            path.display()
        ))
    })?;
    parse(&text).map_err(|wrong| {
        let failure = Failure::usage(format!(
            "{}:{}: {}",
            path.display(),
            wrong.line,
            wrong.message
        ));
        Failure {
            detail: wrong.expected,
            ..failure
        }
        .hint("hyperhaul --help shows what a configuration file looks like.")
    })
}

/// What is wrong with a file's text.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    /// Line, from 1 on.
    line: usize,
    message: String,
    expected: Option<String>,
}

fn parse(text: &str) -> Result<Config, Wrong> {
    let config: Config = toml::from_str(text).map_err(|error| wrong(text, &error))?;
    let mut names: Vec<&Relation> = config.tables.iter().map(|table| &table.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Wrong {
            line: last_table_line(text),
            message: format!("table {} is there twice", pair[0].plain()),
            expected: None,
        }),
        None => Ok(config),
    }
}

/// The library's message without its picture of the line: that may hold a password.
fn wrong(text: &str, error: &toml::de::Error) -> Wrong {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let flat = error.message().lines().collect::<Vec<_>>().join(", ");
    let (message, expected) = match flat.split_once(", expected ") {
        Some((message, expected)) => (
            message,
            Some(format!("Expected {}.", expected.replace('`', "\""))),
        ),
        None => (flat.as_str(), None),
    };
    Wrong {
        line: before.matches('\n').count() + 1,
        message: message
            .replace("unknown field", "unknown key")
            .replace("missing field", "missing key")
            .replace('`', "\""),
        expected,
    }
}

fn last_table_line(text: &str) -> usize {
    let is_table = |line: &str| line.trim_start().starts_with("[[table]]");
    text.lines()
        .enumerate()
        .filter(|(_, line)| is_table(line))
        .last()
        .map_or(1, |(index, _)| index + 1)
}

fn lock_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    from_text(deserializer, values::parse_lock_timeout).map(Some)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    from_text(deserializer, values::parse_window).map(Some)
}

fn finish_by<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveTime>, D::Error> {
    from_text(deserializer, window::parse_finish_by).map(Some)
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    from_text(deserializer, limits::parse_size).map(Some)
}

fn patience<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    from_text(deserializer, limits::parse_patience).map(Some)
}

fn slice_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    from_text(deserializer, values::parse_slice_size).map(Some)
}

fn strategy<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<StrategyChoice>, D::Error> {
    from_text(deserializer, values::parse_strategy).map(Some)
}

fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Code>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names
        .iter()
        .map(|name| name.parse().map_err(de::Error::custom))
        .collect()
}

/// A number, or a text with a range.
fn workers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Workers>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a number of workers or a range such as \"2..8\""
    )]
    enum Written {
        Number(i64),
        Range(String),
    }
    let workers = match Written::deserialize(deserializer)? {
        Written::Number(number) => values::workers(None, number),
        Written::Range(text) => values::parse_workers(&text),
    };
    workers.map(Some).map_err(de::Error::custom)
}

fn lock_attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let attempts = i64::deserialize(deserializer)?;
    values::number(attempts, u32::MAX)
        .map(Some)
        .map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_key_is_read() {
        let config = parse(
            r#"
            source = "postgresql://a@one/soar"
            target = "postgresql://a@two/soar"
            accept = ["hypertable_foreign_key"]
            workers = 2
            slice_size = "64MiB"
            lock_timeout = "500ms"
            lock_attempts = 9
            strategy = "auto"
            mode = "backfill"
            window = "45m"
            finish_by = "03:30"
            on_deadline = "rollback"

            [[table]]
            name = 'Soar."Raw Messages"'
            time_column = "received_at"
            chunk_interval = "12 hours"
            strategy = "copy"

            [[table]]
            name = "fixes"
            "#,
        )
        .unwrap();
        assert_eq!(config.accept, [Code::HypertableForeignKey]);
        assert_eq!(
            (config.workers, config.slice_size, config.lock_attempts),
            (Some(Workers { min: None, max: 2 }), Some(64 << 20), Some(9))
        );
        let range = parse("workers = \"2..8\"").unwrap().workers;
        let expected = Workers {
            min: Some(2),
            max: 8,
        };
        assert_eq!(range, Some(expected));
        assert_eq!(config.mode, Some(Mode::Backfill));
        assert_eq!(config.lock_timeout, Some(Duration::from_millis(500)));
        assert_eq!(config.window, Some(Duration::from_secs(2_700)));
        assert_eq!(config.finish_by, NaiveTime::from_hms_opt(3, 30, 0));
        assert_eq!(config.on_deadline, Some(OnDeadline::Rollback));
        assert_eq!(config.tables[0].name, Relation::new("soar", "Raw Messages"));
        assert_eq!(
            config.tables[0].chunk_interval.map(|interval| interval.us),
            Some(43_200_000_000)
        );
        assert_eq!(config.tables[1].name, Relation::new("public", "fixes"));
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_what_was_expected() {
        for (text, line, message, expected) in [
            ("worker = 2", 1, "unknown key \"worker\"", "\"workers\""),
            (
                "\n[[table]]\nname = \"a\"\ntime = \"t\"",
                4,
                "unknown key \"time\"",
                "\"time_column\"",
            ),
            (
                "workers = \"two\"",
                1,
                "\"two\" is neither a number of workers nor a range of them",
                "",
            ),
            ("workers = 0", 1, "0 is not between 1 and 256", ""),
            (
                "\n\n[[table]]\nchunk_interval = \"1 day\"",
                3,
                "missing key \"name\"",
                "",
            ),
            (
                "[[table]]\nname = \"a.b.c\"",
                2,
                "is not a table's name",
                "",
            ),
            (
                "[[table]]\nname = \"a\"\nchunk_interval = \"1 month\"",
                3,
                "30 days",
                "",
            ),
            (
                "accept = [\"nothing\"]",
                1,
                "no finding called \"nothing\"",
                "",
            ),
            (
                "[[table]]\nname = \"a\"\n[[table]]\nname = \"public.a\"",
                3,
                "public.a is there twice",
                "",
            ),
            ("source = ", 1, "", ""),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!(wrong.line, line, "{text}: {wrong:?}");
            assert!(wrong.message.contains(message), "{text}: {wrong:?}");
            assert!(
                wrong
                    .expected
                    .clone()
                    .unwrap_or_default()
                    .contains(expected),
                "{text}: {wrong:?}"
            );
        }
    }

    #[test]
    fn a_mistake_in_a_line_with_a_password_does_not_show_it() {
        let wrong = parse("source = \"postgresql://a:secret@one/soar\" oops").unwrap_err();
        assert!(!format!("{wrong:?}").contains("secret"), "{wrong:?}");
    }
}
