//! The till's own reports of a day, beside the files that we make of what we heard.
//!
//! They are asked for when the summary is made, written down with it, and sent as they came: a report that the till gives
//! tomorrow may be another one. Where the till does not give one, the summary goes without it and says so.
//!
//! **Invariant:** reports hold a summary up for [`PATIENCE`] at the most, and are never changed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::civil::Date;
use tokio::time::Instant;

use crate::order::{ReportFile, ShopId};

/// How long the till may take to give all reports of a summary: another question may be before them, each may take a
/// minute, and is asked three times.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// The largest report that is taken, in bytes.
pub const LARGEST: usize = 8 * 1024 * 1024;

/// Where reports come from.
#[async_trait]
pub trait TillReports: Send + Sync {
    /// The till's report of a shop's day, byte for byte.
    ///
    /// # Errors
    /// Why there is none, for people; without the shop's key.
    async fn report(&self, shop: &ShopId, day: Date, kind: ReportFile) -> Result<Bytes, String>;
}

/// A way to the reports of the shops whose till has an API.
pub type Reports = Arc<dyn TillReports>;

/// Asks for the reports of a day. Returns those that came, and the names of the others.
pub(super) async fn fetch(
    reports: Option<&Reports>,
    shop: &ShopId,
    day: Date,
    wanted: &[ReportFile],
) -> (Vec<(ReportFile, Bytes)>, Vec<ReportFile>) {
    let (mut came, mut without) = (Vec::new(), Vec::new());
    let until = Instant::now() + PATIENCE;
    for kind in wanted {
        match fetch_one(reports, shop, day, *kind, until).await {
            Ok(bytes) => came.push((*kind, bytes)),
            Err(reason) => {
                let file = kind.as_str();
                tracing::warn!(shop.id = %shop, report.file = file, report.reason = %reason, "the till gives no report; the summary goes without it");
                without.push(*kind);
            }
        }
    }
    (came, without)
}

async fn fetch_one(
    reports: Option<&Reports>,
    shop: &ShopId,
    day: Date,
    kind: ReportFile,
    until: Instant,
) -> Result<Bytes, String> {
    let reports = reports.ok_or("the shop has no table `api`")?;
    let report = tokio::time::timeout_at(until, reports.report(shop, day, kind)).await;
    let bytes = report.map_err(|_| format!("the till took more than {} minutes", PATIENCE.as_secs() / 60))??;
    match bytes.len() {
        0 => Err("it is empty".to_owned()),
        1..=LARGEST => Ok(bytes),
        _ => Err(format!("it has more than {} MiB", LARGEST / 1024 / 1024)),
    }
}
