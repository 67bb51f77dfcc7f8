//! A list of the shop in the three formats that the till gives it in: JSON, CSV and HTML.
//!
//! The till's own shapes are unknown. Here JSON is a list of objects whose values are texts, CSV has a heading and
//! semicolons, and HTML is a table.

use minijinja::HtmlEscape;
use serde_json::{Map, Value};

use super::super::{answer::Answer, refusal::Refusal};

/// A list: the names of its columns, and as many texts in every row.
pub struct Table {
    /// What the list is of.
    pub title: &'static str,
    /// The names.
    pub columns: &'static [&'static str],
    /// The texts.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The list in the format that `format` names.
    ///
    /// # Errors
    /// When it names none.
    pub fn answer(&self, format: &str) -> Result<Answer, Refusal> {
        match format {
            "json" => Ok(Answer::json(&self.json())),
            "csv" => Ok(Answer::new("text/csv; charset=utf-8", self.csv())),
            "html" => Ok(Answer::new("text/html; charset=utf-8", self.html())),
            other => Err(Refusal::new(format!("format: `{other}` is none of json, csv and html"))),
        }
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<String>| {
            let fields = self.columns.iter().zip(row).map(|(name, text)| ((*name).to_owned(), text.as_str().into()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    fn csv(&self) -> Vec<u8> {
        separated(self.columns, &self.rows)
    }

    fn html(&self) -> String {
        let row = |cells: &mut dyn Iterator<Item = &str>, tag: &str| {
            let cells: String = cells.map(|text| format!("<{tag}>{}</{tag}>", HtmlEscape(text))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let heading = row(&mut self.columns.iter().copied(), "th");
        let rows: String = self.rows.iter().map(|cells| row(&mut cells.iter().map(String::as_str), "td")).collect();
        format!("<table>\n<caption>{}</caption>\n{heading}{rows}</table>\n", HtmlEscape(self.title))
    }
}

/// Lines of texts, separated as a French spreadsheet expects.
pub fn separated(columns: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(b';')
        .terminator(csv::Terminator::CRLF)
        .flexible(true)
        .from_writer(Vec::new());
    let lines = rows.iter().map(|row| row.iter().map(String::as_str).collect::<Vec<_>>());
    for line in [columns.to_vec()].into_iter().chain(lines) {
        // Writing to memory does not fail.
        let _ = writer.write_record(line);
    }
    writer.into_inner().unwrap_or_default()
}
