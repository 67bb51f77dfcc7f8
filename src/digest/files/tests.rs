//! The files byte by byte: what accountants and their programs read.

use std::io::{Cursor, Read as _};

use proptest::prelude::*;
use rust_decimal::Decimal;
use zip::ZipArchive;

use super::*;
use crate::order::{
    Accounts, BookedPdf, Booking, Currency, InvoiceStatus, Money, NotEntered, Number, OrderKey, VatLine, Warning,
};

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

/// An amount; empty text is not known.
fn money(text: &str) -> Option<Money> {
    (!text.is_empty()).then(|| Money::new(decimal(text), 2))
}

/// Net, VAT and gross of a rate.
fn rate(rate: &str, [net, vat, gross]: [&str; 3]) -> VatLine {
    let rate = (!rate.is_empty()).then(|| Number::new(decimal(rate)));
    VatLine { rate, net: money(net), vat: money(vat), gross: money(gross) }
}

/// A paid order of 21 November at till 1.
fn line(number: &str, total: &str, rates: Vec<VatLine>) -> Line {
    let booking = Booking {
        order: OrderKey::new("2026-11-21T13:00:00Z".parse().unwrap()),
        date: "2026-11-21".parse().unwrap(),
        sold_at: serde_json::from_str("\"2026-11-21T14:00:00+01:00\"").unwrap(),
        number: number.to_owned(),
        is_refund: total.starts_with('-'),
        till: Some("1".to_owned()),
        currency: Currency::EUR,
        rates,
        net: None,
        vat: None,
        gross: money(total),
        paid: true,
        pdf: BookedPdf::default(),
        warnings: Vec::new(),
    };
    Line { booking, customer: None, pdf: None }
}

fn menu(number: &str) -> Line {
    line(number, "43.80", vec![rate("10", ["23.45", "2.35", "25.80"]), rate("20", ["15.00", "3.00", "18.00"])])
}

fn refund(number: &str) -> Line {
    line(number, "-6.60", vec![rate("10", ["-6.00", "-0.60", "-6.60"])])
}

fn text(kind: ReportFile, lines: &[Line], style: Csv) -> String {
    let made = make(kind, lines, style, Some(&accounting())).unwrap().unwrap();
    String::from_utf8(made.bytes).unwrap()
}

#[test]
fn a_day_is_summed_by_till_and_rate() {
    let mut other = menu("4");
    other.booking.till = Some("2".to_owned());
    let mut next = refund("5");
    next.booking.date = "2026-11-22".parse().unwrap();
    let lines = [next, menu("1"), refund("2"), menu("3"), other];
    let expected = "date,till,vat_rate,net,vat,gross,sales,refunds\r\n\
         2026-11-21,1,10,40.90,4.10,45.00,2,1\r\n\
         2026-11-21,1,20,30.00,6.00,36.00,2,0\r\n\
         2026-11-21,2,10,23.45,2.35,25.80,1,0\r\n\
         2026-11-21,2,20,15.00,3.00,18.00,1,0\r\n\
         2026-11-22,1,10,-6.00,-0.60,-6.60,0,1\r\n";
    assert_eq!(text(ReportFile::Vat, &lines, Csv::Iso), expected);
    let french = "\u{feff}date;caisse;taux_tva;base_ht;tva;ttc;nb_ventes;nb_remboursements\r\n\
         21/11/2026;1;10;40,90;4,10;45,00;2;1\r\n";
    assert!(text(ReportFile::Vat, &lines, Csv::Fr).starts_with(french));
}

#[test]
fn an_order_that_cannot_be_told_by_rate_is_a_line_of_its_own_and_a_sum_that_is_not_of_all_orders_is_none() {
    let unknown = line("2", "", vec![rate("10", ["", "1.00", ""]), rate("", ["", "", "5.00"])]);
    let twice = line("3", "22.00", vec![rate("5.5", ["10.00", "0.55", "10.55"]), rate("5.50", ["", "0.60", ""])]);
    let lines = [menu("1"), unknown, menu("4"), twice];
    let expected = "2026-11-21,1,,,,,2,0\r\n\
         2026-11-21,1,10,46.90,4.70,51.60,2,0\r\n\
         2026-11-21,1,20,30.00,6.00,36.00,2,0\r\n";
    assert_eq!(text(ReportFile::Vat, &lines, Csv::Iso).split_once("\r\n").unwrap().1, expected);
}

