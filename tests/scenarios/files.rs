//! Who may read what the program writes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;
use tillhook::{
    app::demo::far_sides::loopback,
    clock::SystemClock,
    order::Phase,
    till::{
        self, Voice,
        sandbox::{Options, Sandbox},
    },
};

use crate::harness::{
    paris,
    program::{Program, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_and_folder_that_the_program_makes_is_its_users_alone() {
    tillhook::app::telemetry::install_cryptography();
    let options = Options { seed: 5, zone: paris(), clock: Arc::new(SystemClock) };
    let till = Sandbox::start(loopback().await.expect("a port"), options).expect("a till");
    let folder = TempDir::new().expect("a folder");
    let sink =
        format!("[sink.archive]\ntype = \"folder\"\npath = \"{}\"\nattach = [\"invoice\"]\n", folder.path().display());
    let mut program = Program::new(till.origin(), "", &sink);
    let webhook = program.serve().await;
    let call = till::encode(&till.sell(), Phase::Validated, Voice::default());
    assert_eq!(till::post(&call, &webhook).await.expect("an answer").status, 200);
    eventually("the sale is in the folder", async || below(folder.path()).len() == 2).await;

    assert!(program.status().contains("\nUmask:\t0077\n"), "libraries cannot give more away: {}", program.status());
    // While it runs, so that the database's other files are there too.
    let made = below(&program.data());
    for wanted in ["tillhook.db", "tillhook.db-wal", "tillhook.db-shm", "tillhook.lock", "invoices"] {
        assert!(made.iter().any(|path| path.ends_with(wanted)), "{wanted} is not among {made:#?}");
    }
    assert!(made.iter().any(|path| path.extension().is_some_and(|kind| kind == "pdf")), "{made:#?}");
    for path in [program.data()].iter().chain(&made).chain(&below(folder.path())) {
        let about = fs::metadata(path).expect("it is there");
        let most = if about.is_dir() { 0o700 } else { 0o600 };
        let mode = about.permissions().mode() & 0o7777;
        assert_eq!(mode & !most, 0, "{} has the rights {mode:o}", path.display());
    }
    program.kill();
}

/// Every file and folder below this one.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}
