//! No secret, address or customer is in the program's log, even where it logs everything it can.

use std::{collections::BTreeSet, sync::Arc};

use tillhook::{
    app::demo::far_sides::loopback,
    clock::SystemClock,
    order::Phase,
    store::{Access, Store},
    till::{
        self, Announcement, Encoding, TillCustomer, Voice,
        sandbox::{Options, Sandbox},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    far::{
        http::{Answer, HttpFar, Request},
        raw::{RawFar, Then},
        smtp::{Act, At, Script},
        tls::{Authority, Begins, Shown, TlsFront},
    },
    harness::{
        TOKEN, WHSEC, paris,
        program::{Program, eventually},
    },
};

/// What must be nowhere: every secret of the configuration, every address, everything that a call said.
pub(super) const CANARIES: &[&str] = &[
    TOKEN,
    WHSEC,
    "dGlsbGhvb2stdGVzdHMtc2lnbmluZy1zZWNyZXQ",
    "CanaryPassword",
    "Q2FuYXJ5UGFzc3dvcmQ",
    "CanaryPath",
    "CanaryQuery",
    "canary-host",
    "CanaryHeader",
    "CanaryBotToken",
    "CanaryName",
    "canary.mail",
    "0655500123",
    "CanaryStreet",
    "CanaryArticle",
    "CanaryAnswer",
    "CanaryBody",
    "CanaryType",
    "CanaryLink",
    "CanaryWrongToken",
    "accountant@canary",
    "CanaryPrevious",
    "CanaryUser",
    "CanaryRedirect",
    "CanaryHead",
    "canary-cert",
    "CanaryApiKey",
];

/// Sinks that succeed and sinks that fail in every way, their addresses and secrets all canaries.
const SINKS: &str = r#"
    [smtp]
    host = "127.0.0.1"
    port = SMTP
    tls = "none"
    username = "caisse"
    password = "CanaryPassword"
    from = "caisse@canary.example"
    [delivery]
    allow_private = ["127.0.0.0/8"]
    retry = ["1s", "24h", "24h"]
    [sink.mail]
    type = "email"
    to = ["accountant@canary.example"]
    attach = ["invoice"]
    [sink.good]
    type = "http"
    url = "http://GOOD/CanaryPath?key=CanaryQuery"
    secret = "WHSEC"
    headers = { authorization = "Bearer CanaryHeader" }
    include_customer = true
    [sink.refusing]
    type = "http"
    url = "http://BAD/CanaryPath?key=CanaryQuery"
    secret = "WHSEC"
    include_customer = true
    [sink.chat]
    type = "slack"
    url = "http://GOOD/services/CanaryPath"
    [sink.gone]
    type = "slack"
    url = "http://BAD/services/CanaryPath"
    [sink.bot]
    type = "slack"
    token = "xoxb-CanaryBotToken"
    channel = "C1"
    api = "http://BAD/CanaryPath"
    [sink.closed]
    type = "http"
    url = "http://CLOSED/CanaryPath?key=CanaryQuery"
    [sink.broken]
    type = "http"
    url = "http://BROKEN/CanaryPath?key=CanaryQuery"
    [sink.nowhere]
    type = "http"
    url = "http://canary-host.invalid/CanaryPath?key=CanaryQuery"
    [sink.private]
    type = "http"
    url = "http://localhost.canary-host.invalid:9/CanaryPath"
    [sink.tls]
    type = "http"
    url = "https://GOOD/CanaryPath?key=CanaryQuery"
    [sink.wrongname]
    type = "http"
    url = "https://TLS/CanaryPath?key=CanaryQuery"
    [sink.silent]
    type = "http"
    url = "http://SILENT/CanaryPath?key=CanaryQuery"
    timeout = "1s"
    [sink.moved]
    type = "http"
    url = "http://MOVED/CanaryPath?key=CanaryQuery"
    [sink.folder]
    type = "folder"
    path = "/nonexistent/CanaryPath"
"#;

/// Every sink, and how many deliveries of it there must be before the log is read.
const NAMES: &[&str] = &[
    "mail",
    "good",
    "refusing",
    "chat",
    "gone",
    "bot",
    "closed",
    "broken",
    "nowhere",
    "private",
    "tls",
    "wrongname",
    "silent",
    "moved",
    "folder",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_everything_holds_no_secret_when_the_mail_server_takes_the_mails() {
    log_everything(Script::honest().with_password("caisse", "CanaryPassword")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_everything_holds_no_secret_when_the_mail_server_refuses_a_recipient_by_name() {
    let refused = Act::Say("550 5.1.1 <accountant@canary.example>: CanaryName is unknown, CanaryAnswer");
    log_everything(Script::honest().with_password("caisse", "CanaryPassword").at(At::Rcpt(1), refused)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_everything_holds_no_secret_when_the_mail_server_refuses_the_password() {
    let refused = Act::Say("535 5.7.8 CanaryPassword is not the password of caisse");
    log_everything(Script::honest().with_password("caisse", "CanaryPassword").at(At::Auth, refused)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_everything_holds_no_secret_when_the_mail_server_puts_mails_off() {
    let later = Act::Say("451 4.7.1 <accountant@canary.example>: CanaryName later, CanaryAnswer");
    log_everything(Script::honest().with_password("caisse", "CanaryPassword").at(At::Dot, later)).await;
}

async fn log_everything(script: Script) {
    tillhook::app::telemetry::install_cryptography();
    let (smtp, good, bad) = (script.start().await, HttpFar::start().await, HttpFar::start().await);
    bad.always(Answer::status(404).body("CanaryAnswer: CanaryName <zoe@canary.mail> may not use CanaryQuery"));
    let broken = RawFar::start("CanaryAnswer is not HTTP\r\n\r\n", Then::Close).await;
    let silent = RawFar::start("", Then::Hush).await;
    let moved = HttpFar::start().await;
    moved.always(Answer::status(302).header("location", "https://canary-host.invalid/CanaryRedirect"));
    let authority = Authority::new();
    let tls = TlsFront::start(good.addr(), Begins::AtOnce, &authority, Shown::AnotherName).await;
    let options = Options { seed: 5, zone: paris(), clock: Arc::new(SystemClock) };
    let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
    let places = [
        ("SMTP", smtp.address.port().to_string()),
        ("GOOD", good.addr().to_string()),
        ("BAD", bad.addr().to_string()),
        ("BROKEN", broken.addr().to_string()),
        ("CLOSED", loopback().await.expect("a port").local_addr().expect("an address").to_string()),
        ("TLS", tls.addr.to_string()),
        ("SILENT", silent.addr().to_string()),
        ("MOVED", moved.addr().to_string()),
        ("WHSEC", WHSEC.to_owned()),
    ];
    let rest = places.into_iter().fold(SINKS.to_owned(), |text, (name, value)| text.replace(name, &value));
    let till_hosts = format!("{}\", \"https://{}", till.origin(), tls.addr);
    let api = HttpFar::start().await;
    api.always(
        Answer::status(200)
            .body("{\"success\":false,\"result\":\"CanaryAnswer: CanaryApiKey is no key of CanaryName\"}"),
    );
    let shop = format!(
        "previous_token = \"CanaryPreviousToken\"\nverify = \"record\"\n\
         [shop.dupont.api]\nhost = \"http://{}\"\nshop_id = \"4242\"\nkey = \"CanaryApiKey\"",
        api.addr()
    );
    let mut program = Program::new(&till_hosts, &shop, &rest)
        .with("TILLHOOK_LOG", "trace")
        .with("SSL_CERT_FILE", authority.file().display().to_string());
    let webhook = program.serve().await;

    babble_below_http(&webhook).await;
    let sold = sell_and_babble(&till, &webhook, &format!("https://{}/CanaryLink.pdf", tls.addr)).await;
    let last = sold.last().expect("an order").to_owned();
    eventually("every sink was tried for every order", async || everything_was_tried(&program, sold.len()).await).await;
    let tells_it = |request: &Request| String::from_utf8_lossy(&request.body).contains(&last);
    good.until(|requests| requests.iter().any(tells_it)).await;
    // The first comparison has nothing to ask for yet; the names of cash boxes are asked for at once.
    api.until(|requests| requests.iter().any(|request| request.path.contains("getCashbox"))).await;
    program.kill();

    let log = program.printed();
    for words in [
        "The till called",
        "delivered",
        "an attempt failed",
        "unknown token",
        "certificate is for another",
        "the till refuses",
    ] {
        assert!(log.contains(words), "the log says a lot, also of `{words}`");
    }
    has_no_canary(&log);
}

/// Fails with the lines that have one.
pub(super) fn has_no_canary(log: &str) {
    let leaks: BTreeSet<String> = log
        .lines()
        .flat_map(|line| CANARIES.iter().filter(|canary| line.contains(**canary)).map(move |canary| (canary, line)))
        .map(|(canary, line)| format!("{canary}: {}", line.chars().skip(28).take(300).collect::<String>()))
        .collect();
    assert!(leaks.is_empty(), "{} lines leak:\n{:#?}", leaks.len(), leaks.iter().take(20).collect::<Vec<_>>());
}

/// Says what is no HTTP, or too much of it, with canaries in every part.
async fn babble_below_http(webhook: &str) {
    let (addr, path) = webhook.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
    let long = "CanaryHead".repeat(20_000);
    for said in [
        format!("POST /{path}?CanaryQuery HTTP/9.9\r\nCanaryHead: CanaryHead\r\n\r\n"),
        format!("POST /{path}?CanaryQuery HTTP/1.1\r\nCanaryHead\0: CanaryHead\r\n\r\n"),
        format!("POST /{path}?CanaryQuery HTTP/1.1\r\ncontent-length: CanaryHead\r\n\r\n"),
        format!("POST /{path}?CanaryQuery HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nCanaryBody\r\n"),
        format!("POST /{path} HTTP/1.1\r\ncookie: CanaryHead\r\ncontent-length: 20\r\n\r\nCanaryBody"),
        format!("GET /CanaryPath/{path} HTTP/1.1\r\nauthorization: CanaryHead\r\nconnection: close\r\n\r\n"),
        format!("GET /{path} HTTP/1.1\r\nx: {long}\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(addr).await.expect("the service");
        let _ = stream.write_all(said.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

/// Announces an order in each encoding, and sends everything that is no order. Returns the orders' ids.
async fn sell_and_babble(till: &Sandbox, webhook: &str, wrong_link: &str) -> Vec<String> {
    let post = |content_type: &str, body: &str| Announcement {
        method: http::Method::POST,
        query: Some("note=CanaryBody".to_owned()),
        content_type: Some(content_type.to_owned()),
        body: body.as_bytes().to_vec(),
    };
    let babble = [
        post("application/json", "{\"CanaryBody\": "),
        post("text/CanaryBody", "CanaryBody \0 CanaryBody"),
        post("multipart/form-data; boundary=CanaryBody", "--CanaryBody\r\nCanaryBody"),
        post("application/x-www-form-urlencoded", "type=CanaryType&customer=CanaryBody"),
        post(
            "application/x-www-form-urlencoded",
            "type=validated&orderInternalID=9999&price=CanaryBody&PDFinvoice=https%3A%2F%2Fcanary-host.invalid%2FCanaryLink",
        ),
    ];
    for announcement in &babble {
        assert_eq!(till::post(announcement, webhook).await.expect("an answer").status, 200);
    }
    let previous = webhook.replace(TOKEN, "CanaryPreviousToken");
    assert_eq!(till::post(&babble[0], &previous).await.expect("an answer").status, 200);
    let wrong = webhook.replace(TOKEN, "CanaryWrongToken");
    assert_eq!(till::post(&babble[0], &wrong).await.expect("an answer").status, 404);

    let mut ids = Vec::new();
    for &encoding in Encoding::ALL {
        let mut order = till.sell();
        order.customer = Some(TillCustomer {
            id: "7".to_owned(),
            last_name: "CanaryName".to_owned(),
            first_name: "Zoé".to_owned(),
            email: "zoe@canary.mail".to_owned(),
            phone: "0655500123".to_owned(),
            address: "1 CanaryStreet".to_owned(),
            ..TillCustomer::default()
        });
        order.items[0].title = "CanaryArticle".to_owned();
        if ids.len() == 1 {
            order.pdf_url = Some(format!("{}/invoice/CanaryLink.pdf?key=CanaryLink", till.origin()));
        }
        if ids.len() == 2 {
            order.pdf_url = Some(wrong_link.to_owned());
        }
        let voice = Voice { encoding, ..Voice::default() };
        let call = till::encode(&order, Phase::Validated, voice);
        assert_eq!(till::post(&call, webhook).await.expect("an answer").status, 200);
        ids.push(order.internal_id);
    }
    ids
}

/// Whether every sink has made an attempt, and every delivery of the good one is over.
async fn everything_was_tried(program: &Program, orders: usize) -> bool {
    let store = Store::open(&program.data(), Access::Command).await.expect("the database");
    let attempts = store.attempts_after(0, 10_000).await.expect("the database answers");
    store.close().await;
    let tried: BTreeSet<&str> = attempts.iter().map(|attempt| attempt.sink.as_str()).collect();
    let delivered = attempts.iter().filter(|attempt| attempt.sink.as_str() == "good" && attempt.verdict == "delivered");
    NAMES.iter().all(|name| tried.contains(name)) && delivered.count() > orders
}
