//! A mail server that lies, step by step, and the verdict on each of its answers.

use base64::Engine as _;
use rstest::rstest;

use super::{
    far::{Act, At, Script, SmtpServer},
    *,
};
use crate::sink::{Reason, Receipt, SinkError};

fn copied() -> Options {
    Options { cc: vec!["copie@dupont.fr".into()], bcc: vec!["archive@dupont.fr".into()], ..options() }
}

fn mail() -> Delivery {
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, paid()) };
    delivery(sink(&copied(), smtp(25)).render(&with_pdf).unwrap(), 1)
}

/// The same for the accountant alone.
fn mail_to_one() -> Delivery {
    delivery(sink(&options(), smtp(25)).render(&first(Locale::Fr, paid())).unwrap(), 1)
}

async fn send(server: &SmtpServer) -> Result<Receipt, SinkError> {
    sink(&copied(), smtp(server.address.port())).send(&mail()).await
}

fn verdict(outcome: Result<Receipt, SinkError>) -> String {
    match outcome {
        Ok(_) => "delivered".into(),
        Err(SinkError::Retry { reason, after, .. }) => format!("retry {reason}{}", after.map_or("", |_| " later")),
        Err(SinkError::Reject { reason, .. }) => format!("reject {reason}"),
        Err(SinkError::Pause { reason, .. }) => format!("pause {reason}"),
    }
}

#[rstest]
#[case::honest(At::Noop, Act::Hush, "delivered")]
#[case::slow_but_honest(At::Dot, Act::Drawl("250 2.0.0 queued"), "delivered")]
#[case::never_says_goodbye(At::Quit, Act::Hush, "delivered")]
#[case::hangs_up_instead_of_goodbye(At::Quit, Act::HangUp, "delivered")]
#[case::answers_in_many_lines(At::Dot, Act::Say("250-2.0.0 taken\r\n250 2.0.0 queued"), "delivered")]
#[case::forwards(At::Rcpt(1), Act::Say("251 2.1.5 will forward"), "delivered")]
#[case::busy(At::Greeting, Act::Say("421 4.3.2 too many connections"), "retry unavailable")]
#[case::does_not_want_us(At::Greeting, Act::Say("554 5.7.1 no mail from there"), "reject refused")]
#[case::hangs_up_at_once(At::Greeting, Act::HangUp, "retry protocol")]
#[case::is_a_web_server(At::Greeting, Act::Say("HTTP/1.1 400 Bad Request"), "retry protocol")]
#[case::has_no_ehlo(At::Ehlo, Act::Say("502 5.5.1 unknown command"), "delivered")]
#[case::has_never_heard_of_ehlo(At::Ehlo, Act::Say("500 what?"), "delivered")]
#[case::does_not_know_our_name(At::Ehlo, Act::Say("504 5.5.2 need a full name"), "reject refused")]
#[case::is_too_busy_for_our_name(At::Ehlo, Act::Say("450 4.7.1 try again later"), "retry unavailable")]
#[case::refuses_the_sender(At::Mail, Act::Say("550 5.7.1 sender refused"), "reject refused")]
#[case::greylists_the_sender(At::Mail, Act::Say("451 4.7.1 try again later"), "retry unavailable")]
#[case::wants_a_password(At::Mail, Act::Say("530 5.7.0 Authentication required"), "pause credentials")]
#[case::refuses_the_first_recipient(At::Rcpt(1), Act::Say("550 5.1.1 user unknown"), "delivered")]
#[case::refuses_one_recipient_of_three(At::Rcpt(2), Act::Say("550 5.1.1 user unknown"), "delivered")]
#[case::greylists_a_recipient(At::Rcpt(3), Act::Say("450 4.2.0 greylisted"), "delivered")]
#[case::closes_while_it_hears_recipients(At::Rcpt(2), Act::Say("421 4.3.2 closing"), "retry unavailable")]
#[case::hangs_up_on_a_recipient(At::Rcpt(3), Act::HangUp, "retry protocol")]
#[case::refuses_data(At::Data, Act::Say("554 5.5.1 no valid recipients"), "reject refused")]
#[case::takes_data_for_granted(At::Data, Act::Say("250 2.0.0 ok"), "retry protocol")]
#[case::hangs_up_at_data(At::Data, Act::HangUp, "retry protocol")]
#[case::refuses_the_mail(At::Dot, Act::Say("554 5.7.1 looks like spam"), "reject refused")]
#[case::mail_is_too_large(At::Dot, Act::Say("552 5.3.4 message too big"), "reject refused")]
#[case::cannot_store_the_mail(At::Dot, Act::Say("452 4.3.1 insufficient storage"), "retry unavailable")]
#[case::shuts_down(At::Dot, Act::Say("421 4.3.0 shutting down"), "retry unavailable")]
#[case::hangs_up_after_the_mail(At::Dot, Act::HangUp, "retry protocol")]
#[case::asks_for_more(At::Dot, Act::Say("354 go on"), "retry protocol")]
#[case::says_something_else_after_the_mail(At::Dot, Act::Say("251 forwarded"), "retry protocol")]
#[case::says_two_codes_at_once(At::Dot, Act::Say("250-2.0.0 ok\r\n550 5.0.0 no"), "retry protocol")]
#[case::speaks_before_it_is_asked(
    At::Mail,
    Act::Say("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok"),
    "retry protocol"
)]
#[case::says_nonsense(At::Dot, Act::Say("ok!"), "retry protocol")]
#[case::says_a_code_that_is_none(At::Dot, Act::Say("299999"), "retry protocol")]
#[tokio::test]
async fn every_answer_has_one_verdict(#[case] moment: At, #[case] act: Act, #[case] expected: &str) {
    let server = Script::honest().at(moment, act).start().await;
    assert_eq!(verdict(send(&server).await), expected);
    let taken = usize::from(expected == "delivered");
    assert_eq!(server.mails().len(), taken, "the server took a mail that we call undelivered, or the other way round");
}

