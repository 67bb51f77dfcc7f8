//! What the operator gets to read: problems in their exact words, and where each value comes from.

use std::{fs, path::PathBuf};

use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const SHOP: &str = "[shop.dupont]\ntoken = \"0123456789abcdef-_AZ\"\n";

/// A configuration file in a folder of its own.
struct Written {
    _dir: TempDir,
    path: PathBuf,
}

fn written(text: &str) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tillhook.toml");
    fs::write(&path, text).unwrap();
    Written { _dir: dir, path }
}

impl Written {
    fn load(&self, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        load(&Source::File(self.path.clone()), &variables.iter().copied().collect())
    }

    /// All problems, the folder's name left out.
    fn problems(&self, variables: &[(&str, &str)]) -> String {
        let problems = self.load(variables).map(|_| ()).unwrap_err().to_string();
        problems.replace(&format!("{}/", self.path.parent().unwrap().display()), "")
    }
}

#[rstest]
#[case::syntax(
    "[server\nlisten = 1",
    "error: this is not TOML: unclosed table, expected `]`\n  --> tillhook.toml:1:8\n  fix: correct the line"
)]
#[case::an_unknown_table(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[servr]",
    "error: `servr` is not a known table\n  --> tillhook.toml:3:2\n  fix: did you mean `server`?"
)]
#[case::an_unknown_key(
    "[shop.a]\ntoken = \"0123456789abcdef\"\ntimezon = \"x\"",
    "error: `shop.a.timezon` is not a known key\n  --> tillhook.toml:3:1\n  fix: did you mean `timezone`?"
)]
#[case::a_wrong_type(
    "[shop.a]\ntoken = \"0123456789abcdef\"\nfetch_invoices = \"yes\"",
    "error: `shop.a.fetch_invoices` must be true or false, not text\n  --> tillhook.toml:3:18\n  fix: write it like `true`"
)]
#[case::a_time_zone(
    "[shop.a]\ntoken = \"0123456789abcdef\"\ntimezone = \"Europe/Pari\"",
    "error: `shop.a.timezone`: `Europe/Pari` is not a time zone\n  --> tillhook.toml:3:12\n  fix: use one such as `Europe/Paris`"
)]
#[case::a_duration_in_a_list(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[delivery]\nretry = [\"5s\", \"soon\", \"90h\"]",
    "error: `delivery.retry[1]`: `soon` is not a duration\n  --> tillhook.toml:4:16\n  fix: use one such as \"30s\", \"5m\", \"24h\" or \"7d\""
)]
#[case::a_shop_without_token(
    "[shop.a]",
    "error: `shop.a` has no `token`\n  --> tillhook.toml:1:7\n  fix: make one with `tillhook secrets new --token`, and add `token = \"…\"`, `token = { file = \"…\" }` or `token = { env = \"…\" }`"
)]
#[case::a_short_token(
    "[shop.a]\ntoken = \"short\"",
    "error: `shop.a.token` cannot be the end of an address: it needs at least 16 characters, all of them letters, digits, `-` or `_`\n  --> tillhook.toml:2:9\n  fix: make one with `tillhook secrets new --token`"
)]
#[case::one_token_for_two_shops(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[shop.b]\ntoken = \"fedcba9876543210\"\nprevious_token = \"0123456789abcdef\"",
    "error: `shop.b.previous_token` is also a token of `shop.a`\n  --> tillhook.toml:5:18\n  fix: make another one with `tillhook secrets new --token`"
)]
#[case::a_name(
    "[shop.Dupont]\ntoken = \"0123456789abcdef\"",
    "error: `Dupont` is not a usable name: use a-z, 0-9, `_` and `-`, without two underscores in a row\n  --> tillhook.toml:1:7\n  fix: rename the table, for instance to its first word in small letters"
)]
#[case::no_shop(
    "",
    "error: no shop is configured\n  fix: add a table such as `[shop.dupont]`, or write a new file with `tillhook init`"
)]
#[case::a_kind(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"emial\"",
    "error: `sink.x.type`: there is no such kind of sink\n  --> tillhook.toml:4:8\n  fix: did you mean `email`?"
)]
#[case::a_key_of_a_kind(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"stdout\"\nconcurency = 2",
    "error: `sink.x.concurency` is not a known key\n  --> tillhook.toml:5:1\n  fix: did you mean `concurrency`?"
)]
#[case::a_missing_address(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"http\"",
    "error: `sink.x` has no `url`\n  --> tillhook.toml:3:7\n  fix: add `url = \"…\"`, `url = { file = \"…\" }` or `url = { env = \"…\" }`"
)]
#[case::mail_without_a_server(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"email\"\nto = [\"a@example.com\"]",
    "error: `sink.x` sends e-mail, but there is no mail server\n  --> tillhook.toml:4:8\n  fix: add a table `[smtp]` with `host`, `port` and `from`"
)]
#[case::a_mail_server_without_a_name(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nport = 465\nfrom = \"a@example.com\"",
    "error: `smtp` has no `host`\n  --> tillhook.toml:3:2\n  fix: add `host = …`, or `preset = …`: one of `ovh`, `gmail`, `brevo`, `scaleway`"
)]
#[case::a_slip_in_a_preset(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\npreset = \"gmial\"\nfrom = \"a@example.com\"",
    "error: `smtp.preset`: `gmial` is not one of `ovh`, `gmail`, `brevo`, `scaleway`\n  --> tillhook.toml:4:10\n  fix: did you mean `gmail`?"
)]
#[case::a_mail_server_without_a_port(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nfrom = \"a@example.com\"",
    "error: `smtp` has no `port`\n  --> tillhook.toml:3:2\n  fix: write `port = 465` with `tls = \"implicit\"`, or `port = 587` with `tls = \"starttls\"`"
)]
#[case::a_mail_server_s_port_in_words(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nport = \"tls\"\nfrom = \"a@example.com\"",
    "error: `smtp.port` must be a whole number, not text\n  --> tillhook.toml:5:8\n  fix: write `port = 465` with `tls = \"implicit\"`, or `port = 587` with `tls = \"starttls\"`"
)]
#[case::an_alert_to_nobody(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[delivery]\nalerts = [\"consol\"]\n[sink.console]\ntype = \"stdout\"",
    "error: `delivery.alerts`: there is no sink `consol`\n  --> tillhook.toml:4:11\n  fix: did you mean `console`?"
)]
#[case::a_pause_that_comes_too_late(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[delivery]\nretry = [\"1h\"]\n[sink.console]\ntype = \"stdout\"",
    "error: `delivery.pause_after` is not less than the sum of `retry`\n  --> tillhook.toml:4:9\n  fix: shorten `pause_after`, or retry for longer: deliveries would be given up before the sink is paused"
)]
#[case::a_filter(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.console]\ntype = \"stdout\"\nonly = { refund = \"exlude\" }",
    "error: `sink.console.only.refund`: `exlude` is not one of `include`, `exclude`, `only`\n  --> tillhook.toml:5:19\n  fix: did you mean `exclude`?"
)]
#[case::nothing_at_once(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[delivery]\nconcurrency = 0",
    "error: `delivery.concurrency` must be at least 1\n  --> tillhook.toml:4:15\n  fix: use 1 to do one thing after the other"
)]
#[case::no_time_of_day(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[storage]\nbackup = \"daily 25:00\"",
    "error: `storage.backup`: `daily 25:00` is not a time of day\n  --> tillhook.toml:4:10\n  fix: use one such as \"daily 03:30\", or \"off\""
)]
#[case::a_time_in_short(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[storage]\nbackup = \"daily 3:30\"",
    "error: `storage.backup`: `daily 3:30` is not a time of day\n  --> tillhook.toml:4:10\n  fix: use one such as \"daily 03:30\", or \"off\""
)]
#[case::no_digest(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.x]\ntype = \"email\"\nto = [\"b@example.com\"]\ndigest = { every = \"dayly 20:00\" }",
    "error: `sink.x.digest`: `dayly 20:00` is no time for a digest\n  --> tillhook.toml:10:10\n  fix: use one such as \"daily 20:00\", \"weekly mon 07:00\" or \"monthly 1 06:00\""
)]
#[case::a_digest_without_a_time(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.x]\ntype = \"email\"\nto = [\"b@example.com\"]\ndigest = {}",
    "error: `sink.x.digest` must say when\n  --> tillhook.toml:10:10\n  fix: use { every = \"daily 20:00\" } or { on = \"cashbox.closed\", or_at = \"23:55\" }"
)]
#[case::a_journal_without_accounts(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.x]\ntype = \"email\"\nto = [\"b@example.com\"]\ndigest = { every = \"daily 20:00\" }\nattach = [\"journal.csv\"]",
    "error: `sink.x.attach` names journal.csv, and no accounts are known\n  --> tillhook.toml:11:10\n  fix: add a table `[accounting]` with `journal`, `customer` and `rates`; see `config/example.toml`"
)]
#[case::a_report_of_a_till_without_api(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.x]\ntype = \"email\"\nto = [\"b@example.com\"]\ndigest = { every = \"daily 20:00\" }\nalso_attach = [\"till.fec\"]",
    "error: `sink.x.also_attach` names till.fec, and the till of `shop.a` cannot be asked for it\n  --> tillhook.toml:11:15\n  fix: add a table `[shop.a.api]` with `host`, `shop_id` and `key` (`tillhook pos login` gets them), or leave the shop out with `shops`"
)]
#[case::no_backup_stays(
    "[shop.a]\ntoken = \"0123456789abcdef\"\n[storage]\nkeep_backups = 0",
    "error: `storage.keep_backups` must be at least 1\n  --> tillhook.toml:4:16\n  fix: use 1 or more, or set `backup` to \"off\""
)]
fn a_problem_says_what_where_and_what_to_do(#[case] file: &str, #[case] expected: &str) {
    assert_eq!(written(file).problems(&[]), expected);
}

