//! What the mails look like, in both languages, and that nothing the till sends can bend them.

use serde_json::json;

use super::*;
use crate::{
    order::{CashBoxNotice, State},
    sink::{SinkError, words},
};

/// Subject and text of a mail: what a reader without HTML sees.
fn read(letter: &Letter) -> String {
    format!("Subject: {}\n\n{}", letter.subject, letter.text)
}

macro_rules! snapshot {
    ($name:expr, $value:expr) => {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $value);
        });
    };
}

#[test]
fn every_mail_about_an_order_in_both_languages() {
    for locale in [Locale::Fr, Locale::En] {
        let lang = locale.as_str();
        let complete = Outgoing { invoice: Some(invoice()), ..first(locale, paid()) };
        let (_, letter) = render(&complete);
        snapshot!(format!("order_paid_{lang}.txt"), read(&letter));
        snapshot!(format!("order_paid_{lang}.html"), letter.html.unwrap());

        let (without_pdf, letter) = render(&Outgoing { invoice_absent: true, ..first(locale, issued()) });
        snapshot!(format!("order_issued_without_pdf_{lang}.txt"), read(&letter));

        let file = "20261121_Boulangerie-Dupont_Zoe-Durand_R20261121042.pdf".to_owned();
        let given_back = Some(InvoiceFile { filename: file, ..invoice() });
        let (_, letter) = render(&Outgoing { invoice: given_back, ..first(locale, refund()) });
        snapshot!(format!("refund_{lang}.txt"), read(&letter));
        snapshot!(format!("refund_{lang}.html"), letter.html.unwrap());
        let (without_pdf_of_refund, letter) = render(&Outgoing { invoice_absent: true, ..first(locale, refund()) });
        snapshot!(format!("refund_without_pdf_{lang}.txt"), read(&letter));
        let late = then(without_pdf_of_refund, Purpose::LateInvoice, EventType::InvoiceStored, refund(), locale);
        let (_, letter) = render(&Outgoing { invoice: Some(invoice()), ..late });
        snapshot!(format!("reply_invoice_of_refund_{lang}.txt"), read(&letter));

        let late = then(without_pdf.clone(), Purpose::LateInvoice, EventType::InvoiceStored, paid(), locale);
        let (_, letter) = render(&Outgoing { invoice: Some(invoice()), ..late });
        snapshot!(format!("reply_invoice_{lang}.txt"), read(&letter));
        snapshot!(format!("reply_invoice_{lang}.html"), letter.html.unwrap());

        let change = then(without_pdf.clone(), Purpose::Change, EventType::OrderTerminated, paid(), locale);
        let (_, letter) = render(&change);
        snapshot!(format!("reply_paid_{lang}.txt"), read(&letter));
        snapshot!(format!("reply_paid_{lang}.html"), letter.html.unwrap());

        let change = then(without_pdf, Purpose::Change, EventType::OrderUpdated, paid(), locale);
        snapshot!(format!("reply_corrected_{lang}.txt"), read(&render(&change).1));
    }
}

#[test]
fn every_mail_about_something_else_in_both_languages() {
    for locale in [Locale::Fr, Locale::En] {
        let lang = locale.as_str();
        let closed = EventData::CashBox(CashBoxNotice {
            cash_box_id: Some("1".into()),
            opened: Some(moment("2026-11-21T06:00:00Z")),
            closed: Some(moment("2026-11-21T18:30:00Z")),
            total: money("1234.5"),
            ..CashBoxNotice::default()
        });
        let notice = outgoing(locale, Purpose::First, EventType::CashBoxClosed, closed);
        snapshot!(format!("till_closed_{lang}.txt"), read(&render(&notice).1));

        let opened = EventData::CashBox(CashBoxNotice::default());
        let notice = outgoing(locale, Purpose::First, EventType::CashBoxOpened, opened);
        snapshot!(format!("till_opened_{lang}.txt"), read(&render(&notice).1));
    }
}

