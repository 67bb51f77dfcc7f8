//! `tillhook config check`, `show` and `schema`.

use std::{io::Write, sync::Arc};

use super::Exit;
use crate::{
    clock::SystemClock,
    config::{self, Environment, Loaded, Problems, SinkConfig, Source, load},
    order::SinkName,
    sink,
};

/// `config check`: all problems at once, else warnings and advice. Exits with 2 when there are problems.
///
/// # Errors
/// When the output cannot be written.
pub fn check(source: &Source, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let loaded = match load(source, environment).and_then(buildable) {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(out, "{problems}\n\n{}", counted(problems.0.len(), "problem"))?;
            return Ok(Exit::Usage);
        }
    };
    for warning in &loaded.warnings {
        writeln!(out, "{}\n", warning.titled("warning"))?;
    }
    for advice in config::advice(&loaded) {
        writeln!(out, "{}\n", advice.titled("advice"))?;
    }
    let sizes = (counted(loaded.config.shops.len(), "shop"), counted(loaded.config.sinks.len(), "sink"));
    writeln!(out, "{} is valid: {}, {}", origin(&loaded), sizes.0, sizes.1)?;
    Ok(Exit::Ok)
}

/// `config show`: the values in force with their origin, secrets masked.
///
/// # Errors
/// When the configuration has problems or the output cannot be written.
pub fn show(source: &Source, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let loaded = load(source, environment)?;
    write!(out, "{}", config::show(&loaded))?;
    Ok(Exit::Ok)
}

/// `config schema`: the JSON Schema of the file.
///
/// # Errors
/// When the output cannot be written.
pub fn schema(out: &mut dyn Write) -> anyhow::Result<Exit> {
    serde_json::to_writer_pretty(&mut *out, &config::schema())?;
    writeln!(out)?;
    Ok(Exit::Ok)
}

/// The same configuration, if all of its sinks can be built. Nothing is contacted.
fn buildable(loaded: Loaded) -> Result<Loaded, Problems> {
    let config = &loaded.config;
    let problem = |(name, settings): (&SinkName, &SinkConfig)| {
        let context = sink::Context {
            clock: Arc::new(SystemClock),
            smtp: config.smtp.clone(),
            allow_private: config.delivery.allow_private.clone(),
            timeout: settings.timeout,
            templates: config.smtp.as_ref().and_then(|smtp| smtp.templates.clone()),
        };
        let cause = sink::build(&settings.options, name, &context).err()?;
        Some(loaded.problem_at(&format!("sink.{name}"), &cause.what, &cause.fix))
    };
    let problems: Vec<_> = config.sinks.iter().filter_map(problem).collect();
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems)) }
}

