//! A summary of a period for an accountant: what a mail about it says, and which files go with it.
//!
//! It is frozen when it is made, and holds nothing personal. Amounts are sums of what each order says, so VAT is summed
//! order by order: a sum of roundings is not the rounding of a sum.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    Accounting, Csv, Currency, Hole, JournalSums, LeftOut, Moment, Money, Number, NumberRange, Period, ReportFile,
    Warning, WhyUndivided,
};

/// For how many days a summary is corrected.
pub const CORRECTED_FOR: i64 = 62;

/// A summary, or a part of one whose files are too large for one mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    /// Its id.
    pub id: String,
    /// The days that it is about.
    pub period: Period,
    /// Why it is made.
    pub why: Why,
    /// When the summary that it replaces was made.
    #[serde(default)]
    pub replaces: Option<Moment>,
    /// When it was made, where its period was not over yet and another one follows.
    #[serde(default)]
    pub provisional: Option<Moment>,
    /// Which part this is, from 1.
    pub part: u32,
    /// How many parts there are.
    pub parts: u32,
    /// What the amounts are in.
    pub currency: Currency,
    /// What was sold.
    pub figures: Figures,
    /// The closings of tills in these days.
    pub closings: Vec<Closing>,
    /// Orders that are not in the journal, where one is attached.
    pub left_out: Vec<LeftOut>,
    /// What the journal comes to, where one is attached.
    #[serde(default)]
    pub journal: Option<JournalSums>,
    /// What is new since the summary before, in a correction.
    pub changes: Vec<Change>,
    /// The files that go with this part.
    pub files: Vec<MadeFile>,
    /// The files that were wanted, and that there is nothing to make of.
    #[serde(default)]
    pub without: Vec<ReportFile>,
}

/// Why a summary is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its time has come, or the till closed.
    Due,
    /// Something changed since the last one of these days, which it replaces.
    Correction,
    /// Somebody asked for it.
    OnPurpose,
    /// There were more sales than the sink wants single messages about.
    Limit,
}

impl Why {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Correction => "correction",
            Self::OnPurpose => "on_purpose",
            Self::Limit => "limit",
        }
    }
}

/// The figures of a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// By rate, ascending; without a rate what cannot be told by rate.
    pub rates: Vec<RateSum>,
    /// All of it. A sum that needs an amount that was not sent is none.
    pub total: Sums,
    /// Where a sum of the total is none: the orders whose three amounts are known.
    #[serde(default)]
    pub known: Option<Sums>,
    /// The orders that lack one of the three.
    #[serde(default)]
    pub lacking: Vec<String>,
    /// The orders in another currency, which are in no sum.
    #[serde(default)]
    pub foreign: Vec<String>,
    /// The orders that are stored and cannot be read, which are in no sum and no file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Its numbers, by sequence.
    #[serde(default)]
    pub numbers: Vec<NumberRange>,
    /// Numbers between them that are not with us.
    pub holes: Vec<Hole>,
    /// Numbers that are left out by a step ahead, which may be another sequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<Hole>,
    /// The numbers that follow no other, so that nobody knows what is missing between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<String>,
    /// The orders that the till's own list does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<String>,
    /// Invoices that are not paid in full.
    pub unpaid: Vec<NumberedAmount>,
    /// Invoices whose PDF is not in the archive.
    pub missing_pdfs: Vec<MissingPdf>,
    /// Orders that are not told by rate, of summaries made before it was told why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<String>,
    /// Orders that are not told by rate, or not in full.
    #[serde(default)]
    pub undivided: Vec<NumberedUndivided>,
    /// What does not add up.
    pub warnings: Vec<NumberedWarning>,
}

/// Sums of amounts, and how many orders they are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Without VAT.
    pub net: Option<Money>,
    /// The VAT.
    pub vat: Option<Money>,
    /// With VAT.
    pub gross: Option<Money>,
    /// How many sales.
    pub sales: u32,
    /// How many refunds.
    pub refunds: u32,
}

/// The sums of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSum {
    /// Percent; `None` for orders that cannot be told by rate.
    pub rate: Option<Number>,
    /// Of those, the orders that lack an amount.
    #[serde(default)]
    pub is_lacking: bool,
    /// Cents by which the rates of orders are more or less than the orders.
    #[serde(default)]
    pub is_rounding: bool,
    /// The sums.
    pub sums: Sums,
}

/// An order and an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedAmount {
    /// Its number.
    pub number: String,
    /// With VAT.
    pub gross: Option<Money>,
}

/// An order without its PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPdf {
    /// Its number.
    pub number: String,
    /// Whether it is still being fetched.
    pub is_awaited: bool,
}

/// An order and what does not add up about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedWarning {
    /// Its number.
    pub number: String,
    /// What.
    pub warning: Warning,
}

/// An order that is not told by rate, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedUndivided {
    /// Its number.
    pub number: String,
    /// Why.
    pub why: WhyUndivided,
    /// What is not told by rate, with VAT.
    pub gross: Option<Money>,
}

/// A closing of a till: what the till says that it took, and what we know of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// Which till.
    pub till: Option<String>,
    /// When its period began.
    pub opened: Option<Moment>,
    /// When it ended.
    pub closed: Option<Moment>,
    /// What the till says.
    pub till_total: Option<Money>,
    /// What was sold and paid at it in that time, as far as we know.
    pub ours: Option<Money>,
    /// What was sold at it in that time and is not paid, which a till does not count as taken.
    pub unpaid: Option<Money>,
    /// What was sold at it on these days before or after.
    pub outside: Option<Money>,
}

impl Closing {
    /// The till's total without ours.
    pub fn difference(&self) -> Option<Money> {
        self.till_total?.checked_sub(self.ours?)
    }

    /// What a difference comes from, where it is one of the usual.
    pub fn explanation(&self) -> Explanation {
        let Some(difference) = self.difference() else { return Explanation::Unknown };
        let is = |amount: Option<Money>| amount.is_some_and(|amount| !amount.value().is_zero() && amount == difference);
        match () {
            () if difference.value().is_zero() => Explanation::None,
            () if is(self.unpaid) => Explanation::Unpaid,
            () if is(self.outside) => Explanation::Outside,
            () => Explanation::Unknown,
        }
    }
}

/// What a difference between the till's total and ours comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// There is none.
    None,
    /// The till counts what is not paid in full.
    Unpaid,
    /// The till counts what was sold before or after.
    Outside,
    /// Nothing that we know of.
    Unknown,
}

/// What is new in a correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The order's number.
    pub number: String,
    /// What.
    pub what: ChangeKind,
    /// The day that it counts for.
    pub day: Date,
    /// With VAT, as it stands.
    pub gross: Option<Money>,
    /// The same as it was told before.
    #[serde(default)]
    pub before: Option<Money>,
}

/// What changed about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not in the summary before.
    Added,
    /// Its amounts are others.
    Amounts,
    /// It counts for another day, outside of the period.
    Moved,
    /// Its PDF arrived.
    Pdf,
    /// It is not wanted any more as it stands (`only`).
    Unwanted,
}

/// A file that is made of the orders of a summary when the mail is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MadeFile {
    /// The summary.
    pub digest: String,
    /// The name people see.
    pub filename: String,
    /// What it is.
    pub kind: ReportFile,
    /// How tables are written.
    pub csv: Csv,
    /// The accounts, for a journal.
    #[serde(default)]
    pub accounting: Option<Accounting>,
    /// Of a file of originals, the PDFs in it by their SHA-256.
    #[serde(default)]
    pub originals: Vec<String>,
}
