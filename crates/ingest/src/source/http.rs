//! HTTP: `POST /v1/ingest/{stream}` with records as NDJSON or CSV. A body is stored whole or not at all, and answered when it is durable.
//!
//! ```text
//!   listen: connections --> take: who, which stream, how much --> body: records --> Intake::store --> receipt
//! ```
//!
//! | status | meaning | what the sender does |
//! |---|---|---|
//! | 200 | every record is durable | forgets them |
//! | 400, 413, 415 | the body is none that could be stored | corrects it |
//! | 401, 404 | the token or the stream is not known | corrects it |
//! | 408 | the body did not come in time | sends it again |
//! | 429 | more comes in than the disk takes | sends it again after Retry-After |
//! | 503 | the spool is full, or failed | sends it again after Retry-After |
//!
//! A sender without an answer sends again: a key of the table tells duplicates.

mod answer;
mod body;
mod take;

use crate::Error;
use crate::health::{self, Health};
use crate::intake::Intake;
use crate::listen::Listener;
use crate::secret::Secret;
use crate::stop::Stop;
pub(crate) use answer::Refused;
use axum::Router;
use axum::routing::post;
use hyperhaul_decode::Mapping;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use take::{Taking, ingest};
use tokio_rustls::TlsAcceptor;

/// Where streams with source `http` listen, all of them together: `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPlace {
    /// Address and port.
    pub listen: SocketAddr,
    /// Senders show it as a bearer token.
    pub token: Option<Secret>,
    /// The file that holds the token, instead.
    pub token_file: Option<PathBuf>,
    /// PEM file with the server's chain of certificates; with the key, connections are TLS alone.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
    /// Bytes of a body, after decompression.
    pub body_bytes_max: usize,
}

impl HttpPlace {
    /// Bytes of a body where nothing else is said.
    pub const BODY_BYTES_MAX: usize = 16 << 20;
}

/// A stream's records by HTTP.
pub(crate) struct Route {
    pub(crate) intake: Intake,
    pub(crate) mapping: Mapping,
}

/// A server that listens and answers nobody yet.
pub(crate) struct HttpServer {
    listener: Listener,
    router: Router,
    intakes: Vec<Intake>,
}

impl HttpServer {
    /// Listens; `routes` by their streams' names.
    pub(crate) async fn bind(
        place: &HttpPlace,
        routes: HashMap<String, Route>,
        health: Arc<Health>,
    ) -> Result<HttpServer, Error> {
        let hint = "Name another address or port in [http], listen.";
        let listener = Listener::bind(place.listen, tls(place)?, hint).await?;
        let intakes = routes.values().map(|route| route.intake.clone()).collect();
        let taking = Taking::new(place, routes)?;
        let router = Router::new()
            .route("/v1/ingest/{stream}", post(ingest))
            .with_state(Arc::new(taking))
            .merge(health::router(health));
        Ok(HttpServer {
            listener,
            router,
            intakes,
        })
    }

    /// Until somebody says stop; requests under way are answered.
    pub(crate) async fn run(self, stop: Stop) -> Result<(), Error> {
        self.listener.serve(self.router, stop).await;
        self.intakes.iter().for_each(Intake::close);
        Ok(())
    }
}

fn tls(place: &HttpPlace) -> Result<Option<TlsAcceptor>, Error> {
    let (certificate, key) = match (&place.certificate, &place.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        _ => {
            return Err(Error::usage(
                "[http] has a certificate without a key, or the other way round",
            )
            .hint("Name both files, or none."));
        }
    };
    let config = crate::tls::server(certificate, key)?;
    Ok(Some(TlsAcceptor::from(config)))
}
