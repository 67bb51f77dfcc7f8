//! Reads one table of the tree into a type, and tells everything that is wrong with it.

use super::{
    fault::{Fault, FaultKind, Step},
    node::{Entry, Node, Table, Value},
    problem::{Place, Problem, Report, hint},
    schema,
};
use crate::sink::email::Preset;

/// The key that is hinted at with [`PORTS`].
const SMTP_PORT: [&str; 2] = ["smtp", "port"];

/// What the port of a mail server is, as good as everywhere.
const PORTS: &str = "write `port = 465` with `tls = \"implicit\"`, or `port = 587` with `tls = \"starttls\"`";

/// A table about to be read.
pub(super) struct Section<'a> {
    /// Its name as the operator wrote it: `shop.dupont`.
    pub(super) path: Vec<String>,
    pub(super) node: Node,
    /// What takes the place of a value that is wrong, so that one mistake is told once.
    pub(super) defaults: &'a Table,
    /// Keys that exist although the type read here does not know them.
    pub(super) also_known: Vec<String>,
}

impl<'a> Section<'a> {
    pub(super) fn new(path: &[&str], entry: Entry, defaults: &'a Table) -> Self {
        let path = path.iter().map(|&step| step.to_owned()).collect();
        let node = Node { place: entry.place, ..entry.node };
        Self { path, node, defaults, also_known: Vec::new() }
    }

    /// The table's keys; `None` where something else stands in its place, which is told.
    pub(super) fn table(&mut self, report: &mut Report) -> Option<&mut Table> {
        if self.node.table().is_none() && !matches!(self.node.value, Value::Broken) {
            let name = self.path.join(".");
            let fix = format!("write `[{name}]` on a line of its own and its keys below");
            report.problem(Problem::new(format!("`{name}` must be a table"), self.node.place.clone(), fix));
        }
        self.node.table_mut()
    }

    /// Tells which of `required` are not there; whether all are.
    pub(super) fn demand(&mut self, required: &[String], report: &mut Report) -> bool {
        let Some(table) = self.table(report) else { return false };
        let present = |key: &str| table.get(key).is_some_and(|entry| entry.node.text() != Some(""));
        let missing: Vec<&String> = required.iter().filter(|key| !present(key)).collect();
        let table = self.node.table();
        for key in &missing {
            let empty = table.and_then(|table| table.get(key)).and_then(|entry| entry.node.place.clone());
            report.problem(self.missing(&self.path, key, empty.or_else(|| self.node.place.clone())));
        }
        missing.is_empty()
    }

    /// Reads the table. Each thing that is wrong is told and taken out until the rest can be read; `None` where
    /// something is missing that has no default.
    pub(super) fn read<T>(&mut self, report: &mut Report, parse: impl Fn(&Node) -> Result<T, Fault>) -> Option<T> {
        self.table(report)?;
        let mut complete = true;
        loop {
            let fault = match parse(&self.node) {
                Ok(value) => return Some(value),
                Err(fault) => fault,
            };
            let steps: Vec<Step> = fault.path.iter().rev().cloned().collect();
            let at_top = steps.is_empty();
            if at_top && !complete {
                return None;
            }
            self.tell(fault, &steps, report);
            if at_top || !self.take_out(&steps) {
                return None;
            }
            complete = false;
        }
    }

    fn tell(&self, fault: Fault, steps: &[Step], report: &mut Report) {
        let place = fault.place.or_else(|| self.node.place.clone());
        let path = written(&self.path, steps);
        match fault.kind {
            FaultKind::Told => {}
            FaultKind::Unknown { known } => {
                let key = path.last().cloned().unwrap_or_default();
                report.unknown(&key, self.unknown(&path, steps, known, place));
            }
            FaultKind::Missing(key) => report.problem(self.missing(&path, &key, place)),
            FaultKind::Wrong { what, fix } => {
                let what = if what.starts_with("must ") || what.starts_with("is ") {
                    format!("`{}` {what}", path.join("."))
                } else {
                    format!("`{}`: {what}", path.join("."))
                };
                let fix = if path == SMTP_PORT { Some(PORTS.to_owned()) } else { fix };
                let fix = fix.unwrap_or_else(|| "see `tillhook config schema` for what it may be".to_owned());
                report.problem(Problem::new(what, place, fix));
            }
        }
    }

