//! Which way the money of an order went, and its amounts with that sign: one answer for every mail, table and sum.
//!
//! A till says it four times: by its flag, by the sign of the total, by that of the VAT and by that of each rate. Some
//! announce a refund with the amounts of the sale, some turn only the total around. What contradicts the others is turned
//! here, once, and [`super::Warning::RefundSignMismatch`] stands beside it; the event keeps what was sent.
//!
//! **Invariant:** amounts that add up as they were sent keep their signs among themselves: an article that was brought back
//! within a sale is no contradiction.

use super::{Money, Order, VatLine, rates::slack};

/// The amounts of an order as people and books count them: with one sign, and without parts of a cent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Whether money went back.
    pub is_refund: bool,
    /// With VAT.
    pub total: Option<Money>,
    /// The VAT; where it was not sent that of the rates.
    pub total_vat: Option<Money>,
    /// Without VAT.
    pub total_net: Option<Money>,
    /// By rate, as far as it was sent.
    pub vat: Vec<VatLine>,
    /// Whether what was sent contradicts itself about the sign.
    pub is_contradictory: bool,
}

impl Counted {
    /// The amounts of an order.
    pub fn of(order: &Order) -> Self {
        let sent = Sent::of(order);
        let is_refund = sent.goes_back();
        let turned = sent.turned(is_refund);
        let as_sent = (order.total, order.total_vat, sent.lines.to_vec());
        let is_contradictory =
            (turned.0, turned.1, &turned.2) != (as_sent.0, as_sent.1, &as_sent.2) || sent.sells_and_gives(is_refund);
        let digits = order.currency.minor_digits();
        let rounded = |amount: Option<Money>| amount.map(|amount| amount.rounded(digits));
        let vat: Vec<VatLine> = turned.2.iter().map(|line| in_cents(line, digits)).collect();
        let total = rounded(turned.0);
        let total_vat = rounded(turned.1).or_else(|| sum(vat.iter().map(|line| line.vat)));
        let total_net = total.zip(total_vat).and_then(|(total, vat)| total.checked_sub(vat));
        Self { is_refund, total, total_vat, total_net, vat, is_contradictory }
    }
}

impl Order {
    /// Whether money went back: the till says so, or its amounts do.
    pub fn refund(&self) -> bool {
        Sent::of(self).goes_back()
    }

    /// Its amounts as people and books count them.
    pub fn counted(&self) -> Counted {
        Counted::of(self)
    }
}

/// The sum of amounts that are all known; `None` of none of them.
pub(super) fn sum(mut amounts: impl Iterator<Item = Option<Money>>) -> Option<Money> {
    let first = amounts.next()??;
    amounts.try_fold(first, |sum, amount| sum.checked_add(amount?))
}

/// What a till says about the sign.
struct Sent<'a> {
    flag: Option<bool>,
    total: Option<Money>,
    vat: Option<Money>,
    lines: &'a [VatLine],
    /// Decimals of the currency.
    digits: u32,
}

/// What of the rates adds up as it was sent, so that their signs among themselves are meant.
#[derive(Clone, Copy, PartialEq)]
enum AddsUp {
    Gross,
    Vat,
    Nothing,
}

impl<'a> Sent<'a> {
    fn of(order: &'a Order) -> Self {
        let lines = order.vat.as_deref().unwrap_or_default();
        Self {
            flag: order.is_refund,
            total: order.total,
            vat: order.total_vat,
            lines,
            digits: order.currency.minor_digits(),
        }
    }

    fn goes_back(&self) -> bool {
        self.flag == Some(true) || self.are_negative() == Some(true)
    }

    /// A sale whose amounts say that money went back.
    fn sells_and_gives(&self, is_refund: bool) -> bool {
        is_refund && self.flag == Some(false)
    }

    /// Whether the amounts are below zero: the total, else the VAT, else what all rates agree on. `None` where they say
    /// nothing.
    fn are_negative(&self) -> Option<bool> {
        if let Some(whole) = self.total.or(self.vat) {
            return (!whole.value().is_zero()).then(|| whole.is_negative());
        }
        let mut signs = self.lines.iter().filter_map(|line| negative(&[line.gross, line.net, line.vat]));
        let first = signs.next()?;
        signs.all(|sign| sign == first).then_some(first)
    }

