//! What `maintain --install` prints: units of systemd, a line for cron, commands for pg_cron. Never a password.

use crate::failure::Failure;
use crate::values::Interval;
use hyperhaul_migrate::ScheduledCommand;
use hyperhaul_plan::sql;

const MINUTE_US: i64 = 60_000_000;

/// Where the work is started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scheduler {
    /// A service and a timer.
    Systemd,
    /// A line of a crontab.
    Cron,
    /// Jobs within the server.
    #[value(name = "pg_cron")]
    PgCron,
}

/// The call of the program, word by word.
pub(crate) struct Call {
    pub(crate) words: Vec<String>,
}

impl Call {
    fn joined(&self, quote: fn(&str) -> String) -> String {
        let words: Vec<String> = self.words.iter().map(|word| quote(word)).collect();
        words.join(" ")
    }
}

pub(crate) fn systemd(call: &Call, every: Interval) -> String {
    let command = call.joined(systemd_word);
    let seconds = (every.us / 1_000_000).max(1);
    format!(
        "# /etc/systemd/system/hyperhaul-maintain.service\n\
         # User= is who runs it: their ~/.pgpass holds the password.\n\
         [Unit]\n\
         Description=Retention and roll-ups declared to hyperhaul\n\
         After=network-online.target\n\
         Wants=network-online.target\n\n\
         [Service]\n\
         Type=oneshot\n\
         User=postgres\n\
         ExecStart={command}\n\n\
         # /etc/systemd/system/hyperhaul-maintain.timer\n\
         # Then: systemctl daemon-reload && systemctl enable --now hyperhaul-maintain.timer\n\
         [Unit]\n\
         Description=Retention and roll-ups declared to hyperhaul, on time\n\n\
         [Timer]\n\
         OnBootSec=5min\n\
         OnUnitActiveSec={seconds}s\n\n\
         [Install]\n\
         WantedBy=timers.target\n"
    )
}

pub(crate) fn cron(call: &Call, every: Interval) -> Result<String, Failure> {
    let times = exact_cron_times(every.us).ok_or_else(|| {
        Failure::usage("cron knows no such interval")
            .hint("Give --every as a part of an hour or of a day in whole minutes or hours, such as 15 minutes, 6 hours or 1 day.")
    })?;
    Ok(format!(
        "# For the crontab of who runs it: their ~/.pgpass holds the password.\n{times} {}\n",
        call.joined(cron_word)
    ))
}

/// One job for each command, about as often as it is declared.
pub(crate) fn pg_cron(commands: &[ScheduledCommand], database: &str) -> String {
    let mut text = "-- For the database that cron.database_name names, as the role that owns the tables.\n\
                    -- Run hyperhaul maintain once before: it rolls all history up, and the jobs go on from there.\n\
                    -- A table that a foreign key refers to needs hyperhaul maintain itself: its chunks cannot be dropped.\n"
        .to_owned();
    for command in commands {
        let times = cron_times(command.schedule_us);
        let call = sql::schedule_command(&command.title, &times, &command.sql, database);
        text.push_str(&format!("{call};\n"));
    }
    text
}

/// The times of cron for an interval, or for the next shorter one that cron knows.
fn cron_times(us: i64) -> String {
    const FALLBACK: &str = "* * * * *";
    let minutes = us / MINUTE_US;
    let known = (1..=minutes.min(24 * 60)).rev();
    let times = known.filter_map(|minutes| exact_cron_times(minutes * MINUTE_US));
    times
        .into_iter()
        .next()
        .unwrap_or_else(|| FALLBACK.to_owned())
}

/// Parts of an hour, parts of a day, or a day.
fn exact_cron_times(us: i64) -> Option<String> {
    let minutes = us / MINUTE_US;
    if us % MINUTE_US != 0 || minutes == 0 {
        return None;
    }
    match (minutes, minutes / 60, minutes % 60) {
        (1, _, _) => Some("* * * * *".to_owned()),
        (60, _, _) => Some("7 * * * *".to_owned()),
        (1440, _, _) => Some("7 3 * * *".to_owned()),
        (minutes, 0, _) if 60 % minutes == 0 => Some(format!("*/{minutes} * * * *")),
        (_, hours, 0) if 24 % hours == 0 => Some(format!("7 */{hours} * * *")),
        _ => None,
    }
}

/// A word of `ExecStart`: `%` and `$` mean something there even within quotes.
fn systemd_word(word: &str) -> String {
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    if is_plain(word) {
        escaped
    } else {
        format!("\"{escaped}\"")
    }
}

/// A word for the shell in a crontab, where `%` ends a command.
fn cron_word(word: &str) -> String {
    let quoted = if is_plain(word) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    };
    quoted.replace('%', "\\%")
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/-_.:=+@,".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn call() -> Call {
        let words = [
            "/usr/bin/hyperhaul",
            "maintain",
            "--target",
            "host=db user='a b' dbname=100%",
        ];
        Call {
            words: words.map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn words_are_quoted_as_each_scheduler_reads_them() {
        let units = systemd(&call(), Interval { us: 900_000_000 });
        assert!(units.contains("ExecStart=/usr/bin/hyperhaul maintain --target \"host=db user='a b' dbname=100%%\"\n"), "{units}");
        assert!(units.contains("OnUnitActiveSec=900s\n"), "{units}");
        let line = cron(&call(), Interval { us: 900_000_000 }).unwrap();
        assert!(
            line.ends_with("*/15 * * * * /usr/bin/hyperhaul maintain --target 'host=db user='\\''a b'\\'' dbname=100\\%'\n"),
            "{line}"
        );
    }

    #[test]
    fn intervals_become_times_that_cron_knows() {
        for (minutes, exact, about) in [
            (1, Some("* * * * *"), "* * * * *"),
            (15, Some("*/15 * * * *"), "*/15 * * * *"),
            (25, None, "*/20 * * * *"),
            (60, Some("7 * * * *"), "7 * * * *"),
            (90, None, "7 * * * *"),
            (360, Some("7 */6 * * *"), "7 */6 * * *"),
            (1440, Some("7 3 * * *"), "7 3 * * *"),
            (10_080, None, "7 3 * * *"),
        ] {
            assert_eq!(
                exact_cron_times(minutes * MINUTE_US).as_deref(),
                exact,
                "{minutes}"
            );
            assert_eq!(cron_times(minutes * MINUTE_US), about, "{minutes}");
        }
        assert!(cron(&call(), Interval { us: 1 }).is_err());
    }

    #[test]
    fn commands_are_literals_for_pg_cron() {
        let command = ScheduledCommand {
            title: "hyperhaul retention public.fixes".into(),
            sql: "DO $do$ BEGIN PERFORM 'a'; END $do$".into(),
            schedule_us: 1440 * MINUTE_US,
        };
        let text = pg_cron(&[command], "so'ar");
        assert!(
            text.ends_with("SELECT cron.schedule_in_database('hyperhaul retention public.fixes', '7 3 * * *', 'DO $do$ BEGIN PERFORM ''a''; END $do$', 'so''ar');\n"),
            "{text}"
        );
    }
}