#[tokio::test]
async fn nobody_listening_is_retried() {
    let server = Script::honest().start().await;
    let port = server.address.port();
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(verdict(sink(&options(), smtp(port)).send(&mail()).await), "retry connect");
}

#[tokio::test]
async fn a_mail_reaches_every_recipient_with_the_pdf_byte_for_byte_and_without_a_word_of_bcc() {
    let server = Script::honest().start().await;
    let receipt = send(&server).await.unwrap();
    assert_eq!(receipt.reference.as_deref(), Some("<dlv_0199c0de00007000800000000000000b@dupont.fr>"));
    assert_eq!((receipt.status.as_str(), receipt.excerpt.as_deref()), ("250", Some("2.0.0 queued as 1")));

    let mail = server.mails().remove(0);
    assert_eq!(mail.from, "caisse@dupont.fr");
    assert_eq!(mail.to, ["compta@cabinet-martin.fr", "copie@dupont.fr", "archive@dupont.fr"]);
    assert!(!mail.data.contains("archive@dupont.fr") && mail.data.contains("Cc: copie@dupont.fr"));
    assert!(mail.data.is_ascii() && !mail.data.contains('\0'));

    let file = mail.data.split("Content-Type: application/pdf").nth(1).unwrap();
    let encoded: String =
        file.split("\r\n\r\n").nth(1).unwrap().split("--").next().unwrap().split_whitespace().collect();
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(), PDF);
}

#[tokio::test]
async fn the_same_mail_goes_out_on_every_attempt_to_the_last_byte() {
    let server = Script::honest().start().await;
    let accountant = sink(&copied(), smtp(server.address.port()));
    for attempt in [1, 2] {
        let later =
            Delivery { attempt, at: now() + std::time::Duration::from_secs(3600 * u64::from(attempt)), ..mail() };
        accountant.send(&later).await.unwrap();
    }
    let mails = server.mails();
    assert_eq!(mails[0], mails[1]);
}

