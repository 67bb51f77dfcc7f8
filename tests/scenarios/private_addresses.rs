//! Private addresses in every spelling are never called: not for an invoice that a notification links to, not for a
//! sink, and not by way of a redirect.

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpListener;

use crate::{
    far::http::{Answer, HttpFar},
    harness::{App, Setup},
};

/// Hosts that lead to this machine, to a neighbour, or to a cloud's metadata service.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "127.000.000.001",
    "%31%32%37.0.0.1",
    "127。0。0。1",
    "１２７.0.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[ff02::1]",
    "[fec0::1]",
    "10.0.0.1",
    "167772161",
    "0xa000001",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "3232235777",
    "0xc0a80101",
    "100.64.0.1",
    "169.254.1.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "metadata.google.internal",
    "METADATA.google.internal.",
];

/// What is known to be private only once it is resolved; a sink with it starts.
const UNRESOLVED: &[&str] = &["localhost", "localhost.", "localhost.localdomain", "ip6-localhost"];

/// Names that the machine itself resolves to a private address.
const NAMES: &[&str] = &["localhost", "LOCALHOST", "LocalHost"];

/// A listener that must never be connected to, on every address of this machine.
struct Untouched(TcpListener);

impl Untouched {
    async fn start() -> Self {
        Self(TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0)).await.expect("a port"))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Whether a connection waits to be accepted.
    async fn was_called(&self) -> bool {
        tokio::select! {
            biased;
            _ = self.0.accept() => true,
            () = tokio::task::yield_now() => false,
        }
    }
}

#[tokio::test]
async fn an_invoice_link_to_a_private_address_is_missing_at_once_and_never_followed() {
    let inside = Untouched::start().await;
    let app = App::start("[sink.owner]\nMAIL\nattach = [\"invoice\"]\n").await;
    let hosts: Vec<&str> = SPELLINGS.iter().chain(UNRESOLVED).copied().collect();
    let links = hosts.iter().flat_map(|host| {
        let port = inside.port();
        [format!("http://{host}:{port}/f.pdf"), format!("https://{host}:{port}/f.pdf"), format!("https://{host}/f.pdf")]
    });
    let tricks = [
        format!("https://kash.click@127.0.0.1:{}/f.pdf", inside.port()),
        format!("https://127.0.0.1:{}#kash.click/f.pdf", inside.port()),
        format!("https://127.0.0.1:{}\\kash.click/f.pdf", inside.port()),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "//127.0.0.1/f.pdf".to_owned(),
        "ftp://127.0.0.1/f.pdf".to_owned(),
    ];
    let links: Vec<String> = links.chain(tricks).collect();
    for (index, link) in links.iter().enumerate() {
        let id = (index + 1).to_string();
        let fields =
            [("type", "validated"), ("orderID", &id), ("orderInternalID", &id), ("price", "1"), ("PDFinvoice", link)];
        assert_eq!(app.post_form(&fields).await.1["status"], "stored", "{link}");
    }
    app.settle().await;
    let invoices = app.invoices().await;
    let unrefused: Vec<_> = invoices.iter().filter(|line| line.status != "missing").collect();
    assert!(unrefused.is_empty(), "{unrefused:#?}");
    assert_eq!(app.data_of("invoice.missing").await.len(), invoices.len());
    assert_eq!(invoices.len(), links.len());
    assert_eq!(app.far.mail.count(), 2 * links.len() as u64, "each sale without its PDF, and each alert");
    assert!(!inside.was_called().await, "no connection was made");
    app.finish().await;
}

#[tokio::test]
async fn a_till_that_redirects_to_a_private_address_is_not_followed_there() {
    let inside = Untouched::start().await;
    let till = HttpFar::start().await;
    let origin = till.url().trim_end_matches("/hook").to_owned();
    let app = App::set_up(Setup { till_host: Some(&origin), ..Setup::default() }).await;
    let targets: Vec<String> = SPELLINGS
        .iter()
        .chain(UNRESOLVED)
        .map(|host| format!("http://{host}:{}/latest/meta-data/", inside.port()))
        .collect();
    for (index, target) in targets.iter().enumerate() {
        till.then([Answer::status(302).header("location", &percent_encoded(target))]);
        let id = (index + 1).to_string();
        let link = format!("{origin}/{id}.pdf");
        let fields = [("type", "validated"), ("orderID", &id), ("orderInternalID", &id), ("PDFinvoice", &link)];
        assert_eq!(app.post_form(&fields).await.1["status"], "stored");
        app.settle().await;
    }
    assert_eq!(till.requests().len(), targets.len(), "each link was followed as far as the till");
    let invoices = app.invoices().await;
    assert!(invoices.iter().all(|line| line.status == "pending" && line.sha256.is_none()), "{invoices:#?}");
    assert!(!inside.was_called().await, "no connection was made");
    app.finish().await;
}

/// A header is ASCII; everything else is sent in percent signs.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

#[tokio::test]
async fn a_sink_with_a_private_address_is_refused_at_start_in_every_spelling() {
    for kind in ["http", "slack"] {
        for host in SPELLINGS {
            let sinks = format!("[sink.erp]\ntype = \"{kind}\"\nurl = \"http://{host}:9/SECRET\"\n");
            let mut app = App::prepare(Setup { sinks: &sinks, delivery: "", ..Setup::default() }).await;
            let error = app.try_boot().await.expect_err("refused").to_string();
            assert!(error.contains("`erp`") && error.contains("`url` cannot be called"), "{host}: {error}");
            assert!(!error.contains("SECRET") && !error.contains(host), "{error}");
            app.give_up();
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_blocked_and_told_at_once() {
    let inside = Untouched::start().await;
    let port = inside.port();
    let mut sinks = "[sink.owner]\nMAIL\non = [\"test.ping\"]\n".to_owned();
    for (index, host) in NAMES.iter().enumerate() {
        for kind in ["http", "slack"] {
            sinks += &format!("[sink.{kind}-{index}]\ntype = \"{kind}\"\nurl = \"http://{host}:{port}/x\"\n");
        }
    }
    let app = App::set_up(Setup { sinks: &sinks, delivery: "alerts = [\"owner\"]", ..Setup::default() }).await;
    app.announce(&app.till.sell(), tillhook::order::Phase::Validated).await;
    app.settle().await;
    assert_eq!(app.told("sink.failing", 2 * NAMES.len()).await.len(), 2 * NAMES.len());
    for (index, host) in NAMES.iter().enumerate() {
        for kind in ["http", "slack"] {
            let attempts = app.attempts(&format!("{kind}-{index}")).await;
            assert_eq!(attempts[0].reason.as_deref(), Some("blocked"), "{host}");
            assert!(attempts[0].excerpt.as_deref().is_some_and(|text| text.contains("delivery.allow_private")));
        }
    }
    assert!(!inside.was_called().await, "no connection was made");
    app.finish_leaving(2 * NAMES.len()).await;
}
