//! What needs no database: the words that can be typed, times, signatures, a sink's test.

use clap::{CommandFactory as _, Parser as _};
use jiff::{Timestamp, tz::TimeZone};

use super::Office;
use crate::{
    cli::{Cli, Exit, args::Command, exit_of, find, sink_test, verify},
    sink::signature,
};

#[test]
fn every_command_says_its_purpose_in_a_line_and_gives_an_example() {
    let mut cli = Cli::command();
    cli.build();
    let mut open = vec![cli];
    while let Some(command) = open.pop() {
        let name = command.get_name().to_owned();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{name}");
        let inner: Vec<_> = command.get_subcommands().filter(|inner| inner.get_name() != "help").cloned().collect();
        let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(!inner.is_empty() || example.starts_with("Example"), "{name} has no example");
        open.extend(inner);
    }
}

#[test]
fn a_command_that_makes_no_sense_is_refused() {
    for wrong in [
        "deliveries retry",
        "deliveries retry --dead",
        "deliveries retry dlv_1 --sink erp --dead",
        "deliveries list --status lost",
        "orders list --limit 0",
        "sinks recover erp",
        "verify body.json",
        "send-test --phase paid",
        "digest send x",
    ] {
        assert!(Cli::try_parse_from(["tillhook"].into_iter().chain(wrong.split(' '))).is_err(), "{wrong}");
    }
    for right in ["deliveries retry dlv_1 --force", "deliveries retry --sink erp --dead", "orders list --config x"] {
        assert!(Cli::try_parse_from(["tillhook"].into_iter().chain(right.split(' '))).is_ok(), "{right}");
    }
}

#[test]
fn a_time_is_an_instant_a_date_on_the_shops_wall_or_how_long_ago() {
    let now: Timestamp = "2026-11-21T13:05:00Z".parse().unwrap();
    let zone = TimeZone::get("Europe/Paris").unwrap();
    for (text, at) in [
        ("2026-11-20", "2026-11-19T23:00:00Z"),
        ("2026-11-20T08:30", "2026-11-20T07:30:00Z"),
        ("2026-11-20T08:30:00+02:00", "2026-11-20T06:30:00Z"),
        ("2h", "2026-11-21T11:05:00Z"),
        // Over the end of summer time: the same time of day.
        ("30d", "2026-10-22T12:05:00Z"),
    ] {
        assert_eq!(find::time(text, &zone, now).unwrap(), at.parse().unwrap(), "{text}");
    }
    for wrong in ["", "soon", "2026-11-22", "-2h", "2026-13-01"] {
        assert_eq!(exit_of(&find::time(wrong, &zone, now).unwrap_err()), Exit::Usage, "{wrong}");
    }
}

#[test]
fn a_signature_is_checked_from_options_or_from_a_file_of_headers() {
    let dir = tempfile::tempdir().unwrap();
    let (body, headers) = (dir.path().join("body.json"), dir.path().join("headers.txt"));
    std::fs::write(&body, "{}").unwrap();
    let secret = "whsec_dGlsbGhvb2stdGVzdHMtc2lnbmluZy1zZWNyZXQ=";
    let now: Timestamp = "2026-11-21T13:05:00Z".parse().unwrap();
    let at = now.as_second();
    let signed = secret.parse::<signature::Secret>().unwrap().sign("evt_1", at, b"{}");
    std::fs::write(
        &headers,
        format!("HTTP/1.1 200\nWebhook-Id: evt_1\nwebhook-timestamp: {at}\nwebhook-signature: {signed}\n"),
    )
    .unwrap();
    let check = |options: &str, now: Timestamp| {
        let words = format!("tillhook verify {} --secret {secret} {options}", body.display());
        let Command::Verify(call) = Cli::try_parse_from(words.split(' ')).unwrap().command else {
            panic!("another command")
        };
        let mut out = Vec::new();
        let exit = verify::run(&call, now, &mut out).unwrap();
        (exit, String::from_utf8(out).unwrap())
    };
    let short = Cli::try_parse_from(["tillhook", "verify", "body.json", "--secret", "whsec_short", "--headers", "h"]);
    let Command::Verify(short) = short.unwrap().command else { panic!("another command") };
    let refusal = verify::run(&short, now, &mut Vec::new()).unwrap_err();
    assert_eq!((exit_of(&refusal), refusal.to_string().contains("whsec_short")), (Exit::Usage, false));
    let without =
        Cli::try_parse_from(["tillhook", "verify", headers.to_str().unwrap(), "--secret", secret, "--id", "evt_1"]);
    let Command::Verify(without) = without.unwrap().command else { panic!("another command") };
    let refusal = verify::run(&without, now, &mut Vec::new()).unwrap_err();
    assert_eq!(exit_of(&refusal), Exit::Usage);
    assert!(refusal.to_string().contains("webhook-timestamp") && refusal.to_string().contains("`--headers FILE`"));
    let given = format!("--id evt_1 --timestamp {at} --signature {signed}");
    let genuine = (Exit::Ok, "genuine: signed with this secret, and whole\n".to_owned());
    assert_eq!(check(&given, now), genuine);
    assert_eq!(check(&format!("--headers {}", headers.display()), now), genuine);
    let later = now + std::time::Duration::from_secs(301);
    assert_eq!(check(&given, later), (Exit::Failed, "not genuine: the call is too old\n".to_owned()));
    assert_eq!(check(&format!("{given} --tolerance none"), later), genuine);
    assert_eq!(check(&given.replace("evt_1", "evt_2"), now).0, Exit::Failed);
}

#[tokio::test]
async fn a_sink_is_tried_step_by_step_whatever_its_on() {
    let office = Office::open().await;
    std::fs::create_dir(office.dir.path().join("quiet")).unwrap();
    let mut out = Vec::new();
    let exit = sink_test::run("quiet", &office.desk.config, &office.desk.clock, &mut out).await.unwrap();
    let said = String::from_utf8(out).unwrap();
    assert_eq!(exit, Exit::Ok, "{said}");
    let steps: Vec<&str> = said.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(steps, ["quiet", "reachable", "message", "sent"]);
    let files: Vec<_> = std::fs::read_dir(office.dir.path().join("quiet")).unwrap().collect();
    assert_eq!(files.len(), 1, "one message arrived");
    let refusal = sink_test::run("books", &office.desk.config, &office.desk.clock, &mut Vec::new()).await.unwrap_err();
    let folder = office.dir.path().join("books");
    let expected = format!(
        "the sink is not reachable: the folder {} does not exist\n  \
         fix: put it right on this machine; until then the service keeps the messages and tries again",
        folder.display()
    );
    assert_eq!((exit_of(&refusal), refusal.to_string()), (Exit::Failed, expected));
}
