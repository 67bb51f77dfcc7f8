//! Reading back the JSON that we keep: orders, facts, messages.
//!
//! What was accepted has to be readable for as long as it is kept, also by a version that would not accept it any more. So
//! the limit of levels here is far above the one for calls (and above the 128 at which `serde_json` stops by itself, which
//! older versions took calls up to).
//!
//! **Invariant:** nothing that is kept ends the process. With `raw_value`, `serde_json` reads the text under its private
//! key afresh, with a fresh count of levels, and no text of ours has a use for that key: text that has it is refused.

use serde::de::{DeserializeOwned, Error as _};

/// How many levels are read. Twice of what was ever written, and far below what a thread's stack takes.
const LEVELS: usize = 256;

/// The key under which `serde_json` would read text afresh.
const READ_AFRESH: &str = "$serde_json::private::RawValue";

/// Reads what we wrote.
///
/// # Errors
/// When it is not what was written. The error may quote what stands there: it is not for a log.
pub fn read_kept<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    if levels(json) > LEVELS {
        return Err(serde_json::Error::custom("it is nested too deeply"));
    }
    if json.contains(READ_AFRESH) {
        return Err(serde_json::Error::custom("it has a key of the JSON library"));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    // The levels are counted above.
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How deep brackets are nested, those in texts left out.
fn levels(json: &str) -> usize {
    let (mut deepest, mut open, mut in_text, mut is_escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_deeper_than_the_library_reads_is_read_and_what_is_far_deeper_is_refused() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for levels in [1, 127, 128, 200, LEVELS] {
            assert!(read_kept::<Value>(&nested(levels)).is_ok(), "{levels}");
        }
        for levels in [LEVELS + 1, 1_000_000] {
            assert!(read_kept::<Value>(&nested(levels)).is_err(), "{levels}");
        }
    }

    #[test]
    fn brackets_in_texts_are_no_levels() {
        let text = serde_json::to_string(&format!("\\\"{}", "[{".repeat(1_000))).expect("a text");
        assert_eq!(levels(&text), 0);
        assert!(read_kept::<String>(&text).is_ok());
    }

    #[test]
    fn text_that_the_library_would_read_afresh_at_each_level_is_refused() {
        let mut bomb = "1".to_owned();
        for _ in 0..8 {
            bomb = serde_json::json!({ READ_AFRESH: bomb }).to_string();
        }
        assert!(read_kept::<Value>(&bomb).is_err());
    }

    #[test]
    fn what_follows_the_value_is_no_part_of_what_we_wrote() {
        assert!(read_kept::<Value>("{} {}").is_err());
    }
}
