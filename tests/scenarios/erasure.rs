//! Somebody asks to be forgotten: no file says their name afterwards, and the books are whole.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use tillhook::{
    order::{Locale, Person, Phase},
    till::{self, Announcement, Charset, Encoding, TillCustomer, TillItem, TillOrder, Voice},
    upkeep::Erasure,
};

use crate::{
    far::http::{Answer, HttpFar},
    harness::App,
};

/// What is in everything that names the person, in whatever encoding, and in nothing else.
const MARKS: [&str; 2] = ["zxq", "655500199"];

fn zoe() -> TillCustomer {
    TillCustomer {
        id: "512".to_owned(),
        last_name: "Zxqdùrand".to_owned(),
        first_name: "Zxqzoé".to_owned(),
        email: "zxqzoe@durand.example".to_owned(),
        phone: "0655500199".to_owned(),
        address: "12 allée Zxqlilas".to_owned(),
        postcode: "69001".to_owned(),
        city: "Lyon".to_owned(),
        vat_number: None,
        more: Vec::new(),
    }
}

/// A sale to her; with a line that names her, as a baker writes on a cake.
fn sold(app: &App) -> TillOrder {
    let sale = app.till.sell();
    let cake = TillItem { title: "Gâteau Zxqzoé Zxqdùrand".to_owned(), ..sale.items[0].clone() };
    TillOrder { customer: Some(zoe()), items: vec![sale.items[0].clone(), cake], ..sale }
}

/// The files below a folder that name her; invoices are not looked at, because they have to be kept as they are.
fn files_that_name_her(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_that_name_her(&path));
        } else if path.extension().is_none_or(|kind| kind != "pdf") {
            let bytes = fs::read(&path).expect("a file").to_ascii_lowercase();
            let has = |mark: &str| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            found.extend(MARKS.iter().any(|mark| has(mark)).then(|| path.display().to_string()));
        }
    }
    found
}

/// Types a command in another process, as an operator does beside the running service.
fn type_command(app: &App, words: &str) -> (Option<i32>, String) {
    type_at(&app.data(), words)
}

