//! A month of a shop's books, added up a second time by other means: integer cents, and readers that are not ours.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _},
    path::Path,
    process::Command,
};

use futures_util::{StreamExt as _, stream};
use jiff::{Zoned, civil::Date};
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};
use tillhook::{
    app::demo::mime,
    clock::{Clock as _, SystemClock},
    digest::{Line, files},
    order::{Csv, Locale, Phase, ReportFile, hex},
    till::{self, Encoding, TillCustomer, TillItem, TillOrder, Voice, sandbox::Trouble},
};
use zip::ZipArchive;

use crate::harness::App;

/// Orders in and around October 2026, which ends summer time.
const ORDERS: u64 = 3_000;

/// Orders that have an invoice to fetch, and how many of these cannot be had.
const INVOICES: u64 = 20;
const BROKEN: u64 = 2;

const NOTE: &str = "note: 2 invoices have no PDF here; see `tillhook invoices list`\n";

const MONTHLY: &str = r#"
    [sink.accountant]
    MAIL
    digest = { every = "monthly 1 06:00" }
    attach = ["vat.csv", "invoices.csv", "invoices.xlsx", "invoices.zip"]
"#;

/// VAT rates in tenths of a percent: those of France, and one of its islands.
const RATES: [i64; 6] = [0, 21, 55, 85, 100, 200];

/// Times that are easy to get wrong: both ends of the month, and the hour that comes twice.
const TIMES: [&str; 8] = [
    "2026-09-30T23:59:59+02:00[Europe/Paris]",
    "2026-10-01T00:00:00+02:00[Europe/Paris]",
    "2026-10-25T00:00:00+02:00[Europe/Paris]",
    "2026-10-25T02:30:00+02:00[Europe/Paris]",
    "2026-10-25T02:30:00+01:00[Europe/Paris]",
    "2026-10-25T23:59:59+01:00[Europe/Paris]",
    "2026-10-31T23:59:59+01:00[Europe/Paris]",
    "2026-11-01T00:00:00+01:00[Europe/Paris]",
];

const NAMES: [&str; 4] =
    ["Zoé Durand", "Traiteur \"Müller; Fils\"", "=HYPERLINK(\"http://evil.example\")", "O'Brien, Anaïs"];

/// The same names as an accountant's spreadsheet may show them.
const SHOWN: [&str; 4] =
    ["Zoé Durand", "Traiteur \"Müller; Fils\"", "'=HYPERLINK(\"http://evil.example\")", "O'Brien, Anaïs"];

/// A sale as this test knows it: cents by rate, in integers.
struct Sale {
    number: String,
    /// On the shop's wall: YYYY-MM-DD.
    day: String,
    till: u64,
    refund: bool,
    paid: bool,
    customer: &'static str,
    /// Cents with VAT by rate.
    gross: BTreeMap<i64, i64>,
}

