//! The client of one shop's till.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    ApiError, Credentials, List, ListFormat, Listing, OrdersAnswer, OrdersQuery, ReportFormat, Sale, SaleAnswer,
    answer, lists, orders, polite::Manners, report, sale_answer,
};
use crate::{
    clock::Clock,
    invoice,
    json::{Budget, CALL, LIST},
    sink::{
        TillHost,
        client::{self, ClientError, Fetched},
        guard::Guard,
    },
};

/// How long one question may take, its answer included: a report of a busy day is made while we wait.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// How much of a list, or of the orders of a period, is read: bytes.
const LIST_LIMIT: usize = 32 * 1024 * 1024;

/// How much of a report is read: bytes.
const REPORT_LIMIT: usize = 64 * 1024 * 1024;

/// How much of any other answer is read: bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// What is shown in place of the key.
pub(super) const MASK: &str = "********";

/// The content type of what is posted.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A document as the till made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// What the till calls its kind; it is not always right.
    pub content_type: Option<String>,
    /// The bytes, untouched.
    pub bytes: Bytes,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// Asks one shop's till. Clones share the turn: one question at a time, and a pause between two.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: client::Client,
    base: Url,
    shop_id: String,
    key: SecretString,
    manners: Manners,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, shop {})", self.inner.base, self.inner.shop_id)
    }
}

impl Client {
    /// As whom the till is asked, and where: what is known of one account says nothing of another.
    pub fn account(&self) -> String {
        format!("{} at {}", self.inner.shop_id, self.inner.base)
    }

    /// A client for this shop. Nothing is asked yet.
    ///
    /// # Errors
    /// When the host makes no address.
    pub fn new(credentials: &Credentials, clock: Arc<dyn Clock>) -> Result<Self, ApiError> {
        Self::patient(credentials, clock, TIMEOUT)
    }

