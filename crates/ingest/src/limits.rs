//! Sizes, queue lengths and waits of this crate, with their reasons; those of one network source are beside it.

use hyperhaul_pg::retry::Limits;
use std::time::Duration;

/// Records that one thread decodes at a time: some 200 us of work, so that a batch spreads over the threads and the hand-over
/// costs little.
pub(crate) const STRIPE_RECORDS: usize = 1024;

/// Batches that are decoded and wait for the writer: with one there is always work for it, and a second would only add to the
/// time until rows can be queried.
pub(crate) const BATCHES_AHEAD: usize = 1;

/// Bytes of tuples that are handed to a COPY at once; see `pg::CopyIn::send`.
pub(crate) const COPY_PIECE_BYTES: usize = 128 << 10;

/// Ids of looked up keys that are remembered; a key and its id take about 150 bytes.
pub(crate) const LOOKUP_KEYS_MAX: usize = 200_000;

/// Keys that are looked up in one statement.
pub(crate) const LOOKUP_BATCH_KEYS: usize = 5_000;

/// For a database that is away, or has no room: as long as it takes, but never faster than this. Whoever waits is behind a
/// bounded spool. The longest pause is what a server that is back is noticed within: rows are written again 2 s later at the latest.
pub(crate) const PATIENT: Limits = Limits {
    pause_first: Duration::from_millis(50),
    pause_max: Duration::from_millis(500),
    total_max: Duration::MAX,
    pause_count_max: u32::MAX,
};

/// How long a transaction is tried again that collided with others, before the stream stops: nothing that passes by itself
/// lasts as long.
pub(crate) const COLLISIONS: Limits = Limits {
    pause_first: Duration::from_millis(10),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(300),
    pause_count_max: u32::MAX,
};

/// How long the backend of a process that is gone is waited for, at the start.
pub(crate) const HOLDER_GONE_WAIT: Duration = Duration::from_secs(10);
/// How often is looked.
pub(crate) const HOLDER_LOOK: Duration = Duration::from_millis(100);

/// Batches that go the slower way for duplicates after one had some, before a quicker one is tried again: a refused COPY costs
/// as much as an accepted one.
pub(crate) const STAGED_BATCHES_AFTER_DUPLICATE: u32 = 20;
/// Batches that are sifted after one had duplicates, before all rows of one go by COPY again.
pub(crate) const SIFTED_BATCHES_AFTER_DUPLICATE: u32 = 200;
/// Keys that sifting remembers, of some 50 bytes each: at least the last ten batches of usual size.
pub(crate) const SIFTED_KEYS_MAX: usize = 400_000;

/// By how much less goes in one transaction after one that was too much for the server. Each attempt costs about what the server
/// allows (a second, where it has decompressed 100,000 rows in vain), so that five lead from the largest batch to a single record,
/// and not fifteen.
pub(crate) const TOO_MANY_DIVISOR: usize = 16;

/// Bytes of a file that are read at once.
pub(crate) const FILE_READ_BYTES: usize = 256 << 10;
/// How often the end of a file that is followed is looked at: rows are there within it, and an idle file costs nothing.
pub(crate) const FILE_LOOK: Duration = Duration::from_millis(100);
/// A log that was renamed is at its end when nobody has written into it for so long: its writer opens the next one a little later.
pub(crate) const ROTATED_QUIET: Duration = Duration::from_secs(2);
/// How long it is read on while somebody writes into it, before the next one has its turn.
pub(crate) const ROTATED_PATIENCE: Duration = Duration::from_secs(60);
/// A record is at most so long; what is longer is cut there, and no decoder takes it.
pub(crate) const RECORD_BYTES_MAX: usize = 8 << 20;

/// Dead letters that are tried again in one transaction.
pub(crate) const RETRIED_AT_ONCE: i64 = 1_000;

/// How long what was taken is written after the request to stop: what is left is written by the next process.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(10);

