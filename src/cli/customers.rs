//! `tillhook customers erase`: somebody asks to be forgotten.
//!
//! **Invariant:** what is printed names nobody: numbers, order numbers and ids only.

use std::{fs, io::Write};

use clap::{Args, Subcommand};

use super::{
    Exit, Stop,
    desk::Desk,
    find,
    print::{self, Table},
};
use crate::{
    order::{Person, ShopId},
    store::{StoreError, UnreadableRow, is_served},
    upkeep::{EraseError, Erasure, Erasures, Found},
};

/// The largest database that is rewritten beside a running service, in bytes: the till waits meanwhile, and a call that is
/// kept waiting for longer than five seconds is answered 503.
const BESIDE_A_SERVICE: u64 = 128 << 20;

/// What is no customer's.
const KEPT: &str = "Kept: order numbers, dates, amounts, VAT and articles, and what recognises a repeat.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Customers {
    /// Remove a person from everything that is stored here; amounts, VAT and order numbers stay
    #[command(after_help = "Example: tillhook customers erase --email zoe@durand.example --dry-run\n\n\
                            Works beside a running service. Exit code 3: nobody like that is stored here.")]
    Erase(Erase),
}

/// Whom to erase.
#[derive(Debug, Args)]
pub struct Erase {
    #[command(flatten)]
    who: Who,
    /// In this shop alone
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
    /// Only say what it would remove
    #[arg(long)]
    dry_run: bool,
    /// Also where rewriting a large database holds up the till
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// The customer's number at the till (clientID)
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The customer's e-mail address
    #[arg(long, value_name = "E")]
    email: Option<String>,
}

/// Carries it out.
///
/// # Errors
/// When nobody is found, it has to be asked more exactly, or the database or the output fails.
pub async fn run(command: &Customers, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let Customers::Erase(wanted) = command;
    let shop = wanted.shop.as_deref().map(|name| find::shop(&desk.config, name)).transpose()?;
    let erasure = Erasure::new(desk.store.clone(), desk.clock.clone(), person(&wanted.who)?, shop);
    let found = erasure.find().await?;
    if found.is_empty() && found.unreachable.is_empty() {
        return finish_or_not_found(&erasure, wanted, &found, desk, out).await;
    }
    one_shop(wanted, &found)?;
    table(&found, out)?;
    if wanted.dry_run {
        writeln!(out, "\n{KEPT}")?;
        afterwards(wanted, &found, desk, out)?;
        writeln!(out, "\nnothing was changed (--dry-run)")?;
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        return only_unreadable(wanted, &found, desk, out);
    }
    not_in_the_way(wanted, desk)?;
    // Before anything goes, and once it has: a backup that is made meanwhile may hold half of it.
    note(wanted, &found, desk)?;
    erasure.erase(&found, |shop| desk.recorder.shop(shop).map(|policy| policy.shop)).await?;
    compact(&erasure).await?;
    note(wanted, &found, desk)?;
    writeln!(out, "\nErased. {KEPT}")?;
    afterwards(wanted, &found, desk, out)?;
    Ok(Exit::Ok)
}

fn person(who: &Who) -> anyhow::Result<Person> {
    match (&who.client, &who.email) {
        (Some(id), _) if !id.trim().is_empty() => Ok(Person::Client(id.clone())),
        (_, Some(email)) if email.contains('@') => Ok(Person::Email(email.clone())),
        _ => {
            let what = "this is neither a customer's number nor an e-mail address";
            Err(Stop::with_fix(Exit::Usage, what, "give the one or the other as the till has it"))
        }
    }
}

/// Writes down that the person was erased, in a way that names nobody: a restore of an older backup erases them again.
fn note(wanted: &Erase, found: &Found, desk: &Desk) -> anyhow::Result<()> {
    let person = person(&wanted.who)?;
    let only = match (&wanted.shop, &person) {
        (Some(name), _) => Some(find::shop(&desk.config, name)?),
        // A number is a shop's own.
        (None, Person::Client(_)) => found.orders.values().next().cloned(),
        (None, Person::Email(_)) => None,
    };
    Erasures::note(&desk.config.storage.path, &person, only.as_ref(), desk.now()).map_err(|error| {
        let what = format!("the erasure could not be written down, so a restore would not know of it: {error}");
        Stop::with_fix(
            Exit::Failed,
            what,
            "make room and let this user write to storage.path, then run the same command again",
        )
    })
}

/// What names them cannot be read, and stays. It is written down all the same: an older backup may hold what can be.
fn only_unreadable(wanted: &Erase, found: &Found, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    note(wanted, found, desk)?;
    afterwards(wanted, found, desk, out)?;
    let fix = "see \"A row that cannot be read\" in docs/en/backup.md";
    Err(Stop::with_fix(Exit::Failed, "nothing was erased: no row that names them can be read", fix))
}

