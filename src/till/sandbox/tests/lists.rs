//! The lists, the orders of a period, the reports, and who may ask for them.

use std::time::Duration;

use super::{super::report::Format, ADMITTED, Till};

/// The documented lists, and the two that the vendor's own client asks for besides.
const LISTS: &str = "getPlus getDepartments getDepartmentGroups getClients getDeclinaisons getLivraisons getPaymentModes \
    getCashbox getDeliveryZones getRelayDeposit getDiscounts getUsers getTables getPending getDepartmentsGroups getLivreurs";

fn lists() -> Vec<String> {
    LISTS.split_whitespace().map(|name| format!("{name}.php")).collect()
}

#[tokio::test]
async fn every_list_comes_in_three_formats_that_say_the_same() {
    let till = Till::open().await;
    assert_eq!(lists().len(), 16);
    for list in &lists() {
        let json = till.ask_json(list, "format=json").await;
        let entries = json.as_array().expect("a list").len();
        assert!(entries > 0, "{list}");
        let csv = till.ask(list, "format=csv").await.body;
        assert_eq!(csv.lines().count(), entries + 1, "{list}");
        let html = till.ask(list, "format=html").await.body;
        assert_eq!(html.matches("<tr>").count(), entries + 1, "{list}");
        assert!(till.ask(list, "format=xml").await.body.contains("none of json, csv and html"));
    }
    assert_eq!(till.ask("getNothing.php", "").await.status, 404);
}

#[tokio::test]
async fn nobody_is_answered_without_shop_and_key() {
    let till = Till::open().await;
    let others = ["getSales.php", "getOrders.php", "getOrder.php"].map(str::to_owned);
    for endpoint in &[lists(), others.to_vec()].concat() {
        for query in [
            "idboutique=4242",
            "key=sandbox-key",
            "idboutique=1&key=sandbox-key",
            "idboutique=4242&shopID=1&key=sandbox-key",
        ] {
            let call = crate::till::Announcement {
                method: http::Method::GET,
                query: Some(format!("{query}&format=csv&formatExport=CSV")),
                content_type: None,
                body: Vec::new(),
            };
            let answer = crate::till::post(&call, &till.address(endpoint)).await.expect("an answer");
            assert_eq!(answer.body, r#"{"success":false,"result":"unknown shop or wrong key"}"#, "{endpoint}?{query}");
        }
    }
    let form = "application/x-www-form-urlencoded";
    let stranger = till.send("webapp.php", form, "payment=-1&itemsList[]=12").await;
    assert!(stranger.body.contains("wrong key"));
    let by_other_name = till.send("webapp.php", form, "shopID=4242&key=sandbox-key&payment=-1&itemsList[]=12").await;
    assert!(by_other_name.body.contains("\"success\":true"));
}

#[tokio::test]
async fn only_forms_are_read() {
    let till = Till::open().await;
    let body = format!("{ADMITTED}&payment=-1&itemsList[]=12");
    for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        assert!(
            till.send("webapp.php", kind, &body).await.body.contains("application/x-www-form-urlencoded"),
            "{kind}"
        );
    }
    let declared = till.send("webapp.php", "application/x-www-form-urlencoded; charset=UTF-8", &body).await;
    assert!(declared.body.contains("\"success\":true"));
    assert_eq!(till.ask("webapp.php", "payment=-1&itemsList[]=12").await.status, 405);
}

#[tokio::test]
async fn the_orders_of_a_period_are_those_that_were_validated_in_it() {
    let till = Till::open().await;
    let ids = async |query: &str| -> Vec<String> {
        let orders = till.ask_json("getOrders.php", query).await;
        orders
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["orderInternalID"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let first = till.sale("payment=-1&deliveryMethod=1&itemsList[]=12").await;
    let quote = till.sale("payment=-2&itemsList[]=12").await;
    till.clock.advance(Duration::from_hours(1));
    let second = till.sale("payment=2&itemsList[]=12").await;
    assert_eq!(ids("").await, [first.clone(), second.clone()]);
    assert_eq!(ids("from_date_ISO8601=2026-11-21T13:30:00Z").await, [second.as_str()]);
    assert_eq!(ids("to_date_ISO8601=2026-11-21T13:00:00Z").await, [first.as_str()], "both ends belong to it");
    // In the shop's time where no offset is given, and with an offset whose plus was not encoded.
    assert_eq!(ids("from_date_ISO8601=2026-11-21T14:30:00").await, [second.as_str()]);
    assert_eq!(ids("from_date_ISO8601=2026-11-21T14:30:00+01:00").await, [second.as_str()]);
    assert_eq!(ids("from_date_ISO8601=2026-11-22").await, Vec::<String>::new());
    assert_eq!(ids("filterDeliveryMethod=1").await, [first.as_str()]);
    assert_eq!(ids("validatedOrders=false").await, ["123456".to_owned(), quote]);
    for wrong in ["from_date_ISO8601=yesterday", "validatedOrders=maybe", "filterDeliveryMethod=x"] {
        let refusal = till.ask_json("getOrders.php", wrong).await;
        assert_eq!(refusal["success"], false, "{wrong}");
    }
    let orders = till.ask_json("getOrders.php", "").await;
    assert_eq!((&orders[0]["type"], &orders[1]["type"]), (&"validated".into(), &"terminated".into()));
    assert!(till.ask("getOrder.php", "").await.body.contains("order_id"));
    assert!(till.ask("getOrder.php", "order_id=1").await.body.contains("unknown order"));
}

#[tokio::test]
async fn a_report_is_of_the_day_that_is_asked_for_and_else_of_the_day_before() {
    let till = Till::open().await;
    till.sale("payment=2&itemsList[]=12").await;
    till.sale("payment=2&itemsList[]=-5_9.99_Vente").await;
    till.clock.advance(Duration::from_hours(24));
    let day = "2026-11-21".parse().expect("a day");
    let report = till.sandbox.report(day);
    for (name, format) in [("Std", Format::Html), ("CSV", Format::Csv), ("frafec", Format::Fec), ("saft", Format::Saft)]
    {
        let expected = String::from_utf8(report.answer(format).expect("a report").body).expect("text");
        assert_eq!(till.ask("getSales.php", &format!("formatExport={name}")).await.body, expected);
        assert_eq!(till.ask("getSales.php", &format!("d=21&m=11&y=2026&formatExport={name}")).await.body, expected);
    }
    assert!(till.ask("getSales.php", "formatExport=PDF").await.body.starts_with("%PDF-"));
    assert!(till.ask("getSales.php", "formatExport=XLS").await.body.starts_with("PK"));
    assert_eq!(report.total.gross.to_string(), "22.89");
    for wrong in [
        "",
        "formatExport=XML",
        "d=21&formatExport=CSV",
        "d=31&m=2&y=2026&formatExport=CSV",
        "d=x&m=1&y=1&formatExport=CSV",
    ] {
        assert!(till.ask("getSales.php", wrong).await.body.contains("\"success\":false"), "{wrong}");
    }
}

#[tokio::test]
async fn a_sale_counts_for_its_value_date() {
    let till = Till::open().await;
    till.sale("payment=2&itemsList[]=12&dateValeur=1795000000").await;
    let quote = till.sale("payment=-2&itemsList[]=12&dateValeur=1795000000").await;
    till.post("editOrder.php", &format!("orderID={quote}&payment=-1")).await;
    let gross = |day: &str| till.sandbox.report(day.parse().expect("a day")).total.gross.to_string();
    assert_eq!((gross("2026-11-18").as_str(), gross("2026-11-21").as_str()), ("25.80", "0.00"));
}
