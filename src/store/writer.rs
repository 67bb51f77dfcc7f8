//! The one writer: commits in groups, and survives a commit that fails.
//!
//! Jobs that arrive while a commit is on its way to the disk share the next one. A group that fails is taken apart and
//! each job is tried alone, so that one bad job cannot take others with it; when the disk itself is the reason, the rest
//! of the group is told at once. Upkeep gets a commit of its own: it may need more room than there is, and must not take
//! a call of the till with it.
//!
//! **Invariant:** after any error the connection is thrown away. A connection whose COMMIT failed says Ok for ever after
//! while nothing reaches the disk (sqlx, SQLite trap 2).

use std::{marker::PhantomData, panic::AssertUnwindSafe, path::Path};

use futures_util::{FutureExt as _, future::BoxFuture};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    StoreError, connect,
    intake::{AnyIntake, Intake, IntakeJob, apply_all},
    space::Reserve,
};

/// How many jobs share a commit at the most.
const GROUP: usize = 256;

/// How many jobs may wait before callers do.
const QUEUE: usize = 1024;

/// One bad job may fail alone; after the second the reason is taken to be the disk, and nobody is kept waiting.
const FAILURES_THAT_CONDEMN_THE_REST: u32 = 2;

pub(super) struct Writer {
    jobs: mpsc::Sender<Message>,
    commits: watch::Sender<u64>,
}

enum Message {
    Intake(Box<dyn AnyIntake>),
    Job(Box<dyn Job>),
    /// A job that shares its commit with nobody.
    Alone(Box<dyn Job>),
    Checkpoint(oneshot::Sender<Result<bool, StoreError>>),
    Rewrite(oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<()>),
}

/// Something to do inside a transaction; it may be done again after a rollback.
trait Job: Send {
    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Tells whoever waits how it ended. Called once, after the commit.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

impl Writer {
    /// Begins to write. `tidies_up`: the log is brought back to nothing at the end, which a command leaves to the service.
    pub fn start(conn: SqliteConnection, options: SqliteConnectOptions, reserve: Reserve, tidies_up: bool) -> Self {
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let commits = watch::Sender::new(0);
        let worker = Worker { conn: Some(conn), options, commits: commits.clone(), reserve, tidies_up };
        tokio::spawn(worker.run(inbox));
        Self { jobs, commits }
    }

    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    pub async fn take_in<I: Intake>(&self, intake: I) -> Result<I::Outcome, StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Intake(Box::new(IntakeJob::new(intake, reply)))).await?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub async fn write<T, E, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + 'static,
        F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        self.job(work, Message::Job).await
    }

    /// The same in a commit of its own.
    pub async fn write_alone<T, E, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + 'static,
        F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        self.job(work, Message::Alone).await
    }

    async fn job<T, E, F>(&self, work: F, message: fn(Box<dyn Job>) -> Message) -> Result<T, StoreError>
    where
        T: Send + 'static,
        E: Into<StoreError> + 'static,
        F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.send(message(Box::new(Closure { work, value: None, reply, _error: PhantomData }))).await?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub async fn rewrite(&self) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Rewrite(reply)).await?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Checkpoint(reply)).await?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.send(Message::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        self.jobs.send(message).await.map_err(|_| StoreError::Closed)
    }
}

struct Closure<T, E, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    _error: PhantomData<fn() -> E>,
}

