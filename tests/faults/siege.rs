//! Far sides and strangers at their worst, all at once: the till does not notice, memory and threads stay as they were,
//! and the program ends when it is told to.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use super::{
    awkward::{Awkward, HTTP, MANNERS, Manner, SMTP},
    bench::{self, Bench},
    ledger::percentile,
    report, scale,
};
use crate::harness::program::figure;

/// Connections that never say anything, all from one address, and how long each of them is away after it was dropped.
const HALF_OPEN: usize = 2_000;
const AWAY: Duration = Duration::from_secs(5);

/// Tills that send a byte a second.
const SLOW_TILLS: usize = 20;

/// How many calls a second are made while all that goes on.
const RATE: u32 = 200;
const SELLERS: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_sides_and_strangers_at_their_worst_hold_up_neither_the_till_nor_the_good_sink_nor_the_end() {
    let lasts = Duration::from_secs(scale(2, 10));
    let mut figures = Vec::new();
    for manner in scale(&MANNERS[2..3], &MANNERS[..]) {
        figures.push(besieged(*manner, lasts).await);
    }
    report(
        "Hung, slow, flooding and lying sinks, slow and half-open callers: the till is answered within 50 ms (p99)",
        "tests/faults/siege.rs",
        &format!("{RATE} calls a second, {} s for each kind of mail server: {}", lasts.as_secs(), figures.join("; ")),
    );
}

/// One round, with all kinds of HTTP sinks and one kind of mail server.
async fn besieged(mail: Manner, lasts: Duration) -> String {
    let mail_server = Awkward::start(mail, SMTP).await;
    let (mut sinks, mut more) = (Vec::new(), String::new());
    for manner in MANNERS {
        let sink = Awkward::start(manner, HTTP).await;
        more += &format!("[sink.{manner:?}]\ntype = \"http\"\nurl = \"http://{}/\"\ntimeout = \"2s\"\n", sink.addr)
            .to_lowercase();
        sinks.push(sink);
    }
    more += &format!(
        "[sink.mail]\ntype = \"email\"\nto = [\"compta@cabinet.example\"]\non = [\"order.*\"]\ntimeout = \"2s\"\n\
         [smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"caisse@dupont.example\"\n",
        mail_server.addr.port()
    );
    let mut bench = Bench::start(&more).await;
    let mut strangers = strangers(bench.address());
    bench.sell(SELLERS as usize, SELLERS * Duration::from_secs(1) / RATE);
    // Caches and pools fill first.
    tokio::time::sleep(lasts / 4).await;
    let (began, before) = (Instant::now(), Size::of(bench.program.pid()));
    tokio::time::sleep(lasts).await;
    let (ended, after) = (Instant::now(), Size::of(bench.program.pid()));
    let answers = bench.ledger.lock().expect("the ledger").between(began, ended);
    bench.stop_selling().await;

    assert!(answers.iter().all(|answered| answered.status == Some(200)), "{mail:?}: every call is stored");
    assert!(answers.len() > 20, "{mail:?}: only {} calls were answered", answers.len());
    let p99 = percentile(&answers, 0.99);
    assert!(p99 < Duration::from_millis(scale(3000, 1500)), "{mail:?}: the till waits {p99:?}");
    let growth = after.memory as f64 / before.memory as f64;
    assert!(growth < 1.5 && after.memory < 200 << 10, "{mail:?}: from {before:?} to {after:?} (KiB)");
    assert!(after.threads <= before.threads + 8, "{mail:?}: from {before:?} to {after:?}");
    bench.delivered().await;
    let (acknowledged, _) = bench.compare();

    let asked = Instant::now();
    assert_eq!(bench.program.terminate().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "{mail:?}: it took {:?} to end", asked.elapsed());
    strangers.abort_all();
    format!(
        "{acknowledged} acknowledged, p50 {} ms, p99 {} ms, memory {} to {} MiB, threads {} to {}, ended after {} ms",
        percentile(&answers, 0.5).as_millis(),
        p99.as_millis(),
        before.memory >> 10,
        after.memory >> 10,
        before.threads,
        after.threads,
        asked.elapsed().as_millis()
    )
}

/// What a process takes.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Resident, in KiB.
    memory: u64,
    threads: u64,
}

impl Size {
    fn of(pid: u32) -> Self {
        Self { memory: figure(pid, "VmRSS"), threads: figure(pid, "Threads") }
    }
}

/// Connections that say nothing, and tills that take a second over each byte; each begins anew when it is dropped.
fn strangers(to: SocketAddr) -> JoinSet<()> {
    let mut strangers = JoinSet::new();
    for number in 0..HALF_OPEN + SLOW_TILLS {
        strangers.spawn(async move {
            let request = bench::request(&crate::harness::form(&[("type", "validated"), ("orderInternalID", "slow")]));
            // Neither shares the address of the tills that sell, as in life.
            let from = if number < HALF_OPEN { [127, 0, 0, 2] } else { [127, 0, 0, 3] };
            loop {
                let Ok(mut stream) = connect(from, to).await else { return };
                if number < HALF_OPEN {
                    let _ = stream.read(&mut [0; 64]).await;
                    tokio::time::sleep(AWAY).await;
                    continue;
                }
                for byte in &request {
                    if stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
    }
    strangers
}

async fn connect(from: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}
