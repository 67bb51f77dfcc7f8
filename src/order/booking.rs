//! An order as the books count it: its day, its number, and its amounts by VAT rate.
//!
//! What the till did not send is not invented: an amount is completed only where it follows exactly from others that were
//! sent (net + VAT = gross; the gross of a rate from the order's own lines), and is `None` otherwise.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::snapshot::ROUNDING_PER_LINE;
use super::{Currency, InvoiceStatus, Item, Moment, Money, Number, Order, OrderKey, State, VatLine, Warning};

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
        let rates = rates(order);
        let sum = |amount: fn(&VatLine) -> Option<Money>| {
            let mut amounts = rates.iter().map(amount);
            let first = amounts.next()??;
            amounts.try_fold(first, |sum, amount| sum.checked_add(amount?))
        };
        let (net, vat, gross) = (sum(|line| line.net), sum(|line| line.vat), sum(|line| line.gross));
        Self {
            order: key,
            date: order.dates.booked().civil().date(),
            sold_at: order.dates.validated.unwrap_or(order.dates.received),
            number: order.number().to_owned(),
            is_refund: order.refund(),
            till: order.cash_box_id.clone(),
            currency: order.currency,
            // What the till did not send follows from the rates, where these are known.
            net: order.total_net.or(net),
            vat: order.total_vat.or(vat),
            gross: order.total.or(gross),
            rates,
            paid: order.state == State::Paid,
            pdf,
            warnings: order.warnings.clone(),
        }
    }

    /// The order by rate, where every amount of every rate is known; else as one line without a rate, so that the lines of
    /// many orders add up to their totals.
    pub fn by_rate(&self) -> Vec<VatLine> {
        if self.is_complete() {
            return self.rates.clone();
        }
        vec![VatLine { rate: None, net: self.net, vat: self.vat, gross: self.gross }]
    }

    /// Whether its three amounts are known.
    pub fn is_whole(&self) -> bool {
        self.net.is_some() && self.vat.is_some() && self.gross.is_some()
    }

    /// Whether every amount of every rate is known.
    pub fn is_complete(&self) -> bool {
        self.rates
            .iter()
            .all(|line| line.rate.is_some() && line.net.is_some() && line.vat.is_some() && line.gross.is_some())
    }
}

fn rates(order: &Order) -> Vec<VatLine> {
    let sent = order.vat.as_deref().unwrap_or_default();
    let (net, vat, gross) = (order.total_net, order.total_vat, order.total);
    if sent.is_empty() {
        return vec![VatLine { rate: None, net, vat, gross }];
    }
    let items = items_by_rate(order, sent);
    let mut rates: Vec<VatLine> = sent.iter().map(|line| completed(line, &items)).collect();
    if let [only] = &mut rates[..]
        && let Some(whole) = whole_order(only, order)
    {
        *only = whole;
    }
    rates.sort_by_key(|line| line.rate);
    rates
}

/// The only line that was sent, completed with the order's totals: where no item has another rate and the VAT is that of
/// the rate. A line that a till left out, of a deposit without VAT for instance, would be counted at the wrong rate.
fn whole_order(line: &VatLine, order: &Order) -> Option<VatLine> {
    let of_order = VatLine {
        rate: line.rate,
        net: line.net.or(order.total_net),
        vat: line.vat.or(order.total_vat),
        gross: line.gross.or(order.total),
    };
    let (rate, net, vat, gross) = (of_order.rate?, of_order.net?, of_order.vat?, of_order.gross?);
    let items = order.items.as_deref().unwrap_or_default();
    let is_alone = items.iter().all(|item| item.vat_rate.is_none_or(|other| other == rate));
    let of_rate = net.value().checked_mul(rate.value())?.checked_div(Decimal::ONE_HUNDRED)?;
    let off = of_rate.checked_sub(vat.value())?.abs();
    // Each item may be rounded by itself.
    let rounding = ROUNDING_PER_LINE * Decimal::from(items.len().max(4));
    (is_alone && net.checked_add(vat) == Some(gross) && off <= rounding).then_some(of_order)
}

/// A line with the amount that follows from the two others. `gross` is what the order's lines say of each rate.
fn completed(line: &VatLine, gross: &[(Number, Money)]) -> VatLine {
    let sold = line.rate.and_then(|rate| gross.iter().find(|(known, _)| *known == rate)).map(|(_, sum)| *sum);
    let gross = line.gross.or(line.net.zip(line.vat).and_then(|(net, vat)| net.checked_add(vat))).or(sold);
    let net = line.net.or(gross.zip(line.vat).and_then(|(gross, vat)| gross.checked_sub(vat)));
    let vat = line.vat.or(gross.zip(net).and_then(|(gross, net)| gross.checked_sub(net)));
    VatLine { rate: line.rate, net, vat, gross }
}

/// What was sold at each rate, where the order's lines say it of all of them: each has a rate that the VAT was sent for,
/// and together they are the order.
fn items_by_rate(order: &Order, sent: &[VatLine]) -> Vec<(Number, Money)> {
    let items = order.items.as_deref().unwrap_or_default();
    let amount = |item: &Item| Some((item.vat_rate?, item.total?.value()));
    let Some(sold) = items.iter().map(amount).collect::<Option<Vec<_>>>() else { return Vec::new() };
    let known = |rate: &Number| sent.iter().any(|line| line.rate == Some(*rate));
    let all = sum(sold.iter().map(|(_, amount)| *amount));
    if all.is_none() || all != order.total.map(Money::value) || !sold.iter().all(|(rate, _)| known(rate)) {
        return Vec::new();
    }
    let of = |rate: Number| sum(sold.iter().filter(|(sold_at, _)| *sold_at == rate).map(|(_, amount)| *amount));
    let digits = order.currency.minor_digits();
    let rates = sent.iter().filter_map(|line| line.rate);
    rates.filter_map(|rate| Some((rate, Money::new(of(rate)?, digits)))).collect()
}

/// `None` where 28 digits do not suffice.
fn sum(mut amounts: impl Iterator<Item = Decimal>) -> Option<Decimal> {
    amounts.try_fold(Decimal::ZERO, Decimal::checked_add)
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use serde_json::{Value, json};

    use super::*;
    use crate::order::{Moment, OrderContent, Phase, Timeline};

    fn booking(sent: Value) -> Booking {
        let mut whole = serde_json::to_value(OrderContent::default()).expect("JSON");
        whole.as_object_mut().expect("an object").extend(sent.as_object().expect("an object").clone());
        let content: OrderContent = serde_json::from_value(whole).expect("a content");
        let mut timeline = Timeline::default();
        timeline.hear(Phase::Validated, content);
        let at: Timestamp = "2026-11-20T23:30:00Z".parse().expect("a time");
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let order = Order::new(&timeline, Currency::EUR, Moment::new(at, &zone));
        Booking::new(OrderKey::new(at), &order, BookedPdf::default())
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
            unknown,
            "the items are not the order"
        );
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
}
