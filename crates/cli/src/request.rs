//! What is asked for, all told: flags over the configuration file over defaults.

use crate::arguments::{Servers, Wanted};
use crate::config::{self, Config};
use crate::declared;
use crate::failure::Failure;
use crate::limits::{self, LimitFlags};
use crate::values::Interval;
use crate::window;
use chrono::{DateTime, Utc};
use hyperhaul_migrate::{Connections, Deadline};
use hyperhaul_pg::Server;
use hyperhaul_plan::watchdog::ServerLimits;
use hyperhaul_plan::{Mode, Options, Relation, TableOptions};

/// Flags together with the configuration file that they name.
pub(crate) struct Request {
    config: Config,
    source: Option<String>,
    target: Option<String>,
}

impl Request {
    /// Reads the configuration file, if one is named.
    pub(crate) fn read(servers: &Servers) -> Result<Request, Failure> {
        let config = match &servers.config {
            Some(path) => config::read(path)?,
            None => Config::default(),
        };
        Ok(Request::new(config, servers))
    }

    fn new(config: Config, servers: &Servers) -> Request {
        let source = servers.source.clone().or_else(|| config.source.clone());
        let target = servers.target.clone().or_else(|| config.target.clone());
        Request {
            config,
            source,
            target,
        }
    }

    /// Where rows come from and go to: the target is the source unless it is named.
    pub(crate) fn connections(&self) -> Result<Connections, Failure> {
        let parse = |url: &str, side: &str| {
            Server::parse(url).map_err(|error| {
                let failure = Failure::from(error);
                Failure {
                    message: format!("{} ({side})", failure.message),
                    ..failure
                }
            })
        };
        let source = parse(self.source.as_deref().unwrap_or_default(), "source")?;
        let target = match &self.target {
            Some(url) => parse(url, "target")?,
            None => source.clone(),
        };
        Ok(Connections { source, target })
    }

    /// The target's connection parameters as text that may be shown and stored.
    pub(crate) fn target_without_password(&self) -> Result<String, Failure> {
        let url = self.target.as_deref().or(self.source.as_deref());
        Ok(Server::text_without_password(url.unwrap_or_default())?)
    }

    /// The options, if tables are named anywhere.
    pub(crate) fn options(&self, wanted: &Wanted) -> Result<Option<Options>, Failure> {
        let names: Vec<Relation> = match wanted.tables.as_slice() {
            [] => self
                .config
                .tables
                .iter()
                .map(|table| table.name.clone())
                .collect(),
            tables => tables.to_vec(),
        };
        if names.is_empty() {
            return match wanted.given() {
                Some(flag) => Err(Failure::usage(format!("{flag} needs a table"))
                    .detail("A run that was planned keeps the options of its plan.")
                    .hint(NAME_A_TABLE)),
                None => Ok(None),
            };
        }
        if let Some(twice) = names
            .iter()
            .enumerate()
            .find(|(index, name)| names[..*index].contains(name))
        {
            return Err(Failure::usage(format!(
                "table {} is named twice",
                twice.1.plain()
            )));
        }
        let tables = names
            .into_iter()
            .map(|name| self.table(name, wanted))
            .collect::<Result<Vec<TableOptions>, Failure>>()?;
        declared::refuse_in_vain(&tables, &wanted.policies)?;
        Ok(Some(self.with_tables(tables, wanted)))
    }

    /// When the window of a command that began at `now` ends, if it has one.
    pub(crate) fn deadline(
        &self,
        flags: &window::Window,
        now: DateTime<Utc>,
    ) -> Result<Option<Deadline>, Failure> {
        window::deadline(flags, &self.config, now)
    }

    /// The limits that a run pauses at.
    pub(crate) fn limits(&self, flags: &LimitFlags) -> ServerLimits {
        limits::limits(flags, &self.config)
    }

