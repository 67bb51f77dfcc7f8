//! Makes the [`Config`] out of the tree: each table by itself, then what holds between them.

use std::{collections::BTreeMap, fmt::Display};

use serde::Deserialize;

use super::{
    Config, Delivery, Problem, Server, ShopConfig, SinkConfig, Storage, api, check,
    fault::Fault,
    node::{Entry, Node, Table, Value},
    problem::{Report, hint},
    read::Section,
    schema,
    secret::{SHORTEST_TOKEN, is_token},
    sinks,
    tables::ShopTable,
};
use crate::{
    order::{Accounting, Shop, ShopId, SinkName},
    sink::email::{Preset, Smtp},
};

/// Kinds of sinks that are told of alerts where `delivery.alerts` does not say who.
const TOLD_BY_DEFAULT: &[&str] = &["email", "slack"];

/// Reads the whole tree and completes it with the defaults in force. Everything that is wrong goes to `report`; `None`
/// only where something was wrong.
pub(super) fn build(root: &mut Table, defaults: &Table, report: &mut Report) -> Option<Config> {
    unknown_sections(root, report);
    let server = section(root, defaults, "server", report, |node| Server::deserialize(node));
    let storage = section(root, defaults, "storage", report, |node| Storage::deserialize(node));
    let delivery = section(root, defaults, "delivery", report, |node| Delivery::deserialize(node));
    let smtp = root.has("smtp").then(|| read_smtp(root, report));
    let accounting = root.has("accounting").then(|| read_accounting(root, report));
    let shops: BTreeMap<ShopId, ShopConfig> = named(root, defaults, "shop", report, read_shop);
    if !root.has("shop") {
        let fix = "add a table such as `[shop.dupont]`, or write a new file with `tillhook init`";
        report.problem(Problem::new("no shop is configured", None, fix));
    }
    let shared = root.section("delivery").cloned().unwrap_or_default();
    let sinks: BTreeMap<SinkName, SinkConfig> =
        named(root, defaults, "sink", report, |name, section, report| sinks::read(name, section, &shared, report));
    let mut config = Config {
        server: server?,
        storage: storage?,
        shops,
        smtp: smtp.flatten(),
        delivery: delivery?,
        accounting: accounting.flatten(),
        sinks,
    };
    check::check(&config, root, report);
    choose_alerted(&mut config);
    complete(root, &config);
    Some(config)
}

fn unknown_sections(root: &mut Table, report: &mut Report) {
    root.0.retain(|entry| {
        let known = schema::SECTIONS.contains(&entry.key.as_str());
        if !known {
            let fix = hint(&entry.key, schema::SECTIONS.iter().copied());
            let what = format!("`{}` is not a known table", entry.key);
            report.unknown(&entry.key, Problem::new(what, entry.place.clone(), fix));
        }
        known
    });
}

/// Reads a table that has defaults, and puts it back with them.
fn section<T>(
    root: &mut Table,
    defaults: &Table,
    name: &str,
    report: &mut Report,
    parse: impl Fn(&Node) -> Result<T, Fault>,
) -> Option<T> {
    let below = defaults.section(name).cloned().unwrap_or_default();
    let entry = root.remove(name).unwrap_or_else(|| empty(name));
    let mut section = Section::new(&[name], entry, &below);
    section.table(report)?.lay_over(&below);
    let read = section.read(report, parse);
    root.set(name, section.node);
    read
}

fn empty(name: &str) -> Entry {
    Entry { key: name.to_owned(), place: None, node: Node::new(Value::Table(Table::default()), None) }
}

fn read_smtp(root: &mut Table, report: &mut Report) -> Option<Smtp> {
    let entry = root.remove("smtp")?;
    let preset = entry.node.table().and_then(|table| table.get("preset")).and_then(|entry| entry.node.text());
    let preset = preset.filter(|word| !word.is_empty()).map(str::to_owned);
    let mut below = preset.as_deref().map(server_of).unwrap_or_default();
    below.lay_over(&schema::defaults_of_smtp());
    let mut section = Section::new(&["smtp"], entry, &below);
    section.table(report)?.lay_over(&below);
    // Where the preset is a slip of the pen, that is told, and not what it would have said.
    let required = schema::required_of_smtp().into_iter().filter(|key| preset.is_none() || key == "from");
    let complete = section.demand(&required.collect::<Vec<_>>(), report);
    let smtp = section.read(report, |node| Smtp::deserialize(node));
    root.set("smtp", section.node);
    smtp.filter(|_| complete)
}

fn read_accounting(root: &mut Table, report: &mut Report) -> Option<Accounting> {
    let nothing = Table::default();
    let mut section = Section::new(&["accounting"], root.remove("accounting")?, &nothing);
    let complete = section.demand(&schema::required_of_accounting(), report);
    let accounting = section.read(report, |node| Accounting::deserialize(node));
    root.set("accounting", section.node);
    accounting.filter(|_| complete)
}

