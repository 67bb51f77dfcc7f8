//! Fetching invoices: each link once, in the background, so that a slow till holds nobody up.
//!
//! A second download is probably stamped DUPLICATA, so a link is followed until it gives a PDF and never again. Links are
//! followed a few at a time; one that fails is tried again for a week, then the invoice is missing and someone is told.

use std::time::Duration;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;

use super::{
    Outbox,
    attempt::random,
    errands::{Errands, wait_after},
};
use crate::{
    invoice,
    order::{OrderKey, ShopId, day_of, hex},
    record::Arrival,
    sink::TillHost,
    store::{DueInvoice, FetchFailure, StoreError, StoredFile},
};

/// How many links are followed at the same time.
pub const CONCURRENCY: usize = 4;

/// How long a download may take.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a link is asked that gives only the beginning of a PDF (contract §5, Invoice).
pub const CUT_OFF: u32 = 3;

/// How long to wait before a PDF that could not be kept is put away again.
const KEEP_AGAIN: Duration = Duration::from_secs(5);

/// How long to wait at the most before a link is followed again, until [`GIVE_UP_AFTER`].
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// How long after the first link the invoice is missing for good (contract §5, Invoice).
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// Where a shop's links may lead.
pub type HostsOf = std::sync::Arc<dyn Fn(&ShopId) -> Vec<TillHost> + Send + Sync>;

/// Fetches what is due until `shutdown`. Downloads that are under way may end: what is cut off is downloaded again at the next
/// start, and then stamped DUPLICATA.
pub async fn run(outbox: Outbox, hosts: HostsOf, shutdown: CancellationToken) {
    let mut errands = Errands::new(&outbox, "fetching an invoice", CONCURRENCY);
    while !shutdown.is_cancelled() {
        let next = launch(&outbox, &hosts, &mut errands).await;
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = errands.rest(next, true) => {}
        }
    }
    errands.wind_up().await;
}

async fn launch(
    outbox: &Outbox,
    hosts: &HostsOf,
    errands: &mut Errands<OrderKey>,
) -> Result<Option<Timestamp>, StoreError> {
    let now = errands.look();
    for invoice in outbox.store.due_invoices(now, errands.wanted()).await? {
        // A shop that is no longer configured has no hosts, and no name to keep its invoice under.
        if outbox.recorder.shop(&invoice.shop).is_some() {
            let (outbox, hosts) = (outbox.clone(), hosts(&invoice.shop));
            errands.send(invoice.order, async move { fetch(&outbox, &hosts, invoice).await });
        }
    }
    outbox.store.next_invoice_at().await
}

/// Follows one link and records how that ended.
async fn fetch(outbox: &Outbox, hosts: &[TillHost], due: DueInvoice) -> Result<(), StoreError> {
    let error = match invoice::fetch(hosts, &due.url, TIMEOUT).await {
        Ok(bytes) => {
            keep(outbox, &due, bytes).await;
            return Ok(());
        }
        Err(error) => error,
    };
    let (now, is_cut_off) = (outbox.clock.now(), error.is_cut_off());
    let was_last = is_cut_off && due.cut_off + 1 >= CUT_OFF;
    let reason = match was_last {
        true => format!("{error}, {CUT_OFF} times; print the invoice at the till and use `tillhook invoices import`"),
        false => error.to_string(),
    };
    if error.is_final() || was_last || now >= due.first_seen_at + GIVE_UP_AFTER {
        return give_up(outbox, &due, reason).await;
    }
    tracing::warn!(invoice.attempt = due.attempts + 1, invoice.reason = %reason, "an invoice could not be fetched yet");
    let wait = wait_after(due.attempts, LONGEST_WAIT);
    let again_at = (now + wait + wait * (random() % 100) / 1000).min(due.first_seen_at + GIVE_UP_AFTER);
    outbox.store.invoice_failed(due.order, FetchFailure { url: due.url, reason, again_at, is_cut_off }).await
}

async fn give_up(outbox: &Outbox, due: &DueInvoice, reason: String) -> Result<(), StoreError> {
    tracing::error!(invoice.attempt = due.attempts + 1, invoice.reason = %reason, "an invoice cannot be had; see `tillhook invoices list`");
    outbox.recorder.invoice_ended(due.order, Arrival::Missing { url: due.url.clone(), reason }).await
}

/// Puts a PDF into the archive, then into the database: a file without a row is harmless, a row without a file is not.
/// Tries until both took it: a second download would be stamped DUPLICATA.
async fn keep(outbox: &Outbox, due: &DueInvoice, bytes: Bytes) {
    while let Err(error) = try_to_keep(outbox, due, bytes.clone()).await {
        tracing::error!(error = %error, "an invoice that was fetched could not be kept yet; trying again");
        outbox.clock.sleep(KEEP_AGAIN).await;
    }
}

async fn try_to_keep(outbox: &Outbox, due: &DueInvoice, bytes: Bytes) -> Result<(), String> {
    let file = file(outbox, due.order, bytes).await?;
    let stored = outbox.recorder.invoice_ended(due.order, Arrival::Stored(file)).await;
    stored.map_err(|error| error.to_string())
}

/// Archives the PDF of an order under the name of contract §5; of one that cannot be read, under its key.
///
/// # Errors
/// What went wrong, for people.
pub async fn file(outbox: &Outbox, order: OrderKey, bytes: Bytes) -> Result<StoredFile, String> {
    let (date, filename) = match outbox.store.order(order).await {
        // The PDF is kept all the same: a second download would be stamped DUPLICATA.
        Err(StoreError::Corrupt(_)) => (day_of(outbox.clock.now(), &TimeZone::UTC), format!("{order}.pdf")),
        stored => {
            let stored = stored.map_err(|error| error.to_string())?.ok_or("the order is not in the database")?;
            let policy = outbox.recorder.shop(&stored.shop).ok_or("the shop is no longer configured")?;
            (stored.order.dates.booked().civil().date(), invoice::filename(&stored.order, &policy.shop))
        }
    };
    let kept = outbox.archive.store(bytes, date).await.map_err(|error| error.to_string())?;
    let mut capability = [0; 16];
    getrandom::fill(&mut capability).map_err(|error| error.to_string())?;
    Ok(StoredFile { sha256: kept.sha256, bytes: kept.bytes, filename, path: kept.path, capability: hex(capability) })
}
