//! Amounts, rates and dates as people write them: what is read can be written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tillhook::decode::fuzzing::{decimal, moment, rate};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut values = vec![Value::String(text.clone())];
    values.extend(serde_json::from_str::<serde_json::Number>(&text).ok().map(Value::Number));
    let zone = tillhook_fuzz::shop().timezone;
    for value in &values {
        if let Some(number) = decimal(value) {
            let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
            assert!(value.is_number() || digits(&number.to_string()) <= digits(&text) + 1, "{number} from {text:?}");
            // A lone group of three would be read as decimals, so the number is written as JSON.
            let written = serde_json::from_str(&number.to_string()).expect("a JSON number");
            assert_eq!(decimal(&Value::Number(written)), Some(number), "{text:?}");
        }
        let _ = rate(value);
        if let Some(at) = moment(value, &zone) {
            assert_eq!(moment(&Value::String(at.to_string()), &zone), Some(at), "{text:?}");
        }
    }
});
