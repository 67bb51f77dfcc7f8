//! JSON of others: within the bounds, the same as the library reads where no key means something to it; and what was read
//! is written and read back as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tillhook::json::{self, CALL};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(value) = json::read(text, CALL) else { return };
    let (levels, parts) = size(&value);
    assert!(levels <= CALL.levels && parts <= CALL.parts, "{levels} levels, {parts} parts");
    let written = value.to_string();
    assert_eq!(json::ours(&written).expect("what was written is JSON"), value);
    // An escape may hide a key that means something to the library, which also refuses bare line feeds in keys.
    let is_plain = !text.contains("private") && !text.contains("\\u");
    if let Some(theirs) = is_plain.then(|| serde_json::from_str::<Value>(text).ok()).flatten() {
        assert_eq!(theirs, value);
    }
});

fn size(value: &Value) -> (usize, usize) {
    let children: Vec<_> = match value {
        Value::Array(list) => list.iter().map(size).collect(),
        Value::Object(map) => map.values().map(size).collect(),
        _ => return (0, 1),
    };
    let deepest = children.iter().map(|(levels, _)| *levels).max().unwrap_or(0);
    (deepest + 1, 1 + children.iter().map(|(_, parts)| parts).sum::<usize>())
}