#[test]
fn an_order_that_lacks_an_amount_empties_no_row_of_the_others_and_a_cent_of_rounding_is_a_row() {
    let mut known = line("1", "11.00", vec![rate("", ["10.00", "1.00", "11.00"])]);
    (known.booking.net, known.booking.vat) = (money("10.00"), money("1.00"));
    let lacking = line("2", "5.00", vec![rate("", ["", "", "5.00"])]);
    let cent = line("3", "11.01", vec![rate("10", ["10.00", "1.00", "11.00"])]);
    let lines = [cent, lacking, known];
    let expected = "2026-11-21,1,,10.00,1.00,11.00,1,0\r\n\
         2026-11-21,1,,,,5.00,1,0\r\n\
         2026-11-21,1,,0.00,0.00,0.01,1,0\r\n\
         2026-11-21,1,10,10.00,1.00,11.00,1,0\r\n";
    assert_eq!(text(ReportFile::Vat, &lines, Csv::Iso).split_once("\r\n").unwrap().1, expected);
    let table = text(ReportFile::Invoices, &lines, Csv::Iso);
    let numbers: Vec<&str> = table.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "3"], "in the order of their numbers");
}

#[test]
fn what_a_journal_has_and_what_it_leaves_out_are_together_the_sales() {
    let other = Line { booking: Booking { currency: "CHF".parse().unwrap(), ..menu("6").booking }, ..menu("6") };
    let lines = [menu("1"), refund("2"), line("3", "5.00", vec![rate("", ["", "", "5.00"])]), other];
    let bookings: Vec<Booking> = lines.iter().map(|line| line.booking.clone()).collect();
    let sums = journal_sums(&bookings, Currency::EUR, &accounting());
    assert_eq!((sums.entered, sums.left_out), (money("37.20"), money("5.00")));
    let made = journal(&lines, Csv::Iso, &accounting()).unwrap();
    assert_eq!(made.left_out[0].gross, money("5.00"));
}

#[test]
fn sums_are_exact_and_zero_has_no_sign() {
    let lines = [
        line("1", "0.10", vec![rate("20", ["0.1", "-0.00", "0.10"])]),
        line("2", "-0.10", vec![rate("20", ["-0.10", "0", "-0.10"])]),
    ];
    let table = text(ReportFile::Vat, &lines, Csv::Iso);
    assert!(table.ends_with("2026-11-21,1,20,0.00,0.00,0.00,1,1\r\n"), "{table}");
    let huge = "79228162514264337593543950335";
    let large = |number| line(number, "", vec![rate("20", [huge, "0.00", huge])]);
    let table = text(ReportFile::Vat, &[large("1"), large("2")], Csv::Iso);
    assert!(table.ends_with("1,20,,0.00,,2,0\r\n"), "what does not fit is not known: {table}");
}

#[test]
fn currencies_are_not_added() {
    let mut francs = menu("2");
    francs.booking.currency = "CHF".parse().unwrap();
    let table = text(ReportFile::Vat, &[menu("1"), francs], Csv::Iso);
    assert_eq!(table.matches("23.45,2.35,25.80,1,0").count(), 2, "{table}");
}

