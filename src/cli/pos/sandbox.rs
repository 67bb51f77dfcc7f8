//! `tillhook pos sandbox`: a till to try things with, at an address of one's own.
//!
//! **Invariant:** of the webhook's address no more than host and port is shown: the rest holds the shop's token. The
//! account's secrets are shown, for they guard nothing but what was invented.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use jiff::tz::TimeZone;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::typed::{one_of, whole};
use crate::{
    cli::{Exit, Stop},
    clock::Clock,
    json,
    order::Locale,
    till::{
        Charset, Encoding, Voice,
        sandbox::{Account, Chance, Fate, Options, Sandbox as Till, Spoken, Webhook},
    },
};

/// How long the last calls may take once it was told to end.
const LAST_CALLS: Duration = Duration::from_secs(15);

/// How the sandbox is run.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where everything is served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = address)]
    listen: SocketAddr,
    /// The address that is called when an order is validated or paid
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Sell something every one or two seconds; needs --webhook
    #[arg(long, requires = "webhook")]
    sell: bool,
    /// Open this cash box at the start and close it at the end
    #[arg(long, value_name = "ID", requires = "webhook", value_parser = whole::<u64>)]
    cash_box: Option<u64>,
    /// How calls are laid out: form, brackets, json, json-twice, multipart, get
    #[arg(long, default_value_t)]
    encoding: Encoding,
    /// In which characters; windows-1252 is declared, the others are not
    #[arg(long, default_value = Charset::Utf8.as_str(), value_parser = one_of(Charset::ALL, Charset::as_str))]
    charset: Charset,
    /// In which language fields, amounts and dates are written
    #[arg(long, default_value = Locale::Fr.as_str(), value_parser = one_of(&[Locale::Fr, Locale::En], Locale::as_str))]
    language: Locale,
    /// How often a call that was not taken is made again; the till is not known to do so
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole::<u32>)]
    retry: u32,
    /// How many calls get lost, from 0 to 1
    #[arg(long, value_name = "PART", default_value = "0")]
    drop: Chance,
    /// How many calls are made twice, from 0 to 1
    #[arg(long, value_name = "PART", default_value = "0")]
    repeat: Chance,
    /// Let one call in four be overtaken by the next
    #[arg(long)]
    reorder: bool,
    /// Where chance begins: the same number makes the same sales, losses and repeats
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u64>)]
    seed: u64,
    /// The shop's time
    #[arg(long, value_name = "ZONE", default_value = "Europe/Paris")]
    timezone: String,
    /// The shop id (`idboutique`, `shopID`)
    #[arg(long, value_name = "ID", default_value_t = Account::default().shop_id)]
    shop_id: String,
    /// The key of the API
    #[arg(long, value_name = "KEY", default_value_t = Account::default().key)]
    key: String,
    /// The login that getAuthToken.php takes
    #[arg(long, value_name = "LOGIN", default_value_t = Account::default().login)]
    login: String,
    /// And its password
    #[arg(long, value_name = "PASSWORD", default_value_t = Account::default().password)]
    password: String,
}

impl Sandbox {
    fn voice(&self) -> Voice {
        Voice { encoding: self.encoding, charset: self.charset, language: self.language }
    }

    fn account(&self) -> Account {
        let Self { shop_id, key, login, password, .. } = self;
        Account { shop_id: shop_id.clone(), key: key.clone(), login: login.clone(), password: password.clone() }
    }

    fn webhook(&self) -> Option<Webhook> {
        Some(Webhook {
            url: self.webhook.clone()?,
            voice: self.voice(),
            retry: self.retry,
            drop: self.drop,
            repeat: self.repeat,
            reorder: self.reorder,
            seed: self.seed,
        })
    }

    fn zone(&self) -> anyhow::Result<TimeZone> {
        TimeZone::get(&self.timezone).map_err(|_| {
            let what = format!("--timezone: there is no time zone `{}`", self.timezone);
            Stop::with_fix(Exit::Usage, what, "name one as in `Europe/Paris`")
        })
    }

    async fn open(&self, zone: TimeZone, clock: &Arc<dyn Clock>) -> anyhow::Result<Till> {
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            let what = format!("cannot listen at {}: {error}", self.listen);
            Stop::with_fix(Exit::Failed, what, "name a free address with --listen; port 0 takes any")
        })?;
        let options = Options { seed: self.seed, zone, clock: Arc::clone(clock) };
        Ok(Till::start_as(self.account(), listener, options)?)
    }
}

