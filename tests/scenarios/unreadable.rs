//! One row that cannot be read stops nothing else: not the other calls of its moment, not the other deliveries, not the
//! summaries, not the start, not what is removed at its age.

use std::time::Duration;

use futures_util::future::join_all;
use tillhook::{app::demo::mime, order::Phase, till::TillOrder};

use crate::harness::{App, Setup};

const SINKS: &str = "[sink.erp]\nHTTP\n[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\n";

/// What cannot be read for its own reason each.
const CUT_OFF: &str = "{\"validated\":{\"dates\":";
const NOT_JSON: &str = "Bonjour, ceci n'est pas du JSON";
const NOT_OURS: &str = "[1,2,3]";

/// JSON of this many levels, where an order, or one phase of it, has a field that nobody knows.
fn nested(levels: usize) -> String {
    format!("{{\"dates\":{{}},\"extra\":{{\"x\":{}1{}}}}}", "[".repeat(levels), "]".repeat(levels))
}

/// What the next call about an order comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    /// What was said of it cannot be known.
    SetAside,
    /// Nothing of it has to be known.
    Stored,
}
use Next::{SetAside, Stored};

/// A statement that spoils what is stored of the order whose key is `$1`, with `$2`.
const CASES: &[(&str, &str, Next)] = &[
    ("UPDATE customer_order SET timeline = $2 WHERE key = $1", CUT_OFF, SetAside),
    ("UPDATE customer_order SET timeline = $2 WHERE key = $1", NOT_JSON, SetAside),
    ("UPDATE customer_order SET timeline = $2 WHERE key = $1", NOT_OURS, SetAside),
    ("UPDATE customer_order SET timeline = $2 WHERE key = $1", "DEEP", SetAside),
    ("UPDATE customer_order SET timeline = $2 || CAST(x'ff' AS TEXT) WHERE key = $1", "", SetAside),
    ("UPDATE customer_order SET told = $2 WHERE key = $1", "[\"erp\"", SetAside),
    ("UPDATE customer_order SET told = $2 WHERE key = $1", "[\"No Name!\"]", SetAside),
    ("UPDATE customer_order SET key = $2 WHERE key = $1", "ord_none", SetAside),
    ("UPDATE customer_order SET received_at = 9223372036854775807 WHERE key = $1 AND $2 <> ''", "x", SetAside),
    ("UPDATE customer_order SET order_id = CAST(x'ff' AS TEXT) || $2 WHERE key = $1", "", SetAside),
    ("UPDATE announcement SET fingerprint = x'00' WHERE order_key = $1 AND $2 <> ''", "x", SetAside),
    ("UPDATE announcement SET phase = $2 WHERE order_key = $1", "sung", SetAside),
    ("UPDATE announcement SET event_id = $2 WHERE order_key = $1", "evt_none", SetAside),
    ("UPDATE delivery SET id = $2 || rowid WHERE order_key = $1", "dlv_none", SetAside),
    ("UPDATE delivery SET sink = $2 WHERE order_key = $1", "No Name!", SetAside),
    ("UPDATE delivery SET event_id = $2 WHERE order_key = $1", "evt_none", SetAside),
    ("UPDATE delivery SET purpose = $2 WHERE order_key = $1", "song", SetAside),
    ("UPDATE delivery SET attempts = -1 WHERE order_key = $1 AND $2 <> ''", "x", SetAside),
    ("UPDATE invoice SET status = $2 WHERE order_key = $1", "eaten", SetAside),
    ("UPDATE invoice SET first_seen_at = -9223372036854775807 WHERE order_key = $1 AND $2 <> ''", "x", SetAside),
    ("UPDATE delivery SET payload = $2 WHERE order_key = $1", CUT_OFF, Stored),
    ("UPDATE event SET data = $2 WHERE order_key = $1", NOT_JSON, Stored),
    ("UPDATE event SET data = $2 WHERE order_key = $1", "DEEP", Stored),
    ("UPDATE event SET type = $2 WHERE order_key = $1", "order.sung", Stored),
    ("UPDATE event SET at = 9223372036854775807 WHERE order_key = $1 AND $2 <> ''", "x", Stored),
    ("UPDATE customer_order SET last_event = $2 WHERE key = $1", "evt_none", Stored),
    ("UPDATE customer_order SET booked_on = $2 WHERE key = $1", "some day", Stored),
    (
        "UPDATE attempt SET at = 9223372036854775807 WHERE $2 <> ''
      AND delivery_id IN (SELECT id FROM delivery WHERE order_key = $1)",
        "x",
        Stored,
    ),
    ("UPDATE receipt SET id = $2 WHERE event_id IN (SELECT id FROM event WHERE order_key = $1)", "rcp_none", Stored),
];

