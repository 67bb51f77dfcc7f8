//! Sales as files in a folder: for a sync program, a share, or anything that watches a directory.
//!
//! **Invariant:** a file is there whole or not at all, under a name of ours inside the folder, readable by its owner
//! alone; writing it again changes nothing.

mod place;

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::place::{Fault, Place};
use super::{
    Attach, BuildError, Context, Delivery, Handle, InvoiceFile, Kind, Outgoing, Payload, Receipt, Sink, SinkError,
    verdict::Reason,
};
use crate::{json, order::SinkName};

/// How long a file name may be, in bytes: what every file system takes, with room for a digest before it and for what
/// makes it a temporary name.
const LONGEST_NAME: usize = 180;

/// How many threads may work on a folder, whatever they wait for.
const THREADS: usize = 4;

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
        Ok(Arc::new(Folder::new(self.clone())))
    }
}

struct Folder {
    options: Options,
    /// What works on the folder at the same time.
    threads: Arc<Semaphore>,
}

#[async_trait]
impl Sink for Folder {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let invoice = outgoing.invoice.clone().filter(|_| self.options.attaches_invoice());
        Ok(Payload {
            content_type: "application/json".to_owned(),
            body: format!("{:#}\n", outgoing.event.to_json(self.options.include_customer)),
            attachments: invoice.into_iter().collect(),
            made: Vec::new(),
        })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let delivery = delivery.clone();
        self.blocking(move |place| write_delivery(place, &delivery)).await?;
        Ok(Receipt { status: "written".to_owned(), ..Receipt::default() })
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.blocking(|place| {
            place.write_whole(PROBE, "check", b"")?;
            place.remove(PROBE)
        })
        .await?;
        Ok("the folder can be written".to_owned())
    }
}

/// What the check writes, and takes away again.
const PROBE: &str = ".tillhook-check";

impl Folder {
    fn new(options: Options) -> Self {
        Self { options, threads: Arc::new(Semaphore::new(THREADS)) }
    }

    /// Files are written on a thread of their own: a network share can take its time. One that hangs keeps its thread
    /// after the attempt has given up, so there are only so many.
    async fn blocking(&self, work: impl FnOnce(&Place) -> Result<(), Fault> + Send + 'static) -> Result<(), SinkError> {
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let folder = self.options.path.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            work(&Place::open(&folder)?)
        });
        let done = done.await.map_err(|error| Fault::Io(io::Error::other(error))).flatten();
        done.map_err(|fault| SinkError::retry(Reason::Local, fault.said_of(&self.options.path)))
    }
}

/// The PDF first: who sees the event finds its invoice.
fn write_delivery(place: &Place, delivery: &Delivery) -> Result<(), Fault> {
    let event = delivery.event_id.to_string();
    for (file, bytes) in delivery.payload.attachments.iter().zip(&delivery.attachments) {
        place.write_whole(&invoice_name(place, file, bytes)?, &event, bytes)?;
    }
    place.write_whole(&event_name(delivery)?, &event, delivery.payload.body.as_bytes())
}

/// `20261121T130540Z_evt_….json`: sorts by time, and is the same on every attempt.
fn event_name(delivery: &Delivery) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Stamp {
        timestamp: Timestamp,
    }
    let Stamp { timestamp } = json::kept(&delivery.payload.body).map_err(io::Error::from)?;
    let time = timestamp.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    Ok(format!("{time}_{}.json", delivery.event_id))
}

/// The name of an invoice: its own, unless another invoice has that name already.
fn invoice_name(place: &Place, file: &InvoiceFile, bytes: &[u8]) -> Result<String, Fault> {
    let name = harmless(&file.filename);
    if place.has_other(&name, bytes)? {
        let digest: String = harmless(&file.sha256).chars().take(16).collect();
        return Ok(format!("{digest}_{name}"));
    }
    Ok(name)
}

