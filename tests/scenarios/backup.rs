//! `tillhook backup`, the real program: while it sells, without room, and killed in the middle.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tillhook::{
    app::demo::far_sides::loopback,
    clock::SystemClock,
    order::Phase,
    till::{
        self, TillOrder, Voice,
        sandbox::{Options, Sandbox},
    },
};

use crate::harness::{
    paris,
    program::{Program, eventually},
};

/// A till of the real world's time, and the program that it calls.
async fn shop() -> (Sandbox, Program) {
    tillhook::app::telemetry::install_cryptography();
    let options = Options { seed: 5, zone: paris(), clock: Arc::new(SystemClock) };
    let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
    let program = Program::new(till.origin(), "", "");
    (till, program)
}

async fn announce(order: &TillOrder, url: &str) {
    for phase in [Phase::Validated, Phase::Terminated] {
        let answer = till::post(&till::encode(order, phase, Voice::default()), url).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

fn listed(program: &Program, what: &str) -> Vec<Value> {
    let printed = program.ok(&format!("{what} list --limit 10000 --json"));
    let page: Value = serde_json::from_str(&printed).expect("JSON");
    page["data"].as_array().expect("a list").clone()
}

fn manifest(file: &Path) -> Value {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(file).expect("the backup")));
    let first = archive.entries().expect("a tar file").next().expect("an entry").expect("an entry");
    serde_json::from_reader(first).expect("a manifest")
}

/// What is in a directory that a backup that was cut off, or is under way, may leave there.
fn drafts(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().contains("/.tillhook-backup-")).collect()
}

/// A service with an invoice of that many bytes, which cannot be made smaller.
async fn with_large_invoice(bytes: usize) -> Program {
    let (till, mut program) = shop().await;
    let url = program.serve().await;
    let order = TillOrder { pdf_url: None, ..till.sell() };
    announce(&order, &url).await;
    let mut pdf = b"%PDF-1.7\n".to_vec();
    pdf.resize(bytes, 0);
    getrandom::fill(&mut pdf[9..]).expect("noise");
    fs::write(program.place("large.pdf"), pdf).expect("a file");
    program.ok(&format!("invoices import large.pdf --order {}", order.internal_id));
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_made_while_the_till_sells_comes_back_whole_in_an_empty_directory() {
    let (till, mut program) = shop().await;
    let url = program.serve().await;
    let before: Vec<TillOrder> = (0..20).map(|_| till.sell()).collect();
    for order in &before {
        announce(order, &url).await;
    }
    eventually("the invoices are here", async || {
        listed(&program, "invoices").iter().filter(|invoice| invoice["status"] == "stored").count() == before.len()
    })
    .await;
    let selling = tokio::spawn({
        let (orders, url): (Vec<_>, _) = ((0..40).map(|_| till.sell()).collect(), url.clone());
        async move {
            for order in &orders {
                announce(order, &url).await;
            }
        }
    });
    let said = tokio::task::block_in_place(|| program.ok("backup all.tar.gz"));
    assert!(said.contains("read back and found whole"), "{said}");
    selling.await.expect("the till");
    let again = program.run("backup all.tar.gz");
    assert_eq!(again.0, Some(4), "{}", again.1);
    program.ok("backup all.tar.gz.2");
    let own = program.ok("backup");
    assert!(own.contains("/data/backups/tillhook-20"), "{own}");
    program.kill();

    let manifest = manifest(&program.place("all.tar.gz"));
    let (_, mut other) = shop().await;
    let restored = other.ok(&format!("restore {}", program.place("all.tar.gz").display()));
    let orders = listed(&other, "orders");
    assert_eq!(manifest["rows"]["customer_order"], orders.len());
    assert!(restored.contains(&format!("{} orders, ", orders.len())), "{restored}");
    let ids: BTreeSet<&str> = orders.iter().filter_map(|order| order["internal_id"].as_str()).collect();
    assert!(before.iter().all(|order| ids.contains(order.internal_id.as_str())), "what was stored before it is in it");
    let stored = listed(&other, "invoices").into_iter().filter(|invoice| invoice["status"] == "stored");
    let paths: Vec<String> = stored.map(|invoice| invoice["path"].as_str().expect("a path").to_owned()).collect();
    assert!(paths.len() >= before.len());
    for path in &paths {
        let pdf = |program: &Program| fs::read(program.data().join(path)).expect("a PDF");
        assert!(pdf(&other) == pdf(&program), "{path} is the same byte for byte");
    }
    assert!(other.ok("invoices verify").contains(&format!("{} ", paths.len())));

    let url = other.serve().await;
    announce(&before[0], &url).await;
    assert_eq!(listed(&other, "orders").len(), orders.len(), "a repeat is still a repeat");
    announce(&till.sell(), &url).await;
    assert_eq!(listed(&other, "orders").len(), orders.len() + 1);
    other.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_no_file_of_its_name_and_the_next_one_tidies_up() {
    let mut program = with_large_invoice(5 << 20).await;
    let folder = program.place("elsewhere");
    fs::create_dir(&folder).expect("a folder");
    for done in ["tillhook.db", "archive"] {
        let mut backup =
            program.command("backup elsewhere/all.tar.gz").stdout(Stdio::null()).spawn().expect("a backup");
        let is_there = async || drafts(&folder).iter().any(|draft| draft.join(done).exists());
        eventually("the backup is on its way", is_there).await;
        backup.kill().expect("a signal");
        assert_eq!(backup.wait().expect("its end").code(), None, "it was killed in the middle");
        assert!(!folder.join("all.tar.gz").exists());
        assert_eq!(drafts(&folder).len(), 1);
    }
    program.ok("backup elsewhere/all.tar.gz");
    let left: Vec<_> =
        fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["all.tar.gz"]);
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_room_says_so_and_leaves_nothing() {
    let mut program = with_large_invoice(3 << 20).await;
    fs::create_dir(program.place("small")).expect("a folder");
    // No file of this process may grow beyond a mebibyte: the database fits, the archive does not.
    let backup = program.command("backup small/all.tar.gz");
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""]).arg(backup.get_program());
    limited.args(backup.get_args()).current_dir(program.place("")).env_clear().stdin(Stdio::null());
    let output = limited.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the backup could not be written to") && said.contains("\n  fix: "), "{said}");
    assert_eq!(fs::read_dir(program.place("small")).expect("a folder").count(), 0);
    program.kill();
}