async fn key_of(app: &App, order: &TillOrder) -> String {
    let found = app.store().orders_called(&order.internal_id).await.expect("the database answers");
    found[0].key.to_string()
}

#[tokio::test]
async fn what_cannot_be_read_of_an_order_costs_one_call_of_it_and_no_other_call_of_the_moment_anything() {
    let mut app = App::start(SINKS).await;
    let deep = nested(300);
    let mut set_aside = 0;
    for (sql, bad, next) in CASES {
        let order = app.till.sell();
        app.announce_and_settle(&order, Phase::Validated).await;
        let bad = if *bad == "DEEP" { deep.as_str() } else { bad };
        let spoiled = app.spoil(sql, &[&key_of(&app, &order).await, bad]).await;
        assert!(spoiled > 0, "{sql} spoils something");

        let others: Vec<TillOrder> = (0..4).map(|_| app.till.sell()).collect();
        let announced = join_all(others.iter().map(|other| app.announce(other, Phase::Validated)));
        let (said, announced) = tokio::join!(app.announce(&order, Phase::Terminated), announced);
        let expected = if *next == SetAside { "quarantined" } else { "stored" };
        assert_eq!(said, expected, "{sql} {bad:.40}");
        assert_eq!(announced, ["stored"; 4], "{sql}");
        app.settle().await;
        for other in &others {
            assert_eq!(app.statuses_of("erp", &other.internal_id).await, ["delivered"], "{sql}");
        }
        set_aside += usize::from(*next == SetAside);
    }
    let told = app.data_of("till.unreadable").await;
    assert_eq!(told.len(), set_aside, "somebody is told of each");
    for facts in &told {
        let reason = facts["reason"].as_str().expect("a reason");
        assert!(
            reason.contains("what is stored of the same order cannot be read (") && reason.contains("reprocess"),
            "{reason}"
        );
        assert!(!reason.contains("Bonjour") && facts["type"] == "terminated", "{facts}");
    }
    let listed = app.store().list_quarantine(1_000).await.expect("the database answers");
    assert_eq!(listed.len(), set_aside);

    app.halt().await;
    app.boot().await;
    let order = app.sell(Phase::Validated).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["delivered"], "the service starts on all that");
    app.finish().await;
}

#[tokio::test]
async fn what_older_versions_took_is_read_back_although_this_one_would_not_take_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let sinks = format!("[sink.files]\ntype = \"folder\"\npath = \"{}\"\n", folder.path().display());
    let app = App::start(&sinks).await;
    let order = app.sell(Phase::Validated).await;
    let key = key_of(&app, &order).await;
    // As deep as the JSON library went, and a little more for what it is wrapped in.
    let timeline = format!("{{\"validated\":{},\"terminated\":null}}", nested(130));
    app.spoil("UPDATE customer_order SET timeline = $2 WHERE key = $1", &[&key, &timeline]).await;
    assert_eq!(app.announce(&order, Phase::Terminated).await, "stored");
    app.settle().await;
    assert_eq!(app.statuses_of("files", &order.internal_id).await, ["delivered"; 2]);
    assert_eq!(app.orders().await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_was_set_aside_is_understood_once_what_is_stored_can_be_read_again() {
    let app = App::start(SINKS).await;
    let order = app.sell(Phase::Validated).await;
    let key = key_of(&app, &order).await;
    app.spoil("UPDATE customer_order SET timeline = 'x' || timeline WHERE key = $1", &[&key]).await;
    assert_eq!(app.announce(&order, Phase::Terminated).await, "quarantined");
    let (exit, said) = app.types("quarantine reprocess").await;
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("stays: what is stored of the same order cannot be read"), "{said}");

    app.spoil("UPDATE customer_order SET timeline = substr(timeline, 2) WHERE key = $1", &[&key]).await;
    let (exit, said) = app.types("quarantine reprocess").await;
    assert_eq!(exit, Some(0), "{said}");
    // The clock of the command is another.
    let due = app.deliveries("erp").await.pop().expect("a delivery").next_attempt_at;
    if let Some(due) = due.filter(|due| *due > app.now()) {
        app.advance(due.duration_since(app.now()).unsigned_abs()).await;
    }
    app.settle().await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["delivered"; 2]);
    assert_eq!(app.store().list_quarantine(10).await.expect("the database answers").len(), 0);
    app.finish().await;
}