fn type_at(data: &Path, words: &str) -> (Option<i32>, String) {
    let config = data.parent().expect("a directory").join("tillhook.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
    let done = command.env_clear().arg("--config").arg(config).args(words.split(' ')).output().expect("the program");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Every way in which the till may speak.
fn voices() -> Vec<Voice> {
    let mut voices = Vec::new();
    for encoding in Encoding::ALL {
        for charset in Charset::ALL {
            voices.push(Voice { encoding: *encoding, charset: *charset, language: Locale::Fr });
        }
    }
    voices
}

/// A sink that gets all of the customer, one that is down and quotes what it got, one that is paused, and two mailboxes.
fn sinks(down: &HttpFar) -> String {
    format!(
        "alerts = [\"ops\"]\n[sink.ops]\nMAIL\non = [\"order.terminated\"]\n[sink.erp]\nHTTP\ninclude_customer = true\n\
         [sink.down]\ntype = \"http\"\nurl = \"{}\"\ninclude_customer = true\n\
         [sink.accountant]\nMAIL\nattach = [\"invoice\"]\non = [\"order.validated\"]\n",
        down.url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_erasure_no_file_names_the_person_whatever_the_till_wrote_it_in() {
    let down = HttpFar::start().await;
    let app = App::start(&sinks(&down)).await;
    let someone = app.announce_without_pdf(Phase::Validated).await;
    app.settle().await;
    down.always(Answer::status(422).body("cannot book Zxqzoé Zxqdùrand, zxqzoe@durand.example"));
    let mut orders = Vec::new();
    for voice in voices() {
        let order = sold(&app);
        assert_eq!(app.announce_as(&order, Phase::Validated, voice).await, "stored");
        // The same, cut so that nobody can read it, and a kind of call that nobody knows.
        let Announcement { method, query, content_type, body } = till::encode(&order, Phase::Validated, voice);
        let garbled = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("type", "tpye").into_bytes();
        if !body.is_empty() {
            let body = if voice.charset == Charset::Utf8 { garbled(body) } else { body[..body.len() * 3 / 4].to_vec() };
            app.call(&Announcement { method, query, content_type, body }).await;
        }
        orders.push(order);
    }
    app.say(&[("type", "customerChanged"), ("email", "zxqzoe@durand.example")]).await;
    app.settle_but(&["down"]).await;
    app.pause("accountant").await;
    let waiting = sold(&app);
    app.announce(&waiting, Phase::Validated).await;
    app.event("sink.failing", 1).await;
    app.settle_but(&["down"]).await;
    assert!(!files_that_name_her(&app.data()).is_empty(), "or this test shows nothing");
    let totals: Vec<_> = app.orders().await.into_iter().map(|order| (order.order_id, order.total)).collect();

    let (exit, said) = type_command(&app, "customers erase --email ZxqZoe@durand.example --dry-run");
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("nothing was changed") && said.contains("orders        19"), "{said}");
    assert!(!files_that_name_her(&app.data()).is_empty());

    let (exit, said) = type_command(&app, "customers erase --email ZxqZoe@durand.example");
    assert_eq!(exit, Some(0), "{said}");
    down.always(Answer::status(503));
    app.until("nothing is on its way any more", async || app.statuses("down").await.iter().all(|it| it != "sending"))
        .await;
    assert_eq!(files_that_name_her(&app.data()), Vec::<String>::new(), "{said}");
    let names = MARKS.iter().any(|mark| said.to_lowercase().contains(mark));
    assert!(!names && said.contains("the law wants invoices kept") && said.contains("the till itself"), "{said}");
    let log = fs::metadata(app.data().join("tillhook.db-wal")).expect("the log").len();
    assert!(log < 1 << 16, "the log was emptied, and has what came after alone: {log}");

    // The books are whole, and so is everybody else.
    let after: Vec<_> = app.orders().await.into_iter().map(|order| (order.order_id, order.total)).collect();
    assert_eq!(after, totals);
    assert_eq!(app.announce(&someone, Phase::Validated).await, "duplicate");
    assert!(
        app.invoices().await.iter().all(|line| line.filename.as_ref().is_none_or(|name| name.contains("Comptoir")))
    );
    // The till goes on naming her: a repeat is one, and leaves nothing of her.
    for (order, voice) in orders.iter().zip(voices()) {
        assert_eq!(app.announce_as(order, Phase::Validated, voice).await, "duplicate", "{voice:?}");
    }
    assert_eq!(app.announce(&orders[0], Phase::Terminated).await, "stored");
    app.settle_but(&["down", "accountant"]).await;
    let paid = app.data_of("order.terminated").await.swap_remove(0);
    assert_eq!((&paid["customer"], &paid["state"]), (&serde_json::Value::Null, &"paid".into()));
    assert_eq!(files_that_name_her(&app.data()), Vec::<String>::new());

    // What waited goes out without her.
    let mails = app.far.mail.count();
    app.resume("accountant").await;
    app.until("the mail went out", async || app.far.mail.count() > mails).await;
    let mail = app.far.mail.mails().pop().expect("a mail");
    assert!(!String::from_utf8_lossy(&mail.source).to_lowercase().contains("zxq"));
    assert!(mail.attachments[0].name.contains("Comptoir"), "{:?}", mail.attachments[0].name);
    let asked = down.requests().len();
    down.always(Answer::status(200));
    app.clock.advance(Duration::from_hours(1));
    down.asked(asked + orders.len()).await;
    let late = down.requests().split_off(asked);
    assert!(late.iter().all(|request| !request.json().to_string().to_lowercase().contains("zxq")));
    app.until("everything is told", async || app.sink_status("down").await == "ok").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_off_is_finished_by_the_same_command() {
    let app = App::start("").await;
    app.announce(&sold(&app), Phase::Validated).await;
    app.settle().await;
    let person = Person::Client("512".to_owned());
    let erasure = Erasure::new(app.store().clone(), Arc::new(app.clock.clone()), person, None);
    let found = erasure.find().await.expect("the database answers");
    let shop = |id: &_| app.service().recorder.shop(id).map(|policy| policy.shop);
    erasure.erase(&found, shop).await.expect("it is on disk");
    assert!(!files_that_name_her(&app.data()).is_empty(), "the log still has it");
    let (exit, said) = type_command(&app, "customers erase --client 512");
    assert_eq!((exit, said.contains("finished what an earlier erasure had left")), (Some(0), true), "{said}");
    assert_eq!(files_that_name_her(&app.data()), Vec::<String>::new());
    assert_eq!(type_command(&app, "customers erase --client 512").0, Some(3));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_in_quarantine_alone_is_found_there() {
    let app = App::start("").await;
    for body in ["clientID=512&nom=Zxq", "clientID=5123&nom=Zoe"] {
        let fields: Vec<_> = body.split('&').filter_map(|field| field.split_once('=')).collect();
        app.post_form(&fields).await;
    }
    let (exit, said) = type_command(&app, "customers erase --client 512");
    assert_eq!((exit, said.contains("in quarantine and dismissed")), (Some(0), true), "{said}");
    assert_eq!(app.store().list_quarantine(50).await.expect("the list").len(), 1, "the other one is somebody else");
    assert_eq!(files_that_name_her(&app.data()), Vec::<String>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_till_is_answered_while_somebody_is_erased() {
    let app = App::start("").await;
    for _ in 0..60 {
        app.announce(&TillOrder { pdf_url: None, ..sold(&app) }, Phase::Validated).await;
    }
    let data = app.data();
    let erasing = tokio::task::spawn_blocking(move || type_at(&data, "customers erase --client 512"));
    let selling = async {
        for _ in 0..60 {
            let somebody_else = TillOrder { customer: None, ..app.till.sell() };
            assert_eq!(app.announce(&somebody_else, Phase::Terminated).await, "stored");
        }
    };
    let (done, ()) = tokio::join!(erasing, selling);
    assert_eq!(done.expect("a thread").0, Some(0));
    assert_eq!(app.orders().await.len(), 120);
    let (exit, _) = type_command(&app, "customers erase --client 512");
    assert_eq!(exit, Some(3));
    app.finish().await;
}
