//! What the service makes of every answer that an HTTP far side may give, seen from outside: the delivery's status, the
//! attempt in the log, how long the sink is held, and whether somebody is told at once.

use std::{collections::BTreeMap, time::Duration};

use tillhook::order::Phase;

use crate::{
    far::{
        http::HttpFar,
        raw::{RawFar, Then},
    },
    harness::{App, Setup},
};

/// What the far side says, and what follows for an HTTP sink and for a Slack sink.
struct Row {
    said: String,
    then: Then,
    http: &'static str,
    slack: &'static str,
}

const DELIVERED: &str = "delivered";
const REFUSED: &str = "retrying: retry refused; told sink.failing";
const UNAVAILABLE: &str = "retrying: retry unavailable";
const THROTTLED: &str = "retrying: retry throttled";
const CONNECT: &str = "retrying: retry connect";
const PROTOCOL: &str = "retrying: retry protocol";
const GONE: &str = "paused: pause gone; told sink.paused";
const TIME_OUT: &str = "retrying: retry time_out";

fn row(said: impl Into<String>, then: Then, verdict: &'static str) -> Row {
    Row { said: said.into(), then, http: verdict, slack: verdict }
}

/// A plain answer with this status and these headers.
fn status(status: &str, headers: &str, verdict: &'static str) -> Row {
    row(format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n"), Then::Close, verdict)
}

/// The same where Slack's webhook means something else by it.
fn two(text: &str, http: &'static str, slack: &'static str) -> Row {
    Row { slack, ..status(text, "", http) }
}

/// How long an attempt may take. It is longer than a test waits, so whatever waits for it without need hangs.
const DEADLINE: Duration = Duration::from_mins(5);

/// Tells one sale to two sinks a row, and compares what became of it.
async fn check(rows: Vec<Row>) {
    let mut far = Vec::new();
    let mut sinks = "[sink.accountant]\nMAIL\non = [\"test.ping\"]\n".to_owned();
    let mut expected = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        for (kind, verdict) in [("http", row.http), ("slack", row.slack)] {
            let side = RawFar::start(row.said.as_bytes(), row.then).await;
            let name = format!("{kind}-{index:02}");
            sinks += &format!("[sink.{name}]\ntype = \"{kind}\"\nurl = \"http://{}/hook\"\n", side.addr());
            sinks += "on = [\"order.validated\"]\ntimeout = \"5m\"\nretry = [\"1h\", \"24h\"]\n";
            expected.insert(name.clone(), verdict.to_owned());
            far.push((name, side));
        }
    }
    let delivery = "allow_private = [\"127.0.0.0/8\"]\nalerts = [\"accountant\"]";
    let app = App::set_up(Setup { sinks: &sinks, delivery, ..Setup::default() }).await;
    app.announce(&app.till.sell(), Phase::Validated).await;

    let silent: Vec<&str> =
        far.iter().map(|(name, _)| name.as_str()).filter(|name| expected[*name] == TIME_OUT).collect();
    app.settle_but(&silent).await;
    if !silent.is_empty() {
        for (_, side) in far.iter().filter(|(name, _)| silent.contains(&name.as_str())) {
            side.heard(1).await;
        }
        app.clock.advance(DEADLINE - Duration::from_secs(1));
        assert!(app.deliveries(silent[0]).await.iter().all(|line| line.status == "sending"), "not before its time");
        app.run_out(Duration::from_secs(1)).await;
    }
    let tellings = expected.values().filter(|verdict| verdict.contains("told")).count();
    app.until("everybody is told", async || told(&app).await.len() >= tellings).await;

    let told = told(&app).await;
    let mut seen = BTreeMap::new();
    for (name, side) in &far {
        seen.insert(name.clone(), verdict(&app, name, &told).await);
        assert_eq!(side.requests(), 1, "{name} is asked once for now");
    }
    for (index, row) in rows.iter().enumerate() {
        for kind in ["http", "slack"] {
            let name = format!("{kind}-{index:02}");
            let beginning: String = row.said.chars().take(120).collect();
            assert_eq!(seen[&name], expected[&name], "{kind} is answered {beginning:?}, then {:?}", row.then);
        }
    }
    let left = seen.values().filter(|verdict| *verdict != DELIVERED).count();
    app.finish_leaving(left).await;
}

