//! Mails about hostile orders: they can be made, go to nobody else, are seven-bit, and hold no markup that was sent.
#![no_main]

use std::{cell::LazyCell, str};

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tillhook::sink::{Handle, email::fuzzing::mime};

thread_local! {
    static SINK: LazyCell<Handle> =
        const { LazyCell::new(|| tillhook_fuzz::sink("email", json!({ "to": ["compta@example.com"] }))) };
}

fuzz_target!(|data: &[u8]| {
    let payload = SINK.with(|sink| sink.render(&tillhook_fuzz::sale(data))).expect("a mail");
    let letter: Value = serde_json::from_str(&payload.body).expect("JSON");
    let html = letter["html"].as_str().unwrap_or_default();
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    let mail = mime(&payload).expect("a mail in MIME");
    let mail = str::from_utf8(&mail).expect("ASCII");
    assert!(mail.is_ascii() && !mail.contains('\0'), "{mail}");
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "{mail}");
    let (head, _) = mail.split_once("\r\n\r\n").expect("a head");
    let named = |name: &str| head.split("\r\n").filter(|line| line.to_lowercase().starts_with(name)).count();
    assert_eq!(
        (named("to:"), named("cc:"), named("bcc:"), named("from:"), named("subject:")),
        (1, 0, 0, 1, 1),
        "{head}"
    );
});
