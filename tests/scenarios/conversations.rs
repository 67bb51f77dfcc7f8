//! The vendor's pages, tried out: what each shows is sent to the sandbox, whose webhook is the service, and what it
//! documents comes back and arrives.
//!
//! Each body is, byte for byte, what the page's JavaScript sends (`URLSearchParams` under Node 20, with the sandbox's shop id
//! and key filled in).

use serde_json::{Value, json};
use tillhook::till::sandbox::Webhook;

use crate::{far::http::HttpFar, harness::App};

const SINKS: &str = "[sink.accountant]\nMAIL\non = [\"order.*\"]\nper_order = \"each\"\nattach = [\"invoice\"]\n\
    [sink.erp]\nHTTP\non = [\"order.*\"]\ninclude_customer = true\n";

/// The customer of the examples, as the pages send her.
const ZOE: &str = "client%5Bnom%5D=Durand&client%5Bprenom%5D=Zo%C3%A9&client%5Bemail%5D=zoe.durand%40example.com\
    &client%5Btelephone%5D=%2B33+6+12+34+56+78&client%5Badresseligne1%5D=10+rue+des+%C3%89coles\
    &client%5Badresseligne2%5D=B%C3%A2t.+B&client%5Bcommentaireadresse%5D=Sonner+2+fois&client%5Bcodepostal%5D=75005\
    &client%5Bville%5D=Paris&client%5Bpays%5D=FR&client%5Bnumtva%5D=FRXX999999999\
    &client%5Brcs%5D=RCS+Paris+123+456+789&client%5BcodeBarre%5D=CUST-0001\
    &client%5Btelephone2%5D=%2B33+1+23+45+67+89&client%5Blat%5D=48.848&client%5Blng%5D=2.347";

/// A till, the service it calls, and what both sinks of the service got.
struct Shop {
    app: App,
    client: reqwest::Client,
}

impl Shop {
    async fn open() -> Self {
        let app = App::start(SINKS).await;
        drop(app.till.call(Webhook { url: app.webhook(), ..Webhook::default() }));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        Self { app, client }
    }

    /// Sends a form, waits until all that follows from it is done, and returns the answer.
    async fn post(&self, endpoint: &str, body: &str) -> Value {
        let request = self.client.post(format!("{}/workers/{endpoint}", self.app.till.origin()));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        let answer = request.send().await.expect("an answer").text().await.expect("a text");
        self.app.till.calls_done().await;
        self.app.settle().await;
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Asks with a query; returns the content type and the bytes.
    async fn get(&self, address: &str) -> (String, Vec<u8>) {
        let answer = self.client.get(address).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{address}");
        let kind = answer.headers()["content-type"].to_str().expect("a text").to_owned();
        (kind, answer.bytes().await.expect("bytes").to_vec())
    }

    async fn ask(&self, endpoint: &str, query: &str) -> (String, String) {
        let (kind, body) = self.get(&format!("{}/workers/{endpoint}?{query}", self.app.till.origin())).await;
        (kind, String::from_utf8_lossy(&body).into_owned())
    }

    /// The types and totals that arrived so far, the same at both sinks.
    fn arrived(&self) -> Vec<(String, String)> {
        let calls = self.app.far.http.calls();
        assert_eq!(self.app.far.mail.count(), calls.len() as u64, "as many mails as calls");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        calls.iter().map(|call| (text(&call.body["type"]), text(&call.body["data"]["total"]))).collect()
    }

    fn last_order(&self) -> Value {
        self.app.far.http.calls().pop().expect("a call").body["data"].clone()
    }
}

fn arrived(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(kind, total)| (format!("order.{kind}"), (*total).to_owned())).collect()
}

/// The documented answer: an order that is confirmed and not paid.
fn is_unpaid_invoice(answer: &Value) {
    assert_eq!(answer["success"], true, "{answer}");
    assert!(
        answer["orderID"].is_u64() && answer["paymentLink"].is_string() && answer["invoice"].is_string(),
        "{answer}"
    );
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(4), "{answer}");
}

/// The documented answer: an order that is confirmed and paid for.
fn is_paid_invoice(answer: &Value) {
    assert_eq!(answer["success"], true, "{answer}");
    assert!(answer["orderID"].is_u64() && answer["invoice"].is_string(), "{answer}");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3), "{answer}");
}