fn origin(loaded: &Loaded) -> String {
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    file.unwrap_or_else(|| "the embedded configuration".to_owned())
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked(text: &str) -> (Exit, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tillhook.toml");
        fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let exit = check(&Source::File(path), &Environment::default(), &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn problems_are_counted_and_exit_with_2() {
        let (exit, out) = checked("[shop.a]\n[sink.x]\n");
        assert_eq!(exit, Exit::Usage);
        assert!(out.ends_with("\n\n2 problems\n"), "{out}");
    }

    #[test]
    fn a_sink_that_cannot_be_built_is_a_problem_at_the_key_that_it_names() {
        let (exit, out) = checked(
            "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"http\"\nurl = \"http://127.0.0.1/SECRET\"\n\
             [sink.y]\ntype = \"slack\"\n",
        );
        assert_eq!(exit, Exit::Usage);
        assert!(
            out.contains("error: `sink.x`: `url` cannot be called") && out.contains("tillhook.toml:5:7\n"),
            "{out}"
        );
        assert!(out.contains("error: `sink.y`: Slack is reached in one of two ways\n  --> /"), "{out}");
        assert!(out.contains("tillhook.toml:7:8\n") && !out.contains("SECRET"), "{out}");
    }

    #[test]
    fn what_works_but_should_be_known_is_advice() {
        let file = "[shop.a]\ntoken = \"0123456789abcdef\"\n[sink.x]\ntype = \"http\"\nurl = \"https://u\"\non = []\n";
        let (exit, out) = checked(file);
        assert_eq!(exit, Exit::Ok);
        let advice: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("advice: ")).collect();
        assert_eq!(
            advice,
            [
                "there is no `server.public_url`: invoices have no address, and `tillhook url` guesses",
                "`sink.x` has no `secret`, so its calls are unsigned",
                "`sink.x.on` is empty: the sink is told of no sale",
                "`shop.a.token` stands in a file that other users may read",
            ]
        );
        assert!(out.ends_with("is valid: 1 shop, 1 sink\n"), "{out}");
    }

    #[test]
    fn what_an_accountant_would_not_expect_and_a_digest_does_not_do_is_advised() {
        let smtp = "[smtp]\npreset = \"ovh\"\nfrom = \"a@example.com\"\n";
        let sink = "[sink.x]\ntype = \"email\"\nto = [\"a@example.com\"]\ndigest = { every = \"daily 20:00\" }\n";
        let told = |rest: &str| checked(&format!("[shop.a]\ntoken = \"0123456789abcdef\"\n{smtp}{sink}{rest}")).1;
        let advice = told("on = [\"order.validated\"]\n[storage]\nkeep_events = \"40d\"\npath = \"/dev/null/data\"\n");
        for expected in [
            "advice: there is no `delivery.alerts`, so `x` gets every alert as well as the invoices",
            "advice: `sink.x.on` names orders, and a sink with a `digest` gets no mail about a single one",
            "advice: `storage.keep_events` is shorter than the 62 days for which a digest is corrected",
            "advice: `storage.path` is /dev/null/data, which this user cannot write to",
        ] {
            assert!(advice.contains(expected), "{expected}: {advice}");
        }
        let good =
            told("[delivery]\nalerts = [\"y\"]\n[sink.y]\ntype = \"email\"\nto = [\"b@example.com\"]\non = []\n");
        assert!(
            !good.contains("`delivery.alerts`") && !good.contains(".on`") && !good.contains("keep_events"),
            "{good}"
        );
    }

    #[test]
    fn a_mail_password_in_the_clear_is_advised_against_unless_it_stays_on_this_machine() {
        let told = |host: &str, rest: &str| {
            let shop = "[shop.a]\ntoken = \"0123456789abcdef\"\n";
            let smtp = format!("[smtp]\nhost = \"{host}\"\nport = 25\nfrom = \"a@example.com\"\n{rest}");
            checked(&format!("{shop}{smtp}")).1
        };
        let password = "username = \"u\"\npassword = \"SECRET\"\n";
        let open = format!("tls = \"none\"\n{password}");
        let advice = told("smtp.example.com", &open);
        assert!(advice.contains("advice: `smtp.tls` is \"none\": the password goes") && advice.contains("toml:7:7\n"));
        assert!(advice.contains("port 465") && advice.contains("port 587") && !advice.contains("SECRET"), "{advice}");
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(!told(host, &open).contains("unencrypted"), "{host}");
        }
        for rest in ["tls = \"none\"\n", &format!("tls = \"starttls\"\n{password}")] {
            assert!(!told("smtp.example.com", rest).contains("unencrypted"), "{rest}");
        }
    }

    #[test]
    fn a_port_that_does_not_go_with_its_encryption_is_advised_against() {
        let told = |port: u16, tls: &str| {
            let smtp = format!("[smtp]\nhost = \"smtp.example.com\"\nport = {port}\nfrom = \"a@example.com\"\n{tls}\n");
            checked(&format!("[shop.a]\ntoken = \"0123456789abcdef\"\n{smtp}")).1
        };
        let advice = told(587, "");
        assert!(advice.contains("advice: `smtp.port` is 587, but `smtp.tls` is not \"starttls\""), "{advice}");
        assert!(advice.contains("toml:5:8\n") && advice.contains("with port 465"), "{advice}");
        assert!(told(465, "tls = \"starttls\"").contains("`smtp.tls` is not \"implicit\""));
        for (port, tls) in [(465, ""), (587, "tls = \"starttls\""), (25, ""), (25, "tls = \"none\"")] {
            assert!(!told(port, tls).contains("`smtp.port`"), "{port} {tls}");
        }
    }

    #[test]
    fn the_schema_is_one_json_object() {
        let mut out = Vec::new();
        schema(&mut out).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&out).unwrap().is_object());
    }

    #[test]
    fn an_address_that_takes_purchases_and_a_profile_that_does_not_fit_are_told_at_their_lines() {
        let smtp =
            "[smtp]\npreset = \"ovh\"\nfrom = \"a@example.com\"\n[server]\npublic_url = \"https://h.example.com\"\n";
        let (exit, out) = checked(&format!(
            "[shop.a]\ntoken = \"0123456789abcdef\"\n{smtp}[sink.x]\ntype = \"email\"\nprofile = \"pennylane\"\n\
             to = [\"x-1@suppliers.pennylane.com\"]\nper_order = \"each\"\n[sink.y]\ntype = \"email\"\n\
             to = [\"x-1@customers.pennylane.com\"]\n[delivery]\nalerts = [\"x\"]\n"
        ));
        assert_eq!(exit, Exit::Ok, "{out}");
        let without_places: Vec<&str> = out.lines().filter(|line| !line.contains("-->")).collect();
        let expected = [
            "advice: `sink.x` has in `to` an address at suppliers.pennylane.com, which takes purchases, not sales",
            "  fix: write your address that ends in `@customers.pennylane.com`",
            "advice: `sink.x.per_order` is \"each\": the machine gets the same invoice once for each event",
            "  fix: write `per_order = \"once\"`",
            "advice: `delivery.alerts` names `x`, a machine that gets nothing but invoices",
            "  fix: name a sink that a person reads",
            "advice: `sink.y` has in `to` an address at customers.pennylane.com, but `profile` is \"human\"",
            "  fix: write `profile = \"pennylane\"`",
        ];
        assert_eq!(
            without_places.iter().filter(|line| !line.is_empty()).take(8).copied().collect::<Vec<_>>(),
            expected,
            "{out}"
        );
        assert!(out.contains("tillhook.toml:11:6\n"), "{out}");
    }

    #[test]
    fn a_folder_of_templates_is_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mail")).unwrap();
        let text = format!(
            "[shop.a]\ntoken = \"0123456789abcdef\"\n[smtp]\npreset = \"ovh\"\nfrom = \"a@example.com\"\ntemplates = \"{}\"\n\
             [sink.x]\ntype = \"email\"\nto = [\"a@example.com\"]\n",
            dir.path().display()
        );
        assert_eq!(checked(&text).0, Exit::Ok);
        fs::write(dir.path().join("mail/order.html"), "{% if %}").unwrap();
        let (exit, out) = checked(&text);
        assert!(exit == Exit::Usage && out.contains("the mail template mail/order.html is not valid"), "{out}");
    }
}
