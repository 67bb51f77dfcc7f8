//! Reads a sink's table: the keys that every sink has, and those of its kind, which its kind reads itself.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Problem, SinkConfig,
    node::{Entry, Node, Table, Value},
    problem::{Report, hint},
    read::Section,
    schema,
    tables::SinkTable,
    values::Interval,
};
use crate::{
    order::SinkName,
    route::Rule,
    sink::{Options, TIMEOUT},
};

/// Keys of a sink that are those of `[delivery]` where it has none of its own.
const INHERITED: &[&str] = &["retry", "timeout", "concurrency", "pause_after"];

/// Reads the sink's table and completes it with what it inherits from `delivery` and from its kind.
pub(super) fn read(
    name: &SinkName,
    section: &mut Section<'_>,
    delivery: &Table,
    report: &mut Report,
) -> Option<SinkConfig> {
    let kind = kind(section, report)?;
    let every = schema::keys_of_every_sink();
    let (common, own) = split(section, &every);

    let nothing = Table::default();
    let mut own = part(section, own, &nothing);
    own.also_known.clone_from(&every);
    own.table(report)?.lay_over(&schema::defaults_of_sink(&kind));
    let complete = own.demand(&schema::required_of_sink(&kind), report);
    let options = own.read(report, |node| Options::parse(&kind, node)).filter(|_| complete);

    let below = inherited(section.defaults, delivery, options.as_ref());
    let mut common = part(section, common, &below);
    common.table(report)?.lay_over(&below);
    let table = common.read(report, |node| SinkTable::deserialize(node));

    let both = [common.node, own.node].into_iter().filter_map(|node| node.table().cloned()).flat_map(|table| table.0);
    section.node.value = Value::Table(Table(both.collect()));
    options.zip(table).map(|(options, table)| finish(name, options, table))
}

/// The `type`, where it is one.
fn kind(section: &mut Section<'_>, report: &mut Report) -> Option<String> {
    if !section.demand(&["type".to_owned()], report) {
        return None;
    }
    let entry = section.node.table()?.get("type")?;
    let kind = entry.node.text().unwrap_or_default();
    if Options::KINDS.contains(&kind) {
        return Some(kind.to_owned());
    }
    let what = format!("`{}.type`: there is no such kind of sink", section.path.join("."));
    report.problem(Problem::new(what, entry.node.place.clone(), hint(kind, Options::KINDS.iter().copied())));
    None
}

fn split(section: &Section<'_>, every: &[String]) -> (Vec<Entry>, Vec<Entry>) {
    let entries = section.node.table().map(|table| table.0.clone()).unwrap_or_default();
    entries.into_iter().partition(|entry| every.contains(&entry.key))
}

/// The same table with some of its keys.
fn part<'a>(section: &Section<'_>, entries: Vec<Entry>, defaults: &'a Table) -> Section<'a> {
    let node = Node { value: Value::Table(Table(entries)), ..section.node.clone() };
    Section { path: section.path.clone(), node, defaults, also_known: Vec::new() }
}

fn inherited(defaults: &Table, delivery: &Table, options: Option<&Options>) -> Table {
    // Where the options cannot be read the sink is not built, and these two only keep the rest readable.
    let per_order = options.map_or("each", Options::default_per_order);
    let timeout = options.map_or(TIMEOUT, Options::default_timeout);
    let mut below = defaults.clone();
    let shared = INHERITED.iter().filter_map(|key| delivery.get(key)).filter(|entry| entry.node.text() != Some(""));
    let shared = shared.filter(|entry| entry.key != "timeout" || !hurries(entry, timeout));
    below.lay_over(&Table(shared.cloned().collect()));
    let of_kind = [("per_order", per_order.to_owned()), ("timeout", Interval(timeout).to_string())];
    below.lay_over(&Table(of_kind.map(|(key, text)| Entry::default(key, Node::new(Value::Text(text), None))).into()));
    below.lay_over(&schema::defaults_of_every_sink());
    below
}

/// Whether `[delivery]` grants less time than a kind needs that asks for more than others: a mail given up while its
/// server still takes it is sent twice.
fn hurries(granted: &Entry, needed: Duration) -> bool {
    let granted = granted.node.text().and_then(|text| Interval::try_from(text.to_owned()).ok());
    needed > TIMEOUT && granted.is_some_and(|granted| granted.0 < needed)
}

fn finish(name: &SinkName, options: Options, table: SinkTable) -> SinkConfig {
    let rule = Rule {
        sink: name.clone(),
        on: table.on,
        shops: table.shops,
        only: table.only,
        per_order: table.per_order,
        settle: table.settle,
        attaches_invoice: options.attaches_invoice(),
        needs_invoice: options.needs_invoice(),
        // Known only when all sinks are.
        alerts: false,
        digests: options.summaries().is_some_and(|summaries| summaries.cadence.is_some()),
    };
    SinkConfig {
        options,
        rule,
        retry: table.retry,
        timeout: table.timeout,
        concurrency: table.concurrency,
        pause_after: table.pause_after,
    }
}
