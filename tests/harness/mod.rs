//! The whole service in this process: a till in front of it, far sides behind it, and a clock that is turned by hand.
//!
//! A test ends with [`App::finish`], which fails when deliveries are left over that the test did not account for; a test
//! that forgets to call it fails as well.

pub mod program;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use tempfile::TempDir;
use tillhook::{
    app::{
        self, Running, StartError, assemble,
        demo::far_sides::{FarSides, loopback},
    },
    clock::{Clock, ManualClock},
    config::{self, Config, Environment, Source},
    json,
    order::{Phase, SinkName},
    sink::signature::Secret,
    store::{DeliveryFilter, DeliveryLine, InvoiceLine, OrderFilter, OrderLine, SinkState, Store, StoredAttempt},
    till::{
        self, Announcement, TillOrder, Voice,
        sandbox::{Options, Sandbox},
    },
};

/// When every test begins: a Saturday afternoon in Paris.
pub const START: &str = "2026-11-21T13:00:00Z";

/// The secret part of the webhook address.
pub const TOKEN: &str = "till-token-for-the-tests-0123456789";

/// The secret that signed HTTP calls carry.
pub const WHSEC: &str = "whsec_dGlsbGhvb2stdGVzdHMtc2lnbmluZy1zZWNyZXQ=";

/// How long a test waits for something that should take milliseconds: only a hang is longer.
pub const HANG: Duration = Duration::from_secs(20);

/// The service and everything around it.
pub struct App {
    pub clock: ManualClock,
    /// The shop's till.
    pub till: Sandbox,
    /// A mailbox, a Slack channel and a webhook receiver that behave well.
    pub far: FarSides,
    /// The configuration up to the sinks.
    head: String,
    config: Config,
    running: Option<Running>,
    directory: TempDir,
    finished: bool,
}

/// What differs from the usual configuration.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// More keys of the shop, and tables that follow it; `ORIGIN` in it stands for where the till is.
    pub shop: &'a str,
    /// The sinks.
    pub sinks: &'a str,
    /// The keys of `[delivery]`.
    pub delivery: &'a str,
    /// More keys of `[storage]`.
    pub storage: &'a str,
    /// Where else invoices may come from.
    pub till_host: Option<&'a str>,
    /// The mail server and how to sign in, where that is not the mailbox that behaves well.
    pub smtp: Option<(SocketAddr, &'a str)>,
    /// When the nightly backup is made.
    pub backup: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        let delivery = "allow_private = [\"127.0.0.0/8\"]";
        Self { shop: "", sinks: "", delivery, storage: "", till_host: None, smtp: None, backup: "off" }
    }
}

impl App {
    /// Starts a service whose configuration ends with `sinks`; `MAIL`, `SLACK` and `HTTP` in it stand for the keys that
    /// reach the far sides that behave well.
    pub async fn start(sinks: &str) -> Self {
        Self::start_with("", sinks).await
    }

    /// The same with more keys in the shop's table.
    pub async fn start_with(shop: &str, sinks: &str) -> Self {
        Self::set_up(Setup { shop, sinks, ..Setup::default() }).await
    }

    /// The same with anything else changed too.
    pub async fn set_up(setup: Setup<'_>) -> Self {
        let mut app = Self::prepare(setup).await;
        app.boot().await;
        app
    }

    /// Everything but the service, which [`App::boot`] starts.
    pub async fn prepare(setup: Setup<'_>) -> Self {
        tillhook::app::telemetry::install_cryptography();
        let clock = ManualClock::new(START.parse().expect("a time"));
        let options = Options { seed: 7, zone: paris(), clock: Arc::new(clock.clone()) };
        let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
        let secret: Secret = WHSEC.parse().expect("a secret");
        let far = FarSides::start(Arc::new(clock.clone()), secret).await.expect("far sides");
        let directory = TempDir::new().expect("a directory");
        let head = Self::head(&directory, &till, &far, setup);
        let config = Self::configure(&directory, &far, &head, setup.sinks);
        Self { clock, till, far, head, config, running: None, directory, finished: false }
    }

