//! `tillhook restore`, the real program: what it refuses, what it moves aside, and what it holds back.

use std::{fs, process::Command};

use tillhook::{
    store::{Access, Store},
    till,
};

use crate::{
    far::http::{Answer, HttpFar},
    harness::{
        form,
        program::{Program, eventually},
    },
};

fn program(far: &HttpFar) -> Program {
    tillhook::app::telemetry::install_cryptography();
    let rest = format!(
        "[delivery]\nallow_private = [\"127.0.0.0/8\"]\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\nretry = [\"1s\", \"24h\"]\n\
         pause_after = \"1h\"\n[sink.quiet]\ntype = \"stdout\"\n",
        far.url()
    );
    Program::new("http://127.0.0.1:9", "fetch_invoices = false", &rest)
}

/// The till announces an order that has no PDF.
async fn sell(url: &str, internal_id: &str) {
    let fields =
        [("type", "validated"), ("orderID", internal_id), ("orderInternalID", internal_id), ("price", "43.80")];
    let answer = till::post(&form(&fields), url).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_open_when_the_backup_was_made_is_held_back_until_somebody_says_so() {
    let far = HttpFar::start().await;
    let mut program = program(&far);
    let url = program.serve().await;
    far.then([Answer::status(503), Answer::status(503)]);
    sell(&url, "1001").await;
    far.asked(2).await;
    eventually("the delivery waits", async || program.ok("deliveries list --sink erp").contains("retrying")).await;
    program.ok("backup open.tar.gz");
    program.kill();

    // Meanwhile it is delivered.
    program.serve().await;
    program.ok("sinks pause erp");
    program.ok("sinks resume erp");
    far.asked(3).await;
    eventually("it is delivered", async || program.ok("deliveries list --sink erp").contains("delivered")).await;
    program.kill();

    let said = program.ok("restore open.tar.gz --force");
    assert!(said.contains("erp is paused: 1 delivery was still open, and may have been made since"), "{said}");
    assert!(said.contains("what was there is in ") && !said.contains("quiet is paused"), "{said}");
    let url = program.serve().await;
    sell(&url, "1002").await;
    eventually("the other sink goes on", async || program.ok("deliveries list --sink quiet").contains("delivered"))
        .await;
    let sinks = program.ok("sinks list --json");
    assert!(sinks.contains("\"status\": \"paused\"") && sinks.contains("\"waiting\": 2"), "{sinks}");
    let sinks = program.ok("sinks list");
    assert!(sinks.contains("restored from a backup of 20"), "{sinks}");
    assert_eq!(far.requests().len(), 3, "nothing goes out unasked");

    program.ok("sinks resume erp");
    far.asked(5).await;
    let ids: Vec<String> = far.requests().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert!(ids[3..].contains(&ids[0]), "it is the same message");
    program.kill();

    let said = program.ok("restore open.tar.gz --force --resend");
    assert!(!said.contains("paused"), "{said}");
    assert!(program.ok("sinks list").contains("erp"));
    assert!(!program.ok("sinks list").contains("paused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_orders_come_from_the_tills_own_list_every_sink_is_held_back_and_all_that_waits_can_be_skipped() {
    tillhook::app::telemetry::install_cryptography();
    let far = HttpFar::start().await;
    let rest = format!(
        "[delivery]\nallow_private = [\"127.0.0.0/8\"]\nalerts = [\"erp\"]\n[sink.erp]\ntype = \"http\"\nurl = \"{}\"\n",
        far.url()
    );
    let api =
        "fetch_invoices = false\n[shop.dupont.api]\nhost = \"http://127.0.0.1:9\"\nshop_id = \"4242\"\nkey = \"k\"";
    let mut program = Program::new("http://127.0.0.1:9", api, &rest);
    let url = program.serve().await;
    sell(&url, "1001").await;
    far.asked(1).await;
    eventually("it is delivered", async || program.ok("deliveries list").contains("delivered")).await;
    program.ok("backup quiet.tar.gz");
    let (exit, refusal) = program.run("deliveries skip --sink erp --paused");
    assert!(exit != Some(0) && refusal.contains("erp is not paused"), "{refusal}");
    program.kill();

    let said = program.ok("restore quiet.tar.gz --force");
    assert!(said.contains("erp is paused: what came since the backup may have been sent to it"), "{said}");
    let url = program.serve().await;
    for order in ["1002", "1003"] {
        sell(&url, order).await;
    }
    let said = program.ok("deliveries skip --sink erp --paused");
    assert!(said.starts_with("2 deliveries are skipped"), "{said}");
    program.ok("sinks resume erp");
    sell(&url, "1004").await;
    far.asked(2).await;
    assert!(String::from_utf8_lossy(&far.requests()[1].body).contains("1004"), "what was skipped is not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_refuses_a_running_service_and_data_that_is_there_and_moves_it_aside_when_forced() {
    let far = HttpFar::start().await;
    let mut program = program(&far);
    let url = program.serve().await;
    sell(&url, "1001").await;
    far.asked(1).await;
    eventually("nothing is open", async || program.ok("deliveries list --sink erp").contains("delivered")).await;
    program.ok("backup one.tar.gz");
    sell(&url, "1002").await;
    far.asked(2).await;

    let (exit, said) = program.run("restore one.tar.gz --force");
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("another tillhook already runs on"), "{said}");
    // Killed, so that its write-ahead log is left beside the database.
    program.kill();
    let log = fs::metadata(program.data().join("tillhook.db-wal")).expect("a log").len();
    assert!(log > 0);
    let (exit, said) = program.run("restore one.tar.gz");
    assert_eq!(exit, Some(4), "{said}");
    assert!(said.contains("holds data") && said.contains("fix: ") && said.contains("--force"), "{said}");
    let (exit, said) = program.run("restore absent.tar.gz --force");
    assert_eq!(exit, Some(3), "{said}");
    fs::write(program.place("half.tar.gz"), &fs::read(program.place("one.tar.gz")).expect("it")[..900])
        .expect("a file");
    let (exit, said) = program.run("restore half.tar.gz --force");
    assert_eq!(exit, Some(1), "{said}");
    assert!(program.ok("orders list --json").matches("\"internal_id\"").count() == 2, "everything is as it was");

    program.ok("restore one.tar.gz --force");
    assert!(!program.data().join("tillhook.db-wal").exists(), "the old log does not stand beside the new database");
    assert_eq!(program.ok("orders list --json").matches("\"internal_id\"").count(), 1);
    let entries = fs::read_dir(program.data()).expect("the directory").map(|entry| entry.expect("an entry").path());
    let aside: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("/before-restore-")).collect();
    assert_eq!(aside.len(), 1);
    assert!(fs::metadata(aside[0].join("tillhook.db-wal")).is_ok_and(|log| log.len() > 0), "it went with its database");
    let url = program.serve().await;
    sell(&url, "1002").await;
    eventually("what the till repeats is new again", async || far.requests().len() == 3).await;
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_was_made_at_the_first_start_comes_back_with_the_backup() {
    let far = HttpFar::start().await;
    let old = program(&far);
    let new = program(&far);
    let own = |program: &Program, words: &str| {
        // Without a configuration file: the built-in one makes a token.
        let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
        command.env_clear().env("TILLHOOK_STORAGE__PATH", program.data()).current_dir("/").args(words.split(' '));
        let output = command.output().expect("the program");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let [address, _] = own(&old, "url");
    Store::open(&old.data(), Access::Service).await.expect("a database").close().await;
    let file = old.place("all.tar.gz");
    own(&old, &format!("backup {}", file.display()));
    let said = own(&new, &format!("restore {}", file.display())).concat();
    assert!(!said.contains("/in/"), "an address that nobody will use is not told: {said}");
    assert_eq!(own(&new, "url")[0], address);
}
