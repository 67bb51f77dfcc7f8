//! Tills that answer with anything but what is documented, or not at all.

use rstest::rstest;

use super::*;

async fn orders(client: &Client) -> Result<OrdersAnswer, ApiError> {
    let now: Timestamp = "2026-11-21T13:05:00Z".parse().unwrap();
    client.orders(&OrdersQuery::between(now, now)).await
}

#[rstest]
#[case::array(r#"[{"orderID":1},{"orderID":2}]"#)]
#[case::data(r#"{"success":true,"data":[{"orderID":1},{"orderID":2}]}"#)]
#[case::other_envelope(r#"{"result":"OK","ventes":[{"orderID":1},{"orderID":2}]}"#)]
#[case::by_id(r#"{"17":{"orderID":1},"18":{"orderID":2}}"#)]
#[case::data_by_id(r#"{"data":{"17":{"orderID":1},"18":{"orderID":2}}}"#)]
#[case::json_in_text(r#""[{\"orderID\":1},{\"orderID\":2}]""#)]
#[case::objects_in_text(r#"["{\"orderID\":1}","{\"orderID\":2}"]"#)]
#[case::byte_order_mark("\u{feff}[{\"orderID\":1},{\"orderID\":2}]")]
#[tokio::test]
async fn orders_are_found_in_whatever_they_are_wrapped(#[case] body: &'static str) {
    let till = Till::start().await;
    till.answers(200, &[("content-type", "text/html")], body);
    let answer = orders(&till.client()).await.unwrap();
    let ids: Vec<String> = answer.orders.iter().map(|order| order["orderID"].to_string()).collect();
    assert_eq!((ids, answer.unread), (vec!["1".to_owned(), "2".to_owned()], vec![]));
}

#[rstest]
#[case::plain("Clé invalide", "the till refuses: Clé invalide")]
#[case::latin_1(&b"{\"success\":false,\"result\":\"Cl\xe9 invalide\"}"[..], "the till refuses: Clé invalide")]
#[case::result(r#"{"result":"ERROR","message":"Bad\nkey"}"#, "the till refuses: Bad key")]
#[case::with_the_key(r#"{"success":0,"result":"no CANARY&key=é+/1 here"}"#, "the till refuses: no ******** here")]
#[case::encoded_key(r#"{"error":"?key=CANARY%26key%3D%C3%A9%2B%2F1"}"#, "the till refuses: ?key=********")]
#[case::page("<!doctype html><title>Connexion</title>", "the till answered with a web page (HTTP 200)")]
#[case::php("<br />\n<b>Fatal error</b>: secret", "the till answered with a web page (HTTP 200)")]
#[case::empty(" \n", "the till answered with nothing (HTTP 200)")]
#[case::truncated(r#"[{"orderID":1},{"orderI"#, "not understood: its JSON breaks off")]
#[case::not_quite("[{'orderID':1}]", "not understood: it is not JSON")]
#[case::csv("id;nom;email\n1;Durand;a@b.fr", "not understood: it is text in place of JSON")]
#[case::null("null", "not understood: there is no list in it")]
#[case::nothing_said(r#"{"success":true}"#, "not understood: there is no list in it")]
#[case::one_order(r#"{"orderID":1,"items":[{"id":1}]}"#, "not understood: there is no list in it")]
#[tokio::test]
async fn what_is_no_list_is_an_error_that_says_so(#[case] body: impl Into<Bytes>, #[case] told: &str) {
    let till = Till::start().await;
    till.answers(200, &[("content-type", "application/json")], body.into());
    let error = orders(&till.client()).await.unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    assert!(!error.to_string().contains("Fatal") && !format!("{error:?}").contains("CANARY"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_order_is_counted_and_the_rest_is_read() {
    let till = Till::start().await;
    till.answers(200, &[], r#"[{"orderID":1},null,[],"x",{},{"orderID":1.10},7,"y"]"#);
    let answer = orders(&till.client()).await.unwrap();
    assert_eq!(answer.orders.len(), 2);
    assert_eq!(answer.orders[1]["orderID"].to_string(), "1.10", "amounts are exact");
    assert_eq!(answer.unread_count(), 6);
    let text = answer.unread.iter().find(|unread| unread.reason == "text in place of an object").unwrap();
    assert_eq!(text.count, 2);
}
