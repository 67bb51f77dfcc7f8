//! What is listed and shown, for people and for programs.

use serde_json::{Value, json};

use super::{Office, without_ids};
use crate::{
    cli::Exit,
    store::{NotCompared, Reconciliation, Verdict},
};

fn parsed(text: &str) -> Value {
    serde_json::from_str(&without_ids(text)).unwrap()
}

#[tokio::test]
async fn empty_lists_say_what_to_do_next() {
    let office = Office::open().await;
    assert_eq!(office.ok("orders list").await, "no orders yet: `tillhook send-test` sends one\n");
    assert_eq!(office.ok("deliveries list").await, "no deliveries yet: `tillhook send-test` makes some\n");
    assert_eq!(office.ok("deliveries list --status dead").await, "no such deliveries\n");
    assert_eq!(office.ok("quarantine list").await, "nothing is in quarantine: every call could be read\n");
    assert_eq!(office.ok("invoices list").await, "no invoices yet: the till has sent no link to one\n");
    assert_eq!(parsed(&office.ok("orders list --json").await), json!({ "data": [], "next": null }));
}

#[tokio::test]
async fn orders_are_listed_newest_first_on_the_shops_clock() {
    let office = Office::open().await;
    office.order("dupont", "20261121041", "8841206").await;
    office.call("martin", "type=terminated&orderInternalID=7&price=-3.00&isRefund=1").await;
    let expected = "\
RECEIVED          SHOP    ORDER        INTERNAL ID  STATE     TOTAL  REMARKS
2026-11-21 14:05  martin  –            7            paid      -3.00  refund
2026-11-21 14:05  dupont  20261121041  8841206      invoiced  43.80
";
    assert_eq!(office.ok("orders list").await, expected);
    let page = parsed(&office.ok("orders list --json --limit 1 --shop dupont").await);
    let order = json!({
        "shop": "dupont", "order_id": "20261121041", "internal_id": "8841206", "state": "invoiced", "total": "43.80",
        "is_refund": null, "received_at": "2026-11-21T13:05:00Z", "warnings": [],
        "test": false,
    });
    assert_eq!(page, json!({ "data": [order], "next": null }));
}

#[tokio::test]
async fn an_order_is_shown_with_everything_that_is_known() {
    let office = Office::open().await;
    let items = r#"[{"titre":"Menu midi","quantite":"2","prix":"12.90","tauxTVA":"10"}]"#;
    office
        .call(
            "dupont",
            &format!(
                "type=validated&orderID=20261121042&orderInternalID=8841207&price=25.80&VAT=2.35&cashBoxID=1\
                 &deliveryMethod=2&validationDate=2026-11-21 14:03:10&items={items}&customer={{\"id\":\"512\",\"nom\":\"Durand\"}}"
            ),
        )
        .await;
    office.attempt("erp", Verdict::Delivered { reference: None }).await;
    let expected = "\
Order 20261121042
  shop            Boulangerie Dupont (dupont)
  internal id     8841207
  state           invoiced
  total           25.80 EUR, VAT 2.35, net 23.45
  customer        Durand (512)
  till            1
  handed over     on site
  invoice issued  2026-11-21 14:03:10
  invoice         the till sent no link

Items
  quantity             price  total  VAT %
         2  Menu midi  12.90  25.80     10

What happened
  2026-11-21 14:05:00  invoice issued  order.validated

Who is told
  dlv_#  books  order.validated  due
  dlv_#  erp    order.validated  delivered 2026-11-21 14:05
    attempt 1  2026-11-21 14:05:00  delivered in 12 ms: 200
";
    assert_eq!(without_ids(&office.ok("orders show 8841207").await), expected);
    let sheet = parsed(&office.ok("orders show 20261121042 --json").await);
    assert_eq!(sheet["order"]["total"], "25.80");
    let event =
        json!({ "id": "evt_#", "type": "order.validated", "timestamp": "2026-11-21T13:05:00.000Z", "test": false });
    assert_eq!(sheet["events"], json!([event]));
    assert_eq!(sheet["deliveries"][1]["status"], "delivered");
}

