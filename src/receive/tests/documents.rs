//! What subscribers and operators are answered.

use super::*;
use crate::invoice::hex_sha256;

async fn house_with_an_invoice(filename: &str) -> (House, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("invoice.pdf");
    let house = House::open(Behaviour::Store).await;
    show(&house, &path, b"%PDF-1.7 facture", filename);
    (house, folder)
}

/// Puts the invoice into a file, and its name at the door.
fn show(house: &House, file: &std::path::Path, bytes: &[u8], filename: &str) {
    std::fs::write(file, bytes).unwrap();
    let (path, sha256) = (file.to_str().unwrap().to_owned(), hex_sha256(bytes));
    *house.fake.invoice.lock().unwrap() = Some(Document { path, sha256, filename: filename.into() });
}

/// More than the connection holds, so that a reader who does not read keeps it on its way.
const LARGE: usize = 8 * 1024 * 1024;

fn invoice() -> String {
    format!("/invoices/{CAPABILITY}")
}

fn etag() -> String {
    format!("\"{}\"", hex_sha256(b"%PDF-1.7 facture"))
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
        ("etag", &etag()),
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
        [("ETAG", 304), ("W/ETAG", 304), ("\"x\", ETAG", 304), ("*", 304), ("\"x\"", 200), ("abc", 200)]
    {
        let condition = condition.replace("ETAG", &etag());
        let answer = house.ask(&get(&invoice(), &format!("if-none-match: {condition}\r\n"))).await;
        assert_eq!((answer.status, answer.header("etag")), (status, &*etag()), "{condition}");
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
    show(&house, &path, &vec![b'x'; LARGE], "F42.pdf");
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
async fn who_reads_an_invoice_that_is_changed_meanwhile_never_gets_the_whole_of_it() {
    let (house, folder) = house_with_an_invoice("F42.pdf").await;
    let path = folder.path().join("large.pdf");
    for whole in [true, false] {
        show(&house, &path, &vec![b'x'; LARGE], "F42.pdf");
        let mut reader = house.connect().await;
        let request = get(&invoice(), "connection: close\r\n");
        reader.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        reader.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        if !whole {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"forged", LARGE as u64 - 6).unwrap();
        }
        let mut rest = Vec::new();
        // Whether a connection that is broken off is reset or ends does not matter.
        let _ = reader.read_to_end(&mut rest).await;
        let body = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(rest.len() - body == LARGE, whole, "{} bytes", rest.len() - body);
        assert!(!rest.ends_with(b"forged"));
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_while_an_invoice_is_proven_makes_room_for_the_next() {
    let soon = std::time::Duration::from_millis(500);
    let limits = Limits { document_readers: 1, connection_time: soon, drain_time: soon, ..Limits::default() };
    let mut house = House::with(Behaviour::Store, limits, |router| router).await;
    let folder = tempfile::tempdir().unwrap();
    show(&house, &folder.path().join(ENDLESS), b"%PDF-1.7 facture", "F42.pdf");
    let mut reader = house.connect().await;
    reader.write_all(get(&invoice(), "").as_bytes()).await.unwrap();
    assert_eq!(house.progress.recv().await, Some("proving"));
    show(&house, &folder.path().join("invoice.pdf"), b"%PDF-1.7 facture", "F42.pdf");
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
