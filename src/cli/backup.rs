//! `tillhook backup`: one file with everything, while the service runs or not.

use std::{io::Write, path::PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    Exit, Stop,
    desk::Desk,
    print::{counted, size},
};
use crate::upkeep::{self, Backup as Made, BackupError};

/// Where to.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write [default: tillhook-DATE-TIME.tar.gz (UTC) in the folder backups of the data directory]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Makes a backup and says what is in it.
///
/// # Errors
/// When there is no complete backup; a file that is there is replaced with `--force` only.
pub async fn run(wanted: &Backup, desk: &Desk, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let (directory, now) = (&desk.config.storage.path, desk.now());
    let file = wanted.file.clone();
    let file = file.unwrap_or_else(|| directory.join(upkeep::FOLDER).join(upkeep::default_name(now)));
    let made = upkeep::make(&desk.store, directory, &file, wanted.force, now, &CancellationToken::new()).await;
    let made = made.map_err(|error| match error {
        BackupError::Exists(_) => Stop::new(Exit::Refused, error.to_string()).into(),
        other => anyhow::Error::from(other),
    })?;
    tell(&made, out, err)?;
    Ok(Exit::Ok)
}

fn tell(made: &Made, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    let Made { file, bytes, orders, invoices, missing } = made;
    let orders = counted(*orders, "order", "orders");
    let invoices = counted(*invoices, "invoice", "invoices");
    writeln!(out, "{} ({}): {orders}, {invoices}; read back and found whole", file.display(), size(*bytes))?;
    if !missing.is_empty() {
        let missing = counted(missing.len() as u64, "invoice is", "invoices are");
        writeln!(err, "warning: {missing} lost or changed on disk, and not in it; see `tillhook invoices verify`")?;
    }
    Ok(())
}
