//! Every value in force and where it comes from, as TOML with secrets masked.
//!
//! **Invariant:** a [`Setting`] is made from the tree in one place, which masks; nothing else prints values.

use std::fmt::Write;

use serde_json::json;

use super::{
    Loaded, Place,
    node::{Entry, Node, Table, Value},
    schema,
};

/// What stands in place of a secret.
const MASK: &str = "\"********\"";

/// A value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in full: `shop.dupont.token`.
    pub path: String,
    /// The value as TOML; secrets are masked.
    pub shown: String,
    /// Where it is written; `None` for a default.
    pub place: Option<Place>,
    /// Whether it is a secret that is written out where it stands.
    pub is_literal_secret: bool,
}

/// The configuration as TOML; a comment behind each value says where it comes from, and one below each table which of its
/// keys have no value.
pub fn show(loaded: &Loaded) -> String {
    let schema = schema::schema();
    let tables = loaded.settings.chunk_by(|one, next| one.table() == next.table());
    let tables: Vec<String> = tables.map(|settings| show_table(loaded, &schema, settings)).collect();
    tables.join("\n")
}

fn show_table(loaded: &Loaded, schema: &serde_json::Value, settings: &[Setting]) -> String {
    let table = settings[0].table();
    let mut text = format!("[{table}]\n");
    for setting in settings {
        let origin = match &setting.place {
            None => "default".to_owned(),
            Some(Place::File { file, line, .. }) => format!("{}:{line}", file.display()),
            Some(Place::Variable(name)) => name.clone(),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{} = {}  # {origin}", setting.key(), setting.shown);
    }
    let has_value = |key: &str| {
        let path = format!("{table}.{key}");
        loaded.settings.iter().any(|setting| setting.path == path || setting.table() == path)
    };
    let kind = |name: &str| {
        let sink = loaded.config.sinks.iter().find(|(sink, _)| sink.as_str() == name);
        sink.map(|(_, sink)| sink.options.kind())
    };
    let unset: Vec<String> = schema::keys(schema, table, kind).into_iter().filter(|key| !has_value(key)).collect();
    if !unset.is_empty() {
        let _ = writeln!(text, "# not set: {}", unset.join(", "));
    }
    text
}

impl Setting {
    fn table(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }

    fn key(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(_, key)| key)
    }
}

/// The settings of the whole tree, in the order of its sections.
pub(super) fn settings(root: &Table) -> Vec<Setting> {
    let mut settings = Vec::new();
    for section in schema::SECTIONS {
        if let Some(table) = root.section(section) {
            collect(table, &mut vec![(*section).to_owned()], &mut settings);
        }
    }
    settings
}

/// Values first, tables after them, as TOML wants it.
fn collect(table: &Table, path: &mut Vec<String>, settings: &mut Vec<Setting>) {
    let (tables, values): (Vec<_>, Vec<_>) = table.0.iter().partition(|entry| entry.node.table().is_some());
    for entry in values {
        path.push(entry.key.clone());
        let secret = schema::is_secret(path) || entry.node.hidden;
        settings.push(Setting {
            path: path.join("."),
            shown: if secret { MASK.to_owned() } else { entry.node.to_toml() },
            place: entry.node.place.clone(),
            is_literal_secret: secret && !entry.node.hidden,
        });
        path.pop();
    }
    for entry in tables {
        path.push(entry.key.clone());
        if let Some(below) = entry.node.table() {
            collect(below, path, settings);
        }
        path.pop();
    }
}

