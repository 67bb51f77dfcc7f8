//! The real program, a mail server that others wrote, and a reader of mails that others wrote: what leaves us is what
//! they understand, to the last byte of the PDF.

use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tillhook::{app::telemetry::install_cryptography, order::hex, till};

use crate::{
    far::{
        foreign::{ForeignMail, ForeignSmtp},
        http::{Answer, HttpFar},
        tls::{Authority, Begins},
    },
    harness::{form, program::Program},
};

/// Lines that a mail server could take for its own, and letters that seven bits cannot hold.
const PDF: &str = "%PDF-1.7\r\n.\r\n..\n\rFrom nobody\r\nÀ la bonne heure \u{0} \u{7f}\r\n.\r\nQUIT\r\n%%EOF";

/// The shop's name and a customer's are as awkward as they come.
const SHOP: &str = "name = \"Épicerie « Chez Zoé », fruits, légumes & primeurs d’à côté\"";

struct Scene {
    server: ForeignSmtp,
    till: HttpFar,
    program: Program,
    _authority: Authority,
}

const SINKS: &str = r#"
    [sink.accountant]
    type = "email"
    to = ["compta@cabinet-martin.example"]
    per_order = "follow"
    bcc = ["archive@dupont.example"]
    attach = ["invoice"]
    [sink.books]
    type = "email"
    to = ["books@martin.example"]
    locale = "en"
    profile = "one-pdf"
"#;

impl Scene {
    async fn set(begins: Begins, mechanism: &str, password: &str) -> Self {
        Self::with(begins, mechanism, password, PDF, SINKS).await
    }

    async fn with(begins: Begins, mechanism: &str, password: &str, pdf: &str, sinks: &str) -> Self {
        install_cryptography();
        let authority = Authority::new();
        let server = ForeignSmtp::start(begins, mechanism, &authority);
        let till = HttpFar::start().await;
        till.always(Answer::status(200).body(pdf));
        let tls = if begins == Begins::AtOnce { "implicit" } else { "starttls" };
        let rest = format!(
            "[smtp]\nhost = \"localhost\"\nport = {}\ntls = \"{tls}\"\nusername = \"caisse@dupont.example\"\n\
             password = \"{password}\"\nfrom = \"Épicerie, « Chez Zoé » <caisse@dupont.example>\"\n\
             {sinks}",
            server.port
        );
        let origin = till.url().trim_end_matches("/hook").to_owned();
        let trusted = authority.file().display().to_string();
        let program = Program::new(&origin, SHOP, &rest).with("SSL_CERT_FILE", trusted);
        Self { server, till, program, _authority: authority }
    }

    async fn announce(&self, webhook: &str, phase: &str) {
        let sale = form(&[
            ("type", phase),
            ("orderInternalID", "8841207"),
            ("orderID", "20261121042"),
            ("price", "1251.30"),
            ("validationDate", "2026-11-21T14:03:10+01:00"),
            ("customer[nom]", "Ægidius-Bœuf, Zoé “Zo” =?utf-8?q?x?="),
            (
                "items[0][title]",
                "Crêpe à l’œuf, 100 % beurre — très longue ligne qui ne tient pas en soixante-seize caractères",
            ),
            ("items[0][quantity]", "1"),
            ("items[0][price]", "1251.30"),
            ("PDFinvoice", self.till.url()),
        ]);
        assert_eq!(till::post(&sale, webhook).await.expect("an answer").status, 200);
    }
}

fn to<'a>(mails: &'a [ForeignMail], address: &str) -> Vec<&'a ForeignMail> {
    mails.iter().filter(|mail| mail.read["to"] == json!([address])).collect()
}

