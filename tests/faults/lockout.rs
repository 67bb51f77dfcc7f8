//! Strangers who want every connection: from two addresses without a word, and behind the trusted proxy with bodies that
//! never end. No token is needed for either. The till, beside them and through the same proxy, does not notice.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use super::{
    bench::{Bench, request},
    ledger::{Answered, percentile},
    longest_wait, report, scale,
};
use crate::harness::{TOKEN, form};

/// The addresses that connect and say nothing, and how many connections each keeps up.
const SILENT: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
const EACH: usize = 600;

/// The proxy that is trusted, and how many connections strangers keep up through it.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const FORWARDED: usize = 400;

/// How long each of them is away after it was closed.
const AWAY: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_take_every_connection_keep_no_till_waiting() {
    let mut bench = Bench::prepare("").await;
    bench.program = bench.program.with("TILLHOOK_SERVER__TRUSTED_PROXIES", format!("[\"{PROXY}/32\"]"));
    bench.serve().await;
    let to = bench.address();
    let mut strangers = JoinSet::new();
    for number in 0..EACH * SILENT.len() {
        strangers.spawn(keep_silent(SILENT[number % SILENT.len()], to));
    }
    for number in 0..FORWARDED {
        strangers.spawn(send_without_end(number, to));
    }
    bench.program.says("Connections without a right token fill their places").await;

    let mut answers = Vec::new();
    for number in 0..scale(100, 1_000) {
        answers.push(sell(number, Ipv4Addr::LOCALHOST, to).await);
        answers.push(sell(number, PROXY, to).await);
    }
    let slowest = percentile(&answers, 1.0);
    let lost = answers.iter().filter(|answered| answered.status != Some(200)).count();
    assert_eq!(lost, 0, "of {} calls, the slowest took {slowest:?}", answers.len());
    assert!(slowest < longest_wait(), "a till waits {slowest:?}");
    strangers.abort_all();
    bench.drain().await;
    assert_eq!(bench.sink.arrivals().calls.len(), answers.len(), "all that was answered has arrived");
    report(
        "Strangers who take every connection, by two addresses or behind the trusted proxy: the till is answered within 1 s",
        "tests/faults/lockout.rs",
        &format!(
            "{} silent connections of 2 addresses and {FORWARDED} unfinished bodies of as many networks behind the \
             proxy, each back after {} ms: {} calls, p50 {} ms, p99 {} ms, slowest {} ms",
            EACH * SILENT.len(),
            AWAY.as_millis(),
            answers.len(),
            percentile(&answers, 0.5).as_millis(),
            percentile(&answers, 0.99).as_millis(),
            slowest.as_millis()
        ),
    );
}

/// Connects and says nothing, for ever.
async fn keep_silent(from: Ipv4Addr, to: SocketAddr) {
    loop {
        if let Ok(mut stream) = connect(from, to).await {
            let _ = stream.read(&mut [0; 64]).await;
        }
        tokio::time::sleep(AWAY).await;
    }
}

/// Makes calls with a wrong token, each in the name of another network, and sends of each body only the beginning.
async fn send_without_end(number: usize, to: SocketAddr) {
    for round in 0_u64.. {
        if let Ok(mut stream) = connect(PROXY, to).await {
            let client = format!("2001:db8:{:x}:{:x}::1", number, round & 0xffff);
            let head = format!(
                "POST /in/wrong HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\ncontent-length: 900\r\n\r\ntype="
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.read(&mut [0; 64]).await;
        }
        tokio::time::sleep(AWAY).await;
    }
}

/// Announces an order, directly or through the proxy.
async fn sell(number: usize, from: Ipv4Addr, to: SocketAddr) -> Answered {
    let id = format!("{number}-{from}");
    let announcement = form(&[("type", "validated"), ("orderInternalID", &id), ("orderID", &id), ("price", "5.00")]);
    let forwarded = format!(" /in/{TOKEN} HTTP/1.1\r\nx-forwarded-for: 203.0.113.7\r\n");
    let call = String::from_utf8(request(&announcement)).expect("text");
    let call = call.replace(&format!(" /in/{TOKEN} HTTP/1.1\r\n"), &forwarded);
    let began = Instant::now();
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = connect(from, to).await?;
        stream.write_all(call.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(30), talk).await;
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Answered { status, at: Instant::now(), took: began.elapsed() }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
    socket.connect(to).await
}
