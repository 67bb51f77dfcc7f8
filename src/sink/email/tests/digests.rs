//! What the mails about a period look like, in both languages: a summary with everything that can be said, and its
//! correction.

use serde_json::json;

use super::*;
use crate::order::{Digest, EventData};

macro_rules! snapshot {
    ($name:expr, $value:expr) => {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $value);
        });
    };
}

/// A day with everything that a summary can say.
fn digest() -> serde_json::Value {
    let sums = |net: &str, vat: &str, gross: &str, sales: u32, refunds: u32| json!({ "net": net, "vat": vat, "gross": gross, "sales": sales, "refunds": refunds });
    let hole = |first: &str, last: &str, count: u64| json!({ "first": first, "last": last, "count": count });
    let file = |kind: &str| json!({ "digest": "dig_1", "filename": format!("20261121_Boulangerie-Dupont_{kind}"), "kind": kind, "csv": "fr" });
    let closing = |till: &str, theirs: &str, ours: &str, unpaid: Option<&str>| {
        json!({ "till": till, "opened": "2026-11-21T07:00:00+01:00", "closed": "2026-11-21T19:30:00+01:00",
                "till_total": theirs, "ours": ours, "unpaid": unpaid, "outside": null })
    };
    json!({
        "id": "dig_1", "period": { "first": "2026-11-21", "last": "2026-11-21" }, "why": "due", "part": 1, "parts": 1,
        "currency": "EUR",
        "figures": {
            "rates": [
                { "rate": "5.5", "sums": sums("948.34", "52.16", "1000.50", 30, 0) },
                { "rate": "10", "sums": sums("213.18", "21.32", "234.50", 12, 1) },
                { "rate": null, "sums": sums("9.99", "1.00", "10.99", 1, 0) },
                { "rate": null, "is_rounding": true, "sums": sums("0.01", "0.00", "0.01", 1, 0) },
            ],
            "total": sums("1171.52", "74.48", "1246.00", 42, 1),
            "numbers": [{ "first": "20261121001", "last": "20261121048" }],
            "holes": [hole("20261121017", "20261121017", 1), hole("20261121020", "20261121023", 4)],
            "unpaid": [{ "number": "20261121042", "gross": "43.80" }],
            "missing_pdfs": [{ "number": "20261121030", "is_awaited": false }, { "number": "20261121048", "is_awaited": true }],
            "undivided": [{ "number": "20261121031", "why": "not_sent", "gross": "11.00" },
                          { "number": "20261121040", "why": "too_little", "gross": "5.00" }],
            "warnings": [{ "number": "20261121031", "warning": "vat_sum_mismatch" }],
        },
        "closings": [closing("1", "1202.20", "1202.20", None), closing("2", "43.80", "0.00", Some("43.80"))],
        "left_out": [{ "number": "20261121031", "why": "incomplete" },
                     { "number": "20261121040", "why": { "no_accounts": "2.1" }, "gross": "43.80" }],
        "journal": { "entered": "1191.20", "left_out": "54.80" },
        "changes": [],
        "files": [file("vat.csv"), file("journal.csv"), file("invoices.zip")],
    })
}

fn mail(locale: Locale, purpose: Purpose, digest: serde_json::Value) -> Outgoing {
    let digest: Digest = serde_json::from_value(digest).unwrap();
    outgoing(locale, purpose, EventType::DigestMade, EventData::Digest(Box::new(digest)))
}

fn read(letter: &Letter) -> String {
    format!("Subject: {}\n\n{}", letter.subject, letter.text)
}

