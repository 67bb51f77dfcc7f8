//! Which shop's till is meant, and what is said when it gives nothing.

use std::{
    io::{self, Write},
    sync::Arc,
};

use clap::Args;

use crate::{
    cli::{Exit, Stop, find},
    clock::Clock,
    config::{ApiCredentials, Config, ShopConfig},
    till::api::{ApiError, Client, Unread},
};

/// What to do about a wrong key, which the till reports in words of its own.
pub const GET_A_KEY: &str =
    "if it is the key, `tillhook pos login` gets one, and says what to write into `[shop.NAME.api]`";

/// Whose till.
#[derive(Debug, Args)]
pub struct Whose {
    /// The shop, where there are several with `[shop.NAME.api]`
    #[arg(long, value_name = "SHOP")]
    shop: Option<String>,
}

/// A shop and its till.
pub struct Asked<'a> {
    pub shop: &'a ShopConfig,
    pub client: Client,
}

impl Whose {
    /// The till that is meant.
    pub fn till<'a>(&self, config: &'a Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Asked<'a>> {
        let (shop, api) = self.credentials(config)?;
        let client = Client::new(api, clock.clone()).map_err(stop)?;
        Ok(Asked { shop, client })
    }

    fn credentials<'a>(&self, config: &'a Config) -> anyhow::Result<(&'a ShopConfig, &'a ApiCredentials)> {
        if let Some(name) = &self.shop {
            let shop = &config.shops[&find::shop(config, name)?];
            return shop
                .api
                .as_ref()
                .map(|api| (shop, api))
                .ok_or_else(|| no_api(&format!("the shop `{name}` has no")));
        }
        let mut with_api = config.shops.values().filter_map(|shop| Some((shop, shop.api.as_ref()?)));
        match (with_api.next(), with_api.next()) {
            (Some(only), None) => Ok(only),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(with_api);
                let names: Vec<&str> = all.map(|(shop, _)| shop.shop.id.as_str()).collect();
                let fix = format!("give --shop, one of: {}", names.join(", "));
                Err(Stop::with_fix(Exit::Usage, "there are several shops", fix))
            }
            (None, _) => Err(no_api("no shop has a")),
        }
    }
}

fn no_api(who: &str) -> anyhow::Error {
    let what = format!("{who} table `[shop.NAME.api]`, so its till cannot be asked");
    let fix = "get its shop_id and its key with `tillhook pos login`, which also says where to write them; the till's \
               licence has to include the web services";
    Stop::with_fix(Exit::Usage, what, fix)
}

/// How a command ends when the till gives nothing.
pub fn stop(error: ApiError) -> anyhow::Error {
    match error {
        ApiError::Wrong(_) => Stop::new(Exit::Usage, error.to_string()).into(),
        ApiError::Refused(_) => {
            let fix = format!("these are the till's own words: correct what they name; {GET_A_KEY}");
            Stop::with_fix(Exit::Failed, error, fix)
        }
        ApiError::Page(_) => Stop::with_fix(Exit::Failed, error, GET_A_KEY),
        other => Stop::new(Exit::Failed, other.to_string()).into(),
    }
}

/// Says what could not be read.
pub fn note_unread(unread: &[Unread], thing: &str, notes: &mut dyn Write) -> io::Result<()> {
    for Unread { reason, count } in unread {
        writeln!(notes, "note: {count} of the till's {thing} could not be read, and are left out: {reason}")?;
    }
    Ok(())
}