#[tokio::test]
async fn a_call_without_an_internal_id_is_not_taken_for_a_new_order_beside_one_that_cannot_be_read() {
    let app = App::start(SINKS).await;
    assert_eq!(app.say(&[("type", "validated"), ("orderID", "7"), ("price", "5.00")]).await, "stored");
    assert_eq!(
        app.say(&[("type", "validated"), ("orderID", "8"), ("orderInternalID", "80"), ("price", "5.00")]).await,
        "stored"
    );
    app.settle().await;
    app.spoil("UPDATE customer_order SET timeline = '{'", &[]).await;
    for (call, expected) in [
        // It would be adopted.
        (vec![("orderID", "7"), ("orderInternalID", "70")], "quarantined"),
        (vec![("orderID", "7")], "quarantined"),
        (vec![("orderID", "8")], "quarantined"),
        (vec![("orderID", "8"), ("orderInternalID", "80")], "quarantined"),
        // Equal numbers never merge two internal ids.
        (vec![("orderID", "8"), ("orderInternalID", "81")], "stored"),
    ] {
        let call: Vec<_> = [("type", "terminated"), ("price", "5.00")].into_iter().chain(call).collect();
        assert_eq!(app.say(&call).await, expected, "{call:?}");
    }
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn a_closing_that_may_have_been_heard_before_is_set_aside_and_no_other_is() {
    let app = App::start(SINKS).await;
    let closing = |day: &'static str| [("type", "cashBox_close"), ("opened", day), ("closed", day), ("Total", "10.00")];
    assert_eq!(app.say(&closing("2026-11-20 20:00:00")).await, "stored");
    app.settle().await;
    assert_eq!(app.spoil("UPDATE notice SET event_id = 'evt_none'", &[]).await, 1);
    assert_eq!(app.say(&closing("2026-11-20 20:00:00")).await, "quarantined");
    assert_eq!(app.say(&closing("2026-11-21 12:00:00")).await, "stored");
    app.settle().await;
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_whose_event_cannot_be_read_ends_at_once_and_the_next_one_of_its_order_goes() {
    const SPOIL: &[&str] = &[
        "UPDATE event SET data = '{\"cut' WHERE id = (SELECT event_id FROM delivery WHERE open = 1 ORDER BY seq LIMIT 1)",
        "UPDATE event SET type = 'order.sung' WHERE id = (SELECT event_id FROM delivery WHERE open = 1 ORDER BY seq LIMIT 1)",
        "UPDATE delivery SET event_id = 'evt_none' WHERE seq = (SELECT min(seq) FROM delivery WHERE open = 1)",
        "UPDATE delivery SET id = CAST(x'ff' AS TEXT) WHERE seq = (SELECT min(seq) FROM delivery WHERE open = 1)",
        "UPDATE delivery SET payload = '{' WHERE seq = (SELECT min(seq) FROM delivery WHERE open = 1)",
        "UPDATE delivery SET purpose = 'song' WHERE seq = (SELECT min(seq) FROM delivery WHERE open = 1)",
        "UPDATE delivery SET retries = -1 WHERE seq = (SELECT min(seq) FROM delivery WHERE open = 1)",
    ];
    for sql in SPOIL {
        let app = App::start("[sink.erp]\nHTTP\n[sink.team]\nMAIL\non = [\"cashbox.closed\"]\n").await;
        app.pause("erp").await;
        let order = app.till.sell();
        app.announce(&order, Phase::Validated).await;
        app.announce(&order, Phase::Terminated).await;
        assert_eq!(app.spoil(sql, &[]).await, 1, "{sql}");
        app.resume("erp").await;
        app.settle().await;
        let dead = app.column("SELECT last_error FROM delivery WHERE status = 'dead'").await;
        assert_eq!(dead.len(), 1, "{sql}");
        assert!(dead[0].starts_with("a stored value cannot be read"), "{dead:?}");
        let sent = app.column("SELECT status FROM delivery WHERE sink = 'erp' AND status = 'delivered'").await;
        assert_eq!(sent.len(), 1, "{sql}");
        let told = app.event("sink.failing", 1).await;
        assert_eq!((&told["sink"], &told["dead"]), (&"erp".into(), &1.into()), "{sql}");
        app.finish().await;
    }
}

#[tokio::test]
async fn a_message_that_tells_its_own_event_does_not_need_the_latest_one() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    app.pause("erp").await;
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.announce(&order, Phase::Terminated).await;
    app.spoil("UPDATE event SET data = '{' WHERE type = 'order.terminated'", &[]).await;
    app.resume("erp").await;
    app.settle().await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["delivered", "dead"]);
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_that_is_due_at_no_time_is_due_at_the_next_start() {
    let mut app = App::start("[sink.erp]\nHTTP\n").await;
    app.pause("erp").await;
    // A PDF that arrives would make it due.
    let order = app.announce_without_pdf(Phase::Validated).await;
    app.spoil("UPDATE delivery SET due_at = 9223372036854775807", &[]).await;
    // Resuming would make it due.
    app.spoil("UPDATE sink_state SET paused_at = NULL, paused_because = NULL", &[]).await;
    app.halt().await;
    app.boot().await;
    app.settle().await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["delivered"]);
    app.finish().await;
}

