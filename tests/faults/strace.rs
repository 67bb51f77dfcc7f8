//! strace as a saboteur: system calls of a running program fail for as long as it is attached.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::harness::program::{eventually, signal};

/// A fault that lasts until [`Fault::end`].
pub struct Fault {
    strace: Child,
    pid: u32,
}

impl Fault {
    /// From when this returns, calls of `what` (`fsync:error=EIO`, say; strace's manual has the grammar of `inject`) fail
    /// in every thread of the process.
    pub async fn begin(pid: u32, what: &str) -> Self {
        let calls = what.split(':').next().expect("the calls");
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={what}"),
        ]);
        command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let strace = command.spawn().expect("strace (tests/run.sh installs it)");
        let id = strace.id();
        eventually("strace is attached", async || tracers(pid).iter().all(|tracer| *tracer == id)).await;
        Self { strace, pid }
    }

    /// From when this returns, everything works again.
    pub async fn end(mut self) {
        signal("-TERM", self.strace.id());
        self.strace.wait().expect("strace ends");
        let pid = self.pid;
        eventually("strace is gone", async || tracers(pid).iter().all(|tracer| *tracer == 0)).await;
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Who traces each thread of a process; 0 is nobody.
fn tracers(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let tracer = |status: String| status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
    // A thread may end while we look.
    threads.filter_map(|thread| tracer(fs::read_to_string(thread.ok()?.path().join("status")).ok()?)).collect()
}
