//! Carries out one command, and says how it ended.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use super::{
    Cli, Exit,
    args::{AtDesk, Command, Config, Secrets},
    backup, config, customers, deliveries, demo,
    desk::Desk,
    digest, exit_of, export, healthcheck, init, invoices, orders, pos,
    print::{harmless_lines, notes},
    quarantine, render, restore, secrets, send_test, serve, sink_test,
    sinks::{self, Sinks},
    terminal, url, verify,
};
use crate::{
    app::telemetry,
    clock::{Clock, SystemClock},
    config::{Environment, Loaded, Problems, Source, load},
};

/// Carries out the command; what it answers goes to standard output, why it failed to standard error.
pub async fn run(cli: Cli) -> ExitCode {
    let mut out = terminal::stdout();
    let ended = carry_out(cli, &mut *out).await.and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            say(&error);
            exit_of(&error).into()
        }
    }
}

async fn carry_out(cli: Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let source = cli.config.map_or(Source::Search, Source::File);
    let environment = Environment::of_process();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match cli.command {
        Command::Serve => serve::run(&source, &environment).await,
        Command::Demo(wanted) => demo::run(&wanted).await,
        Command::Init(init) => init::run(&init.path, init.force, clock.now(), out),
        Command::Url(wanted) => {
            url::run(&load(&source, &environment)?.config, wanted.shop.as_deref(), out, &mut notes())
        }
        Command::Config(Config::Check) => config::check(&source, &environment, out),
        Command::Config(Config::Show) => config::show(&source, &environment, out),
        Command::Config(Config::Schema) => config::schema(out),
        Command::Secrets(Secrets::New { token }) => secrets::run(token, out),
        Command::Healthcheck => {
            // A service that runs is not unwell because its file was broken since: the built-in address is asked then.
            let loaded = load(&source, &environment).or_else(|_| load(&Source::Embedded, &environment))?;
            healthcheck::run(&loaded.config.server, out).await
        }
        Command::Verify(call) => verify::run(&call, clock.now(), out),
        Command::SendTest(wanted) => {
            let config = match (&wanted.to, &wanted.shop) {
                (Some(_), None) => None,
                _ => Some(loaded(&source, &environment)?.config),
            };
            send_test::run(&wanted, config.as_ref(), &clock, out).await
        }
        Command::Restore(wanted) => {
            restore::run(&wanted, &load(&source, &environment)?, &clock, out, &mut notes()).await
        }
        Command::Pos(command) => {
            let config = || Ok(loaded(&source, &environment)?.config);
            pos::run(&command, config, &clock, out).await
        }
        Command::AtDesk(AtDesk::Sinks(Sinks::Test(sink))) => {
            sink_test::run(&sink.name, &loaded(&source, &environment)?.config, &clock, out).await
        }
        Command::AtDesk(command) => {
            let desk = Desk::open(loaded(&source, &environment)?.config, clock).await?;
            let ended = at_desk(&command, &desk, out).await;
            // What is said beside the answer changes nothing of how the command ended.
            let told = desk.tell_left_out(&mut notes());
            desk.close().await;
            ended.and_then(|exit| Ok(told.map(|()| exit)?))
        }
    }
}

pub(super) async fn at_desk(command: &AtDesk, desk: &Desk, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        AtDesk::Orders(command) => orders::run(command, desk, out).await,
        AtDesk::Deliveries(command) => deliveries::run(command, desk, out).await,
        AtDesk::Sinks(command) => sinks::run(command, desk, out).await,
        AtDesk::Render(command) => render::run(command, desk, out).await,
        AtDesk::Quarantine(command) => quarantine::run(command, desk, out).await,
        AtDesk::Invoices(command) => invoices::run(command, desk, out).await,
        AtDesk::Export(wanted) => export::run(wanted, desk, out, &mut notes()).await,
        AtDesk::Backup(wanted) => backup::run(wanted, desk, out, &mut notes()).await,
        AtDesk::Digest(command) => digest::run(command, desk, out).await,
        AtDesk::Customers(command) => customers::run(command, desk, out).await,
    }
}

/// The configuration. A token that was made just now is told once, whichever command was the first.
fn loaded(source: &Source, environment: &Environment) -> anyhow::Result<Loaded> {
    let loaded = load(source, environment)?;
    serve::tell_new_address(&loaded);
    Ok(loaded)
}

/// Who reads our output may stop reading, as in `tillhook orders list | head -1`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let written = error.downcast_ref().map(io::Error::kind);
    let serialized = || error.downcast_ref().and_then(serde_json::Error::io_error_kind);
    written.or_else(serialized) == Some(io::ErrorKind::BrokenPipe)
}

/// An error may quote anybody: a row, a file that somebody handed over, what a far side answered.
fn say(error: &anyhow::Error) {
    let said = harmless_lines(&error.to_string());
    if error.is::<Problems>() { telemetry::say(said) } else { telemetry::say(format_args!("error: {said}")) }
}