/// What a provider's name stands for; nothing where there is none of that name.
fn server_of(preset: &str) -> Table {
    let Some((host, port, tls)) = Preset::ALL.iter().find(|known| known.word() == preset).map(|known| known.server())
    else {
        return Table::default();
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let keys = [("host", text(host)), ("port", Value::Whole(port.into())), ("tls", text(tls.word()))];
    Table(keys.map(|(key, value)| Entry::default(key, Node::new(value, None))).into())
}

/// Reads each of the tables below `[shop]` or `[sink]`, over the defaults of its kind.
fn named<N: TryFrom<String, Error: Display> + Ord, T>(
    root: &mut Table,
    defaults: &Table,
    kind: &str,
    report: &mut Report,
    read: impl Fn(&N, &mut Section<'_>, &mut Report) -> Option<T>,
) -> BTreeMap<N, T> {
    let mut below = defaults.section(kind).and_then(|all| all.0.first()).and_then(|one| one.node.table().cloned());
    let below = below.get_or_insert_default();
    below.0.retain(|entry| !["name", "type"].contains(&entry.key.as_str()));
    let Some(entry) = root.get_mut(kind) else { return BTreeMap::new() };
    let place = entry.place.clone();
    let Some(all) = entry.node.table_mut() else {
        let fix = format!("write `[{kind}.NAME]` on a line of its own and its keys below");
        report.problem(Problem::new(format!("`{kind}` must be a table"), place, fix));
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for entry in &mut all.0 {
        let name = match N::try_from(entry.key.clone()) {
            Ok(name) => name,
            Err(error) => {
                let fix = "rename the table, for instance to its first word in small letters";
                report.problem(Problem::new(error.to_string(), entry.place.clone(), fix));
                continue;
            }
        };
        let mut section = Section::new(&[kind, &entry.key], entry.clone(), below);
        let Some(table) = section.table(report) else { continue };
        table.lay_over(below);
        if let Some(value) = read(&name, &mut section, report) {
            found.insert(name, value);
        }
        entry.node = section.node;
    }
    found
}

fn read_shop(id: &ShopId, section: &mut Section<'_>, report: &mut Report) -> Option<ShopConfig> {
    let complete = section.demand(&["token".to_owned()], report);
    for key in ["token", "previous_token"] {
        check_token(section, key, report);
    }
    let api = api::read(section, report);
    let table = section.read(report, |node| ShopTable::deserialize(node)).filter(|_| complete)?;
    let name = table.name.unwrap_or_else(|| id.to_string());
    let shop = Shop { id: id.clone(), name, timezone: table.timezone, currency: table.currency, locale: table.locale };
    Some(ShopConfig {
        shop,
        token: table.token,
        previous_token: table.previous_token,
        fetch_invoices: table.fetch_invoices,
        invoice_wait: table.invoice_wait,
        gap_after: table.gap_after,
        silent_after: table.silent_after,
        till_hosts: table.till_hosts,
        verify: table.verify,
        api: api.ok()?,
    })
}

fn check_token(section: &Section<'_>, key: &str, report: &mut Report) {
    let Some(entry) = section.node.table().and_then(|table| table.get(key)) else { return };
    if entry.node.text().is_some_and(|text| !text.is_empty() && !is_token(text)) {
        let what = format!(
            "`{}.{key}` cannot be the end of an address: it needs at least {SHORTEST_TOKEN} characters, all of them \
             letters, digits, `-` or `_`",
            section.path.join(".")
        );
        report.problem(Problem::new(what, entry.node.place.clone(), "make one with `tillhook secrets new --token`"));
    }
}

/// Puts into the tree what follows from several tables, so that it is shown with the rest.
fn complete(root: &mut Table, config: &Config) {
    let text = |text: &str| Node::new(Value::Text(text.to_owned()), None);
    for (id, shop) in &config.shops {
        if let Some(table) = root.section_mut("shop").and_then(|shops| shops.section_mut(id.as_str())) {
            table.lay_over(&Table(vec![Entry::default("name", text(&shop.shop.name))]));
        }
    }
    let alerted = config.sinks.iter().filter(|(_, sink)| sink.rule.alerts).map(|(name, _)| text(name.as_str()));
    let alerted = Node::new(Value::List(alerted.collect()), None);
    if let Some(delivery) = root.section_mut("delivery") {
        delivery.lay_over(&Table(vec![Entry::default("alerts", alerted)]));
    }
    let Some(from) = root.section("smtp").and_then(|smtp| smtp.get("from")).cloned() else { return };
    for (name, _) in config.sinks.iter().filter(|(_, sink)| sink.options.kind() == "email") {
        if let Some(table) = root.section_mut("sink").and_then(|sinks| sinks.section_mut(name.as_str())) {
            table.lay_over(&Table(vec![from.clone()]));
        }
    }
}

fn choose_alerted(config: &mut Config) {
    for (name, sink) in &mut config.sinks {
        sink.rule.alerts = match &config.delivery.alerts {
            Some(named) => named.contains(name),
            // A machine that takes invoices reads nothing else.
            None => TOLD_BY_DEFAULT.contains(&sink.options.kind()) && !sink.rule.needs_invoice,
        };
    }
}
