//! What is said when something other than a sale happened: what it is, the facts, and what to do about it.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::{date_time, digest::hole, money, numbers::jump, order_name, pick};
use crate::{
    order::{CashBoxNotice, Event, EventData, EventType, Hole, Locale, Moment, OrderKey, OrderNumber, Shop, runs},
    sink::Names,
};

/// What a far side or the decoder said, as it said it: mostly in English.
const TECHNICAL_DETAIL: (&str, &str, &str) = ("Détail technique (en anglais)", "Technical detail", "reason");

/// An event in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertText {
    /// What happened, on one line.
    pub title: String,
    /// The facts, one a line.
    pub lines: Vec<String>,
    /// What to do about it; `None` where there is nothing to do.
    pub what_to_do: Option<String>,
}

/// Says in plain words what an event is about. `shop` lends its time zone and currency; without it times are UTC.
/// `names` are its till's, and `order` is what we call the order, where it is about one.
pub fn alert_text(
    event: &Event,
    order: Option<OrderKey>,
    shop: Option<&Shop>,
    names: &Names,
    locale: Locale,
) -> AlertText {
    let facts = Facts { event, order, shop, names, locale };
    let mut text = match &event.data {
        EventData::CashBox(notice) => facts.cash_box(notice),
        EventData::Order(_) | EventData::Digest(_) | EventData::Facts(_) => facts.describe(),
    };
    if let Some(shop) = &event.shop {
        text.lines.insert(0, facts.line("Boutique", "Shop", &shop.name));
    }
    text
}

/// An event being put into words.
struct Facts<'a> {
    event: &'a Event,
    order: Option<OrderKey>,
    shop: Option<&'a Shop>,
    names: &'a Names,
    locale: Locale,
}

