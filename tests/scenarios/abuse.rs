//! Calls that are built to exhaust whoever reads them, and a sink that leads back to our own webhook by a detour.

use std::{net::SocketAddr, sync::Arc};

use tillhook::{
    order::Phase,
    till::{self, Announcement},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{App, Setup, TOKEN};

/// A proxy that passes on whatever comes, once it is told where.
struct Proxy {
    addr: SocketAddr,
    target: Arc<watch::Sender<Option<SocketAddr>>>,
    _server: AbortOnDropHandle<()>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let target = Arc::new(watch::Sender::new(None));
        let passing_on = target.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, passing_on.subscribe()));
            }
        });
        Self { addr, target, _server: AbortOnDropHandle::new(server) }
    }
}

async fn pass_on(mut client: TcpStream, mut target: watch::Receiver<Option<SocketAddr>>) {
    let Ok(address) = target.wait_for(Option::is_some).await.map(|address| *address) else { return };
    let mut server = TcpStream::connect(address.expect("an address")).await.expect("the service");
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_sink_that_leads_back_to_our_own_webhook_is_paused_and_its_owner_told() {
    let proxy = Proxy::start().await;
    let sinks = format!(
        "[sink.loop]\ntype = \"http\"\nurl = \"http://{}/in/{TOKEN}\"\non = [\"order.*\", \"till.unknown\"]\n\
         [sink.owner]\nMAIL\non = []\n[sink.erp]\nHTTP\n",
        proxy.addr
    );
    let app = App::set_up(Setup { sinks: &sinks, ..Setup::default() }).await;
    proxy.target.send_replace(Some(app.service().addr));
    let order = app.till.sell();
    app.announce(&order, Phase::Validated).await;
    app.settle().await;

    assert_eq!(app.statuses("loop").await, ["paused"], "nothing is lost, and nothing goes round");
    let attempts = app.attempts("loop").await;
    assert_eq!(attempts.len(), 1);
    assert!(attempts[0].excerpt.as_deref().is_some_and(|text| text.contains("leads back")), "{attempts:?}");
    let events = app.events().await;
    assert_eq!(events.iter().filter(|kind| kind.starts_with("order.") || *kind == "till.unknown").count(), 1);
    assert_eq!(app.data_of("sink.paused").await[0]["sink"], "loop");
    assert_eq!(app.far.mail.count(), 1, "its owner is told");
    assert_eq!(app.statuses("erp").await, ["delivered"], "nobody else is held up");
    app.finish_leaving(1).await;
}

#[tokio::test]
async fn what_is_nested_or_split_too_far_is_kept_and_answered_and_holds_up_nobody() {
    let app = App::start("[sink.erp]\nHTTP\n").await;
    let order = "type=validated&orderInternalID=1&orderID=1&price=3";
    let deep = 200_000;
    let bodies = [
        ("[".repeat(deep), "quarantined"),
        ("{\"a\":".repeat(deep), "quarantined"),
        (
            format!("{{\"type\":\"validated\",\"orderID\":\"1\",\"x\":{}1{}}}", "[".repeat(deep), "]".repeat(deep)),
            "quarantined",
        ),
        ("a=1&".repeat(300_000), "quarantined"),
        ("a[]=1&".repeat(300_000), "quarantined"),
        (format!("{order}&items={}", "[".repeat(deep)), "stored"),
        (format!("{order}&a{}=1", "[x]".repeat(deep)), "quarantined"),
    ];
    for (body, expected) in bodies {
        let answer = till::post(&bytes(body.clone()), &app.webhook()).await.expect("an answer");
        assert_eq!(answer.status, 200, "{body:.40}");
        let answer: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(answer["status"], expected, "{body:.60}");
    }
    assert_eq!(app.announce(&app.till.sell(), Phase::Validated).await, "stored");
    app.settle().await;
    app.finish().await;
}

/// A call that says nothing about what it is.
fn bytes(body: String) -> Announcement {
    let content_type = Some("application/octet-stream".to_owned());
    Announcement { method: http::Method::POST, query: None, content_type, body: body.into_bytes() }
}
