//! Slack messages about hostile orders: they keep Slack's limits, and address no channel and nobody.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tillhook::sink::Handle;

/// Slack's limits: blocks of a message, characters of a text.
const BLOCKS: usize = 50;
const TEXT: usize = 3000;

thread_local! {
    static SINK: LazyCell<Handle> = const {
        LazyCell::new(|| {
            let keys = json!({ "url": "https://hooks.slack.com/services/T/B/x", "show": ["total", "items", "customer"] });
            tillhook_fuzz::sink("slack", keys)
        })
    };
}

fuzz_target!(|data: &[u8]| {
    let payload = SINK.with(|sink| sink.render(&tillhook_fuzz::sale(data))).expect("a message");
    let message: Value = serde_json::from_str(&payload.body).expect("JSON");
    assert!(message["blocks"].as_array().is_none_or(|blocks| blocks.len() <= BLOCKS));
    check(&message);
});

fn check(value: &Value) {
    match value {
        Value::String(text) => {
            assert!(text.chars().count() <= TEXT, "{} characters", text.chars().count());
            assert!(!text.contains(['<', '>']), "{text}");
        }
        Value::Array(list) => list.iter().for_each(check),
        Value::Object(map) => map.values().for_each(check),
        _ => {}
    }
}
