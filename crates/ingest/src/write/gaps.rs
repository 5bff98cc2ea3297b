//! Gaps among a batch's records, into the ledger.

use super::letters::{ledger_position, moment};
use crate::source::aprs::Gap;
use crate::trouble::Trouble;
use hyperhaul_ledger::{NewGap, Source};
use hyperhaul_pg::Session;

/// In the batch's transaction, which moves the source past them.
pub(super) async fn store(
    session: &Session,
    source: &Source,
    stream: &str,
    gaps: &[(u64, Gap)],
) -> Result<(), Trouble> {
    let gaps: Vec<NewGap<'_>> = gaps.iter().map(new).collect();
    hyperhaul_ledger::store_gaps(session, source, stream, &gaps).await?;
    Ok(())
}

fn new((position, gap): &(u64, Gap)) -> NewGap<'_> {
    NewGap {
        position: ledger_position(*position),
        from_at: moment(gap.from_us),
        to_at: moment(gap.to_us),
        reason: gap.reason.code(),
        server: gap.server.as_deref(),
        attempt_count: i64::from(gap.attempts),
        packet_count: gap.packets.map(ledger_position),
    }
}
