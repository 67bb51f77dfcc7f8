//! Looking after what is stored: copies of it, and putting a copy back.

mod archive;
mod backup;
mod manifest;
mod migrate;
mod nightly;
mod restore;
#[cfg(test)]
mod tests;

pub use archive::ReadError;
pub use backup::{Backup, BackupError, FOLDER, default_name, make};
pub use migrate::open;
pub use nightly::Nightly;
pub use restore::{Restore, RestoreError, Restored};
