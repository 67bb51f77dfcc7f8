//! A one-page PDF of an invoice or a quote, made by hand.
//!
//! It is as much of PDF 1.4 as one page of text in the built-in fonts needs, so that what is fetched, stored and
//! attached in a demonstration opens in any reader. It is no Factur-X and carries no signature, as the till's own do.
//!
//! **Invariant:** the bytes follow from the order and the copy number alone.

use encoding_rs::WINDOWS_1252;
use rust_decimal::Decimal;

use crate::till::order::TillOrder;

/// The left and right margins and the columns of a line, in points from the left of an A4 page (595 × 842).
pub(super) const LEFT: u32 = 56;
pub(super) const QUANTITY: u32 = 350;
pub(super) const PRICE: u32 = 440;
pub(super) const RIGHT: u32 = 539;

/// The fonts, as the page's resources name them.
pub(super) const REGULAR: &str = "/F1";
pub(super) const BOLD: &str = "/F2";

/// The invoice of `order`. The first download is copy 1; later ones are stamped as duplicates, as the till probably
/// does (pos-api §1).
pub fn invoice(order: &TillOrder, copy: u32) -> Vec<u8> {
    document(&page(order, copy), &headline(order))
}

/// The quote of `order`, which has no number yet: its internal id stands in its place.
pub fn quote(order: &TillOrder) -> Vec<u8> {
    document(&page(order, 1), &headline(order))
}

fn headline(order: &TillOrder) -> String {
    match (order.validated.is_some(), order.is_refund) {
        (false, _) => format!("Devis {}", order.internal_id),
        (true, false) => format!("Facture {}", order.order_id),
        (true, true) => format!("Remboursement {}", order.order_id),
    }
}

/// The drawing instructions of the page.
fn page(order: &TillOrder, copy: u32) -> Vec<u8> {
    let mut page = Page::new();
    page.text(LEFT, BOLD, 20, &headline(order));
    if copy > 1 {
        page.right(RIGHT, BOLD, 14, &format!("DUPLICATA {}", copy - 1));
    }
    page.down(24);
    if let Some(date) = order.validated.as_ref().or(order.created.as_ref()) {
        page.text(LEFT, REGULAR, 11, &date.strftime("%d/%m/%Y %H:%M").to_string());
    }
    if let Some(who) = &order.customer {
        for line in [who.name(), who.address.clone(), format!("{} {}", who.postcode, who.city)] {
            page.down(16);
            page.text(LEFT, REGULAR, 11, &line);
        }
    }
    page.down(36);
    for item in &order.items {
        page.text(LEFT, REGULAR, 11, &item.title);
        page.right(QUANTITY, REGULAR, 11, &french(item.quantity));
        page.right(PRICE, REGULAR, 11, &euros(item.unit_price));
        page.right(RIGHT, REGULAR, 11, &euros(item.total()));
        page.down(18);
    }
    page.rule();
    page.text(LEFT, BOLD, 13, "Total TTC");
    page.right(RIGHT, BOLD, 13, &euros(order.total()));
    page.down(32);
    for line in order.vat() {
        page.text(LEFT, REGULAR, 10, &format!("TVA {} %", french(line.rate)));
        page.right(QUANTITY, REGULAR, 10, &format!("HT {}", euros(line.net)));
        page.right(PRICE, REGULAR, 10, &euros(line.vat));
        page.right(RIGHT, REGULAR, 10, &euros(line.gross));
        page.down(15);
    }
    page.down(30);
    page.text(LEFT, REGULAR, 9, "Document de démonstration, sans valeur comptable.");
    page.into_instructions()
}

/// A page being written from the top.
pub(super) struct Page {
    instructions: Vec<u8>,
    y: u32,
}

impl Page {
    /// An empty page, written on from near its top.
    pub(super) fn new() -> Self {
        Self { instructions: Vec::new(), y: 780 }
    }

    /// The drawing instructions.
    pub(super) fn into_instructions(self) -> Vec<u8> {
        self.instructions
    }

    /// Goes on so many points lower.
    pub(super) fn down(&mut self, points: u32) {
        self.y = self.y.saturating_sub(points);
    }

    /// Writes text that begins at `x`.
    pub(super) fn text(&mut self, x: u32, font: &str, size: u32, text: &str) {
        self.write(&x.to_string(), font, size, text);
    }

    /// Writes text that ends at `x`.
    pub(super) fn right(&mut self, x: u32, font: &str, size: u32, text: &str) {
        let start = Decimal::from(x) - Decimal::from(size) * width(text);
        self.write(&start.to_string(), font, size, text);
    }