fn body<'a>(mail: &'a ForeignMail, kind: &str) -> &'a str {
    mail.read["bodies"][kind].as_str().unwrap_or_else(|| panic!("no {kind}: {mail:?}"))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_reach_a_server_that_others_wrote_and_read_there_as_they_were_meant(
    #[values(Begins::AtOnce, Begins::AfterStartTls)] begins: Begins,
    #[values("PLAIN", "LOGIN")] mechanism: &str,
) {
    let mut scene = Scene::set(begins, mechanism, "password-of-the-tests").await;
    let webhook = scene.program.serve().await;
    scene.announce(&webhook, "validated").await;
    scene.server.mails(2).await;
    scene.announce(&webhook, "terminated").await;
    let mails = scene.server.mails(3).await;
    scene.program.kill();

    let [first, reply] = to(&mails, "compta@cabinet-martin.example")[..] else { panic!("two mails: {mails:?}") };
    let [machine] = to(&mails, "books@martin.example")[..] else { panic!("one mail: {mails:?}") };
    for mail in [first, reply, machine] {
        the_envelope_is_right(mail, begins);
        the_headers_are_right(mail);
    }
    the_invoice_is_right(first);
    the_reply_is_right(first, reply);
    the_machines_mail_is_right(machine);
}

fn the_envelope_is_right(mail: &ForeignMail, begins: Begins) {
    assert_eq!(mail.envelope["from"], "caisse@dupont.example");
    assert_eq!(mail.envelope["signed_in"], true);
    // aiosmtpd knows of the encryption that it began itself.
    assert!(begins == Begins::AtOnce || mail.envelope["encrypted"] == true, "{mail:?}");
    let to = mail.envelope["to"].as_array().expect("recipients");
    assert_eq!(to.contains(&"archive@dupont.example".into()), to[0] == "compta@cabinet-martin.example");
}

fn the_headers_are_right(mail: &ForeignMail) {
    let read = &mail.read;
    assert_eq!(read["from"], json!([["Épicerie, « Chez Zoé »", "caisse@dupont.example"]]));
    assert_eq!(read["headers"]["auto-submitted"], "auto-generated");
    assert_eq!(read["headers"]["x-auto-response-suppress"], "OOF, AutoReply");
    assert_eq!(read["headers"]["mime-version"], "1.0");
    assert!(read["date"].as_str().is_some_and(|date| date.ends_with("+00:00")), "{mail:?}");
    let names: Vec<&str> = read["names"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(!names.contains(&"bcc"), "{names:?}");
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "no header twice: {names:?}");
}

fn the_invoice_is_right(mail: &ForeignMail) {
    let subject = "Facture 20261121042 – 1 251,30 € TTC – Épicerie « Chez Zoé », fruits, légumes & primeurs d’à côté";
    assert_eq!(mail.read["headers"]["subject"], subject);
    assert_eq!(mail.read["headers"]["content-language"], "fr");
    assert_eq!(mail.read["structure"], "multipart/mixed");
    the_pdf_is_right(mail);
    let (text, html) = (body(mail, "text/plain"), body(mail, "text/html"));
    for words in ["Crêpe à l’œuf, 100 % beurre — très longue ligne", "Ægidius-Bœuf, Zoé “Zo” =?utf-8?q?x?="]
    {
        assert!(text.contains(words) && html.contains(words), "{words}: {text} {html}");
    }
    assert!(text.contains("1\u{202f}251,30\u{a0}€ TTC – Facture émise, non soldée"), "{text}");
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
}

fn the_pdf_is_right(mail: &ForeignMail) {
    let sha256 = hex(Sha256::digest(PDF));
    let attachments = mail.read["attachments"].as_array().expect("attachments");
    let [pdf] = &attachments[..] else { panic!("one PDF: {attachments:?}") };
    assert_eq!((&pdf["sha256"], &pdf["bytes"]), (&sha256.as_str().into(), &PDF.len().into()), "byte for byte");
    assert_eq!(pdf["type"], "application/pdf");
    let name = pdf["name"].as_str().expect("a name");
    assert!(name.starts_with("20261121_Epicerie-Chez-Zoe") && name.ends_with("_F20261121042.pdf"), "{name}");
    assert!(body(mail, "text/plain").contains(&sha256), "and the mail says so");
}

