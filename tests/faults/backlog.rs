//! A long past and a long queue: starting, answering, delivering and listing are as quick as on an empty database.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use sqlx::Connection as _;
use tillhook::{
    order::Phase,
    store::{Access, DeliveryFilter, OrderFilter, Store},
    till::{self, Voice},
};

use super::{
    bench::{self, Bench},
    ledger, report, scale,
};
use crate::harness::program::eventually;

/// How many sales each of the two programs is measured by.
fn sales() -> usize {
    scale(40, 400)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_orders_and_as_many_waiting_deliveries_slow_nothing_down() {
    let rows: i64 = scale(5_000, 1_000_000);
    let (mut fresh, mut bench) = (prepare().await, prepare().await);
    fill(&mut bench, rows).await;
    let (mut empty, mut full) = (Times::start(&mut fresh).await, Times::start(&mut bench).await);
    // By turns, so that whatever else the machine does meets both.
    for _ in 0..sales() / 2 {
        empty.sell(&fresh).await;
        full.sell(&bench).await;
        full.sell(&bench).await;
        empty.sell(&fresh).await;
    }
    for bench in [&mut fresh, &mut bench] {
        assert_eq!(bench.program.terminate().await, Some(0));
    }
    drop(fresh);
    let (empty, full) = (empty.middle(), full.middle());
    println!("{empty:?}\n{full:?}");

    let store = Store::open(&bench.data, Access::Command).await.expect("the database");
    let began = Instant::now();
    let orders = store.list_orders(&OrderFilter { shop: None, limit: 50 }).await.expect("orders");
    let orders = (orders.len(), began.elapsed());
    let filter = DeliveryFilter { limit: 50, ..DeliveryFilter::default() };
    let began = Instant::now();
    let deliveries = store.list_deliveries(&filter, jiff::Timestamp::MAX).await.expect("deliveries");
    let listing = began.elapsed().max(orders.1);
    store.close().await;
    assert_eq!((orders.0, deliveries.len()), (50, 50));
    let backup = Log::meanwhile(&mut bench, "backup all.tar.gz", "all.tar.gz").await;
    // A tenth of it: each order is read and written by unoptimised code here.
    let words = "export --from 2020-01-01 --to 2020-03-31 --as jsonl -o all.jsonl";
    let export = Log::meanwhile(&mut bench, words, "all.jsonl").await;

    let limit = |millis| Duration::from_millis(millis);
    assert!(full.start < limit(scale(20_000, 3_000)), "it started after {:?}", full.start);
    assert!(listing < limit(scale(2_000, 500)), "a listing took {listing:?}");
    assert!(full.answer < 3 * empty.answer + limit(scale(200, 5)), "{:?}, and {:?} before", full.answer, empty.answer);
    assert!(
        full.delivery < 3 * empty.delivery + limit(scale(500, 50)),
        "{:?}, and {:?}",
        full.delivery,
        empty.delivery
    );
    assert!(backup.longest < 512 << 20 && backup.afterwards < 64 << 20, "{backup:?}");
    // An export keeps nothing of the log: the limit is that of any time.
    assert!(export.longest < 64 << 20 && export.afterwards < 64 << 20, "{export:?}");
    report(
        "A long queue slows nothing down",
        "tests/faults/backlog.rs",
        &format!(
            "{rows} orders with {rows} waiting deliveries: start {} ms (empty {}), answer {:.2} ms (empty {:.2}), first delivery {:.2} ms \
             (empty {:.2}), listings {} ms; the log while a backup is made: {}; while a tenth of it is exported: {}",
            full.start.as_millis(),
            empty.start.as_millis(),
            full.answer.as_secs_f64() * 1e3,
            empty.answer.as_secs_f64() * 1e3,
            full.delivery.as_secs_f64() * 1e3,
            empty.delivery.as_secs_f64() * 1e3,
            listing.as_millis(),
            backup.told(),
            export.told(),
        ),
    );
}

/// The write-ahead log, whose beginning cannot be used again while somebody reads. Sizes in bytes.
#[derive(Debug)]
struct Log {
    longest: u64,
    afterwards: u64,
    file: u64,
    took: Duration,
    calls: usize,
}

impl Log {
    /// While this command makes this file, and the till sells on.
    async fn meanwhile(bench: &mut Bench, words: &str, file: &str) -> Self {
        bench.serve().await;
        bench.sell(3, Duration::from_millis(20));
        let file = bench.program.place(file);
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let path = bench.data.join("tillhook.db-wal");
        let (began, mut longest) = (Instant::now(), 0);
        let answers = || bench.ledger.lock().expect("the ledger").acknowledged().len();
        let before = answers();
        let mut command = bench.program.command(words).stdout(Stdio::null()).spawn().expect("a command");
        // It takes minutes; the test's runner ends what hangs.
        let ended = loop {
            match command.try_wait().expect("a child") {
                Some(ended) => break ended,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            longest = longest.max(length(&path));
        };
        assert!(ended.success(), "{ended}");
        let (took, calls) = (began.elapsed(), answers() - before);
        // The next checkpoint cuts it back.
        let sold = answers() + 500;
        eventually("some more is sold", async || answers() >= sold).await;
        let afterwards = length(&path);
        bench.stop_selling().await;
        assert_eq!(bench.program.terminate().await, Some(0));
        bench.compare_database().await;
        Self { longest, afterwards, file: length(&file), took, calls }
    }

    fn told(&self) -> String {
        format!(
            "{} MiB at the most, for a file of {} MiB, in {} s and {} calls, {} MiB afterwards",
            self.longest >> 20,
            self.file >> 20,
            self.took.as_secs(),
            self.calls,
            self.afterwards >> 20
        )
    }
}

/// What one program took: for all sales, or in the middle.
#[derive(Debug)]
struct Times<T> {
    /// From the start of the program until it listens.
    start: Duration,
    /// From a call until its answer.
    answer: T,
    /// From a call until the sink has the order.
    delivery: T,
}

impl Times<Vec<Duration>> {
    async fn start(bench: &mut Bench) -> Self {
        let began = Instant::now();
        bench.serve().await;
        Self { start: began.elapsed(), answer: Vec::new(), delivery: Vec::new() }
    }

    /// Sells once, and waits until nothing is on its way.
    async fn sell(&mut self, bench: &Bench) {
        let order = bench.till.sell();
        let request = bench::request(&till::encode(&order, Phase::Validated, Voice::default()));
        let began = Instant::now();
        let answered = bench::call(bench.address(), &request).await.expect("a door");
        assert_eq!(answered.status, Some(200));
        let call = (order.internal_id, Phase::Validated);
        eventually("it is delivered", async || bench.sink.arrivals().calls.contains_key(&call)).await;
        self.answer.push(answered.took);
        self.delivery.push(bench.sink.arrivals().first_at[&call] - began);
    }

    fn middle(mut self) -> Times<Duration> {
        let middle = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2]
        };
        Times { start: self.start, answer: middle(&mut self.answer), delivery: middle(&mut self.delivery) }
    }
}

