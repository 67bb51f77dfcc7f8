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
async fn a_body_that_trickles_in_is_given_up() {
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
    assert_eq!(status, "HTTP/1.1 408 Request Timeout\r\n");
    trickle.await.unwrap();
    assert_eq!(house.stored(), 0);
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

#[tokio::test]
async fn a_connection_ends_with_its_time_however_slowly_it_reads() {
    let limits = Limits {
        connection_time: Duration::from_millis(100),
        drain_time: Duration::from_millis(100),
        ..Limits::default()
    };
    // More than the sockets' buffers hold, so that the answer is still being written.
    let endless = Router::new().route("/", get(|| async { vec![b'x'; 64 * 1024 * 1024] }));
    let house = House::with(Behaviour::Store, Limits { connections: 1, ..limits }, |_| endless).await;
    let mut sleeper = house.connect().await;
    sleeper.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 1];
    sleeper.read_exact(&mut first).await.unwrap();
    assert_eq!(house.ask("GET /other HTTP/1.1\r\nconnection: close\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn beyond_the_limit_a_call_waits_for_its_turn() {
    let limits = Limits { connections: 2, ..impatient() };
    let house = House::with(Behaviour::Store, limits, |router| router).await;
    let mut strangers = Vec::new();
    for _ in 0..2 {
        let mut stream = house.connect().await;
        stream.write_all(b"POST /in/").await.unwrap();
        strangers.push(stream);
    }
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
