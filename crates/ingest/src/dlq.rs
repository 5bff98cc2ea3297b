//! Dead letters afterwards: looked at, tried again, dropped.

use crate::Error;
use crate::batch::Taken;
use crate::envelope::Envelope;
use crate::learn::{Learned, learn};
use crate::limits::RETRIED_AT_ONCE;
use crate::lookup::Lookups;
use crate::prepare;
use crate::repeats::Repeats;
use crate::stream::Stream;
use crate::trouble::Trouble;
use crate::write;
use hyperhaul_ledger::{Cause, Content, DeadLetter, Selection, failpoint};
use hyperhaul_pg::{Server, Session};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What became of dead letters that were tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retried {
    /// They are in their tables now, or were there already.
    pub gone_count: u64,
    /// They are refused again, and stay.
    pub kept_count: u64,
}

/// A session with a database that has a ledger.
pub(crate) async fn connect(server: &Server) -> Result<Session, Error> {
    let session = server.connect("dlq").await?;
    if hyperhaul_ledger::exists(&session).await? {
        return Ok(session);
    }
    Err(
        Error::usage("the target has no ledger: nothing was ingested into it")
            .hint("Name the database that hyperhaul ingest writes to."),
    )
}

/// The newest dead letters, at most `count_max`, oldest of them first.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn dead_letters(
    server: &Server,
    selection: &Selection,
    count_max: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let session = connect(server).await?;
    Ok(hyperhaul_ledger::dead_letters(&session, selection, count_max).await?)
}

/// One dead letter, with its bytes.
///
/// # Errors
///
/// If the server refuses or is lost, or there is none of that number.
pub async fn dead_letter(server: &Server, id: i64) -> Result<Content, Error> {
    let session = connect(server).await?;
    let found = hyperhaul_ledger::dead_letter(&session, id).await?;
    found.ok_or_else(|| {
        Error::usage(format!("there is no dead letter {id}"))
            .hint("hyperhaul dlq list shows which there are.")
    })
}

/// Drops dead letters for good; how many.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn drop_dead_letters(server: &Server, selection: &Selection) -> Result<u64, Error> {
    let session = connect(server).await?;
    Ok(hyperhaul_ledger::drop_dead_letters(&session, selection).await?)
}

/// Tries dead letters of a stream again, as the stream is declared now: a row goes in and its letter is gone in one transaction.
///
/// # Errors
///
/// If the server refuses or is lost, or stream and table do not fit. What was committed stays; it may be called again.
pub async fn retry(
    server: &Server,
    stream: Stream,
    selection: &Selection,
) -> Result<Retried, Error> {
    let session = connect(server).await?;
    let learned = learn(&session, &stream).await.map_err(stopped)?;
    let for_ids = server.connect("dlq").await?;
    let lookups = Lookups::new(&for_ids, learned.decoder.lookups());
    let mut retry = Retry {
        selection: Selection {
            stream: Some(stream.name.clone()),
            ..selection.clone()
        },
        lookups: lookups.await.map_err(stopped)?,
        session,
        for_ids,
        learned,
        done: Retried::default(),
        after: 0,
    };
    retry.run().await.map_err(stopped)?;
    Ok(retry.done)
}

fn stopped(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Server(error) => error.into(),
        Trouble::Final(error) => error,
        Trouble::Reshaped | Trouble::Delivered | Trouble::Uncounted | Trouble::Orphaned => {
            Error::unexpected("the table was changed meanwhile").hint("Run the same again.")
        }
    }
}

/// Dead letters on their way back.
struct Retry {
    session: Session,
    /// Keys are learned in transactions of their own.
    for_ids: Session,
    selection: Selection,
    learned: Arc<Learned>,
    lookups: Lookups,
    done: Retried,
    /// All letters up to this number were tried.
    after: i64,
}