    fn write(&mut self, x: &str, font: &str, size: u32, text: &str) {
        self.instructions.extend(format!("BT {font} {size} Tf {x} {} Td (", self.y).bytes());
        self.instructions.extend(escaped(text));
        self.instructions.extend(b") Tj ET\n");
    }

    /// Draws a line across.
    pub(super) fn rule(&mut self) {
        self.instructions.extend(format!("0.5 w {LEFT} {} m {RIGHT} {} l S\n", self.y, self.y).bytes());
        self.down(20);
    }
}

/// How wide a text of figures is in Helvetica, for a font size of 1 (Adobe's font metrics, in thousandths). Capital
/// letters differ and are taken as 0.7, their mean.
fn width(text: &str) -> Decimal {
    let thousandths = text.chars().map(|character| match character {
        '.' | ',' | ' ' | '\u{a0}' => 278,
        '-' => 333,
        'A'..='Z' => 700,
        _ => 556,
    });
    Decimal::new(thousandths.sum(), 3)
}

/// The text in the encoding of the fonts, with what a PDF string must escape.
fn escaped(text: &str) -> Vec<u8> {
    let (bytes, ..) = WINDOWS_1252.encode(text);
    bytes
        .iter()
        .flat_map(|&byte| matches!(byte, b'(' | b')' | b'\\').then_some(b'\\').into_iter().chain([byte]))
        .collect()
}

fn euros(amount: Decimal) -> String {
    format!("{} €", french(amount))
}

fn french(number: Decimal) -> String {
    number.to_string().replace('.', ",")
}

/// The file around one page: its objects, then the table of where each begins.
pub(super) fn document(page: &[u8], title: &str) -> Vec<u8> {
    let font = |name: &str| format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>");
    let length = format!("<< /Length {} >>\nstream\n", page.len());
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R \
          /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>"
            .to_vec(),
        font("Helvetica").into_bytes(),
        font("Helvetica-Bold").into_bytes(),
        [length.as_bytes(), page, b"endstream"].concat(),
        [b"<< /Title (".to_vec(), escaped(title), b") /Producer (tillhook sandbox) >>".to_vec()].concat(),
    ];
    // The comment of four high bytes tells programs that copy files that this one is binary (PDF 1.4, §3.4.1).
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", file.len());
        file.extend(format!("{} 0 obj\n", index + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    let size = objects.len() + 1;
    file.extend(
        format!("{table}trailer\n<< /Size {size} /Root 1 0 R /Info 7 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes(),
    );
    file
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};

    use super::*;
    use crate::till::sample_order;

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack.windows(needle.len()).any(|window| window == needle)
    }

    #[test]
    fn every_entry_of_the_table_points_at_its_object() {
        let pdf = invoice(&sample_order(3, &TimeZone::UTC, Timestamp::UNIX_EPOCH, false), 1);
        assert!(pdf.starts_with(b"%PDF-") && pdf.ends_with(b"%%EOF\n"));
        let text = |from: usize| String::from_utf8_lossy(&pdf[from..]).into_owned();
        let tail = text(pdf.len() - 40);
        let start: usize = tail.lines().rev().nth(1).and_then(|line| line.parse().ok()).expect("startxref");
        let table = text(start);
        assert!(table.starts_with("xref\n0 8\n"));
        for (index, entry) in table.lines().skip(3).take(7).enumerate() {
            assert_eq!(entry.len(), 19, "with its line end an entry has twenty bytes");
            let offset: usize = entry[..10].parse().expect("an offset");
            assert!(text(offset).starts_with(&format!("{} 0 obj\n", index + 1)));
        }
    }

    #[test]
    fn the_stream_is_as_long_as_it_says_and_shows_number_and_total() {
        let order = sample_order(3, &TimeZone::UTC, Timestamp::UNIX_EPOCH, false);
        let pdf = invoice(&order, 1);
        let page = page(&order, 1);
        let stream =
            [format!("/Length {} >>\nstream\n", page.len()).into_bytes(), page, b"endstream".to_vec()].concat();
        assert!(contains(&pdf, &stream));
        let total = [french(order.total()).as_bytes(), b" \x80"].concat();
        assert!(contains(&pdf, order.order_id.as_bytes()) && contains(&pdf, &total));
    }

    #[test]
    fn a_second_copy_is_stamped_and_the_first_never_changes() {
        let order = sample_order(4, &TimeZone::UTC, Timestamp::UNIX_EPOCH, true);
        assert_eq!(invoice(&order, 1), invoice(&order, 1));
        assert!(contains(&invoice(&order, 2), b"DUPLICATA 1") && !contains(&invoice(&order, 1), b"DUPLICATA"));
    }

    #[test]
    fn brackets_in_a_title_do_not_end_a_string() {
        assert_eq!(escaped(r"a(b)\"), br"a\(b\)\\");
    }
}
