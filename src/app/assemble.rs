//! From the configuration to the parts that work: the recorder's policy, the sinks, the outbox.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;

use crate::{
    clock::Clock,
    config::{Config, ShopConfig},
    deliver::{HostsOf, Lane, Outbox, large_messages},
    digest,
    invoice::Archive,
    order::{ShopId, SinkName},
    receive::Credentials,
    record::{Policy, Recorder, ShopPolicy},
    sink::{self, BuildError, NameBook},
    store::{Store, StoreError},
    till::{
        api,
        reconcile::Reconciler,
        reports::Tills,
        watch::{Watch, Watched},
    },
    upkeep::{self, Keep, Nightly},
};

/// A sink of the configuration cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the sink `{sink}` cannot be used: {cause}")]
pub struct UnusableSink {
    /// Which one.
    pub sink: SinkName,
    /// Why, and what to do about it.
    pub cause: BuildError,
}

/// How many halves of the largest call's size an order may take up: two phases of that size, and what JSON adds. A call
/// of nothing but control characters, each of which takes six bytes in JSON, is more; and so are calls without end that
/// each add other fields to the same order.
const LARGEST_ORDER: usize = 5;

/// What recording has to know.
pub fn policy(config: &Config) -> Policy {
    let shop = |shop: &ShopConfig| ShopPolicy {
        shop: shop.shop.clone(),
        fetch_invoices: shop.fetch_invoices,
        invoice_wait: shop.invoice_wait,
        verify: shop.verify,
    };
    Policy {
        shops: config.shops.iter().map(|(id, one)| (id.clone(), shop(one))).collect(),
        rules: config.sinks.values().map(|sink| sink.rule.clone()).collect(),
        largest_order: LARGEST_ORDER
            .saturating_mul(usize::try_from(config.server.body_limit).unwrap_or(usize::MAX) / 2),
    }
}

/// Every sink, ready for use.
pub type Lanes = BTreeMap<SinkName, Lane>;

/// The tills that can be asked.
pub type Clients = BTreeMap<ShopId, api::Client>;

/// Makes every sink ready for use.
///
/// # Errors
/// The first sink whose options contradict themselves.
pub fn lanes(config: &Config, clock: &Arc<dyn Clock>) -> Result<Lanes, UnusableSink> {
    config.sinks.keys().map(|name| Ok((name.clone(), lane(config, name, clock)?))).collect()
}

/// The sink of this name, which must be in the configuration, ready for use.
///
/// # Errors
/// When its options contradict themselves.
pub fn lane(config: &Config, name: &SinkName, clock: &Arc<dyn Clock>) -> Result<Lane, UnusableSink> {
    let settings = &config.sinks[name];
    let context = sink::Context {
        clock: clock.clone(),
        smtp: config.smtp.clone(),
        allow_private: config.delivery.allow_private.clone(),
        timeout: settings.timeout,
        templates: config.smtp.as_ref().and_then(|smtp| smtp.templates.clone()),
    };
    let sink =
        sink::build(&settings.options, name, &context).map_err(|cause| UnusableSink { sink: name.clone(), cause })?;
    Ok(Lane {
        name: name.clone(),
        sink,
        rule: settings.rule.clone(),
        retry: settings.retry.clone(),
        timeout: settings.timeout,
        concurrency: settings.concurrency,
        pause_after: settings.pause_after,
        limit: settings.options.summaries().and_then(|summaries| summaries.limit),
    })
}

/// The outbox on an open database.
pub fn outbox(config: &Config, store: Store, clock: Arc<dyn Clock>, recorder: Recorder) -> Outbox {
    Outbox {
        store,
        clock,
        recorder,
        archive: Archive::new(config.storage.path.clone()),
        public_url: config.server.public_url.clone(),
        names: NameBook::default(),
        large: large_messages(),
    }
}

/// What the tills called things when their lists were last read.
///
/// # Errors
/// What the database says.
pub async fn names(store: &Store) -> Result<NameBook, StoreError> {
    let book = NameBook::default();
    for (shop, names) in store.till_names().await? {
        book.set(&shop, names);
    }
    Ok(book)
}

