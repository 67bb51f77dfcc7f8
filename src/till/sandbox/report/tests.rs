//! Every format tells the sums of what was announced, to the cent, and is of the kind that it says.

use std::io::{Cursor, Read as _};

use jiff::{Timestamp, tz::TimeZone};

use super::*;

/// A day with sales, sales on account, refunds, and a sale after midnight that is not its.
fn report() -> DayReport {
    let zone = TimeZone::get("Europe/Paris").expect("a zone");
    let mut sales = Sales::new(3, zone, "http://127.0.0.1:9");
    let at = |text: &str| -> Timestamp { text.parse().expect("an instant") };
    for n in 0..60 {
        let order = if n % 5 == 0 {
            sales.sell_on_account(at("2026-11-21T12:00:00Z"))
        } else {
            sales.sell(at("2026-11-21T22:59:59Z"))
        };
        if n % 9 == 0 {
            sales.refund(&order, at("2026-11-21T12:30:00Z"));
        }
    }
    sales.sell(at("2026-11-21T23:00:00Z"));
    DayReport::of(&sales, "2026-11-21".parse().expect("a day"))
}

fn text(format: Format) -> String {
    String::from_utf8(report().answer(format).expect("a report").body).expect("UTF-8")
}

fn amount(text: &str) -> Decimal {
    text.replace(',', ".").parse().expect("an amount")
}

#[test]
fn the_sums_are_those_of_the_orders_of_the_day() {
    let report = report();
    assert_eq!((report.orders.len(), report.refunds), (67, 7));
    assert_eq!(report.total.gross, report.orders.iter().map(TillOrder::total).sum());
    assert_eq!(report.total.vat, report.orders.iter().map(TillOrder::total_vat).sum());
    assert_eq!(report.total.net + report.total.vat, report.total.gross);
    assert!(report.payments.len() > 1 && report.payments["Remboursement carte"].is_sign_negative());
}

#[test]
fn the_csv_ends_with_the_sums_of_its_lines() {
    let csv = text(Format::Csv);
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(';').collect()).collect();
    let (sums, lines): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row[2] == "total");
    let report = report();
    assert_eq!(sums.len(), report.vat.len() + 1);
    for column in 4..7 {
        let all: Decimal = lines.iter().map(|row| amount(row[column])).sum();
        assert_eq!(all, amount(sums.last().expect("the total")[column]));
    }
    assert_eq!(amount(sums.last().expect("the total")[6]), report.total.gross);
}

#[test]
fn the_entries_of_the_fec_have_eighteen_columns_and_are_balanced() {
    let fec = text(Format::Fec);
    let rows: Vec<Vec<&str>> = fec.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 18) && rows[0][0] == "JournalCode");
    let mut entries = BTreeMap::<&str, Decimal>::new();
    let mut vat = Decimal::ZERO;
    for row in &rows[1..] {
        let (debit, credit) = (amount(row[11]), amount(row[12]));
        assert!(debit >= Decimal::ZERO && credit >= Decimal::ZERO && (debit.is_zero() || credit.is_zero()));
        *entries.entry(row[2]).or_default() += debit - credit;
        vat += if row[4] == "445710" { credit - debit } else { Decimal::ZERO };
    }
    assert_eq!(entries.len(), 67);
    assert!(entries.values().all(Decimal::is_zero));
    assert_eq!(vat, report().total.vat);
}

#[test]
fn the_saft_is_well_formed_and_adds_up() {
    let saft = text(Format::Saft);
    let mut open = Vec::new();
    for tag in saft.split('<').skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap_or_default()) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.starts_with('?') => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty());
    let gross = saft.split("<GrossTotal>").skip(1).map(|rest| amount(rest.split('<').next().expect("a text")));
    assert_eq!(gross.sum::<Decimal>(), report().total.gross);
}

#[test]
fn page_pdf_and_workbook_show_the_total() {
    let total = report().total.gross;
    assert!(text(Format::Html).contains(&format!("<td>{total}</td>")));
    let pdf = report().answer(Format::Pdf).expect("a report").body;
    let shown = total.to_string().replace('.', ",");
    assert!(pdf.starts_with(b"%PDF-") && pdf.windows(shown.len()).any(|window| window == shown.as_bytes()));
    let workbook = report().answer(Format::Xls).expect("a report").body;
    let mut sheet = String::new();
    let mut archive = zip::ZipArchive::new(Cursor::new(workbook)).expect("a workbook");
    archive.by_name("xl/worksheets/sheet1.xml").expect("a sheet").read_to_string(&mut sheet).expect("XML");
    assert!(sheet.contains(&format!("<v>{}</v>", total.normalize())));
}

#[test]
fn a_day_without_sales_has_a_report_of_nothing() {
    let sales = Sales::new(1, TimeZone::UTC, "http://127.0.0.1:9");
    let report = DayReport::of(&sales, "2026-11-21".parse().expect("a day"));
    assert_eq!(report.total, Total::default());
    for format in [Format::Html, Format::Pdf, Format::Xls, Format::Csv, Format::Fec, Format::Saft] {
        assert!(!report.answer(format).expect("a report").body.is_empty());
    }
}
