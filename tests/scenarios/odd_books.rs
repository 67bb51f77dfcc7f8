//! A month of odd sales (`odd_sales.rs`) in every table and mail, each of which is worked out here a second time, in integer
//! cents.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read as _},
};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tillhook::{
    app::{
        assemble,
        demo::{mail_catcher::Mail, mime},
    },
    config::{Environment, Source, load},
    digest::Maker,
    order::{Period, Why},
};
use zip::ZipArchive;

use super::{
    books::{cents, entries, euros, export, french, numbers, percent, strictly, the_same},
    odd_sales::{Amounts, Booked, TIMES, Told, month},
};
use crate::harness::App;

const SINKS: &str = r#"
    [accounting]
    journal = "VE"
    customer = "411000"
    [accounting.rates]
    "20" = { revenue = "707020", vat = "445720" }
    "10" = { revenue = "707010", vat = "445710" }
    "5.5" = { revenue = "707055", vat = "445755" }
    "0" = { revenue = "707000" }
    [sink.accountant]
    MAIL
    digest = { every = "monthly 1 06:00" }
    attach = ["vat.csv", "invoices.csv", "invoices.xlsx", "journal.csv"]
"#;

fn rate(told: Told) -> String {
    if let Told::At(rate) = told { percent(rate) } else { String::new() }
}

fn cell(amount: Option<i64>) -> String {
    amount.map(euros).unwrap_or_default()
}

fn plus(sums: Amounts, more: Amounts) -> Amounts {
    [0, 1, 2].map(|nth| Some(sums[nth]? + more[nth]?))
}

/// vat.csv as it has to be.
fn expected_by_day(month: &[Booked]) -> Vec<Vec<String>> {
    let mut sums: BTreeMap<(&str, u64, Told), (Amounts, [u64; 2])> = BTreeMap::new();
    for one in month {
        for (told, amounts) in &one.sale.parts {
            let (sum, counts) = sums.entry((&one.day, one.till, *told)).or_insert(([Some(0); 3], [0; 2]));
            *sum = plus(*sum, *amounts);
            counts[usize::from(one.is_refund())] += 1;
        }
    }
    let row = |((day, till, told), (sum, counts)): ((&str, u64, Told), (Amounts, [u64; 2]))| {
        let head = [french(day), till.to_string(), rate(told)];
        head.into_iter().chain(sum.map(cell)).chain(counts.map(|count| count.to_string())).collect()
    };
    sums.into_iter().map(row).collect()
}

/// invoices.csv as it has to be, without the two columns of PDFs: there are none.
fn expected_by_invoice(month: &[Booked]) -> Vec<Vec<String>> {
    let row = |one: &Booked, (told, amounts): &(Told, Amounts)| {
        let kind = if one.is_refund() { "remboursement" } else { "facture" };
        let head = [french(&one.day), one.number.to_string(), kind.to_owned(), one.name().to_owned(), rate(*told)];
        let paid = if one.is_paid || one.sale.gross == 0 { "oui" } else { "non" };
        head.into_iter().chain(amounts.map(cell)).chain([paid.to_owned(), String::new(), String::new()]).collect()
    };
    month.iter().flat_map(|one| one.sale.parts.iter().map(move |part| row(one, part))).collect()
}

/// journal.csv as it has to be.
fn expected_journal(month: &[Booked]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for one in month.iter().filter(|one| one.sale.left_out.is_none()) {
        let kind = if one.is_refund() { "Remboursement" } else { "Facture" };
        let label = format!("{kind} {} {}", one.number, one.name()).trim_end().to_owned();
        let mut entry = |account: String, debit: i64| {
            let head = [french(&one.day), "VE".to_owned(), account, one.number.to_string(), label.clone()];
            let [left, right] = if debit > 0 { [euros(debit), String::new()] } else { [String::new(), euros(-debit)] };
            if debit != 0 {
                rows.push(head.into_iter().chain([left, right]).collect());
            }
        };
        entry("411000".to_owned(), one.sale.gross);
        for (told, amounts) in &one.sale.parts {
            let (Told::At(rate), [Some(net), Some(vat), _]) = (told, amounts) else { panic!("it is in the journal") };
            let tail = match rate {
                55 => "055".to_owned(),
                rate => format!("{:03}", rate / 10),
            };
            entry(format!("707{tail}"), -net);
            entry(format!("4457{}", &tail[1..]), -vat);
        }
    }
    rows
}

async fn announce(app: &App, month: &[Booked]) {
    let calls = month.iter().map(|one| async move {
        for call in one.calls() {
            assert_eq!(app.say_json(call.clone()).await, "stored", "{call}");
        }
    });
    stream::iter(calls).buffer_unordered(16).for_each(|()| async {}).await;
}

