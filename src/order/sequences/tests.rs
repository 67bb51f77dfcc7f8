//! The rules of sequences: a table of what a till may do, and numbers drawn by chance of which it is known what is missing.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::date};
use proptest::{collection::vec, prelude::*};

use super::*;

/// Orders sold, and arrived, in this order, a minute each: a number, and after an `@` the till.
fn sold(numbers: &[&str]) -> Vec<NumberedOrder> {
    let order = |(seq, text): (usize, &&str)| {
        let (number, till) = text.split_once('@').map_or((*text, None), |(number, till)| (number, Some(till)));
        order(seq as i64 + 1, seq as i64, number, till)
    };
    numbers.iter().enumerate().map(order).collect()
}

fn order(seq: i64, minute: i64, number: &str, till: Option<&str>) -> NumberedOrder {
    let at = |minute: i64| Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap();
    NumberedOrder {
        number: OrderNumber::parse(number).unwrap_or_else(|| panic!("{number} has no counter")),
        sold_at: at(minute),
        came_at: at(seq),
        seq,
        day: date(2027, 1, 15),
        till: till.map(str::to_owned),
    }
}

/// `first-last` of each sequence, with its till; `!first-last` of each hole; `>first-last` of each step ahead; `?` of what is
/// in none.
fn told(orders: &[NumberedOrder]) -> Vec<String> {
    let reckoning = reckon(orders);
    let of = |till: &Option<String>| till.as_ref().map(|till| format!("@{till}")).unwrap_or_default();
    let listed = |mark: &str, gap: &Gap| {
        let Hole { first, last, till, .. } = gap.hole();
        format!("{mark}{first}-{last}{}", of(&till))
    };
    let mut told = Vec::new();
    for sequence in &reckoning.sequences {
        let ends = sequence.orders().next().zip(sequence.orders().last());
        told.extend(ends.map(|(first, last)| format!("{}-{}{}", first.number, last.number, of(&sequence.till))));
        told.extend(sequence.gaps().iter().map(|gap| listed("!", gap)));
    }
    told.extend(reckoning.jumps.iter().map(|jump| listed(">", jump)));
    told.extend(reckoning.loose.iter().map(|order| format!("?{}", order.number)));
    told
}

