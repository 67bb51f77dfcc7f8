//! Customers, articles and numbers with hostile names, in every field and encoding: nothing of them breaks out of where
//! it belongs, and nothing of them is in a log.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;
use tillhook::{
    app::demo::{mail_catcher::Mail, mime},
    order::Phase,
    till::{Encoding, TillCustomer, TillOrder, Voice},
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{
    far::http::HttpFar,
    harness::{App, WHSEC},
};

/// In every text, so that a log can be searched for it.
const CANARY: &str = "Kanari";

fn hostile_texts() -> Vec<String> {
    let texts = [
        "Zoé\r\nBcc: x@evil.example",
        "Zoé\nX-Injected: yes\n\n<h1>body</h1>",
        "Zoé\r\n.\r\nMAIL FROM:<x@evil.example>\r\n",
        "<!channel> <!here> <@U123> <https://evil.example|click>",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "\"><a href=\"javascript:alert(1)\">",
        "=cmd|'/c calc'!A0",
        "{{ 7 * 7 }}{% include 'x' %}",
        "../../../../etc/passwd",
        "..\\..\\windows\\system32",
        "/tmp/absolute\0.pdf",
        "NUL\0\u{1}\u{7}\u{1b}[31m\u{7f}\u{85}\u{9b}",
        "\u{202e}gnp.exe\u{202c} \u{2066}x\u{2069} \u{200f}\u{feff}",
        "=?utf-8?B?QmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
        "\u{2028}\u{2029} line\u{b}\u{c}separators",
        "'; DROP TABLE event; --",
        "%0d%0aBcc:%20x@evil.example",
        "\\\"quoted\\\" <x@evil.example>, y@evil.example",
    ];
    let long = "é<&>\"'".repeat(2_000);
    texts.iter().map(|text| format!("{CANARY} {text}")).chain([format!("{CANARY} {long}")]).collect()
}

/// An order with the text wherever text can be.
fn poisoned(mut order: TillOrder, text: &str, turn: usize) -> TillOrder {
    let text = || text.to_owned();
    order.customer = Some(TillCustomer {
        id: text(),
        last_name: text(),
        first_name: text(),
        email: text(),
        phone: text(),
        address: text(),
        postcode: text(),
        city: text(),
        vat_number: Some(text()),
        more: vec![("commentaireadresse".to_owned(), text())],
    });
    order.cash_box_id = text();
    for item in &mut order.items {
        (item.id, item.title) = (text(), text());
    }
    // Every other order has a hostile number too.
    if turn.is_multiple_of(2) {
        order.order_id = format!("{turn}{}", text());
    }
    order
}

const SINKS: &str = r#"
    [sink.accountant]
    MAIL
    attach = ["invoice"]
    [sink.team]
    type = "slack"
    url = "CHAT"
    show = ["total", "items", "customer"]
    [sink.erp]
    type = "http"
    url = "ERP"
    secret = "WHSEC"
    include_customer = true
    [sink.archive]
    type = "folder"
    path = "FOLDER"
    attach = ["invoice"]
    include_customer = true
"#;

#[tokio::test]
async fn hostile_names_stay_where_they_belong_and_out_of_the_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("trace")).with_writer(log.clone());
    let _listening = tracing::subscriber::set_default(subscriber.finish());

    let (chat, erp, folder) = (HttpFar::start().await, HttpFar::start().await, TempDir::new().expect("a folder"));
    let sinks = SINKS.replace("CHAT", chat.url()).replace("ERP", erp.url()).replace("WHSEC", WHSEC);
    let folder_path = folder.path().join("out");
    std::fs::create_dir(&folder_path).expect("a folder");
    let app = App::start(&sinks.replace("FOLDER", &folder_path.display().to_string())).await;

    let texts = hostile_texts();
    let mut sent = 0;
    for text in &texts {
        for &encoding in Encoding::ALL {
            // What a request line cannot hold, a till cannot say in one.
            if encoding == Encoding::Get && text.len() > 1_000 {
                continue;
            }
            let order = poisoned(app.till.sell(), text, sent);
            let voice = Voice { encoding, ..Voice::default() };
            assert_eq!(app.announce_as(&order, Phase::Validated, voice).await, "stored", "{encoding}: {text:.60?}");
            sent += 1;
        }
    }
    app.settle_at_pace(&["team"]).await;
    for sink in ["accountant", "team", "erp", "archive"] {
        assert_eq!(app.statuses(sink).await, vec!["delivered"; sent], "{sink}");
    }

    assert_eq!(app.far.mail.count(), sent as u64);
    app.far.mail.mails().iter().for_each(a_mail_is_ours_alone);
    assert_eq!(chat.requests().len(), sent);
    chat.requests().iter().for_each(|request| nothing_is_addressed_in(&request.json()));
    the_program_gets_the_names_as_they_are(&erp, &texts);
    files_stay_in_their_folders(&app.data(), &folder, &folder_path);
    let log = log.text();
    assert!(log.contains("The till called") && log.contains("delivered"), "the log was listened to");
    for secret in [CANARY, "evil.example", "compta@", crate::harness::TOKEN, WHSEC, "/hook", app.webhook().as_str()] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
    app.finish().await;
}

