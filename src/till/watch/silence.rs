//! A till that says nothing though it should: its address may have been changed, or its way here be broken.
//!
//! It should where it is open (between an opening and a closing), or at an hour at which the shop usually sells: one at
//! which it sold on three of the last four such days. So no night, no Sunday and no lunch break is a silence; a holiday may be
//! one, and is told once.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    iter::successors,
    time::Duration,
};

use jiff::{Timestamp, ToSpan as _, civil::Date};
use serde_json::json;

use super::Watch;
use crate::{
    digest,
    order::{EventType, Shop},
    store::{Changes, StoreError, TillWord},
};

/// How many weeks back a day is compared with.
const WEEKS: i64 = 4;

/// On how many of these days a shop sold at an hour at which it usually sells.
const USUALLY: usize = 3;

/// How far back openings and closings are looked for: a night and a day.
const A_DAY: Duration = Duration::from_hours(36);

const AN_HOUR: Duration = Duration::from_hours(1);

/// The hours at which a shop sold, by day.
type Days = HashMap<Date, HashSet<i8>>;

/// Looks whether the till said something, and tells where it is silent for too long.
pub(super) async fn look(watch: &Watch, shop: &Shop, after: Duration, now: Timestamp) -> Result<(), StoreError> {
    let store = &watch.store;
    let known = store.till_word(&shop.id).await?;
    let newest = store.newest_word(&shop.id, known.map_or(0, |known| known.seen)).await?;
    let word = match (newest, known) {
        (Some((seen, said_at)), _) => TillWord { seen, said_at, told_at: None },
        (None, Some(known)) => known,
        // It never said anything: it is not set up yet.
        (None, None) => return Ok(()),
    };
    let is_well =
        word.told_at.is_some() || now < word.said_at + after || !should_speak(watch, shop, after, now).await?;
    if is_well {
        return match newest {
            Some(_) => store.note_till_word(&shop.id, word, Changes::default).await,
            None => Ok(()),
        };
    }
    let (recorder, of_shop, facts) = (watch.recorder.clone(), shop.id.clone(), json!({ "since": word.said_at }));
    let words = move || recorder.alert_of_shop(EventType::TillSilent, &of_shop, &facts, now);
    store.note_till_word(&shop.id, TillWord { told_at: Some(now), ..word }, words).await?;
    tracing::warn!(shop.id = %shop.id, since = %word.said_at, "the till says nothing any more");
    Ok(())
}

/// Whether the till is open, or the shop usually sells all the time since it should have spoken.
async fn should_speak(watch: &Watch, shop: &Shop, after: Duration, now: Timestamp) -> Result<bool, StoreError> {
    let lately = watch.store.cash_box_events(&shop.id, now - A_DAY, now).await?;
    if digest::is_open(&lately) {
        return Ok(true);
    }
    let hours = successors(Some(now - after), |hour| Some(*hour + AN_HOUR)).take_while(|hour| *hour < now).chain([now]);
    let mut days = HashMap::new();
    for hour in hours {
        if !usually_sells(watch, shop, hour, &mut days).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the shop sold at that hour on most of these days of the weeks before. `days` are those that were looked up.
async fn usually_sells(watch: &Watch, shop: &Shop, at: Timestamp, days: &mut Days) -> Result<bool, StoreError> {
    let at = at.to_zoned(shop.timezone.clone());
    let mut sold = 0;
    for week in 1..=WEEKS {
        let hours = match days.entry(at.date().saturating_sub((week * 7).days())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let times = watch.store.sold_at(&shop.id, *unknown.key()).await?;
                unknown.insert(times.into_iter().map(|time| time.to_zoned(shop.timezone.clone()).hour()).collect())
            }
        };
        sold += usize::from(hours.contains(&at.hour()));
    }
    Ok(sold >= USUALLY)
}
