//! Summaries for an accountant: each period once, complete, corrected when something changes, and never held up.

use std::{collections::BTreeMap, time::Duration};

use rust_decimal::Decimal;
use tillhook::{
    app::{
        assemble,
        demo::{mail_catcher::Mail, mime},
    },
    config::{Environment, Source, load},
    digest::Maker,
    order::{Period, Phase, Why},
    till::{TillOrder, sandbox::Trouble},
};

use crate::{
    far::smtp::{Act, At, Script},
    harness::{
        App, Setup, form, paris,
        program::{Program, eventually},
    },
};

const DAILY: &str = r#"
    [sink.accountant]
    MAIL
    digest = { every = "daily 20:00" }
    attach = ["vat.csv", "invoices.csv", "invoices.xlsx", "invoices.zip"]
"#;

const AN_HOUR: Duration = Duration::from_hours(1);

/// Waits for the nth mail.
async fn mail(app: &App, nth: usize) -> Mail {
    app.until("a mail", async || app.far.mail.count() as usize >= nth).await;
    app.settle().await;
    app.far.mail.mails().swap_remove(nth - 1)
}

fn text(mail: &Mail) -> String {
    let source = String::from_utf8_lossy(&mail.source).into_owned();
    let plain = source.split("text/html").next().unwrap_or_default();
    // Quoted-printable without its soft line breaks is enough to look for words in.
    let html = mime::text(&mail.source).map(|(html, _)| html).unwrap_or_default();
    format!("{plain}\n{html}")
}

fn file(mail: &Mail, ending: &str) -> Vec<u8> {
    let found = mail.attachments.iter().find(|file| file.name.ends_with(ending));
    found.unwrap_or_else(|| panic!("{ending} is not among {:?}", names(mail))).bytes.clone()
}

fn names(mail: &Mail) -> Vec<String> {
    mail.attachments.iter().map(|file| file.name.clone()).collect()
}

/// The cells of a table in the French way, without its heading.
fn rows(csv: &[u8]) -> Vec<Vec<String>> {
    let text = std::str::from_utf8(csv).expect("UTF-8").strip_prefix('\u{feff}').expect("a byte order mark");
    text.split_terminator("\r\n").skip(1).map(|line| line.split(';').map(str::to_owned).collect()).collect()
}

/// An amount as French accountants write it, in cents.
fn cents(text: &str) -> i64 {
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("`{text}` is no amount"))
}

pub(super) fn in_cents(amount: Decimal) -> i64 {
    (amount * Decimal::ONE_HUNDRED).normalize().try_into().expect("whole cents")
}

/// What orders come to by rate, in cents: VAT, and with VAT.
fn by_rate(orders: &[TillOrder]) -> BTreeMap<String, (i64, i64)> {
    let mut sums = BTreeMap::new();
    for vat in orders.iter().flat_map(TillOrder::vat) {
        let sum: &mut (i64, i64) = sums.entry(vat.rate.normalize().to_string().replace('.', ",")).or_default();
        *sum = (sum.0 + in_cents(vat.vat), sum.1 + in_cents(vat.gross));
    }
    sums
}

fn total(rows: &[Vec<String>]) -> BTreeMap<String, (i64, i64)> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let sum: &mut (i64, i64) = sums.entry(row[2].clone()).or_default();
        *sum = (sum.0 + cents(&row[4]), sum.1 + cents(&row[5]));
    }
    sums
}

/// What the first summary says by rate, in cents: VAT, and with VAT.
pub(super) async fn rates(app: &App) -> BTreeMap<String, (i64, i64)> {
    total(&rows(&file(&mail(app, 1).await, "vat.csv")))
}