/// Numbers that are the same in every run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The nth order, as the till has it and as this test has it.
fn sale(nth: u64, chance: &mut Chance) -> (TillOrder, Sale) {
    let at: Zoned = match usize::try_from(nth / 3).ok().filter(|_| nth.is_multiple_of(3)).and_then(|n| TIMES.get(n)) {
        Some(time) => time.parse().expect("a time"),
        None => {
            let first: Zoned = "2026-09-29T00:00:00+02:00[Europe/Paris]".parse().expect("a time");
            let second = i64::try_from(chance.below(36 * 86_400)).expect("a second");
            first.checked_add(jiff::SignedDuration::from_secs(second)).expect("a time")
        }
    };
    // Some count for another day than the one on which they were sold.
    let value = (chance.below(10) == 0).then(|| at.checked_add(jiff::Span::new().days(2)).expect("a day"));
    let day = value.as_ref().unwrap_or(&at).date().to_string();
    let refund = chance.below(15) == 0;
    let mut gross = BTreeMap::<i64, i64>::new();
    let mut items = Vec::new();
    for place in 0..=chance.below(4) {
        let rate = RATES[usize::try_from(chance.below(6)).expect("a place")];
        let (quantity, cents) = (1 + chance.below(3), 1 + chance.below(5_000));
        let [quantity, cents] = [quantity, cents].map(|number| i64::try_from(number).expect("a number"));
        let cents = if refund { -cents } else { cents };
        *gross.entry(rate).or_default() += quantity * cents;
        items.push(TillItem {
            id: place.to_string(),
            title: "Pain".to_owned(),
            quantity: Decimal::from(quantity),
            unit_price: Decimal::new(cents, 2),
            vat_rate: Decimal::new(rate, 1).normalize(),
        });
    }
    let who = usize::try_from(chance.below(8)).expect("a place");
    let customer = NAMES.get(who).map(|name| TillCustomer {
        id: who.to_string(),
        last_name: (*name).to_owned(),
        ..TillCustomer::default()
    });
    let till = 1 + chance.below(3);
    let order = TillOrder {
        order_id: (17_724_460 + nth).to_string(),
        internal_id: (8_000_000 + nth).to_string(),
        customer,
        items,
        is_refund: refund,
        cash_box_id: till.to_string(),
        delivery_method: 4,
        created: None,
        validated: Some(at),
        value,
        pdf_url: None,
        verification_url: None,
        test: false,
    };
    let number = order.order_id.clone();
    let paid = chance.below(9) != 0;
    (order, Sale { number, day, till, refund, paid, customer: SHOWN.get(who).copied().unwrap_or_default(), gross })
}

/// The VAT in an amount, to the cent, halves away from zero.
pub(super) fn vat(gross: i64, rate: i64) -> i64 {
    let whole = 1_000 + rate;
    gross.signum() * ((2 * gross.abs() * rate + whole) / (2 * whole))
}

