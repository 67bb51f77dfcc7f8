//! No secret or customer is in what the program says when its storage fails, or when it is configured wrongly.

use std::{fs, process::Command};

use rstest::rstest;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tillhook::till;

use super::secrets_in_logs::has_no_canary;
use crate::harness::{TOKEN, form, program::Program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_everything_holds_no_secret_when_nothing_can_be_stored() {
    tillhook::app::telemetry::install_cryptography();
    let mut program = Program::new("kash.click", "", "").with("TILLHOOK_LOG", "trace");
    let webhook = program.serve().await;
    let file = program.data().join("tillhook.db");
    let mut other = SqliteConnectOptions::new().filename(file).connect().await.expect("a connection");

    // A database that another program keeps for itself, and one whose tables refuse what is written.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    assert_eq!(post_canary(&webhook).await, 503);
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("the lock is given back");
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON receipt BEGIN SELECT RAISE(ABORT, 'no more'); END";
    sqlx::query(refuse).execute(&mut other).await.expect("a trigger");
    assert_eq!(post_canary(&webhook).await, 503);
    other.close().await.expect("closed");
    program.kill();
    let log = program.printed();
    assert_eq!(log.matches("the call could not be stored").count(), 2, "{log}");
    has_no_canary(&log);
}

async fn post_canary(webhook: &str) -> u16 {
    let call = [("type", "validated"), ("orderID", "CanaryBody"), ("orderInternalID", "CanaryBody"), ("price", "3")];
    till::post(&form(&call), webhook).await.expect("an answer").status
}

/// What is right, with a canary in every secret.
const RIGHT: &str = r#"
[shop.dupont]
token = "CanaryWrongToken0123456789"
previous_token = "CanaryPreviousToken0123456789"
[smtp]
host = "127.0.0.1"
port = 25
tls = "none"
username = "caisse"
password = "CanaryPassword"
from = "caisse@dupont.example"
[sink.mail]
type = "email"
to = ["compta@cabinet.example"]
[sink.erp]
type = "http"
url = "https://canary-host.example/CanaryPath?key=CanaryQuery"
secret = "whsec_Q2FuYXJ5U2VjcmV0Q2FuYXJ5U2VjcmV0"
headers = { authorization = "Bearer CanaryHeader" }
[sink.team]
type = "slack"
url = "https://canary-host.example/services/CanaryPath"
[sink.bot]
type = "slack"
token = "xoxb-CanaryBotToken"
channel = "C1"
"#;

#[test]
fn what_is_right_is_shown_without_its_secrets() {
    for words in ["config check", "config show"] {
        assert_eq!(said_with_a_file("", "", words).0, Some(0), "{words}");
    }
    let (_, shown) = said_with_a_file("", "", "config show");
    assert!(shown.contains("previous_token") && shown.contains("username") && shown.contains("caisse"), "{shown}");
}

/// Slips at a secret: each replaces a piece of what is right, so that the file, or the value, is wrong.
#[rstest]
#[case::no_quotes("\"CanaryPassword\"", "CanaryPassword")]
#[case::a_quote_that_is_not_closed("\"CanaryPassword\"", "\"CanaryPassword")]
#[case::quotes_that_do_not_match("\"CanaryPassword\"", "\"CanaryPassword'")]
#[case::something_behind_it("\"CanaryPassword\"", "\"CanaryPassword\" CanaryPassword")]
#[case::an_escape_that_is_none("\"CanaryPassword\"", "\"\\CanaryPassword\"")]
#[case::a_list("\"CanaryPassword\"", "[\"CanaryPassword\"]")]
#[case::a_number("\"CanaryPassword\"", "0655500123")]
#[case::a_table("\"CanaryPassword\"", "{ valu = \"CanaryPassword\" }")]
#[case::a_date("\"CanaryPassword\"", "2026-11-21")]
#[case::set_twice("password =", "password = \"CanaryPassword\"\npassword =")]
#[case::a_key_that_is_none("password =", "pasword =")]
#[case::no_equals_sign("password =", "password")]
#[case::a_token_with_a_blank("CanaryWrongToken", "CanaryWrongToken ")]
#[case::a_token_that_is_short("CanaryWrongToken0123456789", "CanaryWrongTok")]
#[case::the_token_of_another_shop("[smtp]", "[shop.martin]\ntoken = \"CanaryWrongToken0123456789\"\n[smtp]")]
#[case::no_url("https://canary-host.example/CanaryPath", "canary-host.example/CanaryPath")]
#[case::another_scheme("https://canary-host.example/CanaryPath", "ftp://canary-host.example/CanaryPath")]
#[case::a_port_that_is_none("canary-host.example/CanaryPath", "canary-host.example:CanaryPath/CanaryPath")]
#[case::a_private_address("canary-host.example/CanaryPath", "127.0.0.1/CanaryPath")]
#[case::a_password_in_the_url("canary-host.example/CanaryPath", "CanaryUser:CanaryUser@canary-host.example/CanaryPath")]
#[case::a_secret_that_cannot_sign("whsec_", "CanaryBody_")]
#[case::a_header_with_a_line_break("CanaryHeader", "CanaryHeader\\n")]
#[case::a_header_of_ours("authorization =", "webhook-id =")]
#[case::headers_as_text("{ authorization = \"Bearer CanaryHeader\" }", "\"CanaryHeader\"")]
#[case::two_ways_to_slack("channel = \"C1\"", "url = \"https://canary-host.example/CanaryPath\"")]
#[case::a_slack_token_with_a_line_break("xoxb-CanaryBotToken", "xoxb-CanaryBotToken\\u0001")]
#[case::a_url_for_a_file(
    "url = \"https://canary-host.example/services/CanaryPath\"",
    "url = { file = 5, CanaryPath = 1 }"
)]
fn a_slip_at_a_secret_is_told_without_the_secret(#[case] right: &str, #[case] wrong: &str) {
    for words in ["config check", "config show", "url", "sinks list --json", "serve"] {
        let (code, said) = said_with_a_file(right, wrong, words);
        assert!(code == Some(2) || !["config check", "serve"].contains(&words), "{words} refuses it: {said}");
    }
}

