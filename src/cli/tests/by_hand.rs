//! What a person does: retry, skip, pause, recover, reprocess, import.

use std::fs;

use jiff::Timestamp;
use rustix::fs::{FileType, Mode};

use super::{Office, without_ids};
use crate::{
    cli::Exit,
    store::{RecipientRow, RecipientStatus, Shared, Verdict, Verdict::Delivered},
};

#[tokio::test]
async fn what_was_delivered_or_overtaken_is_retried_only_when_forced() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let dead = office.attempt("erp", Verdict::Dead).await;
    office.call("dupont", "type=terminated&orderID=41&orderInternalID=1&price=43.80&VAT=5.35").await;
    let delivered = office.attempt("erp", Delivered { reference: None }).await;
    for (id, why) in [(dead, "a later delivery"), (delivered, "delivered already")] {
        let (exit, said) = office.run(&format!("deliveries retry {id}")).await;
        assert!(exit == Exit::Refused && said.contains(why), "{said}");
    }
    let (exit, said) = office.run("deliveries retry --sink erp --dead").await;
    assert!(exit == Exit::Refused && said.starts_with("1 delivery stays dead") && said.contains("--force"), "{said}");
    office.ok("deliveries retry --sink erp --dead --force").await;
    office.ok(&format!("deliveries retry {delivered} --force")).await;
    assert!(office.deliveries("erp").await.iter().all(|line| line.status == "retrying"));
    assert_eq!(office.ok("deliveries retry --sink books --dead").await, "books has no dead deliveries\n");
}

/// The owner has it, and the accountant does not.
fn for_the_owner_alone(at: Timestamp) -> Shared {
    let row = |address: &str, status, error: Option<&str>| RecipientRow {
        address: address.to_owned(),
        called: address.to_owned(),
        status,
        at,
        error: error.map(str::to_owned),
    };
    let refused = Some("the server answered 550 5.1.1 Zoe Durand is nobody here");
    let rows = vec![
        row("patron@dupont.fr", RecipientStatus::Taken, None),
        row("compta@cabinet.fr", RecipientStatus::GivenUp, refused),
    ];
    Shared { rows: Some(rows), ..Shared::default() }
}

#[tokio::test]
async fn what_was_given_up_for_one_address_is_retried_for_it_alone_and_needs_no_force() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let shared = for_the_owner_alone(office.desk.now());
    let id = office.attempt_for("erp", Delivered { reference: None }, shared.clone()).await;
    let listed = office.ok("deliveries list --sink erp").await;
    assert!(listed.contains("delivered 2026-11-21 14:05, but not to 1 address"), "{listed}");
    let sheet = office.ok(&format!("deliveries show {id}")).await;
    assert!(sheet.contains("\n  patron@dupont.fr   taken 2026-11-21 14:05\n"), "{sheet}");
    assert!(sheet.contains("\n  compta@cabinet.fr  given up 2026-11-21 14:05: the server answered 550"), "{sheet}");

    let said = office.ok(&format!("deliveries retry {id}")).await;
    assert!(said.contains("is due now: the running service attempts it, for the addresses alone that"), "{said}");
    let rows = office.deliveries("erp").await.remove(0).recipients;
    let statuses: Vec<_> = rows.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [RecipientStatus::Taken, RecipientStatus::Refused]);

    office.attempt_for("erp", Delivered { reference: None }, shared).await;
    let said = office.ok("deliveries retry --sink erp --dead").await;
    assert_eq!(said, "1 dead delivery is due now: the running service attempts them in order\n");
}

