//! Mails that a server does not take for their size.

use rstest::rstest;

use super::{
    far::{Act, At, Script, SmtpServer},
    *,
};
use crate::sink::{Receipt, SinkError};

/// More than a mail without files has, less than one with the PDF.
const LIMIT: usize = 40_000;

const LARGE: usize = 60_000;

fn mail(locale: Locale, order: Order) -> Delivery {
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(locale, order) };
    let mail = delivery(sink(&options(), smtp(25)).render(&with_pdf).unwrap(), 1);
    Delivery { attachments: vec![Bytes::from(vec![b'x'; LARGE])], ..mail }
}

async fn send(server: &SmtpServer, mail: &Delivery) -> Result<Receipt, SinkError> {
    sink(&options(), smtp(server.address.port())).send(mail).await
}

/// Text and HTML of the only mail that the server took.
fn said(server: &SmtpServer) -> [String; 2] {
    let [mail] = &server.mails()[..] else { panic!("one mail: {}", server.mails().len()) };
    ["text/plain", "text/html"].map(|kind| {
        let part = mail.data.split(&format!("Content-Type: {kind}")).nth(1).expect("a part");
        let body = part.split_once("\r\n\r\n").expect("a body").1;
        readable(body.split("\r\n--text-").next().expect("a body"))
    })
}

/// Quoted-printable, read.
fn readable(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut pieces = text.split('=');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).expect("quoted-printable"));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[rstest]
#[case::that_says_so(Script::honest().at_most(LIMIT), 1)]
#[case::that_says_so_too_late(Script::honest().silently_at_most(LIMIT), 2)]
#[tokio::test]
async fn a_file_that_is_too_large_for_the_server_is_left_out_and_named(
    #[case] script: Script,
    #[case] transactions: usize,
    #[values((Locale::Fr, "Non joint, car le serveur", "Facture (non jointe)", "Facture jointe"), (Locale::En, "Not attached, because the mail server", "Invoice (not attached)", "Invoice attached"))]
    (locale, note, label, untrue): (Locale, &str, &str, &str),
) {
    let server = script.start().await;
    let receipt = send(&server, &mail(locale, paid())).await.unwrap();
    let excerpt = receipt.excerpt.unwrap();
    assert!(excerpt.contains("one file left out: too large for the mail server"), "{excerpt}");
    for body in said(&server) {
        assert!(body.contains(note) && body.contains(label) && !body.contains(untrue), "{body}");
        assert!(body.contains(&invoice().filename), "{body}");
    }
    let mail = server.mails().remove(0);
    assert!(!mail.data.contains("Content-Type: application/pdf"));
    assert_eq!(server.message_ids().len(), if transactions == 1 { 1 } else { 2 });
    assert!(server.message_ids().iter().all(|id| *id == server.message_ids()[0]));
    let handed_over = server.commands().iter().filter(|command| command.starts_with("MAIL")).count();
    assert_eq!(handed_over, transactions);
}

#[tokio::test]
async fn a_server_that_names_its_limit_is_told_the_size() {
    let server = Script::honest().at_most(10_000_000).start().await;
    let whole = mail(Locale::Fr, paid());
    send(&server, &whole).await.unwrap();
    let from = server.commands().into_iter().find(|command| command.starts_with("MAIL")).unwrap();
    let size: usize = from.rsplit_once(" SIZE=").expect("a size").1.parse().unwrap();
    let [caught] = &server.mails()[..] else { panic!("one mail") };
    assert!(caught.data.len().abs_diff(size) <= 2, "{size} of {}", caught.data.len());
    assert!(caught.data.contains("Content-Type: application/pdf"), "what fits goes with it");
}

#[tokio::test]
async fn of_several_files_only_those_are_left_out_that_do_not_fit() {
    let mut mail = mail(Locale::En, paid());
    let small = InvoiceFile { filename: "small.pdf".into(), ..invoice() };
    mail.payload.attachments.insert(0, small);
    mail.attachments.insert(0, Bytes::from_static(PDF));
    let server = Script::honest().at_most(LIMIT).start().await;
    send(&server, &mail).await.unwrap();
    let data = server.mails().remove(0).data;
    assert!(data.contains("small.pdf") && data.matches("Content-Type: application/pdf").count() == 1, "{data}");
}

#[tokio::test]
async fn an_address_whose_mailbox_is_too_small_gets_the_mail_without_the_file_and_the_others_with_it() {
    let copied = Options { cc: vec!["copie@dupont.fr".into()], ..options() };
    let server = Script::honest().at(At::Rcpt(2), Act::Say("552 5.2.2 mailbox full")).start().await;
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, paid()) };
    let mail = delivery(sink(&copied, smtp(25)).render(&with_pdf).unwrap(), 1);
    let receipt = sink(&copied, smtp(server.address.port())).send(&mail).await.unwrap();
    assert_eq!((receipt.taken.len(), receipt.refused.len()), (2, 0));
    let to: Vec<_> = server.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [["compta@cabinet-martin.fr"], ["copie@dupont.fr"]]);
}

#[tokio::test]
async fn a_program_that_reads_invoices_gets_no_mail_without_one() {
    let machine = Options { profile: Profile::OnePdf, ..options() };
    let server = Script::honest().at_most(LIMIT).start().await;
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, paid()) };
    let mail = delivery(sink(&machine, smtp(25)).render(&with_pdf).unwrap(), 1);
    let mail = Delivery { attachments: vec![Bytes::from(vec![b'x'; LARGE])], ..mail };
    let refused = sink(&machine, smtp(server.address.port())).send(&mail).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Reject { .. }), "{refused}");
    assert!(server.mails().is_empty());
}

#[rstest]
#[case(Script::honest().at_most(100))]
#[case(Script::honest().silently_at_most(100))]
#[tokio::test]
async fn a_mail_that_is_too_large_without_its_files_is_refused(#[case] script: Script) {
    let server = script.start().await;
    let refused = send(&server, &mail(Locale::Fr, refund())).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Reject { .. }) && refused.detail().contains("552"), "{refused}");
    assert!(server.mails().is_empty());
}
