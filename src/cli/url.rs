//! `tillhook url`: the address that the till is given.

use std::io::Write;

use secrecy::ExposeSecret;

use super::{Exit, Stop};
use crate::config::{Config, Server, ShopConfig};

/// Prints the webhook address of `shop`, else of the only shop, else of each shop behind its name.
///
/// # Errors
/// When there is no such shop (exit 3) or the output cannot be written.
pub fn run(config: &Config, shop: Option<&str>, out: &mut dyn Write) -> anyhow::Result<Exit> {
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
    Ok(Exit::Ok)
}

/// The address under which the till reaches a shop; a secret. Without `public_url`, the one for this machine.
pub fn webhook_url(server: &Server, shop: &ShopConfig) -> String {
    let base = match &server.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None if server.listen.ip().is_unspecified() => format!("http://localhost:{}", server.listen.port()),
        None => format!("http://{}", server.listen),
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

    fn printed(variables: &[(&str, &str)], shop: Option<&str>) -> anyhow::Result<String> {
        let environment: Environment = variables.iter().copied().collect();
        let mut out = Vec::new();
        run(&load(&Source::Embedded, &environment)?.config, shop, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    const A: (&str, &str) = ("TILLHOOK_SHOP__A__TOKEN", "aaaaaaaaaaaaaaaaaaaa");
    const B: (&str, &str) = ("TILLHOOK_SHOP__B__TOKEN", "bbbbbbbbbbbbbbbbbbbb");

    #[test]
    fn one_shop_is_an_address_and_several_are_a_list() {
        assert_eq!(printed(&[A], None).unwrap(), "http://localhost:8080/in/aaaaaaaaaaaaaaaaaaaa\n");
        let url = ("TILLHOOK_SERVER__PUBLIC_URL", "https://hooks.example/till/");
        let both = "a  https://hooks.example/till/in/aaaaaaaaaaaaaaaaaaaa\nb  https://hooks.example/till/in/bbbbbbbbbbbbbbbbbbbb\n";
        assert_eq!(printed(&[A, B, url], None).unwrap(), both);
        assert_eq!(printed(&[A, B], Some("b")).unwrap(), "http://localhost:8080/in/bbbbbbbbbbbbbbbbbbbb\n");
    }

    #[test]
    fn an_unknown_shop_is_not_found() {
        assert_eq!(exit_of(&printed(&[A], Some("c")).unwrap_err()), Exit::NotFound);
    }
}
