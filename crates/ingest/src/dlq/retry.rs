//! Dead letters on their way back: tried again as their stream is declared now.
//!
//! ```text
//!   the next letters, in one transaction: rows in, letters gone --- commit
//!     | even staging is refused
//!     v
//!   halves, each by itself; at last one letter, which stays ------- commit
//! ```
//!
//! What passes by itself is waited for, for a while. Whether a COMMIT happened whose answer was lost is seen by the letters: they are gone,
//! or they are not.

use super::no_ledger;
use crate::Error;
use crate::batch::Taken;
use crate::envelope::Envelope;
use crate::learn::{Learned, learn};
use crate::limits::{REPEATS_BEFORE, RETRIED_AT_ONCE};
use crate::lookup::Lookups;
use crate::prepare;
use crate::repeats::Repeats;
use crate::stream::Stream;
use crate::trouble::{Trouble, Verdict, judge};
use crate::write;
use hyperhaul_ledger::{Cause, Content, Selection, failpoint};
use hyperhaul_pg::retry::{Backoff, Limits};
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

/// Tries dead letters of a stream again, as the stream is declared now: a row goes in and its letter is gone in one transaction.
///
/// # Errors
///
/// If the server refuses or is lost for longer than a restart takes, or stream and table do not fit. What was committed stays; it may be
/// called again.
pub async fn retry(
    server: &Server,
    stream: Stream,
    selection: &Selection,
) -> Result<Retried, Error> {
    let selection = Selection {
        stream: Some(stream.name.clone()),
        ..selection.clone()
    };
    let place = Place::open_patiently(server, &stream).await?;
    let mut retry = Retry {
        server,
        stream,
        selection,
        place,
        done: Done::default(),
        in_doubt: None,
        sizes: Vec::new(),
        condemned: None,
        tried: None,
        patience: Backoff::new(Limits::RECONNECT),
        is_fresh: false,
    };
    retry.run().await?;
    Ok(retry.done.retried)
}

fn stopped(trouble: Trouble) -> Error {
    match trouble.of_server() {
        Ok(Some(error)) => error.into(),
        Ok(None) => {
            Error::unexpected("the table was changed meanwhile").hint("Run the same again.")
        }
        Err(error) => error,
    }
}

/// Where letters go, and what it looks like.
struct Place {
    session: Session,
    /// Keys are learned in transactions of their own.
    for_ids: Session,
    learned: Arc<Learned>,
    lookups: Lookups,
}

impl Place {
    /// Waits for what passes by itself, for a while.
    async fn open_patiently(server: &Server, stream: &Stream) -> Result<Place, Error> {
        let mut patience = Backoff::new(Limits::RECONNECT);
        loop {
            match Place::open(server, stream).await {
                Ok(place) => return Ok(place),
                Err(Trouble::Server(error)) if judge(&error).passes() => {
                    if !patience.pause().await {
                        return Err(error.into());
                    }
                }
                Err(trouble) => return Err(stopped(trouble)),
            }
        }
    }

    async fn open(server: &Server, stream: &Stream) -> Result<Place, Trouble> {
        let session = server.connect("dlq").await?;
        if !hyperhaul_ledger::exists(&session).await? {
            return Err(no_ledger().into());
        }
        let for_ids = server.connect("dlq").await?;
        let learned = learn(&session, stream).await?;
        write::make_stages(&session, &learned.tables).await?;
        Ok(Place {
            lookups: Lookups::new(&for_ids, learned.decoder.lookups()).await?,
            session,
            for_ids,
            learned,
        })
    }
}

/// How far a retry has come.
#[derive(Clone, Debug, Default)]
struct Done {
    retried: Retried,
    /// All letters up to this number were tried.
    after: i64,
    /// A letter that went in the last transaction, if one did.
    gone: Option<i64>,
}