impl Retry {
    async fn run(&mut self) -> Result<(), Trouble> {
        write::make_stages(&self.session, &self.learned.tables).await?;
        let mut at_once = RETRIED_AT_ONCE;
        loop {
            match self.try_some(at_once, None).await {
                Ok(false) => return Ok(()),
                Ok(true) => at_once = RETRIED_AT_ONCE,
                // Rows were left out for one that is refused again: one by one, each finds only what is in the table.
                Err(Trouble::Orphaned) if at_once > 1 => at_once = 1,
                // Not even staging takes one of them: which one is seen when they go one by one.
                Err(Trouble::Server(error)) if error.refusal().is_some() && at_once > 1 => {
                    at_once = 1;
                }
                Err(Trouble::Server(error)) if error.refusal().is_some() => {
                    self.try_some(1, Some(&error)).await?;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// The next letters, in one transaction; false where there are no more. `condemned`: a single one whose fate is known.
    async fn try_some(
        &mut self,
        count_max: i64,
        condemned: Option<&hyperhaul_pg::Error>,
    ) -> Result<bool, Trouble> {
        let Retry {
            session,
            for_ids,
            selection,
            learned,
            lookups,
            done,
            after,
        } = self;
        let mut retried = *done;
        let last = session
            .transaction(async || {
                let letters =
                    hyperhaul_ledger::hold_dead_letters(session, selection, *after, count_max);
                let letters = letters.await?;
                for letters in letters.chunk_by(|one, next| one.source == next.source) {
                    let source = letters.first().map_or("", |letter| letter.source.as_str());
                    let taken = taken(letters);
                    let mut batch =
                        prepare::decode(taken, Arc::clone(learned), source.into()).await;
                    lookups.resolve(for_ids, &batch).await?;
                    prepare::fill_in(&mut batch, lookups);
                    if let Some(mut repeats) = Repeats::new(learned) {
                        repeats.leave_out(session, &mut batch).await?;
                    }
                    if let Some(error) = condemned {
                        write::condemn(&mut batch, error);
                    }
                    let refused = write::write_again(session, &learned.tables, &batch).await?;
                    if refused.iter().any(|(at, _)| batch.firsts.contains(at)) {
                        return Err(Trouble::Orphaned);
                    }
                    let (kept, gone) = sorted(letters, refused);
                    retried.kept_count += kept.len() as u64;
                    retried.gone_count += gone.len() as u64;
                    hyperhaul_ledger::rebury(session, &kept).await?;
                    if !gone.is_empty() {
                        let gone = Selection::of(gone);
                        hyperhaul_ledger::drop_dead_letters(session, &gone).await?;
                    }
                }
                failpoint("dlq.before_commit");
                Ok::<_, Trouble>(letters.last().map(|letter| letter.id))
            })
            .await?;
        failpoint("dlq.after_commit");
        *done = retried;
        *after = last.unwrap_or(*after);
        Ok(last.is_some())
    }
}

/// The records of letters of one source, as a batch has them.
fn taken(letters: &[Content]) -> Taken {
    let mut records: Vec<Envelope> = letters.iter().map(envelope).collect();
    records.sort_by_key(|record| record.position);
    Taken {
        records,
        ..Taken::none(0)
    }
}

fn envelope(letter: &Content) -> Envelope {
    let attributes = serde_json::from_str::<BTreeMap<String, String>>(&letter.attributes);
    Envelope {
        position: u64::try_from(letter.position).unwrap_or(0),
        received_at_us: letter.received_at.timestamp_micros(),
        attributes: attributes.unwrap_or_default().into_iter().collect(),
        payload: letter.payload.clone().into(),
        refused: None,
    }
}

/// Which letters stay, and why; which are gone.
fn sorted(letters: &[Content], refused: Vec<(u64, Cause)>) -> (Vec<(i64, Cause)>, Vec<i64>) {
    let mut refused: HashMap<u64, Cause> = refused.into_iter().collect();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for letter in letters {
        let position = u64::try_from(letter.position).unwrap_or(0);
        match refused.remove(&position) {
            Some(cause) => kept.push((letter.id, cause)),
            None => gone.push(letter.id),
        }
    }
    (kept, gone)
}
