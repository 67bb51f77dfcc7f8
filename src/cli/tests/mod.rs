//! The commands at a desk with a real database: what they print, and how they end.

mod by_hand;
mod customers;
mod export;
mod listings;
mod offline;

use std::{fs, sync::Arc};

use bytes::Bytes;
use clap::Parser as _;
use tempfile::TempDir;

use super::{
    Cli, Exit,
    args::{AtDesk, Command},
    desk::Desk,
    exit_of,
    run::at_desk,
};
use crate::{
    clock::{Clock, ManualClock},
    config::{Environment, Source, load},
    decode::{self, Input},
    order::{DeliveryId, ShopId},
    record::{Call, Origin, Raw},
    store::{Access, AttemptRow, DeliveryFilter, DeliveryLine, Finished, Found, Shared, Started, Store, Verdict},
};

/// A desk at 14:05 in Paris, with two shops and three sinks.
pub(super) struct Office {
    pub desk: Desk,
    pub dir: TempDir,
}

/// The configuration; `DIR` stands for the directory.
const CONFIG: &str = r#"
[storage]
path = "DIR"
[shop.dupont]
name = "Boulangerie Dupont"
token = "0123456789abcdef-dupont"
[shop.martin]
name = "Martin"
token = "0123456789abcdef-martin"
[sink.books]
type = "folder"
path = "DIR/books"
per_order = "once"
on = ["order.validated"]
[sink.erp]
type = "folder"
path = "DIR/erp"
[sink.quiet]
type = "folder"
path = "DIR/quiet"
on = []
"#;

impl Office {
    pub async fn open() -> Self {
        Self::open_with("").await
    }

    /// The same with `more` at the end of the configuration.
    pub async fn open_with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        fs::write(&path, (CONFIG.to_owned() + more).replace("DIR", dir.path().to_str().unwrap())).unwrap();
        let config = load(&Source::File(path), &Environment::default()).unwrap().config;
        let clock = ManualClock::new("2026-11-21T13:05:00Z".parse().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let store = Store::open(&config.storage.path, Access::Service).await.unwrap();
        let known = config.sinks.keys().filter(|name| name.as_str() != "quiet").cloned().collect();
        store.declare_sinks(known, clock.now()).await.unwrap();
        Self { desk: Desk::at(config, store, clock), dir }
    }

    /// The till of `shop` calls.
    pub async fn call(&self, shop: &str, body: &str) {
        let shop: ShopId = shop.parse().unwrap();
        let input = Input { body: body.as_bytes(), ..Input::default() };
        let settings = self.desk.recorder.shop(&shop).unwrap();
        let decoded = decode::decode(&input, &settings.shop).map_err(|unreadable| unreadable.reason);
        let raw = Raw {
            method: "POST".to_owned(),
            content_type: Some("text/plain".to_owned()),
            query: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            announced: None,
        };
        self.desk.recorder.accept(Call { shop, raw, origin: Origin::Till }, || decoded).await.unwrap();
    }

    /// An order of 43.80 is announced with its invoice.
    pub async fn order(&self, shop: &str, number: &str, internal_id: &str) {
        let body = format!("type=validated&orderID={number}&orderInternalID={internal_id}&price=43.80&VAT=5.35");
        self.call(shop, &body).await;
    }

    /// Types a command.
    pub async fn run(&self, command: &str) -> (Exit, String) {
        let words = ["tillhook"].into_iter().chain(command.split(' '));
        let Command::AtDesk(command) = Cli::try_parse_from(words).unwrap().command else { panic!("not at a desk") };
        self.carry_out(&command).await
    }

    async fn carry_out(&self, command: &AtDesk) -> (Exit, String) {
        let mut out = Vec::new();
        match at_desk(command, &self.desk, &mut out).await {
            Ok(exit) => (exit, String::from_utf8(out).unwrap()),
            Err(error) => (exit_of(&error), error.to_string()),
        }
    }

    /// Types a command that succeeds.
    pub async fn ok(&self, command: &str) -> String {
        let (exit, said) = self.run(command).await;
        assert_eq!(exit, Exit::Ok, "{said}");
        said
    }

    /// The deliveries to a sink, oldest first.
    pub async fn deliveries(&self, sink: &str) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter { sink: Some(sink.to_owned()), limit: 100, ..DeliveryFilter::default() };
        let mut lines = self.desk.store.list_deliveries(&filter, self.desk.now()).await.unwrap().into_parts().0;
        lines.reverse();
        lines
    }

    /// An attempt at the delivery that is due next to `sink` ends like this.
    pub async fn attempt(&self, sink: &str, verdict: Verdict) -> DeliveryId {
        self.attempt_for(sink, verdict, Shared::default()).await
    }

    /// The same where it goes to several.
    pub async fn attempt_for(&self, sink: &str, verdict: Verdict, shared: Shared) -> DeliveryId {
        let (sink, now) = (sink.parse().unwrap(), self.desk.now());
        let found = self.desk.store.candidates(&sink, now, 1, true).await.unwrap().remove(0);
        let Found::Candidate(candidate) = found else { panic!("{found:?}") };
        let started =
            Started { id: candidate.id, version: candidate.version, how: Ok(None), without_invoice: false, at: now };
        assert_eq!(self.desk.store.start(vec![started]).await.unwrap(), [candidate.id]);
        let delivered = matches!(verdict, Verdict::Delivered { .. });
        let attempt = AttemptRow {
            number: candidate.attempts + 1,
            at: now,
            ended_at: now,
            took: std::time::Duration::from_millis(12),
            verdict: if delivered { "delivered" } else { "retry" },
            reason: (!delivered).then_some("connect"),
            status: delivered.then(|| "200".to_owned()),
            excerpt: (!delivered).then(|| "connection refused".to_owned()),
        };
        let finished = Finished { id: candidate.id, sink, verdict, attempt, hold_until: None, pause: None, shared };
        self.desk.store.finish(finished, Untold).await.unwrap();
        candidate.id
    }
}

/// The text with every id cut to its kind: `dlv_#`.
pub(super) fn without_ids(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = ["dlv_", "evt_", "rcp_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, id) = rest.split_at(at + 4);
        kept.extend([before, "#"]);
        rest = id.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    kept + rest
}

/// Nobody is told of how an attempt ended.
struct Untold;

impl crate::store::Review for Untold {
    type News = ();

    fn refused(&self, _: &crate::store::RefusedRecipient, _: (u64, u64)) -> Option<crate::store::Changes> {
        None
    }

    fn news(&self, _: &crate::store::SinkState, _: bool, _: bool) -> Option<()> {
        None
    }

    fn pauses<'a>(&self, (): &'a ()) -> Option<&'a str> {
        None
    }

    fn tell(&self, _: &crate::store::SinkState, (): (), _: u64, _: u64) -> crate::store::Changes {
        crate::store::Changes::default()
    }
}