#[test]
fn every_mail_about_a_period_in_both_languages() {
    for locale in [Locale::Fr, Locale::En] {
        let lang = locale.as_str();
        let (payload, letter) = render(&mail(locale, Purpose::First, digest()));
        snapshot!(format!("digest_{lang}.txt"), read(&letter));
        snapshot!(format!("digest_{lang}.html"), letter.html.clone().unwrap());
        assert!(letter.html.as_ref().unwrap().len() < 40 << 10);
        assert_eq!(payload.attached().count(), 3);

        let mut corrected = digest();
        corrected["why"] = json!("correction");
        corrected["replaces"] = json!("2026-11-21T20:00:00+01:00");
        corrected["changes"] = json!([
            { "number": "20261121017", "what": "added", "day": "2026-11-21", "gross": "12.00" },
            { "number": "20261121018", "what": "amounts", "day": "2026-11-21", "gross": "15.00", "before": "12.00" },
            { "number": "20261121019", "what": "moved", "day": "2026-11-30", "gross": "9.00" },
            { "number": "20261121030", "what": "pdf", "day": "2026-11-21", "gross": "7.20" },
        ]);
        corrected["figures"]["holes"] = json!([]);
        corrected["closings"] = json!([]);
        let thread = Some(Thread { reference: Some(letter.message_id.clone()), payload });
        let correction = Outgoing { thread, ..mail(locale, Purpose::Change, corrected) };
        let (_, reply) = render(&correction);
        snapshot!(format!("digest_correction_{lang}.txt"), read(&reply));
        snapshot!(format!("digest_correction_{lang}.html"), reply.html.clone().unwrap());
        assert_eq!(reply.in_reply_to, Some(letter.message_id));
    }
}

#[test]
fn a_title_says_which_days_and_which_part() {
    let subject = |locale, first: &str, last: &str, why: &str, parts: u32| {
        let mut digest = digest();
        digest["period"] = json!({ "first": first, "last": last });
        (digest["why"], digest["parts"]) = (json!(why), json!(parts));
        digest["replaces"] = json!("2026-11-21T20:00:00+01:00");
        render(&mail(locale, Purpose::First, digest)).1.subject
    };
    let day = subject(Locale::Fr, "2026-11-21", "2026-11-21", "due", 1);
    assert_eq!(day, "Ventes du 21/11/2026 – 1 246,00 € TTC – Boulangerie Dupont");
    let month = subject(Locale::Fr, "2026-10-01", "2026-10-31", "due", 3);
    assert_eq!(month, "Ventes d’octobre 2026 (1/3) – 1 246,00 € TTC – Boulangerie Dupont");
    let week = subject(Locale::En, "2026-11-16", "2026-11-22", "correction", 1);
    assert_eq!(week, "Correction – Sales of 16 Nov 2026 to 22 Nov 2026 – €1,246.00 – Boulangerie Dupont");
    let rest = subject(Locale::En, "2026-11-21", "2026-11-21", "limit", 1);
    assert_eq!(rest, "Sales of 21 Nov 2026 (the rest) – €1,246.00 – Boulangerie Dupont");
}

#[test]
fn what_is_not_known_or_not_there_is_said() {
    let told = |locale, change: &dyn Fn(&mut serde_json::Value)| {
        let mut digest = digest();
        change(&mut digest);
        read(&render(&mail(locale, Purpose::First, digest)).1)
    };
    let early = told(Locale::Fr, &|digest| {
        digest["why"] = json!("on_purpose");
        digest["provisional"] = json!("2026-11-21T15:04:00+01:00");
    });
    assert!(early.starts_with("Subject: Provisoire – Ventes du 21/11/2026 – "), "{early}");
    assert!(
        early.contains("La période n’est pas terminée\u{a0}: ces chiffres sont ceux du 21/11/2026 à 15:04."),
        "{early}"
    );

    let incomplete = told(Locale::En, &|digest| {
        digest["figures"]["total"]["vat"] = json!(null);
        digest["figures"]["known"] =
            json!({ "net": "1161.52", "vat": "73.48", "gross": "1235.00", "sales": 41, "refunds": 1 });
        digest["figures"]["lacking"] = json!(["20261121031"]);
        digest["figures"]["rates"][2] = json!({ "rate": null, "is_lacking": true, "sums": { "net": null, "vat": null, "gross": "11.00", "sales": 1, "refunds": 0 } });
    });
    for words in [
        "The till did not send all amounts of 20261121031. Not known in total: VAT.",
        "incomplete amounts (1 sale): Net ?, VAT ?, Gross €11.00",
        "Total of sales with all amounts (41 sales, 1 refund): Net €1,161.52, VAT €73.48",
        "Total (42 sales, 1 refund): Net €1,171.52, VAT ?, Gross €1,246.00",
    ] {
        assert!(incomplete.contains(words), "{words}: {incomplete}");
    }

    let empty = told(Locale::Fr, &|digest| {
        let nothing = json!({ "net": "0.00", "vat": "0.00", "gross": "0.00", "sales": 0, "refunds": 0 });
        digest["figures"] = json!({ "rates": [], "total": nothing, "holes": [], "unpaid": [], "missing_pdfs": [],
                                    "incomplete": [], "warnings": [] });
        (digest["files"], digest["without"]) = (json!([]), json!(["vat.csv", "invoices.zip"]));
    });
    for words in [
        "Aucune vente enregistrée",
        "Total (0 vente) : HT 0,00\u{a0}€",
        "Pas de vat.csv\u{a0}: aucune vente",
        "aucun PDF",
    ] {
        assert!(empty.contains(words), "{words}: {empty}");
    }
}