    /// The configuration up to the sinks; it ends inside `[delivery]`.
    fn head(directory: &TempDir, till: &Sandbox, far: &FarSides, setup: Setup<'_>) -> String {
        let Setup { shop, delivery, storage, till_host, smtp, backup, .. } = setup;
        let (smtp_addr, smtp_keys) = smtp.unwrap_or((far.mail_addr, ""));
        // Most tests leave numbers out and turn the clock by hours.
        let off = |key| if shop.contains(key) { String::new() } else { format!("{key} = \"off\"\n") };
        let watch = ["gap_after", "silent_after"].map(off).concat();
        let shop = shop.replace("ORIGIN", till.origin());
        let till_hosts: Vec<_> = [Some(till.origin()), till_host].into_iter().flatten().collect();
        format!(
            r#"
            [server]
            listen = "127.0.0.1:0"
            public_url = "https://hooks.dupont.example"
            [storage]
            path = "{data}"
            backup = "{backup}"
            {storage}
            [smtp]
            host = "127.0.0.1"
            port = {port}
            tls = "none"
            from = "Boulangerie Dupont <caisse@dupont.example>"
            {smtp_keys}
            [shop.dupont]
            name = "Boulangerie Dupont"
            token = "{TOKEN}"
            till_hosts = {till_hosts:?}
            {watch}
            {shop}
            [delivery]
            {delivery}
            "#,
            data = directory.path().join("data").display(),
            port = smtp_addr.port(),
        )
    }

    fn configure(directory: &TempDir, far: &FarSides, head: &str, sinks: &str) -> Config {
        let path = directory.path().join("tillhook.toml");
        let sinks = sinks
            .replace("MAIL", "type = \"email\"\nto = [\"compta@cabinet-martin.example\"]")
            .replace("SLACK", &format!("type = \"slack\"\nurl = \"{}\"", far.slack_url))
            .replace("HTTP", &format!("type = \"http\"\nurl = \"{}\"\nsecret = \"{WHSEC}\"", far.http_url));
        std::fs::write(&path, format!("{head}{sinks}\n")).expect("a configuration file");
        match config::load(&Source::File(path), &Environment::default()) {
            Ok(loaded) => loaded.config,
            Err(problems) => panic!("the test's configuration is wrong:\n{problems}"),
        }
    }

    /// Replaces the end of the configuration while the service runs, as SIGHUP does.
    pub async fn reconfigure(&mut self, sinks: &str) {
        self.config = Self::configure(&self.directory, &self.far, &self.head, sinks);
        let reloaded = self.running.as_mut().expect("a running service").reload(&self.config).await;
        reloaded.unwrap_or_else(|error| panic!("the service does not reload: {error}"));
    }

    /// Writes something else into the configuration before its sinks; [`App::reconfigure`] puts it into effect.
    pub fn change_head(&mut self, old: &str, new: &str) {
        assert!(self.head.contains(old), "it was written");
        self.head = self.head.replace(old, new);
    }

    /// The same with another `public_url`.
    pub async fn move_to(&mut self, public_url: &str, sinks: &str) {
        let line = |url: &str| format!("public_url = \"{url}\"");
        let old = self.config.server.public_url.as_ref().expect("an address").as_str().trim_end_matches('/');
        let old = line(old);
        self.rewrite(&old, &line(public_url), sinks).await;
    }

    /// The same with something changed in what stands before the sinks.
    pub async fn rewrite(&mut self, old: &str, new: &str, sinks: &str) {
        assert!(self.head.contains(old), "{old} is in the configuration");
        self.head = self.head.replace(old, new);
        self.reconfigure(sinks).await;
    }

    /// Looks whether orders are missing, as the service does every half minute.
    pub async fn looked(&self) {
        let watch = assemble::watch(&self.config, &self.service().outbox);
        watch.pass().await.expect("the database answers");
        self.settle().await;
    }

    /// Compares the till's own list of orders with ours, as the service does every hour. The clock is turned while the till
    /// is given a pause.
    pub async fn reconciled(&self) -> bool {
        let reconciler = self.service().reconciler.clone();
        let pass = async { reconciler.lock().await.pass().await };
        tokio::pin!(pass);
        let ended = loop {
            match tokio::time::timeout(Duration::from_millis(20), &mut pass).await {
                Ok(ended) => break ended,
                Err(_) => self.clock.advance(Duration::from_secs(1)),
            }
        };
        self.settle().await;
        ended
    }

    /// The ways to the tills' own API.
    pub fn tills(&self) -> assemble::Clients {
        assemble::tills(&self.config, &self.service().outbox.clock)
    }

    /// Starts the service on its directory.
    pub async fn boot(&mut self) {
        self.try_boot().await.unwrap_or_else(|error| panic!("the service does not start: {error}"));
    }

    /// Starts the service on its directory, or says why it refuses.
    pub async fn try_boot(&mut self) -> Result<(), StartError> {
        let listener = loopback().await.expect("a port");
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        self.running = Some(app::serve(&self.config, clock, listener).await?);
        Ok(())
    }

