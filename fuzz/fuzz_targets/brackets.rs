//! Keys in PHP's brackets: no value is invented, none is lost but to a repeated key. A line is a pair, with a tab between.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let pair = |line: &str| line.split_once('\t').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let pairs: Vec<(String, String)> = text.lines().filter_map(pair).collect();
    let (mut leaves, sent) = (Vec::new(), pairs.len());
    let values: HashSet<String> = pairs.iter().map(|(_, value)| value.clone()).collect();
    let Ok(tree) = tillhook::decode::fuzzing::nest(pairs) else { return };
    for value in tree.values() {
        collect(value, &mut leaves);
    }
    assert!(leaves.len() <= sent, "{leaves:?} of {sent} pairs");
    assert!(leaves.iter().all(|leaf| values.contains(leaf)), "{leaves:?} of {values:?}");
});

fn collect(value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::String(text) => leaves.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| collect(value, leaves)),
        Value::Object(map) => map.values().for_each(|value| collect(value, leaves)),
        other => panic!("{other} was not sent"),
    }
}
