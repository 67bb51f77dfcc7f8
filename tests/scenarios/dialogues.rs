//! What the service makes of everything that a mail server may say or not say, seen from outside.

use std::time::Duration;

use tillhook::order::Phase;

use crate::{
    far::smtp::{Act, At, Script, SmtpServer},
    harness::{App, Setup},
};

const SINKS: &str = r#"
    [sink.accountant]
    type = "email"
    to = ["compta@cabinet-martin.example", "archive@dupont.example"]
    on = ["order.validated"]
"#;

/// How long a mail server may take (RFC 5321 asks for minutes).
const DEADLINE: Duration = Duration::from_mins(5);

const PASSWORD: &str = "username = \"caisse\"\npassword = \"caisse-password\"";

/// A service whose mails go to this server.
async fn start(server: &SmtpServer, keys: &str) -> App {
    App::set_up(Setup { sinks: SINKS, smtp: Some((server.address, keys)), ..Setup::default() }).await
}

/// Announces one order and says what became of its mail.
async fn verdict(script: Script, keys: &str) -> String {
    let server = script.start().await;
    let app = start(&server, keys).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    let (line, attempts) = (app.deliveries("accountant").await.remove(0), app.attempts("accountant").await);
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    let text = format!("{:?} {:?}", line.last_error, attempt.excerpt);
    assert!(!text.contains('@') && !text.contains("caisse-password"), "nobody is named: {text}");
    let verdict = match attempt.reason.as_deref() {
        Some(reason) => format!("{}: {} {reason}", line.status, attempt.verdict),
        None => line.status,
    };
    let is_taken = verdict == "delivered" || verdict == TAKEN_FOR_ONE;
    assert_eq!(!server.mails().is_empty(), is_taken, "what is called delivered is what the server has");
    app.finish_leaving(usize::from(verdict != "delivered")).await;
    verdict
}

/// One of the two has it, the other is asked for again.
const TAKEN_FOR_ONE: &str = "retrying";

const UNAVAILABLE: &str = "retrying: retry unavailable";
const REJECTED: &str = "retrying: reject refused";
const PROTOCOL: &str = "retrying: retry protocol";
const CREDENTIALS: &str = "paused: pause credentials";