#[tokio::test]
async fn the_page_about_changing_a_sale() {
    let shop = Shop::open().await;
    // Its second example: the order is a quote and stays one.
    let quote = shop.post("editOrder.php", "shopID=4242&key=sandbox-key&payment=-2&orderID=123456&idClient=123").await;
    assert_eq!((&quote["success"], &quote["orderID"]), (&json!(true), &json!(123_456)));
    assert!(quote["paymentLink"].is_string() && quote.get("invoice").is_none());
    let (kind, pdf) = shop.get(quote["quote"].as_str().expect("a link")).await;
    assert!(kind == "application/pdf" && pdf.starts_with(b"%PDF-"));
    assert_eq!(shop.arrived(), [], "a quote is announced to nobody");

    // Its first: lines are added, and the order is validated.
    let lines = "shopID=4242&key=sandbox-key&orderID=123456&payment=-1\
                 &itemsList%5B%5D=Free_12.99_Item&itemsList%5B%5D=Free_9.99_Other+item";
    let invoice = shop.post("editOrder.php", lines).await;
    is_unpaid_invoice(&invoice);
    assert_eq!(shop.arrived(), arrived(&[("validated", "35.88")]));
    let order = shop.last_order();
    assert_eq!(order["customer"]["name"], "Camille Moreau");
    assert_eq!((&order["order_id"], &order["internal_id"]), (&json!("20261121001"), &json!("123456")));
    let labels: Vec<_> = order["items"].as_array().expect("lines").iter().map(|it| it["label"].clone()).collect();
    assert_eq!(labels, ["Menu midi", "Item", "Other item"]);

    // Its third: a payment. After it nothing can be changed any more.
    let paid = shop.post("editOrder.php", "shopID=4242&key=sandbox-key&orderID=123456&payment=123456").await;
    is_paid_invoice(&paid);
    assert_eq!(shop.arrived(), arrived(&[("validated", "35.88"), ("terminated", "35.88")]));
    let late = shop.post("editOrder.php", lines).await;
    assert_eq!(late["success"], false);
    assert!(late["result"].as_str().is_some_and(|reason| reason.contains("only payments")));
    assert_eq!(shop.app.till.downloads()["123456"], 1, "the service fetched the invoice, once");
    shop.app.finish().await;
}

#[tokio::test]
async fn each_example_of_changing_a_sale_also_works_by_itself() {
    for (rest, expected) in [
        (
            "orderID=123456&payment=-1&itemsList%5B%5D=Free_12.99_Item&itemsList%5B%5D=Free_9.99_Other+item",
            &["validated"][..],
        ),
        ("payment=-2&orderID=123456&idClient=123", &[]),
        ("orderID=123456&payment=123456", &["validated", "terminated"]),
    ] {
        let shop = Shop::open().await;
        let answer = shop.post("editOrder.php", &format!("shopID=4242&key=sandbox-key&{rest}")).await;
        assert_eq!(answer["success"], true, "{rest}: {answer}");
        let kinds: Vec<_> = shop.arrived().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, expected.iter().map(|kind| format!("order.{kind}")).collect::<Vec<_>>(), "{rest}");
        shop.app.finish().await;
    }
}

#[tokio::test]
async fn the_page_about_recording_sales() {
    let shop = Shop::open().await;
    let simple =
        "shopID=4242&key=sandbox-key&payment=-1&itemsList%5B%5D=Free_12.99_Item&itemsList%5B%5D=Free_9.99_Other+item";
    is_unpaid_invoice(&shop.post("webapp.php", simple).await);
    let known = "shopID=4242&key=sandbox-key&payment=-1&idClient=123\
                 &itemsList%5B%5D=12_2_Pizza+4+fromages_14.50_3_8&itemsList%5B%5D=-5_9.99_Vente+libre";
    is_unpaid_invoice(&shop.post("webapp.php", known).await);
    assert_eq!(shop.last_order()["customer"]["id"], "123");
    let new = format!(
        "shopID=4242&key=sandbox-key&payment=-1&{ZOE}&itemsList%5B%5D=Free_19_Item&itemsList%5B%5D=Free_5.4_OtherItem"
    );
    let answer = shop.post("webapp.php", &new).await;
    is_unpaid_invoice(&answer);
    let unpaid = [("validated", "22.98"), ("validated", "38.99"), ("validated", "24.40")];
    assert_eq!(shop.arrived(), arrived(&unpaid));
    let customer = shop.last_order()["customer"].clone();
    assert_eq!((&customer["name"], &customer["email"]), (&json!("Zoé Durand"), &json!("zoe.durand@example.com")));
    assert!(customer.to_string().contains("Sonner 2 fois"), "what else was typed in is told too: {customer}");

    // "Recording a payment" comes later, as with a customer who has an account.
    let id = answer["orderID"].as_u64().expect("a number");
    let pay = |amount: &str| format!("shopID=4242&key=sandbox-key&orderID={id}&payment=2{amount}");
    is_unpaid_invoice(&shop.post("editOrder.php", &pay("&paymentAmount=10")).await);
    assert_eq!(shop.arrived(), arrived(&unpaid), "a part of the money is told to nobody");
    is_paid_invoice(&shop.post("editOrder.php", &pay("")).await);
    assert_eq!(shop.arrived().last(), arrived(&[("terminated", "24.40")]).last());

    let failure = shop.post("webapp.php", "shopID=4242&key=wrong&payment=-1&itemsList%5B%5D=Free_1_x").await;
    assert_eq!(failure, json!({"success": false, "result": "unknown shop or wrong key"}));
    shop.app.finish().await;
}

