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
mod listen;
mod take;

use crate::Error;
use crate::health::Health;
use crate::intake::Intake;
use crate::secret::Secret;
use crate::stop::Stop;
use axum::Router;
use axum::routing::{get, post};
use hyperhaul_decode::Mapping;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use take::{Taking, healthy, ingest, ready};

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
    listener: listen::Listener,
    router: Router,
    intakes: Vec<Intake>,
}

impl HttpServer {
    /// Listens; `routes` by their streams' names.
    pub(crate) async fn bind(
        place: &HttpPlace,
        routes: HashMap<String, Route>,
        health: Health,
    ) -> Result<HttpServer, Error> {
        let listener = listen::Listener::bind(place).await?;
        let intakes = routes.values().map(|route| route.intake.clone()).collect();
        let taking = Taking::new(place, routes, health)?;
        let router = Router::new()
            .route("/v1/ingest/{stream}", post(ingest))
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .with_state(Arc::new(taking));
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
