//! From what somebody typed to what is meant: orders, deliveries, sinks, shops, files, times.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use jiff::{Span, Timestamp, civil, tz::TimeZone};
use rustix::fs::{Mode, OFlags};

use super::{
    Exit, Stop,
    desk::Desk,
    print::{self, Table},
};
use crate::{
    config::{Config, unreadable_file},
    order::{DeliveryId, ReceiptId, ShopId, SinkName},
    store::{Called, StoredOrder, UnreadableRow},
};

/// How alike two names must be for one to be taken for a slip of the other (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.8;

/// The most that is read of a file or a pipe, in bytes: far more than any call has.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How many matches are listed where a text may mean several things.
const MATCHES: usize = 10;

/// The order that is called `name`: by its internal id, else by its number.
///
/// # Errors
/// When there is none (exit 3), more than one (exit 2), or one that may be meant cannot be read.
pub async fn order(desk: &Desk, name: &str) -> anyhow::Result<StoredOrder> {
    let (mut found, mut unreadable) = desk.store.orders_called(name).await?.into_parts();
    // Two shops may have the same numbers, of both kinds.
    if let (true, Some((shop, number))) = (found.is_empty() && unreadable.is_empty(), name.split_once('/')) {
        (found, unreadable) = desk.store.orders_called(number).await?.into_parts();
        found.retain(|order| order.shop.as_str() == shop);
        unreadable.retain(|order| order.shop.as_deref() == Some(shop));
    }
    if let Some(row) = unreadable.first() {
        return Err(self::unreadable(row));
    }
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => {
            let what = format!("there is no order `{name}`");
            Err(Stop::with_fix(Exit::NotFound, what, "see `tillhook orders list` for those that there are"))
        }
        _ => Err(Stop::new(Exit::Usage, ambiguous(desk, name, &found)).into()),
    }
}

/// That something is there and cannot be read.
pub fn unreadable(row: &UnreadableRow) -> anyhow::Error {
    let what = format!("what is stored of {} cannot be read", print::harmless(&row.to_string()));
    let fix = "see \"A row that cannot be read\" in docs/en/backup.md: restore a backup, or report it";
    Stop::with_fix(Exit::Failed, what, fix)
}

fn ambiguous(desk: &Desk, name: &str, found: &[StoredOrder]) -> String {
    let mut table = Table::new(&["SHOP", "INTERNAL ID", "RECEIVED", ">TOTAL", ""]);
    for one in found.iter().take(MATCHES) {
        table.row([
            one.shop.to_string(),
            one.order.internal_id.clone().unwrap_or_else(|| "–".to_owned()),
            desk.time(one.received_at, Some(one.shop.as_str())),
            one.order.total.map_or_else(String::new, |total| total.to_string()),
            if one.test { "test".to_owned() } else { String::new() },
        ]);
    }
    let mut matches = Vec::new();
    // Writing to memory cannot fail.
    let _ = table.write("  ", &mut matches);
    let matches = String::from_utf8_lossy(&matches).into_owned();
    let more = and_more(found.len() as u64);
    let shop = found.first().map(|one| one.shop.as_str()).unwrap_or_default();
    let fix = match found.iter().all(|one| one.shop.as_str() == shop) {
        true => "give the internal id".to_owned(),
        false => format!("say whose it is: {shop}/{name}"),
    };
    format!("`{name}` may be any of {} orders\n{matches}{more}  fix: {fix}", found.len())
}

/// How many matches there are beyond those that are listed.
fn and_more(all: u64) -> String {
    match all.saturating_sub(MATCHES as u64) {
        0 => String::new(),
        more => format!("  and {more} more\n"),
    }
}

/// The delivery whose id begins with `text`.
///
/// # Errors
/// When there is none (exit 3), or more than one (exit 2).
pub async fn delivery(desk: &Desk, text: &str) -> anyhow::Result<DeliveryId> {
    the_one(desk.store.deliveries_called(text, MATCHES).await?, text, "deliveries", || {
        let what = format!("there is no delivery `{text}`");
        Stop::with_fix(Exit::NotFound, what, "see `tillhook deliveries list` for those that there are")
    })
}

/// The call that was quarantined and whose id begins with `text`.
///
/// # Errors
/// When there is none (exit 3), or more than one (exit 2).
pub async fn quarantined(desk: &Desk, text: &str) -> anyhow::Result<ReceiptId> {
    the_one(desk.store.quarantined_called(text, MATCHES).await?, text, "calls", || {
        let what = format!("no call `{text}` is in quarantine");
        Stop::with_fix(Exit::NotFound, what, "see `tillhook quarantine list` for those that are")
    })
}

