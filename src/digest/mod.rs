//! Summaries of a period for an accountant: its orders by VAT rate, what is missing, and the files that go with it.
//!
//! A summary is made when it is due (`run.rs`), of the orders whose day is in its period (`figures.rs`, `closings.rs`,
//! `numbers.rs`), and handed to the outbox like everything else (`make.rs`). It remembers how it counted each order, so that what changes
//! afterwards is told in a correction (`changes.rs`), and its files (`enclosures.rs`, `files/`) are made of that when the
//! mail is sent; the till's own reports, where the sink wants them (`reports.rs`), are fetched once and kept with it.
//!
//! **Invariant:** of a period a sink gets one summary; that it was made, what it counted and its deliveries are one
//! commit. What names a customer is not in it: names are looked up when a file is made.

mod attach;
mod changes;
mod closings;
mod enclosures;
mod figures;
pub mod files;
mod make;
mod numbers;
mod reports;
mod run;

use crate::{
    order::{Accounting, Booking, Cadence, Csv, ReportFile},
    route::Rule,
    store::{Booked, DigestLine},
};

pub use attach::bytes;
pub use closings::is_open;
pub use make::Maker;
pub use numbers::complete as complete_numbers;
pub use reports::{Reports, TillReports};
pub use run::Digests;

/// The summaries of one sink.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The sink and what it wants.
    pub rule: Rule,
    /// When they are made; `None` where they are made only above a limit.
    pub cadence: Option<Cadence>,
    /// The files that go with them.
    pub files: Vec<ReportFile>,
    /// The till's own reports that go with the summary of a day.
    pub reports: Vec<ReportFile>,
    /// How tables are written; as the shop's language has it where not set.
    pub csv: Option<Csv>,
    /// The accounts, for a journal.
    pub accounting: Option<Accounting>,
}

/// An order as the files of a summary show it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the books count.
    pub booking: Booking,
    /// The customer's name, where there is one.
    pub customer: Option<String>,
    /// The name of its PDF, where that is in the archive.
    pub pdf: Option<String>,
}

impl From<&Booked> for Line {
    fn from(booked: &Booked) -> Self {
        Self {
            booking: booked.booking.clone(),
            customer: booked.order.customer.as_ref().and_then(|customer| customer.name.clone()),
            pdf: booked.pdf.as_ref().map(|file| file.filename.clone()),
        }
    }
}

impl From<&DigestLine> for Line {
    fn from(line: &DigestLine) -> Self {
        Self {
            booking: line.booking.clone(),
            customer: line.customer.clone(),
            // A PDF that came afterwards is told in a correction.
            pdf: line.pdf.as_ref().filter(|_| line.booking.pdf.sha256.is_some()).map(|file| file.filename.clone()),
        }
    }
}