/// Dead letters on their way back.
struct Retry<'a> {
    server: &'a Server,
    stream: Stream,
    selection: Selection,
    place: Place,
    done: Done,
    /// The same once the transaction is in that was last to be committed.
    in_doubt: Option<Done>,
    /// How many letters are tried together next, and behind them: the last one first. Empty: as many as usual.
    sizes: Vec<i64>,
    /// A letter that went by itself and was not even staged, and why.
    condemned: Option<(i64, hyperhaul_pg::Error)>,
    /// The first of the letters that were tried last.
    tried: Option<i64>,
    patience: Backoff,
    /// Tables and ids were learned anew for the next letters.
    is_fresh: bool,
}

impl Retry<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let count = self.sizes.last().copied().unwrap_or(RETRIED_AT_ONCE);
            match self.try_some(count).await {
                Ok(false) => return Ok(()),
                Ok(true) => self.passed(),
                Err(Trouble::Server(error)) => self.refused(count, error).await?,
                Err(Trouble::Reshaped) => self.learn_again(false).await?,
                // Rows were left out for one that is refused again: apart from it, each finds only what is in the table.
                Err(Trouble::Orphaned) if count > 1 => self.halve(count),
                Err(trouble) => return Err(stopped(trouble)),
            }
        }
    }

    /// The next letters are dealt with.
    fn passed(&mut self) {
        self.sizes.pop();
        self.condemned = None;
        self.is_fresh = false;
        self.patience = Backoff::new(Limits::RECONNECT);
    }

    /// What an error of the server asks for; the same judgement as a batch's.
    async fn refused(&mut self, count: i64, error: hyperhaul_pg::Error) -> Result<(), Error> {
        match judge(&error) {
            Verdict::Reconnect => self.reconnect(error).await,
            Verdict::Again | Verdict::Wait => self.pause(error).await,
            Verdict::StaleIds | Verdict::Reshaped if !self.is_fresh => self.learn_again(true).await,
            Verdict::Stop | Verdict::Reshaped => Err(error.into()),
            _ if count > 1 => {
                self.halve(count);
                Ok(())
            }
            Verdict::Memory => self.pause(error).await,
            Verdict::Duplicates | Verdict::BadRows | Verdict::StaleIds
                if self.condemned.as_ref().map(|(letter, _)| *letter) != self.tried =>
            {
                self.condemned = self.tried.map(|letter| (letter, error));
                Ok(())
            }
            // No letter is to blame: something else in the transaction is refused.
            Verdict::TooMany | Verdict::Duplicates | Verdict::BadRows | Verdict::StaleIds => {
                Err(error.into())
            }
        }
    }

    /// Each half is halved by itself, so that one letter costs no more than its share of the others.
    fn halve(&mut self, count: i64) {
        self.sizes.pop();
        self.sizes.extend([count - count / 2, count / 2]);
    }

    async fn pause(&mut self, error: hyperhaul_pg::Error) -> Result<(), Error> {
        tracing::warn!(stream = %self.stream.name, %error, "letters wait");
        if self.patience.pause().await {
            return Ok(());
        }
        Err(error.into())
    }

    /// New sessions. What was under way is in, or is tried again.
    async fn reconnect(&mut self, error: hyperhaul_pg::Error) -> Result<(), Error> {
        let lost_pids = [&self.place.session, &self.place.for_ids].map(Session::backend_pid);
        let mut error = error;
        loop {
            self.pause(error).await?;
            match self.try_reconnect(lost_pids).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Server(again)) if judge(&again).passes() => error = again,
                Err(trouble) => return Err(stopped(trouble)),
            }
        }
    }

    async fn try_reconnect(&mut self, lost_pids: [i32; 2]) -> Result<(), Trouble> {
        let place = Place::open(self.server, &self.stream).await?;
        for pid in lost_pids {
            hyperhaul_catalog::end_backend(&place.session, pid).await?;
        }
        // Where no letter was to go, the same again changes nothing.
        if let Some(done) = &self.in_doubt
            && let Some(gone) = done.gone
            && hyperhaul_ledger::dead_letter(&place.session, gone)
                .await?
                .is_none()
        {
            tracing::info!(stream = %self.stream.name, "the COMMIT whose answer was lost had happened");
            self.done = done.clone();
            self.passed();
        }
        self.place = place;
        Ok(())
    }

    /// Tables and ids may be other ones by now.
    async fn learn_again(&mut self, is_asked_by_server: bool) -> Result<(), Error> {
        self.is_fresh = is_asked_by_server;
        self.place = Place::open_patiently(self.server, &self.stream).await?;
        Ok(())
    }

    /// The next letters, in one transaction; false where there are no more.
    async fn try_some(&mut self, count_max: i64) -> Result<bool, Trouble> {
        self.in_doubt = None;
        let Place {
            session,
            for_ids,
            learned,
            lookups,
        } = &mut self.place;
        let (selection, condemned, in_doubt) =
            (&self.selection, &self.condemned, &mut self.in_doubt);
        let tried = &mut self.tried;
        let mut done = Done {
            gone: None,
            ..self.done.clone()
        };
        let is_more = session
            .transaction(async || {
                let letters =
                    hyperhaul_ledger::hold_dead_letters(session, selection, done.after, count_max);
                let letters = letters.await?;
                *tried = letters.first().map(|letter| letter.id);
                for letters in together(&letters) {
                    let source = letters.first().map_or("", |letter| letter.source.as_str());
                    let taken = taken(letters);
                    let mut batch =
                        prepare::decode(taken, Arc::clone(learned), source.into()).await;
                    lookups.resolve(for_ids, &batch).await?;
                    prepare::fill_in(&mut batch, lookups);
                    if let Some(mut repeats) = Repeats::new(learned) {
                        repeats.leave_out(session, &mut batch).await?;
                    }
                    // Somebody else may have taken it by now.
                    if let Some((letter, error)) = condemned
                        && *tried == Some(*letter)
                    {
                        write::condemn(&mut batch, error);
                    }
                    let refused = write::write_again(session, &learned.tables, &batch).await?;
                    if refused.iter().any(|(at, _)| batch.firsts.contains(at)) {
                        return Err(Trouble::Orphaned);
                    }
                    settle(session, &mut done, letters, refused).await?;
                }
                failpoint("dlq.before_commit");
                let last = letters.last().map(|letter| letter.id);
                done.after = last.unwrap_or(done.after);
                *in_doubt = Some(done.clone());
                Ok::<_, Trouble>(last.is_some())
            })
            .await?;
        failpoint("dlq.after_commit");
        self.done = done;
        Ok(is_more)
    }
}

