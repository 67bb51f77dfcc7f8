//! `tillhook pos sandbox` as it is started: what it prints, and how it ends.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use super::{Place, text};

/// The sandbox, killed when the test is over, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_sandbox_says_where_it_is_answers_calls_a_webhook_and_ends_when_told() {
    let place = Place::new();
    let words = "pos sandbox --listen 127.0.0.1:0 --webhook http://127.0.0.1:1/in/the-token --cash-box 1 --key k3y";
    let mut running = Running(place.command(words).stdout(Stdio::piped()).spawn().expect("the program"));
    let mut out = BufReader::new(running.0.stdout.take().expect("its output"));
    let mut said = String::new();
    let mut read_to = |words: &str, said: &mut String| {
        while !said.contains(words) {
            assert_ne!(out.read_line(said).expect("text"), 0, "it never said `{words}`:\n{said}");
        }
    };
    read_to("Ctrl-C ends it", &mut said);
    assert!(said.contains("key        k3y") && said.contains("127.0.0.1:1 is called, as form"), "{said}");
    let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();

    let body = "idboutique=4242&key=k3y&payment=2&itemsList[]=12";
    let mut socket = TcpStream::connect(address).expect("a connection");
    let head = "POST /workers/webapp.php HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded";
    write!(socket, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"success\":true"), "{answer}");

    read_to("terminated 20", &mut said);
    let told = Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().expect("kill");
    assert!(told.success());
    out.read_to_string(&mut said).expect("text");
    assert_eq!(running.0.wait().expect("an end").code(), Some(0));
    for call in ["cashBox_open 1: ", "validated 20", "terminated 20", "cashBox_close 1: nothing listens at 127.0.0.1:1"]
    {
        assert!(said.contains(call), "{call} is not in:\n{said}");
    }
    assert!(!said.contains("the-token"), "{said}");
}

#[test]
fn a_sandbox_that_cannot_be_run_says_what_to_do() {
    let place = Place::new();
    for (words, reason) in [
        ("--drop 2", "use a number from 0 to 1"),
        ("--encoding xml", "use form, brackets"),
        ("--sell", "--webhook"),
        ("--listen 127.0.0.1:0 --timezone Mars/Olympus", "name one as in `Europe/Paris`"),
        ("--listen 127.0.0.1:0 --webhook nowhere", "it should look like"),
        ("--listen 127.0.0.1:0 --webhook http://127.0.0.1:1/ --cash-box 9", "unknown cash box: 9"),
    ] {
        let output = place.run(&format!("pos sandbox {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(text(&output.stderr).contains(reason), "{words}: {}", text(&output.stderr));
    }
}