    /// Stops the service; its directory stays.
    pub async fn halt(&mut self) {
        self.running.take().expect("a running service").stop().await;
    }

    pub fn service(&self) -> &Running {
        self.running.as_ref().expect("a running service")
    }

    pub fn store(&self) -> &Store {
        &self.service().store
    }

    /// The webhook address of the shop.
    pub fn webhook(&self) -> String {
        format!("http://{}/in/{TOKEN}", self.service().addr)
    }

    /// The data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// The till makes a call; returns the status and the JSON of the answer.
    pub async fn call(&self, announcement: &Announcement) -> (u16, Value) {
        self.call_at(TOKEN, announcement).await
    }

    /// The same at the webhook of another shop.
    pub async fn call_at(&self, token: &str, announcement: &Announcement) -> (u16, Value) {
        let url = self.webhook().replace(TOKEN, token);
        let answer = till::post(announcement, &url).await.expect("an answer");
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// The till announces a phase of an order; returns the word of the answer.
    pub async fn announce(&self, order: &TillOrder, phase: Phase) -> String {
        self.announce_as(order, phase, Voice::default()).await
    }

    /// The same in another encoding.
    pub async fn announce_as(&self, order: &TillOrder, phase: Phase, voice: Voice) -> String {
        let (status, answer) = self.call(&till::encode(order, phase, voice)).await;
        assert_eq!(status, 200, "the till is answered 200");
        answer["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The till announces a phase of an order, and everything that follows from it is done.
    pub async fn announce_and_settle(&self, order: &TillOrder, phase: Phase) {
        self.announce(order, phase).await;
        self.settle().await;
    }

    /// The till sells something and announces a phase of it, and everything that follows from it is done.
    pub async fn sell(&self, phase: Phase) -> TillOrder {
        let order = self.till.sell();
        self.announce_and_settle(&order, phase).await;
        order
    }

    /// The till sells something, and announces a phase of it, without an invoice to fetch.
    pub async fn announce_without_pdf(&self, phase: Phase) -> TillOrder {
        let order = TillOrder { pdf_url: None, ..self.till.sell() };
        self.announce(&order, phase).await;
        order
    }

    /// The till sends a form with these fields.
    pub async fn post_form(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        self.call(&form(fields)).await
    }

    /// The same; returns the word of the answer.
    pub async fn say(&self, fields: &[(&str, &str)]) -> String {
        let (status, answer) = self.post_form(fields).await;
        assert_eq!(status, 200, "the till is answered 200");
        answer["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The till sends this JSON; returns the word of the answer.
    pub async fn say_json(&self, json: Value) -> String {
        let body = json.to_string().into_bytes();
        let content_type = Some("application/json".to_owned());
        let (status, answer) =
            self.call(&Announcement { method: http::Method::POST, query: None, content_type, body }).await;
        assert_eq!(status, 200, "the till is answered 200");
        answer["status"].as_str().unwrap_or_default().to_owned()
    }

    /// What time it is for the service.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Turns the clock, and waits until everything that is due by then is done. What is under way ends first: turned
    /// meanwhile, the clock would end it.
    pub async fn advance(&self, by: Duration) {
        self.settle().await;
        self.run_out(by).await;
    }

    /// The same while something is under way that is to run out of time, or is kept waiting by a far side's pace.
    pub async fn run_out(&self, by: Duration) {
        self.clock.advance(by);
        self.settle().await;
    }

    /// Waits until nothing is due, in flight or to be fetched.
    pub async fn settle(&self) {
        let mut commits = self.store().commits();
        loop {
            commits.borrow_and_update();
            if self.store().is_settled(self.clock.now()).await.expect("the database answers") {
                return;
            }
            let waited = tokio::time::timeout(HANG, commits.changed()).await;
            if waited.is_err() {
                panic!("nothing happens any more, and this is left:\n{:#?}", self.open_deliveries().await);
            }
        }
    }

    /// The same with sinks that keep a pace: turns the clock by two seconds where they are all that is left. A far side
    /// that was told too soon all the same (the clock was turned while a message was on its way) is told again.
    pub async fn settle_at_pace(&self, paced: &[&str]) {
        loop {
            self.settle_but(paced).await;
            let mut commits = self.store().commits();
            commits.borrow_and_update();
            let settled = self.store().is_settled(self.clock.now()).await.expect("the database answers");
            let left = self.open_deliveries().await;
            let is_told_again = |line: &DeliveryLine| line.status == "retrying" && paced.contains(&line.sink.as_str());
            if settled && !left.iter().any(is_told_again) {
                return;
            }
            if !left.iter().any(|line| line.status == "sending") {
                self.clock.advance(Duration::from_secs(2));
            }
            if !settled {
                tokio::time::timeout(HANG, commits.changed()).await.expect("a paced sink goes on").expect("a store");
            }
        }
    }

    /// Waits until nothing is due or in flight but for these sinks, whatever they are at.
    pub async fn settle_but(&self, sinks: &[&str]) {
        self.until("only these sinks have something to do", async || {
            let now = self.clock.now();
            let busy = |line: &DeliveryLine| match line.status.as_str() {
                "sending" => true,
                "due" => line.behind.is_none(),
                _ => line.status == "retrying" && line.next_attempt_at.is_some_and(|at| at <= now),
            };
            let lines = self.open_deliveries().await;
            !lines.iter().any(|line| busy(line) && !sinks.contains(&line.sink.as_str()))
        })
        .await;
    }

    /// Waits until something holds, looking again after each commit.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let mut commits = self.store().commits();
        loop {
            commits.borrow_and_update();
            if holds().await {
                return;
            }
            let waited = tokio::time::timeout(HANG, commits.changed()).await;
            if waited.is_err() {
                panic!("it never came to this: {what}; left are\n{:#?}", self.open_deliveries().await);
            }
        }
    }

    /// Waits until this many events of a type are recorded, and returns the data of all of them.
    pub async fn told(&self, kind: &str, count: usize) -> Vec<Value> {
        self.until(kind, async || self.data_of(kind).await.len() >= count).await;
        self.data_of(kind).await
    }

    /// What is known of a sink.
    pub async fn sink(&self, name: &str) -> SinkState {
        let state = self.store().sink_state(&name.parse().expect("a name")).await.expect("the database answers");
        state.expect("a sink that runs")
    }

    /// The attempts at a sink's deliveries, the oldest delivery first.
    pub async fn attempts(&self, sink: &str) -> Vec<StoredAttempt> {
        let mut attempts = Vec::new();
        for line in self.deliveries(sink).await {
            let delivery = self.store().delivery(line.id).await.expect("the database answers");
            attempts.extend(delivery.expect("a delivery").attempts);
        }
        attempts
    }

    /// Waits for the nth event of a type, and until what follows from it is done; returns its data. An alert is written
    /// after the attempt that causes it, so a settled outbox does not mean that it is there.
    pub async fn event(&self, kind: &str, nth: usize) -> Value {
        let data = self.told(kind, nth).await.swap_remove(nth - 1);
        self.settle().await;
        data
    }

    /// Somebody pauses a sink by hand.
    pub async fn pause(&self, sink: &str) {
        let paused = self.store().pause_sink(&name(sink), "by hand", self.clock.now()).await;
        assert!(paused.expect("the database answers"), "it was running");
    }

    /// Somebody resumes a sink by hand.
    pub async fn resume(&self, sink: &str) {
        let resumed = self.store().resume_sink(&name(sink), self.clock.now()).await;
        assert!(resumed.expect("the database answers"), "it was paused");
    }

    /// The status of a sink: `ok`, `failing` or `paused`.
    pub async fn sink_status(&self, sink: &str) -> String {
        let lines = self.store().list_sinks().await.expect("the database answers");
        lines.into_iter().find(|line| line.name == name(sink)).expect("the sink").status
    }

    /// Every invoice, of the oldest order first.
    pub async fn invoices(&self) -> Vec<InvoiceLine> {
        let mut lines = self.store().list_invoices(10_000).await.expect("the database answers").into_parts().0;
        lines.reverse();
        lines
    }

    /// The deliveries of a sink, oldest first.
    pub async fn deliveries(&self, sink: &str) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter { sink: Some(sink.to_owned()), limit: 10_000, ..DeliveryFilter::default() };
        let mut lines =
            self.store().list_deliveries(&filter, self.clock.now()).await.expect("the database answers").into_parts().0;
        lines.reverse();
        lines
    }

    /// The statuses of a sink's deliveries, oldest first; a skipped one with its rule.
    pub async fn statuses(&self, sink: &str) -> Vec<String> {
        self.deliveries(sink).await.into_iter().map(shown).collect()
    }

    /// The same of the deliveries about one order.
    pub async fn statuses_of(&self, sink: &str, internal_id: &str) -> Vec<String> {
        let about = |line: &DeliveryLine| line.internal_id.as_deref() == Some(internal_id);
        self.deliveries(sink).await.into_iter().filter(about).map(shown).collect()
    }

    /// Every order, oldest first.
    pub async fn orders(&self) -> Vec<OrderLine> {
        let filter = OrderFilter { shop: None, limit: 10_000 };
        let mut lines = self.store().list_orders(&filter).await.expect("the database answers").into_parts().0;
        lines.reverse();
        lines
    }

    /// What one column of the database file says, as somebody would read it who has the file.
    pub async fn column(&self, sql: &'static str) -> Vec<String> {
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data().join("tillhook.db")).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(file).await.expect("the database file");
        let rows = sqlx::query_scalar(sql).fetch_all(&pool).await.expect("an answer");
        pool.close().await;
        rows
    }

    /// Types a command in another process, as an operator does beside the running service; returns its exit code, and what it
    /// printed on both outputs. Its clock is the system's.
    pub async fn types(&self, words: &str) -> (Option<i32>, String) {
        let mut command = self.command(words);
        // The service goes on meanwhile: it may be in the middle of a commit.
        let running = tokio::task::spawn_blocking(move || command.output().expect("the program"));
        let output = running.await.expect("no panic");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), said.concat())
    }

