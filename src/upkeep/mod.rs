//! What a service needs to live for years: copies of what is stored, and putting a copy back; what is old goes, and a
//! person can be forgotten.

mod archive;
mod backup;
mod copies;
mod erase_again;
mod erased;
mod erasure;
mod listing;
mod manifest;
mod migrate;
mod nightly;
mod plain;
mod plain_json;
mod restore;
mod retention;
#[cfg(test)]
mod tests;
mod unreadable;

pub use archive::ReadError;
pub use backup::{Backup, BackupError, FOLDER, default_name, make};
pub use copies::kept_beside;
pub use erase_again::Again;
pub use erased::Erasures;
pub use erasure::{EraseError, Erasure, Found};
pub use migrate::open;
pub use nightly::Nightly;
pub use restore::{Restore, RestoreError, Restored};
pub use retention::{EVERY, Keep, Pruned, Retention};
