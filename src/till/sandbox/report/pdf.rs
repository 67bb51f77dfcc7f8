//! The report as a page of PDF: the sums by rate and by payment method.

use super::{DayReport, SHOP, WARNING, french};
use crate::till::sandbox::pdf::{BOLD, LEFT, PRICE, Page, QUANTITY, REGULAR, RIGHT, document};

/// The page.
pub(super) fn page(report: &DayReport) -> Vec<u8> {
    let title = format!("Ventes du {}", report.day.strftime("%d/%m/%Y"));
    let mut page = Page::new();
    page.text(LEFT, BOLD, 20, &title);
    page.down(24);
    page.text(LEFT, REGULAR, 11, SHOP);
    page.down(16);
    let counts = format!("Commandes : {}, dont remboursements : {}", report.orders.len(), report.refunds);
    page.text(LEFT, REGULAR, 11, &counts);
    page.down(36);
    for [name, net, vat, gross] in [["TVA %", "HT", "TVA", "TTC"].map(str::to_owned)].into_iter().chain(report.sums()) {
        page.text(LEFT, REGULAR, 11, &name.replace('.', ","));
        page.right(QUANTITY, REGULAR, 11, &net.replace('.', ","));
        page.right(PRICE, REGULAR, 11, &vat.replace('.', ","));
        page.right(RIGHT, REGULAR, 11, &gross.replace('.', ","));
        page.down(18);
    }
    page.rule();
    for (name, amount) in &report.payments {
        page.text(LEFT, REGULAR, 11, name);
        page.right(RIGHT, REGULAR, 11, &french(*amount));
        page.down(18);
    }
    page.down(12);
    page.text(LEFT, REGULAR, 9, WARNING);
    document(&page.into_instructions(), &title)
}