async fn prepare() -> Bench {
    let mut bench = Bench::prepare("").await;
    // The nightly backup that is due at the first start would be measured with it; one is made further below.
    bench.program = bench.program.with("TILLHOOK_STORAGE__BACKUP", "off");
    bench
}

/// Makes many orders out of one, each with its event and a delivery to `erp` that is due in an hour.
async fn fill(bench: &mut Bench, rows: i64) {
    Times::start(bench).await.sell(bench).await;
    assert_eq!(bench.program.terminate().await, Some(0));
    let mut conn = ledger::open(&bench.data).await;
    for statement in [
        "PRAGMA synchronous = OFF",
        "BEGIN",
        "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n",
        "INSERT INTO customer_order (key, shop, test, internal_id, order_id, state, timeline, last_event, received_at,
                                     updated_at, booked_on)
         SELECT printf('ord_%032x', i), shop, test, 'old' || i, 'old' || i, state, timeline, printf('evt_%032x', i),
                received_at, updated_at, date('2020-01-01', '+' || (i % 1000) || ' days')
         FROM n, (SELECT * FROM customer_order LIMIT 1)",
        "INSERT INTO event (id, type, shop, shop_name, order_key, at, test, data)
         SELECT printf('evt_%032x', i), type, shop, shop_name, printf('ord_%032x', i), at, test, data
         FROM n, (SELECT * FROM event WHERE type = 'order.validated' LIMIT 1)",
        "INSERT INTO delivery (id, sink, event_id, event_type, shop, order_key, lane, purpose, status, open, settle_until,
                               invoice_until, due_at, created_at)
         SELECT printf('dlv_%032x', i), sink, printf('evt_%032x', i), event_type, shop, printf('ord_%032x', i),
                sink || '/' || printf('ord_%032x', i), purpose, 'pending', 1, settle_until, invoice_until,
                due_at + 3600000000, created_at
         FROM n, (SELECT * FROM delivery WHERE sink = 'erp' ORDER BY seq DESC LIMIT 1)",
        "COMMIT",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") { query.bind(rows) } else { query };
        query.execute(&mut conn).await.expect("rows");
    }
    conn.close().await.expect("closed");
}