    /// The same with another time for each question.
    ///
    /// # Errors
    /// When the host makes no address.
    pub fn patient(credentials: &Credentials, clock: Arc<dyn Clock>, timeout: Duration) -> Result<Self, ApiError> {
        let inner = Inner {
            http: client::Client::new(guard(&credentials.host), timeout),
            base: base(&credentials.host)?,
            shop_id: credentials.shop_id.clone(),
            key: credentials.key.clone(),
            manners: Manners::new(clock),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A list of the catalogue, as far as it can be read.
    ///
    /// # Errors
    /// When the till gives none.
    pub async fn list(&self, list: List) -> Result<Listing, ApiError> {
        let answer = self.get_list(list, ListFormat::Json).await?;
        let budget = Budget::new(LIST);
        lists::read(answer::data(&answer, self.key(), &budget)?, &budget)
    }

    /// A list as the till writes it.
    ///
    /// # Errors
    /// When the till gives none.
    pub async fn list_raw(&self, list: List, format: ListFormat) -> Result<Document, ApiError> {
        let answer = self.get_list(list, format).await?;
        self.document(answer, format == ListFormat::Html)
    }

    /// The till's report of a day's sales; without a day, of the day before.
    ///
    /// # Errors
    /// When the till gives none.
    pub async fn report(&self, day: Option<Date>, format: ReportFormat) -> Result<Document, ApiError> {
        let answer = self.get("getSales.php", report::parameters(day, format), REPORT_LIMIT).await?;
        let report = self.document(answer, format.may_be_page())?;
        if format == ReportFormat::Pdf && !invoice::is_pdf(&report.bytes) {
            return Err(ApiError::Unreadable("it is no PDF"));
        }
        Ok(report)
    }

    /// The orders of a period.
    ///
    /// # Errors
    /// When the till gives none.
    pub async fn orders(&self, query: &OrdersQuery) -> Result<OrdersAnswer, ApiError> {
        let answer = self.get("getOrders.php", query.parameters(), LIST_LIMIT).await?;
        let budget = Budget::new(LIST);
        orders::read(answer::data(&answer, self.key(), &budget)?, &budget)
    }

    /// One order, by the till's internal id.
    ///
    /// # Errors
    /// When the till gives none.
    pub async fn order(&self, id: &str) -> Result<Value, ApiError> {
        let answer = self.get("getOrder.php", vec![("order_id", id.to_owned())], ANSWER_LIMIT).await?;
        orders::read_one(answer::data(&answer, self.key(), &Budget::new(CALL))?)
    }

    /// Records a sale, once.
    ///
    /// # Errors
    /// When the till refuses, cannot be asked, or ([`ApiError::MaybeRecorded`]) did not say what became of it.
    pub async fn record_sale(&self, sale: &Sale) -> Result<SaleAnswer, ApiError> {
        sale.demand_lines()?;
        self.post(page_of(None), sale.fields(None)).await
    }

    /// Edits an order that is not validated, or records a payment of one that is; `id` is the till's internal id.
    ///
    /// # Errors
    /// When the till refuses, cannot be asked, or ([`ApiError::MaybeRecorded`]) did not say what became of it.
    pub async fn edit_order(&self, id: &str, sale: &Sale) -> Result<SaleAnswer, ApiError> {
        self.post(page_of(Some(id)), sale.fields(Some(id))).await
    }

    /// Where a sale, or an edit of the order with this id, would be sent, and with which fields, the key masked.
    ///
    /// # Errors
    /// When the host makes no address.
    pub fn request_shown(&self, sale: &Sale, order: Option<&str>) -> Result<(Url, Vec<(String, String)>), ApiError> {
        let [shop, other_shop, (key, _)] = self.credentials();
        let masked = [shop, other_shop, (key, MASK.to_owned())].map(|(name, value)| (name.to_owned(), value));
        let fields = masked.into_iter().chain(sale.fields(order)).collect();
        Ok((self.address(page_of(order))?, fields))
    }

    async fn get_list(&self, list: List, format: ListFormat) -> Result<Fetched, ApiError> {
        let (first, others) = list.pages().split_first().ok_or(ApiError::Unreadable("the list has no page"))?;
        let parameters = || vec![("format", format.word().to_owned())];
        let mut answer = self.get(first, parameters(), LIST_LIMIT).await?;
        for page in others {
            if answer.status != 404 {
                break;
            }
            answer = self.get(page, parameters(), LIST_LIMIT).await?;
        }
        Ok(answer)
    }

    async fn get(
        &self,
        page: &str,
        parameters: Vec<(&'static str, String)>,
        limit: usize,
    ) -> Result<Fetched, ApiError> {
        let mut url = self.address(page)?;
        url.query_pairs_mut().extend_pairs(self.credentials()).extend_pairs(&parameters);
        let ask = || self.inner.http.ask(Method::GET, &url, HeaderMap::new(), None, limit);
        let answer = self.inner.manners.turn().await.patiently(ask).await;
        answer.map_err(ApiError::Unreachable)
    }

    async fn post(&self, page: &str, fields: Vec<(String, String)>) -> Result<SaleAnswer, ApiError> {
        let url = self.address(page)?;
        let body = encode(self.credentials().into_iter().map(|(name, value)| (name.to_owned(), value)).chain(fields));
        let ask = post_form(&self.inner.http, &url, body);
        let answer = self.inner.manners.turn().await.once(ask).await;
        sale_answer::read(answer, self.key())
    }

    /// The shop's id goes under both of the names that the till's pages know, and the key.
    fn credentials(&self) -> [(&'static str, String); 3] {
        let shop = || self.inner.shop_id.clone();
        [("idboutique", shop()), ("shopID", shop()), ("key", self.key().to_owned())]
    }

    fn address(&self, page: &str) -> Result<Url, ApiError> {
        self.inner.base.join(page).map_err(|_| no_address())
    }

    fn key(&self) -> &str {
        self.inner.key.expose_secret()
    }

    fn document(&self, answer: Fetched, page: bool) -> Result<Document, ApiError> {
        answer::document(&answer, page, self.key())?;
        Ok(Document { content_type: answer.content_type, bytes: answer.body })
    }
}

/// The page that takes a sale, or the edit of an order.
fn page_of(order: Option<&str>) -> &'static str {
    if order.is_some() { "editOrder.php" } else { "webapp.php" }
}

/// Where the pages of the API are.
///
/// # Errors
/// When the host makes no address.
pub(super) fn base(host: &TillHost) -> Result<Url, ApiError> {
    let origin = match host {
        TillHost::Domain(domain) => Url::parse(&format!("https://{domain}")).map_err(|_| no_address())?,
        TillHost::Origin(origin) => origin.clone(),
    };
    origin.join("/workers/").map_err(|_| no_address())
}

/// A name is looked up and must be on the public internet; an origin was written down in full.
pub(super) fn guard(host: &TillHost) -> Guard {
    match host {
        TillHost::Domain(_) => Guard::public(),
        TillHost::Origin(_) => Guard::anywhere(),
    }
}

pub(super) async fn post_form(http: &client::Client, url: &Url, body: String) -> Result<Fetched, ClientError> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, FORM)]);
    http.ask(Method::POST, url, headers, Some(body.into()), ANSWER_LIMIT).await
}

/// A form as a browser writes it.
pub(super) fn encode(fields: impl IntoIterator<Item = (String, String)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn no_address() -> ApiError {
    ApiError::Unreadable("`host` makes no address")
}