/// Nobody is found any more where an earlier run was cut off after its rows: what it left is done now.
async fn finish_or_not_found(
    erasure: &Erasure,
    wanted: &Erase,
    found: &Found,
    desk: &Desk,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    unreadable(&found.unknown, "calls cannot be read, so whether they name anybody is not known", out)?;
    if wanted.dry_run || !desk.store.erasure_is_unfinished().await? {
        let fix = "look the customer up at the till: a number is a shop's own, an address may have changed";
        return Err(Stop::with_fix(Exit::NotFound, "nobody like that is stored here", fix));
    }
    not_in_the_way(wanted, desk)?;
    compact(erasure).await?;
    writeln!(out, "finished what an earlier erasure had left: the database file was rewritten")?;
    Ok(Exit::Ok)
}

/// A number is a shop's own: in two shops it is two people.
fn one_shop(wanted: &Erase, found: &Found) -> anyhow::Result<()> {
    let mut shops: Vec<&ShopId> = found.orders.values().collect();
    shops.sort();
    shops.dedup();
    if wanted.who.client.is_none() || shops.len() < 2 {
        return Ok(());
    }
    let shops: Vec<&str> = shops.into_iter().map(ShopId::as_str).collect();
    let what = format!("several shops have a customer of this number: {}", shops.join(", "));
    Err(Stop::with_fix(Exit::Usage, what, "say which one with --shop"))
}

/// Refuses to hold up the till for longer than it can be.
fn not_in_the_way(wanted: &Erase, desk: &Desk) -> anyhow::Result<()> {
    let folder = &desk.config.storage.path;
    let size = fs::metadata(folder.join("tillhook.db"))?.len();
    if wanted.force || size <= BESIDE_A_SERVICE || !is_served(folder) {
        return Ok(());
    }
    let what = format!("the database ({}) has to be rewritten, and the till would wait meanwhile", print::size(size));
    Err(Stop::with_fix(Exit::Refused, what, "stop the service first, or use --force when the shop is closed"))
}

async fn compact(erasure: &Erasure) -> anyhow::Result<()> {
    erasure.compact().await.map_err(|error| {
        let what = format!("the rows are erased, but the file is not rewritten yet: {error}");
        let fix = match error {
            EraseError::Store(StoreError::Full) => {
                "free as much space as the database takes, and run the same command again"
            }
            _ => "run the same command again when no backup and no other command is at work",
        };
        Stop::with_fix(Exit::Failed, what, fix)
    })
}

fn table(found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows = &found.rows;
    let mut table = Table::new(&["WHAT", ">ROWS", "WHAT GOES"]);
    for (what, count, goes) in [
        ("orders", rows.orders, "the customer, and fields that tillhook does not know"),
        ("events", rows.events, "the same"),
        ("deliveries", rows.deliveries, "the message; one that waits is sent without the customer"),
        ("attempts", rows.attempts, "what the far side answered"),
        ("invoices", rows.invoices, "the name in the file name"),
        ("calls", rows.receipts, "the body, whole"),
    ] {
        table.row([what.to_owned(), count.to_string(), goes.to_owned()]);
    }
    table.write("", out)?;
    if !found.quarantined.is_empty() {
        writeln!(out, "\nOf these calls, in quarantine and dismissed with it; a sale in one is at the till only:")?;
        found.quarantined.iter().try_for_each(|id| writeln!(out, "  {id}"))?;
    }
    Ok(())
}

/// What this command cannot reach.
fn afterwards(wanted: &Erase, found: &Found, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "\nTo look after, because this command does not reach it:")?;
    let other = if wanted.who.client.is_some() { "--email" } else { "--client" };
    writeln!(out, "  - orders that know them otherwise: run this with {other} too, where you have it")?;
    writeln!(out, "  - the till itself: as long as it knows the customer, the next sale brings them back")?;
    writeln!(out, "  - mails, messages and calls that were sent, at whoever got them")?;
    writeln!(out, "  - the PDF of each invoice still says who bought: the law wants invoices kept")?;
    for (name, _) in desk.config.sinks.iter().filter(|(_, sink)| sink.options.kind() == "folder") {
        writeln!(out, "  - files that the sink `{name}` has written")?;
    }
    for backup in backups(desk) {
        writeln!(out, "  - the copy {backup}")?;
    }
    writeln!(
        out,
        "  - every other copy of the data directory; `tillhook restore` erases them again in what it restores"
    )?;
    unreadable(&found.unreachable, "rows, which name them, cannot be read", out)?;
    unreadable(&found.unknown, "calls, which may name them, cannot be read", out)?;
    if found.rows.sending > 0 {
        writeln!(out, "\n{} of the messages were being sent just now, as they were.", found.rows.sending)?;
    }
    Ok(())
}

fn unreadable(rows: &[UnreadableRow], what: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    if !rows.is_empty() {
        writeln!(out, "  - these {what}: see \"A row that cannot be read\" in docs/en/backup.md")?;
    }
    rows.iter().try_for_each(|row| writeln!(out, "      {}", print::harmless(&row.to_string())))?;
    Ok(())
}

fn backups(desk: &Desk) -> Vec<String> {
    let data = &desk.config.storage.path;
    let in_folder = |folder: std::path::PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let aside =
        in_folder(data.clone()).filter(|entry| entry.file_name().to_string_lossy().starts_with("before-restore-"));
    let all = in_folder(data.join("backups")).chain(aside);
    let mut files: Vec<String> = all.map(|entry| entry.path().display().to_string()).collect();
    files.sort();
    files
}
