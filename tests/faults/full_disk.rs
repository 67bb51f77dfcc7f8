//! A disk that is full: a small file system in memory, which only the program sees (a mount namespace of its own).

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    bench::{self, Bench},
    ledger::percentile,
    report, scale,
};
use crate::harness::program::eventually;

/// The file system: small, and still large enough for the log and the database of the whole test.
const SIZE: u64 = 128 << 20;

/// What is set aside on it, as everywhere.
const RESERVE: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_selling_goes_on_for_a_while_a_person_is_told_once_and_space_is_all_it_takes_to_recover() {
    let mut bench = Bench::prepare("").await;
    let disk = Disk::mount(&bench.program.data()).await;
    bench.program.run_within(&disk.enter());
    bench.serve().await;
    let reserve = disk.path.join("tillhook.reserve");
    let set_aside = || fs::metadata(&reserve).map_or(0, |file| file.blocks() * 512);
    let address = bench.address();
    let is_ready = async || bench::get(address, "/readyz").await;

    let outages = scale(1, 3);
    let (mut after_full, mut slowest, mut longest) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    for outage in 1..=outages {
        eventually("space is set aside", async || set_aside() >= RESERVE - 4096).await;
        assert_eq!(is_ready().await, (200, "ok\n".to_owned()));
        bench.sell(6, Duration::from_millis(20));
        let answers = |from: Instant, status| {
            let answers = bench.ledger.lock().expect("the ledger").between(from, Instant::now());
            answers.into_iter().filter(|one| one.status == Some(status)).collect::<Vec<_>>()
        };

        let full = Instant::now();
        disk.fill();
        eventually("the reserve is used", async || set_aside() == 0).await;
        eventually("a person is told", async || bench.sink.arrivals().alerts.len() == outage).await;
        let (status, said) = is_ready().await;
        assert!(status == 503 || said == "ok\nwarning: space on the disk is low\n", "{status} {said}");
        eventually("the reserve is used up too", async || answers(full, 503).len() > 20).await;
        // An answer of /readyz holds for a second.
        eventually("the service is not ready", async || is_ready().await.0 == 503).await;
        assert_eq!(bench::get(bench.address(), "/livez").await.0, 200);
        let good = answers(full, 200);
        assert!(!good.is_empty(), "selling went on");
        after_full.push(good.len());

        let refusals = answers(full, 503);
        disk.empty();
        let works = Instant::now();
        eventually("the till is answered 200 again", async || !answers(works, 200).is_empty()).await;
        slowest = slowest.max(percentile(&refusals, 1.0));
        longest = longest.max(answers(works, 200)[0].at.duration_since(works));
        eventually("space is set aside again", async || set_aside() >= RESERVE - 4096).await;
        let before = Instant::now();
        eventually("the service is ready", async || is_ready().await == (200, "ok\n".to_owned())).await;
        assert!(before.elapsed() < Duration::from_secs(20));
        bench.stop_selling().await;
    }
    bench.delivered().await;
    assert_eq!(bench.sink.arrivals().alerts, vec!["storage.low"; outages], "each outage is told once");
    let (refused_within, back_within) = scale((8, 20), (1, 5));
    assert!(slowest <= Duration::from_secs(refused_within), "a refusal took {slowest:?}");
    assert!(longest <= Duration::from_secs(back_within), "it took {longest:?} to be back");

    let copy = TempDir::new().expect("a directory");
    for _ in 0..2 {
        bench.program.kill();
        disk.copy_database(copy.path());
        bench.data = copy.path().to_owned();
        bench.compare_database().await;
        bench.serve().await;
    }
    let (acknowledged, _) = bench.compare();
    report(
        "A full disk: selling goes on in the reserve, then 503 within 1 s; back within 5 s of space without a restart",
        "tests/faults/full_disk.rs",
        &format!(
            "{outages} times on {} MiB: {acknowledged} acknowledged, all stored; {after_full:?} stored after the disk was full; \
             each told once; slowest refusal {} ms; back after {} ms",
            SIZE >> 20,
            slowest.as_millis(),
            longest.as_millis()
        ),
    );
}

/// A small file system, mounted where only those who enter its namespace see it. It is gone when its keeper ends.
struct Disk {
    keeper: Child,
    /// The directory around it.
    place: std::path::PathBuf,
    /// Where this process sees it.
    path: std::path::PathBuf,
}

impl Disk {
    async fn mount(at: &Path) -> Self {
        fs::create_dir_all(at).expect("a directory");
        // The keeper ends by itself should the test be killed.
        let mount = format!("mount -t tmpfs -o size={SIZE},mode=700 tmpfs '{}' && exec sleep 1200", at.display());
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]).stdin(Stdio::null());
        let keeper = command.spawn().expect("unshare (util-linux)");
        let seen = format!("/proc/{}/root{}", keeper.id(), at.display()).into();
        let disk = Self { keeper, place: at.with_file_name(""), path: seen };
        let mounts = format!("/proc/{}/mounts", disk.keeper.id());
        let is_mounted = async || fs::read_to_string(&mounts).is_ok_and(|all| all.contains(&*at.to_string_lossy()));
        eventually("a file system is mounted (it needs user namespaces)", is_mounted).await;
        disk
    }

    /// The command that runs another one where the file system is seen.
    fn enter(&self) -> Vec<String> {
        let (keeper, here) = (format!("--target={}", self.keeper.id()), format!("--wdns={}", self.place.display()));
        ["nsenter", &keeper, "--user", "--mount", "--preserve-credentials", &here].map(str::to_owned).to_vec()
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path.join("filler")).expect("a file");
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// SQLite resolves the links by which this process sees the file system, and would not find it.
    fn copy_database(&self, to: &Path) {
        for name in ["tillhook.db", "tillhook.db-wal"] {
            fs::copy(self.path.join(name), to.join(name)).expect("a copy");
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path.join("filler")).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
