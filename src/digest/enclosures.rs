//! Which files go with a summary, and in how many mails.

use std::collections::HashSet;

use jiff::civil::Date;

use super::{
    files,
    make::{Draft, Maker, says_nothing},
    reports,
};
use crate::{
    invoice,
    order::{Booking, Change, ChangeKind, Csv, MadeFile, Period, ReportFile, Why},
};

/// How many bytes of PDFs go with one mail: encoded for the way they grow by 37 %, and many servers take 10 MB.
const BYTES: u64 = 7_000_000;

/// How many bytes of the till's reports go with the first mail; more go with one of their own.
const REPORT_BYTES: usize = 1_000_000;

impl Maker<'_> {
    /// Asks the till for the reports that the sink wants. What does not come is said in the summary, and comes no more.
    pub(super) async fn add_reports(&self, draft: &mut Draft) {
        let (whole, wanted) = (&mut draft.whole, &self.plan.reports);
        if wanted.is_empty() || whole.why == Why::Limit || says_nothing(whole, &draft.bookings) {
            return;
        }
        // After another cadence a summary may be of several days.
        if !whole.period.is_day() {
            whole.without.extend(wanted);
            return;
        }
        let (came, without) = reports::fetch(self.reports, &self.shop.id, whole.period.first, wanted).await;
        whole.without.extend(without);
        let files = came.iter().map(|(kind, _)| MadeFile {
            digest: whole.id.clone(),
            filename: self.filename(whole.period, kind.ending()),
            kind: *kind,
            csv: self.csv(),
            accounting: None,
            originals: Vec::new(),
        });
        let size: usize = came.iter().map(|(_, bytes)| bytes.len()).sum();
        match draft.parts.first_mut().filter(|first| first.is_empty() || size <= REPORT_BYTES) {
            Some(first) => first.extend(files),
            None => draft.parts.push(files.collect()),
        }
        whole.parts = u32::try_from(draft.parts.len()).unwrap_or(u32::MAX);
        draft.reports = came;
    }

    /// The files that the sink wants, and that there is nothing to make of.
    pub(super) fn without(&self, bookings: &[Booking], originals: &[&Booking], why: Why) -> Vec<ReportFile> {
        let is_empty = |kind: &ReportFile| match kind {
            // With a correction go those that are new, and often none is.
            ReportFile::Originals => originals.is_empty() && why != Why::Correction,
            _ => bookings.is_empty(),
        };
        self.plan.files.iter().copied().filter(is_empty).collect()
    }

    /// The files of each mail, at least one mail.
    pub(super) fn files(
        &self,
        digest: &str,
        period: Period,
        bookings: &[Booking],
        originals: Vec<&Booking>,
    ) -> Vec<Vec<MadeFile>> {
        let made = |kind, filename, originals| MadeFile {
            digest: digest.to_owned(),
            filename,
            kind,
            csv: self.csv(),
            accounting: self.plan.accounting.clone().filter(|_| kind == ReportFile::Journal),
            originals,
        };
        let wanted = |kind: &&ReportFile| **kind != ReportFile::Originals && !bookings.is_empty();
        let tables = self.plan.files.iter().filter(wanted);
        let tables: Vec<MadeFile> =
            tables.map(|kind| made(*kind, self.filename(period, kind.as_str()), Vec::new())).collect();
        if !self.plan.files.contains(&ReportFile::Originals) || originals.is_empty() {
            return vec![tables];
        }
        let chunks = split(&originals);
        let count = chunks.len();
        let zips = chunks.into_iter().enumerate().map(|(index, chunk)| {
            let name =
                if count == 1 { "invoices.zip".to_owned() } else { format!("invoices-{}of{count}.zip", index + 1) };
            made(ReportFile::Originals, self.filename(period, &name), chunk)
        });
        let mut parts: Vec<Vec<MadeFile>> = zips.map(|zip| vec![zip]).collect();
        parts[0].splice(0..0, tables);
        parts
    }

    pub(super) fn csv(&self) -> Csv {
        self.plan.csv.unwrap_or(self.shop.locale.into())
    }

    /// `20261121_Boulangerie-Dupont_vat.csv`
    pub(super) fn filename(&self, period: Period, kind: &str) -> String {
        let day = |day: Date| day.strftime("%Y%m%d").to_string();
        let days =
            if period.is_day() { day(period.first) } else { format!("{}-{}", day(period.first), day(period.last)) };
        format!("{days}_{}_{kind}", invoice::shop_in_filenames(self.shop))
    }
}

/// The orders whose PDFs go with it: with a correction, those that are new.
pub(super) fn originals<'a>(bookings: &'a [Booking], why: Why, changes: &[Change]) -> Vec<&'a Booking> {
    let news = changes.iter().filter(|change| matches!(change.what, ChangeKind::Added | ChangeKind::Pdf));
    let news: HashSet<&str> = news.map(|change| change.number.as_str()).collect();
    let wanted = bookings.iter().filter(|one| one.pdf.sha256.is_some());
    wanted.filter(|one| why != Why::Correction || news.contains(one.number.as_str())).collect()
}

/// Cuts PDFs, named by their SHA-256, into pieces of at most [`BYTES`]; a larger one is a piece of its own.
fn split(originals: &[&Booking]) -> Vec<Vec<String>> {
    let sizes: Vec<u64> = originals.iter().map(|booking| booking.pdf.bytes.unwrap_or(0)).collect();
    let name = |place: usize| originals[place].pdf.sha256.clone();
    files::split(&sizes, BYTES).into_iter().map(|part| part.into_iter().filter_map(name).collect()).collect()
}