    /// The options; refuses if no table is named.
    pub(crate) fn required_options(&self, wanted: &Wanted) -> Result<Options, Failure> {
        let options = self.options(wanted)?;
        options.ok_or_else(|| Failure::usage("no table is named").hint(NAME_A_TABLE))
    }

    fn table(&self, relation: Relation, wanted: &Wanted) -> Result<TableOptions, Failure> {
        let written = self
            .config
            .tables
            .iter()
            .find(|table| table.name == relation);
        let interval = wanted.chunk_interval.or_else(|| written?.chunk_interval);
        Ok(TableOptions {
            policies: declared::policies(
                &relation,
                written,
                &wanted.policies,
                self.config.columnstore,
            )?,
            time_column: wanted
                .time_column
                .clone()
                .or_else(|| written?.time_column.clone()),
            chunk_interval_us: interval.map_or(
                TableOptions::CHUNK_INTERVAL_US_DEFAULT,
                |Interval { us }| us,
            ),
            strategy: match wanted.strategy {
                Some(_) => None,
                None => written.and_then(|table| table.strategy),
            },
            relation,
        })
    }

    fn with_tables(&self, tables: Vec<TableOptions>, wanted: &Wanted) -> Options {
        let config = &self.config;
        let mut options = Options::new(tables);
        // Accepting is a decision about one finding: the file's and the line's add up.
        options.accept = config
            .accept
            .iter()
            .chain(&wanted.accept)
            .copied()
            .collect();
        let workers = wanted.workers.or(config.workers);
        options.workers = workers.map(|workers| workers.max);
        options.workers_min = workers.and_then(|workers| workers.min);
        if let Some(strategy) = wanted.strategy.or(config.strategy) {
            options.strategy = strategy;
        }
        if let Some(mode) = wanted.mode.or(config.mode) {
            options.mode = mode;
        }
        options.hash_attached = wanted.hash_attached || config.hash_attached;
        options.skip_expired = wanted.skip_expired || config.skip_expired;
        let slice_bytes = wanted.slice_size.or(config.slice_size);
        options.slice_bytes = slice_bytes.unwrap_or(match options.mode {
            Mode::Window => Options::SLICE_BYTES_DEFAULT,
            Mode::Backfill => Options::SLICE_BYTES_BACKFILL_DEFAULT,
        });
        if let Some(timeout) = wanted.lock_timeout.or(config.lock_timeout) {
            options.lock_timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        }
        if let Some(attempts) = wanted.lock_attempts.or(config.lock_attempts) {
            options.lock_attempts_max = attempts;
        }
        options
    }
}

const NAME_A_TABLE: &str =
    "Name one with --table SCHEMA.TABLE, or several in a file with --config FILE.";

impl Wanted {
    /// A run keeps the options of its plan: flags beside `--run` would be ignored.
    pub(crate) fn refuse_beside_run(&self) -> Result<(), Failure> {
        let flag = if self.tables.is_empty() {
            self.given()
        } else {
            Some("--table")
        };
        flag.map_or(Ok(()), |flag| {
            Err(
                Failure::usage(format!("{flag} cannot be given together with --run"))
                    .detail("A run that was planned keeps the options of its plan.")
                    .hint("Make a new plan with hyperhaul plan, or leave the option out."),
            )
        })
    }

