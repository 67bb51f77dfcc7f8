//! What works but should be known: what `config check` says beyond problems.

use std::{fs, net::IpAddr, os::unix::fs::PermissionsExt};

use jiff::{ToSpan as _, civil::Date};
use rustix::fs::Access;

use super::{Loaded, Place, Problem, SinkConfig};
use crate::{
    order::{CORRECTED_FOR, EventType, SinkName},
    route::PerOrder,
    sink::email::Tls,
};

/// Permission bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// What happens to a single order.
const ORDERS: [EventType; 3] = [EventType::OrderValidated, EventType::OrderTerminated, EventType::OrderUpdated];

/// Advice on a configuration that has no problems.
pub fn advice(loaded: &Loaded) -> Vec<Problem> {
    let mut advice = Vec::new();
    let config = &loaded.config;
    if config.server.public_url.is_none() {
        let what = "there is no `server.public_url`: invoices have no address, and `tillhook url` guesses";
        advice.push(Problem::new(what, None, "set it to the address under which the till reaches this service"));
    }
    if config.sinks.is_empty() {
        advice.push(Problem::new(
            "there is no sink: sales are stored and passed on to nobody",
            None,
            "add a `[sink.NAME]`",
        ));
    }
    for (name, sink) in &config.sinks {
        let at = |key: &str| loaded.origin_of(&format!("sink.{name}.{key}")).cloned();
        for told in sink.options.problems() {
            let (what, fix) = told.split_once(": ").unwrap_or((&told, "see `config/example.toml`"));
            let place = what.split('`').nth(1).and_then(at).or_else(|| at("type"));
            advice.push(Problem::new(format!("`sink.{name}` {what}"), place, fix));
        }
        advice.extend(unread_by_machines(loaded, name, sink));
        advice.extend(beside_a_digest(loaded, name, sink));
        // A sink of nothing but alerts is one, where it is named.
        let is_named = config.delivery.alerts.iter().flatten().any(|alerted| alerted == name);
        if (sink.rule.on.is_empty() && !is_named) || sink.rule.shops.is_empty() {
            let key = if sink.rule.on.is_empty() { "on" } else { "shops" };
            let what = format!("`sink.{name}.{key}` is empty: the sink is told of no sale");
            advice.push(Problem::new(what, at(key), "name something in it, or remove it for the default"));
        }
    }
    advice.extend(alerts_for_an_accountant(loaded));
    advice.extend(no_folder(loaded));
    advice.extend(unlikely_port(loaded));
    advice.extend(readable_password(loaded));
    advice.extend(readable_secrets(loaded));
    advice
}

/// Alerts that reach somebody who looks after the books, not after this service.
fn alerts_for_an_accountant(loaded: &Loaded) -> Option<Problem> {
    let config = &loaded.config;
    let reads_books = |sink: &SinkConfig| sink.rule.alerts && (sink.rule.attaches_invoice || sink.rule.digests);
    let (name, _) = config.sinks.iter().find(|(_, sink)| reads_books(sink))?;
    if config.delivery.alerts.is_some() {
        return None;
    }
    let what = format!("there is no `delivery.alerts`, so `{name}` gets every alert as well as the invoices");
    let fix =
        "name in it the sinks of those who look after the till and this service; one with `on = []` gets alerts alone";
    Some(Problem::new(what, loaded.origin_of(&format!("sink.{name}.type")).cloned(), fix))
}

/// A data directory that is not there, and that this user cannot make.
fn no_folder(loaded: &Loaded) -> Option<Problem> {
    let path = &loaded.config.storage.path;
    let nearest = path.ancestors().find(|folder| fs::symlink_metadata(folder).is_ok())?;
    if rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return None;
    }
    let what = format!("`storage.path` is {}, which this user cannot write to", path.display());
    let fix = "outside of Docker, set it to a folder of yours; in Docker, mount a volume there";
    Some(Problem::new(what, loaded.origin_of("storage.path").cloned(), fix))
}