/// A name that cannot leave the folder, hide in it, or be taken for our temporary files.
fn harmless(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = name.chars().map(plain).take(LONGEST_NAME).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "invoice.pdf".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

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
    async fn what_is_no_file_is_neither_followed_nor_waited_for_nor_replaced() {
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let secret = outside.path().join("secret");
        fs::write(&secret, PDF).expect("a file");
        let sink = sink("folder", &format!("path = '{}'\nattach = ['invoice']", folder.path().display()));
        let message = |filename: &str| {
            let sale = Outgoing { invoice: Some(invoice(filename)), ..sale() };
            let mut message = delivery(&sale, sink.render(&sale).expect("a payload"));
            message.attachments.push(Bytes::from_static(PDF));
            message
        };
        let pipe = |name: &str| {
            mknodat(CWD, folder.path().join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
        };
        let link = |name: &str| std::os::unix::fs::symlink(&secret, folder.path().join(name)).expect("a link");
        let below = |name: &str| fs::create_dir(folder.path().join(name)).expect("a folder");

        let by_event: Vec<Delivery> = ["1.pdf", "2.pdf", "3.pdf"].map(message).into();
        let event = |nth: usize| event_name(&by_event[nth]).expect("a name");
        pipe("pipe.pdf");
        link("link.pdf");
        below("below.pdf");
        pipe(&event(0));
        link(&event(1));
        below(&event(2));
        let mut awkward: Vec<Delivery> = ["pipe.pdf", "link.pdf", "below.pdf"].map(message).into();
        awkward.extend(by_event);
        let whats = ["a named pipe", "a symbolic link", "a folder"].into_iter().cycle();
        for (message, what) in awkward.iter().zip(whats) {
            let Err(error @ SinkError::Retry { reason: Reason::Local, .. }) = sink.send(message).await else {
                panic!("{what} is in the way");
            };
            let said = error.detail();
            assert!(said.contains(what) && said.contains(": move it away"), "{said}");
            assert!(said.contains(&folder.path().display().to_string()), "{said}");
        }
        assert_eq!(fs::read(&secret).expect("it is there"), PDF);
        sink.send(&message("other.pdf")).await.expect("others go on");
        assert_eq!(fs::read(folder.path().join("other.pdf")).expect("the PDF"), PDF);
    }

    #[tokio::test]
    async fn what_was_planted_under_a_temporary_name_is_not_written_through() {
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let secret = outside.path().join("secret");
        fs::write(&secret, b"kept").expect("a file");
        let sink = sink("folder", &format!("path = '{}'", folder.path().display()));
        let message = delivery(&sale(), sink.render(&sale()).expect("a payload"));
        let name = event_name(&message).expect("a name");
        let temporary = folder.path().join(format!(".{name}.{}.part", message.event_id));
        std::os::unix::fs::symlink(&secret, &temporary).expect("a link");
        sink.send(&message).await.expect("written");
        assert_eq!(fs::read(&secret).expect("it is there"), b"kept");
        assert_eq!(names(folder.path()), std::slice::from_ref(&name));

        fs::create_dir(&temporary).expect("a folder");
        let error = sink.send(&message).await.expect_err("it is in the way");
        assert!(error.detail().contains("is a folder and no file"), "{error}");
        fs::remove_dir(&temporary).expect("it goes");
        sink.send(&message).await.expect("written again");
        assert_eq!(names(folder.path()), [name]);
    }

    #[tokio::test]
    async fn a_share_that_hangs_costs_no_thread_for_each_attempt() {
        let place = tempfile::tempdir().expect("a folder");
        let keys = format!("path = '{}'", place.path().display());
        let options: Options = toml::from_str(&keys).expect("options");
        let folder = Folder::new(options);
        let (begun, begins) = std::sync::mpsc::channel();
        let (go, may) = std::sync::mpsc::channel::<()>();
        let may = Arc::new(std::sync::Mutex::new(may));
        let attempt = || {
            let (begun, may) = (begun.clone(), Arc::clone(&may));
            let hangs = move |_: &Place| {
                begun.send(()).map_err(io::Error::other)?;
                Ok(may.lock().expect("a lock").recv().map_err(io::Error::other)?)
            };
            assert!(folder.blocking(hangs).now_or_never().is_none(), "its time is over");
        };
        (0..3 * THREADS).for_each(|_| attempt());
        (0..THREADS).for_each(|_| begins.recv().expect("it begins"));
        assert_eq!(folder.threads.available_permits(), 0);
        (0..THREADS).for_each(|_| go.send(()).expect("it goes on"));
        assert_eq!(folder.blocking(|_| Ok(())).await, Ok(()), "the share is back");
        assert!(begins.try_recv().is_err(), "attempts that were over never began");
    }

    #[tokio::test]
    async fn a_folder_that_the_operator_names_may_be_a_link() {
        let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let link = outside.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).expect("a link");
        deliver(&link, "F42.pdf", PDF).await;
        assert_eq!(names(folder.path()).len(), 2);
        let sink = sink("folder", &format!("path = '{}'", link.display()));
        assert_eq!(sink.check().await.as_deref(), Ok("the folder can be written"));
        assert_eq!(names(folder.path()).len(), 2, "the check leaves nothing behind");
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