#[test]
fn all_problems_are_told_at_once_each_of_them_once() {
    let file = "[server]\nlisten = 8080\nbody_limit = \"big\"\n[shop.a]\nlocale = \"de\"\ncurrency = \"euro\"\n\
                [sink.x]\ntype = \"http\"\non = [\"order.paid\", \"order.*\", \"sale\"]\nformat = \"xml\"\nretry = \"5s\"\n";
    let problems = written(file).problems(&[]);
    let told: Vec<&str> = problems.lines().filter_map(|line| line.strip_prefix("error: `")).collect();
    let begins: Vec<&str> = told.iter().map(|line| line.split('`').next().unwrap()).collect();
    assert_eq!(
        begins,
        [
            "server.listen",
            "server.body_limit",
            "shop.a",
            "shop.a.locale",
            "shop.a.currency",
            "sink.x",
            "sink.x.on[0]",
            "sink.x.on[2]",
            "sink.x.format",
            "sink.x.retry",
        ],
        "{problems}"
    );
}

#[test]
fn a_variable_wins_over_the_file_and_an_error_in_it_names_it() {
    let file = written(&format!("{SHOP}locale = \"fr\"\n[sink.a-b]\ntype = \"stdout\"\n"));
    let set = [
        ("TILLHOOK_SHOP__DUPONT__LOCALE", "en"),
        ("TILLHOOK_SINK__A_B__CONCURRENCY", "7"),
        ("TILLHOOK_SINK__A_B__ON", "[\"order.validated\"]"),
        ("TILLHOOK_SINK__A_B__ONLY__REFUND", "exclude"),
        ("TILLHOOK_SINK__A_B__PRETTY", "true"),
        ("TILLHOOK_SERVER__LISTEN", "127.0.0.1:1"),
    ];
    let loaded = file.load(&set).unwrap();
    assert_eq!(loaded.warnings, []);
    let (name, sink) = loaded.config.sinks.first_key_value().unwrap();
    assert_eq!((name.as_str(), sink.concurrency, sink.rule.on.len()), ("a-b", 7, 1));
    assert_eq!(sink.rule.only.refund, route::RefundFilter::Exclude);
    assert!(matches!(&sink.options, sink::Options::Stdout(options) if options.pretty));
    assert_eq!(loaded.config.server.listen.port(), 1);
    let variable = |name: &str| Some(Place::Variable(name.to_owned()));
    assert_eq!(loaded.origin_of("shop.dupont.locale").cloned(), variable("TILLHOOK_SHOP__DUPONT__LOCALE"));

    let problems = file.problems(&[("TILLHOOK_SINK__A_B__CONCURRENCY", "many"), ("TILLHOOK_SMTP__PORT", "70000")]);
    let expected = "error: `smtp` has no `host`\n  --> environment variable TILLHOOK_SMTP__PORT\n";
    assert!(problems.starts_with(expected), "{problems}");
    let expected =
        "error: `smtp.port` must be a whole number from 0 to 65535\n  --> environment variable TILLHOOK_SMTP__PORT\n";
    assert!(problems.contains(expected), "{problems}");
    let expected = "error: `sink.a-b.concurrency` must be a whole number, not this\n  --> environment variable \
                    TILLHOOK_SINK__A_B__CONCURRENCY\n";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn the_environment_can_make_a_shop_and_a_sink_that_no_file_has() {
    let set: Environment =
        [("TILLHOOK_SHOP__MARTIN__TOKEN", "martin-martin-martin"), ("TILLHOOK_SINK__OUT__TYPE", "stdout")]
            .into_iter()
            .collect();
    let loaded = load(&Source::Embedded, &set).unwrap();
    let shop = &loaded.config.shops.first_key_value().unwrap().1;
    assert_eq!((shop.shop.name.as_str(), shop.shop.timezone.iana_name()), ("martin", Some("Europe/Paris")));
    assert_eq!((loaded.config.shops.len(), loaded.config.sinks.len()), (1, 1));
    assert!(!loaded.generated_token);
}

#[test]
fn a_variable_that_nobody_knows_is_a_warning_with_a_suggestion() {
    let set = [
        ("TILLHOOK_SHOP__DUPONT__TOKN", "x"),
        ("TILLHOOK_SERVR__LISTEN", "x"),
        ("TILLHOOK_SMTP", "x"),
        ("TILLHOOK_LOG", "debug"),
        ("TILLHOOK_CONFIG", "ignored.toml"),
        ("OTHER", "x"),
    ];
    let warnings = written(SHOP).load(&set).unwrap().warnings;
    let told: Vec<(&str, &str)> = warnings.iter().map(|told| (told.what.as_str(), told.fix.as_str())).collect();
    let joined = "join table and key by two underscores: `TILLHOOK_SMTP__HOST`, `TILLHOOK_SHOP__DUPONT__TOKEN`";
    assert_eq!(
        told,
        [
            ("`TILLHOOK_SERVR__LISTEN` is not a known variable", "did you mean `TILLHOOK_SERVER`?"),
            ("`TILLHOOK_SMTP` is not a known variable", joined),
            ("`shop.dupont.tokn` is not a known key", "did you mean `TILLHOOK_SHOP__DUPONT__TOKEN`?"),
        ]
    );
}

#[test]
fn a_file_twin_gives_the_file_s_text_without_its_last_newline() {
    let file = written(SHOP);
    let secret = file.path.with_file_name("secret");
    fs::write(&secret, "from-a-file-0123456\n").unwrap();
    let twin = ("TILLHOOK_SHOP__DUPONT__TOKEN_FILE", secret.to_str().unwrap());
    let loaded = file.load(&[twin]).unwrap();
    let shop = loaded.config.shops.first_key_value().unwrap().1;
    assert_eq!(shop.token.expose_secret(), "from-a-file-0123456");

    let both = file.problems(&[twin, ("TILLHOOK_SHOP__DUPONT__TOKEN", "x")]);
    assert!(both.contains("are both set"), "{both}");
    let absent = file.problems(&[("TILLHOOK_SHOP__DUPONT__TOKEN_FILE", "/nowhere/token")]);
    let expected = "error: `TILLHOOK_SHOP__DUPONT__TOKEN_FILE`: there is no file /nowhere/token\n  \
                    --> environment variable TILLHOOK_SHOP__DUPONT__TOKEN_FILE\n  \
                    fix: check the path, or make the file";
    assert_eq!(absent, expected);
}

#[test]
fn a_secret_may_be_referred_to_by_file_or_variable() {
    let file = written(
        "[shop.a]\ntoken = { file = \"token\" }\n[sink.x]\ntype = \"http\"\nurl = { env = \"URL\" }\n\
         headers = { authorization = { env = \"AUTH\" } }",
    );
    fs::write(file.path.with_file_name("token"), "relative-to-the-file\n").unwrap();
    let loaded = file.load(&[("URL", "https://erp.example/x"), ("AUTH", "Bearer y")]).unwrap();
    assert_eq!(loaded.config.shops.first_key_value().unwrap().1.token.expose_secret(), "relative-to-the-file");

    let expected = "error: `sink.x.url`: the environment variable URL is not set\n  --> tillhook.toml:5:7\n  \
                    fix: set URL, or write the secret in another way\n\n\
                    error: `sink.x.headers.authorization`: the environment variable AUTH is empty\n  \
                    --> tillhook.toml:6:29\n  fix: set AUTH, or write the secret in another way";
    assert_eq!(file.problems(&[("AUTH", "")]), expected);
}

#[test]
fn what_is_not_a_secret_cannot_be_a_reference() {
    let problems = written(&format!("{SHOP}name = {{ env = \"NAME\" }}")).problems(&[("NAME", "x")]);
    assert!(problems.starts_with("error: `shop.dupont.name` must be text in quotes, not a table"), "{problems}");
}

#[test]
fn an_unknown_key_inside_a_variable_s_table_is_a_problem_lest_a_filter_be_lost() {
    let sink = format!("{SHOP}[sink.x]\ntype = \"stdout\"\n");
    let problems = written(&sink).problems(&[("TILLHOOK_SINK__X__ONLY", "{ refnd = \"exclude\" }")]);
    assert!(problems.starts_with("error: `sink.x.only.refnd` is not a known key"), "{problems}");
    let both = [
        ("TILLHOOK_SINK__X__ONLY", "{ refund = \"only\", customer = \"known\" }"),
        ("TILLHOOK_SINK__X__ONLY__REFUND", "exclude"),
    ];
    let only = written(&sink).load(&both).unwrap().config.sinks.first_key_value().unwrap().1.rule.only.clone();
    assert_eq!((only.refund, only.customer), (route::RefundFilter::Exclude, route::CustomerFilter::Known));
}

#[test]
fn the_environment_can_change_the_embedded_shop_and_sink() {
    let set = [
        ("TILLHOOK_SHOP__SHOP__TOKEN", "0123456789abcdef"),
        ("TILLHOOK_SHOP__SHOP__NAME", "Chez Zoé"),
        ("TILLHOOK_SINK__CONSOLE__PRETTY", "true"),
    ];
    let loaded = load(&Source::Embedded, &set.into_iter().collect()).unwrap();
    assert_eq!(loaded.config.shops.first_key_value().unwrap().1.shop.name, "Chez Zoé");
    assert_eq!(loaded.config.sinks.first_key_value().unwrap().1.options.kind(), "stdout");
    assert!(loaded.file.is_none() && !loaded.generated_token);
}

#[test]
fn alerts_go_to_the_sinks_named_else_to_mail_and_slack() {
    let file = format!(
        "{SHOP}[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.mail]\ntype = \"email\"\n\
         to = [\"a@example.com\"]\n[sink.chat]\ntype = \"slack\"\nurl = \"https://hooks.example/x\"\n[sink.out]\n\
         type = \"stdout\"\n"
    );
    let alerted = |variables: &[(&str, &str)]| {
        let sinks = written(&file).load(variables).unwrap().config.sinks;
        let told = sinks.into_iter().filter(|(_, sink)| sink.rule.alerts).map(|(name, _)| name.to_string());
        told.collect::<Vec<_>>()
    };
    assert_eq!(alerted(&[]), ["chat", "mail"]);
    assert_eq!(alerted(&[("TILLHOOK_DELIVERY__ALERTS", "[\"out\"]")]), ["out"]);
    assert_eq!(alerted(&[("TILLHOOK_DELIVERY__ALERTS", "[]")]), [""; 0]);
}

#[test]
fn a_preset_stands_for_host_port_and_encryption_and_what_is_written_wins() {
    let server = |preset: &str, more: &str, variables: &[(&str, &str)]| {
        let file = written(&format!("{SHOP}[smtp]\npreset = \"{preset}\"\nfrom = \"a@example.com\"\n{more}"));
        let smtp = file.load(variables).unwrap().config.smtp.unwrap();
        (smtp.host, smtp.port, smtp.tls)
    };
    let is = |host: &str, port, tls| (host.to_owned(), port, tls);
    use email::Tls::{Implicit, Starttls};
    assert_eq!(server("ovh", "", &[]), is("ssl0.ovh.net", 465, Implicit));
    assert_eq!(server("gmail", "", &[]), is("smtp.gmail.com", 465, Implicit));
    assert_eq!(server("brevo", "", &[]), is("smtp-relay.brevo.com", 587, Starttls));
    assert_eq!(server("scaleway", "", &[]), is("smtp.tem.scaleway.com", 465, Implicit));
    let own = "host = \"\"\nport = 587\ntls = \"starttls\"\n";
    assert_eq!(server("ovh", own, &[]), is("ssl0.ovh.net", 587, Starttls));
    let set = [("TILLHOOK_SMTP__HOST", "ex4.mail.ovh.net"), ("TILLHOOK_SMTP__PRESET", "brevo")];
    assert_eq!(server("ovh", "", &set), is("ex4.mail.ovh.net", 587, Starttls));
}

#[test]
fn a_machine_that_takes_invoices_is_told_of_no_alert_unless_it_is_named() {
    let file = written(&format!(
        "{SHOP}[smtp]\npreset = \"ovh\"\nfrom = \"a@example.com\"\n[sink.mail]\ntype = \"email\"\nto = [\"a@example.com\"]\n\
         [sink.dext]\ntype = \"email\"\nto = [\"a+sales@dext.cc\"]\nprofile = \"dext\"\n"
    ));
    let sinks = file.load(&[]).unwrap().config.sinks;
    let told: Vec<_> = sinks.values().map(|sink| (sink.rule.needs_invoice, sink.rule.alerts)).collect();
    assert_eq!(told, [(true, false), (false, true)]);
}

#[test]
fn a_sink_takes_what_it_does_not_say_from_delivery_and_from_its_kind() {
    let file = format!(
        "{SHOP}[delivery]\nconcurrency = 2\n[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.mail]\n\
         type = \"email\"\nto = [\"a@example.com\"]\nattach = [\"invoice\"]\nretry = []\n"
    );
    let file = written(&file);
    let mail = |variables: &[(&str, &str)]| file.load(variables).unwrap().config.sinks.pop_first().unwrap().1;
    let sink = mail(&[]);
    assert_eq!((sink.timeout, sink.concurrency, sink.retry.len()), (Duration::from_secs(300), 2, 0));
    assert_eq!((sink.rule.per_order, sink.rule.attaches_invoice), (route::PerOrder::Once, true));
    assert!(
        sink.rule.selects(order::EventType::OrderTerminated) && !sink.rule.selects(order::EventType::InvoiceStored)
    );
    let loaded = file.load(&[]).unwrap();
    assert!(matches!(loaded.origin_of("sink.mail.concurrency"), Some(Place::File { line: 4, .. })));
}

#[test]
fn delivery_s_timeout_never_hurries_a_mail_and_a_sink_s_own_always_wins() {
    let file = written(&format!(
        "{SHOP}[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.mail]\ntype = \"email\"\n\
         to = [\"a@example.com\"]\n[sink.out]\ntype = \"stdout\"\n"
    ));
    let (shared, own) = ("TILLHOOK_DELIVERY__TIMEOUT", "TILLHOOK_SINK__MAIL__TIMEOUT");
    for (set, expected) in [
        (&[(shared, "5s")][..], [300, 5]),
        (&[(shared, "10m")], [600, 600]),
        (&[(shared, "5s"), (own, "20s")], [20, 5]),
        (&[(own, "10m")], [600, 15]),
    ] {
        let sinks = file.load(set).unwrap().config.sinks;
        assert!(sinks.values().map(|sink| sink.timeout.as_secs()).eq(expected), "{set:?}");
    }
}

#[test]
fn a_time_in_which_nothing_can_be_done_is_refused_and_no_wait_at_all_is_not() {
    let file = written(&format!("{SHOP}[sink.a]\ntype = \"stdout\"\n"));
    for (variable, value, said) in [
        ("SINK__A__TIMEOUT", "1ns", "`sink.a.timeout`: `1ns` is too short\n"),
        ("DELIVERY__TIMEOUT", "0s", "`delivery.timeout`: `0s` is too short\n"),
        ("DELIVERY__PAUSE_AFTER", "999ms", "`delivery.pause_after`: `999ms` is too short\n"),
        ("DELIVERY__RETRY", "[\"5s\", \"0s\", \"48h\"]", "`delivery.retry[1]`: `0s` is too short\n"),
        ("SHOP__DUPONT__GAP_AFTER", "1s", "`shop.dupont.gap_after`: `1s` is too short\n"),
        ("SHOP__DUPONT__SILENT_AFTER", "59s", "`shop.dupont.silent_after`: `59s` is too short\n"),
    ] {
        let least = if variable.starts_with("SHOP") { "1m" } else { "1s" };
        let problems = file.problems(&[(&format!("TILLHOOK_{variable}"), value)]);
        assert!(problems.starts_with(&format!("error: {said}")), "{problems}");
        assert!(problems.ends_with(&format!("  fix: use at least \"{least}\"")), "{problems}");
    }
    for (variable, value) in [
        ("SINK__A__TIMEOUT", "1s"),
        ("SINK__A__SETTLE", "0s"),
        ("SHOP__DUPONT__INVOICE_WAIT", "0s"),
        ("SHOP__DUPONT__GAP_AFTER", "1m"),
    ] {
        file.load(&[(&format!("TILLHOOK_{variable}"), value)]).unwrap();
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_variable_that_asked_for_it() {
    let set: Environment = [("TILLHOOK_CONFIG", "/nowhere/tillhook.toml")].into_iter().collect();
    let expected = "error: the configuration: there is no file /nowhere/tillhook.toml\n  \
                    --> environment variable TILLHOOK_CONFIG\n  \
                    fix: check the path, or write the file with `tillhook init`";
    assert_eq!(load(&Source::Search, &set).map(|_| ()).unwrap_err().to_string(), expected);
}

#[test]
fn a_mistake_in_delivery_is_told_once_and_not_again_for_each_sink() {
    let file = written(&format!("{SHOP}[sink.a]\ntype = \"stdout\"\n[sink.b]\ntype = \"stdout\"\n"));
    let problems = file.problems(&[("TILLHOOK_DELIVERY__RETRY", "[\"5s\", \"soon\"]")]);
    let expected = "error: `delivery.retry[1]`: `soon` is not a duration\n  \
                    --> environment variable TILLHOOK_DELIVERY__RETRY\n  \
                    fix: use one such as \"30s\", \"5m\", \"24h\" or \"7d\"";
    assert_eq!(problems, expected);
}

#[test]
fn an_empty_text_is_the_same_as_leaving_the_key_out() {
    let file = written(&format!(
        "[server]\nlisten = \"\"\npublic_url = \"\"\n[delivery]\ntimeout = \"\"\nconcurrency = \"\"\n{SHOP}\
         previous_token = \"\"\n[sink.a]\ntype = \"slack\"\nurl = \"https://hooks.example/x\"\napi = \"\"\nsettle = \"\"\n"
    ));
    let config = file.load(&[("TILLHOOK_STORAGE__PATH", "")]).unwrap().config;
    assert_eq!((config.server.listen.port(), config.server.public_url), (8080, None));
    assert_eq!(config.delivery.timeout, Duration::from_secs(15));
    assert_eq!((config.storage.path.to_str(), config.delivery.concurrency), (Some("/data"), 4));
    assert!(config.shops.first_key_value().unwrap().1.previous_token.is_none());
    assert!(written(&format!("{SHOP}tokn = \"\"")).problems(&[]).contains("`shop.dupont.tokn` is not a known key"));
}

#[test]
fn no_value_of_any_key_keeps_the_rest_from_being_checked() {
    let file = written(&format!(
        "{SHOP}[smtp]\nhost = \"h\"\nport = 465\nfrom = \"a@example.com\"\n[sink.mail]\ntype = \"email\"\n\
         to = [\"a@example.com\"]\n[sink.chat]\ntype = \"slack\"\nurl = \"https://hooks.example/x\"\n[sink.erp]\n\
         type = \"http\"\nurl = \"https://erp.example\"\n"
    ));
    for setting in file.load(&[]).unwrap().settings {
        let variable = format!("TILLHOOK_{}", setting.path.to_uppercase().replace('.', "__"));
        for value in ["", "x", "0", "-1", "true", "1.5", "[]", "[1, \"x\"]", "{}", "{ x = 1 }", "{ env = \"X\" }"] {
            let Err(problems) = file.load(&[(&variable, value)]) else { continue };
            let elsewhere: Vec<_> = problems.0.iter().filter(|told| !told.to_string().contains(&variable)).collect();
            assert!(elsewhere.is_empty(), "{variable}={value}: {elsewhere:?}");
        }
    }
}
