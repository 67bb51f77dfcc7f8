//! What is refused before anything is sent.

use super::{
    super::{TillFile, When},
    *,
};

fn refusal(options: &Options, smtp: Option<Smtp>) -> String {
    match options.build(&"accountant".parse().unwrap(), &context(smtp)) {
        Ok(_) => "taken".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_mail_sink_says_what_it_lacks_and_what_to_do() {
    let with = |change: fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        refusal(&options, Some(smtp(25)))
    };
    assert!(refusal(&options(), None).contains("add an `[smtp]` table"));
    assert!(with(|options| options.to.clear()).contains("at least one address in `to`"));
    assert!(with(|options| options.to = vec!["a@b.fr, c@d.fr".into()]).starts_with("`to`: `a@b.fr, c@d.fr` is not"));
    assert!(with(|options| options.cc = vec!["Zoé <zoe@d.fr>".into()]).starts_with("`cc`:"));
    assert!(with(|options| options.bcc = vec!["a@localhost".into()]).starts_with("`bcc`:"));
    assert!(with(|options| options.reply_to = Some("nobody".into())).starts_with("`reply_to`:"));
    assert!(with(|options| options.from = Some("nobody".into())).starts_with("`from`:"));
    assert_eq!(with(|options| options.reply_to = Some("Zoé <zoe@d.fr>".into())), "taken");
}

#[test]
fn half_an_account_and_a_nameless_server_are_refused() {
    let with = |change: fn(&mut Smtp)| {
        let mut smtp = smtp(25);
        change(&mut smtp);
        refusal(&options(), Some(smtp))
    };
    assert!(with(|smtp| smtp.username = Some("caisse".into())).contains("set `smtp.password`"));
    assert!(with(|smtp| smtp.password = Some("secret".to_owned().into())).contains("set `smtp.username`"));
    assert!(with(|smtp| smtp.host = " ".into()).contains("`smtp.host` is empty"));
    assert!(with(|smtp| smtp.from = "Dupont".into()).starts_with("`smtp.from`:"));
}

#[test]
fn machines_that_read_invoices_always_get_them_and_get_text_alone() {
    let machine = Options { attach: Vec::new(), profile: Profile::Pennylane, ..options() };
    assert!(machine.attaches_invoice() && options().attaches_invoice());
    assert!(!Options { attach: Vec::new(), ..options() }.attaches_invoice());
    let payload = sink(&machine, smtp(25)).render(&first(Locale::Fr, paid())).unwrap();
    assert_eq!(serde_json::from_str::<Letter>(&payload.body).unwrap().html, None);
}

#[test]
fn the_tills_reports_go_with_the_digest_of_a_day_and_with_nothing_else() {
    let with = |digest: Option<&str>| {
        let digest = digest.map(|every| When(every.parse().unwrap()));
        refusal(&Options { also_attach: vec![TillFile::Fec], digest, ..options() }, Some(smtp(25)))
    };
    assert_eq!(with(Some("daily 20:00")), "taken");
    assert!(with(None).contains("`also_attach` names till.fec, which goes with a digest, and there is none"));
    for of_more in ["weekly mon 07:00", "monthly 1 06:00"] {
        assert!(with(Some(of_more)).contains("`also_attach` names till.fec, which is of one day"), "{of_more}");
    }
}
