//! `journal.csv`: each sale as entries of an accounting journal. The customer's account is debited with the gross, the
//! accounts of each rate are credited with net and VAT; with money that goes back it is the other way round.
//!
//! **Invariant:** the entries of an order balance exactly, or the order is not in it at all and is named instead.

use std::io;

use rust_decimal::Decimal;

use super::{
    super::Line,
    by_number, separated,
    table::{Cell, Column, Row},
};
use crate::order::{
    Accounting, Booking, Csv, Currency, JournalSums, LeftOut, Money, NotEntered, Part, Share, WhyUndivided,
};

/// The columns.
pub const COLUMNS: &[Column] = &[
    Column::new("date", "date", 12),
    Column::new("journal", "journal", 10),
    Column::new("compte", "account", 12),
    Column::new("piece", "document", 16),
    Column::new("libelle", "label", 40),
    Column::new("debit", "debit", 12),
    Column::new("credit", "credit", 12),
];

/// A journal, and what is not in it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The file.
    pub bytes: Vec<u8>,
    /// The orders that are left out, in the order of their numbers.
    pub left_out: Vec<LeftOut>,
}

/// The journal of these orders.
///
/// # Errors
/// None that a buffer in memory has.
pub fn journal(lines: &[Line], style: Csv, accounting: &Accounting) -> io::Result<Journal> {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for line in by_number(lines) {
        match entries(&line.booking, accounting) {
            Ok(entries) => rows.extend(entries.iter().map(|entry| row(line, entry, style, accounting))),
            Err(why) => {
                let Booking { number, gross, .. } = line.booking.clone();
                left_out.push(LeftOut { number, why, gross });
            }
        }
    }
    Ok(Journal { bytes: separated::table(style, COLUMNS, &rows)?, left_out })
}

/// What a journal of these orders comes to, and what it leaves out: together they are the total of the sales. Orders in other
/// currencies are in no sum.
pub fn journal_sums(bookings: &[Booking], currency: Currency, accounting: &Accounting) -> JournalSums {
    let nothing = Some(Money::new(Decimal::ZERO, currency.minor_digits()));
    let mut sums = JournalSums { entered: nothing, left_out: nothing };
    for booking in bookings.iter().filter(|booking| booking.currency == currency) {
        let is_entered = entries(booking, accounting).is_ok();
        let sum = if is_entered { &mut sums.entered } else { &mut sums.left_out };
        *sum = sum.zip(booking.gross).and_then(|(sum, gross)| sum.checked_add(gross));
    }
    sums
}

/// What an account is debited with; below zero it is credited.
struct Entry<'a> {
    account: &'a str,
    debit: Money,
}

/// The entries of an order. None is of zero: accounting programs refuse them.
fn entries<'a>(booking: &Booking, accounting: &'a Accounting) -> Result<Vec<Entry<'a>>, NotEntered> {
    let gross = booking.gross.ok_or(NotEntered::Incomplete)?;
    let shares = booking.by_rate();
    match booking.why_undivided() {
        _ if shares.iter().any(|share| share.part == Part::Lacking) => return Err(NotEntered::Incomplete),
        Some(WhyUndivided::NotSent) => return Err(NotEntered::NotByRate),
        Some(WhyUndivided::NoBases) => return Err(NotEntered::NoBases),
        Some(WhyUndivided::NotTheOrder | WhyUndivided::TooLittle) => return Err(NotEntered::Unbalanced),
        None => {}
    }
    // Only in summaries made by earlier versions, whose amounts kept the sign that was sent.
    if !gross.value().is_zero() && booking.is_refund != gross.is_negative() {
        return Err(NotEntered::Sign);
    }
    let mut entries = vec![Entry { account: &accounting.customer, debit: gross }];
    // Cents of rounding have no account: where they matter, the entries do not balance.
    for share in shares.iter().filter(|share| share.part.rate().is_some()) {
        entries.extend(credits(share, accounting)?);
    }
    let balance = entries.iter().try_fold(Decimal::ZERO, |sum, entry| sum.checked_add(entry.debit.value()));
    if !balance.is_some_and(|balance| balance.is_zero()) {
        return Err(NotEntered::Unbalanced);
    }
    entries.retain(|entry| !entry.debit.value().is_zero());
    Ok(entries)
}

/// The entries of a rate; none where nothing was sold at it, also where nobody named its accounts.
fn credits<'a>(share: &Share, accounting: &'a Accounting) -> Result<Vec<Entry<'a>>, NotEntered> {
    let (Some(rate), Some(net), Some(vat)) = (share.part.rate(), share.net, share.vat) else {
        return Err(NotEntered::Incomplete);
    };
    if net.value().is_zero() && vat.value().is_zero() {
        return Ok(Vec::new());
    }
    let accounts = accounting.accounts(rate).ok_or(NotEntered::NoAccounts(rate))?;
    let mut entries = vec![Entry { account: &accounts.revenue, debit: negated(net) }];
    if !vat.value().is_zero() {
        let account = accounts.vat.as_deref().ok_or(NotEntered::NoVatAccount(rate))?;
        entries.push(Entry { account, debit: negated(vat) });
    }
    Ok(entries)
}

fn negated(amount: Money) -> Money {
    Money::new(-amount.value(), amount.scale())
}

fn row(line: &Line, entry: &Entry<'_>, style: Csv, accounting: &Accounting) -> Row {
    let booking = &line.booking;
    let amount = Some(entry.debit.abs());
    let (debit, credit) = if entry.debit.is_negative() { (None, amount) } else { (amount, None) };
    vec![
        Cell::Day(booking.date),
        Cell::text(&accounting.journal),
        Cell::text(entry.account),
        Cell::text(&booking.number),
        Cell::text(label(line, style)),
        Cell::Amount(debit),
        Cell::Amount(credit),
    ]
}

/// `Facture 20261121042 Zoé Durand`.
fn label(line: &Line, style: Csv) -> String {
    let kind = match (style, line.booking.is_refund) {
        (Csv::Fr, false) => "Facture",
        (Csv::Fr, true) => "Remboursement",
        (Csv::Iso, false) => "Invoice",
        (Csv::Iso, true) => "Refund",
    };
    let customer = line.customer.as_deref().unwrap_or_default();
    format!("{kind} {} {customer}", line.booking.number).trim_end().to_owned()
}
