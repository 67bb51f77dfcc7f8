//! The till's call: whatever the bytes, no panic, the same answer twice, and an order that can be read back as it is
//! stored. The first byte says where the bytes stand and what they claim to be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillhook::{
    decode::{Input, fuzzing::read},
    order::{Moment, Notification, Order, Timeline},
};

const CLAIMS: [Option<&str>; 4] = [
    None,
    Some("application/x-www-form-urlencoded; charset=windows-1252"),
    Some("application/json"),
    Some("multipart/form-data; boundary=----till-8f14e45fceea167a"),
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let content_type = CLAIMS[usize::from(choice & 3)];
    let text = String::from_utf8_lossy(body);
    let input = match choice & 4 {
        0 => Input { content_type, body, ..Input::default() },
        _ => Input { content_type, query: Some(&text), body: b"", ..Input::default() },
    };
    let shop = tillhook_fuzz::shop();
    let said = read(&input, &shop);
    assert_eq!(said, read(&input, &shop), "the same bytes say the same");
    let Ok(Notification::Order(notice)) = said else { return };
    assert!(notice.content.order_id.is_some() || notice.content.internal_id.is_some());

    let mut timeline = Timeline::default();
    timeline.hear(notice.phase, notice.content.clone());
    let kept: Timeline = serde_json::from_str(&timeline.to_text()).expect("what is stored can be read");
    let (before, after) = (timeline.merged().fingerprint(), kept.merged().fingerprint());
    assert_eq!(before, after, "what is stored says the same");

    let received = Moment::new(tillhook_fuzz::now(), &shop.timezone);
    let order = Order::new(&timeline, shop.currency, received);
    let json = order.to_json(true).to_string();
    tillhook::json::ours(&json).expect("what is told can be read as it stands");
    let _: Order = serde_json::from_str(&json).expect("what is told can be read");
});
