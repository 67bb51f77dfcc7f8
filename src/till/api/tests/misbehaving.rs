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
#[case::the_only_page(r#"{"page":1,"pages":1,"next":null,"count":2,"orders":[{"orderID":1},{"orderID":2}]}"#)]
#[case::by_id(r#"{"17":{"orderID":1},"18":{"orderID":2}}"#)]
#[case::data_by_id(r#"{"data":{"17":{"orderID":1},"18":{"orderID":2}}}"#)]
#[case::json_in_text(r#""[{\"orderID\":1},{\"orderID\":2}]""#)]
#[case::objects_in_text(r#"["{\"orderID\":1}","{\"orderID\":2}"]"#)]
#[case::behind_a_notice_of_php(
    "<br />\n<b>Warning</b>:  Undefined index: remise in <b>/var/www/getOrders.php</b> on line <b>112</b><br />\n\
     [{\"orderID\":1},{\"orderID\":2}]"
)]
#[case::behind_two_and_before_one(
    "\nNotice: a in /x.php on line 1\n\nDeprecated: b in /x.php on line 2\n[{\"orderID\":1},{\"orderID\":2}]\n<br />\n\
     <b>Warning</b>: c in <b>/x.php</b> on line <b>3</b><br />"
)]
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
#[case::a_notice_alone(
    "<br />\n<b>Warning</b>: secret in <b>/x.php</b> on line <b>1</b><br />",
    "the till answered with a web page (HTTP 200)"
)]
#[case::empty(" \n", "the till answered with nothing (HTTP 200)")]
#[case::truncated(r#"[{"orderID":1},{"orderI"#, "not understood: its JSON breaks off")]
#[case::not_quite("[{'orderID':1}]", "not understood: it is not JSON")]
#[case::csv("id;nom;email\n1;Durand;a@b.fr", "not understood: it is text in place of JSON")]
#[case::null("null", "not understood: there is no list in it")]
#[case::nothing_said(r#"{"success":true}"#, "not understood: there is no list in it")]
#[case::page_of_several(
    r#"{"page":1,"pages":"2","data":[{"orderID":1}]}"#,
    "not understood: it is one page of several"
)]
#[case::more_to_come(r#"{"next":"?page=2","data":[{"orderID":1}]}"#, "not understood: it is one page of several")]
#[case::a_part(r#"{"count":3,"orders":[{"orderID":1}]}"#, "not understood: it is one page of several")]
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

#[tokio::test]
async fn what_changes_nothing_is_asked_three_times_and_waits_as_it_is_told() {
    let till = Till::start().await;
    till.answers(503, &[("retry-after", "20")], "").answers(429, &[], "").answers(200, &[], "[]");
    let clock = Hasty::default();
    let client = Client::new(&till.credentials(), Arc::new(clock.clone())).unwrap();
    assert_eq!(orders(&client).await.unwrap().orders.len(), 0);
    assert_eq!(till.questions().len(), 3);
    assert_eq!(*clock.slept.lock().unwrap(), [20, 5].map(Duration::from_secs));

    till.answers(502, &[], "").answers(504, &[], "").answers(503, &[("retry-after", "7")], "");
    assert_eq!(orders(&client).await.unwrap_err(), ApiError::Status { status: 503, wait: Some(7) });
    assert_eq!(till.questions().len(), 6);

    // A till that wants to be left alone for longer is.
    till.answers(503, &[("retry-after", "31")], "");
    assert_eq!(orders(&client).await.unwrap_err(), ApiError::Status { status: 503, wait: Some(31) });
    assert_eq!(till.questions().len(), 7);
}

