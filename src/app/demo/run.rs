//! The demonstration put together: a till, the real service, far sides, and a screen that tells of them.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    far_sides::{Arrival, FarSides, loopback},
    screen::{Addresses, Screen},
    tally::{Happening, Tally},
};
use crate::{
    app::{self, Running, output::Output, telemetry::LAST_LINES_WITHIN},
    clock::{Clock, SystemClock},
    config::{self, Config, Environment, Source},
    sink::signature::new_secret,
    till::sandbox::{Options as TillOptions, Sandbox, seller::Announced},
};

/// How long what is under way may take to arrive once the till has stopped.
const LAST_ARRIVALS: Duration = Duration::from_secs(10);

/// How often to look whether everything has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How a demonstration goes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Ends by itself after so many sales; otherwise with Ctrl-C.
    pub sales: Option<u64>,
    /// Where chance begins: the same seed makes the same sales.
    pub seed: u64,
}

/// Runs the demonstration until `stop`, or until it has shown what it was asked for.
///
/// # Errors
/// When a port or a directory cannot be had, or the service does not start.
pub async fn run(options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let zone = TimeZone::get("Europe/Paris").context("the time zones are built in")?;
    let secret = new_secret()?;
    let key = secret.expose_secret().parse().context("a fresh secret is well-formed")?;
    let mut far = FarSides::start(clock.clone(), key).await?;
    let till = TillOptions { seed: options.seed, zone: zone.clone(), clock: clock.clone() };
    let till = Sandbox::start(loopback().await?, till)?;

    // Dropped last: the directory goes when everything that writes to it has ended.
    let directory = TempDir::with_prefix("tillhook-demo-").context("cannot make a directory for throw-away data")?;
    let config = configure(directory.path(), &till, &far, secret.expose_secret())?;
    let listener = loopback().await?;
    let running = app::serve(&config, clock.clone(), listener).await?;
    let webhook_url = webhook_url(&config, &running)?;

    let show =
        Show { screen: Screen::new(zone, in_colour()), tally: Tally::default(), out: Output::of(io::stdout(), lost) };
    let addresses = Addresses { webhook_url: webhook_url.clone(), inbox_url: far.inbox_url.clone() };
    show.say(&show.screen.header(&addresses));

    let (seller, announced) = till.seller(options.seed);
    let closing = stop.child_token();
    let selling = tokio::spawn(seller.run(webhook_url, closing.clone()));
    let mut show = show.follow(announced, &mut far.arrivals, options.sales, &closing).await;
    closing.cancel();
    selling.await?;
    show.wait_for_the_rest(&running, &mut far.arrivals, &*clock).await;
    running.stop().await;
    show.tally.count_downloads(till.downloads().into_values());
    show.say(&show.screen.summary(&show.tally));
    show.out.flush_within(LAST_LINES_WITHIN);
    Ok(())
}

struct Show {
    screen: Screen,
    tally: Tally,
    out: Output,
}

impl Show {
    /// Shows what happens until `closing`, or until there were enough sales.
    async fn follow(
        mut self,
        mut announced: mpsc::UnboundedReceiver<Announced>,
        arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
        enough: Option<u64>,
        closing: &CancellationToken,
    ) -> Self {
        loop {
            let happening = tokio::select! {
                () = closing.cancelled() => return self,
                Some(call) = announced.recv() => Happening::Announced(Box::new(call)),
                Some(arrival) = arrivals.recv() => Happening::Arrival(arrival),
            };
            self.tell(&happening);
            if enough.is_some_and(|enough| self.tally.sales >= enough) {
                return self;
            }
        }
    }

    /// Shows what still arrives, until everything is told.
    async fn wait_for_the_rest(
        &mut self,
        running: &Running,
        arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
        clock: &dyn Clock,
    ) {
        let too_long = clock.now() + LAST_ARRIVALS;
        while clock.now() < too_long {
            while let Ok(arrival) = arrivals.try_recv() {
                self.tell(&Happening::Arrival(arrival));
            }
            if everything_is_told(running, clock).await {
                break;
            }
            clock.sleep(LOOK_AGAIN).await;
        }
        while let Ok(arrival) = arrivals.try_recv() {
            self.tell(&Happening::Arrival(arrival));
        }
    }

    fn tell(&mut self, happening: &Happening) {
        self.tally.count(happening);
        self.say(&self.screen.line_for(happening));
    }

    /// A terminal that went away is no reason to fail: the end is near anyway. One that is not read is none to wait.
    fn say(&self, text: &str) {
        self.out.line(format!("{text}\n"));
    }
}

/// Also what still waits for a second announcement or an invoice is told before the end.
async fn everything_is_told(running: &Running, clock: &dyn Clock) -> bool {
    let counts = running.store.count_deliveries(clock.now()).await.unwrap_or_default();
    counts.iter().all(|(_, status, _)| matches!(status.as_str(), "delivered" | "skipped" | "dead"))
}

fn lost(lines: u64) -> String {
    format!("  … {lines} more, which nobody read\n")
}

fn in_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn webhook_url(config: &Config, running: &Running) -> anyhow::Result<String> {
    let shop = config.shops.values().next().context("the demonstration has a shop")?;
    Ok(format!("http://{}/in/{}", running.addr, shop.token.expose_secret()))
}

/// The configuration that a user would write, with loopback far sides in it.
fn configure(directory: &Path, till: &Sandbox, far: &FarSides, secret: &str) -> anyhow::Result<Config> {
    let token = config::new_token()?;
    let text = include_str!("../../../config/demo.toml")
        .replace("{data}", &directory.join("data").display().to_string())
        .replace("{token}", token.expose_secret())
        .replace("{till}", till.origin())
        .replace("{smtp_port}", &far.mail_addr.port().to_string())
        .replace("{slack}", &far.slack_url)
        .replace("{http}", &far.http_url)
        .replace("{secret}", secret);
    let file = directory.join("tillhook.toml");
    std::fs::write(&file, text).context("cannot write the demonstration's configuration")?;
    Ok(config::load(&Source::File(file), &Environment::default())?.config)
}
