//! Which night's backup is due, and which ones go.

use std::fs;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{date, time},
    tz::TimeZone,
};

use crate::upkeep::Nightly;

fn nightly(hour: i8, minute: i8) -> Nightly {
    Nightly { at: time(hour, minute, 0, 0), zone: TimeZone::get("Europe/Paris").unwrap(), keep: 3 }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_backup_is_due_from_its_time_on_the_shops_clock_until_the_next_one_is() {
    let nightly = nightly(3, 30);
    assert_eq!(nightly.due(at("2026-11-21T02:29:59Z")), date(2026, 11, 20));
    assert_eq!(nightly.due(at("2026-11-21T02:30:00Z")), date(2026, 11, 21));
    assert_eq!(nightly.due(at("2026-11-21T23:59:00Z")), date(2026, 11, 21));
    assert_eq!(nightly.next(at("2026-11-21T02:29:59Z")), at("2026-11-21T02:30:00Z"));
    assert_eq!(nightly.next(at("2026-11-21T02:30:00Z")), at("2026-11-22T02:30:00Z"));
}

#[test]
fn every_night_has_one_backup_whatever_daylight_saving_does_to_the_hour() {
    for nightly in [nightly(2, 30), nightly(3, 0), nightly(0, 0), nightly(23, 59)] {
        for start in ["2026-10-22T12:00:00Z", "2027-03-25T12:00:00Z"] {
            let mut now = at(start);
            let mut day = nightly.due(now);
            for _ in 0..8 {
                let next = nightly.next(now);
                assert!(next > now);
                assert_eq!(nightly.due(next), day.tomorrow().unwrap());
                assert_eq!(nightly.due(next - 1.second()), day, "not a second before its time");
                (now, day) = (next, day.tomorrow().unwrap());
            }
        }
    }
}

#[test]
fn only_our_own_nightly_backups_are_rotated_away_and_the_oldest_first() {
    let home = tempfile::tempdir().unwrap();
    let theirs = [
        "tillhook-20200101-000000.tar.gz",
        "before-schema-2-20200101-000000.tar.gz",
        "nightly-20200101.tar",
        "nightly-2020010a.tar.gz",
        "nightly-20200101.tar.gz.bak",
        "notes.txt",
    ];
    for name in theirs {
        fs::write(home.path().join(name), "").unwrap();
    }
    fs::create_dir(home.path().join("nightly-20200102.tar.gz")).unwrap();
    for day in 10..20 {
        fs::write(home.path().join(format!("nightly-202611{day}.tar.gz")), "").unwrap();
    }
    assert_eq!(nightly(3, 30).rotate(home.path()).unwrap().len(), 7);
    let mut left: Vec<String> =
        fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| !theirs.contains(&name.as_str()));
    left.sort();
    let kept =
        ["nightly-20200102.tar.gz", "nightly-20261117.tar.gz", "nightly-20261118.tar.gz", "nightly-20261119.tar.gz"];
    assert_eq!(left, kept);
    assert!(theirs.iter().all(|name| home.path().join(name).exists()));
    assert!(nightly(3, 30).rotate(home.path()).unwrap().is_empty());
}
