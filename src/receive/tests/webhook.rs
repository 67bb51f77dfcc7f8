//! What the till, and whoever is not the till, is answered.

use std::io::{Read, Write};

use super::*;

#[tokio::test]
async fn a_call_is_stored_as_it_came_and_its_receipt_is_answered() {
    let house = House::open(Behaviour::Store).await;
    let answer = house
        .ask(
            "POST /in/s3cret%2Dt0ken?a=%e9&b HTTP/1.1\r\nhost: till\r\n\
             content-type: text/whatever; charset=x\r\ncontent-length: 4\r\n\r\n\u{e9}\0\n",
        )
        .await;
    let id = ReceiptId::new(Timestamp::UNIX_EPOCH).to_string();
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert!(answer.body.starts_with(r#"{"status":"stored","id":"rcp_"#), "{}", answer.body);
    assert_eq!(answer.body.len(), r#"{"status":"stored","id":""}"#.len() + id.len());
    let calls = house.fake.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0]
            == Call {
                shop: "dupont".parse().unwrap(),
                method: "POST".to_owned(),
                content_type: Some("text/whatever; charset=x".to_owned()),
                query: Some("a=%e9&b".to_owned()),
                body: Bytes::from_static("\u{e9}\0\n".as_bytes()),
                announced: None,
            }
    );
}

#[tokio::test]
async fn an_empty_post_and_a_get_with_parameters_are_calls() {
    let house = House::open(Behaviour::Store).await;
    assert_eq!(house.post("").await.status, 200);
    let get = format!("GET /in/{TOKEN}?type=validated HTTP/1.1\r\nhost: till\r\n\r\n");
    assert_eq!(house.ask(&get).await.status, 200);
    let with_body = format!("GET /in/{TOKEN} HTTP/1.1\r\nhost: till\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(house.ask(&with_body).await.status, 200);
    assert_eq!(house.stored(), 3);
}

#[tokio::test]
async fn a_visit_is_answered_and_stores_nothing() {
    let house = House::open(Behaviour::Store).await;
    for request in ["GET /in/{} HTTP/1.1", "GET /in/{}? HTTP/1.1", "HEAD /in/{}?type=validated HTTP/1.1"] {
        let answer = house.ask(&(request.replace("{}", TOKEN) + "\r\nhost: till\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{request}");
    }
    assert_eq!(house.stored(), 0);
}

#[tokio::test]
async fn other_methods_are_named_to_the_till_only() {
    let house = House::open(Behaviour::Store).await;
    let answer = house.ask(&format!("PUT /in/{TOKEN} HTTP/1.1\r\nhost: till\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "get, post"));
    assert_eq!(house.stored(), 0);
}

#[tokio::test]
async fn a_stranger_gets_the_same_empty_404_whatever_they_try() {
    let house = House::open(Behaviour::Store).await;
    let reference = house.ask(&post("wrong", "x=1")).await.without_date();
    assert_eq!((reference.status, reference.body.as_str()), (404, ""));
    for method in ["POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        for path in ["/in/wrong", "/in/", "/in", "/in/wrong/er", "/in/%ff", "/in/wrong?type=validated", "/in//"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: till\r\ncontent-length: 3\r\n\r\nx=1");
            assert_eq!(house.ask(&request).await.without_date(), reference, "{method} {path}");
        }
    }
    assert_eq!(house.stored(), 0);
}

#[tokio::test]
async fn tokens_change_while_the_door_is_open() {
    let house = House::open(Behaviour::Store).await;
    house.credentials.store(Arc::new(tokens("fresh")));
    assert_eq!(house.post("x=1").await.status, 404);
    assert_eq!(house.ask(&post("fresh", "x=1")).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again() {
    for behaviour in [Behaviour::Fail, Behaviour::Panic] {
        let house = House::open(behaviour).await;
        let answer = house.post("x=1").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
        assert!(!answer.body.contains("disk"), "the cause is for the log: {}", answer.body);
    }
}

#[tokio::test]
async fn an_overdue_store_is_answered_503_and_goes_on() {
    let mut house = House::with(Behaviour::Store, impatient(), |router| router).await;
    let held = house.hold();
    assert_eq!(house.post("x=1").await.status, 503);
    assert_eq!(house.stored(), 0);
    house.fake.permits.add_permits(held);
    house.until("stored").await;
}

#[tokio::test]
async fn a_till_that_hangs_up_before_the_answer_loses_nothing() {
    let mut house = House::open(Behaviour::Store).await;
    let held = house.hold();
    let mut till = house.connect().await;
    till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    house.until("begun").await;
    till.set_zero_linger().unwrap();
    drop(till);
    house.fake.permits.add_permits(held);
    house.until("stored").await;
}

#[tokio::test]
async fn a_till_that_never_waits_for_an_answer_loses_nothing() {
    let mut house = House::open(Behaviour::Store).await;
    for _ in 0..50 {
        let mut till = house.connect().await;
        till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
        drop(till);
        house.until("stored").await;
    }
}

#[tokio::test]
async fn a_till_that_closes_its_side_after_its_last_byte_is_still_answered() {
    let mut house = House::open(Behaviour::Store).await;
    let held = house.hold();
    let mut till = house.connect().await;
    till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    till.shutdown().await.unwrap();
    house.until("begun").await;
    house.fake.permits.add_permits(held);
    assert_eq!(read_answer(till).await.status, 200);
}

#[tokio::test]
async fn a_body_at_the_limit_is_stored_and_one_beyond_is_not() {
    let house = House::with(Behaviour::Store, Limits { body_bytes: 10, ..Limits::default() }, |router| router).await;
    assert_eq!(house.post("0123456789").await.status, 200);
    assert_eq!(house.post("0123456789a").await.status, 413);
    let chunked = format!(
        "POST /in/{TOKEN} HTTP/1.1\r\nhost: till\r\ntransfer-encoding: chunked\r\n\r\n\
         8\r\n01234567\r\n3\r\n89a\r\n0\r\n\r\n"
    );
    assert_eq!(house.ask(&chunked).await.status, 413);
    assert_eq!(house.stored(), 1);
    assert_eq!(
        house.refusals(),
        ["it is larger than `server.body_limit` (calls since the start that were refused for it: 1)"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_till_that_sends_too_much_before_it_reads_still_gets_its_answer() {
    let house = House::open(Behaviour::Store).await;
    for (token, status) in [(TOKEN, 413), ("wrong", 404)] {
        let (address, request) = (house.address, post(token, &"x".repeat(7 * 1024 * 1024)));
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            Answer::parse(&text)
        });
        assert_eq!(answer.await.unwrap().status, status);
    }
    assert_eq!(house.stored(), 0);
}

#[tokio::test]
async fn fifty_calls_at_once_are_all_stored() {
    let house = House::open(Behaviour::Store).await;
    let bodies: Vec<String> = (0..50).map(|n| format!("orderID={n}")).collect();
    let answers = futures_util::future::join_all(bodies.iter().map(|body| house.post(body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let mut stored: Vec<_> = house.fake.calls.lock().unwrap().iter().map(|call| call.body.clone()).collect();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 50);
}

#[tokio::test]
async fn a_call_leaves_one_line_in_the_log_without_token_query_or_body() {
    let (log, _guard) = Log::listen();
    let house = House::open(Behaviour::Store).await;
    let request = post(TOKEN, "customer=zoe").replace(" HTTP", "?phone=0601 HTTP");
    assert_eq!(house.ask(&request).await.status, 200);
    assert_eq!(house.ask(&request.replace(TOKEN, "wr0ng-t0ken")).await.status, 404);
    let text = log.text();
    let line = text.lines().find(|line| line.contains("call.outcome=\"stored\"")).expect("a line");
    assert!(line.contains("shop.id=dupont") && line.contains("receipt.id=rcp_"), "{line}");
    assert_eq!(text.matches("call.outcome").count(), 2, "{text}");
    for secret in [TOKEN, "wr0ng", "0601", "zoe"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
