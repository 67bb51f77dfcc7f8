//! The till's own reports, for the summaries that carry them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::civil::Date;

use super::api::{Client, ReportFormat};
use crate::{
    digest::TillReports,
    order::{ReportFile, ShopId},
};

/// The tills that can be asked.
pub struct Tills(pub BTreeMap<ShopId, Client>);

#[async_trait]
impl TillReports for Tills {
    async fn report(&self, shop: &ShopId, day: Date, kind: ReportFile) -> Result<Bytes, String> {
        let till = self.0.get(shop).ok_or_else(|| format!("there is no table `[shop.{shop}.api]`"))?;
        let format = match kind {
            ReportFile::TillPdf => ReportFormat::Pdf,
            ReportFile::TillFec => ReportFormat::Fec,
            ReportFile::TillCsv => ReportFormat::Csv,
            other => return Err(format!("{} is none of the till's", other.as_str())),
        };
        till.report(Some(day), format).await.map(|document| document.bytes).map_err(|error| error.for_log())
    }
}
