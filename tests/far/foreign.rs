//! A mail server and a reader of mails that others wrote, in Python: what we and our own far sides understand in the same
//! wrong way, these do not.
//!
//! Both need Debian's `python3-aiosmtpd`, which `tests/run.sh` installs. Without it a test fails; it is not left out.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::tls::{Authority, Begins, Shown};
use crate::harness::program::eventually;

/// Debian's own, for that is what has the library.
const PYTHON: &str = "/usr/bin/python3";

/// aiosmtpd, running. It ends when dropped.
pub struct ForeignSmtp {
    pub port: u16,
    folder: TempDir,
    process: Child,
}

/// A mail that it took: the envelope, and what Python reads in it.
#[derive(Debug)]
pub struct ForeignMail {
    pub envelope: Value,
    pub read: Value,
}

impl ForeignSmtp {
    /// Starts one that knows this way to sign in (`PLAIN` or `LOGIN`).
    pub fn start(begins: Begins, mechanism: &str, authority: &Authority) -> Self {
        let folder = TempDir::new().expect("a directory");
        let (certificate, key) = authority.files(Shown::Right);
        let tls = if begins == Begins::AtOnce { "implicit" } else { "starttls" };
        let mut process = Command::new(PYTHON)
            .arg(script("foreign_smtp.py"))
            .args([tls, mechanism])
            .args([certificate.as_path(), key.as_path(), folder.path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3, which `tests/run.sh` installs");
        let mut first = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut first).expect("a line");
        let port = first.trim().parse();
        let port = port.expect("aiosmtpd starts; it is Debian's python3-aiosmtpd, which `tests/run.sh` installs");
        Self { port, folder, process }
    }

    /// The mails that it took, in order, once there are so many.
    pub async fn mails(&self, count: usize) -> Vec<ForeignMail> {
        let file = |n: usize| self.folder.path().join(format!("{n}.eml"));
        eventually("the mails arrive", async || file(count).exists()).await;
        assert!(!file(count + 1).exists(), "one mail too many");
        let read = Command::new(PYTHON).arg(script("read_mail.py")).args((1..=count).map(file)).output();
        let read = read.expect("Debian's python3");
        assert!(read.status.success(), "Python takes offence: {}", String::from_utf8_lossy(&read.stderr));
        let read: Vec<Value> = serde_json::from_slice(&read.stdout).expect("JSON");
        let envelope = |n: usize| fs::read(file(n).with_extension("json")).expect("an envelope");
        let both = read.into_iter().enumerate();
        both.map(|(n, read)| ForeignMail { envelope: serde_json::from_slice(&envelope(n + 1)).expect("JSON"), read })
            .collect()
    }
}

impl Drop for ForeignSmtp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/far").join(name)
}