    fn unknown(&self, path: &[String], steps: &[Step], known: &[&str], place: Option<Place>) -> Problem {
        let key = path.last().map_or("", String::as_str);
        let more = self.also_known.iter().filter(|_| steps.len() == 1).map(String::as_str);
        let fix = match &place {
            Some(Place::Variable(name)) => {
                let names: Vec<String> =
                    known.iter().copied().chain(more).map(|other| variable(name, key, other)).collect();
                hint(name, names.iter().map(String::as_str))
            }
            _ => hint(key, known.iter().copied().chain(more)),
        };
        Problem::new(format!("`{}` is not a known key", path.join(".")), place, fix)
    }

    fn missing(&self, path: &[String], key: &str, place: Option<Place>) -> Problem {
        let fix = match (self.path.first().map(String::as_str), key) {
            (Some("shop"), "token") => "make one with `tillhook secrets new --token`, and add `token = \"…\"`, \
                                        `token = { file = \"…\" }` or `token = { env = \"…\" }`"
                .to_owned(),
            (_, "type") => {
                format!("add `type = \"…\"`: one of {}", super::problem::listed(crate::sink::Options::KINDS))
            }
            (Some("smtp"), "port") => PORTS.to_owned(),
            (Some("smtp"), "host") => {
                let presets = Preset::ALL.map(Preset::word);
                format!("add `host = …`, or `preset = …`: one of {}", super::problem::listed(&presets))
            }
            _ if schema::is_secret(&[key]) => {
                format!("add `{key} = \"…\"`, `{key} = {{ file = \"…\" }}` or `{key} = {{ env = \"…\" }}`")
            }
            _ => format!("add `{key} = …`"),
        };
        Problem::new(format!("`{}` has no `{key}`", path.join(".")), place, fix)
    }

    /// Removes the value at `steps`, or puts the default in its place; whether anything was changed.
    fn take_out(&mut self, steps: &[Step]) -> bool {
        let (Some(table), [Step::Key(key), within @ ..]) = (self.node.table_mut(), steps) else { return false };
        let Some(entry) = table.get_mut(key) else { return false };
        // What stands inside the text of a variable cannot be taken out alone.
        if !within.is_empty() && !matches!(entry.node.value, Value::Loose(_)) {
            return remove(&mut entry.node, within);
        }
        match self.defaults.get(key) {
            // A default that does not fit either is not tried again.
            Some(default) if default.node.place != entry.node.place => entry.node = default.node.clone(),
            _ => drop(table.remove(key)),
        }
        true
    }
}

fn remove(node: &mut Node, steps: &[Step]) -> bool {
    match (&mut node.value, steps) {
        (Value::Table(table), [Step::Key(key)]) => table.remove(key).is_some(),
        (Value::List(items), [Step::Item(index)]) if *index < items.len() => {
            // Left in its place, so that the items behind it keep their numbers.
            items[*index].value = Value::Broken;
            true
        }
        (Value::Table(table), [Step::Key(key), rest @ ..]) => match table.get_mut(key) {
            Some(entry) => remove(&mut entry.node, rest),
            None => false,
        },
        (Value::List(items), [Step::Item(index), rest @ ..]) => {
            items.get_mut(*index).is_some_and(|item| remove(item, rest))
        }
        _ => false,
    }
}

/// `shop.dupont` and `till_hosts`, item 2: `shop.dupont.till_hosts[2]`, as steps.
fn written(path: &[String], steps: &[Step]) -> Vec<String> {
    let mut written = path.to_vec();
    for step in steps {
        match (step, written.last_mut()) {
            (Step::Item(index), Some(last)) => last.push_str(&format!("[{index}]")),
            (Step::Item(_), None) => {}
            (Step::Key(key), _) => written.push(key.clone()),
        }
    }
    written
}

/// The variable that would have set `other` where `variable` set `key`.
fn variable(variable: &str, key: &str, other: &str) -> String {
    let name = variable.strip_suffix("_FILE").filter(|name| name.ends_with(&key.to_uppercase())).unwrap_or(variable);
    let (stem, end) = (name.strip_suffix(&key.to_uppercase()).unwrap_or(name), &variable[name.len()..]);
    format!("{stem}{}{end}", other.to_uppercase())
}