#[test]
fn numbers_are_told_by_sequence_each_with_what_is_missing_in_it() {
    let told = |locale, figures: serde_json::Value| {
        let mut digest = digest();
        for (name, value) in figures.as_object().unwrap() {
            digest["figures"][name] = value.clone();
        }
        read(&render(&mail(locale, Purpose::First, digest)).1)
    };
    let series = told(
        Locale::En,
        json!({
            "numbers": [{ "first": "5", "last": "5", "missing": 0 }, { "first": "500", "last": "505", "till": "2", "missing": 1 }],
            "holes": [{ "first": "502", "last": "502", "count": 1, "till": "2" }],
        }),
    );
    assert!(series.contains("- 5, no number is missing\n- Till 2: From 500 to 505, missing: 1\n"), "{series}");
    assert!(series.contains("Numbers that did not reach us: 502 (till 2). Look for them in the till."), "{series}");
    let odd = json!({
        "numbers": [{ "first": "500", "last": "505", "missing": 0 }, { "first": "1105", "last": "1106", "missing": 0 }],
        "holes": [], "jumps": [{ "first": "506", "last": "1104", "count": 599 }], "uncounted": ["A", "B"], "unlisted": ["42"],
    });
    let english = told(Locale::En, odd.clone());
    for words in [
        "The numbers skip 506 to 1104 (599): either the till began another sequence, or these sales did not reach us.",
        "- In no sequence that is understood, so not watched: A, B\n",
        "Orders that are here and not in the till's own list, or cancelled at the till: 42.",
    ] {
        assert!(english.contains(words), "{words}: {english}");
    }
    let french = told(Locale::Fr, odd);
    for words in [
        "La numérotation saute 506 à 1104 (599)\u{a0}: soit",
        "- De 500 à 505, aucun numéro ne manque\n",
        "- Sans suite reconnue, donc non surveillés\u{a0}: A, B\n",
        "absentes de la liste de la caisse, ou annulées en caisse\u{a0}: 42.",
    ] {
        assert!(french.contains(words), "{words}: {french}");
    }
}

#[test]
fn a_month_of_trouble_is_cut_short_and_stays_small() {
    let mut digest = digest();
    let numbers: Vec<String> = (0..5_000).map(|number| format!("2026112{number:05}")).collect();
    digest["figures"]["undivided"] = numbers
        .iter()
        .map(|number| json!({ "number": number, "why": "no_bases", "gross": "43.80" }))
        .collect::<Vec<_>>()
        .into();
    digest["figures"]["unpaid"] =
        numbers.iter().map(|number| json!({ "number": number, "gross": "43.80" })).collect::<Vec<_>>().into();
    digest["figures"]["holes"] =
        numbers.iter().map(|number| json!({ "first": number, "last": number, "count": 1 })).collect::<Vec<_>>().into();
    let (_, letter) = render(&mail(Locale::Fr, Purpose::First, digest));
    assert!(letter.html.as_ref().unwrap().len() < 40 << 10, "{}", letter.html.unwrap().len());
    assert!(letter.text.contains("et 4970 autres") && letter.text.contains("(+4970)"), "{}", letter.text);
}
