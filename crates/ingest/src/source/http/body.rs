//! A body's records: lines of NDJSON, or CSV records in the order that the stream's decoder expects.

use super::answer::Refused;
use crate::envelope::Envelope;
use crate::feed::format::{Format, without_line_end};
use axum::http::StatusCode;
use bytes::Bytes;
use hyperhaul_decode::{CsvOrder, Mapping};
use std::sync::Arc;

/// Cuts a body into records. Empty lines are none.
pub(super) fn records(
    mut body: Bytes,
    mapping: &Mapping,
    received_at_us: i64,
) -> Result<Vec<Envelope>, Refused> {
    let mut format = Format::of(mapping);
    let order = match format.take_order() {
        Some(_) if body.is_empty() => None,
        Some(order) => {
            let header = next(&mut body, &mut format);
            Some(order(&header).map_err(|error| bad(error.to_string(), error.hint_text()))?)
        }
        None => None,
    };
    let order = order.filter(|order| !order.is_kept());
    let attributes: Arc<[(String, String)]> = [].into();
    let mut records = Vec::new();
    while !body.is_empty() {
        let line = without_line_end(next(&mut body, &mut format));
        if line.is_empty() {
            continue;
        }
        let payload = match &order {
            Some(order) => ordered(order, &line, records.len() + 1)?,
            None => line,
        };
        records.push(Envelope {
            position: 0,
            received_at_us,
            attributes: Arc::clone(&attributes),
            payload,
            refused: None,
        });
    }
    Ok(records)
}

/// Takes the first record off, with the end of its line where it has one.
fn next(body: &mut Bytes, format: &mut Format) -> Bytes {
    let end = format.next_end(body).unwrap_or(body.len());
    body.split_to(end)
}

fn ordered(order: &CsvOrder, line: &[u8], number: usize) -> Result<Bytes, Refused> {
    let mut ordered = Vec::with_capacity(line.len());
    match order.apply(line, &mut ordered) {
        Ok(()) => Ok(ordered.into()),
        Err(refusal) => {
            let reason = refusal.reason.code();
            let message = format!("record {number} does not fit the header: {reason}");
            Err(bad(
                message,
                Some("Send records with the header's fields, in UTF-8."),
            ))
        }
    }
}

fn bad(message: String, hint: Option<&str>) -> Refused {
    let refused = Refused::new(StatusCode::BAD_REQUEST, message);
    match hint {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}
