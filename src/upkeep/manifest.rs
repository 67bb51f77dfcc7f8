//! The first entry of a backup: what made it, and what else it holds.
//!
//! **Invariant:** a manifest that passed [`Manifest::check`] names only files that have their place in a data directory,
//! each once, and promises no more bytes than a backup of ours can hold.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{invoice, store::DATABASE};

/// The layout of the archive; a program reads those up to its own.
pub(super) const FORMAT: u32 = 1;

/// The webhook's token, where no configuration file names one.
pub(super) const TOKEN: &str = "token";

/// The largest token file that is taken.
const TOKEN_BYTES: u64 = 4096;

/// What files may take up beyond [`EXPANSION`]: a database that is almost empty is nearly all zeros.
const HEADROOM: u64 = 64 << 20;

/// How many times larger than the archive its files may be. Sales shrink to a tenth, not to a two-hundredth.
const EXPANSION: u64 = 200;

/// What a backup is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`FORMAT`] of the program that made it.
    pub format: u32,
    /// The version of that program.
    pub tillhook: String,
    /// When.
    pub made_at: Timestamp,
    /// The number of the database's last migration.
    pub schema: i64,
    /// The rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Whether the invoices are in it; a copy before a migration is of the database alone.
    pub with_invoices: bool,
    /// The files that follow, in this order and no other.
    pub files: Vec<Entry>,
    /// Invoices that the database knows and that were not in the invoice archive, or no longer what was stored.
    pub missing: Vec<String>,
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where it belongs, relative to the data directory.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Whether an archive of this size can hold what it says, or what is wrong.
    pub fn check(&self, archive_bytes: u64) -> Result<(), String> {
        if self.files.first().is_none_or(|first| first.path != DATABASE) {
            return Err("its list does not begin with the database".to_owned());
        }
        let mut seen = HashSet::new();
        for entry in &self.files {
            if !entry.has_its_place() {
                return Err(format!("its list names {:?}, which has no place in a data directory", entry.path));
            }
            if !seen.insert(&entry.path) {
                return Err(format!("its list names {:?} twice", entry.path));
            }
        }
        let limit = HEADROOM.saturating_add(archive_bytes.saturating_mul(EXPANSION));
        if self.total() > limit {
            return Err(format!("its files would take {} bytes, which no backup of this size holds", self.total()));
        }
        Ok(())
    }

    /// The bytes of all files.
    pub fn total(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.bytes))
    }

    /// How many invoices are in it.
    pub fn invoices(&self) -> usize {
        self.files.iter().filter(|entry| entry.is_invoice()).count()
    }
}

impl Entry {
    /// Whether it is an invoice: `invoices/2026/11/SHA256.pdf`.
    pub fn is_invoice(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let hexadecimal = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        matches!(parts.as_slice(), ["invoices", year, month, name]
            if digits(year, 4) && digits(month, 2) && hexadecimal(&self.sha256)
                && name.strip_suffix(".pdf") == Some(&self.sha256))
    }

    /// Whether a data directory has a place for it, and its size is one that such a file can have.
    pub fn has_its_place(&self) -> bool {
        match self.path.as_str() {
            DATABASE => true,
            TOKEN => self.bytes <= TOKEN_BYTES,
            _ => self.is_invoice() && self.bytes <= invoice::MAX_BYTES as u64,
        }
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
