//! `workload aprs-feed`: what it takes; plays sample packets with the manners of APRS-IS and does what is typed.

use std::io::BufRead;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use hyperhaul_workload::aprs_feed::{Feed, FeedOptions, Pace, Stamps};
use hyperhaul_workload::{Soar, SoarOptions, SoarPacket, SoarTable};
use tokio::sync::mpsc;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::output::number::grouped;

#[derive(Debug, Args)]
#[command(
    after_help = "Commands, one a line on standard input: silent, speak, drop (all clients), close and open (the port), counts, quit"
)]
pub(crate) struct AprsFeed {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:14580")]
    pub(crate) listen: SocketAddr,
    /// Packets a second, evenly.
    #[arg(long, value_name = "N", default_value_t = 1_000.0, value_parser = parse_positive)]
    pub(crate) rate: f64,
    /// As far apart as they were recorded, but so many times faster; in place of a rate.
    #[arg(long, value_name = "FACTOR", conflicts_with = "rate", value_parser = parse_positive)]
    pub(crate) speed: Option<f64>,
    /// Keep the times of day that packets were recorded with; without it they get those at which they are played.
    #[arg(long)]
    pub(crate) recorded_times: bool,
    /// Fixes to play, with status reports and positions of receivers in between (default: 277949).
    #[arg(long, value_name = "N")]
    pub(crate) fixes: Option<u64>,
    /// Seconds between the lines that show that the server is there.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0, value_parser = parse_positive)]
    pub(crate) keepalive: f64,
    /// KiB that a client may leave unread before it is disconnected, beyond what the system buffers.
    #[arg(long, value_name = "KIB", default_value_t = 1_024)]
    pub(crate) unread: usize,
    /// Another seed gives other packets of the same kind.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 && value < 1e9 => Ok(value),
        _ => Err("is not a number above 0".to_owned()),
    }
}

/// Plays until everything is played and the clients are gone, or until it is told to end.
pub(crate) async fn play(asked: &AprsFeed) -> Result<Exit, Failure> {
    let sized = asked
        .fixes
        .map_or_else(SoarOptions::default, SoarOptions::sized);
    let soar = Soar::new(&SoarOptions {
        seed: asked.seed,
        ..sized
    })?;
    let mut feed = Feed::start(asked.listen, options(asked), packets(soar))
        .await
        .map_err(|error| {
            Failure::new(
                Exit::Unexpected,
                format!("could not listen at {}: {error}", asked.listen),
            )
            .hint("Choose another port with --listen, or end the process that has this one.")
        })?;
    output::print(&format!("listening at {}\n", feed.address()))?;
    let mut commands = typed();
    loop {
        tokio::select! {
            command = commands.recv() => match command.as_deref() {
                Some("quit") => break,
                Some(command) => output::print(&carry_out(&mut feed, command).await)?,
                // Nobody types: it plays until it is interrupted.
                None => {
                    let _ = tokio::signal::ctrl_c().await;
                    break;
                }
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    output::print(&counts(&feed))?;
    Ok(Exit::Done)
}

fn options(asked: &AprsFeed) -> FeedOptions {
    FeedOptions {
        keepalive_every: Duration::from_secs_f64(asked.keepalive),
        client_bytes_max: asked.unread.saturating_mul(1_024),
        pace: asked
            .speed
            .map_or(Pace::PerSecond(asked.rate), Pace::Recorded),
        stamps: if asked.recorded_times {
            Stamps::AsRecorded
        } else {
            Stamps::Now
        },
        ..FeedOptions::default()
    }
}

/// All packets of a sample, in order of reception.
fn packets(soar: Soar) -> impl Iterator<Item = SoarPacket> + Send + 'static {
    (0..soar.block_count(SoarTable::RawMessages)).flat_map(move |block| soar.packets(block))
}

/// Lines of standard input, until it ends.
fn typed() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    // A thread that waits for a line can't be ended; the process leaves it behind.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn carry_out(feed: &mut Feed, command: &str) -> String {
    match command {
        "" => return String::new(),
        "silent" => feed.be_silent(true),
        "speak" => feed.be_silent(false),
        "drop" => feed.drop_clients(),
        "close" => feed.open_door(false).await,
        "open" => feed.open_door(true).await,
        "counts" => {}
        _ => return "commands: silent, speak, drop, close, open, counts, quit\n".to_owned(),
    }
    counts(feed)
}

fn counts(feed: &Feed) -> String {
    let counts = feed.counts();
    format!(
        "{} lines said, {} logins, {} clients now, {} disconnected because they read too slowly\n",
        grouped(counts.lines),
        grouped(counts.logins),
        feed.client_count(),
        grouped(counts.slow_readers)
    )
}
