//! A transaction around some work: committed when the work succeeds, rolled back when it fails.

use crate::{Error, Session};

impl Session {
    /// Runs `work` between BEGIN and COMMIT. An error of `work` rolls back; if the future is dropped, the session is
    /// to be dropped too, since its transaction is still open.
    ///
    /// # Errors
    ///
    /// Whatever `work` fails with, or what BEGIN or COMMIT fail with. A COMMIT that fails with
    /// [`Disposition::Reconnect`](crate::Disposition::Reconnect) may have happened: find out before doing it again.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.batch("BEGIN").await?;
        match work().await {
            Ok(value) => match self.batch("COMMIT").await {
                Ok(()) => Ok(value),
                Err(error) => {
                    // One that fails before it has begun leaves the transaction open.
                    self.roll_back().await;
                    Err(error.into())
                }
            },
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Until the open transaction ends, a statement waits no longer than this for each lock; 0 is for ever.
    ///
    /// # Errors
    ///
    /// If the server refuses or is lost.
    pub async fn limit_lock_waits(&self, timeout_ms: u64) -> Result<(), Error> {
        self.batch(&format!("SET LOCAL lock_timeout = {timeout_ms}"))
            .await
    }

    /// Rolls back whatever is open. That it fails is no news: then the connection is gone, and the transaction with it.
    pub async fn roll_back(&self) {
        if !self.is_closed()
            && let Err(error) = self.batch("ROLLBACK").await
        {
            tracing::debug!(%error, "rollback failed; the server rolls back as the connection ends");
        }
    }
}
