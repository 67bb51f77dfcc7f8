//! Sales as files in a folder: for a sync program, a share, or anything that watches a directory.
//!
//! **Invariant:** a file is there whole or not at all, under a name of ours inside the folder, readable by its owner
//! alone; writing it again changes nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Attach, BuildError, Context, Delivery, Handle, InvoiceFile, Kind, Outgoing, Payload, Receipt, Sink, SinkError,
    verdict::Reason,
};
use crate::order::{SinkName, read_kept};

/// How long a file name may be, in bytes: what every file system takes, with room for our temporary suffix.
const LONGEST_NAME: usize = 200;

/// The keys of a folder sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The folder; it must exist.
    pub path: PathBuf,
    /// What is written beside the event.
    #[serde(default)]
    pub attach: Vec<Attach>,
    /// Whether the customer's e-mail, telephone, address and extra fields are written too.
    #[serde(default)]
    pub include_customer: bool,
}

impl Kind for Options {
    fn attaches_invoice(&self) -> bool {
        self.attach.contains(&Attach::Invoice)
    }

    fn problems(&self) -> Vec<String> {
        if self.path.is_dir() {
            return Vec::new();
        }
        vec![
            "has a `path` that is no folder: create it, and let tillhook write there; until then its messages wait"
                .to_owned(),
        ]
    }

    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        if self.path.as_os_str().is_empty() {
            return Err(BuildError::new("`path` is empty", "name a folder that exists"));
        }
        Ok(Arc::new(Folder(self.clone())))
    }
}

struct Folder(Options);

#[async_trait]
impl Sink for Folder {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let invoice = outgoing.invoice.clone().filter(|_| self.0.attaches_invoice());
        Ok(Payload {
            content_type: "application/json".to_owned(),
            body: format!("{:#}\n", outgoing.event.to_json(self.0.include_customer)),
            attachments: invoice.into_iter().collect(),
            made: Vec::new(),
        })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let (folder, delivery) = (self.0.path.clone(), delivery.clone());
        blocking(&self.0.path, move || write_delivery(&folder, &delivery)).await?;
        Ok(Receipt { status: "written".to_owned(), ..Receipt::default() })
    }

    async fn check(&self) -> Result<String, SinkError> {
        let folder = self.0.path.clone();
        blocking(&self.0.path, move || {
            let probe = folder.join(".tillhook-check");
            write_whole(&probe, b"")?;
            fs::remove_file(probe)
        })
        .await?;
        Ok("the folder can be written".to_owned())
    }
}

/// Files are written on a thread of their own: a network share can take its time.
async fn blocking(folder: &Path, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), SinkError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(|error| {
        let folder = folder.display();
        let why = match error.kind() {
            io::ErrorKind::NotFound => format!("the folder {folder} does not exist"),
            _ => format!("the folder {folder} cannot be written: {error}"),
        };
        SinkError::retry(Reason::Local, why)
    })
}

/// The PDF first: who sees the event finds its invoice.
fn write_delivery(folder: &Path, delivery: &Delivery) -> io::Result<()> {
    for (file, bytes) in delivery.payload.attachments.iter().zip(&delivery.attachments) {
        write_whole(&invoice_path(folder, file, bytes)?, bytes)?;
    }
    write_whole(&folder.join(event_name(delivery)?), delivery.payload.body.as_bytes())
}

/// `20261121T130540Z_evt_….json`: sorts by time, and is the same on every attempt.
fn event_name(delivery: &Delivery) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Stamp {
        timestamp: Timestamp,
    }
    let Stamp { timestamp } = read_kept(&delivery.payload.body)?;
    let time = timestamp.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    Ok(format!("{time}_{}.json", delivery.event_id))
}

/// Where an invoice goes: under its own name, unless another invoice has that name already.
fn invoice_path(folder: &Path, file: &InvoiceFile, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = harmless(&file.filename);
    let path = folder.join(&name);
    match fs::read(&path) {
        Ok(present) if present != bytes => {
            let digest: String = harmless(&file.sha256).chars().take(16).collect();
            Ok(folder.join(format!("{digest}_{name}")))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(path),
    }
}

/// A name that cannot leave the folder, hide in it, or be taken for our temporary files.
fn harmless(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = name.chars().map(plain).take(LONGEST_NAME).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "invoice.pdf".to_owned() } else { name.to_owned() }
}

/// Writes under a temporary name in the same folder, makes sure that the bytes are on disk, and only then renames.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let temporary = folder.join(format!(".{}.part", name.to_string_lossy()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bytes::Bytes;

    use super::*;
    use crate::sink::testing::{delivery, options, sale, sink};

    const PDF: &[u8] = b"%PDF-1.7 one";

    fn invoice(filename: &str) -> InvoiceFile {
        InvoiceFile { sha256: "ab".repeat(32), filename: filename.to_owned(), bytes: PDF.len() as u64 }
    }

    async fn deliver(folder: &Path, filename: &str, pdf: &'static [u8]) -> Delivery {
        let keys = format!("path = '{}'\nattach = ['invoice']", folder.display());
        let sink = sink("folder", &keys);
        let sale = Outgoing { invoice: Some(invoice(filename)), ..sale() };
        let mut message = delivery(&sale, sink.render(&sale).expect("a payload"));
        message.attachments.push(Bytes::from_static(pdf));
        sink.send(&message).await.expect("written");
        sink.send(&message).await.expect("written again");
        message
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn an_event_and_its_invoice_are_written_once_however_often_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let message = deliver(folder.path(), "20261121_F42.pdf", PDF).await;
        let event = format!("20261121T130540Z_{}.json", message.event_id);
        assert_eq!(names(folder.path()), [event.clone(), "20261121_F42.pdf".to_owned()]);
        assert_eq!(fs::read(folder.path().join("20261121_F42.pdf")).expect("the PDF"), PDF);
        assert_eq!(fs::read_to_string(folder.path().join(&event)).expect("the event"), message.payload.body);
        let mode = fs::metadata(folder.path().join(event)).expect("the event").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn two_invoices_of_one_name_are_both_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        deliver(folder.path(), "F42.pdf", PDF).await;
        deliver(folder.path(), "F42.pdf", b"%PDF-1.7 two").await;
        let pdfs: Vec<String> = names(folder.path()).into_iter().filter(|name| name.ends_with(".pdf")).collect();
        assert_eq!(pdfs, ["F42.pdf", "abababababababab_F42.pdf"]);
        assert_eq!(fs::read(folder.path().join("F42.pdf")).expect("the first"), PDF);
    }

    #[tokio::test]
    async fn no_file_name_leaves_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        for filename in ["../out.pdf", "/etc/out.pdf", "..", "", ".hidden", "a\0b", "é/\\"] {
            deliver(&inner, filename, PDF).await;
        }
        assert_eq!(names(folder.path()), ["inner"]);
        assert!(names(&inner).iter().all(|name| !name.starts_with('.')));
    }

    #[tokio::test]
    async fn a_missing_folder_is_tried_again_and_found_by_the_check() {
        let sink = sink("folder", "path = '/nonexistent/folder'");
        let sent = sink.send(&delivery(&sale(), sink.render(&sale()).expect("a payload"))).await;
        assert!(matches!(sent, Err(SinkError::Retry { reason: Reason::Local, .. })));
        assert!(sink.check().await.is_err());
        assert_eq!(options("folder", "path = '/nonexistent/folder'").problems().len(), 1);
    }
}
