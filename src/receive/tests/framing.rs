//! Requests that are not quite HTTP: what the door makes of their bytes.

use rstest::rstest;

use super::*;

impl House {
    /// The only call that was stored: its query, its body, and how much of that was announced.
    fn only(&self) -> (Option<String>, Bytes, Option<u64>) {
        let calls = self.fake.calls.lock().unwrap();
        assert_eq!(calls.len(), 1);
        (calls[0].query.clone(), calls[0].body.clone(), calls[0].announced)
    }

    /// Sends these bytes and closes that side.
    async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        read_answer(stream).await
    }
}

#[rstest]
#[case::a_space(b"a=Le Goff", "a=Le Goff")]
#[case::several_spaces(b"a= x  y &b=1 ", "a= x  y &b=1")]
#[case::a_hash(b"a=Table #4&price=1", "a=Table #4&price=1")]
#[case::quotes_and_brackets(br#"items=[{"a":"b"}]|\^`<>"#, r#"items=[{"a":"b"}]|\^`<>"#)]
#[case::latin_1(b"a=Zo\xe9", "a=Zo%E9")]
#[case::utf_8("a=Zoé".as_bytes(), "a=Zoé")]
#[case::escapes_stay(b"a=%e9%20+", "a=%e9%20+")]
#[case::a_question_mark(b"a=?&b", "a=?&b")]
#[tokio::test]
async fn a_query_is_taken_as_it_was_sent(#[case] sent: &[u8], #[case] query: &str) {
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let house = House::open(Behaviour::Store).await;
        let head = format!("GET /in/{TOKEN}?");
        let request = [head.as_bytes(), sent, format!(" {version}\r\nHost: x\r\n\r\n").as_bytes()].concat();
        assert_eq!(house.send(&request).await.status, 200);
        assert_eq!(house.only().0.as_deref(), Some(query));
    }
}

#[tokio::test]
async fn a_query_may_be_as_long_as_a_head_and_come_in_pieces() {
    let house = House::open(Behaviour::Store).await;
    let query = "x".repeat(90_000);
    let request = format!("GET /in/{TOKEN}?{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = house.connect().await;
    for piece in request.as_bytes().chunks(7_001) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read_answer(stream).await.status, 200);
    assert_eq!(house.only().0, Some(query));
}

#[rstest]
#[case::a_slash("{}/")]
#[case::a_blank("{}%20")]
#[case::a_raw_blank("{} ")]
#[case::quotes("\"{}\"")]
#[case::a_byte_order_mark("%EF%BB%BF{}")]
#[tokio::test]
async fn what_was_copied_with_the_token_is_no_part_of_it(#[case] path: &str) {
    let house = House::open(Behaviour::Store).await;
    let request = post(&path.replace("{}", TOKEN), "type=validated");
    assert_eq!(house.ask(&request).await.status, 200, "{request}");
    assert_eq!(house.only().1, "type=validated");
}

#[rstest]
#[case::to_its_end("HTTP/1.0", "", "a=1&b=2")]
#[case::of_http_1_1_what_is_there_at_once("HTTP/1.1", "Host: x\r\n", "a=1&b=2")]
#[case::none("HTTP/1.0", "", "")]
#[tokio::test]
async fn a_body_without_a_length_is_read(#[case] version: &str, #[case] fields: &str, #[case] body: &str) {
    let house = House::open(Behaviour::Store).await;
    let request = format!("POST /in/{TOKEN} {version}\r\n{fields}\r\n{body}");
    assert_eq!(house.ask(&request).await.status, 200, "also from a client that waits for its answer");
    assert_eq!(house.only(), (None, Bytes::from(body.to_owned()), None));
}

#[rstest]
#[case::length_in_characters("client=Zoé&price=143.80", 23, Some(23))]
#[case::all_of_it("client=Zoé&price=143.80", 24, None)]
#[case::nothing_was_announced("a=1", 0, Some(0))]
#[case::a_line_end_after_it("a=1\r\n", 3, None)]
#[case::another_request_after_it("a=1POST /in/x HTTP/1.1\r\n\r\n", 3, None)]
#[case::cut_off("a=1&b=2", 10, Some(10))]
#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced_is_kept_with_what_came(
    #[case] body: &str,
    #[case] announced: usize,
    #[case] kept: Option<u64>,
) {
    let house = House::open(Behaviour::Store).await;
    let request = format!("POST /in/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n{body}");
    assert_eq!(house.send(request.as_bytes()).await.status, 200);
    let (_, stored, told) = house.only();
    assert_eq!(told, kept);
    assert_eq!(stored, if kept.is_some() { body.as_bytes() } else { &body.as_bytes()[..announced] });
}

#[tokio::test]
async fn chunks_that_break_off_are_kept_and_known_to_be_a_part() {
    let house = House::open(Behaviour::Store).await;
    let head = format!("POST /in/{TOKEN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(house.send(format!("{head}3\r\na=1\r\n").as_bytes()).await.status, 200);
    assert_eq!(house.only(), (None, Bytes::from_static(b"a=1"), Some(u64::MAX)));
}

#[tokio::test]
async fn a_head_that_is_no_http_is_refused_and_told_where_the_token_is_right() {
    let house = House::open(Behaviour::Store).await;
    let long = format!("x: {}", "x".repeat(120_000));
    let many = "x: y\r\n".repeat(200);
    for (token, fields) in [
        (TOKEN, "bad field\r\n"),
        (TOKEN, "content-length: 3, 4\r\n"),
        (TOKEN, long.as_str()),
        (TOKEN, &many),
        ("wrong", "bad field\r\n"),
    ] {
        let request = format!("POST /in/{token} HTTP/1.1\r\nHost: x\r\n{fields}\r\nx");
        let answer = house.send(request.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    let put = format!("PUT /in/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(house.ask(&put).await.status, 405);
    assert_eq!(
        house.refusals(),
        [
            "its head is no HTTP, or too long (calls since the start that were refused for it: 1)",
            "it came with a method other than POST and GET (calls since the start that were refused for it: 1)",
        ],
        "each kind once an hour"
    );
    assert_eq!(house.stored(), 0);
}
