//! What clients cannot do to the till: hold connections, starve it, or keep the service from stopping.

use axum::{extract::ConnectInfo, routing::get};

use super::*;

#[tokio::test]
async fn a_half_sent_head_is_closed_after_its_time() {
    let house = House::with(Behaviour::Store, impatient(), |router| router).await;
    for beginning in ["", "POST /in/", "POST /in/s3cret-t0ken HTTP/1.1\r\nhost: till\r\n"] {
        let mut stream = house.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let answer = read_to_end(stream).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    assert_eq!(house.stored(), 0);
}

#[tokio::test]
async fn a_body_that_trickles_in_is_taken_as_far_as_it_came_and_known_to_be_a_part() {
    let house = House::with(Behaviour::Store, impatient(), |router| router).await;
    let (reader, mut writer) = house.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        writer.write_all(post(TOKEN, &" ".repeat(1_000)).trim_end_matches(' ').as_bytes()).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while writer.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut reader = tokio::io::BufReader::new(reader);
    let mut status = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut status).await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
    trickle.await.unwrap();
    let calls = house.fake.calls.lock().unwrap();
    assert_eq!(calls[0].announced, Some(1_000));
    assert!(calls[0].body.starts_with(b"x") && calls[0].body.len() < 1_000);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let house = House::with(Behaviour::Store, Limits { head_bytes: 1_000, ..Limits::default() }, |router| router).await;
    let request = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2_000));
    assert_eq!(house.ask(&request).await.status, 431);
}

#[tokio::test]
async fn a_kept_connection_serves_again_and_is_closed_when_idle() {
    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        peer.to_string()
    }
    let house = House::with(Behaviour::Store, impatient(), |_| Router::new().route("/", get(peer))).await;
    let mut stream = house.connect().await;
    let address = stream.local_addr().unwrap().to_string();
    stream.write_all(&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2)).await.unwrap();
    let answers = read_to_end(stream).await;
    assert_eq!(answers.matches("200 OK").count(), 2);
    assert_eq!(answers.matches(&address).count(), 2);
}

/// A door with an answer that is larger than what the sockets' buffers hold.
async fn house_with_an_endless_answer(limits: Limits) -> House {
    let endless = Router::new().route("/", get(|| async { vec![b'x'; 64 * 1024 * 1024] }));
    House::with(Behaviour::Store, limits, |_| endless).await
}

#[tokio::test]
async fn a_connection_ends_with_its_time_however_slowly_it_reads() {
    let soon = Duration::from_millis(100);
    let house =
        house_with_an_endless_answer(Limits { connection_time: soon, drain_time: soon, ..Limits::default() }).await;
    ends_early(&house).await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_closed() {
    let house =
        house_with_an_endless_answer(Limits { write_time: Duration::from_millis(100), ..Limits::default() }).await;
    ends_early(&house).await;
}

/// Asks, reads the first bytes, and waits until the other side has closed the connection without having sent the rest.
async fn ends_early(house: &House) {
    let mut sleeper = house.connect().await;
    sleeper.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleeper.read_exact(&mut [0; 64]).await.unwrap();
    // A connection that the other side has closed takes some more bytes before it says so.
    while sleeper.write_all(b"x").await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_who_takes_something_now_and_then_gets_everything() {
    let limits = Limits { write_time: Duration::from_millis(500), ..Limits::default() };
    let house = house_with_an_endless_answer(limits).await;
    let mut slow = house.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let (mut piece, mut read) = (vec![0; 1024 * 1024], 0);
    loop {
        tick.tick().await;
        match slow.read(&mut piece).await.unwrap() {
            0 => break,
            more => read += more,
        }
    }
    assert!(read > 64 * 1024 * 1024, "{read}");
}

#[tokio::test]
async fn large_calls_wait_for_each_other_and_small_ones_for_nobody() {
    let large = "x".repeat(100 * 1024);
    let mut house =
        House::with(Behaviour::Store, Limits { large_bodies: 1, ..Limits::default() }, |router| router).await;
    let held = house.hold();
    let mut first = house.connect().await;
    first.write_all(post(TOKEN, &large).as_bytes()).await.unwrap();
    house.until("begun").await;
    let mut second = house.connect().await;
    second.write_all(post(TOKEN, &large).as_bytes()).await.unwrap();
    let mut small = house.connect().await;
    small.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    house.until("begun").await;
    house.fake.permits.add_permits(1);
    assert_eq!(read_answer(first).await.status, 200);
    house.until("begun").await;
    house.fake.permits.add_permits(held);
    assert_eq!(read_answer(small).await.status, 200);
    assert_eq!(read_answer(second).await.status, 200);
    let lengths: Vec<_> = house.fake.calls.lock().unwrap().iter().map(|call| call.body.len()).collect();
    assert_eq!(lengths, [large.len(), 3, large.len()]);
}

#[tokio::test]
async fn a_large_call_whose_turn_does_not_come_is_told_to_come_again() {
    let limits = Limits { large_bodies: 0, body_time: Duration::from_millis(100), ..Limits::default() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let answer = house.post(&"x".repeat(100 * 1024)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "5"));
    assert_eq!(house.post("x=1").await.status, 200);
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_own_connection_only() {
    async fn bug() {
        panic!("a bug")
    }
    let house = House::with(Behaviour::Store, impatient(), |router| router.route("/bug", get(bug))).await;
    let mut stream = house.connect().await;
    stream.write_all(b"GET /bug HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_to_end(stream).await, "");
    assert_eq!(house.post("x=1").await.status, 200);
}

#[tokio::test]
async fn stopping_lets_a_call_finish_and_waits_for_nobody_else() {
    let limits = Limits { drain_time: Duration::from_millis(300), ..Limits::default() };
    let mut house = House::with(Behaviour::Store, limits, |router| router).await;
    let held = house.hold();
    let mut half_open = house.connect().await;
    half_open.write_all(b"POST /in/").await.unwrap();
    let mut till = house.connect().await;
    till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    house.until("begun").await;

    house.shutdown.cancel();
    house.fake.permits.add_permits(held);
    assert_eq!(read_answer(till).await.status, 200);
    house.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(house.address).await.is_err(), "nobody listens any more");
    assert_eq!(read_to_end(half_open).await, "");
}

#[tokio::test]
async fn a_store_that_outlives_the_service_is_not_acknowledged_and_goes_on() {
    let limits = Limits { drain_time: Duration::from_millis(100), ..Limits::default() };
    let mut house = House::with(Behaviour::Store, limits, |router| router).await;
    let held = house.hold();
    let mut till = house.connect().await;
    till.write_all(post(TOKEN, "x=1").as_bytes()).await.unwrap();
    house.until("begun").await;
    house.shutdown.cancel();
    (&mut house.served).await.unwrap().unwrap();
    assert_eq!(read_to_end(till).await, "");
    house.fake.permits.add_permits(held);
    house.until("stored").await;
}
