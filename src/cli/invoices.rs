//! `tillhook invoices`: which PDFs are in the archive, and a hand for those that are not.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{
    Exit, Stop,
    args::Listing,
    desk::Desk,
    find,
    print::{self, Table},
};
use crate::{
    deliver,
    invoice::{MAX_BYTES, hex_sha256, is_pdf},
    record::Arrival,
    store::InvoiceLine,
};

/// Invoices that are looked at together.
const PAGE: u32 = 200;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Invoices {
    /// List invoices, newest first
    #[command(after_help = "Example: tillhook invoices list")]
    List(List),
    /// Try again at once to fetch an invoice that is not here
    #[command(after_help = "Example: tillhook invoices fetch 20261121042")]
    Fetch(Fetch),
    /// Prove that every stored invoice is still what was fetched
    #[command(after_help = "Example: tillhook invoices verify\n\nExit code 0: all are. 1: some are changed or lost.")]
    Verify,
    /// Put a PDF into the archive that was downloaded by hand
    #[command(after_help = "Example: tillhook invoices import facture.pdf --order 20261121042")]
    Import(Import),
}

/// How to list them.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    listing: Listing,
}

/// Which invoice to fetch.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The order: its internal id, else its number
    #[arg(value_name = "ORDER")]
    order: String,
}

/// What to put into the archive.
#[derive(Debug, Args)]
pub struct Import {
    /// The PDF
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The order: its internal id, else its number
    #[arg(long, value_name = "ORDER")]
    order: String,
    /// Also where another PDF is stored
    #[arg(long)]
    force: bool,
}

/// Carries out one of them.
///
/// # Errors
/// When something is not found or refused, or the database, the archive or the output fails.
pub async fn run(command: &Invoices, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Invoices::List(wanted) => list(wanted.listing, desk, out).await,
        Invoices::Fetch(wanted) => fetch(&wanted.order, desk, out).await,
        Invoices::Verify => verify(desk, out).await,
        Invoices::Import(wanted) => import(wanted, desk, out).await,
    }
}

async fn list(listing: Listing, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let invoices = desk.readable(desk.store.list_invoices(listing.limit).await?);
    if listing.json {
        print::page(&invoices, out)?;
    } else if invoices.is_empty() {
        writeln!(out, "no invoices yet: the till has sent no link to one")?;
    } else {
        let mut table = Table::new(&["SHOP", "ORDER", "STATUS", ">SIZE", "FILE"]);
        for invoice in invoices {
            let size = invoice.bytes.map(|bytes| print::size(bytes.unsigned_abs()));
            let error = invoice.last_error.as_ref().map(|error| print::excerpt(error, 60));
            let number = number(&invoice);
            let file = invoice.filename.or(error).unwrap_or_default();
            table.row([invoice.shop, number, invoice.status, print::or_dash(size), file]);
        }
        table.write("", out)?;
    }
    Ok(Exit::Ok)
}

fn number(invoice: &InvoiceLine) -> String {
    print::or_dash(invoice.order_id.clone().or_else(|| invoice.internal_id.clone()))
}

async fn fetch(order: &str, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let order = find::order(desk, order).await?;
    if desk.store.refetch_invoice(order.key, desk.now()).await? {
        writeln!(
            out,
            "the running service fetches it now; `tillhook orders show {}` tells how that went",
            order.order.in_command(order.key)
        )?;
        return Ok(Exit::Ok);
    }
    match desk.store.invoice(order.key).await?.and_then(|invoice| invoice.file) {
        // A second download is probably stamped DUPLICATA.
        Some(file) => {
            writeln!(out, "it is here already, and never fetched twice: {}", print::harmless(&file.path))?;
        }
        None => {
            let fix = "download it at the till, then `tillhook invoices import FILE --order ORDER`";
            return Err(Stop::with_fix(Exit::Failed, "the till sent no link to this order's invoice", fix));
        }
    }
    Ok(Exit::Ok)
}

async fn verify(desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let archive = desk.outbox().archive;
    let (mut sound, mut broken) = (0, 0);
    let mut after = None;
    loop {
        let (page, last) = desk.store.stored_invoices(after, PAGE).await?;
        if last.is_none() {
            break;
        }
        after = last;
        // Nobody can say that these are what was fetched.
        broken += page.unreadable.len() as u64;
        for invoice in desk.readable(page) {
            let (path, sha256) =
                (invoice.path.as_deref().unwrap_or_default(), invoice.sha256.as_deref().unwrap_or_default());
            match archive.verify(path, sha256).await {
                Ok(()) => sound += 1,
                Err(error) => {
                    broken += 1;
                    writeln!(out, "{}", print::harmless(&format!("order {}: {error}", number(&invoice))))?;
                }
            }
        }
    }
    if sound + broken == 0 {
        writeln!(out, "no invoice is stored yet")?;
    } else {
        writeln!(
            out,
            "{} what was fetched, {broken} changed or lost",
            print::counted(sound, "invoice is", "invoices are")
        )?;
    }
    Ok(if broken == 0 { Exit::Ok } else { Exit::Failed })
}

async fn import(wanted: &Import, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let order = find::order(desk, &wanted.order).await?;
    let bytes = pdf(&wanted.file)?;
    let stored = desk.store.invoice(order.key).await?.and_then(|invoice| invoice.file);
    let outbox = desk.outbox();
    if let Some(stored) = stored.filter(|stored| !wanted.force || stored.sha256 == hex_sha256(&bytes)) {
        if stored.sha256 != hex_sha256(&bytes) {
            let what = "another PDF is stored for this order, and subscribers may have it";
            return Err(Stop::with_fix(Exit::Refused, what, "`--force` puts this one in its place"));
        }
        outbox.archive.restore(bytes, &stored.path, &stored.sha256).await?;
        writeln!(out, "this is the PDF that is stored, and it is whole: {}", print::harmless(&stored.path))?;
        return Ok(Exit::Ok);
    }
    let file = deliver::archive_invoice(&outbox, order.key, bytes).await.map_err(anyhow::Error::msg)?;
    let path = file.path.clone();
    desk.recorder.invoice_ended(order.key, Arrival::Stored(file)).await?;
    writeln!(out, "stored as {path}; deliveries that waited for it go out now")?;
    Ok(Exit::Ok)
}

fn pdf(file: &Path) -> anyhow::Result<bytes::Bytes> {
    let bytes = find::plain_file(file, MAX_BYTES as u64)?;
    let bytes = bytes.filter(|bytes| is_pdf(bytes)).ok_or_else(|| {
        let what = format!("{} is not a PDF of at most {}", file.display(), print::size(MAX_BYTES as u64));
        Stop::with_fix(Exit::Usage, what, "give the file as the till made it")
    })?;
    Ok(bytes.into())
}
