//! The running service: starts everything in the right order, and ends it in the reverse.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    assemble::{self, Clients, Lanes, UnusableSink},
    door::{Inside, SpaceIsLow, Troubles},
    nightly,
    outages::{self, Unheard},
    space,
};
use crate::{
    clock::Clock,
    config::Config,
    deliver::{self, Outbox},
    digest::Digests,
    receive::{self, Credentials, Limits},
    record::Recorder,
    store::{Access, OpenError, Store, StoreError},
    till::{self, reconcile::Reconciler},
    upkeep::{self, Retention},
    verify,
};

/// How often the write-ahead log is brought back to nothing.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(5);

/// Why the service cannot start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or the database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A sink.
    #[error(transparent)]
    Sink(#[from] UnusableSink),
    /// The database, once open.
    #[error("{0}\n  fix: see that the disk of storage.path has room and works, then start again")]
    Store(#[from] StoreError),
    /// The address to listen on.
    #[error("cannot listen: {0}\n  fix: free the port, or set server.listen")]
    Listen(#[from] std::io::Error),
}

/// A service that runs until it is stopped.
pub struct Running {
    /// The database, for whoever looks on.
    pub store: Store,
    /// What writes events.
    pub recorder: Recorder,
    /// What delivers.
    pub outbox: Outbox,
    /// What compares the tills' own lists with ours.
    pub reconciler: Arc<Mutex<Reconciler>>,
    /// Has it compare before its time.
    comparing: Arc<Notify>,
    /// Where it listens.
    pub addr: SocketAddr,
    directory: PathBuf,
    /// Whether the last nightly backup failed.
    unsaved: Arc<AtomicBool>,
    credentials: Arc<ArcSwap<Credentials>>,
    clock: Arc<dyn Clock>,
    space_is_low: SpaceIsLow,
    /// Whether a sink fails and nobody can be told.
    is_unheard: Unheard,
    door: Group,
    workers: Group,
}

/// Tasks that end together.
struct Group {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Group {
    fn new() -> Self {
        Self { stop: CancellationToken::new(), tasks: JoinSet::new() }
    }

    async fn end(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Starts the service on `listener`. When it returns, calls are taken.
///
/// # Errors
/// What stands in the way; nothing is left running.
pub async fn serve(config: &Config, clock: Arc<dyn Clock>, listener: TcpListener) -> Result<Running, StartError> {
    let lanes = assemble::lanes(config, &clock)?;
    let store = upkeep::open(&config.storage.path, Access::Service, clock.now()).await?;
    let interrupted = store.recover_interrupted(clock.now()).await?;
    if interrupted > 0 {
        tracing::warn!(deliveries = interrupted, "the last run ended in the middle of attempts; they are made again");
    }
    store.declare_sinks(lanes.keys().cloned().collect(), clock.now()).await?;
    let recorder = Recorder::new(store.clone(), clock.clone(), assemble::policy(config));
    let outbox = assemble::outbox(config, store.clone(), clock.clone(), recorder.clone());
    let outbox = Outbox { names: assemble::names(&store).await?, ..outbox };
    assemble::watch(config, &outbox).begin().await?;
    let tills = assemble::tills(config, &clock);
    let reconciler = assemble::reconciler(config, &outbox, &tills);
    reconciler.begin().await?;

    let mut running = Running {
        addr: listener.local_addr()?,
        directory: config.storage.path.clone(),
        unsaved: Arc::default(),
        credentials: Arc::new(ArcSwap::from_pointee(assemble::credentials(config))),
        store,
        recorder,
        outbox,
        clock,
        space_is_low: SpaceIsLow::default(),
        is_unheard: Unheard::default(),
        reconciler: Arc::new(Mutex::new(reconciler)),
        comparing: Arc::default(),
        door: Group::new(),
        workers: Group::new(),
    };
    running.start_workers(config, lanes, tills);
    running.open_door(config, listener);
    Ok(running)
}

impl Running {
    /// Puts a new configuration into effect: tokens and routing at once, sinks with their next attempt. What was routed
    /// before stays routed; what waits for a removed sink waits as paused. The address and the data directory stay, and a
    /// `public_url` with another path is not used before the next start.
    ///
    /// # Errors
    /// When a sink cannot be built: nothing changes then.
    pub async fn reload(&mut self, config: &Config) -> Result<(), StartError> {
        let lanes = assemble::lanes(config, &self.clock)?;
        self.store.declare_sinks(lanes.keys().cloned().collect(), self.clock.now()).await?;
        self.workers.end().await;
        // From here on there is no way back, and the workers must start again whatever happens.
        if let Err(error) = self.store.recover_interrupted(self.clock.now()).await {
            tracing::error!(error = %error, "attempts that the reload cut off are made again only after the next start");
        }
        self.recorder.reload(assemble::policy(config));
        self.credentials.store(Arc::new(assemble::credentials(config)));
        let outbox = assemble::outbox(config, self.store.clone(), self.clock.clone(), self.recorder.clone());
        // What the door cannot do before the next start must not be promised: another directory, another path.
        let Outbox { archive, public_url, names, .. } = &self.outbox;
        let same_path = base_path(public_url.as_ref()) == base_path(outbox.public_url.as_ref());
        let public_url = if same_path { outbox.public_url.clone() } else { public_url.clone() };
        self.outbox = Outbox { archive: archive.clone(), public_url, names: names.clone(), ..outbox };
        self.workers = Group::new();
        let tills = assemble::tills(config, &self.clock);
        self.reconciler = Arc::new(Mutex::new(assemble::reconciler(config, &self.outbox, &tills)));
        self.start_workers(config, lanes, tills);
        Ok(())
    }

    /// Takes no more calls, lets what is under way end, and closes the database.
    pub async fn stop(mut self) {
        self.door.stop.cancel();
        self.workers.stop.cancel();
        self.door.end().await;
        self.workers.end().await;
        self.store.close().await;
    }

    fn start_workers(&mut self, config: &Config, lanes: Lanes, tills: Clients) {
        let Group { stop, tasks } = &mut self.workers;
        for lane in lanes.into_values() {
            tasks.spawn(deliver::run(self.outbox.clone(), lane, stop.clone()));
        }
        tasks.spawn(deliver::fetch_invoices(self.outbox.clone(), assemble::hosts(config), stop.clone()));
        tasks.spawn(verify::run(self.outbox.clone(), assemble::hosts(config), stop.clone()));
        let nightly = assemble::nightly(config);
        if nightly.is_none() {
            self.unsaved.store(false, Ordering::Relaxed);
        }
        if let Some(nightly) = nightly {
            // The data directory stays until the next start.
            let directory = self.directory.clone();
            tasks.spawn(nightly::run(self.outbox.clone(), directory, nightly, self.unsaved.clone(), stop.clone()));
        }
        let Outbox { store, archive, clock, .. } = self.outbox.clone();
        tasks.spawn(Retention::new(store, archive, assemble::keep(config), clock).run(stop.clone()));
        let watch = space::Watch {
            outbox: self.outbox.clone(),
            reserve: config.storage.reserve,
            path: self.directory.display().to_string(),
            is_low: self.space_is_low.clone(),
        };
        tasks.spawn(watch.run(stop.clone()));
        tasks.spawn(outages::run(self.outbox.clone(), self.is_unheard.clone(), stop.clone()));
        let shops = config.shops.iter().map(|(id, settings)| (id.clone(), settings.shop.clone())).collect();
        let Outbox { store, clock, .. } = self.outbox.clone();
        let reports = assemble::reports(&tills);
        tasks.spawn(Digests::new(store, clock, assemble::digests(config), shops, reports).run(stop.clone()));
        let watch = assemble::watch(config, &self.outbox).asking(self.comparing.clone());
        tasks.spawn(watch.run(stop.clone()));
        tasks.spawn(Reconciler::run(self.reconciler.clone(), self.comparing.clone(), stop.clone()));
        tasks.spawn(till::names::run(self.outbox.clone(), tills, stop.clone()));
        tasks.spawn(checkpoint(self.store.clone(), self.clock.clone(), stop.clone()));
    }

    fn open_door(&mut self, config: &Config, listener: TcpListener) {
        let limits = Limits {
            body_bytes: usize::try_from(config.server.body_limit).unwrap_or(usize::MAX),
            trusted_proxies: config.server.trusted_proxies.clone().into(),
            ..Limits::default()
        };
        let troubles = Troubles {
            space_is_low: self.space_is_low.clone(),
            unsaved: self.unsaved.clone(),
            unheard: self.is_unheard.clone(),
        };
        let inside = Inside::new(&self.outbox, troubles);
        let router = receive::router(Arc::new(inside), self.credentials.clone(), limits.clone(), self.clock.clone());
        let router = also_below(config.server.public_url.as_ref(), router);
        let stop = self.door.stop.clone();
        self.door.tasks.spawn(async move {
            if let Err(error) = receive::serve(listener, router, limits, stop).await {
                tracing::error!(error = %error, "the service can no longer take calls");
            }
        });
    }
}

/// The path that `public_url` carries; empty where it carries none.
pub fn base_path(public_url: Option<&Url>) -> &str {
    public_url.map_or("", |url| url.path().trim_end_matches('/'))
}

/// Where `public_url` carries a path, the door is found below it too: a proxy may pass the path on, or take it away.
fn also_below(public_url: Option<&Url>, router: Router) -> Router {
    match base_path(public_url) {
        "" => router,
        // Without the checks a `:` or `*` is taken for what it is; braces never get here, because a URL escapes them.
        path => router.clone().without_v07_checks().nest(path, router),
    }
}

async fn checkpoint(store: Store, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(CHECKPOINT_EVERY) => {}
        }
        if let Err(error) = store.checkpoint().await {
            tracing::warn!(error = %error, "the write-ahead log could not be brought back to nothing; trying again");
        }
    }
}