#[tokio::test]
async fn what_a_server_said_of_an_address_goes_with_the_customer_and_how_it_stands_stays() {
    let office = Office::open().await;
    office
        .call(
            "dupont",
            "type=validated&orderID=41&orderInternalID=1&price=43.80&VAT=5.35&clientID=512&client[nom]=Zoe+Durand",
        )
        .await;
    let shared = for_the_owner_alone(office.desk.now());
    office.attempt_for("erp", Delivered { reference: None }, shared.clone()).await;
    office.ok("customers erase --client 512").await;
    let line = office.deliveries("erp").await.remove(0);
    let expected: Vec<_> = shared.rows.unwrap().into_iter().map(|row| RecipientRow { error: None, ..row }).collect();
    assert_eq!((line.recipients, line.last_error), (expected, None));
}

#[tokio::test]
async fn what_was_to_be_sent_again_and_is_skipped_stays_delivered_as_it_was() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let id = office.attempt("erp", Delivered { reference: None }).await;
    for given_up in [false, true] {
        office.ok(&format!("deliveries retry {id} --force")).await;
        if given_up {
            office.attempt("erp", Verdict::Dead).await;
        }
        let sheet = office.ok(&format!("deliveries show {id}")).await;
        assert!(sheet.contains("\n  delivered   before, 2026-11-21 14:05\n"), "{sheet}");
        let said = without_ids(&office.ok(&format!("deliveries skip {id}")).await);
        assert_eq!(said, "dlv_# is not sent again; it stays delivered 2026-11-21 14:05\n");
        let line = office.deliveries("erp").await.remove(0);
        assert_eq!((line.status.as_str(), line.skipped_because, line.last_error), ("delivered", None, None));
        assert_eq!(line.delivered_at, Some(office.desk.now()));
    }
}

#[tokio::test]
async fn every_dead_delivery_of_a_sink_is_retried_only_when_that_is_said() {
    let office = Office::open().await;
    let (exit, said) = office.run("deliveries retry --sink erp").await;
    assert!(exit == Exit::Usage && said.contains("`--sink erp` alone") && said.contains("fix: add `--dead`"), "{said}");
}

#[tokio::test]
async fn a_skipped_delivery_is_over_and_cannot_be_skipped_twice() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let id = office.deliveries("erp").await[0].id;
    office.ok(&format!("deliveries skip {id}")).await;
    let line = office.deliveries("erp").await.remove(0);
    assert_eq!((line.status.as_str(), line.skipped_because.as_deref()), ("skipped", Some("by hand")));
    assert_eq!(office.run(&format!("deliveries skip {id}")).await.0, Exit::Failed);
}

#[tokio::test]
async fn a_paused_sink_keeps_its_queue_until_it_is_resumed() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    office.ok("sinks pause erp").await;
    assert_eq!(office.ok("sinks pause erp").await, "erp was paused already\n");
    assert_eq!(office.deliveries("erp").await[0].status, "paused");
    assert_eq!(office.ok("sinks resume erp").await, "erp goes on: 1 delivery is due now\n");
    assert_eq!(office.ok("sinks resume erp").await, "erp was not paused\n");
    assert_eq!(office.deliveries("erp").await[0].status, "due");
    assert_eq!(office.run("sinks pause fax").await.0, Exit::NotFound);
}

