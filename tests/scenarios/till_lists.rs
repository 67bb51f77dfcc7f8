//! Names and reports that the till gives: what people read in place of numbers, and what goes with a summary. Neither is
//! ever waited for long.

use std::{sync::Arc, time::Duration};

use tillhook::{
    app::demo::{mail_catcher::Mail, mime},
    order::{Person, Phase},
    till::TillOrder,
    upkeep::Erasure,
};

use crate::{
    far::till_api::{KEY, TillApi},
    harness::{App, HANG},
};

/// A mail and a chat message for each order.
const FOLLOWERS: &str = "[sink.accountant]\nMAIL\n[sink.team]\nSLACK\nshow = [\"total\"]\n";

/// A till with two names.
async fn till() -> TillApi {
    let till = TillApi::start().await;
    till.gives("getCashbox.php", r#"[{"id":1,"nom":"Comptoir"},{"id":"2","nom":"Caisse bar\r\n"},{"id":3}]"#);
    till.gives("getLivraisons.php", r#"{"2":"Sur place, en salle","9":"Traiteur"}"#);
    till.gives("getOrders.php", "[]");
    till
}

/// Turns the clock, a little at a time, until it has come to this: the till is asked with pauses.
async fn until(app: &App, what: &str, holds: impl AsyncFn() -> bool) {
    let turning = async {
        while !holds().await {
            app.clock.advance(Duration::from_millis(300));
            // Gives the service the time of a question to the database.
            app.orders().await;
        }
    };
    tokio::time::timeout(HANG, turning).await.unwrap_or_else(|_| panic!("it never came to this: {what}"));
}

async fn names_are_known(app: &App, count: usize) {
    let known = async || app.column("SELECT name FROM till_name ORDER BY kind, id").await.len() == count;
    until(app, "the names are known", known).await;
}

/// A sale at cash box 1.
async fn sell_at_the_counter(app: &App) {
    let order = TillOrder { cash_box_id: "1".to_owned(), pdf_url: None, ..app.till.sell() };
    app.announce(&order, Phase::Validated).await;
}

/// The first message to a sink, as it was frozen.
async fn sent(app: &App, sink: &str) -> String {
    let line = app.deliveries(sink).await.swap_remove(0);
    let delivery = app.store().delivery(line.id).await.expect("the database answers").expect("a delivery");
    delivery.payload.expect("a message").body
}

fn text(mail: &Mail) -> String {
    mime::text(&mail.source).map(|(html, _)| html).unwrap_or_default()
}

#[tokio::test]
async fn people_read_the_tills_names_and_programs_its_numbers() {
    let till = till().await;
    let app = App::start_with(&till.table(), &format!("{FOLLOWERS}[sink.erp]\nHTTP\n")).await;
    names_are_known(&app, 4).await;
    sell_at_the_counter(&app).await;
    app.settle_at_pace(&["team"]).await;
    let mail = app.far.mail.mails().swap_remove(0);
    assert!(text(&mail).contains("1 – Comptoir"), "{}", text(&mail));
    let said = sent(&app, "team").await;
    assert!(said.contains("caisse 1 – Comptoir"), "{said}");
    let event = app.far.http.calls()[0].body.to_string();
    assert!(
        !event.contains("Comptoir") && event.contains("\"cash_box_id\":\"1\""),
        "an event says what was said: {event}"
    );
    assert!(!till.asked().iter().any(|asked| asked.contains("getClients") || asked.contains("getUsers")));
    app.finish().await;
}

#[tokio::test]
async fn names_are_read_once_a_day_and_outlive_a_till_that_is_down_and_a_restart() {
    let till = till().await;
    let mut app = App::start_with(&till.table(), "[sink.accountant]\nMAIL\n").await;
    names_are_known(&app, 4).await;
    let asked = || till.asked().iter().filter(|asked| !asked.starts_with("getOrders")).count();
    let before = asked();
    app.advance(Duration::from_hours(20)).await;
    assert_eq!(asked(), before, "once a day is enough");
    till.gives("getCashbox.php", r#"[{"id":1,"nom":"Vitrine"}]"#);
    until(&app, "the new name", async || {
        app.clock.advance(Duration::from_mins(30));
        app.column("SELECT name FROM till_name WHERE kind = 'cash_box'").await == ["Vitrine"]
    })
    .await;
    till.fails("getCashbox.php");
    till.gives("getLivraisons.php", "<!doctype html><title>Connexion</title>");
    app.halt().await;
    app.boot().await;
    sell_at_the_counter(&app).await;
    app.settle().await;
    assert!(text(&app.far.mail.mails()[0]).contains("1 – Vitrine"));
    app.finish().await;
}

#[tokio::test]
async fn without_a_list_every_message_goes_out_with_numbers() {
    let till = TillApi::start().await;
    till.fails("getCashbox.php");
    till.gives("getLivraisons.php", "{\"success\":false,\"result\":\"no licence\"}");
    let app = App::start_with(&till.table(), FOLLOWERS).await;
    sell_at_the_counter(&app).await;
    app.settle_at_pace(&["team"]).await;
    let said = sent(&app, "team").await;
    assert!(said.contains("caisse 1 ·"), "{said}");
    assert_eq!(app.far.mail.count(), 1);
    app.finish().await;
}

const WITH_REPORTS: &str = "[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\nattach = [\"vat.csv\"]\n\
    also_attach = [\"till.pdf\", \"till.fec\", \"till.csv\"]\n";

/// What no honest program may change: no line ends as mails have them, no UTF-8, a NUL.
const ODD: &[u8] = b"%PDF-1.7\n\x00\xff\xe9 \r odd\n\n.\nFrom here =3D\n";

async fn first_mail(app: &App) -> Mail {
    app.settle().await;
    app.clock.advance(Duration::from_hours(6) + Duration::from_mins(2));
    until(app, "a mail", async || app.far.mail.count() > 0).await;
    app.settle().await;
    app.far.mail.mails().swap_remove(0)
}

fn files(mail: &Mail) -> Vec<(&str, &[u8])> {
    mail.attachments.iter().map(|file| (file.name.as_str(), &file.bytes[..])).collect()
}

#[tokio::test]
async fn the_tills_reports_go_with_the_digest_of_their_day_byte_for_byte() {
    let till = till().await;
    for (format, bytes) in [("PDF", ODD), ("frafec", b"JournalCode|JournalLib\r\n".as_slice()), ("CSV", b"a;\xe9\n")] {
        till.gives(format, bytes);
    }
    let app = App::start_with(&till.table(), WITH_REPORTS).await;
    app.sell(Phase::Validated).await;
    let mail = first_mail(&app).await;
    let files = files(&mail);
    assert_eq!(files[1], ("20261121_Boulangerie-Dupont_till.pdf", ODD));
    assert_eq!(files[2], ("20261121_Boulangerie-Dupont_till-fec.txt", b"JournalCode|JournalLib\r\n".as_slice()));
    assert_eq!(files[3], ("20261121_Boulangerie-Dupont_till.csv", b"a;\xe9\n".as_slice()));
    let asked = till.asked();
    let reports: Vec<_> = asked.iter().filter(|asked| asked.starts_with("getSales.php")).collect();
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert!(reports.iter().all(|asked| asked.contains("d=21&m=11&y=2026")), "{reports:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_report_that_the_till_does_not_give_is_named_and_the_digest_goes_without() {
    let till = till().await;
    till.gives("PDF", ODD);
    till.gives("frafec", "{\"success\":false,\"result\":\"wrong key\"}");
    till.gives("CSV", vec![b'x'; 8 * 1024 * 1024 + 1]);
    let app = App::start_with(&till.table(), WITH_REPORTS).await;
    app.sell(Phase::Validated).await;
    let mail = first_mail(&app).await;
    let names: Vec<_> = files(&mail).into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let said = text(&mail);
    for file in ["till.fec", "till.csv"] {
        assert!(said.contains(&format!("Pas de {file}\u{a0}: la caisse ne l’a pas fourni")), "{said}");
    }
    assert!(!said.contains("Pas de till.pdf") && !said.contains(KEY), "{said}");
    app.finish().await;
}

#[tokio::test]
async fn every_attempt_sends_the_report_that_came_first_also_after_a_restart() {
    let till = till().await;
    till.gives("PDF", ODD);
    let sink = "[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\nalso_attach = [\"till.pdf\"]\n";
    let mut app = App::start_with(&till.table(), sink).await;
    app.sell(Phase::Validated).await;
    app.pause("accountant").await;
    app.clock.advance(Duration::from_hours(6) + Duration::from_mins(2));
    let made = async || app.column("SELECT kind FROM digest_report").await == ["till.pdf"];
    until(&app, "the report is kept", made).await;
    till.gives("PDF", "%PDF-1.7 DUPLICATA");
    app.halt().await;
    app.boot().await;
    app.resume("accountant").await;
    until(&app, "a mail", async || app.far.mail.count() > 0).await;
    app.settle().await;
    assert_eq!(files(&app.far.mail.mails()[0])[0].1, ODD);
    assert_eq!(till.asked().iter().filter(|asked| asked.starts_with("getSales.php")).count(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_closing_is_told_by_the_name_of_its_till() {
    let till = till().await;
    let app = App::start_with(&till.table(), "[sink.accountant]\nMAIL\non = [\"cashbox.*\"]\n").await;
    names_are_known(&app, 4).await;
    app.say(&[("type", "cashBox_close"), ("cashBoxID", "1"), ("closed", "2026-11-21 13:30:00"), ("Total", "12")]).await;
    app.say(&[("type", "cashBox_close"), ("cashBoxID", "2"), ("closed", "2026-11-21 13:31:00"), ("Total", "12")]).await;
    app.settle().await;
    let subjects: Vec<String> = app.far.mail.mails().into_iter().map(|mail| mail.subject).collect();
    assert!(subjects[0].contains("Caisse 1 – Comptoir fermée"), "{subjects:?}");
    assert!(subjects[1].contains("Caisse bar fermée"), "{subjects:?}");
    app.finish().await;
}

#[tokio::test]
async fn whoever_asks_to_be_forgotten_is_in_no_report_that_is_kept_and_a_mail_that_waits_says_so() {
    let till = till().await;
    till.gives("CSV", "client;total\nZoé Durand;9,90\n");
    let sink = "[sink.accountant]\nMAIL\ndigest = { every = \"daily 20:00\" }\nalso_attach = [\"till.csv\"]\n";
    let app = App::start_with(&till.table(), sink).await;
    let sale =
        [("type", "validated"), ("orderInternalID", "1"), ("orderID", "1"), ("price", "9.90"), ("clientID", "512")];
    app.say(&[&sale[..], &[("client", "{\"nom\":\"Durand\",\"prenom\":\"Zoé\"}")]].concat()).await;
    app.pause("accountant").await;
    app.clock.advance(Duration::from_hours(6) + Duration::from_mins(2));
    let kept = async || app.column("SELECT kind FROM digest_report").await.len();
    until(&app, "the report is kept", async || kept().await == 1).await;
    let person = Person::Client("512".to_owned());
    let erasure = Erasure::new(app.store().clone(), Arc::new(app.clock.clone()), person, None);
    let found = erasure.find().await.expect("the database answers");
    erasure.erase(&found, |_| None).await.expect("an erasure");
    assert_eq!(kept().await, 0);
    app.resume("accountant").await;
    until(&app, "a mail", async || app.far.mail.count() > 0).await;
    app.settle().await;
    let mail = app.far.mail.mails().swap_remove(0);
    let report = String::from_utf8_lossy(files(&mail)[0].1).into_owned();
    assert!(report.contains("a customer asked to be forgotten") && !report.contains("Durand"), "{report}");
    app.finish().await;
}