fn a_mail_is_ours_alone(mail: &Mail) {
    const OURS: &[&str] = &[
        "Date",
        "Message-ID",
        "Subject",
        "From",
        "To",
        "Content-Language",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(
        (mail.from.as_str(), &mail.to[..]),
        ("caisse@dupont.example", &["compta@cabinet-martin.example".to_owned()][..])
    );
    let source = std::str::from_utf8(&mail.source).expect("seven bits");
    assert!(source.is_ascii() && !source.contains('\0'));
    assert!(!source.replace("\r\n", "").contains(['\r', '\n']), "every line ends in the one way");
    let (head, _) = source.split_once("\r\n\r\n").expect("a body");
    let mut names = Vec::new();
    for line in head.lines().filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, value) = line.split_once(':').expect("a header");
        assert!(OURS.contains(&name), "{line}");
        assert!(name != "To" || value.trim() == "compta@cabinet-martin.example", "{line}");
        names.push(name);
    }
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "each header once: {names:?}");
    assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);

    let (html, is_html) = mime::text(&mail.source).expect("a text");
    assert!(is_html);
    for tag in ["<script", "<img", "<h1>body", "<a href=\"javascript", "<!channel"] {
        assert!(!html.contains(tag), "{tag} in {html:.2000}");
    }
    assert!(!html.contains(['\u{202e}', '\u{2066}', '\u{0}', '\u{1b}']), "no hidden characters");
    assert_eq!(mail.attachments.len(), 1);
    is_a_plain_name(&mail.attachments[0].name);
    assert!(mail.attachments[0].bytes.starts_with(b"%PDF-"));
}

/// Slack takes `<…>` for a link, a mention or a call to everybody; we write none. Nor is anything hidden in a line.
fn nothing_is_addressed_in(value: &Value) {
    match value {
        Value::String(text) => {
            assert!(!text.contains(['<', '>']) && text.chars().count() <= 3_000, "{text}");
            assert!(!text.contains(['\0', '\r', '\u{1b}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{feff}']), "{text:?}");
        }
        Value::Array(list) => list.iter().for_each(nothing_is_addressed_in),
        Value::Object(map) => map.values().for_each(nothing_is_addressed_in),
        _ => {}
    }
}

fn the_program_gets_the_names_as_they_are(erp: &HttpFar, texts: &[String]) {
    let titles: BTreeSet<String> = erp
        .requests()
        .iter()
        .map(|request| request.json()["data"]["items"][0]["label"].as_str().expect("a label").to_owned())
        .collect();
    for text in texts {
        // White space around a text is nobody's, and a backslash before a quote was one escape too many.
        let text = text.trim().replace("\\\"", "\"");
        let found = titles.iter().any(|title| title.trim() == text);
        assert!(found, "{text:.80?} is not among {:.2000?}", titles);
    }
}

fn files_stay_in_their_folders(data: &Path, outside: &TempDir, folder: &Path) {
    for file in files(&data.join("invoices")) {
        let relative = file.strip_prefix(data.join("invoices")).expect("inside").to_string_lossy().into_owned();
        let parts: Vec<&str> = relative.split('/').collect();
        let [year, month, name] = parts[..] else { panic!("{relative}") };
        assert!(year == "2026" && month == "11", "{relative}");
        let digest = name.strip_suffix(".pdf").expect("a PDF");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{relative}");
    }
    assert!(!files(folder).is_empty());
    assert_eq!(files(outside.path()), files(folder), "nothing beside the folder");
    for file in files(folder) {
        assert_eq!(file.parent(), Some(folder), "{}", file.display());
        is_a_plain_name(&file.file_name().expect("a name").to_string_lossy());
    }
}

fn is_a_plain_name(name: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    assert!(
        name.chars().all(is_plain) && !name.starts_with('.') && !name.contains("..") && name.len() <= 200,
        "{name:?}"
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What this test's thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