#[tokio::test]
async fn a_dry_run_counts_what_recovering_then_enqueues() {
    let mut office = Office::open().await;
    // Nobody is told while the rules select nothing.
    for name in ["books", "erp"] {
        office.desk.config.sinks.get_mut(&name.parse().unwrap()).unwrap().rule.on.clear();
    }
    office.desk.recorder.reload(crate::app::assemble::policy(&office.desk.config));
    office.order("dupont", "41", "1").await;
    office.call("dupont", "type=terminated&orderID=41&orderInternalID=1&price=43.80&VAT=5.35").await;
    office.call("dupont", "type=terminated&orderID=42&orderInternalID=2&price=43.80&VAT=5.35").await;
    for (name, on) in [("books", "order.validated"), ("erp", "order.*")] {
        let on = vec![on.parse().unwrap()];
        office.desk.config.sinks.get_mut(&name.parse().unwrap()).unwrap().rule.on = on;
    }
    for (sink, validated, terminated) in [("books", 1, 1), ("erp", 1, 2)] {
        let dry = office.ok(&format!("sinks recover {sink} --since 1h --dry-run")).await;
        assert!(office.deliveries(sink).await.is_empty(), "a dry run writes nothing");
        let real = office.ok(&format!("sinks recover {sink} --since 2026-11-21")).await;
        for said in [&dry, &real] {
            assert!(said.contains(&format!("order.validated     {validated:>6}\n")), "{said}");
            assert!(said.contains(&format!("order.terminated    {terminated:>6}\n")), "{said}");
        }
        assert_eq!(office.deliveries(sink).await.len(), validated + terminated);
        let again = office.ok(&format!("sinks recover {sink} --since 1h")).await;
        assert!(again.contains("has missed nothing since 2026-11-21 13:05"), "{again}");
    }
    assert_eq!(office.run("sinks recover erp --since tomorrow").await.0, Exit::Usage);
    assert_eq!(office.run("sinks recover quiet --since 1h").await.0, Exit::Failed);
}

#[tokio::test]
async fn a_sink_shows_what_it_would_send() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    office.call("dupont", "type=terminated&orderID=41&orderInternalID=1&price=43.80&VAT=5.35").await;
    let sent = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let books = sent(office.ok("render books --order 41").await);
    assert_eq!((&books["type"], &books["data"]["state"]), (&"order.validated".into(), &"paid".into()));
    assert_eq!(sent(office.ok("render erp --order 1").await)["type"], "order.terminated");
    assert_eq!(office.run("render book --order 41").await.0, Exit::NotFound);
    let (exit, said) = office.run("render erp --order 41 --html").await;
    assert!(exit == Exit::Usage && said.contains("for sinks of type `email`"), "{said}");
}

#[tokio::test]
async fn a_mail_is_shown_as_its_reader_sees_it() {
    let mail = "[smtp]\nhost = \"mx.example\"\nport = 465\nfrom = \"Dupont <caisse@dupont.example>\"\n\
                [sink.letters]\ntype = \"email\"\nto = [\"a@cabinet.example\", \"b@cabinet.example\"]\n";
    let office = Office::open_with(mail).await;
    office.order("dupont", "41", "1").await;
    let said = office.ok("render letters --order 41").await;
    let (head, text) = said.split_once("\n\n").unwrap();
    let expected = "\
From: Dupont <caisse@dupont.example>
To: a@cabinet.example, b@cabinet.example
Subject: Facture 41 – 43,80 € TTC – Boulangerie Dupont";
    assert_eq!(head, expected);
    assert!(text.contains("43,80"), "{text}");
    assert!(office.ok("render letters --order 41 --html").await.trim_start().starts_with("<!"), "HTML alone");
}

#[tokio::test]
async fn a_mail_is_shown_by_the_operators_own_template() {
    let mail = "[smtp]\npreset = \"ovh\"\nfrom = \"caisse@dupont.example\"\ntemplates = \"DIR\"\n\
                [sink.letters]\ntype = \"email\"\nto = [\"a@cabinet.example\"]\n";
    let office = Office::open_with(mail).await;
    office.order("dupont", "41", "1").await;
    std::fs::create_dir(office.dir.path().join("mail")).unwrap();
    let own = "Bonjour, voici {{ title }} de {{ sender }} : {{ total }}";
    std::fs::write(office.dir.path().join("mail/order.txt"), own).unwrap();
    let said = office.ok("render letters --order 41").await;
    assert!(said.contains("\n\nBonjour, voici Facture 41 de Boulangerie Dupont : 43,80\u{a0}€ TTC\n"), "{said}");
    let html = office.ok("render letters --order 41 --html").await;
    assert!(html.contains("<h1") && !html.contains("Bonjour"), "the page is ours still: {html}");
}

