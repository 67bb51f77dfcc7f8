//! Sales as tills announce them when they do not say everything, or say it oddly, each with what the books have to make of
//! it: worked out by whoever made the sale up, in integer cents.

use serde_json::{Value, json};

use super::books::{Chance, vat};

/// Each kind of sale so many times.
pub(super) const TIMES: u64 = 18;

/// What stands in the column of the rate, in the order of vat.csv.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    NotByRate,
    Lacking,
    Rounding,
    /// Tenths of a percent.
    At(i64),
}

/// Net, VAT and gross in cents; `None` where nobody can know.
pub(super) type Amounts = [Option<i64>; 3];

/// A sale: what the till says of it, and what the books have to make of that.
pub(super) struct Sale {
    said: Value,
    pub(super) parts: Vec<(Told, Amounts)>,
    pub(super) gross: i64,
    /// Why it is not in the journal.
    pub(super) left_out: Option<&'static str>,
}

/// The sale with what is the same for every kind.
pub(super) struct Booked {
    pub(super) sale: Sale,
    pub(super) number: u64,
    pub(super) day: String,
    pub(super) till: u64,
    pub(super) is_paid: bool,
    customer: bool,
}

fn all(net: i64, vat: i64) -> Amounts {
    [Some(net), Some(vat), Some(net + vat)]
}

