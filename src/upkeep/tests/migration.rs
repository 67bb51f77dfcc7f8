//! A newer program on an older database: copied first, then migrated, or not touched at all.

use std::{fs, path::PathBuf};

use super::{House, now, restore};
use crate::{
    store::{Access, OpenError, Schema, Store},
    upkeep::migrate::open_as,
};

fn later() -> Schema {
    Schema::with_one_more("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO later VALUES (1);")
}

fn backups(house: &House) -> Vec<String> {
    let Ok(entries) = fs::read_dir(house.data().join("backups")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn kept(house: &House) -> (String, PathBuf) {
    let name = format!("before-schema-{}-20261121-130500.tar.gz", later().version());
    (name.clone(), house.data().join("backups").join(name))
}

#[tokio::test]
async fn a_database_is_copied_before_it_is_brought_up_to_date_and_the_copy_can_be_restored() {
    for access in [Access::Service, Access::Command] {
        let house = House::new().await;
        open_as(&house.data(), access, now(), &later()).await.unwrap().close().await;
        let (name, file) = kept(&house);
        assert_eq!(backups(&house), [name]);
        let refused = Store::open(&house.data(), access).await.err().unwrap();
        assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");

        open_as(&house.data(), access, now(), &later()).await.unwrap().close().await;
        assert_eq!(backups(&house).len(), 1, "once is enough");

        let restored = restore(&file, &house.data(), true).await.unwrap();
        assert_eq!((restored.with_invoices, restored.missing), (false, 0));
        assert!(house.data().join(&house.invoice.path).is_file(), "invoices stay where they are");
        Store::open(&house.data(), access).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_restored_and_then_brought_up_to_date() {
    let house = House::new().await;
    let file = house.place("all.tar.gz");
    house.back_up(&file).await.unwrap();
    let other = house.place("other");
    restore(&file, &other, false).await.unwrap();
    open_as(&other, Access::Service, now(), &later()).await.unwrap().close().await;
    assert_eq!(fs::read_dir(other.join("backups")).unwrap().count(), 1);
}

#[tokio::test]
async fn without_a_copy_nothing_is_migrated_and_the_error_says_what_to_do() {
    let house = House::new().await;
    fs::write(house.data().join("backups"), "a file in the way").unwrap();
    let refused = open_as(&house.data(), Access::Service, now(), &later()).await.err().unwrap();
    let said = refused.to_string();
    assert!(said.contains("could not be backed up before that, so nothing was changed"), "{said}");
    assert!(said.contains("\n  fix: make room"), "{said}");
    Store::open(&house.data(), Access::Service).await.expect("the older program still runs").close().await;
}

#[tokio::test]
async fn a_database_that_a_service_uses_is_not_migrated_under_it() {
    let house = House::new().await;
    let service = Store::open(&house.data(), Access::Service).await.unwrap();
    let refused = open_as(&house.data(), Access::Command, now(), &later()).await.err().unwrap();
    assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    assert!(backups(&house).is_empty());
    service.probe().await.unwrap();
    service.close().await;
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_database_as_it_was_and_its_copy_beside_it() {
    let house = House::new().await;
    let broken = Schema::with_one_more("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; DROP TABLE absent;");
    let failed = open_as(&house.data(), Access::Service, now(), &broken).await.err().unwrap();
    assert!(matches!(failed, OpenError::Database { .. }), "{failed}");
    assert_eq!(backups(&house), [kept(&house).0]);
    Store::open(&house.data(), Access::Service).await.expect("the older program still runs").close().await;
}