#[rstest]
#[case(401, "is the key right")]
#[case(403, "is the key right")]
#[case(404, "is `host` the till's own")]
#[case(500, "it is out of order")]
#[tokio::test]
async fn a_status_without_words_says_what_to_do_and_is_not_tried_again(#[case] status: u16, #[case] told: &str) {
    let till = Till::start().await;
    till.answers(status, &[], "");
    let error = orders(&till.client()).await.unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(till.questions().len(), 1);
    till.answers(status, &[], r#"{"success":false,"result":"Clé invalide"}"#);
    assert_eq!(orders(&till.client()).await.unwrap_err(), ApiError::Refused("Clé invalide".to_owned()));
}

#[tokio::test]
async fn questions_are_a_pause_apart_whoever_asks() {
    let till = Till::start().await;
    let clock = Hasty::default();
    let client = Client::new(&till.credentials(), Arc::new(clock.clone())).unwrap();
    let other = client.clone();
    let (one, two) = tokio::join!(client.list(List::Users), other.list(List::Tables));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(*clock.slept.lock().unwrap(), [polite::PAUSE]);
    clock.clock.advance(polite::PAUSE);
    client.list(List::Users).await.unwrap();
    assert_eq!(clock.slept.lock().unwrap().len(), 1, "who comes later does not wait");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays_here() {
    let (till, other) = (Till::start().await, Till::start().await);
    till.answers(302, &[("location", &format!("{}/workers/getOrders.php", other.origin))], "moved");
    let error = orders(&till.client()).await.unwrap_err();
    assert!(matches!(error, ApiError::Status { status: 302, .. }), "{error:?}");
    assert_eq!(other.questions().len(), 0);
}

#[tokio::test]
async fn a_till_that_never_ends_is_not_read_for_ever() {
    let till = Till::start().await;
    let endless =
        || Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 65_536])));
    till.answers(200, &[], endless());
    let error = till.client().order("1").await.unwrap_err();
    assert!(error.to_string().contains("larger than 1048576 bytes"), "{error}");
    assert_eq!(till.questions().len(), 1, "more of it is not asked for");

    for _ in 0..3 {
        till.answers(200, &[], Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()));
    }
    let hasty = Arc::new(Hasty::default());
    let impatient = Client::patient(&till.credentials(), hasty, Duration::from_millis(50)).unwrap();
    let error = orders(&impatient).await.unwrap_err();
    assert!(error.to_string().contains("no complete answer within"), "{error}");
    assert_eq!(till.questions().len(), 4);
}

fn sale() -> Sale {
    Sale { lines: vec![Line::article(12, None).unwrap()], ..Sale::new(Payment::Invoice) }
}

#[rstest]
#[case::nothing(200, "")]
#[case::page(200, "<html><body>500</body></html>")]
#[case::truncated(200, r#"{"success":true,"orde"#)]
#[case::list(200, "[]")]
#[case::nothing_said(200, "{}")]
#[case::out_of_order(500, "")]
#[case::gateway(504, "<html>")]
#[tokio::test]
async fn a_sale_whose_answer_is_unclear_may_have_been_recorded_and_is_not_sent_again(
    #[case] status: u16,
    #[case] body: &'static str,
) {
    let till = Till::start().await;
    till.answers(status, &[], body);
    let error = till.client().record_sale(&sale()).await.unwrap_err();
    assert!(matches!(error, ApiError::MaybeRecorded(_)), "{error:?}");
    assert!(error.to_string().contains("`tillhook pos orders --from today`"), "{error}");
    assert_eq!(till.questions().len(), 1);
}

#[tokio::test]
async fn a_sale_whose_answer_is_lost_may_have_been_recorded_and_one_that_never_left_was_not() {
    let till = Till::start().await;
    till.answers(200, &[], Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()));
    let hasty: Arc<dyn Clock> = Arc::new(Hasty::default());
    let impatient = Client::patient(&till.credentials(), hasty.clone(), Duration::from_millis(50)).unwrap();
    let error = impatient.record_sale(&sale()).await.unwrap_err();
    assert!(matches!(error, ApiError::MaybeRecorded(_)), "{error:?}");
    assert_eq!(till.questions().len(), 1);

    let closed = Credentials { host: "http://127.0.0.1:1".parse().unwrap(), ..till.credentials() };
    let error = Client::new(&closed, hasty).unwrap().record_sale(&sale()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
}

#[rstest]
#[case::unpaid(r#"{"success":true,"orderID":17724460,"paymentLink":"P","invoice":"I"}"#, Recorded::Unpaid)]
#[case::quote(r#"{"success":true,"orderID":"17724460","paymentLink":"P","quote":"I"}"#, Recorded::Quote)]
#[case::paid(r#"{"success":1,"orderID":17724460,"invoice":"I"}"#, Recorded::Paid)]
#[case::other(r#"{"result":"OK","orderID":17724460}"#, Recorded::Unsaid)]
#[tokio::test]
async fn a_recorded_sale_says_how_far_it_is(#[case] body: &'static str, #[case] recorded: Recorded) {
    let till = Till::start().await;
    till.answers(201, &[("content-type", "text/plain")], body);
    let answer = till.client().record_sale(&sale()).await.unwrap();
    assert_eq!((answer.order_id.as_deref(), answer.recorded), (Some("17724460"), recorded));
    assert_eq!(answer.document.is_some(), recorded != Recorded::Unsaid);
    assert!(answer.extra.is_empty());
}