/// Bytes of bodies that are in memory at once: many of usual size, or two of the largest. A body takes four times its size until it is
/// durable: itself, its records, and their form in the spool.
pub(crate) const HTTP_BODIES_BYTES: usize = 32 << 20;
/// Lines of a body, and of all bodies in memory together: records of 64 bytes in one of usual size. Shorter ones would take many times the
/// body's bytes in memory: a record takes some 150 bytes besides its own.
pub(crate) const HTTP_LINES_MAX: usize = 256 << 10;
/// How long a request waits for memory before it is sent away.
pub(crate) const HTTP_ROOM_WAIT: Duration = Duration::from_secs(1);
/// How long a body may take to come: 16 MiB in it are 0.5 MB/s.
pub(crate) const HTTP_BODY_WAIT: Duration = Duration::from_secs(30);
/// How long a connection may be idle, or take to agree on TLS and send headers.
pub(crate) const HTTP_HEADER_WAIT: Duration = Duration::from_secs(60);
/// Connections at once; further ones wait to be accepted.
pub(crate) const HTTP_CONNECTIONS_MAX: usize = 1024;
/// How long requests under way are waited for after the request to stop.
pub(crate) const HTTP_LAST_ANSWER_WAIT: Duration = Duration::from_secs(10);

/// An answer of the database is good for so long: whoever watches asks every few seconds.
pub(crate) const PROBE_AGE_MAX: Duration = Duration::from_secs(1);
/// How long it may take to answer.
pub(crate) const PROBE_WAIT: Duration = Duration::from_secs(5);

/// How long the process that is asked for its metrics may take to answer: it is on this machine, or near.
pub(crate) const METRICS_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Bytes of its answer: some hundred streams.
pub(crate) const METRICS_ANSWER_BYTES_MAX: u64 = 4 << 20;

/// For how long a spool that has refused records counts as full, where it may have room again.
pub(crate) const REFUSAL_AGE_MAX: Duration = Duration::from_secs(5);

/// For a broker that is away: as long as it takes.
pub(crate) const RECONNECTING: Limits = Limits {
    pause_first: Duration::from_millis(100),
    pause_max: Duration::from_secs(30),
    total_max: Duration::MAX,
    pause_count_max: u32::MAX,
};

/// Bytes of MQTT messages that wait to be stored before no more are read: brokers keep to their own limits long before.
pub(crate) const MQTT_WAITING_BYTES: usize = 16 << 20;
/// As large as MQTT's packets can be: one that is refused would come again for ever.
pub(crate) const MQTT_PACKET_BYTES_MAX: usize = 268_435_455 + 5;
/// A broker that is silent for longer is gone.
pub(crate) const MQTT_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long the last acknowledgements may take at the end.
pub(crate) const MQTT_GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// When JetStream gives a message again that was not acknowledged: longer than a batch takes, short enough for the messages of a process
/// that was killed.
pub(crate) const NATS_ACK_WAIT: Duration = Duration::from_secs(30);
/// Messages that a consumer's processes may hold: some batches each.
pub(crate) const NATS_ACK_PENDING_MAX: i64 = 200_000;
/// How long a batch of JetStream gathers behind its first message.
pub(crate) const NATS_BATCH_WAIT: Duration = Duration::from_millis(5);
/// How often a consumer's acknowledgement floor is asked.
pub(crate) const NATS_FLOOR_AGE_MAX: Duration = Duration::from_secs(10);

/// Positions that are looked at first for the last record of a spool, and how many times more each time where none is among them.
pub(crate) const HEARD_POSITIONS: u64 = 64;

/// How long before the first records of a process rows were received that these may repeat: stations and servers pass a packet on
/// within seconds, and one that was lost and came back within minutes.
pub(crate) const REPEATS_BEFORE: Duration = Duration::from_secs(600);
/// The same after it, where a clock was set.
pub(crate) const REPEATS_AFTER: Duration = Duration::from_secs(60);
