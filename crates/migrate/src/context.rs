//! What every part of a run needs to know: the two ends, the plan, whom to tell, whether to stop.

use crate::timekeeper::Timekeeper;
use crate::watchdog::Gate;
use crate::{Connections, Error, Event, Interrupt, Kind, Observer, RunId};
use hyperhaul_catalog as catalog;
use hyperhaul_engine::ArrayRewrite;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::{Options, Plan, Relation, Side, StepId, TablePlan, Topology};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pauses of work that lost a session.
const PATIENCE: Limits = Limits {
    pause_first: Duration::from_millis(200),
    pause_max: Duration::from_secs(5),
    total_max: Duration::from_secs(120),
    pause_count_max: 5,
};

/// How often one who has left a core to others looks whether there is work left.
const LOOK_FOR_WORK: Duration = Duration::from_millis(50);

/// A run at work. Cheap to clone, shared by all its workers.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) connections: Connections,
    pub(crate) run: RunId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) interrupt: Interrupt,
    pub(crate) observer: Arc<dyn Observer>,
    /// Has nothing to keep but in a migration.
    pub(crate) timekeeper: Arc<Timekeeper>,
    /// Open where nothing is watched.
    pub(crate) gate: Gate,
    /// Whether foreign keys are validated beside what compares rows.
    pub(crate) validating: Option<watch::Receiver<bool>>,
}

impl Context {
    /// A run outside of its migration: without a window, and with a gate that stays open.
    pub(crate) fn new(
        connections: &Connections,
        run: RunId,
        plan: Plan,
        interrupt: &Interrupt,
        observer: Arc<dyn Observer>,
    ) -> Context {
        Context {
            connections: connections.clone(),
            run,
            plan: Arc::new(plan),
            interrupt: interrupt.clone(),
            observer,
            timekeeper: Arc::default(),
            gate: Gate::unwatched(),
            validating: None,
        }
    }

    /// A table of the plan, by its index.
    pub(crate) fn table(&self, index: usize) -> Result<&TablePlan, Error> {
        let table = self.plan.tables.get(index);
        table.ok_or_else(|| Error::unexpected(format!("the plan has no table {index}")))
    }

    /// Parallel workers, as a number of lanes.
    pub(crate) fn workers(&self) -> usize {
        usize::try_from(self.plan.workers()).unwrap_or(usize::MAX)
    }

    /// Waits while foreign keys are validated beside and there is work that others do meanwhile.
    pub(crate) async fn leave_a_core(&self, is_work_left: impl Fn() -> bool) {
        let Some(mut validating) = self.validating.clone() else {
            return;
        };
        while *validating.borrow_and_update() && is_work_left() {
            // Nobody says when the work is done; who validates has gone where nobody changes it any more.
            let told = tokio::time::timeout(LOOK_FOR_WORK, validating.changed()).await;
            if told.is_ok_and(|told| told.is_err()) {
                return;
            }
        }
    }

    /// Whether the cutover is done.
    pub(crate) fn is_cut_over(&self, steps_done: &BTreeSet<StepId>) -> bool {
        self.plan.is_cut_over(|step| steps_done.contains(step))
    }

    pub(crate) fn tell(&self, event: Event) {
        self.observer.event(&event);
    }

    /// Says which of the options given now a run that goes on does not use: it keeps those of its plan.
    pub(crate) fn tell_unused(&self, options: &Options) {
        let unused = self.plan.options.differing(options);
        if unused.is_empty() {
            return;
        }
        self.tell(Event::Notice(format!(
            "run {} goes on with the options of its plan; given now and not used: {}",
            self.run,
            unused.join(", ")
        )));
    }

    pub(crate) fn retrying(&self, what: impl Into<String>, reason: impl ToString, pause: Duration) {
        self.tell(Event::Retrying {
            what: what.into(),
            reason: reason.to_string(),
            pause,
        });
    }

    /// A session with the source. That it could be reached is known: one that is away is waited for, within bounds.
    pub(crate) async fn source(&self, purpose: &str) -> Result<Session, Error> {
        Ok(self
            .connections
            .source
            .connect_patiently(&self.source_purpose(purpose), Limits::RECONNECT)
            .await?)
    }

    /// A session with the target, likewise.
    pub(crate) async fn target(&self, purpose: &str) -> Result<Session, Error> {
        Ok(self
            .connections
            .target
            .connect_patiently(&self.purpose(purpose), Limits::RECONNECT)
            .await?)
    }