#[tokio::test]
async fn the_page_about_web_services() {
    let shop = Shop::open().await;
    // "You can provide a date (in the unix timestamp format)", an existing client, a user, a delivery method.
    let sale = "idboutique=4242&key=sandbox-key&payment=2&idUser=1&idClient=123&deliveryMethod=2&dateValeur=1795000000\
                &itemsList%5B%5D=12_2&itemsList%5B%5D=15";
    is_paid_invoice(&shop.post("webapp.php", sale).await);
    assert_eq!(
        shop.arrived(),
        arrived(&[("validated", "28.90"), ("terminated", "28.90")]),
        "called twice for each order"
    );
    let order = shop.last_order();
    assert_eq!(order["delivery_method"]["name"], "on_site");
    assert_eq!(order["dates"]["value"], "2026-11-18T12:06:40+01:00");

    // "The software will call the configured URL on each sale, with the following parameters".
    let far = HttpFar::start().await;
    drop(shop.app.till.call(Webhook { url: far.url().to_owned(), ..Webhook::default() }));
    shop.post("webapp.php", sale).await;
    for (request, kind) in far.requests().iter().zip(["validated", "terminated"]) {
        let fields: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        let named = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        assert_eq!(named("type"), Some(kind));
        for name in [
            "orderID",
            "orderInternalID",
            "price",
            "clientID",
            "client",
            "cashBoxID",
            "deliveryMethod",
            "PDFinvoice",
            "items",
            "VATs",
            "VAT",
            "isRefund",
            "creationDate",
            "validationDate",
            "valueDate",
            "signatureVerificationURL",
        ] {
            assert!(named(name).is_some_and(|text| !text.is_empty()), "{name}: {fields:?}");
        }
        let (_, verified) = shop.get(named("signatureVerificationURL").expect("a link")).await;
        assert_eq!(serde_json::from_slice::<Value>(&verified).expect("JSON")["valid"], true);
    }
    assert_eq!(far.requests().len(), 2);
    shop.app.finish().await;
}

#[tokio::test]
async fn the_page_with_everything_for_developers() {
    let shop = Shop::open().await;
    let token = shop.post("getAuthToken.php", "login=sandbox%40example.com&password=sandbox-password").await;
    assert_eq!(token, json!({"result": "OK", "APIKEY": "sandbox-key", "SHOPID": "4242"}));
    let wrong = shop.post("getAuthToken.php", "login=sandbox%40example.com&password=guess").await;
    assert!(wrong["result"] == "ERROR" && wrong["message"].is_string());

    let known = "idboutique=4242&key=sandbox-key&idUser=1&payment=-1&deliveryMethod=0&idClient=123\
                 &itemsList%5B%5D=12_2_Pizza+4+fromages_14.50_3_8&itemsList%5B%5D=-5_9.99_Vente+libre";
    is_unpaid_invoice(&shop.post("webapp.php", known).await);
    let new = format!(
        "idboutique=4242&key=sandbox-key&payment=2&deliveryMethod=1&{ZOE}\
         &itemsList%5B%5D=42_1_Menu+midi_12.90&itemsList%5B%5D=15_3_Canette+Cola_2.50"
    );
    is_paid_invoice(&shop.post("webapp.php", &new).await);
    let told = [("validated", "38.99"), ("validated", "20.40"), ("terminated", "20.40")];
    assert_eq!(shop.arrived(), arrived(&told));

    let day = "idboutique=4242&key=sandbox-key&d=21&m=11&y=2026&formatExport=";
    let (kind, csv) = shop.ask("getSales.php", &format!("{day}CSV")).await;
    assert!(kind.starts_with("text/csv") && csv.ends_with(";59.39\r\n"), "{csv}");
    let (kind, page) = shop.ask("getSales.php", "idboutique=4242&key=sandbox-key&formatExport=Std").await;
    assert!(
        kind.starts_with("text/html") && page.contains("Ventes du 2026-11-20"),
        "without a date, of the day before"
    );
    let (kind, pdf) = shop.ask("getSales.php", &format!("{day}PDF")).await;
    assert!(kind == "application/pdf" && pdf.starts_with("%PDF-"));

    let (kind, articles) = shop.ask("getPlus.php", "idboutique=4242&key=sandbox-key&format=json").await;
    let articles: Value = serde_json::from_str(&articles).expect("JSON");
    assert!(kind == "application/json" && articles.as_array().is_some_and(|list| list.len() > 10));
    let (kind, customers) = shop.ask("getClients.php", "idboutique=4242&key=sandbox-key&format=csv").await;
    assert!(
        kind.starts_with("text/csv") && customers.contains(";Durand;Zoé;zoe.durand@example.com;+33 6 12 34 56 78;")
    );
    let (kind, departments) = shop.ask("getDepartments.php", "idboutique=4242&key=sandbox-key&format=html").await;
    assert!(kind.starts_with("text/html") && departments.contains("<td>Divers</td>"));
    shop.app.finish().await;
}