/// Cents as a French spreadsheet reads them.
pub(super) fn euros(cents: i64) -> String {
    format!("{}{},{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

pub(super) fn percent(tenths: i64) -> String {
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{},{}", tenths / 10, tenths % 10) }
}

pub(super) fn french(day: &str) -> String {
    format!("{}/{}/{}", &day[8..10], &day[5..7], &day[..4])
}

/// Reads a table as strictly as a program may: a byte order mark, one heading, rows of the same length, every line ended
/// by CRLF, quotes only around a whole cell.
pub(super) fn strictly(bytes: &[u8], separator: char) -> Vec<Vec<String>> {
    let text = std::str::from_utf8(bytes).expect("UTF-8").strip_prefix('\u{feff}').expect("a byte order mark");
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if cell.is_empty() => loop {
                match chars.next().expect("the end of a quotation") {
                    '"' if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                    '"' => {
                        let next = *chars.peek().expect("the end of a line");
                        assert!(next == separator || next == '\r', "a quotation is a whole cell");
                        break;
                    }
                    other => cell.push(other),
                }
            },
            '\r' => {
                assert_eq!(chars.next(), Some('\n'), "lines end with CRLF");
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c if c == separator => row.push(std::mem::take(&mut cell)),
            other => {
                assert!(other != '"' && !other.is_control(), "{other:?} stands in a cell without quotes");
                cell.push(other);
            }
        }
    }
    assert!(row.is_empty() && cell.is_empty(), "the last line is ended too");
    assert!(rows.iter().all(|other| other.len() == rows[0].len()), "every row has all cells");
    rows
}

/// vat.csv as it has to be.
fn expected_by_day(sales: &[Sale]) -> Vec<Vec<String>> {
    let mut sums: BTreeMap<(&str, u64, i64), [i64; 4]> = BTreeMap::new();
    for sale in sales {
        for (rate, gross) in &sale.gross {
            let sum = sums.entry((&sale.day, sale.till, *rate)).or_default();
            let more = [*gross, vat(*gross, *rate), i64::from(!sale.refund), i64::from(sale.refund)];
            *sum = [0, 1, 2, 3].map(|nth| sum[nth] + more[nth]);
        }
    }
    let row = |((day, till, rate), [gross, vat, sold, back]): ((&str, u64, i64), [i64; 4])| {
        let amounts = [gross - vat, vat, gross].map(euros);
        let mut row = vec![french(day), till.to_string(), percent(rate)];
        row.extend(amounts.into_iter().chain([sold.to_string(), back.to_string()]));
        row
    };
    sums.into_iter().map(row).collect()
}

/// invoices.csv as it has to be, without the last two columns, by number.
fn expected_by_invoice(sales: &[Sale]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for sale in sales {
        for (rate, gross) in &sale.gross {
            let kind = if sale.refund { "remboursement" } else { "facture" };
            let vat = vat(*gross, *rate);
            let mut row = vec![french(&sale.day), sale.number.clone(), kind.to_owned(), sale.customer.to_owned()];
            row.push(percent(*rate));
            row.extend([gross - vat, vat, *gross].map(euros));
            row.push(if sale.paid { "oui" } else { "non" }.to_owned());
            rows.push(row);
        }
    }
    rows
}

/// The till announces everything at the front door, in every way a till may speak.
async fn announce(app: &App, orders: &[(TillOrder, Sale)]) {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let calls = orders.iter().zip(0_usize..).map(|((order, sale), nth)| {
        let (client, url) = (client.clone(), app.webhook());
        async move {
            let encoding = Encoding::ALL[nth % 5];
            let language = if nth % 2 == 0 { Locale::Fr } else { Locale::En };
            let phases = if sale.paid { &[Phase::Validated, Phase::Terminated][..] } else { &[Phase::Validated] };
            for phase in phases {
                let call = till::encode(order, *phase, Voice { encoding, language, ..Voice::default() });
                let content_type = call.content_type.expect("a content type");
                let request = client.post(&url).header("content-type", content_type).body(call.body);
                assert_eq!(request.send().await.expect("an answer").status(), 200);
            }
        }
    });
    stream::iter(calls).buffer_unordered(16).for_each(|()| async {}).await;
}

const OCTOBER: &str = "--from 2026-10-01 --to 2026-10-31";

/// Exports to a file; returns the exit code, and what was said on standard error.
pub(super) fn export(app: &App, words: &str, to: &Path) -> (Option<i32>, String) {
    tillhook(app, &format!("export {words}"), Some(to))
}

pub(super) fn tillhook(app: &App, words: &str, to: Option<&Path>) -> (Option<i32>, String) {
    let config = app.data().with_file_name("tillhook.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
    command.env_clear().arg("--config").arg(config).args(words.split(' '));
    if let Some(to) = to {
        command.arg("-o").arg(to);
    }
    let output = command.output().expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Compares tables, and shows the first row that differs.
pub(super) fn the_same(what: &str, found: &[Vec<String>], expected: &[Vec<String>]) {
    let differs = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{what}");
    assert_eq!(found.len(), expected.len(), "rows of {what}");
}

fn without_pdf(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = rows.iter().map(|row| row[..row.len() - 2].to_vec()).collect();
    rows.sort_by(|one, other| one[1].cmp(&other[1]));
    rows
}

pub(super) fn entries(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(fs::File::open(archive).expect("an archive")).expect("an archive");
    let mut entries = BTreeMap::new();
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        assert!(entries.insert(name, bytes).is_none(), "one file a name");
    }
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_3000_orders_is_in_the_books_to_the_cent() {
    let app = App::start(MONTHLY).await;
    let mut chance = Chance(7);
    let mut orders: Vec<(TillOrder, Sale)> = (0..ORDERS).map(|nth| sale(nth, &mut chance)).collect();
    let october = |sale: &Sale| sale.day.starts_with("2026-10-");
    let mut invoices = 0;
    for (order, _) in orders.iter_mut().filter(|(_, sale)| october(sale)).take(20) {
        let sold = app.till.sell();
        order.pdf_url = sold.pdf_url;
        if invoices < BROKEN {
            app.till.misbehave(&sold.internal_id, Some(Trouble::NotFound));
        }
        invoices += 1;
    }
    assert_eq!(invoices, INVOICES);
    announce(&app, &orders).await;
    app.settle().await;
    let sales: Vec<Sale> = orders.into_iter().map(|(_, sale)| sale).filter(october).collect();
    assert!(sales.len() > 2_000, "{}", sales.len());
    let tables = app.data().with_file_name("october.csv");
    let archive = app.data().with_file_name("october.zip");
    assert_eq!(export(&app, &format!("{OCTOBER} --as csv"), &tables), (Some(0), String::new()));
    assert_eq!(export(&app, &format!("{OCTOBER} --as zip"), &archive), (Some(0), NOTE.to_owned()));
    let entries = entries(&archive);

    let by_day = strictly(&entries["vat.csv"], ';');
    assert_eq!(by_day[0].join(";"), "date;caisse;taux_tva;base_ht;tva;ttc;nb_ventes;nb_remboursements");
    the_same("vat.csv", &by_day[1..], &expected_by_day(&sales));
    let by_invoice = strictly(&fs::read(&tables).expect("the table"), ';');
    assert_eq!(by_invoice[0].join(";"), "date_valeur;numero;type;client;taux_tva;ht;tva;ttc;soldee;pdf;sha256");
    the_same("invoices.csv", &without_pdf(&by_invoice[1..]), &expected_by_invoice(&sales));
    the_same("the archive", &strictly(&entries["invoices.csv"], ';'), &by_invoice);

    let pdfs: BTreeMap<&str, &str> = by_invoice[1..].iter().map(|row| (row[9].as_str(), row[10].as_str())).collect();
    let stored = INVOICES - BROKEN;
    assert_eq!((pdfs.len() as u64, entries.len() as u64), (stored + 1, stored + 2), "and those without one");
    for (name, sha256) in pdfs.into_iter().filter(|(name, _)| !name.is_empty()) {
        let digest = Sha256::digest(&entries[&format!("invoices/{name}")]);
        assert_eq!(hex(digest), sha256);
    }
    let [first, last]: [Date; 2] = ["2026-10-01", "2026-10-31"].map(|day| day.parse().expect("a day"));
    let booked = app.store().booked(&"dupont".parse().expect("a name"), first, last).await.expect("orders");
    let lines: Vec<Line> = booked.iter().map(Line::from).collect();
    the_workbook_has_the_same_sums(&lines, &by_day[1..], &by_invoice[1..]);
    the_summary_says_the_same(&app, &sales, &by_day, &by_invoice).await;
    app.finish().await;
}

/// The summary of the month that somebody asks for has the same tables, every PDF there is, and the right total.
async fn the_summary_says_the_same(app: &App, sales: &[Sale], by_day: &[Vec<String>], by_invoice: &[Vec<String>]) {
    let (exit, said) = tillhook(app, "digest send accountant --day 2026-10-15", None);
    assert_eq!(exit, Some(0), "{said}");
    // The command has the time of the world.
    app.clock.set(SystemClock.now());
    let october = || app.far.mail.mails().into_iter().find(|mail| mail.subject.contains("d’octobre 2026"));
    app.until("the summary", async || october().is_some()).await;
    let mail = october().expect("the summary");
    let file = |ending: &str| {
        let found = mail.attachments.iter().find(|file| file.name.ends_with(ending));
        &found.unwrap_or_else(|| panic!("{ending} is attached")).bytes
    };
    the_same("the summary's vat.csv", &strictly(file("vat.csv"), ';'), by_day);
    the_same("the summary's invoices.csv", &strictly(file("invoices.csv"), ';'), by_invoice);
    let originals = ZipArchive::new(Cursor::new(file("invoices.zip"))).expect("an archive").len();
    assert_eq!(originals as u64, INVOICES - BROKEN);
    let all: i64 = sales.iter().flat_map(|sale| sale.gross.values()).sum();
    let (html, _) = mime::text(&mail.source).expect("a text");
    let plain: String = html.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(plain.contains(&format!(">{}€TTC<", euros(all))), "{} in {plain}", euros(all));
    let refunds = sales.iter().filter(|sale| sale.refund).count();
    let counts = format!("{} ventes, {refunds} remboursements", sales.len() - refunds);
    assert!(html.contains(&counts), "{counts}");
    let unpaid = sales.iter().filter(|sale| !sale.paid).count();
    assert!(html.contains(&format!("et {} autres", unpaid - 30)), "{unpaid} unpaid");
    let told = app.data_of("digest.made").await.swap_remove(0);
    let without = told["figures"]["missing_pdfs"].as_array().expect("a list");
    let awaited = without.iter().filter(|pdf| pdf["is_awaited"] == true).count();
    assert_eq!((awaited as u64, without.len() as u64), (BROKEN, sales.len() as u64 - (INVOICES - BROKEN)));
}

/// Reads the workbook's XML as text: no formulas, and in each sheet the sums of the table's amounts.
fn the_workbook_has_the_same_sums(lines: &[Line], by_day: &[Vec<String>], by_invoice: &[Vec<String>]) {
    let made = files::make(ReportFile::Workbook, lines, Csv::Fr, None).expect("a workbook").expect("a workbook");
    let mut archive = ZipArchive::new(Cursor::new(made.bytes)).expect("an archive");
    for (sheet, rows, columns) in [(1, by_day, [3, 4, 5]), (2, by_invoice, [5, 6, 7])] {
        let mut xml = String::new();
        let mut part = archive.by_name(&format!("xl/worksheets/sheet{sheet}.xml")).expect("a sheet");
        part.read_to_string(&mut xml).expect("XML");
        assert!(!xml.contains("<f>") && !xml.contains("<f "), "a formula");
        assert_eq!(xml.matches("<row ").count(), rows.len() + 1);
        for column in columns {
            let letter = char::from(b'A' + u8::try_from(column).expect("a letter"));
            let written: i64 = rows.iter().map(|row| cents(&row[column].replace(',', "."))).sum();
            let found: i64 = numbers(&xml, letter).iter().map(|text| cents(text)).sum();
            assert_eq!(numbers(&xml, letter).len(), rows.len(), "an amount in every row");
            assert_eq!(found, written, "sheet {sheet}, column {letter}");
        }
    }
}

/// The numbers of a column.
pub(super) fn numbers(xml: &str, column: char) -> Vec<&str> {
    let cells = xml.split("<c r=\"").skip(1).filter(|cell| {
        let mut chars = cell.chars();
        chars.next() == Some(column) && chars.next().is_some_and(|c| c.is_ascii_digit())
    });
    let number = |cell: &'_ str| !cell.split('>').next().unwrap_or_default().contains("t=\"");
    let text = |cell| str::split_once(cell, "<v>").and_then(|(_, rest)| rest.split_once("</v>")).map(|(text, _)| text);
    cells.filter(|cell| number(cell)).filter_map(text).collect()
}

/// `-1.5` → −150.
pub(super) fn cents(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 2, "{text}");
    sign * format!("{whole}{part:0<2}").parse::<i64>().expect("a number")
}

#[tokio::test]
async fn an_export_ends_with_1_when_a_pdf_is_lost_and_with_2_when_it_makes_no_sense() {
    let app = App::start("").await;
    let mut order = app.till.sell();
    order.validated = Some("2026-10-25T02:30:00+01:00[Europe/Paris]".parse().expect("a time"));
    order.value = None;
    app.announce_and_settle(&order, Phase::Validated).await;
    let archive = app.data().with_file_name("october.zip");
    assert_eq!(export(&app, &format!("{OCTOBER} --as zip"), &archive), (Some(0), String::new()));
    let whole = fs::read(&archive).expect("an archive");
    let (exit, said) = export(&app, &format!("{OCTOBER} --as zip"), &archive);
    assert!(exit == Some(4) && said.contains("--force"), "{said}");
    assert_eq!(export(&app, &format!("{OCTOBER} --as zip --force"), &archive), (Some(0), String::new()));
    assert!(fs::read(&archive).expect("an archive") == whole, "the same again");
    let path = app.invoices().await[0].path.clone().expect("a path");
    fs::write(app.data().join(path), "%PDF-1.7 forged").expect("a forgery");
    let (exit, said) = export(&app, &format!("{OCTOBER} --as zip --force"), &archive);
    assert!(exit == Some(1) && said.contains(&format!("order {}: ", order.order_id)), "{said}");
    assert_eq!(entries(&archive).len(), 2, "the tables are there");
    let (exit, said) = export(&app, "--from 2026-10-01 --to 2026-09-30 --as zip", &archive);
    assert_eq!(exit, Some(2), "{said}");
    app.finish().await;
}
