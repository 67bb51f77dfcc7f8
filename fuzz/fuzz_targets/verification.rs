//! The answer to the question whether the till made a call: whatever the bytes, no panic, and no yes but by status 200.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillhook::{decode::verification, order::Verification};

fuzz_target!(|data: &[u8]| {
    let said = verification(200, data);
    assert_eq!(said, verification(200, data), "the same bytes say the same");
    assert_eq!(verification(500, data), Verification::Unknown);
});
