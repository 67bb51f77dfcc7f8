//! An order as the books count it: its day, its number, and its amounts by VAT rate.
//!
//! What the till did not send is not invented: an amount is completed only where it follows exactly from others that were
//! sent (net + VAT = gross; the gross of a rate from the order's own lines), and is `None` otherwise.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    Currency, InvoiceStatus, Moment, Money, Order, OrderKey, Share, State, VatLine, Warning, WhyUndivided,
    rates::rates,
    share::{Shares, shares},
    sign::sum,
};

/// An order in the books. It holds nothing personal, so it may outlive its customer's wish to be forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    /// The order.
    pub order: OrderKey,
    /// The day it counts for on the shop's wall: value date, else validation, else arrival.
    pub date: Date,
    /// When it was sold: its validation, else its arrival.
    pub sold_at: Moment,
    /// Its number in the shop's accounting, else the internal one.
    pub number: String,
    /// Whether money went back; the amounts are negative then.
    pub is_refund: bool,
    /// Which till.
    pub till: Option<String>,
    /// What the amounts are in.
    pub currency: Currency,
    /// By rate, ascending; one line without a rate where the till sent none.
    pub rates: Vec<VatLine>,
    /// Without VAT, of the order.
    pub net: Option<Money>,
    /// The VAT of the order.
    pub vat: Option<Money>,
    /// With VAT, of the order.
    pub gross: Option<Money>,
    /// Whether it is paid in full.
    pub paid: bool,
    /// The invoice PDF.
    pub pdf: BookedPdf,
    /// What does not add up.
    pub warnings: Vec<Warning>,
}

/// The invoice PDF of a booking. Its name names the customer, so it is looked up when it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedPdf {
    /// Whether it is with us.
    pub status: InvoiceStatus,
    /// SHA-256 of its bytes, in hexadecimal, where it is.
    pub sha256: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
}

impl Booking {
    /// How the books count an order.
    pub fn new(key: OrderKey, order: &Order, pdf: BookedPdf) -> Self {
        let counted = order.counted();
        let rates = rates(order, &counted);
        let of_rates = |amount: fn(&VatLine) -> Option<Money>| sum(rates.iter().map(amount));
        let (net, vat, gross) = (of_rates(|line| line.net), of_rates(|line| line.vat), of_rates(|line| line.gross));
        // What the till did not send follows from the rates, where these are known.
        let gross = counted.total.or(gross);
        Self {
            order: key,
            date: order.dates.booked().civil().date(),
            sold_at: order.dates.validated.unwrap_or(order.dates.received),
            number: order.number().to_owned(),
            is_refund: counted.is_refund,
            till: order.cash_box_id.clone(),
            currency: order.currency,
            net: counted.total_net.or(net),
            vat: counted.total_vat.or(vat),
            gross,
            rates,
            // Nobody owes nothing.
            paid: order.state == State::Paid || gross.is_some_and(|gross| gross.value().is_zero()),
            pdf,
            warnings: order.doubts(),
        }
    }

    /// The order by rate, in parts that add up to it: a line for each rate, and what the rates do not say of it.
    pub fn by_rate(&self) -> Vec<Share> {
        self.shares().parts
    }

    /// Why it, or a part of it, is not told by rate.
    pub fn why_undivided(&self) -> Option<WhyUndivided> {
        self.shares().why_undivided
    }

    /// Whether its three amounts are known.
    pub fn is_whole(&self) -> bool {
        self.net.is_some() && self.vat.is_some() && self.gross.is_some()
    }

    fn shares(&self) -> Shares {
        shares(&self.rates, [self.net, self.vat, self.gross], self.currency)
    }
}

/// Orders of which a test says only what it is about.
#[cfg(test)]
pub(super) mod testing {
    use jiff::{Timestamp, tz::TimeZone};
    use serde_json::Value;

    use crate::order::{Currency, Moment, Order, OrderContent, Phase, Timeline};

