//! `tillhook export`: the orders of some days, for an accountant or a program.
//!
//! Orders are read some at a time: memory stays small, and a year that goes to a slow disk keeps no read transaction open.
//! Tables are in the order of the numbers, so what is in them is settled first; lines of JSON are written day by day, and an
//! order that is moved to another day meanwhile may be missed or met twice; of days that are over, few are.
//!
//! **Invariant:** an order that cannot be read is named, and the exit code says so: nobody takes what is left for the whole.

mod archive;

use std::{
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use jiff::civil::Date;

use super::{
    Exit, Stop,
    day::Day,
    desk::Desk,
    find,
    print::{counted, harmless},
    target::Target,
};
use crate::{
    config::Config,
    deliver,
    digest::{
        Line,
        files::{Separated, invoices},
    },
    order::{Csv, InvoiceStatus, ShopId},
    store::{Booked, Rows, StoreError, UnreadableRow},
};

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct Export {
    /// The first day, in the shop's time: 2026-11-01, today, yesterday
    #[arg(long, value_name = "DAY")]
    from: Day,
    /// The last day
    #[arg(long, value_name = "DAY")]
    to: Day,
    /// What to write
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Form,
    /// The shop, where there are several
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
    /// How tables are written [default: as the shop's language has it]
    #[arg(long, value_enum, value_name = "STYLE")]
    csv: Option<Style>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table with a line for each invoice and VAT rate
    Csv,
    /// Each order in full, as JSON on a line of its own
    Jsonl,
    /// Both tables (vat.csv, invoices.csv) and the PDFs
    Zip,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Style {
    /// For a French spreadsheet: semicolons, decimal commas, 21/11/2026
    Fr,
    /// For programs: commas, decimal points, 2026-11-21
    Iso,
}

/// What is wanted, settled: of which shops, and of which days, both included.
struct Job<'a> {
    wanted: &'a Export,
    desk: &'a Desk,
    shops: Vec<ShopId>,
    first: Date,
    last: Date,
}

/// The days of a shop, both included.
struct Period<'a> {
    desk: &'a Desk,
    shop: ShopId,
    first: Date,
    last: Date,
}

/// What is to be known of an export.
#[derive(Default)]
struct Report {
    orders: u64,
    /// PDFs that are lost or changed on disk.
    lost: u64,
    /// Invoices that never came.
    absent: u64,
    /// Orders that cannot be read, and that are or may be of these days.
    left_out: Vec<UnreadableRow>,
}

impl Report {
    /// Counts what was read, and keeps the names of what could not be.
    fn taking(&mut self, read: Rows<Booked>) -> Vec<Booked> {
        let (orders, unreadable) = read.into_parts();
        self.orders += orders.len() as u64;
        self.left_out.extend(unreadable);
        orders
    }
}

