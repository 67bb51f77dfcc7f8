//! The reader of foreign JSON, and what we read back.

use serde_json::{Map, json};

use super::{
    ours::{KEPT_LEVELS, levels},
    reader::NUMBER,
    *,
};

const SMALL: Bounds = Bounds { levels: 3, parts: 6 };

/// Lists within lists.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn json_is_read_as_it_stands_and_numbers_keep_their_digits() {
    let text = r#"{"a":[1.10,-0.00,1e+999,20261121042000000000001,true,null,"\u00e9"],"a\u0062":{}}"#;
    assert_eq!(read(text, CALL).expect("JSON").to_string(), text.replace("\\u00e9", "é").replace("\\u0062", "b"));
    assert_eq!(ours(text).ok(), serde_json::from_str(text).ok());
    assert_eq!(read(r#"{"a":1,"a":2}"#, CALL), Ok(json!({"a": 2})));
    assert_eq!(read_unique(r#"[{"a":1,"\u0061":2}]"#, CALL), Err(Fault::Repeated));
    assert_eq!(read_unique(r#"[{"a":1},{"a":2}]"#, CALL), Ok(json!([{"a": 1}, {"a": 2}])));
}

#[test]
fn keys_that_mean_something_to_the_library_are_ordinary_keys() {
    for key in ["$serde_json::private::RawValue", NUMBER] {
        for value in [json!("[[[["), json!("1"), json!(1), json!({"x": 1}), json!(null)] {
            let mut object = Map::new();
            object.insert(key.to_owned(), value);
            object.insert("other".to_owned(), json!("{"));
            let object = Value::Object(object);
            let text = format!("[{object},{{\"a\":{object}}}]");
            for read in [read(&text, CALL).map_err(|fault| fault.to_string()), ours(&text).map_err(|e| e.to_string())] {
                assert_eq!(read.map(|read| read.to_string()), Ok(text.clone()));
            }
        }
    }
}

#[test]
fn texts_within_texts_are_not_read_by_themselves() {
    let mut text = "[]".to_owned();
    while text.len() < 15_000 {
        text = format!(r#"{{"$serde_json::private::RawValue":{}}}"#, Value::from(format!("[{text}]")));
    }
    let read = read(&text, CALL).expect("an object with one text");
    assert_eq!(read.as_object().map(Map::len), Some(1));
}

#[test]
fn levels_and_parts_are_counted() {
    assert!(read(&nested(32), CALL).is_ok());
    assert_eq!(read(&nested(33), CALL), Err(Fault::TooDeep));
    assert_eq!(read(&nested(100_000), CALL), Err(Fault::TooDeep));
    assert!(read("[1,2,3,4,5]", SMALL).is_ok());
    assert_eq!(read("[1,2,3,4,5,6]", SMALL), Err(Fault::TooMany));
    assert_eq!(read(r#"{"a":[{"b":[]}]}"#, SMALL), Err(Fault::TooDeep));
}

#[test]
fn what_belongs_together_is_counted_together() {
    let budget = Budget::new(SMALL);
    assert!(budget.read("[1]", 1).is_ok() && budget.read("[1]", 2).is_ok());
    assert_eq!(budget.read("[1]", 3), Err(Fault::TooDeep));
    assert_eq!(budget.read("[1,2]", 1), Err(Fault::TooMany));
}

#[test]
fn what_is_not_read_costs_nothing() {
    let budget = Budget::new(SMALL);
    for (unread, is_too_much) in
        [("[[[[[[[", true), ("[1,2,3,4,5,6,7]", true), ("[1,2,3,4", false), ("{]", false), ("[1] 2", false)]
    {
        assert_eq!(budget.read(unread, 0).expect_err(unread).is_too_much(), is_too_much, "{unread}");
    }
    assert!(is_json(&nested(100_000)) && !is_json(&"[".repeat(100_000)));
    assert_eq!(read("[1", CALL), Err(Fault::CutOff { line: 1, column: 2 }));
    assert_eq!(read("[1,]", CALL), Err(Fault::Malformed { line: 1, column: 4 }));
    assert!(budget.read("[1,2,3,4,5]", 0).is_ok());
}

#[test]
fn what_is_kept_may_be_deeper_than_the_library_reads_and_no_end_of_brackets_is_followed() {
    for levels in [1, 127, 128, 200, KEPT_LEVELS] {
        assert!(ours(&nested(levels)).is_ok(), "{levels}");
    }
    for levels in [KEPT_LEVELS + 1, 1_000_000] {
        assert!(ours(&nested(levels)).is_err() && kept::<IgnoredAny>(&nested(levels)).is_err(), "{levels}");
    }
    let text = Value::from(format!("\\\"{}", "[{".repeat(1_000))).to_string();
    assert_eq!(levels(&text), 0);
    assert!(kept::<String>(&text).is_ok() && kept::<Value>("{} {}").is_err());
}

#[test]
fn what_would_be_too_long_is_not_written() {
    assert_eq!(written_within(&json!(["é", 1]), 8).as_deref(), Some("[\"é\",1]"));
    assert_eq!(written_within(&json!(["é", 1]), 7), None);
}

#[test]
fn a_field_is_read_back_as_it_was_written() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Row {
        #[serde(deserialize_with = "map")]
        extra: Map<String, Value>,
    }
    let text = format!(r#"{{"extra":{{"n":1.50,"o":{{"{NUMBER}":"x","l":[{{}}]}}}}}}"#);
    let row: Row = serde_json::from_str(&text).expect("a row");
    assert_eq!(serde_json::to_string(&row).expect("JSON"), text);
    assert!(serde_json::from_str::<Row>(r#"{"extra":[]}"#).is_err());
}