#[tokio::test]
async fn what_the_till_refuses_is_said_in_its_words() {
    let till = Till::start().await;
    till.answers(400, &[], r#"{"success":false,"result":"Order 123456 is validated"}"#);
    let error = till.client().edit_order("123456", &Sale::new(Payment::Quote)).await.unwrap_err();
    assert_eq!(error.to_string(), "the till refuses: Order 123456 is validated");
    assert!(!error.for_log().contains("123456"));
    let empty = till.client().record_sale(&Sale::new(Payment::Quote)).await.unwrap_err();
    assert_eq!(empty, ApiError::Wrong(SaleError::NoLine));
    assert_eq!(till.questions().len(), 1, "a sale of nothing is not sent");
}

#[tokio::test]
async fn documents_are_handed_on_byte_for_byte_unless_they_are_none() {
    let till = Till::start().await;
    let bytes = b"\xef\xbb\xbf\"Num\xe9ro\";\r\n\x00\xff";
    till.answers(200, &[("content-type", "text/html")], &bytes[..]);
    let report = till.client().report(None, ReportFormat::Csv).await.unwrap();
    assert_eq!((&report.bytes[..], report.content_type.as_deref()), (&bytes[..], Some("text/html")));
    assert_eq!(till.questions()[0].get("d"), [""; 0], "no day is the day before");

    let page = "<!DOCTYPE html><form>Connexion</form>";
    for (format, is_one) in
        ReportFormat::ALL.map(|format| (format, matches!(format, ReportFormat::Std | ReportFormat::Xls)))
    {
        till.answers(200, &[], page);
        assert_eq!(till.client().report(None, format).await.is_ok(), is_one, "{format:?}");
    }
    let audit = "<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<AuditFile><Products><p>1</p></Products></AuditFile>";
    till.answers(200, &[("content-type", "text/html")], audit);
    assert_eq!(till.client().report(None, ReportFormat::Saft).await.unwrap().bytes, audit);
    till.answers(200, &[], r#"{"success":false,"result":"no such day"}"#);
    let refused = till.client().list_raw(List::Customers, ListFormat::Json).await.unwrap_err();
    assert_eq!(refused, ApiError::Refused("no such day".to_owned()));
}

#[tokio::test]
async fn a_list_that_has_moved_to_the_vendors_other_spelling_is_found() {
    let till = Till::start().await;
    till.answers(404, &[], "<html>Not found</html>").answers(
        200,
        &[],
        r#"{"1":"Boissons","2":{"nom":"Pains"},"3":[]}"#,
    );
    let groups = till.client().list(List::DepartmentGroups).await.unwrap();
    let found: Vec<_> = groups.entries.iter().map(|entry| (entry.id.as_deref(), entry.name.as_deref())).collect();
    assert_eq!(found, [(Some("1"), Some("Boissons")), (Some("2"), Some("Pains"))]);
    assert_eq!(groups.unread, [Unread { reason: "a list in place of an object", count: 1 }]);
    assert_eq!(till.questions()[1].page, "/workers/getDepartmentsGroups.php");
}

#[tokio::test]
async fn one_order_is_found_in_whatever_it_is_wrapped() {
    let till = Till::start().await;
    for body in [r#"{"orderID":7}"#, r#"[{"orderID":7}]"#, r#"{"success":true,"order":{"orderID":7}}"#] {
        till.answers(200, &[], body);
        assert_eq!(till.client().order("7").await.unwrap()["orderID"], 7, "{body}");
    }
    for body in ["[]", r#"[{"a":1},{"a":2}]"#, "7"] {
        till.answers(200, &[], body);
        assert!(till.client().order("7").await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn the_key_is_in_no_debug_output_and_no_error() {
    let till = Till::start().await;
    let client = till.client();
    let nowhere = Credentials { host: "http://127.0.0.1:1".parse().unwrap(), ..till.credentials() };
    let nowhere = Client::new(&nowhere, Arc::new(Hasty::default())).unwrap();
    let unreachable = orders(&nowhere).await.unwrap_err();
    till.answers(200, &[], r#"{"result":"ERROR","message":"who is CANARY&key=é+/1?"}"#);
    let refused = client.record_sale(&sale()).await.unwrap_err();
    let shown = client.request_shown(&sale(), Some("7")).unwrap();
    let said = format!("{client:?} {nowhere:?} {unreachable:?} {unreachable} {refused:?} {refused} {shown:?}");
    assert!(!said.contains("CANARY"), "{said}");
}

#[test]
fn a_line_that_the_till_would_take_apart_cannot_be_made() {
    let price = "9.99".parse().unwrap();
    assert_eq!(Line::free(price, "a_b").unwrap_err(), SaleError::Underscore("a_b".to_owned()));
    assert_eq!(Line::free(-price, "a").unwrap_err(), SaleError::Negative(-price));
    assert_eq!(Line::department(5, price, "  ").unwrap_err(), SaleError::NoTitle);
    assert_eq!(Line::article(5, Some(0.into())).unwrap_err(), SaleError::NoQuantity(0.into()));
    let six = Line::own_article(12, 1.into(), "Pizza", price, vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(six.unwrap_err(), SaleError::TooManyVariations(6));
    assert!(Line::own_article(12, 1.into(), "Pizza", price, vec![1, 2, 3, 4, 5]).is_ok());
    assert_eq!(Payment::method(2, Some(-price)).unwrap_err(), SaleError::NegativeAmount(-price));
}
