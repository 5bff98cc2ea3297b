//! Brokers of one test's own, which it may kill and start again: Mosquitto and a NATS server, each on a port of its own.

use crate::database::random_word;
use crate::{Error, script};
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Bounds a broker that does not come up; no claim about speed.
const UP_WAIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    /// MQTT. Sessions and messages outlive it.
    Mosquitto,
    /// NATS with JetStream, whose streams outlive it.
    Nats,
}

/// A running broker. It ends when this is dropped, and its data are removed.
#[derive(Debug)]
pub struct Broker {
    kind: BrokerKind,
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl BrokerKind {
    fn package(self) -> &'static str {
        match self {
            BrokerKind::Mosquitto => "mosquitto",
            BrokerKind::Nats => "nats-server",
        }
    }

    /// Where Debian has it.
    fn program(self) -> &'static str {
        match self {
            BrokerKind::Mosquitto => "/usr/sbin/mosquitto",
            BrokerKind::Nats => "/usr/sbin/nats-server",
        }
    }
}

impl Broker {
    /// Installs the broker where it is missing, and starts it. `more` are lines of its configuration file; it listens on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] where it cannot be installed.
    pub fn start(kind: BrokerKind, more: &str) -> Result<Broker, Error> {
        script::db(None, &["program", kind.package()])?;
        if kind == BrokerKind::Mosquitto {
            script::db(None, &["program", "mosquitto-clients"])?;
        }
        let folder = std::env::temp_dir().join(format!("hyperhaul-broker-{}", random_word()));
        fs::create_dir_all(&folder)
            .map_err(|error| Error::new("could not make a broker's folder").because(error))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free
            .map_err(|error| Error::new("there is no free port").because(error))?
            .port();
        let mut broker = Broker {
            kind,
            folder,
            port,
            process: None,
        };
        broker.configure(more)?;
        broker.start_again()?;
        Ok(broker)
    }

    fn configure(&self, more: &str) -> Result<(), Error> {
        let (folder, port) = (self.folder.display(), self.port);
        let text = match self.kind {
            BrokerKind::Mosquitto => format!(
                "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {folder}/\nautosave_interval 1\n\
                 autosave_on_changes true\nmax_queued_messages 0\nallow_anonymous {}\n{more}\n",
                !more.contains("password_file"),
            ),
            BrokerKind::Nats => {
                format!(
                    "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{folder}\" }}\n{more}\n"
                )
            }
        };
        fs::write(self.configuration(), text)
            .map_err(|error| Error::new("could not configure a broker").because(error))
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("broker.conf")
    }

    /// Starts it after [`Broker::kill`] or [`Broker::stop`], with the same data on the same port; returns when it takes connections.
    pub fn start_again(&mut self) -> Result<(), Error> {
        let log = fs::File::create(self.folder.join("log"));
        let log =
            log.map_err(|error| Error::new("could not make a broker's log").because(error))?;
        let process = Command::new(self.kind.program())
            .arg("-c")
            .arg(self.configuration())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| {
                Error::new(format!("could not run {}", self.kind.program())).because(error)
            })?;
        self.process = Some(process);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if began.elapsed() > UP_WAIT {
                let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(Error::new(format!(
                    "{} does not come up: {said}",
                    self.kind.package()
                )));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// Ends it at once, as SIGKILL does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) {
        if let Some(process) = &self.process {
            let id = process.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &id]).status();
        }
        if let Some(mut process) = self.process.take() {
            let _ = process.wait();
        }
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A folder for files that its configuration names; gone with it.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Who publishes to it.
    pub fn publisher(&self) -> Publisher {
        Publisher { port: self.port }
    }
}

/// Mosquitto's own client.
#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    port: u16,
}

impl Publisher {
    /// Publishes each line as a message of QoS 1; returns when all are acknowledged.
    ///
    /// # Errors
    ///
    /// If the client says so.
    pub fn publish(self, topic: &str, lines: &str, more: &[&str]) -> Result<(), Error> {
        let port = self.port.to_string();
        let failed =
            |error: std::io::Error| Error::new("could not run mosquitto_pub").because(error);
        let mut client = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-l"])
            .args(more)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = client.stdin.take() {
            input.write_all(lines.as_bytes()).map_err(failed)?;
        }
        let ended = client.wait().map_err(failed)?;
        if ended.success() {
            return Ok(());
        }
        Err(Error::new(format!("mosquitto_pub ended with {ended}")))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
