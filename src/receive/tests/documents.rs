//! What subscribers and operators are answered.

use super::*;

async fn house_with_an_invoice(filename: &str) -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("invoice.pdf");
    std::fs::write(&path, "%PDF-1.7 facture").unwrap();
    let house = House::open(Behaviour::Store).await;
    let path = path.to_str().unwrap().to_owned();
    *house.fake.invoice.lock().unwrap() = Some(Document { path, sha256: "abc".into(), filename: filename.into() });
    (house, folder)
}

fn invoice() -> String {
    format!("/invoices/{CAPABILITY}")
}

fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: hooks\r\n{header}\r\n")
}

#[tokio::test]
async fn an_invoice_is_shown_under_its_name_and_kept_by_nobody() {
    let (house, _folder) = house_with_an_invoice("20261121_Dupont_F42.pdf").await;
    let answer = house.ask(&get(&invoice(), "")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "%PDF-1.7 facture"));
    let expected = [
        ("content-type", "application/pdf"),
        ("content-length", "16"),
        ("content-security-policy", "sandbox"),
        ("content-disposition", "inline; filename=\"20261121_dupont_f42.pdf\""),
        ("etag", "\"abc\""),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_reader_who_has_the_same_bytes_is_told_so() {
    let (house, _folder) = house_with_an_invoice("F42.pdf").await;
    for (condition, status) in
        [("\"abc\"", 304), ("W/\"abc\"", 304), ("\"x\", \"abc\"", 304), ("*", 304), ("\"x\"", 200), ("abc", 200)]
    {
        let answer = house.ask(&get(&invoice(), &format!("if-none-match: {condition}\r\n"))).await;
        assert_eq!((answer.status, answer.header("etag")), (status, "\"abc\""), "{condition}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn who_asks_for_the_head_alone_is_told_the_length() {
    let (house, _folder) = house_with_an_invoice("F42.pdf").await;
    let answer = house.ask(&get(&invoice(), "").replace("GET", "HEAD")).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.as_str()), (200, "16", ""));
}

#[tokio::test]
async fn beyond_the_limit_a_reader_is_told_to_come_again_and_a_till_is_not() {
    let (_, folder) = house_with_an_invoice("F42.pdf").await;
    let house =
        House::with(Behaviour::Store, Limits { document_readers: 2, ..Limits::default() }, |router| router).await;
    let path = folder.path().join("large.pdf");
    std::fs::write(&path, vec![b'x'; 8 * 1024 * 1024]).unwrap();
    let path = path.to_str().unwrap().to_owned();
    *house.fake.invoice.lock().unwrap() = Some(Document { path, sha256: "abc".into(), filename: "F42.pdf".into() });
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut reader = house.connect().await;
        reader.write_all(get(&invoice(), "").as_bytes()).await.unwrap();
        let mut first = [0; 12];
        reader.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        slow.push(reader);
    }
    for header in ["", "if-none-match: \"abc\"\r\n"] {
        let answer = house.ask(&get(&invoice(), header)).await;
        assert_eq!((answer.status, answer.header("retry-after"), answer.body.as_str()), (503, "5", ""));
    }
    assert_eq!(house.ask(&get("/invoices/unknown", "")).await.status, 404);
    assert_eq!(house.post("x=1").await.status, 200);
    assert!(read_to_end(slow.remove(0)).await.len() > 8_000_000);
    while house.ask(&get(&invoice(), "")).await.status != 200 {}
}

#[tokio::test]
async fn a_file_name_cannot_break_out_of_its_header() {
    let (house, _folder) = house_with_an_invoice("a\"; b=\r\nx: é.pdf").await;
    let answer = house.ask(&get(&invoice(), "")).await;
    assert_eq!(answer.header("content-disposition"), "inline; filename=\"a___b___x___.pdf\"");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_and_a_lost_file_are_the_same_empty_404() {
    let (house, folder) = house_with_an_invoice("F42.pdf").await;
    let unknown = house.ask(&get("/invoices/unknown", "")).await.without_date();
    assert_eq!((unknown.status, unknown.body.as_str()), (404, ""));
    assert_eq!(house.ask(&get("/invoices/%ff", "")).await.without_date(), unknown);
    drop(folder);
    assert_eq!(house.ask(&get(&invoice(), "")).await.without_date(), unknown);
}

#[tokio::test]
async fn readiness_follows_the_storage_and_liveness_does_not() {
    for (behaviour, ready, text) in [(Behaviour::Store, 200, "ok\n"), (Behaviour::Fail, 503, "the disk is full\n")] {
        let house = House::open(behaviour).await;
        let answer = house.ask(&get("/readyz", "")).await;
        assert_eq!((answer.status, answer.body.as_str()), (ready, text));
        assert_eq!(house.ask(&get("/livez", "")).await.status, 200);
    }
}