#[tokio::test]
async fn the_french_page_about_recording_sales() {
    let shop = Shop::open().await;
    let known = "idboutique=4242&key=sandbox-key&idUser=1&payment=-1&deliveryMethod=0&idClient=123\
                 &itemsList%5B%5D=12_2_Pizza+4+fromages_14.50_3_8&itemsList%5B%5D=-5_9.99_Vente+libre";
    is_unpaid_invoice(&shop.post("webapp.php", known).await);
    let (_, users) = shop.ask("getUsers.php", "idboutique=4242&key=sandbox-key&format=csv").await;
    assert!(!users.contains("webservice"));
    let new = format!(
        "idboutique=4242&key=sandbox-key&payment=2&deliveryMethod=1&{ZOE}\
         &itemsList%5B%5D=42_1_Menu+midi_12.90&itemsList%5B%5D=15_3_Canette+Cola_2.50"
    );
    let answer = shop.post("webapp.php", &new).await;
    is_paid_invoice(&answer);
    assert_eq!(shop.arrived(), arrived(&[("validated", "38.99"), ("validated", "20.40"), ("terminated", "20.40")]));
    assert_eq!(shop.last_order()["delivery_method"]["name"], "delivery");

    // "Si idUser est omis, le logiciel utilise/crée automatiquement un utilisateur webservice".
    let (_, users) = shop.ask("getUsers.php", "idboutique=4242&key=sandbox-key&format=csv").await;
    assert!(users.contains("2;webservice"), "{users}");
    let id = answer["orderID"].to_string();
    let (_, order) = shop.ask("getOrder.php", &format!("idboutique=4242&key=sandbox-key&order_id={id}")).await;
    assert_eq!(serde_json::from_str::<Value>(&order).expect("JSON")["idUser"], 2);
    shop.app.finish().await;
}

#[tokio::test]
async fn what_the_vendors_own_client_program_sends() {
    let shop = Shop::open().await;
    let who = "client%5Bfirstname%5D=Zo%C3%A9&client%5Blastname%5D=Durand&client%5Bphone%5D=0612345678\
               &client%5Baddress%5D=10+rue+des+%C3%89coles&client%5Bzip%5D=75005&client%5Bcity%5D=Paris\
               &client%5Bcountry%5D=FR&client%5Bemail%5D=zoe.durand%40example.com";
    // It leaves the payment out at times: then the order stays a quote.
    let quote = shop.post("webapp.php", &format!("idboutique=4242&key=sandbox-key&{who}&itemsList%5B%5D=11_1__")).await;
    assert!(quote.is_object() && quote["quote"].is_string(), "{quote}");
    assert_eq!(shop.arrived(), []);
    let sold = shop
        .post("webapp.php", &format!("idboutique=4242&key=sandbox-key&payment=2&{who}&itemsList%5B%5D=11_1__"))
        .await;
    is_paid_invoice(&sold);
    assert_eq!(shop.arrived(), arrived(&[("validated", "5.50"), ("terminated", "5.50")]));
    let customer = shop.last_order()["customer"].clone();
    assert_eq!((&customer["name"], &customer["email"]), (&json!("Zoé Durand"), &json!("zoe.durand@example.com")));

    let period =
        "idboutique=4242&key=sandbox-key&from_date_ISO8601=2025-01-01T00:00:00Z&to_date_ISO8601=2027-01-01T00:00:00Z";
    let orders = async |rest: &str| -> Value {
        serde_json::from_str(&shop.ask("getOrders.php", &format!("{period}{rest}")).await.1).expect("JSON")
    };
    let validated = orders("&validatedOrders=true").await;
    assert_eq!(validated.as_array().map(Vec::len), Some(1));
    assert_eq!((&validated[0]["orderID"], &validated[0]["type"]), (&json!("20261121001"), &json!("terminated")));
    let quotes = orders("&validatedOrders=false").await;
    assert_eq!(quotes.as_array().map(Vec::len), Some(2), "its own, and the one of the examples");
    for list in ["getDepartmentsGroups.php", "getLivreurs.php"] {
        let (_, entries) = shop.ask(list, "idboutique=4242&key=sandbox-key&format=json").await;
        assert!(entries.starts_with("[{"), "{list}: {entries}");
    }
    shop.app.finish().await;
}
