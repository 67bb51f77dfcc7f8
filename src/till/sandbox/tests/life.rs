//! The life of an order: quote, invoice, paid, given back, and everything that is not allowed on the way.

use rust_decimal::Decimal;

use super::{super::ticket::Stage, Till};

#[tokio::test]
async fn a_quote_becomes_an_invoice_with_a_number_and_is_paid_in_parts() {
    let till = Till::open().await;
    let id = till.sale("payment=-2&itemsList[]=12_2").await;
    let quote = till.sandbox.ticket(&id).expect("a quote");
    assert_eq!((quote.stage, quote.order.order_id.as_str()), (Stage::Quote, ""));
    till.sale("payment=-1&itemsList[]=12").await;
    till.post("editOrder.php", &format!("orderID={id}&payment=-1")).await;
    let invoice = till.sandbox.ticket(&id).expect("an invoice");
    assert_eq!((invoice.stage, invoice.order.order_id.as_str()), (Stage::Invoiced, "20261121002"), "the next number");
    let part = till.post("editOrder.php", &format!("orderID={id}&payment=1&paymentAmount=20")).await;
    assert!(part["paymentLink"].is_string() && part["invoice"].is_string());
    assert_eq!(till.sandbox.ticket(&id).expect("it").owed(), Decimal::new(580, 2));
    let rest = till.post("editOrder.php", &format!("orderID={id}&payment=2&paymentAmount=5.80")).await;
    assert!(rest.get("paymentLink").is_none());
    assert_eq!(till.sandbox.ticket(&id).expect("it").stage, Stage::Paid);
}

#[tokio::test]
async fn a_refused_call_leaves_no_trace() {
    let till = Till::open().await;
    let before = (till.ask("getClients.php", "format=csv").await, till.ask("getPending.php", "format=csv").await);
    let line = "itemsList[]=12";
    for (form, reason) in [
        ("payment=2".to_owned(), "at least one line"),
        (format!("payment=77&{line}"), "unknown payment method: 77"),
        (format!("payment=2&{line}&idUser=9"), "unknown user: 9"),
        (format!("payment=2&{line}&idClient=9"), "unknown customer: 9"),
        (format!("payment=2&{line}&idtable=99"), "unknown table: 99"),
        (format!("payment=2&{line}&idcaisse=9"), "unknown cash box: 9"),
        (format!("payment=2&{line}&deliveryMethod=7"), "unknown delivery method: 7"),
        (format!("payment=2&{line}&paymentAmount=12.91"), "more than the 12.90"),
        (format!("payment=91&{line}&paymentAmount=5"), "the whole of its lines"),
        (format!("payment=&{line}"), "payment"),
        ("payment=2&client[nom]=X&itemsList[]=999".to_owned(), "unknown article: 999"),
        ("payment=2&client[nom]=X&itemsList[]=12_1_a_1_b".to_owned(), "may not contain `_`"),
    ] {
        let refusal = till.refused("webapp.php", &form).await;
        assert!(refusal.contains(reason), "{form}: {refusal}");
    }
    assert!(till.sandbox.orders().is_empty());
    assert_eq!(
        (till.ask("getClients.php", "format=csv").await, till.ask("getPending.php", "format=csv").await),
        before
    );
    till.sale(&format!("payment=2&{line}")).await;
    assert_eq!(till.sandbox.orders()[0].order_id, "20261121001", "no number was wasted");
}

#[tokio::test]
async fn a_validated_order_takes_payments_and_nothing_else() {
    let till = Till::open().await;
    let id = till.sale("payment=-1&itemsList[]=12").await;
    for change in [
        "payment=-1",
        "payment=-2",
        "",
        "payment=2&itemsList[]=12",
        "payment=2&idClient=123",
        "payment=2&publicComment=x",
    ] {
        let refusal = till.refused("editOrder.php", &format!("orderID={id}&{change}")).await;
        assert!(refusal.contains("only payments"), "{change}: {refusal}");
    }
    assert!(
        till.refused("editOrder.php", &format!("orderID={id}&payment=2&paymentAmount=13")).await.contains("more than")
    );
    assert!(till.refused("editOrder.php", "payment=2").await.contains("orderID"));
    assert!(till.refused("editOrder.php", "orderID=1&payment=2").await.contains("unknown order"));
    till.post("editOrder.php", &format!("orderID={id}&payment=2&idUser=1")).await;
    assert!(till.refused("editOrder.php", &format!("orderID={id}&payment=2")).await.contains("already paid"));
}