/// What a sink with a digest does not do, or cannot for long.
fn beside_a_digest(loaded: &Loaded, name: &SinkName, sink: &SinkConfig) -> Vec<Problem> {
    let mut advice = Vec::new();
    if !sink.rule.digests {
        return advice;
    }
    let on = loaded.origin_of(&format!("sink.{name}.on")).cloned();
    let names_orders = sink.rule.on.iter().any(|pattern| ORDERS.iter().any(|kind| pattern.matches(*kind)));
    if names_orders && on.is_some() {
        let what = format!("`sink.{name}.on` names orders, and a sink with a `digest` gets no mail about a single one");
        advice.push(Problem::new(what, on, "remove it, or give single mails to a sink of their own"));
    }
    let keep = loaded.config.storage.keep_events;
    let day = Date::constant(2026, 1, 1);
    if day.checked_add(keep).is_ok_and(|kept| kept < day.saturating_add(CORRECTED_FOR.days())) {
        let what = "`storage.keep_events` is shorter than the 62 days for which a digest is corrected";
        advice.push(Problem::new(what, loaded.origin_of("storage.keep_events").cloned(), "keep events for longer"));
    }
    advice
}

/// What a machine that takes invoices would get twice, or never.
fn unread_by_machines(loaded: &Loaded, name: &SinkName, sink: &SinkConfig) -> Vec<Problem> {
    let at = |path: &str| loaded.origin_of(path).cloned();
    let mut advice = Vec::new();
    if !sink.rule.needs_invoice {
        return advice;
    }
    if sink.rule.per_order == PerOrder::Each {
        let what =
            format!("`sink.{name}.per_order` is \"each\": the machine gets the same invoice once for each event");
        advice.push(Problem::new(what, at(&format!("sink.{name}.per_order")), "write `per_order = \"once\"`"));
    }
    if loaded.config.delivery.alerts.iter().flatten().any(|alerted| alerted == name) {
        let what = format!("`delivery.alerts` names `{name}`, a machine that gets nothing but invoices");
        advice.push(Problem::new(what, at("delivery.alerts"), "name a sink that a person reads"));
    }
    advice
}

/// A port on which mail servers encrypt in the other way.
fn unlikely_port(loaded: &Loaded) -> Option<Problem> {
    let smtp = loaded.config.smtp.as_ref()?;
    let usual = match (smtp.port, smtp.tls) {
        (465, Tls::Starttls) => "implicit",
        (587, Tls::Implicit) => "starttls",
        _ => return None,
    };
    let what = format!("`smtp.port` is {}, but `smtp.tls` is not \"{usual}\"", smtp.port);
    let fix = "write `tls = \"implicit\"` with port 465, or `tls = \"starttls\"` with port 587";
    Some(Problem::new(what, loaded.origin_of("smtp.port").cloned(), fix))
}

/// A password that whoever is on the way to the mail server may read.
fn readable_password(loaded: &Loaded) -> Option<Problem> {
    let smtp = loaded.config.smtp.as_ref()?;
    if smtp.tls != Tls::None || smtp.password.is_none() || is_this_machine(&smtp.host) {
        return None;
    }
    let fix = "write `tls = \"implicit\"` with port 465, or `tls = \"starttls\"` with port 587";
    let what = "`smtp.tls` is \"none\": the password goes to the mail server unencrypted";
    Some(Problem::new(what, loaded.origin_of("smtp.tls").cloned(), fix))
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// A secret written in a file that others may read.
fn readable_secrets(loaded: &Loaded) -> Option<Problem> {
    let file = loaded.file.as_ref()?;
    let written =
        loaded.settings.iter().find(|setting| setting.is_literal_secret && in_file(setting.place.as_ref()))?;
    let mode = fs::metadata(file).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        let what = format!("`{}` stands in a file that other users may read", written.path);
        Problem::new(what, written.place.clone(), format!("run `chmod 600 {}`", file.display()))
    })
}

fn in_file(place: Option<&Place>) -> bool {
    matches!(place, Some(Place::File { .. }))
}
