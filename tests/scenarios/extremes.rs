//! Texts, dates, amounts and numbers at the edge of what a program can hold, in the calls of the till and in what is typed:
//! every message is sent, and every listing, sheet and export works.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tillhook::{
    clock::{Clock as _, SystemClock},
    order::Phase,
    store::DeliveryLine,
};

use crate::harness::App;

/// The largest amount that a decimal holds, and the smallest.
const HUGE: &str = "79228162514264337593543950335";
const TINY: &str = "0.0000000000000000000000000001";

const ENDS: &str = r#"
    [sink.accountant]
    MAIL
    digest = { every = "daily 23:30" }
    attach = ["vat.csv", "invoices.csv", "invoices.xlsx", "journal.csv"]
    [sink.mailbox]
    MAIL
    on = ["order.*"]
    per_order = "each"
    locale = "en"
    [sink.team]
    SLACK
    on = ["cashbox.*"]
    [sink.erp]
    HTTP
    include_customer = true
    [sink.files]
    type = "folder"
    path = "FOLDER"
    [accounting]
    journal = "VE"
    customer = "411000"
    [accounting.rates."20"]
    revenue = "707000"
    vat = "445710"
"#;

/// Orders that each are odd in one way.
fn orders() -> Vec<Value> {
    let long = |letter: &str, length: usize| letter.repeat(length);
    let line = |quantity: &str, price: &str| json!([{ "titre": "Menu", "qte": quantity, "prix": price, "tva": "20" }]);
    let mut orders = vec![
        json!({ "orderID": long("9", 70_000) }),
        json!({ "orderID": format!("1{}", long("é\u{301}🧾", 25_000)) }),
        json!({ "cashBoxID": long("1", 70_000), "deliveryMethod": long("2", 70_000) }),
        json!({ "clientID": "512", "clientName": long("Zoé ", 10_000), "clientEmail": format!("{}@example.com", long("z", 70_000)) }),
        json!({ "items": [{ "titre": long("crème brûlée ", 10_000), "qte": "1", "prix": "10" }] }),
        json!({ long("x", 70_000): long("y", 70_000) }),
        json!({ "orderID": "000000000000000001" }),
        json!({ "orderID": "999999999999999999" }),
        json!({ "orderID": "20261121999999999999999999" }),
        json!({ "items": line(HUGE, HUGE), "price": HUGE }),
        json!({ "items": line("2", HUGE), "price": HUGE }),
        json!({ "items": line(TINY, TINY), "price": TINY, "VAT": TINY }),
        json!({ "price": HUGE, "VAT": format!("-{HUGE}") }),
        json!({ "price": HUGE, "VAT": "0", "VATs": [{ "taux": HUGE, "ht": HUGE, "tva": "0", "ttc": HUGE }] }),
        json!({ "price": HUGE, "VATs": [{ "taux": "20", "tva": HUGE }, { "taux": "10", "tva": HUGE }],
                "items": [{ "titre": "a", "total": HUGE, "tva": "20" }, { "titre": "b", "total": HUGE, "tva": "20" },
                          { "titre": "c", "total": format!("-{HUGE}"), "tva": "10" }] }),
    ];
    for date in [
        "-000005-11-21",
        "-009999-01-02T01:59:59Z",
        "0000-01-01 12:00",
        "0001-01-01 00:00:00",
        "1899-12-31",
        "9999-12-30 23:00:00",
        "9999-12-31T23:59:59-23:59",
        "12026-11-21",
        "+012026-11-21",
        "9999999999999",
    ] {
        orders.push(json!({ "validationDate": date, "creationDate": date, "valueDate": date }));
    }
    orders
}

/// The real program beside the service of the test; returns what it printed, and how it ended.
struct Typed(std::path::PathBuf);