/// Writes what is wanted to `out` or to its file, and what is to be known about it to `err`.
///
/// # Errors
/// When the command makes no sense, a file is there already, or the database or the output fails.
pub async fn run(wanted: &Export, desk: &Desk, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Exit> {
    let job = Job::new(wanted, desk)?;
    let report = match &wanted.output {
        None => job.plainly(out).await?,
        Some(path) => {
            let target = Target::begin(path, wanted.force)?;
            let report = tokio::select! {
                filled = job.fill(&target, err) => filled.map_err(|error| target.explained(error))?,
                // What is half written holds customers; a process that just ends would leave it there.
                _ = tokio::signal::ctrl_c() => {
                    return Err(Stop::new(Exit::Failed, "the export was cut off; no file was written").into());
                }
            };
            target.complete()?;
            writeln!(out, "{}: {}", path.display(), counted(report.orders, "order", "orders"))?;
            report
        }
    };
    job.tell(&report, err)?;
    Ok(if report.lost == 0 && report.left_out.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// What clap cannot know to be wrong.
fn check(wanted: &Export, first: Date, last: Date) -> anyhow::Result<()> {
    if last < first {
        let what = format!("`--to {last}` is before `--from {first}`");
        return Err(Stop::with_fix(Exit::Usage, what, "give the first day and the last"));
    }
    if wanted.form == Form::Zip && wanted.output.is_none() {
        let what = "an archive is not written to standard output";
        return Err(Stop::with_fix(Exit::Usage, what, "name its file with `-o FILE`, such as `-o november.zip`"));
    }
    if wanted.form == Form::Jsonl && wanted.csv.is_some() {
        let what = "`--csv` says how tables are written, and `--as jsonl` writes none";
        return Err(Stop::with_fix(Exit::Usage, what, "leave it out"));
    }
    Ok(())
}

/// The shops that are meant. Tables have no column for the shop, and two shops keep two sets of books, so of several one
/// has to be named; lines of JSON say whose they are.
fn shops(wanted: &Export, config: &Config) -> anyhow::Result<Vec<ShopId>> {
    if let Some(name) = &wanted.shop {
        return Ok(vec![find::shop(config, name)?]);
    }
    let shops: Vec<ShopId> = config.shops.keys().cloned().collect();
    if shops.len() == 1 || wanted.form == Form::Jsonl {
        return Ok(shops);
    }
    let each: Vec<String> = shops.iter().map(|shop| format!("`--shop {shop}`")).collect();
    let what = format!("there are {} shops, and each has its own books", shops.len());
    Err(Stop::with_fix(Exit::Usage, what, format!("add {}", each.join(" or "))))
}

impl<'a> Job<'a> {
    fn new(wanted: &'a Export, desk: &'a Desk) -> anyhow::Result<Self> {
        let shops = shops(wanted, &desk.config)?;
        let today = desk.today(wanted.shop.as_deref());
        let [first, last] = [wanted.from, wanted.to].map(|day| day.seen_from(today));
        check(wanted, first, last)?;
        Ok(Self { wanted, desk, shops, first, last })
    }

    /// Writes what is wanted to its file.
    async fn fill(&self, target: &Target, err: &mut dyn Write) -> anyhow::Result<Report> {
        if let (Form::Zip, [shop]) = (self.wanted.form, &self.shops[..]) {
            return archive::write(&self.days_of(shop), self.style(shop), target, err).await;
        }
        let mut file = BufWriter::new(target.file());
        let report = self.plainly(&mut file).await?;
        file.flush()?;
        Ok(report)
    }

    /// Writes what needs no archive.
    async fn plainly(&self, out: &mut dyn Write) -> anyhow::Result<Report> {
        let mut report = Report::default();
        for shop in &self.shops {
            let period = self.days_of(shop);
            report.left_out.extend(period.misdated().await?);
            match self.wanted.form {
                Form::Jsonl => json_lines(&period, &mut report, out).await?,
                Form::Csv | Form::Zip => table(&period, self.style(shop), &mut report, out).await?,
            }
        }
        Ok(report)
    }

    fn days_of(&self, shop: &ShopId) -> Period<'a> {
        Period { desk: self.desk, shop: shop.clone(), first: self.first, last: self.last }
    }

    fn style(&self, shop: &ShopId) -> Csv {
        match self.wanted.csv {
            Some(Style::Fr) => Csv::Fr,
            Some(Style::Iso) => Csv::Iso,
            None => self.desk.config.shops[shop].shop.locale.into(),
        }
    }

    fn tell(&self, report: &Report, err: &mut dyn Write) -> anyhow::Result<()> {
        if report.orders == 0 && report.left_out.is_empty() {
            writeln!(err, "note: there are no orders from {} to {}", self.first, self.last)?;
        }
        if report.absent > 0 {
            let absent = counted(report.absent, "invoice has", "invoices have");
            writeln!(err, "note: {absent} no PDF here; see `tillhook invoices list`")?;
        }
        if report.lost > 0 {
            let lost = counted(report.lost, "PDF is", "PDFs are");
            writeln!(err, "warning: {lost} lost or changed on disk, and not in it; see `tillhook invoices verify`")?;
        }
        if !report.left_out.is_empty() {
            let orders = counted(report.left_out.len() as u64, "order", "orders");
            writeln!(err, "warning: {orders} cannot be read, and what was written is without:")?;
            report.left_out.iter().try_for_each(|row| writeln!(err, "  {}", harmless(&row.to_string())))?;
            writeln!(
                err,
                "  fix: enter them from the till's own list; then see \"A row that cannot be read\" in docs/en/backup.md"
            )?;
        }
        Ok(())
    }
}

async fn table(period: &Period<'_>, style: Csv, report: &mut Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut table = Separated::begin(out, style, invoices::COLUMNS)?;
    for places in period.places().await? {
        let lines: Vec<Line> = period.orders_at(&places, report).await?.iter().map(Line::from).collect();
        table.rows(&invoices::rows(&lines, style))?;
    }
    table.finish()?;
    Ok(())
}

async fn json_lines(period: &Period<'_>, report: &mut Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let desk = period.desk;
    for day in period.days().await? {
        for Booked { shop, booking, mut order, .. } in period.orders(day, report).await? {
            if booking.pdf.status != InvoiceStatus::None {
                let row = desk.invoice(booking.order).await?;
                order.invoice = deliver::invoice_view(row.as_ref(), desk.config.server.public_url.as_ref());
            }
            let mut line = serde_json::json!({ "shop": shop });
            if let (Some(line), serde_json::Value::Object(order)) = (line.as_object_mut(), order.to_json(false)) {
                line.extend(order);
            }
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

impl Period<'_> {
    /// The days on which something was sold.
    async fn days(&self) -> Result<Vec<Date>, StoreError> {
        self.desk.store.booked_days(&self.shop, self.first, self.last).await
    }

    /// Where its orders are, in the order of their numbers, some at a time.
    async fn places(&self) -> Result<Vec<Vec<i64>>, StoreError> {
        self.desk.store.booked_places(&self.shop, self.first, self.last).await
    }

    /// The orders at these places; those that cannot be read go into the report.
    async fn orders_at(&self, places: &[i64], report: &mut Report) -> Result<Vec<Booked>, StoreError> {
        Ok(report.taking(self.desk.store.booked_at(&self.shop, places).await?))
    }

    /// The orders of a day; those that cannot be read go into the report.
    async fn orders(&self, day: Date, report: &mut Report) -> Result<Vec<Booked>, StoreError> {
        Ok(report.taking(self.desk.store.booked(&self.shop, day, day).await?))
    }

    /// The orders whose day cannot be read: they may be of these days.
    async fn misdated(&self) -> Result<Vec<UnreadableRow>, StoreError> {
        self.desk.store.misdated(&self.shop).await
    }
}
