//! Opening the database, and keeping a copy of it before it is brought up to date.
//!
//! The copy is of the database alone: a migration touches no invoice. `tillhook restore` puts it back, and leaves the
//! invoices where they are.
//!
//! **Invariant:** what an older program wrote is migrated only once a complete copy of it is on disk.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    backup::{BackupError, Draft, FOLDER, stamp},
    copies::BEFORE_SCHEMA,
};
use crate::store::{Access, OpenError, Outdated, Schema, Store};

/// Opens the database below `directory` as [`Store::open`] does. One of an older schema is first copied to
/// `backups/before-schema-N-TIME.tar.gz`, then migrated to schema N.
///
/// # Errors
/// As [`Store::open`], and [`OpenError::NotBackedUp`]: nothing was migrated then.
pub async fn open(directory: &Path, access: Access, now: Timestamp) -> Result<Store, OpenError> {
    open_as(directory, access, now, &Schema::ours()).await
}

/// The same for a program whose tables are these.
pub(super) async fn open_as(
    directory: &Path,
    access: Access,
    now: Timestamp,
    schema: &Schema,
) -> Result<Store, OpenError> {
    match Store::open_as(directory, access, schema).await {
        Err(OpenError::Older { version, .. }) => {
            let mut outdated = Outdated::hold(directory).await?;
            let kept = keep(&mut outdated, directory, schema.version(), now)
                .await
                .map_err(|error| OpenError::NotBackedUp { path: directory.to_owned(), cause: first_line(&error) })?;
            outdated.migrate(schema).await?;
            tracing::info!(
                schema.from = version,
                schema.to = schema.version(),
                backup.file = %kept.display(),
                "the database of an older tillhook was backed up and brought up to date"
            );
            Store::open_as(directory, access, schema).await
        }
        opened => opened,
    }
}

async fn keep(outdated: &mut Outdated, directory: &Path, schema: i64, now: Timestamp) -> Result<PathBuf, BackupError> {
    let name = format!("{BEFORE_SCHEMA}{schema}-{}.tar.gz", stamp(now));
    // A copy of the same second is of a start that failed after it.
    let draft = Draft::begin(directory, &directory.join(FOLDER).join(name), true)?;
    outdated.snapshot(&draft.database()).await.map_err(|error| draft.of_store(error))?;
    Ok(draft.complete(None, now, &CancellationToken::new()).await?.file)
}

/// What happened, without the advice that follows it: there is another one here.
fn first_line(error: &BackupError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
