//! `tillhook serve`: the service, from its configuration to the signal that ends it.
//!
//! **Invariant:** it ends within [`STOP_WITHIN`] of SIGTERM or Ctrl-C, whatever hangs.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::{
    Exit,
    url::{out_of_reach, webhook_url},
};
use crate::{
    app::{self, Running, StartError, telemetry},
    clock::SystemClock,
    config::{Config, Environment, Loaded, Source, load},
    store::{Access, OpenError, Store},
};

/// How long the service may take to end. Docker kills after ten seconds; what is cut off is attempted again.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// Serves until it is told to stop.
///
/// # Errors
/// When the configuration has problems, another service runs on the directory, or the port is taken.
pub async fn run(source: &Source, environment: &Environment) -> anyhow::Result<Exit> {
    // Before anything that takes time: a signal that comes early counts too.
    let mut signals = Signals::new()?;
    let loaded = load(source, environment)?;
    warn(&loaded);
    // At once: should the service not start, the next one would not know that nobody was told.
    tell_new_address(&loaded);
    let config = loaded.config;
    let listener = match listen(&config).await {
        Ok(listener) => listener,
        Err(error) => return Err(rather_in_use(&config, error).await.into()),
    };
    let running = app::serve(&config, Arc::new(SystemClock), listener).await?;
    telemetry::say(format_args!("tillhook {} listens on {}", env!("CARGO_PKG_VERSION"), running.addr));
    let running = signals.reload_until_stop(running, config, || load(source, environment)).await;
    tracing::info!("stopping: what is under way may end");
    match timeout(STOP_WITHIN, running.stop()).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => {
            tracing::warn!("stopped before everything had ended; what was cut off is attempted again at the next start")
        }
    }
    Ok(Exit::Ok)
}

/// Prints the webhook address where its token was made just now: the one time that it is told unasked (contract §1.7).
pub fn tell_new_address(loaded: &Loaded) {
    if !loaded.generated_token {
        return;
    }
    for shop in loaded.config.shops.values() {
        telemetry::say(format_args!(
            "A webhook address was made for this till; it is a secret, and `tillhook url` prints it again:\n  {}",
            webhook_url(&loaded.config.server, shop)
        ));
    }
    if let Some(note) = out_of_reach(&loaded.config.server) {
        telemetry::say(note);
    }
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.server.listen;
    TcpListener::bind(address).await.map_err(|error| {
        StartError::Listen(io::Error::new(error.kind(), format!("{address} is not to be had ({})", error.kind())))
    })
}

/// Where another service has the port and the directory too, the directory says more.
async fn rather_in_use(config: &Config, taken: StartError) -> StartError {
    match Store::open(&config.storage.path, Access::Service).await {
        Err(error @ OpenError::InUse(_)) => error.into(),
        _ => taken,
    }
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!(config.fix = %warning.fix, "{}", warning.what);
    }
}

/// What the system may tell the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads at each SIGHUP, until SIGTERM or Ctrl-C.
    async fn reload_until_stop(
        &mut self,
        mut running: Running,
        started: Config,
        load: impl Fn() -> Result<Loaded, crate::config::Problems>,
    ) -> Running {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return running,
                _ = self.interrupt.recv() => return running,
                _ = self.hang_up.recv() => {}
            }
            let fresh = match load() {
                Ok(fresh) => fresh,
                Err(problems) => {
                    tracing::error!("the new configuration is invalid, so nothing was changed:\n{problems}");
                    continue;
                }
            };
            warn(&fresh);
            // A reload waits for what is under way; whoever wants the service to stop does not wait for a reload.
            let reloaded = tokio::select! {
                reloaded = running.reload(&fresh.config) => reloaded,
                _ = self.terminate.recv() => return running,
                _ = self.interrupt.recv() => return running,
            };
            match reloaded {
                Ok(()) => {
                    tell_what_needs_a_restart(&started, &fresh.config);
                    tracing::info!("the new configuration is in effect");
                }
                Err(error) => {
                    tracing::error!(error = %error, "the new configuration cannot be used, so nothing was changed")
                }
            }
        }
    }
}

fn tell_what_needs_a_restart(old: &Config, new: &Config) {
    let path = |config: &Config| app::base_path(config.server.public_url.as_ref()).to_owned();
    for (key, changed) in [
        ("server.listen", old.server.listen != new.server.listen),
        ("server.trusted_proxies", old.server.trusted_proxies != new.server.trusted_proxies),
        ("server.body_limit", old.server.body_limit != new.server.body_limit),
        ("storage.path", old.storage.path != new.storage.path),
        // The paths of the door are laid at the start.
        ("server.public_url", path(old) != path(new)),
    ] {
        if changed {
            tracing::warn!(config.key = key, "this change takes effect at the next start only");
        }
    }
}
