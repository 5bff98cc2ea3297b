//! Feeds: records in order, with positions. What each kind of source makes of its outages, formats and acknowledgements is
//! hidden behind them.

pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod input;
pub(crate) mod jetstream;
pub(crate) mod known_file;
pub(crate) mod rotation;
pub(crate) mod spooled;

pub(crate) use known_file::print_of;

use crate::Error;
use crate::batch::Taken;

/// How much a batch may hold. It is the larger the busier the writer is: a feed is asked only when there is room behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records.
    pub records_max: usize,
    /// Bytes of the records.
    pub bytes_max: usize,
}

impl Default for BatchLimits {
    fn default() -> BatchLimits {
        BatchLimits {
            records_max: 20_000,
            bytes_max: 8 << 20,
        }
    }
}

fn is_full(record_count: usize, bytes: usize, limits: &BatchLimits) -> bool {
    record_count >= limits.records_max || bytes >= limits.bytes_max
}

/// Records in order. A feed gives each record once; who starts anew gives it the ledger's position.
pub(crate) trait Feed: Send {
    /// Whether records are received when they are given; those of a spool were when they came into it.
    const RECEIVES: bool;

    /// The records behind those given before: at least one, or those that were lost; waits for them. `None`: there will be no
    /// more.
    fn next(
        &mut self,
        limits: &BatchLimits,
    ) -> impl Future<Output = Result<Option<Taken>, Error>> + Send;
}