/// The only match there is.
fn the_one<T: Copy + ToString>(
    found: Called<T>,
    text: &str,
    things: &str,
    none: impl FnOnce() -> anyhow::Error,
) -> anyhow::Result<T> {
    match found.first[..] {
        [id] => Ok(id),
        [] => Err(none()),
        _ => {
            let ids: String = found.first.iter().map(|id| format!("  {}\n", id.to_string())).collect();
            let more = and_more(found.all);
            let message =
                format!("`{text}` may be any of {} {things}\n{ids}{more}  fix: give more of the id", found.all);
            Err(Stop::new(Exit::Usage, message).into())
        }
    }
}

/// The configured sink of this name.
///
/// # Errors
/// When there is none (exit 3).
pub fn sink(config: &Config, name: &str) -> anyhow::Result<SinkName> {
    let known = config.sinks.keys();
    known
        .clone()
        .find(|sink| sink.as_str() == name)
        .cloned()
        .ok_or_else(|| unknown("sink", name, known.map(SinkName::as_str)))
}

/// The sink of this name, configured or known from earlier.
///
/// # Errors
/// When there is none (exit 3).
pub async fn any_sink(desk: &Desk, name: &str) -> anyhow::Result<SinkName> {
    let earlier = desk.readable(desk.store.list_sinks().await?).into_iter().map(|line| line.name);
    match earlier.into_iter().find(|sink| sink.as_str() == name) {
        Some(sink) => Ok(sink),
        None => sink(&desk.config, name),
    }
}

/// The configured shop of this name.
///
/// # Errors
/// When there is none (exit 3).
pub fn shop(config: &Config, name: &str) -> anyhow::Result<ShopId> {
    let known = config.shops.keys();
    known
        .clone()
        .find(|shop| shop.as_str() == name)
        .cloned()
        .ok_or_else(|| unknown("shop", name, known.map(ShopId::as_str)))
}

/// That no `thing` is called `name`, with what may have been meant.
pub fn unknown<'a>(thing: &str, name: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let known: Vec<&str> = known.collect();
    let likeness = |candidate: &&str| strsim::jaro_winkler(name, candidate);
    let closest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let all = known.join(", ");
    let fix = match closest {
        None => format!("no {thing} is configured: add a [{thing}.NAME] table"),
        Some(closest) if likeness(&closest) >= ALIKE => format!("did you mean `{closest}`? There are: {all}"),
        Some(_) => format!("use one of: {all}"),
    };
    Stop::with_fix(Exit::NotFound, format!("there is no {thing} `{name}`"), fix)
}

/// What is in this file, or comes out of this pipe.
///
/// # Errors
/// When it cannot be read, or is larger than any call (exit 2).
pub fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = File::open(path).and_then(|file| at_most(file, LARGEST)).map_err(|error| unusable(path, &error))?;
    bytes.ok_or_else(|| {
        let what = format!("{} has more than {}", path.display(), print::size(LARGEST));
        Stop::with_fix(Exit::Usage, what, "give a file that has one call")
    })
}

/// What is in this file; `None` where it has more than `limit` bytes, or is no file but a folder, a pipe or a device.
///
/// # Errors
/// When it cannot be read (exit 2).
pub fn plain_file(path: &Path, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
    // Nobody waits for a pipe.
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let read = opened.map_err(io::Error::from).map(File::from).and_then(|file| {
        let found = file.metadata()?;
        if found.is_file() && found.len() <= limit { at_most(file, limit) } else { Ok(None) }
    });
    read.map_err(|error| unusable(path, &error))
}

/// What is read until the end; `None` where that is more than `limit` bytes.
fn at_most(file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
}

fn unusable(path: &Path, error: &io::Error) -> anyhow::Error {
    let (what, fix) = unreadable_file(path, error);
    Stop::with_fix(Exit::Usage, what, fix)
}

/// The time that `text` means: an instant with its offset, a date or time on the wall clock of `zone`, or how long ago.
///
/// # Errors
/// When it is none of these, or not in the past (exit 2).
pub fn time(text: &str, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Timestamp> {
    let at = text.parse().ok().or_else(|| on_the_wall(text, zone)).or_else(|| ago(text, zone, now));
    at.filter(|at| *at <= now).ok_or_else(|| {
        let what = format!("`{text}` is no time in the past");
        Stop::with_fix(Exit::Usage, what, "write 2026-11-21, 2026-11-21T08:00, 2026-11-21T08:00:00+01:00, 2h or 3d")
    })
}

fn on_the_wall(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let civil: civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
}

fn ago(text: &str, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let span: Span = text.parse().ok()?;
    Some(now.to_zoned(zone.clone()).checked_sub(span).ok()?.timestamp())
}
