//! Clocks that jump, nights with 23 or 25 hours, the turn of the year; and directories that cannot be used.

use std::{process::Command, time::Duration};

use rstest::rstest;
use tempfile::TempDir;
use tillhook::order::Phase;

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, TOKEN},
};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_holds_up_nothing_new_and_what_was_to_be_retried_at_most_by_that_hour() {
    let (far, channel) = (HttpFar::start().await, HttpFar::start().await);
    channel.always(Answer::status(200).body("ok"));
    let sinks = format!(
        "[sink.team]\ntype = \"slack\"\nurl = \"{}\"\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n",
        channel.url(),
        far.url()
    );
    let app = App::start(&sinks).await;
    far.then([Answer::status(503)]);
    let first = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!((far.requests().len(), channel.requests().len()), (1, 1));

    app.clock.set(app.now() - HOUR);
    let second = app.announce_without_pdf(Phase::Validated).await;
    assert_eq!(app.announce(&first, Phase::Terminated).await, "stored");
    assert_eq!(app.announce(&second, Phase::Validated).await, "duplicate");
    // A channel gets a message a second, whatever the clock shows.
    for told in 2..=3 {
        app.until("the channel is told", async || channel.requests().len() >= told).await;
        app.clock.advance(Duration::from_secs(2));
    }
    app.until("the new order is delivered", async || {
        app.statuses_of("erp", &second.internal_id).await == ["delivered"]
    })
    .await;
    let delivered: Vec<_> =
        far.requests()[1..].iter().map(|request| request.json()["data"]["internal_id"].clone()).collect();
    assert_eq!(delivered, [second.internal_id.as_str()], "a new order is delivered at once");

    app.advance(HOUR + Duration::from_secs(10)).await;
    let about_first =
        |request: &crate::far::http::Request| request.json()["data"]["internal_id"] == first.internal_id.as_str();
    let told: Vec<_> = far.requests().into_iter().filter(about_first).map(|request| request.event_type()).collect();
    assert_eq!(told, ["order.validated", "order.validated", "order.terminated"], "in order, once it is its time");
    app.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_by_two_days_makes_due_what_waits_and_gives_up_nothing() {
    let far = HttpFar::start().await;
    let app = App::start(&format!("[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n", far.url())).await;
    far.then([Answer::status(503)]);
    let order = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.statuses("erp").await, ["retrying"]);
    app.announce(&order, Phase::Terminated).await;
    app.advance(Duration::from_hours(48)).await;
    assert_eq!(app.statuses("erp").await, ["delivered", "delivered"]);
    assert_eq!(app.sink_status("erp").await, "ok");
    assert_eq!(far.event_types(), ["order.validated", "order.validated", "order.terminated"]);
    app.clock.set(app.now() - Duration::from_hours(48));
    app.announce_without_pdf(Phase::Validated).await;
    app.advance(HOUR).await;
    assert_eq!(app.statuses("erp").await, ["delivered"; 3], "and back again");
    app.finish().await;
}

/// The moments just before a night's clocks are changed or the year ends in Paris, and what its clocks show 90 minutes on.
#[rstest]
#[case::summer_time_begins("2026-03-29T00:15:00Z", "2026-03-29T01:15", "2026-03-29T03:45", "20260329")]
#[case::summer_time_ends("2026-10-25T00:15:00Z", "2026-10-25T02:15", "2026-10-25T02:45", "20261025")]
#[case::a_year_ends("2026-12-31T22:15:00Z", "2026-12-31T23:15", "2027-01-01T00:45", "20261231")]
#[tokio::test]
async fn in_odd_nights_a_wait_is_as_long_as_ever_and_times_are_the_shops(
    #[case] begins: &str,
    #[case] shown: &str,
    #[case] shown_later: &str,
    #[case] day: &str,
) {
    let app = App::start(
        "[sink.erp]\nHTTP\nsettle = \"90m\"\nper_order = \"once\"\non = [\"order.*\"]\n[sink.log]\nHTTP\non = [\"invoice.stored\"]\n",
    )
    .await;
    app.clock.set(begins.parse().expect("a time"));
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.settle().await;
    let received = |call: &serde_json::Value| call["data"]["dates"]["received"].as_str().expect("a date").to_owned();
    let calls = app.far.http.calls();
    let types: Vec<_> = calls.iter().map(|call| call.body["type"].clone()).collect();
    assert_eq!(types, ["invoice.stored"], "the order waits");
    assert!(received(&calls[0].body).starts_with(shown), "{}", received(&calls[0].body));
    let file = calls[0].body["data"]["invoice"]["filename"].as_str().expect("a name").to_owned();
    assert!(file.starts_with(day), "{file}");

    app.advance(Duration::from_mins(89)).await;
    assert_eq!(app.far.http.count(), 1);
    app.advance(Duration::from_mins(1)).await;
    assert_eq!(app.far.http.count(), 2, "after 90 minutes, whatever the clocks on the wall did");
    assert_eq!(app.say(&[("type", "validated"), ("orderInternalID", "later"), ("price", "1")]).await, "stored");
    app.advance(Duration::from_mins(90)).await;
    let last = app.far.http.calls().pop().expect("a call").body;
    assert!(received(&last).starts_with(shown_later), "{}", received(&last));
    app.finish().await;
}

#[rstest]
#[case::that_is_missing_below_a_file("", "tillhook.toml/data")]
#[case::on_a_read_only_disk("mount -t tmpfs -o ro tmpfs disk &&", "disk")]
fn a_data_directory_that_cannot_be_used_is_named_with_what_to_do(#[case] before: &str, #[case] path: &str) {
    let place = TempDir::new().expect("a directory");
    std::fs::create_dir(place.path().join("disk")).expect("a directory");
    let data = place.path().join(path);
    let config = format!("[storage]\npath = \"{}\"\n[shop.dupont]\ntoken = \"{TOKEN}\"\n", data.display());
    std::fs::write(place.path().join("tillhook.toml"), config).expect("a configuration");
    let script = format!("{before} exec '{}' --config tillhook.toml serve", env!("CARGO_BIN_EXE_tillhook"));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(place.path());
    let output = command.output().expect("unshare (util-linux)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot use the data directory {}", data.display())), "{said}");
    assert!(said.contains("fix: create it and let this user write to it, or set storage.path"), "{said}");
}
