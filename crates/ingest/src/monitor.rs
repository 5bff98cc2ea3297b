//! The address at which the process is watched: `/metrics`, `/healthz`, `/readyz`. It takes no records, and answers until the last one is
//! written.

use crate::Error;
use crate::health::{self, Health};
use crate::listen::Listener;
use crate::meter::{Meters, render};
use crate::stop::Stop;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Answers until it is dropped.
pub(crate) struct Monitor(#[expect(dead_code, reason = "it ends when it is dropped")] JoinSet<()>);

/// As the text format of Prometheus wants it.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Monitor {
    /// Listens.
    pub(crate) async fn start(
        address: SocketAddr,
        meters: Meters,
        health: Arc<Health>,
    ) -> Result<Monitor, Error> {
        let hint = "Name another address or port with --metrics, or in [metrics], listen.";
        let listener = Listener::bind(address, None, hint).await?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(meters)
            .merge(health::router(health));
        let mut answering = JoinSet::new();
        answering.spawn(listener.serve(router, Stop::default()));
        Ok(Monitor(answering))
    }
}

async fn metrics(State(meters): State<Meters>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], render(&meters.readings()))
}
