//! As much of PostgreSQL's wire protocol as the proxy must read to know where a message ends, what
//! statement a client executes, and when the server has answered.
//!
//! Layouts: PostgreSQL's documentation, chapter "Frontend/Backend Protocol", section "Message
//! Formats". Nothing here changes a byte.

use std::collections::HashMap;

/// Length field of every message; it counts itself but not the type byte before it.
const LENGTH_BYTES: usize = 4;
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];
const CANCEL_REQUEST: u32 = 80_877_102;

/// What a client's message means for the proxy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// SSLRequest or GSSENCRequest: the answer is one byte.
    EncryptionRequest,
    /// Starts a session; the server ends its answer with ReadyForQuery.
    Startup,
    /// CancelRequest; no answer.
    Cancel,
    /// Simple query: executes the text, and the answer ends with ReadyForQuery.
    Query(String),
    /// Executes a prepared statement of this text; the answer ends after the next Sync.
    Execute(String),
    /// Sync or FunctionCall: the answer ends with ReadyForQuery.
    Sync,
    /// Anything else.
    Other,
}

/// One whole message, type byte and length included.
#[derive(Debug)]
pub(crate) struct ClientMessage {
    pub(crate) bytes: Vec<u8>,
    pub(crate) meaning: Meaning,
}

/// Cuts what a client sends into messages, and remembers which text is behind which name.
#[derive(Debug, Default)]
pub(crate) struct ClientStream {
    buffer: Vec<u8>,
    started: bool,
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, String>,
}

impl ClientStream {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message that is wholly here.
    pub(crate) fn next(&mut self) -> Option<ClientMessage> {
        let header = usize::from(self.started);
        let length = u32_at(&self.buffer, header)?;
        let end = header + usize::try_from(length).ok()?;
        if self.buffer.len() < end.max(header + LENGTH_BYTES) {
            return None;
        }
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let meaning = if self.started {
            self.meaning(bytes[0], &bytes[header + LENGTH_BYTES..])
        } else {
            self.opening(&bytes)
        };
        Some(ClientMessage { bytes, meaning })
    }

    fn opening(&mut self, bytes: &[u8]) -> Meaning {
        match u32_at(bytes, LENGTH_BYTES) {
            Some(code) if ENCRYPTION_REQUESTS.contains(&code) => Meaning::EncryptionRequest,
            Some(CANCEL_REQUEST) => Meaning::Cancel,
            _ => {
                self.started = true;
                Meaning::Startup
            }
        }
    }

    fn meaning(&mut self, kind: u8, body: &[u8]) -> Meaning {
        match kind {
            b'Q' => Meaning::Query(text(until_zero(body).0)),
            b'P' => {
                let (name, rest) = until_zero(body);
                let (sql, _) = until_zero(rest);
                self.statements.insert(name.to_vec(), text(sql));
                Meaning::Other
            }
            b'B' => {
                let (portal, rest) = until_zero(body);
                let (statement, _) = until_zero(rest);
                if let Some(sql) = self.statements.get(statement) {
                    self.portals.insert(portal.to_vec(), sql.clone());
                }
                Meaning::Other
            }
            b'E' => self
                .portals
                .get(until_zero(body).0)
                .map_or(Meaning::Other, |sql| Meaning::Execute(sql.clone())),
            b'S' | b'F' => Meaning::Sync,
            _ => Meaning::Other,
        }
    }
}

/// Follows what a server sends, without keeping it, and counts ReadyForQuery and CopyInResponse messages.
#[derive(Debug, Default)]
pub(crate) struct ServerStream {
    header: Vec<u8>,
    body_left: usize,
    ready_count: u64,
    copy_in_count: u64,
}

