//! `tillhook export`: what it writes, what it refuses, and how it ends.

use std::{fs, io::Read as _};

use clap::Parser as _;
use serde_json::Value;
use zip::ZipArchive;

use super::Office;
use crate::cli::{Cli, Exit, args, export};

const DAYS: &str = "--from 2026-11-01 --to 2026-11-30";

/// Two shops, an order each, and a test that is none.
async fn office() -> Office {
    let office = Office::open().await;
    office.order("dupont", "20261121042", "8841207").await;
    office.order("martin", "7", "7").await;
    office.call("dupont", "type=validated&orderID=9&orderInternalID=9&price=1&tillhookTest=1").await;
    office
}

/// Types the command; also what it says on standard error.
async fn told(office: &Office, words: &str) -> (Exit, String, String) {
    let cli = Cli::try_parse_from(["tillhook", "export"].into_iter().chain(words.split(' '))).unwrap();
    let args::Command::AtDesk(args::AtDesk::Export(wanted)) = cli.command else { panic!("another command") };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = export::run(&wanted, &office.desk, &mut out, &mut err).await.unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[tokio::test]
async fn a_table_goes_to_standard_output_in_the_style_of_the_shop_or_another() {
    let office = office().await;
    let (exit, table, notes) = told(&office, &format!("{DAYS} --as csv --shop dupont")).await;
    let french = "\u{feff}date_valeur;numero;type;client;taux_tva;ht;tva;ttc;soldee;pdf;sha256\r\n\
                  21/11/2026;20261121042;facture;;;38,45;5,35;43,80;non;;\r\n";
    assert_eq!((exit, table.as_str(), notes.as_str()), (Exit::Ok, french, ""));
    let (_, table, _) = told(&office, &format!("{DAYS} --as csv --shop martin --csv iso")).await;
    assert!(table.ends_with("2026-11-21,7,invoice,,,38.45,5.35,43.80,no,,\r\n"), "{table}");
    let english = Office::open_with("[shop.hill]\ntoken = \"0123456789abcdef-hill\"\nlocale = \"en\"\n").await;
    english.order("hill", "1", "1").await;
    assert!(english.ok(&format!("export {DAYS} --as csv --shop hill")).await.starts_with("value_date,number,"));
}

#[tokio::test]
async fn both_days_are_included_and_none_around_them() {
    let office = office().await;
    for (from, to, rows) in [("21", "21", 2), ("01", "20", 1), ("22", "30", 1), ("20", "21", 2), ("21", "22", 2)] {
        let words = format!("--from 2026-11-{from} --to 2026-11-{to} --as csv --shop dupont");
        let (_, table, notes) = told(&office, &words).await;
        assert_eq!((table.lines().count(), notes.is_empty()), (rows, rows == 2), "{from} {to}: {notes}");
    }
    let (exit, _, notes) = told(&office, "--from 0001-01-01 --to 2026-11-20 --as csv --shop dupont").await;
    assert_eq!((exit, notes.as_str()), (Exit::Ok, "note: there are no orders from 0001-01-01 to 2026-11-20\n"));
}

#[tokio::test]
async fn lines_of_json_are_of_every_shop_and_name_it() {
    let office = office().await;
    let lines = office.ok(&format!("export {DAYS} --as jsonl")).await;
    let orders: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = orders.iter().map(|order| (order["shop"].as_str(), order["order_id"].as_str())).collect();
    assert_eq!(found, [(Some("dupont"), Some("20261121042")), (Some("martin"), Some("7"))]);
    assert_eq!(orders[0]["invoice"]["status"], "none");
    assert_eq!(orders[0]["total"], "43.80");
}

#[tokio::test]
async fn what_makes_no_sense_is_a_usage_error_with_advice() {
    let office = office().await;
    for (words, advice) in [
        ("--from 2026-11-02 --to 2026-11-01 --as csv --shop dupont", "`--to 2026-11-01` is before"),
        ("--from 2026-11-01 --to 2026-11-02 --as csv", "add `--shop dupont` or `--shop martin`"),
        ("--from 2026-11-01 --to 2026-11-02 --as zip -o x.zip", "add `--shop dupont` or `--shop martin`"),
        ("--from 2026-11-01 --to 2026-11-02 --as zip --shop dupont", "`-o FILE`"),
        ("--from 2026-11-01 --to 2026-11-02 --as jsonl --csv fr", "leave it out"),
        ("--from 2026-11-01 --to 2026-11-02 --as csv --shop dupont -o /", "no name of a file"),
    ] {
        let (exit, said) = office.run(&format!("export {words}")).await;
        assert!(exit == Exit::Usage && said.contains(advice), "{words}: {said}");
    }
    assert_eq!(office.run(&format!("export {DAYS} --as csv --shop dupond")).await.0, Exit::NotFound);
    for wrong in [
        "--from 21/11/2026 --to 2026-11-30 --as csv",
        "--from 2026-11-01 --as csv",
        "--from 2026-11-01 --to 2026-11-02 --as xml",
    ] {
        assert!(Cli::try_parse_from(["tillhook", "export"].into_iter().chain(wrong.split(' '))).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_file_is_written_whole_and_another_is_not_replaced_unasked() {
    let office = office().await;
    let file = office.dir.path().join("november.csv");
    fs::write(&file, "precious").unwrap();
    let words = format!("export {DAYS} --as csv --shop dupont -o {}", file.display());
    let (exit, said) = office.run(&words).await;
    assert!(exit == Exit::Refused && said.contains("--force"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(office.ok(&format!("{words} --force")).await, format!("{}: 1 order\n", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap(), office.ok(&format!("export {DAYS} --as csv --shop dupont")).await);
    let nowhere = office.dir.path().join("absent/x.csv");
    let (exit, said) = office.run(&format!("export {DAYS} --as csv --shop dupont -o {}", nowhere.display())).await;
    assert!(exit == Exit::Failed && said.contains("fix: name a file in a directory that is there"), "{said}");
    let left: Vec<_> = fs::read_dir(office.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".tillhook-export")), "{left:?}");
}

#[tokio::test]
async fn an_archive_holds_the_tables_and_the_pdfs_and_names_those_that_are_lost() {
    let office = office().await;
    office.order("dupont", "43", "43").await;
    for order in ["20261121042", "43"] {
        let pdf = office.dir.path().join("x.pdf");
        fs::write(&pdf, format!("%PDF-1.7 {order}")).unwrap();
        office.ok(&format!("invoices import {} --order {order}", pdf.display())).await;
    }
    let file = office.dir.path().join("november.zip");
    let words = format!("{DAYS} --as zip --shop dupont --csv iso -o {}", file.display());
    let (exit, said, notes) = told(&office, &words).await;
    assert_eq!((exit, said, notes), (Exit::Ok, format!("{}: 2 orders\n", file.display()), String::new()));
    // In the order of the numbers.
    let names =
        ["20261121_Boulangerie-Dupont_Comptoir_F43.pdf", "20261121_Boulangerie-Dupont_Comptoir_F20261121042.pdf"];
    let first = read(&file);
    let found: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        found,
        [&format!("invoices/{}", names[0]), &format!("invoices/{}", names[1]), "vat.csv", "invoices.csv"]
    );
    assert_eq!(first[0].1, "%PDF-1.7 43");
    assert!(first[3].1.contains(names[0]) && first[3].1.contains(names[1]), "{}", first[3].1);
    assert!(first[2].1.contains("2026-11-21,,,76.90,10.70,87.60,2,0\r\n"), "{}", first[2].1);

    let invoices = office.desk.store.list_invoices(10).await.unwrap();
    let lost = invoices.iter().find(|invoice| invoice.order_id.as_deref() == Some("43")).unwrap();
    fs::remove_file(office.dir.path().join(lost.path.as_ref().unwrap())).unwrap();
    let (exit, _, notes) = told(&office, &format!("{words} --force")).await;
    assert_eq!(exit, Exit::Failed);
    assert!(notes.starts_with("order 43: ") && notes.contains("1 PDF is lost or changed on disk"), "{notes}");
    let second = read(&file);
    assert_eq!((second.len(), second[0].1.as_str()), (3, "%PDF-1.7 20261121042"));
    assert!(second[2].1.contains(names[1]) && !second[2].1.contains(names[0]), "{}", second[2].1);
    let lines = office.ok(&format!("export {DAYS} --as jsonl --shop dupont")).await;
    let order: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&order["invoice"]["status"], &order["invoice"]["filename"]), (&"stored".into(), &names[1].into()));
}

/// The files of an archive, in their order.
fn read(file: &std::path::Path) -> Vec<(String, String)> {
    let mut archive = ZipArchive::new(fs::File::open(file).unwrap()).unwrap();
    let mut files = Vec::new();
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.push((entry.name().unwrap().into_owned(), text));
    }
    files
}