/// Cents as the till writes them.
fn sent(cents: i64) -> String {
    format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

fn bases(gross: i64, rate: i64) -> Value {
    let vat = vat(gross, rate);
    json!({ "ht": sent(gross - vat), "tva": sent(vat), "ttc": sent(gross) })
}

fn at(gross: i64, rate: i64) -> (Told, Amounts) {
    (Told::At(rate), all(gross - vat(gross, rate), vat(gross, rate)))
}

fn item(title: &str, quantity: &str, price: i64, rate: &str) -> Value {
    json!({ "titre": title, "qte": quantity, "prixUnitaire": sent(price), "tauxTVA": rate })
}

const NOT_THE_TOTAL: &str = "les taux ne font pas le total";

/// The kinds, in the words of whoever saw them in the field.
fn kinds() -> Vec<fn(i64, i64) -> Sale> {
    vec![
        plain,
        weighed_goods_and_vat_without_bases,
        vat_of_two_rates_without_bases_or_articles,
        an_article_at_0_that_the_rates_leave_out,
        a_deposit_that_nothing_tells_the_rate_of,
        a_discount_on_the_total,
        a_cent_of_rounding,
        no_vat_at_all,
        vat_by_one_rate_and_no_sum_of_it,
        a_refund_with_positive_amounts,
        a_negative_total_with_positive_vat,
        a_negative_total_and_no_flag,
        a_sale_of_nothing,
        parts_of_cents,
        vat_and_no_rates,
        a_rate_listed_twice,
        an_article_brought_back_within_a_sale,
    ]
}

fn plain(a: i64, b: i64) -> Sale {
    let (total, tax) = (a + b, vat(a, 100) + vat(b, 200));
    let said = json!({ "price": sent(total), "VAT": sent(tax), "VATs": { "20": bases(b, 200), "10": bases(a, 100) } });
    Sale { said, parts: vec![at(a, 100), at(b, 200)], gross: total, left_out: None }
}

fn weighed_goods_and_vat_without_bases(a: i64, b: i64) -> Sale {
    // A quarter of a kilogram; half a cent is rounded up.
    let goods = (2 * a + 4) / 8;
    let tax = [vat(goods, 55), vat(b, 200)];
    let items = [item("Comté", "0.250", a, "5.5"), item("Vin", "1", b, "20")];
    let said = json!({
        "price": sent(goods + b), "VAT": sent(tax[0] + tax[1]), "items": items,
        "VATs": { "5.5": sent(tax[0]), "20": sent(tax[1]) },
    });
    Sale { said, parts: vec![at(goods, 55), at(b, 200)], gross: goods + b, left_out: None }
}

fn vat_of_two_rates_without_bases_or_articles(a: i64, b: i64) -> Sale {
    let [ten, twenty] = [vat(a, 100), vat(b, 200)];
    let said =
        json!({ "price": sent(a + b), "VAT": sent(ten + twenty), "VATs": { "10": sent(ten), "20": sent(twenty) } });
    // A fifth of the base is its VAT; the other rate has what is left.
    let net = a + b - ten - twenty;
    let parts = vec![(Told::At(100), all(net - 5 * twenty, ten)), (Told::At(200), all(5 * twenty, twenty))];
    Sale { said, parts, gross: a + b, left_out: None }
}

fn an_article_at_0_that_the_rates_leave_out(a: i64, b: i64) -> Sale {
    let tax = vat(b, 200);
    let items = [item("Consigne", "1", a, "0"), item("Vin", "1", b, "20")];
    let said = json!({ "price": sent(a + b), "VAT": sent(tax), "items": items, "VATs": { "20": sent(tax) } });
    Sale { said, parts: vec![(Told::At(0), all(a, 0)), at(b, 200)], gross: a + b, left_out: None }
}

fn a_deposit_that_nothing_tells_the_rate_of(a: i64, b: i64) -> Sale {
    let said = json!({ "price": sent(a + b), "VAT": sent(vat(b, 200)), "VATs": { "20": bases(b, 200) } });
    let parts = vec![at(b, 200), (Told::NotByRate, all(a, 0))];
    Sale { said, parts, gross: a + b, left_out: Some(NOT_THE_TOTAL) }
}

fn a_discount_on_the_total(a: i64, b: i64) -> Sale {
    let (tax, total) = (vat(a, 100) + vat(b, 200), (a + b) * 9 / 10);
    let said = json!({ "price": sent(total), "VAT": sent(tax), "VATs": { "20": bases(b, 200), "10": bases(a, 100) } });
    Sale { said, parts: vec![(Told::NotByRate, all(total - tax, tax))], gross: total, left_out: Some(NOT_THE_TOTAL) }
}

fn a_cent_of_rounding(a: i64, b: i64) -> Sale {
    let (total, tax) = (a + b + 1, vat(a, 100) + vat(b, 200));
    let said = json!({ "price": sent(total), "VAT": sent(tax), "VATs": { "20": bases(b, 200), "10": bases(a, 100) } });
    let parts = vec![at(a, 100), at(b, 200), (Told::Rounding, all(1, 0))];
    Sale { said, parts, gross: total, left_out: Some(NOT_THE_TOTAL) }
}

fn no_vat_at_all(a: i64, _: i64) -> Sale {
    let parts = vec![(Told::Lacking, [None, None, Some(a)])];
    Sale { said: json!({ "price": sent(a) }), parts, gross: a, left_out: Some("montants incomplets") }
}

fn vat_by_one_rate_and_no_sum_of_it(a: i64, _: i64) -> Sale {
    let said = json!({ "price": sent(a), "VATs": { "20": sent(vat(a, 200)) } });
    Sale { said, parts: vec![at(a, 200)], gross: a, left_out: None }
}

fn a_refund_with_positive_amounts(a: i64, b: i64) -> Sale {
    let mut sale = plain(a, b);
    sale.said["isRefund"] = "1".into();
    Sale { parts: vec![at(-a, 100), at(-b, 200)], gross: -a - b, ..sale }
}

fn a_negative_total_with_positive_vat(a: i64, _: i64) -> Sale {
    let tax = vat(a, 100);
    let said = json!({ "isRefund": "1", "price": sent(-a), "VAT": sent(tax), "VATs": { "10": sent(tax) } });
    Sale { said, parts: vec![at(-a, 100)], gross: -a, left_out: None }
}

fn a_negative_total_and_no_flag(a: i64, b: i64) -> Sale {
    Sale { parts: vec![at(-a, 100), at(-b, 200)], ..plain(-a, -b) }
}

fn a_sale_of_nothing(_: i64, _: i64) -> Sale {
    let said = json!({ "price": "0.00", "VAT": "0.00", "VATs": { "20": bases(0, 200) } });
    Sale { said, parts: vec![at(0, 200)], gross: 0, left_out: None }
}

fn parts_of_cents(a: i64, _: i64) -> Sale {
    // In hundredths of a cent.
    let net = a * 1_000 / 12;
    let tax = a * 100 - net;
    let long = |amount: i64| format!("{}.{:04}", amount / 10_000, amount % 10_000);
    let line = json!({ "taux": "20", "ht": long(net), "tva": long(tax), "ttc": sent(a) });
    let said = json!({ "price": sent(a), "VAT": long(tax), "VATs": [line] });
    let tax = (tax + 50) / 100;
    Sale { said, parts: vec![(Told::At(200), all(a - tax, tax))], gross: a, left_out: None }
}

fn vat_and_no_rates(a: i64, _: i64) -> Sale {
    let tax = vat(a, 100);
    let said = json!({ "price": sent(a), "VAT": sent(tax) });
    let parts = vec![(Told::NotByRate, all(a - tax, tax))];
    Sale { said, parts, gross: a, left_out: Some("TVA non communiquée par taux") }
}

fn a_rate_listed_twice(a: i64, b: i64) -> Sale {
    let line = |gross| {
        let mut line = bases(gross, 200);
        line["taux"] = "20".into();
        line
    };
    let tax = vat(a, 200) + vat(b, 200);
    let said = json!({ "price": sent(a + b), "VAT": sent(tax), "VATs": [line(a), line(b)] });
    Sale { said, parts: vec![(Told::At(200), all(a + b - tax, tax))], gross: a + b, left_out: None }
}

fn an_article_brought_back_within_a_sale(a: i64, b: i64) -> Sale {
    // Less comes back than is sold.
    let (back, sold) = (-a, a + b);
    let tax = vat(back, 100) + vat(sold, 200);
    let lines = json!({ "10": bases(back, 100), "20": bases(sold, 200) });
    let said = json!({ "isRefund": "0", "price": sent(b), "VAT": sent(tax), "VATs": lines });
    Sale { said, parts: vec![at(back, 100), at(sold, 200)], gross: b, left_out: None }
}

/// The month, in the order in which the till announces it, which is none of the numbers'.
pub(super) fn month() -> Vec<Booked> {
    let kinds = kinds();
    let count = TIMES * kinds.len() as u64;
    let mut chance = Chance(13);
    let mut amount = || 200 + i64::try_from(chance.below(9_000)).expect("cents");
    let sale = |nth: u64| {
        let sale = kinds[usize::try_from(nth).expect("a place") % kinds.len()](amount(), amount());
        // A prime number steps through all of them.
        let number = nth * 7_919 % count + 1;
        let day = format!("2026-10-{:02}", 1 + nth % 31);
        Booked {
            sale,
            number,
            day,
            till: 1 + nth % 2,
            is_paid: !nth.is_multiple_of(5),
            customer: nth.is_multiple_of(3),
        }
    };
    (0..count).map(sale).collect()
}

impl Booked {
    pub(super) fn is_refund(&self) -> bool {
        self.sale.gross < 0
    }

    pub(super) fn name(&self) -> &'static str {
        if self.customer { "Durand" } else { "" }
    }

    /// What the till says, call by call. The later call has the customer's number alone.
    pub(super) fn calls(&self) -> Vec<Value> {
        let id = self.number.to_string();
        let mut first = self.sale.said.clone();
        let more = json!({
            "type": "validated", "orderID": id, "orderInternalID": format!("i{id}"), "cashBoxID": self.till.to_string(),
            "validationDate": format!("{} 12:00:00", self.day),
        });
        first.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let mut then = json!({ "type": "terminated", "orderID": id, "orderInternalID": format!("i{id}") });
        if self.customer {
            first["client"] = json!({ "id": "512", "nom": "Durand" });
            then["clientID"] = "512".into();
        }
        if self.is_paid { vec![first, then] } else { vec![first] }
    }
}