/// Slips in a variable that holds a secret.
#[rstest]
#[case::a_key_that_is_none("TILLHOOK_SMTP__PASSWOR", "CanaryPassword")]
#[case::one_underscore("TILLHOOK_SMTP_PASSWORD", "CanaryPassword")]
#[case::a_table("TILLHOOK_SMTP__PASSWORD", "{ valu = \"CanaryPassword\" }")]
#[case::a_short_token("TILLHOOK_SHOP__DUPONT__TOKEN", "CanaryWrong")]
#[case::a_token_with_a_blank("TILLHOOK_SHOP__DUPONT__TOKEN", "CanaryWrongToken CanaryWrongToken")]
#[case::no_url("TILLHOOK_SINK__ERP__URL", "CanaryPath")]
#[case::a_secret_that_cannot_sign("TILLHOOK_SINK__ERP__SECRET", "CanaryBody")]
#[case::headers_as_text("TILLHOOK_SINK__ERP__HEADERS", "CanaryHeader")]
#[case::headers_that_are_not_closed("TILLHOOK_SINK__ERP__HEADERS", "{ authorization = \"CanaryHeader\"")]
fn a_slip_in_a_variable_is_told_without_its_value(#[case] name: &str, #[case] value: &str) {
    let place = TempDir::new().expect("a directory");
    for words in ["config check", "config show", "url"] {
        let (_, said) = said(&place, RIGHT, words, Some((name, value)));
        assert!(said.contains(name) || words != "config check", "it names the variable: {said}");
    }
}

/// What the program says about what is right with one piece replaced; it has no canary. Its own exit code goes with it.
fn said_with_a_file(right: &str, wrong: &str, words: &str) -> (Option<i32>, String) {
    let place = TempDir::new().expect("a directory");
    assert!(right.is_empty() || RIGHT.contains(right), "`{right}` is there");
    let file = if right.is_empty() { RIGHT.to_owned() } else { RIGHT.replace(right, wrong) };
    let (code, said) = said(&place, &file, words, None);
    (code, said)
}

fn said(place: &TempDir, file: &str, words: &str, variable: Option<(&str, &str)>) -> (Option<i32>, String) {
    fs::write(place.path().join("tillhook.toml"), file).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillhook"));
    command.current_dir(place.path()).env_clear().env("TILLHOOK_LOG", "trace").args(words.split(' '));
    command.env("TILLHOOK_STORAGE__PATH", place.path().join("data")).envs(variable);
    let output = command.output().expect("the program");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // `url` prints the token when all is well: that is what it is for.
    if words != "url" || output.status.code() != Some(0) {
        has_no_canary(&said);
        assert!(!said.contains("Q2FuYXJ5U2VjcmV0") && !said.contains(TOKEN), "{said}");
    }
    (output.status.code(), said)
}
