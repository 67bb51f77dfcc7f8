//! The keys that exist: the JSON Schema of the file, and what the reader needs to know of it.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    ApiCredentials, Delivery, Server, Storage,
    node::{self, Entry, Node, Table},
    tables::{ShopTable, SinkTable},
};
use crate::{
    order::Accounting,
    sink::{Options, email::Smtp},
};

/// The tables of the file.
pub(super) const SECTIONS: &[&str] = &["server", "storage", "shop", "smtp", "delivery", "accounting", "sink"];

/// Those that hold one table for each name.
pub(super) const NAMED: &[&str] = &["shop", "sink"];

/// Keys whose values are secrets, wherever they stand; an address can hold one too.
const SECRETS: &[&str] = &["token", "previous_token", "password", "secret", "previous_secret", "url", "key"];

/// The defaults, and the configuration that is in use while there is no file.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Whether the value under these keys is a secret: it may be written as a reference and is never shown.
pub(super) fn is_secret<K: AsRef<str>>(path: &[K]) -> bool {
    let key = |from_end: usize| path.len().checked_sub(from_end).and_then(|index| path.get(index)).map(AsRef::as_ref);
    key(1).is_some_and(|key| SECRETS.contains(&key)) || key(2) == Some("headers")
}

/// The tree of `config/default.toml`.
pub(super) fn defaults() -> Table {
    node::parse_defaults(DEFAULTS)
}

/// What the sink tables of this kind must have; for an unknown kind, nothing.
pub(super) fn required_of_sink(kind: &str) -> Vec<String> {
    Options::schema(kind).map(|schema| required(schema.as_value())).unwrap_or_default()
}

/// What the keys of this kind of sink are where they are not set, as far as the kind says so.
pub(super) fn defaults_of_sink(kind: &str) -> Table {
    defaults_in(&Options::schema(kind).map(|schema| schema.to_value()).unwrap_or_default())
}

/// What the keys of every sink are where they are not set and neither `[delivery]` nor the kind says.
pub(super) fn defaults_of_every_sink() -> Table {
    defaults_in(&table::<SinkTable>())
}

/// What the keys of `[smtp]` are where they are not set.
pub(super) fn defaults_of_smtp() -> Table {
    defaults_in(&table::<Smtp>())
}

fn defaults_in(schema: &Value) -> Table {
    let default =
        |(key, property): (String, Value)| Some(Entry::default(&key, Node::from_json(property.get("default")?)?));
    Table(properties(schema).into_iter().filter_map(default).collect())
}

/// The keys that `schema` (that of the whole file) knows in the table at `path`, such as `sink.erp`; `kind` knows the
/// sinks.
pub(super) fn keys(schema: &Value, path: &str, kind: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let mut steps = path.split('.');
    let section = steps.next().unwrap_or_default();
    let mut table = &schema["properties"][section];
    if let Some(name) = steps.next() {
        table = &table["additionalProperties"];
        if section == "sink" {
            let place = kind(name).and_then(|kind| Options::KINDS.iter().position(|known| *known == kind));
            table = &table["oneOf"][place.unwrap_or_default()];
        }
    }
    properties(steps.fold(table, |table, step| &table["properties"][step])).into_iter().map(|(key, _)| key).collect()
}

/// What `[smtp]` must have.
pub(super) fn required_of_smtp() -> Vec<String> {
    required(&table::<Smtp>())
}

/// What `[accounting]` must have.
pub(super) fn required_of_accounting() -> Vec<String> {
    required(&table::<Accounting>())
}

/// What `[shop.NAME.api]` must have.
pub(super) fn required_of_api() -> Vec<String> {
    required(&table::<ApiCredentials>())
}

/// The keys of a sink's table that belong to every kind.
pub(super) fn keys_of_every_sink() -> Vec<String> {
    properties(&table::<SinkTable>()).keys().cloned().collect()
}

/// The JSON Schema of the whole file (draft 2020-12).
pub fn schema() -> Value {
    let defaults = defaults();
    let section = |name: &str| defaults.section(name).cloned().unwrap_or_default();
    let first = |name: &str| section(name).0.into_iter().next().and_then(|entry| entry.node.table().cloned());
    let shop = finished(table::<ShopTable>(), &first("shop").unwrap_or_default());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tillhook.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "server": finished(table::<Server>(), &section("server")),
            "storage": finished(table::<Storage>(), &section("storage")),
            "shop": named("The shops, one table each.", shop),
            "smtp": smtp(finished(table::<Smtp>(), &Table::default())),
            "delivery": finished(table::<Delivery>(), &section("delivery")),
            "accounting": finished(table::<Accounting>(), &Table::default()),
            "sink": named("The sinks, one table each.", json!({ "oneOf": sinks(&first("sink").unwrap_or_default()) })),
        },
    })
}

/// A preset takes the place of the host and the port.
fn smtp(mut schema: Value) -> Value {
    let named = ["host", "port"];
    let rest: Vec<String> = required(&schema).into_iter().filter(|key| !named.contains(&key.as_str())).collect();
    schema["required"] = json!(rest);
    schema["anyOf"] = json!([{ "required": ["preset"] }, { "required": named }]);
    schema
}

fn named(description: &str, table: Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": { "pattern": "^(?!.*__)[a-z0-9_-]+$" },
        "additionalProperties": table,
    })
}