    /// Total, VAT and rates with their signs put right.
    fn turned(&self, is_refund: bool) -> (Option<Money>, Option<Money>, Vec<VatLine>) {
        // What comes to nothing has gone neither way: an exchange, for instance.
        if self.total.is_some_and(|total| total.value().is_zero()) {
            return (self.total, self.vat, self.lines.to_vec());
        }
        let adds_up = self.adds_up();
        // A refund with the amounts of a sale: everything is turned around.
        let is_upside_down = is_refund && self.are_negative() == Some(false);
        let side = |line: &VatLine| {
            let own = match adds_up {
                AddsUp::Gross => negative(&[gross(line), line.net, line.vat]),
                AddsUp::Vat => negative(&[line.vat]),
                AddsUp::Nothing => None,
            };
            own.map_or(is_refund, |own| own != is_upside_down)
        };
        let line = |line: &VatLine| {
            let towards = |amount: Option<Money>| amount.map(|amount| amount.towards(side(line)));
            VatLine { rate: line.rate, net: towards(line.net), vat: towards(line.vat), gross: towards(line.gross) }
        };
        let lines: Vec<VatLine> = self.lines.iter().map(line).collect();
        let vat = self.vat.map(|vat| vat.towards(self.vat_goes_back(vat, &lines).unwrap_or(is_refund)));
        (self.total.map(|total| total.towards(is_refund)), vat, lines)
    }

    /// The sign of the VAT where it is just that of the rates: more may have been brought back at the rate with more VAT.
    fn vat_goes_back(&self, vat: Money, lines: &[VatLine]) -> Option<bool> {
        let of_rates = sum(lines.iter().map(|line| line.vat))?;
        (!of_rates.value().is_zero() && self.are_near(of_rates.abs(), vat.abs())).then(|| of_rates.is_negative())
    }

    /// Whether the rates come to an amount, but for rounding.
    fn are_near(&self, of_rates: Money, whole: Money) -> bool {
        let apart = of_rates.checked_sub(whole);
        apart.is_some_and(|apart| apart.value().abs() <= slack(self.lines.len(), self.digits))
    }

    fn adds_up(&self) -> AddsUp {
        let near = |parts: Option<Money>, whole: Option<Money>| {
            parts.zip(whole).is_some_and(|(parts, whole)| self.are_near(parts, whole))
        };
        let is_one_way = self.total.zip(self.vat).is_none_or(|(total, vat)| total.is_negative() == vat.is_negative());
        if near(sum(self.lines.iter().map(gross)), self.total) {
            AddsUp::Gross
        } else if is_one_way && near(sum(self.lines.iter().map(|line| line.vat)), self.vat) {
            AddsUp::Vat
        } else {
            AddsUp::Nothing
        }
    }
}

/// The sign of the first of these amounts that has one.
fn negative(amounts: &[Option<Money>]) -> Option<bool> {
    amounts.iter().flatten().find(|amount| !amount.value().is_zero()).map(|amount| amount.is_negative())
}

fn gross(line: &VatLine) -> Option<Money> {
    line.gross.or_else(|| line.net?.checked_add(line.vat?))
}

