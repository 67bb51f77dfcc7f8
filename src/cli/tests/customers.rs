//! `customers erase` as it is typed.

use super::{super::Exit, Office};

async fn sold(office: &Office, shop: &str, id: &str) {
    let customer = r#"{"nom":"Durand","prenom":"Zoe","email":"zoe@durand.example"}"#;
    let body = format!("type=validated&orderID={id}&orderInternalID={id}&price=5&clientID=512&customer={customer}");
    office.call(shop, &body).await;
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let office = Office::open().await;
    sold(&office, "dupont", "41").await;
    office.order("dupont", "42", "2").await;
    let before = office.ok("render erp --order 41").await;
    let said = office.ok("customers erase --client 512 --dry-run").await;
    let expected = "\
WHAT        ROWS  WHAT GOES
orders         1  the customer, and fields that tillhook does not know
events         1  the same
deliveries     0  the message; one that waits is sent without the customer
attempts       0  what the far side answered
invoices       0  the name in the file name
calls          1  the body, whole
";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("the till itself") && said.ends_with("\nnothing was changed (--dry-run)\n"), "{said}");
    assert_eq!(office.ok("render erp --order 41").await, before);
    assert!(before.contains("Zoe Durand"), "{before}");
}

#[tokio::test]
async fn who_is_erased_is_gone_the_sale_is_not_and_what_is_left_to_do_is_said() {
    let office = Office::open().await;
    sold(&office, "dupont", "41").await;
    std::fs::create_dir(office.dir.path().join("backups")).unwrap();
    std::fs::write(office.dir.path().join("backups/tillhook-20261120.tar"), "").unwrap();
    let said = office.ok("customers erase --email ZOE@durand.example").await;
    for left in ["tillhook-20261120.tar", "the sink `books`", "the till itself", "the PDF of each invoice"] {
        assert!(said.contains(left), "{left}: {said}");
    }
    assert!(!said.to_lowercase().contains("durand"), "{said}");
    let sale: serde_json::Value = serde_json::from_str(&office.ok("render erp --order 41").await).unwrap();
    assert_eq!((&sale["data"]["customer"], &sale["data"]["total"]), (&serde_json::Value::Null, &"5.00".into()));
    assert_eq!(office.run("customers erase --email zoe@durand.example").await.0, Exit::NotFound);
}

#[tokio::test]
async fn a_number_that_two_shops_have_is_two_people() {
    let office = Office::open().await;
    sold(&office, "dupont", "41").await;
    sold(&office, "martin", "41").await;
    let (exit, said) = office.run("customers erase --client 512").await;
    assert_eq!((exit, said.contains("dupont, martin") && said.contains("--shop")), (Exit::Usage, true), "{said}");
    office.ok("customers erase --client 512 --shop martin").await;
    assert!(office.ok("customers erase --client 512 --dry-run").await.contains("orders         1"), "the other stays");
    office.ok("customers erase --email zoe@durand.example").await;
}

#[tokio::test]
async fn nobody_and_nonsense_are_told_apart() {
    let office = Office::open().await;
    sold(&office, "dupont", "41").await;
    assert_eq!(office.run("customers erase --client 51").await.0, Exit::NotFound);
    assert_eq!(office.run("customers erase --email zoe").await.0, Exit::Usage);
    assert_eq!(office.run("customers erase --client 512 --shop dupond").await.0, Exit::NotFound);
}