#[tokio::test]
async fn a_send_that_is_given_up_closes_its_connection_and_the_mail_is_not_taken() {
    for (moment, last_word) in [(At::Mail, "MAIL"), (At::Data, "DATA"), (At::Ehlo, "EHLO")] {
        let server = Script::honest().at(moment, Act::Hush).start().await;
        let accountant = sink(&copied(), smtp(server.address.port()));
        let attempt = tokio::spawn(async move { accountant.send(&mail()).await });
        server.heard(last_word).await;
        attempt.abort();
        server.ended(1).await;
        assert!(server.mails().is_empty());
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_a_wrong_one_pauses_the_sink() {
    let account = |password: &str, port| Smtp {
        username: Some("caisse@dupont.fr".into()),
        password: Some(password.to_owned().into()),
        ..smtp(port)
    };
    let server = Script::honest().with_password("caisse@dupont.fr", "s3cret").start().await;
    let port = server.address.port();
    sink(&options(), account("s3cret", port)).send(&mail()).await.unwrap();
    let refused = sink(&options(), account("wr0ng", port)).send(&mail()).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Pause { reason: Reason::Credentials, .. }), "{refused}");
    assert!(!refused.to_string().contains("wr0ng"));
    assert_eq!(verdict(sink(&options(), smtp(port)).send(&mail()).await), "pause credentials");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_knows_login_alone_is_given_the_password_in_its_way() {
    let account = |password: &str, port| Smtp {
        username: Some("caisse@dupont.fr".into()),
        password: Some(password.to_owned().into()),
        ..smtp(port)
    };
    let server = Script::honest().with_login("caisse@dupont.fr", "s3cret").start().await;
    let port = server.address.port();
    sink(&options(), account("s3cret", port)).send(&mail()).await.unwrap();
    assert!(server.commands().iter().any(|command| command == "AUTH LOGIN"), "{:?}", server.commands());
    let refused = sink(&options(), account("wr0ng", port)).send(&mail()).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Pause { reason: Reason::Credentials, .. }), "{refused}");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_takes_no_way_of_ours_to_sign_in_pauses_the_sink() {
    let offer = Act::Say("250-mail.test\r\n250 AUTH XOAUTH2 CRAM-MD5");
    let server = Script::honest().with_password("a", "b").at(At::Ehlo, offer).start().await;
    let account =
        Smtp { username: Some("a".into()), password: Some("b".to_owned().into()), ..smtp(server.address.port()) };
    assert_eq!(verdict(sink(&options(), account).send(&mail()).await), "pause protocol");
    assert!(!server.commands().iter().any(|command| command.starts_with("AUTH")));
}

#[rstest]
#[case("454 4.7.0 temporary authentication failure", "retry unavailable")]
#[case("535 5.7.8 wrong name or password", "pause credentials")]
#[case("534 5.7.9 application-specific password required", "pause credentials")]
#[case("504 5.5.4 no such way", "pause credentials")]
#[case("501 5.5.2 cannot decode", "pause credentials")]
#[case("250 ok", "retry protocol")]
#[tokio::test]
async fn a_refused_password_pauses_unless_the_server_says_that_it_is_its_own_fault(
    #[case] words: &'static str,
    #[case] expected: &str,
) {
    let server = Script::honest().with_password("a", "b").at(At::Auth, Act::Say(words)).start().await;
    let account =
        Smtp { username: Some("a".into()), password: Some("b".to_owned().into()), ..smtp(server.address.port()) };
    assert_eq!(verdict(sink(&options(), account).send(&mail()).await), expected);
}

#[tokio::test]
async fn what_is_configured_and_not_offered_pauses_the_sink_rather_than_going_on_without() {
    let server = Script::honest().start().await;
    let port = server.address.port();
    let encrypted = Smtp { tls: Tls::Starttls, ..smtp(port) };
    assert_eq!(verdict(sink(&options(), encrypted).send(&mail()).await), "pause protocol");
    let account = Smtp { username: Some("a".into()), password: Some("b".to_owned().into()), ..smtp(port) };
    assert_eq!(verdict(sink(&options(), account).send(&mail()).await), "pause protocol");
    let told = server.commands();
    assert!(!told.iter().any(|command| command.starts_with("MAIL") || command.starts_with("AUTH")), "{told:?}");
}

