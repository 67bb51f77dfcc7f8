//! The figures of a period: sums by rate, numbers and the holes between them, and what is still open.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use crate::order::{
    Booking, Currency, Figures, InvoiceStatus, MissingPdf, Number, NumberedAmount, NumberedWarning, OrderNumber,
    RateSum, Sums, VatLine, holes,
};

/// The widest hole; what is further apart belongs to two sequences.
pub(super) const WIDEST: u64 = 1_000;

/// What was sold in a currency, by rate and in all, with everything that a reader has to know about it but the holes
/// between the numbers.
pub(super) fn figures(bookings: &[Booking], currency: Currency) -> Figures {
    let mut rates: BTreeMap<Option<Number>, Sums> = BTreeMap::new();
    let mut figures = Figures::default();
    // Where no order has one, the shop does not fetch them.
    let has_pdfs = bookings.iter().any(|one| one.pdf.status != InvoiceStatus::None);
    for booking in bookings {
        if booking.currency != currency {
            figures.incomplete.push(booking.number.clone());
            continue;
        }
        add_known(&mut figures.total, booking);
        count(&mut figures.total, booking);
        // A till may list a rate twice in an order.
        let mut counted = BTreeSet::new();
        for line in booking.by_rate() {
            let sums = rates.entry(line.rate).or_default();
            add(sums, &line);
            if counted.insert(line.rate) {
                count(sums, booking);
            }
        }
        if !booking.is_complete() {
            figures.incomplete.push(booking.number.clone());
        }
        let number = || booking.number.clone();
        if !booking.paid {
            figures.unpaid.push(NumberedAmount { number: number(), gross: booking.gross });
        }
        if has_pdfs && booking.pdf.status != InvoiceStatus::Stored {
            let is_awaited = booking.pdf.status == InvoiceStatus::Pending;
            figures.missing_pdfs.push(MissingPdf { number: number(), is_awaited });
        }
        let warning = |warning: &_| NumberedWarning { number: number(), warning: *warning };
        figures.warnings.extend(booking.warnings.iter().map(warning));
    }
    figures.rates = rates.into_iter().map(|(rate, sums)| RateSum { rate, sums }).collect();
    // What cannot be told by rate stands last.
    figures.rates.sort_by_key(|sum| (sum.rate.is_none(), sum.rate));
    let mut numbers: Vec<OrderNumber> = bookings.iter().filter_map(|one| OrderNumber::parse(&one.number)).collect();
    numbers.sort_unstable();
    figures.first_number = numbers.first().map(OrderNumber::to_string);
    figures.last_number = numbers.last().map(OrderNumber::to_string);
    figures
}

/// Numbers of a sequence that look missing, for whoever asks whether they are.
pub(super) fn suspects(numbers: &[OrderNumber]) -> Vec<String> {
    let suspects = RefCell::new(Vec::new());
    holes(numbers.iter().copied(), WIDEST, |number| {
        suspects.borrow_mut().push(number.to_owned());
        false
    });
    suspects.into_inner()
}

/// Adds the amounts of an order to a line of the table. A sum that is not of all its orders is none.
fn add(sums: &mut Sums, line: &VatLine) {
    let is_first = sums.sales + sums.refunds == 0;
    for (sum, amount) in [(&mut sums.net, line.net), (&mut sums.vat, line.vat), (&mut sums.gross, line.gross)] {
        *sum = if is_first { amount } else { sum.zip(amount).and_then(|(sum, amount)| sum.checked_add(amount)) };
    }
}

/// Adds what is known of an order to the total; what is not known is named beside it.
fn add_known(sums: &mut Sums, booking: &Booking) {
    let amounts = [(&mut sums.net, booking.net), (&mut sums.vat, booking.vat), (&mut sums.gross, booking.gross)];
    for (sum, amount) in amounts {
        *sum = match (*sum, amount) {
            (Some(sum), Some(amount)) => sum.checked_add(amount),
            (sum, amount) => sum.or(amount),
        };
    }
}

fn count(sums: &mut Sums, booking: &Booking) {
    let count = if booking.is_refund { &mut sums.refunds } else { &mut sums.sales };
    *count += 1;
}
