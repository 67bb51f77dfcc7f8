//! The first entry of a backup: what made it, and what else it holds.
//!
//! How it is read is in `listing.rs`.
//!
//! **Invariant:** an [`Entry`] has its place in a data directory, and a size that such a file can have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::erased::{self, ERASURES};
use crate::{invoice, order::hex, store::DATABASE};

/// The layout of the archive; a program reads those up to its own.
pub(super) const FORMAT: u32 = 2;

/// The layout without a list of erasures, which older programs read too.
pub(super) const FORMAT_WITHOUT_ERASURES: u32 = 1;

/// The webhook's token, where no configuration file names one.
pub(super) const TOKEN: &str = "token";

/// The largest token file that is taken.
const TOKEN_BYTES: u64 = 4096;

/// How many files a backup may hold: an invoice for each of a thousand sales a day, for the ten years that invoices are kept.
pub(super) const FILES: u64 = 4_000_000;

/// What a file takes up in the list, at the most: the path and the digest of an invoice are 150 bytes of 224.
pub(super) const LINE: u64 = 256;

/// A manifest that is written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Manifest {
    /// [`FORMAT`] of the program that made it. It stands first in every later format too, and the version after it.
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
    /// Invoices that the database knows and that were not in the invoice archive, or no longer what was stored. Nobody reads
    /// it back: a restore looks by itself.
    pub missing: Vec<String>,
}

/// A file in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    place: Place,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its size.
    pub bytes: u64,
}

/// Where a file belongs in a data directory, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Database,
    Token,
    Erasures,
    /// `invoices/2026/11/SHA256.pdf`.
    Invoice {
        year: u16,
        month: u8,
    },
}

/// A file as it stands in the list.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    /// Relative to the data directory.
    pub path: String,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Entry {
    /// A file with this path, size and digest in hexadecimal; `None` where a data directory has no place for such a one.
    pub fn new(path: &str, bytes: u64, sha256: &str) -> Option<Self> {
        let place = match path {
            DATABASE => Place::Database,
            TOKEN => Place::Token,
            ERASURES => Place::Erasures,
            _ => invoice_at(path, sha256)?,
        };
        let largest = match place {
            Place::Database => u64::MAX,
            Place::Token => TOKEN_BYTES,
            Place::Erasures => erased::LARGEST_BROUGHT,
            Place::Invoice { .. } => invoice::MAX_BYTES as u64,
        };
        (bytes <= largest).then_some(Self { place, sha256: unhex(sha256)?, bytes })
    }

    /// Where it belongs, relative to the data directory.
    pub fn path(&self) -> String {
        match self.place {
            Place::Database => DATABASE.to_owned(),
            Place::Token => TOKEN.to_owned(),
            Place::Erasures => ERASURES.to_owned(),
            Place::Invoice { year, month } => format!("invoices/{year:04}/{month:02}/{}.pdf", hex(self.sha256)),
        }
    }

    /// Whether it is the database.
    pub fn is_database(&self) -> bool {
        self.place == Place::Database
    }

    /// Whether it is packed from a copy, because it may change meanwhile.
    pub fn is_copy(&self) -> bool {
        matches!(self.place, Place::Database | Place::Erasures)
    }

    /// Whether it is an invoice.
    pub fn is_invoice(&self) -> bool {
        matches!(self.place, Place::Invoice { .. })
    }

    /// What the list is ordered by.
    pub fn rank(&self) -> impl Ord + use<> {
        (self.place, self.sha256)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line { path: self.path(), bytes: self.bytes, sha256: hex(self.sha256) }.serialize(serializer)
    }
}

fn invoice_at(path: &str, sha256: &str) -> Option<Place> {
    let number = |text: &str, digits| {
        let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| right)
    };
    let mut parts = path.strip_prefix("invoices/")?.split('/');
    let (year, month) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?);
    let named = parts.next()?.strip_suffix(".pdf")? == sha256 && parts.next().is_none();
    let month = u8::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    named.then_some(Place::Invoice { year, month })
}

/// As many bytes as were written in small hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let right = text.len() == 2 * N && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(right.then(|| text.as_bytes().chunks(2))?) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