/// Which sink was told of, and how.
async fn told(app: &App) -> BTreeMap<String, &'static str> {
    let mut told = BTreeMap::new();
    for kind in ["sink.failing", "sink.paused"] {
        for facts in app.data_of(kind).await {
            let sink = facts["sink"].as_str().expect("a sink").to_owned();
            assert_eq!(told.insert(sink, kind), None, "once an outage: {facts}");
        }
    }
    told
}

async fn verdict(app: &App, sink: &str, told: &BTreeMap<String, &str>) -> String {
    let (line, attempts, state) =
        (app.deliveries(sink).await.remove(0), app.attempts(sink).await, app.sink(sink).await);
    let [attempt] = &attempts[..] else { panic!("{sink}: {attempts:?}") };
    assert!(attempt.excerpt.as_ref().is_none_or(|text| text.chars().count() <= 500), "an excerpt is short");
    if line.status == DELIVERED {
        assert_eq!((attempt.verdict.as_str(), state.failures, told.get(sink)), (DELIVERED, 0, None));
        return line.status;
    }
    let mut verdict = format!("{}: {} {}", line.status, attempt.verdict, attempt.reason.as_deref().unwrap_or_default());
    if let Some(until) = state.held_until {
        verdict += &format!(", held {} s", until.duration_since(attempt.at).as_secs());
    }
    if let Some(kind) = told.get(sink) {
        verdict += &format!("; told {kind}");
    }
    verdict
}