    /// What the run's sessions are called in `pg_stat_activity`, so that a successor can tell them from other runs'.
    pub(crate) fn purpose(&self, purpose: &str) -> String {
        format!("run {} {purpose}", self.run)
    }

    /// The `application_name` that all sessions of the run begin with.
    pub(crate) fn application_prefix(&self) -> String {
        format!("hyperhaul run {} ", self.run)
    }

    /// What its sessions with the source are called. Another server may be the source of runs with the same number that other
    /// targets know, and be a target itself: there the name says whose run it is.
    pub(crate) fn source_purpose(&self, purpose: &str) -> String {
        match self.origin() {
            None => self.purpose(purpose),
            Some(origin) => format!("{origin}{purpose}"),
        }
    }

    /// The `application_name` that sessions with another server's source begin with. `None`: [`Context::application_prefix`]
    /// covers them, or nothing tells whose they are.
    pub(crate) fn source_prefix(&self) -> Option<String> {
        let origin = self.origin()?;
        Some(format!("hyperhaul {origin}"))
    }

    fn origin(&self) -> Option<String> {
        let target = &self.plan.facts.target;
        let system = target.system_identifier?;
        (self.plan.topology == Topology::OtherDatabase)
            .then(|| format!("from {system:x}.{} run {} ", target.database_oid, self.run))
    }

    /// Does work again when a session was lost.
    pub(crate) async fn patiently<T>(
        &self,
        what: &str,
        work: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::new(PATIENCE);
        loop {
            match work().await {
                Ok(value) => return Ok(value),
                Err(error) => self.wait_to_retry(what, error, &mut backoff).await?,
            }
        }
    }

    /// Waits before another try of what failed with `error`; gives the error back if there is to be none.
    pub(crate) async fn wait_to_retry(
        &self,
        what: &str,
        error: Error,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        // A difference that was found is told, whoever has given up since.
        if error.kind() == Kind::Differs {
            return Err(error);
        }
        if self.interrupt.aborting() {
            return Err(Error::interrupted());
        }
        if !error.is_transient() {
            return Err(error);
        }
        let Some(pause) = backoff.next_pause() else {
            return Err(error);
        };
        self.retrying(what, &error, pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.interrupt.drained() => Err(Error::interrupted()),
        }
    }

    /// The server that a step's statements run on. Within one database everything runs through the target's
    /// session, so that the ledger's mark is in the same transaction.
    pub(crate) fn server(&self, side: Side) -> &Server {
        match (side, self.plan.topology) {
            (Side::Source, Topology::OtherDatabase) => &self.connections.source,
            (Side::Source, Topology::SameDatabase) | (Side::Target, _) => &self.connections.target,
        }
    }

    /// Whether a step on `side` commits together with the ledger's mark.
    pub(crate) fn is_atomic(&self, side: Side) -> bool {
        side == Side::Target || self.plan.topology == Topology::SameDatabase
    }

    /// Where a table's old rows and new rows are, as far as the run has come.
    pub(crate) fn places<'a>(
        &self,
        table: &'a TablePlan,
        steps_done: &BTreeSet<StepId>,
    ) -> Places<'a> {
        let cut_over = self.is_cut_over(steps_done);
        Places {
            source: match (cut_over, self.plan.topology) {
                (true, Topology::SameDatabase) => &table.archive,
                (true, Topology::OtherDatabase) | (false, _) => &table.relation,
            },
            target: if cut_over {
                &table.relation
            } else {
                &table.staging
            },
        }
    }

    /// Which array columns have to be rewritten on the way, with the target's oids.
    pub(crate) async fn rewrites(
        &self,
        target: &Session,
        table: &TablePlan,
    ) -> Result<Vec<ArrayRewrite>, Error> {
        let mut rewrites = Vec::new();
        for element in &table.array_elements {
            let found = catalog::type_oid(target, &element.schema, &element.name).await?;
            let to_oid = found.ok_or_else(|| {
                Error::blocked(format!(
                    "type {}.{} does not exist on the target",
                    element.schema, element.name
                ))
                .hint("Create it there as it is on the source, then run hyperhaul plan again.")
            })?;
            rewrites.push(ArrayRewrite {
                position: element.position,
                from_oid: element.source_oid,
                to_oid,
            });
        }
        Ok(rewrites)
    }
}

/// Where a table's old rows and new rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// The partitioned table.
    pub(crate) source: &'a Relation,
    /// The hypertable.
    pub(crate) target: &'a Relation,
}
