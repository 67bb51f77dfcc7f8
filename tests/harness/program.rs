//! The real program in a process of its own, with its own clock: for tests that kill it, or read what it prints.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};

use super::{HANG, TOKEN};

/// How long a test waits for another process.
const PATIENCE: Duration = Duration::from_secs(3 * HANG.as_secs());

/// A directory with a configuration, and the service that runs on it.
pub struct Program {
    directory: TempDir,
    service: Option<Service>,
    /// Variables of its environment.
    variables: Vec<(&'static str, String)>,
    /// How many files and connections it may have open, where that is limited.
    handles: Option<u32>,
    /// Everything it printed on stderr so far.
    printed: watch::Sender<String>,
    /// A command that runs the service: a tracer, another mount namespace. Empty: none.
    within: Vec<String>,
}

/// A running service, and the thread that reads what it prints.
struct Service {
    process: Child,
    reader: JoinHandle<()>,
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
        let printed = watch::Sender::default();
        Self { directory, service: None, variables: Vec::new(), handles: None, printed, within: Vec::new() }
    }

    /// The same with a variable in its environment.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The same where the system lets it have this many files and connections open.
    pub fn with_handles(mut self, handles: u32) -> Self {
        self.handles = Some(handles);
        self
    }

    /// From now on it is started by this command, which must become it or wait for it.
    pub fn run_within(&mut self, command: &[String]) {
        self.within = command.to_vec();
    }

    /// Starts the service and returns the till's webhook address, once it is taken there.
    pub async fn serve(&mut self) -> String {
        let begins = self.printed.borrow().len();
        let mut process = self
            .within(&self.within, "serve")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let printed = self.printed.clone();
        let reader = std::thread::spawn(move || {
            for line in log.lines() {
                let line = line.expect("a line of text");
                printed.send_modify(|text| text.extend([line.as_str(), "\n"]));
            }
        });
        self.service = Some(Service { process, reader });
        let address = |text: &str| {
            let line = text[begins..].lines().find(|line| line.contains(" listens on "))?;
            line.rsplit(' ').next().map(str::to_owned)
        };
        self.until("listen", |text| address(text).is_some()).await;
        let address = address(&self.printed.borrow()).expect("an address");
        format!("http://{address}/in/{TOKEN}")
    }

    /// Runs a command to its end while the test's own far sides answer it.
    pub async fn output(&self, words: &str) -> Output {
        self.output_within(&[], words).await
    }

    /// The same, started by another command.
    pub async fn output_within(&self, others: &[String], words: &str) -> Output {
        let mut command = self.within(others, words);
        let running = tokio::task::spawn_blocking(move || command.output().expect("the program"));
        timeout(PATIENCE, running).await.expect("an end").expect("no panic")
    }

    /// Types a command; returns its exit code, and what it printed on both outputs.
    pub fn run(&self, words: &str) -> (Option<i32>, String) {
        let output = self.command(words).output().expect("the program");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), said.concat())
    }

    /// Types a command that succeeds; returns what it printed.
    pub fn ok(&self, words: &str) -> String {
        let (exit, said) = self.run(words);
        assert_eq!(exit, Some(0), "`{words}`: {said}");
        said
    }

    /// A command on its directory; the words are what is typed.
    pub fn command(&self, words: &str) -> Command {
        self.within(&[], words)
    }

    fn within(&self, others: &[String], words: &str) -> Command {
        // From where every file that is made may be read by everybody, unless the program sees to it.
        let limits = self.handles.map_or("umask 000".to_owned(), |handles| format!("umask 000 && ulimit -n {handles}"));
        let mut command = Command::new("/bin/sh");
        if others.is_empty() {
            command.env_clear();
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.current_dir(self.directory.path()).envs(variables).stdin(Stdio::null());
        command.args(["-c", &format!("{limits} && exec \"$@\""), "sh"]).args(others);
        command.args([env!("CARGO_BIN_EXE_tillhook"), "--config", "tillhook.toml"]).args(words.split(' '));
        command
    }

    /// Everything it printed on stderr so far; once it is killed, everything.
    pub fn printed(&self) -> String {
        self.printed.borrow().clone()
    }

    /// Returns once it has printed these words.
    pub async fn says(&self, words: &str) {
        self.until(words, |text| text.contains(words)).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let mut printed = self.printed.subscribe();
        let waited = timeout(PATIENCE, printed.wait_for(|text| holds(text))).await.map(drop);
        assert!(waited.is_ok(), "it never did this: {what}; it said\n{}", self.printed());
    }

    /// What the system says about the running process (`/proc/PID/status`).
    pub fn status(&self) -> String {
        status(self.pid())
    }

    /// The memory that the running process takes, in KiB.
    pub fn memory(&self) -> u64 {
        figure(self.pid(), "VmRSS")
    }

    /// The most memory that the running process ever took, in KiB.
    pub fn most_memory(&self) -> u64 {
        figure(self.pid(), "VmHWM")
    }

    /// The number of its process, or of the command that it runs within.
    pub fn pid(&self) -> u32 {
        self.service.as_ref().expect("a running service").process.id()
    }

    /// Asks it to end (SIGTERM); returns its exit code, once it has.
    pub async fn terminate(&mut self) -> Option<i32> {
        signal("-TERM", self.pid());
        self.ended().await
    }

    /// Waits until it has ended by itself; returns its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let Service { process, reader } = self.service.take().expect("a running service");
        let process = std::cell::RefCell::new(process);
        eventually("the program ends", async || process.borrow_mut().try_wait().expect("a child").is_some()).await;
        reader.join().expect("all that it said");
        process.into_inner().wait().expect("its end").code()
    }

    /// Ends it without a warning (SIGKILL).
    pub fn kill(&mut self) {
        let mut service = self.service.take().expect("a running service");
        service.process.kill().expect("a signal");
        service.process.wait().expect("its end");
        service.reader.join().expect("all that it said");
    }

    /// A file beside the configuration.
    pub fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory around everything it has.
    pub fn directory(&self) -> &Path {
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
            let _ = service.process.kill();
            let _ = service.process.wait();
        }
    }
}

/// A number of what the system says about a running process (`/proc/PID/status`).
pub fn figure(pid: u32, name: &str) -> u64 {
    let status = status(pid);
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    value.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process")
}

/// Sends a signal to a process that a test has started.
pub fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.expect("the command `kill`").success(), "{signal} reaches {pid}");
}

/// Waits until something holds that happens in another process, which tells nobody when it does.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    assert!(timeout(PATIENCE, looking).await.is_ok(), "it never came to this: {what}");
}
