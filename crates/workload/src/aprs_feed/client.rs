//! One client's connection: banner, login, lines.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::FeedLogin;
use super::hall::{Hall, Seat};

/// What the banner says is running.
pub(super) const SOFTWARE: &str = concat!("hyperhaul-feed ", env!("CARGO_PKG_VERSION"));

/// Bytes of a client's line at most.
const LINE_BYTES_MAX: u64 = 512;

/// Serves a client until it goes or is let go.
pub(super) async fn serve(hall: Arc<Hall>, stream: TcpStream) {
    hall.count_connection();
    // A packet on its way is worth more than a full segment.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    if writer
        .write_all(format!("# {SOFTWARE}\r\n").as_bytes())
        .await
        .is_err()
    {
        return;
    }
    let line = match timeout(hall.options().login_max, read_line(&mut reader)).await {
        Ok(Some(line)) => line,
        // Gone, or too slow to say who it is.
        Ok(None) | Err(_) => return,
    };
    let Some((login, passcode)) = parse_login(&line) else {
        let _ = writer.write_all(b"# Invalid login\r\n").await;
        return;
    };
    let verdict = if passcode == Some(expected_passcode(&login.call_sign)) {
        "verified"
    } else {
        "unverified"
    };
    let greeting = format!(
        "# logresp {} {verdict}, server {}\r\n",
        login.call_sign,
        hall.options().server_name
    );
    let Some(seat) = hall.enter(login, greeting) else {
        let _ = writer.write_all(b"# Server full\r\n").await;
        return;
    };
    let number = seat.number;
    talk(seat, reader, writer).await;
    hall.leave(number);
}

/// Sends lines until the client goes or is let go.
async fn talk(seat: Seat, mut reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf) {
    let Seat {
        mut lines,
        queued_bytes,
        mut connected,
        ..
    } = seat;
    let send = async {
        while let Some(bytes) = lines.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
            queued_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
        }
    };
    // Whatever a client says after its login is a keepalive or a packet of its own, which goes nowhere here.
    let listen = async { while read_line(&mut reader).await.is_some() {} };
    tokio::select! {
        () = send => {}
        () = listen => {}
        _ = connected.changed() => {}
    }
}

/// A line of a client, or `None` when it is gone or sends what is none.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut line = Vec::new();
    let count = reader
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .await
        .ok()?;
    (count > 0 && line.last() == Some(&b'\n'))
        .then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Reads `user CALL pass PASS [vers NAME VERSION] [filter ...]`.
fn parse_login(line: &str) -> Option<(FeedLogin, Option<u16>)> {
    let (line, filter) = match line.split_once(" filter ") {
        Some((line, filter)) => (line, Some(filter.trim().to_owned())),
        None => (line, None),
    };
    let mut words = line.split_whitespace();
    if words.next() != Some("user") {
        return None;
    }
    let call_sign = words.next()?.to_owned();
    let passcode = match (words.next(), words.next()) {
        (Some("pass"), Some(passcode)) => passcode.parse().ok(),
        (None, None) => None,
        _ => return None,
    };
    Some((FeedLogin { call_sign, filter }, passcode))
}

/// The passcode of a call sign without its SSID, as all of APRS-IS computes it.
fn expected_passcode(call_sign: &str) -> u16 {
    const SEED: u16 = 0x73E2;
    let base = call_sign.split('-').next().unwrap_or_default();
    let hash = base.bytes().enumerate().fold(SEED, |hash, (index, byte)| {
        let byte = u16::from(byte.to_ascii_uppercase());
        hash ^ if index % 2 == 0 { byte << 8 } else { byte }
    });
    hash & 0x7FFF
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn logins_are_read() {
        let (login, passcode) =
            parse_login("user N0CALL pass -1 vers hyperhaul 0.1.0 filter r/48.0/11.0/200 t/p")
                .unwrap();
        assert_eq!(login.call_sign, "N0CALL");
        assert_eq!(login.filter.as_deref(), Some("r/48.0/11.0/200 t/p"));
        assert_eq!(passcode, None);
        assert_eq!(
            parse_login("user N0CALL pass 13023").unwrap().1,
            Some(13_023)
        );
        for line in ["", "hello", "pass -1", "user", "user A word"] {
            assert_eq!(parse_login(line), None, "{line}");
        }
    }

    #[test]
    fn passcodes_are_those_of_aprs_is() {
        assert_eq!(expected_passcode("N0CALL"), 13_023);
        assert_eq!(expected_passcode("n0call-5"), 13_023);
    }
}
