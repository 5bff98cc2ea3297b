//! Mode `backfill`: the hypertable takes the table's place first, and its history follows beside live rows.

mod back;
mod guarded;
mod ingest;
mod killed;
mod lifecycle;
mod load;
mod meeting;
mod shapes;
mod waiting;
mod writers;

use crate::support::Hyperhaul;

/// Where the old tables are after the cutover.
const ARCHIVE: &str = "hyperhaul_old_public";

/// SQLSTATE of what is refused until the history is in.
const NO_CHANGES: &str = "ZH002";

/// SQLSTATE of what the fence refuses.
const FENCED: &str = "ZH001";

/// Takes a run past its cutover: it is killed when it begins with the first slice.
async fn cut_over(call: Hyperhaul) {
    call.failpoint("slice.claimed").run().await.expect_killed();
}

/// Takes a run to where all of its slices are in, but nothing is proved.
async fn backfill(call: Hyperhaul) {
    call.failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
}
