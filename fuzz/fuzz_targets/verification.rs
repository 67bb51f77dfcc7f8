//! The answer to the question whether the till made a call: whatever the bytes, no panic, no yes but by status 200 and with
//! a word that speaks of a verification, and no yes beside a no.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillhook::{decode::verification, order::Verification};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // An escape may hide a word.
    if verification(200, data) == Verification::Verified && !text.contains('\\') {
        let letters: String = text.to_lowercase().replace(['é', 'è', 'ê', 'ë'], "e").replace(['_', '-', ' '], "");
        let words = ["valid", "verified", "verifie", "verification", "authenti", "signature"];
        assert!(words.iter().any(|word| letters.contains(word)), "nothing in it speaks of a verification");
    }
    let refused = format!("{{\"valid\":{text},\"success\":false}}");
    assert_ne!(verification(200, refused.as_bytes()), Verification::Verified, "a no beats any yes");
    assert_eq!(verification(500, data), Verification::Unknown);
});
