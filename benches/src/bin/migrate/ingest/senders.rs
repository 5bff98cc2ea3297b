//! Senders by HTTP, as devices are: each has a connection and a clock of its own, sends when it is time, and notes how long the answer
//! took from the moment at which it was to send. Who waits for a late answer sends the next body late, and that counts, too.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u32,
    /// Of all connections together.
    pub(super) bodies_per_second: f64,
    pub(super) rows_per_body: u32,
    pub(super) seconds: f64,
}

/// A body that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) connection: u32,
    /// From when it was to be sent until the answer.
    pub(super) answered_after: Duration,
    /// The time of its last row: microseconds since 1970, when it was to be sent or a little later.
    pub(super) last_row_us: i64,
}

/// The well whose readings a connection sends.
pub(super) fn well(connection: u32) -> String {
    format!("W-{connection:04}")
}

/// Sends all of it; what is refused is an error.
pub(super) fn send(address: SocketAddr, load: Load) -> Result<Vec<Sent>> {
    let begun = Instant::now();
    let threads = (0..load.connections).map(|connection| {
        thread::spawn(move || Sender::connect(address, connection)?.run(load, begun))
    });
    let threads: Vec<_> = threads.collect();
    let mut sent = Vec::new();
    for thread in threads {
        let own = thread.join();
        sent.extend(own.map_err(|_| anyhow::anyhow!("a sender panicked"))??);
    }
    Ok(sent)
}

/// Sends bodies as fast as they are answered, until one is turned away; returns how many were not.
pub(super) fn send_until_full(address: SocketAddr, connections: u32, rows: u32) -> Result<u64> {
    let threads = (0..connections).map(|connection| {
        thread::spawn(move || -> Result<u64> {
            let mut sender = Sender::connect(address, connection)?;
            let mut count = 0;
            loop {
                sender.write_body(now_us()?, rows);
                match sender.exchange() {
                    Ok(200) => count += 1,
                    Ok(503) => return Ok(count),
                    // Too much at once: again in a moment. Who is in the midst of a large body sees a connection that ends.
                    Ok(429) | Err(_) => {
                        thread::sleep(Duration::from_millis(50));
                        sender = Sender::connect(address, connection)?;
                    }
                    Ok(status) => bail!("a body was answered with {status}"),
                }
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    let mut count = 0;
    for thread in threads {
        let own = thread.join();
        count += own.map_err(|_| anyhow::anyhow!("a sender panicked"))??;
    }
    Ok(count)
}

struct Sender {
    connection: u32,
    stream: BufReader<TcpStream>,
    body: String,
}

impl Sender {
    fn connect(address: SocketAddr, connection: u32) -> Result<Sender> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Sender {
            connection,
            stream: BufReader::new(stream),
            body: String::new(),
        })
    }

    fn run(&mut self, load: Load, begun: Instant) -> Result<Vec<Sent>> {
        let every = f64::from(load.connections) / load.bodies_per_second;
        // Nobody sends at the same moment as another one.
        let offset = every * f64::from(self.connection) / f64::from(load.connections);
        let mut sent = Vec::new();
        for number in 0_u32.. {
            let due = Duration::from_secs_f64(offset + every * f64::from(number));
            if due.as_secs_f64() >= load.seconds {
                break;
            }
            thread::sleep(due.saturating_sub(begun.elapsed()));
            let late_us = begun.elapsed().saturating_sub(due).as_micros();
            let due_us = now_us()? - i64::try_from(late_us)?;
            self.write_body(due_us, load.rows_per_body);
            match self.exchange()? {
                200 => sent.push(Sent {
                    connection: self.connection,
                    answered_after: begun.elapsed().saturating_sub(due),
                    last_row_us: due_us + i64::from(load.rows_per_body) - 1,
                }),
                status => bail!("a body was answered with {status}"),
            }
        }
        Ok(sent)
    }

    /// Rows a microsecond apart.
    fn write_body(&mut self, first_us: i64, rows: u32) {
        self.body.clear();
        let well = well(self.connection);
        for row in 0..i64::from(rows) {
            let us = first_us + row;
            // Writing into a String does not fail.
            let _ = writeln!(
                self.body,
                "{{\"well_id\":\"{well}\",\"timestamp\":{}.{:06},\"flow_rate\":2014.51,\"pip\":998.25,\"motor_current\":44.1,\
                 \"motor_temp\":85.2,\"vibration\":0.93,\"vsd_frequency\":50.1,\"flow_variance\":19.7,\"torque\":70.4,\"gor\":501.3}}",
                us / 1_000_000,
                us % 1_000_000
            );
        }
    }

    /// Sends the body and reads the answer: its status.
    fn exchange(&mut self) -> Result<u16> {
        let head = format!(
            "POST /v1/ingest/esp HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n",
            self.body.len()
        );
        let socket = self.stream.get_mut();
        // One packet for a small request.
        socket.write_all(&[head.as_bytes(), self.body.as_bytes()].concat())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        status.context("the answer is none of HTTP")
    }
}

pub(super) fn now_us() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_micros())?)
}