/// Letters whose rows are in go; of the others the ledger says why they stay.
async fn settle(
    session: &Session,
    done: &mut Done,
    letters: &[Content],
    refused: Vec<(u64, Cause)>,
) -> Result<(), Trouble> {
    let (kept, gone) = sorted(letters, refused);
    done.retried.kept_count += kept.len() as u64;
    done.retried.gone_count += gone.len() as u64;
    done.gone = gone.first().copied().or(done.gone);
    hyperhaul_ledger::rebury(session, &kept).await?;
    if !gone.is_empty() {
        hyperhaul_ledger::drop_dead_letters(session, &Selection::of(gone)).await?;
    }
    Ok(())
}

/// Letters of one source that were received about the same time: what they repeat is looked for around it.
fn together(mut letters: &[Content]) -> Vec<&[Content]> {
    let mut groups = Vec::new();
    while let Some(first) = letters.first() {
        let is_beside = |letter: &Content| {
            let apart = (letter.received_at - first.received_at).abs();
            letter.source == first.source
                && apart.to_std().is_ok_and(|apart| apart <= REPEATS_BEFORE)
        };
        let end = letters.iter().position(|letter| !is_beside(letter));
        let (group, rest) = letters.split_at(end.unwrap_or(letters.len()));
        groups.push(group);
        letters = rest;
    }
    groups
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