#[test]
fn every_invoice_has_a_line_for_each_rate() {
    let mut paid = menu("20261121042");
    paid.customer = Some("Zoé \"Zaza\" Durand; fils".to_owned());
    paid.pdf = Some("20261121_Dupont_Zoe-Durand_F20261121042.pdf".to_owned());
    paid.booking.pdf = BookedPdf { status: InvoiceStatus::Stored, sha256: Some("ab".repeat(32)), bytes: Some(1) };
    let mut open = refund("20261121043");
    open.booking.paid = false;
    let sha256 = "ab".repeat(32);
    let name = "20261121_Dupont_Zoe-Durand_F20261121042.pdf";
    let french = format!(
        "\u{feff}date_valeur;numero;type;client;taux_tva;ht;tva;ttc;soldee;pdf;sha256\r\n\
         21/11/2026;20261121042;facture;\"Zoé \"\"Zaza\"\" Durand; fils\";10;23,45;2,35;25,80;oui;{name};{sha256}\r\n\
         21/11/2026;20261121042;facture;\"Zoé \"\"Zaza\"\" Durand; fils\";20;15,00;3,00;18,00;oui;{name};{sha256}\r\n\
         21/11/2026;20261121043;remboursement;;10;-6,00;-0,60;-6,60;non;;\r\n"
    );
    assert_eq!(text(ReportFile::Invoices, &[paid.clone(), open.clone()], Csv::Fr), french);
    let iso = text(ReportFile::Invoices, &[paid, open], Csv::Iso);
    assert!(iso.starts_with("value_date,number,type,customer,vat_rate,net,vat,gross,paid,pdf,sha256\r\n"));
    assert!(iso.ends_with("2026-11-21,20261121043,refund,,10,-6.00,-0.60,-6.60,no,,\r\n"), "{iso}");
}

#[test]
fn texts_are_defused_and_negative_amounts_stay_numbers() {
    let mut hostile = refund("=cmd|' /C calc'!A0");
    hostile.customer = Some(" ＝HYPERLINK(\"x\")\r\nZoé".to_owned());
    hostile.booking.till = Some("@1".to_owned());
    hostile.pdf = Some("+x.pdf".to_owned());
    let table = text(ReportFile::Invoices, &[hostile.clone()], Csv::Iso);
    let row =
        "2026-11-21,'=cmd|' /C calc'!A0,refund,\"' ＝HYPERLINK(\"\"x\"\")  Zoé\",10,-6.00,-0.60,-6.60,yes,'+x.pdf,\r\n";
    assert!(table.ends_with(row), "{table}");
    assert!(text(ReportFile::Vat, &[hostile], Csv::Fr).contains(";'@1;10;-6,00;"));
}

fn accounting() -> Accounting {
    let accounts =
        |revenue: &str, vat: Option<&str>| Accounts { revenue: revenue.to_owned(), vat: vat.map(Into::into) };
    Accounting {
        journal: "VE".to_owned(),
        customer: "411000".to_owned(),
        rates: [
            ("20".to_owned(), accounts("707020", Some("445720"))),
            ("10".to_owned(), accounts("707010", Some("445710"))),
            ("0".to_owned(), accounts("707000", None)),
            ("5,5".to_owned(), accounts("707055", None)),
        ]
        .into(),
    }
}

#[test]
fn a_sale_is_entered_with_its_net_and_vat_by_rate_and_a_refund_the_other_way_round() {
    let mut sale = menu("1");
    sale.customer = Some("Zoé Durand".to_owned());
    let free = line("3", "5.00", vec![rate("0", ["5.00", "0.00", "5.00"]), rate("2.1", ["0", "0", "0"])]);
    let nothing = line("4", "0.00", vec![rate("20", ["0", "0", "0"])]);
    let french = "\u{feff}date;journal;compte;piece;libelle;debit;credit\r\n\
         21/11/2026;VE;411000;1;Facture 1 Zoé Durand;43,80;\r\n\
         21/11/2026;VE;707010;1;Facture 1 Zoé Durand;;23,45\r\n\
         21/11/2026;VE;445710;1;Facture 1 Zoé Durand;;2,35\r\n\
         21/11/2026;VE;707020;1;Facture 1 Zoé Durand;;15,00\r\n\
         21/11/2026;VE;445720;1;Facture 1 Zoé Durand;;3,00\r\n\
         21/11/2026;VE;411000;2;Remboursement 2;;6,60\r\n\
         21/11/2026;VE;707010;2;Remboursement 2;6,00;\r\n\
         21/11/2026;VE;445710;2;Remboursement 2;0,60;\r\n\
         21/11/2026;VE;411000;3;Facture 3;5,00;\r\n\
         21/11/2026;VE;707000;3;Facture 3;;5,00\r\n";
    let lines = [sale, refund("2"), free, nothing];
    let made = journal(&lines, Csv::Fr, &accounting()).unwrap();
    assert_eq!((String::from_utf8(made.bytes).unwrap().as_str(), made.left_out), (french, Vec::new()));
    assert!(text(ReportFile::Journal, &lines, Csv::Iso).starts_with(
        "date,journal,account,document,label,debit,credit\r\n\
         2026-11-21,VE,411000,1,Invoice 1 Zoé Durand,43.80,\r\n"
    ));
}

