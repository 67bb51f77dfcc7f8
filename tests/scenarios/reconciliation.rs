//! Orders that the till has and that were never announced: taken over from the till's own list, once, and told.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
    time::Duration,
};

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use tillhook::{
    order::Phase,
    till::{
        Encoding, TillOrder, Voice,
        api::ReportFormat,
        sandbox::{Chance, Topic, Trouble, Webhook},
    },
};

use super::digests;
use crate::harness::{App, Setup, paris, start_time};

const API: &str =
    "fetch_invoices = false\n[shop.dupont.api]\nhost = \"ORIGIN\"\nshop_id = \"4242\"\nkey = \"sandbox-key\"";
const SINKS: &str = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = []\n[sink.erp]\nHTTP\n";
const A_MINUTE: Duration = Duration::from_mins(1);
const AN_HOUR: Duration = Duration::from_hours(1);

/// The numbers that alerts name under a key.
async fn told(app: &App, key: &str) -> Vec<String> {
    let alerts = app.data_of("till.order_missing").await;
    let ids = alerts.iter().flat_map(|data| data[key].as_array().expect("a list").clone());
    ids.map(|id| id.as_str().expect("a number").to_owned()).collect()
}

async fn count(app: &App, kind: &str) -> usize {
    app.data_of(kind).await.len()
}

/// Turns the clock far enough for a call to be lost rather than late, and compares.
async fn compare(app: &App) -> bool {
    app.advance(6 * A_MINUTE).await;
    app.reconciled().await
}

