//! Orders that the till made and that did not reach us, found by their numbers alone; and a till that has fallen silent.

use std::{collections::BTreeSet, time::Duration};

use rstest::rstest;
use serde_json::Value;
use tillhook::{
    order::Phase,
    till::{Encoding, TillOrder},
};

use super::reconciliation::{a_bad_day, taken};
use crate::harness::App;

const OPS: &str = "alerts = [\"ops\"]\n[sink.ops]\nHTTP\non = []\n";
const GAPS: &str = "gap_after = \"10m\"\nfetch_invoices = false";
const SILENCE: &str = "silent_after = \"2h\"\nfetch_invoices = false";
const A_MINUTE: Duration = Duration::from_mins(1);
const AN_HOUR: Duration = Duration::from_hours(1);

/// Turns the clock, and lets the watch look.
async fn wait(app: &App, time: Duration) {
    app.advance(time).await;
    app.looked().await;
}

/// The numbers of all alerts so far.
async fn missing(app: &App) -> Vec<String> {
    let alerts = app.data_of("till.order_missing").await;
    let ids = alerts.iter().flat_map(|data| data["order_ids"].as_array().expect("a list").clone());
    ids.map(|id| id.as_str().expect("a number").to_owned()).collect()
}

#[tokio::test]
async fn a_number_that_stays_open_is_told_once_after_ten_minutes_and_the_list_is_empty_when_it_arrives() {
    let mut app = App::start_with(GAPS, OPS).await;
    app.sell(Phase::Validated).await;
    let (lost, late) = (app.till.sell(), app.till.sell());
    app.sell(Phase::Validated).await;
    wait(&app, 9 * A_MINUTE).await;
    assert_eq!(missing(&app).await, Vec::<String>::new(), "it may be on its way");
    app.announce_and_settle(&late, Phase::Validated).await;
    app.halt().await;
    app.boot().await;
    wait(&app, 2 * A_MINUTE).await;
    assert_eq!(missing(&app).await, [lost.order_id.as_str()]);
    let alert = app.data_of("till.order_missing").await.remove(0);
    assert_eq!((&alert["count"], &alert["source"]), (&1.into(), &"numbers".into()));
    wait(&app, AN_HOUR).await;
    app.halt().await;
    app.boot().await;
    wait(&app, AN_HOUR).await;
    assert_eq!(missing(&app).await.len(), 1, "once");
    let listed = app.store().missing_orders(None).await.expect("the database answers");
    assert_eq!((listed.len(), listed[0].number.as_str()), (1, lost.order_id.as_str()));

    app.announce_and_settle(&lost, Phase::Validated).await;
    wait(&app, A_MINUTE).await;
    assert!(app.store().missing_orders(None).await.expect("the database answers").is_empty(), "it is closed");
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_hole_raises_nothing() {
    let app = App::start_with(GAPS, OPS).await;
    let first = app.sell(Phase::Validated).await;
    let number = |add: u32| (first.order_id.parse::<u64>().expect("a number") + u64::from(add)).to_string();
    let order = |internal: &str, id: Option<String>| {
        let mut order = TillOrder { internal_id: internal.to_owned(), ..first.clone() };
        order.order_id = id.unwrap_or_default();
        order
    };
    // A number that comes with the second announcement; a test; another sequence; letters; a repeat.
    let without = order("71", None);
    app.announce_and_settle(&without, Phase::Validated).await;
    app.announce_and_settle(&order("72", Some(number(2))), Phase::Validated).await;
    app.announce_and_settle(&order("71", Some(number(1))), Phase::Terminated).await;
    let test = TillOrder { test: true, ..order("73", Some(number(9))) };
    app.announce_and_settle(&test, Phase::Validated).await;
    app.announce_and_settle(&order("74", Some("17724460".to_owned())), Phase::Validated).await;
    app.announce_and_settle(&order("75", Some("A-12".to_owned())), Phase::Validated).await;
    app.announce_and_settle(&first, Phase::Validated).await;
    wait(&app, AN_HOUR).await;
    assert_eq!(missing(&app).await, Vec::<String>::new());
    app.finish().await;
}

#[tokio::test]
async fn a_database_that_was_there_before_is_not_judged_and_what_comes_next_is() {
    let mut app = App::start_with("fetch_invoices = false", OPS).await;
    app.sell(Phase::Validated).await;
    app.till.sell();
    app.sell(Phase::Validated).await;
    app.rewrite("gap_after = \"off\"", "gap_after = \"10m\"", OPS).await;
    app.looked().await;
    let lost = app.till.sell();
    app.sell(Phase::Validated).await;
    wait(&app, 11 * A_MINUTE).await;
    assert_eq!(missing(&app).await, [lost.order_id]);
    app.finish().await;
}

#[rstest]
#[case::as_a_form(Encoding::Form)]
#[case::in_brackets(Encoding::Brackets)]
#[case::as_json(Encoding::Json)]
#[case::as_json_in_json(Encoding::JsonTwice)]
#[case::in_parts(Encoding::Multipart)]
#[case::in_a_query(Encoding::Get)]
#[tokio::test]
async fn after_a_bad_day_exactly_the_orders_of_which_nothing_came_are_missing(#[case] encoding: Encoding) {
    let app = App::start_with(GAPS, OPS).await;
    a_bad_day(&app, encoding).await;
    wait(&app, 11 * A_MINUTE).await;
    let (lost, came): (Vec<_>, Vec<_>) = taken(&app).into_iter().partition(|(_, phases)| phases.is_empty());
    let came: Vec<String> = came.into_iter().map(|(number, _)| number).collect();
    // What is before the first number that came, or after the last, is not known of.
    let is_between = |number: &String| came.iter().min() < Some(number) && Some(number) < came.iter().max();
    let lost: BTreeSet<String> = lost.into_iter().map(|(number, _)| number).filter(is_between).collect();
    assert!(lost.len() >= 100, "it was a bad day: {}", lost.len());
    let listed = app.store().missing_orders(None).await.expect("the database answers");
    assert_eq!(listed.into_iter().map(|order| order.number).collect::<BTreeSet<_>>(), lost);
    let told: u64 = app.data_of("till.order_missing").await.iter().filter_map(|data| data["count"].as_u64()).sum();
    assert_eq!(told, lost.len() as u64, "each once");
    let named = missing(&app).await;
    assert!(named.iter().all(|number| lost.contains(number)));
    app.finish().await;
}

#[tokio::test]
async fn a_large_loss_is_counted_and_named_in_part() {
    let app = App::start_with(GAPS, OPS).await;
    app.sell(Phase::Validated).await;
    for _ in 0..250 {
        app.till.sell();
    }
    app.sell(Phase::Validated).await;
    wait(&app, 11 * A_MINUTE).await;
    let alert = app.data_of("till.order_missing").await.remove(0);
    assert_eq!((alert["order_ids"].as_array().map(Vec::len), &alert["count"]), (Some(100), &Value::from(250)));
    app.finish().await;
}

async fn silences(app: &App) -> usize {
    app.data_of("till.silent").await.len()
}

#[tokio::test]
async fn an_open_till_that_says_nothing_is_told_once_and_a_closed_one_is_not() {
    let mut app = App::start_with(SILENCE, OPS).await;
    app.say(&[("type", "cashBox_open"), ("cashBoxID", "1")]).await;
    let order = app.sell(Phase::Validated).await;
    wait(&app, AN_HOUR + 59 * A_MINUTE).await;
    assert_eq!(silences(&app).await, 0);
    wait(&app, 2 * A_MINUTE).await;
    assert_eq!(silences(&app).await, 1);
    app.halt().await;
    app.boot().await;
    wait(&app, 3 * AN_HOUR).await;
    assert_eq!(silences(&app).await, 1, "once");

    app.announce_and_settle(&order, Phase::Terminated).await;
    wait(&app, 2 * AN_HOUR + A_MINUTE).await;
    assert_eq!(silences(&app).await, 2, "another silence");
    app.say(&[("type", "cashBox_close"), ("cashBoxID", "1"), ("Total", "5.00")]).await;
    wait(&app, 9 * AN_HOUR).await;
    assert_eq!(silences(&app).await, 2, "the night is none");
    app.finish().await;
}

#[tokio::test]
async fn a_till_that_does_not_say_when_it_is_open_is_silent_at_the_hours_at_which_it_usually_sells() {
    let app = App::start_with(SILENCE, OPS).await;
    // Three Saturdays from 14 to 18 in Paris, and nights and weeks between them.
    for week in 0..3 {
        for _ in 0..5 {
            app.sell(Phase::Validated).await;
            wait(&app, AN_HOUR).await;
        }
        assert_eq!(silences(&app).await, 0, "week {week}: nothing is usual yet");
        wait(&app, 7 * 24 * AN_HOUR - 5 * AN_HOUR).await;
    }
    assert_eq!(silences(&app).await, 0, "no night and no other day");
    app.sell(Phase::Validated).await;
    wait(&app, AN_HOUR + 59 * A_MINUTE).await;
    assert_eq!(silences(&app).await, 0);
    wait(&app, 2 * A_MINUTE).await;
    assert_eq!(silences(&app).await, 1, "at four in the afternoon it usually sells");
    wait(&app, 20 * AN_HOUR).await;
    assert_eq!(silences(&app).await, 1);
    app.finish().await;
}

/// Calls about orders of these numbers, each of another order, a minute apart; after an `@` the cash box.
async fn numbered(app: &App, numbers: &[&str]) {
    for number in numbers {
        let (number, till) = number.split_once('@').unwrap_or((number, ""));
        let id = format!("{}", 500_000 + app.orders().await.len());
        let fields = [("type", "validated"), ("orderID", number), ("orderInternalID", &id), ("cashBoxID", till)];
        assert_eq!(app.say(&[&fields[..], &[("price", "5.00"), ("VAT", "0.83")]].concat()).await, "stored");
        app.advance(A_MINUTE).await;
    }
}

/// What `orders missing` lists.
async fn listed(app: &App) -> Vec<String> {
    let listed = app.store().missing_orders(None).await.expect("the database answers");
    listed
        .iter()
        .map(|order| [Some(&*order.number), order.last.as_deref(), order.till.as_deref()])
        .map(|parts| parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
        .collect()
}

#[rstest]
#[case::a_step_back(&["500", "501", "502", "503", "504", "505", "1", "2", "3"], &[])]
#[case::and_a_hole_behind_it(&["500", "501", "502", "504", "1", "2", "4"], &["3", "503"])]
#[case::last_years_number(&["501", "502", "503", "504", "505", "500", "501", "503"], &["502"])]
#[case::two_tills(&["1@1", "601@2", "2@1", "602@2", "3@1", "604@2", "605@2", "4@1"], &["603"])]
#[case::two_tills_that_are_close(&["1@1", "41@2", "2@1", "42@2", "4@1", "43@2", "5@1", "44@2"], &["3"])]
#[case::a_word_in_front(&["F000504", "F000506"], &["F000505"])]
#[case::a_year_in_front(&["2026-0504", "2026-0506", "2027-0001"], &["2026-0505"])]
#[tokio::test]
async fn exactly_what_is_missing_in_a_sequence_is_told(#[case] numbers: &[&str], #[case] lost: &[&str]) {
    let app = App::start_with(GAPS, OPS).await;
    numbered(&app, numbers).await;
    wait(&app, 12 * A_MINUTE).await;
    let mut told = missing(&app).await;
    told.sort();
    assert_eq!(told, lost);
    let alerts = app.data_of("till.order_missing").await;
    assert!(alerts.iter().all(|alert| alert["jumps"].is_null()), "{alerts:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_large_step_ahead_is_one_sentence_and_goes_once_both_sequences_go_on() {
    let app = App::start_with(GAPS, OPS).await;
    numbered(&app, &["500", "501", "1100", "1101"]).await;
    wait(&app, 12 * A_MINUTE).await;
    let alert = app.data_of("till.order_missing").await.remove(0);
    assert_eq!((&alert["order_ids"], &alert["count"]), (&serde_json::json!([]), &Value::from(0)));
    assert_eq!(alert["jumps"], serde_json::json!([{ "first": "502", "last": "1099", "count": 598 }]));
    assert_eq!(listed(&app).await, ["502-1099"]);
    // A till that says nothing of itself: both go on beside each other.
    numbered(&app, &["502", "1102", "503", "1103", "504"]).await;
    wait(&app, 12 * A_MINUTE).await;
    assert_eq!(listed(&app).await, [""; 0]);
    assert_eq!(app.data_of("till.order_missing").await.len(), 1, "once");
    app.finish().await;
}

#[tokio::test]
async fn what_the_same_number_of_another_sequence_was_told_of_does_not_hide_a_hole() {
    let app = App::start_with(GAPS, OPS).await;
    numbered(&app, &["500", "501", "502", "504"]).await;
    wait(&app, 12 * A_MINUTE).await;
    assert_eq!(missing(&app).await, ["503"]);
    // The next year comes to the same number, and loses it as well.
    numbered(&app, &["499", "500", "501", "502", "504"]).await;
    wait(&app, 12 * A_MINUTE).await;
    assert_eq!(missing(&app).await, ["503", "503"]);
    assert_eq!(listed(&app).await, ["503", "503"]);
    app.finish().await;
}

#[tokio::test]
async fn nothing_is_told_early_where_the_clock_was_ahead_when_it_was_noticed() {
    let mut app = App::start_with(GAPS, OPS).await;
    numbered(&app, &["42", "44"]).await;
    app.looked().await;
    let noticed = app.now();
    app.halt().await;
    app.clock.set(noticed - 5 * A_MINUTE);
    app.boot().await;
    wait(&app, A_MINUTE).await;
    assert_eq!(missing(&app).await, [""; 0], "it was noticed in what is now the future");
    wait(&app, 11 * A_MINUTE).await;
    assert_eq!(missing(&app).await, ["43"]);
    app.finish().await;
}

#[tokio::test]
async fn numbers_that_are_not_understood_are_named_as_such() {
    let app = App::start_with(GAPS, OPS).await;
    numbered(&app, &["0199c0de-3f2a9c", "X7", "X9"]).await;
    wait(&app, 12 * A_MINUTE).await;
    assert_eq!(missing(&app).await, ["X8"]);
    let (code, said) = app.types("orders missing").await;
    let words = "dupont: 1 of the newest numbers are in no sequence that is understood, such as 0199c0de-3f2a9c";
    assert!(code == Some(0) && said.contains(words), "{said}");
    app.finish().await;
}
