//! One connection for a test's own questions. What is under test brings its own.

use tokio_postgres::NoTls;

use crate::{Error, url::ServerUrl};

/// A session; it ends when the client is dropped.
pub use tokio_postgres::Client;

/// Connects, and lets the connection run in the background until the client is dropped.
pub async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|error| {
        let server = ServerUrl::parse(url).map_or_else(|_| "the server".into(), |url| url.shown());
        Error::new(format!("could not connect to {server}")).because(error)
    })?;
    // Its end is what a fault test provokes; whoever uses the client is told.
    tokio::spawn(connection);
    Ok(client)
}

/// Runs statements from where no runtime may be entered, such as `Drop` in an async test.
pub(crate) fn run_blocking(url: &str, statements: &[String]) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Error::new("could not start a runtime").because(error))?;
            runtime.block_on(async {
                let client = connect(url).await?;
                for statement in statements {
                    client.batch_execute(statement).await.map_err(|error| {
                        Error::new(format!("\"{statement}\" failed")).because(error)
                    })?;
                }
                Ok(())
            })
        });
        worker
            .join()
            .unwrap_or_else(|_| Err(Error::new("the cleaning thread panicked")))
    })
}

/// An identifier as SQL wants it.
pub(crate) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