    /// The first option that was given, whatever it says.
    fn given(&self) -> Option<&'static str> {
        [
            (self.time_column.is_some(), "--time-column"),
            (self.chunk_interval.is_some(), "--chunk-interval"),
            (self.mode.is_some(), "--mode"),
            (self.strategy.is_some(), "--strategy"),
            (self.workers.is_some(), "--workers"),
            (self.slice_size.is_some(), "--slice-size"),
            (self.skip_expired, "--skip-expired"),
            (self.hash_attached, "--hash-attached"),
            (!self.accept.is_empty(), "--accept"),
            (self.lock_timeout.is_some(), "--lock-timeout"),
            (self.lock_attempts.is_some(), "--lock-attempts"),
            (
                self.policies.columnstore_after.is_some(),
                "--columnstore-after",
            ),
            (self.policies.columnstore.is_some(), "--columnstore"),
            (!self.policies.segment_by.is_empty(), "--segment-by"),
            (!self.policies.order_by.is_empty(), "--order-by"),
            (self.policies.retention.is_some(), "--retention"),
            (self.policies.schedule.is_some(), "--schedule"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use hyperhaul_plan::{Code, Strategy, StrategyChoice};

    fn workers(max: u32) -> crate::values::Workers {
        crate::values::Workers { min: None, max }
    }

    fn request() -> Request {
        let config = r#"
            source = "postgresql://me@one/soar"
            accept = ["partman"]
            workers = 2
            [[table]]
            name = "public.raw_messages"
            chunk_interval = "12 hours"
            strategy = "copy"
            [[table]]
            name = "public.fixes"
        "#;
        Request::new(toml::from_str(config).unwrap(), &Servers::default())
    }

    #[test]
    fn the_file_holds_where_no_flag_says_otherwise() {
        let options = request().required_options(&Wanted::default()).unwrap();
        let names: Vec<String> = options
            .tables
            .iter()
            .map(|table| table.relation.plain())
            .collect();
        assert_eq!(names, ["public.raw_messages", "public.fixes"]);
        assert_eq!(options.tables[0].chunk_interval_us, 43_200_000_000);
        assert_eq!(
            options.tables[0].strategy,
            Some(StrategyChoice::Only(Strategy::Copy))
        );
        assert_eq!(
            options.tables[1].chunk_interval_us,
            TableOptions::CHUNK_INTERVAL_US_DEFAULT
        );
        assert_eq!(
            (options.workers, options.slice_bytes),
            (Some(2), Options::SLICE_BYTES_DEFAULT)
        );
    }

    #[test]
    fn flags_override_the_file_and_acceptances_add_up() {
        let wanted = Wanted {
            tables: vec![Relation::new("public", "raw_messages")],
            chunk_interval: Some(Interval { us: 1_000_000 }),
            strategy: Some(StrategyChoice::Auto),
            workers: Some(workers(7)),
            accept: vec![Code::HypertableForeignKey],
            ..Wanted::default()
        };
        let options = request().required_options(&wanted).unwrap();
        assert_eq!(options.tables.len(), 1);
        assert_eq!(
            (
                options.tables[0].chunk_interval_us,
                options.tables[0].strategy
            ),
            (1_000_000, None)
        );
        assert_eq!(options.workers, Some(7));
        assert_eq!(
            options.accept.into_iter().collect::<Vec<_>>(),
            [Code::HypertableForeignKey, Code::Partman]
        );
    }

    #[test]
    fn options_without_a_table_are_refused_rather_than_ignored() {
        let empty = Request::new(Config::default(), &Servers::default());
        assert!(empty.options(&Wanted::default()).unwrap().is_none());
        assert!(empty.required_options(&Wanted::default()).is_err());
        let failure = empty
            .options(&Wanted {
                workers: Some(workers(2)),
                ..Wanted::default()
            })
            .unwrap_err();
        assert_eq!(failure.message, "--workers needs a table");
        let failure = Wanted {
            workers: Some(workers(2)),
            ..Wanted::default()
        }
        .refuse_beside_run()
        .unwrap_err();
        assert_eq!(
            failure.message,
            "--workers cannot be given together with --run"
        );
    }

    #[test]
    fn the_target_is_the_source_unless_it_is_named() {
        let connections = request().connections().unwrap();
        assert_eq!(
            connections.target.to_string(),
            connections.source.to_string()
        );
        let servers = Servers {
            target: Some("postgresql://me@two/soar".into()),
            ..Servers::default()
        };
        let config = Config {
            source: Some("postgresql://me@one/soar".into()),
            ..Config::default()
        };
        let connections = Request::new(config, &servers).connections().unwrap();
        assert!(
            connections.source.to_string().contains("one")
                && connections.target.to_string().contains("two")
        );
    }
}
