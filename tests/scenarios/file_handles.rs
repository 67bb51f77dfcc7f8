//! A service that has as many files and connections open as the system lets it.

use std::fs;

use tillhook::{
    app::telemetry::install_cryptography,
    till::{self, Announcement},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    far::http::{HttpFar, Request},
    harness::{form, program::Program},
};

/// How many handles the service gets beyond those that it has open anyway: fewer than the connections that it would take.
const SPARE: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_a_file_handle_left_says_so_keeps_calls_under_way_and_makes_room_for_the_next() {
    install_cryptography();
    let far = HttpFar::start().await;
    // A delivery that finds no file handle is tried again soon.
    let rest = format!(
        "[delivery]\nallow_private = [\"127.0.0.0/8\"]\nretry = [\"1s\", \"1s\", \"1s\", \"1s\", \"60s\"]\n\
         pause_after = \"1m\"\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n",
        far.url()
    );
    let mut program = Program::new("till.example", "fetch_invoices = false", &rest);
    let webhook = program.serve().await;
    assert_eq!(announce(&webhook, "9").await, 200);
    far.until(|requests| requests.iter().any(|request| is_about(request, "9"))).await;
    let open = fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("it runs").count();
    assert_eq!(program.terminate().await, Some(0));

    let handles = u32::try_from(open).expect("a number") + SPARE;
    let mut program = program.with_handles(handles);
    let webhook = program.serve().await;
    let address = webhook.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an address");

    assert_eq!(announce(&webhook, "1").await, 200);
    let mut half_said = TcpStream::connect(address).await.expect("a connection");
    let (begin, end) = call(&webhook, address, "2");
    half_said.write_all(&begin).await.expect("the first half");
    let mut idle = Vec::new();
    for _ in 0..handles {
        idle.push(TcpStream::connect(address).await.expect("a place in the queue"));
    }
    program.says("Cannot accept connections").await;

    half_said.write_all(&end).await.expect("the second half");
    let mut answer = String::new();
    half_said.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"stored\""), "{answer}");

    assert_eq!(announce(&webhook, "3").await, 200, "one of those that say nothing makes room");
    drop(idle);
    assert_eq!(announce(&webhook, "4").await, 200);
    far.until(|requests| {
        ["1", "2", "3", "4"].iter().all(|order| requests.iter().any(|request| is_about(request, order)))
    })
    .await;
    program.kill();
    let log = program.printed();
    let said: Vec<_> = log.lines().filter(|line| line.contains("Cannot accept connections")).collect();
    assert!(said[0].contains("Too many open files") && said[0].contains("ulimit -n"), "{}", said[0]);
    assert!(said.len() < 3, "it says so once a minute, and not {} times", said.len());
    assert!(log.contains("The system allows so few open files"), "{log}");
}

fn announcement(internal_id: &str) -> Announcement {
    form(&[("type", "validated"), ("orderInternalID", internal_id), ("orderID", internal_id), ("price", "5.00")])
}

/// The till announces an order; returns the status of the answer.
async fn announce(webhook: &str, internal_id: &str) -> u16 {
    till::post(&announcement(internal_id), webhook).await.expect("an answer").status
}

/// The bytes of such a call, in two halves.
fn call(webhook: &str, address: &str, internal_id: &str) -> (Vec<u8>, Vec<u8>) {
    let body = announcement(internal_id).body;
    let path = webhook.split_once(address).map(|(_, path)| path).expect("a path");
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", body.len());
    let (begin, end) = body.split_at(body.len() / 2);
    ([head.as_bytes(), begin].concat(), end.to_vec())
}

fn is_about(request: &Request, internal_id: &str) -> bool {
    request.json()["data"]["internal_id"] == internal_id
}