#[test]
fn subjects_are_as_the_contract_has_them() {
    let subject = |outgoing: &Outgoing| render(outgoing).1.subject;
    let fr = first(Locale::Fr, paid());
    assert_eq!(subject(&fr), "Facture 20261121042 – 43,80 € TTC – Boulangerie Dupont");
    assert_eq!(subject(&first(Locale::En, paid())), "Invoice 20261121042 – €43.80 – Boulangerie Dupont");
    assert!(subject(&first(Locale::Fr, refund())).starts_with("Remboursement 20261121042 – "));
    assert!(subject(&first(Locale::En, refund())).starts_with("Refund 20261121042 – "));
    let mut test = fr;
    test.event.test = true;
    assert_eq!(subject(&test), "[TEST] Facture 20261121042 – 43,80 € TTC – Boulangerie Dupont");
}

#[test]
fn a_refund_that_was_paid_is_called_the_same_as_in_chat() {
    let mut paid = refund();
    paid.state = State::Paid;
    for (locale, title) in [(Locale::Fr, "Remboursement"), (Locale::En, "Refund")] {
        let said = format!("{title} {}", words::order_state(&paid, locale));
        let (_, letter) = render(&first(locale, paid.clone()));
        assert!(letter.text.contains(&said), "{said}: {}", letter.text);
    }
}

#[test]
fn an_order_of_which_hardly_anything_is_known_still_makes_a_mail() {
    let bare = OrderContent { internal_id: Some("8841207".into()), ..OrderContent::default() };
    let (_, letter) = render(&first(Locale::Fr, order_of(bare, &[Phase::Terminated])));
    assert_eq!(letter.subject, "Facture 8841207 – Boulangerie Dupont");
    assert!(letter.text.contains("Payée") && !letter.text.contains("None"), "{}", letter.text);
}

#[test]
fn a_reply_continues_the_thread_under_the_same_subject_and_does_not_send_the_pdf_twice() {
    let with_pdf = Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, issued()) };
    let (payload, original) = render(&with_pdf);
    let reply = then(payload, Purpose::Change, EventType::OrderTerminated, paid(), Locale::Fr);
    let (payload, letter) = render(&Outgoing { invoice: Some(invoice()), ..reply });
    assert_eq!(letter.in_reply_to.as_deref(), Some(original.message_id.as_str()));
    assert_eq!(letter.references.join(" "), original.message_id);
    assert_eq!(letter.subject, original.subject);
    assert_ne!(letter.message_id, original.message_id);
    assert!(payload.attachments.is_empty());
    let mime = String::from_utf8(letter.to_mime(&payload, &[], &[]).unwrap()).unwrap();
    assert!(mime.contains(&format!("In-Reply-To: {}\r\n", original.message_id)), "{mime}");
    assert!(mime.contains(&format!("References: {}\r\n", original.message_id)), "{mime}");
}

/// An order with so many items, each with a label of so many characters that HTML writes as five.
fn long_order(items: usize, label: usize) -> Order {
    let item = |n: usize| Item {
        label: Some(format!("{n} {}", "&".repeat(label))),
        quantity: number("1"),
        total: money("1234.50"),
        ..Item::default()
    };
    order_of(OrderContent { items: Some((1..=items).map(item).collect()), ..content() }, &[Phase::Validated])
}

#[test]
fn the_html_stays_under_40_kib_and_says_what_it_leaves_out_and_the_text_has_everything() {
    for (items, label, shown) in
        [(2, 20, 2), (61, 20, 61), (62, 20, 60), (200, 20, 60), (200, 300, 18), (5000, 300, 18)]
    {
        for locale in [Locale::Fr, Locale::En] {
            let (_, letter) = render(&Outgoing { invoice: Some(invoice()), ..first(locale, long_order(items, label)) });
            let html = letter.html.unwrap();
            assert!(html.len() <= 40 * 1024, "{items} items of {label}: {} bytes", html.len());
            assert_eq!(
                html.matches("1234").count() + html.matches("1\u{202f}234").count() + html.matches("1,234").count(),
                shown
            );
            let (more, word) = (items - shown, words::pick(locale, "autres articles", "more items"));
            assert_eq!(html.contains(&format!("{more} {word}")), more > 0, "{items} items: {html}");
            assert_eq!(letter.text.lines().filter(|line| line.starts_with("- ")).count(), items);
            assert!(!letter.text.contains(word));
        }
    }
}