#[test]
fn what_a_till_may_do_with_its_numbers() {
    const CASES: &[(&str, &[&str], &[&str])] = &[
        ("one sequence", &["42", "43", "46"], &["42-46", "!44-45"]),
        ("a late one fills its hole", &["42", "44", "43"], &["42-44"]),
        ("a late one before the first", &["43", "42"], &["42-43"]),
        ("two that came in another order", &["43", "41", "42", "45"], &["41-45", "!44-44"]),
        (
            "zeros and more digits",
            &["0008", "0010", "9998", "10001"],
            &["0008-0010", "!0009-0009", "9998-10001", "!9999-10000", ">0011-9997"],
        ),
        ("a step back begins anew", &["500", "501", "502", "503", "504", "505", "1", "2", "3"], &["1-3", "500-505"]),
        ("a small step back", &["10", "11", "12", "1", "2", "4"], &["1-4", "!3-3", "10-12"]),
        (
            "the old numbers again",
            &["500", "501", "502", "503", "500", "501", "503"],
            &["500-503", "500-503", "!502-502"],
        ),
        (
            "a hole at the end of the old numbers",
            &["1", "2", "3", "4", "5", "1", "2", "3", "4", "6", "7"],
            &["1-5", "1-7", "!5-5"],
        ),
        ("a large step ahead is one sentence", &["500", "501", "2000", "2001"], &["500-501", "2000-2001", ">502-1999"]),
        ("a large loss is a hole", &["500", "501", "752"], &["500-752", "!502-751"]),
        (
            "a new year in front of the counter",
            &["20260504", "20260505", "20270001"],
            &["20260504-20260505", "20270001-20270001"],
        ),
        (
            "a year before the counter",
            &["2026-0504", "2026-0506", "2027-0001"],
            &["2026-0504-2026-0506", "!2026-0505-2026-0505", "2027-0001-2027-0001"],
        ),
        ("a word before the counter", &["F000504", "F000506"], &["F000504-F000506", "!F000505-F000505"]),
        (
            "days",
            &["20261121040", "20261121042", "20261122001"],
            &["20261121040-20261121042", "!20261121041-20261121041", "20261122001-20261122001"],
        ),
        (
            "two sequences of which nobody says whose they are",
            &["1", "601", "2", "602", "4", "603", "5"],
            &["1-5", "!3-3", "601-603"],
        ),
        (
            "tills far apart",
            &["1@A", "601@B", "2@A", "602@B", "4@A", "603@B", "604@B", "5@A"],
            &["1-5@A", "!3-3@A", "601-604@B"],
        ),
        (
            "tills close together",
            &["1@A", "11@B", "2@A", "12@B", "3@A", "13@B", "15@B"],
            &["1-3@A", "11-15@B", "!14-14@B"],
        ),
        (
            "tills with the same numbers",
            &["500@A", "500@B", "501@A", "501@B", "503@A", "502@B", "504@A", "503@B"],
            &["500-504@A", "!502-502@A", "500-503@B"],
        ),
        (
            "tills in turn, each on its own",
            &["1@A", "2@A", "3@A", "51@B", "52@B", "4@A", "53@B"],
            &["1-4@A", "51-53@B"],
        ),
        ("tills that share a sequence", &["1@A", "2@B", "3@A", "5@B", "6@A"], &["1-6", "!4-4"]),
        ("a till after another one", &["1@A", "2@A", "3@A", "5@B", "6@B"], &["1-6", "!4-4"]),
        ("orders without a till among them", &["1@A", "2", "3@A", "5"], &["1-5", "!4-4"]),
        ("a number twice", &["41", "42", "42", "43", "45"], &["41-42", "42-45", "!44-44"]),
        ("one twice the same, again and again", &["0", "0", "0", "0", "0", "0"], &["?0", "?0", "?0", "?0", "?0", "?0"]),
        (
            "drawn by chance",
            &["17", "90210", "4411", "777777", "31337"],
            &["?17", "?90210", "?4411", "?777777", "?31337"],
        ),
        ("words drawn by chance", &["XA1", "QB7", "KK3", "ZD9", "WM2"], &["?KK3", "?QB7", "?WM2", "?XA1", "?ZD9"]),
    ];
    let mut wrong = Vec::new();
    for (name, numbers, expected) in CASES {
        let said = told(&sold(numbers));
        if said != *expected {
            wrong.push(format!("{name}: {said:?} in place of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_old_invoice_that_is_paid_today_opens_nothing() {
    let old = order(9, -20 * 24 * 60, "480", None);
    assert_eq!(told(&[order(1, 1, "500", None), order(2, 2, "501", None), old]), ["480-501"]);
    let far = order(9, -20 * 24 * 60, "4", None);
    assert_eq!(told(&[order(1, 1, "500", None), order(2, 2, "501", None), far]), ["4-4", "500-501"]);
    let of_today = order(9, -2, "497", None);
    assert_eq!(told(&[order(1, 1, "500", None), order(2, 2, "501", None), of_today]), ["497-501", "!498-499"]);
}

#[test]
fn a_number_of_last_year_is_not_there_this_year() {
    let last_year = order(1, -365 * 24 * 60, "502", None);
    let this_year = |numbers: &[&str]| {
        let orders = (2..).zip(numbers).map(|(seq, number)| order(seq, seq, number, None));
        told(&[last_year.clone()].into_iter().chain(orders).collect::<Vec<_>>())
    };
    assert_eq!(this_year(&["500", "501", "503"]), ["500-503", "!502-502", "502-502"]);
    assert_eq!(this_year(&["501", "503"]), ["501-503", "!502-502", "502-502"]);
}

#[test]
fn what_opened_a_hole_stays_the_same_when_it_is_filled_in_part() {
    let opened = |numbers: &[&str]| {
        let orders = sold(numbers);
        let reckoning = reckon(&orders);
        reckoning.sequences[0].gaps().iter().map(|gap| (gap.first.place(), gap.opened.0)).collect::<Vec<_>>()
    };
    assert_eq!(opened(&["42", "46"]), [(43, 2)]);
    assert_eq!(opened(&["42", "46", "44"]), [(43, 2), (45, 2)]);
    assert_eq!(opened(&["42", "46", "44", "48"]), [(43, 2), (45, 2), (47, 4)]);
}

#[test]
fn many_numbers_by_chance_take_no_time() {
    let mut state = 7_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 24
    };
    let orders: Vec<_> = (0..5_000).map(|seq| order(seq, seq, &draw().to_string(), None)).collect();
    assert!(reckon(&orders).jumps.is_empty(), "they are loose");
}

/// A till's sales: whether each number that it gave reached us. The first and the last did, and an eighth is lost at the
/// most: a till that loses half of its sales looks like one that shares its numbers with another.
fn sales(most: usize) -> impl Strategy<Value = Vec<bool>> {
    vec(proptest::bool::weighted(0.9), 12..most).prop_map(|mut came| {
        came[0] = true;
        came.push(true);
        let mut may_be_lost = came.len() / 8;
        for came in came.iter_mut().filter(|came| !**came) {
            (*came, may_be_lost) = (may_be_lost == 0, may_be_lost.saturating_sub(1));
        }
        came
    })
}

/// How often each number, of each till, is missing.
type Missing = BTreeMap<(u64, Option<String>), u32>;

/// What the generator knows: these numbers were given and did not come.
fn lost(first: u64, came: &[bool], till: Option<&str>, missing: &mut Missing) {
    for (place, _) in (first..).zip(came).filter(|(_, came)| !**came) {
        *missing.entry((place, till.map(str::to_owned))).or_default() += 1;
    }
}

fn found(orders: &[NumberedOrder]) -> Missing {
    let mut missing = Missing::new();
    let reckoning = reckon(orders);
    assert!(reckoning.jumps.is_empty() && reckoning.loose.is_empty(), "{reckoning:?}");
    for gap in reckoning.sequences.iter().flat_map(Sequence::gaps) {
        for number in gap.numbers() {
            *missing.entry((number.place(), gap.till.clone())).or_default() += 1;
        }
    }
    missing
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_what_was_lost_is_missing_also_when_the_numbers_begin_anew(
        years in vec(sales(60), 1..4), tills in vec(0..3_u8, 200), is_shared in any::<bool>(),
    ) {
        let (mut orders, mut missing) = (Vec::new(), Missing::new());
        for came in &years {
            for (place, _) in (1_u64..).zip(came).filter(|(_, came)| **came) {
                let seq = orders.len() as i64;
                let till = is_shared.then(|| format!("{}", tills[orders.len()]));
                orders.push(order(seq, seq, &place.to_string(), till.as_deref()));
            }
            lost(1, came, None, &mut missing);
        }
        prop_assert_eq!(found(&orders), missing);
    }

    #[test]
    fn what_comes_in_another_order_than_it_was_sold_is_not_missing(
        came in sales(120), late in vec(0..3_i64, 121),
    ) {
        let mut missing = Missing::new();
        lost(100, &came, None, &mut missing);
        let sold: Vec<(i64, u64)> = (0_i64..).zip(100..).zip(&came).filter(|(_, came)| **came).map(|(sold, _)| sold).collect();
        // Without a date of their own, orders are sold when they come.
        let mut arrived: Vec<(i64, u64)> = sold.iter().map(|(at, place)| (at + late[*at as usize], *place)).collect();
        arrived.sort_by_key(|(at, _)| *at);
        let blind: Vec<_> = (0_i64..).zip(&arrived).map(|(seq, (_, place))| order(seq, seq, &place.to_string(), None)).collect();
        prop_assert_eq!(found(&blind), missing.clone());
        let dated: Vec<_> = (0_i64..).zip(&arrived).map(|(seq, (_, place))| order(seq, *place as i64, &place.to_string(), None)).collect();
        prop_assert_eq!(found(&dated), missing);
    }

    #[test]
    fn tills_that_count_apart_are_told_apart(
        tills in [sales(60), sales(60)], first in prop::sample::select(vec![1_u64, 7, 40, 400, 5_000]), turns in vec(1..5_usize, 60),
    ) {
        let mut missing = Missing::new();
        let firsts = [1, first];
        let names = ["A", "B"];
        let mut queues = [0, 1].map(|till| {
            lost(firsts[till], &tills[till], Some(names[till]), &mut missing);
            (firsts[till]..).zip(&tills[till]).filter(|(_, came)| **came).map(|(place, _)| place).collect::<Vec<_>>().into_iter()
        });
        let mut orders = Vec::new();
        // They sell by turns, some orders each.
        let mut turns = turns.into_iter().enumerate().flat_map(|(turn, orders)| vec![turn % 2; orders]);
        loop {
            let till = turns.next().unwrap_or(0);
            let next = queues[till].next().map(|place| (till, place)).or_else(|| queues[1 - till].next().map(|place| (1 - till, place)));
            let Some((till, place)) = next else { break };
            let seq = orders.len() as i64;
            orders.push(order(seq, seq, &place.to_string(), Some(names[till])));
        }
        prop_assert_eq!(found(&orders), missing);
    }
}