/// The signals that end it.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn is_asked_for(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs the sandbox until it is interrupted; each call that it makes is a line of the output.
///
/// # Errors
/// When the address or an option cannot be used.
pub async fn run(wanted: &Sandbox, clock: &Arc<dyn Clock>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let zone = wanted.zone()?;
    let place = wanted.webhook.as_deref().map(place_of).transpose()?;
    let till = wanted.open(zone.clone(), clock).await?;
    let (_unheard, silence) = mpsc::unbounded_channel();
    let mut calls = wanted.webhook().map_or(silence, |webhook| till.call(webhook));
    if let Some(id) = wanted.cash_box {
        till.open_cash_box(id).map_err(|refusal| Stop::new(Exit::Usage, format!("--cash-box: {refusal}")))?;
    }
    writeln!(out, "{}", header(&till, place.as_deref(), wanted.voice()))?;
    out.flush()?;

    let stop = CancellationToken::new();
    let seller = till.seller(wanted.seed).0.run_through_webhook(stop.clone());
    let selling = wanted.sell.then(|| tokio::spawn(seller));
    let told = |call: &Spoken| format!("{}  {}", clock.now().to_zoned(zone.clone()).strftime("%H:%M:%S"), line(call));
    let mut end = End::new()?;
    loop {
        tokio::select! {
            Some(call) = calls.recv() => writeln!(out, "{}", told(&call))?,
            () = end.is_asked_for() => break,
        }
        out.flush()?;
    }
    stop.cancel();
    if let Some(selling) = selling {
        selling.await?;
    }
    if let Some(id) = wanted.cash_box {
        till.close_cash_box(id)?;
    }
    // A webhook that hangs is no reason to stay: the second signal ends it at once.
    tokio::select! {
        () = till.calls_done() => {}
        () = clock.sleep(LAST_CALLS) => {}
        () = end.is_asked_for() => {}
    }
    while let Ok(call) = calls.try_recv() {
        writeln!(out, "{}", told(&call))?;
    }
    Ok(Exit::Ok)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address to listen at: write one such as 127.0.0.1:9000"))
}

/// Host and port of the webhook.
fn place_of(url: &str) -> anyhow::Result<String> {
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let place = parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let (host, port) = place.ok_or_else(|| {
        let fix = "it should look like `http://127.0.0.1:8080/in/TOKEN`; `tillhook url` prints it";
        Stop::with_fix(Exit::Usage, "--webhook is no address that can be called", fix)
    })?;
    Ok(format!("{host}:{port}"))
}

fn header(till: &Till, webhook: Option<&str>, voice: Voice) -> String {
    let (origin, account) = (till.origin(), till.account());
    let Voice { encoding, charset, language } = voice;
    let webhook = match webhook {
        Some(place) => {
            format!("{place} is called, as {encoding}, in {} and {}", charset.as_str(), language.as_str())
        }
        None => "none: nobody is told of what is sold (--webhook URL)".to_owned(),
    };
    format!(
        "tillhook sandbox: a till to try things with; all of it is invented\n\n\
         \x20 api        {origin}/workers/\n\
         \x20 shop id    {}\n\
         \x20 key        {}\n\
         \x20 login      {}\n\
         \x20 password   {}\n\
         \x20 webhook    {webhook}\n\n\
         \x20 For its invoices to be fetched, the shop needs till_hosts = [\"{origin}\"].\n\
         \x20 Ctrl-C ends it and leaves nothing behind.\n",
        account.shop_id, account.key, account.login, account.password,
    )
}

/// What became of a call: `validated 20261121001: 200 stored`.
fn line(call: &Spoken) -> String {
    let again = if call.repeat { " (again)" } else { "" };
    let fate = match &call.fate {
        Fate::Dropped => "dropped".to_owned(),
        Fate::Failed(reason) => reason.clone(),
        Fate::Answered(status, body) => {
            let answer = json::read(body, json::CALL).unwrap_or_default();
            format!("{status} {}", answer["status"].as_str().unwrap_or_default())
        }
    };
    format!("{}{again}: {}", call.topic, fate.trim_end())
}