/// The summaries that sinks want. Every mail sink has a plan: it may have had a limit until now.
pub fn digests(config: &Config) -> Vec<digest::Plan> {
    let plan = |sink: &crate::config::SinkConfig| {
        let nothing =
            || sink::Summaries { cadence: None, limit: None, files: Vec::new(), reports: Vec::new(), csv: None };
        let wanted = sink.options.summaries().or_else(|| (sink.options.kind() == "email").then(nothing))?;
        Some(digest::Plan {
            rule: sink.rule.clone(),
            cadence: wanted.cadence,
            files: wanted.files,
            reports: wanted.reports,
            csv: wanted.csv,
            accounting: config.accounting.clone(),
        })
    };
    config.sinks.values().filter_map(plan).collect()
}

/// What watches the tills.
pub fn watch(config: &Config, outbox: &Outbox) -> Watch {
    let watched = |settings: &ShopConfig| Watched {
        shop: settings.shop.clone(),
        gap_after: settings.gap_after,
        silent_after: settings.silent_after,
        is_compared: settings.api.is_some(),
    };
    let Outbox { store, clock, recorder, .. } = outbox.clone();
    Watch::new(store, clock, recorder, config.shops.values().map(watched).collect())
}

/// The tills that can be asked: those of the shops with an `api`. Clones of a client share its pace, so each shop has one.
pub fn tills(config: &Config, clock: &Arc<dyn Clock>) -> Clients {
    let till = |(id, shop): (&ShopId, &ShopConfig)| {
        let credentials = shop.api.as_ref()?;
        let client = api::Client::new(credentials, clock.clone());
        let unusable = |error: &api::ApiError| {
            tracing::error!(shop.id = %id, error = error.for_log(), "the till's API cannot be used");
        };
        Some((id.clone(), client.inspect_err(unusable).ok()?))
    };
    config.shops.iter().filter_map(till).collect()
}

/// What compares the till's own list of orders with ours, for the shops whose till can be asked.
pub fn reconciler(config: &Config, outbox: &Outbox, tills: &Clients) -> Reconciler {
    let Outbox { store, clock, recorder, .. } = outbox.clone();
    let asked = |(id, client): (&ShopId, &api::Client)| Some((config.shops.get(id)?.shop.clone(), client.clone()));
    Reconciler::new(store, clock, recorder, tills.iter().filter_map(asked).collect())
}

/// The way to these tills' own reports; `None` where there is none.
pub fn reports(tills: &Clients) -> Option<digest::Reports> {
    (!tills.is_empty()).then(|| Arc::new(Tills(tills.clone())) as digest::Reports)
}

/// When backups are made by themselves; `None` where they are switched off.
pub fn nightly(config: &Config) -> Option<Nightly> {
    let zone = config.shops.values().next().map_or(TimeZone::UTC, |first| first.shop.timezone.clone());
    config.storage.backup.map(|at| Nightly { at, zone, keep: config.storage.keep_backups })
}

/// How long things are kept.
pub fn keep(config: &Config) -> Keep {
    let storage = &config.storage;
    Keep {
        raw: storage.keep_raw,
        attempts: storage.keep_attempts,
        events: storage.keep_events,
        invoices: storage.keep_invoices,
        copies: upkeep::kept_beside(storage.keep_backups),
    }
}

/// The tokens of all shops, as digests.
pub fn credentials(config: &Config) -> Credentials {
    Credentials::new(config.shops.iter().map(|(id, shop)| {
        let previous = shop.previous_token.as_ref().map_or("", |token| token.expose_secret());
        (id.clone(), shop.token.expose_secret(), previous)
    }))
}

/// Where the shops' invoice links may lead.
pub fn hosts(config: &Config) -> HostsOf {
    let hosts: BTreeMap<_, _> = config.shops.iter().map(|(id, shop)| (id.clone(), shop.till_hosts.clone())).collect();
    Arc::new(move |shop| hosts.get(shop).cloned().unwrap_or_default())
}
