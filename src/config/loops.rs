//! Sinks that call our own webhook: what is announced there would be announced again, and again.
//!
//! Only what can be seen in the address is found here. What leads back by a detour is found when it is called
//! (`sink::client::INSTANCE`).

use url::{Host, Url};

use super::{Config, Problem, Server, check::place, node::Table, problem::Report};

/// Tells every sink whose address is one of our webhooks'.
pub(super) fn check(config: &Config, root: &Table, report: &mut Report) {
    for (name, sink) in &config.sinks {
        let Some((key, address)) = sink.options.address() else { continue };
        if Url::parse(address.trim()).is_ok_and(|url| is_our_webhook(&config.server, &url)) {
            let what =
                format!("`sink.{name}.{key}` is this service's own webhook: every sale would come back for ever");
            let at = place(root, &["sink", name.as_str(), key]);
            report.problem(Problem::new(what, at, "use the address of the system that is to be told"));
        }
    }
}

fn is_our_webhook(server: &Server, url: &Url) -> bool {
    let is_below = |base: &str| url.path().strip_prefix(base.trim_end_matches('/')).is_some_and(is_door);
    let public = server.public_url.as_ref();
    let is_here = url.port_or_known_default() == Some(server.listen.port()) && is_this_machine(server, url);
    is_here && is_below("")
        || public.is_some_and(|public| is_below(public.path()) && (is_here || public.origin() == url.origin()))
}

fn is_door(path: &str) -> bool {
    path == "/in" || path.starts_with("/in/")
}

/// Whether `url` names the address that the service listens on, or one that is always this machine.
fn is_this_machine(server: &Server, url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address == server.listen.ip(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address == server.listen.ip(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::config::{Environment, Loaded, Problems, Source, load};

    fn with_url(kind: &str, url: &str) -> Result<Loaded, Problems> {
        let variables = [
            ("TILLHOOK_SERVER__LISTEN", "192.0.2.1:8080"),
            ("TILLHOOK_SERVER__PUBLIC_URL", "https://hooks.dupont.example/till"),
            ("TILLHOOK_SHOP__DUPONT__TOKEN", "0123456789abcdef"),
            ("TILLHOOK_SINK__ERP__TYPE", kind),
            ("TILLHOOK_SINK__ERP__URL", url),
        ];
        load(&Source::Embedded, &variables.into_iter().collect::<Environment>())
    }

    #[rstest]
    #[case::public("https://hooks.dupont.example/till/in/SECRET")]
    #[case::of_another_shop_and_spelt_oddly("HTTPS://Hooks.Dupont.Example:443/x/../till/in/SECRET?a=b")]
    #[case::without_its_token("https://hooks.dupont.example/till/in")]
    #[case::where_it_listens("http://192.0.2.1:8080/in/SECRET")]
    #[case::this_machine("http://localhost:8080/in/SECRET")]
    #[case::this_machine_and_the_public_path("http://127.0.0.1:8080/till/in/SECRET")]
    #[case::this_machine_by_number("http://2130706433:8080/in/SECRET")]
    #[case::this_machine_ipv6("http://[::1]:8080/in/SECRET")]
    fn a_sink_that_calls_our_own_webhook_is_a_problem(#[case] url: &str) {
        for kind in ["http", "slack"] {
            let told = with_url(kind, url).map(|_| ()).expect_err("a problem").to_string();
            assert!(told.starts_with("error: `sink.erp.url` is this service's own webhook"), "{told}");
            assert!(told.contains("TILLHOOK_SINK__ERP__URL") && !told.contains("SECRET"), "{told}");
        }
    }

    #[rstest]
    #[case::another_path_of_the_same_host("https://hooks.dupont.example/erp/in/1")]
    #[case::a_path_that_begins_alike("https://hooks.dupont.example/till/inbox")]
    #[case::another_port("http://127.0.0.1:8081/in/1")]
    #[case::another_host("https://erp.example/till/in/1")]
    #[case::another_scheme("http://hooks.dupont.example/till/in/1")]
    fn an_address_that_only_looks_alike_is_none(#[case] url: &str) {
        assert!(with_url("http", url).is_ok());
    }
}
