//! The bytes of a file that goes with a summary, made when it is sent: of what was counted, with the names of today.

use bytes::Bytes;

use super::{Line, files};
use crate::{
    invoice::Archive,
    order::{MadeFile, ReportFile},
    sink::{Reason, SinkError},
    store::{DigestLine, Store},
};

/// The file that takes the place of PDFs that were lost since they were counted.
const LOST: &str = "MANQUANT-MISSING.txt";

/// What is sent in place of a report that was erased since the summary was made: it may have named whoever asked to be
/// forgotten.
const ERASED: &str = "Ce rapport de la caisse a été effacé ici à la demande d'un client. Demandez-le à la caisse.\r\n\
    This report of the till was erased here because a customer asked to be forgotten. Ask the till for it.\r\n";

/// Makes the file. The same each time, as long as no customer is renamed or erased and no invoice is lost.
///
/// # Errors
/// What went wrong, for people. Where an order in it cannot be read there is no file: it would lack the order and not say so.
pub async fn bytes(store: &Store, archive: &Archive, file: &MadeFile) -> Result<Bytes, SinkError> {
    let lost = |detail: String| SinkError::retry(Reason::Local, detail);
    if file.kind.is_of_the_till() {
        return report(store, file).await.map_err(lost);
    }
    let lines = store.digest_lines(&file.digest).await.map_err(|error| lost(error.to_string()))?;
    if let Some(row) = lines.unreadable.first() {
        let name = &file.filename;
        let detail = format!("{name} cannot be made; {row}; make the summary anew with `tillhook digest send`");
        return Err(SinkError::reject(Reason::Local, detail));
    }
    made(archive, file, &lines).await.map_err(lost)
}

async fn made(archive: &Archive, file: &MadeFile, lines: &[DigestLine]) -> Result<Bytes, String> {
    if file.kind == ReportFile::Originals {
        return originals(archive, file, lines).await;
    }
    let lines: Vec<Line> = lines.iter().map(Line::from).collect();
    let (kind, csv, accounting) = (file.kind, file.csv, file.accounting.clone());
    let made = tokio::task::spawn_blocking(move || files::make(kind, &lines, csv, accounting.as_ref()));
    let made = made.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    made.map(|made| Bytes::from(made.bytes)).ok_or_else(|| format!("there is nothing to make {} of", file.filename))
}

/// A report, as the till gave it when the summary was made. One that is no longer kept holds up nothing.
async fn report(store: &Store, file: &MadeFile) -> Result<Bytes, String> {
    let kept = store.digest_report(&file.digest, file.kind).await.map_err(|error| error.to_string())?;
    Ok(kept.unwrap_or(Bytes::from_static(ERASED.as_bytes())))
}

/// The PDFs. One that is lost holds up nothing: it is named in a file of its own.
async fn originals(archive: &Archive, file: &MadeFile, lines: &[DigestLine]) -> Result<Bytes, String> {
    let (mut originals, mut lost) = (Vec::new(), String::new());
    let wanted = lines.iter().filter_map(|line| line.pdf.as_ref()).filter(|pdf| file.originals.contains(&pdf.sha256));
    for pdf in wanted {
        match archive.read(&pdf.path, &pdf.sha256).await {
            Ok(bytes) => originals.push((pdf.filename.clone(), bytes)),
            Err(error) => {
                tracing::error!(error = %error, "an invoice is lost or changed on disk; see `tillhook invoices verify`");
                lost += &format!("{}\r\n", pdf.filename);
            }
        }
    }
    if !lost.is_empty() {
        originals.push((LOST.to_owned(), Bytes::from(lost)));
    }
    let packed = tokio::task::spawn_blocking(move || files::zip(originals)).await.map_err(|error| error.to_string())?;
    packed.map(Bytes::from).map_err(|error| error.to_string())
}