/// A schema for each kind of sink: its own keys and those that every sink has.
fn sinks(defaults: &Table) -> Vec<Value> {
    let kind_schema = |kind: &&str| {
        let mut schema = Options::schema(kind)?.to_value();
        let mut keys = properties(&table::<SinkTable>());
        keys.insert("type".to_owned(), json!({ "const": kind, "description": "What kind of sink it is." }));
        keys.extend(properties(&schema));
        let mut required = required(&schema);
        required.push("type".to_owned());
        schema["properties"] = Value::Object(keys);
        schema["required"] = json!(required);
        Some(finished(schema, defaults))
    };
    Options::KINDS.iter().filter_map(kind_schema).collect()
}

/// Adds the defaults, takes what has one from the required keys, and lets secrets be references.
fn finished(mut schema: Value, defaults: &Table) -> Value {
    let mut keys = properties(&schema);
    for (key, property) in &mut keys {
        if is_secret(&[key.as_str()]) {
            *property = referable(property);
        } else if key == "headers" {
            property["additionalProperties"] = referable(&json!({ "type": "string" }));
        }
        if key == "api" && property.get("properties").is_some() {
            *property = finished(property.take(), &Table::default());
        }
        let default = defaults.get(key).filter(|_| key != "type");
        if let (Some(entry), Some(property)) = (default, property.as_object_mut()) {
            property.insert("default".to_owned(), entry.node.to_json());
        }
    }
    let required: Vec<String> =
        required(&schema).into_iter().filter(|key| key == "type" || !defaults.has(key)).collect();
    schema["properties"] = Value::Object(keys);
    schema["required"] = json!(required);
    schema
}

fn referable(property: &Value) -> Value {
    let reference = |key: &str, what: &str| {
        let properties = json!({ key: { "type": "string", "description": what } });
        json!({ "type": "object", "properties": properties, "required": [key], "additionalProperties": false })
    };
    json!({
        "description": property.get("description").cloned().unwrap_or_else(|| json!("A secret.")),
        "writeOnly": true,
        "anyOf": [
            { "type": "string" },
            reference("env", "The environment variable that holds it."),
            reference("file", "The file that holds it; relative to the configuration file."),
        ],
    })
}

fn table<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn required(schema: &Value) -> Vec<String> {
    let list = schema.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Environment, Source, load};

    const EXAMPLE: &str = include_str!("../../config/example.toml");

    fn example() -> crate::config::Loaded {
        let variables = ["TILL_TOKEN", "SMTP_PASSWORD", "SLACK_WEBHOOK", "ERP_URL", "ERP_SECRET", "ERP_AUTHORIZATION"];
        let environment: Environment = variables.map(|name| (name, "0123456789abcdef")).into_iter().collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("example.toml");
        std::fs::write(&path, EXAMPLE).unwrap();
        load(&Source::File(path), &environment).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Every key of the schema, as `smtp.host`, with names and kinds in place of the tables they describe.
    fn keys() -> BTreeSet<(String, String)> {
        let schema = schema();
        let mut keys = BTreeSet::new();
        for (section, value) in properties(&schema) {
            let named = value.get("additionalProperties").filter(|below| below.is_object());
            let tables = match named.and_then(|below| below.get("oneOf")).and_then(Value::as_array) {
                Some(kinds) => kinds.clone(),
                None => vec![named.cloned().unwrap_or(value)],
            };
            for table in &tables {
                keys.extend(properties(table).into_iter().map(|(key, _)| (section.clone(), key)));
            }
        }
        keys
    }

    #[test]
    fn the_example_has_no_problems_no_warnings_and_only_keys_of_the_schema() {
        let loaded = example();
        assert_eq!(loaded.warnings, []);
        let keys = keys();
        for setting in &loaded.settings {
            let steps: Vec<&str> = setting.path.split('.').collect();
            let key = if NAMED.contains(&steps[0]) { steps[2] } else { steps[1] };
            assert!(keys.contains(&(steps[0].to_owned(), key.to_owned())), "{}", setting.path);
        }
    }

    #[test]
    fn the_example_explains_every_key_of_the_schema() {
        let mut section = "";
        let mut explained = BTreeSet::new();
        for line in EXAMPLE.lines() {
            if let Some(table) = line.trim_start_matches("# ").strip_prefix('[') {
                let mut steps = table.split(']').next().unwrap_or_default().split('.');
                section = steps.next().unwrap_or_default();
                explained.extend(steps.nth(1).map(|key| (section.to_owned(), key.to_owned())));
            } else if let Some((key, _)) = line.trim_start_matches("# ").split_once('=') {
                explained.insert((section.to_owned(), key.trim().to_owned()));
            }
        }
        let missing: Vec<_> = keys().difference(&explained).cloned().collect();
        assert_eq!(missing, []);
    }

    #[test]
    fn the_example_shows_the_defaults_or_says_that_it_does_not() {
        let loaded = example();
        let of_default = defaults();
        for section in ["server", "storage", "delivery"] {
            for entry in &of_default.section(section).unwrap().0 {
                let path = format!("{section}.{}", entry.key);
                let setting = loaded.settings.iter().find(|setting| setting.path == path).unwrap();
                assert!(setting.place.is_some(), "{path} is missing in the example");
                assert_eq!(setting.shown, entry.node.to_toml(), "{path}");
            }
        }
    }

    #[test]
    fn a_shop_needs_only_its_token_and_secrets_may_be_references() {
        let schema = schema();
        let shop = &schema["properties"]["shop"]["additionalProperties"];
        assert_eq!(shop["required"], json!(["token"]));
        assert_eq!(shop["properties"]["timezone"]["default"], "Europe/Paris");
        assert_eq!(shop["properties"]["token"]["anyOf"][2]["required"], json!(["file"]));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["properties"]["server"]["properties"]["listen"]["description"].is_string());
        assert!(!schema.to_string().contains("$ref"));
    }
}
