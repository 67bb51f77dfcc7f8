//! The report as a page, `Std`.

use minijinja::HtmlEscape;

use super::{DayReport, SHOP, WARNING};

/// The page.
pub(super) fn page(report: &DayReport) -> String {
    let day = report.day;
    let sums: String = report.sums().iter().map(|cells| row(cells)).collect();
    let orders = report.orders.iter().map(|order| row(&[order.order_id.clone(), order.total().to_string()]));
    let payments = report.payments.iter().map(|(name, amount)| row(&[(*name).to_owned(), amount.to_string()]));
    format!(
        "<!doctype html>\n<html lang=\"fr\"><head><meta charset=\"utf-8\"><title>Ventes du {day}</title></head><body>\n\
         <h1>{shop} : ventes du {day}</h1>\n<p>{warning}</p>\n\
         <p>Commandes : {count}, dont remboursements : {refunds}</p>\n\
         <table>\n<tr><th>TVA %</th><th>HT</th><th>TVA</th><th>TTC</th></tr>\n{sums}</table>\n\
         <h2>Règlements</h2>\n<table>\n{payments}</table>\n\
         <h2>Commandes</h2>\n<table>\n{orders}</table>\n</body></html>\n",
        shop = HtmlEscape(SHOP),
        warning = HtmlEscape(WARNING),
        count = report.orders.len(),
        refunds = report.refunds,
        payments = payments.collect::<String>(),
        orders = orders.collect::<String>(),
    )
}

fn row(cells: &[String]) -> String {
    let cells: String = cells.iter().map(|text| format!("<td>{}</td>", HtmlEscape(text))).collect();
    format!("<tr>{cells}</tr>\n")
}