fn the_reply_is_right(first: &ForeignMail, reply: &ForeignMail) {
    let (first, headers) = (&first.read["headers"], &reply.read["headers"]);
    assert_eq!((&headers["in-reply-to"], &headers["references"]), (&first["message-id"], &first["message-id"]));
    assert_eq!(headers["subject"], first["subject"]);
    assert_ne!(headers["message-id"], first["message-id"]);
    assert_eq!(reply.read["attachments"], json!([]));
    assert!(body(reply, "text/plain").contains("\nPayée.\n"), "{reply:?}");
    assert!(body(reply, "text/html").contains(">Payée.</p>"), "{reply:?}");
}

fn the_machines_mail_is_right(mail: &ForeignMail) {
    assert!(mail.read["headers"]["subject"].as_str().is_some_and(|subject| subject.contains("€1,251.30")), "{mail:?}");
    assert_eq!(mail.read["headers"]["content-language"], "en");
    assert_eq!(mail.read["bodies"].as_object().map(|bodies| bodies.len()), Some(1), "text alone: {mail:?}");
    the_pdf_is_right(mail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_address_and_a_file_that_is_too_large_cost_the_others_nothing_there() {
    let sinks = "[sink.accountant]\ntype = \"email\"\nattach = [\"invoice\"]\n\
                 to = [\"gone@martin.example\", \"patron@dupont.example\"]\n";
    let large = format!("%PDF-1.7\n{}\n%%EOF\n", "x".repeat(300_000));
    let mut scene = Scene::with(Begins::AfterStartTls, "PLAIN", "password-of-the-tests", &large, sinks).await;
    let webhook = scene.program.serve().await;
    scene.announce(&webhook, "validated").await;
    let mails = scene.server.mails(1).await;
    scene.program.kill();
    let mail = &mails[0];
    assert_eq!(mail.envelope["to"], json!(["patron@dupont.example"]));
    assert_eq!(mail.envelope["hello"], "dupont.example", "the domain of the sender");
    assert_eq!(mail.read["attachments"], json!([]));
    for kind in ["text/plain", "text/html"] {
        let body = body(mail, kind);
        assert!(
            body.contains("n’accepte pas un message de cette taille") && body.contains("_F20261121042.pdf"),
            "{body}"
        );
    }
    let tried = scene.program.output("sinks test accountant").await;
    let said = [tried.stdout, tried.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(said.contains("took it for patron@dupont.example (250)"), "{said}");
    assert!(said.contains("refused    gone@martin.example: ") && said.contains("fix: check the addresses"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_says_that_the_password_is_wrong_and_a_right_one_gets_through() {
    let scene = Scene::set(Begins::AfterStartTls, "LOGIN", "a-slip-of-the-pen").await;
    let tried = scene.program.output("sinks test accountant").await;
    let said = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(said.contains("signing in to the mail server: the server answered 535"), "{said}");
    assert!(said.contains("fix: check `smtp.username`") && !said.contains("a-slip-of-the-pen"), "{said}");

    let scene = Scene::set(Begins::AfterStartTls, "LOGIN", "password-of-the-tests").await;
    for sink in ["books", "accountant"] {
        let tried = scene.program.output(&format!("sinks test {sink}")).await;
        let said = String::from_utf8_lossy(&tried.stdout).into_owned();
        assert_eq!(tried.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&tried.stderr));
        let expected = ["encrypted, and takes the password", "the far side took it (250: 2.0.0 kept)"];
        assert!(expected.iter().all(|words| said.contains(words)), "{said}");
    }
    let mails = scene.server.mails(2).await;
    assert!(
        mails[0].read["headers"]["subject"].as_str().is_some_and(|subject| subject.starts_with("[TEST]")),
        "{mails:?}"
    );
}
