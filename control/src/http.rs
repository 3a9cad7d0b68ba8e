//! What the metrics address answers: `/metrics`, `/healthz` and `/readyz`.
//!
//! It holds no secrets and changes nothing, yet it tells about load: bind it where only the monitoring reaches it.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use sluice_audit::metrics::read_all;

use crate::export::{CONTENT_TYPE, Exporter};

/// What the answers are made from.
pub(crate) struct Answers {
    pub(crate) exporter: Exporter,
    pub(crate) data: PathBuf,
}

/// The routes.
pub(crate) fn router(answers: Answers) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Arc::new(answers))
}

async fn metrics(State(answers): State<Arc<Answers>>) -> impl IntoResponse {
    match answers.exporter.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Ready is who has cores that serve.
async fn ready(State(answers): State<Arc<Answers>>) -> impl IntoResponse {
    let serving = read_all(&answers.data).is_ok_and(|cores| cores.iter().any(|core| core.live));
    if serving {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no core serves\n")
    }
}