#[test]
fn an_order_that_cannot_be_entered_whole_is_left_out_and_named() {
    let full = |at: &str| rate(at, ["10.00", "1.00", "11.00"]);
    let mut sign = line("7", "11.00", vec![full("20")]);
    sign.booking.is_refund = true;
    sign.booking.warnings = vec![Warning::RefundSignMismatch];
    let mut not_by_rate = line("3", "11.00", vec![rate("", ["10.00", "1.00", "11.00"])]);
    (not_by_rate.booking.net, not_by_rate.booking.vat) = (money("10.00"), money("1.00"));
    let lines = [
        line("1", "11.00", vec![rate("20", ["", "1.00", ""])]),
        line("2", "", vec![full("20")]),
        not_by_rate,
        line("4", "11.01", vec![full("20")]),
        line("5", "22.00", vec![full("20"), full("8.5")]),
        line("6", "11.00", vec![full("5.5")]),
        sign,
        line("8", "11.00", vec![full("20")]),
    ];
    let made = journal(&lines, Csv::Iso, &accounting()).unwrap();
    let why: Vec<_> = made.left_out.iter().map(|order| (order.number.as_str(), order.why)).collect();
    let [eight, five] = ["8.5", "5.5"].map(|rate| Number::new(decimal(rate)));
    let expected = [
        ("1", NotEntered::Incomplete),
        ("2", NotEntered::Incomplete),
        ("3", NotEntered::NotByRate),
        ("4", NotEntered::Unbalanced),
        ("5", NotEntered::NoAccounts(eight)),
        ("6", NotEntered::NoVatAccount(five)),
        ("7", NotEntered::Sign),
    ];
    assert_eq!(why, expected);
    let table = String::from_utf8(made.bytes).unwrap();
    assert_eq!(table.lines().skip(1).filter(|row| row.contains(",8,Invoice 8,")).count(), 3, "{table}");
    assert_eq!(table.lines().count(), 4);
}

#[test]
fn what_has_no_lines_or_no_accounts_makes_no_table() {
    assert!(make(ReportFile::Originals, &[menu("1")], Csv::Fr, None).unwrap().is_none());
    assert!(make(ReportFile::Journal, &[menu("1")], Csv::Fr, None).unwrap().is_none());
    assert_eq!(text(ReportFile::Vat, &[], Csv::Iso), "date,till,vat_rate,net,vat,gross,sales,refunds\r\n");
}

