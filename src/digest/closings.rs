//! The closings of tills beside what we know of: the till says what it took, and where the two differ the reader is told
//! by how much, and from what, rather than left to find out.

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};

use crate::{
    order::{Booking, CashBoxNotice, Closing, EventType, Money, Period, day_of},
    store::{Booked, CashBoxEvent},
};

/// The day that a closing closes: that of its opening, since some shops close after midnight.
pub(super) fn day(closed: &CashBoxEvent, zone: &TimeZone) -> Date {
    let began = closed.notice.opened.map(|opened| opened.civil().date());
    // Without its opening, a closing in the small hours is that of the evening before.
    let evening = || day_of(closed.at.saturating_add(-SMALL_HOURS.hours()).unwrap_or(closed.at), zone);
    began.unwrap_or_else(evening)
}

/// Until when a night belongs to the day before, where a closing does not say when its day began.
const SMALL_HOURS: i64 = 5;

/// Whether every till that was opened is closed again, and one was. Not every call says which till it is about: a closing
/// that does not closes them all, and an opening that does not is closed by any.
pub(super) fn all_closed(heard: &[CashBoxEvent]) -> bool {
    open_tills(heard).is_empty() && heard.iter().any(|one| one.kind == EventType::CashBoxClosed)
}

/// Whether a till is open, by what was heard of openings and closings, oldest first.
pub fn is_open(heard: &[CashBoxEvent]) -> bool {
    !open_tills(heard).is_empty()
}

fn open_tills(heard: &[CashBoxEvent]) -> Vec<Option<&str>> {
    let mut open: Vec<Option<&str>> = Vec::new();
    for one in heard {
        let till = one.notice.cash_box_id.as_deref();
        match one.kind {
            EventType::CashBoxOpened => open.push(till),
            _ => open.retain(|known| till.is_some() && known.is_some() && *known != till),
        }
    }
    open
}

/// The days that the times of these closings touch.
pub(super) fn days(closed: &[CashBoxEvent], zone: &TimeZone) -> Option<Period> {
    let until =
        |one: &CashBoxEvent| one.notice.closed.map_or_else(|| day_of(one.at, zone), |closed| closed.civil().date());
    let first = closed.iter().map(|one| day(one, zone)).min()?;
    let last = closed.iter().map(until).max()?;
    Some(Period { first, last })
}

/// The closings beside what was sold, by whatever sink it is wanted.
pub(super) fn closings(closed: &[CashBoxEvent], booked: &[Booked]) -> Vec<Closing> {
    closed.iter().map(|one| closing(&one.notice, booked)).collect()
}

fn closing(notice: &CashBoxNotice, booked: &[Booked]) -> Closing {
    let is_here = |one: &&Booking| notice.cash_box_id.is_none() || one.till.is_none() || one.till == notice.cash_box_id;
    let is_inside = |one: &Booking| {
        let at = one.sold_at.timestamp();
        notice.opened.is_none_or(|opened| opened.timestamp() <= at)
            && notice.closed.is_none_or(|closed| at <= closed.timestamp())
    };
    let is_that_day = |one: &Booking| {
        let day = one.sold_at.civil().date();
        [notice.opened, notice.closed].into_iter().flatten().any(|at| at.civil().date() == day)
    };
    let here: Vec<&Booking> = booked.iter().map(|one| &one.booking).filter(is_here).collect();
    let sum = |counts: &dyn Fn(&Booking) -> bool| sum(here.iter().copied().filter(|one| counts(one)));
    let nothing = notice.total.and_then(|total| total.checked_sub(total));
    Closing {
        till: notice.cash_box_id.clone(),
        opened: notice.opened,
        closed: notice.closed,
        till_total: notice.total,
        ours: sum(&|one| one.paid && is_inside(one)).or(nothing),
        unpaid: sum(&|one| !one.paid && is_inside(one)),
        outside: sum(&|one| !is_inside(one) && is_that_day(one)),
    }
}

fn sum<'a>(bookings: impl Iterator<Item = &'a Booking>) -> Option<Money> {
    bookings.filter_map(|one| one.gross).try_fold(None, |sum: Option<Money>, gross| match sum {
        Some(sum) => sum.checked_add(gross).map(Some),
        None => Some(Some(gross)),
    })?
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;

    use super::*;

    fn heard(calls: &str) -> Vec<CashBoxEvent> {
        let heard = |call: &str| {
            let (kind, till) = match call.split_at(1) {
                ("o", till) => (EventType::CashBoxOpened, till),
                (_, till) => (EventType::CashBoxClosed, till),
            };
            let cash_box_id = Some(till.to_owned()).filter(|till| !till.is_empty());
            let notice = CashBoxNotice { cash_box_id, ..CashBoxNotice::default() };
            CashBoxEvent { seq: 0, kind, at: Timestamp::UNIX_EPOCH, notice }
        };
        calls.split_whitespace().map(heard).collect()
    }

    #[rstest]
    #[case("", false)]
    #[case("o1", false)]
    #[case("o1 c1", true)]
    #[case("o1 o2 c1", false)]
    #[case("o1 o2 c1 c2", true)]
    #[case("o1 o2 c", true)]
    #[case("o c1", true)]
    #[case("c1", true)]
    #[case("o1 c1 o1", false)]
    fn the_day_is_over_once_every_till_is_closed(#[case] calls: &str, #[case] over: bool) {
        assert_eq!(all_closed(&heard(calls)), over);
    }
}