impl Node {
    /// The items of a list, none where it is none.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Loose(text) => json!(text),
            Value::Whole(number) => json!(number),
            Value::Truth(truth) => json!(truth),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(table) => table.0.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            Value::Other(_) | Value::Broken => serde_json::Value::Null,
        }
    }

    /// The value of a default; `None` for what TOML has no word for.
    pub(super) fn from_json(value: &serde_json::Value) -> Option<Self> {
        let value = match value {
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Bool(truth) => Value::Truth(*truth),
            serde_json::Value::Number(number) => Value::Whole(number.as_i64()?),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from_json).collect::<Option<_>>()?),
            serde_json::Value::Object(keys) => {
                let entry = |(key, value): (&String, _)| Some(Entry::default(key, Self::from_json(value)?));
                Value::Table(Table(keys.iter().filter_map(entry).collect()))
            }
            serde_json::Value::Null => return None,
        };
        Some(Self::new(value, None))
    }

    pub(super) fn to_toml(&self) -> String {
        match &self.value {
            Value::Text(text) => quoted(text),
            // A variable's text was read as what its key wants; show it as that where it can be told.
            Value::Loose(text) => match super::node::parse_value(text, None) {
                Some(node) if !matches!(node.value, Value::Text(_) | Value::Other(_)) => text.trim().to_owned(),
                _ => quoted(text),
            },
            Value::Whole(number) => number.to_string(),
            Value::Truth(truth) => truth.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(Self::to_toml).collect::<Vec<_>>().join(", ")),
            Value::Table(table) => {
                let entry = |entry: &super::node::Entry| format!("{} = {}", quoted(&entry.key), entry.node.to_toml());
                format!("{{ {} }}", table.0.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Value::Other(_) | Value::Broken => quoted(""),
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Environment, Source, load};

    const CANARY: &str = "CANARY-0123456789";

    /// A configuration with the canary everywhere where a secret can stand.
    fn with_secrets(more: &str) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        fs::write(dir.path().join("secret"), CANARY).unwrap();
        let text = format!(
            "[shop.a]\ntoken = \"{CANARY}\"\nprevious_token = {{ file = \"secret\" }}\n\
             [smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\nusername = \"a\"\npassword = \"{CANARY}\"\n\
             [sink.x]\ntype = \"http\"\nurl = \"https://u/{CANARY}\"\nsecret = {{ env = \"SECRET\" }}\n\
             headers = {{ authorization = \"{CANARY}\" }}\n\
             [sink.y]\ntype = \"slack\"\nurl = \"https://hooks.slack.com/{CANARY}\"\n{more}"
        );
        fs::write(&path, text).unwrap();
        (dir, Source::File(path))
    }

    fn environment() -> Environment {
        [("SECRET", CANARY), ("TILLHOOK_SINK__X__PREVIOUS_SECRET", CANARY)].into_iter().collect()
    }

    #[test]
    fn no_secret_is_shown_or_debugged() {
        let (_dir, source) = with_secrets("");
        let loaded = load(&source, &environment()).unwrap();
        let advice = crate::config::advice(&loaded);
        let everything = format!("{loaded:?} {loaded:#?} {advice:?} {}", show(&loaded));
        assert!(!everything.contains("CANARY"), "{everything}");
        assert_eq!(show(&loaded).matches(MASK).count(), 8);
    }

    #[test]
    fn no_problem_quotes_a_secret() {
        let wrong = [
            format!("token = CANARY{CANARY}"),
            format!("[sink.z]\ntype = \"http\"\nurl = [\"{CANARY}\"]\nsecret = {{ file = [\"{CANARY}\"] }}"),
            format!("[shop.b]\ntoken = \"{CANARY} {CANARY}\"\nprevious_token = \"CANARY\""),
            format!("[shop.b]\ntoken = \"{CANARY}\""),
        ];
        for wrong in &wrong {
            let (_dir, source) = with_secrets(wrong);
            let problems = load(&source, &environment()).unwrap_err();
            assert!(!format!("{problems} {problems:?}").contains("CANARY"), "{problems}");
        }
    }

    #[test]
    fn every_value_is_shown_with_its_origin_as_toml() {
        let (_dir, source) = with_secrets("on = [\"order.validated\"]\n");
        let set: Environment = [("SECRET", CANARY), ("TILLHOOK_SINK__Y__CONCURRENCY", "2")].into_iter().collect();
        let shown = show(&load(&source, &set).unwrap());
        let Source::File(file) = source else { panic!("a file") };
        let file = file.display();
        for line in [
            "[sink.y]".to_owned(),
            "listen = \"0.0.0.0:8080\"  # default".to_owned(),
            format!("on = [\"order.validated\"]  # {file}:18"),
            format!("url = \"********\"  # {file}:17"),
            "concurrency = 2  # TILLHOOK_SINK__Y__CONCURRENCY".to_owned(),
            "timeout = \"15s\"  # default".to_owned(),
            "per_order = \"follow\"  # default".to_owned(),
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
        }
        assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
    }

    #[test]
    fn what_is_in_force_without_being_written_is_shown_too() {
        let (_dir, source) =
            with_secrets("only = { refund = \"exclude\" }\n[sink.z]\ntype = \"email\"\nto = [\"b@example.com\"]\n");
        let shown = show(&load(&source, &environment()).unwrap());
        let Source::File(file) = source else { panic!("a file") };
        let file = file.display();
        let table = |name: &str| -> String {
            let head = format!("[{name}]\n");
            let tables = shown.split("\n\n").map(|table| table.trim_end().to_owned() + "\n");
            tables.filter_map(|table| table.strip_prefix(&head).map(str::to_owned)).collect()
        };
        for (name, lines) in [
            ("server", vec!["# not set: public_url".to_owned()]),
            ("shop.a", vec!["name = \"a\"  # default".to_owned()]),
            ("smtp", vec!["tls = \"implicit\"  # default".to_owned()]),
            (
                "delivery",
                ["timeout = \"15s\"  # default", "alerts = [\"y\", \"z\"]  # default"].map(str::to_owned).into(),
            ),
            (
                "sink.x",
                ["format = \"standard\"  # default", "include_customer = false  # default"].map(str::to_owned).into(),
            ),
            (
                "sink.x.only",
                ["refund = \"include\"  # default", "customer = \"any\"  # default"].map(str::to_owned).into(),
            ),
            (
                "sink.y",
                ["show = [\"total\", \"items\"]  # default", "# not set: token, channel, locale"]
                    .map(str::to_owned)
                    .into(),
            ),
            (
                "sink.y.only",
                vec![format!("refund = \"exclude\"  # {file}:18"), "# not set: min_total, max_total".to_owned()],
            ),
            ("sink.z", vec!["profile = \"human\"  # default".to_owned(), "timeout = \"5m\"  # default".to_owned()]),
            (
                "sink.z",
                vec![
                    format!("from = \"a@example.com\"  # {file}:7"),
                    "# not set: reply_to, locale, digest, csv, limit".to_owned(),
                ],
            ),
        ] {
            for line in lines {
                assert!(table(name).lines().any(|shown| shown == line), "{line} in [{name}] of\n{shown}");
            }
        }
    }
}
