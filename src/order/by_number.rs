//! The order of tables: by number, as people look an order up.

use std::cmp::Ordering;

/// The order of numbers as people read them: digits by their value, so that 9 comes before 10 and F0009 before F0010.
pub fn by_number(one: &str, other: &str) -> Ordering {
    let mut pieces = [one, other].map(pieces);
    loop {
        let [first, second] = [pieces[0].next(), pieces[1].next()];
        let Some((first, second)) = first.zip(second) else {
            // Equal but for zeros in front, they still have one order.
            return first.is_some().cmp(&second.is_some()).then_with(|| one.cmp(other));
        };
        let are_digits = [first, second].iter().all(|piece| piece.starts_with(|c: char| c.is_ascii_digit()));
        let [value, next] = [first, second].map(|piece| piece.trim_start_matches('0'));
        let order = match are_digits {
            true => value.len().cmp(&next.len()).then_with(|| value.cmp(next)),
            false => first.cmp(second),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A text cut wherever digits begin or end.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.as_bytes().chunk_by(|one, other| one.is_ascii_digit() == other.is_ascii_digit()).scan(0, |from, piece| {
        let start = *from;
        *from += piece.len();
        text.get(start..*from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_order_in_which_people_count() {
        let sorted = ["2", "9", "010", "10", "2026-0504", "20261121042", "F000504", "F504", "F1000", "Z", "Z1"];
        for (place, one) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                assert_eq!(by_number(one, other), place.cmp(&other_place), "{one} and {other}");
            }
        }
        assert_eq!(by_number("é7", "é10"), Ordering::Less);
    }
}
