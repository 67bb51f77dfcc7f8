//! As whom, and where, a shop's till is asked (`[shop.NAME.api]`, contract §9).
//!
//! The key travels in the address of every question, so nothing but https will do; the one exception is a stand-in for
//! the till on this very machine.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::{Host, Url};

use super::{node::Table, problem::Report, read::Section, schema};
use crate::sink::TillHost;

/// The till's own API (`[shop.NAME.api]`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiCredentials {
    /// Where the till answers: a host name such as `kash.click` (https), or an exact origin; http for this machine alone.
    #[serde(deserialize_with = "host")]
    #[schemars(with = "String")]
    pub host: TillHost,
    /// The shop's account with the till: its SHOPID.
    pub shop_id: String,
    /// The shop's key: its APIKEY.
    #[schemars(with = "String")]
    pub key: SecretString,
}

/// Reads the table in the shop's, where there is one, and tells everything that is wrong with it; `Err` where something
/// was.
pub(super) fn read(shop: &Section<'_>, report: &mut Report) -> Result<Option<ApiCredentials>, ()> {
    let Some(entry) = shop.node.table().and_then(|table| table.get("api")) else { return Ok(None) };
    let path: Vec<&str> = shop.path.iter().map(String::as_str).chain(["api"]).collect();
    let nothing = Table::default();
    let mut section = Section::new(&path, entry.clone(), &nothing);
    let complete = section.demand(&schema::required_of_api(), report);
    // What is left empty has been told as missing, and is no host either.
    let is_empty = |table: &Table| table.0.iter().any(|entry| entry.node.text() == Some(""));
    if !complete && section.node.table().is_some_and(is_empty) {
        return Err(());
    }
    let read = section.read(report, |node| ApiCredentials::deserialize(node));
    read.filter(|_| complete).map(Some).ok_or(())
}

/// A host that the key may be sent to.
///
/// # Errors
/// Words with what to write in its place.
pub fn key_host(text: &str) -> Result<TillHost, String> {
    let host: TillHost = text.parse().map_err(|_| {
        format!("`{text}` is not where a till answers: write a host such as `kash.click`, or `http://127.0.0.1:9000` for a stand-in on this machine, without a path")
    })?;
    match &host {
        TillHost::Origin(origin) if origin.scheme() == "http" && !is_this_machine(origin) => {
            Err(format!("`{text}` would send the key unencrypted: use https, or http on 127.0.0.1 alone"))
        }
        _ => Ok(host),
    }
}

fn host<'de, D: Deserializer<'de>>(from: D) -> Result<TillHost, D::Error> {
    key_host(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn is_this_machine(origin: &Url) -> bool {
    match origin.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::{Config, Environment, Problems, Source, load, show};

    const CANARY: &str = "CANARY-0123456789";

    fn with(api: &str, variables: &[(&str, &str)]) -> Result<crate::config::Loaded, Problems> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tillhook.toml");
        std::fs::write(dir.path().join("key"), format!("{CANARY}\n")).unwrap();
        std::fs::write(&file, format!("[shop.dupont]\ntoken = \"0123456789abcdef\"\n{api}")).unwrap();
        let twin = dir.path().join("key");
        let variables = variables.iter().map(|(name, value)| (*name, value.replace("DIR/key", twin.to_str().unwrap())));
        load(&Source::File(file), &variables.collect::<Environment>())
    }

    fn api(config: &Config) -> &ApiCredentials {
        config.shops.values().next().unwrap().api.as_ref().unwrap()
    }

    const TABLE: &str = "[shop.dupont.api]\nhost = \"kash.click\"\nshop_id = \"4711\"\n";

    #[test]
    fn a_shop_may_have_an_api_and_its_key_is_a_secret_however_it_is_given() {
        for (key, variables) in [
            (format!("key = \"{CANARY}\""), vec![]),
            ("key = { file = \"key\" }".to_owned(), vec![]),
            ("key = { env = \"KEY\" }".to_owned(), vec![("KEY", CANARY)]),
            (String::new(), vec![("TILLHOOK_SHOP__DUPONT__API__KEY", CANARY)]),
            (String::new(), vec![("TILLHOOK_SHOP__DUPONT__API__KEY_FILE", "DIR/key")]),
        ] {
            let loaded = with(&format!("{TABLE}{key}"), &variables).unwrap_or_else(|problems| panic!("{problems}"));
            let api = api(&loaded.config);
            assert_eq!(api.host, TillHost::Domain("kash.click".to_owned()));
            assert_eq!((api.shop_id.as_str(), api.key.expose_secret()), ("4711", CANARY));
            let shown = show(&loaded);
            assert!(shown.contains("[shop.dupont.api]\nhost = \"kash.click\""), "{shown}");
            assert!(shown.contains("key = \"********\""), "{shown}");
            assert!(!format!("{shown} {loaded:?}").contains(CANARY));
        }
        assert!(with("", &[]).unwrap().config.shops.values().all(|shop| shop.api.is_none()));
    }

    #[test]
    fn the_environment_alone_is_enough() {
        let variables = [
            ("TILLHOOK_SHOP__DUPONT__API__HOST", "http://127.0.0.1:9000"),
            ("TILLHOOK_SHOP__DUPONT__API__SHOP_ID", "4711"),
            ("TILLHOOK_SHOP__DUPONT__API__KEY", CANARY),
        ];
        assert_eq!(api(&with("", &variables).unwrap().config).shop_id, "4711");
        let problems = with("", &variables[..2]).unwrap_err();
        assert!(problems.to_string().contains("`shop.dupont.api` has no `key`"), "{problems}");
    }

    #[test]
    fn an_incomplete_table_is_told_with_everything_that_is_missing() {
        let problems = with("[shop.dupont.api]\nhost = \"\"", &[]).unwrap_err();
        let told: Vec<&str> = problems.0.iter().map(|problem| problem.what.as_str()).collect();
        let missing = ["shop_id", "key", "host"].map(|key| format!("`shop.dupont.api` has no `{key}`"));
        assert_eq!(told, missing);
        assert!(problems.0.iter().all(|problem| problem.place.is_some()));
    }

    #[test]
    fn a_wrong_table_is_told_once_and_without_its_key() {
        for (table, told) in [
            (format!("{TABLE}key = \"{CANARY}\"\nshopid = \"1\""), "`shop.dupont.api.shopid` is not a known key"),
            (format!("{TABLE}key = [\"{CANARY}\"]"), "`shop.dupont.api.key` must be text in quotes, not a list"),
            ("api = 3".to_owned(), "`shop.dupont.api` must be a table"),
        ] {
            let problems = with(&table, &[]).unwrap_err();
            assert_eq!(problems.0.len(), 1, "{problems}");
            assert!(problems.to_string().contains(told) && !problems.to_string().contains(CANARY), "{problems}");
        }
    }

    #[test]
    fn the_key_goes_to_a_host_by_https_or_to_this_machine() {
        for host in
            ["kash.click", "https://till.example:8443", "http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(key_host(host).is_ok(), "{host}");
        }
        for host in ["http://kash.click", "http://192.168.1.2:9000", "https://kash.click/workers/", "kash", "ftp://x.y"]
        {
            assert!(key_host(host).is_err(), "{host}");
        }
    }
}