    /// A command on the directory of the service; the words are what is typed.
    pub fn command(&self, words: &str) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tillhook"));
        command.env_clear().arg("--config").arg(self.directory.path().join("tillhook.toml")).args(words.split(' '));
        command
    }

    /// Changes what is on disk behind the program's back.
    pub async fn spoil(&self, sql: &'static str, values: &[&str]) -> u64 {
        spoil(&self.data(), sql, values).await
    }

    /// The types of every event, in the order of commit.
    pub async fn events(&self) -> Vec<String> {
        let events = self.store().events_after(0, 100_000).await.expect("the database answers");
        events.iter().map(|event| event.kind.as_str().to_owned()).collect()
    }

    /// The data of every event of a type, in the order of commit.
    pub async fn data_of(&self, kind: &str) -> Vec<Value> {
        let events = self.store().events_after(0, 100_000).await.expect("the database answers");
        let wanted = events.iter().filter(|event| event.kind.as_str() == kind);
        wanted.map(|event| json::ours(&event.data).expect("JSON")).collect()
    }

    async fn open_deliveries(&self) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() };
        let mut lines =
            self.store().list_deliveries(&filter, self.clock.now()).await.expect("the database answers").into_parts().0;
        lines.retain(|line| !matches!(line.status.as_str(), "delivered" | "skipped" | "dead"));
        lines
    }

    /// Ends the test of a service that does not start.
    pub fn give_up(mut self) {
        assert!(self.running.is_none(), "it did start");
        self.finished = true;
    }

    /// Ends the test: every delivery is over.
    pub async fn finish(self) {
        self.finish_leaving(0).await;
    }

    /// Ends the test: every delivery is over but for this many.
    pub async fn finish_leaving(mut self, left: usize) {
        self.settle().await;
        let open = self.open_deliveries().await;
        assert_eq!(open.len(), left, "deliveries are left over: {open:#?}");
        self.halt().await;
        self.finished = true;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a test has to end with `finish`");
    }
}