    pub(in crate::order) fn order(sent: Value) -> Order {
        let mut whole = serde_json::to_value(OrderContent::default()).expect("JSON");
        whole.as_object_mut().expect("an object").extend(sent.as_object().expect("an object").clone());
        let content: OrderContent = serde_json::from_value(whole).expect("a content");
        let mut timeline = Timeline::default();
        timeline.hear(Phase::Validated, content);
        let at: Timestamp = "2026-11-20T23:30:00Z".parse().expect("a time");
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        Order::new(&timeline, Currency::EUR, Moment::new(at, &zone))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{testing::order, *};
    use crate::order::Part;

    fn booking(sent: Value) -> Booking {
        Booking::new(OrderKey::new(jiff::Timestamp::UNIX_EPOCH), &order(sent), BookedPdf::default())
    }

    fn line(rate: &str, net: Option<&str>, vat: &str, gross: Option<&str>) -> Value {
        json!({ "rate": rate, "net": net, "vat": vat, "gross": gross })
    }

    fn item(rate: &str, total: &str) -> Value {
        json!({ "id": null, "label": null, "quantity": null, "unit_price": null, "total": total, "vat_rate": rate })
    }

    #[test]
    fn what_follows_from_what_was_sent_is_completed_and_nothing_else() {
        let read = |sent| serde_json::to_value(booking(sent).rates).expect("JSON");
        let both =
            json!([line("10", Some("23.45"), "2.35", Some("25.80")), line("20", Some("15.00"), "3.00", Some("18.00"))]);
        let vat = json!([line("20", None, "3.00", None), line("10", None, "2.35", None)]);
        let items = json!([item("10", "12.90"), item("10", "12.90"), item("20", "18.00")]);
        assert_eq!(read(json!({ "vat": vat, "total": "43.80", "items": items })), both, "from the items");
        let vat = json!([line("10", Some("23.45"), "2.35", None), line("20", None, "3.00", Some("18.00"))]);
        assert_eq!(read(json!({ "vat": vat })), both, "from two of three");
        let unknown = json!([line("10", None, "2.35", None), line("20", None, "3.00", None)]);
        let items = json!([item("10", "25.80"), item("20", "17.00")]);
        assert_eq!(
            read(json!({ "vat": unknown, "total": "43.80", "items": items })),
            both,
            "from the VAT, to the cent"
        );
        let other = json!([item("10", "25.80"), item("5.5", "18.00")]);
        for (total, items) in [("60.00", &items), ("43.80", &other), ("30.00", &items)] {
            let sent = json!({ "vat": unknown, "total": total, "total_vat": "5.35", "items": items });
            assert_eq!(read(sent), unknown, "no bases follow from {total}");
        }
        let one = json!({ "vat": [line("20", None, "3.00", None)], "total": "18.00", "total_vat": "3.00" });
        assert_eq!(read(one), json!([line("20", Some("15.00"), "3.00", Some("18.00"))]), "one rate is the whole order");
        let none = json!({ "total": "18.00", "total_vat": "3.00" });
        assert_eq!(read(none), json!([{ "rate": null, "net": "15.00", "vat": "3.00", "gross": "18.00" }]));
        let deposit = json!({ "vat": [line("20", None, "3.00", None)], "total": "28.00", "total_vat": "3.00" });
        assert_eq!(read(deposit), json!([line("20", None, "3.00", None)]), "something was sold at another rate");
        let itself = json!({ "vat": [line("20", None, "3.00", Some("18.00"))], "total": "28.00", "total_vat": "3.00" });
        assert_eq!(
            read(itself),
            json!([line("20", Some("15.00"), "3.00", Some("18.00"))]),
            "the line itself comes first"
        );
    }

    #[test]
    fn a_total_that_was_not_sent_is_that_of_the_rates() {
        let vat = json!([line("10", Some("23.45"), "2.35", None), line("20", None, "3.00", Some("18.00"))]);
        let booking = booking(json!({ "vat": vat }));
        let totals = [booking.net, booking.vat, booking.gross].map(|amount| amount.map(|amount| amount.to_string()));
        assert_eq!(totals, ["38.45", "5.35", "43.80"].map(|amount| Some(amount.to_owned())));
    }

    #[test]
    fn the_day_is_that_of_the_shops_wall_and_the_value_date_comes_first() {
        assert_eq!(booking(json!({})).date.to_string(), "2026-11-21");
        let dates = json!({ "created": null, "validated": "2026-11-19T12:00:00+01:00", "value": null });
        assert_eq!(booking(json!({ "dates": dates })).date.to_string(), "2026-11-19");
        let dates =
            json!({ "created": null, "validated": "2026-11-19T12:00:00+01:00", "value": "2026-11-30T00:00:00+01:00" });
        assert_eq!(booking(json!({ "dates": dates })).date.to_string(), "2026-11-30");
    }

    fn parts(sent: Value) -> Vec<(Part, [String; 3])> {
        let text = |amount: Option<Money>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        booking(sent).by_rate().iter().map(|one| (one.part, [one.net, one.vat, one.gross].map(text))).collect()
    }

    fn at(rate: &str, amounts: [&str; 3]) -> (Part, [String; 3]) {
        let rate = rate.parse().map(crate::order::Number::new).expect("a rate");
        (Part::Rate(rate), amounts.map(str::to_owned))
    }

    fn other(part: Part, amounts: [&str; 3]) -> (Part, [String; 3]) {
        (part, amounts.map(str::to_owned))
    }

    #[test]
    fn lines_are_rounded_to_the_cent_before_they_are_compared() {
        let vat = json!([line("5.5", None, "0.31", None), line("20", None, "2.00", None)]);
        let weighed = json!([item("5.5", "5.975"), item("20", "12.00")]);
        let sent = json!({ "vat": vat, "total": "17.98", "total_vat": "2.31", "items": weighed });
        assert_eq!(parts(sent), [at("5.5", ["5.67", "0.31", "5.98"]), at("20", ["10.00", "2.00", "12.00"])]);
    }

    #[test]
    fn an_article_at_0_takes_no_other_rates_vat() {
        let bare = json!([line("20", None, "2.00", None)]);
        let based = json!([line("20", Some("10.00"), "2.00", Some("12.00"))]);
        let items = json!([item("20", "12.00"), item("0", "0.10")]);
        for vat in [&bare, &based] {
            let sent = json!({ "vat": vat, "total": "12.10", "total_vat": "2.00", "items": items });
            assert_eq!(parts(sent), [at("0", ["0.10", "0.00", "0.10"]), at("20", ["10.00", "2.00", "12.00"])], "{vat}");
        }
        let untold = json!({ "vat": based, "total": "17.00", "total_vat": "2.00" });
        let rest = other(Part::Undivided, ["5.00", "0.00", "5.00"]);
        assert_eq!(parts(untold.clone()), [at("20", ["10.00", "2.00", "12.00"]), rest]);
        assert_eq!(booking(untold).why_undivided(), Some(WhyUndivided::TooLittle));
        let nothing_known = json!({ "vat": bare, "total": "17.00", "total_vat": "2.00" });
        assert_eq!(parts(nothing_known.clone()), [other(Part::Undivided, ["15.00", "2.00", "17.00"])]);
        assert_eq!(booking(nothing_known).why_undivided(), Some(WhyUndivided::NoBases));
    }

    #[test]
    fn rates_that_are_more_than_the_order_are_not_told_and_a_cent_is_told_by_itself() {
        let vat =
            json!(
                [line("10", Some("23.45"), "2.35", Some("25.80")), line("20", Some("15.00"), "3.00", Some("18.00")),]
            );
        let of = |total: &str| json!({ "vat": vat, "total": total, "total_vat": "5.35" });
        assert_eq!(parts(of("40.00")), [other(Part::Undivided, ["34.65", "5.35", "40.00"])]);
        assert_eq!(booking(of("40.00")).why_undivided(), Some(WhyUndivided::NotTheOrder));
        assert_eq!(booking(of("40.00")).warnings, [Warning::VatSumMismatch]);
        for (total, cent) in [("43.81", "0.01"), ("43.79", "-0.01")] {
            let parts = parts(of(total));
            assert_eq!(parts[2..], [other(Part::Rounding, [cent, "0.00", cent])], "{total}");
            assert_eq!((booking(of(total)).why_undivided(), booking(of(total)).warnings), (None, Vec::new()));
        }
    }

    #[test]
    fn rates_without_a_total_of_their_vat_give_it_and_what_comes_to_nothing_is_paid() {
        let one = booking(json!({ "vat": [line("20", None, "2.00", None)], "total": "12.00" }));
        assert_eq!(parts_of(&one), ["10.00", "2.00", "12.00"]);
        assert_eq!((one.paid, one.why_undivided()), (false, None));
        let net = json!({ "rate": "20", "net": "10.00", "vat": null, "gross": null });
        assert_eq!(parts_of(&booking(json!({ "vat": [net], "total": "12.00" }))), ["10.00", "2.00", "12.00"]);
        assert_eq!(booking(json!({ "vat": [net], "total": "15.00" })).vat, None);
        assert!(booking(json!({ "total": "0.00" })).paid);
    }

    #[test]
    fn where_the_smallest_unit_is_a_franc_a_franc_is_rounding() {
        let vat = json!([line("10", Some("1000"), "100", Some("1100")), line("20", Some("500"), "100", Some("600"))]);
        let mut francs = order(json!({ "vat": vat, "total": "1701", "total_vat": "200" }));
        francs.currency = "XPF".parse().expect("a currency");
        let francs = Booking::new(OrderKey::new(jiff::Timestamp::UNIX_EPOCH), &francs, BookedPdf::default());
        assert_eq!(francs.by_rate()[2].part, Part::Rounding);
        assert_eq!(francs.warnings, [Warning::VatSumMismatch; 0]);
    }

    fn parts_of(booking: &Booking) -> [String; 3] {
        [booking.net, booking.vat, booking.gross].map(|amount| amount.expect("an amount").to_string())
    }

    #[test]
    fn a_rate_that_does_not_fit_its_base_and_vat_is_doubted() {
        let doubts = |line: Value| booking(json!({ "vat": [line] })).warnings;
        assert_eq!(doubts(line("5", Some("100.00"), "5.50", Some("105.50"))), [Warning::VatRateMismatch]);
        assert_eq!(doubts(line("5", None, "5.50", Some("105.50"))), [Warning::VatRateMismatch]);
        assert_eq!(doubts(line("5.5", Some("100.00"), "5.50", Some("105.50"))), []);
        assert_eq!(doubts(line("20", Some("0.05"), "0.01", None)), []);
        assert_eq!(doubts(line("20", Some("-100.00"), "20.00", None)), [Warning::RefundSignMismatch]);
    }
}