#[test]
fn the_preview_names_the_invoice_its_total_and_its_state_and_nobody() {
    let preview = |outgoing: &Outgoing| {
        let html = render(outgoing).1.html.unwrap();
        let hidden = html.split("mso-hide:all;\">").nth(1).unwrap();
        hidden.split("&#847;").next().unwrap().to_owned()
    };
    assert_eq!(preview(&first(Locale::Fr, paid())), "Facture 20261121042 – 43,80\u{a0}€ TTC – Payée");
    assert_eq!(preview(&first(Locale::En, refund())), "Refund 20261121042 – -€43.80 – Refund issued, unpaid");
    let (payload, _) = render(&first(Locale::Fr, issued()));
    let reply = then(payload, Purpose::Change, EventType::OrderTerminated, paid(), Locale::Fr);
    assert_eq!(preview(&reply), "Payée.");
}

#[test]
fn a_pdf_that_is_too_large_for_dext_is_refused_with_what_to_do() {
    let dext = Options { profile: Profile::Dext, ..options() };
    let large = Outgoing { invoice: Some(InvoiceFile { bytes: 6_000_001, ..invoice() }), ..first(Locale::Fr, paid()) };
    let refused = sink(&dext, smtp(25)).render(&large).unwrap_err();
    assert!(
        matches!(&refused, SinkError::Reject { .. }) && refused.detail().contains("upload it in Dext"),
        "{refused}"
    );
    assert!(sink(&options(), smtp(25)).render(&large).is_ok(), "a person may get it");
}

#[test]
fn an_operators_own_template_is_in_the_mail() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mail")).unwrap();
    let own = "{% extends \"mail/frame.html\" %}{% block content %}Chez nous : {{ title }}{% endblock %}";
    std::fs::write(folder.path().join("mail/order.html"), own).unwrap();
    let context = Context { templates: Some(folder.path().to_owned()), ..context(Some(smtp(25))) };
    let accountant = options().build(&"accountant".parse().unwrap(), &context).unwrap();
    let payload = accountant.render(&first(Locale::Fr, paid())).unwrap();
    let letter: Letter = serde_json::from_str(&payload.body).unwrap();
    assert!(letter.html.unwrap().contains("Chez nous : Facture 20261121042"));
    assert!(letter.text.contains("TVA 10"), "the text is ours still");
}

#[test]
fn the_sink_decides_the_language_and_else_the_shop_does() {
    let english = Options { locale: Some(Locale::En), ..options() };
    let payload = sink(&english, smtp(25)).render(&first(Locale::Fr, paid())).unwrap();
    assert!(payload.body.contains("Invoice 20261121042"));
    let mut of_service = first(Locale::En, paid());
    of_service.shop = None;
    assert_eq!(render(&of_service).1.language, Locale::Fr);
}

#[test]
fn a_mail_has_the_headers_that_stop_answers_and_the_same_id_whenever_it_is_made() {
    let (payload, letter) = render(&Outgoing { invoice: Some(invoice()), ..first(Locale::Fr, paid()) });
    let mime = letter.to_mime(&payload, &[Bytes::from_static(PDF)], &[]).unwrap();
    let mime = String::from_utf8(mime).unwrap();
    for header in [
        "Message-ID: <dlv_0199c0de00007000800000000000000b@dupont.fr>\r\n",
        "Date: Sat, 21 Nov 2026 13:05:40 +0000\r\n",
        "From: \"Boulangerie Dupont\" <caisse@dupont.fr>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "X-Auto-Response-Suppress: OOF, AutoReply\r\n",
        "Content-Language: fr\r\n",
        "20261121_Boulangerie-Dupont_Zoe-Durand_F20261121042.pdf",
    ] {
        assert!(mime.contains(header), "{header} is not in\n{mime}");
    }
}