#[tokio::test]
async fn money_goes_back_as_a_new_order_once() {
    let till = Till::open().await;
    let sale = till.sale("payment=2&itemsList[]=12_2&idClient=123").await;
    let give_back = format!("orderID={sale}&payment=91");
    let refund = till.post("editOrder.php", &give_back).await["orderID"].to_string();
    assert_ne!(refund, sale);
    let refunded = till.sandbox.ticket(&refund).expect("a refund");
    assert!(refunded.order.is_refund && refunded.stage == Stage::Paid);
    assert_eq!((refunded.order.total(), refunded.order.order_id.as_str()), (Decimal::new(-2580, 2), "20261121002"));
    assert_eq!(refunded.order.customer_name().as_deref(), Some("Camille Moreau"));
    assert!(till.refused("editOrder.php", &give_back).await.contains("given back already"));
    assert!(
        till.refused("editOrder.php", &format!("orderID={refund}&payment=91")).await.contains("nothing to give back")
    );

    // A part goes back by its lines.
    let part = till.sale("payment=91&itemsList[]=12").await;
    assert_eq!(till.sandbox.ticket(&part).expect("a refund").order.total(), Decimal::new(-1290, 2));

    let unpaid = till.sale("payment=-1&itemsList[]=12").await;
    assert!(
        till.refused("editOrder.php", &format!("orderID={unpaid}&payment=91")).await.contains("nothing to give back")
    );
    assert!(till.refused("editOrder.php", "orderID=123456&payment=91").await.contains("is a quote"));
}

#[tokio::test]
async fn the_notes_of_an_order_are_kept_and_shown() {
    let till = Till::open().await;
    let notes =
        "idtable=3&numcouverts=4&pagerNum=17&publicComment=Sans+sel&privateComment=VIP&idcaisse=2&deliveryMethod=2";
    let id = till.sale(&format!("payment=1&itemsList[0]=12&itemsList[1]=15_2&{notes}")).await;
    let order = till.ask_json("getOrder.php", &format!("order_id={id}")).await;
    assert_eq!((&order["numcouverts"], &order["pagerNum"], &order["idtable"]), (&4.into(), &17.into(), &3.into()));
    assert_eq!((&order["publicComment"], &order["privateComment"]), (&"Sans sel".into(), &"VIP".into()));
    assert_eq!(
        (&order["cashBoxID"], &order["deliveryMethod"], &order["state"]),
        (&"2".into(), &"2".into(), &"paid".into())
    );
    assert_eq!(order["payments"][0]["amount"], "19.10");
    assert_eq!(order["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn the_links_of_an_order_lead_somewhere_and_the_payment_link_pays() {
    let till = Till::open().await;
    let answer = till.post("webapp.php", "payment=-1&itemsList[]=12").await;
    let id = answer["orderID"].to_string();
    let link = answer["paymentLink"].as_str().expect("a link").to_owned();
    let call = |method| crate::till::Announcement { method, query: None, content_type: None, body: Vec::new() };
    let page = crate::till::post(&call(http::Method::GET), &link).await.expect("a page");
    assert!(page.status == 200 && page.body.contains("12.90"));
    crate::till::post(&call(http::Method::POST), &link).await.expect("a page");
    assert_eq!(till.sandbox.ticket(&id).expect("it").stage, Stage::Paid);
    let quote = format!("{}/quote/{id}.pdf", till.sandbox.origin());
    assert_eq!(
        crate::till::post(&call(http::Method::GET), &quote).await.expect("an answer").status,
        404,
        "it is none any more"
    );
}
