//! The examples of the vendor's documentation, as our client sends them: field by field, byte for byte.
//!
//! Beside the example's own fields stands the shop's id under the other name, which other pages of the documentation ask for.

use rust_decimal::Decimal;

use super::*;
use crate::order::DeliveryMethod;

/// The body that is sent without shop and key, which come first.
async fn sent(edit: Option<&str>, sale: Sale) -> String {
    let till = Till::start().await;
    till.answers(200, &[], r#"{"success":true,"orderID":1,"invoice":"https://kash.click/f.pdf"}"#);
    let client = till.client();
    let answer = match edit {
        Some(order) => client.edit_order(order, &sale).await,
        None => client.record_sale(&sale).await,
    };
    answer.unwrap();
    let [question] = &till.questions()[..] else { panic!("one question") };
    let page = if edit.is_some() { "/workers/editOrder.php" } else { "/workers/webapp.php" };
    assert_eq!((&question.method, question.page.as_str()), (&Method::POST, page));
    assert_eq!((question.get("idboutique"), question.get("shopID")), (vec!["4711"], vec!["4711"]));
    assert_eq!(question.get("key"), [KEY]);
    let head = "idboutique=4711&shopID=4711&key=CANARY%26key%3D%C3%A9%2B%2F1&";
    question.body.strip_prefix(head).unwrap().to_owned()
}

/// An amount with the digits it is written with.
fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn free_lines() -> Vec<Line> {
    vec![Line::free(dec("12.99"), "Item").unwrap(), Line::free(dec("9.99"), "Other item").unwrap()]
}

/// Zoé Durand, with every field that a new customer can have.
fn zoe() -> Buyer {
    use CustomerField::*;
    let said = [
        (LastName, "Durand"),
        (FirstName, "Zoé"),
        (Email, "zoe.durand@example.com"),
        (Phone, "+33 6 12 34 56 78"),
        (Line1, "10 rue des Écoles"),
        (Line2, "Bât. B"),
        (AddressNote, "Sonner 2 fois"),
        (Postcode, "75005"),
        (City, "Paris"),
        (Country, "FR"),
        (VatNumber, "FRXX999999999"),
        (TradeRegister, "RCS Paris 123 456 789"),
        (BarCode, "CUST-0001"),
        (Phone2, "+33 1 23 45 67 89"),
        (Latitude, "48.848"),
        (Longitude, "2.347"),
    ];
    Buyer::New(said.map(|(field, text)| (field, text.to_owned())).into())
}

const ZOE: &str = "client%5Bnom%5D=Durand&client%5Bprenom%5D=Zo%C3%A9&client%5Bemail%5D=zoe.durand%40example.com&\
    client%5Btelephone%5D=%2B33+6+12+34+56+78&client%5Badresseligne1%5D=10+rue+des+%C3%89coles&\
    client%5Badresseligne2%5D=B%C3%A2t.+B&client%5Bcommentaireadresse%5D=Sonner+2+fois&client%5Bcodepostal%5D=75005&\
    client%5Bville%5D=Paris&client%5Bpays%5D=FR&client%5Bnumtva%5D=FRXX999999999&\
    client%5Brcs%5D=RCS+Paris+123+456+789&client%5BcodeBarre%5D=CUST-0001&client%5Btelephone2%5D=%2B33+1+23+45+67+89&\
    client%5Blat%5D=48.848&client%5Blng%5D=2.347";

#[tokio::test]
async fn a_simple_sale() {
    let sale = Sale { lines: free_lines(), ..Sale::new(Payment::Invoice) };
    let expected = "payment=-1&itemsList%5B%5D=Free_12.99_Item&itemsList%5B%5D=Free_9.99_Other+item";
    assert_eq!(sent(None, sale).await, expected);
}

#[tokio::test]
async fn a_sale_to_an_existing_customer() {
    let lines = vec![
        Line::own_article(12, dec("2"), "Pizza 4 fromages", dec("14.50"), vec![3, 8]).unwrap(),
        Line::department(5, dec("9.99"), "Vente libre").unwrap(),
    ];
    let items = "itemsList%5B%5D=12_2_Pizza+4+fromages_14.50_3_8&itemsList%5B%5D=-5_9.99_Vente+libre";
    let sale = Sale { lines, buyer: Some(Buyer::Known(123)), ..Sale::new(Payment::Invoice) };
    assert_eq!(sent(None, sale.clone()).await, format!("payment=-1&idClient=123&{items}"));

    let sale = Sale { user: Some(1), delivery: Some(DeliveryMethod::from_code("0")), ..sale };
    assert_eq!(sent(None, sale).await, format!("idUser=1&payment=-1&deliveryMethod=0&idClient=123&{items}"));
}

#[tokio::test]
async fn a_sale_to_a_new_customer() {
    let lines = vec![Line::free(dec("19"), "Item").unwrap(), Line::free(dec("5.4"), "OtherItem").unwrap()];
    let sale = Sale { lines, buyer: Some(zoe()), ..Sale::new(Payment::Invoice) };
    let items = "itemsList%5B%5D=Free_19_Item&itemsList%5B%5D=Free_5.4_OtherItem";
    assert_eq!(sent(None, sale).await, format!("payment=-1&{ZOE}&{items}"));

    let lines = vec![
        Line::own_article(42, dec("1"), "Menu midi", dec("12.90"), vec![]).unwrap(),
        Line::own_article(15, dec("3"), "Canette Cola", dec("2.50"), vec![]).unwrap(),
    ];
    let delivery = Some(DeliveryMethod::from_code("1"));
    let sale = Sale { lines, buyer: Some(zoe()), delivery, ..Sale::new(Payment::method(2, None).unwrap()) };
    let items = "itemsList%5B%5D=42_1_Menu+midi_12.90&itemsList%5B%5D=15_3_Canette+Cola_2.50";
    assert_eq!(sent(None, sale).await, format!("payment=2&deliveryMethod=1&{ZOE}&{items}"));
}

#[tokio::test]
async fn edits_of_an_order() {
    let sale = Sale { lines: free_lines(), ..Sale::new(Payment::Invoice) };
    let items = "itemsList%5B%5D=Free_12.99_Item&itemsList%5B%5D=Free_9.99_Other+item";
    assert_eq!(sent(Some("123456"), sale).await, format!("orderID=123456&payment=-1&{items}"));

    let sale = Sale { buyer: Some(Buyer::Known(123)), ..Sale::new(Payment::Quote) };
    assert_eq!(sent(Some("123456"), sale).await, "orderID=123456&payment=-2&idClient=123");

    let sale = Sale::new(Payment::method(123456, None).unwrap());
    assert_eq!(sent(Some("123456"), sale).await, "orderID=123456&payment=123456");
}

#[tokio::test]
async fn every_other_parameter() {
    let sale = Sale {
        lines: vec![Line::article(11, None).unwrap(), Line::article(12, Some(dec("1.250"))).unwrap()],
        table: Some(7),
        cash_box: Some(1),
        covers: Some(4),
        pager: Some(9),
        public_comment: Some("Sans oignons & sans ail".to_owned()),
        private_comment: Some("à 20 h 30".to_owned()),
        value_date: Some("2026-11-21T00:00:00+01:00".parse().unwrap()),
        ..Sale::new(Payment::method(2, Some(dec("20.00"))).unwrap())
    };
    let expected = "payment=2&paymentAmount=20.00&idtable=7&idcaisse=1&numcouverts=4&pagerNum=9&\
        publicComment=Sans+oignons+%26+sans+ail&privateComment=%C3%A0+20+h+30&dateValeur=1795215600&\
        itemsList%5B%5D=11&itemsList%5B%5D=12_1.250";
    assert_eq!(sent(None, sale).await, expected);
}

#[tokio::test]
async fn signing_in_gives_what_the_configuration_needs() {
    let till = Till::start().await;
    till.answers(200, &[], r#"{"result":"OK","APIKEY":"the-key","SHOPID":4711}"#);
    let (host, password) = (till.origin.parse().unwrap(), "mot de pässe".into());
    let signed = sign_in(&host, "mon.email@example.com", &password, Arc::new(Hasty::default())).await.unwrap();
    assert_eq!((signed.shop_id.as_str(), secrecy::ExposeSecret::expose_secret(&signed.key)), ("4711", "the-key"));
    let [question] = &till.questions()[..] else { panic!("one question") };
    assert_eq!(question.page, "/workers/getAuthToken.php");
    assert_eq!(question.body, "login=mon.email%40example.com&password=mot+de+p%C3%A4sse");

    till.answers(200, &[], r#"{"result":"ERROR","message":"Wrong password: mot de pässe"}"#);
    let refused = sign_in(&host, "mon.email@example.com", &password, Arc::new(Hasty::default())).await.unwrap_err();
    assert_eq!(refused, ApiError::Refused("Wrong password: ********".to_owned()));
    assert_eq!(till.questions().len(), 2, "a wrong password is sent once");
}