#[tokio::test]
async fn an_order_that_was_never_announced_is_taken_over_once_and_its_late_call_says_nothing_new() {
    let mut app = App::start_with(API, SINKS).await;
    let known = app.sell(Phase::Validated).await;
    app.announce_and_settle(&known, Phase::Terminated).await;
    let lost = app.till.sell();
    assert!(!app.reconciled().await, "there is nothing to ask for yet");
    assert_eq!(app.orders().await.len(), 1, "its call may be on its way");

    assert!(compare(&app).await);
    assert!(compare(&app).await);
    app.halt().await;
    app.boot().await;
    assert!(compare(&app).await);
    assert_eq!(told(&app, "order_ids").await, slice::from_ref(&lost.order_id));
    let alert = app.data_of("till.order_missing").await.remove(0);
    assert_eq!((&alert["count"], &alert["source"]), (&1.into(), &"reconciliation".into()));
    let events = app.data_of("order.validated").await;
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["source"], &events[1]["source"]), (&Value::Null, &"reconciliation".into()));
    assert_eq!(app.statuses_of("erp", &lost.internal_id).await, ["delivered", "delivered"]);

    // The call names another cash box than the list did; a second one that differs is a correction.
    let other = |cash_box: &str| TillOrder { cash_box_id: cash_box.to_owned(), ..lost.clone() };
    for phase in [Phase::Validated, Phase::Terminated] {
        assert_eq!(app.announce(&other("77"), phase).await, "duplicate");
        assert_eq!(app.announce(&other("77"), phase).await, "duplicate");
    }
    assert_eq!(count(&app, "order.updated").await, 0);
    assert_eq!(app.announce(&other("78"), Phase::Validated).await, "stored");
    app.settle().await;
    assert_eq!(count(&app, "order.updated").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn the_call_of_an_order_that_was_found_is_news_where_it_tells_of_another_amount() {
    let app = App::start_with(API, SINKS).await;
    let lost = app.till.sell();
    assert!(compare(&app).await);
    let mut dearer = lost.clone();
    dearer.items[0].unit_price += Decimal::ONE;
    assert_eq!(app.announce(&dearer, Phase::Validated).await, "stored");
    assert_eq!(app.announce(&dearer, Phase::Validated).await, "duplicate");
    assert_eq!(app.announce(&lost, Phase::Terminated).await, "duplicate", "the other phase says what the list said");
    app.settle().await;
    assert_eq!(count(&app, "order.updated").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_payment_that_was_lost_long_ago_is_looked_for_until_it_is_found() {
    let mut app = App::start_with(API, SINKS).await;
    // The sandbox has it as paid at once; nobody said so here.
    let owed = app.sell(Phase::Validated).await;
    app.halt().await;
    app.clock.advance(10 * 24 * AN_HOUR);
    app.boot().await;
    assert!(compare(&app).await);
    assert_eq!(app.statuses_of("erp", &owed.internal_id).await.len(), 1, "the list does not say since when it is paid");
    app.halt().await;
    app.boot().await;
    assert!(compare(&app).await);
    assert_eq!(app.statuses_of("erp", &owed.internal_id).await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn an_announcement_that_was_lost_of_an_order_that_we_know_is_taken_over() {
    let app = App::start_with(API, SINKS).await;
    let unpaid = app.sell(Phase::Validated).await;
    let unissued = app.sell(Phase::Terminated).await;
    assert!(compare(&app).await);
    assert_eq!(app.statuses_of("erp", &unissued.internal_id).await.len(), 2);
    assert_eq!(app.statuses_of("erp", &unpaid.internal_id).await.len(), 1, "that it is paid may be on its way");
    assert!(compare(&app).await);
    assert_eq!(app.statuses_of("erp", &unpaid.internal_id).await.len(), 2);
    assert_eq!(told(&app, "order_ids").await, [""; 0]);
    assert_eq!(told(&app, "incomplete_ids").await, [unissued.order_id, unpaid.order_id]);
    app.finish().await;
}

#[tokio::test]
async fn what_was_sold_before_this_service_was_there_is_none_of_its_business() {
    let mut app = App::prepare(Setup { shop: API, sinks: SINKS, ..Setup::default() }).await;
    app.till.sell();
    app.clock.advance(AN_HOUR);
    app.boot().await;
    assert!(compare(&app).await);
    assert_eq!(app.orders().await.len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn after_ten_days_without_the_till_every_day_is_compared() {
    let app = App::start_with(API, SINKS).await;
    app.till.misbehave("getOrders.php", Some(Trouble::ServerError));
    app.sell(Phase::Validated).await;
    let mut lost = BTreeSet::new();
    for _ in 0..10 {
        lost.insert(app.till.sell_on_account().order_id);
        app.advance(24 * AN_HOUR).await;
        assert!(!app.reconciled().await);
    }
    assert_eq!(count(&app, "till.order_missing").await, 0);
    app.till.misbehave("getOrders.php", None);
    assert!(app.reconciled().await);
    assert_eq!(told(&app, "order_ids").await.into_iter().collect::<BTreeSet<_>>(), lost);
    assert_eq!(app.orders().await.len(), 11);
    app.finish().await;
}

#[tokio::test]
async fn a_person_is_told_once_when_the_list_cannot_be_had_for_a_day() {
    let mut app = App::start_with(API, SINKS).await;
    app.sell(Phase::Validated).await;
    for outage in 1..=2 {
        app.till.misbehave("getOrders.php", Some(Trouble::Refused));
        app.advance(AN_HOUR).await;
        assert!(!app.reconciled().await);
        let since = app.now();
        app.advance(23 * AN_HOUR).await;
        assert!(!app.reconciled().await);
        assert_eq!(count(&app, "till.not_compared").await, outage - 1, "a night is no reason to be told");
        app.halt().await;
        app.boot().await;
        for _ in 0..2 {
            app.advance(2 * AN_HOUR).await;
            assert!(!app.reconciled().await);
            assert_eq!(count(&app, "till.not_compared").await, outage);
        }
        let alert = app.data_of("till.not_compared").await.pop().expect("an alert");
        assert!(alert["reason"].as_str().is_some_and(|reason| reason.contains("refuses")), "{alert}");
        let told: Timestamp = alert["since"].as_str().and_then(|since| since.parse().ok()).expect("a time");
        assert!((since - told).get_seconds().abs() < 60, "{alert}");
        app.till.misbehave("getOrders.php", None);
        assert!(app.reconciled().await);
    }
    app.finish().await;
}

/// The numbers that were told as missing.
async fn missing(app: &App) -> Vec<String> {
    let alerts = app.data_of("till.order_missing").await.into_iter().filter(|alert| alert["source"] == "numbers");
    alerts.map(|alert| alert["order_ids"][0].as_str().expect("a number").to_owned()).collect()
}

/// Turns the clock for some minutes, a few seconds at a time as the till is asked at its own pace, until something holds that
/// the service does by itself.
async fn compared_by_itself(app: &App, holds: impl AsyncFn() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        let mut commits = app.store().commits();
        commits.borrow_and_update();
        app.advance(Duration::from_secs(2)).await;
        // The till answers on a socket of its own, and may have nothing new.
        let _ = tokio::time::timeout(Duration::from_millis(20), commits.changed()).await;
    }
    panic!("nothing was compared: {:?}", app.data_of("till.order_missing").await);
}

#[tokio::test]
async fn orders_that_the_tills_list_does_not_have_are_named() {
    let sinks = format!("{SINKS}[sink.accountant]\nMAIL\ndigest = {{ every = \"daily 20:00\" }}\n");
    let app = App::start_with(API, &sinks).await;
    let sold = app.sell(Phase::Validated).await;
    let forged = TillOrder { internal_id: "31337".to_owned(), order_id: "20261121999".to_owned(), ..sold.clone() };
    app.announce_and_settle(&forged, Phase::Validated).await;
    assert!(compare(&app).await);
    let unlisted = app.store().unlisted_orders(None).await.expect("an answer");
    let numbers: Vec<&str> = unlisted.iter().map(|order| order.number.as_str()).collect();
    assert_eq!(numbers, [forged.order_id.as_str()]);
    let (code, said) = app.types("orders missing").await;
    assert!(code == Some(0) && said.contains("not in the till's list") && said.contains(&forged.order_id), "{said}");
    let (_, json) = app.types("orders missing --json").await;
    assert!(
        json.contains("\"source\": \"not_in_the_list\"") || json.contains("\"source\":\"not_in_the_list\""),
        "{json}"
    );
    assert!(compare(&app).await, "again it is the same");
    assert_eq!(app.store().unlisted_orders(None).await.expect("an answer").len(), 1);
    app.advance(6 * AN_HOUR).await;
    app.until("a summary", async || app.far.mail.count() > 0).await;
    let source = String::from_utf8_lossy(&app.far.mail.mails()[0].source).into_owned();
    assert!(source.contains("absentes de la liste"), "{source}");
    app.finish().await;
}

#[tokio::test]
async fn a_hole_that_the_list_can_fill_is_told_once_as_found_and_one_that_it_cannot_as_missing() {
    let app = App::start_with(&format!("gap_after = \"10m\"\n{API}"), SINKS).await;
    app.sell(Phase::Validated).await;
    let lost = app.till.sell();
    app.sell(Phase::Validated).await;
    app.looked().await;
    app.advance(9 * A_MINUTE).await;
    app.looked().await;
    assert_eq!(count(&app, "till.order_missing").await, 0, "it may be on its way");
    // Nobody asks for it but the gap, and the hour is far from over.
    compared_by_itself(&app, async || count(&app, "till.order_missing").await > 0).await;
    app.looked().await;
    let alerts = app.data_of("till.order_missing").await;
    assert_eq!((alerts.len(), &alerts[0]["source"]), (1, &"reconciliation".into()));
    assert_eq!(told(&app, "order_ids").await, [lost.order_id]);

    // While the list cannot be had, nothing is waited for.
    app.till.misbehave("getOrders.php", Some(Trouble::ServerError));
    let unseen = app.till.sell();
    app.sell(Phase::Validated).await;
    app.looked().await;
    app.advance(11 * A_MINUTE).await;
    assert!(!app.reconciled().await);
    app.looked().await;
    assert_eq!(missing(&app).await, slice::from_ref(&unseen.order_id));
    // What it does not list either is told after a comparison.
    app.till.misbehave("getOrders.php", None);
    assert!(app.reconciled().await, "it finds the one before");
    let sold = app.till.sell();
    let number: u64 = sold.order_id.parse().expect("a number");
    let skips_one = TillOrder { order_id: (number + 1).to_string(), ..sold };
    app.announce_and_settle(&skips_one, Phase::Validated).await;
    app.looked().await;
    app.advance(9 * A_MINUTE).await;
    app.looked().await;
    assert_eq!(missing(&app).await, slice::from_ref(&unseen.order_id), "a comparison may find it");
    compared_by_itself(&app, async || missing(&app).await.len() > 1).await;
    app.looked().await;
    assert_eq!(missing(&app).await, [unseen.order_id, number.to_string()]);
    app.finish().await;
}

#[tokio::test]
async fn answers_of_the_wrong_shape_are_said_and_nothing_is_lost_or_invented() {
    let app = App::start_with(API, SINKS).await;
    let lost = app.till.sell();
    let dupont = "dupont".parse().expect("an id");
    let state = async || app.store().reconciliation(&dupont).await.expect("an answer").expect("a state");
    app.advance(6 * A_MINUTE).await;
    for (trouble, words) in [
        (Trouble::NotFound, "HTTP 404"),
        (Trouble::ServerError, "HTTP 500"),
        (Trouble::Html, "web page"),
        (Trouble::Refused, "refuses"),
        (Trouble::Empty, "nothing"),
        (Trouble::Truncated, "breaks off"),
        (Trouble::OtherNames, "none of the orders in it can be read"),
    ] {
        app.till.misbehave("getOrders.php", Some(trouble));
        assert!(!app.reconciled().await, "{trouble:?}");
        let said = state().await.trouble.expect("a trouble").reason;
        assert!(said.contains(words) && !said.contains("sandbox-key"), "{trouble:?}: {said}");
        assert_eq!(app.orders().await.len(), 0, "{trouble:?}");
    }
    app.till.misbehave("getOrders.php", Some(Trouble::PlainText));
    assert!(app.reconciled().await);
    assert_eq!((state().await.unread, told(&app, "order_ids").await), (0, vec![lost.order_id]));
    app.finish().await;
}

#[tokio::test]
async fn a_list_whose_numbers_are_not_the_announced_ones_is_not_taken_from() {
    let app = App::start_with(API, SINKS).await;
    // One is enough to know it by.
    let order = app.till.sell();
    let other = TillOrder {
        internal_id: format!("9{}", order.internal_id),
        order_id: format!("7{}", order.order_id),
        ..order.clone()
    };
    app.announce_and_settle(&other, Phase::Validated).await;
    assert!(!compare(&app).await);
    assert_eq!(app.orders().await.len(), 1, "a second one of none");
    let state = app.store().reconciliation(&"dupont".parse().expect("an id")).await.expect("an answer");
    assert!(state.and_then(|state| state.trouble).is_some_and(|trouble| trouble.reason.contains("shop_id")));
    app.finish().await;
}

/// Which calls about each order the webhook took.
pub(super) fn taken(app: &App) -> BTreeMap<String, BTreeSet<Phase>> {
    let mut taken: BTreeMap<String, BTreeSet<Phase>> = BTreeMap::new();
    for spoken in app.till.spoken() {
        let is_taken = spoken.is_taken();
        let Topic::Order(order, phase) = spoken.topic else { continue };
        let phases = taken.entry(order.order_id).or_default();
        if is_taken {
            phases.insert(phase);
        }
    }
    taken
}

/// A day of 500 orders of a shop whose webhook is down for an hour, and whose calls are lost, made twice and overtake each
/// other.
pub(super) async fn a_bad_day(app: &App, encoding: Encoding) {
    let voice = Voice { encoding, ..Voice::default() };
    let five = Chance::percent(5);
    for half_hour in 0..10_u64 {
        let drop = if matches!(half_hour, 4 | 5) { Chance::percent(100) } else { five };
        let webhook =
            Webhook { url: app.webhook(), voice, retry: 0, drop, repeat: five, reorder: true, seed: half_hour };
        app.till.call(webhook);
        for _ in 0..50 {
            let order = app.till.sell();
            app.till.announce(&order, Phase::Validated);
            app.till.announce(&order, Phase::Terminated);
        }
        app.till.calls_done().await;
        app.advance(30 * A_MINUTE).await;
    }
}

/// What the till's own report of the day (`getSales.php`) says by rate, in cents: VAT, and with VAT.
async fn rates_of_the_till(app: &App) -> BTreeMap<String, (i64, i64)> {
    let (_, till) = app.tills().pop_first().expect("a till");
    let day = start_time().to_zoned(paris()).date();
    let csv = till.report(Some(day), ReportFormat::Csv).await.expect("a report").bytes;
    let csv = std::str::from_utf8(&csv).expect("text");
    let mut rates: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let [_, _, kind, rate, _, vat, gross] = line.split(';').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if kind == "total" {
            continue;
        }
        let amount = |cell: &str| cell.parse::<Decimal>().expect("an amount");
        let sum = rates.entry(amount(rate).normalize().to_string().replace('.', ",")).or_default();
        *sum = (sum.0 + digests::in_cents(amount(vat)), sum.1 + digests::in_cents(amount(gross)));
    }
    rates
}

async fn a_day_in(encoding: Encoding) {
    const ACCOUNTANT: &str = "[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\nattach = [\"vat.csv\"]\n\
                              [sink.archive]\nHTTP\non = [\"order.validated\"]\nper_order = \"once\"\n";
    let app = App::start_with(API, &format!("{SINKS}{ACCOUNTANT}")).await;
    a_bad_day(&app, encoding).await;
    assert!(compare(&app).await);
    // A payment that was lost is taken over when it was not on its way any more.
    assert!(compare(&app).await);

    let orders = app.till.orders();
    assert_eq!((orders.len(), app.orders().await.len()), (500, 500), "{encoding}");
    assert_eq!(count(&app, "order.updated").await, 0, "{encoding}");
    let mut got: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in app.deliveries("erp").await {
        assert_eq!(line.status, "delivered");
        *got.entry((line.internal_id.expect("an order"), line.event_type)).or_default() += 1;
    }
    assert!(got.len() == 1_000 && got.values().all(|count| *count == 1), "{encoding}: each announcement once");
    let archived = app.deliveries("archive").await;
    let archived: Vec<_> = archived.iter().filter(|line| line.status == "delivered").collect();
    let once: BTreeSet<_> = archived.iter().filter_map(|line| line.internal_id.clone()).collect();
    assert_eq!((archived.len(), once.len()), (500, 500), "{encoding}: each order once");

    let taken = taken(&app);
    let lost: BTreeSet<String> =
        taken.iter().filter(|(_, phases)| phases.is_empty()).map(|(order, _)| order.clone()).collect();
    let half = taken.values().filter(|phases| phases.len() == 1).count();
    assert!(lost.len() >= 100 && half > 10, "{encoding}: it was a bad day");
    let alerts = app.data_of("till.order_missing").await;
    let sum = |key: &str| alerts.iter().filter_map(|data| data[key].as_u64()).sum::<u64>();
    assert_eq!((sum("count"), sum("incomplete_count")), (lost.len() as u64, half as u64), "{encoding}");
    assert!(told(&app, "order_ids").await.iter().all(|number| lost.contains(number)), "{encoding}");

    app.advance(AN_HOUR).await;
    assert_eq!(digests::rates(&app).await, rates_of_the_till(&app).await, "{encoding}: to the cent");
    app.finish().await;
}

/// A test of its own for each encoding: a day takes its time.
macro_rules! bad_days {
    ($($name:ident = $encoding:ident,)*) => {
        mod after_a_bad_day_every_sink_has_every_order_once_and_the_summary_is_the_tills {
            $(#[tokio::test]
            async fn $name() {
                super::a_day_in(super::Encoding::$encoding).await;
            })*
        }
    };
}

bad_days! {
    as_a_form = Form,
    in_brackets = Brackets,
    as_json = Json,
    as_json_in_json = JsonTwice,
    in_parts = Multipart,
    in_a_query = Get,
}