#[tokio::test]
async fn two_hundreds_are_success_and_redirects_are_not_followed() {
    let inside = HttpFar::start().await;
    let to = |url: &str| format!("location: {url}\r\n");
    check(vec![
        status("200 OK", "", DELIVERED),
        status("201 Created", "", DELIVERED),
        status("202 Accepted", "", DELIVERED),
        status("204 No Content", "", DELIVERED),
        status("206 Partial Content", "", DELIVERED),
        status("299 Whatever", "", DELIVERED),
        row("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Close, DELIVERED),
        row("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Close, DELIVERED),
        row("HTTP/1.1 100 Continue\r\n\r\n", Then::Close, CONNECT),
        row("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", Then::Close, PROTOCOL),
        status("300 Multiple Choices", "", REFUSED),
        status("301 Moved", &to(inside.url()), REFUSED),
        status("302 Found", &to(inside.url()), REFUSED),
        status("303 See Other", &to(inside.url()), REFUSED),
        status("304 Not Modified", "", REFUSED),
        status("307 Temporary Redirect", &to("http://169.254.169.254/latest/meta-data/"), REFUSED),
        status("308 Permanent Redirect", &to("file:///etc/passwd"), REFUSED),
    ])
    .await;
    assert!(inside.requests().is_empty(), "no redirect was followed");
}

#[tokio::test]
async fn refusals_are_retried_and_told_at_once_and_what_is_gone_pauses_the_sink() {
    check(vec![
        two("400 Bad Request", REFUSED, REFUSED),
        two("401 Unauthorized", REFUSED, REFUSED),
        two("403 Forbidden", REFUSED, GONE),
        two("404 Not Found", REFUSED, GONE),
        two("405 Method Not Allowed", REFUSED, REFUSED),
        two("408 Request Timeout", UNAVAILABLE, UNAVAILABLE),
        two("409 Conflict", REFUSED, REFUSED),
        two("410 Gone", GONE, GONE),
        two("413 Content Too Large", REFUSED, REFUSED),
        two("415 Unsupported Media Type", REFUSED, REFUSED),
        two("418 I'm a teapot", REFUSED, REFUSED),
        two("422 Unprocessable Content", REFUSED, REFUSED),
        two("425 Too Early", UNAVAILABLE, UNAVAILABLE),
        two("451 Unavailable For Legal Reasons", REFUSED, REFUSED),
        two("500 Internal Server Error", UNAVAILABLE, UNAVAILABLE),
        two("501 Not Implemented", UNAVAILABLE, UNAVAILABLE),
        two("502 Bad Gateway", UNAVAILABLE, UNAVAILABLE),
        two("504 Gateway Timeout", UNAVAILABLE, UNAVAILABLE),
        two("599 Whatever", UNAVAILABLE, UNAVAILABLE),
        two("600 Whatever", PROTOCOL, PROTOCOL),
        two("999 Whatever", PROTOCOL, PROTOCOL),
    ])
    .await;
}

#[tokio::test]
async fn retry_after_holds_the_sink_on_429_and_503_and_says_nothing_elsewhere() {
    let after = |code: &str, value: &str, verdict| status(code, &format!("retry-after: {value}\r\n"), verdict);
    check(vec![
        status("429 Too Many Requests", "", THROTTLED),
        after("429 Too Many Requests", "120", "retrying: retry throttled, held 120 s"),
        after("429 Too Many Requests", "Sat, 21 Nov 2026 13:02:00 GMT", "retrying: retry throttled, held 120 s"),
        after("429 Too Many Requests", "Saturday, 21-Nov-26 13:02:00 GMT", "retrying: retry throttled, held 120 s"),
        after("429 Too Many Requests", "Sat Nov 21 13:02:00 2026", "retrying: retry throttled, held 120 s"),
        after("429 Too Many Requests", "Sat, 21 Nov 2026 12:00:00 GMT", THROTTLED),
        after("429 Too Many Requests", "0", THROTTLED),
        after("429 Too Many Requests", "-5", THROTTLED),
        after("429 Too Many Requests", "1.5", THROTTLED),
        after("429 Too Many Requests", "soon", THROTTLED),
        after("429 Too Many Requests", "99999999999999999999", "retrying: retry throttled, held 86400 s"),
        status("503 Service Unavailable", "", UNAVAILABLE),
        after("503 Service Unavailable", "120", "retrying: retry unavailable, held 120 s"),
        after("503 Service Unavailable", "Sat, 21 Nov 2026 13:02:00 GMT", "retrying: retry unavailable, held 120 s"),
        after("500 Internal Server Error", "120", UNAVAILABLE),
        after("400 Bad Request", "120", REFUSED),
        after("302 Found", "120", REFUSED),
        after("200 OK", "120", DELIVERED),
    ])
    .await;
}

#[tokio::test]
async fn a_status_counts_whatever_becomes_of_the_body() {
    let huge = |code: &str| format!("HTTP/1.1 {code}\r\ncontent-length: 1000000\r\n\r\n{}", "x ".repeat(500_000));
    check(vec![
        row("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Then::Close, DELIVERED),
        row("HTTP/1.1 200 OK\r\n\r\n", Then::Close, DELIVERED),
        row("HTTP/1.0 200 OK\r\n\r\nok", Then::Close, DELIVERED),
        row(huge("200 OK"), Then::Close, DELIVERED),
        row(huge("500 Internal Server Error"), Then::Close, UNAVAILABLE),
        row("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok", Then::Close, DELIVERED),
        row("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok", Then::Reset, DELIVERED),
        row("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok", Then::Hush, DELIVERED),
        row("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Then::Close, DELIVERED),
        row("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", Then::Hush, DELIVERED),
        row("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nzip", Then::Close, DELIVERED),
        row("HTTP/1.1 410 Gone\r\ncontent-length: 10\r\n\r\ngo", Then::Hush, GONE),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_answer_is_retried_and_silence_ends_at_the_time_out() {
    check(vec![
        row("", Then::Close, CONNECT),
        row("", Then::Reset, CONNECT),
        row("", Then::Hush, TIME_OUT),
        row("HTTP/1.1 200", Then::Hush, TIME_OUT),
        row("HTTP/1.1 200 OK\r\ncontent-le", Then::Hush, TIME_OUT),
        row("HTTP/1.1 200 OK\r\ncontent-le", Then::Reset, CONNECT),
        row("HTTP/1.1 200 OK\r\ncontent-le", Then::Close, CONNECT),
        row("220 mail.example ESMTP\r\n", Then::Close, PROTOCOL),
        row("HTTP/1.1 2000 OK\r\n\r\n", Then::Close, PROTOCOL),
        row("HTTP/1.1 OK\r\n\r\n", Then::Close, PROTOCOL),
        row("HTTP/9.9 200 OK\r\n\r\n", Then::Close, PROTOCOL),
        row("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Then::Close, PROTOCOL),
        row("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n", Then::Close, PROTOCOL),
        row("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", Then::Close, PROTOCOL),
        row("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", Then::Close, PROTOCOL),
        row(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1_000_000)), Then::Close, PROTOCOL),
    ])
    .await;
}