#[tokio::test]
async fn a_day_is_told_once_with_its_figures_and_files_whatever_the_clock_and_the_service_do() {
    let mut app = App::start(DAILY).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(app.sell(Phase::Validated).await);
    }
    let refund = app.till.refund(&orders[0]);
    orders.push(refund);
    app.announce_and_settle(&orders[5], Phase::Validated).await;
    for order in &orders[1..] {
        app.announce_and_settle(order, Phase::Terminated).await;
    }
    assert_eq!(app.statuses("accountant").await, [""; 0], "no mail about an order of its own");
    app.advance(6 * AN_HOUR).await;
    let told = mail(&app, 1).await;
    assert!(
        told.subject.starts_with("Ventes du 21/11/2026 – ") && told.subject.ends_with(" – Boulangerie Dupont"),
        "{}",
        told.subject
    );
    assert_eq!(total(&rows(&file(&told, "vat.csv"))), by_rate(&orders));
    assert_eq!(names(&told).len(), 4, "{:?}", names(&told));
    let said = text(&told);
    for words in [
        "5 ventes, 1 remboursement",
        "De 20261121001 à 20261121006, aucun numéro ne manque",
        "Factures non soldées",
        &orders[0].order_id,
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let zip = file(&told, "invoices.zip");
    for order in &orders {
        let pdf = archived(&app, order).await;
        assert!(zip.windows(pdf.len()).any(|window| window == pdf), "the original of {} byte for byte", order.order_id);
    }

    app.halt().await;
    app.clock.set("2026-11-21T13:00:00Z".parse().expect("a time"));
    app.boot().await;
    app.advance(6 * AN_HOUR + Duration::from_mins(30)).await;
    app.advance(Duration::from_mins(2)).await;
    assert_eq!(app.far.mail.count(), 1, "told once");
    app.advance(24 * AN_HOUR).await;
    app.until("an empty day is seen", async || app.statuses("accountant").await.len() == 2).await;
    assert_eq!(app.statuses("accountant").await, ["delivered", "skipped: digest.empty"]);
    app.finish().await;
}

/// The PDF of an order as it is in the archive.
async fn archived(app: &App, order: &TillOrder) -> Vec<u8> {
    let invoices = app.invoices().await;
    let line =
        invoices.iter().find(|line| line.internal_id.as_deref() == Some(&order.internal_id)).expect("its invoice");
    std::fs::read(app.data().join(line.path.as_deref().expect("a file"))).expect("a PDF")
}

