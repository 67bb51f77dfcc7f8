//! Several recipients, of whom a mail server takes some; and how we introduce ourselves.

use rstest::rstest;

use super::{
    far::{Act, At, Script, SmtpServer},
    *,
};
use crate::sink::{Reason, Receipt, SinkError};

const ALL: [&str; 3] = ["compta@cabinet-martin.fr", "copie@dupont.fr", "archive@dupont.fr"];

fn copied() -> Options {
    Options { cc: vec![ALL[1].into()], bcc: vec![ALL[2].into()], ..options() }
}

fn mail() -> Delivery {
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, paid()) };
    delivery(sink(&copied(), smtp(25)).render(&with_pdf).unwrap(), 1)
}

async fn send(server: &SmtpServer, mail: &Delivery) -> Result<Receipt, SinkError> {
    sink(&copied(), smtp(server.address.port())).send(mail).await
}

/// Who has the mail.
fn taken(receipt: &Receipt) -> Vec<&str> {
    receipt.taken.iter().map(|recipient| recipient.address.as_str()).collect()
}

/// Who has not, what he is called, and why.
fn refused(receipt: &Receipt) -> Vec<(&str, &str, String)> {
    let mut all = Vec::new();
    for (recipient, error) in &receipt.refused {
        all.push((recipient.address.as_str(), recipient.called.as_str(), error.to_string()));
    }
    all
}

fn receivers(server: &SmtpServer) -> Vec<Vec<String>> {
    server.mails().into_iter().map(|mail| mail.to).collect()
}

#[tokio::test]
async fn a_mail_goes_to_those_whom_the_server_takes_and_says_who_is_refused() {
    let server = Script::honest().refusing(ALL[1], "550 5.1.1 user unknown").start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    assert_eq!(taken(&receipt), [ALL[0], ALL[2]]);
    assert_eq!(receivers(&server), [[ALL[0], ALL[2]]]);
    let why = "refused: naming recipient 2 to the mail server: the server answered 550 5.1.1 user unknown";
    assert_eq!(refused(&receipt), [(ALL[1], ALL[1], why.to_owned())]);
    assert!(receipt.excerpt.unwrap().contains("naming recipient 2"));
}

#[tokio::test]
async fn a_blind_copy_that_is_refused_is_not_called_by_its_address() {
    let server = Script::honest().refusing(ALL[2], "550 5.1.1 user unknown").start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    let [(address, called, why)] = &refused(&receipt)[..] else { panic!("one is refused: {receipt:?}") };
    assert_eq!((*address, *called), (ALL[2], "bcc 1"));
    assert!(why.contains("naming recipient 3") && !why.contains(ALL[2]), "{why}");
}

#[tokio::test]
async fn who_has_the_mail_is_not_asked_again_and_a_second_refusal_is_no_failure_of_the_mail() {
    let server = Script::honest().refusing(ALL[1], "450 4.2.0 greylisted").start().await;
    let again = Delivery { settled: vec![ALL[0].into(), ALL[2].into()], ..mail() };
    let receipt = send(&server, &again).await.unwrap();
    assert_eq!((receipt.taken.len(), receipt.refused.len()), (0, 1));
    server.behave(Script::honest());
    assert_eq!(taken(&send(&server, &again).await.unwrap()), [ALL[1]]);
    assert_eq!(receivers(&server), [[ALL[1]]]);
    let named: Vec<_> = server.commands().into_iter().filter(|command| command.starts_with("RCPT")).collect();
    assert!(named.iter().all(|command| command.contains(ALL[1])), "{named:?}");
}

#[tokio::test]
async fn where_all_are_refused_the_mail_is_and_each_is_said() {
    let unknown = "550 5.1.1 user unknown";
    let script = Script::honest().refusing(ALL[0], unknown).refusing(ALL[1], unknown).refusing(ALL[2], unknown);
    let server = script.start().await;
    let refused = send(&server, &mail()).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Reject { reason: Reason::Refused, .. }), "{refused}");
    assert!((1..=3).all(|place| refused.detail().contains(&format!("naming recipient {place} to"))), "{refused}");
    // As long as one of them may be taken later the mail is tried again.
    let server = Script::honest()
        .refusing(ALL[0], unknown)
        .refusing(ALL[1], "450 4.2.0 greylisted")
        .refusing(ALL[2], "530 5.7.0 sign in first")
        .start()
        .await;
    let later = send(&server, &mail()).await.unwrap_err();
    assert!(matches!(&later, SinkError::Retry { reason: Reason::Unavailable, .. }), "{later}");
}

#[tokio::test]
async fn a_password_that_is_wanted_for_one_address_does_not_stop_what_goes_to_the_others() {
    let server = Script::honest().refusing(ALL[1], "530 5.7.0 no relaying without a password").start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    assert_eq!(taken(&receipt), [ALL[0], ALL[2]]);
    assert!(matches!(&receipt.refused[0].1, SinkError::Reject { reason: Reason::Credentials, .. }), "{receipt:?}");
}

#[tokio::test]
async fn a_server_that_takes_one_recipient_at_a_time_gets_the_same_mail_for_each() {
    let server = Script::honest().with_recipients_at_most(1).start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    assert_eq!((taken(&receipt).len(), receipt.refused.len()), (3, 0));
    assert_eq!(receivers(&server), [[ALL[0]], [ALL[1]], [ALL[2]]]);
    let mails = server.mails();
    assert!(mails.iter().all(|mail| mail.data == mails[0].data), "one mail, three times");
}