/// The line without parts of a cent; its net is then what the others leave, so that they still add up.
fn in_cents(line: &VatLine, digits: u32) -> VatLine {
    let round = |amount: Option<Money>| amount.map(|amount| amount.rounded(digits));
    let [net, vat, gross] = [line.net, line.vat, line.gross].map(round);
    let added_up = line.net.zip(line.vat).and_then(|(net, vat)| net.checked_add(vat)) == line.gross;
    let left = gross.zip(vat).filter(|_| added_up && net.is_some()).and_then(|(gross, vat)| gross.checked_sub(vat));
    VatLine { rate: line.rate, net: left.or(net), vat, gross }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::booking::testing::order, *};

    /// Net, VAT and gross.
    type Texts = [Option<String>; 3];

    /// Whether it is a refund, its totals, its rates, and whether it contradicts itself.
    fn counted(sent: Value) -> (bool, Texts, Vec<Texts>, bool) {
        let counted = order(sent).counted();
        let text = |amount: Option<Money>| amount.map(|amount| amount.to_string());
        let lines = counted.vat.iter().map(|line| [line.net, line.vat, line.gross].map(text)).collect();
        let totals = [counted.total_net, counted.total_vat, counted.total].map(text);
        (counted.is_refund, totals, lines, counted.is_contradictory)
    }

    fn known(amounts: [&str; 3]) -> Texts {
        amounts.map(|amount| Some(amount.to_owned()))
    }

    /// Every way of saying that 10.00 went back, VAT of 10 % included.
    #[test]
    fn money_that_went_back_is_negative_however_it_was_said() {
        let line = |sign: &str| json!([{ "rate": "10", "net": format!("{sign}9.09"), "vat": format!("{sign}0.91"), "gross": format!("{sign}10.00") }]);
        let bare = |vat: &str| json!([{ "rate": "10", "net": null, "vat": vat, "gross": null }]);
        for (sent, is_said) in [
            (json!({ "is_refund": true, "total": "-10.00", "total_vat": "-0.91", "vat": line("-") }), false),
            (json!({ "is_refund": true, "total": "10.00", "total_vat": "0.91", "vat": line("") }), true),
            (json!({ "is_refund": true, "total": "-10.00", "total_vat": "0.91", "vat": line("") }), true),
            (json!({ "is_refund": true, "total": "-10.00", "total_vat": "-0.91", "vat": line("") }), true),
            (json!({ "is_refund": true, "total": "-10.00", "total_vat": "0.91", "vat": line("-") }), true),
            (json!({ "is_refund": true, "total": "-10.00", "vat": line("") }), true),
            (json!({ "is_refund": true, "total": "10.00", "total_vat": "-0.91", "vat": line("-") }), true),
            (json!({ "total": "-10.00", "total_vat": "-0.91", "vat": line("-") }), false),
            (json!({ "total": "-10.00", "total_vat": "0.91", "vat": line("") }), true),
            (json!({ "is_refund": false, "total": "-10.00", "total_vat": "-0.91", "vat": line("-") }), true),
            (json!({ "is_refund": false, "total": "-10.00", "total_vat": "0.91", "vat": line("") }), true),
        ] {
            let expected =
                (true, known(["-9.09", "-0.91", "-10.00"]), vec![known(["-9.09", "-0.91", "-10.00"])], is_said);
            assert_eq!(counted(sent.clone()), expected, "{sent}");
        }
        for (vat, is_said) in [("0.91", true), ("-0.91", false)] {
            let (is_refund, totals, lines, contradicts) =
                counted(json!({ "is_refund": true, "total": "-10.00", "vat": bare(vat) }));
            assert_eq!((is_refund, totals, contradicts), (true, known(["-9.09", "-0.91", "-10.00"]), is_said), "{vat}");
            assert_eq!(lines, [[None, Some("-0.91".to_owned()), None]]);
        }
    }

    #[test]
    fn a_sale_with_a_rate_or_vat_of_the_wrong_sign_is_a_sale() {
        let two = |ten: &str| json!([{ "rate": "10", "net": null, "vat": ten, "gross": null }, { "rate": "20", "net": "10.00", "vat": "2.00", "gross": "12.00" }]);
        for (vat, ten) in [("-2.91", "0.91"), ("2.91", "-0.91")] {
            let (is_refund, totals, lines, contradicts) =
                counted(json!({ "is_refund": false, "total": "22.00", "total_vat": vat, "vat": two(ten) }));
            assert_eq!(
                (is_refund, totals, contradicts),
                (false, known(["19.09", "2.91", "22.00"]), true),
                "{vat} {ten}"
            );
            assert_eq!(lines[0][1].as_deref(), Some("0.91"));
        }
    }

    #[test]
    fn an_article_that_was_brought_back_within_a_sale_is_no_contradiction() {
        let lines = json!([
            { "rate": "10", "net": "-4.55", "vat": "-0.45", "gross": "-5.00" },
            { "rate": "20", "net": "12.50", "vat": "2.50", "gross": "15.00" },
        ]);
        let sale = json!({ "is_refund": false, "total": "10.00", "total_vat": "2.05", "vat": lines });
        let (is_refund, totals, signed, contradicts) = counted(sale);
        assert_eq!((is_refund, contradicts, totals), (false, false, known(["7.95", "2.05", "10.00"])));
        assert_eq!(signed[0], known(["-4.55", "-0.45", "-5.00"]));
        // The same as a refund with the amounts of the sale: all of them are turned.
        let refund = json!({ "is_refund": true, "total": "10.00", "total_vat": "2.05", "vat": lines });
        let (is_refund, totals, signed, contradicts) = counted(refund);
        assert_eq!((is_refund, contradicts, totals), (true, true, known(["-7.95", "-2.05", "-10.00"])));
        assert_eq!((&signed[0], &signed[1]), (&known(["4.55", "0.45", "5.00"]), &known(["-12.50", "-2.50", "-15.00"])));
        let exchange = json!([
            { "rate": "10", "net": null, "vat": "-0.91", "gross": "-10.00" }, { "rate": "20", "net": null, "vat": "1.67", "gross": "10.00" },
        ]);
        let (is_refund, totals, _, contradicts) =
            counted(json!({ "is_refund": false, "total": "0.00", "total_vat": "0.76", "vat": exchange }));
        assert_eq!((is_refund, contradicts, totals), (false, false, known(["-0.76", "0.76", "0.00"])));
    }

    #[test]
    fn amounts_have_no_part_of_a_cent_and_still_add_up() {
        let lines = json!([{ "rate": "20", "net": "8.3350", "vat": "1.6650", "gross": "10.00" }]);
        let (_, totals, lines, contradicts) = counted(json!({ "total": "10.000", "vat": lines }));
        assert_eq!((totals, contradicts), (known(["8.33", "1.67", "10.00"]), false));
        assert_eq!(lines, [known(["8.33", "1.67", "10.00"])]);
    }

    #[test]
    fn what_says_nothing_of_its_sign_is_a_sale() {
        assert_eq!(counted(json!({})), (false, [None, None, None], Vec::new(), false));
        assert!(!counted(json!({ "total": "0.00" })).0);
        assert!(counted(json!({ "is_refund": true })).0);
    }
}
