//! A configuration as a tree in which every value knows where it was written.
//!
//! The file, the environment and the defaults are laid over each other in this one shape, so that an error names its
//! line or its variable whichever layer it came from.
//!
//! **Invariant:** nothing here is `Debug`: the tree holds secrets in the clear.

use std::{path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// A value and where it was written; `None` is a default.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Option<Place>,
    /// It came out of a secret's file or variable, so it is masked whatever its key.
    pub(super) hidden: bool,
}

#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    /// Text of an environment variable, which is read as whatever its key wants.
    Loose(String),
    Whole(i64),
    Truth(bool),
    List(Vec<Node>),
    Table(Table),
    /// What no key takes: a number with a point, a date.
    Other(&'static str),
    /// A problem has been told already.
    Broken,
}

/// Keys in the order in which they were written.
#[derive(Clone, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Option<Place>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(value: Value, place: Option<Place>) -> Self {
        Self { value, place, hidden: false }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Loose(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Entry {
    /// A default: it is written nowhere.
    pub(super) fn default(key: &str, node: Node) -> Self {
        Self { key: key.to_owned(), place: None, node }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.key == key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The table under `key`, where there is one.
    pub(super) fn section(&self, key: &str) -> Option<&Table> {
        self.get(key).and_then(|entry| entry.node.table())
    }

    pub(super) fn section_mut(&mut self, key: &str) -> Option<&mut Table> {
        self.get_mut(key).and_then(|entry| entry.node.table_mut())
    }

    /// Sets `key`, in its old place where it has one.
    pub(super) fn set(&mut self, key: &str, node: Node) {
        match self.get_mut(key) {
            Some(entry) => entry.node = node,
            None => self.0.push(Entry { key: key.to_owned(), place: node.place.clone(), node }),
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(index))
    }

    /// Adds what `below` has and this table has not, in the tables inside it too; an empty text is the same as leaving the
    /// key out.
    pub(super) fn lay_over(&mut self, below: &Table) {
        for entry in &below.0 {
            match self.get_mut(&entry.key) {
                None => self.0.push(entry.clone()),
                Some(own) if own.node.text() == Some("") => own.node = entry.node.clone(),
                Some(own) => {
                    if let (Some(own), Some(below)) = (own.node.table_mut(), entry.node.table()) {
                        own.lay_over(below);
                    }
                }
            }
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// Everything that is not TOML. The parser's own messages do not quote the text.
pub(super) fn parse_file(file: &Path, text: &str) -> Result<Table, Vec<Problem>> {
    let file: Arc<Path> = file.into();
    let place = |offset: usize| Some(Place::in_file(&file, text, offset));
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(convert(table.into_inner(), &place));
    }
    let problem = |error: &toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        Problem::new(format!("this is not TOML: {}", error.message()), place(offset), "correct the line")
    };
    Err(errors.iter().map(problem).collect())
}

/// Reads one TOML value, such as an environment variable's; `None` where it is not TOML.
pub(super) fn parse_value(text: &str, place: Option<Place>) -> Option<Node> {
    let text = format!("value = {text}");
    let table = DeTable::parse(&text).ok()?;
    convert(table.into_inner(), &|_| place.clone()).remove("value").map(|entry| entry.node)
}

/// Reads text of our own: its values stand nowhere.
pub(super) fn parse_defaults(text: &str) -> Table {
    DeTable::parse(text).map(|table| convert(table.into_inner(), &|_| None)).unwrap_or_default()
}

fn convert(table: DeTable<'_>, place: &impl Fn(usize) -> Option<Place>) -> Table {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let (at, span) = (key.span().start, value.span());
            let node = Node::new(convert_value(value.into_inner(), place), place(span.start));
            (at, Entry { key: key.into_inner().into_owned(), place: place(at), node })
        })
        .collect();
    entries.sort_by_key(|(at, _)| *at);
    Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn convert_value(value: DeValue<'_>, place: &impl Fn(usize) -> Option<Place>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that is too large"), Value::Whole),
        DeValue::Float(_) => Value::Other("a number with a point"),
        DeValue::Boolean(truth) => Value::Truth(truth),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => {
            let node = |item: toml::Spanned<DeValue<'_>>| {
                let at = place(item.span().start);
                Node::new(convert_value(item.into_inner(), place), at)
            };
            Value::List(list.into_iter().map(node).collect())
        }
        DeValue::Table(table) => Value::Table(convert(table, place)),
    }
}
