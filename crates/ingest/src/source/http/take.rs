//! One request: who sends, for which stream, how much; then its records go to the stream's intake.

use super::answer::{Receipt, Refused};
use super::{HttpPlace, Route, body};
use crate::Error;
use crate::clock::now_us;
use crate::compression::Compression;
use crate::limits::{HTTP_BODIES_BYTES, HTTP_BODY_WAIT, HTTP_LINES_MAX, HTTP_ROOM_WAIT};
use crate::secret::Secret;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use hyperhaul_decode::DecoderKind;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What requests are held against.
pub(super) struct Taking {
    routes: HashMap<String, Route>,
    token: Option<Secret>,
    body_bytes_max: usize,
    /// Room for bodies, in KiB: memory is bounded whoever sends.
    room: Semaphore,
    /// Room for lines. Who waits here holds room for the body, and who has both waits for nothing that others hold.
    line_room: Semaphore,
}

const ROOM_UNIT_BYTES: usize = 1024;

const SEND_FEWER: &str = "Send fewer records at a time.";

pub(super) async fn ingest(
    State(taking): State<Arc<Taking>>,
    Path(stream): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Receipt, Refused> {
    taking.take(stream, &headers, body).await
}

impl Taking {
    pub(super) fn new(place: &HttpPlace, routes: HashMap<String, Route>) -> Result<Taking, Error> {
        let room_bytes = HTTP_BODIES_BYTES.max(place.body_bytes_max);
        Ok(Taking {
            routes,
            token: Secret::read(place.token.as_ref(), place.token_file.as_deref())?,
            body_bytes_max: place.body_bytes_max,
            room: Semaphore::new(room_bytes.div_ceil(ROOM_UNIT_BYTES)),
            line_room: Semaphore::new(HTTP_LINES_MAX),
        })
    }

    async fn take(
        &self,
        stream: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Receipt, Refused> {
        self.authorize(headers)?;
        let route = self.routes.get(&stream).ok_or_else(|| {
            Refused::new(
                StatusCode::NOT_FOUND,
                "there is no stream of that name by HTTP",
            )
            .hint("Name one that the configuration file declares with source http.")
        })?;
        check_type(headers, route.mapping.decoder)?;
        let compression = compression(headers)?;
        let said_bytes = self.said_bytes(headers)?;
        let mut room = self
            .room(said_bytes.filter(|_| compression == Compression::None))
            .await?;
        let received_at_us = now_us();
        let body = tokio::time::timeout(HTTP_BODY_WAIT, self.read(body, said_bytes)).await;
        let body = body.map_err(|_| {
            Refused::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
        })??;
        let body = self.decompress(body, compression).await?;
        // Its size is known by now.
        let surplus = room
            .num_permits()
            .saturating_sub(body.len().div_ceil(ROOM_UNIT_BYTES));
        drop(room.split(surplus));
        let _more_room = self.room_for_lines(&body).await?;
        let records = body::records(body, &route.mapping, received_at_us)?;
        if records.is_empty() {
            return Ok(Receipt {
                stream,
                records: 0,
                first: None,
                last: None,
            });
        }
        let positions = route.intake.store(&records).await?;
        Ok(Receipt {
            stream,
            records: positions.end - positions.start,
            first: Some(positions.start),
            last: Some(positions.end - 1),
        })
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let offered = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let offered = offered.and_then(|value| value.split_at_checked(BEARER.len()));
        match offered {
            Some((scheme, offered)) if scheme.eq_ignore_ascii_case(BEARER) && token.is(offered) => {
                Ok(())
            }
            _ => Err(Refused::new(
                StatusCode::UNAUTHORIZED,
                "the token is missing or not the right one",
            )
            .hint("Send the header Authorization: Bearer and the configured token.")),
        }
    }

    fn too_large(&self) -> Refused {
        let message = format!("the body has more than {} bytes", self.body_bytes_max);
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message).hint(SEND_FEWER)
    }

    fn said_bytes(&self, headers: &HeaderMap) -> Result<Option<usize>, Refused> {
        let said = text(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
        match said {
            Some(bytes) if bytes > self.body_bytes_max => Err(self.too_large()),
            said => Ok(said),
        }
    }

    /// Waits until memory for the body is free.
    async fn room(&self, bytes: Option<usize>) -> Result<SemaphorePermit<'_>, Refused> {
        let units = bytes
            .unwrap_or(self.body_bytes_max)
            .div_ceil(ROOM_UNIT_BYTES);
        wait_for(&self.room, units).await
    }

    /// Waits until memory for what the body's lines become is free: short ones take more than the body itself.
    async fn room_for_lines(&self, body: &Bytes) -> Result<SemaphorePermit<'_>, Refused> {
        let lines = memchr::memchr_iter(b'\n', body).count() + 1;
        if lines > HTTP_LINES_MAX {
            let message = format!("the body has more than {HTTP_LINES_MAX} lines");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message).hint(SEND_FEWER));
        }
        wait_for(&self.line_room, lines).await
    }

    /// `said_bytes` have room.
    async fn read(&self, body: Body, said_bytes: Option<usize>) -> Result<Bytes, Refused> {
        let mut pieces = body.into_data_stream();
        let mut read = BytesMut::with_capacity(said_bytes.unwrap_or(0));
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| {
                Refused::new(
                    StatusCode::BAD_REQUEST,
                    "the body ended before its length was reached",
                )
            })?;
            if read.len() + piece.len() > self.body_bytes_max {
                return Err(self.too_large());
            }
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    }

    async fn decompress(&self, body: Bytes, compression: Compression) -> Result<Bytes, Refused> {
        if compression == Compression::None {
            return Ok(body);
        }
        let bytes_max = self.body_bytes_max as u64;
        let work = move || {
            let mut plain = Vec::new();
            let reader = compression.reader(std::io::Cursor::new(body))?;
            reader.take(bytes_max + 1).read_to_end(&mut plain)?;
            Ok::<_, std::io::Error>(plain)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(plain)) if plain.len() as u64 > bytes_max => Err(self.too_large()),
            Ok(Ok(plain)) => Ok(plain.into()),
            _ => Err(Refused::new(
                StatusCode::BAD_REQUEST,
                "the body is not compressed as its Content-Encoding says",
            )),
        }
    }
}

