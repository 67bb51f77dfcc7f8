//! The report as a standard audit file (SAF-T, after the OECD's schema 2.0): a header and the invoices of the day. It is a
//! stand-in's, not for tax use.

use minijinja::HtmlEscape;

use super::{DayReport, SHOP, WARNING};
use crate::till::order::{TillOrder, TillVat};

/// The file. What HTML has to escape, XML has to as well.
pub(super) fn file(report: &DayReport) -> String {
    let day = report.day;
    let invoices: String = report.orders.iter().map(invoice).collect();
    let (gave, got): (Vec<&TillOrder>, Vec<&TillOrder>) = report.orders.iter().partition(|order| order.is_refund);
    let net = |orders: &[&TillOrder]| -> rust_decimal::Decimal {
        orders.iter().map(|order| (order.total() - order.total_vat()).abs()).sum()
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<AuditFile xmlns=\"urn:OECD:StandardAuditFile-Tax:2.00\">\n\
         <Header>\n<AuditFileVersion>2.00</AuditFileVersion>\n<AuditFileCountry>FR</AuditFileCountry>\n\
         <AuditFileDateCreated>{day}</AuditFileDateCreated>\n<SoftwareCompanyName>tillhook</SoftwareCompanyName>\n\
         <SoftwareID>tillhook sandbox</SoftwareID>\n<SoftwareVersion>{version}</SoftwareVersion>\n\
         <Company><Name>{shop}</Name></Company>\n<DefaultCurrencyCode>EUR</DefaultCurrencyCode>\n\
         <SelectionCriteria><SelectionStartDate>{day}</SelectionStartDate><SelectionEndDate>{day}</SelectionEndDate>\
         </SelectionCriteria>\n<HeaderComment>{warning}</HeaderComment>\n</Header>\n\
         <SourceDocuments><SalesInvoices>\n<NumberOfEntries>{count}</NumberOfEntries>\n\
         <TotalDebit>{debit}</TotalDebit>\n<TotalCredit>{credit}</TotalCredit>\n{invoices}\
         </SalesInvoices></SourceDocuments>\n</AuditFile>\n",
        version = env!("CARGO_PKG_VERSION"),
        shop = HtmlEscape(SHOP),
        warning = HtmlEscape(WARNING),
        count = report.orders.len(),
        debit = net(&gave),
        credit = net(&got),
    )
}

fn invoice(order: &TillOrder) -> String {
    let day = order.value.as_ref().map(|at| at.date().to_string()).unwrap_or_default();
    let customer = order.customer.as_ref().map_or("0", |who| who.id.as_str());
    let kind = if order.is_refund { "NC" } else { "FT" };
    let lines: String = (1..).zip(order.vat()).map(|(number, rate)| line(number, &rate)).collect();
    format!(
        "<Invoice><InvoiceNo>{number}</InvoiceNo><CustomerInfo><CustomerID>{customer}</CustomerID></CustomerInfo>\
         <InvoiceDate>{day}</InvoiceDate><InvoiceType>{kind}</InvoiceType>\n{lines}\
         <DocumentTotals><TaxPayable>{vat}</TaxPayable><NetTotal>{net}</NetTotal><GrossTotal>{gross}</GrossTotal>\
         </DocumentTotals></Invoice>\n",
        number = HtmlEscape(&order.order_id),
        customer = HtmlEscape(customer),
        vat = order.total_vat(),
        net = order.total() - order.total_vat(),
        gross = order.total(),
    )
}

fn line(number: u32, it: &TillVat) -> String {
    let side = if it.gross.is_sign_negative() { "DebitAmount" } else { "CreditAmount" };
    format!(
        "<Line><LineNumber>{number}</LineNumber><{side}>{net}</{side}><Tax><TaxType>TVA</TaxType>\
         <TaxPercentage>{rate}</TaxPercentage><TaxAmount>{vat}</TaxAmount></Tax></Line>\n",
        net = it.net.abs(),
        rate = it.rate,
        vat = it.vat.abs(),
    )
}
