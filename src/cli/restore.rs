//! `tillhook restore`: a backup in place of what the data directory holds.

use std::{fs, io::Write, path::PathBuf, sync::Arc};

use clap::Args;

use super::{
    Exit, Stop,
    print::{counted, harmless},
};
use crate::{
    clock::Clock,
    config::Loaded,
    upkeep::{self, RestoreError, Restored},
};

/// What to restore, and how.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `tillhook backup` made
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Move data that is there aside, to before-restore-TIME in the data directory
    #[arg(long)]
    pub force: bool,
    /// Let go what was still to be delivered, though it may have been delivered since
    #[arg(long)]
    pub resend: bool,
}

/// Restores, and says what is to be known before the service starts again.
///
/// # Errors
/// When nothing was restored: the data that is there stays. Also where it was, and erasures have to be repeated in it.
pub async fn run(
    wanted: &Restore,
    loaded: &Loaded,
    clock: &Arc<dyn Clock>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let directory = &loaded.config.storage.path;
    if loaded.generated_token {
        // Nobody was told of it. The backup brings its own, else the service makes one and tells.
        fs::remove_file(directory.join("token"))?;
    }
    let Restore { file, force, resend } = wanted;
    let shops: Vec<_> = loaded.config.shops.values().map(|settings| settings.shop.clone()).collect();
    let restore = upkeep::Restore { file, directory, force: *force, resend: *resend, shops: &shops, clock };
    let restored = restore.run().await.map_err(|error| Stop::new(exit_of(&error), error.to_string()))?;
    let made_at = restored.made_at.strftime("%Y-%m-%d %H:%M UTC");
    let orders = counted(restored.orders, "order", "orders");
    let invoices = counted(restored.invoices, "invoice", "invoices");
    writeln!(out, "{} is as it was on {made_at}: {orders}, {invoices}", directory.display())?;
    tell(&restored, loaded.config.storage.keep_backups, out, err)?;
    erased_again(restored.erased.to_repeat)
}

fn tell(restored: &Restored, keep_backups: usize, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(aside) = &restored.aside {
        let days = upkeep::kept_beside(keep_backups).get_days();
        writeln!(out, "what was there is in {}, for {days} days", aside.display())?;
    }
    if !restored.with_invoices {
        writeln!(out, "the backup is of the database alone: the invoices that were there stay")?;
    }
    if restored.erased.people > 0 {
        let people = counted(restored.erased.people, "customer who was", "customers who were");
        writeln!(out, "{people} erased since the backup was made: erased again")?;
    }
    if restored.erased.unreachable > 0 {
        let rows = counted(restored.erased.unreachable, "row cannot", "rows cannot");
        writeln!(
            err,
            "warning: {rows} be read, and name customers who were erased since, or may: see \"A row that cannot be read\" in \
             docs/en/backup.md"
        )?;
        restored.erased.named.iter().try_for_each(|row| writeln!(err, "  {}", harmless(&row.to_string())))?;
    }
    for held in &restored.held {
        let why = match held.waiting {
            0 => "what came since the backup may have been sent to it".to_owned(),
            _ => {
                let waiting = counted(held.waiting, "delivery was", "deliveries were");
                format!("{waiting} still open, and may have been made since")
            }
        };
        writeln!(out, "{} is paused: {why}", held.sink)?;
    }
    if !restored.held.is_empty() {
        writeln!(
            out,
            "look with `tillhook deliveries list --status paused`; `tillhook sinks resume NAME` sends them,"
        )?;
        writeln!(out, "`tillhook deliveries skip ID` drops one, and `skip --sink NAME --paused` all of them")?;
    }
    if restored.missing > 0 {
        let missing = counted(restored.missing as u64, "invoice is", "invoices are");
        writeln!(err, "warning: {missing} not in the data directory; see `tillhook invoices verify`")?;
    }
    Ok(())
}

/// Whether everybody who was erased since is. The last word, because the service may not start before it is done.
fn erased_again(to_repeat: u64) -> anyhow::Result<Exit> {
    if to_repeat == 0 {
        return Ok(Exit::Ok);
    }
    let erasures = counted(to_repeat, "erasure that was", "erasures that were");
    let what = format!(
        "the backup is restored, but {erasures} made since must be repeated: it holds rows that are too large to look for \
         anybody in them, or too many"
    );
    Err(Stop::with_fix(
        Exit::Failed,
        what,
        "run `tillhook customers erase` again for everybody who was erased since, then start the service",
    ))
}

fn exit_of(error: &RestoreError) -> Exit {
    match error {
        RestoreError::Absent(_) => Exit::NotFound,
        RestoreError::HoldsData(_) => Exit::Refused,
        _ => Exit::Failed,
    }
}