#[tokio::test]
async fn a_server_without_tls_where_tls_is_configured_is_told_nothing() {
    let server = Script::honest().start().await;
    let encrypted = Smtp { tls: Tls::Implicit, ..smtp(server.address.port()) };
    assert_eq!(verdict(sink(&options(), encrypted).send(&mail()).await), "retry connect");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_refusal_says_where_and_why_but_not_who() {
    let words = "550-5.1.1 <zoe@durand.example> not here,\r\n550 5.1.1 ask postmaster@durand.example";
    let server = Script::honest().refusing("compta@cabinet-martin.fr", words).start().await;
    let refused = sink(&options(), smtp(server.address.port())).send(&mail_to_one()).await.unwrap_err();
    let expected = "refused: naming recipient 1 to the mail server: the server answered 550 \
                    5.1.1 <[address]> not here, ask [address]";
    assert_eq!(refused.to_string(), expected);
}

#[tokio::test]
async fn a_check_walks_to_the_door_and_sends_nothing() {
    let server = Script::honest().with_password("a", "b").start().await;
    let port = server.address.port();
    let account =
        |password: &str| Smtp { username: Some("a".into()), password: Some(password.to_owned().into()), ..smtp(port) };
    let found = sink(&options(), account("b")).check().await.unwrap();
    assert_eq!(found, format!("127.0.0.1 answers on port {port}, without encryption, and takes the password"));
    let refused = sink(&options(), account("c")).check().await.unwrap_err();
    assert!(refused.detail().starts_with("signing in to the mail server: the server answered 535"), "{refused}");
    server.ended(2).await;
    assert!(!server.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[rstest]
#[case(At::Greeting, Act::Say("HTTP/1.1 400 Bad Request"), "", "port 465 goes with `tls = \"implicit\"`")]
#[case(At::Greeting, Act::Say("554 5.7.1 you are on a list"), "", "your own mail provider's server")]
#[case(At::Auth, Act::Say("535 5.7.8 no"), "b", "check `smtp.username`, as a rule the whole address")]
#[case(At::Auth, Act::Say("454 4.7.0 later"), "b", "")]
#[case(At::Mail, Act::Say("550 5.7.60 not as this sender"), "b", "write in `smtp.from` an address")]
#[case(At::Mail, Act::Say("530 5.7.0 Authentication required"), "", "set `smtp.username` and `smtp.password`")]
#[case(At::Rcpt(1), Act::Say("550 5.1.1 unknown"), "", "check the addresses in `to`, `cc` and `bcc`")]
#[case(At::Rcpt(1), Act::Say("450 4.7.1 Helo command rejected: Host not found"), "", "set `smtp.hello`")]
#[case(At::Ehlo, Act::Say("550 5.7.1 who?"), "", "set `smtp.hello`")]
#[case(At::Ehlo, Act::HangUp, "", "port 465 goes with `tls = \"implicit\"`")]
#[case(At::Dot, Act::Say("554 5.7.1 this looks like spam"), "", "docs/email.md")]
#[tokio::test]
async fn there_is_advice_for_the_step_that_failed(
    #[case] moment: At,
    #[case] act: Act,
    #[case] password: &'static str,
    #[case] expected: &str,
) {
    let script = if password.is_empty() { Script::honest() } else { Script::honest().with_password("a", password) };
    let server = script.at(moment, act).start().await;
    let account = (!password.is_empty()).then(|| password.to_owned());
    let port = server.address.port();
    let smtp = Smtp { username: account.clone().map(|_| "a".into()), password: account.map(Into::into), ..smtp(port) };
    let accountant = sink(&options(), smtp);
    let failed = accountant.send(&mail_to_one()).await.unwrap_err();
    let advice = accountant.advice(&failed).unwrap_or_default();
    assert!(advice.contains(expected) && advice.is_empty() == expected.is_empty(), "{failed}: {advice}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_as_such() {
    let accountant = sink(&options(), Smtp { host: "smtp.dupont.invalid".into(), ..smtp(465) });
    let failed = accountant.check().await.unwrap_err();
    assert!(failed.detail().starts_with("looking up the mail server's name: "), "{failed}");
    assert!(accountant.advice(&failed).unwrap().contains("`smtp.host` letter by letter"));
    assert_eq!(verdict(accountant.send(&mail()).await), "retry connect");
}

#[tokio::test]
async fn each_provider_has_its_own_words_for_a_password() {
    for (host, expected) in [
        ("smtp.gmail.com", "app password"),
        ("smtp-relay.brevo.com", "SMTP key"),
        ("smtp.tem.scaleway.com", "project's id"),
        ("smtp.office365.com", "Microsoft 365 is ending passwords"),
        ("smtp-mail.outlook.com", "Microsoft 365"),
        ("ssl0.ovh.net", "as a rule the whole address"),
    ] {
        let refused =
            SinkError::pause(Reason::Credentials, "signing in to the mail server: the server answered 535 no");
        let advice = sink(&options(), Smtp { host: host.into(), ..smtp(465) }).advice(&refused).unwrap();
        assert!(advice.contains(expected), "{host}: {advice}");
    }
}

#[rstest]
#[case(At::Greeting, Act::Say("421 busy"), "connecting to the mail server: the server answered 421 busy")]
#[case(
    At::Noop,
    Act::Say("451 not well"),
    "asking the mail server whether it is well: the server answered 451 not well"
)]
#[tokio::test]
async fn a_failed_check_says_which_step_failed(#[case] moment: At, #[case] act: Act, #[case] expected: &str) {
    let server = Script::honest().at(moment, act).start().await;
    let failed = sink(&options(), smtp(server.address.port())).check().await.unwrap_err();
    assert_eq!(failed.detail(), expected);
}
