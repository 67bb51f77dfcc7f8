//! `tillhook healthcheck`: asks the running service whether it could store a call.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::redirect;

use super::{Exit, Stop};
use crate::config::Server;

/// How long the service may take. Docker's own limit is usually longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints `ok`.
///
/// # Errors
/// When the service does not answer, or says that it could not store a call.
pub async fn run(server: &Server, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let address = reachable(server.listen);
    let answer = ask(address).await.map_err(|error| {
        let what = format!("no service answers on {address}: {}", reason(&error));
        Stop::with_fix(Exit::Failed, what, "start it with `tillhook serve`, or name its configuration with --config")
    })?;
    match answer {
        (true, said) => writeln!(out, "{}", said.trim_end())?,
        (false, why) => anyhow::bail!("the service on {address} could not store a call: {}", why.trim_end()),
    }
    Ok(Exit::Ok)
}

/// The address under which this machine reaches a service that listens on `listen`.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> reqwest::Result<(bool, String)> {
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        // It never speaks TLS, so a machine without certificates can be healthy too.
        .tls_certs_only([])
        .build()?;
    let answer = client.get(format!("http://{address}/readyz")).send().await?;
    Ok((answer.status().is_success(), answer.text().await?))
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took longer than 3 s"
    } else if error.is_connect() {
        "nobody listens there"
    } else {
        "the answer is not HTTP"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_over_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:90", "192.0.2.7:90"),
            ("127.0.0.2:1", "127.0.0.2:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
