//! Readers who take an invoice without reading it: they hold neither memory nor the till, and what was changed on disk is
//! never shown.

use std::{fs, net::SocketAddr, time::Duration};

use sqlx::Connection as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{
    bench::{self, Bench},
    ledger, longest_wait, report,
};
use crate::harness::form;

/// How many readers come at a time, and how many of them are served (`Limits::document_readers`).
const READERS: usize = 100;
const SERVED: usize = 16;

/// The largest invoice that is kept, in bytes.
const LARGEST: usize = 20 * 1024 * 1024;

/// What they may add to the memory of the process, in KiB: a small part of one invoice for each.
const MORE: u64 = 24 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_slow_readers_of_the_largest_invoice_hold_neither_memory_nor_the_till() {
    let bench = Bench::start("").await;
    let to = bench.address();
    let sell = async |number: &str| {
        let order = [("type", "validated"), ("orderInternalID", number), ("orderID", number), ("price", "5.00")];
        bench::call(to, &bench::request(&form(&order))).await.expect("somebody listens")
    };
    assert_eq!(sell("1").await.status, Some(200));
    let mut pdf = b"%PDF-1.7\n".to_vec();
    pdf.resize(LARGEST, b'x');
    fs::write(bench.program.place("invoice.pdf"), &pdf).expect("a file");
    bench.program.ok("invoices import invoice.pdf --order 1");
    let (capability, path) = invoice(&bench).await;
    let address = format!("/invoices/{capability}");
    let (status, body) = bench::get(to, &address).await;
    assert_eq!((status, body.len()), (200, LARGEST));

    let before = bench.program.memory();
    let (mut readers, mut statuses) = (Vec::new(), Vec::new());
    for _ in 0..READERS {
        let (reader, status) = begin_to_read(to, &address).await;
        readers.push(reader);
        statuses.push(status);
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(503)), (SERVED, READERS - SERVED));
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let answered = sell(&format!("beside-{number}")).await;
        assert_eq!(answered.status, Some(200));
        slowest = slowest.max(answered.took);
    }
    assert!(slowest < longest_wait(), "the till waits {slowest:?}");
    let after = bench.program.memory();
    assert!(after < before + MORE, "from {} to {} MiB", before >> 10, after >> 10);
    report(
        "Slow readers of invoices hold neither memory nor the till",
        "tests/faults/slow_readers.rs",
        &format!(
            "{READERS} readers of 20 MiB who read nothing: {SERVED} served, the others answered 503; memory {} to {} MiB; \
             an answer to the till took {} ms at the most",
            before >> 10,
            after >> 10,
            slowest.as_millis()
        ),
    );

    // One of them reads on: nothing was lost on the way.
    let mut rest = Vec::new();
    readers.swap_remove(0).read_to_end(&mut rest).await.expect("the rest");
    assert!(rest.len() > LARGEST - 1024 * 1024 && rest.iter().rev().take(LARGEST / 2).all(|byte| *byte == b'x'));
    drop(readers);
    fs::write(bench.data.join(path), b"%PDF-1.7 forged").expect("somebody changes it");
    while bench::get(to, &address).await.0 == 503 {}
    assert_eq!(bench::get(to, &address).await, (404, String::new()), "what was changed is not shown");
}

/// The name behind which the only invoice is served, and its path in the data directory.
async fn invoice(bench: &Bench) -> (String, String) {
    let mut conn = ledger::open(&bench.data).await;
    let found = sqlx::query_as("SELECT capability, path FROM invoice").fetch_one(&mut conn).await;
    conn.close().await.expect("closed");
    found.expect("an invoice")
}

/// Asks for the invoice, reads the first line of the answer, and no more.
async fn begin_to_read(to: SocketAddr, address: &str) -> (TcpStream, u16) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
    let mut stream = socket.connect(to).await.expect("a connection");
    stream.write_all(format!("GET {address} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.expect("sent");
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.expect("an answer");
    let status = String::from_utf8_lossy(&line[9..]).parse().expect("a status");
    (stream, status)
}
