//! What somebody hostile cannot do: learn anything, fill the log, or keep the till out.

use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::sink::client::{INSTANCE, instance};

/// Longer than any test: what is waited for that long was not meant to be waited for.
const NEVER: Duration = Duration::from_secs(3_600);

/// How many refusals were logged.
fn refusals(log: &Log) -> usize {
    log.text().matches("unknown_token").count()
}

#[tokio::test]
async fn who_tries_tokens_too_often_is_answered_the_same_but_neither_read_nor_logged() {
    let (log, _guard) = Log::listen();
    let limits = Limits { unproven_body_time: 2 * UNKNOWN_TOKEN_EVERY, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let began = Instant::now();
    let first = house.ask(&post("wrong", "x=1")).await.without_date();
    for _ in 1..UNKNOWN_TOKEN_BURST {
        house.ask(&post("wrong", "x=1")).await;
    }
    for request in [post("wrong", "x=1"), without_its_body("wrong"), without_its_body("s3cret-t0ke"), post("", "x=1")] {
        assert_eq!(house.ask(&request).await.without_date(), first);
    }
    assert_eq!((first.status, first.body.as_str()), (404, ""));
    assert!(began.elapsed() < UNKNOWN_TOKEN_EVERY, "nothing was waited for");
    assert_eq!(refusals(&log), UNKNOWN_TOKEN_BURST as usize);
    assert!(log.text().contains("client.address=127.0.0.1"), "who it was is told");

    assert_eq!(house.post("x=1").await.status, 200, "the right token is never limited");
    assert_eq!(house.ask_from("127.0.0.2", &post("wrong", "x=1")).await.without_date(), first);
    assert_eq!(refusals(&log), UNKNOWN_TOKEN_BURST as usize + 1, "another address has its own allowance");
}

#[tokio::test]
async fn clients_of_a_trusted_proxy_are_told_apart_and_those_of_another_are_not() {
    let (log, _guard) = Log::listen();
    let limits = Limits { trusted_proxies: Arc::new(["127.0.0.1/32".parse().unwrap()]), ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let wrong = |client: &str| post("wrong", "x=1").replace("host: till", &format!("x-forwarded-for: {client}"));
    for claim in 0..UNKNOWN_TOKEN_BURST + 5 {
        house.ask(&wrong(&format!("10.0.0.{claim}, 203.0.113.1"))).await;
    }
    assert_eq!(refusals(&log), UNKNOWN_TOKEN_BURST as usize, "what the client claims is not believed");
    house.ask(&wrong("203.0.113.2")).await;
    assert_eq!(refusals(&log), UNKNOWN_TOKEN_BURST as usize + 1);
    assert!(log.text().contains("client.address=203.0.113.2"));

    for client in 0..UNKNOWN_TOKEN_BURST + 5 {
        house.ask_from("127.0.0.2", &wrong(&format!("203.0.113.{client}"))).await;
    }
    assert_eq!(refusals(&log), 2 * UNKNOWN_TOKEN_BURST as usize + 1, "this proxy is not trusted");
}

#[tokio::test]
async fn a_stranger_cannot_hold_a_connection_with_a_body_that_never_comes() {
    let limits = Limits { unproven_body_time: Duration::from_millis(100), body_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    assert_eq!(house.ask(&without_its_body("wrong")).await.status, 404);
}

#[tokio::test]
async fn no_more_bodies_of_strangers_are_read_at_a_time_than_have_a_permit() {
    let limits = Limits { unproven_bodies: 1, unproven_body_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let mut reading = house.connect().await;
    reading.write_all((without_its_body("wrong") + "x=").as_bytes()).await.unwrap();
    // Whichever of the two comes first is read, and the other is answered.
    let mut unread = house.connect().await;
    unread.write_all(without_its_body("wrong").as_bytes()).await.unwrap();
    let (mut one, mut other) = ([0; 12], [0; 12]);
    let answered = tokio::select! {
        _ = reading.read_exact(&mut one) => one,
        _ = unread.read_exact(&mut other) => other,
    };
    assert_eq!(&answered, b"HTTP/1.1 404");
    assert_eq!(house.post("x=1").await.status, 200);
}

#[tokio::test]
async fn bodies_of_strangers_are_not_read_once_half_of_the_places_are_taken() {
    let limits = Limits { connections: 8, head_time: NEVER, unproven_body_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(house.connect().await);
    }
    assert_eq!(house.ask(&without_its_body("wrong")).await.status, 404);
}

#[tokio::test]
async fn two_thousand_half_open_connections_of_one_address_do_not_keep_the_till_out() {
    let house = House::with(Behaviour::Store, Limits { head_time: NEVER, ..Limits::default() }, |router| router).await;
    let mut hostile = Vec::new();
    for _ in 0..2_000 {
        let mut stream = house.connect_from("127.0.0.66").await;
        // It is closed where it is one too many; that shows at the next read, if at all here.
        let _ = stream.write_all(b"POST /in/").await;
        hostile.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(house.ask_from("127.0.0.2", &post(TOKEN, "x=1")).await.status, 200);
    }
    assert_eq!(house.stored(), 20);
    drop(hostile);
}

#[tokio::test]
async fn where_all_places_are_taken_the_oldest_silent_connection_makes_room_at_once() {
    let limits = Limits { connections: 8, head_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(house.connect().await);
    }
    assert_eq!(house.post("x=1").await.status, 200);
    assert_eq!(read_to_end(silent.remove(0)).await, "", "the oldest made room");
    for mut stream in silent {
        stream.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
        assert_eq!(read_answer(stream).await.status, 200, "the others did not have to");
    }
}

#[tokio::test]
async fn a_slow_client_with_one_connection_is_not_closed_for_those_with_many() {
    let limits = Limits { connections: 16, head_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let mut slow = house.connect_from("127.0.0.2").await;
    let call = post(TOKEN, "x=1");
    let (begin, end) = call.split_at(9);
    slow.write_all(begin.as_bytes()).await.unwrap();
    let mut silent = Vec::new();
    for number in 0..100 {
        silent.push(house.connect_from(&format!("127.0.1.{}", number % 3)).await);
    }
    // The last of them has been let in by the time in which the next is answered.
    assert_eq!(house.ask(&post("wrong", "")).await.status, 404);
    slow.write_all(end.as_bytes()).await.unwrap();
    assert_eq!(read_answer(slow).await.status, 200);
}

#[tokio::test]
async fn strangers_behind_a_trusted_proxy_are_counted_each_and_make_room_like_others() {
    let others = ["203.0.113.1", "203.0.113.2"];
    let (first, till) = first_to_go(&[&others[..], &["203.0.113.3"; 3]].concat()).await;
    assert_eq!((first, till), (2, 200), "the oldest of whoever has the most, though others are older");
    let (first, till) = first_to_go(&[&others[..], &["203.0.113.3", "203.0.113.4", "203.0.113.5"]].concat()).await;
    assert_eq!((first, till), (0, 200), "where each has one, the oldest");
}

#[tokio::test]
async fn a_site_behind_a_trusted_proxy_makes_room_once_it_has_more_than_four_clients() {
    let of_site = ["2001:db8:7:1::1", "2001:db8:7:2::1", "2001:db8:7:3::1", "2001:db8:7:4::1", "2001:db8:7:5::1"];
    let older = ["2001:db8:8::1"];
    assert_eq!(first_to_go(&[&older[..], &of_site[..]].concat()).await, (1, 200), "five of a /48 are too many");
    assert_eq!(first_to_go(&[&older[..], &of_site[..4]].concat()).await, (0, 200), "four are as good as one");
}

/// Connections through the trusted proxy in the name of these clients, whose bodies are being waited for when silent ones
/// take the rest of the places. Returns which of them is closed first, and what a till is answered afterwards.
async fn first_to_go(clients: &[&str]) -> (usize, u16) {
    let trusted_proxies = Arc::new(["127.0.0.1/32".parse().unwrap()]);
    let limits =
        Limits { trusted_proxies, connections: 16, head_time: NEVER, unproven_body_time: NEVER, ..Limits::default() };
    let places = limits.unproven_connections();
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let from = |token: &str, client: &str| {
        without_its_body(token).replace("host: till", &format!("x-forwarded-for: {client}\r\nexpect: 100-continue"))
    };
    let mut waiting = Vec::new();
    for client in clients {
        let mut stream = house.connect().await;
        stream.write_all(from("wrong", client).as_bytes()).await.unwrap();
        // It is asked for its body, so its head has been read.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        waiting.push(stream);
    }
    let mut silent = Vec::new();
    for _ in clients.len()..=places {
        silent.push(house.connect().await);
    }
    let closing = waiting.into_iter().map(|stream| Box::pin(read_to_end(stream)));
    let (answer, first, _others) = futures_util::future::select_all(closing).await;
    assert_eq!(answer, "", "it is not answered");
    let mut till = house.connect().await;
    till.write_all((from(TOKEN, "203.0.113.9").replace("\r\nexpect: 100-continue", "") + "x=1&y=2&z").as_bytes())
        .await
        .unwrap();
    (first, read_answer(till).await.status)
}

#[tokio::test]
async fn a_call_under_way_is_not_closed_to_make_room() {
    let limits = Limits { connections: 4, head_time: NEVER, ..Limits::default() };
    let mut house = House::with(Behaviour::Store, limits, |router| router).await;
    let held = house.hold();
    let mut till = house.connect().await;
    till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    house.until("begun").await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(house.connect().await);
    }
    assert_eq!(house.ask(&post("wrong", "")).await.status, 404, "the others are let in, and pushed out");
    house.fake.permits.add_permits(held);
    assert_eq!(read_answer(till).await.status, 200);
}

#[tokio::test]
async fn where_all_places_are_taken_by_calls_the_next_one_is_told_to_come_again() {
    let mut house =
        House::with(Behaviour::Store, Limits { connections: 4, ..Limits::default() }, |router| router).await;
    let held = house.hold();
    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut till = house.connect().await;
        till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
        house.until("begun").await;
        calls.push(till);
    }
    let refused = house.post("x=1").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
    assert_eq!(house.ask("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200, "others still come in");
    house.fake.permits.add_permits(held);
    for till in calls {
        assert_eq!(read_answer(till).await.status, 200);
    }
    assert_eq!(house.post("x=1").await.status, 200);
}

#[tokio::test]
async fn a_call_keeps_its_place_until_it_is_stored_even_when_the_till_has_left() {
    let limits = Limits { connections: 2, store_time: Duration::from_millis(50), ..Limits::default() };
    let mut house = House::with(Behaviour::Store, limits, |router| router).await;
    let held = house.hold();
    assert_eq!(house.post("x=1").await.status, 503, "storing is overdue");
    assert_eq!(house.post("x=2").await.status, 503, "there is no place");
    house.fake.permits.add_permits(held);
    house.until("stored").await;
    while house.post("x=3").await.status != 200 {}
    assert_eq!(house.stored(), 2);
}

#[tokio::test]
async fn more_headers_than_a_hundred_are_refused() {
    let house = House::open(Behaviour::Store).await;
    let with = |headers: usize| post(TOKEN, "x=1").replace("host: till", &vec!["a: b"; headers].join("\r\n"));
    assert_eq!(house.ask(&with(99)).await.status, 200);
    assert_eq!(house.ask(&with(100)).await.status, 431);
}

#[rstest]
#[case::an_endless_head("POST /in/s3cret-t0ken HTTP/1.1\r\n", "x: y\r\n")]
#[case::an_endless_path("POST /in/", "a")]
#[case::an_endless_chunk_size("POST /in/wrong HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n", "0")]
#[case::an_endless_chunk_extension("POST /in/wrong HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;", "a")]
#[tokio::test]
async fn what_never_ends_is_ended(#[case] beginning: &str, #[case] more: &str) {
    let limits = Limits { unproven_body_time: Duration::from_millis(100), head_time: NEVER, ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let (mut reader, mut writer) = house.connect().await.into_split();
    writer.write_all(beginning.as_bytes()).await.unwrap();
    let more = more.repeat(1_000);
    let endless = async { while writer.write_all(more.as_bytes()).await.is_ok() {} };
    let ended = async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
    };
    tokio::select! { () = endless => {}, () = ended => {} }
    assert_eq!(house.stored(), 0);
    assert_eq!(house.post("x=1").await.status, 200);
}

#[tokio::test]
async fn our_own_call_is_turned_back_and_nobody_elses() {
    let house = House::open(Behaviour::Store).await;
    let from = |token: &str, name: &str| post(token, "x=1").replace("host: till", &format!("{INSTANCE}: {name}"));
    let ours = instance().to_str().unwrap().to_owned();
    let turned_back = house.ask(&from(TOKEN, &ours)).await;
    assert_eq!((turned_back.status, turned_back.body.as_str()), (508, r#"{"status":"loop"}"#));
    assert_eq!(turned_back.header(INSTANCE.as_str()), ours);
    assert_eq!(house.stored(), 0);

    assert_eq!(house.ask(&from(TOKEN, "another")).await.status, 200, "another tillhook is as good as a till");
    let stranger = house.ask(&post("wrong", "x=1")).await.without_date();
    assert_eq!(house.ask(&from("wrong", &ours)).await.without_date(), stranger);
}
