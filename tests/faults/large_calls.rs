//! Many calls at a time that are as large as the limit allows: they wait for each other, and memory stays bounded.

use std::net::SocketAddr;

use tillhook::till::Announcement;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    bench::{self, Bench},
    report, scale,
};
use crate::harness::form;

/// How many calls are made at a time. They are stored one after the other, which takes a while in a debug build.
const AT_ONCE: usize = 64;

/// The largest body that is taken (`server.body_limit`).
pub const LIMIT: usize = 2 * 1024 * 1024;

/// What the whole process may take, in KiB: the aim is 150 MiB, and this is a debug build beside other tests.
pub const MOST: u64 = 256 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_of_two_megabytes_at_once_are_stored_and_delivered_in_little_memory() {
    let bench = Bench::start("").await;
    let to = bench.address();
    let mut orders = 0;
    for _ in 0..scale(1, 2) {
        let mut calls = JoinSet::new();
        for _ in 0..scale(AT_ONCE / 4, AT_ONCE) {
            orders += 1;
            let request = bench::request(&large(orders));
            calls.spawn(call_until_stored(to, request));
        }
        calls.join_all().await;
    }
    bench.drain().await;
    assert_eq!(bench.sink.arrivals().calls.len(), orders, "all have arrived");
    let peak = bench.program.most_memory();
    assert!(peak < MOST, "{} MiB", peak >> 10);
    report(
        "Bodies within the limit, however many at a time: little memory in all (aim: 150 MiB)",
        "tests/faults/large_calls.rs",
        &format!(
            "{orders} calls of 2 MiB, {AT_ONCE} at a time: all stored and delivered, {} MiB at the most",
            peak >> 10
        ),
    );
}

/// Makes a call until it is stored: on a slow machine its turn may not come within the time that it has.
pub async fn call_until_stored(to: SocketAddr, request: Vec<u8>) {
    loop {
        let mut stream = TcpStream::connect(to).await.expect("somebody listens");
        stream.write_all(&request).await.expect("all is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        if answer.starts_with("HTTP/1.1 200") {
            return;
        }
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}

/// An order with a remark that fills the body up to the limit.
fn large(number: usize) -> Announcement {
    let number = number.to_string();
    let order = [("type", "validated"), ("orderInternalID", &*number), ("orderID", &*number), ("price", "5.00")];
    let mut announcement = form(&order);
    announcement.body.extend(b"&remark=");
    announcement.body.resize(LIMIT, b'x');
    announcement
}