#[tokio::test]
async fn a_quarantined_call_is_shown_read_again_or_dismissed() {
    let office = Office::open().await;
    office.call("dupont", "price=secret-price").await;
    let listed = office.ok("quarantine list").await;
    assert!(without_ids(&listed).contains("dupont  2026-11-21 14:05  the field `type` is missing"), "{listed}");
    let sheet = office.ok("quarantine show rcp_").await;
    assert!(sheet.contains("sent as   POST, text/plain\n  size      18 B\n  state     in quarantine"), "{sheet}");
    assert!(!sheet.contains("secret-price"), "a body is shown only when asked for");
    assert!(office.ok("quarantine show rcp_ --body").await.ends_with("\nBody\nprice=secret-price\n"));
    let (exit, said) = office.run("quarantine reprocess").await;
    assert!(exit == Exit::Failed && said.contains("stays: the field `type` is missing"), "{said}");
    office.ok("quarantine dismiss rcp_").await;
    assert_eq!(office.ok("quarantine reprocess").await, "nothing is in quarantine: every call could be read\n");
    assert_eq!(office.run("quarantine show rcp_ff").await.0, Exit::NotFound);
}

#[tokio::test]
async fn an_imported_invoice_is_proven_and_replaced_only_when_forced() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let file = |name: &str, text: &str| {
        let path = office.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (page, one, other) = (file("a", "<html>"), file("b", "%PDF-1.7 b"), file("c", "%PDF-1.7 c"));
    assert_eq!(office.run("invoices fetch 41").await.0, Exit::Failed);
    assert_eq!(office.run(&format!("invoices import {page} --order 41")).await.0, Exit::Usage);
    office.ok(&format!("invoices import {one} --order 41")).await;
    assert_eq!(office.run(&format!("invoices import {other} --order 41")).await.0, Exit::Refused);
    assert_eq!(office.ok("invoices verify").await, "1 invoice is what was fetched, 0 changed or lost\n");
    let page: serde_json::Value = serde_json::from_str(&office.ok("invoices list --json").await).unwrap();
    let row = &page["data"][0];
    assert_eq!((&row["status"], &row["bytes"], &row["order_id"]), (&"stored".into(), &10.into(), &"41".into()));
    let stored = office.dir.path().join(row["path"].as_str().unwrap());
    fs::write(&stored, "%PDF-1.7 forged").unwrap();
    let (exit, said) = office.run("invoices verify").await;
    assert!(exit == Exit::Failed && said.starts_with("order 41: the invoice invoices/2026/11/"), "{said}");
    office.ok(&format!("invoices import {one} --order 41")).await;
    assert_eq!(fs::read_to_string(&stored).unwrap(), "%PDF-1.7 b");
    office.ok(&format!("invoices import {other} --order 41 --force")).await;
    assert!(office.ok("invoices fetch 41").await.starts_with("it is here already"));
}

