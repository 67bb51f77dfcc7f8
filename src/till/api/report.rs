//! The till's own report of a day's sales, in its six formats; handed on byte for byte.

use jiff::civil::Date;

/// What a report is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// A web page.
    Std,
    /// A PDF.
    Pdf,
    /// A spreadsheet.
    Xls,
    /// A table in text.
    Csv,
    /// The French tax administration's file of entries (FEC).
    Fec,
    /// The audit file of the OECD (SAF-T).
    Saft,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Std, Self::Pdf, Self::Xls, Self::Csv, Self::Fec, Self::Saft];

    /// Our word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Std => "std",
            Self::Pdf => "pdf",
            Self::Xls => "xls",
            Self::Csv => "csv",
            Self::Fec => "fec",
            Self::Saft => "saft",
        }
    }

    /// The till's word for it.
    pub fn till_word(self) -> &'static str {
        match self {
            Self::Std => "Std",
            Self::Pdf => "PDF",
            Self::Xls => "XLS",
            Self::Csv => "CSV",
            Self::Fec => "frafec",
            Self::Saft => "saft",
        }
    }

    /// Whether a web page is what was asked for. Spreadsheets are, often enough, a table of HTML.
    pub(super) fn may_be_page(self) -> bool {
        matches!(self, Self::Std | Self::Xls)
    }
}

/// The parameters; without a day the till takes the day before.
pub(super) fn parameters(day: Option<Date>, format: ReportFormat) -> Vec<(&'static str, String)> {
    let mut parameters = Vec::new();
    if let Some(day) = day {
        parameters.extend([
            ("d", day.day().to_string()),
            ("m", day.month().to_string()),
            ("y", day.year().to_string()),
        ]);
    }
    parameters.push(("formatExport", format.till_word().to_owned()));
    parameters
}
