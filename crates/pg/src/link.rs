//! The side of a connection that runs in a task of its own: notices that it hears, and why it ended.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Connection, Socket};

use crate::error::Error;
use crate::notice::{NOTICES_KEPT_MAX, Notice};

/// How long a failed call waits to learn why its connection ended.
const ENDING_WAIT: Duration = Duration::from_secs(1);
/// The side of a connection that runs in a task of its own: what it heard, and why it ended.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    heard: Arc<Mutex<VecDeque<Notice>>>,
    ending: watch::Receiver<Ending>,
}

#[derive(Debug, Clone)]
pub(crate) enum Ending {
    Open,
    /// By our own goodbye.
    Closed,
    /// By the server or the network.
    Lost(Error),
}

impl Link {
    /// Spawns the connection on the current runtime.
    pub(crate) fn drive<T>(mut connection: Connection<Socket, T>) -> Link
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (tell, ending) = watch::channel(Ending::Open);
        let link = Link {
            heard: Arc::default(),
            ending,
        };
        let heard = Arc::clone(&link.heard);
        tokio::spawn(async move {
            let end = loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notice(reported))) => {
                        hear(&heard, Notice::from_server(&reported));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        break Ending::Lost(Error::from_client(
                            "keep a session open",
                            &error,
                            None,
                        ));
                    }
                    None => break Ending::Closed,
                }
            };
            // Said before the connection is dropped: calls that fail by the drop find the reason.
            tell.send_replace(end);
            drop(connection);
        });
        link
    }

    pub(crate) fn notices(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn wait_for_end(mut self) -> Ending {
        match self
            .ending
            .wait_for(|ending| !matches!(ending, Ending::Open))
            .await
        {
            Ok(ending) => ending.clone(),
            Err(_) => Ending::Closed,
        }
    }

    /// A client library's error as ours; where it only says that the connection is closed, with
    /// the reason for which the connection ended.
    pub(crate) async fn explain(&self, attempted: String, error: &tokio_postgres::Error) -> Error {
        if !error.is_closed() {
            return Error::from_client(attempted, error, None);
        }
        match tokio::time::timeout(ENDING_WAIT, self.clone().wait_for_end()).await {
            Ok(Ending::Lost(reason)) => Error::from_client(attempted, error, Some(&reason)),
            Ok(Ending::Open | Ending::Closed) | Err(_) => {
                Error::from_client(attempted, error, None)
            }
        }
    }
}

fn hear(heard: &Mutex<VecDeque<Notice>>, notice: Notice) {
    tracing::debug!(
        severity = %notice.severity,
        sqlstate = %notice.sqlstate,
        "server notice: {}",
        notice.message
    );
    let mut kept = heard.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == NOTICES_KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(notice);
}