#[tokio::test]
async fn what_never_ends_what_nobody_writes_and_what_is_too_large_is_no_invoice() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let place = |name: &str| office.dir.path().join(name);
    rustix::fs::mknodat(rustix::fs::CWD, place("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::write(place("large"), "%PDF-1.7").unwrap();
    fs::File::options().write(true).open(place("large")).unwrap().set_len(1 << 40).unwrap();
    fs::write(place("pdf"), "%PDF-1.7").unwrap();
    std::os::unix::fs::symlink("/dev/zero", place("link")).unwrap();
    for name in ["pipe", "large", "link"] {
        let (exit, said) = office.run(&format!("invoices import {} --order 41", place(name).display())).await;
        assert!(exit == Exit::Usage && said.contains("is not a PDF of at most 20.0 MiB"), "{name}: {said}");
    }
    let (exit, said) = office.run(&format!("invoices import {} --order 41", place("none").display())).await;
    assert!(exit == Exit::Usage && said.contains("there is no file"), "{said}");
    office.ok(&format!("invoices import {} --order 41", place("pdf").display())).await;
}

#[tokio::test]
async fn a_summary_is_made_of_days_on_which_something_may_have_been_sold() {
    let digest = "[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.accountant]\ntype = \"email\"\n\
                  to = [\"a@example.com\"]\ndigest = { every = \"monthly 1 20:00\" }\n";
    let office = Office::open_with(digest).await;
    for day in ["-9999-01-01", "0001-01-01", "1969-12-31", "2026-12-01", "9999-12-31"] {
        let (exit, said) = office.run(&format!("digest send accountant --day={day}")).await;
        let possible = said.ends_with("  fix: name a day with `--day` from 1970-01-01 to 2026-11-21");
        assert!(exit == Exit::Usage && possible, "{day}: {said}");
    }
    for day in ["1970-01-01", "2026-11-21", "today"] {
        let said = office.ok(&format!("digest send accountant --day={day}")).await;
        assert!(said.contains("dupont: the summary of "), "{said}");
    }
}

#[tokio::test]
async fn an_order_that_the_till_does_not_confirm_is_asked_about_again_or_let_go() {
    let office =
        Office::open_with("[shop.careful]\ntoken = \"0123456789abcdef-careful\"\nverify = \"require\"\n").await;
    office.order("careful", "41", "1").await;
    let url = "&signatureVerificationURL=https://kash.click/v";
    office.call("careful", &format!("type=validated&orderID=42&orderInternalID=2&price=1{url}")).await;
    let list = office.ok("orders list").await;
    assert!(list.contains("held back, verification pending"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&office.ok("orders list --json").await).unwrap();
    assert_eq!((&json["data"][0]["verification"], &json["data"][0]["held"]), (&"pending".into(), &true.into()));
    assert!(json["data"][1].get("verification").is_none(), "nothing can be asked");
    let sheet = office.ok("orders show 41").await;
    assert!(sheet.contains("verification    a call brought no URL"), "{sheet}");
    let shown: serde_json::Value = serde_json::from_str(&office.ok("orders show 42 --json").await).unwrap();
    assert_eq!(shown["order"]["verification"], "pending");
    let sheet = office.ok("orders show 42").await;
    assert!(sheet.contains("the till is still to confirm that it made the call"), "{sheet}");
    let id = office.deliveries("erp").await[0].id;
    let sheet = office.ok(&format!("deliveries show {id}")).await;
    assert!(sheet.contains("held back   the call brought no `signatureVerificationURL`"), "{sheet}");
    assert!(sheet.contains("status      waiting: not confirmed by the till"), "{sheet}");

    let (exit, said) = office.run("orders verify 41").await;
    assert!(exit == Exit::Failed && said.contains("orders verify 41 --accept"), "{said}");
    assert!(office.ok("orders verify 42").await.contains("asks the till now"));
    for order in ["41", "42"] {
        assert!(office.ok(&format!("orders verify {order} --accept")).await.contains("is accepted: the running"));
        assert!(office.ok(&format!("orders verify {order} --accept")).await.contains("nothing to do"));
    }
    assert!(office.deliveries("erp").await.iter().all(|line| line.status == "due"));
    let list = office.ok("orders list").await;
    assert_eq!(list.matches("accepted by hand").count(), 2, "{list}");
    assert!(!list.contains("verification") && !list.contains("held back"), "{list}");
    let sheet = office.ok("orders show 42").await;
    assert!(sheet.contains("verification    accepted by hand: the till did not confirm it"), "{sheet}");
    let shown: serde_json::Value = serde_json::from_str(&office.ok("orders show 41 --json").await).unwrap();
    assert_eq!(shown["order"]["verification"], "accepted");

    assert!(office.ok("orders verify 41").await.contains("confirmed or accepted"));
    assert!(office.ok("orders verify 42").await.contains("asks the till now"));
    let sheet = office.ok("orders show 42").await;
    assert!(sheet.contains("verification    pending\n"), "what the till says counts again: {sheet}");
}