#[tokio::test]
async fn what_comes_later_is_told_in_a_correction_in_the_same_thread_once() {
    let app = App::start(DAILY).await;
    let first = app.sell(Phase::Validated).await;
    let late = app.till.sell();
    let last = app.till.sell();
    app.till.misbehave(&last.internal_id, Some(Trouble::NotFound));
    app.announce_and_settle(&last, Phase::Validated).await;
    app.advance(6 * AN_HOUR).await;
    let told = mail(&app, 1).await;
    let said = text(&told);
    assert!(said.contains(&format!("Numéros qui ne nous sont pas parvenus\u{a0}: {}", late.order_id)), "{said}");
    assert!(said.contains("Factures sans PDF") && said.contains("(encore en cours de récupération)"), "{said}");

    // Held up by no PDF; while the day goes on nothing is corrected.
    app.till.misbehave(&last.internal_id, None);
    app.announce_and_settle(&late, Phase::Validated).await;
    app.advance(2 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    assert_eq!(app.far.mail.count(), 1);
    app.advance(7 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    let correction = mail(&app, 2).await;
    assert!(correction.subject.starts_with("Correction – Ventes du 21/11/2026 – "), "{}", correction.subject);
    let said = text(&correction);
    for words in
        [format!("{}\u{a0}: arrivée depuis", late.order_id), format!("{}\u{a0}: son PDF est arrivé", last.order_id)]
    {
        assert!(said.contains(&words), "{words}: {said}");
    }
    let orders = [first, late, last];
    assert_eq!(total(&rows(&file(&correction, "vat.csv"))), by_rate(&orders));
    let id = |mail: &Mail, header: &str| {
        let source = String::from_utf8_lossy(&mail.source).into_owned();
        let line = source.lines().find_map(|line| line.strip_prefix(header).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {header} in {source}"))
    };
    assert_eq!(id(&correction, "In-Reply-To: "), id(&told, "Message-ID: "));
    app.advance(12 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    assert_eq!(app.far.mail.count(), 2, "what is corrected is corrected");
    app.finish().await;
}

#[tokio::test]
async fn a_day_ends_when_the_till_closes_and_its_total_stands_beside_ours() {
    let sinks = DAILY.replace("every = \"daily 20:00\"", "on = \"cashbox.closed\", or_at = \"23:55\"");
    let app = App::start(&sinks).await;
    app.say(&[("type", "cashBox_open"), ("cashBoxID", "1")]).await;
    let order = app.sell(Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    app.advance(AN_HOUR).await;
    assert_eq!(app.far.mail.count(), 0);
    let taken = (order.total() + Decimal::ONE).to_string();
    let close = [
        ("type", "cashBox_close"),
        ("opened", "2026-11-21 08:00:00"),
        ("closed", "2026-11-21 15:00:00"),
        ("Total", &taken),
    ];
    app.say(&close).await;
    app.advance(Duration::from_mins(2)).await;
    let said = text(&mail(&app, 1).await);
    assert!(said.contains("écart 1,00\u{a0}€") && said.contains("non expliqué"), "{said}");

    // No sale and no closing on the next day: nothing is told of it.
    app.advance(24 * AN_HOUR + 10 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    app.settle().await;
    assert_eq!(app.far.mail.count(), 1);
    app.finish().await;
}

#[tokio::test]
async fn another_cadence_tells_no_day_twice_and_leaves_none_out() {
    let mut app = App::start(DAILY).await;
    app.sell(Phase::Validated).await;
    app.advance(6 * AN_HOUR).await;
    assert!(mail(&app, 1).await.subject.starts_with("Ventes du 21/11/2026 – "));
    app.reconfigure(&DAILY.replace("daily 20:00", "weekly mon 07:00")).await;
    app.advance(13 * AN_HOUR).await;
    app.sell(Phase::Validated).await;
    app.advance(22 * AN_HOUR + Duration::from_mins(2)).await;
    let rest = mail(&app, 2).await;
    assert!(rest.subject.starts_with("Ventes du 22/11/2026 – "), "{}", rest.subject);
    assert!(text(&rest).contains("1 vente"));
    app.finish().await;
}

#[tokio::test]
async fn what_is_sold_after_the_clock_was_ahead_is_told_all_the_same() {
    let mut app = App::start(DAILY).await;
    app.until("it has begun", async || !app.store().digest_plans().await.expect("plans").is_empty()).await;
    app.clock.set("2026-11-24T20:00:00Z".parse().expect("a time"));
    app.until("four empty days", async || app.statuses("accountant").await.len() == 4).await;
    // A clock in a test does not let anybody sleep on when it is set back.
    app.halt().await;
    app.clock.set("2026-11-21T13:00:00Z".parse().expect("a time"));
    app.boot().await;
    let order = app.sell(Phase::Validated).await;
    app.advance(11 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    let told = mail(&app, 1).await;
    // Of the empty day nothing was sent, so nothing is corrected.
    assert!(told.subject.starts_with("Ventes du 21/11/2026 – "), "{}", told.subject);
    assert!(text(&told).contains(&format!("{}\u{a0}: arrivée depuis", order.order_id)));
    assert!(!text(&told).contains("remplacent"));
    app.finish().await;
}

#[tokio::test]
async fn a_till_that_closes_after_the_summary_is_told_in_the_next() {
    let app = App::start(DAILY).await;
    let order = app.sell(Phase::Validated).await;
    app.announce_and_settle(&order, Phase::Terminated).await;
    app.advance(6 * AN_HOUR).await;
    assert!(!text(&mail(&app, 1).await).contains("Clôtures de caisse"));
    let total = order.total().to_string();
    let closed = [("opened", "2026-11-21 08:00:00"), ("closed", "2026-11-21 20:15:00"), ("Total", &total)];
    app.say(&[&[("type", "cashBox_close")], &closed[..]].concat()).await;
    app.advance(24 * AN_HOUR).await;
    let next = mail(&app, 2).await;
    assert!(next.subject.starts_with("Ventes du 22/11/2026 – "), "{}", next.subject);
    assert!(text(&next).contains("aucun écart"), "{}", text(&next));
    app.finish().await;
}

#[tokio::test]
async fn above_its_limit_a_sink_gets_the_rest_of_the_day_in_one_summary_and_says_so() {
    let app = App::start(
        "[sink.accountant]\nMAIL\non = [\"order.validated\"]\nattach = [\"invoice\"]\nlimit = { per_hour = 2 }\n",
    )
    .await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(app.sell(Phase::Validated).await);
    }
    app.until("the mails and the notice", async || app.far.mail.count() == 3).await;
    app.settle().await;
    let subjects: Vec<String> = app.far.mail.mails().into_iter().map(|mail| mail.subject).collect();
    assert!(subjects.iter().any(|subject| subject.contains("récapitulatif")), "{subjects:?}");
    app.advance(AN_HOUR + Duration::from_mins(1)).await;
    orders.push(app.sell(Phase::Validated).await);
    assert_eq!(app.far.mail.count(), 3, "until the day is over");
    app.advance(10 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    let rest = mail(&app, 4).await;
    assert!(rest.subject.contains("(suite)"), "{}", rest.subject);
    let said = text(&rest);
    assert!(said.contains("4 ventes"), "{said}");
    assert_eq!(names(&rest).len(), 1, "the originals: {:?}", names(&rest));
    orders.push(app.sell(Phase::Validated).await);
    assert!(mail(&app, 5).await.subject.contains(&orders[6].order_id), "single mails again");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_pdfs_than_a_mail_takes_come_in_several_in_one_thread_and_test_orders_in_none() {
    let sinks = DAILY.replace("\"vat.csv\", \"invoices.csv\", \"invoices.xlsx\", ", "\"vat.csv\", ");
    let app = App::start(&sinks).await;
    for number in 0..3_u8 {
        let order = app.announce_without_pdf(Phase::Validated).await;
        let mut pdf = b"%PDF-1.7\n".to_vec();
        pdf.resize(3 << 20, number);
        let file = app.data().with_file_name("large.pdf");
        std::fs::write(&file, pdf).expect("a file");
        let imported = tillhook(&app, &["invoices", "import", "large.pdf", "--order", &order.internal_id]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }
    let test = TillOrder { test: true, order_id: "99".into(), ..app.till.sell() };
    app.announce_and_settle(&test, Phase::Validated).await;
    app.advance(6 * AN_HOUR).await;
    let (first, second) = (mail(&app, 1).await, mail(&app, 2).await);
    assert!(first.subject.contains("(1/2)") && second.subject.contains("(2/2)"), "{}", second.subject);
    assert!(names(&first)[1].ends_with("_invoices-1of2.zip"), "{:?}", names(&first));
    assert!(names(&second)[0].ends_with("_invoices-2of2.zip"), "{:?}", names(&second));
    assert!(first.source.len() < 10_000_000 && second.source.len() < 10_000_000);
    assert!(text(&first).contains("3 ventes"), "the test is none of them");
    assert!(String::from_utf8_lossy(&second.source).contains("In-Reply-To: "));
    app.finish().await;
}

fn tillhook(app: &App, words: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tillhook"));
    command.env_clear().current_dir(app.data().parent().expect("a directory")).args(["--config", "tillhook.toml"]);
    command.args(words).output().expect("the program")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_can_be_looked_at_before_it_is_due() {
    let app = App::start(DAILY).await;
    let order = app.sell(Phase::Validated).await;
    let shown = tillhook(&app, &["render", "accountant", "--day", "2026-11-21"]);
    let said = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(said.contains("Ventes du 21/11/2026") && said.contains(&order.order_id), "{said}");
    assert!(said.contains("Attachment: 20261121_Boulangerie-Dupont_invoices.zip"), "{said}");
    let refused = tillhook(&app, &["sinks", "recover", "accountant", "--since", "1d"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    app.finish().await;
}

/// Asks for the summary of the day as `digest send` does, at the time of the test.
async fn ask(app: &App) {
    let source = Source::File(app.data().with_file_name("tillhook.toml"));
    let config = load(&source, &Environment::default()).expect("the configuration").config;
    let plan = assemble::digests(&config).swap_remove(0);
    let shop = &config.shops.values().next().expect("a shop").shop;
    let maker = Maker { store: app.store(), plan: &plan, shop, now: app.now(), reports: None };
    let day = "2026-11-21".parse().expect("a day");
    assert!(maker.make(Period::day(day), Why::OnPurpose).await.expect("the database answers"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_that_is_asked_for_says_what_it_replaces_in_the_same_thread_and_whether_the_day_goes_on() {
    let app = App::start(DAILY).await;
    app.sell(Phase::Validated).await;
    ask(&app).await;
    let early = mail(&app, 1).await;
    assert!(early.subject.starts_with("Provisoire – Ventes du 21/11/2026 – "), "{}", early.subject);
    assert!(text(&early).contains("La période n’est pas terminée"), "{}", text(&early));

    let second = app.sell(Phase::Validated).await;
    app.advance(6 * AN_HOUR).await;
    let due = mail(&app, 2).await;
    assert!(due.subject.starts_with("Ventes du 21/11/2026 – "), "{}", due.subject);
    assert!(text(&due).contains("Ces chiffres remplacent ceux du 21/11/2026"), "{}", text(&due));
    assert!(!text(&due).contains("arrivée depuis"), "what was sold since is no news in the summary of the day");

    ask(&app).await;
    let again = mail(&app, 3).await;
    assert!(again.subject.starts_with("Ventes du 21/11/2026 – "), "{}", again.subject);
    assert!(!text(&again).contains("Ce qui a changé") && !text(&again).contains("terminée"), "{}", text(&again));
    assert!(text(&again).contains("Rien n’a changé depuis."));
    let third = app.sell(Phase::Validated).await;
    ask(&app).await;
    let changed = mail(&app, 4).await;
    assert!(text(&changed).contains(&format!("{}\u{a0}: arrivée depuis", third.order_id)), "{}", text(&changed));
    assert!(!text(&changed).contains(&format!("{}\u{a0}: arrivée depuis", second.order_id)));
    for reply in [&due, &again, &changed] {
        let source = String::from_utf8_lossy(&reply.source).into_owned();
        let first = String::from_utf8_lossy(&early.source).into_owned();
        let id = first.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("an id");
        assert!(source.contains(&format!("In-Reply-To: {id}")), "{source}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_day_of_which_something_was_told_and_nothing_is_left_is_told_too() {
    let app = App::start(DAILY).await;
    let order = app.sell(Phase::Validated).await;
    ask(&app).await;
    assert!(text(&mail(&app, 1).await).contains("1 vente"));
    let tomorrow = order.value.as_ref().map(|day| day.checked_add(jiff::Span::new().days(1)).expect("a day"));
    app.announce_and_settle(&TillOrder { value: tomorrow, ..order }, Phase::Terminated).await;
    app.advance(6 * AN_HOUR).await;
    let due = mail(&app, 2).await;
    assert!(due.subject.starts_with("Ventes du 21/11/2026 – 0,00"), "{}", due.subject);
    assert!(text(&due).contains("Ces chiffres remplacent"), "{}", text(&due));
    app.finish().await;
}

#[tokio::test]
async fn what_was_asked_for_is_corrected_where_no_summary_is_due_any_more() {
    let mut app = App::prepare(Setup { sinks: DAILY, ..Setup::default() }).await;
    // The summary of the day was due an hour before the first start.
    app.clock.set("2026-11-21T20:00:00Z".parse().expect("a time"));
    app.boot().await;
    app.sell(Phase::Validated).await;
    ask(&app).await;
    mail(&app, 1).await;
    let late = app.sell(Phase::Validated).await;
    app.advance(4 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    let correction = mail(&app, 2).await;
    assert!(correction.subject.starts_with("Correction – Ventes du 21/11/2026"), "{}", correction.subject);
    assert!(text(&correction).contains(&format!("{}\u{a0}: arrivée depuis", late.order_id)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_no_summary_is_sent_unasked_for_it_may_have_been_since() {
    let mut app = App::start(DAILY).await;
    app.sell(Phase::Validated).await;
    app.until("the summaries are begun", async || {
        !app.store().digest_plans().await.expect("the database answers").is_empty()
    })
    .await;
    let made = tillhook(&app, &["backup", "before.tar.gz"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    app.advance(6 * AN_HOUR).await;
    mail(&app, 1).await;
    app.halt().await;
    let restored = tillhook(&app, &["restore", "before.tar.gz", "--force"]);
    let said = String::from_utf8_lossy(&[restored.stdout, restored.stderr].concat()).into_owned();
    assert!(restored.status.success() && said.contains("accountant"), "{said}");
    app.boot().await;
    app.advance(Duration::from_mins(2)).await;
    app.until("the summary is made again", async || !app.statuses("accountant").await.is_empty()).await;
    assert_eq!((app.sink_status("accountant").await.as_str(), app.far.mail.count()), ("paused", 1));
    app.finish_leaving(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_that_was_on_its_way_when_the_program_was_killed_is_the_same_mail_the_second_time() {
    tillhook::app::telemetry::install_cryptography();
    // The server has the mail, and nobody hears of it.
    let server = Script::honest().at_nth(1, At::Dot, Act::Hush).start().await;
    let sinks = format!(
        "[smtp]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"caisse@dupont.example\"\n\
         [sink.accountant]\ntype = \"email\"\nto = [\"compta@cabinet.example\"]\n\
         digest = {{ every = \"monthly 1 06:00\" }}\nattach = [\"vat.csv\", \"invoices.xlsx\"]\n",
        server.address.port()
    );
    let mut program = Program::new("https://kash.click", "fetch_invoices = false", &sinks);
    let url = program.serve().await;
    for number in ["17724460", "17724461"] {
        let call = form(&[("type", "validated"), ("orderID", number), ("price", "12.00"), ("VAT", "2.00")]);
        assert_eq!(tillhook::till::post(&call, &url).await.expect("an answer").status, 200);
    }
    #[allow(clippy::disallowed_methods, reason = "the real program runs on real time")]
    let today = jiff::Timestamp::now().to_zoned(paris()).date();
    program.ok(&format!("digest send accountant --day {today}"));
    eventually("the server has it", async || server.offered().len() == 1).await;
    program.kill();
    program.serve().await;
    eventually("it is sent again", async || server.mails().len() == 1).await;
    let offered = server.offered();
    assert_eq!(offered.len(), 2);
    assert!(offered[0].data == offered[1].data, "the same mail to the last byte");
    let sent = program.ok("deliveries list --sink accountant --json");
    assert_eq!(sent.matches("digest.made").count(), 1, "{sent}");
    program.kill();
}

/// A call about an order of this number; `dates` are more of its fields.
async fn numbered(app: &App, internal: u32, number: &str, dates: &[(&str, &str)]) {
    let id = internal.to_string();
    let fields =
        [("type", "validated"), ("orderID", number), ("orderInternalID", &id), ("price", "5.00"), ("VAT", "0.83")];
    assert_eq!(app.say(&[&fields[..], dates].concat()).await, "stored");
}

#[tokio::test]
async fn a_hole_is_named_once_by_its_day_and_counted_under_its_range() {
    let app = App::start(DAILY).await;
    // Last year there was such a number.
    let last_year = [("validationDate", "2025-11-21 10:00:00"), ("valueDate", "2025-11-21 10:00:00")];
    numbered(&app, 1, "502", &last_year).await;
    for (internal, number) in [(2, "500"), (3, "501"), (4, "20261121001")] {
        numbered(&app, internal, number, &[]).await;
    }
    app.advance(6 * AN_HOUR).await;
    let first = text(&mail(&app, 1).await);
    assert!(first.contains("De 500 à 501, aucun numéro ne manque"), "{first}");
    assert!(first.contains("20261121001, aucun numéro ne manque"), "{first}");
    app.advance(12 * AN_HOUR).await;
    let sold = |at| [("validationDate", at)];
    numbered(&app, 5, "503", &sold("2026-11-22 09:00:00")).await;
    // This one counts for the day before.
    let yesterday = [("validationDate", "2026-11-22 09:05:00"), ("valueDate", "2026-11-21 12:00:00")];
    numbered(&app, 6, "504", &yesterday).await;
    numbered(&app, 7, "F000007", &sold("2026-11-22 09:10:00")).await;
    numbered(&app, 8, "no-number", &sold("2026-11-22 09:15:00")).await;
    app.advance(14 * AN_HOUR).await;
    app.advance(Duration::from_mins(2)).await;
    app.until("both mails", async || app.far.mail.count() >= 3).await;
    let mails = app.far.mail.mails();
    let of = |day: &str| text(mails[1..].iter().find(|mail| mail.subject.contains(day)).expect("its mail"));
    let (corrected, next) = (of("21/11/2026"), of("22/11/2026"));
    assert!(corrected.contains("De 500 à 504, aucun numéro ne manque"), "{corrected}");
    assert!(!corrected.contains("ne nous sont pas parvenus"), "{corrected}");
    assert!(next.contains("503, manquants\u{a0}: 1") && next.contains("parvenus\u{a0}: 502."), "{next}");
    assert!(next.contains("Sans suite reconnue, donc non surveillés\u{a0}: no-number"), "{next}");
    app.finish().await;
}