#[tokio::test]
async fn what_is_known_of_sinks_shops_and_summaries_may_be_unreadable_and_everything_goes_on() {
    const SPOIL: &[&str] = &[
        "UPDATE sink_state SET failing_since = 9223372036854775807, held_until = 9223372036854775807, failures = -1,
             last_error = CAST(x'ff' AS TEXT)",
        "UPDATE number_watch SET seen = -9223372036854775808, judged_from = 9223372036854775807",
        "UPDATE till_word SET said_at = 9223372036854775807",
        "UPDATE digest_plan SET since = 9223372036854775807",
        "INSERT INTO digest_plan VALUES ('No Name!', 'dupont', 'daily 20:00', 1)",
        "INSERT INTO till_name VALUES ('No Name!', 'cash_box', '1', 'Caisse'), ('dupont', 'song', '1', 'Caisse')",
        "INSERT INTO missing_order (shop, number, opened, source, since)
             VALUES ('No Name!', '1', 1, 'numbers', 1), ('dupont', '1', 0, 'numbers', 9223372036854775807)",
        "INSERT INTO sink_state (sink, first_ran_at) VALUES ('No Name!', 1)",
        "INSERT INTO invoice (order_key, shop, url, status, first_seen_at, wait_until, next_attempt_at)
             VALUES ('ord_none', 'dupont', 'https://kash.click/f.pdf', 'pending', 1, 1, 1)",
        "INSERT INTO event (id, type, at, test, data, shop) VALUES ('evt_none', 'order.validated', 1, 0, '{', 'dupont')",
    ];
    let setup = Setup { shop: "gap_after = \"10m\"\nsilent_after = \"2h\"", sinks: SINKS, ..Setup::default() };
    let mut app = App::set_up(setup).await;
    app.sell(Phase::Validated).await;
    app.looked().await;
    for sql in SPOIL {
        assert!(app.spoil(sql, &[]).await > 0, "{sql}");
    }
    app.halt().await;
    app.boot().await;
    app.looked().await;
    let order = app.sell(Phase::Validated).await;
    assert_eq!(app.statuses_of("erp", &order.internal_id).await, ["delivered"]);
    let given_up = app.column("SELECT last_error FROM invoice WHERE order_key = 'ord_none'").await;
    assert!(given_up[0].starts_with("what is stored of it cannot be read"), "{given_up:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_summary_says_which_orders_it_lacks_and_another_shops_summary_is_whole() {
    let other = "[shop.martin]\nname = \"Martin\"\ntoken = \"another-token-for-the-tests-0123456789\"\n";
    let app = App::set_up(Setup { shop: other, sinks: SINKS, ..Setup::default() }).await;
    let (lost, sold) = (app.till.sell(), app.till.sell());
    for order in [&lost, &sold] {
        app.announce_and_settle(order, Phase::Terminated).await;
    }
    let call = crate::harness::form(&[
        ("type", "terminated"),
        ("orderID", "4711"),
        ("orderInternalID", "9"),
        ("price", "12.00"),
        ("VAT", "2.00"),
    ]);
    app.call_at("another-token-for-the-tests-0123456789", &call).await;
    app.settle().await;
    app.spoil("UPDATE event SET data = '{\"nom\":\"Zoé' WHERE order_key = $1", &[&key_of(&app, &lost).await]).await;
    app.advance(Duration::from_hours(8)).await;
    app.until("two summaries", async || app.far.mail.count() >= 2).await;
    app.settle().await;
    let mails: Vec<String> =
        app.far.mail.mails().iter().map(|mail| mime::text(&mail.source).expect("a mail").0).collect();
    let of = |shop: &str| mails.iter().find(|mail| mail.contains(shop)).unwrap_or_else(|| panic!("{shop}: {mails:#?}"));
    let ours = of("Boulangerie Dupont");
    assert!(ours.contains(&format!("absentes des totaux et des fichiers\u{a0}: {}", lost.order_id)), "{ours}");
    assert!(ours.contains("Total inconnu") || ours.contains('?'), "{ours}");
    let theirs = of("Martin");
    assert!(theirs.contains("12,00") && !theirs.contains("illisibles"), "{theirs}");
    app.finish().await;
}

#[tokio::test]
async fn what_is_old_goes_whatever_of_it_can_be_read() {
    let storage = "keep_raw = \"10d\"\nkeep_attempts = \"20d\"\nkeep_events = \"40d\"\nkeep_invoices = \"30d\"";
    let app = App::set_up(Setup { storage, sinks: "[sink.erp]\nHTTP\n", ..Setup::default() }).await;
    let spoiled = app.till.sell();
    app.announce_and_settle(&spoiled, Phase::Validated).await;
    let sound = app.sell(Phase::Validated).await;
    let key = key_of(&app, &spoiled).await;
    app.spoil("UPDATE customer_order SET timeline = '{', told = '[' WHERE key = $1", &[&key]).await;
    app.spoil("UPDATE event SET data = '{' WHERE order_key = $1", &[&key]).await;
    app.spoil("UPDATE attempt SET at = 9223372036854775807 WHERE seq = 1", &[]).await;
    app.spoil("UPDATE invoice SET path = '../../etc/passwd' WHERE order_key = $1", &[&key]).await;
    let count = async |sql| app.column(sql).await[0].parse::<i64>().expect("a number");
    app.advance(Duration::from_hours(24 * 45)).await;
    app.until("the events are gone", async || count("SELECT CAST(count(*) AS TEXT) FROM event").await == 0).await;
    app.until("the receipts are gone", async || count("SELECT CAST(count(*) AS TEXT) FROM receipt").await == 0).await;
    let left = app.column("SELECT order_key FROM invoice WHERE path IS NOT NULL").await;
    assert_eq!(left, [key], "a file that is none of ours is not removed, and its row says where it is");
    // What is left of both recognises a repeat, and can be read.
    for order in [&spoiled, &sound] {
        assert_eq!(app.announce(order, Phase::Validated).await, "duplicate");
        assert_eq!(app.announce(order, Phase::Terminated).await, "stored");
    }
    app.settle().await;
    app.finish().await;
}