#[test]
fn a_long_domain_does_not_break_the_message_id() {
    let long = format!("{}.{}.fr", "a".repeat(60), "b".repeat(60));
    let options = Options { from: Some(format!("caisse@{long}")), ..options() };
    let payload = sink(&options, smtp(25)).render(&first(Locale::Fr, paid())).unwrap();
    let letter: Letter = serde_json::from_str(&payload.body).unwrap();
    let mime = String::from_utf8(letter.to_mime(&payload, &[], &[]).unwrap()).unwrap();
    assert!(
        mime.replace("\r\n ", " ").contains(&format!("Message-ID: <dlv_0199c0de00007000800000000000000b@{long}>")),
        "{mime}"
    );
}

#[test]
fn hostile_text_adds_no_header_no_markup_and_no_control_character() {
    let name = "Zoé\r\nBcc: x@evil.example\0\u{202e}<script>alert(1)</script>";
    let mut hostile = content();
    hostile.order_id = Some("1\r\nBcc: x@evil.example\r\n\r\nbody".into());
    hostile.customer = Some(Customer { name: Some(name.into()), ..Customer::default() });
    hostile.items =
        Some(vec![Item { label: Some(format!("{name}\r.\r\n.\r\nMAIL FROM:<x@evil.example>")), ..Item::default() }]);
    hostile.cash_box_id = Some("{{ 7 * 7 }}".into());
    let mut outgoing = first(Locale::Fr, order_of(hostile, &[Phase::Validated]));
    outgoing.shop.as_mut().unwrap().name = "Dupont\r\nBcc: x@evil.example\u{7}".into();
    outgoing.invoice = Some(InvoiceFile { filename: "a\"\r\nBcc: x@evil.example/../b.pdf".into(), ..invoice() });
    let (payload, letter) = render(&outgoing);

    assert!(letter.text.contains("{{ 7 * 7 }}"));
    let html = letter.html.as_deref().unwrap();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    for text in [&letter.subject, &letter.text, html] {
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    }

    let mime = letter.to_mime(&payload, &[Bytes::from_static(PDF)], &[]).unwrap();
    assert!(mime.is_ascii());
    let mime = String::from_utf8(mime).unwrap();
    assert!(!mime.replace("\r\n", "").contains(['\r', '\n', '\0']));
    let headers = mime.lines().filter(|line| line.to_ascii_lowercase().starts_with("bcc"));
    assert_eq!(headers.count(), 0, "{mime}");
    assert_eq!(letter.recipients().unwrap().len(), 1);
}

#[test]
fn an_alert_says_what_happened_in_plain_words() {
    let facts = |value: serde_json::Value| EventData::Facts(value.as_object().unwrap().clone());
    let paused = facts(
        json!({ "sink": "erp", "reason": "credentials", "since": "2026-11-21T13:00:00Z", "waiting": 3, "dead": 0 }),
    );
    for locale in [Locale::Fr, Locale::En] {
        let alert = outgoing(locale, Purpose::Alert, EventType::SinkPaused, paused.clone());
        snapshot!(format!("alert_sink_paused_{}.txt", locale.as_str()), read(&render(&alert).1));
        let ping = outgoing(locale, Purpose::First, EventType::TestPing, facts(json!({ "message": "hello" })));
        snapshot!(format!("test_ping_{}.txt", locale.as_str()), read(&render(&ping).1));
        let missing = outgoing(
            locale,
            Purpose::Alert,
            EventType::InvoiceMissing,
            EventData::Order(Box::new({
                let mut order = paid();
                order.invoice.status = InvoiceStatus::Missing;
                order
            })),
        );
        let (_, letter) = render(&missing);
        snapshot!(format!("alert_invoice_missing_{}.txt", locale.as_str()), read(&letter));
        snapshot!(format!("alert_invoice_missing_{}.html", locale.as_str()), letter.html.unwrap());
    }
}