#[tokio::test]
async fn a_mail_that_is_refused_because_of_one_address_is_handed_over_for_each_alone() {
    let server = Script::honest().refusing_late(ALL[1], "550 5.1.1 user unknown after all").start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    assert_eq!(receivers(&server), [[ALL[0]], [ALL[2]]]);
    assert_eq!(refused(&receipt)[0].0, ALL[1]);
}

#[tokio::test]
async fn a_connection_that_is_lost_after_some_have_the_mail_costs_them_no_second_one() {
    let closing = Script::honest().refusing_late(ALL[1], "421 4.3.2 closing").with_recipients_at_most(1);
    let server = closing.start().await;
    let receipt = send(&server, &mail()).await.unwrap();
    assert_eq!((taken(&receipt), receipt.refused.len()), (vec![ALL[0]], 2));
    assert!(receipt.refused.iter().all(|(_, error)| matches!(error, SinkError::Retry { .. })), "{receipt:?}");
}

#[rstest]
#[case(None, "EHLO dupont.fr")]
#[case(Some("till.dupont.fr"), "EHLO till.dupont.fr")]
#[case(Some("[192.0.2.7]"), "EHLO [192.0.2.7]")]
#[case(Some("[IPv6:2001:db8::7]"), "EHLO [IPv6:2001:db8::7]")]
#[tokio::test]
async fn a_server_is_greeted_with_the_domain_of_from_or_with_hello(#[case] hello: Option<&str>, #[case] said: &str) {
    let server = Script::honest().start().await;
    let smtp = Smtp { hello: hello.map(str::to_owned), ..smtp(server.address.port()) };
    sink(&copied(), smtp).send(&mail()).await.unwrap();
    assert_eq!(server.commands()[0], said);
}

#[rstest]
#[case("localhost")]
#[case("[127.0.0]")]
#[case("a.fr\r\nMAIL FROM:<x@y.fr>")]
#[case("")]
#[tokio::test]
async fn a_name_that_is_none_is_refused_in_the_configuration(#[case] hello: &str) {
    let smtp = Smtp { hello: Some(hello.to_owned()), ..smtp(25) };
    let error = options().build(&"accountant".parse().unwrap(), &context(Some(smtp))).err().expect("a problem");
    assert!(error.to_string().contains("`smtp.hello`"), "{error}");
}

#[rstest]
#[case("500 what?")]
#[case("502 5.5.1 not implemented")]
#[tokio::test]
async fn a_server_that_knows_no_ehlo_is_greeted_with_helo_on_the_same_connection(#[case] words: &'static str) {
    let server = Script::honest().at(At::Ehlo, Act::Say(words)).start().await;
    sink(&copied(), smtp(server.address.port())).send(&mail()).await.unwrap();
    let commands = server.commands();
    assert_eq!(commands[..2], ["EHLO dupont.fr", "HELO dupont.fr"]);
    server.ended(1).await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_refusal_of_our_name_is_told_as_one() {
    let server = Script::honest().at(At::Ehlo, Act::Say("550 5.7.1 not you")).start().await;
    let accountant = sink(&copied(), smtp(server.address.port()));
    let refused = accountant.send(&mail()).await.unwrap_err();
    let said = "saying hello to the mail server as dupont.fr: the server answered 550 5.7.1 not you";
    assert_eq!(refused.detail(), said);
    assert!(!server.commands().iter().any(|command| command.starts_with("HELO")), "HELO gives the same name");
    assert!(accountant.advice(&refused).unwrap().contains("`smtp.hello`"));
}

#[rstest]
#[case("504 5.5.4 unrecognized authentication type")]
#[case("534 5.7.9 mechanism is too weak")]
#[case("501 5.5.2 no initial response")]
#[tokio::test]
async fn a_server_that_refuses_plain_is_given_the_password_by_login(#[case] words: &'static str) {
    let server = Script::honest().with_password("a", "b").without_plain(words).start().await;
    let account = |password: &str| Smtp {
        username: Some("a".into()),
        password: Some(password.to_owned().into()),
        ..smtp(server.address.port())
    };
    sink(&copied(), account("b")).send(&mail()).await.unwrap();
    let signed_in = |command: &&String| command.starts_with("AUTH");
    assert_eq!(server.commands().iter().filter(signed_in).count(), 2);
    let wrong = sink(&copied(), account("c")).send(&mail()).await.unwrap_err();
    assert!(matches!(&wrong, SinkError::Pause { reason: Reason::Credentials, .. }), "{wrong}");
}

#[tokio::test]
async fn a_wrong_password_is_given_once() {
    let server = Script::honest().with_password("a", "b").start().await;
    let account =
        Smtp { username: Some("a".into()), password: Some("c".to_owned().into()), ..smtp(server.address.port()) };
    sink(&copied(), account).send(&mail()).await.unwrap_err();
    assert_eq!(server.commands().iter().filter(|command| command.starts_with("AUTH")).count(), 1);
}

#[rstest]
#[case("250-mail.test\r\n250-auth login plain\r\n250 help")]
#[case("250-mail.test\r\n250 AUTH=PLAIN LOGIN")]
#[tokio::test]
async fn what_a_server_offers_is_understood_however_it_is_spelled(#[case] offer: &'static str) {
    let server = Script::honest().with_password("a", "b").at(At::Ehlo, Act::Say(offer)).start().await;
    let account =
        Smtp { username: Some("a".into()), password: Some("b".to_owned().into()), ..smtp(server.address.port()) };
    sink(&copied(), account).send(&mail()).await.unwrap();
}
