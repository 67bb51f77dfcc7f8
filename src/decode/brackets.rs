//! Pairs with PHP brackets in their keys (`items[0][titre]=Menu`) → a tree.
//!
//! Keys that only look like brackets (`weird[=1`) or that contradict an earlier scalar stay whole, as one flat key. A
//! repeated key takes its last value, as in PHP.
//!
//! **Invariant:** the cost is linear in the number of pairs and of what they make, which the budget bounds; only a repeated
//! key loses a value.

use serde_json::{Map, Value};

use crate::json::{Budget, Fault};

/// Marks the key of an element that was sent as `[]`, until [`settle`] knows which places are taken.
const PENDING: char = '\0';

/// Nests the pairs.
///
/// # Errors
/// When they make more values, or more levels, than the budget has left.
pub(super) fn nest(pairs: Vec<(String, String)>, budget: &Budget) -> Result<Map<String, Value>, Fault> {
    let mut root = Map::new();
    for (serial, (key, text)) in pairs.into_iter().enumerate() {
        let path = path(&key);
        // The root is a level, and each name but the last is a branch.
        budget.allow(path.len())?;
        budget.take(1)?;
        if !path.is_empty() && insert(&mut root, &path, &text, serial, budget)? {
            continue;
        }
        put(&mut root, key, text);
    }
    for (_, value) in &mut root {
        settle(value);
    }
    Ok(root)
}

/// `a[b][]` → `["a", "b", ""]`; empty when the key is not well-formed brackets.
fn path(key: &str) -> Vec<&str> {
    let well_formed = || {
        let (name, rest) = key.split_once('[')?;
        let inner = rest.strip_suffix(']')?;
        let mut path = vec![name];
        path.extend(inner.split("]["));
        (!name.is_empty() && path.iter().all(|part| !part.contains(['[', ']', PENDING]))).then_some(path)
    };
    well_formed().unwrap_or_default()
}

/// Puts a text at a path; `false`, and nothing changed, when a scalar is in the way.
fn insert(
    root: &mut Map<String, Value>,
    path: &[&str],
    text: &str,
    serial: usize,
    budget: &Budget,
) -> Result<bool, Fault> {
    let [name, rest @ ..] = path else { return Ok(false) };
    let key = if name.is_empty() { pending(root, rest, serial) } else { (*name).to_owned() };
    if rest.is_empty() {
        put(root, key, text.to_owned());
        return Ok(true);
    }
    match root.entry(key).or_insert(Value::Null) {
        Value::Object(branch) => insert(branch, rest, text, serial, budget),
        Value::String(scalar) if !scalar.is_empty() => Ok(false),
        free => {
            budget.take(1)?;
            let mut branch = Map::new();
            let inserted = insert(&mut branch, rest, text, serial, budget)?;
            *free = Value::Object(branch);
            Ok(inserted)
        }
    }
}

/// Puts a text under a key. Where a branch is, the text becomes the branch's nameless entry.
fn put(map: &mut Map<String, Value>, key: String, text: String) {
    match map.get_mut(&key) {
        Some(Value::Object(_)) if text.is_empty() => {}
        Some(Value::Object(branch)) => {
            branch.insert(String::new(), Value::String(text));
        }
        _ => {
            map.insert(key, Value::String(text));
        }
    }
}

/// The key for `[]`: a new element, or the one begun last where it still lacks what `rest` names, so that
/// `items[][titre]=A&items[][prix]=1&items[][titre]=B` is two items.
fn pending(map: &Map<String, Value>, rest: &[&str], serial: usize) -> String {
    if let (Some(wanted), Some((last, Value::Object(begun)))) = (rest.first(), map.iter().next_back())
        && last.starts_with(PENDING)
        && !wanted.is_empty()
        && !begun.contains_key(*wanted)
    {
        return last.clone();
    }
    format!("{PENDING}{serial}")
}

/// Gives `[]` elements their places, and makes a list of what is numbered from 0 without holes.
fn settle(value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.values_mut().for_each(settle);
    if map.keys().all(|key| key.starts_with(PENDING) || index(key).is_some()) {
        let mut entries: Vec<_> = std::mem::take(map).into_iter().collect();
        // Stable: the pending ones keep their sequence, after all that have a number.
        entries.sort_by_key(|(key, _)| index(key).unwrap_or(usize::MAX));
        let numbered = entries.iter().filter_map(|(key, _)| index(key));
        if numbered.enumerate().all(|(place, index)| place == index) {
            *value = Value::Array(entries.into_iter().map(|(_, value)| value).collect());
            return;
        }
        map.extend(entries);
    }
    let first_free = map.keys().filter_map(|key| index(key)).max().map_or(0, |last| last + 1);
    let mut free = first_free..;
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, value)| match key.starts_with(PENDING).then(|| free.next()).flatten() {
            Some(place) => (place.to_string(), value),
            None => (key, value),
        })
        .collect();
}