impl Facts<'_> {
    fn describe(&self) -> AlertText {
        let say = |french: String, english: String| pick(self.locale, french, english);
        let sink = self.get("sink");
        match self.event.kind {
            EventType::SinkFailing if !self.get("address").is_empty() => self.refused(&sink),
            EventType::SinkFailing => self.text(
                say(format!("L’envoi vers « {sink} » échoue"), format!("Deliveries to “{sink}” are failing")),
                self.outage(),
                say(
                    format!(
                        "Les envois sont réessayés un certain temps, puis abandonnés\u{a0}; ils restent enregistrés. Vérifiez le service destinataire, puis lancez `tillhook sinks test {sink}`. Ce qui a été abandonné repart avec `tillhook deliveries retry --sink {sink} --dead`."
                    ),
                    format!(
                        "Deliveries are tried again for some time, then given up; they stay stored. Look at the receiving service, then run `tillhook sinks test {sink}`. What was given up goes out again with `tillhook deliveries retry --sink {sink} --dead`."
                    ),
                ),
            ),
            EventType::SinkPaused => self.text(
                say(format!("L’envoi vers « {sink} » est suspendu"), format!("Deliveries to “{sink}” are paused")),
                self.outage(),
                say(
                    format!(
                        "La file d’attente est conservée. Corrigez la cause, puis lancez `tillhook sinks resume {sink}`.{}",
                        self.given_up(&sink)
                    ),
                    format!(
                        "The queue is kept. Mend the cause, then run `tillhook sinks resume {sink}`.{}",
                        self.given_up(&sink)
                    ),
                ),
            ),
            EventType::SinkRecovered => AlertText {
                title: say(
                    format!("L’envoi vers « {sink} » fonctionne à nouveau"),
                    format!("Deliveries to “{sink}” work again"),
                ),
                lines: self.outage(),
                what_to_do: (!matches!(self.get("dead").as_str(), "" | "0")).then(|| {
                    say(
                        format!(
                            "Renvoyez ce qui a été abandonné avec `tillhook deliveries retry --sink {sink} --dead`."
                        ),
                        format!("Send again what was given up with `tillhook deliveries retry --sink {sink} --dead`."),
                    )
                }),
            },
            EventType::SinkLimited => self.text(
                say(
                    format!("Trop de messages pour « {sink} »\u{a0}: la suite viendra en un récapitulatif"),
                    format!("Too many messages for “{sink}”: the rest comes in one summary"),
                ),
                self.lines(&[("Limite", "Limit", "limit"), ("Récapitulatif après", "Summary after", "until")]),
                say(
                    format!("Chaque commande figurera dans le récapitulatif. La limite se règle avec `limit` sous [sink.{sink}]."),
                    format!("Every order will be in the summary. The limit is set by `limit` under [sink.{sink}]."),
                ),
            ),
            // One without a receipt was refused before it could be kept.
            EventType::TillUnreadable if self.get("receipt_id").is_empty() => self.text(
                say("Un appel de la caisse a été refusé".into(), "A call of the till was refused".into()),
                self.lines(&[TECHNICAL_DETAIL]),
                say(
                    "L’appel n’est pas conservé. Comparez avec les ventes de la caisse\u{a0}: `tillhook orders missing`.".into(),
                    "The call is not kept. Compare with the till's sales: `tillhook orders missing`.".into(),
                ),
            ),
            EventType::TillUnreadable => self.text(
                say("Un appel de la caisse est illisible".into(), "A call of the till cannot be read".into()),
                self.lines(&[("Type", "Type", "type"), TECHNICAL_DETAIL]),
                say(
                    "L’appel est conservé. Lancez `tillhook quarantine list`, puis comparez avec les ventes de la caisse.".into(),
                    "The call is kept. Run `tillhook quarantine list`, then compare with the till's sales.".into(),
                ),
            ),
            EventType::TillOrderMissing if self.get("source") == "reconciliation" => self.found(),
            EventType::TillOrderMissing => self.text(
                match self.get("count").as_str() {
                    "0" => say("La numérotation de la caisse saute".into(), "The till's numbers skip".into()),
                    _ => say("Des factures de la caisse ne sont pas arrivées".into(), "Invoices of the till did not arrive".into()),
                },
                [self.missing(), self.lines(&[("Depuis", "Since", "since")])].concat(),
                say(
                    "Cherchez-les dans la caisse, et vérifiez-y l’adresse d’appel\u{a0}: `tillhook url` l’affiche. Celles qui manquent encore\u{a0}: `tillhook orders missing`.".into(),
                    "Look for them in the till, and check the address that it calls: `tillhook url` prints it. Those that are missing still: `tillhook orders missing`.".into(),
                ),
            ),
            EventType::TillUnverified => self.text(
                say(
                    "Des commandes sont retenues\u{a0}: la caisse ne les a pas confirmées".into(),
                    "Orders are held back: the till has not confirmed them".into(),
                ),
                [
                    vec![self.numbers("Numéros", "Numbers", "order_ids", "count")],
                    self.lines(&[("Depuis", "Since", "since"), TECHNICAL_DETAIL]),
                ]
                .concat(),
                say(
                    "Comparez avec la caisse. Ce qu’elle a vendu part avec `tillhook orders verify NUMÉRO --accept`. Si elle n’a rien vendu de tel, quelqu’un d’autre connaît l’adresse d’appel\u{a0}: changez-la.".into(),
                    "Compare with the till. What it sold goes out with `tillhook orders verify ORDER --accept`. If it sold no such thing, somebody else knows the address that the till calls: change it.".into(),
                ),
            ),
            EventType::TillSilent => self.text(
                say("La caisse n’envoie plus rien".into(), "The till says nothing any more".into()),
                self.lines(&[("Depuis", "Since", "since")]),
                say(
                    "Si elle vend, vérifiez-y l’adresse d’appel\u{a0}: `tillhook url` l’affiche.".into(),
                    "If it is selling, check the address that it calls: `tillhook url` prints it.".into(),
                ),
            ),
            EventType::TillNotCompared => self.text(
                say(
                    "Les commandes ne peuvent plus être comparées avec la liste de la caisse".into(),
                    "The orders can no longer be compared with the till's own list".into(),
                ),
                self.lines(&[("Depuis", "Since", "since"), TECHNICAL_DETAIL]),
                say(
                    "Les ventes annoncées arrivent toujours\u{a0}; celles que la caisse n’annonce pas ne sont plus retrouvées. `tillhook pos orders` montre ce que répond la caisse\u{a0}; vérifiez [shop.NOM.api] dans la configuration.".into(),
                    "Sales that are announced still arrive; those that the till does not announce are no longer found. `tillhook pos orders` shows what the till answers; check [shop.NAME.api] in the configuration.".into(),
                ),
            ),
            EventType::StorageLow => self.text(
                say("Le disque est presque plein".into(), "The disk is nearly full".into()),
                [vec![self.free()], self.lines(&[("Dossier", "Folder", "path")])].concat(),
                say(
                    "Libérez de la place ou agrandissez le disque\u{a0}: plein, il ne permet plus d’enregistrer les ventes.".into(),
                    "Make room or enlarge the disk: once it is full, sales can no longer be stored.".into(),
                ),
            ),
            EventType::TillUnknown => AlertText {
                title: say("La caisse a envoyé un appel inconnu".into(), "The till sent an unknown call".into()),
                lines: self.lines(&[("Type", "Type", "type"), TECHNICAL_DETAIL]),
                what_to_do: None,
            },
            EventType::TestPing => AlertText {
                title: say("Essai de tillhook".into(), "A test of tillhook".into()),
                lines: Some(self.get("message")).filter(|message| !message.is_empty()).into_iter().collect(),
                what_to_do: None,
            },
            EventType::InvoiceMissing => self.invoice_missing(),
            // Sales and openings have words of their own; should they come here, they are named.
            _ => AlertText { title: self.event.kind.to_string(), lines: Vec::new(), what_to_do: None },
        }
    }

    /// An address is refused while the sink works for others.
    fn refused(&self, sink: &str) -> AlertText {
        let (title, what_to_do) = pick(
            self.locale,
            (
                format!("Une adresse de « {sink} » est refusée"),
                format!(
                    "Les autres adresses reçoivent leurs messages. Vérifiez celle-ci sous [sink.{sink}]\u{a0}; `tillhook deliveries list --sink {sink}` montre ce qu’elle n’a pas reçu. Ce qui a été abandonné lui est renvoyé, à elle seule, par `tillhook deliveries retry --sink {sink} --dead`."
                ),
            ),
            (
                format!("An address of “{sink}” is refused"),
                format!(
                    "The other addresses get their messages. Check this one under [sink.{sink}]; `tillhook deliveries list --sink {sink}` shows what it did not get. What was given up is sent again, to it alone, by `tillhook deliveries retry --sink {sink} --dead`."
                ),
            ),
        );
        let facts = [("Adresse", "Address", "address"), TECHNICAL_DETAIL, ("Depuis", "Since", "since")];
        self.text(title, self.lines(&facts), what_to_do)
    }

    /// What to do about what was given up; empty where nothing was.
    fn given_up(&self, sink: &str) -> String {
        if matches!(self.get("dead").as_str(), "" | "0") {
            return String::new();
        }
        let say = pick(self.locale, "Ce qui a été abandonné repart avec", "What was given up goes out again with");
        format!(" {say} `tillhook deliveries retry --sink {sink} --dead`.")
    }

    fn invoice_missing(&self) -> AlertText {
        let order = self.event.order();
        let name = order.map(|order| order_name(order, self.locale)).unwrap_or_default();
        let number = order.zip(self.order).map_or("ORDER".to_owned(), |(order, key)| order.in_command(key));
        self.text(
            pick(
                self.locale,
                format!("{name}\u{a0}: le PDF est introuvable"),
                format!("{name}: its PDF could not be had"),
            ),
            Vec::new(),
            pick(
                self.locale,
                format!(
                    "Téléchargez-le dans la caisse, puis lancez `tillhook invoices import FICHIER --order {number}`."
                ),
                format!("Download it in the till, then run `tillhook invoices import FILE --order {number}`."),
            ),
        )
    }

    fn cash_box(&self, notice: &CashBoxNotice) -> AlertText {
        let word = pick(self.locale, "Caisse", "Till");
        let till = match &notice.cash_box_id {
            Some(id) => self.names.cash_box_after(word, id),
            None => word.to_owned(),
        };
        let title = match self.event.kind {
            EventType::CashBoxOpened => pick(self.locale, format!("{till} ouverte"), format!("{till} opened")),
            _ => pick(self.locale, format!("{till} fermée"), format!("{till} closed")),
        };
        let when = |french, english, moment: Option<Moment>| {
            moment.map(|moment| self.line(french, english, &date_time(moment, self.locale)))
        };
        let total = notice.total.map(|total| match self.shop {
            Some(shop) => money(total, shop.currency, self.locale),
            None => total.to_string(),
        });
        let lines = [
            total.map(|total| self.line("Encaissé", "Taken", &total)),
            when("Ouverture", "Opened", notice.opened),
            when("Fermeture", "Closed", notice.closed),
        ];
        AlertText { title, lines: lines.into_iter().flatten().collect(), what_to_do: None }
    }

    /// Orders that were taken over from the till's own list.
    fn found(&self) -> AlertText {
        let whole = self.numbers("Commandes retrouvées", "Orders found", "order_ids", "count");
        let incomplete = self.numbers(
            "Une seule des deux annonces était arrivée pour",
            "Only one of the two announcements had arrived of",
            "incomplete_ids",
            "incomplete_count",
        );
        let numbers = [whole, incomplete].into_iter().filter(|line| !line.is_empty()).collect();
        let (title, what_to_do) = pick(
            self.locale,
            (
                "Des commandes n’avaient pas été annoncées par la caisse",
                "Elles ont été reprises de la liste de la caisse et transmises comme les autres. Vérifiez l’adresse \
                 d’appel dans la caisse\u{a0}: `tillhook url` l’affiche.",
            ),
            (
                "The till had not announced some orders",
                "They were taken from the till's own list and passed on like the others. Check the address that the till \
                 calls: `tillhook url` prints it.",
            ),
        );
        let since = self.lines(&[("Depuis", "Since", "since")]);
        self.text(title.to_owned(), [numbers, since].concat(), what_to_do.to_owned())
    }

    /// The numbers that are missing, and what steps ahead leave out.
    fn missing(&self) -> Vec<String> {
        let numbers = Some(self.numbers("Numéros", "Numbers", "order_ids", "count")).filter(|line| !line.is_empty());
        let EventData::Facts(facts) = &self.event.data else { return numbers.into_iter().collect() };
        let jumps = facts.get("jumps").and_then(Value::as_array).into_iter().flatten();
        let jumps: Vec<String> =
            jumps.filter_map(|jump| Hole::deserialize(jump).ok()).map(|jump| hole(&jump, self.locale)).collect();
        let jumps = (!jumps.is_empty()).then(|| jump(&jumps.join(", "), self.locale));
        numbers.into_iter().chain(jumps).collect()
    }

    /// The numbers of orders under a key, those that follow each other as one; `count` says how many there are in all. Empty
    /// where there is none.
    fn numbers(&self, french: &'static str, english: &'static str, key: &str, count: &str) -> String {
        let EventData::Facts(facts) = &self.event.data else { return String::new() };
        let listed = facts.get(key).and_then(Value::as_array).into_iter().flatten();
        let listed: Vec<&str> = listed.filter_map(Value::as_str).collect();
        let mut said: Vec<String> = runs(listed.iter().filter_map(|number| OrderNumber::parse(number)))
            .iter()
            .map(|run| hole(run, self.locale))
            .collect();
        said.extend(
            listed.iter().filter(|number| OrderNumber::parse(number).is_none()).map(|&number| number.to_owned()),
        );
        let count = facts.get(count).and_then(Value::as_u64).unwrap_or(0);
        let more = count.saturating_sub(listed.len() as u64);
        if more > 0 {
            let others = if more == 1 { "autre" } else { "autres" };
            said.push(pick(self.locale, format!("et {more} {others}"), format!("and {more} more")));
        }
        if said.is_empty() { String::new() } else { self.line(french, english, &said.join(", ")) }
    }

    fn text(&self, title: String, lines: Vec<String>, what_to_do: String) -> AlertText {
        AlertText { title, lines, what_to_do: Some(what_to_do) }
    }

    fn outage(&self) -> Vec<String> {
        self.lines(&[
            TECHNICAL_DETAIL,
            ("Depuis", "Since", "since"),
            ("En attente", "Waiting", "waiting"),
            ("Abandonnés", "Given up", "dead"),
        ])
    }

    /// How much of the disk is free.
    fn free(&self) -> String {
        let bytes: u64 = self.get("free").parse().unwrap_or(0);
        let (whole, tenth) = (bytes / 1_000_000, bytes / 100_000 % 10);
        let [french, english] = [format!("{whole},{tenth} Mo"), format!("{whole}.{tenth} MB")];
        self.line("Libre", "Free", &pick(self.locale, french, english))
    }

    /// A line for each of these facts that is there: French label, English label, key.
    fn lines(&self, wanted: &[(&str, &str, &str)]) -> Vec<String> {
        let known = wanted.iter().map(|(french, english, key)| (french, english, self.get(key)));
        known
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(french, english, value)| self.line(french, english, &value))
            .collect()
    }

    fn line(&self, french: &str, english: &str, value: &str) -> String {
        pick(self.locale, format!("{french}\u{a0}: {value}"), format!("{english}: {value}"))
    }

    /// A fact as text; empty where it is not there.
    fn get(&self, key: &str) -> String {
        let EventData::Facts(facts) = &self.event.data else { return String::new() };
        match facts.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => self.time(text).unwrap_or_else(|| text.clone()),
            Some(Value::Array(list)) => list
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            Some(other) => other.to_string(),
        }
    }

    /// An instant as the shop's clock shows it.
    fn time(&self, text: &str) -> Option<String> {
        let at: Timestamp = text.parse().ok()?;
        Some(match self.shop {
            Some(shop) => date_time(Moment::new(at, &shop.timezone), self.locale),
            None => format!("{} UTC", date_time(Moment::new(at, &jiff::tz::TimeZone::UTC), self.locale)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::order::EventId;

    fn event(kind: EventType, facts: Value) -> Event {
        let facts = facts.as_object().cloned().unwrap_or_default();
        let at = Timestamp::UNIX_EPOCH;
        Event { id: EventId::new(at), kind, at, test: false, shop: None, data: EventData::Facts(facts) }
    }

    #[test]
    fn every_alert_says_what_to_do_in_both_languages() {
        for kind in EventType::ALL.iter().copied().filter(|kind| kind.is_alert()) {
            let event = event(kind, json!({ "sink": "team", "dead": 2 }));
            let [french, english] =
                [Locale::Fr, Locale::En].map(|locale| alert_text(&event, None, None, &Names::default(), locale));
            assert!(french.what_to_do.is_some() && english.what_to_do.is_some(), "{kind}");
            assert_ne!(french.title, english.title, "{kind}");
            assert!(!french.title.contains(kind.as_str()), "{kind} has words");
        }
    }

    #[test]
    fn a_paused_sink_is_described_with_its_queue_and_the_way_out() {
        let facts =
            json!({ "sink": "team", "reason": "gone", "since": "2026-11-21T13:00:00Z", "waiting": 12, "dead": 0 });
        let text = alert_text(&event(EventType::SinkPaused, facts), None, None, &Names::default(), Locale::En);
        assert_eq!(text.title, "Deliveries to “team” are paused");
        assert_eq!(
            text.lines,
            ["Technical detail: gone", "Since: 21 Nov 2026 at 13:00 UTC", "Waiting: 12", "Given up: 0"]
        );
        assert!(text.what_to_do.is_some_and(|advice| advice.contains("`tillhook sinks resume team`")));
    }

    #[test]
    fn nobody_is_told_that_nothing_is_lost_where_something_may_be_given_up() {
        for kind in [EventType::SinkFailing, EventType::SinkPaused] {
            let facts = json!({ "sink": "team", "reason": "550", "since": null, "waiting": 1, "dead": 1 });
            let [french, english] = [Locale::Fr, Locale::En].map(|locale| {
                let said = alert_text(&event(kind, facts.clone()), None, None, &Names::default(), locale);
                said.what_to_do.unwrap_or_default()
            });
            assert!(!french.contains("Rien n’est perdu") && !english.contains("Nothing is lost"), "{french} {english}");
            assert!(french.contains("abandonné") && english.contains("given up"), "{french} {english}");
            let again = "`tillhook deliveries retry --sink team --dead`";
            assert!(french.contains(again) && english.contains(again), "{french} {english}");
        }
    }

    #[test]
    fn an_address_that_is_refused_is_named_and_the_others_are_said_to_get_their_mails() {
        let facts = json!({
            "sink": "accountant", "address": "compta@cabinet.fr", "reason": "550 5.1.1", "since": null, "waiting": 0,
            "dead": 0,
        });
        let [french, english] = [Locale::Fr, Locale::En].map(|locale| {
            alert_text(&event(EventType::SinkFailing, facts.clone()), None, None, &Names::default(), locale)
        });
        assert_eq!(french.title, "Une adresse de « accountant » est refusée");
        assert_eq!(english.title, "An address of “accountant” is refused");
        assert_eq!(english.lines, ["Address: compta@cabinet.fr", "Technical detail: 550 5.1.1"]);
        assert!(english.what_to_do.is_some_and(|words| words.contains("The other addresses get their messages")));
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_described_with_what_is_left_of_it() {
        let facts = json!({ "free": 3_145_728, "path": "/data" });
        let [french, english] = [Locale::Fr, Locale::En].map(|locale| {
            alert_text(&event(EventType::StorageLow, facts.clone()), None, None, &Names::default(), locale).lines
        });
        assert_eq!(french, ["Libre\u{a0}: 3,1 Mo", "Dossier\u{a0}: /data"]);
        assert_eq!(english, ["Free: 3.1 MB", "Folder: /data"]);
    }

    #[test]
    fn orders_that_were_taken_over_are_told_as_found() {
        let facts = json!({
            "order_ids": ["41", "42"], "count": 2, "incomplete_ids": ["45"], "incomplete_count": 1, "since": null,
            "source": "reconciliation",
        });
        let [french, english] = [Locale::Fr, Locale::En].map(|locale| {
            alert_text(&event(EventType::TillOrderMissing, facts.clone()), None, None, &Names::default(), locale)
        });
        assert_eq!(french.lines[0], "Commandes retrouvées\u{a0}: 41 à 42 (2)");
        let incomplete = "Only one of the two announcements had arrived of: 45";
        assert_eq!(english.lines, ["Orders found: 41 to 42 (2)", incomplete]);
        assert!(english.what_to_do.is_some_and(|words| words.contains("passed on")));
    }

    #[test]
    fn missing_orders_are_listed() {
        let facts =
            json!({ "order_ids": ["20261121043", "20261121041", "20261121042", "A7"], "count": 6, "since": null });
        let [french, english] = [Locale::Fr, Locale::En].map(|locale| {
            alert_text(&event(EventType::TillOrderMissing, facts.clone()), None, None, &Names::default(), locale).lines
        });
        assert_eq!(french, ["Numéros\u{a0}: 20261121041 à 20261121043 (3), A7, et 2 autres"]);
        assert_eq!(english, ["Numbers: 20261121041 to 20261121043 (3), A7, and 2 more"]);
    }

    #[test]
    fn a_step_ahead_is_told_in_one_sentence() {
        let jumps = json!([{ "first": "506", "last": "1104", "count": 599 }]);
        let facts = |ids: Value, count: u64| json!({ "order_ids": ids, "count": count, "since": null, "jumps": jumps });
        let told = |facts, locale| {
            alert_text(&event(EventType::TillOrderMissing, facts), None, None, &Names::default(), locale)
        };
        let alone = told(facts(json!([]), 0), Locale::En);
        assert_eq!(alone.title, "The till's numbers skip");
        let sentence = "The numbers skip 506 to 1104 (599): either the till began another sequence, or these sales did not \
                        reach us. Look in the till.";
        assert_eq!(alone.lines, [sentence]);
        let both = told(facts(json!(["7"]), 1), Locale::Fr);
        assert_eq!((both.title.as_str(), both.lines.len()), ("Des factures de la caisse ne sont pas arrivées", 2));
        assert!(both.lines[1].starts_with("La numérotation saute 506 à 1104 (599)\u{a0}: soit"), "{}", both.lines[1]);
    }
}
