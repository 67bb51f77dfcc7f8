//! Far sides behind TLS: with a certificate that is right they are told, with any other they get nothing to read.
//!
//! The program trusts whom the machine trusts; here it is told by `SSL_CERT_FILE` to trust the authority of the tests.

use rstest::rstest;
use tillhook::{app::telemetry::install_cryptography, till};

use crate::{
    far::{
        http::HttpFar,
        smtp::{Script, SmtpServer},
        tls::{Authority, Begins, Shown, TlsFront},
    },
    harness::{form, program::Program},
};

/// `AUTH PLAIN` with the name and password of [`configuration`].
const SIGN_IN: &str = "AUTH PLAIN AGNhaXNzZQBwYXNzd29yZC1vZi10aGUtdGVzdHM=";

/// A mail server and an HTTP system, each behind encryption, and a program that is to tell both.
struct Scene {
    mail: SmtpServer,
    mail_front: TlsFront,
    erp: HttpFar,
    erp_front: TlsFront,
    program: Program,
    _authority: Authority,
}

impl Scene {
    async fn set(begins: Begins, shown: Shown) -> Self {
        install_cryptography();
        let authority = Authority::new();
        let mail = Script::honest().with_password("caisse", "password-of-the-tests").start().await;
        let erp = HttpFar::start().await;
        let mail_front = TlsFront::start(mail.address, begins, &authority, shown).await;
        let erp_front = TlsFront::start(erp.addr(), Begins::AtOnce, &authority, shown).await;
        let rest = configuration(begins, &mail_front, &erp_front);
        let trusted = authority.file().display().to_string();
        let program = Program::new("till.example", "fetch_invoices = false", &rest).with("SSL_CERT_FILE", trusted);
        Self { mail, mail_front, erp, erp_front, program, _authority: authority }
    }
}

fn configuration(begins: Begins, mail: &TlsFront, erp: &TlsFront) -> String {
    let tls = match begins {
        Begins::AtOnce => "implicit",
        Begins::AfterStartTls => "starttls",
    };
    format!(
        "[smtp]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\nfrom = \"caisse@dupont.example\"\n\
         username = \"caisse\"\npassword = \"password-of-the-tests\"\n\
         [delivery]\nallow_private = [\"127.0.0.0/8\"]\n\
         [sink.accountant]\ntype = \"email\"\nto = [\"compta@cabinet-martin.example\"]\n\
         [sink.erp]\ntype = \"http\"\nurl = \"https://{erp}/hook\"\n",
        port = mail.addr.port(),
        erp = erp.addr,
    )
}

#[rstest]
#[case::encrypted_from_the_first_byte(Begins::AtOnce)]
#[case::encrypted_after_starttls(Begins::AfterStartTls)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_reaches_far_sides_whose_certificates_are_right(#[case] begins: Begins) {
    let mut scene = Scene::set(begins, Shown::Right).await;
    let webhook = scene.program.serve().await;
    let sale = form(&[("type", "validated"), ("orderInternalID", "8841207"), ("orderID", "42"), ("price", "43.80")]);
    assert_eq!(till::post(&sale, &webhook).await.expect("an answer").status, 200);
    scene.erp.asked(1).await;
    scene.mail.ended(1).await;
    scene.program.kill();

    assert_eq!(scene.erp.requests()[0].json()["data"]["internal_id"], "8841207");
    assert_eq!(scene.mail.mails().len(), 1);
    assert!(scene.mail.commands().iter().any(|command| command == SIGN_IN), "{:?}", scene.mail.commands());
    let wire = scene.mail_front.wire(1).await;
    if begins == Begins::AfterStartTls {
        assert!(wire.starts_with("EHLO ") && wire.contains("\r\nSTARTTLS\r\n"), "{wire:?}");
    }
    nothing_to_read(&wire);
    nothing_to_read(&scene.erp_front.wire(1).await);
}

#[rstest]
#[case::for_another_name(Shown::AnotherName, "is for another host name")]
#[case::expired(Shown::Expired, "has expired")]
#[case::signed_by_itself(Shown::SelfSigned, "nobody whom this machine trusts")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_right_is_refused_with_the_reason_and_nothing_is_told(
    #[case] shown: Shown,
    #[case] reason: &str,
    #[values(Begins::AtOnce, Begins::AfterStartTls)] begins: Begins,
) {
    let scene = Scene::set(begins, shown).await;
    for sink in ["accountant", "erp"] {
        let tried = scene.program.output(&format!("sinks test {sink}")).await;
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert_eq!(tried.status.code(), Some(1), "{said}");
        assert!(said.contains("certificate") && said.contains(reason), "{said}");
        assert_eq!(said.lines().count(), 2, "the library does not name the host in the log: {said}");
        // It is the far side that has to be mended, which may be done by the next attempt.
        assert!(said.contains("the service would try again"), "{said}");
    }
    let wire = scene.mail_front.wire(1).await;
    assert_eq!(wire.contains("STARTTLS"), begins == Begins::AfterStartTls);
    nothing_to_read(&wire);
    nothing_to_read(&scene.erp_front.wire(1).await);
    assert_eq!((scene.mail.commands().len(), scene.erp.requests().len()), (0, 0));
}

/// A listener on the line learns neither what is said nor to whom, and no password.
fn nothing_to_read(wire: &str) {
    assert!(!wire.is_empty(), "somebody called");
    for word in ["AUTH", "MAIL", "RCPT", "DATA", "POST", "HEAD", "/hook", "cabinet-martin", "8841207"] {
        assert!(!wire.contains(word), "`{word}` is in plain text: {wire:?}");
    }
}
