//! HTTP connections: bounded in number and in the time that they may take to ask something; TLS where it is configured.

use crate::Error;
use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_WAIT, HTTP_LAST_ANSWER_WAIT};
use crate::stop::Stop;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A socket that listens.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens; `hint` says where the address comes from.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        hint: &str,
    ) -> Result<Listener, Error> {
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Error::usage(format!("could not listen on {address}: {error}")).hint(hint)
        })?;
        if let Ok(address) = socket.local_addr() {
            tracing::info!(%address, is_tls = tls.is_some(), "listening");
        }
        Ok(Listener { socket, tls })
    }

    /// Until somebody says stop. Who asks nothing is left then, who has asked is answered.
    pub(crate) async fn serve(self, router: Router, stop: Stop) {
        let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.asked() => break,
                accepted = self.accept(&places) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let (tcp, place) = match accepted {
                Ok(accepted) => accepted,
                // Of one connection, or for lack of descriptors: others end.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (tls, router, stop) = (self.tls.clone(), router.clone(), stop.clone());
            connections.spawn(async move {
                connection(tcp, tls, router, &stop).await;
                drop(place);
            });
        }
        drop(self.socket);
        let answered = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(HTTP_LAST_ANSWER_WAIT, answered).await;
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(std::io::Error::other)?;
        let (tcp, _) = self.socket.accept().await?;
        // Answers are small, and somebody waits for each.
        tcp.set_nodelay(true)?;
        Ok((tcp, place))
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn connection(tcp: TcpStream, tls: Option<TlsAcceptor>, router: Router, stop: &Stop) {
    let Some(tls) = tls else {
        return answer(tcp, router, stop).await;
    };
    match tokio::time::timeout(HTTP_HEADER_WAIT, tls.accept(tcp)).await {
        Ok(Ok(encrypted)) => answer(encrypted, router, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not agree on TLS"),
        Err(_) => tracing::debug!("a connection did not agree on TLS in time"),
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    stop: &Stop,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_WAIT);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.asked() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