/// A part of a workbook.
fn part(workbook: &[u8], name: &str) -> String {
    let mut archive = ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_workbook_has_numbers_dates_and_texts_but_no_formulas() {
    let mut hostile = refund("=1+1");
    hostile.customer = Some("=HYPERLINK(\"http://evil.example\")\u{0}".to_owned() + &"x".repeat(40_000));
    let exact = line("3", "", vec![rate("20", ["1234567890123.45", "12345678901234.56", "0.001"])]);
    let lines = [menu("20261121042"), hostile, exact];
    let workbook = make(ReportFile::Workbook, &lines, Csv::Fr, None).unwrap().unwrap().bytes;
    let again = make(ReportFile::Workbook, &lines, Csv::Fr, None).unwrap().unwrap().bytes;
    assert!(workbook == again, "the same bytes on every attempt");
    let names = part(&workbook, "xl/workbook.xml");
    assert!(names.contains("name=\"TVA\"") && names.contains("name=\"Factures\""), "{names}");
    let sheets = ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"].map(|name| part(&workbook, name));
    for sheet in &sheets {
        assert!(!sheet.contains("<f>") && !sheet.contains("<f "), "{sheet}");
        assert!(sheet.contains("state=\"frozen\"") && sheet.contains("<cols>"), "{sheet}");
    }
    // 21 November 2026, as workbooks count days.
    assert!(sheets[1].contains("<v>46347</v>") && sheets[1].contains("<v>23.45</v>"), "{}", sheets[1]);
    assert!(sheets[1].contains("<v>-6</v>") && sheets[1].contains("<v>1234567890123.45</v>"), "{}", sheets[1]);
    let texts = part(&workbook, "xl/sharedStrings.xml");
    assert!(texts.contains("<t>=1+1</t>") && texts.contains("=HYPERLINK(\"http://evil.example\") xxx"), "{texts}");
    assert!(texts.contains("<t>12345678901234.56</t>"), "16 digits are kept as a text");
    let english = make(ReportFile::Workbook, &lines, Csv::Iso, None).unwrap().unwrap().bytes;
    assert!(part(&english, "xl/sharedStrings.xml").contains("<t>vat_rate</t>"));
    assert!(part(&english, "xl/styles.xml").contains("yyyy-mm-dd"));
}

#[test]
fn an_archive_holds_the_files_as_they_are_under_names_of_their_own() {
    let files = [("a.pdf", b"%PDF-1"), ("A.PDF", b"%PDF-2"), ("a-2.pdf", b"%PDF-3"), ("a.pdf", b"%PDF-4")];
    let archive = zip(files).unwrap();
    assert!(archive == zip(files).unwrap(), "the same bytes on every attempt");
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut read = Vec::new();
    for place in 0..archive.len() {
        let mut file = archive.by_index(place).unwrap();
        assert_eq!(file.compression(), ::zip::CompressionMethod::Stored);
        let mut bytes = String::new();
        file.read_to_string(&mut bytes).unwrap();
        read.push((file.name().unwrap().into_owned(), bytes));
    }
    let names = ["a.pdf", "A-2.PDF", "a-2-2.pdf", "a-3.pdf"];
    let expected: Vec<_> =
        names.iter().zip(1..).map(|(name, nth)| ((*name).to_owned(), format!("%PDF-{nth}"))).collect();
    assert_eq!(read, expected);
}

#[test]
fn files_are_split_in_order_into_parts_that_fit() {
    assert_eq!(split(&[4, 4, 4, 12, 1, 9, 1], 10), [vec![0, 1], vec![2], vec![3], vec![4, 5], vec![6]]);
    assert_eq!(split(&[], 10), Vec::<Vec<usize>>::new());
    assert_eq!(split(&[0, 10, 0], 10), [vec![0, 1, 2]]);
    assert_eq!(split(&[u64::MAX, u64::MAX], 10), [vec![0], vec![1]]);
}

proptest! {
    #[test]
    fn any_text_is_read_back_in_its_place_and_is_no_formula(customer in ".*", number in "[=+@;,\" \t\r\n-]{0,8}.*") {
        let mut hostile = menu(&number);
        hostile.customer = Some(customer);
        for (style, separator) in [(Csv::Fr, b';'), (Csv::Iso, b',')] {
            let table = text(ReportFile::Invoices, &[hostile.clone()], style);
            let mut reader = ::csv::ReaderBuilder::new().delimiter(separator).from_reader(table.as_bytes());
            for row in reader.records() {
                let row = row.unwrap();
                prop_assert_eq!(row.len(), invoices::COLUMNS.len());
                prop_assert_eq!(&row[4].len(), &2);
                for cell in [&row[1], &row[3]] {
                    prop_assert!(!cell.chars().any(char::is_control));
                    for piece in cell.split([';', ',']) {
                        prop_assert!(!piece.trim().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']));
                    }
                }
            }
            prop_assert_eq!(table.matches("\r\n").count(), 3);
        }
    }

    #[test]
    fn no_part_is_too_large_and_none_could_take_the_next_file(sizes in prop::collection::vec(0_u64..20, 0..40)) {
        let parts = split(&sizes, 25);
        let flat: Vec<usize> = parts.iter().flatten().copied().collect();
        prop_assert_eq!(flat, (0..sizes.len()).collect::<Vec<_>>());
        let sum = |part: &[usize]| part.iter().map(|place| sizes[*place]).sum::<u64>();
        prop_assert!(parts.iter().all(|part| sum(part) <= 25));
        prop_assert!(parts.windows(2).all(|pair| sum(&pair[0]) + sizes[pair[1][0]] > 25));
    }
}
