//! A log and an output that nobody reads, or that are closed: the service goes on, and ends when it is told to.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{Place, text};
use crate::harness::program::{eventually, signal};

/// How long an answer, or the end, may take: without a reader it would be for ever.
const WITHIN: Duration = Duration::from_secs(20);

/// The program, killed when the test is over, however it ends.
struct Running {
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(place: &Place, command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program"), port: place.port }
    }

    /// Starts the service and waits until it answers.
    async fn serve(place: &Place, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let running = Self::start(place, place.command("serve").stdout(stdout).stderr(stderr));
        running.answers().await;
        running
    }

    async fn answers(&self) {
        eventually("it answers", async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()).await;
        for path in ["/livez", "/readyz"] {
            assert_eq!(self.ask(&format!("GET {path}"), "").await, 200, "{path}");
        }
    }

    /// The status of an answer.
    async fn ask(&self, what: &str, body: &str) -> u16 {
        let asking = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let head =
                format!("{what} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = timeout(WITHIN, asking).await.expect("an answer in time").expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    async fn sell(&self, number: u32) {
        let body = format!("type=validated&orderInternalID={number}&orderID=20261121{number:03}&price=10.00");
        assert_eq!(self.ask("POST /in/0123456789abcdef0123", &body).await, 200, "{number}");
    }

    /// Asks it to end; returns its exit code.
    async fn stop(mut self) -> Option<i32> {
        signal("-TERM", self.child.id());
        let mut ended = None;
        let ending = async {
            let child = std::cell::RefCell::new(&mut self.child);
            eventually("it ends", async || child.borrow_mut().try_wait().expect("a child").is_some()).await;
            ended = child.borrow_mut().wait().expect("its end").code();
        };
        timeout(WITHIN, ending).await.expect("an end in time");
        ended
    }

    /// How many of its threads have this name.
    fn threads(&self, name: &str) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|other| other.trim() == name).count()
    }
}

/// A pipe that takes nothing more until somebody reads it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("its flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("a pipe that says when it is full");
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(&writer, flags).expect("a pipe as it was");
    (reader, writer)
}

#[tokio::test]
async fn a_log_that_nobody_reads_keeps_no_call_waiting_and_not_the_end() {
    let place = Place::new();
    place.configure(&format!("[sink.files]\ntype = \"folder\"\npath = \"{}\"\n", place.dir.path().display()));
    let (reader, writer) = full_pipe();
    let running = Running::serve(&place, Stdio::null(), writer).await;
    for number in 0..300 {
        running.sell(number).await;
    }
    running.answers().await;
    assert_eq!(running.stop().await, Some(0));
    drop(reader);
    let listed = text(&place.run("orders list --limit 1000 --json").stdout);
    assert_eq!(listed.matches("\"internal_id\"").count(), 300);
}

#[tokio::test]
async fn a_log_that_is_read_late_is_whole() {
    let place = Place::new();
    let (reader, writer) = full_pipe();
    let running = Running::serve(&place, Stdio::null(), writer).await;
    let lines = std::thread::spawn(move || {
        BufReader::new(reader).lines().map(|line| line.expect("text")).collect::<Vec<String>>()
    });
    assert_eq!(running.stop().await, Some(0));
    let lines = lines.join().expect("all that it said");
    let place_of = |words: &str| lines.iter().position(|line| line.contains(words)).expect(words);
    assert!(place_of(" listens on ") < place_of("stopping: what is under way may end"));
    assert_eq!(place_of(" stopped") + 1, lines.len(), "the last line arrives too: {lines:?}");
}

#[tokio::test]
async fn a_closed_or_full_log_keeps_the_service_from_nothing() {
    let place = Place::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let without_reader = || io::pipe().expect("a pipe").1;
    for log in [Stdio::from(without_reader()), Stdio::from(full())] {
        let running = Running::serve(&place, Stdio::null(), log).await;
        running.sell(1).await;
        assert_eq!(running.stop().await, Some(0));
    }
    let command = place.command("serve");
    let mut closed = Command::new("/bin/sh");
    closed.args(["-c", "exec \"$@\" 2>&-", "sh"]).arg(command.get_program()).args(command.get_args());
    let running = Running::start(&place, closed.env_clear().stdin(Stdio::null()).stdout(Stdio::null()));
    running.answers().await;
    assert_eq!(running.stop().await, Some(0));

    // Also what is said once, of an address that was made just now, and why a command ends.
    let own = place.dir.path().join("own");
    let mut first = super::program(place.dir.path());
    first.arg("serve").env("TILLHOOK_STORAGE__PATH", &own).env("TILLHOOK_CONFIG", "").current_dir("/");
    first.env("TILLHOOK_SERVER__LISTEN", format!("127.0.0.1:{}", place.port));
    let running = Running::start(&place, first.stdout(Stdio::null()).stderr(without_reader()));
    running.answers().await;
    let refused = place.command("orders list").stderr(without_reader()).status().expect("the program");
    assert_eq!(refused.code(), Some(0));
    let refused = place.command("orders show none").stderr(without_reader()).status().expect("the program");
    assert_eq!(refused.code(), Some(3));
    assert_eq!(running.stop().await, Some(0));
}

#[tokio::test]
async fn an_output_that_nobody_reads_costs_its_sink_one_thread_and_delays_nothing_else() {
    let place = Place::new();
    place.configure(
        "[sink.out]\ntype = \"stdout\"\ntimeout = \"1s\"\nretry = [\"1s\", \"1s\", \"1s\", \"1h\"]\npause_after = \"30m\"\n",
    );
    let (mut reader, writer) = full_pipe();
    let running = Running::serve(&place, writer, Stdio::null()).await;
    for number in 0..4 {
        running.sell(number).await;
    }
    let tried = async || {
        let listed = text(&place.run("deliveries list --json").stdout);
        listed.matches("no answer within 1 s").count() == 4
    };
    eventually("each attempt has its time", tried).await;
    assert_eq!(running.threads("stdout sink"), 1);

    // Somebody reads again: what waits is tried again and written, each line whole.
    let lines = std::thread::spawn(move || {
        let mut printed = String::new();
        reader.read_to_string(&mut printed).map(|_| printed).expect("text")
    });
    let done = place.run("deliveries retry --sink out --dead");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let arrived = async || text(&place.run("deliveries list --json").stdout).matches("\"delivered\"").count() == 4;
    eventually("all are delivered", arrived).await;
    assert_eq!(running.stop().await, Some(0));
    let printed = lines.join().expect("all that it printed");
    let sales = printed.trim_start_matches('.').trim_start();
    for line in sales.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["type"], "order.validated");
    }
}

#[tokio::test]
async fn an_output_that_nobody_reads_does_not_keep_the_service_from_its_end() {
    let place = Place::new();
    place.configure("[sink.out]\ntype = \"stdout\"\n");
    let (_reader, writer) = full_pipe();
    let running = Running::serve(&place, writer, Stdio::null()).await;
    for number in 0..3 {
        running.sell(number).await;
    }
    assert_eq!(running.stop().await, Some(0));
}

#[tokio::test]
async fn a_demonstration_that_nobody_watches_ends() {
    let place = Place::new();
    let (_reader, writer) = full_pipe();
    let mut running = Running::start(&place, place.command("demo --sales 2").stdout(writer).stderr(full_pipe().1));
    let child = std::cell::RefCell::new(&mut running.child);
    eventually("it ends", async || child.borrow_mut().try_wait().expect("a child").is_some()).await;
    assert_eq!(child.borrow_mut().wait().expect("its end").code(), Some(0));
}