/// The summary of October, as somebody asks for it.
async fn summary(app: &App) -> Mail {
    let source = Source::File(app.data().with_file_name("tillhook.toml"));
    let config = load(&source, &Environment::default()).expect("the configuration").config;
    let plan = assemble::digests(&config).swap_remove(0);
    let shop = &config.shops.values().next().expect("a shop").shop;
    let maker = Maker { store: app.store(), plan: &plan, shop, now: app.now(), reports: None };
    let [first, last] = ["2026-10-01", "2026-10-31"].map(|day| day.parse().expect("a day"));
    assert!(maker.make(Period { first, last }, Why::OnPurpose).await.expect("the database answers"));
    app.until("the summary", async || app.far.mail.count() == 1).await;
    app.settle().await;
    app.far.mail.mails().swap_remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_odd_sales_is_in_every_table_as_it_is_worked_out_by_hand() {
    let app = App::start(SINKS).await;
    let mut month = month();
    announce(&app, &month).await;
    month.sort_by_key(|one| one.number);
    let mail = summary(&app).await;
    let file = |ending: &str| {
        let found = mail.attachments.iter().find(|file| file.name.ends_with(ending));
        &found.unwrap_or_else(|| panic!("{ending} is attached")).bytes
    };
    let by_day = strictly(file("vat.csv"), ';');
    the_same("vat.csv", &by_day[1..], &expected_by_day(&month));
    let by_invoice = strictly(file("invoices.csv"), ';');
    the_same("invoices.csv", &by_invoice[1..], &expected_by_invoice(&month));
    the_same("journal.csv", &strictly(file("journal.csv"), ';')[1..], &expected_journal(&month));
    the_workbook_is_the_tables(file("invoices.xlsx"), &by_day[1..], &by_invoice[1..]);

    let [table, archive] = ["october.csv", "october.zip"].map(|name| app.data().with_file_name(name));
    let days = "--from 2026-10-01 --to 2026-10-31";
    assert_eq!(export(&app, &format!("{days} --as csv"), &table).0, Some(0));
    assert_eq!(export(&app, &format!("{days} --as zip"), &archive).0, Some(0));
    let entries = entries(&archive);
    the_same("the export", &strictly(&fs::read(&table).expect("a table"), ';'), &by_invoice);
    the_same("the archive's invoices.csv", &strictly(&entries["invoices.csv"], ';'), &by_invoice);
    the_same("the archive's vat.csv", &strictly(&entries["vat.csv"], ';'), &by_day);

    let figures = app.data_of("digest.made").await.swap_remove(0)["figures"].clone();
    the_mails_rows_are_its_total(&figures, &month);
    what_the_mail_says(&mail, &figures, &month);
    app.finish().await;
}

fn the_workbook_is_the_tables(bytes: &[u8], by_day: &[Vec<String>], by_invoice: &[Vec<String>]) {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a workbook");
    for (sheet, rows, columns) in [(1, by_day, [3, 4, 5]), (2, by_invoice, [5, 6, 7])] {
        let mut xml = String::new();
        let mut part = archive.by_name(&format!("xl/worksheets/sheet{sheet}.xml")).expect("a sheet");
        part.read_to_string(&mut xml).expect("XML");
        for column in columns {
            let letter = char::from(b'A' + u8::try_from(column).expect("a letter"));
            let known = rows.iter().map(|row| row[column].replace(',', ".")).filter(|text| !text.is_empty());
            let written: Vec<i64> = known.map(|text| cents(&text)).collect();
            let found: Vec<i64> = numbers(&xml, letter).iter().map(|text| cents(text)).collect();
            assert_eq!(found, written, "sheet {sheet}, column {letter}, row by row");
        }
    }
}

/// The sums of a figure in cents.
fn sums(figure: &Value) -> Amounts {
    ["net", "vat", "gross"].map(|column| figure[column].as_str().map(cents))
}

/// Each row of the mail's table is the sum of its sales, and together they are its total.
fn the_mails_rows_are_its_total(figures: &Value, month: &[Booked]) {
    let mut expected: BTreeMap<Told, Amounts> = BTreeMap::new();
    for (told, amounts) in month.iter().flat_map(|one| &one.sale.parts) {
        let sum = expected.entry(*told).or_insert([Some(0); 3]);
        *sum = plus(*sum, *amounts);
    }
    let rows = figures["rates"].as_array().expect("rows");
    let told = |row: &Value| match row["rate"].as_str() {
        Some(rate) => Told::At(cents(rate) / 10),
        None if row["is_lacking"] == true => Told::Lacking,
        None if row["is_rounding"] == true => Told::Rounding,
        None => Told::NotByRate,
    };
    let found: BTreeMap<Told, Amounts> = rows.iter().map(|row| (told(row), sums(&row["sums"]))).collect();
    assert_eq!((found.len(), &found), (rows.len(), &expected));
    let gross: i64 = month.iter().map(|one| one.sale.gross).sum();
    assert_eq!(sums(&figures["total"]), [None, None, Some(gross)], "some sales lack their VAT");
    assert_eq!(found.values().map(|row| row[2].expect("an amount")).sum::<i64>(), gross, "gross by row");
    let whole = found.iter().filter(|(told, _)| **told != Told::Lacking).map(|(_, row)| *row).reduce(plus);
    assert_eq!(Some(sums(&figures["known"])), whole, "the rows that lack nothing");
}

fn what_the_mail_says(mail: &Mail, figures: &Value, month: &[Booked]) {
    let (html, _) = mime::text(&mail.source).expect("a text");
    let said: String = html.chars().filter(|c| !c.is_whitespace()).collect();
    let sum = |is_wanted: &dyn Fn(&Booked) -> bool| {
        euros(month.iter().filter(|one| is_wanted(one)).map(|one| one.sale.gross).sum())
    };
    let entered = sum(&|one| one.sale.left_out.is_none());
    let left_out = sum(&|one| one.sale.left_out.is_some());
    let all = sum(&|_| true);
    for words in [
        format!("Aujournal:{entered}€TTC;absentes:{left_out}€;ensemble:{all}€"),
        format!(">{all}€TTC<"),
        "arrondi".to_owned(),
    ] {
        assert!(said.contains(&words), "{words} in {said}");
    }
    let first = month.iter().find(|one| one.sale.left_out.is_some()).expect("one that is left out");
    let why = first.sale.left_out.expect("a reason").replace(' ', "");
    let words = format!("{}:{}€,{why}", first.number, euros(first.sale.gross));
    assert!(said.contains(&words), "{words} in {said}");
    let listed = |list: &str| -> Vec<u64> {
        let numbers = figures[list].as_array().expect("a list").iter();
        numbers.map(|one| one["number"].as_str().expect("a number").parse().expect("a number")).collect()
    };
    let numbers = |is_wanted: &dyn Fn(&Booked) -> bool| -> Vec<u64> {
        month.iter().filter(|one| is_wanted(one)).map(|one| one.number).collect()
    };
    assert_eq!(listed("unpaid"), numbers(&|one| !one.is_paid && one.sale.gross != 0), "nobody owes nothing");
    let is_divided = |one: &Booked| one.sale.parts.iter().all(|(told, _)| matches!(told, Told::At(_) | Told::Rounding));
    assert_eq!(listed("undivided"), numbers(&|one| !is_divided(one)));
    let without_vat = |one: &Value| one["why"] == "not_sent";
    let not_sent = figures["undivided"].as_array().expect("a list").iter().filter(|one| without_vat(one)).count();
    assert_eq!(not_sent as u64, 2 * TIMES, "of no other sale is it said that its VAT was not sent by rate");
    let doubtful = figures["warnings"].as_array().expect("a list").iter();
    let doubtful = doubtful.filter(|one| one["warning"] == "refund_sign_mismatch").count();
    assert_eq!(doubtful as u64, 2 * TIMES, "two kinds contradict themselves");
}

/// The nth sale of the day, and what the till says of it.
async fn say(app: &App, nth: u64, said: Value) {
    let mut said = said;
    (said["type"], said["orderID"]) = ("validated".into(), nth.to_string().into());
    said["validationDate"] = "2026-10-05 12:00:00".into();
    assert_eq!(app.say_json(said).await, "stored");
}

#[tokio::test]
async fn what_was_sold_and_given_back_comes_to_nothing_however_the_refund_was_announced() {
    for (flag, total, vat) in
        [("1", "-10.00", "-0.91"), ("1", "-10.00", "0.91"), ("1", "10.00", "0.91"), ("", "-10.00", "0.91")]
    {
        let app = App::start(SINKS).await;
        say(&app, 1, json!({ "price": "10.00", "VAT": "0.91", "VATs": { "10": "0.91" } })).await;
        say(&app, 2, json!({ "isRefund": flag, "price": total, "VAT": vat, "VATs": { "10": vat } })).await;
        let mail = summary(&app).await;
        assert_eq!(mail.subject, "Ventes d’octobre 2026 – 0,00 € TTC – Boulangerie Dupont", "{flag} {total} {vat}");
        let figures = app.data_of("digest.made").await.swap_remove(0)["figures"].clone();
        assert_eq!(sums(&figures["total"]), [Some(0); 3], "{flag} {total} {vat}");
        let table = mail.attachments.iter().find(|file| file.name.ends_with("vat.csv")).expect("the table");
        let row = ["05/10/2026", "", "10", "0,00", "0,00", "0,00", "1", "1"].map(str::to_owned).to_vec();
        assert_eq!(strictly(&table.bytes, ';')[1..], [row], "{flag} {total} {vat}");
        app.finish().await;
    }
}
