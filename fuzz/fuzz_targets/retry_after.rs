//! What a far side asks for in `Retry-After`: at most a day, never nothing, and whatever it answers there is a verdict.
//! The first two bytes are the status, the rest the header and the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillhook::sink::{
    SinkError,
    answer::{LONGEST_WAIT, judge},
    client::Answer,
};

fuzz_target!(|data: &[u8]| {
    let Some((status, rest)) = data.split_first_chunk::<2>() else { return };
    let status = u16::from_le_bytes(*status) % 600;
    let retry_after = Some(String::from_utf8_lossy(rest).into_owned());
    let answer = Answer { status, retry_after, body: rest.to_vec().into(), ..Answer::default() };
    let Err(error) = judge(&answer, tillhook_fuzz::now()) else {
        assert!((200..300).contains(&status));
        return;
    };
    assert!(!error.detail().contains(char::is_control), "{error:?}");
    if let SinkError::Retry { after: Some(wait), .. } = error {
        assert!(!wait.is_zero() && wait <= LONGEST_WAIT && (status == 429 || status == 503), "{wait:?}");
    }
});