#[tokio::test]
async fn every_answer_of_a_mail_server_has_a_verdict() {
    let rows: &[(At, Act, &str)] = &[
        (At::Greeting, Act::Say("421 4.3.2 too busy"), UNAVAILABLE),
        (At::Greeting, Act::Say("554 5.7.1 you are on a list"), REJECTED),
        (At::Greeting, Act::Say("HTTP/1.1 400 Bad Request"), PROTOCOL),
        (At::Greeting, Act::HangUp, PROTOCOL),
        (At::Ehlo, Act::Say("421 4.3.2 going down"), UNAVAILABLE),
        (At::Ehlo, Act::Say("550 5.7.1 who?"), REJECTED),
        (At::Mail, Act::Say("451 4.3.0 later"), UNAVAILABLE),
        (At::Mail, Act::Say("550 5.1.8 sender <caisse@dupont.example> refused"), REJECTED),
        (At::Mail, Act::Say("530 5.7.0 sign in first"), CREDENTIALS),
        (At::Mail, Act::Say("354 what?"), PROTOCOL),
        (At::Mail, Act::HangUp, PROTOCOL),
        (At::Rcpt(1), Act::Say("450 4.2.0 greylisted, come back"), TAKEN_FOR_ONE),
        (At::Rcpt(1), Act::Say("550 5.1.1 <compta@cabinet-martin.example> unknown"), TAKEN_FOR_ONE),
        (At::Rcpt(2), Act::Say("550 5.1.1 <archive@dupont.example> unknown"), TAKEN_FOR_ONE),
        (At::Rcpt(2), Act::Say("452 4.5.3 too many recipients"), "delivered"),
        (At::Rcpt(1), Act::Say("251 2.1.5 will forward"), "delivered"),
        (At::Data, Act::Say("451 4.3.0 later"), UNAVAILABLE),
        (At::Data, Act::Say("554 5.5.1 no"), REJECTED),
        (At::Data, Act::Say("250 ok?"), PROTOCOL),
        (At::Data, Act::HangUp, PROTOCOL),
        (At::Dot, Act::Say("451 4.7.1 try again"), UNAVAILABLE),
        (At::Dot, Act::Say("421 4.3.0 shutting down"), UNAVAILABLE),
        (At::Dot, Act::Say("552 5.3.4 too large"), REJECTED),
        (At::Dot, Act::Say("554 5.7.1 this looks like spam"), REJECTED),
        (At::Dot, Act::Say("354 go on"), PROTOCOL),
        (At::Dot, Act::Say("251 hm"), PROTOCOL),
        (At::Dot, Act::Say("ok"), PROTOCOL),
        (At::Dot, Act::HangUp, PROTOCOL),
        (At::Dot, Act::Say("250-2.0.0 ok\r\n250 queued"), "delivered"),
        (At::Dot, Act::Drawl("250 2.0.0 q u e u e d"), "delivered"),
        (At::Quit, Act::Say("421 not so fast"), "delivered"),
        (At::Quit, Act::Hush, "delivered"),
        (At::Quit, Act::HangUp, "delivered"),
    ];
    for (at, act, expected) in rows {
        assert_eq!(verdict(Script::honest().at(*at, *act), "").await, *expected, "{at:?}: {act:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_pauses_the_sink_and_a_server_in_trouble_does_not() {
    let rows = [
        ("535 5.7.8 wrong password", CREDENTIALS),
        ("534 5.7.9 too weak", CREDENTIALS),
        ("454 4.7.0 later", UNAVAILABLE),
        ("235 2.7.0 welcome", "delivered"),
    ];
    for (said, expected) in rows {
        let script = Script::honest().with_password("caisse", "caisse-password").at(At::Auth, Act::Say(said));
        assert_eq!(verdict(script, PASSWORD).await, expected, "{said}");
    }
    let nobody_asks = verdict(Script::honest(), PASSWORD).await;
    assert_eq!(nobody_asks, "paused: pause protocol", "a password for a server that takes none is a mistake");
}

#[tokio::test]
async fn a_silent_mail_server_ends_at_the_deadline_wherever_it_falls_silent() {
    let steps = [At::Greeting, At::Ehlo, At::Mail, At::Rcpt(1), At::Rcpt(2), At::Data, At::Dot];
    for step in steps {
        let server = Script::honest().at(step, Act::Hush).start().await;
        let app = start(&server, "").await;
        app.announce(&app.till.sell(), Phase::Validated).await;
        server.made(1).await;
        app.clock.advance(DEADLINE - Duration::from_secs(1));
        assert_eq!(app.statuses("accountant").await, ["sending"], "{step:?}: not before the deadline");
        app.run_out(Duration::from_secs(1)).await;
        let attempts = app.attempts("accountant").await;
        assert_eq!(attempts[0].reason.as_deref(), Some("time_out"), "{step:?}");
        assert_eq!(attempts[0].duration_ms, 300_000, "{step:?}");
        server.ended(1).await;
        assert!(server.mails().is_empty());
        app.finish_leaving(1).await;
    }
}

/// A client that keeps the connection of a mail that timed out takes the late 354 to that mail for the answer to the
/// next one.
#[tokio::test]
async fn a_mail_that_the_server_refuses_after_one_that_timed_out_is_not_called_delivered() {
    let script = Script::honest().at_nth(1, At::Data, Act::Hush).at(At::Dot, Act::Say("550 5.7.1 no, for good"));
    let server = script.start().await;
    let app = start(&server, "").await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    server.heard("DATA").await;
    app.run_out(DEADLINE).await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_secs(10)).await;

    assert_eq!(app.statuses("accountant").await, ["retrying", "retrying"]);
    let mut verdicts: Vec<_> = app.attempts("accountant").await.into_iter().map(|attempt| attempt.reason).collect();
    verdicts.sort();
    let verdicts: Vec<_> = verdicts.iter().flatten().map(String::as_str).collect();
    assert_eq!(verdicts, ["refused", "refused", "refused", "time_out"], "two tries each");
    server.ended(4).await;
    assert!(server.mails().is_empty());
    app.finish_leaving(2).await;
}

#[tokio::test]
async fn a_mail_that_the_server_took_without_saying_so_comes_again_as_the_same_mail() {
    let server = Script::honest().at_nth(1, At::Dot, Act::HangUp).start().await;
    let app = start(&server, "").await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    app.advance(Duration::from_secs(10)).await;
    assert_eq!(app.statuses("accountant").await, ["delivered"]);
    let ids = server.message_ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the Message-ID lets the reader's program drop the second copy");
    app.finish().await;
}

#[tokio::test]
async fn a_refusal_is_believed_after_three_tries_and_two_hours_and_somebody_is_told() {
    let nobody = Act::Say("550 5.1.1 nobody here");
    let server = Script::honest().at(At::Rcpt(1), nobody).at(At::Rcpt(2), nobody).start().await;
    let app = start(&server, "").await;
    app.announce(&app.till.sell(), Phase::Validated).await;
    app.settle().await;
    for wait in [10, 80, 400, 2_200] {
        assert_eq!(app.data_of("sink.failing").await.len(), 0, "a greylisting server says this too");
        app.advance(Duration::from_secs(wait)).await;
        assert_eq!(app.statuses("accountant").await, ["retrying"]);
    }
    let failing = app.told("sink.failing", 1).await;
    assert_eq!(failing[0]["sink"], "accountant", "three refusals over ten minutes: a person has to know");
    app.advance(Duration::from_hours(3)).await;
    assert_eq!(app.statuses("accountant").await, ["dead"]);
    app.settle().await;
    assert_eq!(app.data_of("sink.failing").await.len(), 1, "it is said once an outage");
    app.finish().await;
}