#[tokio::test]
async fn an_ambiguous_number_lists_what_it_may_mean_and_an_internal_id_settles_it() {
    let office = Office::open().await;
    office.order("dupont", "42", "8841206").await;
    office.order("dupont", "42", "8841207").await;
    let expected = "\
`42` may be any of 2 orders
  SHOP    INTERNAL ID  RECEIVED          TOTAL
  dupont  8841206      2026-11-21 14:05  43.80
  dupont  8841207      2026-11-21 14:05  43.80
  fix: give the internal id";
    assert_eq!(office.run("orders show 42").await, (Exit::Usage, expected.to_owned()));
    assert!(office.ok("orders show 8841207").await.starts_with("Order 42\n"));
    assert_eq!(office.run("orders show 43").await.0, Exit::NotFound);
}

#[tokio::test]
async fn deliveries_are_listed_with_what_they_wait_for() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    office.order("dupont", "42", "2").await;
    let at = "2026-11-21T13:06:00Z".parse().unwrap();
    office.attempt("books", Verdict::Again { at, uses_retry: true }).await;
    office.attempt("erp", Verdict::Dead).await;
    let expected = "\
ID     SINK   EVENT            ORDER  STATUS
dlv_#  erp    order.validated  42     due
dlv_#  books  order.validated  42     due
dlv_#  erp    order.validated  41     dead: connection refused
dlv_#  books  order.validated  41     retrying at 2026-11-21 14:06
";
    let listed = office.ok("deliveries list").await;
    let cut = listed.lines().map(|line| without_ids(&line.replace("ID                  ", "ID   ")) + "\n");
    assert_eq!(cut.collect::<String>(), expected);
    assert!(listed.lines().all(|line| line.chars().count() <= 100), "{listed}");
    let dead = parsed(&office.ok("deliveries list --json --status dead --sink erp --order 41").await);
    let delivery = json!({
        "id": "dlv_#", "sink": "erp", "event_id": "evt_#", "event_type": "order.validated", "shop": "dupont",
        "order_id": "41", "internal_id": "1", "status": "dead", "attempts": 1, "next_attempt_at": null,
        "last_error": "connection refused", "skipped_because": null, "delivered_at": null,
        "behind": null,
    });
    assert_eq!(dead, json!({ "data": [delivery], "next": null }));
    let (exit, said) = office.run("deliveries list --sink erpp").await;
    assert_eq!((exit, said.contains("did you mean `erp`?")), (Exit::NotFound, true), "{said}");
}

#[tokio::test]
async fn a_delivery_that_waits_for_another_one_of_its_order_says_for_which() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    office.call("dupont", "type=terminated&orderID=41&orderInternalID=1&price=43.80").await;
    let at = "2026-11-21T13:06:00Z".parse().unwrap();
    let first = office.attempt("erp", Verdict::Again { at, uses_retry: true }).await.to_string();
    let listed = office.ok("deliveries list --sink erp --limit 1").await;
    let (short, after) = listed.rsplit_once("waits behind ").map(|(_, id)| id.split_at(id.len() - 1)).unwrap();
    assert!(first.starts_with(short) && short.len() < first.len() && after == "\n", "{listed}");
    let second = office.deliveries("erp").await[1].id;
    let sheet = office.ok(&format!("deliveries show {second}")).await;
    assert!(sheet.contains(&format!("  status      waits behind {first}\n")), "{sheet}");
    let page: Value = serde_json::from_str(&office.ok("deliveries list --sink erp --json").await).unwrap();
    let [second, first_row] = &page["data"].as_array().unwrap()[..] else { panic!("two deliveries: {page}") };
    assert_eq!((&second["status"], &second["behind"]), (&"due".into(), &first.into()));
    assert_eq!((&second["next_attempt_at"], &first_row["behind"]), (&Value::Null, &Value::Null));
    assert_eq!(first_row["next_attempt_at"], "2026-11-21T13:06:00Z");
}

