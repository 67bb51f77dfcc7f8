//! What must hold between the tables: different tokens, names that exist, schedules that fit, a server for the mails.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{
    Config, Place, Problem, loops,
    node::Table,
    problem::{Report, hint},
};
use crate::{
    order::{ReportFile, ShopId, SinkName},
    route::ShopPattern,
};

/// Tells everything that does not hold.
pub(super) fn check(config: &Config, root: &Table, report: &mut Report) {
    tokens_differ(config, root, report);
    schedules_fit(config, root, report);
    alerts_exist(config, root, report);
    shops_exist(config, root, report);
    mail_has_a_server(config, root, report);
    journals_have_accounts(config, root, report);
    reports_have_a_till(config, root, report);
    loops::check(config, root, report);
}

/// Nothing is assumed about accounts.
fn journals_have_accounts(config: &Config, root: &Table, report: &mut Report) {
    if config.accounting.is_some() || root.has("accounting") {
        return;
    }
    for (name, sink) in &config.sinks {
        let files = sink.options.summaries().map(|summaries| summaries.files).unwrap_or_default();
        if files.contains(&ReportFile::Journal) {
            let what = format!("`sink.{name}.attach` names journal.csv, and no accounts are known");
            let fix = "add a table `[accounting]` with `journal`, `customer` and `rates`; see `config/example.toml`";
            report.problem(Problem::new(what, place(root, &["sink", name.as_str(), "attach"]), fix));
        }
    }
}

/// The till's own reports are asked of its API.
fn reports_have_a_till(config: &Config, root: &Table, report: &mut Report) {
    for (name, sink) in &config.sinks {
        let wanted = sink.options.summaries().map(|summaries| summaries.reports).unwrap_or_default();
        let Some(file) = wanted.first() else { continue };
        let without = config.shops.iter().filter(|(id, shop)| shop.api.is_none() && sink.rule.admits(Some(id)));
        for (shop, _) in without {
            let what = format!(
                "`sink.{name}.also_attach` names {}, and the till of `shop.{shop}` cannot be asked for it",
                file.as_str()
            );
            let fix = format!(
                "add a table `[shop.{shop}.api]` with `host`, `shop_id` and `key` (`tillhook pos login` gets them), or \
                 leave the shop out with `shops`"
            );
            report.problem(Problem::new(what, place(root, &["sink", name.as_str(), "also_attach"]), fix));
        }
    }
}

/// A token tells the shops apart, so no two of them may have the same.
fn tokens_differ(config: &Config, root: &Table, report: &mut Report) {
    let mut seen: Vec<(&ShopId, &str)> = Vec::new();
    for (id, shop) in &config.shops {
        let tokens = [("token", Some(&shop.token)), ("previous_token", shop.previous_token.as_ref())];
        for (key, token) in tokens.into_iter().filter_map(|(key, token)| token.map(|token| (key, token))) {
            let token = token.expose_secret();
            if let Some((other, _)) = seen.iter().find(|(other, known)| *other != id && *known == token) {
                let what = format!("`shop.{id}.{key}` is also a token of `shop.{other}`");
                let fix = "make another one with `tillhook secrets new --token`";
                report.problem(Problem::new(what, place(root, &["shop", id.as_str(), key]), fix));
            }
            seen.push((id, token));
        }
    }
}

/// A sink must pause before its deliveries are given up, so that its queue is kept.
fn schedules_fit(config: &Config, root: &Table, report: &mut Report) {
    let delivery = (vec!["delivery"], &config.delivery.retry, config.delivery.pause_after);
    let sinks = config.sinks.iter().map(|(name, sink)| (vec!["sink", name.as_str()], &sink.retry, sink.pause_after));
    for (path, retry, pause_after) in std::iter::once(delivery).chain(sinks) {
        let sum: Duration = retry.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait));
        if retry.is_empty() || pause_after < sum {
            continue;
        }
        let within = |key: &'static str| place(root, &[&path[..], &[key]].concat());
        // What is inherited is told once, where it is written.
        let inherited = path[0] == "sink"
            && ["retry", "pause_after"].iter().all(|key| within(key) == place(root, &["delivery", key]));
        if !inherited {
            let what = format!("`{}.pause_after` is not less than the sum of `retry`", path.join("."));
            let at = within("pause_after").or_else(|| within("retry"));
            let fix =
                "shorten `pause_after`, or retry for longer: deliveries would be given up before the sink is paused";
            report.problem(Problem::new(what, at, fix));
        }
    }
}

fn alerts_exist(config: &Config, root: &Table, report: &mut Report) {
    for (index, name) in config.delivery.alerts.iter().flatten().enumerate() {
        if !config.sinks.contains_key(name) && !mentioned(root, "sink", name.as_str()) {
            let what = format!("`delivery.alerts`: there is no sink `{name}`");
            let fix = hint(name.as_str(), config.sinks.keys().map(SinkName::as_str));
            report.problem(Problem::new(what, item(root, &["delivery", "alerts"], index), fix));
        }
    }
}

fn shops_exist(config: &Config, root: &Table, report: &mut Report) {
    for (sink, settings) in &config.sinks {
        for (index, pattern) in settings.rule.shops.iter().enumerate() {
            let ShopPattern::Is(shop) = pattern else { continue };
            if !mentioned(root, "shop", shop.as_str()) {
                let what = format!("`sink.{sink}.shops`: there is no shop `{shop}`");
                let fix = hint(shop.as_str(), config.shops.keys().map(ShopId::as_str));
                report.problem(Problem::new(what, item(root, &["sink", sink.as_str(), "shops"], index), fix));
            }
        }
    }
}

fn mail_has_a_server(config: &Config, root: &Table, report: &mut Report) {
    if config.smtp.is_some() || root.has("smtp") {
        return;
    }
    let mails = config.sinks.iter().filter(|(_, sink)| sink.options.kind() == "email");
    for (name, _) in mails {
        let what = format!("`sink.{name}` sends e-mail, but there is no mail server");
        let at = place(root, &["sink", name.as_str(), "type"]);
        report.problem(Problem::new(what, at, "add a table `[smtp]` with `host`, `port` and `from`"));
    }
}

/// Whether the table is there, be it right or wrong: what is wrong with it has been told.
fn mentioned(root: &Table, section: &str, name: &str) -> bool {
    root.section(section).is_some_and(|all| all.has(name))
}

/// Where the value at `path` is written.
pub(super) fn place(root: &Table, path: &[&str]) -> Option<Place> {
    let (key, above) = path.split_last()?;
    let table = above.iter().try_fold(root, |table, step| table.section(step))?;
    table.get(key)?.node.place.clone()
}

/// Where the item of a list is written, else where the list is.
fn item(root: &Table, path: &[&str], index: usize) -> Option<Place> {
    let (key, above) = path.split_last()?;
    let table = above.iter().try_fold(root, |table, step| table.section(step))?;
    let node = &table.get(key)?.node;
    let item = node.items().get(index).and_then(|item| item.place.clone());
    item.or_else(|| node.place.clone())
}