/// A list index, written as PHP writes it: no sign, no leading zero, and of a sensible length.
fn index(key: &str) -> Option<usize> {
    let canonical = key == "0" || !key.starts_with(['0', '+']);
    if canonical && key.len() <= 9 { key.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::json::{Bounds, CALL};

    fn nest(pairs: Vec<(String, String)>) -> Map<String, Value> {
        let bounds = Bounds { parts: 200_000, ..CALL };
        super::nest(pairs, &Budget::new(bounds)).expect("within the bounds")
    }

    fn nested(form: &str) -> Value {
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        Value::Object(nest(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }

    #[test]
    fn brackets_nest_and_numbered_ones_are_lists() {
        for (form, expected) in [
            ("a[0][t]=x&a[1][t]=y&b=1", json!({"a": [{"t": "x"}, {"t": "y"}], "b": "1"})),
            ("a[1]=y&a[0]=x", json!({"a": ["x", "y"]})),
            ("a[]=x&a[]=y", json!({"a": ["x", "y"]})),
            ("a[][t]=x&a[][p]=1&a[][t]=y", json!({"a": [{"t": "x", "p": "1"}, {"t": "y"}]})),
            ("a[x]=1&a[]=2", json!({"a": {"x": "1", "0": "2"}})),
            ("a[3]=q", json!({"a": {"3": "q"}})),
            ("a[3]=q&a[]=r", json!({"a": {"3": "q", "4": "r"}})),
            ("a[]=x&a[0]=y", json!({"a": ["y", "x"]})),
            ("a[20]=4&a[10]=2", json!({"a": {"10": "2", "20": "4"}})),
        ] {
            assert_eq!(nested(form), expected, "{form}");
        }
    }

    #[test]
    fn what_is_malformed_or_contradicts_stays_whole() {
        for (form, expected) in [
            ("weird[=1", json!({"weird[": "1"})),
            ("a[b]c=1&[x]=2&a]=3", json!({"a[b]c": "1", "[x]": "2", "a]": "3"})),
            ("a=1&a[b]=2", json!({"a": "1", "a[b]": "2"})),
            ("a[b]=2&a=1", json!({"a": {"b": "2", "": "1"}})),
            ("a=&a[b]=2", json!({"a": {"b": "2"}})),
            ("a=1&a=2", json!({"a": "2"})),
        ] {
            assert_eq!(nested(form), expected, "{form}");
        }
    }

    #[test]
    fn what_a_key_makes_is_counted() {
        let nest = |key: &str, times: usize| {
            let pairs = (0..times).map(|n| (key.replace('#', &n.to_string()), "1".to_owned())).collect();
            super::nest(pairs, &Budget::new(CALL)).map(|root| root.len())
        };
        let deep = |names: usize| format!("a#{}", "[x]".repeat(names));
        assert_eq!(nest(&deep(CALL.levels - 1), 1), Ok(1));
        assert_eq!(nest(&deep(CALL.levels), 1), Err(Fault::TooDeep));
        assert_eq!(nest("a#", CALL.parts), Ok(CALL.parts));
        assert_eq!(nest("a#", CALL.parts + 1), Err(Fault::TooMany));
        let each = CALL.levels;
        assert_eq!(nest(&deep(each - 1), CALL.parts / each), Ok(CALL.parts / each));
        assert_eq!(nest(&deep(each - 1), CALL.parts / each + 1), Err(Fault::TooMany));
    }

    #[test]
    fn a_hundred_thousand_elements_take_no_quadratic_time() {
        let pairs = (0..100_000).map(|n| ("a[]".to_owned(), n.to_string())).collect();
        assert_eq!(nest(pairs)["a"].as_array().map(Vec::len), Some(100_000));
    }

    fn scalars(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.values().for_each(|value| scalars(value, found)),
            Value::Array(list) => list.iter().for_each(|value| scalars(value, found)),
            Value::String(text) => found.push(text.clone()),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_value_is_lost_whatever_the_keys(keys in prop::collection::hash_set(r"[ab]?(\[[ab01]?\]?){0,4}|\PC{0,6}", 0..40)) {
            let keys: Vec<String> = keys.into_iter().collect();
            let mut found = Vec::new();
            let pairs = keys.iter().enumerate().map(|(n, key)| (key.clone(), n.to_string())).collect();
            scalars(&Value::Object(nest(pairs)), &mut found);
            found.sort_unstable();
            let mut sent: Vec<String> = (0..keys.len()).map(|n| n.to_string()).collect();
            sent.sort_unstable();
            prop_assert_eq!(found, sent);
        }
    }
}
