//! The real program in a process of its own, with its own clock: for tests that kill it, or read what it prints.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use tempfile::TempDir;

use super::{HANG, TOKEN};

/// A directory with a configuration, and the service that runs on it.
pub struct Program {
    directory: TempDir,
    service: Option<Child>,
    /// Variables of its environment.
    variables: Vec<(&'static str, &'static str)>,
    /// A command that runs it: a tracer, another mount namespace. Empty: none.
    within: Vec<String>,
}

impl Program {
    /// Writes the configuration, without starting anything. Invoices may come from `till_host`.
    pub fn new(till_host: &str, shop: &str, rest: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\npath = \"{data}\"\n\
             [shop.dupont]\ntoken = \"{TOKEN}\"\ntill_hosts = [\"{till_host}\"]\n{shop}\n{rest}\n",
            data = directory.path().join("data").display(),
        );
        fs::write(directory.path().join("tillhook.toml"), text).expect("a configuration");
        Self { directory, service: None, variables: Vec::new(), within: Vec::new() }
    }

    /// The same with a variable in its environment.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// From now on it is started by this command, which must become it or wait for it.
    pub fn run_within(&mut self, command: &[String]) {
        self.within = command.to_vec();
    }

    /// Starts the service and returns the till's webhook address, once it is taken there.
    pub async fn serve(&mut self) -> String {
        let begins = self.printed().len();
        let out = |name: &str| -> File {
            let path = self.directory.path().join(name);
            OpenOptions::new().create(true).append(true).open(path).expect("a file")
        };
        let words: Vec<&str> = self.within.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_tillhook")]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.directory.path());
        if self.within.is_empty() {
            command.env_clear();
        }
        command.envs(self.variables.iter().copied()).args(["--config", "tillhook.toml", "serve"]);
        command.stdin(Stdio::null()).stdout(out("stdout")).stderr(out("stderr"));
        self.service = Some(command.spawn().expect("the program"));
        eventually("the program listens", async || self.address_after(begins).is_some()).await;
        format!("http://{}/in/{TOKEN}", self.address_after(begins).expect("an address"))
    }

    fn address_after(&self, begins: usize) -> Option<String> {
        let printed = self.printed();
        let line = printed[begins..].lines().find(|line| line.contains(" listens on ") && printed.ends_with('\n'))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    /// Everything it printed on stderr so far.
    pub fn printed(&self) -> String {
        let bytes = fs::read(self.directory.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The number of its process, or of the command that it runs within.
    pub fn pid(&self) -> u32 {
        self.service.as_ref().expect("a running service").id()
    }

    /// Asks it to end (SIGTERM); returns its exit code, once it has.
    pub async fn terminate(&mut self) -> Option<i32> {
        signal("-TERM", self.pid());
        self.ended().await
    }

    /// Waits until it has ended by itself; returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let service = std::cell::RefCell::new(self.service.take().expect("a running service"));
        eventually("the program ends", async || service.borrow_mut().try_wait().expect("a child").is_some()).await;
        service.into_inner().wait().expect("its end").code()
    }

    /// Ends it without a warning (SIGKILL).
    pub fn kill(&mut self) {
        let mut service = self.service.take().expect("a running service");
        service.kill().expect("a signal");
        service.wait().expect("its end");
    }

    /// The directory around everything it has.
    pub fn place(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// Sends a signal to a process that a test has started.
pub fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.expect("the command `kill`").success(), "{signal} reaches {pid}");
}

/// Waits until something holds that happens in another process.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(10);
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < 3 * HANG, "it never came to this: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