async fn wait_for(room: &Semaphore, units: usize) -> Result<SemaphorePermit<'_>, Refused> {
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    match tokio::time::timeout(HTTP_ROOM_WAIT, room.acquire_many(units)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Refused::busy("too many bodies come in at once")),
    }
}

/// What comes before the token.
const BEARER: &[u8] = b"Bearer ";

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn compression(headers: &HeaderMap) -> Result<Compression, Refused> {
    match text(headers, &CONTENT_ENCODING) {
        None | Some("identity") => Ok(Compression::None),
        Some("gzip") => Ok(Compression::Gzip),
        Some("zstd") => Ok(Compression::Zstd),
        Some(_) => Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Encoding is not known",
        )
        .hint("Send gzip, zstd, or the body as it is.")),
    }
}

/// A body that says what it is must be what the stream decodes.
fn check_type(headers: &HeaderMap, decoder: DecoderKind) -> Result<(), Refused> {
    let said = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let said = said
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let (fits, expected) = match decoder {
        DecoderKind::Csv => (said == "text/csv", "text/csv"),
        DecoderKind::Aprs => (said == "text/plain", "text/plain"),
        DecoderKind::Ndjson => {
            let known = [
                "application/x-ndjson",
                "application/ndjson",
                "application/json",
            ];
            (known.contains(&said.as_str()), known[0])
        }
    };
    // What curl and the like say where nobody said anything.
    let says_nothing = [
        "",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ];
    if fits || says_nothing.contains(&said.as_str()) {
        return Ok(());
    }
    Err(Refused::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("the stream takes {expected}"),
    ))
}
