//! The client against a till that keeps the documented rules, and against tills that do not.

mod misbehaving;
mod seeds;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
};
use http::{HeaderMap, Method, Response, Uri};
use jiff::{Timestamp, civil::date};

use super::*;
use crate::clock::{Clock, ManualClock, Sleep};

/// What must be in no error, log or debug output.
const KEY: &str = "CANARY&key=é+/1";

/// A question as the till got it.
#[derive(Clone, Debug)]
struct Question {
    method: Method,
    page: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Question {
    fn get(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// A till that answers what it is told to, and remembers what it was asked.
#[derive(Clone)]
struct Till {
    origin: String,
    answers: Arc<Mutex<VecDeque<Response<Body>>>>,
    questions: Arc<Mutex<Vec<Question>>>,
}

impl Till {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let till = Self { origin, answers: Arc::default(), questions: Arc::default() };
        let router = Router::new().fallback(answer).with_state(till.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        till
    }

    fn answers(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> &Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.answers.lock().unwrap().push_back(response.body(body.into()).unwrap());
        self
    }

    fn questions(&self) -> Vec<Question> {
        self.questions.lock().unwrap().clone()
    }

    fn credentials(&self) -> Credentials {
        Credentials { host: self.origin.parse().unwrap(), shop_id: "4711".to_owned(), key: KEY.into() }
    }

    /// A client on a clock that jumps.
    fn client(&self) -> Client {
        Client::patient(&self.credentials(), Arc::new(Hasty::default()), Duration::from_secs(5)).unwrap()
    }
}

async fn answer(State(till): State<Till>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let form = headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    assert!(method == Method::GET || form, "a POST is a form");
    let body = String::from_utf8(body.to_vec()).unwrap();
    let sent = if method == Method::GET { uri.query().unwrap_or_default() } else { &body };
    let fields = url::form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
    till.questions.lock().unwrap().push(Question { method, page: uri.path().to_owned(), fields, body });
    let told = till.answers.lock().unwrap().pop_front();
    told.unwrap_or_else(|| Response::new("[]".into()))
}

/// A clock on which every sleep ends at once and moves the hand, and which remembers how long each was to be.
#[derive(Clone)]
struct Hasty {
    clock: ManualClock,
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl Default for Hasty {
    fn default() -> Self {
        Self { clock: ManualClock::new("2026-11-21T13:05:00Z".parse().unwrap()), slept: Arc::default() }
    }
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> Sleep {
        self.sleep(Duration::try_from(at.duration_since(self.now())).unwrap_or_default())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.slept.lock().unwrap().push(duration);
        self.clock.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn every_question_carries_the_shop_under_both_names_and_the_key() {
    let till = Till::start().await;
    let client = till.client();
    for list in List::ALL {
        client.list(list).await.unwrap();
    }
    client.order("8841207").await.unwrap_err();
    client.report(Some(date(2025, 10, 16)), ReportFormat::Fec).await.unwrap();
    for question in till.questions() {
        assert_eq!(question.method, Method::GET);
        assert_eq!((question.get("idboutique"), question.get("shopID")), (vec!["4711"], vec!["4711"]));
        assert_eq!(question.get("key"), [KEY], "{}", question.page);
    }
    let questions = till.questions();
    let pages: Vec<&str> = questions.iter().map(|question| question.page.as_str()).collect();
    assert_eq!(pages[..3], ["/workers/getPlus.php", "/workers/getDepartments.php", "/workers/getDepartmentGroups.php"]);
    assert_eq!(questions[0].get("format"), ["json"]);
    assert_eq!(questions[14].get("order_id"), ["8841207"]);
    let report = &questions[15];
    assert_eq!(
        (report.get("d"), report.get("m"), report.get("y"), report.get("formatExport")),
        (vec!["16"], vec!["10"], vec!["2025"], vec!["frafec"])
    );
}

#[tokio::test]
async fn the_orders_of_a_period_are_asked_for_as_the_vendors_own_program_does() {
    let till = Till::start().await;
    let (from, to) = ("2025-01-01T00:00:00Z".parse().unwrap(), "2025-01-02T12:30:15.987Z".parse().unwrap());
    let delivery_method = Some(crate::order::DeliveryMethod::from_code("2"));
    till.client().orders(&OrdersQuery::between(from, to)).await.unwrap();
    till.client().orders(&OrdersQuery { from, to, validated: Some(true), delivery_method }).await.unwrap();
    let asked = till.questions();
    assert_eq!(asked[0].get("validatedOrders"), [""; 0]);
    assert_eq!(asked[1].get("validatedOrders"), ["true"]);
    assert_eq!(asked[1].get("filterDeliveryMethod"), ["2"]);
    assert_eq!(asked[1].get("from_date_ISO8601"), ["2025-01-01T00:00:00Z"]);
    assert_eq!(asked[1].get("to_date_ISO8601"), ["2025-01-02T12:30:15Z"]);
}
