//! The figures of a period: sums by rate, and what is still open.

use std::collections::BTreeMap;

use crate::order::{
    Booking, Currency, Figures, InvoiceStatus, MissingPdf, Money, NumberedAmount, NumberedUndivided, NumberedWarning,
    Part, RateSum, Share, Sums, by_number,
};

/// What was sold in a currency, by rate and in all, with everything that a reader has to know about it but the numbers.
/// What is listed is in the order of the numbers.
pub(super) fn figures(bookings: &[Booking], currency: Currency) -> Figures {
    let mut rates: BTreeMap<Part, Sums> = BTreeMap::new();
    let (mut figures, mut known) = (Figures::default(), Sums::default());
    // Where no order has one, the shop does not fetch them.
    let has_pdfs = bookings.iter().any(|one| one.pdf.status != InvoiceStatus::None);
    let mut listed: Vec<&Booking> = bookings.iter().collect();
    listed.sort_by(|one, other| by_number(&one.number, &other.number));
    for booking in listed {
        if booking.currency != currency {
            figures.foreign.push(booking.number.clone());
            continue;
        }
        let whole = [booking.net, booking.vat, booking.gross];
        add(&mut figures.total, whole);
        count(&mut figures.total, booking);
        if booking.is_whole() {
            add(&mut known, whole);
            count(&mut known, booking);
        } else {
            figures.lacking.push(booking.number.clone());
        }
        let shares = booking.by_rate();
        for share in &shares {
            let sums = rates.entry(share.part).or_default();
            add(sums, [share.net, share.vat, share.gross]);
            count(sums, booking);
        }
        if let Some(why) = booking.why_undivided() {
            let is_undivided = |share: &&Share| matches!(share.part, Part::Undivided | Part::Lacking);
            let gross = shares.iter().find(is_undivided).and_then(|share| share.gross);
            figures.undivided.push(NumberedUndivided { number: booking.number.clone(), why, gross });
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
    let rate = |(part, sums): (Part, Sums)| RateSum {
        rate: part.rate(),
        is_lacking: part == Part::Lacking,
        is_rounding: part == Part::Rounding,
        sums,
    };
    // What cannot be told by rate stands last.
    figures.rates = rates.into_iter().map(rate).collect();
    let total = &mut figures.total;
    match total.sales + total.refunds {
        0 => {
            let nothing = Some(Money::new(0.into(), currency.minor_digits()));
            (total.net, total.vat, total.gross) = (nothing, nothing, nothing);
        }
        _ => figures.known = Some(known).filter(|_| !figures.lacking.is_empty()),
    }
    figures
}

/// Names orders that are in no sum because they cannot be read. What they would add is not known, so neither is the total.
pub(super) fn leave_out(figures: &mut Figures, unreadable: Vec<String>) {
    if unreadable.is_empty() {
        return;
    }
    figures.known.get_or_insert(figures.total);
    (figures.total.net, figures.total.vat, figures.total.gross) = (None, None, None);
    figures.unreadable = unreadable;
}

/// Adds the amounts of an order to a line of the table. A sum that is not of all its orders is none.
fn add(sums: &mut Sums, amounts: [Option<Money>; 3]) {
    let is_first = sums.sales + sums.refunds == 0;
    for (sum, amount) in [&mut sums.net, &mut sums.vat, &mut sums.gross].into_iter().zip(amounts) {
        *sum = if is_first { amount } else { sum.zip(amount).and_then(|(sum, amount)| sum.checked_add(amount)) };
    }
}

fn count(sums: &mut Sums, booking: &Booking) {
    let count = if booking.is_refund { &mut sums.refunds } else { &mut sums.sales };
    *count += 1;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sold(number: &str, [net, vat, gross]: [Option<&str>; 3]) -> Booking {
        serde_json::from_value(json!({
            "order": "ord_0199c0de0000700080000000000000aa", "date": "2026-11-21", "sold_at": "2026-11-21T14:00:00+01:00", "number": number,
            "is_refund": false, "till": null, "currency": "EUR",
            "rates": [{ "rate": "20", "net": net, "vat": vat, "gross": gross }],
            "net": net, "vat": vat, "gross": gross, "paid": true,
            "pdf": { "status": "none", "sha256": null, "bytes": null }, "warnings": [],
        }))
        .unwrap()
    }

    fn amounts(sums: &Sums) -> [Option<String>; 3] {
        [sums.net, sums.vat, sums.gross].map(|amount| amount.map(|amount| amount.to_string()))
    }

    #[test]
    fn a_total_that_lacks_an_amount_is_none_and_the_orders_that_have_all_are_summed_beside_it() {
        let whole = sold("7", [Some("10.00"), Some("2.00"), Some("12.00")]);
        let without_vat = sold("8", [None, None, Some("5.00")]);
        let both = figures(&[whole.clone(), without_vat], Currency::EUR);
        assert_eq!(amounts(&both.total), [None, None, Some("17.00".to_owned())]);
        let known = both.known.expect("one is known in full");
        assert_eq!((known.sales, amounts(&known)), (1, ["10.00", "2.00", "12.00"].map(|text| Some(text.to_owned()))));
        assert_eq!(figures(&[whole], Currency::EUR).known, None, "then the total says it all");
    }

    #[test]
    fn a_total_without_an_order_that_cannot_be_read_is_none_and_what_is_known_stands_beside_it() {
        let mut sold = figures(&[sold("7", [Some("10.00"), Some("2.00"), Some("12.00")])], Currency::EUR);
        leave_out(&mut sold, vec!["8".to_owned()]);
        assert_eq!(amounts(&sold.total), [None, None, None]);
        assert_eq!(
            amounts(&sold.known.expect("one is known")),
            ["10.00", "2.00", "12.00"].map(|text| Some(text.to_owned()))
        );
    }

    #[test]
    fn of_nothing_the_total_is_zero() {
        let none = figures(&[], Currency::EUR);
        assert_eq!(amounts(&none.total), ["0.00"; 3].map(|text| Some(text.to_owned())));
        assert!(none.known.is_none());
    }
}
