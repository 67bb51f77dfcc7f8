//! What a mail says where a file is left out of it, because the server takes no mail of that size.
//!
//! The mail was frozen before anybody knew. Its words about what is attached come from our own lists, so they are found in
//! it and exchanged for those that are true.
//!
//! **Invariant:** a mail never says that a file is attached which is not.

use super::{
    letter::Letter,
    templates::{Words, words},
};

/// What is said of an attached invoice, and what of one that is not attached.
const INVOICE: &[(&str, &str)] = &[
    ("reply_invoice", "reply_left_out"),
    ("refund_reply_invoice", "refund_reply_left_out"),
    ("attached", "attached_not"),
    ("refund_attached", "refund_attached_not"),
];

/// Where the signature of a text begins.
const SIGNATURE: &str = "\n-- \n";

/// The letter as it goes without these files; `invoice`: the order's PDF is one of them.
pub(super) fn without(letter: &Letter, files: &[&str], invoice: bool) -> Letter {
    let w = words(letter.language);
    let note = w[if files.len() == 1 { "left_out" } else { "left_out_several" }].replace("{files}", &files.join(", "));
    let exchange = |text: &str, escape: fn(&str) -> String| {
        let mut text = text.to_owned();
        if invoice {
            for (said, true_words) in exchanged(w) {
                text = text.replace(&escape(&said), &escape(&true_words));
            }
        }
        text
    };
    let html = letter.html.as_deref().map(|html| with_paragraph(&exchange(html, escape), &escape(&note)));
    Letter { text: with_line(&exchange(&letter.text, str::to_owned), &note), html, ..letter.clone() }
}

/// What is said of an attached invoice, with what has to be said instead.
fn exchanged(w: &Words) -> Vec<(String, String)> {
    let after_number = |key: &str| w[key].split("{n}").nth(1).unwrap_or_default().to_owned();
    let mut pairs: Vec<_> = INVOICE.iter().map(|(said, instead)| (w[*said].clone(), w[*instead].clone())).collect();
    pairs.push((after_number("more_attached"), after_number("more")));
    pairs
}

fn with_line(text: &str, note: &str) -> String {
    match text.rsplit_once(SIGNATURE) {
        Some((body, signature)) => format!("{body}\n! {note}\n{SIGNATURE}{signature}"),
        None => format!("{text}\n! {note}\n"),
    }
}

/// Below the title, where there is one: at the end it would be overlooked.
fn with_paragraph(html: &str, note: &str) -> String {
    let paragraph = format!("<p style=\"margin:8px 0 16px;\">{note}</p>");
    for (mark, is_before) in [("</h1>", false), ("</body>", true)] {
        if let Some(at) = html.find(mark) {
            let (before, after) = html.split_at(if is_before { at } else { at + mark.len() });
            return format!("{before}\n{paragraph}{after}");
        }
    }
    format!("{html}{paragraph}")
}

/// As the templates escape it.
fn escape(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}
