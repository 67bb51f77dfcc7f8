//! Which night's backup is due, what it is called, and which ones are old enough to go.
//!
//! A night's backup is named after the day on the wall clock, and is made where there is no file of that name. So a night
//! has one, whatever daylight saving does to the hour, however often the service starts, and also when the machine was off
//! at the time: it is made up for at the next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};

/// How the names of our nightly backups begin; what a person makes is called otherwise, and never rotated.
const NAME: &str = "nightly-";

/// How they end.
const END: &str = ".tar.gz";

/// When backups are made by themselves, and how many stay.
#[derive(Clone, Debug)]
pub struct Nightly {
    /// The time on the wall clock.
    pub at: Time,
    /// Where that clock hangs.
    pub zone: TimeZone,
    /// How many stay; at least one.
    pub keep: usize,
}

impl Nightly {
    /// The last day whose backup is due at `now`.
    pub fn due(&self, now: Timestamp) -> Date {
        let today = now.to_zoned(self.zone.clone()).date();
        let has_come = self.moment(today).is_none_or(|at| at <= now);
        if has_come { today } else { today.saturating_sub(1.day()) }
    }

    /// When the next one is due after `now`.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let following = self.due(now).saturating_add(1.day());
        self.moment(following).filter(|at| *at > now).unwrap_or(Timestamp::MAX)
    }

    /// The name of a day's backup: `nightly-20261121.tar.gz`.
    pub fn name(&self, day: Date) -> String {
        format!("{NAME}{}{END}", day.strftime("%Y%m%d"))
    }

    /// Deletes the oldest nightly backups in `folder`, until as many are left as are kept; nothing else is touched.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be deleted.
    pub fn rotate(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut ours = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_ours(&name) && entry.file_type()?.is_file() {
                ours.push(entry.path());
            }
        }
        ours.sort();
        ours.truncate(ours.len().saturating_sub(self.keep));
        ours.iter().try_for_each(fs::remove_file)?;
        Ok(ours)
    }

    /// When the wall clock shows the time on that day: an hour that is left out is taken for the one after it, and of one that
    /// comes twice the first counts.
    fn moment(&self, day: Date) -> Option<Timestamp> {
        day.to_datetime(self.at).to_zoned(self.zone.clone()).ok().map(|at| at.timestamp())
    }
}

/// Whether it is named as only we name a nightly backup.
fn is_ours(name: &str) -> bool {
    let day = name.strip_prefix(NAME).and_then(|rest| rest.strip_suffix(END));
    day.is_some_and(|day| day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()))
}
