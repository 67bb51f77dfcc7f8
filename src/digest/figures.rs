//! The figures of a period: sums by rate, numbers and the holes between them, and what is still open.

use std::collections::BTreeMap;

use crate::order::{
    Booking, Figures, InvoiceStatus, MissingPdf, Money, Number, NumberedAmount, NumberedWarning, OrderNumber, RateSum,
    Sums, holes,
};

/// The widest hole of which every number is asked for; a wider one is a new sequence rather than that many lost orders.
pub(super) const WIDEST: u64 = 1_000;

/// What was sold, by rate and in all, with everything that a reader has to know about it. `before` is the last number
/// before the period; `is_known` says whether a number is with us although it is not among these orders.
pub(super) fn figures(bookings: &[Booking], before: Option<OrderNumber>, is_known: impl Fn(&str) -> bool) -> Figures {
    let mut rates: BTreeMap<Option<Number>, Sums> = BTreeMap::new();
    let mut figures = Figures::default();
    for booking in bookings {
        add(&mut figures.total, booking, booking.net, booking.vat, booking.gross);
        if booking.is_complete() {
            for line in &booking.rates {
                add(rates.entry(line.rate).or_default(), booking, line.net, line.vat, line.gross);
            }
        } else {
            // As a whole, so that the lines add up to the total.
            add(rates.entry(None).or_default(), booking, booking.net, booking.vat, booking.gross);
            figures.incomplete.push(booking.number.clone());
        }
        let number = || booking.number.clone();
        if !booking.paid {
            figures.unpaid.push(NumberedAmount { number: number(), gross: booking.gross });
        }
        if booking.pdf.status != InvoiceStatus::Stored {
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
    let before = before.filter(|before| numbers.first().is_some_and(|first| before < first));
    figures.holes = holes(before.into_iter().chain(numbers), WIDEST, is_known);
    figures
}

/// Numbers that look missing, for whoever asks whether they are.
pub(super) fn suspects(bookings: &[Booking], before: Option<OrderNumber>) -> Vec<String> {
    let numbers = bookings.iter().filter_map(|one| OrderNumber::parse(&one.number));
    let suspects = std::cell::RefCell::new(Vec::new());
    holes(before.into_iter().chain(numbers), WIDEST, |number| {
        suspects.borrow_mut().push(number.to_owned());
        false
    });
    suspects.into_inner()
}

fn add(sums: &mut Sums, booking: &Booking, net: Option<Money>, vat: Option<Money>, gross: Option<Money>) {
    for (sum, amount) in [(&mut sums.net, net), (&mut sums.vat, vat), (&mut sums.gross, gross)] {
        *sum = match (*sum, amount) {
            (Some(sum), Some(amount)) => sum.checked_add(amount),
            (sum, amount) => sum.or(amount),
        };
    }
    let count = if booking.is_refund { &mut sums.refunds } else { &mut sums.sales };
    *count += 1;
}