#[tokio::test]
async fn of_many_matches_the_first_are_listed_and_the_rest_counted() {
    let office = Office::open().await;
    for number in 10..22 {
        office.order("dupont", "42", &number.to_string()).await;
    }
    let (exit, said) = office.run("deliveries show dlv_").await;
    assert_eq!((exit, said.lines().count()), (Exit::Usage, 13), "{said}");
    assert!(
        said.starts_with("`dlv_` may be any of 24 deliveries\n  dlv_") && said.contains("\n  and 14 more\n"),
        "{said}"
    );
    let (exit, said) = office.run("orders show 42").await;
    assert_eq!((exit, said.lines().count()), (Exit::Usage, 14), "{said}");
    assert!(said.starts_with("`42` may be any of 12 orders\n") && said.contains("\n  and 2 more\n"), "{said}");
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_and_found_by_the_beginning_of_its_id() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    let id = office.attempt("erp", Verdict::Dead).await.to_string();
    let expected = "\
Delivery dlv_#
  sink        erp
  event       order.validated (evt_#)
  order       41
  shop        dupont
  status      dead: connection refused
  last error  connection refused

Attempts
  attempt 1  2026-11-21 14:05:00  failed in 12 ms: connection refused
";
    assert_eq!(without_ids(&office.ok(&format!("deliveries show {}", &id[..34])).await), expected);
    assert_eq!(office.run("deliveries show dlv_").await.0, Exit::Usage);
    assert_eq!(office.run("deliveries show dlv_ffff").await.0, Exit::NotFound);
    assert_eq!(office.run("deliveries show %").await.0, Exit::NotFound);
}

#[tokio::test]
async fn sinks_are_listed_also_before_they_first_ran() {
    let office = Office::open().await;
    office.order("dupont", "41", "1").await;
    office.attempt("erp", Verdict::Dead).await;
    office.ok("sinks pause books").await;
    let expected = "\
NAME   TYPE    STATUS   WAITING  DEAD  REMARKS
books  folder  paused         1     0  by hand
erp    folder  failing        0     1  connection refused
quiet  folder  ok             0     0  has not run yet
";
    assert_eq!(office.ok("sinks list").await, expected);
    let page = parsed(&office.ok("sinks list --json --limit 1").await);
    let books = json!({ "name": "books", "type": "folder", "status": "paused", "waiting": 1, "dead": 0 });
    assert_eq!(page, json!({ "data": [books], "next": null }));
}

#[tokio::test]
async fn no_text_of_the_till_commands_the_terminal() {
    let office = Office::open().await;
    office.call("dupont", "type=validated&orderID=4%1b[31m2&orderInternalID=1%0d2&price=1").await;
    office.call("dupont", "hello=%1b[2J\u{1b}[2J").await;
    let quarantined = office.ok("quarantine list --json").await;
    let id = serde_json::from_str::<Value>(&quarantined).unwrap()["data"][0]["id"].as_str().unwrap().to_owned();
    for command in ["orders list", "orders list --json", "deliveries list", &format!("quarantine show {id} --body")] {
        let said = office.ok(command).await;
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{command}: {said:?}");
    }
}

#[tokio::test]
async fn missing_orders_are_listed_with_what_the_comparison_with_the_tills_list_came_to() {
    let office = Office::open().await;
    assert_eq!(office.ok("orders missing").await, "no order is missing, as far as the numbers tell\n");
    let api = "[shop.dupont.api]\nhost = \"kash.click\"\nshop_id = \"4711\"\nkey = \"secret\"\n";
    let office = Office::open_with(api).await;
    let said = office.ok("orders missing").await;
    assert!(said.contains("dupont: not compared yet with the till's own list"), "{said}");
    let now = office.desk.clock.now();
    let state = Reconciliation {
        shop: "dupont".parse().unwrap(),
        since: now,
        done_until: now,
        till: "4242 at the till".to_owned(),
        recognised: true,
        ended_at: Some(now),
        unread: 2,
        trouble: Some(NotCompared { reason: "the till answered with HTTP 500".to_owned(), since: now, told_at: None }),
    };
    office.desk.store.save_reconciliation(&state).await.unwrap();
    let expected = "\
no order is missing, as far as the numbers tell
dupont: last compared with the till's own list 2026-11-21 14:05
  since 2026-11-21 14:05 it was not possible: the till answered with HTTP 500
  2 orders in it could not be read, and were left; look at them in the till, or with `tillhook pos orders`
";
    assert_eq!(office.ok("orders missing --shop dupont").await, expected);
    assert!(!office.ok("orders missing --shop martin").await.contains("compared"));
}

#[tokio::test]
async fn an_order_that_two_shops_have_is_named_with_its_shop() {
    let office = Office::open().await;
    for shop in ["dupont", "martin"] {
        office.order(shop, "20261121041", "41").await;
    }
    for name in ["41", "20261121041"] {
        let (exit, said) = office.run(&format!("orders show {name}")).await;
        assert!(exit == Exit::Usage && said.ends_with(&format!("fix: say whose it is: dupont/{name}")), "{said}");
        assert!(office.ok(&format!("orders show martin/{name}")).await.contains("(martin)"));
    }
    assert_eq!(office.run("orders show martin/42").await.0, Exit::NotFound);
}