impl Typed {
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
        command.current_dir(&self.0).env_clear().stdin(Stdio::null()).args(["--config", "tillhook.toml"]);
        let output = command.args(words).output().expect("the program");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), said.concat())
    }

    fn ok(&self, words: &[&str]) -> String {
        let (exit, said) = self.run(words);
        assert_eq!(exit, Some(0), "{words:.60?}: {said:.2000}");
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_call_holds_everything_that_is_sent_listed_or_exported_of_it_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let sinks = ENDS.replace("FOLDER", &folder.path().display().to_string());
    let app = App::start_with("fetch_invoices = false", &sinks).await;
    let orders = orders();
    for (number, odd) in orders.iter().enumerate() {
        let mut call = json!({
            "orderInternalID": format!("odd-{number}"), "orderID": format!("2026112100{number}"),
            "price": "10.00", "validationDate": "2026-11-21 14:00:00",
        });
        call.as_object_mut().expect("an object").extend(odd.as_object().expect("an object").clone());
        for phase in ["validated", "terminated"] {
            call["type"] = json!(phase);
            assert_eq!(app.say_json(call.clone()).await, "stored", "{number}: {odd:.80}");
        }
    }
    let internal_id = "8".repeat(70_000);
    assert_eq!(app.say(&[("type", "validated"), ("orderInternalID", &internal_id), ("price", "1")]).await, "stored");
    for (opened, closed) in [("0001-01-01", "9999-12-30"), ("-000005-01-01", "12026-01-01")] {
        let closing = [("type", "cashBox_close"), ("opened", opened), ("closed", closed), ("Total", HUGE)];
        assert_eq!(app.say(&closing).await, "stored");
    }
    app.say(&[("type", &"t".repeat(70_000))]).await;
    assert_eq!(app.say(&[("price", &"9".repeat(70_000))]).await, "quarantined");
    assert_eq!(app.announce(&app.till.sell(), Phase::Validated).await, "stored");
    app.settle_at_pace(&["team"]).await;
    for sink in ["mailbox", "team", "erp", "files"] {
        let unsent = app.deliveries(sink).await.into_iter().find(|line| line.status != "delivered");
        assert!(unsent.is_none(), "{sink}: {:.500}", format!("{unsent:?}"));
    }

    let program = Typed(app.data().parent().expect("a directory").to_owned());
    let lists = ["orders list", "orders missing", "deliveries list", "sinks list", "quarantine list", "invoices list"];
    for list in lists {
        let words: Vec<&str> = list.split(' ').chain(["--limit", "1000"]).collect();
        let widest = program.ok(&words).lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(1_000), "{list} is {widest:?} characters wide");
        let listed: Value = serde_json::from_str(&program.ok(&[&words[..], &["--json"]].concat())).expect("JSON");
        assert!(listed["data"].is_array(), "{list}");
    }
    assert_eq!(app.orders().await.len(), orders.len() + 2);
    for order in app.orders().await {
        let id = order.internal_id.expect("each has one");
        program.ok(&["orders", "show", &id]);
        program.ok(&["orders", "show", &id, "--json"]);
        for sink in ["accountant", "mailbox", "team", "erp", "files"] {
            program.ok(&["render", sink, "--order", &id]);
        }
    }
    for delivery in app.deliveries("erp").await {
        program.ok(&["deliveries", "show", &delivery.id.to_string()]);
    }
    let quarantined: Value = serde_json::from_str(&program.ok(&["quarantine", "list", "--json"])).expect("JSON");
    program.ok(&["quarantine", "show", quarantined["data"][0]["id"].as_str().expect("an id"), "--body"]);
    program.ok(&["customers", "erase", "--client", "512", "--dry-run"]);
    program.ok(&["backup", "copy.tar.gz"]);

    // What is typed may be as odd.
    for (form, more) in [("csv", &["-o", "a.csv"][..]), ("zip", &["-o", "a.zip"]), ("jsonl", &["-o", "a.jsonl"])] {
        for (first, last) in
            [("0001-01-01", "9999-12-31"), ("-9999-01-01", "-0001-12-31"), ("1899-01-01", "1901-01-01")]
        {
            let (from, to) = (format!("--from={first}"), format!("--to={last}"));
            program.ok(&[&["export", "--as", form, "--force", &from, &to], more].concat());
        }
    }
    for (day, exit) in [("2026-11-21", 0), ("1970-01-01", 0), ("1969-12-31", 2), ("-9999-01-01", 2), ("9999-12-31", 2)]
    {
        let day = format!("--day={day}");
        let (ended, said) = program.run(&["digest", "send", "accountant", &day]);
        assert_eq!(ended, Some(exit), "{day}: {said}");
        program.ok(&["render", "accountant", &day]);
    }
    // The program has the system's clock, and what it makes is due by that.
    app.clock.set(SystemClock.now());
    app.settle_at_pace(&["team"]).await;
    // A day without a sale has no summary.
    let ended =
        |line: &DeliveryLine| line.status == "delivered" || line.skipped_because.as_deref() == Some("digest.empty");
    let unsent = app.deliveries("accountant").await.into_iter().find(|line| !ended(line));
    assert!(unsent.is_none(), "{unsent:?}");
    for since in ["-9999-01-01", "999999h", "9999-12-31", "10000y"] {
        let since = format!("--since={since}");
        let (exit, said) = program.run(&["sinks", "recover", "erp", &since, "--dry-run"]);
        assert!(matches!(exit, Some(0 | 2)), "{since}: {said}");
    }
    assert!(app.events().await.iter().filter(|kind| *kind == "sink.failing").count() == 0);
    app.finish().await;
}
