//! What a sender is answered: a receipt, or why not.

use crate::intake::{NoRoom, NotStored};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Records are durable.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Receipt {
    /// The stream's name.
    pub(super) stream: String,
    /// How many there are.
    pub(super) records: u64,
    /// Position of the first in the stream's spool; `None` without records.
    pub(super) first: Option<u64>,
    /// Position of the last.
    pub(super) last: Option<u64>,
}

/// None of a body's records is stored.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// What failed, on which object; no values.
    pub(super) error: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    #[serde(skip)]
    retry_after_seconds: Option<u16>,
}

/// When a full spool may have room: the database takes megabytes a second, unless it is away.
const FULL_SECONDS: u16 = 5;
/// When a queue in front of the disk has room.
const BUSY_SECONDS: u16 = 1;

impl Refused {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Refused {
        Refused {
            status,
            error: error.into(),
            hint: None,
            retry_after_seconds: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Refused {
        self.hint = Some(hint.into());
        self
    }

    /// Too much at once, for now.
    pub(super) fn busy(error: impl Into<String>) -> Refused {
        Refused {
            retry_after_seconds: Some(BUSY_SECONDS),
            ..Refused::new(StatusCode::TOO_MANY_REQUESTS, error)
        }
    }

    /// What stands in the way of all work.
    pub(crate) fn unready(obstacles: &[String]) -> Refused {
        Refused {
            retry_after_seconds: Some(FULL_SECONDS),
            ..Refused::new(StatusCode::SERVICE_UNAVAILABLE, obstacles.join("; "))
        }
    }
}

impl From<NotStored> for Refused {
    fn from(not_stored: NotStored) -> Refused {
        let (status, retry_after_seconds) = match not_stored.reason {
            NoRoom::Full | NoRoom::Failed => (StatusCode::SERVICE_UNAVAILABLE, Some(FULL_SECONDS)),
            NoRoom::Busy => (StatusCode::TOO_MANY_REQUESTS, Some(BUSY_SECONDS)),
            NoRoom::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        };
        Refused {
            retry_after_seconds,
            ..Refused::new(status, not_stored.message).hint(not_stored.hint)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self)
    }
}

fn json(status: StatusCode, content: &impl Serialize) -> Response {
    // Texts and numbers alone are in there: this cannot fail.
    let text = serde_json::to_string(content).unwrap_or_default();
    let mut response = Response::new(Body::from(text + "\n"));
    *response.status_mut() = status;
    let of_json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, of_json);
    response
}
