//! Invoices: fetched once, archived under their hash, proven on every use.
//!
//! **Invariant:** bytes that were once archived are never fetched again; a second download may be stamped DUPLICATA.

mod archive;
mod fetch;
mod filename;
mod pdf;
mod proof;

pub use archive::{Archive, ArchiveError, StoredInvoice};
pub use fetch::{FetchError, fetch};
pub use filename::{filename, shop_in_filenames};
pub use pdf::{MAX_BYTES, has_end, is_pdf};
pub use proof::{Fingerprint, OpenInvoice, hex_sha256};