impl<T, E, F> Job for Closure<T, E, F>
where
    T: Send + 'static,
    E: Into<StoreError>,
    F: for<'a> Fn(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T, E>> + Send,
{
    fn run<'a>(&'a mut self, conn: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.value = Some((self.work)(conn).await.map_err(Into::into)?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let _ = reply.send(result.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

struct Worker {
    /// `None` after an error: the next group opens a new one.
    conn: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    commits: watch::Sender<u64>,
    reserve: Reserve,
    tidies_up: bool,
}

/// The jobs of one commit. Intakes go first, all in one go.
#[derive(Default)]
struct Group {
    intakes: Vec<Box<dyn AnyIntake>>,
    jobs: Vec<Box<dyn Job>>,
}

impl Group {
    fn len(&self) -> usize {
        self.intakes.len() + self.jobs.len()
    }

    fn answer(self, result: &Result<(), StoreError>) {
        self.intakes.into_iter().for_each(|intake| intake.answer(result.clone()));
        self.jobs.into_iter().for_each(|job| job.answer(result.clone()));
    }

    fn has_calls(&self) -> bool {
        self.intakes.iter().any(|intake| intake.is_call())
    }

    fn is_calls_alone(&self) -> bool {
        self.jobs.is_empty() && self.intakes.iter().all(|intake| intake.is_call())
    }

    /// The disk is too full for calls.
    fn refuse_calls(&mut self) {
        let (calls, others) = self.intakes.drain(..).partition(|intake| intake.is_call());
        self.intakes = others;
        let calls: Vec<Box<dyn AnyIntake>> = calls;
        calls.into_iter().for_each(|call| call.answer(Err(StoreError::Full)));
    }

    /// The same jobs, one a group.
    fn apart(self) -> impl Iterator<Item = Self> {
        let intakes = self.intakes.into_iter().map(|intake| Self { intakes: vec![intake], jobs: Vec::new() });
        intakes.chain(self.jobs.into_iter().map(|job| Self { intakes: Vec::new(), jobs: vec![job] }))
    }
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut next = inbox.recv().await;
        while let Some(message) = next.take() {
            let mut group = Group::default();
            let mut after = Some(message);
            while let Some(message) = after.take() {
                match message {
                    Message::Intake(intake) => group.intakes.push(intake),
                    Message::Job(job) => group.jobs.push(job),
                    other => {
                        after = Some(other);
                        break;
                    }
                }
                if group.len() < GROUP {
                    after = inbox.try_recv().ok();
                }
            }
            if group.len() > 0 {
                self.settle(group).await;
            }
            match after {
                Some(Message::Alone(job)) => self.settle(Group { intakes: Vec::new(), jobs: vec![job] }).await,
                Some(Message::Rewrite(reply)) => {
                    let _ = reply.send(self.rewrite().await);
                }
                Some(Message::Checkpoint(reply)) => {
                    let _ = reply.send(self.checkpoint().await);
                }
                Some(Message::Close(reply)) => {
                    inbox.close();
                    if self.tidies_up {
                        let _ = self.checkpoint().await;
                    }
                    if let Some(conn) = self.conn.take() {
                        let _ = conn.close().await;
                    }
                    let _ = reply.send(());
                    return;
                }
                Some(Message::Intake(_) | Message::Job(_)) | None => {}
            }
            next = inbox.recv().await;
        }
    }

    /// Commits a group, or takes it apart.
    async fn settle(&mut self, mut group: Group) {
        if group.has_calls() && !self.reserve.admits_calls() {
            group.refuse_calls();
        }
        if group.len() == 0 {
            return;
        }
        let mut result = self.commit(&mut group).await;
        if matches!(result, Err(StoreError::Full)) && self.reserve.release(false) {
            result = self.commit(&mut group).await;
        }
        if matches!(result, Err(StoreError::Full)) && !group.is_calls_alone() && self.reserve.release(true) {
            group.refuse_calls();
            result = self.commit(&mut group).await;
        }
        let Err(error) = result else {
            self.commits.send_modify(|count| *count += 1);
            return group.answer(&Ok(()));
        };
        let size = group.len();
        if !matches!(error, StoreError::TooMuch) {
            tracing::warn!(store.group = size, error = %error, "a commit failed; nothing of it was acknowledged");
        }
        if size == 1 || !worth_taking_apart(&error) {
            return group.answer(&Err(error));
        }
        let mut failures = 0;
        for mut single in group.apart() {
            if failures == FAILURES_THAT_CONDEMN_THE_REST {
                single.answer(&Err(error.clone()));
                continue;
            }
            let result = self.commit(&mut single).await;
            match result {
                Ok(()) => self.commits.send_modify(|count| *count += 1),
                // A job that cannot be done says nothing of the disk.
                Err(StoreError::Corrupt(_) | StoreError::Bug) => {}
                Err(_) => failures += 1,
            }
            single.answer(&result);
        }
    }

    async fn commit(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let mut conn = self.connection().await?;
        let done = AssertUnwindSafe(transact(&mut conn, group)).catch_unwind().await;
        match done.unwrap_or(Err(StoreError::Bug)) {
            Ok(()) => {
                self.conn = Some(conn);
                Ok(())
            }
            Err(error) => {
                connect::discard(conn).await;
                Err(error)
            }
        }
    }

    async fn rewrite(&mut self) -> Result<(), StoreError> {
        let mut conn = self.connection().await?;
        // The working copy goes beside the database: no other folder need be writable.
        let folder = self.options.get_filename().parent().unwrap_or(Path::new(".")).display().to_string();
        let beside = format!("PRAGMA temp_store_directory = '{}'", folder.replace('\'', "''"));
        sqlx::query(sqlx::AssertSqlSafe(beside)).execute(&mut conn).await?;
        sqlx::query("VACUUM").execute(&mut conn).await?;
        self.conn = Some(conn);
        Ok(())
    }

    /// Returns whether the log is empty: a reader, or another program's checkpoint, may still need it.
    async fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let mut conn = self.connection().await?;
        // A reader (a backup, for minutes) would keep it, and every call behind it, for as long as it may wait.
        sqlx::query("PRAGMA busy_timeout = 100").execute(&mut conn).await?;
        let busy = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await;
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {}", connect::BUSY_TIMEOUT.as_millis())))
            .execute(&mut conn)
            .await?;
        let busy: i64 = busy?;
        self.conn = Some(conn);
        Ok(busy == 0)
    }

    /// The connection, taken out for as long as it is not known to be well.
    async fn connection(&mut self) -> Result<SqliteConnection, StoreError> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => Ok(self.options.connect().await?),
        }
    }
}

/// `BEGIN IMMEDIATE`, everything, `COMMIT`.
async fn transact(conn: &mut SqliteConnection, group: &mut Group) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    if !group.intakes.is_empty() {
        apply_all(conn, &mut group.intakes).await?;
    }
    for job in &mut group.jobs {
        job.run(conn).await?;
    }
    sqlx::query("COMMIT").execute(&mut *conn).await?;
    Ok(())
}

/// Whether another try of each job alone may help: not where the disk, or another program, is the reason.
fn worth_taking_apart(error: &StoreError) -> bool {
    !matches!(error, StoreError::Full | StoreError::Busy | StoreError::Closed)
}
