//! `tillhook url`: the address that the till is given.

use std::io::Write;

use secrecy::ExposeSecret;

use super::{Exit, Stop, healthcheck::reachable};
use crate::config::{Config, Server, ShopConfig};

/// Prints the webhook address of `shop`, else of the only shop, else of each shop behind its name. What should be known
/// about it goes to `notes`, so that `out` holds the address alone.
///
/// # Errors
/// When there is no such shop (exit 3) or the output cannot be written.
pub fn run(config: &Config, shop: Option<&str>, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<Exit> {
    let wanted = |id: &str| shop.is_none_or(|shop| shop == id);
    let shops: Vec<_> = config.shops.iter().filter(|(id, _)| wanted(id.as_str())).collect();
    if let (Some(shop), []) = (shop, &shops[..]) {
        let known: Vec<&str> = config.shops.keys().map(|id| id.as_str()).collect();
        let message = format!("there is no shop `{shop}`: use one of {}", known.join(", "));
        return Err(Stop::new(Exit::NotFound, message).into());
    }
    for (id, settings) in &shops {
        let address = webhook_url(&config.server, settings);
        if shops.len() == 1 {
            writeln!(out, "{address}")?;
        } else {
            writeln!(out, "{id}  {address}")?;
        }
    }
    if let Some(note) = out_of_reach(&config.server) {
        writeln!(notes, "{note}")?;
    }
    Ok(Exit::Ok)
}

/// What to know about the addresses while they are those of this machine: the till runs elsewhere.
pub fn out_of_reach(server: &Server) -> Option<&'static str> {
    server.public_url.is_none().then_some(
        "note: the till cannot reach this machine by that address; set server.public_url to one that it can, with https",
    )
}

/// The address under which the till reaches a shop, through whatever proxy there is; a secret. Without `public_url`, the
/// one for this machine.
pub fn webhook_url(server: &Server, shop: &ShopConfig) -> String {
    let base = match &server.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", reachable(server.listen)),
    };
    format!("{base}/in/{}", shop.token.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::exit_of,
        config::{Environment, Source, load},
    };

    /// What is printed, and what is noted.
    fn printed(variables: &[(&str, &str)], shop: Option<&str>) -> anyhow::Result<(String, String)> {
        let environment: Environment = variables.iter().copied().collect();
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        run(&load(&Source::Embedded, &environment)?.config, shop, &mut out, &mut notes)?;
        Ok((String::from_utf8(out)?, String::from_utf8(notes)?))
    }

    const A: (&str, &str) = ("TILLHOOK_SHOP__A__TOKEN", "aaaaaaaaaaaaaaaaaaaa");
    const B: (&str, &str) = ("TILLHOOK_SHOP__B__TOKEN", "bbbbbbbbbbbbbbbbbbbb");
    const URL: (&str, &str) = ("TILLHOOK_SERVER__PUBLIC_URL", "https://hooks.example/till/");

    #[test]
    fn one_shop_is_an_address_and_several_are_a_list() {
        assert_eq!(printed(&[A], None).unwrap().0, "http://127.0.0.1:8080/in/aaaaaaaaaaaaaaaaaaaa\n");
        let both = "a  https://hooks.example/till/in/aaaaaaaaaaaaaaaaaaaa\nb  https://hooks.example/till/in/bbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(printed(&[A, B, URL], None).unwrap().0, both);
        assert_eq!(printed(&[A, B], Some("b")).unwrap().0, "http://127.0.0.1:8080/in/bbbbbbbbbbbbbbbbbbbb\n");
    }

    #[test]
    fn an_address_that_the_till_cannot_reach_is_noted_beside_it() {
        assert!(printed(&[A], None).unwrap().1.contains("set server.public_url"));
        assert_eq!(printed(&[A, URL], None).unwrap().1, "");
    }

    #[test]
    fn an_unknown_shop_is_not_found() {
        assert_eq!(exit_of(&printed(&[A], Some("c")).unwrap_err()), Exit::NotFound);
    }
}
