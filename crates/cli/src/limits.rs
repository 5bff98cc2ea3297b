//! Limits that a run pauses at, of flags over the configuration file.

use crate::config::Config;
use crate::interval::IntervalError;
use crate::size::SizeError;
use crate::{interval, size};
use clap::Args;
use hyperhaul_plan::watchdog::ServerLimits;
use std::time::Duration;

/// At which limits a run pauses.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Limits at which the run pauses, then stops")]
pub(crate) struct LimitFlags {
    /// Space to leave free on the target's disks, where they can be seen; 0: none (default: 5 % or 1GiB, whichever is more, but
    /// at most 10 %).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) min_free_disk: Option<u64>,
    /// How much the target's database may grow, by this call.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_growth: Option<u64>,
    /// How far a standby or a replication slot of the target may be behind.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_replica_lag: Option<u64>,
    /// How much WAL the target may have to keep: since its last checkpoint, for slots or for the archive.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_wal: Option<u64>,
    /// How long a run pauses at a limit before it stops, to be gone on with later (default: 10min).
    #[arg(long, value_name = "DURATION", value_parser = parse_patience)]
    pub(crate) watchdog_patience: Option<Duration>,
}

pub(crate) fn parse_size(text: &str) -> Result<u64, SizeError> {
    size::parse_bytes(text)
}

pub(crate) fn parse_patience(text: &str) -> Result<Duration, IntervalError> {
    interval::parse_timeout(text)
}

/// The limits that hold.
pub(crate) fn limits(flags: &LimitFlags, config: &Config) -> ServerLimits {
    ServerLimits {
        free_disk_bytes_min: flags.min_free_disk.or(config.min_free_disk),
        growth_bytes_max: flags.max_growth.or(config.max_growth),
        lag_bytes_max: flags.max_replica_lag.or(config.max_replica_lag),
        wal_bytes_max: flags.max_wal.or(config.max_wal),
        patience: flags
            .watchdog_patience
            .or(config.watchdog_patience)
            .unwrap_or(ServerLimits::PATIENCE_DEFAULT),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn flags_override_the_file_and_defaults_are_the_library_s() {
        let none = LimitFlags::default();
        assert_eq!(limits(&none, &Config::default()), ServerLimits::default());
        let file = "min_free_disk = \"20GiB\"\nmax_growth = \"1TiB\"\nmax_replica_lag = \"1GiB\"\nmax_wal = \"64GiB\"\n\
                    watchdog_patience = \"5min\"";
        let config: Config = toml::from_str(file).unwrap();
        let written = ServerLimits {
            free_disk_bytes_min: Some(20 << 30),
            growth_bytes_max: Some(1 << 40),
            lag_bytes_max: Some(1 << 30),
            wal_bytes_max: Some(64 << 30),
            patience: Duration::from_secs(300),
        };
        assert_eq!(limits(&none, &config), written);
        let flags = LimitFlags {
            min_free_disk: Some(0),
            watchdog_patience: Some(Duration::from_secs(1)),
            ..LimitFlags::default()
        };
        let wanted = ServerLimits {
            free_disk_bytes_min: Some(0),
            patience: Duration::from_secs(1),
            ..written
        };
        assert_eq!(limits(&flags, &config), wanted);
    }
}