fn shown(line: DeliveryLine) -> String {
    match line.skipped_because {
        Some(rule) => format!("skipped: {rule}"),
        None => line.status,
    }
}

/// Changes what is in the database of a data directory, whatever its own checks say; returns how many rows.
pub async fn spoil(data: &std::path::Path, sql: &'static str, values: &[&str]) -> u64 {
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("tillhook.db"));
    let file = file.pragma("ignore_check_constraints", "ON");
    let pool = sqlx::SqlitePool::connect_with(file).await.expect("the database file");
    let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
    let done = query.execute(&pool).await.expect("a change");
    pool.close().await;
    done.rows_affected()
}

/// A form as the till sends it.
pub fn form(fields: &[(&str, &str)]) -> Announcement {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Announcement {
        method: http::Method::POST,
        query: None,
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: body.into_bytes(),
    }
}

/// A call that says nothing about what it is.
pub fn raw(body: impl Into<Vec<u8>>) -> Announcement {
    let content_type = Some("application/octet-stream".to_owned());
    Announcement { method: http::Method::POST, query: None, content_type, body: body.into() }
}

pub fn name(sink: &str) -> SinkName {
    sink.parse().expect("a name")
}

pub fn paris() -> TimeZone {
    TimeZone::get("Europe/Paris").expect("a time zone")
}

pub fn start_time() -> Timestamp {
    START.parse().expect("a time")
}