impl ServerStream {
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let skipped = self.body_left.min(bytes.len());
                self.body_left -= skipped;
                bytes = &bytes[skipped..];
            } else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                if self.header.len() < 1 + LENGTH_BYTES {
                    continue;
                }
                let length = u32_at(&self.header, 1).unwrap_or(0);
                self.body_left = usize::try_from(length)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(LENGTH_BYTES);
            }
            if self.body_left == 0 && self.header.len() == 1 + LENGTH_BYTES {
                self.ready_count += u64::from(self.header[0] == b'Z');
                self.copy_in_count += u64::from(self.header[0] == b'G');
                self.header.clear();
            }
        }
    }

    /// How many answers are complete.
    pub(crate) fn ready_count(&self) -> u64 {
        self.ready_count
    }

    /// How many times the server has asked for the data of a COPY.
    pub(crate) fn copy_in_count(&self) -> u64 {
        self.copy_in_count
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

fn until_zero(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whole words only: `READ COMMITTED` is no `COMMIT`.
pub(crate) fn contains_words(sql: &str, text: &str) -> bool {
    let (sql, text) = (sql.to_lowercase(), text.to_lowercase());
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    sql.match_indices(&text).any(|(at, _)| {
        !sql[..at].ends_with(of_word) && !sql[at + text.len()..].starts_with(of_word)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn opening(code: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(rest.len() + 8)
            .unwrap()
            .to_be_bytes()
            .to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn session() -> Vec<u8> {
        [
            opening(ENCRYPTION_REQUESTS[0], b""),
            opening(196_608, b"user\0me\0\0"),
            message(b'p', b"secret\0"),
            message(b'Q', b"BEGIN\0"),
            message(b'P', b"s1\0COMMIT\0\0\0"),
            message(b'S', b""),
            message(b'B', b"\0s1\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'E', b"unknown\0\0\0\0\0"),
            message(b'd', b"COMMIT\0"),
        ]
        .concat()
    }

    #[test]
    fn messages_come_out_whole_however_they_came_in() {
        for step in [1, 2, 3, 7, 1000] {
            let mut stream = ClientStream::default();
            let mut meanings = Vec::new();
            let mut bytes = Vec::new();
            for piece in session().chunks(step) {
                stream.push(piece);
                while let Some(message) = stream.next() {
                    meanings.push(message.meaning);
                    bytes.extend(message.bytes);
                }
            }
            assert_eq!(bytes, session(), "step {step}");
            assert_eq!(
                meanings,
                [
                    Meaning::EncryptionRequest,
                    Meaning::Startup,
                    Meaning::Other,
                    Meaning::Query("BEGIN".into()),
                    Meaning::Other,
                    Meaning::Sync,
                    Meaning::Other,
                    Meaning::Execute("COMMIT".into()),
                    Meaning::Sync,
                    Meaning::Other,
                    Meaning::Other,
                ],
                "step {step}"
            );
        }
    }

    #[test]
    fn only_ready_for_query_counts_as_an_answer() {
        let bytes = [
            message(b'R', &[0; 8]),
            message(b'Z', b"I"),
            message(b'D', b"ZZZZZZZZZZ"),
            message(b'n', b""),
            message(b'Z', b"T"),
        ]
        .concat();
        for step in [1, 2, 5, 6, 1000] {
            let mut stream = ServerStream::default();
            for piece in bytes.chunks(step) {
                stream.push(piece);
            }
            assert_eq!(stream.ready_count(), 2, "step {step}");
        }
        let mut stream = ServerStream::default();
        stream.push(&bytes[..bytes.len() - 1]);
        assert_eq!(stream.ready_count(), 1, "its last byte is still to come");
    }

    #[test]
    fn a_text_is_found_as_whole_words() {
        for (sql, text, found) in [
            ("COMMIT", "commit", true),
            ("commit; select 1", "COMMIT", true),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", "COMMIT", false),
            (
                "BEGIN ISOLATION LEVEL READ COMMITTED; COMMIT",
                "commit",
                true,
            ),
            ("INSERT INTO commit_log", "commit", false),
            ("ALTER TABLE \"fixes\" RENAME", "alter table", true),
        ] {
            assert_eq!(contains_words(sql, text), found, "{sql}");
        }
    }
}
