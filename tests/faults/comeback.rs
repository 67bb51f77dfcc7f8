//! Thousands of deliveries that fail in the same second, and a sink that comes back: it is not run over.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tillhook::{
    order::Phase,
    till::{self, Voice},
};

use super::{
    bench::{self, IN_FLIGHT},
    report, scale,
    sink::LedgerSink,
};
use crate::harness::App;

/// The first wait of the schedule, moved by a fifth either way, ends within a window of two seconds: in tenths of it.
const TENTHS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_in_the_same_second_comes_back_spread_out_and_never_more_at_once_than_is_allowed() {
    let orders: usize = scale(300, 10_000);
    let sink = LedgerSink::start().await;
    let app = App::start(&format!("[sink.erp]\n{}", sink.keys())).await;
    sink.answer(503, Duration::from_millis(1));
    let address = app.service().addr;
    let requests =
        (0..orders).map(|_| bench::request(&till::encode(&app.till.sell(), Phase::Validated, Voice::default())));
    let requests: Arc<Vec<_>> = Arc::new(requests.collect());
    let calls = stream::iter(0..orders).map(|number| {
        let requests = requests.clone();
        async move { bench::call(address, &requests[number]).await.expect("a door").status }
    });
    let answers: Vec<_> = calls.buffer_unordered(8).collect().await;
    assert!(answers.iter().all(|status| *status == Some(200)));
    app.settle().await;

    let lines = app.deliveries("erp").await;
    assert_eq!((lines.len(), sink.arrivals().refusals.len()), (orders, orders));
    let mut tenths = [0; TENTHS];
    for line in &lines {
        assert_eq!(line.status, "retrying");
        let wait = line.next_attempt_at.expect("a time").duration_since(app.now()).as_millis();
        assert!((4000..=6000).contains(&wait), "{wait} ms");
        tenths[((wait - 4000) as usize * TENTHS / 2001).min(TENTHS - 1)] += 1;
    }
    let most = *tenths.iter().max().expect("tenths");
    assert!(most < 2 * orders / TENTHS, "retries come together: {tenths:?}");

    sink.answer(200, Duration::from_millis(1));
    app.advance(Duration::from_secs(7)).await;
    let taken = sink.arrivals().taken;
    let at_once = sink.arrivals().most_at_once;
    assert_eq!(taken, orders, "each is delivered, once");
    assert!((2..=IN_FLIGHT).contains(&at_once), "{at_once} at once");
    report(
        "A sink that comes back is not run over",
        "tests/faults/comeback.rs",
        &format!(
            "{orders} failed in the same second; {most} retries at the most in a tenth of the window ({} were even); at most \
             {at_once} at once; all delivered",
            orders / TENTHS
        ),
    );
    app.finish().await;
}
