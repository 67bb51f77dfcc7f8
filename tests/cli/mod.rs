//! The program as it is started: signals, exit codes, and what comes out where.

mod pos;
mod public_url;
mod sandbox;
mod unread;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use tempfile::TempDir;

/// A directory with a configuration, and the programs that are started on it.
struct Place {
    dir: TempDir,
    port: u16,
}

/// A port that nobody else gets before the program listens on it: the system hands out those above 32,768 to every
/// connection that is made meanwhile, so one is taken from below, beginning where this process's number points.
fn free_port() -> u16 {
    let first = u16::try_from(10_000 + std::process::id() * 7 % 20_000).expect("a port");
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..first + 100).find(free).expect("a free port")
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Self { dir, port: free_port() };
        place.configure("");
        place
    }

    /// Writes the configuration, which ends with `more`.
    fn configure(&self, more: &str) {
        let (dir, port) = (self.dir.path().display(), self.port);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[storage]\npath = \"{dir}/data\"\n\
             [shop.dupont]\ntoken = \"0123456789abcdef0123\"\n{more}"
        );
        fs::write(self.file(), text).expect("a file");
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("tillhook.toml")
    }

    fn command(&self, words: &str) -> Command {
        let mut command = program(self.dir.path());
        command.arg("--config").arg(self.file()).args(words.split(' '));
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().expect("the program")
    }

    /// Starts the service and waits until it listens.
    fn serve(&self) -> Service {
        Service::start(self.command("serve"))
    }
}

/// The program, without the environment of whoever runs the tests.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
    command.current_dir(dir).env_clear().stdin(Stdio::null());
    command
}

/// A running service; killed when the test is over, however it ends.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// What it said until it listened.
    greeting: String,
}

impl Service {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let mut service = Self { child, log, greeting: String::new() };
        service.greeting = service.wait_for(" listens on ");
        service
    }

    /// Reads the log up to the line that contains `words`.
    fn wait_for(&mut self, words: &str) -> String {
        let mut read = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).expect("a log"), 0, "it never said `{words}`:\n{read}");
            read.push_str(&line);
            if line.contains(words) {
                return read;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Ends it as Docker does; returns its exit code and what it still said.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("a log");
        (self.child.wait().expect("an end").code(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_send_test_sends_is_listed_beside_the_running_service() {
    let place = Place::new();
    let service = place.serve();
    let health = place.run("healthcheck");
    assert_eq!((health.status.code(), text(&health.stdout)), (Some(0), "ok\n".to_owned()));
    let sent = place.run("send-test");
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    let said = text(&sent.stdout);
    assert!(
        said.contains("invoice issued  stored as rcp_") && said.contains("paid            stored as rcp_"),
        "{said}"
    );
    let listed = text(&place.run("orders list").stdout);
    assert!(listed.lines().count() == 2 && listed.trim_end().ends_with("test"), "{listed}");
    let listed = text(&place.run("orders list --json").stdout);
    assert!(listed.contains("\"test\": true"), "{listed}");
    let wrong = place.run(&format!("send-test --to http://127.0.0.1:{}/in/another", place.port));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stdout).contains("refused: there is no such address"), "{}", text(&wrong.stdout));
    let (exit, rest) = service.stop();
    assert_eq!((exit, rest.matches(" stopped\n").count()), (Some(0), 1), "{rest}");
    assert_eq!(place.run("healthcheck").status.code(), Some(1));
    let unheard = place.run("send-test");
    assert_eq!(unheard.status.code(), Some(1));
    let said = text(&unheard.stderr);
    let expected = format!(
        "error: nothing listens at 127.0.0.1:{}\n  fix: `tillhook serve` must run there; `--to URL`",
        place.port
    );
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn an_invalid_new_configuration_changes_nothing_and_says_so_and_a_valid_one_is_taken() {
    let place = Place::new();
    let mut service = place.serve();
    place.configure("[sink.x]\ntype = \"fax\"\n");
    service.signal("-HUP");
    let said = service.wait_for("fix:");
    assert!(said.contains("the new configuration is invalid, so nothing was changed"), "{said}");
    assert_eq!(place.run("orders list").status.code(), Some(2), "a command reads the invalid file");
    place.configure("[sink.x]\ntype = \"stdout\"\n");
    service.signal("-HUP");
    service.wait_for("the new configuration is in effect");
    let sinks = text(&place.run("sinks list").stdout);
    assert!(sinks.contains("x     stdout  ok") && !sinks.contains("has not run"), "{sinks}");
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_second_service_on_the_same_directory_is_refused() {
    let place = Place::new();
    let service = place.serve();
    let second = place.run("serve");
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains("error: another tillhook already runs on") && said.contains("fix: stop it first"), "{said}");
    assert_eq!(service.stop().0, Some(0));
    let taken = TcpListener::bind(("127.0.0.1", place.port)).expect("the port");
    let said = text(&place.run("serve").stderr);
    assert!(said.contains("error: cannot listen: 127.0.0.1:") && said.contains("fix: free the port"), "{said}");
    drop(taken);
}

#[test]
fn a_generated_address_is_told_once_and_no_log_holds_it() {
    let place = Place::new();
    let command = || {
        let mut command = program(place.dir.path());
        command.arg("serve").env("TILLHOOK_STORAGE__PATH", place.dir.path().join("own"));
        command.env("TILLHOOK_SERVER__LISTEN", format!("127.0.0.1:{}", place.port)).env("TILLHOOK_CONFIG", "");
        command.current_dir(place.dir.path().parent().expect("a parent"));
        command
    };
    let first = Service::start(command());
    let token = fs::read_to_string(place.dir.path().join("own/token")).expect("a token");
    assert!(first.greeting.contains(&format!("/in/{}", token.trim())));
    assert!(!first.stop().1.contains(token.trim()));
    let second = Service::start(command());
    let greeting = second.greeting.clone();
    let (exit, rest) = second.stop();
    assert_eq!(exit, Some(0));
    assert!(!(greeting + &rest).contains(token.trim()), "it is told at the first start only");
}

#[test]
fn without_a_database_a_command_says_how_to_get_one() {
    let place = Place::new();
    let output = place.run("orders list");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("error: there is no database in ") && said.contains("\n  fix: start `tillhook serve`"),
        "{said}"
    );
}

#[test]
fn usage_and_configuration_errors_exit_with_2() {
    let place = Place::new();
    assert_eq!(place.run("orders").status.code(), Some(2));
    assert_eq!(place.run("orders list --limit none").status.code(), Some(2));
    let output = program(place.dir.path()).args(["--config", "nowhere.toml", "serve"]).output().expect("the program");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no file /") && text(&output.stderr).contains("/nowhere.toml\n"));
    let output = place.run("verify nowhere.json --secret whsec_dGlsbGhvb2stdGVzdHMtc2lnbmluZy1zZWNyZXQ= --headers h");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no file /") && text(&output.stderr).contains("/nowhere.json\n"));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let place = Place::new();
    let mut child =
        place.command("config schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert_eq!((child.wait().expect("an end").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    let place = Place::new();
    for words in ["--help", "orders list --limit none", "config check"] {
        let output = place.run(words);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{words}");
    }
}

#[test]
fn an_error_that_quotes_anybody_commands_no_terminal() {
    let place = Place::new();
    // Without a space: the words are split there.
    let output = place.run("sinks test \u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}fdp.");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(3), "{said:?}");
    assert!(said.starts_with("error: there is no sink ` ]0;pwned  2J fdp.`\n  fix: "), "{said:?}");
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
}
